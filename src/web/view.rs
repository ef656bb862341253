//! The frame around a page — menu by right, status line, watermark — and small shared views of records.

use maud::{Markup, PreEscaped, html};

use super::assets::style_href;
use super::icons::Icon;
use super::layout::{self, ChipKind, Frame, MenuItem, NoticeKind, UserView};
use super::notice;
use super::respond::Reply;
use crate::app::names::Directory;
use crate::app::session::Live;
use crate::app::{App, Halt, Right, Scope};
use crate::base::{Day, Moment, Result};
use crate::records::flow::Tone;
use crate::records::{self, Field, Kind, Record, Value, Widget};

/// What a page gives to its frame.
#[derive(Default)]
pub struct Outline {
    /// Title.
    pub title: String,
    /// What tabs and the browser's memory show instead of the title: no words of a petition.
    pub tab: Option<String>,
    /// Way to here: label and address; the last one has none.
    pub crumbs: Vec<(String, String)>,
    /// Chips and buttons beside the title.
    pub actions: Option<Markup>,
    /// A message on top.
    pub notice: Option<(NoticeKind, String)>,
    /// Address of the menu item that is current.
    pub current: String,
    /// Shows name and time across the page.
    pub watermark: bool,
    /// Seconds after which the browser asks again.
    pub refresh: Option<u32>,
}

/// The whole page around `content`.
pub fn framed(app: &App, live: &Live, outline: Outline, content: Markup) -> Result<Markup> {
    let directory = app.directory()?;
    let actor = &live.actor;
    let roles: Vec<&str> = actor.roles.iter().map(|r| records::account::ROLES.label(r)).collect();
    let menu = menu(app, live, &outline.current)?;
    let mark = format!("{} {} {}", actor.name, actor.login, app.now());
    Ok(layout::page(
        &Frame {
            title: &outline.title,
            tab: outline.tab.as_deref().unwrap_or(&outline.title),
            county: &app.facts().county,
            user: Some(UserView {
                name: &actor.name,
                unit: directory.unit(actor.unit),
                role: roles.first().copied().unwrap_or("未授权"),
            }),
            menu: &menu,
            crumbs: &outline.crumbs,
            actions: outline.actions.unwrap_or_default(),
            notice: outline.notice.or_else(|| demo_notice(app, &outline.current)),
            strip: html! { (host_notices(app)?) (strip(app, live)?) },
            refresh: outline.refresh,
            status: &status(app)?,
            search_token: Some(&live.csrf),
            style_href: style_href(),
            watermark: outline.watermark.then_some(mark.as_str()),
        },
        content,
    ))
}

/// The same as a reply.
pub fn reply(app: &App, live: &Live, outline: Outline, content: Markup) -> Result<Reply> {
    framed(app, live, outline, content).map(Reply::page)
}

/// A page without menu.
pub fn bare(app: &App, title: &str, content: Markup) -> Markup {
    layout::bare(title, &app.facts().county, style_href(), noticed(app, content))
}

/// The same with room for long explanations.
pub fn bare_wide(app: &App, title: &str, content: Markup) -> Markup {
    layout::bare_wide(title, &app.facts().county, style_href(), noticed(app, content))
}

/// That an administrator was replaced at the host's console, for everybody, on every page of the week after it.
fn host_notices(app: &App) -> Result<Markup> {
    let notices: Vec<String> = app.host_notices()?.into_iter().map(|n| n.text).collect();
    Ok(notice::strip(&notices, None))
}

/// The same before somebody is logged in; a page that tells of a failure is shown without it rather than not at all.
fn noticed(app: &App, content: Markup) -> Markup {
    let (notices, content) = (host_notices(app).unwrap_or_default(), content.into_string());
    html! { (notices) (PreEscaped(content)) }
}

/// What is wrong with the disk, the data and the backups, for the three administrators; that nobody can work yet, or
/// here any more, for everybody.
fn strip(app: &App, live: &Live) -> Result<Markup> {
    if let Some(words) = app.standby_words() {
        return Ok(notice::notice(NoticeKind::Warn, &words));
    }
    if let Some(halt @ Halt::Fenced(_)) = app.halted() {
        return Ok(notice::strip(&[halt.text()], None));
    }
    if !is_administrator(live) {
        let rests = app.resting()?.map(|_| "数据刚从备份恢复，现在只能查看。三员中的两人确认后才能办理业务。");
        return Ok(html! { @if let Some(text) = rests { (notice::notice(NoticeKind::Warn, text)) } });
    }
    let halt: Vec<String> = app.halted().iter().map(Halt::text).collect();
    let alarms = [app.backup_alarms()?, app.scrub_alarms()?].concat();
    let backups = notice::strip(&alarms, Some(("打开备份页", "/backup")));
    Ok(html! { (notice::strip(&halt, None)) (backups) })
}

fn is_administrator(live: &Live) -> bool {
    records::account::ADMINISTRATORS.iter().any(|role| live.actor.is(role))
}

fn demo_notice(app: &App, current: &str) -> Option<(NoticeKind, String)> {
    let shown = app.facts().demo && current == "/";
    shown.then(|| (NoticeKind::Info, "演示数据：单位和人员均为虚构，请勿录入真实信息。".to_owned()))
}

fn menu(app: &App, live: &Live, current: &str) -> Result<Vec<MenuItem>> {
    let actor = &live.actor;
    let item = |group, href: &str, label: &str, icon, count| MenuItem {
        group,
        href: href.to_owned(),
        label: label.to_owned(),
        icon,
        current: current == href,
        count,
    };
    let mut menu = vec![item("工作", "/", "工作台", Icon::Desk, open_work(app, live)?)];
    menu.push(item("工作", "/search", "全文检索", Icon::Search, None));
    let mut groups: Vec<&'static str> = records::ALL.iter().filter_map(|k| k.group).collect();
    groups.dedup();
    for group in groups {
        for kind in records::ALL.iter().filter(|k| k.group == Some(group)) {
            if actor.scope(kind, Right::See) > Scope::Nothing {
                menu.push(item(group, &format!("/{}", kind.name), kind.label, icon(kind), None));
            }
        }
    }
    if is_administrator(live) {
        menu.push(item("管理", "/backup", "备份", Icon::Backup, None));
        menu.push(item("管理", "/policy", "登录安全策略", Icon::Lock, None));
    }
    if is_administrator(live) {
        menu.push(item("管理", "/rights", "角色权限", Icon::Key, None));
        menu.push(item("管理", "/review", "权限复核", Icon::Key, None));
    }
    if actor.is("secadmin") {
        menu.push(item("管理", "/conflicts", "回避核查", Icon::Key, None));
    }
    if actor.is("auditor") {
        let alarms = app.alarms_waiting(actor)?;
        menu.push(item("管理", "/audit", "审计日志", Icon::Audit, (alarms > 0).then_some(alarms)));
    }
    menu.push(item("我的", "/sessions", "我的登录", Icon::User, None));
    Ok(menu)
}

/// Records that wait for this person.
fn open_work(app: &App, live: &Live) -> Result<Option<u64>> {
    let count: u64 = waiting(app, live)?.iter().map(|w| w.count).sum();
    Ok((count > 0).then_some(count))
}

/// Records of a kind in a state that wait for this person.
pub struct Waiting {
    /// The kind.
    pub kind: &'static Kind,
    /// The state.
    pub state: u8,
    /// How many.
    pub count: u64,
    /// Where they are listed.
    pub href: String,
}

/// Everything that waits for this person.
pub fn waiting(app: &App, live: &Live) -> Result<Vec<Waiting>> {
    let mut all = Vec::new();
    for kind in records::ALL.iter().copied().filter(|k| k.owned) {
        for (state, count, own) in app.waiting(&live.actor, kind)? {
            let unit = if own { format!("&unit={}", live.actor.unit) } else { String::new() };
            let href = format!("/{}?state={state}{unit}", kind.name);
            all.push(Waiting { kind, state, count, href });
        }
    }
    Ok(all)
}

/// Entries behind which the index may be and still count as being in step.
const FEW: u64 = 20;

fn status(app: &App) -> Result<String> {
    let backup = app.last_backup()?.map_or("尚无备份".to_owned(), |at| format!("最近备份 {at} 已验证"));
    let (lag, ..) = app.index_status()?;
    // Looks at records are entries too, and those few that the index has not seen are searched beside it.
    let index = match app.index_made() {
        Some((done, of)) => format!("索引重建中（{}%）", done.saturating_mul(100) / of.max(1)),
        None if lag <= FEW => "索引同步".to_owned(),
        None => format!("索引更新中（{lag}）"),
    };
    let left = app.attached_reading();
    let reading = if left > 0 { format!(" · 附件文字待读 {left} 个") } else { String::new() };
    Ok(format!("已加密 · {backup} · {index}{reading}"))
}

/// Icon of a kind.
pub fn icon(kind: &Kind) -> Icon {
    match kind.name {
        "petition" => Icon::Petition,
        "regulation" | "article" => Icon::Regulation,
        "org" => Icon::Org,
        "account" => Icon::Account,
        _ => Icon::File,
    }
}

/// The state of a record, by word and colour.
pub fn state_chip(kind: &Kind, state: u8) -> Markup {
    let tone = kind.flow.state(state).map_or(Tone::Quiet, |s| s.tone);
    let chip = match tone {
        Tone::Open => ChipKind::Info,
        Tone::Waiting => ChipKind::Warn,
        Tone::Done => ChipKind::Ok,
        Tone::Quiet => ChipKind::Plain,
        Tone::Void => ChipKind::Bad,
    };
    layout::chip(chip, kind.flow.label(state))
}

/// Whether a regulation, or that of an article, is in force.
pub fn status_chip(kind: &Kind, record: &Record) -> Markup {
    let tag = match kind.name {
        "regulation" => records::regulation::tag::STATUS,
        "article" => records::article::tag::STATUS,
        _ => return html! {},
    };
    let chip = match record.fields.text(tag) {
        "" => return html! {},
        "in-force" => ChipKind::Ok,
        "future" => ChipKind::Info,
        "amended" | "repealed" => ChipKind::Warn,
        _ => ChipKind::Plain,
    };
    layout::chip(chip, &record.fields.display(kind.fields, tag))
}

/// When names on a record's page are as they were: papers stay as they were left, accounts are of today.
pub fn as_of(kind: &Kind, record: &Record) -> Moment {
    if kind.owned { record.updated } else { Moment(i64::MAX) }
}

/// A value as a page shows it: codes as words, links by name as of this moment.
pub fn value(directory: &Directory, field: &Field, value: &Value, at: Moment) -> Markup {
    match (value, &field.widget) {
        (Value::Link(id), Widget::Link("org")) => html! { (directory.unit_at(*id, at)) },
        (Value::Link(id), Widget::Link(kind)) => html! { a href=(format!("/{kind}/{id}")) { "#" (id) } },
        (Value::Rows(rows), Widget::Rows(columns)) => html! {
            div.table-wrap { table.list {
                thead { tr { @for c in *columns { @if used(rows, c) { th scope="col" { (c.label) } } } } }
                tbody { @for row in rows { tr {
                    @for c in *columns { @if used(rows, c) { td { (row.display(columns, c.tag)) } } }
                } } }
            } }
        },
        (Value::Text(t), Widget::Area) => html! { div.prose { (t) } },
        _ => html! { (value.display(Some(field))) },
    }
}

fn used(rows: &[records::Fields], column: &Field) -> bool {
    rows.iter().any(|r| r.get(column.tag).is_some())
}

/// One cell of a list.
pub fn cell(directory: &Directory, kind: &Kind, record: &Record, tag: u16) -> Markup {
    match (kind.field(tag), record.fields.get(tag)) {
        (Some(field), Some(v)) => value(directory, field, v, as_of(kind, record)),
        _ => html! { "" },
    }
}

/// A typed day as a bound `yyyymmdd`: 0 when nothing is typed, `None` when it is no date. As an end, a month or a year
/// reaches to its last day.
pub fn day_bound(text: &str, end: bool) -> Option<i32> {
    if text.trim().is_empty() {
        return Some(0);
    }
    let day = text.parse::<Day>().ok()?;
    let rest = match day.number() % 10_000 {
        0 => 1231,
        _ => 31,
    };
    Some(if end && !day.is_full() { day.number() + rest } else { day.number() })
}

/// What the browser may keep of a record in its memory of titles.
pub fn tab(kind: &Kind, record: &Record) -> Option<String> {
    let number = kind.number_of(record);
    let name = if number.is_empty() { format!("#{}", record.id) } else { number.to_owned() };
    kind.sensitive.then(|| format!("{} {name}", kind.label))
}

/// Bytes in words.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KB", bytes / 1024),
        _ => format!("{}.{} MB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20),
    }
}

/// Hidden inputs that every form carries.
pub fn hidden(live: &Live) -> Markup {
    html! { input type="hidden" name="csrf" value=(live.csrf); }
}
