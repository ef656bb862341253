//! Markdown: headings, paragraphs, lists with their numbers, tables row by row.
//!
//! A line break inside a paragraph is kept: Chinese regulations put each paragraph (款) on a line, rarely with an empty
//! one between. HTML inside is read as HTML.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::document::{Out, decode};
use super::{Emit, Style, html};
use crate::base::Result;

/// Reads a document.
///
/// # Errors
/// `Invalid` when it is no text or goes beyond a bound.
pub(super) fn read(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let (text, note) = decode(bytes, None)?;
    let mut out = Out::new(emit);
    out.note(note)?;
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut page = Page::default();
    for event in Parser::new_ext(&text, options) {
        page.take(event, &mut out)?;
    }
    page.end(&mut out)
}

/// The block under way.
#[derive(Default)]
struct Page {
    heading: Option<u8>,
    text: String,
    /// Numbers of the open lists; none for one with bullets.
    lists: Vec<Option<u64>>,
    cells: Vec<String>,
    markup: String,
    /// Inside the data in front of a document.
    hidden: bool,
}

impl Page {
    fn take(&mut self, event: Event<'_>, out: &mut Out<'_>) -> Result<()> {
        match event {
            Event::Start(tag) => self.open(&tag, out)?,
            Event::End(tag) => self.close(tag, out)?,
            Event::Text(text) | Event::Code(text) if !self.hidden => self.text += &text,
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Html(markup) => self.markup += &markup,
            Event::InlineHtml(tag) if tag.starts_with("<br") => self.text.push('\n'),
            Event::Rule => self.end(out)?,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>, out: &mut Out<'_>) -> Result<()> {
        match tag {
            Tag::Heading { level, .. } => {
                self.end(out)?;
                self.heading = Some(depth(*level));
            }
            Tag::List(first) => {
                self.end(out)?;
                self.lists.push(*first);
            }
            Tag::Item => {
                self.end(out)?;
                if let Some(Some(number)) = self.lists.last_mut() {
                    self.text = format!("{number}. ");
                    *number = number.saturating_add(1);
                }
            }
            Tag::MetadataBlock(_) => self.hidden = true,
            Tag::TableCell => self.text.clear(),
            Tag::Paragraph if self.text.ends_with(". ") => {}
            Tag::Paragraph | Tag::BlockQuote(_) | Tag::CodeBlock(_) | Tag::Table(_) | Tag::HtmlBlock => {
                self.end(out)?
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, tag: TagEnd, out: &mut Out<'_>) -> Result<()> {
        match tag {
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text).replace('\n', " ");
                self.cells.push(cell.trim().to_owned());
                Ok(())
            }
            TagEnd::TableRow | TagEnd::TableHead => {
                let cells = std::mem::take(&mut self.cells);
                out.block(Style::Row, &cells.join(" | "))
            }
            TagEnd::HtmlBlock => {
                let markup = std::mem::take(&mut self.markup);
                html::text(&markup, out)
            }
            TagEnd::List(_) => {
                self.end(out)?;
                self.lists.pop();
                Ok(())
            }
            TagEnd::MetadataBlock(_) => {
                self.hidden = false;
                Ok(())
            }
            TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::Item
            | TagEnd::CodeBlock
            | TagEnd::BlockQuote(_) => self.end(out),
            _ => Ok(()),
        }
    }

    /// The block ends; lines inside it are blocks of their own.
    fn end(&mut self, out: &mut Out<'_>) -> Result<()> {
        let text = std::mem::take(&mut self.text);
        let style = self.heading.take().map_or(Style::Paragraph, Style::Heading);
        text.lines().try_for_each(|line| out.block(style, line))
    }
}

fn depth(level: HeadingLevel) -> u8 {
    level as u8
}

#[cfg(test)]
mod tests {
    use crate::foreign::document::blocks;
    use crate::foreign::{Format, Style};

    #[test]
    fn marks_go_and_numbers_stay() {
        let text = "---\ntitle: 甲\n---\n# 样例办法\n\n**第一条** 甲。\n（一）乙；\n\n1. 其一\n2. 其二\n\n- 点\n\n> 引\n\n\
                    | 名 | 数 |\n|---|---|\n| 甲 | 1 |\n\n<p>标签<br>中</p>\n\n    缩进\n";
        let got = blocks(Format::Markdown, text.as_bytes()).unwrap();
        let got: Vec<_> = got.iter().map(|b| (b.style, b.text.as_str())).collect();
        let wanted = [
            (Style::Heading(1), "样例办法"),
            (Style::Paragraph, "第一条 甲。"),
            (Style::Paragraph, "（一）乙；"),
            (Style::Paragraph, "1. 其一"),
            (Style::Paragraph, "2. 其二"),
            (Style::Paragraph, "点"),
            (Style::Paragraph, "引"),
            (Style::Row, "名 | 数"),
            (Style::Row, "甲 | 1"),
            (Style::Paragraph, "标签"),
            (Style::Paragraph, "中"),
            (Style::Paragraph, "缩进"),
        ];
        assert_eq!(got, wanted);
    }
}
