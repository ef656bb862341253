//! Saved web pages: the text between the tags, block by block.
//!
//! Only the tokens are looked at, no tree is built: how deep a page nests costs nothing. Scripts, styles, forms and
//! menus are left out, unless nothing else is there. Whatever a page would load from elsewhere is not looked at.

use std::cell::{Cell, RefCell};

use encoding_rs::Encoding;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::document::{Out, decode};
use super::{Block, Emit, Style};
use crate::base::{Error, Result, limits};

/// Elements whose content is never text of the page.
const UNSEEN: &[&str] =
    &["script", "style", "noscript", "template", "iframe", "svg", "head", "object", "math"];
/// Elements that surround a page's text.
const AROUND: &[&str] = &["nav", "footer", "aside", "form", "button", "select"];
/// Elements that stand in a line.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font",
    "i", "img", "input", "ins", "kbd", "label", "mark", "o:p", "q", "rp", "rt", "ruby", "s", "samp", "small",
    "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "tbody", "thead", "tfoot",
    "col", "colgroup", "html", "body",
];
/// A row with a cell of so many blocks lays out a page and is no table.
const LAYOUT_BLOCKS: usize = 4;
/// Bytes at the start in which a page names its encoding.
const DECLARED_WITHIN: usize = 2_048;

/// Reads a page.
///
/// # Errors
/// `Invalid` when it is no text or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let (markup, note) = decode(bytes, declared(bytes))?;
    let mut out = Out::new(emit);
    out.note(note)?;
    text(&markup, &mut out)?;
    let empty = out.is_empty().then_some("网页中没有文字。");
    out.note(empty)
}

/// Says the text of `markup`.
pub(super) fn text(markup: &str, out: &mut Out<'_>) -> Result<()> {
    let before = out.said();
    tokenize(markup, out, true)?;
    if out.said() == before { tokenize(markup, out, false) } else { Ok(()) }
}

/// The encoding a page says it has.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..DECLARED_WITHIN).unwrap_or(bytes).to_ascii_lowercase();
    let at = head.windows(8).position(|w| w == b"charset=")? + 8;
    let label: Vec<u8> =
        head[at..].iter().copied().skip_while(|b| matches!(b, b'"' | b'\'' | b' ')).collect();
    let end = label
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
        .unwrap_or(label.len());
    Encoding::for_label(&label[..end])
}

fn tokenize(markup: &str, out: &mut Out<'_>, choosy: bool) -> Result<()> {
    let page = Page {
        out: RefCell::new(out),
        failed: RefCell::new(None),
        state: RefCell::default(),
        choosy,
        quiet: Cell::new(false),
    };
    let tokenizer = Tokenizer::new(page, TokenizerOpts::default());
    let queue = BufferQueue::default();
    // Pieces keep each buffer small; a tag may go on in the next.
    let mut rest = markup;
    while !rest.is_empty() {
        let mut cut = rest.len().min(1 << 16);
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        queue.push_back(StrTendril::from_slice(&rest[..cut]));
        rest = &rest[cut..];
        while !queue.is_empty() {
            let _ = tokenizer.feed(&queue);
        }
        if tokenizer.sink.failed.borrow().is_some() {
            break;
        }
    }
    tokenizer.end();
    let page = tokenizer.sink;
    page.attempt(Page::finish);
    page.failed.into_inner().map_or(Ok(()), Err)
}

/// The page as its tokens come in.
struct Page<'o, 'e> {
    out: RefCell<&'o mut Out<'e>>,
    failed: RefCell<Option<Error>>,
    state: RefCell<State>,
    /// Menus and the like are left out.
    choosy: bool,
    quiet: Cell<bool>,
}

#[derive(Default)]
struct State {
    text: String,
    heading: Option<u8>,
    preformatted: bool,
    /// The element that is left out, and how many of its name are open.
    skipped: Option<(String, usize)>,
    lists: Vec<Option<u64>>,
    /// Rows that were open when each open table began.
    tables: Vec<usize>,
    rows: Vec<Vec<Vec<Block>>>,
}

impl TokenSink for Page<'_, '_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.quiet.get() {
            return TokenSinkResult::Continue;
        }
        match token {
            Token::TagToken(tag) => return self.tag(&tag),
            Token::CharacterTokens(text) => self.state.borrow_mut().add(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Page<'_, '_> {
    fn attempt(&self, act: impl FnOnce(&Self) -> Result<()>) {
        if self.quiet.get() {
            return;
        }
        if let Err(e) = act(self) {
            self.quiet.set(true);
            *self.failed.borrow_mut() = Some(e);
        }
    }

    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        let opens = tag.kind == TagKind::StartTag;
        if !self.skip(name, opens, tag.self_closing) {
            self.attempt(|page| if opens { page.open(name) } else { page.close(name) });
        }
        match name {
            "script" if opens => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "iframe" | "noscript" | "xmp" | "noembed" if opens => {
                TokenSinkResult::RawData(RawKind::Rawtext)
            }
            "title" | "textarea" if opens => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    /// Whether a tag belongs to what is left out.
    fn skip(&self, name: &str, opens: bool, closed: bool) -> bool {
        let mut state = self.state.borrow_mut();
        if let Some((own, open)) = &mut state.skipped {
            // A head that nobody closes ends where the body begins.
            let ends = own == "head" && opens && name == "body";
            if own == name {
                *open = if opens { *open + 1 } else { *open - 1 };
            }
            if *open == 0 || ends {
                state.skipped = None;
            }
            return true;
        }
        let out = UNSEEN.contains(&name) || self.choosy && AROUND.contains(&name);
        if out && opens && !closed {
            state.skipped = Some((name.to_owned(), 1));
        }
        out
    }

    fn open(&self, name: &str) -> Result<()> {
        if name == "br" {
            self.state.borrow_mut().text.push('\n');
            return Ok(());
        }
        if INLINE.contains(&name) {
            return Ok(());
        }
        self.end_block()?;
        if name == "tr" {
            self.end_rows()?;
        }
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        match name {
            "table" if state.tables.len() < limits::DOCUMENT_DEPTH => state.tables.push(state.rows.len()),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => state.heading = name[1..].parse().ok(),
            "pre" => state.preformatted = true,
            "ol" if state.lists.len() < limits::DOCUMENT_DEPTH => state.lists.push(Some(1)),
            "ul" if state.lists.len() < limits::DOCUMENT_DEPTH => state.lists.push(None),
            "li" => {
                if let Some(Some(number)) = state.lists.last_mut() {
                    state.text = format!("{number}. ");
                    *number += 1;
                }
            }
            "tr" if state.rows.len() < limits::DOCUMENT_DEPTH => state.rows.push(Vec::new()),
            "td" | "th" => state.rows.last_mut().into_iter().for_each(|row| row.push(Vec::new())),
            _ => {}
        }
        Ok(())
    }

    fn close(&self, name: &str) -> Result<()> {
        if INLINE.contains(&name) || name == "br" {
            return Ok(());
        }
        self.end_block()?;
        match name {
            "pre" => self.state.borrow_mut().preformatted = false,
            "ol" | "ul" => drop(self.state.borrow_mut().lists.pop()),
            "tr" => self.end_rows()?,
            "table" => {
                self.end_rows()?;
                self.state.borrow_mut().tables.pop();
            }
            _ => {}
        }
        Ok(())
    }

    /// The rows of the innermost table end; pages rarely close them.
    fn end_rows(&self) -> Result<()> {
        let around = self.state.borrow().tables.last().copied().unwrap_or(0);
        while self.state.borrow().rows.len() > around {
            self.end_row()?;
        }
        Ok(())
    }

    /// The block under way ends; lines inside it are blocks of their own.
    fn end_block(&self) -> Result<()> {
        let (text, heading) = {
            let mut state = self.state.borrow_mut();
            if state.text.trim().is_empty() {
                state.text.clear();
                return Ok(());
            }
            (std::mem::take(&mut state.text), state.heading.take())
        };
        let style = heading.map_or(Style::Paragraph, Style::Heading);
        text.lines().try_for_each(|line| self.say(style, line.trim()))
    }

    fn say(&self, style: Style, text: &str) -> Result<()> {
        let mut state = self.state.borrow_mut();
        if let Some(cell) = state.rows.last_mut().and_then(|row| row.last_mut()) {
            if !text.is_empty() {
                cell.push(Block { style, text: text.to_owned() });
            }
            return Ok(());
        }
        drop(state);
        self.out.borrow_mut().block(style, text)
    }

    fn end_row(&self) -> Result<()> {
        let Some(cells) = self.state.borrow_mut().rows.pop() else { return Ok(()) };
        if cells.len() == 1 || cells.iter().any(|c| c.len() >= LAYOUT_BLOCKS) {
            return cells.into_iter().flatten().try_for_each(|b| self.say(b.style, &b.text));
        }
        let joined = |c: &Vec<Block>| c.iter().map(|b| b.text.as_str()).collect::<Vec<_>>().join(" ");
        let cells: Vec<String> = cells.iter().map(joined).collect();
        if cells.iter().all(String::is_empty) { Ok(()) } else { self.say(Style::Row, &cells.join(" | ")) }
    }

    fn finish(&self) -> Result<()> {
        self.end_block()?;
        while !self.state.borrow().rows.is_empty() {
            self.end_row()?;
        }
        Ok(())
    }
}

impl State {
    /// Adds text; outside preformatted text a run of blanks is one blank.
    fn add(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        if self.preformatted {
            self.text += text;
            return;
        }
        for c in text.chars() {
            let blank = matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{C}');
            if !blank {
                self.text.push(c);
            } else if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::GB18030;

    use crate::foreign::document::blocks;
    use crate::foreign::{Format, Style};

    fn read(page: &[u8]) -> Vec<(Style, String)> {
        blocks(Format::Html, page).unwrap().into_iter().map(|b| (b.style, b.text)).collect()
    }

    #[test]
    fn text_stays_and_the_page_around_it_goes() {
        let page = "<html><head><meta charset=gb2312><title>网</title><style>p{}</style></head><body><nav>首页</nav>\
            <h1>样例<b>办法</b></h1><!-- 注 --><p>第一条&nbsp;甲&lt;\n 乙<br>丙</p><ol><li>其一<li>其二</ol>\
            <table><tr><th>名<th>数<tr><td>甲<td></table><table><tr><td><p>框中</p></table>\
            <script>document.write('<p>假</p>')</script><div>末<footer>脚</footer></body>";
        let wanted = [
            (Style::Heading(1), "样例办法"),
            (Style::Paragraph, "第一条\u{A0}甲< 乙"),
            (Style::Paragraph, "丙"),
            (Style::Paragraph, "1. 其一"),
            (Style::Paragraph, "2. 其二"),
            (Style::Row, "名 | 数"),
            (Style::Row, "甲 |"),
            (Style::Paragraph, "框中"),
            (Style::Paragraph, "末"),
        ];
        let wanted = wanted.map(|(s, t)| (s, t.to_owned()));
        assert_eq!(read(&GB18030.encode(page).0), wanted);
        assert_eq!(read(page.replace("gb2312", "utf-8").as_bytes()), wanted);
    }

    #[test]
    fn a_page_that_is_all_menu_is_read_all_the_same() {
        assert_eq!(read("<nav><p>第一条 甲。".as_bytes()), [(Style::Paragraph, "第一条 甲。".to_owned())]);
    }
}
