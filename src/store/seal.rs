//! Sealing: AES-256-GCM under a key of one's own, a fresh random nonce for every value, and associated data that binds
//! a value to its place. Nothing here is invented: one AEAD, one hash, one HMAC, all from one provider.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf, hmac, rand};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::base::{Error, Result};

/// Bytes of a nonce.
const NONCE: usize = 12;
/// Bytes of a tag.
const TAG: usize = 16;

/// A secret of 32 bytes that is wiped when dropped and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new random secret.
    pub fn random() -> Result<Self> {
        random().map(Self)
    }

    /// A secret from its bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        bytes.try_into().map(Self).map_err(|_| Error::damaged("密钥长度"))
    }

    /// The bytes, for wrapping and archives only.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Another secret that follows from this one and says nothing of it: HKDF-Expand with SHA-256 (RFC 5869).
    pub fn derived(&self, purpose: &[u8]) -> Result<Self> {
        let wrong = |_| Error::internal("derive");
        let key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &self.0);
        let mut out = Self([0; 32]);
        key.expand(&[purpose], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut out.0)).map_err(wrong)?;
        Ok(out)
    }

    /// `nonce ‖ ciphertext ‖ tag` of `plain`, bound to `aad`.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random()?;
        let mut out = Vec::with_capacity(NONCE + plain.len() + TAG);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key()?.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out[NONCE..]);
        out.extend_from_slice(tag.map_err(|_| Error::internal("seal"))?.as_ref());
        Ok(out)
    }

    /// The plain bytes of what [`Secret::seal`] made; `None` when key, place or bytes are not the same.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let plain = self.key().ok()?.open_in_place(nonce, Aad::from(aad), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }

    /// A secret that was sealed under this one.
    pub fn open_secret(&self, aad: &[u8], sealed: &[u8]) -> Option<Self> {
        let plain = Zeroizing::new(self.open(aad, sealed)?);
        Self::from_slice(&plain).ok()
    }

    /// One chunk of a stream under a key used for this stream alone: the nonce is the chunk's number and whether it is
    /// the last, so chunks can be neither swapped nor dropped.
    pub fn seal_chunk(&self, number: u64, last: bool, plain: &[u8]) -> Result<Vec<u8>> {
        let mut body = plain.to_vec();
        self.key()?
            .seal_in_place_append_tag(chunk_nonce(number, last), Aad::empty(), &mut body)
            .map_err(|_| Error::internal("seal chunk"))?;
        Ok(body)
    }

    /// Opens what [`Secret::seal_chunk`] made.
    pub fn open_chunk(&self, number: u64, last: bool, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut body = sealed.to_vec();
        let plain = self.key().ok()?.open_in_place(chunk_nonce(number, last), Aad::empty(), &mut body).ok()?.len();
        body.truncate(plain);
        Some(body)
    }

    /// The key of one stream, made ready once for many chunks.
    pub fn stream(&self) -> Result<StreamKey> {
        self.key().map(StreamKey)
    }

    /// Keyed hashes of exact values under this secret.
    pub fn hashes(&self) -> Hashes {
        Hashes(hmac::Key::new(hmac::HMAC_SHA256, &self.0))
    }

    /// A keyed hash over a stream.
    pub fn hasher(&self) -> hmac::Context {
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0))
    }

    fn key(&self) -> Result<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).map(LessSafeKey::new).map_err(|_| Error::internal("key"))
    }
}

/// A key that is used for one stream alone, made ready once. Number and end of a chunk are its nonce, as in
/// [`Secret::seal_chunk`]; what the stream is called is bound in beside them.
pub struct StreamKey(LessSafeKey);

impl StreamKey {
    /// Seals a chunk where it stands and appends the tag.
    pub fn seal(&self, (number, last): (u64, bool), name: &[u8], chunk: &mut Vec<u8>) -> Result<()> {
        let aad = chunk_place(name, number, last);
        let sealed = self.0.seal_in_place_append_tag(chunk_nonce(number, last), Aad::from(aad), chunk);
        sealed.map_err(|_| Error::internal("seal chunk"))
    }

    /// Opens a sealed chunk into `plain`, which is as long as it; `None` when key, number, end, name or bytes differ.
    /// What stands in `plain` then is nothing.
    pub fn open(&self, (number, last): (u64, bool), name: &[u8], sealed: &[u8], plain: &mut [u8]) -> Option<()> {
        let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let aad = chunk_place(name, number, last);
        self.0.open_separate_gather(chunk_nonce(number, last), Aad::from(aad), body, tag, plain).ok()
    }
}

fn chunk_place(name: &[u8], number: u64, last: bool) -> Vec<u8> {
    [name, &number.to_be_bytes(), &[u8::from(last)]].concat()
}

/// Keyed hashes under one secret, made ready once; wiped when dropped.
pub struct Hashes(hmac::Key);

impl Hashes {
    /// First 16 bytes of HMAC-SHA-256.
    pub fn short_hash(&self, bytes: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.0, bytes);
        let mut out = [0; 16];
        out.copy_from_slice(&tag.as_ref()[..16]);
        out
    }
}

/// Bytes that sealing adds to a chunk.
pub const CHUNK_OVERHEAD: usize = TAG;

fn chunk_nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Random bytes from the operating system's generator.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::internal("random generator"))?;
    Ok(bytes)
}

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|p| context.update(p));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 11.3.3, 11.3.5
    #[test]
    fn a_sealed_value_opens_only_in_its_place_and_whole() {
        let key = Secret::random().unwrap();
        let sealed = key.seal(b"here", "内容".as_bytes()).unwrap();
        assert_eq!(key.open(b"here", &sealed).unwrap(), "内容".as_bytes());
        assert!(key.open(b"there", &sealed).is_none());
        assert!(Secret::random().unwrap().open(b"here", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(b"here", &flipped).is_none(), "bit {bit}");
        }
        assert!((0..sealed.len()).all(|cut| key.open(b"here", &sealed[..cut]).is_none()));
    }

    /// ASVS 6.5.3, 11.5.1, 11.5.2
    #[test]
    fn random_bytes_do_not_repeat_however_many_ask_at_once() {
        let draw = || (0..5_000).map(|_| random::<16>().unwrap()).collect::<Vec<_>>();
        let all: Vec<[u8; 16]> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(draw)).collect();
            threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
        });
        let count = all.len();
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), count);
        // Every bit is set about as often as not.
        for bit in 0..128 {
            let set = all.iter().filter(|bytes| bytes[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((count * 45 / 100..count * 55 / 100).contains(&set), "bit {bit}: {set} of {count}");
        }
    }

    #[test]
    fn a_chunk_of_a_stream_opens_only_as_what_it_is() {
        let (key, mut sealed) = (Secret::random().unwrap(), b"chunk".to_vec());
        key.stream().unwrap().seal((3, false), b"file", &mut sealed).unwrap();
        let opens = |key: &Secret, which, name: &[u8], sealed: &[u8]| {
            let mut plain = vec![0; sealed.len().saturating_sub(CHUNK_OVERHEAD)];
            key.stream().unwrap().open(which, name, sealed, &mut plain).map(|()| plain)
        };
        assert_eq!(opens(&key, (3, false), b"file", &sealed).unwrap(), b"chunk");
        assert!(opens(&Secret::random().unwrap(), (3, false), b"file", &sealed).is_none());
        assert!(opens(&key, (2, false), b"file", &sealed).is_none());
        assert!(opens(&key, (3, true), b"file", &sealed).is_none());
        assert!(opens(&key, (3, false), b"fine", &sealed).is_none());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(opens(&key, (3, false), b"file", &flipped).is_none(), "bit {bit}");
        }
        assert!((0..sealed.len()).all(|cut| opens(&key, (3, false), b"file", &sealed[..cut]).is_none()));
    }

    /// ASVS 11.3.4
    #[test]
    fn equal_values_seal_to_different_bytes() {
        let key = Secret::random().unwrap();
        assert_ne!(key.seal(b"", b"x").unwrap(), key.seal(b"", b"x").unwrap());
    }
}
