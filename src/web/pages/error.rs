//! What went wrong, in a sentence that says what to do next. Never content, never a stack.

use axum::http::StatusCode;
use maud::{Markup, html};

use crate::app::App;
use crate::app::session::Live;
use crate::base::{Error, ErrorKind};
use crate::web::icons::Icon;
use crate::web::respond::Reply;
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

/// What is wrong with the certificate that a browser brought: nothing else is shown to it.
pub fn certificate(app: &App, error: &Error) -> Reply {
    let page = view::bare_wide(app, "证书不能使用", html! {
        (layout::notice(layout::NoticeKind::Bad, error.public()))
        ol {
            li { "拔下这个 UKey（或在浏览器中删除这张证书），关闭全部浏览器窗口。" }
            li { "插入有效的 UKey，重新打开本系统，在提示时选择有效的证书；没有要求用证书的账户可以不选证书。" }
            li { "证书已吊销、过期或不是认可的机构签发的，请联系安全保密管理员或签发机构换发。" }
        }
        p { a.btn.btn-primary href="/login" { "重试" } }
    });
    Reply::Html(StatusCode::FORBIDDEN, page)
}
