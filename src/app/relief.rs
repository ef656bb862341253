//! Letting somebody in again: a one-time password, or a lost second factor that is void. One administrator asks,
//! another one confirms, and nothing changes before that; of an administrator's own account it is the other two.
//!
//! What must hold: asking and confirming are acts of two accounts with two roles, neither of them the person's; what is
//! confirmed is what was asked for.

use super::{Actor, App, password, record};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::account::{self, hands, tag, waiting};
use crate::records::{Fields, Record, Value, act};
use crate::store::{Act, Txn};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A one-time password.
    Password,
    /// That the second factor be void.
    Factor,
}

impl What {
    /// Stored code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Factor => "factor",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        account::RELIEFS.label(self.code())
    }

    /// That of a code.
    pub fn by_code(code: &str) -> Option<Self> {
        [Self::Password, Self::Factor].into_iter().find(|w| w.code() == code)
    }

    fn asked(self) -> act::Action {
        match self {
            Self::Password => act::RESET,
            Self::Factor => act::FACTOR_VOID,
        }
    }

    fn decided(self) -> act::Action {
        match self {
            Self::Password => act::RESET_CONFIRMED,
            Self::Factor => act::FACTOR_VOIDED,
        }
    }
}

/// Something that waits for a second administrator.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Whose account.
    pub account: RecordId,
    /// Their name.
    pub name: String,
    /// Their log-in name.
    pub login: String,
    /// What was asked for.
    pub what: What,
    /// By whom.
    pub by: RecordId,
    /// When; with what it is, it names the request.
    pub at: Moment,
    /// Role that confirms it.
    pub confirms: &'static str,
    /// Whoever looks may confirm or refuse it.
    pub may_decide: bool,
    /// Whoever looks asked for it, and may take it back.
    pub own: bool,
}

impl App {
    /// A one-time password for an account, to be changed at the first log-in. It opens nothing before a second
    /// administrator confirmed it.
    pub fn reset_password(&self, actor: &Actor, id: RecordId) -> Result<String> {
        let account = self.asked_about(actor, id)?;
        let (password, credential) = self.one_time(actor, &account)?;
        self.ask(actor, id, What::Password, Some(credential))?;
        Ok(password)
    }

    /// One-time passwords for accounts that have no password yet, for all of them or for none; what was made for them
    /// before and not confirmed is void. Each is confirmed like one that was made alone.
    pub fn first_passwords(&self, actor: &Actor, ids: &[RecordId]) -> Result<Vec<(Record, String)>> {
        if ids.is_empty() {
            return Err(Error::invalid("这些账户都已有口令或已停用，没有要发的。忘记口令的请在账户页逐个发。"));
        }
        let (mut made, mut credentials) = (Vec::new(), Vec::new());
        for id in ids {
            let account = self.asked_about(actor, *id)?;
            is_without(&account)?;
            let (password, credential) = self.one_time(actor, &account)?;
            made.push((account, password));
            credentials.push((*id, credential));
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            let note = format!("{} {}", account::KIND.name, credentials.len());
            txn.act(Act::new(actor.doer(), What::Password.asked()).note(note));
            for (id, credential) in credentials {
                is_without(&open_account(txn, id)?)?;
                wait_for(txn, &live, (id, What::Password), Some(credential))?;
            }
            Ok(())
        })?;
        Ok(made)
    }

    /// A new one-time password and what is stored of it.
    fn one_time(&self, actor: &Actor, account: &Record) -> Result<(String, String)> {
        let guest = super::throttle::Guest::Known(format!("account {}", actor.account));
        let password = password::one_time_password()?;
        password::check_rules(account.fields.text(tag::LOGIN), &password)?;
        let credential = self.throttle.room.turn(&guest, || password::hash(&password))??;
        Ok((password, credential))
    }

    /// Asks that a lost second factor be void.
    pub fn ask_void_factor(&self, actor: &Actor, id: RecordId) -> Result<()> {
        self.asked_about(actor, id)?;
        self.ask(actor, id, What::Factor, None)
    }

    /// Whether the actor may ask for this account to be let in again.
    pub fn may_relieve(&self, actor: &Actor, account: &Record) -> bool {
        actor.account != account.id && actor.is(hands(&account.fields).0)
    }

    /// The account has a second factor.
    pub fn has_factor(&self, account: &Record) -> bool {
        super::factor::has(account)
    }

    /// What waits for a second administrator, the oldest first; for the three administrators.
    pub fn waiting_relief(&self, actor: &Actor) -> Result<Vec<Waiting>> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Ok(Vec::new());
        }
        let snapshot = self.store.read()?;
        let accounts = super::names::all(&snapshot, &account::KIND)?;
        let mut lines: Vec<Waiting> = accounts.iter().flat_map(|a| waiting_of(a, actor)).collect();
        lines.sort_by_key(|l| (l.at, l.account));
        Ok(lines)
    }

    /// Confirms what was asked for at `at`, or ends it: by the second administrator, or by who asked.
    pub fn decide_relief(&self, actor: &Actor, id: RecordId, asked: (What, i64), agree: bool) -> Result<()> {
        let (what, at) = asked;
        let account = self.account_of(actor, id)?;
        if !may_decide(actor, &account, agree) {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let deciding = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &deciding)?;
            let mut account = open_account(txn, id)?;
            if !may_decide(&live, &account, agree) {
                return Err(Error::denied());
            }
            let mut rows = account.fields.rows(tag::WAITING).to_vec();
            let place = rows.iter().position(|r| r.text(waiting::WHAT) == what.code() && r.int(waiting::AT) == at);
            let Some(place) = place else {
                return Err(Error::invalid("这项申请已经处理过，或已被新的申请代替。请核对后重新操作。"));
            };
            let row = rows.remove(place);
            if agree && txn.now().seconds_since(Moment(at)) > limits::RELIEF_S {
                let days = limits::RELIEF_S / 86_400;
                return Err(Error::invalid(format!("申请已超过 {days} 天，不能再确认。请重新申请，或结束这项申请。")));
            }
            let own = row.link(waiting::BY) == Some(live.account);
            if own && agree {
                return Err(Error::invalid("申请人不能确认自己的申请，须由另一名管理员确认。"));
            }
            if agree && !own && !still_asks(txn, &row, hands(&account.fields).0)? {
                return Err(Error::invalid("申请人已不再任这个岗位，这项申请不能确认。请重新申请，或结束这项申请。"));
            }
            put_waiting(&mut account, rows);
            let act = Act::new(deciding.doer(), what.decided());
            txn.act(if agree { act } else { act.refused() });
            if agree {
                grant(&mut account, what, &row, txn.now());
            } else {
                account.version += 1;
                account.updated = txn.now();
            }
            txn.update_at_rest(account)
        })?;
        if agree {
            self.end_sessions(id);
            self.throttle.forget(account.fields.text(tag::LOGIN));
        }
        Ok(())
    }

    /// The account, if the actor may ask for it.
    fn asked_about(&self, actor: &Actor, id: RecordId) -> Result<Record> {
        let account = self.account_of(actor, id)?;
        if self.may_relieve(actor, &account) { Ok(account) } else { Err(self.refused(actor, &account::KIND, id)) }
    }

    fn account_of(&self, actor: &Actor, id: RecordId) -> Result<Record> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let account = self.store.read()?.get(id, false)?;
        account.filter(|r| r.kind == account::KIND.tag).ok_or_else(Error::denied)
    }

    fn ask(&self, actor: &Actor, id: RecordId, what: What, credential: Option<String>) -> Result<()> {
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            txn.act(Act::new(actor.doer(), what.asked()));
            wait_for(txn, &live, (id, what), credential)
        })
    }
}

/// Enters in an account what is asked for it.
fn wait_for(
    txn: &mut Txn<'_>,
    live: &Actor,
    (id, what): (RecordId, What),
    credential: Option<String>,
) -> Result<()> {
    let mut account = open_account(txn, id)?;
    if live.account == id || !live.is(hands(&account.fields).0) {
        return Err(Error::denied());
    }
    if what == What::Factor && !super::factor::has(&account) {
        return Err(Error::invalid("这个账户没有启用动态码，也没有绑定证书，没有可以作废的。"));
    }
    let mut rows = account.fields.rows(tag::WAITING).to_vec();
    // Two requests of one moment are two all the same.
    let last = rows.iter().map(|r| r.int(waiting::AT)).max().unwrap_or(0);
    rows.retain(|r| r.text(waiting::WHAT) != what.code());
    let row = Fields::default()
        .with_text(waiting::WHAT, what.code())
        .with(waiting::BY, Value::Link(live.account))
        .with(waiting::AT, Value::Int(txn.now().0.max(last + 1)));
    rows.push(row.with_text(waiting::CREDENTIAL, credential.unwrap_or_default()));
    put_waiting(&mut account, rows);
    account.version += 1;
    account.updated = txn.now();
    txn.update_at_rest(account)
}

/// Its person has never had a password that holds.
fn is_without(account: &Record) -> Result<()> {
    if awaits_first(account) {
        return Ok(());
    }
    let login = account.fields.text(tag::LOGIN);
    Err(Error::invalid(format!("账户“{login}”已有口令或已停用，一个口令也没有发。请刷新页面后重试。")))
}

/// The account is in use, and no password of it was ever confirmed.
pub fn awaits_first(account: &Record) -> bool {
    account.state == 1 && [tag::CREDENTIAL, tag::ACTIVATION].iter().all(|t| account.fields.text(*t).is_empty())
}

/// What waits about an account, as somebody sees it.
fn waiting_of(account: &Record, actor: &Actor) -> Vec<Waiting> {
    let line = |row: &Fields| {
        let by = row.link(waiting::BY)?;
        let own = by == actor.account;
        Some(Waiting {
            account: account.id,
            name: account.fields.text(tag::NAME).to_owned(),
            login: account.fields.text(tag::LOGIN).to_owned(),
            what: What::by_code(row.text(waiting::WHAT))?,
            by,
            at: Moment(row.int(waiting::AT)),
            confirms: hands(&account.fields).1,
            may_decide: may_decide(actor, account, true) && !own,
            own,
        })
    };
    account.fields.rows(tag::WAITING).iter().filter_map(line).collect()
}

/// Only the second administrator confirms; whoever may ask may take it back as well.
fn may_decide(actor: &Actor, account: &Record, agree: bool) -> bool {
    let (asks, confirms) = hands(&account.fields);
    actor.account != account.id && (actor.is(confirms) || actor.is(asks) && !agree)
}

/// Whoever asked still has the office to ask: what somebody who was replaced asked for is nobody's request any more.
fn still_asks(txn: &Txn<'_>, row: &Fields, role: &str) -> Result<bool> {
    let by = row.link(waiting::BY).map_or(Ok(None), |id| txn.get(id))?;
    let by = by.filter(|a| account::admits(a, txn.now().day()));
    Ok(by.is_some_and(|a| account::roles_on(&a.fields, txn.now().day()).iter().any(|r| r == role)))
}

fn open_account(txn: &Txn<'_>, id: RecordId) -> Result<Record> {
    let account = txn.get(id)?.filter(|r| r.kind == account::KIND.tag).ok_or_else(Error::denied)?;
    match () {
        () if account.state != 1 => Err(Error::invalid("这个账户已停用，没有操作。请先恢复使用。")),
        () if !account::admits(&account, txn.now().day()) => {
            Err(Error::invalid("这个账户的有效期已过，没有操作。请先在账户上延长有效期。"))
        }
        () => Ok(account),
    }
}

/// What was asked for is needed no more: the person helped themself.
pub(super) fn forget(account: &mut Record, what: What) {
    let mut rows = account.fields.rows(tag::WAITING).to_vec();
    rows.retain(|r| r.text(waiting::WHAT) != what.code());
    put_waiting(account, rows);
}

fn put_waiting(account: &mut Record, rows: Vec<Fields>) {
    if rows.is_empty() {
        account.fields.remove(tag::WAITING);
    } else {
        account.fields.insert(tag::WAITING, Value::Rows(rows));
    }
}

/// Does what was asked for.
fn grant(account: &mut Record, what: What, row: &Fields, now: Moment) {
    match what {
        What::Password => password::set(account, row.text(waiting::CREDENTIAL).to_owned(), true, now),
        What::Factor => {
            account::void_factor(&mut account.fields);
            account.version += 1;
            account.updated = now;
        }
    }
}
