//! Scans among the attachments: their text is recognised where the host has a program for it, one picture at a time and
//! behind everything else, and told of as what it is.
//!
//! What must hold: what is recognised was read before and waits for nobody; a picture that cannot be recognised is not
//! tried for ever; a stop in the middle of a document costs its pages once more.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, OnceLock};

use super::text::Text;
use super::{ENTRIES_UNWRITTEN, due, files_of, lock};
use crate::app::App;
use crate::app::import::desk::PROGRAM;
use crate::base::{Error, ErrorKind, RecordId, Result, Seq, limits};
use crate::foreign::{Format, Item, Ocr, Reader};
use crate::records::FileRef;
use crate::store::Snapshot;

/// What the position tells: up to where scans were recognised.
const RECOGNISED: &str = "recognised";

/// The recognition of a running server.
#[derive(Default)]
pub(super) struct Scans {
    /// The program of the host; nobody has looked for it before a server runs.
    program: OnceLock<Option<Ocr>>,
    /// Wakes whoever recognises.
    pub(super) wake: Mutex<Option<Sender<()>>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    seen: Option<Seq>,
    left: u64,
}

impl Scans {
    /// There may be something to recognise.
    pub(super) fn hint(&self) {
        let _nobody = lock(&self.wake).as_ref().map(|w| w.send(()));
    }
}

impl App {
    /// Looks whether the host has a program that recognises text.
    pub(super) fn find_ocr(&self) -> bool {
        self.reading.scans.program.get_or_init(Ocr::find).is_some()
    }

    /// Whether scans are recognised, and how many wait for it.
    pub fn scans_left(&self) -> Option<u64> {
        self.reading.scans.program.get_or_init(Ocr::find).as_ref()?;
        Some(lock(&self.reading.scans.inner).left)
    }

    /// Recognises what was read and has pictures, and tells the index. The thread calls this; tests may.
    pub(super) fn recognise_scans(&self) -> Result<()> {
        let Some(Some(ocr)) = self.reading.scans.program.get() else { return Ok(()) };
        let Some(read) = lock(&self.reading.inner).seen.filter(|_| self.halted().is_none()) else { return Ok(()) };
        let snapshot = self.store.read()?;
        let seen = lock(&self.reading.scans.inner).seen;
        let after = seen.unwrap_or_else(|| self.position(RECOGNISED));
        // What was recognised last before a stop may not have been told.
        let mut untold = seen.is_none();
        let mut queue = due(&snapshot, after)?;
        queue.retain(|(seq, _)| *seq <= read);
        let mut left = 0;
        for (_, id) in &queue {
            left += unseen(&snapshot, *id)?.len() as u64;
        }
        lock(&self.reading.scans.inner).left = left;
        let wrote = !queue.is_empty();
        for (seq, id) in queue {
            let files = unseen(&snapshot, id)?;
            let mut news = std::mem::take(&mut untold) && recognised(&snapshot, id)?;
            for (file, text) in &files {
                news |= self.recognise(ocr, file, text.clone())?;
                let mut inner = lock(&self.reading.scans.inner);
                inner.left = inner.left.saturating_sub(1);
            }
            if news {
                self.tell_index(vec![id])?;
            }
            if news || !files.is_empty() {
                self.write_position(RECOGNISED, seq)?;
            }
            lock(&self.reading.scans.inner).seen = Some(seq);
        }
        if wrote || read.0.saturating_sub(after.0) > ENTRIES_UNWRITTEN {
            self.write_position(RECOGNISED, read)?;
        }
        lock(&self.reading.scans.inner).seen = Some(read);
        Ok(())
    }

    /// Recognises one attachment and keeps what it says; whether it says something.
    fn recognise(&self, ocr: &Ocr, file: &FileRef, mut text: Text) -> Result<bool> {
        let found = match self.recognised_in(ocr, file) {
            Ok(found) => found,
            Err(e) if e.kind() == ErrorKind::Invalid => Vec::new(),
            Err(e) if e.kind() != ErrorKind::Busy && !self.store.is_whole(file) => return Ok(false),
            Err(e) => return Err(e),
        };
        let before = text.parts.len();
        text.recognised(found);
        self.store.keep_beside(file, &text.encode())?;
        Ok(text.parts.len() > before)
    }

    fn recognised_in(&self, ocr: &Ocr, file: &FileRef) -> Result<Vec<(String, String)>> {
        let first = self.store.read_blob(file)?.next_chunk()?.unwrap_or_default();
        let format = Format::detect(&file.name, &first[..first.len().min(limits::FORMAT_HEAD_BYTES)]);
        let Some(format) = format.and_then(Format::with_pictures) else { return Ok(Vec::new()) };
        let items = Reader::start(Path::new(PROGRAM), format, Box::new(self.store.read_blob(file)?))?;
        let (mut found, mut place, mut picture) = (Vec::new(), String::new(), Vec::new());
        for item in items {
            match item {
                Ok(Item::Part(next)) => {
                    self.recognise_one(ocr, (&mut place, &mut picture), &mut found)?;
                    place = next;
                }
                Ok(Item::Bytes(piece)) if picture.len() + piece.len() <= limits::PICTURE_BYTES => picture.extend(piece),
                Ok(_) => {}
                // What was found up to there stays.
                Err(e) if e.kind() == ErrorKind::Invalid => break,
                Err(e) => return Err(e),
            }
        }
        self.recognise_one(ocr, (&mut place, &mut picture), &mut found)?;
        Ok(found)
    }

    fn recognise_one(
        &self,
        ocr: &Ocr,
        (place, picture): (&mut String, &mut Vec<u8>),
        found: &mut Vec<(String, String)>,
    ) -> Result<()> {
        if lock(&self.reading.inner).stop {
            return Err(Error::new(ErrorKind::Busy, "服务正在停止，扫描件下次再识别。"));
        }
        let (place, picture) = (std::mem::take(place), std::mem::take(picture));
        if picture.is_empty() {
            return Ok(());
        }
        match ocr.recognise(Path::new(PROGRAM), &picture) {
            Ok(text) => found.push((place, text)),
            // One page that cannot be recognised takes no other along.
            Err(e) if e.kind() == ErrorKind::Invalid => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// Attachments of a record with pictures that nobody has looked at.
fn unseen(snapshot: &Snapshot, id: RecordId) -> Result<Vec<(FileRef, Text)>> {
    with(snapshot, id, |text| text.unseen)
}

/// Something in the attachments of a record was recognised.
fn recognised(snapshot: &Snapshot, id: RecordId) -> Result<bool> {
    Ok(!with(snapshot, id, |text| text.parts.iter().any(|p| p.ocr))?.is_empty())
}

fn with(snapshot: &Snapshot, id: RecordId, wanted: impl Fn(&Text) -> bool) -> Result<Vec<(FileRef, Text)>> {
    let Some(record) = snapshot.get_any(id, false)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for file in files_of(&record) {
        all.extend(Text::beside(snapshot, &file)?.filter(&wanted).map(|text| (file, text)));
    }
    Ok(all)
}
