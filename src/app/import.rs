//! Ledgers that come in as JSON lines: petitions, and regulations with their articles. Rows go through the same
//! rules as forms; a chunk is one transaction; a row whose `ref` is there already is passed over, so a broken import
//! can be run again. What fails is named by line and column and is not kept.

use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;

use serde_json::{Map, Value as Json};

use super::record::author_for;
use super::{Actor, App, Right, Scope, names::Directory};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::decide::{self, Refusal};
use crate::records::field::{self, Field, Raw};
use crate::records::{Fields, Kind, Record, Value, Widget, act, article, petition, rank, regulation};
use crate::store::{Act, Txn};

/// How an import is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unit of rows that name none.
    pub unit: Option<String>,
    /// Check everything, store nothing.
    pub dry_run: bool,
    /// Names of the file's columns → names of fields.
    pub map: BTreeMap<String, String>,
}

/// Something wrong in a row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowProblem {
    /// Line in the file, from 1.
    pub line: u64,
    /// Column.
    pub column: String,
    /// What to do; never what the row says.
    pub message: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Rows read.
    pub read: u64,
    /// Rows that became records.
    pub created: u64,
    /// Articles that became records.
    pub articles: u64,
    /// Rows that were there already.
    pub skipped: u64,
    /// Rows that were refused.
    pub failed: u64,
    /// The first problems.
    pub problems: Vec<RowProblem>,
    /// References of this run, for a dry run that stores nothing.
    #[serde(skip)]
    seen: HashSet<String>,
}

/// A row ready to be stored, with the rows below it.
struct Item {
    line: u64,
    unit: RecordId,
    fields: Fields,
    below: Vec<Fields>,
}

type RowResult = std::result::Result<Item, Vec<(String, String)>>;

impl App {
    /// Imports petitions, a JSON object a line. `progress` is told the rows read so far.
    pub fn import_petitions(
        &self,
        actor: &Actor,
        input: &mut dyn BufRead,
        options: &Options,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Summary> {
        let directory = self.directory()?;
        let unit = default_unit(&directory, options)?;
        let row = |line: u64, object: Map<String, Json>| petition_row(line, object, unit, &directory);
        self.import(actor, &petition::KIND, input, options, &row, progress)
    }

    /// Imports regulations, a JSON object a line, articles inside.
    pub fn import_regulations(
        &self,
        actor: &Actor,
        input: &mut dyn BufRead,
        options: &Options,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Summary> {
        self.import(actor, &regulation::KIND, input, options, &regulation_row, progress)
    }

    fn import(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        input: &mut dyn BufRead,
        options: &Options,
        row: &dyn Fn(u64, Map<String, Json>) -> RowResult,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Summary> {
        if actor.scope(kind, Right::Create) == Scope::Nothing {
            return Err(self.refused(actor, kind, RecordId(0)));
        }
        let mut summary = Summary::default();
        let mut chunk: Vec<Item> = Vec::new();
        let mut weight = 0;
        let mut bytes = Vec::new();
        let mut line = 0;
        while read_line(input, &mut bytes)? {
            line += 1;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            summary.read += 1;
            match parse_line(&bytes, options).and_then(|object| row(line, object)) {
                Ok(item) => {
                    weight += 1 + item.below.len();
                    chunk.push(item);
                }
                Err(problems) => summary.fail(line, problems),
            }
            if weight >= limits::IMPORT_CHUNK {
                self.store_chunk(actor, kind, std::mem::take(&mut chunk), options.dry_run, &mut summary)?;
                weight = 0;
                progress(summary.read);
            }
        }
        self.store_chunk(actor, kind, chunk, options.dry_run, &mut summary)?;
        progress(summary.read);
        Ok(summary)
    }

    fn store_chunk(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        chunk: Vec<Item>,
        dry_run: bool,
        summary: &mut Summary,
    ) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let actor = actor.clone();
        let mut part = std::mem::take(summary);
        *summary = self.store.submit(move |txn| {
            if super::record::live(txn, &actor)?.scope(kind, Right::Create) == Scope::Nothing {
                return Err(Error::denied());
            }
            let before = part.created + part.articles;
            for item in chunk {
                store_item(txn, &actor, kind, item, dry_run, &mut part)?;
            }
            let note = format!("{} {}", kind.name, part.created + part.articles - before);
            txn.act(Act::new(actor.doer(), act::IMPORT).note(note));
            Ok(part)
        })?;
        Ok(())
    }
}

impl Summary {
    fn fail(&mut self, line: u64, problems: Vec<(String, String)>) {
        self.failed += 1;
        for (column, message) in problems {
            if self.problems.len() < limits::IMPORT_PROBLEMS {
                self.problems.push(RowProblem { line, column, message });
            }
        }
    }
}

fn store_item(
    txn: &mut Txn<'_>,
    actor: &Actor,
    kind: &'static Kind,
    item: Item,
    dry_run: bool,
    summary: &mut Summary,
) -> Result<()> {
    let reference = if kind.tag == petition::KIND.tag { petition::tag::REF } else { regulation::tag::REF };
    let value = item.fields.text(reference);
    let repeated = !value.is_empty() && dry_run && !summary.seen.insert(value.to_owned());
    if repeated || !value.is_empty() && is_there(txn, kind, reference, value)? {
        summary.skipped += 1;
        return Ok(());
    }
    let unit = if kind.owned { item.unit } else { RecordId(0) };
    if !super::record::live(txn, actor)?.may(kind, Right::Create, unit) {
        summary.fail(item.line, vec![("unit".into(), "您没有为这个机构登记的权限。".into())]);
        return Ok(());
    }
    let record = match decide::create(kind, item.fields, author_for(actor, item.unit), txn.now()) {
        Ok(record) => record,
        Err(refusal) => {
            summary.fail(item.line, row_problems(refusal));
            return Ok(());
        }
    };
    summary.created += 1;
    summary.articles += item.below.len() as u64;
    if dry_run {
        return Ok(());
    }
    let parent = txn.create(record)?;
    for below in item.below {
        let below = below.with(article::tag::REGULATION, Value::Link(parent));
        let made = decide::create(&article::KIND, below, author_for(actor, item.unit), txn.now());
        let made: Record = made.map_err(|r| Error::internal(format!("{r:?}")))?;
        txn.create(made)?;
    }
    Ok(())
}

/// A record with exactly this reference; keys are looked up folded.
fn is_there(txn: &Txn<'_>, kind: &'static Kind, tag: u16, value: &str) -> Result<bool> {
    for id in txn.find(kind, tag, value)? {
        if txn.get(id)?.is_some_and(|r| r.fields.text(tag) == value) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn row_problems(refusal: Refusal) -> Vec<(String, String)> {
    match refusal {
        Refusal::Problems(problems) => problems,
        Refusal::Gate => vec![("accused".into(), "科级及以上人员不得录入，本行没有保存，请径送（第十六条）。".into())],
        other => vec![("".into(), format!("{other:?}"))],
    }
}

/// Reads up to the next line feed; a line beyond the bound is refused.
fn read_line(input: &mut dyn BufRead, bytes: &mut Vec<u8>) -> Result<bool> {
    use std::io::Read;
    bytes.clear();
    let bound = limits::IMPORT_LINE_BYTES as u64 + 1;
    let read = Read::take(&mut *input, bound).read_until(b'\n', bytes)?;
    if bytes.len() > limits::IMPORT_LINE_BYTES {
        return Err(Error::invalid("文件中有一行过长，不像 JSONL。请检查文件格式。"));
    }
    Ok(read > 0)
}

fn parse_line(bytes: &[u8], options: &Options) -> std::result::Result<Map<String, Json>, Vec<(String, String)>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let object: Map<String, Json> = serde_json::from_slice(bytes)
        .map_err(|_| vec![("".to_owned(), "这一行不是 JSON 对象，请检查文件是否为 UTF-8 编码的 JSONL。".to_owned())])?;
    let rename = |key: String| options.map.get(&key).cloned().unwrap_or(key);
    Ok(object.into_iter().map(|(k, v)| (rename(k), v)).collect())
}

fn default_unit(directory: &Directory, options: &Options) -> Result<RecordId> {
    let name = options.unit.as_deref().unwrap_or("信访室");
    let unit = directory.unit_named(name).map(|u| u.id);
    unit.ok_or_else(|| Error::invalid(format!("没有名为“{name}”的机构，请用 --unit 指定已有的机构。")))
}

/// Words of a JSON value; nothing for null. Ledgers carry control characters that no form would take: they become
/// blanks.
fn words(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(s) => {
            let clean = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { ' ' } else { c };
            s.replace("\r\n", "\n").chars().map(clean).collect()
        }
        other => other.to_string(),
    }
}

/// The words of a field that has one line.
fn one_line(field: &Field, text: String) -> String {
    if matches!(field.widget, Widget::Area) { text } else { text.replace(['\n', '\t'], " ") }
}

fn take(object: &mut Map<String, Json>, key: &str) -> String {
    object.remove(key).map(|v| words(&v)).unwrap_or_default()
}

fn petition_row(line: u64, mut object: Map<String, Json>, unit: RecordId, directory: &Directory) -> RowResult {
    let mut raw = Raw::new();
    let unit = match take(&mut object, "unit") {
        name if name.trim().is_empty() => unit,
        name => match directory.unit_named(&name) {
            Some(unit) => unit.id,
            None => return Err(vec![("unit".into(), "没有这个名称的机构，请先建立机构或改正名称。".into())]),
        },
    };
    let mut remarks = Vec::new();
    petitioner(&mut object, &mut raw)?;
    accused(&mut object, &mut raw, &mut remarks)?;
    let known = |key: &str| petition::KIND.field_named(key).filter(|f| f.typed());
    for (key, value) in object {
        let text = words(&value);
        match known(&key) {
            _ if text.is_empty() => {}
            Some(field) => raw.push((key, one_line(field, text))),
            None => remarks.push(format!("{key}：{text}")),
        }
    }
    add_remarks(&mut raw, remarks);
    let (fields, problems) = field::parse(petition::KIND.fields, &raw);
    // The gate comes first: a row it refuses is not described any further.
    if decide::gate_refuses(&petition::KIND, &fields) {
        return Err(row_problems(Refusal::Gate));
    }
    if problems.is_empty() { Ok(Item { line, unit, fields, below: Vec::new() }) } else { Err(problems) }
}

fn add_remarks(raw: &mut Raw, remarks: Vec<String>) {
    let own = raw.iter().position(|(n, _)| n == "remarks").map(|place| raw.remove(place).1);
    let all: Vec<String> = own.into_iter().chain(remarks).collect();
    if !all.is_empty() {
        raw.push(("remarks".into(), all.join("\n")));
    }
}

type Problems = Vec<(String, String)>;

fn petitioner(object: &mut Map<String, Json>, raw: &mut Raw) -> std::result::Result<(), Problems> {
    let person = match object.remove("petitioner") {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::Object(person)) => person,
        Some(_) => return Err(vec![("petitioner".into(), "检举控告人应为对象（name、phone、address……）。".into())]),
    };
    let mut other = Vec::new();
    for (key, value) in person {
        let (name, text) = (format!("petitioner.{key}"), words(&value));
        match petition::KIND.field_named(&name) {
            _ if text.is_empty() => {}
            Some(field) => raw.push((name, one_line(field, text))),
            None => other.push(format!("{key}：{text}")),
        }
    }
    if !other.is_empty() {
        raw.push(("petitioner.other".into(), other.join("\n")));
    }
    Ok(())
}

/// A rank of the gate that is stated in another column counts as well.
fn stated(code: &mut &'static str, text: &str) {
    let rank = rank::from_words(text);
    if rank::is_blocked(rank) {
        *code = rank;
    }
}

fn accused(
    object: &mut Map<String, Json>,
    raw: &mut Raw,
    remarks: &mut Vec<String>,
) -> std::result::Result<(), Problems> {
    let wrong = || vec![("accused".into(), "被检举控告人应为数组，每人一个对象（name、org、post、rank）。".into())];
    let persons = match object.remove("accused") {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::Array(persons)) => persons,
        Some(_) => return Err(wrong()),
    };
    for (n, person) in persons.into_iter().enumerate() {
        let Json::Object(person) = person else { return Err(wrong()) };
        let mut code = rank::UNKNOWN;
        for (key, value) in person {
            let text = words(&value);
            match petition::ACCUSED_FIELDS.iter().find(|f| f.name == key) {
                _ if text.is_empty() => {}
                Some(f) if f.name == "rank" => {
                    code = if rank::is_blocked(code) { code } else { rank::from_words(&text) };
                    remarks.extend((code == rank::UNKNOWN).then(|| format!("第{}人职级：{text}", n + 1)));
                }
                Some(field) => {
                    stated(&mut code, &text);
                    raw.push((format!("accused.{n}.{key}"), one_line(field, text)));
                }
                None => {
                    stated(&mut code, &text);
                    remarks.push(format!("第{}人{key}：{text}", n + 1));
                }
            }
        }
        raw.push((format!("accused.{n}.rank"), code.to_owned()));
    }
    Ok(())
}

fn regulation_row(line: u64, mut object: Map<String, Json>) -> RowResult {
    let articles = match object.remove("articles") {
        Some(Json::Array(articles)) => articles,
        None | Some(Json::Null) => Vec::new(),
        Some(_) => return Err(vec![("articles".into(), "条文应为数组。".into())]),
    };
    let mut remarks = Vec::new();
    let mut raw = Raw::new();
    for (key, value) in object {
        let text = words(&value);
        match regulation::KIND.field_named(&key).filter(|f| f.typed()) {
            _ if text.is_empty() => {}
            Some(field) => raw.push((key, one_line(field, text))),
            None => remarks.push(format!("{key}：{text}")),
        }
    }
    let mut below = Vec::with_capacity(articles.len());
    let mut problems = Vec::new();
    let cover = field::parse(regulation::KIND.fields, &raw).0;
    for (order, json) in articles.into_iter().enumerate() {
        match article_fields(order, json, &cover, &mut remarks) {
            Ok(fields) => below.push(fields),
            Err(wrong) => problems.extend(wrong),
        }
    }
    add_remarks(&mut raw, remarks);
    let (fields, wrong) = field::parse(regulation::KIND.fields, &raw);
    problems.extend(wrong);
    if problems.is_empty() { Ok(Item { line, unit: RecordId(0), fields, below }) } else { Err(problems) }
}

/// The fields of one article; its regulation is linked when both are stored.
fn article_fields(
    order: usize,
    json: Json,
    cover: &Fields,
    remarks: &mut Vec<String>,
) -> std::result::Result<Fields, Problems> {
    let column = |name: &str| format!("articles.{order}.{name}");
    let Json::Object(mut object) = json else {
        return Err(vec![(column("text"), "条文应为对象（no、chapter、text）。".into())]);
    };
    let title = cover.text(regulation::tag::TITLE);
    let no = object.get("no").map(words).unwrap_or_default().replace(['\n', '\t'], " ");
    let address = format!("《{title}》{no}");
    let mut raw = vec![
        ("regulation".to_owned(), "0".to_owned()),
        ("order".to_owned(), order.to_string()),
        ("address".to_owned(), address.chars().take(limits::LINE_CHARS).collect()),
        ("status".to_owned(), cover.text(regulation::tag::STATUS).to_owned()),
        ("published".to_owned(), cover.day(regulation::tag::PUBLISHED).to_string()),
    ];
    for name in ["no", "chapter", "text", "ref"] {
        let text = take(&mut object, name);
        let field = article::KIND.field_named(name);
        raw.push((name.to_owned(), field.map_or(String::new(), |f| one_line(f, text))));
    }
    remarks.extend(object.iter().map(|(key, value)| format!("第{}条{key}：{}", order + 1, words(value))));
    let (fields, wrong) = field::parse(article::KIND.fields, &raw);
    let wrong: Problems = wrong.into_iter().map(|(name, message)| (column(&name), message)).collect();
    if wrong.is_empty() { Ok(fields) } else { Err(wrong) }
}
