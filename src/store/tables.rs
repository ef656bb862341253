//! The tables of the store, and the keys of the derived ones. `data-format/store.md` describes each by bytes.

use redb::TableDefinition;

use super::journal::Header;
use crate::records::label::{self, LABEL, Label};
use crate::records::record::{BATCH, MADE_BY};
use crate::records::{Kind, Record, act, batch, conflict, purge};

/// Facts about the store itself: version, id, epoch, head of the journal, next id, sealed secrets.
pub(super) const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
/// Last number given by each counter.
pub(super) const COUNTERS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("counters");
/// Sealed current version of each record.
pub(super) const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Key of each record, wrapped by the generation key; id 0 is the store's own.
pub(super) const RECORD_KEYS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("record_keys");
/// What was done, chained.
pub(super) const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// A standby's own entries: the journal it follows is not its to add to.
pub(super) const LOCAL_JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("local_journal");

/// Derived: records of a kind by unit, state, day (newest first) and id.
pub(super) const LISTS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("derived_lists");
/// Derived: how many records of a kind a unit has in a state.
pub(super) const TALLIES: TableDefinition<'_, &[u8], u64> = TableDefinition::new("derived_tallies");
/// Derived: records by keyed hash of an exact value.
pub(super) const LOOKUPS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("derived_lookups");
/// Derived: rows of a parent in their order.
pub(super) const CHILDREN: TableDefinition<'_, &[u8], ()> = TableDefinition::new("derived_children");
/// Derived: journal entries that touch a record.
pub(super) const TOUCHES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("derived_touches");

/// Derived: batches whose records cannot be seen.
pub(super) const HIDDEN: TableDefinition<'_, u64, ()> = TableDefinition::new("derived_hidden");

/// Derived: records whose content was purged, with the number of the entry that did it.
pub(super) const PURGED: TableDefinition<'_, u64, u64> = TableDefinition::new("derived_purged");

/// Names of all tables, for the check that each is described.
pub const NAMES: &[&str] = &[
    "meta",
    "counters",
    "records",
    "record_keys",
    "journal",
    "local_journal",
    "derived_lists",
    "derived_tallies",
    "derived_lookups",
    "derived_children",
    "derived_touches",
    "derived_hidden",
    "derived_purged",
];

/// The derived rows of one record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) list: Vec<u8>,
    pub(super) tally: Vec<u8>,
    pub(super) lookups: Vec<Vec<u8>>,
    pub(super) child: Option<Vec<u8>>,
    pub(super) hides: Option<u64>,
}

/// Computes them; `hash` is the keyed hash over exact values.
pub(super) fn rows(kind: &Kind, record: &Record, hash: &dyn Fn(&[u8]) -> [u8; 16]) -> Rows {
    let id = record.id.0;
    let child = kind.parent_of(record).map(|(parent, order)| {
        [&parent.0.to_be_bytes()[..], &[kind.tag], &order.to_be_bytes(), &id.to_be_bytes()].concat()
    });
    // A row of a batch says so at its end, and a label of its own, so that lists can pass over what cannot be seen.
    let mut tail = record.batch().map_or(Vec::new(), |b| b.0.to_be_bytes().to_vec());
    tail.extend(label::own(record).map(|l| l as u8));
    let lookups = kind.keys.iter().chain(&[MADE_BY, BATCH, LABEL]).filter_map(|tag| {
        let value = record.fields.display(kind.fields, *tag);
        // A submit id is found without the digest of what its form said.
        let value = if *tag == MADE_BY { value.split('.').next().unwrap_or_default().to_owned() } else { value };
        (!value.is_empty()).then(|| [&lookup_prefix(kind, *tag, &value, hash)[..], &id.to_be_bytes()].concat())
    });
    let persons = conflict::names(kind, record).into_iter().map(|name| {
        [&lookup_prefix(kind, conflict::PERSONS, &name, hash)[..], &id.to_be_bytes()].concat()
    });
    let list = list_key(kind.tag, record.unit.0, record.state, kind.day_of(record).number(), id);
    Rows {
        list: [list, tail.clone()].concat(),
        tally: [tally_key(kind.tag, record.unit.0, record.state), tail].concat(),
        lookups: lookups.chain(persons).collect(),
        child,
        hides: batch::hides(record).then_some(id),
    }
}

/// Key of LISTS: kind, unit, state, then newest day and highest id first.
pub(super) fn list_key(kind: u8, unit: u64, state: u8, day: i32, id: u64) -> Vec<u8> {
    let newest_first = !day.unsigned_abs();
    [&tally_key(kind, unit, state)[..], &newest_first.to_be_bytes(), &(!id).to_be_bytes()].concat()
}

/// Day and id of a key of LISTS.
pub(super) fn list_parts(key: &[u8]) -> Option<(i32, u64)> {
    let day = u32::from_be_bytes(key.get(10..14)?.try_into().ok()?);
    let id = u64::from_be_bytes(key.get(14..22)?.try_into().ok()?);
    Some((i32::try_from(!day).ok()?, !id))
}

/// The batch at the end of a key of LISTS.
pub(super) fn list_batch(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(22..30)?.try_into().ok()?))
}

/// The batch at the end of a key of TALLIES.
pub(super) fn tally_batch(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(10..18)?.try_into().ok()?))
}

/// The label at the end of a key of LISTS, or that of the kind.
pub(super) fn list_label(kind: &Kind, key: &[u8]) -> Label {
    label_behind(kind, key, 22)
}

/// The label at the end of a key of TALLIES, or that of the kind.
pub(super) fn tally_label(kind: &Kind, key: &[u8]) -> Label {
    label_behind(kind, key, 10)
}

/// A batch has eight bytes, a label one.
fn label_behind(kind: &Kind, key: &[u8], from: usize) -> Label {
    match key.get(from..) {
        Some([number]) | Some([_, _, _, _, _, _, _, _, number]) => Label::of_number(*number),
        _ => label::of_kind(kind),
    }
}

/// Key of TALLIES, and the prefix of keys of LISTS.
pub(super) fn tally_key(kind: u8, unit: u64, state: u8) -> Vec<u8> {
    [&[kind][..], &unit.to_be_bytes(), &[state]].concat()
}

/// Prefix of keys of LOOKUPS: kind, field, keyed hash.
pub(super) fn lookup_prefix(kind: &Kind, tag: u16, value: &str, hash: &dyn Fn(&[u8]) -> [u8; 16]) -> Vec<u8> {
    let head = [&[kind.tag][..], &tag.to_be_bytes()].concat();
    let folded: String = value.trim().chars().flat_map(crate::base::text::fold).collect();
    let digest = hash(&[&head[..], folded.as_bytes()].concat());
    [&head[..], &digest].concat()
}

/// Records that an entry purged: those it changed besides the request for it.
pub(super) fn purged_by(header: &Header) -> impl Iterator<Item = u64> + '_ {
    let purges = header.done && header.action == act::PURGE.code;
    let changed = header.subjects.iter().filter(|s| s.digest.is_some() && s.kind != purge::KIND.tag);
    changed.filter(move |_| purges).map(|s| s.id.0)
}

/// Key of TOUCHES.
pub(super) fn touch_key(id: u64, seq: u64) -> Vec<u8> {
    [id.to_be_bytes(), seq.to_be_bytes()].concat()
}
