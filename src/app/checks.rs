//! Drills, keys (演练与核对) and the confirmation of a restore: whether somebody with a key has restored a set lately,
//! whether each backup key can still be used by its holder, and who says that a restored store is right.
//!
//! What must hold: a certificate speaks of this county's journal; the private keys never come to the server, only what
//! their holders found out with them. The restore itself and the challenge are the backup floor's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::access::local_doer;
use super::recipients::{self, Holder};
use super::{Actor, App, record, search};
use crate::backup::{self, Resting, Trial};
use crate::base::{Error, Moment, RecordId, Result, Seq, limits};
use crate::records::act::{self, Action};
use crate::records::account;
use crate::search::{Doc, Index, Request, Scope, Units};
use crate::store::{Act, Snapshot, Store, Txn, fact};

const DAY_MS: i64 = 24 * 3_600_000;
/// Characters of a phrase that the self-test looks for.
const PHRASE_CHARS: usize = 6;

/// That a set was restored for trial, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// When it ended, milliseconds since 1970 UTC.
    pub at: i64,
    /// The set.
    pub set: String,
    /// When the set was made.
    pub created: i64,
    /// Id of the store.
    pub store: String,
    /// Entries of the journal in it.
    pub seq: u64,
    /// Hash of the last of them, hex.
    pub head: String,
    /// Records in it.
    pub records: u64,
    /// Whole attachments in it.
    pub files: u64,
    /// Attachments that were damaged before it was made.
    pub damaged: u64,
    /// Whose key opened it, `age1…`.
    pub recipient: String,
    /// Fingerprint of who signed it.
    pub signer: String,
    /// Seconds it took.
    pub seconds: u64,
    /// Rows that were looked for, and found.
    pub probes: u64,
}

impl Certificate {
    /// What it says, line by line.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("备份编号", self.set.clone()),
            ("备份时间", Moment(self.created).to_string()),
            ("演练完成时间", Moment(self.at).to_string()),
            ("用时", format!("{} 秒", self.seconds)),
            ("记录", format!("{} 条，与备份时一致", self.records)),
            ("附件", match self.damaged {
                0 => format!("{} 个，全部能打开", self.files),
                n => format!("{} 个能打开；另有 {n} 个在备份前已经损坏", self.files),
            }),
            ("日志", format!("{} 条，逐条核对", self.seq)),
            ("日志链头", self.head.clone()),
            ("检索自测", format!("{} 次，全部找到", self.probes)),
            ("所用密钥指纹", backup::key_print(&self.recipient)),
            ("签名公钥指纹", self.signer.clone()),
        ]
    }
}

/// What is known of one backup key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCheck {
    /// The open challenge.
    pub asked: Option<Asked>,
    /// When the last right answer came, milliseconds since 1970 UTC.
    pub passed: Option<i64>,
    /// When the last wrong one came.
    pub failed: Option<i64>,
}

/// A challenge that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When it was made, milliseconds since 1970 UTC.
    pub at: i64,
    /// What the holder gets.
    pub text: String,
    /// What the right answer has.
    digest: String,
}

/// What the store remembers of drills and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checks {
    /// Days after which a drill is due.
    pub drill_days: u32,
    /// Days after which a key is due.
    pub key_days: u32,
    /// Certificates, the newest last.
    pub drills: Vec<Certificate>,
    /// Keys, by recipient.
    pub keys: BTreeMap<String, KeyCheck>,
}

impl Default for Checks {
    fn default() -> Self {
        let days = limits::CHECK_DAYS;
        Self { drill_days: days, key_days: days, drills: Vec::new(), keys: BTreeMap::new() }
    }
}

impl Checks {
    fn decode(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    fn of(txn: &Txn<'_>) -> Result<Self> {
        Ok(Self::decode(&String::from_utf8_lossy(&txn.fact(fact::BACKUP_CHECKS)?.unwrap_or_default())))
    }

    fn set(&self, txn: &mut Txn<'_>) {
        txn.set_fact(fact::BACKUP_CHECKS, serde_json::to_string(self).unwrap_or_default());
    }

    /// What is overdue, in words. What never was is counted from `since`; what lies ahead of the clock never was.
    pub(super) fn overdue(&self, recipients: &[String], since: Moment, now: Moment) -> Vec<String> {
        let late = |last: Option<i64>, days: u32| {
            let from = last.filter(|at| *at <= now.0).unwrap_or(since.0);
            now.0 - from >= i64::from(days) * DAY_MS
        };
        let when = |last: Option<i64>| last.map_or("从未做过".to_owned(), |at| format!("上一次在 {}", Moment(at)));
        let mut told = Vec::new();
        let drilled = self.drills.last().map(|d| d.at);
        if late(drilled, self.drill_days) {
            let days = self.drill_days;
            told.push(format!("恢复演练已经到期（{}，应不超过 {days} 天）。", when(drilled)));
        }
        for recipient in recipients {
            let passed = self.keys.get(recipient).and_then(|k| k.passed);
            if late(passed, self.key_days) {
                let print = backup::key_print(recipient);
                told.push(format!("备份密钥 {print} 该核对了（{}）。", when(passed)));
            }
        }
        told
    }
}

/// Restores a set into a throw-away folder, checks it and searches in it. For whoever holds a key, on any machine.
pub fn drill(trial: &Trial<'_>, now: &dyn Fn() -> Moment) -> Result<Certificate> {
    let begun = Instant::now();
    let (manifest, signer, probes) = backup::drill(trial, &mut self_test)?;
    Ok(Certificate {
        at: now().0,
        set: manifest.set,
        created: manifest.created,
        store: manifest.content.store,
        seq: manifest.content.seq,
        head: manifest.content.head_hash,
        records: manifest.content.records,
        files: manifest.files,
        damaged: manifest.damaged.len() as u64,
        recipient: trial.key.recipient.clone(),
        signer: signer.fingerprint(),
        seconds: begun.elapsed().as_secs(),
        probes,
    })
}

/// Looks for pieces of records and finds each; says how many. The rows are indexed in memory, never on the disk.
fn self_test(store: &Store, place: &Path) -> Result<u64> {
    let snapshot = store.read()?;
    let docs = sample(&snapshot)?;
    let (index, _) = Index::open(&place.join("index"), 1, &store.file_keys())?;
    let every = Scope::nothing().under(u8::MAX);
    let scope = crate::records::ALL.iter().fold(every, |s, kind| s.with(kind.tag, Units::All));
    let phrases = docs.iter().filter_map(|d| Some((d.id, phrase(&d.body).or_else(|| phrase(&d.title))?)));
    let mut probes = 0;
    for (id, text) in phrases.take(limits::DRILL_PROBES) {
        let request = Request { text, limit: docs.len(), newest_batch: u64::MAX, ..Request::default() };
        let found = index.search(&scope, &request, &docs)?;
        if !found.hits.iter().any(|h| h.id == id) {
            return Err(Error::damaged(format!("检索自测没有找到记录 {id}")));
        }
        probes += 1;
    }
    Ok(probes)
}

/// Some rows from everywhere.
fn sample(snapshot: &Snapshot) -> Result<Vec<Doc>> {
    let last = snapshot.last_id()?.0;
    let step = last.div_ceil(limits::DRILL_ROWS).max(1);
    let mut docs = Vec::new();
    for id in (1..=last).rev().step_by(usize::try_from(step).unwrap_or(1)) {
        docs.extend(snapshot.get(RecordId(id), false)?.as_ref().and_then(search::document));
    }
    Ok(docs)
}

/// Some characters from the middle of a text, without a gap.
fn phrase(text: &str) -> Option<String> {
    let runs = text.split(|c: char| !c.is_alphanumeric()).map(|run| run.chars().collect::<Vec<_>>());
    let longest = runs.max_by_key(Vec::len).filter(|run| run.len() >= PHRASE_CHARS)?;
    let from = (longest.len() - PHRASE_CHARS) / 2;
    Some(longest[from..from + PHRASE_CHARS].iter().collect())
}

/// What the page shows.
pub struct ChecksPage {
    /// What is remembered.
    pub checks: Checks,
    /// Every recipient.
    pub recipients: Vec<Holder>,
    /// Whoever looks is the system administrator.
    pub may_change: bool,
}

impl App {
    /// Everything the page shows; for the three administrators.
    pub fn checks_page(&self, actor: &Actor) -> Result<ChecksPage> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let snapshot = self.store.read()?;
        let checks = Checks::decode(&snapshot.fact_text(fact::BACKUP_CHECKS)?);
        let recipients = recipients::holders(&snapshot)?;
        Ok(ChecksPage { checks, recipients, may_change: actor.is("sysadmin") })
    }

    /// What is overdue, for the administrators; a schedule says since when there are backups at all.
    pub(super) fn checks_overdue(&self, snapshot: &Snapshot, since: Moment) -> Result<Vec<String>> {
        let checks = Checks::decode(&snapshot.fact_text(fact::BACKUP_CHECKS)?);
        Ok(checks.overdue(&recipients::keys(snapshot)?, since, self.now()))
    }

    /// Enters a drill that somebody did on this machine; its set must be one of this county's journal.
    pub fn enter_drill(&self, certificate: &Certificate) -> Result<()> {
        let entry = self.store.read()?.entry(Seq(certificate.seq))?;
        let ours = entry.is_some_and(|e| hex::encode(e.hash) == certificate.head);
        if !ours || certificate.store != self.facts().store {
            let message = "演练的备份与本机的日志对不上，没有登记：可能是另一个县的备份，或本机的日志被改动。请运行 \
                           jiceng audit verify。";
            return Err(Error::invalid(message));
        }
        let certificate = certificate.clone();
        self.store.submit(move |txn| {
            let mut checks = Checks::of(txn)?;
            let note = certificate.set.clone();
            checks.drills.push(Certificate { at: txn.now().0, ..certificate });
            let more = checks.drills.len().saturating_sub(limits::DRILLS_KEPT);
            checks.drills.drain(..more);
            checks.set(txn);
            txn.act(Act::new(local_doer(), act::DRILL).note(note));
            Ok(())
        })
    }

    /// Sets how often drills and keys are due; what is wrong is said.
    pub fn set_checks(&self, actor: &Actor, drill_days: &str, key_days: &str) -> Result<()> {
        self.keeps_backups(actor)?;
        let most = limits::CHECK_DAYS_MAX;
        let days = |text: &str| text.trim().parse::<u32>().ok().filter(|n| (1..=most).contains(n));
        let (Some(drill_days), Some(key_days)) = (days(drill_days), days(key_days)) else {
            return Err(Error::invalid(format!("周期没有保存：应为 1 至 {most} 天。")));
        };
        self.change_checks(actor, move |checks, _| {
            (checks.drill_days, checks.key_days) = (drill_days, key_days);
            Ok((act::CHECKS_SET, format!("days {drill_days} {key_days}"), true))
        })?;
        Ok(())
    }

    /// Makes a challenge for the holder of a key; an earlier one is void.
    pub fn ask_key(&self, actor: &Actor, recipient: &str) -> Result<()> {
        self.keeps_backups(actor)?;
        self.known_recipient(recipient)?;
        let (made, recipient) = (backup::challenge(recipient)?, recipient.to_owned());
        self.change_checks(actor, move |checks, now| {
            let print = backup::key_print(&recipient);
            let asked = Asked { at: now.0, text: made.text, digest: made.digest };
            checks.keys.entry(recipient).or_default().asked = Some(asked);
            Ok((act::KEY_ASKED, print, true))
        })?;
        Ok(())
    }

    /// Compares an answer with the open challenge of a key, and keeps how it came out; says whether it was right.
    pub fn answer_key(&self, actor: &Actor, recipient: &str, answer: &str) -> Result<bool> {
        self.keeps_backups(actor)?;
        self.known_recipient(recipient)?;
        let (digest, recipient) = (backup::answer_digest(answer), recipient.to_owned());
        self.change_checks(actor, move |checks, now| {
            let key = checks.keys.entry(recipient.clone()).or_default();
            let Some(asked) = key.asked.clone() else {
                return Err(Error::invalid("这把密钥没有待回答的核对题。请先发出核对题。"));
            };
            let right = asked.digest == digest;
            if right {
                (key.passed, key.asked) = (Some(now.0), None);
            } else {
                key.failed = Some(now.0);
            }
            Ok((act::KEY_ANSWERED, backup::key_print(&recipient), right))
        })
    }

    /// What a restored store says of itself until it was confirmed; `None` when nothing rests.
    pub fn resting(&self) -> Result<Option<Resting>> {
        Ok(Resting::decode(&self.store.read()?.fact_text(fact::RESTORED)?))
    }

    /// One of the three administrators confirms that a restored store is right; the second one opens it.
    pub fn confirm_restore(&self, actor: &Actor) -> Result<()> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            let mut roles = account::ADMINISTRATORS.iter().filter(|role| live.is(role));
            let role = (*roles.next().ok_or_else(Error::denied)?).to_owned();
            let text = txn.fact(fact::RESTORED)?.unwrap_or_default();
            let mut resting = Resting::decode(&String::from_utf8_lossy(&text))
                .ok_or_else(|| Error::invalid("没有待确认的恢复。请刷新页面。"))?;
            if resting.confirmed.contains(&role) {
                return Err(Error::invalid("您已经确认过，还需要另一名管理员确认。"));
            }
            resting.confirmed.push(role.clone());
            let enough = resting.confirmed.len() >= limits::RESTORE_CONFIRMED_BY;
            txn.set_fact(fact::RESTORED, if enough { String::new() } else { resting.encode() });
            txn.act(Act::new(actor.doer(), act::RESTORE_CONFIRMED).note(role));
            Ok(())
        })
    }

    fn known_recipient(&self, recipient: &str) -> Result<()> {
        let known = recipients::keys(&self.store.read()?)?.iter().any(|r| r == recipient);
        if known { Ok(()) } else { Err(Error::invalid("没有这把备份密钥。请刷新页面后重试。")) }
    }

    /// A change by the system administrator, with its entry: the act, its note, and whether it was done, which is
    /// also the answer.
    fn change_checks(
        &self,
        actor: &Actor,
        change: impl FnOnce(&mut Checks, Moment) -> Result<(Action, String, bool)> + Send + 'static,
    ) -> Result<bool> {
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("sysadmin") {
                return Err(Error::denied());
            }
            let mut checks = Checks::of(txn)?;
            let (what, note, done) = change(&mut checks, txn.now())?;
            checks.set(txn);
            let act = Act::new(actor.doer(), what).note(note);
            txn.act(if done { act } else { act.refused() });
            Ok(done)
        })
    }
}
