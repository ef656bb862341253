//! The server's certificate: the county's own by two paths, or a self-signed one made at first start. Its key lies in
//! the data folder but outside the store, so that even a store that cannot be opened can say so over HTTPS. People may
//! bring certificates of their own, once an authority is trusted.
//!
//! TLS 1.3 alone: every browser that the pages are made for speaks it, and nothing of it is weak. Only where people
//! bring certificates 1.2 is taken as well: software of older UKeys cannot sign otherwise.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig, SignatureScheme, version,
};

use crate::app::ukey::Trust;
use crate::base::config::Tls;
use crate::base::{Error, Moment, Result, limits};
use crate::store::{seal::sha256, write_new};

const DAY_MS: i64 = 86_400_000;

/// A TLS configuration and what its certificate looks like from outside.
pub struct Certificate {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    /// SHA-256 over the certificate, `AB:CD:…`.
    pub fingerprint: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Loads the own certificate, or the self-signed one of the data folder, making it if need be.
pub fn load(dir: &Path, own: Option<&Tls>, now: Moment) -> Result<Certificate> {
    if let Some(tls) = own {
        return read(&tls.certificate, &tls.key);
    }
    let folder = dir.join("tls");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if !certificate.exists() {
        std::fs::create_dir_all(&folder)?;
        make(&certificate, &key, now)?;
    }
    read(&certificate, &key)
}

fn make(certificate: &Path, key: &Path, now: Moment) -> Result<()> {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(Some(host.trim().to_owned()).filter(|h| !h.is_empty() && h.is_ascii()));
    let mut params = rcgen::CertificateParams::new(names).map_err(Error::internal)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, "jiceng");
    let pair = rcgen::KeyPair::generate().map_err(Error::internal)?;
    // A day earlier, for machines whose clock is behind.
    params.not_before = utc(now.0 - DAY_MS)?;
    params.not_after = utc(now.0 + limits::CERTIFICATE_DAYS * DAY_MS)?;
    let signed = params.self_signed(&pair).map_err(Error::internal)?;
    if key.exists() {
        std::fs::remove_file(key)?;
    }
    write_new(key, pair.serialize_pem().as_bytes())?;
    write_new(certificate, signed.pem().as_bytes())
}

fn utc(ms: i64) -> Result<time::OffsetDateTime> {
    time::OffsetDateTime::from_unix_timestamp(ms / 1000).map_err(Error::internal)
}

fn read(certificate: &Path, key: &Path) -> Result<Certificate> {
    let unreadable = |path: &Path| Error::usage(format!("证书或私钥 {} 读不出来，请检查路径和格式（PEM）。", path.display()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(certificate).with_detail(e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(key).with_detail(e))?;
    let first = chain.first().ok_or_else(|| unreadable(certificate))?;
    let fingerprint = sha256(&[first]).map(|b| format!("{b:02X}")).join(":");
    let mut config = ServerConfig::builder_with_protocol_versions(&[&version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain.clone(), private.clone_key())
        .map_err(|e| Error::usage("证书与私钥不配套，请检查配置。").with_detail(e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate { config: Arc::new(config), fingerprint, chain, key: private })
}

impl Certificate {
    /// The same for connections that may bring certificates of people. Whatever comes is let in, so that a page can say
    /// what is wrong with it: that its key is there is proved here, what it is worth is asked at each request. Nothing
    /// is resumed: whoever pulls a UKey out opens no other connection.
    pub fn asking(&self, trust: &Trust) -> Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder()
            .with_client_cert_verifier(Arc::new(Asks(Arc::clone(trust.verifier()))))
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(Error::internal)?;
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// Asks for a certificate, with the names of the authorities that are trusted, and takes any or none.
#[derive(Debug)]
struct Asks(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Asks {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::{CipherSuite, NamedGroup};

    use super::*;

    /// ASVS 11.2.3, 11.6.1, 11.6.2, 12.1.2
    #[test]
    fn only_what_is_strong_is_offered_and_every_key_is_of_the_moment() {
        let dir = tempfile::tempdir().unwrap();
        let made = load(dir.path(), None, Moment(1_790_000_000_000)).unwrap();
        let provider = made.config.crypto_provider();
        // The key of a connection comes of a fresh exchange over curves, or over curves and lattices.
        for group in &provider.kx_groups {
            use NamedGroup::{X25519, X25519MLKEM768, secp256r1, secp384r1};
            assert!([X25519, X25519MLKEM768, secp256r1, secp384r1].contains(&group.name()), "{:?}", group.name());
        }
        let newest = provider.cipher_suites.iter().filter(|s| s.tls13().is_some()).map(|s| s.suite());
        let newest: Vec<CipherSuite> = newest.collect();
        for suite in &newest {
            use CipherSuite::{
                TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
            };
            let strong = [TLS13_AES_256_GCM_SHA384, TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256];
            assert!(strong.contains(suite), "{suite:?}");
        }
        assert!(!newest.is_empty());
        assert_eq!(made.config.alpn_protocols, [b"http/1.1".to_vec()]);
        assert!(made.config.max_early_data_size == 0, "what comes early can come twice");
        // Another folder, another key.
        let other = tempfile::tempdir().unwrap();
        assert_ne!(load(other.path(), None, Moment(1_790_000_000_000)).unwrap().fingerprint, made.fingerprint);
        let key = std::fs::read_to_string(dir.path().join("tls/key.pem")).unwrap();
        assert!(key.contains("PRIVATE KEY") && key.len() < 400, "a key over the curve P-256");
    }
}
