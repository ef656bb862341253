//! `backup drill` and `backup answer`: what people with a key do now and then.

use crate::room::Room;

/// The demo county with one set in `t`; both keys believe it.
fn backed_up() -> (Room, String) {
    let room = Room::demo();
    let key = |name: &str| room.good(&format!("backup keygen --out {name}.key --dir d")).trim().to_owned();
    let recipients = format!("--recipient {} --recipient {}", key("a"), key("b"));
    room.good(&format!("backup run --dir d --to t {recipients}"));
    (room, recipients)
}

/// Entries of the journal in `d`.
fn seq(room: &Room) -> u64 {
    room.head("d").split_once(' ').unwrap().0.parse().unwrap()
}

#[test]
fn a_drill_restores_everything_says_so_and_leaves_nothing() {
    let (room, recipients) = backed_up();
    let (names, sets) = (room.names("."), room.names("t"));
    // The run itself made the last entry.
    let (before, hash) = (seq(&room) - 1, room.head("d").split_once(' ').unwrap().1.to_owned());
    let said = room.good("backup drill --from t --identity a.key --dir d");
    for words in
        ["备份恢复演练证书", "记录：582 条，与备份时一致", &format!("日志：{before} 条"), "检索自测：30 次，全部找到"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains(&hash), "the head is that of the set");
    assert_eq!((room.names("."), room.names("t")), (names.clone(), sets), "nothing stays");
    assert_eq!(seq(&room), before + 2, "the drill is in the journal");
    // Elsewhere, without the data folder, and from a folder of its own.
    let ran = room.run("backup drill --to t --identity b.key --work .");
    assert!(ran.code == 0 && ran.out.contains("记录：582 条") && ran.err.contains("没有登记"), "{ran:?}");
    assert_eq!((room.names("."), seq(&room)), (names.clone(), before + 2));
    // Another county's set, opened by our key, is not entered here.
    room.good("demo --dir e --no-serve --bare");
    room.good(&format!("backup run --dir e --to u {recipients}"));
    let print = room.run("backup keygen --out theirs.key --dir e").err.rsplit("指纹：").next().unwrap().trim().to_owned();
    room.fails("backup drill --from u --identity a.key --dir d", 1);
    let ran = room.fails(&format!("backup drill --from u --identity a.key --dir d --signer {print}"), 1);
    assert!(ran.err.contains("对不上") && ran.out.is_empty(), "{ran:?}");
    room.good("backup keygen --out stranger.key --dir d");
    room.fails("backup drill --from t --identity stranger.key --dir d", 1);
    room.fails("backup drill --from none --identity a.key --dir d", 1);
    let data = room.names("t").into_iter().find(|n| n.contains(".data.")).unwrap();
    let mut bytes = room.bytes(&format!("t/{data}"));
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    room.put(&format!("t/{data}"), bytes);
    room.fails("backup drill --from t --identity a.key --dir d", 3);
    assert_eq!(seq(&room), before + 2, "what failed is not entered");
}

#[test]
fn a_challenge_that_is_none_is_refused() {
    let room = Room::new();
    room.good("backup keygen --out a.key");
    room.put("nonsense", "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n");
    for line in ["backup answer --identity a.key nonsense", "backup answer --identity a.key"] {
        let ran = room.run(line);
        assert!(ran.code != 0 && ran.out.is_empty() && !ran.err.is_empty(), "{line}: {ran:?}");
    }
    room.fails("backup answer --identity a.key none", 2);
}
