//! Messages in coloured boxes: what the last act has to say, and the strip of alarms that administrators see on every
//! page until somebody has done something. Pure functions from words to markup; colour never tells anything alone.

use maud::{Markup, html};

use super::icons::Icon;

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// Neutral information.
    Info,
    /// Something was done.
    Ok,
    /// Something needs care.
    Warn,
    /// Something failed.
    Bad,
}

/// A message in a coloured box; bad ones interrupt a screen reader, others wait their turn.
pub fn notice(kind: NoticeKind, text: &str) -> Markup {
    let (class, icon, role) = match kind {
        NoticeKind::Info => ("notice", Icon::File, "status"),
        NoticeKind::Ok => ("notice notice-ok", Icon::Check, "status"),
        NoticeKind::Warn => ("notice notice-warn", Icon::Warn, "status"),
        NoticeKind::Bad => ("notice notice-bad", Icon::Warn, "alert"),
    };
    html! {
        div class=(class) role=(role) { (icon.svg()) div { (text) } }
    }
}

/// What administrators must know on whatever page they are, with the way to where it is mended, if that is a page;
/// empty markup for nothing.
pub fn strip(alarms: &[String], mended: Option<(&str, &str)>) -> Markup {
    html! {
        @if !alarms.is_empty() {
            aside.notice.notice-warn aria-label="提醒" {
                (Icon::Warn.svg())
                div {
                    @for alarm in alarms { p { (alarm) } }
                    @if let Some((label, href)) = mended { p { a href=(href) { (label) } } }
                }
            }
        }
    }
}
