//! Uploads of a form that was not accepted yet: sealed on disk, their keys in memory only, so that mending a typing
//! error does not mean choosing the files again. What is never saved is removed.
//!
//! A token stays after its upload was saved, so that the same form sent twice says the same thing twice; from then on
//! the file belongs to what names it, and is not removed here.

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
    /// Something that lasts names the file.
    kept: bool,
}

/// An upload that waits, as a form shows it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What the form sends to name it.
    pub token: String,
    /// The name the user gave.
    pub name: String,
    /// Bytes of content.
    pub size: u64,
    /// Name of the sealed file.
    pub blob: String,
}

impl App {
    /// Starts an upload.
    pub fn upload(&self) -> Result<BlobWriter> {
        self.store.write_blob()
    }

    /// Keeps finished uploads for the next try of the same person, after those that wait under `tokens` already.
    pub fn stage(&self, actor: &Actor, tokens: &[String], files: Vec<FileRef>) -> Result<Vec<Waiting>> {
        self.clear_staged(self.now())?;
        let mut tokens = tokens.to_vec();
        for file in files {
            tokens.push(self.stage_one(actor, file, false)?);
        }
        Ok(self.waiting_under(actor, &tokens))
    }

    fn stage_one(&self, actor: &Actor, file: FileRef, kept: bool) -> Result<String> {
        let mut staged = lock(&self.staged.0);
        let same = |u: &Upload| u.account == actor.account && u.file.blob == file.blob;
        if let Some((token, _)) = staged.iter().find(|(_, u)| same(u)) {
            return Ok(token.clone());
        }
        let token = hex::encode(seal::random::<16>()?);
        staged.insert(token.clone(), Upload { account: actor.account, file, at: self.now(), kept });
        Ok(token)
    }

    /// What waits under these tokens; the time it waits begins anew.
    fn waiting_under(&self, actor: &Actor, tokens: &[String]) -> Vec<Waiting> {
        let (now, mut staged) = (self.now(), lock(&self.staged.0));
        let mut shown = Vec::with_capacity(tokens.len());
        for token in tokens {
            let Some(upload) = staged.get_mut(token).filter(|u| u.account == actor.account) else { continue };
            upload.at = now;
            let FileRef { name, size, blob, .. } = upload.file.clone();
            shown.push(Waiting { token: token.clone(), name, size, blob });
        }
        shown
    }

    /// The staged uploads of these tokens; unknown tokens and those of others are left out. They stay staged.
    pub(super) fn staged(&self, actor: &Actor, tokens: &[String]) -> Vec<FileRef> {
        let staged = lock(&self.staged.0);
        let own = |token: &String| staged.get(token).filter(|u| u.account == actor.account).map(|u| u.file.clone());
        tokens.iter().filter_map(own).collect()
    }

    /// Something that lasts names these files now: they are no longer removed with their tokens.
    pub(super) fn keep_staged(&self, files: &[FileRef]) {
        self.mark_staged(files, true);
    }

    /// Forgets tokens of a form that is refused for good, and removes their files unless something names them.
    pub(super) fn drop_staged(&self, actor: &Actor, tokens: &[String]) -> Result<()> {
        let mut staged = lock(&self.staged.0);
        let own = |token: &&String| staged.get(*token).is_some_and(|u| u.account == actor.account && !u.kept);
        let gone: Vec<&String> = tokens.iter().filter(own).collect();
        for upload in gone.into_iter().filter_map(|token| staged.remove(token)) {
            self.store.discard_blob(&upload.file)?;
        }
        Ok(())
    }

    /// Removes an upload that is not going to be kept.
    pub fn discard(&self, file: &FileRef) -> Result<()> {
        self.store.discard_blob(file)
    }

    fn mark_staged(&self, files: &[FileRef], kept: bool) {
        for upload in lock(&self.staged.0).values_mut() {
            if files.iter().any(|f| f.blob == upload.file.blob) {
                upload.kept = kept;
            }
        }
    }

    /// Removes uploads that nobody came back for.
    fn clear_staged(&self, now: Moment) -> Result<()> {
        let mut staged = lock(&self.staged.0);
        let old: Vec<String> = staged
            .iter()
            .filter(|(_, u)| now.seconds_since(u.at) > limits::SESSION_MAX_S)
            .map(|(token, _)| token.clone())
            .collect();
        for upload in old.iter().filter_map(|token| staged.remove(token)).filter(|u| !u.kept) {
            self.store.discard_blob(&upload.file)?;
        }
        Ok(())
    }
}
