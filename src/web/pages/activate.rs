//! The page behind an activation link: one of the three administrators makes a password and sets up the second factor,
//! in one form.

use maud::{Markup, html};

use super::factor::{codes_sheet, how};
use crate::app::setup::activation::Given;
use crate::base::{ErrorKind, Result};
use crate::records::account::ROLES;
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view;

/// The form.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Takes password and first code; the recovery codes, once.
pub fn activate(call: &Call) -> Result<Reply> {
    let (password, code, carried) = (call.text("new"), call.text("code"), carried(call));
    if password != call.text("again") {
        // Whoever has no link learns nothing else either.
        return page(call, Some("两次输入的口令不一致，没有启用。")).map(Reply::again);
    }
    match call.app.activate(call.param("token"), Given { carried, password, code }) {
        Ok(done) => {
            let content = html! {
                (layout::notice(NoticeKind::Ok, "账户已激活：口令和动态码只有您本人知道。初始化完成后，用它们登录。"))
                (codes_sheet((&done.name, &done.login), call.app.now(), &done.codes))
                div.form-bar { a.btn.btn-primary href="/login" { "已保存，去登录页" } }
            };
            Ok(Reply::page(view::bare_wide(&call.app, "账户已激活", content)))
        }
        Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Busy) => {
            page(call, Some(e.public())).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

/// The secret that the form carried, and its seal.
fn carried(call: &Call) -> (&str, &str) {
    (call.typed("secret"), call.typed("seal"))
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let invited = call.app.invitation(call.param("token"), Some(carried(call)))?;
    let who = [
        ("姓名", html! { (invited.name) }),
        ("登录名", html! { b.mono { (invited.login) } }),
        ("职责", html! { (ROLES.label(invited.role)) }),
    ];
    let how = how(&invited.secret)?;
    let password = |id: &'static str, label: &'static str, focus: bool| html! {
        div.field { label for=(id) { (label) " " em.req title="必填" { "*" } }
            input id=(id) type="password" name=(id) autocomplete="new-password" required autofocus[focus]; }
    };
    Ok(view::bare_wide(&call.app, "激活管理员账户", html! {
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        p { "请核对是您本人，再设置自己的口令、启用动态码。口令不告诉任何人，包括发链接的人。链接只能用一次。" }
        (layout::props(&who))
        form.form method="post" action=(call.path) autocomplete="off" {
            input type="hidden" name="secret" value=(invited.carried.0);
            input type="hidden" name="seal" value=(invited.carried.1);
            input type="text" name="username" value=(invited.login) autocomplete="username" hidden;
            fieldset {
                legend { "一、自己的口令" }
                p.help { "至少 10 位，同时包含字母、数字和特殊字符，不能包含登录名，不能是常见口令（管理办法第十五条）。" }
                div.fields { (password("new", "口令", true)) (password("again", "再输一次口令", false)) }
            }
            fieldset {
                legend { "二、动态码（第二种鉴别方式）" }
                (how)
                div.field {
                    label for="code" { "动态码 " em.req title="必填" { "*" } }
                    input #code.short name="code" autocomplete="one-time-code" inputmode="numeric" maxlength="12"
                        required;
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "激活账户" } }
        }
    }))
}
