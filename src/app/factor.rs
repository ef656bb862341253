//! The second factor (动态码): set up, renewed and taken off by its owner. The secret and the keyed hashes of the recovery
//! codes are hidden fields of the account, sealed as its password is; until a code was typed a new secret lives in the
//! session alone.
//!
//! What must hold: whoever finds an open session can neither renew nor take off what guards the account; recovery codes
//! are shown once and stored nowhere.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::login::Seen;
use super::password::recovery_code;
use super::login::Typed;
use super::policy::Policy;
use super::session::Live;
use super::throttle::Throttle;
use super::{Actor, App, login, record, relief, totp};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::account::tag;
use crate::records::{Record, Value, act};
use crate::store::{Act, seal};

const WRONG: &str = "口令或动态码不正确，没有改动。每个动态码只能用一次，请等下一个再试。";
const KEPT: &str = "按登录安全策略，您的账户必须启用动态码，不能停用；换手机请用“更换”。";

/// What proved a second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The code of this step.
    Step(i64),
    /// The recovery code with this keyed hash.
    Recovery(String),
    /// The certificate of the connection, whose handshake proved it; it proves it each time anew.
    Certificate,
}

/// What became of a proof.
pub(super) enum Spent {
    /// It was used before.
    Nothing,
    /// The step is used from now on.
    Step,
    /// The recovery code is gone from the account; so many are left.
    Code(usize),
}

impl Proof {
    /// Takes it, so that it proves nothing again. The caller stores what it changed: the account, where a recovery code
    /// went, and what is remembered of its log-ins.
    pub(super) fn spend(&self, account: &mut Record, seen: &mut Seen, now: Moment) -> Spent {
        match self {
            Self::Step(step) if *step > seen.step() => {
                seen.used(*step);
                Spent::Step
            }
            Self::Step(_) => Spent::Nothing,
            Self::Certificate => Spent::Step,
            Self::Recovery(hash) => {
                let mut left = account.fields.codes(tag::RECOVERY).to_vec();
                let had = left.len();
                left.retain(|h| h != hash);
                if left.len() == had {
                    return Spent::Nothing;
                }
                let count = left.len();
                account.fields.insert(tag::RECOVERY, Value::Codes(left));
                account.version += 1;
                account.updated = now;
                Spent::Code(count)
            }
        }
    }

    /// It is no step up to this one.
    pub(super) fn is_after(&self, used: i64) -> bool {
        !matches!(self, Self::Step(step) if *step <= used)
    }

    /// The same where the store takes nothing: steps after the last that it knows of are remembered by the process,
    /// recovery codes cannot be spent.
    pub(super) fn is_new_to(&self, throttle: &Throttle, account: RecordId, used: i64) -> bool {
        match self {
            Self::Step(step) => *step > used && throttle.take_step(account, *step),
            Self::Certificate => true,
            Self::Recovery(_) => false,
        }
    }
}

/// The account has a second factor: a code, or a certificate.
pub(super) fn has(account: &Record) -> bool {
    has_code(account) || has_certificate(account)
}

/// It has one by codes.
pub(super) fn has_code(account: &Record) -> bool {
    !account.fields.text(tag::FACTOR).is_empty()
}

/// A certificate is bound to it.
pub(super) fn has_certificate(account: &Record) -> bool {
    !account.fields.text(tag::CERTIFICATE).is_empty()
}

/// What somebody sees of their own second factor.
pub struct FactorPage {
    /// There is one.
    pub enrolled: bool,
    /// Recovery codes that are left.
    pub left: usize,
    /// The policy asks for one.
    pub asked: bool,
    /// The certificate that is bound, in words.
    pub certificate: Option<String>,
    /// The policy asks for one.
    pub must_have_certificate: bool,
    /// Certificates can be used at all.
    pub trusted: bool,
    /// A new secret that waits for its first code.
    pub secret: Option<NewSecret>,
}

/// A secret on its way to a device.
pub struct NewSecret {
    /// In groups of four, to be typed.
    pub groups: String,
    /// As a device reads it from a picture.
    pub uri: String,
}

impl App {
    /// One's own second factor. Whoever has none is offered a secret, the same until the session ends.
    pub fn factor_page(&self, live: &Live) -> Result<FactorPage> {
        let snapshot = self.store.read()?;
        let account = snapshot.get(live.actor.account, false)?.ok_or_else(Error::denied)?;
        let (policy, trusted) = (Policy::of(&snapshot)?, self.trust()?.is_some());
        let waiting = self.enrolling(live);
        let secret = match waiting {
            Some((secret, _)) => Some(secret),
            None if has_code(&account) => None,
            None => Some(self.offer_factor(live, false)?),
        };
        Ok(FactorPage {
            enrolled: has_code(&account),
            left: account.fields.codes(tag::RECOVERY).len(),
            asked: policy.asks(&live.actor) && !has_certificate(&account),
            certificate: Some(account.fields.text(tag::CERTIFICATE_OF).to_owned()).filter(|words| !words.is_empty()),
            must_have_certificate: trusted && policy.asks_certificate(&live.actor),
            trusted,
            secret: secret.map(|secret| self.new_secret(&live.actor.login, &secret)),
        })
    }

    /// Offers a new secret in place of the one that holds, which goes on holding until the new one is confirmed.
    pub fn renew_factor(&self, live: &Live, password: &str, code: &str) -> Result<()> {
        let act = Act::new(live.actor.doer(), act::FACTOR).note("begun");
        self.prove_myself(&live.actor, password, code, (act, false))?;
        self.offer_factor(live, true).map(drop)
    }

    /// Confirms the secret that was offered by a code of it; the recovery codes, which are shown this once.
    /// Beside a certificate it asks who is there, as the certificate's change does.
    pub fn confirm_factor(&self, live: &Live, typed: &str, own: &Typed) -> Result<Vec<String>> {
        let account = self.store.read()?.get(live.actor.account, false)?.ok_or_else(Error::denied)?;
        if has_certificate(&account) && !has_code(&account) && !live.actor.proven {
            self.prove(live, own)?;
        }
        let offered = self.enrolling(live);
        let (secret, renews) =
            offered.ok_or_else(|| Error::invalid("这一页已过期，没有启用。请用下面新的二维码重新添加，再输入动态码。"))?;
        let bytes = totp::from_base32(&secret).ok_or_else(|| Error::internal("a secret of ours"))?;
        let step = totp::step_of(&bytes, &digits(typed), self.now()).ok_or_else(|| {
            Error::invalid("动态码不正确，没有启用。请输入手机上现在显示的 6 位数字；一直不对时请把手机时间设为自动。")
        })?;
        let codes = (0..limits::RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<_>>>()?;
        let id = live.actor.account;
        let hashes: Vec<String> = codes.iter().map(|code| self.recovery_hash(id, code)).collect();
        let actor = live.actor.clone();
        self.store.submit(move |txn| {
            record::live(txn, &actor)?;
            let mut account = txn.get(id)?.ok_or_else(Error::denied)?;
            if has_code(&account) != renews {
                return Err(Error::invalid("动态码的状态刚刚变化，没有改动。请重新打开本页再试。"));
            }
            account.version += 1;
            account.updated = txn.now();
            account.fields.insert(tag::FACTOR, Value::Text(secret));
            account.fields.insert(tag::RECOVERY, Value::Codes(hashes));
            relief::forget(&mut account, relief::What::Factor);
            let mut seen = Seen::of_txn(txn, id)?;
            seen.used(step.max(seen.step()));
            seen.keep(txn, id)?;
            txn.act(Act::new(actor.doer(), act::FACTOR).note(if renews { "renewed" } else { "new" }));
            txn.update_at_rest(account)
        })?;
        self.end_enrolling(live);
        Ok(codes)
    }

    /// Takes off one's own second factor, unless the policy asks for it.
    pub fn drop_factor(&self, live: &Live, password: &str, code: &str) -> Result<()> {
        let policy = self.policy()?;
        let account = self.store.read()?.get(live.actor.account, false)?.ok_or_else(Error::denied)?;
        if policy.asks(&live.actor) && !has_certificate(&account) {
            return Err(Error::invalid(KEPT));
        }
        let least = policy.profile.least(has_certificate(&account));
        if password.chars().count() < least {
            return Err(Error::invalid(format!(
                "没有停用：没有动态码的账户口令至少 {least} 位。请先修改口令，再停用。"
            )));
        }
        let act = Act::new(live.actor.doer(), act::FACTOR_OFF);
        self.prove_myself(&live.actor, password, code, (act, true))?;
        self.end_enrolling(live);
        Ok(())
    }

    /// Password and code of somebody who is logged in; the code is spent with the act, which may take the factor off.
    fn prove_myself(&self, actor: &Actor, password: &str, code: &str, (act, off): (Act, bool)) -> Result<()> {
        let wrong = || Error::invalid(WRONG);
        let Some((checked, Some(proof))) = self.myself(actor, password, Some(code))? else { return Err(wrong()) };
        let (actor, id) = (actor.clone(), actor.account);
        self.store.submit(move |txn| {
            let own = record::live(txn, &actor)?;
            let mut account = login::unchanged(txn, &checked)?.ok_or_else(wrong)?;
            let (version, mut seen) = (account.version, Seen::of_txn(txn, id)?);
            let recovery = match proof.spend(&mut account, &mut seen, txn.now()) {
                Spent::Nothing => return Err(wrong()),
                Spent::Step => false,
                Spent::Code(_) => true,
            };
            seen.keep(txn, id)?;
            txn.act(act);
            if off && Policy::of_txn(txn)?.asks(&own) && !has_certificate(&account) {
                return Err(Error::invalid(KEPT));
            }
            if off {
                account.fields.remove(tag::FACTOR);
                account.fields.remove(tag::RECOVERY);
                account.version = version + 1;
                account.updated = txn.now();
            }
            if off || recovery { txn.update_at_rest(account) } else { Ok(()) }
        })
    }

    /// What a typed code proves; of nobody, nothing, after the same work.
    pub(super) fn proof(&self, account: Option<&Record>, typed: &str) -> Option<Proof> {
        let typed = digits(typed);
        let secret = account.and_then(|a| totp::from_base32(a.fields.text(tag::FACTOR))).unwrap_or_default();
        let real = !secret.is_empty();
        let secret = if real { secret } else { vec![0; limits::FACTOR_BYTES] };
        let step = totp::step_of(&secret, &typed, self.now());
        let hash = self.recovery_hash(account.map_or(RecordId(0), |a| a.id), &typed);
        let codes = account.map_or(&[][..], |a| a.fields.codes(tag::RECOVERY));
        let same = |code: &String| verify_slices_are_equal(code.as_bytes(), hash.as_bytes()).is_ok();
        let recovery = codes.iter().filter(|code| same(code)).count() > 0;
        match step {
            _ if !real => None,
            Some(step) => Some(Proof::Step(step)),
            None => recovery.then_some(Proof::Recovery(hash)),
        }
    }

    fn offer_factor(&self, live: &Live, renews: bool) -> Result<String> {
        let secret = totp::base32(&seal::random::<{ limits::FACTOR_BYTES }>()?);
        self.begin_enrolling(live, &secret, renews);
        Ok(secret)
    }

    pub(super) fn new_secret(&self, login: &str, secret: &str) -> NewSecret {
        let encoded = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        // Short, so that the picture is coarse enough for any camera; what it leaves out is what devices assume.
        let (issuer, login) = (encoded(&format!("基层 {}", self.facts().county)), encoded(login));
        let groups: Vec<String> =
            secret.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned()).collect();
        NewSecret {
            groups: groups.join(" "),
            uri: format!("otpauth://totp/{login}?secret={secret}&issuer={issuer}"),
        }
    }

    pub(super) fn recovery_hash(&self, account: RecordId, code: &str) -> String {
        hex::encode(self.store.mac("recovery", format!("{account}\0{}", digits(code)).as_bytes()))
    }
}

/// A code as it counts: in any width and case, without blanks and hyphens.
pub(super) fn digits(typed: &str) -> String {
    typed.chars().flat_map(crate::base::text::fold).filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests;
