//! A start at which no slot opens by itself: one page, one question, and nothing of the house behind it until somebody
//! answers.

use std::fs;
use std::path::PathBuf;

use super::county::County;
use super::form::attribute;

const WORDS: &str = "青石桥头-第七盏灯-不归";
const WRONG: &str = "青石桥头-第八盏灯-不归";

fn key_of(county: &County) -> PathBuf {
    PathBuf::from(format!("{}.key", county.dir().display()))
}

/// A county whose key file is gone and that has a passphrase, started with this configuration.
fn sealed(config: &str) -> County {
    let county = County::bare();
    let added = county.cli_told(&["key", "add", "passphrase", "--name", "duty"], WORDS);
    assert!(added.status.success(), "{added:?}");
    county.terminate();
    fs::rename(key_of(&county), format!("{}.away", county.dir().display())).unwrap();
    county.restart_with(config);
    county
}

#[test]
fn the_unlock_page_is_all_there_is_until_somebody_unlocks() {
    let county = sealed("");
    let nobody = county.nobody();
    for path in ["/", "/login", "/petition", "/petition/1", "/backup", "/nothing", "/unlock/", "/audit?before=1"] {
        assert_eq!(nobody.get(path).expect(303).location(), "/unlock", "{path}");
    }
    nobody.get("/healthz").expect(503);
    nobody.get("/assets/none").expect(503);
    for path in ["/login", "/", "/setup/x", "/petition/new"] {
        nobody.post_form(path, &[("login", "demo"), ("password", "x")]).expect(503);
    }
    let page = nobody.get("/unlock").expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-store");
    let text = page.text();
    let focused = text.split('<').find(|t| t.contains(" autofocus")).unwrap();
    assert_eq!(attribute(focused, "name").as_deref(), Some("passphrase"));
    assert!(text.contains("[unlock] addresses") && !text.contains("<script"));
    let style = text.split('<').find_map(|t| attribute(t, "href").filter(|h| h.contains("/assets/style"))).unwrap();
    nobody.get(&style).expect(200);
    // A page of somebody else cannot ask.
    let foreign = nobody.request("POST", "/unlock").header("sec-fetch-site", "cross-site");
    let foreign = foreign.body("application/x-www-form-urlencoded", format!("passphrase={WORDS}").into_bytes());
    nobody.send(foreign).unwrap().expect(422);
    let wrong = nobody.post_form("/unlock", &[("passphrase", WRONG)]).expect(422);
    assert!(wrong.says("没有解锁") && !wrong.says(WRONG));
    assert_eq!(nobody.post_form("/unlock", &[("passphrase", WORDS)]).expect(303).location(), "/");
    // The same process serves everything now.
    assert_eq!(nobody.get("/").expect(303).location(), "/login");
    nobody.get("/unlock").expect(303);
    assert!(county.is_alive());
    county.demo_user().get("/petition").expect(200);
    let journal = county.auditor().get("/audit").expect(200);
    assert!(journal.says("解锁") && journal.says("duty; failures 1"));
    assert!(!county.log().contains(WORDS) && !county.log().contains(WRONG));
    let slots = fs::read_to_string(county.dir().join("keys.json")).unwrap();
    assert!(slots.contains("passphrase") && !slots.contains(WORDS));
}

#[test]
fn whoever_guesses_has_to_wait_and_the_console_has_not() {
    let county = sealed("");
    let nobody = county.nobody();
    let answers: Vec<String> =
        (0..3).map(|_| nobody.post_form("/unlock", &[("passphrase", WRONG)]).expect(422).text()).collect();
    // The right one comes too early, and nothing tells it from a wrong one.
    let early = nobody.post_form("/unlock", &[("passphrase", WORDS)]).expect(422).text();
    assert!(answers.iter().all(|a| *a == early));
    let doctor = county.cli(&["doctor"]);
    assert!(!doctor.status.success() && String::from_utf8_lossy(&doctor.stderr).contains("尚未解锁"));
    assert!(!county.cli_told(&["unlock"], WRONG).status.success());
    assert!(county.cli_told(&["unlock"], WORDS).status.success());
    county.clerk("石鼓岭镇纪委").register(&[]);
    let journal = county.auditor().get("/audit").expect(200);
    assert!(journal.says("duty; failures 4"));
    county.is_sound();
}

#[test]
fn the_page_shows_itself_to_listed_addresses_only() {
    let county = sealed("[unlock]\naddresses = [\"10.9.8.0/24\"]\n");
    let nobody = county.nobody();
    for path in ["/", "/unlock", "/login", "/healthz"] {
        let answer = nobody.get(path).expect(503);
        assert!(!answer.says("<form") && !answer.says("passphrase"), "{path}");
    }
    nobody.post_form("/unlock", &[("passphrase", WORDS)]).expect(503);
    assert!(county.cli_told(&["unlock"], WORDS).status.success());
    nobody.get("/login").expect(200);
}
