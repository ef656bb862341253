//! The set-up wizard (初始化向导): what is done in it step by step, kept in the store until it ends for good.
//!
//! What must hold: a link is taken once, by one browser; taking another one puts the browser before it out, and so does
//! a restore. Whoever holds the wizard does its steps and nothing else, and nobody logs in before its end. It ends when
//! three different persons have a password and a second factor of their own and the first backup was verified.

use super::super::recipients::{checked, prints, stored};
use super::super::run_entry::{begin, state_in};
use super::super::{App, backup::BackupPage, backup::ScheduleError, lock, login::folded};
use super::{Account, Opened, Policy, Ready, bound, bound_fits, make, not_ready, token_fits, units, well_formed};
use crate::backup::schedule::{By, Schedule, State, Typed};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::records::account::{self, ADMINISTRATORS, ROLES};
use crate::records::{Fields, Record, Value, act};
use crate::store::fact::SETUP_PROGRESS as NAME;
use crate::store::{Act, Doer, Snapshot, Txn, fact, seal};

const SAME: &str = "三名管理员必须是三个不同的人，姓名和登录名都不能相同。";

/// Tags of the fact (`data-format/store.md`).
mod tag {
    pub(super) const UNITS: u16 = 16;
    pub(super) const ACCOUNTS: u16 = 17;
    pub(super) const HOLDER: u16 = 18;
    pub(super) const SETTLED: u16 = 19;
}

/// How far the wizard is, as the store keeps it.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Fields);

impl Progress {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        Ok(Self(snapshot.kept(NAME)?.unwrap_or_default()))
    }

    pub(super) fn of_txn(txn: &Txn<'_>) -> Result<Self> {
        Ok(Self(txn.kept(NAME)?.unwrap_or_default()))
    }

    /// The same, if this is the browser that holds it.
    fn held(txn: &Txn<'_>, token: &str, epoch: u64) -> Result<Self> {
        not_ready(txn)?;
        let own = Self::of_txn(txn)?;
        if own.fits(token, (epoch, txn.now())) { Ok(own) } else { Err(closed()) }
    }

    fn fits(&self, token: &str, at: (u64, Moment)) -> bool {
        bound_fits(self.0.text(tag::HOLDER), token, at)
    }

    fn hold(&mut self, token: &str, at: (u64, Moment)) {
        self.0.insert(tag::HOLDER, Value::Text(bound(token, at, limits::SETUP_IDLE_S)));
    }

    /// Accounts of the three, in the order of their roles; empty before they are made.
    pub(super) fn accounts(&self) -> Vec<RecordId> {
        self.0.codes(tag::ACCOUNTS).iter().filter_map(|id| id.parse().ok()).collect()
    }

    fn account(&self, role: &str) -> Result<RecordId> {
        let place = ADMINISTRATORS.iter().position(|r| *r == role);
        let id = place.and_then(|n| self.accounts().get(n).copied());
        id.ok_or_else(|| Error::invalid("三员还没有登记。请先完成第二步。"))
    }

    /// Backups that were begun before this moment count no more: keys or target were set anew.
    fn settle(&mut self, now: Moment) {
        self.0.insert(tag::SETTLED, Value::Int(now.0));
    }

    /// When the first backup was verified, if it was.
    fn verified(&self, state: &State) -> Option<Moment> {
        let settled = self.0.int(tag::SETTLED);
        let good = state.last.as_ref().filter(|l| l.by != By::Command && l.set.is_some() && l.error.is_none());
        good.filter(|l| settled > 0 && l.at >= settled).map(|l| Moment(l.at))
    }
}

/// One of the three, as typed.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Log-in name.
    pub login: String,
}

impl Person {
    fn check(&self, role: &str) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("{}：{what}", ROLES.label(role))));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match () {
            () if self.name.is_empty() => wrong("请填写姓名。"),
            () if self.login.is_empty() => wrong("请填写登录名。"),
            () if !self.login.chars().all(plain) => wrong("登录名只能用小写字母、数字和连字符。"),
            () => Ok(()),
        }
    }

    fn of(record: &Record) -> Self {
        let text = |tag| record.fields.text(tag).to_owned();
        Self { name: text(account::tag::NAME), login: text(account::tag::LOGIN) }
    }
}

/// No two of them can be one person.
fn all_differ(people: &[Person]) -> bool {
    let name = |p: &Person| account::name_key(&p.name);
    let (mut names, mut logins) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    people.iter().all(|p| names.insert(name(p)) && logins.insert(folded(&p.login)))
}

/// A link for one of the three: shown once, to be handed over.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What the person is to be.
    pub role: &'static str,
    /// Who.
    pub person: Person,
    /// The end of the link.
    pub token: String,
    /// When it ends.
    pub until: Moment,
}

/// One of the three, as the wizard shows them.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What the person is to be.
    pub role: &'static str,
    /// Who.
    pub person: Person,
    /// Has a password and a second factor of their own.
    pub active: bool,
    /// When the link that is out ends; `None` when none holds.
    pub until: Option<Moment>,
}

/// What the wizard shows.
pub struct SetupPage {
    /// The table of units as it was saved; empty before that.
    pub units: String,
    /// The three; empty before they are entered, and from then on the units are in the store.
    pub people: Vec<Standing>,
    /// Everything about backups.
    pub backup: BackupPage,
    /// When the first backup was verified.
    pub verified: Option<Moment>,
}

impl SetupPage {
    /// What is left to do, in words; empty when the wizard can end.
    pub fn lacking(&self) -> Vec<String> {
        let mut lacking = Vec::new();
        if self.units.is_empty() {
            lacking.push("第一步：机构还没有保存。".to_owned());
        }
        if self.people.is_empty() {
            lacking.push("第二步：三员还没有登记。".to_owned());
        }
        lacking.extend(self.people.iter().filter(|p| !p.active).map(|p| {
            let (role, name) = (ROLES.label(p.role), &p.person.name);
            format!("第二步：{role}{name}还没有激活（须本人设置口令并启用动态码）。")
        }));
        if self.backup.recipients.is_empty() {
            lacking.push("第三步：备份密钥还没有设置。".to_owned());
        }
        if self.verified.is_none() {
            lacking.push("第三步：首次备份还没有写出并核验。".to_owned());
        }
        lacking
    }
}

/// A password and a second factor of one's own, and nothing that would open the account in another way.
pub(super) fn is_active(account: &Record) -> bool {
    let has = |tag| !account.fields.text(tag).is_empty();
    use account::tag::{ACTIVATION, CREDENTIAL, FACTOR};
    account.state == 1 && has(CREDENTIAL) && has(FACTOR) && !has(ACTIVATION)
}

/// What everybody hears who may not do this, or not any more.
pub fn closed() -> Error {
    Error::new(
        ErrorKind::Denied,
        "初始化链接无效、已过期或已用过。没有完成的初始化可以接着做：请在服务器上运行 jiceng setup-link，打开新的链接。",
    )
}

/// Whoever holds the wizard.
fn doer() -> Doer {
    Doer { account: RecordId(0), unit: RecordId(0), via: "setup".to_owned() }
}

impl App {
    /// The token of the set-up link is right and not too old.
    pub fn setup_link_is_good(&self, token: &str) -> Result<bool> {
        let stored = self.store.read()?.fact_text(fact::SETUP)?;
        Ok(!self.is_ready()? && token_fits(&stored, token, self.now()))
    }

    /// Takes the link, which is void from now on; what the browser that holds the wizard must show.
    pub fn take_setup_link(&self, link: &str) -> Result<String> {
        let token = hex::encode(seal::random::<32>()?);
        let (link, own, epoch) = (link.to_owned(), token.clone(), self.facts().epoch);
        self.store.submit(move |txn| {
            not_ready(txn)?;
            let stored = txn.fact(fact::SETUP)?.unwrap_or_default();
            if !token_fits(&String::from_utf8_lossy(&stored), &link, txn.now()) {
                return Err(closed());
            }
            let mut progress = Progress::of_txn(txn)?;
            progress.hold(&own, (epoch, txn.now()));
            txn.keep(NAME, &progress.0)?;
            txn.set_fact(fact::SETUP, "");
            txn.act(Act::new(doer(), act::SETUP_OPENED));
            Ok(())
        })?;
        Ok(token)
    }

    /// This browser holds the wizard.
    pub fn holds_setup(&self, token: &str) -> Result<bool> {
        let snapshot = self.store.read()?;
        let held = Progress::of(&snapshot)?.fits(token, (self.facts().epoch, self.now()));
        Ok(held && snapshot.fact(fact::READY)?.is_none())
    }

    /// The token that every form of the wizard carries.
    pub fn setup_csrf(&self, token: &str) -> String {
        hex::encode(self.store.mac("setup-form", token.as_bytes()))
    }

    /// Everything the wizard shows to whoever holds it.
    pub fn setup_page(&self, token: &str) -> Result<SetupPage> {
        self.must_hold(token)?;
        let snapshot = self.store.read()?;
        let progress = Progress::of(&snapshot)?;
        let mut people = Vec::new();
        for (role, id) in ADMINISTRATORS.into_iter().zip(progress.accounts()) {
            let record = snapshot.get(id, false)?.ok_or_else(Error::denied)?;
            let until = super::activation::until(&record, (self.facts().epoch, self.now()));
            people.push(Standing { role, person: Person::of(&record), active: is_active(&record), until });
        }
        let backup = self.backup_view(true)?;
        let ready = self.ready_schedule().is_ok();
        let verified = progress.verified(&backup.state).filter(|_| ready);
        Ok(SetupPage { units: progress.0.text(tag::UNITS).to_owned(), people, backup, verified })
    }

    /// Step 1: the table of units, until the three are entered.
    pub fn set_up_units(&self, token: &str, text: &str) -> Result<()> {
        let table = units::read(text);
        let Some(units) = table.units() else { return Err(Error::invalid(table.faults().join(" "))) };
        let text = text.trim().to_owned();
        self.step(token, move |txn, progress| {
            if !progress.accounts().is_empty() {
                return Err(Error::invalid("机构已经建立，没有改动。以后由系统管理员增减和改名。"));
            }
            progress.0.insert(tag::UNITS, Value::Text(text));
            txn.act(Act::new(doer(), act::SETUP_UNITS).note(format!("units {}", units.len())));
            Ok(())
        })
    }

    /// Step 2: enters the units and the three, once; their links.
    pub fn set_up_people(&self, token: &str, people: &[Person; 3]) -> Result<Vec<Invitation>> {
        for (role, person) in ADMINISTRATORS.into_iter().zip(people) {
            person.check(role)?;
        }
        if !all_differ(people) {
            return Err(Error::invalid(SAME));
        }
        let (people, epoch) = (people.clone(), self.facts().epoch);
        let invited: Vec<(&str, Person, String)> = ADMINISTRATORS
            .into_iter()
            .zip(people)
            .map(|(role, person)| Ok((role, person, super::activation::new_token()?)))
            .collect::<Result<_>>()?;
        self.step(token, move |txn, progress| {
            if !progress.accounts().is_empty() {
                return Err(Error::invalid("三员已经登记，没有重复登记。需要更正的在下面更正。"));
            }
            let units = units::read(progress.0.text(tag::UNITS)).units();
            let units = units.ok_or_else(|| Error::invalid("请先完成第一步，保存机构。"))?;
            let at = (epoch, txn.now());
            let ready = invited.iter().zip(units::HOLDERS).map(|((role, person, token), unit)| Ready {
                account: Account {
                    login: person.login.clone(),
                    name: person.name.clone(),
                    unit: unit.to_owned(),
                    roles: vec![(*role).to_owned()],
                    password: String::new(),
                },
                opened: Opened::Link(bound(token, at, limits::ACTIVATION_S)),
            });
            let ready = ready.collect();
            let ids = make(txn, &units, ready)?;
            Policy::first().keep(txn)?;
            let ids = ids.into_iter().map(|id| id.to_string()).collect();
            progress.0.insert(tag::ACCOUNTS, Value::Codes(ids));
            // A backup without these accounts would not be theirs.
            if progress.0.int(tag::SETTLED) > 0 {
                progress.settle(txn.now());
            }
            txn.act(Act::new(doer(), act::SETUP_PEOPLE).note("entered"));
            let until = Moment(txn.now().0 + limits::ACTIVATION_S * 1000);
            let told = |(role, person, token)| Invitation { role, person, token, until };
            Ok(invited.into_iter().map(told).collect())
        })
    }

    /// A new link for one of the three, who may be somebody else from now on; the link before it is void. Whoever is
    /// active already stays as they are.
    pub fn invite_again(&self, token: &str, role: &str, other: Option<Person>) -> Result<Invitation> {
        let role = ADMINISTRATORS.into_iter().find(|r| *r == role).ok_or_else(Error::denied)?;
        other.iter().try_for_each(|person| person.check(role))?;
        let (link, epoch) = (super::activation::new_token()?, self.facts().epoch);
        self.step(token, move |txn, progress| {
            let id = progress.account(role)?;
            let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
            if is_active(&record) {
                return Err(Error::invalid("这名管理员已经激活，没有改动。换人须在初始化完成后按规定办理。"));
            }
            if let Some(person) = &other {
                record.fields.insert(account::tag::NAME, Value::Text(person.name.clone()));
                record.fields.insert(account::tag::LOGIN, Value::Text(person.login.clone()));
                well_formed(&record.fields)?;
            }
            let mut all = vec![Person::of(&record)];
            for id in progress.accounts().into_iter().filter(|other| *other != id) {
                all.push(Person::of(&txn.get(id)?.ok_or_else(Error::denied)?));
            }
            if !all_differ(&all) {
                return Err(Error::invalid(SAME));
            }
            let opens = bound(&link, (epoch, txn.now()), limits::ACTIVATION_S);
            record.fields.insert(account::tag::ACTIVATION, Value::Text(opens));
            record.version += 1;
            record.updated = txn.now();
            let until = Moment(txn.now().0 + limits::ACTIVATION_S * 1000);
            let person = Person::of(&record);
            let what = if other.is_some() { "corrected" } else { "new link" };
            txn.act(Act::new(doer(), act::SETUP_PEOPLE).note(format!("{what} {role}")));
            txn.update_at_rest(record)?;
            Ok(Invitation { role, person, token: link, until })
        })
    }

    /// Step 3: who can open backups. Nobody replaces them in this way once the wizard is over.
    pub fn set_up_recipients(&self, token: &str, typed: &str) -> Result<()> {
        self.must_hold(token)?;
        let holders = checked(typed)?;
        self.not_while_busy()?;
        self.step(token, move |txn, progress| {
            progress.settle(txn.now());
            txn.set_fact(fact::RECIPIENTS, stored(&holders));
            txn.act(Act::new(doer(), act::RECIPIENTS).note(prints(&holders)));
            Ok(())
        })
    }

    /// Step 3: where backups go, and when.
    pub fn set_up_target(&self, token: &str, typed: &Typed) -> Result<(), ScheduleError> {
        self.must_hold(token)?;
        self.not_while_busy()?;
        let (schedule, note) = self.read_schedule(typed)?;
        Ok(self.step(token, move |txn, progress| {
            progress.settle(txn.now());
            txn.set_fact(fact::BACKUP_SCHEDULE, schedule.encode());
            txn.act(Act::new(doer(), act::BACKUP_SCHEDULE).note(note));
            Ok(())
        })?)
    }

    /// Step 3: begins the first backup; the server's thread carries it out.
    pub fn set_up_backup(&self, token: &str) -> Result<()> {
        self.must_hold(token)?;
        self.recipients(&[])?;
        self.ready_schedule()?;
        self.not_while_busy()?;
        self.step(token, |txn, progress| {
            if progress.accounts().is_empty() {
                return Err(Error::invalid("请先完成第二步：首次备份要包括机构和三员。"));
            }
            begin(txn, doer(), (None, By::Page))
        })?;
        self.want_backup(doer());
        Ok(())
    }

    /// Ends the wizard for good. A backup with everything in it follows at once.
    pub fn finish_setup(&self, token: &str) -> Result<()> {
        let (token, epoch) = (token.to_owned(), self.facts().epoch);
        self.store.submit(move |txn| {
            let progress = Progress::held(txn, &token, epoch)?;
            may_end(txn, &progress, epoch)?;
            txn.set_fact(fact::READY, "1");
            txn.set_fact(fact::SETUP, "");
            txn.forget(NAME);
            txn.act(Act::new(doer(), act::SETUP_DONE));
            Ok(())
        })?;
        if !self.backup_busy() {
            // It is done in any case: the schedule comes to the same.
            match self.store.submit(|txn| begin(txn, doer(), (None, By::Page))) {
                Ok(()) => self.want_backup(doer()),
                Err(e) => tracing::warn!(detail = e.detail(), "the backup after the set-up was not begun"),
            }
        }
        Ok(())
    }

    fn must_hold(&self, token: &str) -> Result<()> {
        if self.holds_setup(token)? { Ok(()) } else { Err(closed()) }
    }

    fn not_while_busy(&self) -> Result<()> {
        if self.backup_busy() {
            return Err(Error::new(ErrorKind::Busy, "备份正在进行，没有改动。请等它结束后再试。"));
        }
        Ok(())
    }

    fn want_backup(&self, doer: Doer) {
        lock(&self.runner.inner).wanted = Some(doer);
        self.runner.woken.notify_all();
    }

    /// One step of whoever holds the wizard, which holds a while longer for it.
    fn step<T: Send + 'static>(
        &self,
        token: &str,
        work: impl FnOnce(&mut Txn<'_>, &mut Progress) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (token, epoch) = (token.to_owned(), self.facts().epoch);
        self.store.submit(move |txn| {
            let mut progress = Progress::held(txn, &token, epoch)?;
            let done = work(txn, &mut progress)?;
            progress.hold(&token, (epoch, txn.now()));
            txn.keep(NAME, &progress.0)?;
            Ok(done)
        })
    }
}

/// Three active administrators who are three persons, keys, and a backup that was verified with them.
fn may_end(txn: &Txn<'_>, progress: &Progress, epoch: u64) -> Result<()> {
    let mut people = Vec::new();
    for (role, id) in ADMINISTRATORS.into_iter().zip(progress.accounts()) {
        let record = txn.get(id)?.ok_or_else(Error::denied)?;
        if !is_active(&record) || record.fields.codes(account::tag::ROLES) != [role] {
            let (role, name) = (ROLES.label(role), record.fields.text(account::tag::NAME));
            return Err(Error::invalid(format!("{role}{name}还没有激活，不能完成初始化。")));
        }
        people.push(Person::of(&record));
    }
    if people.len() != ADMINISTRATORS.len() || !all_differ(&people) {
        return Err(Error::invalid(SAME));
    }
    let text = |name| Ok::<_, Error>(String::from_utf8_lossy(&txn.fact(name)?.unwrap_or_default()).into_owned());
    let schedule = Schedule::decode(&text(fact::BACKUP_SCHEDULE)?).filter(|s| s.epoch == epoch);
    let verified = schedule.is_some() && progress.verified(&state_in(txn)?).is_some();
    if !verified || text(fact::RECIPIENTS)?.is_empty() {
        return Err(Error::invalid("首次备份还没有写出并核验，不能完成初始化。"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
