//! One mistake put right (您要找的是不是): a character that is wrong, too few or two that changed places.
//!
//! What must hold: only texts that nothing contains are corrected; what is proposed stands in a row that the person
//! may see. Looking for proposals costs no more in a large index than in a small one: terms are looked up, few are
//! walked.

use std::cell::RefCell;
use std::collections::HashMap;

use tantivy::Term;
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::schema::Field;

use crate::base::Result;

use super::gather::Matches;
use super::query::Plan;
use super::schema::Fields;
use super::{Ask, indexer, sounds};

/// Longest text that is corrected, in characters.
const CHARS_MAX: usize = 16;

/// Most pairs that are walked to find what may follow a character.
const FOLLOWERS_MAX: usize = 2_000;

/// Places at which mistakes are looked for: where the pairs are rarest.
const PLACES_MAX: usize = 2;

/// Proposals that are tried.
const TRIED_MAX: usize = 6;

/// A proposal: how much speaks for it, and its characters.
type Proposal = (u64, Vec<char>);

/// The corrections of `chars` that rows in scope contain, the likeliest first, with the query that finds them.
pub(super) fn corrections(
    ask: &Ask<'_>,
    fields: &Fields,
    chars: &[char],
) -> Result<Vec<(String, Box<dyn Query>)>> {
    let mut found = Vec::new();
    if !(3..=CHARS_MAX).contains(&chars.len()) || !chars.iter().all(|c| c.is_alphanumeric()) {
        return Ok(found);
    }
    for (_, way) in proposals(ask, fields, chars)? {
        let text: String = way.iter().collect();
        let query = Plan::new(&text).strict(fields, &[]);
        if !ask.few(query.as_ref(), 1, Matches::new())?.is_empty() {
            found.push((text, query));
        }
    }
    Ok(found)
}

fn proposals(ask: &Ask<'_>, fields: &Fields, chars: &[char]) -> Result<Vec<Proposal>> {
    let statistics = ask.statistics();
    let known: RefCell<HashMap<[char; 2], u64>> = RefCell::default();
    let rows = |a: char, b: char| -> u64 {
        let look = || {
            let text: String = [a, b].iter().collect();
            let of = |field| statistics.doc_freq(&Term::from_field_text(field, &text)).unwrap_or(0);
            of(fields.body) + 4 * of(fields.title) + of(fields.names)
        };
        *known.borrow_mut().entry([a, b]).or_insert_with(look)
    };
    let mut all: Vec<Proposal> = Vec::new();
    // How well a text holds together is how rare its rarest pair is.
    let mut propose = |way: Vec<char>, likely: u64| {
        // What comes to nothing at one pair need not be looked up at the others.
        let rarest = way.windows(2).try_fold(u64::MAX, |least, w| {
            let rows = rows(w[0], w[1]);
            (rows > 0).then_some(least.min(rows))
        });
        let rarest = rarest.unwrap_or(0);
        if rarest > 0 && way != chars {
            all.push((rarest.saturating_mul(likely), way));
        }
    };
    for at in 0..chars.len() - 1 {
        let mut way = chars.to_vec();
        way.swap(at, at + 1);
        propose(way, 8);
    }
    let mut places: Vec<(u64, usize)> =
        chars.windows(2).enumerate().map(|(at, w)| (rows(w[0], w[1]), at)).collect();
    places.sort_unstable();
    for (_, at) in places.into_iter().take(PLACES_MAX) {
        for wrong in [at, at + 1] {
            for &same in sounds::same(chars[wrong]) {
                let mut way = chars.to_vec();
                way[wrong] = same;
                propose(way, 16);
            }
        }
        for next in followers(ask, fields.title, chars[at])? {
            let mut more = chars.to_vec();
            more.insert(at + 1, next);
            propose(more, 2);
            let mut other = chars.to_vec();
            other[at + 1] = next;
            propose(other, 1);
        }
    }
    all.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
    all.dedup_by(|a, b| a.1 == b.1);
    all.truncate(TRIED_MAX);
    Ok(all)
}

/// The characters that stand behind `first` in some title.
fn followers(ask: &Ask<'_>, field: Field, first: char) -> Result<Vec<char>> {
    let start = first.to_string();
    let mut all = Vec::new();
    for shelf in &ask.shelves {
        for reader in shelf.searcher().segment_readers() {
            let known = reader.inverted_index(field).map_err(indexer::failed)?;
            let mut stream = known.terms().range().ge(start.as_bytes()).into_stream()?;
            for _ in 0..FOLLOWERS_MAX {
                if !stream.advance() || !stream.key().starts_with(start.as_bytes()) {
                    break;
                }
                all.extend(String::from_utf8_lossy(stream.key()).chars().nth(1));
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
