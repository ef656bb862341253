//! What attachments say is searched: by whoever may see the record, with the name and the page, some moments after the
//! save, and no longer than the attachment is there. A file that cannot be read costs a word on its record.

use std::io::{Cursor, Write};
use std::thread::sleep;
use std::time::Duration;

use encoding_rs::GB18030;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::county::{County, PETITION, Person, files_below, path_of};
use super::form::forms;

const CLERK: &str = "杏林坪镇纪委";
/// Looks at something that happens behind the pages.
const LOOKS: usize = 600;

/// Waits for something behind the pages; `false` when it never comes.
fn comes(done: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        let there = done();
        if !there {
            sleep(Duration::from_millis(50));
        }
        there
    })
}

/// An archive of these parts.
fn zipped(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, part) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(part.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn docx(text: &str) -> Vec<u8> {
    let space = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    let body = format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
    zipped(&[("word/document.xml", &format!("<w:document {space}><w:body>{body}</w:body></w:document>"))])
}

/// A PDF with a page for each text.
fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", n * 2 + 3)).collect();
    let mut out = format!(
        "%PDF-1.4\n1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type /Pages /Count {} /Kids [{}]>>\n\
        endobj\n",
        pages.len(),
        kids.join(" ")
    );
    let font = "<</Type /Font /Subtype /Type0 /Encoding /GBK-EUC-H>>";
    for (n, text) in pages.iter().enumerate() {
        let (page, content) = (n * 2 + 3, n * 2 + 4);
        let shown = format!("BT /A 12 Tf 50 700 Td <{}> Tj ET", hex::encode(GB18030.encode(text).0));
        out += &format!(
            "{page} 0 obj\n<</Type /Page /Parent 2 0 R /Contents {content} 0 R /Resources <</Font <</A {font}>>>>>>\n\
            endobj\n{content} 0 obj\n<</Length {}>> stream\n{shown}\nendstream\nendobj\n",
            shown.len()
        );
    }
    let size = pages.len() * 2 + 3;
    (out + &format!("trailer\n<</Root 1 0 R /Size {size}>>\nstartxref\n0\n%%EOF\n")).into_bytes()
}

/// A presentation with a slide for each text.
fn pptx(slides: &[&str]) -> Vec<u8> {
    let list = |n: usize| format!("<p:sldId id=\"{}\" r:id=\"r{n}\"/>", 256 + n);
    let relation = |n: usize| format!("<Relationship Id=\"r{n}\" Type=\"x/slide\" Target=\"slides/slide{n}.xml\"/>");
    let all = |of: &dyn Fn(usize) -> String| (0..slides.len()).map(of).collect::<String>();
    let parts: Vec<(String, String)> = (0..slides.len())
        .map(|n| (format!("ppt/slides/slide{n}.xml"), format!("<p:sld><a:p><a:t>{}</a:t></a:p></p:sld>", slides[n])))
        .chain([
            ("ppt/presentation.xml".to_owned(), format!("<p:presentation>{}</p:presentation>", all(&list))),
            ("ppt/_rels/presentation.xml.rels".to_owned(), format!("<Relations>{}</Relations>", all(&relation))),
        ])
        .collect();
    zipped(&parts.iter().map(|(name, part)| (name.as_str(), part.as_str())).collect::<Vec<_>>())
}

/// A letter with this text, to which a file is attached.
fn eml(text: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let part = |head: &str, bytes: &[u8]| {
        format!("--x\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n", STANDARD.encode(bytes))
    };
    [
        "From: a@example.com\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n".to_owned(),
        part("Content-Type: text/plain; charset=gbk", &GB18030.encode(text).0),
        part(&format!("Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"{name}\""), bytes),
        "--x--\r\n".to_owned(),
    ]
    .concat()
    .into_bytes()
}

/// A file of each kind: its name, its bytes, a word that stands only there, and where.
fn each_kind() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let cells = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
    let book = jiceng::foreign::workbook(&cells("姓名", "事项"), std::iter::once(cells("甲", "柘溪坝工程款"))).unwrap();
    vec![
        ("情况说明.txt", GB18030.encode("来信人补充：枰桥码头租金去向不明。").0.into_owned(), "枰桥码头", ""),
        ("网页.html", "<html><body><p>公示：<b>桕林</b>站补助</p></body></html>".into(), "桕林站补助", ""),
        ("谈话笔录.docx", docx("答：楝树湾的账由他一人管。"), "楝树湾的账", ""),
        ("台账.xlsx", book, "柘溪坝工程款", "工作表“Sheet1”"),
        ("汇报.pptx", pptx(&["目录", "榕溪垸的整改"]), "榕溪垸的整改", "第 2 张"),
        ("来件.eml", eml("此致。柞水圩的地是他批的。", "a.pdf", &pdf(&["空", "杗家坨账外款"])), "柞水圩的地", ""),
        ("转发.eml", eml("见附件。", "b.pdf", &pdf(&["空", "檫岭口账外款"])), "檫岭口账外款", "邮件附件《b.pdf》第 2 页"),
        ("审计报告.pdf", pdf(&["第一部分 概况", "第二部分 梾木洲招标异常"]), "梾木洲招标", "第 2 页"),
    ]
}

/// A file that says how far something was done.
fn is_position(file: &std::path::Path) -> bool {
    file.ends_with("position") || file.ends_with("recognised")
}

fn with_files(clerk: &Person, title: &str, files: &[(&str, Vec<u8>)]) -> String {
    let form = clerk.form("/petition/new").fill(PETITION).fill(&[("title", title)]);
    let form = files.iter().fold(form, |form, (name, bytes)| form.attach(name, bytes));
    path_of(&clerk.submit(&form).expect(303))
}

fn finds(person: &Person, word: &str, path: &str) -> bool {
    person.search(word).says(&format!("href=\"{path}\""))
}

#[test]
fn what_attachments_say_is_found_with_its_name_and_page_by_whoever_sees_the_record() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(CLERK), county.clerk("枫桥坞镇纪委"));
    let kinds = each_kind();
    let files: Vec<(&str, Vec<u8>)> = kinds.iter().map(|(name, bytes, ..)| (*name, bytes.clone())).collect();
    let path = with_files(&clerk, "反映多件材料", &files);
    let last = kinds.last().unwrap().2;
    assert!(comes(|| finds(&clerk, last, &path)), "{}", clerk.get(&path).text());
    for (name, _, word, place) in &kinds {
        let page = clerk.search(word).expect(200).text();
        assert!(page.contains(&format!("附件《{name}》{place}：")), "{name}: {page}");
        assert!(page.contains(&format!("附件：{word}")) && page.contains("<mark>"), "{name}: {page}");
        let page = other.search(word).expect(200);
        assert!(!page.says(&path) && !page.says("附件") && page.says("没有找到"), "{name}: {}", page.text());
    }
    assert_eq!(clerk.get(&path).text().matches("文字可检索").count(), kinds.len());
    // Two words, of which one stands in the record and one in the attachment, are one question.
    assert!(finds(&clerk, "虚报补贴 梾木洲", &path) || finds(&clerk, "多报户数 梾木洲", &path));
    // The text is nowhere in the folder as it is.
    for file in files_below(county.dir()).into_iter().filter(|f| f.extension().is_none_or(|e| e != "sock")) {
        let bytes = std::fs::read(&file).unwrap();
        for (name, _, word, _) in &kinds {
            assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{name} in {}", file.display());
        }
    }
    assert_eq!(county.files("texts").iter().filter(|f| !is_position(f)).count(), kinds.len());
    // A restart, and an index made anew, know it without reading the attachments again.
    county.terminate();
    assert!(county.cli(&["reindex"]).status.success());
    county.restart();
    let clerk = county.clerk(CLERK);
    assert!(finds(&clerk, last, &path));
    // An attachment that is taken away is not found any more, and the others are.
    let page = clerk.get(&format!("{path}/edit")).expect(200).text();
    let blob = page.split("name=\"files.drop\" value=\"").last().unwrap().split('"').next().unwrap().to_owned();
    let form = clerk.form(&format!("{path}/edit")).set("files.drop", &blob);
    clerk.submit(&form).expect(303);
    assert!(!finds(&clerk, last, &path) && finds(&clerk, kinds[0].2, &path));
    county.terminate();
    county.is_sound();
}

#[test]
fn a_file_that_cannot_be_read_costs_a_word_and_delays_nobody() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let bomb = zipped(&[("word/document.xml", &"<w:p>".repeat(400_000))]);
    let files = [
        ("损坏.docx", b"PK\x03\x04word/nothing".to_vec()),
        ("嵌套.docx", bomb),
        ("损坏.pdf", b"%PDF-1.7\nnothing".to_vec()),
        ("乱码.txt", (0..4000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("照片.jpg", b"\xFF\xD8\xFF\xE0".to_vec()),
        ("好的.txt", "椴木坞的收条".into()),
    ];
    let path = with_files(&clerk, "反映坏文件", &files);
    assert!(comes(|| finds(&clerk, "椴木坞", &path)), "{}", clerk.get(&path).text());
    let page = clerk.get(&path).expect(200).text();
    assert!(page.matches("附件文字未能读取").count() >= 3 && page.matches("文字可检索").count() >= 1, "{page}");
    assert!(!page.contains("文字等待读取"));
    // Nothing of it is in the log.
    assert!(!county.log().contains("椴木坞") && !county.log().contains("收条"), "{}", county.log());
    let doctor = county.cli(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("附件文字已全部读取"));
}

#[test]
fn attachments_from_before_are_read_after_an_upgrade_and_go_with_a_purge() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(CLERK), county.approver(CLERK));
    let path = with_files(&clerk, "反映旧材料", &[("旧信.txt", "榉溪渡的来信".into())]);
    assert!(comes(|| finds(&clerk, "榉溪渡", &path)));
    county.terminate();
    // As a store is that knew nothing of texts, and an index that was made then.
    std::fs::remove_dir_all(county.dir().join("texts")).unwrap();
    std::fs::remove_dir_all(county.dir().join("index")).unwrap();
    county.restart();
    let (clerk, head) = (county.clerk(CLERK), { drop(head); county.approver(CLERK) });
    assert!(comes(|| finds(&clerk, "榉溪渡", &path)));
    for (who, name) in [(&clerk, "propose"), (&head, "accept"), (&clerk, "conclude"), (&head, "confirm")] {
        let form = who.form(&path).to(&format!("{path}/move/{name}")).set("opinion", "办理意见");
        who.submit(&form).expect(303);
    }
    assert!(finds(&clerk, "榉溪渡", &path));
    let page = head.get(&path).expect(200).text();
    let asked = forms(&page).into_iter().find(|f| f.action == format!("{path}/purge")).unwrap();
    let asked = head.submit(&asked.set("purge-reason", "保存期满，按规定清除")).expect(303);
    let request = asked.location().split('?').next().unwrap().to_owned();
    let second = county.secadmin();
    let form = second.form(&request).to(&format!("{request}/move/approve")).set("opinion", "同意清除");
    second.submit(&form).expect(303);
    assert!(!finds(&clerk, "榉溪渡", &path));
    assert!(comes(|| county.files("texts").iter().all(|f| is_position(f))), "{:?}", county.files("texts"));
    assert!(comes(|| county.files("blobs").is_empty()));
}

#[test]
fn scans_are_recognised_where_the_host_has_a_program_for_it() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let picture = super::viewing::picture(image::ImageFormat::Png);
    let path = with_files(&clerk, "反映扫描件", &[("照片.png", picture), ("旧信.txt", "桤岔口的收据".into())]);
    assert!(comes(|| finds(&clerk, "桤岔口", &path)));
    // What was saved before the host had the program is recognised too.
    let tools = county.dir().with_extension("tools");
    std::fs::create_dir_all(&tools).unwrap();
    let program = "#!/bin/sh\nif [ \"$1\" = --list-langs ]; then echo chi_sim; exit; fi\n\
        [ \"$*\" = 'stdin stdout -l chi_sim' ] || exit 1\necho '收款人 梽木垭 三千元'\n";
    std::fs::write(tools.join("tesseract"), program).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(tools.join("tesseract"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let places = format!("PATH={}:/usr/bin:/bin", tools.display());
    county.restart_under(&["env", &places]).unwrap();
    let clerk = county.clerk(CLERK);
    assert!(comes(|| finds(&clerk, "梽木垭", &path)), "{}", county.log());
    assert!(clerk.search("梽木垭").says("附件《照片.png》（OCR）：") && clerk.get(&path).says("OCR 识别，可能有误"));
    let doctor = county.cli(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("由本机的 tesseract 识别"));
}
