//! Counts of the last thirty days, as charts and as a table, and the sheet of a day (审计日报) to print, sign and keep
//! outside of the house.

use maud::{Markup, html};

use crate::app::audit::checkpoint::{DaySheet, in_groups};
use crate::app::audit::watch::DayCount;
use crate::base::{Day, Result, limits};
use crate::records::audit::{Group, RULES};
use crate::web::guard::Call;
use crate::web::layout;
use crate::web::respond::Reply;
use crate::web::view;

type Figure = fn(&DayCount) -> u64;

/// What is drawn.
const CHARTS: [(&str, Figure); 4] = [
    ("登录", |d| d.logins),
    ("登录失败", |d| d.failures),
    ("敏感查看", |d| d.of(Group::Look)),
    ("导出下载", |d| d.of(Group::Export)),
];

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let days = call.app.audit_days(&live.actor)?;
    let tabs = super::tabs(call, "/audit/days")?;
    let outline = super::outline("统计与日报", false);
    view::reply(&call.app, live, outline, html! {
        (tabs)
        @for (label, of) in CHARTS { (chart(label, &days, of)) }
        section.section {
            h2 { "最近 " (limits::AUDIT_DAYS) " 天" }
            p.help { "每个有日志的日子都有一张审计日报，打印签字后与服务器分开保存。" }
            (table(&days))
        }
    })
}

fn chart(label: &str, days: &[(Day, DayCount)], of: Figure) -> Markup {
    // Only every fifth day is written below its column; the table says all of them.
    let columns = days.iter().rev().enumerate().map(|(n, (day, count))| {
        let text = day.to_string();
        (if n % 5 == 0 { text[5..].to_owned() } else { String::new() }, of(count))
    });
    let columns: Vec<(String, u64)> = columns.collect();
    html! {
        section.card { h2 { (label) } (layout::column_chart(&columns, &format!("最近三十天每天的{label}次数"))) }
    }
}

fn table(days: &[(Day, DayCount)]) -> Markup {
    html! {
        div.table-wrap { table.list {
            thead { tr {
                th scope="col" { "日期" }
                @for (label, _) in &CHARTS[..2] { th.num scope="col" { (label) } }
                @for group in Group::ALL { th.num scope="col" { (group.label()) } }
                th.num scope="col" { "合计" } th scope="col" { "日报" }
            } }
            tbody { @for (day, count) in days { tr {
                td.nowrap { (day) }
                @for (_, of) in &CHARTS[..2] { td.num { (layout::grouped(of(count))) } }
                @for group in Group::ALL { td.num { (layout::grouped(count.of(group))) } }
                td.num { (layout::grouped(count.sum())) }
                td { @if count.sum() > 0 {
                    a href=(format!("/audit/days/{day}")) aria-label=(format!("{day} 的审计日报")) { "打开" }
                } }
            } } }
        } }
    }
}

/// The sheet of a day.
pub fn sheet(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let day = call.param("day").parse::<Day>().ok().filter(|d| d.is_full());
    // What is no day has no sheet, and whoever may see none is entered as for any other.
    let day = day.unwrap_or_default();
    let sheet = call.app.audit_day(&live.actor, day)?;
    let directory = call.app.directory()?;
    let county = &call.app.facts().county;
    let outline = super::outline("审计日报", true);
    let facts = [
        ("单位", html! { (county) }),
        ("日期", html! { (day) @if sheet.goes_on { "（当天尚未结束，截至打印时）" } }),
        ("打印人、时间", html! { (live.actor.name) "，" (call.app.now()) }),
        ("首条、末条序号", html! { (sheet.count.span.0) "、" (sheet.count.span.1) }),
        ("登录成功、失败", html! { (sheet.count.logins) "、" (sheet.count.failures) }),
    ];
    let blank = || html! { span.blank { span.sr { "（手写）" } } };
    view::reply(&call.app, live, outline, html! {
        p.help.no-print { "请用浏览器的打印功能打印（A4），签字后与服务器分开保存。这次打印已记入日志。" }
        section.section.sheet {
            h2 { (county) " 审计日报" }
            (layout::props(&facts))
            (counts(&sheet))
        }
        section.section.sheet {
            h2 { "日志链头" }
            p { "第 " strong { (sheet.head.seq) } " 条的哈希（每四位一组）：" }
            p.mono { (in_groups(&sheet.head.hash).join(" ")) }
            p.help {
                "核对：jiceng audit verify --dir 数据目录 --head \"" (sheet.head.seq) ":上面的哈希\"。"
                "链头对不上时，会说明是分叉、尾部被截断还是库被回退。"
            }
        }
        section.section.sheet {
            h2 { "当天的告警" span.count { (sheet.alarms.len()) } }
            @if sheet.alarms.is_empty() { p { "没有。" } }
            ul { @for a in &sheet.alarms { li {
                (a.at) " " (RULES[a.rule].label) "：" (directory.account(a.account)) "，" (a.count)
                "，日志第 " (a.span.0) " 至 " (a.span.1) " 条，" @if a.cleared.is_some() { "已处理" } @else { "未处理" }
            } } }
        }
        section.section.sheet {
            h2 { "签字" }
            (layout::props(&[("安全审计员签字、日期", blank()), ("核对情况", blank()), ("存放处", blank())]))
        }
    })
}

fn counts(sheet: &DaySheet) -> Markup {
    html! {
        table.list {
            thead { tr {
                @for group in Group::ALL { th.num scope="col" { (group.label()) } }
                th.num scope="col" { "合计" }
            } }
            tbody { tr {
                @for group in Group::ALL { td.num { (layout::grouped(sheet.count.of(group))) } }
                td.num { (layout::grouped(sheet.count.sum())) }
            } }
        }
    }
}
