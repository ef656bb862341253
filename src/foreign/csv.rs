//! Separated values, as office programs, databases and other systems write them: streamed, never held whole.
//!
//! The bytes go through [`Text`], which finds the encoding, makes every end of a line `\n` and drops control
//! characters; then through the csv crate. The encoding is decided where it begins to matter, at the first byte that is
//! not ASCII, from what follows there. Rows are numbered as a spreadsheet shows them: a quoted cell of three lines is
//! one row, an empty line is one too.

use std::io::Read;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use csv::{ReaderBuilder, StringRecord, Terminator};
use encoding_rs::{BIG5, Decoder, DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::table::{Places, check, count, tidy};
use super::{Emit, Item};
use crate::base::{Error, Result, limits};

/// Bytes read at once, and bytes from which the encoding and the separator are guessed.
const WINDOW: usize = 64 << 10;
/// What the csv crate may take beyond a row that is as long as a row may be.
const AHEAD: usize = 2 * WINDOW;
/// Rows from which the separator is guessed.
const SAMPLE: usize = 20;
const SEPARATORS: [char; 3] = [',', '\t', ';'];
/// Stands after the last row: only an open quotation mark makes it a part of a cell, as [`Text`] lets no other through.
const LAST: &str = "\u{1}";

/// Reads the rows of a text table.
///
/// # Errors
/// Invalid when it is empty, a quotation mark stays open, or a bound is passed; the sentence names the row.
pub(super) fn read(input: &mut dyn Read, emit: Emit<'_>) -> Result<()> {
    let mut text = Text::new(input);
    text.prepare()?;
    emit(Item::Sheet(String::new()))?;
    let (separator, mut above) = separator(&mut text);
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator as u8).terminator(Terminator::Any(b'\n'));
    let mut table = builder.buffer_capacity(WINDOW).from_reader(text);
    let mut record = StringRecord::new();
    let (mut rows, mut remarks) = (0, Remarks::default());
    loop {
        table.get_mut().budget = limits::FOREIGN_ROW_BYTES + AHEAD;
        let next = (table.position().line() + above.0).saturating_sub(above.1);
        if !table.read_record(&mut record).map_err(|e| broken(next, e))? || &record == [LAST].as_slice() {
            break;
        }
        // Lines inside of cells are none of the spreadsheet's rows.
        above.1 += record.iter().map(|cell| cell.matches('\n').count() as u64).sum::<u64>();
        let number = (table.position().line() + above.0).saturating_sub(above.1 + 1);
        if record.iter().any(|cell| cell.contains(LAST)) {
            // No end of a line closed this one.
            let number = number + 1;
            return Err(Error::invalid(format!(
                "第 {number} 行的引号没有成对，无法分清之后的内容。请改正后重试。"
            )));
        }
        let cells = cells(number, &record, &mut remarks)?;
        if !cells.is_empty() {
            count(&mut rows)?;
            emit(Item::Row { number, cells })?;
        }
    }
    remarks.say(table.get_ref(), emit)
}

/// The cells of a record, without empty ones at the end.
fn cells(number: u64, record: &StringRecord, remarks: &mut Remarks) -> Result<Vec<String>> {
    let mut cells: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (column, raw) in record.iter().enumerate() {
        let cell = tidy(without_formula(raw));
        if cell.is_empty() {
            continue;
        }
        if column >= limits::FOREIGN_COLUMNS {
            remarks.wide.add_number(number);
            continue;
        }
        if cell.contains('\u{FFFD}') {
            remarks.replaced.add_number(number);
        }
        if is_long_number(&cell) {
            remarks.long.add_number(number);
        }
        bytes += cell.len();
        check(number, &cell, bytes)?;
        cells.resize(column, String::new());
        cells.push(cell);
    }
    Ok(cells)
}

/// What stands in `="0012"`, the way other systems keep Excel from eating zeros.
fn without_formula(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix("=\"").and_then(|c| c.strip_suffix('"')).filter(|c| !c.contains('"')).unwrap_or(cell)
}

/// Whether this was a long number before Excel saved it, such as `1.10101E+17`.
fn is_long_number(cell: &str) -> bool {
    let Some((digits, power)) = cell.split_once(['E', 'e']) else { return false };
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok();
    decimal
        && power.strip_prefix('+').and_then(|p| p.parse::<u8>().ok()).is_some_and(|p| (10..30).contains(&p))
}

/// The separator, and the lines above the table that the csv crate does not see, and those that are no rows.
fn separator(text: &mut Text<'_>) -> (char, (u64, u64)) {
    let sample = text.waiting();
    let named = sample.strip_prefix("sep=").and_then(|rest| rest.chars().next());
    if let Some(c) = named.filter(|c| c.is_ascii_graphic() || *c == '\t') {
        let line = sample.find('\n').map_or(sample.len(), |n| n + 1);
        text.at += line;
        return (c, (1, 0));
    }
    let mut lines = vec![[0_u32; SEPARATORS.len()]];
    let mut quoted = false;
    for c in sample.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted && lines.len() == SAMPLE => break,
            '\n' if !quoted => lines.push(Default::default()),
            _ if !quoted => {
                if let (Some(at), Some(line)) = (SEPARATORS.iter().position(|s| *s == c), lines.last_mut()) {
                    line[at] += 1;
                }
            }
            _ => {}
        }
    }
    let score = |at: usize| {
        let same = lines.iter().filter(|l| l[at] > 0 && l[at] == lines[0][at]).count();
        (same, lines.iter().map(|l| l[at]).sum::<u32>())
    };
    // The first of equals: the comma.
    let best = (0..SEPARATORS.len()).rev().max_by_key(|at| score(*at));
    (best.map_or(',', |at| SEPARATORS[at]), (0, 0))
}

fn broken(number: u64, e: csv::Error) -> Error {
    match e.into_kind() {
        csv::ErrorKind::Io(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
            Error::invalid(format!("第 {number} 行过长，无法读取。请检查引号是否成对，改正或拆分后重试。"))
        }
        csv::ErrorKind::Io(e) => Error::from(e),
        other => Error::internal(format!("{other:?}")),
    }
}

/// What the person should know once the table is read.
#[derive(Default)]
struct Remarks {
    wide: Places,
    replaced: Places,
    long: Places,
}

impl Remarks {
    fn say(&self, text: &Text<'_>, emit: Emit<'_>) -> Result<()> {
        let mut note = |words: String| emit(Item::Note(words));
        match text.encoding() {
            Some(e) if e == UTF_8 => {}
            // GB18030 holds all of GBK, which is the name that people know.
            Some(e) => note(format!("编码按 {} 读取。", if e == GB18030 { "GBK" } else { e.name() }))?,
            None => {}
        }
        if let Some(rows) = self.replaced.words() {
            note(format!("{rows}有无法识别的字符，已用“\u{FFFD}”代替，请核对原文件的编码。"))?;
        }
        if let Some(rows) = self.wide.words() {
            note(format!("{rows}在第 {} 列之后还有内容，没有读取。", limits::FOREIGN_COLUMNS))?;
        }
        if let Some(rows) = self.long.words() {
            note(format!("{rows}有科学计数法的长数字，证件号、账号等可能已被办公软件改坏，请核对。"))?;
        }
        if text.dropped {
            note("文件含有不可见的控制字符，已去掉。".to_owned())?;
        }
        Ok(())
    }
}

/// The text of a file, piece by piece.
struct Text<'a> {
    input: &'a mut dyn Read,
    /// None while everything was ASCII.
    decoder: Option<Decoder>,
    /// Text not taken yet, from `at` on.
    out: String,
    at: usize,
    after_return: bool,
    dropped: bool,
    ended: bool,
    /// Bytes that may be taken before the next row must have begun.
    budget: usize,
}

impl<'a> Text<'a> {
    fn new(input: &'a mut dyn Read) -> Self {
        Self {
            input,
            decoder: None,
            out: String::new(),
            at: 0,
            after_return: false,
            dropped: false,
            ended: false,
            budget: usize::MAX,
        }
    }

    fn encoding(&self) -> Option<&'static Encoding> {
        self.decoder.as_ref().map(Decoder::encoding)
    }

    /// Text not taken yet, while no character was taken in part.
    fn waiting(&self) -> &str {
        self.out.get(self.at..).unwrap_or_default()
    }

    /// Reads the first piece; an empty file is an error.
    fn prepare(&mut self) -> Result<()> {
        let head = self.piece(WINDOW)?;
        if head.is_empty() {
            return Err(Error::invalid("文件是空的。请检查后重新选择文件。"));
        }
        if let Some((encoding, _)) = Encoding::for_bom(&head) {
            self.decoder = Some(encoding.new_decoder_with_bom_removal());
        } else if let Some(encoding) = unmarked_utf16(&head) {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        self.take(head)?;
        Ok(())
    }

    /// Up to so many bytes of the file; fewer only at its end.
    fn piece(&mut self, size: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size);
        Read::take(&mut *self.input, size as u64).read_to_end(&mut bytes)?;
        self.ended |= bytes.len() < size;
        Ok(bytes)
    }

    /// Decodes the next bytes of the file.
    fn take(&mut self, mut bytes: Vec<u8>) -> std::io::Result<()> {
        if self.decoder.is_none() {
            let plain = Encoding::ascii_valid_up_to(&bytes);
            let rest = bytes.split_off(plain);
            self.pass(&String::from_utf8_lossy(&bytes));
            bytes = rest;
            if !bytes.is_empty() {
                let more = self.piece(WINDOW.saturating_sub(bytes.len()))?;
                bytes.extend(more);
                self.decoder = Some(guess(&bytes, self.ended).new_decoder_without_bom_handling());
            }
        }
        if let Some(decoder) = &mut self.decoder {
            let size = decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 4);
            let mut text = String::with_capacity(size);
            let _whole = decoder.decode_to_string(&bytes, &mut text, self.ended);
            self.pass(&text);
        }
        if self.ended {
            self.out.push('\n');
            self.out.push_str(LAST);
            self.out.push('\n');
        }
        Ok(())
    }

    /// Takes decoded text: one kind of line end, no control characters.
    fn pass(&mut self, text: &str) {
        self.out.drain(..self.at);
        self.at = 0;
        for c in text.chars() {
            match c {
                '\n' if self.after_return => {}
                '\n' | '\r' => self.out.push('\n'),
                '\t' => self.out.push(c),
                _ if c.is_control() => self.dropped = true,
                _ => self.out.push(c),
            }
            self.after_return = c == '\r';
        }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.out.len() && !self.ended {
            let bytes = self.piece(WINDOW)?;
            self.take(bytes)?;
        }
        let waiting = self.out.as_bytes().get(self.at..).unwrap_or_default();
        let n = waiting.len().min(buffer.len());
        if n > self.budget {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.budget -= n;
        buffer[..n].copy_from_slice(&waiting[..n]);
        self.at += n;
        Ok(n)
    }
}

/// UTF-16 without its mark: half of the bytes of Western text, separators and digits are zero.
fn unmarked_utf16(head: &[u8]) -> Option<&'static Encoding> {
    let head = &head[..head.len().min(1 << 10)];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, many) = (zeros(0), zeros(1), head.len() / 16 + 2);
    match () {
        () if odd >= many && even * 8 <= odd => Some(UTF_16LE),
        () if even >= many && odd * 8 <= even => Some(UTF_16BE),
        () => None,
    }
}

/// The encoding of bytes of which the first is not ASCII: UTF-8 where it fits; else what frequencies say, as far as
/// the bytes are possible in it; else what leaves fewer bytes unread.
fn guess(bytes: &[u8], last: bool) -> &'static Encoding {
    if strictly(UTF_8, bytes, last) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, last);
    let likely = detector.guess(Some(b"cn"), Utf8Detection::Deny);
    if likely == BIG5 && strictly(BIG5, bytes, last) {
        return BIG5;
    }
    if likely == GBK || likely == GB18030 || strictly(GB18030, bytes, last) {
        let lost = |e: &'static Encoding| {
            let (text, _) = e.decode_without_bom_handling(bytes);
            text.matches('\u{FFFD}').count()
        };
        return if lost(UTF_8) < lost(GB18030) { UTF_8 } else { GB18030 };
    }
    UTF_8
}

/// Whether bytes are possible in an encoding; the last character may be cut unless it is the last of the file.
fn strictly(encoding: &'static Encoding, bytes: &[u8], last: bool) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let Some(size) = decoder.max_utf8_buffer_length_without_replacement(bytes.len()) else { return false };
    let mut text = String::with_capacity(size);
    let (outcome, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, last);
    outcome == DecoderResult::InputEmpty
}
