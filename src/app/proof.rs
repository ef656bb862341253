//! Proving once more who one is: keys, exports and identities of petitioners ask for it, so that an open session at an
//! empty desk gives none of them away. What was proved holds a short while in that session, and nowhere else.
//!
//! What must hold: the use case itself asks, after the right and before the act; a wrong try counts as one at the door
//! does; the step of a second factor is spent in the transaction of the proof's entry.

use super::factor::{self, Spent};
use super::login::{self, Seen, Typed};
use super::session::Live;
use super::{Actor, App, record};
use crate::base::{Error, ErrorKind, Result};
use crate::records::act;
use crate::store::Act;

const ASK: &str = "没有执行：这项操作须再次核对身份，请填写您本人的登录口令（启用了动态码的还要填动态码）后再提交。";
const WRONG: &str = "没有执行：本人口令或动态码不正确。每个动态码只能用一次，刚登录用过的请等下一个再试。";

/// What a form asks of somebody before it does what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: it was proved a short while ago.
    Nothing,
    /// The password.
    Password,
    /// The password and a code of the second factor.
    Code,
}

impl Actor {
    /// Refuses whoever did not prove lately who they are.
    pub(super) fn proved(&self) -> Result<()> {
        if self.proven { Ok(()) } else { Err(Error::new(ErrorKind::Proof, ASK)) }
    }
}

impl App {
    /// What the forms of this session ask for now.
    pub fn proof_asked(&self, live: &Live) -> Result<Asked> {
        if live.actor.proven { Ok(Asked::Nothing) } else { self.always_asked(live) }
    }

    /// What they ask for where no earlier proof is enough.
    pub fn always_asked(&self, live: &Live) -> Result<Asked> {
        let account = self.store.read()?.get(live.actor.account, false)?.ok_or_else(Error::denied)?;
        Ok(if factor::has_code(&account) && live.certificate.is_none() { Asked::Code } else { Asked::Password })
    }

    /// Does what asks for a proof, with the one this session has, or with what was typed. Nothing is checked where the
    /// right is missing.
    pub fn proving<T>(&self, live: &Live, typed: &Typed, act: impl Fn(&Actor) -> Result<T>) -> Result<T> {
        match act(&live.actor) {
            Err(e) if e.kind() == ErrorKind::Proof && !typed.password.is_empty() => {
                self.prove(live, typed).map_err(told)?;
                act(&Actor { proven: true, ..live.actor.clone() })
            }
            done => done.map_err(told),
        }
    }

    /// Checks password and code of whoever is in this session, and remembers it for a short while.
    pub(super) fn prove(&self, live: &Live, typed: &Typed) -> Result<()> {
        let wrong = || Error::invalid(WRONG);
        let (id, standby) = (live.actor.account, self.is_standby());
        let snapshot = self.store.read()?;
        let account = snapshot.get(id, false)?.ok_or_else(Error::denied)?;
        let used = Seen::of(&snapshot, id)?.step();
        let coded = factor::has_code(&account) && live.certificate.is_none();
        let code = coded.then(|| typed.code.as_deref().unwrap_or_default());
        let (checked, proof) = self.myself(&live.actor, &typed.password, code)?.ok_or_else(wrong)?;
        if standby && !proof.as_ref().is_none_or(|p| p.is_new_to(&self.throttle, id, used)) {
            return Err(wrong());
        }
        let actor = live.actor.clone();
        self.store.submit(move |txn| {
            record::live(txn, &actor)?;
            let mut account = login::unchanged(txn, &checked)?.ok_or_else(wrong)?;
            let mut act = Act::new(actor.doer(), act::PROVED);
            // A standby keeps nothing of its own but the entry.
            if let Some(proof) = proof.filter(|_| !standby) {
                let mut seen = Seen::of_txn(txn, id)?;
                match proof.spend(&mut account, &mut seen, txn.now()) {
                    Spent::Nothing => return Err(wrong()),
                    Spent::Step => {}
                    Spent::Code(left) => {
                        act = act.note(format!("left {left}"));
                        txn.update_at_rest(account)?;
                    }
                }
                seen.keep(txn, id)?;
            }
            txn.act(act);
            Ok(())
        })?;
        self.remember_proof(live);
        Ok(())
    }
}

/// As a page tells it beside its form, with everything typed kept.
fn told(e: Error) -> Error {
    if matches!(e.kind(), ErrorKind::Proof | ErrorKind::Busy) { Error::invalid(e.public()) } else { e }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::login::tests::{House, OWN};
    use crate::base::limits;

    fn typed(password: &str, code: &str) -> Typed {
        Typed { password: password.into(), code: Some(code.into()) }
    }

    /// What asks for a proof, and does nothing else.
    fn tries(house: &House, token: &str, typed: &Typed) -> Result<()> {
        let live = house.app().session(token, "10.0.0.1").unwrap().unwrap();
        house.app().proving(&live, typed, Actor::proved)
    }

    fn token(house: &House, login: &str) -> String {
        drop(house.settled(login));
        house.log_in(login, OWN, "").unwrap().token
    }

    #[test]
    fn a_proof_holds_a_short_while_in_its_own_session_and_a_log_in_is_none() {
        let house = House::new();
        let token = token(&house, "jingban");
        let none = Typed::default();
        assert!(tries(&house, &token, &none).unwrap_err().public().contains("再次核对身份"));
        assert!(tries(&house, &token, &typed("Wrong-one-26!", "")).is_err());
        tries(&house, &token, &typed(OWN, "")).unwrap();
        house.wait(limits::PROOF_S - 1);
        tries(&house, &token, &none).unwrap();
        house.wait(2);
        assert!(tries(&house, &token, &none).is_err(), "it is used, and holds no longer for that");
        tries(&house, &token, &typed(OWN, "")).unwrap();
        // A clock that went back makes no proof younger, and another session has none.
        house.wait(-3_600);
        assert!(tries(&house, &token, &none).is_err());
        tries(&house, &token, &typed(OWN, "")).unwrap();
        let other = house.log_in("jingban", OWN, "").unwrap().token;
        assert!(tries(&house, &other, &none).is_err());
        let told = house.entries(30);
        let count = |label: &str| told.iter().filter(|l| l.0 == label).count();
        assert_eq!((count("再次核对身份"), count("登录失败")), (3, 1), "{told:?}");
    }

    #[test]
    fn wrong_tries_pause_as_at_the_door_and_do_nothing_to_others() {
        let house = House::new();
        let token = token(&house, "jingban");
        let failed = |n: usize| (0..n).filter(|_| tries(&house, &token, &typed("Wrong-one-26!", "")).is_err()).count();
        assert_eq!(failed(5), 5);
        let paused = tries(&house, &token, &typed(OWN, "")).unwrap_err();
        assert!(paused.public().contains("连续多次失败") && paused.kind() == ErrorKind::Invalid);
        house.wait(limits::LOGIN_PAUSE_S + 1);
        tries(&house, &token, &typed(OWN, "")).unwrap();
    }
}
