//! The cover of a regulation, from the lines before its body and the signature behind it: title, number (文号), who
//! issued it, how high it stands, when it was published and takes effect.
//!
//! Each is a proposal: found where Chinese documents have it, empty where they do not. The words of levels and states
//! are those of the regulations' vocabulary.

use super::mark::chinese_or_arabic;
use super::{Article, Line, Statute};
use crate::base::Day;
use crate::base::text::{chinese_to_number, half_width};

/// Longest line of a title, in characters.
const TITLE_CHARS: usize = 100;
/// Most lines of a title.
const TITLE_LINES: usize = 5;
/// Longest name of an office, in characters.
const OFFICE_CHARS: usize = 40;
/// Lines at the start among which title and notes stand.
const HEAD_LINES: usize = 300;
/// Articles at the end that are asked for the day of effect.
const LAST_ARTICLES: usize = 6;

/// How titles of regulations end.
const TITLE_ENDS: &[&str] = &[
    "法",
    "条例",
    "规定",
    "办法",
    "规则",
    "细则",
    "准则",
    "决定",
    "决议",
    "意见",
    "通知",
    "通报",
    "解释",
    "批复",
    "公告",
    "方案",
    "制度",
    "规程",
    "章程",
    "纲要",
    "规范",
    "标准",
    "答复",
    "安排",
    "守则",
    "指引",
    "指南",
    "要点",
    "计划",
    "规划",
    "公约",
    "修正案",
    "函",
    "清单",
    "手册",
    "党章",
    "要求",
    "措施",
    "机制",
    "流程",
    "问题解答",
];

/// How names of offices end.
const OFFICE_ENDS: &[&str] = &[
    "委员会",
    "办公室",
    "办公厅",
    "人民政府",
    "政府",
    "法院",
    "检察院",
    "党委",
    "纪委",
    "监委",
    "县委",
    "市委",
    "省委",
    "区委",
    "局",
    "部",
    "厅",
    "署",
    "院",
    "会",
    "中心",
    "党组",
    "小组",
    "国务院",
    "中共中央",
    "组织部",
    "委",
];

/// Builds the statute.
pub(super) fn fill(head: &[Line], tail: &[Line], articles: Vec<Article>) -> Statute {
    let mut statute = Statute { articles, ..Statute::default() };
    let mut rest: Vec<&Line> = Vec::new();
    let mut masthead = String::new();
    for (at, line) in head.iter().enumerate() {
        let after_order = at > 0 && head[at - 1].text.ends_with('令') && is_order_number(&line.text);
        if after_order {
            statute.number = compact(&format!("{}{}", head[at - 1].text, line.text));
            masthead.clear();
        } else if statute.number.is_empty() && at < 30 && own_number(&line.text).is_some() {
            statute.number = own_number(&line.text).unwrap_or_default();
            // 签发人 beside the number is text.
            if compact(&line.text).chars().count() > statute.number.chars().count() + 2 {
                rest.push(line);
            }
        } else if masthead.is_empty() && at < 12 && is_masthead(&line.text) {
            masthead = compact(line.text.trim_end_matches("文件"));
        } else if !is_secrecy(&line.text) {
            rest.push(line);
        }
    }
    let title = title_lines(&rest[..rest.len().min(HEAD_LINES)]);
    let joined: Vec<&str> = rest[title.clone()].iter().map(|l| l.text.as_str()).collect();
    statute.title = bare_title(&joined);
    let kept = rest.iter().enumerate().filter(|(at, _)| !title.contains(at)).map(|(_, l)| l.text.as_str());
    let all: Vec<&str> = kept.chain(tail.iter().map(|l| l.text.as_str())).collect();
    statute.preamble = all.join("\n");
    let far = HEAD_LINES..all.len() - tail.len();
    let near = all.iter().enumerate().filter(|(at, _)| !far.contains(at)).map(|(_, l)| *l);
    let notes: Vec<&str> = near.filter(|l| is_note(l)).collect();
    if statute.number.is_empty() {
        statute.number = notes.iter().rev().find_map(|l| number_in(l)).unwrap_or_default();
    }
    dates(&mut statute, &notes, tail);
    statute.issuer = issuer(&statute, &masthead, &notes, tail);
    statute.level = level(&statute, &notes).to_owned();
    statute.status = status(&statute.title, &notes).to_owned();
    statute
}

/// Without blanks between ideographs; Latin words keep theirs.
fn compact(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let latin = |at: usize| chars.get(at).is_some_and(char::is_ascii_alphanumeric);
    let kept = chars
        .iter()
        .enumerate()
        .filter(|(at, c)| !c.is_whitespace() || (*at > 0 && latin(at - 1) && latin(at + 1)));
    kept.map(|(_, c)| *c).collect()
}

/// The lines of the title, as a range of the lines given.
fn title_lines(lines: &[&Line]) -> std::ops::Range<usize> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        match title_run(&lines[at..]) {
            Some(n) => {
                runs.push(at..at + n);
                at += n;
            }
            None => at += 1,
        }
    }
    let words =
        |run: &std::ops::Range<usize>| lines[run.clone()].iter().map(|l| l.text.as_str()).collect::<String>();
    if let Some(first) = runs.first() {
        // 关于印发《…》的通知 carries the regulation whose name stands again above its first article.
        let carries =
            ["印发", "发布", "公布", "颁布", "转发", "批转"].iter().any(|w| words(first).contains(w));
        let carried = runs.iter().rev().find(|r| {
            let name = bare_title(&lines[(*r).clone()].iter().map(|l| l.text.as_str()).collect::<Vec<_>>());
            carries && name.chars().count() > 4 && compact(&words(first)).contains(trim_marks(&name))
        });
        return carried.unwrap_or(first).clone();
    }
    let plain = lines.iter().position(|l| is_title_line(&l.text));
    plain.filter(|at| *at < 3).map_or(0..0, |at| at..at + 1)
}

/// A name without （试行） and the like.
fn trim_marks(name: &str) -> &str {
    name.split(['（', '(']).next().unwrap_or(name)
}

/// How many lines from the first make a title that ends as titles end.
fn title_run(lines: &[&Line]) -> Option<usize> {
    let mut whole = String::new();
    for (n, line) in lines.iter().take(TITLE_LINES).enumerate() {
        if !is_title_line(&line.text) || line.heading != lines[0].heading && n > 0 {
            return None;
        }
        whole += &line.text;
        let next = lines.get(n + 1).map(|l| l.text.as_str());
        let marked = next.is_some_and(is_version_mark);
        if ends_title(&whole) {
            // 关于……暂行条例 / 有关问题的通知: the second line is no title of its own.
            let goes_on =
                next.is_some_and(|t| t.starts_with("有关") || t.starts_with('的')) && n + 1 < TITLE_LINES;
            if !goes_on || !lines.get(n + 1).is_some_and(|l| is_title_line(&l.text) && ends_title(&l.text)) {
                return Some(n + 1 + usize::from(marked));
            }
        }
    }
    None
}

fn is_title_line(text: &str) -> bool {
    let ends = text.ends_with(['。', '；', '：', '，', '、', ';', ':', ',', '”']);
    let note = text.starts_with(['（', '(', '〔', '-', '—', '|']) || is_note(text) || is_date_line(text);
    !ends && !note && !text.contains('。') && text.chars().count() <= TITLE_CHARS
}

fn ends_title(text: &str) -> bool {
    let text = compact(text);
    let mut text = text.as_str();
    while let Some(open) = text.rfind(['（', '(', '〔']).filter(|_| text.ends_with(['）', ')', '〕'])) {
        text = &text[..open];
    }
    let text = text.trim_end_matches(['》', '*', '＊']);
    TITLE_ENDS.iter().any(|w| text.ends_with(w)) && text.chars().count() > 2
}

/// （试行）, （2018年修正）: part of the title though on a line of its own.
fn is_version_mark(text: &str) -> bool {
    let words = ["试行", "暂行", "修订", "修正", "草案", "节录", "节选"].iter().any(|w| text.contains(w));
    let closed = text.starts_with(['（', '(']) && text.ends_with(['）', ')']);
    closed && words && !text.contains("通过") && text.chars().count() <= 16
}

fn bare_title(lines: &[&str]) -> String {
    let title = compact(&lines.concat());
    let inner = title.strip_prefix('《').and_then(|t| t.strip_suffix('》'));
    inner.filter(|t| !t.contains(['《', '》'])).unwrap_or(&title).to_owned()
}

fn is_masthead(text: &str) -> bool {
    let text = compact(text);
    let short = text.chars().count() <= OFFICE_CHARS && !text.contains(['《', '。', '：']);
    short && (text.ends_with("文件") && text != "文件" || text.ends_with('令') && text.chars().count() > 3)
}

/// 机密, 特急, copy numbers: of the paper, not of the regulation.
fn is_secrecy(text: &str) -> bool {
    let text = compact(text);
    let short = text.chars().count() <= 10;
    let numbers = text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit());
    let words = ["绝密", "机密", "秘密", "特急", "加急", "平急"].iter().any(|w| text.starts_with(w));
    short && (words || numbers)
}

/// A line that tells of the regulation instead of being it.
fn is_note(text: &str) -> bool {
    const EVENTS: &[&str] =
        &["通过", "公布", "发布", "印发", "颁布", "批准", "修订", "修正", "施行", "废止", "失效"];
    let bracketed = text.starts_with(['（', '(']);
    let dated = days(text).first().is_some_and(|d| d.start < 12);
    (bracketed || dated || text.chars().count() < 60)
        && EVENTS.iter().any(|w| text.contains(w))
        && !text.contains("《》")
        && (bracketed || dated || !days(text).is_empty() || number_in(text).is_some())
        || text.contains("已废止")
        || text.contains("已失效")
}

/// Nothing but a date.
pub(super) fn is_date_line(text: &str) -> bool {
    let bare = text.trim_matches(|c: char| "（）()".contains(c) || c.is_whitespace());
    days(bare).first().is_some_and(|d| bare[..d.start].trim().is_empty() && bare[d.end..].trim().is_empty())
}

/// The name of an office alone.
pub(super) fn is_office(text: &str) -> bool {
    let text = compact(text);
    let plain = !text.contains(['。', '；', '：', '，', '《', '“']) && text.chars().count() <= OFFICE_CHARS;
    plain && OFFICE_ENDS.iter().any(|w| text.ends_with(w))
}

/// A line that closes a paper: its date, its copies, its printing.
pub(super) fn is_closing(text: &str) -> bool {
    let bare = text.trim_start_matches(['（', '(']);
    let words =
        ["抄送", "抄报", "主送", "分送", "此件公开", "此件依申请", "此件不公开", "此件发至", "联系人："];
    let printed = text.ends_with("印发") && !days(text).is_empty() && text.chars().count() <= 50;
    is_date_line(text) || words.iter().any(|w| bare.starts_with(w)) || printed
}

/// A date in a text, and where it stands.
struct Found {
    start: usize,
    end: usize,
    day: Day,
}

/// The dates of a text: 2020年7月1日, 二〇二〇年七月一日, also without the day.
fn days(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('年') {
        let digits: Vec<(usize, char)> =
            text[..at].char_indices().rev().filter(|(_, c)| !c.is_whitespace()).take(4).collect();
        let year: String = digits.iter().rev().map(|(_, c)| zero(*c)).collect();
        let Some(year) = (digits.len() == 4).then(|| chinese_or_arabic(&year)).flatten() else { continue };
        let start = digits.last().map_or(0, |d| d.0);
        let mut end = at + '年'.len_utf8();
        let (mut month, mut day) = (0, 0);
        if let Some((value, next)) = counted(text, end, &['月']) {
            (month, end) = (value, next);
            if let Some((value, next)) = counted(text, end, &['日', '号']) {
                (day, end) = (value, next);
            }
        }
        let number = i32::try_from(year * 10_000 + month * 100 + day).unwrap_or(0);
        if let Some(day) = Day::from_number(number).filter(|d| !d.is_unknown()) {
            found.push(Found { start, end, day });
        }
    }
    found
}

/// A number of one or two digits with its unit.
fn counted(text: &str, from: usize, units: &[char]) -> Option<(u32, usize)> {
    let (at, _) = text[from..].char_indices().take(8).find(|(_, c)| units.contains(c))?;
    let digits: String = text[from..from + at].chars().filter(|c| !c.is_whitespace()).map(zero).collect();
    let end = from + at + text[from + at..].chars().next().map_or(0, char::len_utf8);
    Some((chinese_or_arabic(&digits).filter(|n| *n < 32)?, end))
}

/// One form of the many circles that stand for zero; digits in half width.
fn zero(c: char) -> char {
    match c {
        '○' | '◯' | 'О' | 'Ο' | '零' | 'Ｏ' | 'O' => '〇',
        c => half_width(c),
    }
}

fn dates(statute: &mut Statute, notes: &[&str], tail: &[Line]) {
    let mut published = Day::default();
    for note in notes {
        let found = days(note);
        for (at, one) in found.iter().enumerate() {
            let until = found.get(at + 1).map_or(note.len(), |next| next.start);
            let event = note
                .get(one.end..until)
                .unwrap_or_default()
                .trim_start_matches(['）', ')', '，', ' ', '\u{3000}']);
            if is_effect(event) {
                statute.effective = one.day.to_string();
            } else if is_tailed(tail, note) == is_closing(note) {
                published = published.max(one.day);
            }
        }
    }
    if published.is_unknown() {
        let signed = tail.iter().rev().flat_map(|l| days(&l.text)).map(|d| d.day).next();
        published = signed.unwrap_or_default();
    }
    statute.published = published.to_string();
    let last = statute.articles.iter().rev().take(LAST_ARTICLES).map(|a| a.text.as_str());
    let stated = last.chain(statute.preamble.lines()).find_map(effect_in);
    if let Some(day) = stated {
        statute.effective = day.map_or(statute.published.clone(), |d| d.to_string());
    }
}

/// Notes of the signature count when they tell of the printing.
fn is_tailed(tail: &[Line], note: &str) -> bool {
    tail.iter().any(|l| l.text == note)
}

fn is_effect(event: &str) -> bool {
    ["起施行", "施行", "起实施", "实施", "起执行", "起生效", "正式施行"].iter().any(|w| event.starts_with(w))
}

/// The day that 自…起施行 names; the inner none stands for the day of publication.
fn effect_in(text: &str) -> Option<Option<Day>> {
    if let Some(found) = days(text).iter().find(|d| is_effect(text[d.end..].trim_start())) {
        return Some(Some(found.day));
    }
    const SAME: &[&str] = &["公布之日", "发布之日", "印发之日", "颁布之日", "下发之日", "通过之日"];
    let same = SAME.iter().filter_map(|w| text.find(w).map(|at| &text[at + w.len()..]));
    same.map(str::trim_start).any(is_effect).then_some(None)
}

/// 第五十七号, 第 3 号 alone.
fn is_order_number(text: &str) -> bool {
    let text = compact(text);
    let text = text.trim_matches(['（', '）', '(', ')']);
    let digits = text.strip_prefix('第').and_then(|t| t.strip_suffix('号'));
    digits.is_some_and(|d| chinese_or_arabic(&d.chars().map(zero).collect::<String>()).is_some())
}

/// The number of a line that is little more than it.
fn own_number(line: &str) -> Option<String> {
    let number = number_in(line)?;
    let short = compact(line).chars().count() <= number.chars().count() + 16;
    let first = compact(line).chars().next() == number.chars().next();
    let sentence = line.ends_with(['。', '；', '：'])
        || line.contains('《')
        || line.contains("印发")
        || line.contains("公布");
    (short && !sentence && (first || line.starts_with(['（', '(']) && days(line).is_empty()))
        .then_some(number)
}

/// 牟纪办〔2020〕11号 with brackets of any kind, or 国务院令第728号; the last one of the line.
fn number_in(line: &str) -> Option<String> {
    let line = compact(line);
    let chars: Vec<char> = line.chars().map(half_width).collect();
    let bracketed = (0..chars.len()).rev().find_map(|at| bracketed_number(&chars, at));
    bracketed.or_else(|| (0..chars.len()).rev().find_map(|at| order_number(&chars, at)))
}

/// The number whose bracket opens at `at`.
fn bracketed_number(chars: &[char], at: usize) -> Option<String> {
    if !"〔[(【﹝〖".contains(chars[at]) {
        return None;
    }
    let year: String = chars.get(at + 1..at + 5)?.iter().collect();
    let closes = chars.get(at + 5).is_some_and(|c| "〕])】﹞〗".contains(*c));
    let known = year.parse::<u32>().is_ok_and(|y| (1900..2200).contains(&y));
    let from = at + 6 + usize::from(chars.get(at + 6) == Some(&'第'));
    let digits: String = chars.get(from..)?.iter().take_while(|c| c.is_ascii_digit()).collect();
    let ends = chars.get(from + digits.len()) == Some(&'号');
    let word = word_before(chars, at);
    let whole = closes && known && ends && !digits.is_empty() && !word.is_empty();
    whole.then(|| format!("{word}〔{year}〕{digits}号"))
}

/// The order (令) at `at`.
fn order_number(chars: &[char], at: usize) -> Option<String> {
    if chars[at] != '令' {
        return None;
    }
    let from = at + 1 + usize::from(chars.get(at + 1) == Some(&'('));
    let from = from + usize::from(chars.get(from) == Some(&'第'));
    let digits: String = chars.get(from..)?.iter().take_while(|c| **c != '号').take(8).collect();
    let known = if digits.bytes().all(|b| b.is_ascii_digit()) {
        digits.parse().ok()
    } else {
        chinese_to_number(&digits)
    };
    let word = word_before(chars, at);
    let ends = chars.get(from + digits.chars().count()) == Some(&'号');
    (known.is_some() && ends && !word.is_empty()).then(|| format!("{word}令第{digits}号"))
}

/// The ideographs that end before `at`, without the end of a date.
fn word_before(chars: &[char], at: usize) -> String {
    let belongs = |c: &char| c.is_alphabetic() && !"日月年".contains(*c);
    let word: Vec<char> =
        chars[..at].iter().rev().take_while(|c| belongs(c)).take(OFFICE_CHARS).copied().collect();
    word.iter().rev().collect()
}

fn issuer(statute: &Statute, masthead: &str, notes: &[&str], tail: &[Line]) -> String {
    let prefix = statute.title.split_once("关于").map(|(p, _)| p).filter(|p| is_office(p));
    if let Some(prefix) = prefix {
        return prefix.to_owned();
    }
    if let Some(office) = masthead.strip_suffix('令').or(Some(masthead)).filter(|m| !m.is_empty()) {
        return office.to_owned();
    }
    let signed = tail.iter().find(|l| is_office(&l.text) && !is_closing(&l.text)).map(|l| compact(&l.text));
    let adopted = || notes.iter().rev().find_map(|n| adopted_by(n));
    let titled = || {
        ["中国共产党纪律检查机关", "监察机关"].iter().any(|w| statute.title.starts_with(w)).then(String::new)
    };
    signed.or_else(adopted).or_else(titled).unwrap_or_default()
}

/// Who adopted or published it, by the words of a note.
fn adopted_by(note: &str) -> Option<String> {
    let order = number_in(note).and_then(|n| n.split_once("令第").map(|(who, _)| who.to_owned()));
    if let Some(who) = order {
        let who = who.trim_start_matches("中华人民共和国").to_owned();
        return Some(if who == "主席" { congress(note).unwrap_or(who) } else { who });
    }
    let known = [
        "最高人民法院",
        "最高人民检察院",
        "国家监察委员会",
        "中央纪律检查委员会",
        "中共中央",
        "中央政治局",
        "国务院",
    ];
    let named: Vec<&str> = known.into_iter().filter(|w| note.contains(w)).collect();
    match (congress(note), named.as_slice()) {
        (Some(who), _) => Some(who),
        (None, []) => None,
        (None, ["最高人民法院", "最高人民检察院", ..]) => {
            Some("最高人民法院、最高人民检察院".to_owned())
        }
        (None, [first, ..]) => Some(if *first == "中央政治局" { "中共中央" } else { first }.to_owned()),
    }
}

/// 全国人民代表大会常务委员会, 某省人民代表大会: with the session left out.
fn congress(note: &str) -> Option<String> {
    let at = note.find("人民代表大会")?;
    let before = &note[..at];
    let place: String =
        before.chars().rev().take_while(|c| c.is_alphabetic() && !"日月年".contains(*c)).collect();
    let place: String = place.chars().rev().collect();
    let place =
        match place.find('第').and_then(|from| place[from..].find('届').map(|to| (from, from + to + 3))) {
            Some((from, to)) => format!("{}{}", &place[..from], &place[to..]),
            None => place,
        };
    let standing = note[at..].starts_with("人民代表大会常务委员会");
    let who = format!("{place}人民代表大会{}", if standing { "常务委员会" } else { "" });
    (!place.is_empty() && place.chars().count() < OFFICE_CHARS).then_some(who)
}

/// How high it stands, by its title and who issued it.
fn level(statute: &Statute, notes: &[&str]) -> &'static str {
    let (title, issuer) = (trim_marks(&statute.title), statute.issuer.as_str());
    let ends = |words: &[&str]| words.iter().any(|w| title.ends_with(w));
    let noted = |word: &str| notes.iter().any(|n| n.contains(word));
    let begins = |words: &[&str]| words.iter().any(|w| title.starts_with(w) || issuer.starts_with(w));
    let national = issuer.starts_with("全国人民代表大会");
    let local = issuer.contains("人民代表大会") && !national;
    let rules = ends(&["条例", "规定", "办法", "细则", "规则"]);
    let papers = ends(&["通知", "意见", "通报", "方案", "函", "要点", "答复", "计划"]);
    let court = begins(&["最高人民法院", "最高人民检察院"]);
    if title.starts_with("中国共产党章程") {
        "党章"
    } else if ends(&["宪法", "宪法修正案"]) {
        "宪法"
    } else if begins(&["国家监察委员会", "中华人民共和国监察法实施"]) && (rules || ends(&["决定"]))
    {
        "监察法规"
    } else if court || issuer.starts_with("最高人民") {
        "司法解释"
    } else if begins(&["中国共产党", "中共中央", "中央纪律检查委员会", "中央办公厅"]) && !papers
    {
        party(title)
    } else if local && rules {
        "地方性法规"
    } else if national
        || title.starts_with("中华人民共和国") && title.ends_with('法') && !title.ends_with("办法")
    {
        "法律"
    } else if rules && (issuer.starts_with("国务院") || noted("国务院令")) {
        "行政法规"
    } else if rules && issuer.ends_with("人民政府") && statute.number.contains('令') {
        "地方规章"
    } else if rules && statute.number.contains("令第") {
        "部门规章"
    } else if papers || statute.number.contains('〔') {
        "规范性文件"
    } else {
        ""
    }
}

/// The kind of a party regulation is the last word of its title.
fn party(title: &str) -> &'static str {
    let kinds = ["准则", "条例", "规定", "办法", "规则", "细则"];
    kinds.into_iter().find(|k| title.ends_with(k)).unwrap_or("规范性文件")
}

fn status(title: &str, notes: &[&str]) -> &'static str {
    let says = |words: &[&str]| {
        let own = |text: &str| words.iter().any(|w| text.contains(w));
        own(title) || notes.iter().any(|n| n.chars().count() < 40 && own(n))
    };
    if says(&[
        "已废止",
        "已失效",
        "（失效）",
        "(失效)",
        "【失效】",
        "（废止）",
        "(废止)",
        "【废止】",
        "全文废止",
    ]) {
        "已废止/失效"
    } else if says(&["已被修改", "已修改", "已被修订", "（已修订）"]) {
        "已被修改"
    } else {
        ""
    }
}
