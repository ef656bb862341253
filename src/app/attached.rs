//! Text of attachments in search (附件文字): read after the save, by a child that may die, one attachment at a time, and
//! kept sealed beside the attachment. What the index and the page of results make of it is here too.
//!
//! What must hold: no save waits for it; a file that cannot be read costs a word on its record; who may not see the
//! record finds nothing of its attachments; the index is told by an entry only after the text is durable, so that a
//! crash in between costs one entry more. Texts can be thrown away and are read again.

mod scans;
mod text;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::access::local_doer;
use super::import::desk::PROGRAM;
use super::record::{before_files, files_tag};
use super::search::document;
use super::{App, lock};
use crate::base::{Error, ErrorKind, RecordId, Result, Seq, background, limits};
use crate::foreign::{Format, Reader};
use crate::records::{self, FileRef, Record, act};
use crate::search::{self, Doc, Piece};
use crate::store::{Act, Doer, Snapshot};
use text::{Outcome, Text};

/// First word of the position; another one begins where texts are read in another way, and everything is read again.
const POSITION: &str = "jiceng-texts-1";
/// What the position tells: up to where attachments were read.
const READ: &str = "position";
/// Entries without attachments after which the position is written all the same.
const ENTRIES_UNWRITTEN: u64 = 2_000;
/// Stands between two attachments in the index, so that no text goes on from one into the other.
const APART: &str = "\n¦\n";

/// How far the reading is.
#[derive(Default)]
pub(super) struct Reading {
    inner: Mutex<Inner>,
    /// Held by whoever reads: one at a time.
    turn: Mutex<()>,
    scans: scans::Scans,
}

#[derive(Default)]
struct Inner {
    /// Up to which entry attachments were looked at, as far as this process knows.
    seen: Option<Seq>,
    /// What was looked at may not have been told: the process stopped in the middle, or something failed.
    untold: bool,
    /// Attachments that are still to be read; `None` before anybody counted.
    left: Option<u64>,
    stop: bool,
}

/// Where an attachment says what was looked for.
pub struct Attached {
    /// Name of the attachment.
    pub name: String,
    /// The page or sheet, if it has such.
    pub place: String,
    /// The text was recognised in a picture.
    pub ocr: bool,
    /// The piece of text around what matched.
    pub snippet: Vec<Piece>,
}

impl App {
    /// Reads the text of attachments that were saved since, and tells the index. The thread calls this; tests may.
    pub fn read_attached(&self) -> Result<()> {
        if self.halted().is_some() {
            return Ok(());
        }
        let _turn = lock(&self.reading.turn);
        let snapshot = self.store.read()?;
        let after = self.attached_position();
        let head = snapshot.head()?.seq;
        let due = due(&snapshot, after)?;
        let first = lock(&self.reading.inner).left.is_none();
        let done = self.read_due(&snapshot, &due);
        let mut inner = lock(&self.reading.inner);
        inner.untold = done.is_err();
        if done.is_ok() {
            inner.left = Some(0);
        }
        drop(inner);
        done?;
        lock(&self.reading.inner).seen = Some(head);
        if first || !due.is_empty() {
            self.reading.scans.hint();
        }
        if !due.is_empty() || head.0 - after.0 > ENTRIES_UNWRITTEN {
            self.write_position(READ, head)?;
        }
        Ok(())
    }

    /// Attachments whose text is still to be read.
    pub fn attached_left(&self) -> Result<u64> {
        if let Some(left) = lock(&self.reading.inner).left {
            return Ok(left);
        }
        let snapshot = self.store.read()?;
        let mut left = 0;
        for (_, id) in due(&snapshot, self.attached_position())? {
            left += unread(&snapshot, id)?.len() as u64;
        }
        Ok(left)
    }

    /// The same, as far as somebody has counted.
    pub fn attached_reading(&self) -> u64 {
        lock(&self.reading.inner).left.unwrap_or(0)
    }

    fn attached_position(&self) -> Seq {
        let mut inner = lock(&self.reading.inner);
        if let Some(seen) = inner.seen {
            return seen;
        }
        // What a process read last it may not have told.
        inner.untold = true;
        let seen = self.position(READ);
        inner.seen = Some(seen);
        seen
    }

    /// How far something was done for attachments.
    fn position(&self, what: &str) -> Seq {
        let words = self.store.beside_position(what);
        let mut words = words.split(' ');
        let same = words.next() == Some(POSITION) && words.next() == Some(&self.facts().epoch.to_string());
        let seen = words.next().and_then(|n| n.trim_end().parse().ok()).filter(|_| same).map_or(Seq(0), Seq);
        // A journal that is shorter belongs to another history.
        if seen > self.store.head().seq { Seq(0) } else { seen }
    }

    fn write_position(&self, what: &str, seq: Seq) -> Result<()> {
        self.store.set_beside_position(what, &format!("{POSITION} {} {}\n", self.facts().epoch, seq.0))
    }

    fn read_due(&self, snapshot: &Snapshot, due: &[(Seq, RecordId)]) -> Result<()> {
        let mut left = 0;
        for (_, id) in due {
            left += unread(snapshot, *id)?.len() as u64;
        }
        lock(&self.reading.inner).left = Some(left);
        let untold = lock(&self.reading.inner).untold;
        let mut told = Vec::new();
        for (seq, id) in due {
            let mut news = untold && !self.texts_of(snapshot, *id)?.is_empty();
            for file in unread(snapshot, *id)? {
                news |= self.read_one(&file)?;
                let mut inner = lock(&self.reading.inner);
                inner.left = inner.left.map(|n| n.saturating_sub(1));
            }
            told.extend(news.then_some(*id));
            if told.len() == limits::ATTACHED_AN_ENTRY {
                self.tell_index(std::mem::take(&mut told))?;
                lock(&self.reading.inner).seen = Some(*seq);
                self.write_position(READ, *seq)?;
            }
        }
        self.tell_index(told)
    }

    /// Enters that texts of these records are there; the follower takes them up by that.
    fn tell_index(&self, ids: Vec<RecordId>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.store.submit(move |txn| {
            let mut read = Vec::with_capacity(ids.len());
            for id in ids {
                read.extend(txn.get_any(id)?.map(|r| (r.id, r.kind, r.version)));
            }
            let doer = Doer { via: "schedule".to_owned(), ..local_doer() };
            txn.act(Act::new(doer, act::ATTACHED).read(read));
            Ok(())
        })
    }

    fn texts_of(&self, snapshot: &Snapshot, id: RecordId) -> Result<String> {
        let record = snapshot.get_any(id, false)?;
        record.map_or(Ok(String::new()), |r| Ok(text_of(snapshot, &r)?.0))
    }

    /// Reads one attachment and keeps what it says; whether it says something.
    fn read_one(&self, file: &FileRef) -> Result<bool> {
        let text = match self.text_in(file) {
            Ok(text) => text,
            // What is damaged the scrub tells of; the others are read all the same.
            Err(e) if e.kind() != ErrorKind::Busy && !self.store.is_whole(file) => return Ok(false),
            Err(e) => return Err(e),
        };
        self.store.keep_beside(file, &text.encode())?;
        Ok(!text.parts.is_empty())
    }

    fn text_in(&self, file: &FileRef) -> Result<Text> {
        let first = self.store.read_blob(file)?.next_chunk()?.unwrap_or_default();
        let format = Format::detect(&file.name, &first[..first.len().min(limits::FORMAT_HEAD_BYTES)]);
        let Some(format) = format.and_then(Format::with_parts) else {
            return Ok(Text { unseen: format.is_some_and(|f| f.with_pictures().is_some()), ..Text::default() });
        };
        if file.size > format.bytes() {
            return Ok(Text::failed(format!("文件超过 {} MB", format.bytes() >> 20)));
        }
        let items = Reader::start(Path::new(PROGRAM), format, Box::new(self.store.read_blob(file)?))?;
        Text::gather(items, &|| lock(&self.reading.inner).stop)
    }

    /// What is to be said of the text of each attachment.
    pub(super) fn attached_words(&self, snapshot: &Snapshot, files: &[FileRef]) -> Result<Vec<String>> {
        let mut chars = 0;
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            let text = Text::beside(snapshot, file)?;
            let fits = chars < limits::ATTACHED_RECORD_CHARS;
            chars += text.as_ref().map_or(0, Text::chars);
            all.push(match text {
                // Who follows another host reads nothing.
                None if self.halted().is_some() => String::new(),
                None => "文字等待读取".to_owned(),
                Some(text) if text.outcome == Outcome::Read && !fits => "附件文字过多，这个附件不能检索".to_owned(),
                Some(text) => text.words(),
            });
        }
        Ok(all)
    }
}

/// Records with attachments that changed after an entry, in the order of their first change since.
fn due(snapshot: &Snapshot, after: Seq) -> Result<Vec<(Seq, RecordId)>> {
    let mut seen = BTreeSet::new();
    let mut due = Vec::new();
    for entry in snapshot.journal_after(after)? {
        let header = entry?.header;
        let changed = header.subjects.iter().filter(|s| s.digest.is_some() && has_files(s.kind));
        let fresh: Vec<RecordId> = changed.map(|s| s.id).filter(|id| seen.insert(*id)).collect();
        for id in fresh {
            let record = snapshot.get_any(id, false)?;
            due.extend(record.filter(|r| !files_of(r).is_empty()).map(|_| (header.seq, id)));
        }
    }
    Ok(due)
}

fn has_files(kind: u8) -> bool {
    records::by_tag(kind).is_some_and(|k| k.indexed && files_tag(k).is_some())
}

/// Attachments that everybody sees who sees the record.
fn files_of(record: &Record) -> Vec<FileRef> {
    records::by_tag(record.kind).map_or_else(Vec::new, |kind| before_files(kind, record))
}

fn unread(snapshot: &Snapshot, id: RecordId) -> Result<Vec<FileRef>> {
    let Some(record) = snapshot.get_any(id, false)? else { return Ok(Vec::new()) };
    let mut unread = Vec::new();
    for file in files_of(&record) {
        if Text::beside(snapshot, &file)?.is_none() {
            unread.push(file);
        }
    }
    Ok(unread)
}

/// What the attachments of a record say, as far as it is searched, each with its name.
fn texts(snapshot: &Snapshot, record: &Record) -> Result<Vec<(FileRef, Text)>> {
    let (mut all, mut chars) = (Vec::new(), 0);
    for file in files_of(record) {
        if chars >= limits::ATTACHED_RECORD_CHARS {
            break;
        }
        let Some(text) = Text::beside(snapshot, &file)? else { continue };
        chars += text.chars();
        all.push((file, text));
    }
    Ok(all)
}

/// The same in one piece, and how many bytes that are.
fn text_of(snapshot: &Snapshot, record: &Record) -> Result<(String, usize)> {
    let texts: Vec<String> = texts(snapshot, record)?.iter().map(|(_, text)| text.whole()).collect();
    let text = texts.join(APART);
    let bytes = text.len();
    Ok((text, bytes))
}

/// What the index is told of a record, with its attachments.
pub(super) fn whole_document(snapshot: &Snapshot, record: &Record) -> Result<Option<Doc>> {
    let Some(doc) = document(record) else { return Ok(None) };
    Ok(Some(Doc { attached: text_of(snapshot, record)?.0, ..doc }))
}

/// The same of several, as far as it does not cost a search too much; whether that is everything.
pub(super) fn whole_documents(snapshot: &Snapshot, records: &[Record]) -> Result<(Vec<Doc>, bool)> {
    let (mut docs, mut bytes, mut all) = (Vec::with_capacity(records.len()), 0, true);
    for record in records {
        let Some(doc) = document(record) else { continue };
        let fits = bytes < limits::ATTACHED_FRESH_BYTES;
        let attached = if fits { text_of(snapshot, record)?.0 } else { String::new() };
        all &= fits || files_of(record).is_empty();
        bytes += attached.len();
        docs.push(Doc { attached, ..doc });
    }
    Ok((docs, all))
}

/// Looks for where attachments say what a search is for; it looks through so many bytes and no more.
pub(super) struct Places {
    left: usize,
}

impl Places {
    /// For one page of hits.
    pub(super) fn new() -> Self {
        Self { left: limits::ATTACHED_SHOWN_BYTES }
    }

    /// The page of an attachment that says most of the question, and what of it.
    pub(super) fn of(
        &mut self,
        snapshot: &Snapshot,
        record: &Record,
        text: &str,
    ) -> Result<Option<(Attached, Vec<String>)>> {
        let mut best: Option<(Attached, Vec<String>)> = None;
        for (file, said) in texts(snapshot, record)? {
            for part in &said.parts {
                let Some(left) = self.left.checked_sub(part.text.len()) else { return Ok(best) };
                self.left = left;
                let stands = search::occurs_in(&part.text, text);
                if stands.len() > best.as_ref().map_or(0, |(_, before)| before.len()) {
                    let snippet = search::snippet(&part.text, text, limits::SNIPPET_CHARS);
                    let place = part.place.clone();
                    best = Some((Attached { name: file.name.clone(), place, ocr: part.ocr, snippet }, stands));
                }
            }
        }
        Ok(best)
    }
}

impl App {
    /// Does something whenever it is woken, again after a while where it failed, until the server stops.
    fn go_on(&self, woken: &Receiver<()>, work: impl Fn() -> Result<()>) {
        let mut pause = None;
        loop {
            let ended = match pause {
                Some(pause) => woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected),
                None => woken.recv().is_err(),
            };
            std::thread::sleep(Duration::from_millis(limits::ATTACHED_REST_MS));
            woken.try_iter().for_each(drop);
            if ended || lock(&self.reading.inner).stop {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(&work));
            let done = done.unwrap_or_else(|_| Err(Error::internal("the reading panicked")));
            if let Err(e) = &done {
                tracing::warn!(detail = e.detail(), "text of attachments: {e}");
            }
            pause = done.err().map(|_| Duration::from_secs(limits::ATTACHED_AGAIN_S));
        }
    }
}

/// The thread that reads.
pub struct Thread {
    app: Arc<App>,
    wake: Sender<()>,
}

impl Thread {
    /// Starts to read what is saved, and what was saved before.
    pub fn start(app: &Arc<App>) -> Result<Self> {
        let (own, (wake, woken)) = (Arc::clone(app), channel());
        let notify = wake.clone();
        app.store.on_commit(move |_| {
            // The thread ends only with the server.
            let _stopped = notify.send(());
        });
        let _begun = wake.send(());
        background("attached", move || {
            if let Err(e) = own.store.sweep_beside() {
                tracing::warn!(detail = e.detail(), "texts of attachments that are gone: {e}");
            }
            own.go_on(&woken, || own.read_attached());
        })?;
        let (own, (hint, hinted)) = (Arc::clone(app), channel());
        *lock(&app.reading.scans.wake) = Some(hint);
        background("ocr", move || {
            if own.find_ocr() {
                own.go_on(&hinted, || own.recognise_scans());
            }
        })?;
        Ok(Self { app: Arc::clone(app), wake })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        lock(&self.app.reading.inner).stop = true;
        // Without somebody who wakes it the other one ends too.
        lock(&self.app.reading.scans.wake).take();
        let _ended = self.wake.send(());
    }
}
