//! A request to replace an administrator lapses, and what the host's console did is told for a week, by a clock that
//! can be set.

#![cfg(test)]

use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::app::demo;
use crate::base::ErrorKind;
use crate::base::clock::ManualClock;

/// 2026-09-21 in the morning, in Beijing.
const NOW: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 3_600_000;

struct House {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    app: Arc<App>,
}

impl House {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(NOW)));
        let own = Arc::clone(&clock);
        let app = demo::create(&home.path().join("d"), own, true).unwrap();
        Self { home, clock, app }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("d")
    }

    fn actor(&self, login: &str) -> Actor {
        self.app.demo_actor(login).unwrap()
    }

    fn after(&self, ms: i64) {
        self.clock.set(Moment(NOW + ms));
    }

    fn ask(&self, by: &str, of: &str, login: &str) -> Result<RecordId> {
        let raw = [("successor_login", login), ("successor_name", "审计员丁"), ("cause", "retire")];
        let raw: Raw = raw.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        self.app.ask_replacement(&self.actor(by), self.actor(of).account, &raw)
    }

    fn confirm(&self, by: &str, id: RecordId) -> Result<()> {
        self.app.confirm_replacement(&self.actor(by), id)
    }
}

fn next(login: &str, name: &str) -> Successor {
    Successor { login: login.into(), name: name.into(), post: String::new() }
}

#[test]
fn a_request_lapses_after_a_week_and_gives_way_to_a_new_one() {
    let house = House::new();
    let asked = house.ask("sysadmin", "auditor", "shenji2").unwrap();
    house.after(7 * DAY_MS + 1000);
    let late = house.confirm("secadmin", asked).unwrap_err();
    assert!(late.kind() == ErrorKind::Invalid && late.public().contains("7 天"), "{late}");
    assert!(house.actor("auditor").is("auditor"));
    let anew = house.ask("sysadmin", "auditor", "shenji2").unwrap();
    assert!(house.confirm("secadmin", asked).unwrap_err().public().contains("已经办结"));
    house.after(14 * DAY_MS);
    house.confirm("secadmin", anew).unwrap();
    assert!(house.actor("shenji2").is("auditor"));
    assert!(house.app.demo_actor("auditor").is_err());
}

#[test]
fn who_asked_and_was_replaced_meanwhile_asked_for_nothing() {
    let house = House::new();
    let asked = house.ask("sysadmin", "auditor", "shenji2").unwrap();
    let reset = house.app.ask_void_factor(&house.actor("sysadmin"), house.actor("zhen04").account);
    assert!(reset.is_err(), "there is none");
    let id = house.actor("zhen04").account;
    house.app.reset_password(&house.actor("sysadmin"), id).unwrap();
    house.app.replace_at_host("sysadmin", next("guanli2", "管理员戊")).unwrap();
    let refused = house.confirm("secadmin", asked).unwrap_err();
    assert!(refused.public().contains("申请人已不再是管理员"), "{refused}");
    let waiting = house.app.waiting_relief(&house.actor("secadmin")).unwrap();
    let row = waiting.iter().find(|w| w.account == id).unwrap();
    let refused = house.app.decide_relief(&house.actor("secadmin"), id, (row.what, row.at.0), true).unwrap_err();
    assert!(refused.public().contains("已不再任这个岗位"), "{refused}");
    house.app.decide_relief(&house.actor("secadmin"), id, (row.what, row.at.0), false).unwrap();
}

#[test]
fn every_page_tells_for_seven_days_what_the_host_did_also_after_a_restart() {
    let mut house = House::new();
    house.app.replace_at_host("sysadmin", next("guanli2", "管理员戊")).unwrap();
    house.after(3 * DAY_MS);
    house.app.replace_at_host("auditor", next("shenji2", "审计员丁")).unwrap();
    let told = |house: &House| house.app.host_notices().unwrap().into_iter().map(|n| n.text).collect::<Vec<_>>();
    assert!(told(&house).len() == 2 && told(&house)[0].contains("管理员戊"), "{:?}", told(&house));
    let dir = house.dir();
    let (home, clock) = (house.home, house.clock);
    drop(house.app);
    let app = App::open(&dir, Arc::clone(&clock) as Arc<dyn crate::base::Clock>).unwrap();
    house = House { home, clock, app };
    house.after(7 * DAY_MS - 1000);
    assert_eq!(told(&house).len(), 2);
    house.after(7 * DAY_MS);
    assert!(told(&house).len() == 1 && told(&house)[0].contains("审计员丁"), "{:?}", told(&house));
    // A clock that was set back says it still.
    house.after(-DAY_MS);
    assert_eq!(told(&house).len(), 2);
    house.after(10 * DAY_MS);
    assert!(told(&house).is_empty());
    // The record of it stays.
    let lines = house.app.store.read().unwrap().count_of(&KIND).unwrap();
    assert_eq!(lines, 2);
}
