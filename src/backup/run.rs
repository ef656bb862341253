//! One run: a snapshot written, read back from the disk, loaded, compared, and only then signed.
//!
//! What must hold: writers go on meanwhile; whatever fails, in whatever step, nothing of the set stays. An attachment
//! that is rotten in the store itself is stated, not taken for a fault of the set.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::archive::{self, Scratch};
use super::crypt::{Metered, Readers, Stamp};
use super::manifest::{self, Content, Damaged, Found, Manifest};
use super::mount::{self, Target};
use super::target::{self, Folder, SetId};
use super::{Amount, Done, Progress, Watch, file_name, flawed, read_failed, write_failed};
use crate::base::{Error, ErrorKind, RecordId, Result, limits};
use crate::store::fault::{Bug, planted};
use crate::store::{Snapshot, Store};

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
        let of = self.snapshot.dump_bytes()?;
        let (mut data, file) = self.folder.draft(&id)?;
        let word = |so_far| (self.progress)(Progress::Writing(Amount { of, ..so_far }));
        let stamp = archive::write(&self.snapshot, file, &self.readers, &word)?;
        let content = Content::of(&self.snapshot)?;
        let Found { files, damaged } = self.read_back((data.path(), &stamp), &content, of)?;
        let late = planted(Bug::ManifestFirst);
        let data_file = if late { target::data_name(&id, &stamp) } else { data.place_data(&id, &stamp)? };
        (self.progress)(Progress::Signing)?;
        let manifest = Manifest {
            format: Manifest::form(&damaged),
            set: id.to_string(),
            county: self.store.facts().county.clone(),
            created: now.0,
            content,
            files,
            damaged,
            data_file,
            data_sha256: hex::encode(stamp.sha256),
            data_bytes: stamp.bytes,
            recipients: self.readers.names(),
            previous: previous.map(|s| s.id.to_string()),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (manifest_file, manifest_bytes) = self.sign(&id, &manifest)?;
        if late {
            data.place_data(&id, &stamp)?;
        }
        data.keep();
        Ok(Done {
            set: manifest.set,
            head,
            records: manifest.content.records,
            files,
            damaged: manifest.damaged,
            bytes: stamp.bytes + manifest_bytes,
            data_file: manifest.data_file,
            manifest_file,
            recipients: manifest.recipients,
        })
    }

    /// Reads the written file from the disk with this run's own key, loads it and compares.
    fn read_back(&self, (path, written): (&Path, &Stamp), content: &Content, of: u64) -> Result<Found> {
        self.readers.check_header(path)?;
        let staging = self.store.dir().join(STAGING);
        fs::create_dir_all(&staging)?;
        let scratch = Scratch::within(&[staging])?;
        let word = |so_far| (self.progress)(Progress::Verifying(Amount { of, ..so_far }));
        let (copy, read) = scratch.load(path, self.readers.own(), &word)?;
        if read != *written {
            return Err(flawed(&file_name(path), "写入后读回的内容不同，备份盘可能有故障"));
        }
        (self.progress)(Progress::Checking)?;
        let found = content.confirm(&copy).map_err(|e| self.or_own_fault(e))?;
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
        for Damaged { record, blob } in damaged {
            let named = self.snapshot.get(RecordId(*record), true)?;
            let mut files = named.iter().flat_map(|r| r.fields.all_files());
            if files.any(|f| f.blob == *blob && self.store.is_whole(&f)) {
                let what = format!("记录 {record} 的一个附件在本机完好，写出后却打不开");
                return Err(manifest::unequal(&what));
            }
        }
        Ok(())
    }

    fn sign(&self, id: &SetId, manifest: &Manifest) -> Result<(String, u64)> {
        let sealed = manifest.seal(&self.snapshot, &self.readers)?;
        let (mut draft, file) = self.folder.draft(id)?;
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
