//! The desk (工作台): what waits for this person, what was entered last, and the way to enter more.

use maud::{Markup, html};

use crate::app::record::ListInput;
use crate::app::{Right, Scope};
use crate::base::Result;
use crate::records::{self, Kind};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::{draft, handover, identities, relief, saved};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The desk.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let sees = |k: &Kind| live.actor.scope(k, Right::See) > Scope::Nothing;
    let enters = |k: &&'static Kind| live.actor.scope(k, Right::Create) > Scope::Nothing;
    let actions = html! {
        @for kind in records::ALL.iter().copied().filter(|k| k.group.is_some()).filter(enters).take(1) {
            a.btn.btn-primary href=(format!("/{}/new", kind.name)) {
                (Icon::Plus.svg()) (if kind.owned { "登记" } else { "新增" }) (kind.label)
            }
        }
    };
    let outline = Outline {
        title: "工作台".into(),
        current: "/".into(),
        watermark: records::ALL.iter().any(|k| k.sensitive && sees(k)),
        actions: Some(actions),
        notice: done(&call.asked("done")).map(|text| (NoticeKind::Ok, text.to_owned())),
        ..Outline::default()
    };
    let (work, waits) = todo(call)?;
    let drafts = draft::own(call)?;
    let identities = identities::card(call)?;
    let saved = saved::list(call, false)?;
    let mut blocks = Vec::new();
    for kind in records::ALL.iter().copied().filter(|k| k.owned && sees(k) && k.group != Some("管理")) {
        blocks.push(block(call, kind)?);
    }
    let (alarms, handover) = (alarms(call)?, handover::card(call)?);
    let administrator = records::account::ADMINISTRATORS.iter().any(|r| live.actor.is(r));
    let duties = administrator.then(|| duties(call)).transpose()?;
    view::reply(&call.app, live, outline, html! {
        @if live.actor.roles.is_empty() {
            (layout::empty(Icon::Key, "您的账户还没有任何权限。请联系安全保密管理员授权。", html! {}))
        } @else {
            // Administrators have no business work; a request to purge may wait for one of them.
            @if !administrator || waits { (work) }
            (drafts)
            (handover)
            (identities)
            (saved)
            @for block in blocks { (block) }
            (alarms)
            @if administrator { (relief::card(call)?) }
            @if let Some(duties) = duties { (duties) }
        }
    })
}

/// Alarms that wait for the auditor; nothing for everybody else.
fn alarms(call: &Call) -> Result<Markup> {
    let actor = &call.live()?.actor;
    let waiting = call.app.alarms_waiting(actor)?;
    Ok(html! {
        @if actor.is("auditor") {
            section.card {
                h2 { "审计告警" span.count { (waiting) } }
                @if waiting == 0 { p.muted { "没有等待处理的告警。" } }
                @else { p { (Icon::Warn.svg()) " " a href="/audit/alarms" { (waiting) " 条告警等待处理" } } }
            }
        }
    })
}

fn done(what: &str) -> Option<&'static str> {
    match what {
        "password" => Some("口令已修改。"),
        "thrown" => Some("草稿已删除。"),
        _ => None,
    }
}

/// What waits for this person, and whether anything does.
fn todo(call: &Call) -> Result<(Markup, bool)> {
    let waiting = view::waiting(&call.app, call.live()?)?;
    let card = html! {
        section.card {
            h2 { "待我办理" span.count { (waiting.iter().map(|w| w.count).sum::<u64>()) } }
            @if waiting.is_empty() { p.muted { "没有待办事项。" } }
            @else {
                div.grid.grid-4 {
                    @for w in &waiting {
                        (layout::figure(&layout::grouped(w.count),
                            &format!("{} · {}", w.kind.label, w.kind.flow.label(w.state)), Some(&w.href)))
                    }
                }
            }
        }
    };
    Ok((card, !waiting.is_empty()))
}

fn block(call: &Call, kind: &'static Kind) -> Result<Markup> {
    let live = call.live()?;
    let input = ListInput { size: 8, ..ListInput::default() };
    let page = call.app.list(&live.actor, kind, &input)?;
    let directory = call.app.directory()?;
    let counted = page.tallies.iter().filter(|(s, _)| !kind.flow.is_void(*s));
    let bars: Vec<(&str, u64)> = counted.map(|(s, n)| (kind.flow.label(*s), *n)).collect();
    Ok(html! {
        div.grid.grid-wide {
            section.card {
                h2 { "最近的" (kind.label) a.more href=(format!("/{}?all=1", kind.name)) { "全部 " (page.total) } }
                @if page.rows.is_empty() { p.muted { "还没有" (kind.label) "。" } }
                ul.lines { @for record in &page.rows { li {
                    (view::state_chip(kind, record.state))
                    a.grow href=(format!("/{}/{}", kind.name, record.id)) { (kind.title_of(record)) }
                    span.muted.small { (directory.unit_at(record.unit, record.created)) }
                    span.when { (kind.day_of(record)) }
                } } }
            }
            section.card { h2 { "按状态" } (layout::bar_chart(&bars, &format!("{}按状态的件数", kind.label))) }
        }
    })
}

fn duties(call: &Call) -> Result<Markup> {
    let due = call.app.review_due()?;
    let reviews = match (due.late, due.ending) {
        (0, 0) => "每 90 天核对一次每个账户的权限".to_owned(),
        (late, ending) => format!("{late} 个账户超过 90 天未复核，{ending} 项临时授权或账户 14 天内到期"),
    };
    let is = |role: &str| call.live.as_ref().is_some_and(|l| l.actor.is(role));
    let line = |icon: Icon, href: &str, label: &str, text: &str| html! {
        li { (icon.svg()) a.grow href=(href) { (label) } span.muted { (text) } }
    };
    Ok(html! {
        section.card {
            h2 { "我的职责" }
            ul.lines {
                @if is("sysadmin") {
                    (line(Icon::Org, "/org", "机构", "增加、变更、停用机构"))
                    (line(Icon::Account, "/account", "账户", "增加人员账户、发一次性口令、停用账户"))
                    (line(Icon::User, "/handover", "人员变更", "交接、停用账户，打印报上级的报告"))
                }
                @if is("secadmin") {
                    (line(Icon::Key, "/account", "授权", "给账户授予或收回角色，确认一次性口令"))
                    (line(Icon::Lock, "/policy", "登录安全策略", "动态码、口令要求、管理员登录地址"))
                    (line(Icon::Key, "/rights", "角色权限", "每个角色能做什么，各室联系哪些单位"))
                    (line(Icon::Key, "/review", "权限复核", &reviews))
                    (line(Icon::Key, "/conflicts", "回避核查", "核实与被检举控告人同名的账户"))
                }
                @if is("auditor") { (line(Icon::Audit, "/audit", "审计日志", "查看管理员和用户的操作")) }
            }
        }
    })
}
