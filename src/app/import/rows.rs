//! From a row of a source, as a JSON object, to the fields of a record. Rows go through the same rules as forms: the
//! gate of article 16 comes first, unknown columns become remarks, every problem names its column.

use serde_json::{Map, Value as Json};

use super::{Item, Problems, marks};
use crate::app::names::Directory;
use crate::base::{Error, RecordId, Result, limits};
use crate::records::decide::{self, Refusal};
use crate::records::field::{self, Field, Raw};
use crate::records::{Fields, Widget, article, petition, rank, regulation};

type RowResult = std::result::Result<Item, Problems>;

/// The unit of rows that name none.
pub(super) fn default_unit(directory: &Directory, options: &super::Options) -> Result<RecordId> {
    let name = options.unit.as_deref().unwrap_or("信访室");
    let unit = directory.unit_named(name).map(|u| u.id);
    unit.ok_or_else(|| Error::invalid(format!("没有名为“{name}”的机构，请用 --unit 指定已有的机构。")))
}

/// Said of a row that article 16 refuses.
pub(super) const GATE: &str = "科级及以上人员不得录入，本行没有保存，请径送（第十六条）。";

/// What to mend, by column; never what the row says.
pub(super) fn row_problems(refusal: Refusal) -> Vec<(String, String)> {
    match refusal {
        Refusal::Problems(problems) => problems,
        Refusal::Gate => vec![("accused".into(), GATE.into())],
        other => vec![("".into(), format!("{other:?}"))],
    }
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

/// A petition from its row.
pub(super) fn petition_row(
    line: u64,
    mut object: Map<String, Json>,
    unit: RecordId,
    directory: &Directory,
) -> RowResult {
    let mut raw = Raw::new();
    let mut unknown = Problems::new();
    let unit = match take(&mut object, "unit") {
        name if name.trim().is_empty() => unit,
        name => match directory.unit_named(&name) {
            Some(unit) => unit.id,
            // Said at the end: article 16 is asked first.
            None => {
                unknown.push(("unit".into(), "没有这个名称的机构，请先建立机构或改正名称。".into()));
                unit
            }
        },
    };
    let mut remarks = Vec::new();
    unknown.extend(petitioner(&mut object, &mut raw).err().unwrap_or_default());
    unknown.extend(accused(&mut object, &mut raw, &mut remarks).err().unwrap_or_default());
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
    let (fields, mut problems) = field::parse(petition::KIND.fields, &raw);
    // The gate comes first: a row it refuses is not described any further.
    if decide::gate_refuses(&petition::KIND, &fields) {
        return Err(row_problems(Refusal::Gate));
    }
    problems.splice(0..0, unknown);
    if !problems.is_empty() {
        return Err(problems);
    }
    let marks = marks::disagreements(&fields);
    Ok(Item { line, unit, fields, below: Vec::new(), marks })
}

fn add_remarks(raw: &mut Raw, remarks: Vec<String>) {
    let own = raw.iter().position(|(n, _)| n == "remarks").map(|place| raw.remove(place).1);
    let all: Vec<String> = own.into_iter().chain(remarks).collect();
    if !all.is_empty() {
        raw.push(("remarks".into(), all.join("\n")));
    }
}

fn petitioner(object: &mut Map<String, Json>, raw: &mut Raw) -> std::result::Result<(), Problems> {
    let person = match object.remove("petitioner") {
        None | Some(Json::Null) => return Ok(()),
        Some(Json::Object(person)) => person,
        Some(_) => {
            return Err(vec![("petitioner".into(), "检举控告人应为对象（name、phone、address……）。".into())]);
        }
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
    let wrong =
        || vec![("accused".into(), "被检举控告人应为数组，每人一个对象（name、org、post、rank）。".into())];
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

/// A regulation and its articles from a row.
pub(super) fn regulation_row(line: u64, mut object: Map<String, Json>) -> RowResult {
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
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Item { line, unit: RecordId(0), fields, below, marks: Problems::new() })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of an unknown unit was given back with all it said, whoever was accused in it.
    #[test]
    fn article_16_comes_before_every_other_fault_of_a_row() {
        let mut row = serde_json::json!({
            "title": "反映某人", "text": "收受礼金", "unit": "没有的机构", "petitioner": "不是对象", "received": "2024-02-30",
            "accused": [{"name": "钱金丝", "rank": "正科级"}],
        });
        let faults = |row: &Json| {
            let object = row.as_object().cloned().unwrap();
            petition_row(1, object, RecordId(1), &Directory::default()).err().unwrap()
        };
        assert_eq!(faults(&row), [("accused".to_owned(), GATE.to_owned())]);
        row["accused"][0]["rank"] = "村(社区)干部".into();
        let named: Vec<String> = faults(&row).into_iter().map(|(column, _)| column).collect();
        assert_eq!(named, ["unit", "petitioner", "received"]);
    }
}
