//! A petition comes in: numbered, listed, found, its attachments whole — also after the power was cut.

use super::county::{County, PETITION, path_of, year};
use super::form::{forms, without_scripts};

const CLERK: &str = "石鼓岭镇纪委";
const TEXT: &str =
    "来信人称，该村道路硬化工程由村主任亲属承包，工程款多付四万余元，村务公开栏从未公示。\n请核查。";
/// Six characters from the middle of a sentence.
const PIECE: &str = "属承包，工程";

/// Bytes without a pattern, the same for a seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

#[test]
fn a_petition_is_numbered_listed_found_and_outlives_a_power_cut() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let scan = noise(1, 300_000);
    let form =
        clerk.form("/petition/new").fill(PETITION).fill(&[("title", "反映道路工程款问题"), ("text", TEXT)]);
    let saved = clerk.submit(&form.attach("银行流水（第1页）.pdf", &scan)).expect(303);
    let path = path_of(&saved);
    let number = format!("信访〔{}〕1号", year());
    let page = clerk.get(saved.location()).expect(200);
    assert!(page.says(&format!("已登记，编号 {number}")) && page.says("银行流水（第1页）.pdf"));
    let look = |clerk: &super::county::Person| {
        let list = clerk.get("/petition?all=1").expect(200);
        assert!(list.says(&number) && list.says("反映道路工程款问题"));
        let found = clerk.search(PIECE);
        let marked = format!("<mark>{PIECE}</mark>");
        assert!(found.says(&marked) && found.says(&format!("href=\"{path}\"")), "{}", found.text());
        let file = clerk.get(&format!("{path}/files/0")).expect(200);
        assert!(file.body == scan, "the attachment came back changed");
        assert!(file.header("content-disposition").starts_with("attachment; filename*=UTF-8''%E9%93%B6"));
        assert_eq!(file.header("content-type"), "application/octet-stream");
    };
    look(&clerk);
    county.kill_9();
    county.restart();
    clerk.log_in(super::passwords::PASSWORD).expect(303);
    look(&clerk);
    county.is_sound();
}

#[test]
fn numbers_count_up_across_units_and_a_restart() {
    let county = County::bare();
    let units = [CLERK, "枫桥坞镇纪委"];
    let clerks = units.map(|unit| county.clerk(unit));
    let number = |clerk: &super::county::Person| {
        let page = clerk.get(&clerk.register(&[])).text();
        let at = page.find("信访〔").unwrap();
        page[at..].split('号').next().unwrap().to_owned()
    };
    let mut all: Vec<String> = (0..4).map(|n| number(&clerks[n % 2])).collect();
    county.restart();
    clerks[0].log_in(super::passwords::PASSWORD).expect(303);
    all.push(number(&clerks[0]));
    let expected: Vec<String> = (1..6).map(|n| format!("信访〔{}〕{n}", year())).collect();
    assert_eq!(all, expected);
}

#[test]
fn an_attachment_of_several_megabytes_comes_back_whole() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let film = noise(2, 9 << 20);
    let form = clerk.form("/petition/new").fill(PETITION).attach("录像.mp4", &film).attach("空.txt", b"");
    let path = path_of(&clerk.submit(&form).expect(303));
    assert!(clerk.get(&format!("{path}/files/0")).expect(200).body == film);
    assert!(clerk.get(&format!("{path}/files/1")).expect(200).body.is_empty());
}

#[test]
fn an_attachment_that_was_not_taken_is_never_passed_over_in_silence() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let mut form = clerk.form("/petition/new").fill(PETITION);
    for n in 0..51 {
        form = form.attach(&format!("第{n}页.txt"), format!("内容{n}").as_bytes());
    }
    let answer = clerk.submit(&form);
    let said = match answer.status {
        303 => clerk.get(answer.location()).text(),
        _ => answer.text(),
    };
    assert!(said.contains("附件最多 50 个"), "the fifty-first file is gone and nobody was told");
}

#[test]
fn attachments_are_added_and_taken_away_by_editing() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION).attach("甲.txt", b"one").attach("乙.txt", b"two");
    let path = path_of(&clerk.submit(&form).expect(303));
    let page = clerk.get(&format!("{path}/edit")).expect(200).text();
    let tag = page.split("<input").find(|t| t.contains("name=\"files.drop\"")).unwrap().to_owned();
    let blob = super::form::attribute(&tag, "value").unwrap();
    let form = clerk.form(&format!("{path}/edit")).set("files.drop", &blob).attach("丙.txt", b"three");
    clerk.submit(&form).expect(303);
    let after = clerk.get(&path).expect(200);
    assert!(!after.says("甲.txt") && after.says("乙.txt") && after.says("丙.txt"));
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"two");
    assert_eq!(clerk.get(&format!("{path}/files/1")).expect(200).body, b"three");
    clerk.get(&format!("{path}/files/2")).expect(404);
}

#[test]
fn every_page_with_a_form_can_be_used_without_script() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    for page in ["/", "/petition/new", &path, &format!("{path}/edit"), "/search", "/password"] {
        let text = without_scripts(&clerk.get(page).expect(200).text());
        assert!(
            !text.contains("<script") && !text.contains(" onclick") && !text.contains(" style="),
            "{page}"
        );
        assert!(forms(&text).iter().all(|f| f.action.starts_with('/')), "{page}");
    }
}
