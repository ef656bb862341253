//! Looking at records of any kind: list, open, history, the identity for a reason, attachments. One code path for every
//! kind; absent and forbidden look the same; a look at something sensitive is entered before it is shown.

use super::login::Typed;
use super::purge::Told;
use super::session::Live;
use super::sight::{Books, Sight};
use super::viewing::Look;
use super::{Actor, App, Right, Scope, charter};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::decide;
use crate::records::flow::{Duty, Move, Tone};
use crate::records::label::{self, Label};
use crate::records::record::BATCH;
use crate::records::{self, Author, Field, Fields, FileRef, Kind, Part, Record, Value, Widget, account, act, batch};
use crate::store::{Act, BlobReader, Header, ListQuery, Snapshot, Txn};

/// What a list is asked for. Empty lists of units and states mean all that may be seen.
#[derive(Clone, Debug, Default)]
pub struct ListInput {
    /// Only these units.
    pub units: Vec<RecordId>,
    /// Only this state; otherwise all but void ones.
    pub state: Option<u8>,
    /// First day `yyyymmdd`, 0 for no bound.
    pub from: i32,
    /// Last day `yyyymmdd`, 0 for no bound.
    pub to: i32,
    /// Oldest first.
    pub oldest_first: bool,
    /// Page from 0.
    pub page: u64,
    /// Rows of a page.
    pub size: u64,
}

/// A page of a list.
pub struct ListPage {
    /// Records of this page, without identity.
    pub rows: Vec<Record>,
    /// Records in the chosen state.
    pub total: u64,
    /// Records in every state, void ones too.
    pub tallies: Vec<(u8, u64)>,
    /// Units the actor may see records of.
    pub units: Vec<RecordId>,
}

/// A record as its page shows it.
pub struct Opened {
    /// The record, without identity.
    pub record: Record,
    /// There is an identity part.
    pub has_identity: bool,
    /// What each attachment is, where it can be looked at in the page.
    pub looks: Vec<Option<Look>>,
    /// What is to be said of the text of each attachment.
    pub texts: Vec<String>,
    /// Moves the actor may make now.
    pub moves: Vec<&'static Move>,
    /// Moves by which the actor may take the entry out of the flow now.
    pub voiding: Vec<&'static Move>,
    /// There are moves only another person may make, because this one prepared what is to be approved.
    pub own_work: bool,
    /// The actor may change it.
    pub may_edit: bool,
    /// The actor may open the identity.
    pub may_identify: bool,
    /// The actor may ask now that it be purged.
    pub may_purge: bool,
    /// A request to purge it that waits.
    pub purge_asked: Option<RecordId>,
    /// That it was purged.
    pub purged: Option<Told>,
    /// What a request to purge is about, where the actor may see that.
    pub target: Option<Record>,
    /// Who may be declared to have nothing to do with it, and who acts where the head is kept out of it.
    pub recusal: super::recusal::Ways,
    /// Labels that the actor may give it instead of its own.
    pub labels: Vec<Label>,
    /// Rows of the record that are records of their own: those of the page asked for.
    pub children: Vec<Record>,
    /// How many there are in all.
    pub children_total: u64,
    /// Other records that say the same thing in another version.
    pub versions: Vec<Record>,
}

/// One step of a record's history.
pub struct Step {
    /// Who, when, what.
    pub header: Header,
    /// Field, old value, new value.
    pub changes: Vec<(&'static Field, Option<Value>, Option<Value>)>,
    /// State before and after, when it changed.
    pub state: Option<(Option<u8>, u8)>,
    /// What was written when a move was made.
    pub opinion: String,
    /// Why the identity was opened or given out, for whoever may open it.
    pub reason: Option<String>,
}

impl App {
    /// A page of the records of a kind that the actor may see.
    pub fn list(&self, actor: &Actor, kind: &'static Kind, input: &ListInput) -> Result<ListPage> {
        let units = self.visible_units(actor, kind)?;
        let chosen = if input.units.is_empty() {
            units.clone()
        } else {
            units.iter().copied().filter(|u| input.units.contains(u)).collect()
        };
        let every = kind.flow.states.iter().map(|s| s.tag).collect();
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let mut query = ListQuery {
            kind,
            units: chosen,
            states: every,
            from: input.from,
            to: input.to,
            oldest_first: input.oldest_first,
            without: sight.left(),
            ceiling: sight.clearance(),
        };
        let tallies = snapshot.tally(&query)?;
        query.states = match input.state {
            Some(state) => vec![state],
            None => kind.flow.counted().map(|s| s.tag).collect(),
        };
        let total = tallies.iter().filter(|(s, _)| query.states.contains(s)).map(|(_, n)| n).sum();
        let ids = snapshot.list(&query, input.page.saturating_mul(input.size), input.size)?;
        let rows = ids.into_iter().filter_map(|id| snapshot.get(id, false).transpose());
        let rows = rows.collect::<Result<Vec<_>>>()?;
        self.answer_for(actor, act::LIST, kind, &rows)?;
        Ok(ListPage { rows, total, tallies, units })
    }

    /// How many records of a kind stand in each state, as far as the actor may see them.
    pub fn tallies(&self, actor: &Actor, kind: &'static Kind) -> Result<Vec<(u8, u64)>> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let query = ListQuery {
            kind,
            units: self.visible_units(actor, kind)?,
            states: kind.flow.states.iter().map(|s| s.tag).collect(),
            from: 0,
            to: 0,
            oldest_first: false,
            without: sight.left(),
            ceiling: sight.clearance(),
        };
        snapshot.tally(&query)
    }

    /// What waits for the actor: state, how many, and whether only those of the own unit are meant. A state waits for
    /// whoever may make a move from it, or, where typing is what is missing, for whoever may change the record.
    pub fn waiting(&self, actor: &Actor, kind: &'static Kind) -> Result<Vec<(u8, u64, bool)>> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let mut all = Vec::new();
        for state in kind.flow.states.iter().filter(|s| matches!(s.tone, Tone::Open | Tone::Waiting)) {
            // That an own entry can be taken back is no work that waits.
            let moves = kind.flow.onward(state.tag).filter(|m| m.duty != Duty::Enter);
            let reach = moves.map(|m| actor.scope(kind, Right::Move(m.duty))).max();
            let reach = reach.unwrap_or_else(|| actor.scope(kind, Right::Edit));
            let units = self.units_of(actor, kind, reach)?;
            let (states, without, ceiling) = (vec![state.tag], sight.left(), sight.clearance());
            let query = ListQuery { kind, units, states, from: 0, to: 0, oldest_first: false, without, ceiling };
            let count = snapshot.tally(&query)?.iter().map(|(_, n)| n).sum();
            if count > 0 {
                all.push((state.tag, count, reach == Scope::Own));
            }
        }
        Ok(all)
    }

    /// Opens a record, with the rows below it from `page` (from 0) of [`limits::CHILD_ROWS`].
    pub fn open_record(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        id: RecordId,
        page: u64,
    ) -> Result<Opened> {
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        let sight = Sight::of(&snapshot, actor)?;
        self.answer_for(actor, act::READ, kind, std::slice::from_ref(&record))?;
        let may = |right| actor.may(kind, right, record.unit);
        let open = kind.flow.open_moves(&record).filter(|m| may(Right::Move(m.duty)) && !record.is_purged());
        let moves = open.filter(|m| !decide::is_others_entry(&record, m, actor.account));
        let own = |m: &&'static Move| decide::is_own_work(kind, &record, m, actor.account);
        let (own_work, moves) = moves.partition::<Vec<_>, _>(own);
        let (voiding, moves) = moves.into_iter().partition(|m| kind.flow.voids(m));
        let (children, children_total) = children(&snapshot, (actor, &sight), &record, page)?;
        if kind.tag == batch::KIND.tag {
            self.answer_for_members(actor, &children)?;
        }
        let purge_asked = self.purge_asked(&snapshot, id)?;
        Ok(Opened {
            may_purge: may(Right::Purge)
                && purge_asked.is_none()
                && !record.is_purged()
                && kind.flow.is_settled(record.state),
            purge_asked,
            purged: self.purge_of(&snapshot, &record)?,
            target: target(&snapshot, (actor, &sight), &record)?,
            recusal: self.recusal_ways(&snapshot, actor, kind, &record)?,
            labels: super::label::choices(actor, sight.clearance(), kind, &record),
            has_identity: snapshot.has_identity(id)?,
            moves,
            voiding,
            own_work: own_work.iter().any(|m| !kind.flow.voids(m)),
            may_edit: may(Right::Edit)
                && !kind.flow.awaits_approval(record.state)
                && !kind.flow.is_void(record.state)
                && !record.is_purged(),
            may_identify: actor.may_identify(kind, record.unit),
            children,
            children_total,
            versions: versions(&snapshot, &sight, kind, &record)?,
            looks: self.looks(&before_files(kind, &record)),
            texts: self.attached_words(&snapshot, &before_files(kind, &record))?,
            record,
        })
    }

    /// Records of a batch on its page are a list like any other.
    fn answer_for_members(&self, actor: &Actor, members: &[Record]) -> Result<()> {
        for kind in records::ALL {
            let of: Vec<Record> = members.iter().filter(|r| r.kind == kind.tag).cloned().collect();
            self.answer_for(actor, act::LIST, kind, &of)?;
        }
        Ok(())
    }

    /// The petitioner's identity, for a reason that the auditor can read.
    pub fn reveal(&self, actor: &Actor, kind: &'static Kind, id: RecordId, reason: &str) -> Result<Record> {
        let seen = self.visible(&self.store.read()?, actor, kind, id)?;
        if !actor.may_identify(kind, seen.unit) {
            return Err(self.refused(actor, kind, id));
        }
        let reason = records::field::remark("查看检举控告人信息的理由", reason, limits::REASON_CHARS);
        let reason = reason.map_err(|problem| Error::invalid(problem.replacen("请填写", "请写明", 1)))?;
        if reason.chars().count() < 2 {
            return Err(Error::invalid("请写明查看检举控告人信息的理由，一个字说不清。"));
        }
        actor.proved()?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let record = authorise(txn, &actor, kind, Right::See, id)?;
            if record.is_purged() {
                return Err(Error::invalid("这条记录的内容已清除，检举控告人信息也已不存在。"));
            }
            let live = live(txn, &actor)?;
            if !live.may_identify(kind, record.unit) {
                return Err(Error::denied());
            }
            let read = [(id, kind.tag, record.version)];
            txn.act(Act::new(actor.doer(), act::REVEAL).secret(reason).read(read));
            Ok(record)
        })
    }

    /// The story of a record: every change with old and new values, every look at it.
    pub fn history(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Result<(Record, Vec<Step>)> {
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        self.answer_for(actor, act::READ, kind, std::slice::from_ref(&record))?;
        let identifies = actor.may_identify(kind, record.unit);
        let mut now = Fields::default();
        let mut state = None;
        let mut steps = Vec::new();
        for entry in snapshot.story(id)? {
            let told = identifies && act::IDENTIFIES.contains(&entry.header.action);
            let mut step = Step {
                header: entry.header.clone(),
                changes: Vec::new(),
                state: None,
                opinion: String::new(),
                reason: told.then(|| snapshot.entry_secret(&entry)).flatten(),
            };
            for delta in snapshot.delta(&entry, id, false)? {
                let field = |tag| if tag == label::LABEL { Some(&label::FIELD) } else { kind.field(tag) };
                let shown = |tag| field(tag).filter(|f| !matches!(f.widget, Widget::Hidden));
                for (tag, value) in delta.fields().iter() {
                    step.changes.extend(shown(tag).map(|f| (f, now.get(tag).cloned(), Some(value.clone()))));
                    now.insert(tag, value);
                }
                let trail = kind.flow.trail.map_or(&[][..], |tag| delta.set.rows(tag));
                step.opinion = trail.last().map_or(String::new(), |row| row.text(decide::trail::OPINION).to_owned());
                for tag in &delta.gone {
                    let old = now.remove(*tag);
                    step.changes.extend(shown(*tag).map(|f| (f, old, None)));
                }
                if let Some(next) = delta.state().filter(|s| state != Some(*s)) {
                    step.state = Some((state, next));
                    state = Some(next);
                }
            }
            steps.push(step);
        }
        Ok((record, steps))
    }

    /// An attachment of a record, by its place in the list.
    pub fn attachment(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        id: RecordId,
        place: usize,
    ) -> Result<(FileRef, BlobReader)> {
        let record = self.visible(&self.store.read()?, actor, kind, id)?;
        let file = before_files(kind, &record).get(place).cloned().ok_or_else(Error::denied)?;
        self.answer_for(actor, act::DOWNLOAD, kind, std::slice::from_ref(&record))?;
        let reader = self.store.read_blob(&file)?;
        Ok((file, reader))
    }

    /// Opens the identity of a record that is to be changed; the session may then change it.
    pub fn reveal_for_edit(
        &self,
        live: &Live,
        own: &Typed,
        (kind, id): (&'static Kind, RecordId),
        reason: &str,
    ) -> Result<Record> {
        let record = self.proving(live, own, |actor| self.reveal(actor, kind, id, reason))?;
        self.remember_revealed(live, id);
        Ok(record)
    }

    /// A record has an identity part.
    pub fn has_identity(&self, id: RecordId) -> Result<bool> {
        self.store.read()?.has_identity(id)
    }

    /// A record for its form, without the identity.
    pub fn for_edit(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Result<Record> {
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        if !actor.may(kind, Right::Edit, record.unit) {
            return Err(self.refused(actor, kind, id));
        }
        self.answer_for(actor, act::READ, kind, std::slice::from_ref(&record))?;
        Ok(record)
    }

    /// Units whose records of a kind the actor may see.
    pub(super) fn visible_units(&self, actor: &Actor, kind: &'static Kind) -> Result<Vec<RecordId>> {
        self.units_of(actor, kind, actor.scope(kind, Right::See))
    }

    fn units_of(&self, actor: &Actor, kind: &'static Kind, scope: Scope) -> Result<Vec<RecordId>> {
        Ok(match (scope, kind.owned) {
            (Scope::Nothing, _) => Vec::new(),
            (_, false) => vec![RecordId(0)],
            (_, true) => match actor.units(scope) {
                Some(units) => units,
                None => self.directory()?.units.iter().map(|u| u.id).collect(),
            },
        })
    }

    /// The record, if the actor may see it; absent and forbidden look the same.
    pub(super) fn visible(
        &self,
        snapshot: &Snapshot,
        actor: &Actor,
        kind: &'static Kind,
        id: RecordId,
    ) -> Result<Record> {
        match snapshot.get(id, false)? {
            Some(r) if r.kind == kind.tag && may_see(snapshot, actor, kind, &r)? => Ok(r),
            Some(_) => Err(self.refused(actor, kind, id)),
            None => Err(Error::denied()),
        }
    }

    /// Enters that somebody asked for what they may not have; the answer says nothing.
    pub(super) fn refused(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Error {
        let read = (id.0 != 0).then_some((id, kind.tag, 0));
        let act = Act::new(actor.doer(), act::DENIED).note(kind.name).read(read).refused();
        let entered = self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        });
        entered.err().unwrap_or_else(Error::denied)
    }

    /// Enters that records were read, where reading is to be answered for; the page waits for it.
    pub(super) fn answer_for(
        &self,
        actor: &Actor,
        action: act::Action,
        kind: &'static Kind,
        records: &[Record],
    ) -> Result<()> {
        if !kind.sensitive || records.is_empty() {
            return Ok(());
        }
        let read: Vec<_> = records.iter().map(|r| (r.id, r.kind, r.version)).collect();
        let act = Act::new(actor.doer(), action).note(kind.name).read(read);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }

}

/// The roles of the actor reach the record, and nothing keeps the actor out of it.
pub(super) fn may_see(books: &dyn Books, actor: &Actor, kind: &Kind, record: &Record) -> Result<bool> {
    Ok(actor.may(kind, Right::See, record.unit) && !Sight::of(books, actor)?.bars(record))
}

/// The actor with the rights of this very moment.
pub(super) fn live(txn: &Txn<'_>, actor: &Actor) -> Result<Actor> {
    let account = txn.get(actor.account)?.filter(|a| account::admits(a, txn.now().day()));
    let account = account.ok_or_else(Error::denied)?;
    Ok(Actor::at(&account, &actor.via, txn.now(), &charter::of_txn(txn)?))
}

/// The record, if the actor may do this to it at this very moment.
pub(super) fn authorise(
    txn: &Txn<'_>,
    actor: &Actor,
    kind: &'static Kind,
    right: Right,
    id: RecordId,
) -> Result<Record> {
    let live = live(txn, actor)?;
    let record = txn.get(id)?.filter(|r| r.kind == kind.tag && live.may(kind, right, r.unit));
    let record = record.ok_or_else(Error::denied)?;
    if Sight::of(txn, &live)?.bars(&record) { Err(Error::denied()) } else { Ok(record) }
}

pub(super) fn files_tag(kind: &Kind) -> Option<u16> {
    kind.fields.iter().find(|f| matches!(f.widget, Widget::Files)).map(|f| f.tag)
}

pub(super) fn before_files(kind: &Kind, record: &Record) -> Vec<FileRef> {
    files_tag(kind).map_or_else(Vec::new, |tag| record.fields.files(tag).to_vec())
}

fn children(
    snapshot: &Snapshot,
    (actor, sight): (&Actor, &Sight),
    record: &Record,
    page: u64,
) -> Result<(Vec<Record>, u64)> {
    let mut ids = Vec::new();
    for kind in records::ALL.iter().filter(|k| k.parent.is_some() && actor.may(k, Right::See, record.unit)) {
        let mut of = snapshot.children(record.id, kind)?;
        sight.keep_open(snapshot, kind, &mut of)?;
        ids.extend(of);
    }
    if record.kind == batch::KIND.tag && !batch::hides(record) {
        ids.clear();
        for kind in records::ALL {
            let mut of = snapshot.find(kind, BATCH, &Value::Link(record.id).display(None))?;
            sight.keep_open(snapshot, kind, &mut of)?;
            ids.extend(of);
        }
        ids.sort_unstable();
    }
    let skip = usize::try_from(page).unwrap_or(usize::MAX).saturating_mul(limits::CHILD_ROWS);
    let shown = ids.iter().skip(skip).take(limits::CHILD_ROWS);
    let mut rows = shown.filter_map(|id| snapshot.get(*id, false).transpose()).collect::<Result<Vec<_>>>()?;
    // Records of a batch may belong to units that are not this person's.
    rows.retain(|r| records::by_tag(r.kind).is_some_and(|k| actor.may(k, Right::See, r.unit)) && !sight.bars(r));
    Ok((rows, ids.len() as u64))
}

/// What a request to purge is about.
fn target(snapshot: &Snapshot, (actor, sight): (&Actor, &Sight), record: &Record) -> Result<Option<Record>> {
    let id = record.fields.link(records::purge::tag::TARGET).filter(|_| record.kind == records::purge::KIND.tag);
    let target = id.map_or(Ok(None), |id| snapshot.get(id, false))?;
    let seen = |t: &Record| records::by_tag(t.kind).is_some_and(|k| actor.may(k, Right::See, t.unit)) && !sight.bars(t);
    Ok(target.filter(seen))
}

fn versions(
    snapshot: &Snapshot,
    sight: &Sight,
    kind: &'static Kind,
    record: &Record,
) -> Result<Vec<Record>> {
    let tag = records::regulation::tag::VERSION_KEY;
    if kind.tag != records::regulation::KIND.tag || record.fields.text(tag).is_empty() {
        return Ok(Vec::new());
    }
    let ids = snapshot.find(kind, tag, record.fields.text(tag))?;
    let others = ids.into_iter().filter(|id| *id != record.id);
    let mut versions: Vec<Record> =
        others.filter_map(|id| snapshot.get(id, false).transpose()).collect::<Result<_>>()?;
    versions.retain(|v| !sight.bars(v));
    versions.sort_by_key(|v| std::cmp::Reverse((kind.day_of(v), v.id)));
    Ok(versions)
}

impl App {
    /// How many regulations the actor knows of that this title would be a version of.
    pub fn versions_of(&self, actor: &Actor, title: &str) -> Result<usize> {
        let (kind, key) = (&records::regulation::KIND, records::regulation::version_key(title));
        if key.is_empty() {
            return Ok(0);
        }
        let snapshot = self.store.read()?;
        let mut ids = snapshot.find(kind, records::regulation::tag::VERSION_KEY, &key)?;
        Sight::of(&snapshot, actor)?.keep_open(&snapshot, kind, &mut ids)?;
        Ok(ids.len())
    }
}

/// An author for records that come in by file on behalf of a unit.
pub(super) fn author_for(actor: &Actor, unit: RecordId) -> Author {
    Author { account: actor.account, unit }
}

/// Identity fields of a kind.
pub fn identity_fields(kind: &Kind) -> impl Iterator<Item = &'static Field> {
    kind.fields.iter().filter(|f| f.part == Part::Identity)
}

