//! Checking everything there is: that the chain holds, that each record opens and is the one the journal names, that
//! attachments are whole, that derived tables are what records and journal give.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use redb::ReadableTable;

use super::journal::{self, Head};
use super::kept::Digests;
use super::seal::sha256;
use super::tables::{
    self, CHILDREN, COUNTERS, HIDDEN, JOURNAL, LISTS, LOOKUPS, META, PURGED, RECORD_KEYS, RECORDS, TALLIES, TOUCHES,
};
use super::{Generations, Shared, Times, blob, chain, damage, fact, kept, local, view};
use crate::base::{RecordId, Result, Seq};
use crate::records::{self, FileRef, act};

/// What a check saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Records that opened.
    pub records: u64,
    /// Journal entries that chain.
    pub entries: u64,
    /// Entries of a standby's own journal that chain.
    pub local: u64,
    /// Attachments that are whole.
    pub files: u64,
    /// Records whose content was purged.
    pub purged: u64,
    /// Names of sealed files that nothing names: no record, none of its earlier versions, no draft.
    pub orphans: BTreeSet<String>,
    /// Head of the journal.
    pub head: Option<Head>,
    /// The journal ends before the entry that the store says it ends with.
    pub cut: bool,
    /// Clocks that went back and long silences: shown, no fault of the data.
    pub times: Times,
    /// What is wrong, at most a hundred lines; damaged attachments come last.
    pub problems: Vec<String>,
    /// How many things are wrong besides attachments.
    pub faults: u64,
    /// Attachments that are gone or do not open: the record that names each, and the name of its sealed file.
    pub damaged: BTreeSet<(RecordId, String)>,
}

impl Report {
    fn problem(&mut self, what: impl Into<String>) {
        self.faults += 1;
        self.line(what);
    }

    fn damage(&mut self, id: RecordId, blob: &str) {
        self.damaged.insert((id, blob.to_owned()));
        self.line(format!("记录 {id} 的一个附件缺失或损坏"));
    }

    fn line(&mut self, what: impl Into<String>) {
        if self.problems.len() < 100 {
            self.problems.push(what.into());
        }
    }
}

type Newest = HashMap<u64, (u32, [u8; 32])>;

/// Runs all checks on one snapshot; `whole` says whether an attachment is there and whole, an error of `tick` breaks it
/// off.
pub(super) fn run(
    shared: &Shared,
    whole: &dyn Fn(&FileRef) -> bool,
    tick: &dyn Fn() -> Result<()>,
) -> Result<Report> {
    let mut report = Report::default();
    // Listed before the snapshot: what is uploaded meanwhile may be named after it.
    let stored = blob::all(&shared.dir)?;
    let (txn, generations) = shared.begin_read()?;
    let (newest, digests) = chain(&txn, shared, (&mut report, tick))?;
    match local::verify(&txn, &shared.ring.store) {
        Ok(entries) => report.local = entries,
        Err(e) => report.problem(e.public().to_owned()),
    }
    let mut expected = Expected::default();
    let named = values((&txn, &generations), shared, (&newest, &mut expected), (&mut report, tick))?;
    derived(&txn, &expected, &mut report)?;
    let kept = kept(&txn, shared, digests, &mut report)?;
    files(whole, &named, &kept, (&mut report, tick))?;
    let known: HashSet<&str> = named.iter().map(|(_, f)| f).chain(&kept).map(|f| f.blob.as_str()).collect();
    report.orphans = stored.into_iter().filter(|b| !known.contains(b.as_str())).collect();
    history((&txn, &generations), &expected.purged, (&mut report, tick))?;
    Ok(report)
}

/// A report in the making, and what is told after each thing that was read.
type Watched<'a> = (&'a mut Report, &'a dyn Fn() -> Result<()>);

/// Takes out of the orphans what earlier versions of records name. What a purged record said before nobody can read.
fn history(
    (txn, generations): (&redb::ReadTransaction, &Generations),
    purged: &BTreeMap<u64, u64>,
    (report, tick): Watched<'_>,
) -> Result<()> {
    if report.orphans.is_empty() {
        return Ok(());
    }
    let table = txn.open_table(JOURNAL).map_err(damage)?;
    let keys = txn.open_table(RECORD_KEYS).map_err(damage)?;
    for row in table.iter().map_err(damage)? {
        tick()?;
        // What does not read has been told already.
        let Ok(entry) = journal::read(row.map_err(damage)?.1.value()) else { continue };
        let seq = entry.header.seq.0;
        let forgotten = |id: RecordId| purged.get(&id.0).is_some_and(|at| seq < *at);
        for part in entry.parts.iter().filter(|p| p.id.0 != 0 && !forgotten(p.id)) {
            let wrapped = keys.get(part.id.0).map_err(damage)?.map(|k| k.value().to_vec()).unwrap_or_default();
            let key = generations.open(part.id.0, &wrapped);
            match key.and_then(|key| view::open_delta(&key, part.id, entry.header.seq, part)) {
                Ok(delta) => {
                    let named: HashSet<String> = delta.set.all_files().map(|f| f.blob).collect();
                    report.orphans.retain(|blob| !named.contains(blob));
                }
                Err(e) => report.problem(e.public().to_owned()),
            }
        }
    }
    Ok(())
}

/// The derived tables as they should be.
#[derive(Default)]
struct Expected {
    lists: Vec<Vec<u8>>,
    tallies: HashMap<Vec<u8>, u64>,
    lookups: Vec<Vec<u8>>,
    children: Vec<Vec<u8>>,
    touches: Vec<Vec<u8>>,
    hidden: Vec<u64>,
    numbers: Vec<String>,
    /// By the journal: record, and the entry that purged it.
    purged: BTreeMap<u64, u64>,
    /// By the records themselves.
    remains: BTreeSet<u64>,
}

fn chain(
    txn: &redb::ReadTransaction,
    shared: &Shared,
    (report, tick): Watched<'_>,
) -> Result<(Newest, Digests)> {
    let table = txn.open_table(JOURNAL).map_err(damage)?;
    let meta = txn.open_table(META).map_err(damage)?;
    let stored = meta.get(fact::HEAD.as_bytes()).map_err(damage)?.map(|v| v.value().to_vec());
    let stored = view::read_head(&stored.unwrap_or_default())?;
    let start = Head { seq: Seq(0), hash: [0; 32] };
    let (mut newest, mut digests, mut unread) = (Newest::new(), Digests::new(), Vec::new());
    let walked = chain::walk(table.range(1..).map_err(damage)?, start, &mut |entry| {
        let changed = entry.header.subjects.iter().filter_map(|s| Some((s.id.0, (s.version, s.digest?))));
        newest.extend(changed);
        if let Err(e) = kept::follow(shared, entry, &mut digests) {
            unread.push(e.public().to_owned());
        }
        tick()
    })?;
    walked.problem.into_iter().chain(unread).for_each(|problem| report.problem(problem));
    let (head, epoch) = (walked.head, walked.epoch);
    (report.entries, report.times) = (walked.entries, walked.times);
    let fact = meta.get(fact::EPOCH.as_bytes()).map_err(damage)?;
    if fact.is_none_or(|v| v.value() != epoch.to_string().as_bytes()) {
        report.problem("纪元与日志最后一条不一致");
    }
    if head != stored {
        report.cut = head.seq < stored.seq;
        report.problem(chain::unlike(&stored, &head));
    }
    if !view::head_agrees(shared, &stored) && stored.seq >= super::lock(&shared.head).seq {
        report.problem("运行中的链头与库中不一致");
    }
    report.head = Some(head);
    Ok((newest, digests))
}

fn values(
    (txn, generations): (&redb::ReadTransaction, &Generations),
    shared: &Shared,
    (newest, expected): (&Newest, &mut Expected),
    (report, tick): Watched<'_>,
) -> Result<Vec<(RecordId, FileRef)>> {
    let table = txn.open_table(RECORDS).map_err(damage)?;
    let keys = txn.open_table(RECORD_KEYS).map_err(damage)?;
    let mut named = Vec::new();
    let mut next = 1;
    for row in table.iter().map_err(damage)? {
        tick()?;
        let (id, value) = row.map_err(damage)?;
        let id = id.value();
        if id != next {
            report.problem(format!("缺少记录 {next} 到 {}", id - 1));
        }
        next = id + 1;
        match newest.get(&id) {
            None => report.problem(format!("记录 {id} 在日志中没有来历")),
            Some((_, digest)) if *digest != sha256(&[value.value()]) => {
                report.problem(format!("记录 {id} 不是日志所记的最新版本（可能被换回旧版本）"));
            }
            Some(_) => {}
        }
        let wrapped = keys.get(id).map_err(damage)?.map(|k| k.value().to_vec()).unwrap_or_default();
        let opened = generations
            .open(id, &wrapped)
            .and_then(|key| view::open_value(&key, RecordId(id), value.value(), true));
        match opened {
            Ok(record) => {
                if !expect(shared, &record, expected) {
                    report.problem(format!("记录 {id} 的类别不认识"));
                }
                expected.remains.extend(record.is_purged().then_some(id));
                named.extend(record.fields.all_files().map(|f| (RecordId(id), f)));
                report.records += 1;
            }
            Err(e) => report.problem(e.public().to_owned()),
        }
    }
    let missing = newest.keys().filter(|id| **id >= next).count();
    if missing > 0 {
        report.problem(format!("缺少最后 {missing} 条记录"));
    }
    counters(txn, next, &expected.numbers, report)?;
    (expected.touches, expected.purged) = touches(txn)?;
    report.purged = expected.purged.len() as u64;
    if !expected.remains.iter().eq(expected.purged.keys()) {
        report.problem("已清除的记录与日志所记的不一致");
    }
    if redb::ReadableTableMetadata::len(&keys).map_err(damage)? != report.records + 1 {
        report.problem("记录密钥的数量与记录不一致");
    }
    Ok(named)
}

fn expect(shared: &Shared, record: &records::Record, expected: &mut Expected) -> bool {
    let Some(kind) = records::by_tag(record.kind) else { return false };
    expected.numbers.extend(kind.number.map(|_| kind.number_of(record).to_owned()));
    let rows = tables::rows(kind, record, &|b| shared.secrets.lookup.short_hash(b));
    expected.lists.push(rows.list);
    *expected.tallies.entry(rows.tally).or_default() += 1;
    expected.lookups.extend(rows.lookups);
    expected.children.extend(rows.child);
    expected.hidden.extend(rows.hides);
    true
}

/// Ids and register numbers: none given twice, none beyond its counter.
fn counters(txn: &redb::ReadTransaction, next: u64, numbers: &[String], report: &mut Report) -> Result<()> {
    let meta = txn.open_table(META).map_err(damage)?;
    let stored = meta.get(fact::NEXT_ID.as_bytes()).map_err(damage)?;
    let stored = stored.and_then(|v| String::from_utf8_lossy(v.value()).parse::<u64>().ok());
    if stored != Some(next) {
        report.problem("下一个记录号与最后一条记录对不上");
    }
    let counters = txn.open_table(COUNTERS).map_err(damage)?;
    let mut seen = HashSet::new();
    for text in numbers {
        let (name, n) = split_number(text);
        let last = counters.get(name.as_bytes()).map_err(damage)?.map_or(0, |v| v.value());
        if n == 0 || n > last || !seen.insert(text) {
            report.problem(format!("编号 {text} 重复或超出计数器"));
        }
    }
    Ok(())
}

/// Counter and number of `信访〔2026〕12号`.
fn split_number(text: &str) -> (&str, u64) {
    let bare = text.trim_end_matches('号');
    let name = bare.trim_end_matches(|c: char| c.is_ascii_digit());
    (name, bare[name.len()..].parse().unwrap_or(0))
}

/// Rows of TOUCHES, and of PURGED, as the journal gives them.
type Told = (Vec<Vec<u8>>, BTreeMap<u64, u64>);

fn touches(txn: &redb::ReadTransaction) -> Result<Told> {
    let table = txn.open_table(JOURNAL).map_err(damage)?;
    let (mut keys, mut purged) = (Vec::new(), BTreeMap::new());
    for row in table.iter().map_err(damage)? {
        let Ok(entry) = journal::read(row.map_err(damage)?.1.value()) else { continue };
        purged.extend(tables::purged_by(&entry.header).map(|id| (id, entry.header.seq.0)));
        if !act::is_list(entry.header.action) {
            let ids: HashSet<u64> = entry.header.subjects.iter().map(|s| s.id.0).collect();
            keys.extend(ids.into_iter().map(|id| tables::touch_key(id, entry.header.seq.0)));
        }
    }
    Ok((keys, purged))
}

fn derived(txn: &redb::ReadTransaction, expected: &Expected, report: &mut Report) -> Result<()> {
    let same = |name, mut want: Vec<Vec<u8>>| -> Result<bool> {
        want.sort_unstable();
        let table = txn.open_table::<&[u8], ()>(name).map_err(damage)?;
        let mut rows = table.iter().map_err(damage)?;
        for key in &want {
            let row = rows.next().transpose().map_err(damage)?;
            if row.is_none_or(|(k, _)| k.value() != key.as_slice()) {
                return Ok(false);
            }
        }
        Ok(rows.next().is_none())
    };
    let lists = [
        ("列表", LISTS, expected.lists.clone()),
        ("查值", LOOKUPS, expected.lookups.clone()),
        ("下级", CHILDREN, expected.children.clone()),
        ("经过", TOUCHES, expected.touches.clone()),
    ];
    for (label, table, want) in lists {
        if !same(table, want)? {
            report.problem(format!("派生表（{label}）与记录不一致，可用 jiceng reindex 重建"));
        }
    }
    let tallies = txn.open_table(TALLIES).map_err(damage)?;
    let mut stored = HashMap::new();
    for row in tallies.iter().map_err(damage)? {
        let (key, n) = row.map_err(damage)?;
        stored.insert(key.value().to_vec(), n.value());
    }
    if stored != expected.tallies {
        report.problem("派生表（计数）与记录不一致，可用 jiceng reindex 重建");
    }
    let hidden = txn.open_table(HIDDEN).map_err(damage)?;
    let hidden: Result<Vec<u64>> = hidden.iter().map_err(damage)?.map(|r| Ok(r.map_err(damage)?.0.value())).collect();
    if hidden? != expected.hidden {
        report.problem("派生表（隐去的批次）与记录不一致，可用 jiceng reindex 重建");
    }
    let purged = txn.open_table(PURGED).map_err(damage)?;
    let rows = purged.iter().map_err(damage)?.map(|r| r.map(|(id, seq)| (id.value(), seq.value())).map_err(damage));
    if rows.collect::<Result<BTreeMap<u64, u64>>>()? != expected.purged {
        report.problem("派生表（已清除）与日志不一致，可用 jiceng reindex 重建");
    }
    Ok(())
}

/// The store's own secrets, and what accounts keep, open in their places, and the latter is what the journal names; the
/// attachments that are named there. What was kept before the journal began to name it is taken as it is.
fn kept(
    txn: &redb::ReadTransaction,
    shared: &Shared,
    mut digests: Digests,
    report: &mut Report,
) -> Result<Vec<FileRef>> {
    let meta = txn.open_table(META).map_err(damage)?;
    let mut named = Vec::new();
    for row in meta.iter().map_err(damage)? {
        let (name, sealed) = row.map_err(damage)?;
        let name = String::from_utf8_lossy(name.value()).into_owned();
        if kept::is_kept(&name) {
            if digests.remove(&name).is_some_and(|d| d != Some(sha256(&[sealed.value()]))) {
                report.problem(format!("库信息 {name} 不是日志所记的最新内容（可能被换回旧的）"));
            }
            match kept::open(shared, &name, sealed.value()) {
                Ok(fields) => named.extend(kept::files(&fields)),
                Err(e) => report.problem(e.public().to_owned()),
            }
        } else if fact::SECRETS.contains(&&*name) {
            let place = super::secret_place(&shared.ring.store, &name);
            if shared.secrets.own.open(&place, sealed.value()).is_none() {
                report.problem("库自身的密钥损坏或被调换");
            }
        }
    }
    for (name, _) in digests.into_iter().filter(|(_, digest)| digest.is_some()) {
        report.problem(format!("缺少库信息 {name}"));
    }
    Ok(named)
}

/// Attachments that records name are counted, those of drafts only read.
fn files(
    whole: &dyn Fn(&FileRef) -> bool,
    named: &[(RecordId, FileRef)],
    kept: &[FileRef],
    (report, tick): Watched<'_>,
) -> Result<()> {
    for (id, file) in named {
        tick()?;
        if whole(file) {
            report.files += 1;
        } else {
            report.damage(*id, &file.blob);
        }
    }
    kept.iter().filter(|f| !whole(f)).for_each(|_| report.problem("一份草稿的附件缺失或损坏"));
    Ok(())
}
