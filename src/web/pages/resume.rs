//! After logging in again: the form that was sent without a session, with everything typed.

use maud::html;

use crate::base::Result;
use crate::records::{self, field::Raw};
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::edit;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Shows what waited; it waits until something is saved.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let Some(parked) = call.app.parked(&live.actor.login) else {
        return Ok(Reply::Redirect("/".into()));
    };
    let parts: Vec<&str> = parked.path.trim_matches('/').split('/').collect();
    let kind = parts.first().and_then(|name| records::by_name(name));
    match (kind, parts.get(1), parts.get(2)) {
        (Some(kind), Some(&"new"), None) => edit::resumed(call, kind, None, parked.raw),
        (Some(kind), Some(id), Some(&"edit")) => edit::resumed(call, kind, id.parse().ok(), parked.raw),
        _ => other(call, &parked.path, &parked.raw),
    }
}

/// Not a form of a record: the words are shown so that they can be used again.
fn other(call: &Call, path: &str, raw: &Raw) -> Result<Reply> {
    let back = path.split("/move/").next().unwrap_or("/").to_owned();
    let kept = ["csrf", "submit", "version", "old", "new", "again", "password"];
    let words = raw.iter().filter(|(n, v)| !kept.contains(&n.as_str()) && !v.trim().is_empty());
    call.app.unpark(&call.live()?.actor.login);
    let outline = Outline { title: "登录超时前填写的内容".into(), ..Outline::default() };
    view::reply(&call.app, call.live()?, outline, html! {
        (layout::notice(NoticeKind::Warn, "操作没有执行。下面是您填写的文字，可以复制后重新提交。"))
        section.section { @for (_, text) in words { div.prose { (text) } } }
        p { a.btn.btn-primary href=(back) { "回到原页面" } }
    })
}
