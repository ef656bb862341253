//! What the engine asks of a folder, and what whoever has the disk can try.

#![cfg(test)]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use tantivy::HasLen;
use tantivy::directory::{INDEX_WRITER_LOCK, TerminatingWrite};

use super::super::INDEX_CHUNK_BYTES as CHUNK;
use super::super::tests::keys;
use super::format::{Cut, HEADER, PIECE};
use super::*;

fn folder() -> (tempfile::TempDir, Vault) {
    let home = tempfile::tempdir().unwrap();
    let folder = again(&home);
    (home, folder)
}

/// The folder as another process finds it.
fn again(home: &tempfile::TempDir) -> Vault {
    Vault::open(home.path(), keys()).unwrap()
}

/// Bytes that no two places have in common.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

fn write(folder: &Vault, name: &str, content: &[u8]) {
    let mut file = folder.open_write(Path::new(name)).unwrap();
    file.write_all(content).unwrap();
    file.terminate().unwrap();
}

fn read(folder: &Vault, name: &str) -> Option<Vec<u8>> {
    folder.open_read(Path::new(name)).ok()?.read_bytes().ok().map(|b| b.to_vec())
}

const LENGTHS: [usize; 8] = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 77, 5 * CHUNK];

#[test]
fn what_was_written_is_read_whatever_its_length() {
    let (home, folder) = folder();
    for length in LENGTHS {
        let (name, content) = (format!("{length}.idx"), content(length));
        write(&folder, &name, &content);
        for folder in [&folder, &again(&home)] {
            let file = folder.get_file_handle(Path::new(&name)).unwrap();
            assert_eq!((file.len(), read(folder, &name).unwrap()), (length, content.clone()));
        }
        let chunks = length.div_ceil(CHUNK).max(1);
        assert_eq!(fs::metadata(home.path().join(name)).unwrap().len() as usize, HEADER + length + chunks * 16);
    }
}

/// Twice, from the cache as well, and of dictionaries, which are kept otherwise.
#[test]
fn every_range_of_a_file_is_what_was_written_there() {
    let (_home, folder) = folder();
    let content = content(4 * CHUNK + 100);
    let edges = (0..5).flat_map(|n| [n * CHUNK, n * CHUNK + 1, ((n + 1) * CHUNK - 1).min(content.len())]);
    let edges: Vec<usize> = edges.chain([content.len()]).collect();
    for name in ["a.idx", "a.term"] {
        write(&folder, name, &content);
        let file = folder.get_file_handle(Path::new(name)).unwrap();
        for _ in 0..2 {
            for from in &edges {
                for upto in edges.iter().filter(|upto| from <= upto) {
                    let read = file.read_bytes(*from..*upto).unwrap();
                    assert_eq!(read.as_slice(), &content[*from..*upto], "{from} {upto}");
                }
            }
        }
        assert!(file.read_bytes(1..content.len() + 1).is_err());
    }
    assert!(folder.shared.cache.bytes() > 0);
}

/// A range in one chunk is the chunk itself; one over several is made once.
#[test]
fn what_was_opened_once_is_not_opened_again_or_copied() {
    let (_home, folder) = folder();
    write(&folder, "a.idx", &content(3 * CHUNK));
    let file = folder.get_file_handle(Path::new("a.idx")).unwrap();
    for range in [5..500, 10..2 * CHUNK + 10, CHUNK..3 * CHUNK] {
        let [once, twice] = [(); 2].map(|()| file.read_bytes(range.clone()).unwrap());
        assert!(std::ptr::eq(once.as_slice(), twice.as_slice()), "{range:?}");
    }
    // Another handle of the same file, also after the first is gone.
    let once = file.read_bytes(5..500).unwrap();
    drop(file);
    let file = folder.get_file_handle(Path::new("a.idx")).unwrap();
    assert!(std::ptr::eq(once.as_slice(), file.read_bytes(5..500).unwrap().as_slice()));
}

#[test]
fn many_small_writes_and_flushes_are_one_file() {
    let (home, folder) = folder();
    let mut file = folder.open_write(Path::new("a.pos")).unwrap();
    let mut all = Vec::new();
    for n in 0..9_000_usize {
        let bytes = n.to_le_bytes();
        file.write_all(&bytes[..n % 8]).unwrap();
        all.extend_from_slice(&bytes[..n % 8]);
        if n % 500 == 0 {
            file.flush().unwrap();
        }
    }
    file.terminate().unwrap();
    assert!(all.len() > CHUNK && read(&folder, "a.pos").unwrap() == all);
    assert_eq!(read(&again(&home), "a.pos").unwrap(), all);
}

#[test]
fn a_file_that_was_never_ended_does_not_open() {
    let (home, folder) = folder();
    for (name, length) in [("a", 0), ("b", 10), ("c", CHUNK), ("d", 2 * CHUNK), ("e", 3 * CHUNK + 1)] {
        let mut file = folder.open_write(Path::new(name)).unwrap();
        file.write_all(&content(length)).unwrap();
        file.flush().unwrap();
        drop(file);
        assert!(folder.open_read(Path::new(name)).is_err() && again(&home).open_read(Path::new(name)).is_err());
    }
}

#[test]
fn files_come_once_and_go_and_whoever_reads_reads_on() {
    let (_home, folder) = folder();
    let (path, content) = (Path::new("a.idx"), content(2 * CHUNK));
    assert!(!folder.exists(path).unwrap());
    assert!(matches!(folder.open_read(path), Err(OpenReadError::FileDoesNotExist(_))));
    assert!(matches!(folder.atomic_read(path), Err(OpenReadError::FileDoesNotExist(_))));
    assert!(matches!(folder.delete(path), Err(DeleteError::FileDoesNotExist(_))));
    write(&folder, "a.idx", &content);
    assert!(folder.exists(path).unwrap());
    assert!(matches!(folder.open_write(path), Err(OpenWriteError::FileAlreadyExists(_))));
    let file = folder.open_read(path).unwrap();
    folder.delete(path).unwrap();
    assert!(!folder.exists(path).unwrap() && folder.open_read(path).is_err());
    assert_eq!(file.read_bytes().unwrap().as_slice(), content);
    // Another of the same name is another file.
    write(&folder, "a.idx", b"another");
    assert_eq!((read(&folder, "a.idx").unwrap().as_slice(), file.len()), (&b"another"[..], content.len()));
}

#[test]
fn a_small_file_is_replaced_as_a_whole() {
    let (home, folder) = folder();
    for name in [LIST, MANAGED] {
        for length in LENGTHS {
            folder.atomic_write(Path::new(name), &content(length)).unwrap();
            for folder in [&folder, &again(&home)] {
                assert_eq!(folder.atomic_read(Path::new(name)).unwrap(), content(length));
            }
        }
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "nothing is left beside them");
}

/// A merge replaces the list while it is read.
#[test]
fn a_list_is_read_whole_while_others_replace_it() {
    let (_home, folder) = folder();
    let path = Path::new(LIST);
    folder.atomic_write(path, &[0; 100]).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..50_u8).for_each(|n| folder.atomic_write(path, &[n; 100]).unwrap()));
        while !writer.is_finished() {
            let read = folder.atomic_read(path).unwrap();
            assert!(read.len() == 100 && read.iter().all(|b| *b == read[0]));
        }
    });
}

#[test]
fn one_at_a_time_has_the_lock() {
    let (home, folder) = folder();
    let lock = folder.acquire_lock(&INDEX_WRITER_LOCK).unwrap();
    assert!(matches!(again(&home).acquire_lock(&INDEX_WRITER_LOCK), Err(LockError::LockBusy)));
    drop(lock);
    again(&home).acquire_lock(&INDEX_WRITER_LOCK).unwrap();
}

#[test]
fn whoever_watches_hears_of_a_new_list() {
    let (_home, folder) = folder();
    folder.atomic_write(Path::new(LIST), b"1").unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let _handle = folder.watch(WatchCallback::new(move || _ = count.fetch_add(1, Ordering::SeqCst))).unwrap();
    folder.atomic_write(Path::new(LIST), b"2").unwrap();
    folder.atomic_write(Path::new(MANAGED), b"3").unwrap();
    // It is told in a thread of its own.
    let hears = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        heard.load(Ordering::SeqCst) == 1
    });
    assert!(hears);
}

/// Each of these is one byte string that some reader of the old way would have believed.
#[test]
fn no_bit_of_a_file_can_change_and_no_byte_be_missing_unnoticed() {
    let (home, folder) = folder();
    let content = b"{\"deletes\":null,\"payload\":\"{\\\"seq\\\":27}\"}\n";
    folder.atomic_write(Path::new(LIST), content).unwrap();
    write(&folder, "a.idx", content);
    for name in [LIST, "a.idx"] {
        let (path, whole) = (home.path().join(name), fs::read(home.path().join(name)).unwrap());
        let opens = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            let fresh = again(&home);
            let small = fresh.atomic_read(Path::new(name)).is_ok();
            assert_eq!(small, read(&fresh, name).is_some(), "both ways of reading say the same");
            small
        };
        assert!(opens(&whole));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!opens(&bytes), "bit {bit}");
        }
        (0..whole.len()).for_each(|length| assert!(!opens(&whole[..length]), "cut to {length}"));
        assert!(!opens(&[&whole[..], b"\0"].concat()) && !opens(content));
    }
}

/// Chunks in another order, from another file, dropped at a border; the header of another file, of another name.
#[test]
fn chunks_and_headers_belong_to_their_places() {
    let (home, folder) = folder();
    write(&folder, "a.idx", &content(4 * CHUNK));
    write(&folder, "b.idx", &content(4 * CHUNK));
    let [a, b] = ["a.idx", "b.idx"].map(|name| fs::read(home.path().join(name)).unwrap());
    let chunk = |bytes: &[u8], n: usize| bytes[HEADER + n * PIECE..bytes.len().min(HEADER + (n + 1) * PIECE)].to_vec();
    let build = |head: &[u8], chunks: &[Vec<u8>]| [&head[..HEADER], &chunks.concat()].concat();
    let of = |order: &[usize]| order.iter().map(|n| chunk(&a, *n)).collect::<Vec<_>>();
    let reads = |bytes: Vec<u8>| {
        fs::write(home.path().join("a.idx"), bytes).unwrap();
        let verified = Sealed::open(&home.path().join("a.idx"), Path::new("a.idx"), &keys(), &Arc::default());
        let verified = verified.and_then(|file| file.verify()).is_ok();
        assert_eq!(verified, read(&again(&home), "a.idx").is_some());
        verified
    };
    assert!(reads(build(&a, &of(&[0, 1, 2, 3]))));
    let moved = [&[1, 0, 2, 3][..], &[0, 2, 1, 3], &[0, 1, 3], &[1, 2, 3], &[0, 1, 2, 3, 3]];
    let cut = [&[0, 1, 2][..], &[0, 1], &[0], &[]];
    for order in moved.into_iter().chain(cut) {
        assert!(!reads(build(&a, &of(order))), "{order:?}");
    }
    assert!(!reads(build(&a, &[of(&[0, 1, 2]), vec![chunk(&b, 3)]].concat())), "a chunk of another file");
    assert!(!reads(build(&b, &of(&[0, 1, 2, 3]))), "the header of another file");
    assert!(!reads(b.clone()), "another file");
    // An empty chunk at the end would be a second way to cut the same text.
    assert!(Cut::of((HEADER + PIECE + 16) as u64).is_none() && Cut::of((HEADER + 15) as u64).is_none());
}

/// Without the generation key nothing opens, with the keys of another store as little.
#[test]
fn other_keys_open_nothing() {
    let (home, folder) = folder();
    folder.atomic_write(Path::new(LIST), b"list").unwrap();
    write(&folder, "a.idx", &content(100));
    let other = Vault::open(home.path(), FileKeys::passing().unwrap()).unwrap();
    assert!(other.atomic_read(Path::new(LIST)).is_err() && read(&other, "a.idx").is_none());
    assert!(other.verify([Path::new("a.idx")].into_iter()).is_err());
}

/// The list of a moment ago is one that was written; while the folder is open it is known to be another.
#[test]
fn an_older_writing_that_is_put_back_under_an_open_folder_is_noticed() {
    let (home, folder) = folder();
    let path = home.path().join(LIST);
    folder.atomic_write(Path::new(LIST), b"old").unwrap();
    let old = fs::read(&path).unwrap();
    folder.atomic_write(Path::new(LIST), b"new").unwrap();
    fs::write(&path, &old).unwrap();
    assert!(folder.atomic_read(Path::new(LIST)).is_err());
    folder.atomic_write(Path::new(LIST), b"newer").unwrap();
    assert_eq!(folder.atomic_read(Path::new(LIST)).unwrap(), b"newer");
}

#[test]
fn equal_files_have_nothing_in_common_but_what_says_whose_they_are() {
    let (home, folder) = folder();
    for name in ["a.idx", "b.idx"] {
        write(&folder, name, &content(3 * CHUNK));
    }
    let [a, b] = ["a.idx", "b.idx"].map(|name| fs::read(home.path().join(name)).unwrap());
    assert!(a.starts_with(b"jicengI1\x01\0\0\0\0\0\0\x01") && a[..16] == b[..16]);
    let common = a.iter().zip(&b).skip(16).filter(|(a, b)| a == b).count();
    assert!(common < a.len() / 128, "{common} of {}", a.len());
}
