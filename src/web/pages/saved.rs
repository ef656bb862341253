//! Searches that somebody keeps: the list of them, and what is done with one.

use maud::{Markup, html};

use super::search::{self, filtered};
use crate::app::saved::Saved;
use crate::app::search::Query;
use crate::base::{Error, ErrorKind, Result};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::respond::Reply;
use crate::web::view;

/// Characters of a question that are its name, where no other is given.
const NAME_CHARS: usize = 20;

/// Keeps the search of a page of results with its filters.
pub fn save(call: &Call) -> Result<Reply> {
    let (live, id) = (call.live()?, call.param("id"));
    let asked = call.app.recall_search(live, id).ok_or_else(Error::denied)?;
    let name = match call.typed("name").trim() {
        "" => asked.text.chars().take(NAME_CHARS).collect(),
        name => name.to_owned(),
    };
    match call.app.save_search(&live.actor, &asked, &search::filters(call.typed("filters")), &name) {
        Ok(()) => Ok(Reply::Redirect("/search?done=saved".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => search::begin(call, Some(e.public()), None).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// Asks it again, and marks what came since.
pub fn open(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let saved = call.app.look_at_saved(&live.actor, number(call)?)?;
    let query = Query { text: saved.text, looked: Some(saved.last), ..Query::default() };
    let id = call.app.remember_search(live, query)?;
    let filters = if saved.filters.is_empty() { String::new() } else { format!("?{}", saved.filters) };
    Ok(Reply::Redirect(format!("/search/{id}{filters}")))
}

/// Gives it another name.
pub fn rename(call: &Call) -> Result<Reply> {
    match call.app.rename_saved(&call.live()?.actor, number(call)?, call.typed("name")) {
        Ok(()) => Ok(Reply::Redirect("/search?done=renamed".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => search::begin(call, Some(e.public()), None).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// Keeps it no longer.
pub fn remove(call: &Call) -> Result<Reply> {
    call.app.remove_saved(&call.live()?.actor, number(call)?)?;
    Ok(Reply::Redirect("/search?done=removed".into()))
}

fn number(call: &Call) -> Result<i64> {
    call.param("number").parse().map_err(|_| Error::denied())
}

/// The form that keeps the search of a page of results.
pub(super) fn keep(call: &Call, query: &Query) -> Result<Markup> {
    let live = call.live()?;
    if query.identity {
        return Ok(html! {});
    }
    Ok(html! {
        details.keep.no-print {
            summary { "保存此检索" }
            form.form.inline-form method="post" action={ "/search/" (call.param("id")) "/save" } {
                (view::hidden(live))
                input type="hidden" name="filters" value=(search::filters(&call.query));
                div.field {
                    label for="saved-name" { "名称" }
                    input #saved-name name="name" maxlength="40" placeholder="不填则用检索词";
                }
                button.btn type="submit" { "保存" }
            }
            p.help { "连同当前筛选保存，只有您自己看得到；以后打开时标出新登记的。" }
        }
    })
}

/// The searches of whoever is logged in, with what is new; nothing where there are none.
pub(super) fn list(call: &Call, manage: bool) -> Result<Markup> {
    let live = call.live()?;
    let mut lines = Vec::new();
    for saved in call.app.saved_searches(&live.actor)? {
        let query = Query { text: saved.text.clone(), ..Query::default() };
        let query = filtered(&saved.filters, query);
        // An index that is being mended answers a little later.
        let new = match call.app.new_since(&live.actor, &query, saved.last) {
            Err(e) if e.kind() == ErrorKind::Busy => None,
            new => Some(new?),
        };
        lines.push((saved, new));
    }
    Ok(html! {
        @if !lines.is_empty() {
            section.section #saved {
                h2 { "保存的检索" span.count { (lines.len()) } }
                ul.lines { @for (saved, new) in &lines {
                    li { (line(call, saved, *new)?) @if manage { (change(call, saved)?) } }
                } }
            }
        }
    })
}

fn line(call: &Call, saved: &Saved, new: Option<u64>) -> Result<Markup> {
    let live = call.live()?;
    Ok(html! {
        form.grow method="post" action={ "/saved/" (saved.number) "/open" } {
            (view::hidden(live))
            button.btn-link type="submit" { (Icon::Search.svg()) " " (saved.name) }
        }
        @match new {
            None => { span.muted { "索引正在更新" } }
            Some(0) => { span.muted { "没有新增" } }
            Some(n) => { span.chip.chip-info { "新增 " (n) " 件" } }
        }
    })
}

fn change(call: &Call, saved: &Saved) -> Result<Markup> {
    let live = call.live()?;
    let name = format!("saved-{}", saved.number);
    Ok(html! {
        details {
            summary { "改名、删除" }
            form.form.inline-form method="post" action={ "/saved/" (saved.number) "/rename" } {
                (view::hidden(live))
                div.field {
                    label for=(name) { "名称" }
                    input id=(name) name="name" value=(saved.name) required maxlength="40";
                }
                button.btn type="submit" { "改名" }
            }
            form method="post" action={ "/saved/" (saved.number) "/remove" } {
                (view::hidden(live))
                button.btn.btn-danger type="submit" { "删除“" (saved.name) "”" }
            }
        }
    })
}
