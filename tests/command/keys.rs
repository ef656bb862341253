//! Keys: slots of every kind come and go and open what they should, generations rotate, and a service that nothing
//! opens waits for somebody.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiceng::base::RecordId;
use jiceng::base::clock::SystemClock;
use jiceng::records::{Author, act, decide, petition};
use jiceng::store::{Act, Doer, Store};

use crate::room::{Ran, Room};

const WORDS: &str = "青石桥头-第七盏灯-不归";

/// A small county with a passphrase.
fn guarded() -> Room {
    let room = Room::bare();
    assert_eq!(told(&room, "key add passphrase --dir d --name duty", WORDS).code, 0);
    room
}

fn told(room: &Room, line: &str, words: &str) -> Ran {
    room.ask(&line.split_whitespace().collect::<Vec<_>>(), &format!("{words}\n"))
}

/// The key file is somewhere else.
fn lose_key_file(room: &Room) {
    fs::rename(room.at("d.key"), room.at("elsewhere")).unwrap();
}

fn kinds(room: &Room) -> Vec<String> {
    let slots: serde_json::Value = serde_json::from_slice(&room.bytes("d/keys.json")).unwrap();
    let kind = |slot: &serde_json::Value| slot["kind"].as_str().unwrap().to_owned();
    slots["slots"].as_array().unwrap().iter().map(kind).collect()
}

fn generations(room: &Room) -> Vec<u64> {
    let slots: serde_json::Value = serde_json::from_slice(&room.bytes("d/keys.json")).unwrap();
    let all = slots["generations"].as_array().unwrap();
    all.iter().map(|g| g["generation"].as_u64().unwrap()).collect()
}

#[test]
fn slots_come_and_go_at_rest_and_beside_a_server() {
    let room = guarded();
    let list = room.good("key list --dir d");
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains("key-file  密钥文件  ") && list.contains("duty  口令  -  需要人来打开"), "{list}");
    let server = room.serve("d");
    room.good("key add key-file --dir d --name usb --path usb.key");
    assert_eq!(told(&room, "key add passphrase --dir d", "甲乙丙丁 戊己庚辛 壬癸").code, 0);
    assert_eq!(kinds(&room), ["key-file", "passphrase", "key-file", "passphrase"]);
    room.good("key remove passphrase --dir d");
    room.good("key remove key-file --dir d");
    assert_eq!(room.good("key list --dir d").lines().count(), 2);
    drop(server);
    fs::remove_file(room.at("d.key")).unwrap();
    assert!(room.good("key list --dir d").contains("usb  密钥文件"));
    // The journal says what was done and no secret.
    assert_eq!(told(&room, "key add passphrase --dir d", "短").code, 1);
    for line in [
        "key add key-file --dir d --path d/inside.key",
        "key add key-file --dir d --path usb.key",
        "key add key-file --dir d --path new.key --name usb",
        "key add recovery --dir d --recipient age1nonsense",
        "key add credential --dir d",
        "key remove nothing --dir d",
    ] {
        room.fails(line, 1);
    }
    for line in [
        "key add key-file --dir d",
        "key add recovery --dir d",
        "key add recovery --dir d --path x --recipient age1x",
        "key add passphrase --dir d --path x",
        "key add passphrase --dir d --passphrase x",
    ] {
        room.fails(line, 2);
    }
    assert!(!room.at("new.key").exists() && !room.at("d/inside.key").exists());
    room.good("key remove duty --dir d");
    let last = room.fails("key remove usb --dir d", 1);
    assert!(last.err.contains("不能删除"), "{last:?}");
    assert!(room.good("doctor --dir d").contains("密钥："));
}

#[test]
fn a_credential_of_systemd_opens_the_data() {
    let room = Room::bare();
    fs::create_dir(room.at("credentials")).unwrap();
    room.good("key add credential --dir d --path credentials/jiceng.key");
    let list = |room: &Room| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jiceng"));
        command.args(["key", "list", "--dir"]).arg(room.at("d"));
        command.env("CREDENTIALS_DIRECTORY", room.at("credentials")).output().unwrap()
    };
    lose_key_file(&room);
    let out = list(&room);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("credential  systemd 凭据  -  本次由它打开"), "{out:?}");
    fs::write(room.at("credentials/jiceng.key"), room.bytes("elsewhere")).unwrap();
    assert!(!list(&room).status.success());
    room.edit_slots("d", |slots| drop(slots["slots"].as_array_mut().unwrap().remove(0)));
    let ran = room.fails("key list --dir d", 1);
    assert!(ran.err.contains("LoadCredential"), "{ran:?}");
}

#[test]
fn without_a_server_a_sealed_folder_says_what_to_do() {
    let room = guarded();
    lose_key_file(&room);
    for line in ["doctor", "search 甲", "key list", "audit verify", "reindex"] {
        let ran = room.fails(&format!("{line} --dir d"), 1);
        assert!(ran.out.is_empty() && ran.err.contains("尚未解锁"), "{ran:?}");
    }
    // Nobody waits for it.
    assert_eq!(told(&room, "unlock --dir d", WORDS).code, 1);
    // Kinds of a newer program are told apart from a file that is spoilt.
    room.edit_slots("d", |slots| {
        slots["slots"] = serde_json::json!([{ "kind": "token", "name": "t", "serial": 5 }]);
    });
    for line in ["doctor --dir d", "serve --dir d"] {
        assert!(room.fails(line, 1).err.contains("不认识的密钥槽"));
    }
    room.edit_slots("d", |slots| slots["format"] = 3.into());
    assert!(room.fails("doctor --dir d", 1).err.contains("新版程序"));
}

#[test]
fn a_sealed_server_is_unlocked_at_the_console() {
    let room = guarded();
    fs::create_dir(room.at("safe")).unwrap();
    let recipient = room.good("backup keygen --out safe/recovery.key");
    room.good("backup keygen --out safe/other.key");
    room.good(&format!("key add recovery --dir d --name safe --recipient {}", recipient.trim()));
    lose_key_file(&room);
    let (records, wanted) = (|| room.records("d"), ["safe/recovery.key", ""]);
    for identity in wanted {
        let server = room.serve("d");
        let ran = room.fails("audit verify --dir d", 1);
        assert!(ran.err.contains("尚未解锁"), "{ran:?}");
        assert_eq!(told(&room, "unlock --dir d", "不是这个口令吧").code, 1);
        room.fails("unlock --dir d --identity safe/other.key", 1);
        room.fails("unlock --dir d --identity d/keys.json", 1);
        let ran = match identity {
            "" => told(&room, "unlock --dir d", WORDS),
            file => room.run(&format!("unlock --dir d --identity {file}")),
        };
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(records() > 0);
        assert_eq!(told(&room, "unlock --dir d", "什么都行").out.trim(), "数据已经解锁。");
        drop(server);
        room.fails("audit verify --dir d", 1);
    }
}

/// A county of records that were made by hand, many and quickly.
fn many(room: &Room, records: usize) {
    let store = Store::open(&room.at("d"), Arc::new(SystemClock)).unwrap();
    let doer = || Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() };
    for from in (0..records).step_by(1_000) {
        let count = 1_000.min(records - from);
        let made = store.submit(move |txn| {
            let author = Author { account: RecordId(1), unit: RecordId(2) };
            for _ in 0..count {
                let fields = (petition::KIND.sample)(1);
                txn.create(decide::create(&petition::KIND, fields, author, txn.now()).unwrap())?;
            }
            txn.act(Act::new(doer(), act::IMPORT));
            Ok(())
        });
        made.unwrap();
    }
}

#[test]
fn a_rotation_that_was_killed_is_taken_up_again_by_the_server() {
    let room = Room::bare();
    many(&room, 20_000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_jiceng"));
    command.args(["key", "rotate", "--dir"]).arg(room.at("d")).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.next().unwrap().unwrap().starts_with("已轮换 0/"));
    said.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(generations(&room), [1, 2], "it was done before it was killed");
    assert!(room.run("doctor --dir d").out.contains("密钥轮换没有完成"));
    // A set of this moment holds both generations, and what is restored from it goes on as well.
    let [a, b] = ["a", "b"].map(|n| room.good(&format!("backup keygen --out {n}.key --dir d")));
    room.good(&format!("backup run --dir d --to t --recipient {} --recipient {}", a.trim(), b.trim()));
    room.good("backup restore --from t --identity a.key --dir n");
    assert!(room.run("doctor --dir n").out.contains("密钥轮换没有完成"));
    room.good("key rotate --dir n");
    assert!(room.records("n") >= 20_000);
    let server = room.serve("d");
    // It goes on by itself; nothing says when it is done but the slot file.
    for _ in 0..3_000 {
        if generations(&room) == [2] {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(generations(&room), [2]);
    assert!(room.records("d") >= 20_000);
    drop(server);
    assert!(!room.run("doctor --dir d").out.contains("密钥轮换没有完成"));
}

#[test]
fn a_large_county_is_rotated_in_one_go() {
    let room = Room::bare();
    let records = 2_000 * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse::<usize>().unwrap());
    many(&room, records);
    let _server = room.serve("d");
    let begun = std::time::Instant::now();
    let said = room.good("key rotate --dir d");
    println!("{records} records: all keys rotated in {} ms", begun.elapsed().as_millis());
    assert!(said.contains("第 2 代"), "{said}");
    assert_eq!(generations(&room), [2]);
}

/// ASVS 11.2.2
#[test]
fn rotating_beside_a_server_keeps_sets_and_slots_usable() {
    let room = guarded();
    fs::create_dir(room.at("keys")).unwrap();
    let keys = ["a", "b"].map(|n| room.good(&format!("backup keygen --out keys/{n}.key --dir d")));
    let records = 2_000;
    many(&room, records);
    let run = format!("backup run --dir d --to t --recipient {} --recipient {}", keys[0].trim(), keys[1].trim());
    let server = room.serve("d");
    let before = room.good(&run);
    let ran = room.run("key rotate --dir d");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("第 2 代") && ran.err.contains("已轮换"), "{ran:?}");
    assert_eq!(generations(&room), [2]);
    room.good(&run);
    drop(server);
    // A set from before is whole too, and what comes of it goes on.
    room.good(&format!("backup restore --from t --identity keys/a.key --set {} --dir n", before.trim()));
    room.good("key rotate --dir n");
    assert!(room.records("n") >= records as u64);
    // The slots lead to the new generation.
    lose_key_file(&room);
    let _server = room.serve("d");
    assert_eq!(told(&room, "unlock --dir d", WORDS).code, 0);
    assert!(room.records("d") >= records as u64);
}

/// ASVS 13.3.1
#[test]
fn no_secret_lies_in_the_folder_or_is_said() {
    let room = guarded();
    let mut said = room.run("key list --dir d").all();
    said.push_str(&told(&room, "key add passphrase --dir d --name other", "另一句口令-说来话长").all());
    said.push_str(&room.run("key add key-file --dir d --path usb.key").all());
    said.push_str(&room.run("key rotate --dir d").all());
    let line = String::from_utf8(room.bytes("d.key")).unwrap();
    let key = line.trim().strip_prefix("jiceng-key-1 ").unwrap();
    let raw = BASE64.decode(key).unwrap();
    let other = String::from_utf8(room.bytes("usb.key")).unwrap().trim().replace("jiceng-key-1 ", "");
    let canaries = [WORDS.as_bytes().to_vec(), key.as_bytes().to_vec(), raw, "另一句口令".into(), other.into_bytes()];
    let mut files = vec![room.at("d")];
    let mut looked = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        looked += bytes.len();
        for canary in &canaries {
            let found = bytes.windows(canary.len()).any(|w| w == canary.as_slice());
            assert!(!found, "{}", path.display());
        }
    }
    assert!(looked > 100_000);
    assert!(!said.contains(WORDS) && !said.contains(key) && !said.contains("另一句口令"), "{said}");
    let slots = String::from_utf8(room.bytes("d/keys.json")).unwrap();
    assert!(slots.contains("\"argon2id\""), "{slots}");
}

#[test]
fn no_core_is_dumped_and_children_still_work() {
    let room = Room::demo();
    let server = room.serve("d");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|w| *w == "0").count(), 2, "{core}");
    // A reading child of the server.
    room.put("rows.csv", "题目,内容\n反映某事,来信称某事属实。\n");
    let ran = room.run("import petitions rows.csv --dir d --dry-run");
    assert!(ran.out.contains("可导入 1 件"), "{ran:?}");
}
