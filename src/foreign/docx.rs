//! Documents of Word 2007 and later: paragraphs with their headings and automatic numbers, tables row by row.
//!
//! The XML is read as a stream of tags, never as a tree; entities are not expanded. Deleted text is left out and
//! inserted text kept, as if every tracked change had been accepted. Headers, footers, footnotes and comments are other
//! parts of the archive and are not opened. What numbers look like is [`numbering`]'s.

mod numbering;

use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::archive::Archive;
use super::document::Out;
use super::{Block, Emit, Style, archive};
use crate::base::{Error, Result, limits};
use numbering::Numbering;

/// Elements that are left out with everything in them: deletions, the other way to show the same thing, what is no
/// text, and what a paragraph looked like before a change.
const LEFT_OUT: &[&str] = &[
    "del",
    "moveFrom",
    "Fallback",
    "instrText",
    "delText",
    "pPrChange",
    "rPrChange",
    "sectPrChange",
    "tblPrChange",
    "trPrChange",
    "tcPrChange",
    "numberingChange",
    "sdtPr",
    "rt",
];

/// Reads a document.
///
/// # Errors
/// `Invalid` when it is no such document, is damaged or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let mut archive = archive::open(bytes)?;
    let main = main_part(&mut archive)?;
    let folder = main.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let document = part(&mut archive, &main)?.ok_or_else(|| damaged("no main part"))?;
    let styles = part(&mut archive, &format!("{folder}styles.xml"))?.unwrap_or_default();
    let numbers = part(&mut archive, &format!("{folder}numbering.xml"))?.unwrap_or_default();
    let mut walk = Walk::new(Out::new(emit), Numbering::read(&styles, &numbers)?);
    walk.run(&document)
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::invalid("文档已损坏，或不是 Word 的 docx 格式。请用办公软件打开后另存为 docx，再试一次。")
        .with_detail(why)
}

/// The name of the part that holds the text, by the relations of the archive.
fn main_part(archive: &mut Archive<'_>) -> Result<String> {
    let relations = part(archive, "_rels/.rels")?.unwrap_or_default();
    let mut main = "word/document.xml".to_owned();
    each_tag(&relations, |tag, _| {
        if attribute(tag, "Type").is_some_and(|t| t.ends_with("/officeDocument")) {
            main = attribute(tag, "Target").unwrap_or_default().trim_start_matches('/').to_owned();
        }
    })?;
    Ok(main)
}

/// The text of a part; none when there is no such part.
pub(super) fn part(archive: &mut Archive<'_>, name: &str) -> Result<Option<String>> {
    let entry = match archive.by_name(name) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(e) => return Err(damaged(e)),
    };
    let mut bytes = Vec::new();
    let bound = limits::DOCUMENT_PART_BYTES;
    entry.take(bound + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() as u64 > bound {
        return Err(Error::invalid("文档展开后过大。请拆分成几个文件后再试。"));
    }
    let marked = encoding_rs::Encoding::for_bom(&bytes).map(|(e, _)| e.decode(&bytes).0.into_owned());
    Ok(Some(marked.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned())))
}

/// Calls `see` for each tag that opens, and with `None` for each that closes.
pub(super) fn each_tag(xml: &str, mut see: impl FnMut(&BytesStart<'_>, bool)) -> Result<()> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(tag) => see(&tag, true),
            Event::Empty(tag) => see(&tag, false),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// The value of an attribute by its local name.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut all = tag.attributes();
    let found = all.with_checks(false).flatten().find(|a| a.key.local_name().as_ref() == name)?;
    Some(plain(&found.value))
}

/// Predefined entities resolved; any other stays as it stands.
pub(super) fn plain(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |t| t.into_owned())
}

/// A paragraph as it grows.
#[derive(Default)]
struct Paragraph {
    text: String,
    style: String,
    level: Option<u8>,
    list: Option<String>,
    depth: Option<usize>,
    /// Its end was deleted: it goes on in the next one.
    joined: bool,
}

/// A row of a table as it grows: its cells, each with its blocks.
#[derive(Default)]
struct Row {
    cells: Vec<Vec<Block>>,
    deleted: bool,
}

/// A walk through the main part.
struct Walk<'a> {
    out: Out<'a>,
    numbering: Numbering,
    paragraphs: Vec<Paragraph>,
    /// Rows that are open, and how many paragraphs were open around each.
    rows: Vec<(Row, usize)>,
    /// Text of paragraphs whose end was deleted.
    carried: String,
    /// Open elements inside one that is left out.
    skipped: usize,
    /// Inside properties of a paragraph, of a row, a run, a text.
    inside: Inside,
    pictures: usize,
}

#[derive(Default)]
struct Inside {
    properties: bool,
    row_properties: bool,
    runs: usize,
    text: bool,
}

impl<'a> Walk<'a> {
    fn new(out: Out<'a>, numbering: Numbering) -> Self {
        Self {
            out,
            numbering,
            paragraphs: Vec::new(),
            rows: Vec::new(),
            carried: String::new(),
            skipped: 0,
            inside: Inside::default(),
            pictures: 0,
        }
    }

    fn run(&mut self, xml: &str) -> Result<()> {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().check_end_names = false;
        loop {
            match reader.read_event().map_err(damaged)? {
                Event::Start(tag) => self.open(&tag, true)?,
                Event::Empty(tag) => self.open(&tag, false)?,
                Event::End(tag) => self.close(tag.local_name().as_ref())?,
                Event::Text(text) => self.text(&text),
                Event::CData(text) => self.text(&text),
                Event::GeneralRef(name) => self.text(&plain(&format!("&{};", &*name))),
                Event::Eof => break,
                _ => {}
            }
        }
        while !self.paragraphs.is_empty() {
            self.end_paragraph()?;
        }
        while !self.rows.is_empty() {
            self.end_row()?;
        }
        let pictures = (self.pictures > 0).then(|| format!("文档中有 {} 张图片，没有读取。", self.pictures));
        self.out.note(pictures)?;
        let empty = self.out.is_empty().then_some("文档中没有文字。");
        self.out.note(empty)
    }

    fn text(&mut self, text: &str) {
        if self.inside.text
            && self.skipped == 0
            && let Some(paragraph) = self.paragraphs.last_mut()
        {
            paragraph.text += text;
        }
    }

    /// An element opens; without content it closes at once.
    fn open(&mut self, tag: &BytesStart<'_>, content: bool) -> Result<()> {
        let name = tag.local_name();
        let name = name.as_ref();
        if self.skipped > 0 || LEFT_OUT.contains(&name) {
            self.mark_deleted(name);
            self.skipped += usize::from(content);
            return Ok(());
        }
        match name {
            "p" if self.paragraphs.len() < limits::DOCUMENT_DEPTH => {
                self.paragraphs.push(Paragraph::default())
            }
            "p" => return Err(damaged("paragraphs nest too deep")),
            "pPr" => self.inside.properties = content,
            "trPr" => self.inside.row_properties = content,
            "r" => self.inside.runs += usize::from(content),
            "t" => self.inside.text = content,
            "tab" if self.inside.runs > 0 && !self.inside.properties => self.character('\t'),
            "br" | "cr" => self.character('\n'),
            "noBreakHyphen" => self.character('-'),
            "blip" | "imagedata" => self.pictures += 1,
            "tr" if self.rows.len() < limits::DOCUMENT_DEPTH => {
                self.rows.push((Row::default(), self.paragraphs.len()));
            }
            "tr" => return Err(damaged("tables nest too deep")),
            "tc" => self.rows.last_mut().into_iter().for_each(|(row, _)| row.cells.push(Vec::new())),
            _ if self.inside.properties => self.property(name, tag),
            _ => {}
        }
        if content { Ok(()) } else { self.close(name) }
    }

    fn character(&mut self, c: char) {
        self.paragraphs.last_mut().into_iter().for_each(|p| p.text.push(c));
    }

    /// A deletion among properties means the end of the paragraph, or the row.
    fn mark_deleted(&mut self, name: &str) {
        if self.skipped > 0 || !matches!(name, "del" | "moveFrom") {
            return;
        }
        if self.inside.row_properties {
            self.rows.last_mut().into_iter().for_each(|(row, _)| row.deleted = true);
        } else if self.inside.properties {
            self.paragraphs.last_mut().into_iter().for_each(|p| p.joined = true);
        }
    }

    fn property(&mut self, name: &str, tag: &BytesStart<'_>) {
        let (Some(paragraph), Some(value)) = (self.paragraphs.last_mut(), attribute(tag, "val")) else {
            return;
        };
        match name {
            "pStyle" => paragraph.style = value,
            "outlineLvl" => paragraph.level = value.parse::<u8>().ok().filter(|l| *l < 9).map(|l| l + 1),
            "numId" => paragraph.list = Some(value),
            "ilvl" => paragraph.depth = value.parse().ok(),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) -> Result<()> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        match name {
            "p" => self.end_paragraph()?,
            "pPr" => self.inside.properties = false,
            "trPr" => self.inside.row_properties = false,
            "r" => self.inside.runs = self.inside.runs.saturating_sub(1),
            "t" => self.inside.text = false,
            "tr" => self.end_row()?,
            _ => {}
        }
        Ok(())
    }

    fn end_paragraph(&mut self) -> Result<()> {
        let Some(paragraph) = self.paragraphs.pop() else { return Ok(()) };
        let mut text = std::mem::take(&mut self.carried);
        text += &paragraph.text;
        if paragraph.joined {
            self.carried = text;
            return Ok(());
        }
        let number = self.numbering.next(&paragraph.style, paragraph.list.as_deref(), paragraph.depth);
        let level = paragraph.level.or_else(|| self.numbering.heading(&paragraph.style));
        let style = level.map_or(Style::Paragraph, Style::Heading);
        self.say(Block { style, text: format!("{number}{}", text.trim_matches(['\n', '\r'])) })
    }

    /// A block goes into the innermost cell that is open, or out. A paragraph of a text box in a cell stays there.
    fn say(&mut self, block: Block) -> Result<()> {
        match self.rows.last_mut().and_then(|(row, _)| row.cells.last_mut()) {
            Some(cell) if cell.len() < limits::DOCUMENT_BLOCKS => cell.push(block),
            Some(_) => return Err(damaged("too many paragraphs in a cell")),
            None => self.out.block(block.style, &block.text)?,
        }
        Ok(())
    }

    /// A row of one cell is a frame around paragraphs; others are one line.
    fn end_row(&mut self) -> Result<()> {
        let Some((mut row, around)) = self.rows.pop() else { return Ok(()) };
        while self.paragraphs.len() > around {
            self.paragraphs.pop();
        }
        if row.deleted {
            return Ok(());
        }
        if row.cells.len() == 1 {
            return row.cells.remove(0).into_iter().try_for_each(|block| self.say(block));
        }
        let joined = |cell: &Vec<Block>| -> String {
            let texts = cell.iter().map(|b| b.text.trim()).filter(|t| !t.is_empty());
            texts.collect::<Vec<_>>().join(" ").replace(['\n', '\r', '\t'], " ")
        };
        let cells: Vec<String> = row.cells.iter().map(joined).collect();
        if cells.iter().all(String::is_empty) {
            return Ok(());
        }
        self.say(Block { style: Style::Row, text: cells.join(" | ").trim().to_owned() })
    }
}

#[cfg(test)]
mod tests;
