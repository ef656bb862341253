//! Off the site: the server writes segments, `jiceng ship` brings them and sets to a mount or an object store, both die
//! at any moment, and what comes back from there is what was acknowledged.
//!
//! The object store is a real one, `s3s-fs`, as a process of its own; where it is missing those tests say so and are
//! left out. Its check of conditions is no single step, so that nobody here creates one slot twice at once.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiceng::backup::segment::Segment;
use jiceng::backup::{Content, KeyFile};
use jiceng::base::clock::SystemClock;
use jiceng::store::Store;
use serde_json::Value;

use super::county::{County, OWN, PETITION, Person, files_below};
use super::crash::campaign;
use super::register::noise;

const JICENG: &str = env!("CARGO_BIN_EXE_jiceng");
pub(crate) const CLERK: &str = "石鼓岭镇纪委";
const USER: (&str, &str) = ("county", "between-us");
/// Looks, fifty a second, after which something that has to happen does not.
const PATIENCE: usize = 3_000;

/// A county that writes segments, and what lies beside it.
pub(crate) struct Site {
    pub(crate) county: County,
    root: PathBuf,
}

impl Site {
    pub(crate) fn new() -> Self {
        let county = County::bare();
        let root = PathBuf::from(format!("{}.media", county.dir().display()));
        for name in ["spool", "sets", "mount", "bucket"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let site = Self { county, root };
        site.restart();
        let keys = ["a", "b"].map(|name| {
            let out = site.at(&format!("{name}.key"));
            let ran = site.county.cli(&["backup", "keygen", "--out", out.to_str().unwrap()]);
            String::from_utf8_lossy(&ran.stdout).trim().to_owned()
        });
        let sysadmin = site.county.sysadmin();
        sysadmin.get("/backup").expect(200);
        sysadmin.post_form("/backup", &[("recipients", &keys.join("\n")), OWN]).expect(303);
        site
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Starts the server again, with a segment a second.
    pub(crate) fn restart(&self) {
        let spool = self.at("spool").display().to_string();
        self.county.restart_with(&format!("[offsite]\nspool = {spool:?}\nevery_s = 1\n"));
    }

    pub(crate) fn back_up(&self) {
        let ran = self.county.cli(&["backup", "run", "--to", self.at("sets").to_str().unwrap()]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    fn shipper(&self, to: &Target) -> Command {
        let mut command = to.command(&["ship"]);
        command.arg("--spool").arg(self.at("spool")).arg("--backups").arg(self.at("sets"));
        command
    }

    pub(crate) fn ship_once(&self, to: &Target) -> Output {
        self.shipper(to).arg("--once").output().unwrap()
    }

    pub(crate) fn said(&self, name: &str) -> Value {
        let text = fs::read(self.at("spool").join(name)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Waits until a segment holds the head of the journal, and the target has it.
    pub(crate) fn settle(&self, to: &Target) {
        // A server that knows nothing of a log writes nothing before it heard where the log of the target ends.
        assert!(self.ship_once(to).status.success());
        let until = self.county.head();
        let until: u64 = until.split(' ').next().unwrap().parse().unwrap();
        wait_for("a segment with everything", || self.said("sent.json")["to"].as_u64() >= Some(until));
        let ran = self.ship_once(to);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(self.said("shipped.json")["digest"], self.said("sent.json")["digest"]);
    }

    /// Fetches from the target, restores, and compares with what the county has; the restored store.
    fn comes_back(&self, to: &Target, name: &str) -> Store {
        let (from, dir) = (self.at(&format!("{name}.fetched")), self.at(name));
        let ran = to.command(&["ship"]).arg("--fetch").arg(&from).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut restore = Command::new(JICENG);
        restore.args(["backup", "restore", "--from"]).arg(&from).arg("--identity").arg(self.at("a.key"));
        let ran = restore.arg("--dir").arg(&dir).stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let restored = Store::open(&dir, Arc::new(SystemClock)).unwrap();
        assert_eq!(restored.check().unwrap().problems, [""; 0]);
        self.county.terminate();
        let own = Store::open(self.county.dir(), Arc::new(SystemClock)).unwrap();
        let [own, other] = [&own, &restored].map(|store| Content::of(&store.read().unwrap()).unwrap());
        assert_eq!(
            (own.content_root, own.records, own.store),
            (other.content_root, other.records, other.store)
        );
        restored
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.root);
    }
}

/// Where things are brought.
pub(crate) struct Target {
    pub(crate) to: String,
    port: Option<u16>,
    password: &'static str,
}

impl Target {
    pub(crate) fn mount(site: &Site) -> Self {
        Self { to: site.at("mount").display().to_string(), port: None, password: "" }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(JICENG);
        command.args(words).args(["--to", &self.to]).stdin(Stdio::null());
        if let Some(port) = self.port {
            command.arg("--endpoint").arg(format!("http://127.0.0.1:{port}"));
            command.env("AWS_ACCESS_KEY_ID", USER.0).env("AWS_SECRET_ACCESS_KEY", self.password);
        }
        command
    }
}

/// An object store.
struct Bucket {
    child: Child,
    port: u16,
    root: PathBuf,
}

impl Bucket {
    /// A server over a folder; `None`, said aloud, where the program is missing.
    fn start(root: &Path) -> Option<Self> {
        if cfg!(not(feature = "object-store")) {
            println!("skipped: built without object stores, nothing was shown about them");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_at(root, port)
    }

    fn start_at(root: &Path, port: u16) -> Option<Self> {
        let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cargo/bin/s3s-fs"));
        let program = home.filter(|p| p.is_file()).unwrap_or_else(|| "s3s-fs".into());
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--access-key", USER.0, "--secret-key", USER.1]).arg(root);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = child else {
            println!("skipped: no s3s-fs here, nothing was shown about object stores");
            return None;
        };
        let own = Self { child, port, root: root.to_owned() };
        wait_for("the object store", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(own)
    }

    fn target(&self) -> Target {
        Target { to: "s3://county/off/site".into(), port: Some(self.port), password: USER.1 }
    }

    /// Kills it in the middle of whatever it does, and starts it again at the same place.
    fn restart(&mut self) {
        self.stop();
        // What it listened at may be busy for a moment.
        for _ in 0..PATIENCE {
            if TcpListener::bind(("127.0.0.1", self.port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut next = Self::start_at(&self.root.clone(), self.port).unwrap();
        std::mem::swap(&mut self.child, &mut next.child);
    }

    fn stop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
    }
}

#[track_caller]
pub(crate) fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    for _ in 0..PATIENCE {
        if there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} does not come");
}

fn kill(mut child: Child) {
    let _gone = child.kill();
    let _ended = child.wait();
}

/// A petition that was acknowledged, with a word of its own in it.
pub(crate) fn register(clerk: &Person, word: &str) -> bool {
    let form = clerk.form("/petition/new").fill(PETITION).set("title", word);
    clerk.try_submit(&form).is_ok_and(|answer| answer.status == 303)
}

fn holds(store: &Store, words: &[String]) {
    let snapshot = store.read().unwrap();
    let all: String = snapshot
        .all_ids()
        .unwrap()
        .filter_map(|id| snapshot.get(id, false).unwrap())
        .map(|record| format!("{:?}", record.fields))
        .collect();
    let lost: Vec<&String> = words.iter().filter(|w| !all.contains(*w)).collect();
    assert!(lost.is_empty(), "acknowledged and not off the site: {lost:?}");
}

#[test]
fn what_was_acknowledged_comes_back_from_a_mount_whatever_was_killed_on_the_way() {
    let site = Site::new();
    let to = Target::mount(&site);
    site.back_up();
    let clerk = site.county.clerk(CLERK);
    let mut words = Vec::new();
    for round in 0..6 * campaign() {
        let random = noise(91_000 + round, 2);
        let shipper = site.shipper(&to).stderr(Stdio::null()).spawn().unwrap();
        for n in 0..3 {
            let word = format!("异地第{round}轮第{n}件");
            if register(&clerk, &word) {
                words.push(word);
            }
            std::thread::sleep(Duration::from_millis(u64::from(random[0]) * 2));
        }
        kill(shipper);
        if round % 2 == 0 {
            site.county.kill_9();
            site.restart();
            drop(clerk.log_in(jiceng::app::demo::PASSWORD));
        }
    }
    site.settle(&to);
    holds(&site.comes_back(&to, "back"), &words);
}

/// ASVS 1.3.6, 6.3.6, 13.2.4, 14.2.3
#[test]
fn nothing_readable_leaves_the_site_and_the_server_calls_nobody() {
    let site = Site::new();
    let to = Target::mount(&site);
    let clerk = site.county.clerk(CLERK);
    let words = ["砚漆槲梧外一", "泠麓桓祠外二"];
    let form = clerk.form("/petition/new").fill(PETITION);
    let form = form.set("title", words[0]).set("text", words[1]).attach("外三.txt", words[0].as_bytes());
    clerk.submit(&form).expect(303);
    site.back_up();
    site.settle(&to);
    let places = ["spool", "mount"].map(|n| site.at(n));
    let files: Vec<PathBuf> = places.iter().flat_map(|p| files_below(p)).collect();
    let has = |end: &str| files.iter().any(|f| f.to_string_lossy().ends_with(end));
    assert!(has(".seg") && has(".blob") && has(".manifest.age") && has("shipped.json"), "{files:?}");
    let store: Value =
        serde_json::from_slice(&fs::read(site.county.dir().join("keys.json")).unwrap()).unwrap();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        for word in words.iter().chain(&["外三", "信访〔", store["store"].as_str().unwrap()]) {
            let found = bytes.windows(word.len()).any(|w| w == word.as_bytes());
            assert!(!found, "{} holds {word}", file.display());
        }
    }
    // Sockets of the server: listening, or accepted from clients at the address it listens at; none that it opened.
    let pid = site.county.pid();
    let own: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|l| Some(l.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let mut seen = 0;
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
        let mine: Vec<&Vec<&str>> =
            rows.iter().filter(|row| own.iter().any(|inode| inode == row[9])).collect();
        let listening: Vec<&str> = mine.iter().filter(|row| row[3] == "0A").map(|row| row[1]).collect();
        assert!(mine.iter().all(|row| listening.contains(&row[1])), "{table}: {mine:?}");
        seen += listening.len();
    }
    assert_eq!(seen, 1, "the server listens once");
    // The page and the doctor say how the other site stands.
    let page = site.county.sysadmin().get("/backup").expect(200).text();
    assert!(page.contains("日志送到第") && page.contains("整套备份 1 套"), "{page}");
    let doctor = site.county.cli(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("异地"));
}

#[test]
fn a_host_that_was_replaced_takes_no_changes_from_then_on() {
    let site = Site::new();
    let to = Target::mount(&site);
    site.back_up();
    let clerk = site.county.clerk(CLERK);
    assert!(register(&clerk, "接管之前"));
    site.settle(&to);
    // Another host restored from the target, and took the next slot.
    let other = Site { county: County::bare_in(site.at("other-county")), root: site.at("other") };
    other.county.kill_9();
    drop(site.comes_back(&to, "taken"));
    fs::create_dir_all(other.at("spool")).unwrap();
    fs::create_dir_all(other.at("sets")).unwrap();
    let config = site.at("other.toml");
    fs::write(
        &config,
        format!("[offsite]\nspool = {:?}\nevery_s = 1\n", other.at("spool").display().to_string()),
    )
    .unwrap();
    assert!(other.ship_once(&to).status.success(), "it learns where the log ends");
    let mut server = Command::new(JICENG);
    server
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--dir")
        .arg(site.at("taken"));
    let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let last = other.said("shipped.json")["number"].as_u64();
    wait_for("the fence", || other.said("sent.json")["number"].as_u64() > last);
    assert!(other.ship_once(&to).status.success());
    kill(server);
    // The first one comes back, goes on, and is told.
    site.restart();
    drop(clerk.log_in(jiceng::app::demo::PASSWORD));
    assert!(register(&clerk, "接管之后"));
    wait_for("a segment", || {
        site.said("sent.json")["number"].as_u64() > site.said("shipped.json")["number"].as_u64()
    });
    let told = site.ship_once(&to);
    assert!(String::from_utf8_lossy(&told.stderr).contains("另一台主机已经接管"), "{told:?}");
    wait_for("the halt", || !register(&clerk, "再不登记"));
    let page = clerk.get("/petition").expect(200).text();
    assert!(page.contains("另一台主机已经接管本县的数据"), "{page}");
    site.restart();
    drop(clerk.log_in(jiceng::app::demo::PASSWORD));
    assert!(!register(&clerk, "重启也不登记"));
    clerk.get("/petition").expect(200);
}

/// ASVS 13.2.6
#[test]
fn everything_arrives_once_and_whole_in_an_object_store_that_dies_on_the_way() {
    let site = Site::new();
    fs::create_dir_all(site.at("bucket/county")).unwrap();
    let Some(mut bucket) = Bucket::start(&site.at("bucket")) else { return };
    let to = bucket.target();
    let clerk = site.county.clerk(CLERK);
    let mut words = Vec::new();
    // An attachment of several pieces, so that the set takes its time.
    let form = clerk.form("/petition/new").fill(PETITION).set("title", "带大附件");
    clerk.submit(&form.attach("卷宗.bin", &noise(5, 40 << 20))).expect(303);
    site.back_up();
    let mut broken = 0;
    for round in 0..4 {
        let shipper = site.shipper(&to).stderr(Stdio::null()).spawn().unwrap();
        let word = format!("对象存储第{round}件");
        if register(&clerk, &word) {
            words.push(word);
        }
        let pieces = || {
            let said = site.said("uploads-sets.json");
            let uploads: Vec<usize> = said
                .as_object()
                .into_iter()
                .flat_map(|all| all.values())
                .filter_map(|u| Some(u["parts"].as_array()?.len()))
                .collect();
            uploads.into_iter().max().unwrap_or(0)
        };
        for _ in 0..1000 {
            if site.said("shipped.json")["sets"].as_u64() == Some(1) {
                break;
            }
            if pieces() > round {
                broken += 1;
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if round % 2 == 0 {
            bucket.restart();
            kill(shipper);
        } else {
            kill(shipper);
            bucket.restart();
        }
    }
    assert!(broken > 0, "no upload was broken off in its middle");
    site.settle(&to);
    assert_eq!(site.said("uploads-sets.json"), serde_json::json!({}), "no upload is left");
    let slots = files_below(&site.at("bucket/county/off/site/log"));
    let sent = site.said("sent.json")["number"].as_u64().unwrap();
    assert_eq!(slots.iter().filter(|f| f.extension().is_some_and(|e| e == "seg")).count() as u64, sent);
    let key = KeyFile::read(&site.at("a.key")).unwrap();
    for slot in slots.iter().filter(|f| f.extension().is_some_and(|e| e == "seg")) {
        Segment::open(slot, &key, None).unwrap();
    }
    holds(&site.comes_back(&to, "back"), &words);
}

/// ASVS 16.5.2
#[test]
fn an_object_store_that_refuses_is_told_clearly_and_nothing_is_lost() {
    let site = Site::new();
    fs::create_dir_all(site.at("bucket/county")).unwrap();
    let Some(bucket) = Bucket::start(&site.at("bucket")) else { return };
    let good = bucket.target();
    wait_for("a word of the server", || {
        assert!(site.ship_once(&good).status.success());
        site.said("sent.json")["number"].as_u64().is_some()
    });
    let clerk = site.county.clerk(CLERK);
    assert!(register(&clerk, "谁也没送到"));
    let before = site.said("shipped.json")["number"].as_u64();
    wait_for("a segment", || site.said("sent.json")["number"].as_u64() > before);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (wrong, words) in [
        (Target { password: "wrong", ..bucket.target() }, "拒绝了凭据"),
        (Target { port: Some(closed), ..bucket.target() }, "连不上对象存储"),
        (Target { to: "s3://absent/off".into(), ..bucket.target() }, "没有桶"),
    ] {
        let ran = site.ship_once(&wrong);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!ran.status.success() && said.contains(words), "{words}: {said}");
        assert!(!said.contains(USER.1) && !said.contains("wrong"), "{said}");
        assert!(site.said("shipped.json")["error"].as_str().unwrap().contains(words));
        assert!(!files_below(&site.at("spool/segments")).is_empty());
    }
    site.settle(&good);
    assert_eq!(site.said("shipped.json")["error"], Value::Null);
}

/// A figure for people: how long a petition that was saved is on this machine alone, with the default pace.
#[test]
#[ignore = "takes minutes, and tells a time"]
fn how_long_a_petition_is_here_alone() {
    let site = Site::new();
    let spool = site.at("spool").display().to_string();
    site.county.restart_with(&format!("[offsite]\nspool = {spool:?}\n"));
    let to = Target::mount(&site);
    site.back_up();
    let shipper = site.shipper(&to).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first segment", || site.said("shipped.json")["number"].as_u64() > Some(0));
    let clerk = site.county.clerk(CLERK);
    let mut waits: Vec<u128> = (0..8 * campaign())
        .map(|n| {
            std::thread::sleep(Duration::from_millis(u64::from(noise(n + 3, 1)[0]) * 60));
            assert!(register(&clerk, &format!("计时第{n}件")));
            let saved = std::time::Instant::now();
            let doctor = String::from_utf8(site.county.cli(&["doctor"]).stdout).unwrap();
            let entry =
                doctor.split("日志 ").nth(1).unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
            wait_for("the target", || site.said("shipped.json")["to"].as_u64() >= Some(entry));
            saved.elapsed().as_millis()
        })
        .collect();
    kill(shipper);
    waits.sort_unstable();
    println!("milliseconds until the target had it, rising: {waits:?}");
}
