//! The wizard from its link to its end, under a clock that is set by hand.

#![cfg(test)]

use std::sync::Arc;

use super::*;
use crate::app::login::Attempt;
use crate::app::session::Must;
use crate::app::setup::activation::{Activated, Given};
use crate::app::totp;
use crate::base::Clock;
use crate::base::clock::ManualClock;
use crate::store::Store;

const START: i64 = 1_790_000_000_000;
const OWN: &str = "Dong-tian.2032";

/// A county without administrators.
struct House {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    app: Option<Arc<App>>,
}

fn person(name: &str, login: &str) -> Person {
    Person { name: name.into(), login: login.into() }
}

fn three() -> [Person; 3] {
    [person("系统一", "xitong"), person("保密二", "baomi"), person("审计三", "shenji")]
}

fn kind<T>(outcome: Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|e| e.kind())
}

impl House {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(START)));
        let (at, key) = (home.path().join("d"), home.path().join("key"));
        let store = Store::create(&at, &key, "甲乙县", false, clock.clone()).unwrap();
        let app = App::with_store(store).unwrap();
        app.allow_backup_roots(vec![home.path().to_owned()]);
        Self { home, clock, app: Some(app) }
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    fn restart(&mut self) {
        self.app = None;
        let app = App::open(&self.home.path().join("d"), self.clock.clone()).unwrap();
        app.allow_backup_roots(vec![self.home.path().to_owned()]);
        self.app = Some(app);
    }

    fn wait(&self, seconds: i64) {
        self.clock.set(Moment(self.clock.now().0 + seconds * 1000));
    }

    /// What this browser holds after it took a new link.
    fn take(&self) -> String {
        self.app().take_setup_link(&self.app().new_setup_link().unwrap()).unwrap()
    }

    /// A wizard in which units and people are entered.
    fn entered(&self) -> (String, Vec<Invitation>) {
        let token = self.take();
        self.app().set_up_units(&token, &units::first()).unwrap();
        let invited = self.app().set_up_people(&token, &three()).unwrap();
        (token, invited)
    }

    fn activate_with(&self, link: &str, password: &str, away: i64) -> Result<Activated> {
        let invited = self.app().invitation(link, None)?;
        let secret = totp::from_base32(&invited.carried.0).unwrap();
        let code = totp::code(&secret, totp::step_at(self.clock.now()) + away);
        let carried = (invited.carried.0.as_str(), invited.carried.1.as_str());
        self.app().activate(link, Given { carried, password, code: &code })
    }

    fn activate(&self, link: &str) -> Result<Activated> {
        self.activate_with(link, OWN, 0)
    }

    fn target(&self, name: &str) -> Typed {
        Typed {
            days: vec!["1".into()],
            times: "02:00".into(),
            target: self.home.path().join(name).to_string_lossy().into_owned(),
            keep: "7".into(),
            alarm_hours: "26".into(),
            ..Typed::default()
        }
    }

    fn keys(&self, names: [&str; 2]) -> String {
        let made = names.map(|name| {
            let out = self.home.path().join(format!("{name}.key"));
            let made = crate::backup::keygen(&out, None, Moment(START)).unwrap();
            format!("{} {name}", made.recipient)
        });
        made.join("\n")
    }

    /// Sets keys and target, and runs the first backup.
    fn back_up(&self, token: &str) {
        self.app().set_up_recipients(token, &self.keys(["a", "b"])).unwrap();
        self.app().set_up_target(token, &self.target("t")).unwrap();
        self.app().set_up_backup(token).unwrap();
        self.app().look_after_backups().unwrap();
    }

    fn log_in(&self, login: &str) -> Result<crate::app::login::Entered> {
        let attempt = Attempt { login, password: OWN, code: "", from: "10.0.0.1", ..Attempt::default() };
        self.app().log_in(&attempt)
    }
}

#[test]
fn a_link_is_taken_once_and_a_later_one_puts_the_browser_before_it_out() {
    let mut house = House::new();
    let link = house.app().new_setup_link().unwrap();
    let first = house.app().take_setup_link(&link).unwrap();
    assert_eq!(kind(house.app().take_setup_link(&link)), Some(ErrorKind::Denied), "two with one link");
    assert!(!house.app().setup_link_is_good(&link).unwrap());
    assert!(house.app().holds_setup(&first).unwrap() && !house.app().holds_setup(&link).unwrap());
    house.app().set_up_units(&first, &units::first()).unwrap();
    house.restart();
    assert_eq!(house.app().setup_page(&first).unwrap().units, units::first(), "after a restart");
    // A link that was only printed takes nothing away.
    let next = house.app().new_setup_link().unwrap();
    assert!(house.app().holds_setup(&first).unwrap());
    let second = house.app().take_setup_link(&next).unwrap();
    assert!(!house.app().holds_setup(&first).unwrap());
    assert_eq!(kind(house.app().set_up_units(&first, &units::first())), Some(ErrorKind::Denied));
    assert_eq!(kind(house.app().setup_page(&first)), Some(ErrorKind::Denied));
    assert_eq!(house.app().setup_page(&second).unwrap().units, units::first(), "found again");
    let old = house.app().new_setup_link().unwrap();
    house.wait(limits::SETUP_LINK_S);
    assert_eq!(kind(house.app().take_setup_link(&old)), Some(ErrorKind::Denied), "expired");
}

#[test]
fn the_wizard_stays_a_while_after_its_last_step_and_no_longer() {
    let house = House::new();
    let token = house.take();
    for _ in 0..3 {
        house.wait(limits::SETUP_IDLE_S - 1);
        house.app().set_up_units(&token, &units::first()).unwrap();
    }
    house.wait(limits::SETUP_IDLE_S);
    assert!(!house.app().holds_setup(&token).unwrap());
    assert_eq!(kind(house.app().set_up_people(&token, &three())), Some(ErrorKind::Denied));
}

#[test]
fn neither_the_wizard_nor_a_link_to_activate_outlives_a_restore() {
    let mut house = House::new();
    let (token, invited) = house.entered();
    house.activate(&invited[0].token).unwrap();
    let act = Act::new(doer(), act::RESTORE);
    crate::store::raise_epoch(&house.app().store, act, "{}".into(), (Vec::new(), 0)).unwrap();
    house.restart();
    assert!(!house.app().holds_setup(&token).unwrap());
    assert_eq!(kind(house.activate(&invited[1].token)), Some(ErrorKind::Denied));
    // It goes on with a new link, where it was.
    let token = house.take();
    let view = house.app().setup_page(&token).unwrap();
    assert_eq!(view.people.iter().map(|p| (p.active, p.until.is_some())).collect::<Vec<_>>(), [
        (true, false),
        (false, false),
        (false, false)
    ]);
    let link = house.app().invite_again(&token, "secadmin", None).unwrap();
    house.activate(&link.token).unwrap();
}

#[test]
fn the_three_are_three_persons_and_entered_once() {
    let house = House::new();
    let token = house.take();
    let people = three();
    assert_eq!(kind(house.app().set_up_people(&token, &people)), Some(ErrorKind::Invalid), "no units yet");
    house.app().set_up_units(&token, &units::first()).unwrap();
    for wrong in [
        person("系统一", "baomi2"),
        person(" 系 统一", "baomi2"),
        person("保密二", "xitong"),
        person("", "baomi"),
        person("保密二", ""),
        person("保密二", "bao mi"),
    ] {
        let [one, _, three] = people.clone();
        let refused = house.app().set_up_people(&token, &[one, wrong.clone(), three]);
        assert_eq!(kind(refused), Some(ErrorKind::Invalid), "{wrong:?}");
    }
    house.app().set_up_people(&token, &people).unwrap();
    assert_eq!(kind(house.app().set_up_people(&token, &people)), Some(ErrorKind::Invalid), "a second time");
    assert_eq!(kind(house.app().set_up_units(&token, &units::first())), Some(ErrorKind::Invalid), "they are made");
    assert_eq!(house.app().directory().unwrap().units.len(), 8);
    // A correction cannot make one person of two either.
    let same = house.app().invite_again(&token, "auditor", Some(person("系统一", "shenji")));
    assert_eq!(kind(same), Some(ErrorKind::Invalid));
    assert!(kind(house.app().invite_again(&token, "handler", None)).is_some());
}

#[test]
fn a_person_alone_opens_the_account_and_the_link_opens_once() {
    let house = House::new();
    let (token, invited) = house.entered();
    let link = &invited[0].token;
    // Two looks are two secrets: whoever looked first knows nothing of what the other one took.
    let looks = [(); 2].map(|()| house.app().invitation(link, None).unwrap().carried);
    assert_ne!(looks[0].0, looks[1].0);
    let chosen = totp::base32(&[7; limits::FACTOR_BYTES]);
    for (carried, why) in [((chosen.as_str(), looks[0].1.as_str()), "chosen"), (("", ""), "none")] {
        let secret = totp::from_base32(carried.0).unwrap();
        let code = totp::code(&secret, totp::step_at(house.clock.now()));
        let given = Given { carried, password: OWN, code: &code };
        assert_eq!(kind(house.app().activate(link, given)), Some(ErrorKind::Invalid), "{why}");
    }
    for password in ["short-1", "xitong-2032.x", "Dongtian20322032"] {
        assert_eq!(kind(house.activate_with(link, password, 0)), Some(ErrorKind::Invalid), "{password}");
    }
    assert_eq!(kind(house.activate_with(link, OWN, 5)), Some(ErrorKind::Invalid), "a code of another time");
    assert!(kind(house.activate("0123")).is_some());
    assert_eq!(house.activate(link).unwrap().codes.len(), limits::RECOVERY_CODES);
    assert_eq!(kind(house.activate(link)), Some(ErrorKind::Denied), "twice");
    assert_eq!(kind(house.app().invitation(link, None)), Some(ErrorKind::Denied));
    // Nobody takes away what its owner made.
    assert_eq!(kind(house.app().invite_again(&token, "sysadmin", None)), Some(ErrorKind::Invalid));
    // A link that was replaced, and one that ended.
    let next = house.app().invite_again(&token, "secadmin", Some(person("保密丁", "baomi4"))).unwrap();
    assert_eq!(kind(house.activate(&invited[1].token)), Some(ErrorKind::Denied), "replaced");
    assert_eq!(house.activate(&next.token).unwrap().login, "baomi4");
    house.wait(limits::ACTIVATION_S);
    assert_eq!(kind(house.activate(&invited[2].token)), Some(ErrorKind::Denied), "expired");
    let token = house.take();
    assert_eq!(house.app().setup_page(&token).unwrap().people[2].until, None);
}

#[test]
fn it_ends_with_three_active_people_and_a_verified_backup_and_not_before() {
    let house = House::new();
    let (token, invited) = house.entered();
    let refused = |why: &str| {
        assert_eq!(kind(house.app().finish_setup(&token)), Some(ErrorKind::Invalid), "{why}");
        assert!(!house.app().is_ready().unwrap(), "{why}");
    };
    refused("nobody is active");
    for invitation in &invited[..2] {
        house.activate(&invitation.token).unwrap();
    }
    house.back_up(&token);
    refused("one is not active");
    house.activate(&invited[2].token).unwrap();
    assert_eq!(kind(house.log_in("xitong")), Some(ErrorKind::Busy), "nobody comes in before the end");
    house.wait(1);
    house.app().set_up_target(&token, &house.target("u")).unwrap();
    refused("the backup lies elsewhere");
    house.app().set_up_backup(&token).unwrap();
    refused("it is only begun");
    house.app().look_after_backups().unwrap();
    house.wait(1);
    house.app().set_up_recipients(&token, &house.keys(["c", "d"])).unwrap();
    refused("others hold the keys now");
    house.app().set_up_backup(&token).unwrap();
    std::fs::remove_dir_all(house.home.path().join("u")).unwrap();
    house.app().look_after_backups().unwrap();
    refused("it failed");
    house.app().set_up_target(&token, &house.target("u")).unwrap();
    house.app().set_up_backup(&token).unwrap();
    house.app().look_after_backups().unwrap();
    let view = house.app().setup_page(&token).unwrap();
    assert!(view.lacking().is_empty() && view.verified.is_some(), "{:?}", view.lacking());
    let spare = house.app().new_setup_link().unwrap();
    house.app().finish_setup(&token).unwrap();
    assert!(house.app().is_ready().unwrap());
    // The right is gone, by whatever it was held.
    assert_eq!(kind(house.app().finish_setup(&token)), Some(ErrorKind::Denied), "twice");
    assert_eq!(kind(house.app().setup_page(&token)), Some(ErrorKind::Denied));
    assert_eq!(kind(house.app().take_setup_link(&spare)), Some(ErrorKind::Denied));
    assert_eq!(kind(house.app().new_setup_link()), Some(ErrorKind::Denied));
    assert_eq!(kind(house.app().invite_again(&token, "auditor", None)), Some(ErrorKind::Denied));
    assert_eq!(kind(house.app().set_up_recipients(&token, &house.keys(["e", "f"]))), Some(ErrorKind::Denied));
    // A second backup holds the end as well.
    let sets = |app: &App| app.backup_view(false).unwrap().sets.len();
    let before = sets(house.app());
    house.app().look_after_backups().unwrap();
    assert_eq!(sets(house.app()), before + 1);
}

#[test]
fn each_of_the_three_logs_in_with_what_they_made_and_the_journal_tells_it_all() {
    let house = House::new();
    let (token, invited) = house.entered();
    let made: Vec<Activated> = invited.iter().map(|i| house.activate(&i.token).unwrap()).collect();
    house.back_up(&token);
    house.app().finish_setup(&token).unwrap();
    for (done, role) in made.iter().zip(ADMINISTRATORS) {
        let code = &done.codes[0];
        let attempt = Attempt { login: &done.login, password: OWN, code, from: "10.0.0.1", ..Attempt::default() };
        let entered = house.app().log_in(&attempt).unwrap();
        let live = house.app().session(&entered.token, "10.0.0.1").unwrap().unwrap();
        assert_eq!((live.must, live.actor.roles.as_slice()), (None::<Must>, &[role.to_owned()][..]));
        assert!(house.log_in(&done.login).is_err(), "without the second factor");
    }
    let entries = house.app().store.read().unwrap();
    let told: Vec<u16> =
        entries.journal_after(crate::base::Seq(0)).unwrap().map(|e| e.unwrap().header.action).collect();
    let story = [act::SETUP_OPENED, act::SETUP_UNITS, act::SETUP_PEOPLE, act::ACTIVATED, act::SETUP_DONE];
    let counts = story.map(|act| told.iter().filter(|code| **code == act.code).count());
    assert_eq!(counts, [1, 1, 1, 3, 1]);
    assert_eq!(house.app().audit_verify(&[]).unwrap().problems, Vec::<String>::new());
}
