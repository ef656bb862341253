//! Characters by the encodings that Chinese programs write, and lines put together again.

#![cfg(test)]

use super::*;
use crate::foreign::Format;
use crate::foreign::document::blocks;

/// A PDF of one page with these fonts and this content.
fn page(fonts: &str, content: &[u8]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n2 0 obj\n<\
        </Type /Pages /Count 1 /Kids [3 0 R]>>\nendobj\n"
        .to_vec();
    out.extend(
        format!(
            "3 0 obj\n<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <</Font <<\
        {fonts}>>>>>>\nendobj\n"
        )
        .bytes(),
    );
    out.extend(format!("4 0 obj\n<</Length {}>> stream\n", content.len()).bytes());
    out.extend(content);
    out.extend(b"\nendstream\nendobj\ntrailer\n<</Root 1 0 R /Size 5>>\nstartxref\n0\n%%EOF\n");
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    blocks(Format::Pdf, bytes).unwrap().into_iter().map(|b| b.text).collect()
}

#[test]
fn chinese_encodings_without_a_table_are_known() {
    let fonts = "/A <</Type /Font /Subtype /Type0 /Encoding /GBK-EUC-H>> /B <\
        </Type /Font /Subtype /Type0 /Encoding /UniGB-UCS2-H>> \
        /C <</Type /Font /Subtype /Type1 /Encoding /WinAnsiEncoding>>";
    let gbk = hex(&GB18030.encode("第一条 甲").0);
    let wide: Vec<u8> = "第二条 乙".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let content = format!(
        "BT /A 12 Tf 50 700 Td <{gbk}> Tj /B 12 Tf 0 -60 Td <\
            {}> Tj /C 12 Tf 0 -60 Td [(Ab) -600 (cd) -10 (ef)] TJ ET",
        hex(&wide)
    );
    assert_eq!(texts(&page(fonts, content.as_bytes())), ["第一条 甲", "第二条 乙", "Ab cdef"]);
}

#[test]
fn text_that_cannot_be_known_is_said() {
    let fonts = "/A <</Type /Font /Subtype /Type0 /Encoding /Identity-H>>";
    let bytes = page(fonts, b"BT /A 12 Tf 50 700 Td <00410042> Tj ET");
    assert!(blocks(Format::Pdf, &bytes).unwrap_err().public().contains("字体"));
    let scan = page("", b"q 500 0 0 700 0 0 cm Q");
    assert!(blocks(Format::Pdf, &scan).unwrap_err().public().contains("扫描件"));
}

fn row(x: f64, y: f64, text: &str) -> Run {
    Run { x, y, width: 12.0 * text.chars().count() as f64, size: 12.0, text: text.to_owned() }
}

#[test]
fn lines_become_paragraphs() {
    let wide = "甲".repeat(30);
    let first = vec![
        row(50.0, 790.0, "样例县纪委"),
        row(180.0, 740.0, "样例办法"),
        row(74.0, 700.0, &"甲".repeat(28)),
        row(50.0, 680.0, &wide),
        row(50.0, 660.0, "末尾。"),
        row(74.0, 640.0, &"乙".repeat(28)),
        row(200.0, 40.0, "— 1 —"),
    ];
    let second = vec![
        row(50.0, 790.0, "样例县纪委"),
        row(50.0, 700.0, "乙尾。"),
        row(50.0, 680.0, "（一）丙"),
        row(200.0, 40.0, "— 2 —"),
    ];
    let third = vec![
        row(50.0, 790.0, "样例县纪委"),
        row(50.0, 700.0, "2020"),
        row(50.0, 680.0, "丁"),
        row(200.0, 40.0, "— 3 —"),
    ];
    let pages = [first, second, third].map(layout::lines).into();
    let wanted = [
        "样例办法".to_owned(),
        format!("{}{wide}末尾。", "甲".repeat(28)),
        format!("{}乙尾。", "乙".repeat(28)),
    ];
    let got = layout::paragraphs(pages);
    assert_eq!(got[..3], wanted);
    assert_eq!(got[3], "（一）丙");
    assert!(!got.iter().any(|p| p.contains('—') || p.contains("县纪委")));
}
