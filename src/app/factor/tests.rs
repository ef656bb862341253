//! The second factor from its first code to its end, and what two administrators do for whoever lost it.

#![cfg(test)]

use crate::app::login::tests::{House, OWN};
use crate::app::login::{Seen, Typed};
use crate::app::relief::What;
use crate::app::session::{Live, Must};
use crate::app::totp;
use crate::base::{Error, ErrorKind, Result, limits};
use crate::records::account::{self, tag};

/// What a device knows, and the person has on paper.
struct Device {
    secret: Vec<u8>,
    recovery: Vec<String>,
}

impl Device {
    fn code(&self, house: &House, away: i64) -> String {
        use crate::base::Clock;
        totp::code(&self.secret, totp::step_at(house.clock.now()) + away)
    }
}

/// Scans the picture and types the first code, of the step before the present one.
#[track_caller]
fn enrol(house: &House, live: &Live) -> Device {
    let groups = house.app().factor_page(live).unwrap().secret.unwrap().groups;
    let secret = totp::from_base32(&groups.replace(' ', "")).unwrap();
    let mut device = Device { secret, recovery: Vec::new() };
    let code = device.code(house, -1);
    let typed = format!(" {} {}", &code[..3], &code[3..]);
    device.recovery = house.app().confirm_factor(live, &typed, &Typed::default()).unwrap();
    device
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|e: Error| e.kind())
}

/// ASVS 6.5.1
#[test]
fn a_code_opens_once_also_after_a_restart() {
    let mut house = House::new();
    let live = house.settled("shenji");
    let device = enrol(&house, &live);
    assert_eq!(device.recovery.len(), 10);
    assert!(house.log_in("shenji", OWN, "").is_err(), "without a code");
    assert!(house.log_in("shenji", OWN, &device.code(&house, -1)).is_err(), "the code it was set up with");
    assert!(house.log_in("shenji", "Xia-tian.2033", &device.code(&house, 0)).is_err(), "a wrong password");
    let code = device.code(&house, 0);
    assert_eq!(house.live("shenji", OWN, &code).must, None);
    assert!(house.log_in("shenji", OWN, &code).is_err(), "a code that was used");
    house.restart();
    assert!(house.log_in("shenji", OWN, &code).is_err(), "a code that was used before the restart");
    assert!(house.log_in("shenji", OWN, &device.code(&house, 2)).is_err(), "a code of the minute after");
    assert!(house.log_in("shenji", OWN, &device.code(&house, 1)).is_ok(), "a device that is fast");
    house.wait(300);
    assert!(house.log_in("shenji", OWN, &device.code(&house, -2)).is_err(), "a code of the minute before");
    assert!(house.log_in("shenji", OWN, &device.code(&house, 0)).is_ok());
    house.is_sound();
}

#[test]
fn a_recovery_code_opens_once_and_its_owner_knows_how_many_are_left() {
    let mut house = House::new();
    let live = house.settled("shenji");
    let device = enrol(&house, &live);
    let upper = device.recovery[3].to_uppercase().replace('-', " ");
    let entered = house.log_in("shenji", OWN, &upper).unwrap();
    assert!(entered.recovered);
    assert_eq!(house.entries(1), [("用恢复码登录", true, "left 9".to_owned())]);
    let live = house.app().session(&entered.token, "10.0.0.1").unwrap().unwrap();
    assert_eq!(house.app().factor_page(&live).unwrap().left, 9);
    house.restart();
    assert!(house.log_in("shenji", OWN, &device.recovery[3]).is_err(), "it was used");
    assert!(house.log_in("shenji", OWN, &device.recovery[4]).is_ok());
    // Another person's code is worth nothing here.
    let other = enrol(&house, &house.settled("baomi"));
    assert!(house.log_in("shenji", OWN, &other.recovery[0]).is_err());
    let stored = house.account("shenji");
    let text = format!("{:?}", stored.fields);
    assert!(device.recovery.iter().all(|code| !text.contains(code.as_str()) && !text.contains(&code.replace('-', ""))));
    house.is_sound();
}

/// ASVS 7.5.1
#[test]
fn only_its_owner_with_password_and_code_renews_it_or_takes_it_off() {
    let house = House::new();
    let live = house.settled("jingban");
    let old = enrol(&house, &live);
    let app = house.app();
    assert!(app.factor_page(&live).unwrap().secret.is_none(), "no secret is offered in place of one that holds");
    for (password, code) in [
        (OWN, "000000".to_owned()),
        ("Xia-tian.2033", old.code(&house, 0)),
        (OWN, old.code(&house, -1)),
        (OWN, String::new()),
    ] {
        assert_eq!(kind(app.renew_factor(&live, password, &code)), Some(ErrorKind::Invalid));
    }
    assert_eq!(house.app().factor_page(&live).unwrap().left, 10);
    app.renew_factor(&live, OWN, &old.code(&house, 0)).unwrap();
    assert_eq!(kind(app.renew_factor(&live, OWN, &old.code(&house, 0))), Some(ErrorKind::Invalid), "used");
    // The old one holds until the new one is confirmed.
    let secret = app.factor_page(&live).unwrap().secret.unwrap().groups;
    assert_ne!(totp::from_base32(&secret.replace(' ', "")).unwrap(), old.secret);
    assert_eq!(kind(app.confirm_factor(&live, &old.code(&house, 1), &Typed::default())), Some(ErrorKind::Invalid));
    let new = enrol(&house, &live);
    house.wait(60);
    assert!(house.log_in("jingban", OWN, &old.code(&house, 0)).is_err());
    assert!(house.log_in("jingban", OWN, &old.recovery[0]).is_err());
    let live = house.live("jingban", OWN, &new.code(&house, 0));
    // A lost device: a recovery code will do.
    house.app().drop_factor(&live, OWN, &new.recovery[0]).unwrap();
    assert_eq!(house.entries(1)[0].0, "停用动态码");
    assert!(house.log_in("jingban", OWN, "").is_ok());
    assert!(!house.app().has_factor(&house.account("jingban")));
    house.is_sound();
}

#[test]
fn whoever_must_have_one_cannot_take_it_off() {
    let house = House::new();
    let live = house.settled("shenji");
    let device = enrol(&house, &live);
    let refused = house.app().drop_factor(&live, OWN, &device.code(&house, 0)).unwrap_err();
    assert!(refused.public().contains("必须启用动态码"));
    // Where the profile of NIST holds, a short password does not stand alone.
    house.set_policy("nobody", "nist", "").unwrap();
    let refused = house.app().drop_factor(&live, OWN, &device.code(&house, 0)).unwrap_err();
    assert!(refused.public().contains("至少 15 位"), "{refused}");
    house.set_policy("nobody", "dengbao", "").unwrap();
    house.app().drop_factor(&live, OWN, &device.code(&house, 0)).unwrap();
}

#[test]
fn guesses_at_a_code_in_an_open_session_are_paused() {
    let house = House::new();
    let live = house.settled("jingban");
    let device = enrol(&house, &live);
    for _ in 0..5 {
        assert_eq!(kind(house.app().drop_factor(&live, OWN, "000000")), Some(ErrorKind::Invalid));
    }
    assert_eq!(kind(house.app().drop_factor(&live, OWN, &device.code(&house, 0))), Some(ErrorKind::Busy));
    let log = house.entries(5);
    assert!(log.iter().all(|e| *e == ("登录失败", false, "own".to_owned())), "{log:?}");
}

#[test]
fn the_console_asks_for_the_code_as_well() {
    let house = House::new();
    let live = house.settled("jingban");
    let console = |code: Option<&str>| {
        let typed = Typed { password: OWN.into(), code: code.map(str::to_owned) };
        kind(house.app().console_actor("jingban", &typed).map(drop))
    };
    assert_eq!(console(None), None);
    let device = enrol(&house, &live);
    assert_eq!(console(None), Some(ErrorKind::Code));
    assert_eq!(console(Some("")), Some(ErrorKind::Denied));
    assert_eq!(console(Some("000000")), Some(ErrorKind::Denied));
    assert_eq!(console(Some(&device.code(&house, 0))), None);
    assert_eq!(console(Some(&device.code(&house, 0))), Some(ErrorKind::Denied), "a code that was used");
    assert!(house.log_in("jingban", OWN, &device.code(&house, 0)).is_err(), "nor in the browser");
}

/// Asks as one administrator and answers as another.
fn two(house: &House, (asks, answers): (&str, &str), login: &str, what: What) -> Result<Option<String>> {
    let (app, id) = (house.app(), house.account(login).id);
    let password = match what {
        What::Password => Some(app.reset_password(&house.actor(asks), id)?),
        What::Factor => app.ask_void_factor(&house.actor(asks), id).map(|()| None)?,
    };
    let waiting = app.waiting_relief(&house.actor(answers))?;
    let own = waiting.iter().find(|w| w.account == id && w.what == what).unwrap();
    app.decide_relief(&house.actor(answers), id, (what, own.at.0), true).map(|()| password)
}

/// ASVS 6.4.4
#[test]
fn a_lost_factor_is_void_once_a_second_administrator_says_so() {
    let house = House::new();
    let device = enrol(&house, &house.settled("fuzeren"));
    let id = house.account("fuzeren").id;
    house.app().ask_void_factor(&house.actor("xitong"), id).unwrap();
    assert!(house.log_in("fuzeren", OWN, "").is_err(), "one administrator is enough");
    assert!(house.log_in("fuzeren", OWN, &device.code(&house, 0)).is_ok(), "it holds until then");
    let (app, at) = (house.app(), house.app().waiting_relief(&house.actor("baomi")).unwrap()[0].at.0);
    for other in ["xitong", "shenji", "jingban", "fuzeren"] {
        assert!(app.decide_relief(&house.actor(other), id, (What::Factor, at), true).is_err(), "{other}");
    }
    assert!(app.decide_relief(&house.actor("baomi"), id, (What::Factor, at + 1), true).is_err());
    assert!(app.decide_relief(&house.actor("baomi"), id, (What::Password, at), true).is_err());
    app.decide_relief(&house.actor("baomi"), id, (What::Factor, at), true).unwrap();
    let log = house.entries(1);
    assert_eq!((log[0].0, log[0].1), ("确认作废动态码", true));
    // Enrolled anew at the next log-in.
    let live = house.live("fuzeren", OWN, "");
    assert_eq!(live.must, Some(Must::Factor));
    enrol(&house, &live);
    assert!(kind(app.ask_void_factor(&house.actor("xitong"), house.account("jingban").id)).is_some());
    house.is_sound();
}

/// ASVS 6.4.3
#[test]
fn a_one_time_password_opens_once_two_administrators_stand_behind_it() {
    let house = House::new();
    let (app, clerk) = (house.app(), house.account("jingban"));
    house.settled("jingban");
    let first = app.reset_password(&house.actor("xitong"), clerk.id).unwrap();
    assert!(house.log_in("jingban", &first, "").is_err(), "one administrator is enough");
    assert!(house.log_in("jingban", OWN, "").is_ok(), "the person's own password holds until then");
    let second = app.reset_password(&house.actor("xitong"), clerk.id).unwrap();
    let waiting = app.waiting_relief(&house.actor("baomi")).unwrap();
    assert!(waiting.len() == 1 && waiting[0].may_decide && !waiting[0].own);
    assert!(app.waiting_relief(&house.actor("jingban")).unwrap().is_empty());
    app.decide_relief(&house.actor("baomi"), clerk.id, (What::Password, waiting[0].at.0), true).unwrap();
    assert!(house.log_in("jingban", &first, "").is_err() && house.log_in("jingban", OWN, "").is_err());
    house.wait(301);
    let live = house.live("jingban", &second, "");
    assert_eq!((live.must, live.actor.roles), (Some(Must::FirstPassword), vec!["handler".to_owned()]));
    // Refused or taken back, it opens nothing.
    for who in ["baomi", "xitong"] {
        let none = app.reset_password(&house.actor("xitong"), clerk.id).unwrap();
        let at = app.waiting_relief(&house.actor(who)).unwrap()[0].at.0;
        app.decide_relief(&house.actor(who), clerk.id, (What::Password, at), false).unwrap();
        assert!(!house.entries(1)[0].1);
        assert!(house.log_in("jingban", &none, "").is_err());
        assert!(app.decide_relief(&house.actor("baomi"), clerk.id, (What::Password, at), true).is_err());
    }
    house.is_sound();
}

#[test]
fn what_was_asked_for_ends_with_its_need_and_after_a_week() {
    let house = House::new();
    let (app, clerk) = (house.app(), house.account("jingban"));
    house.settled("jingban");
    let waiting = || app.waiting_relief(&house.actor("baomi")).unwrap();
    app.reset_password(&house.actor("xitong"), clerk.id).unwrap();
    assert_eq!(waiting().len(), 1);
    app.change_password(&house.actor("jingban"), OWN, "Chun-yu.2033").unwrap();
    assert!(waiting().is_empty(), "the person remembered, and set another");
    let late = app.reset_password(&house.actor("xitong"), clerk.id).unwrap();
    house.wait(limits::RELIEF_S + 1);
    let at = waiting()[0].at.0;
    assert!(app.decide_relief(&house.actor("baomi"), clerk.id, (What::Password, at), true).is_err());
    assert!(house.log_in("jingban", &late, "").is_err());
    app.decide_relief(&house.actor("baomi"), clerk.id, (What::Password, at), false).unwrap();
    assert!(waiting().is_empty());
    house.is_sound();
}

/// On a standby nothing of an account can be set: whoever lacks what the policy asks for reads all the same, and a code
/// that was used on the host before is used.
#[test]
fn on_a_standby_nobody_is_kept_out_for_what_cannot_be_done_there() {
    let mut house = House::new();
    house.settled("fuzeren");
    let device = enrol(&house, &house.settled("baomi"));
    house.wait(60);
    let code = device.code(&house, 0);
    house.log_in("baomi", OWN, &code).unwrap();
    house.app().store.follow("甲".to_owned(), None).unwrap();
    house.restart();
    assert_eq!(house.live("fuzeren", OWN, "").must, None);
    assert!(house.log_in("baomi", OWN, &code).is_err(), "it was used");
    house.wait(60);
    assert_eq!(house.live("baomi", OWN, &device.code(&house, 0)).must, None);
}

#[test]
fn an_administrator_is_let_in_again_by_the_other_two() {
    let house = House::new();
    for (lost, asks, confirms) in
        [("xitong", "baomi", "shenji"), ("baomi", "xitong", "shenji"), ("shenji", "xitong", "baomi")]
    {
        let id = house.account(lost).id;
        for wrong in ["xitong", "baomi", "shenji", "jingban"].iter().filter(|w| **w != asks) {
            assert!(house.app().reset_password(&house.actor(wrong), id).is_err(), "{wrong} for {lost}");
        }
        assert!(two(&house, (asks, asks), lost, What::Password).is_err());
        let password = two(&house, (asks, confirms), lost, What::Password).unwrap().unwrap();
        assert_eq!(house.live(lost, &password, "").must, Some(Must::FirstPassword));
        assert!(account::is_administrator(&house.account(lost).fields));
    }
}

#[test]
fn secrets_are_in_no_list_history_or_journal() {
    let house = House::new();
    let device = enrol(&house, &house.settled("jingban"));
    let password = two(&house, ("xitong", "baomi"), "jingban", What::Password).unwrap().unwrap();
    let (app, secret) = (house.app(), totp::base32(&device.secret));
    let account = house.account("jingban");
    assert_eq!(account.fields.text(tag::FACTOR), secret);
    let (_, steps) = app.history(&house.actor("xitong"), &account::KIND, account.id).unwrap();
    let told = steps.iter().flat_map(|s| &s.changes).map(|(f, ..)| f.tag);
    let hidden = [tag::CREDENTIAL, tag::FACTOR, tag::RECOVERY, tag::PASSWORD_HISTORY, tag::WAITING];
    assert!(told.into_iter().all(|tag| !hidden.contains(&tag)));
    let offered = crate::app::choice::offered(&account::KIND);
    assert!(hidden.iter().all(|tag| !offered.contains(tag)) && !account::KIND.indexed);
    for (_, _, note) in house.entries(200) {
        assert!(!note.contains(&secret) && !note.contains(&password), "{note}");
    }
    let seen = Seen::of(&app.store.read().unwrap(), account.id).unwrap();
    assert!(seen.step() > 0);
}
