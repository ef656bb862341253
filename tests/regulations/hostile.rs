//! Documents made to harm their reader: each ends in an error that says what to do, or is read; never in
//! silence.
//!
//! Everything goes through the program's own child. Spoilt bytes are drawn from a fixed seed.

use std::io::{Cursor, Write};

use image::{DynamicImage, ImageFormat, RgbImage};
use jiceng::base::ErrorKind;
use jiceng::foreign::{Format, Item};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::writers::package;
use crate::{outcome, printed};

/// A generator of numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// Reads a file; an error is one that a person can act on. Whether it was read.
fn survives(name: &str, format: Format, bytes: Vec<u8>) -> bool {
    let (_, error) = outcome(format, bytes);
    if let Some(e) = &error {
        assert_eq!(e.kind(), ErrorKind::Invalid, "{name}: {e:?}");
        assert!(e.public().chars().count() > 8, "{name}: {e:?}");
    }
    error.is_none()
}

fn refused(name: &str, format: Format, bytes: Vec<u8>) {
    assert!(!survives(name, format, bytes), "{name} was read");
}

/// The bytes cut short at even steps, and with bytes changed; how many were still read.
fn spoilt(name: &str, format: Format, bytes: &[u8], each: usize) -> usize {
    let mut numbers = Numbers(7);
    let mut read = 0;
    for n in 0..each {
        let cut = bytes[..bytes.len() * n / each].to_vec();
        read += usize::from(survives(&format!("{name} cut {n}"), format, cut));
        let mut changed = bytes.to_vec();
        for _ in 0..=n {
            let at = numbers.below(changed.len());
            changed[at] = numbers.below(256) as u8;
        }
        read += usize::from(survives(&format!("{name} changed {n}"), format, changed));
    }
    println!("{name}: {read} of {} spoilt files were read", 2 * each);
    read
}

const OPEN: &str =
    "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>";

fn body(inner: &str) -> Vec<u8> {
    package(&format!("{OPEN}{inner}</w:body></w:document>"))
}

fn archive(entries: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        zip.start_file(name, options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// ASVS 1.5.1
#[test]
fn word_documents() {
    let bomb = archive([("word/document.xml".to_owned(), vec![b' '; 80 << 20])]);
    refused("part of 80 MB", Format::Docx, bomb);
    let many = (0..100_000).map(|n| (format!("word/{n}"), Vec::new()));
    refused("100000 entries", Format::Docx, archive(many));
    refused("no main part", Format::Docx, archive([("word/other.xml".to_owned(), Vec::new())]));
    refused("no archive", Format::Docx, b"PK\x03\x04 and no more".to_vec());
    for (name, tag) in [("paragraphs", "w:p"), ("rows", "w:tr")] {
        refused(name, Format::Docx, body(&format!("<{tag}>").repeat(100_000)));
    }
    survives("deep tags", Format::Docx, body(&"<w:sdt>".repeat(1_000_000)));
    survives(
        "deep deletions",
        Format::Docx,
        body(&format!("{}{}", "<w:del>".repeat(200_000), "</w:p>".repeat(300_000))),
    );
    let lol = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;\
        &b;&b;&b;&b;&b;\">]>";
    let text = "<w:p><w:r><w:t>甲&c;&c;&lt;</w:t></w:r></w:p>";
    let (items, _) = outcome(Format::Docx, package(&format!("{lol}{OPEN}{text}</w:body></w:document>")));
    let said: String = items
        .iter()
        .filter_map(|i| if let Item::Block(b) = i { Some(b.text.as_str()) } else { None })
        .collect();
    assert!(said.starts_with('甲') && said.len() < 40, "an entity was expanded: {said}");
    let real = body(&"<w:p><w:r><w:t>第一条 样例。</w:t></w:r></w:p>".repeat(50));
    assert!(spoilt("docx", Format::Docx, &real, 15) < 30);
}

#[test]
fn numbers_and_styles_that_lead_nowhere() {
    let styles = "<w:styles xmlns:w=\"w\"><w:style w:styleId=\"a\"><w:name w:val=\"a\"/><\
        w:basedOn w:val=\"b\"/></w:style>\
        <w:style w:styleId=\"b\"><w:basedOn w:val=\"a\"/><w:pPr><w:numPr><w:numId w:val=\"9\"/></w:numPr>\
        </w:pPr></w:style></w:styles>";
    let numbering = "<w:numbering xmlns:w=\"w\"><w:abstractNum w:abstractNumId=\"1\"><\
        w:numStyleLink w:val=\"b\"/>\
        <w:lvl w:ilvl=\"0\"><w:start w:val=\"4294967295\"/><w:numFmt w:val=\"upperLetter\"/><\
        w:lvlText w:val=\"%1%9%0%\"/></w:lvl>\
        <w:lvl w:ilvl=\"4000000000\"/></w:abstractNum><w:num w:numId=\"9\"><w:abstractNumId w:val=\"1\"/>\
        <w:lvlOverride w:ilvl=\"8\"><w:startOverride w:val=\"0\"/></w:lvlOverride></w:num></w:numbering>";
    let paragraph = |level: &str| {
        format!(
            "<w:p><w:pPr><w:pStyle w:val=\"a\"/><w:numPr><w:ilvl w:val=\"{level}\"/><\
                w:numId w:val=\"9\"/></w:numPr></w:pPr><w:r><w:t>甲</w:t></w:r></w:p>"
        )
    };
    let document =
        format!("{OPEN}{}{}{}</w:body></w:document>", paragraph("0"), paragraph("8"), paragraph("99"));
    let parts = [
        ("word/document.xml", document.as_str()),
        ("word/styles.xml", styles),
        ("word/numbering.xml", numbering),
    ];
    let bytes = archive(parts.map(|(n, p)| (n.to_owned(), p.as_bytes().to_vec())));
    assert!(survives("numbers that lead nowhere", Format::Docx, bytes));
}

/// ASVS 1.3.1, 1.3.5
#[test]
fn pages_and_markdown() {
    let html = |text: String| text.into_bytes();
    assert!(survives("nested divs", Format::Html, html(format!("{}甲", "<div>".repeat(1_000_000)))));
    assert!(survives(
        "nested tables",
        Format::Html,
        html(format!("{}甲", "<table><tr><td>".repeat(100_000)))
    ));
    assert!(survives("nested lists", Format::Html, html(format!("{}甲", "<ol><li>".repeat(100_000)))));
    survives(
        "attributes",
        Format::Html,
        html(format!("<p {}>甲", (0..20_000).map(|n| format!("a{n}=1 ")).collect::<String>())),
    );
    survives("an open comment", Format::Html, html(format!("甲<!--{}", "<!--".repeat(100_000))));
    survives("an open script", Format::Html, html(format!("甲<script>{}", "</scrip".repeat(100_000))));
    survives("references", Format::Html, html("&#x110000;&#99999999999;&nosuch;&amp".repeat(10_000)));
    survives("an open menu", Format::Html, html("<nav><p>甲".to_owned()));
    for (name, piece) in [
        ("quotes", "> "),
        ("brackets", "["),
        ("stars", "*a _"),
        ("lists", "- "),
        ("links", "[a](<"),
        ("ticks", "`a``"),
    ] {
        survives(name, Format::Markdown, html(piece.repeat(100_000)));
    }
    survives(
        "columns",
        Format::Markdown,
        html(format!("{}\n{}\n{}", "a|".repeat(20_000), "-|".repeat(20_000), "a|\n".repeat(2_000))),
    );
    survives("zeros", Format::Text, vec![0; 1 << 20]);
    let page = "<html><body><h1>样例办法</h1><table><tr><td>甲<td>乙</table><p>第一条 样例。"
        .repeat(20)
        .into_bytes();
    spoilt("html", Format::Html, &page, 8);
    let text = "# 样例办法\n\n| 甲 | 乙 |\n|---|---|\n| 一 | 二 |\n\n1. 其一\n\n> 第一条 样例。\n\n"
        .repeat(20)
        .into_bytes();
    spoilt("markdown", Format::Markdown, &text, 8);
}

/// A PDF of these objects, numbered from 1; the first is the catalog.
fn pdf(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n".to_vec();
    let mut places = Vec::new();
    for (n, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", n + 1).bytes());
    }
    let start = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    places.iter().for_each(|p| out.extend(format!("{p:010} 00000 n \n").bytes()));
    out.extend(
        format!(
            "trailer\n<</Size {} /Root 1 0 R {trailer}>>\nstartxref\n{start}\n%%EOF\n",
            objects.len() + 1
        )
        .bytes(),
    );
    out
}

fn stream(dictionary: &str, content: &str) -> String {
    format!("<<{dictionary} /Length {}>> stream\n{content}\nendstream", content.len())
}

#[test]
fn pdfs() {
    let catalog = "<</Type /Catalog /Pages 2 0 R>>".to_owned();
    let one = "<</Type /Pages /Count 1 /Kids [3 0 R]>>".to_owned();
    let page =
        |resources: &str| format!("<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <<{resources}>>>>");
    let circle = "<</Type /Pages /Count 9 /Kids [2 0 R 3 0 R]>>".to_owned();
    refused(
        "pages in a circle",
        Format::Pdf,
        pdf(&[catalog.clone(), circle, "<</Type /Pages /Kids [2 0 R]>>".into()], ""),
    );
    let many = format!("<</Type /Pages /Count 90000 /Kids [{}]>>", "3 0 R ".repeat(90_000));
    refused(
        "one page many times",
        Format::Pdf,
        pdf(&[catalog.clone(), many, page(""), stream("", "BT ET")], ""),
    );
    let parents = "<</Type /Page /Parent 3 0 R /Contents 4 0 R>>".to_owned();
    refused("its own parent", Format::Pdf, pdf(&[catalog.clone(), one.clone(), parents, stream("", "")], ""));
    refused("tables in a circle", Format::Pdf, pdf(&[catalog.clone(), one.clone(), page("")], "/Prev 9"));
    let deep = stream("", &format!("BT {} Tj ET", "[".repeat(1_000_000)));
    refused("deep arrays", Format::Pdf, pdf(&[catalog.clone(), one.clone(), page(""), deep], ""));
    let deep = "<</A ".repeat(100_000);
    refused("deep dictionaries", Format::Pdf, pdf(&[catalog.clone(), one.clone(), page(""), deep], ""));
    let itself =
        stream("/Type /XObject /Subtype /Form /Resources <</XObject <</A 4 0 R>>>>", &"/A Do ".repeat(60));
    refused(
        "a form in itself",
        Format::Pdf,
        pdf(&[catalog.clone(), one.clone(), page("/XObject <</A 4 0 R>>"), itself], ""),
    );
    let font = "/Font <</F <</Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 5 0 R \
        /DescendantFonts [<</W [0 99999999 1]>>]>>>>";
    let text = stream("", "BT /F 12 Tf <00410042> Tj ET");
    let ranges = stream(
        "",
        "1 begincodespacerange <0000> <FFFF> endcodespacerange 1 beginbfrange <00000000> <FFFFFFFF> <\
            0041> endbfrange",
    );
    survives(
        "a table of all characters",
        Format::Pdf,
        pdf(&[catalog.clone(), one.clone(), page(font), text, ranges], ""),
    );
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b' '; 200 << 20]).unwrap();
    let packed: String = packed.finish().unwrap().iter().map(|b| format!("{b:02x}")).collect();
    for kind in ["", "/Type /ObjStm /N 1000000 /First 8"] {
        let bomb = stream(&format!("{kind} /Filter [/ASCIIHexDecode /FlateDecode]"), &packed);
        survives("a stream of 200 MB", Format::Pdf, pdf(&[catalog.clone(), one.clone(), page(""), bomb], ""));
    }
    assert!(spoilt("pdf", Format::Pdf, &printed(), 15) < 30);
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(60, 40, |x, y| image::Rgb([x as u8, y as u8, 90]));
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn picture(bytes: Vec<u8>) -> DynamicImage {
    let (items, error) = outcome(Format::Image, bytes);
    assert!(error.is_none(), "{error:?}");
    let bytes: Vec<u8> =
        items.into_iter().flat_map(|i| if let Item::Bytes(b) = i { b } else { Vec::new() }).collect();
    assert!(!bytes.windows(6).any(|w| w == b"SECRET"), "something but pixels came through");
    image::load_from_memory(&bytes).unwrap()
}

const KINDS: [ImageFormat; 6] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::WebP,
    ImageFormat::Tiff,
];

/// ASVS 5.2.6
#[test]
fn pictures() {
    for format in KINDS {
        let good = encoded(format);
        let tail = [good.as_slice(), b"<?php SECRET ?>"].concat();
        assert_eq!((picture(tail.clone()).width(), picture(tail).height()), (60, 40), "{format:?}");
        spoilt(&format!("{format:?}"), Format::Image, &good, 4);
    }
    let mut vast = encoded(ImageFormat::Bmp);
    vast[18..22].copy_from_slice(&100_000_u32.to_le_bytes());
    vast[22..26].copy_from_slice(&100_000_u32.to_le_bytes());
    refused("a vast bitmap", Format::Image, vast);
    let mut vast = encoded(ImageFormat::Gif);
    vast[6..10].copy_from_slice(&[0xFF; 4]);
    refused("a vast gif", Format::Image, vast);
    let mut vast = encoded(ImageFormat::Jpeg);
    let frame = vast.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    vast[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    refused("a vast jpeg", Format::Image, vast);
    let head =
        |w: u32, h: u32| [b"IHDR".as_slice(), &w.to_be_bytes(), &h.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut vast = b"\x89PNG\r\n\x1A\n\0\0\0\x0D".to_vec();
    let mut sum = flate2::Crc::new();
    sum.update(&head(100_000, 100_000));
    vast.extend(head(100_000, 100_000));
    vast.extend(sum.sum().to_be_bytes());
    vast.extend(&encoded(ImageFormat::Png)[33..]);
    refused("a vast png", Format::Image, vast);
}

#[test]
fn a_wide_picture_is_made_smaller_and_a_turned_one_upright() {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(3_000, 20).write_to(&mut bytes, ImageFormat::Png).unwrap();
    assert_eq!(picture(bytes.into_inner()).width(), 2_400);
    let jpeg = encoded(ImageFormat::Jpeg);
    // Exif: one entry, orientation 6 (held a quarter turn to the right), and a name.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\
        \x0F\x01\x02\0\x07\0\0\0\x26\0\0\0\0\0\0\0SECRET\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xFF, 0xE1], &length, exif.as_slice(), &jpeg[2..]].concat();
    assert_eq!((picture(turned.clone()).width(), picture(turned).height()), (40, 60));
}
