//! `ship`: brings sets and segments off the site, or fetches them for a restore. A process of its own, which needs
//! neither the data folder nor any key.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::output::Out;
use crate::base::clock::SystemClock;
use crate::base::{Error, Result};
use crate::ship::deliver::{Errand, Shipper};
use crate::ship::{self, fetch};

/// Arguments of `ship`. Credentials of an object store come from the environment, never from arguments: those can be
/// read by everybody on the machine.
#[derive(Debug, Args)]
pub(super) struct ShipArgs {
    /// 异地目标：s3://桶名/前缀，或挂载盘上的目录。对象存储的凭据取自环境变量 AWS_ACCESS_KEY_ID、AWS_SECRET_ACCESS_KEY
    #[arg(long)]
    to: String,
    /// 异地交换目录，即配置文件 [offsite] spool
    #[arg(long, required_unless_present = "fetch")]
    spool: Option<PathBuf>,
    /// 备份所在目录；不写时只送变更段
    #[arg(long)]
    backups: Option<PathBuf>,
    /// 对象存储的地址，如 https://oss.example.gov.cn；亚马逊的不用写
    #[arg(long)]
    endpoint: Option<String>,
    /// 送完现有的就结束
    #[arg(long)]
    once: bool,
    /// 取回：把一套备份、所需附件和之后的日志取到这个目录，供恢复使用
    #[arg(long, conflicts_with_all = ["spool", "backups", "once"])]
    fetch: Option<PathBuf>,
    /// 取回哪一套；默认最新的完整一套
    #[arg(long, requires = "fetch")]
    set: Option<String>,
}

/// Brings or fetches.
pub(super) fn run(args: ShipArgs, out: &mut dyn Out) -> Result<()> {
    super::serve::start_log();
    if let Some(into) = &args.fetch {
        let remote = ship::open(&args.to, args.endpoint.as_deref(), None)?;
        let fetched = fetch::fetch(remote.as_ref(), args.set.as_deref(), into)?;
        out.out(&fetched.set);
        out.err(&format!(
            "已取回到 {}：日志 {} 段（到第 {} 段），附件 {} 个。接着运行 jiceng backup restore --from {} 恢复。",
            into.display(),
            fetched.slots,
            fetched.last,
            fetched.members,
            into.display()
        ));
        if fetched.lost > 0 {
            out.err(&format!("注意，异地目标中缺少或损坏了 {} 个附件，恢复后打不开。", fetched.lost));
        }
        return Ok(());
    }
    let spool = args.spool.ok_or_else(|| Error::usage("请用 --spool 指定异地交换目录。"))?;
    let errand = Errand { spool, backups: args.backups, to: args.to, endpoint: args.endpoint };
    let shipper = Shipper::start(&errand, Arc::new(SystemClock))?;
    if args.once {
        return shipper.once();
    }
    out.err("正在向异地传送，按 Ctrl-C 结束；随时可以结束，重新启动后会接着传送。");
    shipper.run(&AtomicBool::new(false));
    Ok(())
}
