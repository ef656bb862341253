//! Backup keys are replaced by two administrators: one asks, another one sees what would change and agrees.

use super::county::{County, OWN, Person};

fn ask(person: &Person, lines: &[String]) -> super::wire::Answer {
    person.get("/backup/recipients").expect(200);
    person.post_form("/backup/recipients", &[("recipients", &lines.join("\r\n")), OWN])
}

/// The number of the proposal that waits.
fn waiting(person: &Person) -> String {
    let page = person.get("/backup/recipients").expect(200).text();
    page.split("name=\"at\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn answer(person: &Person, at: &str, word: &str) -> super::wire::Answer {
    person.post_form("/backup/recipients/decide", &[("at", at), ("answer", word), OWN])
}

fn keys(county: &County) -> Vec<String> {
    let key = |n: usize| {
        let out = format!("{}.{n}.key", county.dir().display());
        let made = county.cli_alone(&["backup", "keygen", "--out", &out]);
        String::from_utf8_lossy(&made.stdout).trim().rsplit(char::is_whitespace).next().unwrap().to_owned()
    };
    (0..3).map(key).collect()
}

#[test]
fn backup_keys_are_replaced_by_two_administrators_and_never_by_one() {
    let county = County::bare();
    let keys = keys(&county);
    assert!(keys.iter().all(|k| k.starts_with("age1")), "{keys:?}");
    let (sysadmin, secadmin, auditor) = (county.sysadmin(), county.secadmin(), county.auditor());
    sysadmin.get("/backup").expect(200);
    let first = [format!("{} 甲保管人", keys[0]), keys[1].clone()];
    sysadmin.post_form("/backup", &[("recipients", &first.join("\r\n")), OWN]).expect(303);
    assert!(auditor.get("/backup").says("甲保管人"));

    // What cannot be used is refused, with what was typed.
    for (typed, why) in [
        (vec![keys[0].clone()], "至少要有 2 把"),
        (vec![keys[0].clone(), keys[0].clone()], "至少要有 2 把"),
        (vec![keys[0].clone(), keys[1].clone(), keys[0].clone()], "写了两次"),
        (vec![keys[0].clone(), format!("{} {}", keys[1], "长".repeat(41))], "最多 40 个字"),
        (first.to_vec(), "相同"),
    ] {
        let page = ask(&sysadmin, &typed).expect(422);
        assert!(page.says(why) && typed.iter().all(|line| page.says(line)), "{why}: {}", page.text());
    }

    let next = [first[0].clone(), format!("{} 备用机", keys[2])];
    ask(&sysadmin, &next).expect(303);
    let at = waiting(&sysadmin);
    assert!(secadmin.get("/").says("提出更换备份密钥"), "every administrator is told");
    assert!(secadmin.get("/backup/recipients").says("不再使用"));
    // Who asked does not agree, and nothing holds yet.
    answer(&sysadmin, &at, "agree").expect(404);
    assert!(!secadmin.key_sheet().says("备用机"));
    // An answer to another proposal than the one that waits is none.
    assert!(answer(&secadmin, "1", "agree").expect(422).says("已经处理过"));
    answer(&auditor, &at, "refuse").expect(303);
    assert!(answer(&secadmin, &at, "agree").expect(422).says("已经处理过"));
    assert!(!secadmin.get("/backup/keys").says("备用机"));

    ask(&sysadmin, &next).expect(303);
    let at = waiting(&secadmin);
    county.restart();
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    answer(&secadmin, &at, "agree").expect(303);
    let sheet = secadmin.get("/backup/keys").expect(200);
    assert!(sheet.says("备用机") && sheet.says(&keys[2]) && !sheet.says(&keys[1]), "{}", sheet.text());
    assert!(!secadmin.get("/").says("提出更换备份密钥"));
    let audit = county.auditor().get("/audit");
    assert!(audit.says("申请更换备份密钥") && audit.says("设置备份密钥"), "{}", audit.text());

    // The next set is for the new keys, and opens with none that was taken away.
    let target = format!("{}.sets", county.dir().display());
    let done = county.cli(&["backup", "run", "--to", &target]);
    assert!(done.status.success(), "{done:?}");
    let opens = |n: usize| {
        let key = format!("{}.{n}.key", county.dir().display());
        county.cli_alone(&["backup", "verify", "--to", &target, "--identity", &key]).status.success()
    };
    assert_eq!([0, 1, 2].map(opens), [true, false, true]);
    sysadmin.get("/backup").expect(200);
    std::fs::remove_dir_all(target).unwrap();
}
