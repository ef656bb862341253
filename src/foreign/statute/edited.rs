//! The form in which a person corrects a regulation: labelled lines for the cover, then the text.
//!
//! ```text
//! 标题：样例规程
//! 文号：样纪办〔2025〕1号
//! 制定机关：
//! 效力级别：
//! 公布日期：2025-01-02
//! 施行日期：
//! 时效性：
//!
//! 　　What stands before the articles, indented.
//!
//! 第一章 总则
//! 第一条 The first paragraph.
//! 　　Its second paragraph, indented.
//! ```
//!
//! What must hold: only lines that are not indented can begin a chapter, an article, an item or an attachment, and
//! there they always do. So no guessing is needed, and reading gives back what was written.

use super::mark::{Mark, mark};
use super::{Body, Statute, components, tidy};
use crate::foreign::Block;

/// Two ideographic blanks: how Chinese paragraphs are indented.
const INDENT: &str = "\u{3000}\u{3000}";

type Cell = fn(&mut Statute) -> &mut String;

const LABELS: &[(&str, Cell)] = &[
    ("标题", |s| &mut s.title),
    ("文号", |s| &mut s.number),
    ("制定机关", |s| &mut s.issuer),
    ("效力级别", |s| &mut s.level),
    ("公布日期", |s| &mut s.published),
    ("施行日期", |s| &mut s.effective),
    ("时效性", |s| &mut s.status),
];

/// Writes a regulation so that a person can correct it and [`super::recognise`] reads it back.
pub fn text(statute: &Statute) -> String {
    let mut cover = statute.clone();
    let mut out = String::new();
    for (label, cell) in LABELS {
        out += &format!("{label}：{}\n", cell(&mut cover));
    }
    out.push('\n');
    for line in statute.preamble.lines() {
        out += &format!("{INDENT}{line}\n");
    }
    let articled = statute.articles.iter().any(|a| matches!(mark(&a.no), Mark::Article { .. }));
    let mut before = Vec::new();
    for article in &statute.articles {
        out.push('\n');
        let path =
            if article.chapter.is_empty() { Vec::new() } else { components(&article.chapter, articled) };
        for name in &path[changed(&before, &path)..] {
            out += &format!("{name}\n");
        }
        before = path;
        let mut lines = article.text.lines();
        out += &format!("{}\n", lines.next().unwrap_or_default());
        for line in lines {
            out += &format!("{INDENT}{line}\n");
        }
    }
    out
}

/// The first heading to write again: the first that differs, or the last one where deeper headings end.
fn changed(before: &[&str], path: &[&str]) -> usize {
    let same = before.iter().zip(path).take_while(|(a, b)| a == b).count();
    if same == path.len() && before.len() > path.len() { same.saturating_sub(1) } else { same }
}

/// Reads that form; none when the blocks are not in it.
pub(super) fn read(blocks: &[Block]) -> Option<Statute> {
    let mut statute = Statute::default();
    let mut taken = 0;
    for block in blocks {
        let Some((cell, value)) = labelled(&block.text) else { break };
        *cell(&mut statute) = value;
        taken += 1;
    }
    if taken < 2 || !blocks[0].text.starts_with(LABELS[0].0) {
        return None;
    }
    let rest: Vec<(bool, String)> = blocks[taken..].iter().flat_map(|b| b.text.lines()).map(split).collect();
    let rest: Vec<_> = rest.into_iter().filter(|(_, text)| !text.is_empty()).collect();
    let articled = rest.iter().any(|(free, text)| *free && matches!(mark(text), Mark::Article { .. }));
    let mut body = Body { articled, ..Body::default() };
    for (free, text) in &rest {
        match mark(text) {
            _ if !free => body.append(text),
            Mark::Article { no, rest, .. } => {
                body.start(no.clone(), format!("{no} {rest}").trim_end().to_owned())
            }
            Mark::Item { no, .. } if !articled => {
                let behind = text.split_once('、').map_or("", |(_, rest)| rest.trim_start());
                body.start(no.clone(), format!("{no}{behind}"));
            }
            Mark::Chapter { .. } | Mark::Item { .. } => body.chapter(text),
            Mark::Attachment(no) if !body.articles.is_empty() => body.attach(no),
            _ => body.append(text),
        }
    }
    statute.preamble = std::mem::take(&mut body.before).join("\n");
    statute.articles = body.finish();
    Some(statute)
}

/// Whether a line stands free, and its text.
fn split(line: &str) -> (bool, String) {
    (!line.starts_with(char::is_whitespace), tidy(line))
}

fn labelled(line: &str) -> Option<(Cell, String)> {
    let (label, value) = line.split_once(['：', ':'])?;
    let (_, cell) = LABELS.iter().find(|(l, _)| *l == label)?;
    Some((*cell, tidy(value)))
}
