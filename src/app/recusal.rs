//! Recusal as people do it (回避): declared on the page of a record, or by its number by the security administrator, who
//! never sees the record; a list of same names for that administrator; and who acts where the head is kept out.
//!
//! What must hold: what is told of a record to the security administrator is its number and nothing else; nobody takes
//! back what that person declared. What a recusal keeps away is `sight`'s business.

use super::change::already;
use super::names::all;
use super::record::{authorise, live};
use super::sight::{Books, Sight, person, stands};
use super::{Actor, App, Right, Scope, charter};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::conflict::{self, Meeting, PERSONS};
use crate::records::flow::Duty;
use crate::records::label::{self, LABEL};
use crate::records::record::MADE_BY;
use crate::records::recusal::{self, KIND, tag};
use crate::records::{self, Author, Fields, Kind, Record, Value, account, act, decide, field};
use crate::store::{Act, Snapshot, Txn};

/// What the page of a record offers.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The actor may say that the record concerns the actor.
    pub own: bool,
    /// Others for whom the actor, who answers for the record, may say so.
    pub others: Vec<(RecordId, String)>,
    /// The head of the unit is kept out, and who may decide instead.
    pub stand_in: Option<String>,
}

/// A same name, or somebody who is kept out already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Number of the record.
    pub number: String,
    /// The account.
    pub account: RecordId,
    /// What is known.
    pub standing: Standing,
}

/// What is known of a same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nobody has looked yet.
    Open,
    /// Name and unit: kept out by the program.
    ByRule,
    /// Declared.
    Declared,
    /// Somebody else of the same name.
    SomebodyElse,
}

/// What the security administrator types.
#[derive(Clone, Debug, Default)]
pub struct ByNumber {
    /// Number of the record.
    pub number: String,
    /// Log-in name of the account.
    pub login: String,
    /// Code of the verdict.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// One-time id of the form.
    pub submit: String,
}

impl App {
    /// What the page of a record offers this actor.
    pub(super) fn recusal_ways(
        &self,
        snapshot: &Snapshot,
        actor: &Actor,
        kind: &'static Kind,
        record: &Record,
    ) -> Result<Ways> {
        if !conflict::applies(kind) || record.is_purged() {
            return Ok(Ways::default());
        }
        let heads = actor.may(kind, Right::Move(Duty::Approve), record.unit);
        let waits = kind.flow.onward(record.state).any(|m| m.duty == Duty::Approve);
        if !heads && !waits {
            return Ok(Ways { own: true, ..Ways::default() });
        }
        let accounts = open_accounts(snapshot)?;
        let charter = charter::of(snapshot)?;
        let person = |a| Actor::at(a, &actor.via, self.now(), &charter);
        let people: Vec<Actor> = accounts.iter().map(person).collect();
        let reached = people.iter().filter(|p| heads && p.account != actor.account);
        let reached = reached.filter(|p| p.may(kind, Right::See, record.unit) && reaches(actor, kind, p.unit));
        let others = reached.map(|p| (p.account, format!("{}（{}）", p.name, p.login))).collect();
        let stand_in = if waits { self.stand_in(snapshot, &people, kind, record)? } else { None };
        Ok(Ways { own: true, others, stand_in })
    }

    /// Who decides in the place of heads that are kept out; `None` while one of the unit's own can.
    fn stand_in(
        &self,
        snapshot: &Snapshot,
        people: &[Actor],
        kind: &'static Kind,
        record: &Record,
    ) -> Result<Option<String>> {
        let decides = |p: &&Actor| p.may(kind, Right::Move(Duty::Approve), record.unit);
        let (mut own, mut others, mut kept_out) = (0, Vec::new(), 0);
        for person in people.iter().filter(decides) {
            let barred = Sight::of(snapshot, person)?.bars(record);
            match (barred, person.unit == record.unit) {
                (true, true) => kept_out += 1,
                (true, false) => {}
                (false, true) => own += 1,
                (false, false) => others.push(person),
            }
        }
        if kept_out == 0 || own > 0 {
            return Ok(None);
        }
        let directory = self.directory()?;
        let named = others.iter().map(|p| format!("{}的{}", directory.unit(p.unit), p.name));
        let named: Vec<String> = named.collect();
        Ok(Some(if named.is_empty() {
            "本单位负责人应当回避，其他单位也没有可以审批的人。请联系安全保密管理员授权。".to_owned()
        } else {
            format!("本单位负责人应当回避，由{}审批。", named.join("、"))
        }))
    }

    /// Declares that somebody has nothing to do with a record: the actor, or, by who answers for it, another person.
    pub fn recuse(
        &self,
        actor: &Actor,
        (kind, id): (&'static Kind, RecordId),
        who: Option<RecordId>,
        (reason, submit): (&str, &str),
    ) -> Result<()> {
        let snapshot = self.store.read()?;
        if was_made(&snapshot, actor, submit)? {
            return Ok(());
        }
        self.visible(&snapshot, actor, kind, id)?;
        if !conflict::applies(kind) {
            return Err(Error::denied());
        }
        let reason = field::remark("回避理由", reason, limits::OPINION_CHARS).map_err(Error::invalid)?;
        let who = who.filter(|who| *who != actor.account);
        let (actor, submit) = (actor.clone(), submit.to_owned());
        self.store.submit(move |txn| {
            let right = if who.is_some() { Right::Move(Duty::Approve) } else { Right::See };
            if was_made(txn, &actor, &submit)? {
                txn.act(Act::new(actor.doer(), act::RECUSED).note("repeat").refused());
                return Ok(());
            }
            let target = authorise(txn, &actor, kind, right, id)?;
            if let Some(who) = who {
                let person = txn.get(who)?.filter(|r| r.kind == account::KIND.tag).ok_or_else(Error::denied)?;
                let unit = person.fields.link(account::tag::UNIT).unwrap_or(RecordId(0));
                if !reaches(&live(txn, &actor)?, kind, unit) {
                    return Err(Error::invalid("只能为本单位的人登记回避；其他单位的人应当回避时，请告诉安全保密管理员。"));
                }
            }
            let by = if who.is_some() { "head" } else { "self" };
            let said = Said { verdict: recusal::AVOID, by, reason, submit };
            declare(txn, &actor, (kind, &target), who.unwrap_or(actor.account), said).map(drop)
        })
    }

    /// The same by number, of a record that the security administrator does not see; or that a same name is somebody
    /// else. The recusal.
    pub fn recuse_by_number(&self, actor: &Actor, typed: ByNumber) -> Result<RecordId> {
        self.must_be_secadmin(actor)?;
        let reason = field::remark("理由", &typed.reason, limits::OPINION_CHARS).map_err(Error::invalid)?;
        let verdict = recusal::VERDICTS.code(&typed.verdict).ok_or_else(|| Error::invalid("请选择结论。"))?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !live(txn, &actor)?.is("secadmin") {
                return Err(Error::denied());
            }
            if let Some(made) = already(txn, &KIND, actor.account, &typed.submit)? {
                txn.act(Act::new(actor.doer(), act::RECUSED).note("repeat").refused());
                return Ok(made.id);
            }
            let (kind, target) = numbered(txn, &actor, &typed.number)?;
            let ids = txn.find(&account::KIND, account::tag::LOGIN, &typed.login)?;
            let who = ids.first().copied().filter(|_| !typed.login.is_empty());
            let who = who.ok_or_else(|| Error::invalid("没有这个登录名的账户，请核对。"))?;
            let said = Said { verdict, by: "secadmin", reason, submit: typed.submit };
            declare(txn, &actor, (kind, &target), who, said)
        })
    }

    /// Same names, those that nobody has looked at first; for the security administrator, without any content.
    pub fn hints(&self, actor: &Actor) -> Result<Vec<Hint>> {
        self.must_be_secadmin(actor)?;
        let snapshot = self.store.read()?;
        let (mut hints, mut seen, own) = (Vec::new(), Vec::new(), Sight::of(&snapshot, actor)?);
        // Nobody is told here of what concerns them.
        for account in open_accounts(&snapshot)?.into_iter().filter(|a| a.id != actor.account) {
            let person = person(&snapshot, &account)?;
            for kind in records::ALL.iter().filter(|k| conflict::applies(k) && !person.name.is_empty()) {
                for id in snapshot.named(kind, PERSONS, &person.name)? {
                    let Some(record) = snapshot.get(id, false)?.filter(|r| !own.bars(r)) else { continue };
                    let meeting = conflict::meeting(kind, &record, &person);
                    let Some(standing) = standing(&snapshot, meeting, account.id, id)? else { continue };
                    let number = number_of(kind, &record);
                    hints.push(Hint { number, account: account.id, standing });
                    seen.push((record.id, record.kind, record.version));
                }
            }
        }
        hints.sort_by(|a, b| (a.standing, &a.number, a.account).cmp(&(b.standing, &b.number, b.account)));
        let act = Act::new(actor.doer(), act::LIST).note(KIND.name).read(seen);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        Ok(hints)
    }

    /// The actor can open this record now.
    pub fn can_open(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Result<bool> {
        let snapshot = self.store.read()?;
        let record = snapshot.get(id, false)?.filter(|r| r.kind == kind.tag);
        record.map_or(Ok(false), |r| super::record::may_see(&snapshot, actor, kind, &r))
    }

    fn must_be_secadmin(&self, actor: &Actor) -> Result<()> {
        if actor.is("secadmin") { Ok(()) } else { Err(self.refused(actor, &KIND, RecordId(0))) }
    }
}

/// Whoever decides over a unit's records says who of that unit has nothing to do with one.
fn reaches(head: &Actor, kind: &Kind, unit: RecordId) -> bool {
    let decides = Right::Move(Duty::Approve);
    unit == head.unit || head.scope(kind, decides) > Scope::Own && head.may(kind, decides, unit)
}

/// This very form was taken already: the record may be gone for whoever sent it.
fn was_made(books: &dyn Books, actor: &Actor, submit: &str) -> Result<bool> {
    for id in if submit.is_empty() { Vec::new() } else { books.named(&KIND, MADE_BY, submit)? } {
        if books.open(id)?.is_some_and(|r| r.creator == actor.account) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What was said of a person and a record.
struct Said {
    verdict: &'static str,
    by: &'static str,
    reason: String,
    submit: String,
}

fn declare(
    txn: &mut Txn<'_>,
    actor: &Actor,
    (kind, target): (&'static Kind, &Record),
    who: RecordId,
    said: Said,
) -> Result<RecordId> {
    let account = txn.get(who)?.filter(|a| a.kind == account::KIND.tag);
    let account = account.ok_or_else(|| Error::invalid("没有这个账户，请重新选择。"))?;
    let before = verdicts(txn, who, target.id)?;
    if before.iter().any(|r| stands(r) || r.state == state_of(said.verdict)) {
        return Err(Error::invalid("这个人对这条记录已经有同样的结论，不需要再登记。"));
    }
    let verb = if said.verdict == recusal::AVOID { act::RECUSED } else { act::NOT_THE_SAME };
    let read = [(target.id, kind.tag, target.version)];
    txn.act(Act::new(actor.doer(), verb).note(said.by).read(read));
    let fields = Fields::default()
        .with(tag::TARGET, Value::Link(target.id))
        .with_text(tag::TARGET_NUMBER, number_of(kind, target))
        .with(tag::PERSON, Value::Link(who))
        .with_text(tag::PERSON_NAME, account.fields.text(account::tag::NAME))
        .with_text(tag::VERDICT, said.verdict)
        .with_text(tag::BY, said.by)
        .with_text(tag::REASON, said.reason)
        .with_text(LABEL, label::of(kind, target).code())
        .with(tag::DAY, Value::Day(txn.now().day()))
        .with_text(MADE_BY, said.submit);
    let author = Author { account: actor.account, unit: target.unit };
    let made = decide::create(&KIND, fields, author, txn.now());
    txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?)
}

fn state_of(verdict: &str) -> u8 {
    if verdict == recusal::AVOID { recusal::state::STANDS } else { recusal::state::SOMEBODY_ELSE }
}

/// What was found about a person and a record, lifted or not.
fn verdicts(books: &dyn Books, who: RecordId, target: RecordId) -> Result<Vec<Record>> {
    let mut all = books.linked(&KIND, tag::PERSON, who)?;
    all.retain(|r| r.fields.link(tag::TARGET) == Some(target));
    Ok(all)
}

fn standing(books: &dyn Books, meeting: Meeting, who: RecordId, target: RecordId) -> Result<Option<Standing>> {
    let found = verdicts(books, who, target)?;
    let some = |state| found.iter().any(|r| r.state == state);
    Ok(match meeting {
        Meeting::No => None,
        _ if some(recusal::state::STANDS) => Some(Standing::Declared),
        Meeting::Person => Some(Standing::ByRule),
        Meeting::Name if some(recusal::state::SOMEBODY_ELSE) => Some(Standing::SomebodyElse),
        Meeting::Name => Some(Standing::Open),
    })
}

/// The record with a register number, of a kind that is about persons, unless it concerns whoever asks.
fn numbered(txn: &Txn<'_>, actor: &Actor, number: &str) -> Result<(&'static Kind, Record)> {
    let (number, sight) = (number.trim(), Sight::of(txn, actor)?);
    for kind in records::ALL.iter().copied().filter(|k| conflict::applies(k) && !number.is_empty()) {
        let Some((tag, _)) = kind.number else { continue };
        for id in txn.find(kind, tag, number)? {
            if let Some(record) = txn.get(id)?.filter(|r| !sight.bars(r)) {
                return Ok((kind, record));
            }
        }
    }
    Err(Error::invalid("没有这个编号的记录，请核对（如 信访〔2026〕3号）。"))
}

fn number_of(kind: &Kind, record: &Record) -> String {
    match kind.number_of(record) {
        "" => format!("记录 {}", record.id),
        number => number.to_owned(),
    }
}

/// Accounts in use.
fn open_accounts(snapshot: &Snapshot) -> Result<Vec<Record>> {
    let mut accounts = all(snapshot, &account::KIND)?;
    accounts.retain(|a| a.state == 1);
    Ok(accounts)
}
