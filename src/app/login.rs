//! Passwords and log-in (管理办法 第十五条): at least ten characters with letters, digits and specials; Argon2id; the same
//! answer for unknown names and wrong passwords; pauses per account and address, never per address alone.

use std::collections::HashMap;
use std::sync::Mutex;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use super::waiting::Room;
use super::{Actor, App, Right, Scope, lock, record};
use crate::base::{Error, ErrorKind, Moment, RecordId, Result, limits};
use crate::records::{Fields, Record, Value, account, act};
use crate::store::{Act, Doer, seal};

const WRONG: &str = "登录名或口令不正确。请检查后重试；忘记口令请联系系统管理员。";
const FIRST: &str = "这个账户还在用他人发放的口令，不能用于命令行。请先用浏览器登录，设置自己的口令，再运行本命令。";

/// Failures of the recent past, and a bound on checks under way.
#[derive(Default)]
pub struct Throttle {
    failures: Mutex<HashMap<[u8; 32], (u32, Moment)>>,
    room: Room,
    stranger: Mutex<Moment>,
}

impl App {
    /// Checks a password; the token of a new session, and the log-in name as the account has it. `from` is the address
    /// of the device.
    pub fn log_in(&self, login: &str, password: &str, from: &str) -> Result<(String, String)> {
        let account = self.check_password(login, password, from, "web")?;
        let token = self.begin_session(account.id)?;
        let act = Act::new(Actor::of(&account, "web").doer(), act::LOGIN);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })?;
        Ok((token, account.fields.text(account::tag::LOGIN).to_owned()))
    }

    /// Checks a password for one command of the host's console. A password that somebody else handed out opens nothing
    /// here: only the browser lets its owner set another. Those of an answers file, which nobody touched since,
    /// do: they were written by whoever runs this console.
    pub fn console_actor(&self, login: &str, password: &str) -> Result<Actor> {
        let via = format!("local:{}", nix::unistd::getuid());
        let account = self.check_password(login, password, "console", &via)?;
        if account.fields.flag(account::tag::MUST_CHANGE) && account.version > 1 {
            self.enter_failure(Some(&account), &via)?;
            return Err(Error::new(ErrorKind::Denied, FIRST));
        }
        Ok(Actor::at(&account, &via, self.now()))
    }

    /// In demo stores: the account of this name, without its password.
    pub fn demo_actor(&self, login: &str) -> Result<Actor> {
        if !self.facts().demo {
            return Err(Error::usage("请用 --as 指定账户，并输入它的口令。"));
        }
        let via = format!("local:{}", nix::unistd::getuid());
        let account = self.find_account(login)?.ok_or_else(|| Error::invalid("没有这个账户。"))?;
        Ok(Actor::at(&account, &via, self.now()))
    }

    /// Sets one's own password; asks for the old one.
    pub fn change_password(&self, actor: &Actor, old: &str, new: &str) -> Result<()> {
        let snapshot = self.store.read()?;
        let account = snapshot.get(actor.account, false)?.ok_or_else(Error::denied)?;
        let stored = account.fields.text(account::tag::CREDENTIAL);
        if !self.throttle.room.turn(&actor.login, || verify(stored, old))? {
            return Err(Error::invalid("原口令不正确。"));
        }
        if old == new {
            return Err(Error::invalid("新口令不能与原口令相同。"));
        }
        let credential = self.credential(&actor.login, new)?;
        self.set_credential(actor, actor.account, credential, false)
    }

    /// A one-time password for an account, to be changed at the first log-in; only for who may create accounts. The
    /// account loses its roles until the security administrator grants them again: whoever hands out a password must
    /// not gain anything by it. Administrators' own passwords are nobody else's business.
    pub fn reset_password(&self, actor: &Actor, id: RecordId) -> Result<String> {
        if actor.scope(&account::KIND, Right::Create) == Scope::Nothing || actor.account == id {
            return Err(self.refused(actor, &account::KIND, id));
        }
        let record = self.store.read()?.get(id, false)?.filter(|r| r.kind == account::KIND.tag);
        let record = record.ok_or_else(Error::denied)?;
        if account::is_administrator(&record.fields) {
            return Err(Error::invalid("三员的口令不能由他人重置。"));
        }
        let login = record.fields.text(account::tag::LOGIN).to_owned();
        let password = one_time_password()?;
        let credential = self.credential(&login, &password)?;
        self.set_credential(actor, id, credential, true)?;
        Ok(password)
    }

    /// The stored form of a password that keeps the rules.
    pub fn credential(&self, login: &str, password: &str) -> Result<String> {
        check_rules(login, password)?;
        self.throttle.room.turn(login, || hash(password))?
    }

    fn check_password(&self, login: &str, password: &str, from: &str, via: &str) -> Result<Record> {
        // Folded as accounts are looked up: another way to write the name is no other name.
        let folded: String = login.trim().chars().flat_map(crate::base::text::fold).collect();
        let key = seal::sha256(&[folded.as_bytes(), b"\0", from.as_bytes()]);
        self.pause(&key)?;
        let account = self.find_account(login)?;
        let stored = account.as_ref().map_or("", |a| a.fields.text(account::tag::CREDENTIAL));
        let fits = password.len() <= limits::PASSWORD_MAX_BYTES;
        // An unknown name costs as much time as a known one.
        let against = if stored.is_empty() { dummy() } else { stored };
        let right = self.throttle.room.turn(from, || verify(against, password))?;
        match account {
            Some(account) if right && fits && !stored.is_empty() => {
                lock(&self.throttle.failures).remove(&key);
                Ok(account)
            }
            account => {
                self.count_failure(key);
                self.enter_failure(account.as_ref(), via)?;
                Err(Error::new(ErrorKind::Denied, WRONG))
            }
        }
    }

    fn find_account(&self, login: &str) -> Result<Option<Record>> {
        let snapshot = self.store.read()?;
        let ids = snapshot.find(&account::KIND, account::tag::LOGIN, login)?;
        let Some(id) = ids.first() else { return Ok(None) };
        Ok(snapshot.get(*id, false)?.filter(|a| a.state == 1))
    }

    fn set_credential(&self, actor: &Actor, id: RecordId, credential: String, must_change: bool) -> Result<()> {
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let live = record::live(txn, &actor)?;
            let other = id != actor.account;
            if other && live.scope(&account::KIND, Right::Create) == Scope::Nothing {
                return Err(Error::denied());
            }
            let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
            if other && account::is_administrator(&record.fields) {
                return Err(Error::denied());
            }
            if other {
                account::withdraw(&mut record.fields);
            }
            record.version += 1;
            record.updated = txn.now();
            record.fields.insert(account::tag::CREDENTIAL, Value::Text(credential));
            record.fields.insert(account::tag::MUST_CHANGE, Value::Flag(must_change));
            txn.act(Act::new(actor.doer(), act::PASSWORD));
            txn.update_at_rest(record)
        })?;
        if must_change {
            self.end_sessions(id);
        }
        Ok(())
    }

    fn pause(&self, key: &[u8; 32]) -> Result<()> {
        let now = self.now();
        let paused = lock(&self.throttle.failures)
            .get(key)
            .is_some_and(|(n, at)| *n >= limits::LOGIN_FAILURES && now.seconds_since(*at) < limits::LOGIN_PAUSE_S);
        if !paused {
            return Ok(());
        }
        let minutes = limits::LOGIN_PAUSE_S / 60;
        Err(Error::new(ErrorKind::Busy, format!("连续多次失败，请 {minutes} 分钟后再试，或联系系统管理员。")))
    }

    fn count_failure(&self, key: [u8; 32]) {
        let now = self.now();
        let mut failures = lock(&self.throttle.failures);
        if failures.len() >= limits::LOGIN_TRACKED {
            failures.retain(|_, (_, at)| now.seconds_since(*at) < limits::LOGIN_PAUSE_S);
        }
        let entry = failures.entry(key).or_insert((0, now));
        *entry = (entry.0 + 1, now);
    }

    /// Failures of accounts are entered each, those of strangers once a minute.
    fn enter_failure(&self, account: Option<&Record>, via: &str) -> Result<()> {
        let now = self.now();
        let doer = account.map_or(
            Doer { account: RecordId(0), unit: RecordId(0), via: via.to_owned() },
            |a| Actor::of(a, via).doer(),
        );
        if account.is_none() {
            let mut last = lock(&self.throttle.stranger);
            if now.seconds_since(*last) < limits::STRANGER_ENTRY_S {
                return Ok(());
            }
            *last = now;
        }
        let act = Act::new(doer, act::LOGIN_FAILED).refused();
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }
}

/// The rules of article 15, and that a password does not contain the log-in name.
pub fn check_rules(login: &str, password: &str) -> Result<()> {
    let letters = password.chars().any(char::is_alphabetic);
    let digits = password.chars().any(|c| c.is_ascii_digit());
    let specials = password.chars().any(|c| !c.is_alphanumeric() && !c.is_whitespace());
    let long = password.chars().count() >= limits::PASSWORD_MIN_CHARS;
    if !(letters && digits && specials && long) || password.len() > limits::PASSWORD_MAX_BYTES {
        let least = limits::PASSWORD_MIN_CHARS;
        return Err(Error::invalid(format!("口令至少 {least} 位，并且必须同时包含字母、数字和特殊字符。")));
    }
    if !login.is_empty() && password.to_lowercase().contains(&login.to_lowercase()) {
        return Err(Error::invalid("口令不能包含登录名。"));
    }
    Ok(())
}

/// Stored form of a password that was checked already; costly.
pub fn hash(password: &str) -> Result<String> {
    let salt = seal::random::<16>()?;
    let hashed = hasher()?.hash_password_with_salt(password.as_bytes(), &salt).map_err(Error::internal)?;
    Ok(hashed.to_string())
}

/// Fields of a new account.
pub fn account_fields(login: &str, name: &str, unit: RecordId, roles: &[String]) -> Fields {
    let fields = Fields::default()
        .with_text(account::tag::LOGIN, login)
        .with_text(account::tag::NAME, name)
        .with(account::tag::UNIT, Value::Link(unit));
    if roles.is_empty() { fields } else { fields.with(account::tag::ROLES, Value::Codes(roles.to_vec())) }
}

fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(limits::ARGON_KIB, limits::ARGON_PASSES, 1, None).map_err(Error::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn verify(stored: &str, password: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(stored) else { return false };
    hasher().is_ok_and(|h| h.verify_password(password.as_bytes(), &parsed).is_ok())
}

/// A hash that fits no password anyone has, with the cost of a real one.
fn dummy() -> &'static str {
    static DUMMY: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    DUMMY.get_or_init(|| seal::random::<16>().and_then(|r| hash(&hex::encode(r))).unwrap_or_default())
}

/// Readable, without characters that look alike, and within the rules.
fn one_time_password() -> Result<String> {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz";
    const DIGITS: &[u8] = b"23456789";
    let random = seal::random::<12>()?;
    let pick = |set: &[u8], n: u8| char::from(set[usize::from(n) % set.len()]);
    let word: String = random[..8].iter().map(|n| pick(LETTERS, *n)).collect();
    let number: String = random[8..].iter().map(|n| pick(DIGITS, *n)).collect();
    Ok(format!("{}-{}-{number}", &word[..4], &word[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_article_15() {
        for good in ["abcdef123!", "纪检监察工作2026#", "Aa1!Aa1!Aa1!"] {
            assert!(check_rules("u", good).is_ok() || good.contains('u'), "{good}");
        }
        for bad in ["abc123!", "abcdefghij", "1234567890!", "abcdefgh12", "abcdef!!!!", "zhang12345!"] {
            assert!(check_rules("zhang", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_time_passwords_keep_the_rules_and_differ() {
        let (a, b) = (one_time_password().unwrap(), one_time_password().unwrap());
        assert!(check_rules("", &a).is_ok());
        assert_ne!(a, b);
    }

    #[test]
    fn a_hash_fits_its_password_only() {
        let stored = hash("Right-pass-1").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"));
        assert!(verify(&stored, "Right-pass-1") && !verify(&stored, "Wrong-pass-1") && !verify("", "x"));
    }
}
