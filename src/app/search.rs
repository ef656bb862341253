//! Searching by right: the scope is compiled into the query, every hit is read again and authorised again, and what the
//! index has not seen yet is searched as well.

use std::sync::Arc;
use std::time::Instant;

use super::attached::{Attached, Places, whole_documents};
use super::record::identity_fields;
use super::sight::Sight;
use super::{Actor, App, Right, Scope};
use crate::base::{RecordId, Result, Seq, limits};
use crate::records::label::{self, Label};
use crate::records::{self, Field, Fields, Kind, Record, Search, Widget, act};
use crate::search::{self, Doc, Order, Piece, Request, Units};
use crate::store::{Act, Snapshot};

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// As typed.
    pub text: String,
    /// Look where petitioners are named, and nowhere else; whoever asks has said why.
    pub identity: bool,
    /// Only records entered after this one, and nothing near.
    pub since: Option<RecordId>,
    /// Records entered after this one are marked as new.
    pub looked: Option<RecordId>,
    /// Kinds by tag; none means all.
    pub kinds: Vec<u8>,
    /// Units; none means all.
    pub units: Vec<RecordId>,
    /// Kind and state; none means all.
    pub states: Vec<(u8, u8)>,
    /// First day `yyyymmdd`, 0 for no bound.
    pub from: i32,
    /// Last day `yyyymmdd`, 0 for no bound.
    pub to: i32,
    /// Order of hits.
    pub order: Order,
    /// Hits to pass over.
    pub offset: u64,
    /// Hits wanted.
    pub limit: u64,
}

/// One hit, read again from the store.
pub struct Hit {
    /// The record, without identity.
    pub record: Record,
    /// Its kind.
    pub kind: &'static Kind,
    /// Title with what matched.
    pub title: Vec<Piece>,
    /// The piece of text around what matched.
    pub snippet: Vec<Piece>,
    /// It was entered after its reader last looked at this search.
    pub is_new: bool,
    /// What it belongs to was entered by mistake: the label of that state.
    pub parent_void: Option<&'static str>,
    /// Where which parts of the question stand as they are: the name of the place, and the parts.
    pub why: Vec<(&'static str, Vec<String>)>,
    /// Where an attachment says what the record itself does not.
    pub attached: Option<Attached>,
}

/// Results of a search.
pub struct Results {
    /// Hits of this page.
    pub hits: Vec<Hit>,
    /// Hits in all.
    pub total: u64,
    /// Something contains the text; otherwise the nearest are shown.
    pub exact: bool,
    /// Hits by kind.
    pub kinds: Vec<(u8, u64)>,
    /// Hits by unit.
    pub units: Vec<(RecordId, u64)>,
    /// Hits by kind and state.
    pub states: Vec<((u8, u8), u64)>,
    /// Hits by month, `yyyymm`, 0 for the month where only the year is known.
    pub months: Vec<(u32, u64)>,
    /// Where the question is a name: records with names that sound or look alike; in no count.
    pub alike: Vec<Hit>,
    /// Where nothing contains the text: what may have been meant, and is there.
    pub meant: Option<String>,
    /// Where only near answers are given: the terms of law that were looked for besides.
    pub terms: Vec<String>,
    /// Too much changed since the index was last brought up to date to scan it: some new records may be missing.
    pub catching_up: bool,
    /// Microseconds from question to answer.
    pub micros: u64,
}

/// A question, and the index it goes to.
pub(super) struct Asked {
    pub index: Arc<search::Index>,
    pub request: Request,
    /// Rows the index has not taken up yet.
    pub fresh: Vec<Doc>,
    /// There are too many of them.
    pub catching_up: bool,
}

impl App {
    /// Answers a query with what the actor may see.
    pub fn search(&self, actor: &Actor, query: &Query) -> Result<Results> {
        let started = Instant::now();
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let Asked { index, request, fresh, catching_up } = self.asked(&snapshot, &sight, query)?;
        let scope = if query.identity { identity_scope } else { scope };
        let found = self.follower.ask(|| index.search(&scope(actor, sight.clearance()), &request, &fresh))?;
        let hits = self.hits(&snapshot, (actor, &sight), query, &found.hits)?;
        // A group of its own, shown beside the first page only.
        let alike = if query.offset == 0 { found.alike.as_slice() } else { &[] };
        let alike = self.hits(&snapshot, (actor, &sight), query, alike)?;
        self.answer_for_search(actor, query, hits.iter().chain(&alike))?;
        Ok(Results {
            hits,
            total: found.total,
            exact: found.exact,
            kinds: found.kinds,
            units: found.units.into_iter().map(|(u, n)| (RecordId(u), n)).collect(),
            states: found.states,
            months: found.months,
            alike,
            meant: found.meant,
            terms: if found.exact { Vec::new() } else { request.words.terms_in(&request.text) },
            catching_up,
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// A query as the index is asked it, beside what the index has still to take up.
    pub(super) fn asked(&self, snapshot: &Snapshot, sight: &Sight, query: &Query) -> Result<Asked> {
        let (index, seen) = self.follower.index();
        let fresh = self.follower.fresh(snapshot, seen)?;
        let too_many = fresh.is_none();
        let fresh = fresh.unwrap_or_default();
        // What the actor is kept out of is for this search as if it were not there, also in the ranking.
        let open = fresh.iter().filter(|id| !sight.closes(**id));
        let docs = open.filter_map(|id| snapshot.get(*id, query.identity).transpose());
        let (docs, all_attached) = whole_documents(snapshot, &docs.collect::<Result<Vec<_>>>()?)?;
        // What was purged is not found, however much the index has still to take up.
        let mut excluded: Vec<u64> = snapshot.purged(seen)?.iter().map(|p| p.record).collect();
        excluded.extend(fresh.iter().map(|id| id.0));
        excluded.extend(sight.left().iter().map(|left| left.id.0));
        excluded.sort_unstable();
        excluded.dedup();
        let request = Request {
            text: query.text.chars().take(limits::QUERY_CHARS).collect(),
            identity: query.identity,
            since: query.since.map_or(0, |last| last.0),
            words: super::wordbook::words(snapshot)?,
            kinds: query.kinds.clone(),
            units: query.units.iter().map(|u| u.0).collect(),
            named_units: self.units_called(&query.text)?,
            states: query.states.clone(),
            from: query.from,
            to: query.to,
            order: query.order,
            offset: usize::try_from(query.offset).unwrap_or(usize::MAX),
            limit: usize::try_from(query.limit.min(limits::SEARCH_DEPTH)).unwrap_or(usize::MAX),
            exclude: excluded,
            hidden: snapshot.hidden_batches()?.into_iter().collect(),
            newest_batch: snapshot.last_id()?.0,
        };
        Ok(Asked { index, request, fresh: docs, catching_up: too_many || !all_attached })
    }

    /// The units that the text asks for by their name, or a part of it.
    fn units_called(&self, text: &str) -> Result<Vec<u64>> {
        let Some(name) = search::wanted_unit(text) else { return Ok(Vec::new()) };
        let directory = self.directory()?;
        Ok(directory.units.iter().filter(|u| u.name.contains(&name)).map(|u| u.id.0).collect())
    }

    fn hits(
        &self,
        snapshot: &Snapshot,
        (actor, sight): (&Actor, &Sight),
        query: &Query,
        found: &[search::Hit],
    ) -> Result<Vec<Hit>> {
        // A petitioner's name is not marked where the record happens to have it as well.
        let text = if query.identity { "" } else { query.text.as_str() };
        let mut hits = Vec::with_capacity(found.len());
        let (wanted, mut places) = (search::looked_for(text), Places::new());
        for hit in found {
            let Some(record) = snapshot.get(RecordId(hit.id), false)? else { continue };
            let Some(kind) = records::by_tag(record.kind) else { continue };
            let may = !query.identity || actor.may_identify(kind, record.unit);
            if may && actor.may(kind, Right::See, record.unit) && !sight.bars(&record) {
                let title = search::highlight(&kind.title_of(&record), text);
                let body = texts(kind, &record.fields, Search::Body);
                let snippet = search::snippet(&body, text, limits::SNIPPET_CHARS);
                let parent_void = parent_void(snapshot, kind, &record)?;
                let mut why = why(kind, &record.fields, text);
                let said = |part: &String| why.iter().any(|(_, parts)| parts.contains(part));
                let elsewhere = if wanted.iter().all(said) { None } else { places.of(snapshot, &record, text)? };
                let (attached, parts) = elsewhere.unzip();
                why.extend(parts.map(|parts| ("附件", parts)));
                let is_new = query.looked.is_some_and(|last| record.id > last);
                hits.push(Hit { is_new, record, kind, title, snippet, parent_void, why, attached });
            }
        }
        Ok(hits)
    }

    /// Where something sensitive was shown, and whenever a petitioner was looked for, the search and its terms are
    /// entered, the terms sealed.
    fn answer_for_search<'a>(
        &self,
        actor: &Actor,
        query: &Query,
        hits: impl Iterator<Item = &'a Hit> + Clone,
    ) -> Result<()> {
        if !query.identity && !hits.clone().any(|h| h.kind.sensitive) {
            return Ok(());
        }
        let read: Vec<_> = hits.map(|h| (h.record.id, h.record.kind, h.record.version)).collect();
        let note = if query.identity { "identity" } else { "" };
        let act = Act::new(actor.doer(), act::SEARCH).note(note).secret(&query.text).read(read);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }

    /// Entries the index has not seen, documents, bytes on disk, and its position.
    pub fn index_status(&self) -> Result<(u64, u64, u64, Seq)> {
        let (index, _) = self.follower.index();
        let position = index.position().unwrap_or_default();
        Ok((self.follower.lag(), index.doc_count(), index.size_bytes()?, position))
    }

    /// While another index is made: entries it has read, and entries there are.
    pub fn index_made(&self) -> Option<(u64, u64)> {
        self.follower.made()
    }
}

/// The state of the record this one is a row of, where that was entered by mistake.
fn parent_void(snapshot: &Snapshot, kind: &Kind, record: &Record) -> Result<Option<&'static str>> {
    let Some((id, _)) = kind.parent_of(record) else { return Ok(None) };
    let parent = snapshot.get(id, false)?;
    let flow = parent.and_then(|p| Some((records::by_tag(p.kind)?.flow, p.state)));
    Ok(flow.filter(|(flow, state)| flow.is_void(*state)).map(|(flow, state)| flow.label(state)))
}

/// Where what was asked for stands, by the fields that everybody who finds the record may read.
fn why(kind: &Kind, fields: &Fields, text: &str) -> Vec<(&'static str, Vec<String>)> {
    let places = [
        ("标题", Search::Title),
        ("编号", Search::Number),
        ("原编号", Search::Reference),
        ("姓名、单位", Search::Names),
        ("正文", Search::Body),
    ];
    let stands = |(place, role)| (place, search::occurs_in(&texts(kind, fields, role), text));
    places.into_iter().map(stands).filter(|(_, parts)| !parts.is_empty()).collect()
}

/// What the actor may find.
pub(super) fn scope(actor: &Actor, clearance: Label) -> search::Scope {
    reach(actor, clearance, |kind| actor.scope(kind, Right::See))
}

/// Records whose petitioners the actor may look for.
fn identity_scope(actor: &Actor, clearance: Label) -> search::Scope {
    reach(actor, clearance, |kind| actor.identifies(kind))
}

fn reach(actor: &Actor, clearance: Label, of: impl Fn(&Kind) -> Scope) -> search::Scope {
    let mut scope = search::Scope::nothing().under(clearance as u8);
    for kind in records::ALL.iter().filter(|k| k.indexed) {
        let sees = of(kind);
        scope = match actor.units(sees).filter(|_| kind.owned) {
            _ if sees == Scope::Nothing => scope,
            Some(units) => scope.with(kind.tag, Units::Only(units.iter().map(|u| u.0).collect())),
            None => scope.with(kind.tag, Units::All),
        };
    }
    scope
}

/// What the index is told of a record, its attachments aside; of the petitioner only where the record was read with the
/// identity.
pub(super) fn document(record: &Record) -> Option<Doc> {
    let kind = records::by_tag(record.kind).filter(|k| k.indexed && !record.is_purged())?;
    let text = |role| texts(kind, &record.fields, role);
    Some(Doc {
        id: record.id.0,
        kind: kind.tag,
        unit: record.unit.0,
        state: record.state,
        batch: record.batch().map_or(0, |b| b.0),
        label: label::of(kind, record) as u8,
        day: kind.day_of(record).number(),
        boost: (kind.weight)(record),
        number: text(Search::Number),
        reference: text(Search::Reference),
        title: text(Search::Title),
        names: text(Search::Names),
        body: text(Search::Body),
        identity: identity(kind, &record.fields),
        attached: String::new(),
    })
}

/// What a petitioner is known by, a line each.
fn identity(kind: &Kind, fields: &Fields) -> String {
    let own = identity_fields(kind).filter(|f| matches!(f.widget, Widget::Line | Widget::Area));
    let texts: Vec<&str> = own.map(|f| fields.text(f.tag)).filter(|text| !text.is_empty()).collect();
    texts.join("\n")
}

pub(super) fn texts(kind: &Kind, fields: &Fields, role: Search) -> String {
    let mut all = Vec::new();
    collect(kind.fields, fields, role, &mut all);
    all.join("\n")
}

fn collect(columns: &'static [Field], fields: &Fields, role: Search, all: &mut Vec<String>) {
    for field in columns {
        match field.widget {
            Widget::Rows(inner) => {
                fields.rows(field.tag).iter().for_each(|row| collect(inner, row, role, all));
            }
            _ if field.search == role && field.part == records::Part::Main => {
                let text = fields.display(columns, field.tag);
                all.extend((!text.is_empty()).then_some(text));
            }
            _ => {}
        }
    }
}
