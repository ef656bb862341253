//! What accounts may do, laid open: for the security administrator before it is saved (预览), and for all of them at
//! intervals (权限复核). Nothing here shows content; what is shown is what the deciding functions say.

use std::collections::BTreeMap;

use super::names::all;
use super::record::live;
use super::{Actor, App, Right, Scope, charter};
use crate::base::{Day, Error, Moment, RecordId, Result, Seq, limits};
use crate::records::account::{self, extra, tag, temporary};
use crate::records::field::{self, Raw};
use crate::records::charter::Scopes;
use crate::records::label::Label;
use crate::records::{self, Fields, Kind, Record, Value, act, grant};
use crate::store::{Act, Snapshot};

const DAY_MS: i64 = 24 * 3_600_000;

/// How far each right reaches for one kind.
pub struct Reach {
    /// The kind.
    pub kind: &'static Kind,
    /// Scopes in the order of [`Right::ALL`].
    pub scopes: Scopes,
}

/// What an account with the roles typed would see and do.
pub struct Preview {
    /// By kind; kinds of which it would see nothing are left out.
    pub reach: Vec<Reach>,
    /// The highest label it would see.
    pub clearance: Label,
}

/// One account in the list of reviews.
pub struct Line {
    /// The account.
    pub account: Record,
    /// Its roles today, those given for a time with their last day.
    pub roles: Vec<(&'static str, Option<Day>)>,
    /// Single rights besides them, those given for a time with their last day.
    pub extras: Vec<(String, Option<Day>)>,
    /// Kinds that it sees, and how far.
    pub sees: Vec<(&'static Kind, Scope)>,
    /// The highest label it sees.
    pub clearance: Label,
    /// Its last log-in, where the newest part of the journal has one.
    pub login: Option<Moment>,
    /// When it was last looked at, and by whom.
    pub reviewed: Option<(Moment, RecordId)>,
    /// That is too long ago.
    pub late: bool,
    /// The actor may say that it is right.
    pub may_mark: bool,
}

/// A role that ends soon, or an account.
pub struct Ending {
    /// The account.
    pub account: RecordId,
    /// The role in words, or that it is the account.
    pub role: &'static str,
    /// Its last day.
    pub until: Day,
    /// Why it was given.
    pub reason: String,
}

/// How many things wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Accounts that nobody looked at for too long.
    pub late: usize,
    /// Temporary roles and accounts that end soon.
    pub ending: usize,
}

impl App {
    /// What somebody will see with the roles typed and not yet saved.
    pub fn preview(&self, actor: &Actor, id: RecordId, raw: &Raw) -> Result<Preview> {
        let kind = &account::KIND;
        let existing = self.visible(&self.store.read()?, actor, kind, id)?;
        if !actor.is("secadmin") {
            return Err(self.refused(actor, kind, id));
        }
        let typed = field::parse(kind.fields, raw).0;
        let rights = |tag: &u16| account::OF_RIGHTS.contains(tag);
        let kept = existing.fields.iter().filter(|(tag, _)| !rights(tag));
        let fields: Fields = kept.chain(typed.iter().filter(|(tag, _)| rights(tag))).collect();
        let clearance = account::clearance(&fields);
        let person = Actor::at(&Record { fields, ..existing }, "preview", self.now(), &self.charter()?);
        Ok(Preview { reach: reach(&person), clearance })
    }

    /// Every account in use, those that nobody looked at for longest first, and the roles that end soon.
    pub fn reviews(&self, actor: &Actor) -> Result<(Vec<Line>, Vec<Ending>)> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let snapshot = self.store.read()?;
        let (logins, charter) = (logins(&snapshot)?, charter::of(&snapshot)?);
        let accounts = in_use(&snapshot, self.now())?;
        let today = self.now().day();
        let line = |account: &Record| {
            let person = Actor::at(account, "review", self.now(), &charter);
            let last = |role: &str| {
                let rows = account.fields.rows(tag::TEMPORARY).iter();
                let until = rows.filter(|row| row.text(temporary::ROLE) == role && account::lasts(row, today));
                let held = account.fields.codes(tag::ROLES).iter().any(|r| r == role);
                until.map(|row| row.day(temporary::UNTIL)).max().filter(|_| !held)
            };
            Line {
                roles: person.roles.iter().map(|r| (word(r), last(r))).collect(),
                extras: extras(&account.fields, today),
                sees: reach(&person).iter().map(|r| (r.kind, r.scopes[0])).collect(),
                clearance: account::clearance(&account.fields),
                login: logins.get(&account.id).copied(),
                reviewed: reviewed(account),
                late: is_late(account, self.now()),
                may_mark: may_mark(actor, account),
                account: account.clone(),
            }
        };
        let mut lines: Vec<Line> = accounts.iter().map(line).collect();
        lines.sort_by_key(|l| (l.reviewed.map(|r| r.0), l.account.id));
        let seen = accounts.iter().map(|a| (a.id, a.kind, a.version));
        let act = Act::new(actor.doer(), act::LIST).note(account::KIND.name).read(seen);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        Ok((lines, ending(&accounts, self.now())))
    }

    /// What the account may do was looked at and is right: said by the security administrator, of that one by the
    /// auditor.
    pub fn mark_reviewed(&self, actor: &Actor, id: RecordId) -> Result<()> {
        let existing = self.visible(&self.store.read()?, actor, &account::KIND, id)?;
        if !may_mark(actor, &existing) {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let record = txn.get(id)?.filter(|r| r.kind == account::KIND.tag && r.state == 1);
            let mut record = record.ok_or_else(Error::denied)?;
            if !may_mark(&live(txn, &actor)?, &record) {
                return Err(Error::denied());
            }
            txn.act(Act::new(actor.doer(), act::REVIEWED));
            record.version += 1;
            record.updated = txn.now();
            record.fields.insert(tag::REVIEWED, Value::Int(txn.now().0));
            record.fields.insert(tag::REVIEWED_BY, Value::Link(actor.account));
            txn.update(record)
        })
    }

    /// How many reviews are late, and how many roles end soon.
    pub fn review_due(&self) -> Result<Due> {
        let accounts = in_use(&self.store.read()?, self.now())?;
        let late = accounts.iter().filter(|a| is_late(a, self.now())).count();
        Ok(Due { late, ending: ending(&accounts, self.now()).len() })
    }
}

/// How far the rights of an actor reach, by kind, as far as it sees anything.
fn reach(actor: &Actor) -> Vec<Reach> {
    let of = |kind: &'static Kind| {
        let scopes = Right::ALL.map(|right| match right {
            // Who does not see a record opens no identity in it.
            Right::Identity => actor.scope(kind, right).min(actor.scope(kind, Right::See)),
            _ => actor.scope(kind, right),
        });
        Reach { kind, scopes }
    };
    let all = records::ALL.iter().copied().map(of);
    all.filter(|r| r.scopes.iter().any(|s| *s > Scope::Nothing)).collect()
}

/// Single rights of an account that hold on a day, in words.
fn extras(fields: &Fields, day: Day) -> Vec<(String, Option<Day>)> {
    let words = |row: &Fields| {
        let (module, action) = ((&grant::MODULES, extra::MODULE), (&grant::ACTIONS, extra::ACTION));
        let parts = [module, action, (&grant::SCOPES, extra::SCOPE)];
        let words = parts.map(|(dict, tag)| dict.label(row.text(tag)).to_owned()).join("·");
        (words, Some(row.day(extra::UNTIL)).filter(|day| day.is_full()))
    };
    fields.rows(tag::EXTRA).iter().filter(|row| account::extra_lasts(row, day)).map(words).collect()
}

fn word(role: &str) -> &'static str {
    account::ROLES.entries.iter().find(|e| e.code == role).map_or("未知角色", |e| e.label)
}

/// Accounts in use that may do something today.
fn in_use(snapshot: &Snapshot, now: Moment) -> Result<Vec<Record>> {
    let mut accounts = all(snapshot, &account::KIND)?;
    let (today, nothing) = (now.day(), |a: &Record, day| account::extras_on(&a.fields, day).is_empty());
    accounts.retain(|a| {
        a.state == 1 && !(account::roles_on(&a.fields, today).is_empty() && nothing(a, today))
    });
    Ok(accounts)
}

fn reviewed(account: &Record) -> Option<(Moment, RecordId)> {
    let at = account.fields.get(tag::REVIEWED).map(|_| Moment(account.fields.int(tag::REVIEWED)))?;
    Some((at, account.fields.link(tag::REVIEWED_BY).unwrap_or(RecordId(0))))
}

/// Nobody looked at it for too long, since it was made or since somebody last did.
fn is_late(account: &Record, now: Moment) -> bool {
    let since = reviewed(account).map_or(account.created, |r| r.0);
    now.0 - since.0 > limits::REVIEW_DAYS * DAY_MS
}

/// Nobody says of an own account that it is right.
fn may_mark(actor: &Actor, account: &Record) -> bool {
    let theirs = account.fields.codes(tag::ROLES).iter().any(|r| r == "secadmin");
    actor.account != account.id && actor.is(if theirs { "auditor" } else { "secadmin" })
}

/// Temporary roles that hold today and end soon, and accounts that do, the first to end first.
fn ending(accounts: &[Record], now: Moment) -> Vec<Ending> {
    let (today, soon) = (now.day(), Moment(now.0 + limits::ENDING_DAYS * DAY_MS).day());
    let ends = |row: &&Fields| account::lasts(row, today) && row.day(temporary::UNTIL) <= soon;
    let of = |a: &Record| -> Vec<Ending> {
        let rows = a.fields.rows(tag::TEMPORARY).iter().filter(ends);
        let ending = |row: &Fields| Ending {
            account: a.id,
            role: word(row.text(temporary::ROLE)),
            until: row.day(temporary::UNTIL),
            reason: row.text(temporary::REASON).to_owned(),
        };
        let extra = |row: &&Fields| {
            let until = row.day(extra::UNTIL);
            until.is_full() && account::extra_lasts(row, today) && until <= soon
        };
        let extras = a.fields.rows(tag::EXTRA).iter().filter(extra).map(|row| Ending {
            account: a.id,
            role: "另行授权",
            until: row.day(extra::UNTIL),
            reason: row.text(extra::REASON).to_owned(),
        });
        let own = Some(a.fields.day(tag::EXPIRES)).filter(|last| last.is_full() && *last <= soon);
        let own = own.map(|until| Ending { account: a.id, role: "账户有效期", until, reason: String::new() });
        rows.map(ending).chain(extras).chain(own).collect()
    };
    let mut all: Vec<Ending> = accounts.iter().flat_map(of).collect();
    all.sort_by_key(|e| (e.until, e.account));
    all
}

/// The last log-in of each account in the newest part of the journal.
fn logins(snapshot: &Snapshot) -> Result<BTreeMap<RecordId, Moment>> {
    let from = snapshot.head()?.seq.0.saturating_sub(limits::LOGINS_LOOKED_AT);
    let mut logins = BTreeMap::new();
    for entry in snapshot.journal_after(Seq(from))? {
        let header = entry?.header;
        if act::is_login(header.action) && header.done {
            logins.insert(header.doer.account, header.at);
        }
    }
    Ok(logins)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::change::{SaveError, Typed};
    use crate::app::charter::Change;
    use crate::app::demo;
    use crate::base::{ErrorKind, clock::ManualClock};
    use crate::records::petition;

    /// 2026-09-21 in the morning, in Beijing.
    const NOW: i64 = 1_790_000_000_000;

    struct House {
        _home: tempfile::TempDir,
        clock: Arc<ManualClock>,
        app: Arc<App>,
    }

    impl House {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(Moment(NOW)));
            let own = Arc::clone(&clock);
            let app = demo::create(&home.path().join("d"), own, true).unwrap();
            Self { _home: home, clock, app }
        }

        fn actor(&self, login: &str) -> Actor {
            self.app.demo_actor(login).unwrap()
        }

        fn day(&self, days: i64) -> String {
            Moment(self.app.now().0 + days * DAY_MS).day().to_string()
        }

        /// The security administrator gives an account a role for some days.
        fn lend(&self, login: &str, role: &str, days: i64) -> Result<RecordId, SaveError> {
            let (admin, id) = (self.actor("secadmin"), self.actor(login).account);
            let record = self.app.for_edit(&admin, &account::KIND, id).unwrap();
            let mut raw = field::to_raw(account::KIND.fields, &record.fields);
            let until = self.day(days);
            for (name, text) in [("role", role), ("until", &until), ("reason", "代理")] {
                raw.push((format!("temporary.0.{name}"), text.to_owned()));
            }
            self.app.amend(&admin, &account::KIND, (id, record.version), Typed { raw, ..Typed::default() })
        }

        fn register(&self, actor: &Actor) -> Result<RecordId, SaveError> {
            let raw = field::to_raw(petition::KIND.fields, &(petition::KIND.sample)(1));
            self.app.create(actor, &petition::KIND, Typed { raw, ..Typed::default() })
        }
    }

    /// ASVS 15.4.2
    #[test]
    fn a_role_for_a_time_ends_by_itself_at_midnight_also_for_a_form_on_its_way() {
        let house = House::new();
        assert!(matches!(house.lend("fagui", "sysadmin", 2), Err(SaveError::Problems(_))));
        house.lend("fagui", "handler", 2).unwrap();
        let reach = |house: &House| house.actor("fagui").scope(&petition::KIND, Right::Create);
        assert_eq!(reach(&house), Scope::Own);
        house.register(&house.actor("fagui")).unwrap();
        let begun = house.actor("fagui");
        let midnight = Moment(NOW + 3 * DAY_MS).midnight();
        house.clock.set(Moment(midnight.0 - 1));
        assert_eq!(reach(&house), Scope::Own);
        house.clock.set(midnight);
        assert_eq!(reach(&house), Scope::Nothing);
        let late = house.register(&begun);
        assert!(matches!(late, Err(SaveError::Failed(e)) if e.kind() == ErrorKind::Denied));
        // What was for good stays.
        assert!(house.actor("fagui").is("law-office"));
    }

    #[test]
    fn what_a_role_may_not_do_any_more_is_refused_to_a_command_that_was_begun_before() {
        let house = House::new();
        let begun = house.actor("bangong");
        house.register(&begun).unwrap();
        let mut scopes = house.app.charter().unwrap().scopes("handler", &petition::KIND);
        scopes[1] = Scope::Nothing;
        let change = || Change::Role("handler".into(), vec![(&petition::KIND, scopes)]);
        for other in ["sysadmin", "auditor", "bangong"] {
            assert!(house.app.set_charter(&house.actor(other), change()).is_err(), "{other}");
        }
        house.register(&begun).unwrap();
        house.app.set_charter(&house.actor("secadmin"), change()).unwrap();
        assert!(matches!(house.register(&begun), Err(SaveError::Failed(e)) if e.kind() == ErrorKind::Denied));
    }

    #[test]
    fn roles_that_end_within_fourteen_days_are_listed_and_reviews_come_due_after_ninety() {
        let house = House::new();
        house.lend("fagui", "handler", 14).unwrap();
        house.lend("bangong", "approver", 15).unwrap();
        assert_eq!(house.app.review_due().unwrap(), Due { late: 0, ending: 1 });
        let (lines, ending) = house.app.reviews(&house.actor("secadmin")).unwrap();
        assert_eq!((ending.len(), ending[0].role, ending[0].reason.as_str()), (1, "经办人", "代理"));
        let line = lines.iter().find(|l| l.account.id == house.actor("fagui").account).unwrap();
        assert_eq!(line.roles.iter().filter(|r| r.1.is_some()).count(), 1);
        assert!(house.app.reviews(&house.actor("xinfang")).is_err());

        house.clock.set(Moment(NOW + limits::REVIEW_DAYS * DAY_MS));
        assert_eq!(house.app.review_due().unwrap().late, 0);
        house.clock.set(Moment(NOW + limits::REVIEW_DAYS * DAY_MS + 1));
        let all = house.app.review_due().unwrap().late;
        assert_eq!(all, lines.len());
        let doctor = |house: &House| {
            let found = house.app.doctor(false).unwrap();
            found.into_iter().find(|f| f.name == "权限复核").unwrap().text
        };
        assert!(doctor(&house).contains(&format!("{all} 个账户")));
        let mark = |by: &str, of: &str| house.app.mark_reviewed(&house.actor(by), house.actor(of).account);
        mark("secadmin", "fagui").unwrap();
        assert_eq!(house.app.review_due().unwrap().late, all - 1);
        let own = [("secadmin", "secadmin"), ("auditor", "auditor")];
        for (by, of) in own.into_iter().chain([("sysadmin", "xinfang"), ("auditor", "xinfang"), ("xinfang", "fagui")]) {
            assert!(mark(by, of).is_err(), "{by} says that {of} is right");
        }
        mark("auditor", "secadmin").unwrap();
        assert_eq!(house.app.review_due().unwrap().late, all - 2);
    }

    /// Neither the log-in nor what was begun before goes on.
    #[test]
    fn an_account_ends_by_itself_and_an_administrators_never() {
        let house = House::new();
        let (admin, last) = (house.actor("sysadmin"), house.day(2));
        let end = |login: &str| {
            let id = house.actor(login).account;
            let record = house.app.for_edit(&admin, &account::KIND, id).unwrap();
            let mut raw = field::to_raw(account::KIND.fields, &record.fields);
            raw.push(("expires".to_owned(), last.clone()));
            house.app.amend(&admin, &account::KIND, (id, record.version), Typed { raw, ..Typed::default() })
        };
        assert!(matches!(end("auditor"), Err(SaveError::Problems(p)) if p[0].0 == "expires"));
        let begun = house.actor("bangong");
        end("bangong").unwrap();
        let (_, ending) = house.app.reviews(&house.actor("secadmin")).unwrap();
        assert_eq!((ending.len(), ending[0].account, ending[0].until.to_string()), (1, begun.account, last.clone()));
        let found = |house: &House| house.app.find_account("bangong").unwrap().is_some();
        let midnight = Moment(NOW + 3 * DAY_MS).midnight();
        house.clock.set(Moment(midnight.0 - 1));
        assert!(found(&house) && house.register(&begun).is_ok());
        house.clock.set(midnight);
        let late = house.register(&begun);
        assert!(matches!(late, Err(SaveError::Failed(e)) if e.kind() == ErrorKind::Denied));
        assert!(!found(&house));
    }

    /// A preview that said less than what is then reached would be worse than none.
    #[test]
    fn the_preview_says_for_every_role_what_the_deciding_functions_say() {
        let house = House::new();
        let (admin, id) = (house.actor("secadmin"), house.actor("bangong").account);
        for role in account::ROLES.entries {
            let raw = [("roles", role.code), ("clearance", "internal")];
            let raw = raw.map(|(name, code)| (name.to_owned(), code.to_owned())).to_vec();
            let preview = house.app.preview(&admin, id, &raw).unwrap();
            let person = Actor { roles: vec![role.code.to_owned()], ..house.actor("bangong") };
            for kind in records::ALL {
                let told = preview.reach.iter().find(|r| r.kind.tag == kind.tag);
                for (n, right) in Right::ALL.iter().enumerate().filter(|(_, r)| **r != Right::Identity) {
                    let scope = told.map_or(Scope::Nothing, |r| r.scopes[n]);
                    assert_eq!(scope, person.scope(kind, *right), "{} {} {right:?}", role.code, kind.name);
                }
            }
            let admin = account::ADMINISTRATORS.contains(&role.code);
            assert_eq!(preview.clearance, if admin { Label::Core } else { Label::Internal });
        }
        // Nothing was saved, and nobody else looks.
        assert!(house.actor("bangong").is("handler"));
        for other in ["sysadmin", "auditor", "xinfang"] {
            assert!(house.app.preview(&house.actor(other), id, &Raw::new()).is_err(), "{other}");
        }
    }
}
