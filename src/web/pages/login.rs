//! Logging in and out.

use maud::{Markup, html};

use crate::app::demo;
use crate::base::{ErrorKind, Result};
use crate::web::guard::{Call, LOGIN_COOKIE, SESSION_COOKIE};
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view;

/// The form; whoever is logged in already goes to the desk.
pub fn form(call: &Call) -> Result<Reply> {
    if call.live.is_some() {
        return Ok(Reply::Redirect("/".into()));
    }
    Ok(Reply::page(page(call, "", None)))
}

/// Checks name and password.
pub fn log_in(call: &Call) -> Result<Reply> {
    let (login, password) = (call.typed("login"), call.raw.iter().find(|(n, _)| n == "password"));
    let password = password.map_or("", |(_, v)| v.as_str());
    match call.app.log_in(login, password, &call.peer) {
        Ok((token, login)) => {
            let session = format!("{SESSION_COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
            let mark = call.app.login_mark(&login);
            let last = format!("{LOGIN_COOKIE}={mark}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000");
            let to = if call.app.has_parked(&login) { "/resume" } else { "/" };
            Ok(Reply::Cookies(to.to_owned(), vec![session, last]))
        }
        Err(e) if matches!(e.kind(), ErrorKind::Denied | ErrorKind::Busy) => {
            Ok(Reply::again(page(call, login, Some(e.public()))))
        }
        Err(e) => Err(e),
    }
}

/// Ends the session.
pub fn log_out(call: &Call) -> Result<Reply> {
    call.app.log_out(call.live()?)?;
    let gone = format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    Ok(Reply::Cookies("/login".into(), vec![gone]))
}

fn page(call: &Call, login: &str, problem: Option<&str>) -> Markup {
    let last = call.last_login.as_deref();
    let waiting = last.is_some_and(|l| call.app.has_parked(l));
    let known = if login.is_empty() { last.unwrap_or_default() } else { login };
    view::bare(&call.app, "登录", html! {
        @if waiting { (layout::notice(NoticeKind::Warn, "登录已超时。您刚才填写的内容还在，请用同一账户登录后继续。")) }
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        form.form method="post" action="/login" {
            div.field {
                label for="login" { "登录名" }
                input #login name="login" value=(known) autocomplete="username" autofocus[known.is_empty()] required;
            }
            div.field {
                label for="password" { "口令" }
                input #password type="password" name="password" autocomplete="current-password"
                    autofocus[!known.is_empty()] required;
            }
            button.btn.btn-primary type="submit" { (Icon::Lock.svg()) "登录" }
        }
        @if call.app.facts().demo {
            p.help { "演示账户：" b { (demo::EVERYTHING) } "，口令 " b { (demo::PASSWORD) } }
        }
    })
}
