//! The inputs by which somebody proves once more who they are: in the very form that asks for it, so that nothing typed
//! is lost, and in none while a proof of a short while ago holds.

use maud::{Markup, html};

use crate::app::proof::Asked;
use crate::base::{Result, limits};
use crate::web::guard::{Call, OWN_CODE, OWN_PASSWORD};

/// The inputs, or nothing. `form` names the form among those of its page.
pub(super) fn fields(call: &Call, form: &str) -> Result<Markup> {
    marked(call, form, true)
}

/// The same in a form that can do without: a button of it asks for the proof, others do not.
pub(super) fn fields_if_needed(call: &Call, form: &str) -> Result<Markup> {
    marked(call, form, false)
}

/// The same in one line with other inputs.
pub(super) fn in_line(call: &Call, form: &str) -> Result<Markup> {
    let asked = call.app.proof_asked(call.live()?)?;
    Ok(inputs(asked, form, (true, "")))
}

/// The same in a form that always asks: what guards an account is changed by its owner alone.
pub(super) fn always(call: &Call, form: &str) -> Result<Markup> {
    let asked = call.app.always_asked(call.live()?)?;
    Ok(inputs(asked, form, (true, "核对身份：只有本人能改动")))
}

fn marked(call: &Call, form: &str, required: bool) -> Result<Markup> {
    let asked = call.app.proof_asked(call.live()?)?;
    let help = format!("再次核对身份，{} 分钟内不再询问", limits::PROOF_S / 60);
    Ok(inputs(asked, form, (required, &help)))
}

fn inputs(asked: Asked, form: &str, (required, help): (bool, &str)) -> Markup {
    let (password, code) = (format!("own-password-{form}"), format!("own-code-{form}"));
    let told = (!help.is_empty()).then(|| format!("{password}-h"));
    html! {
        @if asked != Asked::Nothing {
            div.field {
                label for=(password) { "本人口令" @if required { " " em.req title="必填" { "*" } } }
                input id=(password) type="password" name=(OWN_PASSWORD) autocomplete="current-password"
                    required[required] aria-describedby=[told.as_deref()];
                @if let Some(told) = &told { p.help id=(told) { (help) } }
            }
        }
        @if asked == Asked::Code {
            div.field {
                label for=(code) { "动态码" @if required { " " em.req title="必填" { "*" } } }
                input id=(code) name=(OWN_CODE) autocomplete="one-time-code" maxlength="40" required[required];
            }
        }
    }
}
