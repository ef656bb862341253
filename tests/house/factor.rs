//! The second factor as people meet it: led to it by the policy, its picture and codes, the log-in with it, the command
//! line, a lost device, and the pages around log-ins.

use jiceng::app::totp;
use jiceng::base::{Clock, clock::SystemClock};

use super::county::{County, Person, SESSION, path_of};
use super::form::forms;
use super::passwords::PASSWORD;

const UNIT: &str = "石鼓岭镇纪委";

/// What a device knows and what is on paper.
pub(crate) struct Device {
    secret: Vec<u8>,
    recovery: Vec<String>,
}

impl Device {
    /// The code of a step, counted from the present one.
    pub(crate) fn code(&self, away: i64) -> String {
        totp::code(&self.secret, totp::step_at(SystemClock.now()) + away)
    }
}

/// Adds the picture of the page to a device and types its first code.
#[track_caller]
pub(crate) fn enrol(person: &Person) -> Device {
    let page = person.get("/factor").expect(200).text();
    let shown = page.split("密钥：<b class=\"mono\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(shown.split(' ').all(|group| group.len() == 4), "{shown}");
    let secret = totp::from_base32(&shown.replace(' ', "")).unwrap();
    // Drawn in the page itself: nothing is fetched, and no address holds it.
    assert!(page.contains("<svg class=\"qr\"") && !page.contains("data:") && !page.contains("otpauth"));
    let mut device = Device { secret, recovery: Vec::new() };
    person.post_form("/factor", &[("code", "12345")]).expect(422);
    let page = person.post_form("/factor", &[("code", &device.code(0))]).expect(200).text();
    let codes = page.split("<li class=\"mono\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    device.recovery = codes.collect();
    assert_eq!(device.recovery.len(), 10);
    device
}

fn log_in(person: &Person, login: &str, password: &str, code: &str) -> super::wire::Answer {
    person.post_form("/login", &[("login", login), ("password", password), ("code", code)])
}

fn set_policy(county: &County, asked: &str) {
    let pairs = [("asked", asked), ("profile", "dengbao"), ("networks", "")];
    assert_eq!(county.secadmin().post_form("/policy", &pairs).expect(303).location(), "/policy?done=saved");
}

/// Confirms what waits about an account, as somebody who may.
#[track_caller]
pub(crate) fn confirm(admin: &Person, path: &str) {
    let page = admin.get(path).expect(200).text();
    let form = forms(&page).into_iter().find(|f| f.action.ends_with("/relief") && f.value("answer") == "agree");
    let answer = admin.submit(&form.unwrap_or_else(|| panic!("nothing waits: {page}"))).expect(303);
    assert!(answer.location().ends_with("?done=agreed"), "{}", answer.location());
}

/// Where the account of a log-in lies.
fn account(person: &Person, login: &str) -> String {
    let list = person.get("/account?all=1&size=100").expect(200).text();
    let row = list.split("<tr").find(|l| l.contains(&format!(">{login}<"))).unwrap();
    row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned()
}

#[test]
fn whoever_must_have_one_is_led_to_it_and_loses_nothing_they_typed() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let form = clerk.form("/petition/new").fill(super::county::PETITION).set("title", "写到一半");
    set_policy(&county, "all");
    for page in ["/", "/petition?all=1", "/search", "/sessions"] {
        assert_eq!(clerk.get(page).expect(303).location(), "/factor");
    }
    assert_eq!(clerk.submit(&form).expect(303).location(), "/factor");
    assert!(clerk.get("/factor").expect(200).says("必须启用动态码"));
    let device = enrol(&clerk);
    // Shown once.
    let page = clerk.get("/factor").expect(200).text();
    assert!(device.recovery.iter().all(|code| !page.contains(code)) && page.contains("10 个"));
    assert!(clerk.get("/resume").expect(200).says("写到一半"));
    set_policy_with(&county, "nobody");
    assert!(log_in(&county.nobody(), "zhen04", PASSWORD, "").status == 422, "it was taken up, and it holds");
}

/// The security administrator has one by now as well.
fn set_policy_with(county: &County, asked: &str) {
    let secadmin = county.secadmin();
    enrol(&secadmin);
    let pairs = [("asked", asked), ("profile", "dengbao"), ("networks", "")];
    secadmin.post_form("/policy", &pairs).expect(303);
}

#[test]
fn a_code_opens_once_and_every_wrong_try_gets_the_same_answer() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let device = enrol(&clerk);
    let pages: Vec<String> = [
        ("zhen04", PASSWORD, ""),
        ("zhen04", PASSWORD, "000000"),
        ("zhen04", "Wrong-one-26!", ""),
        ("zhen04", "Wrong-one-26!", "000000"),
        ("zhen99", PASSWORD, "000000"),
    ]
    .into_iter()
    .map(|(login, password, code)| {
        let nobody = county.nobody();
        let answer = log_in(&nobody, login, password, code).expect(422);
        assert!(nobody.cookie(SESSION).is_none() && nobody.cookie("__Host-device").is_none());
        answer.text().replace("zhen99", "zhen04")
    })
    .collect();
    assert!(pages.iter().all(|page| *page == pages[0]) && !pages[0].contains("000000"));
    // The person's own browser is known: what strangers did does not concern it.
    clerk.post_form("/logout", &[]).expect(303);
    let code = device.code(1);
    log_in(&clerk, "zhen04", PASSWORD, &code).expect(303);
    clerk.get("/").expect(200);
    assert!(clerk.get("/sessions").expect(200).says("4 次，最近一次在"));
    log_in(&clerk, "zhen04", PASSWORD, &code).expect(422);
    county.restart();
    log_in(&clerk, "zhen04", PASSWORD, &code).expect(422);
    let entered = log_in(&clerk, "zhen04", PASSWORD, &device.recovery[0]).expect(303);
    assert_eq!(entered.location(), "/factor?done=recovered");
    assert!(clerk.get(entered.location()).says("还剩 9 个"));
    log_in(&clerk, "zhen04", PASSWORD, &device.recovery[0]).expect(422);
    county.is_sound();
}

/// ASVS 16.2.5
#[test]
fn the_secret_is_on_no_page_but_its_owners_and_in_no_log() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let device = enrol(&clerk);
    let (secret, sysadmin) = (totp::base32(&device.secret), county.sysadmin());
    let path = account(&sysadmin, "zhen04");
    let mut said = county.log();
    for person in [&sysadmin, &county.secadmin(), &county.auditor()] {
        for page in [path.clone(), format!("{path}/history"), "/account?all=1&size=100".into(), "/".into()] {
            said.push_str(&person.get(&page).expect(200).text());
        }
    }
    said.push_str(&county.auditor().get("/audit").text());
    said.push_str(&clerk.get("/factor").text());
    assert!(said.contains("启用动态码") && !said.contains(&secret) && !said.contains(&secret[..8]));
    assert!(device.recovery.iter().all(|code| !said.contains(code.as_str())));
    // Nor in the folder, in the clear.
    for file in super::county::files_below(county.dir()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let holds = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds(&secret) && !holds(&device.recovery[0]), "{}", file.display());
    }
}

/// ASVS 6.3.4, 8.3.3
#[test]
fn the_command_line_asks_for_the_code_as_well() {
    let county = County::bare();
    let device = enrol(&county.clerk(UNIT));
    let search = |lines: &str| county.cli_told(&["search", "--as", "zhen04", "-"], lines).status.code();
    let lines = |code: &str| format!("{PASSWORD}\n{code}\n低保");
    assert_eq!(search(&format!("{PASSWORD}\n低保")), Some(1), "the line behind the password is no code");
    assert_eq!(search(PASSWORD), Some(1));
    let code = device.code(1);
    assert_eq!(search(&lines(&code)), Some(0));
    assert_eq!(search(&lines(&code)), Some(1), "a code that was used");
    // The same where no server has the folder.
    county.terminate();
    assert_eq!(search(&lines(&device.recovery[1])), Some(0));
    assert_eq!(search(&lines(&device.recovery[1])), Some(1));
}

/// ASVS 6.5.6
#[test]
fn a_lost_device_is_void_by_two_desks() {
    let county = County::bare();
    let approver = county.approver(UNIT);
    let device = enrol(&approver);
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let path = account(&sysadmin, "zhen04-fz");
    secadmin.post_form(&format!("{path}/factor"), &[]).expect(404);
    sysadmin.post_form(&format!("{path}/factor"), &[]).expect(303);
    log_in(&county.nobody(), "zhen04-fz", PASSWORD, "").expect(422);
    for desk in [sysadmin.get("/"), secadmin.get("/"), county.auditor().get("/")] {
        assert!(desk.says("作废动态码") && desk.says("zhen04-fz"));
    }
    confirm(&secadmin, &path);
    log_in(&county.nobody(), "zhen04-fz", PASSWORD, "").expect(303);
    assert!(!secadmin.get("/").says("作废动态码</td>"));
    log_in(&county.nobody(), "zhen04-fz", PASSWORD, &device.recovery[0]).expect(303);
    let journal = county.auditor().get("/audit").text();
    assert!(journal.contains("申请作废动态码") && journal.contains("确认作废动态码"));
}

#[test]
fn the_policy_is_the_security_administrators_and_its_form_comes_back_filled() {
    let county = County::bare();
    let secadmin = county.secadmin();
    let page = secadmin.get("/policy").expect(200);
    assert!(page.says("管理办法第十五条始终有效") && page.says("127.0.0.1"));
    let bad = [("asked", "all"), ("profile", "nist"), ("networks", "10.1.0.0/99")];
    let again = secadmin.post_form("/policy", &bad).expect(422);
    assert!(again.says("10.1.0.0/99 不是地址或网段") && again.says("value=\"all\" checked"));
    assert!(county.sysadmin().get("/policy").expect(200).says("不要求"));
    let good = [("asked", "nobody"), ("profile", "nist"), ("networks", "10.1.0.0/16\n10.2.3.4")];
    secadmin.post_form("/policy", &good).expect(303);
    let seen = county.auditor().get("/policy").expect(200);
    assert!(seen.says("10.1.0.0/16、10.2.3.4") && seen.says("NIST") && !seen.says("<textarea"));
    let clerk = county.clerk(UNIT);
    let short = [("old", PASSWORD), ("new", "Quite-new-26!"), ("again", "Quite-new-26!")];
    assert!(clerk.post_form("/password", &short).expect(422).says("口令至少 15 位"));
    assert!(county.auditor().get("/audit").says("设置登录安全策略"));
    county.is_sound();
}

#[test]
fn the_system_administrator_ends_a_session_and_what_was_typed_waits() {
    let county = County::bare();
    let (clerk, sysadmin) = (county.clerk(UNIT), county.sysadmin());
    let form = clerk.form("/petition/new").fill(super::county::PETITION).set("title", "没有写完");
    let page = sysadmin.get("/sessions").expect(200);
    assert!(page.says("正在使用的会话") && !clerk.get("/sessions").expect(200).says("正在使用的会话"));
    let id = account(&sysadmin, "zhen04").rsplit('/').next().unwrap().to_owned();
    sysadmin.post_form("/sessions/end", &[("account", &id)]).expect(303);
    assert_eq!(clerk.submit(&form).expect(303).location(), "/login");
    assert_eq!(log_in(&clerk, "zhen04", PASSWORD, "").expect(303).location(), "/resume");
    assert!(clerk.get("/resume").says("没有写完"));
    path_of(&clerk.submit(&super::form::Form::of(&clerk.get("/resume"))).expect(303));
}
