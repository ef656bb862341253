//! Purging in the pages: the way to ask on the page of a record, what is said of a record that was purged, and on the
//! page of the request what becomes of keys and old backups.

use maud::{Markup, html};

use crate::app::names::Directory;
use crate::app::purge::{Keys, OldBackups, Outlook};
use crate::app::record::Opened;
use crate::base::{ErrorKind, Result};
use crate::records::{self, Kind, purge};
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout;
use crate::web::pages::{proof, record};
use crate::web::respond::Reply;
use crate::web::view;

/// Name of the input for the reason.
const REASON: &str = "purge-reason";

/// Asks that a record be purged.
pub fn ask(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    match call.app.ask_purge(&call.live()?.actor, kind, id, (call.typed(REASON), call.submit_id())) {
        Ok(request) => Ok(Reply::Redirect(format!("/{}/{request}?done=asked", purge::KIND.name))),
        Err(e) if e.kind() == ErrorKind::Invalid => record::again(call, e.public()),
        Err(e) => Err(e),
    }
}

/// What stands above a record that was purged.
pub(super) fn notice(opened: &Opened, directory: &Directory) -> Option<String> {
    let told = opened.purged?;
    let by = match told.by.0 {
        0 => "恢复备份时按清除名单再次清除".to_owned(),
        _ => format!("由 {} 批准", directory.account(told.by)),
    };
    Some(format!("这条记录的内容已于 {} 清除（{by}）：只保留编号、单位、日期和分类代码，用于统计。", told.at))
}

/// Links between a record and the request about it.
pub(super) fn links(opened: &Opened) -> Markup {
    let request = opened.purged.and_then(|told| told.request).or(opened.purge_asked);
    let target = opened.target.as_ref().and_then(|t| Some((records::by_tag(t.kind)?, t)));
    html! {
        @if let Some(id) = request {
            a.btn href=(format!("/{}/{id}", purge::KIND.name)) { "清除申请" }
        }
        @if let Some((kind, target)) = target {
            a.btn href=(format!("/{}/{}", kind.name, target.id)) { "要清除的记录" }
        }
    }
}

/// The way to ask, apart from the work and behind one more click.
pub(super) fn section(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    if !opened.may_purge {
        return Ok(html! {});
    }
    let tried = call.path.ends_with("/purge");
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "申请清除内容" }
                form.form method="post" action=(format!("/{}/{}/purge", kind.name, opened.record.id)) {
                    (view::hidden(call.live()?))
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    div.field.wide {
                        label for=(REASON) { "清除理由 " em.req title="必填" { "*" } }
                        textarea id=(REASON) name=(REASON) rows="2" maxlength="2000" {
                            "\n" @if tried { (call.typed(REASON)) }
                        }
                        p.help {
                            "由安全保密管理员复核，复核人只看到编号、单位和理由：理由中不要写案情和姓名。\
                             批准后正文、人员、附件、历史版本立即不可恢复，只保留编号和统计用的分类代码。"
                        }
                    }
                    div.form-bar { button.btn.btn-danger type="submit" { "提交清除申请" } }
                }
            }
        }
    })
}

/// What became of what a request purged.
pub(super) fn facts(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    if kind.tag != purge::KIND.tag {
        return Ok(html! {});
    }
    let Some(outlook) = call.app.purge_outlook(&opened.record)? else { return Ok(html! {}) };
    let items = [
        ("清除时间", html! { (outlook.at) }),
        ("附件文件", html! { (files(&outlook)) }),
        ("密钥代", html! { (keys(outlook.keys)) }),
        ("旧备份", backups(&outlook.backups)),
    ];
    let live = call.live()?;
    Ok(html! {
        section.section {
            h2 { "清除的落实" }
            (layout::props(&items))
            p.help {
                "清除之前的备份恢复时会按较新备份中的清除名单再次清除。另外拷走的备份、移动硬盘和异地副本不在本机的登记中，\
                 请保管人一并处理。"
            }
            @if live.actor.is("sysadmin") && matches!(outlook.keys, Keys::Due(_)) { (button(call)?) }
        }
    })
}

fn files(outlook: &Outlook) -> String {
    match outlook.files_left {
        0 => "已从数据目录删除".to_owned(),
        n => format!("本机还有已清除记录的附件 {n} 个待删除，服务运行时自动进行"),
    }
}

fn keys(keys: Keys) -> String {
    match keys {
        Keys::Destroyed(Some(at)) => format!("清除之前的密钥代已于 {at} 销毁，其残留不能再打开（登记前存过的草稿除外）"),
        Keys::Destroyed(None) => "清除之前的密钥代已销毁，其残留不能再打开（登记前存过的草稿除外）".to_owned(),
        Keys::Moving => "正在更换，换完即销毁清除之前的密钥代".to_owned(),
        Keys::Due(at) => {
            format!("清除之前的密钥代将在 {} 前自动更换并销毁；系统管理员可以立即更换", at.day())
        }
    }
}

fn backups(old: &OldBackups) -> Markup {
    html! {
        @match (old.kept, old.until) {
            (0, _) if old.elsewhere.is_empty() => "本机登记的备份中，没有清除之前的",
            (0, _) => {},
            (n, Some(until)) => {
                "备份目标中有 " (n) " 套清除之前的备份，按现在的备份计划照常备份，最迟到 " b { (until.day()) } " 全部清理"
            },
            (n, None) => { "备份目标中有 " (n) " 套清除之前的备份，何时清理不能确定" },
        }
        @for (folder, n) in &old.elsewhere {
            p { (n) " 套在 " span.mono { (folder) } "：不在现在的备份计划内，不会自动清理，保留到何时不能确定，请人工删除" }
        }
    }
}

/// The button that replaces the generation of keys now.
pub(super) fn button(call: &Call) -> Result<Markup> {
    Ok(html! {
        form.form.form-narrow.no-print method="post" action="/backup/rotate" {
            (view::hidden(call.live()?))
            (proof::fields(call, "rotate")?)
            div.form-bar { button.btn type="submit" { (Icon::Key.svg()) "立即更换密钥代" } }
        }
    })
}

/// What the page of backups says of keys that purges left behind.
pub(super) fn keys_section(call: &Call) -> Result<Markup> {
    let Some((text, _)) = call.app.purge_keys()? else { return Ok(html! {}) };
    let may = call.live()?.actor.is("sysadmin") && !call.app.is_rotating();
    Ok(html! {
        section.section {
            h2 { "清除后的密钥代" }
            p { (text) }
            @if may { (button(call)?) }
        }
    })
}
