//! The form by which petitioners are looked for, for whoever may open their identity; the results are those of a
//! search.

use maud::{Markup, html};

use super::{proof, search};
use crate::app::search::Query;
use crate::base::{ErrorKind, Result, limits};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout;
use crate::web::respond::Reply;
use crate::web::view;

/// Takes the question and its reason.
pub fn ask(call: &Call) -> Result<Reply> {
    let (live, reason) = (call.live()?, call.typed("reason"));
    let text: String = call.typed("text").chars().take(limits::QUERY_CHARS).collect();
    match call.app.proving(live, &call.own, |actor| call.app.look_for_petitioner(actor, &text, reason)) {
        Ok(()) => {
            let id = call.app.remember_search(live, Query { text, identity: true, ..Query::default() })?;
            Ok(Reply::Redirect(format!("/search/{id}")))
        }
        Err(e) if e.kind() == ErrorKind::Invalid => search::begin(call, None, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// The form, closed until somebody wants it; nothing for whoever may not.
pub(super) fn form(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    if !call.app.may_look_for_petitioners(&live.actor) {
        return Ok(html! {});
    }
    Ok(html! {
        details.section.no-print open[problem.is_some()] {
            summary { "按检举控告人查找" }
            @if let Some(problem) = problem { (layout::notice(layout::NoticeKind::Bad, problem)) }
            form.form.inline-form method="post" action="/search/identity" {
                (view::hidden(live))
                div.field {
                    label for="petitioner" { "姓名、电话、证件号或地址 " em.req title="必填" { "*" } }
                    input #petitioner name="text" required maxlength="200" autocomplete="off"
                        value=(call.typed("text"));
                }
                div.field {
                    label for="petitioner-reason" { "查找理由（记入日志，审计员可见） " em.req title="必填" { "*" } }
                    input #petitioner-reason name="reason" required maxlength="200" value=(call.typed("reason"));
                }
                (proof::in_line(call, "petitioner")?)
                button.btn type="submit" { (Icon::Lock.svg()) "查找" }
            }
            p.help { "只列出您有权查看检举控告人信息的信访件，结果中不显示检举控告人信息；打开信访件后仍须写明理由才能查看。" }
        }
    })
}
