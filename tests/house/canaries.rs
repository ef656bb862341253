//! Canaries: two hundred words that exist nowhere else are typed, uploaded and searched for, and then looked
//! for as bytes in everything the house leaves on a disk. The search index is the stated exception.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::county::{County, Person, beside, files_below, path_of};
use super::register::noise;

const CLERK: &str = "石鼓岭镇纪委";
/// Characters that GBK knows, so that every encoding can be looked for.
const HAN: &str =
    "砚漆槲梧泠麓桓祠堰圩埠坳坞垄畈塬峁岙岬岫峪崂嵊巅巷廪庑庠廨弈彗徕忻恺惇愫慊憬懿戎戬扈抟拊挹捭掖揆搴撷";

/// A word of the canaries: Chinese and Latin together, the same for a number.
fn word(n: usize) -> String {
    let han: Vec<char> = HAN.chars().collect();
    let pick = noise(7_000 + n as u64, 12);
    let chinese: String = pick[..6].iter().map(|b| han[usize::from(*b) % han.len()]).collect();
    let latin: String = pick[6..].iter().map(|b| char::from(b'a' + b % 26)).collect();
    format!("{chinese}{latin}{n:03}")
}

/// The encodings a careless program could leave a word in.
fn spellings(word: &str) -> Vec<Vec<u8>> {
    let units: Vec<u16> = word.encode_utf16().collect();
    let (gbk, _, unknown) = encoding_rs::GBK.encode(word);
    assert!(!unknown, "{word}");
    let code = percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
    vec![
        word.as_bytes().to_vec(),
        units.iter().flat_map(|u| u.to_le_bytes()).collect(),
        units.iter().flat_map(|u| u.to_be_bytes()).collect(),
        gbk.into_owned(),
        code.into_bytes(),
        // Half of it: what a buffer or a page boundary may have left.
        word.chars().take(6).collect::<String>().into_bytes(),
        word.chars().skip(6).collect::<String>().into_bytes(),
    ]
}

/// Every place of a file where a spelling of a word stands.
fn found_in(files: &[PathBuf], words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    // One pass over each file: the first four bytes of every spelling, then the whole.
    let all: Vec<(usize, Vec<u8>)> =
        words.iter().enumerate().flat_map(|(n, w)| spellings(w).into_iter().map(move |s| (n, s))).collect();
    let mut heads: std::collections::HashMap<[u8; 4], Vec<usize>> = std::collections::HashMap::new();
    for (place, (_, spelling)) in all.iter().enumerate() {
        heads.entry(spelling[..4].try_into().unwrap()).or_default().push(place);
    }
    for file in files {
        let bytes = fs::read(file).unwrap_or_default();
        for (at, window) in bytes.windows(4).enumerate() {
            let Some(places) = heads.get(window) else { continue };
            for (n, spelling) in places.iter().map(|p| &all[*p]) {
                if bytes[at..].starts_with(spelling) {
                    found.push(format!("{} holds {} at {at}", file.display(), words[*n]));
                }
            }
        }
    }
    found
}

/// Types forty words into each of five kinds of place: titles, texts, petitioners, attachments, searches.
fn plant(clerk: &Person, words: &[String]) {
    let (typed, searched) = words.split_at(160);
    for four in typed.chunks(8) {
        let form = clerk.form("/petition/new").fill(&[
            ("title", &format!("反映{}问题", four[0])),
            ("text", &format!("来信称{}一事。\n{}。", four[1], four[2])),
            ("accused.0.name", &four[3]),
            ("accused.0.rank", "village"),
            ("petitioner.name", &four[4]),
            ("petitioner.phone", &four[5]),
        ]);
        let form = form.attach(&format!("{}.txt", four[6]), format!("附件内容{}。", four[7]).as_bytes());
        let path = path_of(&clerk.submit(&form).expect(303));
        let propose = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", &four[1]);
        clerk.submit(&propose).expect(303);
        clerk.post_form(&format!("{path}/identity"), &[("reason", &four[4])]).expect(200);
        // A form that is refused, one that breaks off, and one of somebody who is logged out.
        let wrong = clerk.form("/petition/new").set("title", "").set("text", &four[2]);
        clerk.submit(&wrong.attach("x.txt", four[7].as_bytes())).expect(422);
        let half = clerk.form("/petition/new").fill(&[
            ("title", &four[0]),
            ("accused.0.name", &four[3]),
            ("accused.0.rank", "village"),
            ("petitioner.name", &four[4]),
        ]);
        clerk.submit(&half.set("keep", "draft").attach("草稿.txt", four[7].as_bytes())).expect(303);
        clerk.get(&format!("{path}/history")).expect(200);
        clerk.get(&format!("{path}/files/0")).expect(200);
    }
    for term in searched {
        clerk.search(term);
    }
    clerk.search(&typed[0]);
}

#[track_caller]
fn ran(out: Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Two keys outside the county, and a set for both.
fn back_up(county: &County, media: &Path) {
    let keys = ["one.key", "two.key"].map(|name| {
        let out = media.join(name);
        let command =
            Command::new(env!("CARGO_BIN_EXE_jiceng")).args(["backup", "keygen", "--out"]).arg(out).output();
        ran(command.unwrap())
    });
    let target = media.join("sets");
    fs::create_dir_all(&target).unwrap();
    let to = target.to_str().unwrap();
    ran(county.cli(&["backup", "run", "--to", to, "--recipient", &keys[0], "--recipient", &keys[1]]));
}

#[test]
fn nothing_that_was_typed_lies_readable_on_a_disk() {
    let county = County::bare();
    let media = county.dir().with_extension("media");
    fs::create_dir_all(&media).unwrap();
    let words: Vec<String> = (0..200).map(word).collect();
    let clerk = county.clerk(CLERK);
    plant(&clerk, &words);
    // The words are really there, for who may read them.
    assert!(clerk.search(&words[0]).says("<mark>"));
    back_up(&county, &media);
    let index = county.dir().join("index");
    let everything = |county: &County| {
        let mut files = files_below(county.dir());
        files.retain(|f| !f.starts_with(&index) && f.extension().is_none_or(|e| e != "sock"));
        files.extend(files_below(&media));
        files.extend(beside(county.dir()).into_iter().filter(|f| f.is_file()));
        files
    };
    let files = everything(&county);
    let has = |ending: &str| files.iter().any(|f| f.to_string_lossy().ends_with(ending));
    assert!(has("store.redb") && has(".log") && has(".key"), "{files:?}");
    assert!(files.iter().filter(|f| f.starts_with(&media)).count() >= 4, "{files:?}");
    let found = found_in(&files, &words);
    assert!(found.is_empty(), "while serving: {}", found.join("\n"));
    county.kill_9();
    county.is_sound();
    let found = found_in(&everything(&county), &words);
    assert!(found.is_empty(), "after a power cut: {}", found.join("\n"));
    fs::remove_dir_all(&media).unwrap();
}

#[test]
fn the_search_for_canaries_can_find_one() {
    let dir = std::env::temp_dir().join(format!("jiceng-house-{}-canary", std::process::id()));
    let words = [word(1), word(2)];
    for spelling in spellings(&words[1]) {
        fs::write(&dir, [&noise(1, 999), &spelling[..], &noise(2, 999)].concat()).unwrap();
        assert!(!found_in(std::slice::from_ref(&dir), &words).is_empty());
    }
    fs::remove_file(&dir).unwrap();
}
