//! `import`: ledgers as JSON lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::output::Out;
use super::{Secrets, actor};
use crate::app::App;
use crate::app::import::{Options, Summary, What as Content, source};
use crate::base::{Error, Result};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// 导入什么
    what: What,
    /// JSONL 文件
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 没有写明单位的行归到哪个机构，默认信访室
    #[arg(long)]
    unit: Option<String>,
    /// 列名对照（JSON 对象：文件中的列名 → 字段名）
    #[arg(long)]
    map: Option<PathBuf>,
    /// 只检查，不保存
    #[arg(long)]
    dry_run: bool,
    /// 结果的格式
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// 以哪个账户导入；演示数据可不写
    #[arg(long = "as")]
    pub(super) login: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// 信访件
    Petitions,
    /// 法律法规
    Regulations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Imports the files one after the other.
pub(super) fn run(args: &ImportArgs, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let actor = actor(app, args.login.as_deref(), secret)?;
    let map = args.map.as_ref().map_or_else(|| Ok(BTreeMap::new()), |path| read_map(&secret.path(path)))?;
    let options = Options { unit: args.unit.clone(), dry_run: args.dry_run, map, ..Options::default() };
    let started = Instant::now();
    let mut failed = 0;
    for file in &args.files {
        let path = secret.path(file);
        let open = File::open(&path)
            .map_err(|e| Error::usage(format!("读不到文件 {}。", path.display())).with_detail(e))?;
        let mut input = BufReader::with_capacity(1 << 20, open);
        let what = match args.what {
            What::Petitions => Content::Petitions,
            What::Regulations => Content::Regulations,
        };
        let mut progress = |sum: &Summary| {
            out.err(&format!("已读 {} 行", sum.read));
            true
        };
        let summary = app.import(&actor, what, &mut source::jsonl(&mut input, &options.map), &options, &mut progress)?;
        failed += summary.failed;
        show(args, &summary, out)?;
    }
    if !args.dry_run {
        app.wait_for_index()?;
    }
    out.err(&format!("用时 {:.1} 秒（含索引）", started.elapsed().as_secs_f64()));
    if failed > 0 {
        return Err(Error::invalid(format!("{failed} 行没有导入，原因见上；改正后重新导入：写了 ref 的行会自动跳过已导入的，没有 ref 的行请只保留要补导的。")));
    }
    Ok(())
}

fn read_map(path: &std::path::Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::usage(format!("读不到对照文件 {}。", path.display())).with_detail(e))?;
    serde_json::from_str(&text).map_err(|e| Error::usage("对照文件应为 JSON 对象：列名 → 字段名。").with_detail(e))
}

fn show(args: &ImportArgs, summary: &Summary, out: &mut dyn Out) -> Result<()> {
    if args.format == Format::Json {
        out.out(&serde_json::to_string(summary).map_err(Error::internal)?);
        return Ok(());
    }
    let word = if args.dry_run { "可导入" } else { "导入" };
    let articles = if summary.articles > 0 { format!("，条文 {} 条", summary.articles) } else { String::new() };
    out.out(&format!(
        "读 {} 行，{word} {} 件{articles}，已有跳过 {}，未导入 {}",
        summary.read, summary.created, summary.skipped, summary.failed
    ));
    for p in &summary.problems {
        out.err(&format!("第 {} 行 {}：{}", p.line, p.column, p.message));
    }
    Ok(())
}
