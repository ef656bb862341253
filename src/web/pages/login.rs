//! Logging in and out.

use maud::{Markup, html};

use crate::app::demo;
use crate::app::login::Attempt;
use crate::base::{ErrorKind, Result, limits};
use crate::web::guard::{Call, DEVICE_COOKIE, LOGIN_COOKIE, SESSION_COOKIE};
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

/// Checks name, password and code.
pub fn log_in(call: &Call) -> Result<Reply> {
    let text = |name: &str| call.raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    let login = call.typed("login");
    let (password, code, device) = (text("password"), text("code"), call.device.as_deref());
    let (from, certificate) = (call.peer.as_str(), call.certificate.as_ref());
    match call.app.log_in(&Attempt { login, password, code, from, device, certificate }) {
        Ok(entered) => {
            let cookie = |name: &str, value: &str, age: i64| {
                let age = if age == 0 { String::new() } else { format!("; Max-Age={age}") };
                format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}")
            };
            let cookies = vec![
                cookie(SESSION_COOKIE, &entered.token, 0),
                cookie(LOGIN_COOKIE, &call.app.login_mark(&entered.login), 2_592_000),
                cookie(DEVICE_COOKIE, &entered.device, limits::DEVICE_S),
            ];
            let to = match () {
                () if entered.recovered => "/factor?done=recovered",
                () if call.app.has_parked(&entered.login) => "/resume",
                () => "/",
            };
            Ok(Reply::Cookies(to.to_owned(), cookies))
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
    Ok(Reply::Left(vec![gone]))
}

fn page(call: &Call, login: &str, problem: Option<&str>) -> Markup {
    let last = call.last_login.as_deref();
    let waiting = last.is_some_and(|l| call.app.has_parked(l));
    let known = if login.is_empty() { last.unwrap_or_default() } else { login };
    view::bare(&call.app, "登录", html! {
        @if waiting { (layout::notice(NoticeKind::Warn, "登录已超时。您刚才填写的内容还在，请用同一账户登录后继续。")) }
        @if call.asked("done") == "setup" { (layout::notice(NoticeKind::Ok, "初始化已完成。三名管理员请各自登录。")) }
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
            div.field {
                label for="code" { "动态码" }
                input #code name="code" autocomplete="one-time-code" maxlength="40" aria-describedby="code-h";
                p.help #code-h { "手机上的 6 位数字，或一个恢复码；没有启用的账户、用证书登录的账户不填" }
            }
            @if let Some(shown) = &call.certificate {
                p.help { (Icon::Key.svg()) " 已出示证书：" (shown.name) "（" (shown.serial) "）" }
            }
            button.btn.btn-primary type="submit" { (Icon::Lock.svg()) "登录" }
        }
        @if call.app.facts().demo {
            p.help { "演示账户：" b { (demo::EVERYTHING) } "，口令 " b { (demo::PASSWORD) } }
        }
    })
}
