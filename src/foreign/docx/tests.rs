//! What a Word document shows is what is read of it.

#![cfg(test)]

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::foreign::document::blocks;
use crate::foreign::{Format, Style};

const SPACE: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";

fn read(body: &str, numbering: &str) -> Vec<(Style, String)> {
    let styles = "<w:style w:styleId=\"1\"><w:name w:val=\"heading 1\"/></w:style>\
        <w:style w:styleId=\"x\"><w:name w:val=\"样式\"/><w:basedOn w:val=\"1\"/></w:style>\
        <w:style w:styleId=\"n\"><w:name w:val=\"条\"/><w:pPr><w:numPr><w:ilvl w:val=\"1\"/><\
        w:numId w:val=\"1\"/></w:numPr></w:pPr></w:style>";
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, part) in [
        ("word/document.xml", format!("<w:document {SPACE}><w:body>{body}</w:body></w:document>")),
        ("word/styles.xml", format!("<w:styles {SPACE}>{styles}</w:styles>")),
        ("word/numbering.xml", format!("<w:numbering {SPACE}>{numbering}</w:numbering>")),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(part.as_bytes()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    blocks(Format::Docx, &bytes).unwrap().into_iter().map(|b| (b.style, b.text)).collect()
}

fn texts(body: &str, numbering: &str) -> Vec<String> {
    read(body, numbering).into_iter().map(|(_, text)| text).collect()
}

fn p(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn changes_count_as_accepted() {
    let body = "<w:p><w:r><w:t>第一条 </w:t></w:r><w:del><w:r><w:delText>旧</w:delText></w:r></w:del>\
        <w:ins><w:r><w:t>新</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>走</w:t></w:r></w:moveFrom>\
        <w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:tab/><w:t>甲&amp;乙</w:t><w:br/><w:t>丙</w:t>\
        </w:r></w:p>\
        <w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>前半\
        </w:t></w:r></w:p>\
        <w:p><w:r><w:t>后半</w:t></w:r></w:p>";
    assert_eq!(texts(body, ""), ["第一条 新\t甲&乙\n丙", "前半后半"]);
}

#[test]
fn headings_tables_frames_and_text_boxes() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", p("", text));
    let body = [
        p("<w:pStyle w:val=\"x\"/>", "标题"),
        p("<w:outlineLvl w:val=\"2\"/>", "三级"),
        format!(
            "<w:tbl><w:tr>{}{}</w:tr><w:tr><w:trPr><w:del/></w:trPr>{}{}</w:tr>\
            </w:tbl>",
            cell("甲"),
            cell("乙"),
            cell("删"),
            cell("去")
        ),
        format!("<w:tbl><w:tr>{}</w:tr></w:tbl>", cell("框中")),
        "<w:p><w:r><w:AlternateContent><w:Choice><w:txbxContent><w:p><w:r><w:t>盒中</w:t></w:r></w:p>\
            </w:txbxContent></w:Choice>\
         <w:Fallback><w:p><w:r><w:t>盒中</w:t></w:r></w:p></w:Fallback></w:AlternateContent><w:t>盒外</w:t>\
         </w:r></w:p>"
            .to_owned(),
    ];
    let wanted = [
        (Style::Heading(1), "标题"),
        (Style::Heading(3), "三级"),
        (Style::Row, "甲 | 乙"),
        (Style::Paragraph, "框中"),
        (Style::Paragraph, "盒中"),
        (Style::Paragraph, "盒外"),
    ];
    assert_eq!(read(&body.concat(), ""), wanted.map(|(s, t)| (s, t.to_owned())));
}

#[test]
fn numbers_are_those_word_shows() {
    let level = |n: u8, format: &str, text: &str, more: &str| {
        format!(
            "<w:lvl w:ilvl=\"{n}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/>{more}<\
                w:lvlText w:val=\"{text}\"/></w:lvl>"
        )
    };
    let numbering = format!(
        "<w:abstractNum w:abstractNumId=\"0\">{}{}{}{}</w:abstractNum><w:num w:numId=\"1\"><\
            w:abstractNumId w:val=\"0\"/></w:num>\
         <w:num w:numId=\"2\"><w:abstractNumId w:val=\"0\"/><w:lvlOverride w:ilvl=\"2\"><\
         w:startOverride w:val=\"5\"/></w:lvlOverride></w:num>",
        level(0, "chineseCountingThousand", "第%1章", ""),
        level(1, "chineseCountingThousand", "第%2条", "<w:lvlRestart w:val=\"0\"/>"),
        level(2, "chineseCounting", "（%3）", ""),
        level(3, "decimal", "%1.%4", "<w:isLgl/>"),
    );
    let at = |level: u8, list: u8| {
        format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{list}\"/></w:numPr>")
    };
    let styled = "<w:pStyle w:val=\"n\"/>";
    let none = "<w:pStyle w:val=\"n\"/><w:numPr><w:numId w:val=\"0\"/></w:numPr>";
    let body = [
        p(&at(0, 1), "总则"),
        p(styled, "甲。"),
        p(&at(2, 1), "其一"),
        p(&at(2, 1), "其二"),
        p(styled, "乙。"),
        p(&at(2, 1), "其一"),
        p(none, "续乙。"),
        p(&at(0, 1), "附则"),
        p(&at(1, 2), "丙。"),
        p(&at(2, 2), "其五"),
        p(&at(3, 2), "末"),
    ];
    assert_eq!(
        texts(&body.concat(), &numbering),
        [
            "第一章 总则",
            "第一条 甲。",
            "（一）其一",
            "（二）其二",
            "第二条 乙。",
            "（一）其一",
            "续乙。",
            "第二章 附则",
            "第三条 丙。",
            "（五）其五",
            "2.1 末",
        ]
    );
}
