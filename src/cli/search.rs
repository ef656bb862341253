//! `search`: the same answers as the page, for people and for scripts. stdout never varies between runs.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::output::Out;
use super::{Secrets, actor};
use crate::app::search::{Hit, Query, Results};
use crate::app::App;
use crate::app::access::local_doer;
use crate::base::{Error, Result};
use crate::records::{self, Search, field::Field};

/// Arguments of `search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// 数据目录
    #[arg(long, default_value = "jiceng-demo")]
    pub(super) dir: PathBuf,
    /// 以哪个账户检索；演示数据可不写
    #[arg(long = "as")]
    pub(super) login: Option<String>,
    /// 检索范围
    #[arg(long, value_enum, default_value = "all")]
    kind: KindArg,
    /// 最多列出多少条
    #[arg(long, default_value_t = 10)]
    limit: u64,
    /// 输出格式
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// 成批检索：每行 {"id","text"}
    #[arg(long)]
    queries: Option<PathBuf>,
    /// 自检：抽查记录的编号、标题、正文片段和姓名，看是否都能找到；只报数量
    #[arg(long, conflicts_with_all = ["queries", "text", "login", "kind", "limit", "format"])]
    self_test: bool,
    /// 自检时每类抽查多少条
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
    /// 检索词；- 表示从标准输入读
    #[arg(allow_hyphen_values = true)]
    text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    Petition,
    Regulation,
    Article,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Trec,
}

#[derive(serde::Deserialize)]
struct Asked {
    id: serde_json::Value,
    text: String,
}

impl SearchArgs {
    /// The text comes from standard input.
    pub(super) fn reads_stdin(&self) -> bool {
        self.text.as_deref() == Some("-")
    }
}

/// Answers one query, or all queries of a file.
pub(super) fn run(args: &SearchArgs, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    if args.self_test {
        return self_test(args, app, out);
    }
    let asked = questions(args, secret)?;
    let actor = actor(app, args.login.as_deref(), secret)?;
    app.wait_for_index()?;
    let mut micros = Vec::with_capacity(asked.len());
    for (id, text) in &asked {
        let results = app.search(&actor, &query(args, text))?;
        micros.push(results.micros);
        show(args, app, id, text, &results, out)?;
    }
    micros.sort_unstable();
    let at = |share: usize| {
        let place = (micros.len() * share).div_ceil(100).max(1) - 1;
        micros.get(place).copied().unwrap_or_default() as f64 / 1000.0
    };
    out.err(&format!("{} queries, p50 {:.2} ms, p99 {:.2} ms", micros.len(), at(50), at(99)));
    Ok(())
}

/// Asks for a sample of what is there; says how much of it was found, and nothing of what it says.
fn self_test(args: &SearchArgs, app: &Arc<App>, out: &mut dyn Out) -> Result<()> {
    app.wait_for_index()?;
    let tried = app.test_search(&local_doer(), args.sample as usize)?;
    let mut missed = 0;
    for t in &tried {
        let behind = if t.behind == 0 { String::new() } else { format!("，同样内容较多而在其后 {}", t.behind) };
        out.out(&format!("{}：抽查 {}，首页找到 {}{behind}，没有找到 {}", t.what, t.asked, t.first, t.missed.len()));
        for (label, id) in &t.missed {
            out.out(&format!("  {label} 记录 {id}"));
        }
        missed += t.missed.len();
    }
    if missed == 0 { Ok(()) } else { Err(Error::invalid(format!("检索自检有 {missed} 次没有找到。请运行 jiceng reindex 重建索引后再试。"))) }
}

fn questions(args: &SearchArgs, secret: &Secrets) -> Result<Vec<(String, String)>> {
    match (&args.queries, &args.text) {
        (Some(path), None) => {
            let path = secret.path(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|e| Error::usage(format!("读不到 {}。", path.display())).with_detail(e))?;
            text.lines().filter(|l| !l.trim().is_empty()).map(question).collect()
        }
        (None, Some(text)) if text == "-" => Ok(vec![one(secret.input.as_deref().unwrap_or_default().trim_end())]),
        (None, Some(text)) => Ok(vec![one(text)]),
        _ => Err(Error::usage("请给出检索词，或用 --queries 给出文件（二者选一）。")),
    }
}

fn one(text: &str) -> (String, String) {
    ("q".to_owned(), text.to_owned())
}

fn question(line: &str) -> Result<(String, String)> {
    let asked: Asked =
        serde_json::from_str(line).map_err(|e| Error::usage("--queries 的每行应为 {\"id\",\"text\"}。").with_detail(e))?;
    let id = asked.id.as_str().map_or_else(|| asked.id.to_string(), str::to_owned);
    Ok((id, asked.text))
}

fn query(args: &SearchArgs, text: &str) -> Query {
    let name = match args.kind {
        KindArg::Petition => Some("petition"),
        KindArg::Regulation => Some("regulation"),
        KindArg::Article => Some("article"),
        KindArg::All => None,
    };
    Query {
        text: text.to_owned(),
        kinds: name.and_then(records::by_name).map(|k| k.tag).into_iter().collect(),
        limit: args.limit,
        ..Query::default()
    }
}

fn show(args: &SearchArgs, app: &App, id: &str, text: &str, results: &Results, out: &mut dyn Out) -> Result<()> {
    match args.format {
        Format::Trec => {
            for (rank, hit) in (1..).zip(&results.hits) {
                out.out(&format!("{id} Q0 {} {rank} {:.6} jiceng", reference(hit), 1.0 / f64::from(rank)));
            }
        }
        Format::Json => out.out(&as_json(app, id, text, results)?),
        Format::Table => {
            let near = if results.exact || results.total == 0 { "" } else { "（没有完全相同的内容，以下最相近）" };
            out.out(&format!("共 {} 条{near}", results.total));
            for (rank, hit) in (1..).zip(&results.hits) {
                out.out(&format!("{rank:>3}  {}  {}  {}", hit.kind.label, reference(hit), joined(&hit.title)));
                out.out(&format!("     {}", joined(&hit.snippet).replace('\n', " ")));
            }
        }
    }
    Ok(())
}

fn as_json(app: &App, id: &str, text: &str, results: &Results) -> Result<String> {
    let directory = app.directory()?;
    let hits = (1..).zip(&results.hits).map(|(rank, hit): (u32, &Hit)| {
        json!({
            "rank": rank,
            "ref": reference(hit),
            "kind": hit.kind.name,
            "id": hit.record.id.0,
            "number": hit.kind.number_of(&hit.record),
            "title": hit.kind.title_of(&hit.record),
            "state": hit.kind.flow.label(hit.record.state),
            "day": hit.kind.day_of(&hit.record).to_string(),
            "unit": if hit.kind.owned { directory.unit_at(hit.record.unit, hit.record.created) } else { "" },
            "snippet": joined(&hit.snippet),
        })
    });
    let kinds: serde_json::Map<String, serde_json::Value> = results
        .kinds
        .iter()
        .filter_map(|(tag, n)| Some((records::by_tag(*tag)?.name.to_owned(), json!(n))))
        .collect();
    let answer = json!({
        "id": id,
        "text": text,
        "total": results.total,
        "exact": results.exact,
        "kinds": kinds,
        "hits": hits.collect::<Vec<_>>(),
    });
    serde_json::to_string(&answer).map_err(Error::internal)
}

/// The caller's own id, or the register number, or kind and id; percent-encoded, so that it is one word.
fn reference(hit: &Hit) -> String {
    const PLAIN: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    let of = |role: Search| {
        let field = hit.kind.fields.iter().find(|f: &&Field| f.search == role);
        field.map_or("", |f| hit.record.fields.text(f.tag))
    };
    let word = match (of(Search::Reference), hit.kind.number_of(&hit.record)) {
        ("", "") => format!("{}-{}", hit.kind.name, hit.record.id),
        ("", number) => number.to_owned(),
        (reference, _) => reference.to_owned(),
    };
    percent_encoding::utf8_percent_encode(&word, PLAIN).to_string()
}

fn joined(pieces: &[crate::search::Piece]) -> String {
    pieces.iter().map(|p| p.text.as_str()).collect()
}
