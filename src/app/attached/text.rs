//! The text of one attachment: its parts with the names of their places, and what became of the rest.
//!
//! What must hold: it is bounded before it is kept, whatever the reading child says. Bytes: `data-format/store.md`.

use crate::base::{Error, ErrorKind, Result, limits};
use crate::foreign::Item;
use crate::records::{Fields, FileRef, Value};
use crate::store::Snapshot;

/// Tags of what is kept; they are stored.
mod tag {
    /// 0 nothing to read, 1 read, 2 could not be read.
    pub(super) const OUTCOME: u16 = 1;
    /// Why it is not read, or not all of it.
    pub(super) const NOTE: u16 = 2;
    /// Parts, a row each.
    pub(super) const PARTS: u16 = 3;
    /// It has pictures whose text nobody has recognised yet.
    pub(super) const UNSEEN: u16 = 4;
    /// Name of the place.
    pub(super) const PLACE: u16 = 10;
    /// Text of the part.
    pub(super) const TEXT: u16 = 11;
    /// The text was recognised in a picture.
    pub(super) const OCR: u16 = 12;
}

/// What became of an attachment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A format without text.
    #[default]
    Nothing,
    /// Its text was read.
    Read,
    /// It could not be read.
    Failed,
}

/// A page, a sheet, or the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// What people call it; empty for the whole.
    pub(super) place: String,
    /// Its text.
    pub(super) text: String,
    /// It was recognised in a picture.
    pub(super) ocr: bool,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// What became of it.
    pub(super) outcome: Outcome,
    /// Why it was not read, or not all of it.
    pub(super) note: String,
    /// Parts that have text.
    pub(super) parts: Vec<Part>,
    /// It has pictures whose text nobody has recognised yet.
    pub(super) unseen: bool,
}

impl Text {
    /// Nothing was read, and why.
    pub(super) fn failed(note: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, note: note.into(), ..Self::default() }
    }

    /// Takes what a reader says, as far as it is searched. `stopped` breaks it off.
    ///
    /// # Errors
    /// `Busy` when it was broken off; what keeps a reader from reading at all.
    pub(super) fn gather(items: impl Iterator<Item = Result<Item>>, stopped: &dyn Fn() -> bool) -> Result<Self> {
        let mut said = Self { outcome: Outcome::Read, ..Self::default() };
        let mut left = limits::ATTACHED_CHARS;
        for item in items {
            if stopped() {
                return Err(Error::new(ErrorKind::Busy, "服务正在停止，附件文字下次再读。"));
            }
            let line = match item {
                Ok(Item::Part(place)) => {
                    said.begin(place);
                    continue;
                }
                Ok(Item::Sheet(name)) => {
                    said.begin(if name.is_empty() { name } else { format!("工作表“{name}”") });
                    continue;
                }
                Ok(Item::Row { cells, .. }) => cells.join(" | "),
                Ok(Item::Block(block)) => block.text,
                Ok(Item::Note(_) | Item::Bytes(_)) => continue,
                Err(e) if e.kind() == ErrorKind::Invalid => {
                    e.public().clone_into(&mut said.note);
                    break;
                }
                Err(e) => return Err(e),
            };
            let cut = line.char_indices().nth(left).map(|(at, _)| at);
            said.add(&line[..cut.unwrap_or(line.len())]);
            left -= line.chars().take(left).count();
            if cut.is_some() || left == 0 {
                said.note = format!("文字过多，只能检索前 {} 万字", limits::ATTACHED_CHARS / 10_000);
                break;
            }
        }
        // A page without text is a picture, or empty.
        said.unseen = said.parts.iter().any(|p| p.text.trim().is_empty() && p.place.starts_with("第 "));
        said.parts.retain(|p| !p.text.trim().is_empty());
        if said.parts.is_empty() && !said.note.is_empty() {
            said.outcome = Outcome::Failed;
        }
        Ok(said)
    }

    fn begin(&mut self, place: String) {
        // What stands in parts beyond the bound stands in the last one.
        if self.parts.len() < limits::ATTACHED_PARTS {
            self.parts.push(Part { place, ..Part::default() });
        }
    }

    fn add(&mut self, line: &str) {
        if self.parts.is_empty() {
            self.begin(String::new());
        }
        if let Some(part) = self.parts.last_mut() {
            part.text.push_str(line);
            part.text.push('\n');
        }
    }

    /// Adds what was recognised, by place, in the order of pages; from now on everything was looked at.
    pub(super) fn recognised(&mut self, found: Vec<(String, String)>) {
        let mut left = limits::ATTACHED_CHARS.saturating_sub(self.chars());
        for (place, text) in found.into_iter().filter(|(_, text)| !text.trim().is_empty()) {
            // Recognition sets blanks between characters, which search passes over and people do not want.
            let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
            let text: String = lines.flat_map(|l| [l, "\n"]).collect::<String>().chars().take(left).collect();
            left -= text.chars().count();
            self.parts.push(Part { place, text, ocr: true });
        }
        self.parts.retain(|p| !p.text.is_empty());
        let digit = |n: u64, d: u32| n.saturating_mul(10).saturating_add(u64::from(d));
        self.parts.sort_by_key(|p| p.place.chars().filter_map(|c| c.to_digit(10)).fold(0, digit));
        self.unseen = false;
        if !self.parts.is_empty() {
            self.outcome = Outcome::Read;
        }
    }

    /// What is kept beside an attachment; `None` when it was not read yet.
    pub(super) fn beside(snapshot: &Snapshot, file: &FileRef) -> Result<Option<Self>> {
        // What does not read is read again from the attachment.
        Ok(snapshot.beside(file)?.and_then(|bytes| Self::decode(&bytes)))
    }

    /// Its characters.
    pub(super) fn chars(&self) -> usize {
        self.parts.iter().map(|p| p.text.chars().count()).sum()
    }

    /// All of it.
    pub(super) fn whole(&self) -> String {
        self.parts.iter().map(|p| p.text.as_str()).collect()
    }

    /// What the record says of it.
    pub(super) fn words(&self) -> String {
        match self.outcome {
            Outcome::Nothing => String::new(),
            Outcome::Failed => format!("附件文字未能读取：{}", self.note),
            Outcome::Read if self.parts.is_empty() => "没有文字".to_owned(),
            Outcome::Read => {
                let ocr = if self.parts.iter().any(|p| p.ocr) { "（OCR 识别，可能有误）" } else { "" };
                let less = if self.note.is_empty() { String::new() } else { format!("，但不完整：{}", self.note) };
                format!("文字可检索{ocr}{less}")
            }
        }
    }

    /// The bytes that are kept.
    pub(super) fn encode(&self) -> Vec<u8> {
        let rows = self.parts.iter().map(|p| {
            let row = Fields::default().with_text(tag::PLACE, p.place.as_str()).with_text(tag::TEXT, p.text.as_str());
            if p.ocr { row.with(tag::OCR, Value::Flag(true)) } else { row }
        });
        let outcome = match self.outcome {
            Outcome::Nothing => 0,
            Outcome::Read => 1,
            Outcome::Failed => 2,
        };
        let fields = Fields::default().with(tag::OUTCOME, Value::Int(outcome)).with_text(tag::NOTE, self.note.as_str());
        let fields = fields.with(tag::PARTS, Value::Rows(rows.collect()));
        if self.unseen { fields.with(tag::UNSEEN, Value::Flag(true)).encode() } else { fields.encode() }
    }

    /// Reads them.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::decode(bytes).ok()?;
        let outcome = match fields.int(tag::OUTCOME) {
            0 => Outcome::Nothing,
            1 => Outcome::Read,
            2 => Outcome::Failed,
            _ => return None,
        };
        let part = |row: &Fields| Part {
            place: row.text(tag::PLACE).to_owned(),
            text: row.text(tag::TEXT).to_owned(),
            ocr: row.flag(tag::OCR),
        };
        let parts = fields.rows(tag::PARTS).iter().map(part).collect();
        Some(Self { outcome, note: fields.text(tag::NOTE).to_owned(), parts, unseen: fields.flag(tag::UNSEEN) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::{Block, Style};

    fn line(text: &str) -> Result<Item> {
        Ok(Item::Block(Block { style: Style::Paragraph, text: text.to_owned() }))
    }

    fn gathered(items: Vec<Result<Item>>) -> Text {
        Text::gather(items.into_iter(), &|| false).unwrap()
    }

    #[test]
    fn what_a_reader_says_is_kept_by_its_places() {
        let text = gathered(vec![
            Ok(Item::Part("第 1 页".into())),
            Ok(Item::Part("第 2 页".into())),
            line("甲"),
            line("乙"),
            Ok(Item::Sheet("名册".into())),
            Ok(Item::Row { number: 1, cells: vec!["丙".into(), "丁".into()] }),
        ]);
        let places: Vec<_> = text.parts.iter().map(|p| (p.place.as_str(), p.text.as_str())).collect();
        assert_eq!(places, [("第 2 页", "甲\n乙\n"), ("工作表“名册”", "丙 | 丁\n")]);
        assert_eq!((Text::decode(&text.encode()), text.words().as_str()), (Some(text.clone()), "文字可检索"));
        assert_eq!(Text::decode(b"nonsense"), None);
    }

    #[test]
    fn what_was_recognised_stands_among_its_pages() {
        let mut text = gathered(vec![
            Ok(Item::Part("第 2 页".into())),
            line("乙"),
            Ok(Item::Part("第 10 页".into())),
            Ok(Item::Part("第 11 页".into())),
        ]);
        assert!(text.unseen && Text::decode(&text.encode()).is_some_and(|t| t.unseen));
        text.recognised(vec![("第 11 页".into(), " 丁 \n\n 戊".into()), ("第 10 页".into(), " \n".into())]);
        let places: Vec<_> = text.parts.iter().map(|p| (p.place.as_str(), p.text.as_str(), p.ocr)).collect();
        assert_eq!(places, [("第 2 页", "乙\n", false), ("第 11 页", "丁\n戊\n", true)]);
        assert_eq!(Text::decode(&text.encode()), Some(text.clone()));
        assert!(!text.unseen && text.words().contains("OCR"));
    }

    #[test]
    fn what_breaks_off_or_goes_on_for_ever_is_said() {
        let broken = || Err(Error::invalid("文件已损坏。"));
        let text = gathered(vec![broken()]);
        assert_eq!((text.outcome, text.words().as_str()), (Outcome::Failed, "附件文字未能读取：文件已损坏。"));
        let text = gathered(vec![line("甲"), broken()]);
        assert!(text.outcome == Outcome::Read && text.words().contains("不完整：文件已损坏"), "{text:?}");
        let long = "字".repeat(limits::ATTACHED_CHARS - 1);
        let text = gathered(vec![line(&long), line("甲乙"), line("丙")]);
        assert!(text.whole().ends_with("字\n甲\n") && text.words().contains("只能检索前 200 万字"));
        assert!(text.encode().len() < limits::ATTACHED_TEXT_BYTES);
        let many = (0..=limits::ATTACHED_PARTS).flat_map(|n| [Ok(Item::Part(n.to_string())), line("甲")]);
        assert_eq!(gathered(many.collect()).parts.len(), limits::ATTACHED_PARTS);
        assert!(Text::gather(vec![line("甲")].into_iter(), &|| true).is_err_and(|e| e.kind() == ErrorKind::Busy));
        assert_eq!(gathered(Vec::new()).words(), "没有文字");
    }
}
