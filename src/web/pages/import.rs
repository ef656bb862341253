//! Imports (导入): a file is chosen, looked at, its columns are put right, it is checked, it comes in. The page of an
//! import shows where it stands; while work runs it refreshes itself, and it can be left and found again.

mod papers;
mod results;
mod table;

use maud::{Markup, html};

use crate::app::import::What;
use crate::app::import::desk::{Job, Settings, Stage, State};
use crate::app::{Right, Scope};
use crate::base::{Error, ErrorKind, Result};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::multipart::TEXT_ENDS;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Seconds after which a page of running work is asked for again.
const REFRESH_S: u32 = 1;

/// The page to choose a file on, with the imports that wait.
pub fn choose(call: &Call) -> Result<Reply> {
    choose_page(call, None).map(Reply::page)
}

/// Takes the files.
pub fn begin(call: &Call) -> Result<Reply> {
    let what = asked(call).or_else(|e| call.discard_files().and(Err(e)))?;
    if let Some(problem) = &call.file_problem {
        call.discard_files()?;
        return choose_page(call, Some(problem)).map(Reply::again);
    }
    match call.app.import_begin(&call.live()?.actor, what, &call.files) {
        Ok(token) => Ok(Reply::Redirect(format!("/import/{token}"))),
        Err(e) if e.kind() == ErrorKind::Invalid => choose_page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// One import, wherever it stands.
pub fn show(call: &Call) -> Result<Reply> {
    let job = call.app.import_job(&call.live()?.actor, call.param("token"))?;
    match call.asked("paper").parse::<usize>() {
        Ok(place) => papers::page(call, &job, place, None).map(Reply::page),
        Err(_) => job_page(call, &job, None).map(Reply::page),
    }
}

/// What a button of the page asks for.
pub fn act(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    let token = call.param("token");
    let job = call.app.import_job(actor, token)?;
    let here = format!("/import/{token}");
    let done = match call.typed("do") {
        "stop" => {
            call.app.import_stop(&job);
            Ok(here)
        }
        "drop" => call.app.import_drop(actor, token).map(|()| address(job.what)),
        _ if !call.typed("paper").is_empty() => return papers::correct(call, &job),
        step => call.app.import_settings(actor, &job, settings(call)).and_then(|look_first| match step {
            "check" | "run" if !look_first => {
                call.app.import_run(actor, &job, step == "check").map(|()| here)
            }
            _ => Ok(here),
        }),
    };
    match done {
        Ok(to) => Ok(Reply::Redirect(to)),
        Err(e) if e.kind() == ErrorKind::Invalid => job_page(call, &job, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// The refused rows as a workbook.
pub fn failed(call: &Call) -> Result<Reply> {
    let job = call.app.import_job(&call.live()?.actor, call.param("token"))?;
    let name = format!("未导入的行-{}.xlsx", job.name().rsplit_once('.').map_or("台账", |(stem, _)| stem));
    Ok(Reply::Bytes(name, call.app.import_failed(&job)?))
}

fn asked(call: &Call) -> Result<What> {
    let wanted = match call.typed("what") {
        "" => call.asked("what"),
        typed => typed.to_owned(),
    };
    let may =
        |what: What| call.live().is_ok_and(|l| l.actor.scope(what.kind(), Right::Create) > Scope::Nothing);
    let both = [What::Petitions, What::Regulations];
    let chosen = both.into_iter().find(|w| w.kind().name == wanted && may(*w));
    chosen.or_else(|| both.into_iter().find(|w| may(*w))).ok_or_else(Error::denied)
}

fn address(what: What) -> String {
    format!("/import?what={}", what.kind().name)
}

fn settings(call: &Call) -> Settings {
    let columns = (0..).map_while(|n| {
        let typed = call.typed(&format!("column.{n}"));
        (!typed.is_empty()).then(|| typed.to_owned())
    });
    Settings {
        sheet: call.typed("sheet").parse().unwrap_or(0),
        targets: columns.collect(),
        unit: call.typed("unit").to_owned(),
        source: call.typed("source").to_owned(),
    }
}

fn outline(title: String, what: What) -> Outline {
    Outline {
        title,
        tab: Some("导入".into()),
        current: format!("/{}", what.kind().name),
        crumbs: vec![
            ("工作台".into(), "/".into()),
            (what.kind().label.into(), format!("/{}", what.kind().name)),
            ("导入".into(), String::new()),
        ],
        ..Outline::default()
    }
}

fn choose_page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let what = asked(call)?;
    let mut outline = outline(format!("导入{}", what.kind().label), what);
    outline.notice = problem.map(|p| (NoticeKind::Bad, p.to_owned()));
    outline.actions = Some(html! { a.btn href="/batch" { "导入批次" } });
    let jobs = call.app.import_jobs(&live.actor);
    let (accept, help, many) = match what {
        What::Petitions => (
            ".xlsx,.xls,.csv,.jsonl",
            "可导入 xlsx、xls、csv（UTF-8 或 GBK）、jsonl。先看列对照和预检结果，确认后才会保存；导入后可以整批撤销。",
            false,
        ),
        What::Regulations => (
            ".docx,.md,.txt,.html,.htm,.pdf,.jsonl",
            "可一次选多个 docx、md、txt、html、pdf（带文字层），或一个 jsonl。自动识别标题、文号、章节和条文，确认后才会保存。",
            true,
        ),
    };
    view::framed(
        &call.app,
        live,
        outline,
        html! {
            form.form method="post" action="/import" enctype="multipart/form-data" {
                (view::hidden(live))
                input type="hidden" name="what" value=(what.kind().name);
                input type="hidden" name=(TEXT_ENDS) value="1";
                fieldset {
                    legend { "选择文件" }
                    div.field.wide {
                        label for="f-file" { "文件" }
                        input #f-file type="file" name="file" accept=(accept) multiple[many] required autofocus
                            aria-describedby="f-file-h";
                        p.help #f-file-h { (help) }
                    }
                }
                div.form-bar { button.btn.btn-primary type="submit" accesskey="s" { "上传并查看" } }
            }
            @if !jobs.is_empty() {
                section.section {
                    h2 { "我的导入" span.count { (jobs.len()) } }
                    ul.lines { @for (token, job) in &jobs {
                        li {
                        a.grow href=(format!("/import/{token}")) { (job.name()) }
                        span { (stage_word(&job.state().stage)) }
                    }
                    } }
                }
            }
        },
    )
}

fn stage_word(stage: &Stage) -> &'static str {
    match stage {
        Stage::Looking => "正在读取",
        Stage::Ready => "待确认",
        Stage::Running { dry_run: true, .. } => "正在预检",
        Stage::Running { .. } => "正在导入",
        Stage::Checked(_) => "已预检",
        Stage::Done(_) => "已导入",
        Stage::Failed(_) => "未完成",
    }
}

fn job_page(call: &Call, job: &Job, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let state = job.state();
    let mut outline = outline(job.name(), job.what);
    outline.notice = problem.map(|p| (NoticeKind::Bad, p.to_owned()));
    if let (None, Stage::Failed(why)) = (problem, &state.stage) {
        outline.notice = Some((NoticeKind::Bad, why.clone()));
    }
    let token = call.param("token");
    let content = match &state.stage {
        Stage::Looking => html! {
            (refresh())
            section.section {
                h2 { "正在读取文件" }
                (layout::progress("读取", 0, 0, "可以离开本页，稍后从“导入”回来"))
                (stop(live, token))
            }
        },
        Stage::Running { dry_run, since, done, total } => {
            let seconds = call.app.now().seconds_since(*since).max(1).unsigned_abs();
            running(live, token, *dry_run, (*done, *total, seconds))
        }
        Stage::Done(summary) => results::done(live, token, job.what, summary),
        Stage::Ready | Stage::Checked(_) | Stage::Failed(_) => deciding(call, job, &state)?,
    };
    view::framed(&call.app, live, outline, content)
}

fn refresh() -> Markup {
    html! { meta http-equiv="refresh" content=(REFRESH_S); }
}

fn running(live: &crate::app::session::Live, token: &str, dry_run: bool, at: (u64, u64, u64)) -> Markup {
    let (done, total, seconds) = at;
    let left = (total.saturating_sub(done) * seconds).checked_div(done);
    let left = left.map_or(String::new(), |s| format!(" · 约剩 {s} 秒"));
    let words = format!("{} / {} 行{left}", layout::grouped(done), layout::grouped(total));
    html! {
        (refresh())
        section.section {
            h2 { (if dry_run { "正在预检，不保存任何内容" } else { "正在导入" }) }
            (layout::progress(if dry_run { "预检" } else { "导入" }, done, total, &words))
            p.help { "可以离开本页，稍后从“导入”回来。全部完成之前，其他人看不到这一批。" }
            (stop(live, token))
        }
    }
}

fn stop(live: &crate::app::session::Live, token: &str) -> Markup {
    html! {
        form method="post" action=(format!("/import/{token}")) {
            (view::hidden(live))
            button.btn type="submit" name="do" value="stop" { "停止，不保留" }
        }
    }
}

fn deciding(call: &Call, job: &Job, state: &State) -> Result<Markup> {
    let (live, token) = (call.live()?, call.param("token"));
    let nothing = state.sheets.is_empty() && state.papers.is_empty() && state.totals.iter().sum::<u64>() == 0;
    if nothing {
        let again = html! { a.btn href=(address(job.what)) { "重新选择文件" } };
        return Ok(layout::empty(Icon::Empty, "文件里没有可以导入的内容。", again));
    }
    let checked = match &state.stage {
        Stage::Checked(summary) => Some(summary),
        _ => None,
    };
    Ok(html! {
        @for note in &state.notes { (layout::notice(NoticeKind::Info, note)) }
        @if let Some(summary) = checked { (results::checked(token, summary)) }
        form.form method="post" action=(format!("/import/{token}")) {
            (view::hidden(live))
            (table::settings(call, job, state)?)
            @if !state.sheets.is_empty() { (table::columns(state)) }
            @if !state.papers.is_empty() { (papers::list(call, &state.papers)?) }
            div.form-bar {
                @if checked.is_some() {
                    button.btn.btn-primary type="submit" name="do" value="run" accesskey="s" { "确认导入" }
                    button.btn type="submit" name="do" value="check" { "重新预检" }
                } @else {
                    button.btn.btn-primary type="submit" name="do" value="check" accesskey="s" { "预检（不保存）" }
                    button.btn type="submit" name="do" value="run" { "直接导入" }
                }
                button.btn.btn-link type="submit" name="do" value="drop" { "放弃" }
            }
        }
    })
}
