//! The list of any kind: tabs by state with counts, filters and columns that are remembered, newest first, printable.

use maud::{Markup, html};

use crate::app::import::What;
use crate::app::record::{ListInput, ListPage};
use crate::app::{Right, Scope};
use crate::base::{RecordId, Result, limits};
use crate::records::{Kind, Search, account, batch, petition};
use crate::web::guard::{Call, pairs};
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind, Tab};
use crate::web::pages::{columns, identities, recusal, repeats};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The list.
pub fn show(call: &Call) -> Result<Reply> {
    let (live, kind) = (call.live()?, call.kind()?);
    if live.actor.scope(kind, Right::See) == Scope::Nothing || kind.group.is_none() {
        return Err(crate::base::Error::denied());
    }
    let choice = call.app.choice(&live.actor, kind)?;
    if call.query.is_empty() && !choice.filters.is_empty() {
        return Ok(Reply::Redirect(format!("/{}?{}", kind.name, choice.filters)));
    }
    call.app.choose_filters(&live.actor, kind, &filters(call))?;
    let (input, bad_date) = read(call);
    let page = call.app.list(&live.actor, kind, &input)?;
    let outline = Outline {
        title: kind.label.to_owned(),
        current: format!("/{}", kind.name),
        crumbs: vec![("工作台".into(), "/".into()), (kind.label.into(), String::new())],
        actions: Some(actions(call, kind)),
        watermark: kind.sensitive,
        notice: bad_date
            .then(|| (NoticeKind::Warn, "日期请写成 2026-03-05 这样的形式，已忽略不能识别的日期。".into()))
            .or_else(|| recusal::done(&call.asked("done"))),
        ..Outline::default()
    };
    let content = html! {
        (tabs(kind, &page, &input, call))
        (filter_bar(call, kind, &page, &input)?)
        (columns::form(call, kind, &choice.columns)?)
        @if page.rows.is_empty() { (nothing(call, kind, &input)) }
        @else { (table(call, kind, &page, &choice.columns)?) }
        @let pages = page.total.div_ceil(input.size).max(1);
        (layout::pager(input.page + 1, pages, page.total, |n| address(kind, call, &[("page", n.to_string())])))
    };
    view::reply(&call.app, live, outline, content)
}

/// What is remembered of an address: the filters, not the page that was turned to.
fn filters(call: &Call) -> String {
    let own = ["state", "unit", "from", "to", "order", "size"];
    let kept = pairs(call.query.as_bytes()).into_iter().filter(|(n, v)| {
        own.contains(&n.as_str()) && !v.is_empty() && v.chars().count() <= limits::FILTER_CHARS
    });
    encoded(kept)
}

fn encoded(pairs: impl Iterator<Item = (String, String)>) -> String {
    let code = |v: &str| percent_encoding::utf8_percent_encode(v, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs.map(|(n, v)| format!("{n}={}", code(&v))).collect::<Vec<_>>().join("&")
}

fn read(call: &Call) -> (ListInput, bool) {
    let mut bad = false;
    let mut day = |name: &str, end: bool| {
        view::day_bound(&call.asked(name), end).unwrap_or_else(|| {
            bad = true;
            0
        })
    };
    let (from, to) = (day("from", false), day("to", true));
    let size = call.asked("size").parse().unwrap_or(limits::PAGE_ROWS).clamp(1, limits::PAGE_ROWS_MAX);
    let input = ListInput {
        units: call.asked("unit").parse().map(|id| vec![RecordId(id)]).unwrap_or_default(),
        state: call.asked("state").parse().ok(),
        from,
        to,
        oldest_first: call.asked("order") == "old",
        page: call.asked("page").parse::<u64>().unwrap_or(1).saturating_sub(1),
        size,
    };
    (input, bad)
}

/// The same list with some parameters changed; an empty value takes one away. Page 1 unless the page is what changes.
fn address(kind: &Kind, call: &Call, changes: &[(&str, String)]) -> String {
    let kept = pairs(call.query.as_bytes()).into_iter().filter(|(n, _)| {
        !["page", "all"].contains(&n.as_str()) && !changes.iter().any(|(c, _)| c == n)
    });
    let changed = changes.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
    let all = encoded(kept.chain(changed).filter(|(_, v)| !v.is_empty()));
    if all.is_empty() { format!("/{}?all=1", kind.name) } else { format!("/{}?{all}", kind.name) }
}

fn actions(call: &Call, kind: &Kind) -> Markup {
    let may = call.live.as_ref().is_some_and(|l| l.actor.scope(kind, Right::Create) > Scope::Nothing);
    let imported = [What::Petitions, What::Regulations].iter().any(|w| w.kind().tag == kind.tag);
    html! {
        @if let Some(live) = call.live.as_ref().filter(|_| kind.tag == petition::KIND.tag) {
            (identities::link(&live.actor, &filters(call)))
        }
        @if may && kind.tag == account::KIND.tag {
            a.btn href="/account/import" { "从表格导入" }
        }
        @if may && imported {
            a.btn href=(format!("/import?what={}", kind.name)) { "导入" }
        }
        @if kind.tag == batch::KIND.tag {
            a.btn.btn-primary href="/import" { (Icon::Plus.svg()) "导入文件" }
        }
        @if may {
            a.btn.btn-primary href=(format!("/{}/new", kind.name)) accesskey="n" {
                (Icon::Plus.svg()) (if kind.owned { "登记" } else { "新增" }) (kind.label)
            }
        }
    }
}

fn tabs(kind: &Kind, page: &ListPage, input: &ListInput, call: &Call) -> Markup {
    let all = page.tallies.iter().filter(|(s, _)| !kind.flow.is_void(*s)).map(|(_, n)| n).sum();
    let tab = |label: &str, state: Option<u8>, count| Tab {
        label: label.to_owned(),
        href: address(kind, call, &[("state", state.map_or(String::new(), |s| s.to_string()))]),
        count: Some(count),
        current: input.state == state,
    };
    let mut tabs = vec![tab("全部", None, all)];
    let shown = page.tallies.iter().filter(|(s, n)| *n > 0 || input.state == Some(*s));
    tabs.extend(shown.map(|(s, n)| tab(kind.flow.label(*s), Some(*s), *n)));
    layout::tabs(&tabs)
}

fn filter_bar(call: &Call, kind: &Kind, page: &ListPage, input: &ListInput) -> Result<Markup> {
    let directory = call.app.directory()?;
    let day_label = kind.field(kind.day).map_or("日期", |f| f.label);
    Ok(html! {
        form.filters method="get" action=(format!("/{}", kind.name)) {
            @if let Some(state) = input.state { input type="hidden" name="state" value=(state); }
            @if kind.owned && page.units.len() > 1 {
                label { "单位" select name="unit" {
                    option value="" { "全部单位" }
                    @for unit in &page.units {
                        option value=(unit) selected[input.units.contains(unit)] { (directory.unit(*unit)) }
                    }
                } }
            }
            @if kind.day != 0 {
                label { (day_label) "从" input.short name="from" value=(call.asked("from")) placeholder="2026-01-01"; }
                label { "到" input.short name="to" value=(call.asked("to")) placeholder="2026-12-31"; }
            }
            label { "顺序" select name="order" {
                option value="" { "新的在前" }
                option value="old" selected[input.oldest_first] { "旧的在前" }
            } }
            label { "每页" select name="size" {
                @for n in [20, 50, 100] { option value=(n) selected[input.size == n] { (n) } }
            } }
            button.btn.btn-small type="submit" { "筛选" }
            span.end { a href=(format!("/{}?all=1", kind.name)) { "清除筛选" } }
        }
    })
}

fn table(call: &Call, kind: &'static Kind, page: &ListPage, chosen: &[u16]) -> Result<Markup> {
    let directory = call.app.directory()?;
    let shown = if chosen.is_empty() { kind.columns } else { chosen };
    let columns: Vec<_> = shown.iter().filter_map(|t| kind.field(*t)).collect();
    let repeated = call.app.repeated(&call.live()?.actor, kind, &page.rows)?;
    Ok(html! {
        div.table-wrap.scrolls[columns.len() > kind.columns.len()] { table.list {
            thead { tr {
                @for c in &columns { th scope="col" { (c.label) } }
                @if kind.owned { th scope="col" { "单位" } }
                th scope="col" { "状态" }
            } }
            tbody { @for record in &page.rows { tr {
                @for c in &columns {
                    @if c.tag == kind.title {
                        td.clip title=(kind.title_of(record)) {
                            a.row-link href=(format!("/{}/{}", kind.name, record.id)) { (kind.title_of(record)) }
                            @if repeated.contains(&record.id) { " " (repeats::chip()) }
                        }
                    } @else {
                        td.nowrap[c.search != Search::Names] { (view::cell(&directory, kind, record, c.tag)) }
                    }
                }
                @if kind.owned { td.nowrap { (directory.unit_at(record.unit, record.created)) } }
                td.nowrap { (view::state_chip(kind, record.state)) }
            } } }
        } }
    })
}

fn nothing(call: &Call, kind: &Kind, input: &ListInput) -> Markup {
    let filtered = input.state.is_some() || !input.units.is_empty() || input.from + input.to > 0 || input.page > 0;
    if filtered {
        let clear = html! { a.btn href=(format!("/{}?all=1", kind.name)) { "清除筛选" } };
        return layout::empty(Icon::Empty, "没有符合条件的记录。", clear);
    }
    layout::empty(Icon::Empty, &format!("还没有{}。", kind.label), actions(call, kind))
}
