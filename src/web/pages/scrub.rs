//! The scrubber on the page of backups: what it saw last, how far it is, and a button to start it.

use maud::{Markup, html};

use crate::base::{ErrorKind, Moment, Result};
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind};
use crate::web::respond::Reply;
use crate::web::view;

/// Begins a scrub now.
pub fn run(call: &Call) -> Result<Reply> {
    match call.app.scrub_now(&call.live()?.actor) {
        Ok(()) => Ok(Reply::Redirect("/backup?done=scrub".into())),
        // It runs already, which is what was asked for.
        Err(e) if e.kind() == ErrorKind::Busy => Ok(Reply::Redirect("/backup".into())),
        Err(e) => Err(e),
    }
}

/// What the last one saw.
pub(super) fn section(call: &Call) -> Result<Markup> {
    let (live, last, running) = (call.live()?, call.app.scrubbed()?, call.app.scrub_progress());
    Ok(html! {
        section.section {
            h2 { "数据自检" }
            @match &last {
                None => p.help { "每周自动核对一次全部记录、日志、附件和检索索引。还没有做过。" },
                Some(last) => {
                    (layout::props(&[
                        ("最近一次", html! { (Moment(last.at)) " "
                            @if last.problems.is_empty() { (layout::chip(ChipKind::Ok, "全部完好")) }
                            @else { (layout::chip(ChipKind::Bad, "有问题")) }
                        }),
                        ("核对内容", html! { "记录 " (layout::grouped(last.records)) " 条，日志 " (layout::grouped(last.entries))
                            " 条，附件 " (layout::grouped(last.files)) " 个" }),
                        ("清除", html! { "无主的已加密上传 " (layout::grouped(last.removed)) " 个" }),
                    ]))
                    @if !last.problems.is_empty() {
                        p { "共 " (layout::grouped(last.wrong)) " 处：" }
                        ul { @for line in &last.problems { li { (line) } } }
                    }
                }
            }
            @if let Some(read) = running {
                (layout::progress("正在自检", 0, 0, &format!("已核对 {} 项，可以离开本页", layout::grouped(read))))
            } @else if live.actor.is("sysadmin") {
                form.form-bar method="post" action="/backup/scrub" {
                    (view::hidden(live)) button.btn type="submit" { "立即自检" }
                }
            }
        }
    })
}
