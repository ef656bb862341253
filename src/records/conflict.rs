//! Conflict of interest (回避): whether a record is about the very person who looks at it. Whoever is named as accused,
//! by name and unit, is kept out of the record; the same name elsewhere is a hint for the security administrator.
//!
//! Persons of a record are the rows whose columns hold a rank: kinds that have none are about nobody. Pure, and asked
//! at every decision; what finds the records to ask is the store's lookup under [`PERSONS`].

use super::{Field, Fields, Kind, Record, Widget, account, decide, org};
use crate::base::text::folded_chars;

/// Under this tag the store finds records by a person they name (`data-format/store.md`); no value has it.
pub const PERSONS: u16 = 11;

/// What is compared of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Name, folded; empty names meet nobody.
    pub name: String,
    post: String,
    /// Names of the unit, folded, without what says that it is a commission or group.
    units: Vec<String>,
    /// The unit is an office of the county commission.
    office: bool,
}

/// How a record meets a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meeting {
    /// Not at all.
    No,
    /// The name, and nothing that says it is the same person.
    Name,
    /// Name and unit, or name and post where no unit is given: the person is kept out.
    Person,
}

/// What units of the commission are called, after the place or body they are for.
const ENDS: &[&str] = &[
    "纪检监察组",
    "纪律检查工作委员会",
    "纪律检查委员会",
    "监察办公室",
    "纪委监委",
    "纪工委",
    "纪委",
    "监委",
];

/// The county commission itself, to which every office belongs.
const COMMISSION: &[&str] = &["县纪委", "县监委", "县纪律检查委员会", "县监察委员会", "纪委监委", "纪委监察"];

impl Person {
    /// The person of an account, of this unit.
    pub fn of(account: &Fields, unit: Option<&Fields>) -> Self {
        // An old petition calls the unit what it was called then.
        let names = unit.into_iter().flat_map(org::names);
        let units = names.map(stem).filter(|n| n.chars().count() > 1).collect();
        Self {
            name: folded(account.text(account::tag::NAME)),
            post: folded(account.text(account::tag::POST)),
            units,
            office: unit.is_some_and(|u| u.text(org::tag::KIND) == "office"),
        }
    }

    /// The words for a unit in a record mean the unit of this person. Words for a part of it or for the whole of it do
    /// too: who is kept out for nothing harms nobody. Offices are called alike everywhere, so theirs must be the same.
    fn is_of(&self, words: &str) -> bool {
        let told = stem(words);
        if self.office {
            return self.units.contains(&told) || COMMISSION.iter().any(|c| folded(words).contains(c));
        }
        let long = told.chars().count() > 1;
        self.units.iter().any(|own| told.contains(own.as_str()) || long && own.contains(told.as_str()))
    }
}

/// Records of this kind are about persons.
pub fn applies(kind: &Kind) -> bool {
    columns(kind).next().is_some()
}

/// Names of the persons a record is about, folded.
pub fn names(kind: &Kind, record: &Record) -> Vec<String> {
    let mut names: Vec<String> = persons(kind, record).map(|(name, ..)| name).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

/// How a record meets a person, at the worst.
pub fn meeting(kind: &Kind, record: &Record, person: &Person) -> Meeting {
    if person.name.is_empty() {
        return Meeting::No;
    }
    let of = |(name, org, post): (String, String, String)| match () {
        () if name != person.name => Meeting::No,
        () if org.is_empty() && !post.is_empty() && post == person.post => Meeting::Person,
        () if !org.is_empty() && person.is_of(&org) => Meeting::Person,
        () => Meeting::Name,
    };
    persons(kind, record).map(of).max().unwrap_or(Meeting::No)
}

/// Name, unit and post of each person.
fn persons<'a>(kind: &'a Kind, record: &'a Record) -> impl Iterator<Item = (String, String, String)> + 'a {
    columns(kind).flat_map(|(tag, columns)| {
        let text = |row: &Fields, name: &str| {
            let column = columns.iter().find(|c| c.name == name);
            folded(column.map_or("", |c| row.text(c.tag)))
        };
        let rows = record.fields.rows(tag).iter();
        rows.map(move |row| (text(row, "name"), text(row, "org"), text(row, "post")))
    })
}

fn columns(kind: &Kind) -> impl Iterator<Item = (u16, &'static [Field])> + '_ {
    kind.fields.iter().filter_map(|field| match field.widget {
        Widget::Rows(columns) if columns.iter().any(decide::is_rank) => Some((field.tag, columns)),
        _ => None,
    })
}

fn stem(words: &str) -> String {
    let folded = folded(words);
    let bare = folded.strip_prefix('驻').unwrap_or(&folded);
    let end = ENDS.iter().find_map(|end| bare.strip_suffix(end)).filter(|rest| !rest.is_empty());
    end.unwrap_or(bare).to_owned()
}

fn folded(words: &str) -> String {
    folded_chars(words).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Moment, RecordId};
    use crate::records::petition::{self, accused, tag};
    use crate::records::{Author, Value};

    fn person(unit: &str, kind: &str, post: &str) -> Person {
        let account = Fields::default().with_text(account::tag::NAME, "赵建国").with_text(account::tag::POST, post);
        let unit = Fields::default().with_text(org::tag::NAME, unit).with_text(org::tag::KIND, kind);
        Person::of(&account, Some(&unit))
    }

    fn about(name: &str, org: &str, post: &str) -> Record {
        let row = Fields::default()
            .with_text(accused::NAME, name)
            .with_text(accused::ORG, org)
            .with_text(3, post)
            .with_text(4, "clerk1");
        let fields = (petition::KIND.sample)(3).with(tag::ACCUSED, Value::Rows(vec![row]));
        let author = Author { account: RecordId(9), unit: RecordId(2) };
        decide::create(&petition::KIND, fields, author, Moment(0)).unwrap()
    }

    #[test]
    fn name_and_unit_keep_a_person_out_and_the_name_alone_is_a_hint() {
        let clerk = person("石鼓岭镇纪委", "township", "干事");
        let meets = |name: &str, org: &str, post: &str| meeting(&petition::KIND, &about(name, org, post), &clerk);
        for org in ["石鼓岭镇", "石鼓岭镇纪委", "石鼓岭镇人民政府", "望澜县石鼓岭镇水务站", "石鼓岭", "石 鼓岭镇纪律检查委员会"] {
            assert_eq!(meets("赵建国", org, ""), Meeting::Person, "{org}");
        }
        assert_eq!(meets("赵 建国", "石鼓岭鎮", ""), Meeting::Person, "blanks and script make no other person");
        assert_eq!(meets("赵建国", "", "干事"), Meeting::Person, "the post stands in for a unit nobody gave");
        for (org, post) in [("枫桥坞镇", "干事"), ("枫桥坞镇", ""), ("", ""), ("", "会计"), ("县水务局", "")] {
            assert_eq!(meets("赵建国", org, post), Meeting::Name, "{org} {post}");
        }
        for name in ["赵建军", "赵建", "赵建国强", ""] {
            assert_eq!(meets(name, "石鼓岭镇", "干事"), Meeting::No, "{name}");
        }
        let nobody = Person::default();
        assert_eq!(meeting(&petition::KIND, &about("", "", ""), &nobody), Meeting::No);
    }

    #[test]
    fn offices_and_groups_are_known_by_what_they_are_for() {
        let meets =
            |person: &Person, org: &str| meeting(&petition::KIND, &about("赵建国", org, ""), person) == Meeting::Person;
        let office = person("办公室", "office", "");
        assert!(meets(&office, "办公室") && meets(&office, "望澜县纪委监委") && meets(&office, "县纪委"));
        assert!(!meets(&office, "石鼓岭镇党政办公室") && !meets(&office, "石鼓岭镇纪委") && !meets(&office, "信访室"));
        let group = person("驻财政局纪检监察组", "stationed", "");
        assert!(meets(&group, "财政局") && meets(&group, "县财政局国库股") && !meets(&group, "县纪委监委"));
    }

    /// A petition of before the unit was renamed names it as it was: its people are as much kept out as before.
    #[test]
    fn the_former_names_of_a_unit_keep_its_people_out_too() {
        let account = Fields::default().with_text(account::tag::NAME, "赵建国");
        let unit = |name: &str| Fields::default().with_text(org::tag::NAME, name).with_text(org::tag::KIND, "township");
        let row = Fields::default().with_text(org::former::NAME, "石鼓岭镇纪委").with(org::former::UNTIL, Value::Int(9));
        let renamed = unit("白鹭浦街道纪工委").with(org::tag::FORMER, Value::Rows(vec![row]));
        let meets = |unit: &Fields, org: &str| {
            meeting(&petition::KIND, &about("赵建国", org, ""), &Person::of(&account, Some(unit)))
        };
        for org in ["石鼓岭镇", "白鹭浦街道"] {
            assert_eq!(meets(&renamed, org), Meeting::Person, "{org}");
        }
        assert_eq!(meets(&unit("白鹭浦街道纪工委"), "石鼓岭镇"), Meeting::Name);
    }

    #[test]
    fn kinds_with_ranked_rows_are_about_persons_and_others_about_nobody() {
        let kinds: Vec<&str> = crate::records::ALL.iter().filter(|k| applies(k)).map(|k| k.name).collect();
        assert_eq!(kinds, ["petition"]);
        let two = Value::Rows(vec![about_row("甲"), about_row("乙"), about_row("甲")]);
        let mut record = about("丙", "", "");
        record.fields.insert(tag::ACCUSED, two);
        assert_eq!(names(&petition::KIND, &record).len(), 2);
    }

    fn about_row(name: &str) -> Fields {
        Fields::default().with_text(accused::NAME, name).with_text(4, "clerk1")
    }
}
