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
use crate::store::{BlobWriter, fact, seal};

/// Staged uploads by their token.
#[derive(Default)]
pub struct Staged(Mutex<HashMap<String, Upload>>);

struct Upload {
    account: RecordId,
    file: FileRef,
    at: Moment,
    owner: Owner,
}

/// What names a staged file. A draft and a record never name the same one: throwing a draft away removes its files.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nothing that lasts.
    Nobody,
    /// The draft with this id.
    Draft(String),
    /// A record; it is never removed here.
    Record,
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
            tokens.push(self.stage_one(actor, file, Owner::Nobody)?);
        }
        Ok(self.waiting_under(actor, &tokens))
    }

    /// The same for the files of a draft; a file that is staged already keeps its token.
    pub(super) fn stage_draft(&self, actor: &Actor, id: &str, files: Vec<FileRef>) -> Result<Vec<Waiting>> {
        self.clear_staged(self.now())?;
        let mut tokens = Vec::with_capacity(files.len());
        for file in files {
            tokens.push(self.stage_one(actor, file, Owner::Draft(id.to_owned()))?);
        }
        Ok(self.waiting_under(actor, &tokens))
    }

    fn stage_one(&self, actor: &Actor, file: FileRef, owner: Owner) -> Result<String> {
        let mut staged = lock(&self.staged.0);
        let same = |u: &Upload| u.account == actor.account && u.file.blob == file.blob;
        if let Some((token, _)) = staged.iter().find(|(_, u)| same(u)) {
            return Ok(token.clone());
        }
        let token = hex::encode(seal::random::<16>()?);
        staged.insert(token.clone(), Upload { account: actor.account, file, at: self.now(), owner });
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

    /// The staged uploads of these tokens that a form of this draft (empty: of none) may bring; unknown tokens, those
    /// of others and of other drafts are left out. They stay staged.
    pub(super) fn staged(&self, actor: &Actor, draft: &str, tokens: &[String]) -> Vec<(FileRef, Owner)> {
        let staged = lock(&self.staged.0);
        let free = |u: &&Upload| match &u.owner {
            Owner::Draft(id) => id == draft,
            Owner::Nobody | Owner::Record => true,
        };
        let own = |token: &String| {
            let upload = staged.get(token).filter(|u| u.account == actor.account).filter(free)?;
            Some((upload.file.clone(), upload.owner.clone()))
        };
        tokens.iter().filter_map(own).collect()
    }

    /// Something that lasts names these files now: they are no longer removed with their tokens.
    pub(super) fn own_staged(&self, files: &[FileRef], owner: &Owner) {
        for upload in lock(&self.staged.0).values_mut() {
            if files.iter().any(|f| f.blob == upload.file.blob) {
                upload.owner = owner.clone();
            }
        }
    }

    /// A draft does not name these files any more. Those that a form may still bring wait a while, the others go: at
    /// once, or with a scrub where a backup is under way that may want them.
    pub(super) fn release(&self, files: &[FileRef]) -> Result<()> {
        let busy = self.backup_busy();
        let mut staged = lock(&self.staged.0);
        for file in files {
            match staged.values_mut().find(|u| u.file.blob == file.blob) {
                Some(upload) if upload.owner == Owner::Record => {}
                Some(upload) => upload.owner = Owner::Nobody,
                None if busy => {}
                None => self.store.discard_blob(file)?,
            }
        }
        Ok(())
    }

    /// Drafts of somebody went to somebody else, with their files: no form of the one who had them brings those again.
    pub(super) fn unstage_drafts(&self, account: RecordId) {
        let theirs = |u: &Upload| u.account == account && matches!(u.owner, Owner::Draft(_));
        lock(&self.staged.0).retain(|_, upload| !theirs(upload));
    }

    /// Forgets tokens of files that only purged records had named: no form may bring those again.
    pub(super) fn drop_purged_staged(&self) -> Result<()> {
        let doomed = self.store.read()?.fact_text(fact::PURGED_FILES)?;
        let gone = |u: &Upload| u.owner == Owner::Record && doomed.lines().any(|blob| blob == u.file.blob);
        lock(&self.staged.0).retain(|_, upload| !gone(upload));
        Ok(())
    }

    /// Forgets tokens of a form that is refused for good, and removes their files unless something names them.
    pub(super) fn drop_staged(&self, actor: &Actor, tokens: &[String]) -> Result<()> {
        let mut staged = lock(&self.staged.0);
        let own = |u: &Upload| u.account == actor.account && u.owner == Owner::Nobody;
        let gone: Vec<&String> = tokens.iter().filter(|t| staged.get(*t).is_some_and(own)).collect();
        for upload in gone.into_iter().filter_map(|token| staged.remove(token)) {
            self.store.discard_blob(&upload.file)?;
        }
        Ok(())
    }

    /// Sealed files that wait for a form.
    pub(super) fn staged_blobs(&self) -> Vec<String> {
        lock(&self.staged.0).values().map(|u| u.file.blob.clone()).collect()
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
        for upload in old.iter().filter_map(|token| staged.remove(token)).filter(|u| u.owner == Owner::Nobody)
        {
            self.store.discard_blob(&upload.file)?;
        }
        Ok(())
    }
}
