//! How characters sound and what they look like (同音、近音、形近): names that may be the one that was meant, and
//! names typed by their letters.
//!
//! What must hold: sounds are a field of their own; what somebody looked for by its characters is never found by
//! its sound among the answers, only beside them.

use std::collections::HashMap;
use std::sync::OnceLock;

use pinyin::ToPinyin;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::base::text::folded_chars;

use super::Doc;
use super::analyzer::bare;

/// Name of the tokenizer of the field of sounds.
pub(super) const SOUNDS: &str = "jiceng-sounds";

/// Longest name that is offered by its letters, in characters.
const LETTERED_CHARS_MAX: usize = 16;

/// Longest beginning that is kept, in characters.
const START_CHARS_MAX: usize = 32;

/// Longest name of a person, in characters.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=4;

/// The family names of nearly everybody, by the register of names of 2020 and the usual double ones.
const FAMILY: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈\
    姚卢姜崔钟谭陆汪范金石廖贾夏韦付傅方白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤欧尚温康施文牛樊葛\
    邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申耿关兰焦俞左柳甘祝包宁符阮纪舒梅童凌毕单裴霍成苗谷曲盛冉翁蓝骆路游靳辛管柴蒙鲍华喻祁\
    蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁\
    沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝阙上欧诸令皇端慕尉";

/// Characters that are taken for each other when they are read or typed by shape.
const SHAPES: &[&str] = &[
    "己已巳", "未末", "戊戌戍", "天夭", "日曰", "人入", "土士", "干千于", "刀刁力", "大太犬", "王玉主", "田由甲申电", "目且", "午牛",
    "贝见", "今令", "史吏", "免兔", "竞竟", "侯候", "冶治", "晴睛", "徙徒", "杨扬", "汤烫", "肖尚", "兰蓝", "付傅", "闫阎", "肖萧",
    "余佘", "丘邱", "刘浏", "林材", "朱未", "陈阵", "吴昊", "卢芦", "孙逊", "洪拱", "梅海", "薄簿", "辛幸", "亨享", "崇祟", "茶荼",
    "毫亳", "斌彬", "慧惠", "恒桓", "宏弘", "俊峻", "浩皓", "玲铃", "芬芳", "梁粱", "壁璧", "陕峡", "邹绉", "雷霍", "岳兵", "丁了",
    "晓哓", "洋详", "娜挪", "波披", "婷停", "炜伟", "琪淇", "楠南", "睿叡", "堃坤", "喆哲", "峰锋", "佳住", "往住", "州洲", "乌鸟",
];

/// The sound of a character as it is confused: without tone, curled and plain, n and ng as one.
fn sound(c: char) -> Option<String> {
    let plain = c.to_pinyin()?.plain();
    let (first, rest) = match plain.as_bytes() {
        [b'z' | b'c' | b's', b'h', ..] => (&plain[..1], &plain[2..]),
        _ => plain.split_at(plain.chars().next().map_or(0, char::len_utf8)),
    };
    let rest = rest.strip_suffix('g').filter(|r| r.ends_with('n')).unwrap_or(rest);
    Some(format!("{first}{rest}"))
}

/// The common characters that sound as `c` does.
pub(super) fn same(c: char) -> &'static [char] {
    static BY_SOUND: OnceLock<HashMap<String, Vec<char>>> = OnceLock::new();
    let table = BY_SOUND.get_or_init(|| {
        let mut table: HashMap<String, Vec<char>> = HashMap::new();
        for other in '\u{4E00}'..='\u{9FFF}' {
            // A traditional form is in no index.
            if folded_chars(other.encode_utf8(&mut [0; 4])) == [other]
                && let Some(sound) = sound(other)
            {
                table.entry(sound).or_default().push(other);
            }
        }
        table
    });
    sound(c).and_then(|s| table.get(&s)).map_or(&[], Vec::as_slice)
}

/// The sounds of neighbours, with the place of the first.
fn sound_pairs(chars: &[char]) -> Vec<(usize, String)> {
    let sounds: Vec<Option<String>> = chars.iter().map(|c| sound(*c)).collect();
    let pair = |(at, w): (usize, &[Option<String>])| match w {
        [Some(a), Some(b)] => Some((at, format!("{a} {b}"))),
        _ => None,
    };
    sounds.windows(2).enumerate().filter_map(pair).collect()
}

/// The sounds of a text that may be the name of a person, as a phrase; empty for any other.
pub(super) fn name_sounds(chars: &[char]) -> Vec<(usize, String)> {
    let named = NAME_CHARS.contains(&chars.len()) && chars.first().is_some_and(is_family);
    if named && chars.iter().all(|c| c.to_pinyin().is_some()) { sound_pairs(chars) } else { Vec::new() }
}

/// A family name, or one that sounds or looks like it.
fn is_family(first: &char) -> bool {
    FAMILY.contains(*first)
        || SHAPES.iter().any(|s| s.contains(*first) && s.chars().any(|c| FAMILY.contains(c)))
        || sound(*first).is_some_and(|s| FAMILY.chars().any(|f| sound(f).is_some_and(|f| f == s)))
}

/// The spellings of a name in which one character is another of its shape.
pub(super) fn shapes(chars: &[char]) -> Vec<Vec<char>> {
    let mut all = Vec::new();
    for (at, c) in chars.iter().enumerate() {
        for other in SHAPES.iter().filter(|s| s.contains(*c)).flat_map(|s| s.chars()).filter(|o| o != c) {
            let mut way = chars.to_vec();
            way[at] = other;
            all.push(way);
        }
    }
    all
}

/// What is offered while somebody types: the title, the numbers and the names of a row, each as it is written, by its
/// letters, and by the first of them. An article is found through its regulation.
pub(super) fn starts(doc: &Doc) -> Vec<String> {
    if doc.title.starts_with('《') {
        return Vec::new();
    }
    let texts = [doc.title.as_str()].into_iter().chain(doc.number.lines()).chain(names(&doc.names));
    let mut all: Vec<String> = texts.filter_map(ways).flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The single names of a field of names.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '；', '、', '，', ' '])
}

/// A text by its letters, by the first of them, and as it is written; `None` where there is too little to begin.
fn ways(text: &str) -> Option<[String; 3]> {
    let chars: Vec<char> = bare(text).chars().take(START_CHARS_MAX).collect();
    let letters = |first: bool| -> String {
        let of = |c: &char| match c.to_pinyin() {
            Some(p) if first => p.first_letter().to_owned(),
            Some(p) => p.plain().to_owned(),
            None => c.to_string(),
        };
        chars.iter().take(LETTERED_CHARS_MAX).map(of).collect()
    };
    (chars.len() > 1).then(|| [letters(false), letters(true), chars.iter().collect()])
}

/// The text begins with what was typed, in one of its ways.
pub(super) fn begins(text: &str, typed: &str) -> bool {
    let start = bare(typed);
    !start.is_empty() && ways(text).is_some_and(|ways| ways.iter().any(|way| way.starts_with(&start)))
}

/// The sounds of every two neighbours; the position is the place of the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Sounds;

/// The stream of [`Sounds`].
#[derive(Debug)]
pub(super) struct SoundStream {
    pairs: std::vec::IntoIter<(usize, String)>,
    token: Token,
}

impl Tokenizer for Sounds {
    type TokenStream<'a> = SoundStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SoundStream {
        SoundStream { pairs: sound_pairs(&folded_chars(text)).into_iter(), token: Token::default() }
    }
}

impl TokenStream for SoundStream {
    fn advance(&mut self) -> bool {
        let Some((at, text)) = self.pairs.next() else { return false };
        self.token.position = at;
        self.token.text = text;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sound_alike_whatever_the_tone_and_the_tongue() {
        let of = |text: &str| name_sounds(&folded_chars(text));
        assert_eq!(of("张三"), of("章山"));
        assert_eq!(of("陈静"), of("程进"));
        assert_ne!(of("张三"), of("李三"));
        assert!(of("的确").is_empty() && of("张").is_empty() && of("张3").is_empty());
        assert!(shapes(&['杨', '未']).contains(&vec!['扬', '未']));
    }

    #[test]
    fn rows_are_offered_by_characters_letters_and_first_letters() {
        let doc = Doc { title: "张三被举报".into(), number: "信〔2026〕1号".into(), ..Doc::default() };
        let all = starts(&doc);
        for start in ["张三被举报", "zhangsanbeijubao", "zsbjb", "信20261号"] {
            assert!(all.iter().any(|a| a == start), "{start}: {all:?}");
        }
        assert!(starts(&Doc { title: "《监察法》第一条".into(), ..Doc::default() }).is_empty());
    }
}
