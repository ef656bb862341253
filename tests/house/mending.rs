//! Wrong input: every error at once, everything typed still there, nothing stored until it is right.

use super::county::{County, path_of};
use super::form::{Form, escaped, without_scripts};

const CLERK: &str = "枫桥坞镇纪委";
const TEXT: &str = "“引号” \"quoted\" 'single' \
    <script>alert(1)</script> &amp; & </textarea><b>\r\n\r\n  第二段 \u{202e}反\u{202c}";
const NAME: &str = "王\"五<img src=x onerror=alert(2)>&lt;";

fn wrong(form: Form) -> Form {
    form.fill(&[
        ("title", ""),
        ("text", TEXT),
        ("received", "2026-02-30"),
        ("people", "0"),
        ("happened", "昨天"),
        ("place", " 村口 "),
        ("accused.0.name", NAME),
        ("accused.0.post", "会计"),
        ("accused.1.rank", "village"),
        ("accused.1.org", "某村"),
        ("petitioner.name", "来信人甲"),
        ("petitioner.phone", "13000000000"),
        ("categories", "integrity"),
        ("topics", "rural"),
        ("feedback", "1"),
        ("remarks", "备注\r\n第二行"),
    ])
}

/// What stands in the form of the page is what was sent, whatever was wrong.
#[track_caller]
fn kept(sent: &Form, again: &Form) {
    let plain = |s: &str| s.replace('\r', "");
    for (name, value) in &sent.pairs {
        if !value.is_empty() && !["submit", "csrf", "rows.add", "staged"].contains(&name.as_str()) {
            let there = again.pairs.iter().any(|(n, v)| n == name && plain(v) == plain(value));
            assert!(there, "{name}: {value:?} became {:?}", again.value(name));
        }
    }
}

#[test]
fn all_errors_are_told_at_once_and_everything_typed_is_kept_with_its_file() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let sent = wrong(clerk.form("/petition/new")).attach("来信 \"原件\".txt", b"scan");
    let page = clerk.submit(&sent).expect(422);
    for words in [
        "有 6 处需要修改，已填内容都已保留",
        "请填写标题。",
        "收到时间请写成",
        "联名或来访人数请填 1 到 100000 之间的整数。",
        "问题发生时间请写成",
        "第 1 行：请填写职级。",
        "第 2 行：请填写姓名。",
        "已上传，保存后生效",
    ] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    let text = without_scripts(&page.text());
    for raw in ["<script", "<img", "</textarea><b>"] {
        assert!(!text.contains(raw), "{raw} stands in the page as it was typed");
    }
    assert!(text.contains(&escaped(NAME)));
    let again = Form::of(&page);
    kept(&sent, &again);
    assert!(clerk.get("/petition?all=1").says("还没有信访件"), "something was stored");

    // A second wrong round keeps the file as well; then it is mended.
    let page = clerk.submit(&again.clone().set("title", "有了标题")).expect(422);
    kept(&again, &Form::of(&page));
    let mended = Form::of(&page).fill(&[
        ("received", "2026-02-28"),
        ("people", "3"),
        ("happened", "2025"),
        ("accused.0.rank", "village"),
        ("accused.1.name", "赵六"),
    ]);
    let path = path_of(&clerk.submit(&mended).expect(303));
    let record = clerk.get(&path).expect(200);
    assert!(record.says("有了标题") && record.says(&escaped(NAME)) && record.says("&lt;script&gt;alert(1)"));
    assert!(record.says("1号") && record.says("来信 "));
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"scan");
    assert!(!record.says("来信人甲"));
}

/// A file name with U+007F ended in a page without form, and an hour of typing was gone.
#[test]
fn a_file_name_that_cannot_be_read_loses_no_text_and_no_other_file() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let sent = clerk.form("/petition/new").fill(super::county::PETITION).set("remarks", "写了一小时");
    // So large that the server has to read on past it.
    let sent = sent.attach("原件.txt", b"scan").attach("扫描\u{7f}件.pdf", &vec![b'x'; 3 << 20]);
    let page = clerk.submit(&sent).expect(422);
    assert!(page.says("文件名不能含有看不见的字符"), "{}", page.text());
    let again = Form::of(&page);
    kept(&sent, &again);
    assert!(again.has("staged") && clerk.get("/petition?all=1").says("还没有信访件"));
    let path = path_of(&clerk.submit(&again).expect(303));
    assert!(clerk.get(&path).says("写了一小时"));
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"scan");
}

#[test]
fn too_many_rows_are_told_beside_the_rows() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let mut form = clerk.form("/petition/new").fill(super::county::PETITION);
    for n in 1..=450 {
        form = form.set(&format!("accused.{n}.name"), "某会计").set(&format!("accused.{n}.rank"), "village");
    }
    let page = clerk.submit(&form).expect(422);
    let rows = page.text();
    let rows = rows.split("id=\"f-accused\"").nth(1).unwrap();
    assert!(rows.contains("这次有 451 行；第 400 行以后的没有保留"), "nothing is said beside the rows");
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
}

#[test]
fn adding_a_row_keeps_everything_typed_and_the_file() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let sent = wrong(clerk.form("/petition/new")).set("rows.add", "accused").attach("原件.txt", b"scan");
    let page = clerk.submit(&sent);
    let again = Form::of(&page);
    kept(&sent, &again);
    assert!(again.has("accused.2.name") && again.has("staged"));
    assert!(!page.says("处需要修改"));
}

#[test]
fn wrong_input_to_an_edit_changes_nothing_and_keeps_everything() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "原来的标题"), ("petitioner.name", "来信人乙")]);
    let sent = wrong(clerk.form(&format!("{path}/edit"))).attach("补充.txt", b"more");
    let page = clerk.submit(&sent).expect(422);
    kept(&sent, &Form::of(&page));
    let record = clerk.get(&path).expect(200);
    assert!(record.says("原来的标题") && !record.says("会计</") && !record.says("补充.txt"));
    // The petitioner was typed into a form that hides one: kept, and saved once there is a reason.
    let reason = Form::of(&page).set("identity.reason", "更正来信人").set("identity.show", "1");
    let page = clerk.submit(&reason).expect(200);
    kept(&sent, &Form::of(&page));
    let mended = Form::of(&page).fill(&[
        ("title", "新的标题"),
        ("received", "2026-02-28"),
        ("people", "3"),
        ("happened", "2025"),
        ("accused.0.rank", "village"),
        ("accused.1.name", "赵六"),
    ]);
    clerk.submit(&mended).expect(303);
    assert!(clerk.get(&path).says("新的标题"));
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"more");
}

#[test]
fn a_text_that_is_too_long_is_not_lost() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let long = "长".repeat(200_001);
    let sent = clerk.form("/petition/new").fill(super::county::PETITION).set("text", &long);
    let page = clerk.submit(&sent).expect(422);
    assert!(page.says("内容最多 200000 个字，现有 200001 个字，请缩短。"));
    kept(&sent, &Form::of(&page));
}

#[test]
fn a_link_to_nothing_is_an_error_and_not_a_record() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let sent = clerk.form("/petition/new").fill(super::county::PETITION).set("assigned_to", "987654");
    clerk.submit(&sent).expect(422);
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
}
