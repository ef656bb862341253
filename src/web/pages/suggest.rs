//! What the search box offers while somebody types: data for the script, which pages do without.

use serde_json::json;

use crate::base::Result;
use crate::web::guard::Call;
use crate::web::respond::Reply;

/// Offers for what was typed so far.
pub fn offer(call: &Call) -> Result<Reply> {
    let offers = call.app.suggest(&call.live()?.actor, call.typed("text"))?;
    let told = offers.into_iter().map(|offer| {
        let path = format!("/{}/{}", offer.kind.name, offer.id);
        json!({ "kind": offer.kind.label, "title": offer.title, "beside": offer.beside, "path": path })
    });
    Ok(Reply::Data(told.collect()))
}
