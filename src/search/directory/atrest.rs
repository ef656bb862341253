//! What a thief of the disk has of an index: nothing. The same index as the engine writes it is the control.

#![cfg(test)]

use std::collections::BTreeMap;

use tantivy::IndexWriter;

use super::super::tests::{ask, changes, everything, ids, keys};
use super::super::{Change, Doc, Index, schema};
use super::*;
use crate::base::Seq;

/// Each has three words of its own.
const ROWS: u64 = 400;

/// A word that stands in one row alone.
fn canary(n: u64) -> String {
    let han: Vec<char> = "砚漆槲梧泠麓桓祠堰圩埠坳坞垄畈塬峁岙岬岫".chars().collect();
    let pick = |by: u64| han[(n / by % 20) as usize];
    let latin: String = (0..6_u32).map(|k| char::from(b'a' + (n.wrapping_mul(7_919) >> k) as u8 % 26)).collect();
    format!("{}{}{}{latin}{n:04}", pick(1), pick(20), pick(400))
}

fn rows() -> Vec<Doc> {
    let row = |n| Doc {
        id: n,
        kind: 1,
        unit: 7,
        day: 20_240_301,
        boost: 1.0,
        number: format!("〔2024〕{n}号"),
        title: format!("反映{}问题", canary(n)),
        names: canary(n + ROWS),
        body: format!("来信反映村委会低保公示不实一事，{}，请调查处理。", canary(n + 2 * ROWS)).repeat(2),
        ..Doc::default()
    };
    (1..=ROWS).map(row).collect()
}

/// Rows in several segments, some removed; then what a merge makes of them.
fn sealed(dir: &Path, merged: bool) -> Index {
    let (index, _) = Index::open(dir, 1, &keys()).unwrap();
    for (n, some) in rows().chunks(100).enumerate() {
        index.apply(changes(some)).unwrap();
        index.commit(Seq(n as u64 + 1)).unwrap();
    }
    index.apply((1..20).map(|id| Change { id, doc: None }).collect()).unwrap();
    index.commit(Seq(9)).unwrap();
    if merged {
        // The engine may be merging by itself just now.
        assert!((0..200).any(|_| {
            let settled = index.settle().is_ok();
            std::thread::sleep(std::time::Duration::from_millis(if settled { 0 } else { 20 }));
            settled
        }));
    }
    index
}

/// As versions before this wrote it.
fn plain(dir: &Path) {
    let (schema, fields) = schema::build();
    let mut index = tantivy::Index::create_in_dir(dir, schema).unwrap();
    index.set_tokenizers(schema::tokenizers());
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 64 << 20).unwrap();
    for row in rows() {
        writer.add_document(fields.document(&row)).unwrap();
    }
    let mut commit = writer.prepare_commit().unwrap();
    commit.set_payload(&format!("{{\"epoch\":1,\"seq\":9,\"schema\":{}}}", schema::SCHEMA_VERSION));
    commit.commit().unwrap();
    writer.wait_merging_threads().unwrap();
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = fs::read_dir(dir).unwrap().map(|e| e.unwrap());
    let all = all.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap()));
    all.filter(|(name, _)| !name.starts_with(LOCKS)).collect()
}

/// How many of the words stand in the files: halves of them, as dictionaries cut, in three encodings.
fn readable(files: &BTreeMap<String, Vec<u8>>) -> usize {
    let spelt = |n: u64| {
        let (word, mut all) = (canary(n), Vec::new());
        for part in [word.clone(), word[9..].to_owned(), word[9..15].to_owned()] {
            let units: Vec<u16> = part.encode_utf16().collect();
            all.push(units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<u8>>());
            all.push(units.iter().flat_map(|u| u.to_be_bytes()).collect());
            all.push(part.into_bytes());
        }
        all
    };
    let spellings: Vec<Vec<u8>> = (1..=3 * ROWS).flat_map(spelt).collect();
    let mut begins = vec![false; 1 << 16];
    let pair = |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
    spellings.iter().for_each(|s| begins[pair(s)] = true);
    let mut heads: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
    spellings.iter().for_each(|s| heads.entry(&s[..6]).or_default().push(s));
    let stands = |bytes: &Vec<u8>| {
        let at = bytes.windows(6).enumerate().filter(|(_, head)| begins[pair(head)]);
        let at = at.filter_map(|(at, head)| Some((at, heads.get(head)?)));
        at.flat_map(|(at, all)| all.iter().filter(move |s| bytes[at..].starts_with(s))).count()
    };
    files.values().map(stands).sum()
}

/// What zstd makes of files that are not small: their bytes together before and after.
fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<f64> {
    let large = files.values().filter(|bytes| bytes.len() >= 8 << 10);
    large.map(|b| zstd::encode_all(&b[..], 19).unwrap().len() as f64 / b.len() as f64).collect()
}

#[test]
fn no_word_lies_readable_and_nothing_looks_like_text() {
    for merged in [false, true] {
        let home = tempfile::tempdir().unwrap();
        let index = sealed(home.path(), merged);
        let found = index.search(&everything(), &ask(&canary(100)), &[]).unwrap();
        assert_eq!(ids(&found), [100]);
        let files = files(home.path());
        assert!(files.len() > 7 && files.values().all(|bytes| bytes.starts_with(b"jicengI1\x01\0\0\0")));
        assert_eq!(readable(&files), 0, "merged: {merged}");
        let packed = packed(&files);
        assert!(packed.len() >= 3 && packed.iter().all(|part| *part >= 0.98), "{packed:?}");
    }
    let home = tempfile::tempdir().unwrap();
    plain(home.path());
    let files = files(home.path());
    // Its dictionaries are no text either, but whoever has them needs nothing else.
    let whole = tantivy::Index::open_in_dir(home.path()).unwrap();
    let rows = whole.reader().unwrap().searcher();
    let dictionary = rows.segment_reader(0).inverted_index(schema::build().1.whole).unwrap();
    assert!(dictionary.terms().num_terms() > 2 * (ROWS as usize) - 10);
    let packed = packed(&files);
    assert!(packed.iter().sum::<f64>() / (packed.len() as f64) < 0.8, "{packed:?}");
}

/// The search for words can find one.
#[test]
fn a_word_that_lies_readable_is_found_in_each_spelling() {
    let found = |bytes: Vec<u8>| readable(&BTreeMap::from([(String::new(), [vec![1; 99], bytes].concat())]));
    let units: Vec<u16> = canary(7).encode_utf16().collect();
    assert!(found(canary(7).into_bytes()) > 0 && found(canary(7).as_bytes()[9..].to_vec()) > 0);
    assert!(found(units.iter().flat_map(|u| u.to_le_bytes()).collect()) > 0);
    assert!(found(units.iter().flat_map(|u| u.to_be_bytes()).collect()) > 0);
    assert_eq!(found(b"nothing".to_vec()), 0);
}

#[test]
fn the_engine_alone_does_not_open_the_folder() {
    let home = tempfile::tempdir().unwrap();
    sealed(home.path(), false).retire().unwrap();
    assert!(tantivy::Index::open_in_dir(home.path()).is_err());
    // Nor does anybody with other keys: it is not theirs, and they begin with nothing.
    let (index, at) = Index::open(home.path(), 1, &FileKeys::passing().unwrap()).unwrap();
    assert_eq!((at, index.doc_count()), (None, 0));
}

/// An index of an older version is readable: it goes, and its files with it.
#[test]
fn an_index_in_plain_is_removed_and_made_anew() {
    let home = tempfile::tempdir().unwrap();
    plain(home.path());
    let before = files(home.path());
    let (index, at) = Index::open(home.path(), 1, &keys()).unwrap();
    assert_eq!((at, index.doc_count()), (None, 0));
    let after = files(home.path());
    assert!(after.keys().all(|name| !before.contains_key(name) || name.ends_with(".json")), "{:?}", after.keys());
    assert_eq!(readable(&after), 0);
    drop(index);
    // One plain list among sealed files is damage as well.
    fs::write(home.path().join(LIST), &before[LIST]).unwrap();
    assert_eq!(Index::open(home.path(), 1, &keys()).unwrap().1, None);
}

/// What a power cut left of a segment or a small file lay there for ever.
#[test]
fn files_that_belong_to_no_index_are_removed_when_it_is_opened() {
    let home = tempfile::tempdir().unwrap();
    sealed(home.path(), true).retire().unwrap();
    let (index, _) = Index::open(home.path(), 1, &keys()).unwrap();
    index.retire().unwrap();
    drop(index);
    let right = files(home.path());
    for stray in ["0123456789abcdef0123456789abcdef.idx", ".tmpAb3", "x"] {
        fs::write(home.path().join(stray), [7; 5_000]).unwrap();
    }
    let (index, at) = Index::open(home.path(), 1, &keys()).unwrap();
    assert_eq!((at, index.doc_count()), (Some(Seq(9)), ROWS - 19));
    assert_eq!(files(home.path()).into_keys().collect::<Vec<_>>(), right.into_keys().collect::<Vec<_>>());
}
