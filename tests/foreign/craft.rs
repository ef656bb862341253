//! Makes archives, workbooks and bytes for the tests, good and bad ones.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(crate) const TYPES: &str = r#"<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="xml" ContentType="application/xml"/></Types>"#;
pub(crate) const RELS: &str = r#"<Relationships>
<Relationship Id="rId1" Type="http://x/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
pub(crate) const BOOK: &str =
    r#"<workbook xmlns:r="r"><sheets><sheet name="表" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
pub(crate) const BOOK_RELS: &str = r#"<Relationships>
<Relationship Id="rId1" Type="http://x/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// The same bytes again and again, so many times.
pub(crate) struct Again {
    unit: Vec<u8>,
    at: usize,
    left: usize,
}

impl Again {
    pub(crate) fn new(unit: Vec<u8>, times: usize) -> Self {
        Self { unit, at: 0, left: times }
    }
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() && self.left > 0 {
            let n = (self.unit.len() - self.at).min(buffer.len() - done);
            buffer[done..done + n].copy_from_slice(&self.unit[self.at..self.at + n]);
            (done, self.at) = (done + n, self.at + n);
            if self.at == self.unit.len() {
                (self.at, self.left) = (0, self.left - 1);
            }
        }
        Ok(done)
    }
}

/// A part of an archive: a name, and bytes that need not fit into memory.
pub(crate) type Part<'a> = (&'a str, Box<dyn Read + 'a>);

pub(crate) fn text<'a>(name: &'a str, text: &'a str) -> Part<'a> {
    (name, Box::new(text.as_bytes()))
}

pub(crate) fn zip(parts: Vec<Part<'_>>) -> Vec<u8> {
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, mut bytes) in parts {
        out.start_file(name, options.compression_level(Some(1)).large_file(false)).unwrap();
        std::io::copy(&mut bytes, &mut out).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// The parts of a workbook but its sheet.
pub(crate) fn frame<'a>() -> Vec<Part<'a>> {
    vec![
        text("[Content_Types].xml", TYPES),
        text("_rels/.rels", RELS),
        text("xl/workbook.xml", BOOK),
        text("xl/_rels/workbook.xml.rels", BOOK_RELS),
    ]
}

/// A workbook with further parts.
pub(crate) fn book_with(parts: Vec<Part<'_>>) -> Vec<u8> {
    zip(frame().into_iter().chain(parts).collect())
}

/// A workbook whose sheet has this in its `sheetData`.
pub(crate) fn book(rows: &str) -> Vec<u8> {
    book_with(vec![text("xl/worksheets/sheet1.xml", &sheet(rows))])
}

pub(crate) fn sheet(rows: &str) -> String {
    format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")
}

/// A workbook whose sheet repeats `unit`.
pub(crate) fn long_book(unit: &str, times: usize) -> Vec<u8> {
    let rows = Again::new(unit.as_bytes().to_vec(), times);
    let open: &[u8] = b"<worksheet><sheetData>";
    let close: &[u8] = b"</sheetData></worksheet>";
    book_with(vec![("xl/worksheets/sheet1.xml", Box::new(open.chain(rows).chain(close)))])
}

/// An archive that holds the same packed bytes several times.
pub(crate) fn copies(archive: &[u8], times: usize) -> Vec<u8> {
    let mut source = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..times {
        out.raw_copy_file_rename(source.by_index_raw(0).unwrap(), format!("xl/media/{n}")).unwrap();
    }
    out.finish().unwrap().into_inner()
}

/// Overwrites the unpacked size of every entry, in both places where an archive tells it.
pub(crate) fn lie(mut archive: Vec<u8>, size: u32) -> Vec<u8> {
    for at in 0..archive.len().saturating_sub(46) {
        let offset = match &archive[at..at + 4] {
            b"PK\x03\x04" => at + 22,
            b"PK\x01\x02" => at + 24,
            _ => continue,
        };
        archive[offset..offset + 4].copy_from_slice(&size.to_le_bytes());
    }
    archive
}

/// A good workbook with all that workbooks have.
pub(crate) fn rich() -> Vec<u8> {
    use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
    let mut book = Workbook::new();
    let day = Format::new().set_num_format("yyyy\"年\"m\"月\"d\"日\"");
    let moment = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let sheet = book.add_worksheet().set_name("信访件").unwrap();
    for (column, head) in (0..).zip(["编号", "收到日期", "登记时间", "人数", "是否署名", "证件号", "公式"])
    {
        sheet.write_string(0, column, head).unwrap();
    }
    sheet.write_string(1, 0, "官渡〔2024〕7号").unwrap();
    sheet.write_datetime_with_format(1, 1, ExcelDateTime::from_ymd(2024, 3, 5).unwrap(), &day).unwrap();
    let at = ExcelDateTime::from_ymd(2024, 3, 5).unwrap().and_hms(14, 30, 9).unwrap();
    sheet.write_datetime_with_format(1, 2, at, &moment).unwrap();
    sheet.write_number(1, 3, 3).unwrap();
    sheet.write_boolean(1, 4, true).unwrap();
    sheet.write_string(1, 5, "110101199001011234").unwrap();
    sheet.write_formula(1, 6, rust_xlsxwriter::Formula::new("=1+1").set_result("2")).unwrap();
    sheet.write_number(3, 3, 0.1 + 0.2).unwrap();
    sheet.write_number(3, 5, 110_101_199_001_011_234_f64).unwrap();
    sheet.merge_range(4, 0, 5, 1, "合并", &Format::new()).unwrap();
    book.add_worksheet().set_name("底稿").unwrap().set_hidden(true).write_string(0, 0, "不读").unwrap();
    book.add_worksheet().set_name("附表").unwrap().write_string(2, 1, "乙").unwrap();
    book.save_to_buffer().unwrap()
}

/// Writes text into bytes of UTF-16.
pub(crate) fn utf16(text: &str, little: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for unit in text.encode_utf16() {
        out.write_all(&if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).unwrap();
    }
    out
}
