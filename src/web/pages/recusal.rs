//! Recusal in the pages (回避): the way to declare it on the page of a record, and the security administrator's page of
//! same names, which shows numbers and accounts and nothing of what the records say.

use maud::{Markup, html};

use crate::app::record::Opened;
use crate::app::recusal::{ByNumber, Hint, Standing};
use crate::base::{ErrorKind, RecordId, Result};
use crate::records::{Kind, recusal};
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::record;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Name of the input for the reason.
const REASON: &str = "recusal-reason";
/// Name of the input for the person.
const WHO: &str = "recusal-who";

/// Declares on the page of a record.
pub fn declare(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    let who = call.typed(WHO).parse::<u64>().ok().map(RecordId);
    let actor = &call.live()?.actor;
    match call.app.recuse(actor, (kind, id), who, (call.typed(REASON), call.submit_id())) {
        Ok(()) if call.app.can_open(actor, kind, id)? => {
            Ok(Reply::Redirect(format!("/{}/{id}?done=recused", kind.name)))
        }
        Ok(()) => Ok(Reply::Redirect(format!("/{}?all=1&done=recused", kind.name))),
        Err(e) if e.kind() == ErrorKind::Invalid => record::again(call, e.public()),
        Err(e) => Err(e),
    }
}

/// What a list says to somebody who was just kept out of a record.
pub(super) fn done(what: &str) -> Option<(NoticeKind, String)> {
    let text = match what {
        "recused" => "已声明回避：那条记录对您不再存在，由其他人办理。",
        "kept-out" => "已保存。您与其中被检举控告人的姓名、单位相同，按回避规定不能再查看这条记录，由其他人办理。",
        _ => return None,
    };
    Some((NoticeKind::Ok, text.to_owned()))
}

/// Who decides where the head of the unit is kept out.
pub(super) fn stand_in(opened: &Opened) -> Markup {
    html! {
        @if let Some(text) = &opened.recusal.stand_in {
            section.section { h2 { "回避" } p { (text) } }
        }
    }
}

/// The way to declare, apart from the work and behind one more click.
pub(super) fn section(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    if !opened.recusal.own {
        return Ok(html! {});
    }
    let tried = call.path.ends_with("/recuse");
    let (own, chosen) = (call.live()?.actor.account, call.typed(WHO));
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "需要回避？" }
                form.form method="post" action=(format!("/{}/{}/recuse", kind.name, opened.record.id)) {
                    (view::hidden(call.live()?))
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    div.field {
                        label for=(WHO) { "回避的人" }
                        select id=(WHO) name=(WHO) {
                            option value=(own) selected[chosen.is_empty() || chosen == own.to_string()] { "本人" }
                            @for (id, name) in &opened.recusal.others {
                                option value=(id) selected[chosen == id.to_string()] { (name) }
                            }
                        }
                    }
                    div.field.wide {
                        label for=(REASON) { "回避理由 " em.req title="必填" { "*" } }
                        textarea id=(REASON) name=(REASON) rows="2" maxlength="2000" {
                            "\n" @if tried { (call.typed(REASON)) }
                        }
                        p.help { "登记后这条记录对回避的人如同不存在；只能由登记人以外的人解除。" }
                    }
                    div.form-bar { button.btn type="submit" { "登记回避" } }
                }
            }
        }
    })
}

/// The security administrator's page.
pub fn hints(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Declares by number, or says that it is somebody else.
pub fn decide(call: &Call) -> Result<Reply> {
    let text = |name: &str| call.typed(name).to_owned();
    let typed = ByNumber {
        number: text("number"),
        login: text("login"),
        verdict: text("verdict"),
        reason: text("reason"),
        submit: call.submit_id().to_owned(),
    };
    match call.app.recuse_by_number(&call.live()?.actor, typed) {
        Ok(id) => Ok(Reply::Redirect(format!("/{}/{id}?done=created", recusal::KIND.name))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let hints = call.app.hints(&live.actor)?;
    let outline = Outline {
        title: "回避核查".into(),
        current: "/conflicts".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("回避核查".into(), String::new())],
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())),
        watermark: true,
        ..Outline::default()
    };
    let table = table(call, &hints)?;
    let form = form(call)?;
    view::framed(&call.app, live, outline, html! {
        section.section {
            h2 { "同名账户" span.count { (hints.len()) } }
            p.help {
                "账户姓名与某条记录中被检举控告人相同。姓名、单位都相同的，系统已自动回避；只是同名的，请向其所在单位核实后登记结论。\
                 这里只列编号和账户，不显示内容。"
            }
            @if hints.is_empty() { (layout::empty(Icon::Empty, "没有与账户同名的被检举控告人。", html! {})) }
            @else { (table) }
        }
        (form)
    })
}

fn table(call: &Call, hints: &[Hint]) -> Result<Markup> {
    let directory = call.app.directory()?;
    let chip = |standing| match standing {
        Standing::Open => (ChipKind::Warn, "待核实"),
        Standing::ByRule => (ChipKind::Ok, "已自动回避"),
        Standing::Declared => (ChipKind::Ok, "已登记回避"),
        Standing::SomebodyElse => (ChipKind::Plain, "非同一人"),
    };
    Ok(html! { div.table-wrap { table.list {
        thead { tr { @for head in ["记录编号", "账户", "情况"] { th scope="col" { (head) } } } }
        tbody { @for hint in hints { tr {
            td.nowrap { (hint.number) }
            td { a href=(format!("/account/{}", hint.account)) { (directory.account(hint.account)) } }
            td.nowrap { @let (kind, text) = chip(hint.standing); (layout::chip(kind, text)) }
        } } }
    } } })
}

fn form(call: &Call) -> Result<Markup> {
    let chosen = recusal::VERDICTS.code(call.typed("verdict")).unwrap_or(recusal::AVOID);
    let line = |name: &'static str, label: &'static str, help: &'static str| html! {
        div.field {
            label for=(name) { (label) " " em.req title="必填" { "*" } }
            input id=(name) name=(name) value=(call.typed(name)) maxlength="60";
            p.help { (help) }
        }
    };
    Ok(html! {
        section.section.no-print {
            h2 { "登记结论" }
            form.form method="post" action="/conflicts" {
                (view::hidden(call.live()?))
                input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                div.fields {
                    (line("number", "记录编号", "写全，包括年份和“号”"))
                    (line("login", "登录名", "账户的登录名"))
                    div.field {
                        label for="verdict" { "结论 " em.req title="必填" { "*" } }
                        select #verdict name="verdict" {
                            @for e in recusal::VERDICTS.entries {
                                option value=(e.code) selected[chosen == e.code] { (e.label) }
                            }
                        }
                    }
                    div.field.wide {
                        label for="reason" { "理由 " em.req title="必填" { "*" } }
                        textarea #reason name="reason" rows="2" maxlength="2000" { "\n" (call.typed("reason")) }
                        p.help { "不要写案情。登记回避后，这条记录对该账户如同不存在；只能由您以外的人解除。" }
                    }
                }
                div.form-bar { button.btn.btn-primary type="submit" { "登记" } }
            }
        }
    })
}
