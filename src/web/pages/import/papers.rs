//! Regulations that come in as documents: what was recognised of each, and the page to correct it.

use maud::{Markup, html};

use crate::app::import::desk::Job;
use crate::app::import::papers::{Correction, Paper};
use crate::base::{Error, ErrorKind, Result};
use crate::foreign::statute;
use crate::records::regulation;
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view;

/// Fields of the cover that can be corrected.
const COVER: [&str; 7] = ["title", "number", "issuer", "level", "published", "effective", "status"];

/// One line a document.
pub(super) fn list(call: &Call, papers: &[Paper]) -> Result<Markup> {
    let token = call.param("token");
    let actor = &call.live()?.actor;
    let known = |paper: &Paper| call.app.versions_of(actor, &paper.statute.title);
    let known: Vec<usize> = papers.iter().map(known).collect::<Result<_>>()?;
    Ok(html! {
        section.section {
            h2 { "识别结果" span.count { (papers.len()) " 份" } }
            div.table-wrap { table.list {
                thead { tr {
                    @for head in ["标题", "文号", "制定机关", "公布", "条文", "提示"] { th scope="col" { (head) } }
                } }
                tbody { @for (n, paper) in papers.iter().enumerate() { tr {
                    td.clip title=(paper.statute.title) {
                        a.row-link href=(format!("/import/{token}?paper={n}")) { (paper.statute.title) }
                        @if paper.left_out { (layout::chip(ChipKind::Plain, "不导入")) }
                    }
                    td.nowrap { (paper.statute.number) }
                    td { (paper.statute.issuer) }
                    td.nowrap { (paper.statute.published) }
                    td.nowrap { (paper.statute.articles.len()) }
                    td {
                        @if paper.problem.is_empty() { (paper.statute.remarks.join("；")) }
                        @else { (layout::chip(ChipKind::Bad, "读不出")) " " (paper.problem) }
                        @if known[n] > 0 && !paper.left_out {
                            " " (layout::chip(ChipKind::Warn, "已有同名")) " 已有同名法规 " (known[n])
                            " 部，导入后互列为其他版本；重复的请选不导入"
                        }
                    }
                } } }
            } }
        }
    })
}

/// The page to correct one document.
pub(super) fn page(call: &Call, job: &Job, place: usize, problem: Option<&str>) -> Result<Markup> {
    let (live, state) = (call.live()?, job.state());
    let paper = state.papers.get(place).ok_or_else(Error::denied)?;
    let mut outline = super::outline(paper.file.clone(), job.what);
    outline.notice = problem.map(|p| (NoticeKind::Bad, p.to_owned()));
    let back = format!("/import/{}", call.param("token"));
    let text = match call.typed("text") {
        "" => statute::text(&paper.statute),
        typed => typed.to_owned(),
    };
    view::framed(
        &call.app,
        live,
        outline,
        html! {
            @for remark in &paper.statute.remarks { (layout::notice(NoticeKind::Warn, remark)) }
            form.form method="post" action=(back) {
                (view::hidden(live))
                input type="hidden" name="paper" value=(place);
                fieldset {
                    legend { "基本信息" }
                    div.fields { @for name in COVER { (cover(name, paper)) } }
                    label.check {
                        input type="checkbox" name="leave_out" value="1" checked[paper.left_out];
                        " 不导入这一份"
                    }
                }
                fieldset {
                    legend { "正文（" (paper.statute.articles.len()) " 条）" }
                    div.field.wide {
                        label for="f-text" { "章、节、条各从一行开始；改动后按保存重新识别" }
                        textarea #f-text name="text" rows="24" { "\n" (text) }
                    }
                }
                div.form-bar {
                    button.btn.btn-primary type="submit" name="do" value="correct" accesskey="s" { "保存" }
                    @if place + 1 < state.papers.len() {
                        button.btn type="submit" name="next" value="1" { "保存并看下一份" }
                    }
                    a.btn.btn-link href=(back) { "返回" }
                }
            }
        },
    )
}

fn cover(name: &str, paper: &Paper) -> Markup {
    let s = &paper.statute;
    let value = match name {
        "title" => &s.title,
        "number" => &s.number,
        "issuer" => &s.issuer,
        "level" => &s.level,
        "published" => &s.published,
        "effective" => &s.effective,
        _ => &s.status,
    };
    let label = regulation::KIND.field_named(name).map_or(name, |f| f.label);
    html! {
        div.field {
            label for=(format!("f-{name}")) { (label) }
            input id=(format!("f-{name}")) name=(name) value=(value);
        }
    }
}

/// Takes the corrections.
pub(super) fn correct(call: &Call, job: &Job) -> Result<Reply> {
    let place = call.typed("paper").parse().map_err(|_| Error::denied())?;
    let cover = COVER.iter().map(|name| ((*name).to_owned(), call.typed(name).to_owned())).collect();
    let leave_out = !call.typed("leave_out").is_empty();
    let correction = Correction { cover, text: call.typed("text").to_owned(), leave_out };
    match call.app.import_correct(job, place, correction) {
        Ok(()) => {
            let token = call.param("token");
            let next = !call.typed("next").is_empty();
            let to = if next {
                format!("/import/{token}?paper={}", place + 1)
            } else {
                format!("/import/{token}")
            };
            Ok(Reply::Redirect(to))
        }
        Err(e) if e.kind() == ErrorKind::Invalid => {
            page(call, job, place, Some(e.public())).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}
