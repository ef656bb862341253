//! The programs a story in the browser needs: the driver, and a running `jiceng` with a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::say;

pub(super) const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// A program that ends with its owner.
pub(super) struct Program(pub(super) Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

impl Program {
    /// Starts it and reads what it says until a line holds `mark`; gives what follows the mark.
    pub(super) fn start(command: &mut Command, mark: &str) -> (Self, String) {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut program = Self(child.unwrap_or_else(|e| panic!("{command:?}: {e}")));
        let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
        let rest =
            lines.by_ref().find_map(|line| line.unwrap().split_once(mark).map(|(_, rest)| rest.to_owned()));
        // Whoever speaks to a closed pipe dies of it.
        std::thread::spawn(move || lines.for_each(drop));
        (program, rest.unwrap_or_else(|| panic!("{command:?} never said {mark}")))
    }
}

pub(super) struct Driver {
    pub(super) port: u16,
    _program: Program,
}

/// The driver; none where there is no browser and that is known.
pub(super) fn driver() -> Option<Driver> {
    if let Some(missing) = [CHROMIUM, DRIVER].into_iter().find(|p| !Path::new(p).exists()) {
        let known = std::env::var_os("JICENG_NO_BROWSER").is_some_and(|v| v == "1");
        assert!(known, "{missing} is missing: apt-get install chromium chromium-driver fonts-noto-cjk");
        say(&format!("skipped: {missing} is missing"));
        return None;
    }
    let (program, rest) = Program::start(Command::new(DRIVER).arg("--port=0"), "successfully on port ");
    let port = rest.trim_end_matches('.').parse().unwrap();
    Some(Driver { port, _program: program })
}

/// A running `jiceng` with a folder of its own.
pub(super) struct Site {
    pub(super) address: String,
    pub(super) program: Program,
    pub(super) home: TempDir,
}

impl Site {
    /// The demo county.
    pub(super) fn demo(options: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (program, address) = serve(Self::jiceng("demo", home.path()).args(options));
        Self { address, program, home }
    }

    /// A county not set up yet, whose backups may go beside its folder, and where its set-up begins.
    pub(super) fn fresh() -> (Self, String) {
        let home = tempfile::tempdir().unwrap();
        let made = Self::jiceng("init", home.path()).args(["--county", "测试县"]).output().unwrap();
        let link = String::from_utf8(made.stdout).unwrap();
        let path = link.trim().split_once("/setup/").unwrap_or_else(|| panic!("no link: {link}")).1;
        let config = home.path().join("config.toml");
        std::fs::write(&config, format!("[backup]\nroots = [{:?}]\n", home.path().display().to_string())).unwrap();
        let (program, address) = serve(Self::jiceng("serve", home.path()).arg("--config").arg(&config));
        (Self { address, program, home }, format!("/setup/{path}"))
    }

    fn jiceng(command: &str, home: &Path) -> Command {
        let mut jiceng = Command::new(env!("CARGO_BIN_EXE_jiceng"));
        jiceng.arg(command).arg("--dir").arg(home.join("county"));
        jiceng
    }
}

fn serve(command: &mut Command) -> (Program, String) {
    Program::start(command.args(["--listen", "127.0.0.1:0"]), "请打开 ")
}
