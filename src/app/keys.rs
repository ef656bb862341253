//! Keys as whoever runs the host handles them: the slots that open the data, and rotation.
//!
//! Left to others: what a slot file holds and that the last slot stays (`store`), the private halves of recipients
//! (`backup`).

use std::path::Path;
use std::sync::{Arc, TryLockError, Weak};

use super::access::local_doer;
use super::{App, lock};
use crate::backup;
use crate::base::{Error, ErrorKind, Result, background, limits};
use crate::records::act;
use crate::store::{Act, NewSlot, SlotInfo};

/// A way to the data that is to be added.
pub enum NewKey<'a> {
    /// A new key file at this path.
    KeyFile(&'a Path),
    /// The credential of this process, or a new one in a file that is to be handed to systemd.
    Credential(Option<&'a Path>),
    /// A passphrase.
    Passphrase(&'a str),
    /// An offline recipient, `age1…`.
    Recovery(&'a str),
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The generation that takes over.
    pub generation: u32,
    /// Record keys looked at so far.
    pub done: u64,
    /// Record keys there are.
    pub of: u64,
}

impl App {
    /// The slots that open the data.
    pub fn key_slots(&self) -> Vec<SlotInfo> {
        self.store.slots()
    }

    /// Adds a slot; its name, which is made of its kind when `name` is empty.
    pub fn add_key(&self, name: &str, key: &NewKey<'_>) -> Result<String> {
        let act = Act::new(local_doer(), act::KEY_ADDED);
        match key {
            NewKey::KeyFile(path) => self.store.add_slot(name, &NewSlot::KeyFile(path), act),
            NewKey::Credential(path) => self.store.add_slot(name, &NewSlot::Credential(*path), act),
            NewKey::Passphrase(words) => {
                check_passphrase(words)?;
                self.store.add_slot(name, &NewSlot::Passphrase(words), act)
            }
            NewKey::Recovery(recipient) => {
                let seal = |text: &[u8]| backup::seal_to(recipient, text);
                self.store.add_slot(name, &NewSlot::Recovery(recipient.trim(), &seal), act)
            }
        }
    }

    /// Removes a slot; what kind it was.
    pub fn remove_key(&self, name: &str) -> Result<String> {
        self.store.remove_slot(name, Act::new(local_doer(), act::KEY_REMOVED))
    }

    /// A rotation was begun and is not at its end.
    pub fn is_rotating(&self) -> bool {
        self.store.is_rotating()
    }

    /// Begins a new generation of keys, or takes up the one that was begun, and moves every record key to it. `heard`
    /// is told now and then how far it is.
    ///
    /// # Errors
    /// `Busy` while another one is under way in this process; `Damaged` when a record key does not open, which keeps
    /// the old generation.
    pub fn rotate_keys(&self, heard: &dyn Fn(Rotated)) -> Result<Rotated> {
        let _only = match self.rotation.try_lock() {
            Ok(only) => only,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::Busy, "密钥轮换正在进行。请稍后用 jiceng key list 查看。"));
            }
        };
        let generation = if self.store.is_rotating() {
            self.store.generation()
        } else {
            self.store.begin_rotation(Act::new(local_doer(), act::KEY_ROTATION))?
        };
        let of = self.store.key_count()?;
        let mut next = Some(0);
        while let Some(from) = next {
            heard(Rotated { generation, done: from.min(of), of });
            next = self.rewrap(from)?;
        }
        self.store.end_rotation(Act::new(local_doer(), act::KEY_ROTATED))?;
        self.follower.look();
        Ok(Rotated { generation, done: of, of })
    }

    /// Takes a rotation up that a stop of the process broke off; it goes on while others work.
    pub fn resume_rotation(self: &Arc<Self>) -> Result<()> {
        // A disk that takes no changes is left alone; whoever says that it is good again takes the rotation up.
        if !self.store.is_rotating() || self.halted().is_some() {
            return Ok(());
        }
        let own = Arc::downgrade(self);
        background("rotation", move || {
            if let Err(e) = go_on(&own) {
                tracing::error!(detail = e.detail(), "rotating keys: {e}");
            }
        })?;
        Ok(())
    }

    fn rewrap(&self, from: u64) -> Result<Option<u64>> {
        Ok(self.store.rewrap(from, Act::new(local_doer(), act::KEY_REWRAPPED))?.next)
    }
}

/// Holds the application only for a step at a time, so that a server that ends does not wait for it.
fn go_on(own: &Weak<App>) -> Result<()> {
    let mut next = Some(0);
    while let Some(from) = next {
        let Some(app) = own.upgrade() else { return Ok(()) };
        let _only = lock(&app.rotation);
        if !app.store.is_rotating() {
            return Ok(());
        }
        next = app.rewrap(from)?;
    }
    let Some(app) = own.upgrade() else { return Ok(()) };
    let _only = lock(&app.rotation);
    if app.store.is_rotating() {
        app.store.end_rotation(Act::new(local_doer(), act::KEY_ROTATED))?;
        app.follower.look();
    }
    Ok(())
}

/// A passphrase guards everything, and whoever stole a disk may guess as often as they like.
fn check_passphrase(words: &str) -> Result<()> {
    let least = limits::PASSPHRASE_MIN_CHARS;
    if words.trim().chars().count() < least || words.len() > limits::PASSWORD_MAX_BYTES {
        let most = limits::PASSWORD_MAX_BYTES;
        return Err(Error::invalid(format!("解锁口令至少 {least} 个字符，最多 {most} 字节。建议用几个不相干的词。")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::demo;
    use crate::base::Moment;
    use crate::base::clock::{Clock, ManualClock, SystemClock};

    /// A rotation was taken up on a disk that had just failed, and the old generation destroyed; the scrubber removed
    /// what the lost commits had named.
    #[test]
    fn on_a_disk_that_failed_no_key_is_moved_and_no_file_removed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("d");
        let now = SystemClock.now();
        let clock = Arc::new(ManualClock::at(now));
        let own = Arc::clone(&clock);
        let app = demo::create(&dir, own, true).unwrap();
        app.store.begin_rotation(Act::new(local_doer(), act::KEY_ROTATION)).unwrap();
        let mut blob = app.upload().unwrap();
        blob.write(b"paper").unwrap();
        let file = blob.finish("原件.txt").unwrap();
        drop(app);
        std::fs::write(dir.join("failed"), "jiceng-failed-1 1790000000000 5\n").unwrap();
        clock.set(Moment(now.0 + 8 * 24 * 3_600_000));
        let own = Arc::clone(&clock);
        let app = App::open(&dir, own).unwrap();
        assert!(app.halted().is_some());
        app.resume_rotation().unwrap();
        assert!(app.rotate_keys(&|_| {}).is_err() && app.is_rotating());
        app.look_after_data().unwrap();
        let there = || app.store.is_whole(&file);
        assert!(there() && app.scrubbed().unwrap().is_some());
        assert!(app.resume(&local_doer()).unwrap());
        app.rotate_keys(&|_| {}).unwrap();
        assert!(!app.is_rotating());
        app.scrub_now(&app.demo_actor("sysadmin").unwrap()).unwrap();
        app.look_after_data().unwrap();
        assert!(!there());
    }
}
