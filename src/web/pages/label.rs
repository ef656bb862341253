//! Labels in the pages (安全标记): what stands beside the title, on paper too, and the form that sets another one.

use maud::{Markup, html};

use crate::app::label::Typed;
use crate::app::record::Opened;
use crate::base::{ErrorKind, Result};
use crate::records::label::{self, Label};
use crate::records::{Kind, Record};
use crate::store::seal;
use crate::web::guard::Call;
use crate::web::layout::{self, ChipKind};
use crate::web::pages::record;
use crate::web::respond::Reply;
use crate::web::view;

/// Name of the input for the reason.
const REASON: &str = "label-reason";

/// Sets another label.
pub fn set(call: &Call) -> Result<Reply> {
    let (kind, id) = (call.kind()?, call.id()?);
    let typed = Typed {
        label: call.typed("label").to_owned(),
        reason: call.typed(REASON).to_owned(),
        version: call.typed("version").parse().unwrap_or(0),
        submit: call.submit_id().to_owned(),
    };
    match call.app.relabel(&call.live()?.actor, kind, id, typed) {
        Ok(()) => Ok(Reply::Redirect(format!("/{}/{id}?done=labelled", kind.name))),
        Err(e) if e.kind() == ErrorKind::Invalid => record::again(call, e.public()),
        Err(e) => Err(e),
    }
}

/// The label of a record, for its head.
pub(super) fn words(kind: &Kind, record: &Record) -> Option<Markup> {
    label::applies(kind).then(|| {
        let label = label::of(kind, record);
        let chip = match label {
            Label::Plain => ChipKind::Plain,
            Label::Internal => ChipKind::Info,
            Label::Sensitive => ChipKind::Warn,
            Label::Core => ChipKind::Bad,
        };
        layout::chip(chip, label.label())
    })
}

/// The way to set another one, apart from the work and behind one more click.
pub(super) fn section(call: &Call, kind: &Kind, opened: &Opened) -> Result<Markup> {
    if opened.labels.is_empty() {
        return Ok(html! {});
    }
    let tried = call.path.ends_with("/label");
    let typed = opened.labels.iter().find(|l| l.code() == call.typed("label"));
    let chosen = typed.or(opened.labels.first());
    Ok(html! {
        section.section.no-print {
            details open[tried] {
                summary { "调整安全标记" }
                form.form method="post" action=(format!("/{}/{}/label", kind.name, opened.record.id)) {
                    (view::hidden(call.live()?))
                    input type="hidden" name="submit" value=(hex::encode(seal::random::<16>()?));
                    input type="hidden" name="version" value=(opened.record.version);
                    div.field {
                        label for="label" { "安全标记" }
                        select #label name="label" {
                            @for l in &opened.labels {
                                option value=(l.code()) selected[chosen == Some(l)] { (l.label()) }
                            }
                        }
                    }
                    div.field.wide {
                        label for=(REASON) { "调整理由 " em.req title="必填" { "*" } }
                        @let said = if tried { call.typed(REASON) } else { "" };
                        input id=(REASON) name=(REASON) maxlength="200" value=(said);
                        p.help { "知悉范围低于标记的人，看不到这条记录。理由记入日志，审计员可见。" }
                    }
                    div.form-bar { button.btn type="submit" { "调整" } }
                }
            }
        }
    })
}
