//! Regulations as documents in the browser: recognised, put right, left out, brought in, and known when they come
//! again.

use super::county::{County, Person};
use super::form::{Form, forms};
use super::wire::Answer;

const FIRST: &str = "# 望澜县来访登记办法\n\n（望纪办〔2025〕7号）\n\n第一条　来访当日登记。\n\n第二条　登记后三日内转办。\n";
const OTHER: &str = "# 望澜县印章使用办法\n\n第一条　用印先登记。\n";

/// Asks again until the files have been read.
fn settled(person: &Person, path: &str) -> Answer {
    for _ in 0..600 {
        let page = person.get(path).expect(200);
        if !page.says("http-equiv=\"refresh\"") {
            return page;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{path} never settles");
}

fn upload(person: &Person, files: &[(&str, &str)]) -> (String, Answer) {
    let page = person.get("/import?what=regulation").expect(200);
    let form = forms(&page.text()).into_iter().find(|f| f.has("what")).unwrap();
    let form = files.iter().fold(form, |form, (name, text)| form.attach(name, text.as_bytes()));
    let path = person.submit(&form).expect(303).location().to_owned();
    let page = settled(person, &path);
    (path, page)
}

fn with(page: &Answer, input: &str) -> Form {
    let form = forms(&page.text()).into_iter().find(|f| f.has(input));
    form.unwrap_or_else(|| panic!("no {input} in {}", page.text()))
}

#[test]
fn documents_are_put_right_or_left_out_and_a_second_version_is_known() {
    let county = County::demo();
    let law = county.person("fagui");
    let (path, page) = upload(&law, &[("办法.md", FIRST), ("印章.md", OTHER)]);
    assert!(page.says("望澜县来访登记办法") && page.says("望纪办〔2025〕7号"), "{}", page.text());
    assert!(!page.says("已有同名"));
    // The number was printed wrong, and an article was missing.
    let form = with(&law.get(&format!("{path}?paper=0")).expect(200), "paper");
    let text = format!("{}\n第三条　每月公布办理情况。\n", form.value("text").trim_end());
    let form = form.set("number", "望纪办〔2025〕8号").set("text", &text).to(&path);
    law.submit(&form).expect(303);
    let form = with(&law.get(&format!("{path}?paper=1")).expect(200), "paper").set("leave_out", "1");
    law.submit(&form.to(&path)).expect(303);
    let page = law.get(&path).expect(200);
    assert!(page.says("望纪办〔2025〕8号") && page.says("不导入"), "{}", page.text());
    law.submit(&with(&page, "source").set("do", "run").to(&path)).expect(303);
    let done = settled(&law, &path);
    assert!(done.says("已导入 1 件"), "{}", done.text());
    assert!(law.search("每月公布办理情况").says("望澜县来访登记办法"));
    assert!(!law.search("用印先登记").says("印章使用"), "it was left out");
    // The next version comes, and each leads to the other.
    let (path, page) = upload(&law, &[("办法2026.md", &FIRST.replace("2025〕7", "2026〕1"))]);
    assert!(page.says("已有同名法规 1 部"), "{}", page.text());
    law.submit(&with(&page, "source").set("do", "run").to(&path)).expect(303);
    assert!(settled(&law, &path).says("已导入 1 件"));
    let hits = law.search("望澜县来访登记办法").text();
    let address = hits.split("href=\"/regulation/").nth(1).unwrap().split(['"', '?', '#']).next().unwrap();
    let record = law.get(&format!("/regulation/{address}")).expect(200);
    assert!(record.says("其他版本"), "{}", record.text());
}
