//! The county as it is: the application on a virtual disk and a virtual clock, and what it answers to commands, in the
//! words of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiceng::app::change::{SaveError, Typed};
use jiceng::app::import::{Options, What, source};
use jiceng::app::login::Attempt;
use jiceng::app::record::ListInput;
use jiceng::app::search::Query;
use jiceng::app::{Actor, App, demo, index_dir};
use jiceng::base::clock::ManualClock;
use jiceng::base::{Error, ErrorKind, Moment, RecordId};
use jiceng::records::flow::Move;
use jiceng::records::{Kind, Record, account, petition};
use jiceng::store::{DATABASE_FILE, Doer, SLOT_FILE, Store};

use super::command::{Command, Form, Row, Who};
use super::disk::{Chance, Disk, Op, after_a_cut};
use super::model::{MOVES, Model, Person, RANKS, code, entry};

/// 2026-10-21 in Beijing.
const BEGIN_MS: i64 = 1_792_555_200_000;

/// Log-in names and roles, as the demo county has them.
const PEOPLE: [(&str, &[&str]); 10] = [
    ("sysadmin", &["sysadmin"]),
    ("secadmin", &["secadmin"]),
    ("auditor", &["auditor"]),
    (demo::EVERYTHING, &["handler", "petition-office", "law-office", "identity"]),
    ("xinfang-fz", &["approver", "petition-office", "identity"]),
    ("bangong", &["handler"]),
    ("zhen01", &["handler", "identity"]),
    ("zhen01-fz", &["approver", "identity"]),
    ("zhen02", &["handler", "identity"]),
    ("zhen02-fz", &["approver", "identity"]),
];

/// A county made once a process: making it costs more than simulating it.
struct Image {
    _home: tempfile::TempDir,
    slot: Vec<u8>,
    bytes: Vec<u8>,
    model: Model,
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("d");
        let app = demo::create(&dir, Arc::new(ManualClock::at(Moment(BEGIN_MS))), true).unwrap();
        let directory = app.directory().unwrap();
        let people = PEOPLE.iter().map(|(login, roles)| {
            let actor = app.demo_actor(login).unwrap();
            let unit_name = directory.unit(actor.unit).to_owned();
            let (id, unit) = (actor.account.0, actor.unit.0);
            let (first, roles, open, version) = (*roles, roles.to_vec(), true, 1);
            Person { login, id, unit, unit_name, first, roles, open, version }
        });
        let mut model = Model { people: people.collect(), now: BEGIN_MS, ..Model::default() };
        drop(app);
        let (slot, bytes) = (fs::read(dir.join(SLOT_FILE)).unwrap(), fs::read(dir.join(DATABASE_FILE)).unwrap());
        let store = Store::open(&dir, Arc::new(ManualClock::at(Moment(BEGIN_MS)))).unwrap();
        model.next_id = store.read().unwrap().last_id().unwrap().0 + 1;
        drop(store);
        Image { _home: home, slot, bytes, model }
    })
}

/// The model at the beginning.
pub(crate) fn first_model() -> Model {
    image().model.clone()
}

fn disk(bytes: Vec<u8>, lies: bool) -> Disk {
    if lies { Disk::of(bytes).lying() } else { Disk::of(bytes) }
}

/// The application and what it stands on.
pub(crate) struct World {
    _home: tempfile::TempDir,
    dir: PathBuf,
    clock: Arc<ManualClock>,
    disk: Disk,
    /// It says that it synced and does not.
    lies: bool,
    /// The disk when this recording began.
    first: Vec<u8>,
    running: Option<(Store, Arc<App>)>,
}

impl World {
    pub(crate) fn new(lies: bool) -> Self {
        let image = image();
        let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
        let dir = home.path().join("d");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(SLOT_FILE), &image.slot).unwrap();
        fs::write(dir.join(DATABASE_FILE), b"").unwrap();
        let (disk, clock) = (disk(image.bytes.clone(), lies), Arc::new(ManualClock::at(Moment(BEGIN_MS))));
        let mut world = Self { _home: home, dir, clock, disk, lies, first: image.bytes.clone(), running: None };
        world.start().unwrap();
        world
    }

    /// Opens what is on the disk; the head it had before anything was entered.
    fn start(&mut self) -> Result<u64, String> {
        let store = Store::open_on(&self.dir, self.clock.clone(), self.disk.clone());
        let store = store.map_err(|e| format!("does not open: {e:?}"))?;
        let head = store.head().seq.0;
        let app = App::with_store(store.clone()).map_err(|e| format!("does not start: {e:?}"))?;
        self.running = Some((store, app));
        Ok(head)
    }

    fn app(&self) -> &App {
        &self.running.as_ref().unwrap().1
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running.as_ref().unwrap().0
    }

    pub(crate) fn head(&self) -> u64 {
        self.store().head().seq.0
    }

    /// Stops and starts again.
    fn restart(&mut self) -> Result<String, String> {
        let head = self.head();
        self.running = None;
        let now = self.start()?;
        if now == head { Ok("restarted".into()) } else { Err(format!("the journal ended at {head}, now at {now}")) }
    }

    /// The power went somewhere in the last command: how many of its entries are there still.
    pub(crate) fn power_cut(&mut self, before: u64, chance: &mut Chance) -> Result<u64, String> {
        let log = self.disk.log();
        let promises = (0..log.len()).rev().filter(|n| matches!(log[*n], Op::Promise(_)));
        let [end, begin] = promises.take(2).collect::<Vec<_>>()[..] else { return Err("no promises".into()) };
        let cut = begin + 1 + chance.below(end - begin + 1);
        let (bytes, promised) = after_a_cut(&self.first, &log, cut, chance);
        self.running = None;
        // A follower is disposable; this one may have seen what never came to be.
        remove(&index_dir(&self.dir)).map_err(|e| e.to_string())?;
        self.first.clone_from(&bytes);
        self.disk = disk(bytes, self.lies);
        let head = self.start()?;
        if head < promised || head < before {
            return Err(format!("the journal ends at {head}, promised was {promised}"));
        }
        Ok(head - before)
    }

    /// Marks what was acknowledged so far.
    pub(crate) fn promise(&self) {
        self.disk.promise(self.head());
    }

    /// Entries of the journal after one, in the words of the model.
    pub(crate) fn entries_after(&self, seq: u64) -> Result<Vec<String>, String> {
        let snapshot = self.store().read().map_err(|e| e.to_string())?;
        let rows = snapshot.journal_after(jiceng::base::Seq(seq)).map_err(|e| e.to_string())?;
        rows.map(|row| {
            let header = row.map_err(|e| e.to_string())?.header;
            let ids: Vec<u64> = header.subjects.iter().map(|s| s.id.0).collect();
            Ok(entry(header.action, header.doer.account.0, header.done, &ids))
        })
        .collect()
    }

    fn actor(&self, model: &Model, who: Who) -> Result<Actor, Error> {
        self.app().demo_actor(model.people[who].login)
    }
}

fn refused(e: &Error) -> String {
    match e.kind() {
        ErrorKind::Denied => "denied".into(),
        ErrorKind::Invalid => "invalid".into(),
        ErrorKind::Stale => "not now".into(),
        _ => format!("{e:?}"),
    }
}

fn not_saved(e: SaveError) -> String {
    match e {
        SaveError::Problems(_) => "problems".into(),
        SaveError::Gate => "gate".into(),
        SaveError::Stale(_) => "stale".into(),
        SaveError::Failed(e) => refused(&e),
    }
}

fn typed(form: &Form, submit: &str) -> Typed {
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let mut raw = vec![pair("title", &form.title), pair("text", &form.text), pair("received", form.received)];
    for (n, (name, rank)) in form.accused.iter().enumerate() {
        raw.push(pair(&format!("accused.{n}.name"), name));
        raw.push(pair(&format!("accused.{n}.rank"), RANKS[*rank].0));
    }
    if form.organisation {
        raw.push(pair("accused_org", "某村民委员会"));
    }
    raw.push(pair("petitioner.name", &form.petitioner));
    Typed { raw, submit: submit.to_owned(), revealed: form.revealed, ..Typed::default() }
}

fn ledger(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let person = |(name, rank): &(String, usize)| {
            format!("{{\"name\":\"{name}\",\"rank\":\"{}\"}}", RANKS[*rank].1)
        };
        let accused: Vec<String> = row.form.accused.iter().map(person).collect();
        format!(
            "{{\"ref\":\"{}\",\"title\":\"{}\",\"text\":\"{}\",\"accused\":[{}],\"petitioner\":{{\"name\":\"{}\"}}}}\n",
            row.reference,
            row.form.title,
            row.form.text,
            accused.join(","),
            row.form.petitioner
        )
    };
    rows.iter().map(line).collect()
}

/// Removes a folder; a merge of the index that outlives its writer may still put a file there.
fn remove(folder: &Path) -> std::io::Result<()> {
    let mut done = fs::remove_dir_all(folder);
    for _ in 0..500 {
        if !done.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::DirectoryNotEmpty) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        done = fs::remove_dir_all(folder);
    }
    done
}

/// A record in the words of [`super::model::Petition::told`].
pub(crate) fn told(record: &Record) -> String {
    use petition::tag;
    let text = |tag| record.fields.text(tag);
    let accused: Vec<String> =
        record.fields.rows(tag::ACCUSED).iter().map(|p| format!("{} {}", p.text(1), p.text(4))).collect();
    let by = |row: &jiceng::records::Fields| (row.text(1).to_owned(), row.link(2).map_or(0, |id| id.0));
    let trail: Vec<(String, u64)> = record.fields.rows(tag::TRAIL).iter().map(by).collect();
    let day = record.fields.day(tag::RECEIVED);
    let day = if day == jiceng::base::Day::default() { String::new() } else { day.to_string() };
    format!(
        "{} {} unit {} by {} v{} state {} [{}|{}|{day}|{}] {accused:?} {trail:?} file {:?} ref {} batch {:?} \
         from [{}]",
        record.id,
        text(tag::NUMBER),
        record.unit,
        record.creator,
        record.version,
        record.state,
        text(tag::TITLE),
        text(tag::TEXT),
        !text(tag::ACCUSED_ORG).is_empty(),
        !record.fields.files(tag::FILES).is_empty(),
        text(tag::REF),
        record.batch().map(|b| b.0),
        text(tag::NAME),
    )
}

fn move_of(kind: &'static Kind, name: &str) -> &'static Move {
    kind.flow.moves.iter().find(|m| m.name == name).unwrap()
}

/// Commands.
impl World {
    /// What the application answers.
    pub(crate) fn answer(&mut self, model: &Model, command: &Command) -> Result<String, String> {
        match command {
            Command::Restart => return self.restart(),
            Command::Clock { to } => {
                self.clock.set(Moment(*to));
                return Ok("set".into());
            }
            Command::Rebuild => {
                let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "local:0".into() };
                return self.app().reindex(&doer).map(|_| "rebuilt".into()).map_err(|e| format!("{e:?}"));
            }
            Command::LogIn { who, right, from } => return Ok(self.log_in(model, *who, *right, *from)),
            Command::Audit => return Ok("sound".into()),
            _ => {}
        }
        let Some(who) = command.who() else { return Err("nobody does it".into()) };
        let Ok(actor) = self.actor(model, who) else { return Ok(format!("no account {who}")) };
        Ok(match command {
            Command::Open { id, .. } => self.open(&actor, RecordId(*id)),
            Command::Reveal { id, reason, .. } => self.reveal(&actor, RecordId(*id), reason),
            Command::Fetch { id, .. } => self.fetch(&actor, RecordId(*id)),
            Command::List { state, .. } => self.list(&actor, *state),
            Command::Search { text, .. } => self.search(model, who, &actor, text)?,
            Command::Grant { whom, stale, roles, .. } => self.grant(model, &actor, (*whom, *stale), roles),
            Command::Close { whom, back, .. } => self.close(model, &actor, *whom, *back),
            other => self.write(model, &actor, other),
        })
    }

    fn write(&self, model: &Model, actor: &Actor, command: &Command) -> String {
        let (app, kind) = (self.app(), &petition::KIND);
        match command {
            Command::Create { form, submit, file, .. } => {
                let mut typed = typed(form, submit);
                typed.files.extend(file.iter().map(|content| {
                    let mut writer = self.store().write_blob().unwrap();
                    writer.write(content.as_bytes()).unwrap();
                    writer.finish("附件.txt").unwrap()
                }));
                app.create(actor, kind, typed).map_or_else(not_saved, |id| format!("made {id}"))
            }
            Command::Amend { id, version, form, submit, .. } => app
                .amend(actor, kind, (RecordId(*id), *version), typed(form, submit))
                .map_or_else(not_saved, |_| "changed".into()),
            Command::Advance { id, version, mv, opinion, submit, .. } => {
                let typed = ((*opinion).to_owned(), submit.clone());
                let moved = app.advance(actor, kind, (RecordId(*id), *version), move_of(kind, MOVES[*mv].name), typed);
                moved.map_or_else(not_saved, |()| "moved".into())
            }
            Command::Import { unit, rows, .. } => {
                let unit = Some(model.people[*unit].unit_name.clone());
                let options = Options { unit, file: "台账.jsonl".into(), ..Options::default() };
                let text = ledger(rows);
                let (mut input, map) = (text.as_bytes(), BTreeMap::new());
                let mut rows = source::jsonl(&mut input, &map);
                let done = app.import(actor, What::Petitions, &mut rows, &options, &mut |_| true);
                let say = |s: jiceng::app::import::Summary| {
                    format!("imported {} skipped {} failed {} as {}", s.created, s.skipped, s.failed, s.batch)
                };
                done.map_or_else(|e| refused(&e), say)
            }
            Command::Undo { number, reason, .. } => {
                app.import_undo(actor, number, reason).map_or_else(|e| refused(&e), |n| format!("undone {n}"))
            }
            Command::Keep { draft, form, .. } => app
                .keep_draft(actor, kind, draft, typed(form, ""))
                .map_or_else(not_saved, |rests| format!("kept {rests}")),
            Command::Throw { draft, .. } => {
                app.throw_draft(actor, draft).map_or_else(|e| refused(&e), |()| "thrown".into())
            }
            _ => "no such command".into(),
        }
    }

    fn open(&self, actor: &Actor, id: RecordId) -> String {
        let opened = match self.app().open_record(actor, &petition::KIND, id, 0) {
            Err(e) => return refused(&e),
            Ok(opened) => opened,
        };
        let moves: Vec<&str> = opened.moves.iter().chain(&opened.voiding).map(|m| m.name).collect();
        let (edit, identify, has) = (opened.may_edit, opened.may_identify, opened.has_identity);
        format!("{} moves {moves:?} edit {edit} identify {identify} has {has}", told(&opened.record))
    }

    fn reveal(&self, actor: &Actor, id: RecordId, reason: &str) -> String {
        let record = match self.app().reveal(actor, &petition::KIND, id, reason) {
            Err(e) => return refused(&e),
            Ok(record) => record,
        };
        let snapshot = self.store().read().unwrap();
        let last = snapshot.entry(self.store().head().seq).unwrap();
        let secret = last.and_then(|e| snapshot.entry_secret(&e)).unwrap_or_default();
        format!("{} because {secret}", told(&record))
    }

    fn fetch(&self, actor: &Actor, id: RecordId) -> String {
        let mut reader = match self.app().attachment(actor, &petition::KIND, id, 0) {
            Err(e) => return refused(&e),
            Ok((_, reader)) => reader,
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            bytes.extend(chunk);
        }
        format!("file {}", String::from_utf8_lossy(&bytes))
    }

    fn list(&self, actor: &Actor, state: Option<u8>) -> String {
        let input = ListInput { state, size: 1_000, ..ListInput::default() };
        match self.app().list(actor, &petition::KIND, &input) {
            Err(e) => refused(&e),
            Ok(page) => {
                let ids: Vec<u64> = page.rows.iter().map(|r| r.id.0).collect();
                let tallies: BTreeMap<u8, u64> = page.tallies.into_iter().filter(|(_, n)| *n > 0).collect();
                format!("list {ids:?} of {} tallies {tallies:?}", page.total)
            }
        }
    }

    fn search(&self, model: &Model, who: Who, actor: &Actor, text: &str) -> Result<String, String> {
        self.app().wait_for_index().map_err(|e| format!("{e:?}"))?;
        let query = Query { text: text.to_owned(), limit: 200, ..Query::default() };
        let found = self.app().search(actor, &query).map_err(|e| format!("{e:?}"))?;
        let hits: BTreeSet<u64> = found.hits.iter().map(|h| h.record.id.0).collect();
        let seen: BTreeSet<u64> = model.visible(who).map(|(id, _)| id).collect();
        if !hits.is_subset(&seen) || found.total < hits.len() as u64 {
            return Err(format!("{text} finds {hits:?} of {}, to be seen are {seen:?}", found.total));
        }
        let hits: Vec<u64> = hits.into_iter().collect();
        Ok(if found.exact { format!("found {hits:?}") } else { "found nothing exactly".into() })
    }

    fn grant(&self, model: &Model, actor: &Actor, (whom, stale): (Who, bool), roles: &[&str]) -> String {
        let person = &model.people[whom];
        let raw = roles.iter().map(|r| ("roles".to_owned(), (*r).to_owned())).collect();
        let at = (RecordId(person.id), if stale { person.version + 7 } else { person.version });
        let changed = self.app().amend(actor, &account::KIND, at, Typed { raw, ..Typed::default() });
        changed.map_or_else(not_saved, |_| "changed".into())
    }

    fn close(&self, model: &Model, actor: &Actor, whom: Who, back: bool) -> String {
        let person = &model.people[whom];
        let mv = move_of(&account::KIND, if back { "reopen" } else { "close" });
        let (at, typed) = ((RecordId(person.id), person.version), ("人员变动".to_owned(), String::new()));
        self.app().advance(actor, &account::KIND, at, mv, typed).map_or_else(not_saved, |()| "moved".into())
    }

    fn log_in(&self, model: &Model, who: Option<Who>, right: bool, from: u64) -> String {
        let login = who.map_or("nobody", |w| model.people[w].login);
        let password = if right { demo::PASSWORD } else { "Wanglan#2025" };
        let from = format!("{from:x}");
        let done = self.app().log_in(&Attempt { login, password, from: &from, ..Attempt::default() });
        // Nobody waits for the entry of a failure but whoever counts entries.
        let settled = self.store().settle();
        done.map_or_else(|e| refused(&e), |_| settled.map_or_else(|e| refused(&e), |()| "in".into()))
    }

    /// Drafts of somebody: title, and whether it is in memory only.
    pub(crate) fn drafts(&self, model: &Model, who: Who) -> Result<BTreeSet<(String, String, bool)>, String> {
        let actor = self.actor(model, who).map_err(|e| e.to_string())?;
        let lines = self.app().drafts(&actor).map_err(|e| e.to_string())?;
        Ok(lines.into_iter().map(|l| (l.id, l.title, l.in_memory)).collect())
    }
}

/// What the model says of an entry that a search may or may not make.
pub(crate) fn is_search(entry: &str) -> bool {
    entry.starts_with(&format!("{} ", code::SEARCH))
}
