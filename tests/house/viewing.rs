//! Scans are looked at in the page: what a file is, its bytes say, and the answer lets the browser do nothing else with
//! it. Whatever is not recognised is downloaded.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};

use super::county::{County, PETITION, Person, path_of};
use super::wire::Answer;

const CLERK: &str = "杏林坪镇纪委";
/// What a stranger hides behind the end of a picture.
const HIDDEN: &[u8] = b"<script>alert(1)</script>";
const PDF: &[u8] = b"%PDF-1.4\n\
1 0 obj<</Type/Catalog/Pages 2 0 R/Lang(zh-CN)>>endobj\n\
2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n\
xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000064 00000 n \n\
trailer<</Size 3/Root 1 0 R>>\nstartxref\n108\n%%EOF\n";
const HTML: &[u8] = b"<!DOCTYPE html><script>alert(1)</script>";
const SVG: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";

/// A petition with these attachments.
fn with_files(clerk: &Person, files: &[(&str, &[u8])]) -> String {
    let form = clerk.form("/petition/new").fill(PETITION);
    let form = files.iter().fold(form, |form, (name, bytes)| form.attach(name, bytes));
    path_of(&clerk.submit(&form).expect(303))
}

/// A small picture with something behind its end.
pub(crate) fn picture(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgb8(3, 2).write_to(&mut bytes, format).unwrap();
    [bytes.get_ref().as_slice(), HIDDEN].concat()
}

/// What every such answer must carry.
#[track_caller]
fn guarded(answer: &Answer, kind: &str) {
    assert_eq!(answer.header("content-type"), kind);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("form-action 'none'"), "{policy}");
    assert!(!["script-src", "unsafe", "http", "*", "data:"].iter().any(|w| policy.contains(w)), "{policy}");
}

/// ASVS 3.2.1
#[test]
fn a_picture_and_a_document_are_shown_in_the_page_by_what_their_bytes_say() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    // Names that lie, both ways, and a name that would break a header.
    let (png, jpeg) = (picture(ImageFormat::Png), picture(ImageFormat::Jpeg));
    let files: [(&str, &[u8]); 3] =
        [("现场.html", &png), ("会议\"纪要\".txt", PDF), ("信 \r\nset-cookie: a=b.exe", &jpeg)];
    let path = with_files(&clerk, &files);
    for (place, kind) in [(0, "image/png"), (1, "application/pdf"), (2, "image/jpeg")] {
        assert!(clerk.get(&path).says(&format!("href=\"{path}/files/{place}/view\"")), "{kind}");
        let answer = clerk.get(&format!("{path}/files/{place}/inline")).expect(200);
        guarded(&answer, kind);
        let drawn = image::load_from_memory(&answer.body).map(|p| (p.width(), p.height())).ok();
        match kind {
            "application/pdf" => assert!(answer.body.starts_with(b"%PDF-") && answer.says("zh-CN"), "{kind}"),
            _ => assert_eq!(drawn, Some((3, 2)), "{kind} is not the picture"),
        }
        assert!(!answer.says("alert(1)"), "{kind}: what stood behind the picture went along");
        let named = answer.header("content-disposition");
        let coded = named.strip_prefix("inline; filename*=UTF-8''").unwrap_or_else(|| panic!("{named}"));
        assert!(coded.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'%'), "{named}");
        assert_eq!(answer.header("set-cookie"), "");
        let policy = answer.header("content-security-policy").to_owned();
        let picture = kind != "application/pdf";
        assert_eq!(policy.contains("; sandbox;"), picture, "{policy}");
        assert_eq!(policy.contains("object-src 'self'"), !picture, "{policy}");
        assert_eq!(policy.contains("frame-ancestors 'none'"), picture, "{policy}");
        assert_eq!(answer.header("x-frame-options"), if picture { "DENY" } else { "SAMEORIGIN" });
        // The download stays what it was.
        let plain = clerk.get(&format!("{path}/files/{place}")).expect(200);
        assert_eq!(plain.header("content-type"), "application/octet-stream");
        assert!(plain.header("content-disposition").starts_with("attachment; "));
        assert!(plain.header("content-security-policy").contains("frame-ancestors 'none'"));
    }
    let page = clerk.get(&format!("{path}/files/0/view")).expect(200);
    assert!(page.says(&format!("<img class=\"scan\" src=\"{path}/files/0/inline\"")), "{}", page.text());
    assert!(!page.header("content-security-policy").contains("object-src"));
    assert!(page.says("class=\"watermark\" aria-hidden=\"true\"") && page.says("杏林坪镇经办"));
    let page = clerk.get(&format!("{path}/files/1/view")).expect(200);
    assert!(
        page.says(&format!("data=\"{path}/files/1/inline\" type=\"application/pdf\"")),
        "{}",
        page.text()
    );
    let policy = page.header("content-security-policy");
    assert!(policy.contains("object-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!clerk.get(&path).header("content-security-policy").contains("object-src"), "for that page only");
}

/// ASVS 5.2.2
#[test]
fn what_is_not_recognised_stays_a_download() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let files: [(&str, &[u8]); 5] = [
        ("照片.png", HTML),
        ("图.svg", SVG),
        ("记录.pdf", b" %PDF-1.4"),
        ("空.jpg", b""),
        ("账.bmp", b"BM<script>alert(1)</script>"),
    ];
    let path = with_files(&clerk, &files);
    let page = clerk.get(&path).expect(200);
    assert!(!page.says("/view\""), "{}", page.text());
    // Whoever is about to download one that is not what its name says is told so.
    assert_eq!(page.text().matches("内容与扩展名不符").count(), 4, "{}", page.text());
    for place in 0..files.len() {
        for end in ["view", "inline"] {
            let answer = clerk.get(&format!("{path}/files/{place}/{end}")).expect(404);
            assert!(!answer.says("alert(1)") && answer.header("content-type").starts_with("text/html"));
        }
        let plain = clerk.get(&format!("{path}/files/{place}")).expect(200);
        assert_eq!(plain.header("content-type"), "application/octet-stream");
    }
}

#[test]
fn the_way_leads_from_scan_to_scan_and_back() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (png, jpeg) = (picture(ImageFormat::Png), picture(ImageFormat::Jpeg));
    let path = with_files(&clerk, &[("一.png", &png), ("二.txt", b"text"), ("三.jpg", &jpeg), ("四.pdf", PDF)]);
    let at = |n: usize| format!("{path}/files/{n}/view");
    let page = |n: usize| clerk.get(&at(n)).expect(200);
    let link = |n: usize, rel: &str| format!("href=\"{}\" rel=\"{rel}\"", at(n));
    assert!(page(0).says(&link(2, "next")) && !page(0).says("rel=\"prev\"") && page(0).says("第 1 / 3 个"));
    assert!(page(2).says(&link(0, "prev")) && page(2).says(&link(3, "next")));
    assert!(page(3).says(&link(2, "prev")) && !page(3).says("rel=\"next\""));
    assert!(
        page(2).says(&format!("href=\"{path}\""))
            && page(2).says(&format!("href=\"{path}/files/2\" download"))
    );
    clerk.get(&format!("{path}/files/4/view")).expect(404);
    clerk.get(&format!("{path}/files/x/inline")).expect(404);
}

#[test]
fn every_look_is_entered_and_nobody_looks_who_may_not_download() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = with_files(&clerk, &[("一.png", &picture(ImageFormat::Png))]);
    let looks = || county.auditor().get("/audit").expect(200).text().matches("查看附件").count();
    assert_eq!(looks(), 0);
    clerk.get(&format!("{path}/files/0/inline")).expect(200);
    assert_eq!(looks(), 1);
    for other in [county.clerk("枫桥坞镇纪委"), county.sysadmin(), county.auditor()] {
        for end in ["view", "inline"] {
            other.get(&format!("{path}/files/0/{end}")).expect(404);
        }
    }
    assert_eq!(looks(), 1);
    let nobody = county.nobody().get(&format!("{path}/files/0/inline")).expect(303);
    assert_eq!(nobody.location(), "/login");
    // The tab of the browser says nothing of the file's name, which may name a person.
    let page = clerk.get(&format!("{path}/files/0/view")).text();
    let tab = page.split("<title>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(tab.contains("信访〔") && !tab.contains("一.png"), "{tab}");
}

/// Browsers run the scripts of a document as it opens: a dialog within our page, in a stranger's words.
#[test]
fn a_document_that_acts_by_itself_is_not_shown() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let with = |entry: &str| {
        let head = "%PDF-1.4\n".to_owned();
        let one = format!("1 0 obj<</Type/Catalog/Pages 2 0 R{entry}>>endobj\n");
        let two = "2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n";
        let (a, b) = (head.len(), head.len() + one.len());
        let end = b + two.len();
        let table = format!("xref\n0 3\n0000000000 65535 f \n{a:010} 00000 n \n{b:010} 00000 n \n");
        format!("{head}{one}{two}{table}trailer<</Size 3/Root 1 0 R>>\nstartxref\n{end}\n%%EOF\n").into_bytes()
    };
    let acting = [
        "/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>",
        "/AA<</WC<</S/J#61vaScript/J#53(1)>>>>",
        "/Names<</JavaScript<</Names[]>>>>",
        "/OpenAction<</S/Launch/F(a.exe)>>",
        "/OpenAction<</S/SubmitForm/F(https://example.invalid/)>>",
    ];
    let bytes: Vec<Vec<u8>> = ["/OpenAction[0/Fit]"].iter().chain(&acting).map(|entry| with(entry)).collect();
    let files: Vec<(&str, &[u8])> = bytes.iter().map(|b| ("材料.pdf", b.as_slice())).collect();
    let path = with_files(&clerk, &files);
    // A place to begin reading at is no action.
    clerk.get(&format!("{path}/files/0/inline")).expect(200);
    for (place, entry) in (1..).zip(acting) {
        let answer = clerk.get(&format!("{path}/files/{place}/inline"));
        assert!(answer.status == 422 && answer.says("不能在页面中查看"), "{entry}: {}", answer.status);
        clerk.get(&format!("{path}/files/{place}")).expect(200);
    }
}
