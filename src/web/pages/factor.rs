//! One's own second factor (动态码): the picture for the device, the recovery codes once, renewing and taking off.

use maud::{Markup, html};
use qrcode::{Color, QrCode};

use crate::app::factor::{FactorPage, NewSecret};
use crate::app::session::Must;
use crate::base::{Error, ErrorKind, Moment, Result};
use crate::web::guard::Call;
use crate::web::layout::{self, NoticeKind};
use crate::web::pages::{proof, ukey};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// Light modules around a QR code, as the standard has it.
const QUIET: usize = 4;

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    if let Some(Must::FirstPassword | Must::OldPassword) = call.live()?.must {
        return Ok(Reply::Redirect("/password".into()));
    }
    page(call, None).map(Reply::page)
}

/// Takes the first code of a new secret.
pub fn confirm(call: &Call) -> Result<Reply> {
    let live = call.live()?;
    match call.app.confirm_factor(live, &text(call, "code"), &call.own) {
        Ok(codes) => codes_page(call, &codes).map(Reply::page),
        Err(e) => again(call, e),
    }
}

/// Offers a new secret to whoever proves who they are.
pub fn renew(call: &Call) -> Result<Reply> {
    match call.app.renew_factor(call.live()?, &text(call, "password"), &text(call, "code")) {
        Ok(()) => Ok(Reply::Redirect("/factor".into())),
        Err(e) => again(call, e),
    }
}

/// Takes it off.
pub fn off(call: &Call) -> Result<Reply> {
    match call.app.drop_factor(call.live()?, &text(call, "password"), &text(call, "code")) {
        Ok(()) => Ok(Reply::Redirect("/factor?done=off".into())),
        Err(e) => again(call, e),
    }
}

fn text(call: &Call, name: &str) -> String {
    call.raw.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap_or_default()
}

pub(super) fn again(call: &Call, e: Error) -> Result<Reply> {
    match e.kind() {
        ErrorKind::Invalid | ErrorKind::Busy => page(call, Some(e.public())).map(Reply::again),
        _ => Err(e),
    }
}

fn outline() -> Outline {
    Outline {
        title: "动态码".into(),
        crumbs: vec![("我的口令".into(), "/password".into()), ("动态码".into(), String::new())],
        current: "/sessions".into(),
        ..Outline::default()
    }
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let view = call.app.factor_page(live)?;
    let said = match call.asked("done").as_str() {
        "off" => Some((NoticeKind::Ok, "动态码已停用。".to_owned())),
        "bound" => Some((NoticeKind::Ok, "证书已绑定，下次登录起须出示它。".to_owned())),
        "unbound" => Some((NoticeKind::Ok, "证书已解除。".to_owned())),
        "recovered" => Some((NoticeKind::Warn, format!(
            "您用一个恢复码登录，这个码已作废，还剩 {} 个。手机丢失或更换时，请在下面更换动态码。", view.left
        ))),
        _ => None,
    };
    let notice = problem.map(|p| (NoticeKind::Bad, p.to_owned())).or(said);
    let codes = view.enrolled || !view.must_have_certificate;
    let content = html! {
        @if view.trusted || view.certificate.is_some() { (ukey::section(call, &view)?) }
        @if let Some(new) = view.secret.as_ref().filter(|_| codes) { (enrolment(call, &view, new)?) }
        @if view.enrolled { (standing(call, &view)?) }
    };
    if live.must == Some(Must::Factor) {
        let first = match view.must_have_certificate && view.certificate.is_none() {
            true => "按登录安全策略，您的账户必须绑定证书（UKey），绑定后才能办理业务。",
            false => "按登录安全策略，您的账户必须启用动态码（第二种鉴别方式），启用后才能办理业务。",
        };
        return Ok(view::bare_wide(&call.app, "启用动态码", html! {
            (layout::notice(NoticeKind::Warn, first))
            @if let Some((kind, text)) = &notice { (layout::notice(*kind, text)) }
            (content)
        }));
    }
    view::framed(&call.app, live, Outline { notice, ..outline() }, content)
}

/// The secret as a picture and in letters, and the form for the first code.
fn enrolment(call: &Call, view: &FactorPage, new: &NewSecret) -> Result<Markup> {
    Ok(html! {
        section.section {
            h2 { @if view.enrolled { "换到新手机" } @else { "启用动态码" } }
            (how(new)?)
            form.form.form-narrow method="post" action="/factor" autocomplete="off" {
                (view::hidden(call.live()?))
                div.field {
                    label for="first-code" { "动态码" }
                    input #first-code name="code" autocomplete="one-time-code" inputmode="numeric" maxlength="12"
                        required autofocus;
                }
                @if view.certificate.is_some() && !view.enrolled { (proof::fields(call, "enrol")?) }
                div.form-bar { button.btn.btn-primary type="submit" { "启用" } }
            }
            @if view.enrolled { p.help { "确认之前，原来的动态码继续有效。" } }
        }
    })
}

/// What to do with a new secret: its picture, and its letters for whoever cannot take a picture.
pub(super) fn how(new: &NewSecret) -> Result<Markup> {
    Ok(html! {
        ol {
            li { "在手机上安装支持 TOTP 的身份验证器（应用商店搜索“身份验证器”；单位统一下发的硬件令牌同样可用）。" }
            li { "用它扫描下面的二维码；不能扫描时，手工输入密钥（按时间、6 位、30 秒）。" }
            li { "输入它现在显示的 6 位数字。" }
        }
        (picture(&new.uri)?)
        p { "密钥：" b.mono { (new.groups) } }
    })
}

/// What there is, and how to change it.
fn standing(call: &Call, view: &FactorPage) -> Result<Markup> {
    let live = call.live()?;
    let form = |action: &'static str, id: &'static str, button: &'static str| html! {
        form.form.form-narrow method="post" action=(action) autocomplete="off" {
            (view::hidden(live))
            div.fields {
                div.field { label for=(format!("{id}-password")) { "口令" }
                    input id=(format!("{id}-password")) type="password" name="password"
                        autocomplete="current-password" required; }
                div.field { label for=(format!("{id}-code")) { "动态码或恢复码" }
                    input id=(format!("{id}-code")) name="code" autocomplete="one-time-code" maxlength="40" required; }
            }
            div.form-bar { button.btn type="submit" { (button) } }
        }
    };
    Ok(html! {
        section.section {
            h2 { "现在的动态码" }
            (layout::props(&[
                ("状态", html! { (layout::chip(layout::ChipKind::Ok, "已启用")) }),
                ("剩余恢复码", html! { (view.left) " 个" }),
            ]))
            p.help { "登录时除口令外还要输入动态码，每个码只能用一次。手机丢失、恢复码也没有时，请系统管理员申请作废，\
                由另一名管理员确认后重新启用。" }
        }
        @if view.secret.is_none() {
            section.section {
                h2 { "更换手机或重发恢复码" }
                p.help { "核对口令和动态码后，用新的二维码重新添加；原来的恢复码同时作废。" }
                (form("/factor/renew", "renew", "更换"))
            }
        }
        @if !view.asked {
            section.section { h2 { "停用" } (form("/factor/off", "off", "停用动态码")) }
        }
    })
}

/// The recovery codes, the one time they are shown.
fn codes_page(call: &Call, codes: &[String]) -> Result<Markup> {
    let live = call.live()?;
    let next = if call.app.has_parked(&live.actor.login) { "/resume" } else { "/" };
    let content = html! {
        (codes_sheet((&live.actor.name, &live.actor.login), call.app.now(), codes))
        p.no-print { a.btn.btn-primary href=(next) { "已保存，继续" } }
    };
    let notice = Some((NoticeKind::Ok, "动态码已启用，下次登录起生效。".to_owned()));
    if live.must == Some(Must::Factor) {
        return Ok(view::bare_wide(&call.app, "恢复码", content));
    }
    view::framed(&call.app, live, Outline { notice, title: "恢复码".into(), ..outline() }, content)
}

/// The codes of somebody by name and log-in, to be printed.
pub(super) fn codes_sheet((name, login): (&str, &str), now: Moment, codes: &[String]) -> Markup {
    html! {
        section.section.sheet {
            h2 { "恢复码" }
            p { (name) "（" (login) "），" (now) }
            ul.plain { @for code in codes { li.mono { (code) } } }
            p { "手机丢失时，登录页的“动态码”一栏可以填其中一个；每个只能用一次。请打印或抄下，与手机分开保管。" }
            p.help { "只显示这一次；系统不保存恢复码本身，以后只能整套重发。" }
        }
    }
}

/// A QR code as lines of dark modules: drawn in black on white in any mode, and on paper.
fn picture(text: &str) -> Result<Markup> {
    let code = QrCode::new(text.as_bytes()).map_err(Error::internal)?;
    let (width, colours) = (code.width(), code.to_colors());
    let mut path = String::new();
    for (place, colour) in colours.iter().enumerate() {
        if *colour == Color::Dark {
            path.push_str(&format!("M{} {}h1v1h-1z", place % width + QUIET, place / width + QUIET));
        }
    }
    let side = width + 2 * QUIET;
    Ok(html! {
        svg.qr role="img" aria-label="动态码的二维码" width="232" height="232"
            viewBox=(format!("0 0 {side} {side}")) shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    })
}
