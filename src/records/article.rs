//! Article (条): one article of a regulation, a record of its own so that search finds and opens it by itself. What it
//! shows of its regulation is a copy that follows it ([`follow`]).

use super::flow::{Duty, Flow, in_use};
use super::grant::SEE;
use super::label::LABEL;
use super::regulation;
use super::{Along, Field, Fields, Kind, Right, Scope, Search, Value, Widget};
use crate::base::{RecordId, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const REGULATION: u16 = 16;
    pub const ORDER: u16 = 17;
    pub const NO: u16 = 18;
    pub const CHAPTER: u16 = 19;
    pub const TEXT: u16 = 20;
    pub const ADDRESS: u16 = 21;
    pub const REF: u16 = 22;
    pub const STATUS: u16 = 23;
    pub const PUBLISHED: u16 = 24;
    pub const TRAIL: u16 = 25;
}
use tag::*;

static FIELDS: &[Field] = &[
    Field::new(REGULATION, "regulation", "所属法规", Widget::Link("regulation")).required(),
    Field::new(ORDER, "order", "次序", Widget::Int(0, 100_000)).required(),
    Field::new(NO, "no", "条号", Widget::Line),
    Field::new(CHAPTER, "chapter", "章节", Widget::Line).search(Search::Names),
    Field::new(TEXT, "text", "条文", Widget::Area).required().search(Search::Body).max(limits::TEXT_CHARS),
    Field::new(ADDRESS, "address", "位置", Widget::Line).required().search(Search::Title),
    Field::new(PUBLISHED, "published", "公布日期", Widget::Date(true)).kept(),
    Field::new(STATUS, "status", "时效性", Widget::OpenChoice(&regulation::STATUSES)).kept(),
    Field::new(REF, "ref", "外部编号", Widget::Line).search(Search::Reference),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
];

/// Fields that are those of the regulation: nobody types them.
pub const FOLLOWING: [u16; 3] = [ADDRESS, STATUS, PUBLISHED];

/// Brings an article into step with its regulation: title, date, and whether it is in force.
pub fn follow(article: &mut Fields, regulation: &Fields) {
    let address = format!("《{}》{}", regulation.text(regulation::tag::TITLE), article.text(NO));
    let address: String = address.chars().take(limits::LINE_CHARS).collect();
    article.insert(ADDRESS, Value::Text(address));
    let shown = [(STATUS, regulation::tag::STATUS), (PUBLISHED, regulation::tag::PUBLISHED), (LABEL, LABEL)];
    for (own, theirs) in shown {
        match regulation.get(theirs) {
            Some(value) => article.insert(own, value.clone()),
            None => drop(article.remove(own)),
        }
    }
}

/// The title of the regulation that an address names.
fn regulation_of(address: &str) -> &str {
    address.strip_prefix('《').and_then(|a| a.rsplit_once('》')).map_or(address, |(title, _)| title)
}

static FLOW: Flow = in_use(TRAIL);

/// The kind.
pub static KIND: Kind = Kind {
    tag: 3,
    name: "article",
    label: "条文",
    group: None,
    fields: FIELDS,
    flow: &FLOW,
    title: ADDRESS,
    day: PUBLISHED,
    number: None,
    columns: &[ADDRESS],
    parent: Some((REGULATION, ORDER)),
    keys: &[REF],
    unique: false,
    grants: &[],
    // An article is its regulation's.
    along: &[
        Along("regulation", Right::See, SEE, Scope::County),
        Along("regulation", Right::Create, &[Right::Create, Right::Move(Duty::Enter)], Scope::County),
        Along("regulation", Right::Edit, &[Right::Edit], Scope::County),
        Along("regulation", Right::Move(Duty::Handle), &[Right::Move(Duty::Handle)], Scope::County),
    ],
    indexed: true,
    check: |_| Vec::new(),
    complete: |_| {},
    owned: false,
    sensitive: false,
    preset: |_| Fields::default(),
    weight: |record| match record.fields.text(STATUS) {
        "amended" | "repealed" => 0.6,
        _ => regulation::standing(regulation_of(record.fields.text(ADDRESS))),
    },
    sample: |seed| {
        Fields::default()
            .with(REGULATION, Value::Link(RecordId(1)))
            .with(ORDER, Value::Int(i64::try_from(seed).unwrap_or(0)))
            .with_text(NO, "第一条")
            .with_text(ADDRESS, "样例规程 第一条")
            .with_text(TEXT, format!("第一条 样例条文{seed}。"))
    },
};
