//! How characters are compared: width, script, case, punctuation and numerals.
//!
//! What must hold: folding works character by character, so a piece of a text folds to a piece of the folded
//! text, and every folded character knows the bytes it came from. Index, query and highlight all go through
//! here and nowhere else. Words, ranking and the index itself are the search floor's business.

use std::ops::Range;
use std::sync::OnceLock;

use ferrous_opencc::OpenCC;
use ferrous_opencc::config::BuiltinConfig;
use unicode_normalization::UnicodeNormalization;

/// The block of ideographs that script folding covers: extension A and the unified ideographs.
const IDEOGRAPHS: Range<u32> = 0x3400..0xA000;

/// Largest number that the numeral functions read or write.
const NUMERAL_MAX: u32 = 9_999;

/// Units after which a numeral is folded even without 第 in front.
const COUNTED: &str = "条款项章节编号届次批期月日";

/// The narrow form of a full-width ASCII character or of the ideographic space; any other character as it is.
pub fn half_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// The folded characters of one character: compatibility form, simplified script, lower case. Mostly one,
/// sometimes several (`㈱`), never dependent on the neighbours.
pub fn fold(c: char) -> Fold {
    if c.is_ascii() {
        return Fold::One(Some(c.to_ascii_lowercase()));
    }
    if IDEOGRAPHS.contains(&u32::from(c)) {
        return Fold::One(Some(simplified(c)));
    }
    // The marks of Chinese texts, by far the most of the rest; U+2017 among them is made of two.
    match c {
        '\u{3001}'..='\u{3015}' | '\u{2012}'..='\u{2016}' | '\u{2018}'..='\u{201F}' => return Fold::One(Some(c)),
        '\u{FF01}'..='\u{FF5E}' => return Fold::One(Some(half_width(c).to_ascii_lowercase())),
        _ => {}
    }
    let many: Vec<char> = c.nfkc().map(simplified).flat_map(char::to_lowercase).collect();
    if let [one] = many[..] { Fold::One(Some(one)) } else { Fold::Many(many.into_iter()) }
}

/// What [`fold`] gives.
#[derive(Clone, Debug)]
pub enum Fold {
    /// At most one character is left.
    One(Option<char>),
    /// The rest of several characters.
    Many(std::vec::IntoIter<char>),
}

impl Iterator for Fold {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Self::One(c) => c.take(),
            Self::Many(rest) => rest.next(),
        }
    }
}

/// A text in the form in which it is compared: folded, without blanks and invisible characters, punctuation
/// in one form, 零 as 〇; with the way back to the bytes of the original.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    chars: Vec<char>,
    starts: Vec<usize>,
    ends: Vec<usize>,
}

impl Folded {
    /// Folds `text`.
    pub fn new(text: &str) -> Self {
        let mut folded = Self::default();
        for (at, c) in text.char_indices() {
            for f in fold(c).filter_map(settle) {
                folded.chars.push(f);
                folded.starts.push(at);
                folded.ends.push(at + c.len_utf8());
            }
        }
        folded
    }

    /// The folded characters.
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// The bytes of the original that the folded characters `range` came from; empty for an empty range.
    pub fn bytes(&self, range: Range<usize>) -> Range<usize> {
        match (self.starts.get(range.start), range.end.checked_sub(1).and_then(|e| self.ends.get(e))) {
            (Some(&start), Some(&end)) if range.start < range.end => start..end,
            _ => 0..0,
        }
    }
}

/// The comparable characters of `text` without the way back.
pub fn folded_chars(text: &str) -> Vec<char> {
    let mut chars = Vec::with_capacity(text.len() / 3 + 1);
    each_folded(text, |c| chars.extend(settle(c)));
    chars
}

/// [`folded_chars`], and the folded text with blanks and punctuation kept: it shows where words end.
pub fn fold_both(text: &str) -> (Vec<char>, String) {
    let (mut chars, mut spaced) = (Vec::with_capacity(text.len() / 3 + 1), String::with_capacity(text.len()));
    each_folded(text, |c| {
        chars.extend(settle(c));
        spaced.push(if c.is_control() { ' ' } else { c });
    });
    (chars, spaced)
}

/// Every folded character of a text; most of a text are ideographs, which need no more than a look at the table.
fn each_folded(text: &str, mut take: impl FnMut(char)) {
    let table = simplified_forms();
    for c in text.chars() {
        match u32::from(c).checked_sub(IDEOGRAPHS.start).and_then(|at| table.get(at as usize)) {
            Some(&simple) => take(simple),
            None => fold(c).for_each(&mut take),
        }
    }
}

/// [`char::is_alphanumeric`], quick for what Chinese texts are made of.
pub fn is_alphanumeric(c: char) -> bool {
    ('\u{4E00}'..='\u{9FFF}').contains(&c) || c.is_alphanumeric()
}

/// Characters that turn the direction of the text around them: with them a name can look like another one
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub fn is_direction(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// One form for every way of writing a mark; nothing for blanks and for what cannot be seen.
fn settle(c: char) -> Option<char> {
    Some(match c {
        '\u{AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FEFF}' => {
            return None;
        }
        c if c.is_ascii_alphanumeric() || ('\u{4E00}'..='\u{9FFF}').contains(&c) => {
            if c == '零' {
                '〇'
            } else {
                c
            }
        }
        '○' | '◯' => '〇',
        '〔' | '[' | '【' | '〖' | '⟦' => '(',
        '〕' | ']' | '】' | '〗' | '⟧' => ')',
        '《' | '〈' | '«' | '‹' => '<',
        '》' | '〉' | '»' | '›' => '>',
        '“' | '”' | '„' | '‟' | '「' | '」' | '『' | '』' | '〝' | '〞' | '″' => '"',
        '‘' | '’' | '‚' | '‛' | '`' | '´' | '′' => '\'',
        '‐'..='―' | '−' | '─' | '﹘' | '~' | '～' | '〜' => '-',
        '•' | '・' | '‧' | '∙' | '⋅' => '·',
        '。' => '.',
        '、' => ',',
        c if c.is_whitespace() || c.is_control() => return None,
        c => c,
    })
}

/// The simplified form of one character.
fn simplified(c: char) -> char {
    let at = u32::from(c).checked_sub(IDEOGRAPHS.start);
    at.and_then(|at| simplified_forms().get(at as usize)).copied().unwrap_or(c)
}

/// The simplified forms of [`IDEOGRAPHS`], by the OpenCC table of single characters; read once, on first use.
fn simplified_forms() -> &'static [char] {
    static TABLE: OnceLock<Vec<char>> = OnceLock::new();
    TABLE.get_or_init(simplified_table)
}

/// Every ideograph on a line of its own, so that no phrase rule applies, converted in one go.
fn simplified_table() -> Vec<char> {
    let same: Vec<char> = IDEOGRAPHS.filter_map(char::from_u32).collect();
    let lines: String = same.iter().flat_map(|&c| [c, '\n']).collect();
    let Ok(converter) = OpenCC::from_config(BuiltinConfig::T2s) else { return same };
    let converted = converter.convert(&lines);
    let one = |line: &str| {
        let mut chars = line.chars();
        chars.next().filter(|_| chars.next().is_none())
    };
    let mut lines = converted.split('\n');
    same.iter().map(|&c| lines.next().and_then(one).unwrap_or(c)).collect()
}

/// A numeral in a place where its script does not matter: 第二十一条, 第21条, 2020年, 二〇二〇年.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numeral {
    /// Where the digits stand, in characters.
    pub range: Range<usize>,
    /// The number.
    pub value: u32,
    /// The digits of 之一 behind the unit: place and number.
    pub sub: Option<(Range<usize>, u32)>,
    /// The character 第 stands in front.
    pub ordinal: bool,
    /// The unit behind the digits.
    pub unit: char,
}

impl Numeral {
    /// A year written with four digits.
    pub fn is_year(&self) -> bool {
        self.unit == '年' && (1000..=NUMERAL_MAX).contains(&self.value)
    }

    /// The form that stands for all spellings: `第21条之1`, `2020年`.
    pub fn canonical(&self) -> String {
        let front = if self.is_year() { "" } else { "第" };
        let sub = self.sub.as_ref().map_or(String::new(), |(_, n)| format!("之{n}"));
        format!("{front}{}{}{sub}", self.value, self.unit)
    }
}

/// The numerals of folded characters, from left to right.
pub fn find_numerals(chars: &[char]) -> Vec<Numeral> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let end = numeral_end(chars, at);
        if end == at {
            at += 1;
            continue;
        }
        if let Some(numeral) = numeral_at(chars, at..end) {
            at = numeral.sub.as_ref().map_or(end, |(sub, _)| sub.end);
            found.push(numeral);
        } else {
            at = end;
        }
    }
    found
}

/// The text with its numerals in the other scripts: all Arabic, all Chinese; without those equal to the text
/// itself.
pub fn numeral_variants(chars: &[char]) -> Vec<Vec<char>> {
    let numerals = find_numerals(chars);
    let arabic = rewrite(chars, &numerals, |n, _| n.to_string());
    let chinese = rewrite(chars, &numerals, |n, year| if year { positional(n) } else { compared(n) });
    let mut variants = vec![arabic, chinese];
    variants.retain(|v| v != chars);
    variants.dedup();
    variants
}

/// Reads 二十一, 一百零五, 二〇二〇, 廿一; up to 9999. `None` for anything else.
pub fn chinese_to_number(text: &str) -> Option<u32> {
    let chars: Vec<char> = text.chars().collect();
    let digits: Option<Vec<u32>> = chars.iter().map(|&c| digit(c)).collect();
    match digits {
        Some(d) if d.is_empty() || d.len() > 4 => None,
        Some(d) => Some(d.iter().fold(0, |n, d| n * 10 + d)),
        None => with_units(&chars),
    }
}

/// Writes 二十一 for 21; `None` above 9999.
pub fn number_to_chinese(number: u32) -> Option<String> {
    const DIGITS: [char; 10] = ['零', '一', '二', '三', '四', '五', '六', '七', '八', '九'];
    if number > NUMERAL_MAX {
        return None;
    }
    let mut out = String::new();
    let mut gap = false;
    for (scale, unit) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
        let d = number / scale % 10;
        if d == 0 {
            gap = !out.is_empty();
            continue;
        }
        if gap {
            out.push('零');
            gap = false;
        }
        if !(out.is_empty() && scale == 10 && d == 1) {
            out.push(DIGITS[d as usize]);
        }
        out.push_str(unit);
    }
    if out.is_empty() { Some("零".to_owned()) } else { Some(out) }
}

/// 二〇二〇 for 2020.
fn positional(number: u32) -> String {
    let digit = |c: char| c.to_digit(10).and_then(number_to_chinese).unwrap_or_default();
    number.to_string().chars().map(digit).collect::<String>().replace('零', "〇")
}

/// The Chinese numeral in the form in which texts are compared.
fn compared(number: u32) -> String {
    number_to_chinese(number).unwrap_or_default().replace('零', "〇")
}

fn rewrite(chars: &[char], numerals: &[Numeral], write: impl Fn(u32, bool) -> String) -> Vec<char> {
    let mut out = Vec::with_capacity(chars.len() + 8);
    let mut at = 0;
    for n in numerals {
        out.extend_from_slice(&chars[at..n.range.start]);
        out.extend(write(n.value, n.is_year()).chars());
        at = n.range.end;
        if let Some((sub, value)) = &n.sub {
            out.extend_from_slice(&chars[at..sub.start]);
            out.extend(write(*value, false).chars());
            at = sub.end;
        }
    }
    out.extend_from_slice(&chars[at..]);
    out
}

/// The numeral whose digits are `range`, when its surroundings make it one.
fn numeral_at(chars: &[char], range: Range<usize>) -> Option<Numeral> {
    let value = numeral_value(&chars[range.clone()])?;
    let unit = *chars.get(range.end)?;
    let ordinal = range.start > 0 && chars[range.start - 1] == '第';
    let year = unit == '年' && range.len() == 4 && value >= 1000;
    (year || COUNTED.contains(unit)).then_some(())?;
    let behind = range.end + 1;
    let sub = (unit == '条' && chars.get(behind) == Some(&'之')).then_some(behind + 1).and_then(|start| {
        let end = numeral_end(chars, start);
        (end > start).then_some(())?;
        Some((start..end, numeral_value(&chars[start..end])?))
    });
    Some(Numeral { range, value, sub, ordinal, unit })
}

/// The end of the run of digits of one script that starts at `at`; `at` itself when none does.
fn numeral_end(chars: &[char], at: usize) -> usize {
    let run = &chars[at.min(chars.len())..];
    let arabic = run.iter().take_while(|c| c.is_ascii_digit()).count();
    let chinese = || run.iter().take_while(|&&c| digit(c).is_some() || scale(c).is_some()).count();
    at + if arabic > 0 { arabic } else { chinese() }
}

fn numeral_value(digits: &[char]) -> Option<u32> {
    let text: String = digits.iter().collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok().filter(|&n| n <= NUMERAL_MAX && text.len() <= 4);
    }
    chinese_to_number(&text)
}

fn digit(c: char) -> Option<u32> {
    Some(match c {
        '〇' | '零' => 0,
        '一' | '壹' => 1,
        '二' | '贰' | '两' => 2,
        '三' | '叁' => 3,
        '四' | '肆' => 4,
        '五' | '伍' => 5,
        '六' | '陆' => 6,
        '七' | '柒' => 7,
        '八' | '捌' => 8,
        '九' | '玖' => 9,
        _ => return None,
    })
}

fn scale(c: char) -> Option<u32> {
    Some(match c {
        '十' | '拾' => 10,
        '百' | '佰' => 100,
        '千' | '仟' => 1000,
        '廿' => 20,
        '卅' => 30,
        _ => return None,
    })
}

/// Digits with units in falling order.
fn with_units(chars: &[char]) -> Option<u32> {
    let (mut total, mut pending, mut below) = (0, None, u32::MAX);
    for &c in chars {
        if let Some(d) = digit(c) {
            if pending.is_some_and(|p| p != 0) {
                return None;
            }
            pending = Some(d);
            continue;
        }
        let unit = scale(c)?;
        let order = if unit < 100 { 10 } else { unit };
        if order >= below
            || (pending.is_none() && order != 10)
            || (pending.is_some() && matches!(unit, 20 | 30))
        {
            return None;
        }
        total += pending.take().unwrap_or(1).max(1) * unit;
        below = order;
    }
    Some(total + pending.unwrap_or(0)).filter(|&n| n <= NUMERAL_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        folded_chars(text).into_iter().collect()
    }

    #[test]
    fn folds_width_script_case_blanks_and_marks() {
        for (text, same) in [
            ("Ａ４区", "a4区"),
            ("請求農業機械化", "请求农业机械化"),
            ("中纪发〔2020〕5号", "中纪发(2020)5号"),
            ("中纪发［２０２０］５号", "中纪发【2020】5号"),
            ("“最后\n一公里”", "「最后一公里」"),
            ("二零二〇年", "二〇二零年"),
            ("公佈", "公布"),
        ] {
            assert_eq!(folded(text), folded(same));
        }
        assert_eq!(half_width('５'), '5');
        assert_eq!(half_width('　'), ' ');
    }

    /// The quick way for common marks is the way of all others.
    #[test]
    fn marks_fold_as_their_compatibility_form_does() {
        for c in ('\u{3001}'..='\u{3015}').chain('\u{FF01}'..='\u{FF5E}').chain('\u{2012}'..='\u{201F}') {
            let slow = c.nfkc().map(simplified).flat_map(char::to_lowercase);
            assert!(fold(c).eq(slow), "{c}");
        }
    }

    #[test]
    fn whole_texts_fold_as_their_characters_do() {
        let text: String = ('\0'..='\u{34FF}').chain('\u{4DF0}'..='\u{FFFF}').collect();
        let one_by_one: Vec<char> = text.chars().flat_map(fold).collect();
        let (chars, spaced) = fold_both(&text);
        assert!(chars.iter().copied().eq(one_by_one.iter().copied().filter_map(settle)));
        assert!(spaced.chars().eq(one_by_one.iter().map(|&c| if c.is_control() { ' ' } else { c })));
        assert_eq!(folded_chars(&text), chars);
        assert!(text.chars().all(|c| is_alphanumeric(c) == c.is_alphanumeric()));
    }

    #[test]
    fn folded_characters_know_their_bytes() {
        let text = "第２１條 A";
        let f = Folded::new(text);
        assert_eq!(f.chars().iter().collect::<String>(), "第21条a");
        assert_eq!(&text[f.bytes(1..3)], "２１");
        assert_eq!(&text[f.bytes(3..5)], "條 A");
        assert_eq!(f.bytes(4..4), 0..0);
        assert_eq!(f.bytes(4..99), 0..0);
    }

    #[test]
    fn numerals_go_both_ways() {
        for n in 0..=NUMERAL_MAX {
            assert_eq!(number_to_chinese(n).and_then(|t| chinese_to_number(&t)), Some(n));
        }
        for (text, n) in
            [("二十一", 21), ("十", 10), ("廿一", 21), ("二〇二〇", 2020), ("一百零五", 105), ("两千", 2000)]
        {
            assert_eq!(chinese_to_number(text), Some(n), "{text}");
        }
        for text in ["", "百", "一二十", "十百", "二一〇〇〇", "条", "二百三百"] {
            assert_eq!(chinese_to_number(text), None, "{text}");
        }
        assert_eq!(number_to_chinese(10_000), None);
    }

    #[test]
    fn article_numbers_are_one_in_every_spelling() {
        for text in ["第二十一条", "第21条", "第２１條"] {
            let found = find_numerals(&folded_chars(text));
            assert_eq!(found[0].canonical(), "第21条", "{text}");
        }
        assert_eq!(find_numerals(&folded_chars("第二十一条之一"))[0].canonical(), "第21条之1");
        assert_eq!(find_numerals(&folded_chars("二零二〇年"))[0].canonical(), "2020年");
        assert!(find_numerals(&folded_chars("三年内")).is_empty());
        let variants = numeral_variants(&folded_chars("条例第105条"));
        assert_eq!(variants, vec![folded_chars("条例第一百零五条")]);
        assert!(numeral_variants(&folded_chars("没有数字")).is_empty());
    }

    proptest! {
        #[test]
        fn folding_a_piece_gives_a_piece(text in ".{0,40}", from in 0usize..40, len in 0usize..40) {
            let piece: String = text.chars().skip(from).take(len).collect();
            prop_assert!(folded(&text).contains(&folded(&piece)));
            let f = Folded::new(&text);
            for i in 0..f.chars().len() {
                prop_assert!(text.get(f.bytes(i..i + 1)).is_some());
            }
        }
    }
}
