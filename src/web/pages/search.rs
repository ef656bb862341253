//! Searching: one box, hits with what matched, filters with counts. Terms never stand in an address: a question is
//! posted, kept in the session, and shown under an opaque id.

use maud::{Markup, html};

use crate::app::search::{Hit, Query, Results};
use crate::base::{RecordId, Result, limits};
use crate::records::{self, Right, Scope};
use crate::search::{Order, Piece};
use super::{petitioners, saved};
use crate::web::guard::{Call, pairs};
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Most years or months of the list of times.
const SPANS: usize = 24;

/// The empty page.
pub fn form(call: &Call) -> Result<Reply> {
    begin(call, None, None).map(Reply::page)
}

/// The same with what was wrong: with a search that is kept, or with one for a petitioner.
pub(super) fn begin(call: &Call, wrong: Option<&str>, problem: Option<&str>) -> Result<Markup> {
    let done = match call.asked("done").as_str() {
        "saved" => Some("检索已保存，以后在这里打开。"),
        "renamed" => Some("已改名。"),
        "removed" => Some("已删除。"),
        _ => None,
    };
    let notice = wrong.map(|w| (NoticeKind::Bad, w)).or(done.map(|d| (NoticeKind::Ok, d)));
    let outline = Outline {
        title: "全文检索".into(),
        current: "/search".into(),
        notice: notice.map(|(kind, text)| (kind, text.to_owned())),
        ..Outline::default()
    };
    let content = html! {
        (search_box(call, "")?)
        p.muted { "可搜信访件、法律法规和条文：标题、内容、编号、姓名、单位。"
            @if reads_regulations(call)? { a href="/search-words" { "俗语与法律用语" } } }
        (saved::list(call, true)?)
        (syntax(problem.is_none()))
        (petitioners::form(call, problem)?)
    };
    view::framed(&call.app, call.live()?, outline, content)
}

fn reads_regulations(call: &Call) -> Result<bool> {
    Ok(call.live()?.actor.scope(&records::regulation::KIND, Right::See) > Scope::Nothing)
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
    let query = narrowed(&|name| call.asked(name), asked, page);
    let results = call.app.search(&live.actor, &query)?;
    let outline = Outline {
        title: "检索结果".into(),
        current: "/search".into(),
        notice: notice(&query, &results),
        watermark: true,
        ..Outline::default()
    };
    let pages = results.total.min(limits::SEARCH_DEPTH).div_ceil(limits::PAGE_ROWS).max(1);
    let content = html! {
        (search_box(call, if query.identity { "" } else { &query.text })?)
        (syntax(false))
        (did_you_mean(call, &results)?)
        (narrowing(call, &query)?)
        (saved::keep(call, &query)?)
        @if results.total == 0 && results.alike.is_empty() {
            (layout::empty(Icon::Search, "没有找到。请换个说法、减少字数，或去掉上面的筛选条件。", clear(call)))
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
                    @if !results.alike.is_empty() {
                        section.section #alike {
                            h2 { "同音或近形" span.count { (results.alike.len()) } }
                            p.muted { "姓名读音相同、相近或字形相近，不计入上面的条数。请核对是否同一人。" }
                            @for hit in &results.alike { (hit_view(call, hit)?) }
                        }
                    }
                }
            }
        }
    };
    view::reply(&call.app, live, outline, content)
}

fn narrowed(asked: &dyn Fn(&str) -> String, mut query: Query, page: u64) -> Query {
    let number = |name: &str| asked(name).parse::<u64>().ok();
    let day = |name: &str, end| view::day_bound(&asked(name), end).unwrap_or(0);
    query.kinds = number("kind").and_then(|n| u8::try_from(n).ok()).into_iter().collect();
    query.units = number("unit").map(RecordId).into_iter().collect();
    let state = number("state").and_then(|n| u8::try_from(n).ok());
    query.states = query.kinds.first().zip(state).map(|(k, s)| (*k, s)).into_iter().collect();
    (query.from, query.to) = (day("from", false), day("to", true));
    query.order = match asked("order").as_str() {
        "new" => Order::Newest,
        "old" => Order::Oldest,
        _ => Order::Relevance,
    };
    query.offset = (page - 1).saturating_mul(limits::PAGE_ROWS);
    query.limit = limits::PAGE_ROWS;
    query
}

fn notice(query: &Query, results: &Results) -> Option<(NoticeKind, String)> {
    if results.catching_up {
        return Some((NoticeKind::Warn, "索引正在更新，刚刚导入的内容可能还搜不到，请稍后再试。".to_owned()));
    }
    if query.identity {
        let said = "以下是按检举控告人信息查找的结果，理由已记入日志；这里不显示检举控告人信息。";
        return Some((NoticeKind::Info, said.to_owned()));
    }
    let near = !results.exact && results.total > 0;
    near.then(|| {
        let mut said = "没有完全相同的内容，以下是最相近的结果。".to_owned();
        if !results.terms.is_empty() {
            said.push_str(&format!("已同时按法律用语查找：{}。", results.terms.join("、")));
        }
        (NoticeKind::Info, said)
    })
}

/// Names of the filters of an address.
const FILTERS: [&str; 6] = ["kind", "unit", "state", "from", "to", "order"];

/// The filters of an address, as an address has them; nothing else of it.
pub(super) fn filters(address: &str) -> String {
    let known = pairs(address.as_bytes()).into_iter().filter(|(n, v)| FILTERS.contains(&n.as_str()) && !v.is_empty());
    let encode = |v: &str| percent_encoding::utf8_percent_encode(v, percent_encoding::NON_ALPHANUMERIC).to_string();
    known.map(|(n, v)| format!("{n}={}", encode(&v))).collect::<Vec<_>>().join("&")
}

/// A query under the filters of an address.
pub(super) fn filtered(filters: &str, query: Query) -> Query {
    let all = pairs(filters.as_bytes());
    let asked = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default();
    narrowed(&asked, query, 1)
}

/// The same results with one filter changed; filters are no secret, the terms stay in the session.
fn address(call: &Call, name: &str, value: &str) -> String {
    address_with(call, &[(name, value)])
}

fn address_with(call: &Call, changed: &[(&str, &str)]) -> String {
    let names = |name: &str| changed.iter().any(|(n, _)| *n == name);
    let drop: &[&str] = if names("kind") { &["page", "state", "unit"] } else { &["page"] };
    let kept = pairs(call.query.as_bytes());
    let mut all: Vec<String> = kept
        .into_iter()
        .filter(|(n, v)| !names(n) && !drop.contains(&n.as_str()) && !v.is_empty())
        .map(|(n, v)| format!("{n}={}", percent_encoding::utf8_percent_encode(&v, percent_encoding::NON_ALPHANUMERIC)))
        .collect();
    all.extend(changed.iter().filter(|(_, v)| !v.is_empty()).map(|(name, value)| format!("{name}={value}")));
    let base = format!("/search/{}", call.param("id"));
    if all.is_empty() { base } else { format!("{base}?{}", all.join("&")) }
}

/// What a search text may say. Open where nothing was asked yet.
fn syntax(open: bool) -> Markup {
    let lines = [
        ("低保 公示", "两个词都要有"),
        ("低保 或 五保", "有一个即可，也可写 OR、|"),
        ("“低保公示”", "原样出现"),
        ("低保 -公示", "不要“公示”"),
        ("标题:低保", "只在标题中找；也可用 编号: 文号: 姓名: 单位:"),
        ("日期:2025-01..2025-06", "时间范围；也可写 日期:2025、日期:2025年1月至6月、日期:>=2025-03"),
        ("信访工作条例第21条", "直接到条文，数字写法不限"),
        ("/　j　k", "按键：到检索框，下一条、上一条结果，回车打开"),
    ];
    html! {
        details.syntax.no-print open[open] {
            summary { "检索写法" }
            dl { @for (example, says) in lines { div { dt { code { (example) } } dd { (says) } } } }
        }
    }
}

/// What may have been meant. A question is posted, never linked: its words would stand in an address.
fn did_you_mean(call: &Call, results: &Results) -> Result<Markup> {
    let Some(meant) = &results.meant else { return Ok(html! {}) };
    Ok(html! {
        form.meant.no-print method="post" action="/search" {
            (view::hidden(call.live()?))
            input type="hidden" name="text" value=(meant);
            "您是不是要找 " button.btn-link type="submit" { (meant) } "？"
        }
    })
}

/// The filters that hold, each with the way to take it off.
fn narrowing(call: &Call, query: &Query) -> Result<Markup> {
    let directory = call.app.directory()?;
    let mut all: Vec<(String, String)> = Vec::new();
    if let Some(kind) = query.kinds.first() {
        all.push((records::by_tag(*kind).map_or("其他", |k| k.label).to_owned(), address(call, "kind", "")));
    }
    if let Some((kind, state)) = query.states.first().and_then(|(k, s)| Some((records::by_tag(*k)?, *s))) {
        all.push((kind.flow.label(state).to_owned(), address(call, "state", "")));
    }
    if let Some(unit) = query.units.first() {
        all.push((directory.unit(*unit).to_owned(), address(call, "unit", "")));
    }
    if query.from > 0 || query.to > 0 {
        let days = match (call.asked("from"), call.asked("to")) {
            (from, to) if from == to => from,
            (from, to) => format!("{from} 至 {to}"),
        };
        all.push((days, address_with(call, &[("from", ""), ("to", "")])));
    }
    Ok(html! {
        @if !all.is_empty() {
            p.narrowing.no-print {
                "筛选 "
                @for (label, without) in &all {
                    a.chip.chip-info href=(without) aria-label=(format!("去掉筛选 {label}")) { (label) " ×" } " "
                }
                @if all.len() > 1 { a href=(format!("/search/{}", call.param("id"))) { "全部去掉" } }
            }
        }
    })
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
                input name="text" value=(text) autofocus data-suggest autocomplete="off" maxlength="2000" size="60"; }
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
            (histogram(call, query, &results.months))
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

/// Counts by year, or by month where a single year is asked for; each narrows to its days.
fn histogram(call: &Call, query: &Query, months: &[(u32, u64)]) -> Markup {
    let one_year = query.from > 0 && query.from / 10_000 == query.to / 10_000;
    let mut spans: Vec<(String, u64)> = Vec::new();
    for (month, n) in months.iter().rev() {
        let label = match (one_year, month % 100) {
            (true, 1..) => format!("{}-{:02}", month / 100, month % 100),
            _ => (month / 100).to_string(),
        };
        match spans.last_mut().filter(|last| last.0 == label) {
            Some(last) => last.1 += n,
            None => spans.push((label, *n)),
        }
    }
    let most = spans.iter().map(|s| s.1).max().unwrap_or(1).max(1);
    html! {
        @if spans.len() > 1 || one_year {
            ul.spans { @for (span, n) in spans.iter().take(SPANS) {
                @let narrowed = call.asked("from") == *span && call.asked("to") == *span;
                @let to = if narrowed { "" } else { span };
                @let address = address_with(call, &[("from", to), ("to", to)]);
                li { a href=(address) aria-current=[narrowed.then_some("true")] {
                    span { (span) }
                    svg.span-bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                        rect width=((n * 100).div_ceil(most)) height="8" {}
                    }
                    span.count { (layout::grouped(*n)) }
                } }
            } }
        }
    }
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
                @if hit.is_new { (layout::chip(layout::ChipKind::Info, "新增")) }
                a.hit-title data-key="hit" href=(href) { (marked(&hit.title)) }
                @if hit.kind.owned || hit.kind.flow.is_void(record.state) {
                    (view::state_chip(hit.kind, record.state))
                }
                @if let Some(label) = hit.parent_void { (layout::chip(layout::ChipKind::Bad, label)) }
                (view::status_chip(hit.kind, record))
            }
            p.hit-snip { (marked(&hit.snippet)) }
            @if let Some(at) = &hit.attached {
                p.hit-snip { "附件《" (at.name) "》" (at.place) @if at.ocr { "（OCR）" } "：" (marked(&at.snippet)) }
            }
            @if !hit.why.is_empty() {
                p.hit-why { "匹配 " @for (place, parts) in &hit.why {
                    span { (place) "：" (parts.join("、")) } " "
                } }
            }
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
