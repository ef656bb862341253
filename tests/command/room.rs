//! A room for one test: a temporary folder in which the program is run, servers in it, and files to spoil.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A command that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(300);
const PROGRAM: &str = env!("CARGO_BIN_EXE_jiceng");

/// What a run of the program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Both outputs, for looking for words.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }
}

/// A temporary folder; commands run in it, so that paths can be short.
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the demo county in `d`.
    pub(crate) fn demo() -> Self {
        let room = Self::new();
        room.good("demo --dir d --no-serve");
        room
    }

    /// With a demo county in `d` that holds units and accounts only.
    pub(crate) fn bare() -> Self {
        let room = Self::new();
        room.good("demo --dir d --no-serve --bare");
        room
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }

    /// Runs the program with the words of a line.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.ask(&line.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Runs the program, which must leave with 0; gives its stdout.
    pub(crate) fn good(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        ran.out
    }

    /// Runs the program, which must leave with this code and say why.
    pub(crate) fn fails(&self, line: &str, code: i32) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, code, "{line}: {ran:?}");
        assert!(!ran.err.trim().is_empty(), "{line}: says nothing");
        ran
    }

    /// Runs the program with arguments as they are and something on standard input.
    pub(crate) fn ask<S: AsRef<OsStr>>(&self, arguments: &[S], input: &str) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (pid, (ended, end)) = (child.id(), mpsc::channel());
        let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
        std::thread::spawn(move || {
            // A command that does not read its input may be gone already.
            let _gone = stdin.write_all(input.as_bytes());
            drop(stdin);
            let _late = ended.send(child.wait_with_output());
        });
        let Ok(output) = end.recv_timeout(HANGS) else {
            signal(pid, "-KILL");
            let line: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect();
            panic!("hangs: {}", line.join(" "));
        };
        let output = output.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Ran {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(1000)),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!ran.err.contains("RUST_BACKTRACE") || ran.code == 3, "panics: {ran:?}");
        ran
    }

    /// Starts the program with the words of a line and does not wait for it.
    pub(crate) fn spawn(&self, line: &str) -> Child {
        let mut command = Command::new(PROGRAM);
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Serves a folder on a free port until the server is dropped.
    pub(crate) fn serve(&self, dir: &str) -> Server {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--dir", dir, "--listen", "127.0.0.1:0"]).current_dir(self.0.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("https://").next().unwrap().to_owned();
        assert!(line.contains("https://127.0.0.1:"), "{line}");
        Server { child, address, _said: Box::new(said) }
    }

    /// Number and hash of the last entry of an intact store.
    pub(crate) fn head(&self, dir: &str) -> String {
        self.good(&format!("audit verify --dir {dir}")).trim().to_owned()
    }

    /// How many records an intact store holds.
    pub(crate) fn records(&self, dir: &str) -> u64 {
        let ran = self.run(&format!("audit verify --dir {dir}"));
        assert_eq!(ran.code, 0, "{ran:?}");
        number_after(&ran.err, "记录 ")
    }

    /// Names of what lies in a folder of the room, sorted.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(dir)).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Copies a data folder with its key file; the copy's slot file names the copied key.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        copy_folder(&self.at(from), &self.at(to));
        fs::copy(self.at(&format!("{from}.key")), self.at(&format!("{to}.key"))).unwrap();
        self.edit_slots(to, |slots| {
            slots["slots"][0]["path"] = self.at(&format!("{to}.key")).to_string_lossy().into();
        });
    }

    /// Copies a folder as it is.
    pub(crate) fn copy_folder(&self, from: &str, to: &str) {
        copy_folder(&self.at(from), &self.at(to));
    }

    /// Copies files and folders of another room.
    pub(crate) fn take_over(&self, other: &Self, names: &[&str]) {
        for name in names {
            let (from, to) = (other.at(name), self.at(name));
            if from.is_dir() { copy_folder(&from, &to) } else { _ = fs::copy(from, to).unwrap() }
        }
    }

    /// Changes the slot file of a data folder.
    pub(crate) fn edit_slots(&self, dir: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let name = format!("{dir}/keys.json");
        let mut slots: serde_json::Value = serde_json::from_slice(&self.bytes(&name)).unwrap();
        change(&mut slots);
        self.put(&name, serde_json::to_vec_pretty(&slots).unwrap());
    }

    /// Removes a data folder and its key file, where they are.
    pub(crate) fn remove(&self, dir: &str) {
        let _absent = fs::remove_dir_all(self.at(dir));
        let _absent = fs::remove_file(self.at(&format!("{dir}.key")));
    }
}

/// A running server; it is asked to end when dropped.
pub(crate) struct Server {
    child: Child,
    /// Address and port.
    pub(crate) address: String,
    _said: Box<dyn Read>,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would.
    pub(crate) fn die(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), "-TERM");
            let _ended = self.child.wait();
        }
    }
}

/// Sends a signal to a process of ours.
fn signal(pid: u32, which: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill {which} {pid}")]).status();
    assert!(sent.is_ok(), "no shell to end {pid} with");
}

/// The number that follows a word.
pub(crate) fn number_after(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("{word} is not in {text}")).1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {word} in {text}"))
}

/// Copies files and folders; sockets stay where they are.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Numbers that look drawn and are the same every time.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }
}
