//! Looking for petitioners by what they are known by: for whoever may open their identity, for a reason that the
//! auditor reads, after proving once more who asks.
//!
//! What must hold: without the right nothing is answered but a refusal; the reason is entered before the first answer,
//! and each answer as a search; what was looked for is sealed, and stands in no address.

use super::record::live;
use super::{Actor, App, Scope};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::{self, Kind, act};
use crate::store::Act;

/// Fewest characters to look for: a family name alone would list half a county.
const TEXT_CHARS_MIN: usize = 2;

/// Kinds whose petitioners the actor may look for.
fn kinds(actor: &Actor) -> impl Iterator<Item = &'static Kind> {
    records::ALL.iter().copied().filter(|k| k.indexed && actor.identifies(k) > Scope::Nothing)
}

impl App {
    /// The actor may look for petitioners.
    pub fn may_look_for_petitioners(&self, actor: &Actor) -> bool {
        kinds(actor).any(|kind| super::record::identity_fields(kind).next().is_some())
    }

    /// Enters why the actor looks for a petitioner. The search itself comes after it.
    pub fn look_for_petitioner(&self, actor: &Actor, text: &str, reason: &str) -> Result<()> {
        let kind = &records::petition::KIND;
        if !self.may_look_for_petitioners(actor) {
            return Err(self.refused(actor, kind, RecordId(0)));
        }
        if text.chars().filter(|c| c.is_alphanumeric()).count() < TEXT_CHARS_MIN {
            return Err(Error::invalid("请填写要查找的姓名、电话、证件号或地址，至少两个字。"));
        }
        let reason = records::field::remark("查找检举控告人的理由", reason, limits::REASON_CHARS);
        let reason = reason.map_err(|problem| Error::invalid(problem.replacen("请填写", "请写明", 1)))?;
        if reason.chars().count() < 2 {
            return Err(Error::invalid("请写明查找检举控告人的理由，一个字说不清。"));
        }
        actor.proved()?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if kinds(&live(txn, &actor)?).next().is_none() {
                return Err(Error::denied());
            }
            txn.act(Act::new(actor.doer(), act::IDENTITY_SEARCH).secret(reason));
            Ok(())
        })
    }
}
