//! Searching: one box, hits with what matched, filters with counts. Terms never stand in an address: a question is
//! posted, kept in the session, and shown under an opaque id.

use maud::{Markup, html};

use crate::app::search::{Hit, Query, Results};
use crate::base::{RecordId, Result, limits};
use crate::records;
use crate::search::{Order, Piece};
use crate::web::guard::{Call, pairs};
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The empty page.
pub fn form(call: &Call) -> Result<Reply> {
    let outline = Outline { title: "全文检索".into(), current: "/search".into(), ..Outline::default() };
    let hint = html! { p.muted { "可搜信访件、法律法规和条文：标题、内容、编号、姓名、单位。加引号表示必须原样出现，前面加 - 表示排除。" } };
    view::reply(&call.app, call.live()?, outline, html! { (search_box(call, "")?) (hint) })
}

/// Takes the question.
pub fn ask(call: &Call) -> Result<Reply> {
    let text: String = call.typed("text").chars().take(limits::QUERY_CHARS).collect();
    if text.is_empty() {
        return Ok(Reply::Redirect("/search".into()));
    }
    let id = call.app.remember_search(call.live()?, Query { text, ..Query::default() })?;
    Ok(Reply::Redirect(format!("/search/{id}")))
}

/// Shows the answer.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let Some(asked) = call.app.recall_search(live, call.param("id")) else {
        return Ok(Reply::Redirect("/search".into()));
    };
    let page = call.asked("page").parse::<u64>().unwrap_or(1).max(1);
    let query = narrowed(call, asked, page);
    let results = call.app.search(&live.actor, &query)?;
    let outline = Outline {
        title: "检索结果".into(),
        current: "/search".into(),
        notice: notice(&results),
        watermark: true,
        ..Outline::default()
    };
    let pages = results.total.min(limits::SEARCH_DEPTH).div_ceil(limits::PAGE_ROWS).max(1);
    let content = html! {
        (search_box(call, &query.text)?)
        @if results.total == 0 {
            (layout::empty(Icon::Search, "没有找到。请换个说法、减少字数，或清除左侧的筛选条件。", clear(call)))
        } @else {
            div.search-page {
                (facets(call, &query, &results)?)
                div.hits {
                    div.hits-bar {
                        span { "共 " (layout::grouped(results.total)) " 条，用时 " (results.micros.div_ceil(1000)) " 毫秒" }
                        span.end { "排序 " (order(call, &query)) }
                    }
                    @for hit in &results.hits { (hit_view(call, hit)?) }
                    (layout::pager(page, pages, results.total, |n| address(call, "page", &n.to_string())))
                }
            }
        }
    };
    view::reply(&call.app, live, outline, content)
}

fn narrowed(call: &Call, mut query: Query, page: u64) -> Query {
    let number = |name: &str| call.asked(name).parse::<u64>().ok();
    let day = |name: &str, end| view::day_bound(&call.asked(name), end).unwrap_or(0);
    query.kinds = number("kind").and_then(|n| u8::try_from(n).ok()).into_iter().collect();
    query.units = number("unit").map(RecordId).into_iter().collect();
    let state = number("state").and_then(|n| u8::try_from(n).ok());
    query.states = query.kinds.first().zip(state).map(|(k, s)| (*k, s)).into_iter().collect();
    (query.from, query.to) = (day("from", false), day("to", true));
    query.order = match call.asked("order").as_str() {
        "new" => Order::Newest,
        "old" => Order::Oldest,
        _ => Order::Relevance,
    };
    query.offset = (page - 1).saturating_mul(limits::PAGE_ROWS);
    query.limit = limits::PAGE_ROWS;
    query
}

fn notice(results: &Results) -> Option<(NoticeKind, String)> {
    if results.catching_up {
        return Some((NoticeKind::Warn, "索引正在更新，刚刚导入的内容可能还搜不到，请稍后再试。".to_owned()));
    }
    let near = !results.exact && results.total > 0;
    near.then(|| (NoticeKind::Info, "没有完全相同的内容，以下是最相近的结果。".to_owned()))
}

/// The same results with one filter changed; filters are no secret, the terms stay in the session.
fn address(call: &Call, name: &str, value: &str) -> String {
    let drop: &[&str] = if name == "kind" { &["page", "kind", "state", "unit"] } else { &["page"] };
    let kept = pairs(call.query.as_bytes());
    let mut all: Vec<String> = kept
        .into_iter()
        .filter(|(n, v)| n != name && !drop.contains(&n.as_str()) && !v.is_empty())
        .map(|(n, v)| format!("{n}={}", percent_encoding::utf8_percent_encode(&v, percent_encoding::NON_ALPHANUMERIC)))
        .collect();
    if !value.is_empty() {
        all.push(format!("{name}={value}"));
    }
    let base = format!("/search/{}", call.param("id"));
    if all.is_empty() { base } else { format!("{base}?{}", all.join("&")) }
}

fn clear(call: &Call) -> Markup {
    let filtered = !call.query.is_empty();
    html! { @if filtered { a.btn href=(format!("/search/{}", call.param("id"))) { "清除筛选" } } }
}

fn search_box(call: &Call, text: &str) -> Result<Markup> {
    let live = call.live()?;
    Ok(html! {
        form.filters method="post" action="/search" role="search" {
            (view::hidden(live))
            label.grow { span.sr { "检索词" }
                input name="text" value=(text) autofocus autocomplete="off" maxlength="2000" size="60"; }
            button.btn.btn-primary type="submit" { (Icon::Search.svg()) "检索" }
        }
    })
}

fn order(call: &Call, query: &Query) -> Markup {
    let all = [("", "相关度", Order::Relevance), ("new", "最新", Order::Newest), ("old", "最早", Order::Oldest)];
    html! { @for (value, label, order) in all {
        a href=(address(call, "order", value)) aria-current=[(query.order == order).then_some("true")] { (label) } " "
    } }
}

fn facets(call: &Call, query: &Query, results: &Results) -> Result<Markup> {
    let directory = call.app.directory()?;
    let kind_label = |tag: u8| records::by_tag(tag).map_or("其他", |k| k.label);
    let facet = |name: &str, value: String, label: &str, count: u64, current: bool| html! {
        li { a href=(address(call, name, if current { "" } else { &value }))
            aria-current=[current.then_some("true")] { (label) span.count { (layout::grouped(count)) } } }
    };
    let units: Vec<_> = results.units.iter().filter(|(u, _)| u.0 != 0).take(30).collect();
    Ok(html! {
        nav.facets aria-label="筛选" {
            h2 { "类别" }
            ul { @for (tag, n) in &results.kinds {
                (facet("kind", tag.to_string(), kind_label(*tag), *n, query.kinds.contains(tag)))
            } }
            @if let Some(kind) = query.kinds.first().and_then(|t| records::by_tag(*t)) {
                @if kind.owned {
                    h2 { "状态" }
                    ul { @for ((k, s), n) in results.states.iter().filter(|((k, _), _)| *k == kind.tag) {
                        (facet("state", s.to_string(), kind.flow.label(*s), *n, query.states.contains(&(*k, *s))))
                    } }
                }
            }
            @if !units.is_empty() {
                h2 { "单位" }
                ul { @for (unit, n) in units {
                    (facet("unit", unit.to_string(), directory.unit(*unit), *n, query.units.contains(unit)))
                } }
            }
            h2 { "时间" }
            form.form method="get" action=(format!("/search/{}", call.param("id"))) {
                @for (name, value) in pairs(call.query.as_bytes()) {
                    @if !["from", "to", "page"].contains(&name.as_str()) {
                        input type="hidden" name=(name) value=(value);
                    }
                }
                @for (name, label, example) in [("from", "从", "2026-01-01"), ("to", "到", "2026-12-31")] {
                    div.field { label for=(name) { (label) }
                        input.short id=(name) name=(name) value=(call.asked(name)) placeholder=(example); }
                }
                button.btn.btn-small type="submit" { "筛选" }
            }
        }
    })
}

fn hit_view(call: &Call, hit: &Hit) -> Result<Markup> {
    let directory = call.app.directory()?;
    let record = &hit.record;
    let href = match hit.kind.parent_of(record) {
        Some((parent, order)) => {
            let page = order as usize / limits::CHILD_ROWS + 1;
            format!("/regulation/{parent}?page={page}&at={0}#a{0}", record.id)
        }
        None => format!("/{}/{}", hit.kind.name, record.id),
    };
    let day = hit.kind.day_of(record);
    let number = hit.kind.number_of(record);
    Ok(html! {
        article.hit {
            h3.hit-head {
                (layout::chip(layout::ChipKind::Plain, hit.kind.label))
                a.hit-title href=(href) { (marked(&hit.title)) }
                @if hit.kind.owned || hit.kind.flow.is_void(record.state) {
                    (view::state_chip(hit.kind, record.state))
                }
                @if let Some(label) = hit.parent_void { (layout::chip(layout::ChipKind::Bad, label)) }
                (view::status_chip(hit.kind, record))
            }
            p.hit-snip { (marked(&hit.snippet)) }
            p.hit-meta {
                @if !number.is_empty() { span { (number) } }
                @if !day.is_unknown() { span { (day) } }
                @if hit.kind.owned { span { (directory.unit_at(record.unit, record.created)) } }
            }
        }
    })
}

fn marked(pieces: &[Piece]) -> Markup {
    let pieces: Vec<(bool, String)> = pieces.iter().map(|p| (p.hit, p.text.clone())).collect();
    layout::pieces(&pieces)
}
