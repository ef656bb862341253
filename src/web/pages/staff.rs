//! Accounts from a table: pasted or read from a file, looked at line by line, entered all or not at all; then one-time
//! passwords for all of them, as slips that are shown once. Nothing typed is lost.

use maud::{Markup, html};

use crate::app::names::Directory;
use crate::app::relief::awaits_first;
use crate::app::staff::{self, COLUMNS, Table};
use crate::base::{Error, ErrorKind, RecordId, Result, limits};
use crate::records::account::{self, tag};
use crate::records::Record;
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::multipart::TEXT_ENDS;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

const ADDRESS: &str = "/account/import";

/// What is said above the page.
type Said = Option<(NoticeKind, String)>;

/// The form, or the accounts that one made.
pub fn show(call: &Call) -> Result<Reply> {
    let made = call.asked("made");
    if made.is_empty() {
        call.app.may_make_accounts(&call.live()?.actor)?;
        return page(call, ("", None), None).map(Reply::page);
    }
    result(call, &made, None).map(Reply::page)
}

/// Reads a file into the table, shows how the table is understood, or enters it.
pub fn set(call: &Call) -> Result<Reply> {
    let actor = &call.live()?.actor;
    let text = call.text("people").replace("\r\n", "\n");
    let may = call.app.may_make_accounts(actor);
    let file = call.files.first().filter(|_| may.is_ok());
    let read = file.map(|file| call.app.read_table_file(file, limits::STAFF_LINES));
    call.discard_files()?;
    may?;
    if let Some(lines) = read {
        return match lines.and_then(|lines| staff::merged(&text, &lines)) {
            Ok((text, count)) => {
                let said = format!("从文件读取了 {count} 行，还没有建立账户。请核对。");
                looked(call, &text, Some((NoticeKind::Ok, said)))
            }
            Err(e) => looked(call, &text, Some(told(e)?)),
        };
    }
    if let Some(problem) = &call.file_problem {
        return looked(call, &text, Some((NoticeKind::Bad, problem.clone())));
    }
    if call.typed("do") == "look" {
        return looked(call, &text, None);
    }
    match call.app.enter_staff(actor, &text, call.submit_id()) {
        Ok(()) => Ok(Reply::Redirect(format!("{ADDRESS}?made={}", call.submit_id()))),
        Err(e) => looked(call, &text, Some(told(e)?)),
    }
}

/// Makes one-time passwords for the accounts of a form, and shows them once.
pub fn words(call: &Call) -> Result<Reply> {
    let (live, made) = (call.live()?, call.submit_id());
    call.app.may_make_accounts(&live.actor)?;
    if made.is_empty() {
        let said = "表单不完整，没有发口令。请从账户列表打开账户，逐个发一次性口令。";
        return page(call, ("", None), Some((NoticeKind::Bad, said.into()))).map(Reply::again);
    }
    let accounts = call.app.staff_made(&live.actor, made)?;
    let new: Vec<RecordId> = accounts.iter().filter(|a| awaits_first(a)).map(|a| a.id).collect();
    match call.app.first_passwords(&live.actor, &new) {
        Ok(words) => slips(call, &words).map(Reply::page),
        Err(e) => result(call, made, Some(told(e)?)).map(Reply::again),
    }
}

/// What can be mended by whoever typed it is said above the page; anything else is an error.
fn told(e: Error) -> Result<(NoticeKind, String)> {
    match e.kind() {
        ErrorKind::Invalid | ErrorKind::Busy => Ok((NoticeKind::Bad, e.public().to_owned())),
        _ => Err(e),
    }
}

/// The page with the table as it is understood; it is refused where something is wrong or was said to be.
fn looked(call: &Call, text: &str, said: Said) -> Result<Reply> {
    let table = call.app.look_at_staff(&call.live()?.actor, text)?;
    let refused = !table.is_right() || said.as_ref().is_some_and(|(kind, _)| *kind == NoticeKind::Bad);
    let markup = page(call, (text, Some(&table)), said)?;
    Ok(if refused { Reply::again(markup) } else { Reply::page(markup) })
}

fn outline(title: &str, said: Said) -> Outline {
    Outline {
        title: title.into(),
        crumbs: vec![("账户".into(), "/account".into()), (title.into(), String::new())],
        current: "/account".into(),
        notice: said,
        watermark: true,
        ..Outline::default()
    }
}

fn page(call: &Call, (text, table): (&str, Option<&Table>), said: Said) -> Result<Markup> {
    let live = call.live()?;
    let faults = table.map(Table::faults).unwrap_or_default();
    let warnings = table.map(Table::warnings).unwrap_or_default();
    let ready = table.filter(|t| t.is_right()).map(|t| t.lines.len());
    let submit = hex::encode(seal::random::<16>()?);
    view::framed(&call.app, live, outline("从表格导入账户", said), html! {
        @if !faults.is_empty() {
            div.errors role="alert" tabindex="-1" {
                h2 { "有 " (faults.len()) " 处需要修改，已填内容都已保留" }
                ul { @for fault in &faults { li { (fault) } } }
            }
        }
        @if !warnings.is_empty() { (layout::notice(NoticeKind::Warn, &warnings.join(""))) }
        form.form method="post" action=(ADDRESS) enctype="multipart/form-data" {
            (view::hidden(live))
            input type="hidden" name="submit" value=(submit);
            div.field.wide.bad[!faults.is_empty()] {
                label for="people" { "名单 " em.req title="必填" { "*" } }
                textarea #people.mono name="people" rows="10" spellcheck="false" aria-describedby="people-h" autofocus {
                    "\n" (text)
                }
                p.help #people-h {
                    "每行一人：" (COLUMNS.map(|(label, _)| label).join("、"))
                    "，中间用制表符或逗号隔开，可以从表格软件整块粘贴；第一行写列名时，列的先后不限。"
                    "机构写名称或简称，职务和有效期至可不填。一次最多 " (limits::STAFF_LINES) " 人。"
                    "角色不从表格导入：账户建立后由安全保密管理员授予。"
                }
            }
            div.field.wide {
                label for="file" { "或者从表格文件读取" }
                input type="hidden" name=(TEXT_ENDS) value="1";
                input #file type="file" name="files" accept=".xlsx,.xls,.csv";
                p.help { "xlsx、xls 或 csv，各列同上。选好文件后按“检查”：同一登录名的行由文件代替，其余的加在后面。" }
            }
            div.form-bar {
                @if let Some(count) = ready {
                    button.btn.btn-primary type="submit" name="do" value="save" { "建立这 " (count) " 个账户" }
                }
                button.btn.btn-primary[ready.is_none()] type="submit" name="do" value="look" { "检查" }
                a.btn href="/account" { "取消" }
            }
        }
        @if let Some(table) = table.filter(|t| !t.lines.is_empty()) { (preview(table)) }
    })
}

/// How the table is understood.
fn preview(table: &Table) -> Markup {
    html! {
        section.section {
            h2 { "名单" span.count { (table.lines.len()) } }
            p.help { "账户全部建立，或者一个也不建立。账户建立后不能删除，只能停用；登录名不能再改。" }
            div.table-wrap { table.list {
                thead { tr {
                    th.num scope="col" { "行" }
                    @for (label, _) in COLUMNS { th scope="col" { (label) } }
                    th scope="col" { "核对" }
                } }
                tbody { @for line in &table.lines { tr {
                    td.num { (line.number) }
                    @for cell in &line.cells { td { (cell) } }
                    td {
                        @if !line.problem.is_empty() { (layout::chip(ChipKind::Bad, "有误")) " " (line.problem) " " }
                        @if !line.warning.is_empty() { (layout::chip(ChipKind::Warn, "核对")) " " (line.warning) }
                    }
                } } }
            } }
        }
    }
}

/// The accounts a form made, and what is to be done for them.
fn result(call: &Call, made: &str, said: Said) -> Result<Markup> {
    let live = call.live()?;
    let (accounts, directory) = (call.app.staff_made(&live.actor, made)?, call.app.directory()?);
    let new = accounts.iter().filter(|a| awaits_first(a)).count();
    let waits = accounts.iter().any(|a| awaits_first(a) && !a.fields.rows(tag::WAITING).is_empty());
    let title = format!("从表格导入的 {} 个账户", accounts.len());
    let said = said.or_else(|| {
        let text = format!("{} 个账户已经建立，没有角色，也还没有口令。", accounts.len());
        (new == accounts.len() && !waits).then_some((NoticeKind::Ok, text))
    });
    view::framed(&call.app, live, outline(&title, said), html! {
        @if new > 0 {
            section.section.no-print {
                h2 { "一次性口令" }
                p {
                    "给还没有口令的 " (new) " 人各发一个一次性口令，每人一张，打印后当面交给本人。只显示这一次，"
                    "须由安全保密管理员逐个确认后才能登录。"
                    @if waits { "先前发过、还没有确认的随即作废。" }
                }
                form method="post" action=(format!("{ADDRESS}/words")) {
                    (view::hidden(live))
                    input type="hidden" name="submit" value=(made);
                    div.form-bar {
                        button.btn.btn-primary type="submit" {
                            (Icon::Key.svg()) @if waits { "重新发一次性口令" } @else { "发一次性口令" }
                        }
                        a.btn href="/account" { "到账户列表" }
                    }
                }
            }
        }
        section.section {
            h2 { "账户" span.count { (accounts.len()) } }
            div.table-wrap { table.list {
                thead { tr { @for (label, _) in COLUMNS { th scope="col" { (label) } } th scope="col" { "口令" } } }
                tbody { @for account in &accounts { (row(&directory, account)) } }
            } }
        }
        p.help { "接下来由安全保密管理员确认口令、授予角色；没有角色的账户不能做任何事。" }
    })
}

fn row(directory: &Directory, account: &Record) -> Markup {
    let text = |tag| account.fields.text(tag);
    let waits = !account.fields.rows(tag::WAITING).is_empty();
    html! { tr {
        td.mono { a.row-link href=(format!("/account/{}", account.id)) { (text(tag::LOGIN)) } }
        td { (text(tag::NAME)) }
        td { (unit(directory, account)) }
        td { (text(tag::POST)) }
        td.nowrap { (account.fields.day(tag::EXPIRES)) }
        td { @match () {
            () if !awaits_first(account) => { @if account.state == 1 { "已确认" } @else { "已停用" } },
            () if waits => (layout::chip(ChipKind::Warn, "等待确认")),
            () => "没有",
        } }
    } }
}

fn unit<'a>(directory: &'a Directory, account: &Record) -> &'a str {
    account.fields.link(tag::UNIT).map_or("—", |id| directory.unit(id))
}

/// One slip for each person.
fn slips(call: &Call, words: &[(Record, String)]) -> Result<Markup> {
    let directory = call.app.directory()?;
    let said = format!("{} 个一次性口令只显示这一次。请打印，分别当面交给本人；遗失的可以重新发。", words.len());
    let said = Some((NoticeKind::Warn, said));
    view::framed(&call.app, call.live()?, outline("一次性口令", said), html! {
        @for (account, word) in words {
            @let second = account::ROLES.label(account::hands(&account.fields).1);
            section.slip {
                h3 { (account.fields.text(tag::NAME)) "（" (unit(&directory, account)) "）" }
                (layout::props(&[
                    ("地址", html! { span.mono { "https://" (call.host) } }),
                    ("登录名", html! { span.mono { (account.fields.text(tag::LOGIN)) } }),
                    ("一次性口令", html! { b.mono { (word) } }),
                ]))
                p { (second) "确认后才能用来登录；首次登录时必须改成自己的口令，改后请销毁本条。" }
            }
        }
        div.form-bar.no-print { a.btn.btn-primary href="/account" { "已打印，到账户列表" } }
    })
}
