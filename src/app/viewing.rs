//! Attachments looked at in the page, so that plain copies need not lie in download folders. What a file is, its first
//! bytes say, never its name: pictures of six formats and PDF. Everything else stays a download.

use std::path::Path;

use super::import::desk::PROGRAM;
use super::{Actor, App};
use crate::app::record::before_files;
use crate::base::{Error, RecordId, Result, limits};
use crate::foreign::{Format, Item, Reader};
use crate::records::{FileRef, Kind, Record, act};
use crate::store::BlobReader;

/// A format that browsers show, by the first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF.
    Gif,
    /// WebP.
    Webp,
    /// BMP.
    Bmp,
    /// TIFF, as scanners make it.
    Tiff,
    /// PDF.
    Pdf,
}

impl Look {
    /// What a file that begins with these bytes is (<https://mimesniff.spec.whatwg.org/>); formats that can carry
    /// markup or script of a page, like SVG and HTML, are none of them.
    pub fn of(first: &[u8]) -> Option<Self> {
        let starts = |magic: &[u8]| first.starts_with(magic);
        match () {
            () if starts(b"\x89PNG\r\n\x1a\n") => Some(Self::Png),
            () if starts(b"\xff\xd8\xff") => Some(Self::Jpeg),
            () if starts(b"GIF87a") || starts(b"GIF89a") => Some(Self::Gif),
            () if starts(b"RIFF") && first.get(8..14) == Some(b"WEBPVP") => Some(Self::Webp),
            // Two letters are little: the header behind them has one of its known lengths.
            () if starts(b"BM") && first.get(14..18).is_some_and(is_bitmap_header) => Some(Self::Bmp),
            () if starts(b"II*\0") || starts(b"MM\0*") => Some(Self::Tiff),
            () if starts(b"%PDF-") => Some(Self::Pdf),
            () => None,
        }
    }

    /// The media type it is sent with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Pdf => "application/pdf",
        }
    }

    /// A picture, not a document.
    pub fn is_picture(self) -> bool {
        self != Self::Pdf
    }
}

/// Ends of names that claim one of these formats.
const CLAIMS: [(&str, Look); 9] = [
    ("png", Look::Png),
    ("jpg", Look::Jpeg),
    ("jpeg", Look::Jpeg),
    ("gif", Look::Gif),
    ("webp", Look::Webp),
    ("bmp", Look::Bmp),
    ("tif", Look::Tiff),
    ("tiff", Look::Tiff),
    ("pdf", Look::Pdf),
];
/// Ends of names that desktops run when somebody opens them.
const RUN: [&str; 16] = [
    "bat", "cmd", "com", "cpl", "exe", "hta", "jar", "js", "jse", "lnk", "msi", "ps1", "scr", "sh", "vbs", "wsf",
];

/// What is to be said beside an attachment before somebody opens it elsewhere: its name runs, or belies its bytes.
pub fn warning(name: &str, look: Option<Look>) -> Option<&'static str> {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase();
    let claimed = CLAIMS.iter().find(|(claim, _)| *claim == end).map(|(_, look)| *look);
    match () {
        () if RUN.contains(&end.as_str()) => Some("程序或脚本，不要直接打开"),
        () if claimed != look => Some("内容与扩展名不符，打开前请核实"),
        () => None,
    }
}

fn is_bitmap_header(length: &[u8]) -> bool {
    matches!(length, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
}

/// An attachment, and what it is where it can be looked at.
pub type Looked = (FileRef, Option<Look>);

/// An attachment as it is shown.
pub struct Shown {
    /// Its name and size.
    pub file: FileRef,
    /// What it is.
    pub look: Look,
    /// Its bytes, made anew: nothing else that stood in the file is in them.
    pub content: Vec<u8>,
}

impl App {
    /// What each attachment is; nothing for what cannot be looked at in the page, or cannot be read.
    pub(super) fn looks(&self, files: &[FileRef]) -> Vec<Option<Look>> {
        files.iter().map(|file| self.look(file).ok().flatten()).collect()
    }

    fn look(&self, file: &FileRef) -> Result<Option<Look>> {
        Ok(self.store.read_blob(file)?.next_chunk()?.and_then(|first| Look::of(&first)))
    }

    /// The attachments of a record and what each is, for the page around one of them.
    pub fn viewing(&self, actor: &Actor, kind: &'static Kind, id: RecordId) -> Result<(Record, Vec<Looked>)> {
        let record = self.visible(&self.store.read()?, actor, kind, id)?;
        self.answer_for(actor, act::READ, kind, std::slice::from_ref(&record))?;
        let files = before_files(kind, &record);
        let looks = self.looks(&files);
        Ok((record, files.into_iter().zip(looks).collect()))
    }

    /// An attachment to look at, by its place in the list; what is not recognised is denied here and stays a download.
    pub fn shown_attachment(
        &self,
        actor: &Actor,
        kind: &'static Kind,
        id: RecordId,
        place: usize,
    ) -> Result<Shown> {
        let record = self.visible(&self.store.read()?, actor, kind, id)?;
        let file = before_files(kind, &record).get(place).cloned().ok_or_else(Error::denied)?;
        let look = self.look(&file)?.ok_or_else(Error::denied)?;
        self.answer_for(actor, act::VIEW, kind, std::slice::from_ref(&record))?;
        let reader = self.store.read_blob(&file)?;
        prepared(file, look, reader)
    }
}

/// What leaves the house of an attachment that is looked at, made anew by a child: a picture drawn again, so that no
/// browser decodes what a stranger made and no words within the file (places, names) go along; a document written
/// again without anything that acts, as browsers run the scripts of documents.
fn prepared(file: FileRef, look: Look, reader: BlobReader) -> Result<Shown> {
    let (format, most) = match look {
        Look::Pdf => (Format::PdfView, limits::DOCUMENT_VIEW_BYTES),
        _ => (Format::Image, limits::PICTURE_BYTES),
    };
    let mut drawn = Vec::new();
    for item in Reader::start(Path::new(PROGRAM), format, Box::new(reader))? {
        if let Item::Bytes(piece) = item? {
            drawn.extend_from_slice(&piece);
        }
        if drawn.len() > most {
            return Err(Error::invalid("文件过大，不能在页面中查看，请下载后查看。"));
        }
    }
    let look = Look::of(&drawn).ok_or_else(|| Error::invalid("图片无法读取，请下载后查看。"))?;
    Ok(Shown { file, look, content: drawn })
}

#[cfg(test)]
mod tests {
    use super::Look;

    #[test]
    fn a_name_that_runs_or_belies_its_bytes_is_warned_of() {
        let odd = Some("内容与扩展名不符，打开前请核实");
        for (name, look, said) in [
            ("信.png", Some(Look::Png), None),
            ("信.JPG", Some(Look::Jpeg), None),
            ("信.jpg", Some(Look::Png), odd),
            ("信.pdf", None, odd),
            ("信.txt", Some(Look::Pdf), odd),
            ("信", Some(Look::Pdf), odd),
            ("信.docx", None, None),
            ("信.pdf.exe", None, Some("程序或脚本，不要直接打开")),
            ("信.png.LNK", Some(Look::Png), Some("程序或脚本，不要直接打开")),
        ] {
            assert_eq!(super::warning(name, look), said, "{name}");
        }
    }

    /// ASVS 1.3.4
    #[test]
    fn the_first_bytes_say_what_a_file_is_and_markup_is_never_a_picture() {
        let bitmap = [&b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0"[..], &[40, 0, 0, 0, 1, 0, 0, 0]].concat();
        let known: [(&[u8], &str); 8] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (&bitmap, "image/bmp"),
            (b"II*\0\x08\0\0\0", "image/tiff"),
            (b"MM\0*\0\0\0\x08", "image/tiff"),
            (b"%PDF-1.7\n", "application/pdf"),
        ];
        for (bytes, kind) in known {
            assert_eq!(Look::of(bytes).map(Look::media_type), Some(kind));
            assert_eq!(Look::of(&[b" ", bytes].concat()), None, "{kind} with something before it");
        }
        let others: [&[u8]; 9] = [
            b"",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>1</script></svg>",
            b"<?xml version=\"1.0\"?><svg/>",
            b"<!DOCTYPE html><p>",
            b"BM<script>alert(1)</script>",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"PK\x03\x04",
            b"\x89PNG\r\n",
            b"\xff\xd8",
        ];
        assert!(others.iter().all(|bytes| Look::of(bytes).is_none()));
    }
}
