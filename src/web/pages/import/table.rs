//! The columns of a ledger: what was guessed, a few cells of each, and what the person decides.

use maud::{Markup, html};

use crate::app::import::What;
use crate::app::import::columns::{IGNORE, REMARKS, TARGETS};
use crate::app::import::desk::{Job, State};
use crate::app::Right;
use crate::base::Result;
use crate::records::batch;
use crate::web::guard::Call;
use crate::web::layout;

/// Cells of a column that are shown.
const SAMPLES: usize = 2;
/// Characters of a cell that are shown.
const SAMPLE_CHARS: usize = 30;

/// Unit, source and sheet.
pub(super) fn settings(call: &Call, job: &Job, state: &State) -> Result<Markup> {
    let directory = call.app.directory()?;
    let actor = &call.live()?.actor;
    let units = directory.units.iter().filter(|u| u.open && actor.may(job.what.kind(), Right::Create, u.id));
    let sheets = state.sheets.iter().zip(&state.totals);
    Ok(html! {
        fieldset {
            legend { "导入设置" }
            div.fields {
                @if job.what == What::Petitions {
                    div.field { label for="f-unit" { "没有写明机构的行归到" }
                        select #f-unit name="unit" { @for unit in units {
                            option value=(unit.name) selected[unit.name == state.unit] { (unit.name) }
                        } }
                    }
                }
                div.field { label for="f-source" { (batch::KIND.field(batch::tag::SOURCE).map_or("来源", |f| f.label)) }
                    input #f-source name="source" value=(state.source) placeholder="如：官渡镇台账"
                        aria-describedby="f-source-h";
                    p.help #f-source-h { "同一来源、同样的列再次导入时，自动沿用这次的列对照" }
                }
                @if state.sheets.len() > 1 {
                    div.field { label for="f-sheet" { "工作表" }
                        select #f-sheet name="sheet" { @for (n, (sheet, total)) in sheets.clone().enumerate() {
                            option value=(n) selected[n == state.chosen] { (sheet.layout.sheet) "（" (total) " 行）" }
                        } }
                        p.help { button.btn.btn-small type="submit" name="do" value="save" { "切换工作表" } }
                    }
                } @else { input type="hidden" name="sheet" value=(state.chosen); }
            }
        }
    })
}

/// One line a column.
pub(super) fn columns(state: &State) -> Markup {
    let Some(sheet) = state.sheets.get(state.chosen) else { return html! {} };
    let layout = &sheet.layout;
    let total = state.totals.get(state.chosen).copied().unwrap_or(0);
    let samples = |column: usize| -> Vec<String> {
        let cells = sheet.rows.iter().filter_map(|(_, cells)| cells.get(column));
        let filled = cells.filter(|c| !c.trim().is_empty()).take(SAMPLES);
        filled.map(|c| c.chars().take(SAMPLE_CHARS).collect()).collect()
    };
    let width = sheet.rows.iter().map(|(_, c)| c.len()).max().unwrap_or(0).max(layout.heads.len());
    html! {
        section.section {
            h2 { "列对照" span.count { (layout::grouped(total)) " 行" } }
            p.help { "表头在第 " (layout.head_row) " 行。可能涉及检举控告人的列只进入密封的身份部分，不在这里显示内容。" }
            div.table-wrap { table.list {
                thead { tr { @for head in ["列", "表头", "内容举例", "导入为"] { th scope="col" { (head) } } } }
                tbody { @for n in 0..width {
                    @let target = layout.targets.get(n).map_or(REMARKS, String::as_str);
                    tr {
                        td.nowrap { (letter(n)) }
                        td { (layout.heads.get(n).map_or("", String::as_str)) }
                        td.clip {
                            @if target.starts_with("petitioner.") { (layout::masked("不显示")) }
                            @else { (samples(n).join(" ／ ")) }
                        }
                        td { @if n < layout.targets.len() { (choice(n, target)) } @else { "备注" } }
                    }
                } }
            } }
        }
    }
}

fn choice(column: usize, target: &str) -> Markup {
    html! {
        select name=(format!("column.{column}")) aria-label=(format!("第 {} 列导入为", letter(column))) {
            option value=(REMARKS) selected[target == REMARKS] { "备注（保留列名）" }
            option value=(IGNORE) selected[target == IGNORE] { "不导入" }
            @for t in TARGETS { option value=(t.name) selected[target == t.name] { (t.label) } }
        }
    }
}

/// A column as office programs name it.
fn letter(column: usize) -> String {
    let mut n = column + 1;
    let mut name = Vec::new();
    while n > 0 {
        name.push(char::from(b'A' + u8::try_from((n - 1) % 26).unwrap_or(0)));
        n = (n - 1) / 26;
    }
    name.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn columns_are_named_as_office_programs_do() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(letter(column), name);
        }
    }
}
