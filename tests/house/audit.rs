//! The auditor's console: everything the other administrators did field by field, nothing of what petitions say; proof
//! that the chain holds, on the page and on paper; alarms until somebody says what came of them; the system's log.

use std::io::Cursor;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use calamine::{Reader, Xlsx};
use jiceng::base::{Clock, clock::SystemClock};
use redb::ReadableTable;

use super::county::{County, OWN, Person, path_of};
use super::factor::confirm;
use super::form::{Form, attribute, escaped};

const CLERK: &str = "石鼓岭镇纪委";
/// Words of a petition that no page of the auditor may hold.
const CANARIES: [&str; 4] = ["砚青祠堂翻修款", "来信反映某村会计", "来信人戊", "测某某"];

/// Text of a page without its tags.
fn plain(page: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// Rows of the first table of a page, without tags.
fn rows(page: &str) -> Vec<String> {
    let body = page.split("<tbody>").nth(1).unwrap_or_default().split("</tbody>").next().unwrap_or_default();
    body.split("<tr>").skip(1).map(plain).collect()
}

/// An account that the system administrator makes, the security administrator gives a role, and gets a password.
fn account(county: &County) -> String {
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let page = sysadmin.get("/account/new").expect(200);
    let unit = page.text().split("<option").find(|o| o.contains(CLERK)).and_then(|o| attribute(o, "value")).unwrap();
    let form = Form::of(&page).fill(&[("login", "xinren"), ("name", "新来的人"), ("unit", &unit)]);
    let path = path_of(&sysadmin.submit(&form).expect(303));
    secadmin.submit(&secadmin.form(&format!("{path}/edit")).set("roles", "handler")).expect(303);
    sysadmin.submit(&sysadmin.form(&format!("{path}/edit")).set("name", "改名的人")).expect(303);
    sysadmin.post_form(&format!("{path}/password"), &[]).expect(200);
    confirm(&secadmin, &path);
    path
}

/// A petition with the canaries; its address.
fn petition(clerk: &Person) -> String {
    clerk.register(&[("title", CANARIES[0]), ("petitioner.name", CANARIES[2])])
}

/// ASVS 16.2.1
#[test]
fn what_administrators_changed_is_shown_field_by_field_and_no_secret() {
    let county = County::bare();
    account(&county);
    let auditor = county.auditor();
    let page = auditor.get("/audit?group=admin").expect(200).text();
    let all = plain(&page);
    for words in ["账户 #", "登录名：+ xinren", "姓名：− 新来的人 + 改名的人", "角色：+ 经办人", "所属机构：+ 石鼓岭镇纪委"] {
        assert!(all.contains(words), "{words} in {all}");
    }
    assert!(page.contains("<del>− 新来的人</del>") && page.contains("<ins>+ 改名的人</ins>"));
    let password = plain(&auditor.get("/audit?group=login").expect(200).text());
    assert!(password.contains("等待确认：已更改") && password.contains(" 口令：已更改"), "{password}");
    for page in [all, password] {
        assert!(!page.contains("argon2"));
    }
}

#[test]
fn nothing_of_a_petition_is_shown_but_kind_and_number() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = petition(&clerk);
    clerk.get(&path).expect(200);
    clerk.submit(&clerk.form(&format!("{path}/edit")).set("title", "砚青祠堂翻修款去向")).expect(303);
    county.person("xinfang").post_form(&format!("{path}/identity"), &[("reason", "核对来信地址"), OWN]).expect(200);
    clerk.search(CANARIES[0]);
    let auditor = county.auditor();
    let id = path.rsplit('/').next().unwrap();
    let mut pages: Vec<String> = ["/audit", "/audit/print", "/audit/days", "/audit/alarms", "/audit?group=business"]
        .map(|page| auditor.get(page).expect(200).text())
        .into();
    assert!(pages[0].contains(&format!("信访件 #{id}")) && pages[0].contains("核对来信地址"));
    let book = auditor.post_form("/audit/export", &[OWN]).expect(200);
    let cells = cells(&book.body);
    assert!(cells.contains(&format!("信访件 #{id}")) && cells.contains("核对来信地址"));
    pages.push(cells);
    for canary in CANARIES {
        assert!(pages.iter().all(|page| !page.contains(canary)), "{canary}");
    }
}

/// Everything in a workbook.
fn cells(bytes: &[u8]) -> String {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.to_vec())).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    sheet.rows().map(|row| row.iter().map(|c| format!("{c}\t")).collect::<String>() + "\n").collect()
}

#[test]
fn filters_are_kept_in_the_address_in_numbers_alone() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (one, two) = (petition(&clerk), petition(&clerk));
    for path in [&one, &two] {
        clerk.get(path).expect(200);
    }
    clerk.get("/audit").expect(404);
    let auditor = county.auditor();
    let page = auditor.get("/audit").expect(200).text();
    let ask = |pairs: &[(&str, &str)]| auditor.post_form("/audit", pairs);
    let person = page.split("<option").find(|o| o.contains("石鼓岭镇经办")).and_then(|o| attribute(o, "value"));
    let today = SystemClock.now().day().to_string();
    let number = format!("信访〔{}〕1号", SystemClock.now().year());
    let to = ask(&[("person", &person.unwrap()), ("from", &today), ("record", &number), ("done", "yes")]).expect(303);
    let id = one.rsplit('/').next().unwrap();
    assert!(to.location().is_ascii() && to.location().ends_with(&format!("done=yes&record={id}")), "{}", to.location());
    let found = rows(&auditor.get(to.location()).expect(200).text());
    // The other one says the same, so that its page offered this one.
    assert_eq!(found.len(), 3, "registered, opened and offered: {found:?}");
    assert!(found.iter().all(|r| r.contains(&format!("信访件 #{id}"))));
    let refused = rows(&auditor.get("/audit?done=no").expect(200).text());
    assert!(refused.len() == 1 && refused[0].contains("越权拒绝"), "{refused:?}");
    // What cannot be read is told, and stands there still.
    for (name, typed) in [("from", "昨天"), ("record", "信访〔1999〕9号")] {
        let again = ask(&[(name, typed), ("group", "look")]).expect(422).text();
        assert!(again.contains(&format!("value=\"{}\"", escaped(typed))), "{typed}");
        assert!(again.contains("value=\"look\" selected"));
    }
    assert!(rows(&auditor.get("/audit?from=20990101").expect(200).text()).is_empty());
    let first = auditor.get("/audit?before=3").expect(200).text();
    assert_eq!(rows(&first).len(), 2, "the oldest two");
}

#[test]
fn a_workbook_and_a_print_are_entered_and_say_who_made_them() {
    let county = County::bare();
    let auditor = county.auditor();
    auditor.get("/audit").expect(200);
    let book = auditor.post_form("/audit/export", &[("group", "login"), OWN]).expect(200);
    assert!(book.header("content-disposition").contains("attachment"));
    let cells = cells(&book.body);
    assert!(cells.contains("登录") && cells.contains("安全审计员丙（auditor）于 "), "{cells}");
    let print = auditor.get("/audit/print?group=login").expect(200).text();
    assert!(print.contains("类别 登录与口令") && print.contains("class=\"watermark\""));
    let exports = rows(&auditor.get("/audit?group=export").expect(200).text());
    assert!(exports.len() == 1 && exports[0].contains("导出审计记录"), "{exports:?}");
    assert!(auditor.get("/audit").says("打印审计记录"));
}

#[test]
fn each_session_makes_one_checkpoint_and_verifies_from_the_last() {
    let county = County::bare();
    let checkpoints = |person: &Person| {
        rows(&person.get("/audit").expect(200).text()).iter().filter(|r| r.contains("审计检查点")).count()
    };
    let first = county.auditor();
    assert!(first.get("/audit").expect(200).says("这是第一个检查点"));
    assert_eq!((checkpoints(&first), checkpoints(&first)), (1, 1));
    petition(&county.clerk(CLERK));
    let second = county.auditor();
    let page = second.get("/audit").expect(200).text();
    assert!(page.contains("上次检查点") && !page.contains("这是第一个检查点") && page.contains("已逐条核对"));
    assert_eq!(checkpoints(&second), 2);
}

#[test]
fn the_sheet_of_a_day_carries_a_head_that_verify_takes() {
    let county = County::bare();
    let auditor = county.auditor();
    let days = auditor.get("/audit/days").expect(200).text();
    assert_eq!(days.matches("<svg class=\"bar\"").count(), 4);
    let day = SystemClock.now().day();
    assert!(days.contains(&format!("href=\"/audit/days/{day}\"")));
    for wrong in ["2020-01-01", "2026", "x"] {
        auditor.get(&format!("/audit/days/{wrong}")).expect(404);
    }
    let sheet = auditor.get(&format!("/audit/days/{day}")).expect(200).text();
    assert!(sheet.contains("安全审计员签字") && sheet.contains("当天的告警"));
    let hash = sheet.split("<p class=\"mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(hash.split(' ').count() == 16 && hash.split(' ').all(|g| g.len() == 4), "{hash}");
    let seq = sheet.split("<strong>").nth(1).unwrap().split('<').next().unwrap();
    petition(&county.clerk(CLERK));
    let verify = |head: &str| county.cli(&["audit", "verify", "--head", head]);
    let good = verify(&format!("{seq}:{hash}"));
    assert!(good.status.success(), "{good:?}");
    let told = String::from_utf8_lossy(&good.stderr).into_owned();
    assert!(told.contains("核对外部链头 1 个") && told.contains(&format!("第 {seq} 条之后")), "{told}");
    let other = if hash.starts_with('0') { "1" } else { "0" };
    let bad = verify(&format!("{seq}:{other}{}", &hash[1..]));
    let told = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert!(bad.status.code() == Some(3) && told.contains("问题：分叉"), "{bad:?}");
    assert_eq!(verify("not-a-head").status.code(), Some(2));
}

#[test]
fn an_alarm_stays_until_the_auditor_says_what_came_of_it() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    for _ in 0..6 {
        clerk.get("/audit").expect(404);
    }
    let auditor = county.auditor();
    assert!(auditor.get("/").expect(200).says("1 条告警等待处理"));
    assert!(auditor.get("/audit").expect(200).says("有 1 条告警等待处理"));
    assert!(!county.sysadmin().get("/").says("条告警等待处理"));
    let page = auditor.get("/audit/alarms").expect(200).text();
    assert!(page.contains("越权被拒") && page.contains("，6（同一账户 1 小时内次数）"), "{}", plain(&page));
    let key = page.split("name=\"alarm\"").nth(1).and_then(|t| attribute(t, "value")).unwrap();
    let clear = |words: &str| auditor.post_form("/audit/alarms", &[("alarm", &key), ("words", words)]);
    assert!(clear("好").expect(422).says("value=\"好\""));
    assert_eq!(clear("已与本人核实，误点收藏夹").expect(303).location(), "/audit/alarms?done=cleared");
    clear("再来一次").expect(422);
    assert!(auditor.get("/").expect(200).says("没有等待处理的告警"));
    assert!(auditor.get("/audit").says("已与本人核实，误点收藏夹"));
    // It is the journal that remembers.
    county.restart();
    assert!(county.auditor().get("/").expect(200).says("没有等待处理的告警"));
}

#[test]
fn thresholds_can_be_stricter_and_never_laxer_than_their_floor() {
    let county = County::bare();
    let auditor = county.auditor();
    auditor.get("/audit/alarms").expect(200);
    let set = |refusals: &str| auditor.post_form("/audit/alarms/rules", &values(refusals));
    let page = set("21").expect(422);
    assert!(page.says("阈值没有保存") && page.says("不会是误点") && page.says("value=\"21\""));
    set("0").expect(422);
    set("2").expect(303);
    set("3").expect(303);
    let set = rows(&auditor.get("/audit?group=admin").expect(200).text());
    let set: Vec<&String> = set.iter().filter(|r| r.contains("设置告警阈值")).collect();
    assert!(set[0].ends_with("越权被拒：− 2 + 3") && set[1].ends_with("越权被拒：− 5 + 2"), "{set:?}");
    let clerk = county.clerk(CLERK);
    for _ in 0..3 {
        clerk.get("/audit").expect(404);
    }
    assert!(auditor.get("/").expect(200).says("1 条告警等待处理"));
}

/// Thresholds as they are, but one.
fn values(refusals: &str) -> Vec<(&'static str, &str)> {
    use jiceng::records::audit::RULES;
    const USUAL: [&str; 9] = ["1", "10", "100", "5", "5", "60", "20", "1", "1"];
    RULES.iter().zip(USUAL).map(|(r, n)| (r.name, if r.name == "refusals" { refusals } else { n })).collect()
}

/// Changes the stored hash of an entry, as somebody would who has the disk.
fn spoil(county: &County, seq: u64) {
    const JOURNAL: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("journal");
    let db = redb::Database::open(county.dir().join("store.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(JOURNAL).unwrap();
        let mut bytes = table.get(seq).unwrap().unwrap().value().to_vec();
        let header = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        bytes[4 + header + 32] ^= 1;
        table.insert(seq, bytes.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn a_journal_that_was_changed_is_told_when_the_auditor_comes() {
    let county = County::bare();
    county.auditor().get("/audit").expect(200);
    petition(&county.clerk(CLERK));
    let last = county.head().split(' ').next().unwrap().parse::<u64>().unwrap();
    county.terminate();
    spoil(&county, last - 1);
    county.restart();
    let auditor = county.auditor();
    for _ in 0..2 {
        let page = auditor.get("/audit").expect(200).text();
        assert!(page.contains("日志链不完整") && page.contains(&format!("日志第 {} 条", last - 1)), "{}", plain(&page));
    }
    let refused = rows(&auditor.get("/audit?done=no").expect(200).text());
    assert!(refused.len() == 1 && refused[0].contains("审计检查点"), "{refused:?}");
    assert!(auditor.get("/audit/alarms").expect(200).says("日志链对不上一次就必须查明"));
    assert!(auditor.get("/").says("1 条告警等待处理"));
    let verified = county.cli(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(3));
    // What lies before the checkpoint is not walked again, and what came with it still is.
    county.terminate();
    spoil(&county, last - 1);
    spoil(&county, 1);
    county.restart();
    let page = county.auditor().get("/audit").expect(200).text();
    assert!(page.contains("已逐条核对") && !page.contains("不完整："), "{}", plain(&page));
    assert_eq!(county.cli(&["audit", "verify"]).status.code(), Some(3));
}

/// ASVS 16.4.3
#[test]
fn heads_go_to_the_systems_log_when_it_is_configured() {
    let county = County::bare();
    let socket = format!("{}.syslog", county.dir().display());
    let log = UnixDatagram::bind(&socket).unwrap();
    log.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    county.restart_with(&format!("syslog = {socket:?}\n"));
    let mut bytes = [0; 2048];
    let length = log.recv(&mut bytes).unwrap();
    let line = String::from_utf8(bytes[..length].to_vec()).unwrap();
    assert!(line.starts_with("<110>1 ") && line.contains(" jiceng ") && line.contains(" head - store="), "{line}");
    let field = |name: &str| line.split(name).nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let head = format!("{}:{}", field("seq="), field("hash="));
    let verified = county.cli(&["audit", "verify", "--head", &head]);
    assert!(verified.status.success(), "{verified:?}");
    let doctor = county.cli(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("系统日志") && said.contains("链头和告警送往"), "{said}");
    // A log that is gone keeps nobody from working.
    drop(log);
    std::fs::remove_file(&socket).unwrap();
    let clerk = county.clerk(CLERK);
    for _ in 0..5 {
        clerk.get("/audit").expect(404);
    }
    petition(&clerk);
    let told = (0..600).any(|_| {
        let doctor = county.cli(&["doctor"]);
        String::from_utf8_lossy(&doctor.stdout).contains("没有收下")
    });
    assert!(told);
}
