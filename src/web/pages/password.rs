//! One's own password.

use maud::{Markup, html};

use crate::app::policy::Profile;
use crate::app::session::Must;
use crate::base::{ErrorKind, Result, limits};
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
    let live = call.live()?;
    match call.app.change_password(&live.actor, text("old"), text("new")) {
        Ok(()) if call.app.has_parked(&live.actor.login) => Ok(Reply::Redirect("/resume".into())),
        Ok(()) => Ok(Reply::Redirect("/?done=password".into())),
        Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Busy) => {
            page(call, Some(e.public())).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let content = html! {
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        form.form.form-narrow method="post" action="/password" {
            (view::hidden(live))
            // For password managers: whose password this is.
            input type="text" name="username" value=(live.actor.login) autocomplete="username" hidden;
            fieldset {
                legend { "修改口令" }
                (rules(call)?)
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
    let first = match live.must {
        Some(Must::FirstPassword) => Some("首次登录，请先改成自己的口令。"),
        Some(Must::OldPassword) => Some("口令已使用满 90 天，请先更换。"),
        Some(Must::Factor) | None => None,
    };
    if let Some(text) = first {
        let first = html! { (layout::notice(NoticeKind::Warn, text)) (content) };
        return Ok(view::bare(&call.app, "修改口令", first));
    }
    let content = html! {
        (content)
        section.section {
            h2 { "动态码和登录记录" }
            p { a href="/factor" { "动态码（第二种鉴别方式）" } " · " a href="/sessions" { "我的登录" } }
        }
    };
    let outline = Outline { title: "我的口令".into(), ..Outline::default() };
    view::framed(&call.app, live, outline, content)
}

/// What a password must be like now.
fn rules(call: &Call) -> Result<Markup> {
    let policy = call.app.policy()?;
    let (alone, worn, days) = (limits::PASSWORD_ALONE_CHARS, limits::PASSWORD_HISTORY, limits::PASSWORD_DAYS);
    Ok(html! {
        p.help { "至少 10 位，同时包含字母、数字和特殊字符，不能包含登录名，不能是常见口令（管理办法第十五条）。" }
        @match policy.profile {
            Profile::Dengbao => p.help { "不能与最近 " (worn) " 个口令相同；每 " (days) " 天更换一次。" },
            Profile::Nist => p.help { "没有启用动态码的账户至少 " (alone) " 位，可以用一句话；不要求定期更换。" },
        }
    })
}
