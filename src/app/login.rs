//! Log-in: the password and, where the account has one, the second factor, in one step. Unknown names, wrong passwords,
//! wrong codes and addresses that are not admitted get the same answer after the same work.
//!
//! What must hold: what proved a second factor proves nothing again; that is checked and stored in the transaction of
//! the log-in's entry.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::factor::{Proof, Spent};
use super::password::{dummy, is_old, verify};
use super::policy::Policy;
use super::session::Must;
use super::throttle::Guest;
use super::ukey::Shown;
use super::{Actor, App, factor, lock};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::records::{Fields, Record, Value, account, act};
use crate::store::{Act, Doer, Snapshot, Txn, fact};

const WRONG: &str = "登录名或口令不正确，或者动态码不正确（启用了动态码的账户必须填写，每个码只能用一次）。\
请检查后重试；忘记口令或丢失手机请联系系统管理员。";
const FIRST: &str = "这个账户还在用他人发放的口令，不能用于命令行。请先用浏览器登录，设置自己的口令，再运行本命令。";
const OLD: &str = "这个账户的口令已到期，不能用于命令行。请先用浏览器登录，更换口令，再运行本命令。";
const NO_FACTOR: &str = "按登录安全策略，这个账户必须启用动态码，不能用于命令行。请先用浏览器登录并启用，再运行本命令。";
const UKEY: &str = "这个账户用证书（UKey）登录，不能用于命令行。请先在“动态码”页同时启用动态码，或换一个账户。";
const UNREADY: &str = "系统还没有完成初始化，任何人都不能登录。请在初始化完成后再登录。";
const CODE: &str = "这个账户启用了动态码，请再给出动态码。";

/// What somebody types at the door.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt<'a> {
    /// Log-in name.
    pub login: &'a str,
    /// Password.
    pub password: &'a str,
    /// Code of the second factor, or a recovery code; accounts without one leave it empty.
    pub code: &'a str,
    /// Address of the device.
    pub from: &'a str,
    /// The mark of a device that somebody logged in from before.
    pub device: Option<&'a str>,
    /// The certificate of the connection, which was judged and found good.
    pub certificate: Option<&'a Shown>,
}

/// Somebody who came in.
pub struct Entered {
    /// Token of the new session.
    pub token: String,
    /// Log-in name as the account has it.
    pub login: String,
    /// Mark that makes the device known.
    pub device: String,
    /// A recovery code was spent.
    pub recovered: bool,
}

/// What a person types for a command, besides the name.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Typed {
    /// Password.
    pub password: String,
    /// Code of the second factor; `None` before it was asked for.
    pub code: Option<String>,
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.password.zeroize();
        self.code.zeroize();
    }
}

impl App {
    /// Lets somebody in by the browser.
    pub fn log_in(&self, attempt: &Attempt<'_>) -> Result<Entered> {
        let name = folded(attempt.login);
        let guest = self.guest(&name, attempt);
        let (account, proof) = self.check(attempt, &guest, "web")?;
        let recovered = matches!(proof, Some(Proof::Recovery(_)));
        let certified = attempt.certificate.filter(|_| proof == Some(Proof::Certificate));
        let seen = self.let_in(&account, proof, "web", (&name, &guest))?;
        let old = self.is_old_password(&self.policy()?, &account, &seen);
        let login = account.fields.text(account::tag::LOGIN).to_owned();
        let token = self.begin_session(&account, old, certified.map(|shown| shown.key().to_owned()))?;
        Ok(Entered { token, device: self.device_mark(attempt.device, &name)?, login, recovered })
    }

    /// Checks who is at the host's console. A password that somebody else handed out opens nothing here: only the
    /// browser lets its owner set another, and a second factor. Those of an answers file, which nobody touched since,
    /// do: they were written by whoever runs this console.
    ///
    /// # Errors
    /// `Code` when the account has a second factor and no code was typed.
    pub fn console_actor(&self, login: &str, typed: &Typed) -> Result<Actor> {
        let via = format!("local:{}", nix::unistd::getuid());
        let found = self.find_account(login)?;
        if found.as_ref().is_some_and(|a| factor::has_certificate(a) && !factor::has_code(a)) {
            return Err(Error::new(ErrorKind::Denied, UKEY));
        }
        if typed.code.is_none() && found.is_some_and(|a| factor::has_code(&a)) {
            return Err(Error::new(ErrorKind::Code, CODE));
        }
        let code = typed.code.as_deref().unwrap_or_default();
        let attempt = Attempt { login, password: &typed.password, code, ..Attempt::default() };
        let (name, guest) = (folded(login), Guest::Known("console".into()));
        let (account, proof) = self.check(&attempt, &guest, &via)?;
        let policy = self.policy()?;
        let seen = Seen::of(&self.store.read()?, account.id)?;
        let actor = Actor::at(&account, &via, self.now(), &self.charter()?);
        let handed = account.fields.flag(account::tag::MUST_CHANGE) && account.version > 1;
        let refused = match () {
            () if handed => Some(FIRST),
            () if self.lacks_factor(&policy, &account, &actor) => Some(NO_FACTOR),
            () if self.is_old_password(&policy, &account, &seen) => Some(OLD),
            () => None,
        };
        if let Some(text) = refused {
            self.throttle.passed(&name, &guest);
            self.enter_failure(&account, &via, "")?;
            return Err(Error::new(ErrorKind::Denied, text));
        }
        if proof.is_some() {
            self.let_in(&account, proof, &via, (&name, &guest))?;
        } else {
            self.throttle.passed(&name, &guest);
        }
        Ok(Actor { proven: true, ..actor })
    }

    /// In demo stores: the account of this name, without its password.
    pub fn demo_actor(&self, login: &str) -> Result<Actor> {
        if !self.facts().demo {
            return Err(Error::usage("请用 --as 指定账户，并输入它的口令。"));
        }
        let via = format!("local:{}", nix::unistd::getuid());
        let account = self.find_account(login)?.ok_or_else(|| Error::invalid("没有这个账户。"))?;
        Ok(Actor { proven: true, ..Actor::at(&account, &via, self.now(), &self.charter()?) })
    }

    /// Nothing of an account can be changed now: on a standby, and while the store takes no changes. Nobody is kept
    /// from reading then for what they cannot do.
    fn takes_no_changes(&self) -> bool {
        self.is_standby() || self.halted().is_some()
    }

    /// The password is to be changed; nobody is asked to in a demo.
    fn is_old_password(&self, policy: &Policy, account: &Record, seen: &Seen) -> bool {
        let asked = !self.facts().demo && !self.takes_no_changes();
        asked && seen.since(account).is_some_and(|since| is_old(policy, since, self.now()))
    }

    /// The account needs a second factor by what it may do today, has none, and could set one up.
    fn lacks_factor(&self, policy: &Policy, account: &Record, actor: &Actor) -> bool {
        let bare = policy.asks(actor) && !factor::has(account);
        let keyless = policy.asks_certificate(actor) && !factor::has_certificate(account);
        (bare || keyless && self.trust().is_ok_and(|t| t.is_some())) && !self.takes_no_changes()
    }

    /// What keeps somebody from their work; the most urgent of it.
    pub(super) fn must(&self, policy: &Policy, (account, actor): (&Record, &Actor), old: bool) -> Option<Must> {
        match () {
            () if account.fields.flag(account::tag::MUST_CHANGE) => Some(Must::FirstPassword),
            () if old && !self.takes_no_changes() => Some(Must::OldPassword),
            () if self.lacks_factor(policy, account, actor) => Some(Must::Factor),
            () => None,
        }
    }

    /// The account, and what proved its second factor, if everything is right; the guess still counts.
    fn check(&self, attempt: &Attempt<'_>, guest: &Guest, via: &str) -> Result<(Record, Option<Proof>)> {
        if !self.is_ready()? {
            return Err(Error::new(ErrorKind::Busy, UNREADY));
        }
        let name = folded(attempt.login);
        self.throttle.begin(&name, guest, self.now())?;
        let judged = self.judge(attempt, guest);
        let (account, right) = judged.inspect_err(|_| self.throttle.untried(&name, guest))?;
        match (account, right) {
            (Some(account), Some(proof)) => Ok((account, proof)),
            (account, _) => Err(self.wrong(&name, account.as_ref(), via)),
        }
    }

    /// The account of the name, and, when everything is right, what proved the second factor, if there is one. An
    /// unknown name costs as much time as a known one.
    fn judge(&self, attempt: &Attempt<'_>, guest: &Guest) -> Result<(Option<Record>, Option<Option<Proof>>)> {
        let account = self.find_account(attempt.login)?;
        let policy = self.policy()?;
        let stored = account.as_ref().map_or("", |a| a.fields.text(account::tag::CREDENTIAL));
        let against = if stored.is_empty() { dummy(self.facts().demo) } else { stored };
        let fits = attempt.password.len() <= limits::PASSWORD_MAX_BYTES && !stored.is_empty();
        let right = self.throttle.room.turn(guest, || verify(against, attempt.password))?;
        let proof = self.proof(account.as_ref(), attempt.code);
        let proof = account.as_ref().map_or(proof.clone(), |a| self.by_certificate(&policy, a, attempt, proof));
        let proven = proof.is_some() || account.as_ref().is_some_and(|a| !factor::has(a));
        let roles = account.as_ref().map_or(&[][..], |a| a.fields.codes(account::tag::ROLES));
        let admitted = attempt.from.is_empty() || policy.admits(roles, attempt.from);
        Ok((account, (right && fits && proven && admitted).then_some(proof)))
    }

    /// What proves the second factor of an account to which a certificate is bound: that, and where the policy asks for
    /// certificates no code besides it.
    fn by_certificate(
        &self,
        policy: &Policy,
        account: &Record,
        attempt: &Attempt<'_>,
        proof: Option<Proof>,
    ) -> Option<Proof> {
        let bound = account.fields.text(account::tag::CERTIFICATE);
        let actor = || self.charter().map(|charter| Actor::at(account, "", self.now(), &charter));
        match attempt.certificate {
            _ if bound.is_empty() => proof,
            Some(shown) if shown.key() == bound => Some(Proof::Certificate),
            _ => proof.filter(|_| actor().is_ok_and(|a| !policy.asks_certificate(&a))),
        }
    }

    /// Enters the log-in. What proved the second factor is spent; when it was before, nothing happens.
    fn let_in(
        &self,
        checked: &Record,
        proof: Option<Proof>,
        via: &str,
        (name, guest): (&str, &Guest),
    ) -> Result<Seen> {
        let standby = self.is_standby();
        // Codes that were used on the host it follows are used here as well.
        let used = if standby { Seen::of(&self.store.read()?, checked.id)?.step() } else { 0 };
        if standby && !proof.as_ref().is_none_or(|p| p.is_new_to(&self.throttle, checked.id, used)) {
            return Err(self.wrong(name, Some(checked), via));
        }
        let (account, doer) = (checked.clone(), Actor::of(checked, via).doer());
        let certified = proof == Some(Proof::Certificate);
        let entered = self.store.submit(move |txn| {
            let mut record = unchanged(txn, &account)?.ok_or_else(wrong)?;
            let mut seen = Seen::of_txn(txn, account.id)?;
            let mut act = Act::new(doer, act::LOGIN);
            // A standby keeps nothing of its own but the entry.
            if !standby {
                match proof.map(|proof| proof.spend(&mut record, &mut seen, txn.now())) {
                    Some(Spent::Nothing) => return Err(wrong()),
                    Some(Spent::Code(left)) => {
                        act = Act { action: act::LOGIN_RECOVERY, ..act }.note(format!("left {left}"));
                        txn.update_at_rest(record)?;
                    }
                    Some(Spent::Step) | None => {}
                }
                if certified {
                    act = act.note("certificate");
                }
                seen.came_in(txn.now());
                seen.keep(txn, account.id)?;
            }
            txn.act(act);
            Ok(seen)
        });
        match entered {
            Ok(seen) => {
                self.throttle.passed(name, guest);
                Ok(seen)
            }
            Err(e) if e.kind() == ErrorKind::Denied => Err(self.wrong(name, Some(checked), via)),
            Err(e) => {
                self.throttle.untried(name, guest);
                Err(e)
            }
        }
    }

    /// The one answer to everybody who does not come in.
    fn wrong(&self, name: &str, account: Option<&Record>, via: &str) -> Error {
        self.throttle.failed(name, account.is_some());
        self.enter_wrong(account, via).err().unwrap_or_else(wrong)
    }

    pub(super) fn find_account(&self, login: &str) -> Result<Option<Record>> {
        let snapshot = self.store.read()?;
        let ids = snapshot.find(&account::KIND, account::tag::LOGIN, login)?;
        let Some(id) = ids.first() else { return Ok(None) };
        Ok(snapshot.get(*id, false)?.filter(|a| account::admits(a, self.now().day())))
    }

    /// Enters that somebody whose account is known did not get further, and waits until that lasts.
    pub(super) fn enter_failure(&self, account: &Record, via: &str, note: &str) -> Result<()> {
        let command = self.failure(account, Act::new(Actor::of(account, via).doer(), act::LOGIN_FAILED).note(note));
        self.store.submit(command)
    }

    /// Enters that somebody did not come in: of accounts each time, of strangers once a minute. Nobody waits for the
    /// entry: how long an answer takes would tell whether there is such an account.
    fn enter_wrong(&self, account: Option<&Record>, via: &str) -> Result<()> {
        if let Some(account) = account {
            let act = Act::new(Actor::of(account, via).doer(), act::LOGIN_FAILED);
            return self.store.submit_unanswered(self.failure(account, act));
        }
        let now = self.now();
        let mut last = lock(&self.throttle.stranger);
        if now.seconds_since(*last) < limits::STRANGER_ENTRY_S {
            return Ok(());
        }
        *last = now;
        let doer = Doer { account: RecordId(0), unit: RecordId(0), via: via.to_owned() };
        let act = Act::new(doer, act::LOGIN_FAILED).refused();
        self.store.submit_unanswered(move |txn| {
            txn.act(act);
            Ok(())
        })
    }

    /// The entry of a failure, and the count of them; a standby counts none.
    fn failure(&self, account: &Record, act: Act) -> impl FnOnce(&mut Txn<'_>) -> Result<()> + Send + use<> {
        let (id, counts) = (account.id, !self.is_standby());
        move |txn| {
            if counts {
                let mut seen = Seen::of_txn(txn, id)?;
                seen.failed(txn.now());
                seen.keep(txn, id)?;
            }
            txn.act(act.refused());
            Ok(())
        }
    }
}

/// The account as it is now, if it is still what was checked.
pub(super) fn unchanged(txn: &Txn<'_>, checked: &Record) -> Result<Option<Record>> {
    let record = txn.get(checked.id)?.filter(|r| account::admits(r, txn.now().day()));
    Ok(record.filter(|r| is_proven(r, checked)))
}

/// What opened the account as it was checked opens it still.
pub(super) fn is_proven(account: &Record, checked: &Record) -> bool {
    let same = |tag| account.fields.get(tag) == checked.fields.get(tag);
    same(account::tag::CREDENTIAL) && same(account::tag::FACTOR) && same(account::tag::CERTIFICATE)
}

pub(super) fn wrong() -> Error {
    Error::new(ErrorKind::Denied, WRONG)
}

/// Folded as accounts are looked up: another way to write the name is no other name.
pub(super) fn folded(login: &str) -> String {
    login.trim().chars().flat_map(crate::base::text::fold).collect()
}

/// Fields of a new account.
pub fn account_fields(login: &str, name: &str, unit: RecordId, roles: &[String]) -> Fields {
    let fields = Fields::default()
        .with_text(account::tag::LOGIN, login)
        .with_text(account::tag::NAME, name)
        .with(account::tag::UNIT, Value::Link(unit));
    if roles.is_empty() { fields } else { fields.with(account::tag::ROLES, Value::Codes(roles.to_vec())) }
}

/// Tags of what is remembered of an account's log-ins (`data-format/store.md`).
mod tag {
    pub(super) const STEP: u16 = 16;
    pub(super) const FIRST: u16 = 17;
    pub(super) const LAST: u16 = 18;
    pub(super) const BEFORE: u16 = 19;
    pub(super) const FAILURES: u16 = 20;
    pub(super) const FAILED_AT: u16 = 21;
    pub(super) const TOLD: u16 = 22;
    pub(super) const TOLD_AT: u16 = 23;
}

/// What the store remembers of the log-ins of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(Fields);

impl Seen {
    pub(super) fn of(snapshot: &Snapshot, id: RecordId) -> Result<Self> {
        Ok(Self(snapshot.kept(&seen_name(id))?.unwrap_or_default()))
    }

    pub(super) fn of_txn(txn: &Txn<'_>, id: RecordId) -> Result<Self> {
        Ok(Self(txn.kept(&seen_name(id))?.unwrap_or_default()))
    }

    pub(super) fn keep(&self, txn: &mut Txn<'_>, id: RecordId) -> Result<()> {
        txn.keep(&seen_name(id), &self.0)
    }

    /// The last log-in before the present one.
    pub fn before(&self) -> Option<Moment> {
        self.moment(tag::BEFORE)
    }

    /// Failures between the two, and when the last of them was.
    pub fn failures_before(&self) -> (i64, Option<Moment>) {
        (self.0.int(tag::TOLD), self.moment(tag::TOLD_AT))
    }

    /// Failures since the present one.
    pub fn failures_since(&self) -> (i64, Option<Moment>) {
        (self.0.int(tag::FAILURES), self.moment(tag::FAILED_AT))
    }

    /// The last step of the second factor that was used.
    pub(super) fn step(&self) -> i64 {
        self.0.int(tag::STEP)
    }

    pub(super) fn used(&mut self, step: i64) {
        self.0.insert(tag::STEP, Value::Int(step));
    }

    /// When the password was set; of accounts older than that field, when they first came in since.
    fn since(&self, account: &Record) -> Option<Moment> {
        let set = Some(account.fields.int(account::tag::PASSWORD_SINCE)).filter(|at| *at != 0);
        set.map(Moment).or_else(|| self.moment(tag::FIRST))
    }

    fn came_in(&mut self, now: Moment) {
        let fields = &mut self.0;
        for (from, to) in [(tag::LAST, tag::BEFORE), (tag::FAILURES, tag::TOLD), (tag::FAILED_AT, tag::TOLD_AT)] {
            match fields.remove(from) {
                Some(value) => fields.insert(to, value),
                None => drop(fields.remove(to)),
            }
        }
        fields.insert(tag::LAST, Value::Int(now.0));
        if fields.get(tag::FIRST).is_none() {
            fields.insert(tag::FIRST, Value::Int(now.0));
        }
    }

    fn failed(&mut self, now: Moment) {
        let count = self.0.int(tag::FAILURES) + 1;
        self.0.insert(tag::FAILURES, Value::Int(count));
        self.0.insert(tag::FAILED_AT, Value::Int(now.0));
    }

    fn moment(&self, tag: u16) -> Option<Moment> {
        self.0.get(tag).map(|_| Moment(self.0.int(tag)))
    }
}

fn seen_name(id: RecordId) -> String {
    format!("{}{id}", fact::LOGIN)
}

#[cfg(test)]
pub(super) mod tests;
