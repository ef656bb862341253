//! The page of a record of any kind: head, content, persons, trail, attachments, rows, and what may be done now.

use maud::{Markup, html};

use crate::app::names::Directory;
use crate::app::change::SaveError;
use crate::app::record::{Opened, identity_fields};
use crate::app::viewing::warning;
use crate::base::{Error, Result, limits};
use crate::records::decide::trail;
use crate::records::record::HANDLER;
use crate::records::{self, Kind, Record, Widget, batch};
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::{handover, label, proof, purge, recusal, regulation, relief, repeats};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// What stands above a record that was entered by mistake.
const VOID: &str = "这条记录已作废：编号保留、不再使用，内容只能查看，理由见下面的办理过程。";

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    if let Some(reply) = regulation::asked(call)? {
        return Ok(reply);
    }
    let opened = open(call)?;
    page(call, &opened, None, None).map(Reply::page)
}

/// Opens the identity of the petitioner, for a reason.
pub fn reveal(call: &Call) -> Result<Reply> {
    let kind = call.kind()?;
    let (live, id, reason) = (call.live()?, call.id()?, call.typed("reason"));
    match call.app.proving(live, &call.own, |actor| call.app.reveal(actor, kind, id, reason)) {
        Ok(record) => page(call, &open(call)?, Some(&record), None).map(Reply::page),
        Err(e) if e.kind() == crate::base::ErrorKind::Invalid => {
            page(call, &open(call)?, None, Some(e.public())).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

/// Makes a move.
pub fn advance(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    let mv = kind.flow.moves.iter().find(|m| m.name == call.param("name")).ok_or_else(Error::denied)?;
    let version = call.typed("version").parse().map_err(|_| Error::invalid("表单不完整，请刷新后重试。"))?;
    let typed = (call.typed("opinion").to_owned(), call.submit_id().to_owned());
    match call.app.advance(&call.live()?.actor, kind, (id, version), mv, typed) {
        Ok(()) => {
            if kind.tag == records::purge::KIND.tag {
                call.app.finish_purges();
            }
            Ok(Reply::Redirect(format!("/{}/{id}?done=moved", kind.name)))
        }
        Err(SaveError::Problems(problems)) => again(call, &problems[0].1),
        Err(SaveError::Stale(_)) => again(call, "这条记录刚被别人修改过，请看过最新内容后再办理。"),
        Err(SaveError::Gate) => again(call, records::rank::GUIDANCE),
        Err(SaveError::Failed(e)) if e.kind() == crate::base::ErrorKind::Denied => Err(e),
        Err(SaveError::Failed(e)) => again(call, e.public()),
    }
}

/// An attachment.
pub fn download(call: &Call) -> Result<Reply> {
    let place = call.param("place").parse().map_err(|_| Error::denied())?;
    let (file, reader) = call.app.attachment(&call.live()?.actor, call.kind()?, call.id()?, place)?;
    Ok(Reply::File(file, Box::new(reader)))
}

fn open(call: &Call) -> Result<Opened> {
    let page = call.asked("page").parse::<u64>().unwrap_or(1).saturating_sub(1);
    call.app.open_record(&call.live()?.actor, call.kind()?, call.id()?, page)
}

/// The page once more, with what was wrong.
pub(super) fn again(call: &Call, problem: &str) -> Result<Reply> {
    page(call, &open(call)?, None, Some(problem)).map(Reply::again)
}

fn page(call: &Call, opened: &Opened, revealed: Option<&Record>, problem: Option<&str>) -> Result<Markup> {
    let (kind, record, live) = (call.kind()?, &opened.record, call.live()?);
    let directory = call.app.directory()?;
    let list = format!("/{}", kind.name);
    let outline = Outline {
        title: kind.title_of(record),
        tab: view::tab(kind, record),
        current: list.clone(),
        crumbs: crumbs(kind, record, &list),
        actions: Some(actions(call, kind, opened)),
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| done(call, kind, record))
            .or_else(|| purge::notice(opened, &directory).map(|text| (NoticeKind::Warn, text)))
            .or_else(|| kind.flow.is_void(record.state).then(|| (NoticeKind::Warn, VOID.to_owned()))),
        watermark: kind.sensitive,
        ..Outline::default()
    };
    let content = html! {
        @if kind.owned { (head(kind, record, &directory)) }
        (groups(kind, record, &directory))
        (relief::facts(call, record)?)
        (handover::facts(call, record)?)
        (identity(call, kind, opened, revealed, &directory)?)
        (files(kind, opened))
        (repeats::section(call, kind, record)?)
        (recusal::stand_in(opened))
        (moves(call, kind, opened)?)
        (purge::facts(call, kind, opened)?)
        (voiding(call, kind, opened)?)
        (purge::section(call, kind, opened)?)
        (label::section(call, kind, opened)?)
        (handover::section(call, record)?)
        (recusal::section(call, kind, opened)?)
        (handling(kind, record, &directory))
        (regulation::around(call, kind, record)?)
        (regulation::versions(kind, opened))
        @if kind.tag == batch::KIND.tag { (members(call, opened)) } @else { (regulation::articles(call, opened)?) }
        @if !kind.owned { (head(kind, record, &directory)) }
    };
    view::framed(&call.app, live, outline, content)
}

fn crumbs(kind: &Kind, record: &Record, list: &str) -> Vec<(String, String)> {
    let number = kind.number_of(record);
    let own = if number.is_empty() { kind.title_of(record) } else { number.to_owned() };
    match kind.parent_of(record) {
        Some((parent, _)) => vec![("法律法规".into(), format!("/regulation/{parent}")), (own, String::new())],
        // What was a row has no list of its own.
        None if kind.parent.is_some() => vec![(own, String::new())],
        None => vec![(kind.label.to_owned(), list.to_owned()), (own, String::new())],
    }
}

fn done(call: &Call, kind: &Kind, record: &Record) -> Option<(NoticeKind, String)> {
    let number = kind.number_of(record);
    let text = match call.asked("done").as_str() {
        "created" if number.is_empty() => "已保存。".to_owned(),
        "created" => format!("已登记，编号 {number}。"),
        "changed" => "修改已保存。".to_owned(),
        "asked" => format!("清除申请 {number} 已提交，等待安全保密管理员复核。"),
        "recused" => "回避已登记。".to_owned(),
        "labelled" => "安全标记已调整。".to_owned(),
        "relief" => "已申请，等待另一名管理员确认。".to_owned(),
        "agreed" => "已确认。该账户须重新登录。".to_owned(),
        "ended" => "这项申请没有生效，账户没有改变。".to_owned(),
        what @ "repeat" => return repeats::done(what),
        what if kind.tag == records::handover::KIND.tag => return handover::done(call, record, what),
        "moved" => format!("已办理，现为“{}”。", kind.flow.label(record.state)),
        _ => return None,
    };
    Some((NoticeKind::Ok, text))
}

fn actions(call: &Call, kind: &Kind, opened: &Opened) -> Markup {
    let record = &opened.record;
    let base = format!("/{}/{}", kind.name, record.id);
    html! {
        span.sub { (view::state_chip(kind, record.state)) (view::status_chip(kind, record)) }
        (purge::links(opened))
        (repeats::link(kind, record))
        a.btn href=(format!("{base}/history")) { (Icon::History.svg()) "经过" }
        @if opened.may_edit {
            a.btn.btn-primary href=(format!("{base}/edit")) accesskey="e" { (Icon::Edit.svg()) "修改" }
        }
        (relief::buttons(call, record))
        @if kind.tag == records::handover::KIND.tag {
            a.btn href=(format!("{base}/report")) { (Icon::File.svg()) "变更报告" }
        }
    }
}

fn head(kind: &Kind, record: &Record, directory: &Directory) -> Markup {
    let mut items = Vec::new();
    if !kind.number_of(record).is_empty() {
        items.push(("编号", html! { (kind.number_of(record)) }));
    }
    if kind.owned {
        items.push(("登记单位", html! { (directory.unit_at(record.unit, record.created)) }));
    }
    items.extend(label::words(kind, record).map(|chip| ("安全标记", chip)));
    if let Some(id) = record.fields.link(HANDLER) {
        items.push(("承办人", html! { (directory.account(id)) "（交接）" }));
    }
    items.push(("登记人", html! { (directory.account(record.creator)) }));
    items.push(("登记时间", html! { (record.created) }));
    if record.version > 1 {
        items.push(("最后修改", html! { (record.updated) }));
    }
    html! { section.section { (layout::props_4(&items)) } }
}

fn groups(kind: &'static Kind, record: &Record, directory: &Directory) -> Markup {
    // The number stands above; what else the program wrote is shown like what people did.
    let number = kind.number.map(|(tag, _)| tag);
    let fixed = |f: &records::Field| matches!(f.widget, Widget::Fixed) && Some(f.tag) != number;
    let shown = |f: &&records::Field| {
        (f.typed() || fixed(f)) && f.part == records::Part::Main && record.fields.get(f.tag).is_some()
    };
    let mut names: Vec<&str> = kind.fields.iter().filter(shown).map(|f| f.group).collect();
    names.dedup();
    html! {
        @for name in names {
            section.section {
                @if !name.is_empty() { h2 { (name) } }
                dl.props {
                    @for f in kind.fields.iter().filter(shown).filter(|f| f.group == name) {
                        @let long = matches!(f.widget, Widget::Area | Widget::Rows(_) | Widget::Fixed);
                        div.wide[long || f.tag == kind.title] {
                            // A heading that says the same stands above.
                            dt.sr[f.label == name] { (f.label) }
                            dd { @if let Some(v) = record.fields.get(f.tag) {
                                (view::value(directory, f, v, view::as_of(kind, record)))
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn identity(
    call: &Call,
    kind: &'static Kind,
    opened: &Opened,
    revealed: Option<&Record>,
    directory: &Directory,
) -> Result<Markup> {
    if !opened.has_identity {
        return Ok(html! {});
    }
    let live = call.live()?;
    Ok(html! {
        section.section {
            h2 { "检举控告人信息" }
            @if let Some(record) = revealed {
                dl.props { @for f in identity_fields(kind) { @if let Some(v) = record.fields.get(f.tag) {
                    div { dt { (f.label) } dd { (view::value(directory, f, v, view::as_of(kind, record))) } }
                } } }
                p.help { "本次查看及理由已记入日志。" }
            } @else {
                (layout::masked("已单独加密，默认不显示"))
                @if opened.may_identify {
                    @let action = format!("/{}/{}/identity", kind.name, opened.record.id);
                    form.form.inline-form.no-print method="post" action=(action) {
                        (view::hidden(live))
                        div.field {
                            label for="reason" { "查看理由（记入日志，审计员可见）" }
                            input #reason name="reason" required maxlength="200" value=(call.typed("reason"));
                        }
                        (proof::in_line(call, "identity")?)
                        button.btn type="submit" { (Icon::Lock.svg()) "查看" }
                    }
                }
            }
        }
    })
}

fn files(kind: &Kind, opened: &Opened) -> Markup {
    let record = &opened.record;
    let Some(field) = kind.fields.iter().find(|f| matches!(f.widget, Widget::Files)) else { return html! {} };
    let files = record.fields.files(field.tag);
    html! {
        @if !files.is_empty() {
            section.section {
                h2 { (field.label) span.count { (files.len()) } }
                ul.files { @for (place, file) in files.iter().enumerate() { li {
                    @let address = format!("/{}/{}/files/{place}", kind.name, record.id);
                    @let looked = opened.looks.get(place).is_some_and(Option::is_some);
                    (Icon::File.svg())
                    @if looked { a href=(format!("{address}/view")) { (file.name) } }
                    @else { a href=(address) download { (file.name) } }
                    span.size { (view::size(file.size)) }
                    @if let Some(said) = warning(&file.name, opened.looks.get(place).copied().flatten()) {
                        span.help { (said) }
                    }
                    @if let Some(said) = opened.texts.get(place).filter(|said| !said.is_empty()) {
                        span.help { (said) }
                    }
                    @if looked { span.end.no-print { a href=(address) download { "下载" } } }
                } } }
            }
        }
    }
}

fn moves(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    if opened.moves.is_empty() {
        let elsewhere = opened.voiding.iter().any(|m| m.name == call.param("name"));
        return Ok(html! {
            @if !call.typed("opinion").trim().is_empty() && !elsewhere {
                section.section.no-print {
                    h2 { "您填写的意见（没有提交）" }
                    div.prose { (call.typed("opinion")) }
                }
            }
            @if opened.own_work {
                section.section.no-print {
                    h2 { "办理" }
                    p.muted { "这一步由您经办，须由另一位负责人审批。" }
                }
            }
        });
    }
    let live = call.live()?;
    let record = &opened.record;
    let action = |name: &str| format!("/{}/{}/move/{name}", kind.name, record.id);
    let tried = opened.voiding.iter().any(|m| m.name == call.param("name"));
    Ok(html! {
        section.section.no-print {
            h2 { "办理" }
            form.form method="post" action=(action(opened.moves[0].name)) {
                (view::hidden(live))
                input type="hidden" name="version" value=(record.version);
                input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                div.field.wide {
                    label for="opinion" { "意见 " em.req title="必填" { "*" } }
                    textarea #opinion name="opinion" rows="3" maxlength="2000" {
                        "\n" @if !tried { (call.typed("opinion")) }
                    }
                }
                div.form-bar {
                    @for (n, m) in opened.moves.iter().enumerate() {
                        button.btn.btn-primary[n == 0] type="submit" formaction=(action(m.name)) { (m.label) }
                    }
                }
            }
        }
    })
}

/// Taking back what was entered by mistake stands apart from the work, behind one more click.
fn voiding(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    let Some(mv) = opened.voiding.first() else { return Ok(html! {}) };
    let (live, record) = (call.live()?, &opened.record);
    // A reason that was refused is shown again where it was typed.
    let tried = call.param("name") == mv.name;
    let number = if kind.number_of(record).is_empty() { "" } else { "编号保留，不再使用。" };
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "登记有误？" }
                form.form method="post" action=(format!("/{}/{}/move/{}", kind.name, record.id, mv.name)) {
                    (view::hidden(live))
                    input type="hidden" name="version" value=(record.version);
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    div.field.wide {
                        label for="void-reason" { "作废理由 " em.req title="必填" { "*" } }
                        textarea #void-reason name="opinion" rows="2" maxlength="2000" {
                            "\n" @if tried { (call.typed("opinion")) }
                        }
                        p.help { "作废后只能查看，不能恢复。" (number) }
                    }
                    div.form-bar { button.btn.btn-danger type="submit" { (mv.label) } }
                }
            }
        }
    })
}

fn handling(kind: &Kind, record: &Record, directory: &Directory) -> Markup {
    let rows = kind.flow.trail.map_or(&[][..], |tag| record.fields.rows(tag));
    html! {
        @if !rows.is_empty() {
            section.section {
                h2 { "办理过程" }
                ol.trail { @for row in rows { li {
                    div.trail-head {
                        span.what { (row.text(trail::MOVE)) }
                        span.who { (row.link(trail::BY).map_or("—", |id| directory.account(id))) }
                        span.when { (crate::base::Moment(row.int(trail::AT))) }
                    }
                    p.opinion { (row.text(trail::OPINION)) }
                } } }
            }
        }
    }
}

/// What came in with a batch.
fn members(call: &Call, opened: &Opened) -> Markup {
    let page = call.asked("page").parse::<u64>().unwrap_or(1);
    let pages = opened.children_total.div_ceil(limits::CHILD_ROWS as u64).max(1);
    let turn = layout::pager(page, pages, opened.children_total, |n| format!("{}?page={n}", call.path));
    let rows = opened.children.iter().filter_map(|r| Some((records::by_tag(r.kind)?, r)));
    html! {
        @if opened.children_total > 0 {
            section.section {
                h2 { "本批内容" span.count { (opened.children_total) } }
                div.table-wrap { table.list {
                    thead { tr { @for head in ["编号", "标题", "状态"] { th scope="col" { (head) } } } }
                    tbody { @for (kind, row) in rows { tr {
                        td.nowrap { (kind.number_of(row)) }
                        td.clip title=(kind.title_of(row)) {
                            a.row-link href=(format!("/{}/{}", kind.name, row.id)) { (kind.title_of(row)) }
                        }
                        td.nowrap { (view::state_chip(kind, row.state)) }
                    } } }
                } }
                (turn)
            }
        }
    }
}
