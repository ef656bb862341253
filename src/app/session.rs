//! Sessions: in memory only, found by the hash of their token. One live session an account; idle and absolute limits.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use super::login::{self, Seen};
use super::policy::Policy;
use super::search::Query;
use super::ukey::Shown;
use super::{Actor, App, charter, lock, record};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::{Record, account, act};
use crate::store::{Act, seal};

/// All live sessions, and submissions of people whose session ended while they typed.
#[derive(Default)]
pub struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    live: HashMap<[u8; 32], Session>,
    parked: VecDeque<Parked>,
}

struct Session {
    account: RecordId,
    csrf: String,
    began: Moment,
    seen: Moment,
    /// The password was to be changed when it began.
    old: bool,
    /// When its person proved once more who they are.
    proven: Option<Moment>,
    /// The key of the certificate it was begun with: it holds on connections that bring it, and no others.
    certificate: Option<String>,
    /// The secret of a second factor that waits for its first code; `true` when it is to take another one's place.
    enrolling: Option<(String, bool)>,
    searches: VecDeque<(String, Query)>,
    revealed: VecDeque<RecordId>,
}

/// A form that arrived without a session, kept in memory until its owner logs in again.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Log-in name the browser last used.
    pub login: String,
    /// Where the form was sent.
    pub path: String,
    /// What was typed.
    pub raw: Vec<(String, String)>,
    at: Moment,
}

/// What keeps somebody from everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// A password that somebody else handed out is to be changed.
    FirstPassword,
    /// One that is too old is.
    OldPassword,
    /// A second factor is to be set up.
    Factor,
}

/// A live session, for the system administrator.
pub struct Line {
    /// Whose.
    pub account: RecordId,
    /// Since when.
    pub began: Moment,
    /// The last request.
    pub seen: Moment,
}

/// What a request learns from its cookie.
#[derive(Clone, Debug)]
pub struct Live {
    /// Who it is, with the rights of this moment.
    pub actor: Actor,
    /// Token that every form of this session carries.
    pub csrf: String,
    /// Must be done before anything else.
    pub must: Option<Must>,
    /// The key of the certificate it was begun with, which this connection brought.
    pub(super) certificate: Option<String>,
    key: [u8; 32],
}

impl App {
    /// Begins a session of an account as it was checked, ends others of the same one; the token for the cookie.
    pub(super) fn begin_session(
        &self,
        checked: &Record,
        old: bool,
        certificate: Option<String>,
    ) -> Result<String> {
        let account = checked.id;
        let token = hex::encode(seal::random::<32>()?);
        let csrf = hex::encode(seal::random::<32>()?);
        let now = self.now();
        let session = Session {
            account,
            csrf,
            began: now,
            seen: now,
            old,
            proven: None,
            certificate,
            enrolling: None,
            searches: VecDeque::new(),
            revealed: VecDeque::new(),
        };
        let key = seal::sha256(&[token.as_bytes()]);
        let mut inner = lock(&self.sessions.0);
        inner.live.retain(|_, s| s.account != account && !ended(s, now));
        inner.live.insert(key, session);
        drop(inner);
        // Whoever resets a password ends the sessions that are there: this one may have come right after that.
        let proven = |r: &Record| login::is_proven(r, checked);
        if self.store.read()?.get(account, false)?.as_ref().is_some_and(proven) {
            return Ok(token);
        }
        lock(&self.sessions.0).live.remove(&key);
        Err(login::wrong())
    }

    /// The session of a token, with the account read anew; `None` when it ended, or does not hold at this address.
    pub fn session(&self, token: &str, from: &str) -> Result<Option<Live>> {
        self.session_on(token, from, None)
    }

    /// The same on a connection that brought a certificate, which was judged.
    pub fn session_on(&self, token: &str, from: &str, shown: Option<&Shown>) -> Result<Option<Live>> {
        let key = seal::sha256(&[token.as_bytes()]);
        let now = self.now();
        let (account, csrf, old, proven, certificate) = {
            let mut inner = lock(&self.sessions.0);
            match inner.live.get_mut(&key) {
                Some(session) if !ended(session, now) => {
                    if session.certificate.is_some() && session.certificate.as_deref() != shown.map(Shown::key) {
                        return Ok(None);
                    }
                    session.seen = now;
                    let holds = |at: Moment| (0..=limits::PROOF_S).contains(&now.seconds_since(at));
                    let proven = session.proven.is_some_and(holds);
                    (session.account, session.csrf.clone(), session.old, proven, session.certificate.clone())
                }
                Some(_) => {
                    inner.live.remove(&key);
                    return Ok(None);
                }
                None => return Ok(None),
            }
        };
        let snapshot = self.store.read()?;
        let (policy, charter) = (Policy::of(&snapshot)?, charter::of(&snapshot)?);
        let admitted = |r: &Record| policy.admits(r.fields.codes(account::tag::ROLES), from);
        let record = snapshot.get(account, false)?.filter(|r| account::admits(r, now.day()) && admitted(r));
        Ok(record.map(|r| {
            let actor = Actor { proven, only_looks: self.is_standby(), ..Actor::at(&r, "web", now, &charter) };
            Live { must: self.must(&policy, (&r, &actor), old), actor, csrf, certificate, key }
        }))
    }

    /// Ends a session.
    pub fn log_out(&self, live: &Live) -> Result<()> {
        lock(&self.sessions.0).live.remove(&live.key);
        let act = Act::new(live.actor.doer(), act::LOGOUT);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }

    /// Live sessions, the last one seen first; for the system administrator.
    pub fn live_sessions(&self, actor: &Actor) -> Result<Vec<Line>> {
        if !actor.is("sysadmin") {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let now = self.now();
        let inner = lock(&self.sessions.0);
        let live = inner.live.values().filter(|s| !ended(s, now));
        let mut lines: Vec<Line> =
            live.map(|s| Line { account: s.account, began: s.began, seen: s.seen }).collect();
        lines.sort_by_key(|l| (std::cmp::Reverse(l.seen), l.account));
        Ok(lines)
    }

    /// Ends the session of somebody, with an entry; for the system administrator.
    pub fn end_session(&self, actor: &Actor, id: RecordId) -> Result<()> {
        if !self.live_sessions(actor)?.iter().any(|l| l.account == id) {
            return Err(Error::invalid("这个会话已经结束。"));
        }
        let (kind, ending) = (&account::KIND, actor.clone());
        self.store.submit(move |txn| {
            if !record::live(txn, &ending)?.is("sysadmin") {
                return Err(Error::denied());
            }
            let account = txn.get(id)?.ok_or_else(Error::denied)?;
            txn.act(Act::new(ending.doer(), act::SESSION_ENDED).read([(id, kind.tag, account.version)]));
            Ok(())
        })?;
        self.end_sessions(id);
        Ok(())
    }

    /// Since when this session is, and what the store remembers of the account's log-ins.
    pub fn own_session(&self, live: &Live) -> Result<(Moment, Seen)> {
        let began = lock(&self.sessions.0).live.get(&live.key).map_or(self.now(), |s| s.began);
        Ok((began, Seen::of(&self.store.read()?, live.actor.account)?))
    }

    /// The password of an account is its own, and new.
    pub(super) fn renewed_password(&self, account: RecordId) {
        lock(&self.sessions.0).live.values_mut().filter(|s| s.account == account).for_each(|s| s.old = false);
    }

    /// Whoever is in this session proved just now who they are.
    pub(super) fn remember_proof(&self, live: &Live) {
        let now = self.now();
        if let Some(session) = lock(&self.sessions.0).live.get_mut(&live.key) {
            session.proven = Some(now);
        }
    }

    pub(super) fn enrolling(&self, live: &Live) -> Option<(String, bool)> {
        lock(&self.sessions.0).live.get(&live.key)?.enrolling.clone()
    }

    pub(super) fn begin_enrolling(&self, live: &Live, secret: &str, renews: bool) {
        if let Some(session) = lock(&self.sessions.0).live.get_mut(&live.key) {
            session.enrolling = Some((secret.to_owned(), renews));
        }
    }

    pub(super) fn end_enrolling(&self, live: &Live) {
        if let Some(session) = lock(&self.sessions.0).live.get_mut(&live.key) {
            session.enrolling = None;
        }
    }

    /// Ends every session of an account.
    pub(super) fn end_sessions(&self, account: RecordId) {
        lock(&self.sessions.0).live.retain(|_, s| s.account != account);
    }

    /// Keeps a search under an opaque id, so that its terms never stand in an address.
    pub fn remember_search(&self, live: &Live, query: Query) -> Result<String> {
        let id = hex::encode(seal::random::<8>()?);
        let mut inner = lock(&self.sessions.0);
        if let Some(session) = inner.live.get_mut(&live.key) {
            session.searches.push_back((id.clone(), query));
            if session.searches.len() > limits::SEARCHES_PER_SESSION {
                session.searches.pop_front();
            }
        }
        Ok(id)
    }

    /// Keeps that the identity of a record was opened for a change, with its reason in the journal.
    pub(super) fn remember_revealed(&self, live: &Live, id: RecordId) {
        if let Some(session) = lock(&self.sessions.0).live.get_mut(&live.key) {
            session.revealed.retain(|known| *known != id);
            session.revealed.push_back(id);
            if session.revealed.len() > limits::REVEALED_PER_SESSION {
                session.revealed.pop_front();
            }
        }
    }

    /// In this session the identity of a record was opened for a change.
    pub fn has_revealed(&self, live: &Live, id: RecordId) -> bool {
        lock(&self.sessions.0).live.get(&live.key).is_some_and(|s| s.revealed.contains(&id))
    }

    /// A mark for the browser that says who used it last; only this store can make it.
    pub fn login_mark(&self, login: &str) -> String {
        format!("{login}.{}", hex::encode(self.store.mac("last-login", login.as_bytes())))
    }

    /// Who a mark names, when it is one of ours.
    pub fn marked_login(&self, mark: &str) -> Option<String> {
        let (login, tag) = mark.rsplit_once('.')?;
        let own = hex::encode(self.store.mac("last-login", login.as_bytes()));
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(own.as_bytes(), tag.as_bytes()).is_ok();
        same.then(|| login.to_owned())
    }

    /// A remembered search.
    pub fn recall_search(&self, live: &Live, id: &str) -> Option<Query> {
        let inner = lock(&self.sessions.0);
        let session = inner.live.get(&live.key)?;
        session.searches.iter().find(|(i, _)| i == id).map(|(_, q)| q.clone())
    }

    /// Keeps a form of somebody whose session ended.
    pub fn park(&self, login: &str, path: &str, raw: Vec<(String, String)>) {
        let at = self.now();
        let mut inner = lock(&self.sessions.0);
        inner.parked.retain(|p| p.login != login && at.seconds_since(p.at) < limits::SESSION_IDLE_S);
        inner.parked.push_back(Parked { login: login.to_owned(), path: path.to_owned(), raw, at });
        while inner.parked.iter().map(bytes).sum::<usize>() > limits::PARKED_BYTES {
            inner.parked.pop_front();
        }
    }

    /// Lets go of the form that was kept for this person.
    pub fn unpark(&self, login: &str) {
        lock(&self.sessions.0).parked.retain(|p| p.login != login);
    }

    /// A look at the form that is kept for this person; it stays until it is saved.
    pub fn parked(&self, login: &str) -> Option<Parked> {
        lock(&self.sessions.0).parked.iter().find(|p| p.login == login).cloned()
    }

    /// Whether a form is kept for this person.
    pub fn has_parked(&self, login: &str) -> bool {
        lock(&self.sessions.0).parked.iter().any(|p| p.login == login)
    }
}

fn bytes(parked: &Parked) -> usize {
    parked.raw.iter().map(|(k, v)| k.len() + v.len()).sum()
}

fn ended(session: &Session, now: Moment) -> bool {
    now.seconds_since(session.seen) > limits::SESSION_IDLE_S
        || now.seconds_since(session.began) > limits::SESSION_MAX_S
}

#[cfg(test)]
mod tests;
