//! OWASP ASVS 5.0, item by item: `asvs.tsv` says which test shows each, or why none can. Nothing there is taken on
//! trust: items and levels are counted, a test that is named must be there and name the item itself, and every item
//! that a test names must stand there. What no server is needed for is shown here. The same for the table of 等保.
//!
//! A reason is `absent` (there is no such thing here), `host` (whoever runs the machine sees to it) or `等保` (the law
//! asks for the opposite); behind the dash stands which.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "tidy/scan.rs"]
#[allow(dead_code, reason = "shared with the house rules")]
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiceng::app::password;
use jiceng::base::limits;
use jiceng::web::ROUTES;

use scan::{Token, before, tokens, word};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Why no test shows an item.
const REASONS: [&str; 3] = ["absent", "host", "等保"];
/// Items of the third level that a test shows, at least.
const THIRD: usize = 60;
/// Items of each chapter by level, as the standard has them.
const COUNTS: [[usize; 3]; 17] = [
    [8, 19, 3],
    [4, 7, 2],
    [8, 11, 12],
    [2, 8, 6],
    [4, 5, 4],
    [13, 22, 12],
    [6, 12, 1],
    [4, 3, 6],
    [4, 3, 0],
    [5, 24, 7],
    [3, 11, 10],
    [3, 6, 3],
    [1, 12, 8],
    [2, 7, 4],
    [3, 10, 8],
    [0, 16, 1],
    [0, 7, 5],
];

/// A line of the table.
struct Row {
    id: String,
    level: usize,
    verdict: String,
    what: String,
}

impl Row {
    fn is_shown(&self) -> bool {
        self.verdict.contains("::")
    }

    /// Chapter, section, number.
    fn place(&self) -> [usize; 3] {
        let parts: Vec<usize> = self.id.split('.').map(|n| n.parse().unwrap()).collect();
        parts.try_into().unwrap_or_else(|_| panic!("{} is no item", self.id))
    }
}

fn rows() -> Vec<Row> {
    let text = read("tests/asvs.tsv");
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.starts_with("id\t"));
    lines
        .map(|line| {
            let [id, level, verdict, what] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (id, verdict, what) = (id.to_owned(), verdict.to_owned(), what.to_owned());
            Row { id, level: level.parse().unwrap(), verdict, what }
        })
        .collect()
}

#[test]
fn every_item_of_the_first_two_levels_has_its_row_and_enough_of_the_third() {
    let rows = rows();
    let places: Vec<[usize; 3]> = rows.iter().map(Row::place).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "out of order, or twice");
    for (chapter, counts) in (1..).zip(COUNTS) {
        for (level, count) in (1..).zip(counts) {
            let there = rows.iter().filter(|r| r.place()[0] == chapter && r.level == level).count();
            let right = if level < 3 { there == count } else { there <= count };
            assert!(right, "chapter {chapter}, level {level}: {there} rows, {count} items");
        }
    }
    assert!(rows.iter().all(|r| (1..=17).contains(&r.place()[0]) && (1..=3).contains(&r.level)));
    let third = rows.iter().filter(|r| r.level == 3 && r.is_shown()).count();
    assert!(third >= THIRD, "{third} of the third level are shown, {THIRD} at least");
}

#[test]
fn every_row_has_a_test_or_one_of_three_reasons_and_says_which() {
    for row in rows() {
        let reason = REASONS.contains(&row.verdict.as_str());
        assert!(row.is_shown() != reason, "{}: {} is neither a test nor a reason", row.id, row.verdict);
        let which = row.what.split_once(" — ").is_some_and(|(_, which)| which.chars().count() > 5);
        assert!(!reason || which, "{}: {} does not say which", row.id, row.verdict);
        assert!(row.what.chars().count() > 6, "{}: {}", row.id, row.what);
    }
}

#[test]
fn every_test_that_is_named_is_there_and_names_the_item() {
    let named = named();
    for row in rows().iter().filter(|r| r.is_shown()) {
        let Some(items) = named.get(&row.verdict) else { panic!("{}: there is no test {}", row.id, row.verdict) };
        assert!(items.contains(&row.id), "{}: {} does not name it", row.id, row.verdict);
    }
    let stand: BTreeSet<(String, String)> = rows().into_iter().map(|r| (r.verdict, r.id)).collect();
    for (test, items) in named {
        for item in items {
            assert!(stand.contains(&(test.clone(), item.clone())), "{test} names {item}, its row does not");
        }
    }
}

/// Every test with the items that the comment above it names: a line `ASVS 1.2.3, 4.5.6`.
fn named() -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for (path, text) in sources(&["src", "tests"]) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, l)| l.starts_with("fn ")) {
            let above = || lines[..at].iter().rev().take_while(|l| l.starts_with("///") || l.starts_with("#["));
            if !above().any(|l| *l == "#[test]") || above().any(|l| l.starts_with("#[ignore")) {
                continue;
            }
            let name = line["fn ".len()..].split(['(', '<']).next().unwrap();
            let items = above().filter_map(|l| l.strip_prefix("/// ASVS ")).flat_map(|l| l.split([' ', ',']));
            let items = items.map(|i| i.trim_end_matches('.').to_owned()).filter(|i| !i.is_empty()).collect();
            all.insert(format!("{path}::{name}"), items);
        }
    }
    all
}

fn sections(text: &str) -> Vec<(&str, &str)> {
    text.split("\n## ").skip(1).filter_map(|s| s.split_once('\n')).collect()
}

/// The document is in step with what the program does: each number of it is that of a constant.
/// ASVS 2.1.1, 2.1.2, 2.1.3, 3.1.1, 5.1.1, 6.1.1, 6.1.2, 6.1.3, 7.1.1, 7.1.2, 8.1.1, 8.1.2, 8.1.3, 8.1.4,
/// ASVS 11.1.1, 11.1.2, 11.1.4, 13.1.1, 13.1.2, 13.1.3, 13.1.4, 14.1.1, 14.1.2, 15.1.1, 15.1.3, 15.1.4,
/// ASVS 15.1.5, 16.1.1
#[test]
fn the_document_says_what_was_decided_and_its_numbers_are_those_of_the_program() {
    let text = read("docs/security.md");
    let said = |item: &str| {
        let mut all = sections(&text).into_iter();
        let section = all.find(|(head, _)| head.split(['(', ')', ',']).any(|part| part.trim() == item));
        let section = section.unwrap_or_else(|| panic!("docs/security.md has no heading with {item}"));
        section.1.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for item in DOCUMENTED {
        assert!(said(item).chars().count() > 300, "{item} says little");
    }
    for (item, words, number) in numbers() {
        let words = words.replace('#', &number.to_string());
        assert!(said(item).contains(&words), "{item} does not say {words:?}");
    }
    for word in password::WORDS.iter().chain(&password::WORDS_ZH) {
        assert!(said("6.1.2").contains(word), "6.1.2 does not list {word}");
    }
}

/// What a section says, with `#` for a number, and the number.
fn numbers() -> Vec<(&'static str, &'static str, u64)> {
    let (of, at) = (|n: usize| n as u64, i64::unsigned_abs);
    vec![
        ("2.1.3", "# drafts", of(limits::DRAFTS_PER_ACCOUNT)),
        ("2.1.3", "# imports that wait", of(limits::IMPORTS_WAITING)),
        ("2.1.3", "# attachments a record", of(limits::FILES_PER_RECORD)),
        ("2.1.3", "# connections, 32", of(limits::CONNECTIONS_OF_ONE)),
        ("2.1.3", "# connections, 64", of(limits::CONNECTIONS)),
        ("2.1.3", "# pages at work", of(limits::WORKERS)),
        ("2.1.3", "# password checks", of(limits::ARGON_AT_ONCE)),
        ("2.1.3", "# waiting, 4", of(limits::ARGON_WAITING)),
        ("2.1.3", "# files of other programs", of(limits::READERS)),
        ("2.1.3", "# fields", of(limits::FORM_FIELDS)),
        ("2.1.3", "an attachment # MiB", limits::FILE_BYTES >> 20),
        ("5.1.1", "a table has at most # MiB", limits::FOREIGN_TABLE_BYTES >> 20),
        ("5.1.1", "a document # MiB", limits::FOREIGN_DOCUMENT_BYTES >> 20),
        ("5.1.1", "# entries", of(limits::FOREIGN_ENTRIES)),
        ("5.1.1", "# GiB unpacked", limits::FOREIGN_UNPACKED_BYTES >> 30),
        ("7.1.1", "# minutes without a request", at(limits::SESSION_IDLE_S) / 60),
        ("7.1.1", "# hours in any case", at(limits::SESSION_MAX_S) / 3600),
        ("7.1.1", "for # minutes. Strangers", at(limits::LOGIN_PAUSE_S) / 60),
        ("7.1.1", "have # guesses", of(limits::LOGIN_STRANGERS)),
        ("7.1.1", "account in # hours", at(limits::LOGIN_STRANGERS_S) / 3600),
        ("7.1.1", "once, for # minutes", at(limits::SETUP_LINK_S) / 60),
        ("13.1.4", "within # days after a purge", at(limits::PURGE_KEYS_DAYS)),
        ("13.1.4", "| # days; the county", at(limits::CERTIFICATE_DAYS)),
        ("13.1.4", "every # days", u64::from(limits::CHECK_DAYS)),
        ("13.1.4", "| # days in the profile", at(limits::PASSWORD_DAYS)),
        ("13.1.4", "Argon2id, # MiB", u64::from(limits::ARGON_KIB >> 10)),
        ("13.1.1", "# of them", of(limits::SPOOL_SEGMENTS)),
        ("13.1.1", "cache has # MiB", of(limits::STORE_CACHE_BYTES) >> 20),
    ]
}

/// Items that ask for a document.
const DOCUMENTED: [&str; 29] = [
    "2.1.1", "2.1.2", "2.1.3", "3.1.1", "5.1.1", "6.1.1", "6.1.2", "6.1.3", "7.1.1", "7.1.2", "8.1.1", "8.1.2",
    "8.1.3", "8.1.4", "11.1.1", "11.1.2", "11.1.3", "11.1.4", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "14.1.1",
    "14.1.2", "15.1.1", "15.1.3", "15.1.4", "15.1.5", "16.1.1",
];

/// Items of 8.1.4 by their section, and of 8.1.5: as many letters as the standard has, none where it has no letters.
const DENGBAO: [(&str, usize); 15] = [
    ("8.1.4.1", 4),
    ("8.1.4.2", 7),
    ("8.1.4.3", 4),
    ("8.1.4.4", 6),
    ("8.1.4.5", 0),
    ("8.1.4.6", 0),
    ("8.1.4.7", 2),
    ("8.1.4.8", 2),
    ("8.1.4.9", 3),
    ("8.1.4.10", 2),
    ("8.1.4.11", 2),
    ("8.1.5.1", 2),
    ("8.1.5.2", 2),
    ("8.1.5.3", 2),
    ("8.1.5.4", 6),
];

#[test]
fn the_table_of_dengbao_has_every_item_and_names_what_is_there() {
    let text = read("docs/dengbao.zh.md");
    let lines: Vec<Vec<&str>> =
        text.lines().filter(|l| l.starts_with("| 8.1.")).map(|l| l.trim_matches('|').split('|').collect()).collect();
    let items: Vec<String> = lines.iter().map(|l| l[0].trim().to_owned()).collect();
    let letters = |(section, count): &(&str, usize)| match count {
        0 => vec![(*section).to_owned()],
        _ => (b'a'..).take(*count).map(|letter| format!("{section} {}", char::from(letter))).collect(),
    };
    assert_eq!(items, DENGBAO.iter().flat_map(letters).collect::<Vec<_>>());
    let (named, doctor) = (named(), ["doctor", "policy"].map(|f| read(&format!("src/app/{f}.rs"))).concat());
    for line in lines {
        let [item, _, does, checks] = line[..] else { panic!("{line:?}") };
        let checks: Vec<&str> = checks.split('`').map(str::trim).filter(|c| !c.is_empty()).collect();
        assert!(!checks.is_empty() && does.chars().count() > 5, "{item}");
        for check in checks {
            let there = match check.strip_prefix("doctor：") {
                Some(name) => doctor.contains(&format!("\"{name}\"")),
                None if check == "主机" => does.trim().starts_with("主机："),
                None if check.starts_with('/') => is_page(check),
                None => named.contains_key(check),
            };
            assert!(there, "{item}: there is no {check}");
        }
    }
    for readme in ["README.md", "README.zh-CN.md"] {
        let linked = ["docs/dengbao.zh.md", "docs/security.md"].iter().all(|d| read(readme).contains(d));
        assert!(linked, "{readme} does not lead there");
    }
}

fn is_page(path: &str) -> bool {
    let kind = jiceng::records::by_name(&path[1..]).is_some();
    kind || ROUTES.iter().any(|r| r.path == path && r.method.as_str() == "GET")
}

/// What makes keys, seals, signs, hashes or compares secrets is named by few files, and the document lists them all.
/// ASVS 11.1.3, 11.2.1, 11.4.1, 12.3.2
#[test]
fn cryptography_is_named_where_the_inventory_says_and_comes_from_known_crates() {
    const CRATES: [&str; 6] = ["aws_lc_rs", "argon2", "age", "rcgen", "tokio_rustls", "zxcvbn"];
    let names = |code: &[Token<'_>], at: usize| {
        let own = !code[at].test && CRATES.contains(&code[at].text) && before(code, at) != "::";
        own && (word(code, at + 1) == "::" || before(code, at) == "use")
    };
    let naming = product().into_iter().filter(|(_, code)| mentions(code, &names));
    let found: BTreeSet<String> = naming.map(|(path, _)| path).collect();
    let text = read("docs/security.md");
    let listed = text.split("<!-- cryptography -->").nth(1).unwrap().trim_start().split("\n\n").next().unwrap();
    let listed: BTreeSet<String> = listed.split('`').filter(|w| w.ends_with(".rs")).map(str::to_owned).collect();
    assert_eq!(found, listed, "docs/security.md is to list the files that name a crate of cryptography");
    // Nothing weak, and nothing that looks away from a certificate.
    let weak = [
        "md5", "sha1", "Md5", "Sha1", "rc4", "Des", "AES_128_CBC", "Ecb", "thread_rng", "fastrand", "dangerous",
        "with_allow_invalid_certificates", "danger_accept_invalid_certs", "SHA1_FOR_LEGACY_USE_ONLY",
    ];
    for (path, code) in product() {
        let bad = |code: &[Token<'_>], at: usize| !code[at].test && weak.contains(&code[at].text);
        assert!(!mentions(&code, &bad), "{path} names something weak");
    }
}

/// Whoever guesses at a secret learns nothing from how long it takes to be refused.
/// ASVS 11.2.4
#[test]
fn secrets_are_compared_in_constant_time() {
    for path in ["app/device", "app/factor", "app/session", "app/setup", "app/totp", "web/guard"] {
        let code = read(&format!("src/{path}.rs"));
        assert!(code.contains("verify_slices_are_equal"), "{path}");
    }
    assert!(read("src/app/password.rs").contains(".verify_password("));
}

/// ASVS 1.4.1, 1.4.3, 15.4.1
#[test]
fn the_compiler_keeps_memory_and_shared_things_safe() {
    let manifest = read("Cargo.toml");
    for lint in ["unsafe_code = \"forbid\"", "await_holding_lock = \"warn\"", "unwrap_used = \"warn\""] {
        assert!(manifest.lines().any(|l| l == lint), "{lint}");
    }
    for (path, code) in product() {
        assert!(!mentions(&code, &|code, at| ["unsafe", "static_mut"].contains(&code[at].text)), "{path}");
        assert!(!mentions(&code, &|code, at| code[at].text == "static" && word(code, at + 1) == "mut"), "{path}");
    }
}

/// No shell, no words of anybody: the server starts its own program again, to read files, and where the host has it the
/// one that recognises text in pictures, with arguments that stand in the source.
/// ASVS 1.2.5
#[test]
fn two_places_start_a_program_and_no_word_of_anybody_goes_with_it() {
    let starts = |code: &[Token<'_>], at: usize| {
        !code[at].test && code[at].text == "Command" && word(code, at + 1) == "::" && word(code, at + 2) == "new"
    };
    let places = product().into_iter().filter(|(_, code)| mentions(code, &starts)).map(|(path, _)| path);
    assert_eq!(places.collect::<Vec<_>>(), ["src/foreign/ocr.rs", "src/foreign/reader.rs"]);
}

/// Patterns stand in the source and run in time linear to the text; what somebody typed is never one.
/// ASVS 1.2.9, 1.3.12
#[test]
fn patterns_are_written_in_the_source_and_linear() {
    for (path, code) in product() {
        let typed = |code: &[Token<'_>], at: usize| {
            let made = !code[at].test && code[at].text == "Regex" && word(code, at + 2) == "new";
            made && !["r\"", "\""].iter().any(|begin| word(code, at + 4).starts_with(begin))
        };
        assert!(!mentions(&code, &typed), "{path} makes a pattern of something else than a literal");
        assert!(!mentions(&code, &|code, at| ["fancy_regex", "pcre2"].contains(&code[at].text)), "{path}");
    }
}

/// The scripts keep nothing, run nothing that they read, and leave nothing for others to find; one sends what is typed
/// into a search box, to this server alone.
/// ASVS 1.3.2, 3.2.2, 3.2.3, 3.5.5, 3.5.6, 14.3.3, 15.3.6
#[test]
fn the_scripts_keep_to_themselves() {
    let sends = "fetch('/suggest', {";
    let (keys, suggest) = (read("web/keys.js"), read("web/suggest.js"));
    assert_eq!(suggest.matches(sends).count(), 1);
    for script in [keys, suggest.replace(sends, "")] {
        keeps_to_itself(&script);
    }
    assert_eq!(walk("web").iter().filter(|p| p.ends_with("js")).count(), 2);
}

fn keeps_to_itself(script: &str) {
    for word in [
        "eval", "Function(", "innerHTML", "outerHTML", "insertAdjacent", "document.write", "Storage", "indexedDB",
        "cookie", "postMessage", "fetch(", "XMLHttp", "WebSocket", "EventSource", "sendBeacon", "import", "window.",
        "globalThis", "location", "__proto__", "prototype", "constructor", "callback", "serviceWorker",
        "setTimeout(\"", "onmessage",
    ] {
        assert!(!script.contains(word), "{word}");
    }
    let code = script.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    assert!(code.starts_with("(function () {\n  'use strict';") && code.trim_end().ends_with("}());"), "{code}");
}

/// ASVS 15.1.2, 15.2.4
#[test]
fn every_package_comes_from_the_one_registry_with_its_digest() {
    let lock = read("Cargo.lock");
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 100);
    for package in packages.into_iter().filter(|p| !p.contains("name = \"jiceng\"")) {
        let registry = package.contains("source = \"registry+https://github.com/rust-lang/crates.io-index\"");
        assert!(registry && package.contains("checksum = \""), "{package}");
    }
    let manifest = read("Cargo.toml");
    assert!(!["git = ", "path = \"..", "[patch", "registry = "].iter().any(|w| manifest.contains(w)));
    // Nothing of the repository's own keeping is built in, and no key lies in the source.
    for (path, text) in sources(&["src"]) {
        let keys = ["BEGIN PRIVATE", "BEGIN RSA", "BEGIN EC ", "AGE-SECRET-KEY-1Q", "AKIA"];
        assert!(!keys.iter().any(|k| text.contains(k)), "{path} holds a key");
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Rust files below these folders with their texts, in order.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut paths: Vec<String> = folders.iter().flat_map(|f| walk(f)).filter(|p| p.ends_with(".rs")).collect();
    paths.sort();
    paths.into_iter().map(|p| (p.clone(), read(&p))).collect()
}

fn walk(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|e| e.unwrap());
    let below = entries.flat_map(|e| {
        let path = format!("{folder}/{}", e.file_name().to_str().unwrap());
        if e.path().is_dir() { walk(&path) } else { vec![path] }
    });
    below.collect()
}

/// What is built into the program, by file.
fn product() -> Vec<(String, Vec<Token<'static>>)> {
    let texts = sources(&["src"]).into_iter().map(|(path, text)| (path, &*text.leak()));
    texts.map(|(path, text)| (path, tokens(text))).collect()
}

fn mentions(code: &[Token<'_>], what: &dyn Fn(&[Token<'_>], usize) -> bool) -> bool {
    (0..code.len()).any(|at| what(code, at))
}
