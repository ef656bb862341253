//! `demo`, `init` and `setup-link`: what a new folder is, and that a refusal leaves none.

use std::os::unix::fs::PermissionsExt;

use crate::room::Room;

/// Answers that are right; tests spoil them.
pub(crate) const ANSWERS: &str = r#"
[[unit]]
name = "信访室"
kind = "office"
[[unit]]
name = "甲乙镇纪委"
kind = "township"
[[account]]
login = "xitong"
name = "系统一"
unit = "信访室"
roles = ["sysadmin"]
password = "Qiu-tian.2031"
[[account]]
login = "baomi"
name = "保密二"
unit = "信访室"
roles = ["secadmin"]
password = "Qiu-tian.2032"
[[account]]
login = "shenji"
name = "审计三"
unit = "信访室"
roles = ["auditor"]
password = "Qiu-tian.2033"
[[account]]
login = "jingban"
name = "经办四"
unit = "甲乙镇纪委"
roles = ["handler"]
password = "Qiu-tian.2034"
"#;

/// A county that is not a demo, in `c`, set up by answers.
pub(crate) fn county(room: &Room, dir: &str, answers: &str) {
    room.put("answers.toml", answers);
    room.good(&format!("init --dir {dir} --county 甲乙县 --answers answers.toml"));
}

#[test]
fn a_second_demo_run_takes_what_is_there() {
    let room = Room::new();
    let first = room.run("demo --dir d --no-serve");
    assert!(first.code == 0 && first.err.contains("正在建立"), "{first:?}");
    assert!(first.out.contains("登录名 demo"));
    let (head, records) = (room.head("d"), room.records("d"));
    assert!(records > 500, "{records}");
    for line in ["demo --dir d --no-serve", "demo --dir d --no-serve --bare"] {
        let again = room.run(line);
        assert!(again.code == 0 && !again.err.contains("正在建立"), "{again:?}");
        assert_eq!(again.out, first.out);
    }
    assert_eq!((room.head("d"), room.records("d")), (head, records));
    assert_eq!(room.names("."), ["d", "d.key"]);
}

#[test]
fn the_demo_lies_in_its_default_place_and_search_finds_it_there() {
    let room = Room::new();
    room.good("demo --no-serve");
    assert_eq!(room.names("."), ["jiceng-demo", "jiceng-demo.key"]);
    assert!(room.good("search 低保").starts_with("共 "));
}

#[test]
fn a_bare_demo_has_units_and_accounts_only() {
    let room = Room::bare();
    for kind in ["petition", "regulation", "article", "all"] {
        assert_eq!(room.good(&format!("search --dir d --kind {kind} 的")).lines().next(), Some("共 0 条"));
    }
    assert!(room.records("d") > 50);
}

/// ASVS 15.2.3
#[test]
fn a_demo_refuses_every_folder_that_is_none() {
    let room = Room::new();
    county(&room, "c", ANSWERS);
    room.good("init --dir fresh --county 丙县");
    std::fs::create_dir(room.at("full")).unwrap();
    room.put("full/notes.txt", "somebody's");
    room.put("file", "somebody's");
    let (before, head) = (room.names("."), room.head("c"));
    for dir in ["c", "fresh", "full", "file"] {
        let ran = room.fails(&format!("demo --dir {dir} --no-serve"), 1);
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    assert_eq!((room.names("."), room.head("c")), (before, head));
    assert_eq!(room.names("full"), ["notes.txt"]);
    assert_eq!(room.bytes("file"), b"somebody's");
}

/// ASVS 6.3.2
#[test]
fn init_prints_a_link_once_and_refuses_a_second_time() {
    let room = Room::new();
    let link = room.good("init --dir c --county 甲乙县");
    let printed = room.run("setup-link --dir c");
    let shown = printed.err.lines().find_map(|l| l.strip_prefix("证书指纹（SHA-256）：")).unwrap().to_owned();
    assert_eq!(shown.split(':').count(), 32, "{printed:?}");
    assert!(room.run("setup-link --dir c").err.contains(&shown), "the certificate stays");
    let token = |link: &str| {
        let token = link.trim().strip_prefix("https://127.0.0.1:8443/setup/").map(str::to_owned).unwrap();
        assert!(token.len() >= 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{link}");
        token
    };
    let mode = |name: &str| std::fs::metadata(room.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("c"), mode("c.key"), mode("c/keys.json")), (0o700, 0o600, 0o600));
    let (before, head, key) = (room.names("."), room.head("c"), room.bytes("c.key"));
    for line in ["init --dir c --county 甲乙县", "init --dir c --county 丙县"] {
        assert!(room.fails(line, 1).out.is_empty());
    }
    assert_eq!((room.names("."), room.head("c"), room.bytes("c.key")), (before, head, key));
    let other = room.good("setup-link --dir c");
    assert_ne!(token(&link), token(&other));
    assert!(room.fails("doctor --dir c", 1).out.contains("尚未初始化"));
}

#[test]
fn init_with_answers_needs_nobody() {
    let room = Room::new();
    county(&room, "c", ANSWERS);
    // Two units, four accounts.
    assert_eq!(room.records("c"), 6);
    assert!(room.fails("setup-link --dir c", 1).out.is_empty());
    let doctor = room.run("doctor --dir c");
    assert!(doctor.code == 0 && doctor.out.contains("三员账户已建立"), "{doctor:?}");
    assert!(doctor.out.contains("三员和负责人（审批）必须启用动态码"), "{doctor:?}");
    room.put("p.jsonl", "{\"title\":\"一件\",\"text\":\"院墙倒了\",\"unit\":\"甲乙镇纪委\"}\n");
    let import = ["import", "petitions", "p.jsonl", "--dir", "c", "--as", "jingban"];
    assert_eq!(room.ask(&import, "Qiu-tian.2035\n").code, 1, "a wrong password");
    assert_eq!(room.ask(&import[..5], "Qiu-tian.2034\n").code, 2, "no account");
    assert_eq!(room.ask(&import, "Qiu-tian.2034\n").code, 0);
    let search = |login: &str, input: &str| room.ask(&["search", "--dir", "c", "--as", login, "-"], input);
    let found = search("jingban", "Qiu-tian.2034\n院墙");
    assert!(found.code == 0 && found.out.starts_with("共 1 条\n"), "{found:?}");
    for administrator in
        [("xitong", "Qiu-tian.2031"), ("baomi", "Qiu-tian.2032"), ("shenji", "Qiu-tian.2033")]
    {
        // They need a second factor first, and only the browser gives them one.
        let none = search(administrator.0, &format!("{}\n院墙", administrator.1));
        assert_eq!((none.code, none.out.as_str()), (1, ""), "{administrator:?}");
        assert!(none.err.contains("必须启用动态码"), "{none:?}");
    }
    let mut refused = import.to_vec();
    refused[6] = "xitong";
    assert_eq!(room.ask(&refused, "Qiu-tian.2031\n").code, 1, "administrators enter no petitions");
    assert_eq!(room.ask(&["search", "--dir", "c", "--as", "nobody", "墙"], "x\n").code, 1);
}

#[test]
fn wrong_answers_leave_nothing_behind() {
    let room = Room::new();
    let without = |login: &str| {
        let rows = ANSWERS.split("[[account]]").filter(|r| !r.contains(&format!("login = \"{login}\"")));
        rows.collect::<Vec<_>>().join("[[account]]")
    };
    let with = |from: &str, to: &str| {
        assert!(ANSWERS.contains(from), "{from}");
        ANSWERS.replacen(from, to, 1)
    };
    let cases = [
        ("no answers", String::new(), 1),
        ("no accounts", "recipients = []\n".to_owned(), 1),
        ("no system administrator", without("xitong"), 1),
        ("no security administrator", without("baomi"), 1),
        ("no auditor", without("shenji"), 1),
        ("two auditors", with("\"handler\"", "\"auditor\""), 1),
        ("one person, two offices", with("[\"secadmin\"]", "[\"secadmin\", \"auditor\"]"), 1),
        (
            "one account with two offices",
            without("baomi").replacen("\"sysadmin\"", "\"sysadmin\", \"secadmin\"", 1),
            1,
        ),
        ("an administrator at business", with("[\"auditor\"]", "[\"auditor\", \"handler\"]"), 1),
        ("short password", with("Qiu-tian.2031", "Qiu-t.1"), 1),
        ("password without digits", with("Qiu-tian.2032", "Qiu-tian.autumn"), 1),
        ("password without specials", with("Qiu-tian.2033", "Qiutian20332033"), 1),
        ("password with the log-in", with("Qiu-tian.2033", "shenji-2033.x"), 1),
        ("two same persons", with("审计三", "系统一"), 1),
        ("two same log-ins", with("\"jingban\"", "\"shenji\""), 1),
        ("two same units", with("甲乙镇纪委", "信访室"), 1),
        ("unit without a name", with("甲乙镇纪委", ""), 1),
        ("unknown unit", with("unit = \"信访室\"", "unit = \"无此室\""), 1),
        ("unknown kind of unit", with("\"township\"", "\"village\""), 1),
        ("one recipient", format!("recipients = [\"age1x\"]\n{ANSWERS}"), 1),
        ("no recipients at all", format!("recipients = [\"a\", \"b\"]\n{ANSWERS}"), 1),
        ("unknown key", format!("colour = \"red\"\n{ANSWERS}"), 2),
        ("not TOML", "[[account]".to_owned(), 2),
    ];
    let before = ["answers.toml"];
    for (what, answers, code) in cases {
        room.put("answers.toml", answers);
        let ran = room.run("init --dir c --county 甲乙县 --answers answers.toml");
        assert_eq!(ran.code, code, "{what}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.trim().is_empty(), "{what}: {ran:?}");
        assert!(!ran.all().contains("Qiu"), "{what}: a password is repeated");
        assert_eq!(room.names("."), before, "{what}");
    }
    county(&room, "c", ANSWERS);
}

/// What the page for accounts asks for is asked of answers too.
#[test]
fn accounts_of_answers_keep_the_rules_of_accounts() {
    let room = Room::new();
    let long = format!("\"{}\"", "长".repeat(301));
    let cases = [
        ("\"handler\"", "\"chief\""),
        ("\"经办四\"", "\"\""),
        ("\"jingban\"", "\"\""),
        ("\"经办四\"", &long),
    ];
    let taken = cases.map(|(from, to)| {
        room.put("answers.toml", ANSWERS.replacen(from, to, 1));
        let ran = room.run("init --dir c --county 甲乙县 --answers answers.toml");
        let left = room.names(".");
        room.remove("c");
        (ran.code, left)
    });
    assert_eq!(taken, cases.map(|_| (1, vec!["answers.toml".to_owned()])));
}

#[test]
fn a_key_file_that_cannot_be_written_leaves_nothing_behind() {
    let room = Room::new();
    room.put("taken.key", "somebody's");
    for key in ["none/c.key", "taken.key"] {
        room.fails(&format!("init --dir c --county 甲乙县 --key-file {key}"), 1);
        assert_eq!(room.names("."), ["taken.key"], "{key}");
    }
    assert_eq!(room.bytes("taken.key"), b"somebody's");
    room.fails("init --dir c --county 甲乙县 --key-file c/c.key", 1);
    assert_eq!(room.names("."), ["taken.key"], "a key file inside the data folder");
}
