//! Labels (安全标记, GB/T 22239-2019 8.1.4.2 g): how far a record may be known, against how far an account may know. No
//! account reads up: what is labelled above its clearance is absent for it.
//!
//! A record without a label has that of its kind, an account without a clearance reaches as far as accounts did before
//! there were labels.

use super::dict::{Dict, entry};
use super::{Field, Fields, Kind, Record, Widget};

/// The label of a record; a field every kind has.
pub const LABEL: u16 = 1000;

/// The labels, each above those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// 普通.
    Plain = 1,
    /// 内部.
    Internal = 2,
    /// 敏感.
    Sensitive = 3,
    /// 核心.
    Core = 4,
}

/// Their words.
pub static LABELS: Dict = Dict {
    name: "label",
    source: "GB/T 22239-2019 8.1.4.2 g（级别默认）",
    entries: &[entry("plain", "普通"), entry("internal", "内部"), entry("sensitive", "敏感"), entry("core", "核心")],
};

/// How pages show it.
pub static FIELD: Field = Field::new(LABEL, "label", "安全标记", Widget::Choice(&LABELS));

/// Labels of kinds; a kind that does not stand here is 普通.
const DEFAULTS: &[(&str, Label)] =
    &[("petition", Label::Sensitive), ("regulation", Label::Plain), ("article", Label::Plain)];

impl Label {
    /// From the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Internal, Self::Sensitive, Self::Core];
    /// The clearance of an account that has none: everything that was there before labels were.
    pub const UNSAID: Self = Self::Sensitive;

    /// The label with a code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.code() == code)
    }

    /// What is stored.
    pub fn code(self) -> &'static str {
        LABELS.entries[self as usize - 1].code
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        LABELS.entries[self as usize - 1].label
    }

    /// The label with a number of keys and index; one that is not known is the highest.
    pub fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|l| *l as u8 == number).unwrap_or(Self::Core)
    }
}

/// People label records of this kind; others have the label of what they are about.
pub fn applies(kind: &Kind) -> bool {
    kind.indexed
}

/// The label of records of a kind that have none of their own.
pub fn of_kind(kind: &Kind) -> Label {
    DEFAULTS.iter().find(|d| d.0 == kind.name).map_or(Label::Plain, |d| d.1)
}

/// A record's own label; a code that is not known is the highest.
pub fn own(record: &Record) -> Option<Label> {
    let code = record.fields.text(LABEL);
    (!code.is_empty()).then(|| Label::of_code(code).unwrap_or(Label::Core))
}

/// The label of a record.
pub fn of(kind: &Kind, record: &Record) -> Label {
    own(record).unwrap_or_else(|| of_kind(kind))
}

/// The values with another label; that of the kind needs no value.
pub fn set(kind: &Kind, fields: &mut Fields, label: Label) {
    if label == of_kind(kind) {
        fields.remove(LABEL);
    } else {
        fields.insert(LABEL, super::Value::Text(label.code().to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records;

    #[test]
    fn every_kind_of_business_has_a_label_of_its_own_and_old_accounts_reach_every_default() {
        let labelled: Vec<&str> = records::ALL.iter().filter(|k| applies(k)).map(|k| k.name).collect();
        let listed: Vec<&str> = DEFAULTS.iter().map(|d| d.0).collect();
        assert_eq!(labelled, listed, "a kind that search reads has its line among the defaults");
        for kind in records::ALL {
            assert!(of_kind(kind) <= Label::UNSAID, "{}: records that were there would go", kind.name);
            assert!(kind.field(LABEL).is_none(), "{}", kind.name);
        }
    }

    #[test]
    fn labels_rise_and_what_is_not_known_is_the_highest() {
        assert!(Label::ALL.windows(2).all(|w| w[0] < w[1] && (w[0] as u8) < (w[1] as u8)));
        for label in Label::ALL {
            assert_eq!((Label::of_code(label.code()), Label::of_number(label as u8)), (Some(label), label));
        }
        assert_eq!((Label::of_number(0), Label::of_number(9)), (Label::Core, Label::Core));
        let kind = &records::petition::KIND;
        let author = records::Author { account: crate::base::RecordId(1), unit: crate::base::RecordId(2) };
        let mut record = records::decide::create(kind, (kind.sample)(1), author, crate::base::Moment(0)).unwrap();
        assert_eq!(of(kind, &record), Label::Sensitive);
        record.fields = record.fields.with_text(LABEL, "of-a-later-version");
        assert_eq!(of(kind, &record), Label::Core);
        set(kind, &mut record.fields, Label::Internal);
        assert_eq!(of(kind, &record), Label::Internal);
        set(kind, &mut record.fields, Label::Sensitive);
        assert!(record.fields.get(LABEL).is_none());
    }
}
