//! Backups as the system administrator sees them: who can open them, when the last one was verified, how to run one.

use maud::{Markup, html};

use crate::base::{ErrorKind, Result};
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Sets the recipients, where there are none.
pub fn set_recipients(call: &Call) -> Result<Reply> {
    let recipients = call.typed("recipients").split_whitespace().map(str::to_owned).collect();
    match call.app.set_recipients(&call.live()?.actor, recipients) {
        Ok(()) => Ok(Reply::Redirect("/backup?done=set".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let (recipients, last) = call.app.backup_state(&live.actor)?;
    let done = call.asked("done") == "set";
    let outline = Outline {
        title: "备份".into(),
        current: "/backup".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("备份".into(), String::new())],
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| done.then(|| (NoticeKind::Ok, "备份密钥已设置。".to_owned()))),
        ..Outline::default()
    };
    let items = [
        ("最近一次已验证的备份", html! { (last.map_or("还没有".to_owned(), |at| at.to_string())) }),
        ("备份命令", html! { span.mono { "jiceng backup run --dir 数据目录 --to 备份目录" } }),
    ];
    view::framed(&call.app, live, outline, html! {
        section.section { h2 { "状态" } (layout::props(&items)) }
        section.section {
            h2 { "备份密钥" span.count { (recipients.len()) } }
            @if recipients.is_empty() { (recipients_form(call)?) }
            @else { ul.lines { @for r in &recipients { li { span.mono.grow { (r) } } } } }
        }
    })
}

fn recipients_form(call: &Call) -> Result<Markup> {
    Ok(html! {
        form.form method="post" action="/backup" {
            (view::hidden(call.live()?))
            div.field.wide {
                label for="recipients" { "接收方 " em.req title="必填" { "*" } }
                textarea #recipients name="recipients" rows="4" { "\n" (call.typed("recipients")) }
                p.help {
                    "每行一个 age1…，至少两个，分别由两名保管人用 jiceng backup keygen 生成；备份只有他们的密钥能打开。"
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "设置备份密钥" } }
        }
    })
}
