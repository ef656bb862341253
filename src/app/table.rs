//! Tables as people have them: lines to paste, with tabs or commas between their cells, or a workbook that is read into
//! such lines by the limited child. What the cells mean is said by whoever asks for the table.

use std::path::Path;

use super::App;
use super::import::desk::PROGRAM;
use crate::base::{Error, Result, limits, text};
use crate::foreign::{Format, Item, Reader};
use crate::records::FileRef;

/// The cells of a line: at least as many as there are columns, and more only where more say something.
pub(super) fn cells(line: &str, columns: usize) -> Vec<String> {
    let tabs = line.contains('\t');
    let split = line.split(|c| if tabs { c == '\t' } else { matches!(c, ',' | '，') });
    let mut cells: Vec<String> = split.map(|cell| cell.trim().to_owned()).collect();
    while cells.len() > columns && cells.last().is_some_and(String::is_empty) {
        cells.pop();
    }
    cells.resize(cells.len().max(columns), String::new());
    cells
}

/// The text with lines of a file: each takes the place of the line whose first cell is the same, the others come after;
/// nothing else is lost.
pub(super) fn merged<'a>(text: &str, lines: impl Iterator<Item = &'a String>) -> String {
    let name = |line: &str| key(&cells(line, 1)[0]);
    let mut all: Vec<String> = text.lines().map(str::to_owned).filter(|l| !l.trim().is_empty()).collect();
    for line in lines {
        let named = Some(name(line)).filter(|n| !n.is_empty());
        match all.iter_mut().find(|own| named.as_ref() == Some(&name(own))) {
            Some(own) => own.clone_from(line),
            None => all.push(line.clone()),
        }
    }
    all.join("\n")
}

/// Words that differ in width or case alone are the same.
pub(super) fn key(words: &str) -> String {
    words.chars().flat_map(text::fold).collect()
}

impl App {
    /// Lines of a table from a workbook or csv file, which stays for its caller to remove; at most `most` are wanted.
    pub fn read_table_file(&self, file: &FileRef, most: usize) -> Result<Vec<String>> {
        let head = self.store.read_blob(file)?.next_chunk()?.unwrap_or_default();
        let format = Format::detect(&file.name, &head[..head.len().min(limits::FORMAT_HEAD_BYTES)]);
        let format = format.filter(|f| f.is_table() && *f != Format::Jsonl);
        let format = format.ok_or_else(|| Error::invalid("请选择 xlsx、xls 或 csv 表格文件。"))?;
        let reader = Reader::start(Path::new(PROGRAM), format, Box::new(self.store.read_blob(file)?))?;
        let mut lines = Vec::new();
        for item in reader {
            let Item::Row { cells, .. } = item? else { continue };
            let plain = |cell: &String| cell.split_whitespace().collect::<Vec<_>>().join(" ");
            lines.push(cells.iter().map(plain).collect::<Vec<_>>().join("\t"));
            if lines.len() > most * 2 {
                return Err(Error::invalid(format!("表格太长，最多 {most} 行。请分开办理。")));
            }
        }
        if lines.is_empty() { Err(Error::invalid("表格中没有内容。")) } else { Ok(lines) }
    }
}
