//! What accounts may do, in the pages: the list of reviews (权限复核), and the table above the form of an account that
//! says what its person will see with the roles typed (权限预览).

use maud::{Markup, html};

use crate::app::review::{Ending, Line};
use crate::base::{RecordId, Result, limits};
use crate::records::account::tag;
use crate::records::grant::ACTIONS;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Name of the button that shows the preview.
pub(super) const PREVIEW: &str = "preview";

/// The list.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let (lines, ending) = call.app.reviews(&live.actor)?;
    let late = lines.iter().filter(|l| l.late).count();
    let notice = match call.asked("done").as_str() {
        "marked" => Some((NoticeKind::Ok, "已标记为复核过。".to_owned())),
        _ if late > 0 => Some((NoticeKind::Warn, format!("{late} 个账户超过 {} 天未复核。", limits::REVIEW_DAYS))),
        _ => None,
    };
    let outline = Outline {
        title: "权限复核".into(),
        current: "/review".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("权限复核".into(), String::new())],
        notice,
        watermark: true,
        ..Outline::default()
    };
    let (soon, table) = (soon(call, &ending)?, table(call, &lines)?);
    view::reply(&call.app, live, outline, html! {
        (soon)
        section.section {
            h2 { "在用账户" span.count { (lines.len()) } }
            p.help {
                "逐个核对角色、范围和知悉范围是否仍是工作需要，不需要的先在账户页收回，再标记已复核。\
                 安全保密管理员的账户由安全审计员复核。最近登录只查最新 " (limits::LOGINS_LOOKED_AT) " 条日志。"
            }
            (table)
        }
    })
}

/// Marks an account.
pub fn mark(call: &Call) -> Result<Reply> {
    let id = call.typed("account").parse().map(RecordId).map_err(|_| crate::base::Error::denied())?;
    call.app.mark_reviewed(&call.live()?.actor, id)?;
    Ok(Reply::Redirect("/review?done=marked".into()))
}

fn soon(call: &Call, ending: &[Ending]) -> Result<Markup> {
    let directory = call.app.directory()?;
    Ok(html! {
        section.section {
            h2 { (limits::ENDING_DAYS) " 天内到期的临时授权和账户" span.count { (ending.len()) } }
            @if ending.is_empty() { p.muted { "没有即将到期的临时授权和账户。" } }
            @else { div.table-wrap { table.list {
                thead { tr { @for head in ["账户", "角色", "到期日", "理由"] { th scope="col" { (head) } } } }
                tbody { @for e in ending { tr {
                    td { a href=(format!("/account/{}", e.account)) { (directory.account(e.account)) } }
                    td.nowrap { (e.role) }
                    td.nowrap { (e.until) }
                    td { (e.reason) }
                } } }
            } } }
        }
    })
}

fn table(call: &Call, lines: &[Line]) -> Result<Markup> {
    let directory = call.app.directory()?;
    let live = call.live()?;
    // One form for all rows: what it carries besides the account is the same.
    Ok(html! { form method="post" action="/review" { (view::hidden(live)) div.table-wrap { table.list {
        thead { tr {
            @for head in ["账户", "单位", "角色", "可查看", "知悉范围", "最近登录", "上次复核"] { th scope="col" { (head) } }
            th.no-print scope="col" { "复核" }
        } }
        tbody { @for l in lines { tr {
            td { a href=(format!("/account/{}", l.account.id)) { (l.account.fields.text(tag::NAME)) }
                " " span.muted { (l.account.fields.text(tag::LOGIN)) } }
            td.nowrap { (l.account.fields.link(tag::UNIT).map_or("—", |id| directory.unit(id))) }
            td { @for (n, (role, until)) in l.roles.iter().enumerate() {
                @if n > 0 { "、" } (role)
                @if let Some(until) = until { span.muted { "（至 " (until) "）" } }
            }
                @for (words, until) in &l.extras {
                    div { "另行授权 " (words) @if let Some(until) = until { span.muted { "（至 " (until) "）" } } }
                }
            }
            td { @for (n, (kind, scope)) in l.sees.iter().enumerate() {
                @if n > 0 { "；" } (kind.label) "：" (scope.label())
            } }
            td.nowrap { (l.clearance.label()) }
            td.nowrap { @if let Some(at) = l.login { (at) } @else { "—" } }
            td.nowrap {
                @if let Some((at, by)) = l.reviewed { (at.day()) " " (directory.account(by)) } @else { "—" }
                @if l.late { " " (layout::chip(ChipKind::Warn, "超期")) }
            }
            td.no-print { @if l.may_mark {
                button.btn.btn-small type="submit" name="account" value=(l.account.id) { "已复核" }
            } }
        } } }
    } } } })
}

/// What somebody will see, as a table of modules, actions and scopes.
pub(super) fn preview(call: &Call, id: RecordId) -> Result<Markup> {
    let preview = call.app.preview(&call.live()?.actor, id, &call.raw)?;
    Ok(html! {
        section.section {
            h2 { "权限预览（尚未保存）" }
            @if preview.reach.is_empty() { (layout::empty(Icon::Key, "按填写的角色，这个账户什么也不能做。", html! {})) }
            @else {
                p.help {
                    "按填写的角色和今天的日期计算。能看到安全标记为“" (preview.clearance.label())
                    "”及以下的记录；应当回避的记录不在其内。"
                }
                div.table-wrap { table.list {
                    thead { tr {
                        th scope="col" { "模块" }
                        @for action in ACTIONS.entries { th scope="col" { (action.label) } }
                    } }
                    tbody { @for line in &preview.reach { tr {
                        th scope="row" { (line.kind.label) }
                        @for scope in line.scopes { td.nowrap { (scope.label()) } }
                    } } }
                } }
            }
        }
    })
}
