//! The story of a record: every change with old and new values, every look at it, newest first.

use maud::html;

use crate::app::record::Step;
use crate::base::Result;
use crate::records::Value;
use crate::web::guard::Call;
use crate::web::respond::Reply;
use crate::web::view::{self, Outline};

/// The story.
pub fn show(call: &Call) -> Result<Reply> {
    let (live, kind, id) = (call.live()?, call.kind()?, call.id()?);
    let (record, steps) = call.app.history(&live.actor, kind, id)?;
    let directory = call.app.directory()?;
    let outline = Outline {
        title: format!("经过：{}", kind.title_of(&record)),
        tab: view::tab(kind, &record).map(|tab| format!("经过：{tab}")),
        current: format!("/{}", kind.name),
        crumbs: vec![
            (kind.label.into(), format!("/{}", kind.name)),
            (kind.title_of(&record), format!("/{}/{id}", kind.name)),
            ("经过".into(), String::new()),
        ],
        watermark: kind.sensitive,
        ..Outline::default()
    };
    let state = |step: &Step| {
        step.state.map(|(from, to)| {
            let from = from.map_or(String::new(), |s| format!("{} → ", kind.flow.label(s)));
            format!("{from}{}", kind.flow.label(to))
        })
    };
    view::reply(&call.app, live, outline, html! {
        section.section { ol.trail { @for step in steps.iter().rev() { li {
            div.trail-head {
                span.what { (step.header.verb().label) }
                @let doer = &step.header.doer;
                span.who { (directory.account(doer.account)) "（" (directory.unit_at(doer.unit, step.header.at)) "）" }
                span.when { (step.header.at) }
            }
            @if let Some(state) = state(step) { p { "状态：" (state) } }
            @if !step.opinion.is_empty() { p.opinion { (step.opinion) } }
            @if let Some(reason) = &step.reason { p.opinion { "理由：" (reason) } }
            @for (field, old, new) in &step.changes { p.diff {
                (field.label) "："
                @if let Some(old) = old { del { (line(old, field)) } " " }
                @match new {
                    Some(new) if step.state.is_some_and(|(from, _)| from.is_none()) => (line(new, field)),
                    Some(new) => ins { (line(new, field)) },
                    None => {},
                }
            } }
        } } } }
    })
}

fn line(value: &Value, field: &crate::records::Field) -> String {
    let text = value.display(Some(field));
    let short: String = text.chars().take(300).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
