//! `audit verify`, `reindex` and `doctor`: is everything as it should be?

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::Secrets;
use super::output::Out;
use crate::app::access::local_doer;
use crate::app::audit::read_heads;
use crate::app::doctor::Verdict;
use crate::app::App;
use crate::base::{Error, Result};

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
    /// 外部留存的链头文件（每行：序号 哈希）
    #[arg(long = "head")]
    heads: Vec<PathBuf>,
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
    let mut heads = Vec::new();
    for path in &args.heads {
        let path = secret.path(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::usage(format!("读不到链头文件 {}。", path.display())).with_detail(e))?;
        heads.extend(read_heads(&text)?);
    }
    let report = app.audit_verify(&heads)?;
    for problem in &report.problems {
        out.out(&format!("问题：{problem}"));
    }
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
    let count = report.problems.len();
    if count == 0 { Ok(()) } else { Err(Error::damaged(format!("核验发现 {count} 处问题"))) }
}

/// Rebuilds what is derived.
pub(super) fn reindex(app: &Arc<App>, out: &mut dyn Out) -> Result<()> {
    let documents = app.reindex(&local_doer())?;
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
