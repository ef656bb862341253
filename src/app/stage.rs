//! Uploads of a form that was not accepted yet: sealed on disk, their keys in memory only, so that mending a typing
//! error does not mean choosing the files again. What is never saved is removed.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{Actor, App, lock};
use crate::base::{Moment, RecordId, Result, limits};
use crate::records::FileRef;
use crate::store::{BlobWriter, seal};

/// Staged uploads by their token.
#[derive(Default)]
pub struct Staged(Mutex<HashMap<String, Upload>>);

struct Upload {
    account: RecordId,
    file: FileRef,
    at: Moment,
}

impl App {
    /// Starts an upload.
    pub fn upload(&self) -> Result<BlobWriter> {
        self.store.write_blob()
    }

    /// Keeps finished uploads for the next try of the same person: (token, name, size).
    pub fn stage(&self, actor: &Actor, files: Vec<FileRef>) -> Result<Vec<(String, String, u64)>> {
        self.clear_staged(self.now())?;
        let mut staged = lock(&self.staged.0);
        let mut shown = Vec::with_capacity(files.len());
        for file in files {
            let token = hex::encode(seal::random::<16>()?);
            shown.push((token.clone(), file.name.clone(), file.size));
            staged.insert(token, Upload { account: actor.account, file, at: self.now() });
        }
        Ok(shown)
    }

    /// Takes staged uploads back; unknown tokens and those of others are left out.
    pub fn unstage(&self, actor: &Actor, tokens: &[String]) -> Vec<FileRef> {
        let mut staged = lock(&self.staged.0);
        let own = |token: &String| {
            let mine = staged.get(token).is_some_and(|u| u.account == actor.account);
            mine.then(|| staged.remove(token)).flatten().map(|u| u.file)
        };
        tokens.iter().filter_map(own).collect()
    }

    /// Removes an upload that is not going to be kept.
    pub fn discard(&self, file: &FileRef) -> Result<()> {
        self.store.discard_blob(file)
    }

    /// Removes uploads that nobody came back for.
    fn clear_staged(&self, now: Moment) -> Result<()> {
        let mut staged = lock(&self.staged.0);
        let old: Vec<String> = staged
            .iter()
            .filter(|(_, u)| now.seconds_since(u.at) > limits::SESSION_MAX_S)
            .map(|(token, _)| token.clone())
            .collect();
        for upload in old.iter().filter_map(|token| staged.remove(token)) {
            self.store.discard_blob(&upload.file)?;
        }
        Ok(())
    }
}
