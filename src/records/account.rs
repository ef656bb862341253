//! Account (账户): one person's way in. Its roles say what it may do; an account without roles may do nothing.
//! The three administrators (三员) exclude each other and every business role (管理办法 第十三条).

use super::dict::{Dict, entry};
use super::flow::{Flow, in_use};
use super::grant::{self, KEEP, SEE};
use super::label::{self, Label};
use super::{Field, Fields, Grant, Kind, Record, Right, Scope, Value, Widget};
use crate::base::{Day, RecordId, limits};

/// Tags other files name.
pub mod tag {
    #![expect(missing_docs, reason = "each is explained by its row in FIELDS")]
    pub const LOGIN: u16 = 16;
    pub const NAME: u16 = 17;
    pub const UNIT: u16 = 18;
    pub const POST: u16 = 19;
    pub const ROLES: u16 = 20;
    pub const CREDENTIAL: u16 = 21;
    pub const MUST_CHANGE: u16 = 22;
    pub const SINCE: u16 = 23;
    pub const TEMPORARY: u16 = 40;
    pub const CLEARANCE: u16 = 41;
    pub const REVIEWED: u16 = 42;
    pub const REVIEWED_BY: u16 = 43;
    pub const EXPIRES: u16 = 44;
    pub const ACTIVATION: u16 = 45;
    pub const EXTRA: u16 = 50;
    pub const FACTOR: u16 = 24;
    pub const RECOVERY: u16 = 25;
    pub const PASSWORD_SINCE: u16 = 26;
    pub const PASSWORD_HISTORY: u16 = 27;
    pub const WAITING: u16 = 28;
    pub const CERTIFICATE: u16 = 48;
    pub const CERTIFICATE_OF: u16 = 49;
    pub const TRAIL: u16 = 51;
}
use tag::*;

/// Tags of a row of what waits for a second administrator.
pub mod waiting {
    /// What it is: a code of [`super::RELIEFS`].
    pub const WHAT: u16 = 1;
    /// The account that asked.
    pub const BY: u16 = 2;
    /// When, in milliseconds; with what it is, it names the request.
    pub const AT: u16 = 3;
    /// The hash of the one-time password, of a password.
    pub const CREDENTIAL: u16 = 4;
}

/// Roles of the regulation's articles 7, 13 and 14.
pub static ROLES: Dict = Dict {
    name: "role",
    source: "管理办法 第五条至第七条、第十三条、第十四条",
    entries: &[
        entry("sysadmin", "系统管理员"),
        entry("secadmin", "安全保密管理员"),
        entry("auditor", "安全审计员"),
        entry("handler", "经办人"),
        entry("approver", "负责人（审批）"),
        entry("petition-office", "信访室业务"),
        entry("law-office", "调研法规室业务"),
        entry("office", "办公室业务"),
        entry("publicity-office", "宣传部业务"),
        entry("supervision-office", "案件监督管理室业务"),
        entry("trial-office", "案件审理室业务"),
        entry("conduct-office", "党风政风监督室业务"),
        entry("identity", "可查看检举控告人"),
    ],
};

/// What one administrator asks for and another one confirms, so that a person comes in again.
pub static RELIEFS: Dict = Dict {
    name: "relief",
    source: "",
    entries: &[entry("password", "一次性口令"), entry("factor", "作废动态码")],
};

/// The three that exclude everything else.
pub const ADMINISTRATORS: [&str; 3] = ["sysadmin", "secadmin", "auditor"];

/// Tags of a temporary grant's columns that other files name.
pub mod temporary {
    #![expect(missing_docs, reason = "each is explained by its row in TEMPORARY_FIELDS")]
    pub const ROLE: u16 = 1;
    pub const UNTIL: u16 = 2;
    pub const REASON: u16 = 3;
}

/// Columns of a temporary grant (临时授权).
static TEMPORARY_FIELDS: &[Field] = &[
    Field::new(temporary::ROLE, "role", "角色", Widget::Choice(&ROLES)).required(),
    Field::new(temporary::UNTIL, "until", "到期日", Widget::Date(false)).required().help("当天结束时自动失效"),
    Field::new(temporary::REASON, "reason", "理由", Widget::Line).required(),
];

/// Tags of an extra grant's columns.
pub mod extra {
    #![expect(missing_docs, reason = "each is explained by its row in EXTRA_FIELDS")]
    pub const MODULE: u16 = 1;
    pub const ACTION: u16 = 2;
    pub const SCOPE: u16 = 3;
    pub const UNTIL: u16 = 4;
    pub const REASON: u16 = 5;
}

/// Columns of an extra grant (另行授权).
static EXTRA_FIELDS: &[Field] = &[
    Field::new(extra::MODULE, "module", "模块", Widget::Choice(&grant::MODULES)).required(),
    Field::new(extra::ACTION, "action", "权限", Widget::Choice(&grant::ACTIONS)).required(),
    Field::new(extra::SCOPE, "scope", "范围", Widget::Choice(&grant::SCOPES)).required(),
    Field::new(extra::UNTIL, "until", "到期日", Widget::Date(false)).help("当天结束时自动失效；不填为长期有效"),
    Field::new(extra::REASON, "reason", "理由", Widget::Line).required(),
];

static FIELDS: &[Field] = &[
    Field::new(LOGIN, "login", "登录名", Widget::Line).required().max(limits::LOGIN_CHARS).help("小写字母、数字，创建后不改"),
    Field::new(NAME, "name", "姓名", Widget::Line).required().max(limits::NAME_CHARS),
    Field::new(UNIT, "unit", "所属机构", Widget::Link("org")).required().help("改变机构或姓名后须重新授予角色"),
    Field::new(POST, "post", "职务", Widget::Line),
    Field::new(ROLES_TAG, "roles", "角色", Widget::Choices(&ROLES)).help("由安全保密管理员授予；没有角色的账户不能做任何事"),
    Field::new(TEMPORARY, "temporary", "临时授权", Widget::Rows(TEMPORARY_FIELDS))
        .help("代理、借调期间的角色；到期日过后自动失效，不必收回"),
    Field::new(EXTRA, "extra", "另行授权", Widget::Rows(EXTRA_FIELDS))
        .help("角色之外的单项权限：模块、权限、范围逐行写明"),
    Field::new(CLEARANCE, "clearance", "知悉范围", Widget::Choice(&label::LABELS))
        .help("能知悉到哪一级安全标记；不选为敏感"),
    Field::new(CREDENTIAL, "credential", "口令", Widget::Hidden),
    Field::new(MUST_CHANGE, "must_change", "首次登录须改口令", Widget::Hidden),
    Field::new(SINCE, "since", "启用日期", Widget::Date(true)),
    Field::new(EXPIRES, "expires", "有效期至", Widget::Date(false))
        .help("当天结束后自动不能登录，借调、挂职人员用；不填为长期有效"),
    Field::new(REVIEWED, "reviewed", "权限复核时间", Widget::Hidden),
    Field::new(REVIEWED_BY, "reviewed_by", "权限复核人", Widget::Hidden),
    Field::new(FACTOR, "factor", "动态码密钥", Widget::Hidden),
    Field::new(RECOVERY, "recovery", "恢复码", Widget::Hidden),
    Field::new(PASSWORD_SINCE, "password_since", "口令设置时间", Widget::Hidden),
    Field::new(PASSWORD_HISTORY, "password_history", "用过的口令", Widget::Hidden),
    Field::new(WAITING, "waiting", "等待确认", Widget::Hidden),
    Field::new(ACTIVATION, "activation", "激活链接", Widget::Hidden),
    Field::new(CERTIFICATE, "certificate", "证书公钥", Widget::Hidden),
    Field::new(CERTIFICATE_OF, "certificate_of", "登录证书", Widget::Fixed),
    Field::new(TRAIL, "trail", "办理过程", Widget::Hidden),
];

const ROLES_TAG: u16 = tag::ROLES;

static FLOW: Flow = in_use(TRAIL);

/// The kind.
pub static KIND: Kind = Kind {
    tag: 5,
    name: "account",
    label: "账户",
    group: Some("管理"),
    fields: FIELDS,
    flow: &FLOW,
    title: NAME,
    day: SINCE,
    number: None,
    columns: &[NAME, LOGIN, UNIT, ROLES_TAG],
    parent: None,
    keys: &[LOGIN, CERTIFICATE],
    unique: true,
    grants: &[
        Grant("sysadmin", KEEP, Scope::County),
        Grant("secadmin", &[Right::See, Right::Edit], Scope::County),
        Grant("auditor", SEE, Scope::County),
    ],
    along: &[],
    indexed: false,
    check,
    complete: |_| {},
    owned: false,
    sensitive: true,
    preset: |today| Fields::default().with(SINCE, Value::Day(today)),
    weight: |_| 1.0,
    sample: |seed| {
        Fields::default()
            .with_text(LOGIN, format!("user{seed}"))
            .with_text(NAME, "样例用户")
            .with(UNIT, Value::Link(RecordId(1)))
            .with(ROLES_TAG, Value::Codes(vec!["handler".into()]))
    },
};

/// The account is one of the three.
pub fn is_administrator(fields: &Fields) -> bool {
    fields.codes(ROLES_TAG).iter().any(|r| ADMINISTRATORS.contains(&r.as_str()))
}

/// What the security administrator alone types: everything else of an account is the system administrator's.
pub const OF_RIGHTS: [u16; 4] = [ROLES_TAG, TEMPORARY, EXTRA, CLEARANCE];

/// Its person comes in on this day: it is in use, and its last day, if it has one, has not passed.
pub fn admits(account: &Record, day: Day) -> bool {
    account.kind == KIND.tag && account.state == 1 && !is_over(&account.fields, day)
}

fn is_over(fields: &Fields, day: Day) -> bool {
    let last = fields.day(EXPIRES);
    last.is_full() && day > last
}

/// Roles on a day: those for good, and those whose last day has not passed; none once the account's own has.
pub fn roles_on(fields: &Fields, day: Day) -> Vec<String> {
    if is_over(fields, day) {
        return Vec::new();
    }
    let mut roles = fields.codes(ROLES_TAG).to_vec();
    let lasts = fields.rows(TEMPORARY).iter().filter(|row| lasts(row, day));
    roles.extend(lasts.map(|row| row.text(temporary::ROLE).to_owned()));
    roles.sort_by_key(|role| ROLES.entries.iter().position(|e| e.code == role));
    roles.dedup();
    roles
}

/// A temporary grant holds on this day; without a last day it never does.
pub fn lasts(grant: &Fields, day: Day) -> bool {
    grant.day(temporary::UNTIL).is_full() && day <= grant.day(temporary::UNTIL)
}

/// A single right holds on this day; without a last day it does until it is taken away.
pub fn extra_lasts(grant: &Fields, day: Day) -> bool {
    grant.get(extra::UNTIL).is_none() || day <= grant.day(extra::UNTIL)
}

/// Takes every role and single right away; how far the account may know stays.
pub fn withdraw(fields: &mut Fields) {
    fields.remove(ROLES_TAG);
    fields.remove(TEMPORARY);
    fields.remove(EXTRA);
}

/// It was given something to do, for good or for a time.
pub fn holds_rights(fields: &Fields) -> bool {
    !fields.codes(ROLES_TAG).is_empty() || [TEMPORARY, EXTRA].iter().any(|tag| !fields.rows(*tag).is_empty())
}

/// What tells persons apart by their names: width, case and blanks do not.
pub fn name_key(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(crate::base::text::fold).collect()
}

/// Takes off every second factor: its owner sets one up anew.
pub fn void_factor(fields: &mut Fields) {
    [FACTOR, RECOVERY, CERTIFICATE, CERTIFICATE_OF].into_iter().for_each(|tag| drop(fields.remove(tag)));
}

/// A right that one account has besides its roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Tag of the kind.
    pub kind: u8,
    /// What may be done.
    pub right: Right,
    /// How far it reaches.
    pub scope: Scope,
}

/// Rights besides the roles on a day; none once the account's last day has passed, and never an administrator's.
pub fn extras_on(fields: &Fields, day: Day) -> Vec<Extra> {
    if is_administrator(fields) {
        return Vec::new();
    }
    let rows = fields.rows(EXTRA).iter().filter(|row| extra_lasts(row, day) && !is_over(fields, day));
    let known = rows.filter_map(|row| {
        let kind = super::by_name(row.text(extra::MODULE)).filter(|k| grant::is_module(k))?.tag;
        let (right, scope) = (Right::of_code(row.text(extra::ACTION))?, Scope::of_code(row.text(extra::SCOPE))?);
        Some(Extra { kind, right, scope })
    });
    known.collect()
}

/// How far the account may know; administrators see no content by their roles, whatever its label.
pub fn clearance(fields: &Fields) -> Label {
    match fields.text(CLEARANCE) {
        _ if is_administrator(fields) => Label::Core,
        "" => Label::UNSAID,
        code => Label::of_code(code).unwrap_or(Label::Plain),
    }
}

/// Who asks that somebody be let in again, and who confirms it: never the same, and never the person itself. A lost
/// password of one of the three is the business of the other two.
pub fn hands(fields: &Fields) -> (&'static str, &'static str) {
    let is = |role: &str| fields.codes(ROLES_TAG).iter().any(|r| r == role);
    match () {
        () if is("sysadmin") => ("secadmin", "auditor"),
        () if is("secadmin") => ("sysadmin", "auditor"),
        () => ("sysadmin", "secadmin"),
    }
}

/// A change that no single person may make: giving or taking the role of an administrator.
pub fn touches_administrators(before: &Fields, after: &Fields) -> bool {
    let held = |f: &Fields| -> Vec<String> {
        f.codes(ROLES_TAG).iter().filter(|r| ADMINISTRATORS.contains(&r.as_str())).cloned().collect()
    };
    held(before) != held(after)
}

fn check(fields: &Fields) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let login = fields.text(LOGIN);
    if !login.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        problems.push(("login".into(), "登录名只能用小写字母、数字和连字符。".into()));
    }
    let roles = fields.codes(ROLES_TAG);
    if is_administrator(fields) && roles.len() > 1 {
        problems.push(("roles".into(), "三员互斥：系统管理员、安全保密管理员、安全审计员不能兼任其他任何角色。".into()));
    }
    let temporary = fields.rows(TEMPORARY);
    if temporary.iter().any(|row| ADMINISTRATORS.contains(&row.text(temporary::ROLE))) {
        problems.push(("temporary".into(), "三员不能临时授予。".into()));
    }
    if is_administrator(fields) && !temporary.is_empty() {
        problems.push(("temporary".into(), "三员互斥：三员账户不能有临时授权。".into()));
    }
    for row in fields.rows(EXTRA) {
        let kind = super::by_name(row.text(extra::MODULE));
        let scope = Scope::of_code(row.text(extra::SCOPE)).unwrap_or_default();
        if let Some(kind) = kind.filter(|k| !scope.fits(k)) {
            let words = format!("{}属于全县：另行授权的范围请选“{}”。", kind.label, Scope::County.label());
            problems.push(("extra".into(), words));
        }
    }
    if is_administrator(fields) && !fields.rows(EXTRA).is_empty() {
        problems.push(("extra".into(), "三员互斥：三员账户不能另行授权。".into()));
    }
    if is_administrator(fields) && fields.get(EXPIRES).is_some() {
        problems.push(("expires".into(), "三员账户不设有效期：更换三员须由另外两人办理。".into()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::{Author, decide};
    use super::*;
    use crate::base::Moment;

    #[test]
    fn giving_or_taking_an_administrators_role_is_noticed() {
        let with = |roles: &[&str]| {
            let codes = roles.iter().map(|r| (*r).to_owned()).collect();
            Fields::default().with(ROLES_TAG, Value::Codes(codes))
        };
        assert!(touches_administrators(&with(&["handler"]), &with(&["sysadmin"])));
        assert!(touches_administrators(&with(&["auditor"]), &Fields::default()));
        assert!(!touches_administrators(&with(&["handler"]), &with(&["approver"])));
    }

    #[test]
    fn a_temporary_role_ends_with_its_last_day_and_is_no_administrators() {
        let grant = |role: &str, until: Day| {
            Fields::default().with_text(temporary::ROLE, role).with(temporary::UNTIL, Value::Day(until))
        };
        let day = |d| Day::ymd(2026, 3, d).unwrap();
        let rows = vec![grant("approver", day(5)), grant("handler", day(9)), grant("identity", Day::default())];
        let fields = (KIND.sample)(1).with(TEMPORARY, Value::Rows(rows));
        assert_eq!(roles_on(&fields, day(5)), ["handler", "approver"]);
        assert_eq!(roles_on(&fields, day(6)), ["handler"]);
        for admin in ADMINISTRATORS {
            let fields = (KIND.sample)(1).with(TEMPORARY, Value::Rows(vec![grant(admin, day(5))]));
            assert!(!check(&fields).is_empty(), "{admin}");
            let fields = fields.with(ROLES_TAG, Value::Codes(vec![admin.into()]));
            let fields = fields.with(TEMPORARY, Value::Rows(vec![grant("handler", day(5))]));
            assert!(!check(&fields).is_empty(), "{admin}");
        }
    }

    #[test]
    fn an_account_ends_with_its_last_day_and_an_administrators_has_none() {
        let day = |d| Day::ymd(2026, 3, d).unwrap();
        let fields = (KIND.sample)(1).with(EXPIRES, Value::Day(day(5)));
        assert!(check(&fields).is_empty());
        let author = Author { account: RecordId(0), unit: RecordId(0) };
        let mut account = decide::create(&KIND, fields.clone(), author, Moment(0)).unwrap();
        assert_eq!([4, 5, 6].map(|d| admits(&account, day(d))), [true, true, false]);
        assert_eq!([4, 5, 6].map(|d| roles_on(&fields, day(d)).len()), [1, 1, 0]);
        account.state = 2;
        assert!(!admits(&account, day(4)));
        for admin in ADMINISTRATORS {
            let fields = fields.clone().with(ROLES_TAG, Value::Codes(vec![admin.into()]));
            assert!(!check(&fields).is_empty(), "{admin}");
        }
    }

    #[test]
    fn a_right_besides_the_roles_ends_with_its_day_and_is_never_an_administrators() {
        let day = |d| Day::ymd(2026, 3, d).unwrap();
        let row = Fields::default()
            .with_text(extra::MODULE, "petition")
            .with_text(extra::ACTION, "see")
            .with_text(extra::SCOPE, "county");
        let unknown = row.clone().with_text(extra::MODULE, "account");
        let rows = vec![row.with(extra::UNTIL, Value::Day(day(5))), unknown];
        let fields = (KIND.sample)(1).with(EXTRA, Value::Rows(rows));
        assert_eq!([5, 6].map(|d| extras_on(&fields, day(d)).len()), [1, 0]);
        for admin in ADMINISTRATORS {
            let fields = fields.clone().with(ROLES_TAG, Value::Codes(vec![admin.into()]));
            assert!(extras_on(&fields, day(5)).is_empty() && !check(&fields).is_empty(), "{admin}");
        }
        let mut fields = fields.with_text(CERTIFICATE, "k").with_text(FACTOR, "s");
        withdraw(&mut fields);
        void_factor(&mut fields);
        assert!(!holds_rights(&fields) && fields.get(CERTIFICATE).is_none() && fields.get(FACTOR).is_none());
    }

    #[test]
    fn two_others_let_somebody_in_again() {
        for entry in ROLES.entries {
            let fields = Fields::default().with(ROLES_TAG, Value::Codes(vec![entry.code.into()]));
            let (asks, confirms) = hands(&fields);
            assert!(asks != confirms && ![asks, confirms].contains(&entry.code), "{}", entry.code);
            assert!(ADMINISTRATORS.contains(&asks) && ADMINISTRATORS.contains(&confirms), "{}", entry.code);
        }
        assert_eq!(hands(&Fields::default()), ("sysadmin", "secadmin"));
    }

    /// ASVS 2.2.3
    #[test]
    fn the_three_administrators_exclude_everything_else() {
        for admin in ADMINISTRATORS {
            for other in ROLES.entries.iter().map(|e| e.code).filter(|c| *c != admin) {
                let both = Value::Codes(vec![admin.into(), other.into()]);
                let fields = (KIND.sample)(1).with(ROLES_TAG, both);
                assert!(!check(&fields).is_empty(), "{admin}+{other}");
            }
        }
    }
}
