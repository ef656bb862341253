//! What people choose for their lists, remembered for each account and kind: filters and columns. Sealed facts, like
//! drafts, that outlive restarts; a choice that does not change writes nothing.

use super::{Actor, App};
use crate::base::Result;
use crate::records::{Fields, Kind, Part, Value, Widget, act};
use crate::store::{Act, fact};

/// Tags of a stored choice (`data-format/store.md`).
mod tag {
    pub(super) const FILTERS: u16 = 16;
    pub(super) const COLUMNS: u16 = 17;
}

/// What somebody chose for the list of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Filters as the list's address has them, empty for none.
    pub filters: String,
    /// Fields that are shown, by tag, in the order of the form; empty for those the kind begins with.
    pub columns: Vec<u16>,
}

impl App {
    /// What the actor chose for the list of a kind.
    pub fn choice(&self, actor: &Actor, kind: &'static Kind) -> Result<Choice> {
        let kept = self.store.read()?.kept(&name(actor, kind))?.unwrap_or_default();
        Ok(read(kind, &kept))
    }

    /// Remembers the filters of a list.
    pub fn choose_filters(&self, actor: &Actor, kind: &'static Kind, filters: &str) -> Result<()> {
        let now = self.choice(actor, kind)?;
        self.choose(actor, kind, &now, Choice { filters: filters.to_owned(), columns: now.columns.clone() })
    }

    /// Remembers the columns of a list, by the names of their fields; what no list offers is left out, none at all
    /// gives those the kind begins with.
    pub fn choose_columns(&self, actor: &Actor, kind: &'static Kind, names: &[String]) -> Result<()> {
        let now = self.choice(actor, kind)?;
        let offered = offered(kind).into_iter().filter(|tag| {
            kind.field(*tag).is_some_and(|f| *tag == kind.title || names.iter().any(|n| n == f.name))
        });
        let columns: Vec<u16> = if names.is_empty() { Vec::new() } else { offered.collect() };
        self.choose(actor, kind, &now, Choice { filters: now.filters.clone(), columns })
    }

    fn choose(&self, actor: &Actor, kind: &'static Kind, now: &Choice, next: Choice) -> Result<()> {
        // A standby remembers nothing of its own: what is chosen there holds for the page.
        if *now == next || self.is_standby() {
            return Ok(());
        }
        let (name, act) = (name(actor, kind), Act::new(actor.doer(), act::CHOICE).note(kind.name));
        self.store.submit(move |txn| {
            match written(kind, &next) {
                fields if fields.is_empty() => txn.forget(&name),
                fields => txn.keep(&name, &fields)?,
            }
            txn.act(act);
            Ok(())
        })
    }
}

/// Fields a list of a kind can show: short ones of the main part. The petitioner's identity is never among them.
pub fn offered(kind: &Kind) -> Vec<u16> {
    let short = |w: &Widget| !matches!(w, Widget::Area | Widget::Rows(_) | Widget::Files | Widget::Hidden);
    kind.fields.iter().filter(|f| f.part == Part::Main && short(&f.widget)).map(|f| f.tag).collect()
}

fn name(actor: &Actor, kind: &Kind) -> String {
    format!("{}{}.{}", fact::CHOICE, actor.account, kind.name)
}

fn read(kind: &Kind, kept: &Fields) -> Choice {
    // A field that is no longer offered is no longer shown.
    let chosen = kept.codes(tag::COLUMNS);
    let named = |tag: &u16| kind.field(*tag).is_some_and(|f| chosen.iter().any(|n| n == f.name));
    let columns = offered(kind).into_iter().filter(named).collect();
    Choice { filters: kept.text(tag::FILTERS).to_owned(), columns }
}

fn written(kind: &Kind, choice: &Choice) -> Fields {
    let fields = Fields::default().with_text(tag::FILTERS, choice.filters.as_str());
    if choice.columns.is_empty() {
        return fields;
    }
    let names = choice.columns.iter().filter_map(|tag| kind.field(*tag)).map(|f| f.name.to_owned());
    fields.with(tag::COLUMNS, Value::Codes(names.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records;

    #[test]
    fn no_list_offers_the_identity_and_every_list_offers_what_it_begins_with() {
        for kind in records::ALL {
            let offered = offered(kind);
            let fields = || offered.iter().filter_map(|tag| kind.field(*tag));
            assert!(fields().all(|f| f.part == Part::Main), "{}", kind.name);
            assert!(kind.columns.iter().all(|tag| offered.contains(tag)), "{}", kind.name);
            let all = Choice { filters: "state=2".into(), columns: offered.clone() };
            assert_eq!(read(kind, &written(kind, &all)), all);
        }
        let petition = &records::petition::KIND;
        let planted = Value::Codes(vec!["petitioner.name".into(), "title".into(), "other".into()]);
        let read = read(petition, &Fields::default().with(tag::COLUMNS, planted));
        assert_eq!(read.columns, [records::petition::tag::TITLE]);
    }
}
