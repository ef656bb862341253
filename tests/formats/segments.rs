//! Segments of the off-site log: each vector is written here by hand, by the words of `offsite.md` alone, and read by
//! the program as it says.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use jiceng::backup::segment::{self, Kind};
use jiceng::store::ArchiveRow;

use super::{root, vectors};

const STORE: &str = "000102030405060708090a0b0c0d0e0f";
const SEED: [u8; 32] = [0x5E; 32];

/// A segment in the making; what is spoilt in it is still signed.
struct Raw {
    begin: String,
    head: String,
    rows: Vec<(u8, Vec<u8>, Vec<u8>)>,
    magic: Vec<u8>,
    count: Option<u64>,
    tail: Vec<u8>,
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn head(kind: &str, (number, from, to): (u64, u64, u64), previous: &str) -> String {
    let hash = "aa".repeat(32);
    let place = format!(
        r#""epoch":3,"number":{number},"from":{from},"to":{to},"head":"{hash}","previous":"{previous}""#
    );
    let rest = r#""whole_meta":false,"created":1790000000000,"purged":[],"program":"0.1.0""#;
    format!(r#"{{"store":"{STORE}","kind":"{kind}",{place},{rest}}}"#)
}

fn begin(kind: &str, (number, from, to): (u64, u64, u64), previous: &str, files: &[&str]) -> String {
    let mark = hex::encode(&sha256(format!("jiceng-store-mark-1{STORE}").as_bytes())[..8]);
    let hash = "aa".repeat(32);
    let place =
        format!("kind={kind} epoch=3 number={number} from={from} to={to} head={hash} previous={previous}");
    let mut text = format!("jiceng-segment-1 {place} store={mark} files={}\n", files.len());
    files.iter().for_each(|line| writeln!(text, "{line}").unwrap());
    text
}

impl Raw {
    fn change() -> Self {
        let previous = "bb".repeat(32);
        let at = (17, 1201, 1203);
        let file = format!("file {} {} 1032", "0c".repeat(16), "dd".repeat(32));
        let entry = |n: u64| (5, n.to_be_bytes().to_vec(), format!("entry {n}").into_bytes());
        Self {
            begin: begin("change", at, &previous, &[&file]),
            head: head("change", at, &previous),
            rows: vec![
                (1, b"head".to_vec(), vec![1; 40]),
                (2, "信访〔2026〕".as_bytes().to_vec(), 7u64.to_be_bytes().to_vec()),
                (3, 9u64.to_be_bytes().to_vec(), b"sealed".to_vec()),
                (4, 0u64.to_be_bytes().to_vec(), vec![2; 64]),
                (4, 9u64.to_be_bytes().to_vec(), vec![3; 64]),
                entry(1202),
                entry(1203),
                (8, b"draft.7.0123".to_vec(), Vec::new()),
            ],
            ..Self::fence()
        }
    }

    fn fence() -> Self {
        let (at, zeros) = ((1, 1200, 1200), "0".repeat(64));
        Self {
            begin: begin("fence", at, &zeros, &[]),
            head: head("fence", at, &zeros),
            rows: Vec::new(),
            magic: b"jicengSG\0\0\0\x01".to_vec(),
            count: None,
            tail: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut stream = self.magic.clone();
        let mut row = |table: u8, key: &[u8], value: &[u8]| {
            stream.push(table);
            stream.extend(u32::try_from(key.len()).unwrap().to_be_bytes());
            stream.extend(key);
            stream.extend((value.len() as u64).to_be_bytes());
            stream.extend(value);
        };
        row(0, b"segment", self.head.as_bytes());
        row(0, &1u32.to_be_bytes(), &[4; 32]);
        self.rows.iter().for_each(|(table, key, value)| row(*table, key, value));
        let rows = sha256(&stream);
        let count = self.count.unwrap_or(self.rows.len() as u64 + 2);
        stream.extend([&[255, 0, 0, 0, 0][..], &40u64.to_be_bytes(), &count.to_be_bytes(), &rows].concat());
        let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap();
        let signed = pair.sign(&[b"jiceng-segment-1", &rows[..], self.begin.as_bytes()].concat());
        let signer = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec();
        [self.begin.as_bytes(), &stream, signed.as_ref(), &signer, &self.tail].concat()
    }
}

/// Name, what a reader must make of it, and the bytes.
type Made = (&'static str, &'static str, Vec<u8>);

fn change(spoil: impl Fn(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::change();
    spoil(&mut raw);
    raw.bytes()
}

fn fence(spoil: impl Fn(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::fence();
    spoil(&mut raw);
    raw.bytes()
}

fn begins(from: &str, to: &str) -> Vec<u8> {
    change(|r| r.begin = r.begin.replace(from, to))
}

fn heads(from: &str, to: &str) -> Vec<u8> {
    change(|r| r.head = r.head.replace(from, to))
}

fn cut(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - at);
    bytes
}

fn forged() -> Vec<u8> {
    let mut bytes = change(|_| ());
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    bytes
}

fn all() -> Vec<Made> {
    [sound(), beginnings(), turned_beginnings(), fences(), wrong_heads(), wrong_rows(), ends()].concat()
}

fn sound() -> Vec<Made> {
    vec![("change", "success", change(|_| ())), ("fence", "success", fence(|_| ()))]
}

fn beginnings() -> Vec<Made> {
    vec![
        ("begin-blank", "another blank", begins(" epoch", "  epoch")),
        ("begin-crlf", "another end of a line", begins("files=1\n", "files=1\r\n")),
        ("begin-digits", "digits that are not lower-case", begins("aaaa", "AAAA")),
        (
            "begin-epoch-0",
            "epoch 0",
            change(|r| {
                r.begin = r.begin.replace("epoch=3", "epoch=0");
                r.head = r.head.replace("\"epoch\":3", "\"epoch\":0");
            }),
        ),
        ("begin-files-count", "another number of files than it says", begins("files=1", "files=2")),
        (
            "begin-files-order",
            "files that do not rise",
            change(|r| {
                let line = r.begin.lines().last().unwrap().to_owned();
                r.begin = r.begin.replace("files=1", "files=2") + &line + "\n";
            }),
        ),
        ("begin-kind", "another kind", begins("kind=change", "kind=patch")),
        ("begin-leading-zero", "a number with a zero in front", begins("from=1201", "from=01201")),
        ("begin-long", "no end of the line within its bound", change(|r| r.begin = "x".repeat(600) + "\n")),
    ]
}

fn turned_beginnings() -> Vec<Made> {
    vec![
        ("begin-order", "words in another order", begins("from=1201 to=1203", "to=1203 from=1201")),
        (
            "begin-previous-zero",
            "zeros as the digest of a slot before",
            change(|r| {
                r.begin = r.begin.replace(&"bb".repeat(32), &"0".repeat(64));
                r.head = r.head.replace(&"bb".repeat(32), &"0".repeat(64));
            }),
        ),
        (
            "begin-slot-1",
            "a change in slot 1",
            change(|r| {
                r.begin = r.begin.replace("number=17", "number=1").replace(&"bb".repeat(32), &"0".repeat(64));
                r.head = r
                    .head
                    .replace("\"number\":17", "\"number\":1")
                    .replace(&"bb".repeat(32), &"0".repeat(64));
            }),
        ),
        (
            "begin-turned",
            "a range that ends before it begins",
            change(|r| {
                r.begin = r.begin.replace("from=1201 to=1203", "from=1203 to=1201");
                r.head = r.head.replace("\"from\":1201,\"to\":1203", "\"from\":1203,\"to\":1201");
            }),
        ),
        ("begin-word", "another word at the beginning", begins("jiceng-segment-1", "jiceng-segment-2")),
    ]
}

fn fences() -> Vec<Made> {
    vec![
        (
            "fence-previous",
            "a digest before slot 1",
            fence(|r| {
                r.begin = r.begin.replace(&"0".repeat(64), &"bb".repeat(32));
                r.head = r.head.replace(&"0".repeat(64), &"bb".repeat(32));
            }),
        ),
        (
            "fence-span",
            "a fence over entries",
            fence(|r| {
                r.begin = r.begin.replace("from=1200", "from=1199");
                r.head = r.head.replace("\"from\":1200", "\"from\":1199");
            }),
        ),
        ("fence-with-rows", "rows in a fence", fence(|r| r.rows = Raw::change().rows)),
    ]
}

fn wrong_heads() -> Vec<Made> {
    vec![
        ("head-another-range", "a head that says otherwise than the beginning", heads("1203", "1204")),
        (
            "head-another-store",
            "a head of another store than the mark",
            heads(STORE, "ff0102030405060708090a0b0c0d0e0f"),
        ),
        ("head-no-json", "a head that is no JSON", heads("{", "[")),
        (
            "head-purged-order",
            "purged records that do not rise",
            heads("\"purged\":[]", "\"purged\":[{\"record\":9,\"created\":1},{\"record\":9,\"created\":1}]"),
        ),
    ]
}

fn wrong_rows() -> Vec<Made> {
    vec![
        (
            "rows-attachment",
            "a piece of an attachment",
            change(|r| r.rows.insert(7, (6, b"ab".to_vec(), b"x".to_vec()))),
        ),
        (
            "rows-entry-beyond",
            "an entry after the last",
            change(|r| {
                r.rows.insert(7, (5, 1204u64.to_be_bytes().to_vec(), b"entry".to_vec()));
            }),
        ),
        ("rows-entry-missing", "an entry is missing", change(|r| drop(r.rows.remove(5)))),
        ("rows-gone-value", "a fact that went with a value", change(|r| r.rows[7].2 = b"x".to_vec())),
        (
            "rows-gone-whole",
            "facts that went where all come",
            heads("\"whole_meta\":false", "\"whole_meta\":true"),
        ),
        ("rows-order", "rows out of order", change(|r| r.rows.swap(3, 4))),
        ("rows-table", "an unknown table", change(|r| r.rows.push((9, b"x".to_vec(), Vec::new())))),
    ]
}

fn ends() -> Vec<Made> {
    vec![
        ("magic", "another magic", change(|r| r.magic = b"jicengBK\0\0\0\x02".to_vec())),
        ("version", "another version", change(|r| r.magic[11] = 2)),
        ("signature", "a signature that does not fit", forged()),
        ("signature-cut", "an end within the signature", cut(change(|_| ()), 1)),
        ("tail", "bytes after the end", change(|r| r.tail = b"x".to_vec())),
        ("trailer-count", "a wrong count", change(|r| r.count = Some(3))),
        ("trailer-missing", "no trailer", cut(change(|_| ()), 149)),
    ]
}

fn shown(bytes: &[u8]) -> Result<Vec<String>, String> {
    let (plain, header, signer, rows) = segment::read_open(bytes).map_err(|e| e.to_string())?;
    let mut lines: Vec<String> = plain.to_string().lines().map(str::to_owned).collect();
    assert_eq!(plain.kind == Kind::Fence, rows.is_empty());
    lines.push(serde_json::to_string(&header).unwrap());
    lines.push(format!("signer {signer}"));
    let row = |r: &ArchiveRow| format!("{} {} {}", r.table, hex::encode(&r.key), hex::encode(&r.value));
    lines.extend(rows.iter().map(|r| row(r).trim_end().to_owned()));
    Ok(lines)
}

/// ASVS 4.1.5
#[test]
fn every_segment_vector_is_read_as_it_says() {
    let (vectors, made) = (vectors("segments"), all());
    assert!(vectors.len() == made.len() && made.len() > 30);
    for (name, expect, bytes) in made {
        let vector = vectors.iter().find(|v| v.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!((vector.hex.as_slice(), vector.expect.as_str()), (&bytes[..], expect), "{name}");
        vector.judge(shown(&bytes));
    }
}

#[test]
#[ignore = "writes the files anew"]
fn print_segments() {
    for (name, expect, bytes) in all() {
        let mut text = format!("expect: {expect}\n");
        for line in bytes.chunks(48) {
            writeln!(text, "hex: {}", hex::encode(line)).unwrap();
        }
        shown(&bytes).into_iter().flatten().for_each(|line| writeln!(text, "show: {line}").unwrap());
        std::fs::create_dir_all(root().join("vectors/segments")).unwrap();
        std::fs::write(root().join("vectors/segments").join(format!("{name}.txt")), text).unwrap();
    }
}
