//! Backups as the three administrators see them: what is under way, the schedule, the sets in the target, who can open
//! them. The system administrator changes what can be changed; the other two look.

use maud::{Markup, html};

use crate::app::backup::{BackupPage, ScheduleError, Shown};
use crate::app::runner::Job;
use crate::backup::schedule::{By, Schedule, Typed};
use crate::backup::Progress;
use crate::base::{ErrorKind, Moment, Result, limits};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Seconds between two looks at a run.
const REFRESH_S: u32 = 3;
/// Sets shown at most.
const SETS_SHOWN: usize = 60;
/// Steps of a run that take their time: attachments, writing, reading back.
const STEPS: u64 = 3;
const DAYS: [&str; 7] = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];

/// A problem beside a field.
type Problems = [(&'static str, String)];

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None, &[]).map(Reply::page)
}

/// Sets the recipients, where there are none.
pub fn set_recipients(call: &Call) -> Result<Reply> {
    let typed = call.typed("recipients");
    answer(call, call.app.proving(call.live()?, &call.own, |actor| call.app.set_recipients(actor, typed)), "keys")
}

/// Sets the schedule and marks its target.
pub fn set_schedule(call: &Call) -> Result<Reply> {
    match call.app.set_schedule(&call.live()?.actor, &typed(call)) {
        Ok(()) => Ok(Reply::Redirect("/backup?done=schedule".into())),
        Err(ScheduleError::Problems(problems)) => {
            page(call, Some("备份计划没有保存，请修改标出的各项。"), &problems).map(Reply::again)
        }
        Err(ScheduleError::Other(e)) => Err(e),
    }
}

/// Begins a run now.
pub fn run(call: &Call) -> Result<Reply> {
    answer(call, call.app.back_up_now(&call.live()?.actor), "run")
}

/// Asks the run under way to end.
pub fn cancel(call: &Call) -> Result<Reply> {
    answer(call, call.app.cancel_backup(&call.live()?.actor), "cancel")
}

/// Replaces the generation of keys that purges left behind.
pub fn rotate(call: &Call) -> Result<Reply> {
    answer(call, call.app.proving(call.live()?, &call.own, |actor| call.app.rotate_for_purges(actor)), "rotate")
}

/// Confirms that a restored store is right.
pub fn confirm(call: &Call) -> Result<Reply> {
    answer(call, call.app.confirm_restore(&call.live()?.actor), "confirmed")
}

fn answer(call: &Call, outcome: Result<()>, done: &str) -> Result<Reply> {
    match outcome {
        Ok(()) => Ok(Reply::Redirect(format!("/backup?done={done}"))),
        Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Busy) => {
            page(call, Some(e.public()), &[]).map(Reply::again)
        }
        Err(e) => Err(e),
    }
}

fn page(call: &Call, problem: Option<&str>, problems: &Problems) -> Result<Markup> {
    let live = call.live()?;
    let view = call.app.backup_page(&live.actor)?;
    let said = match call.asked("done").as_str() {
        "keys" => Some("备份密钥已设置。"),
        "schedule" => Some("备份计划已保存，备份目标已做标记。"),
        "run" if view.waits => Some("备份已经开始，可以离开本页。"),
        "scrub" if call.app.scrub_progress().is_some() => Some("数据自检已经开始，可以离开本页。"),
        "confirmed" => Some("您的确认已记录。"),
        "rotate" => Some("密钥代的更换已经开始，可以离开本页。"),
        "cancel" if view.waits => Some("正在取消备份。"),
        _ => None,
    };
    let running = (view.waits || call.app.scrub_progress().is_some()) && problem.is_none();
    let outline = Outline {
        title: "备份".into(),
        current: "/backup".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("备份".into(), String::new())],
        notice: problem
            .map(|p| (NoticeKind::Bad, p.to_owned()))
            .or_else(|| said.map(|s| (NoticeKind::Ok, s.to_owned()))),
        actions: Some(html! {
            a.btn href="/backup/checks" { (Icon::Check.svg()) "演练与核对" }
            a.btn href="/backup/keys" { (Icon::Key.svg()) "密钥保管单" }
        }),
        refresh: running.then_some(REFRESH_S),
        ..Outline::default()
    };
    view::framed(&call.app, live, outline, html! {
        (resting(call)?)
        (state(call, &view)?)
        (schedule(call, &view, problems)?)
        (sets(&view))
        (super::scrub::section(call)?)
        (super::purge::keys_section(call)?)
        section.section {
            h2 { "备份密钥" span.count { (view.recipients.len()) } }
            @if !view.recipients.is_empty() {
                ul.lines { @for r in &view.recipients { li {
                    span.mono.grow { (r.key) } @if !r.note.is_empty() { span { (r.note) } }
                } } }
                p.help { a href="/backup/recipients" { "更换备份密钥" } "（由系统管理员提出，另一名管理员确认）" }
            } @else if view.may_change { (recipients_form(call)?) }
            @else { (layout::empty(Icon::Key, "还没有设置备份密钥，请系统管理员设置。", html! {})) }
        }
    })
}

/// A restored store that nobody may work in yet: what is to be looked at, and the way to say that it is right.
fn resting(call: &Call) -> Result<Markup> {
    let Some(resting) = call.app.resting()? else { return Ok(html! {}) };
    let skipped = if resting.skipped.is_empty() { "没有".to_owned() } else { resting.skipped.join("、") };
    let items = [
        ("恢复自", html! { span.mono { (resting.set) } }),
        ("空号", html! { (skipped) }),
        ("已确认", html! { (resting.confirmed.len()) " 人，须三员中的 " (limits::RESTORE_CONFIRMED_BY) " 人" }),
    ];
    Ok(html! {
        section.section {
            h2 { "恢复确认" }
            p.help {
                "数据刚从备份恢复，现在只能查看。请核对最近的信访件、编号和账户，与纸质登记一致后确认；空号不再使用，                 备份之后的登记须重新录入。"
            }
            (layout::props(&items))
            form method="post" action="/backup/confirm" {
                (view::hidden(call.live()?))
                div.form-bar { button.btn.btn-primary type="submit" { (Icon::Check.svg()) "确认恢复无误" } }
            }
        }
    })
}

fn state(call: &Call, view: &BackupPage) -> Result<Markup> {
    let last = view.state.last.as_ref();
    let word = |text: Option<&String>| text.map_or_else(|| html! {}, |t| html! { (t) });
    let away = call.app.offsite()?.map_or("没有设置".to_owned(), |s| s.words());
    let items = [
        ("异地", html! { (away) }),
        ("最近一次已验证", html! { (view.last.map_or("还没有".to_owned(), |at| at.to_string())) }),
        ("下一次", html! { (view.next.map_or("没有安排".to_owned(), |at| at.to_string())) }),
        ("上一次结果", html! { @if let Some(last) = last {
            (Moment(last.at)) " " (last.by.label()) " "
            @if last.error.is_some() { (layout::chip(ChipKind::Bad, "失败")) }
            @else { (layout::chip(ChipKind::Ok, "已写出并恢复核验")) }
        } }),
        ("失败原因", word(last.and_then(|l| l.error.as_ref()))),
        ("本机损坏", word(last.and_then(|l| l.damage.as_ref()))),
        ("没有清理", word(last.and_then(|l| l.kept.as_ref()))),
    ];
    Ok(html! {
        section.section {
            h2 { "状态" }
            @if let Some(job) = &view.job { (progress(job, call.app.now())) }
            @else if view.waits { (layout::progress("正在准备", 0, 1, "")) }
            (layout::props(&items))
            @if view.may_change { (buttons(call, view)?) }
        }
    })
}

fn buttons(call: &Call, view: &BackupPage) -> Result<Markup> {
    let live = call.live()?;
    Ok(html! {
        div.form-bar {
            @if view.job.is_some() {
                form method="post" action="/backup/cancel" {
                    (view::hidden(live)) button.btn.btn-danger type="submit" { "取消备份" }
                }
            } @else if view.next.is_some() && !view.waits {
                form method="post" action="/backup/run" {
                    (view::hidden(live)) button.btn.btn-primary type="submit" { (Icon::Backup.svg()) "立即备份" }
                }
            }
            p.help { "备份在后台进行，不影响使用；关闭本页不会中断，随时可以回来查看。" }
        }
    })
}

/// How far the step is that a run is at, its rate and what is left of it.
pub(super) fn progress(job: &Job, now: Moment) -> Markup {
    let (label, step, unit, amount) = match job.progress {
        None => ("正在准备", 0, "", None),
        Some(Progress::Pooling(a)) => ("正在存附件", 0, "个", Some(a)),
        Some(Progress::Writing(a)) => ("正在写出", 1, "行", Some(a)),
        Some(Progress::Verifying(a)) => ("正在恢复核验", 2, "行", Some(a)),
        Some(Progress::Checking) => ("正在核对内容", STEPS, "", None),
        Some(Progress::Signing) => ("正在签名", STEPS, "", None),
    };
    let Some(a) = amount else { return layout::progress(label, step, STEPS, "") };
    let all = a.of.max(a.bytes).max(1);
    let seconds = u64::try_from(now.seconds_since(job.step)).unwrap_or(0);
    let mut rate = format!("{} {unit}，{}", layout::grouped(a.rows), view::size(a.bytes));
    if seconds > 0 && a.bytes > 0 {
        let left = (all - a.bytes) * seconds / a.bytes;
        rate.push_str(&format!("，每秒 {}，本步约剩 {}", view::size(a.bytes / seconds), duration(left)));
    }
    layout::progress(label, step * all + a.bytes, STEPS * all, &rate)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} 秒"),
        90..5_400 => format!("{} 分钟", seconds.div_ceil(60)),
        _ => format!("{} 小时", seconds.div_ceil(3_600)),
    }
}

fn schedule(call: &Call, view: &BackupPage, problems: &Problems) -> Result<Markup> {
    let words = |s: &Schedule| [
        ("时间", html! { (s.words()) }),
        ("目标", html! { span.mono { (s.target) } }),
        ("保留", html! { (s.kept.words()) }),
        ("提醒", html! { (s.alarm_hours) " 小时没有成功的备份时提醒" }),
    ];
    Ok(html! {
        section.section {
            h2 { "备份计划" }
            @if let Some(why) = &view.unreachable { (layout::notice(NoticeKind::Bad, why)) }
            @if view.same_disk {
                (layout::notice(NoticeKind::Warn, "备份目标与数据在同一块盘上：盘坏时会一起丢失。请改到另一块盘。"))
            }
            @match (&view.schedule, view.may_change) {
                // A page that asks again by itself must not take away what is being typed.
                (Some(s), true) if view.waits && problems.is_empty() => (layout::props(&words(s))),
                (_, true) => (schedule_form(call, view, problems)?),
                (Some(s), false) => (layout::props(&words(s))),
                (None, false) => (layout::empty(Icon::Clock, "还没有备份计划，请系统管理员设置。", html! {})),
            }
        }
    })
}

/// What stands in the form: what was typed, else the schedule, else a good one to begin with.
fn schedule_form(call: &Call, view: &BackupPage, problems: &Problems) -> Result<Markup> {
    let shown = if !problems.is_empty() {
        typed(call)
    } else if let Some(s) = &view.schedule {
        Typed {
            days: s.days.iter().map(u8::to_string).collect(),
            times: s.times.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            target: s.target.clone(),
            keep: s.kept.newest.to_string(),
            daily: s.kept.daily.to_string(),
            weekly: s.kept.weekly.to_string(),
            monthly: s.kept.monthly.to_string(),
            alarm_hours: s.alarm_hours.to_string(),
        }
    } else {
        Typed {
            days: (1..=7).map(|d| d.to_string()).collect(),
            times: "02:00".into(),
            keep: "7".into(),
            daily: "14".into(),
            weekly: "8".into(),
            monthly: "12".into(),
            alarm_hours: limits::ALARM_HOURS.to_string(),
            ..Typed::default()
        }
    };
    let roots: Vec<String> = view.roots.iter().map(|r| r.display().to_string()).collect();
    let target = format!("必须在 {} 之下；换盘后请重新保存，系统会在盘上写一个标记文件。", roots.join("、"));
    let keep = format!("{} 至 {}；只清理更早的已验证备份。", limits::SETS_KEPT_MIN, limits::SETS_KEPT_MAX);
    let span = |span: &str| format!("另外保留最近这么多{span}的最后一套；0 为不另外保留。");
    let problem = |name: &str| problems.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_str());
    let field = |(name, label): (&'static str, &str), value: &str, help: &str| {
        line(name, label, value, (help, problem(name)))
    };
    Ok(html! {
        form.form method="post" action="/backup/schedule" {
            (view::hidden(call.live()?))
            div.fields {
                fieldset.choices-box.wide {
                    legend.sr { "哪几天" }
                    div.field.bad[problem("days").is_some()] {
                        span.label { "哪几天 " em.req title="必填" { "*" } }
                        div.choices { @for (n, day) in (1..).zip(DAYS) { label {
                            input type="checkbox" name="days" value=(n) checked[shown.days.contains(&n.to_string())];
                            (day)
                        } } }
                        (problem_text("days", problem("days")))
                    }
                }
                (field(("times", "时刻"), &shown.times, "北京时间，24 小时制；多个时刻用空格隔开，如 02:00 14:00。"))
                (field(("target", "备份目标"), &shown.target, &target))
                (field(("keep", "保留最近的套数"), &shown.keep, &keep))
                (field(("daily", "每天保留"), &shown.daily, &span("天")))
                (field(("weekly", "每周保留"), &shown.weekly, &span("周")))
                (field(("monthly", "每月保留"), &shown.monthly, &span("个月")))
                (field(("alarm", "提醒时限（小时）"), &shown.alarm_hours, "超过这么久没有成功的备份，三员的每个页面都会提醒。"))
            }
            div.form-bar { button.btn.btn-primary type="submit" { "保存备份计划" } }
        }
    })
}

pub(super) fn line(name: &str, label: &str, value: &str, (help, problem): (&str, Option<&str>)) -> Markup {
    let told = problem.map(|_| format!("err-{name}"));
    html! {
        div.field.bad[problem.is_some()] {
            label for=(name) { (label) " " em.req title="必填" { "*" } }
            input type="text" id=(name) name=(name) value=(value) autocomplete="off" spellcheck="false"
                aria-invalid=[problem.map(|_| "true")] aria-describedby=[told];
            (problem_text(name, problem))
            p.help { (help) }
        }
    }
}

fn problem_text(name: &str, problem: Option<&str>) -> Markup {
    html! { @if let Some(text) = problem { p.err id=(format!("err-{name}")) { (Icon::Warn.svg()) (text) } } }
}

fn typed(call: &Call) -> Typed {
    let days = call.raw.iter().filter(|(name, _)| name == "days").map(|(_, v)| v.clone());
    Typed {
        days: days.collect(),
        times: call.typed("times").to_owned(),
        target: call.typed("target").to_owned(),
        keep: call.typed("keep").to_owned(),
        daily: call.typed("daily").to_owned(),
        weekly: call.typed("weekly").to_owned(),
        monthly: call.typed("monthly").to_owned(),
        alarm_hours: call.typed("alarm").to_owned(),
    }
}

fn sets(view: &BackupPage) -> Markup {
    html! {
        section.section {
            h2 { "备份" span.count { (view.sets.len()) } }
            @if view.sets.is_empty() {
                (layout::empty(Icon::Backup, "还没有备份。保存备份计划后可以立即备份一次。", html! {}))
            } @else {
                div.table-wrap { table.list {
                    thead { tr {
                        th scope="col" { "时间" } th.num scope="col" { "日志序号" } th scope="col" { "编号" }
                        th scope="col" { "状况" }
                        th.num scope="col" { "大小" } th.num scope="col" { "记录" } th.num scope="col" { "附件" }
                        th scope="col" { "由谁发起" }
                    } }
                    tbody { @for set in view.sets.iter().take(SETS_SHOWN) { (set_row(set)) } }
                } }
            }
        }
    }
}

fn set_row(set: &Shown) -> Markup {
    let known = set.known.as_ref();
    let count = |n: Option<u64>| html! { @if let Some(n) = n { (layout::grouped(n)) } @else { "—" } };
    let mark = match known {
        Some(_) if set.complete => layout::chip(ChipKind::Ok, "已验证"),
        Some(k) if !set.here => layout::chip(ChipKind::Plain, &format!("不在目标中（{}）", k.target)),
        _ if !set.complete => layout::chip(ChipKind::Bad, "不完整"),
        _ => layout::chip(ChipKind::Plain, "本机没有它的记录"),
    };
    html! { tr {
        td.nowrap { (set.created) }
        td.num { (layout::grouped(set.seq)) }
        td.mono { (set.name) }
        td { (mark) @if let Some(k) = known.filter(|k| k.damaged > 0) {
            " " (layout::chip(ChipKind::Warn, &format!("本机有 {} 个附件已损坏", k.damaged)))
        } }
        td.num { (view::size(set.bytes)) }
        td.num { (count(known.map(|k| k.records))) }
        td.num { (count(known.map(|k| k.files))) }
        td.nowrap { (known.map_or("—", |k| By::label(k.by))) }
    } }
}

fn recipients_form(call: &Call) -> Result<Markup> {
    Ok(html! {
        form.form method="post" action="/backup" {
            (view::hidden(call.live()?))
            div.field.wide {
                label for="recipients" { "接收方 " em.req title="必填" { "*" } }
                textarea #recipients name="recipients" rows="4" { "\n" (call.typed("recipients")) }
                p.help {
                    "每行一个 age1…，后面空一格可写保管人或用途；至少两个，分别由两名保管人用 jiceng backup keygen 生成，\
                     备份只有他们的密钥能打开。"
                }
            }
            (super::proof::fields(call, "recipients")?)
            div.form-bar { button.btn.btn-primary type="submit" { "设置备份密钥" } }
        }
    })
}
