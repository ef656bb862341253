//! Certificates of people (UKey 证书): which authorities are trusted, what they revoked, and what a certificate that came
//! with a connection is worth at this moment. Where an account has one, it is the second factor at log-in.
//!
//! What must hold: a certificate never stands in for the password; it is judged anew at each request, so that one that
//! was revoked ends at once what was begun with it; no setting shuts out whoever saves it. That its key is really there
//! is proved by the handshake, before any of this is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{CertificateError, Error as TlsError, RootCertStore};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::factor::{Spent, has_certificate, has_code};
use super::login::{self, Seen, Typed};
use super::session::Live;
use super::sight::Books;
use super::{Actor, App, charter, lock, record};
use crate::base::{Error, Moment, RecordId, Result, limits};
use crate::records::account::tag as of_account;
use crate::records::{Fields, Record, Value, account, act};
use crate::store::{Act, Txn, fact, seal};

const WRONG: &str = "口令或动态码不正确，没有改动。每个动态码只能用一次，请等下一个再试。";
const NONE_HERE: &str = "没有绑定：浏览器没有出示证书。请插入 UKey，关闭全部浏览器窗口后重新打开本系统，在提示时选择您的证书。";
const NOT_OWN: &str =
    "没有保存：保存后您自己也进不来。请插上本人的 UKey、用新的设置认可的证书打开本页再保存，或先在“动态码”页启用动态码。";
const SHORT: &str = "没有解除：没有第二种鉴别方式的账户口令须更长。请先修改口令，再解除证书。";
const KEPT: &str = "按登录安全策略，您的账户必须用证书登录，不能解除；更换 UKey 请由系统管理员申请作废，另一名管理员确认。";

/// Tags of what is trusted (`data-format/store.md`).
mod tag {
    pub(super) const AUTHORITIES: u16 = 16;
    pub(super) const REVOKED: u16 = 17;
}

/// Certificates as a connection brought them: the person's own first.
pub type Brought = Arc<[CertificateDer<'static>]>;

/// A certificate that was judged and found good, or an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose it is.
    pub name: String,
    /// Its serial number, as its issuer writes it.
    pub serial: String,
    /// The last moment it holds.
    pub until: Moment,
    key: String,
}

impl Shown {
    /// Reads a certificate; what it is worth is another question.
    fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(str::to_owned);
        let name = name.unwrap_or_else(|| subject.to_string());
        Some(Self {
            name: name.chars().filter(|c| !c.is_control()).take(limits::NAME_CHARS).collect(),
            serial: certificate.raw_serial_as_string(),
            until: Moment(certificate.validity().not_after.timestamp().saturating_mul(1_000)),
            key: hex::encode(seal::sha256(&[certificate.public_key().raw])),
        })
    }

    /// What an account is bound to: the digest of its public key. A certificate that is renewed for the same key stays
    /// bound.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    fn words(&self) -> String {
        format!("{}，序列号 {}，有效至 {}", self.name, self.serial, self.until.day())
    }
}

/// What is trusted, ready to judge.
pub struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    digest: [u8; 32],
    /// The authorities.
    pub authorities: Vec<Shown>,
    /// When the next list of what was revoked is due, for each there is, and how many it names.
    pub lists: Vec<(Option<Moment>, usize)>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").field("authorities", &self.authorities).finish_non_exhaustive()
    }
}

impl Trust {
    fn of(authorities: &str, revoked: &str) -> Result<Self> {
        let unread = |what: &str| Error::invalid(format!("没有保存：{what}读不出来。请贴入 PEM 格式的全文（含 BEGIN 和 END 两行）。"));
        let ders = CertificateDer::pem_slice_iter(authorities.as_bytes()).collect::<Result<Vec<_>, _>>();
        let ders = ders.ok().filter(|all| !all.is_empty()).ok_or_else(|| unread("CA 证书"))?;
        if ders.len() > limits::AUTHORITIES {
            return Err(Error::invalid(format!("没有保存：CA 证书最多 {} 张。", limits::AUTHORITIES)));
        }
        let mut roots = RootCertStore::empty();
        let mut shown = Vec::new();
        for der in ders {
            shown.push(Shown::of(&der).ok_or_else(|| unread("CA 证书"))?);
            roots.add(der).map_err(|e| unread("CA 证书").with_detail(e))?;
        }
        let crls = CertificateRevocationListDer::pem_slice_iter(revoked.as_bytes()).collect::<Result<Vec<_>, _>>();
        let crls = crls.map_err(|e| unread("吊销列表（CRL）").with_detail(e))?;
        if crls.is_empty() && !revoked.trim().is_empty() {
            return Err(unread("吊销列表（CRL）"));
        }
        let lists = crls.iter().map(|der| list(der).ok_or_else(|| unread("吊销列表（CRL）")));
        let lists = lists.collect::<Result<Vec<_>>>()?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .with_crls(crls)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .allow_unauthenticated()
            .build()
            .map_err(|e| unread("CA 证书或吊销列表").with_detail(e))?;
        Ok(Self { verifier, digest: digest(authorities, revoked), authorities: shown, lists })
    }

    /// What asks for certificates of these authorities, and proves that their keys are there.
    pub fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// What a certificate is worth at a moment.
    fn judge(&self, brought: &Brought, now: Moment) -> Result<Shown> {
        let refused = |why: &str| Error::invalid(format!("浏览器出示的证书不能使用：{why}。"));
        let (own, between) = brought.split_first().ok_or_else(|| refused("是空的"))?;
        if between.len() > limits::CERTIFICATES_BETWEEN {
            return Err(refused("证书链太长"));
        }
        let at = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.0).unwrap_or(0)));
        self.verifier
            .verify_client_cert(own, between, at)
            .map_err(|e| refused(reason(&e)).with_detail(e))?;
        Shown::of(own).ok_or_else(|| refused("格式不能识别"))
    }
}

fn list(der: &[u8]) -> Option<(Option<Moment>, usize)> {
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    let next = list.next_update().map(|at| Moment(at.timestamp().saturating_mul(1_000)));
    Some((next, list.iter_revoked_certificates().count()))
}

fn reason(e: &TlsError) -> &'static str {
    let TlsError::InvalidCertificate(e) = e else { return "格式不能识别" };
    match e {
        CertificateError::Revoked => "已被签发机构吊销",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "已过有效期",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "还没有到生效日期",
        CertificateError::UnknownIssuer => "不是本系统认可的机构签发的",
        _ => "没有通过核验",
    }
}

fn digest(authorities: &str, revoked: &str) -> [u8; 32] {
    seal::sha256(&[authorities.as_bytes(), b"\0", revoked.as_bytes()])
}

/// Some authority is trusted, as of a transaction.
pub(super) fn is_set(txn: &Txn<'_>) -> Result<bool> {
    Ok(txn.kept(&name())?.is_some_and(|fields| !stored(&fields).0.is_empty()))
}

/// An authority that was trusted is not any more.
fn lacks_some(before: &str, after: &str) -> bool {
    let read = |text: &str| -> Vec<Vec<u8>> {
        let all = CertificateDer::pem_slice_iter(text.as_bytes());
        all.filter_map(|one| one.ok().map(|der| der.to_vec())).collect()
    };
    let after = read(after);
    read(before).iter().any(|one| !after.contains(one))
}

/// Nobody's way in is taken by one person: whoever sets it shows the certificate that the own account has, and no other
/// of the three may have nothing but a certificate while an authority goes.
fn depends(txn: &Txn<'_>, actor: &Actor, own: Option<&str>, fewer: bool) -> Result<()> {
    for one in administrators(txn)? {
        let bound = one.fields.text(of_account::CERTIFICATE);
        if one.id == actor.account {
            if !bound.is_empty() && !has_code(&one) && own != Some(bound) {
                return Err(Error::invalid(NOT_OWN));
            }
        } else if fewer && !bound.is_empty() && !has_code(&one) {
            return Err(Error::invalid(
                "没有保存：另有管理员只能用证书登录，撤掉原来的 CA 后他就进不来了。请保留原来的 CA，或请他先在“动态码”页启用动态码。",
            ));
        }
    }
    Ok(())
}

/// Accounts of the three administrators that are in use.
pub(super) fn administrators(books: &dyn Books) -> Result<Vec<Record>> {
    let ids = books.standing(&account::KIND, RecordId(0), 1)?;
    let all = ids.into_iter().map(|id| books.open(id)).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().filter(|a| account::is_administrator(&a.fields)).collect())
}

fn name() -> String {
    format!("{}certificates", fact::POLICY)
}

/// What is trusted, as stored: the authorities, and what they revoked.
fn stored(fields: &Fields) -> (&str, &str) {
    (fields.text(tag::AUTHORITIES), fields.text(tag::REVOKED))
}

/// What the page shows.
pub struct TrustPage {
    /// Authorities in PEM.
    pub authorities: String,
    /// Lists of what was revoked, in PEM.
    pub revoked: String,
    /// The same, read; `None` when nothing is trusted.
    pub trust: Option<Arc<Trust>>,
    /// Whoever looks may set it.
    pub may_set: bool,
}

impl App {
    /// What is trusted at this moment; `None` when no certificate is asked for.
    pub fn trust(&self) -> Result<Option<Arc<Trust>>> {
        let fields = self.store.read()?.kept(&name())?.unwrap_or_default();
        let (authorities, revoked) = stored(&fields);
        let mut held = lock(&self.trust);
        if authorities.is_empty() {
            *held = None;
        } else if held.as_ref().is_none_or(|t| t.digest != digest(authorities, revoked)) {
            *held = Some(Arc::new(Trust::of(authorities, revoked)?));
        }
        Ok(held.clone())
    }

    /// A certificate that a connection brought, if it is good now.
    ///
    /// # Errors
    /// `Invalid`, with why, when it is not.
    pub fn judge_certificate(&self, brought: Option<&Brought>) -> Result<Option<Shown>> {
        // Whoever brings none has nothing to do with what is trusted, not even where that cannot be read.
        let Some(brought) = brought else { return Ok(None) };
        let Some(trust) = self.trust()? else { return Ok(None) };
        trust.judge(brought, self.now()).map(Some)
    }

    /// What is trusted, for the three administrators.
    pub fn trust_page(&self, actor: &Actor) -> Result<TrustPage> {
        if !account::ADMINISTRATORS.iter().any(|role| actor.is(role)) {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let fields = self.store.read()?.kept(&name())?.unwrap_or_default();
        let (authorities, revoked) = stored(&fields);
        Ok(TrustPage {
            authorities: authorities.to_owned(),
            revoked: revoked.to_owned(),
            trust: self.trust()?,
            may_set: actor.is("secadmin"),
        })
    }

    /// Sets it; `brought` is the certificate of who does. Without authorities none is asked for any more.
    pub fn set_trust(
        &self,
        actor: &Actor,
        (authorities, revoked): (&str, &str),
        brought: Option<&Brought>,
    ) -> Result<()> {
        if !actor.is("secadmin") {
            return Err(self.refused(actor, &account::KIND, RecordId(0)));
        }
        let (authorities, revoked) = (authorities.trim().to_owned(), revoked.trim().to_owned());
        if [&authorities, &revoked].iter().any(|text| text.contains("PRIVATE KEY")) {
            return Err(Error::invalid("没有保存：贴入的内容里有私钥。私钥不能交给任何系统，请只贴入证书；这把私钥应视为已泄露。"));
        }
        if authorities.len() + revoked.len() > limits::TRUST_BYTES {
            let most = limits::TRUST_BYTES >> 10;
            return Err(Error::invalid(format!("没有保存：CA 证书和吊销列表合计最多 {most} KB。请只贴入需要的证书和最新的列表。")));
        }
        let trust = if authorities.is_empty() { None } else { Some(Trust::of(&authorities, &revoked)?) };
        let own = match (&trust, brought) {
            (_, None) => None,
            (None, Some(_)) => return Err(Error::invalid(NOT_OWN)),
            (Some(trust), Some(brought)) => {
                Some(trust.judge(brought, self.now()).map_err(|_| Error::invalid(NOT_OWN))?.key)
            }
        };
        actor.proved()?;
        let note = match &trust {
            Some(t) => {
                let (all, lists) = (t.authorities.len(), t.lists.len());
                format!("authorities {all} lists {lists} of {}", hex::encode(&t.digest[..8]))
            }
            None => "authorities 0 lists 0".to_owned(),
        };
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !record::live(txn, &actor)?.is("secadmin") {
                return Err(Error::denied());
            }
            if authorities.is_empty() && super::policy::Policy::of_txn(txn)?.asks_certificates() {
                return Err(Error::invalid("没有保存：登录安全策略还要求用证书登录。请先在登录安全策略中取消这项要求。"));
            }
            let before = txn.kept(&name())?.unwrap_or_default();
            depends(txn, &actor, own.as_deref(), lacks_some(stored(&before).0, &authorities))?;
            let fields = Fields::default().with_text(tag::AUTHORITIES, authorities).with_text(tag::REVOKED, revoked);
            txn.keep(&name(), &fields)?;
            txn.act(Act::new(actor.doer(), act::TRUST).note(note));
            Ok(())
        })
    }

    /// Binds the certificate of this connection to one's own account.
    pub fn bind_certificate(&self, live: &Live, typed: &Typed, shown: Option<&Shown>) -> Result<()> {
        let shown = shown.ok_or_else(|| Error::invalid(NONE_HERE))?;
        let (key, words) = (shown.key.clone(), shown.words());
        self.change_certificate(live, typed, move |txn, account| {
            if has_certificate(account) {
                return Err(Error::invalid("没有绑定：您的账户已经绑定了证书。请先解除，再绑定新的。"));
            }
            if txn.find(&account::KIND, of_account::CERTIFICATE, &key)?.iter().any(|id| *id != account.id) {
                return Err(Error::invalid("没有绑定：这张证书已经绑定了另一个账户。"));
            }
            account.fields.insert(of_account::CERTIFICATE, Value::Text(key));
            account.fields.insert(of_account::CERTIFICATE_OF, Value::Text(words));
            Ok(act::CERTIFICATE)
        })
    }

    /// Takes it off, unless the policy asks for it.
    pub fn drop_certificate(&self, live: &Live, typed: &Typed) -> Result<()> {
        // A password that stands alone again is as long as the policy asks of one.
        let short = typed.password.chars().count() < self.policy()?.profile.least(false);
        self.change_certificate(live, typed, move |txn, account| {
            let alone_is_short = short && !has_code(account);
            let own = Actor::at(account, "", txn.now(), &charter::of_txn(txn)?);
            let policy = super::policy::Policy::of_txn(txn)?;
            if policy.asks_certificate(&own) || policy.asks(&own) && !has_code(account) {
                return Err(Error::invalid(KEPT));
            }
            if alone_is_short {
                return Err(Error::invalid(SHORT));
            }
            account.fields.remove(of_account::CERTIFICATE);
            account.fields.remove(of_account::CERTIFICATE_OF);
            Ok(act::CERTIFICATE_OFF)
        })
    }

    /// Changes what certificate one's own account has, with password and, where there is one, a code.
    fn change_certificate(
        &self,
        live: &Live,
        typed: &Typed,
        change: impl FnOnce(&Txn<'_>, &mut Record) -> Result<act::Action> + Send + 'static,
    ) -> Result<()> {
        let wrong = || Error::invalid(WRONG);
        let (actor, id) = (live.actor.clone(), live.actor.account);
        let account = self.store.read()?.get(id, false)?.ok_or_else(Error::denied)?;
        let coded = has_code(&account) && live.certificate.is_none();
        let code = coded.then(|| typed.code.as_deref().unwrap_or_default());
        let (checked, proof) = self.myself(&actor, &typed.password, code)?.ok_or_else(wrong)?;
        self.store.submit(move |txn| {
            record::live(txn, &actor)?;
            let mut account = login::unchanged(txn, &checked)?.ok_or_else(wrong)?;
            let (version, mut seen) = (account.version, Seen::of_txn(txn, id)?);
            if let Some(proof) = proof {
                if matches!(proof.spend(&mut account, &mut seen, txn.now()), Spent::Nothing) {
                    return Err(wrong());
                }
                seen.keep(txn, id)?;
            }
            let action = change(txn, &mut account)?;
            account.version = version + 1;
            account.updated = txn.now();
            txn.act(Act::new(actor.doer(), action));
            txn.update_at_rest(account)
        })
    }
}
