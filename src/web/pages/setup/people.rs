//! Step 2 of the set-up: the three administrators, and a link for each, shown once. Their passwords are their own
//! business.

use maud::{Markup, html};

use super::{Said, hidden, ok, onward, step, told};
use crate::app::setup::units::HOLDERS;
use crate::app::setup::wizard::{Invitation, Person, SetupPage, Standing};
use crate::base::Result;
use crate::records::account::{ADMINISTRATORS, ROLES};
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::respond::Reply;

/// The step.
pub fn show(call: &Call) -> Result<Reply> {
    let view = call.app.setup_page(call.wizard()?)?;
    page(call, &view, None, &[]).map(Reply::page)
}

/// Enters the three, or gives one of them another link.
pub fn set(call: &Call) -> Result<Reply> {
    let token = call.wizard()?;
    let role = call.typed("role");
    let invited = match call.typed("do") {
        "enter" => call.app.set_up_people(token, &ADMINISTRATORS.map(|role| typed(call, role))),
        "correct" => call.app.invite_again(token, role, Some(typed(call, role))).map(|i| vec![i]),
        _ => call.app.invite_again(token, role, None).map(|i| vec![i]),
    };
    match invited {
        Ok(invited) => {
            let said = ok("激活链接只显示这一次。请打印或抄下，分别当面交给本人；遗失的可以重新发放，先前的随即作废。");
            page(call, &call.app.setup_page(token)?, said, &invited).map(Reply::page)
        }
        Err(e) => {
            let said = told(e)?;
            page(call, &call.app.setup_page(token)?, said, &[]).map(Reply::again)
        }
    }
}

fn typed(call: &Call, role: &str) -> Person {
    let text = |name: &str| call.typed(&format!("{role}.{name}")).trim().to_owned();
    Person { name: text("name"), login: text("login") }
}

fn page(call: &Call, view: &SetupPage, said: Said, invited: &[Invitation]) -> Result<Markup> {
    let content = match () {
        () if !view.people.is_empty() => entered(call, view, invited)?,
        () if view.units.is_empty() => html! {
            (layout::notice(NoticeKind::Warn, "请先完成第一步，保存机构：三员要属于其中的部门。"))
            (onward("/setup/units", "去第一步：机构"))
        },
        () => entry(call)?,
    };
    Ok(step(call, (view, 1), said, content))
}

/// The form for all three.
fn entry(call: &Call) -> Result<Markup> {
    Ok(html! {
        p { "三名管理员必须是三个不同的人，互相监督，都不办理业务（管理办法第十三条、第十四条）。这里不设口令：\
            登记后给每人一个一次性链接，由本人设置口令并启用动态码。" }
        form.form method="post" action="/setup/people" autocomplete="off" {
            (hidden(call)?)
            fieldset {
                @for (n, (role, holder)) in ADMINISTRATORS.into_iter().zip(HOLDERS).enumerate() {
                    h3.block-head id=(format!("{role}-h")) { (ROLES.label(role)) "（" (holder) "）" }
                    (fields(call, (role, None), n == 0))
                }
            }
            p.help { "登录名用小写字母和数字，以后不能更改。登记后机构即建立，不能在本向导中再改。" }
            div.form-bar {
                button.btn.btn-primary type="submit" name="do" value="enter" { "登记三员，生成激活链接" }
            }
        }
    })
}

/// Name and log-in of one; what was typed, or what stands there.
fn fields(call: &Call, (role, now): (&str, Option<&Person>), focus: bool) -> Markup {
    let typed = typed(call, role);
    let shown = if typed.name.is_empty() && typed.login.is_empty() { now.cloned().unwrap_or_default() } else { typed };
    html! {
        div.fields.fields-3 role="group" aria-label=(ROLES.label(role)) {
            @for (name, label, value) in [("name", "姓名", &shown.name), ("login", "登录名", &shown.login)] {
                div.field {
                    label for=(format!("{role}-{name}")) { (label) " " em.req title="必填" { "*" } }
                    input id=(format!("{role}-{name}")) name=(format!("{role}.{name}")) value=(value) required
                        autocapitalize="none" spellcheck="false" autofocus[focus && name == "name"];
                }
            }
        }
    }
}

/// Who is entered and who is active, and links that were just made.
fn entered(call: &Call, view: &SetupPage, invited: &[Invitation]) -> Result<Markup> {
    let waiting: Vec<&Standing> = view.people.iter().filter(|p| !p.active).collect();
    let mut rows = Vec::new();
    for person in &view.people {
        rows.push(row(call, person)?);
    }
    Ok(html! {
        @for invitation in invited { (slip(call, invitation)) }
        section.section.no-print {
            h2 { "三员" span.count { (view.people.len() - waiting.len()) "/" (view.people.len()) } }
            div.table-wrap { table.list {
                thead { tr {
                    th scope="col" { "职责" } th scope="col" { "姓名" } th scope="col" { "登录名" }
                    th scope="col" { "状态" } th scope="col" { "激活链接" }
                } }
                tbody { @for row in rows { (row) } }
            } }
            @if !waiting.is_empty() {
                p.help { "本人激活后，" a href="/setup/people" { "刷新本页" } "可以看到；可以先做下一步。" }
            }
        }
        @for person in waiting { (correction(call, person)?) }
        div.no-print { (onward("/setup/backup", "下一步：备份")) }
    })
}

fn row(call: &Call, person: &Standing) -> Result<Markup> {
    Ok(html! { tr {
        td { (ROLES.label(person.role)) }
        td { (person.person.name) }
        td.mono { (person.person.login) }
        td.nowrap { @match (person.active, person.until) {
            (true, _) => (layout::chip(ChipKind::Ok, "已激活")),
            (_, Some(until)) => { (layout::chip(ChipKind::Warn, "等待本人激活")) " 至 " (until) }
            (_, None) => (layout::chip(ChipKind::Bad, "链接已失效")),
        } }
        td { @if !person.active {
            form method="post" action="/setup/people" {
                (hidden(call)?)
                input type="hidden" name="role" value=(person.role);
                button.btn.btn-small type="submit" name="do" value="renew" { "重新发放" }
            }
        } }
    } })
}

/// Another name or log-in for somebody who is not active yet.
fn correction(call: &Call, person: &Standing) -> Result<Markup> {
    let open = call.typed("do") == "correct" && call.typed("role") == person.role;
    Ok(html! {
        details.no-print open[open] {
            summary { "更正" (ROLES.label(person.role)) (person.person.name) }
            form.form method="post" action="/setup/people" autocomplete="off" {
                (hidden(call)?)
                input type="hidden" name="role" value=(person.role);
                (fields(call, (person.role, Some(&person.person)), false))
                p.help { "更正后生成新的激活链接，先前的随即作废。" }
                div.form-bar { button.btn type="submit" name="do" value="correct" { "更正，重新发放" } }
            }
        }
    })
}

/// What one person is handed.
fn slip(call: &Call, invitation: &Invitation) -> Markup {
    let link = format!("https://{}/activate/{}", call.host, invitation.token);
    let local = ["127.", "localhost", "[::1]"].iter().any(|own| call.host.starts_with(own));
    html! {
        section.slip {
            h3 { (call.app.facts().county) " · " (ROLES.label(invitation.role)) "激活单" }
            (layout::props(&[
                ("姓名", html! { (invitation.person.name) }),
                ("登录名", html! { span.mono { (invitation.person.login) } }),
                ("有效期至", html! { (invitation.until) "，只能用一次" }),
            ]))
            p { "激活链接：" br; a.mono href=(link) { (link) } }
            @if local {
                p.help { "您现在是在服务器本机上办理：在别的电脑上打开时，请把链接中的 " (call.host) " 换成服务器的地址和端口。" }
            }
            p.help { "请本人在自己的电脑上打开，设置自己的口令并启用动态码（要用手机）。打不开或提示已用过，\
                而不是自己用过的，请立即告诉单位负责人和另外两名管理员。" }
        }
    }
}
