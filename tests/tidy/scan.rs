//! Rust as tokens, as far as the house rules need it: comments are gone, literals are single tokens, and whatever only
//! tests are built with is marked. It never fails; on text that is no Rust it yields tokens that mean nothing.

/// A word, a literal, `::`, or one sign of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// From 1; of the first line when it has several.
    pub(super) line: usize,
    /// Stands in an item that only tests are built with.
    pub(super) test: bool,
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
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

/// The text of token `at`; empty beyond the ends.
pub(super) fn word<'a>(code: &[Token<'a>], at: usize) -> &'a str {
    code.get(at).map_or("", |t| t.text)
}

/// The text of the token before `at`.
pub(super) fn before<'a>(code: &[Token<'a>], at: usize) -> &'a str {
    at.checked_sub(1).map_or("", |at| word(code, at))
}

/// An identifier or a keyword.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Where the bracket that opens at `open` closes.
pub(super) fn closing(code: &[Token<'_>], open: usize) -> usize {
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

/// Where the item ends whose attributes or first word stand at `start`: at its block, or at its semicolon.
pub(super) fn end_of_item(code: &[Token<'_>], start: usize) -> usize {
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

/// Length of what `rest` begins with, and whether it is code rather than a comment or a blank.
fn lexeme(rest: &str) -> (usize, bool) {
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
    let mark = ["r#", "'"].into_iter().find(|m| rest.starts_with(m)).unwrap_or_default().len();
    let after = &rest[mark..];
    let word = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
    if word > 0 {
        return (mark + word, true);
    }
    let first = rest.chars().next().unwrap_or(' ');
    (first.len_utf8().min(rest.len()), !first.is_whitespace())
}

/// Length of a block comment with those inside it.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        (depth, at) = match here {
            [b'/', b'*', ..] => (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth - 1, at + 2),
            _ => (depth, at + 1),
        };
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of the string or character that `rest` begins with.
fn literal(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|p| rest.starts_with(p)).unwrap_or_default();
    let marked = &rest[prefix.len()..];
    let body = marked.trim_start_matches('#');
    let (marks, skipped) = (marked.len() - body.len(), rest.len() - body.len());
    if prefix.ends_with('r') && body.starts_with('"') {
        let end = format!("\"{}", "#".repeat(marks));
        return Some(skipped + 1 + body[1..].find(&end).map_or(body.len() - 1, |n| n + end.len()));
    }
    if marks == 0 && body.starts_with('"') {
        return Some(skipped + quoted(body));
    }
    let signs: Vec<char> = body.chars().take(3).collect();
    let character = matches!(signs[..], ['\'', '\\', _] | ['\'', _, '\'']);
    (marks == 0 && matches!(prefix, "" | "b") && character).then(|| skipped + quoted(body))
}

/// Length up to the mark that `body` begins with, passing over what a backslash escapes.
fn quoted(body: &str) -> usize {
    let mark = body.chars().next();
    let mut signs = body.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        if sign == '\\' {
            signs.next();
        } else if Some(sign) == mark {
            return at + 1;
        }
    }
    body.len()
}

/// Marks items below `#[cfg(test)]`, and everything in a file that says `#![cfg(test)]`.
fn mark_tests(code: &mut [Token<'_>]) {
    let mut at = 0;
    while at < code.len() {
        let whole = word(code, at + 1) == "!";
        let open = at + 1 + usize::from(whole);
        if word(code, at) != "#" || word(code, open) != "[" {
            at += 1;
            continue;
        }
        let close = closing(code, open);
        let has = |w: &str| code[open..close].iter().any(|t| t.text == w);
        let test = word(code, open + 1) == "cfg" && has("test") && !has("not");
        let end = match (test, whole) {
            (false, _) => close,
            (true, true) => code.len() - 1,
            (true, false) => end_of_item(code, after_attributes(code, close + 1)),
        };
        code[at..=end].iter_mut().for_each(|t| t.test |= test);
        at = end + 1;
    }
}

fn after_attributes(code: &[Token<'_>], mut at: usize) -> usize {
    while word(code, at) == "#" && word(code, at + 1) == "[" {
        at = closing(code, at + 1) + 1;
    }
    at
}
