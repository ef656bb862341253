//! The policy of log-ins (登录安全策略): the security administrator sets it, the other two administrators see it.

use maud::{Markup, html};

use crate::app::policy::{Asked, Policy, Profile, Typed};
use crate::base::{ErrorKind, Result, limits};
use crate::web::guard::Call;
use crate::web::icons::Icon;
use crate::web::layout::{self, NoticeKind};
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The page.
pub fn show(call: &Call) -> Result<Reply> {
    let policy = call.app.policy_page(&call.live()?.actor)?.0;
    page(call, &typed_of(&policy), None).map(Reply::page)
}

/// Sets it.
pub fn set(call: &Call) -> Result<Reply> {
    let typed = Typed {
        asked: call.typed("asked").to_owned(),
        profile: call.typed("profile").to_owned(),
        networks: call.typed("networks").to_owned(),
        certificates: call.typed("certificates").to_owned(),
    };
    match call.app.set_policy(&call.live()?.actor, &typed, &call.peer, call.certificate.as_ref()) {
        Ok(()) => Ok(Reply::Redirect("/policy?done=saved".into())),
        Err(e) if e.kind() == ErrorKind::Invalid => page(call, &typed, Some(e.public())).map(Reply::again),
        Err(e) => Err(e),
    }
}

fn typed_of(policy: &Policy) -> Typed {
    Typed {
        asked: policy.asked.code().to_owned(),
        profile: policy.profile.code().to_owned(),
        networks: policy.networks.join("\n"),
        certificates: policy.certificates.code().to_owned(),
    }
}

fn page(call: &Call, typed: &Typed, problem: Option<&str>) -> Result<Markup> {
    let live = call.live()?;
    let (policy, may_set) = call.app.policy_page(&live.actor)?;
    let said = (call.asked("done") == "saved").then(|| (NoticeKind::Ok, "登录安全策略已保存，立即生效。".to_owned()));
    let outline = Outline {
        title: "登录安全策略".into(),
        current: "/policy".into(),
        crumbs: vec![("工作台".into(), "/".into()), ("登录安全策略".into(), String::new())],
        notice: problem.map(|p| (NoticeKind::Bad, p.to_owned())).or(said),
        actions: Some(html! { a.btn href="/policy/certificates" { (Icon::Key.svg()) "证书（UKey）" } }),
        ..Outline::default()
    };
    view::framed(&call.app, live, outline, if may_set { form(call, typed)? } else { facts(&policy) })
}

/// For those who only see it.
fn facts(policy: &Policy) -> Markup {
    let networks = if policy.networks.is_empty() { "不限".to_owned() } else { policy.networks.join("、") };
    html! {
        section.section {
            (layout::props(&[
                ("必须启用动态码", html! { (policy.asked.label()) }),
                ("口令要求", html! { (policy.profile.label()) }),
                ("管理员登录地址", html! { span.mono { (networks) } }),
                ("必须用证书登录", html! { (policy.certificates.label()) }),
            ]))
            p.help { "由安全保密管理员设定。" }
        }
    }
}

fn form(call: &Call, typed: &Typed) -> Result<Markup> {
    let choice = |name: &str, code: &str, label: &str, chosen: &str| html! {
        label.check { input type="radio" name=(name) value=(code) checked[code == chosen]; " " (label) }
    };
    Ok(html! {
        form.form method="post" action="/policy" {
            (view::hidden(call.live()?))
            fieldset {
                legend { "谁必须启用动态码（第二种鉴别方式）" }
                @for a in Asked::ALL { p { (choice("asked", a.code(), a.label(), &typed.asked)) } }
                p.help { "等保 8.1.4.1 要求三员和审批人员使用两种鉴别方式。被要求而还没有启用的人，下一次打开页面时先启用，\
                    正在填写的内容会保留。" }
            }
            fieldset {
                legend { "口令要求" }
                @for p in Profile::ALL { p { (choice("profile", p.code(), p.label(), &typed.profile)) } }
                p.help { "无论选哪一项，管理办法第十五条始终有效：不少于 " (limits::PASSWORD_MIN_CHARS) " 位，\
                    同时包含字母、数字和特殊字符。首次登录必须更换发放的口令。" }
            }
            @if call.app.trust()?.is_some() {
                fieldset {
                    legend { "谁必须用证书（UKey）登录" }
                    @for a in Asked::ALL { p { (choice("certificates", a.code(), a.label(), &typed.certificates)) } }
                    p.help { "被要求的人登录时除口令外须出示绑定的证书，动态码不再可用；还没有绑定的先绑定。" }
                }
            }
            fieldset {
                legend { "三员从哪里登录" }
                div.field.wide {
                    label for="networks" { "地址或网段" }
                    textarea #networks name="networks" rows="4" spellcheck="false" { "\n" (typed.networks) }
                    p.help { "每行一个，如 10.1.2.3 或 10.1.0.0/16；留空为不限。只约束三员；服务器本机始终可以。您现在的地址是 "
                        span.mono { (call.peer) } "，名单必须包含它。经反向代理访问时系统看不到真实地址，请在代理上限制。" }
                }
            }
            div.form-bar { button.btn.btn-primary type="submit" { "保存" } }
        }
    })
}
