//! Workbooks (xlsx, xls) as rows of text, by calamine.
//!
//! An xlsx is read cell by cell, so that a million rows need the memory of one; an xls (65 536 rows at most) is read
//! whole. Cells are placed by their own reference, which a file may choose freely: columns beyond the bound are left
//! out, rows are counted. What a cell shows is approximated: dates by their number format, numbers with 15 digits, as
//! Excel has them. Of merged cells the first holds the value. Hidden sheets are named, not read.

use std::io::Cursor;

use calamine::{
    Data, ExcelDateTime, ExcelDateTimeType, SheetType, SheetVisible, Xls, XlsError, Xlsx, XlsxError,
};
use calamine::{Reader as _, Sheet};

use super::{Emit, Item, archive};
use crate::base::text::is_direction;
use crate::base::{Error, Result, limits};

/// Whole numbers from here on have lost digits in Excel.
const EXACT: f64 = 1e15;
const DAY_S: f64 = 86_400.0;

/// Reads a workbook of Office 2007 and later.
///
/// # Errors
/// Invalid when it is damaged, locked or beyond a bound; what was emitted before is a part only.
pub(super) fn xlsx(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let archive = archive::open(bytes)?;
    if archive.file_names().flatten().any(|n| n.eq_ignore_ascii_case("xl/workbook.bin")) {
        return Err(Error::invalid("不能读取二进制工作簿（xlsb）。请另存为 xlsx 文件后重试。"));
    }
    drop(archive);
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_error)?;
    let mut rows = Rows::new(emit, book.has_1904_epoch());
    for name in visible(book.sheets_metadata(), &mut rows)? {
        rows.begin(&name)?;
        let mut cells = book.worksheet_cells_reader(&name).map_err(xlsx_error)?;
        loop {
            match cells.next_cell() {
                Ok(Some(cell)) => {
                    let (row, column) = cell.get_position();
                    rows.cell(row, column, cell.get_value().clone().into())?;
                }
                Ok(None) => break,
                // An error value newer than the reader knows (#SPILL!): like the others, empty.
                Err(XlsxError::CellError(_)) => {}
                Err(e) if of_one_cell(&e) => rows.unread += 1,
                Err(e) => return Err(xlsx_error(e)),
            }
        }
        rows.end()?;
    }
    Ok(())
}

/// Reads a workbook of Excel 97–2003.
///
/// # Errors
/// Like [`xlsx`].
pub(super) fn xls(bytes: &[u8], emit: Emit<'_>) -> Result<()> {
    let sealed: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(sealed.len()).any(|w| w == sealed) {
        return Err(locked());
    }
    let mut book = Xls::new(Cursor::new(bytes)).map_err(xls_error)?;
    let mut rows = Rows::new(emit, book.has_1904_epoch());
    for name in visible(book.sheets_metadata(), &mut rows)? {
        rows.begin(&name)?;
        let range = book.worksheet_range(&name).map_err(xls_error)?;
        let (top, left) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            rows.cell(top.saturating_add(row as u32), left.saturating_add(column as u32), value.clone())?;
        }
        rows.end()?;
    }
    Ok(())
}

/// Names of the sheets to read; the others are noted.
fn visible(sheets: &[Sheet], rows: &mut Rows<'_>) -> Result<Vec<String>> {
    if sheets.len() > limits::FOREIGN_SHEETS {
        let most = limits::FOREIGN_SHEETS;
        return Err(Error::invalid(format!("工作簿中的工作表超过 {most} 个。请拆分成几个文件后重试。")));
    }
    let mut names = Vec::new();
    for sheet in sheets {
        let name = short(&sheet.name);
        match (sheet.typ, sheet.visible) {
            (SheetType::WorkSheet, SheetVisible::Visible) => names.push(sheet.name.clone()),
            (SheetType::WorkSheet, _) => {
                rows.note(format!("工作表“{name}”是隐藏的，没有读取。需要时请先在办公软件中取消隐藏。"))?;
            }
            _ => rows.note(format!("“{name}”不是普通工作表，没有读取。"))?,
        }
    }
    Ok(names)
}

/// Gathers cells into rows.
struct Rows<'a> {
    emit: Emit<'a>,
    is_1904: bool,
    count: u64,
    /// Row number and cells of the row under way.
    open: Option<(u32, Vec<String>)>,
    bytes: usize,
    sheet: String,
    /// Cells that the reader could not make sense of.
    unread: u64,
    wide: Places,
    long: Places,
}

impl<'a> Rows<'a> {
    fn new(emit: Emit<'a>, is_1904: bool) -> Self {
        let (wide, long) = (Places::default(), Places::default());
        Self { emit, is_1904, count: 0, open: None, bytes: 0, sheet: String::new(), unread: 0, wide, long }
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        self.sheet = short(name);
        (self.emit)(Item::Sheet(self.sheet.clone()))
    }

    /// Takes one cell; `row` and `column` count from 0.
    fn cell(&mut self, row: u32, column: u32, value: Data) -> Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != row) {
            self.flush()?;
            self.open = Some((row, Vec::new()));
        }
        if matches!(&value, Data::Float(v) if v.fract() == 0.0 && v.abs() >= EXACT) {
            self.long.add(row);
        }
        let text = tidy(&text(value, self.is_1904));
        if text.is_empty() {
            return Ok(());
        }
        let column = column as usize;
        if column >= limits::FOREIGN_COLUMNS {
            self.wide.add(row);
            return Ok(());
        }
        self.bytes += text.len();
        check(u64::from(row) + 1, &text, self.bytes)?;
        if let Some((_, cells)) = &mut self.open {
            if cells.len() <= column {
                cells.resize(column + 1, String::new());
            }
            cells[column] = text;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let Some((row, cells)) = self.open.take() else { return Ok(()) };
        if cells.is_empty() {
            return Ok(());
        }
        count(&mut self.count)?;
        (self.emit)(Item::Row { number: u64::from(row) + 1, cells })
    }

    /// Ends a sheet: its last row, and what the person should know about it.
    fn end(&mut self) -> Result<()> {
        self.flush()?;
        let sheet = std::mem::take(&mut self.sheet);
        if let Some(rows) = std::mem::take(&mut self.wide).words() {
            let most = limits::FOREIGN_COLUMNS;
            self.note(format!("工作表“{sheet}”{rows}在第 {most} 列之后还有内容，没有读取。"))?;
        }
        if let Some(rows) = std::mem::take(&mut self.long).words() {
            self.note(format!(
                "工作表“{sheet}”{rows}有超过 15 位的数字，办公软件已把末几位改成 0。\
                 证件号、账号等请改为文本格式，重新填写后再读取。"
            ))?;
        }
        match std::mem::take(&mut self.unread) {
            0 => Ok(()),
            n => self.note(format!("工作表“{sheet}”有 {n} 个单元格无法识别，按空白处理，请核对。")),
        }
    }

    fn note(&mut self, text: String) -> Result<()> {
        (self.emit)(Item::Note(text))
    }
}

/// Rows about which the same is to be said.
#[derive(Default)]
pub(super) struct Places {
    first: Vec<u64>,
    last: Option<u64>,
    count: u64,
}

impl Places {
    /// Takes a row that counts from 0.
    fn add(&mut self, row: u32) {
        self.add_number(u64::from(row) + 1);
    }

    /// Takes a row by its number; several times in a row count once.
    pub(super) fn add_number(&mut self, number: u64) {
        if self.last.replace(number) != Some(number) {
            self.count += 1;
            if self.first.len() < 10 {
                self.first.push(number);
            }
        }
    }

    /// Such as `第 3、5 行`; none where there are none.
    pub(super) fn words(&self) -> Option<String> {
        let first: Vec<String> = self.first.iter().map(u64::to_string).collect();
        match self.count {
            0 => None,
            n if n > 10 => Some(format!("第 {} 等 {n} 行", first.join("、"))),
            _ => Some(format!("第 {} 行", first.join("、"))),
        }
    }
}

/// Counts a row.
pub(super) fn count(rows: &mut u64) -> Result<()> {
    *rows += 1;
    if *rows > limits::FOREIGN_ROWS {
        let most = limits::FOREIGN_ROWS / 10_000;
        return Err(Error::invalid(format!("表格超过 {most} 万行。请拆分成几个文件后重试。")));
    }
    Ok(())
}

/// Holds a cell and its row to their bounds.
pub(super) fn check(number: u64, cell: &str, row_bytes: usize) -> Result<()> {
    let most = limits::FOREIGN_CELL_CHARS;
    if cell.len() > most && cell.chars().count() > most {
        let most = most / 10_000;
        let words =
            format!("第 {number} 行有超过 {most} 万字的单元格，请检查引号是否成对，改正或删减后重试。");
        return Err(Error::invalid(words));
    }
    if row_bytes > limits::FOREIGN_ROW_BYTES {
        return Err(Error::invalid(format!("第 {number} 行过长，无法读取。请删减或拆分后重试。")));
    }
    Ok(())
}

/// Text of a cell without what no record holds: control characters, and blanks around it.
pub(super) fn tidy(text: &str) -> String {
    let plain = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = plain.chars().filter(|c| (!c.is_control() && !is_direction(*c)) || matches!(c, '\n' | '\t'));
    let kept = kept.collect::<String>();
    kept.trim_matches([' ', '\t', '\n']).to_owned()
}

fn text(value: Data, is_1904: bool) -> String {
    match value {
        Data::String(s) | Data::DurationIso(s) => s,
        Data::Float(v) => number(v),
        Data::Int(v) => v.to_string(),
        Data::Bool(v) => if v { "是" } else { "否" }.to_owned(),
        Data::DateTime(v) => moment(&v, is_1904),
        Data::DateTimeIso(s) => {
            let minutes: String = s.replace('T', " ").chars().take(16).collect();
            minutes.strip_suffix(" 00:00").unwrap_or(&minutes).to_owned()
        }
        _ => String::new(),
    }
}

/// A number with 15 digits, as Excel shows it, without an exponent.
fn number(v: f64) -> String {
    if !v.is_finite() {
        return String::new();
    }
    // Adding zero turns a negative zero into zero.
    let rounded = if v.fract() == 0.0 { v } else { format!("{v:.14e}").parse().unwrap_or(v) } + 0.0;
    rounded.to_string()
}

fn moment(v: &ExcelDateTime, is_1904: bool) -> String {
    let days = v.as_f64();
    if !days.is_finite() || !(0.0..3e6).contains(&days) {
        return number(days);
    }
    // Fractions of a day are never exact: to the second first, then down to the minute.
    let seconds = (days * DAY_S).round();
    let minutes = (seconds / 60.0).floor() as u64;
    if v.is_duration() {
        return format!("{}:{:02}", minutes / 60, minutes % 60);
    }
    let clock = format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    if seconds < DAY_S {
        return clock;
    }
    let day = ExcelDateTime::new((seconds / DAY_S).floor(), ExcelDateTimeType::DateTime, is_1904);
    let (y, m, d, ..) = day.to_ymd_hms_milli();
    if clock == "00:00" { format!("{y:04}-{m:02}-{d:02}") } else { format!("{y:04}-{m:02}-{d:02} {clock}") }
}

/// A name as notes and lists show it.
fn short(name: &str) -> String {
    tidy(name).chars().take(limits::NAME_CHARS).collect()
}

/// Errors after which the next cell can still be read.
fn of_one_cell(e: &XlsxError) -> bool {
    matches!(
        e,
        XlsxError::ParseFloat(_)
            | XlsxError::ParseInt(_)
            | XlsxError::UnexpectedNode(_)
            | XlsxError::Alphanumeric(_)
            | XlsxError::NumericColumn(_)
            | XlsxError::RangeWithoutColumnComponent
            | XlsxError::RangeWithoutRowComponent
            | XlsxError::ColumnNumberOverflow
            | XlsxError::RowNumberOverflow
            | XlsxError::CellTAttribute(_)
            | XlsxError::Unexpected(_)
            | XlsxError::Unrecognized { .. }
    )
}

fn locked() -> Error {
    Error::invalid("工作簿设有打开密码，无法读取。请在办公软件中取消密码，另存后重试。")
}

fn xlsx_error(e: XlsxError) -> Error {
    if matches!(e, XlsxError::Password) { locked() } else { damaged(e) }
}

fn xls_error(e: XlsError) -> Error {
    if matches!(e, XlsError::Password) { locked() } else { damaged(e) }
}

fn damaged(e: impl std::fmt::Display) -> Error {
    Error::invalid("工作簿已损坏或不是工作簿，无法读取。请用办公软件打开，另存为 xlsx 文件后重试。")
        .with_detail(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(v: f64, is_1904: bool) -> String {
        text(Data::DateTime(ExcelDateTime::new(v, ExcelDateTimeType::DateTime, is_1904)), is_1904)
    }

    #[test]
    fn numbers_look_as_excel_shows_them() {
        let shown =
            [1.0, -0.0, 0.1 + 0.2, 13_800_138_000.0, 1e20, 1.101_011_990_010_112_3e17, 2.5e-7, f64::NAN];
        let expected =
            ["1", "0", "0.3", "13800138000", "100000000000000000000", "110101199001011230", "0.00000025", ""];
        assert_eq!(shown.map(number), expected);
    }

    #[test]
    fn dates_by_both_calendars_and_to_the_minute() {
        assert_eq!(date(45_356.0, false), "2024-03-05");
        assert_eq!(date(45_356.0 - 1462.0, true), "2024-03-05");
        assert_eq!(date(45_356.604_166_666_664, false), "2024-03-05 14:30");
        assert_eq!(date(45_356.999_999_99, false), "2024-03-06");
        assert_eq!((date(0.5, false), date(60.0, false)), ("12:00".into(), "1900-02-29".into()));
        assert_eq!((date(-1.0, false), date(1e300, false).len()), ("-1".into(), 301));
        let long = ExcelDateTime::new(1.5, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(text(Data::DateTime(long), false), "36:00");
        assert_eq!(text(Data::DateTimeIso("2024-03-05T00:00:00".into()), false), "2024-03-05");
        assert_eq!(text(Data::DateTimeIso("2024-03-05T14:30:09Z".into()), false), "2024-03-05 14:30");
    }

    #[test]
    fn cells_are_placed_by_their_own_references() {
        let mut items = Vec::new();
        let mut emit = |item| {
            items.push(item);
            Ok(())
        };
        let mut rows = Rows::new(&mut emit, false);
        rows.begin("表").unwrap();
        let cells =
            [(4, 2, "丙"), (4, 0, " 甲\r\n乙\u{0} "), (1, 0, "回头"), (9, 300, "远"), (9, 16_383, "更远")];
        for (row, column, text) in cells {
            rows.cell(row, column, Data::String(text.into())).unwrap();
        }
        rows.cell(7, 0, Data::Float(1.1e17)).unwrap();
        rows.end().unwrap();
        let row =
            |number, cells: &[&str]| Item::Row { number, cells: cells.iter().map(|&c| c.into()).collect() };
        assert_eq!(items[0], Item::Sheet("表".into()));
        assert_eq!(items[1], row(5, &["甲\n乙", "", "丙"]));
        assert_eq!(items[2], row(2, &["回头"]));
        assert_eq!(items[3], row(8, &["110000000000000000"]));
        assert!(matches!(&items[4], Item::Note(n) if n.contains("第 10 行在第 256 列之后")), "{items:?}");
        assert!(matches!(&items[5], Item::Note(n) if n.contains("第 8 行有超过 15 位")) && items.len() == 6);
    }

    #[test]
    fn a_cell_a_row_and_a_table_have_largest_sizes() {
        assert!(check(3, &"字".repeat(limits::FOREIGN_CELL_CHARS), 0).is_ok());
        let long = check(3, &"字".repeat(limits::FOREIGN_CELL_CHARS + 1), 0).unwrap_err();
        assert!(long.public().starts_with("第 3 行"));
        assert!(check(4, "", limits::FOREIGN_ROW_BYTES + 1).unwrap_err().public().starts_with("第 4 行过长"));
        let mut rows = limits::FOREIGN_ROWS - 1;
        assert!(count(&mut rows).is_ok() && count(&mut rows).is_err());
    }
}
