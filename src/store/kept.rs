//! What an account keeps for itself outside of records — drafts of forms, choices of lists — as sealed facts: values by
//! tag under the store's own key, bound to their name. They come and go with the act that says so, leave no content in
//! the journal, and are part of every backup. What the tags mean is `app`'s; bytes: `data-format/store.md`.

use super::tables::META;
use super::{Shared, Snapshot, damage, fact};
use crate::base::{Error, Result};
use crate::records::{Fields, FileRef};

/// Names below which facts of this form lie.
pub(super) const PREFIXES: &[&str] = &[fact::DRAFT, fact::CHOICE];

impl Snapshot {
    /// What is kept under a name.
    pub fn kept(&self, name: &str) -> Result<Option<Fields>> {
        self.fact(name)?.map(|sealed| open(&self.shared, name, &sealed)).transpose()
    }

    /// Everything kept below a prefix, with its name, in order of names.
    pub fn kept_below(&self, prefix: &str) -> Result<Vec<(String, Fields)>> {
        let meta = self.txn.open_table(META).map_err(damage)?;
        let mut all = Vec::new();
        for row in meta.range::<&[u8]>(prefix.as_bytes()..).map_err(damage)? {
            let (name, sealed) = row.map_err(damage)?;
            if !name.value().starts_with(prefix.as_bytes()) {
                break;
            }
            let name = String::from_utf8_lossy(name.value()).into_owned();
            let fields = open(&self.shared, &name, sealed.value())?;
            all.push((name, fields));
        }
        Ok(all)
    }
}

/// Seals what is to be kept under a name.
pub(super) fn seal(shared: &Shared, name: &str, what: &Fields) -> Result<Vec<u8>> {
    shared.secrets.own.seal(&place(shared, name), &what.encode())
}

/// Opens what [`seal`] made.
pub(super) fn open(shared: &Shared, name: &str, sealed: &[u8]) -> Result<Fields> {
    let plain = shared.secrets.own.open(&place(shared, name), sealed);
    // The name says whose it is and nothing of what it holds.
    Fields::decode(&plain.ok_or_else(|| Error::damaged(format!("库信息 {name}")))?)
}

/// Attachments that what is kept names.
pub(super) fn files(fields: &Fields) -> Vec<FileRef> {
    fields.all_files().collect()
}

fn place(shared: &Shared, name: &str) -> Vec<u8> {
    format!("jiceng-kept-1 {} {name}", shared.ring.store).into_bytes()
}
