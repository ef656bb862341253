//! Good files: what is read from them is what an office program shows.

use jiceng::foreign::{Format, Item, workbook};

use crate::{alone, craft, read};

fn row(number: u64, cells: &[&str]) -> Item {
    Item::Row { number, cells: cells.iter().map(|&c| c.to_owned()).collect() }
}

fn rows(items: &[Item]) -> Vec<Item> {
    items.iter().filter(|i| matches!(i, Item::Row { .. })).cloned().collect()
}

fn notes(items: &[Item]) -> String {
    items.iter().filter_map(|i| if let Item::Note(n) = i { Some(n.as_str()) } else { None }).collect()
}

/// ASVS 1.2.10
#[test]
fn a_workbook_of_ours_comes_back_and_is_text_alone() {
    let _alone = alone();
    let heads = ["编号", "标题"].map(str::to_owned);
    let live =
        ["=1+1", "+86", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "110101199001011234", "0012", "1\u{7}2"];
    let bytes =
        workbook(&heads, live.iter().map(|t| vec![(*t).to_owned(), "两行\n文字".to_owned()])).unwrap();
    let mut expected = vec![row(1, &["编号", "标题"])];
    expected.extend((2..).zip(live).map(|(n, t)| row(n, &[&t.replace('\u{7}', ""), "两行\n文字"])));
    let items = read(Format::Xlsx, &bytes);
    assert_eq!(items[1..], expected);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
    let part = archive.by_name("xl/worksheets/sheet1.xml").unwrap();
    let sheet = std::io::read_to_string(part).unwrap();
    assert!(!sheet.contains("<f") && sheet.matches("t=\"s\"").count() == 18, "{sheet}");
    assert!(sheet.contains("state=\"frozen\"") && sheet.contains("<cols>"), "{sheet}");
}

#[test]
fn a_workbook_of_another_program_reads_as_it_looks() {
    let _alone = alone();
    let items = read(Format::Xlsx, &craft::rich());
    let heads = ["编号", "收到日期", "登记时间", "人数", "是否署名", "证件号", "公式"];
    let first = ["官渡〔2024〕7号", "2024-03-05", "2024-03-05 14:30", "3", "是", "110101199001011234", "2"];
    let hidden = "工作表“底稿”是隐藏的，没有读取。需要时请先在办公软件中取消隐藏。";
    assert_eq!(items[..2], [Item::Note(hidden.into()), Item::Sheet("信访件".into())]);
    assert_eq!(items[2..4], [row(1, &heads), row(2, &first)]);
    assert_eq!(items[4..6], [row(4, &["", "", "", "0.3", "", "110101199001011230"]), row(5, &["合并"])]);
    assert!(matches!(&items[6], Item::Note(n) if n.contains("第 4 行有超过 15 位的数字")), "{items:?}");
    assert_eq!(items[7..], [Item::Sheet("附表".into()), row(3, &["", "乙"])]);
}

#[test]
fn an_old_workbook_reads_as_it_looks() {
    let _alone = alone();
    let items = read(Format::Xls, include_bytes!("small.xls"));
    assert!(notes(&items).contains("“底稿”是隐藏的"));
    let heads = row(1, &["编号", "收到日期", "登记时间", "人数", "是否署名", "证件号"]);
    let first = ["官渡〔2024〕7号", "2024-03-05", "2024-03-05 14:30", "3", "是", "110101199001011234"];
    let expected = [heads, row(2, &first), row(4, &["=1+1", "", "", "2.5"]), row(3, &["", "乙"])];
    assert_eq!(rows(&items), expected);
}

#[test]
fn text_tables_in_every_usual_encoding() {
    let _alone = alone();
    let text = "编号,标题,日期\n1,反映村干部侵占补助款,2024-03-05\n2,反映违规收费,2024-03-06\n";
    let gbk = encoding_rs::GBK.encode(text).0.into_owned();
    let rare = text.replace('违', "𠀀");
    let gb18030 = encoding_rs::GB18030.encode(&rare).0.into_owned();
    let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
    let (little, big) = (craft::utf16(text, true), craft::utf16(text, false));
    let late = format!("{}{text}", "a,b,c\n".repeat(40_000));
    let late = encoding_rs::GBK.encode(&late).0.into_owned();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("UTF-8", text.into(), ""),
        ("UTF-8 with its mark", marked(b"\xEF\xBB\xBF", text.as_bytes()), ""),
        ("GBK", gbk, "编码按 GBK 读取。"),
        ("UTF-16LE", marked(b"\xFF\xFE", &little), "编码按 UTF-16LE 读取。"),
        ("UTF-16BE", marked(b"\xFE\xFF", &big), "编码按 UTF-16BE 读取。"),
        ("UTF-16LE without its mark", little, "编码按 UTF-16LE 读取。"),
        ("UTF-16BE without its mark", big, "编码按 UTF-16BE 读取。"),
    ];
    let expected = [
        row(1, &["编号", "标题", "日期"]),
        row(2, &["1", "反映村干部侵占补助款", "2024-03-05"]),
        row(3, &["2", "反映违规收费", "2024-03-06"]),
    ];
    for (name, bytes, note) in cases {
        let items = read(Format::Csv, &bytes);
        assert_eq!((rows(&items), notes(&items)), (expected.to_vec(), note.to_owned()), "{name}");
    }
    assert_eq!(rows(&read(Format::Csv, &gb18030))[2], row(3, &["2", "反映𠀀规收费", "2024-03-06"]));
    let items = read(Format::Csv, &late);
    assert!(notes(&items) == "编码按 GBK 读取。", "the encoding shows only after 240 kB");
    assert_eq!(rows(&items)[40_001], row(40_002, &["1", "反映村干部侵占补助款", "2024-03-05"]));
}

#[test]
fn text_tables_with_every_usual_habit() {
    let _alone = alone();
    let cases: [(&str, Vec<Item>); 9] = [
        ("a;b,c;d\n1;2;3\n", vec![row(1, &["a", "b,c", "d"]), row(2, &["1", "2", "3"])]),
        ("a\tb, c\n1\t2\n", vec![row(1, &["a", "b, c"]), row(2, &["1", "2"])]),
        ("sep=;\na;b\n", vec![row(2, &["a", "b"])]),
        (
            "a,\"三\r\n行\n字\"\r\n\r\n,,\r\n\"say \"\"hi\"\"\",d",
            vec![row(1, &["a", "三\n行\n字"]), row(4, &["say \"hi\"", "d"])],
        ),
        ("a\rb,c,d\r\re\n", vec![row(1, &["a"]), row(2, &["b", "c", "d"]), row(4, &["e"])]),
        ("=\"0012\",\t110101199001011234\t,-1\n", vec![row(1, &["0012", "110101199001011234", "-1"])]),
        ("甲\n", vec![row(1, &["甲"])]),
        ("\"a\n\"", vec![row(1, &["a"])]),
        ("\n\n5\" 管,b", vec![row(3, &["5\" 管", "b"])]),
    ];
    for (text, expected) in cases {
        assert_eq!(rows(&read(Format::Csv, text.as_bytes())), expected, "{text:?}");
    }
}

#[test]
fn what_cannot_be_right_is_named_by_its_row() {
    let _alone = alone();
    let mut bytes = "编号,标题\n1,好的\n2,".as_bytes().to_vec();
    bytes.extend(b"\xFF\xC0 rest\n3,\xE6\xA3\x80\xE4\xB8\xBE,1.10101E+17\n\x004,x\n");
    let items = read(Format::Csv, &bytes);
    let notes = notes(&items);
    assert!(notes.contains("第 3 行有无法识别的字符"), "{notes}");
    assert!(notes.contains("第 4 行有科学计数法的长数字") && notes.contains("控制字符"), "{notes}");
    assert_eq!(rows(&items)[2], row(3, &["2", "\u{FFFD}\u{FFFD} rest"]));
    assert_eq!(rows(&items)[4], row(5, &["4", "x"]));
}

#[test]
fn a_format_is_told_by_content_then_by_name() {
    let rich = craft::rich();
    let docx = craft::zip(vec![craft::text("word/document.xml", "<x/>")]);
    let cases: [(&str, &[u8], Option<Format>); 22] = [
        ("台账.docx", &rich[..8192.min(rich.len())], Some(Format::Xlsx)),
        ("台账.xlsx", &docx, Some(Format::Docx)),
        ("台账.XLSX", b"PK\x03\x04", Some(Format::Xlsx)),
        ("a.zip", b"PK\x03\x04", None),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some(Format::Xls)),
        ("a.et", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", Some(Format::Xls)),
        ("a.doc", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", None),
        ("a.xls", "编号\t标题\n".as_bytes(), Some(Format::Csv)),
        ("a.xls", b"\xEF\xBB\xBF<HTML><table>", Some(Format::Html)),
        ("a.csv", b"a,b", Some(Format::Csv)),
        ("a.txt", b"%PDF-1.7", Some(Format::Pdf)),
        ("a.jpg", b"\x89PNG\r\n\x1A\n", Some(Format::Image)),
        ("a.dat", b"\xFF\xD8\xFF\xE0", Some(Format::Image)),
        ("a.txt", b"BM is how this text begins", Some(Format::Text)),
        ("a.md", b"# x", Some(Format::Markdown)),
        ("a.jsonl", b"{}", Some(Format::Jsonl)),
        ("a.pdf", b"", Some(Format::Pdf)),
        ("x", b"  <!DOCTYPE html>", Some(Format::Html)),
        ("a.eml", b"Subject: x", Some(Format::Eml)),
        ("a.pptx", b"PK\x03\x04", Some(Format::Pptx)),
        ("noname", b"text", None),
        ("a.exe", b"MZ", None),
    ];
    for (name, head, expected) in cases {
        assert_eq!(Format::detect(name, head), expected, "{name}");
    }
    let all = ["xlsx", "xls", "csv", "jsonl", "docx", "markdown", "text", "html", "pptx", "eml", "pdf", "image"];
    for name in all {
        let format = Format::by_name(name).unwrap();
        assert!(format.name() == name && !(format.is_table() && format.is_document()));
    }
    assert_eq!(Format::by_name("exe"), None);
}
