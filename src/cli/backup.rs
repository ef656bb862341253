//! `backup`: keys, sets, checks, restore.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, Subcommand};

use super::Secrets;
use super::output::{self, Out};
use crate::app::App;
use crate::app::access::local_doer;
use crate::app::checks::{self, Certificate};
use crate::backup::{self, Amount, Followed, KeyFile, Progress, Signer, Trial, Until, Verified, Wish};
use crate::base::clock::SystemClock;
use crate::base::{Clock, Error, Result};

#[derive(Debug, Subcommand)]
pub(super) enum BackupCommand {
    /// 生成一把备份密钥（请在保管人自己的介质上）
    Keygen(KeygenArgs),
    /// 备份：加密、写出、恢复核验一次、签名
    Run(RunArgs),
    /// 列出备份
    List(TargetArgs),
    /// 核验备份；有密钥时完整恢复核验
    Verify(TargetArgs),
    /// 恢复到新目录
    Restore(RestoreArgs),
    /// 恢复演练：用保管人的密钥完整恢复一次到临时目录，核对后清除
    Drill(DrillArgs),
    /// 回答密钥核对题：用保管人的密钥解开，打印答案
    Answer(AnswerArgs),
}

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    /// 备份所在目录
    #[arg(long, alias = "to")]
    from: PathBuf,
    /// 哪一份；默认最新的完整一份
    #[arg(long)]
    set: Option<String>,
    /// 密钥文件
    #[arg(long)]
    identity: PathBuf,
    /// 信任的签名公钥或其指纹；默认用密钥文件中的
    #[arg(long)]
    signer: Option<String>,
    /// 数据目录：把演练结果登记到日志；在别的机器上演练时不写
    #[arg(long)]
    dir: Option<PathBuf>,
    /// 在哪个目录里临时恢复；默认在备份目录旁边
    #[arg(long)]
    work: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// 密钥文件
    #[arg(long)]
    identity: PathBuf,
    /// 核对题的文件；不写时从标准输入读
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct KeygenArgs {
    /// 密钥文件，不得已存在
    #[arg(long)]
    out: PathBuf,
    /// 数据目录：把本县的签名公钥写进密钥文件
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// 数据目录
    #[arg(long)]
    dir: PathBuf,
    /// 备份写到哪个目录
    #[arg(long)]
    to: PathBuf,
    /// 接收方；默认用已设置的。其他密钥仅限演示数据
    #[arg(long = "recipient")]
    recipients: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// 备份所在目录
    #[arg(long)]
    to: PathBuf,
    /// 密钥文件
    #[arg(long)]
    identity: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// 备份所在目录
    #[arg(long)]
    from: PathBuf,
    /// 哪一份；默认最新的完整一份
    #[arg(long)]
    set: Option<String>,
    /// 恢复到哪一刻：时间（"2026-11-23 17:01"，北京时间）或异地日志的段号；默认到目录中日志的末尾，用 --set 时只恢复那一份
    #[arg(long)]
    until: Option<String>,
    /// 密钥文件
    #[arg(long)]
    identity: PathBuf,
    /// 信任的签名公钥或其指纹；默认用密钥文件中的
    #[arg(long)]
    signer: Option<String>,
    /// 恢复到哪个新目录，必须不存在或为空
    #[arg(long)]
    dir: PathBuf,
    /// 纸质登记的最后一号，如 信访〔2026〕=127；不写时在终端询问，不知道时跳过 100 号
    #[arg(long = "last")]
    last: Vec<String>,
}

impl BackupCommand {
    /// The data folder a command needs open.
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Keygen(args) => args.dir.as_deref(),
            Self::Run(args) => Some(&args.dir),
            Self::Drill(args) => args.dir.as_deref(),
            Self::List(_) | Self::Verify(_) | Self::Restore(_) | Self::Answer(_) => None,
        }
    }

    /// What is done where the command was typed, before the data folder is asked: keys never travel to the server.
    pub(super) fn prepare(&self) -> Result<Option<String>> {
        let Self::Drill(args) = self else { return Ok(None) };
        serde_json::to_string(&drill(args)?).map(Some).map_err(Error::internal)
    }
}

/// Commands that need no data folder.
pub(super) fn without_store(command: BackupCommand, out: &mut dyn Out) -> Result<()> {
    match command {
        BackupCommand::Keygen(args) => keygen(&args.out, None, out),
        BackupCommand::List(args) => list(&args, out),
        BackupCommand::Verify(args) => verify(&args, out),
        BackupCommand::Restore(args) => restore(&args, out),
        BackupCommand::Drill(args) => {
            show(&drill(&args)?, out);
            out.err("没有用 --dir 指定数据目录，结果没有登记。请保存以上内容，或在服务器上再做一次。");
            Ok(())
        }
        BackupCommand::Answer(args) => answer(&args, out),
        BackupCommand::Run(_) => Err(Error::usage("请用 --dir 指定数据目录。")),
    }
}

/// Commands on an open data folder.
pub(super) fn with_store(
    command: BackupCommand,
    app: &Arc<App>,
    secret: &Secrets,
    out: &mut dyn Out,
) -> Result<()> {
    match command {
        BackupCommand::Keygen(args) => {
            let path = secret.path(&args.out);
            if path.parent().and_then(|p| p.canonicalize().ok()).is_some_and(|p| p.starts_with(app.dir())) {
                return Err(Error::invalid("密钥文件不能放在数据目录里，请放到保管人自己的介质上。"));
            }
            keygen(&path, Some(app.signer()?), out)
        }
        BackupCommand::Run(args) => run(&args, app, secret, out),
        BackupCommand::Drill(_) => {
            let done = secret.input.as_deref().and_then(|text| serde_json::from_str(text).ok());
            let done: Certificate = done.ok_or_else(|| Error::internal("no drill was done"))?;
            app.enter_drill(&done)?;
            show(&done, out);
            out.err("演练已登记。证书可以在浏览器的“备份”→“演练与核对”中打印。");
            Ok(())
        }
        other => without_store(other, out),
    }
}

fn keygen(path: &Path, signer: Option<Signer>, out: &mut dyn Out) -> Result<()> {
    let key = backup::keygen(path, signer, SystemClock.now())?;
    out.out(&key.recipient);
    out.err(&format!("密钥文件：{}（请打印或另存一份，交由保管人离线保管；丢失后用它加密的备份无法恢复）", path.display()));
    match key.signer {
        Some(signer) => out.err(&format!("本县签名公钥指纹：{}", signer.fingerprint())),
        None => out.err("没有写入签名公钥：恢复时须用 --signer 指定，或重新生成时加 --dir。"),
    }
    Ok(())
}

fn run(args: &RunArgs, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let said = std::cell::RefCell::new(out);
    let teller = Teller::default();
    let progress = |p: Progress| {
        teller.line(p).iter().for_each(|line| said.borrow_mut().err(line));
        Ok(())
    };
    let done = app.backup(&secret.path(&args.to), &args.recipients, &progress)?;
    let mut out = said.borrow_mut();
    out.out(&done.set);
    out.err(&format!(
        "备份完成并已恢复核验：记录 {} 条，附件 {} 个（新存 {} 个、{} 字节），{} 字节；日志 {} 条，链头 {}",
        done.records,
        done.files,
        done.added,
        done.added_bytes,
        done.bytes,
        done.head.seq,
        hex::encode(done.head.hash)
    ));
    if !done.damaged.is_empty() {
        let lost = backup::damage_text(&done.damaged);
        out.err(&format!("注意{lost}：是本机的附件坏了，不是备份的问题。请运行 jiceng doctor，并从较早的备份取回。"));
    }
    if !done.rescued.is_empty() {
        let lost = backup::rescued_text(&done.rescued);
        out.err(&format!("注意，本机{lost}。请把备份恢复到另一个目录，取回这些附件后重新上传。"));
    }
    if done.mended > 0 {
        out.err(&format!("注意，备份目标中有 {} 个附件已经损坏，已用本机完好的重新写出。请检查备份盘。", done.mended));
    }
    Ok(())
}

/// Says how far a run is: once for each twentieth of a step, with its rate and what is left.
#[derive(Default)]
struct Teller {
    told: Cell<(&'static str, u64)>,
    begun: Cell<Option<Instant>>,
}

impl Teller {
    fn line(&self, progress: Progress) -> Option<String> {
        let (label, amount) = match progress {
            Progress::Pooling(a) => ("附件", Some(a)),
            Progress::Writing(a) => ("已写出", Some(a)),
            Progress::Verifying(a) => ("恢复核验", Some(a)),
            Progress::Checking => ("正在核对内容", None),
            Progress::Signing => ("正在签名", None),
        };
        let twentieth = amount.map_or(0, |a| a.bytes * 20 / a.of.max(1));
        let (before, last) = self.told.replace((label, twentieth));
        if before != label {
            self.begun.set(Some(Instant::now()));
        }
        let seconds = self.begun.get().map_or(0.0, |begun| begun.elapsed().as_secs_f64());
        let line = amount.map_or(label.to_owned(), |a| {
            let unit = if label == "附件" { "个" } else { "行" };
            format!("{label} {} {unit}，{} MB{}", a.rows, a.bytes >> 20, pace(a, seconds))
        });
        ((before, last) != (label, twentieth)).then_some(line)
    }
}

/// Rate and time left, once there is something to reckon with.
fn pace(a: Amount, seconds: f64) -> String {
    if seconds < 1.0 || a.bytes == 0 {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    let (done, all) = (a.bytes as f64, a.of.max(a.bytes) as f64);
    format!("，每秒 {:.1} MB，约剩 {:.0} 秒", done / seconds / f64::from(1 << 20), (all - done) * seconds / done)
}

fn list(args: &TargetArgs, out: &mut dyn Out) -> Result<()> {
    let key = args.identity.as_deref().map(KeyFile::read).transpose()?;
    let sets = backup::list(&args.to, key.as_ref())?;
    if sets.is_empty() {
        out.err("这个目录里没有备份。");
    }
    for set in sets {
        let complete = if set.complete { "完整" } else { "不完整（没有签名清单，不能算备份）" };
        let mut line = format!("{}  {}  日志 {} 条  {} 字节  {complete}", set.id, set.id.created(), set.id.seq(), set.bytes);
        match set.details {
            Some(Ok(details)) => {
                let trust = match details.trusted {
                    Some(true) => "签名可信",
                    Some(false) => "签名不可信",
                    None => "签名未核对",
                };
                let manifest = &details.manifest;
                line.push_str(&format!("  {}  记录 {} 条  {trust}", manifest.county, manifest.content.records));
            }
            Some(Err(e)) => line.push_str(&format!("  {}", e.public())),
            None => {}
        }
        out.out(&line);
    }
    Ok(())
}

fn verify(args: &TargetArgs, out: &mut dyn Out) -> Result<()> {
    let key = args.identity.as_deref().map(KeyFile::read).transpose()?;
    let sets = backup::verify(&args.to, None, key.as_ref())?;
    if sets.is_empty() {
        return Err(Error::invalid("这个目录里没有备份。"));
    }
    for set in &sets {
        match &set.outcome {
            Ok(text) => out.out(&format!("{}  完好  {text}", set.set)),
            Err(e) => out.out(&format!("{}  有问题  {}", set.set, e.public())),
        }
    }
    Verified::worst(&sets).map_or(Ok(()), |e| Err(e.clone()))
}

fn restore(args: &RestoreArgs, out: &mut dyn Out) -> Result<()> {
    let key = KeyFile::read(&args.identity)?;
    let numbers = args.last.iter().map(|text| backup::typed_number(text)).collect::<Result<Vec<_>>>()?;
    let wish = Wish {
        from: &args.from,
        set: args.set.as_deref(),
        until: args.until.as_deref().map(Until::typed).transpose()?,
        key: &key,
        signer: args.signer.as_deref(),
        dir: &args.dir,
        numbers: &numbers,
        ask: &output::ask_number,
        doer: local_doer(),
    };
    let restored = backup::restore(&wish, Arc::new(SystemClock))?;
    out.out(&format!("已恢复 {} 到 {}", restored.set, restored.dir.display()));
    out.err(&format!(
        "记录 {} 条；新密钥文件 {}；纪元 {}。请运行 jiceng doctor 检查后再启动服务。",
        restored.records,
        restored.key_file.display(),
        restored.epoch
    ));
    if restored.followed.last > 0 {
        let Followed { slots, last } = restored.followed;
        out.err(&format!("在备份之后又按异地日志恢复了 {slots} 段，到第 {last} 段为止。"));
    }
    if restored.unread_slots > 0 {
        out.err(&format!("注意，之后的日志中有 {} 段读不出，其间清除过的记录可能又在其中，请核对后重新清除。", restored.unread_slots));
    }
    for skipped in &restored.skipped {
        out.err(&format!("空号：{skipped}。这些号可能在备份之后已用于纸质登记，不再发出。"));
    }
    if restored.purged > 0 {
        let purged = restored.purged;
        out.err(&format!("这份备份之后有 {purged} 条记录的内容已被清除，恢复时已再次清除。"));
    }
    if let Some(first) = restored.unread.first() {
        let count = restored.unread.len();
        out.err(&format!(
            "注意，有 {count} 份较新的备份清单打不开（第一份：{first}），不知道其中记录的清除事项：恢复的数据里可能有本应清除的内容。\
             请用能打开它们的密钥重新恢复，或对照清除申请的登记逐件核对。"
        ));
    }
    out.err("恢复的数据现在只能查看：启动服务后，请三员中的两人登录，在“备份”页确认恢复无误。");
    if !restored.lost.is_empty() {
        let lost = backup::lost_text(&restored.lost);
        out.err(&format!("注意，{lost}，恢复后打不开。请从另一份拷贝的 pool 目录补回后重新恢复，或重新上传这些附件。"));
    }
    if !restored.manifest.damaged.is_empty() {
        out.err(&format!("注意{}，恢复后仍然打不开。", backup::damage_text(&restored.manifest.damaged)));
    }
    Ok(())
}

/// A whole restore into a throw-away folder.
fn drill(args: &DrillArgs) -> Result<Certificate> {
    let key = KeyFile::read(&args.identity)?;
    let trial = Trial {
        from: &args.from,
        set: args.set.as_deref(),
        key: &key,
        signer: args.signer.as_deref(),
        place: args.work.as_deref(),
    };
    checks::drill(&trial, &|| SystemClock.now())
}

fn show(certificate: &Certificate, out: &mut dyn Out) {
    out.out("备份恢复演练证书");
    for (label, text) in certificate.lines() {
        out.out(&format!("{label}：{text}"));
    }
}

fn answer(args: &AnswerArgs, out: &mut dyn Out) -> Result<()> {
    let key = KeyFile::read(&args.identity)?;
    let text = match &args.file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| Error::usage(format!("读不到核对题文件 {}。", path.display())).with_detail(e))?,
        None => std::io::read_to_string(std::io::stdin())?,
    };
    out.out(&backup::answer(&key, &text)?);
    out.err("请把这个答案交给系统管理员，填入“演练与核对”页。");
    Ok(())
}
