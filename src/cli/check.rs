//! `audit verify`, `reindex` and `doctor`: is everything as it should be?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::Secrets;
use super::output::Out;
use crate::app::access::local_doer;
use crate::app::audit::heads::{chain_only, read_head, read_heads};
use crate::app::doctor::Verdict;
use crate::app::App;
use crate::backup::{self, KeyFile};
use crate::base::{Error, Result};
use crate::store::{Head, Times};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// 核验日志链、记录、附件和派生表
    Verify(AuditArgs),
}

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 外部留存的链头，可以多次：文件（每行：序号 哈希），或抄自审计日报的 序号:哈希
    #[arg(long = "head", value_name = "FILE|SEQ:HASH")]
    heads: Vec<String>,
    /// 备份的清单文件（….manifest.age），其中的链头也用来核对；须同时给出 --identity
    #[arg(long, value_name = "FILE", requires = "identity")]
    manifest: Vec<PathBuf>,
    /// 打开清单的备份私钥文件
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// 不用密钥、不写入：只核验日志链、链头和记录密文的摘要；服务停止时或对副本使用
    #[arg(long)]
    pub(super) no_key: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 磁盘出错后已经修好：数据检查通过就恢复登记和修改
    #[arg(long)]
    resume: bool,
}

/// Checks everything, and the journal against heads kept outside.
pub(super) fn audit(args: &AuditArgs, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    if args.no_key {
        return Err(Error::usage("--no-key 直接读取数据目录，服务运行时不能用。请先停止服务，或对副本使用。"));
    }
    let heads = outside(args, secret)?;
    let report = app.audit_verify(&heads)?;
    for problem in &report.problems {
        out.out(&format!("问题：{problem}"));
    }
    tell_times(&report.times, out);
    if let Some(head) = report.head {
        out.out(&format!("{} {}", head.seq, hex::encode(head.hash)));
    }
    out.err(&format!(
        "日志 {} 条、记录 {} 条、附件 {} 个；核对外部链头 {} 个。",
        report.entries,
        report.records,
        report.files,
        heads.len()
    ));
    if report.local > 0 {
        out.err(&format!("备机日志 {} 条。", report.local));
    }
    if report.purged > 0 {
        out.err(&format!("其中 {} 条记录的内容已按申请清除，清除之前的版本不能再打开。", report.purged));
    }
    conclude(report.problems.len(), &heads, report.head.map_or(0, |h| h.seq.0), out)
}

/// The same without any key: the chain, the stored bytes of records, the heads.
pub(super) fn audit_without_key(args: &AuditArgs, out: &mut dyn Out) -> Result<()> {
    let heads = outside(args, &Secrets::with(None, args.prepare()?)?)?;
    let (report, told) = chain_only(&args.dir, &heads)?;
    let problems: Vec<&String> = report.problems.iter().chain(&told).collect();
    for problem in &problems {
        out.out(&format!("问题：{problem}"));
    }
    tell_times(&report.walked.times, out);
    let head = report.walked.head;
    out.out(&format!("{} {}", head.seq, hex::encode(head.hash)));
    out.err(&format!(
        "未使用密钥。日志 {} 条成链，记录密文 {} 条与日志所记一致；核对外部链头 {} 个。内容能否打开没有核验。",
        report.walked.entries,
        report.records,
        heads.len()
    ));
    if report.local > 0 {
        out.err(&format!("备机日志 {} 条。", report.local));
    }
    conclude(problems.len(), &heads, head.seq.0, out)
}

impl AuditArgs {
    /// Heads in manifests of backup sets, as lines. Their keys are read here, by whoever runs the command: they never
    /// come to a server.
    pub(super) fn prepare(&self) -> Result<Option<String>> {
        let Some(identity) = &self.identity else { return Ok(None) };
        let key = KeyFile::read(identity)?;
        let lines = self.manifest.iter().map(|path| {
            let content = backup::content_of(path, &key)?;
            Ok(format!("{} {}\n", content.seq, content.head_hash))
        });
        lines.collect::<Result<String>>().map(Some)
    }
}

/// Heads as they were typed, from files, and from manifests of backup sets.
fn outside(args: &AuditArgs, secret: &Secrets) -> Result<Vec<Head>> {
    let mut heads = Vec::new();
    for given in &args.heads {
        if let Some(head) = read_head(given) {
            heads.push(head);
            continue;
        }
        let path = secret.path(Path::new(given));
        let text = std::fs::read_to_string(&path).map_err(|e| {
            let message = format!("{} 不是链头（序号:64 位哈希），也不是能读的链头文件。", path.display());
            Error::usage(message).with_detail(e)
        })?;
        heads.extend(read_heads(&text)?);
    }
    heads.extend(read_heads(secret.input.as_deref().unwrap_or_default())?);
    Ok(heads)
}

fn tell_times(times: &Times, out: &mut dyn Out) {
    for line in &times.lines {
        out.err(&format!("提示：{line}"));
    }
    let more = times.count.saturating_sub(times.lines.len() as u64);
    if more > 0 {
        out.err(&format!("提示：另有 {more} 处时间倒退或缺口没有列出。"));
    }
}

fn conclude(count: usize, heads: &[Head], last: u64, out: &mut dyn Out) -> Result<()> {
    if count > 0 {
        return Err(Error::damaged(format!("核验发现 {count} 处问题")));
    }
    let newest = heads.iter().map(|h| h.seq.0).max().unwrap_or(0);
    if newest < last {
        out.err(&format!("第 {} 条之后的日志没有外部链头可核对，能证明的只到这里。", newest));
    }
    Ok(())
}

/// Rebuilds what is derived.
pub(super) fn reindex(app: &Arc<App>, out: &mut dyn Out) -> Result<()> {
    // `heard` is called again and again; a line a step is enough.
    let said = std::cell::Cell::new(None);
    let heard = std::cell::RefCell::new(&mut *out);
    let documents = app.reindex_aloud(&local_doer(), &|done, of| {
        if said.replace(Some(done)) != Some(done) {
            heard.borrow_mut().err(&format!("已读日志 {done} / {of} 条"));
        }
    })?;
    out.out(&format!("派生表和索引已重建，索引 {documents} 条。"));
    Ok(())
}

/// Runs all checks and says what to do.
pub(super) fn doctor(args: &DoctorArgs, app: &Arc<App>, out: &mut dyn Out) -> Result<()> {
    if args.resume {
        let resumed = app.resume(&local_doer())?;
        app.resume_rotation()?;
        out.err(if resumed { "数据检查通过，已恢复登记和修改。" } else { "没有因磁盘出错而停止写入，不需要恢复。" });
    }
    app.wait_for_index()?;
    let findings = app.doctor(true)?;
    for f in &findings {
        let mark = match f.verdict {
            Verdict::Good => "正常",
            Verdict::Warn => "注意",
            Verdict::Bad => "问题",
        };
        out.out(&format!("[{mark}] {}：{}", f.name, f.text));
    }
    let bad = findings.iter().filter(|f| f.verdict == Verdict::Bad).collect::<Vec<_>>();
    match bad.first() {
        None => Ok(()),
        Some(f) if f.name == "数据" => Err(Error::damaged("检查没有通过")),
        Some(_) => Err(Error::invalid(format!("{} 项检查没有通过。", bad.len()))),
    }
}
