//! Hostile files, all made here from fixed seeds. Each ends in items or in one clear sentence; the server's memory
//! stays where it was, and no child is left.

use std::io::{Cursor, Read};

use jiceng::base::ErrorKind;
use jiceng::foreign::{Format, Item};

use crate::craft::{self, Again, Dice, book, book_with, long_book, sheet, text, zip};
use crate::{alone, children, kilobytes, start};

/// What must come of a file.
enum Outcome {
    /// Items or an error, as long as it ends.
    Either,
    /// So many rows, and these words in the notes.
    Rows(u64, &'static str),
    /// These words.
    Refused(&'static str),
}

use Outcome::{Either, Refused, Rows};

struct Case {
    name: String,
    format: Format,
    input: Box<dyn Read + Send>,
    outcome: Outcome,
}

fn case(name: &str, format: Format, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    Case { name: name.to_owned(), format, input: Box::new(Cursor::new(bytes.into())), outcome }
}

fn csv(name: &str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    case(name, Format::Csv, bytes, outcome)
}

fn xlsx(name: &str, bytes: impl Into<Vec<u8>>, outcome: Outcome) -> Case {
    case(name, Format::Xlsx, bytes, outcome)
}

/// Cases are made one by one, so that the memory seen is that of reading.
type Maker = fn() -> Vec<Case>;

/// ASVS 5.2.3
#[test]
fn a_hostile_file_is_refused_in_words_and_leaves_nothing_behind() {
    let _alone = alone();
    let makers: &[Maker] =
        &[texts, archives, sheets, cells, cuts, flips, old, noise, strangers, bombs, long_sheets, long_texts];
    // What making the files takes stays out of it: memory is looked at around each reading.
    let (mut count, mut most, mut all) = (0, 0, 0);
    for maker in makers {
        for case in maker() {
            let before = kilobytes("self", "VmRSS");
            most = most.max(judge(case).saturating_sub(before));
            all += kilobytes("self", "VmRSS").saturating_sub(before);
            count += 1;
        }
    }
    println!("{count} files, at most {most} kB more while one was read, {all} kB more after all of them");
    assert!(count >= 120, "{count} hostile files");
    assert!(most <= 64 << 10 && all <= 64 << 10, "grew by {most} kB in one, {all} kB in all");
}

/// Reads one; its outcome must be the expected one. Gives the largest memory seen, in kB.
fn judge(case: Case) -> u64 {
    let name = case.name;
    let mut reader = start(case.format, case.input);
    let (mut rows, mut notes, mut error, mut peak, mut seen) = (0, String::new(), None, 0, 0_u64);
    for item in reader.by_ref() {
        assert!(error.is_none(), "{name}: something follows the error");
        match item {
            Ok(Item::Row { cells, .. }) => {
                assert!(cells.len() <= 256 && cells.iter().all(|c| c.chars().count() <= 100_000), "{name}");
                rows += 1;
            }
            Ok(Item::Note(note)) => notes.push_str(&note),
            Ok(_) => {}
            Err(e) => error = Some(e),
        }
        seen += 1;
        if seen.is_power_of_two() || seen.is_multiple_of(100_000) {
            peak = peak.max(kilobytes("self", "VmRSS"));
        }
    }
    assert!(reader.next().is_none() && children().is_empty(), "{name}: no child is left at the end");
    if let Some(e) = &error {
        let chinese = e.public().chars().filter(|c| ('\u{4E00}'..'\u{A000}').contains(c)).count();
        assert!(
            e.kind() == ErrorKind::Invalid && chinese >= 8 && e.public().ends_with('。'),
            "{name}: {e:?}"
        );
    }
    match case.outcome {
        Either => {}
        Rows(n, words) => {
            assert!(error.is_none() && rows == n, "{name}: {rows} rows, {error:?}");
            assert!(notes.contains(words), "{name}: {notes}");
        }
        Refused(words) => {
            assert!(
                error.as_ref().is_some_and(|e| e.public().contains(words)),
                "{name}: {rows} rows, {error:?}"
            );
        }
    }
    peak.max(kilobytes("self", "VmRSS"))
}

const ONE: &str = r#"<row r="1"><c r="A1"><v>1</v></c></row>"#;

fn archives() -> Vec<Case> {
    let one = sheet(ONE);
    let part = || text("xl/worksheets/sheet1.xml", &one);
    let many: Vec<String> = (0..100_000).map(|n| format!("xl/media/{n}")).collect();
    let many = zip(many.iter().map(|n| text(n, "")).collect());
    let tricks =
        ["../../../etc/passwd", "/etc/passwd", "C:\\windows\\x", "xl/", "xl/worksheets/", "a/../../b", "~/x"];
    let tricks = tricks.into_iter().map(|n| text(n, "x")).chain([part()]).collect();
    let no_book = zip(vec![text("_rels/.rels", craft::RELS), text("[Content_Types].xml", craft::TYPES)]);
    let outside = craft::RELS.replace("xl/workbook.xml", "../../../../etc/passwd");
    let far = craft::BOOK_RELS.replace("worksheets/sheet1.xml", "file:///etc/passwd");
    let others = |rels: &str, book_rels: &str| {
        zip(vec![
            text("_rels/.rels", rels),
            text("xl/workbook.xml", craft::BOOK),
            text("xl/_rels/workbook.xml.rels", book_rels),
            text("xl/worksheets/sheet1.xml", &one),
        ])
    };
    let front = [b"MZ this runs".as_slice(), &book(ONE)].concat();
    let back = [&book(ONE), b"more".as_slice()].concat();
    let types = book_with(vec![part(), text("xl/vbaProject.bin", "x")]);
    vec![
        xlsx("one hundred thousand entries", many, Refused("100000 个部件")),
        xlsx("names that climb out", book_with(tricks), Rows(1, "")),
        xlsx("nothing", Vec::new(), Refused("文件是空的")),
        xlsx("an archive of nothing", zip(vec![]), Refused("损坏")),
        xlsx("no workbook inside", no_book, Either),
        xlsx("the workbook lies outside", others(&outside, craft::BOOK_RELS), Either),
        xlsx("the sheet lies outside", others(craft::RELS, &far), Refused("损坏")),
        xlsx("no relations", others("<Relationships/>", craft::BOOK_RELS), Refused("损坏")),
        xlsx("relations of another kind", others(craft::BOOK_RELS, craft::RELS), Refused("损坏")),
        xlsx("something before the archive", front, Either),
        xlsx("something behind the archive", back, Either),
        xlsx("a macro part", types, Rows(1, "")),
        xlsx("a binary workbook", book_with(vec![text("xl/workbook.bin", "x")]), Refused("xlsb")),
        xlsx("a web page under this name", "<html><table></table></html>", Refused("损坏")),
    ]
}

fn bombs() -> Vec<Case> {
    let zeros = |bytes: u64| zip(vec![("xl/media/1", Box::new(std::io::repeat(0).take(bytes)))]);
    let gigabyte = zeros(1 << 30);
    let over = zeros((1 << 30) + 1);
    let inside = book_with(vec![
        ("xl/embeddings/1.zip", Box::new(Cursor::new(over.clone()))),
        text("xl/worksheets/sheet1.xml", &sheet(ONE)),
    ]);
    let cell = |bytes: u64| {
        let open: &[u8] = b"<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"str\"><v>";
        let close: &[u8] = b"</v></c></row></sheetData></worksheet>";
        book_with(vec![(
            "xl/worksheets/sheet1.xml",
            Box::new(open.chain(std::io::repeat(b'x').take(bytes)).chain(close)),
        )])
    };
    let strings = |head: &str| format!("<sst {head}><si><t>x</t></si></sst>");
    let lie = |count: &str| {
        let strings = strings(count);
        book_with(vec![text("xl/sharedStrings.xml", &strings), text("xl/worksheets/sheet1.xml", &sheet(ONE))])
    };
    vec![
        xlsx("an entry too large", over.clone(), Refused("展开后过大")),
        xlsx("an entry too large that says 1000", craft::lie(over.clone(), 1000), Either),
        xlsx("an entry too large that says nothing", craft::lie(over, 0), Either),
        xlsx("entries too large together", craft::copies(&gigabyte, 3), Refused("展开后过大")),
        xlsx("the same, and they say 1", craft::lie(craft::copies(&gigabyte, 3), 1), Either),
        xlsx("an archive in it that is too large", inside, Rows(1, "")),
        xlsx("a cell of 700 MB", cell(700 << 20), Refused("允许的内存")),
        xlsx("a cell of 100 MB", cell(100 << 20), Refused("第 1 行有超过 10 万字")),
        xlsx("strings that claim to be 4 billion", lie("uniqueCount=\"4000000000\""), Refused("允许的内存")),
        xlsx(
            "strings that claim to be all there are",
            lie("uniqueCount=\"18446744073709551615\""),
            Refused("结构异常"),
        ),
    ]
}

fn sheets() -> Vec<Case> {
    let with = |sheet: &str| book_with(vec![text("xl/worksheets/sheet1.xml", sheet)]);
    let dimension = |area: &str| {
        with(&format!("<worksheet><dimension ref=\"{area}\"/><sheetData>{ONE}</sheetData></worksheet>"))
    };
    let laughs =
        (1..20).map(|n| format!("<!ENTITY a{n} \"&a{0};&a{0};&a{0};&a{0};\">", n - 1)).collect::<String>();
    let laughs = format!("<!DOCTYPE x [<!ENTITY a0 \"ha\">{laughs}]>");
    let rows = r#"<row r="1"><c r="A1" t="str"><v>&a19;</v></c></row>"#;
    let outside = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>"#;
    let outside = format!("{outside}{}", sheet(r#"<row r="1"><c r="A1" t="str"><v>&e;</v></c></row>"#));
    let entry = |n: usize| format!("<sheet name=\"表{n}\" sheetId=\"{n}\" r:id=\"rId1\"/>");
    let names =
        |n: usize| format!("<workbook><sheets>{}</sheets></workbook>", (0..n).map(entry).collect::<String>());
    let book_of = |n: usize, rows: &str| {
        let (names, sheet) = (names(n), sheet(rows));
        zip(vec![
            text("_rels/.rels", craft::RELS),
            text("xl/workbook.xml", &names),
            text("xl/_rels/workbook.xml.rels", craft::BOOK_RELS),
            text("xl/worksheets/sheet1.xml", &sheet),
        ])
    };
    let chart = craft::BOOK_RELS.replace("/worksheet\"", "/chartsheet\"");
    let chart = zip(vec![
        text("_rels/.rels", craft::RELS),
        text("xl/workbook.xml", craft::BOOK),
        text("xl/_rels/workbook.xml.rels", &chart),
    ]);
    let five_thousand = ONE.repeat(5000);
    vec![
        xlsx("a dimension as large as a sheet", dimension("A1:XFD1048576"), Rows(1, "")),
        xlsx("a dimension backwards", dimension("Z9:A1"), Rows(1, "")),
        xlsx("a dimension of one cell far away", dimension("XFD1048576"), Rows(1, "")),
        xlsx("a dimension that is none", dimension("?"), Either),
        xlsx("a dimension of numbers beyond any", dimension("A1:ZZZZZZZZZ99999999999999999999"), Either),
        xlsx("entities that multiply", with(&format!("{laughs}{}", sheet(rows))), Either),
        xlsx("an entity from outside", with(&outside), Either),
        xlsx("a sheet of nothing", with(""), Refused("损坏")),
        xlsx("a sheet that is a page", with("<html><body/></html>"), Refused("损坏")),
        xlsx("a sheet in UTF-16", with(&"\u{FEFF}<w\0o\0r\0k\0".repeat(9)), Either),
        xlsx("a sheet never closed", with("<worksheet><sheetData><row><c><v>1"), Refused("损坏")),
        xlsx(
            "elements a million deep",
            with(&format!("<worksheet>{}", "<a>".repeat(1_000_000))),
            Refused("损坏"),
        ),
        xlsx("a thousand sheets", book_of(1000, ONE), Refused("超过 256 个")),
        xlsx("one sheet 250 times", book_of(250, &five_thousand), Either),
        xlsx("a chart for a sheet", chart, Rows(0, "不是普通工作表")),
    ]
}

fn cells() -> Vec<Case> {
    let cell = |name: &str, cell: &str, outcome| {
        xlsx(name, book(&format!("<row r=\"2\">{cell}<c r=\"B2\"><v>7</v></c></row>")), outcome)
    };
    let attribute = format!("<c r=\"A2\" x=\"{}\"><v>1</v></c>", "x".repeat(20 << 20));
    let names = |n: usize| (0..n).map(|i| format!("<c r=\"A2\" a{i}=\"1\"/>")).collect::<String>();
    vec![
        cell(
            "a shared string that is not there",
            "<c r=\"A2\" t=\"s\"><v>99</v></c>",
            Rows(1, "1 个单元格无法识别"),
        ),
        cell("a shared string below zero", "<c r=\"A2\" t=\"s\"><v>-1</v></c>", Either),
        cell("a format that is not there", "<c r=\"A2\" s=\"4294967295\"><v>1</v></c>", Rows(1, "")),
        cell("a kind that is not there", "<c r=\"A2\" t=\"zz\"><v>1</v></c>", Rows(1, "无法识别")),
        cell("a truth that is none", "<c r=\"A2\" t=\"b\"><v>maybe</v></c>", Rows(1, "无法识别")),
        cell("an error of tomorrow", "<c r=\"A2\" t=\"e\"><v>#SPILL!</v></c>", Rows(1, "")),
        cell("a number that is none", "<c r=\"A2\" t=\"n\"><v>NaNaN</v></c>", Rows(1, "无法识别")),
        cell("a number beyond any", "<c r=\"A2\"><v>1e999999</v></c>", Rows(1, "")),
        cell("row 0", "<c r=\"A0\"><v>1</v></c>", Either),
        cell("row four billion", "<c r=\"A4294967296\"><v>1</v></c>", Either),
        cell("a column beyond any", "<c r=\"ZZZZZZZZZZZZZZ1\"><v>1</v></c>", Either),
        cell("no reference at all", "<c r=\"\"><v>1</v></c>", Either),
        cell("a reference in Chinese", "<c r=\"甲2\"><v>1</v></c>", Either),
        cell("a cell in a cell", "<c r=\"A2\"><c r=\"A3\"><v>1</v></c></c>", Either),
        cell(
            "character references of nothing",
            "<c r=\"A2\" t=\"str\"><v>&#0;&#xD800;&#x110000;</v></c>",
            Either,
        ),
        cell("an attribute of 20 MB", &attribute, Rows(1, "")),
        cell("a hundred thousand empty cells", &names(100_000), Rows(1, "")),
        cell("a text of 100000 characters", &wide(100_000), Rows(1, "")),
        cell("a text of 100001 characters", &wide(100_001), Refused("第 2 行有超过 10 万字")),
        cell("from right to left", "<c r=\"A2\" t=\"str\"><v>\u{202E}\u{5D0}\u{200F}</v></c>", Rows(1, "")),
    ]
}

fn wide(characters: usize) -> String {
    format!("<c r=\"A2\" t=\"inlineStr\"><is><t>{}</t></is></c>", "字".repeat(characters))
}

fn long_sheets() -> Vec<Case> {
    let row = "<row><c t=\"str\"><v>官渡</v></c><c><v>45356</v></c></row>";
    let full = format!("<row>{}</row>", format!("<c t=\"str\"><v>{}</v></c>", "x".repeat(99_000)).repeat(60));
    let far = "<c r=\"XFD1048576\"><v>1</v></c>";
    let there_and_back = "<c r=\"A1\"><v>1</v></c><c r=\"A1048576\"><v>1</v></c>";
    let too_many = there_and_back.repeat(1000);
    vec![
        xlsx("a million rows", long_book(row, 1_000_000), Rows(1_000_000, "")),
        xlsx("a million rows and one", long_book(row, 1_000_001), Refused("超过 100 万行")),
        xlsx("two million cells in the last place", long_book(far, 2_000_000), Rows(0, "第 256 列之后")),
        xlsx("cells back and forth", long_book(&too_many, 600), Refused("超过 100 万行")),
        xlsx("five million rows of nothing", long_book("<row/>", 5_000_000), Rows(0, "")),
        xlsx("a row of 6 MB", book(&full), Refused("第 1 行过长")),
    ]
}

fn cuts() -> Vec<Case> {
    let whole = craft::rich();
    let at = |n: usize| whole[..whole.len() * n / 25].to_vec();
    let mut cases: Vec<Case> =
        (1..25).map(|n| xlsx(&format!("cut at {n}/25"), at(n), Refused("损坏"))).collect();
    cases.extend((1..5).map(|n| {
        xlsx(&format!("without its last {n} bytes"), whole[..whole.len() - n].to_vec(), Refused("损坏"))
    }));
    cases
}

fn flips() -> Vec<Case> {
    let whole = craft::rich();
    let flip = |seed: u64| {
        let (mut dice, mut bytes) = (Dice(seed), whole.clone());
        for _ in 0..=seed % 7 {
            let at = dice.next() as usize % bytes.len();
            bytes[at] ^= 1 << (dice.next() % 8);
        }
        xlsx(&format!("flips of seed {seed}"), bytes, Either)
    };
    // Behind the checksum: bytes of the sheet itself are changed, and packed again.
    let plain = std::io::read_to_string(
        zip::ZipArchive::new(Cursor::new(&whole)).unwrap().by_name("xl/worksheets/sheet1.xml").unwrap(),
    );
    let plain = plain.unwrap();
    let inside = |seed: u64| {
        let (mut dice, mut bytes) = (Dice(seed), plain.clone().into_bytes());
        for _ in 0..4 {
            let at = dice.next() as usize % bytes.len();
            bytes[at] = (dice.next() % 96) as u8 + 32;
        }
        let part: craft::Part<'_> = ("xl/worksheets/sheet1.xml", Box::new(Cursor::new(bytes)));
        xlsx(&format!("a sheet changed by seed {seed}"), book_with(vec![part]), Either)
    };
    (1..40).map(flip).chain((100..130).map(inside)).collect()
}

fn old() -> Vec<Case> {
    let whole = include_bytes!("small.xls");
    let magic: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
    let xls = |name: &str, bytes: Vec<u8>, outcome| case(name, Format::Xls, bytes, outcome);
    let sealed = [magic, &[0; 2000], &craft::utf16("EncryptedPackage", true), &[0; 2000]].concat();
    let mut cases = vec![
        xls("an xls of nothing", Vec::new(), Refused("文件是空的")),
        xls("an xls of its mark alone", magic.to_vec(), Refused("损坏")),
        xls("an xls of zeros", [magic, &[0; 4096]].concat(), Either),
        xls("an xls of ones", [magic, &[0xFF; 4096]].concat(), Either),
        xls("a sealed workbook", sealed, Refused("打开密码")),
        xls("an xlsx for an xls", craft::rich(), Refused("损坏")),
    ];
    for seed in 1..10 {
        let noise = [&whole[..512], &Dice(seed).bytes(5120)].concat();
        cases.push(xls(&format!("an xls of noise {seed}"), noise, Either));
    }
    for n in 1..10 {
        cases.push(xls(&format!("an xls cut at {n}/10"), whole[..whole.len() * n / 10].to_vec(), Either));
    }
    for seed in 1..25 {
        let (mut dice, mut bytes) = (Dice(seed), whole.to_vec());
        for _ in 0..seed {
            let at = dice.next() as usize % bytes.len();
            bytes[at] = dice.next() as u8;
        }
        cases.push(xls(&format!("an xls changed by seed {seed}"), bytes, Either));
    }
    cases
}

fn texts() -> Vec<Case> {
    let field = |n: usize| format!("a,{},b\n", "字".repeat(n));
    let columns = |n: usize| vec!["x"; n].join(",");
    let lone = [b"\xFF\xFE".as_slice(), &[0x00, 0xD8, 0x2C, 0x00, 0x00, 0xDC, 0x0A, 0x00]].concat();
    let odd = [b"\xFF\xFE".as_slice(), &craft::utf16("甲,乙\n", true), b"x"].concat();
    let gbk = encoding_rs::GBK.encode("编号,反映村干部\n").0.into_owned();
    vec![
        csv("a csv of nothing", "", Refused("文件是空的")),
        csv("a mark alone", "\u{FEFF}", Rows(0, "")),
        csv("ends of lines alone", "\r\n\n\r\r\n", Rows(0, "")),
        csv("a separator named and nothing more", "sep=\n", Rows(1, "")),
        csv("a separator that is a letter", "sep=字\na,b\n", Either),
        csv("zeros among the letters", "a\0,b\0\n\0\0c,d", Rows(2, "控制字符")),
        csv("zeros alone", vec![0; 100_000], Either),
        csv("lone surrogates", lone, Rows(1, "第 1 行有无法识别的字符")),
        csv("an odd byte of UTF-16", odd, Rows(2, "第 2 行有无法识别的字符")),
        csv("a GBK text cut in a character", gbk[..gbk.len() - 2].to_vec(), Rows(1, "")),
        csv("surrogates in UTF-8", b"a,\xED\xA0\x80\xED\xB0\x80,b\n".to_vec(), Rows(1, "")),
        csv("from right to left", "\u{202E}a,\u{5D0}\u{200F}\n", Rows(1, "")),
        csv("a cell of 100000 characters", field(100_000), Rows(1, "")),
        csv("a cell of 100001 characters", field(100_001), Refused("第 1 行有超过 10 万字")),
        csv("five thousand columns", columns(5000), Rows(1, "第 1 行在第 256 列之后")),
        csv("a quotation mark never closed", "a,b\n\"c,d\ne,f\n", Refused("第 2 行的引号没有成对")),
        csv("a quotation mark alone", "\"", Refused("第 1 行的引号没有成对")),
        csv("rows of all lengths", "a\nb,c\n\nd,e,f,,,\n,,g", Rows(4, "")),
        csv("formulas", "=1+1,+2,-3,@x\n", Rows(1, "")),
        csv("a million quotation marks", "\"".repeat(1_000_000), Either),
        csv("two million quotation marks, odd", "\"a\"b".repeat(666_667), Either),
    ]
}

fn long_texts() -> Vec<Case> {
    let long = |name: &str, unit: &str, times: usize, outcome| Case {
        name: name.to_owned(),
        format: Format::Csv,
        input: Box::new(Again::new(unit.as_bytes().to_vec(), times)),
        outcome,
    };
    let lines = Again::new("字\n".into(), 25 << 20);
    let zeros = std::io::repeat(0).take(201 << 20);
    vec![
        long("a line of 100 MB", "x", 100 << 20, Refused("第 1 行过长")),
        long("a line of 100 MB of separators", ",", 100 << 20, Refused("第 1 行过长")),
        csv("a quoted cell of 100 MB", "", Refused("第 1 行过长")).with(b"\"".chain(lines)),
        long("two million rows", "a\n", 2_000_000, Refused("超过 100 万行")),
        long("a million ends of lines", "\n", 1_000_000, Rows(0, "")),
        long("twenty million ends of lines", "\n", 20_000_000, Refused("过长")),
        long(
            "lines that all cannot be read",
            "\u{FFFD},1\n",
            900_000,
            Rows(900_000, "等 900000 行有无法识别"),
        ),
        case("an xlsx of 201 MB", Format::Xlsx, Vec::new(), Refused("超过 200 MB")).with(zeros),
    ]
}

impl Case {
    fn with(self, input: impl Read + Send + 'static) -> Self {
        Self { input: Box::new(input), ..self }
    }
}

fn noise() -> Vec<Case> {
    let mut cases = Vec::new();
    for (seed, format) in (1..31).zip([Format::Csv, Format::Xlsx, Format::Xls].into_iter().cycle()) {
        let bytes = Dice(seed).bytes(1 << (seed % 16 + 2));
        cases.push(case(&format!("noise of seed {seed}"), format, bytes, Either));
    }
    cases
}

/// One kind of file under the name of another.
fn strangers() -> Vec<Case> {
    let rich = craft::rich();
    let files: [&[u8]; 5] =
        [&rich, include_bytes!("small.xls"), b"%PDF-1.7\n%%EOF", b"\x89PNG\r\n\x1A\n", b"\x7FELF"];
    let formats = [Format::Csv, Format::Xlsx, Format::Xls];
    let pairs = files.iter().flat_map(|f| formats.map(|format| (f.to_vec(), format)));
    pairs
        .enumerate()
        .map(|(n, (bytes, format))| case(&format!("stranger {n}"), format, bytes, Either))
        .collect()
}
