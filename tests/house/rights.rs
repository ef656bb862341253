//! Who may what, as stories: other units see nothing, administrators see no petition, and no one of the three
//! can give access alone.

use super::county::{County, PETITION, Person, path_of};
use super::factor::confirm;
use super::form::{Form, attribute};
use super::passwords::PASSWORD;

const CLERK: &str = "石鼓岭镇纪委";
const OTHER: &str = "枫桥坞镇纪委";

#[test]
fn a_petition_of_another_unit_does_not_exist() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(CLERK), county.clerk(OTHER));
    let form = clerk
        .form("/petition/new")
        .fill(PETITION)
        .fill(&[("title", "砚青祠堂翻修款去向"), ("petitioner.name", "来信人戊")]);
    let path = path_of(&clerk.submit(&form.attach("原件.txt", b"scan")).expect(303));
    for page in ["", "/history", "/edit", "/files/0"] {
        other.get(&format!("{path}{page}")).expect(404);
    }
    other.post_form(&format!("{path}/identity"), &[("reason", "想看看")]).expect(404);
    other.post_form(&format!("{path}/move/propose"), &[("version", "1"), ("opinion", "x")]).expect(404);
    assert!(other.get("/petition?all=1").says("还没有信访件") && other.get("/").says("还没有信访件"));
    let found = other.search("砚青祠堂翻修");
    assert!(found.says("没有找到") && !found.says("款去向"));
    // A filter on the unit opens nothing either.
    let unit = clerk.get("/petition?all=1").text();
    let unit = unit.split("name=\"unit\"").nth(1).and_then(|t| attribute(t, "value")).unwrap_or("4".into());
    assert!(!other.get(&format!("/petition?unit={unit}")).says("砚青祠堂"));
    assert!(county.auditor().get("/audit").says("越权拒绝"));
}

/// ASVS 8.2.2
#[test]
fn what_is_absent_and_what_is_forbidden_cannot_be_told_apart() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(CLERK), county.clerk(OTHER));
    let path = clerk.register(&[("petitioner.name", "来信人戊")]);
    let mut differ = Vec::new();
    for rest in ["", "/history", "/edit", "/files/0"] {
        for _ in 0..5 {
            let hidden = other.get(&format!("{path}{rest}")).expect(404);
            let absent = other.get(&format!("/petition/98765{rest}")).expect(404);
            let (hidden, absent) = (hidden.steady().len(), absent.steady().len());
            if hidden != absent {
                differ.push(format!("{rest}: {hidden} and {absent} characters"));
            }
        }
    }
    for (rest, pairs) in [("identity", ("reason", "查看")), ("move/propose", ("opinion", "x"))] {
        let ask = |id: &str| {
            other.post_form(&format!("{id}/{rest}"), &[("version", "1"), pairs]).expect(404).steady().len()
        };
        if ask(&path) != ask("/petition/98765") {
            differ.push(rest.to_owned());
        }
    }
    assert!(differ.is_empty(), "a stranger learns which numbers exist: {differ:?}");
}

#[test]
fn administrators_see_no_petition_anywhere() {
    let county = County::demo();
    let title = {
        let list = county.demo_user().get("/petition?all=1").text();
        let link = list.split("row-link").nth(1).unwrap().split("</a>").next().unwrap().to_owned();
        link.rsplit('>').next().unwrap().to_owned()
    };
    assert!(title.chars().count() > 4, "{title}");
    for admin in [county.sysadmin(), county.secadmin(), county.auditor()] {
        for page in ["/", "/audit", "/account?all=1", "/org?all=1"] {
            assert!(!admin.get(page).says(&title), "{page} for {}", admin.login);
        }
        let found = admin.search(&title);
        assert!(found.says("没有找到"), "{}", admin.login);
        for id in 50..70 {
            admin.get(&format!("/petition/{id}")).expect(404);
        }
    }
}

fn account(sysadmin: &Person, login: &str) -> String {
    let page = sysadmin.get("/account/new").expect(200);
    let unit =
        page.text().split("<option").find(|o| o.contains(CLERK)).and_then(|o| attribute(o, "value")).unwrap();
    let form = Form::of(&page).fill(&[("login", login), ("name", "新来的人"), ("unit", &unit)]);
    path_of(&sysadmin.submit(&form.set("roles", "handler")).expect(303))
}

fn one_time(sysadmin: &Person, path: &str) -> String {
    let page = sysadmin.post_form(&format!("{path}/password"), &[]).expect(200).text();
    page.split("<b class=\"mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

/// ASVS 6.4.1
#[test]
fn a_new_account_needs_both_administrators_and_a_password_of_its_own() {
    let county = County::bare();
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let path = account(&sysadmin, "xinren");
    let password = one_time(&sysadmin, &path);
    assert!(!sysadmin.get(&path).says(&password), "it is shown once");
    let person = county.nobody();
    person.log_in_as("xinren", &password).expect(422);
    assert!(sysadmin.get("/").says("一次性口令</td>") && secadmin.get("/").says("一次性口令</td>"));
    confirm(&secadmin, &path);
    person.log_in_as("xinren", &password).expect(303);
    // First of all the password, and nothing else before it.
    for page in ["/", "/petition", "/petition/new", "/search"] {
        assert_eq!(person.get(page).expect(303).location(), "/password");
    }
    let change =
        |old: &str, new: &str| person.post_form("/password", &[("old", old), ("new", new), ("again", new)]);
    change(&password, &password).expect(422);
    change(&password, "Xinde-kouling-26").expect(303);
    // Then an empty desk: the role the system administrator tried to give was not taken.
    assert!(person.get("/").expect(200).says("您的账户还没有任何权限"));
    person.get("/petition/new").expect(404);
    secadmin.submit(&secadmin.form(&format!("{path}/edit")).set("roles", "handler")).expect(303);
    person.register(&[]);
    assert!(
        county.nobody().log_in_as("xinren", &password).status == 422,
        "the one-time password still works"
    );
}

/// Whoever handed a one-time password out could go on working with it at the host's console.
#[test]
fn a_one_time_password_opens_no_command_before_its_owner_has_set_another() {
    let county = County::bare();
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let path = account(&sysadmin, "xinren");
    let password = one_time(&sysadmin, &path);
    confirm(&secadmin, &path);
    secadmin.submit(&secadmin.form(&format!("{path}/edit")).set("roles", "handler")).expect(303);
    let search = |password: &str| county.cli_told(&["search", "--as", "xinren", "低保"], password);
    let refused = search(&password);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("请先用浏览器登录，设置自己的口令") && refused.stdout.is_empty(), "{said}");
    assert!(county.auditor().get("/audit").says("登录失败"), "nobody can see that it was tried");
    let person = county.nobody();
    person.log_in_as("xinren", &password).expect(303);
    person.get("/password").expect(200);
    let own = "Xinde-kouling-26";
    person.post_form("/password", &[("old", &password), ("new", own), ("again", own)]).expect(303);
    assert_eq!(search(own).status.code(), Some(0));
    assert_eq!(search(&password).status.code(), Some(1));
}

#[test]
fn each_administrator_changes_only_its_own_half_of_an_account() {
    let county = County::bare();
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let path = account(&sysadmin, "xinren");
    let edit = format!("{path}/edit");
    assert!(!sysadmin.form(&edit).has("roles") && !secadmin.form(&edit).has("name"));
    sysadmin.submit(&sysadmin.form(&edit).set("roles", "handler").set("post", "干事")).expect(303);
    assert!(!sysadmin.get(&path).says("经办人") && sysadmin.get(&path).says("干事"));
    let typed = [("roles", "handler"), ("name", "改了的名"), ("login", "gaile"), ("unit", "1")];
    secadmin.submit(&secadmin.form(&edit).fill(&typed)).expect(303);
    let page = secadmin.get(&path).expect(200);
    assert!(page.says("经办人") && page.says("新来的人") && page.says("xinren") && page.says(CLERK));
    secadmin.get("/account/new").expect(404);
    secadmin.post_form(&format!("{path}/password"), &[]).expect(404);
    secadmin.post_form(&format!("{path}/move/close"), &[("version", "3"), ("opinion", "停用")]).expect(404);
}

#[test]
fn an_administrator_never_holds_a_second_role() {
    let county = County::bare();
    let secadmin = county.secadmin();
    let path = account(&county.sysadmin(), "xinren");
    for admin in ["sysadmin", "secadmin", "auditor"] {
        let mut form = secadmin.form(&format!("{path}/edit")).set("roles", admin);
        form.pairs.insert(0, ("roles".into(), "handler".into()));
        let page = secadmin.submit(&form).expect(422);
        assert!(page.says("三员互斥"), "{admin}");
    }
}

#[test]
fn the_security_administrator_cannot_give_itself_business_rights() {
    let county = County::bare();
    let secadmin = county.secadmin();
    let list = secadmin.get("/account?all=1&size=100").text();
    let own = list.split("<tr").find(|l| l.contains(">secadmin<")).unwrap().to_owned();
    let path = own[own.find("/account/").unwrap()..].split('"').next().unwrap().to_owned();
    let mut form = secadmin.form(&format!("{path}/edit"));
    form.pairs.retain(|(n, _)| n != "roles");
    for role in ["handler", "petition-office", "identity"] {
        form.pairs.insert(0, ("roles".into(), role.into()));
    }
    let done = secadmin.submit(&form);
    let opened = secadmin.get("/petition?all=1").status;
    assert!(done.status != 303 && opened == 404, "one administrator alone now reads every petition");
}

#[test]
fn the_system_administrator_cannot_become_another_administrator() {
    let county = County::bare();
    let sysadmin = county.sysadmin();
    let list = sysadmin.get("/account?all=1&size=100").text();
    for admin in ["secadmin", "auditor"] {
        let row = list.split("<tr").find(|l| l.contains(&format!(">{admin}<"))).unwrap();
        let path = row[row.find("/account/").unwrap()..].split('"').next().unwrap();
        let password = one_time(&sysadmin, path);
        assert!(!sysadmin.get(path).says("value=\"agree\""), "whoever asked may confirm");
        let person = county.nobody();
        person.log_in_as(admin, &password).expect(422);
        person.log_in_as(admin, PASSWORD).expect(303);
    }
}

/// ASVS 8.3.2
#[test]
fn a_right_that_was_taken_away_is_gone_at_once() {
    let county = County::bare();
    let (clerk, secadmin, sysadmin) = (county.clerk(CLERK), county.secadmin(), county.sysadmin());
    let path = clerk.register(&[]);
    let form = clerk.form(&format!("{path}/edit")).set("title", "收权之后");
    let list = sysadmin.get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(">zhen04<")).unwrap();
    let account = row[row.find("/account/").unwrap()..].split('"').next().unwrap();
    let mut roles = secadmin.form(&format!("{account}/edit"));
    roles.pairs.retain(|(n, _)| n != "roles");
    secadmin.submit(&roles).expect(303);
    clerk.submit(&form).expect(404);
    clerk.get(&path).expect(404);
    assert!(clerk.get("/").says("您的账户还没有任何权限"));
    // What lies with somebody is settled, or handed over, before the account is closed.
    let head = county.approver(CLERK);
    let form = head.form(&path).to(&format!("{path}/move/annul")).set("opinion", "登记有误");
    head.submit(&form).expect(303);
    let close = sysadmin.form(account).to(&format!("{account}/move/close")).set("opinion", "调离");
    sysadmin.submit(&close).expect(303);
    assert_eq!(clerk.get("/").expect(303).location(), "/login");
    clerk.log_in(PASSWORD).expect(422);
}
