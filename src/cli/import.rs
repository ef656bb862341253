//! `import`: ledgers and regulations from files of people and of other programs, and taking a batch back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::output::Out;
use super::{Secrets, actor};
use crate::app::import::columns::{self, Sheet};
use crate::app::import::{Options, Summary, What as Content, desk, papers, source};
use crate::app::{Actor, App};
use crate::base::{Error, ErrorKind, Result, limits};
use crate::foreign::{Format, Reader};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// 导入什么；undo 为撤销一批
    what: What,
    /// 台账：xlsx、xls、csv、jsonl；法规：docx、md、txt、html、pdf、jsonl；undo：批次号
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 没有写明单位的行归到哪个机构，默认信访室
    #[arg(long)]
    unit: Option<String>,
    /// 列对照（JSON 对象：文件中的列名 → 字段名；"+" 为备注，"-" 为不导入）
    #[arg(long)]
    map: Option<PathBuf>,
    /// 工作表的名称，默认取最像台账的一个
    #[arg(long)]
    sheet: Option<String>,
    /// 来源的名称：同一来源再次导入时沿用列对照
    #[arg(long)]
    source: Option<String>,
    /// 只检查，不保存
    #[arg(long)]
    dry_run: bool,
    /// 把没有导入的行连同原因写到这个 xlsx 文件（含个人信息，请妥善保管）
    #[arg(long)]
    failed: Option<PathBuf>,
    /// 撤销的理由（undo）
    #[arg(long, default_value = "整批重新导入")]
    reason: String,
    /// 结果的格式
    #[arg(long, value_enum, default_value = "text")]
    format: Output,
    /// 以哪个账户导入；演示数据可不写
    #[arg(long = "as")]
    pub(super) login: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// 信访件
    Petitions,
    /// 法律法规
    Regulations,
    /// 撤销一批
    Undo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What every file of one command shares.
struct Task<'a> {
    args: &'a ImportArgs,
    app: &'a Arc<App>,
    actor: Actor,
    what: Content,
    map: BTreeMap<String, String>,
}

/// Imports the files one after the other.
pub(super) fn run(args: &ImportArgs, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let actor = actor(app, args.login.as_deref(), secret)?;
    let what = match args.what {
        What::Petitions => Content::Petitions,
        What::Regulations => Content::Regulations,
        What::Undo => return undo(args, app, &actor, out),
    };
    let map = args.map.as_ref().map_or_else(|| Ok(BTreeMap::new()), |path| read_map(&secret.path(path)))?;
    let task = Task { args, app, actor, what, map };
    let started = Instant::now();
    let mut failed = 0;
    let mut documents = Vec::new();
    for file in &args.files {
        let path = secret.path(file);
        let format = format_of(&path, what)?;
        if format.is_document() {
            documents.push((path, format));
            continue;
        }
        failed += task.report(task.rows(&path, format, out)?, secret, out)?;
    }
    if !documents.is_empty() {
        failed += task.report(task.documents(&documents, out)?, secret, out)?;
    }
    if !args.dry_run {
        app.wait_for_index()?;
    }
    out.err(&format!("用时 {:.1} 秒（含索引）", started.elapsed().as_secs_f64()));
    if failed > 0 {
        return Err(Error::invalid(format!(
            "{failed} 行没有导入，原因见上；改正后重新导入：写了 ref 的行会自动跳过已导入的，没有 ref 的行请只保留要补导的。"
        )));
    }
    Ok(())
}

impl Task<'_> {
    fn options(&self, file: &str, map: BTreeMap<String, String>) -> Options {
        Options {
            unit: self.args.unit.clone(),
            dry_run: self.args.dry_run,
            map,
            file: file.to_owned(),
            source: self.args.source.clone().unwrap_or_default(),
        }
    }

    /// A ledger, or regulations as JSON lines.
    fn rows(&self, path: &Path, format: Format, out: &mut dyn Out) -> Result<(Summary, Vec<String>)> {
        let name = name_of(path);
        if format == Format::Jsonl {
            let total = desk::count_lines(open(path)?)?;
            let mut input = BufReader::with_capacity(1 << 20, open(path)?);
            let options = self.options(&name, self.map.clone());
            let mut rows = source::jsonl(&mut input, &options.map);
            let summary = self.app.import(&self.actor, self.what, &mut rows, &options, &mut told(out, total))?;
            return Ok((summary, Vec::new()));
        }
        let (sheet, total) = self.sheet(path, format, out)?;
        let options = self.options(&name, sheet.layout.map());
        let mut rows = source::table(reader(path, format)?, &sheet.layout);
        let summary = self.app.import(&self.actor, self.what, &mut rows, &options, &mut told(out, total))?;
        Ok((summary, sheet.layout.heads.clone()))
    }

    /// The sheet that is to come in, how its columns are read, and how many rows it has.
    fn sheet(&self, path: &Path, format: Format, out: &mut dyn Out) -> Result<(Sheet, u64)> {
        let (sheets, totals, notes) = columns::look(reader(path, format)?)?;
        notes.iter().for_each(|note| out.err(note));
        let wanted = |s: &Sheet| self.args.sheet.as_ref().is_none_or(|name| s.layout.sheet == *name);
        let fitting = sheets.iter().zip(totals).filter(|(s, _)| wanted(s)).enumerate();
        let best = fitting.max_by_key(|(n, (s, _))| (s.known(), std::cmp::Reverse(*n)));
        let Some((_, (sheet, total))) = best else {
            return Err(Error::invalid(format!(
                "{} 中没有要导入的工作表，请检查文件和 --sheet。",
                path.display()
            )));
        };
        let mut sheet = sheet.clone();
        let source = self.args.source.as_deref().unwrap_or_default();
        if !self.app.recall(&self.actor, source, &mut sheet)? {
            self.app.recall_heads(&self.actor, &mut sheet)?;
        }
        sheet.layout.remember(&self.map);
        if let Some(label) = columns::taken_twice(&sheet.layout.targets) {
            return Err(Error::invalid(format!("有两列都对应“{label}”，请用 --map 指定其中一列。")));
        }
        for (head, target) in sheet.layout.heads.iter().zip(&sheet.layout.targets) {
            out.err(&format!("列“{head}” → {}", columns::words(target)));
        }
        Ok((sheet, total))
    }

    /// Documents come in together, as one batch.
    fn documents(&self, files: &[(PathBuf, Format)], out: &mut dyn Out) -> Result<(Summary, Vec<String>)> {
        let mut read = Vec::with_capacity(files.len());
        for (path, format) in files {
            let paper = papers::read(&name_of(path), reader(path, *format));
            let count = paper.statute.articles.len();
            out.err(&format!(
                "{}：《{}》{count} 条 {}",
                paper.file, paper.statute.title, paper.statute.number
            ));
            paper.statute.remarks.iter().for_each(|remark| out.err(&format!("  {remark}")));
            if out.is_gone() {
                return Err(Error::new(ErrorKind::Busy, "导入已取消，没有保存任何内容。"));
            }
            read.push(paper);
        }
        let name = read.first().map_or_else(String::new, |p| p.file.clone());
        let name = if read.len() > 1 { format!("{name} 等 {} 个文件", read.len()) } else { name };
        let (options, total) = (self.options(&name, BTreeMap::new()), read.len() as u64);
        let summary =
            self.app.import(&self.actor, self.what, &mut papers::source(&read), &options, &mut told(out, total))?;
        Ok((summary, vec!["文件".to_owned()]))
    }

    /// Shows what an import did; the number of rows that failed.
    fn report(&self, done: (Summary, Vec<String>), secret: &Secrets, out: &mut dyn Out) -> Result<u64> {
        let (summary, heads) = done;
        show(self.args, &summary, out)?;
        if let Some(path) = self.args.failed.as_ref().filter(|_| summary.failed > 0) {
            let path = secret.path(path);
            let book = desk::failed_workbook(&heads, &summary)?;
            crate::app::write_private(&path, &book).map_err(|e| {
                Error::invalid(format!("写不了 {}：文件已存在或没有权限。", path.display()))
                    .with_detail(e.detail())
            })?;
            out.err(&format!("没有导入的行已写到 {}", path.display()));
        }
        Ok(summary.failed)
    }
}

fn undo(args: &ImportArgs, app: &Arc<App>, actor: &Actor, out: &mut dyn Out) -> Result<()> {
    for number in &args.files {
        let number = number.to_string_lossy();
        let records = app.import_undo(actor, &number, &args.reason)?;
        out.out(&format!("已撤销 {number}，{records} 件不再可见"));
    }
    Ok(())
}

/// Tells how far an import of `total` rows is, and stops it when nobody waits for it any more.
fn told(out: &mut dyn Out, total: u64) -> impl FnMut(&Summary) -> bool + '_ {
    let (mut said, started) = (0, Instant::now());
    move |sum: &Summary| {
        if sum.read >= said + limits::IMPORT_TOLD_ROWS {
            said = sum.read;
            let left = started.elapsed().as_secs_f64() * total.saturating_sub(said) as f64 / said as f64;
            out.err(&format!("{said} / {total} 行，约剩 {left:.0} 秒"));
        }
        !out.is_gone()
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::usage(format!("读不到文件 {}。", path.display())).with_detail(e))
}

fn reader(path: &Path, format: Format) -> Result<Reader> {
    Reader::start(Path::new(desk::PROGRAM), format, Box::new(open(path)?))
}

fn format_of(path: &Path, what: Content) -> Result<Format> {
    let mut head = Vec::new();
    open(path)?.take(limits::FORMAT_HEAD_BYTES as u64).read_to_end(&mut head)?;
    // Whatever has no name of another format was JSON lines before there were others.
    desk::fitting(what, Some(Format::detect(&name_of(path), &head).unwrap_or(Format::Jsonl)), 1)
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn read_map(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::usage(format!("读不到对照文件 {}。", path.display())).with_detail(e))?;
    serde_json::from_str(&text)
        .map_err(|e| Error::usage("对照文件应为 JSON 对象：列名 → 字段名。").with_detail(e))
}

fn show(args: &ImportArgs, summary: &Summary, out: &mut dyn Out) -> Result<()> {
    if args.format == Output::Json {
        out.out(&serde_json::to_string(summary).map_err(Error::internal)?);
        return Ok(());
    }
    let word = if args.dry_run { "可导入" } else { "导入" };
    let articles =
        if summary.articles > 0 { format!("，条文 {} 条", summary.articles) } else { String::new() };
    let batch = if summary.batch.is_empty() { String::new() } else { format!("（{}）", summary.batch) };
    out.out(&format!(
        "读 {} 行，{word} {} 件{articles}，已有跳过 {}，未导入 {}{batch}",
        summary.read, summary.created, summary.skipped, summary.failed
    ));
    for p in &summary.problems {
        out.err(&format!("第 {} 行 {}：{}", p.line, p.column, p.message));
    }
    if summary.marked > 0 {
        out.err(&format!("{} 件的列与内容不一致，请核对：", summary.marked));
    }
    for p in &summary.marks {
        out.err(&format!("第 {} 行 {}：{}", p.line, p.column, p.message));
    }
    Ok(())
}
