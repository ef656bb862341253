//! Whatever is typed: searches of every make against an invented corpus, none of which fails, leaves its scope or
//! counts what it does not show. `JICENG_CAMPAIGN` makes corpus and run larger; the slowest is printed.
#![cfg(test)]

use std::time::{Duration, Instant};

use super::tests::{doc, index};
use super::{Doc, Order, Request, Scope, Units, highlight, occurs_in, snippet, Words};

/// Fixed by its start (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

const WORDS: &[&str] = &[
    "低保", "补贴", "村支书", "石桥村", "第二十一条", "第21条", "第２１条", "水渠", "征地", "2020年6月", "2020-06", "阙知晦", "欧阳",
    "老赖", "工资拖欠", "澜纪办〔2020〕11号", "澜纪办[2020]11号", "XF-0007", "gb50268", "Ａ４區", "織雲社區", "𠮷田", "𪚥", "的", "了", "一",
    "零", "廿", "亿", "信访工作条例", "《样例法》", "三百六十五", "9999999999999999999999", "zs", "zhangsan", "e\u{301}", "ﷺ", "👩‍👩‍👧",
];

const MARKS: &[&str] = &[
    " ", "　", "\"", "“", "”", "-", "－", "—", "(", ")", "（", "）", "或", " 或 ", " OR ", " | ", "标题:", "标题：", "编号:",
    "文号:", "姓名:", "单位:", "日期:", "日期:>=", "日期:..", "..", "至", "到", "：", ":", "*", "^9", "~2", "\\", "[", "]",
    "{", "}", "TO", "NOT ", "AND ", "+", "/", "\u{0}", "\u{200B}", "\u{202E}", "\u{FEFF}", "\u{FFFF}", "\r\n", "\t",
    "。", "，", "第", "条", "之", "号", "年", "月", "日", "0", "-0", "%", "'", "--",
];

fn corpus(draw: &mut Draw, rows: usize) -> Vec<Doc> {
    let text = |draw: &mut Draw, parts: usize| -> String {
        (0..parts).map(|_| if draw.below(4) == 0 { draw.one(MARKS) } else { draw.one(WORDS) }).collect()
    };
    (1..=rows as u64)
        .map(|id| {
            let (title, body) = (text(draw, 4), text(draw, 40));
            let (kind, unit) = (1 + (id % 3) as u8, 7 + id % 4);
            let day = 20_000_000 + draw.below(26) as i32 * 10_000 + draw.below(13) as i32 * 100 + draw.below(32) as i32;
            Doc { kind, unit, day, label: (id % 4) as u8, names: text(draw, 2), ..doc(id, &title, &body) }
        })
        .collect()
}

/// Something a person, a paste or an attacker may put into the box.
fn typed(draw: &mut Draw, rows: &[Doc]) -> String {
    let any = |draw: &mut Draw| char::from_u32(draw.below(0x11_0000) as u32).unwrap_or('\u{FFFD}');
    match draw.below(8) {
        0 => {
            let body: Vec<char> = rows[draw.below(rows.len())].body.chars().collect();
            let from = draw.below(body.len());
            body[from..].iter().take(2 + draw.below(12)).collect()
        }
        1 => (0..draw.below(40)).map(|_| any(draw)).collect(),
        2 => draw.one(WORDS).repeat(1 + draw.below(400)),
        3 => draw.one(MARKS).repeat(1 + draw.below(2000)),
        4 => format!("{}{}", draw.one(MARKS), draw.one(WORDS)),
        5 => {
            let mut chars: Vec<char> = rows[draw.below(rows.len())].title.chars().collect();
            let at = draw.below(chars.len());
            chars[at] = any(draw);
            chars.into_iter().collect()
        }
        _ => {
            let parts = 1 + draw.below(30);
            (0..parts).map(|_| if draw.below(2) == 0 { draw.one(MARKS) } else { draw.one(WORDS) }).collect()
        }
    }
}

fn campaign() -> usize {
    std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[test]
fn whatever_is_typed_is_answered_within_its_scope() {
    let mut draw = Draw(20_261_201);
    let rows = corpus(&mut draw, 300 * campaign().min(100));
    let (_dir, index) = index(&rows);
    let mut slowest = (Duration::ZERO, String::new());
    for n in 0..600 * campaign() {
        let text = typed(&mut draw, &rows);
        let scope = Scope::nothing().with(1, Units::All).with(2, Units::Only(vec![7, 9])).under(2);
        let order = [Order::Relevance, Order::Newest, Order::Oldest][draw.below(3)];
        let request = Request {
            order,
            offset: if n % 50 == 0 { usize::MAX } else { draw.below(3) },
            limit: 10,
            from: if n % 7 == 0 { 20_050_000 } else { 0 },
            named_units: if n % 5 == 0 { vec![7, 8] } else { Vec::new() },
            text,
            ..Request::default()
        };
        let fresh = if n % 9 == 0 { &rows[..1] } else { &[] };
        let started = Instant::now();
        let found = index.search(&scope, &request, fresh).unwrap();
        let offers = index.suggest(&scope, &request, fresh).unwrap();
        let took = started.elapsed();
        if took > slowest.0 {
            slowest = (took, request.text.clone());
        }
        for hit in found.hits.iter().chain(&found.alike).chain(&offers) {
            let row = &rows[hit.id as usize - 1];
            let may = row.kind == 1 || row.kind == 2 && [7, 9].contains(&row.unit);
            assert!(may && row.label <= 2, "{:?} found row {}", request.text, row.id);
        }
        assert_eq!(found.kinds.iter().map(|k| k.1).sum::<u64>(), found.total, "{:?}", request.text);
        assert_eq!(found.units.iter().map(|u| u.1).sum::<u64>(), found.total, "{:?}", request.text);
        marked(&request.text, &rows[draw.below(rows.len())]);
    }
    println!("slowest of {}: {:?} for {:?}", 600 * campaign(), slowest.0, slowest.1);
}

/// Marks never change a text, whatever was looked for.
fn marked(query: &str, row: &Doc) {
    let whole = |text: &str| highlight(text, query).into_iter().map(|p| p.text).collect::<String>();
    assert_eq!(whole(&row.body), row.body, "{query:?}");
    assert_eq!(whole(query), query, "{query:?}");
    let shown: String = snippet(&row.body, query, 60).into_iter().map(|p| p.text).collect();
    assert!(shown.chars().count() <= 62, "{query:?}: {shown:?}");
    assert!(occurs_in(&row.body, query).iter().all(|word| !word.is_empty()), "{query:?}");
    Words::default().terms_in(query);
}
