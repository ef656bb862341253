//! A file system that remembers. A program runs under strace, and what it did to the files below a folder — written,
//! cut, renamed, removed, synced, folders too — becomes a recording, out of which the folder can be made as it might be
//! found after the power went at any moment.
//!
//! What was synced is there: of a file its bytes, of a folder its names, and neither stands for the other. Of the rest
//! each sector of 512 bytes, each length and each name is there or not, as chance has it; names come in the order in
//! which they were given or in any, as journaling file systems keep the one and nobody promises the other.
//!
//! The program promises by writing lines that begin with [`PROMISE`] to its output.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::disk::{Chance, SECTOR};
use super::{WORKERS, from, memory};

/// What a line of the output begins with that is a promise.
pub(crate) const PROMISE: &str = "promise ";

/// Tells the process that is recorded where.
const HOME: &str = "JICENG_RECORDED";

/// The root, in a process that is recorded.
pub(crate) fn recorded() -> Option<PathBuf> {
    std::env::var_os(HOME).map(PathBuf::from)
}

/// The calls that matter. What else could change a file is in [`FOREIGN`], and nobody is expected to use it.
const CALLS: &str = "openat,open,close,fcntl,write,pwrite64,lseek,ftruncate,rename,renameat,renameat2,unlink,unlinkat,\
     mkdir,mkdirat,rmdir,fsync,fdatasync";
const FOREIGN: &str = "creat,writev,pwritev,pwritev2,truncate,fallocate,copy_file_range,sendfile,link,linkat,symlink,\
     symlinkat,dup,dup2,dup3,splice,io_uring_setup";

type Node = usize;

/// The folder that is watched.
const ROOT: Node = 0;

/// What happened to the files.
#[derive(Clone, Debug)]
enum Op {
    Data(Node, usize, Vec<u8>),
    Length(Node, usize),
    /// Names in one folder, at once: what each stands for from now on.
    Names(Node, Vec<(String, Option<Node>)>),
    /// A file or a folder was synced.
    Sync(Node),
    Promise(String),
}

#[derive(Clone, Debug, Default)]
struct Nodes {
    /// Names of each folder.
    folders: BTreeMap<Node, BTreeMap<String, Node>>,
    files: BTreeMap<Node, Vec<u8>>,
}

/// What a program did to the files below a folder.
pub(crate) struct Recording {
    first: Nodes,
    log: Vec<Op>,
}

impl Recording {
    /// Runs a test of this program under strace, which learns from the environment where the root is; `None` where this
    /// machine does not let a test do that.
    pub(crate) fn of(test: &str, root: &Path) -> Option<Self> {
        let root = root.canonicalize().unwrap();
        let log = root.with_extension("strace");
        let mut first = Nodes::default();
        first.read(&root, ROOT);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-xx", "-s", "1000000000", "--seccomp-bpf", "-o"]).arg(&log);
        strace.args(["-e", &format!("trace={CALLS},{FOREIGN}"), "-e", "signal=none"]);
        strace.arg(std::env::current_exe().unwrap()).args([
            "--exact",
            test,
            "--nocapture",
            "--test-threads=1",
        ]);
        strace.env(HOME, &root);
        let Ok(out) = strace.output() else {
            println!("skipped: strace is missing");
            return None;
        };
        let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        if !out.status.success() && said.contains("ptrace") {
            println!("skipped: strace may not trace here");
            return None;
        }
        assert!(out.status.success(), "{said}");
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        let mut reader = Reader::new(root, &first);
        text.lines().for_each(|line| reader.line(line));
        Some(Self { first, log: reader.log })
    }

    /// Operations in it.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// Moments at which a file had just been removed: the power must not bring back what still names it.
    fn after_removals(&self) -> Vec<usize> {
        let removes =
            |op: &Op| matches!(op, Op::Names(_, names) if names.iter().all(|(_, node)| node.is_none()));
        (1..=self.log.len()).filter(|n| removes(&self.log[n - 1])).collect()
    }

    /// How often something was synced, and how many names were given or taken.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let syncs = self.log.iter().filter(|op| matches!(op, Op::Sync(_))).count();
        (syncs, self.log.iter().filter(|op| matches!(op, Op::Names(..))).count())
    }

    /// What was promised within the first operations.
    pub(crate) fn promised(&self, cut: usize) -> impl Iterator<Item = &str> {
        self.log[..cut]
            .iter()
            .filter_map(|op| if let Op::Promise(what) = op { Some(what.as_str()) } else { None })
    }

    /// Looks at what so many cuts leave, half of them right after something was removed; what is wrong. Whoever looks
    /// is told where it lies, what was promised, and which cut it is.
    pub(crate) fn try_cuts(
        &self,
        cuts: usize,
        look: impl Fn(&Path, &[&str], usize) -> Result<(), String> + Sync,
    ) -> Vec<String> {
        let (removals, next) = (self.after_removals(), AtomicUsize::new(from()));
        let work = || {
            let mut wrong = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= from() + cuts {
                    return wrong;
                }
                let (mut chance, place) = (Chance(n as u64), memory());
                let anywhere = chance.below(self.log.len() + 1);
                let cut = if n.is_multiple_of(2) { anywhere } else { removals[chance.below(removals.len())] };
                self.after_a_cut(cut, &mut chance, place.path());
                let promised: Vec<&str> = self.promised(cut).collect();
                let found = catch_unwind(AssertUnwindSafe(|| look(place.path(), &promised, n)));
                let found = found.unwrap_or_else(|_| Err("it panics".to_owned()));
                wrong.extend(found.err().map(|what| format!("cut {n} after {cut} operations: {what}")));
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
        })
    }

    /// Makes the folder in `place`, which is empty, as it might be after the power went when so much had been done.
    fn after_a_cut(&self, cut: usize, chance: &mut Chance, place: &Path) {
        let share = [0, 4, 32, 60, 64][chance.below(5)];
        let in_order = chance.below(2) == 0;
        let done = &self.log[..cut];
        let mut synced: HashMap<Node, usize> = HashMap::new();
        for (n, op) in done.iter().enumerate() {
            if let Op::Sync(node) = op {
                synced.insert(*node, n);
            }
        }
        let mut nodes = self.first.clone();
        // A journal that comes in order ends somewhere.
        let mut names_end = false;
        for (n, op) in done.iter().enumerate() {
            let lasts = |node: &Node| synced.get(node).is_some_and(|at| *at > n);
            let keep = match op {
                Op::Data(node, ..) | Op::Length(node, _) if lasts(node) => true,
                Op::Names(folder, _) if lasts(folder) => true,
                Op::Data(node, at, bytes) => {
                    for (k, sector) in bytes.chunks(SECTOR).enumerate().filter(|_| chance.below(64) < share) {
                        nodes.put(*node, at + k * SECTOR, sector);
                    }
                    false
                }
                Op::Names(..) if in_order => {
                    names_end |= chance.below(64) >= share;
                    !names_end
                }
                _ => chance.below(64) < share,
            };
            if keep {
                nodes.apply(op);
            }
        }
        nodes.write(ROOT, place);
    }
}

impl Nodes {
    fn fresh(&self) -> Node {
        let last = |keys: Option<&Node>| keys.map_or(0, |n| n + 1);
        last(self.folders.keys().next_back()).max(last(self.files.keys().next_back()))
    }

    fn read(&mut self, path: &Path, node: Node) {
        self.folders.insert(node, BTreeMap::new());
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let (name, below) = (entry.file_name().into_string().unwrap(), self.fresh());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.read(&entry.path(), below);
            } else if kind.is_file() {
                self.files.insert(below, fs::read(entry.path()).unwrap());
            } else {
                continue;
            }
            self.folders.get_mut(&node).unwrap().insert(name, below);
        }
    }

    fn put(&mut self, node: Node, at: usize, bytes: &[u8]) {
        let file = self.files.entry(node).or_default();
        let end = at + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[at..end].copy_from_slice(bytes);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Data(node, at, bytes) => self.put(*node, *at, bytes),
            Op::Length(node, length) => self.files.entry(*node).or_default().resize(*length, 0),
            Op::Names(folder, names) => {
                let folder = self.folders.entry(*folder).or_default();
                for (name, node) in names {
                    match node {
                        Some(node) => folder.insert(name.clone(), *node),
                        None => folder.remove(name),
                    };
                }
            }
            Op::Sync(_) | Op::Promise(_) => {}
        }
    }

    fn write(&self, folder: Node, place: &Path) {
        for (name, node) in self.folders.get(&folder).into_iter().flatten() {
            let path = place.join(name);
            // Folders are known as such; a file nothing of which came through is empty.
            if self.folders.contains_key(node) || *node >= FOLDERS {
                fs::create_dir(&path).unwrap();
                self.write(*node, &path);
            } else {
                fs::write(&path, self.files.get(node).map_or(&[][..], Vec::as_slice)).unwrap();
            }
        }
    }
}

/// New folders are numbered from here, so that one whose content was lost is still a folder.
const FOLDERS: Node = 1 << 32;

/// Reads what strace wrote.
struct Reader {
    root: PathBuf,
    /// Names as the program sees them.
    now: BTreeMap<Node, BTreeMap<String, Node>>,
    next: (Node, Node),
    open: HashMap<u64, (Node, usize)>,
    /// Lengths as the program sees them, for writes at the end.
    lengths: HashMap<Node, usize>,
    /// Calls that did not return yet, by thread.
    pending: HashMap<String, String>,
    log: Vec<Op>,
}

impl Reader {
    fn new(root: PathBuf, first: &Nodes) -> Self {
        Self {
            root,
            now: first.folders.clone(),
            next: (first.fresh(), FOLDERS),
            open: HashMap::new(),
            lengths: first.files.iter().map(|(node, bytes)| (*node, bytes.len())).collect(),
            pending: HashMap::new(),
            log: Vec::new(),
        }
    }

    fn line(&mut self, line: &str) {
        let Some((thread, rest)) = line.split_once(' ') else { return };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            if begun.starts_with("close(") {
                // Its number may be another file's before it returns.
                return self.call(&format!("{begun}) = 0"));
            }
            self.pending.insert(thread.to_owned(), begun.to_owned());
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|r| r.split_once(" resumed>")) {
            if let Some(begun) = self.pending.remove(thread) {
                self.call(&(begun + end));
            }
        } else {
            self.call(rest);
        }
    }

    /// One call that returned; those that failed did nothing.
    fn call(&mut self, text: &str) {
        let Some((call, result)) = text.rsplit_once(" = ") else { return };
        let Some(result) = result.split(' ').next().and_then(|r| r.parse::<u64>().ok()) else { return };
        let Some((name, arguments)) = call.split_once('(') else { return };
        let arguments: Vec<&str> = arguments.trim_end().trim_end_matches(')').split(", ").collect();
        let number = |n: usize| arguments[n].parse::<u64>().unwrap();
        match name {
            "openat" => self.opened(arguments[0], arguments[1], arguments[2], result),
            "open" => self.opened("AT_FDCWD", arguments[0], arguments[1], result),
            "close" => drop(self.open.remove(&number(0))),
            "fcntl" if arguments[1].starts_with("F_DUPFD") => {
                if let Some(same) = self.open.get(&number(0)).copied() {
                    self.open.insert(result, same);
                }
            }
            "fcntl" => {}
            "lseek" => {
                self.open.entry(number(0)).and_modify(|(_, at)| *at = usize::try_from(result).unwrap());
            }
            "write" => self.written(number(0), arguments[1], None),
            "pwrite64" => self.written(number(0), arguments[1], Some(usize::try_from(number(3)).unwrap())),
            "ftruncate" => {
                if let Some((node, _)) = self.open.get(&number(0)).copied() {
                    self.length(node, usize::try_from(number(1)).unwrap());
                }
            }
            "rename" => self.renamed(("AT_FDCWD", arguments[0]), ("AT_FDCWD", arguments[1])),
            "renameat" | "renameat2" => {
                self.renamed((arguments[0], arguments[1]), (arguments[2], arguments[3]))
            }
            "unlink" | "rmdir" => self.removed("AT_FDCWD", arguments[0]),
            "unlinkat" => self.removed(arguments[0], arguments[1]),
            "mkdir" => self.made("AT_FDCWD", arguments[0]),
            "mkdirat" => self.made(arguments[0], arguments[1]),
            "fsync" | "fdatasync" => {
                if let Some((node, _)) = self.open.get(&number(0)).copied() {
                    self.log.push(Op::Sync(node));
                }
            }
            _ => self.foreign(text),
        }
    }

    /// A call that could change a file without our knowing how.
    fn foreign(&self, text: &str) {
        let (_, arguments) = text.split_once('(').unwrap();
        let known =
            arguments.split([',', ')']).any(|a| a.trim().parse().is_ok_and(|fd| self.open.contains_key(&fd)));
        let below = arguments.split('"').skip(1).step_by(2).any(|p| self.split("AT_FDCWD", p).is_some());
        assert!(!known && !below, "nobody knows what this does to files: {}", &text[..text.len().min(200)]);
    }

    fn opened(&mut self, at: &str, path: &str, flags: &str, fd: u64) {
        // Whatever had this number is closed.
        self.open.remove(&fd);
        let Some((folder, name)) = self.split(at, path) else { return };
        let there = if name.is_empty() { Some(folder) } else { self.now[&folder].get(&name).copied() };
        let node = match there {
            Some(node) => node,
            None if flags.contains("O_CREAT") => {
                let node = self.next.0;
                self.next.0 += 1;
                self.lengths.insert(node, 0);
                self.names(folder, vec![(name, Some(node))]);
                node
            }
            None => return,
        };
        if flags.contains("O_TRUNC") && self.lengths.get(&node).is_some_and(|l| *l > 0) {
            self.length(node, 0);
        }
        let at = if flags.contains("O_APPEND") { self.lengths[&node] } else { 0 };
        self.open.insert(fd, (node, at));
    }

    fn written(&mut self, fd: u64, data: &str, at: Option<usize>) {
        let Some((node, position)) = self.open.get(&fd).copied() else {
            if fd == 1 {
                let text = String::from_utf8(bytes(data)).unwrap_or_default();
                let promises = text.lines().filter_map(|line| line.strip_prefix(PROMISE));
                self.log.extend(promises.map(|what| Op::Promise(what.to_owned())));
            }
            return;
        };
        let bytes = bytes(data);
        let start = at.unwrap_or(position);
        let end = start + bytes.len();
        if at.is_none() {
            self.open.insert(fd, (node, end));
        }
        let length = self.lengths.entry(node).or_default();
        *length = end.max(*length);
        self.log.push(Op::Data(node, start, bytes));
    }

    fn length(&mut self, node: Node, length: usize) {
        self.lengths.insert(node, length);
        self.log.push(Op::Length(node, length));
    }

    fn names(&mut self, folder: Node, names: Vec<(String, Option<Node>)>) {
        for (name, node) in &names {
            let folder = self.now.get_mut(&folder).unwrap();
            match node {
                Some(node) => folder.insert(name.clone(), *node),
                None => folder.remove(name),
            };
        }
        self.log.push(Op::Names(folder, names));
    }

    fn renamed(&mut self, from: (&str, &str), to: (&str, &str)) {
        let (from, to) = (self.split(from.0, from.1), self.split(to.0, to.1));
        let ((from, old), (to, new)) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => return,
            other => panic!("something is moved in or out: {other:?}"),
        };
        let node = self.now[&from][&old];
        if from == to {
            self.names(from, vec![(old, None), (new, Some(node))]);
        } else {
            self.names(to, vec![(new, Some(node))]);
            self.names(from, vec![(old, None)]);
        }
    }

    fn removed(&mut self, at: &str, path: &str) {
        if let Some((folder, name)) = self.split(at, path) {
            self.names(folder, vec![(name, None)]);
        }
    }

    fn made(&mut self, at: &str, path: &str) {
        let Some((folder, name)) = self.split(at, path) else { return };
        let node = self.next.1;
        self.next.1 += 1;
        self.now.insert(node, BTreeMap::new());
        self.names(folder, vec![(name, Some(node))]);
    }

    /// The folder and the name a path means; `None` outside the root, or where there is no such folder.
    fn split(&self, at: &str, path: &str) -> Option<(Node, String)> {
        let path = PathBuf::from(String::from_utf8(bytes(path)).ok()?);
        let (mut node, below) = match path.strip_prefix(&self.root) {
            Ok(below) => (ROOT, below.to_owned()),
            Err(_) if path.is_relative() => (self.open.get(&at.parse().ok()?)?.0, path),
            Err(_) => return None,
        };
        let mut names: Vec<String> = below
            .components()
            .filter(|c| matches!(c, Component::Normal(_)))
            .map(|c| c.as_os_str().to_string_lossy().into_owned())
            .collect();
        let last = names.pop().unwrap_or_default();
        for name in names {
            node = *self.now.get(&node)?.get(&name)?;
        }
        self.now.contains_key(&node).then_some((node, last))
    }
}

/// The bytes of `"\x2f\x74"`.
fn bytes(quoted: &str) -> Vec<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).map_or(0, |d| u8::try_from(d).unwrap());
    let text = quoted.trim_matches('"').as_bytes();
    assert!(!quoted.ends_with("..."), "strace cut something off");
    text.chunks_exact(4).map(|b| digit(b[2]) << 4 | digit(b[3])).collect()
}
