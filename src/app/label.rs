//! Labels as people set them (安全标记): whoever may change a record may raise its label, whoever approves may lower it.
//! What is a row of the record, and what points at it, goes along in the same transaction.
//!
//! Nobody labels beyond the own clearance: the record would be gone for whoever answers for it.

use super::record::{authorise, live};
use super::sight::{Books, POINTERS, Sight};
use super::{Actor, App, Right, articles};
use crate::base::{Error, ErrorKind, RecordId, Result, limits};
use crate::records::flow::Duty;
use crate::records::label::{self, Label};
use crate::records::record::CHANGED_BY;
use crate::records::{Kind, Record, Value, act, field};
use crate::store::{Act, Txn};

/// What a form sends.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Code of the label.
    pub label: String,
    /// Why.
    pub reason: String,
    /// Version that the form was made of.
    pub version: u32,
    /// One-time id of the form.
    pub submit: String,
}

/// Labels that the actor may give a record instead of its own.
pub(super) fn choices(actor: &Actor, clearance: Label, kind: &'static Kind, record: &Record) -> Vec<Label> {
    // The label of a row is that of the record it belongs to.
    if !label::applies(kind) || kind.parent.is_some() || record.is_purged() {
        return Vec::new();
    }
    let now = label::of(kind, record);
    let may = |right| actor.may(kind, right, record.unit);
    let approved = kind.grants.iter().any(|g| g.1.contains(&Right::Move(Duty::Approve)));
    let lowers = may(Right::Move(Duty::Approve)) || !approved && may(Right::Edit);
    let raises = may(Right::Edit) || lowers;
    let fits = |l: &Label| *l <= clearance && if *l < now { lowers } else { raises && *l > now };
    Label::ALL.into_iter().filter(fits).collect()
}

impl App {
    /// Gives a record another label.
    pub fn relabel(&self, actor: &Actor, kind: &'static Kind, id: RecordId, typed: Typed) -> Result<()> {
        self.visible(&self.store.read()?, actor, kind, id)?;
        let reason = field::remark("调整理由", &typed.reason, limits::REASON_CHARS).map_err(Error::invalid)?;
        let wanted = Label::of_code(&typed.label).ok_or_else(|| Error::invalid("请选择安全标记。"))?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let before = authorise(txn, &actor, kind, Right::See, id)?;
            let now = label::of(kind, &before);
            let act = Act::new(actor.doer(), act::LABELLED).secret(reason);
            txn.act(act.note(format!("{} {}", now.code(), wanted.code())));
            if !typed.submit.is_empty() && before.fields.text(CHANGED_BY) == typed.submit {
                return Ok(());
            }
            let live = live(txn, &actor)?;
            if !choices(&live, Sight::of(txn, &live)?.clearance(), kind, &before).contains(&wanted) {
                return Err(refusal(now, wanted));
            }
            if before.version != typed.version {
                return Err(Error::new(ErrorKind::Invalid, "这条记录刚被别人修改过，请看过最新内容后再调整。"));
            }
            pointers(txn, id, wanted)?;
            let mut after = Record { version: before.version + 1, updated: txn.now(), ..before };
            label::set(kind, &mut after.fields, wanted);
            after.fields.insert(CHANGED_BY, Value::Text(typed.submit));
            articles::update(txn, after)
        })
    }
}

fn refusal(now: Label, wanted: Label) -> Error {
    Error::invalid(match () {
        () if wanted == now => "安全标记没有变化。",
        () if wanted < now => "降低安全标记须由负责人（审批）办理。",
        () => "不能标到自己的知悉范围之上，请由知悉范围更高的人办理，或请安全保密管理员调整知悉范围。",
    })
}

/// What points at the record says its number: it is known as far as the record is.
fn pointers(txn: &mut Txn<'_>, id: RecordId, wanted: Label) -> Result<()> {
    for (kind, tag) in POINTERS {
        for mut record in txn.linked(kind, *tag, id)? {
            record.version += 1;
            record.updated = txn.now();
            label::set(kind, &mut record.fields, wanted);
            txn.update(record)?;
        }
    }
    Ok(())
}
