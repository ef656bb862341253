//! What the auditor looks at (审计管理), as data: acts in groups, kinds whose changes are shown field by field, and the
//! rules of alarms. Pure; whoever follows the journal says what was done, and gets an answer that depends on nothing
//! else.
//!
//! What must hold: each act is in one group, one that nobody put anywhere is among those of the administrators; a
//! field is shown only of kinds that stand on a list; no threshold is ever laxer than its floor.

use super::{Kind, act};
use crate::base::{Moment, RecordId};

/// Groups of acts, each act in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// What administrators and the host's console do: units, accounts, rights, settings.
    Admin,
    /// Log-ins, failures, log-outs, passwords.
    Login,
    /// Looks at what is sensitive, with their reasons.
    Look,
    /// What left the system: downloads, exports.
    Export,
    /// What was refused.
    Refused,
    /// Backups, drills, keys, self-checks.
    Keys,
    /// Registering, changing, handling, importing.
    Business,
}

impl Group {
    /// Every group, in the order of tables.
    pub const ALL: [Self; 7] =
        [Self::Admin, Self::Login, Self::Look, Self::Export, Self::Refused, Self::Keys, Self::Business];

    /// Its name in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Login => "login",
            Self::Look => "look",
            Self::Export => "export",
            Self::Refused => "refused",
            Self::Keys => "keys",
            Self::Business => "business",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        match self {
            Self::Admin => "管理操作",
            Self::Login => "登录与口令",
            Self::Look => "敏感查看",
            Self::Export => "导出下载",
            Self::Refused => "拒绝",
            Self::Keys => "备份与密钥",
            Self::Business => "业务办理",
        }
    }

    /// The group with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|g| g.name() == name)
    }

    /// The group of an act: its code, whether it was done, and the kinds of the records it is about.
    pub fn of(action: u16, done: bool, kinds: &[u8]) -> Self {
        let administers = || kinds.iter().any(|tag| super::by_tag(*tag).is_some_and(is_administration));
        let group = match action {
            // Codes from 100 are the second factor and what else belongs to logging in; settings are not.
            30..=33 | 100..=105 | 107 | 113 | 150 | 156..=157 => Self::Login,
            20..=23 | 25 | 151 | 152 | 170 | 174 => Self::Look,
            24 | 96 | 121 | 153 => Self::Export,
            40 | 41 => Self::Refused,
            2 | 50..=52 | 55..=57 | 59..=74 | 80 | 95 | 154 => Self::Keys,
            10..=15 if administers() => Self::Admin,
            10..=15 | 34 | 90 | 91 | 130..=132 | 171..=173 => Self::Business,
            _ => Self::Admin,
        };
        let tells = matches!(group, Self::Login | Self::Keys);
        if done || tells { group } else { Self::Refused }
    }
}

/// Kinds whose changes the auditor sees field by field. Of all others only kind and number are shown.
pub static ADMINISTRATION: &[&str] = &["org", "account"];

/// The kind is on that list.
pub fn is_administration(kind: &Kind) -> bool {
    ADMINISTRATION.contains(&kind.name)
}

/// Settings: acts whose note says what is set, so that the one before says what was.
pub static SETTINGS: &[u16] = &[
    act::RECIPIENTS.code,
    act::BACKUP_SCHEDULE.code,
    act::CHECKS_SET.code,
    act::POLICY.code,
    act::ALARM_RULES.code,
    act::TRUST.code,
];

/// Acts whose sealed words are addressed to the auditor. Words of a search are content.
pub static REASONS: &[u16] = &[
    act::REVEAL.code,
    act::IDENTITY_SEARCH.code,
    act::LABELLED.code,
    act::ALARM_CLEARED.code,
    act::IDENTITIES_WANTED.code,
    act::IDENTITIES_AGREED.code,
    act::IDENTITIES.code,
    act::WORDBOOK.code,
];

/// An act, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What.
    pub action: u16,
    /// Done, or refused.
    pub done: bool,
    /// When.
    pub at: Moment,
    /// By whom; 0 for the machine, the host's console and strangers.
    pub account: RecordId,
    /// By how many seconds it lies before the entry before it.
    pub back_s: i64,
}

/// What a rule measures.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Acts of one account within so many seconds.
    Count(i64, fn(&Seen) -> bool),
    /// A size of each act by itself.
    Size(fn(&Seen) -> i64),
}

/// A rule of alarms.
pub struct Rule {
    /// Its name in the journal.
    pub name: &'static str,
    /// What users read.
    pub label: &'static str,
    /// What is counted, for the page that sets it.
    pub unit: &'static str,
    /// What it measures.
    pub measure: Measure,
    /// The threshold when nothing else was set: an alarm is raised when it is reached.
    pub usual: u32,
    /// The laxest threshold that can be set.
    pub most: u32,
    /// Why it is not laxer.
    pub floor: &'static str,
}

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
/// Hours of work, for exports: from, and up to.
const WORK: std::ops::Range<i64> = 7..20;

/// Every rule. Names are stored and never used again for something else.
pub static RULES: &[Rule] = &[
    Rule {
        name: "off-hours-export",
        label: "非工作时间导出或下载",
        unit: "同一账户 24 小时内次数（工作时间：周一至周五 7—20 时）",
        measure: Measure::Count(DAY_S, |s| s.done && exports(s.action) && !is_work(s.at)),
        usual: 1,
        most: 5,
        floor: "下班后带走材料最难当场发现，一天至多放过 4 次",
    },
    Rule {
        name: "mass-identity",
        label: "大量查看、查找检举控告人",
        unit: "同一账户 1 小时内次数",
        measure: Measure::Count(HOUR_S, |s| {
            s.done && [act::REVEAL.code, act::IDENTITY_SEARCH.code].contains(&s.action)
        }),
        usual: 10,
        most: 30,
        floor: "检举控告人信息逐件写明理由才能看，一小时三十件已不是办理的速度",
    },
    Rule {
        name: "mass-records",
        label: "大量查看记录和附件",
        unit: "同一账户 1 小时内次数",
        measure: Measure::Count(HOUR_S, |s| s.done && [act::READ.code, act::VIEW.code].contains(&s.action)),
        usual: 100,
        most: 300,
        floor: "连续一小时平均每 12 秒打开一件，就是在翻找而不是办理",
    },
    Rule {
        name: "login-failures",
        label: "登录失败",
        unit: "同一账户（或全部未知登录名）1 小时内次数",
        measure: Measure::Count(HOUR_S, |s| s.action == act::LOGIN_FAILED.code),
        usual: 5,
        most: 10,
        floor: "等级保护要求限制非法登录次数并报警，十次以上只能是试探",
    },
    Rule {
        name: "refusals",
        label: "越权被拒",
        unit: "同一账户 1 小时内次数",
        measure: Measure::Count(HOUR_S, |s| s.action == act::DENIED.code),
        usual: 5,
        most: 20,
        floor: "页面上没有的入口要自己输入地址才会被拒，二十次以上不会是误点",
    },
    Rule {
        name: "clock-step",
        label: "系统时间倒退",
        unit: "倒退秒数",
        measure: Measure::Size(|s| s.back_s),
        usual: 60,
        most: 600,
        floor: "时间倒退十分钟以上，期限和日志的先后都不再可信",
    },
    Rule {
        name: "mass-prints",
        label: "大量打印",
        unit: "同一账户 1 小时内次数",
        measure: Measure::Count(HOUR_S, |s| s.done && s.action == act::AUDIT_PRINT.code),
        usual: 20,
        most: 60,
        floor: "打印件离开系统后不再留痕，一小时六十份已不是日常用量",
    },
    Rule {
        name: "broken-chain",
        label: "日志链不完整",
        unit: "同一账户 24 小时内核对不上的次数",
        measure: Measure::Count(DAY_S, |s| s.action == act::AUDIT_CHECKPOINT.code && !s.done),
        usual: 1,
        most: 1,
        floor: "日志链对不上一次就必须查明",
    },
    Rule {
        name: "identity-export",
        label: "导出检举控告人",
        unit: "同一账户 24 小时内次数",
        measure: Measure::Count(DAY_S, |s| s.done && s.action == act::IDENTITIES.code),
        usual: 1,
        most: 1,
        floor: "一份文件可以有上千名检举控告人，每一份都要有人过问",
    },
];

/// The rule with a name.
pub fn rule(name: &str) -> Option<usize> {
    RULES.iter().position(|r| r.name == name)
}

/// Thresholds of all rules, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(pub Vec<u32>);

impl Default for Thresholds {
    fn default() -> Self {
        Self(RULES.iter().map(|r| r.usual).collect())
    }
}

impl Thresholds {
    /// As the journal's note has them: `name number` for each rule, with blanks between.
    pub fn note(&self) -> String {
        RULES.iter().zip(&self.0).map(|(r, n)| format!("{} {n}", r.name)).collect::<Vec<_>>().join(" ")
    }

    /// Reads a note; a rule it does not name has its usual threshold, and none is laxer than its floor.
    pub fn of_note(note: &str) -> Self {
        let mut all = Self::default();
        let mut words = note.split(' ');
        while let (Some(name), Some(number)) = (words.next(), words.next()) {
            if let (Some(n), Ok(value)) = (rule(name), number.parse::<u32>()) {
                all.0[n] = value.clamp(1, RULES[n].most);
            }
        }
        all
    }
}

fn exports(action: u16) -> bool {
    Group::of(action, true, &[]) == Group::Export
}

fn is_work(at: Moment) -> bool {
    let hour = at.seconds_since(at.midnight()) / HOUR_S;
    at.weekday() <= 5 && WORK.contains(&hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_set_and_none_beyond_its_floor() {
        let names: std::collections::HashSet<_> = RULES.iter().map(|r| r.name).collect();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            assert!((1..=rule.most).contains(&rule.usual) && !rule.floor.is_empty(), "{}", rule.name);
            assert!(!rule.name.contains(' '));
        }
        let lax = Thresholds(vec![u32::MAX; RULES.len()]);
        assert_eq!(Thresholds::of_note(&lax.note()).0, RULES.iter().map(|r| r.most).collect::<Vec<_>>());
        let none = Thresholds(vec![0; RULES.len()]);
        assert!(Thresholds::of_note(&none.note()).0.iter().all(|n| *n == 1));
        assert_eq!(Thresholds::of_note("other 3 refusals x clock-step 5").0[5], 5);
        assert_eq!(Thresholds::of_note(&Thresholds::default().note()), Thresholds::default());
    }

    #[test]
    fn an_act_is_in_one_group_and_an_unknown_one_is_not_lost() {
        for action in act::ALL {
            let group = Group::of(action.code, true, &[]);
            assert!(Group::named(group.name()) == Some(group) && !group.label().is_empty(), "{}", action.label);
        }
        assert_eq!(Group::of(9999, true, &[]), Group::Admin);
        let account = super::super::account::KIND.tag;
        assert_eq!(Group::of(act::UPDATE.code, true, &[account]), Group::Admin);
        assert_eq!(Group::of(act::UPDATE.code, true, &[1]), Group::Business);
        assert_eq!(Group::of(act::UPDATE.code, false, &[1]), Group::Refused);
        assert_eq!(Group::of(act::LOGIN_FAILED.code, false, &[]), Group::Login);
        assert_eq!(Group::of(act::AUDIT_EXPORT.code, true, &[]), Group::Export);
    }

    #[test]
    fn hours_of_work_are_those_of_beijing() {
        let at = |text: &str| Moment::of_beijing(text).unwrap();
        assert!(is_work(at("2026-11-30 07:00")) && is_work(at("2026-11-30 19:59")));
        assert!(!is_work(at("2026-11-30 06:59")) && !is_work(at("2026-11-30 20:00")));
        assert!(!is_work(at("2026-11-28 10:00")), "a Saturday");
    }
}
