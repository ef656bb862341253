//! The auditor's view of the journal: who, when, what — never the content of business records.

use maud::{Markup, html};

use crate::app::audit::Line;
use crate::app::names::Directory;
use crate::app::policy::Policy;
use crate::base::Result;
use crate::records;
use crate::store::Header;
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

const LINES: usize = 100;

/// A page of entries, newest first.
pub fn show(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    let before = call.asked("before").parse().unwrap_or(0);
    let (lines, head) = call.app.audit_page(&live.actor, before, LINES)?;
    let directory = call.app.directory()?;
    let local = call.app.local_entries(&live.actor)?;
    let oldest = lines.last().map_or(0, |l| l.header.seq.0);
    let outline = Outline {
        title: "审计日志".into(),
        current: "/audit".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("审计日志".into(), String::new())],
        ..Outline::default()
    };
    view::reply(&call.app, live, outline, html! {
        section.section {
            dl.props {
                div { dt { "日志条数" } dd { (layout::grouped(head.seq.0)) } }
                div.wide { dt { "链头" } dd.mono { (hex::encode(head.hash)) } }
            }
            p.help { "请定期抄录条数和链头并另行保管；用 jiceng audit verify --head 可核对日志没有被截断或改动。" }
        }
        (table(&directory, &lines))
        @if oldest > 1 { p { a.btn href=(format!("/audit?before={oldest}")) { "更早的记录" } } }
        @if !local.is_empty() {
            section.section {
                h2 { "备机日志" }
                p.help { "在备机上登录和查看的记录，自成一条日志链，不进入主机的日志。只列最新的。" }
            }
            (table(&directory, &local))
        }
    })
}

fn table(directory: &Directory, lines: &[Line]) -> Markup {
    html! {
        div.table-wrap { table.list {
            thead { tr { th.num scope="col" { "序号" } th scope="col" { "时间" } th scope="col" { "人员" }
                th scope="col" { "单位" } th scope="col" { "操作" } th scope="col" { "对象" } th scope="col" { "说明" } } }
            tbody { @for line in lines { @let h = &line.header; tr {
                td.num { (h.seq) }
                td.nowrap { (h.at) }
                td.nowrap {
                    @if h.doer.account.0 != 0 { (directory.account(h.doer.account)) }
                    @else if h.doer.via == "schedule" { "备份计划" } @else { (h.doer.via) }
                }
                td.nowrap { (directory.unit(h.doer.unit)) }
                td.nowrap { (h.verb().label) @if !h.done { " " (layout::chip(ChipKind::Bad, "未成功")) } }
                td { (objects(h)) }
                td { (line.reason.clone().unwrap_or_else(|| note(&h.note))) }
            } } }
        } }
    }
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
        _ => moves.find(|m| m.name == text).map_or(text, |m| m.label).to_owned(),
    }
}

fn objects(header: &Header) -> String {
    let first = header.subjects.first().map(|s| {
        let label = records::by_tag(s.kind).map_or("记录", |k| k.label);
        format!("{label} #{}", s.id)
    });
    match header.subjects.len() {
        0 => String::new(),
        1 => first.unwrap_or_default(),
        n => format!("{} 等 {n} 条", first.unwrap_or_default()),
    }
}
