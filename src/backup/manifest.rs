//! The manifest: what a set holds, signed by the county, encrypted like the data, written last.
//!
//! A signature covers the exact bytes of the JSON text, which travels as a string inside the envelope: no
//! reader ever has to write JSON the way the writer did. Who may sign is the caller's question; here only
//! *whether* it is signed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::crypt::{self, KeyFile, Readers, Signer};
use super::target::Part;
use super::{flawed, read_failed, write_failed};
use crate::base::{Error, ErrorKind, RecordId, Result, limits};
use crate::records::FileRef;
use crate::store::{Purged, Snapshot, Store, fact};

/// The form of sets in which everything is whole.
const WHOLE: u32 = 1;
/// The form of sets that state damaged attachments.
const WITH_DAMAGE: u32 = 2;
/// The form of sets whose attachments lie in the pool, damaged ones or not.
const POOLED: u32 = 3;
const DOMAIN: &[u8] = b"jiceng-manifest-1";
/// Bytes of a manifest at most.
const MANIFEST_BYTES: u64 = 1 << 20;

/// What a store holds at a snapshot, as two stores can be compared by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Id of the store, hex.
    pub store: String,
    /// Counts restores.
    pub epoch: u64,
    /// Entries of the journal.
    pub seq: u64,
    /// Hash of the last of them, hex.
    pub head_hash: String,
    /// Records.
    pub records: u64,
    /// Digest over all of them, hex.
    pub content_root: String,
}

/// What a set is said to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// Id of the set.
    pub set: String,
    /// Name of the county.
    pub county: String,
    /// When it was made, milliseconds since 1970 UTC.
    pub created: i64,
    /// The content.
    #[serde(flatten)]
    pub content: Content,
    /// Attachments that records name and that are whole.
    pub files: u64,
    /// Attachments that were damaged in the store already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
    /// What it needs of the pool; `None` in sets that carry their attachments themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Needs>,
    /// Records whose content was purged, by rising id; with it a restore of an older set purges them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purged: Vec<Purged>,
    /// Name of the data file.
    pub data_file: String,
    /// Its SHA-256, hex.
    pub data_sha256: String,
    /// Its length in bytes.
    pub data_bytes: u64,
    /// Who can open the set.
    pub recipients: Vec<String>,
    /// The newest set that was in the target before.
    pub previous: Option<String>,
    /// Version of the program that wrote it.
    pub program: String,
}

/// What a set needs of the pool of its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Name of the file that lists it; `None` where nothing is needed.
    pub file: Option<String>,
    /// SHA-256 of the list, hex.
    pub root: String,
    /// Attachments.
    pub count: u64,
    /// Bytes of their sealed files.
    pub bytes: u64,
}

/// An attachment that did not open in the store itself when the set was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Damaged {
    /// The record that names it.
    pub record: u64,
    /// Name of its sealed file.
    pub blob: String,
}

/// What a check of a store made from a backup found in it.
pub(super) struct Found {
    /// Attachments that are whole.
    pub(super) files: u64,
    /// Attachments that are not, in order.
    pub(super) damaged: Vec<Damaged>,
}

/// A manifest with its signature, as it is encrypted.
#[derive(Serialize, Deserialize)]
struct Envelope {
    manifest: String,
    signature: String,
    signer: String,
}

impl Content {
    /// The content of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Result<Self> {
        let head = snapshot.head()?;
        let epoch = snapshot.fact_text(fact::EPOCH)?;
        Ok(Self {
            store: snapshot.fact_text(fact::STORE)?,
            epoch: epoch.parse().map_err(|_| Error::damaged("纪元"))?,
            seq: head.seq.0,
            head_hash: hex::encode(head.hash),
            records: snapshot.count()?,
            content_root: hex::encode(snapshot.content_root()?),
        })
    }

    /// Checks a store made from a backup: everything in it but attachments is whole, and it is this content.
    /// Which attachments are whole is told by `whole`; what they are like is for the caller to judge.
    pub(super) fn confirm(&self, store: &Store, whole: &dyn Fn(&FileRef) -> bool) -> Result<Found> {
        let report = store.check_but(whole)?;
        if let Some(problem) = report.problems.first().filter(|_| report.faults > 0) {
            let count = report.faults;
            return Err(unequal(&format!("核对时发现 {count} 处问题，第一处：{problem}")));
        }
        let found = Self::of(&store.read()?)?;
        let counted = (report.records, report.entries) == (self.records, self.seq);
        if found != *self || !counted {
            return Err(unequal("记录数、内容摘要或日志链头与快照不一致")
                .with_detail(format!("{self:?} {found:?} {} {}", report.records, report.entries)));
        }
        Ok(Found { files: report.files, damaged: damaged(report.damaged) })
    }
}

fn damaged(found: BTreeSet<(RecordId, String)>) -> Vec<Damaged> {
    found.into_iter().map(|(record, blob)| Damaged { record: record.0, blob }).collect()
}

pub(super) fn unequal(what: &str) -> Error {
    let message =
        format!("备份不能用于恢复：{what}。请改用另一套备份，并在服务器上运行 jiceng doctor 检查数据。");
    Error::new(ErrorKind::Damaged, message)
}

impl Manifest {
    /// The form of every set that is written today, for [`Manifest::format`].
    pub(super) const FORMAT: u32 = POOLED;

    /// The form that fits what a manifest says.
    fn form(&self) -> u32 {
        match (&self.pool, self.damaged.is_empty()) {
            (Some(_), _) => POOLED,
            (None, true) => WHOLE,
            (None, false) => WITH_DAMAGE,
        }
    }

    /// Signed by the county of the snapshot and encrypted.
    pub(super) fn seal(&self, snapshot: &Snapshot, readers: &Readers) -> Result<Vec<u8>> {
        let manifest = serde_json::to_string(self).map_err(Error::internal)?;
        let (signature, signer) = crypt::sign(snapshot, &message(&manifest))?;
        let envelope = Envelope { manifest, signature: BASE64.encode(signature), signer: signer.to_string() };
        let text = serde_json::to_vec(&envelope).map_err(Error::internal)?;
        let mut writer = readers.encrypt(Vec::new())?;
        writer.write_all(&text).and_then(|()| writer.finish()).map_err(write_failed)
    }

    /// Reads a manifest file: decrypts it and checks its signature, and that it speaks of this set. The
    /// signer is only the one who signed; whether to believe is still open.
    pub(super) fn open(part: &Part, identity: &Identity) -> Result<(Self, Signer)> {
        let length = fs::metadata(&part.path).map_err(|e| read_failed(&part.name, e))?.len();
        if length > MANIFEST_BYTES {
            return Err(flawed(&part.name, "清单过长"));
        }
        let bytes = fs::read(&part.path).map_err(|e| read_failed(&part.name, e))?;
        Self::unseal(&bytes, identity, &part.name)
    }

    /// [`Manifest::open`] for bytes.
    pub(super) fn unseal(bytes: &[u8], identity: &Identity, name: &str) -> Result<(Self, Signer)> {
        let mut text = Vec::new();
        crypt::decrypt(bytes, identity, name)?
            .take(MANIFEST_BYTES)
            .read_to_end(&mut text)
            .map_err(|e| read_failed(name, e))?;
        Self::read(&text).map_err(|why| flawed(name, why))
    }

    fn read(envelope: &[u8]) -> Result<(Self, Signer), &'static str> {
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| "清单内容不可识别")?;
        let signer: Signer = envelope.signer.parse().map_err(|()| "签名公钥不可识别")?;
        let signature = BASE64.decode(&envelope.signature).map_err(|_| "签名不可识别")?;
        if !signer.signed(&message(&envelope.manifest), &signature) {
            return Err("清单的签名不对，内容可能被改动");
        }
        let manifest: Self = serde_json::from_str(&envelope.manifest).map_err(|_| "清单内容不可识别")?;
        if ![WHOLE, WITH_DAMAGE, POOLED].contains(&manifest.format) {
            return Err("清单的格式版本本程序不认识，请用新版程序打开");
        }
        let rising = manifest.damaged.windows(2).all(|w| w[0] < w[1]);
        let fits = manifest.format == manifest.form();
        if !rising || !fits || manifest.damaged.len() > limits::DAMAGED_FILES {
            return Err("清单中的附件一栏不可识别");
        }
        if !manifest.purged.windows(2).all(|w| w[0].record < w[1].record) {
            return Err("清单中的清除一栏不可识别");
        }
        if manifest.pool.as_ref().is_some_and(|p| p.file.is_some() != (p.count > 0)) {
            return Err("清单中的附件一栏不可识别");
        }
        Ok((manifest, signer))
    }
}

/// What a manifest file by itself says its set holds, for whoever has a key: the head in it is one kept outside.
///
/// # Errors
/// Damaged where it does not open, its signature is wrong, or somebody else signed it than the key file names.
pub fn content_of(path: &Path, key: &KeyFile) -> Result<Content> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|e| read_failed(&name, e))?;
    file.take(MANIFEST_BYTES).read_to_end(&mut bytes).map_err(|e| read_failed(&name, e))?;
    let (manifest, signer) = Manifest::unseal(&bytes, key.identity(), &name)?;
    if key.signer.as_ref().is_some_and(|own| *own != signer) {
        return Err(flawed(&name, "清单不是本县签名的"));
    }
    Ok(manifest.content)
}

fn message(manifest: &str) -> Vec<u8> {
    [DOMAIN, manifest.as_bytes()].concat()
}
