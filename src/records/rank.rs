//! The gate of article 16: stationed groups and townships may not report persons of section rank (科级) or above.
//!
//! Ranks are data with a class; a blocked rank is refused before anything is stored, on every way in. What the rules
//! leave open is blocked by default and says so, for the county to confirm with its personnel office.

use super::dict::{Dict, entry};

/// 职务职级, from civil servants' ranks (公务员法 2018, 18 and 19) and the usual groups below.
pub static RANKS: Dict = Dict {
    name: "rank",
    source: "公务员法（2018）第十八条、第十九条；事业单位对应关系默认，待组织部门确认",
    entries: &[
        entry("village", "村(社区)干部"),
        entry("clerk1", "一级科员"),
        entry("clerk2", "二级科员"),
        entry("probation", "试用期人员"),
        entry("worker", "机关工勤人员"),
        entry("inst9", "事业单位管理九级及以下"),
        entry("expert", "专业技术人员"),
        entry("company", "企业一般人员"),
        entry("farmer", "农民"),
        entry("other", "其他人员"),
        entry(UNKNOWN, "待核实"),
        entry("sect-head", "乡科级正职"),
        entry("sect-deputy", "乡科级副职"),
        entry("sect1", "一级主任科员"),
        entry("sect2", "二级主任科员"),
        entry("sect3", "三级主任科员"),
        entry("sect4", "四级主任科员"),
        entry("inst7", "事业单位管理七级"),
        entry("inst8", "事业单位管理八级"),
        entry("division", "县处级及以上"),
        entry("researcher", "调研员、巡视员"),
    ],
};

/// Codes that the gate refuses.
const BLOCKED: &[&str] = &[
    "sect-head", "sect-deputy", "sect1", "sect2", "sect3", "sect4", "inst7", "inst8", "division", "researcher",
];

/// The rank of a person whose rank is not known yet: such a record stays incomplete.
pub const UNKNOWN: &str = "unknown";

/// Words in a free text that speak of section rank or above.
const BLOCKED_WORDS: &[&str] =
    &["正科", "副科", "科级", "正处", "副处", "处级", "厅级", "局级", "部级", "主任科员", "调研员", "巡视员"];

/// The code for a rank as ledgers have it: an entry of the list, or a blocked one when the words say so.
pub fn from_words(text: &str) -> &'static str {
    match RANKS.code(text.trim()) {
        Some(code) => code,
        None if BLOCKED_WORDS.iter().any(|w| text.contains(w)) => "sect-head",
        None => UNKNOWN,
    }
}

/// What the user is told; nothing of the input is repeated.
pub const GUIDANCE: &str = "根据管理办法第十六条，不得通过本系统上报科级及以上干部信息。本次填写的内容没有保存。\
请按规定以纸质方式径送本单位主要负责人，并向上级信访部门报告。";

/// The gate refuses this rank.
pub fn is_blocked(code: &str) -> bool {
    BLOCKED.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_blocked_code_is_a_rank_and_some_ranks_pass() {
        assert!(BLOCKED.iter().all(|b| RANKS.entries.iter().any(|e| e.code == *b)));
        assert!(RANKS.entries.iter().any(|e| !is_blocked(e.code)));
        let named = |label: &str| RANKS.code(label).is_some_and(is_blocked);
        assert!(is_blocked(from_words("正科级")) && is_blocked(from_words("副处级干部")));
        assert_eq!((from_words("二级科员"), from_words("临时工"), from_words("")), ("clerk2", UNKNOWN, UNKNOWN));
        assert!(named("乡科级正职") && named("四级主任科员") && !named("一级科员") && !named("村(社区)干部"));
    }
}
