//! One's own password, and one-time passwords for others.

use maud::html;

use crate::base::{ErrorKind, Result};
use crate::records::account;
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The form for one's own.
pub fn form(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Changes one's own.
pub fn change(call: &Call) -> Result<Reply> {
    let text = |name: &str| call.raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    if text("new") != text("again") {
        return page(call, Some("两次输入的新口令不一致。")).map(Reply::again);
    }
    match call.app.change_password(&call.live()?.actor, text("old"), text("new")) {
        Ok(()) => Ok(Reply::Redirect("/?done=password".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// Shows a new one-time password, once.
pub fn reset(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    if call.kind()?.tag != account::KIND.tag {
        return Err(crate::base::Error::denied());
    }
    let password = call.app.reset_password(&live.actor, call.id()?)?;
    let record = call.app.open_record(&live.actor, &account::KIND, call.id()?, 0)?.record;
    let outline = Outline {
        title: "一次性口令".into(),
        crumbs: vec![("账户".into(), "/account".into()), ("一次性口令".into(), String::new())],
        current: "/account".into(),
        ..Outline::default()
    };
    view::reply(&call.app, live, outline, html! {
        section.section {
            h2 { (record.fields.text(account::tag::NAME)) "（" (record.fields.text(account::tag::LOGIN)) "）" }
            p { "一次性口令：" b.mono { (password) } }
            p.help { "只显示这一次，请当面交给本人。本人首次登录时必须改成自己的口令。" }
            p.help { "账户的角色须由安全保密管理员（重新）授予后才能使用。" }
            p { a.btn.btn-primary href=(format!("/account/{}", record.id)) { "已交给本人" } }
        }
    })
}

fn page(call: &Call, problem: Option<&str>) -> Result<maud::Markup> {
    let live = call.live()?;
    let content = html! {
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        form.form.form-narrow method="post" action="/password" {
            (view::hidden(live))
            // For password managers: whose password this is.
            input type="text" name="username" value=(live.actor.login) autocomplete="username" hidden;
            fieldset {
                legend { "修改口令" }
                p.help { "至少 10 位，同时包含字母、数字和特殊字符，不能包含登录名。" }
                div.fields {
                    div.field { label for="old" { "原口令" }
                        input #old type="password" name="old" autocomplete="current-password" required autofocus; }
                    div.field { label for="new" { "新口令" }
                        input #new type="password" name="new" autocomplete="new-password" required; }
                    div.field { label for="again" { "再输一次新口令" }
                        input #again type="password" name="again" autocomplete="new-password" required; }
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "保存新口令" } }
        }
    };
    if live.must_change {
        let first = html! { (layout::notice(NoticeKind::Warn, "首次登录，请先改成自己的口令。")) (content) };
        return Ok(view::bare(&call.app, "修改口令", first));
    }
    let outline = Outline { title: "我的口令".into(), ..Outline::default() };
    view::framed(&call.app, live, outline, content)
}
