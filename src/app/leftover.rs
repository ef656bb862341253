//! What a host had acknowledged and not delivered before another one took over: written out for re-entry there.
//!
//! What must hold: whoever writes it out sees only what their rights let them see, and the act is entered before a
//! byte is written; records that were entered are rows that an import takes, all else is listed for people.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::import::columns::TARGETS;
use super::names::Directory;
use super::sight::Sight;
use super::{Actor, App, Right};
use crate::backup::spool::Spool;
use crate::base::{Error, RecordId, Result, Seq};
use crate::foreign;
use crate::records::{self, Fields, Kind, Record, Value, Widget, act, petition};
use crate::store::{Act, Snapshot};

/// What stands where one of several persons has no value: an import keeps persons apart by their places.
const UNKNOWN: &str = "不详";
/// The same for ranks.
const RANK_UNKNOWN: &str = "待核实";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The last entry that was delivered.
    pub after: Seq,
    /// Petitions that were entered after it: rows of the workbook.
    pub entered: usize,
    /// Other records that were entered or changed after it: rows of the list beside it.
    pub changed: usize,
    /// Attachments among all of them.
    pub files: usize,
    /// Records that whoever asked may not see.
    pub withheld: usize,
    /// Where the list lies.
    pub list: PathBuf,
}

impl Leftover {
    /// In words.
    pub fn words(&self) -> String {
        let withheld = match self.withheld {
            0 => String::new(),
            n => format!("；另有 {n} 条您无权查看，请由有权的人再导出一次"),
        };
        format!(
            "日志第 {} 条之后新登记的信访件 {} 件（可用 jiceng import 补录）；其他登记和修改 {} 条、附件 {} 个列在 {}，请逐条核对补录{withheld}。",
            self.after,
            self.entered,
            self.changed,
            self.files,
            self.list.display()
        )
    }
}

/// A record that an undelivered entry touched.
struct Touched {
    kind: &'static Kind,
    record: Record,
    created: bool,
    entries: Vec<u64>,
}

impl App {
    /// Writes petitions that were entered after an entry to a new workbook at `to`, and everything else beside it. The
    /// entry is the last one that was delivered, as the spool says where it is not given.
    pub fn leftover(&self, actor: &Actor, after: Option<u64>, spool: Option<&Path>, to: &Path) -> Result<Leftover> {
        let after = match (after, spool) {
            (Some(after), _) => Seq(after),
            (None, Some(spool)) => self.delivered(spool)?,
            (None, None) => return Err(Error::usage("请用 --after 写明新主机有的最后一条日志，或用 --spool 写明异地交换目录。")),
        };
        let snapshot = self.store.read()?;
        if after > snapshot.head()?.seq {
            return Err(Error::invalid(format!("本机的日志没有第 {after} 条，没有导出。请核对 --after。")));
        }
        let (touched, withheld) = touched_after(&snapshot, actor, after)?;
        let (new, other): (Vec<_>, Vec<_>) =
            touched.iter().partition(|t| t.created && t.kind.tag == petition::KIND.tag);
        let directory = self.directory()?;
        let files = touched.iter().map(|t| t.record.fields.all_files().count()).sum();
        let list = to.with_extension("核对.xlsx");
        let done =
            Leftover { after, entered: new.len(), changed: other.len(), files, withheld, list: list.clone() };
        let (book, listed) = (re_entry(actor, &directory, &new)?, listing(actor, &directory, &touched)?);
        let note = format!("after {after} records {}", new.len() + other.len());
        let seen = touched.iter().map(|t| (t.record.id, t.kind.tag, t.record.version));
        let act = Act::new(actor.doer(), act::LEFTOVER).note(note).read(seen);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        super::write_private(to, &book)?;
        super::write_private(&list, &listed)?;
        Ok(done)
    }

    /// The last entry of this store's own that the target has, as the shipper noted it.
    fn delivered(&self, spool: &Path) -> Result<Seq> {
        let shipped = Spool::open(spool)?.shipped().ok_or_else(|| {
            Error::invalid("异地交换目录中没有送达记录。请用 --after 写明新主机接替时有的最后一条日志。")
        })?;
        if let Some(to) = shipped.slot.to()
            && self.store.read()?.hash_at(to.seq)? == Some(to.hash)
        {
            return Ok(to.seq);
        }
        Err(Error::invalid("送达记录与本机的日志对不上。请用 --after 写明新主机接替时有的最后一条日志。"))
    }
}

fn touched_after(snapshot: &Snapshot, actor: &Actor, after: Seq) -> Result<(Vec<Touched>, usize)> {
    let mut ids: BTreeMap<RecordId, (bool, Vec<u64>)> = BTreeMap::new();
    for entry in snapshot.journal_after(after)? {
        let header = entry?.header;
        for subject in header.subjects.iter().filter(|s| s.digest.is_some()) {
            let (created, entries) = ids.entry(subject.id).or_default();
            *created |= subject.version == 1;
            entries.push(header.seq.0);
        }
    }
    let sight = Sight::of(snapshot, actor)?;
    let (mut all, mut withheld) = (Vec::new(), 0);
    for (id, (created, entries)) in ids {
        // What came with a batch that is not done was never acknowledged.
        let Some(record) = snapshot.get(id, true)? else { continue };
        let Some(kind) = records::by_tag(record.kind) else { continue };
        if actor.may(kind, Right::See, record.unit) && !sight.bars(&record) {
            all.push(Touched { kind, record, created, entries });
        } else {
            withheld += 1;
        }
    }
    Ok((all, withheld))
}

/// A row for each petition, under the heads that an import knows.
fn re_entry(actor: &Actor, directory: &Directory, new: &[&Touched]) -> Result<Vec<u8>> {
    let value = |t: &Touched, name: &str| {
        let identity = name.starts_with("petitioner.");
        let shown = !identity || actor.may_identify(t.kind, t.record.unit);
        if shown { cell(directory, &t.record, name) } else { String::new() }
    };
    let used: Vec<_> = TARGETS.iter().filter(|target| new.iter().any(|t| !value(t, target.name).is_empty())).collect();
    let heads: Vec<String> = used.iter().map(|t| t.label.to_owned()).collect();
    foreign::workbook(&heads, new.iter().map(|t| used.iter().map(|target| value(t, target.name)).collect()))
}

fn cell(directory: &Directory, record: &Record, name: &str) -> String {
    let fields = petition::KIND.fields;
    let shown = |name: &str| {
        let field = fields.iter().find(|f| f.name == name);
        field.map_or_else(String::new, |f| record.fields.display(fields, f.tag))
    };
    match name {
        "unit" => directory.unit(record.unit).to_owned(),
        // A second import of the same file is noticed by it, and the number of this host is not lost.
        "ref" if shown("ref").is_empty() => petition::KIND.number_of(record).to_owned(),
        _ => match name.strip_prefix("accused.") {
            Some(column) => persons(&record.fields, column),
            None => shown(name),
        },
    }
}

/// A value for each accused person, a line each.
fn persons(fields: &Fields, column: &str) -> String {
    let kind = &petition::KIND;
    let Some(Widget::Rows(columns)) = kind.field(petition::tag::ACCUSED).map(|f| f.widget) else {
        return String::new();
    };
    let Some(Value::Rows(rows)) = fields.get(petition::tag::ACCUSED) else { return String::new() };
    let Some(field) = columns.iter().find(|f| f.name == column) else { return String::new() };
    let values: Vec<String> = rows.iter().map(|row| row.display(columns, field.tag)).collect();
    if values.iter().all(String::is_empty) {
        return String::new();
    }
    let unknown = if column == "rank" { RANK_UNKNOWN } else { UNKNOWN };
    let filled = values.into_iter().map(|v| if v.is_empty() { unknown.to_owned() } else { v });
    filled.collect::<Vec<_>>().join("\n")
}

/// Everything that was touched, for people: which, in which entries, what it says now, which attachments it has.
fn listing(actor: &Actor, directory: &Directory, all: &[Touched]) -> Result<Vec<u8>> {
    let heads = ["类别", "编号", "登记机构", "情况", "本机日志", "现在的内容", "附件"].map(str::to_owned);
    foreign::workbook(&heads, all.iter().map(|t| {
        let number = t.kind.number_of(&t.record);
        let number = if number.is_empty() { format!("#{}", t.record.id) } else { number.to_owned() };
        let files: Vec<String> = t.record.fields.all_files().map(|f| f.name).collect();
        let entries: Vec<String> = t.entries.iter().map(u64::to_string).collect();
        vec![
            t.kind.label.to_owned(),
            number,
            directory.unit(t.record.unit).to_owned(),
            if t.created { "新登记" } else { "修改" }.to_owned(),
            entries.join("、"),
            content(actor, t),
            files.join("\n"),
        ]
    }))
}

fn content(actor: &Actor, touched: &Touched) -> String {
    let (kind, record) = (touched.kind, &touched.record);
    let identified = actor.may_identify(kind, record.unit);
    let shown = kind.fields.iter().filter(|f| !matches!(f.widget, Widget::Hidden | Widget::Files));
    let shown = shown.filter(|f| f.part == records::Part::Main || identified);
    let lines = shown.map(|f| (f.label, record.fields.display(kind.fields, f.tag))).filter(|(_, v)| !v.is_empty());
    let mut lines: Vec<String> = lines.map(|(label, value)| format!("{label}：{value}")).collect();
    lines.insert(0, format!("状态：{}", kind.flow.label(record.state)));
    lines.join("\n")
}
