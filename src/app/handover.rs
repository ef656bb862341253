//! Handover when a person changes (人员变更交接, 管理办法 第十八条), as people do it. The system administrator opens it on the
//! account and closes it, and sees how much work is open, never what; who answers for the unit (负责人, or the petition
//! office for a county) assigns the open work and the drafts in between.
//!
//! What must hold: nothing is left with somebody whose account another person closes or moves (one that ends by its
//! last day is listed before); a successor is of the unit, does such work and is not kept out of the record; rights,
//! second factor and account go in one transaction with the check that nothing is left.

mod work;

use super::draft;
use super::record::live;
use super::sight::{Books, Sight, person};
use super::{Actor, App, Right};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::decide;
use crate::records::dict::Dict;
use crate::records::field::{self, Raw};
use crate::records::flow::Move;
use crate::records::handover::{self, KIND, item, state, tag};
use crate::records::record::HANDLER;
use crate::records::{self, Author, Fields, Kind, Record, Value, account, act, grant, org};
use crate::store::{Act, Snapshot, Txn};
use work::{Heirs, alone, heads, is_open, may_assign, open_work};

/// A record that lies with somebody who leaves, as whoever assigns it sees it.
pub struct OpenItem {
    /// The record.
    pub record: Record,
    /// Its kind.
    pub kind: &'static Kind,
    /// Who can take it.
    pub heirs: Vec<RecordId>,
}

/// Something that was handed over.
pub struct Handed {
    /// The record, where whoever looks may open it.
    pub link: Option<(&'static Kind, RecordId)>,
    /// Its number, or how many drafts.
    pub number: String,
    /// Who has it now.
    pub to: String,
    /// Who decided it.
    pub by: RecordId,
    /// When.
    pub at: Moment,
}

/// What is still with the person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Open records.
    pub records: usize,
    /// Stored drafts.
    pub drafts: usize,
}

/// A change of person, as its page shows it.
pub struct View {
    /// What was handed over, as far as whoever looks may know of it.
    pub handed: Vec<Handed>,
    /// What is to be assigned, for whoever assigns: at most [`limits::HANDED_AT_ONCE`].
    pub open: Vec<OpenItem>,
    /// How many there are of those.
    pub open_count: usize,
    /// Names of all successors.
    pub heirs: Vec<(RecordId, String)>,
    /// Stored drafts that may be given to a successor by whoever looks.
    pub drafts: usize,
    /// Whoever looks assigns work of the unit.
    pub assigns: bool,
    /// How much is left, for administrators.
    pub left: Option<Left>,
    /// Drafts in memory only, which end with the account; for administrators.
    pub in_memory: usize,
    /// Work that nobody else of the unit could do, in words.
    pub alone: Vec<String>,
    /// The system administrator may finish or end it.
    pub finishes: bool,
    /// What may be done with the request to replace an administrator.
    pub replacement: super::succession::May,
}

impl App {
    /// Whether the actor may open the handover of an account, for its page.
    pub fn may_open_handover(&self, actor: &Actor, record: &Record) -> bool {
        actor.is("sysadmin") && record.kind == account::KIND.tag && !account::is_administrator(&record.fields)
    }

    /// Opens the handover of an account; the one that is open already where there is one.
    pub fn open_handover(&self, actor: &Actor, id: RecordId, raw: &Raw) -> Result<RecordId> {
        let account = self.store.read()?.get(id, false)?.filter(|r| r.kind == account::KIND.tag);
        let account = account.ok_or_else(Error::denied)?;
        if !self.may_open_handover(actor, &account) {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let typed = [tag::CAUSE, tag::OUTCOME, tag::NOTE];
        let (fields, problems) = field::parse(KIND.fields, raw);
        if let Some((_, text)) = problems.into_iter().next() {
            return Err(Error::invalid(text));
        }
        let fields: Fields = fields.iter().filter(|(tag, _)| typed.contains(tag)).collect();
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let account = txn.get(id)?.ok_or_else(Error::denied)?;
            if !live(txn, &actor)?.is("sysadmin") || account::is_administrator(&account.fields) {
                return Err(Error::denied());
            }
            if let Some(open) = open_one(txn, id)? {
                txn.act(Act::new(actor.doer(), act::HANDOVER).note("repeat").refused());
                return Ok(open);
            }
            txn.act(Act::new(actor.doer(), act::HANDOVER));
            let fields = about(txn, &account, fields)?;
            create(txn, &actor, &account, fields)
        })
    }

    /// Gives open records and drafts to successors. `raw` has `to.ID` for single records, `rest` for all the others
    /// that the form showed as `item`, and `drafts`; how much was handed over, and how much of `rest` was not.
    pub fn assign(&self, actor: &Actor, id: RecordId, raw: &Raw) -> Result<(usize, usize)> {
        let record = self.visible(&self.store.read()?, actor, &KIND, id)?;
        if !heads(actor, record.unit) {
            return Err(self.refused(actor, &KIND, id));
        }
        let wanted = Wanted::of(raw)?;
        let actor = actor.clone();
        let (done, skipped, files) = self.store.submit(move |txn| {
            let mut change = super::record::authorise(txn, &actor, &KIND, Right::See, id)?;
            let live = live(txn, &actor)?;
            if !heads(&live, change.unit) {
                return Err(Error::denied());
            }
            let leaver = change.fields.link(tag::PERSON).unwrap_or(RecordId(0));
            if change.state != state::OPEN || handover::replaces(&change.fields) || leaver == live.account {
                return Err(Error::invalid("这项人员变更现在不能交接工作。请刷新后再看。"));
            }
            let leaver = txn.get(leaver)?.ok_or_else(Error::denied)?;
            let mut desk = Desk { live, leaver, rows: change.fields.rows(tag::ITEMS).to_vec(), skipped: 0 };
            let records = desk.hand_records(txn, &wanted)?;
            let drafts = desk.hand_drafts(txn, wanted.drafts)?;
            if records + drafts == 0 && desk.skipped == 0 {
                return Err(Error::invalid("没有选定接手人，或所选的工作已经交接。请刷新后再看。"));
            }
            txn.act(Act::new(actor.doer(), act::HANDED).note(format!("records {records} drafts {drafts}")));
            if records + drafts > 0 {
                change.version += 1;
                change.updated = txn.now();
                change.fields.insert(tag::ITEMS, Value::Rows(desk.rows));
                txn.update(change)?;
            }
            Ok((records + drafts, desk.skipped, (drafts > 0).then_some(desk.leaver.id)))
        })?;
        // Uploads of the person's drafts are staged anew for whoever goes on with them.
        files.into_iter().for_each(|leaver| self.unstage_drafts(leaver));
        Ok((done, skipped))
    }

    /// Ends the person's time in the post: nothing may be left. Rights, second factor and, where that was said, the
    /// account go in this transaction.
    pub fn finish_handover(&self, actor: &Actor, id: RecordId) -> Result<()> {
        self.change_of(actor, id)?;
        let doing = actor.clone();
        let person = self.store.submit(move |txn| {
            let mut change = open_change(txn, &doing, id)?;
            let person = change.fields.link(tag::PERSON).unwrap_or(RecordId(0));
            let mut account = txn.get(person)?.ok_or_else(Error::denied)?;
            if account::is_administrator(&account.fields) {
                return Err(Error::invalid("这个账户现在是三员之一，须按更换三员办理，没有停用。"));
            }
            must_be_free(txn, &account)?;
            let closes = change.fields.text(tag::OUTCOME) != handover::KEEP;
            take_back(&mut account, closes, txn.now());
            done(&mut change, &doing, txn.now());
            txn.act(Act::new(doing.doer(), act::LEFT).note(if closes { handover::CLOSE } else { handover::KEEP }));
            txn.update(account)?;
            txn.update(change)?;
            Ok(person)
        })?;
        self.sign_off(person);
        Ok(())
    }

    /// The handover does not take place; what was handed over stays with whoever has it.
    pub fn end_handover(&self, actor: &Actor, id: RecordId) -> Result<()> {
        self.change_of(actor, id)?;
        let doing = actor.clone();
        self.store.submit(move |txn| {
            let mut change = open_change(txn, &doing, id)?;
            change.state = state::ENDED;
            change.version += 1;
            change.updated = txn.now();
            txn.act(Act::new(doing.doer(), act::HANDOVER_ENDED));
            txn.update(change)
        })
    }

    /// What the page of a change of person shows.
    pub fn handover_view(&self, actor: &Actor, record: &Record) -> Result<View> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let administers = account::ADMINISTRATORS.iter().any(|role| actor.is(role));
        let leaver = record.fields.link(tag::PERSON).map_or(Ok(None), |id| snapshot.get(id, false))?;
        let open = record.state == state::OPEN && !handover::replaces(&record.fields);
        let Some(leaver) = leaver.filter(|_| open) else {
            let handed = handed(&snapshot, (actor, &sight), record)?;
            return Ok(View { handed, ..View::closed(self.replacement_may(actor, record)) });
        };
        let work = open_work(&snapshot, &leaver)?;
        let drafts = snapshot.kept_below(&draft::prefix(leaver.id))?.len();
        let assigns = heads(actor, record.unit) && actor.account != leaver.id;
        let reached = |r: &Record| assigns && may_assign(actor, r) && !sight.bars(r);
        let mine: Vec<&Record> = work.iter().filter(|r| reached(r)).collect();
        let ids: Vec<RecordId> = mine.iter().map(|r| r.id).collect();
        let heirs = Heirs::of(&snapshot, &leaver, &ids, self.now())?;
        let shown = mine.iter().take(limits::HANDED_AT_ONCE).map(|r| heirs.item(r));
        Ok(View {
            handed: handed(&snapshot, (actor, &sight), record)?,
            open: shown.collect(),
            open_count: mine.len(),
            heirs: if assigns { heirs.names() } else { Vec::new() },
            drafts: if assigns { drafts } else { 0 },
            assigns,
            left: administers.then_some(Left { records: work.len(), drafts }),
            in_memory: if administers { self.drafts_in_memory(leaver.id) } else { 0 },
            alone: if administers || assigns { alone(&snapshot, &leaver, self.now())? } else { Vec::new() },
            finishes: actor.is("sysadmin"),
            replacement: super::succession::May::default(),
        })
    }

    /// Changes of persons that wait for this person: to be assigned, finished, or confirmed.
    pub fn open_handovers(&self, actor: &Actor) -> Result<Vec<Record>> {
        let snapshot = self.store.read()?;
        let mut all = Vec::new();
        for unit in self.visible_units(actor, &KIND)? {
            for (state, waits) in [(state::OPEN, true), (state::ASKED, false)] {
                let administers = |role: &&str| actor.is(role);
                let waits = waits && (actor.is("sysadmin") || heads(actor, unit))
                    || !waits && account::ADMINISTRATORS.iter().any(administers);
                let ids = if waits { Books::standing(&snapshot, &KIND, unit, state)? } else { Vec::new() };
                for id in ids {
                    all.extend(snapshot.get(id, false)?);
                }
            }
        }
        all.sort_by_key(|r| r.id);
        Ok(all)
    }

    /// The change of person, for the system administrator.
    fn change_of(&self, actor: &Actor, id: RecordId) -> Result<Record> {
        let record = self.visible(&self.store.read()?, actor, &KIND, id)?;
        if actor.is("sysadmin") && !handover::replaces(&record.fields) {
            return Ok(record);
        }
        Err(self.refused(actor, &KIND, id))
    }

    /// What memory holds of somebody whose rights are gone.
    pub(super) fn sign_off(&self, person: RecordId) {
        self.end_sessions(person);
        self.forget_drafts_of(person);
    }
}

impl View {
    fn closed(replacement: super::succession::May) -> Self {
        Self {
            handed: Vec::new(),
            open: Vec::new(),
            open_count: 0,
            heirs: Vec::new(),
            drafts: 0,
            assigns: false,
            left: None,
            in_memory: 0,
            alone: Vec::new(),
            finishes: false,
            replacement,
        }
    }
}

/// What a form asks for.
struct Wanted {
    single: Vec<(RecordId, RecordId)>,
    rest: Option<(RecordId, Vec<RecordId>)>,
    drafts: Option<RecordId>,
}

impl Wanted {
    fn of(raw: &Raw) -> Result<Self> {
        let id = |text: &str| text.parse::<u64>().map(RecordId).map_err(|_| Error::invalid("表单不完整，请刷新后重试。"));
        let mut single = Vec::new();
        for (name, to) in raw.iter().filter(|(_, to)| !to.is_empty()) {
            if let Some(record) = name.strip_prefix("to.") {
                single.push((id(record)?, id(to)?));
            }
        }
        let chosen = |name: &str| Some(field::first(raw, name)).filter(|v| !v.is_empty()).map(id).transpose();
        let shown = raw.iter().filter(|(name, _)| name == "item").map(|(_, v)| id(v));
        let shown: Vec<RecordId> = shown.collect::<Result<_>>()?;
        if single.len() > limits::HANDED_AT_ONCE || shown.len() > limits::HANDED_AT_ONCE {
            return Err(Error::invalid("一次交接的件数过多，没有执行。请刷新后重试。"));
        }
        let free = shown.into_iter().filter(|r| !single.iter().any(|(one, _)| one == r)).collect();
        let rest = chosen("rest")?.map(|to| (to, free));
        Ok(Self { single, rest, drafts: chosen("drafts")? })
    }
}

/// One assignment under way.
struct Desk {
    live: Actor,
    leaver: Record,
    rows: Vec<Fields>,
    skipped: usize,
}

impl Desk {
    fn hand_records(&mut self, txn: &mut Txn<'_>, wanted: &Wanted) -> Result<usize> {
        let mut done = 0;
        let sight = Sight::of(txn, &self.live)?;
        let rest = wanted.rest.iter().flat_map(|(to, free)| free.iter().map(|r| (*r, *to)));
        let all: Vec<(RecordId, RecordId)> = wanted.single.iter().copied().chain(rest).collect();
        let ids: Vec<RecordId> = all.iter().map(|(id, _)| *id).collect();
        let heirs = Heirs::of(txn, &self.leaver, &ids, txn.now())?;
        for (place, (id, to)) in all.into_iter().enumerate() {
            let record = txn.get(id)?.filter(|r| may_assign(&self.live, r) && !sight.bars(r));
            let record = record.ok_or_else(Error::denied)?;
            // A form that comes twice finds its work done.
            if !is_open(&self.leaver, &record) {
                continue;
            }
            let Some(heir) = heirs.person(to).filter(|h| h.takes(&record)) else {
                if place < wanted.single.len() {
                    return Err(Error::invalid("所选的接手人不能接收其中一件，没有交接。请刷新后重新选择。"));
                }
                self.skipped += 1;
                continue;
            };
            let number = records::by_tag(record.kind).map_or("", |k| k.number_of(&record));
            self.note((record.id, number), &heir.actor, txn.now());
            let mut after = Record { version: record.version + 1, updated: txn.now(), ..record };
            after.fields.insert(HANDLER, Value::Link(to));
            txn.update(after)?;
            done += 1;
        }
        Ok(done)
    }

    fn hand_drafts(&mut self, txn: &mut Txn<'_>, to: Option<RecordId>) -> Result<usize> {
        let Some(to) = to else { return Ok(0) };
        let heirs = Heirs::of(txn, &self.leaver, &[], txn.now())?;
        let heir = heirs.person(to).ok_or_else(|| Error::invalid("草稿的接手人须是同一单位在用的经办人，没有交接。"))?;
        let record = txn.get(to)?.ok_or_else(Error::denied)?;
        let done = draft::hand_over(txn, self.leaver.id, (&heir.actor, &person(txn, &record)?))?;
        if done > 0 {
            self.note((RecordId(0), &format!("草稿 {done} 份")), &heir.actor, txn.now());
        }
        Ok(done)
    }

    fn note(&mut self, (id, number): (RecordId, &str), heir: &Actor, now: Moment) {
        let row = Fields::default()
            .with(item::RECORD, Value::Link(id))
            .with_text(item::NUMBER, number)
            .with(item::TO, Value::Link(heir.account))
            .with_text(item::TO_NAME, heir.name.as_str())
            .with(item::BY, Value::Link(self.live.account))
            .with(item::AT, Value::Int(now.0));
        self.rows.push(row);
    }
}

/// The change of person that is open about an account.
fn open_one(txn: &Txn<'_>, person: RecordId) -> Result<Option<RecordId>> {
    let all = txn.linked(&KIND, tag::PERSON, person)?;
    Ok(all.into_iter().find(|r| [state::OPEN, state::ASKED].contains(&r.state)).map(|r| r.id))
}

/// Who it is about, as papers will show it.
pub(super) fn about(books: &dyn Books, account: &Record, fields: Fields) -> Result<Fields> {
    let unit = account.fields.link(account::tag::UNIT).map_or(Ok(None), |id| books.open(id))?;
    let unit = unit.map(|u| u.fields.text(org::tag::NAME).to_owned()).unwrap_or_default();
    let text = |tag| account.fields.text(tag);
    let codes = account.fields.codes(account::tag::ROLES).iter().map(String::as_str);
    let lent = account.fields.rows(account::tag::TEMPORARY).iter().map(|r| r.text(account::temporary::ROLE));
    let roles = codes.chain(lent).map(|code| account::ROLES.label(code).to_owned());
    let extras = account.fields.rows(account::tag::EXTRA).iter().map(|row| {
        let label = |dict: &Dict, tag| dict.label(row.text(tag)).to_owned();
        [label(&grant::MODULES, account::extra::MODULE), label(&grant::ACTIONS, account::extra::ACTION)].join("·")
    });
    let roles: Vec<String> = roles.chain(extras).collect();
    Ok(fields
        .with(tag::PERSON, Value::Link(account.id))
        .with_text(tag::NAME, text(account::tag::NAME))
        .with_text(tag::LOGIN, text(account::tag::LOGIN))
        .with_text(tag::UNIT_NAME, unit)
        .with_text(tag::POST, text(account::tag::POST))
        .with_text(tag::ROLES, roles.join("、")))
}

/// Stores a new change of person; it belongs to the unit of the person.
pub(super) fn create(txn: &mut Txn<'_>, by: &Actor, person: &Record, fields: Fields) -> Result<RecordId> {
    let unit = person.fields.link(account::tag::UNIT).unwrap_or(RecordId(0));
    let fields = fields.with(tag::DAY, Value::Day(txn.now().day()));
    let made = decide::create(&KIND, fields, Author { account: by.account, unit }, txn.now());
    txn.create_at_rest(made.map_err(|r| Error::internal(format!("{r:?}")))?)
}

fn open_change(txn: &Txn<'_>, actor: &Actor, id: RecordId) -> Result<Record> {
    let record = txn.get(id)?.filter(|r| r.kind == KIND.tag && !handover::replaces(&r.fields));
    let record = record.ok_or_else(Error::denied)?;
    if !live(txn, actor)?.is("sysadmin") {
        return Err(Error::denied());
    }
    if record.state == state::OPEN { Ok(record) } else { Err(Error::invalid("这项人员变更已经办结。请刷新后再看。")) }
}

/// The record is done.
pub(super) fn done(change: &mut Record, by: &Actor, now: Moment) {
    change.state = state::DONE;
    change.version += 1;
    change.updated = now;
    change.fields.insert(tag::DONE_AT, Value::Int(now.0));
    change.fields.insert(tag::DONE_BY, Value::Link(by.account));
}

/// Takes rights and second factor away, with what waited about the account, and closes it where that was said.
pub(super) fn take_back(account: &mut Record, closes: bool, now: Moment) {
    account::withdraw(&mut account.fields);
    account::void_factor(&mut account.fields);
    account.fields.remove(account::tag::WAITING);
    if closes {
        account.state = 2;
    }
    account.version += 1;
    account.updated = now;
}

/// Nothing may be left with somebody who leaves.
pub(super) fn must_be_free(txn: &Txn<'_>, leaver: &Record) -> Result<()> {
    // The three have no business, and nothing that lies with them.
    if account::is_administrator(&leaver.fields) {
        return Ok(());
    }
    let left = Left { records: open_work(txn, leaver)?.len(), drafts: draft::names_of(txn, leaver.id)?.len() };
    if left != Left::default() {
        return Err(Error::invalid(format!(
            "名下还有未办结的工作 {} 件、草稿 {} 份没有交接，没有执行。请所在单位负责人（或信访室）打开“人员变更”指定接手人。",
            left.records, left.drafts
        )));
    }
    let alone = alone(txn, leaver, txn.now())?;
    if alone.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{}除此人外没有人可以办理，没有执行。请安全保密管理员先给接任的人授予角色。",
        alone.join("、")
    )))
}

/// The ordinary way to close an account is not a way around the handover. A handover that is open is finished there.
pub(super) fn may_move(txn: &Txn<'_>, account: &Record, mv: &Move) -> Result<()> {
    if mv.name != "close" {
        return Ok(());
    }
    if open_one(txn, account.id)?.is_some() {
        return Err(Error::invalid("这个账户正在办理人员变更交接，请在“人员变更”中完成或撤回，没有停用。"));
    }
    must_be_free(txn, account).map_err(|e| {
        let text = e.public().to_owned();
        Error::invalid(format!("{text}须先在账户页发起“人员变更交接”。"))
    })
}

fn handed(snapshot: &Snapshot, (actor, sight): (&Actor, &Sight), record: &Record) -> Result<Vec<Handed>> {
    let mut all = Vec::new();
    for row in record.fields.rows(tag::ITEMS) {
        let id = row.link(item::RECORD).filter(|id| id.0 != 0);
        let target = id.map_or(Ok(None), |id| snapshot.get(id, false))?;
        // Who is kept out of a record learns nothing of it here either.
        if target.as_ref().is_some_and(|t| sight.bars(t)) {
            continue;
        }
        let link = target.and_then(|t| Some((records::by_tag(t.kind)?, t)));
        let link = link.filter(|(kind, t)| actor.may(kind, Right::See, t.unit)).map(|(kind, t)| (kind, t.id));
        all.push(Handed {
            link,
            number: row.text(item::NUMBER).to_owned(),
            to: row.text(item::TO_NAME).to_owned(),
            by: row.link(item::BY).unwrap_or(RecordId(0)),
            at: Moment(row.int(item::AT)),
        });
    }
    Ok(all)
}
