//! Entering, changing and moving records of any kind: check and act in one transaction, the same submit id gives the
//! same record, a stale version gives both texts, and article 16 is asked before anything is kept.

use super::stage::Owner;
use super::record::{authorise, before_files, files_tag, live};
use super::sight::Sight;
use super::{Actor, App, Right, Scope, articles, handover, purge};
use crate::base::{Error, ErrorKind, RecordId, Result};
use crate::records::decide::{self, Refusal};
use crate::records::field::{self, Problem, Raw};
use crate::records::flow::Move;
use crate::records::record::{CHANGED_BY, MADE_BY};
use crate::records::{self, Field, Fields, FileRef, Kind, Record, Value, Widget, account, act, batch, org};
use crate::store::{Act, Txn, seal};

/// What a form sends.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// Names and texts.
    pub raw: Raw,
    /// New attachments, sealed already.
    pub files: Vec<FileRef>,
    /// Tokens of attachments that waited from an earlier try.
    pub staged: Vec<String>,
    /// Names of sealed files to leave out.
    pub dropped: Vec<String>,
    /// One-time id of the form.
    pub submit: String,
    /// The identity was opened for this change, with a reason; otherwise it stays as it is.
    pub revealed: bool,
    /// Id of the draft the form came from, empty for none; it goes with the registration.
    pub draft: String,
}

/// Name of the hidden input of forms in which the identity can be typed: what is empty there is to be empty.
pub const IDENTITY_OPEN: &str = "identity.open";
/// Name of the input for the reason to open the identity.
pub const IDENTITY_REASON: &str = "identity.reason";
/// Name of the button that opens it.
pub const IDENTITY_SHOW: &str = "identity.show";

impl Typed {
    /// The form's id with a digest of what it says: the same form sent twice has the same mark, a form that was gone
    /// back to and mended has another.
    fn mark(&self, brought: &[FileRef]) -> String {
        let kept = ["csrf", "submit", "version", "staged", "draft", IDENTITY_REASON];
        let texts = self.raw.iter().filter(|(n, _)| !kept.contains(&n.as_str()));
        let files = brought.iter().map(|f| format!("{}\0{}", f.name, f.size));
        let all: Vec<String> = texts.map(|(n, v)| format!("{n}\0{v}")).chain(files).collect();
        mark(&self.submit, &all.join("\u{1}"))
    }
}

pub(super) fn mark(submit: &str, said: &str) -> String {
    if submit.is_empty() {
        return String::new();
    }
    format!("{submit}.{}", hex::encode(&seal::sha256(&[said.as_bytes()])[..8]))
}

/// Why a form was not accepted.
#[derive(Debug)]
pub enum SaveError {
    /// These inputs must be mended.
    Problems(Vec<Problem>),
    /// Article 16.
    Gate,
    /// Somebody else changed it: the record as it is now.
    Stale(Box<Record>),
    /// Anything else.
    Failed(Error),
}

impl From<Error> for SaveError {
    fn from(e: Error) -> Self {
        Self::Failed(e)
    }
}

impl App {
    /// Enters a record from a form. The same submit id gives the same record again.
    pub fn create(&self, actor: &Actor, kind: &'static Kind, typed: Typed) -> Result<RecordId, SaveError> {
        let (fields, problems) = field::parse(kind.fields, &typed.raw);
        if decide::gate_refuses(kind, &fields) {
            return Err(self.gate(actor, &typed));
        }
        if !problems.is_empty() {
            return Err(SaveError::Problems(problems));
        }
        if actor.scope(kind, Right::Create) == Scope::Nothing {
            return Err(self.refused(actor, kind, RecordId(0)).into());
        }
        let fields: Fields = fields
            .iter()
            .filter(|(tag, _)| kind.field(*tag).is_some_and(|f| actor.may_type(kind, f, None)))
            .collect();
        let brought = self.brought(actor, &typed);
        let fields = with_files(kind, fields, &[], &brought, &typed.dropped);
        let (mark, files) = (typed.mark(&brought), typed.files);
        let (submit, actor) = (typed.submit, actor.clone());
        let (author, draft) = (actor.clone(), typed.draft.clone());
        let outcome = self.store.submit(move |txn| {
            let live = live(txn, &actor)?;
            if live.scope(kind, Right::Create) == Scope::Nothing {
                return Err(Error::denied());
            }
            if let Some(done) = already(txn, kind, actor.account, &submit)? {
                txn.act(Act::new(actor.doer(), act::CREATE).note("repeat").refused());
                let same = done.fields.text(MADE_BY) == mark;
                return Ok(if same { Ok((done.id, false)) } else { Err(Changed::Stale(Box::new(done))) });
            }
            let mut taken = taken_keys(txn, kind, &fields, None)?;
            taken.extend(broken_links(txn, &live, (kind, &fields), None)?);
            if !taken.is_empty() {
                txn.act(Act::new(actor.doer(), act::CREATE).note("taken").refused());
                return Ok(Err(Changed::Refused(Refusal::Problems(taken))));
            }
            let made = decide::create(kind, fields.with_text(MADE_BY, mark), live.author(), txn.now());
            txn.act(Act::new(actor.doer(), act::CREATE));
            match made {
                Ok(record) => {
                    if !draft.is_empty() {
                        txn.forget(&super::draft::name(actor.account, &draft));
                    }
                    txn.create(record).map(|id| Ok((id, true)))
                }
                Err(refusal) => Ok(Err(Changed::Refused(refusal))),
            }
        })?;
        let (id, fresh) = outcome.map_err(|changed| self.not_saved(changed))?;
        self.settle_files(fresh, &brought, &files)?;
        self.forget_draft(&author, &typed.draft);
        Ok(id)
    }

    /// Changes a record that was at `version` when the form was made.
    pub fn amend(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        at: (RecordId, u32),
        typed: Typed,
    ) -> Result<RecordId, SaveError> {
        let (id, version) = at;
        let existing = self.visible(&self.store.read()?, actor, kind, id)?;
        if !actor.may(kind, Right::Edit, existing.unit) {
            return Err(self.refused(actor, kind, id).into());
        }
        let may = |f: &Field| actor.may_type(kind, f, Some(&existing));
        let (fields, mut problems) = field::parse(kind.fields, &typed.raw);
        if decide::gate_refuses(kind, &fields) {
            return Err(self.gate(actor, &typed));
        }
        problems.retain(|(name, _)| {
            let own = kind.fields.iter().find(|f| name == f.name || name.starts_with(&format!("{}.", f.name)));
            own.is_none_or(&may)
        });
        problems.extend(self.hidden_identity(actor, kind, &existing, &typed)?);
        if !problems.is_empty() {
            return Err(SaveError::Problems(problems));
        }
        let brought = self.brought(actor, &typed);
        let (mark, files) = (typed.mark(&brought), typed.files.clone());
        let (saved, actor) = (brought.clone(), actor.clone());
        let outcome = self.store.submit(move |txn| {
            let before = authorise(txn, &actor, kind, Right::Edit, id)?;
            if before.fields.text(CHANGED_BY) == mark && !mark.is_empty() {
                txn.act(Act::new(actor.doer(), act::UPDATE).note("repeat").refused());
                return Ok(Ok(false));
            }
            let live = live(txn, &actor)?;
            let identity = changes_identity(kind, &before, &typed);
            let editable = |f: &Field| live.may_type(kind, f, Some(&before)) && (identity || !is_identity(f));
            txn.act(Act::new(actor.doer(), act::UPDATE));
            if before.version != version {
                return Ok(Err(Changed::Stale(Box::new(before))));
            }
            if kind.flow.awaits_approval(before.state) {
                let text = "正在等待审批，不能修改；需要修改时请审批人先退回。";
                return Ok(Err(Changed::Refused(Refusal::Problems(vec![(String::new(), text.to_owned())]))));
            }
            let mut taken = taken_keys(txn, kind, &fields, Some(id))?;
            taken.extend(broken_links(txn, &live, (kind, &fields), Some(&before))?);
            if !taken.is_empty() {
                return Ok(Err(Changed::Refused(Refusal::Problems(taken))));
            }
            let amended = decide::amend(kind, &before, &fields, &editable, txn.now());
            match amended.and_then(|after| leaves_nothing(txn, kind, &before, after)) {
                Err(refusal) => Ok(Err(Changed::Refused(refusal))),
                Ok(a) if alone(kind, &before.fields, &a.fields) => Ok(Err(Changed::Refused(not_alone("roles")))),
                Ok(mut after) => {
                    follow(kind, &before, &mut after);
                    let had = before_files(kind, &before);
                    after.fields = with_files(kind, after.fields, &had, &brought, &typed.dropped);
                    after.fields.insert(CHANGED_BY, Value::Text(mark));
                    articles::update(txn, after).map(|()| Ok(true))
                }
            }
        })?;
        let fresh = outcome.map_err(|changed| self.not_saved(changed))?;
        self.settle_files(fresh, &saved, &files)?;
        Ok(id)
    }

    /// What to say to somebody who typed an identity over one that was not opened.
    fn hidden_identity(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        record: &Record,
        typed: &Typed,
    ) -> Result<Option<Problem>> {
        let over = !typed.revealed && types_identity(kind, &typed.raw) && actor.may_identify(kind, record.unit);
        let text = "检举控告人信息没有修改：请先在这里写明理由，点“显示”后再保存。您填写的都已保留。";
        let refused = over && self.has_identity(record.id)?;
        Ok(refused.then(|| (IDENTITY_REASON.to_owned(), text.to_owned())))
    }

    /// Makes a move of the flow.
    pub fn advance(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        at: (RecordId, u32),
        mv: &'static Move,
        typed: (String, String),
    ) -> Result<(), SaveError> {
        let ((id, version), (opinion, submit)) = (at, typed);
        let existing = self.visible(&self.store.read()?, actor, kind, id)?;
        if !actor.may(kind, Right::Move(mv.duty), existing.unit) {
            return Err(self.refused(actor, kind, id).into());
        }
        let actor = actor.clone();
        let outcome = self.store.submit(move |txn| {
            let before = authorise(txn, &actor, kind, Right::Move(mv.duty), id)?;
            if kind.tag == batch::KIND.tag {
                super::import::refuse_undo(txn, &actor, id)?;
            }
            txn.act(Act::new(actor.doer(), act::ADVANCE).note(mv.name));
            let mark = mark(&submit, &format!("{}\0{opinion}", mv.name));
            if before.fields.text(CHANGED_BY) == mark && !mark.is_empty() {
                return Ok(Ok(()));
            }
            if before.version != version {
                return Ok(Err(Changed::Stale(Box::new(before))));
            }
            if kind.tag == account::KIND.tag && account::is_administrator(&before.fields) {
                return Ok(Err(Changed::Refused(not_alone("opinion"))));
            }
            if kind.tag == account::KIND.tag && mv.to != before.state {
                handover::may_move(txn, &before, mv)?;
            }
            let by = (live(txn, &actor)?.author(), txn.now());
            match decide::advance(kind, &before, mv, &opinion, by) {
                Err(refusal) => Ok(Err(Changed::Refused(refusal))),
                Ok(mut after) => {
                    after.fields.insert(CHANGED_BY, Value::Text(mark));
                    if kind.tag == org::KIND.tag {
                        org::remember(&before, &mut after);
                    }
                    if purge::is_carried_out_by(kind, mv)
                        && let Err(refusal) = purge::carry_out(txn, actor.doer(), &mut after)?
                    {
                        return Ok(Err(Changed::Refused(refusal)));
                    }
                    txn.update(after).map(Ok)
                }
            }
        })?;
        outcome.map_err(|changed| self.not_saved(changed))
    }

    /// Article 16: nothing of the input stays; that something was refused is entered without a word of it.
    fn gate(&self, actor: &Actor, typed: &Typed) -> SaveError {
        let new = typed.files.iter().try_for_each(|file| self.store.discard_blob(file));
        if let Err(e) = new.and_then(|()| self.drop_staged(actor, &typed.staged)) {
            return e.into();
        }
        let act = Act::new(actor.doer(), act::GATE).refused();
        let entered = self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        });
        entered.map_or_else(SaveError::Failed, |()| SaveError::Gate)
    }

    /// Every attachment a form brings: those that waited, then the new ones.
    fn brought(&self, actor: &Actor, typed: &Typed) -> Vec<FileRef> {
        let staged = self.staged(actor, &typed.draft, &typed.staged);
        staged.into_iter().map(|(file, _)| file).chain(typed.files.iter().cloned()).collect()
    }

    /// After a form was accepted: the record names its files, or an earlier time brought the same ones.
    fn settle_files(&self, fresh: bool, brought: &[FileRef], new: &[FileRef]) -> Result<()> {
        if fresh {
            self.own_staged(brought, &Owner::Record);
            return Ok(());
        }
        new.iter().try_for_each(|file| self.store.discard_blob(file))
    }

    fn not_saved(&self, changed: Changed) -> SaveError {
        let refusal = match changed {
            Changed::Stale(record) => return SaveError::Stale(record),
            Changed::Refused(refusal) => refusal,
        };
        match refusal {
            Refusal::Problems(problems) => SaveError::Problems(problems),
            Refusal::Gate => SaveError::Gate,
            Refusal::NotNow => Error::new(ErrorKind::Stale, "记录的状态已变，这一步现在不能做。请刷新后再看。").into(),
            Refusal::NotOwn => Error::invalid("只能作废自己登记的记录。不是本人登记的，请由负责人作废。").into(),
            Refusal::Void => Error::invalid("这条记录已作废，只能查看，不能修改。").into(),
            Refusal::Purged => Error::invalid("这条记录的内容已清除，不能修改或办理。").into(),
            Refusal::OwnWork => Error::invalid("经办和审批不能是同一个人，请由另一位负责人审批。").into(),
        }
    }
}

enum Changed {
    Stale(Box<Record>),
    Refused(Refusal),
}

fn is_identity(field: &Field) -> bool {
    field.part == records::Part::Identity
}

/// Something stands in an input of the identity.
pub fn types_identity(kind: &Kind, raw: &Raw) -> bool {
    kind.fields.iter().any(|f| is_identity(f) && !field::first(raw, f.name).is_empty())
}

/// The form speaks of the identity, and the one that is there (if any) was opened.
fn changes_identity(kind: &Kind, before: &Record, typed: &Typed) -> bool {
    let said = !field::first(&typed.raw, IDENTITY_OPEN).is_empty() || types_identity(kind, &typed.raw);
    let there = kind.fields.iter().any(|f| is_identity(f) && before.fields.get(f.tag).is_some());
    said && (typed.revealed || !there)
}

/// The record this very form made already; only for whoever made it.
pub(super) fn already(txn: &Txn<'_>, kind: &'static Kind, creator: RecordId, submit: &str) -> Result<Option<Record>> {
    if submit.is_empty() {
        return Ok(None);
    }
    for id in txn.find(kind, MADE_BY, submit)? {
        let made_by = |r: &Record| r.fields.text(MADE_BY).split('.').next() == Some(submit);
        if let Some(record) = txn.get(id)?.filter(|r| r.creator == creator && made_by(r)) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

/// Names that must be alone of their kind.
fn taken_keys(txn: &Txn<'_>, kind: &'static Kind, fields: &Fields, own: Option<RecordId>) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for tag in kind.keys.iter().filter(|_| kind.unique) {
        let Some(field) = kind.field(*tag) else { continue };
        let value = fields.text(*tag);
        if !value.is_empty() && txn.find(kind, *tag, value)?.iter().any(|id| Some(*id) != own) {
            problems.push((field.name.to_owned(), format!("{}“{value}”已被使用，请换一个。", field.label)));
        }
    }
    Ok(problems)
}

/// Links that lead nowhere, to a record of another kind, or, where they are new, to one that the actor is kept out of.
fn broken_links(
    txn: &Txn<'_>,
    actor: &Actor,
    (kind, fields): (&'static Kind, &Fields),
    before: Option<&Record>,
) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for field in kind.fields {
        let Widget::Link(name) = field.widget else { continue };
        let Some(id) = fields.link(field.tag) else { continue };
        let wanted = records::by_name(name).map(|k| k.tag);
        let had = before.is_some_and(|b| b.fields.link(field.tag) == Some(id));
        let mut there = txn.get(id)?;
        if let Some(record) = there.as_ref().filter(|_| !had)
            && Sight::of(txn, actor)?.bars(record)
        {
            there = None;
        }
        if there.map(|r| r.kind) != wanted {
            problems.push((field.name.to_owned(), format!("{}没有这条记录，请重新选择。", field.label)));
        }
    }
    Ok(problems)
}

/// The change makes or unmakes an administrator.
fn alone(kind: &Kind, before: &Fields, after: &Fields) -> bool {
    let moved = moves_person(kind, before, after) && account::is_administrator(before);
    moved || kind.tag == account::KIND.tag && account::touches_administrators(before, after)
}

/// The account goes to another unit, or to another name: rights follow the person, and what concerns a person is told
/// by both, so they are granted anew by whoever grants rights.
fn moves_person(kind: &Kind, before: &Fields, after: &Fields) -> bool {
    let moved = [account::tag::UNIT, account::tag::NAME].iter().any(|tag| before.get(*tag) != after.get(*tag));
    kind.tag == account::KIND.tag && moved
}

/// By another log-in name one administrator could shut another one out, or pass an account off as somebody else's.
const LOGIN_STAYS: &str = "登录名创建后不能更改。需要换登录名时，请新建账户，再停用这个账户。";

/// What follows from a change by itself.
fn follow(kind: &Kind, before: &Record, after: &mut Record) {
    if moves_person(kind, &before.fields, &after.fields) {
        account::withdraw(&mut after.fields);
    }
    if kind.tag == org::KIND.tag {
        org::remember(before, after);
    }
}

/// Who goes to another unit leaves no work behind in the old one, and a last day that has passed is no way to close an
/// account with its work.
fn leaves_nothing(txn: &Txn<'_>, kind: &Kind, before: &Record, after: Record) -> Result<Record, Refusal> {
    let (login, unit, today) = (account::tag::LOGIN, account::tag::UNIT, txn.now().day());
    let input = match () {
        () if kind.tag != account::KIND.tag => return Ok(after),
        () if before.fields.get(login) != after.fields.get(login) => {
            return Err(Refusal::Problems(vec![("login".to_owned(), LOGIN_STAYS.to_owned())]));
        }
        () if before.fields.get(unit) != after.fields.get(unit) => "unit",
        () if account::admits(before, today) && !account::admits(&after, today) => "expires",
        () => return Ok(after),
    };
    let free = handover::must_be_free(txn, before);
    let refused = |e: Error| Refusal::Problems(vec![(input.to_owned(), e.public().to_owned())]);
    free.map(|()| after).map_err(refused)
}

fn not_alone(input: &str) -> Refusal {
    let text = "三员的设立、更换和停用不能由一个人完成，操作没有执行。";
    Refusal::Problems(vec![(input.to_owned(), text.to_owned())])
}

/// Attachments after a change. What the record had already stays or goes as the form says; a token of it that still
/// stands in the form adds nothing.
fn with_files(
    kind: &Kind,
    mut fields: Fields,
    before: &[FileRef],
    brought: &[FileRef],
    dropped: &[String],
) -> Fields {
    let Some(tag) = files_tag(kind) else { return fields };
    let kept = before.iter().filter(|f| !dropped.contains(&f.blob));
    let new = brought.iter().filter(|f| !before.iter().any(|b| b.blob == f.blob));
    let files: Vec<FileRef> = kept.chain(new).cloned().collect();
    fields.remove(tag);
    if files.is_empty() { fields } else { fields.with(tag, Value::Files(files)) }
}
