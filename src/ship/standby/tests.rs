//! An old host that still ships, and a standby that takes over at any moment: one of them gets the slot, and nothing
//! that was acknowledged is in neither place.

#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::app::offsite::{Step, Writer};
use crate::app::{Actor, access::local_doer};
use crate::backup::{self, Target, keygen};
use crate::base::clock::SystemClock;
use crate::base::{RecordId, config};
use crate::records::{Author, Value, account, decide, petition};
use crate::ship::deliver::{Errand, Shipper};
use crate::ship::open;
use crate::store::fact;

/// A host with a spool and a shipper, and a target with a set.
struct Host {
    home: tempfile::TempDir,
    app: Arc<App>,
    writer: Writer,
}

impl Host {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let store = Store::create(&at("main"), &at("main.key"), "测试县", true, Arc::new(SystemClock)).unwrap();
        let signer = backup::signer_of(&store.read().unwrap()).unwrap();
        let recipients = ["a", "b"].map(|name| {
            keygen(&at(&format!("{name}.txt")), Some(signer), store.now()).unwrap().recipient
        });
        let lines = format!("{} 备用机\n{}", recipients[0], recipients[1]);
        store
            .submit(move |txn| {
                txn.set_fact(fact::RECIPIENTS, lines);
                txn.act(Act::new(local_doer(), act::RECIPIENTS));
                // Whoever looks at petitions has an account: the first record.
                let author = Author { account: RecordId(0), unit: RecordId(0) };
                txn.create(decide::create(&account::KIND, (account::KIND.sample)(1), author, txn.now()).unwrap())
            })
            .unwrap();
        ["spool", "target"].iter().for_each(|name| fs::create_dir_all(at(name)).unwrap());
        let target = Target { folder: &at("target"), marked: false };
        backup::run(&store, target, &recipients, &|_| Ok(())).unwrap();
        let app = App::with_store(store).unwrap();
        let offsite = config::Offsite { spool: at("spool"), every_s: 1, alarm_minutes: 10 };
        let writer = Writer::start(&app, &offsite).unwrap();
        let host = Self { home, app, writer };
        host.ship();
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn ship(&self) {
        let to = self.at("target").display().to_string();
        let errand = Errand { spool: self.at("spool"), backups: None, to, endpoint: None };
        // That it was fenced is an error of the shipper.
        let _told = Shipper::start(&errand, Arc::new(SystemClock)).and_then(|shipper| shipper.once());
    }

    fn remote(&self) -> Box<dyn Remote> {
        open(&self.at("target").display().to_string(), None, None).unwrap()
    }

    fn standby(&self) -> (Arc<App>, Standby) {
        let key = KeyFile::read(&self.at("a.txt")).unwrap();
        let told = Following { identity: self.at("a.txt"), ..Following::default() };
        let dir = self.at("standby");
        found(self.remote().as_ref(), &key, &told, &dir, Arc::new(SystemClock)).unwrap();
        let app = App::open(&dir, Arc::new(SystemClock)).unwrap();
        let standby = Standby::of(&app, self.remote(), key).unwrap();
        (app, standby)
    }

    /// Whether a petition with this title was acknowledged.
    fn register(&self, title: String) -> bool {
        let done = self.app.followed().submit(move |txn| {
            let author = Author { account: RecordId(1), unit: RecordId(2) };
            let mut record = decide::create(&petition::KIND, (petition::KIND.sample)(1), author, txn.now()).unwrap();
            record.fields.insert(petition::tag::TITLE, Value::Text(title));
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        });
        done.is_ok()
    }

    /// Writes what there is to write.
    fn write(&mut self) {
        while self.writer.step().unwrap() == Step::Wrote {}
    }
}

fn titles(store: &Store) -> BTreeSet<String> {
    let snapshot = store.read().unwrap();
    let records = snapshot.all_ids().unwrap().filter_map(|id| snapshot.get(id, false).unwrap());
    records.map(|r| r.fields.text(petition::tag::TITLE).to_owned()).collect()
}

fn numbers(store: &Store) -> BTreeSet<String> {
    let snapshot = store.read().unwrap();
    let records = snapshot.all_ids().unwrap().filter_map(|id| snapshot.get(id, false).unwrap());
    records.map(|r| petition::KIND.number_of(&r).to_owned()).collect()
}

fn seer() -> Actor {
    Actor {
        account: RecordId(1),
        unit: RecordId(2),
        login: "x".into(),
        name: "x".into(),
        roles: vec!["petition-office".into(), "identity".into()],
        extras: Vec::new(),
        charter: Arc::default(),
        via: "test".into(),
        proven: true,
        only_looks: false,
    }
}

/// No change of an earlier epoch stands behind a fence of a later one.
fn epochs_never_mix(host: &Host) {
    let (mut epoch, mut last) = (0, 0);
    for (number, _) in slots(host.remote().as_ref(), None).unwrap() {
        let plain = Plain::read(&host.at("target").join(place(number))).unwrap();
        let fits = match plain.kind {
            Kind::Fence => plain.epoch > epoch,
            Kind::Change => plain.epoch == epoch,
        };
        assert!(fits && number == last + 1, "slot {number} of epoch {} after {epoch}", plain.epoch);
        (epoch, last) = (plain.epoch, number);
    }
    assert_eq!(epoch, 2);
}

#[test]
fn whoever_wins_the_slot_nothing_acknowledged_is_in_neither_place() {
    let trials = std::env::var("JICENG_CAMPAIGN").map_or(6, |n| (n.parse::<u64>().unwrap() * 6).min(200));
    for trial in 0..trials {
        let mut host = Host::new();
        host.write();
        host.ship();
        let (heir, standby) = host.standby();
        assert_eq!(standby.look(&heir).unwrap(), Look::Current);
        let mut acknowledged = BTreeSet::new();
        let pause = Duration::from_micros(trial * 7_919 % 60_000);
        let promoted = std::thread::scope(|scope| {
            let takes_over = scope.spawn(|| {
                std::thread::sleep(pause);
                standby.promote(&heir, &local_doer(), (&[], &|_, _| Ok(None))).unwrap()
            });
            for n in 0..6 {
                let title = format!("第{trial}次第{n}件");
                acknowledged.extend(host.register(title.clone()).then_some(title));
                host.write();
                host.ship();
            }
            takes_over.join().unwrap()
        });
        host.ship();
        host.writer.listen().unwrap();
        assert!(!host.register("之后".into()) && host.app.halted().is_some(), "trial {trial}");
        epochs_never_mix(&host);
        let dir = heir.dir().to_owned();
        drop((heir, standby));
        let new = Store::open(&dir, Arc::new(SystemClock)).unwrap();
        assert_eq!(new.check().unwrap().problems, [""; 0], "trial {trial}");
        let there = titles(&new);
        let lost: BTreeSet<&String> = acknowledged.difference(&there).collect();
        let book = host.at("left.xlsx");
        let left = host.app.leftover(&seer(), Some(promoted.entry.0), None, &book).unwrap();
        assert_eq!(left.entered, lost.len(), "trial {trial}: {lost:?}");
        // What the new host gives out, the old one never gave.
        new.submit(|txn| {
            let author = Author { account: RecordId(1), unit: RecordId(2) };
            let record = decide::create(&petition::KIND, (petition::KIND.sample)(2), author, txn.now()).unwrap();
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        })
        .unwrap();
        let (old, all) = (numbers(host.app.followed()), numbers(&new));
        let last = all.iter().max_by_key(|n| n.len()).unwrap();
        assert!(!old.contains(last), "trial {trial}: {last}");
    }
}

#[test]
fn what_cannot_be_followed_is_told_and_a_newer_set_goes_beyond_it() {
    let mut host = Host::new();
    host.write();
    host.ship();
    let (app, standby) = host.standby();
    assert_eq!(standby.look(&app).unwrap(), Look::Current);
    assert!(host.register("有缺之前".into()));
    host.write();
    host.ship();
    let (gap, _) = *slots(host.remote().as_ref(), None).unwrap().last().unwrap();
    let file = host.at("target").join(place(gap));
    let whole = fs::read(&file).unwrap();
    // Damage, then a gap: nothing is taken over, and what is there is still served.
    let head = app.followed().head();
    let mut spoilt = whole.clone();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    fs::write(&file, spoilt).unwrap();
    assert!(standby.look(&app).is_err());
    assert!(app.standby_words().unwrap().contains("已停止跟随"));
    assert!(standby.promote(&app, &local_doer(), (&[], &|_, _| Ok(None))).is_err());
    fs::remove_file(&file).unwrap();
    assert!(host.register("有缺之后".into()));
    host.write();
    let waits = fs::read_dir(host.at("spool/segments")).unwrap().next().unwrap().unwrap().path();
    let next = host.at("target").join("log").join(waits.file_name().unwrap());
    fs::copy(&waits, &next).unwrap();
    assert!(matches!(standby.look(&app).unwrap(), Look::Outrun(_)));
    assert_eq!(app.followed().head(), head);
    assert_eq!(standby.renew(&app, Arc::new(SystemClock)).unwrap(), None);
    // A log-in on the standby is kept when a newer set takes the place.
    app.followed()
        .submit(|txn| {
            txn.act(Act::new(local_doer(), act::LOGIN));
            Ok(())
        })
        .unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    let recipients = recipients::keys(&app.followed().read().unwrap()).unwrap();
    let target = Target { folder: &host.at("target"), marked: false };
    backup::run(host.app.followed(), target, &recipients, &|_| Ok(())).unwrap();
    let fresh = standby.renew(&app, Arc::new(SystemClock)).unwrap().unwrap();
    let dir = app.dir().to_owned();
    drop((app, standby));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    change_over(&dir, &fresh, &clock).unwrap();
    assert!(!fresh.exists());
    let app = App::open(&dir, clock).unwrap();
    assert!(titles(app.followed()).contains("有缺之后") && app.is_standby());
    let report = app.followed().check().unwrap();
    assert_eq!((report.problems, report.local), (Vec::new(), 1));
    let key = KeyFile::read(&host.at("a.txt")).unwrap();
    let standby = Standby::of(&app, host.remote(), key).unwrap();
    assert_eq!(standby.look(&app).unwrap(), Look::Current);
}

#[test]
fn a_promotion_whose_answer_was_lost_goes_on_with_the_slot_it_took() {
    let mut host = Host::new();
    host.write();
    host.ship();
    let (app, standby) = host.standby();
    assert_eq!(standby.look(&app).unwrap(), Look::Current);
    // The fence is there, the process died before it knew.
    let slot = standby.take_slot(&app, &mut standby.at(), 1).unwrap();
    drop(standby);
    let key = || KeyFile::read(&host.at("a.txt")).unwrap();
    let again = Standby::of(&app, host.remote(), key()).unwrap();
    assert_eq!(again.look(&app).unwrap(), Look::Current);
    assert!(app.standby_words().unwrap().contains("接替没有做完"));
    let done = again.promote(&app, &local_doer(), (&[], &|_, _| Ok(None))).unwrap();
    assert_eq!((done.slot, done.epoch), (slot, 2));
    epochs_never_mix(&host);
}
