//! The charter (角色权限): the security administrator sets what roles may do in the modules, and which office looks after
//! which unit; the other two administrators see it.
//!
//! What must hold: whoever sets it holds no business right by it; it is read in the transaction that acts, so that a
//! right that was taken is gone for a form on its way; both sides of every change stand in the journal.

use std::sync::Arc;

use super::names::{Directory, all};
use super::{Actor, App, record};
use crate::base::{Error, RecordId, Result};
use crate::records::account::{self, ROLES};
use crate::records::charter::{Charter, Scopes};
use crate::records::grant::{ACTIONS, MODULES};
use crate::records::{self, Kind, Scope, act, org};
use crate::store::{Act, Snapshot, Txn, fact};

fn name() -> String {
    format!("{}rights", fact::POLICY)
}

pub(super) fn of(snapshot: &Snapshot) -> Result<Arc<Charter>> {
    Ok(Arc::new(snapshot.kept(&name())?.map(|f| Charter::read(&f)).unwrap_or_default()))
}

pub(super) fn of_txn(txn: &Txn<'_>) -> Result<Arc<Charter>> {
    Ok(Arc::new(txn.kept(&name())?.map(|f| Charter::read(&f)).unwrap_or_default()))
}

/// What somebody wants changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// What a role may do: scopes for each module that is named.
    Role(String, Vec<(&'static Kind, Scopes)>),
    /// A role as the template has it.
    Template(String),
    /// The offices that look after units, for each unit that is named.
    Offices(Vec<(RecordId, Option<RecordId>)>),
}

impl App {
    /// The charter of this moment.
    pub fn charter(&self) -> Result<Arc<Charter>> {
        of(&self.store.read()?)
    }

    /// The charter, for the three administrators, and whether the actor may set it.
    pub fn charter_page(&self, actor: &Actor) -> Result<(Arc<Charter>, bool)> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        Ok((self.charter()?, actor.is("secadmin")))
    }

    /// Accounts in use that hold a role today, and so are concerned when it changes.
    pub fn holders(&self, actor: &Actor, role: &str) -> Result<usize> {
        self.charter_page(actor)?;
        let today = self.now().day();
        let accounts = all(&self.store.read()?, &account::KIND)?;
        let holds = |a: &&records::Record| account::roles_on(&a.fields, today).iter().any(|r| r == role);
        Ok(accounts.iter().filter(|a| account::admits(a, today)).filter(holds).count())
    }

    /// Changes it; both sides of what differs are entered.
    pub fn set_charter(&self, actor: &Actor, change: Change) -> Result<()> {
        if !actor.is("secadmin") {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("secadmin") {
                return Err(Error::denied());
            }
            let before = of_txn(txn)?;
            let mut after = Charter::clone(&before);
            apply(txn, &mut after, change)?;
            let difference = before.difference(&after);
            txn.act(Act::new(actor.doer(), act::CHARTER).note(difference.as_str()));
            if !difference.is_empty() {
                txn.keep(&name(), &after.written())?;
            }
            Ok(())
        })
    }
}

fn apply(txn: &Txn<'_>, charter: &mut Charter, change: Change) -> Result<()> {
    match change {
        Change::Role(role, modules) => {
            if modules.is_empty() {
                return Err(Error::invalid("没有保存：表单不完整。请刷新页面再填。"));
            }
            for (kind, scopes) in modules {
                charter.set(&role, kind, scopes).map_err(|words| Error::invalid(format!("没有保存。{words}")))?;
            }
        }
        Change::Template(role) => {
            let template = Charter::default();
            for kind in MODULES.entries.iter().filter_map(|m| records::by_name(m.code)) {
                charter.set(&role, kind, template.scopes(&role, kind)).map_err(Error::invalid)?;
            }
        }
        Change::Offices(units) => {
            if units.is_empty() {
                return Err(Error::invalid("没有保存：表单中没有单位。请刷新页面再试。"));
            }
            for (unit, office) in units {
                let is_org = |id| Ok::<_, Error>(txn.get(id)?.is_some_and(|r| r.kind == org::KIND.tag && r.state == 1));
                // What was closed meanwhile can still be taken off.
                if office.is_some() && !is_org(unit)? || !office.map_or(Ok(true), is_org)? {
                    return Err(Error::invalid("没有保存：机构已经停用或不存在。请刷新页面再选。"));
                }
                charter.set_office(unit, office);
            }
        }
    }
    Ok(())
}

/// What [`Charter::difference`] says, in words: of each line what it is about, before and after.
pub fn in_words(note: &str, directory: &Directory) -> Vec<[String; 3]> {
    let scope = |code: &str| Scope::of_code(code).unwrap_or_default().label().to_owned();
    let unit = |id: &str| id.parse().map_or("—", |id| directory.unit(RecordId(id))).to_owned();
    let line = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [role, module, action, before, after] => {
            let what = [ROLES.label(role), MODULES.label(module), ACTIONS.label(action)].join("·");
            Some([what, scope(before), scope(after)])
        }
        [own, before, after] => Some([format!("{}的联系室", unit(own)), unit(before), unit(after)]),
        _ => None,
    };
    note.split(", ").filter_map(line).collect()
}
