//! Change of a person in the pages (人员变更交接、三员更换): the way to open it on the page of an account, what lies with the
//! person and who takes it, and what is left to be done. The system administrator sees how much is open and, once it
//! was handed over, its numbers; never a title.

pub mod report;

use maud::{Markup, html};

use crate::app::handover::{Handed, OpenItem, View};
use crate::app::names::Directory;
use crate::base::{Error, ErrorKind, RecordId, Result};
use crate::records::handover::{self, KIND, state, tag};
use crate::records::{Kind, Record, account};
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::record;
use crate::web::respond::Reply;
use crate::web::view;

/// Opens the handover of an account.
pub fn open(call: &Call) -> Result<Reply> {
    of(call, &account::KIND)?;
    begun(call, call.app.open_handover(&call.live()?.actor, call.id()?, &call.raw), "opened")
}

/// Asks that an administrator be replaced.
pub fn ask(call: &Call) -> Result<Reply> {
    of(call, &account::KIND)?;
    begun(call, call.app.ask_replacement(&call.live()?.actor, call.id()?, &call.raw), "wanted")
}

/// Gives work to successors.
pub fn assign(call: &Call) -> Result<Reply> {
    of(call, &KIND)?;
    match call.app.assign(&call.live()?.actor, call.id()?, &call.raw) {
        Ok((done, skipped)) => back(call, &format!("assigned&n={done}&left={skipped}")),
        Err(e) => refused(call, e),
    }
}

/// Finishes a handover, or confirms that an administrator is replaced.
pub fn finish(call: &Call) -> Result<Reply> {
    of(call, &KIND)?;
    let (actor, id) = (&call.live()?.actor, call.id()?);
    let replaces = call.typed("what") == "replacement";
    let done = if replaces { call.app.confirm_replacement(actor, id) } else { call.app.finish_handover(actor, id) };
    match done {
        Ok(()) => back(call, if replaces { "replaced" } else { "left" }),
        Err(e) => refused(call, e),
    }
}

/// Ends a handover, or a request to replace an administrator.
pub fn end(call: &Call) -> Result<Reply> {
    of(call, &KIND)?;
    let (actor, id) = (&call.live()?.actor, call.id()?);
    let replaces = call.typed("what") == "replacement";
    match if replaces { call.app.end_replacement(actor, id) } else { call.app.end_handover(actor, id) } {
        Ok(()) => back(call, "ended"),
        Err(e) => refused(call, e),
    }
}

fn of(call: &Call, kind: &'static Kind) -> Result<()> {
    if call.kind()?.tag == kind.tag { Ok(()) } else { Err(Error::denied()) }
}

fn begun(call: &Call, made: Result<RecordId>, done: &str) -> Result<Reply> {
    match made {
        Ok(id) => Ok(Reply::Redirect(format!("/{}/{id}?done={done}", KIND.name))),
        Err(e) => refused(call, e),
    }
}

fn back(call: &Call, done: &str) -> Result<Reply> {
    Ok(Reply::Redirect(format!("/{}/{}?done={done}", KIND.name, call.id()?)))
}

fn refused(call: &Call, e: Error) -> Result<Reply> {
    if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Stale) { record::again(call, e.public()) } else { Err(e) }
}

/// What the page says after a step.
pub(super) fn done(call: &Call, change: &Record, what: &str) -> Option<(NoticeKind, String)> {
    let count = |name: &str| call.asked(name).parse::<usize>().unwrap_or(0);
    let name = change.fields.text(tag::NAME);
    let text = match what {
        "opened" => format!("已发起。请通知“{}”的负责人（或信访室）为{name}的未结工作指定接手人。", unit_of(change)),
        "wanted" => "申请已提交，等待第三名管理员确认。7 天内有效。".to_owned(),
        "assigned" => match count("left") {
            0 => format!("已交接 {} 项。", count("n")),
            left => format!("已交接 {} 项；另有 {left} 件所选的人不能接收，请逐件另选。", count("n")),
        },
        "left" => format!("已完成：{name}的权限已收回，会话已结束。请打印变更报告报上级纪委。"),
        "replaced" => "已更换：原管理员的账户已停用。请由另外两名管理员在接任人的账户页发一次性口令并确认。".to_owned(),
        "ended" => "已撤回，账户没有改变。".to_owned(),
        _ => return None,
    };
    let kind = if count("left") > 0 { NoticeKind::Warn } else { NoticeKind::Ok };
    Some((kind, text))
}

fn unit_of(change: &Record) -> &str {
    change.fields.text(tag::UNIT_NAME)
}

/// On the page of an account: the way to begin, behind one more click.
pub(super) fn section(call: &Call, record: &Record) -> Result<Markup> {
    let actor = &call.live()?.actor;
    Ok(match () {
        () if call.app.may_open_handover(actor, record) => begin(call, record)?,
        () if call.app.may_ask_replacement(actor, record) => replace(call, record)?,
        () => html! {},
    })
}

fn begin(call: &Call, record: &Record) -> Result<Markup> {
    let tried = call.path.ends_with("/handover");
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "人员变更交接" }
                form.form method="post" action=(format!("/account/{}/handover", record.id)) {
                    (view::hidden(call.live()?))
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    div.fields {
                        (choice(call, "cause", "事由", handover::CAUSES.entries.iter().map(|e| (e.code, e.label))))
                        (choice(call, "outcome", "交接后", handover::OUTCOMES.entries.iter().map(|e| (e.code, e.label))))
                        div.field.wide {
                            label for="note" { "说明" }
                            input #note name="note" maxlength="200" value=(call.typed("note"));
                            p.help {
                                "发起后由所在单位负责人（或信访室）为未结工作和草稿指定接手人，全部交接后由您在“人员变更”中完成："
                                "收回权限、结束会话、作废动态码、停用账户一次办理。您只看到件数和编号，看不到内容。"
                            }
                        }
                    }
                    div.form-bar { button.btn type="submit" { "发起交接" } }
                }
            }
        }
    })
}

fn replace(call: &Call, record: &Record) -> Result<Markup> {
    let tried = call.path.ends_with("/replace");
    let line = |name: &'static str, label: &'static str, required: bool, help: &'static str| html! {
        div.field {
            label for=(name) { (label) @if required { " " em.req title="必填" { "*" } } }
            input id=(name) name=(name) value=(call.typed(name)) maxlength="60" autocomplete="off";
            @if !help.is_empty() { p.help { (help) } }
        }
    };
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "更换这名管理员" }
                form.form method="post" action=(format!("/account/{}/replace", record.id)) {
                    (view::hidden(call.live()?))
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    div.fields {
                        (line("successor_login", "接任人登录名", true, "新的登录名，或没有任何角色的已有账户"))
                        (line("successor_name", "接任人姓名", true, ""))
                        (line("successor_post", "接任人职务", false, "新账户用；单位与原管理员相同"))
                        (choice(call, "cause", "事由", handover::CAUSES.entries.iter().map(|e| (e.code, e.label))))
                        div.field.wide {
                            label for="note" { "说明" }
                            input #note name="note" maxlength="200" value=(call.typed("note"));
                            p.help {
                                "由第三名管理员确认后一次生效：原管理员失去岗位、会话结束、动态码作废、账户停用，接任人任职。"
                                "被更换的人不参与。申请 7 天内有效。确认后不能撤销。"
                            }
                        }
                    }
                    div.form-bar { button.btn.btn-danger type="submit" { "申请更换" } }
                }
            }
        }
    })
}

fn choice<'a>(
    call: &Call,
    name: &'static str,
    label: &'static str,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) " " em.req title="必填" { "*" } }
            select id=(name) name=(name) {
                option value="" { "请选择" }
                @for (code, words) in entries {
                    option value=(code) selected[call.typed(name) == code] { (words) }
                }
            }
        }
    }
}

/// On the page of a change of person: what was handed over, what is left, and what may be done now.
pub(super) fn facts(call: &Call, record: &Record) -> Result<Markup> {
    if record.kind != KIND.tag {
        return Ok(html! {});
    }
    let actor = &call.live()?.actor;
    let (view, directory) = (call.app.handover_view(actor, record)?, call.app.directory()?);
    Ok(html! {
        @if record.state == state::ASKED { (replacement(call, record, &view, &directory)?) }
        @if view.left.is_some() || !view.alone.is_empty() { (standing(&view)) }
        @if view.assigns { (to_assign(call, record, &view)?) }
        @if !handover::replaces(&record.fields) { (list(&view.handed, &directory)) }
        @if view.finishes { (finishing(call, record, &view)?) }
    })
}

/// How much is left, without saying what.
fn standing(view: &View) -> Markup {
    html! {
        section.section {
            h2 { "未交接" }
            @if let Some(left) = view.left {
                (layout::props(&[
                    ("未结工作", html! { (left.records) " 件" }),
                    ("草稿", html! { (left.drafts) " 份" }),
                ]))
            }
            @if view.in_memory > 0 {
                p { (Icon::Warn.svg()) " 另有 " (view.in_memory)
                    " 份职级未填全的草稿只在内存中，不能交接，完成后即丢弃。请本人先登记或另行处理。" }
            }
            @if !view.alone.is_empty() {
                p { (Icon::Warn.svg()) " " (view.alone.join("、"))
                    "除此人外本单位没有人可以办理。请安全保密管理员先给接任的人授予角色，否则不能完成。" }
            }
        }
    }
}

fn to_assign(call: &Call, record: &Record, view: &View) -> Result<Markup> {
    if view.open.is_empty() && view.drafts == 0 {
        return Ok(html! { section.section { h2 { "指定接手人" } p.muted { "没有需要您指定接手人的工作。" } } });
    }
    let heirs: Vec<&(RecordId, String)> = view.heirs.iter().collect();
    let more = view.open_count.saturating_sub(view.open.len());
    Ok(html! {
        section.section.no-print {
            h2 { "指定接手人" span.count { (view.open_count) } }
            form.form method="post" action=(format!("/{}/{}/assign", KIND.name, record.id)) {
                (view::hidden(call.live()?))
                input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                @if !view.open.is_empty() { (items(call, view)) }
                div.fields {
                    @if !view.open.is_empty() {
                        (heir_select(call, "rest", "上面没有逐件指定的，全部交给", &heirs))
                    }
                    @if view.drafts > 0 {
                        (heir_select(call, "drafts", &format!("未登记的草稿 {} 份，交给", view.drafts), &heirs))
                    }
                }
                @if more > 0 { p.help { "还有 " (more) " 件，交接这一页后接着显示。" } }
                p.help { "接手人须是同一单位的经办人，且不在回避之列。交接后记录上显示新的承办人。" }
                div.form-bar { button.btn.btn-primary type="submit" { "交接" } }
            }
        }
    })
}

fn items(call: &Call, view: &View) -> Markup {
    let heir = |id: &RecordId| view.heirs.iter().find(|(h, _)| h == id).map_or("—", |(_, name)| name.as_str());
    let select = |o: &OpenItem| {
        let name = format!("to.{}", o.record.id);
        let chosen = call.typed(&name).to_owned();
        html! {
            input type="hidden" name="item" value=(o.record.id);
            @if o.heirs.is_empty() { span.muted { "没有可以接手的人" } }
            @else {
                select name=(name) aria-label=(format!("接手人 {}", o.kind.number_of(&o.record))) {
                    option value="" { "—" }
                    @for id in &o.heirs { option value=(id) selected[chosen == id.to_string()] { (heir(id)) } }
                }
            }
        }
    };
    html! { div.table-wrap { table.list {
        thead { tr { @for head in ["编号", "标题", "状态", "接手人"] { th scope="col" { (head) } } } }
        tbody { @for o in &view.open { tr {
            td.nowrap { (o.kind.number_of(&o.record)) }
            td.clip title=(o.kind.title_of(&o.record)) {
                a.row-link href=(format!("/{}/{}", o.kind.name, o.record.id)) { (o.kind.title_of(&o.record)) }
            }
            td.nowrap { (view::state_chip(o.kind, o.record.state)) }
            td { (select(o)) }
        } } }
    } } }
}

fn heir_select(call: &Call, name: &str, label: &str, heirs: &[&(RecordId, String)]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "暂不交接" }
                @for (id, words) in heirs.iter() {
                    option value=(id) selected[call.typed(name) == id.to_string()] { (words) }
                }
            }
        }
    }
}

fn list(handed: &[Handed], directory: &Directory) -> Markup {
    html! {
        section.section {
            h2 { "交接清单" span.count { (handed.len()) } }
            @if handed.is_empty() { p.muted { "还没有交接的工作。" } }
            @else { (table(handed, directory, true)) }
        }
    }
}

fn table(handed: &[Handed], directory: &Directory, links: bool) -> Markup {
    html! { div.table-wrap { table.list {
        thead { tr { @for head in ["编号", "接手人", "指定人", "时间"] { th scope="col" { (head) } } } }
        tbody { @for h in handed { tr {
            td.nowrap { @match h.link.filter(|_| links) {
                Some((kind, id)) => a href=(format!("/{}/{id}", kind.name)) { (h.number) },
                None => (h.number),
            } }
            td { (h.to) }
            td { (directory.account(h.by)) }
            td.nowrap { (h.at) }
        } } }
    } } }
}

fn finishing(call: &Call, record: &Record, view: &View) -> Result<Markup> {
    let live = call.live()?;
    let ready = view.left.is_some_and(|l| l == crate::app::handover::Left::default()) && view.alone.is_empty();
    let keeps = record.fields.text(tag::OUTCOME) == handover::KEEP;
    let what = if keeps { "收回全部权限、结束会话、作废动态码，账户保留" } else { "收回全部权限、结束会话、作废动态码、停用账户" };
    let action = |name: &str| format!("/{}/{}/{name}", KIND.name, record.id);
    Ok(html! {
        section.section.no-print {
            h2 { "完成" }
            p { @if ready { "已没有未交接的工作。完成后一次办理：" (what) "。不能撤销。" }
                @else { "还有未交接的工作，现在不能完成。" } }
            div.inline {
                form method="post" action=(action("finish")) {
                    (view::hidden(live))
                    button.btn.btn-primary[ready] type="submit" { "完成交接" }
                }
                form method="post" action=(action("end")) {
                    (view::hidden(live))
                    button.btn type="submit" { "撤回" }
                }
            }
        }
    })
}

fn replacement(call: &Call, record: &Record, view: &View, directory: &Directory) -> Result<Markup> {
    let (live, may) = (call.live()?, view.replacement);
    let button = |name: &str, class: &str, label: &str| html! {
        form method="post" action=(format!("/{}/{}/{name}", KIND.name, record.id)) {
            (view::hidden(live))
            input type="hidden" name="what" value="replacement";
            button class=(class) type="submit" { (label) }
        }
    };
    let own = record.creator == live.actor.account;
    Ok(html! {
        section.section {
            h2 { "等待确认" }
            p { (directory.account(record.creator)) " 申请把" (account::ROLES.label(record.fields.text(tag::ROLE)))
                "由“" (record.fields.text(tag::NAME)) "”更换为“" (record.fields.text(tag::SUCCESSOR_NAME)) "”（登录名 "
                (record.fields.text(tag::SUCCESSOR_LOGIN)) "，"
                (if record.fields.link(tag::SUCCESSOR).is_some() { "现有账户" } else { "新账户" }) "）。" }
            p.help { "由既不是申请人、也不是被更换的人的第三名管理员确认，7 天内有效。请先向本人核实接任人的身份。确认后不能撤销。" }
            @if may.lapsed { p { (Icon::Warn.svg()) " 申请已超过 7 天，不能再确认。" } }
            @if may.end {
                div.inline.no-print {
                    @if may.confirm { (button("finish", "btn btn-danger", "确认更换")) }
                    (button("end", "btn", if own { "撤回" } else { "不同意" }))
                }
            }
        }
    })
}

/// What waits, on the desk.
pub(super) fn card(call: &Call) -> Result<Markup> {
    let open = call.app.open_handovers(&call.live()?.actor)?;
    Ok(html! {
        @if !open.is_empty() {
            section.card {
                h2 { "人员变更" span.count { (open.len()) } }
                ul.lines { @for r in &open { li {
                    (view::state_chip(&KIND, r.state))
                    a.grow href=(format!("/{}/{}", KIND.name, r.id)) { (r.fields.text(tag::NAME)) }
                    span.muted.small { (unit_of(r)) }
                    span.when { (r.fields.day(tag::DAY)) }
                } } }
            }
        }
    })
}
