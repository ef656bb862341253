//! Identities of petitioners as a file: asking for one, agreeing to another person's request, taking the file once.

use maud::{Markup, html};

use crate::app::identities::{Request, State, Wanted};
use crate::app::names::Directory;
use crate::app::record::ListInput;
use crate::app::{Actor, Right, Scope};
use crate::base::{ErrorKind, RecordId, Result, limits};
use crate::records::petition::KIND;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::proof;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Where the pages are.
pub(super) const HOME: &str = "/identities";
/// Numbers of records shown of a request.
const SHOWN: usize = 20;
/// Inputs that say which part of the list is meant, as the list's address has them.
const FILTER: [&str; 4] = ["state", "unit", "from", "to"];

/// What may be asked for, and what was asked.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Asks for a file.
pub fn ask(call: &Call) -> Result<Reply> {
    let wanted = Wanted {
        list: list_of(call),
        numbers: call.typed("numbers").to_owned(),
        reason: call.typed("reason").to_owned(),
    };
    reply(call, call.app.proving(call.live()?, &call.own, |actor| call.app.ask_identities(actor, &wanted)), "asked")
}

/// Agrees to a request, or ends it.
pub fn decide(call: &Call) -> Result<Reply> {
    let (id, agree) = (call.typed("id"), call.typed("answer") == "agree");
    let decided = |actor: &Actor| call.app.decide_identities(actor, id, agree);
    reply(call, call.app.proving(call.live()?, &call.own, decided), if agree { "agreed" } else { "ended" })
}

/// Takes the file.
pub fn take(call: &Call) -> Result<Reply> {
    let id = call.typed("id");
    match call.app.proving(call.live()?, &call.own, |actor| call.app.take_identities(actor, id)) {
        Ok(book) => Ok(Reply::Bytes(format!("导出-{}.xlsx", call.app.now().day()), book)),
        Err(e) => reply(call, Err(e), ""),
    }
}

/// The way here from the list of petitions, with its filter.
pub(super) fn link(actor: &Actor, filter: &str) -> Markup {
    html! {
        @if actor.scope(&KIND, Right::See) > Scope::Nothing && actor.scope(&KIND, Right::Identity) > Scope::Nothing {
            a.btn href=(if filter.is_empty() { HOME.to_owned() } else { format!("{HOME}?{filter}") }) {
                (Icon::Lock.svg()) "导出检举控告人"
            }
        }
    }
}

/// What of this waits for the person, on the desk.
pub(super) fn card(call: &Call) -> Result<Markup> {
    let waiting = call.app.identity_requests_waiting(&call.live()?.actor)?;
    Ok(html! {
        @if waiting > 0 {
            section.card {
                h2 { "导出检举控告人信息" span.count { (waiting) } }
                p { (Icon::Lock.svg()) " " a href=(HOME) { (waiting) " 项申请等待您确认或下载" } }
            }
        }
    })
}

fn reply(call: &Call, outcome: Result<()>, done: &str) -> Result<Reply> {
    match outcome {
        Ok(()) => Ok(Reply::Redirect(format!("{HOME}?done={done}"))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// The filter: what was typed, else what the address says.
fn said(call: &Call, name: &str) -> String {
    if call.raw.is_empty() { call.asked(name) } else { call.typed(name).to_owned() }
}

fn list_of(call: &Call) -> ListInput {
    let day = |name: &str, end| view::day_bound(&said(call, name), end).unwrap_or(0);
    ListInput {
        units: said(call, "unit").parse().map(|id| vec![RecordId(id)]).unwrap_or_default(),
        state: said(call, "state").parse().ok(),
        from: day("from", false),
        to: day("to", true),
        ..ListInput::default()
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let requests = call.app.identity_requests(&live.actor)?;
    let said = match call.asked("done").as_str() {
        "asked" => Some("已申请。确认之前不能下载；请告知另一位有权的人在本页确认。"),
        "agreed" => Some("已确认。申请人现在可以下载一次。"),
        "ended" => Some("这项申请没有生效。"),
        _ => None,
    };
    let outline = Outline {
        title: "导出检举控告人信息".into(),
        current: "/petition".into(),
        crumbs: vec![
            ("信访件".into(), "/petition?all=1".into()),
            ("导出检举控告人信息".into(), String::new()),
        ],
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| said.map(|s| (NoticeKind::Ok, s.to_owned()))),
        watermark: true,
        ..Outline::default()
    };
    let directory = call.app.directory()?;
    let (own, others): (Vec<&Request>, Vec<&Request>) = requests.iter().partition(|r| r.own);
    let may_ask = live.actor.scope(&KIND, Right::Identity) > Scope::Nothing;
    let mut shown = Vec::new();
    for (n, request) in others.into_iter().chain(own).enumerate() {
        shown.push(item(call, &directory, request, n)?);
    }
    let form = if may_ask { form(call, &directory)? } else { html! {} };
    view::framed(&call.app, live, outline, html! {
        @if shown.is_empty() {
            section.section { (layout::empty(Icon::Lock, "没有等您确认的申请，您也没有提出申请。", html! {})) }
        }
        @for request in shown { (request) }
        (form)
    })
}

/// A request, with what the person may do about it.
fn item(call: &Call, directory: &Directory, request: &Request, n: usize) -> Result<Markup> {
    let numbers = request.records.iter().take(SHOWN);
    let chip = match request.state {
        State::Wanted => ChipKind::Warn,
        State::Agreed => ChipKind::Info,
        State::Taken => ChipKind::Ok,
        State::Ended => ChipKind::Plain,
    };
    let second = request.second.map_or("—", |id| directory.account(id));
    Ok(html! {
        section.section {
            h3 { (request.at) "，" (directory.account(request.by)) " " (layout::chip(chip, request.state.label())) }
            (layout::props(&[
                ("理由", html! { (request.reason) }),
                ("件数", html! { (request.records.len()) }),
                ("处理人", html! { (second) }),
            ]))
            p { @for record in numbers {
                a href=(format!("/{}/{}", KIND.name, record.id)) {
                    @if KIND.number_of(record).is_empty() { "#" (record.id) } @else { (KIND.number_of(record)) }
                } " "
            } @if request.records.len() > SHOWN { "等" } }
            (answer(call, request, n)?)
        }
    })
}

fn answer(call: &Call, request: &Request, n: usize) -> Result<Markup> {
    let hidden = html! { (view::hidden(call.live()?)) input type="hidden" name="id" value=(request.id); };
    let proof = proof::fields(call, &n.to_string())?;
    Ok(html! {
        @match (request.state, request.own) {
            (State::Wanted, false) => form.form.form-narrow.no-print method="post" action="/identities/decide" {
                (hidden) (proof)
                p.help { "请核实理由和范围：确认后申请人可以把这些信息带出系统。" }
                div.form-bar {
                    button.btn.btn-primary type="submit" name="answer" value="agree" { "确认导出" }
                    button.btn type="submit" name="answer" value="refuse" formnovalidate { "不同意" }
                }
            },
            (State::Agreed, true) => form.form.form-narrow.no-print method="post" action="/identities/take" {
                (hidden) (proof)
                p.help { "只能下载一次。文件不加密，请存放在受控的介质上，用后销毁。" }
                div.form-bar {
                    button.btn.btn-primary type="submit" { "下载（xlsx）" }
                    button.btn type="submit" formaction="/identities/decide" formnovalidate { "撤回申请" }
                }
            },
            (State::Wanted, true) => form.no-print method="post" action="/identities/decide" {
                (hidden)
                div.form-bar { button.btn type="submit" { "撤回申请" } }
            },
            _ => {},
        }
    })
}

fn form(call: &Call, directory: &Directory) -> Result<Markup> {
    let list = list_of(call);
    let reached = call.app.identities_below(&call.live()?.actor, &list);
    let reached = reached.map_or_else(|e| e.public().to_owned(), |n| format!("{n} 件有检举控告人信息"));
    let unit = list.units.first().map_or("您能查看的全部单位", |id| directory.unit(*id));
    let state = list.state.map_or("全部（作废的除外）", |s| KIND.flow.label(s));
    let days = match (said(call, "from"), said(call, "to")) {
        (from, to) if from.is_empty() && to.is_empty() => "不限".to_owned(),
        (from, to) => format!("{from} 至 {to}"),
    };
    Ok(html! {
        section.section.no-print {
            h2 { "提出申请" }
            form.form method="post" action=(HOME) {
                (view::hidden(call.live()?))
                @for name in FILTER { input type="hidden" name=(name) value=(said(call, name)); }
                (layout::props(&[
                    ("单位", html! { (unit) }),
                    ("状态", html! { (state) }),
                    ("收到日期", html! { (days) }),
                    ("范围内", html! { (reached) "，" a href="/petition?all=1" { "到列表筛选" } }),
                ]))
                div.field.wide {
                    label for="numbers" { "只导出其中几件" }
                    textarea #numbers name="numbers" rows="3" spellcheck="false" { "\n" (call.typed("numbers")) }
                    p.help { "每行一个编号或记录号；不填为上面范围内的全部，一次最多 " (limits::IDENTITIES) " 件。" }
                }
                div.field.wide {
                    label for="reason" { "导出理由 " em.req title="必填" { "*" } }
                    input #reason name="reason" required maxlength="200" value=(call.typed("reason"));
                    p.help { "记入日志，确认人和审计员可见；不要写案情和姓名。" }
                }
                (proof::fields(call, "ask")?)
                p.help {
                    "由本单位负责人或另一位可查看检举控告人的人确认后，您可以下载一次；申请后 "
                    (limits::IDENTITIES_S / 86_400) " 天内有效。"
                }
                div.form-bar { button.btn.btn-primary type="submit" { "提出申请" } }
            }
        }
    })
}
