//! Files of other programs through the real child: what is read from good ones, what the child may not do, and what a
//! hostile file can do to the server (nothing but be refused in words).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test fails by panicking")]

#[path = "foreign/craft.rs"]
mod craft;
#[path = "foreign/good.rs"]
mod good;
#[path = "foreign/hostile.rs"]
mod hostile;

use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiceng::base::ErrorKind;
use jiceng::foreign::{Format, Item, Reader};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_jiceng");
/// A frame that says the file was read to its end, as a shell's printf takes it.
const END: &str = r"\000\000\000\002\201\005";

/// One test at a time: each looks at the memory and the children of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(format: Format, input: impl Read + Send + 'static) -> Reader {
    Reader::start(Path::new(PROGRAM), format, Box::new(input)).unwrap()
}

/// Everything a good file says.
fn read(format: Format, bytes: &[u8]) -> Vec<Item> {
    start(format, Cursor::new(bytes.to_vec())).map(Result::unwrap).collect()
}

/// Processes whose parent is this one, dead ones too.
fn children() -> Vec<i32> {
    let parent = std::process::id().to_string();
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |n: &i32| {
        // After the name, which may hold anything in brackets: state and parent.
        let stat = std::fs::read_to_string(format!("/proc/{n}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(1)) == Some(parent.as_str())
    };
    numbers.filter(is_child).collect()
}

fn is_alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|s| s.split_whitespace().next()).is_some_and(|state| state != "Z")
}

/// A number of kB from the state of a process.
fn kilobytes(process: &str, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Input that comes when it is sent, and ends with its sender.
struct Slow(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        let n = self.1.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.1[..n]);
        self.1.drain(..n);
        Ok(n)
    }
}

/// A csv of so many bytes, whose child certainly reads: some of its rows have come.
fn busy_child() -> (Reader, std::sync::mpsc::Sender<Vec<u8>>) {
    let (send, receive) = channel();
    send.send("编号,标题\n".repeat(50_000).into_bytes()).unwrap();
    let mut reader = start(Format::Csv, Slow(receive, Vec::new()));
    assert_eq!(reader.next().unwrap().unwrap(), Item::Sheet(String::new()));
    (reader, send)
}

/// ASVS 13.2.2, 15.2.5
#[test]
fn the_child_limits_itself_before_it_reads() {
    let _alone = alone();
    let limits =
        |reader: &Reader| std::fs::read_to_string(format!("/proc/{}/limits", reader.process())).unwrap();
    let (reader, send) = busy_child();
    let table = limits(&reader);
    let expected = [
        ("Max cpu time", "120", "121"),
        ("Max address space", "1073741824", "1073741824"),
        ("Max open files", "3", "3"),
        ("Max file size", "0", "0"),
        ("Max core file size", "0", "0"),
        ("Max processes", "0", "0"),
    ];
    for (name, soft, hard) in expected {
        let line = table.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), [soft, hard], "{name}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", reader.process())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    drop((reader, send));
    assert!(children().is_empty());
}

/// ASVS 5.2.5, 5.3.3
#[test]
fn the_child_is_given_no_environment_and_no_folder() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("child");
    let rows = "[ $(env | grep -cv -e ^PWD= -e ^SHLVL= -e ^_=) = 0 ] && [ $(pwd) = / ]";
    let arguments = "[ \"$*\" = \"read-foreign csv\" ]";
    std::fs::write(&script, format!("#!/bin/sh\n{rows} && {arguments} && printf '{END}'\n")).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    assert!(std::env::vars_os().count() > 3);
    let said: Vec<_> = Reader::start(&script, Format::Csv, Box::new(std::io::empty())).unwrap().collect();
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_child_stopped_from_outside_has_its_words() {
    let _alone = alone();
    for (signal, words) in [
        (Signal::SIGXCPU, "用时过长"),
        (Signal::SIGKILL, "被系统停止"),
        (Signal::SIGABRT, "超出允许的内存"),
        (Signal::SIGILL, "文件结构异常"),
    ] {
        let (mut reader, send) = busy_child();
        kill(Pid::from_raw(reader.process() as i32), signal).unwrap();
        let error = reader.find_map(Result::err).unwrap();
        assert!(error.kind() == ErrorKind::Invalid && error.public().contains(words), "{signal}: {error:?}");
        assert!(reader.next().is_none(), "one error, then nothing");
        drop(send);
        assert!(children().is_empty());
    }
}

#[test]
fn a_dropped_reader_takes_its_child_along() {
    let _alone = alone();
    let (reader, send) = busy_child();
    let process = reader.process();
    assert!(is_alive(process) && children() == [process as i32]);
    drop(reader);
    assert!(!is_alive(process) && children().is_empty());
    drop(send);
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() {
    let _alone = alone();
    let (mut reader, send) = std::thread::spawn(busy_child).join().unwrap();
    send.send("甲,乙\n".repeat(50_000).into_bytes()).unwrap();
    drop(send);
    assert_eq!(reader.by_ref().filter(|i| matches!(i, Ok(Item::Row { .. }))).count(), 100_000);
    assert!(children().is_empty());
}

/// Not a test: what [`a_child_does_not_outlive_a_killed_server`] kills.
#[test]
#[ignore = "a process for another test"]
fn a_server_that_reads() {
    let (reader, send) = busy_child();
    println!("child={}", reader.process());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
    drop((reader, send));
}

#[test]
fn a_child_does_not_outlive_a_killed_server() {
    let _alone = alone();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_server_that_reads", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut server = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
    let child = lines.find_map(|l| Some(l.unwrap().split_once("child=")?.1.parse().unwrap())).unwrap();
    assert!(is_alive(child));
    server.kill().unwrap();
    server.wait().unwrap();
    while is_alive(child) {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_breaks_off_is_no_whole_file() {
    let _alone = alone();
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        }
    }
    let input = Cursor::new("编号,标题\n1,甲\n".as_bytes().to_vec()).chain(Broken);
    let said: Vec<_> = start(Format::Csv, input).collect();
    assert!(said.last().unwrap().as_ref().is_err_and(|e| e.kind() == ErrorKind::Io), "{said:?}");
}

/// ASVS 5.2.1
#[test]
fn two_hundred_megabytes_stream_through_and_more_are_refused() {
    let _alone = alone();
    let before = kilobytes("self", "VmRSS");
    let line = format!("{},{}\n", "案".repeat(300), "x".repeat(1_147));
    let most = Format::Csv.bytes() as usize;
    let lines = most / line.len();
    for (extra, refused) in [(0, false), (line.len() * 2, true)] {
        let whole = craft::Again::new(line.clone().into_bytes(), lines + extra / line.len());
        let mut reader = start(Format::Csv, whole);
        let (mut rows, mut peak) = (0, 0);
        let mut error = None;
        while let Some(item) = reader.next() {
            match item {
                Ok(Item::Row { .. }) => rows += 1,
                Ok(_) => {}
                Err(e) => error = Some(e),
            }
            if rows == lines - 1_000 {
                peak = kilobytes(&reader.process().to_string(), "VmHWM");
            }
        }
        assert!(peak > 0 && peak < 48 << 10, "the child took {peak} kB");
        assert_eq!(error.is_some_and(|e| e.public().contains("超过 200 MB")), refused);
        assert!(rows >= lines - 1, "{rows} of {lines}");
    }
    assert!(kilobytes("self", "VmRSS") < before + (16 << 10));
}
