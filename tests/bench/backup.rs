//! A backup set, written and then verified by restoring it, beside compression and encryption of the same bytes alone.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiceng::app::demo;
use jiceng::backup::Progress;
use jiceng::base::clock::SystemClock;

use super::{Line, import};

pub(crate) fn run(texts: &[(String, String)]) -> Vec<Line> {
    let home = tempfile::tempdir().unwrap();
    let app = demo::create(&home.path().join("d"), Arc::new(SystemClock), true).unwrap();
    import::bring_in(&app, &super::material::lines(texts));
    let target = home.path().join("sets");
    fs::create_dir(&target).unwrap();
    let keys = [(); 2].map(|()| age::x25519::Identity::generate().to_public().to_string());
    let (started, written, amount) = (Instant::now(), Cell::new(Duration::ZERO), Cell::new(0));
    let done = app.backup(&target, &keys, &|progress| {
        match progress {
            Progress::Writing(a) => amount.set(a.bytes),
            Progress::Verifying(_) if written.get().is_zero() => written.set(started.elapsed()),
            _ => {}
        }
        Ok(())
    });
    let (whole, done) = (started.elapsed(), done.unwrap());
    let bare = bare(&home.path().join("d"), home.path(), usize::try_from(amount.get()).unwrap());
    let share = |took: Duration| bare.as_secs_f64() / took.as_secs_f64();
    let told = |took: Duration| format!("{:.0} ms", took.as_secs_f64() * 1e3);
    let other = format!("{} (zstd -3, age)", told(bare));
    let line = |what, took| Line { what, ours: told(took), bare: other.clone(), ratio: share(took) };
    println!("a set of {} records, {} bytes", done.records, done.bytes);
    vec![line("backup, written", written.get()), line("backup, written and restored once", whole)]
}

/// As many bytes of the store's own file through two workers of zstd and age, to the disk.
fn bare(data: &Path, home: &Path, amount: usize) -> Duration {
    let mut bytes = fs::read(data.join("store.redb")).unwrap();
    bytes.truncate(amount);
    assert_eq!(bytes.len(), amount);
    let recipient = age::x25519::Identity::generate().to_public();
    let started = Instant::now();
    let out = File::create(home.join("bare.age")).unwrap();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let sealed = encryptor.wrap_output(out).unwrap();
    let mut packed = zstd::Encoder::new(sealed, 3).unwrap();
    packed.multithread(2).unwrap();
    packed.write_all(&bytes).unwrap();
    let out: io::Result<File> = packed.finish().unwrap().finish();
    out.unwrap().sync_all().unwrap();
    started.elapsed()
}
