//! Log-ins of a county that was set up anew, over a clock that is set by hand.

#![cfg(test)]

use std::sync::{Arc, OnceLock};

use super::*;
use crate::app::audit::console::Filter;
use crate::app::policy;
use crate::app::session::Live;
use crate::app::setup::{Account, Answers, Unit, set_up};
use crate::base::Clock;
use crate::base::clock::ManualClock;
use crate::store::{DATABASE_FILE, SLOT_FILE, Store};

const START: i64 = 1_790_000_000_000;
const DAY: i64 = 24 * 3600;
/// The password that everybody was given, and the one they made of it.
const GIVEN: &str = "Qiu-tian.2031";
pub(in crate::app) const OWN: &str = "Dong-tian.2032";

/// The three administrators, an approver and a clerk.
pub(in crate::app) const PEOPLE: [(&str, &str); 5] = [
    ("xitong", "sysadmin"),
    ("baomi", "secadmin"),
    ("shenji", "auditor"),
    ("fuzeren", "approver"),
    ("jingban", "handler"),
];

/// A county with its people, and a clock.
pub(in crate::app) struct House {
    dir: tempfile::TempDir,
    pub(in crate::app) clock: Arc<ManualClock>,
    app: Option<Arc<App>>,
}

impl House {
    pub(in crate::app) fn new() -> Self {
        // Made once: five passwords are what takes its time.
        static FIRST: OnceLock<tempfile::TempDir> = OnceLock::new();
        let first = FIRST.get_or_init(Self::first);
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(START)));
        let at = dir.path().join("d");
        std::fs::create_dir(&at).unwrap();
        for name in [DATABASE_FILE, SLOT_FILE] {
            std::fs::copy(first.path().join("d").join(name), at.join(name)).unwrap();
        }
        let app = Some(App::open(&at, clock.clone()).unwrap());
        Self { dir, clock, app }
    }

    fn first() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(START)));
        let at = dir.path().join("d");
        let store = Store::create(&at, &dir.path().join("key"), "甲乙县", false, clock).unwrap();
        let account = |(login, role): &(&str, &str)| Account {
            login: (*login).to_owned(),
            name: format!("人员{login}"),
            unit: "信访室".into(),
            roles: vec![(*role).to_owned()],
            password: GIVEN.into(),
        };
        let unit = vec![Unit { name: "信访室".into(), kind: "office".into(), ..Unit::default() }];
        let answers = Answers { unit, account: PEOPLE.iter().map(account).collect(), ..Answers::default() };
        set_up(&store, answers).unwrap();
        dir
    }

    pub(in crate::app) fn app(&self) -> &Arc<App> {
        self.app.as_ref().unwrap()
    }

    /// The server stops and starts again.
    pub(in crate::app) fn restart(&mut self) {
        self.app = None;
        self.app = Some(App::open(&self.dir.path().join("d"), self.clock.clone()).unwrap());
    }

    pub(in crate::app) fn wait(&self, seconds: i64) {
        self.clock.set(Moment(self.clock.now().0 + seconds * 1000));
    }

    pub(in crate::app) fn log_in(&self, login: &str, password: &str, code: &str) -> Result<Entered> {
        self.app().log_in(&Attempt { login, password, code, from: "10.0.0.1", ..Attempt::default() })
    }

    /// The session of somebody who comes in.
    #[track_caller]
    pub(in crate::app) fn live(&self, login: &str, password: &str, code: &str) -> Live {
        let entered = self.log_in(login, password, code).unwrap();
        self.app().session(&entered.token, "10.0.0.1").unwrap().unwrap()
    }

    /// The session of somebody whose first log-in is behind them, up to the second factor.
    #[track_caller]
    pub(in crate::app) fn settled(&self, login: &str) -> Live {
        let entered = self.log_in(login, GIVEN, "").unwrap();
        let live = || self.app().session(&entered.token, "10.0.0.1").unwrap().unwrap();
        self.app().change_password(&live().actor, GIVEN, OWN).unwrap();
        live()
    }

    /// What a person's rights are, whatever keeps them from their work.
    pub(in crate::app) fn actor(&self, login: &str) -> Actor {
        Actor::of(&self.account(login), "web")
    }

    pub(in crate::app) fn account(&self, login: &str) -> Record {
        self.app().find_account(login).unwrap().unwrap()
    }

    pub(in crate::app) fn set_policy(&self, asked: &str, profile: &str, networks: &str) -> Result<()> {
        let (asked, profile, networks) = (asked.into(), profile.into(), networks.into());
        let typed = policy::Typed { asked, profile, networks, ..policy::Typed::default() };
        self.app().set_policy(&self.actor("baomi"), &typed, "10.0.0.1", None)
    }

    /// Labels of the newest entries of the journal, the newest last, with their notes.
    pub(in crate::app) fn entries(&self, count: usize) -> Vec<(&'static str, bool, String)> {
        let lines = self.app().audit_page(&self.actor("shenji"), &Filter::default(), 0, count).unwrap().lines;
        let told = lines.into_iter().rev().map(|l| (l.header.verb().label, l.header.done, l.header.note));
        told.collect()
    }

    #[track_caller]
    pub(in crate::app) fn is_sound(&self) {
        assert_eq!(self.app().audit_verify(&[]).unwrap().problems, Vec::<String>::new());
    }
}

/// ASVS 6.3.3
#[test]
fn a_county_that_is_set_up_anew_asks_administrators_and_approvers_for_a_second_factor() {
    let house = House::new();
    let doctor = house.app().doctor(false).unwrap();
    assert!(doctor.iter().any(|f| f.name == "登录" && f.text.contains("必须启用动态码")));
    for (login, role) in PEOPLE {
        let first = house.live(login, GIVEN, "");
        assert_eq!(first.must, Some(Must::FirstPassword), "{login}");
        house.app().change_password(&first.actor, GIVEN, OWN).unwrap();
        let asked = role != "handler";
        assert_eq!(house.live(login, OWN, "").must, asked.then_some(Must::Factor), "{login}");
        // The console is no way around it.
        let typed = || Typed { password: OWN.to_owned(), code: None };
        assert_eq!(house.app().console_actor(login, &typed()).is_err(), asked, "{login}");
    }
    house.set_policy("all", "dengbao", "").unwrap();
    assert_eq!(house.live("jingban", OWN, "").must, Some(Must::Factor));
    house.set_policy("nobody", "dengbao", "").unwrap();
    assert_eq!(house.live("shenji", OWN, "").must, None);
    let doctor = house.app().doctor(false).unwrap();
    assert!(doctor.iter().any(|f| f.name == "登录" && f.text.starts_with("没有账户必须启用动态码")));
    house.is_sound();
}

/// ASVS 6.3.8
#[test]
fn everybody_who_does_not_come_in_hears_the_same() {
    let house = House::new();
    house.set_policy("nobody", "dengbao", "10.0.0.0/8").unwrap();
    let refused = |attempt: Attempt<'_>| {
        let e = house.app().log_in(&attempt).err().unwrap();
        (e.kind(), e.public().to_owned())
    };
    let right = Attempt { login: "shenji", password: GIVEN, from: "10.0.0.1", ..Attempt::default() };
    let expected = (ErrorKind::Denied, WRONG.to_owned());
    for (what, attempt) in [
        ("wrong password", Attempt { password: OWN, ..right }),
        ("unknown name", Attempt { login: "nobody", ..right }),
        ("another address", Attempt { from: "192.168.0.1", ..right }),
        ("no password", Attempt { password: "", ..right }),
    ] {
        assert_eq!(refused(attempt), expected, "{what}");
    }
    assert!(house.app().log_in(&right).is_ok());
}

/// ASVS 8.2.4
#[test]
fn the_list_of_addresses_holds_for_sessions_and_never_shuts_out_who_saves_it() {
    let house = House::new();
    let refused = house.set_policy("nobody", "dengbao", "192.168.0.0/16").unwrap_err();
    assert!(refused.kind() == ErrorKind::Invalid && refused.public().contains("10.0.0.1"), "{refused}");
    assert!(house.app().policy().unwrap().networks.is_empty());
    let token = house.log_in("shenji", GIVEN, "").unwrap().token;
    let clerk = house.log_in("jingban", GIVEN, "").unwrap().token;
    house.set_policy("nobody", "dengbao", "10.0.0.0/8").unwrap();
    let session = |token: &str, from: &str| house.app().session(token, from).unwrap().is_some();
    assert!(session(&token, "10.0.0.1") && session(&token, "127.0.0.1"));
    assert!(!session(&token, "192.168.0.1"), "a stolen session works from anywhere");
    assert!(session(&clerk, "192.168.0.1"));
    let sysadmin = house.app().set_policy(&house.actor("xitong"), &policy::Typed::default(), "10.0.0.1", None);
    assert_eq!(sysadmin.unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_password_is_changed_after_ninety_days_and_its_forerunners_do_not_come_back() {
    let house = House::new();
    house.set_policy("nobody", "dengbao", "").unwrap();
    house.settled("jingban");
    house.wait(90 * DAY - 60);
    assert_eq!(house.live("jingban", OWN, "").must, None);
    house.wait(60);
    let live = house.live("jingban", OWN, "");
    assert_eq!(live.must, Some(Must::OldPassword));
    let typed = Typed { password: OWN.into(), code: None };
    assert!(house.app().console_actor("jingban", &typed).unwrap_err().public().contains("已到期"));
    let change = |old: &str, new: &str| house.app().change_password(&live.actor, old, new);
    assert!(change(OWN, GIVEN).unwrap_err().public().contains("最近用过"));
    change(OWN, "Chun-tian.2033").unwrap();
    assert!(change("Chun-tian.2033", OWN).unwrap_err().public().contains("最近用过"));
    assert_eq!(house.live("jingban", "Chun-tian.2033", "").must, None);
    // The calendar has no say where the profile is that of NIST, and length has.
    house.set_policy("nobody", "nist", "").unwrap();
    house.wait(400 * DAY);
    let live = house.live("jingban", "Chun-tian.2033", "");
    assert_eq!(live.must, None);
    let short = house.app().change_password(&live.actor, "Chun-tian.2033", "Xia-tian.2034");
    assert!(short.unwrap_err().public().contains("至少 15 位"));
    house.app().change_password(&live.actor, "Chun-tian.2033", OWN.repeat(2).as_str()).unwrap();
    house.is_sound();
}

/// ASVS 6.3.5
#[test]
fn people_are_told_of_the_log_in_before_and_of_failures_since() {
    let house = House::new();
    let first = house.live("jingban", GIVEN, "");
    let seen = |live: &Live| house.app().own_session(live).unwrap().1;
    assert_eq!((seen(&first).before(), seen(&first).failures_before()), (None, (0, None)));
    for _ in 0..3 {
        house.wait(10);
        assert!(house.log_in("jingban", OWN, "").is_err());
    }
    let failed = Some(Moment(START + 30_000));
    house.app().log_out(&first).unwrap();
    let stored = Seen::of(&house.app().store.read().unwrap(), first.actor.account).unwrap();
    assert_eq!(stored.failures_since(), (3, failed));
    house.wait(100);
    let second = house.live("jingban", GIVEN, "");
    assert_eq!((seen(&second).before(), seen(&second).failures_before()), (Some(Moment(START)), (3, failed)));
    assert_eq!(seen(&second).failures_since(), (0, None));
    house.wait(400);
    let third = house.live("jingban", GIVEN, "");
    assert_eq!(seen(&third).failures_before(), (0, None));
    house.is_sound();
}

/// ASVS 7.4.5
#[test]
fn the_system_administrator_sees_who_is_there_and_ends_a_session() {
    let house = House::new();
    let clerk = house.log_in("jingban", GIVEN, "").unwrap();
    house.wait(60);
    let admin = house.live("xitong", GIVEN, "");
    let lines = house.app().live_sessions(&admin.actor).unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[1].began, lines[1].account), (Moment(START), house.account("jingban").id));
    for other in ["baomi", "shenji", "jingban"] {
        assert!(house.app().live_sessions(&house.actor(other)).is_err());
        assert!(house.app().end_session(&house.actor(other), admin.actor.account).is_err());
    }
    house.app().end_session(&admin.actor, lines[1].account).unwrap();
    assert!(house.app().session(&clerk.token, "10.0.0.1").unwrap().is_none());
    assert_eq!(house.entries(1)[0].0, "结束会话");
    assert!(house.app().end_session(&admin.actor, lines[1].account).is_err());
}

/// A session that began between the commit of a reset and the end of the sessions there were lived on.
/// ASVS 7.4.3
#[test]
fn a_session_that_begins_right_after_a_reset_does_not_hold() {
    let house = House::new();
    house.log_in("jingban", GIVEN, "").unwrap();
    let checked = house.account("jingban");
    assert!(house.app().begin_session(&checked, false, None).is_ok());
    house.settled("jingban");
    let lines = || house.app().live_sessions(&house.live("xitong", GIVEN, "").actor).unwrap();
    let before = lines().len();
    let late = house.app().begin_session(&checked, false, None).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Denied);
    assert!(lines().len() < before, "what was begun is gone, and so is the one before");
}

#[test]
fn a_device_that_is_known_is_let_in_while_strangers_storm_the_account() {
    let house = House::new();
    let mark = house.log_in("jingban", GIVEN, "").unwrap().device;
    let (throttle, now) = (&house.app().throttle, house.clock.now());
    for n in 0..limits::LOGIN_STRANGERS {
        throttle.begin("jingban", &Guest::Stranger(format!("192.168.1.{n}")), now).unwrap();
    }
    let attempt =
        Attempt { login: "jingban", password: GIVEN, from: "192.168.2.1", device: Some(&mark), ..Attempt::default() };
    assert!(house.app().log_in(&attempt).is_ok());
    let stranger = house.app().log_in(&Attempt { device: None, ..attempt }).err().unwrap();
    assert!(stranger.kind() == ErrorKind::Busy && stranger.public().contains("以前登录过的电脑"));
}
