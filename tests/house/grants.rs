//! Roles for a time, the list by which they are looked at again, and what a person would see before it is saved.

use super::county::{County, Person};
use super::form::{Form, attribute};

fn account(secadmin: &Person, login: &str) -> String {
    let list = secadmin.get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(&format!(">{login}<"))).unwrap();
    row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned()
}

fn lend(form: Form, role: &str, until: &str) -> Form {
    form.fill(&[("temporary.0.role", role), ("temporary.0.until", until), ("temporary.0.reason", "代理负责人")])
}

#[test]
fn a_role_for_a_time_is_given_shown_and_listed_and_one_of_the_past_gives_nothing() {
    let county = County::bare();
    let (secadmin, sysadmin, law) = (county.secadmin(), county.sysadmin(), county.person("fagui"));
    let path = account(&secadmin, "fagui");
    let form = secadmin.form(&format!("{path}/edit"));
    assert!(!sysadmin.form(&format!("{path}/edit")).has("temporary.0.role"), "the system administrator lends no role");
    let half = secadmin.submit(&form.clone().set("temporary.0.role", "handler")).expect(422);
    assert!(half.says("请填写到期日") && half.says("请填写理由"));
    for admin in ["sysadmin", "secadmin", "auditor"] {
        let refused = secadmin.submit(&lend(form.clone(), admin, "2199-12-31")).expect(422);
        assert!(refused.says("三员不能临时授予"), "{admin}");
    }
    law.get("/petition/new").expect(404);
    secadmin.submit(&lend(form, "handler", "2020-01-01")).expect(303);
    law.get("/petition/new").expect(404);
    let form = secadmin.form(&format!("{path}/edit"));
    secadmin.submit(&lend(form, "handler", "2199-12-31")).expect(303);
    let own = law.register(&[]);
    let page = secadmin.get(&path).expect(200);
    assert!(page.says("临时授权") && page.says("2199-12-31") && page.says("代理负责人"));
    let review = secadmin.get("/review").expect(200);
    assert!(review.says("（至 2199-12-31）") && review.says("没有即将到期的临时授权"));
    // A new unit takes every role; work of the old one is not taken along.
    let form = law.form(&own).to(&format!("{own}/move/void")).set("opinion", "登记有误");
    law.submit(&form).expect(303);
    let form = sysadmin.form(&format!("{path}/edit"));
    let page = sysadmin.get(&format!("{path}/edit")).text();
    let unit = page.split("<option").find(|o| o.contains("枫桥坞镇纪委")).and_then(|o| attribute(o, "value")).unwrap();
    sysadmin.submit(&form.set("unit", &unit)).expect(303);
    law.get("/petition/new").expect(404);
}

#[test]
fn every_account_is_looked_at_and_marked_by_who_may() {
    let county = County::bare();
    let (secadmin, auditor) = (county.secadmin(), county.auditor());
    let page = secadmin.get("/review").expect(200);
    assert!(page.says("zhen04") && page.says("本单位") && page.says("全县") && page.says("敏感"));
    let marks = |person: &Person| {
        let page = person.get("/review").expect(200).text();
        let buttons = page.split("name=\"account\" value=\"").skip(1);
        buttons.map(|b| b.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let own = account(&secadmin, "secadmin").rsplit('/').next().unwrap().to_owned();
    assert!(!marks(&secadmin).contains(&own) && marks(&secadmin).len() > 40);
    assert_eq!(marks(&auditor), std::slice::from_ref(&own));
    assert!(marks(&county.sysadmin()).is_empty());
    let clerk = account(&secadmin, "zhen04").rsplit('/').next().unwrap().to_owned();
    for person in [&secadmin, &auditor] {
        let id = if person.login == "auditor" { &own } else { &clerk };
        let done = person.post_form("/review", &[("account", id)]).expect(303);
        assert!(person.get(done.location()).says("已标记为复核过"));
        person.post_form("/review", &[("account", if id == &own { &clerk } else { &own })]).expect(404);
    }
    let row = secadmin.get("/review").text();
    let row = row.split("<tr").find(|r| r.contains(">zhen04<")).unwrap().to_owned();
    assert!(row.contains("安全保密管理员乙"), "{row}");
    assert!(auditor.get("/audit").says("权限复核"));
    county.clerk("石鼓岭镇纪委").get("/petition/new").expect(200);
}

#[test]
fn the_preview_shows_what_would_be_and_saves_nothing() {
    let county = County::bare();
    let secadmin = county.secadmin();
    let path = account(&secadmin, "bangong");
    let form = secadmin.form(&format!("{path}/edit"));
    let asked = form.clone().fill(&[("roles", "petition-office"), ("clearance", "core"), ("preview", "1")]);
    let page = secadmin.submit(&asked).expect(200);
    let table = page.text();
    let row = |label: &str| {
        let rows = table.split("权限预览").last().unwrap().split("<tr").map(str::to_owned);
        rows.into_iter().find(|r| r.contains(&format!(">{label}<"))).unwrap_or_default()
    };
    assert!(row("信访件").contains("全县") && row("法律法规").contains("全县") && row("账户").is_empty());
    assert!(page.says("核心") && page.says("尚未保存"));
    // What was typed is still there to be saved, and nothing was.
    let again = Form::of(&page);
    assert!(again.pairs.iter().any(|p| p == &("roles".to_owned(), "petition-office".to_owned())));
    assert!(!secadmin.get(&path).says("信访室业务"));
    let sysadmin = county.sysadmin();
    let sneaky = sysadmin.form(&format!("{path}/edit")).set("preview", "1");
    assert_ne!(sysadmin.submit(&sneaky).status, 200, "the preview is the security administrator's");
}
