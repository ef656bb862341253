//! Replacing the backup keys (更换备份密钥): the system administrator asks for other keys, a second administrator sees what
//! would change and agrees or refuses.

use maud::{Markup, html};

use crate::app::recipients::{Holder, Proposal, RecipientsPage};
use crate::backup;
use crate::base::{ErrorKind, Moment, RecordId, Result, limits};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::proof;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Asks for other keys.
pub fn propose(call: &Call) -> Result<Reply> {
    let typed = call.typed("recipients");
    reply(call, call.app.proving(call.live()?, &call.own, |actor| call.app.propose_recipients(actor, typed)), "asked")
}

/// Agrees to what was asked for, or ends it.
pub fn decide(call: &Call) -> Result<Reply> {
    let (at, agree) = (call.typed("at").parse().unwrap_or(0), call.typed("answer") == "agree");
    let done = if agree { "agreed" } else { "ended" };
    reply(call, call.app.proving(call.live()?, &call.own, |actor| call.app.decide_recipients(actor, at, agree)), done)
}

fn reply(call: &Call, outcome: Result<()>, done: &str) -> Result<Reply> {
    match outcome {
        Ok(()) => Ok(Reply::Redirect(format!("/backup/recipients?done={done}"))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let view = call.app.recipients_page(&live.actor)?;
    let said = match call.asked("done").as_str() {
        "asked" => Some("已提出，等待安全保密管理员或安全审计员确认。确认之前，备份仍用现在的密钥。"),
        "agreed" => Some("备份密钥已更换，下一次备份起使用新的密钥。请立即备份一次，并重新打印密钥保管单。"),
        "ended" => Some("这项更换没有生效，备份仍用现在的密钥。"),
        _ => None,
    };
    let outline = Outline {
        title: "更换备份密钥".into(),
        current: "/backup".into(),
        crumbs: vec![
            ("工作台".into(), "/".into()),
            ("备份".into(), "/backup".into()),
            ("更换备份密钥".into(), String::new()),
        ],
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| said.map(|s| (NoticeKind::Ok, s.to_owned()))),
        ..Outline::default()
    };
    let wanted = view.wanted.as_ref().map(|w| waiting(call, &view, w)).transpose()?;
    let form = view.may_propose.then(|| form(call, &view)).transpose()?;
    view::framed(&call.app, live, outline, html! {
        @if let Some(wanted) = wanted { (wanted) }
        section.section {
            h2 { "现在的备份密钥" span.count { (view.now.len()) } }
            @if view.now.is_empty() { (layout::empty(Icon::Key, "还没有设置备份密钥。", html! {})) }
            @else { (table(&view.now, |_| None)) }
        }
        @if let Some(form) = form { (form) }
    })
}

/// What would hold, and what would not any more.
fn waiting(call: &Call, view: &RecipientsPage, wanted: &Proposal) -> Result<Markup> {
    let next = wanted.holders();
    let has = |all: &[Holder], key: &str| all.iter().any(|h| h.key == key);
    let gone: Vec<Holder> = view.now.iter().filter(|h| !has(&next, &h.key)).cloned().collect();
    let all = [next.clone(), gone].concat();
    let mark = |h: &Holder| match (has(&view.now, &h.key), has(&next, &h.key)) {
        (false, _) => Some((ChipKind::Warn, "新增")),
        (_, false) => Some((ChipKind::Bad, "不再使用")),
        _ if !view.now.contains(h) => Some((ChipKind::Warn, "说明改变")),
        _ => None,
    };
    let who = call.app.directory()?.account(RecordId(wanted.by)).to_owned();
    Ok(html! {
        section.section {
            h2 { "等待确认的更换" }
            p.help {
                (who) " 在 " (Moment(wanted.at)) " 提出。请向每一位保管人核对指纹后再确认：新的密钥能打开以后的全部备份；\
                 以前的备份仍然只能用当时的密钥打开，直到按保留规则清理，旧密钥在那之前不要销毁。"
            }
            (table(&all, mark))
            @if view.may_decide || view.may_propose {
                form.form.form-narrow method="post" action="/backup/recipients/decide" {
                    (view::hidden(call.live()?))
                    input type="hidden" name="at" value=(wanted.at);
                    (proof::fields(call, "decide")?)
                    div.form-bar {
                        @if view.may_decide {
                            button.btn.btn-primary type="submit" name="answer" value="agree" { "确认更换" }
                            button.btn type="submit" name="answer" value="refuse" { "不同意" }
                        } @else {
                            button.btn type="submit" name="answer" value="refuse" { "撤回申请" }
                        }
                    }
                }
            }
        }
    })
}

fn table(holders: &[Holder], mark: impl Fn(&Holder) -> Option<(ChipKind, &'static str)>) -> Markup {
    html! { div.table-wrap { table.list {
        thead { tr {
            th scope="col" { "保管人或用途" } th scope="col" { "指纹" } th scope="col" { "公钥" } th scope="col" { "变动" }
        } }
        tbody { @for h in holders { tr {
            td { @if h.note.is_empty() { "—" } @else { (h.note) } }
            td.mono.nowrap { (backup::key_print(&h.key)) }
            td.mono { (h.key) }
            td { @if let Some((kind, label)) = mark(h) { (layout::chip(kind, label)) } @else { "—" } }
        } } }
    } } }
}

fn form(call: &Call, view: &RecipientsPage) -> Result<Markup> {
    let typed = call.typed("recipients");
    let now = view.now.iter().map(Holder::line).collect::<Vec<_>>().join("\n");
    let most = limits::RECIPIENT_NOTE_CHARS;
    Ok(html! {
        section.section {
            h2 { "提出更换" }
            form.form method="post" action="/backup/recipients" {
                (view::hidden(call.live()?))
                div.field.wide {
                    label for="recipients" { "更换后的全部密钥 " em.req title="必填" { "*" } }
                    textarea #recipients name="recipients" rows="6" spellcheck="false" {
                        "\n" (if typed.is_empty() { &now } else { typed })
                    }
                    p.help {
                        "每行一个 age1…，后面空一格可写保管人或用途（最多 " (most) " 个字），如“age1… 备用机”；至少 "
                        (limits::RECIPIENTS_MIN) " 个。由另一名管理员确认后生效。"
                    }
                }
                (proof::fields(call, "propose")?)
                div.form-bar { button.btn.btn-primary type="submit" { "提出更换" } }
            }
        }
    })
}
