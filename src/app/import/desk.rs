//! Imports as a browser leads through them: a file is uploaded, looked at, its columns are put right, it is checked, it
//! comes in. Each step is work of its own thread that can be left and found again, and stopped.
//!
//! What waits here lives in memory; the uploaded file lies sealed on disk under a key that is kept here only. Refused
//! rows are given back from memory and never stored.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::columns::{self, Sheet};
use super::papers::Paper;
use super::source::{self, Source};
use super::{Options, Summary, What};
use crate::app::{Actor, App, Right, Scope, lock};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, background, limits};
use crate::foreign::{self, Format, Item, Reader};
use crate::records::{FileRef, Record, batch};
use crate::store::seal;

/// This program, as the kernel knows it, whatever became of its file.
pub const PROGRAM: &str = "/proc/self/exe";

/// Imports that wait or run, by their token.
#[derive(Default)]
pub struct Desk(Mutex<HashMap<String, Arc<Job>>>);

/// One import on its way.
pub struct Job {
    account: RecordId,
    at: Moment,
    /// What the file holds.
    pub what: What,
    pub(super) files: Vec<(FileRef, Format)>,
    pub(super) state: Mutex<State>,
    stop: AtomicBool,
}

/// How far an import is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Sheets of a table file.
    pub sheets: Vec<Sheet>,
    /// Rows of each sheet below its heads.
    pub totals: Vec<u64>,
    /// The sheet that is to come in.
    pub chosen: usize,
    /// Recognised regulations.
    pub papers: Vec<Paper>,
    /// What the reader wants known.
    pub notes: Vec<String>,
    /// Unit of rows that name none.
    pub unit: String,
    /// Where such files come from.
    pub source: String,
    /// What is done at the moment, or was done last.
    pub stage: Stage,
}

/// A step of an import.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    /// The file is being looked at.
    #[default]
    Looking,
    /// The person decides.
    Ready,
    /// Rows are being checked or brought in: since when, rows done, of how many.
    Running {
        /// Nothing is stored.
        dry_run: bool,
        /// When it began.
        since: Moment,
        /// Rows done.
        done: u64,
        /// Rows in all.
        total: u64,
    },
    /// The check is over.
    Checked(Box<Summary>),
    /// It is in.
    Done(Box<Summary>),
    /// It broke off; what to do.
    Failed(String),
}

/// What a person decided about a file.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Place of the sheet.
    pub sheet: usize,
    /// What becomes of each column.
    pub targets: Vec<String>,
    /// Unit of rows that name none.
    pub unit: String,
    /// Where such files come from.
    pub source: String,
}

impl State {
    /// What was checked is not what would come in now.
    pub(super) fn forget_check(&mut self) {
        if matches!(self.stage, Stage::Checked(_)) {
            self.stage = Stage::Ready;
        }
    }
}

impl Job {
    /// Name of the file, or of the first of several.
    pub fn name(&self) -> String {
        let first = self.files.first().map_or("", |(f, _)| f.name.as_str());
        if self.files.len() > 1 {
            format!("{first} 等 {} 个文件", self.files.len())
        } else {
            first.to_owned()
        }
    }

    /// How far it is.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Work is under way.
    pub fn is_busy(&self) -> bool {
        matches!(lock(&self.state).stage, Stage::Looking | Stage::Running { .. })
    }

    /// An error once somebody wants it to end.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(super::stopped()) } else { Ok(()) }
    }

    fn set(&self, stage: Stage) {
        lock(&self.state).stage = stage;
    }
}

impl App {
    /// Takes uploaded files for an import and begins to look at them; the token of the import.
    pub fn import_begin(self: &Arc<Self>, actor: &Actor, what: What, files: &[FileRef]) -> Result<String> {
        if actor.scope(what.kind(), Right::Create) == Scope::Nothing {
            self.throw_away(files)?;
            return Err(self.refused(actor, what.kind(), RecordId(0)));
        }
        let files = match self.detected(what, files) {
            Ok(known) => known,
            Err(e) => {
                self.throw_away(files)?;
                return Err(e);
            }
        };
        self.tidy_desk(actor.account)?;
        let unit = self.directory()?.unit(actor.unit).to_owned();
        let state = State { unit, ..State::default() };
        let (account, at) = (actor.account, self.now());
        let job = Job { account, at, what, files, state: Mutex::new(state), stop: AtomicBool::new(false) };
        let (job, token) = (Arc::new(job), hex::encode(seal::random::<16>()?));
        lock(&self.desk.0).insert(token.clone(), Arc::clone(&job));
        let (app, actor) = (Arc::clone(self), actor.clone());
        self.work(&job, move |job| {
            app.look_through(&actor, job)?;
            job.set(Stage::Ready);
            Ok(())
        })?;
        Ok(token)
    }

    /// An import of one's own.
    pub fn import_job(&self, actor: &Actor, token: &str) -> Result<Arc<Job>> {
        let desk = lock(&self.desk.0);
        let own = desk.get(token).filter(|j| j.account == actor.account);
        own.cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::Denied,
                "这次导入已经结束或不存在（系统重新启动后需重新上传）。请回到导入页面。",
            )
        })
    }

    /// Imports of one's own that wait or run, newest first: token and import.
    pub fn import_jobs(&self, actor: &Actor) -> Vec<(String, Arc<Job>)> {
        let desk = lock(&self.desk.0);
        let own = desk.iter().filter(|(_, j)| j.account == actor.account);
        let mut own: Vec<_> = own.map(|(t, j)| (t.clone(), Arc::clone(j))).collect();
        own.sort_by(|a, b| (b.1.at, &b.0).cmp(&(a.1.at, &a.0)));
        own
    }

    /// Keeps what the person decided; columns of an unknown target stay as they were. Whether the person should see the
    /// columns before anything else: those of another sheet, or as they were read the last time from this source.
    pub fn import_settings(&self, actor: &Actor, job: &Job, settings: Settings) -> Result<bool> {
        if job.is_busy() {
            return Err(Error::invalid("正在处理这个文件，请等它结束或先停止。"));
        }
        let mut state = lock(&job.state);
        let decided = |s: &State| {
            let targets = s.sheets.get(s.chosen).map(|sheet| sheet.layout.targets.clone());
            (s.chosen, targets, s.unit.clone(), s.source.clone())
        };
        let before = decided(&state);
        let switched = settings.sheet != state.chosen && settings.sheet < state.sheets.len();
        if switched {
            // The columns of the form are those of the sheet that was shown.
            state.chosen = settings.sheet;
        } else if let Some(sheet) = state.sheets.get_mut(settings.sheet) {
            let known = |t: &str| {
                t == columns::REMARKS || t == columns::IGNORE || columns::TARGETS.iter().any(|c| c.name == t)
            };
            for (target, wanted) in sheet.layout.targets.iter_mut().zip(settings.targets) {
                if known(&wanted) {
                    *target = wanted;
                }
            }
            if let Some(label) = columns::taken_twice(&sheet.layout.targets) {
                return Err(Error::invalid(format!("“{label}”只能对应一列，请把多出的列改为备注或不导入。")));
            }
        }
        let source: String = settings.source.trim().chars().take(limits::LINE_CHARS).collect();
        let named = !source.is_empty() && source != state.source;
        (state.unit, state.source) = (settings.unit, source.clone());
        let chosen = state.chosen;
        let recalled = match state.sheets.get_mut(chosen).filter(|_| named) {
            Some(sheet) => {
                let was = sheet.layout.targets.clone();
                self.recall(actor, &source, sheet)? && sheet.layout.targets != was
            }
            None => false,
        };
        if decided(&state) != before {
            state.forget_check();
        }
        Ok(switched || recalled)
    }

    /// Checks the rows, or brings them in.
    pub fn import_run(self: &Arc<Self>, actor: &Actor, job: &Arc<Job>, dry_run: bool) -> Result<()> {
        let total = {
            let mut state = lock(&job.state);
            if matches!(state.stage, Stage::Looking | Stage::Running { .. } | Stage::Done(_)) {
                return Err(Error::invalid("正在处理或已经导入这个文件，请看下面的进度和结果。"));
            }
            let total = state.totals.get(state.chosen).copied().unwrap_or(state.papers.len() as u64);
            state.stage = Stage::Running { dry_run, since: self.now(), done: 0, total };
            total
        };
        job.stop.store(false, Ordering::Relaxed);
        let (app, actor) = (Arc::clone(self), actor.clone());
        self.work(job, move |job| {
            let since = app.now();
            let mut watch = |sum: &Summary| {
                job.set(Stage::Running { dry_run, since, done: sum.read, total });
                job.go_on().is_ok()
            };
            let summary = app.run_job(&actor, job, dry_run, &mut watch)?;
            if dry_run {
                job.set(Stage::Checked(Box::new(summary)));
            } else {
                app.throw_away(job.files.iter().map(|(f, _)| f))?;
                job.set(Stage::Done(Box::new(summary)));
            }
            Ok(())
        })
    }

    /// Stops what runs; nothing of it stays.
    pub fn import_stop(&self, job: &Job) {
        job.stop.store(true, Ordering::Relaxed);
    }

    /// Forgets an import and its file.
    pub fn import_drop(&self, actor: &Actor, token: &str) -> Result<()> {
        let job = self.import_job(actor, token)?;
        if job.is_busy() {
            return Err(Error::invalid("正在处理这个文件，请先停止。"));
        }
        lock(&self.desk.0).remove(token);
        self.forget(&job)
    }

    /// The refused rows as a workbook, with what is wrong in the last column.
    pub fn import_failed(&self, job: &Job) -> Result<Vec<u8>> {
        let state = job.state();
        let (Stage::Checked(summary) | Stage::Done(summary)) = &state.stage else {
            return Err(Error::invalid("还没有检查结果。请先预检。"));
        };
        let heads = state.sheets.get(state.chosen).map_or(&[][..], |s| &s.layout.heads);
        failed_workbook(heads, summary)
    }

    fn forget(&self, job: &Job) -> Result<()> {
        if matches!(lock(&job.state).stage, Stage::Done(_)) {
            return Ok(());
        }
        self.throw_away(job.files.iter().map(|(f, _)| f))
    }

    fn throw_away<'a>(&self, files: impl IntoIterator<Item = &'a FileRef>) -> Result<()> {
        files.into_iter().try_for_each(|file| self.store.discard_blob(file))
    }

    /// Sealed files of imports that wait.
    pub(in crate::app) fn desk_blobs(&self) -> Vec<String> {
        let desk = lock(&self.desk.0);
        desk.values().flat_map(|job| &job.files).map(|(file, _)| file.blob.clone()).collect()
    }

    /// Forgets what nobody came back for.
    pub(in crate::app) fn tidy_imports(&self) -> Result<()> {
        self.tidy_desk(RecordId(0))
    }

    /// Forgets what nobody came back for, and the oldest of one person who begins many.
    fn tidy_desk(&self, account: RecordId) -> Result<()> {
        let mut desk = lock(&self.desk.0);
        let now = self.now();
        let mut own: Vec<_> =
            desk.iter().filter(|(_, j)| j.account == account).map(|(t, j)| (j.at, t.clone())).collect();
        own.sort();
        let many = own.len().saturating_sub(limits::IMPORTS_WAITING - 1);
        let crowded: Vec<String> = own.into_iter().take(many).map(|(_, t)| t).collect();
        let old = |j: &Job| now.seconds_since(j.at) > limits::SESSION_MAX_S;
        let gone = desk.iter().filter(|(t, j)| !j.is_busy() && (old(j) || crowded.contains(t)));
        let gone: Vec<String> = gone.map(|(t, _)| t.clone()).collect();
        for job in gone.iter().filter_map(|t| desk.remove(t)) {
            self.forget(&job)?;
        }
        Ok(())
    }

    /// Runs a step on a thread of its own.
    fn work(&self, job: &Arc<Job>, step: impl FnOnce(&Job) -> Result<()> + Send + 'static) -> Result<()> {
        let own = Arc::clone(job);
        let run = move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(&own)));
            let done = done.unwrap_or_else(|_| Err(Error::internal("an import panicked")));
            if let Err(e) = done {
                // No detail: it could tell what a row says.
                tracing::warn!("an import broke off: {:?}", e.kind());
                own.set(Stage::Failed(e.public().to_owned()));
            }
        };
        background("import", run).map(drop).map_err(|e| {
            let error = Error::from(e);
            job.set(Stage::Failed(error.public().to_owned()));
            error
        })
    }

    fn detected(&self, what: What, files: &[FileRef]) -> Result<Vec<(FileRef, Format)>> {
        let mut known = Vec::with_capacity(files.len());
        for file in files {
            let head = self.store.read_blob(file)?.next_chunk()?.unwrap_or_default();
            let format = Format::detect(&file.name, &head[..head.len().min(limits::FORMAT_HEAD_BYTES)]);
            known.push((file.clone(), fitting(what, format, files.len())?));
        }
        if known.is_empty() { Err(Error::invalid("请选择要导入的文件。")) } else { Ok(known) }
    }

    fn look_through(&self, actor: &Actor, job: &Job) -> Result<()> {
        match (job.what, job.files.first()) {
            (_, Some((file, Format::Jsonl))) => {
                let lines = self.store.read_blob(file)?;
                let total = count_lines(lines)?;
                lock(&job.state).totals = vec![total];
                Ok(())
            }
            (What::Petitions, Some((file, format))) => {
                let reader =
                    Reader::start(Path::new(PROGRAM), *format, Box::new(self.store.read_blob(file)?))?;
                let watched = reader.map(|item| job.go_on().and(item));
                let (mut sheets, totals, notes) = columns::look(watched)?;
                for sheet in &mut sheets {
                    self.recall_heads(actor, sheet)?;
                }
                let mut state = lock(&job.state);
                let best = sheets.iter().zip(&totals).map(|(s, n)| (s.known(), *n)).enumerate();
                state.chosen =
                    best.max_by_key(|(n, rank)| (*rank, std::cmp::Reverse(*n))).map_or(0, |(n, _)| n);
                (state.sheets, state.totals, state.notes) = (sheets, totals, notes);
                Ok(())
            }
            _ => self.look_at_papers(job),
        }
    }

    /// Takes over how a sheet of the named source was read the last time; whether there was one.
    pub fn recall(&self, actor: &Actor, source: &str, sheet: &mut Sheet) -> Result<bool> {
        let known = |batch: &Record| !source.is_empty() && batch.fields.text(batch::tag::SOURCE) == source;
        self.recall_like(actor, sheet, &|batch, _| known(batch))
    }

    /// Takes over how the same heads were read the last time, whatever their source; whether they were.
    pub fn recall_heads(&self, actor: &Actor, sheet: &mut Sheet) -> Result<bool> {
        let heads = sheet.layout.heads.clone();
        let known = |map: &Columns| !map.is_empty() && heads.iter().all(|h| h.is_empty() || map.contains_key(h));
        self.recall_like(actor, sheet, &|_, map| known(map))
    }

    /// The newest batch that is like that and came in for good decides.
    fn recall_like(
        &self,
        actor: &Actor,
        sheet: &mut Sheet,
        is_like: &dyn Fn(&Record, &Columns) -> bool,
    ) -> Result<bool> {
        let input = crate::app::record::ListInput { size: limits::PAGE_ROWS_MAX, ..Default::default() };
        if actor.scope(&batch::KIND, Right::See) == Scope::Nothing {
            return Ok(false);
        }
        let batches = self.list(actor, &batch::KIND, &input)?.rows;
        for batch in batches.iter().filter(|b| b.state == batch::state::DONE) {
            let map: Columns = serde_json::from_str(batch.fields.text(batch::tag::MAPPING)).unwrap_or_default();
            if is_like(batch, &map) {
                sheet.layout.remember(&map);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run_job(&self, actor: &Actor, job: &Job, dry_run: bool, watch: super::Watch<'_>) -> Result<Summary> {
        let state = job.state();
        let unit = Some(state.unit.clone()).filter(|u| !u.is_empty());
        let mut options =
            Options { unit, dry_run, file: job.name(), source: state.source.clone(), ..Options::default() };
        let Some((file, format)) = job.files.first() else {
            return Err(Error::invalid("请选择要导入的文件。"));
        };
        if *format == Format::Jsonl {
            let (map, mut input) = (BTreeMap::new(), BufReader::new(self.store.read_blob(file)?));
            return self.import(actor, job.what, &mut source::jsonl(&mut input, &map), &options, watch);
        }
        if job.what == What::Regulations {
            return self.import(actor, job.what, &mut super::papers::source(&state.papers), &options, watch);
        }
        let sheet = state.sheets.get(state.chosen);
        let layout = &sheet.ok_or_else(|| Error::invalid("文件中没有可以导入的表格。"))?.layout;
        options.map = layout.map();
        let reader = Reader::start(Path::new(PROGRAM), *format, Box::new(self.store.read_blob(file)?))?;
        let mut rows: Source<'_> = source::table(reader, layout);
        self.import(actor, job.what, &mut rows, &options, watch)
    }
}

/// Heads of columns, and what became of each.
type Columns = BTreeMap<String, String>;

/// Whether a file of this format can hold what is asked for.
pub fn fitting(what: What, format: Option<Format>, files: usize) -> Result<Format> {
    let format = format.ok_or_else(|| Error::invalid(expected(what)))?;
    let fits = match what {
        What::Petitions => format.is_table() && files == 1,
        What::Regulations => format.is_document() || (format == Format::Jsonl && files == 1),
    };
    if fits { Ok(format) } else { Err(Error::invalid(expected(what))) }
}

fn expected(what: What) -> &'static str {
    match what {
        What::Petitions => "请选择一个台账文件：xlsx、xls、csv 或 jsonl。",
        What::Regulations => {
            "请选择法规文件：docx、md、txt、html、pdf（可多选），或一个 jsonl。旧的 doc 文件请先另存为 docx。"
        }
    }
}

/// The refused rows as a workbook: row, cells, reason.
pub fn failed_workbook(heads: &[String], summary: &Summary) -> Result<Vec<u8>> {
    let width = summary.failed_rows.iter().map(|r| r.cells.len()).max().unwrap_or(0).max(heads.len());
    let mut all: Vec<String> = heads.to_vec();
    // Lines of JSON have no columns.
    if heads.is_empty() && width == 1 {
        all.push("原行内容".into());
    }
    all.resize(width, String::new());
    all.insert(0, "原行号".into());
    all.push("未导入原因".into());
    let rows = summary.failed_rows.iter().map(|row| {
        let mut cells = row.cells.clone();
        cells.resize(width, String::new());
        cells.insert(0, row.line.to_string());
        cells.push(row.reason.clone());
        cells
    });
    foreign::workbook(&all, rows)
}

/// Lines of a file of JSON lines.
pub fn count_lines(mut input: impl Read) -> Result<u64> {
    let mut buffer = vec![0; limits::CHUNK_BYTES];
    let mut lines = 0;
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(lines),
            n => lines += buffer[..n].iter().filter(|b| **b == b'\n').count() as u64,
        }
    }
}

/// Items of a document that are blocks, and what else the reader said.
pub(super) fn blocks(
    reader: impl Iterator<Item = Result<Item>>,
) -> Result<(Vec<foreign::Block>, Vec<String>)> {
    let (mut blocks, mut notes) = (Vec::new(), Vec::new());
    for item in reader {
        match item? {
            Item::Block(block) => blocks.push(block),
            Item::Note(note) => notes.push(note),
            _ => {}
        }
    }
    Ok((blocks, notes))
}
