//! What is kept outside of records — drafts of forms, choices of lists, memory of log-ins, policies, requests, how far
//! the set-up is — as sealed facts: values by tag under the store's own key, bound to their name. They come and go with
//! the act that says so, leave no content in the journal but what shows that an earlier one was put back, and are part
//! of every backup. What the tags mean is `app`'s; bytes: `data-format/store.md`.

use std::collections::HashMap;

use super::journal::{Entry, Part};
use super::seal::sha256;
use super::tables::META;
use super::{Shared, Snapshot, damage, fact, view};
use crate::base::{Error, RecordId, Result, Seq};
use crate::records::{Fields, FileRef};

/// Names below which facts of this form lie.
pub(super) const PREFIXES: &[&str] =
    &[fact::DRAFT, fact::CHOICE, fact::LOGIN, fact::POLICY, fact::IDENTITIES, fact::SETUP_PROGRESS];

impl Snapshot {
    /// What is kept under a name.
    pub fn kept(&self, name: &str) -> Result<Option<Fields>> {
        self.fact(name)?.map(|sealed| open(&self.shared, name, &sealed)).transpose()
    }

    /// Everything kept below a prefix, with its name, in order of names.
    pub fn kept_below(&self, prefix: &str) -> Result<Vec<(String, Fields)>> {
        let meta = self.txn.open_table(META).map_err(damage)?;
        let mut all = Vec::new();
        for row in meta.range::<&[u8]>(prefix.as_bytes()..).map_err(damage)? {
            let (name, sealed) = row.map_err(damage)?;
            if !name.value().starts_with(prefix.as_bytes()) {
                break;
            }
            let name = String::from_utf8_lossy(name.value()).into_owned();
            let fields = open(&self.shared, &name, sealed.value())?;
            all.push((name, fields));
        }
        Ok(all)
    }
}

/// Seals what is to be kept under a name.
pub(super) fn seal(shared: &Shared, name: &str, what: &Fields) -> Result<Vec<u8>> {
    shared.secrets.own.seal(&place(shared, name), &what.encode())
}

/// Opens what [`seal`] made.
pub(super) fn open(shared: &Shared, name: &str, sealed: &[u8]) -> Result<Fields> {
    let plain = shared.secrets.own.open(&place(shared, name), sealed);
    // The name says whose it is and nothing of what it holds.
    Fields::decode(&plain.ok_or_else(|| Error::damaged(format!("库信息 {name}")))?)
}

/// Number of the part of an entry that says what was kept and taken away with it.
pub(super) const PART: u8 = 3;

/// Digests of what is kept, by name, as the journal tells them; `None` of what was taken away last.
pub(super) type Digests = HashMap<String, Option<[u8; 32]>>;

/// The part for facts that a transaction set or took away: a line for each, its name and the digest of its bytes, or
/// `-`. There is none when no fact is of this form.
pub(super) fn part(shared: &Shared, seq: Seq, facts: &[(String, Option<Vec<u8>>)]) -> Result<Option<Part>> {
    let last: HashMap<&str, Option<&Vec<u8>>> = facts
        .iter()
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| (name.as_str(), value.as_ref()))
        .collect();
    let mut lines: Vec<String> =
        last.into_iter().map(|(name, value)| format!("{name} {}\n", digest(value))).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    lines.sort_unstable();
    let place = view::part_place(RecordId(0), seq.0, PART);
    let sealed = shared.secrets.own.seal(&place, lines.concat().as_bytes())?;
    Ok(Some(Part { id: RecordId(0), part: PART, sealed }))
}

fn digest(value: Option<&Vec<u8>>) -> String {
    value.map_or("-".to_owned(), |v| hex::encode(sha256(&[v])))
}

/// Takes up what an entry says was kept and taken away.
pub(super) fn follow(shared: &Shared, entry: &Entry, digests: &mut Digests) -> Result<()> {
    for part in entry.parts.iter().filter(|p| p.id.0 == 0 && p.part == PART) {
        let seq = entry.header.seq;
        let wrong = || Error::damaged(format!("日志第 {seq} 条关于草稿和各种设置的内容"));
        let plain = shared.secrets.own.open(&view::part_place(part.id, seq.0, PART), &part.sealed);
        let text = plain.and_then(|p| String::from_utf8(p).ok()).ok_or_else(wrong)?;
        for line in text.lines() {
            let (name, digest) = line.split_once(' ').filter(|(name, _)| is_kept(name)).ok_or_else(wrong)?;
            let digest = match digest {
                "-" => None,
                hex => Some(hex::decode(hex).ok().and_then(|d| d.try_into().ok()).ok_or_else(wrong)?),
            };
            digests.insert(name.to_owned(), digest);
        }
    }
    Ok(())
}

/// A fact of this form lies under this name.
pub(super) fn is_kept(name: &str) -> bool {
    PREFIXES.iter().any(|p| name.starts_with(p))
}

/// Attachments that what is kept names.
pub(super) fn files(fields: &Fields) -> Vec<FileRef> {
    fields.all_files().collect()
}

fn place(shared: &Shared, name: &str) -> Vec<u8> {
    format!("jiceng-kept-1 {} {name}", shared.ring.store).into_bytes()
}
