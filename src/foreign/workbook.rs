//! Writes a workbook for office programs.
//!
//! Every cell is a text cell. What petitioners or other offices wrote may begin with `=`, `+`, `-` or `@`; as text it
//! is shown and never worked out. Ids and telephone numbers keep their digits for the same reason. The file is made in
//! memory alone, and the same rows make the same bytes.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, XlsxError};

use crate::base::{Error, Result, limits};

/// Widths of columns, in characters of Western text.
const NARROW: usize = 8;
const WIDE: usize = 60;
/// What a cell that was cut ends with.
const CUT: &str = "…（内容过长，已截断）";

/// Writes a sheet: heads in the first row, which stays in view, and the rows below them. Columns are as wide as their
/// longest line, within bounds. Characters that no workbook holds are left out; a cell longer than office programs can
/// hold is cut, and says so.
///
/// # Errors
/// Invalid when there are more rows than a sheet holds.
pub fn workbook(heads: &[String], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut book = Workbook::new();
    let undated = ExcelDateTime::from_ymd(1980, 1, 1).map_err(internal)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&undated));
    let sheet = book.add_worksheet();
    let mut widths: Vec<usize> = Vec::new();
    let bold = Format::new().set_bold();
    for (number, cells) in (0..).zip(std::iter::once(heads.to_vec()).chain(rows)) {
        if number >= limits::WORKBOOK_ROWS {
            return Err(Error::invalid("行数超过一个工作表能容纳的上限（1048576 行）。请缩小范围后重试。"));
        }
        for (column, cell) in (0..).zip(&cells) {
            let text = holdable(cell);
            let at = usize::from(column);
            if widths.len() <= at {
                widths.resize(at + 1, NARROW);
            }
            widths[at] = widths[at].max(width(&text)).min(WIDE);
            match number {
                0 => sheet.write_string_with_format(number, column, text, &bold),
                _ => sheet.write_string(number, column, text),
            }
            .map_err(internal)?;
        }
    }
    for (column, width) in (0..).zip(widths) {
        sheet.set_column_width(column, width as f64 + 2.0).map_err(internal)?;
    }
    sheet.set_freeze_panes(1, 0).map_err(internal)?;
    book.save_to_buffer().map_err(internal)
}

/// Text as a cell can hold it.
fn holdable(text: &str) -> String {
    let fits =
        |c: &char| matches!(c, '\t' | '\n') || !(c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}'));
    let kept: String = text.chars().filter(fits).collect();
    if kept.encode_utf16().count() <= limits::WORKBOOK_CELL_UNITS {
        return kept;
    }
    let most = limits::WORKBOOK_CELL_UNITS - CUT.encode_utf16().count();
    let mut units = 0;
    let begin = kept.chars().take_while(|c| {
        units += c.len_utf16();
        units <= most
    });
    begin.chain(CUT.chars()).collect()
}

/// Width of the longest line, where a Chinese character counts two.
fn width(text: &str) -> usize {
    let line = |l: &str| l.chars().take(WIDE).map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum();
    text.lines().map(line).max().unwrap_or(0)
}

fn internal(e: XlsxError) -> Error {
    Error::internal(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_what_it_can_and_says_what_it_cannot() {
        assert_eq!(holdable("=1+1\u{0}\u{7}\r\n二\u{FFFF}"), "=1+1\n二");
        let fits = "字".repeat(limits::WORKBOOK_CELL_UNITS);
        assert!(holdable(&fits) == fits);
        let cut = holdable(&"𠀀".repeat(limits::WORKBOOK_CELL_UNITS));
        assert!(cut.ends_with(CUT) && cut.encode_utf16().count() <= limits::WORKBOOK_CELL_UNITS);
        assert_eq!((width("检举\nabcde"), width("")), (5, 0));
    }

    #[test]
    fn the_same_rows_make_the_same_bytes() {
        let make =
            || workbook(&["编号".into()], std::iter::once(vec!["=cmd|' /C calc'!A0".to_owned()])).unwrap();
        assert!(make() == make());
    }
}
