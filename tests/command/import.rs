//! `import`: what comes in, what is named by line and column, what leaves no trace.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiceng::base::RecordId;
use jiceng::base::clock::SystemClock;
use jiceng::records::{petition, regulation};
use jiceng::store::Store;
use serde_json::{Value, json};

use crate::ledger::{DITCH, counts, hits, lines, petition, places, summary};
use crate::room::Room;

/// The store.
pub(crate) fn opened(dir: &Path) -> Store {
    Store::open(dir, Arc::new(SystemClock)).unwrap()
}

/// What a field of a record shows, read past the command line.
fn shown(room: &Room, dir: &str, id: &Value, tag: u16) -> String {
    let store = opened(&room.at(dir));
    let record = store.read().unwrap().get(RecordId(id.as_u64().unwrap()), true).unwrap().unwrap();
    let kind = jiceng::records::by_tag(record.kind).unwrap();
    record.fields.display(kind.fields, tag)
}

#[test]
fn petitions_come_in_whole() {
    let room = Room::bare();
    let mut full = petition("甲-1", 1);
    full["unit"] = json!("枫桥坞镇纪委");
    full["经手人"] = json!("孙某某");
    full["页数"] = json!(12);
    let bare = json!({"title": "只有标题和内容", "text": "桥墩裂了"});
    room.put("p.jsonl", lines(&[full, bare]));
    let (said, code) = summary(&room, "petitions p.jsonl --dir d");
    assert_eq!((counts(&said), code), ([2, 2, 0, 0], 0), "{said}");
    let full = &hits(&room, "d", "第1号水渠")[0];
    assert_eq!(full["ref"], "%E7%94%B2-1");
    assert_eq!((&full["unit"], &full["day"]), (&json!("枫桥坞镇纪委"), &json!("2025-02-02")));
    assert!(!full["number"].as_str().unwrap().is_empty() && full["state"] != "待补全", "{full}");
    let remarks = shown(&room, "d", &full["id"], petition::tag::REMARKS);
    assert!(remarks.contains("经手人：孙某某") && remarks.contains("页数：12"), "{remarks}");
    assert_eq!(shown(&room, "d", &full["id"], petition::tag::PHONE), "0000-0000009");
    let bare = &hits(&room, "d", "桥墩裂了")[0];
    assert_eq!(
        (&bare["unit"], &bare["state"], &bare["day"]),
        (&json!("信访室"), &json!("待补全"), &json!(""))
    );
    assert!(hits(&room, "d", "0000-0000009").is_empty(), "the petitioner is not searched");
}

#[test]
fn each_fault_is_named_by_line_and_column() {
    let room = Room::bare();
    let good = |n: usize| petition(&format!("r{n}"), n).to_string();
    let with = |column: &str, value: Value| {
        let mut row = petition("x", 77);
        row[column] = value;
        row.to_string()
    };
    let without = |column: &str| {
        let mut row = petition("x", 78);
        row.as_object_mut().unwrap().remove(column);
        row.to_string()
    };
    let rows = [
        ("", good(1)),
        ("?", "{\"title\":\"甲\",\"text\":".to_owned()),
        ("?", "[1,2]".to_owned()),
        ("?", "title,text".to_owned()),
        ("title", without("title")),
        ("title", with("title", json!("  "))),
        ("title", with("title", json!("长".repeat(301)))),
        ("text", without("text")),
        ("text", with("text", json!("长".repeat(200_001)))),
        ("received", with("received", json!("2025-02-30"))),
        ("received", with("received", json!("去年"))),
        ("received", with("received", json!("2999-01-01"))),
        ("unit", with("unit", json!("无此室"))),
        ("accused.0.name", with("accused", json!([{"org": "某村", "rank": "农民"}]))),
        ("accused", with("accused", json!([{"name": "乙", "rank": "正科级"}]))),
        ("", good(2)),
    ];
    room.put("p.jsonl", rows.iter().map(|(_, row)| format!("{row}\n")).collect::<String>());
    let (said, code) = summary(&room, "petitions p.jsonl --dir d");
    let wanted: Vec<(u64, &str)> =
        (1..).zip(rows.iter().map(|(column, _)| *column)).filter(|(_, c)| !c.is_empty()).collect();
    let named = places(&said);
    let found: Vec<(u64, &str)> =
        named.iter().map(|(l, c)| (*l, if c.is_empty() { "?" } else { c })).collect();
    assert_eq!(found, wanted, "{said:#}");
    assert_eq!((counts(&said), code), ([16, 2, 0, 14], 1));
    let text = room.fails("import petitions p.jsonl --dir d", 1);
    for (line, column) in named {
        assert!(text.err.contains(&format!("第 {line} 行 {column}：")), "{line} {column}: {text:?}");
    }
    assert_eq!(hits(&room, "d", DITCH).len(), 2);
}

#[test]
fn broken_regulations_are_named_too() {
    let room = Room::bare();
    let article = json!({"no": "第一条", "text": "第一条 渠道要通水。"});
    let row = |articles: Value| json!({"title": "水渠办法", "articles": articles});
    let rows = [
        row(json!([article])),
        row(json!("第一条")),
        row(json!([article, {"no": "第二条"}])),
        row(json!([article, "第二条"])),
        json!({"articles": [article]}),
        json!({"title": "水渠办法", "articles": [article], "published": "昨天"}),
        json!({"title": "水渠办法", "articles": [article], "published": "2025-02-01", "effective": "2024-01-01"}),
    ];
    room.put("r.jsonl", lines(&rows));
    let (said, code) = summary(&room, "regulations r.jsonl --dir d");
    let found = places(&said);
    let found: Vec<(u64, &str)> = found.iter().map(|(l, c)| (*l, c.trim_end_matches(".text"))).collect();
    let columns = ["articles", "articles.1", "articles.1", "title", "published", "effective"];
    assert_eq!(found, (2..).zip(columns).collect::<Vec<_>>(), "{said:#}");
    assert_eq!((counts(&said), code), ([7, 1, 0, 6], 1));
    assert_eq!(hits(&room, "d", "渠道要通水").len(), 1);
}

#[test]
fn a_dry_run_says_what_would_happen_and_stores_nothing() {
    let room = Room::bare();
    let mut rows: Vec<Value> = (0..30).map(|n| petition(&format!("r{n}"), n)).collect();
    rows.push(json!({"title": "没有内容"}));
    room.put("p.jsonl", lines(&rows));
    let records = room.records("d");
    let (dry, code) = summary(&room, "petitions p.jsonl --dir d --dry-run");
    assert_eq!((counts(&dry), code), ([31, 30, 0, 1], 1));
    assert_eq!(room.records("d"), records);
    assert!(hits(&room, "d", "水渠").is_empty());
    let (mut real, code) = summary(&room, "petitions p.jsonl --dir d");
    assert!(real["batch"].as_str().is_some_and(|b| b.starts_with("批〔")), "{real}");
    real["batch"] = json!("");
    assert_eq!((&real, code), (&dry, 1), "a dry run tells what the run will do");
    assert_eq!(room.records("d"), records + 30 + 1, "the rows and their batch");
}

#[test]
fn a_dry_run_sees_a_reference_given_twice() {
    let room = Room::bare();
    room.put("p.jsonl", lines(&[petition("r1", 1), petition("r1", 2)]));
    let (dry, _) = summary(&room, "petitions p.jsonl --dir d --dry-run");
    let (real, _) = summary(&room, "petitions p.jsonl --dir d");
    assert_eq!((counts(&real), counts(&dry)), ([2, 1, 1, 0], [2, 1, 1, 0]));
}

#[test]
fn what_is_there_already_is_passed_over() {
    let room = Room::bare();
    let rows: Vec<Value> = (0..20).map(|n| petition(&format!("r{n}"), n)).collect();
    room.put("half.jsonl", lines(&rows[..9]));
    room.put("all.jsonl", lines(&rows));
    let article = json!({"ref": "l1-1", "no": "第一条", "text": "第一条 渠道要通水。"});
    room.put("r.jsonl", lines(&[json!({"ref": "l1", "title": "水渠办法", "articles": [article]})]));
    assert_eq!(counts(&summary(&room, "petitions half.jsonl --dir d").0), [9, 9, 0, 0]);
    assert_eq!(counts(&summary(&room, "petitions all.jsonl --dir d").0), [20, 11, 9, 0]);
    assert_eq!(counts(&summary(&room, "petitions all.jsonl --dir d").0), [20, 0, 20, 0]);
    assert_eq!(counts(&summary(&room, "regulations r.jsonl --dir d").0), [1, 1, 0, 0]);
    let (again, code) = summary(&room, "regulations r.jsonl --dir d");
    assert_eq!((counts(&again), again["articles"].as_u64(), code), ([1, 0, 1, 0], Some(0), 0));
    assert_eq!(hits(&room, "d", "水渠").len(), 22);
    let two = room.good("import petitions half.jsonl all.jsonl --dir d");
    assert_eq!(two.lines().count(), 2, "one line a file: {two}");
}

#[test]
fn a_map_file_names_columns() {
    let room = Room::bare();
    let row = json!({"编号": "r1", "收件日": "2025.3.4", "标题": "塔吊歪了", "内容": "工地的塔吊歪了", "室": "办公室"});
    room.put("p.jsonl", lines(&[row]));
    let map = json!({"编号": "ref", "收件日": "received", "标题": "title", "内容": "text", "室": "unit"});
    room.put("map.json", map.to_string());
    room.fails("import petitions p.jsonl --dir d", 1);
    room.good("import petitions p.jsonl --dir d --map map.json");
    let hit = &hits(&room, "d", "塔吊歪了")[0];
    assert_eq!(
        (&hit["ref"], &hit["day"], &hit["unit"]),
        (&json!("r1"), &json!("2025-03-04"), &json!("办公室"))
    );
}

#[test]
fn rows_without_a_unit_go_where_the_command_says() {
    let room = Room::bare();
    room.put("p.jsonl", lines(&[petition("r1", 1)]));
    let (records, head) = (room.records("d"), room.head("d"));
    let refused = room.fails("import petitions p.jsonl --dir d --unit 无此室", 1);
    assert!(refused.out.is_empty() && refused.err.contains("无此室"), "{refused:?}");
    assert_eq!((room.records("d"), room.head("d")), (records, head));
    room.good("import petitions p.jsonl --dir d --unit 石鼓岭镇纪委");
    assert_eq!(hits(&room, "d", "第1号水渠")[0]["unit"], "石鼓岭镇纪委");
}

#[test]
fn a_person_of_section_rank_leaves_no_word_behind() {
    const SECRETS: [&str; 6] = ["金丝雀甲", "金丝雀乙", "金丝雀丙", "金丝雀丁", "金丝雀戊", "金丝雀己"];
    let ranks = ["乡科级正职", "乡科级副职", "正科级", "四级主任科员", "县处级及以上", "厅级领导"];
    let room = Room::bare();
    let [title, text, name, org, place, remark] = SECRETS;
    let row = |rank: &str| {
        json!({"ref": title, "title": title, "text": text, "place": place, "备考": remark,
            "petitioner": {"name": name},
            "accused": [{"name": "某农民", "rank": "农民"}, {"name": name, "org": org, "rank": rank}]})
    };
    let mut rows: Vec<Value> = ranks.iter().map(|rank| row(rank)).collect();
    rows.push(petition("r1", 1));
    room.put("p.jsonl", lines(&rows));
    let records = room.records("d");
    for line in ["--dry-run", "", "--format json"] {
        let ran = room.fails(&format!("import petitions p.jsonl --dir d {line}"), 1);
        let said = SECRETS.iter().find(|s| ran.all().contains(**s));
        assert!(said.is_none() && ran.all().contains("径送"), "{ran:?}");
    }
    fs::remove_file(room.at("p.jsonl")).unwrap();
    assert_eq!(room.records("d"), records + 1 + 2, "the good row beside them came in, and two batches");
    for secret in SECRETS {
        assert!(hits(&room, "d", secret).is_empty());
        assert!(!holds(&room.at("."), secret.as_bytes()), "{secret} is on the disk");
    }
}

/// Some file below a folder holds these bytes.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|e| holds(&e.unwrap().path(), bytes));
    }
    fs::read(path).unwrap_or_default().windows(bytes.len()).any(|w| w == bytes)
}

#[test]
fn marks_line_ends_and_empty_lines_do_not_matter() {
    let room = Room::bare();
    let row = |n: usize| petition(&format!("r{n}"), n).to_string();
    let text = format!("\u{feff}{}\r\n\r\n   \n{}\r\n\n{{\"title\":\"甲\"}}\r\n{}", row(1), row(2), row(3));
    room.put("p.jsonl", text);
    let (said, code) = summary(&room, "petitions p.jsonl --dir d");
    assert_eq!((counts(&said), code), ([4, 3, 0, 1], 1));
    assert_eq!(places(&said), [(6, "text".to_owned())], "empty lines count as lines");
    room.put("empty.jsonl", "");
    assert_eq!(counts(&summary(&room, "petitions empty.jsonl --dir d").0), [0, 0, 0, 0]);
    room.put("latin.jsonl", b"{\"title\":\"\xb1\xea\",\"text\":\"x\"}\n");
    let (said, code) = summary(&room, "petitions latin.jsonl --dir d");
    assert_eq!((places(&said), code), (vec![(1, String::new())], 1), "not UTF-8");
    room.put("binary.jsonl", [0_u8, 1, 2, 255].repeat(100_000));
    room.fails("import petitions binary.jsonl --dir d", 1);
}

#[test]
fn dates_may_be_years_or_null() {
    let room = Room::bare();
    let dates = [json!("2019"), json!(2019), json!(null), json!(""), json!("2019-04"), json!("2020年6月3日")];
    let shown = ["2019", "2019", "", "", "2019-04", "2020-06-03"];
    let petitions: Vec<Value> = (0..)
        .zip(&dates)
        .map(|(n, date)| {
            let mut row = petition(&format!("r{n}"), n);
            row["received"] = date.clone();
            row
        })
        .collect();
    let regulations: Vec<Value> = (0..).zip(&dates).map(|(n, date)| {
        let articles = json!([{"text": format!("第一条 石桥{n}号")}]);
        json!({"ref": format!("l{n}"), "title": format!("石桥{n}办法"), "published": date, "articles": articles})
    }).collect();
    room.put("p.jsonl", lines(&petitions));
    room.put("r.jsonl", lines(&regulations));
    assert_eq!(counts(&summary(&room, "petitions p.jsonl --dir d").0), [6, 6, 0, 0]);
    assert_eq!(counts(&summary(&room, "regulations r.jsonl --dir d").0), [6, 6, 0, 0]);
    for (n, day) in shown.iter().enumerate() {
        assert_eq!(hits(&room, "d", &format!("第{n}号水渠"))[0]["day"], *day, "petition {n}");
        assert_eq!(hits(&room, "d", &format!("石桥{n}办法"))[0]["day"], *day, "regulation {n}");
    }
}

#[test]
fn regulations_may_lack_almost_everything() {
    let room = Room::bare();
    let rows = [
        json!({"ref": "l1", "title": "渡口管理办法", "level": "县级土规定", "status": "待定", "text": "渡口总说"}),
        json!({"ref": "l2", "title": "渡口管理办法", "articles": []}),
        json!({"ref": "l3", "title": "渡口管理办法", "articles": null, "印数": 300}),
        json!({"ref": "l4", "title": "渡口管理办法", "articles": [{"text": "渡船要有救生衣"}, {"text": "渡船要有救生衣"}]}),
    ];
    room.put("r.jsonl", lines(&rows));
    let (said, code) = summary(&room, "regulations r.jsonl --dir d");
    assert_eq!((counts(&said), said["articles"].as_u64(), code), ([4, 4, 0, 0], Some(2), 0));
    let found = hits(&room, "d", "渡口管理办法");
    let covers: Vec<&Value> = found.iter().filter(|h| h["kind"] == "regulation").collect();
    assert_eq!((covers.len(), found.len()), (4, 6));
    let by_ref = |r: &str| &covers.iter().find(|h| h["ref"] == r).unwrap()["id"];
    let level = regulation::KIND.field_named("level").unwrap().tag;
    assert_eq!(shown(&room, "d", by_ref("l1"), level), "县级土规定");
    assert_eq!(shown(&room, "d", by_ref("l1"), regulation::tag::STATUS), "待定");
    assert_eq!(shown(&room, "d", by_ref("l3"), regulation::tag::REMARKS), "印数：300");
    assert_eq!(hits(&room, "d", "救生衣").len(), 2);
}

/// Whoever types a ledger writes one person where a list belongs; neither the person nor the rank may vanish.
#[test]
fn persons_in_another_shape_are_kept_or_refused() {
    let room = Room::bare();
    let shapes = [
        ("accused", json!({"name": "金丝雀甲", "rank": "农民"})),
        ("accused", json!("金丝雀甲")),
        ("accused", json!(["金丝雀甲"])),
        ("petitioner", json!("金丝雀甲")),
        ("petitioner", json!([{"name": "金丝雀甲"}])),
    ];
    for (n, (column, shape)) in shapes.iter().enumerate() {
        let mut row = petition(&format!("r{n}"), n);
        row[*column] = shape.clone();
        room.put("p.jsonl", lines(&[row]));
        let (said, code) = summary(&room, "petitions p.jsonl --dir d");
        if code == 1 {
            assert!(places(&said)[0].1.starts_with(column), "{said}");
            continue;
        }
        let hit = &hits(&room, "d", &format!("第{n}号水渠"))[0];
        let fields = petition::KIND.fields.iter().map(|f| shown(&room, "d", &hit["id"], f.tag));
        let kept = fields.collect::<String>().contains("金丝雀甲");
        assert!(kept, "{column} {shape} was dropped without a word");
    }
    let mut chief = petition("chief", 9);
    chief["accused"] = json!({"name": "金丝雀甲", "rank": "正科级"});
    room.put("p.jsonl", lines(&[chief]));
    assert_eq!(summary(&room, "petitions p.jsonl --dir d").1, 1, "the gate was passed by in another shape");
}
