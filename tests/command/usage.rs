//! Wrong use leaves with 2 and nothing done; help is there for every command, in Chinese.

use crate::room::Room;

/// Every command as its words.
const COMMANDS: &[&str] = &[
    "",
    "demo",
    "init",
    "setup-link",
    "serve",
    "import",
    "search",
    "backup",
    "backup keygen",
    "backup run",
    "backup list",
    "backup verify",
    "backup restore",
    "audit",
    "audit verify",
    "key",
    "key list",
    "key add",
    "key remove",
    "key rotate",
    "unlock",
    "reindex",
    "doctor",
];

/// Lines nobody should write; `d` is a demo county, `bad.*` make no sense, `none` is not there.
const WRONG: &[&str] = &[
    "",
    "nonsense",
    "demo d",
    "demo --dir d --listen nowhere",
    "demo --dir d --listen 127.0.0.1:70000",
    "demo --dir d --bear",
    "init",
    "init --dir n",
    "init --county 甲县",
    "init --dir n --county",
    "init --dir n --county 甲县 --answers none.toml",
    "init --dir n --county 甲县 --answers bad.toml",
    "init --dir n --county 甲县 --answers odd.toml",
    "setup-link",
    "serve",
    "serve --dir d --listen 8443",
    "serve --dir d --config none.toml",
    "serve --dir d --config bad.toml",
    "serve --dir d --config odd.toml",
    "import",
    "import petitions",
    "import petitions --dir d",
    "import petitions rows.jsonl",
    "import letters rows.jsonl --dir d",
    "import petitions rows.jsonl --dir d --format xml",
    "import petitions none.jsonl --dir d",
    "import petitions rows.jsonl --dir d --map none.json",
    "import petitions rows.jsonl --dir d --map bad.json",
    "import petitions rows.jsonl --dir d --as demo",
    "search --dir d",
    "search --dir d 甲 乙",
    "search --dir d --kind person 甲",
    "search --dir d --limit many 甲",
    "search --dir d --limit -1 甲",
    "search --dir d --format xml 甲",
    "search --dir d --queries none.jsonl",
    "search --dir d --queries bad.json",
    "search --dir d --queries rows.jsonl 甲",
    "search --dir d --as demo 甲",
    "backup",
    "backup nonsense",
    "backup keygen",
    "backup run",
    "backup run --dir d",
    "backup run --to t",
    "backup list",
    "backup verify",
    "backup restore",
    "backup restore --from t --dir n",
    "backup restore --from t --identity k",
    "backup restore --identity k --dir n",
    "audit",
    "audit verify",
    "audit verify --dir d --head none",
    "audit verify --dir d --head bad.json",
    "reindex",
    "doctor",
    "doctor d",
    "doctor --dir d --deep",
    "key",
    "key nonsense",
    "key list",
    "key add --dir d",
    "key add token --dir d",
    "key add key-file --dir d",
    "key add passphrase --dir d",
    "key add recovery --dir d",
    "key add recovery --dir d --path k",
    "key remove --dir d",
    "key rotate",
    "unlock",
    "unlock --dir d",
    "unlock --dir d --identity none",
];

#[test]
fn wrong_use_leaves_with_2_and_does_nothing() {
    let room = Room::bare();
    room.put("rows.jsonl", "{\"title\":\"甲\",\"text\":\"乙\"}\n");
    room.put("bad.toml", "= what");
    room.put("odd.toml", "unknown_key = 1\n");
    room.put("bad.json", "[1, 2");
    let (names, head) = (room.names("."), room.head("d"));
    for line in WRONG {
        let ran = room.fails(line, 2);
        assert!(ran.out.is_empty(), "{line}: results of a wrong use: {ran:?}");
    }
    assert_eq!(room.ask(&["init", "--dir", "n", "--county", " "], "").code, 2);
    assert_eq!(room.ask(&["search", "--dir", "d", "--queries"], "").code, 2);
    assert_eq!((room.names("."), room.head("d")), (names, head));
}

#[test]
fn every_command_has_chinese_help() {
    let room = Room::new();
    let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    for command in COMMANDS {
        let [long, short] = ["--help", "-h"].map(|flag| room.good(&format!("{command} {flag}")));
        assert!(
            [&long, &short].iter().all(|h| chinese(h.lines().next().unwrap_or_default())),
            "{command}: {long}"
        );
        let rows = short.lines().filter(|l| l.starts_with("  ") && !l.contains("Print "));
        let bare: Vec<&str> = rows.filter(|l| !chinese(l)).collect();
        assert!(bare.is_empty(), "{command}: not explained: {bare:#?}");
    }
    let version = room.good("--version");
    assert_eq!(version.trim(), concat!("jiceng ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_folder_that_holds_no_data_is_refused() {
    let room = Room::new();
    room.put("file", "something");
    std::fs::create_dir(room.at("empty")).unwrap();
    let before = room.names(".");
    for dir in ["none", "empty", "file"] {
        for line in
            ["search 甲", "doctor", "audit verify", "reindex", "setup-link", "serve", "backup run --to t", "key list"]
        {
            let ran = room.fails(&format!("{line} --dir {dir}"), 1);
            assert!(ran.out.is_empty() && ran.err.contains("不是数据目录"), "{line} {dir}: {ran:?}");
        }
    }
    assert!(room.fails("search 甲", 1).err.contains("jiceng-demo"));
    assert_eq!(room.names("."), before);
    assert!(room.names("empty").is_empty());
}
