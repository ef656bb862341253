//! Organisation (机构): an office of the commission, a stationed group, or a township or street commission. Never
//! deleted, only closed: old papers keep the name of their day.

use super::dict::{Dict, entry};
use super::flow::IN_USE;
use super::grant::{KEEP, SEE};
use super::{Field, Fields, Grant, Kind, Scope, Search, Value, Widget};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NAME: u16 = 16;
    pub const SHORT: u16 = 17;
    pub const KIND: u16 = 18;
    pub const ORDER: u16 = 20;
    pub const SINCE: u16 = 21;
}
use tag::*;

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
];

const KIND_TAG: u16 = tag::KIND;

/// The kind.
pub static KIND: Kind = Kind {
    tag: 4,
    name: "org",
    label: "机构",
    group: Some("管理"),
    fields: FIELDS,
    flow: &IN_USE,
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
