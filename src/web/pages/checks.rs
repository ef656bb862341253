//! Drills and keys (演练与核对): when a set was last restored for trial, the certificate of it to print, and whether each
//! backup key can still be used by its holder. The system administrator changes what can be changed.

use maud::{Markup, html};

use crate::app::checks::{Certificate, ChecksPage, KeyCheck};
use crate::app::recipients::Holder;
use crate::backup;
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Sets how often drills and keys are due.
pub fn set(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    reply(call, call.app.set_checks(actor, call.typed("drill"), call.typed("key")).map(|()| "set"))
}

/// Makes a challenge for the holder of a key.
pub fn ask(call: &Call) -> Result<Reply> {
    reply(call, call.app.ask_key(&call.live()?.actor, call.typed("recipient")).map(|()| "asked"))
}

/// Takes the answer to one.
pub fn answer(call: &Call) -> Result<Reply> {
    let answer = call.app.answer_key(&call.live()?.actor, call.typed("recipient"), call.typed("answer"));
    let wrong = "答案不对，已记录。请核对抄写，或请保管人确认用的是这把密钥。";
    reply(call, answer.and_then(|right| if right { Ok("right") } else { Err(Error::invalid(wrong)) }))
}

fn reply(call: &Call, outcome: Result<&str>) -> Result<Reply> {
    match outcome {
        Ok(done) => Ok(Reply::Redirect(format!("/backup/checks?done={done}"))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn crumbs(last: &str) -> Vec<(String, String)> {
    vec![("工作台".into(), "/".into()), ("备份".into(), "/backup".into()), (last.into(), String::new())]
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let view = call.app.checks_page(&live.actor)?;
    let said = match call.asked("done").as_str() {
        "set" => Some("周期已保存。"),
        "asked" => Some("核对题已生成，请打印或拷贝给保管人。"),
        "right" => Some("答案正确，这把密钥可以使用。"),
        _ => None,
    };
    let outline = Outline {
        title: "演练与核对".into(),
        current: "/backup".into(),
        crumbs: crumbs("演练与核对"),
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| said.map(|s| (NoticeKind::Ok, s.to_owned()))),
        ..Outline::default()
    };
    let drills = drills(&view);
    let keys: Result<Vec<Markup>> = view.recipients.iter().map(|r| key(call, &view, r)).collect();
    let keys = keys?;
    let cycle = cycle(call, &view)?;
    view::framed(&call.app, live, outline, html! {
        (drills)
        section.section {
            h2 { "密钥核对" span.count { (view.recipients.len()) } }
            @if keys.is_empty() { (layout::empty(Icon::Key, "还没有设置备份密钥。", html! {})) }
            @for key in &keys { (key) }
        }
        (cycle)
    })
}

fn drills(view: &ChecksPage) -> Markup {
    html! {
        section.section {
            h2 { "恢复演练" span.count { (view.checks.drills.len()) } }
            p.help {
                "由保管人带着密钥在服务器上运行 jiceng backup drill --from 备份目录 --identity 密钥文件 --dir 数据目录：\
                 完整恢复一次到临时目录，核对后清除，结果登记在这里。"
            }
            @if view.checks.drills.is_empty() {
                (layout::empty(Icon::Backup, "还没有做过恢复演练。", html! {}))
            } @else {
                div.table-wrap { table.list {
                    thead { tr {
                        th scope="col" { "时间" } th scope="col" { "备份" } th.num scope="col" { "记录" }
                        th.num scope="col" { "附件" } th.num scope="col" { "用时（秒）" } th scope="col" { "密钥指纹" }
                        th scope="col" { "证书" }
                    } }
                    tbody { @for d in view.checks.drills.iter().rev() { tr {
                        td.nowrap { (Moment(d.at)) }
                        td.mono { (d.set) }
                        td.num { (layout::grouped(d.records)) }
                        td.num { (layout::grouped(d.files)) }
                        td.num { (layout::grouped(d.seconds)) }
                        td.mono { (backup::key_print(&d.recipient)) }
                        td { a href=(format!("/backup/drills/{}", d.at)) { "打开" } }
                    } } }
                } }
            }
        }
    }
}

/// One key: when it was last tried, and the challenge that waits for an answer.
fn key(call: &Call, view: &ChecksPage, holder: &Holder) -> Result<Markup> {
    let recipient = holder.key.as_str();
    let known = view.checks.keys.get(recipient).cloned().unwrap_or_default();
    let KeyCheck { asked, passed, failed } = known;
    let when = |at: Option<i64>| at.map_or("从未".to_owned(), |at| Moment(at).to_string());
    let bad = failed.filter(|f| passed.is_none_or(|p| p < *f));
    let state = match (bad, passed) {
        (Some(at), _) => html! { (layout::chip(ChipKind::Bad, "上次答错")) " " (Moment(at)) },
        (None, Some(_)) => layout::chip(ChipKind::Ok, "可以使用"),
        (None, None) => layout::chip(ChipKind::Plain, "没有核对过"),
    };
    let forms = if view.may_change { forms(call, recipient, asked.is_some())? } else { html! {} };
    Ok(html! {
        h3 {
            "密钥 " span.mono { (backup::key_print(recipient)) }
            @if !holder.note.is_empty() { "（" (holder.note) "）" }
        }
        (layout::props(&[
            ("公钥", html! { span.mono { (recipient) } }),
            ("状况", state),
            ("最近一次答对", html! { (when(passed)) }),
        ]))
        @if let Some(asked) = &asked {
            p { "核对题（" (Moment(asked.at)) " 生成）：请保管人在自己的机器上运行 jiceng backup answer --identity 密钥文件，\
                 把答案交回。" }
            pre.mono { (asked.text) }
        }
        (forms)
    })
}

fn forms(call: &Call, recipient: &str, open: bool) -> Result<Markup> {
    let live = call.live()?;
    let id = format!("answer-{}", backup::key_print(recipient));
    Ok(html! {
        @if open {
            form.form method="post" action="/backup/checks/answer" {
                (view::hidden(live)) input type="hidden" name="recipient" value=(recipient);
                div.field {
                    label for=(id) { "答案" }
                    input type="text" id=(id) name="answer" autocomplete="off" spellcheck="false";
                    p.help { "20 位数字和字母，横线、空格和大小写不影响。" }
                }
                div.form-bar { button.btn.btn-primary type="submit" { "核对答案" } }
            }
        }
        form method="post" action="/backup/checks/ask" {
            (view::hidden(live)) input type="hidden" name="recipient" value=(recipient);
            div.form-bar { button.btn type="submit" { @if open { "换一道核对题" } @else { "生成核对题" } } }
        }
    })
}

fn cycle(call: &Call, view: &ChecksPage) -> Result<Markup> {
    let (drill, key) = (view.checks.drill_days.to_string(), view.checks.key_days.to_string());
    let typed = |name: &str, stored: &str| {
        let typed = call.typed(name);
        if typed.is_empty() { stored.to_owned() } else { typed.to_owned() }
    };
    let items = [
        ("恢复演练", html! { "每 " (drill) " 天至少一次" }),
        ("密钥核对", html! { "每 " (key) " 天至少一次" }),
    ];
    Ok(html! {
        section.section {
            h2 { "周期" }
            @if view.may_change {
                form.form method="post" action="/backup/checks" {
                    (view::hidden(call.live()?))
                    div.fields {
                        @for (name, label, stored) in [("drill", "恢复演练（天）", &drill), ("key", "密钥核对（天）", &key)] {
                            div.field {
                                label for=(name) { (label) " " em.req title="必填" { "*" } }
                                input type="text" id=(name) name=(name) value=(typed(name, stored)) autocomplete="off";
                                p.help { "超过这么久没有做，三员的每个页面和 doctor 都会提醒。" }
                            }
                        }
                    }
                    div.form-bar { button.btn.btn-primary type="submit" { "保存周期" } }
                }
            } @else { (layout::props(&items)) }
        }
    })
}

/// A certificate of a drill, for the printer.
pub fn certificate(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let view = call.app.checks_page(&live.actor)?;
    let at = call.param("at").parse::<i64>().ok();
    let found = view.checks.drills.into_iter().find(|d| Some(d.at) == at).ok_or_else(Error::denied)?;
    let outline = Outline {
        title: "备份恢复演练证书".into(),
        current: "/backup".into(),
        crumbs: crumbs("备份恢复演练证书"),
        ..Outline::default()
    };
    view::reply(&call.app, live, outline, sheet(&found, &call.app.facts().county))
}

fn sheet(certificate: &Certificate, county: &str) -> Markup {
    let lines: Vec<(&str, Markup)> =
        certificate.lines().into_iter().map(|(label, text)| (label, html! { (text) })).collect();
    let blank = || html! { span.blank { span.sr { "（手写）" } } };
    html! {
        p.help.no-print { "请用浏览器的打印功能打印（A4），由保管人和系统管理员签字后归档。" }
        section.section.sheet {
            h2 { (county) " 备份恢复演练证书" }
            p { "下列备份已由保管人用备份密钥完整恢复一次，记录数、内容摘要、日志链头、附件与备份清单一致；临时恢复的内容已清除。" }
            (layout::props(&lines))
            (layout::props(&[("保管人签字、日期", blank()), ("系统管理员签字、日期", blank())]))
        }
    }
}
