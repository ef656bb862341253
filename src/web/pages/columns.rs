//! Which columns a list shows: a small form below its filters, remembered for each person. The petitioner's identity is
//! never offered (`app::choice`).

use maud::{Markup, html};

use crate::app::choice;
use crate::app::{Right, Scope};
use crate::base::{Error, Result};
use crate::records::Kind;
use crate::web::guard::Call;
use crate::web::respond::Reply;
use crate::web::view;

/// Takes the choice, and goes back to the list.
pub fn choose(call: &Call) -> Result<Reply> {
    let (live, kind) = (call.live()?, call.kind()?);
    if live.actor.scope(kind, Right::See) == Scope::Nothing || kind.group.is_none() {
        return Err(Error::denied());
    }
    let chosen = call.raw.iter().filter(|(n, _)| n == "column").map(|(_, v)| v.clone());
    let names: Vec<String> = if call.typed("reset").is_empty() { chosen.collect() } else { Vec::new() };
    call.app.choose_columns(&live.actor, kind, &names)?;
    Ok(Reply::Redirect(format!("/{}", kind.name)))
}

/// The form; closed until it is wanted.
pub fn form(call: &Call, kind: &'static Kind, chosen: &[u16]) -> Result<Markup> {
    let shown = if chosen.is_empty() { kind.columns } else { chosen };
    let offered = choice::offered(kind).into_iter().filter_map(|tag| kind.field(tag));
    Ok(html! {
        details.columns.no-print {
            summary { "显示列" }
            form method="post" action=(format!("/{}/columns", kind.name)) {
                (view::hidden(call.live()?))
                div.choices {
                    @for f in offered {
                        @let title = f.tag == kind.title;
                        label {
                            input type="checkbox" name="column" value=(f.name)
                                checked[title || shown.contains(&f.tag)] disabled[title];
                            (f.label)
                        }
                    }
                }
                // The column that leads to the record always stays; a box that cannot be cleared is not sent.
                input type="hidden" name="column" value=(kind.field(kind.title).map_or("", |f| f.name));
                button.btn.btn-small type="submit" { "保存" }
                button.btn-link type="submit" name="reset" value="1" { "恢复默认" }
            }
        }
    })
}
