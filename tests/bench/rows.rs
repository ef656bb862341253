//! Rows of an index as large as is wanted, the same every time: titles and sentences of real petitions and articles,
//! put together anew, with names, units, states and days drawn.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use jiceng::search::{Doc, Scope, Units};
use serde_json::Value;

/// Units of the county, kinds of rows, states of each.
const UNITS: u64 = 60;
const KINDS: u64 = 6;
const STATES: u64 = 7;
/// One row in so many is an article, or a piece of a regulation.
const ARTICLES: u64 = 8;
/// Characters of a text: at least these, up to so many more, as those of petitions are spread.
const CHARS: u64 = 60;
const CHARS_MORE: f64 = 440.0;

const SURNAMES: &str = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪\
    陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武";
const GIVEN: &str = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂华建国志文玉梅红春生金福海山东林波辉斌宁晨阳欣怡思佳俊浩宇轩子涵雨桐梓萱一诺嘉琪晓光永康德庆安邦世昌";

/// Numbers that look drawn and are the same every time.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// What rows are made of.
pub(crate) struct Rows {
    titles: Vec<String>,
    /// Sentences of petitions, in their order.
    said: Vec<String>,
    articles: Vec<String>,
    /// Questions as citizens ask them.
    pub questions: Vec<String>,
    surnames: Vec<char>,
    given: Vec<char>,
}

impl Rows {
    /// Reads the real material; `None` where it is not here.
    pub(crate) fn read() -> Option<Self> {
        let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
        let dir = std::env::var_os("JICENG_SHARED_DATA").map_or_else(beside, PathBuf::from);
        let open = |name: &str| File::open(dir.join(name)).ok();
        let packed = |name: &str| open(name).map(|f| lines(flate2::read::GzDecoder::new(f)));
        let mut rows = Self {
            titles: Vec::new(),
            said: Vec::new(),
            articles: Vec::new(),
            questions: Vec::new(),
            surnames: SURNAMES.chars().collect(),
            given: GIVEN.chars().collect(),
        };
        for row in packed("knownitem/petitions.jsonl.gz")? {
            rows.titles.push(text(&row, "title"));
            rows.said.extend(text(&row, "text").split_inclusive(['。', '！', '？', '\n']).map(str::to_owned));
        }
        for row in packed("knownitem/regulations.jsonl.gz")? {
            rows.articles.extend(text(&row, "text").lines().filter(|l| l.starts_with('第')).map(str::to_owned));
        }
        rows.questions = lines(open("statutes/queries.jsonl")?).iter().map(|row| text(row, "text")).collect();
        Some(rows)
    }

    /// The row of this number, from 1.
    pub(crate) fn row(&self, n: u64) -> Doc {
        let mut draw = Draw::new(n);
        (0..4).for_each(|_| {
            draw.below(2);
        });
        let name = self.name(&mut draw);
        let article = draw.below(ARTICLES) == 0;
        let wanted = CHARS + ((draw.below(1_000) as f64 / 1_000.0).powi(2) * CHARS_MORE) as u64;
        let pool = if article { &self.articles } else { &self.said };
        let mut body = String::new();
        let mut chars = 0;
        // Runs of neighbours, so that what is said hangs together.
        while chars < wanted {
            let from = draw.below(pool.len() as u64) as usize;
            for sentence in pool.iter().skip(from).take(3) {
                chars += sentence.chars().count() as u64;
                body.push_str(sentence);
            }
            body.push_str(&format!("{}年{}月", 2014 + draw.below(12), 1 + draw.below(12)));
        }
        let body: String = body.chars().take(wanted as usize + 40).collect();
        let title = format!("{}{}", if article { "" } else { &name }, draw.of(&self.titles));
        let (unit, kind) = (1 + draw.below(UNITS), if article { 3 } else { 4 + draw.below(KINDS - 1) as u8 });
        let day = (2014 + draw.below(12)) * 10_000 + (1 + draw.below(12)) * 100 + 1 + draw.below(28);
        Doc {
            id: n,
            kind,
            unit,
            state: draw.below(STATES) as u8,
            day: i32::try_from(day).unwrap(),
            boost: 1.0,
            number: format!("澜信{}-{n:06}", day / 10_000),
            title,
            names: name,
            body,
            ..Doc::default()
        }
    }

    fn name(&self, draw: &mut Draw) -> String {
        let length = if draw.below(4) == 0 { 1 } else { 2 };
        let mut name = draw.of(&self.surnames).to_string();
        (0..length).for_each(|_| name.push(*draw.of(&self.given)));
        name
    }
}

/// Somebody who sees most kinds of half the units.
pub(crate) fn scope() -> Scope {
    let some = || Units::Only((1..=UNITS / 2).collect());
    (4..=8).fold(Scope::nothing().with(3, Units::All), |scope, kind| scope.with(kind, some()))
}

fn lines(input: impl std::io::Read) -> Vec<Value> {
    BufReader::new(input).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_default().to_owned()
}
