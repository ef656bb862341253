//! The word book (俗语与法律用语): what a county adds to, and takes out of, the table of everyday words that comes with
//! the program. It only helps to rank near answers of a search.

use std::collections::HashSet;

use super::{Fields, Value};
use crate::base::text::folded_chars;

/// Tags of the stored word book (`data-format/store.md`).
mod tag {
    pub(super) const OWN: u16 = 16;
    pub(super) const OFF: u16 = 17;
    pub(super) const VERSION: u16 = 18;
    pub(super) const WORD: u16 = 1;
    pub(super) const TERMS: u16 = 2;
    pub(super) const SOURCE: u16 = 3;
}

/// Most entries of a county.
pub const ENTRIES_MAX: usize = 500;
/// Longest everyday word and longest term, in characters.
pub const WORD_CHARS_MAX: usize = 8;
/// Most terms of an entry.
pub const TERMS_MAX: usize = 8;
/// Longest source, in characters.
pub const SOURCE_CHARS_MAX: usize = 100;
/// Longest term, in characters.
const TERM_CHARS_MAX: usize = 20;

/// An everyday word, what the law says instead, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The everyday word, at most [`WORD_CHARS_MAX`] characters.
    pub word: String,
    /// The terms of law.
    pub terms: Vec<String>,
    /// Where that is from, or why it is so.
    pub source: String,
}

/// What a county changed; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wordbook {
    /// Entries of its own; one for a word that the program knows as well holds instead of the program's.
    pub own: Vec<Entry>,
    /// Words of the program's table that do not count.
    pub off: Vec<String>,
    /// Counts changes.
    pub version: i64,
}

impl Wordbook {
    /// Reads what was typed: entries a line each, `word，term、term，source`, and words that do not count. `known` are
    /// the words of the program's table.
    ///
    /// # Errors
    /// Everything that is wrong, by its line.
    pub fn typed(own: &str, off: &str, known: &HashSet<&str>) -> Result<Self, Vec<String>> {
        let (mut book, mut problems, mut seen) = (Self::default(), Vec::new(), HashSet::new());
        for (n, line) in own.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            match entry(line) {
                Err(problem) => problems.push(format!("第 {} 行：{problem}", n + 1)),
                Ok(entry) if !seen.insert(folded_chars(&entry.word)) => {
                    problems.push(format!("第 {} 行：“{}”前面已经有一条，请合并成一行。", n + 1, entry.word));
                }
                Ok(entry) => book.own.push(entry),
            }
        }
        if book.own.len() > ENTRIES_MAX {
            problems.push(format!("本县词条最多 {ENTRIES_MAX} 条，现在有 {} 条。", book.own.len()));
        }
        for word in off.split(|c: char| c.is_whitespace() || "，,、；;".contains(c)).filter(|w| !w.is_empty()) {
            if !known.contains(word) {
                problems.push(format!("停用：随附词条中没有“{word}”。"));
            } else if !book.off.iter().any(|w| w == word) {
                book.off.push(word.to_owned());
            }
        }
        if problems.is_empty() { Ok(book) } else { Err(problems) }
    }

    /// The entries as they are typed.
    pub fn lines(&self) -> String {
        let line = |e: &Entry| format!("{}，{}，{}\n", e.word, e.terms.join("、"), e.source);
        self.own.iter().map(line).collect()
    }

    /// What was kept.
    pub fn read(fields: &Fields) -> Self {
        let entry = |row: &Fields| Entry {
            word: row.text(tag::WORD).to_owned(),
            terms: row.codes(tag::TERMS).to_vec(),
            source: row.text(tag::SOURCE).to_owned(),
        };
        let (own, off) = (fields.rows(tag::OWN).iter().map(entry).collect(), fields.codes(tag::OFF).to_vec());
        Self { own, off, version: fields.int(tag::VERSION) }
    }

    /// As it is kept.
    pub fn written(&self) -> Fields {
        let row = |e: &Entry| {
            Fields::default()
                .with_text(tag::WORD, e.word.as_str())
                .with(tag::TERMS, Value::Codes(e.terms.clone()))
                .with_text(tag::SOURCE, e.source.as_str())
        };
        Fields::default()
            .with(tag::OWN, Value::Rows(self.own.iter().map(row).collect()))
            .with(tag::OFF, Value::Codes(self.off.clone()))
            .with(tag::VERSION, Value::Int(self.version))
    }

    /// What differs from here to `after`, for the journal; a change of an entry is the old one and the new one.
    pub fn difference(&self, after: &Self) -> String {
        let lines = |book: &Self| -> Vec<String> {
            let own = book.own.iter().map(|e| format!("{}={}（{}）", e.word, e.terms.join("、"), e.source));
            own.chain(book.off.iter().map(|w| format!("停用 {w}"))).collect()
        };
        let (old, new) = (lines(self), lines(after));
        let gone = old.iter().filter(|l| !new.contains(l)).map(|l| format!("-{l}"));
        let came = new.iter().filter(|l| !old.contains(l)).map(|l| format!("+{l}"));
        gone.chain(came).collect::<Vec<_>>().join("；")
    }
}

fn entry(line: &str) -> Result<Entry, String> {
    let mut parts = line.splitn(3, ['，', ',', '\t']).map(str::trim);
    let (word, terms) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let source = parts.next().unwrap_or_default();
    let chars = |text: &str| text.chars().count();
    let terms: Vec<String> = terms
        .split(|c: char| c.is_whitespace() || "、；;".contains(c))
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    let folded = folded_chars(word);
    match () {
        () if folded.len() < 2 || chars(word) > WORD_CHARS_MAX || word.contains(char::is_whitespace) => {
            Err(format!("俗语须是 2 至 {WORD_CHARS_MAX} 个字，中间没有空格。"))
        }
        () if terms.is_empty() => Err(format!("“{word}”后面没有法律用语，用逗号隔开后填写。")),
        () if terms.len() > TERMS_MAX => Err(format!("“{word}”的法律用语最多 {TERMS_MAX} 个。")),
        () if terms.iter().any(|t| chars(t) > TERM_CHARS_MAX || folded_chars(t).is_empty()) => {
            Err(format!("“{word}”的法律用语每个最多 {TERM_CHARS_MAX} 个字。"))
        }
        () if terms.iter().any(|t| folded_chars(t) == folded) => Err(format!("“{word}”不能解释成它自己。")),
        () if source.is_empty() => Err(format!("“{word}”没有写来源或理由。")),
        () if chars(source) > SOURCE_CHARS_MAX => Err(format!("来源最多 {SOURCE_CHARS_MAX} 个字。")),
        () => Ok(Entry { word: word.to_owned(), terms, source: source.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_read_back_as_it_was() {
        let known = HashSet::from(["老赖", "欠钱"]);
        let typed = "跑路，逃匿、转移财产，法规室整理\n \n低保户,最低生活保障对象,民政口径\n";
        let book = Wordbook::typed(typed, "老赖 老赖", &known).unwrap();
        assert_eq!(book.lines(), "跑路，逃匿、转移财产，法规室整理\n低保户，最低生活保障对象，民政口径\n");
        assert_eq!(book.off, ["老赖"]);
        assert_eq!(Wordbook::read(&book.written()), book);
        assert_eq!(Wordbook::typed(&book.lines(), "老赖", &known), Ok(book.clone()));
        let less = Wordbook { own: vec![book.own[1].clone()], ..Wordbook::default() };
        assert_eq!(book.difference(&less), "-跑路=逃匿、转移财产（法规室整理）；-停用 老赖");
        assert_eq!(book.difference(&book), "");
    }

    #[test]
    fn every_fault_is_named_by_its_line() {
        let long = format!("跑路，{}，来源", "很长的用语".repeat(5));
        for (line, said) in [
            ("跑", "2 至 8"),
            ("跑路跑路跑路跑路跑，逃匿，来源", "2 至 8"),
            ("跑 路，逃匿，来源", "没有空格"),
            ("跑路", "没有法律用语"),
            ("跑路，，来源", "没有法律用语"),
            ("跑路，跑路，来源", "它自己"),
            ("跑路，逃匿", "没有写来源"),
            ("跑路，一 二 三 四 五 六 七 八 九，来源", "最多 8 个"),
            (&long, "最多 20"),
        ] {
            let problems = Wordbook::typed(&format!("\n{line}"), "", &HashSet::new()).unwrap_err();
            let told = problems.len() == 1 && problems[0].starts_with("第 2 行") && problems[0].contains(said);
            assert!(told, "{problems:?}");
        }
        let twice = Wordbook::typed("跑路，逃匿，甲\n跑路，转移，乙", "没有的", &HashSet::new()).unwrap_err();
        assert!(twice.len() == 2 && twice[0].contains("合并") && twice[1].contains("没有的"), "{twice:?}");
    }
}
