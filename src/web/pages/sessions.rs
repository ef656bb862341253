//! One's own log-ins (我的登录): the present session, the one before, and who failed in between; for the system
//! administrator the live sessions of everybody, and ending one.

use maud::{Markup, html};

use crate::base::{ErrorKind, Moment, Result};
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Ends somebody's session.
pub fn end(call: &Call) -> Result<Reply> {
    let id = crate::base::RecordId(call.typed("account").parse().unwrap_or(0));
    match call.app.end_session(&call.live()?.actor, id) {
        Ok(()) => Ok(Reply::Redirect("/sessions?done=ended".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let said = (call.asked("done") == "ended").then(|| (NoticeKind::Ok, "会话已结束。".to_owned()));
    let outline = Outline {
        title: "我的登录".into(),
        current: "/sessions".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("我的登录".into(), String::new())],
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())).or(said),
        ..Outline::default()
    };
    let others = live.actor.is("sysadmin").then(|| everybody(call)).transpose()?;
    view::framed(&call.app, live, outline, html! {
        (own(call)?)
        @if let Some(others) = others { (others) }
    })
}

fn own(call: &Call) -> Result<Markup> {
    let (began, seen) = call.app.own_session(call.live()?)?;
    let never = || "没有记录".to_owned();
    let told = |(count, last): (i64, Option<Moment>)| match last.filter(|_| count > 0) {
        Some(at) => format!("{count} 次，最近一次在 {at}"),
        None => "没有".to_owned(),
    };
    Ok(html! {
        section.section {
            (layout::props(&[
                ("本次登录", html! { (began) }),
                ("上一次登录", html! { (seen.before().map_or_else(never, |at| at.to_string())) }),
                ("两次之间的失败尝试", html! { (told(seen.failures_before())) }),
                ("本次登录以来的失败尝试", html! { (told(seen.failures_since())) }),
            ]))
            p.help { "上一次登录或失败尝试不是您本人的，请立即修改口令，并告诉安全保密管理员。" }
            div.actions.start {
                a.btn href="/password" { "修改口令" }
                a.btn href="/factor" { "动态码" }
            }
        }
    })
}

fn everybody(call: &Call) -> Result<Markup> {
    let live = call.live()?;
    let (lines, directory) = (call.app.live_sessions(&live.actor)?, call.app.directory()?);
    Ok(html! {
        section.section {
            h2 { "正在使用的会话" span.count { (lines.len()) } }
            p.help { "结束后，该用户须重新登录；正在填写而没有保存的内容会为他保留到下次登录。" }
            div.table-wrap { table.list {
                thead { tr { @for head in ["人员", "登录时间", "最近操作"] { th scope="col" { (head) } }
                    th.no-print scope="col" { "操作" } } }
                tbody { @for line in &lines { tr {
                    td { (directory.account(line.account)) }
                    td.nowrap { (line.began) }
                    td.nowrap { (line.seen) }
                    td.no-print {
                        @if line.account == live.actor.account { "本人" }
                        @else {
                            form method="post" action="/sessions/end" {
                                (view::hidden(live))
                                input type="hidden" name="account" value=(line.account);
                                button.btn type="submit" { "结束" }
                            }
                        }
                    }
                } } }
            } }
        }
    })
}
