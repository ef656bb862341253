//! The shelf: what a record is, and one file per kind of record.
//!
//! Everything here is pure: no I/O, no clock, no HTML. A kind is data — [`Kind`] with its [`Field`]s and [`Flow`] — and
//! form, list, detail, history, search, import, export, backup and access follow from it. Records are maps of tagged
//! values and not one struct a kind: every generic page and format is a function of the field table, and a struct
//! beside it would be a second copy to keep in step.

pub mod account;
pub mod act;
pub mod article;
pub mod audit;
pub mod batch;
pub mod charter;
pub mod cite;
pub mod conflict;
pub mod decide;
pub mod dict;
pub mod field;
pub mod flow;
pub mod grant;
pub mod handover;
pub mod label;
pub mod org;
pub mod petition;
pub mod purge;
pub mod rank;
pub mod record;
pub mod recusal;
pub mod regulation;
pub mod repeat;
pub mod wordbook;

use crate::base::{Day, RecordId};

pub use field::{Field, Part, Raw, Search, Widget};
pub use flow::Flow;
pub use grant::{Along, Grant, Right, Scope};
pub use record::{Author, Fields, FileRef, Record, Value};

/// Everything the product knows of a kind of record.
#[derive(Debug)]
pub struct Kind {
    /// Stored number of the kind; never reused.
    pub tag: u8,
    /// Name in addresses, commands and formats.
    pub name: &'static str,
    /// What users call one of them.
    pub label: &'static str,
    /// Where the menu shows it; `None` keeps it off the menu.
    pub group: Option<&'static str>,
    /// The fields, in the order of the form.
    pub fields: &'static [Field],
    /// States and moves.
    pub flow: &'static Flow,
    /// Field that names a record in lists and heads.
    pub title: u16,
    /// Date that orders lists and that periods filter.
    pub day: u16,
    /// Field that holds the register number; numbered when created with this prefix and the year.
    pub number: Option<(u16, &'static str)>,
    /// Columns of the list, by field.
    pub columns: &'static [u16],
    /// The link to the record this one is a row of, and the field that orders siblings.
    pub parent: Option<(u16, u16)>,
    /// Fields found by exact value (through keyed hashes).
    pub keys: &'static [u16],
    /// A value of a key field is given only once.
    pub unique: bool,
    /// Who may do what (管理办法 第七条、第十三条、第十四条).
    pub grants: &'static [Grant],
    /// What comes with rights over other kinds.
    pub along: &'static [Along],
    /// Full-text search reads it.
    pub indexed: bool,
    /// Rules across fields: (field name as in forms, what to do).
    pub check: fn(&Fields) -> Vec<(String, String)>,
    /// Fills what follows from other fields.
    pub complete: fn(&mut Fields),
    /// Belongs to the unit that enters it; otherwise to the county (unit 0).
    pub owned: bool,
    /// Reading it is an act to be answered for.
    pub sensitive: bool,
    /// Values a new record starts with.
    pub preset: fn(Day) -> Fields,
    /// Weight in ranking; below 1 for what is no longer in force.
    pub weight: fn(&Record) -> f32,
    /// A valid example for tests; differs with the seed.
    pub sample: fn(u64) -> Fields,
}

/// The registry: a kind exists when it stands here.
pub static ALL: &[&Kind] = &[
    &petition::KIND,
    &regulation::KIND,
    &article::KIND,
    &batch::KIND,
    &org::KIND,
    &account::KIND,
    &purge::KIND,
    &recusal::KIND,
    &handover::KIND,
    &repeat::KIND,
];

/// The kind with a stored number.
pub fn by_tag(tag: u8) -> Option<&'static Kind> {
    ALL.iter().copied().find(|k| k.tag == tag)
}

/// The kind with a name.
pub fn by_name(name: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|k| k.name == name)
}

impl Kind {
    /// The field with a tag.
    pub fn field(&self, tag: u16) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.tag == tag)
    }

    /// The field with a name.
    pub fn field_named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == name)
    }

    /// What users call this record: its title, or its number, or its kind.
    pub fn title_of(&self, record: &Record) -> String {
        if record.is_purged() {
            return format!("已清除的{}", self.label);
        }
        let title = record.fields.display(self.fields, self.title);
        if title.is_empty() { format!("{} {}", self.label, record.id) } else { title }
    }

    /// The register number, empty when the kind has none.
    pub fn number_of<'a>(&self, record: &'a Record) -> &'a str {
        self.number.map_or("", |(tag, _)| record.fields.text(tag))
    }

    /// The date lists are ordered by.
    pub fn day_of(&self, record: &Record) -> Day {
        record.fields.day(self.day)
    }

    /// The parent, when this kind is a row of another.
    pub fn parent_of(&self, record: &Record) -> Option<(RecordId, u32)> {
        let (link, order) = self.parent?;
        let position = u32::try_from(record.fields.int(order)).unwrap_or(0);
        record.fields.link(link).map(|id| (id, position))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::base::Moment;

    fn author() -> Author {
        Author { account: RecordId(1), unit: RecordId(2) }
    }

    #[test]
    fn tags_and_names_are_unique() {
        let tags: HashSet<u8> = ALL.iter().map(|k| k.tag).collect();
        let names: HashSet<&str> = ALL.iter().map(|k| k.name).collect();
        assert_eq!((tags.len(), names.len()), (ALL.len(), ALL.len()));
        for kind in ALL {
            let tags: HashSet<u16> = kind.fields.iter().map(|f| f.tag).collect();
            let names: HashSet<&str> = kind.fields.iter().map(|f| f.name).collect();
            assert_eq!((tags.len(), names.len()), (kind.fields.len(), kind.fields.len()), "{}", kind.name);
        }
    }

    #[test]
    fn every_reference_of_a_kind_points_at_a_field_of_it() {
        for kind in ALL {
            let mut used = vec![kind.title];
            used.extend(kind.columns);
            used.extend(kind.keys);
            used.extend(kind.number.map(|n| n.0));
            used.extend(kind.parent.into_iter().flat_map(|(a, b)| [a, b]));
            used.extend((kind.day != 0).then_some(kind.day));
            for tag in used {
                assert!(kind.field(tag).is_some(), "{} has no field {tag}", kind.name);
            }
            let identity_shown = kind.columns.iter().any(|t| kind.field(*t).unwrap().part == Part::Identity);
            assert!(!identity_shown, "{}: identity never stands in a list", kind.name);
        }
    }

    #[test]
    fn every_grant_names_a_role_and_administrators_hold_no_business() {
        for kind in ALL {
            for Grant(role, ..) in kind.grants {
                assert!(account::ROLES.entries.iter().any(|e| e.code == *role), "{}: {role}", kind.name);
                // A request to purge, a recusal and a handover hold no content, and concern administrators.
                let administers = matches!(kind.name, "org" | "account" | "purge" | "recusal" | "handover");
                assert!(administers || !account::ADMINISTRATORS.contains(role), "{}: {role}", kind.name);
            }
        }
    }

    #[test]
    fn every_sample_passes_its_own_rules_and_survives_its_encoding() {
        for kind in ALL {
            for seed in 0..20 {
                let fields = (kind.sample)(seed);
                let record = decide::create(kind, fields, author(), Moment(1_790_000_000_000))
                    .unwrap_or_else(|p| panic!("{} {seed}: {p:?}", kind.name));
                let back = Record::decode(record.id, &record.encode_main(), &record.encode_identity(kind)).unwrap();
                assert_eq!(back, record, "{}", kind.name);
                assert!(!kind.title_of(&record).is_empty());
            }
        }
    }

    #[test]
    fn every_sample_can_be_typed_into_its_own_form() {
        for kind in ALL {
            let fields = (kind.sample)(7);
            let raw = field::to_raw(kind.fields, &fields);
            let (parsed, problems) = field::parse(kind.fields, &raw);
            assert!(problems.is_empty(), "{}: {problems:?}", kind.name);
            let typed: Fields = fields.iter().filter(|(_, v)| !matches!(v, Value::Files(_))).collect();
            assert_eq!(parsed, typed, "{}", kind.name);
        }
    }

    #[test]
    fn every_flow_is_closed_and_every_state_can_be_reached() {
        for kind in ALL {
            let states: HashSet<u8> = kind.flow.states.iter().map(|s| s.tag).collect();
            assert_eq!(states.len(), kind.flow.states.len());
            let mut reached: HashSet<u8> = (0..40).map(|s| (kind.flow.settle)(None, &(kind.sample)(s))).collect();
            reached.insert((kind.flow.settle)(None, &Fields::default()));
            for _ in 0..states.len() {
                for m in kind.flow.moves {
                    assert!(states.contains(&m.to) && m.from.iter().all(|f| states.contains(f)), "{}", kind.name);
                    if m.from.iter().any(|f| reached.contains(f)) {
                        reached.insert(m.to);
                    }
                }
            }
            assert_eq!(reached, states, "{}", kind.name);
        }
    }
}
