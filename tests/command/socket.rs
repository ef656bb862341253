//! Commands beside a running server go through its control socket and say what they say without one.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::ledger::{DITCH, counts, hits, lines, petition, summary};
use crate::room::{Ran, Room, Server, number_after};
use crate::search::{TEXTS, questions};
use crate::setup::{ANSWERS, county};

/// Two equal counties, `d` at rest and `s` served.
fn twins() -> (Room, Server) {
    let room = Room::demo();
    room.copy("d", "s");
    let server = room.serve("s");
    (room, server)
}

/// What a line with `DIR` says at rest and beside the server.
fn both(room: &Room, line: &str) -> (Ran, Ran) {
    (room.run(&line.replace("DIR", "d")), room.run(&line.replace("DIR", "s")))
}

#[test]
fn searches_are_equal_to_the_last_byte() {
    let (room, _server) = twins();
    questions(&room, TEXTS);
    let mut asked: Vec<Vec<&str>> = ["table", "json", "trec"]
        .map(|format| vec!["--queries", "q.jsonl", "--limit", "40", "--format", format])
        .to_vec();
    for text in ["低保", "", "-x", "\u{1b}[2J", "\"", "a\nb", "第三条"] {
        asked.push(vec!["--format", "json", text]);
    }
    for words in asked {
        let ask = |dir: &str| room.ask(&[&["search", "--dir", dir], &words[..]].concat(), "");
        let (rest, served) = (ask("d"), ask("s"));
        assert_eq!((rest.code, &rest.out), (0, &served.out), "{words:?}");
        assert_eq!(served.code, 0, "{words:?}");
        let count = |ran: &Ran| ran.err.lines().last().map(|l| l.split(", p50").next().unwrap().to_owned());
        assert_eq!(count(&rest), count(&served));
    }
    let piped = |dir: &str| room.ask(&["search", "--dir", dir, "--as", "demo", "-"], "Wanglan#2026\n低保\n");
    assert_eq!(piped("d").out, piped("s").out);
    assert_eq!(room.ask(&["search", "--dir", "s", "--as", "demo", "-"], "wrong\n低保\n").code, 1);
}

#[test]
fn imports_do_the_same() {
    let (room, _server) = twins();
    let mut rows: Vec<Value> = (0..700).map(|n| petition(&format!("r{n}"), n)).collect();
    rows.insert(3, serde_json::json!({"title": "没有内容"}));
    room.put("p.jsonl", lines(&rows));
    room.put("map.json", "{\"x\":\"y\"}");
    for line in [
        "petitions p.jsonl --dir DIR --dry-run --map map.json",
        "petitions p.jsonl --dir DIR --map map.json",
        "petitions p.jsonl --dir DIR",
    ] {
        let rest = summary(&room, &line.replace("DIR", "d"));
        assert_eq!(rest, summary(&room, &line.replace("DIR", "s")), "{line}");
        assert_eq!(rest.1, 1);
    }
    let (rest, served) = both(&room, "import petitions p.jsonl --dir DIR");
    let lines =
        |ran: &Ran| ran.err.lines().filter(|l| l.starts_with('第')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((rest.code, &rest.out, lines(&rest)), (served.code, &served.out, lines(&served)));
    let (rest, served) = both(&room, &format!("search --dir DIR --limit 1000 --format json {DITCH}"));
    assert_eq!(rest.out, served.out);
    assert!(rest.out.contains("\"total\":700"));
}

/// The server went on with an import after whoever asked for it had pressed Ctrl-C.
#[test]
fn an_import_that_nobody_waits_for_any_more_is_given_up() {
    const ROWS: usize = 20_000;
    let room = Room::demo();
    let before = room.records("d");
    let rows: Vec<Value> = (0..ROWS).map(|n| petition(&format!("r{n}"), n)).collect();
    room.put("p.jsonl", lines(&rows));
    let server = room.serve("d");
    let mut child = room.spawn("import petitions p.jsonl --dir d");
    let told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = told.into_iter().find(|line| line.contains("约剩")).unwrap();
    assert!(line.starts_with("5") && line.contains(" / 20000 行，约剩 "), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
    // Its last entry is written when nothing comes after it.
    let mut heads = [String::new(), room.head("d")];
    while heads[0] != heads[1] {
        std::thread::sleep(std::time::Duration::from_secs(1));
        heads = [std::mem::take(&mut heads[1]), room.head("d")];
    }
    assert!(room.records("d") < before + ROWS as u64, "all of it was stored");
    assert_eq!(hits(&room, "d", DITCH), [Value::Null; 0]);
    drop(server);
    assert_eq!(hits(&room, "d", DITCH), [Value::Null; 0]);
}

#[test]
fn checks_say_the_same() {
    let (room, _server) = twins();
    let (rest, served) = both(&room, "audit verify --dir DIR");
    assert_eq!((rest.code, &rest.out), (0, &served.out));
    assert_eq!(rest.err, served.err);
    room.put("head", &served.out);
    room.put("later", format!("9{}", served.out));
    let (rest, served) = both(&room, "audit verify --dir DIR --head head");
    assert_eq!((rest.code, served.code, &rest.err), (0, 0, &served.err));
    let (rest, served) = both(&room, "audit verify --dir DIR --head later");
    assert_eq!((rest.code, served.code, &rest.out), (3, 3, &served.out));
    let (rest, served) = both(&room, "reindex --dir DIR");
    assert_eq!((rest.code, &rest.out), (0, &served.out));
    let (rest, served) = both(&room, "doctor --dir DIR");
    let marks =
        |ran: &Ran| ran.out.lines().map(|l| l.split('：').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((rest.code, marks(&rest)), (served.code, marks(&served)));
    assert_eq!(rest.out.lines().next(), served.out.lines().next());
    let (rest, served) = both(&room, "search --dir DIR 低保");
    assert_eq!(rest.out, served.out, "after a reindex");
}

#[test]
fn backups_and_keys_are_made_through_the_server() {
    let (room, _server) = twins();
    std::fs::create_dir(room.at("keys")).unwrap();
    let one = room.good("backup keygen --out keys/a.key --dir s");
    let two = room.good("backup keygen --out keys/b.key --dir s");
    room.good("backup keygen --out keys/rest.key --dir d");
    let signer = |name: &str| {
        let text = String::from_utf8(room.bytes(name)).unwrap();
        text.lines().find(|l| l.starts_with("# signer: ")).unwrap().to_owned()
    };
    assert_eq!(signer("keys/a.key"), signer("keys/rest.key"));
    assert_eq!(room.fails("backup keygen --out keys/a.key --dir s", 1).out, "");
    assert_eq!(room.fails("backup keygen --out s/x.key --dir s", 1).out, "");
    let recipients = format!("--recipient {} --recipient {}", one.trim(), two.trim());
    let (rest, served) = both(&room, &format!("backup run --dir DIR --to t-DIR {recipients}"));
    assert_eq!((rest.code, served.code), (0, 0), "{rest:?} {served:?}");
    assert_eq!(number_after(&rest.err, "记录 "), number_after(&served.err, "记录 "));
    let (rest, served) = both(&room, &format!("backup run --dir DIR --to t-DIR --recipient {}", one.trim()));
    assert_eq!((rest.code, served.code, rest.err), (1, 1, served.err));
    for dir in ["d", "s"] {
        room.good(&format!("backup restore --from t-{dir} --identity keys/a.key --dir n-{dir}"));
    }
    let search = |dir: &str| room.good(&format!("search --dir {dir} --format json --limit 20 低保"));
    assert_eq!(search("n-d"), search("n-s"));
    assert_eq!(search("n-d"), search("s"));
    let (rest, served) = both(&room, "setup-link --dir DIR");
    assert_eq!((rest.code, served.code, rest.err), (1, 1, served.err));
}

#[test]
fn exit_codes_come_back() {
    let (room, _server) = twins();
    room.put("bad.json", "[");
    for line in [
        "search --dir DIR --queries bad.json",
        "search --dir DIR",
        "import petitions none.jsonl --dir DIR",
        "import petitions bad.json --dir DIR --map bad.json",
        "import petitions bad.json --dir DIR --unit 无此室",
        "import petitions bad.json --dir DIR",
        "audit verify --dir DIR --head none",
    ] {
        let (rest, served) = both(&room, line);
        assert_ne!(rest.code, 0, "{line}");
        let note = |ran: &Ran| ran.err.lines().filter(|l| !l.contains('秒')).collect::<Vec<_>>().join("\n");
        assert_eq!((rest.code, &rest.out, note(&rest)), (served.code, &served.out, note(&served)), "{line}");
    }
}

#[test]
fn a_served_folder_has_no_second_owner() {
    let (room, server) = twins();
    let url = |port: &str| format!("serve --dir s --listen 127.0.0.1:{port}");
    assert_eq!(room.fails(&url("0"), 1).out, "");
    assert_eq!(room.fails("demo --dir s --no-serve", 1).out, "");
    let taken = server.address.rsplit(':').next().unwrap().to_owned();
    let refused = room.fails(&format!("serve --dir d --listen 127.0.0.1:{taken}"), 1);
    assert!(refused.err.contains("--listen"), "{refused:?}");
    assert_eq!(room.run("search --dir s 低保").code, 0, "the server lives on");
    assert_eq!(room.run("search --dir d 低保").code, 0, "the folder is free again");
}

#[test]
fn a_server_that_died_is_in_nobodys_way() {
    let (room, server) = twins();
    room.put("p.jsonl", lines(&[petition("r1", 1)]));
    assert_eq!(counts(&summary(&room, "petitions p.jsonl --dir s").0), [1, 1, 0, 0]);
    let before = room.good("search --dir s --format json 水渠");
    server.die();
    assert_eq!(room.good("search --dir s --format json 水渠"), before);
    assert_eq!(room.run("audit verify --dir s").code, 0);
    let again = room.serve("s");
    assert_eq!(room.good("search --dir s --format json 水渠"), before);
    drop(again);
    assert_eq!(room.run("doctor --dir s").code, 0);
}

#[test]
fn a_long_path_has_a_socket_too() {
    let room = Room::new();
    let deep = format!("{}/{}", "深".repeat(30), "层".repeat(60));
    std::fs::create_dir_all(room.at(&deep)).unwrap();
    let dir = format!("{deep}/d");
    room.good(&format!("demo --dir {dir} --no-serve"));
    let rest = room.good(&format!("search --dir {dir} 低保"));
    let _server = room.serve(&dir);
    assert_eq!(room.good(&format!("search --dir {dir} 低保")), rest);
}

#[test]
fn a_county_being_set_up_gets_its_link_from_the_server() {
    let room = Room::new();
    room.good("init --dir c --county 甲乙县");
    let server = room.serve("c");
    let link = room.good("setup-link --dir c");
    assert!(link.starts_with(&format!("https://{}/setup/", server.address)), "{link}");
    drop(server);
    county(&room, "o", ANSWERS);
    let _server = room.serve("o");
    room.fails("setup-link --dir o", 1);
    let search = |input: &str| room.ask(&["search", "--dir", "o", "--as", "jingban", "-"], input);
    assert_eq!((search("Qiu-tian.2034\n墙").code, search("Qiu-tian.2035\n墙").code), (0, 1));
    assert_eq!(room.fails("search --dir o 墙", 2).out, "");
}
