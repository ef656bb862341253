//! A disk that remembers: every write, resize and sync in order, so that it can be made as it might be found after the
//! power went at any moment. What was synced is there. Of the rest each sector of 512 bytes is there or not, and so is
//! each new length, as chance has it: the drive may keep any of it, in any order.
//!
//! It can also refuse an operation, and all that follow.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// Bytes a drive writes wholly or not at all.
pub(crate) const SECTOR: usize = 512;

/// What was done to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
    /// Somebody was told that the journal is durable up to here.
    Promise(u64),
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    log: Vec<Op>,
    /// Says that it synced and did not: what the tests must notice.
    lies: bool,
    /// Operations so far: writes, resizes and syncs.
    asked: usize,
    refusal: Option<Refusal>,
}

/// What the disk refuses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// Which operation, counted from 0.
    pub(crate) at: usize,
    /// The number the system gives for it.
    pub(crate) code: i32,
    /// Everything after it too.
    pub(crate) lasting: bool,
    /// Half of it is done before; a length is set or it is not, so that is done wholly.
    pub(crate) half: bool,
}

impl Disk {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { bytes, ..Inner::default() })))
    }

    pub(crate) fn lying(self) -> Self {
        self.0.lock().unwrap().lies = true;
        self
    }

    pub(crate) fn refusing(self, refusal: Refusal) -> Self {
        self.0.lock().unwrap().refusal = Some(refusal);
        self
    }

    /// Operations so far.
    pub(crate) fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
    }

    /// What is there now.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    pub(crate) fn promise(&self, seq: u64) {
        self.0.lock().unwrap().log.push(Op::Promise(seq));
    }

    /// What happened so far.
    pub(crate) fn log(&self) -> Vec<Op> {
        self.0.lock().unwrap().log.clone()
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = inner.bytes.get(start..start.saturating_add(out.len()));
        out.copy_from_slice(part.ok_or_else(|| broken("read past the end"))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let refusal = inner.next();
        if let Some(refusal) = refusal.filter(|r| !r.half) {
            return Err(refusal.error());
        }
        inner.bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        inner.log.push(Op::Resize(len));
        refusal.map_or(Ok(()), |refusal| Err(refusal.error()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        if let Some(refusal) = inner.next() {
            return Err(refusal.error());
        }
        if !inner.lies {
            inner.log.push(Op::Sync);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap();
        let refusal = inner.next();
        let done = match refusal {
            None => data,
            Some(refusal) if refusal.half => &data[..data.len() / 2],
            Some(refusal) => return Err(refusal.error()),
        };
        put(&mut inner.bytes, offset, done);
        inner.log.push(Op::Write(offset, done.to_vec()));
        refusal.map_or(Ok(()), |refusal| Err(refusal.error()))
    }
}

impl Inner {
    /// Counts an operation; the refusal that meets it.
    fn next(&mut self) -> Option<Refusal> {
        let n = self.asked;
        self.asked += 1;
        self.refusal.filter(|r| n == r.at || r.lasting && n > r.at)
    }
}

impl Refusal {
    fn error(self) -> io::Error {
        io::Error::from_raw_os_error(self.code)
    }
}

fn put(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap()
    }
}

/// A recording on its way: the disk as it is for certain after each sync, in the order of time.
pub(crate) struct Replay<'a> {
    log: &'a [Op],
    bytes: Vec<u8>,
    /// Operations that are in it.
    done: usize,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(first: Vec<u8>, log: &'a [Op]) -> Self {
        Self { log, bytes: first, done: 0 }
    }

    /// The disk after the power went when `cut` operations had been asked for, and the last promise before that. Cuts
    /// come in order.
    pub(crate) fn after_a_cut(&mut self, cut: usize, chance: &mut Chance) -> (Vec<u8>, u64) {
        self.advance(cut);
        let mut bytes = self.bytes.clone();
        tear(&mut bytes, &self.log[self.done..cut], chance);
        (bytes, promised(&self.log[..cut]))
    }

    /// The same for the last of them.
    pub(crate) fn after_the_last_cut(mut self, cut: usize, chance: &mut Chance) -> (Vec<u8>, u64) {
        self.advance(cut);
        tear(&mut self.bytes, &self.log[self.done..cut], chance);
        (self.bytes, promised(&self.log[..cut]))
    }

    /// Does everything that was synced before a cut.
    fn advance(&mut self, cut: usize) {
        assert!(cut >= self.done, "cuts come in order");
        let Some(synced) = self.log[self.done..cut].iter().rposition(|op| matches!(op, Op::Sync)) else { return };
        let synced = self.done + synced + 1;
        for op in &self.log[self.done..synced] {
            match op {
                Op::Write(offset, data) => put(&mut self.bytes, *offset, data),
                Op::Resize(len) => self.bytes.resize(usize::try_from(*len).unwrap(), 0),
                Op::Sync | Op::Promise(_) => {}
            }
        }
        self.done = synced;
    }
}

/// Does some of what was not synced.
fn tear(bytes: &mut Vec<u8>, rest: &[Op], chance: &mut Chance) {
    // How much of the rest got through differs from cut to cut: none, all, and anything between.
    let share = [0, 4, 32, 60, 64][chance.below(5)];
    for op in rest {
        match op {
            Op::Resize(len) if chance.below(64) < share => bytes.resize(usize::try_from(*len).unwrap(), 0),
            Op::Write(offset, data) => {
                for (n, sector) in data.chunks(SECTOR).enumerate() {
                    if chance.below(64) < share {
                        put(bytes, offset + (n * SECTOR) as u64, sector);
                    }
                }
            }
            _ => {}
        }
    }
}

fn promised(done: &[Op]) -> u64 {
    let promise = |op: &Op| if let Op::Promise(seq) = op { Some(*seq) } else { None };
    done.iter().rev().find_map(promise).unwrap_or_default()
}

/// The disk after one cut, and the last promise before it.
pub(crate) fn after_a_cut(first: &[u8], log: &[Op], cut: usize, chance: &mut Chance) -> (Vec<u8>, u64) {
    Replay::new(first.to_vec(), log).after_the_last_cut(cut, chance)
}
