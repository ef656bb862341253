//! Where rows come from: JSON lines, the rows of a workbook or csv, recognised regulations. Each becomes a JSON object
//! with the names of fields, beside the cells as they stood.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::Problems;
use super::columns::Layout;
use crate::base::{Error, Result, limits};
use crate::foreign::Item;
use crate::foreign::statute::Statute;
use crate::records::regulation;

/// Names a column as whoever made the file knows it.
pub type Label = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A row as it came.
#[derive(Debug)]
pub struct SourceRow {
    /// Line or row in the file, from 1.
    pub line: u64,
    /// Its cells, where it has some; they are given back when the row is refused.
    pub cells: Vec<String>,
    /// Values by name of field, or what is wrong with the row as a whole.
    pub object: std::result::Result<Map<String, Json>, Problems>,
}

/// Rows of one file.
pub struct Source<'a> {
    /// The rows, once.
    pub rows: Box<dyn Iterator<Item = Result<SourceRow>> + 'a>,
    /// Names its columns.
    pub label: Label,
}

/// A JSON object a line; `map` renames its keys.
pub fn jsonl<'a>(input: &'a mut dyn BufRead, map: &'a BTreeMap<String, String>) -> Source<'a> {
    let mut bytes = Vec::new();
    let mut line = 0;
    let rows = std::iter::from_fn(move || {
        loop {
            match read_line(input, &mut bytes) {
                Ok(false) => return None,
                Ok(true) => line += 1,
                Err(e) => return Some(Err(e)),
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                let object = parse_line(&bytes, map);
                // What cannot be read may be about anybody: it is not given back.
                let whole = || String::from_utf8_lossy(&bytes).trim().to_owned();
                let cells = object.is_ok().then(whole).into_iter().collect();
                return Some(Ok(SourceRow { line, cells, object }));
            }
        }
    });
    Source { rows: Box::new(rows), label: Arc::new(str::to_owned) }
}

/// Rows of one sheet below its heads.
pub fn table<'a>(items: impl Iterator<Item = Result<Item>> + 'a, layout: &'a Layout) -> Source<'a> {
    let mut inside = false;
    let rows = items.filter_map(move |item| match item {
        Err(e) => Some(Err(e)),
        Ok(Item::Sheet(name)) => {
            inside = name == layout.sheet;
            None
        }
        Ok(Item::Row { number, cells }) if inside && number > layout.head_row => {
            Some(Ok(SourceRow { line: number, object: Ok(layout.object(&cells)), cells }))
        }
        Ok(_) => None,
    });
    let heads = layout.clone();
    Source { rows: Box::new(rows), label: Arc::new(move |column| heads.head_of(column)) }
}

/// Names a column of a recognised regulation.
pub(super) fn regulation_label(column: &str) -> String {
    let label = regulation::KIND.field_named(column).map(|f| f.label);
    label.map_or_else(|| column.to_owned(), str::to_owned)
}

/// A regulation as the rows of JSON lines have it.
pub(super) fn regulation(statute: &Statute) -> Map<String, Json> {
    let articles: Vec<Json> = statute
        .articles
        .iter()
        .map(|a| serde_json::json!({ "no": a.no, "chapter": a.chapter, "text": a.text }))
        .collect();
    let texts = [
        ("title", &statute.title),
        ("number", &statute.number),
        ("issuer", &statute.issuer),
        ("level", &statute.level),
        ("published", &statute.published),
        ("effective", &statute.effective),
        ("status", &statute.status),
        ("text", &statute.preamble),
    ];
    let mut object: Map<String, Json> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), Json::String((*text).clone()))).collect();
    object.insert("articles".to_owned(), Json::Array(articles));
    object
}

/// Reads up to the next line feed; a line beyond the bound is refused.
fn read_line(input: &mut dyn BufRead, bytes: &mut Vec<u8>) -> Result<bool> {
    bytes.clear();
    let bound = limits::IMPORT_LINE_BYTES as u64 + 1;
    let read = Read::take(&mut *input, bound).read_until(b'\n', bytes)?;
    if bytes.len() > limits::IMPORT_LINE_BYTES {
        return Err(Error::invalid("文件中有一行过长，不像 JSONL。请检查文件格式。"));
    }
    Ok(read > 0)
}

fn parse_line(
    bytes: &[u8],
    map: &BTreeMap<String, String>,
) -> std::result::Result<Map<String, Json>, Problems> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let object: Map<String, Json> = serde_json::from_slice(bytes).map_err(|_| {
        vec![("".to_owned(), "这一行不是 JSON 对象，请检查文件是否为 UTF-8 编码的 JSONL。".to_owned())]
    })?;
    let rename = |key: String| map.get(&key).cloned().unwrap_or(key);
    Ok(object.into_iter().map(|(k, v)| (rename(k), v)).collect())
}
