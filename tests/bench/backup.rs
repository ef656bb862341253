//! Backup sets of a county: the first one with all attachments and the next day's, beside compression and encryption of
//! the very same bytes, and beside a plain copy of the attachments; then what a set costs to verify.
//!
//! `JICENG_BENCH_PETITIONS` and `JICENG_BENCH_FILES_MB` set the size: by hand 100000 and 2048.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use age::Recipient;
use age::x25519::Identity;
use jiceng::app::{App, demo};
use jiceng::backup::{Done, Progress};
use jiceng::base::clock::SystemClock;

use super::{Line, material, quantile};

/// How often each is measured, turn by turn; the middle counts.
const ROUNDS: usize = 3;

pub(crate) fn run(texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("d");
    let app = demo::create(&dir, Arc::new(SystemClock), true).unwrap();
    material::fill(&app, texts);
    let keys = [(); 2].map(|()| Identity::generate());
    let bench = Bench { home: home.path(), dir: &dir, app: &app, keys: &keys };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(bench.round());
    }
    lines(&rounds)
}

/// What one turn took, in seconds.
#[derive(Default)]
struct Round {
    /// The set that fills the pool: attachments, data, and the rest, which verifies both.
    pooled: f64,
    written: f64,
    verified: f64,
    /// The next day's set.
    again_pooled: f64,
    again_written: f64,
    again_verified: f64,
    /// The bytes of the data, and those of the attachments, through compression and encryption.
    packed: f64,
    packed_files: f64,
    /// The attachments copied one by one, each synced.
    copied: f64,
}

struct Bench<'a> {
    home: &'a Path,
    dir: &'a Path,
    app: &'a App,
    keys: &'a [Identity; 2],
}

impl Bench<'_> {
    fn round(&self) -> Round {
        let target = self.home.join("sets");
        fs::create_dir(&target).unwrap();
        let (first, done) = self.set(&target);
        let plain = self.plain(&target.join(&done.data_file));
        let (again, next) = self.set(&target);
        assert_eq!((next.added, next.added_bytes), (0, 0), "attachments were copied again");
        let files = files_below(&self.dir.join("blobs"));
        assert_eq!(done.added, files.len() as u64);
        let sealed: Vec<u8> = files.iter().flat_map(|f| fs::read(f).unwrap()).collect();
        let round = Round {
            pooled: first.0,
            written: first.1,
            verified: first.2,
            again_pooled: again.0,
            again_written: again.1,
            again_verified: again.2,
            packed: self.pack(&plain),
            packed_files: self.pack(&sealed),
            copied: self.copy(&files),
        };
        fs::remove_dir_all(&target).unwrap();
        let mb = |bytes: usize| bytes >> 20;
        println!(
            "{} records; data {} MB; attachments {} in {} MB",
            done.records,
            mb(plain.len()),
            files.len(),
            mb(sealed.len())
        );
        round
    }

    /// Makes a set; seconds until the attachments were in the pool, for the data, and for the rest.
    fn set(&self, target: &Path) -> ((f64, f64, f64), Done) {
        let (started, pooled, written) = (Instant::now(), Cell::new(None), Cell::new(None));
        let note = |cell: &Cell<Option<Duration>>| cell.set(cell.get().or_else(|| Some(started.elapsed())));
        let recipients = self.keys.each_ref().map(|key| key.to_public().to_string());
        let done = self.app.backup(target, &recipients, &|progress| {
            match progress {
                Progress::Pooling(_) => {}
                Progress::Writing(_) => note(&pooled),
                _ => note(&written),
            }
            Ok(())
        });
        let whole = started.elapsed().as_secs_f64();
        let [pooled, written] = [pooled, written].map(|c| c.get().unwrap().as_secs_f64());
        ((pooled, written - pooled, whole - written), done.unwrap())
    }

    /// The bytes that went into a data file.
    fn plain(&self, data: &Path) -> Vec<u8> {
        let sealed = age::Decryptor::new(File::open(data).unwrap()).unwrap();
        let packed = sealed.decrypt(std::iter::once(&self.keys[0] as &dyn age::Identity)).unwrap();
        let mut plain = Vec::new();
        zstd::Decoder::new(packed).unwrap().read_to_end(&mut plain).unwrap();
        plain
    }

    /// Bytes through two workers of zstd and age, to as many recipients, to the disk.
    fn pack(&self, bytes: &[u8]) -> f64 {
        let recipients: Vec<age::x25519::Recipient> =
            self.keys.iter().map(Identity::to_public).chain([Identity::generate().to_public()]).collect();
        let path = self.home.join("bare.age");
        let started = Instant::now();
        let out = File::create(&path).unwrap();
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|r| r as &dyn Recipient)).unwrap();
        let mut packed = zstd::Encoder::new(encryptor.wrap_output(out).unwrap(), 3).unwrap();
        packed.multithread(2).unwrap();
        packed.write_all(bytes).unwrap();
        let out: io::Result<File> = packed.finish().unwrap().finish();
        out.unwrap().sync_all().unwrap();
        let took = started.elapsed().as_secs_f64();
        fs::remove_file(path).unwrap();
        took
    }

    fn copy(&self, files: &[PathBuf]) -> f64 {
        let copies = self.home.join("copies");
        fs::create_dir(&copies).unwrap();
        let started = Instant::now();
        for file in files {
            let copy = copies.join(file.file_name().unwrap());
            fs::copy(file, &copy).unwrap();
            File::open(copy).unwrap().sync_all().unwrap();
        }
        let took = started.elapsed().as_secs_f64();
        fs::remove_dir_all(copies).unwrap();
        took
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|e| e.unwrap().path());
    paths.flat_map(|p| if p.is_dir() { files_below(&p) } else { vec![p] }).collect()
}

fn lines(rounds: &[Round]) -> Vec<Line> {
    let middle = |of: &dyn Fn(&Round) -> f64| quantile(&mut rounds.iter().map(of).collect::<Vec<_>>(), 0.5);
    let line = |what, ours: &dyn Fn(&Round) -> f64, bare: &dyn Fn(&Round) -> f64, word: &str| Line {
        what,
        ours: format!("{:.2} s", middle(ours)),
        bare: format!("{:.2} s ({word})", middle(bare)),
        ratio: middle(&|r| bare(r) / ours(r)),
    };
    let packed: &dyn Fn(&Round) -> f64 = &|r| r.packed;
    vec![
        line("backup: data, written", &|r| r.written, packed, "zstd -3, age"),
        line("backup: attachments into the pool", &|r| r.pooled, &|r| r.packed_files, "zstd -3, age"),
        line("the same beside a plain copy", &|r| r.pooled, &|r| r.copied, "copy, each synced"),
        line("first backup, written", &|r| r.pooled + r.written, &|r| r.packed + r.packed_files, "zstd -3, age"),
        line("next day's backup, written", &|r| r.again_pooled + r.again_written, packed, "zstd -3, age"),
        line("first backup, restored once to verify it", &|r| r.verified, packed, "zstd -3, age"),
        line("next day's backup, restored once", &|r| r.again_verified, packed, "zstd -3, age"),
    ]
}
