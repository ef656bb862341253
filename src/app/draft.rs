//! Drafts: a form that is not finished, kept for whoever typed it and for nobody else until it is registered or thrown
//! away. A draft rests sealed in the store and outlives a restart. Article 16: one whose persons do not all have a rank
//! that passes is not stored; it stays in the memory of this process, and whoever keeps it is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::change::{SaveError, Typed};
use super::stage::{Owner, Waiting};
use super::{Actor, App, Right, Scope, lock};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::conflict::{self, Meeting, Person};
use crate::records::field::{self, Raw};
use crate::records::{self, Field, Fields, FileRef, Kind, Part, Record, Value, act, decide};
use crate::store::{Act, Txn, fact};

/// Tags of a stored draft (`data-format/store.md`).
mod tag {
    pub(super) const KIND: u16 = 16;
    pub(super) const AT: u16 = 17;
    pub(super) const TYPED: u16 = 18;
    pub(super) const FILES: u16 = 19;
    /// Columns of a row of TYPED.
    pub(super) const NAME: u16 = 1;
    pub(super) const TEXT: u16 = 2;
}

/// Drafts that may not be stored.
#[derive(Default)]
pub struct Drafts(Mutex<VecDeque<InMemory>>);

struct InMemory {
    account: RecordId,
    id: String,
    kind: &'static Kind,
    at: Moment,
    raw: Raw,
    staged: Vec<String>,
}

impl InMemory {
    fn is(&self, actor: &Actor, id: &str) -> bool {
        self.account == actor.account && self.id == id
    }

    fn bytes(&self) -> usize {
        self.raw.iter().map(|(n, v)| n.len() + v.len()).sum()
    }
}

/// A draft as lists show it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What addresses name it by: 32 random hex digits.
    pub id: String,
    /// Kind of record it is to become.
    pub kind: &'static Kind,
    /// When it was last kept.
    pub at: Moment,
    /// Its title as typed, possibly empty.
    pub title: String,
    /// It ends with the process.
    pub in_memory: bool,
}

/// A draft that is gone on with.
#[derive(Debug)]
pub struct Draft {
    /// Typed pairs.
    pub raw: Raw,
    /// Its attachments.
    pub staged: Vec<Waiting>,
    /// It ends with the process.
    pub in_memory: bool,
    /// Attachments that waited too long in memory and have to be chosen again.
    pub lost: usize,
}

impl App {
    /// Keeps a form of a new record under `id`; whether it is stored, or stays in memory only.
    pub fn keep_draft(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        id: &str,
        typed: Typed,
    ) -> Result<bool, SaveError> {
        if actor.scope(kind, Right::Create) == Scope::Nothing || !is_id(id) {
            return Err(self.refused(actor, kind, RecordId(0)).into());
        }
        let others = self.drafts(actor)?.into_iter().filter(|line| line.id != id).count();
        if others >= limits::DRAFTS_PER_ACCOUNT {
            let most = limits::DRAFTS_PER_ACCOUNT;
            return Err(Error::invalid(format!("草稿最多 {most} 份，请先登记或删除不用的草稿。")).into());
        }
        let rests = decide::may_rest(kind, &field::parse(kind.fields, &typed.raw).0);
        // New uploads wait under tokens in either case, so that the form can bring them again.
        let staged: Vec<String> =
            self.stage(actor, &typed.staged, typed.files)?.into_iter().map(|w| w.token).collect();
        // What a record names meanwhile is the record's.
        let free = self.staged(actor, id, &staged).into_iter().filter(|(_, owner)| *owner != Owner::Record);
        let files: Vec<FileRef> = free.map(|(file, _)| file).collect();
        // What article 16 was asked about is what is kept: a row that is to go, with its rank, is not.
        let (at, raw) = (self.now(), field::read_pairs(kind.fields, &typed.raw));
        if !rests {
            self.remember(InMemory { account: actor.account, id: id.to_owned(), kind, at, raw, staged })?;
            let before = self.store_draft(actor, id, None)?;
            return self.release(&before).map(|()| false).map_err(SaveError::from);
        }
        let before = self.store_draft(actor, id, Some(stored(kind, at, &raw, &files)))?;
        self.forget_draft(actor, id);
        self.own_staged(&files, &Owner::Draft(id.to_owned()));
        let gone = before.into_iter().filter(|b| !files.iter().any(|f| f.blob == b.blob));
        self.release(&gone.collect::<Vec<_>>())?;
        Ok(true)
    }

    /// Drafts of the actor, newest first, of kinds that the actor may enter.
    pub fn drafts(&self, actor: &Actor) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for (name, fields) in self.store.read()?.kept_below(&prefix(actor.account))? {
            let Some(kind) = records::by_name(fields.text(tag::KIND)) else { continue };
            let id = name.rsplit('.').next().unwrap_or_default().to_owned();
            let at = Moment(fields.int(tag::AT));
            lines.push(Line { id, kind, at, title: title(kind, &raw_of(&fields)), in_memory: false });
        }
        let memory = lock(&self.drafts.0);
        lines.extend(memory.iter().filter(|d| d.account == actor.account).map(|d| Line {
            id: d.id.clone(),
            kind: d.kind,
            at: d.at,
            title: title(d.kind, &d.raw),
            in_memory: true,
        }));
        lines.retain(|line| actor.scope(line.kind, Right::Create) > Scope::Nothing);
        lines.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        Ok(lines)
    }

    /// A draft of the actor; `None` when there is none of this kind under this name.
    pub fn draft(&self, actor: &Actor, kind: &'static Kind, id: &str) -> Result<Option<Draft>> {
        let in_memory = {
            let memory = lock(&self.drafts.0);
            let own = memory.iter().find(|d| d.is(actor, id) && d.kind.tag == kind.tag);
            own.map(|d| (d.raw.clone(), d.staged.clone()))
        };
        if let Some((raw, tokens)) = in_memory {
            let staged = self.stage(actor, &tokens, Vec::new())?;
            let lost = tokens.len() - staged.len();
            return Ok(Some(Draft { raw, staged, in_memory: true, lost }));
        }
        let stored = if is_id(id) { self.store.read()?.kept(&name(actor.account, id))? } else { None };
        let Some(fields) = stored.filter(|f| f.text(tag::KIND) == kind.name) else { return Ok(None) };
        let staged = self.stage_draft(actor, id, fields.files(tag::FILES).to_vec())?;
        Ok(Some(Draft { raw: raw_of(&fields), staged, in_memory: false, lost: 0 }))
    }

    /// Throws a draft of the actor away; one that is not there is gone already.
    pub fn throw_draft(&self, actor: &Actor, id: &str) -> Result<()> {
        if !self.drafts(actor)?.iter().any(|line| line.id == id) {
            return Ok(());
        }
        let (fact, act) = (name(actor.account, id), Act::new(actor.doer(), act::DRAFT_GONE));
        let files = self.store.submit(move |txn| {
            let files = txn.kept(&fact)?.map(|f| f.files(tag::FILES).to_vec()).unwrap_or_default();
            txn.forget(&fact);
            txn.act(act);
            Ok(files)
        })?;
        let tokens: Vec<String> = {
            let memory = lock(&self.drafts.0);
            memory.iter().filter(|d| d.is(actor, id)).flat_map(|d| d.staged.clone()).collect()
        };
        self.forget_draft(actor, id);
        self.drop_staged(actor, &tokens)?;
        self.release(&files)
    }

    /// What memory holds of a draft goes: it was registered, stored, or thrown away.
    pub(super) fn forget_draft(&self, actor: &Actor, id: &str) {
        lock(&self.drafts.0).retain(|d| !d.is(actor, id));
    }

    /// Stores a draft, or takes away what was stored; the attachments that it had before.
    fn store_draft(&self, actor: &Actor, id: &str, draft: Option<Fields>) -> Result<Vec<FileRef>> {
        let note = if draft.is_some() { "stored" } else { "memory" };
        let (fact, act) = (name(actor.account, id), Act::new(actor.doer(), act::DRAFT).note(note));
        self.store.submit(move |txn| {
            let before = txn.kept(&fact)?.map(|f| f.files(tag::FILES).to_vec()).unwrap_or_default();
            match draft {
                Some(draft) => txn.keep(&fact, &draft)?,
                None => txn.forget(&fact),
            }
            txn.act(act);
            Ok(before)
        })
    }

    /// Drafts of somebody that memory holds and the store may not.
    pub(super) fn drafts_in_memory(&self, account: RecordId) -> usize {
        lock(&self.drafts.0).iter().filter(|d| d.account == account).count()
    }

    /// What memory holds of somebody who left goes.
    pub(super) fn forget_drafts_of(&self, account: RecordId) {
        lock(&self.drafts.0).retain(|d| d.account != account);
    }

    /// Forgets drafts in memory that nobody came back to: what may not be stored is not kept for long either.
    pub(super) fn tidy_drafts(&self) {
        let now = self.now();
        lock(&self.drafts.0).retain(|d| now.seconds_since(d.at) <= limits::SESSION_MAX_S);
    }

    fn remember(&self, draft: InMemory) -> Result<()> {
        let mut memory = lock(&self.drafts.0);
        let same = |d: &&InMemory| d.account == draft.account && d.id == draft.id;
        let others: usize = memory.iter().filter(|d| !same(d)).map(InMemory::bytes).sum();
        // Nobody's draft is pushed out: whoever comes too late is told.
        if others + draft.bytes() > limits::DRAFT_MEMORY_BYTES {
            return Err(Error::invalid("暂存的草稿过多，这份没有保存。请补全职级后再存，或直接登记。"));
        }
        let (account, id) = (draft.account, draft.id.clone());
        memory.retain(|d| !(d.account == account && d.id == id));
        memory.push_back(draft);
        Ok(())
    }
}

/// What names of drafts of an account begin with.
pub(super) fn prefix(account: RecordId) -> String {
    format!("{}{account}.", fact::DRAFT)
}

/// Names of the drafts that an account has stored.
pub(super) fn names_of(txn: &Txn<'_>, account: RecordId) -> Result<Vec<String>> {
    txn.kept_names(&prefix(account))
}

/// Gives every stored draft of an account to somebody else; how many. Whoever may not enter it, may not open a
/// petitioner's identity that it says, or is named in it as accused, gets none of them: the answer does not say which.
pub(super) fn hand_over(txn: &mut Txn<'_>, from: RecordId, to: (&Actor, &Person)) -> Result<usize> {
    let (heir, person) = to;
    let names = names_of(txn, from)?;
    if names_of(txn, heir.account)?.len() + names.len() > limits::DRAFTS_PER_ACCOUNT {
        let most = limits::DRAFTS_PER_ACCOUNT;
        return Err(Error::invalid(format!("接手人的草稿会超过 {most} 份，没有交接。请换一人，或请其先登记、删除。")));
    }
    for old in &names {
        let Some(draft) = txn.kept(old)? else { continue };
        let kind = records::by_name(draft.text(tag::KIND));
        let fits = kind.is_some_and(|k| {
            let enters = heir.scope(k, Right::Create) > Scope::Nothing;
            enters && (!identifies(k, &draft) || heir.may_identify(k, heir.unit)) && !meets(k, &draft, person)
        });
        if !fits {
            return Err(Error::invalid("这名接手人不能接收这些草稿，没有交接。请另选一人；写有检举控告人的草稿，接手人还须可查看检举控告人。"));
        }
        txn.forget(old);
        txn.keep(&name(heir.account, old.rsplit('.').next().unwrap_or_default()), &draft)?;
    }
    Ok(names.len())
}

/// The draft says who somebody is that only a right of its own opens.
fn identifies(kind: &Kind, draft: &Fields) -> bool {
    let is_part = |name: &str, field: &Field| {
        name.strip_prefix(field.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut identity = kind.fields.iter().filter(|f| f.part == Part::Identity);
    let typed = raw_of(draft);
    identity.any(|field| typed.iter().any(|(name, value)| is_part(name, field) && !value.trim().is_empty()))
}

/// The draft is about this person.
fn meets(kind: &'static Kind, draft: &Fields, person: &Person) -> bool {
    let fields = field::parse(kind.fields, &raw_of(draft)).0;
    let none = RecordId(0);
    let (created, updated) = (Moment(0), Moment(0));
    let record =
        Record { id: none, kind: kind.tag, version: 0, state: 0, unit: none, created, creator: none, updated, fields };
    conflict::meeting(kind, &record, person) == Meeting::Person
}

/// The fact a draft lies under.
pub(super) fn name(account: RecordId, id: &str) -> String {
    format!("{}{id}", prefix(account))
}

/// An id of ours; nothing else becomes part of a name.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

fn stored(kind: &Kind, now: Moment, raw: &Raw, files: &[FileRef]) -> Fields {
    let pair = |(name, text): &(String, String)| {
        Fields::default().with_text(tag::NAME, name.as_str()).with_text(tag::TEXT, text.as_str())
    };
    let fields = Fields::default()
        .with_text(tag::KIND, kind.name)
        .with(tag::AT, Value::Int(now.0))
        .with(tag::TYPED, Value::Rows(raw.iter().map(pair).collect()));
    if files.is_empty() { fields } else { fields.with(tag::FILES, Value::Files(files.to_vec())) }
}

fn raw_of(fields: &Fields) -> Raw {
    let rows = fields.rows(tag::TYPED).iter();
    rows.map(|row| (row.text(tag::NAME).to_owned(), row.text(tag::TEXT).to_owned())).collect()
}

fn title(kind: &Kind, raw: &Raw) -> String {
    let field = kind.field(kind.title);
    field.map_or(String::new(), |f| field::first(raw, f.name).chars().take(limits::LINE_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::demo;
    use crate::base::clock::ManualClock;
    use crate::records::petition;

    #[test]
    fn a_draft_that_may_not_be_stored_is_forgotten_after_ten_hours() {
        let home = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
        let own = Arc::clone(&clock);
        let app = demo::create(&home.path().join("d"), own, true).unwrap();
        let clerk = app.demo_actor("xinfang").unwrap();
        let typed = Typed { raw: vec![("title".to_owned(), "半封信".to_owned())], ..Typed::default() };
        assert!(!app.keep_draft(&clerk, &petition::KIND, &"0".repeat(32), typed).unwrap());
        let left = |hours: i64| {
            clock.set(Moment(1_790_000_000_000 + hours * 3_600_000));
            app.tidy_drafts();
            app.drafts(&clerk).unwrap().len()
        };
        assert_eq!([left(0), left(10), left(11)], [1, 1, 0]);
    }
}
