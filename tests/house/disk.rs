//! A disk that fails, and one that fills: the server ends by itself or takes no changes, everybody is told why, log-in
//! and reading go on, and it comes back when the disk is good.
//!
//! What a single refused operation leaves is tried in `tests/crash.rs`; here the whole program meets a few.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::county::{County, PETITION, Person};
use super::passwords::PASSWORD;

const UNIT: &str = "石鼓岭镇纪委";

/// Starts a program as the process itself and meddles with calls that are named after it.
pub(crate) const STRACE: &[&str] = &["strace", "-D", "-f", "-qq", "-o", "/dev/null"];

/// Whether this machine lets a test meddle with the system's answers to a process.
pub(crate) fn can_meddle() -> bool {
    let tried = Command::new(STRACE[0]).args(&STRACE[1..]).args(["-e", "trace=write", "true"]).status();
    let can = tried.is_ok_and(|s| s.success());
    if !can {
        println!("skipped: strace is missing or may not trace here");
    }
    can
}

/// Serves the county on a disk that answers every write of the database but the first few with this error.
fn restart_refusing(county: &County, error: &str) {
    let path = county.dir().join("store.redb");
    let inject = format!("inject=pwrite64:error={error}:when=40+");
    let which = ["-P", path.to_str().unwrap(), "-e", "trace=pwrite64", "-e", &inject];
    county.restart_under(&[STRACE, &which].concat()).unwrap();
}

/// Registers until the server does not take it any more.
fn register_until_refused(clerk: &Person) -> (Vec<String>, u16) {
    let mut saved = Vec::new();
    for n in 0..1_000 {
        let title = format!("坏盘前第{n}件");
        let Ok(page) = clerk.send(clerk.request("GET", "/petition/new")) else { return (saved, 0) };
        if page.status != 200 {
            return (saved, page.status);
        }
        let form = super::form::Form::of(&page).fill(PETITION).fill(&[("title", &title)]);
        match clerk.try_submit(&form) {
            Ok(answer) if answer.status == 303 => saved.push(title),
            Ok(answer) => return (saved, answer.status),
            Err(_) => return (saved, 0),
        }
    }
    panic!("the disk refuses nothing")
}

/// ASVS 16.3.4
#[test]
fn a_server_whose_disk_fails_ends_and_comes_back_for_reading() {
    if !can_meddle() {
        return;
    }
    let county = County::bare();
    restart_refusing(&county, "EIO");
    let clerk = county.clerk(UNIT);
    let (saved, status) = register_until_refused(&clerk);
    assert_ne!(status, 303);
    assert_eq!(county.ended(), Some(4));
    let told = county.log();
    let lines: Vec<&str> = told.lines().filter(|l| l.contains("os error 5")).collect();
    assert!(lines.iter().any(|l| l.contains("the disk refused an operation")), "{told}");
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    let list = clerk.get("/petition?all=1").expect(200);
    assert!(saved.iter().all(|title| list.says(title)), "{saved:?}");
    let strip = "数据盘在";
    assert!(!list.says(strip), "whoever reads is not bothered");
    let form = clerk.form("/petition/new").fill(PETITION).fill(&[("title", "坏盘后录入的件")]);
    let refused = clerk.submit(&form).expect(422);
    assert!(refused.says("只能查看") && refused.says("坏盘后录入的件"), "{}", refused.text());
    for admin in [county.sysadmin(), county.secadmin(), county.auditor()] {
        assert!(admin.get("/").says(strip));
    }
    assert!(said(&county, &["doctor"], false).contains("[问题] 磁盘：数据盘在"));
    // It stays so until somebody says that the disk is good.
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    clerk.submit(&clerk.form("/petition/new").fill(PETITION)).expect(422);
    assert!(said(&county, &["doctor", "--resume"], true).contains("已恢复登记和修改"));
    clerk.register(&[]);
    assert!(!county.sysadmin().get("/").says(strip) && county.auditor().get("/audit").says("恢复写入"));
    assert!(said(&county, &["doctor", "--resume"], true).contains("不需要恢复"));
    county.is_sound();
}

#[test]
fn a_server_whose_disk_is_suddenly_full_ends_and_comes_back_as_before() {
    if !can_meddle() {
        return;
    }
    let county = County::bare();
    restart_refusing(&county, "ENOSPC");
    let clerk = county.clerk(UNIT);
    let (saved, _) = register_until_refused(&clerk);
    assert_eq!(county.ended(), Some(4));
    assert!(county.log().contains("the disk is full"));
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    clerk.register(&[]);
    let list = clerk.get("/petition?all=1").expect(200);
    assert!(saved.iter().all(|title| list.says(title)), "{saved:?}");
    county.is_sound();
}

/// What a command said to both outputs.
fn said(county: &County, words: &[&str], good: bool) -> String {
    let out = county.cli(words);
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.success(), good, "{words:?}: {said}");
    said
}

/// A small disk, where this machine lets one be mounted; it is gone with the value.
struct Mounted(PathBuf);

impl Mounted {
    fn new(megabytes: u64) -> Option<Self> {
        let at = std::env::temp_dir().join(format!("jiceng-disk-{}", std::process::id()));
        fs::create_dir(&at).unwrap();
        let size = format!("size={megabytes}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at).output();
        let disk = Self(at);
        if done.is_ok_and(|o| o.status.success()) {
            return Some(disk);
        }
        println!("skipped: this machine does not let a test mount a small disk");
        None
    }

    /// Fills the disk up to this many free megabytes.
    fn leave(&self, megabytes: u64) {
        let filler = self.0.join("film.mkv");
        let _gone = fs::remove_file(&filler);
        let free = fs4::available_space(&self.0).unwrap();
        let file = fs::File::create(&filler).unwrap();
        fs4::FileExt::allocate(&file, free.saturating_sub(megabytes << 20)).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).output();
        let _gone = fs::remove_dir(&self.0);
    }
}

fn reserve(dir: &Path) -> bool {
    dir.join("reserve").exists()
}

#[test]
fn a_disk_that_fills_stops_changes_and_nothing_else() {
    let Some(disk) = Mounted::new(400) else { return };
    let county = County::bare_in(disk.0.join("county"));
    let clerk = county.clerk(UNIT);
    let first = clerk.register(&[]);
    assert!(reserve(county.dir()));
    disk.leave(200);
    let form = clerk.form("/petition/new").fill(PETITION).fill(&[("title", "盘满时录入的件")]);
    let refused = clerk.submit(&form.clone().attach("附件.bin", &[7; 5_000])).expect(422);
    assert!(refused.says("数据盘空间不足") && refused.says("盘满时录入的件"), "{}", refused.text());
    assert!(clerk.get(&first).says("反映某村会计虚报补贴") && reserve(county.dir()));
    assert!(county.sysadmin().get("/").says("数据盘空间不足") && !clerk.get("/").says("数据盘空间不足"));
    assert!(said(&county, &["doctor"], false).contains("[问题] 磁盘：数据盘空间不足"));
    // What is left is for entries, down to the last megabytes, and across a restart.
    disk.leave(40);
    clerk.get(&first).expect(200);
    assert!(!reserve(county.dir()), "the reserve is given up");
    disk.leave(8);
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    for _ in 0..20 {
        clerk.get(&first).expect(200);
    }
    county.sysadmin().get("/").expect(200);
    clerk.submit(&form).expect(303);
    let resumed = clerk.form("/petition/new").fill(PETITION).fill(&[("title", "盘满时录入的件")]);
    clerk.submit(&resumed).expect(422);
    // A little more room is not yet enough, much is; nobody has to restart anything.
    disk.leave(270);
    clerk.submit(&resumed).expect(422);
    disk.leave(300);
    clerk.submit(&resumed).expect(303);
    assert!(reserve(county.dir()));
    said(&county, &["audit", "verify"], true);
}
