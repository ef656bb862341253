//! The set-up wizard over HTTP: from the printed link to three administrators with passwords of their own and a first
//! backup that was verified, with right and wrong input, and what the link, the wizard and its cookie open at which
//! time.

use std::path::PathBuf;

use jiceng::app::totp;
use jiceng::base::{Clock, clock::SystemClock};
use jiceng::foreign::workbook;

use super::county::{County, Person, SESSION};
use super::form::{Form, forms};
use super::wire::{Answer, File};

const COOKIE: &str = "__Host-setup";
const OWN: &str = "Dong-tian.2032";
const STEPS: [&str; 6] =
    ["/setup", "/setup/units", "/setup/people", "/setup/backup", "/setup/keys", "/setup/finish"];
const PEOPLE: [(&str, &str, &str); 3] =
    [("sysadmin", "系统一", "xitong"), ("secadmin", "保密二", "baomi"), ("auditor", "审计三", "shenji")];

/// The path of a new link.
fn link(county: &County) -> String {
    let printed = county.cli(&["setup-link"]);
    let (out, err) = (String::from_utf8(printed.stdout).unwrap(), String::from_utf8(printed.stderr).unwrap());
    assert!(county.log().contains(err.lines().find(|l| l.starts_with("证书指纹")).unwrap()), "{err}");
    format!("/setup/{}", out.trim().split_once("/setup/").unwrap().1)
}

/// A browser that holds the wizard.
fn holder(county: &County, link: &str) -> Person {
    let person = county.nobody();
    person.get(link).expect(200);
    assert_eq!(person.post_form(link, &[]).expect(303).location(), "/setup");
    assert!(person.cookie(COOKIE).is_some());
    person
}

fn post(person: &Person, step: &str, pairs: &[(&str, &str)]) -> Answer {
    let path = format!("/setup/{step}");
    person.get(&path).expect(200);
    person.post_form(&path, pairs)
}

/// The form of units, filled in.
fn units(person: &Person, text: &str, button: &str) -> Form {
    let page = person.get("/setup/units").expect(200).text();
    let form = forms(&page).into_iter().find(|f| f.has("units")).unwrap();
    form.set("units", text).set("do", button)
}

/// Links as the page shows them.
fn links(page: &str) -> Vec<String> {
    let all = page.split("href=\"https://").skip(1).map(|rest| rest.split('"').next().unwrap());
    all.map(|link| link[link.find("/activate/").unwrap()..].to_owned()).collect()
}

/// Enters the three; their links.
fn enter(person: &Person) -> Vec<String> {
    let mut pairs = vec![("do", "enter")];
    let fields = PEOPLE.map(|(role, name, login)| {
        [(format!("{role}.name"), name), (format!("{role}.login"), login)]
    });
    pairs.extend(fields.iter().flatten().map(|(n, v)| (n.as_str(), *v)));
    links(&post(person, "people", &pairs).expect(200).text())
}

/// What somebody sends who does what the page of their link says; the secret.
fn activate(county: &County, link: &str, password: &str) -> (Answer, Vec<u8>) {
    let person = county.nobody();
    let page = person.get(link).expect(200).text();
    let form = forms(&page).into_iter().find(|f| f.has("seal")).unwrap();
    let secret = totp::from_base32(form.value("secret")).unwrap();
    let code = totp::code(&secret, totp::step_at(SystemClock.now()));
    let form = form.set("new", password).set("again", password).set("code", &code);
    (person.submit(&form), secret)
}

/// Sets keys and target, runs the first backup, and waits until it is over.
fn back_up(county: &County, person: &Person, root: &std::path::Path) {
    let keys = ["a", "b"].map(|name| {
        let out = format!("{}.{name}.key", county.dir().display());
        let made = county.cli_alone(&["backup", "keygen", "--out", &out]);
        String::from_utf8_lossy(&made.stdout).trim().to_owned()
    });
    post(person, "backup", &[("do", "keys"), ("recipients", &keys[0])]).expect(422);
    post(person, "backup", &[("do", "run")]).expect(422);
    post(person, "backup", &[("do", "keys"), ("recipients", &keys.join("\n"))]).expect(303);
    let sheet = person.get("/setup/keys").expect(200);
    assert!(keys.iter().all(|key| sheet.says(key)) && !sheet.says("AGE-SECRET"));
    let elsewhere = post(person, "backup", &[("do", "target"), ("target", "/etc/x"), ("times", "02:00")]);
    assert!(elsewhere.expect(422).says("value=\"/etc/x\""), "what was typed stays");
    let target = root.join("t").display().to_string();
    post(person, "backup", &[("do", "target"), ("target", &target), ("times", "02:00")]).expect(303);
    post(person, "backup", &[("do", "run")]).expect(303);
    for _ in 0..600 {
        let page = person.get("/setup/backup").expect(200);
        if !page.says("http-equiv=\"refresh\"") {
            assert!(page.says("已写出并恢复核验"), "{}", page.text());
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the first backup does not end");
}

fn county() -> (County, PathBuf) {
    let county = County::fresh();
    let root = PathBuf::from(format!("{}.media", county.dir().display()));
    std::fs::create_dir(&root).unwrap();
    county.restart_with(&format!("[backup]\nroots = [{:?}]\n", root.display().to_string()));
    (county, root)
}

/// Units: refused by line, read from a workbook, saved.
fn enter_units(county: &County, person: &Person) {
    let offered = forms(&person.get("/setup/units").expect(200).text())[0].value("units").to_owned();
    let wrong = format!("{offered}\n某某镇纪委\n又一镇纪委，乡镇，又一");
    let page = person.submit(&units(person, &wrong, "save")).expect(422);
    assert!(page.says("第 9 行：没有类别") && page.says("又一镇纪委，乡镇，又一"), "{}", page.text());
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let rows = [row(["某某镇纪委", "乡镇", "某某"]), row(["甲乙镇纪委", "乡镇", "甲乙"])];
    let book = workbook(&row(["名称", "类别", "简称"]), rows.into_iter()).unwrap();
    let file = |bytes: &[u8]| vec![File { input: "files".into(), name: "机构.xlsx".into(), bytes: bytes.to_vec() }];
    let mut form = units(person, &wrong, "look");
    form.files = file(b"PK\x03\x04 no workbook");
    assert!(person.submit(&form).expect(422).says("又一镇纪委，乡镇，又一"), "nothing typed is lost");
    form.files = file(&book);
    let page = person.submit(&form).expect(200);
    assert!(page.says("读取了 2 行") && page.says("共 11 个"), "{}", page.text());
    let read = forms(&page.text()).into_iter().find(|f| f.has("units")).unwrap();
    assert_eq!(person.submit(&read.set("do", "save")).expect(303).location(), "/setup/people");
    assert!(county.files("attachments").is_empty(), "the file is gone");
}

/// People: two of one name are refused, links are shown once.
fn enter_people(person: &Person) -> Vec<String> {
    let same = [
        ("do", "enter"),
        ("sysadmin.name", "系统一"),
        ("sysadmin.login", "a"),
        ("secadmin.name", "系统一"),
        ("secadmin.login", "b"),
        ("auditor.name", "审计三"),
        ("auditor.login", "c"),
    ];
    let page = post(person, "people", &same).expect(422);
    assert!(page.says("三个不同的人") && page.says("value=\"审计三\""), "{}", page.text());
    let invited = enter(person);
    assert_eq!(invited.len(), 3);
    assert!(links(&person.get("/setup/people").expect(200).text()).is_empty(), "links are shown once");
    post(person, "people", &[("do", "enter")]).expect(422);
    invited
}

#[test]
fn a_county_is_set_up_from_its_link_to_three_administrators_and_a_verified_backup() {
    let (county, root) = county();
    // The server answers a moment before it has written that.
    let told = || county.log().contains("尚未初始化") && county.log().contains("证书指纹");
    super::offsite::wait_for("what an empty county says", told);
    let first = link(&county);
    let person = holder(&county, &first);
    assert_eq!(person.get("/setup").expect(303).location(), "/setup/units");
    enter_units(&county, &person);
    let invited = enter_people(&person);
    // Left, and found again in another browser by a new link; the first one is out.
    let second = link(&county);
    let other = holder(&county, &second);
    for step in STEPS {
        person.get(step).expect(404);
    }
    let again = links(&post(&other, "people", &[("do", "renew"), ("role", "auditor")]).expect(200).text());
    county.nobody().get(&invited[2]).expect(404);
    // Each in a browser of their own.
    assert!(activate(&county, &invited[0], "tooshort12").0.expect(422).says("特殊字符"));
    let mut secrets = Vec::new();
    for link in [&invited[0], &invited[1], &again[0]] {
        post(&other, "finish", &[]).expect(422);
        let (answer, secret) = activate(&county, link, OWN);
        assert!(answer.expect(200).says("恢复码"));
        secrets.push(secret);
        county.nobody().get(link).expect(404);
    }
    post(&other, "finish", &[]).expect(422);
    back_up(&county, &other, &root);
    let early = county.nobody();
    assert!(early.post_form("/login", &[("login", "xitong"), ("password", OWN)]).expect(422).says("还没有完成初始化"));
    assert_eq!(post(&other, "finish", &[]).expect(303).location(), "/login?done=setup");
    assert!(other.cookie(COOKIE).is_none());
    // Everything about the set-up is closed, for whoever had a part in it.
    let kept = county.nobody();
    for path in STEPS.iter().copied().chain([first.as_str(), second.as_str(), invited[0].as_str()]) {
        for who in [&person, &other, &kept] {
            who.get(path).expect(404);
            who.post_form(path, &[("do", "enter")]).expect(404);
        }
    }
    for ((_, _, login), secret) in PEOPLE.iter().zip(&secrets) {
        let person = county.nobody();
        // The code it was set up with is spent.
        let code = totp::code(secret, totp::step_at(SystemClock.now()) + 1);
        let pairs = [("login", *login), ("password", OWN), ("code", &code)];
        assert_eq!(person.post_form("/login", &pairs).expect(303).location(), "/", "{login}");
        assert!(person.get("/").expect(200).says("退出"));
    }
    assert!(!county.log().contains(OWN) && !county.log().contains("审计三"));
}

#[test]
fn the_wizard_opens_nothing_else_and_takes_its_own_forms_only() {
    let county = County::fresh();
    let first = link(&county);
    let nobody = county.nobody();
    for step in STEPS {
        nobody.get(step).expect(404);
        assert_eq!(nobody.post_form(step, &[]).status, 404, "{step}");
    }
    let (one, two) = (county.nobody(), county.nobody());
    one.get(&first).expect(200);
    two.get(&first).expect(200);
    one.post_form(&first, &[]).expect(303);
    two.post_form(&first, &[]).expect(404);
    assert!(two.cookie(COOKIE).is_none() && one.cookie(SESSION).is_none());
    // No page of an administrator, and no form of theirs.
    let pages = ["/", "/account?all=1", "/account/new", "/backup", "/policy", "/audit", "/import", "/password"];
    for path in pages {
        assert_eq!(one.get(path).expect(303).location(), "/login", "{path}");
    }
    for path in ["/account/new", "/backup", "/backup/run", "/policy", "/import"] {
        assert_eq!(one.post_form(path, &[]).expect(303).location(), "/login", "{path}");
    }
    // Forms of other pages, and of nobody's.
    one.get("/setup/units").expect(200);
    let body = || super::wire::urlencoded(&[("csrf".to_owned(), one.token()), ("do".to_owned(), "look".to_owned())]);
    let kind = "application/x-www-form-urlencoded";
    let foreign = one.request("POST", "/setup/units").header("origin", "https://evil.example");
    assert_eq!(one.send(foreign.body(kind, body())).unwrap().status, 404);
    assert_eq!(one.send(one.request("POST", "/setup/units").body(kind, body())).unwrap().status, 404);
    let bare = one.own("POST", "/setup/finish").body(kind, b"do=finish".to_vec());
    assert_eq!(one.send(bare).unwrap().status, 404, "no token");
    assert_eq!(one.send(one.own("POST", "/setup/units").body(kind, body())).unwrap().status, 200);
    // A server that was killed knows its wizard again.
    county.restart_with("");
    assert_eq!(one.get("/setup").expect(303).location(), "/setup/units");
}
