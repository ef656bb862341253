//! Documents as blocks: which reader reads which format, plain text and its encoding, and the bounds all share.
//!
//! A reader that panics over a spoilt file gives an error like any other; what it cannot survive (memory, time, the
//! depth of its stack) ends the child, and the parent tells the person.

use std::panic::{AssertUnwindSafe, catch_unwind};

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::{Block, Emit, Format, Item, Style, docx, html, mail, markdown, pdf, picture, pptx, statute};
use crate::base::{Error, Result, limits};

/// Reads a document or picture; `bytes` is the whole file.
///
/// # Errors
/// `Invalid` with what to do next, when the file is none of its format, is damaged or goes beyond a bound.
pub(super) fn read(format: Format, bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    if bytes.len() as u64 > limits::FOREIGN_DOCUMENT_BYTES {
        return Err(Error::invalid("文件超过 50 MB。请拆分文件，或删去其中的图片后再试。"));
    }
    let reader = match format {
        Format::Docx => docx::read,
        Format::Markdown => markdown::read,
        Format::Html => html::read,
        Format::Pptx => pptx::read,
        Format::Eml => mail::read,
        Format::Pdf => pdf::read,
        Format::PdfView => pdf::rewrite,
        Format::PdfPages => pdf::pages,
        Format::PdfScans => pdf::scans::read,
        Format::Image => picture::read,
        _ => plain,
    };
    catch_unwind(AssertUnwindSafe(|| reader(bytes, emit))).unwrap_or_else(|_| {
        Err(Error::invalid("这个文件的内部结构无法识别。请用办公软件打开后另存为 docx，再试一次。"))
    })
}

/// Plain text: a line is a paragraph.
fn plain(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let (text, note) = decode(bytes, None)?;
    let mut out = Out::new(emit);
    out.note(note)?;
    statute::lines(&text).into_iter().try_for_each(|b| out.line(b.style, &b.text))
}

/// Text in the encoding its mark names, in `declared`, in UTF-8 or else in GB18030; a note says when it was guessed.
///
/// # Errors
/// `Invalid` when it is text in none of them.
pub(super) fn decode(
    bytes: &[u8],
    declared: Option<&'static Encoding>,
) -> Result<(String, Option<&'static str>)> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok((encoding.decode(bytes).0.into_owned(), None));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if text.contains('\0') {
            return wide(bytes);
        }
        return Ok((text.to_owned(), None));
    }
    let encoding = declared.filter(|e| *e != UTF_8 && *e != UTF_16LE && *e != UTF_16BE).unwrap_or(GB18030);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let wrong = text.chars().filter(|c| *c == '\u{FFFD}').count();
    if text.contains('\0') {
        return wide(bytes);
    }
    let odd = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    if (wrong + odd) * 50 > text.chars().count() {
        return Err(Error::invalid("文件不是文字，或编码无法识别。请另存为 UTF-8 编码的文本后再试。"));
    }
    Ok((text.into_owned(), declared.is_none().then_some("编码按 GBK 读取，如有乱码请另存为 UTF-8。")))
}

/// UTF-16 without a mark, by where its zeros are.
fn wide(bytes: &[u8]) -> Result<(String, Option<&'static str>)> {
    let zeros = |odd: usize| bytes.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let encoding = if zeros(1) >= zeros(0) { UTF_16LE } else { UTF_16BE };
    let (text, wrong) = encoding.decode_without_bom_handling(bytes);
    if wrong || text.contains('\0') {
        return Err(Error::invalid("文件不是文字，或编码无法识别。请另存为 UTF-8 编码的文本后再试。"));
    }
    Ok((text.into_owned(), Some("编码按 UTF-16 读取，如有乱码请另存为 UTF-8。")))
}

/// Where blocks go: counts them, leaves empty ones out.
pub(super) struct Out<'a> {
    emit: Emit<'a>,
    blocks: usize,
    bytes: usize,
}

impl<'a> Out<'a> {
    /// Nothing was said yet.
    pub(super) fn new(emit: Emit<'a>) -> Self {
        Self { emit, blocks: 0, bytes: 0 }
    }

    /// A block without blanks at its ends; nothing when nothing is left. A line break inside is kept.
    pub(super) fn block(&mut self, style: Style, text: &str) -> Result<()> {
        self.line(style, text.trim())
    }

    /// A block as it stands.
    fn line(&mut self, style: Style, text: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Ok(());
        }
        self.blocks += 1;
        self.bytes += text.len();
        if self.blocks > limits::DOCUMENT_BLOCKS || self.bytes > limits::DOCUMENT_TEXT_BYTES {
            return Err(Error::invalid("文档的文字过多。请拆分成几个文件后再试。"));
        }
        (self.emit)(Item::Block(Block { style, text: text.to_owned() }))
    }

    /// A part of the document begins.
    pub(super) fn part(&mut self, name: impl Into<String>) -> Result<()> {
        (self.emit)(Item::Part(name.into()))
    }

    /// A note, if there is one.
    pub(super) fn note(&mut self, note: Option<impl Into<String>>) -> Result<()> {
        note.map_or(Ok(()), |n| (self.emit)(Item::Note(n.into())))
    }

    /// How many blocks were said.
    pub(super) fn said(&self) -> usize {
        self.blocks
    }

    /// Whether no block was said.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks == 0
    }
}

#[cfg(test)]
pub(super) fn blocks(format: Format, bytes: &[u8]) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    read(format, bytes, &mut |item| {
        blocks.extend(if let Item::Block(block) = item { Some(block) } else { None });
        Ok(())
    })?;
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        blocks(Format::Text, bytes).unwrap().into_iter().map(|b| b.text).collect()
    }

    #[test]
    fn text_is_read_in_every_encoding_it_comes_in() {
        let text = "样例规程\r\n\r\n第一条 为了示例。\n　　第二款。";
        let lines = ["样例规程", "第一条 为了示例。", "　　第二款。"];
        let wide = |big: bool| -> Vec<u8> {
            let bytes = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        let gbk = GB18030.encode(text).0.into_owned();
        assert_eq!(texts(text.as_bytes()), lines);
        assert_eq!(texts(format!("\u{FEFF}{text}").as_bytes()), lines);
        assert_eq!(texts(&gbk), lines);
        assert_eq!(texts(&[b"\xFF\xFE".as_slice(), &wide(false)].concat()), lines);
        assert_eq!(texts(&[b"\xFE\xFF".as_slice(), &wide(true)].concat()), lines);
        let binary: Vec<u8> = (0..4000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(blocks(Format::Text, &binary).is_err());
    }
}
