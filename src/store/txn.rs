//! What a command sees and does inside the one transaction: newest records, counters, and a buffer of changes that
//! becomes real only together with the journal entry of its act.

mod purge;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use zstd::bulk::Compressor;

use super::journal::{Doer, Head, Header, Part, Subject};
use super::pending::{Pending, Put, WriteTables};
use super::seal::{Secret, sha256};
use super::tables::{self, Rows};
use super::{Generations, Rewrapped, Shared, fact, kept, view};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, Seq, limits};
use crate::records::act::Action;
use crate::records::record::BATCH;
use crate::records::{self, Fields, Kind, Record, Value};

/// An act that is to be answered for.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who.
    pub doer: Doer,
    /// What.
    pub action: Action,
    /// Done, or refused.
    pub done: bool,
    /// A word without content.
    pub note: String,
    /// Records that were only read.
    pub read: Vec<(RecordId, u8, u32)>,
    /// Words with content (a reason, a query): sealed under the store's own key.
    pub secret: String,
}

impl Act {
    /// An act that was done.
    pub fn new(doer: Doer, action: Action) -> Self {
        Self { doer, action, done: true, note: String::new(), read: Vec::new(), secret: String::new() }
    }

    /// With a word without content.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With words that are sealed.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// About records that were read.
    #[must_use]
    pub fn read(mut self, records: impl IntoIterator<Item = (RecordId, u8, u32)>) -> Self {
        self.read.extend(records);
        self
    }

    /// Refused instead of done.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.done = false;
        self
    }
}

/// The buffer of one command.
pub struct Txn<'a> {
    base: &'a WriteTables<'a>,
    shared: &'a Shared,
    generations: Arc<Generations>,
    head: Head,
    now: Moment,
    next_id: u64,
    puts: BTreeMap<u64, Put>,
    counters: BTreeMap<Vec<u8>, u64>,
    rewrapped: Vec<(u64, Vec<u8>)>,
    facts: Vec<(String, Option<Vec<u8>>)>,
    act: Option<Act>,
    within: Option<RecordId>,
}

impl<'a> Txn<'a> {
    pub(super) fn new(base: &'a WriteTables<'a>, shared: &'a Shared, head: Head) -> Result<Self> {
        Ok(Self {
            base,
            shared,
            generations: shared.ring.generations(),
            head,
            now: shared.clock.now(),
            next_id: base.next_id()?,
            puts: BTreeMap::new(),
            counters: BTreeMap::new(),
            rewrapped: Vec::new(),
            facts: Vec::new(),
            act: None,
            within: None,
        })
    }

    /// The time of this transaction.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Names the act that everything in this transaction belongs to.
    pub fn act(&mut self, act: Act) {
        self.act = Some(act);
    }

    /// Works for a batch: its records are seen although they are hidden from everybody else.
    pub fn within(&mut self, batch: RecordId) {
        self.within = Some(batch);
    }

    /// The newest version of a record with all its parts; `None` when there is none, or its batch is hidden.
    pub fn get(&self, id: RecordId) -> Result<Option<Record>> {
        let Some(record) = self.get_any(id)? else { return Ok(None) };
        let batch = record.batch().filter(|b| self.within != Some(*b));
        let hidden = batch.map_or(Ok(false), |b| self.base.is_hidden(b))?;
        Ok(if hidden { None } else { Some(record) })
    }

    /// The same, of a hidden batch or not.
    pub fn get_any(&self, id: RecordId) -> Result<Option<Record>> {
        if let Some(put) = self.puts.get(&id.0) {
            return Ok(Some(put.after.clone()));
        }
        let Some(value) = self.base.record(id.0)? else { return Ok(None) };
        let wrapped = self.base.record_key(id.0)?;
        let key = self.generations.open(id.0, &wrapped)?;
        view::open_value(&key, id, &value, true).map(Some)
    }

    /// Ids of records of a kind with this exact value in a key field.
    pub fn find(&self, kind: &Kind, tag: u16, value: &str) -> Result<Vec<RecordId>> {
        let prefix = self.lookup_prefix(kind, tag, value);
        let mut ids = self.base.lookup(&prefix)?;
        // A record that this command changed may have left or joined the set.
        ids.retain(|id| !self.puts.contains_key(id));
        let joined =
            self.puts.iter().filter(|(_, put)| put.rows.lookups.iter().any(|k| k.starts_with(&prefix)));
        ids.extend(joined.map(|(id, _)| *id));
        ids.sort_unstable();
        let seen = ids.into_iter().map(RecordId).map(|id| Ok(self.get(id)?.map(|_| id)));
        seen.filter_map(Result::transpose).collect()
    }

    /// How many records that came in with a batch were changed since. Of what was purged nothing could be lost.
    pub fn changed_members(&self, batch: RecordId) -> Result<u64> {
        let mut changed = 0;
        let value = Value::Link(batch).display(None);
        for kind in records::ALL {
            for id in self.base.lookup(&self.lookup_prefix(kind, BATCH, &value))? {
                let value = self.base.record(id)?.unwrap_or_default();
                let untouched = view::stored_version(&value) == Some(1) || self.base.is_purged(id)?;
                changed += u64::from(!untouched);
            }
        }
        Ok(changed)
    }

    /// Records of a kind that a unit has in a state, in no particular order; hidden ones too.
    pub fn standing(&self, kind: &Kind, unit: RecordId, state: u8) -> Result<Vec<RecordId>> {
        let prefix = tables::tally_key(kind.tag, unit.0, state);
        let mut ids = self.base.listed(&prefix)?;
        ids.retain(|id| !self.puts.contains_key(id));
        let joined = self.puts.iter().filter(|(_, put)| put.rows.list.starts_with(&prefix));
        ids.extend(joined.map(|(id, _)| *id));
        Ok(ids.into_iter().map(RecordId).collect())
    }

    fn lookup_prefix(&self, kind: &Kind, tag: u16, value: &str) -> Vec<u8> {
        tables::lookup_prefix(kind, tag, value, &|b| self.shared.secrets.lookup.short_hash(b))
    }

    /// Rows of a parent, of one kind, in no particular order.
    pub fn children(&self, parent: RecordId, kind: &Kind) -> Result<Vec<RecordId>> {
        let prefix = [&parent.0.to_be_bytes()[..], &[kind.tag]].concat();
        let mut ids = self.base.children(&prefix)?;
        ids.retain(|id| !self.puts.contains_key(id));
        let below = |put: &Put| put.rows.child.as_ref().is_some_and(|k| k.starts_with(&prefix));
        ids.extend(self.puts.iter().filter(|(_, put)| below(put)).map(|(id, _)| *id));
        Ok(ids.into_iter().map(RecordId).collect())
    }

    /// Stores a decided new record: gives it an id and, where its kind has one, a register number.
    pub fn create(&mut self, record: Record) -> Result<RecordId> {
        self.must_not_rest()?;
        self.create_at_rest(record)
    }

    /// The same for what the host's console does in a restored store that rests: an administrator is replaced.
    pub fn create_at_rest(&mut self, mut record: Record) -> Result<RecordId> {
        let kind = kind_of(&record)?;
        record.id = RecordId(self.next_id);
        if let Some((tag, prefix)) = kind.number {
            let year = self.now.year();
            let n = self.next_number(&format!("{prefix}〔{year}〕"))?;
            record.fields.insert(tag, Value::Text(format!("{prefix}〔{year}〕{n}号")));
        }
        self.next_id += 1;
        let key = Secret::random()?;
        let wrapped = self.generations.wrap(record.id.0, &key)?;
        let id = record.id;
        self.put(kind, None, record, &key, Some(wrapped))?;
        Ok(id)
    }

    /// Stores a decided next version of a record; refuses when somebody else was faster.
    pub fn update(&mut self, after: Record) -> Result<()> {
        self.must_not_rest()?;
        self.update_at_rest(after)
    }

    /// The same for what goes on while a restored store rests: passwords, and imports that are given up.
    pub fn update_at_rest(&mut self, after: Record) -> Result<()> {
        let before = self.get(after.id)?.ok_or_else(Error::denied)?;
        if before.version + 1 != after.version {
            return Err(Error::new(ErrorKind::Stale, "这条记录刚被别人修改过，请核对后重新提交。"));
        }
        if self.puts.contains_key(&after.id.0) {
            return Err(Error::internal("a record changed twice in one command"));
        }
        let wrapped = self.base.record_key(after.id.0)?;
        let key = self.generations.open(after.id.0, &wrapped)?;
        self.put(kind_of(&after)?, Some(&before), after, &key, None)
    }

    /// A restored store takes no records until it was confirmed.
    fn must_not_rest(&self) -> Result<()> {
        if self.fact(fact::RESTORED)?.is_none_or(|v| v.is_empty()) {
            return Ok(());
        }
        Err(Error::invalid(
            "数据刚从备份恢复，现在只能查看，没有保存。须由三员中的两人在“备份”页确认恢复无误后才能办理业务，请联系系统管理员。",
        ))
    }

    /// A counter goes on after `to`; never back.
    pub fn skip_numbers(&mut self, counter: &str, to: u64) -> Result<()> {
        let last = self.base.counter(counter.as_bytes())?;
        self.counters.insert(counter.as_bytes().to_vec(), last.max(to));
        Ok(())
    }

    /// The next number of a counter; never given twice, whatever happens to the record.
    pub fn next_number(&mut self, counter: &str) -> Result<u64> {
        let name = counter.as_bytes();
        let last = match self.counters.get(name) {
            Some(n) => *n,
            None => self.base.counter(name)?,
        };
        self.counters.insert(name.to_vec(), last + 1);
        Ok(last + 1)
    }

    /// Wraps record keys from `from` on under the current generation, as far as they lie under others: at most `most`
    /// of them. A command that does this creates and changes no record.
    pub fn rewrap(&mut self, from: u64, most: usize) -> Result<Rewrapped> {
        let current = self.generations.current();
        let mut done = Rewrapped { next: None, moved: 0 };
        for (seen, row) in self.base.record_keys(from)?.enumerate() {
            let (id, wrapped) = row?;
            if self.rewrapped.len() >= most || seen >= limits::REWRAP_LOOKED_AT {
                done.next = Some(id);
                break;
            }
            if Generations::number_of(&wrapped) != Some(current) {
                let key = self.generations.open(id, &wrapped)?;
                self.rewrapped.push((id, self.generations.wrap(id, &key)?));
            }
        }
        done.moved = self.rewrapped.len() as u64;
        Ok(done)
    }

    /// A fact of the store.
    pub fn fact(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.facts.iter().rev().find(|(n, _)| n == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.base.fact(name),
        }
    }

    /// Sets a fact of the store.
    pub fn set_fact(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.facts.push((name.to_owned(), Some(value.into())));
    }

    /// What an account keeps under a name.
    pub fn kept(&self, name: &str) -> Result<Option<Fields>> {
        self.fact(name)?.map(|sealed| kept::open(self.shared, name, &sealed)).transpose()
    }

    /// Names below a prefix under which something is kept.
    pub fn kept_names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = self.base.fact_names(prefix)?;
        names.extend(self.facts.iter().map(|(name, _)| name.clone()).filter(|name| name.starts_with(prefix)));
        names.sort_unstable();
        names.dedup();
        let there = names.into_iter().map(|name| Ok(self.fact(&name)?.map(|_| name)));
        there.filter_map(Result::transpose).collect()
    }

    /// Keeps something for an account, sealed.
    pub fn keep(&mut self, name: &str, what: &Fields) -> Result<()> {
        let sealed = kept::seal(self.shared, name, what)?;
        self.facts.push((name.to_owned(), Some(sealed)));
        Ok(())
    }

    /// Takes away what was kept; nothing happens when there is none.
    pub fn forget(&mut self, name: &str) {
        self.facts.push((name.to_owned(), None));
    }

    fn put(
        &mut self,
        kind: &'static Kind,
        before: Option<&Record>,
        after: Record,
        key: &Secret,
        wrapped: Option<Vec<u8>>,
    ) -> Result<()> {
        let value = view::seal_value(key, kind, &after)?;
        let hash = |b: &[u8]| self.shared.secrets.lookup.short_hash(b);
        let rows = tables::rows(kind, &after, &hash);
        let old_rows = before.map_or_else(Rows::default, |b| tables::rows(kind, b, &hash));
        let mut parts = Vec::new();
        for (part, delta) in (0..).zip(after.delta(before)).filter(|(_, d)| !d.is_empty()) {
            let packed = pack(&delta.encode())?;
            let place = view::part_place(after.id, self.head.seq.0 + 1, part);
            parts.push(Part { id: after.id, part, sealed: key.seal(&place, &packed)? });
        }
        let put = Put { rows, old_rows, value, wrapped, parts, after };
        self.puts.insert(put.after.id.0, put);
        Ok(())
    }

    /// Turns the buffer into what is to be applied; refuses a command that did not say what it did.
    pub(super) fn finish(self) -> Result<Pending> {
        let act = self.act.ok_or_else(|| Error::internal("a command without its journal entry"))?;
        let seq = Seq(self.head.seq.0 + 1);
        let mut parts = Vec::new();
        if !act.secret.is_empty() {
            let place = view::part_place(RecordId(0), seq.0, 2);
            let sealed = self.shared.secrets.own.seal(&place, act.secret.as_bytes())?;
            parts.push(Part { id: RecordId(0), part: 2, sealed });
        }
        parts.extend(kept::part(self.shared, seq, &self.facts)?);
        let changed = self.puts.values().map(|p| Subject {
            id: p.after.id,
            kind: p.after.kind,
            version: p.after.version,
            digest: Some(sha256(&[&p.value])),
        });
        let read = act.read.iter().map(|(id, kind, version)| Subject {
            id: *id,
            kind: *kind,
            version: *version,
            digest: None,
        });
        // The entry of a restore already belongs to the epoch it begins.
        let raised = self.facts.iter().rev().find(|(name, _)| name == fact::EPOCH);
        let raised = raised.and_then(|(_, value)| String::from_utf8_lossy(value.as_ref()?).parse().ok());
        let header = Header {
            seq,
            epoch: raised.unwrap_or(self.shared.facts.epoch),
            at: self.now,
            doer: act.doer,
            action: act.action.code,
            done: act.done,
            note: act.note,
            subjects: changed.chain(read).collect(),
        };
        let mut facts = self.facts;
        if self.puts.values().any(|p| p.wrapped.is_some()) {
            facts.push((fact::NEXT_ID.to_owned(), Some(self.next_id.to_string().into_bytes())));
        }
        let puts: Vec<Put> = self.puts.into_values().collect();
        parts.extend(puts.iter().flat_map(|p| p.parts.iter().cloned()));
        Ok(Pending { head: self.head, header, parts, puts, counters: self.counters, rewrapped: self.rewrapped, facts })
    }
}

/// Compressed content of a journal part.
fn pack(content: &[u8]) -> Result<Vec<u8>> {
    thread_local! {
        // Its tables are large for texts so small: one set serves them all.
        static COMPRESSOR: RefCell<Compressor<'static>> = RefCell::default();
    }
    COMPRESSOR.with_borrow_mut(|c| c.compress(content)).map_err(Error::internal)
}

fn kind_of(record: &Record) -> Result<&'static Kind> {
    records::by_tag(record.kind).ok_or_else(|| Error::internal("unknown kind"))
}
