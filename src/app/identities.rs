//! Identities of petitioners as a file (导出检举控告人信息): one who may open them asks, for a reason; another one, who
//! answers for every record of it, agrees; then the one who asked takes the file, once. It is made of the records as
//! they are at that moment and lies nowhere.
//!
//! What must hold: asking, agreeing and taking are acts of two accounts, who proved again who they are; each record is
//! asked of both at each of their acts, live, with what keeps either out of it; a request that concerns somebody, or is
//! above what they may know, is absent for them.

use std::collections::BTreeSet;

use super::names::Directory;
use super::record::{self, ListInput, identity_fields};
use super::sight::{Books, Sight};
use super::{Actor, App, Right, Scope, charter};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::foreign;
use crate::records::flow::Duty;
use crate::records::petition::KIND;
use crate::records::{Fields, Record, Value, account, act, field};
use crate::store::{Act, ListQuery, Snapshot, Txn, fact, seal};

/// Tags of a request (`data-format/store.md`).
mod tag {
    pub(super) const BY: u16 = 16;
    pub(super) const AT: u16 = 17;
    pub(super) const REASON: u16 = 18;
    pub(super) const RECORDS: u16 = 19;
    pub(super) const STATE: u16 = 20;
    pub(super) const SECOND: u16 = 21;
    pub(super) const DECIDED: u16 = 22;
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for the second person.
    Wanted,
    /// The one who asked may take the file.
    Agreed,
    /// The file was taken.
    Taken,
    /// The second person did not agree, or the first took it back.
    Ended,
}

impl State {
    const ALL: [Self; 4] = [Self::Wanted, Self::Agreed, Self::Taken, Self::Ended];

    fn code(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Agreed => "agreed",
            Self::Taken => "taken",
            Self::Ended => "ended",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        match self {
            Self::Wanted => "待确认",
            Self::Agreed => "已确认，待下载",
            Self::Taken => "已下载",
            Self::Ended => "未生效",
        }
    }

    /// A word that this program does not know lets nobody do anything.
    fn of(fields: &Fields) -> Self {
        Self::ALL.into_iter().find(|s| s.code() == fields.text(tag::STATE)).unwrap_or(Self::Ended)
    }
}

/// A request as somebody sees it who may.
pub struct Request {
    /// Its name in forms.
    pub id: String,
    /// Who asked.
    pub by: RecordId,
    /// When.
    pub at: Moment,
    /// Why.
    pub reason: String,
    /// How far it came.
    pub state: State,
    /// Who decided, where somebody did.
    pub second: Option<RecordId>,
    /// Records of it that whoever looks may see, without identity.
    pub records: Vec<Record>,
    /// Whoever looks asked for it.
    pub own: bool,
}

/// What somebody asks for: a filter of the list, or single records.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The filter, where no numbers are named.
    pub list: ListInput,
    /// Register numbers or ids, a line each.
    pub numbers: String,
    /// Why.
    pub reason: String,
}

impl App {
    /// Requests that concern the actor, the newest first: own ones, and those that they may decide.
    pub fn identity_requests(&self, actor: &Actor) -> Result<Vec<Request>> {
        if !takes_part(actor) {
            return Err(self.refused(actor, &KIND, RecordId(0)));
        }
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let mut requests = Vec::new();
        for (id, fields) in self.open_requests(&snapshot)? {
            let (state, by) = (State::of(&fields), by(&fields));
            let own = by == actor.account;
            if !own && state != State::Wanted {
                continue;
            }
            let all = records_of(&snapshot, &fields)?;
            let shown = all.iter().filter(|r| may(actor, r, own) && !sight.bars(r));
            let records: Vec<Record> = shown.cloned().collect();
            if !own && (records.len() < all.len() || records.is_empty()) {
                continue;
            }
            let (at, reason) = (Moment(fields.int(tag::AT)), fields.text(tag::REASON).to_owned());
            let second = fields.link(tag::SECOND);
            requests.push(Request { id, by, at, reason, state, second, records, own });
        }
        requests.sort_by_key(|r| std::cmp::Reverse((r.at, r.by)));
        Ok(requests)
    }

    /// How many requests wait for this person, who may decide them.
    pub fn identity_requests_waiting(&self, actor: &Actor) -> Result<usize> {
        if !takes_part(actor) || self.open_requests(&self.store.read()?)?.is_empty() {
            return Ok(0);
        }
        let requests = self.identity_requests(actor)?;
        let waits = |r: &&Request| !r.own && r.state == State::Wanted || r.own && r.state == State::Agreed;
        Ok(requests.iter().filter(waits).count())
    }

    /// How many records with an identity a filter of the list reaches for this person.
    pub fn identities_below(&self, actor: &Actor, list: &ListInput) -> Result<usize> {
        Ok(self.listed(&self.store.read()?, actor, list)?.len())
    }

    /// Asks for a file of identities.
    pub fn ask_identities(&self, actor: &Actor, wanted: &Wanted) -> Result<()> {
        if !asks(actor) {
            return Err(self.refused(actor, &KIND, RecordId(0)));
        }
        let reason = field::remark("导出理由", &wanted.reason, limits::REASON_CHARS).map_err(Error::invalid)?;
        let snapshot = self.store.read()?;
        let week = self.open_requests(&snapshot)?.iter().filter(|(_, r)| by(r) == actor.account).count();
        if week >= limits::IDENTITY_REQUESTS {
            let most = limits::IDENTITY_REQUESTS;
            return Err(Error::invalid(format!("没有申请：7 天内最多 {most} 次申请。请等较早的申请过期后再试。")));
        }
        let ids = match wanted.numbers.trim() {
            "" => self.listed(&snapshot, actor, &wanted.list)?,
            numbers => self.named(&snapshot, actor, numbers)?,
        };
        if ids.is_empty() {
            return Err(Error::invalid("没有申请：所选的信访件都没有检举控告人信息。请换一个范围。"));
        }
        if ids.len() > limits::IDENTITIES {
            let (most, has) = (limits::IDENTITIES, ids.len());
            return Err(Error::invalid(format!("没有申请：一次最多 {most} 件，所选的有 {has} 件。请缩小范围后分次申请。")));
        }
        actor.proved()?;
        let name = format!("{}{}", fact::IDENTITIES, hex::encode(seal::random::<8>()?));
        let lapsed = self.lapsed(&snapshot)?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            let (sight, mut read) = (Sight::of(txn, &live)?, Vec::new());
            for id in &ids {
                let record = txn.get(*id)?.filter(|r| asks_for(&live, r)).ok_or_else(Error::denied)?;
                if !live.may(&KIND, Right::See, record.unit) || sight.bars(&record) {
                    return Err(Error::denied());
                }
                read.push((*id, KIND.tag, record.version));
            }
            let numbers = ids.iter().map(ToString::to_string).collect();
            let request = Fields::default()
                .with(tag::BY, Value::Link(actor.account))
                .with(tag::AT, Value::Int(txn.now().0))
                .with_text(tag::REASON, reason.clone())
                .with(tag::RECORDS, Value::Codes(numbers))
                .with_text(tag::STATE, State::Wanted.code());
            txn.keep(&name, &request)?;
            lapsed.iter().for_each(|name| txn.forget(name));
            let note = format!("{} {}", KIND.name, ids.len());
            txn.act(Act::new(actor.doer(), act::IDENTITIES_WANTED).note(note).secret(reason).read(read));
            Ok(())
        })
    }

    /// Agrees to a request, or ends it: the second person either, who asked only the latter.
    pub fn decide_identities(&self, actor: &Actor, id: &str, agree: bool) -> Result<()> {
        let requests = self.identity_requests(actor)?;
        let request = requests.into_iter().find(|r| r.id == id).ok_or_else(gone)?;
        if request.own && agree {
            return Err(Error::invalid("申请人不能确认自己的申请，须由另一位有权的人确认。"));
        }
        if agree {
            actor.proved()?;
        }
        let (name, actor, own) = (format!("{}{id}", fact::IDENTITIES), actor.clone(), request.own);
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            let request = txn.kept(&name)?.filter(|r| is_standing(r, txn.now())).ok_or_else(gone)?;
            let open = match State::of(&request) {
                State::Wanted => true,
                State::Agreed => own && !agree,
                State::Taken | State::Ended => false,
            };
            if !open || own != (by(&request) == live.account) {
                return Err(gone());
            }
            let (sight, records) = (Sight::of(txn, &live)?, records_of(txn, &request)?);
            for record in records.iter().filter(|_| !own) {
                if !may(&live, record, false) || sight.bars(record) {
                    return Err(gone());
                }
            }
            let state = if agree { State::Agreed } else { State::Ended };
            let request = request
                .with_text(tag::STATE, state.code())
                .with(tag::SECOND, Value::Link(live.account))
                .with(tag::DECIDED, Value::Int(txn.now().0));
            txn.keep(&name, &request)?;
            let read = records.iter().map(|r| (r.id, r.kind, r.version));
            let note = format!("{} {}", KIND.name, records.len());
            let act = Act::new(actor.doer(), act::IDENTITIES_AGREED).note(note).read(read);
            txn.act(if agree { act } else { act.refused() });
            Ok(())
        })
    }

    /// The file of a request that was agreed to, once: what both may still see of it.
    pub fn take_identities(&self, actor: &Actor, id: &str) -> Result<Vec<u8>> {
        let requests = self.identity_requests(actor)?;
        let request = requests.into_iter().find(|r| r.id == id && r.own).ok_or_else(gone)?;
        match request.state {
            State::Agreed => actor.proved()?,
            State::Wanted => return Err(Error::invalid("还没有人确认，不能下载。")),
            State::Taken => return Err(Error::invalid("这份文件已经下载过：每份申请只能下载一次。需要时请重新申请。")),
            State::Ended => return Err(gone()),
        }
        // Whatever could fail besides comes before: the file is given once.
        let directory = self.directory()?;
        let (name, own) = (format!("{}{id}", fact::IDENTITIES), actor.clone());
        let (records, second) = self.store.submit(move |txn| {
            let live = record::live(txn, &own)?;
            let request = txn.kept(&name)?.filter(|r| is_standing(r, txn.now())).ok_or_else(gone)?;
            if by(&request) != live.account || State::of(&request) != State::Agreed {
                return Err(gone());
            }
            let second = second(txn, &request)?;
            let records = shared(txn, &live, &second, &request)?;
            let read = records.iter().map(|r| (r.id, r.kind, r.version));
            let note = format!("{} {}", KIND.name, records.len());
            let reason = request.text(tag::REASON).to_owned();
            txn.act(Act::new(own.doer(), act::IDENTITIES).note(note).secret(reason).read(read));
            txn.keep(&name, &request.with_text(tag::STATE, State::Taken.code()))?;
            Ok((records, second))
        })?;
        book(&directory, &records, (actor, &second, self.now()))
    }

    /// Requests that have not lapsed, with their names in forms.
    fn open_requests(&self, snapshot: &Snapshot) -> Result<Vec<(String, Fields)>> {
        let now = self.now();
        let all = snapshot.kept_below(fact::IDENTITIES)?;
        let standing = all.into_iter().filter(|(_, fields)| is_standing(fields, now));
        Ok(standing.map(|(name, fields)| (name[fact::IDENTITIES.len()..].to_owned(), fields)).collect())
    }

    fn lapsed(&self, snapshot: &Snapshot) -> Result<Vec<String>> {
        let now = self.now();
        let all = snapshot.kept_below(fact::IDENTITIES)?;
        Ok(all.into_iter().filter(|(_, fields)| !is_standing(fields, now)).map(|(name, _)| name).collect())
    }

    /// Records with an identity that a filter reaches, as far as the actor may open them.
    fn listed(&self, snapshot: &Snapshot, actor: &Actor, input: &ListInput) -> Result<Vec<RecordId>> {
        let sight = Sight::of(snapshot, actor)?;
        let mut units = self.visible_units(actor, &KIND)?;
        units.retain(|u| actor.may_identify(&KIND, *u) && (input.units.is_empty() || input.units.contains(u)));
        let states = match input.state {
            Some(state) => vec![state],
            None => KIND.flow.counted().map(|s| s.tag).collect(),
        };
        let query = ListQuery {
            kind: &KIND,
            units,
            states,
            from: input.from,
            to: input.to,
            oldest_first: true,
            without: sight.left(),
            ceiling: sight.clearance(),
        };
        let mut ids = snapshot.list(&query, 0, limits::IDENTITIES_LOOKED_AT + 1)?;
        if ids.len() as u64 > limits::IDENTITIES_LOOKED_AT {
            return Err(Error::invalid("没有申请：所选的信访件太多。请用日期、单位或状态缩小范围。"));
        }
        let mut kept = Vec::new();
        for id in ids.drain(..) {
            if snapshot.has_identity(id)? {
                kept.push(id);
            }
        }
        Ok(kept)
    }

    /// Records that were named one by one; absent and forbidden are told alike.
    fn named(&self, snapshot: &Snapshot, actor: &Actor, numbers: &str) -> Result<Vec<RecordId>> {
        let mut ids = BTreeSet::new();
        let words = numbers.split(|c: char| c.is_whitespace() || ",，;；、".contains(c));
        let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
        if words.len() > limits::IDENTITIES {
            let (most, has) = (limits::IDENTITIES, words.len());
            return Err(Error::invalid(format!("没有申请：一次最多 {most} 个编号，填写的有 {has} 个。请分次申请。")));
        }
        for word in words {
            let number = KIND.number.map_or(0, |(tag, _)| tag);
            let id = match word.trim_start_matches(['#', '＃']).parse() {
                Ok(id) => Some(id),
                Err(_) => snapshot.find(&KIND, number, word)?.first().copied(),
            };
            let none = || Error::invalid(format!("没有申请：没有编号为“{word}”的信访件，或您不能查看。请核对后再提交。"));
            let record = self.visible(snapshot, actor, &KIND, id.ok_or_else(none)?).map_err(|_| none())?;
            if !asks_for(actor, &record) {
                return Err(none());
            }
            if snapshot.has_identity(record.id)? {
                ids.insert(record.id);
            }
        }
        Ok(ids.into_iter().collect())
    }
}

/// May ask for a file, of some record.
fn asks(actor: &Actor) -> bool {
    let holds = |right| actor.scope(&KIND, right) > Scope::Nothing;
    holds(Right::See) && holds(Right::Identity) && !actor.only_looks
}

/// May ask for one, or decide over it.
fn takes_part(actor: &Actor) -> bool {
    let holds = |right| actor.scope(&KIND, right) > Scope::Nothing;
    holds(Right::See) && (holds(Right::Identity) || holds(Right::Move(Duty::Approve)))
}

/// The roles of the actor let them ask for this record.
fn asks_for(actor: &Actor, record: &Record) -> bool {
    record.kind == KIND.tag && !record.is_purged() && actor.may_identify(&KIND, record.unit)
}

/// The roles of the actor reach this record of a request: who asked opens its identity, who decides approves for its
/// unit or opens it as well.
fn may(actor: &Actor, record: &Record, own: bool) -> bool {
    let holds = |right| actor.may(&KIND, right, record.unit);
    asks_for(actor, record) || !own && holds(Right::See) && holds(Right::Move(Duty::Approve))
}

fn by(request: &Fields) -> RecordId {
    request.link(tag::BY).unwrap_or(RecordId(0))
}

/// It has not lapsed; a clock that went back makes nothing last longer than it would from there.
fn is_standing(request: &Fields, now: Moment) -> bool {
    now.seconds_since(Moment(request.int(tag::AT))).abs() <= limits::IDENTITIES_S
}

fn gone() -> Error {
    Error::invalid("这项申请已经处理过、已过期，或不由您处理。请核对后重新操作。")
}

/// Records of a request that are still there and were not purged.
fn records_of(books: &dyn Books, request: &Fields) -> Result<Vec<Record>> {
    let ids = request.codes(tag::RECORDS).iter().filter_map(|id| id.parse().ok());
    let records = ids.filter_map(|id: RecordId| books.open(id).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(records.into_iter().filter(|r| r.kind == KIND.tag && !r.is_purged()).collect())
}

/// Who agreed, with the rights of this moment.
fn second(txn: &Txn<'_>, request: &Fields) -> Result<Actor> {
    let account = request.link(tag::SECOND).map_or(Ok(None), |id| txn.get(id))?;
    let account = account.filter(|a| account::admits(a, txn.now().day()));
    let text = "确认人的账户已停用，这份文件不能再下载。请重新申请。";
    let account = account.ok_or_else(|| Error::invalid(text))?;
    Ok(Actor::at(&account, "web", txn.now(), &charter::of_txn(txn)?))
}

/// What both may see of a request at this moment, with its identity.
fn shared(txn: &Txn<'_>, one: &Actor, other: &Actor, request: &Fields) -> Result<Vec<Record>> {
    let sights = [Sight::of(txn, one)?, Sight::of(txn, other)?];
    let open = |r: &Record| may(one, r, true) && may(other, r, false) && !sights.iter().any(|s| s.bars(r));
    let records: Vec<Record> = records_of(txn, request)?.into_iter().filter(open).collect();
    if records.is_empty() {
        return Err(Error::invalid("申请之后权限或内容有变化，现在没有可以导出的。请重新申请。"));
    }
    Ok(records)
}

/// The workbook: numbers, units and what is known of the petitioner, and who let it out.
fn book(directory: &Directory, records: &[Record], (one, other, now): (&Actor, &Actor, Moment)) -> Result<Vec<u8>> {
    let fields: Vec<_> = identity_fields(&KIND).collect();
    let heads = ["编号", "登记单位"].into_iter().chain(fields.iter().map(|f| f.label));
    let heads: Vec<String> = heads.map(str::to_owned).collect();
    let rows = records.iter().map(|r| {
        let number = KIND.number_of(r);
        let number = if number.is_empty() { format!("记录 {}", r.id) } else { number.to_owned() };
        let mut row = vec![number, directory.unit_at(r.unit, r.created).to_owned()];
        row.extend(fields.iter().map(|f| r.fields.display(KIND.fields, f.tag)));
        row
    });
    let mark = format!(
        "{}（{}）于 {now} 导出，{}（{}）确认，共 {} 件。检举控告人信息，严格保密，用后销毁。",
        one.name,
        one.login,
        other.name,
        other.login,
        records.len()
    );
    foreign::workbook(&heads, rows.chain([vec![mark]]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::demo;
    use crate::base::clock::ManualClock;
    use crate::records::decide;

    #[test]
    fn a_request_lapses_after_a_week_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let start = Moment(1_790_000_000_000);
        let clock = Arc::new(ManualClock::at(start));
        let app = demo::create(&home.path().join("d"), Arc::clone(&clock) as Arc<_>, true).unwrap();
        let who = |login: &str| app.demo_actor(login).unwrap();
        let (clerk, head) = (who("zhen01"), who("zhen01-fz"));
        let record = decide::create(&KIND, (KIND.sample)(1), clerk.author(), start).unwrap();
        let doer = clerk.doer();
        app.store
            .submit(move |txn| {
                txn.act(Act::new(doer, act::CREATE));
                txn.create(record)
            })
            .unwrap();
        let wanted = Wanted { reason: "上级复核".into(), ..Wanted::default() };
        let id = || app.identity_requests(&clerk).unwrap()[0].id.clone();
        app.ask_identities(&clerk, &wanted).unwrap();
        app.decide_identities(&head, &id(), true).unwrap();
        let late = id();
        assert_eq!(app.identity_requests_waiting(&clerk).unwrap(), 1);
        clock.set(Moment(start.0 + limits::IDENTITIES_S * 1000 + 1_000));
        assert!(app.take_identities(&clerk, &late).is_err() && app.identity_requests(&clerk).unwrap().is_empty());
        assert!(app.identity_requests(&head).unwrap().is_empty());
        app.ask_identities(&clerk, &wanted).unwrap();
        assert_eq!(app.store.read().unwrap().kept_below(fact::IDENTITIES).unwrap().len(), 1, "what lapsed is gone");
        assert!(app.take_identities(&clerk, &id()).is_err(), "nobody agreed");
        // Whoever did not prove who they are neither asks, nor agrees, nor takes.
        let lately = |actor: &Actor| Actor { proven: false, ..actor.clone() };
        assert!(app.ask_identities(&lately(&clerk), &wanted).is_err());
        assert!(app.decide_identities(&lately(&head), &id(), true).is_err());
        app.decide_identities(&head, &id(), true).unwrap();
        assert!(app.take_identities(&lately(&clerk), &id()).is_err());
        assert!(app.take_identities(&clerk, &id()).is_ok());
        assert_eq!(app.audit_verify(&[]).unwrap().problems, Vec::<String>::new());
    }
}
