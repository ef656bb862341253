//! Activation (激活): the link that each of the three administrators gets in the set-up wizard. At it a person makes a
//! password and sets up the second factor, both at once, and nobody else ever knows either.
//!
//! What must hold: a link opens once, and only until it ends or another one takes its place. Every look at the page
//! offers a secret of its own, so that whoever had the link before the person did knows nothing of what the person
//! took; the page carries it back under a seal, for nobody may choose it.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::super::factor::{NewSecret, digits};
use super::super::login::Seen;
use super::super::password::{check, hash, recovery_code, set};
use super::super::throttle::Guest;
use super::super::{Actor, App, totp};
use super::wizard::Progress;
use super::{bound_fits, not_ready};
use crate::base::{Error, ErrorKind, Moment, Result, limits};
use crate::records::account::{ADMINISTRATORS, tag};
use crate::records::{Record, Value, act};
use crate::store::{Act, fact, seal};

/// What somebody sees at their link.
pub struct Invited {
    /// What they are to be.
    pub role: &'static str,
    /// Name.
    pub name: String,
    /// Log-in name.
    pub login: String,
    /// A new second factor for them.
    pub secret: NewSecret,
    /// The same for the form to carry back, and its seal.
    pub carried: (String, String),
}

/// What somebody types there.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The secret as the form carried it, and its seal.
    pub carried: (&'a str, &'a str),
    /// The password.
    pub password: &'a str,
    /// The first code of the second factor.
    pub code: &'a str,
}

/// Somebody who is active now, and sees their recovery codes this once.
pub struct Activated {
    /// Name.
    pub name: String,
    /// Log-in name.
    pub login: String,
    /// Recovery codes.
    pub codes: Vec<String>,
}

pub(super) fn new_token() -> Result<String> {
    Ok(hex::encode(seal::random::<16>()?))
}

/// When the link of an account ends, if it still holds.
pub(super) fn until(account: &Record, (epoch, now): (u64, Moment)) -> Option<Moment> {
    let mut words = account.fields.text(tag::ACTIVATION).split(' ');
    let (of, ends) = (words.next()?, words.next()?.parse::<i64>().ok()?);
    (of == epoch.to_string() && now.0 < ends).then_some(Moment(ends))
}

fn closed() -> Error {
    Error::new(
        ErrorKind::Denied,
        "激活链接无效、已过期或已用过。如果不是您本人用过，请立即告诉单位负责人和另外两名管理员；需要时请办理初始化的人重新发放。",
    )
}

impl App {
    /// Whose link this is, with a second factor for them: a new one, or that of the form which came back.
    pub fn invitation(&self, token: &str, carried: Option<(&str, &str)>) -> Result<Invited> {
        let (role, account) = self.invited(token)?.ok_or_else(closed)?;
        let secret = match carried.filter(|carried| self.is_genuine(token, *carried)) {
            Some((secret, _)) => secret.to_owned(),
            None => totp::base32(&seal::random::<{ limits::FACTOR_BYTES }>()?),
        };
        let (name, login) = (account.fields.text(tag::NAME), account.fields.text(tag::LOGIN));
        Ok(Invited {
            role,
            name: name.to_owned(),
            login: login.to_owned(),
            secret: self.new_secret(login, &secret),
            carried: (secret.clone(), self.secret_seal(token, &secret)),
        })
    }

    /// Makes the account its owner's: password and second factor in one act, after which the link is void.
    pub fn activate(&self, token: &str, given: Given<'_>) -> Result<Activated> {
        let (_, account) = self.invited(token)?.ok_or_else(closed)?;
        let (secret, _) = given.carried;
        let bytes = totp::from_base32(secret).filter(|_| self.is_genuine(token, given.carried));
        let bytes = bytes.ok_or_else(|| Error::invalid("这一页不完整，没有启用。请用下面新的二维码重新添加。"))?;
        let mut fields = account.fields.clone();
        fields.insert(tag::FACTOR, Value::Text(secret.to_owned()));
        check(&self.policy()?, &fields, given.password)?;
        let step = totp::step_of(&bytes, &digits(given.code), self.now()).ok_or_else(|| {
            Error::invalid("动态码不正确，没有启用。请输入手机上现在显示的 6 位数字；一直不对时请把手机时间设为自动。")
        })?;
        let id = account.id;
        let guest = Guest::Known(format!("account {id}"));
        let credential = self.throttle.room.turn(&guest, || hash(given.password))??;
        let codes = (0..limits::RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<_>>>()?;
        let hashes: Vec<String> = codes.iter().map(|code| self.recovery_hash(id, code)).collect();
        let (secret, token, epoch) = (secret.to_owned(), token.to_owned(), self.facts().epoch);
        self.store.submit(move |txn| {
            not_ready(txn)?;
            let mut account = txn.get(id)?.ok_or_else(closed)?;
            if !bound_fits(account.fields.text(tag::ACTIVATION), &token, (epoch, txn.now())) {
                return Err(closed());
            }
            set(&mut account, credential, false, txn.now());
            account.fields.remove(tag::ACTIVATION);
            account.fields.insert(tag::FACTOR, Value::Text(secret));
            account.fields.insert(tag::RECOVERY, Value::Codes(hashes));
            let mut seen = Seen::of_txn(txn, id)?;
            seen.used(step.max(seen.step()));
            seen.keep(txn, id)?;
            txn.act(Act::new(Actor::of(&account, "web").doer(), act::ACTIVATED));
            txn.update_at_rest(account)
        })?;
        let text = |tag| fields.text(tag).to_owned();
        Ok(Activated { name: text(tag::NAME), login: text(tag::LOGIN), codes })
    }

    /// The role and account of a link that holds.
    fn invited(&self, token: &str) -> Result<Option<(&'static str, Record)>> {
        let snapshot = self.store.read()?;
        if snapshot.fact(fact::READY)?.is_some() {
            return Ok(None);
        }
        let at = (self.facts().epoch, self.now());
        for (role, id) in ADMINISTRATORS.into_iter().zip(Progress::of(&snapshot)?.accounts()) {
            let account = snapshot.get(id, false)?.ok_or_else(closed)?;
            if bound_fits(account.fields.text(tag::ACTIVATION), token, at) {
                return Ok(Some((role, account)));
            }
        }
        Ok(None)
    }

    /// The secret is one that a page of this link offered.
    fn is_genuine(&self, token: &str, (secret, seal): (&str, &str)) -> bool {
        verify_slices_are_equal(self.secret_seal(token, secret).as_bytes(), seal.as_bytes()).is_ok()
    }

    fn secret_seal(&self, token: &str, secret: &str) -> String {
        hex::encode(self.store.mac("activation-secret", format!("{token}\0{secret}").as_bytes()))
    }
}
