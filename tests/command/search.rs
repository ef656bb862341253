//! `search`: the same answers every time, in three forms, whatever the text.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde_json::Value;

use crate::ledger::{lines, petition};
use crate::room::{Ran, Room};

/// A file `q.jsonl` with a question for each text.
pub(crate) fn questions(room: &Room, texts: &[&str]) {
    let rows = (0..).zip(texts).map(|(n, text): (u32, _)| serde_json::json!({"id": n, "text": text}));
    room.put("q.jsonl", lines(&rows.collect::<Vec<_>>()));
}

/// Texts of all sorts: words, fragments, numbers, nothing, and what nobody wrote.
pub(crate) const TEXTS: &[&str] = &[
    "低保",
    "织云社区低保公示",
    "第三条",
    "第3条",
    "登记办理规程",
    "澜纪办〔2025〕3号",
    "的",
    "阙知晦 织云",
    "低保公式名单",
    "２０２３年",
    "龘龘龘龘",
];

fn search(room: &Room, words: &[&str]) -> Ran {
    room.ask(&[&["search", "--dir", "d"], words].concat(), "")
}

#[test]
fn the_same_question_has_the_same_answer() {
    let room = Room::demo();
    questions(&room, TEXTS);
    for format in ["table", "json", "trec"] {
        for kind in ["petition", "regulation", "article", "all"] {
            let words = ["--format", format, "--kind", kind, "--limit", "50", "--queries", "q.jsonl"];
            let (first, second) = (search(&room, &words), search(&room, &words));
            assert_eq!(first.code, 0, "{words:?}: {first:?}");
            assert_eq!((first.out, first.code), (second.out, second.code), "{words:?}");
        }
    }
}

/// An index is disposable: how it came to be must show neither in what it finds nor in the order.
#[test]
fn a_rebuilt_index_answers_as_the_grown_one_did() {
    let room = Room::demo();
    room.put("p.jsonl", lines(&(0..4).map(|n| petition(&format!("r{n}"), n)).collect::<Vec<_>>()));
    room.good("import petitions p.jsonl --dir d");
    questions(&room, &[TEXTS, &["落实 公示", "干部 报备", "水渠 通水 账", "低保公示名单对不上"]].concat());
    let ask = |format: &str| {
        room.good(&format!("search --dir d --queries q.jsonl --format {format} --limit 1000"))
    };
    let formats = ["json", "trec", "table"];
    let grown = formats.map(ask);
    room.good("reindex --dir d");
    assert!(grown[0].contains("\"exact\":false") && grown[1].lines().count() > 100, "{}", grown[1]);
    assert_eq!(grown, formats.map(ask));
}

#[test]
fn the_three_forms_agree() {
    let room = Room::demo();
    for text in &TEXTS[1..6] {
        let table = search(&room, &["--limit", "30", text]);
        let json = search(&room, &["--limit", "30", "--format", "json", text]);
        let trec = search(&room, &["--limit", "30", "--format", "trec", text]);
        let answer: Value = serde_json::from_str(&json.out).unwrap();
        let hits = answer["hits"].as_array().unwrap();
        let refs: Vec<&str> = hits.iter().map(|h| h["ref"].as_str().unwrap()).collect();
        assert_eq!(answer["text"], *text);
        assert!(table.out.starts_with(&format!("共 {} 条", answer["total"])), "{table:?}");
        let column = |l: &'_ str| l.trim_start().split("  ").nth(2).map(str::to_owned);
        let listed: Vec<String> = table.out.lines().skip(1).step_by(2).filter_map(column).collect();
        let run: Vec<Vec<&str>> = trec.out.lines().map(|l| l.split(' ').collect()).collect();
        assert_eq!(run.iter().map(|l| l[2]).collect::<Vec<_>>(), refs, "{text}");
        assert_eq!(listed, refs, "{text}: {table:?}");
        let mut above = f64::INFINITY;
        for (rank, line) in (1..).zip(&run) {
            assert_eq!((line.len(), line[0], line[1], line[5]), (6, "q", "Q0", "jiceng"), "{line:?}");
            assert_eq!(line[3].parse::<usize>().unwrap(), rank);
            let score: f64 = line[4].parse().unwrap();
            assert!(score < above, "scores fall");
            above = score;
        }
        for ran in [table, json, trec] {
            let last = ran.err.lines().last().unwrap_or_default().to_owned();
            let words: Vec<&str> = last.split([' ', ',']).filter(|w| !w.is_empty()).collect();
            assert_eq!(
                [words[0], words[1], words[2], words[4], words[5], words[7]],
                ["1", "queries", "p50", "ms", "p99", "ms"],
                "{last}"
            );
            assert!(words[3].parse::<f64>().is_ok() && words[6].parse::<f64>().is_ok(), "{last}");
        }
    }
}

#[test]
fn references_are_one_word() {
    let room = Room::bare();
    let references = ["甲 乙/丙", "a b%c", "–—…", "plain-1_2.3~4", "\"q\" Q0", "😀"];
    let rows: Vec<Value> = (0..).zip(references).map(|(n, r)| petition(r, n)).collect();
    room.put("p.jsonl", lines(&rows));
    room.good("import petitions p.jsonl --dir d");
    for (n, reference) in references.iter().enumerate() {
        let ran = search(&room, &["--format", "trec", &format!("第{n}号水渠")]);
        let words: Vec<&str> = ran.out.trim_end().split(' ').collect();
        assert_eq!(words.len(), 6, "{ran:?}");
        let plain = percent_encoding::percent_decode_str(words[2]).decode_utf8().unwrap();
        assert_eq!(plain, *reference);
    }
}

#[test]
fn a_dash_reads_the_question_from_standard_input() {
    let room = Room::demo();
    for text in ["低保", "织云社区低保公示", "低保\n公示", ""] {
        let typed = search(&room, &["--format", "trec", text]);
        let piped = room.ask(&["search", "--dir", "d", "--format", "trec", "-"], &format!("{text}\n"));
        assert_eq!((piped.code, &piped.out), (0, &typed.out), "{text}");
    }
    let piped = |input: &str| room.ask(&["search", "--dir", "d", "--as", "demo", "-"], input);
    assert!(piped("Wanglan#2026\n织云社区低保公示\n").out.starts_with("共 1 条\n"));
    assert_eq!(piped("wrong\n低保\n").code, 1);
    assert_eq!(piped("").code, 2);
    let long = "低保名单对不上人".repeat(50_000);
    assert_eq!(room.ask(&["search", "--dir", "d", "-"], &long).code, 0);
}

#[test]
fn no_hit_is_no_failure() {
    let room = Room::demo();
    let ran = search(&room, &["龘龘龘龘"]);
    assert!(ran.code == 0 && ran.out.starts_with("共 0 条") && ran.out.lines().count() == 1, "{ran:?}");
    let ran = search(&room, &["--format", "trec", "龘龘龘龘"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&search(&room, &["--format", "json", "龘龘龘龘"]).out).unwrap();
    assert_eq!((answer["total"].as_u64(), answer["hits"].as_array().map(Vec::len)), (Some(0), Some(0)));
}

#[test]
fn no_hit_promises_no_nearest_ones() {
    assert_eq!(search(&Room::demo(), &["龘龘龘龘"]).out, "共 0 条\n");
}

#[test]
fn kind_and_limit_narrow_and_cut() {
    let room = Room::demo();
    let ask = |kind: &str, limit: &str| -> Value {
        let ran = search(&room, &["--format", "json", "--kind", kind, "--limit", limit, "的"]);
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
    };
    let mut sum = 0;
    for kind in ["petition", "regulation", "article"] {
        let answer = ask(kind, "1000");
        let hits = answer["hits"].as_array().unwrap();
        assert!(hits.iter().all(|h| h["kind"] == kind) && !hits.is_empty(), "{kind}");
        assert_eq!(answer["total"].as_u64(), Some(hits.len() as u64));
        sum += hits.len() as u64;
        for limit in [0, 3] {
            let few = ask(kind, &limit.to_string());
            assert_eq!(few["total"], answer["total"]);
            assert_eq!(few["hits"].as_array().unwrap()[..], hits[..limit.min(hits.len())]);
        }
    }
    assert_eq!(ask("all", "5")["total"].as_u64(), Some(sum));
    assert_eq!(ask("all", "18446744073709551615")["total"].as_u64(), Some(sum));
}

#[test]
fn a_file_of_questions_equals_the_questions_one_by_one() {
    let room = Room::demo();
    let mut file = String::from("\n");
    let mut apart = String::new();
    for (n, text) in TEXTS.iter().enumerate() {
        let id = if n % 2 == 0 { format!("\"k{n}\"") } else { n.to_string() };
        file.push_str(&format!("{{\"id\":{id},\"text\":\"{text}\",\"kind\":\"any\"}}\r\n"));
        let one = search(&room, &["--format", "trec", text]).out;
        apart.push_str(&one.replace("q Q0", &format!("{} Q0", id.trim_matches('"'))));
    }
    room.put("q.jsonl", file);
    let together = search(&room, &["--format", "trec", "--queries", "q.jsonl"]);
    assert_eq!((together.code, &together.out), (0, &apart));
    assert!(together.err.lines().last().unwrap().starts_with(&format!("{} queries, ", TEXTS.len())));
    let json = search(&room, &["--format", "json", "--queries", "q.jsonl"]);
    assert_eq!(json.out.lines().count(), TEXTS.len());
}

/// ASVS 1.2.3, 1.2.4
#[test]
fn hostile_texts_are_only_texts() {
    let room = Room::demo();
    // The server parses the line again; opening the folder for each text would only cost time.
    let server = room.serve("d");
    let long = ["的", "低保", "a ", "\"", "(", "第三条 ", "\u{301}"].map(|t| t.repeat(8_000));
    let short = [
        "",
        " ",
        "\u{3000}",
        "\"",
        "\"\"",
        "AND",
        "a OR b",
        "NOT",
        "*",
        "?",
        "(",
        ")",
        "[a TO b]",
        "title:低保",
        "\\",
        "-1",
        "-x",
        "--x",
        "~",
        "^2",
        "+",
        "../../x",
        "'; DROP TABLE records; --",
        "%00",
        "%s%n",
        "\u{202e}低保",
        "\u{200b}\u{200d}\u{feff}",
        "👨‍👩‍👧‍👦",
        "e\u{301}\u{301}\u{301}",
        "\u{1b}[2J",
        "\n\n",
        "\t",
        "𠮷𠮷",
        "\u{10ffff}",
        "第条",
        "第零条",
        "第〇〇〇条",
        "第99999999999999999999999条",
        "《》",
        "《低保",
        "〔〕号",
        "２０２５年２月３０日",
    ];
    for text in short.iter().copied().chain(long.iter().map(String::as_str)) {
        let about: String = text.chars().take(20).collect();
        for format in ["table", "json"] {
            let ran = search(&room, &["--format", format, text]);
            assert_eq!(ran.code, 0, "{about:?}: {ran:?}");
            assert!(!ran.err.contains("panicked"), "{about:?}: {ran:?}");
            if format == "json" {
                assert!(serde_json::from_str::<Value>(&ran.out).is_ok(), "{about:?}");
            }
        }
    }
    let mut arguments: Vec<OsString> = ["search", "--dir", "d"].map(OsString::from).to_vec();
    arguments.push(OsString::from_vec(vec![0xff, 0xfe, b'a']));
    let ran = room.ask(&arguments, "");
    assert!(ran.code == 2 && !ran.err.contains("panicked"), "{ran:?}");
    drop(server);
    for text in &short[..12] {
        assert_eq!(search(&room, &[text]).code, 0, "{text:?}");
    }
    assert_eq!(room.run("audit verify --dir d").code, 0);
}

/// A title is content from outside: it must not drive the terminal of whoever lists it, nor make lines of its
/// own.
/// ASVS 16.4.1
#[test]
fn titles_cannot_drive_a_terminal() {
    let room = Room::bare();
    let mut row = petition("r1", 1);
    row["title"] = "水渠\u{1b}[2J\u{7}\r共 9 条\n  1  假的".into();
    row["text"] = "渠边\u{1b}]0;x\u{7}\u{9b}31m有人".into();
    room.put("p.jsonl", lines(&[row]));
    if room.run("import petitions p.jsonl --dir d").code == 1 {
        return;
    }
    for text in ["水渠", "渠边", "有人"] {
        let ran = search(&room, &[text]);
        assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
        assert!(!ran.out.chars().any(|c| c.is_control() && c != '\n'), "{ran:?}");
    }
}

/// Counts and ids, and not a word of a record; the same with a server in between, and every time.
#[test]
fn the_self_test_finds_everything_and_says_nothing_of_it() {
    let room = Room::demo();
    let first = room.good("search --dir d --self-test");
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines.len(), 4, "{first}");
    for (line, what) in lines.iter().zip(["编号", "标题", "正文片段", "姓名和单位"]) {
        assert!(line.starts_with(&format!("{what}：抽查 ")) && line.ends_with("没有找到 0"), "{line}");
        assert!(!line.contains("抽查 0"), "{line}");
    }
    let server = room.serve("d");
    assert_eq!(room.good("search --dir d --self-test"), first);
    drop(server);
    assert!(room.good("doctor --dir d").contains("[正常] 检索自检：抽查 "));
    for line in ["--self-test 低保", "--self-test --as demo", "--self-test --sample 0"] {
        assert_eq!(room.run(&format!("search --dir d {line}")).code, 2, "{line}");
    }
    assert_eq!(room.run("audit verify --dir d").code, 0);
}
