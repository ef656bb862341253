//! Certificates of people over real TLS: asked for once an authority is trusted, the second factor of whoever bound
//! one, refused with a page that says why, and never instead of the password.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::county::{County, OWN, Person, SESSION};
use super::passwords::PASSWORD;
use super::wire::{Answer, Versions};

const UNIT: &str = "石鼓岭镇纪委";
const EITHER: Versions = &[&TLS13, &TLS12];
const OLDER: Versions = &[&TLS12];
/// A list that names no certificate of anybody here.
const NOBODY: u64 = 4_000;

/// An authority, and what it issued.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A UKey: a certificate that holds for so many days from now, and its key.
    fn ukey(&self, serial: u64, days: i64, algorithm: &'static SignatureAlgorithm) -> UKey {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("持有人{serial}"));
        params.serial_number = Some(SerialNumber::from(serial));
        let now = OffsetDateTime::from_unix_timestamp(now()).unwrap();
        params.not_before = now - Duration::days(30);
        params.not_after = now + Duration::days(days);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        UKey { certificate, key: key.serialize_der() }
    }

    /// What it revoked, in PEM.
    fn list(&self, serials: &[u64]) -> String {
        let now = OffsetDateTime::from_unix_timestamp(now()).unwrap();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::days(1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(30),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

struct UKey {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn now() -> i64 {
    use jiceng::base::{Clock, clock::SystemClock};
    SystemClock.now().0 / 1_000
}

fn p256(authority: &Authority, serial: u64) -> UKey {
    authority.ukey(serial, 300, &rcgen::PKCS_ECDSA_P256_SHA256)
}

/// A browser with this UKey in the machine.
fn browser(county: &County, login: &str, ukey: &UKey, versions: Versions) -> Person {
    let wire = county.wire().bearing(ukey.certificate.clone(), ukey.key.clone(), versions);
    county.bearing(login, wire)
}

fn trust(secadmin: &Person, authorities: &str, revoked: &str) -> Answer {
    secadmin.get("/policy/certificates").expect(200);
    secadmin.post_form("/policy/certificates", &[("authorities", authorities), ("revoked", revoked), OWN])
}

#[track_caller]
fn bind(person: &Person) -> Answer {
    person.get("/factor").expect(200);
    person.post_form("/factor/certificate", &[OWN])
}

fn policy(secadmin: &Person, certificates: &str) -> Answer {
    let pairs = [("asked", "nobody"), ("profile", "dengbao"), ("networks", ""), ("certificates", certificates)];
    secadmin.post_form("/policy", &pairs)
}

#[test]
fn a_bound_certificate_is_the_second_factor_and_never_the_first() {
    let county = County::bare();
    let (authority, secadmin) = (Authority::new("县区 CA"), county.secadmin());
    let rsa = authority.ukey(11, 300, &rcgen::PKCS_RSA_SHA256);
    // Before anything is trusted none is asked for.
    assert!(!browser(&county, "zhen04", &rsa, EITHER).get("/login").expect(200).says("已出示证书"));
    let typed = [("一段话", "读不出来"), ("-----BEGIN PRIVATE KEY-----", "私钥"), ("证书\n-----BEGIN RSA PRIVATE KEY-----", "私钥")];
    for (typed, why) in typed {
        let page = trust(&secadmin, typed, "").expect(422);
        assert!(page.says(why) && page.says(typed.split('\n').next().unwrap()), "{}", page.text());
    }
    assert!(trust(&secadmin, &authority.pem, "一段话").expect(422).says("吊销列表"));
    trust(&secadmin, &authority.pem, &authority.list(&[NOBODY])).expect(303);
    assert!(secadmin.get("/policy/certificates").expect(200).says("列出 1 张"));
    let keys = [("zhen04", rsa, EITHER), ("zhen05", p256(&authority, 12), OLDER)];
    for (login, ukey, versions) in &keys {
        let person = browser(&county, login, ukey, versions);
        assert!(person.get("/login").expect(200).says("已出示证书：持有人1"));
        person.log_in(PASSWORD).expect(303);
        let wrong = person.post_form("/factor/certificate", &[("own.password", "Wrong-one-26!")]);
        assert!(wrong.expect(422).says("没有改动"));
        assert_eq!(bind(&person).expect(303).location(), "/factor?done=bound");
        assert!(person.get("/factor").expect(200).says("已绑定"));
        assert!(bind(&person).expect(422).says("已经绑定了证书"));
        person.post_form("/logout", &[]).expect(303);
        // Neither opens anything without the other, and a code of nothing is none.
        county.nobody().log_in_as(login, PASSWORD).expect(422);
        person.log_in("Wrong-one-26!").expect(422);
        person.log_in("").expect(422);
        person.log_in(PASSWORD).expect(303);
        person.get("/petition?all=1").expect(200);
        // The session holds on connections that bring it, and no others.
        let cookie = format!("{SESSION}={}", person.cookie(SESSION).unwrap());
        let stolen = county.nobody().own("GET", "/").header("cookie", &cookie);
        assert_eq!(county.wire().send(&stolen).unwrap().location(), "/login");
        person.get("/").expect(200);
    }
    // Another person's certificate of the same authority is worth nothing here.
    let other = browser(&county, "zhen04", &keys[1].1, EITHER);
    other.log_in(PASSWORD).expect(422);
    other.log_in_as("zhen06", PASSWORD).expect(303);
    assert!(bind(&other).expect(422).says("已经绑定了另一个账户"));
    county.restart();
    browser(&county, "zhen04", &keys[0].1, EITHER).log_in(PASSWORD).expect(303);
    county.nobody().log_in_as("zhen04", PASSWORD).expect(422);
    let journal = county.auditor().get("/audit").expect(200);
    for said in ["绑定证书", "设置证书认可范围", "凭证书"] {
        assert!(journal.says(said), "{said}");
    }
    county.is_sound();
}

/// ASVS 12.1.3
#[test]
fn a_certificate_that_does_not_hold_gets_a_page_that_says_why() {
    let county = County::bare();
    let (authority, secadmin) = (Authority::new("县区 CA"), county.secadmin());
    trust(&secadmin, &authority.pem, &authority.list(&[21])).expect(303);
    let revoked = p256(&authority, 21);
    let expired = authority.ukey(22, -1, &rcgen::PKCS_ECDSA_P256_SHA256);
    let foreign = p256(&Authority::new("县区 CA"), 23);
    for (ukey, why) in [(&revoked, "已被签发机构吊销"), (&expired, "已过有效期"), (&foreign, "没有通过核验")] {
        let person = browser(&county, "zhen04", ukey, EITHER);
        for page in [person.get("/login"), person.get("/"), person.log_in(PASSWORD)] {
            let page = page.expect(403);
            assert!(page.says(why) && !page.says("口令"), "{}", page.text());
        }
        assert!(person.cookie(SESSION).is_none());
    }
    // One that is revoked while its person works ends the work at once.
    let ukey = p256(&authority, 24);
    let clerk = browser(&county, "zhen05", &ukey, EITHER);
    clerk.log_in(PASSWORD).expect(303);
    bind(&clerk).expect(303);
    clerk.log_in(PASSWORD).expect(303);
    clerk.get("/").expect(200);
    trust(&secadmin, &authority.pem, &authority.list(&[21, 24])).expect(303);
    assert!(clerk.get("/").expect(403).says("吊销"));
    county.clerk(UNIT).get("/").expect(200);
    county.nobody().log_in_as("zhen05", PASSWORD).expect(422);
}

#[test]
fn the_policy_asks_for_certificates_and_shuts_out_nobody_who_saves_it() {
    let county = County::bare();
    let (authority, secadmin) = (Authority::new("县区 CA"), county.secadmin());
    assert!(policy(&secadmin, "approvers").expect(422).says("还没有设置认可的 CA"));
    trust(&secadmin, &authority.pem, "").expect(303);
    assert!(policy(&secadmin, "approvers").expect(422).says("您自己的账户还没有绑定证书"));
    let [secadmin, auditor, sysadmin] = [("secadmin", 31), ("auditor", 32), ("sysadmin", 33)].map(|(login, serial)| {
        let person = browser(&county, login, &p256(&authority, serial), EITHER);
        person.log_in(PASSWORD).expect(303);
        person
    });
    bind(&secadmin).expect(303);
    // One person does not shut the other two out.
    assert!(policy(&secadmin, "approvers").expect(422).says("还有管理员没有绑定证书"));
    for person in [&auditor, &sysadmin] {
        bind(person).expect(303);
    }
    secadmin.log_in(PASSWORD).expect(303);
    policy(&secadmin, "approvers").expect(303);
    for (authorities, why) in [(String::new(), "也进不来"), (Authority::new("另一 CA").pem, "也进不来")] {
        assert!(trust(&secadmin, &authorities, "").expect(422).says(why));
    }
    // Whoever must have one is led to it, reaches nothing else, and no code stands in for it from then on.
    let head = county.approver(UNIT);
    assert_eq!(head.get("/petition?all=1").expect(303).location(), "/factor");
    let page = head.get("/factor").expect(200);
    assert!(page.says("必须绑定证书") && page.says("浏览器没有出示证书") && !page.says("动态码的二维码"));
    county.clerk(UNIT).get("/petition?all=1").expect(200);
    let login = head.login.clone();
    let head = browser(&county, &login, &p256(&authority, 34), EITHER);
    head.log_in(PASSWORD).expect(303);
    bind(&head).expect(303);
    head.get("/petition?all=1").expect(200);
    assert!(auditor.post_form("/factor/certificate/off", &[OWN]).expect(422).says("不能解除"));
    county.nobody().log_in_as("auditor", PASSWORD).expect(422);
    // A lost one takes two administrators.
    sysadmin.get("/").expect(200);
    let list = sysadmin.get("/account?all=1&size=100").expect(200).text();
    let row = list.split("<tr").find(|l| l.contains(">auditor<")).unwrap();
    let path = row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned();
    assert!(sysadmin.get(&path).expect(200).says("持有人32"));
    sysadmin.post_form(&format!("{path}/factor"), &[]).expect(303);
    super::factor::confirm(&secadmin, &path);
    county.nobody().log_in_as("auditor", PASSWORD).expect(303);
}

/// Whoever takes an authority away could shut those out who have nothing else.
#[test]
fn an_authority_does_not_go_while_another_administrator_has_nothing_but_a_certificate_of_it() {
    let county = County::bare();
    let (authority, secadmin) = (Authority::new("县区 CA"), county.secadmin());
    trust(&secadmin, &authority.pem, "").expect(303);
    let auditor = browser(&county, "auditor", &p256(&authority, 41), EITHER);
    auditor.log_in(PASSWORD).expect(303);
    bind(&auditor).expect(303);
    let other = Authority::new("另一 CA").pem;
    for authorities in ["", &other] {
        assert!(trust(&secadmin, authorities, "").expect(422).says("另有管理员只能用证书登录"));
    }
    trust(&secadmin, &format!("{}{other}", authority.pem), "").expect(303);
    // Without what it was bound by, it can be taken off again by its owner.
    auditor.post_form("/factor/certificate/off", &[OWN]).expect(303);
    trust(&secadmin, "", "").expect(303);
}
