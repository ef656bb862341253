//! The journal as the auditor sees it (审计管理): who did what and when, never the content of business records; what
//! administrators changed, field by field; proof that the chain holds; alarms.
//!
//! What must hold: everything here is for the auditor alone, denied by default; a field is shown only of kinds that
//! [`crate::records::audit::ADMINISTRATION`] names, hidden ones never; what is counted is a follower of the journal
//! that can be thrown away. Nothing is ever trimmed: the journal stays whole for as long as the store does.

pub mod alarms;
pub mod checkpoint;
pub mod console;
pub mod heads;
pub mod syslog;
pub mod watch;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::{Actor, App, lock};
use crate::base::{Error, RecordId, Result};
use crate::records::account;
use crate::store::{Entry, Head, Header, Report, Snapshot};
use watch::State;

pub use heads::read_heads;

/// What lives in memory for the auditor.
#[derive(Default)]
pub struct Console {
    state: Mutex<State>,
    visits: Mutex<HashMap<RecordId, checkpoint::Visit>>,
    syslog: syslog::Syslog,
}

/// One line of the auditor's view.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who, when, what, about which records.
    pub header: Header,
    /// The reason given, where there is one.
    pub reason: Option<String>,
    /// What an administrator changed, field by field.
    pub changes: Vec<Change>,
    /// For settings: the note of what was set before, empty when nothing was.
    pub before: Option<String>,
}

/// A field that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The record and the field, in words.
    pub label: String,
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
    /// Its value is nobody's to see: only that it changed.
    pub hidden: bool,
}

/// Search terms are content; reasons are addressed to the auditor.
pub(super) fn line(snapshot: &Snapshot, entry: Entry) -> Line {
    let told = crate::records::audit::REASONS.contains(&entry.header.action);
    let reason = told.then(|| snapshot.entry_secret(&entry)).flatten();
    Line { header: entry.header, reason, changes: Vec::new(), before: None }
}

impl App {
    /// Refuses everybody but the auditor, and enters that somebody tried.
    fn audits(&self, actor: &Actor) -> Result<()> {
        if actor.is("auditor") { Ok(()) } else { Err(self.refused(actor, &account::KIND, RecordId(0))) }
    }

    /// What following the journal gave, up to its head.
    fn watched(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.console.state);
        let snapshot = self.store.read()?;
        for row in snapshot.headers(state.at.0 + 1, u64::MAX)? {
            match row? {
                (_, Ok(header)) => state.take(&header),
                (seq, Err(_)) => state.pass(seq),
            }
        }
        Ok(state)
    }

    /// Checks the whole store, and the journal against heads kept outside.
    pub fn audit_verify(&self, outside: &[Head]) -> Result<Report> {
        let mut report = self.store.check()?;
        let snapshot = self.store.read()?;
        let last = report.head.ok_or_else(|| Error::internal("a check without a head"))?;
        let mut at = HashMap::new();
        for head in outside.iter().filter(|h| h.seq <= last.seq) {
            at.extend(snapshot.hash_at(head.seq)?.map(|hash| (head.seq.0, hash)));
        }
        report.problems.extend(heads::judge(outside, &at, last, report.cut));
        Ok(report)
    }
}
