//! The control socket: while a server holds the data folder, commands run inside it. A request is one JSON line, the
//! answer a JSON line for each line of output and one for the exit code. Only the owner of the folder and root connect.
//! While the data is not unlocked, the one command that runs is `unlock`.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::Parser;
use nix::errno::Errno;
use nix::sys::socket::{self, MsgFlags};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use zeroize::Zeroizing;

use super::output::Out;
use super::standby::{Seat, StandbyArgs, StandbyCommand::Promote};
use super::{Command, Line, Secrets, key};
use crate::app::App;
use crate::app::unlock::Sealed;
use crate::base::{Error, ErrorKind, Result, background};

const SEALED: &str = "数据尚未解锁，命令没有执行。请在解锁页输入口令，或运行 jiceng unlock。";
const CHANGING: &str = "备机正在更换数据，命令没有执行。请过一会儿再试。";
const SOCKET: &str = "control.sock";
/// Longest path of a socket that every system takes, in bytes.
const SOCKET_PATH: usize = 100;

/// What stands behind the socket.
#[derive(Clone)]
pub(super) enum Door {
    /// Open data.
    Open(Arc<App>),
    /// Data that was not open at the start.
    Sealed(Arc<Sealed>),
    /// A standby, whose data changes places.
    Standby(Arc<Seat>),
}

impl Door {
    /// The application, once there is one.
    pub(super) fn app(&self) -> Option<Arc<App>> {
        match self {
            Self::Open(app) => Some(Arc::clone(app)),
            Self::Sealed(sealed) => sealed.app(),
            Self::Standby(seat) => seat.app(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Request {
    arguments: Vec<String>,
    secret: Secrets,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Out(String),
    Err(String),
    Exit(u8),
}

/// Runs a command inside the server of a data folder; leaves with its exit code.
pub(super) fn ask(dir: &Path, arguments: &[OsString], secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let busy = || {
        Error::new(ErrorKind::Busy, "连接不上使用这个数据目录的服务。请确认 jiceng serve 正在运行，或等别的命令结束后再试。")
    };
    let (path, _folder) = address(dir).map_err(|_| busy())?;
    let mut stream = UnixStream::connect(path).map_err(|_| busy())?;
    let arguments = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let request = Request { arguments, secret: secret.clone() };
    let request = Zeroizing::new(serde_json::to_string(&request).map_err(Error::internal)?);
    writeln!(stream, "{}", *request)?;
    for line in BufReader::new(stream).lines() {
        match serde_json::from_str(&line?).map_err(Error::internal)? {
            Answer::Out(line) => out.out(&line),
            Answer::Err(line) => out.err(&line),
            Answer::Exit(0) => return Ok(()),
            Answer::Exit(super::CODE_ASKED) => return Err(Error::new(ErrorKind::Code, String::new())),
            Answer::Exit(code) => std::process::exit(code.into()),
        }
    }
    Err(Error::new(ErrorKind::Busy, "服务在命令执行中停止了，结果不明。请检查后重试。"))
}

/// Opens the socket; replaces one that an earlier process left behind (the folder's lock says it is gone).
pub(super) fn listen(dir: &Path) -> Result<UnixListener> {
    let file = dir.join(SOCKET);
    if file.exists() {
        std::fs::remove_file(&file)?;
    }
    let (path, _folder) = address(dir)?;
    Ok(UnixListener::bind(path)?)
}

/// Answers requests until the listener is dropped.
pub(super) async fn answer(door: Door, listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let allowed = stream.peer_cred().is_ok_and(|c| c.uid() == 0 || c.uid() == nix::unistd::getuid().as_raw());
        let Ok(stream) = stream.into_std() else { continue };
        let door = door.clone();
        if allowed && stream.set_nonblocking(false).is_ok() {
            // It steps back for pages: a backup, an import or a rotation takes its time.
            let work = move || background("command", move || one(&door, stream)).map(JoinHandle::join);
            tokio::task::spawn_blocking(work);
        }
    }
}

fn one(door: &Door, stream: UnixStream) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut line = Zeroizing::new(String::new());
    if BufReader::new(reading).read_line(&mut line).is_err() {
        return;
    }
    let mut out = Remote(stream);
    let outcome = serde_json::from_str::<Request>(&line).map_err(Error::internal).and_then(|request| {
        let parsed = Line::try_parse_from(&request.arguments).map_err(|e| Error::usage(e.to_string()))?;
        match (door, door.app(), parsed.command) {
            (Door::Standby(seat), Some(_), Command::Standby(StandbyArgs { command: Some(Promote(args)), .. })) => {
                seat.promote(&args, &request.secret, &mut out)
            }
            (Door::Standby(_), None, _) => Err(Error::new(ErrorKind::Busy, CHANGING)),
            (_, Some(app), command) => super::with_store(command, &app, &request.secret, &mut out),
            (Door::Sealed(sealed), None, Command::Unlock(_)) => key::unlock(sealed, &request.secret, &mut out),
            _ => Err(Error::new(ErrorKind::Denied, SEALED)),
        }
    });
    let code = match outcome {
        Err(e) if e.kind() == ErrorKind::Code => super::CODE_ASKED,
        outcome => super::report(outcome, &mut out),
    };
    out.send(&Answer::Exit(code));
}

struct Remote(UnixStream);

impl Remote {
    fn send(&mut self, answer: &Answer) {
        if let Ok(line) = serde_json::to_string(answer) {
            // Whoever asked may have gone away; a command that minds asks `is_gone`, others run to their end.
            let _gone = writeln!(self.0, "{line}");
        }
    }
}

impl Out for Remote {
    fn out(&mut self, line: &str) {
        self.send(&Answer::Out(line.to_owned()));
    }

    fn err(&mut self, line: &str) {
        self.send(&Answer::Err(line.to_owned()));
    }

    fn is_gone(&self) -> bool {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        // Nothing comes after the request: silence is patience, all else the end of the process that asked.
        !matches!(socket::recv(self.0.as_raw_fd(), &mut [0], peek), Err(Errno::EAGAIN))
    }
}

/// The address of the socket; where the path is too long for one, through an open handle of the folder.
fn address(dir: &Path) -> Result<(PathBuf, Option<std::fs::File>)> {
    let plain = dir.canonicalize()?.join(SOCKET);
    if plain.as_os_str().len() <= SOCKET_PATH {
        return Ok((plain, None));
    }
    let folder = std::fs::File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()));
    Ok((path, Some(folder)))
}
