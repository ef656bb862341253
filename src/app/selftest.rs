//! Whether search finds what is there: a sample of the county's own records, each asked for by its number, its title, a
//! piece of its text and the names in it, as somebody would who may see everything.
//!
//! What must hold: the same store draws the same sample; what is told of it is how much was found, and kind and id of
//! what was not, never a word of a record.

use super::App;
use super::attached::whole_documents;
use super::search::document;
use crate::base::{RecordId, Result, limits};
use crate::records::{self, Kind, act};
use crate::search::{self, Doc, Request, Units};
use crate::store::{Act, Doer, Snapshot};

/// Records that `doctor` tries.
pub(super) const SHORT_SAMPLE: usize = 30;
/// Records that are drawn for each that is tried, at the most: most of a store may be of a kind that is not indexed.
const DRAWS: usize = 40;
/// Characters of a piece of text.
const PIECE: usize = 12;
/// Shortest text that is asked for, in characters.
const SHORTEST: usize = 2;

/// What was tried of one sort of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What the text was.
    pub what: &'static str,
    /// How often it was asked.
    pub asked: usize,
    /// Found on the first page.
    pub first: usize,
    /// Found behind the first page, because so many other records have the same text.
    pub behind: usize,
    /// What users call the kind, and the id, of what was not found.
    pub missed: Vec<(&'static str, RecordId)>,
}

impl App {
    /// Tries search with up to `sample` records of each kind, and enters how it came out.
    pub fn test_search(&self, doer: &Doer, sample: usize) -> Result<Vec<Tried>> {
        let tried = self.try_search(sample)?;
        let count = |of: fn(&Tried) -> usize| tried.iter().map(of).sum::<usize>();
        let note = format!("asked {} missed {}", count(|t| t.asked), count(|t| t.missed.len()));
        let act = Act::new(doer.clone(), act::SEARCH_TESTED).note(&note);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        Ok(tried)
    }

    /// Tries search with up to `sample` records of each kind.
    pub(super) fn try_search(&self, sample: usize) -> Result<Vec<Tried>> {
        let snapshot = self.store.read()?;
        let none = |what| Tried { what, asked: 0, first: 0, behind: 0, missed: Vec::new() };
        let mut tried = ["编号", "标题", "正文片段", "姓名和单位"].map(none);
        for (kind, doc, at) in drawn(&snapshot, sample)? {
            for (tried, text) in tried.iter_mut().zip(texts(&doc, at)) {
                let Some(text) = text.filter(|t| t.chars().count() >= SHORTEST) else { continue };
                tried.asked += 1;
                match self.place_of(&snapshot, &doc, &text)? {
                    Some(true) => tried.first += 1,
                    Some(false) => tried.behind += 1,
                    None => tried.missed.push((kind.label, RecordId(doc.id))),
                }
            }
        }
        Ok(tried.into())
    }

    /// Whether the row is found by the text, and on the first page.
    fn place_of(&self, snapshot: &Snapshot, doc: &Doc, text: &str) -> Result<Option<bool>> {
        let page = usize::try_from(limits::PAGE_ROWS).unwrap_or(usize::MAX);
        let first = Request { text: text.to_owned(), limit: page, ..self.plain(snapshot)? };
        let (found, total) = self.finds(snapshot, doc.id, &first)?;
        if found || total <= page as u64 {
            return Ok(found.then_some(true));
        }
        let (kinds, units) = (vec![doc.kind], vec![doc.unit]);
        let deep = Request { kinds, units, from: doc.day, to: doc.day, limit: search::PAGE_DEPTH_MAX, ..first };
        Ok(self.finds(snapshot, doc.id, &deep)?.0.then_some(false))
    }

    fn plain(&self, snapshot: &Snapshot) -> Result<Request> {
        let hidden = snapshot.hidden_batches()?.into_iter().collect();
        Ok(Request { hidden, newest_batch: snapshot.last_id()?.0, ..Request::default() })
    }

    fn finds(&self, snapshot: &Snapshot, id: u64, request: &Request) -> Result<(bool, u64)> {
        let (index, seen) = self.follower.index();
        let fresh = self.follower.fresh(snapshot, seen)?.unwrap_or_default();
        let docs = fresh.iter().filter_map(|id| snapshot.get(*id, false).transpose()).collect::<Result<Vec<_>>>()?;
        let (docs, _) = whole_documents(snapshot, &docs)?;
        let mut exclude: Vec<u64> = snapshot.purged(seen)?.iter().map(|p| p.record).collect();
        exclude.extend(fresh.iter().map(|id| id.0));
        let request = Request { exclude, ..request.clone() };
        let every = search::Scope::nothing().under(u8::MAX);
        let every = records::ALL.iter().filter(|k| k.indexed).fold(every, |s, k| s.with(k.tag, Units::All));
        let found = self.follower.ask(|| index.search(&every, &request, &docs))?;
        Ok((found.hits.iter().any(|h| h.id == id), found.total))
    }
}

/// Up to `sample` rows of each kind, with a number for where to cut each. Which they are follows from how many records
/// there are.
fn drawn(snapshot: &Snapshot, sample: usize) -> Result<Vec<(&'static Kind, Doc, usize)>> {
    let last = snapshot.last_id()?.0;
    let kinds: Vec<&'static Kind> = records::ALL.iter().copied().filter(|k| k.indexed).collect();
    let mut taken: Vec<usize> = vec![0; kinds.len()];
    let (mut rows, mut seen) = (Vec::new(), std::collections::HashSet::new());
    let mut state = last;
    for n in 0..sample.saturating_mul(DRAWS) as u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A small store is tried whole.
        let id = if n < last && last <= sample as u64 * 4 { n + 1 } else { (state >> 33) % last.max(1) + 1 };
        if taken.iter().all(|t| *t >= sample) || seen.len() as u64 >= last {
            break;
        }
        if !seen.insert(id) {
            continue;
        }
        let Some(doc) = snapshot.get(RecordId(id), false)?.as_ref().and_then(document) else { continue };
        let Some(at) = kinds.iter().position(|k| k.tag == doc.kind).filter(|at| taken[*at] < sample) else { continue };
        taken[at] += 1;
        rows.push((kinds[at], doc, (state >> 40) as usize));
    }
    Ok(rows)
}

/// Number, title, a piece of the text and a name, as far as the row has them and they can be typed as they are.
fn texts(doc: &Doc, at: usize) -> [Option<String>; 4] {
    let line = |text: &str| {
        let line = text.lines().next().unwrap_or_default().trim();
        let plain = !line.is_empty() && !line.starts_with('-') && !line.contains('"');
        let cut: String = line.chars().take(search::NAME_CHARS_MAX * 4).collect();
        // Blanks part what is searched for; quotes keep it together.
        plain.then(|| if cut.contains(char::is_whitespace) { format!("\"{}\"", cut.trim_end()) } else { cut })
    };
    let runs = doc.body.split(|c: char| !c.is_alphanumeric()).map(|run| run.chars().collect::<Vec<_>>());
    let runs: Vec<_> = runs.filter(|run| run.len() >= SHORTEST * 2).collect();
    let piece = runs.get(at.checked_rem(runs.len()).unwrap_or(0)).map(|run| {
        let from = at % (run.len().saturating_sub(PIECE) + 1);
        run[from..run.len().min(from + PIECE)].iter().collect()
    });
    [line(&doc.number), line(&doc.title), piece, line(&doc.names)]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::access::local_doer;
    use crate::app::demo;
    use crate::base::{Moment, clock::ManualClock};
    use crate::search::Change;

    #[test]
    fn what_the_index_lost_is_told_by_kind_and_id() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
        let app = demo::create(&dir.path().join("d"), clock, false).unwrap();
        app.wait_for_index().unwrap();
        let before = app.test_search(&local_doer(), 40).unwrap();
        let whole = |t: &Tried| t.missed.is_empty() && t.asked > 0 && t.first + t.behind == t.asked;
        assert!(before.iter().all(whole), "{before:?}");
        assert_eq!(app.try_search(40).unwrap()[1..3], before[1..3], "the same store draws the same sample");
        app.wait_for_index().unwrap();
        let (kind, doc, _) = drawn(&app.store.read().unwrap(), 40).unwrap().into_iter().next().unwrap();
        let (index, seen) = app.follower.index();
        index.apply(vec![Change { id: doc.id, doc: None }]).unwrap();
        index.commit(seen).unwrap();
        let after = app.try_search(40).unwrap();
        let missed: Vec<_> = after.iter().flat_map(|t| &t.missed).map(|(label, id)| (*label, id.0)).collect();
        assert!(missed.len() >= 2 && missed.iter().all(|m| *m == (kind.label, doc.id)), "{missed:?}");
        let finding = app.doctor(true).unwrap().into_iter().find(|f| f.name == "检索自检").unwrap();
        assert!(!finding.text.contains(&doc.title), "{finding:?}");
    }
}
