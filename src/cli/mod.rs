//! The command line. Commands that need the data folder run inside the server while one is running (through the control
//! socket), and open the folder themselves otherwise; either way it is the same code with the same output.
//!
//! Exit codes: 0 ran, 1 refused or failed, 2 usage, 3 data is damaged, 4 the disk failed under a server. stdout holds
//! results only; notes go to stderr.

mod backup;
mod check;
mod control;
mod foreign;
mod import;
mod key;
mod output;
mod search;
mod serve;
mod setup;
mod ship;
mod succession;
mod standby;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use zeroize::Zeroize;

use crate::app::login::Typed;
use crate::app::{Actor, App};
use crate::base::clock::SystemClock;
use crate::base::{Error, ErrorKind, Result};
use output::Out;

/// 检举举报平台基层版：信访、线索、案件、公文与检索，一个程序，一个数据目录。
#[derive(Debug, Parser)]
#[command(name = "jiceng", version, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 建立虚构的演示县并启动服务
    Demo(serve::DemoArgs),
    /// 建立新的数据目录，打印初始化链接
    Init(setup::InitArgs),
    /// 重新生成一次性初始化链接
    SetupLink(Folder),
    /// 另外两名管理员都不能办理时，在服务器上更换三员之一；所有页面公告 7 天，不能关闭
    ReplaceAdministrator(succession::ReplaceArgs),
    /// 启动 HTTPS 服务
    Serve(serve::ServeArgs),
    /// 导入信访件或法律法规（JSONL）
    Import(import::ImportArgs),
    /// 全文检索
    Search(search::SearchArgs),
    /// 备份：生成密钥、备份、列出、核验、恢复
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// 审计：核验日志链
    #[command(subcommand)]
    Audit(check::AuditCommand),
    /// 密钥槽：列出、增加、删除；轮换密钥
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// 解锁正在等待解锁的服务（口令或恢复密钥）
    Unlock(key::UnlockArgs),
    /// 重建派生表和检索索引
    Reindex(Folder),
    /// 检查数据、密钥、备份、磁盘
    Doctor(check::DoctorArgs),
    /// 异地传送：把备份和变更段送到挂载盘或对象存储，或取回（独立进程，不需要数据目录和密钥）
    Ship(ship::ShipArgs),
    /// 备机：跟随主机的异地副本，只读服务；主机坏了由它接替
    Standby(standby::StandbyArgs),
    /// 由服务启动：在受限的进程中读取一个外来文件
    #[command(hide = true)]
    ReadForeign(foreign::ReadArgs),
    /// （内部使用）识别图片文字
    #[command(hide = true)]
    RunOcr(foreign::OcrArgs),
}

/// A command that needs nothing but the folder.
#[derive(Debug, Args)]
struct Folder {
    /// 数据目录
    #[arg(long)]
    dir: PathBuf,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    keep_memory();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(e) => e.exit(),
    };
    let mut out = output::Console::default();
    let outcome = run(line.command, &arguments, &mut out);
    ExitCode::from(report(outcome, &mut out))
}

/// Between a server and who asked it: the command comes again with a code. No process leaves with it.
const CODE_ASKED: u8 = 10;

/// Turns an outcome into an exit code, saying why on stderr.
fn report(outcome: Result<()>, out: &mut dyn Out) -> u8 {
    let Err(error) = outcome else { return 0 };
    out.err(error.public());
    if !error.detail().is_empty() {
        out.err(&format!("（{}）", error.detail()));
    }
    error.exit_code()
}

/// Commands that own the process run here; the others go to wherever the data folder is open.
fn run(command: Command, arguments: &[OsString], out: &mut dyn Out) -> Result<()> {
    match command {
        Command::Demo(args) => serve::demo(&args, out),
        Command::Init(args) => setup::init(&args, out),
        Command::Serve(args) => serve::serve(&args, out),
        Command::ReadForeign(args) => foreign::read(args),
        Command::RunOcr(args) => foreign::ocr(&args),
        Command::Ship(args) => ship::run(args, out),
        Command::Standby(args) if !args.runs_on_store() => standby::run(&args, arguments, out),
        Command::Unlock(args) => {
            let secret = Secrets::of_unlock(&args)?;
            control::ask(&args.dir, arguments, &secret, out)
        }
        Command::Backup(command) if command.dir().is_none() => backup::without_store(command, out),
        Command::Audit(check::AuditCommand::Verify(args)) if args.no_key => check::audit_without_key(&args, out),
        command => {
            let dir = folder(&command).ok_or_else(|| Error::usage("请用 --dir 指定数据目录。"))?.to_owned();
            let mut secret = Secrets::gather(&command)?;
            drop_to_owner(&dir)?;
            match App::open(&dir, Arc::new(SystemClock)) {
                Err(e) if e.kind() == ErrorKind::Busy => {
                    with_code(&mut secret, |secret| control::ask(&dir, arguments, secret, out))
                }
                Err(e) => Err(e),
                Ok(app) => with_code(&mut secret, |secret| {
                    let line = Line::try_parse_from(arguments).map_err(|e| Error::usage(e.to_string()))?;
                    with_store(line.command, &app, secret, out)
                }),
            }
        }
    }
}

/// Runs a command; where the account turns out to have a second factor, asks for its code and runs it again. Nothing
/// was done the first time: who somebody is comes before everything else.
fn with_code(secret: &mut Secrets, mut run: impl FnMut(&Secrets) -> Result<()>) -> Result<()> {
    match run(secret) {
        Err(e) if e.kind() == ErrorKind::Code => {
            secret.ask_code()?;
            run(secret)
        }
        done => done,
    }
}

/// What the person at the console typed for a command, which travels with it.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
struct Secrets {
    password: Option<String>,
    code: Option<String>,
    input: Option<String>,
    folder: PathBuf,
}

impl Secrets {
    fn gather(command: &Command) -> Result<Self> {
        if let Command::Key(command) = command {
            return Self::with(command.ask()?, None);
        }
        let (login, input) = match command {
            Command::Import(args) => (args.login.as_deref(), false),
            Command::Search(args) => (args.login.as_deref(), args.reads_stdin()),
            Command::Standby(args) => (args.login(), false),
            _ => (None, false),
        };
        let password = login.map(output::ask_password).transpose()?;
        let input = match command {
            Command::Backup(command) => command.prepare()?,
            Command::Audit(check::AuditCommand::Verify(args)) => args.prepare()?,
            _ => input.then(|| std::io::read_to_string(std::io::stdin())).transpose()?,
        };
        Self::with(password, input)
    }

    fn of_unlock(args: &key::UnlockArgs) -> Result<Self> {
        let (password, input) = args.ask()?;
        Self::with(password, input)
    }

    fn with(password: Option<String>, input: Option<String>) -> Result<Self> {
        Ok(Self { password, code: None, input, folder: std::env::current_dir()? })
    }

    /// Asks for the code of the account's second factor: at the terminal, or as the line behind the password.
    fn ask_code(&mut self) -> Result<()> {
        let code = match self.input.clone().filter(|_| !output::is_terminal()) {
            Some(input) => {
                let (code, rest) = input.split_once('\n').unwrap_or((&input, ""));
                self.input = Some(rest.to_owned());
                code.trim().to_owned()
            }
            None => output::ask_code()?,
        };
        self.code = Some(code);
        Ok(())
    }

    /// A path of the command as its caller meant it.
    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.password.zeroize();
        self.code.zeroize();
        self.input.zeroize();
    }
}

/// Commands that work on an open data folder, in this process or in the server's.
fn with_store(command: Command, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    match command {
        Command::Import(args) => import::run(&args, app, secret, out),
        Command::Search(args) => search::run(&args, app, secret, out),
        Command::Backup(command) => backup::with_store(command, app, secret, out),
        Command::Audit(check::AuditCommand::Verify(args)) => check::audit(&args, app, secret, out),
        Command::Reindex(_) => check::reindex(app, out),
        Command::Doctor(args) => check::doctor(&args, app, out),
        Command::SetupLink(_) => setup::link(app, out),
        Command::ReplaceAdministrator(args) => succession::replace(args, app, out),
        Command::Key(command) => key::run(&command, app, secret, out),
        Command::Unlock(_) => {
            out.out("数据已经解锁。");
            Ok(())
        }
        Command::Standby(args) => standby::with_store(&args, app, secret, out),
        Command::Demo(_)
        | Command::Init(_)
        | Command::Serve(_)
        | Command::Ship(_)
        | Command::ReadForeign(_)
        | Command::RunOcr(_) => {
            Err(Error::usage("这个命令要单独运行。"))
        }
    }
}

fn folder(command: &Command) -> Option<&Path> {
    match command {
        Command::Import(args) => Some(&args.dir),
        Command::Search(args) => Some(&args.dir),
        Command::Backup(command) => command.dir(),
        Command::Key(command) => Some(command.dir()),
        Command::Unlock(args) => Some(&args.dir),
        Command::Audit(check::AuditCommand::Verify(args)) => Some(&args.dir),
        Command::Doctor(args) => Some(&args.dir),
        Command::ReplaceAdministrator(args) => Some(&args.dir),
        Command::Reindex(f) | Command::SetupLink(f) => Some(&f.dir),
        Command::Standby(args) => args.command.as_ref().map(standby::StandbyCommand::dir),
        Command::Demo(_) | Command::Init(_) | Command::Serve(_) | Command::Ship(_) => None,
        Command::ReadForeign(_) | Command::RunOcr(_) => None,
    }
}

/// Whoever a command acts for: a named account by its password, or in demo stores the one that may do everything.
fn actor(app: &App, login: Option<&str>, secret: &Secrets) -> Result<Actor> {
    match (login, &secret.password) {
        (Some(login), Some(password)) => {
            app.console_actor(login, &Typed { password: password.clone(), code: secret.code.clone() })
        }
        (Some(login), None) => app.demo_actor(login),
        (None, _) => app.demo_actor(crate::app::demo::EVERYTHING),
    }
}

/// Root becomes the owner of the data folder before it opens anything in it.
fn drop_to_owner(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(dir) else { return Ok(()) };
    if !nix::unistd::geteuid().is_root() || meta.uid() == 0 {
        return Ok(());
    }
    let failed = |e: nix::Error| Error::new(ErrorKind::Io, "不能切换到数据目录属主的身份。").with_detail(e);
    let (uid, gid) = (nix::unistd::Uid::from_raw(meta.uid()), nix::unistd::Gid::from_raw(meta.gid()));
    nix::unistd::setgroups(&[gid]).map_err(failed)?;
    nix::unistd::setgid(gid).map_err(failed)?;
    nix::unistd::setuid(uid).map_err(failed)?;
    // Another user's process would be dumped again.
    keep_memory();
    Ok(())
}

/// Keys and what people typed stay out of core dumps and debuggers. Where it is not allowed, the work is done all the
/// same.
fn keep_memory() {
    let _refused = nix::sys::prctl::set_dumpable(false);
    let _refused = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
}
