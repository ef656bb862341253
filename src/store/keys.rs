//! Changing the keys of an open store: slots come and go, and a new generation takes over all record keys.
//!
//! What must hold: no act without its entry, so the entry is durable before the slot file changes, and a change that
//! failed has a second one that says so; the last way to the master key is never taken; an old generation goes only
//! after no record key lies under it.

use std::path::{Path, PathBuf};

use super::keyslot::{self, Cost, Slot, SlotFile, SlotKind};
use super::seal::Secret;
use super::{Act, Store};
use crate::base::{Error, Result, limits};

/// A slot as people see it.
#[derive(Clone, Debug)]
pub struct SlotInfo {
    /// What people call it; no other slot has the name.
    pub name: String,
    /// What opens it; `None` for kinds of newer programs.
    pub kind: Option<SlotKind>,
    /// Key files: where it lay when the slot was made, or when it opened the store.
    pub path: Option<PathBuf>,
    /// Recovery: the public half.
    pub recipient: Option<String>,
    /// Whether it opens now, for slots that open without anybody there.
    pub opens: Option<bool>,
    /// The store was opened by it.
    pub used: bool,
}

/// A slot to be added.
pub enum NewSlot<'a> {
    /// A new key file at this path.
    KeyFile(&'a Path),
    /// The credential of this process, or a new one in a file that is to be handed to systemd.
    Credential(Option<&'a Path>),
    /// A passphrase that was checked already.
    Passphrase(&'a str),
    /// A recipient, and what seals a text to it.
    Recovery(&'a str, &'a dyn Fn(&[u8]) -> Result<Vec<u8>>),
}

impl NewSlot<'_> {
    /// What opens it.
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Credential(_) => SlotKind::Credential,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Recovery(..) => SlotKind::Recovery,
        }
    }
}

/// How far one step of a rotation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// Where the next one begins; `None` when no key is left.
    pub next: Option<u64>,
    /// Keys that moved.
    pub moved: u64,
}

impl Store {
    /// Every slot there is, in the order they are tried.
    pub fn slots(&self) -> Vec<SlotInfo> {
        let ring = &self.shared.ring;
        let file = ring.file();
        let info = |slot: &Slot| {
            let used = slot.name == ring.opened_by;
            let unattended = slot.kind().filter(|k| k.is_unattended());
            SlotInfo {
                name: slot.name.clone(),
                kind: slot.kind(),
                path: ring.key_file.clone().filter(|_| used).or_else(|| slot.path.clone()),
                recipient: slot.recipient.clone(),
                opens: unattended.map(|_| file.opens(&self.shared.dir, slot, ring.master())),
                used,
            }
        };
        file.slots.iter().map(info).collect()
    }

    /// Adds a slot; its name, which is one made of its kind when `name` is empty. `act` gets kind and name as its note.
    ///
    /// # Errors
    /// `Invalid` for a name that is taken or no name, a key file inside the data folder or one that exists already.
    pub fn add_slot(&self, name: &str, new: &NewSlot<'_>, act: Act) -> Result<String> {
        let ring = &self.shared.ring;
        let mut held = ring.file();
        let name = new_name(&held, name, new.kind())?;
        let mut changed = held.clone();
        let act = act.note(format!("{} {name}", new.kind().name()));
        let slot = Slot::new(new.kind(), name.clone());
        let made = fill(&mut changed, slot, new, (&self.shared.dir, ring.master()))?;
        let entered = self.enter(&act);
        let known = entered.is_ok();
        if let Err(e) = entered.and_then(|()| ring.replace(&mut held, changed)) {
            // The key of a slot that does not exist opens nothing; it would only be taken for one.
            made.map_or(Ok(()), std::fs::remove_file)?;
            if known {
                self.enter(&act.refused())?;
            }
            return Err(e);
        }
        Ok(name)
    }

    /// Removes a slot; its kind. `act` gets kind and name as its note.
    ///
    /// # Errors
    /// `Invalid` when there is no such slot, or when without it nothing would open the store.
    pub fn remove_slot(&self, name: &str, act: Act) -> Result<String> {
        let ring = &self.shared.ring;
        let mut held = ring.file();
        let slot = held.slot(name).cloned();
        let slot = slot.ok_or_else(|| Error::invalid("没有这个名字的密钥槽。请用 jiceng key list 查看。"))?;
        let mut changed = held.clone();
        changed.slots.retain(|s| s.name != name);
        let opens = |slot: &Slot| match slot.kind() {
            Some(kind) if kind.is_unattended() => changed.opens(&self.shared.dir, slot, ring.master()),
            kind => kind.is_some(),
        };
        if !changed.slots.iter().any(opens) {
            return Err(Error::invalid(
                "不能删除：删除后再没有别的密钥槽能打开数据。请先用 jiceng key add 另加一个，并确认它能打开。",
            ));
        }
        let act = act.note(format!("{} {name}", slot.kind_name()));
        self.enter(&act)?;
        let done = ring.replace(&mut held, changed);
        drop(held);
        if let Err(e) = done {
            self.enter(&act.refused())?;
            return Err(e);
        }
        Ok(slot.kind_name().to_owned())
    }

    /// The slot the store was opened by.
    pub fn opened_by(&self) -> &str {
        &self.shared.ring.opened_by
    }

    /// More than one generation is there: record keys are to move to the last one.
    pub fn is_rotating(&self) -> bool {
        self.shared.ring.generations().keys().len() > 1
    }

    /// The number of the generation that wraps new record keys.
    pub fn generation(&self) -> u32 {
        self.shared.ring.generations().current()
    }

    /// Adds a generation, which wraps new record keys from now on.
    pub fn begin_rotation(&self, act: Act) -> Result<u32> {
        self.must_take_changes()?;
        let ring = &self.shared.ring;
        let generations = ring.generations();
        let number = generations.current().checked_add(1).ok_or_else(|| Error::internal("generations"))?;
        let act = act.note(format!("generation {number}"));
        self.enter(&act)?;
        let keys = generations.keys().iter().cloned().chain([(number, Secret::random()?)]);
        if let Err(e) = ring.set_generations(keys.collect()) {
            self.enter(&act.refused())?;
            return Err(e);
        }
        Ok(number)
    }

    /// Moves some record keys to the last generation, from the id `from` on; others go first.
    pub fn rewrap(&self, from: u64, act: Act) -> Result<Rewrapped> {
        let most = if self.is_crowded() { limits::REWRAP_CHUNK_CROWDED } else { limits::REWRAP_CHUNK };
        self.submit_patiently(move |txn| {
            let done = txn.rewrap(from, most)?;
            txn.act(act.note(format!("keys {}", done.moved)));
            Ok(done)
        })
    }

    /// Forgets every generation but the last, after the last step of [`Store::rewrap`] came to the end.
    ///
    /// # Errors
    /// `Internal` when a record key lies under another generation: then nothing is forgotten. The same while the disk
    /// takes no changes: what was moved might not stay there.
    pub fn end_rotation(&self, act: Act) -> Result<()> {
        self.must_take_changes()?;
        let ring = &self.shared.ring;
        let generations = ring.generations();
        let current = generations.current();
        if self.read()?.has_keys_besides(current)? {
            return Err(Error::internal("a record key lies under an old generation"));
        }
        let act = act.note(format!("generation {current}"));
        self.enter_rotation(current, act.clone())?;
        let last = generations.keys().last().cloned().into_iter().collect();
        if let Err(e) = ring.set_generations(last) {
            self.enter(&act.refused())?;
            return Err(e);
        }
        Ok(())
    }

    /// How many record keys there are, the store's own included.
    pub fn key_count(&self) -> Result<u64> {
        Ok(self.read()?.count()? + 1)
    }

    fn enter(&self, act: &Act) -> Result<()> {
        let act = act.clone();
        self.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }
}

/// A name as it was asked for, or a free one made of the kind.
fn new_name(file: &SlotFile, asked: &str, kind: SlotKind) -> Result<String> {
    if file.slots.len() >= limits::SLOTS {
        return Err(Error::invalid(format!("密钥槽最多 {} 个。请先删除不用的。", limits::SLOTS)));
    }
    if asked.is_empty() {
        return Ok(file.free_name(kind.name()));
    }
    let plain = asked.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain || asked.len() > limits::SLOT_NAME_CHARS {
        let most = limits::SLOT_NAME_CHARS;
        return Err(Error::invalid(format!("密钥槽的名字只能用字母、数字、- 和 _，最多 {most} 个字符。")));
    }
    if file.slot(asked).is_some() {
        return Err(Error::invalid("已有同名的密钥槽。请换一个名字，或先删除它。"));
    }
    Ok(asked.to_owned())
}

/// Wraps the master key for a new slot; the key file that was made for it.
fn fill(
    file: &mut SlotFile,
    mut slot: Slot,
    new: &NewSlot<'_>,
    (dir, master): (&Path, &Secret),
) -> Result<Option<PathBuf>> {
    match new {
        NewSlot::KeyFile(path) => {
            let (key, path) = keyslot::make_key_file(dir, path)?;
            slot.path = Some(path.clone());
            file.add(slot, &key, master)?;
            Ok(Some(path))
        }
        NewSlot::Credential(Some(path)) => {
            let (key, path) = keyslot::make_key_file(dir, path)?;
            file.add(slot, &key, master)?;
            Ok(Some(path))
        }
        NewSlot::Credential(None) => {
            let key = keyslot::credential().and_then(|path| keyslot::read_key(&path));
            let key = key.ok_or_else(|| {
                Error::invalid(
                    "本进程没有得到 systemd 凭据 jiceng.key。请用 --path 生成一个新的凭据文件，再交给 systemd。",
                )
            })?;
            file.add(slot, &key, master)?;
            Ok(None)
        }
        NewSlot::Passphrase(words) => {
            let cost = Cost::new()?;
            let key = cost.derive(words)?;
            slot.argon2id = Some(cost);
            file.add(slot, &key, master)?;
            Ok(None)
        }
        NewSlot::Recovery(recipient, seal) => {
            slot.recipient = Some((*recipient).to_owned());
            file.add_sealed(slot, master, seal)?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tempfile::TempDir;

    use super::super::keyslot::{SLOT_FILE, Unlock};
    use super::super::{Doer, Locked, Txn};
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::base::{Moment, RecordId};
    use crate::records::{Author, act, decide, petition};

    const WORDS: &str = "青石桥头 第七盏灯";
    const NOW: Moment = Moment(1_790_000_000_000);

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::at(NOW))
    }

    fn act(action: act::Action) -> Act {
        Act::new(Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() }, action)
    }

    fn made() -> (TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::create(&home.path().join("d"), &home.path().join("key"), "测试县", true, clock()).unwrap();
        (home, store)
    }

    fn add(store: &Store, name: &str, new: &NewSlot<'_>) -> Result<String> {
        store.add_slot(name, new, act(act::KEY_ADDED))
    }

    fn remove(store: &Store, name: &str) -> Result<String> {
        store.remove_slot(name, act(act::KEY_REMOVED))
    }

    fn create(txn: &mut Txn<'_>, count: usize) -> Result<()> {
        let author = Author { account: RecordId(1), unit: RecordId(2) };
        for _ in 0..count {
            let fields = (petition::KIND.sample)(1);
            txn.create(decide::create(&petition::KIND, fields, author, txn.now()).unwrap())?;
        }
        txn.act(act(act::IMPORT));
        Ok(())
    }

    fn fill_with(store: &Store, records: usize) {
        for from in (0..records).step_by(500) {
            store.submit(move |txn| create(txn, 500.min(records - from))).unwrap();
        }
    }

    fn rotate(store: &Store) {
        store.begin_rotation(act(act::KEY_ROTATION)).unwrap();
        finish(store);
    }

    fn finish(store: &Store) {
        let mut next = Some(0);
        while let Some(from) = next {
            next = store.rewrap(from, act(act::KEY_REWRAPPED)).unwrap().next;
        }
        store.end_rotation(act(act::KEY_ROTATED)).unwrap();
    }

    /// Wrapped keys of every record and the store.
    fn wrapped(store: &Store) -> Vec<(u64, Vec<u8>)> {
        let mut keys = Vec::new();
        let keep = |row: super::super::ArchiveRow| {
            if row.table == 4 {
                keys.push((u64::from_be_bytes(row.key.try_into().unwrap()), row.value));
            }
            Ok(())
        };
        let mut keep = keep;
        store.read().unwrap().dump(&mut keep).unwrap();
        keys
    }

    fn notes(store: &Store, action: act::Action) -> Vec<String> {
        let entries = store.read().unwrap().journal_after(crate::base::Seq(0)).unwrap();
        let headers = entries.map(|e| e.unwrap().header).filter(|h| h.action == action.code);
        headers.map(|h| if h.done { h.note } else { format!("not {}", h.note) }).collect()
    }

    #[test]
    fn each_slot_opens_alone_and_nothing_else_does() {
        let (home, store) = made();
        let second = home.path().join("second");
        let seal = |plain: &[u8]| Ok(plain.iter().map(|b| !b).collect());
        assert_eq!(add(&store, "", &NewSlot::KeyFile(&second)).unwrap(), "key-file-2");
        assert_eq!(add(&store, "duty", &NewSlot::Passphrase(WORDS)).unwrap(), "duty");
        assert_eq!(add(&store, "", &NewSlot::Recovery("age1x", &seal)).unwrap(), "recovery");
        let names: Vec<_> = store.slots().into_iter().map(|s| (s.name, s.opens, s.used)).collect();
        let name = |n: &str, opens, used| (n.to_owned(), opens, used);
        assert_eq!(
            names,
            [
                name("key-file", Some(true), true),
                name("key-file-2", Some(true), false),
                name("duty", None, false),
                name("recovery", None, false)
            ]
        );
        assert_eq!(notes(&store, act::KEY_ADDED), ["key-file key-file-2", "passphrase duty", "recovery recovery"]);
        let dir = store.dir().to_owned();
        drop(store);
        fs::remove_file(home.path().join("key")).unwrap();
        assert_eq!(Store::open(&dir, clock()).unwrap().opened_by(), "key-file-2");
        fs::remove_file(second).unwrap();
        assert!(Store::open(&dir, clock()).err().unwrap().public().contains("尚未解锁"));
        let locked = Locked::take(&dir).unwrap();
        let slot = |how: &Unlock<'_>| locked.unlock(how).unwrap().map(|keys| keys.slot().to_owned());
        assert_eq!(slot(&Unlock::Unattended), None);
        assert_eq!(slot(&Unlock::Passphrase(WORDS)).as_deref(), Some("duty"));
        for wrong in ["", "青石桥头", "青石桥头 第七盏灯 "] {
            assert_eq!(slot(&Unlock::Passphrase(wrong)), None, "{wrong}");
        }
        let open = |sealed: &[u8]| Some(zeroize::Zeroizing::new(sealed.iter().map(|b| !b).collect()));
        assert_eq!(slot(&Unlock::Recovery(&open)).as_deref(), Some("recovery"));
        let other = |_: &[u8]| Some(zeroize::Zeroizing::new(b"jiceng-master-1 00 AAAA\n".to_vec()));
        assert_eq!((slot(&Unlock::Recovery(&other)), slot(&Unlock::Recovery(&|_| None))), (None, None));
    }

    #[test]
    fn the_last_way_to_the_data_is_never_taken() {
        let (home, store) = made();
        let second = home.path().join("second");
        assert!(remove(&store, "key-file").is_err() && remove(&store, "other").is_err());
        add(&store, "usb", &NewSlot::KeyFile(&second)).unwrap();
        // A slot whose file is gone opens nothing.
        let key = fs::read(&second).unwrap();
        fs::remove_file(&second).unwrap();
        assert!(remove(&store, "key-file").is_err());
        fs::write(&second, &key).unwrap();
        assert_eq!(remove(&store, "key-file").unwrap(), "key-file");
        assert!(remove(&store, "usb").is_err());
        assert_eq!((store.slots().len(), notes(&store, act::KEY_REMOVED).len()), (1, 1));
        let dir = store.dir().to_owned();
        drop(store);
        assert_eq!(Store::open(&dir, clock()).unwrap().opened_by(), "usb");
    }

    #[test]
    fn a_key_file_lies_outside_and_names_are_plain_and_different() {
        let (home, store) = made();
        let before = fs::read(store.dir().join(SLOT_FILE)).unwrap();
        let inside = store.dir().join("blobs-key");
        let there = home.path().join("key");
        fs::create_dir(home.path().join("way")).unwrap();
        std::os::unix::fs::symlink(store.dir(), home.path().join("way/in")).unwrap();
        let around = home.path().join("way/in/key");
        for path in [&inside, &there, &around, &home.path().join("none/key")] {
            assert!(add(&store, "", &NewSlot::KeyFile(path)).is_err(), "{}", path.display());
        }
        assert!(!inside.exists());
        for name in ["key-file", "a b", "名", &"x".repeat(41)] {
            assert!(add(&store, name, &NewSlot::KeyFile(&home.path().join("new"))).is_err(), "{name}");
        }
        assert!(!home.path().join("new").exists() && notes(&store, act::KEY_ADDED).is_empty());
        assert_eq!(fs::read(store.dir().join(SLOT_FILE)).unwrap(), before);
    }

    #[test]
    fn what_a_crash_left_beside_the_slot_file_does_no_harm() {
        let (home, store) = made();
        let (file, next) = (store.dir().join(SLOT_FILE), store.dir().join("keys.json.new"));
        let good = fs::read(&file).unwrap();
        let dir = store.dir().to_owned();
        drop(store);
        // Cut while it was written, and whole but not renamed yet.
        for left in [&b""[..], &good[..40], &good] {
            fs::write(&next, left).unwrap();
            let store = Store::open(&dir, clock()).unwrap();
            assert_eq!(fs::read(&file).unwrap(), good);
            drop(store);
        }
        let store = Store::open(&dir, clock()).unwrap();
        add(&store, "usb", &NewSlot::KeyFile(&home.path().join("usb"))).unwrap();
        assert!(!next.exists() && store.slots().len() == 2);
    }

    #[test]
    fn a_slot_file_of_the_first_format_becomes_the_second_when_it_changes() {
        let (home, store) = made();
        let (dir, file) = (store.dir().to_owned(), store.dir().join(SLOT_FILE));
        drop(store);
        let mut slots: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        slots["format"] = 1.into();
        slots["slots"][0].as_object_mut().unwrap().remove("name").unwrap();
        let token = serde_json::json!({ "kind": "token", "serial": 5 });
        slots["slots"].as_array_mut().unwrap().push(token.clone());
        fs::write(&file, slots.to_string()).unwrap();
        let store = Store::open(&dir, clock()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), slots.to_string());
        assert_eq!(store.slots()[0].name, "key-file");
        // A slot that this program cannot open is none.
        assert!(remove(&store, "key-file").is_err());
        add(&store, "usb", &NewSlot::KeyFile(&home.path().join("usb"))).unwrap();
        let after: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!((after["format"].as_u64(), &after["slots"][1]["serial"]), (Some(2), &token["serial"]));
        drop(store);
        let newer = fs::read_to_string(&file).unwrap().replace("\"format\": 2", "\"format\": 3");
        fs::write(&file, newer).unwrap();
        assert!(Store::open(&dir, clock()).err().unwrap().public().contains("更新的版本"));
    }

    /// Whatever bit of the slot file is another one: it opens to the same keys, or it does not open.
    #[test]
    fn an_altered_slot_file_never_opens_wrongly() {
        let (_home, store) = made();
        let dir = store.dir().to_owned();
        let (mut file, master) = (SlotFile::read(&dir).unwrap(), store.shared.ring.master().clone());
        let mut slot = Slot::new(SlotKind::Passphrase, "duty".into());
        let mut cost = Cost::new().unwrap();
        (cost.memory_kib, cost.passes) = (16, 1);
        let key = cost.derive(WORDS).unwrap();
        slot.argon2id = Some(cost);
        file.add(slot, &key, &master).unwrap();
        file.write(&dir).unwrap();
        drop(store);
        let good = fs::read(dir.join(SLOT_FILE)).unwrap();
        let keys = |file: &SlotFile, how: &Unlock<'_>| {
            let opened = file.open(&dir, how).ok().flatten()?;
            let generations = file.generations(&opened.master).ok()?;
            Some((*opened.master.expose(), *generations.keys()[0].1.expose()))
        };
        let hows = [Unlock::Unattended, Unlock::Passphrase(WORDS)];
        let right = keys(&file, &hows[0]).unwrap();
        let mut closed = 0;
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(dir.join(SLOT_FILE), &flipped).unwrap();
            let Ok(file) = SlotFile::read(&dir) else { continue };
            for how in &hows {
                let opened = keys(&file, how);
                assert!(opened.is_none_or(|keys| keys == right), "bit {bit}");
                closed += usize::from(opened.is_none());
            }
        }
        assert!(closed > good.len(), "{closed}");
    }

    #[test]
    fn a_rotation_leaves_nothing_that_lives_under_the_old_generation() {
        let (_home, store) = made();
        let records = 2_500 * std::env::var("JICENG_CAMPAIGN").map_or(1, |n| n.parse::<usize>().unwrap());
        fill_with(&store, records);
        let dir = store.dir().to_owned();
        let old_slots = fs::read(dir.join(SLOT_FILE)).unwrap();
        let (old, before) = (store.shared.ring.generations(), store.read().unwrap());
        let (first, last) = (RecordId(1), before.last_id().unwrap());
        let working = AtomicBool::new(true);
        let mut made_meanwhile = 0;
        std::thread::scope(|scope| {
            let (store, working) = (&store, &working);
            let others = scope.spawn(move || {
                let mut made = 0;
                while working.load(Ordering::Relaxed) || made == 0 {
                    store.submit(|txn| create(txn, 3)).unwrap();
                    made += 3;
                }
                made
            });
            rotate(store);
            working.store(false, Ordering::Relaxed);
            made_meanwhile = others.join().unwrap();
        });
        store.submit(|txn| create(txn, 1)).unwrap();
        let keys = wrapped(&store);
        assert_eq!(keys.len(), 1 + records + made_meanwhile + 1);
        for (id, key) in &keys {
            assert_eq!(key[..4], 2_u32.to_be_bytes(), "{id}");
            assert!(old.open(*id, key).is_err());
        }
        assert!(!store.is_rotating() && store.generation() == 2);
        // Whoever began to read before reads on.
        assert!(before.get(first, true).unwrap().is_some() && before.get(last, true).unwrap().is_some());
        assert!(store.check().unwrap().problems.is_empty());
        let moved: u64 = notes(&store, act::KEY_REWRAPPED).iter().map(|n| n[5..].parse::<u64>().unwrap()).sum();
        assert!((records as u64..=records as u64 + made_meanwhile as u64 + 1).contains(&moved), "{moved}");
        assert_eq!(notes(&store, act::KEY_ROTATED), ["generation 2"]);
        drop((store, before));
        let new_slots = fs::read(dir.join(SLOT_FILE)).unwrap();
        fs::write(dir.join(SLOT_FILE), old_slots).unwrap();
        assert!(Store::open(&dir, clock()).is_err(), "the old slot file opens the new data");
        fs::write(dir.join(SLOT_FILE), new_slots).unwrap();
        let store = Store::open(&dir, clock()).unwrap();
        assert!(store.read().unwrap().get(last, true).unwrap().is_some());
    }

    #[test]
    fn a_rotation_that_broke_off_goes_on_after_a_restart() {
        let (_home, store) = made();
        fill_with(&store, 1_500);
        let dir = store.dir().to_owned();
        store.begin_rotation(act(act::KEY_ROTATION)).unwrap();
        let step = store.rewrap(0, act(act::KEY_REWRAPPED)).unwrap();
        assert_eq!(step, Rewrapped { next: Some(limits::REWRAP_CHUNK as u64), moved: limits::REWRAP_CHUNK as u64 });
        // Not before the end.
        assert!(store.end_rotation(act(act::KEY_ROTATED)).is_err());
        drop(store);
        let store = Store::open(&dir, clock()).unwrap();
        assert!(store.is_rotating() && store.check().unwrap().problems.is_empty());
        store.submit(|txn| create(txn, 1)).unwrap();
        finish(&store);
        assert!(!store.is_rotating());
        assert!(wrapped(&store).iter().all(|(_, key)| key[..4] == 2_u32.to_be_bytes()));
        // And a second one.
        rotate(&store);
        assert_eq!(store.generation(), 3);
        assert!(store.check().unwrap().problems.is_empty());
    }
}
