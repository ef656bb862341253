//! The pipe between the reading child and the server: frames of a length (four bytes, big end first) and one CBOR
//! array.
//!
//! What comes out of the pipe was made by a process that a hostile file may have taken over. So [`read`] counts before
//! it takes memory: bytes of a frame, cells of a row. A pipe that ends without [`Frame::End`] or [`Frame::Failed`] says
//! nothing about what it held; whoever reads frames must not take its rows for the whole file.

use std::io::{ErrorKind, Read, Write};

use minicbor::{Decoder, Encoder};

use super::{Block, Item, Style};
use crate::base::{Error, Result, limits};

/// What comes through the pipe.
pub(super) enum Frame {
    /// Something the reader says.
    Item(Item),
    /// The file was read to its end.
    End,
    /// The file cannot be read; the sentence for the person.
    Failed(String),
}

const SHEET: u8 = 0;
const ROW: u8 = 1;
const BLOCK: u8 = 2;
const BYTES: u8 = 3;
const NOTE: u8 = 4;
const END: u8 = 5;
const FAILED: u8 = 6;
const PART: u8 = 7;

/// Bytes of a picture in one frame.
const PIECE: usize = 64 << 10;

type Encoding = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Writes one item; long bytes as several.
///
/// # Errors
/// Invalid when the item is larger than a frame; I/O when nobody reads any more.
pub(super) fn item(out: &mut dyn Write, item: &Item) -> Result<()> {
    match item {
        Item::Sheet(name) => frame(out, |e| e.array(2)?.u8(SHEET)?.str(name)?.ok()),
        Item::Row { number, cells } => frame(out, |e| {
            e.array(3)?.u8(ROW)?.u64(*number)?.array(cells.len() as u64)?;
            cells.iter().try_for_each(|cell| e.str(cell)?.ok())
        }),
        Item::Part(name) => frame(out, |e| e.array(2)?.u8(PART)?.str(&shorten(name))?.ok()),
        Item::Block(Block { style, text }) => {
            let (style, level) = match style {
                Style::Heading(level) => (0, *level),
                Style::Paragraph => (1, 0),
                Style::Row => (2, 0),
            };
            frame(out, |e| e.array(4)?.u8(BLOCK)?.u8(style)?.u8(level)?.str(text)?.ok())
        }
        Item::Bytes(bytes) => {
            let mut pieces = bytes.chunks(PIECE);
            pieces.try_for_each(|piece| frame(out, |e| e.array(2)?.u8(BYTES)?.bytes(piece)?.ok()))
        }
        Item::Note(text) => frame(out, |e| e.array(2)?.u8(NOTE)?.str(&shorten(text))?.ok()),
    }
}

/// Writes the mark that the file was read to its end.
pub(super) fn end(out: &mut dyn Write) -> Result<()> {
    frame(out, |e| e.array(1)?.u8(END)?.ok())
}

/// Writes why the file cannot be read.
pub(super) fn failed(out: &mut dyn Write, why: &str) -> Result<()> {
    frame(out, |e| e.array(2)?.u8(FAILED)?.str(&shorten(why))?.ok())
}

/// Reads one frame; none where the pipe ends between two. `buffer` is reused.
///
/// # Errors
/// Internal when it is no frame of ours (too large, cut, not CBOR): the child is not to be believed any further.
pub(super) fn read(input: &mut dyn Read, buffer: &mut Vec<u8>) -> Result<Option<Frame>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > limits::FOREIGN_FRAME_BYTES {
        return Err(Error::internal("a frame is too large"));
    }
    buffer.resize(length, 0);
    input.read_exact(buffer)?;
    let mut decoder = Decoder::new(buffer);
    let frame = decode(&mut decoder).map_err(Error::internal)?;
    if decoder.position() != length {
        return Err(Error::internal("a frame goes on after its end"));
    }
    Ok(Some(frame))
}

fn frame(out: &mut dyn Write, fill: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> Encoding) -> Result<()> {
    let mut bytes = vec![0; 4];
    fill(&mut Encoder::new(&mut bytes)).map_err(Error::internal)?;
    let length = bytes.len() - 4;
    if length > limits::FOREIGN_FRAME_BYTES {
        return Err(Error::invalid("文件中有一处内容过长，无法读取。请拆分后重试。"));
    }
    let head = u32::try_from(length).map_err(Error::internal)?.to_be_bytes();
    bytes[..4].copy_from_slice(&head);
    Ok(out.write_all(&bytes)?)
}

fn decode(d: &mut Decoder<'_>) -> Result<Frame, minicbor::decode::Error> {
    let wrong = || minicbor::decode::Error::message("no frame looks like this");
    let length = d.array()?.ok_or_else(wrong)?;
    let tag = d.u8()?;
    Ok(match (tag, length) {
        (SHEET, 2) => Frame::Item(Item::Sheet(shorten(d.str()?))),
        (PART, 2) => Frame::Item(Item::Part(shorten(d.str()?))),
        (ROW, 3) => {
            let number = d.u64()?;
            let count = d.array()?.filter(|n| *n <= limits::FOREIGN_COLUMNS as u64).ok_or_else(wrong)?;
            let cells = (0..count).map(|_| d.str().map(str::to_owned)).collect::<Result<_, _>>()?;
            Frame::Item(Item::Row { number, cells })
        }
        (BLOCK, 4) => {
            let style = match (d.u8()?, d.u8()?) {
                (0, level) => Style::Heading(level),
                (1, 0) => Style::Paragraph,
                (2, 0) => Style::Row,
                _ => return Err(wrong()),
            };
            Frame::Item(Item::Block(Block { style, text: d.str()?.to_owned() }))
        }
        (BYTES, 2) => Frame::Item(Item::Bytes(d.bytes()?.to_vec())),
        (NOTE, 2) => Frame::Item(Item::Note(shorten(d.str()?))),
        (END, 1) => Frame::End,
        (FAILED, 2) => Frame::Failed(shorten(d.str()?)),
        _ => return Err(wrong()),
    })
}

fn shorten(text: &str) -> String {
    text.chars().take(limits::FOREIGN_NOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(bytes: &[u8]) -> Result<Option<Frame>> {
        read(&mut &*bytes, &mut Vec::new())
    }

    #[test]
    fn what_goes_in_comes_out() {
        let block = |style| Item::Block(Block { style, text: "第一条".into() });
        let items = [
            Item::Sheet("信访件".into()),
            Item::Row { number: 1_048_576, cells: vec!["甲".into(), String::new(), "=1+1".into()] },
            Item::Row { number: 1, cells: vec![String::new(); limits::FOREIGN_COLUMNS] },
            block(Style::Heading(3)),
            block(Style::Paragraph),
            block(Style::Row),
            Item::Note("编码按 GBK 读取。".into()),
            Item::Part("第 3 页".into()),
        ];
        for expected in items {
            let mut bytes = Vec::new();
            item(&mut bytes, &expected).unwrap();
            let Some(Frame::Item(read)) = through(&bytes).unwrap() else { panic!("{expected:?}") };
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn long_bytes_come_in_pieces() {
        let picture: Vec<u8> = (0..150_000_u32).map(|n| n as u8).collect();
        let mut bytes = Vec::new();
        item(&mut bytes, &Item::Bytes(picture.clone())).unwrap();
        let (mut input, mut got, mut pieces) = (&*bytes, Vec::new(), 0);
        while let Some(Frame::Item(Item::Bytes(piece))) = read(&mut input, &mut Vec::new()).unwrap() {
            got.extend(piece);
            pieces += 1;
        }
        assert!(got == picture && pieces == 3);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut row = Vec::new();
        let wide = Item::Row { number: 1, cells: vec![String::new(); limits::FOREIGN_COLUMNS + 1] };
        item(&mut row, &wide).unwrap();
        let mut cut = Vec::new();
        item(&mut cut, &Item::Note("说明".into())).unwrap();
        cut.pop();
        let hostile: [&[u8]; 8] = [
            &row,
            &cut,
            &[0xFF; 4],
            &[0, 0, 0, 0],
            &[0, 0, 0, 2, 0x81, 0x09],
            &[0, 0, 0, 3, 0x81, 0x05, 0x00],
            &[0, 0, 0, 2, 0x9F, 0x05],
            &[0, 0, 0, 12, 0x83, 0x01, 0x01, 0x9B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        ];
        for bytes in hostile {
            assert!(through(bytes).is_err(), "{:?}", &bytes[..bytes.len().min(20)]);
        }
        assert!(through(&[]).unwrap().is_none() && through(&[0, 0]).unwrap().is_none());
    }

    #[test]
    fn a_frame_has_a_largest_size() {
        let text = "x".repeat(limits::FOREIGN_FRAME_BYTES);
        let block = Item::Block(Block { style: Style::Paragraph, text });
        assert!(item(&mut Vec::new(), &block).unwrap_err().public().contains("过长"));
    }
}
