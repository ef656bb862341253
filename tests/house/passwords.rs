//! Passwords (article 15) and log-in: weak ones are refused, strangers learn nothing, and guessing is paused.

pub(crate) use jiceng::app::demo::PASSWORD;

use std::net::Ipv4Addr;

use super::county::County;
use super::form::attribute;
use super::wire::{Request, urlencoded};

/// Too short, or without letters, digits or specials, or with the log-in name in it.
const WEAK: [&str; 12] = [
    "",
    "Ab1!",
    "Abcde12!x",
    "abcdefghijkl",
    "123456789012",
    "!!!!!!!!!!!!",
    "abcdef123456",
    "abcdefgh!!!!",
    "12345678!!!!",
    "abc def 123 456",
    "Zhen04-2026!",
    "xxzhen04!!77",
];

/// ASVS 6.2.1, 6.2.2, 6.2.3
#[test]
fn weak_passwords_are_refused_and_the_old_one_stays() {
    let county = County::bare();
    let clerk = county.person("zhen04");
    let change = |old: &str, new: &str, again: &str| {
        clerk.post_form("/password", &[("old", old), ("new", new), ("again", again)])
    };
    for weak in WEAK {
        let page = change(PASSWORD, weak, weak).expect(422);
        assert!(page.says("口令至少 10 位") || page.says("口令不能包含登录名"), "{weak}");
        assert!(weak.is_empty() || !page.says(&format!("value=\"{weak}\"")));
    }
    assert!(change(PASSWORD, "Quite-new-26!", "Quite-new-27!").expect(422).says("不一致"));
    assert!(change("Wrong-one-26!", "Quite-new-26!", "Quite-new-26!").expect(422).says("原口令不正确"));
    assert!(change(PASSWORD, PASSWORD, PASSWORD).expect(422).says("不能与原口令相同"));
    assert_eq!(clerk.tab().log_in(PASSWORD).status, 303);
    let clerk = county.person("zhen04");
    let new = "纪检监察2026年#第一";
    clerk.post_form("/password", &[("old", PASSWORD), ("new", new), ("again", new)]).expect(303);
    assert_eq!(county.nobody().log_in_as("zhen04", PASSWORD).status, 422);
    assert_eq!(county.nobody().log_in_as("zhen04", new).status, 303);
}

#[test]
fn a_wrong_password_and_an_unknown_name_get_the_same_answer() {
    let county = County::bare();
    let answers = ["zhen04", "zhen99"].map(|login| county.nobody().log_in_as(login, "Wrong-one-26!"));
    let [known, unknown] = answers.map(|a| (a.status, a.text().replace("zhen04", "zhen99"), a.headers));
    assert_eq!(known.0, 422);
    assert_eq!(known.1, unknown.1);
    let names = |all: &[(String, String)]| all.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(&known.2), names(&unknown.2));
}

/// ASVS 16.3.1
#[test]
fn five_failures_pause_this_account_and_no_other() {
    let county = County::bare();
    let person = county.nobody();
    for _ in 0..5 {
        let page = person.log_in_as("zhen04", "Wrong-one-26!").expect(422);
        assert!(page.says("登录名或口令不正确"));
    }
    let paused = person.log_in_as("zhen04", PASSWORD).expect(422);
    assert!(paused.says("连续多次失败") && person.cookie(super::county::SESSION).is_none());
    person.log_in_as("zhen05", PASSWORD).expect(303);
    let journal = county.auditor().get("/audit").text();
    assert_eq!(journal.matches("登录失败").count(), 5);
}

#[test]
fn the_pause_cannot_be_walked_around_by_writing_the_name_another_way() {
    let county = County::bare();
    let person = county.nobody();
    for _ in 0..5 {
        person.log_in_as("zhen04", "Wrong-one-26!").expect(422);
    }
    let around: Vec<&str> = ["ZHEN04", "Zhen04", "ｚｈｅｎ０４", " zhen04 "]
        .into_iter()
        .filter(|name| person.log_in_as(name, PASSWORD).status == 303)
        .collect();
    assert!(around.is_empty(), "guessing goes on as {around:?}");
}

#[test]
fn unknown_names_are_paused_like_known_ones() {
    let county = County::bare();
    let person = county.nobody();
    for _ in 0..5 {
        person.log_in_as("zhen99", "Wrong-one-26!").expect(422);
    }
    assert!(person.log_in_as("zhen99", "Wrong-one-26!").expect(422).says("连续多次失败"));
}

/// A guess from this address, with the mark of a device or without.
fn guess(county: &County, from: Ipv4Addr, password: &str, device: Option<&str>) -> super::wire::Answer {
    let pairs = [("login".to_owned(), "zhen04".to_owned()), ("password".to_owned(), password.to_owned())];
    let request = Request::new("POST", "/login").header("origin", &format!("https://{}", county.wire().host()));
    let request = request.body("application/x-www-form-urlencoded", urlencoded(&pairs));
    let known = |mark: &str| format!("__Host-device={mark}");
    let request = match device {
        Some(mark) => request.header("cookie", &known(mark)),
        None => request,
    };
    county.wire().send_from(from, &request).unwrap()
}

/// ASVS 6.3.1
#[test]
fn whoever_guesses_from_many_addresses_keeps_neither_the_owner_nor_others_out() {
    let county = County::bare();
    let owner = county.person("zhen04");
    let mark = owner.cookie("__Host-device").unwrap();
    let office = Ipv4Addr::new(127, 0, 4, 1);
    // Five for an address, whatever it is told; the next address has its own.
    for n in 2..5 {
        let from = Ipv4Addr::new(127, 0, 4, n);
        let looked_at = (0..8).filter(|_| guess(&county, from, "Wrong-one-26!", None).says("登录名或口令不正确")).count();
        assert_eq!(looked_at, 5, "{from}");
        assert!(guess(&county, from, PASSWORD, None).expect(422).says("连续多次失败"));
    }
    // Meanwhile the owner comes in at the desk of old, even from the address that guesses, and so do others there.
    for from in [office, Ipv4Addr::new(127, 0, 4, 2)] {
        guess(&county, from, PASSWORD, Some(&mark)).expect(303);
    }
    assert!(guess(&county, office, PASSWORD, Some(&"0".repeat(65))).status == 303, "as a stranger, with the right one");
    county.person("zhen05");
}

/// ASVS 6.2.6, 6.2.7
#[test]
fn fields_for_passwords_hide_them_and_take_what_a_manager_or_the_clipboard_brings() {
    let county = County::bare();
    let pages = [county.nobody().get("/login").expect(200), county.person("zhen04").get("/password").expect(200)];
    let mut seen = Vec::new();
    for page in pages {
        let text = page.text();
        for tag in text.split("<input").skip(1).map(|t| t.split('>').next().unwrap()) {
            let name = attribute(tag, "name").unwrap_or_default();
            if ["password", "old", "new", "again"].contains(&name.as_str()) {
                assert_eq!(attribute(tag, "type").as_deref(), Some("password"), "{tag}");
                let filled = attribute(tag, "autocomplete").unwrap_or_default();
                assert!(["current-password", "new-password"].contains(&filled.as_str()), "{tag}");
                assert!(!tag.contains("maxlength") && !tag.contains("value=") && !tag.contains(" on"), "{tag}");
                seen.push(name);
            }
        }
    }
    assert_eq!(seen, ["password", "old", "new", "again"]);
}
