//! Canaries: a thousand words that exist nowhere else are typed, uploaded, imported and searched for, in every way in,
//! and then looked for as bytes in everything the house leaves on a disk: as they are, in other encodings, and within
//! what is packed. The search index is no exception.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::county::{County, OWN, Person, beside, files_below, path_of};
use super::form::forms;
use super::register::noise;
use super::wire::Answer;

const WORDS: usize = 1_000;
/// Most bytes that a packed piece is unpacked to.
const UNPACKED: u64 = 1 << 20;
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
    format!("{chinese}{latin}{n:04}")
}

/// The encodings a careless program could leave a word in.
fn spellings(word: &str) -> Vec<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let units: Vec<u16> = word.encode_utf16().collect();
    let (gbk, _, unknown) = encoding_rs::GBK.encode(word);
    assert!(!unknown, "{word}");
    let code = percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut all = vec![
        word.as_bytes().to_vec(),
        units.iter().flat_map(|u| u.to_le_bytes()).collect(),
        units.iter().flat_map(|u| u.to_be_bytes()).collect(),
        gbk.into_owned(),
        code.into_bytes(),
        hex::encode(word).into_bytes(),
        // Half of it: what a buffer or a page boundary may have left.
        word.chars().take(6).collect::<String>().into_bytes(),
        word.chars().skip(6).collect::<String>().into_bytes(),
    ];
    // Whatever stood before it: of the digits that depend on the word alone, all.
    all.extend((0..3).map(|shift| {
        let digits = STANDARD.encode([&[0; 3][..shift], word.as_bytes()].concat());
        let whole = (shift + word.len()) / 3 * 4;
        digits.as_bytes()[if shift == 0 { 0 } else { 4 }..whole].to_vec()
    }));
    all
}

/// Words to look for, by the beginnings of their spellings.
struct Search<'a> {
    words: &'a [String],
    spellings: Vec<(usize, Vec<u8>)>,
    /// Whether a spelling begins with these two bytes.
    pairs: Vec<bool>,
    heads: HashMap<[u8; 4], Vec<usize>>,
}

impl<'a> Search<'a> {
    fn of(words: &'a [String]) -> Self {
        let all = words.iter().enumerate().flat_map(|(n, w)| spellings(w).into_iter().map(move |s| (n, s)));
        let spellings: Vec<(usize, Vec<u8>)> = all.collect();
        let mut search = Self { words, spellings, pairs: vec![false; 1 << 16], heads: HashMap::new() };
        for (place, (_, spelling)) in search.spellings.iter().enumerate() {
            search.pairs[usize::from(u16::from_le_bytes([spelling[0], spelling[1]]))] = true;
            search.heads.entry(spelling[..4].try_into().unwrap()).or_default().push(place);
        }
        search
    }

    /// Words that stand in these bytes.
    fn within(&self, bytes: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, window) in bytes.windows(4).enumerate() {
            if !self.pairs[usize::from(u16::from_le_bytes([window[0], window[1]]))] {
                continue;
            }
            let places = self.heads.get(window).into_iter().flatten();
            let there = places.map(|p| &self.spellings[*p]).filter(|(_, s)| bytes[at..].starts_with(s));
            found.extend(there.map(|(n, _)| self.words[*n].as_str()));
        }
        found
    }

    /// The files in which words stand, as they are or packed.
    fn found_in(&self, files: &[PathBuf]) -> Vec<String> {
        let mut found = Vec::new();
        for file in files {
            let bytes = fs::read(file).unwrap_or_default();
            let packed = unpacked(&bytes);
            let all = std::iter::once(&bytes).chain(&packed);
            found.extend(
                all.flat_map(|b| self.within(b)).map(|word| format!("{} holds {word}", file.display())),
            );
        }
        found
    }
}

/// What comes of everything that may be the beginning of something packed.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut take = |reader: &mut dyn Read| {
        let mut out = Vec::new();
        // What was read before it broke off counts as well.
        let _broke_off = reader.take(UNPACKED).read_to_end(&mut out);
        if out.len() >= 4 {
            all.push(out);
        }
    };
    for at in 0..bytes.len().saturating_sub(4) {
        match bytes[at..at + 4] {
            [0x28, 0xb5, 0x2f, 0xfd] => {
                if let Ok(mut reader) = zstd::Decoder::new(&bytes[at..]) {
                    take(&mut reader);
                }
            }
            [0x1f, 0x8b, 8, _] => take(&mut flate2::read::GzDecoder::new(&bytes[at..])),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => take(&mut flate2::read::ZlibDecoder::new(&bytes[at..])),
            // A member of an archive, behind its name and what else is said of it.
            [b'P', b'K', 3, 4] if bytes.len() > at + 30 => {
                let length = |n: usize| usize::from(u16::from_le_bytes([bytes[at + n], bytes[at + n + 1]]));
                let packed = bytes.get(at + 30 + length(26) + length(28)..).unwrap_or_default();
                take(&mut flate2::read::DeflateDecoder::new(packed));
            }
            _ => {}
        }
    }
    all
}

/// Gives out each word once.
struct Words<'a>(std::slice::Iter<'a, String>);

impl<'a> Words<'a> {
    fn one(&mut self) -> &'a str {
        self.0.next().unwrap()
    }

    fn some(&mut self, count: usize) -> String {
        self.0.by_ref().take(count).map(String::as_str).collect::<Vec<_>>().join("，")
    }
}

/// Types forty-one words into a petition, its attachment, its moves, and forms that come to nothing.
fn type_in(clerk: &Person, words: &mut Words<'_>) {
    let (content, opinion) = (words.some(12), words.one());
    let form = clerk.form("/petition/new").fill(&[
        ("title", &format!("反映{}问题", words.some(2))),
        ("text", &format!("来信称{}一事。\n{}。", words.some(8), words.some(6))),
        ("accused.0.name", words.one()),
        ("accused.0.rank", "village"),
        ("petitioner.name", words.one()),
        ("petitioner.phone", words.one()),
    ]);
    let form = form.attach(&format!("{}.txt", words.one()), format!("附件内容{content}。").as_bytes());
    let path = path_of(&clerk.submit(&form).expect(303));
    let propose = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", opinion);
    clerk.submit(&propose).expect(303);
    clerk.post_form(&format!("{path}/identity"), &[("reason", words.one()), OWN]).expect(200);
    // A form that is refused, and one that breaks off.
    let wrong = clerk.form("/petition/new").set("title", "").set("text", words.one());
    clerk.submit(&wrong.attach(&format!("{}.txt", words.one()), words.one().as_bytes())).expect(422);
    let half = clerk.form("/petition/new").fill(&[
        ("title", words.one()),
        ("accused.0.name", words.one()),
        ("accused.0.rank", "village"),
        ("petitioner.name", words.one()),
    ]);
    clerk.submit(&half.set("keep", "draft").attach("草稿.txt", words.one().as_bytes())).expect(303);
    clerk.get(&format!("{path}/history")).expect(200);
    clerk.get(&format!("{path}/files/0")).expect(200);
}

/// Brings in a ledger in the browser: good rows, wrong ones, and some that article 16 keeps out.
fn bring_in(clerk: &Person, words: &mut Words<'_>) {
    let heads = ["收件日期", "主要内容", "被反映人", "职级", "举报人姓名", "经手"].map(str::to_owned);
    let rows = (0..24).map(|n| {
        let (day, rank) =
            [("2024-03-05", "村(社区)干部"), ("2024-02-30", "村(社区)干部"), ("2024-03-06", "正科级")][n % 3];
        let [text, accused, petitioner] = [words.one(), words.one(), words.one()].map(str::to_owned);
        vec![day.to_owned(), text, accused, rank.to_owned(), petitioner, "李丁".to_owned()]
    });
    let book = jiceng::foreign::workbook(&heads, rows.collect::<Vec<_>>().into_iter()).unwrap();
    let settled = |path: &str| -> Answer {
        let pages = (0..600).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            clerk.get(path).expect(200)
        });
        pages.into_iter().find(|page| !page.says("http-equiv=\"refresh\"")).unwrap()
    };
    let with = |page: &Answer, input: &str| forms(&page.text()).into_iter().find(|f| f.has(input)).unwrap();
    let chooser = with(&clerk.get("/import?what=petition").expect(200), "what");
    let upload = chooser.attach(&format!("{}.xlsx", words.one()), &book);
    let path = clerk.submit(&upload).expect(303).location().to_owned();
    for button in ["check", "run"] {
        let page = settled(&path);
        clerk.submit(&with(&page, "sheet").set("do", button).to(&path)).expect(303);
        let done = settled(&path);
        assert!(done.says("8 "), "{}", done.text());
        clerk.get(&format!("{path}/failed")).expect(200);
    }
}

/// Words in places where nobody should type them: names and passwords at the log-in, addresses, headers.
fn knock(county: &County, words: &mut Words<'_>) {
    for _ in 0..4 {
        county.nobody().log_in_as(words.one(), words.one());
        let address = percent_encoding::utf8_percent_encode(words.one(), percent_encoding::NON_ALPHANUMERIC);
        let stranger = county.nobody();
        stranger.get(&format!("/petition/{address}"));
        let header = percent_encoding::utf8_percent_encode(words.one(), percent_encoding::NON_ALPHANUMERIC);
        stranger.send(stranger.request("GET", "/").header("user-agent", &header.to_string())).unwrap();
    }
}

/// A ledger through the socket; its file, which is plain, is gone afterwards.
fn bring_in_by_command(county: &County, words: &mut Words<'_>) {
    let file = std::env::temp_dir().join(format!(
        "{}-{}.jsonl",
        county.dir().file_name().unwrap().display(),
        words.one()
    ));
    let row =
        |n| format!("{{\"ref\":\"c{n}\",\"title\":\"{}\",\"text\":\"{}\"}}\n", words.one(), words.one());
    fs::write(&file, (0..15).map(row).collect::<String>()).unwrap();
    let done = county.cli(&["import", "petitions", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    ran(done);
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

/// ASVS 14.2.2, 14.2.4, 16.2.3
#[test]
fn nothing_that_was_typed_lies_readable_on_a_disk() {
    let county = County::bare();
    let beside_it = |what: &str| county.dir().with_extension(what);
    let (media, temporary) = (beside_it("media"), beside_it("tmp"));
    fs::create_dir_all(&media).unwrap();
    fs::create_dir_all(&temporary).unwrap();
    county.restart_under(&["env", &format!("TMPDIR={}", temporary.display())]).unwrap();
    let words: Vec<String> = (0..WORDS).map(word).collect();
    let clerk = county.clerk(CLERK);
    let mut left = Words(words.iter());
    (0..20).for_each(|_| type_in(&clerk, &mut left));
    bring_in(&clerk, &mut left);
    knock(&county, &mut left);
    bring_in_by_command(&county, &mut left);
    while left.0.len() > 0 {
        clerk.search(&left.some(4));
    }
    // The words are really there, for who may read them.
    assert!(clerk.search(&words[14]).says("<mark>"));
    back_up(&county, &media);
    let everything = |county: &County| {
        let mut files = files_below(county.dir());
        files.retain(|f| f.extension().is_none_or(|e| e != "sock"));
        files.extend(
            beside(county.dir())
                .iter()
                .flat_map(|p| if p.is_dir() { files_below(p) } else { vec![p.clone()] }),
        );
        files
    };
    let search = Search::of(&words);
    let files = everything(&county);
    let has = |ending: &str| files.iter().any(|f| f.to_string_lossy().ends_with(ending));
    assert!(has("store.redb") && has(".log") && has(".key") && has(".blob"), "{files:?}");
    assert!(has(".term") && has("meta.json"), "{files:?}");
    assert!(files.iter().filter(|f| f.starts_with(&media)).count() >= 4, "{files:?}");
    let found = search.found_in(&files);
    assert!(found.is_empty(), "while serving: {}", found.join("\n"));
    assert!(!county.crash(), "a core was dumped");
    county.is_sound();
    let found = search.found_in(&everything(&county));
    assert!(found.is_empty(), "after a crash: {}", found.join("\n"));
}

#[test]
fn the_search_for_canaries_can_find_one() {
    let dir = std::env::temp_dir().join(format!("jiceng-house-{}-canary", std::process::id()));
    let words = [word(1), word(2)];
    let search = Search::of(&words);
    let finds = |content: &[u8]| {
        fs::write(&dir, [&noise(1, 999), content, &noise(2, 999)].concat()).unwrap();
        !search.found_in(std::slice::from_ref(&dir)).is_empty()
    };
    assert!(!finds(&[]));
    for spelling in spellings(&words[1]) {
        assert!(finds(&spelling), "{}", String::from_utf8_lossy(&spelling));
    }
    for shift in 0..3 {
        use base64::{Engine, engine::general_purpose::STANDARD};
        assert!(
            finds(STANDARD.encode([&b"abc"[..shift], words[1].as_bytes()].concat()).as_bytes()),
            "{shift}"
        );
    }
    let text = words[1].repeat(3).into_bytes();
    let (level, mut gzip) = (flate2::Compression::best(), Vec::new());
    flate2::write::GzEncoder::new(&mut gzip, level).write_all(&text).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
    zlib.write_all(&text).unwrap();
    let book = jiceng::foreign::workbook(&["甲".to_owned()], [vec![words[1].clone()]].into_iter()).unwrap();
    for packed in [zstd::encode_all(&text[..], 3).unwrap(), gzip, zlib.finish().unwrap(), book] {
        assert!(finds(&packed), "{packed:?}");
    }
    fs::remove_file(&dir).unwrap();
}
