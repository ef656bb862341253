//! `backup`: sets that come back whole, and everything that must not be believed or overwritten.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use jiceng::app::App;
use jiceng::base::Clock;
use jiceng::base::clock::SystemClock;
use jiceng::store::seal::sha256;
use serde_json::Value;

use crate::ledger::{DITCH, hits, lines, petition};
use crate::room::{Draw, Ran, Room, number_after};
use crate::setup::{ANSWERS, county};

/// Two keys that trust the county in `d`, one that trusts nobody, and the words that name the first two.
fn custody(room: &Room) -> String {
    let key = |line: &str| room.good(line).trim().to_owned();
    let one = key("backup keygen --out a.key --dir d");
    let two = key("backup keygen --out b.key --dir d");
    key("backup keygen --out bare.key");
    format!("--recipient {one} --recipient {two}")
}

/// The demo county with one set in `t`.
fn backed_up() -> (Room, String) {
    let room = Room::demo();
    let recipients = custody(&room);
    room.good(&format!("backup run --dir d --to t {recipients}"));
    (room, recipients)
}

/// Restores into `n`, which must be refused with one of these codes and leave nothing.
fn refused(room: &Room, more: &str, codes: &[i32]) -> Ran {
    let before = room.names(".");
    let ran = room.run(&format!("backup restore --from t --dir n {more}"));
    assert!(codes.contains(&ran.code), "{more}: {ran:?}");
    assert!(ran.out.is_empty() && !ran.err.trim().is_empty(), "{more}: {ran:?}");
    assert_eq!(room.names("."), before, "{more}: a refusal leaves nothing");
    ran
}

/// Names of the data file and of the manifest of the one set in `t`.
fn files(room: &Room) -> [String; 2] {
    let names = room.names("t");
    ["data", "manifest"].map(|kind| names.iter().find(|n| n.contains(&format!(".{kind}."))).unwrap().clone())
}

#[test]
fn fewer_than_two_recipients_write_nothing() {
    let room = Room::demo();
    let recipients = custody(&room);
    let words: Vec<&str> = recipients.split(' ').collect();
    let before = room.names(".");
    let lone = format!("--recipient {}", words[1]);
    for given in [
        "",
        &lone,
        &format!("{lone} {lone}"),
        "--recipient x --recipient y",
        &format!("{lone} --recipient age1"),
    ] {
        let ran = room.fails(&format!("backup run --dir d --to t {given}"), 1);
        assert!(ran.out.is_empty(), "{given}: {ran:?}");
        assert_eq!(room.names("."), before, "{given}");
    }
    room.fails(&format!("backup run --dir d --to d/backup {recipients}"), 1);
    room.put("file", "somebody's");
    room.fails(&format!("backup run --dir d --to file {recipients}"), 1);
    assert_eq!(room.bytes("file"), b"somebody's");
    assert!(!room.at("d/backup").exists());
}

#[test]
fn outside_demos_only_the_configured_recipients_are_served() {
    let room = Room::new();
    let keys =
        ["a", "b", "x", "y"].map(|k| room.good(&format!("backup keygen --out {k}.key")).trim().to_owned());
    county(&room, "c", &format!("recipients = [\"{}\", \"{}\"]\n{ANSWERS}", keys[0], keys[1]));
    let before = room.names(".");
    for (one, two) in [(2, 3), (0, 2)] {
        let line = format!("backup run --dir c --to t --recipient {} --recipient {}", keys[one], keys[two]);
        room.fails(&line, 1);
        assert_eq!(room.names("."), before);
    }
    room.good("backup run --dir c --to t");
    for (key, code) in [("a", 0), ("b", 0), ("x", 1)] {
        let ran = room.run(&format!("backup verify --to t --identity {key}.key"));
        assert_eq!(ran.code, code, "{key}: {ran:?}");
    }
    assert!(room.good("doctor --dir c").contains("最近一次已验证的备份"));
}

/// Petitions keep coming in through the socket while a set is written; what was acknowledged before is in it.
#[test]
fn a_set_written_during_an_import_is_the_snapshot() {
    let room = Arc::new(Room::demo());
    let recipients = custody(&room);
    let _server = room.serve("d");
    let (acknowledged, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let clerk = {
        let (room, acknowledged, stop) = (Arc::clone(&room), Arc::clone(&acknowledged), Arc::clone(&stop));
        std::thread::spawn(move || {
            for batch in 0..400 {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let refs: Vec<String> = (0..7).map(|n| format!("b{batch}-{n}")).collect();
                let rows: Vec<Value> =
                    refs.iter().enumerate().map(|(n, r)| petition(r, batch * 7 + n)).collect();
                room.put("batch.jsonl", lines(&rows));
                room.good("import petitions batch.jsonl --dir d");
                acknowledged.lock().unwrap().extend(refs);
            }
        })
    };
    let mut sets = Vec::new();
    for round in 1..=3 {
        while acknowledged.lock().unwrap().len() < round * 21 {
            std::thread::yield_now();
        }
        let known = acknowledged.lock().unwrap().clone();
        let ran = room.run(&format!("backup run --dir d --to t {recipients}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        sets.push((ran, known));
    }
    let last = acknowledged.lock().unwrap().len();
    while acknowledged.lock().unwrap().len() == last {
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    clerk.join().unwrap();
    let live = room.records("d");
    for (n, (ran, known)) in sets.iter().enumerate() {
        let dir = format!("n{n}");
        room.good(&format!("backup restore --from t --set {} --identity a.key --dir {dir}", ran.out.trim()));
        let records = number_after(&ran.err, "记录 ");
        assert_eq!(room.records(&dir), records);
        assert!(records < live && records >= 582 + known.len() as u64);
        equal_for(&room, &dir, known);
        let head = ran.err.lines().find(|l| l.contains("链头 ")).unwrap();
        let hash = head.rsplit("链头 ").next().unwrap();
        room.put("head", format!("{} {hash}\n", number_after(head, "日志 ")));
        room.good(&format!("audit verify --dir {dir} --head head"));
        room.good("audit verify --dir d --head head");
    }
}

/// Both counties answer alike for these references.
fn equal_for(room: &Room, dir: &str, refs: &[String]) {
    let rows = refs.iter().map(|r| serde_json::json!({"id": r, "text": r}));
    room.put("refs.jsonl", lines(&rows.collect::<Vec<_>>()));
    let ask = |dir: &str| {
        room.good(&format!("search --dir {dir} --kind petition --queries refs.jsonl --format json"))
    };
    let found = ask(dir);
    assert_eq!(found, ask("d"));
    for (line, reference) in found.lines().zip(refs) {
        assert!(line.contains(&format!("\"ref\":\"{reference}\"")), "{reference} is lost");
    }
}

#[test]
fn sets_are_listed_and_verified_with_and_without_a_key() {
    let (room, recipients) = backed_up();
    let first = room.good("backup list --to t");
    room.put("p.jsonl", lines(&[petition("r1", 1)]));
    room.good("import petitions p.jsonl --dir d");
    let second = room.good(&format!("backup run --dir d --to t {recipients}"));
    let listed = room.good("backup list --to t");
    let ids: Vec<&str> = listed.lines().map(|l| l.split("  ").next().unwrap()).collect();
    assert_eq!(ids, [second.trim(), first.split("  ").next().unwrap()], "newest first");
    assert!(listed.lines().all(|l| l.ends_with("  完整") && !l.contains("望澜县")), "{listed}");
    for (key, trust) in [("a", "签名可信"), ("b", "签名可信"), ("bare", "")] {
        let listed = room.good(&format!("backup list --to t --identity {key}.key"));
        assert_eq!(
            listed.lines().filter(|l| l.contains("望澜县") && l.contains(trust)).count(),
            if key == "bare" { 0 } else { 2 }
        );
    }
    assert_eq!(room.good("backup verify --to t").lines().filter(|l| l.contains("  完好  ")).count(), 2);
    let whole = room.good("backup verify --to t --identity b.key");
    assert_eq!(
        whole.lines().filter(|l| l.contains("可以恢复：记录 ") && l.contains("签名属于本县")).count(),
        2
    );
    assert!(whole.contains("记录 584 条") && whole.contains("记录 582 条"), "{whole}");
    room.fails("backup verify --to t --identity bare.key", 1);
    for line in
        ["backup list --to none", "backup verify --to none", "backup verify --to t --identity none.key"]
    {
        let ran = room.fails(line, if line.contains("identity") { ran_code(&room, line) } else { 1 });
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    std::fs::create_dir(room.at("empty")).unwrap();
    assert_eq!(room.good("backup list --to empty"), "");
    room.fails("backup verify --to empty", 1);
    let older = format!("backup restore --from t --set {} --identity a.key --dir n", ids[1]);
    room.good(&older);
    assert_eq!(room.records("n"), 582);
    assert!(room.names("t").iter().all(|n| n.ends_with(".age")), "{:?}", room.names("t"));
}

/// A key file that is not there is wrong use or a failure; either is said.
fn ran_code(room: &Room, line: &str) -> i32 {
    let code = room.run(line).code;
    assert!(code == 1 || code == 2, "{line}: {code}");
    code
}

#[test]
fn a_target_shows_nothing_to_whoever_has_no_key() {
    let (room, _) = backed_up();
    assert_eq!(room.names("t").len(), 2);
    for name in room.names("t") {
        assert!(name.ends_with(".age"), "{name}");
        let bytes = room.bytes(&format!("t/{name}"));
        for word in ["望澜县", "低保", "demo-a001", "Wanglan", "信访"] {
            assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{name} shows {word}");
        }
    }
}

#[test]
fn wrong_keys_and_signers_are_refused() {
    let (room, recipients) = backed_up();
    room.good("backup keygen --out stranger.key --dir d");
    refused(&room, "--identity stranger.key", &[1]);
    room.put("nonsense.key", "hello\n");
    refused(&room, "--identity nonsense.key", &[1, 2]);
    refused(&room, "--identity none.key", &[1, 2]);
    refused(&room, "--identity a.key --set 20200101T000000Z-s000000000001", &[1]);
    refused(&room, "--identity a.key --set nonsense", &[1, 2]);
    // Another county writes to our target, for our keys.
    room.good("demo --dir e --no-serve --bare");
    let theirs = room.good(&format!("backup run --dir e --to t {recipients}"));
    let other = format!("--identity a.key --set {}", theirs.trim());
    assert!(refused(&room, &other, &[1]).err.contains("签名"));
    refused(&room, &format!("{other} --signer 0000-0000-0000-0000"), &[1]);
    assert_eq!(room.run("backup verify --to t --identity a.key").code, 1);
    let ran = room.run("backup keygen --out theirs.key --dir e");
    let print = ran.err.rsplit("指纹：").next().unwrap().trim();
    let before = room.names(".");
    room.good(&format!("backup restore --from t --dir n {other} --signer {print}"));
    assert_eq!(room.names(".").len(), before.len() + 2, "the folder and its key file");
}

#[test]
fn a_key_file_without_a_signer_asks_for_the_fingerprint() {
    let room = Room::demo();
    let keys = ["x", "y"].map(|k| room.good(&format!("backup keygen --out {k}.key")).trim().to_owned());
    room.good(&format!("backup run --dir d --to t --recipient {} --recipient {}", keys[0], keys[1]));
    let ran = refused(&room, "--identity x.key", &[1]);
    let print = ran.err.split("--signer ").nth(1).unwrap().split_whitespace().next().unwrap();
    refused(&room, "--identity x.key --signer 1111-2222-3333-4444", &[1]);
    room.good(&format!("backup restore --from t --dir n --identity x.key --signer {print}"));
    assert_eq!(room.records("n"), 582);
}

#[test]
fn cut_flipped_and_missing_files_are_damage() {
    let (room, _) = backed_up();
    let mut draw = Draw(7);
    for (name, flips) in files(&room).into_iter().zip([14, 6]) {
        let path = format!("t/{name}");
        let whole = room.bytes(&path);
        let cuts = [0, 1, whole.len() / 3, whole.len() - 17, whole.len() - 1];
        let flips: Vec<_> = (0..flips).map(|_| (draw.below(whole.len()), true)).collect();
        for (at, flip) in flips.into_iter().chain(cuts.map(|at| (at, false))) {
            let mut bytes = whole.clone();
            if flip {
                bytes[at] ^= 1 << draw.below(8)
            } else {
                bytes.truncate(at)
            }
            room.put(&path, &bytes);
            let about = format!("{name} at {at}, flip {flip}");
            for key in ["", "--identity a.key"] {
                let ran = room.run(&format!("backup verify --to t {key}"));
                assert!(ran.code == 3 && ran.out.contains(&name), "{about}: {ran:?}");
            }
            assert!(refused(&room, "--identity a.key", &[3]).err.contains(&name), "{about}");
            // A forger gives the spoilt file the name it should have.
            let digest = hex::encode(&sha256(&[&bytes])[..16]);
            let words: Vec<&str> = name.split('.').collect();
            let forged = format!("t/{}.{digest}.{}.age", words[0], words[2]);
            std::fs::rename(room.at(&path), room.at(&forged)).unwrap();
            refused(&room, "--identity a.key", &[1, 3]);
            assert_ne!(room.run("backup verify --to t --identity a.key").code, 0, "{about}, forged");
            std::fs::remove_file(room.at(&forged)).unwrap();
            room.put(&path, &whole);
        }
    }
    room.good("backup verify --to t --identity a.key");
    let [data, manifest] = files(&room);
    let set = manifest.split('.').next().unwrap().to_owned();
    for (name, code) in [(manifest, 1), (data, 3)] {
        let path = format!("t/{name}");
        let whole = room.bytes(&path);
        std::fs::remove_file(room.at(&path)).unwrap();
        assert!(room.good("backup list --to t").contains("不完整"));
        refused(&room, "--identity a.key", &[1]);
        refused(&room, &format!("--identity a.key --set {set}"), &[code]);
        room.fails("backup verify --to t", code);
        room.put(&path, &whole);
    }
    room.good("backup restore --from t --dir n --identity a.key");
}

/// Two sets that were written before attachments went into the pool, the later one with a damaged attachment: they are
/// listed, verified and restored as ever, and new sets come beside them.
#[test]
fn sets_of_the_first_format_are_good_for_ever() {
    let room = Room::new();
    std::fs::create_dir(room.at("t")).unwrap();
    let first = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/first-sets");
    for entry in std::fs::read_dir(first).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let to = if name.ends_with(".age") { format!("t/{name}") } else { name.to_owned() };
        room.put(&to, std::fs::read(&path).unwrap());
    }
    let listed = room.good("backup list --to t --identity keeper.key");
    assert_eq!(listed.lines().filter(|l| l.contains("完整") && l.contains("签名可信")).count(), 2, "{listed}");
    assert_eq!(room.good("backup verify --to t").lines().filter(|l| l.contains("  完好  ")).count(), 2);
    let verified = room.good("backup verify --to t --identity keeper.key");
    let says = |set: &str, words: &str| verified.lines().any(|l| l.starts_with(set) && l.ends_with(words));
    let sets = ["20261124T031436Z-s000000000004", "20261124T031437Z-s000000000005"];
    assert!(says(sets[0], "记录 77 条，附件 2 个，签名属于本县"), "{verified}");
    assert!(says(sets[1], "附件 1 个，签名属于本县，另有 1 个附件在备份前已经损坏（记录 77）"), "{verified}");
    let ran = room.run("backup restore --from t --identity keeper.key --dir later");
    assert!(ran.code == 0 && ran.err.contains("1 个附件在备份前已经损坏"), "{ran:?}");
    room.good(&format!("backup restore --from t --set {} --identity keeper.key --dir n", sets[0]));
    assert_eq!((room.records("n"), room.run("audit verify --dir n").code), (77, 0));
    let recipients = ["x", "y"].map(|k| room.good(&format!("backup keygen --out {k}.key --dir n")).trim().to_owned());
    let line = format!("backup run --dir n --to t --recipient {} --recipient {}", recipients[0], recipients[1]);
    let ran = room.run(&line);
    assert!(ran.code == 0 && ran.err.contains("附件 2 个（新存 2 个"), "{ran:?}");
    assert!(room.run(&line).err.contains("附件 2 个（新存 0 个、0 字节）"));
    assert_eq!(room.good("backup verify --to t").lines().filter(|l| l.contains("  完好  ")).count(), 4);
    assert_eq!(room.run("backup verify --to t --identity x.key").code, 1, "the first two are not for this key");
    let newest = room.good("backup list --to t").lines().next().unwrap()[..30].to_owned();
    room.good(&format!("backup restore --from t --set {newest} --identity x.key --dir again"));
    assert_eq!((room.records("again"), room.run("audit verify --dir again").code), (77, 0));
}

#[test]
fn a_restore_overwrites_nothing() {
    let (room, _) = backed_up();
    let head = room.head("d");
    room.put("file", "somebody's");
    std::fs::create_dir(room.at("full")).unwrap();
    room.put("full/notes.txt", "somebody's");
    let before = room.names(".");
    for dir in ["d", "full", "file", "t", "t/new"] {
        room.fails(&format!("backup restore --from t --identity a.key --dir {dir}"), 1);
        assert_eq!(room.names("."), before, "{dir}");
    }
    assert_eq!(
        (room.head("d"), room.names("full"), room.names("t").len()),
        (head, vec!["notes.txt".into()], 2)
    );
    std::fs::create_dir(room.at("empty")).unwrap();
    room.good("backup restore --from t --identity a.key --dir empty");
    assert_eq!(room.records("empty"), 582);
}

/// Two of the three administrators confirm a restore, as they do in the page.
fn confirm(room: &Room, dir: &str) {
    let app = App::open(&room.at(dir), Arc::new(SystemClock)).unwrap();
    for login in ["sysadmin", "auditor"] {
        let actor = app.demo_actor(login).unwrap();
        app.confirm_restore(&actor).unwrap();
        assert!(app.confirm_restore(&actor).is_err(), "nobody confirms twice");
    }
    assert!(app.resting().unwrap().is_none());
}

#[test]
fn register_numbers_go_on_behind_those_on_paper() {
    let (room, _) = backed_up();
    let year = SystemClock.now().year();
    let counter = format!("信访〔{year}〕");
    let last = App::open(&room.at("d"), Arc::new(SystemClock)).unwrap().counter(&counter).unwrap();
    let line = |dir: &str, more: &str| format!("backup restore --from t --identity a.key --dir {dir} {more}");
    for (text, code) in [("信访", 2), ("无此〔2026〕=1", 2), (&format!("{counter}={}", last + 20_000), 1)] {
        let before = room.names(".");
        room.fails(&line("n", &format!("--last {text}")), code);
        assert_eq!(room.names("."), before, "{text}");
    }
    for (dir, more, to) in [
        ("known", format!("--last 信访[{year}]={}", last + 7), last + 7),
        ("less", format!("--last {counter}=1"), last),
        ("unknown", String::new(), last + 100),
    ] {
        let ran = room.run(&line(dir, &more));
        let void = format!("空号：{counter}{}-{to}号", last + 1);
        assert!(ran.code == 0 && ran.err.contains(&void) == (to > last), "{dir}: {ran:?}");
        assert!(ran.err.contains("现在只能查看"), "{ran:?}");
        assert_eq!(room.run(&format!("audit verify --dir {dir}")).code, 0);
        confirm(&room, dir);
        room.put("p.jsonl", lines(&[petition("r1", 1)]));
        room.good(&format!("import petitions p.jsonl --dir {dir}"));
        let number = hits(&room, dir, DITCH)[0]["number"].as_str().unwrap().to_owned();
        assert_eq!(number, format!("{counter}{}号", to + 1));
    }
}

#[test]
fn a_restored_county_opens_serves_and_goes_on_counting() {
    let (room, _) = backed_up();
    room.good("backup restore --from t --identity b.key --dir n");
    assert_eq!(room.run("doctor --dir n").code, 0);
    let all =
        |dir: &str| room.good(&format!("search --dir {dir} --kind petition --format json --limit 1000 的"));
    assert_eq!(all("n"), all("d"));
    let numbers = |dir: &str| -> Vec<u64> {
        let found = hits(&room, dir, DITCH);
        let number = |h: &Value| h["number"].as_str().unwrap().rsplit('〕').next().unwrap().to_owned();
        found.iter().map(|h| number(h).trim_end_matches('号').parse().unwrap()).collect()
    };
    let used: Vec<String> = {
        let answer: Value = serde_json::from_str(&all("d")).unwrap();
        answer["hits"].as_array().unwrap().iter().map(|h| h["number"].as_str().unwrap().to_owned()).collect()
    };
    room.put("p.jsonl", lines(&[petition("r1", 1), petition("r2", 2)]));
    let refused = room.fails("import petitions p.jsonl --dir n", 1);
    assert!(refused.all().contains("数据刚从备份恢复，现在只能查看"), "{refused:?}");
    confirm(&room, "n");
    let server = room.serve("n");
    room.good("import petitions p.jsonl --dir n");
    room.good("import petitions p.jsonl --dir d");
    let mut issued = numbers("n");
    issued.sort_unstable();
    assert!(issued.len() == 2 && issued[1] == issued[0] + 1, "{issued:?}");
    for hit in hits(&room, "n", DITCH) {
        assert!(!used.contains(&hit["number"].as_str().unwrap().to_owned()), "{hit} has a number twice");
    }
    drop(server);
    assert_eq!(room.run("audit verify --dir n").code, 0);
    assert_eq!(room.records("n"), room.records("d"));
}
