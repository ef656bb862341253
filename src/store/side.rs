//! What was read out of an attachment, kept beside it: a sealed file under `texts/` with the name of the attachment's.
//!
//! What must hold: its key follows from the attachment's own, so that it opens for whoever may open the attachment and
//! for nobody once the record was purged; it goes with the attachment's file; it can be thrown away and made again, and
//! is in no backup. Bytes: `data-format/store.md`.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::seal::{self, Secret};
use super::{Snapshot, Store, blob, durable};
use crate::base::{Error, Result, limits};
use crate::records::FileRef;

const MAGIC: &[u8; 8] = b"jicengT1";
const FOLDER: &str = "texts";
/// What the key of a text is derived for.
const PURPOSE: &[u8] = b"jiceng-text-1";

impl Snapshot {
    /// What is kept beside an attachment; `None` when there is nothing that opens.
    pub fn beside(&self, file: &FileRef) -> Result<Option<Vec<u8>>> {
        read(&self.shared.dir, &self.shared.ring.store, file)
    }
}

impl Store {
    /// Keeps something beside an attachment, durable; what was there is replaced.
    pub fn keep_beside(&self, file: &FileRef, plain: &[u8]) -> Result<()> {
        self.must_take_changes()?;
        let root = &self.shared.dir;
        let packed = zstd::bulk::compress(plain, 0).map_err(Error::internal)?;
        let sealed = key(file)?.seal(&place(&self.shared.ring.store, file), &packed)?;
        let target = path(root, &file.blob).ok_or_else(|| Error::damaged("附件名"))?;
        write(root, &target, &[MAGIC, sealed.as_slice()].concat())?;
        // It may have been purged meanwhile.
        if !blob::path(root, &file.blob).is_some_and(|p| p.exists()) {
            remove(root, &file.blob)?;
        }
        Ok(())
    }

    /// How far something was done for attachments, in the words of whoever does it; empty where nobody did.
    pub fn beside_position(&self, what: &str) -> String {
        fs::read_to_string(self.shared.dir.join(FOLDER).join(what)).unwrap_or_default()
    }

    /// Remembers how far.
    pub fn set_beside_position(&self, what: &str, words: &str) -> Result<()> {
        write(&self.shared.dir, &self.shared.dir.join(FOLDER).join(what), words.as_bytes())
    }

    /// Removes what lies beside attachments that are gone.
    pub fn sweep_beside(&self) -> Result<()> {
        let root = &self.shared.dir;
        let Ok(folders) = fs::read_dir(root.join(FOLDER)) else { return Ok(()) };
        for folder in folders.flatten().filter(|f| f.path().is_dir()) {
            for file in fs::read_dir(folder.path())?.flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                if !blob::path(root, &name).is_some_and(|p| p.exists()) {
                    fs::remove_file(file.path())?;
                }
            }
        }
        Ok(())
    }
}

fn read(root: &Path, store: &str, file: &FileRef) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = path(root, &file.blob).and_then(|p| fs::read(p).ok()) else { return Ok(None) };
    let plain = bytes.strip_prefix(MAGIC).zip(key(file).ok()).and_then(|(sealed, key)| {
        let packed = key.open(&place(store, file), sealed)?;
        zstd::bulk::decompress(&packed, limits::ATTACHED_TEXT_BYTES).ok()
    });
    Ok(plain)
}

/// Removes what lies beside an attachment for good.
pub(super) fn remove(root: &Path, blob: &str) -> Result<()> {
    let Some(path) = path(root, blob) else { return Ok(()) };
    match fs::remove_file(&path) {
        Ok(()) => Ok(path.parent().map_or(Ok(()), durable::sync_folder)?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn write(root: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    let staging = root.join(blob::STAGING);
    let folder = target.parent().unwrap_or(root);
    fs::create_dir_all(&staging)?;
    fs::create_dir_all(folder)?;
    let temp = staging.join(hex::encode(seal::random::<12>()?));
    let mut file = File::options().write(true).create_new(true).open(&temp)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temp, target));
    if let Err(e) = written {
        let _gone = fs::remove_file(&temp);
        return Err(e.into());
    }
    Ok(durable::sync_folder(folder)?)
}

fn path(root: &Path, name: &str) -> Option<PathBuf> {
    blob::path_below(&root.join(FOLDER), name)
}

fn key(file: &FileRef) -> Result<Secret> {
    Secret::from_slice(&file.key)?.derived(PURPOSE)
}

fn place(store: &str, file: &FileRef) -> Vec<u8> {
    format!("jiceng-text-1 {store} {}", file.blob).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_opens_with_its_attachment_alone_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("d");
        let clock = std::sync::Arc::new(crate::base::clock::SystemClock);
        let store = Store::create(&at, &dir.path().join("k"), "甲县", false, clock).unwrap();
        let attach = |bytes: &[u8]| {
            let mut writer = store.write_blob().unwrap();
            writer.write(bytes).unwrap();
            writer.finish("信.txt").unwrap()
        };
        let (one, other) = (attach(b"one"), attach(b"other"));
        let words = "举报村干部".repeat(9);
        store.keep_beside(&one, words.as_bytes()).unwrap();
        let read = |file: &FileRef| store.read().unwrap().beside(file).unwrap();
        assert_eq!(read(&one).as_deref(), Some(words.as_bytes()));
        assert_eq!(read(&other), None);
        // Neither the key of another attachment opens it, nor does it open in the place of another.
        assert_eq!(read(&FileRef { key: other.key.clone(), ..one.clone() }), None);
        let place = |file: &FileRef| path(&at, &file.blob).unwrap();
        fs::create_dir_all(place(&other).parent().unwrap()).unwrap();
        fs::copy(place(&one), place(&other)).unwrap();
        assert_eq!(read(&FileRef { key: one.key.clone(), ..other.clone() }), None);
        let bytes = fs::read(place(&one)).unwrap();
        assert!(bytes.starts_with(MAGIC) && !bytes.windows(6).any(|w| w == "举报".as_bytes()));
        fs::remove_file(blob::path(&at, &other.blob).unwrap()).unwrap();
        store.sweep_beside().unwrap();
        assert!(place(&one).exists() && !place(&other).exists());
        store.discard_blob(&one).unwrap();
        assert!(!place(&one).exists());
        // What is gone gets no text any more.
        store.keep_beside(&one, b"late").unwrap();
        assert!(!place(&one).exists());
    }
}
