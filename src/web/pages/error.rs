//! What went wrong, in a sentence that says what to do next. Never content, never a stack.

use maud::{Markup, html};

use crate::app::App;
use crate::app::session::Live;
use crate::base::{Error, ErrorKind};
use crate::web::icons::Icon;
use crate::web::{layout, view};

/// The page of an error; with the menu when somebody is logged in.
pub fn page(app: &App, live: Option<&Live>, error: &Error) -> Markup {
    let title = match error.kind() {
        ErrorKind::Denied | ErrorKind::Code => "没有找到",
        ErrorKind::Stale => "内容已变化",
        ErrorKind::Invalid | ErrorKind::Refused | ErrorKind::Usage | ErrorKind::Proof => "没有完成",
        ErrorKind::Busy => "请稍后再试",
        ErrorKind::Damaged | ErrorKind::Io | ErrorKind::Internal => "系统出错",
    };
    let back = html! { a.btn.btn-primary href="/" { "回到工作台" } };
    let content = layout::empty(Icon::Warn, error.public(), back);
    if let Some(live) = live {
        let outline = view::Outline { title: title.to_owned(), ..view::Outline::default() };
        if let Ok(framed) = view::framed(app, live, outline, content.clone()) {
            return framed;
        }
    }
    view::bare(app, title, content)
}
