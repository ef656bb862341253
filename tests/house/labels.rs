//! No account reads up: what is labelled above a person's clearance is not there for that person; labels are shown, and
//! changed by those who may, with the approver for what is to be known more widely.

use super::county::{County, PETITION, Person, path_of};
use super::form::{Form, forms};
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
const WORDS: &str = "望月桥护栏工程款";

fn register(clerk: &Person) -> String {
    let form = clerk.form("/petition/new").fill(PETITION).set("title", WORDS);
    path_of(&clerk.submit(&form.attach("原件.txt", b"scan")).expect(303))
}

/// The form of a page that sets the label.
fn labelling(person: &Person, path: &str) -> Option<Form> {
    let page = person.get(path).expect(200).text();
    forms(&page).into_iter().find(|f| f.action == format!("{path}/label"))
}

#[track_caller]
fn label(person: &Person, path: &str, code: &str) -> Answer {
    let form = labelling(person, path).expect("no way to set a label");
    person.submit(&form.fill(&[("label", code), ("label-reason", "按保密要求调整")]))
}

/// Sets the clearance of an account.
fn clear(county: &County, login: &str, code: &str) {
    let secadmin = county.secadmin();
    let list = secadmin.get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(&format!(">{login}<"))).unwrap();
    let account = row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned();
    secadmin.submit(&secadmin.form(&format!("{account}/edit")).set("clearance", code)).expect(303);
}

#[track_caller]
fn is_absent(person: &Person, path: &str) {
    for rest in ["", "/history", "/edit", "/files/0"] {
        let none = person.get(&format!("/petition/98765{rest}")).expect(404);
        let there = person.get(&format!("{path}{rest}")).expect(404);
        assert_eq!(there.steady().len(), none.steady().len(), "{rest}");
    }
    for rest in ["label", "recuse", "move/propose", "identity", "purge"] {
        let pairs = [("label", "core"), ("version", "1"), ("opinion", "x"), ("reason", "查看")];
        let ask = |path: &str| person.post_form(&format!("{path}/{rest}"), &pairs).expect(404).steady().len();
        assert_eq!(ask(path), ask("/petition/98765"), "{rest}");
    }
    assert!(person.get("/petition?all=1").says("还没有信访件") && !person.get("/").says(WORDS));
    assert!(person.search(WORDS).says("没有找到"));
}

#[test]
fn what_is_labelled_above_the_clearance_is_absent_and_comes_back_with_it() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let path = register(&clerk);
    assert!(clerk.get(&path).says("敏感"), "the label of the kind is shown");
    // Nobody labels beyond the own clearance: it would be gone for whoever answers for it.
    assert!(labelling(&head, &path).is_some_and(|f| f.value("label") == "plain"));
    let page = head.get(&path).text();
    assert!(!page.contains("value=\"core\"") && labelling(&clerk, &path).is_none());
    let sent = [("label", "core"), ("label-reason", "x"), ("version", "1")];
    assert!(head.post_form(&format!("{path}/label"), &sent).expect(422).says("自己的知悉范围之上"));
    clear(&county, "zhen04-fz", "core");
    label(&head, &path, "core").expect(303);
    assert!(head.get(&path).expect(200).says("核心") && head.get("/petition?all=1").says(WORDS));
    is_absent(&clerk, &path);
    is_absent(&county.clerk("信访室"), &path);
    clear(&county, "zhen04", "core");
    assert!(clerk.get(&path).expect(200).says(WORDS) && clerk.search(WORDS).says("<mark>"));
    clear(&county, "zhen04", "plain");
    is_absent(&clerk, &path);
    county.restart();
    let clerk = county.clerk(UNIT);
    is_absent(&clerk, &path);
    county.is_sound();
}

#[test]
fn whoever_edits_raises_and_only_the_approver_lowers() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let path = register(&clerk);
    let empty = labelling(&head, &path).unwrap().set("label", "internal");
    assert!(head.submit(&empty).expect(422).says("请填写调整理由"));
    label(&head, &path, "internal").expect(303);
    let form = labelling(&clerk, &path).expect("whoever edits may raise it");
    assert_eq!(form.value("label"), "sensitive");
    let lower = form.clone().fill(&[("label", "plain"), ("label-reason", "公开")]);
    assert!(clerk.submit(&lower).expect(422).says("降低安全标记须由负责人"));
    label(&clerk, &path, "sensitive").expect(303);
    assert!(labelling(&clerk, &path).is_none(), "nothing is left to raise");
    // A form from before a change is told so.
    let stale = form.fill(&[("label", "core"), ("label-reason", "x")]);
    clear(&county, "zhen04", "core");
    assert!(clerk.submit(&stale).expect(422).says("刚被别人修改过"));
    let history = clerk.get(&format!("{path}/history")).expect(200);
    assert!(history.says("安全标记") && history.says("调整安全标记"), "{}", history.text());
    let journal = county.auditor().get("/audit").expect(200);
    assert!(journal.says("调整安全标记") && journal.says("按保密要求调整"));
    assert!(!journal.says(WORDS));
}

#[test]
fn articles_go_with_their_regulation() {
    let county = County::bare();
    let (law, clerk) = (county.person("fagui"), county.clerk(UNIT));
    let rows = format!("{}\n", r#"{"title":"望澜县样例办法","articles":[{"no":"第一条","text":"第一条 槲梧印章管理。"}]}"#);
    let file = county.dir().with_extension("jsonl");
    std::fs::write(&file, rows).unwrap();
    let path = file.to_str().unwrap();
    let done = county.cli(&["import", "regulations", path]);
    assert!(done.status.success(), "{done:?}");
    assert!(clerk.search("槲梧印章").says("<mark>"));
    let list = law.get("/regulation?all=1").text();
    let link = list.split("row-link\" href=\"").nth(1).unwrap();
    let path = link.split('"').next().unwrap().to_owned();
    label(&law, &path, "internal").expect(303);
    clear(&county, "zhen04", "plain");
    clerk.get(&path).expect(404);
    assert!(clerk.search("槲梧印章").finds_nothing(), "an article is known further than its regulation");
    label(&law, &path, "plain").expect(303);
    assert!(clerk.search("槲梧印章").says("<mark>") && clerk.get(&path).expect(200).says("槲梧印章"));
    county.is_sound();
}
