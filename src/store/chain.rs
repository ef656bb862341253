//! Walking along the journal: whether it chains from a head on, what its times tell, and the same for a data folder
//! whose keys nobody has.
//!
//! What must hold: the first entry that does not fit is named, and nothing after it is believed; without keys nothing
//! is opened and nothing is written.

use std::collections::HashMap;
use std::path::Path;

use redb::{Range, ReadableDatabase, ReadableTable};

use super::journal::{self, Entry, Head, Header};
use super::seal::sha256;
use super::tables::{JOURNAL, META, RECORDS};
use super::{DATABASE_FILE, Snapshot, damage, fact, local, redb_builder, upgrade, view};
use crate::base::{Error, ErrorKind, Moment, Result, Seq, limits};

/// What a walk along the chain saw.
#[derive(Clone, Debug)]
pub struct Walked {
    /// Entries that chain.
    pub entries: u64,
    /// The last of them.
    pub head: Head,
    /// Its epoch.
    pub epoch: u64,
    /// The first entry that does not fit, and why.
    pub problem: Option<String>,
    /// What the times of entries tell: clocks that went back, long silences.
    pub times: Times,
}

/// Clocks that went back and long silences, along a walk.
#[derive(Clone, Debug, Default)]
pub struct Times {
    last: Option<Moment>,
    /// A line each, at most [`limits::AUDIT_NOTES`].
    pub lines: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Times {
    fn take(&mut self, seq: Seq, at: Moment) {
        let Some(last) = self.last.replace(at) else { return };
        let ahead = at.seconds_since(last);
        let line = if ahead < 0 {
            format!("时间倒退：日志第 {seq} 条（{at}）比前一条（{last}）早 {} 秒", -ahead)
        } else if ahead >= limits::AUDIT_GAP_H * 3600 {
            format!("时间缺口：日志第 {seq} 条（{at}）与前一条（{last}）相隔 {} 小时", ahead / 3600)
        } else {
            return;
        };
        self.count += 1;
        if self.lines.len() < limits::AUDIT_NOTES {
            self.lines.push(line);
        }
    }
}

/// Walks rows of the journal that follow `from`; `each` is shown every entry that fits, its error breaks it off.
pub(super) fn walk(
    rows: Range<'_, u64, &'static [u8]>,
    from: Head,
    each: &mut dyn FnMut(&Entry) -> Result<()>,
) -> Result<Walked> {
    let mut walked = Walked { entries: 0, head: from, epoch: 1, problem: None, times: Times::default() };
    for row in rows {
        let (seq, bytes) = row.map_err(damage)?;
        let next = walked.head.seq.0 + 1;
        if seq.value() != next {
            walked.problem = Some(format!("日志缺少第 {next} 条"));
            break;
        }
        match journal::verify(&walked.head, bytes.value()) {
            Ok(entry) if entry.header.epoch < walked.epoch => {
                walked.problem = Some(format!("日志第 {} 条的纪元倒退", entry.header.seq));
                break;
            }
            Ok(entry) => {
                walked.epoch = entry.header.epoch;
                walked.head = Head { seq: entry.header.seq, hash: entry.hash };
                walked.times.take(entry.header.seq, entry.header.at);
                walked.entries += 1;
                each(&entry)?;
            }
            Err(e) => {
                walked.problem = Some(e.public().to_owned());
                break;
            }
        }
    }
    Ok(walked)
}

impl Snapshot {
    /// Walks the journal from a head that is believed to the end; whether the end is the head of the store is among
    /// what can be wrong.
    pub fn verify_after(&self, from: Head) -> Result<Walked> {
        let table = self.txn.open_table(JOURNAL).map_err(damage)?;
        let mut walked = walk(table.range(from.seq.0 + 1..).map_err(damage)?, from, &mut |_| Ok(()))?;
        let stored = self.head()?;
        if walked.problem.is_none() && walked.head != stored {
            walked.problem = Some(unlike(&stored, &walked.head));
        }
        Ok(walked)
    }

    /// Headers of the entries from one number to another, in order, with the numbers under which they lie. Payloads are
    /// not touched, and nothing is verified.
    pub fn headers(
        &self,
        first: u64,
        last: u64,
    ) -> Result<impl DoubleEndedIterator<Item = Result<(u64, Result<Header>)>> + use<>> {
        let table = self.txn.open_table(JOURNAL).map_err(damage)?;
        let rows = table.range(first..=last.max(first)).map_err(damage)?;
        Ok(rows.map(|row| {
            let (seq, bytes) = row.map_err(damage)?;
            Ok((seq.value(), journal::header(bytes.value())))
        }))
    }
}

/// The journal ends elsewhere than the store says.
pub(super) fn unlike(stored: &Head, walked: &Head) -> String {
    format!("日志链头对不上：记录的是第 {} 条，查到第 {} 条", stored.seq, walked.seq)
}

/// What can be told of a data folder without any key.
#[derive(Clone, Debug)]
pub struct ChainReport {
    /// The walk along the journal.
    pub walked: Walked,
    /// Records whose stored bytes are those that the journal names.
    pub records: u64,
    /// Entries of a standby's own journal that chain.
    pub local: u64,
    /// What is wrong, the journal first.
    pub problems: Vec<String>,
    /// The journal ends before the entry that the store says it ends with.
    pub cut: bool,
    /// Hashes of the entries that were asked for.
    pub hashes: HashMap<u64, [u8; 32]>,
}

/// Checks the journal of a data folder, and that the stored bytes of each record are those the journal names, with no
/// key and without writing anything.
///
/// # Errors
/// Busy while a process has the folder open; damaged where the database cannot be read.
pub fn chain_only(dir: &Path, asked: &[Seq]) -> Result<ChainReport> {
    let path = dir.join(DATABASE_FILE);
    if !path.is_file() {
        let message = format!("{} 不是数据目录。请检查 --dir。", dir.display());
        return Err(Error::invalid(message));
    }
    super::catch(|| {
        let db = redb_builder().open_read_only(&path).map_err(unopened)?;
        read(&db.begin_read().map_err(damage)?, asked)
    })
}

fn unopened(e: redb::DatabaseError) -> Error {
    match e {
        redb::DatabaseError::DatabaseAlreadyOpen => Error::new(
            ErrorKind::Busy,
            "数据目录正被另一个 jiceng 进程使用。请先停止服务，或对数据目录的副本核验，或去掉 --no-key。",
        ),
        redb::DatabaseError::RepairAborted => Error::new(
            ErrorKind::Invalid,
            "数据库上次没有正常关闭，不写入就不能读取。请在副本上去掉 --no-key 运行一次，再对副本核验。",
        ),
        other => damage(other),
    }
}

fn read(txn: &redb::ReadTransaction, asked: &[Seq]) -> Result<ChainReport> {
    let meta = txn.open_table(META).map_err(damage)?;
    let fact = |name: &str| -> Result<Vec<u8>> {
        Ok(meta.get(name.as_bytes()).map_err(damage)?.map(|v| v.value().to_vec()).unwrap_or_default())
    };
    upgrade::known(&fact(fact::VERSION)?)?;
    let stored = view::read_head(&fact(fact::HEAD)?)?;
    let table = txn.open_table(JOURNAL).map_err(damage)?;
    let (mut newest, mut hashes) = (HashMap::new(), HashMap::new());
    let start = Head { seq: Seq(0), hash: [0; 32] };
    let walked = walk(table.range(1..).map_err(damage)?, start, &mut |entry| {
        newest.extend(entry.header.subjects.iter().filter_map(|s| Some((s.id.0, s.digest?))));
        if asked.contains(&entry.header.seq) {
            hashes.insert(entry.header.seq.0, entry.hash);
        }
        Ok(())
    })?;
    let mut problems: Vec<String> = walked.problem.iter().cloned().collect();
    let cut = walked.head.seq < stored.seq;
    if walked.head != stored {
        problems.push(unlike(&stored, &walked.head));
    }
    let store = String::from_utf8_lossy(&fact(fact::STORE)?).into_owned();
    let local = local::verify(txn, &store).unwrap_or_else(|e| {
        problems.push(e.public().to_owned());
        0
    });
    let records = txn.open_table(RECORDS).map_err(damage)?;
    let mut whole = 0;
    for row in records.iter().map_err(damage)? {
        let (id, value) = row.map_err(damage)?;
        match newest.remove(&id.value()) {
            Some(digest) if digest == sha256(&[value.value()]) => whole += 1,
            Some(_) => problems.push(format!("记录 {} 不是日志所记的最新版本（可能被换回旧版本）", id.value())),
            None => problems.push(format!("记录 {} 在日志中没有来历", id.value())),
        }
        problems.truncate(limits::AUDIT_PROBLEMS);
    }
    if !newest.is_empty() {
        problems.push(format!("缺少日志所记的 {} 条记录", newest.len()));
    }
    Ok(ChainReport { walked, records: whole, local, problems, cut, hashes })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::RecordId;
    use crate::base::clock::ManualClock;
    use crate::store::{Act, Doer, Store};

    /// A store with some entries, and its clock.
    fn made(home: &tempfile::TempDir, entries: u64) -> (Store, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Moment::of_beijing("2026-11-30 09:00").unwrap()));
        let (dir, key) = (home.path().join("d"), home.path().join("d.key"));
        let store = Store::create(&dir, &key, "甲县", true, Arc::<ManualClock>::clone(&clock)).unwrap();
        (0..entries).for_each(|_| enter(&store));
        (store, clock)
    }

    fn enter(store: &Store) {
        let doer = Doer { account: RecordId(1), unit: RecordId(1), via: "test".into() };
        let act = Act::new(doer, crate::records::act::LOGIN);
        store
            .submit(move |txn| {
                txn.act(act);
                Ok(())
            })
            .unwrap();
    }

    /// Changes a byte of the hash of an entry.
    fn spoil(store: &Store, seq: u64) {
        let txn = upgrade::begin(&store.shared.db).unwrap();
        {
            let mut table = txn.open_table(JOURNAL).unwrap();
            let mut bytes = table.get(seq).unwrap().unwrap().value().to_vec();
            let end = bytes.len() - 1;
            bytes[end] ^= 1;
            table.insert(seq, bytes.as_slice()).unwrap();
        }
        txn.commit().unwrap();
    }

    #[test]
    fn a_walk_begins_behind_the_head_that_is_believed_and_names_what_is_wrong() {
        let home = tempfile::tempdir().unwrap();
        let (store, _) = made(&home, 20);
        let seen = Head { seq: Seq(12), hash: store.read().unwrap().hash_at(Seq(12)).unwrap().unwrap() };
        let walked = store.read().unwrap().verify_after(seen).unwrap();
        assert!(walked.problem.is_none() && walked.head == store.head() && walked.entries == 8, "{walked:?}");
        spoil(&store, 5);
        assert!(store.read().unwrap().verify_after(seen).unwrap().problem.is_none(), "it is not walked again");
        let start = Head { seq: Seq(0), hash: [0; 32] };
        let whole = store.read().unwrap().verify_after(start).unwrap();
        assert!(whole.problem.unwrap().contains("日志第 5 条") && whole.head.seq == Seq(4));
        spoil(&store, 17);
        let walked = store.read().unwrap().verify_after(seen).unwrap();
        assert!(walked.problem.unwrap().contains("日志第 17 条"));
    }

    #[test]
    fn a_clock_that_went_back_and_a_long_silence_are_told_and_are_no_fault() {
        let home = tempfile::tempdir().unwrap();
        let (store, clock) = made(&home, 1);
        let hour = 3_600_000;
        let at = |hours: i64| Moment(Moment::of_beijing("2026-11-30 09:00").unwrap().0 + hours * hour);
        for hours in [71, 143, 142] {
            clock.set(at(hours));
            enter(&store);
        }
        let report = store.check().unwrap();
        assert!(report.problems.is_empty() && report.times.count == 2, "{report:?}");
        let [gap, back] = &report.times.lines[..] else { panic!("{report:?}") };
        assert!(gap.starts_with("时间缺口：日志第 3 条") && gap.contains("72 小时"), "{gap}");
        assert!(back.starts_with("时间倒退：日志第 4 条") && back.contains("早 3600 秒"), "{back}");
    }
}
