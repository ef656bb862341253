//! What roles may do (角色权限), and which office looks after which unit (联系单位): the security administrator sets both,
//! the other two administrators see them.

use maud::{Markup, html};

use crate::app::charter::Change;
use crate::app::names::Unit;
use crate::base::{Error, ErrorKind, RecordId, Result};
use crate::records::account::{ADMINISTRATORS, ROLES};
use crate::records::charter::{Charter, Scopes};
use crate::records::dict::Entry;
use crate::records::flow::Duty;
use crate::records::grant::{ACTIONS, MODULES};
use crate::records::{self, Kind, Part, Right, Scope};
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

const ADDRESS: &str = "/rights";

/// All roles.
pub fn show(call: &Call) -> Result<Reply> {
    let (charter, may_set) = call.app.charter_page(&call.live()?.actor)?;
    let units = html! { (roles(&charter, may_set)) (offices(call, &charter, may_set)?) };
    page(call, None, None, units).map(Reply::page)
}

/// Sets the offices that look after units.
pub fn set_offices(call: &Call) -> Result<Reply> {
    let mut units = Vec::new();
    for unit in call.app.directory()?.units.iter().filter(|u| u.open && u.kind != "office") {
        let Some((_, typed)) = call.raw.iter().find(|(n, _)| *n == format!("unit.{}", unit.id)) else { continue };
        let office = (!typed.is_empty()).then(|| RecordId(typed.parse().unwrap_or(0)));
        units.push((unit.id, office));
    }
    call.app.set_charter(&call.live()?.actor, Change::Offices(units))?;
    Ok(Reply::Redirect(format!("{ADDRESS}?done=offices")))
}

/// One role.
pub fn role(call: &Call) -> Result<Reply> {
    let (charter, may_set) = call.app.charter_page(&call.live()?.actor)?;
    let role = entry(call)?;
    let scopes = |kind: &Kind| charter.scopes(role.code, kind);
    let content = form(call, role, &scopes, (&charter, may_set))?;
    page(call, Some(role), None, content).map(Reply::page)
}

/// Sets what it may do.
pub fn set_role(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    let (charter, may_set) = call.app.charter_page(actor)?;
    let role = entry(call)?;
    let code = role.code.to_owned();
    let change = if call.typed("template").is_empty() {
        // What cannot be read is sent on as nothing named: whether somebody may set it at all is said first.
        let scopes = modules().map(|kind| Ok((kind, typed(call, kind)?)));
        Change::Role(code, scopes.collect::<Result<Vec<_>>>().unwrap_or_default())
    } else {
        Change::Template(code)
    };
    match call.app.set_charter(actor, change) {
        Ok(()) => Ok(Reply::Redirect(format!("{ADDRESS}?done={}", role.code))),
        Err(e) if e.kind() == ErrorKind::Invalid => {
            let scopes = |kind: &Kind| typed(call, kind).unwrap_or_default();
            let content = form(call, role, &scopes, (&charter, may_set))?;
            page(call, Some(role), Some(e.public()), content).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

fn modules() -> impl Iterator<Item = &'static Kind> {
    MODULES.entries.iter().filter_map(|m| records::by_name(m.code))
}

/// The role of the address; the three administrators' cannot be set.
fn entry(call: &Call) -> Result<&'static Entry> {
    let found = ROLES.entries.iter().find(|e| e.code == call.param("role"));
    found.filter(|e| !ADMINISTRATORS.contains(&e.code)).ok_or_else(Error::denied)
}

/// What the form says of a module; a form without one of its controls is none.
fn typed(call: &Call, kind: &Kind) -> Result<Scopes> {
    let mut scopes = Scopes::default();
    for ((scope, action), right) in scopes.iter_mut().zip(ACTIONS.entries).zip(Right::ALL) {
        if offered(kind, right) {
            let name = format!("{}.{}", kind.name, action.code);
            let typed = call.raw.iter().find(|(n, _)| *n == name).and_then(|(_, code)| Scope::of_code(code));
            *scope = typed.ok_or_else(|| Error::invalid("表单不完整"))?;
        }
    }
    Ok(scopes)
}

/// The right means something for records of the kind.
fn offered(kind: &Kind, right: Right) -> bool {
    match right {
        Right::Identity => kind.fields.iter().any(|f| f.part == Part::Identity),
        Right::Move(Duty::Approve) => kind.flow.moves.iter().any(|m| m.duty == Duty::Approve),
        _ => true,
    }
}

fn page(call: &Call, role: Option<&Entry>, problem: Option<&str>, content: Markup) -> Result<Markup> {
    let done = call.asked("done");
    let said = match done.as_str() {
        "" => None,
        "offices" => Some("联系单位已保存，立即生效。".to_owned()),
        code => Some(format!("“{}”的权限已保存，对持有它的账户立即生效。", ROLES.label(code))),
    };
    let said = said.filter(|_| done == "offices" || ROLES.code(&done).is_some());
    let mut crumbs = vec![("工作台".to_owned(), "/".to_owned())];
    crumbs.push(("角色权限".to_owned(), role.map_or(String::new(), |_| ADDRESS.to_owned())));
    crumbs.extend(role.map(|r| (r.label.to_owned(), String::new())));
    let outline = Outline {
        title: role.map_or("角色权限".to_owned(), |r| format!("角色权限：{}", r.label)),
        current: ADDRESS.into(),
        crumbs,
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())).or(said.map(|s| (NoticeKind::Ok, s))),
        ..Outline::default()
    };
    view::framed(&call.app, call.live()?, outline, content)
}

fn roles(charter: &Charter, may_set: bool) -> Markup {
    let business = ROLES.entries.iter().filter(|e| !ADMINISTRATORS.contains(&e.code));
    html! {
        section.section {
            h2 { "每个角色可以做什么" }
            p.help {
                "出厂设置取自管理办法第六条、第七条。改动对持有该角色的账户立即生效，并记入审计日志。"
                "三员的权限由系统固定，不能设置；单个账户另需的权限，在账户的“另行授权”中逐项授予。"
            }
            div.table-wrap { table.list {
                thead { tr {
                    th scope="col" { "角色" }
                    @for kind in modules() { th scope="col" { (kind.label) } }
                    th.no-print scope="col" { "操作" }
                } }
                tbody { @for role in business { tr {
                    th.nowrap scope="row" { (role.label) }
                    @for kind in modules() { td { (summary(charter, role.code, kind)) } }
                    td.no-print.nowrap {
                        a href=(format!("{ADDRESS}/{}", role.code)) { @if may_set { "设置" } @else { "查看" } }
                    }
                } } }
            } }
        }
    }
}

fn summary(charter: &Charter, role: &str, kind: &Kind) -> Markup {
    let held = ACTIONS.entries.iter().zip(charter.scopes(role, kind)).filter(|(_, s)| *s > Scope::Nothing);
    let mut by_scope: Vec<(Scope, Vec<&str>)> = Vec::new();
    for (action, scope) in held {
        match by_scope.iter_mut().find(|(s, _)| *s == scope) {
            Some((_, actions)) => actions.push(action.label),
            None => by_scope.push((scope, vec![action.label])),
        }
    }
    html! {
        @if by_scope.is_empty() { span.muted { "—" } }
        @for (scope, actions) in by_scope { div { span.muted { (scope.label()) "：" } (actions.join("、")) } }
        @if charter.is_own(role, kind) { (layout::chip(ChipKind::Warn, "已调整")) }
    }
}

fn offices(call: &Call, charter: &Charter, may_set: bool) -> Result<Markup> {
    let directory = call.app.directory()?;
    let (offices, units): (Vec<&Unit>, Vec<&Unit>) =
        directory.units.iter().filter(|u| u.open).partition(|u| u.kind == "office");
    let table = html! { div.table-wrap { table.list {
        thead { tr { th scope="col" { "单位" } th scope="col" { "联系室" } } }
        tbody { @for unit in &units { @let office = charter.office_of(unit.id); tr {
            th scope="row" { label for=(format!("u{}", unit.id)) { (unit.name) } }
            td { @if may_set {
                select id=(format!("u{}", unit.id)) name=(format!("unit.{}", unit.id)) {
                    option value="" { "—" }
                    @for o in &offices { option value=(o.id) selected[office == Some(o.id)] { (o.name) } }
                }
            } @else { (office.map_or("—", |id| directory.unit(id))) } }
        } } }
    } } };
    Ok(html! {
        section.section #offices {
            h2 { "联系单位" }
            p.help { "范围为“本单位和联系单位”的权限，对联系室的人员及于这里写明的单位。" }
            @if units.is_empty() { p.muted { "还没有派驻机构和乡镇（街道）。由系统管理员在“机构”中增加。" } }
            @else if may_set {
                form method="post" action=(ADDRESS) {
                    (view::hidden(call.live()?)) (table)
                    div.form-bar { button.btn.btn-primary type="submit" { "保存联系单位" } }
                }
            } @else { (table) }
        }
    })
}

fn form(
    call: &Call,
    role: &Entry,
    scopes: &dyn Fn(&Kind) -> Scopes,
    (charter, may_set): (&Charter, bool),
) -> Result<Markup> {
    let live = call.live()?;
    let holders = call.app.holders(&live.actor, role.code)?;
    let own = modules().any(|k| charter.is_own(role.code, k));
    let cell = |kind: &Kind, action: &Entry, right: Right, scope: Scope| {
        let name = format!("{}.{}", kind.name, action.code);
        html! { @if !offered(kind, right) || !may_set { (scope.label()) } @else {
            select name=(name) aria-label=(format!("{} {}", kind.label, action.label)) {
                @for s in Scope::ALL.into_iter().filter(|s| s.fits(kind)) {
                    option value=(s.code()) selected[s == scope] { (s.label()) }
                }
            }
        } }
    };
    let table = html! { div.table-wrap { table.list {
        thead { tr {
            th scope="col" { "权限" }
            @for kind in modules() { th scope="col" { (kind.label)
                @if charter.is_own(role.code, kind) { " " (layout::chip(ChipKind::Warn, "已调整")) } } }
        } }
        tbody { @for (n, action) in ACTIONS.entries.iter().enumerate() { tr {
            th scope="row" { (action.label) }
            @for kind in modules() { td { (cell(kind, action, Right::ALL[n], scopes(kind)[n])) } }
        } } }
    } } };
    Ok(html! {
        p.help { "现有 " (holders) " 个在用账户持有这个角色。保存后对他们立即生效，正在填写的表单也按新的权限。" }
        @if may_set {
            form method="post" action=(format!("{ADDRESS}/{}", role.code)) {
                (view::hidden(live)) (table)
                div.form-bar {
                    button.btn.btn-primary type="submit" { "保存" }
                    @if own { button.btn type="submit" name="template" value="1" { "恢复出厂设置" } }
                    a.btn href=(ADDRESS) { "返回" }
                }
            }
        } @else { (table) p { a.btn href=(ADDRESS) { "返回" } } }
    })
}
