//! Work that has several steps, above a page without menu: where one is, and what is done.

use maud::{Markup, html};

use super::icons::Icon;

/// A step: what it is called, where it is, and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its words.
    pub label: &'static str,
    /// Where it is.
    pub href: &'static str,
    /// It is done.
    pub done: bool,
    /// It is the one shown.
    pub current: bool,
}

/// The steps in their order; each can be gone to.
pub fn steps(steps: &[Step]) -> Markup {
    html! {
        nav.no-print aria-label="步骤" {
            ol.steps {
                @for (n, step) in (1..).zip(steps) {
                    li.step-done[step.done] {
                        a href=(step.href) aria-current=[step.current.then_some("step")] {
                            span.step-no aria-hidden="true" { @if step.done { (Icon::Check.svg()) } @else { (n) } }
                            span { (step.label) span.sr { @if step.done { "（已完成）" } @else { "（未完成）" } } }
                        }
                    }
                }
            }
        }
    }
}
