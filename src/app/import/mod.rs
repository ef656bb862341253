//! Ledgers and regulations that come in from files (导入). One file is one batch (导入批次): its rows go through the same
//! rules as forms and are stored in small chunks, so that others keep saving meanwhile. Nobody sees a row before the
//! batch is done, a batch that breaks off is never seen, and one act takes a whole batch back.
//!
//! A row whose `ref` is there already is passed over. What fails is named by row and column and is not kept.
//! Where rows come from is told by [`source`]; how a browser is led through is told by [`desk`].

pub mod columns;
pub mod desk;
mod marks;
pub mod papers;
mod rows;
pub mod source;
mod targets;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::access::local_doer;
use super::change::SaveError;
use super::names::Directory;
use super::record::author_for;
use super::sight::Sight;
use super::{Actor, App, Right, Scope, lock};
use crate::base::{Error, ErrorKind, RecordId, Result, limits, text};
use crate::records::record::BATCH;
use crate::records::{self, Fields, Kind, Record, Value, act, article, batch, decide, petition, regulation};
use crate::store::{Act, Doer, Txn};
use source::{Source, SourceRow};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Petitions (信访件).
    Petitions,
    /// Regulations (法律法规) with their articles.
    Regulations,
}

impl What {
    /// The kind its rows become.
    pub fn kind(self) -> &'static Kind {
        match self {
            Self::Petitions => &petition::KIND,
            Self::Regulations => &regulation::KIND,
        }
    }
}

/// How an import is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Unit of rows that name none.
    pub unit: Option<String>,
    /// Check everything, store nothing.
    pub dry_run: bool,
    /// Names of the file's columns → names of fields.
    pub map: BTreeMap<String, String>,
    /// Name of the file, as the batch shows it.
    pub file: String,
    /// Where such files come from; the next one from there takes the same map.
    pub source: String,
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

/// A row that was refused, for whoever mends it. Lives in memory only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedRow {
    /// Line in the file, from 1.
    pub line: u64,
    /// What the row says; nothing of a row that article 16 refuses.
    pub cells: Vec<String>,
    /// Columns and what to do.
    pub reason: String,
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
    /// Rows whose columns do not agree with their text.
    pub marked: u64,
    /// Number of the batch; empty for a dry run.
    pub batch: String,
    /// The first problems.
    pub problems: Vec<RowProblem>,
    /// The first disagreements of columns and text.
    pub marks: Vec<RowProblem>,
    /// Refused rows, up to [`limits::IMPORT_FAILED_BYTES`].
    #[serde(skip)]
    pub failed_rows: Vec<FailedRow>,
    /// The batch.
    #[serde(skip)]
    pub batch_id: Option<RecordId>,
    #[serde(skip)]
    failed_bytes: usize,
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
    /// Where its columns and its text disagree.
    marks: Problems,
}

/// Columns and what to do about them.
type Problems = Vec<(String, String)>;

/// Rows that go into the store together, with what they said.
type Chunk = Vec<(Item, Vec<String>)>;

/// Told what was done so far; `false` stops the import.
pub type Watch<'a> = &'a mut dyn FnMut(&Summary) -> bool;

impl App {
    /// Brings a file in as one batch. An error or a stop leaves nothing that anybody sees.
    pub fn import(
        &self,
        actor: &Actor,
        what: What,
        source: &mut Source<'_>,
        options: &Options,
        watch: Watch<'_>,
    ) -> Result<Summary> {
        let kind = what.kind();
        if actor.scope(kind, Right::Create) == Scope::Nothing {
            return Err(self.refused(actor, kind, RecordId(0)));
        }
        let directory = self.directory()?;
        let unit = match what {
            What::Petitions => rows::default_unit(&directory, options)?,
            What::Regulations => RecordId(0),
        };
        let run = Run { app: self, actor, what, dry_run: options.dry_run, directory, unit };
        if options.dry_run {
            return run.rows(source, RecordId(0), watch);
        }
        let batch = run.begin(options)?;
        // A panic breaks a batch off as well: it would be 导入中 until the next start.
        let rows = catch_unwind(AssertUnwindSafe(|| run.rows(source, batch, watch)));
        let rows = rows.unwrap_or_else(|_| Err(Error::internal("an import panicked")));
        let done = rows.and_then(|summary| run.finish(batch, summary));
        if done.is_err() {
            lock(&self.broken).push(batch);
            if let Err(e) = self.give_up_batches() {
                tracing::warn!(detail = e.detail(), "a batch that ended badly waits: {e}");
            }
        }
        done
    }

    /// Takes a batch back by its number; how many records are not seen any more.
    pub fn import_undo(&self, actor: &Actor, number: &str, reason: &str) -> Result<u64> {
        let kind = &batch::KIND;
        let found = self.store.read()?.find(kind, batch::tag::NUMBER, number)?;
        let Some(id) = found.first() else {
            return Err(Error::invalid(format!("没有批次 {number}，请核对批次号（如 批〔2026〕1号）。")));
        };
        let record = self.visible(&self.store.read()?, actor, kind, *id)?;
        let undo = kind.flow.moves.iter().find(|m| m.name == batch::UNDO).ok_or_else(Error::denied)?;
        let typed = (reason.to_owned(), String::new());
        self.advance(actor, kind, (*id, record.version), undo, typed).map_err(|e| match e {
            SaveError::Failed(error) => error,
            SaveError::Problems(problems) => Error::invalid(
                problems.into_iter().map(|(_, message)| message).collect::<Vec<_>>().join("；"),
            ),
            SaveError::Gate | SaveError::Stale(_) => Error::invalid("这一批已经撤销过，或刚被别人修改。"),
        })?;
        let count = |tag| u64::try_from(record.fields.int(tag)).unwrap_or(0);
        Ok(count(batch::tag::CREATED) + count(batch::tag::ARTICLES))
    }

    /// Ends a batch that is under way in a state, with what it counted.
    fn end_batch(&self, id: RecordId, state: u8, counts: Fields, doer: Doer) -> Result<()> {
        self.store.submit(move |txn| {
            let before = txn.get(id)?.ok_or_else(|| Error::internal("the batch is gone"))?;
            let fields = before.fields.iter().chain(counts.iter()).collect();
            let act = Act::new(doer, act::IMPORT).note(batch::KIND.flow.label(state));
            if before.state != batch::state::RUNNING {
                txn.act(act.refused());
                return Ok(());
            }
            txn.act(act);
            txn.update_at_rest(Record { version: before.version + 1, state, updated: txn.now(), fields, ..before })
        })
    }

    /// Finds batches that were under way when the process stopped.
    pub(super) fn find_broken_batches(&self) -> Result<()> {
        let snapshot = self.store.read()?;
        for id in snapshot.hidden_batches()?.into_iter().map(RecordId) {
            if snapshot.get(id, false)?.is_some_and(|b| b.state == batch::state::RUNNING) {
                lock(&self.broken).push(id);
            }
        }
        Ok(())
    }

    /// Gives up batches that ended badly; while records cannot be changed they wait, unseen.
    pub(super) fn give_up_batches(&self) -> Result<()> {
        let broken = std::mem::take(&mut *lock(&self.broken));
        for (n, id) in broken.iter().enumerate() {
            let wait = || lock(&self.broken).extend(&broken[n..]);
            if self.halted().is_some() {
                wait();
                return Ok(());
            }
            self.end_batch(*id, batch::state::BROKEN, Fields::default(), local_doer()).inspect_err(|_| wait())?;
        }
        Ok(())
    }
}

/// Refuses to take back a batch of which something was changed since it came in, or from which somebody is kept out:
/// what concerns a person does not go by that person's hand.
pub(super) fn refuse_undo(txn: &Txn<'_>, actor: &Actor, id: RecordId) -> Result<()> {
    let sight = Sight::of(txn, actor)?;
    let batch = Value::Link(id).display(None);
    for kind in records::ALL {
        let all = txn.find(kind, BATCH, &batch)?;
        let mut open = all.clone();
        sight.keep_open(txn, kind, &mut open)?;
        if open.len() < all.len() {
            return Err(Error::invalid("这一批不能由您撤销，没有改动。请由本单位其他经办人或信访室办理。"));
        }
    }
    let changed = txn.changed_members(id)?;
    if changed == 0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "这一批中有 {changed} 件导入后已被修改或办理，不能整批撤销。请逐件处理，或作废其中录错的件。"
    )))
}

/// One import.
struct Run<'a> {
    app: &'a App,
    actor: &'a Actor,
    what: What,
    dry_run: bool,
    directory: Arc<Directory>,
    unit: RecordId,
}

impl Run<'_> {
    fn begin(&self, options: &Options) -> Result<RecordId> {
        let today = self.app.now().day();
        let fields = Fields::default()
            .with_text(batch::tag::FILE, plain(&options.file))
            .with_text(batch::tag::WHAT, self.what.kind().name)
            .with_text(batch::tag::SOURCE, plain(&options.source))
            .with_text(batch::tag::MAPPING, serde_json::to_string(&options.map).map_err(Error::internal)?)
            .with(batch::tag::DAY, Value::Day(today));
        let author = author_for(self.actor, self.actor.unit);
        let doer = self.actor.doer();
        self.app.store.submit(move |txn| {
            let made = decide::create(&batch::KIND, fields, author, txn.now());
            txn.act(Act::new(doer, act::IMPORT).note("begin"));
            txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?)
        })
    }

    fn finish(&self, id: RecordId, mut summary: Summary) -> Result<Summary> {
        let count = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let counts = Fields::default()
            .with(batch::tag::READ, count(summary.read))
            .with(batch::tag::CREATED, count(summary.created))
            .with(batch::tag::ARTICLES, count(summary.articles))
            .with(batch::tag::SKIPPED, count(summary.skipped))
            .with(batch::tag::FAILED, count(summary.failed))
            .with(batch::tag::MARKED, count(summary.marked));
        self.app.end_batch(id, batch::state::DONE, counts, self.actor.doer())?;
        let record = self.app.store.read()?.get(id, false)?;
        summary.batch = record.map(|r| batch::KIND.number_of(&r).to_owned()).unwrap_or_default();
        summary.batch_id = Some(id);
        Ok(summary)
    }

    fn rows(&self, source: &mut Source<'_>, batch: RecordId, watch: Watch<'_>) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut chunk = Chunk::new();
        let mut weight = 0;
        for row in &mut source.rows {
            let SourceRow { line, cells, object } = row?;
            summary.read += 1;
            let item = object.and_then(|object| match self.what {
                What::Petitions => rows::petition_row(line, object, self.unit, &self.directory),
                What::Regulations => rows::regulation_row(line, object),
            });
            match item {
                Ok(item) => {
                    weight += 1 + item.below.len();
                    chunk.push((item, cells));
                }
                Err(problems) => summary.fail(line, &cells, &source.label, problems),
            }
            // Where every row is refused, no chunk ever fills.
            if summary.read.is_multiple_of(limits::IMPORT_TOLD_ROWS) && !watch(&summary) {
                return Err(stopped());
            }
            let crowded = self.app.store.is_crowded();
            if weight >= if crowded { limits::IMPORT_CHUNK_CROWDED } else { limits::IMPORT_CHUNK } {
                summary = self.store_chunk(batch, std::mem::take(&mut chunk), &source.label, summary)?;
                weight = 0;
                if !watch(&summary) {
                    return Err(stopped());
                }
            }
        }
        summary = self.store_chunk(batch, chunk, &source.label, summary)?;
        if watch(&summary) { Ok(summary) } else { Err(stopped()) }
    }

    fn store_chunk(
        &self,
        batch: RecordId,
        chunk: Chunk,
        label: &source::Label,
        mut sum: Summary,
    ) -> Result<Summary> {
        if chunk.is_empty() {
            return Ok(sum);
        }
        let (kind, actor, dry_run, label) =
            (self.what.kind(), self.actor.clone(), self.dry_run, label.clone());
        self.app.store.submit_patiently(move |txn| {
            let live = super::record::live(txn, &actor)?;
            if live.scope(kind, Right::Create) == Scope::Nothing {
                return Err(Error::denied());
            }
            txn.within(batch);
            let before = sum.created + sum.articles;
            for (item, cells) in chunk {
                let line = item.line;
                let stored = store_item(txn, &live, kind, (item, batch, dry_run), &mut sum, &label)?;
                if let Err(problems) = stored {
                    sum.fail(line, &cells, &label, problems);
                }
            }
            let check = if dry_run { "check " } else { "" };
            let note = format!("{check}{} {}", kind.name, sum.created + sum.articles - before);
            txn.act(Act::new(actor.doer(), act::IMPORT).note(note));
            Ok(sum)
        })
    }
}

/// A name without what turns its direction.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !text::is_direction(*c)).collect()
}

fn stopped() -> Error {
    Error::new(ErrorKind::Invalid, "导入已取消，这一批没有保留任何内容。")
}

impl Summary {
    fn fail(&mut self, line: u64, cells: &[String], label: &source::Label, problems: Problems) {
        self.failed += 1;
        let named = |(column, message): &(String, String)| match label(column) {
            name if name.is_empty() => message.clone(),
            name => format!("{name}：{message}"),
        };
        let reason = problems.iter().map(named).collect::<Vec<_>>().join("；");
        // What article 16 refuses is not kept, not even to be given back.
        let gate = problems.iter().any(|(_, message)| message == rows::GATE);
        let cells = if gate { Vec::new() } else { cells.to_vec() };
        self.failed_bytes += cells.iter().map(String::len).sum::<usize>() + reason.len();
        if self.failed_bytes <= limits::IMPORT_FAILED_BYTES {
            self.failed_rows.push(FailedRow { line, cells, reason });
        }
        for (column, message) in problems {
            if self.problems.len() < limits::IMPORT_PROBLEMS {
                self.problems.push(RowProblem { line, column: label(&column), message });
            }
        }
    }

    fn mark(&mut self, line: u64, label: &source::Label, found: &Problems) {
        self.marked += 1;
        for (column, message) in found {
            if self.marks.len() < limits::IMPORT_PROBLEMS {
                self.marks.push(RowProblem { line, column: label(column), message: message.clone() });
            }
        }
    }
}

/// Stores one row and the rows below it; what to mend when it cannot be.
fn store_item(
    txn: &mut Txn<'_>,
    live: &Actor,
    kind: &'static Kind,
    (item, batch, dry_run): (Item, RecordId, bool),
    summary: &mut Summary,
    label: &source::Label,
) -> Result<std::result::Result<(), Problems>> {
    let petition = kind.tag == petition::KIND.tag;
    let reference = if petition { petition::tag::REF } else { regulation::tag::REF };
    let value = item.fields.text(reference);
    let repeated = !value.is_empty() && dry_run && !summary.seen.insert(value.to_owned());
    if repeated || !value.is_empty() && is_there(txn, kind, reference, value)? {
        summary.skipped += 1;
        return Ok(Ok(()));
    }
    let unit = if kind.owned { item.unit } else { RecordId(0) };
    if !live.may(kind, Right::Create, unit) {
        return Ok(Err(vec![("unit".into(), "您没有为这个机构登记的权限。".into())]));
    }
    let (mut fields, found) = (item.fields, item.marks);
    if !found.is_empty() {
        let text = found.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("\n");
        fields.insert(petition::tag::MARKS, Value::Text(text));
    }
    let tagged = |fields: Fields| if dry_run { fields } else { fields.with(BATCH, Value::Link(batch)) };
    let record = match decide::create(kind, tagged(fields), author_for(live, item.unit), txn.now()) {
        Ok(record) => record,
        Err(refusal) => return Ok(Err(rows::row_problems(refusal))),
    };
    if !found.is_empty() {
        summary.mark(item.line, label, &found);
    }
    summary.created += 1;
    summary.articles += item.below.len() as u64;
    if dry_run {
        return Ok(Ok(()));
    }
    let parent = txn.create(record)?;
    for below in item.below {
        let below = tagged(below.with(article::tag::REGULATION, Value::Link(parent)));
        let made = decide::create(&article::KIND, below, author_for(live, item.unit), txn.now());
        txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?)?;
    }
    Ok(Ok(()))
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
