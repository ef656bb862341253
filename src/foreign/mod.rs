//! Files of other programs: what is in them, read in a process that may die.
//!
//! A file that somebody was sent decides what its reader does: how much it unpacks, how deep it nests, how long it
//! runs. So a file is never read in the server. [`Reader`] starts the same program again as a child that limits itself
//! before it sees the first byte, gives it the file by a pipe, and takes back [`Item`]s by another.
//!
//! What is kept out, and by what:
//!
//! * archives that unpack to more than they say, cells and rows without end, entities that multiply, files that keep a
//!   reader busy: counted on the way, and where a crate does not count, by the child's limits of memory and time;
//! * a reader taken over by its file: it has no files, no sockets, no processes, no environment, only its two pipes;
//! * an answer that would fill the server: frames are bounded and the child waits while nobody takes them;
//! * a cell that becomes a formula in a file we write: every cell is text ([`workbook`]).
//!
//! What a file means (columns, kinds, articles) is left to `app`; nothing here is stored and nothing knows records.

mod archive;
mod child;
mod csv;
mod document;
mod docx;
mod frames;
mod html;
mod mail;
mod markdown;
mod ocr;
mod pdf;
mod picture;
mod pptx;
mod reader;
pub mod statute;
mod table;
mod workbook;

use crate::base::{Result, limits};

pub use child::child;
pub use ocr::{Ocr, become_ocr};
pub use reader::Reader;
pub use workbook::workbook;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A workbook of Office 2007 and later (Open XML).
    Xlsx,
    /// A workbook of Excel 97–2003, or one that is sealed with a password.
    Xls,
    /// Separated values: comma, semicolon or tab.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// A document of Word 2007 and later.
    Docx,
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// A saved web page.
    Html,
    /// A presentation of PowerPoint 2007 and later.
    Pptx,
    /// A letter, as mail programs save it.
    Eml,
    /// A PDF.
    Pdf,
    /// A picture: PNG, JPEG, GIF, WebP, BMP or TIFF.
    Image,
    /// A PDF that is to be looked at: written anew, and refused when it would act by itself.
    PdfView,
    /// A PDF page by page, for whoever wants to know where a text stands.
    PdfPages,
    /// Pages of a PDF that are pictures and nothing else, as pictures.
    PdfScans,
}

/// What a reader says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A sheet of a workbook begins (a csv has one, with no name).
    Sheet(String),
    /// A row of a table; empty rows are left out.
    Row {
        /// Its number as the office program shows it, from 1.
        number: u64,
        /// Its cells as text, without empty ones at the end. Dates are `2024-03-05` or `2024-03-05 14:30`, numbers in
        /// their shortest form without an exponent, booleans 是/否, errors empty.
        cells: Vec<String>,
    },
    /// A part of a document begins, by the name that people call it by: 第 3 页.
    Part(String),
    /// A block of a document.
    Block(Block),
    /// Bytes of a picture or document written anew, in pieces.
    Bytes(Vec<u8>),
    /// Something the person should know, in Chinese.
    Note(String),
}

/// What a block of a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading, and its level from 1.
    Heading(u8),
    /// A paragraph.
    Paragraph,
    /// A row of a table, its cells joined by ` | `.
    Row,
}

/// A paragraph, heading or table row of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub style: Style,
    /// Its text, without the line's end.
    pub text: String,
}

/// Where a reader's items go; an error ends the reading.
pub(super) type Emit<'a> = &'a mut dyn FnMut(Item) -> Result<()>;

/// Formats and their names on the command line.
const NAMES: &[(Format, &str)] = &[
    (Format::Xlsx, "xlsx"),
    (Format::Xls, "xls"),
    (Format::Csv, "csv"),
    (Format::Jsonl, "jsonl"),
    (Format::Docx, "docx"),
    (Format::Markdown, "markdown"),
    (Format::Text, "text"),
    (Format::Html, "html"),
    (Format::Pptx, "pptx"),
    (Format::Eml, "eml"),
    (Format::Pdf, "pdf"),
    (Format::Image, "image"),
    (Format::PdfView, "pdf-view"),
    (Format::PdfPages, "pdf-pages"),
    (Format::PdfScans, "pdf-scans"),
];

impl Format {
    /// The format of a file, by its first 8 KiB and then by its name; none where neither tells.
    pub fn detect(name: &str, head: &[u8]) -> Option<Self> {
        let named = by_extension(name);
        if head.starts_with(b"PK\x03\x04") {
            return in_zip(head).or(named.filter(|f| matches!(f, Self::Xlsx | Self::Docx | Self::Pptx)));
        }
        if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
            // Old documents and sealed new ones look the same; the reader tells a sealed workbook by its parts.
            return named.filter(|f| matches!(f, Self::Xls | Self::Xlsx | Self::Csv)).map(|_| Self::Xls);
        }
        if head.windows(5).take(1024).any(|w| w == b"%PDF-") {
            return Some(Self::Pdf);
        }
        if is_picture(head) {
            return Some(Self::Image);
        }
        match named {
            // Office systems export tables of text, or pages, under the name of a workbook.
            Some(Self::Xlsx | Self::Xls | Self::Docx | Self::Csv | Self::Text) if is_page(head) => {
                Some(Self::Html)
            }
            Some(Self::Xlsx | Self::Xls) if is_text(head) => Some(Self::Csv),
            None if is_page(head) => Some(Self::Html),
            named => named,
        }
    }

    /// Whether it is read as rows.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Xlsx | Self::Xls | Self::Csv | Self::Jsonl)
    }

    /// Whether it is read as blocks.
    pub fn is_document(self) -> bool {
        matches!(self, Self::Docx | Self::Markdown | Self::Text | Self::Html | Self::Pdf)
    }

    /// As what a file of this format is read, by whoever wants its text with the places where it stands; none for what
    /// has no text.
    pub fn with_parts(self) -> Option<Self> {
        match self {
            Self::Pdf => Some(Self::PdfPages),
            // Lines of data of programs are no text for people.
            Self::Jsonl | Self::Image | Self::PdfView | Self::PdfScans => None,
            other => Some(other),
        }
    }

    /// As what a file of this format gives pictures whose text somebody may recognise; none for what has no such.
    pub fn with_pictures(self) -> Option<Self> {
        match self {
            Self::Pdf => Some(Self::PdfScans),
            Self::Image => Some(self),
            _ => None,
        }
    }

    /// Bytes of such a file at most.
    pub fn bytes(self) -> u64 {
        if self.is_table() { limits::FOREIGN_TABLE_BYTES } else { limits::FOREIGN_DOCUMENT_BYTES }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(f, _)| *f == self).map_or("", |(_, name)| name)
    }

    /// The format of such a name.
    pub fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(f, _)| *f)
    }
}

fn by_extension(name: &str) -> Option<Format> {
    let (_, end) = name.rsplit_once('.')?;
    Some(match end.to_ascii_lowercase().as_str() {
        "xlsx" | "xlsm" | "xltx" => Format::Xlsx,
        "xls" | "xlt" | "et" | "ett" => Format::Xls,
        "csv" | "tsv" | "tab" => Format::Csv,
        "jsonl" | "ndjson" => Format::Jsonl,
        "docx" | "docm" | "dotx" => Format::Docx,
        "md" | "markdown" => Format::Markdown,
        "txt" | "text" => Format::Text,
        "html" | "htm" | "xhtml" => Format::Html,
        "pptx" | "pptm" | "ppsx" | "potx" => Format::Pptx,
        "eml" => Format::Eml,
        "pdf" => Format::Pdf,
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "tif" | "tiff" => Format::Image,
        _ => return None,
    })
}

/// What an archive holds, by the names of its first entries.
fn in_zip(head: &[u8]) -> Option<Format> {
    let entries = head.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x03\x04");
    let mut names = entries.filter_map(|(at, _)| head.get(at + 30..));
    names.find_map(|name| match name {
        _ if name.starts_with(b"xl/") => Some(Format::Xlsx),
        _ if name.starts_with(b"word/") => Some(Format::Docx),
        _ if name.starts_with(b"ppt/") => Some(Format::Pptx),
        _ => None,
    })
}

fn is_picture(head: &[u8]) -> bool {
    const MARKS: &[&[u8]] =
        &[b"\x89PNG\r\n\x1A\n", b"\xFF\xD8\xFF", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"];
    let riff = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    // `BM` alone could begin a text; a bitmap's reserved bytes are zero.
    let bitmap = head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]);
    riff || bitmap || MARKS.iter().any(|mark| head.starts_with(mark))
}

/// Whether text begins as a web page does.
fn is_page(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let begins = |mark: &[u8]| head.get(..mark.len()).is_some_and(|h| h.eq_ignore_ascii_case(mark));
    begins(b"<!doctype html") || begins(b"<html")
}

/// Whether this can be text: marked as UTF-16, or without bytes that no text has.
fn is_text(head: &[u8]) -> bool {
    let marked = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
    let control = |b: &u8| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0C);
    !head.is_empty() && (marked || !head.iter().any(control))
}
