//! A county to live in: a `jiceng` process over a folder of its own, its people as values, ways to hurt it.
//!
//! A folder and what lies beside it are gone when the value is. People keep their cookies as a browser does,
//! and log in again by themselves only when they are told to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use jiceng::app::demo::PASSWORD;
use jiceng::base::{Clock, clock::SystemClock};

use super::form::{Form, attribute};
use super::wire::{self, Answer, Request, Wire};

const JICENG: &str = env!("CARGO_BIN_EXE_jiceng");
/// The name of the session's cookie.
/// The password of those whom [`County::answered`] makes.
pub(crate) const ANSWERED: &str = "Qiu-tian.2031";

pub(crate) const SESSION: &str = "__Host-session";

/// Units and the log-in of their clerk; the approver's ends in `-fz`.
const UNITS: [(&str, &str); 9] = [
    ("澜东街道纪工委", "zhen01"),
    ("石鼓岭镇纪委", "zhen04"),
    ("枫桥坞镇纪委", "zhen05"),
    ("白鹭浦镇纪委", "zhen06"),
    ("杏林坪镇纪委", "zhen07"),
    ("柳沟台镇纪委", "zhen08"),
    ("驻教育体育局纪检监察组", "pz01"),
    ("驻财政局纪检监察组", "pz06"),
    ("信访室", "xinfang"),
];

/// A running county.
pub(crate) struct County {
    dir: PathBuf,
    child: Mutex<Option<Child>>,
    wire: Wire,
}

impl County {
    /// With petitions and regulations.
    pub(crate) fn demo() -> Self {
        Self::start(&[])
    }

    /// With units and accounts only.
    pub(crate) fn bare() -> Self {
        Self::start(&["--bare"])
    }

    /// The same in a folder of this choice, which is to be inside of one that the test removes.
    pub(crate) fn bare_in(dir: PathBuf) -> Self {
        Self::start_in(dir, &["--bare"])
    }

    /// Another machine, which is started with these words in a folder that the test removes.
    pub(crate) fn another(dir: PathBuf, words: &[&str]) -> Self {
        let (child, address) = launch(&[], &dir, words).unwrap();
        let wire = Wire::new(address, &dir.join("tls/certificate.pem"));
        Self { dir, child: Mutex::new(Some(child)), wire }
    }

    /// A county without administrators.
    pub(crate) fn fresh() -> Self {
        let dir = Self::place();
        let made = Command::new(JICENG).args(["init", "--county", "甲乙县", "--dir"]).arg(&dir).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::another(dir, &["serve"])
    }

    /// A county that is no demo, so that its passwords are costly, and a browser of its system administrator.
    pub(crate) fn answered() -> (Self, Person) {
        let account = |(login, role): (&str, &str)| {
            let about = format!("login = \"{login}\"\nname = \"{login}\"\nunit = \"办公室\"\nroles = [\"{role}\"]");
            format!("[[account]]\n{about}\npassword = \"{ANSWERED}\"\n")
        };
        let people = [("xitong", "sysadmin"), ("baomi", "secadmin"), ("shenji", "auditor")].map(account).concat();
        let dir = Self::place();
        let answers = dir.with_extension("toml");
        fs::write(&answers, format!("[[unit]]\nname = \"办公室\"\nkind = \"office\"\n{people}")).unwrap();
        let mut init = Command::new(JICENG);
        init.args(["init", "--county", "甲乙县", "--answers"]).arg(&answers);
        let made = init.arg("--dir").arg(&dir).output().unwrap();
        fs::remove_file(answers).unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let county = Self::another(dir, &["serve"]);
        let person = county.nobody();
        person.log_in_as("xitong", ANSWERED).expect(303);
        (county, person)
    }

    fn start(options: &[&str]) -> Self {
        Self::start_in(Self::place(), options)
    }

    fn place() -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("jiceng-house-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        std::env::temp_dir().join(name)
    }

    fn start_in(dir: PathBuf, options: &[&str]) -> Self {
        let (child, address) = launch(&[], &dir, &[&["demo"], options].concat()).unwrap();
        let wire = Wire::new(address, &dir.join("tls/certificate.pem"));
        Self { dir, child: Mutex::new(Some(child)), wire }
    }

    /// The data folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The connection of somebody who is nobody.
    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// A browser in which nobody is logged in.
    pub(crate) fn nobody(&self) -> Person {
        Person::new(self.wire.clone(), "")
    }

    /// A browser of somebody with a certificate, in which nobody is logged in.
    pub(crate) fn bearing(&self, login: &str, wire: Wire) -> Person {
        Person::new(wire, login)
    }

    /// The clerk of a unit, logged in.
    #[track_caller]
    pub(crate) fn clerk(&self, unit: &str) -> Person {
        self.person(login_of(unit))
    }

    /// The approver of a unit, logged in.
    #[track_caller]
    pub(crate) fn approver(&self, unit: &str) -> Person {
        self.person(&format!("{}-fz", login_of(unit)))
    }

    /// The one who may register and read everything.
    #[track_caller]
    pub(crate) fn demo_user(&self) -> Person {
        self.person("demo")
    }

    #[track_caller]
    pub(crate) fn auditor(&self) -> Person {
        self.person("auditor")
    }

    #[track_caller]
    pub(crate) fn sysadmin(&self) -> Person {
        self.person("sysadmin")
    }

    #[track_caller]
    pub(crate) fn secadmin(&self) -> Person {
        self.person("secadmin")
    }

    /// Whoever has this log-in.
    #[track_caller]
    pub(crate) fn person(&self, login: &str) -> Person {
        let person = Person::new(self.wire.clone(), login);
        person.log_in(PASSWORD).expect(303);
        person
    }

    /// Power is cut: the process gets no chance to do anything.
    pub(crate) fn kill_9(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The process crashes; whether it left a core.
    pub(crate) fn crash(&self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let mut child = self.child.lock().unwrap().take().unwrap();
        let crashed = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap();
        let end = child.wait().unwrap();
        assert!(crashed.success() && end.signal().is_some(), "{end}");
        end.core_dumped()
    }

    /// The process is asked to end, and does.
    pub(crate) fn terminate(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let asked = Command::new("kill").arg(child.id().to_string()).status().unwrap();
            assert!(asked.success() && child.wait().unwrap().success());
        }
    }

    /// The same folder is served again, at another port; sessions are gone.
    pub(crate) fn restart(&self) {
        self.start_again(&["demo"]);
    }

    /// The same, as a county that is served in earnest, with this configuration.
    pub(crate) fn restart_with(&self, config: &str) {
        let path = format!("{}.toml", self.dir.display());
        fs::write(&path, config).unwrap();
        self.start_again(&["serve", "--config", &path]);
    }

    /// The same, by a program that starts the server as its own process and meddles with it; what the server said when
    /// it did not start.
    pub(crate) fn restart_under(&self, program: &[&str]) -> Result<(), String> {
        self.kill_9();
        let (child, address) = launch(program, &self.dir, &["demo"])?;
        self.wire.moved(address);
        *self.child.lock().unwrap() = Some(child);
        Ok(())
    }

    fn start_again(&self, words: &[&str]) {
        self.kill_9();
        let (child, address) = launch(&[], &self.dir, words).unwrap();
        self.wire.moved(address);
        *self.child.lock().unwrap() = Some(child);
    }

    /// Waits until the process ends by itself; its exit code.
    pub(crate) fn ended(&self) -> Option<i32> {
        self.child.lock().unwrap().take().unwrap().wait().unwrap().code()
    }

    /// The number of the process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().unwrap().id()
    }

    /// The process is still there.
    pub(crate) fn is_alive(&self) -> bool {
        self.child.lock().unwrap().as_mut().is_some_and(|c| c.try_wait().unwrap().is_none())
    }

    /// What the process wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log_of(&self.dir)).unwrap()
    }

    /// Runs a command with `--dir` at its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(JICENG).args(arguments).arg("--dir").arg(&self.dir).output().unwrap()
    }

    /// The same with a line on standard input.
    pub(crate) fn cli_told(&self, arguments: &[&str], line: &str) -> Output {
        let mut command = Command::new(JICENG);
        command.args(arguments).arg("--dir").arg(&self.dir);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs a command that needs no data folder.
    pub(crate) fn cli_alone(&self, arguments: &[&str]) -> Output {
        Command::new(JICENG).args(arguments).output().unwrap()
    }

    /// Stops the test unless the folder passes both checks.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        for check in [&["audit", "verify"][..], &["doctor"]] {
            let out = self.cli(check);
            let said =
                format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            assert!(out.status.success(), "{check:?}: {said}");
        }
    }

    /// Number of the newest journal entry and its hash.
    pub(crate) fn head(&self) -> String {
        let out = self.cli(&["audit", "verify"]);
        String::from_utf8_lossy(&out.stdout).lines().last().unwrap_or_default().to_owned()
    }

    /// Names of files below a folder of the data folder.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        files_below(&self.dir.join(folder))
    }
}

impl Drop for County {
    fn drop(&mut self) {
        self.kill_9();
        let _gone = fs::remove_dir_all(&self.dir);
        for path in beside(&self.dir) {
            let _gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// All files below a folder; none when there is no folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|e| e.unwrap().path());
    paths.flat_map(|p| if p.is_dir() { files_below(&p) } else { vec![p] }).collect()
}

/// What lies beside a data folder and has its name: key files, the log, media of a test.
pub(crate) fn beside(dir: &Path) -> Vec<PathBuf> {
    let stem = format!("{}.", dir.file_name().unwrap().to_string_lossy());
    let entries = fs::read_dir(dir.parent().unwrap()).unwrap().filter_map(Result::ok);
    entries.filter(|e| e.file_name().to_string_lossy().starts_with(&stem)).map(|e| e.path()).collect()
}

/// The year of the clock, as register numbers have it.
pub(crate) fn year() -> i16 {
    SystemClock.now().year()
}

fn login_of(unit: &str) -> &'static str {
    UNITS.iter().find(|(name, _)| *name == unit).unwrap_or_else(|| panic!("no unit {unit}")).1
}

fn log_of(dir: &Path) -> PathBuf {
    PathBuf::from(format!("{}.log", dir.display()))
}

fn launch(under: &[&str], dir: &Path, words: &[&str]) -> Result<(Child, std::net::SocketAddr), String> {
    let log = fs::File::options().create(true).append(true).open(log_of(dir)).unwrap();
    let line = [under, &[JICENG], words].concat();
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .args(["--listen", "127.0.0.1:0", "--dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address =
        lines.map_while(Result::ok).find_map(|l| l.strip_prefix("请打开 https://").map(str::to_owned));
    let Some(address) = address else {
        let _ended = child.wait();
        return Err(format!("the server did not start: {}", fs::read_to_string(log_of(dir)).unwrap_or_default()));
    };
    Ok((child, address.parse().unwrap()))
}

/// A person at a browser.
pub(crate) struct Person {
    wire: Wire,
    pub login: String,
    cookies: Mutex<BTreeMap<String, String>>,
    token: Mutex<String>,
}

impl Person {
    fn new(wire: Wire, login: &str) -> Self {
        let (cookies, token) = (Mutex::default(), Mutex::default());
        Self { wire, login: login.to_owned(), cookies, token }
    }

    /// Another tab of the same browser, with the cookies of this moment.
    pub(crate) fn tab(&self) -> Self {
        let tab = Self::new(self.wire.clone(), &self.login);
        *tab.cookies.lock().unwrap() = self.cookies.lock().unwrap().clone();
        *tab.token.lock().unwrap() = self.token.lock().unwrap().clone();
        tab
    }

    /// Types name and password, and goes where that leads.
    pub(crate) fn log_in(&self, password: &str) -> Answer {
        self.log_in_as(&self.login, password)
    }

    /// The same with another name in this browser.
    pub(crate) fn log_in_as(&self, login: &str, password: &str) -> Answer {
        let answer = self.post_form("/login", &[("login", login), ("password", password)]);
        if answer.status == 303 && answer.location() == "/" {
            let first = self.get("/");
            if first.status == 303 {
                self.get(first.location());
            }
        }
        answer
    }

    /// A cookie of this browser.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Drops a cookie.
    pub(crate) fn forget(&self, name: &str) {
        self.cookies.lock().unwrap().remove(name);
    }

    /// The token of the last page.
    pub(crate) fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    /// A page.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).unwrap()
    }

    /// A short form, with the token of the last page.
    #[track_caller]
    pub(crate) fn post_form(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let mut all: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        all.push(("csrf".to_owned(), self.token()));
        let request =
            self.own("POST", path).body("application/x-www-form-urlencoded", wire::urlencoded(&all));
        self.send(request).unwrap()
    }

    /// A form of a page.
    #[track_caller]
    pub(crate) fn submit(&self, form: &Form) -> Answer {
        self.try_submit(form).unwrap()
    }

    /// The same where the server may be gone.
    pub(crate) fn try_submit(&self, form: &Form) -> io::Result<Answer> {
        let mut pairs = form.pairs.clone();
        // Whoever sits here types their own password where a form asks for it once more.
        for (_, own) in pairs.iter_mut().filter(|(name, own)| name == OWN.0 && own.is_empty()) {
            OWN.1.clone_into(own);
        }
        let (kind, body) = if form.multipart {
            wire::multipart(&pairs, &form.files)
        } else {
            ("application/x-www-form-urlencoded".to_owned(), wire::urlencoded(&pairs))
        };
        self.send(self.own("POST", &form.action).body(&kind, body))
    }

    /// The form of a page.
    #[track_caller]
    pub(crate) fn form(&self, path: &str) -> Form {
        Form::of(&self.get(path).expect(200))
    }

    /// The sheet of keys, after its question who is there.
    #[track_caller]
    pub(crate) fn key_sheet(&self) -> Answer {
        self.get("/backup/keys").expect(200);
        self.post_form("/backup/keys", &[OWN]).expect(303);
        self.get("/backup/keys").expect(200)
    }

    /// Registers a petition; its path.
    #[track_caller]
    pub(crate) fn register(&self, pairs: &[(&str, &str)]) -> String {
        let form = self.form("/petition/new").fill(PETITION).fill(pairs);
        path_of(&self.submit(&form).expect(303))
    }

    /// Asks the search page; the page of results.
    #[track_caller]
    pub(crate) fn search(&self, text: &str) -> Answer {
        let asked = self.post_form("/search", &[("text", text)]).expect(303);
        assert!(asked.location().starts_with("/search/"), "{}", asked.location());
        self.get(asked.location()).expect(200)
    }

    /// A request as a page of ours makes it.
    pub(crate) fn own(&self, method: &'static str, path: &str) -> Request {
        let origin = format!("https://{}", self.wire.host());
        self.request(method, path).header("origin", &origin).header("sec-fetch-site", "same-origin")
    }

    /// A request with the cookies and nothing else.
    pub(crate) fn request(&self, method: &'static str, path: &str) -> Request {
        let jar = self.cookies.lock().unwrap();
        let all: Vec<String> = jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let request = Request::new(method, path);
        if all.is_empty() { request } else { request.header("cookie", &all.join("; ")) }
    }

    /// Sends a request; keeps cookies and the token of what comes back.
    pub(crate) fn send(&self, request: Request) -> io::Result<Answer> {
        let answer = self.wire.send(&request)?;
        for (_, cookie) in answer.headers.iter().filter(|(n, _)| n == "set-cookie") {
            let (name, value) = cookie.split(';').next().and_then(|c| c.split_once('=')).unwrap();
            let mut jar = self.cookies.lock().unwrap();
            if cookie.contains("Max-Age=0") {
                jar.remove(name)
            } else {
                jar.insert(name.into(), value.into())
            };
        }
        if answer.header("content-type").starts_with("text/html")
            && let Some(tag) = answer.text().split("<input").find(|t| t.contains("name=\"csrf\""))
        {
            *self.token.lock().unwrap() = attribute(tag, "value").unwrap_or_default();
        }
        Ok(answer)
    }
}

/// What proves once more who somebody is, in forms that ask for it.
pub(crate) const OWN: (&str, &str) = ("own.password", PASSWORD);

/// A petition that can be saved.
pub(crate) const PETITION: &[(&str, &str)] = &[
    ("title", "反映某村会计虚报补贴"),
    ("text", "来信反映某村会计在发放补贴时多报户数，请予调查。"),
    ("accused.0.name", "测某某"),
    ("accused.0.rank", "village"),
];

/// Where the record lies that a redirect leads to.
#[track_caller]
pub(crate) fn path_of(answer: &Answer) -> String {
    let path = answer.location().split('?').next().unwrap_or_default().to_owned();
    assert!(
        ["petition", "account", "regulation", "handover"].iter().any(|kind| path.starts_with(&format!("/{kind}/"))),
        "{path}"
    );
    path
}
