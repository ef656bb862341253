//! `serve` and `demo`: the long-running commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use super::control::{self, Door};
use super::output::Out;
use crate::app::unlock::Start;
use crate::app::{App, Failure, attached, audit, demo, offsite, runner, scrub};
use crate::base::clock::SystemClock;
use crate::base::config::Config;
use crate::base::{Clock, Error, ErrorKind, Result, limits};
use crate::web::certificate::{self, Certificate};
use crate::web::{sealed, server};

/// Where the server listens when nothing else is said.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8443);

/// Exit code of a server under which the disk failed.
const DISK_FAILED: i32 = 4;
/// How long the last answers may take to leave then.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// 数据目录
    #[arg(long)]
    dir: PathBuf,
    /// 监听地址和端口，默认 127.0.0.1:8443
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// 配置文件（TOML）：listen、[tls] certificate 和 key、[backup] roots、[offsite] spool、[unlock] addresses、syslog
    #[arg(long)]
    config: Option<PathBuf>,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// 演示数据目录；已有的会接着用
    #[arg(long, default_value = "jiceng-demo")]
    dir: PathBuf,
    /// 监听地址和端口
    #[arg(long, default_value_t = LISTEN)]
    listen: SocketAddr,
    /// 只建数据，不启动服务
    #[arg(long)]
    no_serve: bool,
    /// 只建机构和账户
    #[arg(long)]
    bare: bool,
}

/// Serves an existing data folder; waits for somebody where no key opens it.
pub(super) fn serve(args: &ServeArgs, out: &mut dyn Out) -> Result<()> {
    let config = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    super::drop_to_owner(&args.dir)?;
    let listen = args.listen.or(config.listen).unwrap_or(LISTEN);
    match App::open_or_wait(&args.dir, Arc::new(SystemClock))? {
        Start::Open(app) => {
            if !app.is_ready()? {
                out.err("尚未初始化。请另开终端运行 jiceng setup-link 取得初始化链接。");
            }
            run(&Door::Open(app), listen, &config, out)
        }
        Start::Sealed(sealed) => {
            out.err("没有密钥槽能自动打开数据，等待解锁：请在解锁页输入口令，或运行 jiceng unlock。");
            run(&Door::Sealed(sealed), listen, &config, out)
        }
    }
}

/// Makes the demo county, or takes the one that is there, and serves it.
pub(super) fn demo(args: &DemoArgs, out: &mut dyn Out) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let app = if args.dir.join(crate::store::DATABASE_FILE).exists() {
        let app = App::open(&args.dir, clock)?;
        if !app.facts().demo {
            return Err(Error::invalid(format!("{} 不是演示数据，未作任何改动。", args.dir.display())));
        }
        app
    } else {
        out.err(&format!("正在建立演示县（{}）……", demo::COUNTY));
        demo::create(&args.dir, clock, args.bare)?
    };
    out.out(&format!("演示数据目录：{}", args.dir.display()));
    out.out(&format!("登录名 {}，口令 {}（其他账户见“账户”，口令相同）", demo::EVERYTHING, demo::PASSWORD));
    if args.no_serve {
        return app.wait_for_index();
    }
    run(&Door::Open(app), args.listen, &Config::default(), out)
}

fn run(door: &Door, listen: SocketAddr, config: &Config, out: &mut dyn Out) -> Result<()> {
    let (dir, now) = match door {
        Door::Open(app) => (app.dir().to_owned(), app.now()),
        Door::Sealed(sealed) => (sealed.dir().to_owned(), sealed.now()),
        Door::Standby(_) => return Err(Error::internal("a standby is served by its own command")),
    };
    let certificate = certificate::load(&dir, config.tls.as_ref(), now)?;
    start_log();
    runtime()?.block_on(async {
        let listener = bind(listen).await?;
        let address = listener.local_addr()?;
        note_address(&dir, address)?;
        note_fingerprint(&dir, &certificate)?;
        let commands = tokio::spawn(control::answer(door.clone(), control::listen(&dir)?));
        // Whoever reads the address may ask at once.
        let end = asked_to_end();
        tokio::pin!(end);
        out.out(&format!("请打开 https://{address}"));
        out.err(&format!("证书指纹（SHA-256）：{}", certificate.fingerprint));
        let served = faces(door, &listener, (&certificate, config), (&mut end, out)).await;
        commands.abort();
        served
    })
}

/// What a server runs on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    make_room();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let threads = limits::WORKERS + limits::ARGON_AT_ONCE + limits::ARGON_WAITING;
    Ok(builder.enable_all().max_blocking_threads(threads).build()?)
}

/// Open files for as many connections as are let in, as far as the system allows.
fn make_room() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _refused = setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(limits::OPEN_FILES)), hard);
    }
}

/// Listens on an address.
pub(super) async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).await.map_err(|e| {
        let text = format!("不能监听 {listen}：端口被占用或没有权限。请用 --listen 换一个地址。");
        Error::new(ErrorKind::Io, text).with_detail(e)
    })
}

/// One face after the other: the unlock page while nothing else can be served, then everything.
async fn faces(
    door: &Door,
    listener: &TcpListener,
    (certificate, config): (&Certificate, &Config),
    (end, out): (&mut (impl Future<Output = ()> + Unpin), &mut dyn Out),
) -> Result<()> {
    if let Door::Sealed(sealed) = door {
        let face = sealed::face(sealed, config.unlock.addresses.clone());
        let mut ended = false;
        let opened = async { tokio::select! { () = sealed.opened() => {} () = &mut *end => ended = true } };
        server::serve(&face, listener, certificate, opened).await?;
        if ended {
            return Ok(());
        }
    }
    let Some(app) = door.app() else { return Ok(()) };
    if app.is_standby() {
        return Err(Error::invalid(format!(
            "{} 是备机的数据目录。请运行 jiceng standby --dir {0}；要由它接替主机，请运行 jiceng standby promote --dir {0}。",
            app.dir().display()
        )));
    }
    working(&app, listener, (certificate, config), (end, out)).await
}

/// Serves open data, with everything that goes on beside it, until the end.
pub(super) async fn working(
    app: &Arc<App>,
    listener: &TcpListener,
    (certificate, config): (&Certificate, &Config),
    (end, out): (&mut (impl Future<Output = ()> + Unpin), &mut dyn Out),
) -> Result<()> {
    app.on_failure(end_soon);
    app.keep_reserve();
    if let Some(halt) = app.halted() {
        out.err(&halt.text());
    }
    app.allow_backup_roots(config.backup.roots.clone());
    let _backups = runner::Thread::start(app)?;
    let _scrubs = scrub::Thread::start(app)?;
    let _attached = attached::Thread::start(app)?;
    let _watch = audit::syslog::Thread::start(app, config.syslog.as_deref())?;
    let _offsite = start_offsite(app, config, out);
    app.resume_rotation()?;
    let warmed = Arc::clone(app);
    drop(tokio::task::spawn_blocking(move || warmed.warm_up()));
    server::serve(&server::face(app), listener, certificate, end).await
}

/// A spool that cannot be used keeps nobody from working; administrators are told until it can.
fn start_offsite(app: &Arc<App>, config: &Config, out: &mut dyn Out) -> Option<offsite::Thread> {
    let started = offsite::Thread::start(app, config.offsite.as_ref()?);
    started.inspect_err(|e| out.err(e.public())).ok()
}

/// The disk failed under the store: the process ends once the answers had time to leave, and whoever watches it starts
/// it anew on what is durable.
pub(super) fn end_soon(failure: Failure) {
    let Failure { code, .. } = failure;
    let next = if failure.is_full() { "the disk is full" } else { "the next start takes no changes" };
    tracing::error!("the disk refused an operation on the store (os error {code}); the process ends, {next}");
    let end = || {
        std::thread::sleep(LAST_ANSWERS);
        std::process::exit(DISK_FAILED)
    };
    if std::thread::Builder::new().name("end".into()).spawn(end).is_err() {
        std::process::exit(DISK_FAILED);
    }
}

/// Where the set-up link must point, for whoever prints it.
pub(super) fn note_address(dir: &Path, address: SocketAddr) -> Result<()> {
    Ok(std::fs::write(dir.join(super::setup::ADDRESS_FILE), address.to_string())?)
}

/// What whoever opens the link should see in the browser, for whoever prints it.
fn note_fingerprint(dir: &Path, certificate: &Certificate) -> Result<()> {
    Ok(std::fs::write(dir.join(super::setup::FINGERPRINT_FILE), &certificate.fingerprint)?)
}

/// Resolves when the process is asked to end, also when that was before anybody waits for it.
pub(super) fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (term, int) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut term), Ok(mut int)) = (term, int) else { return };
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
    }
}

/// Warnings and errors go to stderr, where the service manager keeps them; they hold no content.
pub(super) fn start_log() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN);
    let _already = log.with_ansi(false).try_init();
}
