//! The set-up page behind the one-time link: units and the three administrators. It closes for good.

use maud::{Markup, html};

use crate::app::setup::{Account, Answers, OFFICES, Unit};
use crate::base::{Error, ErrorKind, Result};
use crate::records::account::{ADMINISTRATORS, ROLES};
use crate::web::assets::style_href;
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;

/// Offices that hold the three duties (第十四条).
const HOLDERS: [&str; 3] = ["信息技术保障室", "信访室", "办公室"];

/// The form.
pub fn form(call: &Call) -> Result<Reply> {
    if !call.app.setup_token_is_good(call.param("token"))? {
        return Err(closed());
    }
    Ok(Reply::page(page(call, None)))
}

/// Does the set-up.
pub fn set_up(call: &Call) -> Result<Reply> {
    if !call.app.setup_token_is_good(call.param("token"))? {
        return Err(closed());
    }
    match call.app.set_up(Some(call.param("token")), answers(call)) {
        Ok(()) => Ok(Reply::Redirect("/login".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => Ok(Reply::again(page(call, Some(e.public())))),
        Err(e) => Err(e),
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Denied, "初始化链接无效、已过期或已用过。需要时请在服务器上运行 jiceng setup-link。")
}

fn answers(call: &Call) -> Answers {
    let text = |name: &str| call.raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    let mut unit = Vec::new();
    for (name, kind) in [("offices", "office"), ("stationed", "stationed"), ("townships", "township")] {
        let lines = text(name).lines().map(str::trim).filter(|l| !l.is_empty());
        unit.extend(lines.map(|l| Unit { name: l.to_owned(), kind: kind.to_owned() }));
    }
    let account = ADMINISTRATORS.iter().zip(HOLDERS).map(|(role, holder)| Account {
        login: call.typed(&format!("{role}.login")).to_owned(),
        name: call.typed(&format!("{role}.name")).to_owned(),
        unit: holder.to_owned(),
        roles: vec![(*role).to_owned()],
        password: text(&format!("{role}.password")).to_owned(),
    });
    let recipients = text("recipients").lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect();
    Answers { unit, account: account.collect(), recipients }
}

fn page(call: &Call, problem: Option<&str>) -> Markup {
    let text = |name: &str, default: &str| {
        let typed = call.raw.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        typed.unwrap_or_else(|| default.to_owned())
    };
    let area = |name: &str, label: &str, default: &str, help: &str| html! {
        div.field.wide {
            label for=(name) { (label) }
            textarea id=(name) name=(name) rows="5" { "\n" (text(name, default)) }
            p.help { (help) }
        }
    };
    layout::bare_wide("初始化", &call.app.facts().county, style_href(), html! {
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        form.form method="post" action=(call.path) autocomplete="off" {
            fieldset {
                legend { "一、机构（每行一个，以后可由系统管理员增减）" }
                div.fields {
                    (area("offices", "内设机构", &OFFICES.join("\n"), "信息技术保障室、信访室、办公室须保留：三员分属这三个部门"))
                    (area("stationed", "派驻纪检监察组", "", "如：驻教育体育局纪检监察组"))
                    (area("townships", "乡镇（街道）", "", "如：某某镇纪委、某某街道纪工委"))
                }
            }
            fieldset {
                legend { "二、三员（初始口令由本人首次登录时修改）" }
                @for (role, holder) in ADMINISTRATORS.iter().zip(HOLDERS) {
                    h3.block-head id=(format!("{role}-h")) { (ROLES.label(role)) "（" (holder) "）" }
                    div.fields.fields-3 role="group" aria-labelledby=(format!("{role}-h")) {
                        @for (name, label) in [("name", "姓名"), ("login", "登录名")] {
                            div.field { label for=(format!("{role}-{name}")) { (label) }
                                input id=(format!("{role}-{name}")) name=(format!("{role}.{name}")) required
                                    value=(text(&format!("{role}.{name}"), "")); }
                        }
                        div.field { label for=(format!("{role}-p")) { "初始口令" }
                            input id=(format!("{role}-p")) type="password" name=(format!("{role}.password")) required
                                autocomplete="new-password"; }
                    }
                }
            }
            fieldset {
                legend { "三、备份密钥（可稍后补设）" }
                div.fields {
                    (area("recipients", "接收方", "", "每行一个 age1…，至少两个；用 jiceng backup keygen 在另一台机器上生成"))
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "完成初始化" } }
        }
    })
}
