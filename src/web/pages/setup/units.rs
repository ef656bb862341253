//! Step 1 of the set-up: the units, as a table to paste or a file. Nothing typed is lost; what is wrong is told by its
//! line.

use maud::{Markup, html};

use super::{Said, hidden, ok, onward, step, told};
use crate::app::setup::units::{self, HOLDERS, Table};
use crate::app::setup::wizard::SetupPage;
use crate::base::{Result, limits};
use crate::records::org;
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::multipart::TEXT_ENDS;
use crate::web::respond::Reply;

const WRONG: &str = "机构没有保存，请按下面的提示修改。";

/// The step.
pub fn show(call: &Call) -> Result<Reply> {
    let view = call.app.setup_page(call.wizard()?)?;
    let text = if view.units.is_empty() { units::first() } else { view.units.clone() };
    page(call, &view, (&text, false), None).map(Reply::page)
}

/// Reads a file into the table, shows how the table is understood, or saves it.
pub fn set(call: &Call) -> Result<Reply> {
    let token = call.wizard()?;
    let view = call.app.setup_page(token);
    let (read, view) = match (call.files.first(), view) {
        (Some(file), Ok(view)) => (Some(call.app.read_table_file(file, limits::SETUP_UNITS)), view),
        (None, Ok(view)) => (None, view),
        (_, Err(e)) => {
            call.discard_files()?;
            return Err(e);
        }
    };
    call.discard_files()?;
    let text = call.text("units").replace("\r\n", "\n");
    let problem = call.file_problem.as_ref().map(|p| (NoticeKind::Bad, p.clone()));
    match read {
        Some(Ok(lines)) => {
            let (text, count) = units::merged(&text, &lines);
            let said = ok(&format!("从文件读取了 {count} 行，还没有保存。请核对后保存。"));
            page(call, &view, (&text, true), said).map(Reply::page)
        }
        Some(Err(e)) => page(call, &view, (&text, true), told(e)?).map(Reply::again),
        None if problem.is_some() => page(call, &view, (&text, true), problem).map(Reply::again),
        None if call.typed("do") != "save" => page(call, &view, (&text, true), None).map(Reply::page),
        None if units::read(&text).units().is_none() => {
            let said = Some((NoticeKind::Bad, WRONG.to_owned()));
            page(call, &view, (&text, true), said).map(Reply::again)
        }
        None => match call.app.set_up_units(token, &text) {
            Ok(()) => Ok(Reply::Redirect("/setup/people".into())),
            Err(e) => page(call, &view, (&text, true), told(e)?).map(Reply::again),
        },
    }
}

fn page(call: &Call, view: &SetupPage, (text, look): (&str, bool), said: Said) -> Result<Markup> {
    if !view.people.is_empty() {
        let table = units::read(&view.units);
        return Ok(step(call, (view, 0), said, html! {
            p { "机构已经建立。以后由系统管理员在“机构”中增加、改名和停用。" }
            (preview(&table))
            (onward("/setup/people", "下一步：三员"))
        }));
    }
    let table = units::read(text);
    let faults = table.faults();
    Ok(step(call, (view, 0), said, html! {
        @if look && !faults.is_empty() {
            div.errors role="alert" tabindex="-1" {
                h2 { "有 " (faults.len()) " 处需要修改，已填内容都已保留" }
                ul { @for fault in &faults { li { (fault) } } }
            }
        }
        form.form method="post" action="/setup/units" enctype="multipart/form-data" {
            (hidden(call)?)
            div.field.wide.bad[look && !faults.is_empty()] {
                label for="units" { "机构 " em.req title="必填" { "*" } }
                textarea #units.mono name="units" rows="12" spellcheck="false" aria-describedby="units-h" autofocus {
                    "\n" (text)
                }
                p.help #units-h {
                    "每行一个：名称、类别、简称（可不填），中间用逗号或制表符隔开，可以从表格软件整块粘贴。类别写"
                    @for (n, e) in org::KINDS.entries.iter().enumerate() { @if n > 0 { "、" } (e.label) }
                    "。" (HOLDERS.join("、")) "须保留：三员分属这三个部门。"
                }
            }
            div.field.wide {
                label for="file" { "或者从表格文件读取" }
                input type="hidden" name=(TEXT_ENDS) value="1";
                input #file type="file" name="files" accept=".xlsx,.xls,.csv";
                p.help { "xlsx、xls 或 csv，前三列同上。选好文件后按“检查”：同名的行由文件代替，其余的加在后面，核对后再保存。" }
            }
            div.form-bar {
                button.btn.btn-primary type="submit" name="do" value="save" { "保存，下一步" }
                button.btn type="submit" name="do" value="look" { "检查" }
            }
        }
        @if look { (preview(&table)) }
    }))
}

/// How the table is understood.
fn preview(table: &Table) -> Markup {
    let count = |code: &str| table.lines.iter().filter(|l| l.problem.is_empty() && l.unit.kind == code).count();
    let sums: Vec<String> = org::KINDS.entries.iter().map(|e| format!("{} {}", e.label, count(e.code))).collect();
    html! {
        section.section {
            h2 { "共 " (table.lines.len()) " 个" }
            p.help { (sums.join("，")) }
            div.table-wrap { table.list {
                thead { tr {
                    th.num scope="col" { "行" } th scope="col" { "名称" } th scope="col" { "类别" }
                    th scope="col" { "简称" } th scope="col" { "问题" }
                } }
                tbody { @for line in &table.lines { tr {
                    td.num { (line.number) }
                    td { (line.unit.name) }
                    td { (org::KINDS.label(&line.unit.kind)) }
                    td { (line.unit.short) }
                    td { @if !line.problem.is_empty() {
                        (layout::chip(layout::ChipKind::Bad, "有误")) " " (line.problem)
                    } }
                } } }
            } }
        }
    }
}
