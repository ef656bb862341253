//! Backup keys (备份密钥) and what each is for: who can open the sets. The system administrator sets the first ones;
//! replacing them takes a second administrator, because whoever holds one opens all that is written from then on.
//!
//! What must hold: a proposal and its answer are acts of two accounts; what is agreed to is what was shown.

use serde::{Deserialize, Serialize};

use super::{Actor, App, record};
use crate::backup;
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::{account, act};
use crate::store::{Act, Snapshot, Txn, fact};

/// What every key begins with.
const KEY_BEGINS: &str = "age1";
/// Roles that agree to other keys, or refuse them.
const SECOND: [&str; 2] = ["secadmin", "auditor"];

/// A backup key, and what people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its public half, `age1…`.
    pub key: String,
    /// Who keeps it, or what it is for; may be empty.
    pub note: String,
}

impl Holder {
    /// As a line: the key, a blank, and the note.
    pub fn line(&self) -> String {
        if self.note.is_empty() { self.key.clone() } else { format!("{} {}", self.key, self.note) }
    }
}

/// Other keys that somebody asked for, as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// When, milliseconds since 1970 UTC; names the proposal.
    pub at: i64,
    /// The account.
    pub by: u64,
    /// All keys that are to hold, a line each.
    pub recipients: Vec<String>,
}

impl Proposal {
    fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn of(txn: &Txn<'_>) -> Result<Option<Self>> {
        Ok(Self::decode(&String::from_utf8_lossy(&txn.fact(fact::RECIPIENTS_WANTED)?.unwrap_or_default())))
    }

    /// The keys it is about.
    pub fn holders(&self) -> Vec<Holder> {
        lines(&self.recipients.join("\n"))
    }
}

/// What the page shows.
pub struct RecipientsPage {
    /// The keys that hold now.
    pub now: Vec<Holder>,
    /// Others that somebody asked for.
    pub wanted: Option<Proposal>,
    /// Whoever looks may ask for others, or take that back.
    pub may_propose: bool,
    /// Whoever looks may agree or refuse.
    pub may_decide: bool,
}

/// The keys that hold now.
pub(super) fn holders(snapshot: &Snapshot) -> Result<Vec<Holder>> {
    Ok(lines(&snapshot.fact_text(fact::RECIPIENTS)?))
}

/// Their public halves.
pub fn keys(snapshot: &Snapshot) -> Result<Vec<String>> {
    Ok(holders(snapshot)?.into_iter().map(|h| h.key).collect())
}

/// Keys are absent, or enough and well formed.
pub fn check(lines: &[String]) -> Result<()> {
    if lines.is_empty() { Ok(()) } else { checked(&lines.join("\n")).map(drop) }
}

/// A key begins a line, or follows another one on the same; what stands behind it is its note.
fn lines(text: &str) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for line in text.lines() {
        let mut fresh = true;
        for word in line.split_whitespace() {
            match holders.last_mut().filter(|_| !fresh && !word.starts_with(KEY_BEGINS)) {
                Some(holder) if holder.note.is_empty() => word.clone_into(&mut holder.note),
                Some(holder) => holder.note = format!("{} {word}", holder.note),
                None => holders.push(Holder { key: word.to_owned(), note: String::new() }),
            }
            fresh = false;
        }
    }
    holders
}

/// Keys as typed, if they can be used: enough different ones, notes that fit.
pub(super) fn checked(text: &str) -> Result<Vec<Holder>> {
    let holders = lines(text);
    backup::check_recipients(&holders.iter().map(|h| h.key.clone()).collect::<Vec<_>>())?;
    for (n, holder) in holders.iter().enumerate() {
        if holders[..n].iter().any(|h| h.key == holder.key) {
            return Err(Error::invalid(format!("密钥 {} 写了两次，没有保存。", backup::key_print(&holder.key))));
        }
        let most = limits::RECIPIENT_NOTE_CHARS;
        if holder.note.chars().count() > most || holder.note.chars().any(char::is_control) {
            return Err(Error::invalid(format!("密钥后面的说明最多 {most} 个字，没有保存。")));
        }
    }
    Ok(holders)
}

pub(super) fn stored(holders: &[Holder]) -> String {
    holders.iter().map(Holder::line).collect::<Vec<_>>().join("\n")
}

/// Fingerprints, for the journal.
pub(super) fn prints(holders: &[Holder]) -> String {
    holders.iter().map(|h| backup::key_print(&h.key)).collect::<Vec<_>>().join(" ")
}

impl App {
    /// Everything the page shows; for the three administrators.
    pub fn recipients_page(&self, actor: &Actor) -> Result<RecipientsPage> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let snapshot = self.store.read()?;
        let wanted = Proposal::decode(&snapshot.fact_text(fact::RECIPIENTS_WANTED)?);
        let own = wanted.as_ref().is_some_and(|w| w.by == actor.account.0);
        Ok(RecipientsPage {
            now: holders(&snapshot)?,
            wanted,
            may_propose: actor.is("sysadmin"),
            may_decide: SECOND.iter().any(|role| actor.is(role)) && !own,
        })
    }

    /// Sets the first keys, a line each. Replacing them is not one person's business.
    pub fn set_recipients(&self, actor: &Actor, typed: &str) -> Result<()> {
        self.keeps_backups(actor)?;
        let (holders, actor) = (checked(typed)?, actor.clone());
        actor.proved()?;
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("sysadmin") {
                return Err(Error::denied());
            }
            if txn.fact(fact::RECIPIENTS)?.is_some_and(|r| !r.is_empty()) {
                return Err(Error::invalid("备份密钥已经设置。请在“更换备份密钥”页提出，由另一名管理员确认。"));
            }
            txn.set_fact(fact::RECIPIENTS, stored(&holders));
            txn.act(Act::new(actor.doer(), act::RECIPIENTS).note(prints(&holders)));
            Ok(())
        })
    }

    /// Asks for other keys in place of those that hold; an earlier proposal is void.
    pub fn propose_recipients(&self, actor: &Actor, typed: &str) -> Result<()> {
        self.keeps_backups(actor)?;
        let (holders, actor) = (checked(typed)?, actor.clone());
        actor.proved()?;
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("sysadmin") {
                return Err(Error::denied());
            }
            let now = txn.fact(fact::RECIPIENTS)?.unwrap_or_default();
            if now == stored(&holders).into_bytes() {
                return Err(Error::invalid("与现在的备份密钥相同，没有需要确认的更换。"));
            }
            let recipients = holders.iter().map(Holder::line).collect();
            // Two proposals of one moment are two all the same.
            let last = Proposal::of(txn)?.map_or(0, |p| p.at);
            let proposal = Proposal { at: txn.now().0.max(last + 1), by: actor.account.0, recipients };
            txn.set_fact(fact::RECIPIENTS_WANTED, serde_json::to_string(&proposal).unwrap_or_default());
            txn.act(Act::new(actor.doer(), act::RECIPIENTS_WANTED).note(prints(&holders)));
            Ok(())
        })
    }

    /// Answers the proposal `at`: agreed to by a second administrator, or ended by them or by who asked.
    pub fn decide_recipients(&self, actor: &Actor, at: i64, agree: bool) -> Result<()> {
        let may = move |actor: &Actor| SECOND.iter().any(|r| actor.is(r)) || actor.is("sysadmin") && !agree;
        if !may(actor) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        actor.proved()?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !may(&record::live(txn, &actor)?) {
                return Err(Error::denied());
            }
            let proposal = Proposal::of(txn)?.filter(|p| p.at == at);
            let Some(proposal) = proposal else {
                return Err(Error::invalid("这项更换已经处理过，或已被新的申请代替。请核对后重新操作。"));
            };
            if agree && proposal.by == actor.account.0 {
                return Err(Error::invalid("申请人不能确认自己的申请，须由另一名管理员确认。"));
            }
            let asker = txn.get(RecordId(proposal.by))?.filter(|a| account::admits(a, txn.now().day()));
            let roles = asker.map(|a| account::roles_on(&a.fields, txn.now().day())).unwrap_or_default();
            let asks = roles.iter().any(|r| r == "sysadmin");
            if agree && (!asks || txn.now().seconds_since(Moment(proposal.at)) > limits::RELIEF_S) {
                return Err(Error::invalid(
                    "申请人已不是系统管理员，或申请已超过 7 天，不能再确认。请否决，由现任系统管理员重新申请。",
                ));
            }
            let holders = proposal.holders();
            txn.set_fact(fact::RECIPIENTS_WANTED, "");
            let act = Act::new(actor.doer(), act::RECIPIENTS).note(prints(&holders));
            if agree {
                txn.set_fact(fact::RECIPIENTS, stored(&holders));
            }
            txn.act(if agree { act } else { act.refused() });
            Ok(())
        })
    }

    /// Told to the administrators while a proposal waits.
    pub(super) fn recipients_waiting(&self, snapshot: &Snapshot) -> Result<Option<String>> {
        let wanted = Proposal::decode(&snapshot.fact_text(fact::RECIPIENTS_WANTED)?);
        let Some(wanted) = wanted else { return Ok(None) };
        let (at, who) = (Moment(wanted.at), self.directory()?.account(RecordId(wanted.by)).to_owned());
        Ok(Some(format!("{who}在 {at} 提出更换备份密钥，等待安全保密管理员或安全审计员在“更换备份密钥”页确认。")))
    }
}
