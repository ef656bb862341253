//! Keys of a backup: age for secrecy, Ed25519 for where it comes from, and the key file a person keeps.
//!
//! * Every file is encrypted to all recipients and to one identity that lives in memory for the length of a
//!   run: with it the run reads back what it wrote. Nobody else ever holds that identity.
//! * age does not say who wrote a file; the manifest's signature does (`manifest`).
//! * A private key is never printed, never part of an error, and written only by [`keygen`].
//!
//! Which keys are asked for, and which signer is believed, is decided by the callers.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use age::{DecryptError, Decryptor, Encryptor};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::{flawed, read_failed, write_failed};
use crate::base::{Error, Moment, Result, limits};
use crate::store::{self, Snapshot, fact, seal};

/// Bytes of a key file at most; the real ones have under 1,000.
const KEY_FILE_BYTES: u64 = 64 << 10;
/// Bytes of an age header at most that are looked at.
const HEADER_BYTES: u64 = 256 << 10;
/// Bytes of what [`seal_to`] seals, at most.
const SEALED_BYTES: u64 = 4096;
/// Bytes read at once where nothing but a digest is wanted.
const PIECE: usize = 256 << 10;
const PRIVATE_PREFIX: &str = "AGE-SECRET-KEY-";
const STANZA: &str = "-> X25519 ";
const HEADER_END: &str = "---";

/// The county's signing public key (Ed25519).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signer([u8; 32]);

impl Signer {
    /// What people compare: the first 16 hex digits of SHA-256 of the key, in groups of four.
    pub fn fingerprint(&self) -> String {
        let hex = hex::encode(&seal::sha256(&[&self.0])[..8]);
        [&hex[..4], &hex[4..8], &hex[8..12], &hex[12..]].join("-")
    }

    /// Whether `text`, as a person types it, names this key: the key in base64, or its fingerprint.
    pub fn is_called(&self, text: &str) -> bool {
        let plain = |t: &str| t.replace(['-', ' ', ':'], "").to_lowercase();
        text.parse() == Ok(*self) || plain(text) == plain(&self.fingerprint())
    }

    /// The 32 bytes.
    pub(super) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// A key from its bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Whether the key made this signature over these bytes.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

/// Base64 of the 32 bytes.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl FromStr for Signer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = BASE64.decode(text.trim()).map_err(drop)?;
        bytes.try_into().map(Self).map_err(drop)
    }
}

/// The county's signing public key, from its store.
pub fn signer_of(snapshot: &Snapshot) -> Result<Signer> {
    public_half(&signing_key(snapshot)?)
}

/// The signature over `message` by the county's key, with the key's public half.
pub(super) fn sign(snapshot: &Snapshot, message: &[u8]) -> Result<(Vec<u8>, Signer)> {
    let pair = signing_key(snapshot)?;
    Ok((pair.sign(message).as_ref().to_vec(), public_half(&pair)?))
}

fn signing_key(snapshot: &Snapshot) -> Result<Ed25519KeyPair> {
    let seed = snapshot.secret(fact::SIGNING_KEY)?;
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(Error::internal)
}

fn public_half(pair: &Ed25519KeyPair) -> Result<Signer> {
    pair.public_key().as_ref().try_into().map(Signer).map_err(Error::internal)
}

/// A person's backup key: the private half opens backups, the signer says whose backups to believe.
pub struct KeyFile {
    identity: Identity,
    /// The public half, `age1…`: what backups are encrypted to.
    pub recipient: String,
    /// The county whose manifests are believed, when the file names one.
    pub signer: Option<Signer>,
}

impl KeyFile {
    /// Reads a key file; comments, blank lines and the order of lines do not matter.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut text = Zeroizing::new(String::new());
        let file = File::open(path).and_then(|f| f.take(KEY_FILE_BYTES).read_to_string(&mut text));
        file.map_err(|e| {
            Error::invalid(format!("读不到备份密钥文件 {name}。请检查路径和权限。")).with_detail(e)
        })?;
        Self::parse(&text).ok_or_else(|| {
            let key = "一行完整的 AGE-SECRET-KEY-1…";
            Error::invalid(format!(
                "{name} 不是备份密钥文件：其中没有{key}。请换用 jiceng backup keygen 生成的文件。"
            ))
        })
    }

    /// The same from the text of such a file.
    pub fn of_text(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| Error::invalid("这不是密钥文件：其中没有一行完整的 AGE-SECRET-KEY-1…。"))
    }

    /// Opens what [`seal_to`] made for this key; `None` when it was for another one, or is damaged.
    pub fn open_sealed(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain = Zeroizing::new(Vec::new());
        let opened = decrypt(sealed, &self.identity, "").ok()?;
        opened.take(SEALED_BYTES).read_to_end(&mut plain).ok()?;
        Some(plain)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines = || text.lines().map(|l| l.trim().trim_start_matches('\u{FEFF}'));
        let identity = lines().find(|l| l.starts_with(PRIVATE_PREFIX))?;
        let identity = Identity::from_str(identity).ok()?;
        let signer = lines().find_map(|l| l.trim_start_matches(['#', ' ']).strip_prefix("signer:"));
        Some(Self {
            recipient: identity.to_public().to_string(),
            signer: signer.and_then(|s| s.parse().ok()),
            identity,
        })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Makes a new backup key and writes it to `out`, which must not exist yet; with the signer to believe, when
/// known.
pub fn keygen(out: &Path, signer: Option<Signer>, now: Moment) -> Result<KeyFile> {
    if out.exists() {
        let name = out.display();
        return Err(Error::invalid(format!(
            "{name} 已存在，不会覆盖：里面可能是正在使用的密钥。请换一个文件名。"
        )));
    }
    let identity = Identity::generate();
    let key = KeyFile { recipient: identity.to_public().to_string(), signer, identity };
    let text = Zeroizing::new(key_text(&key, now));
    store::write_new(out, text.as_bytes()).map_err(|e| {
        let message = format!("不能写入 {}。请检查上级目录是否存在、是否可写，以及磁盘空间。", out.display());
        Error::invalid(message).with_detail(e)
    })?;
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()?;
    Ok(key)
}

fn key_text(key: &KeyFile, now: Moment) -> String {
    let private = key.identity.to_string();
    let mut text = format!(
        "# jiceng backup key 备份密钥，生成于 {now}（北京时间）\n\
         # 凭此文件可以打开备份中的全部内容。请离线保存，不要放在服务器上，不要发送给他人。\n\
         # 丢失后无法补发：请与其他保管人分别保管，每半年用它核对一次备份。\n\
         # recipient: {}\n",
        key.recipient
    );
    if let Some(signer) = &key.signer {
        text.push_str(&format!("# signer: {signer}\n# 签名指纹: {}\n", signer.fingerprint()));
    }
    text.push_str(private.expose_secret());
    text.push('\n');
    text
}

/// A short text that only the holder of a recipient's private key can open.
pub fn seal_to(to: &str, plain: &[u8]) -> Result<Vec<u8>> {
    let to = recipient(to.trim())?;
    let encryptor = Encryptor::with_recipients([&to as &dyn age::Recipient].into_iter()).map_err(Error::internal)?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(Error::internal)?;
    writer.write_all(plain).and_then(|()| writer.finish()).map_err(Error::internal)?;
    Ok(sealed)
}

/// What people compare of a recipient: the first 16 hex digits of SHA-256 of the text `age1…`, in groups of four.
pub fn key_print(recipient: &str) -> String {
    let hex = hex::encode(&seal::sha256(&[recipient.as_bytes()])[..8]);
    [&hex[..4], &hex[4..8], &hex[8..12], &hex[12..]].join("-")
}

/// Who can open what a run writes.
pub(super) struct Readers {
    recipients: Vec<Recipient>,
    own: Identity,
}

impl Readers {
    /// Checks what was configured: known keys, distinct, not too few.
    pub(super) fn parse(texts: &[String]) -> Result<Self> {
        let mut recipients: Vec<Recipient> = Vec::new();
        for text in texts.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
            let recipient = recipient(text)?;
            if !recipients.iter().any(|r| r.to_string() == recipient.to_string()) {
                recipients.push(recipient);
            }
        }
        let (have, least) = (recipients.len(), limits::RECIPIENTS_MIN);
        if have < least {
            return Err(Error::invalid(format!(
                "备份至少要有 {least} 把不同的接收密钥（现有 {have} 把），没有写入任何内容。请另请一位保管人运行 \
                 jiceng backup keygen，再用 --recipient 加上其 age1… 公钥。"
            )));
        }
        Ok(Self { recipients, own: Identity::generate() })
    }

    /// The recipients as text.
    pub(super) fn names(&self) -> Vec<String> {
        self.recipients.iter().map(ToString::to_string).collect()
    }

    /// The identity of this run.
    pub(super) fn own(&self) -> &Identity {
        &self.own
    }

    /// An encrypting writer; what it gets is whole only after its `finish`.
    pub(super) fn encrypt<W: Write>(&self, out: W) -> Result<StreamWriter<W>> {
        let own = self.own.to_public();
        let all = self.recipients.iter().chain([&own]).map(|r| r as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(all).map_err(Error::internal)?;
        encryptor.wrap_output(out).map_err(write_failed)
    }

    /// Refuses a written file whose header does not name every recipient and this run.
    pub(super) fn check_header(&self, path: &Path) -> Result<()> {
        let found = stanzas(File::open(path)?)?;
        let expected = self.recipients.len() + 1;
        if found == expected {
            Ok(())
        } else {
            Err(Error::internal(format!("{found} of {expected} stanzas")))
        }
    }
}

fn recipient(text: &str) -> Result<Recipient> {
    if text.to_uppercase().starts_with(PRIVATE_PREFIX) {
        let message =
            "接收密钥处填的是私钥。请只填 age1… 开头的公钥；这把私钥已经暴露在命令行中，请重新生成一把。";
        return Err(Error::invalid(message));
    }
    Recipient::from_str(text).map_err(|why| {
        let message =
            format!("接收密钥 {text} 无效。请从 jiceng backup keygen 的输出中完整复制 age1… 一行。");
        Error::invalid(message).with_detail(why)
    })
}

/// How many recipients the header of an age file names.
fn stanzas(file: File) -> Result<usize> {
    let mut count = 0;
    for line in BufReader::new(file.take(HEADER_BYTES)).split(b'\n') {
        let line = line?;
        if line.starts_with(HEADER_END.as_bytes()) {
            break;
        }
        count += usize::from(line.starts_with(STANZA.as_bytes()));
    }
    Ok(count)
}

/// A decrypting reader over the file called `name`.
pub(super) fn decrypt<R: BufRead>(input: R, identity: &Identity, name: &str) -> Result<StreamReader<R>> {
    let opened =
        Decryptor::new_buffered(input).and_then(|d| d.decrypt([identity as &dyn age::Identity].into_iter()));
    opened.map_err(|e| match e {
        DecryptError::NoMatchingKeys => Error::invalid(format!(
            "这把密钥打不开备份文件 {name}：备份不是加密给它的。请换用备份时登记的密钥文件，没有写入任何内容。"
        )),
        DecryptError::Io(e) => read_failed(name, e),
        other => flawed(name, "加密头不完整").with_detail(other),
    })
}

/// Counts and digests what flows through it, either way.
pub(super) struct Metered<T> {
    inner: T,
    digest: aws_lc_rs::digest::Context,
    bytes: u64,
}

/// Length and SHA-256 of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes.
    pub(super) bytes: u64,
    /// SHA-256.
    pub(super) sha256: [u8; 32],
}

impl<T> Metered<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, digest: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256), bytes: 0 }
    }

    /// What has flowed so far.
    pub(super) fn stamp(&self) -> Stamp {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.clone().finish().as_ref());
        Stamp { bytes: self.bytes, sha256 }
    }

    pub(super) fn into_inner(self) -> T {
        self.inner
    }

    fn note(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<W: Write> Write for Metered<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.note(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Metered<R> {
    /// Reads to the end.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            match self.read(&mut piece) {
                Ok(0) => return Ok(()),
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
        }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.note(&buf[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_comes_back_and_is_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.key");
        let signer = Signer([7; 32]);
        let key = keygen(&path, Some(signer), Moment(1_790_000_000_000)).unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let back = KeyFile::read(&path).unwrap();
        assert_eq!((back.recipient.as_str(), back.signer), (key.recipient.as_str(), Some(signer)));
        assert!(keygen(&path, None, Moment(0)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        let messy = format!("\u{FEFF}\r\n  {}\r\n", before.replace('\n', "\r\n"));
        assert_eq!(KeyFile::parse(&messy).unwrap().signer, Some(signer));
        assert!(KeyFile::parse("# recipient: age1\n").is_none());
    }

    #[test]
    fn recipients_are_distinct_valid_and_public() {
        let [a, b] = [0, 1].map(|_| Identity::generate());
        let public = |i: &Identity| i.to_public().to_string();
        assert!(Readers::parse(&[public(&a), public(&b)]).is_ok());
        assert!(Readers::parse(&[public(&a), format!(" {} ", public(&a))]).is_err());
        assert!(Readers::parse(&[public(&a), "age1nonsense".into()]).is_err());
        let private = a.to_string().expose_secret().to_owned();
        let refused = Readers::parse(&[public(&b), private.clone()]).err().unwrap();
        assert!(!format!("{refused:?}").contains(&private));
    }

    #[test]
    fn what_is_sealed_to_a_recipient_opens_with_its_private_key_alone() {
        let home = tempfile::tempdir().unwrap();
        let [own, other] = ["a", "b"].map(|n| keygen(&home.path().join(n), None, Moment(0)).unwrap());
        let sealed = seal_to(&own.recipient, b"word").unwrap();
        assert_eq!(own.open_sealed(&sealed).unwrap().as_slice(), b"word");
        assert!(other.open_sealed(&sealed).is_none() && seal_to("age1nonsense", b"word").is_err());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(own.open_sealed(&flipped).is_none_or(|plain| plain.as_slice() == b"word"), "{at}");
        }
    }

    #[test]
    fn a_signer_is_called_by_key_or_fingerprint() {
        let signer = Signer([9; 32]);
        let print = signer.fingerprint();
        assert_eq!(print.len(), 19);
        for name in [signer.to_string(), print.clone(), print.to_uppercase().replace('-', " ")] {
            assert!(signer.is_called(&name), "{name}");
        }
        for name in ["", "0000-0000-0000-0000", &print[..14], &Signer([8; 32]).to_string()] {
            assert!(!signer.is_called(name), "{name}");
        }
    }
}
