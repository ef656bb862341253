//! Backups in the page: the schedule, a run now, what everybody is told, the key sheet. The server's own thread does
//! the work; how it follows its clock is tested where the clock can be set (`app::runner`).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiceng::base::{Clock, clock::SystemClock};

use super::county::{County, OWN, Person};
use super::form::forms;
use super::wire::Answer;

/// A county whose targets lie beside its folder, and that folder.
fn county() -> (County, PathBuf) {
    let county = County::bare();
    let root = PathBuf::from(format!("{}.media", county.dir().display()));
    fs::create_dir(&root).unwrap();
    county.restart_with(&format!("[backup]\nroots = [{:?}]\n", root.display().to_string()));
    (county, root)
}

fn keys(county: &County) -> [String; 2] {
    ["a", "b"].map(|name| {
        let out = format!("{}.{name}.key", county.dir().display());
        let ran = county.cli(&["backup", "keygen", "--out", &out]);
        assert!(ran.status.success());
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    })
}

/// Two days of the week, rising, on which no test runs into a due time: neither today nor tomorrow.
fn days() -> [(&'static str, &'static str); 2] {
    const DAYS: [(&str, &str); 7] = [
        ("1", "周一"),
        ("2", "周二"),
        ("3", "周三"),
        ("4", "周四"),
        ("5", "周五"),
        ("6", "周六"),
        ("7", "周日"),
    ];
    let today = usize::from(SystemClock.now().weekday());
    let mut days = [DAYS[(today + 1) % 7], DAYS[(today + 3) % 7]];
    days.sort_unstable();
    days
}

/// The days as the page says them.
fn words() -> String {
    let [one, two] = days();
    format!("{}、{} 02:00、14:30", one.1, two.1)
}

fn plan<'a>(target: &'a str, keep: &'a str) -> Vec<(&'static str, &'a str)> {
    let [one, two] = days();
    let rest = [("times", "02:00 14:30"), ("target", target), ("keep", keep), ("alarm", "26")];
    [("days", one.0), ("days", two.0)].into_iter().chain(rest).collect()
}

/// Looks at the page until no run is under way.
#[track_caller]
fn when_done(person: &Person) -> Answer {
    for _ in 0..600 {
        let page = person.get("/backup").expect(200);
        if !page.text().contains("http-equiv=\"refresh\"") {
            return page;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the run does not end");
}

/// Recipients and a schedule into `t` below the root.
fn prepared() -> (County, String) {
    let (county, root) = county();
    let sysadmin = county.sysadmin();
    let keys = keys(&county);
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup", &[("recipients", &keys.join("\n")), OWN]).expect(303);
    let target = root.join("t").display().to_string();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/schedule", &plan(&target, "3")).expect(303);
    (county, target)
}

#[test]
fn the_notice_comes_to_the_three_and_goes_when_all_is_set() {
    let (county, root) = county();
    let three = || [county.sysadmin(), county.secadmin(), county.auditor()];
    for person in three() {
        for page in ["/", "/account?all=1", "/backup"] {
            let shown = person.get(page).expect(200);
            assert!(
                shown.says("没有设置备份计划") && shown.says("还没有设置备份密钥"),
                "{page} {}",
                person.login
            );
        }
    }
    let clerk = county.clerk("石鼓岭镇纪委");
    assert!(!clerk.get("/").expect(200).says("备份计划"));
    let sysadmin = county.sysadmin();
    let keys = keys(&county);
    sysadmin.post_form("/backup", &[("recipients", &keys.join(" ")), OWN]).expect(303);
    assert!(sysadmin.get("/").says("没有设置备份计划") && !sysadmin.get("/").says("还没有设置备份密钥"));
    let target = root.join("t").display().to_string();
    sysadmin.post_form("/backup/schedule", &plan(&target, "3")).expect(303);
    for person in three() {
        assert!(!person.get("/").says("打开备份页"), "{}", person.login);
    }
    // A run that fails brings it back, one that works takes it away.
    let mark = root.join("t/jiceng-target.txt");
    let text = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/run", &[]).expect(303);
    let page = when_done(&sysadmin);
    assert!(page.says("备份目标没有挂载") && page.says("失败"), "{}", page.text());
    assert_eq!(fs::read_dir(root.join("t")).unwrap().count(), 0);
    for person in three() {
        let desk = person.get("/");
        assert!(desk.says("的备份失败：备份目标没有挂载") && desk.says("打开备份页"), "{}", person.login);
    }
    fs::write(&mark, text).unwrap();
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/run", &[]).expect(303);
    assert!(when_done(&sysadmin).says("已写出并恢复核验"));
    for person in three() {
        assert!(!person.get("/").says("打开备份页"), "{}", person.login);
    }
    let doctor = county.cli(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("[正常] 备份"), "{doctor:?}");
}

#[test]
fn a_wrong_schedule_is_shown_again_with_all_its_faults() {
    let (county, root) = county();
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    let wrong = [("times", "25:00"), ("target", "media"), ("keep", "2"), ("alarm", "0")];
    let page = sysadmin.post_form("/backup/schedule", &wrong).expect(422);
    for words in [
        "请至少选一天",
        "请填写 1 至 24 个时刻",
        "请填写完整路径",
        "保留套数应为 3 至",
        "提醒时限（小时）应为 1 至",
    ] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    let form = forms(&page.text()).into_iter().find(|f| f.action == "/backup/schedule").unwrap();
    for (name, value) in wrong {
        assert_eq!(form.value(name), value, "what was typed is lost");
    }
    let outside = root.with_extension("elsewhere").display().to_string();
    let inside = county.dir().join("t").display().to_string();
    let climbing = format!("{}/../x", root.display());
    for target in ["/etc", "/tmp", &outside, &inside, &climbing] {
        let page = sysadmin.post_form("/backup/schedule", &plan(target, "3")).expect(422);
        assert!(page.says("备份目标必须在"), "{target}");
    }
    assert!(!PathBuf::from(&outside).exists() && !PathBuf::from(&inside).exists());
    assert!(sysadmin.get("/").says("没有设置备份计划"));
    sysadmin.get("/backup").expect(200);
    assert!(sysadmin.post_form("/backup/run", &[]).expect(422).says("还没有设置备份计划"));
    let target = root.join("t").display().to_string();
    sysadmin.post_form("/backup/schedule", &plan(&target, "9")).expect(303);
    let form = forms(&sysadmin.get("/backup").text());
    let form = form.into_iter().find(|f| f.action == "/backup/schedule").unwrap();
    assert_eq!(
        [form.value("times"), form.value("keep"), form.value("target")],
        ["02:00 14:30", "9", &target]
    );
    let days: Vec<&str> = form.pairs.iter().filter(|(n, _)| n == "days").map(|(_, v)| v.as_str()).collect();
    assert_eq!(days, self::days().map(|d| d.0));
    let audit = county.auditor().get("/audit");
    assert!(audit.says("设置备份计划") && audit.says(&format!("{} 保留9套", words())), "{}", audit.text());
}

#[test]
fn a_run_now_is_watched_left_and_found_again() {
    let (county, target) = prepared();
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/run", &[]).expect(303);
    let page = sysadmin.get("/backup?done=run").expect(200);
    assert!(page.text().contains("http-equiv=\"refresh\"") && page.says("<progress"), "{}", page.text());
    assert!(!page.text().contains("/backup/schedule"), "a page that reloads itself has no form to type into");
    sysadmin.get("/").expect(200);
    let page = when_done(&sysadmin);
    assert!(page.says("已写出并恢复核验") && !page.says("按计划"), "{}", page.text());
    let sets = |page: &Answer| page.text().matches("chip-ok\">已验证").count();
    assert_eq!(sets(&page), 1);
    assert!(sysadmin.get("/").text().contains("已加密 · 最近备份 20"));
    // Four more: three stay. What is not ours stays too, and is told apart.
    fs::write(PathBuf::from(&target).join("film.mkv"), "somebody's").unwrap();
    for _ in 0..4 {
        sysadmin.get("/backup").expect(200);
        sysadmin.post_form("/backup/run", &[]).expect(303);
        when_done(&sysadmin);
    }
    let page = sysadmin.get("/backup");
    assert_eq!(sets(&page), 3, "{}", page.text());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 8);
    let key = format!("{}.a.key", county.dir().display());
    let verified = county.cli_alone(&["backup", "verify", "--to", &target, "--identity", &key]);
    assert!(verified.status.success(), "{verified:?}");
    let audit = county.auditor().get("/audit");
    assert!(audit.says("开始备份") && audit.says("清理旧备份") && audit.says("1 套"), "{}", audit.text());
}

#[test]
fn the_other_two_look_and_nobody_else_does() {
    let (county, target) = prepared();
    for person in [county.secadmin(), county.auditor()] {
        let page = person.get("/backup").expect(200);
        assert!(page.says(&target) && page.says(&words()), "{}", person.login);
        assert!(forms(&page.text()).iter().all(|f| !f.action.starts_with("/backup")), "{}", person.login);
        for path in ["/backup/schedule", "/backup/run", "/backup/cancel", "/backup"] {
            person.post_form(path, &plan(&target, "5")).expect(404);
        }
        assert!(person.get("/backup/keys").expect(200).says("密钥保管单"));
    }
    let clerk = county.clerk("石鼓岭镇纪委");
    clerk.get("/backup").expect(404);
    clerk.get("/backup/keys").expect(404);
    clerk.post_form("/backup/run", &[]).expect(404);
    clerk.post_form("/backup/schedule", &plan(&target, "5")).expect(404);
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1, "only the mark");
    assert!(county.sysadmin().get("/backup").says("value=\"3\""));
}

#[test]
fn the_key_sheet_names_every_key_and_no_secret() {
    let (county, _) = prepared();
    let signed = county.cli(&["backup", "keygen", "--out", &format!("{}.c.key", county.dir().display())]);
    let print = String::from_utf8_lossy(&signed.stderr).trim().rsplit('：').next().unwrap().to_owned();
    let sheet = county.sysadmin().key_sheet();
    assert!(print.len() == 19 && sheet.says(&print), "{print}: {}", sheet.text());
    for name in ["a", "b"] {
        let text = fs::read_to_string(format!("{}.{name}.key", county.dir().display())).unwrap();
        let public = text.lines().find_map(|l| l.strip_prefix("# recipient: ")).unwrap();
        assert!(sheet.says(public), "{public}");
        let secret = text.lines().find(|l| l.starts_with("AGE-SECRET")).unwrap();
        assert!(!sheet.text().contains(secret));
    }
    for words in ["望澜县", "保管人", "签字、日期", "存放处", "移交人签字", "当前位置"]
    {
        assert!(sheet.says(words), "{words}");
    }
    assert!(sheet.text().matches("class=\"blank\"").count() >= 2 * 4 + 20);
}

#[test]
fn drills_and_keys_are_shown_printed_and_answered() {
    let (county, target) = prepared();
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/run", &[]).expect(303);
    when_done(&sysadmin);
    let page = sysadmin.get("/backup/checks").expect(200);
    assert!(page.says("还没有做过恢复演练") && page.text().matches("没有核对过").count() == 2, "{}", page.text());
    let key = |name: &str| format!("{}.{name}.key", county.dir().display());
    let signed = county.cli(&["backup", "keygen", "--out", &key("c")]);
    let print = String::from_utf8_lossy(&signed.stderr).trim().rsplit('：').next().unwrap().to_owned();
    let drill = ["backup", "drill", "--from", &target, "--identity", &key("a"), "--signer", &print];
    let done = county.cli(&drill);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let page = county.auditor().get("/backup/checks").expect(200);
    let address = page.text().split("href=\"/backup/drills/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let sheet = county.secadmin().get(&format!("/backup/drills/{address}")).expect(200);
    for line in said.lines().skip(1).filter(|l| !l.starts_with("演练完成时间")) {
        let text = line.split_once('：').unwrap().1;
        assert!(sheet.says(text), "{text}: {}", sheet.text());
    }
    // A challenge is answered by the holder of its key and by nobody else.
    let public = |name: &str| {
        let text = fs::read_to_string(key(name)).unwrap();
        text.lines().find_map(|l| l.strip_prefix("# recipient: ")).unwrap().to_owned()
    };
    let recipient = public("a");
    sysadmin.get("/backup/checks").expect(200);
    let early = [("recipient", recipient.as_str()), ("answer", "x")];
    assert!(sysadmin.post_form("/backup/checks/answer", &early).expect(422).says("没有待回答的核对题"));
    sysadmin.post_form("/backup/checks/ask", &[("recipient", &recipient)]).expect(303);
    let page = sysadmin.get("/backup/checks").expect(200).text();
    let text = page.split("<pre class=\"mono\">").nth(1).unwrap().split("</pre>").next().unwrap();
    let file = key("challenge");
    fs::write(&file, text).unwrap();
    let answered = county.cli_alone(&["backup", "answer", "--identity", &key("b"), &file]);
    assert!(!answered.status.success() && answered.stdout.is_empty(), "{answered:?}");
    let wrong = [("recipient", recipient.as_str()), ("answer", "0000-0000-0000-0000-0000")];
    let page = sysadmin.post_form("/backup/checks/answer", &wrong).expect(422);
    assert!(page.says("答案不对") && page.says("上次答错"), "{}", page.text());
    let answered = county.cli_alone(&["backup", "answer", "--identity", &key("a"), &file]);
    let answer = String::from_utf8_lossy(&answered.stdout).trim().to_uppercase().replace('-', " ");
    let right = [("recipient", recipient.as_str()), ("answer", answer.as_str())];
    sysadmin.post_form("/backup/checks/answer", &right).expect(303);
    let page = sysadmin.get("/backup/checks").expect(200);
    assert!(page.says("可以使用") && !page.says("上次答错") && !page.text().contains("<pre"), "{}", page.text());
    assert!(sysadmin.post_form("/backup/checks/answer", &right).expect(422).says("没有待回答的核对题"));
    let other = [("recipient", "age1nobody")];
    assert!(sysadmin.post_form("/backup/checks/ask", &other).expect(422).says("没有这把备份密钥"));
    assert!(sysadmin.post_form("/backup/checks", &[("drill", "0"), ("key", "183")]).expect(422).says("周期没有保存"));
    sysadmin.post_form("/backup/checks", &[("drill", "90"), ("key", "100")]).expect(303);
    assert!(county.auditor().get("/backup/checks").says("每 90 天至少一次"));
    let audit = county.auditor().get("/audit");
    for words in ["恢复演练", "发出密钥核对题", "核对备份密钥", "设置演练与核对周期", "90 天、100 天"] {
        assert!(audit.says(words), "{words}: {}", audit.text());
    }
}

#[test]
fn a_restored_county_is_looked_at_until_two_of_the_three_confirm() {
    let (county, target) = prepared();
    let clerk = county.clerk("石鼓岭镇纪委");
    let path = clerk.register(&[]);
    let sysadmin = county.sysadmin();
    sysadmin.get("/backup").expect(200);
    sysadmin.post_form("/backup/run", &[]).expect(303);
    when_done(&sysadmin);
    let signed = county.cli(&["backup", "keygen", "--out", &format!("{}.c.key", county.dir().display())]);
    let print = String::from_utf8_lossy(&signed.stderr).trim().rsplit('：').next().unwrap().to_owned();
    county.kill_9();
    // A restored county makes a certificate of its own; the browsers of this test know the old one only.
    let tls = PathBuf::from(format!("{}.tls", county.dir().display()));
    fs::rename(county.dir().join("tls"), &tls).unwrap();
    fs::remove_dir_all(county.dir()).unwrap();
    let key = format!("{}.a.key", county.dir().display());
    let line = ["backup", "restore", "--from", &target, "--identity", &key, "--signer", &print];
    let restored = county.cli(&line);
    assert!(restored.status.success(), "{restored:?}");
    fs::rename(tls, county.dir().join("tls")).unwrap();
    county.restart();
    let clerk = county.clerk("石鼓岭镇纪委");
    assert!(clerk.get(&path).expect(200).says("只能查看"), "reading goes on, and everybody is told");
    let form = |clerk: &Person| clerk.form("/petition/new").fill(super::county::PETITION);
    let refused = clerk.submit(&form(&clerk));
    assert!(refused.status != 303 && refused.says("须由三员中的两人"), "{} {}", refused.status, refused.text());
    assert!(!clerk.get("/backup").says("确认恢复无误"));
    let [one, two] = [county.secadmin(), county.auditor()];
    let page = one.get("/backup").expect(200);
    assert!(page.says("确认恢复无误") && page.says("空号") && page.says("已确认 0 人"), "{}", page.text());
    one.post_form("/backup/confirm", &[]).expect(303);
    one.get("/backup").expect(200);
    assert!(one.post_form("/backup/confirm", &[]).expect(422).says("您已经确认过"));
    assert!(!clerk.submit(&form(&clerk)).says("已登记"));
    two.get("/backup").expect(200);
    two.post_form("/backup/confirm", &[]).expect(303);
    assert!(!two.get("/backup").says("确认恢复无误") && !clerk.get("/").says("只能查看"));
    clerk.submit(&form(&clerk)).expect(303);
    let audit = county.auditor().get("/audit");
    assert!(audit.says("确认恢复") && audit.says("恢复空号"), "{}", audit.text());
    county.is_sound();
}
