//! Step 3 of the set-up: who can open backups, the sheet about the keys, where backups go, and the first one, written
//! and verified before the set-up can end.

use maud::{Markup, html};

use super::{Said, hidden, ok, onward, step, told};
use crate::app::backup::ScheduleError;
use crate::app::recipients::Holder;
use crate::app::setup::wizard::SetupPage;
use crate::backup::schedule::{Schedule, Typed};
use crate::backup;
use crate::base::{Result, limits};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::backup::{line, progress};
use crate::web::pages::keysheet;
use crate::web::respond::Reply;
use crate::web::view;

/// A problem beside a field.
type Problems = [(&'static str, String)];

/// The step.
pub fn show(call: &Call) -> Result<Reply> {
    let said = match call.asked("done").as_str() {
        "keys" => ok("备份密钥已设置。请打印密钥保管单，由保管人签字。"),
        "target" => ok("备份目标已设置，并在盘上做了标记。"),
        _ => None,
    };
    page(call, said, &[]).map(Reply::page)
}

/// Sets the keys or the target, or begins the first backup.
pub fn set(call: &Call) -> Result<Reply> {
    let token = call.wizard()?;
    let done = match call.typed("do") {
        "keys" => call.app.set_up_recipients(token, call.text("recipients")).map(|()| "keys"),
        "target" => match call.app.set_up_target(token, &typed(call)) {
            Ok(()) => Ok("target"),
            Err(ScheduleError::Problems(problems)) => {
                let said = Some((NoticeKind::Bad, "备份目标没有保存，请修改标出的各项。".to_owned()));
                return page(call, said, &problems).map(Reply::again);
            }
            Err(ScheduleError::Other(e)) => Err(e),
        },
        _ => call.app.set_up_backup(token).map(|()| "run"),
    };
    match done {
        Ok(done) => Ok(Reply::Redirect(format!("/setup/backup?done={done}"))),
        Err(e) => page(call, told(e)?, &[]).map(Reply::again),
    }
}

/// The sheet about the keys, to be printed.
pub fn keys(call: &Call) -> Result<Reply> {
    let view = call.app.setup_page(call.wizard()?)?;
    Ok(Reply::page(view::bare_wide(&call.app, "密钥保管单", html! {
        (keysheet::sheet(call, &view.backup))
        p.no-print { a.btn href="/setup/backup" { "回到初始化" } }
    })))
}

/// What is not asked here is what the page for backups begins with; the system administrator changes it there.
fn typed(call: &Call) -> Typed {
    Typed {
        days: (1..=7).map(|d| d.to_string()).collect(),
        times: call.typed("times").to_owned(),
        target: call.typed("target").to_owned(),
        keep: "7".into(),
        daily: "14".into(),
        weekly: "8".into(),
        monthly: "12".into(),
        alarm_hours: limits::ALARM_HOURS.to_string(),
    }
}

fn page(call: &Call, said: Said, problems: &Problems) -> Result<Markup> {
    let view = call.app.setup_page(call.wizard()?)?;
    let content = if view.backup.waits { under_way(call, &view) } else { forms(call, &view, problems)? };
    Ok(step(call, (&view, 2), said, content))
}

fn under_way(call: &Call, view: &SetupPage) -> Markup {
    html! {
        section.section {
            h2 { "首次备份" }
            @match &view.backup.job {
                Some(job) => (progress(job, call.app.now())),
                None => (layout::progress("正在准备", 0, 1, "")),
            }
            p.help { "备份写出后会读回、解密、装入临时库核对，全部一致才算成功。本页自动刷新，可以离开再回来。" }
            p { a.btn href="/setup/backup" { "刷新" } }
        }
    }
}

fn forms(call: &Call, view: &SetupPage, problems: &Problems) -> Result<Markup> {
    let (keys, target) = (!view.backup.recipients.is_empty(), view.backup.schedule.is_some());
    Ok(html! {
        section.section {
            h2 { "一、备份密钥" @if keys { span.count { (view.backup.recipients.len()) } } }
            @if keys {
                ul.lines { @for r in &view.backup.recipients { li {
                    span.mono.grow { (backup::key_print(&r.key)) } span { (r.note) }
                } } }
                div.form-bar { a.btn href="/setup/keys" { (Icon::Print.svg()) "打印密钥保管单" } }
            }
            (folded(keys, "更改备份密钥", &recipients(call, view)?))
        }
        section.section {
            h2 { "二、备份目标" }
            @if let Some(s) = &view.backup.schedule {
                (layout::props(&[("目标", html! { span.mono { (s.target) } }), ("时间", html! { (s.words()) })]))
            }
            @if let Some(why) = &view.backup.unreachable { (layout::notice(NoticeKind::Bad, why)) }
            @if view.backup.same_disk {
                (layout::notice(NoticeKind::Warn, "备份目标与数据在同一块盘上：盘坏时会一起丢失。请改到另一块盘。"))
            }
            (folded(target && problems.is_empty(), "更改备份目标", &place(call, view, problems)?))
        }
        section.section {
            h2 { "三、首次备份" }
            (first(call, view)?)
        }
        @if view.verified.is_some() { (onward("/setup/finish", "下一步：完成")) }
    })
}

/// A form that is seldom needed again once it was saved.
fn folded(saved: bool, label: &str, form: &Markup) -> Markup {
    html! { @if saved { details { summary { (label) } (form) } } @else { (form) } }
}

fn recipients(call: &Call, view: &SetupPage) -> Result<Markup> {
    let typed = call.text("recipients");
    let now = view.backup.recipients.iter().map(Holder::line).collect::<Vec<_>>().join("\n");
    Ok(html! {
        form.form method="post" action="/setup/backup" {
            (hidden(call)?)
            div.field.wide {
                label for="recipients" { "接收方 " em.req title="必填" { "*" } }
                textarea #recipients.mono name="recipients" rows="4" spellcheck="false"
                    aria-describedby="recipients-h" {
                    "\n" (if typed.is_empty() { &now } else { typed })
                }
                p.help #recipients-h {
                    "每行一个 age1…，后面空一格可写保管人或用途；至少 " (limits::RECIPIENTS_MIN)
                    " 个，分别由两名保管人在另一台机器上用 jiceng backup keygen 生成。备份只有他们的密钥能打开，本机不存私钥。"
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" name="do" value="keys" { "保存备份密钥" } }
        }
    })
}

fn place(call: &Call, view: &SetupPage, problems: &Problems) -> Result<Markup> {
    let now = view.backup.schedule.as_ref();
    let shown = |name: &str, saved: Option<String>, first: &str| match call.typed(name) {
        "" => saved.unwrap_or_else(|| first.to_owned()),
        typed => typed.to_owned(),
    };
    let words = |s: &Schedule| s.times.iter().map(ToString::to_string).collect::<Vec<_>>();
    let target = shown("target", now.map(|s| s.target.clone()), "");
    let times = shown("times", now.map(|s| words(s).join(" ")), "02:00");
    let roots: Vec<String> = view.backup.roots.iter().map(|r| r.display().to_string()).collect();
    let problem = |name: &str| problems.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_str());
    let help = format!("备份盘上的目录，必须在 {} 之下；系统会在盘上写一个标记文件。", roots.join("、"));
    Ok(html! {
        form.form method="post" action="/setup/backup" {
            (hidden(call)?)
            div.fields {
                (line("target", "备份目标", &target, (&help, problem("target"))))
                (line("times", "每天的时刻", &times, ("北京时间，24 小时制，多个用空格隔开；保留多久等以后可在“备份”页更改。",
                    problem("times"))))
            }
            div.form-bar { button.btn.btn-primary type="submit" name="do" value="target" { "保存备份目标" } }
        }
    })
}

fn first(call: &Call, view: &SetupPage) -> Result<Markup> {
    let failed = view.backup.state.last.as_ref().and_then(|l| l.error.as_ref());
    let lacking: Vec<&str> = [
        (view.people.is_empty(), "登记三员（第二步）"),
        (view.backup.recipients.is_empty(), "备份密钥"),
        (view.backup.schedule.is_none(), "备份目标"),
    ]
    .into_iter()
    .filter_map(|(lacks, what)| lacks.then_some(what))
    .collect();
    Ok(html! {
        @if let Some(at) = view.verified {
            p { (layout::chip(ChipKind::Ok, "已写出并恢复核验")) " " (at) }
        } @else if let Some(error) = failed {
            (layout::notice(NoticeKind::Bad, &format!("上一次备份失败：{error}")))
        }
        @if lacking.is_empty() {
            form method="post" action="/setup/backup" {
                (hidden(call)?)
                div.form-bar {
                    button.btn.btn-primary[view.verified.is_none()] type="submit" name="do" value="run" {
                        (Icon::Backup.svg()) @if view.verified.is_some() { "再备份一次" } @else { "立即备份并核验" }
                    }
                }
            }
        } @else {
            p.help { "还不能备份，先要：" (lacking.join("、")) "。" }
        }
    })
}
