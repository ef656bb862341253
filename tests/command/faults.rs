//! `backup run` when the system refuses a call or the process is killed at one, at every call of a run: only complete
//! sets that verify are ever listed, the run tells the truth about itself, the data is as it was, and the next run
//! leaves nothing lying about.
//!
//! `JICENG_CAMPAIGN` above 1 tries every call with every fault; where strace is missing none is tried.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiceng::backup::{self, KeyFile};
use jiceng::base::clock::SystemClock;
use jiceng::store::Store;

use crate::damage::attach;
use crate::room::Room;

const TRIES: usize = 24;
const WORKERS: usize = 2;
const PROGRAM: &str = env!("CARGO_BIN_EXE_jiceng");
/// Calls that change something on a disk, or come before one that does.
const CALLS: [&str; 10] =
    ["write", "pwrite64", "fsync", "fdatasync", "rename", "ftruncate", "mkdir", "unlink", "openat", "read"];
const FAULTS: [&str; 5] = ["error=EIO", "error=ENOSPC", "error=EIO", "error=ENOSPC", "signal=KILL"];

/// The n-th call of each thread, or with `+` that and all after it.
#[derive(Clone, Debug)]
struct Fault {
    call: &'static str,
    n: usize,
    what: &'static str,
    lasting: bool,
}

fn strace(room: &Room, options: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(room.at("strace.log")).args(options);
    command.arg(PROGRAM).args("backup run --dir d --to t".split(' ')).current_dir(room.at("."));
    command
}

/// A county with a set, and with a petition and an attachment more than that set has.
fn county() -> (Room, Vec<String>) {
    let room = Room::bare();
    let keys =
        ["a.key", "b.key"].map(|k| room.good(&format!("backup keygen --out {k} --dir d")).trim().to_owned());
    attach(&room, b"paper ");
    let recipients = keys.iter().flat_map(|k| ["--recipient".to_owned(), k.clone()]).collect::<Vec<_>>();
    room.good(&format!("backup run --dir d --to t {}", recipients.join(" ")));
    attach(&room, b"a second one ");
    room.copy("d", "d0");
    fs::rename(room.at("t"), room.at("t0")).unwrap();
    (room, recipients)
}

fn begin_anew(room: &Room) {
    room.remove("d");
    room.copy("d0", "d");
    let _absent = fs::remove_dir_all(room.at("t"));
    room.copy_folder("t0", "t");
}

/// How often a thread makes each call at most; `None` where this machine does not let a test meddle.
fn count(room: &Room, recipients: &[String]) -> Option<Vec<(&'static str, usize)>> {
    begin_anew(room);
    let run = strace(room, &["-e", &format!("trace={}", CALLS.join(","))]).args(recipients).output();
    if !run.is_ok_and(|out| out.status.success()) {
        println!("skipped: strace is missing or may not trace here");
        return None;
    }
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for line in String::from_utf8_lossy(&room.bytes("strace.log")).lines() {
        let (thread, rest) = line.split_once(' ').unwrap_or_default();
        if let Some(call) = CALLS.iter().find(|c| rest.trim_start().starts_with(&format!("{c}("))) {
            *counts.entry((thread.to_owned(), call)).or_default() += 1;
        }
    }
    let most = |call| counts.iter().filter(|((_, c), _)| *c == call).map(|(_, n)| *n).max().unwrap_or(0);
    Some(CALLS.iter().map(|call| (*call, most(*call))).collect())
}

/// Sets in the target; those that are listed as complete must verify with a key.
fn sets(room: &Room) -> Result<(Vec<String>, usize), String> {
    let key = KeyFile::read(&room.at("a.key")).unwrap();
    let all = backup::list(&room.at("t"), Some(&key)).map_err(|e| format!("no list: {e:?}"))?;
    let (complete, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|set| set.complete);
    let names: Vec<String> = complete.iter().map(|set| set.id.to_string()).collect();
    for name in &names {
        let verified = backup::verify(&room.at("t"), Some(name), Some(&key)).map_err(|e| format!("{e:?}"))?;
        verified[0].outcome.as_ref().map_err(|e| format!("{name} is listed and does not verify: {e:?}"))?;
    }
    Ok((names, rest.len()))
}

/// One fault, and the run after it. Tells whether the first one ended well.
fn try_one(room: &Room, recipients: &[String], fault: &Fault) -> Result<bool, String> {
    begin_anew(room);
    let plus = if fault.lasting { "+" } else { "" };
    let inject = format!("inject={}:{}:when={}{plus}", fault.call, fault.what, fault.n);
    let out =
        strace(room, &["-e", &format!("trace={}", fault.call), "-e", &inject]).args(recipients).output();
    let out = out.unwrap();
    let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let (names, _) = sets(room)?;
    if names.len() > 2 || names.is_empty() {
        return Err(format!("there are {names:?}"));
    }
    if out.status.success() && !names.contains(&said) {
        return Err(format!("it says that it wrote {said}, there are {names:?}"));
    }
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    if told.contains("panicked") && !told.contains("数据损坏") && fault.call != "write" {
        return Err(format!("it panics: {told}"));
    }
    drop(fs::remove_file(room.at("strace.log")));
    let next = room.run(&format!("backup run --dir d --to t {}", recipients.join(" ")));
    if next.code != 0 {
        return Err(format!("the next run: {next:?}"));
    }
    let (later, incomplete) = sets(room)?;
    let draft = |name: &String| name.ends_with(".tmp") || name.ends_with(".tmp.age");
    let drafts: Vec<String> = files_below(&room.at("t")).into_iter().filter(draft).collect();
    let staged = files_below(&room.at("d/tmp"));
    if later.len() != names.len() + 1 || incomplete > 0 || !drafts.is_empty() || !staged.is_empty() {
        return Err(format!("after the next run {later:?}, {incomplete} incomplete, {drafts:?}, {staged:?}"));
    }
    let report = Store::open(&room.at("d"), Arc::new(SystemClock)).and_then(|store| store.check());
    match report {
        Ok(report) if report.faults == 0 && report.damaged.is_empty() => Ok(out.status.success()),
        other => Err(format!("the data: {other:?}")),
    }
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(files_below(&path));
        } else {
            names.push(path.to_string_lossy().into_owned());
        }
    }
    names
}

#[test]
fn whatever_call_of_a_backup_fails_only_whole_sets_are_listed() {
    let (room, recipients) = county();
    let Some(counts) = count(&room, &recipients) else { return };
    let points = counts.iter().flat_map(|(call, most)| (1..=*most).map(move |n| (*call, n)));
    let fault = |(call, n), k: usize| Fault { call, n, what: FAULTS[k], lasting: k == 2 || k == 3 };
    let all: Vec<Fault> = points.flat_map(|p| (0..FAULTS.len()).map(move |k| fault(p, k))).collect();
    let campaign = std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    // An odd step meets all kinds of faults.
    let step = if campaign > 1 { 1 } else { (all.len() / TRIES) | 1 };
    let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let chosen: Vec<&Fault> = all.iter().step_by(step).collect();
    let work = || {
        let (own, mut wrong) = (Room::new(), Vec::new());
        own.take_over(&room, &["d0", "t0", "a.key", "d0.key"]);
        while let Some(fault) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            match try_one(&own, &recipients, fault) {
                Ok(well) => _ = good.fetch_add(usize::from(well), Ordering::Relaxed),
                Err(what) => wrong.push(format!("{fault:?}: {what}")),
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    let good = good.into_inner();
    println!(
        "{} faults of {} at {counts:?}: {good} runs ended well, {} wrong",
        chosen.len(),
        all.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(5)]);
    assert!(good * 4 < chosen.len() * 3, "hardly any fault was felt");
}
