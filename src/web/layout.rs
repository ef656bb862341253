//! The frame around every page and the small view pieces that pages share: whole documents, chips, tabs,
//! pager, property lists, charts. Pure functions from borrowed values to markup: no data access, no clock, no
//! rights (whoever calls has already decided what may be seen). What must hold: no inline style and no inline
//! script (the content policy forbids both), all text in Chinese, and nothing that only colour tells.
//! Left to others: form fields, routes, and what stands on a page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::icons::{Icon, brand_mark};
pub use super::notice::{NoticeKind, notice};

/// Where the header's search form posts to.
pub const SEARCH_PATH: &str = "/search";
/// Where the log-out button posts to.
pub const LOGOUT_PATH: &str = "/logout";
/// The page of the person's own account.
pub const ACCOUNT_PATH: &str = "/password";
/// The product's short name, as it stands in the header and in titles.
pub const PRODUCT: &str = "基层";
/// The product's full name, as it stands on the log-in page.
pub const PRODUCT_LONG: &str = "检举举报平台基层版";

/// Who looks at the page, as the header shows it.
#[derive(Clone, Copy, Debug)]
pub struct UserView<'a> {
    /// The person's name.
    pub name: &'a str,
    /// The person's unit.
    pub unit: &'a str,
    /// The person's role, in Chinese.
    pub role: &'a str,
}

/// One line of the side menu. Items of the same group must stand together.
#[derive(Clone, Debug)]
pub struct MenuItem {
    /// The module's heading; empty for items above all modules.
    pub group: &'static str,
    /// Where it leads.
    pub href: String,
    /// Its words.
    pub label: String,
    /// Its drawing.
    pub icon: Icon,
    /// Whether the page shown belongs to it.
    pub current: bool,
    /// Things waiting there; `None` and zero show no badge.
    pub count: Option<u64>,
}

/// How a chip is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChipKind {
    /// A plain mark.
    Plain,
    /// Under way.
    Info,
    /// Done, in order.
    Ok,
    /// Due soon.
    Warn,
    /// Overdue, refused, failed.
    Bad,
}

/// One tab above a list.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Its words.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// How many things are behind it; `None` shows no number.
    pub count: Option<u64>,
    /// Whether it is the one shown.
    pub current: bool,
}

/// Everything a page needs besides its content.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The heading.
    pub title: &'a str,
    /// First half of the document title, which browsers keep.
    pub tab: &'a str,
    /// The county's name as it stands beside the product's.
    pub county: &'a str,
    /// Who is logged in.
    pub user: Option<UserView<'a>>,
    /// The side menu: only what this person may use.
    pub menu: &'a [MenuItem],
    /// The path to this page as (label, address); an empty address marks where one is.
    pub crumbs: &'a [(String, String)],
    /// Buttons at the right of the heading; empty markup for none.
    pub actions: Markup,
    /// What the last act has to say.
    pub notice: Option<(NoticeKind, String)>,
    /// What this person must know on every page; empty markup for nothing.
    pub strip: Markup,
    /// Seconds after which the browser asks again, while work is under way.
    pub refresh: Option<u32>,
    /// The footer's line on encryption, backup and index.
    pub status: &'a str,
    /// The session's CSRF token, for the search form and the log-out button; `None` leaves both out.
    pub search_token: Option<&'a str>,
    /// The stylesheet's hashed address.
    pub style_href: &'a str,
    /// Who and when, laid faintly over the page and its print.
    pub watermark: Option<&'a str>,
}

/// A whole page with header, menu, heading, content and footer.
pub fn page(frame: &Frame<'_>, content: Markup) -> Markup {
    let content = content.into_string();
    let body = html! {
        a.skip href="#main" { "跳到正文" }
        (top(frame))
        div.shell {
            (side(frame.menu))
            main #main tabindex="-1" {
                (crumbs(frame.crumbs))
                (frame.strip)
                div.head {
                    h1 { (frame.title) }
                    @if !frame.actions.0.is_empty() {
                        div.actions { (frame.actions) }
                    }
                }
                @if let Some((kind, text)) = &frame.notice { (notice(*kind, text)) }
                (PreEscaped(content))
            }
            footer.status { (Icon::Lock.svg()) span { (frame.status) } }
        }
        @if let Some(text) = frame.watermark { (watermark(text)) }
    };
    document(frame.tab, frame.style_href, (None, frame.refresh), body)
}

/// A page without menu, in one narrow card: log-in, errors.
pub fn bare(title: &str, county: &str, style_href: &str, content: Markup) -> Markup {
    bare_page(("login", None), title, county, style_href, content)
}

/// A page without menu, in one wide card: set-up, long explanations.
pub fn bare_wide(title: &str, county: &str, style_href: &str, content: Markup) -> Markup {
    bare_page(("login login-wide", None), title, county, style_href, content)
}

/// A page without menu, in one wide card, that asks again by itself while work is under way.
pub fn waiting_wide(
    (title, refresh): (&str, Option<u32>),
    county: &str,
    style_href: &str,
    content: Markup,
) -> Markup {
    bare_page(("login login-wide", refresh), title, county, style_href, content)
}

/// A small mark for a state or a deadline; its words alone must tell the meaning.
pub fn chip(kind: ChipKind, text: &str) -> Markup {
    let class = match kind {
        ChipKind::Plain => "chip chip-plain",
        ChipKind::Info => "chip chip-info",
        ChipKind::Ok => "chip chip-ok",
        ChipKind::Warn => "chip chip-warn",
        ChipKind::Bad => "chip chip-bad",
    };
    html! { span class=(class) { (text) } }
}

/// What an empty list shows: why it is empty and what to do next (empty markup for nothing to do).
pub fn empty(icon: Icon, text: &str, action: Markup) -> Markup {
    let action = action.into_string();
    html! {
        div.empty { (icon.svg()) p { (text) } (PreEscaped(action)) }
    }
}

/// A hidden identity: says that something is there and may not be seen.
pub fn masked(text: &str) -> Markup {
    html! { span.masked { (Icon::Lock.svg()) (text) } }
}

/// State tabs above a list.
pub fn tabs(tabs: &[Tab]) -> Markup {
    html! {
        nav.tabs aria-label="分类" {
            @for tab in tabs {
                a href=(tab.href) aria-current=[tab.current.then_some("page")] {
                    (tab.label)
                    @if let Some(count) = tab.count { span.count { (grouped(count)) } }
                }
            }
        }
    }
}

/// Page numbers below a list. `page` counts from 1; `href` gives the address of a page.
pub fn pager(page: u64, pages: u64, total: u64, href: impl Fn(u64) -> String) -> Markup {
    let pages = pages.max(1);
    let page = page.clamp(1, pages);
    html! {
        nav.pager aria-label="分页" {
            span.total { "共 " (grouped(total)) " 条，第 " (page) " / " (pages) " 页" }
            @if pages > 1 {
                @if page > 1 { a href=(href(page - 1)) rel="prev" { "上一页" } }
                @else { span.off { "上一页" } }
                @for step in page_steps(page, pages) {
                    @match step {
                        None => span.gap { "…" },
                        Some(number) if number == page => span.here aria-current="page" { (number) },
                        Some(number) => a href=(href(number)) { (number) },
                    }
                }
                @if page < pages { a href=(href(page + 1)) rel="next" { "下一页" } }
                @else { span.off { "下一页" } }
            }
        }
    }
}

/// Labels and values in two columns.
pub fn props(items: &[(&str, Markup)]) -> Markup {
    prop_list("props", items)
}

/// Labels and values in four columns where the screen is wide enough: for short labels and values.
pub fn props_4(items: &[(&str, Markup)]) -> Markup {
    prop_list("props props-4", items)
}

/// A snippet: pieces in order, those marked `true` highlighted.
pub fn pieces(pieces: &[(bool, String)]) -> Markup {
    html! {
        @for (hit, text) in pieces {
            @if *hit { mark { (text) } } @else { (text) }
        }
    }
}

/// A number with its caption; with an address the whole tile is a link.
pub fn figure(num: &str, caption: &str, href: Option<&str>) -> Markup {
    figure_delta(num, caption, "", href)
}

/// A number with its caption and a remark on its change (`较上月 +3`).
pub fn figure_delta(num: &str, caption: &str, delta: &str, href: Option<&str>) -> Markup {
    let inner = html! {
        span.cap { (caption) }
        span.num { (num) }
        @if !delta.is_empty() { span.delta { (delta) } }
    };
    html! {
        @match href {
            Some(href) => a.figure href=(href) { (inner) },
            None => div.figure { (inner) },
        }
    }
}

/// How far long work has come, with words beside the bar (`每秒 310 条 · 约剩 12 秒`).
pub fn progress(label: &str, done: u64, total: u64, rate: &str) -> Markup {
    html! {
        div.progress {
            span { (label) }
            span.rate role="status" { (rate) }
            progress aria-label=(label) value=(done.min(total)) max=(total.max(1)) {
                (percent(done, total)) "%"
            }
        }
    }
}

/// Horizontal bars, one line each: for names (units, kinds of problem). Text does not scale with the width.
pub fn bar_chart<S: AsRef<str>>(bars: &[(S, u64)], title: &str) -> Markup {
    let max = highest(bars);
    let height = (bars.len() * BAR_STEP).max(BAR_STEP);
    html! {
        svg.bar role="img" width="100%" height=(height) {
            title { (title) }
            desc { (chart_text(bars, title)) }
            @for (i, (label, value)) in bars.iter().enumerate() {
                @let y = i * BAR_STEP;
                g {
                    title { (label.as_ref()) "：" (grouped(*value)) }
                    text x="0" y=(y + 15) { (shortened(label.as_ref(), BAR_LABEL)) }
                    rect.bar-back x="30%" y=(y + 5) width="58%" height="13" {}
                    rect.bar x="30%" y=(y + 5) width={ (tenths(*value, max, 580)) "%" } height="13" {}
                    text.val x="100%" y=(y + 15) text-anchor="end" { (grouped(*value)) }
                }
            }
        }
    }
}

/// Upright columns: for a row of short labels (months, years).
pub fn column_chart<S: AsRef<str>>(columns: &[(S, u64)], title: &str) -> Markup {
    let max = highest(columns);
    let count = u64::try_from(columns.len().max(1)).unwrap_or(1);
    html! {
        svg.bar role="img" width="100%" height="140" {
            title { (title) }
            desc { (chart_text(columns, title)) }
            line.axis x1="0" x2="100%" y1="120.5" y2="120.5" {}
            @for (i, (label, value)) in (0_u64..).zip(columns) {
                @let tall = value.saturating_mul(100) / max;
                @let middle = tenths(2 * i + 1, 2 * count, 1000);
                g {
                    title { (label.as_ref()) "：" (grouped(*value)) }
                    rect.bar x={ (tenths(5 * i + 1, 5 * count, 1000)) "%" } y=(120 - tall)
                        width={ (tenths(3, 5 * count, 1000)) "%" } height=(tall) {}
                    text.val x={ (middle) "%" } y=(116 - tall) text-anchor="middle" { (grouped(*value)) }
                    text x={ (middle) "%" } y="136" text-anchor="middle" { (label.as_ref()) }
                }
            }
        }
    }
}

/// A number with commas between the thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The height of one horizontal bar with its gap, in px.
const BAR_STEP: usize = 24;
/// The longest label beside a horizontal bar, in characters.
const BAR_LABEL: usize = 8;

fn document(title: &str, style_href: &str, (class, refresh): (Option<&str>, Option<u32>), body: Markup) -> Markup {
    let body = body.into_string();
    html! {
        (DOCTYPE)
        html lang="zh-CN" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) " · " (PRODUCT) }
                (super::assets::links(style_href, class.is_none()))
            }
            body class=[class] { (PreEscaped(body)) }
        }
    }
}

fn bare_page(
    (class, refresh): (&str, Option<u32>),
    title: &str,
    county: &str,
    style_href: &str,
    content: Markup,
) -> Markup {
    let content = content.into_string();
    let body = html! {
        a.skip href="#main" { "跳到正文" }
        main #main class=(class) tabindex="-1" {
            div.brand {
                (brand_mark())
                span.brand-name { (PRODUCT_LONG) }
                span.brand-unit { (county) }
            }
            div.card {
                h1 { (title) }
                (PreEscaped(content))
            }
        }
    };
    document(title, style_href, (Some("bare"), refresh), body)
}

fn top(frame: &Frame<'_>) -> Markup {
    let desk = frame.menu.iter().find(|item| item.icon == Icon::Desk);
    html! {
        header.top {
            a.menu-open href="#menu" { "菜单" }
            a.brand href="/" aria-label={ (PRODUCT_LONG) "，" (frame.county) "，回到工作台" } {
                (brand_mark())
                span.brand-name { (PRODUCT) }
                span.brand-unit { (frame.county) }
            }
            @if let Some(token) = frame.search_token { (find(token)) }
            div.top-links {
                @if let Some(item) = desk {
                    a href=(item.href) {
                        (Icon::Clock.svg()) "待办"
                        @if let Some(count) = item.count.filter(|count| *count > 0) {
                            span.count { (grouped(count)) }
                        }
                    }
                }
                @if let Some(user) = &frame.user { (user_links(user, frame.search_token)) }
            }
        }
    }
}

fn find(token: &str) -> Markup {
    html! {
        form.find role="search" method="post" action=(SEARCH_PATH) {
            input type="hidden" name="csrf" value=(token);
            label.sr for="find-text" { "全文检索" }
            input #find-text type="search" name="text" maxlength="200" autocomplete="off" spellcheck="false"
                accesskey="/" data-key="find" data-suggest placeholder="搜索编号、姓名、单位、内容或法规条文";
            kbd.kbd aria-hidden="true" { "/" }
            button type="submit" { (Icon::Search.svg()) "搜索" }
        }
    }
}

fn user_links(user: &UserView<'_>, token: Option<&str>) -> Markup {
    html! {
        a.user href=(ACCOUNT_PATH) title="我的账号" {
            (Icon::User.svg())
            span {
                span.user-name { (user.name) }
                span.user-post { (user.unit) " · " (user.role) }
            }
        }
        @if let Some(token) = token {
            form method="post" action=(LOGOUT_PATH) {
                input type="hidden" name="csrf" value=(token);
                button.btn-link type="submit" { (Icon::Logout.svg()) "退出" }
            }
        }
    }
}

fn side(menu: &[MenuItem]) -> Markup {
    html! {
        nav.side #menu aria-label="主菜单" {
            @for group in menu.chunk_by(|left, right| left.group == right.group) {
                @if let Some(first) = group.first().filter(|item| !item.group.is_empty()) {
                    h2.side-title { (first.group) }
                }
                ul.side-group { @for item in group { (side_item(item)) } }
            }
            a.menu-close href="#main" { "收起菜单" }
        }
    }
}

fn side_item(item: &MenuItem) -> Markup {
    html! {
        li {
            a href=(item.href) aria-current=[item.current.then_some("page")] {
                (item.icon.svg())
                span { (item.label) }
                @if let Some(count) = item.count.filter(|count| *count > 0) {
                    span.count { (grouped(count)) span.sr { " 件待办" } }
                }
            }
        }
    }
}

fn crumbs(crumbs: &[(String, String)]) -> Markup {
    html! {
        @if !crumbs.is_empty() {
            nav.crumbs aria-label="当前位置" {
                ol {
                    @for (label, href) in crumbs {
                        li {
                            @if href.is_empty() { span aria-current="page" { (label) } }
                            @else { a href=(href) { (label) } }
                        }
                    }
                }
            }
        }
    }
}

/// The text once, in a pattern that repeats it in slanted rows over screen and paper.
fn watermark(text: &str) -> Markup {
    let width = |c: char| if c.is_ascii() { 9_i64 } else { 16 };
    let wide = text.chars().fold(90, |sum, c| sum + width(c));
    html! {
        svg.watermark aria-hidden="true" focusable="false" width="100%" height="100%" {
            defs {
                pattern #watermark-tile patternUnits="userSpaceOnUse" width=(wide) height="150"
                    patternTransform="rotate(-20)" {
                    text x="10" y="40" { (text) }
                    text x=(wide / 2) y="115" { (text) }
                    text x=(wide / 2 - wide) y="115" { (text) }
                }
            }
            rect width="100%" height="100%" fill="url(#watermark-tile)" {}
        }
    }
}

fn prop_list(class: &str, items: &[(&str, Markup)]) -> Markup {
    html! {
        dl class=(class) {
            @for (label, value) in items { div { dt { (label) } dd { (value) } } }
        }
    }
}

/// First, last and the neighbours of the page shown; `None` where numbers are left out.
fn page_steps(page: u64, pages: u64) -> Vec<Option<u64>> {
    let near = page.saturating_sub(2).max(1)..=page.saturating_add(2).min(pages);
    let mut steps = Vec::new();
    if *near.start() > 1 {
        steps.push(Some(1));
    }
    if *near.start() > 2 {
        steps.push(None);
    }
    steps.extend(near.clone().map(Some));
    if near.end().saturating_add(1) < pages {
        steps.push(None);
    }
    if *near.end() < pages {
        steps.push(Some(pages));
    }
    steps
}

/// The chart in words, for who cannot see it.
fn chart_text<S: AsRef<str>>(bars: &[(S, u64)], title: &str) -> String {
    let mut text = title.to_owned();
    for (label, value) in bars {
        text.push_str(&format!("；{} {}", label.as_ref(), grouped(*value)));
    }
    text
}

/// The largest value, at least 1 so that it can divide.
fn highest<S>(bars: &[(S, u64)]) -> u64 {
    bars.iter().fold(1, |high, bar| high.max(bar.1))
}

/// `value / max` of `scale` tenths, as a decimal number with one place.
fn tenths(value: u64, max: u64, scale: u64) -> String {
    let tenths = value.saturating_mul(scale) / max.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn percent(done: u64, total: u64) -> u64 {
    done.min(total).saturating_mul(100) / total.max(1)
}

fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn pager_keeps_first_last_and_neighbours() {
        assert_eq!(page_steps(1, 1), [Some(1)]);
        assert_eq!(page_steps(1, 9), [Some(1), Some(2), Some(3), None, Some(9)]);
        assert_eq!(page_steps(2, 3), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn no_page_carries_inline_style_or_script() {
        let all = html! {
            (bar_chart(&[("官渡镇", 3), ("", 0)], "来信")) (column_chart(&[("1月", 0)], "办结"))
            (watermark("甲")) (progress("导入", 7, 5, "")) (pager(2, 3, 50, |page| format!("?p={page}")))
        };
        let text = bare("登录", "某县", "/s.css", all).into_string();
        for banned in [" style=", "<style", "<script", " onclick="] {
            assert!(!text.contains(banned), "{banned}");
        }
    }

    #[test]
    fn numbers_are_grouped_and_shares_bounded() {
        assert_eq!([grouped(0), grouped(999)], ["0", "999"]);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([tenths(1, 3, 1000), tenths(0, 0, 580)], ["33.3", "0.0"]);
        assert_eq!(percent(u64::MAX, 2), 100);
    }

    /// ASVS 1.1.2
    #[test]
    fn words_of_users_are_escaped() {
        let text = pieces(&[(false, "<b>".to_owned()), (true, "赵&钱".to_owned())]).into_string();
        assert_eq!(text, "&lt;b&gt;<mark>赵&amp;钱</mark>");
    }
}
