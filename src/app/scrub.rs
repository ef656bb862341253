//! The scrubber (数据自检): once a week everything there is — journal, records, derived tables, attachments, index — is
//! read and compared at low priority, what went wrong is told to the administrators, and sealed uploads that nothing
//! names any more are removed.
//!
//! What must hold: nothing is removed unless everything could be read, and nothing young: an upload is named by its
//! record only once the form is accepted.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Actor, App, access::local_doer, lock};
use crate::base::{Error, ErrorKind, Moment, Result, Seq, background, limits};
use crate::records::act;
use crate::store::{Act, Doer, Report, fact};

/// What the last scrub saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// Records that opened.
    pub records: u64,
    /// Journal entries that chain.
    pub entries: u64,
    /// Attachments that are whole.
    pub files: u64,
    /// Uploads without a name that were removed.
    pub removed: u64,
    /// How many things are wrong.
    pub wrong: u64,
    /// The first of them, a line each, at most [`limits::SCRUB_LINES`]; they name records by id only.
    pub problems: Vec<String>,
}

/// The scrub that runs, and who asked for one.
#[derive(Default)]
pub struct Scrubber(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    wanted: Option<Doer>,
    /// Things read so far, while one runs.
    read: Option<u64>,
    /// When the last one began.
    begun: Option<Moment>,
    stop: bool,
}

impl App {
    /// What the last scrub saw; `None` before the first.
    pub fn scrubbed(&self) -> Result<Option<Scrubbed>> {
        let text = self.store.read()?.fact_text(fact::SCRUB)?;
        Ok(serde_json::from_str(&text).ok())
    }

    /// How many things the scrub under way has read.
    pub fn scrub_progress(&self) -> Option<u64> {
        let inner = lock(&self.scrubber.0);
        inner.read.or_else(|| inner.wanted.as_ref().map(|_| 0))
    }

    /// Asks for a scrub now, on behalf of the system administrator; the thread carries it out.
    pub fn scrub_now(&self, actor: &Actor) -> Result<()> {
        self.keeps_backups(actor)?;
        let mut inner = lock(&self.scrubber.0);
        if inner.wanted.is_some() || inner.read.is_some() {
            return Err(Error::new(ErrorKind::Busy, "数据自检正在进行，不需要再启动。"));
        }
        inner.wanted = Some(actor.doer());
        Ok(())
    }

    /// What administrators must know of the last scrub.
    pub fn scrub_alarms(&self) -> Result<Vec<String>> {
        if self.scrub_age()?.is_some_and(|s| s > 2 * limits::SCRUB_S) {
            return Ok(vec!["数据自检已超过两周没有完成。请系统管理员在“备份”页立即自检，或检查服务日志。".to_owned()]);
        }
        let Some(last) = self.scrubbed()? else { return Ok(Vec::new()) };
        let Some(first) = last.problems.first() else { return Ok(Vec::new()) };
        let (day, count) = (Moment(last.at).day(), last.wrong);
        Ok(vec![format!("{day} 的数据自检发现 {count} 处问题：{first}。请尽快运行 jiceng doctor --deep 并按提示处理。")])
    }

    /// Scrubs when somebody asked for it or a week has passed. The thread calls this; tests may.
    pub fn look_after_data(&self) -> Result<()> {
        let wanted = lock(&self.scrubber.0).wanted.clone();
        let begun = lock(&self.scrubber.0).begun;
        // One that broke off is not tried again at once.
        let rests = begun.is_some_and(|at| self.now().seconds_since(at).abs() < limits::SCRUB_AGAIN_S);
        if wanted.is_none() && (rests || !self.scrub_is_due()?) {
            return Ok(());
        }
        lock(&self.scrubber.0).begun = Some(self.now());
        let doer = wanted.unwrap_or_else(|| Doer { via: "schedule".to_owned(), ..local_doer() });
        let outcome = self.scrub().or_else(|e| match e.kind() {
            ErrorKind::Busy => Err(e),
            // What cannot even be read through is told like everything else that is wrong.
            _ => Ok(Scrubbed { wrong: 1, problems: vec![e.public().to_owned()], ..Scrubbed::default() }),
        });
        let entered = outcome.and_then(|done| self.enter(doer, done));
        let mut inner = lock(&self.scrubber.0);
        (inner.wanted, inner.read) = (None, None);
        entered
    }

    /// A week after the last one, or after the store was made; also when the clock went back by as much.
    fn scrub_is_due(&self) -> Result<bool> {
        Ok(self.scrub_age()?.is_some_and(|s| s.abs() >= limits::SCRUB_S))
    }

    /// Seconds since the last one, or since the store was made.
    fn scrub_age(&self) -> Result<Option<i64>> {
        let since = match self.scrubbed()? {
            Some(last) => Some(Moment(last.at)),
            None => self.store.read()?.entry(Seq(1))?.map(|first| first.header.at),
        };
        Ok(since.map(|at| self.now().seconds_since(at)))
    }

    /// Reads everything, and removes what nothing names.
    fn scrub(&self) -> Result<Scrubbed> {
        let tick = || {
            let mut inner = lock(&self.scrubber.0);
            inner.read = Some(inner.read.unwrap_or(0) + 1);
            let stopped = || Error::new(ErrorKind::Busy, "服务正在停止，数据自检下次再做。");
            if inner.stop { Err(stopped()) } else { Ok(()) }
        };
        let held = self.held_blobs();
        let report = self.store.check_watched(&tick)?;
        let mut wrong = report.faults + report.damaged.len() as u64;
        let mut problems = report.problems.clone();
        // The engine of the index panics on some damaged files.
        let index = catch_unwind(AssertUnwindSafe(|| self.follower.is_sound()));
        if !index.unwrap_or(false) {
            self.follower.rebuild()?;
            problems.insert(0, "检索索引损坏，已自动重建".to_owned());
            wrong += 1;
        }
        let removed = self.remove_unnamed(&report, held)?;
        problems.truncate(limits::SCRUB_LINES);
        let (records, entries, files) = (report.records, report.entries, report.files);
        Ok(Scrubbed { at: 0, records, entries, files, removed, wrong, problems })
    }

    /// Enters what was seen, at the time of the entry.
    fn enter(&self, doer: Doer, done: Scrubbed) -> Result<()> {
        let act = Act::new(doer, act::SCRUB).note(format!("problems {} removed {}", done.wrong, done.removed));
        let act = if done.wrong == 0 { act } else { act.refused() };
        self.store.submit(move |txn| {
            let text = serde_json::to_string(&Scrubbed { at: txn.now().0, ..done }).map_err(Error::internal)?;
            txn.set_fact(fact::SCRUB, text);
            txn.act(act);
            Ok(())
        })
    }

    /// Sealed files that wait for a form or an import.
    pub(super) fn held_blobs(&self) -> Vec<String> {
        [self.staged_blobs(), self.desk_blobs()].concat()
    }

    /// Removes what nothing names; `before` waited when the reading began.
    fn remove_unnamed(&self, report: &Report, before: Vec<String>) -> Result<u64> {
        // A disk that failed may have lost the commit that names a file.
        if report.faults > 0 || self.halted().is_some() {
            return Ok(0);
        }
        let held: BTreeSet<String> = before.into_iter().chain(self.held_blobs()).collect();
        let old = Moment(self.now().0 - limits::UNNAMED_UPLOAD_S * 1000);
        let gone = report.orphans.iter().filter(|blob| !held.contains(*blob));
        self.store.remove_unnamed(gone, old)
    }
}

/// The thread; dropping this ends it, and breaks off what it is reading.
pub struct Thread {
    app: Arc<App>,
    _stop: Sender<()>,
}

impl Thread {
    /// Starts to look after the data of an application.
    pub fn start(app: &Arc<App>) -> Result<Self> {
        let (own, (stop, stopped)) = (Arc::clone(app), channel::<()>());
        background("scrub", move || {
            let pause = Duration::from_secs(limits::SCRUB_LOOK_S);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                // The engine panics on some damaged files; the thread outlives that.
                let done = catch_unwind(AssertUnwindSafe(|| own.look_after_data()));
                if let Err(e) = done.unwrap_or_else(|_| Err(Error::internal("the scrub panicked"))) {
                    tracing::error!(detail = e.detail(), "looking after the data: {e}");
                }
            }
        })?;
        Ok(Self { app: Arc::clone(app), _stop: stop })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        lock(&self.app.scrubber.0).stop = true;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::app::demo;
    use crate::base::clock::{Clock, ManualClock, SystemClock};
    use crate::records::{Value, decide, petition};

    const DAY: i64 = 24 * 3_600_000;

    /// A county whose clock starts at the present, as uploads bear the time of the file system.
    fn county(home: &tempfile::TempDir) -> (Arc<App>, Arc<ManualClock>, Moment) {
        let now = SystemClock.now();
        let clock = Arc::new(ManualClock::at(now));
        let own = Arc::clone(&clock);
        (demo::create(&home.path().join("d"), own, true).unwrap(), clock, now)
    }

    fn scrubs(app: &App) -> usize {
        let all = app.store.read().unwrap().journal_after(Seq(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>();
        all.iter().filter(|e| e.header.action == act::SCRUB.code).count()
    }

    #[test]
    fn everything_is_read_once_a_week_across_restarts_and_clocks() {
        let home = tempfile::tempdir().unwrap();
        let (app, clock, now) = county(&home);
        let look = |app: &App, days: i64| {
            clock.set(Moment(now.0 + days * DAY));
            app.look_after_data().unwrap();
            scrubs(app)
        };
        assert_eq!([look(&app, 0), look(&app, 6), look(&app, 7), look(&app, 13)], [0, 0, 1, 1]);
        drop(app);
        let own = Arc::clone(&clock);
        let app = App::open(&home.path().join("d"), own).unwrap();
        assert_eq!([look(&app, 13), look(&app, 14), look(&app, 13), look(&app, 7)], [1, 2, 2, 3]);
        let last = app.scrubbed().unwrap().unwrap();
        assert!(last.records > 0 && last.entries > 0 && last.problems.is_empty());
        assert_eq!(app.scrub_alarms().unwrap(), [""; 0]);
    }

    #[test]
    fn uploads_that_nothing_ever_named_go_and_those_of_earlier_versions_stay() {
        let home = tempfile::tempdir().unwrap();
        let (app, clock, now) = county(&home);
        let upload = |name: &str| {
            let mut blob = app.upload().unwrap();
            blob.write(name.as_bytes()).unwrap();
            blob.finish(name).unwrap()
        };
        let (kept, lost, young) = (upload("原件.txt"), upload("没有登记.txt"), upload("刚传.txt"));
        let fields = (petition::KIND.sample)(1).with(petition::tag::FILES, Value::Files(vec![kept.clone()]));
        let clerk = app.demo_actor("xinfang").unwrap();
        let record = decide::create(&petition::KIND, fields, clerk.author(), app.now()).unwrap();
        let id = app.store.submit(move |txn| {
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        });
        let id = id.unwrap();
        // The next version names no attachment; its history does.
        let without = app.store.submit(move |txn| {
            let before = txn.get(id)?.unwrap();
            let fields = before.fields.iter().filter(|(tag, _)| *tag != petition::tag::FILES).collect();
            txn.act(Act::new(local_doer(), act::UPDATE));
            txn.update(crate::records::Record { version: before.version + 1, fields, ..before })
        });
        without.unwrap();
        let there = |file: &crate::records::FileRef| {
            home.path().join("d/blobs").join(&file.blob[..2]).join(&file.blob).exists()
        };
        let held = app.stage(&clerk, &[], vec![young.clone()]).unwrap();
        assert_eq!(held.len(), 1);
        app.look_after_data().unwrap();
        assert!(there(&kept) && there(&lost) && there(&young), "nothing is due");
        clock.set(Moment(now.0 + 8 * DAY));
        app.look_after_data().unwrap();
        assert_eq!([there(&kept), there(&lost), there(&young)], [true, false, true]);
        assert_eq!(app.scrubbed().unwrap().unwrap().removed, 1);
    }

    #[test]
    fn rot_is_told_to_administrators_and_keeps_everything_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let (app, clock, now) = county(&home);
        let mut blob = app.upload().unwrap();
        blob.write(b"paper").unwrap();
        let file = blob.finish("附件.txt").unwrap();
        let fields = (petition::KIND.sample)(1).with(petition::tag::FILES, Value::Files(vec![file.clone()]));
        let author = app.demo_actor("xinfang").unwrap();
        let record = decide::create(&petition::KIND, fields, author.author(), app.now()).unwrap();
        let made = app.store.submit(move |txn| {
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        });
        made.unwrap();
        app.wait_for_index().unwrap();
        fs::write(home.path().join("d/blobs").join(&file.blob[..2]).join(&file.blob), "rotten").unwrap();
        let segment = fs::read_dir(crate::app::index_dir(app.dir())).unwrap().map(|e| e.unwrap().path());
        let segment = segment.into_iter().find(|p| p.extension().is_some_and(|e| e == "store")).unwrap();
        let mut bytes = fs::read(&segment).unwrap();
        bytes[0] ^= 1;
        fs::write(&segment, bytes).unwrap();
        clock.set(Moment(now.0 + 8 * DAY));
        app.look_after_data().unwrap();
        let last = app.scrubbed().unwrap().unwrap();
        assert!(last.wrong == 2 && last.problems[0].contains("索引损坏，已自动重建"), "{last:?}");
        assert!(app.scrub_alarms().unwrap()[0].contains("2 处问题"));
        app.wait_for_index().unwrap();
        assert!(app.follower.is_sound());
        assert!(app.doctor(false).unwrap().iter().any(|f| f.name == "数据自检" && f.text.contains("2 处问题")));
    }

    /// Until the next scrub or start, everybody was told that something had gone wrong.
    #[test]
    fn an_index_that_fails_in_a_search_is_made_anew_at_once() {
        use std::os::unix::fs::FileExt;
        let home = tempfile::tempdir().unwrap();
        let (app, ..) = county(&home);
        let clerk = app.demo_actor("xinfang").unwrap();
        let fields = (petition::KIND.sample)(1).with_text(petition::tag::TEXT, "水渠没有修好。");
        let record = decide::create(&petition::KIND, fields, clerk.author(), app.now()).unwrap();
        let made = app.store.submit(move |txn| {
            txn.act(Act::new(local_doer(), act::CREATE));
            txn.create(record)
        });
        made.unwrap();
        app.wait_for_index().unwrap();
        let query = crate::app::search::Query { text: "水渠".to_owned(), limit: 9, ..Default::default() };
        assert_eq!(app.search(&clerk, &query).unwrap().hits.len(), 1);
        // In place, as a disk rots.
        for entry in fs::read_dir(crate::app::index_dir(app.dir())).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "term" || e == "idx" || e == "fast") {
                let file = fs::File::options().write(true).open(&path).unwrap();
                let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
                file.write_all_at(&vec![0xff; length], 0).unwrap();
            }
        }
        app.follower.index().0.forget();
        let failed = app.search(&clerk, &query).err().unwrap();
        assert!(failed.kind() == ErrorKind::Busy && failed.public().contains("自动重建"), "{failed:?}");
        let found = (0..600).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            app.search(&clerk, &query).ok()
        });
        assert_eq!(found.unwrap().hits.len(), 1);
        assert!(app.follower.is_sound());
    }

    #[test]
    fn it_is_the_system_administrator_who_starts_one() {
        let home = tempfile::tempdir().unwrap();
        let (app, ..) = county(&home);
        for other in ["secadmin", "auditor", "xinfang"] {
            assert!(app.scrub_now(&app.demo_actor(other).unwrap()).is_err());
        }
        let sysadmin = app.demo_actor("sysadmin").unwrap();
        app.scrub_now(&sysadmin).unwrap();
        assert_eq!(app.scrub_now(&sysadmin).unwrap_err().kind(), ErrorKind::Busy);
        app.look_after_data().unwrap();
        assert_eq!((scrubs(&app), app.scrub_progress()), (1, None));
    }
}
