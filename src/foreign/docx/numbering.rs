//! Styles and automatic numbers of a Word document: the words that Word shows in front of a paragraph and does not
//! store there.
//!
//! Many regulations count their articles this way: the text says `为了示例`, the page says `第一条　为了示例`. Counters
//! belong to a list definition; lists that share one go on counting, unless they start anew.

use std::collections::{HashMap, HashSet};

use super::{attribute, each_tag};
use crate::base::Result;
use crate::base::text::number_to_chinese;

/// Levels of a list.
const LEVELS: usize = 9;
/// Longest chain of styles that build on each other.
const CHAIN: usize = 16;

#[derive(Clone, Debug, Default)]
struct StyleOf {
    name: String,
    parent: String,
    level: Option<u8>,
    list: Option<String>,
    depth: Option<usize>,
}

#[derive(Clone, Debug)]
struct Level {
    start: u32,
    format: String,
    text: String,
    style: String,
    /// The level above whose number starts this one anew; 0 never, none any.
    restart: Option<usize>,
    legal: bool,
}

#[derive(Clone, Debug, Default)]
struct Definition {
    levels: Vec<Level>,
    counters: [Option<u32>; LEVELS],
    linked: String,
}

#[derive(Clone, Debug, Default)]
struct List {
    definition: String,
    starts: Vec<(usize, u32)>,
}

/// What styles and lists say, and how far counting has come.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    styles: HashMap<String, StyleOf>,
    lists: HashMap<String, List>,
    definitions: HashMap<String, Definition>,
    /// Lists and levels that began anew already.
    used: HashSet<(String, usize)>,
}

impl Default for Level {
    fn default() -> Self {
        let (format, text) = ("decimal".to_owned(), String::new());
        Self { start: 1, format, text, style: String::new(), restart: None, legal: false }
    }
}

impl Numbering {
    /// Reads the parts `styles.xml` and `numbering.xml`; each may be empty.
    pub(super) fn read(styles: &str, numbers: &str) -> Result<Self> {
        let mut own = Self { styles: read_styles(styles)?, ..Self::default() };
        own.read_lists(numbers)?;
        Ok(own)
    }

    fn read_lists(&mut self, xml: &str) -> Result<()> {
        let (mut definition, mut list, mut level) = (String::new(), None::<String>, 0);
        each_tag(xml, |tag, _| {
            let value = || attribute(tag, "val").unwrap_or_default();
            let name = tag.local_name();
            match name.as_ref() {
                "abstractNum" => {
                    (definition, list) = (attribute(tag, "abstractNumId").unwrap_or_default(), None);
                    self.definitions.entry(definition.clone()).or_default();
                }
                "num" => {
                    let id = attribute(tag, "numId").unwrap_or_default();
                    self.lists.entry(id.clone()).or_default();
                    list = Some(id);
                }
                "abstractNumId" => {
                    if let Some(l) = list.as_ref().and_then(|l| self.lists.get_mut(l)) {
                        l.definition = value();
                    }
                }
                "lvl" | "lvlOverride" => {
                    level = attribute(tag, "ilvl").and_then(|l| l.parse().ok()).unwrap_or(LEVELS);
                }
                "startOverride" => {
                    if let (Some(l), Ok(n)) =
                        (list.as_ref().and_then(|l| self.lists.get_mut(l)), value().parse())
                    {
                        l.starts.push((level, n));
                    }
                }
                "numStyleLink" => {
                    if let Some(d) = self.definitions.get_mut(&definition) {
                        d.linked = value();
                    }
                }
                other if list.is_none() && level < LEVELS => {
                    if let Some(d) = self.definitions.get_mut(&definition) {
                        d.levels.resize(d.levels.len().max(level + 1), Level::default());
                        d.levels[level].set(other, &value());
                    }
                }
                _ => {}
            }
        })
    }

    /// The style and those it builds on, nearest first.
    fn chain(&self, style: &str) -> Vec<&StyleOf> {
        let mut chain = Vec::new();
        let mut next = self.styles.get(style);
        while let Some(own) = next.filter(|_| chain.len() < CHAIN) {
            chain.push(own);
            next = self.styles.get(&own.parent);
        }
        chain
    }

    /// The level of a heading of this style, from 1.
    pub(super) fn heading(&self, style: &str) -> Option<u8> {
        let named = |name: &str| -> Option<u8> {
            let name = name.to_lowercase();
            if matches!(name.as_str(), "title" | "标题") {
                return Some(1);
            }
            let digit = name.strip_prefix("heading").or_else(|| name.strip_prefix("标题"))?;
            digit.trim().parse().ok().filter(|n| (1..=9).contains(n))
        };
        self.chain(style).iter().find_map(|s| named(&s.name).or(s.level))
    }

    /// The number in front of the next paragraph of this style, list and level; empty without one. Counts it.
    pub(super) fn next(&mut self, style: &str, list: Option<&str>, depth: Option<usize>) -> String {
        let chain = self.chain(style);
        let styled = chain.iter().find_map(|s| s.list.clone());
        let deep = depth.or_else(|| chain.iter().find_map(|s| s.depth));
        let Some(id) = list.map(str::to_owned).or(styled).filter(|id| id != "0") else {
            return String::new();
        };
        let Some(list) = self.lists.get(&id) else { return String::new() };
        let definition = self.resolve(&list.definition);
        let starts = list.starts.clone();
        let Some(definition) = self.definitions.get_mut(&definition) else { return String::new() };
        let by_style = || definition.levels.iter().position(|l| !l.style.is_empty() && l.style == style);
        let level = deep.or_else(by_style).unwrap_or(0);
        let start = starts.iter().find(|(at, _)| *at == level).map(|(_, start)| *start);
        if start.is_some() && self.used.insert((id, level)) {
            definition.restart(level);
        }
        definition.count(level, start)
    }

    /// The definition that a link by style leads to.
    fn resolve(&self, definition: &str) -> String {
        let linked = self.definitions.get(definition).map(|d| d.linked.as_str()).filter(|l| !l.is_empty());
        let list = linked.and_then(|l| self.styles.get(l)).and_then(|s| s.list.as_ref());
        list.and_then(|l| self.lists.get(l)).map_or(definition, |l| &l.definition).to_owned()
    }
}

fn read_styles(xml: &str) -> Result<HashMap<String, StyleOf>> {
    let mut styles: HashMap<String, StyleOf> = HashMap::new();
    let mut current = String::new();
    each_tag(xml, |tag, _| {
        let value = || attribute(tag, "val").unwrap_or_default();
        let name = tag.local_name();
        if name.as_ref() == "style" {
            current = attribute(tag, "styleId").unwrap_or_default();
            styles.insert(current.clone(), StyleOf::default());
            return;
        }
        let Some(style) = styles.get_mut(&current) else { return };
        match name.as_ref() {
            "name" => style.name = value(),
            "basedOn" => style.parent = value(),
            "outlineLvl" => style.level = value().parse::<u8>().ok().filter(|l| *l < 9).map(|l| l + 1),
            "numId" => style.list = Some(value()),
            "ilvl" => style.depth = value().parse().ok(),
            _ => {}
        }
    })?;
    Ok(styles)
}

impl Level {
    fn set(&mut self, name: &str, value: &str) {
        match name {
            "start" => self.start = value.parse().unwrap_or(1),
            "numFmt" => self.format = value.to_owned(),
            "lvlText" => self.text = value.to_owned(),
            "pStyle" => self.style = value.to_owned(),
            "lvlRestart" => self.restart = value.parse().ok(),
            "isLgl" => self.legal = !matches!(value, "0" | "false"),
            _ => {}
        }
    }
}

impl Definition {
    /// The next paragraph of `level` is the first again.
    fn restart(&mut self, level: usize) {
        self.counters.get_mut(level).into_iter().for_each(|c| *c = None);
    }

    /// Counts a paragraph of `level` and shows its number; the list it is in may start at another than the first.
    fn count(&mut self, level: usize, start: Option<u32>) -> String {
        let Some(own) = self.levels.get(level).filter(|_| level < LEVELS).cloned() else {
            return String::new();
        };
        let next = self.counters[level].map_or(start.unwrap_or(own.start), |n| n.saturating_add(1));
        self.counters[level] = Some(next);
        for (at, below) in self.levels.iter().enumerate().skip(level + 1).take(LEVELS) {
            if at < LEVELS && below.restart.is_none_or(|r| level < r) {
                self.counters[at] = None;
            }
        }
        if own.format == "bullet" {
            return String::new();
        }
        let mut shown = String::new();
        let mut chars = own.text.chars();
        while let Some(c) = chars.next() {
            let digit = (c == '%').then(|| chars.clone().next().and_then(|d| d.to_digit(10))).flatten();
            let Some(n) = digit.and_then(|d| (d as usize).checked_sub(1)).filter(|n| *n < LEVELS) else {
                shown.push(c);
                continue;
            };
            chars.next();
            let of = self.levels.get(n).cloned().unwrap_or_default();
            let format = if own.legal { "decimal" } else { of.format.as_str() };
            shown += &written(self.counters[n].unwrap_or(of.start), format);
        }
        let ideograph = shown.ends_with(['、', '）', '．', '。', '：', ')', '．']);
        if shown.is_empty() || ideograph { shown } else { shown + " " }
    }
}

/// A number in one of Word's formats; those not named here are written in Arabic digits.
fn written(number: u32, format: &str) -> String {
    let letter = |first: char| {
        let times = (number.saturating_sub(1) / 26 + 1).min(8) as usize;
        char::from_u32(u32::from(first) + number.saturating_sub(1) % 26)
            .map_or(String::new(), |c| c.to_string().repeat(times))
    };
    let one_of = |row: &str, from: u32| row.chars().nth(number.wrapping_sub(from) as usize).map(String::from);
    let shown = match format {
        "chineseCounting"
        | "chineseCountingThousand"
        | "japaneseCounting"
        | "taiwaneseCounting"
        | "taiwaneseCountingThousand"
        | "koreanCounting" => number_to_chinese(number),
        "ideographDigital" | "taiwaneseDigital" | "japaneseDigitalTenThousand" | "koreanDigital" => Some(
            number
                .to_string()
                .chars()
                .filter_map(|c| "〇一二三四五六七八九".chars().nth(c.to_digit(10)? as usize))
                .collect(),
        ),
        "chineseLegalSimplified" | "ideographLegalTraditional" | "japaneseLegal" => {
            let plain = "零一二三四五六七八九十百千";
            let formal: Vec<char> = "零壹贰叁肆伍陆柒捌玖拾佰仟".chars().collect();
            number_to_chinese(number)
                .map(|t| t.chars().filter_map(|c| formal.get(plain.chars().position(|p| p == c)?)).collect())
        }
        "ideographTraditional" => one_of("甲乙丙丁戊己庚辛壬癸", 1),
        "ideographZodiac" => one_of("子丑寅卯辰巳午未申酉戌亥", 1),
        "decimalEnclosedCircle" | "decimalEnclosedCircleChinese" => one_of("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳", 1),
        "ideographEnclosedCircle" => one_of("㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉", 1),
        "decimalFullWidth" | "decimalFullWidth2" => Some(
            number
                .to_string()
                .chars()
                .filter_map(|c| "０１２３４５６７８９".chars().nth(c.to_digit(10)? as usize))
                .collect(),
        ),
        "decimalZero" => Some(format!("{number:02}")),
        "upperLetter" => Some(letter('A')),
        "lowerLetter" => Some(letter('a')),
        "upperRoman" => Some(roman(number)),
        "lowerRoman" => Some(roman(number).to_lowercase()),
        "none" | "bullet" => Some(String::new()),
        _ => None,
    };
    shown.unwrap_or_else(|| number.to_string())
}

fn roman(number: u32) -> String {
    const PARTS: &[(u32, &str)] = &[
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = number.min(9_999);
    let mut shown = String::new();
    for (value, letters) in PARTS {
        while rest >= *value {
            shown += letters;
            rest -= value;
        }
    }
    shown
}
