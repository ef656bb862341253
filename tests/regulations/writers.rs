//! Writes a regulation as the programs of an office would: docx with typed or automatic numbers, Markdown, text,
//! HTML.

use std::io::{Cursor, Write};

use serde_json::Value;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A regulation to be written.
pub(crate) struct Regulation {
    pub(crate) reference: String,
    pub(crate) title: String,
    pub(crate) preamble: String,
    pub(crate) articles: Vec<Article>,
}

pub(crate) struct Article {
    pub(crate) no: String,
    pub(crate) chapter: String,
    pub(crate) text: String,
}

/// Who writes the numbers of the articles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// They are typed.
    Literal,
    /// The word processor counts.
    Automatic,
}

/// A line of a document.
enum Line<'a> {
    Title(&'a str),
    Text(&'a str),
    Chapter(&'a str),
    /// Number and the rest of the first paragraph.
    Article(&'a str, &'a str),
}

impl Regulation {
    /// A row of an import file.
    pub(crate) fn from_row(row: &str) -> Self {
        let row: Value = serde_json::from_str(row).unwrap();
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let article =
            |a: &Value| Article { no: text(&a["no"]), chapter: text(&a["chapter"]), text: text(&a["text"]) };
        // The first line is the kind of the source; the second repeats the title.
        let preamble: Vec<String> = text(&row["text"]).lines().skip(2).map(str::to_owned).collect();
        Self {
            reference: text(&row["ref"]),
            title: text(&row["title"]),
            preamble: preamble.join("\n"),
            articles: row["articles"].as_array().into_iter().flatten().map(article).collect(),
        }
    }

    /// The lines of the document, from the title; a chapter stands where it begins.
    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = vec![Line::Title(&self.title)];
        lines.extend(self.preamble.lines().filter(|l| !l.trim().is_empty()).map(Line::Text));
        let mut before = "";
        for article in &self.articles {
            if article.chapter != before {
                lines.extend(chapters(before, &article.chapter).into_iter().map(Line::Chapter));
                before = &article.chapter;
            }
            let mut own = article.text.lines();
            let first = own.next().unwrap_or_default();
            lines.push(Line::Article(
                &article.no,
                first.strip_prefix(&article.no).unwrap_or(first).trim_start(),
            ));
            lines.extend(own.map(Line::Text));
        }
        lines
    }
}

/// The headings of a path that are new: `第一编 总则 第一章 …` is two of them.
fn chapters<'a>(before: &str, path: &'a str) -> Vec<&'a str> {
    let starts = |rest: &str| {
        let mut chars = rest.chars();
        chars.next() == Some('第') && chars.take(8).any(|c| "编章节".contains(c))
    };
    let cuts: Vec<usize> = path
        .match_indices([' ', '\u{3000}'])
        .map(|(at, b)| at + b.len())
        .filter(|at| starts(&path[*at..]))
        .collect();
    let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([path.len()]).collect();
    let parts: Vec<&str> = bounds.windows(2).map(|w| path[w[0]..w[1]].trim()).collect();
    let old = parts
        .iter()
        .take_while(|p| before.split_inclusive(**p).next().is_some_and(|b| b.ends_with(**p)))
        .count();
    parts[old.min(parts.len() - 1)..].to_vec()
}

/// Lines of text, a blank line nowhere, paragraphs indented as Chinese ones are.
pub(crate) fn plain(regulation: &Regulation) -> Vec<u8> {
    let mut out = String::new();
    for line in regulation.lines() {
        out += &match line {
            Line::Title(t) => format!("{t}\r\n"),
            Line::Chapter(t) => format!("　　　{t}\r\n"),
            Line::Text(t) => format!("　　{t}\r\n"),
            Line::Article(no, t) => format!("　　{no}　{t}\r\n"),
        };
    }
    out.into_bytes()
}

/// Markdown, with what it would take for marks escaped.
pub(crate) fn markdown(regulation: &Regulation) -> Vec<u8> {
    let escaped = |text: &str| {
        let marks = "\\`*_{}[]<>#+-!|~&";
        text.chars()
            .flat_map(|c| marks.contains(c).then_some('\\').into_iter().chain([c]))
            .collect::<String>()
    };
    let mut out = String::new();
    for line in regulation.lines() {
        out += &match line {
            Line::Title(t) => format!("# {}\n\n", escaped(t)),
            Line::Chapter(t) => format!("## {}\n\n", escaped(t)),
            Line::Text(t) => format!("{}\n\n", escaped(t)),
            Line::Article(no, t) => format!("**{no}** {}\n\n", escaped(t)),
        };
    }
    out.into_bytes()
}

/// A page as a county's site has it: menu, text, footer.
pub(crate) fn page(regulation: &Regulation) -> Vec<u8> {
    let mut out = String::from(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>样例网</title><style>p{}</style></head><body>\
         <nav><ul><li>首页<li>法规</ul></nav><div class=text>\n",
    );
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    for line in regulation.lines() {
        out += &match line {
            Line::Title(t) => format!("<h1>{}</h1>\n", escaped(t)),
            Line::Chapter(t) => format!("<p align=center><b>{}</b></p>\n", escaped(t)),
            Line::Text(t) => format!("<p>　　{}</p>\n", escaped(t)),
            Line::Article(no, t) => format!("<p>　　<strong>{no}</strong>　{}</p>\n", escaped(t)),
        };
    }
    (out + "</div><footer>样例县</footer><script>var a = '第九条 x';</script></body></html>").into_bytes()
}

const NAMESPACE: &str = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";

/// Numbers are counted where they run from one without a gap; others stay typed.
pub(crate) fn docx(regulation: &Regulation, numbers: Numbers) -> Vec<u8> {
    let mut body = String::new();
    let mut counted = 0;
    for line in regulation.lines() {
        body += &match line {
            Line::Title(t) => paragraph("<w:pStyle w:val=\"a3\"/><w:jc w:val=\"center\"/>", t),
            Line::Chapter(t) => paragraph("<w:pStyle w:val=\"2\"/>", t),
            Line::Text(t) => paragraph("<w:ind w:firstLineChars=\"200\"/>", t),
            Line::Article(no, t) => {
                let next = jiceng::base::text::number_to_chinese(counted + 1).map(|n| format!("第{n}条"));
                if numbers == Numbers::Automatic && next.as_deref() == Some(no) {
                    counted += 1;
                    paragraph("<w:numPr><w:ilvl w:val=\"1\"/><w:numId w:val=\"7\"/></w:numPr>", t)
                } else {
                    paragraph("<w:ind w:firstLineChars=\"200\"/>", &format!("{no}　{t}"))
                }
            }
        };
    }
    package(&format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document {NAMESPACE}><w:body>{body}<w:sectPr/>\
            </w:body></w:document>"
    ))
}

/// A paragraph whose text is cut into runs, as word processors do.
fn paragraph(properties: &str, text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let run = |chars: &[char]| {
        let text: String = chars.iter().collect();
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!(
            "<w:r><w:rPr><w:rFonts w:hint=\"eastAsia\"/></w:rPr><w:t xml:space=\"preserve\">{text}</w:t>\
                </w:r>"
        )
    };
    let runs: String = text.chunks(17).map(run).collect();
    format!("<w:p><w:pPr>{properties}</w:pPr>{runs}</w:p>")
}

/// The archive around a main part, with styles and a list of two levels: 第一章 and, below it but counted through,
/// 第一条.
pub(crate) fn package(document: &str) -> Vec<u8> {
    let styles = format!(
        "<w:styles {NAMESPACE}><w:style w:type=\"paragraph\" w:styleId=\"a3\"><w:name w:val=\"Title\"/>\
            </w:style>\
         <w:style w:type=\"paragraph\" w:styleId=\"2\"><w:name w:val=\"heading 2\"/><w:pPr><\
         w:outlineLvl w:val=\"1\"/></w:pPr>\
         </w:style></w:styles>"
    );
    let numbering = format!(
        "<w:numbering {NAMESPACE}><w:abstractNum w:abstractNumId=\"3\">\
         <w:lvl w:ilvl=\"0\"><w:start w:val=\"1\"/><w:numFmt w:val=\"chineseCountingThousand\"/><\
         w:lvlText w:val=\"第%1章\"/></w:lvl>\
         <w:lvl w:ilvl=\"1\"><w:start w:val=\"1\"/><w:numFmt w:val=\"chineseCountingThousand\"/><\
         w:lvlRestart w:val=\"0\"/>\
         <w:lvlText w:val=\"第%2条\"/></w:lvl></w:abstractNum>\
         <w:num w:numId=\"7\"><w:abstractNumId w:val=\"3\"/></w:num></w:numbering>"
    );
    let relations = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
        <Relationship Id=\"rId1\" \
        Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
        Target=\"word/document.xml\"/></Relationships>";
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, part) in [
        ("_rels/.rels", relations),
        ("word/document.xml", document),
        ("word/styles.xml", &styles),
        ("word/numbering.xml", &numbering),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(part.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
