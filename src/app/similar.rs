//! Records like one that is open: by right, bounded, and answered for as a search is.

use super::search::scope;
use super::sight::Sight;
use super::{Actor, App, Right};
use crate::base::{Error, RecordId, Result};
use crate::records::{self, Kind, Record, act, article, petition};
use crate::search::{Alike, Like, Pieces, Request};
use crate::store::{Act, Snapshot};

/// Rows that are looked at for each reason.
pub(super) const LOOKED_AT: usize = 40;
/// Most rows that are shown of a kind.
const SHOWN: usize = 10;
/// Pieces two texts must share to be told of as alike.
const SHARED_MIN: usize = 4;

/// A record like the one asked for, and how much of the shorter text both share, in hundredths.
pub struct Resembling {
    /// The record, without identity.
    pub record: Record,
    /// How much.
    pub overlap: u32,
}

/// What resembles a record.
pub struct Similar {
    /// The record itself.
    pub record: Record,
    /// Petitions.
    pub petitions: Vec<Resembling>,
    /// Articles.
    pub articles: Vec<Resembling>,
}

/// Records of this kind have a page of what resembles them.
pub fn applies(kind: &Kind) -> bool {
    [petition::KIND.tag, article::KIND.tag].contains(&kind.tag)
}

impl App {
    /// What resembles a petition or an article, as far as the actor may see it.
    pub fn similar(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Result<Similar> {
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        if !applies(kind) || record.is_purged() {
            return Err(Error::denied());
        }
        let sight = Sight::of(&snapshot, actor)?;
        let mut petitions = Vec::new();
        if kind.tag == petition::KIND.tag {
            petitions = self.resembling(&snapshot, (actor, &sight), &record, &petition::KIND)?;
        }
        let articles = self.resembling(&snapshot, (actor, &sight), &record, &article::KIND)?;
        if kind.sensitive {
            let shown = petitions.iter().map(|r| &r.record).chain([&record]);
            let read: Vec<_> = shown.map(|r| (r.id, r.kind, r.version)).collect();
            let act = Act::new(actor.doer(), act::SIMILAR).note(kind.name).read(read);
            self.store.submit(move |txn| {
                txn.act(act);
                Ok(())
            })?;
        }
        Ok(Similar { record, petitions, articles })
    }

    fn resembling(
        &self,
        snapshot: &Snapshot,
        (actor, sight): (&Actor, &Sight),
        record: &Record,
        wanted: &'static Kind,
    ) -> Result<Vec<Resembling>> {
        let text = words(record);
        let like = Like { text: text.clone(), ..Like::default() };
        let found = self.alike(snapshot, (actor, sight), (wanted, Some(record.id), LOOKED_AT), &like)?;
        let own = Pieces::of(&text);
        let mut all = Vec::new();
        for other in open(snapshot, (actor, sight), wanted, &found.worded)? {
            let theirs = Pieces::of(&words(&other));
            let shared = own.shared(&theirs);
            if shared >= SHARED_MIN {
                all.push((shared, Resembling { overlap: own.overlap(&theirs), record: other }));
            }
        }
        all.sort_by_key(|(shared, r)| (std::cmp::Reverse(*shared), std::cmp::Reverse(r.record.id)));
        Ok(all.into_iter().map(|(_, r)| r).take(SHOWN).collect())
    }

    /// Asks the index what resembles `like` among records of a kind that the actor may see.
    pub(super) fn alike(
        &self,
        snapshot: &Snapshot,
        (actor, sight): (&Actor, &Sight),
        (kind, but, limit): (&'static Kind, Option<RecordId>, usize),
        like: &Like,
    ) -> Result<Alike> {
        let (index, seen) = self.follower.index();
        let fresh = self.follower.fresh(snapshot, seen)?.unwrap_or_default();
        let open = fresh.iter().filter(|id| !sight.closes(**id) && Some(**id) != but);
        let docs = open.filter_map(|id| snapshot.get(*id, false).transpose()).collect::<Result<Vec<_>>>()?;
        let docs: Vec<_> = docs.iter().filter_map(super::search::document).collect();
        let mut exclude: Vec<u64> = snapshot.purged(seen)?.iter().map(|p| p.record).collect();
        exclude.extend(fresh.iter().chain(but.iter()).map(|id| id.0));
        exclude.extend(sight.left().iter().map(|left| left.id.0));
        exclude.sort_unstable();
        exclude.dedup();
        let request = Request {
            kinds: vec![kind.tag],
            limit,
            exclude,
            hidden: snapshot.hidden_batches()?.into_iter().collect(),
            newest_batch: snapshot.last_id()?.0,
            ..Request::default()
        };
        let scope = scope(actor, sight.clearance());
        self.follower.ask(|| index.similar(&scope, &request, &docs, like))
    }
}

/// Records by their ids, read again and authorised again; void and purged ones left out.
pub(super) fn open(
    snapshot: &Snapshot,
    (actor, sight): (&Actor, &Sight),
    kind: &'static Kind,
    ids: &[u64],
) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(record) = snapshot.get(RecordId(*id), false)?.filter(|r| r.kind == kind.tag) else { continue };
        let seen = actor.may(kind, Right::See, record.unit) && !sight.bars(&record);
        if seen && !record.is_purged() && !kind.flow.is_void(record.state) {
            records.push(record);
        }
    }
    Ok(records)
}

/// The words of a record that are compared.
pub(super) fn words(record: &Record) -> String {
    match records::by_tag(record.kind) {
        Some(kind) if kind.tag == petition::KIND.tag => {
            [kind.title_of(record).as_str(), record.fields.text(petition::tag::TEXT)].join("\n")
        }
        Some(_) => record.fields.text(article::tag::TEXT).to_owned(),
        None => String::new(),
    }
}
