//! Repeated petitions on the pages (重复信访): what a petition may repeat, on its page and above the form it is typed
//! in; the way to say so and to take it back; and the page of what resembles a record.

use maud::{Markup, html};

use crate::app::repeats::{Answer, Candidate, Pair, Repeats, Why};
use crate::app::similar::{Resembling, applies};
use crate::base::{ErrorKind, RecordId, Result};
use crate::records::{Kind, Record, field, petition};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::record;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Says what a pair is.
pub fn decide(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    let other = call.typed("other").parse::<u64>().ok().map(RecordId);
    let answer = match call.typed("answer") {
        "same" => Some(Answer::Same),
        "other" => Some(Answer::Other),
        "undo" => Some(Answer::Undo),
        _ => None,
    };
    match call.app.answer_repeat(&call.live()?.actor, (kind, id), other, answer) {
        Ok(()) => Ok(Reply::Redirect(format!("/{}/{id}?done=repeat", kind.name))),
        Err(e) if e.kind() == ErrorKind::Invalid => record::again(call, e.public()),
        Err(e) => Err(e),
    }
}

/// What stands on the page of a petition.
pub(super) fn section(call: &Call, kind: &'static Kind, record: &Record) -> Result<Markup> {
    let told = call.app.repeats(&call.live()?.actor, kind, record.id, false)?;
    told_of(call, kind, record.id, &told)
}

fn told_of(call: &Call, kind: &'static Kind, id: RecordId, told: &Repeats) -> Result<Markup> {
    let answers = |other: &Record, all: &[(&str, &str)]| -> Result<Markup> {
        if !told.may_decide {
            return Ok(html! {});
        }
        Ok(html! {
            form.row-form.no-print method="post" action=(format!("/{}/{id}/repeats", kind.name)) {
                (view::hidden(call.live()?))
                input type="hidden" name="other" value=(other.id);
                @for (value, label) in all {
                    button.btn.btn-small type="submit" name="answer" value=(value) { (label) }
                }
            }
        })
    };
    let undo = |pair: &Pair| answers(&pair.record, &[("undo", "撤销")]);
    Ok(html! {
        @if !told.same.is_empty() {
            section.section #repeats {
                h2 { "重复信访" span.count { (told.same.len()) } }
                ul.lines { @for pair in &told.same { li {
                    (line(kind, &pair.record))
                    (layout::chip(ChipKind::Info, if pair.earlier { "前件" } else { "后件" }))
                    (undo(pair)?)
                } } }
            }
        }
        @if !told.candidates.is_empty() {
            section.section #candidates {
                h2 { "可能重复" span.count { (told.candidates.len()) } }
                ul.lines { @for c in &told.candidates { li {
                    (line(kind, &c.record))
                    (reasons(&c.why))
                    (answers(&c.record, &[("same", "是重复件"), ("other", "不是")])?)
                } } }
            }
        }
        @if told.unavailable {
            section.section { p.muted { "检索索引暂时不能使用，没有查重。" } }
        }
        @if !told.other.is_empty() {
            section.section.no-print {
                details {
                    summary { "已排除的重复 " (told.other.len()) }
                    ul.lines { @for pair in &told.other { li { (line(kind, &pair.record)) (undo(pair)?) } } }
                }
            }
        }
    })
}

/// Looks for repeats of what is being typed; what stands above the form.
pub(super) fn above_form(call: &Call, kind: &'static Kind) -> Result<Markup> {
    let typed = field::parse(kind.fields, &call.raw).0;
    let found: Vec<Candidate> = call.app.repeats_of_form(&call.live()?.actor, &typed)?;
    Ok(html! {
        section.section #candidates {
            h2 { "可能重复" span.count { (found.len()) } }
            @if found.is_empty() { p.muted { "没有找到可能重复的信访件。" } }
            ul.lines { @for c in &found { li { (line(kind, &c.record)) (reasons(&c.why)) } } }
            @if !found.is_empty() { p.help { "在新标签页中打开核对；登记以后可以在信访件页面确认是否重复。" } }
        }
    })
}

fn line(kind: &Kind, record: &Record) -> Markup {
    let number = kind.number_of(record);
    html! {
        a.nowrap href=(format!("/{}/{}", kind.name, record.id)) target="_blank" rel="noopener" {
            @if number.is_empty() { (kind.label) } @else { (number) }
        }
        span.grow { (kind.title_of(record)) }
        span.when { (kind.day_of(record)) }
        (view::state_chip(kind, record.state))
    }
}

fn reasons(why: &[Why]) -> Markup {
    html! { @for reason in why { @match reason {
        Why::Number => (layout::chip(ChipKind::Warn, "提到编号")),
        Why::Accused(name) => (layout::chip(ChipKind::Warn, &format!("同一被反映人 {name}"))),
        Why::Words(share) => (layout::chip(ChipKind::Warn, &format!("内容重合 {share}%"))),
        Why::Place => (layout::chip(ChipKind::Plain, "同一地点")),
    } } }
}

/// The way to what resembles a record.
pub(super) fn link(kind: &Kind, record: &Record) -> Markup {
    let void = record.is_purged() || kind.flow.is_void(record.state);
    html! {
        @if applies(kind) && !void {
            a.btn href=(format!("/{}/{}/similar", kind.name, record.id)) { (Icon::Search.svg()) "相似" }
        }
    }
}

/// The page of what resembles a record.
pub fn similar(call: &Call) -> Result<Reply> {
    let (kind, id, live) = (call.kind()?, call.id()?, call.live()?);
    let found = call.app.similar(&live.actor, kind, id)?;
    let told = call.app.repeats(&live.actor, kind, id, true)?;
    let back = format!("/{}/{id}", kind.name);
    let own = if kind.number_of(&found.record).is_empty() {
        kind.title_of(&found.record)
    } else {
        kind.number_of(&found.record).to_owned()
    };
    let outline = Outline {
        title: "相似内容".into(),
        tab: view::tab(kind, &found.record),
        current: format!("/{}", kind.name),
        crumbs: vec![(own, back), ("相似内容".into(), String::new())],
        watermark: kind.sensitive,
        ..Outline::default()
    };
    let of_petition = kind.tag == petition::KIND.tag;
    let content = html! {
        (told_of(call, kind, id, &told)?)
        @if of_petition { (resembling("相似信访", &found.petitions)) }
        (resembling(if of_petition { "相关条文" } else { "相似条文" }, &found.articles))
    };
    view::reply(&call.app, live, outline, content)
}

fn resembling(title: &str, found: &[Resembling]) -> Markup {
    let all = found.iter().filter_map(|r| Some((crate::records::by_tag(r.record.kind)?, r)));
    html! {
        section.section {
            h2 { (title) span.count { (found.len()) } }
            @if found.is_empty() { p.muted { "没有找到。" } }
            ul.lines { @for (kind, r) in all { li {
                a.grow href=(format!("/{}/{}", kind.name, r.record.id)) { (kind.title_of(&r.record)) }
                span.muted { (kind.number_of(&r.record)) }
                span.muted { "内容重合 " (r.overlap) "%" }
                (view::status_chip(kind, &r.record))
            } } }
        }
    }
}

/// The mark of a petition in lists.
pub(super) fn chip() -> Markup {
    layout::chip(ChipKind::Info, "重复")
}

/// What the page of a petition says after an answer.
pub(super) fn done(what: &str) -> Option<(NoticeKind, String)> {
    (what == "repeat").then(|| (NoticeKind::Ok, "已保存，并记入两件信访的经过；可以随时撤销。".to_owned()))
}
