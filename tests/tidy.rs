//! House rules, each kept by a test: the order of the floors, heads, sizes, banned names, and what must be described.
//!
//! A rule is a pure function from the text of a file to what it minds there; the tests `rules_…_can_fail` plant
//! something bad for each of them. Strings and comments never count as code. What rustc, clippy or rustfmt can judge
//! is left to them.

#[path = "tidy/scan.rs"]
mod scan;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use scan::{Token, before, closing, end_of_item, is_word, tokens, word};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 120;
/// Packed size of everything in `web/`, in bytes.
const WEB_BYTES: usize = 60 << 10;

/// The floors from left to right; those that share a place do not know each other.
const FLOORS: &[&[&str]] = &[
    &["base"],
    &["records"],
    &["store"],
    &["search", "backup", "foreign", "exchange"],
    &["app"],
    &["web", "ship"],
    &["cli"],
];

/// Crates that one floor alone may name.
const CRATES: &[(&str, &str)] = &[
    ("redb", "store"),
    ("tantivy", "search"),
    ("age", "backup"),
    ("calamine", "foreign"),
    ("rust_xlsxwriter", "foreign"),
    ("csv", "foreign"),
    ("chardetng", "foreign"),
    ("encoding_rs", "foreign"),
    ("zip", "foreign"),
    ("hyper", "web"),
    ("hyper_util", "web"),
    ("axum", "web"),
    ("maud", "web"),
    ("qrcode", "web"),
    ("object_store", "ship"),
];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// Folders at the top, besides ignored ones.
const TOP: &[&str] = &["src", "web", "data-format", "docs", "packaging", "systemd", "tests", ".ci", ".git", "target"];

/// What the oldest supported browsers do not know; `&` is nesting.
const CSS: &[&str] =
    &[":has(", ":is(", ":where(", "@container", "@layer", "inset:", "aspect-ratio", "accent-color", "&"];

/// Places that the text of the project never speaks of; in halves, because this file belongs to it.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!(".lib", "rary"), concat!("fa", "rm-")];

/// What a rule minds: line, and why.
type Found = Vec<(usize, String)>;

#[test]
fn floors_lean_on_floors_to_their_left() {
    enforce(&files(&["src"], ".rs"), floors);
}

#[test]
fn a_foreign_crate_is_named_by_its_floor_alone() {
    enforce(&files(&["src"], ".rs"), crates);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    enforce(&files(&["src", "tests"], ".rs"), head);
}

#[test]
fn files_are_short() {
    enforce(&files(&["src", "tests"], ".rs"), file_length);
}

#[test]
fn functions_are_short() {
    enforce(&files(&["src", "tests"], ".rs"), function_length);
}

#[test]
fn lines_are_short() {
    enforce(&files(&["src", "tests"], ".rs"), columns);
}

#[test]
fn what_is_unfinished_or_panics_stays_out() {
    enforce(&files(&["src"], ".rs"), panics);
}

#[test]
fn the_time_is_read_in_one_place() {
    enforce(&files(&["src"], ".rs"), time);
}

#[test]
fn only_the_command_line_prints() {
    enforce(&files(&["src"], ".rs"), prints);
}

#[test]
fn files_are_named_by_what_is_in_them() {
    enforce(&files(&["src"], ".rs"), names);
}

#[test]
fn the_scanner_sees_every_bracket_closed() {
    enforce(&files(&["src", "tests"], ".rs"), balance);
}

#[test]
fn every_dependency_says_why() {
    enforce(&files(&["Cargo.toml"], ""), reasons);
}

#[test]
fn the_stylesheet_keeps_to_what_old_browsers_know() {
    enforce(&files(&["web"], ".css"), css);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let text = |path: String| (path.clone(), String::from_utf8_lossy(&read(&path)).into_owned());
    enforce(&project().into_iter().map(text).collect::<Vec<_>>(), places);
}

#[test]
fn every_table_and_kind_is_described() {
    let described: String = files(&["data-format"], ".md").into_iter().map(|(_, text)| text).collect();
    report(&undescribed(&described));
}

#[test]
fn no_other_folder_stands_at_the_top() {
    report(&strangers(entries("").into_iter().filter(|n| Path::new(ROOT).join(n).is_dir())));
}

#[test]
fn the_web_folder_is_small() {
    let packed = |path: String| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&read(&path)).and_then(|()| gz.finish()).map(|bytes| (bytes.len(), path))
    };
    let sizes: Vec<_> = walk("web").into_iter().map(|p| packed(p).unwrap()).collect();
    let sum: usize = sizes.iter().map(|(n, _)| n).sum();
    assert!((1..=WEB_BYTES).contains(&sum), "web/ packs to {sum} bytes, {WEB_BYTES} at most: {sizes:?}");
}

#[test]
fn rules_about_names_can_fail() {
    see(
        floors,
        &[
            ("src/base/x.rs", "use crate::records::Kind;", &[1]),
            ("src/records/x.rs", "use crate::{\n base::{Day, store},\n store::Txn,\n};", &[3]),
            ("src/search/x.rs", "fn f() {\n crate::backup::run() }", &[2]),
            ("src/web/pages/x.rs", "use super::super::super::cli;\nuse super::super::form;", &[1]),
            ("src/store/mod.rs", "mod tests { use super::super::app; use super::Txn; }", &[1]),
            ("src/web/x.rs", "use crate::app::App; // crate::cli\nconst S: &str = \"crate::cli\";", &[]),
            ("src/odd/x.rs", "", &[1]),
            ("src/lib.rs", "pub mod cli;", &[]),
        ],
    );
    see(
        crates,
        &[
            (
                "src/app/x.rs",
                "use redb::Database;\nfn page() { page::age(age) }\nlet x: ::age::Key;",
                &[1, 3],
            ),
            ("src/cli/x.rs", "use {tokio::fs, hyper_util::rt};\nlet r = axum::Router::new();", &[1, 2]),
            ("src/backup/x.rs", "use age::Encryptor;\nlet age = crate::age::x;", &[]),
        ],
    );
    see(names, &[("src/base/utils.rs", "", &[1]), ("src/helpers/text_misc.rs", "", &[1, 1])]);
    assert!(undescribed("").len() > jiceng::store::TABLES.len());
    assert_eq!(strangers(["src", "doc"].map(str::to_owned)), ["doc:0: no place for this folder at the top"]);
}

#[test]
fn rules_about_sizes_can_fail() {
    let long = |lines: usize| format!("fn f() {{{}}}\n", "\n".repeat(lines - 1));
    let tricky = format!("fn f() {{ '{{'; b'\\''; \"}}\"; r#\"\"}}\"#; {}}}", "\n".repeat(70));
    let after = format!("fn g(f: fn(u8), a: [u8; 2]);\n{}", long(71));
    see(head, &[("x.rs", "// Something.\n", &[1]), ("x.rs", "//! What it is.\n", &[])]);
    see(file_length, &[("x.rs", &"\n".repeat(601), &[601]), ("x.rs", &"\n".repeat(600), &[])]);
    see(function_length, &[("x.rs", &long(71), &[1]), ("x.rs", &long(70), &[])]);
    see(function_length, &[("x.rs", &after, &[2]), ("x.rs", &tricky, &[1])]);
    see(columns, &[("x.rs", &format!("{}\n{}", "检".repeat(120), "x".repeat(121)), &[2])]);
    let open = "fn f<'a>(c: &'a u8) { ['\\'', '\"', b'(', '['] }\nmod x {";
    see(balance, &[("x.rs", "fn f() { ) }", &[1]), ("x.rs", open, &[2])]);
}

#[test]
fn rules_about_words_can_fail() {
    let inside = "#[expect(dead_code)] fn f<'a>() { \"x.unwrap()\"; /* /* */ todo!() */ x.unwrap_or(1); }";
    see(
        panics,
        &[
            (
                "x.rs",
                "x.unwrap();\ny\n  .expect(\"z\");\ntodo!();\ndbg!(1);\nunimplemented!()",
                &[1, 3, 4, 5, 6],
            ),
            ("x.rs", "#[cfg(test)]\n#[x]\nmod tests { fn f() { x.unwrap() } }\nfn g() { x.unwrap() }", &[4]),
            ("x.rs", "#[cfg(not(test))]\nfn f() { x.map(Option::unwrap) }", &[2]),
            ("x.rs", inside, &[]),
        ],
    );
    see(
        time,
        &[
            ("src/app/x.rs", "SystemTime::now();\nInstant::now();\nUNIX_EPOCH.elapsed();", &[1, 3]),
            ("src/base/clock.rs", "SystemTime::now()", &[]),
        ],
    );
    let printing = "println!(\"a\");\neprintln!();\nprint!();\nmy_print!()";
    see(prints, &[("src/app/x.rs", printing, &[1, 2, 3]), ("src/cli/x.rs", "println!()", &[])]);
    let dependencies = "# c\n[dependencies]\na = 1\n\n# why\nb = 1\nc = [\n \"d\" ]\n\ne = 1\n";
    see(reasons, &[("Cargo.toml", dependencies, &[3, 10])]);
    see(reasons, &[("Cargo.toml", "[dependencies.x]\nversion = 1\n[dev-dependencies]\ny = 1", &[1])]);
    let modern = ".a:is(.b) {}\n/* :has(\n@layer */ .c { x: y }\n.d { inset : 0 }";
    let nested = ".a {\n &:hover {} }\n.b { box-shadow: inset 0 0; }\n.inset:hover {}";
    see(css, &[("x.css", modern, &[1, 4]), ("x.css", nested, &[2])]);
    see(places, &[("x.md", concat!("a\n/wo", "rk/b"), &[2])]);
}

/// Shows a rule planted texts, and expects it to mind these lines.
fn see(rule: fn(&str, &str) -> Found, planted: &[(&str, &str, &[usize])]) {
    for (path, text, lines) in planted {
        let found: Vec<usize> = rule(path, text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(found, *lines, "{path}: {text}");
    }
}

fn floors(path: &str, text: &str) -> Found {
    let Some(own) = floor_of(path) else { return Vec::new() };
    let place = |floor: &str| FLOORS.iter().position(|p| p.contains(&floor));
    let Some(level) = place(own) else { return vec![(1, format!("{own} is no floor"))] };
    let code = tokens(text);
    let named = (0..code.len()).flat_map(|at| from_root(path, &code, at));
    let wrong = named.filter(|t| t.text != own && place(t.text).is_none_or(|l| l >= level));
    wrong.map(|t| (t.line, format!("{own} names crate::{}, which is no floor to its left", t.text))).collect()
}

/// What a path that begins at token `at` names directly below the root of the crate.
fn from_root<'a>(path: &str, code: &[Token<'a>], at: usize) -> Vec<Token<'a>> {
    let is_super = |at: usize| word(code, at) == "super" && word(code, at + 1) == "::";
    let first = if word(code, at) == "crate" && word(code, at + 1) == "::" {
        at + 2
    } else if is_super(at) && before(code, at) != "::" {
        let supers = (at..).step_by(2).take_while(|i| is_super(*i)).count();
        if supers != depth(path, code, at) {
            return Vec::new();
        }
        at + 2 * supers
    } else {
        return Vec::new();
    };
    if word(code, first) != "{" {
        return code.get(first).copied().into_iter().collect();
    }
    let (mut named, mut i, end) = (Vec::new(), first + 1, closing(code, first));
    while i < end {
        if matches!(before(code, i), "{" | ",") {
            named.push(code[i]);
        }
        i = if word(code, i) == "{" { closing(code, i) } else { i } + 1;
    }
    named
}

/// How many modules below the root token `at` of a file stands.
fn depth(path: &str, code: &[Token<'_>], at: usize) -> usize {
    let file = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let around = |m: &usize| word(code, *m) == "mod" && word(code, m + 2) == "{" && closing(code, m + 2) > at;
    file.split('/').count() + (0..at).filter(around).count()
}

fn crates(path: &str, text: &str) -> Found {
    let own = floor_of(path).unwrap_or_default();
    let code = tokens(text);
    let mut found = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let inside = before(&code, at) == "::" && at > 1 && is_word(word(&code, at - 2));
        let named = word(&code, at + 1) == "::" || matches!(before(&code, at), "use" | "crate");
        let foreign = CRATES.iter().find(|(name, floor)| *name == token.text && *floor != own);
        if let Some((name, floor)) = foreign.filter(|_| named && !inside) {
            found.push((token.line, format!("{name} is named by {floor} alone")));
        }
    }
    found
}

fn head(_: &str, text: &str) -> Found {
    let says = text.lines().next().and_then(|l| l.strip_prefix("//! "));
    if says.is_some_and(|s| !s.trim().is_empty()) {
        Vec::new()
    } else {
        vec![(1, "does not open with //!".into())]
    }
}

fn file_length(_: &str, text: &str) -> Found {
    let lines = text.lines().count();
    if lines <= FILE_LINES {
        Vec::new()
    } else {
        vec![(lines, format!("{lines} lines, {FILE_LINES} at most"))]
    }
}

fn function_length(_: &str, text: &str) -> Found {
    let code = tokens(text);
    let functions = (0..code.len()).filter(|at| code[*at].text == "fn" && is_word(word(&code, at + 1)));
    let long = functions.filter_map(|at| {
        let lines = code[end_of_item(&code, at)].line - code[at].line + 1;
        let why = format!("{} has {lines} lines, {FUNCTION_LINES} at most", word(&code, at + 1));
        (lines > FUNCTION_LINES).then_some((code[at].line, why))
    });
    long.collect()
}

fn columns(_: &str, text: &str) -> Found {
    let widths = (1..).zip(text.lines().map(|l| l.chars().count()));
    widths
        .filter(|(_, n)| *n > COLUMNS)
        .map(|(line, n)| (line, format!("{n} columns, {COLUMNS} at most")))
        .collect()
}

fn panics(_: &str, text: &str) -> Found {
    outside_tests(text, |code, at| match code[at].text {
        "todo" | "unimplemented" | "dbg" => word(code, at + 1) == "!",
        "unwrap" | "expect" => matches!(before(code, at), "." | "::"),
        _ => false,
    })
}

fn time(path: &str, text: &str) -> Found {
    if path == "src/base/clock.rs" {
        return Vec::new();
    }
    outside_tests(text, |code, at| {
        let source = matches!(code[at].text, "SystemTime" | "UNIX_EPOCH" | "Timestamp" | "Zoned");
        source && matches!(word(code, at + 2), "now" | "elapsed")
    })
}

fn prints(path: &str, text: &str) -> Found {
    if path == "src/main.rs" || floor_of(path) == Some("cli") {
        return Vec::new();
    }
    outside_tests(text, |code, at| {
        matches!(code[at].text, "print" | "println" | "eprint" | "eprintln") && word(code, at + 1) == "!"
    })
}

/// Tokens that a rule minds where they are not built for tests only.
fn outside_tests(text: &str, minds: impl Fn(&[Token<'_>], usize) -> bool) -> Found {
    let code = tokens(text);
    let found = (0..code.len()).filter(|at| !code[*at].test && minds(&code, *at));
    found.map(|at| (code[at].line, format!("{} has no place here", code[at].text))).collect()
}

fn names(path: &str, _: &str) -> Found {
    let parts = path.trim_end_matches(".rs").split(['/', '_']);
    parts.filter(|p| EMPTY_NAMES.contains(p)).map(|p| (1, format!("the name {p} says nothing"))).collect()
}

fn balance(_: &str, text: &str) -> Found {
    let mut open: Vec<Token<'_>> = Vec::new();
    for token in tokens(text) {
        let opener = match token.text {
            "(" | "[" | "{" => {
                open.push(token);
                continue;
            }
            ")" => "(",
            "]" => "[",
            "}" => "{",
            _ => continue,
        };
        if open.pop().is_none_or(|o| o.text != opener) {
            return vec![(token.line, format!("{} closes nothing", token.text))];
        }
    }
    open.pop().map(|t| (t.line, format!("{} is never closed", t.text))).into_iter().collect()
}

/// A dependency needs a comment above it in its block; a block ends at a blank line.
fn reasons(_: &str, text: &str) -> Found {
    let (mut found, mut section, mut reason, mut depth) = (Vec::new(), "", false, 0);
    for (line, row) in (1..).zip(text.lines().map(str::trim)) {
        let goes_on = depth > 0;
        if row.is_empty() {
            reason = false;
        } else if row.starts_with('#') {
            reason |= row.len() > 2;
        } else if row.starts_with('[') && !goes_on {
            section = row;
            if row.starts_with("[dependencies.") && !reason {
                found.push((line, format!("no comment says why: {row}")));
            }
            reason = false;
        } else if section == "[dependencies]" && !goes_on && !reason {
            found.push((line, format!("no comment says why: {row}")));
        }
        depth = (depth + row.matches(['[', '{']).count()).saturating_sub(row.matches([']', '}']).count());
    }
    found
}

fn css(_: &str, text: &str) -> Found {
    let mut plain = text.to_owned();
    while let Some(from) = plain.find("/*") {
        let to = plain[from..].find("*/").map_or(plain.len(), |n| from + n + 2);
        plain.replace_range(from..to, &"\n".repeat(plain[from..to].matches('\n').count()));
    }
    let mut found = Vec::new();
    for (line, row) in (1..).zip(plain.lines()) {
        let row: String = row.chars().filter(|c| !c.is_whitespace()).collect();
        // As a property it begins a declaration; `.inset:hover` is another matter.
        let begins = |at: usize| row[..at].is_empty() || row[..at].ends_with(['{', ';', '}']);
        let has = |word: &str| row.match_indices(word).any(|(at, _)| word != "inset:" || begins(at));
        found.extend(CSS.iter().filter(|w| has(w)).map(|w| (line, format!("{w} is too new"))));
    }
    found
}

fn places(_: &str, text: &str) -> Found {
    let named = |line: &str| PLACES.iter().find(|p| line.contains(*p));
    (1..).zip(text.lines()).filter_map(|(n, l)| named(l).map(|p| (n, format!("speaks of {p}")))).collect()
}

fn undescribed(described: &str) -> Vec<String> {
    let tables = jiceng::store::TABLES.iter().map(|t| format!("| `{t}` |"));
    let kinds = jiceng::records::ALL.iter().map(|k| format!("### `{}` ({}, ", k.name, k.tag));
    let missing = tables.chain(kinds).filter(|words| !described.contains(words));
    missing.map(|words| format!("data-format/*.md:0: nowhere stands {words}")).collect()
}

fn strangers(folders: impl IntoIterator<Item = String>) -> Vec<String> {
    let ignored = ignored();
    let other = folders.into_iter().filter(|n| !TOP.contains(&n.as_str()) && !ignored.contains(n));
    other.map(|n| format!("{n}:0: no place for this folder at the top")).collect()
}

/// The floor a file belongs to; none for the map and the entry of the program.
fn floor_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/").filter(|p| !["lib.rs", "main.rs"].contains(p))?;
    inside.split('/').next().map(|f| f.trim_end_matches(".rs"))
}

fn enforce(files: &[(String, String)], rule: fn(&str, &str) -> Found) {
    assert!(!files.is_empty(), "no file was looked at");
    let broken = files.iter().flat_map(|(path, text)| {
        rule(path, text).into_iter().map(move |(line, why)| format!("{path}:{line}: {why}"))
    });
    report(&broken.collect::<Vec<_>>());
}

fn report(broken: &[String]) {
    assert!(broken.is_empty(), "{} places break this rule:\n{}", broken.len(), broken.join("\n"));
}

/// Path and text of the files at or below places of the project whose names end like this.
fn files(places: &[&str], end: &str) -> Vec<(String, String)> {
    let paths = places.iter().flat_map(|p| walk(p)).filter(|p| p.ends_with(end));
    paths.map(|p| (p.clone(), String::from_utf8(read(&p)).unwrap_or_else(|e| panic!("{p}: {e}")))).collect()
}

fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files at or below a path, in order.
fn walk(path: &str) -> Vec<String> {
    let here = Path::new(ROOT).join(path);
    if here.is_dir() {
        return entries(path).iter().flat_map(|n| walk(&format!("{path}/{n}"))).collect();
    }
    if here.is_file() { vec![path.to_owned()] } else { Vec::new() }
}

fn entries(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// What git knows or would take in; without git, everything that is not ignored at the top.
fn project() -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output =
        Command::new("git").current_dir(ROOT).args(list).output().ok().filter(|o| o.status.success());
    let Some(output) = output else {
        let ignored = ignored();
        let top = entries("").into_iter().filter(|n| n != ".git" && n != "target" && !ignored.contains(n));
        return top.flat_map(|n| walk(&n)).collect();
    };
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    names.split('\0').filter(|p| Path::new(ROOT).join(p).is_file()).map(str::to_owned).collect()
}

fn ignored() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(".gitignore")).unwrap_or_default();
    text.lines().map(|l| l.trim().trim_matches('/').to_owned()).collect()
}
