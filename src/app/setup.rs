//! The first contents of a store: units, accounts, recipients — from an answers file, from the set-up wizard behind its
//! one-time link ([`wizard`]), or for a demo county. It works once; afterwards units and accounts are the
//! administrators' business.

use serde::Deserialize;

use super::login::{account_fields, folded};
use super::password::{check_rules, hash};
use super::policy::Policy;
use super::{App, access::local_doer};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::records::{Author, Fields, Value, account, act, decide, field, org};
use crate::store::{Act, Store, Txn, fact, seal};

pub mod activation;
pub mod units;
pub mod wizard;

/// Offices of the commission that the regulation names (第五条至第七条、第十四条).
pub const OFFICES: [&str; 8] = [
    "办公室",
    "宣传部",
    "调研法规室",
    "信访室",
    "案件监督管理室",
    "案件审理室",
    "党风政风监督室",
    "信息技术保障室",
];

/// Answers to the set-up questions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Units; the offices of the regulation when none is given.
    #[serde(default)]
    pub unit: Vec<Unit>,
    /// Accounts; the three administrators must be among them.
    #[serde(default)]
    pub account: Vec<Account>,
    /// Backup recipients, `age1…`.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// A unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Full name.
    pub name: String,
    /// `office`, `stationed` or `township`.
    pub kind: String,
    /// Short name; may be empty.
    #[serde(default)]
    pub short: String,
}

/// An account with its first password, which its owner must change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Log-in name.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// Name of the unit.
    pub unit: String,
    /// Codes of roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// First password.
    pub password: String,
}

/// An account on its way into the store.
pub(super) struct Ready {
    pub(super) account: Account,
    pub(super) opened: Opened,
}

/// What opens an account for the first time.
pub(super) enum Opened {
    /// A password, hashed already, and whether its owner must change it.
    Password(String, bool),
    /// A link at which its owner makes a password, as the account stores it.
    Link(String),
}

impl Answers {
    /// Reads an answers file.
    pub fn read(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| Error::usage(format!("答案文件有误：{}", e.message())))
    }

    /// The offices of the regulation, as a starting point.
    pub fn offices() -> Vec<Unit> {
        let office = |name: &&str| Unit { name: (*name).to_owned(), kind: "office".to_owned(), ..Unit::default() };
        OFFICES.iter().map(office).collect()
    }

    fn check(&self) -> Result<()> {
        for role in account::ADMINISTRATORS {
            let holders = self.account.iter().filter(|a| a.roles.iter().any(|r| r == role)).count();
            if holders != 1 {
                let label = account::ROLES.label(role);
                return Err(Error::invalid(format!("{label}必须正好一人，现为 {holders} 人。")));
            }
        }
        for account in &self.account {
            check_rules(&account.login, &account.password)
                .map_err(|e| Error::new(e.kind(), format!("账户 {}：{}", account.login, e.public())))?;
        }
        let mut names: Vec<&str> = self.account.iter().map(|a| a.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::invalid("三名管理员必须是三个不同的人。"));
        }
        Ok(())
    }
}

/// Makes the link's token, good for a while; only its hash is stored.
pub fn new_setup_token(store: &Store) -> Result<String> {
    let token = hex::encode(seal::random::<16>()?);
    let digest = digest(&token);
    store.submit(move |txn| {
        if txn.fact(fact::READY)?.is_some() {
            return Err(Error::new(ErrorKind::Denied, "系统已经初始化，不能再生成初始化链接。"));
        }
        let expires = txn.now().0 + limits::SETUP_LINK_S * 1000;
        txn.set_fact(fact::SETUP, format!("{expires} {digest}"));
        txn.act(Act::new(local_doer(), act::SETUP_LINK));
        Ok(())
    })?;
    Ok(token)
}

impl App {
    /// The store has its administrators.
    pub fn is_ready(&self) -> Result<bool> {
        Ok(self.store.read()?.fact(fact::READY)?.is_some())
    }

    /// A new set-up link's token.
    pub fn new_setup_link(&self) -> Result<String> {
        new_setup_token(&self.store)
    }
}

/// Does the set-up of a store by answers, once.
pub fn set_up(store: &Store, answers: Answers) -> Result<()> {
    answers.check()?;
    crate::app::recipients::check(&answers.recipients)?;
    let ready = answers.account.into_iter().map(|account| {
        let opened = Opened::Password(hash(&account.password)?, true);
        Ok(Ready { account, opened })
    });
    let ready = ready.collect::<Result<Vec<_>>>()?;
    let units = if answers.unit.is_empty() { Answers::offices() } else { answers.unit };
    store.submit(move |txn| {
        fill(txn, &units, ready)?;
        Policy::first().keep(txn)?;
        if !answers.recipients.is_empty() {
            txn.set_fact(fact::RECIPIENTS, answers.recipients.join("\n"));
        }
        Ok(())
    })
}

/// Units and accounts in one transaction, after which the store is ready; refuses one that is.
pub(super) fn fill(txn: &mut Txn<'_>, units: &[Unit], accounts: Vec<Ready>) -> Result<()> {
    not_ready(txn)?;
    make(txn, units, accounts)?;
    txn.set_fact(fact::READY, "1");
    txn.set_fact(fact::SETUP, "");
    txn.act(Act::new(local_doer(), act::INIT));
    Ok(())
}

/// What is done once is not done again.
fn not_ready(txn: &Txn<'_>) -> Result<()> {
    match txn.fact(fact::READY)? {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Denied, "系统已经初始化，不能重复初始化。")),
    }
}

/// Enters units and accounts; ids of the accounts.
fn make(txn: &mut Txn<'_>, units: &[Unit], accounts: Vec<Ready>) -> Result<Vec<RecordId>> {
    let author = Author { account: RecordId(0), unit: RecordId(0) };
    let mut ids: Vec<(String, RecordId)> = Vec::new();
    for (order, unit) in (1..).zip(units) {
        let kind = org::KINDS.code(&unit.kind);
        let kind = kind.ok_or_else(|| Error::invalid(format!("机构“{}”的类别不认识。", unit.name)))?;
        if unit.name.trim().is_empty() || ids.iter().any(|(n, _)| *n == unit.name) {
            return Err(Error::invalid(format!("机构名称“{}”为空或重复。", unit.name)));
        }
        let mut fields = Fields::default()
            .with_text(org::tag::NAME, unit.name.as_str())
            .with_text(org::tag::KIND, kind)
            .with(org::tag::ORDER, Value::Int(order * 10));
        if !unit.short.is_empty() {
            fields = fields.with_text(org::tag::SHORT, unit.short.as_str());
        }
        let record = decide::create(&org::KIND, fields, author, txn.now()).map_err(refused)?;
        ids.push((unit.name.clone(), txn.create(record)?));
    }
    let mut logins = std::collections::HashSet::new();
    let mut made = Vec::new();
    for Ready { account, opened } in accounts {
        let unit = ids.iter().find(|(n, _)| *n == account.unit).map(|(_, id)| *id);
        let unit = unit.ok_or_else(|| Error::invalid(format!("账户 {} 的机构不存在。", account.login)))?;
        if !logins.insert(folded(&account.login)) {
            return Err(Error::invalid(format!("登录名 {} 重复。", account.login)));
        }
        let fields = account_fields(&account.login, &account.name, unit, &account.roles)
            .with(account::tag::SINCE, Value::Day(txn.now().day()));
        let fields = match opened {
            Opened::Password(credential, must_change) => fields
                .with_text(account::tag::CREDENTIAL, credential)
                .with(account::tag::PASSWORD_SINCE, Value::Int(txn.now().0))
                .with(account::tag::MUST_CHANGE, Value::Flag(must_change)),
            Opened::Link(link) => fields.with_text(account::tag::ACTIVATION, link),
        };
        well_formed(&fields)?;
        let record = decide::create(&account::KIND, fields, author, txn.now()).map_err(refused)?;
        made.push(txn.create(record)?);
    }
    Ok(made)
}

/// The page for accounts would take it.
fn well_formed(account: &Fields) -> Result<()> {
    let typed = field::to_raw(account::KIND.fields, account);
    let (_, mut problems) = field::parse(account::KIND.fields, &typed);
    problems.extend((account::KIND.check)(account));
    if problems.is_empty() { Ok(()) } else { Err(refused(decide::Refusal::Problems(problems))) }
}

pub(super) fn refused(refusal: decide::Refusal) -> Error {
    match refusal {
        decide::Refusal::Problems(problems) => {
            let all: Vec<String> = problems.into_iter().map(|(_, message)| message).collect();
            Error::invalid(all.join(" "))
        }
        other => Error::internal(format!("{other:?}")),
    }
}

fn digest(token: &str) -> String {
    hex::encode(seal::sha256(&[token.as_bytes()]))
}

/// A token is the one that is stored as `expiry digest`, and not too old.
fn token_fits(stored: &str, token: &str, now: Moment) -> bool {
    let Some((expires, stored)) = stored.split_once(' ') else { return false };
    let fresh = expires.parse::<i64>().is_ok_and(|t| now.0 < t);
    fresh && aws_lc_rs::constant_time::verify_slices_are_equal(digest(token).as_bytes(), stored.as_bytes()).is_ok()
}

/// The same of what is stored as `epoch expiry digest`: a restored or promoted store knows it no more.
fn bound_fits(stored: &str, token: &str, (epoch, now): (u64, Moment)) -> bool {
    let Some((of, rest)) = stored.split_once(' ') else { return false };
    of == epoch.to_string() && token_fits(rest, token, now)
}

/// What is stored of a token that holds for so many seconds.
fn bound(token: &str, (epoch, now): (u64, Moment), seconds: i64) -> String {
    format!("{epoch} {} {}", now.0 + seconds * 1000, digest(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;

    /// Whoever had kept the link of an earlier hour could set up the county that was restored from a backup of
    /// that hour.
    #[test]
    fn a_set_up_link_does_not_outlive_a_restore() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("d");
        let clock = std::sync::Arc::new(SystemClock);
        let store =
            Store::create(&at, &crate::store::free_key_path(&at), "甲乙县", false, clock.clone()).unwrap();
        let token = new_setup_token(&store).unwrap();
        let app = App::with_store(store.clone()).unwrap();
        assert!(app.setup_link_is_good(&token).unwrap());
        let act = Act::new(local_doer(), act::RESTORE);
        crate::store::raise_epoch(&store, act, String::new(), (Vec::new(), 0)).unwrap();
        assert!(!app.setup_link_is_good(&token).unwrap());
        drop((app, store));
        let app = App::open(&at, clock).unwrap();
        assert!(!app.setup_link_is_good(&token).unwrap());
        let newer = app.new_setup_link().unwrap();
        assert!(app.setup_link_is_good(&newer).unwrap() && !app.is_ready().unwrap());
    }
}
