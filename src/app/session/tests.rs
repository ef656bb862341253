//! How long a session lasts, over a clock that is set by hand, and what ends it before.

#![cfg(test)]

use super::*;
use crate::app::login::tests::{House, OWN};
use crate::base::Clock;

fn lives(house: &House, token: &str) -> bool {
    house.app().session(token, "10.0.0.1").unwrap().is_some()
}

fn enters(house: &House) -> String {
    house.log_in("jingban", OWN, "").unwrap().token
}

/// ASVS 7.3.1, 7.3.2
#[test]
fn a_session_ends_after_half_an_hour_of_nothing_and_after_ten_hours_in_any_case() {
    let house = House::new();
    house.settled("jingban");
    let token = enters(&house);
    house.wait(limits::SESSION_IDLE_S);
    assert!(lives(&house, &token), "half an hour is within");
    house.wait(limits::SESSION_IDLE_S + 1);
    assert!(!lives(&house, &token) && !lives(&house, &token), "and a second more is not");
    // Somebody who never rests.
    let token = enters(&house);
    let began = house.clock.now();
    while house.clock.now().seconds_since(began) < limits::SESSION_MAX_S {
        assert!(lives(&house, &token));
        house.wait(600);
    }
    assert!(lives(&house, &token), "ten hours");
    house.wait(1);
    assert!(!lives(&house, &token), "ten hours and a second");
    // Nobody is there after a restart.
    let mut house = house;
    let token = enters(&house);
    house.restart();
    assert!(!lives(&house, &token));
}

/// ASVS 7.4.2
#[test]
fn an_account_that_is_closed_has_no_session_from_that_moment() {
    let house = House::new();
    house.settled("jingban");
    let id = house.account("jingban").id;
    let token = enters(&house);
    assert!(lives(&house, &token));
    let doer = house.actor("xitong").doer();
    let closed = house.app().store.submit(move |txn| {
        let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
        (record.state, record.version) = (2, record.version + 1);
        txn.act(Act::new(doer, act::PASSWORD));
        txn.update_at_rest(record)
    });
    closed.unwrap();
    assert!(!lives(&house, &token), "it is closed");
    assert!(house.log_in("jingban", OWN, "").is_err());
}

/// ASVS 7.2.1, 7.2.2, 7.2.3
#[test]
fn no_two_sessions_have_a_token_that_can_be_told_from_another() {
    let house = House::new();
    house.settled("jingban");
    let tokens: Vec<String> = (0..5).map(|_| enters(&house)).collect();
    for token in &tokens {
        assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "256 bits");
        assert_eq!(tokens.iter().filter(|t| *t == token).count(), 1);
    }
    // One is live at a time, the last.
    assert_eq!(tokens.iter().map(|t| lives(&house, t)).collect::<Vec<_>>(), [false, false, false, false, true]);
    for forged in ["", "0", &"0".repeat(64), &tokens[4].to_uppercase(), &tokens[4][..63]] {
        assert!(!lives(&house, forged), "{forged}");
    }
}

/// ASVS 9.1.1, 9.1.3, 9.2.2, 9.2.3
#[test]
fn a_mark_of_one_purpose_or_county_is_none_of_another() {
    let (house, other) = (House::new(), House::new());
    let mark = house.app().login_mark("jingban");
    assert_eq!(house.app().marked_login(&mark).as_deref(), Some("jingban"));
    let (_, tag) = mark.rsplit_once('.').unwrap();
    let entered = house.settled("jingban").actor.login;
    let device = house.log_in(&entered, OWN, "").unwrap().device;
    let (swapped, zeros) = (format!("shenji.{tag}"), format!("jingban.{}", "0".repeat(tag.len())));
    for forged in ["jingban", "jingban.", &swapped, &zeros, &device] {
        assert_eq!(house.app().marked_login(forged), None, "{forged}");
    }
    // Copies of one store share its keys; another county's has its own.
    assert_eq!(other.app().marked_login(&mark).as_deref(), Some("jingban"));
    let dir = tempfile::tempdir().unwrap();
    let clock: std::sync::Arc<dyn Clock> = house.clock.clone();
    let stranger = crate::app::demo::create(&dir.path().join("d"), clock, true).unwrap();
    assert_eq!(stranger.marked_login(&mark), None);
}
