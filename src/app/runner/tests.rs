//! The runner under a clock that is set by hand: due times, retention, targets that come and go.

#![cfg(test)]

use std::fs;

use super::*;
use crate::app::{access::local_doer, checks, demo};
use crate::backup::Trial;
use crate::backup::retention::Known;
use crate::backup::schedule::Typed;
use crate::base::Seq;
use crate::base::clock::ManualClock;
use crate::records::{Fields, Value, act, decide, petition};
use crate::store::{Act, Store};

/// Monday 2026-11-23 00:00 in Beijing.
const MONDAY: i64 = 1_795_363_200_000;
const HOUR: i64 = 3_600_000;

/// A county under a clock of its own, with keys, a root for targets and a daily schedule at two.
struct House {
    home: tempfile::TempDir,
    clock: Arc<ManualClock>,
    app: Option<Arc<App>>,
}

impl House {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(MONDAY)));
        let own = Arc::clone(&clock);
        let app = demo::create(&home.path().join("data"), own, true).unwrap();
        let keys = ["a", "b"]
            .map(|k| backup::keygen(&home.path().join(k), None, Moment(MONDAY)).unwrap().recipient);
        let house = Self { home, clock, app: Some(app) };
        house.app().set_recipients(&house.sysadmin(), &keys.join("\n")).unwrap();
        house.app().allow_backup_roots(vec![house.home.path().to_owned()]);
        house.plan("t", 3);
        house
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    fn sysadmin(&self) -> Actor {
        self.app().demo_actor("sysadmin").unwrap()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn plan(&self, target: &str, keep: u32) {
        let typed = Typed {
            days: (1..=7).map(|d| d.to_string()).collect(),
            times: "02:00".into(),
            target: self.at(target).to_string_lossy().into_owned(),
            keep: keep.to_string(),
            alarm_hours: "26".into(),
            ..Typed::default()
        };
        self.app().set_schedule(&self.sysadmin(), &typed).unwrap();
    }

    /// The thread looks at this hour, counted from Monday's midnight; how many sets that made.
    fn look(&self, hour: i64) -> usize {
        self.clock.set(Moment(MONDAY + hour * HOUR));
        let before = self.ledger().len() + self.retired();
        self.app().look_after_backups().unwrap();
        assert!(self.app().backup_job().is_none());
        self.ledger().len() + self.retired() - before
    }

    fn restart(&mut self) {
        self.app = None;
        let own = Arc::clone(&self.clock);
        self.app = Some(App::open(&self.at("data"), own).unwrap());
        self.app().allow_backup_roots(vec![self.home.path().to_owned()]);
    }

    fn ledger(&self) -> Vec<Known> {
        Known::decode(&self.app().store.read().unwrap().fact_text(fact::BACKUP_SETS).unwrap())
    }

    fn state(&self) -> State {
        State::decode(&self.app().store.read().unwrap().fact_text(fact::BACKUP_STATE).unwrap())
    }

    /// Sets that were removed, by the entries about it.
    fn retired(&self) -> usize {
        let snapshot = self.app().store.read().unwrap();
        let all = snapshot.journal_after(Seq(0)).unwrap().map(Result::unwrap);
        let retired = all.filter(|e| e.header.action == act::BACKUP_RETIRED.code && e.header.done);
        retired.map(|e| e.header.note.trim_start_matches("sets ").parse::<usize>().unwrap()).sum()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn alarms(&self) -> String {
        self.app().backup_alarms().unwrap().join("\n")
    }
}

#[test]
fn each_due_time_is_served_once_across_restarts_and_clocks() {
    let mut house = House::new();
    assert_eq!([house.look(1), house.look(2), house.look(3)], [0, 1, 0]);
    house.restart();
    assert_eq!([house.look(4), house.look(1), house.look(2)], [0, 0, 0], "a step back of two hours");
    assert_eq!([house.look(25), house.look(26)], [0, 1]);
    house.app = None;
    // Off until Saturday.
    house.clock.set(Moment(MONDAY + 130 * HOUR));
    house.restart();
    assert_eq!([house.look(130), house.look(131), house.look(146)], [1, 0, 1]);
    // A year ahead, and put right again: it goes on the next night.
    assert_eq!(
        [house.look(150 + 365 * 24), house.look(151), house.look(170), house.look(194)],
        [1, 0, 1, 1]
    );
    assert_eq!(house.app().store.check().unwrap().problems, [""; 0]);
}

#[test]
fn retention_keeps_what_was_asked_for_and_stops_under_a_suspect_clock() {
    let house = House::new();
    fs::write(house.at("t/notes.txt"), "somebody's").unwrap();
    for day in 0..6 {
        assert_eq!(house.look(2 + day * 24), 1);
    }
    assert_eq!((house.ledger().len(), house.retired(), house.names("t").len()), (3, 3, 8));
    // The clock goes back by a month: sets are written on, none is removed, and somebody is told.
    assert_eq!([house.look(2 - 30 * 24), house.look(3 - 29 * 24)], [1, 1]);
    assert_eq!((house.ledger().len(), house.retired()), (5, 3));
    assert!(house.alarms().contains("时间可疑"), "{}", house.alarms());
    assert_eq!(house.look(2 + 6 * 24), 1);
    assert_eq!((house.ledger().len(), house.alarms()), (3, String::new()));
    assert!(house.at("t/notes.txt").exists());
}

#[test]
fn an_unmounted_target_gets_nothing_and_the_notice_goes_when_it_is_back() {
    let house = House::new();
    assert_eq!((house.look(2), house.alarms()), (1, String::new()));
    let away = house.at("away");
    fs::rename(house.at("t"), &away).unwrap();
    // The mount point without its disk, and not even that.
    fs::create_dir(house.at("t")).unwrap();
    assert_eq!(house.look(26), 0);
    assert!(house.names("t").is_empty() && house.alarms().contains("没有挂载"), "{}", house.alarms());
    fs::remove_dir(house.at("t")).unwrap();
    assert_eq!(house.look(50), 0);
    assert!(!house.at("t").exists());
    let told = house.alarms();
    assert!(told.contains("没有挂载") && told.contains("已经 48 小时没有成功的备份"), "{told}");
    fs::rename(&away, house.at("t")).unwrap();
    assert_eq!((house.look(74), house.alarms()), (1, String::new()));
}

#[test]
fn silence_is_told_after_the_hours_that_were_set() {
    let house = House::new();
    assert_eq!(house.alarms(), "");
    let at = |hour: i64| house.clock.set(Moment(MONDAY + hour * HOUR));
    at(25);
    assert_eq!(house.alarms(), "");
    at(26);
    assert!(house.alarms().contains("已经 26 小时没有成功的备份（从未有过"), "{}", house.alarms());
    assert_eq!((house.look(27), house.alarms()), (1, String::new()));
    at(2);
    assert!(house.alarms().contains("早于最近一次备份"), "{}", house.alarms());
}

#[test]
fn a_run_that_the_end_of_the_server_cut_off_is_taken_up_again() {
    let mut house = House::new();
    lock(&house.app().runner.inner).stop = true;
    assert_eq!(house.look(2), 0);
    assert_eq!(house.names("t"), ["jiceng-target.txt"]);
    assert!(house.state().open.is_some() && house.state().last.is_none());
    house.restart();
    assert!(house.alarms().contains("没有做完"), "{}", house.alarms());
    assert_eq!((house.look(3), house.alarms()), (1, String::new()));
    assert_eq!(house.look(4), 0);
}

#[test]
fn a_run_in_the_page_needs_the_system_administrator_and_can_be_cancelled() {
    let house = House::new();
    for other in ["secadmin", "auditor", "xinfang"] {
        let actor = house.app().demo_actor(other).unwrap();
        assert!(house.app().back_up_now(&actor).is_err() && house.app().cancel_backup(&actor).is_err());
    }
    house.app().back_up_now(&house.sysadmin()).unwrap();
    assert_eq!(house.app().back_up_now(&house.sysadmin()).unwrap_err().kind(), ErrorKind::Busy);
    let (app, actor) = (Arc::clone(house.app.as_ref().unwrap()), house.sysadmin());
    let watcher = std::thread::spawn(move || {
        while app.backup_job().is_none() {
            std::thread::yield_now();
        }
        app.cancel_backup(&actor).unwrap();
    });
    assert_eq!(house.look(1), 0);
    watcher.join().unwrap();
    assert_eq!(house.names("t"), ["jiceng-target.txt"]);
    assert!(house.alarms().contains("已取消"), "{}", house.alarms());
    house.app().back_up_now(&house.sysadmin()).unwrap();
    assert_eq!((house.look(1), house.alarms()), (1, String::new()));
    assert_eq!(house.ledger()[0].by, By::Page);
}

#[test]
fn a_schedule_from_before_a_restore_rests() {
    let house = House::new();
    let text = house.app().store.read().unwrap().fact_text(fact::BACKUP_SCHEDULE).unwrap();
    let mut resting = Schedule::decode(&text).unwrap();
    resting.epoch = 7;
    let entered = house.app().store.submit(move |txn| {
        txn.set_fact(fact::BACKUP_SCHEDULE, resting.encode());
        txn.act(Act::new(local_doer(), act::BACKUP_SCHEDULE));
        Ok(())
    });
    entered.unwrap();
    assert!(house.look(2) == 0 && house.alarms().contains("已暂停"), "{}", house.alarms());
    assert!(house.app().back_up_now(&house.sysadmin()).is_err());
    house.plan("t", 3);
    assert_eq!((house.look(26), house.alarms()), (1, String::new()));
}

#[test]
fn a_rotten_attachment_is_told_while_sets_go_on() {
    let house = House::new();
    let store: &Store = &house.app().store;
    let mut blob = store.write_blob().unwrap();
    blob.write(b"paper").unwrap();
    let file = blob.finish("附件.txt").unwrap();
    let fields: Fields =
        (petition::KIND.sample)(1).with(petition::tag::FILES, Value::Files(vec![file.clone()]));
    let record = decide::create(&petition::KIND, fields, house.sysadmin().author(), store.now()).unwrap();
    let id = store.submit(move |txn| {
        txn.act(Act::new(local_doer(), act::CREATE));
        txn.create(record)
    });
    let id = id.unwrap();
    assert_eq!((house.look(2), house.alarms()), (1, String::new()));
    fs::write(house.at("data/blobs").join(&file.blob[..2]).join(&file.blob), "rotten").unwrap();
    assert_eq!(house.look(26), 1);
    let told = house.alarms();
    let words = format!("本机有 1 个附件缺失或损坏（记录 {id}），备份中有完好的副本");
    assert!(told.contains(&words), "{told}");
    let damaged: Vec<u64> = house.ledger().iter().map(|k| k.damaged).collect();
    assert_eq!(damaged, [0, 0]);
    let findings = house.app().doctor(false).unwrap();
    let text = &findings.iter().find(|f| f.name == "备份").unwrap().text;
    assert!(text.contains(&words), "{text}");
    // Without the copies in the pool it is lost, and the set says so.
    fs::remove_dir_all(house.at("t/pool")).unwrap();
    assert_eq!(house.look(50), 1);
    let told = house.alarms();
    assert!(told.contains(&format!("1 个附件在备份前已经损坏（记录 {id}）")), "{told}");
    let damaged: Vec<u64> = house.ledger().iter().map(|k| k.damaged).collect();
    assert_eq!(damaged, [0, 0, 1]);
}

/// A small disk at a folder, where this machine lets one be mounted; it is gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let out = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(at)
            .output();
        out.is_ok_and(|o| o.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_full_target_is_told_and_earlier_sets_stay_as_they_are() {
    let house = House::new();
    fs::create_dir(house.at("disk")).unwrap();
    let Some(_disk) = Disk::mount(&house.at("disk"), 1 << 20) else {
        println!("skipped: this machine does not let a test mount a small disk");
        return;
    };
    house.plan("disk", 3);
    assert_eq!(house.look(2), 1);
    let before: Vec<(String, Vec<u8>)> = house
        .names("disk")
        .into_iter()
        .map(|n| (n.clone(), fs::read(house.at("disk").join(n)).unwrap()))
        .collect();
    assert_eq!(before.len(), 3);
    let free = fs4::available_space(house.at("disk")).unwrap();
    let filler = house.at("disk/film.mkv");
    fs::write(&filler, vec![7; usize::try_from(free).unwrap() - 8_192]).unwrap();
    assert_eq!(house.look(26), 0);
    assert!(house.alarms().contains("备份盘空间不足"), "{}", house.alarms());
    fs::remove_file(&filler).unwrap();
    let after =
        house.names("disk").into_iter().map(|n| (n.clone(), fs::read(house.at("disk").join(n)).unwrap()));
    assert_eq!(after.collect::<Vec<_>>(), before);
    assert_eq!((house.look(50), house.alarms()), (1, String::new()));
}

#[test]
fn drills_and_keys_are_asked_for_when_they_are_due() {
    let house = House::new();
    let signer = house.app().signer().unwrap().fingerprint();
    let keys = ["a", "b"].map(|k| backup::KeyFile::read(&house.at(k)).unwrap());
    let fields = (petition::KIND.sample)(1);
    let record = decide::create(&petition::KIND, fields, house.sysadmin().author(), house.app().now()).unwrap();
    let entered = house.app().store.submit(move |txn| {
        txn.act(Act::new(local_doer(), act::CREATE));
        txn.create(record)
    });
    entered.unwrap();
    let day = |n: i64| house.look(2 + 24 * n);
    assert_eq!((day(0), day(182), house.alarms()), (1, 1, String::new()));
    day(183);
    let told = house.alarms();
    assert!(told.contains("恢复演练已经到期（从未做过，应不超过 183 天）"), "{told}");
    assert_eq!(told.matches("该核对了").count(), 2, "{told}");
    let findings = house.app().doctor(false).unwrap();
    assert!(findings.iter().any(|f| f.name == "备份" && f.text.contains("恢复演练已经到期")));
    let target = house.at("t");
    let trial = Trial { from: &target, set: None, key: &keys[0], signer: Some(&signer), place: None };
    let done = checks::drill(&trial, &|| house.app().now()).unwrap();
    assert_eq!((done.probes, done.records), (1, house.app().store.check().unwrap().records));
    house.app().enter_drill(&done).unwrap();
    let forged = checks::Certificate { head: "00".repeat(32), ..done };
    assert!(house.app().enter_drill(&forged).is_err());
    for key in &keys {
        let sysadmin = house.sysadmin();
        house.app().ask_key(&sysadmin, &key.recipient).unwrap();
        let open = house.app().checks_page(&sysadmin).unwrap().checks.keys[&key.recipient].asked.clone().unwrap();
        let answer = backup::answer(key, &open.text).unwrap();
        assert!(!house.app().answer_key(&sysadmin, &key.recipient, "x").unwrap());
        assert!(house.app().answer_key(&sysadmin, &key.recipient, &answer).unwrap());
    }
    assert_eq!(house.alarms(), "");
    let auditor = house.app().demo_actor("auditor").unwrap();
    assert!(house.app().set_checks(&auditor, "30", "60").is_err());
    house.app().set_checks(&house.sysadmin(), "30", "60").unwrap();
    assert_eq!((day(183 + 29), house.alarms()), (1, String::new()));
    day(183 + 30);
    assert!(house.alarms().contains("恢复演练已经到期（上一次在 ") && !house.alarms().contains("该核对了"));
    // A clock ten years ahead makes everything due; put right, nothing more than before.
    house.clock.set(Moment(MONDAY + 3_650 * 24 * HOUR));
    assert!(house.alarms().contains("该核对了"));
    house.clock.set(Moment(MONDAY + (183 + 20) * 24 * HOUR));
    assert!(!house.alarms().contains("到期") && !house.alarms().contains("该核对了"), "{}", house.alarms());
}
