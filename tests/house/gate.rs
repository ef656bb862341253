//! Article 16: persons of section rank and above never come in, and nothing typed about them stays.

use super::county::{County, PETITION, Person, path_of};
use super::form::Form;

const CLERK: &str = "白鹭浦镇纪委";
/// What the rule refuses, as the list of ranks has it.
const REFUSED: [&str; 10] = [
    "乡科级正职",
    "乡科级副职",
    "一级主任科员",
    "二级主任科员",
    "三级主任科员",
    "四级主任科员",
    "事业单位管理七级",
    "事业单位管理八级",
    "县处级及以上",
    "调研员、巡视员",
];
/// What it lets pass.
const PASSED: [&str; 11] = [
    "村(社区)干部",
    "一级科员",
    "二级科员",
    "试用期人员",
    "机关工勤人员",
    "事业单位管理九级及以下",
    "专业技术人员",
    "企业一般人员",
    "农民",
    "其他人员",
    "待核实",
];
const GUIDANCE: &str = "不得通过本系统上报科级及以上干部信息";
const MARKS: [&str; 4] = ["砚青祠堂翻修", "漆麓桓", "梧泠村口", "槲寄生卷宗"];

fn forbidden(clerk: &Person) -> Form {
    clerk.form("/petition/new").fill(&[
        ("title", MARKS[0]),
        ("text", MARKS[2]),
        ("accused.0.name", "某会计"),
        ("accused.0.rank", "village"),
        ("accused.1.name", MARKS[1]),
        ("accused.1.rank", "sect-head"),
        ("petitioner.name", MARKS[3]),
    ])
}

/// Guidance, and not a word of what was typed.
#[track_caller]
fn refused(answer: &super::wire::Answer) {
    assert_eq!(answer.status, 422);
    assert!(answer.says(GUIDANCE), "{}", answer.text());
    assert!(MARKS.iter().all(|m| !answer.says(m)), "the answer repeats what was typed");
}

#[track_caller]
fn nothing_stays(county: &County, clerk: &Person) {
    for mark in MARKS {
        let found = clerk.search(mark);
        assert_eq!(found.text().matches(mark).count(), 1, "only the search box repeats the question: {mark}");
        assert!(found.finds_nothing(), "{mark}");
    }
    assert_eq!(county.files("blobs"), Vec::<std::path::PathBuf>::new());
    assert_eq!(county.files("tmp"), Vec::<std::path::PathBuf>::new());
}

/// ASVS 16.3.3
#[test]
fn a_person_of_section_rank_is_refused_and_leaves_no_trace_but_one_entry() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    refused(&clerk.submit(&forbidden(&clerk).attach("槲寄生卷宗.pdf", &[7; 100_000])));
    nothing_stays(&county, &clerk);
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
    let auditor = county.auditor();
    let journal = auditor.get("/audit").expect(200);
    assert_eq!(journal.text().matches("科级限制拦截").count(), 1);
    assert!(MARKS.iter().all(|m| !journal.says(m)));
    // No number was used up.
    assert!(clerk.get(&clerk.register(&[])).says("〕1号"));
}

#[test]
fn every_rank_of_the_rule_is_refused_and_every_other_one_comes_in() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let listed = clerk.get("/petition/new").text();
    let ranks =
        listed.split("name=\"accused.0.rank\"").nth(1).unwrap().split("</select>").next().unwrap().to_owned();
    assert_eq!(
        ranks.matches("<option").count(),
        REFUSED.len() + PASSED.len() + 1,
        "the list of ranks changed"
    );
    for rank in REFUSED {
        let form = clerk.form("/petition/new").fill(PETITION).set("accused.0.rank", rank);
        assert!(clerk.submit(&form).expect(422).says(GUIDANCE), "{rank}");
    }
    for rank in PASSED {
        clerk.register(&[("accused.0.rank", rank)]);
    }
}

#[test]
fn a_file_that_waited_for_mending_goes_when_the_rule_refuses_the_form() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let first = clerk.form("/petition/new").fill(PETITION).set("title", "").attach("原件.pdf", b"waits");
    let mended = Form::of(&clerk.submit(&first).expect(422));
    assert_eq!(county.files("blobs").len(), 1);
    let pairs = forbidden(&clerk).pairs;
    let typed = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).filter(|(n, _)| *n != "submit");
    let form = mended.fill(&typed.collect::<Vec<_>>());
    refused(&clerk.submit(&form));
    nothing_stays(&county, &clerk);
}

#[test]
fn an_edit_cannot_bring_in_such_a_person_and_the_record_stays_as_it_was() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "原来的标题")]);
    let form = clerk.form(&format!("{path}/edit")).fill(&[
        ("title", MARKS[0]),
        ("accused.1.name", MARKS[1]),
        ("accused.1.rank", "sect-deputy"),
    ]);
    refused(&clerk.submit(&form.attach("槲寄生卷宗.pdf", b"scan")));
    nothing_stays(&county, &clerk);
    let history = clerk.get(&format!("{path}/history")).expect(200);
    assert!(history.says("原来的标题") && !history.says("修改</span>"));
}

#[test]
fn the_guidance_arrives_even_when_a_large_file_was_being_sent() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = forbidden(&clerk).attach("槲寄生卷宗.pdf", &vec![7; 24 << 20]);
    let answer = clerk.try_submit(&form).expect("the server hung up before the person could read why");
    refused(&answer);
    nothing_stays(&county, &clerk);
}

#[test]
fn an_unknown_rank_waits_until_it_is_known() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION).set("accused.0.rank", "unknown");
    let path = path_of(&clerk.submit(&form).expect(303));
    let page = clerk.get(&path).expect(200);
    assert!(page.says("待补全") && !page.says("提交拟办"));
    clerk.submit(&clerk.form(&format!("{path}/edit")).set("accused.0.rank", "village")).expect(303);
    assert!(clerk.get(&path).says("提交拟办"));
}
