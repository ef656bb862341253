//! Replacing one of the three administrators (三员更换): one of the other two asks, the third confirms, and only then
//! the one loses the office and the other one has it. Whoever is replaced has no part in it. Where two are gone, the
//! owner of the data folder does it at the host's console, and every page says so for a week.
//!
//! What must hold: nobody asks and confirms; who comes into the office has no other role, and is none of the other two;
//! the new administrator gets in by a one-time password of the two others. There is no account above the three.

use super::access::local_doer;
use super::handover::{about, create, done, must_be_free, take_back};
use super::policy::{Asked, Policy};
use super::record::live;
use super::sight::Books;
use super::{Actor, App, password};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::account::{self, ADMINISTRATORS, tag as of};
use crate::records::field::{self, Raw};
use crate::records::handover::{self, KIND, state, tag};
use crate::records::{Author, Fields, Record, Value, act, decide};
use crate::store::{Act, Txn, fact};

/// What may be done with a request now, by whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct May {
    /// Confirm it.
    pub confirm: bool,
    /// End it: refuse it, or take it back.
    pub end: bool,
    /// It is too old to be confirmed.
    pub lapsed: bool,
}

/// Who comes into the office.
#[derive(Clone, Debug, Default)]
pub struct Successor {
    /// Log-in name, of an account that is there or of a new one.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// Post, of a new account.
    pub post: String,
}

/// That an administrator was replaced at the host's console, as every page says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNotice {
    /// When.
    pub at: Moment,
    /// In words.
    pub text: String,
}

impl App {
    /// The actor is one of the other two: may ask that this administrator be replaced.
    pub fn may_ask_replacement(&self, actor: &Actor, account: &Record) -> bool {
        account.kind == account::KIND.tag
            && account.state == 1
            && account::is_administrator(&account.fields)
            && account.id != actor.account
            && is_one_of_three(actor)
    }

    /// Asks that an administrator be replaced; the request.
    pub fn ask_replacement(&self, actor: &Actor, id: RecordId, raw: &Raw) -> Result<RecordId> {
        let account = self.store.read()?.get(id, false)?.filter(|r| r.kind == account::KIND.tag);
        let account = account.ok_or_else(Error::denied)?;
        if !self.may_ask_replacement(actor, &account) {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let text = |name: &str| field::first(raw, name).trim().to_owned();
        let [login, name, post] = ["login", "name", "post"].map(|what| text(&format!("successor_{what}")));
        let next = Successor { login, name, post };
        next.check()?;
        let cause = handover::CAUSES.code(field::first(raw, "cause")).ok_or_else(|| Error::invalid("请选择事由。"))?;
        let note: String = text("note").chars().take(limits::REASON_CHARS).collect();
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let old = txn.get(id)?.ok_or_else(Error::denied)?;
            let live = live(txn, &actor)?;
            if live.account == id || !is_one_of_three(&live) || old.state != 1 {
                return Err(Error::denied());
            }
            let role = role_of(&old).ok_or_else(Error::denied)?;
            end_lapsed(txn, id)?;
            fits(txn, &old, role, &next)?;
            let fields = Fields::default()
                .with_text(tag::CAUSE, cause)
                .with_text(tag::OUTCOME, handover::CLOSE)
                .with_text(tag::NOTE, note);
            let mut fields = next.in_fields(about(txn, &old, fields)?.with_text(tag::ROLE, role));
            // Who confirms sees whether the account is there already, and confirms that one.
            if let Some(there) = named(txn, &next.login)? {
                fields.insert(tag::SUCCESSOR, Value::Link(there.id));
            }
            txn.act(Act::new(actor.doer(), act::REPLACEMENT).note(role));
            create(txn, &actor, &old, fields)
        })
    }

    /// Confirms a request: the one loses the office, the sessions, the second factor and the account, and the other one
    /// has it, in this transaction.
    pub fn confirm_replacement(&self, actor: &Actor, id: RecordId) -> Result<()> {
        let record = self.visible(&self.store.read()?, actor, &KIND, id)?;
        if !part_in(actor, &record) {
            return Err(self.refused(actor, &KIND, id));
        }
        let actor = actor.clone();
        let gone = self.store.submit(move |txn| {
            let mut change = txn.get(id)?.filter(|r| r.kind == KIND.tag).ok_or_else(Error::denied)?;
            let live = live(txn, &actor)?;
            if !part_in(&live, &change) {
                return Err(Error::denied());
            }
            may_confirm(txn, &live, &change)?;
            let old = change.fields.link(tag::PERSON).unwrap_or(RecordId(0));
            let mut old = txn.get(old)?.ok_or_else(Error::denied)?;
            let role = role_of(&old).filter(|r| *r == change.fields.text(tag::ROLE) && old.state == 1);
            let role = role.ok_or_else(|| Error::invalid("这名管理员已经不在这个岗位，申请不能再确认。"))?;
            let next = Successor::of(&change.fields);
            if named(txn, &next.login)?.map(|a| a.id) != change.fields.link(tag::SUCCESSOR) {
                return Err(Error::invalid("申请之后，这个登录名的账户有了变化，不能确认。请撤回后重新申请。"));
            }
            fits(txn, &old, role, &next)?;
            must_be_free(txn, &old)?;
            let new = install(txn, &actor, (role, &old), &next, None)?;
            take_back(&mut old, true, txn.now());
            done(&mut change, &actor, txn.now());
            change.fields.insert(tag::SUCCESSOR, Value::Link(new));
            txn.act(Act::new(actor.doer(), act::REPLACED).note(role));
            let gone = old.id;
            txn.update(old)?;
            txn.update(change)?;
            Ok([gone, new])
        })?;
        gone.into_iter().for_each(|id| self.sign_off(id));
        Ok(())
    }

    /// Ends a request: refused by the third, or taken back by who asked.
    pub fn end_replacement(&self, actor: &Actor, id: RecordId) -> Result<()> {
        let record = self.visible(&self.store.read()?, actor, &KIND, id)?;
        if !part_in(actor, &record) {
            return Err(self.refused(actor, &KIND, id));
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let change = txn.get(id)?.filter(|r| r.kind == KIND.tag).ok_or_else(Error::denied)?;
            if !part_in(&live(txn, &actor)?, &change) {
                return Err(Error::denied());
            }
            if change.state != state::ASKED {
                return Err(Error::invalid("这项申请已经办结。请刷新后再看。"));
            }
            txn.act(Act::new(actor.doer(), act::HANDOVER_ENDED).note(change.fields.text(tag::ROLE)));
            end(txn, change)
        })
    }

    /// What may be done with a request.
    pub(super) fn replacement_may(&self, actor: &Actor, change: &Record) -> May {
        let asked = change.state == state::ASKED && part_in(actor, change);
        let lapsed = change.state == state::ASKED && is_over(change, self.now());
        May { confirm: asked && change.creator != actor.account && !lapsed, end: asked, lapsed }
    }

    /// Replaces an administrator at the host's console: the new one's one-time password. It does without the other two,
    /// also in a store that was just restored, and so every page says it for a week. Nobody must bring a certificate
    /// from then on, until the policy says so again.
    pub fn replace_at_host(&self, replaced: &str, next: Successor) -> Result<String> {
        next.check()?;
        if !self.is_ready()? {
            return Err(Error::invalid("系统尚未初始化，没有可以更换的管理员。"));
        }
        let word = password::one_time_password()?;
        password::check_rules(&next.login, &word)?;
        let credential = password::hash(&word)?;
        let replaced = replaced.to_owned();
        let gone = self.store.submit(move |txn| {
            let old = named(txn, &replaced)?.filter(|a| a.state == 1);
            let role = old.as_ref().and_then(role_of);
            let Some((old, role)) = old.zip(role) else {
                return Err(Error::invalid("这个登录名现在不是三员之一，没有执行。请核对要更换的人的登录名。"));
            };
            fits(txn, &old, role, &next)?;
            let by = Actor::of(&nobody(), &local_doer().via);
            let new = install(txn, &by, (role, &old), &next, Some(credential))?;
            let fields = Fields::default()
                .with_text(tag::CAUSE, "other")
                .with_text(tag::OUTCOME, handover::CLOSE)
                .with_text(tag::NOTE, "在服务器上更换，没有另外两名管理员参与")
                .with(tag::DONE_AT, Value::Int(txn.now().0))
                .with(tag::SUCCESSOR, Value::Link(new));
            let fields = next.in_fields(about(txn, &old, fields)?.with_text(tag::ROLE, role));
            let made = create_done(txn, &by, &old, fields)?;
            note_for_everybody(txn, role, &old, &next)?;
            // Whoever comes into the office has no certificate, and could bind none where it is already asked for.
            let mut policy = Policy::of_txn(txn)?;
            if policy.asks_certificates() {
                policy.certificates = Asked::Nobody;
                policy.keep(txn)?;
            }
            txn.act(Act::new(local_doer(), act::REPLACED_BY_HOST).note(format!("{role} {made}")));
            let (mut old, now) = (old, txn.now());
            take_back(&mut old, true, now);
            let gone = old.id;
            txn.update_at_rest(old)?;
            Ok([gone, new])
        })?;
        gone.into_iter().for_each(|id| self.sign_off(id));
        Ok(word)
    }

    /// What every page says of the last week. Nothing takes it away but time.
    pub fn host_notices(&self) -> Result<Vec<HostNotice>> {
        let text = self.store.read()?.fact_text(fact::REPLACED)?;
        let now = self.now();
        let fresh = |n: &HostNotice| now.seconds_since(n.at) < limits::HOST_NOTICE_S;
        Ok(notices(&text).filter(fresh).collect())
    }
}

impl Successor {
    fn of(fields: &Fields) -> Self {
        let text = |tag| fields.text(tag).to_owned();
        Self { login: text(tag::SUCCESSOR_LOGIN), name: text(tag::SUCCESSOR_NAME), post: text(tag::SUCCESSOR_POST) }
    }

    fn in_fields(&self, fields: Fields) -> Fields {
        fields
            .with_text(tag::SUCCESSOR_LOGIN, self.login.as_str())
            .with_text(tag::SUCCESSOR_NAME, self.name.as_str())
            .with_text(tag::SUCCESSOR_POST, self.post.as_str())
    }

    /// What a form of accounts would ask for as well.
    fn check(&self) -> Result<()> {
        let raw = [("login", &self.login), ("name", &self.name), ("post", &self.post), ("unit", &"1".to_owned())];
        let raw: Raw = raw.map(|(name, value)| (name.to_owned(), value.clone())).to_vec();
        let (fields, mut problems) = field::parse(account::KIND.fields, &raw);
        problems.extend((account::KIND.check)(&fields));
        match problems.into_iter().next() {
            Some((_, text)) => Err(Error::invalid(format!("接任人：{text}"))),
            None => Ok(()),
        }
    }
}

fn is_one_of_three(actor: &Actor) -> bool {
    ADMINISTRATORS.iter().any(|role| actor.is(role))
}

/// One of the two who are not replaced.
fn part_in(actor: &Actor, change: &Record) -> bool {
    handover::replaces(&change.fields)
        && is_one_of_three(actor)
        && !actor.is(change.fields.text(tag::ROLE))
        && change.fields.link(tag::PERSON) != Some(actor.account)
}

fn role_of(account: &Record) -> Option<&'static str> {
    let codes = account.fields.codes(of::ROLES);
    ADMINISTRATORS.into_iter().find(|role| codes.iter().any(|c| c == role))
}

fn is_over(change: &Record, now: Moment) -> bool {
    now.seconds_since(change.created) > limits::RELIEF_S
}

fn may_confirm(txn: &Txn<'_>, live: &Actor, change: &Record) -> Result<()> {
    let asker = txn.get(change.creator)?.filter(|a| account::admits(a, txn.now().day()));
    Err(Error::invalid(match () {
        () if change.state != state::ASKED => "这项申请已经办结。请刷新后再看。",
        () if change.creator == live.account => "申请人不能确认自己的申请，须由第三名管理员确认。",
        () if is_over(change, txn.now()) => "申请已超过 7 天，不能再确认。请撤回后重新申请。",
        () if asker.is_none_or(|a| !account::is_administrator(&a.fields)) => {
            "申请人已不再是管理员，这项申请不能确认。请撤回后重新申请。"
        }
        () => return Ok(()),
    }))
}

/// Requests about an account that are too old give way to a new one; a fresh one does not.
fn end_lapsed(txn: &mut Txn<'_>, person: RecordId) -> Result<()> {
    for change in txn.linked(&KIND, tag::PERSON, person)? {
        if change.state != state::ASKED {
            continue;
        }
        if !is_over(&change, txn.now()) {
            return Err(Error::invalid("更换这名管理员的申请已在等待确认，不需要再申请。要改变人选，请先撤回。"));
        }
        end(txn, change)?;
    }
    Ok(())
}

fn end(txn: &mut Txn<'_>, mut change: Record) -> Result<()> {
    change.state = state::ENDED;
    change.version += 1;
    change.updated = txn.now();
    txn.update(change)
}

/// The successor is another person than each of the three, and does nothing else in the system.
fn fits(txn: &Txn<'_>, old: &Record, role: &str, next: &Successor) -> Result<()> {
    for other in ADMINISTRATORS {
        for holder in holders(txn, other)? {
            let name = account::name_key(holder.fields.text(of::NAME));
            if holder.fields.text(of::LOGIN) == next.login || name == account::name_key(&next.name) {
                return Err(Error::invalid(if other == role {
                    "接任人就是现任的人，没有执行。"
                } else {
                    "三员须是三个不同的人：接任人已是三员之一，没有执行。"
                }));
            }
        }
    }
    let Some(account) = named(txn, &next.login)? else { return Ok(()) };
    let why = match () {
        () if account.id == old.id => "接任人就是现任的人，没有执行。",
        () if account.fields.text(of::NAME) != next.name => "这个登录名已属于另一个人，请核对接任人的姓名和登录名。",
        () if !account::admits(&account, txn.now().day()) => "接任人的账户已停用或有效期已过，请换一个登录名。",
        () if account::holds_rights(&account.fields) => "接任人的账户还有别的角色或授权。三员不能兼任，请先收回，或另用一个新的登录名。",
        () => return must_be_free(txn, &account),
    };
    Err(Error::invalid(why))
}

fn named(txn: &Txn<'_>, login: &str) -> Result<Option<Record>> {
    let ids = txn.find(&account::KIND, of::LOGIN, login)?;
    ids.first().map_or(Ok(None), |id| txn.get(*id))
}

/// Accounts that hold one of the offices now.
fn holders(txn: &Txn<'_>, role: &str) -> Result<Vec<Record>> {
    let mut holders = Vec::new();
    for id in Books::standing(txn, &account::KIND, RecordId(0), 1)? {
        holders.extend(txn.get(id)?.filter(|a| a.fields.codes(of::ROLES).iter().any(|r| r == role)));
    }
    Ok(holders)
}

/// Gives the successor the office. A new account is of the unit of whoever had it, and nobody knows a password of it.
fn install(
    txn: &mut Txn<'_>,
    by: &Actor,
    (role, old): (&str, &Record),
    next: &Successor,
    credential: Option<String>,
) -> Result<RecordId> {
    let now = txn.now();
    let roles = Value::Codes(vec![role.to_owned()]);
    let there = named(txn, &next.login)?;
    let mut account = if let Some(account) = &there {
        account.clone()
    } else {
        let unit = old.fields.link(of::UNIT).unwrap_or(RecordId(0));
        let fields = super::login::account_fields(&next.login, &next.name, unit, &[])
            .with_text(of::POST, next.post.as_str())
            .with(of::SINCE, Value::Day(now.day()));
        let author = Author { account: by.account, unit: by.unit };
        decide::create(&account::KIND, fields, author, now).map_err(|r| Error::internal(format!("{r:?}")))?
    };
    // What the account held, what waited about it, and what opened it, was of another time: nobody who knows a password
    // or has a factor of it comes into the office with that. An administrator has no last day.
    account::withdraw(&mut account.fields);
    account::void_factor(&mut account.fields);
    [of::WAITING, of::EXPIRES, of::CREDENTIAL].into_iter().for_each(|tag| drop(account.fields.remove(tag)));
    account.fields.insert(of::ROLES, roles);
    if let Some(credential) = credential {
        password::set(&mut account, credential, true, now);
    }
    if let Some((_, text)) = (account::KIND.check)(&account.fields).into_iter().next() {
        return Err(Error::invalid(format!("接任人的账户不合要求，没有执行：{text}")));
    }
    match there {
        Some(before) => {
            (account.version, account.updated) = (before.version + 1, now);
            let id = account.id;
            txn.update_at_rest(account).map(|()| id)
        }
        None => {
            account.version = 1;
            txn.create_at_rest(account)
        }
    }
}

fn create_done(txn: &mut Txn<'_>, by: &Actor, old: &Record, fields: Fields) -> Result<RecordId> {
    let unit = old.fields.link(of::UNIT).unwrap_or(RecordId(0));
    let fields = fields.with(tag::DAY, Value::Day(txn.now().day()));
    let made = decide::create(&KIND, fields, Author { account: by.account, unit }, txn.now());
    let made = made.map_err(|r| Error::internal(format!("{r:?}")))?;
    txn.create_at_rest(Record { state: state::DONE, ..made })
}

/// The account of nobody: what the host's console does.
fn nobody() -> Record {
    let none = RecordId(0);
    let (kind, created, updated) = (account::KIND.tag, Moment(0), Moment(0));
    let fields = Fields::default();
    Record { id: none, kind, version: 0, state: 1, unit: none, created, creator: none, updated, fields }
}

/// Adds the line that every page shows; lines of weeks that are over go.
fn note_for_everybody(txn: &mut Txn<'_>, role: &str, old: &Record, next: &Successor) -> Result<()> {
    let now = txn.now();
    let before = txn.fact(fact::REPLACED)?.unwrap_or_default();
    let before = String::from_utf8_lossy(&before).into_owned();
    let fresh = |line: &&str| {
        line.split_once(' ').and_then(|(at, _)| at.parse().ok()).is_some_and(|at| {
            now.seconds_since(Moment(at)) < limits::HOST_NOTICE_S
        })
    };
    let mut lines: Vec<String> = before.lines().filter(fresh).map(str::to_owned).collect();
    let (label, was, is) = (account::ROLES.label(role), old.fields.text(of::NAME), next.name.as_str());
    lines.push(format!("{} {label}由“{was}”更换为“{is}”", now.0));
    txn.set_fact(fact::REPLACED, lines.join("\n"));
    Ok(())
}

fn notices(text: &str) -> impl Iterator<Item = HostNotice> + '_ {
    text.lines().filter_map(|line| {
        let (at, what) = line.split_once(' ')?;
        let at = Moment(at.parse().ok()?);
        let text = format!(
            "{at} 在服务器上不经另外两名管理员更换了三员：{what}。本提示显示 7 天，不能关闭。如不知情，请立即报告。"
        );
        Some(HostNotice { at, text })
    })
}

#[cfg(test)]
mod tests;
