//! Letting somebody in again: one-time passwords and lost second factors, asked for by one administrator and confirmed
//! by another. What waits is shown on the desks of the three and on the page of the account.

use maud::{Markup, html};

use crate::app::relief::{Waiting, What};
use crate::base::{Error, ErrorKind, Result};
use crate::records::{Kind, Record, account};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout;
use crate::web::pages::record;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Shows a new one-time password, once.
pub fn reset(call: &Call) -> Result<Reply> {
    let (live, kind) = (call.live()?, of_account(call)?);
    let id = call.id()?;
    let password = match call.app.reset_password(&live.actor, id) {
        Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Busy) => return record::again(call, e.public()),
        made => made?,
    };
    let record = call.app.open_record(&live.actor, kind, id, 0)?.record;
    let second = account::ROLES.label(account::hands(&record.fields).1);
    let outline = Outline {
        title: "一次性口令".into(),
        crumbs: vec![("账户".into(), "/account".into()), ("一次性口令".into(), String::new())],
        current: "/account".into(),
        ..Outline::default()
    };
    view::reply(&call.app, live, outline, html! {
        section.section {
            h2 { (record.fields.text(account::tag::NAME)) "（" (record.fields.text(account::tag::LOGIN)) "）" }
            p { "一次性口令：" b.mono { (password) } }
            p.help { "只显示这一次，请当面交给本人。本人首次登录时必须改成自己的口令。" }
            p.help { "由" (second) "在工作台或账户页确认后才能用来登录；确认之前原口令（如有）不变，角色也不变。" }
            p { a.btn.btn-primary href=(format!("/account/{}", record.id)) { "已交给本人" } }
        }
    })
}

/// Asks that a lost second factor be void.
pub fn void_factor(call: &Call) -> Result<Reply> {
    of_account(call)?;
    answer(call, call.app.ask_void_factor(&call.live()?.actor, call.id()?), "relief")
}

/// Confirms what was asked for, or ends it.
pub fn decide(call: &Call) -> Result<Reply> {
    of_account(call)?;
    let agree = call.typed("answer") == "agree";
    let asked = What::by_code(call.typed("what")).zip(call.typed("at").parse().ok());
    let outcome = match asked {
        Some(asked) => call.app.decide_relief(&call.live()?.actor, call.id()?, asked, agree),
        None => call.app.decide_relief(&call.live()?.actor, call.id()?, (What::Password, 0), agree),
    };
    answer(call, outcome, if agree { "agreed" } else { "ended" })
}

fn answer(call: &Call, outcome: Result<()>, done: &str) -> Result<Reply> {
    match outcome {
        Ok(()) => Ok(Reply::Redirect(format!("/account/{}?done={done}", call.id()?))),
        Err(e) if e.kind() == ErrorKind::Invalid => record::again(call, e.public()),
        Err(e) => Err(e),
    }
}

fn of_account(call: &Call) -> Result<&'static Kind> {
    Some(call.kind()?).filter(|k| k.tag == account::KIND.tag).ok_or_else(Error::denied)
}

/// Buttons beside the title of an account.
pub fn buttons(call: &Call, record: &Record) -> Markup {
    let Some(live) = call.live.as_ref().filter(|l| is_open(record) && call.app.may_relieve(&l.actor, record)) else {
        return html! {};
    };
    let base = format!("/account/{}", record.id);
    let button = |action: &str, label: &str| html! {
        form.no-print method="post" action=(format!("{base}/{action}")) {
            (view::hidden(live))
            button.btn type="submit" { (Icon::Key.svg()) (label) }
        }
    };
    html! {
        (button("password", "发一次性口令"))
        @if call.app.has_factor(record) { (button("factor", "申请作废动态码")) }
    }
}

fn is_open(record: &Record) -> bool {
    record.kind == account::KIND.tag && record.state == 1
}

/// What the account's page says of its log-in.
pub fn facts(call: &Call, record: &Record) -> Result<Markup> {
    if record.kind != account::KIND.tag {
        return Ok(html! {});
    }
    let mut waiting = call.app.waiting_relief(&call.live()?.actor)?;
    waiting.retain(|w| w.account == record.id);
    let has = call.app.has_factor(record);
    Ok(html! {
        section.section {
            (layout::props(&[("动态码", html! { @if has { "已启用" } @else { "未启用" } })]))
        }
        @if !waiting.is_empty() { section.section { h2 { "等待确认" } (table(call, &waiting)?) } }
    })
}

/// What waits, on the desk of an administrator.
pub fn card(call: &Call) -> Result<Markup> {
    let waiting = call.app.waiting_relief(&call.live()?.actor)?;
    Ok(html! {
        @if !waiting.is_empty() {
            section.card {
                h2 { "等待确认的口令和动态码" span.count { (waiting.len()) } }
                (table(call, &waiting)?)
            }
        }
    })
}

fn table(call: &Call, waiting: &[Waiting]) -> Result<Markup> {
    let (live, directory) = (call.live()?, call.app.directory()?);
    let button = |w: &Waiting, answer: &str, class: &str, label: &str| html! {
        form method="post" action=(format!("/account/{}/relief", w.account)) {
            (view::hidden(live))
            input type="hidden" name="what" value=(w.what.code());
            input type="hidden" name="at" value=(w.at.0);
            input type="hidden" name="answer" value=(answer);
            button class=(class) type="submit" { (label) }
        }
    };
    Ok(html! { div.table-wrap { table.list {
        thead { tr { @for head in ["账户", "申请", "申请人", "时间", "由谁确认"] { th scope="col" { (head) } }
            th.no-print scope="col" { "操作" } } }
        tbody { @for w in waiting { tr {
            td { a href=(format!("/account/{}", w.account)) { (w.name) "（" (w.login) "）" } }
            td { (w.what.label()) }
            td { (directory.account(w.by)) }
            td.nowrap { (w.at) }
            td { (account::ROLES.label(w.confirms)) }
            td.no-print {
                @if w.may_decide {
                    div.inline {
                        (button(w, "agree", "btn btn-primary", "确认"))
                        (button(w, "refuse", "btn", "不同意"))
                    }
                } @else if w.own { (button(w, "refuse", "btn", "撤回")) }
                @else { "—" }
            }
        } } }
    } } })
}
