//! What is offered while somebody types into the search box: records whose title, number or names begin so, in
//! characters, pinyin or first letters.
//!
//! What must hold: offers are chosen and authorised as hits are, never from a petitioner's identity; where something
//! sensitive was offered the journal says so, as of a search; what is typed stands in no address.

use super::search::{Asked, Query, scope, texts};
use super::sight::Sight;
use super::{Actor, App, Right};
use crate::base::{RecordId, Result};
use crate::records::{self, Kind, Search, act};
use crate::search;
use crate::store::Act;

/// Most offers at a time.
const OFFERS: u64 = 8;

/// Longest beginning that is looked at, in characters; whoever typed more searches.
const TYPED_CHARS: usize = 40;

/// A record that may be meant.
pub struct Offer {
    /// The record.
    pub id: RecordId,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its title.
    pub title: String,
    /// The name that begins as typed, or else its number.
    pub beside: String,
}

impl App {
    /// Records to offer for what was typed so far.
    pub fn suggest(&self, actor: &Actor, typed: &str) -> Result<Vec<Offer>> {
        let typed = typed.trim();
        if typed.is_empty() || typed.chars().count() > TYPED_CHARS {
            return Ok(Vec::new());
        }
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let query = Query { text: typed.to_owned(), limit: OFFERS, ..Query::default() };
        let Asked { index, request, fresh, .. } = self.asked(&snapshot, &sight, &query)?;
        let found = self.follower.ask(|| index.suggest(&scope(actor, sight.clearance()), &request, &fresh))?;
        let (mut offers, mut shown) = (Vec::new(), Vec::new());
        for hit in found {
            let Some(record) = snapshot.get(RecordId(hit.id), false)? else { continue };
            let Some(kind) = records::by_tag(record.kind) else { continue };
            if !actor.may(kind, Right::See, record.unit) || sight.bars(&record) {
                continue;
            }
            let names = texts(kind, &record.fields, Search::Names);
            let beside = search::begun_name(&names, typed).unwrap_or_else(|| kind.number_of(&record)).to_owned();
            offers.push(Offer { id: record.id, kind, title: kind.title_of(&record), beside });
            shown.push((record.id, record.kind, record.version));
        }
        if offers.iter().any(|o| o.kind.sensitive) {
            let act = Act::new(actor.doer(), act::SUGGEST).secret(typed).read(shown);
            self.store.submit(move |txn| {
                txn.act(act);
                Ok(())
            })?;
        }
        Ok(offers)
    }
}
