//! The word book (俗语与法律用语): the table that comes with the program, and what the county adds or takes out.

use maud::{Markup, html};

use crate::base::{ErrorKind, Result};
use crate::records::wordbook::{Entry, Wordbook};
use crate::search::shipped_words;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

const ADDRESS: &str = "/search-words";

/// Shows it.
pub fn show(call: &Call) -> Result<Reply> {
    let (book, may_set) = call.app.wordbook(&call.live()?.actor)?;
    let typed = (book.lines(), book.off.join(" "), book.version.to_string());
    page(call, (&book, may_set), &typed, None).map(Reply::page)
}

/// Sets it.
pub fn set(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    let (own, off, seen) = (call.typed("own"), call.typed("off"), call.typed("seen"));
    match call.app.set_wordbook(actor, (own, off), seen.parse().ok()) {
        Ok(()) => Ok(Reply::Redirect(format!("{ADDRESS}?done=saved"))),
        Err(e) if e.kind() == ErrorKind::Invalid => {
            let (book, may_set) = call.app.wordbook(actor)?;
            let typed = (own.to_owned(), off.to_owned(), seen.to_owned());
            page(call, (&book, may_set), &typed, Some(e.public())).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

fn page(
    call: &Call,
    (book, may_set): (&Wordbook, bool),
    (own, off, seen): &(String, String, String),
    problem: Option<&str>,
) -> Result<Markup> {
    let live = call.live()?;
    let saved = (call.asked("done") == "saved").then(|| (NoticeKind::Ok, "已保存，下一次检索起生效。".to_owned()));
    let outline = Outline {
        title: "俗语与法律用语".into(),
        current: "/search".into(),
        crumbs: vec![("全文检索".to_owned(), "/search".to_owned()), ("俗语与法律用语".to_owned(), String::new())],
        notice: problem.map(|_| (NoticeKind::Bad, "没有保存，请改正下面列出的各行。".to_owned())).or(saved),
        ..Outline::default()
    };
    let content = html! {
        p.muted { "检索词在资料中没有原样出现时，按这里的对应关系一并查找法律用语，帮助排列相近结果；原样出现的结果不受影响。" }
        section.section {
            h2 { "本县词条" span.count { (book.own.len()) } }
            @if let Some(problem) = problem { ul.problems role="alert" {
                @for line in problem.lines() { li { (line) } }
            } }
            @if may_set {
                form.form method="post" action=(ADDRESS) {
                    (view::hidden(live))
                    input type="hidden" name="seen" value=(seen);
                    div.field {
                        label for="own" { "词条" }
                        textarea #own name="own" rows="8" aria-describedby="own-h" spellcheck="false" autofocus {
                            "\n" (own)
                        }
                        p.help #own-h { "每行一条：俗语，法律用语（几个时用顿号隔开），来源或理由。如：跑路，逃匿、转移财产，法规室整理。"
                            "与随附词条相同的俗语以本县词条为准；删去一行即撤销。" }
                    }
                    div.field {
                        label for="off" { "停用的随附词条" }
                        input #off name="off" value=(off) aria-describedby="off-h";
                        p.help #off-h { "随附词条中不适用的俗语，用空格隔开；删去即恢复使用。" }
                    }
                    div.form-bar {
                        button.btn.btn-primary type="submit" data-key="save" accesskey="s" { (Icon::Check.svg()) "保存" }
                    }
                }
            } @else if book.own.is_empty() {
                p.muted { "还没有本县词条。由有权维护法律法规的室（调研法规室）在这里增加。" }
            } @else {
                (table(book.own.iter().map(row)))
            }
        }
        (shipped(call, book))
    };
    view::framed(&call.app, live, outline, content)
}

fn row(entry: &Entry) -> (String, String, Markup) {
    (entry.word.clone(), entry.terms.join("、"), html! { (entry.source) })
}

fn table(rows: impl Iterator<Item = (String, String, Markup)>) -> Markup {
    html! {
        table.table {
            thead { tr { th { "俗语" } th { "法律用语" } th { "说明" } } }
            tbody { @for (word, terms, note) in rows { tr { td { (word) } td { (terms) } td { (note) } } } }
        }
    }
}

/// The table that comes with the program, or the rows of it that hold a text.
fn shipped(call: &Call, book: &Wordbook) -> Markup {
    let wanted = call.asked("word");
    let rows: Vec<(&str, Vec<&str>)> =
        shipped_words().filter(|(w, terms)| w.contains(&wanted) || terms.iter().any(|t| t.contains(&wanted))).collect();
    let note = |word: &str| {
        let own = book.own.iter().any(|e| e.word == word);
        html! {
            @if book.off.iter().any(|w| w == word) { (layout::chip(ChipKind::Plain, "已停用")) }
            @else if own { (layout::chip(ChipKind::Plain, "以本县词条为准")) }
        }
    };
    html! {
        section.section {
            h2 { "随附词条" span.count { (rows.len()) } }
            p.muted { "来源：随程序提供，依通行法律用语编写，未逐条核对。不适用的请停用，或用本县词条代替。" }
            form.filters method="get" action=(ADDRESS) {
                label.grow { span.sr { "查找词条" }
                    input name="word" value=(wanted) maxlength="20" placeholder="查找俗语或法律用语"; }
                button.btn type="submit" { "查找" }
            }
            @if rows.is_empty() { p.muted { "没有含“" (wanted) "”的随附词条。" } }
            @else { (table(rows.iter().map(|(word, terms)| ((*word).to_owned(), terms.join("、"), note(word))))) }
        }
    }
}
