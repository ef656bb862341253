//! Organisation (机构): an office of the commission, a stationed group, or a township or street commission. Never
//! deleted, only closed: old papers keep the name of their day.

use super::dict::{Dict, entry};
use super::flow::{Flow, in_use};
use super::grant::{KEEP, SEE};
use super::{Field, Fields, Grant, Kind, Record, Scope, Search, Value, Widget};
use crate::base::Moment;

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NAME: u16 = 16;
    pub const SHORT: u16 = 17;
    pub const KIND: u16 = 18;
    pub const ORDER: u16 = 20;
    pub const SINCE: u16 = 21;
    pub const FORMER: u16 = 22;
    pub const CLOSED: u16 = 23;
    pub const TRAIL: u16 = 24;
}
use tag::*;

/// Tags of a row of former names.
pub mod former {
    /// The name.
    pub const NAME: u16 = 1;
    /// The short name, where there was one.
    pub const SHORT: u16 = 2;
    /// When it was given up, in milliseconds.
    pub const UNTIL: u16 = 3;
}

/// Kinds of organisation (管理办法 第四条至第七条).
pub static KINDS: Dict = Dict {
    name: "org_kind",
    source: "管理办法 第四条至第七条",
    entries: &[entry("office", "内设机构"), entry("stationed", "派驻纪检监察组"), entry("township", "乡镇（街道）")],
};

static FIELDS: &[Field] = &[
    Field::new(NAME, "name", "名称", Widget::Line).required().search(Search::Title),
    Field::new(SHORT, "short", "简称", Widget::Line),
    Field::new(KIND_TAG, "kind", "类别", Widget::Choice(&KINDS)).required(),
    Field::new(19, "code", "发文代字", Widget::Line).help("如 澜纪办"),
    Field::new(ORDER, "order", "排序", Widget::Int(0, 9999)),
    Field::new(SINCE, "since", "设立日期", Widget::Date(true)),
    Field::new(FORMER, "former", "曾用名", Widget::Hidden),
    Field::new(CLOSED, "closed", "停用日期", Widget::Fixed),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
];

const KIND_TAG: u16 = tag::KIND;

static FLOW: Flow = in_use(TRAIL);

/// The kind.
pub static KIND: Kind = Kind {
    tag: 4,
    name: "org",
    label: "机构",
    group: Some("管理"),
    fields: FIELDS,
    flow: &FLOW,
    title: NAME,
    day: SINCE,
    number: None,
    columns: &[NAME, SHORT, KIND_TAG, ORDER],
    parent: None,
    keys: &[NAME, SHORT],
    unique: true,
    grants: &[
        Grant("sysadmin", KEEP, Scope::County),
        Grant("secadmin", SEE, Scope::County),
        Grant("auditor", SEE, Scope::County),
    ],
    along: &[],
    indexed: false,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: false,
    sensitive: false,
    preset: |_| Fields::default(),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(NAME, format!("样例镇{seed}纪委"))
            .with_text(KIND_TAG, "township")
            .with(ORDER, Value::Int(1))
    },
};

/// What a change leaves behind: the names that are given up, until when they held, and the day of closing.
pub fn remember(before: &Record, after: &mut Record) {
    let old = |tag| before.fields.text(tag);
    if [NAME, SHORT].into_iter().any(|tag| old(tag) != after.fields.text(tag)) {
        let mut rows = before.fields.rows(FORMER).to_vec();
        let row = Fields::default().with_text(former::NAME, old(NAME)).with_text(former::SHORT, old(SHORT));
        rows.push(row.with(former::UNTIL, Value::Int(after.updated.0)));
        after.fields.insert(FORMER, Value::Rows(rows));
    }
    if after.state == 2 && before.state != 2 {
        after.fields.insert(CLOSED, Value::Text(after.updated.day().to_string()));
    } else if after.state != 2 {
        after.fields.remove(CLOSED);
    }
}

/// What the unit was called at this moment.
pub fn name_at(fields: &Fields, at: Moment) -> &str {
    let held = |row: &&Fields| at.0 < row.int(former::UNTIL);
    fields.rows(FORMER).iter().find(held).map_or(fields.text(NAME), |row| row.text(former::NAME))
}

/// Every name and short name it has or had.
pub fn names(fields: &Fields) -> impl Iterator<Item = &str> {
    let former = fields.rows(FORMER).iter().flat_map(|r| [r.text(former::NAME), r.text(former::SHORT)]);
    [fields.text(NAME), fields.text(SHORT)].into_iter().chain(former)
}

#[cfg(test)]
mod tests {
    use super::super::{Author, decide};
    use super::*;
    use crate::base::RecordId;

    #[test]
    fn names_that_were_given_up_hold_for_the_time_before() {
        let author = Author { account: RecordId(0), unit: RecordId(0) };
        let fields = Fields::default().with_text(NAME, "甲乡").with_text(KIND_TAG, "township");
        let first = decide::create(&KIND, fields, author, Moment(10)).unwrap();
        let renamed = |before: &Record, name: &str, at: i64| {
            let mut after = Record { updated: Moment(at), ..before.clone() };
            after.fields.insert(NAME, Value::Text(name.to_owned()));
            remember(before, &mut after);
            after
        };
        let second = renamed(&first, "甲镇", 20);
        let third = renamed(&renamed(&second, "甲镇", 25), "甲街道", 30);
        assert_eq!(third.fields.rows(FORMER).len(), 2, "a change of something else gives up no name");
        let at = |t| name_at(&third.fields, Moment(t)).to_owned();
        assert_eq!([9, 19, 20, 29, 30, 99].map(at), ["甲乡", "甲乡", "甲镇", "甲镇", "甲街道", "甲街道"]);
        let all: Vec<&str> = names(&third.fields).filter(|n| !n.is_empty()).collect();
        assert_eq!(all, ["甲街道", "甲乡", "甲镇"]);
    }

    #[test]
    fn the_day_of_closing_stands_while_it_is_closed() {
        let author = Author { account: RecordId(0), unit: RecordId(0) };
        let open = decide::create(&KIND, (KIND.sample)(1), author, Moment(0)).unwrap();
        let mut closed = Record { state: 2, updated: Moment(1_790_000_000_000), ..open };
        remember(&Record { state: 1, ..closed.clone() }, &mut closed);
        assert_eq!(closed.fields.text(CLOSED), Moment(1_790_000_000_000).day().to_string());
        let mut again = Record { state: 1, ..closed.clone() };
        remember(&closed, &mut again);
        assert_eq!(again.fields.get(CLOSED), None);
    }
}
