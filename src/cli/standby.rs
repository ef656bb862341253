//! `standby`: a second machine that follows the first by way of a target, serves read-only pages, and takes over.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::control::{self, Door};
use super::output::{self, Out};
use super::serve::{self, LISTEN};
use super::{Secrets, drop_to_owner};
use crate::app::App;
use crate::app::access::local_doer;
use crate::backup::{self, KeyFile, standby::Following};
use crate::base::clock::SystemClock;
use crate::base::config::Config;
use crate::base::{Clock, Error, ErrorKind, Result, limits};
use crate::ship::standby::{Standby, change_over, clear_leftovers, found};
use crate::ship::{self, Remote, watch};
use crate::store::DATABASE_FILE;
use crate::web::certificate::{self, Certificate};
use crate::web::server;

/// What has to be typed before a host is replaced.
const CONFIRMED: &str = "旧主机已关机";
/// How often a folder that is being closed is looked at.
const CLOSING: Duration = Duration::from_millis(50);

/// Arguments of `standby`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct StandbyArgs {
    #[command(subcommand)]
    pub(super) command: Option<StandbyCommand>,
    #[command(flatten)]
    follow: FollowArgs,
}

#[derive(Debug, Args)]
struct FollowArgs {
    /// 备机的数据目录；没有时从目标中最新的一套备份建立
    #[arg(long, required = true)]
    dir: Option<PathBuf>,
    /// 跟随的目标：s3://桶名/前缀，或挂载盘上的目录；第一次必须写明，以后可以不写
    #[arg(long)]
    from: Option<String>,
    /// 备机自己的备份密钥文件（jiceng backup keygen 生成，公钥须在本县的备份密钥中）；第一次必须写明
    #[arg(long)]
    identity: Option<PathBuf>,
    /// 本县的签名公钥或指纹，密钥文件没有记录时使用
    #[arg(long)]
    signer: Option<String>,
    /// 对象存储的地址
    #[arg(long)]
    endpoint: Option<String>,
    /// 监听地址和端口，默认 127.0.0.1:8443
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// 配置文件（TOML），接替后作为主机运行时也用它
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum StandbyCommand {
    /// 备机现在跟到哪里
    Status(DirArgs),
    /// 接替主机：须确认旧主机已经关机
    Promote(PromoteArgs),
    /// 在旧主机上导出已受理但没有送到异地的内容，供在新主机上补录（导出文件是明文）
    Leftover(LeftoverArgs),
}

#[derive(Debug, Args)]
pub(super) struct DirArgs {
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct PromoteArgs {
    /// 备机的数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 纸质登记的最后一号，如 信访〔2026〕=127；可以写多次，不写的跳过一段
    #[arg(long = "last")]
    last: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct LeftoverArgs {
    /// 旧主机的数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 写到这个新文件（.xlsx）
    #[arg(long)]
    to: PathBuf,
    /// 新主机接替时有的最后一条日志（接替命令的输出中有）；不写时按异地交换目录的记录
    #[arg(long, required_unless_present = "spool")]
    after: Option<u64>,
    /// 异地交换目录，即配置文件 [offsite] spool
    #[arg(long)]
    spool: Option<PathBuf>,
    /// 以哪个账户导出，要输入它的口令：只导出它有权查看的内容
    #[arg(long = "as")]
    pub(super) login: Option<String>,
}

impl StandbyCommand {
    /// The data folder.
    pub(super) fn dir(&self) -> &Path {
        match self {
            Self::Status(args) => &args.dir,
            Self::Promote(args) => &args.dir,
            Self::Leftover(args) => &args.dir,
        }
    }
}

/// What a running standby holds for the control socket.
#[derive(Default)]
pub(super) struct Seat(Mutex<Option<Seated>>);

#[derive(Clone)]
struct Seated {
    app: Arc<App>,
    /// None once it is no standby any more.
    standby: Option<Arc<Standby>>,
    events: UnboundedSender<Event>,
}

/// Why a standby stops to serve what it has open.
enum Event {
    Data(watch::Event),
    Promoted,
}

impl Seat {
    /// The application, while one is open.
    pub(super) fn app(&self) -> Option<Arc<App>> {
        self.seated().map(|seated| seated.app)
    }

    fn seated(&self) -> Option<Seated> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, seated: Option<Seated>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seated;
    }

    /// Somebody confirmed that the old host is off.
    pub(super) fn promote(&self, args: &PromoteArgs, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
        let busy = || Error::new(ErrorKind::Busy, "备机正在更换数据。请过一会儿再试。");
        let seated = self.seated().ok_or_else(busy)?;
        let standby = seated.standby.ok_or_else(|| Error::invalid("这台已经是主机，不需要接替。"))?;
        take_over(&seated.app, &standby, args, (secret, out))?;
        out.err("正在转为主机，约需几秒；页面恢复后即可登记和修改。请通知各单位改用本机地址。");
        // The server may be ending.
        let _gone = seated.events.send(Event::Promoted);
        Ok(())
    }
}

/// Runs `standby` and what belongs to it, as far as it is not run inside a server.
pub(super) fn run(args: &StandbyArgs, arguments: &[OsString], out: &mut dyn Out) -> Result<()> {
    match &args.command {
        Some(StandbyCommand::Promote(args)) => promote(args, arguments, out),
        Some(_) => Err(Error::usage("这个命令要在数据目录上运行。")),
        None => follow(&args.follow, out),
    }
}

/// Runs what wants open data, here or inside a server.
pub(super) fn with_store(args: &StandbyArgs, app: &App, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    match &args.command {
        Some(StandbyCommand::Status(_)) => status(app, out),
        Some(StandbyCommand::Leftover(args)) => leftover(args, app, secret, out),
        _ => Err(Error::usage("这个数据目录正由 jiceng serve 使用，它不是备机。")),
    }
}

impl StandbyArgs {
    /// The account that a command acts for, when one was named.
    pub(super) fn login(&self) -> Option<&str> {
        match &self.command {
            Some(StandbyCommand::Leftover(args)) => args.login.as_deref(),
            _ => None,
        }
    }

    /// It is asked of open data.
    pub(super) fn runs_on_store(&self) -> bool {
        matches!(self.command, Some(StandbyCommand::Status(_) | StandbyCommand::Leftover(_)))
    }
}

/// `standby status`: how far this one is.
fn status(app: &App, out: &mut dyn Out) -> Result<()> {
    let words = app.standby_words().ok_or_else(|| Error::invalid("这个数据目录不是备机的。"))?;
    out.out(&words);
    Ok(())
}

/// `standby leftover`: what this host had acknowledged and not delivered.
fn leftover(args: &LeftoverArgs, app: &App, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let spool = args.spool.as_ref().map(|path| secret.path(path));
    let path = secret.path(&args.to);
    let actor = super::actor(app, args.login.as_deref(), secret)?;
    let left = app.leftover(&actor, args.after, spool.as_deref(), &path)?;
    out.out(&format!("已导出到 {}：{}", path.display(), left.words()));
    out.err("注意：导出文件是明文，含信访人等敏感内容。请用专用介质交接，补录核对后立即销毁。");
    Ok(())
}

/// Shows how far the standby is, asks for the words, and has it done where the data is open.
fn promote(args: &PromoteArgs, arguments: &[OsString], out: &mut dyn Out) -> Result<()> {
    drop_to_owner(&args.dir)?;
    match App::open(&args.dir, Arc::new(SystemClock)) {
        Ok(app) => {
            let standby = standby_of(&app, &FollowArgs::none())?;
            standby.look(&app)?;
            status(&app, out)?;
            let secret = Secrets::with(None, Some(confirm()?))?;
            take_over(&app, &standby, args, (&secret, out))?;
            out.err("已转为主机。请运行 jiceng serve 启动服务，并通知各单位改用本机地址。");
            Ok(())
        }
        Err(e) if e.kind() == ErrorKind::Busy => {
            let status = ["jiceng", "standby", "status", "--dir"].map(OsString::from);
            let status: Vec<OsString> = status.into_iter().chain([args.dir.clone().into()]).collect();
            control::ask(&args.dir, &status, &Secrets::with(None, None)?, out)?;
            let secret = Secrets::with(None, Some(confirm()?))?;
            control::ask(&args.dir, arguments, &secret, out)
        }
        Err(e) => Err(e),
    }
}

fn confirm() -> Result<String> {
    output::ask_words(&format!(
        "接替之后旧主机不能再用。确认旧主机已经关机、不会再启动服务时，请输入“{CONFIRMED}”："
    ))
}

fn take_over(
    app: &App,
    standby: &Standby,
    args: &PromoteArgs,
    (secret, out): (&Secrets, &mut dyn Out),
) -> Result<()> {
    if secret.input.as_deref().map(str::trim) != Some(CONFIRMED) {
        return Err(Error::invalid(format!("没有输入“{CONFIRMED}”，没有接替，备机照常跟随。")));
    }
    let numbers = args.last.iter().map(|text| backup::typed_number(text)).collect::<Result<Vec<_>>>()?;
    let done = standby.promote(app, &local_doer(), (&numbers, &|_, _| Ok(None)))?;
    out.out(&format!("已接替：纪元 {}，日志第 {} 段，主机的最后一条日志是第 {} 条。", done.epoch, done.slot, done.entry));
    for skipped in &done.skipped {
        out.out(&format!("空号：{skipped}"));
    }
    out.err(&format!(
        "旧主机上已受理但没有送到的内容，请在旧主机上断网运行 jiceng standby leftover --dir 旧数据目录 --after {} --as 登录名 \
         --to 文件.xlsx 导出补录。",
        done.entry
    ));
    Ok(())
}

impl FollowArgs {
    fn none() -> Self {
        let (dir, from, identity) = (None, None, None);
        Self { dir, from, identity, signer: None, endpoint: None, listen: None, config: None }
    }

    fn remote(&self, told: &Following) -> Result<Box<dyn Remote>> {
        let from = self.from.as_deref().unwrap_or(&told.from);
        ship::open(from, self.endpoint.as_deref().or(told.endpoint.as_deref()), None)
    }

    /// What is to be followed, for a folder that is to be made.
    fn told(&self, clock: &dyn Clock) -> Result<Following> {
        let absent = || Error::usage("第一次启动备机时，请用 --from 写明目标，用 --identity 写明备机的密钥文件。");
        let identity = self.identity.as_ref().ok_or_else(absent)?;
        Ok(Following {
            from: self.from.clone().ok_or_else(absent)?,
            endpoint: self.endpoint.clone(),
            identity: identity.canonicalize().unwrap_or_else(|_| identity.clone()),
            signer: self.signer.clone(),
            since: clock.now().0,
            set: String::new(),
        })
    }
}

fn standby_of(app: &App, args: &FollowArgs) -> Result<Standby> {
    let told = app.following()?.ok_or_else(|| {
        Error::invalid(format!("{} 不是备机的数据目录。请用 jiceng serve 启动它。", app.dir().display()))
    })?;
    let key = KeyFile::read(args.identity.as_ref().unwrap_or(&told.identity))?;
    Standby::of(app, args.remote(&told)?, key)
}

/// Follows and serves until somebody ends it; after a promotion it goes on as the host.
fn follow(args: &FollowArgs, out: &mut dyn Out) -> Result<()> {
    let config = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    let dir = args.dir.clone().ok_or_else(|| Error::usage("请用 --dir 指定数据目录。"))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    drop_to_owner(&dir)?;
    if !dir.join(DATABASE_FILE).exists() {
        let told = args.told(clock.as_ref())?;
        let (remote, key) = (args.remote(&told)?, KeyFile::read(&told.identity)?);
        out.err(&format!("正在从 {} 建立备机……", remote.label()));
        let key_file = found(remote.as_ref(), &key, &told, &dir, Arc::clone(&clock))?;
        out.err(&format!("备机的数据密钥文件：{}。请妥善保管。", key_file.display()));
    }
    clear_leftovers(&dir)?;
    serve::start_log();
    let certificate = certificate::load(&dir, config.tls.as_ref(), clock.now())?;
    let runtime = serve::runtime()?;
    let listen = args.listen.or(config.listen).unwrap_or(LISTEN);
    runtime.block_on(async {
        let listener = serve::bind(listen).await?;
        out.out(&format!("请打开 https://{}", listener.local_addr()?));
        out.err(&format!("证书指纹（SHA-256）：{}", certificate.fingerprint));
        let place = Place { dir: &dir, args, config: &config, clock: &clock };
        place.serve(&listener, &certificate, out).await
    })
}

/// Where a standby serves what.
struct Place<'a> {
    dir: &'a Path,
    args: &'a FollowArgs,
    config: &'a Config,
    clock: &'a Arc<dyn Clock>,
}

impl Place<'_> {
    /// One application after the other on the same listener.
    async fn serve(
        &self,
        listener: &TcpListener,
        certificate: &Certificate,
        out: &mut dyn Out,
    ) -> Result<()> {
        let seat = Arc::new(Seat::default());
        let end = serve::asked_to_end();
        tokio::pin!(end);
        loop {
            let app = self.open().await?;
            // What the data says counts, not what happened last.
            let promoted = !app.is_standby();
            serve::note_address(self.dir, listener.local_addr()?)?;
            let commands = tokio::spawn(control::answer(Door::Standby(Arc::clone(&seat)), control::listen(self.dir)?));
            let (events, mut happens) = unbounded_channel();
            let mut event = None;
            if promoted {
                seat.set(Some(Seated { app: Arc::clone(&app), standby: None, events }));
                out.err("已转为主机。");
                serve::working(&app, listener, (certificate, self.config), (&mut end, out)).await?;
            } else {
                event = self.follow(app, &seat, (events, &mut happens), (listener, certificate, &mut end)).await?;
            }
            seat.set(None);
            commands.abort();
            match event {
                None => return Ok(()),
                Some(Event::Promoted | Event::Data(watch::Event::Reopened)) => {}
                Some(Event::Data(watch::Event::Renewed(next))) => {
                    // Whoever still held the old data lets go first; it may have been promoted in that time.
                    let stays = self.open().await?.is_standby();
                    if stays {
                        change_over(self.dir, &next, self.clock)?;
                    } else {
                        std::fs::remove_dir_all(&next)?;
                    }
                }
            }
        }
    }

    /// Serves a standby until it is to end, or has to open its data anew.
    async fn follow(
        &self,
        app: Arc<App>,
        seat: &Arc<Seat>,
        (events, happens): (UnboundedSender<Event>, &mut UnboundedReceiver<Event>),
        (listener, certificate, end): (&TcpListener, &Certificate, &mut (impl Future<Output = ()> + Unpin)),
    ) -> Result<Option<Event>> {
        app.on_failure(serve::end_soon);
        app.keep_reserve();
        let standby = Arc::new(standby_of(&app, self.args)?);
        let telling = events.clone();
        let thread = watch::Thread::start(&app, &standby, Arc::clone(self.clock), move |event| {
            // The server may be ending.
            let _gone = telling.send(Event::Data(event));
        })?;
        seat.set(Some(Seated { app: Arc::clone(&app), standby: Some(standby), events }));
        let mut event = None;
        let until = async {
            tokio::select! {
                () = end => {}
                happened = happens.recv() => event = happened,
            }
        };
        let face = server::face(&app);
        drop(app);
        server::serve(&face, listener, certificate, until).await?;
        drop(face);
        seat.set(None);
        tokio::task::spawn_blocking(|| thread.end()).await.map_err(Error::internal)?;
        Ok(event)
    }

    /// Opens the data as soon as nobody in this process has it open any more.
    async fn open(&self) -> Result<Arc<App>> {
        let until = Instant::now() + Duration::from_secs(limits::STANDBY_CHANGE_S);
        loop {
            let (dir, clock) = (self.dir.to_owned(), Arc::clone(self.clock));
            let opened = tokio::task::spawn_blocking(move || App::open(&dir, clock)).await;
            match opened.map_err(Error::internal)? {
                Err(e) if e.kind() == ErrorKind::Busy && Instant::now() < until => tokio::time::sleep(CLOSING).await,
                opened => return opened,
            }
        }
    }
}
