//! The text layer of a PDF: what each page shows, where, and in which characters.
//!
//! A PDF has no paragraphs, only glyphs at places: here they become runs of text, in [`layout`] lines and paragraphs.
//! Characters come from the font's own table (ToUnicode) or from the Chinese encodings that need none. A font with
//! neither cannot be read; a scan has no text at all. Both are said, nothing is guessed from shapes.

mod layout;
pub(super) mod scans;

use std::collections::HashMap;
use std::ptr::from_ref;

use encoding_rs::{GB18030, UTF_16BE};
use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Encoding, LoadOptions, Object, ObjectId};
use unicode_normalization::UnicodeNormalization;

use super::document::Out;
use super::{Emit, Item, Style};
use crate::base::{Error, Result, limits};
use layout::Run;

/// Forms inside forms that are followed.
const FORMS: usize = 4;
/// Objects within objects that are followed.
const NESTED: usize = 60;
/// Saved states of one page.
const SAVED: usize = 256;

/// Reads a document.
///
/// # Errors
/// `Invalid` when it is no PDF, is damaged or sealed, has no text layer or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let document = open(bytes)?;
    let mut scan = Scan::of(&document);
    let mut pages = Vec::new();
    for page in document.page_iter().take(limits::PDF_PAGES + 1) {
        if pages.len() == limits::PDF_PAGES {
            return Err(Error::invalid(format!("PDF 超过 {} 页。请拆分后分别导入。", limits::PDF_PAGES)));
        }
        pages.push(layout::lines(scan.page(page)?));
    }
    let mut out = Out::new(emit);
    layout::paragraphs(pages).iter().try_for_each(|p| out.block(Style::Paragraph, p))?;
    if out.is_empty() && scan.unread {
        return Err(Error::invalid("这个 PDF 的字体不带文字编码，读不出文字。请使用原来的 Word 文档。"));
    }
    if out.is_empty() {
        let words = "这个 PDF 没有文字层，多半是扫描件。请使用原来的 Word 文档，或先做文字识别再试。";
        return Err(Error::invalid(words));
    }
    let unread = scan.unread.then_some("PDF 中有字体不带文字编码，部分文字没有读出，请核对。");
    out.note(unread)
}

/// Reads a document page by page; what stands on every page is not left out, and a page without text is no error.
///
/// # Errors
/// `Invalid` when it is no PDF, is damaged or sealed, or goes beyond a bound.
pub(super) fn pages(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let document = open(bytes)?;
    let mut scan = Scan::of(&document);
    let mut out = Out::new(emit);
    for (number, page) in (1..).zip(document.page_iter().take(limits::PDF_PAGES)) {
        // A page that is damaged takes no other one along.
        let Ok(runs) = scan.page(page) else { continue };
        out.part(page_name(number))?;
        layout::paragraphs(vec![layout::lines(runs)]).iter().try_for_each(|p| out.block(Style::Paragraph, p))?;
    }
    out.note(scan.unread.then_some("PDF 中有字体不带文字编码，部分文字没有读出。"))
}

/// What people call a page.
fn page_name(number: usize) -> String {
    format!("第 {number} 页")
}

fn open(bytes: &[u8]) -> Result<Document> {
    let options =
        LoadOptions { max_decompressed_size: Some(limits::PDF_STREAM_BYTES), ..LoadOptions::default() };
    let document = Document::load_mem_with_options(bytes, options).map_err(damaged)?;
    if document.is_encrypted() {
        return Err(Error::invalid("这个 PDF 设有密码。请先解除密码，再试一次。"));
    }
    Ok(document)
}

/// Writes a document anew, for people to look at: only what was looked through here, in a fresh table, is in it.
///
/// # Errors
/// `Invalid` when it cannot be read, or holds a script or an action that browsers would carry out.
pub(super) fn rewrite(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let mut document = Document::load_mem(bytes).map_err(damaged)?;
    if document.is_encrypted() {
        return Err(Error::invalid("这个 PDF 设有密码，不能在页面中查看，请下载后查看。"));
    }
    if document.objects.values().any(|o| acts(o, 0)) || document.trailer.iter().any(|(_, o)| acts(o, 0)) {
        return Err(Error::invalid("这个 PDF 带有脚本或自动动作，不能在页面中查看，请下载后查看。"));
    }
    let mut written = Vec::new();
    document.save_to(&mut written)?;
    written.chunks(limits::PICTURE_PIECE_BYTES).try_for_each(|piece| emit(Item::Bytes(piece.to_vec())))
}

/// Names that stand for scripts and for actions that reach beyond the document (ISO 32000-1, 12.6.4).
const ACTIONS: [&[u8]; 8] = [
    b"JavaScript",
    b"Launch",
    b"SubmitForm",
    b"ImportData",
    b"GoToE",
    b"GoToR",
    b"Rendition",
    b"RichMediaExecute",
];

/// The object holds a script or such an action; so does, to be safe, one nested deeper than any honest one.
fn acts(object: &Object, depth: usize) -> bool {
    let below = |entries: &Dictionary| {
        entries.iter().any(|(key, value)| {
            matches!(key.as_slice(), b"JS" | b"JavaScript" | b"XFA")
                || matches!(value, Object::Name(name) if ACTIONS.contains(&name.as_slice()))
                || acts(value, depth + 1)
        })
    };
    match object {
        _ if depth > NESTED => true,
        Object::Dictionary(entries) => below(entries),
        Object::Stream(stream) => below(&stream.dict),
        Object::Array(items) => items.iter().any(|item| acts(item, depth + 1)),
        _ => false,
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::invalid("PDF 已损坏或不完整。请用阅读软件打开后另存（或打印为 PDF），再试一次。").with_detail(why)
}

/// A matrix of PDF: `[a b c d e f]`.
type Matrix = [f64; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// `first`, then `then`.
fn times(first: Matrix, then: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [g, h, i, j, k, l] = then;
    [a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l]
}

/// How the codes of a font become characters.
enum Coding {
    Table(Encoding<'static>),
    Gbk,
    Utf16,
    /// One byte a character; the names of the encoding are the library's.
    Own(Vec<String>),
    Unknown,
}

/// A font: its characters and how wide they are, in thousandths of its size.
struct Font {
    coding: Coding,
    wide: bool,
    widths: HashMap<u32, f64>,
    default: f64,
}

/// A walk through the pages.
struct Scan<'d> {
    document: &'d Document,
    fonts: HashMap<usize, Font>,
    /// Operations that may still come.
    left: u64,
    unread: bool,
}

/// What operators change.
#[derive(Clone)]
struct State {
    place: Matrix,
    font: usize,
    size: f64,
    leading: f64,
    between: f64,
    blank: f64,
    stretch: f64,
    rise: f64,
}

impl<'d> Scan<'d> {
    fn of(document: &'d Document) -> Self {
        Self { document, fonts: HashMap::new(), left: limits::PDF_OPERATIONS, unread: false }
    }

    fn page(&mut self, page: ObjectId) -> Result<Vec<Run>> {
        let content =
            self.document.get_page_content_with_limit(page, limits::PDF_STREAM_BYTES).map_err(damaged)?;
        let (own, shared) = self.document.get_page_resources(page).unwrap_or_default();
        let shared = shared.into_iter().filter_map(|id| self.document.get_dictionary(id).ok());
        let resources: Vec<&Dictionary> = own.into_iter().chain(shared).collect();
        let mut runs = Vec::new();
        self.content(&content, &resources, IDENTITY, 0, &mut runs)?;
        Ok(runs)
    }

    fn content(
        &mut self,
        content: &[u8],
        resources: &[&Dictionary],
        place: Matrix,
        depth: usize,
        runs: &mut Vec<Run>,
    ) -> Result<()> {
        let mut state = State {
            place,
            font: 0,
            size: 1.0,
            leading: 0.0,
            between: 0.0,
            blank: 0.0,
            stretch: 1.0,
            rise: 0.0,
        };
        let (mut saved, mut line, mut at) = (Vec::new(), IDENTITY, IDENTITY);
        for operation in Content::decode_iter(content) {
            // What stands behind a damaged place cannot be trusted.
            let Ok(operation) = operation else { break };
            self.left = self.left.checked_sub(1).ok_or_else(|| damaged("too many operations"))?;
            let n = |i: usize| number(operation.operands.get(i));
            match operation.operator.as_str() {
                "q" if saved.len() < SAVED => saved.push(state.clone()),
                "Q" => state = saved.pop().unwrap_or(state),
                "cm" => state.place = times(matrix(&operation.operands), state.place),
                "BT" => (line, at) = (IDENTITY, IDENTITY),
                "Tf" => {
                    state.font = self.font(operation.operands.first(), resources);
                    state.size = n(1);
                }
                "TL" => state.leading = n(0),
                "Tc" => state.between = n(0),
                "Tw" => state.blank = n(0),
                "Tz" => state.stretch = n(0) / 100.0,
                "Ts" => state.rise = n(0),
                "Tm" => (line, at) = (matrix(&operation.operands), matrix(&operation.operands)),
                "Td" | "TD" => {
                    if operation.operator == "TD" {
                        state.leading = -n(1);
                    }
                    line = times([1.0, 0.0, 0.0, 1.0, n(0), n(1)], line);
                    at = line;
                }
                "T*" | "'" | "\"" => {
                    line = times([1.0, 0.0, 0.0, 1.0, 0.0, -state.leading], line);
                    at = line;
                    self.show(operation.operands.last(), &state, &mut at, runs);
                }
                "Tj" => self.show(operation.operands.first(), &state, &mut at, runs),
                "TJ" => self.show_all(&operation, &state, &mut at, runs),
                "Do" if depth < FORMS => self.form(&operation, resources, state.place, depth, runs)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Strings with steps between them.
    fn show_all(&mut self, operation: &Operation, state: &State, at: &mut Matrix, runs: &mut Vec<Run>) {
        for piece in operation.operands.first().and_then(|o| o.as_array().ok()).into_iter().flatten() {
            match piece {
                Object::String(..) => self.show(Some(piece), state, at, runs),
                step => {
                    let by = -number(Some(step)) / 1000.0 * state.size * state.stretch;
                    *at = times([1.0, 0.0, 0.0, 1.0, by, 0.0], *at);
                }
            }
        }
    }

    fn show(&mut self, text: Option<&Object>, state: &State, at: &mut Matrix, runs: &mut Vec<Run>) {
        let Some(Object::String(bytes, _)) = text else { return };
        let Some(font) = self.fonts.get(&state.font) else { return };
        let advance = font.advance(bytes, state);
        let shown = times([1.0, 0.0, 0.0, 1.0, 0.0, state.rise], times(*at, state.place));
        let upright = shown[0].abs() >= shown[1].abs();
        let text = font.text(bytes);
        self.unread |= text.is_none();
        if let Some(text) = text.filter(|t| upright && !t.is_empty()) {
            let size = state.size.abs() * shown[3].hypot(shown[2]);
            runs.push(Run { x: shown[4], y: shown[5], width: advance * shown[0].abs(), size, text });
        }
        *at = times([1.0, 0.0, 0.0, 1.0, advance, 0.0], *at);
    }

    /// The text of a form (a piece of a page that is used by name).
    fn form(
        &mut self,
        operation: &Operation,
        resources: &[&Dictionary],
        place: Matrix,
        depth: usize,
        runs: &mut Vec<Run>,
    ) -> Result<()> {
        let Some(Object::Name(name)) = operation.operands.first() else { return Ok(()) };
        let found = resources.iter().find_map(|r| {
            let forms = r.get_deref(b"XObject", self.document).ok()?.as_dict().ok()?;
            forms.get_deref(name, self.document).ok()?.as_stream().ok()
        });
        let Some(stream) =
            found.filter(|s| s.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|n| n == b"Form"))
        else {
            return Ok(());
        };
        let content = stream.get_plain_content_with_limit(limits::PDF_STREAM_BYTES).map_err(damaged)?;
        let own = stream.dict.get_deref(b"Resources", self.document).ok().and_then(|r| r.as_dict().ok());
        let inside: Vec<&Dictionary> = own.into_iter().chain(resources.iter().copied()).collect();
        let moved = stream.dict.get(b"Matrix").and_then(Object::as_array).map_or(IDENTITY, |m| matrix(m));
        self.content(&content, &inside, times(moved, place), depth + 1, runs)
    }

    /// The key of a font among those known; it is read when it is seen first.
    fn font(&mut self, name: Option<&Object>, resources: &[&Dictionary]) -> usize {
        let Some(Object::Name(name)) = name else { return 0 };
        let found = resources.iter().find_map(|r| {
            let fonts = r.get_deref(b"Font", self.document).ok()?.as_dict().ok()?;
            fonts.get_deref(name, self.document).ok()?.as_dict().ok()
        });
        let Some(dictionary) = found else { return 0 };
        let key = from_ref(dictionary).addr();
        self.fonts.entry(key).or_insert_with(|| Font::read(dictionary, self.document));
        key
    }
}

impl Font {
    fn read(font: &Dictionary, document: &Document) -> Self {
        let wide = font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|n| n == b"Type0");
        let mut own =
            Self { coding: coding(font, wide, document), wide, widths: HashMap::new(), default: 500.0 };
        if wide {
            own.default = 1000.0;
            own.read_wide(font, document);
        } else {
            own.read_narrow(font, document);
        }
        own
    }

    /// Widths by code, from the first.
    fn read_narrow(&mut self, font: &Dictionary, document: &Document) {
        let first = number(font.get(b"FirstChar").ok()) as u32;
        let shape = font.get_deref(b"FontMatrix", document).ok().and_then(|m| m.as_array().ok());
        let scale = shape.map_or(1.0, |m| matrix(m)[0] * 1000.0);
        let widths = font.get_deref(b"Widths", document).ok().and_then(|w| w.as_array().ok());
        for (code, width) in widths.into_iter().flatten().take(256).enumerate() {
            self.widths.insert(first.saturating_add(code as u32), number(Some(width)) * scale);
        }
    }

    /// Widths by character: `c [w w …]` and `from to w`.
    fn read_wide(&mut self, font: &Dictionary, document: &Document) {
        let below = font.get_deref(b"DescendantFonts", document).ok().and_then(|d| d.as_array().ok());
        let below = below.and_then(|d| d.first()).and_then(|d| document.dereference(d).ok());
        let Some(below) = below.and_then(|(_, d)| d.as_dict().ok()) else { return };
        if below.has(b"DW") {
            self.default = number(below.get(b"DW").ok());
        }
        let mut widths =
            below.get_deref(b"W", document).ok().and_then(|w| w.as_array().ok()).into_iter().flatten();
        while let (Some(from), Some(next)) = (widths.next(), widths.next()) {
            let from = number(Some(from)) as u32;
            if let Ok(each) = next.as_array() {
                let each = each.iter().take(65_536).enumerate();
                self.widths.extend(each.map(|(n, w)| (from.saturating_add(n as u32), number(Some(w)))));
            } else {
                let (to, width) = (number(Some(next)) as u32, number(widths.next()));
                self.widths.extend((from..=to.min(65_535)).map(|code| (code, width)));
            }
        }
    }

    /// How far a string moves, in units of text space.
    fn advance(&self, bytes: &[u8], state: &State) -> f64 {
        let mut total = 0.0;
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let narrow = !self.wide || matches!(self.coding, Coding::Gbk) && first < 0x81;
            let taken = if narrow { 1 } else { 2.min(rest.len()) };
            let code = rest[..taken].iter().fold(0, |n, b| n << 8 | u32::from(*b));
            let half = if narrow && self.wide { 500.0 } else { self.default };
            let width = self.widths.get(&code).copied().unwrap_or(half);
            let blank = if taken == 1 && code == 32 { state.blank } else { 0.0 };
            total += (width / 1000.0 * state.size + state.between + blank) * state.stretch;
            rest = &rest[taken..];
        }
        total
    }

    /// The characters of a string; none when they cannot be known.
    fn text(&self, bytes: &[u8]) -> Option<String> {
        let text = match &self.coding {
            Coding::Table(table) => table.bytes_to_string(bytes).ok()?,
            Coding::Gbk => GB18030.decode_without_bom_handling(bytes).0.into_owned(),
            Coding::Utf16 => UTF_16BE.decode_without_bom_handling(bytes).0.into_owned(),
            Coding::Own(table) => {
                bytes.iter().filter_map(|b| table.get(usize::from(*b))).map(String::as_str).collect()
            }
            Coding::Unknown => return None,
        };
        Some(text.chars().filter(|c| *c != '\u{FFFD}' && !c.is_control()).map(ideograph).collect())
    }
}

fn coding(font: &Dictionary, wide: bool, document: &Document) -> Coding {
    let bound = limits::PDF_STREAM_BYTES;
    if font.has(b"ToUnicode") {
        let mut only = font.clone();
        only.remove(b"Encoding");
        if let Ok(Encoding::UnicodeMapEncoding(table)) = only.get_font_encoding_with_limit(document, bound) {
            return Coding::Table(Encoding::UnicodeMapEncoding(table));
        }
    }
    let name = font.get_deref(b"Encoding", document).ok().and_then(|e| e.as_name().ok()).unwrap_or_default();
    match name {
        n if n.starts_with(b"GB") => Coding::Gbk,
        n if n.starts_with(b"UniGB-U") && !n.starts_with(b"UniGB-UTF8") && !n.starts_with(b"UniGB-UTF32") => {
            Coding::Utf16
        }
        _ if wide => Coding::Unknown,
        _ => font.get_font_encoding_with_limit(document, bound).map_or(Coding::Unknown, |encoding| {
            Coding::Own((0..=255).map(|b| encoding.bytes_to_string(&[b]).unwrap_or_default()).collect())
        }),
    }
}

/// Fonts name some ideographs by the radical of the same shape (⾏ for 行): the ideograph is what is meant.
fn ideograph(c: char) -> char {
    if !matches!(c, '\u{2F00}'..='\u{2FDF}' | '\u{F900}'..='\u{FAFF}') {
        return c;
    }
    let mut same = std::iter::once(c).nfkc();
    same.next().filter(|_| same.next().is_none()).unwrap_or(c)
}

fn number(object: Option<&Object>) -> f64 {
    match object {
        Some(Object::Integer(n)) => *n as f64,
        Some(Object::Real(n)) => f64::from(*n),
        _ => 0.0,
    }
}

fn matrix(operands: &[Object]) -> Matrix {
    let mut m = IDENTITY;
    if operands.len() >= 6 {
        m.iter_mut().zip(operands).for_each(|(m, o)| *m = number(Some(o)));
    }
    m
}

#[cfg(test)]
mod tests;
