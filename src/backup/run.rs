//! One run: a snapshot written, read back from the disk, loaded, compared, and only then signed.
//!
//! What must hold: writers go on meanwhile; whatever fails, in whatever step, nothing of the set stays but attachments
//! that came into the pool: the next run finds them there. An attachment that is rotten in the store itself is stated,
//! not taken for a fault of the set.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::archive::{self, Scratch, Source};
use super::crypt::{Metered, Readers, Stamp};
use super::fill::{self, Filled};
use super::manifest::{self, Content, Damaged, Found, Manifest, Needs};
use super::mount::{self, Target};
use super::pool::{self, Listing, Pool};
use super::target::{self, Draft, Folder, SetId};
use super::{Amount, Done, Progress, Watch, file_name, flawed, read_failed, write_failed};
use crate::base::{Error, ErrorKind, RecordId, Result, Seq, limits};
use crate::records::FileRef;
use crate::store::fault::{Bug, planted};
use crate::store::{self, Head, Snapshot, Store};

/// Where temporary files of an open store lie; emptied whenever it is opened.
const STAGING: &str = "tmp";

/// Writes a set of everything committed so far to a target and verifies it; on any failure nothing of it
/// stays.
///
/// The caller writes the journal entry, of a failure too.
pub fn run(store: &Store, target: Target<'_>, recipients: &[String], progress: Watch<'_>) -> Result<Done> {
    let readers = Readers::parse(recipients)?;
    if target.marked && !mount::is_marked(store, target.folder) {
        return Err(mount::absent(target.folder));
    }
    let folder = Folder::open(target.folder, store.dir())?;
    let snapshot = store.read()?;
    Run { store, snapshot, readers, folder, progress }.write()
}

struct Run<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    readers: Readers,
    folder: Folder,
    progress: Watch<'a>,
}

impl Run<'_> {
    fn write(&self) -> Result<Done> {
        let head = self.snapshot.head()?;
        let previous = target::sets(self.folder.path())?.into_iter().find(target::Set::complete);
        let now = self.store.now();
        let id = self.folder.new_id(now, head.seq)?;
        let pool = Pool::of(self.folder.path());
        let filled = fill::fill(self.store, &self.snapshot, &pool, self.progress)?;
        let of = self.snapshot.dump_bytes()?;
        let (mut data, file) = self.folder.draft(&id)?;
        let word = |so_far| (self.progress)(Progress::Writing(Amount { of, ..so_far }));
        let stamp = archive::write(&self.snapshot, file, &self.readers, &word)?;
        (self.progress)(Progress::Verifying(Amount { of, ..Amount::default() }))?;
        let content = Content::of(&self.snapshot)?;
        let Found { files, damaged } = self.read_back((data.path(), &stamp), &content, (of, &filled.listing))?;
        // While it lies there, what else has this name belongs to a run that did not finish.
        let unsigned = self.folder.draft(&id)?;
        let late = planted(Bug::ManifestFirst);
        let data_file = if late { target::data_name(&id, &stamp) } else { data.place_data(&id, &stamp)? };
        let (list, needs) = self.place_list(&id, &filled.listing)?;
        (self.progress)(Progress::Signing)?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            set: id.to_string(),
            county: self.store.facts().county.clone(),
            created: now.0,
            content,
            files,
            damaged,
            pool: Some(needs),
            purged: self.snapshot.purged(Seq(0))?,
            data_file,
            data_sha256: hex::encode(stamp.sha256),
            data_bytes: stamp.bytes,
            recipients: self.readers.names(),
            previous: previous.map(|s| s.id.to_string()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (manifest_file, manifest_bytes) = self.sign(&id, &manifest, unsigned)?;
        if late {
            data.place_data(&id, &stamp)?;
        }
        data.keep();
        let list_bytes = list.map_or(0, |(draft, bytes)| {
            draft.keep();
            bytes
        });
        if let Err(e) = filled.read_on(&pool) {
            // The set is whole; without the note the same members are read again the next time.
            tracing::warn!(detail = e.detail(), "the note of what was read in the pool was not written");
        }
        Ok(done((head, manifest), (manifest_file, stamp.bytes + list_bytes + manifest_bytes), filled))
    }

    /// Writes what the set needs of the pool, where it needs anything.
    fn place_list(&self, id: &SetId, listing: &Listing) -> Result<(Option<(Draft<'_>, u64)>, Needs)> {
        let (root, count, bytes) = (listing.root(), listing.count(), listing.bytes());
        if count == 0 {
            return Ok((None, Needs { file: None, root, count, bytes }));
        }
        let (mut draft, file) = self.folder.draft(id)?;
        let mut file = Metered::new(file);
        file.write_all(listing.encode().as_bytes()).map_err(write_failed)?;
        let stamp = file.stamp();
        file.into_inner().sync_all().map_err(write_failed)?;
        if target::stamp(draft.path())? != stamp {
            return Err(flawed(&file_name(draft.path()), "写入后读回的内容不同，备份盘可能有故障"));
        }
        let file = Some(draft.place_list(id, &stamp)?);
        Ok((Some((draft, stamp.bytes)), Needs { file, root, count, bytes }))
    }

    /// Reads the written file from the disk with this run's own key, loads it and compares.
    fn read_back(
        &self,
        (path, written): (&Path, &Stamp),
        content: &Content,
        (of, listing): (u64, &Listing),
    ) -> Result<Found> {
        self.readers.check_header(path)?;
        let staging = self.store.dir().join(STAGING);
        fs::create_dir_all(&staging)?;
        let scratch = Scratch::within(&[staging])?;
        let word = |so_far| (self.progress)(Progress::Verifying(Amount { of, ..so_far }));
        let source = Source { path, identity: self.readers.own(), pooled: true };
        let (copy, read) = scratch.load(&source, &word)?;
        if read != *written {
            return Err(flawed(&file_name(path), "写入后读回的内容不同，备份盘可能有故障"));
        }
        (self.progress)(Progress::Checking)?;
        // What is listed was looked at when it was listed; here it is what the copy's own records ask for.
        let listed = |file: &FileRef| {
            let member = listing.get(&pool::name_of(&copy, file));
            member.is_some_and(|m| m.bytes == store::sealed_bytes(file))
        };
        let found = content.confirm(&copy, &listed).map_err(|e| self.or_own_fault(e))?;
        self.own_damage(&found.damaged)?;
        Ok(found)
    }

    /// A copy that fails its check may be a faithful copy of a store that is at fault itself.
    fn or_own_fault(&self, e: Error) -> Error {
        let Ok(report) = self.store.check() else { return e };
        let Some(problem) = report.problems.first().filter(|_| report.faults > 0) else { return e };
        let count = report.faults;
        let message = format!(
            "本机的数据有 {count} 处问题（第一处：{problem}），不是备份盘的问题，没有写出备份。请停止使用，运行 \
             jiceng doctor，并从已验证的备份恢复。"
        );
        Error::new(ErrorKind::Damaged, message).with_detail(e.detail())
    }

    /// Attachments that do not open in the copy must be damaged in the store too; else the set is at fault.
    fn own_damage(&self, damaged: &[Damaged]) -> Result<()> {
        let count = damaged.len();
        if count > limits::DAMAGED_FILES {
            return Err(Error::damaged(format!("{count} 个附件缺失或损坏，数据盘可能有故障，没有写出备份")));
        }
        if damaged.is_empty() {
            return Ok(());
        }
        for (RecordId(record), file) in self.snapshot.named_files()? {
            let stated = damaged.iter().any(|d| d.record == record && d.blob == file.blob);
            if stated && self.store.is_whole(&file) {
                let what = format!("记录 {record} 的一个附件在本机完好，写出后却打不开");
                return Err(manifest::unequal(&what));
            }
        }
        Ok(())
    }

    fn sign(&self, id: &SetId, manifest: &Manifest, (mut draft, file): (Draft<'_>, File)) -> Result<(String, u64)> {
        let sealed = manifest.seal(&self.snapshot, &self.readers)?;
        let mut file = Metered::new(file);
        file.write_all(&sealed).map_err(write_failed)?;
        let stamp = file.stamp();
        file.into_inner().sync_all().map_err(write_failed)?;
        self.readers.check_header(draft.path())?;
        let back = fs::read(draft.path()).map_err(|e| read_failed(&file_name(draft.path()), e))?;
        let (read, _) = Manifest::unseal(&back, self.readers.own(), &file_name(draft.path()))?;
        if back != sealed || read != *manifest {
            return Err(flawed(&file_name(draft.path()), "写入后读回的内容不同，备份盘可能有故障"));
        }
        let name = draft.place_manifest(id, &stamp)?;
        draft.keep();
        Ok((name, stamp.bytes))
    }
}

fn done((head, manifest): (Head, Manifest), (manifest_file, bytes): (String, u64), filled: Filled) -> Done {
    Done {
        set: manifest.set,
        head,
        records: manifest.content.records,
        files: manifest.files,
        damaged: manifest.damaged,
        rescued: filled.rescued,
        bytes,
        added: filled.added,
        added_bytes: filled.added_bytes,
        mended: filled.mended,
        data_file: manifest.data_file,
        manifest_file,
        list_file: manifest.pool.and_then(|p| p.file),
        recipients: manifest.recipients,
    }
}
