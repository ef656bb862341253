//! Presentations of PowerPoint 2007 and later: the text of each slide and of the notes to it, in the order of the show.
//!
//! The XML is read as a stream of tags, like that of documents. Masters and layouts, which stand behind every slide,
//! are other parts of the archive and are not opened.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::archive::{self, Archive};
use super::document::Out;
use super::docx::{attribute, each_tag, part, plain};
use super::{Emit, Style};
use crate::base::{Error, Result, limits};

const MAIN: &str = "ppt/presentation.xml";

/// Reads a presentation; each slide is a part.
///
/// # Errors
/// `Invalid` when it is no presentation, is damaged or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let mut archive = archive::open(bytes)?;
    let main = part(&mut archive, MAIN).map_err(damaged)?.ok_or_else(|| damaged("no main part"))?;
    let relations = related(&mut archive, MAIN)?;
    let mut slides = Vec::new();
    let listed = each_tag(&main, |tag, _| {
        let id = reference(tag).filter(|_| tag.local_name().as_ref() == "sldId");
        slides.extend(id.and_then(|id| relations.iter().find(|r| r.id == id)).map(|r| r.target.clone()));
    });
    listed.map_err(damaged)?;
    let mut out = Out::new(emit);
    for (number, slide) in (1..).zip(slides.iter().take(limits::PDF_PAGES)) {
        out.part(format!("第 {number} 张"))?;
        say(&mut archive, slide, &mut out)?;
        for notes in related(&mut archive, slide)?.iter().filter(|r| r.kind.ends_with("/notesSlide")) {
            say(&mut archive, &notes.target, &mut out)?;
        }
    }
    Ok(())
}

fn damaged(why: impl std::fmt::Debug) -> Error {
    Error::invalid("演示文稿已损坏，或不是 PowerPoint 的 pptx 格式。请用办公软件打开后另存为 pptx，再试一次。")
        .with_detail(format!("{why:?}"))
}

/// What a part of the archive refers to.
struct Relation {
    id: String,
    kind: String,
    target: String,
}

/// The parts that a part refers to, by their names in the archive.
fn related(archive: &mut Archive<'_>, name: &str) -> Result<Vec<Relation>> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let relations = part(archive, &format!("{folder}/_rels/{file}.rels")).map_err(damaged)?.unwrap_or_default();
    let mut all = Vec::new();
    let read = each_tag(&relations, |tag, _| {
        let (id, kind) = (attribute(tag, "Id"), attribute(tag, "Type"));
        if let (Some(id), Some(kind), Some(target)) = (id, kind, attribute(tag, "Target")) {
            all.push(Relation { id, kind, target: resolved(folder, &target) });
        }
    });
    read.map_err(damaged)?;
    Ok(all)
}

/// The name in the archive of what is named from within a folder of it.
fn resolved(folder: &str, target: &str) -> String {
    let from: Vec<&str> = if target.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    let mut steps = from;
    for step in target.split('/').filter(|s| !s.is_empty() && *s != ".") {
        if step == ".." {
            steps.pop();
        } else {
            steps.push(step);
        }
    }
    steps.join("/")
}

/// The reference in a tag, which has an id of its own beside it.
fn reference(tag: &BytesStart<'_>) -> Option<String> {
    let mut all = tag.attributes();
    let is = |name: &str| name.ends_with(":id");
    let found = all.with_checks(false).flatten().find(|a| is(a.key.as_ref()))?;
    Some(plain(&found.value))
}

/// Says the paragraphs of a slide.
fn say(archive: &mut Archive<'_>, name: &str, out: &mut Out<'_>) -> Result<()> {
    let Some(xml) = part(archive, name).map_err(damaged)? else { return Ok(()) };
    let mut reader = Reader::from_str(&xml);
    reader.config_mut().check_end_names = false;
    let (mut line, mut inside) = (String::new(), false);
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(tag) => inside |= tag.local_name().as_ref() == "t",
            Event::Empty(tag) if tag.local_name().as_ref() == "br" => line.push('\n'),
            Event::Text(text) if inside => line += &text,
            Event::CData(text) if inside => line += &text,
            Event::GeneralRef(name) if inside => line += &plain(&format!("&{};", &*name)),
            Event::End(tag) if tag.local_name().as_ref() == "t" => inside = false,
            Event::End(tag) if tag.local_name().as_ref() == "p" => {
                out.block(Style::Paragraph, &std::mem::take(&mut line))?;
            }
            Event::Eof => return out.block(Style::Paragraph, &line),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::foreign::Item;

    fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, part) in parts {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(part.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn said(bytes: &[u8]) -> Result<Vec<String>> {
        let mut all = Vec::new();
        read(bytes, &mut |item| {
            all.push(match item {
                Item::Part(name) => format!("[{name}]"),
                Item::Block(block) => block.text,
                other => format!("{other:?}"),
            });
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn slides_come_in_the_order_of_the_show_each_with_its_notes() {
        let relation = |id: &str, kind: &str, target: &str| {
            format!("<Relationship Id=\"{id}\" Type=\"http://x/{kind}\" Target=\"{target}\"/>")
        };
        let slide = |text: &str| format!("<p:sld><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sld>");
        let main = "<p:presentation><p:sldIdLst><p:sldId id=\"256\" r:id=\"rId2\"/><p:sldId id=\"257\" r:id=\"rId1\"/>\
            </p:sldIdLst></p:presentation>";
        let relations = [
            relation("rId1", "slide", "slides/slide1.xml"),
            relation("rId2", "slide", "/ppt/slides/slide2.xml"),
            relation("rId3", "slide", "slides/unused.xml"),
        ];
        let bytes = zipped(&[
            ("ppt/presentation.xml", main),
            ("ppt/_rels/presentation.xml.rels", &format!("<Relationships>{}</Relationships>", relations.concat())),
            ("ppt/slides/slide1.xml", &slide("甲&amp;</a:t></a:r><a:br/><a:r><a:t>乙")),
            ("ppt/slides/slide2.xml", &slide("先放这一张")),
            ("ppt/slides/unused.xml", &slide("不放映")),
            ("ppt/slides/_rels/slide1.xml.rels", &relation("rId1", "notesSlide", "../notesSlides/notesSlide1.xml")),
            ("ppt/notesSlides/notesSlide1.xml", &slide("备注里的话")),
        ]);
        assert_eq!(said(&bytes).unwrap(), ["[第 1 张]", "先放这一张", "[第 2 张]", "甲&\n乙", "备注里的话"]);
        assert!(said(&zipped(&[("ppt/other.xml", "")])).unwrap_err().public().contains("演示文稿已损坏"));
        assert!(said(b"PK\x03\x04").is_err());
    }
}
