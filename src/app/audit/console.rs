//! The console: entries by person, unit, group of acts, day, outcome and record; on pages, on paper, in a workbook.
//!
//! What must hold: an address that remembers a filter holds numbers and names of groups, nothing that was typed; one
//! page looks at a bounded number of entries; of a record nothing is shown but kind and number, unless its kind is one
//! of administration.

use std::collections::{BTreeMap, HashMap};

use super::{Change, Line, line};
use crate::app::names::Directory;
use crate::app::{Actor, App, record};
use crate::base::{Day, Error, RecordId, Result, Seq, limits};
use crate::foreign;
use crate::records::audit::{Group, SETTINGS, is_administration};
use crate::records::{self, Fields, Kind, Part, Value, Widget, act};
use crate::store::{Act, Entry, Head, Header, Snapshot};

/// What the auditor asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By this account; 0 is the machine, the host's console and strangers.
    pub person: Option<RecordId>,
    /// By accounts that were of this unit then.
    pub unit: Option<RecordId>,
    /// Acts of this group.
    pub group: Option<Group>,
    /// First day `yyyymmdd`, 0 for no bound.
    pub from: i32,
    /// Last day, 0 for no bound.
    pub to: i32,
    /// Done, or refused.
    pub done: Option<bool>,
    /// About this record; lists and searches are not among the acts that are found by it.
    pub record: Option<RecordId>,
}

impl Filter {
    /// Reads an address; what is no filter of ours is none.
    pub fn read(asked: impl Fn(&str) -> String) -> Self {
        let id = |name: &str| asked(name).parse().ok();
        let day = |name: &str| asked(name).parse::<i32>().ok().filter(|n| Day::from_number(*n).is_some());
        Self {
            person: id("person"),
            unit: id("unit"),
            group: Group::named(&asked("group")),
            from: day("from").unwrap_or(0),
            to: day("to").unwrap_or(0),
            done: match asked("done").as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            },
            record: id("record"),
        }
    }

    /// The parameters of an address, in a fixed order.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let id = |id: Option<RecordId>| id.map(|id| id.to_string()).unwrap_or_default();
        let day = |n: i32| if n == 0 { String::new() } else { n.to_string() };
        let done = self.done.map_or("", |done| if done { "yes" } else { "no" });
        let all = [
            ("person", id(self.person)),
            ("unit", id(self.unit)),
            ("group", self.group.map_or("", Group::name).to_owned()),
            ("from", day(self.from)),
            ("to", day(self.to)),
            ("done", done.to_owned()),
            ("record", id(self.record)),
        ];
        all.into_iter().filter(|(_, v)| !v.is_empty()).collect()
    }

    /// An address with these parameters and others.
    pub fn address(&self, path: &str, more: &[(&'static str, String)]) -> String {
        let pairs = self.pairs().into_iter().chain(more.iter().cloned());
        let all: Vec<String> = pairs.map(|(n, v)| format!("{n}={v}")).collect();
        if all.is_empty() { path.to_owned() } else { format!("{path}?{}", all.join("&")) }
    }

    fn takes(&self, header: &Header) -> bool {
        let day = header.at.day().number();
        let kinds = || header.subjects.iter().map(|s| s.kind).collect::<Vec<_>>();
        self.person.is_none_or(|p| p == header.doer.account)
            && self.unit.is_none_or(|u| u == header.doer.unit)
            && self.done.is_none_or(|d| d == header.done)
            && (self.from == 0 || day >= self.from)
            && (self.to == 0 || day <= self.to)
            && self.record.is_none_or(|r| header.subjects.iter().any(|s| s.id == r))
            && self.group.is_none_or(|g| g == Group::of(header.action, header.done, &kinds()))
    }
}

/// A page of the console.
pub struct Page {
    /// Entries, the newest first.
    pub lines: Vec<Line>,
    /// Head of the journal.
    pub head: Head,
    /// Before which entry the next page begins; `None` at the end.
    pub next: Option<u64>,
    /// There may be more that this page did not come to look at.
    pub unfinished: bool,
}

impl App {
    /// Entries that a filter takes, before one of them (from the newest when 0), the newest first.
    pub fn audit_page(&self, actor: &Actor, filter: &Filter, before: u64, limit: usize) -> Result<Page> {
        self.audits(actor)?;
        let most = if limit > limits::AUDIT_PRINT_LINES { usize::MAX } else { limits::AUDIT_LOOKED_AT };
        self.audit_lines(filter, before, (limit, most))
    }

    /// Entries for the printer; that they were laid out is entered before.
    pub fn audit_print(&self, actor: &Actor, filter: &Filter) -> Result<Page> {
        self.audits(actor)?;
        let page = self.audit_page(actor, filter, 0, limits::AUDIT_PRINT_LINES)?;
        self.enter_print(actor, noted(filter, page.lines.len()))?;
        Ok(page)
    }

    /// A workbook of entries; that it was made is entered before it leaves.
    pub fn audit_export(&self, actor: &Actor, filter: &Filter, words: &dyn Fn(&Line) -> String) -> Result<Vec<u8>> {
        self.audits(actor)?;
        actor.proved()?;
        let page = self.audit_page(actor, filter, 0, limits::AUDIT_EXPORT_LINES)?;
        if page.next.is_some() {
            let most = limits::AUDIT_EXPORT_LINES;
            return Err(Error::invalid(format!("符合条件的记录超过 {most} 条，没有导出。请缩短日期范围后分次导出。")));
        }
        let directory = self.directory()?;
        let heads = ["序号", "时间", "人员", "单位", "途径", "类别", "操作", "结果", "对象", "说明", "变更"];
        let rows = page.lines.iter().map(|l| row(&directory, l, words(l)));
        let mark = format!(
            "{}（{}）于 {} 导出，共 {} 条，日志链头 {} {}",
            actor.name,
            actor.login,
            self.now(),
            page.lines.len(),
            page.head.seq,
            hex::encode(page.head.hash)
        );
        let book = foreign::workbook(&heads.map(str::to_owned), rows.chain([vec![mark]]))?;
        let (own, note) = (actor.clone(), noted(filter, page.lines.len()));
        self.store.submit(move |txn| {
            if !record::live(txn, &own)?.is("auditor") {
                return Err(Error::denied());
            }
            txn.act(Act::new(own.doer(), act::AUDIT_EXPORT).note(note));
            Ok(())
        })?;
        Ok(book)
    }

    /// The record that a typed number means: its id, or a register number; `None` when there is none.
    pub fn audit_record(&self, actor: &Actor, typed: &str) -> Result<Option<RecordId>> {
        self.audits(actor)?;
        let typed = typed.trim();
        if typed.is_empty() {
            return Ok(None);
        }
        if let Ok(id) = typed.trim_start_matches(['#', '＃']).parse() {
            return Ok(Some(id));
        }
        let snapshot = self.store.read()?;
        for kind in records::ALL {
            let Some((tag, _)) = kind.number else { continue };
            if let Some(id) = snapshot.find(kind, tag, typed)?.first() {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }

    fn audit_lines(&self, filter: &Filter, before: u64, (limit, most): (usize, usize)) -> Result<Page> {
        let (first, last) = self.span(filter)?;
        let snapshot = self.store.read()?;
        let head = snapshot.head()?;
        let top = if before == 0 { head.seq.0 } else { before.saturating_sub(1).min(head.seq.0) }.min(last);
        let mut found = Vec::new();
        let (mut looked, mut seen, mut unfinished) = (top + 1, 0, false);
        match filter.record {
            // The table of stories knows which entries are about a record.
            Some(id) => {
                let story = snapshot.story_numbers(id)?.into_iter().rev().filter(|n| (first..=top).contains(n));
                for seq in story {
                    if found.len() == limit {
                        break;
                    }
                    looked = seq;
                    found.extend(snapshot.entry(Seq(seq))?.filter(|e| filter.takes(&e.header)));
                }
            }
            None if first <= top => {
                for row in snapshot.headers(first, top)?.rev() {
                    unfinished = seen >= most;
                    if found.len() == limit || unfinished {
                        break;
                    }
                    let (seq, header) = row?;
                    (looked, seen) = (seq, seen + 1);
                    if header.is_ok_and(|h| filter.takes(&h)) {
                        found.extend(snapshot.entry(Seq(seq))?);
                    }
                }
            }
            None => {}
        }
        let more = found.len() == limit || unfinished;
        let next = (more && looked > first.max(1)).then_some(looked);
        Ok(Page { lines: self.told(&snapshot, found)?, head, next, unfinished })
    }

    /// Between which entries those of the days of a filter lie.
    fn span(&self, filter: &Filter) -> Result<(u64, u64)> {
        if filter.from == 0 && filter.to == 0 {
            return Ok((1, u64::MAX));
        }
        let state = self.watched()?;
        let to = if filter.to == 0 { i32::MAX } else { filter.to };
        let spans: Vec<(u64, u64)> = match filter.from <= to {
            true => state.days.range(filter.from..=to).map(|(_, d)| d.span).collect(),
            false => Vec::new(),
        };
        let first = spans.iter().map(|s| s.0).min().unwrap_or(1);
        Ok((first, spans.iter().map(|s| s.1).max().unwrap_or(0)))
    }

    /// Lines with everything that the auditor may see of them.
    fn told(&self, snapshot: &Snapshot, entries: Vec<Entry>) -> Result<Vec<Line>> {
        let directory = self.directory()?;
        let mut stories = HashMap::new();
        let mut lines = Vec::new();
        for entry in entries {
            let mut changes = Vec::new();
            let changed = entry.header.subjects.iter().filter(|s| s.digest.is_some());
            for subject in changed.take(limits::AUDIT_SUBJECTS) {
                let Some(kind) = records::by_tag(subject.kind).filter(|k| is_administration(k)) else { continue };
                if let std::collections::hash_map::Entry::Vacant(free) = stories.entry(subject.id) {
                    free.insert(story(snapshot, &directory, kind, subject.id)?);
                }
                let steps = stories.get_mut(&subject.id);
                changes.extend(steps.and_then(|s| s.remove(&entry.header.seq.0)).unwrap_or_default());
            }
            lines.push(Line { changes, ..line(snapshot, entry) });
        }
        if lines.iter().any(|l| SETTINGS.contains(&l.header.action)) {
            let state = self.watched()?;
            for line in lines.iter_mut().filter(|l| SETTINGS.contains(&l.header.action)) {
                let before = state.set_before(line.header.action, line.header.seq.0);
                line.before = Some(before.unwrap_or_default().to_owned());
            }
        }
        Ok(lines)
    }
}

/// What each entry changed in a record of administration, by the number of the entry.
fn story(
    snapshot: &Snapshot,
    directory: &Directory,
    kind: &'static Kind,
    id: RecordId,
) -> Result<BTreeMap<u64, Vec<Change>>> {
    let mut now = Fields::default();
    let mut state: Option<u8> = None;
    let mut steps = BTreeMap::new();
    for entry in snapshot.story(id)? {
        let mut changes = Vec::new();
        for delta in snapshot.delta(&entry, id, false)? {
            for (tag, value) in delta.fields().iter() {
                let old = now.get(tag).cloned();
                changes.extend(change(directory, kind, tag, (old, Some(value.clone()))));
                now.insert(tag, value);
            }
            for tag in &delta.gone {
                changes.extend(change(directory, kind, *tag, (now.remove(*tag), None)));
            }
            if let Some(next) = delta.state().filter(|s| state != Some(*s)) {
                let word = |s: u8| kind.flow.label(s).to_owned();
                let (label, old) = (format!("{} #{id} 状态", kind.label), state.map(word));
                changes.push(Change { label, old, new: Some(word(next)), hidden: false });
                state = Some(next);
            }
        }
        for change in &mut changes {
            if !change.label.starts_with(kind.label) {
                change.label = format!("{} #{id} {}", kind.label, change.label);
            }
        }
        if !changes.is_empty() {
            steps.insert(entry.header.seq.0, changes);
        }
    }
    Ok(steps)
}

/// One field: hidden ones say only that they changed, and what is no field of the main part says nothing.
fn change(
    directory: &Directory,
    kind: &Kind,
    tag: u16,
    (old, new): (Option<Value>, Option<Value>),
) -> Option<Change> {
    let field = kind.field(tag).filter(|f| f.part == Part::Main)?;
    let hidden = matches!(field.widget, Widget::Hidden);
    let word = |value: Value| -> String {
        let text = match (&value, &field.widget) {
            (Value::Link(id), Widget::Link("org")) => directory.unit(*id).to_owned(),
            _ => value.display(Some(field)),
        };
        let short: String = text.chars().take(limits::AUDIT_VALUE_CHARS).collect();
        if short.len() < text.len() { format!("{short}…") } else { short }
    };
    let (old, new) = if hidden { (None, None) } else { (old.map(word), new.map(word)) };
    Some(Change { label: field.label.to_owned(), old, new, hidden })
}

/// What the journal says of a filter: its parameters, and how many entries it gave.
fn noted(filter: &Filter, count: usize) -> String {
    let pairs = filter.pairs().into_iter().map(|(n, v)| format!("{n}={v} "));
    format!("{}lines {count}", pairs.collect::<String>())
}

fn row(directory: &Directory, line: &Line, words: String) -> Vec<String> {
    let h = &line.header;
    let kinds: Vec<u8> = h.subjects.iter().map(|s| s.kind).collect();
    vec![
        h.seq.to_string(),
        h.at.to_string(),
        doer(directory, h),
        directory.unit_at(h.doer.unit, h.at).to_owned(),
        h.doer.via.clone(),
        Group::of(h.action, h.done, &kinds).label().to_owned(),
        h.verb().label.to_owned(),
        if h.done { "成功" } else { "未成功" }.to_owned(),
        objects(h),
        words,
        line.changes.iter().map(Change::words).collect::<Vec<_>>().join("\n"),
    ]
}

impl Change {
    /// In one line, readable in black and white: `−` what was, `+` what is.
    pub fn words(&self) -> String {
        if self.hidden {
            return format!("{}：已更改", self.label);
        }
        let old = self.old.as_ref().map(|old| format!(" − {old}")).unwrap_or_default();
        let new = self.new.as_ref().map(|new| format!(" + {new}")).unwrap_or_default();
        format!("{}：{old}{new}", self.label)
    }
}

/// Whoever did it, in words.
pub fn doer(directory: &Directory, header: &Header) -> String {
    match (header.doer.account.0, header.doer.via.as_str()) {
        (0, "schedule") => "备份计划".to_owned(),
        (0, "setup") => "初始化向导".to_owned(),
        (0, via) => via.to_owned(),
        _ => directory.account(header.doer.account).to_owned(),
    }
}

/// Which records, by kind and number alone.
pub fn objects(header: &Header) -> String {
    let first = header.subjects.first().map(|s| {
        let label = records::by_tag(s.kind).map_or("记录", |k| k.label);
        format!("{label} #{}", s.id)
    });
    match header.subjects.len() {
        0 => String::new(),
        1 => first.unwrap_or_default(),
        n => format!("{} 等 {n} 条", first.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_was_asked_and_nothing_that_was_typed() {
        let filter = Filter {
            person: Some(RecordId(7)),
            group: Some(Group::Look),
            from: 20_261_101,
            done: Some(false),
            record: Some(RecordId(583)),
            ..Filter::default()
        };
        let address = filter.address("/audit", &[("before", "9".into())]);
        assert_eq!(address, "/audit?person=7&group=look&from=20261101&done=no&record=583&before=9");
        let read = Filter::read(|name| {
            let pairs = filter.pairs();
            pairs.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v).unwrap_or_default()
        });
        assert_eq!(read, filter);
        let typed = Filter::read(|_| "张三".to_owned());
        assert_eq!((typed.pairs().len(), typed), (0, Filter::default()));
        assert_eq!(Filter::read(|_| "20261399".to_owned()).from, 0, "no day");
    }

    #[test]
    fn fields_of_business_records_are_no_changes_for_the_auditor() {
        for kind in records::ALL.iter().filter(|k| !is_administration(k)) {
            assert!(!["org", "account"].contains(&kind.name));
        }
        let directory = Directory::default();
        let kind = &records::account::KIND;
        let secret = Some(Value::Text("$argon2id$".into()));
        let told = change(&directory, kind, records::account::tag::CREDENTIAL, (secret.clone(), secret)).unwrap();
        assert_eq!(told.words(), "口令：已更改");
        let petition = &records::petition::KIND;
        for field in petition.fields.iter().filter(|f| f.part == Part::Identity) {
            assert!(change(&directory, petition, field.tag, (None, Some(Value::Flag(true)))).is_none());
        }
    }
}
