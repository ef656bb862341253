//! What a standby tells people: that it is one, how far behind it is, and why it stopped following. The following
//! itself is `ship`'s, which says here how it stands.

use std::sync::Mutex;

use super::audit::{self, Line};
use super::doctor::{Finding, Verdict};
use super::{Actor, App, lock};
use crate::backup::standby::Following;
use crate::base::{Moment, Result};
use crate::store::{Halt, Store};

/// Entries of the standby's own journal on the auditor's page.
const LOCAL_LINES: usize = 100;

/// What the follower said last; nothing in stores that follow nobody.
pub struct Watch(Option<Mutex<Standing>>);

impl Watch {
    pub(super) fn of(store: &Store) -> Result<Self> {
        let told = store.following()?.map(|text| Following::decode(&text).unwrap_or_default());
        Ok(Self(told.map(|told| Mutex::new(Standing { from: told.from, ..Standing::default() }))))
    }
}

/// How a standby stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it follows.
    pub from: String,
    /// The last slot of the log that it went through.
    pub slot: u64,
    /// When the host it follows wrote the last segment that was taken over.
    pub written: Option<Moment>,
    /// When everything in the target was here, last.
    pub current: Option<Moment>,
    /// Attachments that are still to come.
    pub missing: usize,
    /// Why it does not follow any more, or not now.
    pub trouble: Option<String>,
    /// The slot that it took itself: a promotion that was broken off.
    pub taken: Option<u64>,
}

impl App {
    /// How the standby stands; `None` when this is none.
    pub fn standby(&self) -> Option<Standing> {
        self.standby.0.as_ref().map(|standing| lock(standing).clone())
    }

    /// This is a standby: nothing but reading is done here.
    pub fn is_standby(&self) -> bool {
        self.standby.0.is_some()
    }

    /// What is followed; `None` when this is no standby.
    pub fn following(&self) -> Result<Option<Following>> {
        let told = self.store.following()?;
        let damaged = || crate::base::Error::damaged("备机所跟随的目标");
        told.map(|text| Following::decode(&text).ok_or_else(damaged)).transpose()
    }

    /// Why nothing can be changed here, on a standby.
    pub fn standby_refusal(&self) -> Option<String> {
        self.is_standby().then(|| Halt::Following.text())
    }

    /// The follower says how it stands.
    pub(crate) fn tell_standby(&self, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = &self.standby.0 {
            change(&mut lock(standing));
        }
    }

    /// The store, for the follower.
    pub(crate) fn followed(&self) -> &Store {
        &self.store
    }

    /// What stands on every page of a standby.
    pub fn standby_words(&self) -> Option<String> {
        let standing = self.standby()?;
        let entry = self.store.head().seq;
        let behind = match standing.current {
            Some(at) => format!("落后 {} 秒（第 {entry} 条）", self.now().seconds_since(at).max(0)),
            None => format!("还没有跟上（第 {entry} 条）"),
        };
        let written = standing.written.map_or(String::new(), |at| format!("，最近一段由主机在 {at} 写出"));
        let missing = match standing.missing {
            0 => String::new(),
            n => format!("，还有 {n} 个附件没有取到"),
        };
        let trouble = standing.trouble.map_or(String::new(), |why| format!("。已停止跟随：{why}"));
        let taken = standing.taken.map_or("", |_| "。接替没有做完，请再运行 jiceng standby promote");
        Some(format!("备机 · 只读 · {behind}{written}{missing}{trouble}{taken}"))
    }

    /// The newest entries that were made here, for the auditor; empty where there never was a standby.
    pub fn local_entries(&self, actor: &Actor) -> Result<Vec<Line>> {
        if !actor.is("auditor") {
            return Ok(Vec::new());
        }
        let snapshot = self.store.read()?;
        let entries = snapshot.newest_local(LOCAL_LINES)?;
        Ok(entries.into_iter().map(|entry| audit::line(&snapshot, entry)).collect())
    }

    pub(super) fn standing(&self) -> Option<Finding> {
        let name = "备机";
        let text = self.standby_words()?;
        let trouble = self.standby()?.trouble.is_some();
        Some(Finding { name, verdict: if trouble { Verdict::Bad } else { Verdict::Good }, text })
    }
}
