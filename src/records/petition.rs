//! Petition (信访件): what reached the commission, about whom, from whom, and how it is handled.
//!
//! The petitioner is a sealed part of its own. Fields and vocabularies follow the rules on handling accusations
//! (纪检监察机关处理检举控告工作规则, 2020) and the registration form in common use; lists that no rule fixes say 默认.

use super::dict::{Dict, GENDER, POLITICAL, entry};
use super::flow::{Duty, Flow, Move, State, Tone};
use super::grant::KEEP;
use super::{Field, Fields, Grant, Kind, Right, Scope, Search, Value, Widget, rank};
use crate::base::{Day, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const NUMBER: u16 = 16;
    pub const RECEIVED: u16 = 17;
    pub const CHANNEL: u16 = 18;
    pub const ORIGIN: u16 = 19;
    pub const ORIGIN_NUMBER: u16 = 22;
    pub const TITLE: u16 = 30;
    pub const TEXT: u16 = 31;
    pub const PLACE: u16 = 33;
    pub const SIGNED: u16 = 40;
    pub const NAME: u16 = 41;
    pub const PHONE: u16 = 46;
    pub const ADDRESS: u16 = 47;
    pub const ACCUSED: u16 = 50;
    pub const ACCUSED_ORG: u16 = 51;
    pub const FILES: u16 = 60;
    pub const TRAIL: u16 = 61;
    pub const REMARKS: u16 = 62;
    pub const REF: u16 = 63;
    pub const HAPPENED: u16 = 32;
    pub const MARKS: u16 = 64;
}

/// Tags of an accused person's columns that other files name.
pub mod accused {
    #![expect(missing_docs, reason = "each is explained by its row in ACCUSED_FIELDS")]
    pub const NAME: u16 = 1;
    pub const ORG: u16 = 2;
}
use tag::*;

/// 信访形式 (规则 第七条).
static CHANNELS: Dict = Dict {
    name: "channel",
    source: "纪检监察机关处理检举控告工作规则 第七条",
    entries: &[
        entry("letter", "来信"),
        entry("visit", "来访"),
        entry("call", "来电"),
        entry("net", "网络举报"),
        entry("other", "其他"),
    ],
};

static ORIGINS: Dict = Dict {
    name: "origin",
    source: "信访举报统计口径（默认）",
    entries: &[
        entry("own", "本级自收"),
        entry("assigned", "上级交办"),
        entry("forwarded", "上级转办"),
        entry("below", "下级报送"),
        entry("other", "其他部门移送"),
    ],
};

static NATURES: Dict = Dict {
    name: "nature",
    source: "信访举报统计口径（默认）",
    entries: &[
        entry("accusation", "业务范围内检举控告"),
        entry("appeal", "申诉"),
        entry("suggestion", "批评建议"),
        entry("outside", "业务范围外"),
        entry("empty", "无实质内容"),
    ],
};

static SIGNATURES: Dict = Dict {
    name: "signed",
    source: "纪检监察机关处理检举控告工作规则 第三十条",
    entries: &[entry("named", "实名"), entry("anonymous", "匿名"), entry("unverified", "署名无法验证(按匿名)")],
};

static REPEATS: Dict = Dict {
    name: "repeat",
    source: "信访举报统计口径（默认）",
    entries: &[entry("first", "初次"), entry("repeat", "重复")],
};

/// 六大纪律 and duty offences (纪律处分条例 2023; 检举控告规则 第四条).
static CATEGORIES: Dict = Dict {
    name: "category",
    source: "中国共产党纪律处分条例（2023）；检举控告规则 第四条",
    entries: &[
        entry("political", "政治纪律"),
        entry("organisation", "组织纪律"),
        entry("integrity", "廉洁纪律"),
        entry("masses", "群众纪律"),
        entry("work", "工作纪律"),
        entry("life", "生活纪律"),
        entry("duty", "职务违法犯罪"),
        entry("claim", "诉求"),
        entry("other", "其他"),
    ],
};

static TOPICS: Dict = Dict {
    name: "topic",
    source: "专项工作（默认）",
    entries: &[
        entry("rural", "乡村振兴"),
        entry("umbrella", "扫黑除恶“保护伞”"),
        entry("nearby", "群众身边腐败和作风"),
        entry("ecology", "生态环保"),
        entry("eight", "违反中央八项规定精神"),
    ],
};

static METHODS: Dict = Dict {
    name: "method",
    source: "办理方式（默认）",
    entries: &[
        entry("self", "自办"),
        entry("forward", "转办"),
        entry("assign", "交办"),
        entry("supervise", "督办"),
        entry("assist", "协办"),
    ],
};

static CLASSES: Dict = Dict {
    name: "class",
    source: "被反映人分类（默认）",
    entries: &[
        entry("cadre", "一般干部"),
        entry("institution", "事业单位人员"),
        entry("village", "农村（村社区）人员"),
        entry("company", "企业人员"),
        entry("other", "其他人员"),
    ],
};

static TRUTHS: Dict = Dict {
    name: "truth",
    source: "属实程度（默认）",
    entries: &[
        entry("true", "属实"),
        entry("partly", "部分属实"),
        entry("false", "不属实"),
        entry("unclear", "无法查清"),
    ],
};

/// Columns of an accused person (被检举控告人).
pub static ACCUSED_FIELDS: &[Field] = &[
    Field::new(accused::NAME, "name", "姓名", Widget::Line).required().search(Search::Names).max(limits::NAME_CHARS),
    Field::new(accused::ORG, "org", "单位", Widget::Line).search(Search::Names),
    Field::new(3, "post", "职务", Widget::Line).search(Search::Names),
    Field::new(4, "rank", "职级", Widget::Choice(&rank::RANKS)).required(),
    Field::new(5, "gender", "性别", Widget::Choice(&GENDER)),
    Field::new(6, "political", "政治面貌", Widget::Choice(&POLITICAL)),
    Field::new(7, "class", "人员分类", Widget::Choice(&CLASSES)),
    Field::new(8, "supervised", "监察对象", Widget::Flag),
];

const HEAD: &str = "收件";
const MATTER: &str = "反映的问题";
const ABOUT: &str = "被检举控告人";
const FROM: &str = "检举控告人";
const HANDLING: &str = "办理";
const EXTRA: &str = "附件与备注";

static FIELDS: &[Field] = &[
    Field::new(NUMBER, "number", "信访编号", Widget::Fixed).kept().search(Search::Number),
    Field::new(RECEIVED, "received", "收到时间", Widget::Date(true)).kept().group(HEAD).help("期限从这一天起算"),
    Field::new(CHANNEL, "channel", "信访形式", Widget::OpenChoice(&CHANNELS)).kept().group(HEAD),
    Field::new(ORIGIN, "origin", "来源", Widget::Choice(&ORIGINS)).kept().group(HEAD),
    Field::new(20, "repeat", "初次或重复", Widget::Choice(&REPEATS)).kept().group(HEAD),
    Field::new(21, "people", "联名或来访人数", Widget::Int(1, 100_000)).kept().group(HEAD),
    Field::new(ORIGIN_NUMBER, "origin_number", "原编号", Widget::Line).group(HEAD).search(Search::Number),
    Field::new(23, "assigned_by", "交办文号", Widget::Line).group(HEAD).search(Search::Number),
    Field::new(24, "assigned_due", "要求办结日期", Widget::Date(false)).group(HEAD),
    Field::new(TITLE, "title", "标题", Widget::Line)
        .required()
        .group(MATTER)
        .search(Search::Title)
        .help("一句话写清谁、什么事；不要写检举控告人姓名"),
    Field::new(TEXT, "text", "内容", Widget::Area)
        .required()
        .group(MATTER)
        .search(Search::Body)
        .max(limits::TEXT_CHARS),
    Field::new(HAPPENED, "happened", "问题发生时间", Widget::Date(true)).group(MATTER).help("可只写年或年月"),
    Field::new(PLACE, "place", "地点", Widget::Line).group(MATTER).search(Search::Names),
    Field::new(34, "nature", "信访性质", Widget::Choice(&NATURES)).kept().group(MATTER),
    Field::new(35, "categories", "问题类别", Widget::Choices(&CATEGORIES)).kept().group(MATTER),
    Field::new(36, "topics", "专项", Widget::Choices(&TOPICS)).kept().group(MATTER),
    Field::new(ACCUSED, "accused", "被检举控告人", Widget::Rows(ACCUSED_FIELDS))
        .group(ABOUT)
        .search(Search::Names)
        .help("职级必填；科级及以上人员不得录入本系统"),
    Field::new(ACCUSED_ORG, "accused_org", "被反映组织", Widget::Line).group(ABOUT).search(Search::Names),
    Field::new(SIGNED, "signed", "署名情况", Widget::Choice(&SIGNATURES)).kept().group(FROM),
    Field::new(48, "feedback", "要求反馈", Widget::Flag).kept().group(FROM),
    Field::new(NAME, "petitioner.name", "姓名或单位名称", Widget::Line).group(FROM).identity(),
    Field::new(42, "petitioner.gender", "性别", Widget::Choice(&GENDER)).group(FROM).identity(),
    Field::new(43, "petitioner.org", "工作单位", Widget::Line).group(FROM).identity(),
    Field::new(44, "petitioner.post", "职务", Widget::Line).group(FROM).identity(),
    Field::new(45, "petitioner.political", "政治面貌", Widget::Choice(&POLITICAL)).group(FROM).identity(),
    Field::new(PHONE, "petitioner.phone", "电话", Widget::Line).group(FROM).identity(),
    Field::new(ADDRESS, "petitioner.address", "地址", Widget::Line).group(FROM).identity(),
    Field::new(49, "petitioner.id_number", "身份证号", Widget::Line).group(FROM).identity().help("确有必要时才填"),
    Field::new(70, "petitioner.other", "其他信息", Widget::Area)
        .group(FROM)
        .identity()
        .max(limits::REMARK_CHARS),
    Field::new(55, "method", "办理方式", Widget::Choice(&METHODS)).kept().group(HANDLING),
    Field::new(56, "assigned_to", "承办单位", Widget::Link("org")).kept().group(HANDLING),
    Field::new(57, "result", "办理结果", Widget::Area).group(HANDLING).search(Search::Body).max(limits::TEXT_CHARS),
    Field::new(58, "truth", "属实程度", Widget::Choice(&TRUTHS)).kept().group(HANDLING),
    Field::new(FILES, "files", "附件", Widget::Files).group(EXTRA),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
    Field::new(REMARKS, "remarks", "备注", Widget::Area)
        .group(EXTRA)
        .search(Search::Body)
        .max(limits::REMARK_CHARS),
    Field::new(MARKS, "marks", "核对提示", Widget::Fixed).group(EXTRA),
    Field::new(REF, "ref", "外部编号", Widget::Line).group(EXTRA).search(Search::Reference),
];

/// States a petition can be in.
pub mod state {
    #![expect(missing_docs, reason = "each is explained by its label in FLOW")]
    pub const INCOMPLETE: u8 = 1;
    pub const TO_PROPOSE: u8 = 2;
    pub const TO_DECIDE: u8 = 3;
    pub const ACCEPTED: u8 = 4;
    pub const REJECTED: u8 = 5;
    pub const TO_CONCLUDE: u8 = 6;
    pub const CONCLUDED: u8 = 7;
    pub const ARCHIVED: u8 = 8;
    pub const VOID: u8 = 9;
}
use state::*;

const EVERY_OTHER: &[u8] =
    &[INCOMPLETE, TO_PROPOSE, TO_DECIDE, ACCEPTED, REJECTED, TO_CONCLUDE, CONCLUDED, ARCHIVED];

const fn step(name: &'static str, label: &'static str, from: &'static [u8], to: u8, duty: Duty) -> Move {
    Move { name, label, from, to, duty, opinion: true }
}

static FLOW: Flow = Flow {
    states: &[
        State { tag: INCOMPLETE, label: "待补全", tone: Tone::Waiting },
        State { tag: TO_PROPOSE, label: "待拟办", tone: Tone::Open },
        State { tag: TO_DECIDE, label: "待批办", tone: Tone::Waiting },
        State { tag: ACCEPTED, label: "已受理", tone: Tone::Open },
        State { tag: REJECTED, label: "不予受理", tone: Tone::Quiet },
        State { tag: TO_CONCLUDE, label: "待审核办结", tone: Tone::Waiting },
        State { tag: CONCLUDED, label: "已办结", tone: Tone::Done },
        State { tag: ARCHIVED, label: "已归档", tone: Tone::Quiet },
        State { tag: VOID, label: "已作废", tone: Tone::Void },
    ],
    moves: &[
        step("propose", "提交拟办", &[TO_PROPOSE], TO_DECIDE, Duty::Handle),
        step("accept", "批准受理", &[TO_DECIDE], ACCEPTED, Duty::Approve),
        step("reject", "不予受理", &[TO_DECIDE], REJECTED, Duty::Approve),
        step("return", "退回修改", &[TO_DECIDE], TO_PROPOSE, Duty::Approve),
        step("conclude", "提交办结", &[ACCEPTED], TO_CONCLUDE, Duty::Handle),
        step("confirm", "审核办结", &[TO_CONCLUDE], CONCLUDED, Duty::Approve),
        step("supplement", "退回补充", &[TO_CONCLUDE], ACCEPTED, Duty::Approve),
        step("reopen", "重新办理", &[CONCLUDED], ACCEPTED, Duty::Approve),
        step("archive", "归档", &[CONCLUDED, REJECTED], ARCHIVED, Duty::Handle),
        // Entered by mistake: the clerk takes back an own entry nobody has decided on; later the head does.
        step("void", "作废", &[INCOMPLETE, TO_PROPOSE], VOID, Duty::Enter),
        step("annul", "作废", EVERY_OTHER, VOID, Duty::Approve),
    ],
    settle,
    trail: Some(TRAIL),
};

/// A petition about nobody, or about somebody of unknown rank, is incomplete: article 16 is not answered for it.
fn settle(state: Option<u8>, fields: &Fields) -> u8 {
    let persons = fields.rows(ACCUSED);
    let known = persons.iter().all(|p| p.text(4) != rank::UNKNOWN);
    let about_somebody = known && (!persons.is_empty() || !fields.text(ACCUSED_ORG).is_empty());
    match state {
        None | Some(INCOMPLETE) if about_somebody => TO_PROPOSE,
        None | Some(TO_PROPOSE) if !about_somebody => INCOMPLETE,
        None => TO_PROPOSE,
        Some(other) => other,
    }
}

/// What the petition office (信访室) does for every unit.
const OFFICE: &[Right] =
    &[Right::See, Right::Create, Right::Move(Duty::Approve), Right::Move(Duty::Enter)];

/// The kind.
pub static KIND: Kind = Kind {
    tag: 1,
    name: "petition",
    label: "信访件",
    group: Some("业务"),
    fields: FIELDS,
    flow: &FLOW,
    title: TITLE,
    day: RECEIVED,
    number: Some((NUMBER, "信访")),
    columns: &[NUMBER, TITLE, CHANNEL, RECEIVED],
    parent: None,
    keys: &[NUMBER, REF],
    unique: false,
    grants: &[
        Grant("handler", KEEP, Scope::Own),
        Grant("approver", &[Right::See, Right::Move(Duty::Approve), Right::Purge], Scope::Own),
        Grant("petition-office", OFFICE, Scope::County),
        Grant("identity", &[Right::Identity], Scope::County),
    ],
    along: &[],
    indexed: true,
    check,
    complete: |_| {},
    owned: true,
    sensitive: true,
    preset: |today| {
        Fields::default()
            .with(RECEIVED, Value::Day(today))
            .with_text(CHANNEL, "letter")
            .with_text(ORIGIN, "own")
    },
    weight: |record| if record.state == VOID { 0.6 } else { 1.0 },
    sample,
};

fn check(fields: &Fields) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let named = fields.text(SIGNED) == "named";
    if named && fields.text(NAME).is_empty() {
        problems.push(("petitioner.name".into(), "署名情况为实名时，请填写检举控告人姓名或单位名称。".into()));
    }
    let (happened, received) = (fields.day(32), fields.day(RECEIVED));
    if happened.is_full() && received.is_full() && happened > received {
        problems.push(("happened".into(), "问题发生时间不能晚于收到时间。".into()));
    }
    problems
}

fn sample(seed: u64) -> Fields {
    let person = Fields::default()
        .with_text(1, format!("测某{seed}"))
        .with_text(3, "会计")
        .with_text(4, if seed.is_multiple_of(2) { "village" } else { "clerk1" });
    let fields = Fields::default()
        .with_text(TITLE, format!("样例信访件{seed}"))
        .with_text(TEXT, format!("第{seed}号样例的内容。"))
        .with_text(CHANNEL, "visit")
        .with_text(NAME, format!("样例来信人{seed}"))
        .with(RECEIVED, Value::Day(Day::ymd(2026, 3, 1 + (seed % 28) as i8).unwrap_or_default()))
        .with(35, Value::Codes(vec!["integrity".into()]));
    if seed.is_multiple_of(3) { fields } else { fields.with(ACCUSED, Value::Rows(vec![person])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Moment, RecordId};
    use crate::records::{Author, decide};

    const AUTHOR: Author = Author { account: RecordId(7), unit: RecordId(2) };

    fn accused(rank: &str) -> Fields {
        let person = Fields::default().with_text(1, "某人").with_text(4, rank);
        sample(3).with(ACCUSED, Value::Rows(vec![person]))
    }

    #[test]
    fn a_person_of_section_rank_is_refused_before_anything_else() {
        let broken = accused("sect-head").with_text(SIGNED, "named");
        assert_eq!(decide::create(&KIND, broken, AUTHOR, Moment(0)), Err(decide::Refusal::Gate));
        let record = decide::create(&KIND, accused("clerk2"), AUTHOR, Moment(0)).unwrap();
        let changed = decide::amend(&KIND, &record, &accused("sect4"), &|_| true, Moment(1));
        assert_eq!(changed, Err(decide::Refusal::Gate));
    }

    #[test]
    fn who_prepared_does_not_approve() {
        let record = decide::create(&KIND, accused("clerk2"), AUTHOR, Moment(0)).unwrap();
        let [propose, accept] = [0, 1].map(|i| &FLOW.moves[i]);
        let proposed = decide::advance(&KIND, &record, propose, "拟受理", (AUTHOR, Moment(1))).unwrap();
        let own = decide::advance(&KIND, &proposed, accept, "同意", (AUTHOR, Moment(2)));
        assert_eq!(own, Err(decide::Refusal::OwnWork));
        let other = Author { account: RecordId(8), ..AUTHOR };
        let done = decide::advance(&KIND, &proposed, accept, "同意", (other, Moment(2))).unwrap();
        assert_eq!((done.state, done.fields.rows(TRAIL).len()), (ACCEPTED, 2));
    }

    #[test]
    fn an_editor_without_the_identity_does_not_erase_it() {
        let record = decide::create(&KIND, accused("clerk2"), AUTHOR, Moment(0)).unwrap();
        let main_only = |f: &Field| f.part == crate::records::Part::Main;
        let changed = decide::amend(&KIND, &record, &sample(4), &main_only, Moment(1)).unwrap();
        assert_eq!(changed.fields.text(NAME), "样例来信人3");
        assert_eq!(changed.fields.text(TITLE), "样例信访件4");
    }
}
