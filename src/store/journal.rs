//! The journal: one entry for every change and every act that must be answered for, chained by hash.
//!
//! `h_i = SHA-256("jiceng-journal-1" ‖ i ‖ h_{i-1} ‖ header_i ‖ SHA-256(payload_i))`. The header is readable and holds
//! no content; the payload is sealed, a part for each record under that record's key. Bytes: `data-format/journal.md`.

use minicbor::{Decoder, Encoder};

use super::seal::sha256;
use crate::base::{Error, Moment, RecordId, Result, Seq};
use crate::records::act::{self, Action};

const DOMAIN: &[u8] = b"jiceng-journal-1";
/// AES-256-GCM, SHA-256.
const SUITE: u8 = 1;

/// What the chain stands at: how many entries, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the last entry; 0 before the first.
    pub seq: Seq,
    /// Its hash; zeros before the first.
    pub hash: [u8; 32],
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    /// The account; 0 for the machine.
    pub account: RecordId,
    /// Unit of the account at that time; 0 for none.
    pub unit: RecordId,
    /// Which way in: `web`, `local:<uid>`, `machine`.
    pub via: String,
}

/// A record an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The record.
    pub id: RecordId,
    /// Its kind.
    pub kind: u8,
    /// Version it was brought to, or was read at.
    pub version: u32,
    /// SHA-256 of the stored value it was brought to; `None` when it was only read.
    pub digest: Option<[u8; 32]>,
}

/// The readable part of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its number.
    pub seq: Seq,
    /// Counts restores of the store.
    pub epoch: u64,
    /// When.
    pub at: Moment,
    /// Who.
    pub doer: Doer,
    /// What.
    pub action: u16,
    /// Whether it was done or refused.
    pub done: bool,
    /// A word without content: a way, a count, a kind.
    pub note: String,
    /// Which records.
    pub subjects: Vec<Subject>,
}

/// An entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The readable part.
    pub header: Header,
    /// Sealed parts: record (0 for the store's own key) and which part of it, with the sealed bytes.
    pub parts: Vec<Part>,
    /// Hash of the chain up to here.
    pub hash: [u8; 32],
}

/// A sealed part of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose key seals it.
    pub id: RecordId,
    /// 0 main, 1 identity, 2 a note about an act, 3 what was kept for accounts.
    pub part: u8,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl Header {
    /// The verb.
    pub fn verb(&self) -> Action {
        act::by_code(self.action).unwrap_or(Action { code: self.action, label: "未知操作" })
    }
}

/// Chains an entry to `head`: its stored bytes and the new head.
pub(super) fn chain(head: &Head, header: &Header, parts: &[Part]) -> (Vec<u8>, Head) {
    let header_bytes = encode_header(header);
    let payload = encode_parts(parts);
    let payload_digest = sha256(&[&payload]);
    let hash = link(header.seq, &head.hash, &header_bytes, &payload_digest);
    let mut out = Vec::with_capacity(header_bytes.len() + payload.len() + 68);
    out.extend_from_slice(&u32::try_from(header_bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&header_bytes);
    out.extend_from_slice(&payload_digest);
    out.extend_from_slice(&hash);
    out.extend_from_slice(&payload);
    (out, Head { seq: header.seq, hash })
}

/// Reads stored bytes; checks nothing but their shape.
pub(super) fn read(bytes: &[u8]) -> Result<Entry> {
    let (header, _, hash, payload) = split(bytes)?;
    Ok(Entry { header: decode_header(header)?, parts: decode_parts(payload)?, hash })
}

/// Reads the header of stored bytes; checks nothing but its shape.
pub(super) fn header(bytes: &[u8]) -> Result<Header> {
    decode_header(split(bytes)?.0)
}

/// Reads stored bytes and checks that they continue the chain at `head`.
pub(super) fn verify(head: &Head, bytes: &[u8]) -> Result<Entry> {
    let expected = Seq(head.seq.0 + 1);
    let wrong = |what: &str| Error::damaged(format!("日志第 {expected} 条{what}"));
    let (header_bytes, payload_digest, hash, payload) = split(bytes).map_err(|_| wrong("的长度"))?;
    let dropped = payload.is_empty() && payload_digest != sha256(&[]);
    if !dropped && sha256(&[payload]) != payload_digest {
        return Err(wrong("的内容被改动"));
    }
    if link(expected, &head.hash, header_bytes, &payload_digest) != hash {
        return Err(wrong("与前一条接不上（被改动、插入、删除或换序）"));
    }
    let entry = Entry { header: decode_header(header_bytes)?, parts: decode_parts(payload)?, hash };
    // Only acts that changed nothing may lose their payload after the retention time.
    if dropped && entry.header.subjects.iter().any(|s| s.digest.is_some()) {
        return Err(wrong("的内容被抹去"));
    }
    if entry.header.seq == expected { Ok(entry) } else { Err(wrong("的序号不对")) }
}

fn link(seq: Seq, before: &[u8; 32], header: &[u8], payload_digest: &[u8; 32]) -> [u8; 32] {
    sha256(&[DOMAIN, &seq.0.to_be_bytes(), before, header, payload_digest])
}

type Pieces<'a> = (&'a [u8], [u8; 32], [u8; 32], &'a [u8]);

fn split(bytes: &[u8]) -> Result<Pieces<'_>> {
    let cut = || -> Option<Pieces<'_>> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (header, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let (payload_digest, rest) = rest.split_first_chunk::<32>()?;
        let (hash, payload) = rest.split_first_chunk::<32>()?;
        Some((header, *payload_digest, *hash, payload))
    };
    cut().ok_or_else(|| Error::damaged("日志条目的长度"))
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn encode_header(h: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    let write = |e: &mut Encoder<&mut Vec<u8>>| -> Encoded {
        e.array(11)?.u8(SUITE)?.u64(h.epoch)?.u64(h.seq.0)?.i64(h.at.0)?;
        e.u64(h.doer.account.0)?.u64(h.doer.unit.0)?.str(&h.doer.via)?;
        e.u16(h.action)?.bool(h.done)?.str(&h.note)?.array(h.subjects.len() as u64)?;
        h.subjects.iter().try_for_each(|s| {
            e.array(4)?.u64(s.id.0)?.u8(s.kind)?.u32(s.version)?;
            e.bytes(s.digest.as_ref().map_or(&[], |d| &d[..])).map(drop)
        })
    };
    let done = write(&mut Encoder::new(&mut out));
    debug_assert!(done.is_ok());
    out
}

fn decode_header(bytes: &[u8]) -> Result<Header> {
    let mut d = Decoder::new(bytes);
    let mut read = || -> Result<Header, minicbor::decode::Error> {
        d.array()?;
        if d.u8()? != SUITE {
            return Err(minicbor::decode::Error::message("unknown suite"));
        }
        let (epoch, seq, at) = (d.u64()?, Seq(d.u64()?), Moment(d.i64()?));
        let doer =
            Doer { account: RecordId(d.u64()?), unit: RecordId(d.u64()?), via: d.str()?.to_owned() };
        let (action, done, note) = (d.u16()?, d.bool()?, d.str()?.to_owned());
        let n = d.array()?.unwrap_or(0);
        let subjects = (0..n).map(|_| subject(&mut d)).collect::<Result<_, _>>()?;
        Ok(Header { seq, epoch, at, doer, action, done, note, subjects })
    };
    let header = read().map_err(|e| Error::damaged("日志条目的头部").with_detail(e))?;
    // One writing for one meaning: whatever this program would not have written is refused.
    if encode_header(&header) == bytes { Ok(header) } else { Err(Error::damaged("日志条目的头部")) }
}

fn subject(d: &mut Decoder<'_>) -> Result<Subject, minicbor::decode::Error> {
    d.array()?;
    let (id, kind, version) = (RecordId(d.u64()?), d.u8()?, d.u32()?);
    let digest = <[u8; 32]>::try_from(d.bytes()?).ok();
    Ok(Subject { id, kind, version, digest })
}

fn encode_parts(parts: &[Part]) -> Vec<u8> {
    if parts.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    let mut write = || -> Encoded {
        e.array(parts.len() as u64)?;
        parts.iter().try_for_each(|p| e.array(3)?.u64(p.id.0)?.u8(p.part)?.bytes(&p.sealed).map(drop))
    };
    let done = write();
    debug_assert!(done.is_ok());
    out
}

fn decode_parts(bytes: &[u8]) -> Result<Vec<Part>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut d = Decoder::new(bytes);
    let mut read = || -> Result<Vec<Part>, minicbor::decode::Error> {
        let n = d.array()?.unwrap_or(0);
        (0..n)
            .map(|_| {
                d.array()?;
                Ok(Part { id: RecordId(d.u64()?), part: d.u8()?, sealed: d.bytes()?.to_vec() })
            })
            .collect()
    };
    let parts = read().map_err(|e| Error::damaged("日志条目的内容").with_detail(e))?;
    if encode_parts(&parts) == bytes { Ok(parts) } else { Err(Error::damaged("日志条目的内容")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(seq: u64) -> Header {
        Header {
            seq: Seq(seq),
            epoch: 1,
            at: Moment(1_790_000_000_000),
            doer: Doer { account: RecordId(3), unit: RecordId(2), via: "web".into() },
            action: act::CREATE.code,
            done: true,
            note: String::new(),
            subjects: vec![Subject { id: RecordId(9), kind: 1, version: 1, digest: Some([7; 32]) }],
        }
    }

    #[test]
    fn any_flipped_bit_breaks_the_chain() {
        let start = Head { seq: Seq(0), hash: [0; 32] };
        let part = Part { id: RecordId(9), part: 0, sealed: vec![1, 2, 3] };
        let (bytes, head) = chain(&start, &header(1), &[part]);
        assert_eq!(verify(&start, &bytes).unwrap().hash, head.hash);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&start, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn entries_cannot_change_places() {
        let start = Head { seq: Seq(0), hash: [0; 32] };
        let (first, head) = chain(&start, &header(1), &[]);
        let (second, _) = chain(&head, &header(2), &[]);
        assert!(verify(&start, &second).is_err());
        assert!(verify(&head, &first).is_err());
        assert!(verify(&head, &second).is_ok());
    }
}
