//! The key sheet (密钥保管单): which keys open the backups and who keeps them, on one A4 page to be signed by hand. It
//! holds public keys and fingerprints only; nothing on it opens anything.

use maud::{Markup, html};

use crate::app::backup::BackupPage;
use crate::app::recipients::Holder;
use crate::backup;
use crate::base::{ErrorKind, Result};
use crate::store::{SlotInfo, SlotKind};
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::proof;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page, or first the question who is there.
pub fn show(call: &Call) -> Result<Reply> {
    match call.app.key_sheet(&call.live()?.actor) {
        Ok(page) => view::reply(&call.app, call.live()?, outline(None), sheet(call, &page)),
        Err(e) if e.kind() == ErrorKind::Proof => question(call, None).map(Reply::page),
        Err(e) => Err(e),
    }
}

/// Takes the answer.
pub fn prove(call: &Call) -> Result<Reply> {
    match call.app.proving(call.live()?, &call.own, |actor| call.app.before_key_sheet(actor).map(drop)) {
        Ok(()) => Ok(Reply::Redirect("/backup/keys".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => question(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn outline(problem: Option<&str>) -> Outline {
    Outline {
        title: "密钥保管单".into(),
        current: "/backup".into(),
        crumbs: vec![
            ("工作台".into(), "/".into()),
            ("备份".into(), "/backup".into()),
            ("密钥保管单".into(), String::new()),
        ],
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())),
        ..Outline::default()
    }
}

fn question(call: &Call, problem: Option<&str>) -> Result<Markup> {
    view::framed(&call.app, call.live()?, outline(problem), html! {
        section.section {
            h2 { "打开前请核对身份" }
            form.form.form-narrow method="post" action="/backup/keys" {
                (view::hidden(call.live()?))
                (proof::fields(call, "sheet")?)
                div.form-bar { button.btn.btn-primary type="submit" { "打开密钥保管单" } }
            }
        }
    })
}

/// The sheet itself.
pub(super) fn sheet(call: &Call, page: &BackupPage) -> Markup {
    let signer = [
        ("单位", html! { (call.app.facts().county) }),
        ("打印时间", html! { (call.app.now()) }),
        ("签名公钥指纹", html! { span.mono { (page.signer.fingerprint()) } }),
        ("签名公钥", html! { span.mono { (page.signer) } }),
    ];
    html! {
        p.help.no-print { "请用浏览器的打印功能打印（A4），由保管人签字后与密钥分开存放。单上没有私钥。" }
        section.section.sheet {
            h2 { "一、本县签名公钥" }
            (layout::props(&signer))
            p { "恢复备份时，屏幕显示的签名指纹应与上面一致；不一致的备份不得使用。" }
        }
        section.section.sheet {
            h2 { "二、备份密钥（任何一把都能打开全部备份）" }
            @if page.recipients.is_empty() { p { "还没有设置备份密钥。请先在备份页设置，再打印本单。" } }
            @for (n, recipient) in (1..).zip(&page.recipients) { (custody(n, recipient)) }
        }
        section.section.sheet {
            h2 { "三、数据密钥（启动服务用，备份中不含；任何一个都能打开数据）" }
            @for slot in &page.slots { (data_key(slot)) }
        }
        section.section.sheet {
            h2 { "四、核对与移交" }
            table.list {
                thead { tr { @for head in ["日期", "事由（启用、核对、移交）", "移交人签字", "接收人签字", "监交人签字"] {
                    th scope="col" { (head) }
                } } }
                tbody { @for _ in 0..4 { tr { @for _ in 0..5 { td { (blank()) } } } } }
            }
        }
    }
}

/// One way to the data, and lines for who keeps it where.
fn data_key(slot: &SlotInfo) -> Markup {
    let kind = slot.kind.map_or("（本程序不认识）", SlotKind::label);
    let place = slot.path.as_ref().map(|p| p.display().to_string()).or_else(|| slot.recipient.clone());
    let mut rows = vec![("名称", html! { span.mono { (slot.name) } "（" (kind) "）" })];
    rows.extend(place.map(|place| ("位置或公钥", html! { span.mono { (place) } })));
    rows.push(("保管人和副本存放处", blank()));
    layout::props(&rows)
}

/// One key: what it is, and lines for who keeps it where.
fn custody(n: usize, holder: &Holder) -> Markup {
    html! {
        h3 { "第 " (n) " 把" @if !holder.note.is_empty() { "（" (holder.note) "）" } }
        (layout::props(&[
            ("指纹", html! { span.mono { (backup::key_print(&holder.key)) } }),
            ("公钥", html! { span.mono { (holder.key) } }),
            ("保管人", blank()),
            ("签字、日期", blank()),
            ("存放处", blank()),
            ("副本存放处", blank()),
        ]))
    }
}

/// Room to write by hand.
fn blank() -> Markup {
    html! { span.blank { span.sr { "（手写）" } } }
}
