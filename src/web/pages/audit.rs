//! The auditor's console: what administrators, users and the machine did, by filters that the address remembers; on
//! paper and as a workbook. Never the content of business records.

pub mod alarms;
pub mod days;

use maud::{Markup, html};

use crate::app::audit::checkpoint::Proof;
use crate::app::audit::console::{self, Filter, Page};
use crate::app::audit::{Change, Line};
use crate::app::charter;
use crate::app::names::Directory;
use crate::app::policy::Policy;
use crate::base::{Day, Error, ErrorKind, RecordId, Result, limits};
use crate::records::audit::{Group, RULES, Thresholds};
use crate::records::{self, act};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind, Tab};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// A page of entries, newest first.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Takes the filters that were typed, and goes to the address that says them in numbers.
pub fn filter(call: &Call) -> Result<Reply> {
    match typed(call) {
        Ok(filter) => Ok(Reply::Redirect(filter.address("/audit", &[]))),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// Entries for the printer.
pub fn print(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let filter = asked(call);
    let page = call.app.audit_print(&live.actor, &filter)?;
    let directory = call.app.directory()?;
    let outline = outline("审计记录", true);
    let (county, now) = (&call.app.facts().county, call.app.now());
    let facts = [
        ("单位", html! { (county) }),
        ("打印人、时间", html! { (live.actor.name) "，" (now) }),
        ("条件", html! { (condition(&directory, &filter)) }),
        ("条数", html! { (page.lines.len()) @if page.next.is_some() { "（只列最新的，其余请缩短日期范围）" } }),
        ("日志链头", html! { "第 " (page.head.seq) " 条 " span.mono { (hex::encode(page.head.hash)) } }),
    ];
    view::reply(&call.app, live, outline, html! {
        p.help.no-print { "请用浏览器的打印功能打印（A4 横向）。这次打印已记入日志。" }
        div.print-wide { (layout::props(&facts)) (table(&directory, &page.lines)) }
    })
}

/// Entries as a workbook.
pub fn export(call: &Call) -> Result<Reply> {
    let filter = Filter::read(|name| call.typed(name).to_owned());
    let directory = call.app.directory()?;
    let words = |line: &Line| words(&directory, line);
    match call.app.proving(call.live()?, &call.own, |actor| call.app.audit_export(actor, &filter, &words)) {
        Ok(book) => Ok(Reply::Bytes(format!("审计记录-{}.xlsx", call.app.now().day()), book)),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// The frame of the console's pages.
fn outline(title: &str, watermark: bool) -> Outline {
    let mut crumbs = vec![("工作台".into(), "/".into()), ("审计".into(), "/audit".into())];
    crumbs.push((title.into(), String::new()));
    Outline { title: title.into(), current: "/audit".into(), crumbs, watermark, ..Outline::default() }
}

/// The pages of the console.
fn tabs(call: &Call, current: &str) -> Result<Markup> {
    let waiting = call.app.alarms_waiting(&call.live()?.actor)?;
    let tab = |label: &str, href: &str, count| Tab {
        label: label.to_owned(),
        href: href.to_owned(),
        count,
        current: current == href,
    };
    Ok(layout::tabs(&[
        tab("审计日志", "/audit", None),
        tab("统计与日报", "/audit/days", None),
        tab("告警", "/audit/alarms", Some(waiting)),
    ]))
}

fn asked(call: &Call) -> Filter {
    Filter::read(|name| call.asked(name))
}

/// The filter that a form says; what is no day and no number of a record is told.
fn typed(call: &Call) -> Result<Filter> {
    let actor = &call.live()?.actor;
    let record = call.app.audit_record(actor, call.typed("record"))?;
    if record.is_none() && !call.typed("record").trim().is_empty() {
        return Err(Error::invalid("没有这个编号的记录。请填写记录号（如 583）或登记编号（如 信访〔2026〕12号）。"));
    }
    let day = |name: &str, end| view::day_bound(call.typed(name), end);
    let (Some(from), Some(to)) = (day("from", false), day("to", true)) else {
        return Err(Error::invalid("日期请写成 2026-03-05 这样的形式。"));
    };
    let chosen = Filter::read(|name| call.typed(name).to_owned());
    Ok(Filter { from: whole(from), to: whole(to), record, ..chosen })
}

/// A bound that is a day of the calendar, or as near as it can be.
fn whole(bound: i32) -> i32 {
    if Day::from_number(bound).is_some() { bound } else { (bound / 100 * 100 + 28).max(0) }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let filter = if problem.is_some() { Filter::read(|name| call.typed(name).to_owned()) } else { asked(call) };
    let before = call.asked("before").parse().unwrap_or(0);
    let proof = call.app.audit_visit(live)?;
    let page = call.app.audit_page(&live.actor, &filter, before, limits::AUDIT_LINES)?;
    let directory = call.app.directory()?;
    let local = call.app.local_entries(&live.actor)?;
    let mut outline = outline("审计日志", true);
    outline.actions = Some(html! {
        a.btn href=(filter.address("/audit/print", &[])) { (Icon::Print.svg()) "打印" }
    });
    outline.notice = problem.map(|p| (NoticeKind::Bad, p.to_owned()));
    let alarms = alarm_notice(call)?;
    let tabs = tabs(call, "/audit")?;
    let bar = filter_bar(call, &directory, &filter, problem.is_some())?;
    view::framed(&call.app, live, outline, html! {
        (tabs)
        (alarms)
        (chain(&directory, &page, &proof))
        (bar)
        @if page.lines.is_empty() {
            (layout::empty(Icon::Empty, "没有符合条件的日志。", html! { a.btn href="/audit" { "清除筛选" } }))
        } @else { (table(&directory, &page.lines)) }
        (onward(&filter, &page))
        (export_form(call, &filter)?)
        @if !local.is_empty() {
            section.section {
                h2 { "备机日志" }
                p.help { "在备机上登录和查看的记录，自成一条日志链，不进入主机的日志。只列最新的。" }
            }
            (table(&directory, &local))
        }
    })
}

fn alarm_notice(call: &Call) -> Result<Markup> {
    let waiting = call.app.alarms_waiting(&call.live()?.actor)?;
    Ok(html! {
        @if waiting > 0 {
            (layout::notice(NoticeKind::Warn, &format!("有 {waiting} 条告警等待处理，请打开“告警”页写明处理情况。")))
        }
    })
}

/// What is known of the chain.
fn chain(directory: &Directory, page: &Page, proof: &Proof) -> Markup {
    let verified = match &proof.problem {
        Some(problem) => html! { (layout::chip(ChipKind::Bad, "不完整")) " " (problem) },
        None => html! {
            (layout::chip(ChipKind::Ok, "完整")) " 第 " (proof.from.0 + 1) " 条至第 " (proof.to.seq) " 条已逐条核对"
        },
    };
    let last = match proof.last {
        Some(c) => html! { (c.at) "，第 " (c.head.seq) " 条，" (directory.account(c.account)) },
        None => html! { "这是第一个检查点，更早的日志请用 jiceng audit verify 核对" },
    };
    html! {
        @if let Some(problem) = &proof.problem {
            (layout::notice(NoticeKind::Bad, &format!("日志链不完整：{problem}。请保留现场，\
                在数据目录的副本上运行 jiceng audit verify，并联系上级。")))
        }
        section.section {
            (layout::props(&[
                ("日志条数", html! { (layout::grouped(page.head.seq.0)) }),
                ("自上次检查点", verified),
                ("上次检查点", last),
                ("链头", html! { span.mono { (hex::encode(page.head.hash)) } }),
            ]))
            p.help {
                "日志只增不减：没有人能修改、删除、清空或裁剪，随数据永久保存（不少于 12 个月）。\
                 请每天打印“审计日报”签字另存，日报上的链头可用 jiceng audit verify --head 核对日志没有被截断或改写。"
            }
        }
    }
}

fn filter_bar(call: &Call, directory: &Directory, filter: &Filter, again: bool) -> Result<Markup> {
    let text = |name: &str, shown: String| if again { call.typed(name).to_owned() } else { shown };
    let day = |n: i32| Day::from_number(n).map(|d| d.to_string()).unwrap_or_default();
    let number = filter.record.map(|id| id.to_string()).unwrap_or_default();
    Ok(html! {
        form.filters method="post" action="/audit" {
            (view::hidden(call.live()?))
            label { "人员" select name="person" {
                option value="" { "全部" }
                option value="0" selected[filter.person == Some(RecordId(0))] { "系统、本机、陌生人" }
                @for (id, name) in directory.people() {
                    option value=(id) selected[filter.person == Some(id)] { (name) }
                }
            } }
            label { "单位" select name="unit" {
                option value="" { "全部" }
                @for unit in &directory.units {
                    option value=(unit.id) selected[filter.unit == Some(unit.id)] { (unit.name) }
                }
            } }
            label { "类别" select name="group" {
                option value="" { "全部" }
                @for group in Group::ALL {
                    option value=(group.name()) selected[filter.group == Some(group)] { (group.label()) }
                }
            } }
            label { "结果" select name="done" {
                option value="" { "全部" }
                option value="yes" selected[filter.done == Some(true)] { "成功" }
                option value="no" selected[filter.done == Some(false)] { "未成功" }
            } }
            label { "日期从" input.short name="from" value=(text("from", day(filter.from))) placeholder="2026-01-01"; }
            label { "到" input.short name="to" value=(text("to", day(filter.to))) placeholder="2026-12-31"; }
            label { "记录" input.short name="record" value=(text("record", number)) placeholder="记录号或编号"; }
            button.btn.btn-small type="submit" { "筛选" }
            span.end { a href="/audit" { "清除筛选" } }
        }
    })
}

fn onward(filter: &Filter, page: &Page) -> Markup {
    html! {
        @if filter.record.is_some() { p.help { "按记录筛选时不含浏览列表和检索。" } }
        @if let Some(next) = page.next {
            p.no-print {
                @if page.unfinished { span.muted { "已查到第 " (next) " 条，还没有查完。" } " " }
                a.btn href=(filter.address("/audit", &[("before", next.to_string())])) {
                    @if page.unfinished { "继续往前查" } @else { "更早的记录" }
                }
            }
        }
    }
}

fn export_form(call: &Call, filter: &Filter) -> Result<Markup> {
    Ok(html! {
        form.form.form-narrow.no-print method="post" action="/audit/export" {
            (view::hidden(call.live()?))
            @for (name, value) in filter.pairs() { input type="hidden" name=(name) value=(value); }
            (super::proof::fields(call, "export")?)
            p { button.btn type="submit" { "导出为工作簿（xlsx）" } span.muted { " 按上面的条件；导出会记入日志。" } }
        }
    })
}

/// The filter in words.
fn condition(directory: &Directory, filter: &Filter) -> String {
    let day = |n: i32| Day::from_number(n).map(|d| d.to_string()).unwrap_or_default();
    let mut words = Vec::new();
    words.extend(filter.person.map(|id| format!("人员 {}", directory.account(id))));
    words.extend(filter.unit.map(|id| format!("单位 {}", directory.unit(id))));
    words.extend(filter.group.map(|g| format!("类别 {}", g.label())));
    words.extend(filter.done.map(|d| if d { "成功" } else { "未成功" }.to_owned()));
    words.extend(filter.record.map(|id| format!("记录 #{id}")));
    if filter.from + filter.to > 0 {
        words.push(format!("{} 至 {}", day(filter.from), day(filter.to)));
    }
    if words.is_empty() { "全部".to_owned() } else { words.join("，") }
}

fn table(directory: &Directory, lines: &[Line]) -> Markup {
    html! {
        div.table-wrap { table.list {
            thead { tr { th.num scope="col" { "序号" } th scope="col" { "时间" } th scope="col" { "人员" }
                th scope="col" { "单位" } th scope="col" { "操作" } th scope="col" { "对象" } th scope="col" { "说明" } } }
            tbody { @for line in lines { @let h = &line.header; tr {
                td.num { (h.seq) }
                td.nowrap { (h.at) }
                td.nowrap { (console::doer(directory, h)) }
                td.nowrap { (directory.unit_at(h.doer.unit, h.at)) }
                td.nowrap { (h.verb().label) @if !h.done { " " (layout::chip(ChipKind::Bad, "未成功")) } }
                td { (console::objects(h)) }
                td {
                    @let set = settings(directory, line);
                    @if line.before.is_none() && set.is_empty() { (words(directory, line)) }
                    @for change in set.iter().chain(&line.changes) { (field(change)) }
                }
            } } }
        } }
    }
}

/// A field: in colour, and with `−` and `+` for whoever prints in black and white.
fn field(change: &Change) -> Markup {
    html! {
        p.diff {
            (change.label) "："
            @if change.hidden { "已更改" }
            @if let Some(old) = &change.old { del { "− " (old) } " " }
            @if let Some(new) = &change.new { ins { "+ " (new) } }
        }
    }
}

/// What a setting changed: of thresholds those that differ, of others the whole note.
fn settings(directory: &Directory, line: &Line) -> Vec<Change> {
    let change = |label: &str, old: String, new: String| Change {
        label: label.to_owned(),
        old: (!old.is_empty()).then_some(old),
        new: Some(new),
        hidden: false,
    };
    if line.header.action == act::CHARTER.code {
        let all = charter::in_words(&line.header.note, directory).into_iter();
        return all.map(|[what, old, new]| change(&what, old, new)).collect();
    }
    let Some(before) = &line.before else { return Vec::new() };
    if line.header.action != act::ALARM_RULES.code {
        return vec![change("设置", note(before), note(&line.header.note))];
    }
    let [old, new] = [before, &line.header.note].map(|text| Thresholds::of_note(text).0);
    let all = RULES.iter().zip(old.iter().zip(&new)).filter(|(_, (old, new))| old != new);
    all.map(|(rule, (old, new))| change(rule.label, old.to_string(), new.to_string())).collect()
}

/// What a line says besides its columns.
fn words(directory: &Directory, line: &Line) -> String {
    let set = settings(directory, line);
    if line.before.is_some() || !set.is_empty() {
        return set.iter().map(Change::words).collect::<Vec<_>>().join("；");
    }
    line.reason.clone().unwrap_or_else(|| note(&line.header.note))
}

/// A note in words: a kind alone stands beside it already, one with a number says how many, a move has a label.
fn note(text: &str) -> String {
    let (name, count) = text.split_once(' ').unwrap_or((text, ""));
    if records::by_name(name).is_some() {
        return if count.is_empty() { String::new() } else { format!("{count} 条") };
    }
    if let Some(words) = Policy::in_words(text) {
        return words;
    }
    let mut moves = records::ALL.iter().flat_map(|k| k.flow.moves);
    match text {
        "repeat" => "同一表单重复提交".to_owned(),
        "taken" => "编号已被使用".to_owned(),
        "stored" => "加密保存".to_owned(),
        "memory" => "仅在内存，未写入磁盘".to_owned(),
        "own" => "核对本人口令".to_owned(),
        "certificate" => "凭证书".to_owned(),
        _ if name == "authorities" => match count.split_once(" lists ") {
            Some((authorities, lists)) => match lists.split_once(" of ") {
                Some((lists, digest)) => format!("CA {authorities} 张，吊销列表 {lists} 份，摘要 {digest}"),
                None => format!("CA {authorities} 张，吊销列表 {lists} 份"),
            },
            None => text.to_owned(),
        },
        "new" => "首次启用".to_owned(),
        "begun" => "更换前已核对".to_owned(),
        "renewed" => "已更换".to_owned(),
        _ if name == "left" => format!("还剩 {count} 个"),
        _ if name == "days" => count.replace(' ', " 天、") + " 天",
        "cancelled" => "已取消".to_owned(),
        _ if name == "sets" => match count.split_once(" files ") {
            Some((sets, files)) => format!("{sets} 套，附件 {files} 个"),
            None => format!("{count} 套"),
        },
        _ if name == "head" => format!("第 {} 条", count.split(' ').next().unwrap_or_default()),
        _ if name == "day" => format!("审计日报 {count}"),
        _ if text.rsplit(' ').nth(1) == Some("lines") => {
            format!("{} 条", text.rsplit(' ').next().unwrap_or_default())
        }
        _ => moves.find(|m| m.name == text).map_or(text, |m| m.label).to_owned(),
    }
}
