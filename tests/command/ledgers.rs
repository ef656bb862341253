//! Ledgers of other programs: years of rows as a workbook and as GBK text, faults named by row and column, the refused
//! rows given back, a batch taken back, columns kept for the next file from the same source.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use jiceng::foreign;
use serde_json::Value;

use crate::ledger::{counts, hits, summary};
use crate::room::{Room, number_after};
use crate::shared::material;

const HEADS: [&str; 10] = [
    "信访编号",
    "收件日期",
    "信访形式",
    "标题",
    "反映内容",
    "被反映人",
    "被反映人职级",
    "举报人姓名",
    "发生地点",
    "登记机构",
];
/// Rows above the first row of the table: a heading and the heads.
const ABOVE: usize = 2;

/// Rows of the real material where it is here, else as many of our own.
fn rows() -> Vec<Vec<String>> {
    let Some(dir) = material() else {
        println!("the shared material is not here (JICENG_SHARED_DATA): rows of our own instead");
        return (0..3_234)
            .map(|n| row(n, &format!("第{n}号水渠"), &format!("第{n}号水渠三年没有修好"), "来信"))
            .collect();
    };
    let file = File::open(dir.join("knownitem/petitions.jsonl.gz")).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let rows = lines.enumerate().map(|(n, line)| {
        let json: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let mut row = row(n, &text("title"), &text("text"), &text("channel"));
        row[1] = text("received");
        row
    });
    rows.collect()
}

fn row(n: usize, title: &str, text: &str, channel: &str) -> Vec<String> {
    let day = format!("2024年{}月{}日", n % 12 + 1, n % 28 + 1);
    let all = [
        &format!("台-{n}"),
        &day,
        channel,
        title,
        text,
        "赵甲",
        "村(社区)干部",
        "孙丙",
        "河东村",
        "枫桥坞镇纪委",
    ];
    all.iter().map(|s| (*s).to_owned()).collect()
}

/// Plants sixty faults; the row as office programs count, and the column.
fn plant(rows: &mut [Vec<String>]) -> BTreeMap<u64, &'static str> {
    let mut planted = BTreeMap::new();
    for n in 0..60 {
        let at = 17 + n * 53;
        let (column, value) = match n % 6 {
            0 => (1, "2024-02-30".to_owned()),
            1 => (9, "无此机构".to_owned()),
            2 => (5, "长".repeat(61)),
            3 => (6, "正科级".to_owned()),
            4 => (8, "远".repeat(301)),
            _ => (3, String::new()),
        };
        rows[at][column] = value;
        if n % 6 == 5 {
            rows[at][4] = String::new();
        }
        // What article 16 refuses is told of the person and not of the rank.
        let named = if column == 6 { 5 } else { column };
        planted.insert((at + ABOVE + 1) as u64, HEADS[named]);
    }
    planted
}

fn xlsx(rows: &[Vec<String>]) -> Vec<u8> {
    let heads = HEADS.map(str::to_owned).to_vec();
    foreign::workbook(&["官渡镇信访台账".to_owned()], std::iter::once(heads).chain(rows.iter().cloned()))
        .unwrap()
}

fn csv(rows: &[Vec<String>]) -> Vec<u8> {
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
    let mut text = format!("官渡镇信访台账\r\n{}\r\n", HEADS.join(","));
    rows.iter().for_each(|row| text.push_str(&format!("{}\r\n", line(row))));
    encoding_rs::GB18030.encode(&text).0.into_owned()
}

/// What a store shows: some answers of the search, and how many petitions.
fn shown(room: &Room) -> (Vec<String>, usize) {
    let answers = ["河东村", "水渠", "台-17", "物业"]
        .map(|text| room.good(&format!("search --dir d --format trec {text}")));
    (answers.to_vec(), hits(room, "d", "河东村").len())
}

fn all_comes_in(file: &str, bytes: &[u8], planted: &BTreeMap<u64, &str>, total: usize) {
    let room = Room::bare();
    room.put(
        "before.jsonl",
        r#"{"ref":"旧-1","title":"河东村水渠","text":"河东村水渠没有修好","received":"2023"}"#,
    );
    room.good("import petitions before.jsonl --dir d");
    let before = shown(&room);
    room.put(file, bytes);
    let line = format!("petitions {file} --dir d --failed refused.xlsx");
    let (dry, _) = summary(&room, &format!("petitions {file} --dir d --dry-run"));
    assert_eq!(shown(&room), before);
    let (said, code) = summary(&room, &line);
    let good = (total - planted.len()) as u64;
    assert_eq!((counts(&said), code), ([total as u64, good, 0, 60], 1));
    assert_eq!((&said["problems"], &said["created"]), (&dry["problems"], &dry["created"]));
    let named: BTreeMap<u64, Vec<&str>> =
        said["problems"].as_array().unwrap().iter().fold(BTreeMap::new(), |mut all, p| {
            all.entry(p["line"].as_u64().unwrap())
                .or_insert_with(Vec::new)
                .push(p["column"].as_str().unwrap());
            all
        });
    assert_eq!(named.keys().collect::<Vec<_>>(), planted.keys().collect::<Vec<_>>());
    for (line, column) in planted {
        assert!(named[line].contains(column), "row {line}: {column} among {:?}", named[line]);
    }
    refused_rows_come_back(&room, planted);
    assert_eq!(hits(&room, "d", "台-100")[0]["ref"], "%E5%8F%B0-100");
    assert!(hits(&room, "d", "孙丙").is_empty(), "the petitioner is not searched");
    let batch = said["batch"].as_str().unwrap();
    room.good(&format!("import undo {batch} --dir d"));
    assert_eq!(shown(&room), before);
    room.fails(&format!("import undo {batch} --dir d"), 1);
    assert_eq!(room.run("audit verify --dir d").code, 0);
}

/// The line of a ledger in JSON lines comes back whole; what cannot be read, or article 16 refuses, does not.
#[test]
fn refused_json_lines_come_back_with_their_reason() {
    let room = Room::bare();
    let wrong = r#"{"title":"河东村水渠","text":"没有修好","received":"2025-02-30"}"#;
    let gate = r#"{"title":"反映钱某","text":"收礼","accused":[{"name":"钱甲","rank":"正科级"}]}"#;
    room.put("p.jsonl", format!("{wrong}\n{gate}\n{{\"title\":\"反映钱乙\n"));
    room.fails("import petitions p.jsonl --dir d --failed refused.xlsx", 1);
    let rows = refused(&room);
    assert_eq!(rows[0], ["原行号", "原行内容", "未导入原因"]);
    let told: Vec<(&str, &str)> = rows[1..].iter().map(|r| (r[0].as_str(), r[1].as_str())).collect();
    assert_eq!(told, [("1", wrong), ("2", ""), ("3", "")]);
    assert!(rows[1][2].contains("received") && rows[2][2].contains("第十六条") && rows[3][2].contains("不是 JSON"));
}

/// Rows of the workbook of refused rows.
fn refused(room: &Room) -> Vec<Vec<String>> {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_jiceng"));
    let file = Box::new(File::open(room.at("refused.xlsx")).unwrap());
    let items = foreign::Reader::start(program, foreign::Format::Xlsx, file).unwrap();
    let cells = |item: foreign::Item| if let foreign::Item::Row { cells, .. } = item { Some(cells) } else { None };
    items.filter_map(|item| cells(item.unwrap())).collect()
}

/// The workbook of refused rows has each of them with its reason, and nothing of those article 16 refuses.
fn refused_rows_come_back(room: &Room, planted: &BTreeMap<u64, &str>) {
    let rows = refused(room);
    assert_eq!(rows.len(), planted.len() + 1);
    assert_eq!((rows[0][0].as_str(), rows[0].last().unwrap().as_str()), ("原行号", "未导入原因"));
    for (row, (line, column)) in rows[1..].iter().zip(planted) {
        assert_eq!(row[0], line.to_string());
        let gate = row.last().unwrap().contains("第十六条");
        assert!(gate || row.last().unwrap().contains(column), "{line}");
        assert_eq!(gate, row[1].is_empty(), "{line}: a row of article 16 gives nothing back");
    }
    assert!(rows.iter().any(|r| r.last().unwrap().contains("第十六条")));
    fs::remove_file(room.at("refused.xlsx")).unwrap();
}

#[test]
fn a_workbook_of_years_comes_in_and_goes_out_again() {
    let mut rows = rows();
    let planted = plant(&mut rows);
    all_comes_in("ledger.xlsx", &xlsx(&rows), &planted, rows.len());
}

#[test]
fn a_ledger_in_gbk_comes_in_and_goes_out_again() {
    let mut rows = rows();
    let planted = plant(&mut rows);
    all_comes_in("ledger.csv", &csv(&rows), &planted, rows.len());
}

#[test]
fn the_next_file_of_a_source_is_read_the_same_way() {
    let room = Room::bare();
    let heads = ["甲", "乙", "丙"].map(str::to_owned);
    let row = |n: usize| vec![format!("第{n}号水渠没有修好"), "河东村".to_owned(), "某某".to_owned()];
    room.put("map.json", r#"{"甲":"text","乙":"place","丙":"petitioner.name"}"#);
    room.put("a.xlsx", foreign::workbook(&heads, (0..3).map(row)).unwrap());
    room.put("b.xlsx", foreign::workbook(&heads, (3..6).map(row)).unwrap());
    room.fails("import petitions b.xlsx --dir d --dry-run", 1);
    room.good("import petitions a.xlsx --dir d --map map.json --source 河东");
    let said = room.run("import petitions b.xlsx --dir d");
    assert_eq!((said.code, number_after(&said.out, "导入 ")), (0, 3), "{said:?}");
    assert_eq!(hits(&room, "d", "第5号水渠")[0]["title"], "反映河东村有关问题");
    assert!(hits(&room, "d", "某某").is_empty(), "the petitioner is not searched");
}

#[test]
fn regulations_come_in_as_documents_of_one_batch() {
    let room = Room::bare();
    let text = |name: &str, n: usize| {
        let article = |a: usize| {
            format!("第{}条　{name}的第{a}项要求应当落实到人。\n", ["一", "二", "三", "四", "五"][a])
        };
        format!(
            "{name}\n\n（样纪办〔2025〕{n}号）\n\n第一章　总则\n\n{}",
            (0..5).map(article).collect::<String>()
        )
    };
    room.put("办法.txt", text("水渠管护办法", 3));
    room.put(
        "规程.md",
        format!("# 公示栏管理规程\n\n{}", text("公示栏管理规程", 4).split_once("\n\n").unwrap().1),
    );
    let (said, code) = summary(&room, "regulations 办法.txt 规程.md --dir d");
    assert_eq!((counts(&said), code), ([2, 2, 0, 0], 0), "{said}");
    assert_eq!(said["articles"], 10);
    let hit = &hits(&room, "d", "公示栏管理规程的第3项")[0];
    assert_eq!(hit["kind"], "article");
    assert_eq!(hits(&room, "d", "样纪办〔2025〕3号")[0]["title"], "水渠管护办法");
    room.good(&format!("import undo {} --dir d", said["batch"].as_str().unwrap()));
    assert!(hits(&room, "d", "公示栏").is_empty());
    room.put("扫描.pdf", b"%PDF-1.4\nnothing");
    room.fails("import regulations 扫描.pdf --dir d", 1);
    room.put("台账.xlsx", xlsx(&[]));
    room.fails("import regulations 台账.xlsx --dir d", 1);
}
