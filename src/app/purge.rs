//! Purging as people do it: one who answers for the record asks, the security administrator decides, and the server
//! carries out what follows — files that nothing names any more, the generation of keys that must go — and says until
//! when old backups keep the content.
//!
//! What must hold: the record, its rows and the request change in one transaction, whose entry is that of the second
//! person; nobody decides over an own request. What is left of a record is `records::purge`'s business, what is
//! forgotten the store's.

use std::collections::BTreeMap;
use std::sync::{Arc, TryLockError};

use super::access::local_doer;
use super::change::already;
use super::record::{authorise, live};
use super::{Actor, App, Right, lock};
use crate::backup::retention::Known;
use crate::backup::schedule::Schedule;
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, background, limits};
use crate::records::decide::{self, Refusal};
use crate::records::flow::Move;
use crate::records::label::{self, LABEL};
use crate::records::purge::{self, state, tag};
use crate::records::record::MADE_BY;
use crate::records::{self, Fields, Kind, Record, Value, act, field};
use crate::store::{Act, Doer, Snapshot, Txn, fact};

const DAY_MS: i64 = 24 * 3_600_000;

/// That a record was purged.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// When.
    pub at: Moment,
    /// Who decided; 0 when a restore did it again.
    pub by: RecordId,
    /// The request for it.
    pub request: Option<RecordId>,
}

/// What becomes of what was purged, as the page of the request tells it.
pub struct Outlook {
    /// When it was purged.
    pub at: Moment,
    /// Files of purged records, of it or of others, that are still to be removed.
    pub files_left: usize,
    /// The keys that lie about.
    pub keys: Keys,
    /// Older backups.
    pub backups: OldBackups,
}

/// What became of the generation of keys that the forgotten keys lay under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It is destroyed, since this moment where that is known.
    Destroyed(Option<Moment>),
    /// Every key moves to the next one now.
    Moving,
    /// It is replaced and destroyed by this moment; the server begins some days before.
    Due(Moment),
}

/// Backups from before a purge, as far as this store knows of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldBackups {
    /// Those that the schedule will remove.
    pub kept: usize,
    /// When the last of them is removed at the latest, if backups go on as planned.
    pub until: Option<Moment>,
    /// Those that nobody removes by himself: folder, and how many.
    pub elsewhere: Vec<(String, usize)>,
}

impl App {
    /// Asks that a record be purged; the request. The same submit id gives the same request again.
    pub fn ask_purge(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        id: RecordId,
        (reason, submit): (&str, &str),
    ) -> Result<RecordId> {
        let seen = self.visible(&self.store.read()?, actor, kind, id)?;
        if !actor.may(kind, Right::Purge, seen.unit) {
            return Err(self.refused(actor, kind, id));
        }
        let reason = field::remark("清除理由", reason, limits::OPINION_CHARS).map_err(Error::invalid)?;
        let (actor, submit) = (actor.clone(), submit.to_owned());
        self.store.submit(move |txn| {
            let target = authorise(txn, &actor, kind, Right::Purge, id)?;
            txn.act(Act::new(actor.doer(), act::CREATE).note(purge::KIND.name));
            if let Some(made) = already(txn, &purge::KIND, actor.account, &submit)? {
                return Ok(made.id);
            }
            may_be_purged(kind, &target)?;
            if let Some(open) = pending(txn, id)? {
                return Err(Error::invalid(format!(
                    "已有一份清除申请在等复核（记录号 {open}），不需要再申请。"
                )));
            }
            let fields = request(kind, &target, reason, txn.now()).with_text(MADE_BY, submit);
            let made = decide::create(&purge::KIND, fields, live(txn, &actor)?.author(), txn.now());
            txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?)
        })
    }

    /// That the record was purged; `None` when it was not.
    pub(super) fn purge_of(&self, snapshot: &Snapshot, record: &Record) -> Result<Option<Told>> {
        let seq = snapshot.purged_at(record.id)?;
        let Some(entry) = seq.map_or(Ok(None), |seq| snapshot.entry(seq))? else { return Ok(None) };
        let request = requests(snapshot, record.id, state::DONE)?;
        Ok(Some(Told { at: entry.header.at, by: entry.header.doer.account, request }))
    }

    /// The request that waits for its decision, if there is one.
    pub(super) fn purge_asked(&self, snapshot: &Snapshot, id: RecordId) -> Result<Option<RecordId>> {
        requests(snapshot, id, state::PENDING)
    }

    /// What becomes of what a request purged; `None` before that.
    pub fn purge_outlook(&self, request: &Record) -> Result<Option<Outlook>> {
        let snapshot = self.store.read()?;
        let target = request.fields.link(tag::TARGET).unwrap_or(RecordId(0));
        let seq = snapshot.purged_at(target)?.filter(|_| request.state == state::DONE);
        let Some(entry) = seq.map_or(Ok(None), |seq| snapshot.entry(seq))? else { return Ok(None) };
        let known = Known::decode(&snapshot.fact_text(fact::BACKUP_SETS)?);
        let epoch = self.facts().epoch;
        // The numbers of another epoch say nothing of what is in a set.
        let before = known.into_iter().filter(|k| k.seq < entry.header.seq.0 || k.epoch != epoch);
        let generation = u32::try_from(request.fields.int(tag::GENERATION)).unwrap_or(0);
        let keys = if self.store.oldest_generation() > generation {
            Keys::Destroyed(snapshot.rotated_after(generation)?)
        } else if self.store.is_rotating() {
            Keys::Moving
        } else {
            let since = self.store.keys_due()?.map_or(entry.header.at, |due| due.since);
            Keys::Due(due_at(since))
        };
        Ok(Some(Outlook {
            at: entry.header.at,
            files_left: snapshot.fact_text(fact::PURGED_FILES)?.lines().count(),
            keys,
            backups: old_backups(&before.collect::<Vec<_>>(), self.ready_schedule().ok().as_ref(), epoch),
        }))
    }

    /// Replaces the generation of keys now instead of within the time allowed; for the system administrator.
    pub fn rotate_for_purges(self: &Arc<Self>, actor: &Actor) -> Result<()> {
        self.keeps_backups(actor)?;
        if self.store.keys_due()?.is_none() {
            return Err(Error::invalid("没有因清除而要更换的密钥代，不需要更换。"));
        }
        actor.proved()?;
        // Its entry is made beside the slot file, not by a command: the role is read as late as that allows.
        let account = self.store.read()?.get(actor.account, false)?;
        let account = account.filter(|a| records::account::admits(a, self.now().day()));
        let roles = account.map(|a| records::account::roles_on(&a.fields, self.now().day())).unwrap_or_default();
        if !roles.iter().any(|r| r == "sysadmin") {
            return Err(Error::denied());
        }
        self.begin_rotation(actor.doer())
    }

    /// Removes files that purged records left, and replaces the generation of keys when its time has come. The server
    /// calls this each minute; tests may.
    pub fn look_after_purges(self: &Arc<Self>) -> Result<()> {
        if self.halted().is_some() {
            return Ok(());
        }
        self.remove_purged_files()?;
        let Some(due) = self.store.keys_due()? else { return Ok(()) };
        // A clock that went back by as much is no reason to wait longer.
        let days = (self.now().0 - due.since.0).abs() / DAY_MS;
        if days < limits::PURGE_KEYS_START_DAYS || self.store.is_rotating() {
            return Ok(());
        }
        self.begin_rotation(Doer { via: "schedule".to_owned(), ..local_doer() })
    }

    /// Removes the files of what was just purged, without anybody waiting for it.
    pub fn finish_purges(self: &Arc<Self>) {
        let own = Arc::downgrade(self);
        let begun = background("purge", move || {
            let done = own.upgrade().map_or(Ok(()), |app| app.remove_purged_files());
            if let Err(e) = done {
                tracing::error!(detail = e.detail(), "removing files of purged records: {e}");
            }
        });
        if let Err(e) = begun {
            // The next look does it.
            tracing::warn!(detail = %e, "files of purged records are removed later");
        }
    }

    fn remove_purged_files(&self) -> Result<()> {
        // A run under way may still want them; the next look removes them.
        if self.backup_busy() {
            return Ok(());
        }
        let _only = lock(&self.purging);
        self.drop_purged_staged()?;
        let held = self.held_blobs();
        self.store.remove_purged_files(&held, Act::new(local_doer(), act::PURGE_FILES)).map(drop)
    }

    fn begin_rotation(self: &Arc<Self>, doer: Doer) -> Result<()> {
        {
            let _only = match self.rotation.try_lock() {
                Ok(only) => only,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(ErrorKind::Busy, "密钥轮换正在进行，不需要再启动。"));
                }
            };
            if !self.store.is_rotating() {
                self.store.begin_rotation(Act::new(doer, act::KEY_ROTATION))?;
            }
        }
        self.resume_rotation()
    }

    /// What is to be said of keys that purges left behind: in words, and whether somebody must look.
    pub fn purge_keys(&self) -> Result<Option<(String, bool)>> {
        let Some(due) = self.store.keys_due()? else { return Ok(None) };
        if self.store.is_rotating() {
            return Ok(Some(("清除之前的密钥代正在更换，换完即销毁。".to_owned(), false)));
        }
        let at = due_at(due.since);
        let late = self.now().0 - at.0 >= limits::PURGE_KEYS_LATE_DAYS * DAY_MS;
        let text = if late {
            format!(
                "{} 清除过记录，清除之前的密钥代应在 {} 前销毁，已经超期。请系统管理员在“备份”页立即更换密钥代。",
                due.since,
                at.day()
            )
        } else {
            format!("{} 清除过记录，清除之前的密钥代将在 {} 前自动更换并销毁。", due.since, at.day())
        };
        Ok(Some((text, late)))
    }
}

/// The move that purges.
pub(super) fn is_carried_out_by(kind: &Kind, mv: &Move) -> bool {
    kind.tag == purge::KIND.tag && mv.name == purge::APPROVE
}

/// Purges what a request names, with the records that are rows of it, and notes in the request what that was.
pub(super) fn carry_out(txn: &mut Txn<'_>, doer: Doer, request: &mut Record) -> Result<Result<(), Refusal>> {
    let id = request.fields.link(tag::TARGET).unwrap_or(RecordId(0));
    let refuse = |why: &str| Ok(Err(Refusal::Problems(vec![("opinion".to_owned(), why.to_owned())])));
    let Some(target) = txn.get_any(id)? else { return refuse("要清除的记录不存在。") };
    let Some(kind) = records::by_tag(target.kind) else {
        return refuse("要清除的记录类别不认识。");
    };
    if let Err(e) = may_be_purged(kind, &target) {
        return refuse(e.public());
    }
    let mut ids = vec![id];
    for rows in records::ALL.iter().filter(|k| k.parent.is_some()) {
        ids.extend(txn.children(id, rows)?);
    }
    let mut files = 0;
    for id in &ids {
        files += txn.purge(*id)?.unwrap_or(0);
    }
    let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    request.fields.insert(tag::RECORDS, count(ids.len() as u64));
    request.fields.insert(tag::FILES, count(files));
    request.fields.insert(tag::GENERATION, txn.generation());
    txn.act(Act::new(doer, act::PURGE).note(format!("records {} files {files}", ids.len())));
    Ok(Ok(()))
}

/// Work that is open is not forgotten under the hands of those who do it.
fn may_be_purged(kind: &Kind, target: &Record) -> Result<()> {
    if target.is_purged() {
        return Err(Error::invalid("这条记录的内容已经清除过。"));
    }
    if kind.flow.is_settled(target.state) {
        return Ok(());
    }
    let state = kind.flow.label(target.state);
    Err(Error::invalid(format!("这条记录还在办理（{state}），不能清除。请先办结、不予受理或作废。")))
}

fn request(kind: &Kind, target: &Record, reason: String, now: Moment) -> Fields {
    let number = kind.number_of(target);
    let number = if number.is_empty() { format!("记录 {}", target.id) } else { number.to_owned() };
    Fields::default()
        .with(tag::TARGET, Value::Link(target.id))
        .with_text(tag::WHAT, kind.name)
        .with_text(tag::TARGET_NUMBER, number)
        .with_text(tag::REASON, reason)
        .with_text(LABEL, label::of(kind, target).code())
        .with(tag::DAY, Value::Day(now.day()))
}

fn pending(txn: &Txn<'_>, target: RecordId) -> Result<Option<RecordId>> {
    for id in txn.find(&purge::KIND, tag::TARGET, &Value::Link(target).display(None))? {
        if txn.get(id)?.is_some_and(|r| r.state == state::PENDING) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The request for a record that stands in this state.
fn requests(snapshot: &Snapshot, target: RecordId, state: u8) -> Result<Option<RecordId>> {
    for id in snapshot.find(&purge::KIND, tag::TARGET, &Value::Link(target).display(None))? {
        if snapshot.get(id, false)?.is_some_and(|r| r.state == state) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn due_at(since: Moment) -> Moment {
    Moment(since.0 + limits::PURGE_KEYS_DAYS * DAY_MS)
}

/// What is known of sets from before a purge, and when the schedule has removed the last of those in its target.
fn old_backups(before: &[Known], schedule: Option<&Schedule>, epoch: u64) -> OldBackups {
    let managed = |k: &Known| schedule.is_some_and(|s| s.target == k.target) && k.epoch == epoch;
    let (kept, others): (Vec<&Known>, Vec<&Known>) = before.iter().partition(|k| managed(k));
    let mut elsewhere = BTreeMap::new();
    for set in others {
        *elsewhere.entry(set.target.clone()).or_default() += 1;
    }
    let last = kept.iter().map(|k| k.at).max();
    let until = last.and_then(|at| Some(schedule?.gone_by(Moment(at))));
    OldBackups { kept: kept.len(), until, elsewhere: elsewhere.into_iter().collect() }
}

#[cfg(test)]
mod tests;
