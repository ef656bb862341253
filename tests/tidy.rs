//! House rules, kept by a test each: the order of the floors, heads, sizes, banned names, and what must be described.
//!
//! A small scanner reads Rust as tokens, so that strings, comments and character literals never count as code. Each rule
//! is a pure function from a text to what it minds, with file and line; `planted` shows for every one of them that it
//! can fail. Style that rustc, clippy or rustfmt can judge is left to them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 120;
/// Packed size of everything in `web/`, in bytes.
const WEB_BYTES: usize = 60 << 10;

/// The floors from left to right; those that share a place do not know each other.
const FLOORS: &[&[&str]] =
    &[&["base"], &["records"], &["store"], &["search", "backup", "exchange"], &["app"], &["web", "ship"], &["cli"]];

/// Crates that one floor alone may name.
const CRATES: &[(&str, &str)] = &[
    ("redb", "store"),
    ("tantivy", "search"),
    ("age", "backup"),
    ("hyper", "web"),
    ("hyper_util", "web"),
    ("axum", "web"),
    ("maud", "web"),
    ("object_store", "ship"),
];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];

/// Folders at the top, besides ignored ones.
const TOP: &[&str] = &["src", "web", "data-format", "packaging", "systemd", "tests", ".ci", ".git", "target"];

/// What the oldest supported browsers do not know, and nesting.
const CSS: &[&str] =
    &[":has(", ":is(", ":where(", "@container", "@layer", "inset:", "aspect-ratio", "accent-color", "&"];

/// Places that the text of the project never speaks of; written in halves because this file is part of it.
const PLACES: &[&str] = &[concat!("/wo", "rk/"), concat!(".lib", "rary"), concat!("fa", "rm-")];

/// What a rule minds: line and why.
type Found = Vec<(usize, String)>;

// ---- the rules over Rust files ----

#[test]
fn floors_lean_on_floors_to_their_left() {
    enforce(&rust(&["src"]), floors);
}

#[test]
fn a_foreign_crate_is_named_by_its_floor_alone() {
    enforce(&rust(&["src"]), crates);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    enforce(&rust(&["src", "tests"]), head);
}

#[test]
fn files_are_short() {
    enforce(&rust(&["src", "tests"]), file_length);
}

#[test]
fn functions_are_short() {
    enforce(&rust(&["src", "tests"]), function_length);
}

#[test]
fn lines_are_short() {
    enforce(&rust(&["src", "tests"]), columns);
}

#[test]
fn unfinished_and_panicking_words_stay_out() {
    enforce(&rust(&["src"]), words);
}

#[test]
fn time_is_read_in_one_place() {
    enforce(&rust(&["src"]), time);
}

#[test]
fn only_the_command_line_prints() {
    enforce(&rust(&["src"]), prints);
}

#[test]
fn files_are_named_by_what_is_in_them() {
    enforce(&rust(&["src"]), names);
}

#[test]
fn the_scanner_sees_every_bracket_closed() {
    enforce(&rust(&["src", "tests"]), balance);
}

fn floors(path: &str, text: &str) -> Found {
    let Some(own) = floor_of(path) else { return Vec::new() };
    let Some(level) = level(own) else { return vec![(1, format!("src/{own} is no floor"))] };
    let code = tokens(text);
    let mut found = Vec::new();
    for at in 0..code.len() {
        for (name, line) in from_root(path, &code, at) {
            if name != own && self::level(name).is_none_or(|l| l >= level) {
                found.push((line, format!("{own} names crate::{name}, which is not to its left")));
            }
        }
    }
    found
}

fn crates(path: &str, text: &str) -> Found {
    let own = floor_of(path).unwrap_or_default();
    let foreign = |name: &str| CRATES.iter().find(|(c, floor)| *c == name && *floor != own);
    let code = tokens(text);
    let word = |at: usize| code.get(at).map_or("", |t| t.text);
    let mut found = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let before = if at == 0 { "" } else { word(at - 1) };
        let inside = before == "::" && at > 1 && is_word(word(at - 2));
        let named = word(at + 1) == "::" || ["use", "crate"].contains(&before);
        if let Some((name, floor)) = foreign(token.text).filter(|_| named && !inside) {
            found.push((token.line, format!("only {floor} names {name}")));
        }
    }
    found
}

fn head(_: &str, text: &str) -> Found {
    let good = text.lines().next().is_some_and(|l| l.starts_with("//! ") && l.len() > 8);
    if good { Vec::new() } else { vec![(1, "the first line is no `//! …`".into())] }
}

fn file_length(_: &str, text: &str) -> Found {
    let lines = text.lines().count();
    if lines <= FILE_LINES { Vec::new() } else { vec![(lines, format!("{lines} lines, {FILE_LINES} at most"))] }
}

fn function_length(_: &str, text: &str) -> Found {
    let code = tokens(text);
    let mut found = Vec::new();
    for at in 0..code.len().saturating_sub(1) {
        if code[at].text != "fn" || !is_word(code[at + 1].text) {
            continue;
        }
        let lines = code[end_of_item(&code, at)].line - code[at].line + 1;
        if lines > FUNCTION_LINES {
            let name = code[at + 1].text;
            found.push((code[at].line, format!("fn {name} has {lines} lines, {FUNCTION_LINES} at most")));
        }
    }
    found
}

fn columns(_: &str, text: &str) -> Found {
    let wide = text.lines().map(|l| l.chars().count()).zip(1..).filter(|(n, _)| *n > COLUMNS);
    wide.map(|(n, line)| (line, format!("{n} columns, {COLUMNS} at most"))).collect()
}

fn words(_: &str, text: &str) -> Found {
    mind(text, |before, word, after| match word {
        "todo" | "unimplemented" | "dbg" if after == "!" => Some(format!("{word}! has no place here")),
        "unwrap" | "expect" if matches!(before, "." | "::") => Some(format!("{word} is for tests")),
        _ => None,
    })
}

fn time(path: &str, text: &str) -> Found {
    let sources = ["SystemTime", "Timestamp", "Zoned", "UNIX_EPOCH"];
    let code = tokens(text);
    let reads = |at: usize| {
        let asks = code.get(at + 2).is_some_and(|t| matches!(t.text, "now" | "elapsed"));
        sources.contains(&code[at].text) && asks && !code[at].test && path != "src/base/clock.rs"
    };
    let found = (0..code.len()).filter(|at| reads(*at));
    found.map(|at| (code[at].line, format!("{} is read by base::clock alone", code[at].text))).collect()
}

fn prints(path: &str, text: &str) -> Found {
    if path == "src/main.rs" || floor_of(path) == Some("cli") {
        return Vec::new();
    }
    mind(text, |_, word, after| {
        let printing = matches!(word, "print" | "println" | "eprint" | "eprintln") && after == "!";
        printing.then(|| format!("{word}! outside the command line"))
    })
}

fn names(path: &str, _: &str) -> Found {
    let parts = path.trim_end_matches(".rs").split(['/', '_']);
    let empty = parts.filter(|p| EMPTY_NAMES.contains(p));
    empty.map(|p| (1, format!("a file called {p} says nothing about what is in it"))).collect()
}

fn balance(_: &str, text: &str) -> Found {
    let mut open = Vec::new();
    for token in tokens(text) {
        match token.text {
            "(" | "[" | "{" => open.push(token),
            ")" | "]" | "}" => {
                let fits = open.pop().is_some_and(|o| matches!((o.text, token.text), ("(", ")") | ("[", "]") | ("{", "}")));
                if !fits {
                    return vec![(token.line, format!("a {} that closes nothing", token.text))];
                }
            }
            _ => {}
        }
    }
    open.pop().map(|t| (t.line, format!("a {} that is never closed", t.text))).into_iter().collect()
}

// ---- the rules over everything else ----

#[test]
fn every_table_and_kind_is_described() {
    let described: String = files(&["data-format"], ".md").into_iter().map(|(_, text)| text).collect();
    let mut missing: Vec<String> = Vec::new();
    let tables = jiceng::store::TABLES.iter().map(|t| (format!("| `{t}` |"), format!("table {t}")));
    let kinds = jiceng::records::ALL.iter();
    let kinds = kinds.map(|k| (format!("`{}` ({},", k.name, k.tag), format!("kind {} with tag {}", k.name, k.tag)));
    for (words, what) in tables.chain(kinds) {
        if !described.contains(&words) {
            missing.push(format!("data-format/*.md: {what} is not described (looked for {words})"));
        }
    }
    report(&missing);
}

#[test]
fn every_dependency_says_why() {
    enforce(&files(&["Cargo.toml"], ""), reasons);
}

#[test]
fn no_other_folder_stands_at_the_top() {
    let ignored = ignored();
    let entries = fs::read_dir(ROOT).expect("the root can be read").map(|e| e.expect("an entry"));
    let folders = entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned());
    let other = folders.filter(|f| !TOP.contains(&f.as_str()) && !ignored.contains(f));
    report(&other.map(|f| format!("{f}:0: no place for this folder at the top")).collect::<Vec<_>>());
}

#[test]
fn the_stylesheet_keeps_to_what_old_browsers_know() {
    enforce(&files(&["web"], ".css"), css);
}

#[test]
fn the_web_folder_is_small() {
    let mut packed = 0;
    let mut list = String::new();
    for path in walk("web") {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gz, &read(&path)).expect("memory takes it");
        let size = gz.finish().expect("memory takes it").len();
        packed += size;
        let _infallible = write!(list, "\n{path}: {size}");
    }
    assert!(packed <= WEB_BYTES, "web/ packs to {packed} bytes, {WEB_BYTES} at most:{list}");
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let texts = project().into_iter().map(|p| {
        let text = String::from_utf8_lossy(&read(&p)).into_owned();
        (p, text)
    });
    enforce(&texts.collect::<Vec<_>>(), places);
}

/// A dependency needs a comment above it in its block; blocks end at blank lines.
fn reasons(_: &str, text: &str) -> Found {
    let (mut section, mut reason, mut depth) = (String::new(), false, 0);
    let mut found = Vec::new();
    for (line, row) in (1..).zip(text.lines().map(str::trim)) {
        let inside = depth > 0;
        depth += row.matches(['[', '{']).count();
        depth -= row.matches([']', '}']).count().min(depth);
        if inside {
            continue;
        }
        if row.starts_with('[') {
            (section, depth) = (row.to_owned(), 0);
        }
        let one = section == "[dependencies]" && row.contains('=') && !row.starts_with('#');
        let whole = row.starts_with("[dependencies.");
        if (one || whole) && !reason {
            found.push((line, format!("no comment says why: {row}")));
        }
        reason = !row.is_empty() && (reason || row.trim_start_matches('#').len() + 1 < row.len());
        reason &= !row.starts_with('[') || whole;
        reason |= row.starts_with('#') && row.len() > 3;
    }
    found
}

fn css(_: &str, text: &str) -> Found {
    let mut plain = text.to_owned();
    while let Some(from) = plain.find("/*") {
        let to = plain[from..].find("*/").map_or(plain.len(), |n| from + n + 2);
        let lines = "\n".repeat(plain[from..to].matches('\n').count());
        plain.replace_range(from..to, &lines);
    }
    let mut found = Vec::new();
    for (line, row) in (1..).zip(plain.lines()) {
        let row: String = row.chars().filter(|c| !c.is_whitespace()).collect();
        let has = |word: &str| {
            let mut places = row.match_indices(word);
            places.any(|(at, _)| word != "inset:" || !row[..at].ends_with('-'))
        };
        found.extend(CSS.iter().filter(|w| has(w)).map(|w| (line, format!("{w} is too new"))));
    }
    found
}

fn places(_: &str, text: &str) -> Found {
    let named = |line: &str| PLACES.iter().find(|p| line.contains(*p));
    let lines = (1..).zip(text.lines());
    lines.filter_map(|(n, line)| named(line).map(|p| (n, format!("names {p}")))).collect()
}

// ---- the scanner ----

/// A word, a literal, `::` or one sign of code.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
    /// Stands in an item that only tests are built with.
    test: bool,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut all, mut line, mut rest) = (Vec::new(), 1, text);
    while !rest.is_empty() {
        let (length, code) = lexeme(rest);
        let (piece, after) = rest.split_at(length);
        if code {
            all.push(Token { text: piece.trim_start_matches("r#"), line, test: false });
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    mark_tests(&mut all);
    all
}

/// Length of what `rest` begins with, and whether it is code rather than a comment or a blank.
fn lexeme(rest: &str) -> (usize, bool) {
    let first = rest.chars().next().unwrap_or(' ');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(length) = literal(rest) {
        return (length, true);
    }
    if rest.starts_with("::") {
        return (2, true);
    }
    let skip = if rest.starts_with("r#") || first == '\'' { rest.len().min(1 + usize::from(first == 'r')) } else { 0 };
    let word = rest[skip..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - skip);
    if word > 0 { (skip + word, true) } else { (first.len_utf8(), !first.is_whitespace()) }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        let step = if here.starts_with(b"/*") {
            depth += 1;
            2
        } else if here.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of the string or character literal that `rest` begins with.
fn literal(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|p| rest.starts_with(p)).unwrap_or_default();
    let marks = rest[prefix.len()..].len() - rest[prefix.len()..].trim_start_matches('#').len();
    let body = &rest[prefix.len() + marks..];
    let before = prefix.len() + marks;
    if body.starts_with('"') && prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(marks));
        return Some(before + 1 + body[1..].find(&end).map_or(body.len() - 1, |n| n + end.len()));
    }
    if marks > 0 {
        return None;
    }
    if body.starts_with('"') {
        return Some(before + quoted(body, '"'));
    }
    let mut signs = body.chars();
    let escaped_or_closed = || matches!((signs.next(), signs.next(), signs.next()), |(_, Some('\\'), _)| (_, _, Some('\'')));
    let character = body.starts_with('\'') && matches!(prefix, "" | "b") && { escaped_or_closed }();
    character.then(|| before + quoted(body, '\''))
}

/// Length up to the closing mark, passing over what a backslash escapes.
fn quoted(body: &str, mark: char) -> usize {
    let mut signs = body.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        if sign == '\\' {
            signs.next();
        } else if sign == mark {
            return at + 1;
        }
    }
    body.len()
}

/// Marks items below `#[cfg(test)]`, and the file from `#![cfg(test)]` on.
fn mark_tests(code: &mut [Token<'_>]) {
    let mut at = 0;
    while at < code.len() {
        let inner = usize::from(code.get(at + 1).is_some_and(|t| t.text == "!"));
        let open = at + 1 + inner;
        let opens = code[at].text == "#" && code.get(open).is_some_and(|t| t.text == "[");
        let close = if opens { closing(code, open) } else { at };
        let has = |word: &str| code[at..close].iter().any(|t| t.text == word);
        if opens && code.get(open + 1).is_some_and(|t| t.text == "cfg") && has("test") && !has("not") {
            let end = if inner == 1 { code.len() - 1 } else { end_of_item(code, close + 1) };
            code[at..=end].iter_mut().for_each(|t| t.test = true);
            at = end;
        } else {
            at = close;
        }
        at += 1;
    }
}

/// Where the bracket that opens at `open` closes.
fn closing(code: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in code.iter().enumerate().skip(open) {
        depth += match token.text {
            "(" | "[" | "{" => 1,
            ")" | "]" | "}" => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    code.len().saturating_sub(1)
}

/// Where the item or statement ends whose attributes or first word stand at `start`.
fn end_of_item(code: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while at < code.len() {
        match code[at].text {
            ";" | ")" | "]" | "}" => return at,
            "{" => return closing(code, at),
            "(" | "[" => at = closing(code, at),
            _ => {}
        }
        at += 1;
    }
    code.len().saturating_sub(1)
}

/// What a path beginning at token `at` names directly below the root of the crate.
fn from_root<'a>(path: &str, code: &[Token<'a>], at: usize) -> Vec<(&'a str, usize)> {
    let word = |at: usize| code.get(at).map_or("", |t| t.text);
    let supers = (at..).step_by(2).take_while(|i| word(*i) == "super" && word(i + 1) == "::").count();
    let follows = at > 0 && word(at - 1) == "::";
    let first = match word(at) {
        "crate" if word(at + 1) == "::" => at + 2,
        "super" if supers > 0 && !follows && supers == depth(path, code, at) => at + 2 * supers,
        _ => return Vec::new(),
    };
    if word(first) != "{" {
        return code.get(first).map(|t| (t.text, t.line)).into_iter().collect();
    }
    let mut all = Vec::new();
    let (mut i, end) = (first + 1, closing(code, first));
    while i < end {
        if matches!(word(i - 1), "{" | ",") {
            all.push((code[i].text, code[i].line));
        }
        i = if word(i) == "{" { closing(code, i) } else { i } + 1;
    }
    all
}

/// How many modules down token `at` of a file stands.
fn depth(path: &str, code: &[Token<'_>], at: usize) -> usize {
    let file = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let inside = |m: usize| code[m].text == "mod" && code[m + 2].text == "{" && closing(code, m + 2) > at;
    file.split('/').count() + (0..at.saturating_sub(2)).filter(|m| inside(*m)).count()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The floor a file belongs to; none for the map and the entry of the program.
fn floor_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let floor = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib.rs", "main.rs"].contains(&inside)).then_some(floor)
}

fn level(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|place| place.contains(&floor))
}

/// Asks about every token outside tests, with its neighbours.
fn mind(text: &str, why: impl Fn(&str, &str, &str) -> Option<String>) -> Found {
    let code = tokens(text);
    let word = |at: usize| code.get(at).map_or("", |t| t.text);
    let outside = (0..code.len()).filter(|at| !code[*at].test);
    let found = outside.filter_map(|at| {
        let why = why(if at == 0 { "" } else { word(at - 1) }, word(at), word(at + 1))?;
        Some((code[at].line, why))
    });
    found.collect()
}

// ---- files ----

fn enforce(files: &[(String, String)], rule: fn(&str, &str) -> Found) {
    assert!(!files.is_empty(), "no file was looked at");
    let found = files.iter().flat_map(|(path, text)| {
        rule(path, text).into_iter().map(move |(line, why)| format!("{path}:{line}: {why}"))
    });
    report(&found.collect::<Vec<_>>());
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "{} broken:\n{}", found.len(), found.join("\n"));
}

fn rust(places: &[&str]) -> Vec<(String, String)> {
    files(places, ".rs")
}

fn files(places: &[&str], end: &str) -> Vec<(String, String)> {
    let paths = places.iter().flat_map(|p| walk(p)).filter(|p| p.ends_with(end));
    paths.map(|p| (p.clone(), String::from_utf8(read(&p)).unwrap_or_else(|e| panic!("{p}: {e}")))).collect()
}

fn read(path: &str) -> Vec<u8> {
    fs::read(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files at or below a path of the project, sorted.
fn walk(path: &str) -> Vec<String> {
    let here = Path::new(ROOT).join(path);
    if !here.is_dir() {
        return if here.is_file() { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = fs::read_dir(&here).unwrap_or_else(|e| panic!("{path}: {e}"));
    let names: BTreeSet<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.iter().flat_map(|n| walk(&format!("{path}/{n}"))).collect()
}

/// What git knows or would take in; without git, everything that is not ignored at the top.
fn project() -> Vec<String> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(ROOT).args(list).output().ok().filter(|o| o.status.success());
    if let Some(output) = output {
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let there = |p: &&str| Path::new(ROOT).join(p).is_file();
        return names.split('\0').filter(|p| !p.is_empty()).filter(there).map(str::to_owned).collect();
    }
    let ignored = ignored();
    let top = fs::read_dir(ROOT).expect("the root can be read").flatten();
    let top = top.map(|e| e.file_name().to_string_lossy().into_owned());
    top.filter(|n| n != ".git" && n != "target" && !ignored.contains(n)).flat_map(|n| walk(&n)).collect()
}

fn ignored() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join(".gitignore")).unwrap_or_default();
    text.lines().map(|l| l.trim().trim_matches('/').to_owned()).collect()
}
