//! Step 4 of the set-up: what is lacking, or the end of it, and what comes after.

use maud::{Markup, html};

use super::{Said, cookie, hidden, step, told};
use crate::base::Result;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;

/// The step.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Ends the set-up for good.
pub fn end(call: &Call) -> Result<Reply> {
    match call.app.finish_setup(call.wizard()?) {
        Ok(()) => Ok(Reply::Cookies("/login?done=setup".into(), vec![cookie("", "; Max-Age=0")])),
        Err(e) => page(call, told(e)?).map(Reply::again),
    }
}

fn page(call: &Call, said: Said) -> Result<Markup> {
    let view = call.app.setup_page(call.wizard()?)?;
    let lacking = view.lacking();
    let state = |done: bool| if done { (ChipKind::Ok, "已完成") } else { (ChipKind::Warn, "未完成") };
    let row = |done: bool, text: String| {
        let (kind, word) = state(done);
        html! { (layout::chip(kind, word)) " " (text) }
    };
    let active = view.people.iter().filter(|p| p.active).count();
    let units = crate::app::setup::units::read(&view.units).lines.len();
    let verified = view.verified.map_or("还没有核验".to_owned(), |at| format!("{at} 已写出并恢复核验"));
    let keys = view.backup.recipients.len();
    let content = html! {
        (layout::props(&[
            ("机构", row(!view.units.is_empty(), format!("{units} 个"))),
            ("三员", row(active == 3, format!("{active} 人已激活，共 3 人"))),
            ("备份密钥", row(keys > 0, format!("{keys} 把"))),
            ("首次备份", row(view.verified.is_some(), verified)),
        ]))
        @if lacking.is_empty() {
            (layout::notice(NoticeKind::Warn, "完成后不能撤销：初始化链接和本向导永久关闭，以后一切由三员分别办理。"))
            form method="post" action="/setup/finish" {
                (hidden(call)?)
                div.form-bar { button.btn.btn-primary type="submit" { (Icon::Check.svg()) "完成初始化" } }
            }
        } @else {
            div.errors role="status" { h2 { "还不能完成" } ul { @for text in &lacking { li { (text) } } } }
        }
        section.section {
            h2 { "完成之后" }
            ol {
                li { "系统立即再备份一次；三员各自登录。" }
                li { "系统管理员在“账户”中为工作人员开户，安全保密管理员授予角色。" }
                li { "已有的信访件和法律法规：由有登记权限的经办人、调研法规室在“导入”中从表格或文档导入，先预检再入库；三员不能导入。" }
            }
            p.help { "正式库中不放虚构的数据。想先试用的，在另一个目录运行 jiceng demo。" }
        }
    };
    Ok(step(call, (&view, 3), said, content))
}
