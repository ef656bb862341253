//! For monitoring: alive, or not. Says nothing else to strangers.

use crate::base::Result;
use crate::web::guard::Call;
use crate::web::respond::Reply;

/// `ok` when the store can be read.
pub fn show(call: &Call) -> Result<Reply> {
    call.app.is_ready()?;
    Ok(Reply::Text("ok\n".to_owned()))
}
