//! Power cuts under load: what was acknowledged is there, is found, has a number of its own; the journal
//! holds.
//!
//! `JICENG_CAMPAIGN=n` makes n times as many rounds; round r of a campaign is always the same one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::county::{County, PETITION, Person, path_of};
use super::form::Form;
use super::passwords::PASSWORD;
use super::register::noise;

const ROUNDS: u64 = 8;
pub(crate) const UNITS: [&str; 3] = ["石鼓岭镇纪委", "枫桥坞镇纪委", "白鹭浦镇纪委"];

/// What the server said it has: path, title, and the bytes of the attachment.
pub(crate) struct Promise {
    path: String,
    title: String,
    file: Vec<u8>,
    by: usize,
}

pub(crate) fn campaign() -> u64 {
    std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Where a campaign goes on that was broken off.
pub(crate) fn from() -> u64 {
    std::env::var("JICENG_FROM").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// One person registers until the server is gone.
pub(crate) fn work(
    person: &Person,
    blank: &Form,
    (by, round): (usize, u64),
    end: &AtomicBool,
    kept: &Mutex<Vec<Promise>>,
) {
    for n in 0.. {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let title = format!("轮次{round}经办{by}第{n}件反映材料");
        let file = noise(round * 1_000 + n, 3_000 + (n as usize % 5) * 40_000);
        let submit = format!("{round}-{by}-{n}");
        let form = blank.clone().fill(&[("title", &title), ("submit", &submit)]).attach("附件.bin", &file);
        match person.try_submit(&form) {
            Ok(answer) if answer.status == 303 => {
                kept.lock().unwrap().push(Promise { path: path_of(&answer), title, file, by });
            }
            Ok(answer) => panic!("round {round}: {} {}", answer.status, answer.text()),
            Err(_) => return,
        }
    }
}

#[track_caller]
pub(crate) fn holds(people: &[Person], promises: &[Promise], round: u64) {
    for promise in promises {
        let clerk = &people[promise.by];
        let page = clerk.get(&promise.path);
        assert!(page.status == 200 && page.says(&promise.title), "round {round}: {} is lost", promise.title);
        let file = clerk.get(&format!("{}/files/0", promise.path)).expect(200);
        assert!(
            file.body == promise.file,
            "round {round}: the attachment of {} is not what was sent",
            promise.title
        );
    }
    // Searching is slower than opening: the last ones are the ones in danger.
    for promise in promises.iter().rev().take(6) {
        let found = people[promise.by].search(&promise.title);
        let href = format!("href=\"{}\"", promise.path);
        assert!(found.says(&href), "round {round}: {} is not found", promise.title);
    }
}

/// Register numbers of all petitions, read page by page.
fn numbers(reader: &Person) -> Vec<String> {
    let mut all = Vec::new();
    for page in 1.. {
        let text = reader.get(&format!("/petition?size=100&page={page}")).expect(200).text();
        let found: Vec<String> = text
            .split("<tr")
            .filter_map(|row| Some(row[row.find("信访〔")?..].split('号').next()?.to_owned()))
            .collect();
        if found.is_empty() {
            return all;
        }
        all.extend(found);
    }
    all
}

#[test]
fn power_cuts_under_load_lose_nothing_that_was_acknowledged() {
    let county = County::bare();
    let people: Vec<Person> = UNITS.iter().map(|unit| county.clerk(unit)).collect();
    let mut all: Vec<Promise> = Vec::new();
    for round in 1 + from()..=from() + ROUNDS * campaign() {
        let (kept, end) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let blanks: Vec<Form> = people.iter().map(|p| p.form("/petition/new").fill(PETITION)).collect();
        let random = noise(round, 2);
        let wait = 20 + (u64::from(random[0]) * 256 + u64::from(random[1])) % 230;
        std::thread::scope(|scope| {
            for (by, (person, blank)) in people.iter().zip(&blanks).enumerate() {
                let (end, kept) = (&end, &kept);
                scope.spawn(move || work(person, blank, (by, round), end, kept));
            }
            std::thread::sleep(Duration::from_millis(wait));
            county.kill_9();
            end.store(true, Ordering::Relaxed);
        });
        county.is_sound();
        county.restart();
        std::thread::scope(|scope| {
            people.iter().for_each(|p| drop(scope.spawn(move || p.log_in(PASSWORD).expect(303))));
        });
        let promises = kept.into_inner().unwrap();
        holds(&people, &promises, round);
        all.extend(promises);
    }
    assert!(all.len() as u64 > ROUNDS, "the rounds were too short to mean anything: {}", all.len());
    holds(&people, &all, 0);
    let reader = county.demo_user();
    let numbers = numbers(&reader);
    let distinct: BTreeSet<&String> = numbers.iter().collect();
    assert_eq!(distinct.len(), numbers.len(), "a number was given twice");
    assert!(numbers.len() >= all.len());
    county.is_sound();
}

#[test]
fn a_form_sent_again_after_a_power_cut_registers_once() {
    let county = County::bare();
    let clerk = county.clerk(UNITS[0]);
    let form = clerk.form("/petition/new").fill(PETITION);
    let path = path_of(&clerk.submit(&form).expect(303));
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    // The browser still shows the form, with the token of the last session.
    let again = clerk.submit(&form).expect(303);
    assert_eq!(again.location(), "/resume");
    let shown = Form::of(&clerk.get("/resume").expect(200));
    assert_eq!(shown.value("title"), form.value("title"));
    let token = clerk.token();
    assert_eq!(path_of(&clerk.submit(&form.set("csrf", &token)).expect(303)), path);
}

#[test]
fn a_calm_end_lets_running_forms_finish() {
    let county = County::bare();
    let clerk = county.clerk(UNITS[0]);
    for _ in 0..3 {
        clerk.register(&[]);
    }
    county.terminate();
    county.is_sound();
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    assert!(clerk.get("/petition?all=1").says("共 3 条"));
}
