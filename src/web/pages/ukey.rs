//! Certificates of people (UKey 证书): whose are trusted, for the security administrator, and one's own.

use maud::{Markup, html};

use crate::app::factor::FactorPage;
use crate::app::ukey::{Trust, TrustPage};
use crate::base::{ErrorKind, Moment, Result};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, ChipKind, NoticeKind};
use crate::web::pages::{factor, proof};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// What is trusted.
pub fn show(call: &Call) -> Result<Reply> {
    page(call, None).map(Reply::page)
}

/// Sets it.
pub fn set(call: &Call) -> Result<Reply> {
    let (typed, brought) = ((call.typed("authorities"), call.typed("revoked")), call.brought.as_ref());
    match call.app.proving(call.live()?, &call.own, |actor| call.app.set_trust(actor, typed, brought)) {
        Ok(()) => Ok(Reply::Redirect("/policy/certificates?done=saved".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

/// Binds the certificate of this connection to one's own account.
pub fn bind(call: &Call) -> Result<Reply> {
    match call.app.bind_certificate(call.live()?, &call.own, call.certificate.as_ref()) {
        Ok(()) => Ok(Reply::Redirect("/factor?done=bound".into())),
        Err(e) => factor::again(call, e),
    }
}

/// Takes it off.
pub fn off(call: &Call) -> Result<Reply> {
    match call.app.drop_certificate(call.live()?, &call.own) {
        Ok(()) => Ok(Reply::Redirect("/factor?done=unbound".into())),
        Err(e) => factor::again(call, e),
    }
}

/// One's own certificate, on the page of the second factor.
pub(super) fn section(call: &Call, view: &FactorPage) -> Result<Markup> {
    let live = call.live()?;
    let form = |action: &'static str, button: &'static str| -> Result<Markup> {
        Ok(html! {
            form.form.form-narrow method="post" action=(action) autocomplete="off" {
                (view::hidden(live))
                (proof::always(call, "certificate")?)
                div.form-bar { button.btn type="submit" { (button) } }
            }
        })
    };
    let may_drop = view.certificate.is_some() && !view.must_have_certificate;
    Ok(html! {
        section.section {
            h2 { "证书（UKey）" }
            @match (&view.certificate, &call.certificate) {
                (Some(bound), _) => {
                    (layout::props(&[
                        ("状态", html! { (layout::chip(ChipKind::Ok, "已绑定")) }),
                        ("证书", html! { (bound) }),
                    ]))
                    p.help {
                        "登录时除口令外须出示这张证书"
                        @if view.enrolled && !view.must_have_certificate { "，或填动态码" }
                        "。UKey 丢失时请系统管理员申请作废，由另一名管理员确认。"
                    }
                    @if may_drop { (form("/factor/certificate/off", "解除证书")?) }
                },
                (None, Some(shown)) => {
                    (layout::props(&[
                        ("浏览器出示的证书", html! { (shown.name) }),
                        ("序列号", html! { span.mono { (shown.serial) } }),
                        ("有效至", html! { (shown.until.day()) }),
                    ]))
                    p.help { "绑定后它就是您登录时的第二种鉴别方式；口令照旧要输入。" }
                    (form("/factor/certificate", "绑定这张证书")?)
                },
                (None, None) => p.help {
                    "浏览器没有出示证书。有 UKey 的，请插入后关闭全部浏览器窗口，重新打开本系统并选择您的证书，再到本页绑定。"
                },
            }
        }
    })
}

fn page(call: &Call, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let view = call.app.trust_page(&live.actor)?;
    let said = (call.asked("done") == "saved").then(|| (NoticeKind::Ok, "已保存，对新的连接立即生效。".to_owned()));
    let outline = Outline {
        title: "证书（UKey）".into(),
        current: "/policy".into(),
        crumbs: vec![
            ("工作台".into(), "/".into()),
            ("登录安全策略".into(), "/policy".into()),
            ("证书（UKey）".into(), String::new()),
        ],
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())).or(said),
        ..Outline::default()
    };
    view::framed(&call.app, live, outline, html! {
        section.section {
            h2 { "认可的 CA" }
            @match &view.trust {
                Some(trust) => (facts(trust, call.app.now())),
                None => (layout::empty(Icon::Key, "还没有认可的 CA：登录时不询问证书。", html! {})),
            }
        }
        @if view.may_set { (form(call, &view, problem.is_some())?) }
        @else { p.help { "由安全保密管理员设定。" } }
    })
}

fn facts(trust: &Trust, now: Moment) -> Markup {
    let late = |at: Moment| at.0 < now.0;
    html! {
        div.table-wrap { table.list {
            thead { tr { th scope="col" { "名称" } th scope="col" { "序列号" } th scope="col" { "有效至" } } }
            tbody { @for ca in &trust.authorities { tr {
                td { (ca.name) }
                td.mono { (ca.serial) }
                td.nowrap { (ca.until.day()) @if late(ca.until) { " " (layout::chip(ChipKind::Bad, "已过期")) } }
            } } }
        } }
        h3 { "吊销列表（CRL）" }
        @if trust.lists.is_empty() { p.muted { "没有吊销列表：被吊销的证书仍能登录，请向签发机构索取并贴入。" } }
        ul.lines { @for (next, count) in &trust.lists { li {
            span.grow { "列出 " (count) " 张" }
            @if let Some(next) = next {
                span.muted { "应在 " (next.day()) " 前更新" }
                @if late(*next) { (layout::chip(ChipKind::Warn, "该更新了")) }
            }
        } } }
    }
}

fn form(call: &Call, view: &TrustPage, tried: bool) -> Result<Markup> {
    let text = |name: &'static str, stored: &str| if tried { call.typed(name).to_owned() } else { stored.to_owned() };
    Ok(html! {
        section.section {
            h2 { "设置" }
            form.form method="post" action="/policy/certificates" {
                (view::hidden(call.live()?))
                div.field.wide {
                    label for="authorities" { "CA 证书（PEM）" }
                    textarea #authorities.mono name="authorities" rows="8" spellcheck="false" {
                        "\n" (text("authorities", &view.authorities))
                    }
                    p.help { "签发 UKey 的 CA 证书，可以有多张（含中级 CA）；RSA 和 P-256 都可以。清空则不再询问证书。" }
                }
                div.field.wide {
                    label for="revoked" { "吊销列表（CRL，PEM）" }
                    textarea #revoked.mono name="revoked" rows="6" spellcheck="false" {
                        "\n" (text("revoked", &view.revoked))
                    }
                    p.help { "签发机构更新后在这里换成新的全文；被吊销的证书立即不能使用，用它开始的登录同时结束。" }
                }
                (proof::fields(call, "trust")?)
                div.form-bar { button.btn.btn-primary type="submit" { "保存" } }
            }
        }
    })
}
