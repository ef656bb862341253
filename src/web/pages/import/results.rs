//! What a check found and what an import did: figures, faults by row and column, disagreements of columns and text.

use maud::{Markup, html};

use crate::app::import::{RowProblem, Summary, What};
use crate::app::session::Live;
use crate::web::layout::{self, NoticeKind};
use crate::web::view;

/// The result of a check.
pub(super) fn checked(token: &str, summary: &Summary) -> Markup {
    let good = summary.failed == 0;
    let words = if good {
        format!("预检通过：{} 行都可以导入。", layout::grouped(summary.created))
    } else {
        format!(
            "预检：{} 行可以导入，{} 行有问题，不会导入。",
            layout::grouped(summary.created),
            layout::grouped(summary.failed)
        )
    };
    html! {
        (layout::notice(if good { NoticeKind::Ok } else { NoticeKind::Warn }, &words))
        (figures(summary, "可导入"))
        (details(token, summary))
    }
}

/// The result of an import.
pub(super) fn done(live: &Live, token: &str, what: What, summary: &Summary) -> Markup {
    let kind = what.kind();
    html! {
        (layout::notice(NoticeKind::Ok, &format!("已导入 {} 件，批次 {}。", layout::grouped(summary.created), summary.batch)))
        (figures(summary, "已导入"))
        div.actions.start {
            @if let Some(id) = summary.batch_id {
                a.btn.btn-primary href=(format!("/batch/{id}")) { "查看这一批" }
            }
            a.btn href=(format!("/{}?all=1", kind.name)) { (kind.label) "列表" }
            a.btn href=(format!("/import?what={}", kind.name)) { "再导入一个" }
        }
        (details(token, summary))
        form.form method="post" action=(format!("/import/{token}")) {
            (view::hidden(live))
            div.form-bar {
                button.btn.btn-link type="submit" name="do" value="drop" { "不再显示这个结果（已导入的不受影响）" }
            }
        }
    }
}

fn figures(summary: &Summary, good: &str) -> Markup {
    html! {
        div.grid.grid-4 {
            (layout::figure(&layout::grouped(summary.read), "读到行数", None))
            (layout::figure(&layout::grouped(summary.created), good, None))
            @if summary.articles > 0 { (layout::figure(&layout::grouped(summary.articles), "条文", None)) }
            @if summary.skipped > 0 { (layout::figure(&layout::grouped(summary.skipped), "已有跳过", None)) }
            (layout::figure(&layout::grouped(summary.failed), "未导入", None))
            (layout::figure(&layout::grouped(summary.marked), "需核对", None))
        }
    }
}

fn details(token: &str, summary: &Summary) -> Markup {
    let shown = summary.failed_rows.len() as u64;
    html! {
        @if summary.failed > 0 {
            section.section {
                h2 { "未导入的行" span.count { (layout::grouped(summary.failed)) } }
                div.actions.start { a.btn href=(format!("/import/{token}/failed")) { "下载未导入的行（xlsx，附原因）" } }
                @if shown < summary.failed {
                    p.help { "行数过多，表中只有前 " (layout::grouped(shown)) " 行；改正后再导入，可得到其余的行。" }
                }
                (problems(&summary.problems))
            }
        }
        @if summary.marked > 0 {
            section.section {
                h2 { "列与内容不一致，请核对" span.count { (layout::grouped(summary.marked)) } }
                p.help { "这些行可以导入，导入后在“核对提示”中也能看到。" }
                (problems(&summary.marks))
            }
        }
    }
}

fn problems(rows: &[RowProblem]) -> Markup {
    html! {
        div.table-wrap { table.list {
            thead { tr { th scope="col" { "行" } th scope="col" { "列" } th scope="col" { "问题" } } }
            tbody { @for row in rows { tr {
                td.nowrap { (row.line) } td.nowrap { (row.column) } td { (row.message) }
            } } }
        } }
    }
}
