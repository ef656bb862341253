//! Regulations on their pages: table of contents, articles with what they cite as links, what cites them, versions, and
//! two versions side by side.

use maud::{Markup, html};

use crate::app::record::Opened;
use crate::app::regulation::{Contents, Links, words};
use crate::app::versions::{Marked, changes, is_cut};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::cite::{Citation, No, citations};
use crate::records::{Kind, Record, article, regulation};
use crate::web::guard::Call;
use crate::web::layout;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Most links in the text of one page.
const LINKS: usize = 500;

/// The number of an article that an address asks for: where it stands, so that a citation can lead to it. Without such
/// an article, to the actor's eyes, the address is that of the regulation.
pub(super) fn asked(call: &Call) -> Result<Option<Reply>> {
    let (kind, asked) = (call.kind()?, call.asked("no"));
    if kind.tag != regulation::KIND.tag || asked.is_empty() {
        return Ok(None);
    }
    let (first, sub) = asked.split_once('-').unwrap_or((&asked, "0"));
    let id = call.id()?;
    let no = first.parse().ok().zip(sub.parse().ok());
    let contents = call.app.contents(&call.live()?.actor, id)?;
    let place = no.and_then(|no: No| contents.place(no));
    Ok(place.map(|(at, page)| Reply::Redirect(address(id, at, page))))
}

fn address(of: RecordId, at: RecordId, page: usize) -> String {
    format!("/regulation/{of}?page={page}&at={at}#a{at}")
}

/// Versions of a regulation, the newest first.
pub(super) fn versions(kind: &Kind, opened: &Opened) -> Markup {
    html! {
        @if !opened.versions.is_empty() {
            section.section {
                h2 { "其他版本" span.count { (opened.versions.len()) } }
                ul.lines { @for v in &opened.versions { li {
                    a.grow href=(format!("/{}/{}", kind.name, v.id)) { (kind.title_of(v)) }
                    @if kind.flow.is_void(v.state) { (view::state_chip(kind, v.state)) }
                    span.muted { (v.fields.display(kind.fields, regulation::tag::NUMBER)) }
                    span.muted { (v.fields.display(kind.fields, regulation::tag::STATUS)) }
                    span.when { (kind.day_of(v)) }
                    a.no-print href=(format!("/{}/{}/beside/{}", kind.name, opened.record.id, v.id)) { "对照" }
                } } }
            }
        }
    }
}

/// The articles of a regulation, those of the page asked for, with the table of contents beside them.
pub(super) fn articles(call: &Call, opened: &Opened) -> Result<Markup> {
    if opened.children_total == 0 {
        return Ok(html! {});
    }
    let (actor, of) = (&call.live()?.actor, opened.record.id);
    let page = call.asked("page").parse::<u64>().unwrap_or(1);
    let pages = opened.children_total.div_ceil(limits::CHILD_ROWS as u64);
    let turn = layout::pager(page, pages, opened.children_total, |n| format!("{}?page={n}", call.path));
    let contents = call.app.contents(actor, of)?;
    let links = call.app.links(actor, opened.children.iter().map(words))?;
    let at = call.asked("at").parse().ok().map(RecordId);
    let near = at.map_or([None; 2], |at| contents.neighbours(at));
    let mut chapter = "";
    let mut left = LINKS;
    Ok(html! {
        div.statute.has-toc[!contents.headings.is_empty()] {
            (toc(of, &contents))
            section.section {
                h2 { "条文" span.count { (opened.children_total) } }
                @if pages > 1 { (turn) }
                @for row in &opened.children {
                    @let here = row.fields.text(article::tag::CHAPTER);
                    @if here != chapter && !here.is_empty() { h3.block-head { ({ chapter = here; here }) } }
                    @let marked = at == Some(row.id);
                    article.article.hit-here[marked].near[near.contains(&Some(row.id))] id=(format!("a{}", row.id)) {
                        h3.no { a href=(format!("/article/{}", row.id)) { (row.fields.text(article::tag::NO)) } }
                        div.text { (linked(words(row), &links, (of, &contents), &mut left)) }
                    }
                }
                @if pages > 1 { (turn) }
            }
        }
    })
}

fn toc(of: RecordId, contents: &Contents) -> Markup {
    html! {
        @if !contents.headings.is_empty() {
            nav.toc aria-label="目录" {
                h2 { "目录" }
                ol { @for h in &contents.headings {
                    li class=(format!("toc-{}", h.level)) {
                        a href=(format!("/regulation/{of}?page={}#a{}", h.page, h.first)) { (h.name) }
                    }
                } }
            }
        }
    }
}

/// Where a citation leads, where that can be seen.
fn target(c: &Citation, links: &Links, (of, contents): (RecordId, &Contents)) -> Option<String> {
    match (&c.title, c.no) {
        (Some(title), None) => links.regulation(title).map(|id| format!("/regulation/{id}")),
        (Some(title), Some((no, 0))) => links.regulation(title).map(|id| format!("/regulation/{id}?no={no}")),
        (Some(title), Some((no, sub))) => links.regulation(title).map(|id| format!("/regulation/{id}?no={no}-{sub}")),
        (None, Some(no)) => contents.place(no).map(|(id, page)| address(of, id, page)),
        (None, None) => None,
    }
}

/// A text whose citations are links.
fn linked(text: &str, links: &Links, own: (RecordId, &Contents), left: &mut usize) -> Markup {
    let mut pieces = Vec::new();
    let mut from = 0;
    for c in citations(text) {
        if let Some(to) = target(&c, links, own).filter(|_| *left > 0) {
            *left -= 1;
            pieces.push((&text[from..c.range.start], None));
            pieces.push((&text[c.range.clone()], Some(to)));
            from = c.range.end;
        }
    }
    pieces.push((&text[from..], None));
    html! { @for (piece, to) in pieces {
        @if let Some(to) = to { a href=(to) { (piece) } } @else { (piece) }
    } }
}

/// What cites a regulation, or, on the page of an article, that article; and its neighbours there.
pub(super) fn around(call: &Call, kind: &Kind, record: &Record) -> Result<Markup> {
    if kind.tag == regulation::KIND.tag && !record.is_purged() {
        return Ok(cited_by(&call.app.citing(&call.live()?.actor, record.id, None)?));
    }
    let Some((of, _)) = kind.parent_of(record).filter(|_| kind.tag == article::KIND.tag) else { return Ok(html! {}) };
    let actor = &call.live()?.actor;
    let contents = call.app.contents(actor, of)?;
    let Some(page) = contents.page_of(record.id) else { return Ok(html! {}) };
    let citing = call.app.citing(actor, of, Some(record))?;
    let links = call.app.links(actor, std::iter::once(words(record)))?;
    let cited = cited(words(record), &links, (of, &contents));
    let [before, behind] = contents.neighbours(record.id);
    Ok(html! {
        section.section {
            h2 { "在法规中" }
            p.row-links {
                @if let Some(id) = before { a.btn.btn-small href=(format!("/article/{id}")) { "上一条" } " " }
                a.btn.btn-small href=(address(of, record.id, page)) { "查看前后条文" }
                @if let Some(id) = behind { " " a.btn.btn-small href=(format!("/article/{id}")) { "下一条" } }
            }
        }
        (cited)
        (cited_by(&citing))
    })
}

/// What an article cites, as a list: its text stands above among its fields.
fn cited(text: &str, links: &Links, own: (RecordId, &Contents)) -> Markup {
    let mut all: Vec<(String, String)> = Vec::new();
    for c in citations(text) {
        let Some(to) = target(&c, links, own).filter(|to| all.iter().all(|(seen, _)| seen != to)) else { continue };
        let title = c.title.filter(|_| c.no.is_some()).map_or(String::new(), |title| format!("《{title}》"));
        all.push((to, format!("{title}{}", &text[c.range])));
    }
    all.truncate(LINKS);
    html! {
        @if !all.is_empty() {
            section.section #cites {
                h2 { "引用" span.count { (all.len()) } }
                ul.lines { @for (to, words) in &all { li { a.grow href=(to) { (words) } } } }
            }
        }
    }
}

fn cited_by(citing: &[Record]) -> Markup {
    html! {
        @if !citing.is_empty() {
            section.section #cited-by {
                h2 { "被引用" span.count { (citing.len()) } }
                ul.lines { @for a in citing { li {
                    a.grow href=(format!("/article/{}", a.id)) { (article::KIND.title_of(a)) }
                    (view::status_chip(&article::KIND, a))
                } } }
            }
        }
    }
}

/// Two versions side by side.
pub fn beside(call: &Call) -> Result<Reply> {
    let (kind, id, live) = (call.kind()?, call.id()?, call.live()?);
    if kind.tag != regulation::KIND.tag {
        return Err(Error::denied());
    }
    let other = call.param("other").parse().map(RecordId).map_err(|_| Error::denied())?;
    let page = call.asked("page").parse::<usize>().unwrap_or(1).max(1);
    let shown = call.app.beside(&live.actor, [id, other], page)?;
    let title = kind.title_of(&shown.new);
    let outline = Outline {
        title: "版本对照".into(),
        tab: Some(title.clone()),
        current: "/regulation".into(),
        crumbs: vec![
            (kind.label.into(), "/regulation".into()),
            (title, format!("/regulation/{id}")),
            ("版本对照".into(), String::new()),
        ],
        ..Outline::default()
    };
    let (page, pages) = (page.min(shown.pages) as u64, shown.pages as u64);
    let total = shown.counts.iter().sum::<usize>() as u64;
    let turn = layout::pager(page, pages, total, |n| format!("{}?page={n}", call.path));
    let [same, changed, new, gone] = shown.counts;
    let content = html! {
        section.section {
            p.muted { "修改 " (changed) " 条，新增 " (new) " 条，删去 " (gone) " 条，未变 " (same) " 条。" }
            @if pages > 1 { (turn) }
            table.beside {
                thead { tr { @for version in [&shown.old, &shown.new] { th scope="col" { (version_head(version)) } } } }
                tbody { @for (old, new) in &shown.rows { (row(old.as_ref(), new.as_ref())) } }
            }
            @if pages > 1 { (turn) }
        }
    };
    view::reply(&call.app, live, outline, content)
}

fn version_head(version: &Record) -> Markup {
    let kind = &regulation::KIND;
    html! {
        a href=(format!("/regulation/{}", version.id)) { (kind.title_of(version)) }
        div.muted { (kind.day_of(version)) " " (view::status_chip(kind, version)) }
    }
}

fn row(old: Option<&Record>, new: Option<&Record>) -> Markup {
    let (left, right) = match (old, new) {
        (Some(old), Some(new)) => changes(words(old), words(new)),
        (old, new) => {
            let whole = |a: Option<&Record>| a.map_or_else(Vec::new, |a| changes(words(a), words(a)).0);
            (whole(old), whole(new))
        }
    };
    let class = match (old, new) {
        (Some(_), None) => "gone",
        (None, _) => "new",
        _ => "",
    };
    html! { tr class=(class) { (cell(old, &left, "本版没有")) (cell(new, &right, "已删去")) } }
}

fn cell(article: Option<&Record>, text: &Marked, none: &str) -> Markup {
    html! { td {
        @match article {
            None => span.muted { (none) },
            Some(a) => {
                h3.no { a href=(format!("/article/{}", a.id)) { (a.fields.text(article::tag::NO)) } }
                div.text {
                    @for (changed, piece) in text { @if *changed { mark { (piece) } } @else { (piece) } }
                    @if is_cut(words(a)) { span.muted { "……（以下未显示，全文见该条页面）" } }
                }
            }
        }
    } }
}
