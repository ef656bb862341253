//! Alarms: what waits for the auditor, what was dealt with, and the thresholds, each with its floor and the reason.

use maud::{Markup, html};

use crate::app::audit::console::Filter;
use crate::app::audit::watch::Alarm;
use crate::app::names::Directory;
use crate::base::{ErrorKind, Result};
use crate::records::audit::{RULES, Thresholds};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view;

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Deals with an alarm.
pub fn clear(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    reply(call, call.app.clear_alarm(actor, call.typed("alarm"), call.typed("words")).map(|()| "cleared"))
}

/// Sets the thresholds.
pub fn set(call: &Call) -> Result<Reply> {
    let typed: Vec<String> = RULES.iter().map(|r| call.typed(r.name).to_owned()).collect();
    reply(call, call.app.set_alarm_rules(&call.live()?.actor, &typed).map(|()| "set"))
}

fn reply(call: &Call, outcome: Result<&str>) -> Result<Reply> {
    match outcome {
        Ok(done) => Ok(Reply::Redirect(format!("/audit/alarms?done={done}"))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let alarms = call.app.audit_alarms(&live.actor)?;
    let directory = call.app.directory()?;
    let said = match call.asked("done").as_str() {
        "cleared" => Some("已记下处理情况。"),
        "set" => Some("阈值已保存，从现在起的操作按新阈值判断。"),
        _ => None,
    };
    let mut outline = super::outline("告警", false);
    outline.notice = problem
        .map(|p| (NoticeKind::Bad, p.to_owned()))
        .or_else(|| said.map(|s| (NoticeKind::Ok, s.to_owned())));
    let tabs = super::tabs(call, "/audit/alarms")?;
    let thresholds = thresholds(call, &alarms.thresholds)?;
    let open: Result<Vec<Markup>> = alarms.open.iter().map(|a| waiting(call, &directory, a)).collect();
    let open = open?;
    view::framed(&call.app, live, outline, html! {
        (tabs)
        section.section {
            h2 { "等待处理" span.count { (open.len()) } }
            @if open.is_empty() { (layout::empty(Icon::Check, "没有等待处理的告警。", html! {})) }
            @for alarm in &open { (alarm) }
        }
        section.section {
            h2 { "已处理" span.count { (alarms.cleared.len()) } }
            @if alarms.cleared.is_empty() { p.muted { "还没有处理过告警。" } }
            @else { (cleared(&directory, &alarms.cleared)) }
        }
        (thresholds)
    })
}

fn what(directory: &Directory, alarm: &Alarm) -> String {
    let who = if alarm.account.0 == 0 { "系统、本机或陌生人" } else { directory.account(alarm.account) };
    format!("{who}，{}（{}）", alarm.count, RULES[alarm.rule].unit)
}

/// One that waits, with the way to its entries and a form to deal with it.
fn waiting(call: &Call, directory: &Directory, alarm: &Alarm) -> Result<Markup> {
    let key = alarm.key();
    let day = alarm.at.day().number();
    let person = (alarm.account.0 != 0).then_some(alarm.account);
    let entries = Filter { person, from: day, to: day, ..Filter::default() };
    let id = format!("words-{}", key.replace(' ', "-"));
    let typed = if call.typed("alarm") == key { call.typed("words") } else { "" };
    Ok(html! {
        h3 { (Icon::Warn.svg()) " " (RULES[alarm.rule].label) }
        (layout::props(&[
            ("时间", html! { (alarm.at) }),
            ("情况", html! { (what(directory, alarm)) }),
            ("日志", html! {
                "第 " (alarm.span.0) " 至 " (alarm.span.1) " 条，" a href=(entries.address("/audit", &[])) { "查看当天的操作" }
            }),
        ]))
        form.form.no-print method="post" action="/audit/alarms" {
            (view::hidden(call.live()?))
            input type="hidden" name="alarm" value=(key);
            div.field {
                label for=(id) { "处理说明 " em.req title="必填" { "*" } }
                input type="text" id=(id) name="words" value=(typed) maxlength="200" autocomplete="off";
                p.help { "写明核实的情况和处理结果，记入日志。" }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "已处理" } }
        }
    })
}

fn cleared(directory: &Directory, alarms: &[Alarm]) -> Markup {
    html! {
        div.table-wrap { table.list {
            thead { tr {
                @for head in ["时间", "告警", "情况", "日志", "处理人", "处理的日志"] { th scope="col" { (head) } }
            } }
            tbody { @for a in alarms { tr {
                td.nowrap { (a.at) }
                td.nowrap { (RULES[a.rule].label) }
                td { (what(directory, a)) }
                td.nowrap { (a.span.0) "—" (a.span.1) }
                @if let Some((seq, by)) = a.cleared {
                    td.nowrap { (directory.account(by)) }
                    td.nowrap { "第 " (seq) " 条" }
                }
            } } }
        } }
    }
}

fn thresholds(call: &Call, now: &Thresholds) -> Result<Markup> {
    Ok(html! {
        section.section {
            h2 { "阈值" }
            p.help { "达到阈值就告警。阈值可以调严，不能放宽到下限以外；修改记入日志。" }
            form.form method="post" action="/audit/alarms/rules" {
                (view::hidden(call.live()?))
                div.fields { @for (rule, value) in RULES.iter().zip(&now.0) {
                    @let typed = call.typed(rule.name);
                    @let shown = if typed.is_empty() { value.to_string() } else { typed.to_owned() };
                    div.field {
                        label for=(rule.name) { (rule.label) " " em.req title="必填" { "*" } }
                        input.short id=(rule.name) name=(rule.name) value=(shown) inputmode="numeric"
                            autocomplete="off";
                        p.help { (rule.unit) "。最多 " (rule.most) "：" (rule.floor) "。" }
                    }
                } }
                div.form-bar { button.btn.btn-primary type="submit" { "保存阈值" } }
            }
        }
    })
}
