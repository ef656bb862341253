//! Searches that somebody keeps to ask again (保存的检索), with how many records came since they last looked.
//!
//! What must hold: they are their owner's alone, sealed, and stand in no address; what is counted is counted by right
//! at the moment it is shown; a search for a petitioner is never kept.

use super::search::{Asked, Query, scope};
use super::sight::Sight;
use super::{Actor, App};
use crate::base::{Error, RecordId, Result};
use crate::records::{Fields, Value, act, field};
use crate::search::Order;
use crate::store::{Act, fact};

/// Most searches that somebody keeps.
pub const SAVED_MAX: usize = 20;
/// Longest name of one, in characters.
const NAME_CHARS: usize = 40;

/// Tags of what is stored (`data-format/store.md`).
mod tag {
    pub(super) const SEARCHES: u16 = 18;
    pub(super) const NUMBER: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const TEXT: u16 = 3;
    pub(super) const FILTERS: u16 = 4;
    pub(super) const LAST: u16 = 5;
}

/// A search that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Names it among its owner's; never given again.
    pub number: i64,
    /// What its owner calls it.
    pub name: String,
    /// What is searched for.
    pub text: String,
    /// Filters as the address of the results has them, empty for none.
    pub filters: String,
    /// The newest record when its owner last looked: later ones are new.
    pub last: RecordId,
}

/// What its owner does with the searches they keep.
enum Change {
    Add { name: String, text: String, filters: String },
    Rename(String),
    Look,
    Remove,
}

impl App {
    /// The searches the actor keeps, in the order they were saved.
    pub fn saved_searches(&self, actor: &Actor) -> Result<Vec<Saved>> {
        Ok(read(&self.store.read()?.kept(&name(actor))?.unwrap_or_default()))
    }

    /// How many records that came since its owner last looked a search finds, by right. `query` is its text with its
    /// filters.
    pub fn new_since(&self, actor: &Actor, query: &Query, last: RecordId) -> Result<u64> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let query = Query { limit: 0, offset: 0, order: Order::Newest, since: Some(last), ..query.clone() };
        let Asked { index, request, fresh, .. } = self.asked(&snapshot, &sight, &query)?;
        let found = self.follower.ask(|| index.search(&scope(actor, sight.clearance()), &request, &fresh))?;
        Ok(found.total)
    }

    /// Keeps a search under a name.
    pub fn save_search(&self, actor: &Actor, query: &Query, filters: &str, name: &str) -> Result<()> {
        if query.identity {
            return Err(Error::invalid("按检举控告人查找的不能保存，每次查找都要写明理由。"));
        }
        let name = named(name)?;
        let (text, filters) = (query.text.clone(), filters.to_owned());
        self.change_saved(actor, 0, Change::Add { name, text, filters }).map(drop)
    }

    /// Calls it something else.
    pub fn rename_saved(&self, actor: &Actor, number: i64, name: &str) -> Result<()> {
        self.change_saved(actor, number, Change::Rename(named(name)?)).map(drop)
    }

    /// The search as it was before its owner looks, which they do now.
    pub fn look_at_saved(&self, actor: &Actor, number: i64) -> Result<Saved> {
        self.change_saved(actor, number, Change::Look)?.ok_or_else(Error::denied)
    }

    /// Keeps it no longer.
    pub fn remove_saved(&self, actor: &Actor, number: i64) -> Result<()> {
        self.change_saved(actor, number, Change::Remove).map(drop)
    }

    fn change_saved(&self, actor: &Actor, number: i64, change: Change) -> Result<Option<Saved>> {
        let actor = actor.clone();
        // What comes in from here on is new the next time.
        let last = self.store.read()?.last_id()?;
        self.store.submit(move |txn| {
            super::record::live(txn, &actor)?;
            let place = name(&actor);
            let mut all = read(&txn.kept(&place)?.unwrap_or_default());
            let at = all.iter().position(|s| s.number == number);
            let before = at.map(|at| all[at].clone());
            let action = apply(&mut all, at, last, change)?;
            txn.act(Act::new(actor.doer(), action));
            if all.is_empty() {
                txn.forget(&place);
            } else {
                txn.keep(&place, &written(&all))?;
            }
            Ok(before)
        })
    }
}

fn apply(all: &mut Vec<Saved>, at: Option<usize>, last: RecordId, change: Change) -> Result<act::Action> {
    match (change, at) {
        (Change::Add { name, text, filters }, _) => {
            if all.len() >= SAVED_MAX {
                let text = format!("最多保存 {SAVED_MAX} 个检索，没有保存。请先在“全文检索”页删除不用的。");
                return Err(Error::invalid(text));
            }
            if all.iter().any(|s| s.name == name) {
                return Err(Error::invalid("已有同名的检索，没有保存。请换一个名称。"));
            }
            let number = all.iter().map(|s| s.number).max().unwrap_or(0) + 1;
            all.push(Saved { number, name, text, filters, last });
            Ok(act::SEARCH_SAVED)
        }
        (_, None) => Err(Error::denied()),
        (Change::Rename(name), Some(at)) => {
            if all.iter().enumerate().any(|(n, s)| n != at && s.name == name) {
                return Err(Error::invalid("已有同名的检索，没有改名。请换一个名称。"));
            }
            all[at].name = name;
            Ok(act::SEARCH_SAVED)
        }
        (Change::Look, Some(at)) => {
            all[at].last = last;
            Ok(act::SEARCH_LOOKED)
        }
        (Change::Remove, Some(at)) => {
            all.remove(at);
            Ok(act::SEARCH_REMOVED)
        }
    }
}

fn named(name: &str) -> Result<String> {
    field::remark("检索名称", name, NAME_CHARS).map_err(Error::invalid)
}

fn name(actor: &Actor) -> String {
    format!("{}{}.searches", fact::CHOICE, actor.account)
}

fn read(kept: &Fields) -> Vec<Saved> {
    let saved = |row: &Fields| Saved {
        number: row.int(tag::NUMBER),
        name: row.text(tag::NAME).to_owned(),
        text: row.text(tag::TEXT).to_owned(),
        filters: row.text(tag::FILTERS).to_owned(),
        last: row.link(tag::LAST).unwrap_or(RecordId(0)),
    };
    kept.rows(tag::SEARCHES).iter().map(saved).collect()
}

fn written(all: &[Saved]) -> Fields {
    let row = |s: &Saved| {
        Fields::default()
            .with(tag::NUMBER, Value::Int(s.number))
            .with_text(tag::NAME, s.name.as_str())
            .with_text(tag::TEXT, s.text.as_str())
            .with_text(tag::FILTERS, s.filters.as_str())
            .with(tag::LAST, Value::Link(s.last))
    };
    Fields::default().with(tag::SEARCHES, Value::Rows(all.iter().map(row).collect()))
}
