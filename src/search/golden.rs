//! A golden set of searches over a small invented corpus: what each must find, and that it finds nothing else.
#![cfg(test)]

use super::tests::{ask, doc, everything, ids, index};
use super::{Doc, Request};

fn corpus() -> Vec<Doc> {
    let article = |id, no: &str, body: &str| Doc {
        kind: 3,
        ..doc(id, &format!("《中华人民共和国样例法》{no}"), body)
    };
    vec![
        Doc { names: "阙知晦".into(), number: "澜信2026-00001".into(), ..doc(1, "织云社区低保公示不全", "名单上少了三户") },
        Doc { unit: 8, day: 20_210_115, ..doc(2, "石桥村水渠没有通水", "水渠修了两年，A4区仍没有水") },
        Doc { number: "澜纪办〔2020〕11号".into(), day: 20_200_310, ..doc(3, "关于报备的通知", "各镇街于2020年6月前报备") },
        Doc { day: 20_191_231, ..doc(4, "𠮷田路的井盖", "井盖丢了，GB50268也没有照办") },
        article(5, "第二十一条", "受理机关应当在十五日内决定是否受理。"),
        article(6, "第二十二条", "依照本法第二十一条不予受理的，应当书面说明理由。"),
        Doc { names: "阙知辉".into(), ..doc(7, "低价出租门面", "村里的门面低价租给了亲戚") },
    ]
}

#[test]
fn each_search_finds_what_it_should_and_nothing_else() {
    let (_dir, index) = index(&corpus());
    for (text, wanted) in [
        // One, two, three and more characters, also across what a dictionary calls words.
        ("渠", &[2][..]),
        ("低保", &[1]),
        ("云社区", &[1]),
        ("社区低保公", &[1]),
        ("井盖丢了", &[4]),
        ("低", &[1, 7]),
        // Latin, digits and both, in any width and case.
        ("a4区", &[2]),
        ("Ａ４區", &[2]),
        ("gb50268", &[4]),
        ("0268", &[4]),
        // Beyond the first plane.
        ("𠮷田", &[4]),
        ("𠮷", &[4]),
        // Words, phrases, not, or.
        ("水渠 通水", &[2]),
        ("水渠 低保", &[]),
        ("\"没有通水\"", &[2]),
        ("低 -门面", &[1]),
        ("低保 或 水渠", &[1, 2]),
        ("井盖 OR 门面", &[4, 7]),
        ("井盖 | 水渠 -A4", &[4]),
        // Traditional script and names.
        ("織雲社區", &[1]),
        ("阙知晦", &[1]),
        ("阙知", &[1, 7]),
        // Narrowed.
        ("标题：低保", &[1]),
        ("标题:门面 低价", &[7]),
        ("标题:名单", &[]),
        ("姓名:阙知晦", &[1]),
        ("编号：澜信2026-00001", &[1]),
        ("文号:澜纪办[2020]11号", &[3]),
        ("文号：澜纪办(2020) 11号", &[3]),
        ("日期:2019", &[4]),
        ("日期:2020-01..2020-05 通知", &[3]),
        ("日期:2020年1月至5月", &[3]),
        ("日期:>=2021", &[2]),
        // Numbers and dates in every spelling.
        ("澜纪办〔2020〕11号", &[3]),
        ("2020年6月", &[3]),
        ("二〇二〇年6月", &[3]),
    ] {
        let found = index.search(&everything(), &ask(text), &[]).unwrap();
        let mut got = if found.exact { ids(&found) } else { Vec::new() };
        got.sort_unstable();
        assert_eq!(got, wanted, "{text}");
    }
}

#[test]
fn an_article_comes_first_by_its_address_and_above_those_that_cite_it() {
    let (_dir, index) = index(&corpus());
    for text in [
        "样例法第二十一条",
        "样例法 第21条",
        "样例法第２１条",
        "《样例法》21条",
        "中华人民共和国样例法第二十一条",
        "中華人民共和國樣例法第21條",
        "样例法第21条第一款",
    ] {
        let found = index.search(&everything(), &ask(text), &[]).unwrap();
        assert_eq!(ids(&found).first(), Some(&5), "{text}");
    }
}

#[test]
fn a_unit_is_asked_for_by_its_name() {
    let (_dir, index) = index(&corpus());
    let asked = |units: &[u64]| {
        let request = Request { named_units: units.to_vec(), ..ask("单位：石桥镇") };
        let found = index.search(&everything(), &request, &[]).unwrap();
        if found.exact { ids(&found) } else { Vec::new() }
    };
    assert_eq!(asked(&[8]), [2]);
    assert_eq!(asked(&[]), [0u64; 0]);
}

#[test]
fn everyday_words_find_the_terms_of_law() {
    let law = Doc { kind: 3, ..doc(1, "《样例法》第一条", "失信被执行人不得购买不动产以外的高消费。") };
    let other = Doc { kind: 3, ..doc(2, "《样例法》第二条", "本法所称机关，是指行政机关，能够坐下来协商。") };
    let (_dir, index) = index(&[other, law]);
    let found = index.search(&everything(), &ask("老赖能坐飞机吗？"), &[]).unwrap();
    assert_eq!((found.exact, found.hits[0].id), (false, 1));
}

#[test]
fn one_mistake_is_put_right_where_somebody_can_see_what_is_meant() {
    let (_dir, index) = index(&corpus());
    for (text, meant, first) in [
        ("织云社去低保", "织云社区低保", 1),
        ("石桥水渠没", "石桥村水渠没", 2),
        ("水渠没通有水", "水渠没有通水", 2),
        ("抵价出租门面", "低价出租门面", 7),
    ] {
        let found = index.search(&everything(), &ask(text), &[]).unwrap();
        assert_eq!((found.exact, ids(&found).first()), (false, Some(&first)), "{text}");
        if text != "石桥水渠没" {
            assert_eq!(found.meant.as_deref(), Some(meant), "{text}");
        }
        let nobody = super::Scope::nothing().with(2, super::Units::All);
        assert_eq!(index.search(&nobody, &ask(text), &[]).unwrap().meant, None);
    }
    assert_eq!(index.search(&everything(), &ask("低保公示"), &[]).unwrap().meant, None);
}
