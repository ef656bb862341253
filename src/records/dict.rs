//! Vocabularies as rows of data: code, words, source. The code is stored, the words are shown; input may be either.

/// One entry.
#[derive(Debug)]
pub struct Entry {
    /// Stored code; never reused within its vocabulary.
    pub code: &'static str,
    /// What users read.
    pub label: &'static str,
}

/// A vocabulary and where it comes from.
#[derive(Debug)]
pub struct Dict {
    /// Name in formats.
    pub name: &'static str,
    /// The rule or standard it was taken from; 默认 marks a working list that no rule fixes.
    pub source: &'static str,
    /// The entries, in the order of the drop-down.
    pub entries: &'static [Entry],
}

/// Shorthand for tables of entries.
pub const fn entry(code: &'static str, label: &'static str) -> Entry {
    Entry { code, label }
}

impl Dict {
    /// The code of a text that is a code or a label.
    pub fn code(&self, text: &str) -> Option<&'static str> {
        self.entries.iter().find(|e| e.code == text || e.label == text).map(|e| e.code)
    }

    /// The words of a code; a code that is not listed is shown as it is.
    pub fn label<'a>(&self, code: &'a str) -> &'a str {
        self.entries.iter().find(|e| e.code == code).map_or(code, |e| e.label)
    }
}

/// 性别 (GB/T 2261.1).
pub static GENDER: Dict = Dict {
    name: "gender",
    source: "GB/T 2261.1",
    entries: &[entry("1", "男"), entry("2", "女"), entry("9", "未说明的性别"), entry("0", "未知的性别")],
};

/// 政治面貌 (GB/T 4762).
pub static POLITICAL: Dict = Dict {
    name: "political",
    source: "GB/T 4762（代码待核）",
    entries: &[
        entry("01", "中共党员"),
        entry("02", "中共预备党员"),
        entry("03", "共青团员"),
        entry("12", "无党派人士"),
        entry("13", "群众"),
        entry("14", "其他党派"),
    ],
};
