//! One of the three administrators is replaced (三员更换): by the other two together, or at the host's console under the
//! eyes of everybody. No one of them can do it alone, by pages or by direct requests.

use super::county::{County, Person};
use super::factor::confirm;
use super::form::forms;
use super::handover::account;
use super::passwords::PASSWORD;
use super::wire::Answer;

const NEW: &[(&str, &str)] =
    &[("successor_login", "shenji2"), ("successor_name", "审计员丁"), ("successor_post", "科员"), ("cause", "retire")];

#[track_caller]
fn ask(by: &Person, of: &str, pairs: &[(&str, &str)]) -> Answer {
    by.get(of).expect(200);
    by.post_form(&format!("{of}/replace"), pairs)
}

#[track_caller]
fn change_of(answer: &Answer) -> String {
    answer.location().split('?').next().unwrap().to_owned()
}

fn decide(by: &Person, change: &str, step: &str) -> Answer {
    by.post_form(&format!("{change}/{step}"), &[("what", "replacement")])
}

#[test]
fn the_other_two_replace_an_administrator_and_nobody_alone() {
    let county = County::bare();
    let (sysadmin, secadmin, auditor) = (county.sysadmin(), county.secadmin(), county.auditor());
    let old = account(&sysadmin, "auditor");
    // Who is replaced does not ask for it, nor anybody who is none of the three.
    ask(&auditor, &old, NEW).expect(404);
    for nobody in [county.clerk("石鼓岭镇纪委"), county.approver("信访室"), county.demo_user()] {
        nobody.get("/").expect(200);
        nobody.post_form(&format!("{old}/replace"), NEW).expect(404);
    }
    let change = change_of(&ask(&sysadmin, &old, NEW).expect(303));
    assert!(ask(&secadmin, &old, NEW).expect(422).says("已在等待确认"));
    // Asked is not done: nothing changed, and the other one is nobody yet.
    auditor.get("/audit").expect(200);
    assert!(!sysadmin.get("/account?all=1&size=100").says("审计员丁"));
    // Who asked does not confirm; who is replaced neither confirms nor blocks.
    let page = sysadmin.get(&change).expect(200);
    assert!(page.says("等待确认") && !page.says("确认更换</button>") && page.says("撤回"));
    assert!(decide(&sysadmin, &change, "finish").expect(422).says("申请人不能确认"));
    assert!(!auditor.get(&change).expect(200).says("不同意"));
    for step in ["finish", "end"] {
        decide(&auditor, &change, step).expect(404);
        auditor.post_form(&format!("{change}/{step}"), &[]).expect(404);
    }
    // Ways of a handover do not lead around it.
    for step in ["finish", "end", "assign"] {
        sysadmin.post_form(&format!("{change}/{step}"), &[("rest", "1")]).expect(404);
    }
    sysadmin.post_form(&format!("{old}/handover"), &[("cause", "retire"), ("outcome", "close")]).expect(404);
    // The third confirms: in one moment the one is out, and the other one is in the office.
    assert!(secadmin.get("/").expect(200).says(&change));
    decide(&secadmin, &change, "finish").expect(303);
    assert_eq!(auditor.get("/audit").expect(303).location(), "/login");
    auditor.log_in(PASSWORD).expect(422);
    assert!(sysadmin.get(&old).expect(200).says("已停用"));
    let new = account(&sysadmin, "shenji2");
    assert!(sysadmin.get(&new).expect(200).says("安全审计员"));
    // Nobody has a password of it, before two gave one.
    county.nobody().log_in_as("shenji2", PASSWORD).expect(422);
    let page = sysadmin.get(&new).expect(200).text();
    assert!(page.contains("发一次性口令"));
    let page = sysadmin.post_form(&format!("{new}/password"), &[]).expect(200).text();
    let first = page.split("<b class=\"mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    county.nobody().log_in_as("shenji2", &first).expect(422);
    confirm(&secadmin, &new);
    let person = county.nobody();
    person.post_form("/login", &[("login", "shenji2"), ("password", &first)]).expect(303);
    person.get("/password").expect(200);
    let pairs = [("old", first.as_str()), ("new", "Guanxia#20261"), ("again", "Guanxia#20261")];
    person.post_form("/password", &pairs).expect(303);
    let log = person.get("/audit").expect(200);
    assert!(log.says("确认更换三员") && log.says("申请更换三员"), "{}", log.text());
    let report = person.get(&format!("{change}/report")).expect(200);
    assert!(report.says("审计员丁") && report.says("安全审计员丙") && report.says("退休"));
    decide(&secadmin, &change, "finish").expect(422);
    county.is_sound();
}

#[test]
fn no_administrator_makes_and_empowers_an_account_alone_and_none_holds_two_offices() {
    let county = County::bare();
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let (auditor, own) = (account(&sysadmin, "auditor"), account(&sysadmin, "sysadmin"));
    // An account that the system administrator makes can do nothing, whatever the form says.
    let unit = sysadmin.form(&format!("{auditor}/edit")).value("unit").to_owned();
    let form = sysadmin.form("/account/new").fill(&[("login", "wuming"), ("name", "无名"), ("unit", &unit)]);
    let made = sysadmin.submit(&form.set("roles", "auditor")).expect(303);
    let idle = change_of(&made);
    assert!(!sysadmin.get(&idle).expect(200).says("安全审计员"));
    let page = sysadmin.post_form(&format!("{idle}/password"), &[]).expect(200).text();
    let before = page.split("<b class=\"mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    confirm(&secadmin, &idle);
    county.nobody().log_in_as("wuming", &before).expect(303);
    // The security administrator makes none, and gives no office of the three; the system administrator gives nothing.
    secadmin.get("/account/new").expect(404);
    let form = secadmin.form(&format!("{idle}/edit"));
    assert!(secadmin.submit(&form.set("roles", "auditor")).expect(422).says("不能由一个人完成"));
    let form = sysadmin.form(&format!("{idle}/edit")).set("roles", "handler");
    sysadmin.submit(&form).expect(303);
    assert!(!sysadmin.get(&idle).expect(200).says("经办人"));
    // Nor does anybody take an office away, or close the account of one.
    for (by, of) in [(&secadmin, &own), (&secadmin, &auditor)] {
        let form = by.form(&format!("{of}/edit")).set("roles", "");
        assert!(by.submit(&form).expect(422).says("不能由一个人完成"));
    }
    let form = sysadmin.form(&auditor).to(&format!("{auditor}/move/close")).set("opinion", "停用");
    assert!(sysadmin.submit(&form).expect(422).says("不能由一个人完成"));
    // Nobody of the three, nobody with another role, nobody under another's log-in comes into the office.
    for (login, name, why) in [
        ("secadmin", "安全保密管理员乙", "三个不同的人"),
        ("xinde", "系统管理员甲", "三个不同的人"),
        ("auditor", "安全审计员丙", "现任的人"),
        ("zhen04", "石鼓岭镇经办", "还有别的角色或授权"),
        ("wuming", "某某", "已属于另一个人"),
        ("Da Xie", "某某", "小写字母"),
        ("", "某某", "登录名"),
    ] {
        let pairs = [("successor_login", login), ("successor_name", name), ("cause", "post")];
        let refused = ask(&sysadmin, &auditor, &pairs).expect(422);
        assert!(refused.says(why), "{login}: {}", refused.text());
    }
    // An account that was idle takes the office, with the password of its own; a refusal ends the request.
    let pairs = [("successor_login", "wuming"), ("successor_name", "无名"), ("cause", "post")];
    let change = change_of(&ask(&sysadmin, &auditor, &pairs).expect(303));
    decide(&secadmin, &change, "end").expect(303);
    assert!(decide(&secadmin, &change, "finish").expect(422).says("已经办结"));
    county.auditor().get("/audit").expect(200);
    // A role that came meanwhile keeps it out.
    let change = change_of(&ask(&sysadmin, &auditor, &pairs).expect(303));
    secadmin.submit(&secadmin.form(&format!("{idle}/edit")).set("roles", "handler")).expect(303);
    assert!(decide(&secadmin, &change, "finish").expect(422).says("还有别的角色或授权"));
    // So does a single right.
    let single = [("module", "petition"), ("action", "see"), ("scope", "county"), ("reason", "查阅")];
    let mut form = secadmin.form(&format!("{idle}/edit")).set("roles", "");
    for (name, value) in single {
        form = form.set(&format!("extra.0.{name}"), value);
    }
    secadmin.submit(&form).expect(303);
    assert!(decide(&secadmin, &change, "finish").expect(422).says("还有别的角色或授权"));
    let mut form = secadmin.form(&format!("{idle}/edit"));
    form.pairs.retain(|(name, _)| !name.starts_with("extra."));
    secadmin.submit(&form).expect(303);
    decide(&secadmin, &change, "finish").expect(303);
    assert!(sysadmin.get(&idle).expect(200).says("安全审计员"));
    // Whatever opened the account before does not any more.
    assert!(sysadmin.get(&idle).says("发一次性口令"));
    county.nobody().log_in_as("wuming", &before).expect(422);
}

#[test]
fn at_the_host_it_is_done_under_the_eyes_of_everybody() {
    let county = County::bare();
    let (clerk, secadmin) = (county.clerk("石鼓岭镇纪委"), county.secadmin());
    let words = ["replace-administrator", "--login", "guanli2", "--name", "管理员戊", "--replaces"];
    let run = |replaces: &str| county.cli(&[&words[..], &[replaces]].concat());
    for nobody in ["zhen04", "no-such-name"] {
        let out = run(nobody);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(1) && said.contains("不是三员之一"), "{said}");
    }
    assert!(!clerk.get("/").says("更换了三员"));
    // Beside a running server: sessions of the one end at once.
    let sysadmin = county.sysadmin();
    let out = run("sysadmin");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let first = said.lines().find_map(|l| l.strip_prefix("一次性口令：")).unwrap().to_owned();
    assert_eq!(sysadmin.get("/").expect(303).location(), "/login");
    let everywhere = |county: &County, person: &Person| {
        for page in ["/", "/password", "/petition?all=1", "/no-such-page", "/petition/98765"] {
            let page = person.get(page);
            assert!(page.says("更换了三员") && page.says("管理员戊") && page.says("不能关闭"), "{}", page.text());
        }
        let page = county.nobody().get("/login").expect(200);
        assert!(page.says("更换了三员") && page.says("系统管理员由“系统管理员甲”更换为“管理员戊”"));
    };
    everywhere(&county, &clerk);
    assert!(secadmin.get("/").expect(200).says("更换了三员"));
    assert!(forms(&clerk.get("/").text()).iter().all(|f| !f.action.contains("notice")));
    let log = county.auditor().get("/audit").expect(200);
    assert!(log.says("服务器上更换三员"), "{}", log.text());
    // It is there again after a restart; the new one gets in and the old one does not.
    county.restart();
    let clerk = county.clerk("石鼓岭镇纪委");
    everywhere(&county, &clerk);
    county.nobody().log_in_as("sysadmin", PASSWORD).expect(422);
    let person = county.nobody();
    person.post_form("/login", &[("login", "guanli2"), ("password", &first)]).expect(303);
    assert_eq!(person.get("/").expect(303).location(), "/password");
    let report = secadmin_report(&county);
    assert!(report.says("在服务器上更换") && report.says("管理员戊") && report.says("系统，"), "{}", report.text());
    // Without a server it works as well, and doctor tells of both.
    county.terminate();
    let words = ["replace-administrator", "--login", "shenji3", "--name", "审计员己", "--replaces", "auditor"];
    assert!(county.cli(&words).status.success());
    let doctor = county.cli(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("管理员戊") && told.contains("审计员己"), "{told}");
    assert!(county.cli(&["audit", "verify"]).status.success());
}

fn secadmin_report(county: &County) -> Answer {
    let secadmin = county.secadmin();
    let list = secadmin.get("/handover?all=1").expect(200).text();
    let link = list.split("row-link\" href=\"/handover/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    secadmin.get(&format!("/handover/{link}/report")).expect(200)
}

/// By another log-in name one of the three could not come in any more, and somebody else's account be confirmed.
#[test]
fn a_log_in_name_stays_what_it_was() {
    let county = County::bare();
    let sysadmin = county.sysadmin();
    for login in ["auditor", "zhen04"] {
        let path = account(&sysadmin, login);
        let form = sysadmin.form(&format!("{path}/edit")).set("login", "qita");
        assert!(sysadmin.submit(&form).expect(422).says("登录名创建后不能更改"), "{login}");
    }
    county.auditor().get("/audit").expect(200);
}
