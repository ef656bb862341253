//! A damaged index: files deleted, cut, flipped, wiped, swapped, put back from an earlier day, or of nobody. It opens
//! as what was written at some moment, and then follows the journal, or it is made anew: whoever searches finds what
//! the records say, at once and in the end, with nothing missing, nothing stale and nothing that is not there.
//!
//! `JICENG_CAMPAIGN=n` tries n times as many images, `JICENG_FROM` begins later; the same number is always the same
//! damage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiceng::app::search::Query;
use jiceng::app::{App, demo, index_dir};
use jiceng::base::{RecordId, Seq};
use jiceng::records::petition;
use jiceng::search::{Found, Index, Request, Scope, Units};
use jiceng::store::{FileKeys, Store};

use super::disk::{Chance, SECTOR};
use super::{WORKERS, campaign, clock, from, memory, petition_form};

const IMAGES: usize = 200;
/// One image in so many is served by the whole application.
const SERVED: usize = 25;
const PETITIONS: usize = 24;
const MOMENTS: usize = 4;
/// In every petition; in the even ones; in the odd ones; in those that were amended.
const WORDS: [&str; 4] = ["水渠", "漏水", "堵塞", "修好"];

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// An index at some moment, and what it must answer.
struct Moment {
    files: Files,
    position: Seq,
    found: Vec<Found>,
}

struct County {
    /// Everything but the index, at the end.
    files: Files,
    moments: Vec<Moment>,
    keys: FileKeys,
    /// The petitions with each of the words.
    right: Vec<BTreeSet<RecordId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Whole,
    Behind,
    Remade,
}

fn county() -> County {
    let home = memory();
    let dir = home.path().join("d");
    drop(demo::create(&dir, clock(), true).unwrap());
    let mut right = vec![BTreeSet::new(); WORDS.len()];
    let mut moments = Vec::new();
    let mut n = 0;
    for _ in 0..MOMENTS {
        let app = App::open(&dir, clock()).unwrap();
        let actor = app.demo_actor(demo::EVERYTHING).unwrap();
        for _ in 0..PETITIONS / MOMENTS {
            let typed = petition_form(n, &format!("水渠{}。", WORDS[1 + n % 2]));
            let id = app.create(&actor, &petition::KIND, typed).unwrap();
            right[0].insert(id);
            if n % 4 == 3 {
                let amended = petition_form(1_000 + n, "水渠修好。");
                app.amend(&actor, &petition::KIND, (id, 1), amended).unwrap();
                right[3].insert(id);
            } else {
                right[1 + n % 2].insert(id);
            }
            app.wait_for_index().unwrap();
            n += 1;
        }
        drop(app);
        moments.push(moment(&dir));
    }
    let keys = Store::open(&dir, clock()).unwrap().file_keys();
    let mut files = read_all(home.path(), home.path());
    files.retain(|name, _| !name.starts_with("d/index"));
    County { files, moments, keys, right }
}

fn moment(dir: &Path) -> Moment {
    let keys = Store::open(dir, clock()).unwrap().file_keys();
    let (index, position) = Index::open(&index_dir(dir), 1, &keys).unwrap();
    let found = answers(&index).unwrap();
    index.retire().unwrap();
    drop(index);
    let (index, again) = Index::open(&index_dir(dir), 1, &keys).unwrap();
    assert!(position.is_some() && position == again && answers(&index).unwrap() == found);
    index.retire().unwrap();
    drop(index);
    Moment { files: read_all(&index_dir(dir), &index_dir(dir)), position: position.unwrap(), found }
}

fn read_all(root: &Path, folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut read_all(root, &path));
        } else if path.is_file() {
            files.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    files
}

fn answers(index: &Index) -> Result<Vec<Found>, String> {
    let all = Scope::nothing().under(u8::MAX);
    let scope = (1..=u8::MAX).fold(all, |scope, kind| scope.with(kind, Units::All));
    let request = |text: &str| Request { text: text.to_owned(), limit: 200, ..Request::default() };
    let asked = WORDS.iter().chain(&["", "第三条"]).map(|text| index.search(&scope, &request(text), &[]));
    asked.collect::<Result<_, _>>().map_err(|e| format!("it opens and does not answer: {e:?}"))
}

/// What becomes of the files; in words.
fn damage(county: &County, files: &mut Files, chance: &mut Chance) -> String {
    let names: Vec<PathBuf> = files.iter().filter(|(_, b)| !b.is_empty()).map(|(n, _)| n.clone()).collect();
    let Some(name) = names.get(chance.below(names.len().max(1))).cloned() else { return "nothing is left".into() };
    let other = names[chance.below(names.len())].clone();
    let length = files[&name].len();
    let what = chance.below(8);
    match what {
        0 => _ = files.remove(&name),
        1 => _ = files.get_mut(&name).map(|bytes| bytes.truncate(chance.below(length))),
        2 => _ = files.get_mut(&name).map(|bytes| bytes[chance.below(length)] ^= 1 << chance.below(8)),
        3 => {
            let start = chance.below(length.div_ceil(SECTOR)) * SECTOR;
            let bytes = files.get_mut(&name).unwrap();
            bytes[start..length.min(start + SECTOR)].fill(0);
        }
        4 => {
            let (one, two) = (files[&name].clone(), files[&other].clone());
            files.insert(name.clone(), two);
            files.insert(other.clone(), one);
        }
        // A file of another day: another writing of it, or one that was removed since.
        5 => {
            let day = &county.moments[chance.below(MOMENTS)].files;
            let (name, bytes) = day.iter().nth(chance.below(day.len())).unwrap();
            files.insert(name.clone(), bytes.clone());
        }
        6 => files.clone_from(&county.moments[chance.below(MOMENTS)].files),
        _ => {
            let stray = ["stray.idx", ".tmpAb12", "0123456789abcdef0123456789abcdef.term"][chance.below(3)];
            files.insert(stray.into(), files[&name].clone());
        }
    }
    format!("{what} of {} and {}", name.display(), other.display())
}

fn put(files: &Files, place: &Path) {
    for (name, bytes) in files {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The index alone: a moment that was, or nothing; and no file in its folder that is not of it.
fn opens(county: &County, place: &Path) -> Result<Fate, String> {
    let (index, position) = Index::open(place, 1, &county.keys).map_err(|e| format!("it does not open: {e:?}"))?;
    let found = answers(&index)?;
    if !index.is_sound().map_err(|e| format!("{e:?}"))? {
        return Err("it opens and is not sound".into());
    }
    index.retire().map_err(|e| format!("{e:?}"))?;
    drop(index);
    let left = read_all(place, place);
    let last = county.moments.last().unwrap();
    let Some(position) = position else {
        let few = left.keys().all(|name| name.to_string_lossy().starts_with(['.', 'm']));
        if few && found.iter().all(|f| f.total == 0) {
            return Ok(Fate::Remade);
        }
        return Err(format!("made anew and not empty: {:?}", left.keys()));
    };
    let moment = county.moments.iter().find(|m| m.position == position);
    let moment = moment.ok_or_else(|| format!("it stands at {position:?}, where it never stood"))?;
    if moment.found != found {
        return Err(format!("at {position:?} it answers {found:?}"));
    }
    let strange: Vec<_> = left.keys().filter(|name| !moment.files.contains_key(*name)).collect();
    if !strange.is_empty() {
        return Err(format!("{strange:?} are still there"));
    }
    Ok(if position == last.position { Fate::Whole } else { Fate::Behind })
}

/// The whole application: how many petitions are missing, stale, or not there.
fn serves(county: &County, home: &Path) -> Result<[usize; 3], String> {
    let app = App::open(&home.join("d"), clock()).map_err(|e| format!("it does not open: {e:?}"))?;
    let mut wrong = compares(county, &app)?;
    app.wait_for_index().map_err(|e| format!("the index does not follow: {e:?}"))?;
    wrong.iter_mut().zip(compares(county, &app)?).for_each(|(sum, more)| *sum += more);
    Ok(wrong)
}

fn compares(county: &County, app: &App) -> Result<[usize; 3], String> {
    let actor = app.demo_actor(demo::EVERYTHING).map_err(|e| format!("{e:?}"))?;
    let mut wrong = [0; 3];
    for (word, right) in WORDS.iter().zip(&county.right) {
        let query = Query { text: (*word).to_owned(), limit: 100, ..Query::default() };
        let found = app.search(&actor, &query).map_err(|e| format!("{e:?}"))?;
        let hits: BTreeSet<RecordId> = found.hits.iter().filter(|_| found.exact).map(|h| h.record.id).collect();
        wrong[0] += right.difference(&hits).count();
        let (stale, ghosts): (Vec<RecordId>, _) = hits.difference(right).partition(|id| county.right[0].contains(id));
        wrong[1] += stale.len();
        wrong[2] += ghosts.len();
    }
    Ok(wrong)
}

fn image(county: &County, n: usize) -> Result<Fate, String> {
    let home = memory();
    let mut chance = Chance(n as u64);
    let mut files = county.moments.last().unwrap().files.clone();
    let done: Vec<String> = (0..=chance.below(3)).map(|_| damage(county, &mut files, &mut chance)).collect();
    let told = |e: String| format!("{e} after {}", done.join(", "));
    let place = home.path().join("alone");
    put(&files, &place);
    let fate = opens(county, &place).map_err(told)?;
    if n.is_multiple_of(SERVED) {
        put(&county.files, home.path());
        put(&files, &index_dir(&home.path().join("d")));
        let [missing, stale, ghosts] = serves(county, home.path()).map_err(told)?;
        if missing + stale + ghosts > 0 {
            return Err(told(format!("{missing} missing, {stale} stale, {ghosts} ghosts")));
        }
    }
    Ok(fate)
}

#[test]
fn a_damaged_index_answers_as_the_records_do() {
    let county = county();
    let (first, images) = (from(), IMAGES * campaign());
    let next = AtomicUsize::new(first);
    let fates: Mutex<BTreeMap<Fate, usize>> = Mutex::default();
    let work = || {
        let mut wrong = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= first + images || wrong.len() > 3 {
                return wrong;
            }
            let tried = catch_unwind(AssertUnwindSafe(|| image(&county, n)));
            match tried.unwrap_or_else(|_| Err("it panics".to_owned())) {
                Ok(fate) => *fates.lock().unwrap().entry(fate).or_default() += 1,
                Err(what) => wrong.push(format!("image {n}: {what}")),
            }
        }
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    let fates = fates.into_inner().unwrap();
    println!("{images} images: {fates:?}, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(fates[&Fate::Remade] > images / 3 && fates[&Fate::Whole] > 0 && fates[&Fate::Behind] > 0);
}
