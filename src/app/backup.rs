//! Backups as people see them: who the recipients are, the schedule, what is shown of them, and what the administrators
//! must be told. Running them is `runner`'s business, the set itself the backup floor's.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::recipients::{self, Holder};
use super::{Actor, App, runner::Job};
use crate::backup::retention::Known;
use crate::backup::schedule::{Schedule, State, Typed};
use crate::backup::{self, SetInfo, Signer, mount};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::{account, act};
use crate::store::{Act, DATABASE_FILE, SlotInfo, fact};

/// Seconds by which two clocks may differ without anybody being told.
const CLOCK_SLACK_S: i64 = 600;

/// What the page shows.
pub struct BackupPage {
    /// Who can open sets.
    pub recipients: Vec<Holder>,
    /// Who signs them.
    pub signer: Signer,
    /// When the last set was verified.
    pub last: Option<Moment>,
    /// When the next one is due; `None` also while the schedule rests.
    pub next: Option<Moment>,
    /// The schedule.
    pub schedule: Option<Schedule>,
    /// What the runner remembers.
    pub state: State,
    /// The run under way.
    pub job: Option<Job>,
    /// A run is under way, or about to begin.
    pub waits: bool,
    /// Why the target cannot be looked into.
    pub unreachable: Option<String>,
    /// The target lies on the disk of the data.
    pub same_disk: bool,
    /// Sets in the target, and those known elsewhere; newest first.
    pub sets: Vec<Shown>,
    /// Where targets may be chosen.
    pub roots: Vec<PathBuf>,
    /// What opens the data.
    pub slots: Vec<SlotInfo>,
    /// Whoever looks is the system administrator.
    pub may_change: bool,
}

/// A set as the page lists it.
pub struct Shown {
    /// Its name.
    pub name: String,
    /// When it was made, in Beijing time.
    pub created: String,
    /// Entries of the journal in it.
    pub seq: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Both files lie in the target.
    pub complete: bool,
    /// Something of it lies in the target.
    pub here: bool,
    /// What the store knows of it: that it wrote and verified it.
    pub known: Option<Known>,
}

/// Why a schedule was not set.
#[derive(Debug)]
pub enum ScheduleError {
    /// What is wrong, by the name of the field.
    Problems(Vec<(&'static str, String)>),
    /// Something else.
    Other(Error),
}

impl From<Error> for ScheduleError {
    fn from(e: Error) -> Self {
        Self::Other(e)
    }
}

impl App {
    /// A set is loaded once into a throw-away store beside the data: that must not fill the disk under the clerks.
    pub(super) fn has_room(&self) -> Result<()> {
        let needed = std::fs::metadata(self.dir().join(DATABASE_FILE)).map_or(0, |m| m.len()) / 5 * 6;
        let free = fs4::available_space(self.dir())?;
        if free > needed + limits::SPACE_RESERVE_BYTES {
            return Ok(());
        }
        let (needed, free) = (needed >> 20, free >> 20);
        Err(Error::invalid(format!("数据盘剩余 {free} MB，备份的恢复核验需要约 {needed} MB。请先清理或扩容。")))
    }

    /// The county's signing key, for key files and for whoever wants to compare.
    pub fn signer(&self) -> Result<Signer> {
        backup::signer_of(&self.store.read()?)
    }

    /// When the last verified set was written.
    pub fn last_backup(&self) -> Result<Option<Moment>> {
        let text = self.store.read()?.fact_text(fact::LAST_BACKUP)?;
        Ok(text.parse().ok().map(Moment))
    }

    /// What the sheet of keys shows, for an administrator who proved once more who they are.
    pub fn before_key_sheet(&self, actor: &Actor) -> Result<BackupPage> {
        let page = self.backup_page(actor)?;
        actor.proved()?;
        Ok(page)
    }

    /// The same, with the entry that it was opened.
    pub fn key_sheet(&self, actor: &Actor) -> Result<BackupPage> {
        let page = self.before_key_sheet(actor)?;
        let act = Act::new(actor.doer(), act::KEY_SHEET);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        Ok(page)
    }

    /// Everything the page shows; for the three administrators.
    pub fn backup_page(&self, actor: &Actor) -> Result<BackupPage> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        self.backup_view(actor.is("sysadmin"))
    }

    /// The same for whoever may see it, and may change it where anybody can.
    pub(super) fn backup_view(&self, may_change: bool) -> Result<BackupPage> {
        let snapshot = self.store.read()?;
        let schedule = Schedule::decode(&snapshot.fact_text(fact::BACKUP_SCHEDULE)?);
        let known = Known::decode(&snapshot.fact_text(fact::BACKUP_SETS)?);
        let roots = self.backup_roots();
        let folder = schedule.as_ref().map(|s| mount::mounted(&self.store, Path::new(&s.target), &roots));
        let folder = folder.transpose();
        let lying = folder.clone().and_then(|f| f.map_or_else(|| Ok(Vec::new()), |f| backup::list(&f, None)));
        let ready = self.ready_schedule().ok();
        Ok(BackupPage {
            recipients: recipients::holders(&snapshot)?,
            signer: backup::signer_of(&snapshot)?,
            last: self.last_backup()?,
            next: ready.and_then(|s| s.next_due(self.now())),
            schedule,
            state: State::decode(&snapshot.fact_text(fact::BACKUP_STATE)?),
            job: self.backup_job(),
            waits: self.backup_busy(),
            unreachable: lying.as_ref().err().map(|e| e.public().to_owned()),
            same_disk: folder.ok().flatten().is_some_and(|f| same_disk(&f, self.dir())),
            sets: shown(lying.unwrap_or_default(), known),
            roots,
            slots: self.store.slots(),
            may_change: may_change && !self.is_standby(),
        })
    }

    /// Sets the schedule, and marks its target. What is wrong with the fields is told by their names.
    pub fn set_schedule(&self, actor: &Actor, typed: &Typed) -> Result<(), ScheduleError> {
        self.keeps_backups(actor)?;
        let (schedule, note) = self.read_schedule(typed)?;
        let actor = actor.clone();
        Ok(self.store.submit(move |txn| {
            if !super::record::live(txn, &actor)?.is("sysadmin") {
                return Err(Error::denied());
            }
            txn.set_fact(fact::BACKUP_SCHEDULE, schedule.encode());
            txn.act(Act::new(actor.doer(), act::BACKUP_SCHEDULE).note(note));
            Ok(())
        })?)
    }

    /// The schedule as typed, its target marked; and what the journal says of it.
    pub(super) fn read_schedule(&self, typed: &Typed) -> Result<(Schedule, String), ScheduleError> {
        let mut schedule = typed.read(self.now(), self.facts().epoch).map_err(ScheduleError::Problems)?;
        let folder = mount::choose(&self.store, Path::new(&schedule.target), &self.backup_roots());
        let folder = folder.map_err(|e| ScheduleError::Problems(vec![("target", e.public().to_owned())]))?;
        schedule.target = folder.to_string_lossy().into_owned();
        let kept = schedule.kept.words().trim_start_matches("最近").replace(' ', "");
        let note = format!("{} 保留{kept} {}", schedule.words(), schedule.target);
        Ok((schedule, note))
    }

    /// What the administrators must be told about backups, the most pressing first; empty when all is well.
    pub fn backup_alarms(&self) -> Result<Vec<String>> {
        let snapshot = self.store.read()?;
        let state = State::decode(&snapshot.fact_text(fact::BACKUP_STATE)?);
        let mut alarms = Vec::new();
        if let Some(resting) = self.resting()? {
            let (have, need) = (resting.confirmed.len(), limits::RESTORE_CONFIRMED_BY);
            alarms.push(format!(
                "数据刚从备份恢复，现在只能查看。请三员中的 {need} 人在备份页确认恢复无误（已确认 {have} 人）。"
            ));
        }
        if snapshot.fact_text(fact::RECIPIENTS)?.is_empty() {
            alarms.push("还没有设置备份密钥，现在没有任何备份。".to_owned());
        }
        alarms.extend(self.recipients_waiting(&snapshot)?);
        let text = snapshot.fact_text(fact::BACKUP_SCHEDULE)?;
        let schedule = Schedule::decode(&text);
        match &schedule {
            None => alarms.push("没有设置备份计划。".to_owned()),
            Some(s) if s.epoch != self.facts().epoch => {
                alarms.push("数据是从备份恢复的，备份计划已暂停。请系统管理员核对备份目标后重新保存计划。".to_owned());
            }
            Some(_) => {}
        }
        if let Some(open) = state.open.as_ref().filter(|_| !self.backup_busy()) {
            alarms.push(format!("{} 开始的备份没有做完：服务中途停止了。", Moment(open.at)));
        }
        if let Some(last) = &state.last {
            let at = Moment(last.at);
            alarms.extend(last.error.as_ref().map(|e| format!("{at} 的备份失败：{e}")));
            alarms.extend(last.damage.as_ref().map(|d| format!("{at} 备份时发现本机{d}，其余内容已备份并核验。")));
            alarms.extend(last.kept.clone());
        }
        alarms.extend(self.silence(schedule.as_ref())?);
        alarms.extend(self.purge_keys()?.filter(|(_, late)| *late).map(|(text, _)| text));
        if let Some(schedule) = &schedule {
            alarms.extend(self.checks_overdue(&snapshot, Moment(schedule.since))?);
        }
        alarms.extend(self.offsite_alarms()?);
        Ok(alarms)
    }

    /// Told when there was no verified set for too long, or when that cannot be known.
    fn silence(&self, schedule: Option<&Schedule>) -> Result<Option<String>> {
        let (now, last) = (self.now(), self.last_backup()?);
        let bound = schedule.map_or(limits::ALARM_HOURS, |s| s.alarm_hours);
        if let Some(last) = last.filter(|last| last.seconds_since(now) > CLOCK_SLACK_S) {
            return Ok(Some(format!("服务器现在的时间是 {now}，早于最近一次备份（{last}）。请核对服务器时间。")));
        }
        // A schedule that was just set has time to do its first work.
        let set = schedule.map(|s| Moment(s.since)).filter(|set| *set <= now);
        let hours = last.max(set).map(|from| now.seconds_since(from) / 3600);
        Ok(hours.filter(|h| *h >= i64::from(bound)).map(|hours| {
            let last = last.map_or("从未有过".to_owned(), |at| format!("上一次在 {at}"));
            format!("已经 {hours} 小时没有成功的备份（{last}，应不超过 {bound} 小时）。")
        }))
    }

    pub(super) fn keeps_backups(&self, actor: &Actor) -> Result<()> {
        if actor.is("sysadmin") { Ok(()) } else { Err(self.refused(actor, &account::KIND, RecordId(0))) }
    }

    pub(super) fn recipients(&self, given: &[String]) -> Result<Vec<String>> {
        let configured = recipients::keys(&self.store.read()?)?;
        if given.is_empty() {
            if configured.is_empty() {
                let least = limits::RECIPIENTS_MIN;
                return Err(Error::invalid(format!("没有设置备份密钥。请先用 jiceng backup keygen 生成至少 {least} 把。")));
            }
            return Ok(configured);
        }
        let known = given.iter().all(|r| configured.contains(r));
        if !known && !self.facts().demo {
            return Err(Error::invalid("只能备份给已设置的密钥；--recipient 的其他密钥仅限演示数据使用。"));
        }
        Ok(given.to_vec())
    }
}

/// What lies in the target, each with what the store knows of it, then known sets that lie elsewhere; newest first.
fn shown(lying: Vec<SetInfo>, known: Vec<Known>) -> Vec<Shown> {
    let mut known: HashMap<String, Known> = known.into_iter().map(|k| (k.set.clone(), k)).collect();
    let here = lying.into_iter().map(|set| {
        let name = set.id.to_string();
        let known = known.remove(&name).filter(|_| set.complete);
        let seq = set.id.seq().0;
        Shown { created: set.id.created(), seq, bytes: set.bytes, complete: set.complete, here: true, known, name }
    });
    let mut all: Vec<Shown> = here.collect();
    all.extend(known.into_values().map(|k| Shown {
        name: k.set.clone(),
        created: Moment(k.at).to_string(),
        seq: k.seq,
        bytes: k.bytes,
        complete: false,
        here: false,
        known: Some(k),
    }));
    all.sort_by(|a, b| (b.here, &b.name).cmp(&(a.here, &a.name)));
    all
}

fn same_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|m| m.dev()).ok();
    device(one) == device(other)
}
