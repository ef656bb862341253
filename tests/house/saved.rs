//! Searches that somebody keeps: theirs alone, with what came since they last looked, counted by right.

use super::county::{County, PETITION, Person, path_of};
use super::form::{Form, forms};
use super::wire::Answer;

const UNIT: &str = "白鹭浦镇纪委";

fn register(clerk: &Person, title: &str) -> String {
    path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).set("title", title)).expect(303))
}

/// The form of a page that is sent to an address with this end.
#[track_caller]
fn form(page: &Answer, end: &str) -> Form {
    forms(&page.text()).into_iter().find(|f| f.action.ends_with(end)).unwrap_or_else(|| panic!("no {end}"))
}

fn save(person: &Person, text: &str, filters: &str, name: &str) -> Answer {
    let results = person.post_form("/search", &[("text", text)]).expect(303).location().to_owned();
    let page = person.get(&format!("{results}{filters}")).expect(200);
    person.submit(&form(&page, "/save").set("name", name))
}

/// The results of the first search that is kept.
fn open(person: &Person) -> Answer {
    let page = person.get("/search").expect(200);
    person.get(person.submit(&form(&page, "/open")).expect(303).location()).expect(200)
}

#[test]
fn a_search_is_kept_and_says_what_is_new_by_right() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(UNIT), county.clerk("枫桥坞镇纪委"));
    assert!(!clerk.get("/search").expect(200).says("保存的检索"));
    register(&clerk, "砚溪村账目不清");
    register(&clerk, "砚溪村道路未修");
    let done = save(&clerk, "砚溪村", "?kind=1&order=new&other=x", "砚溪村的来信").expect(303);
    assert!(clerk.get(done.location()).expect(200).says("检索已保存"));
    for page in ["/search", "/"] {
        let page = clerk.get(page).expect(200);
        assert!(page.says("砚溪村的来信") && page.says("没有新增"), "{}", page.text());
        assert!(!other.get("/search").says("砚溪村的来信"));
    }
    // Of another unit, of other words, and near ones are not counted.
    register(&other, "砚溪村外来的信");
    register(&clerk, "水渠不通水");
    let new = register(&clerk, "砚溪村又来一信");
    assert!(clerk.get("/").expect(200).says("新增 1 件"));
    county.kill_9();
    county.restart();
    let clerk = county.clerk(UNIT);
    assert!(clerk.get("/search").expect(200).says("新增 1 件"));
    let page = open(&clerk);
    let text = page.text();
    assert!(page.says("共 3 条") && text.matches(">新增<").count() == 1, "{text}");
    let marked = text.split("<article").find(|a| a.contains(">新增<"));
    assert!(marked.is_some_and(|m| m.contains(&new)), "{text}");
    assert!(page.says("去掉筛选 信访件") && clerk.get("/").expect(200).says("没有新增"));
    // Another name, and gone.
    let list = clerk.get("/search").expect(200);
    clerk.submit(&form(&list, "/rename").set("name", "砚溪村来信汇总")).expect(303);
    assert!(clerk.get("/search").expect(200).says("砚溪村来信汇总"));
    let answer = clerk.submit(&form(&list, "/remove")).expect(303);
    assert!(!clerk.get(answer.location()).expect(200).says("砚溪村来信汇总"));
    clerk.submit(&form(&list, "/open")).expect(404);
    // Neither words nor names are the auditor's to read, or stand in a log.
    let seen = county.auditor().get("/audit?size=100").expect(200);
    assert!(seen.says("保存检索") && seen.says("打开保存的检索") && !seen.says("砚溪村"));
    assert!(!county.log().contains("砚溪村"));
    county.is_sound();
}

#[test]
fn what_cannot_be_kept_says_why_and_somebody_elses_is_not_there() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(UNIT), county.clerk("枫桥坞镇纪委"));
    save(&clerk, "阙知晦", "", "一").expect(303);
    assert!(save(&clerk, "阙知晦", "", "一").expect(422).says("已有同名的检索"));
    save(&clerk, "阙知晦", "", " ").expect(303);
    assert!(save(&clerk, "阙知晦", "", "").expect(422).says("已有同名的检索"));
    assert!(save(&clerk, "阙知晦", "", &"长".repeat(41)).expect(422).says("40"));
    for n in 2..=19 {
        save(&clerk, "阙知晦", "", &n.to_string()).expect(303);
    }
    assert!(save(&clerk, "阙知晦", "", "第二十一个").expect(422).says("最多保存 20 个"));
    for act in ["open", "remove"] {
        other.post_form(&format!("/saved/1/{act}"), &[]).expect(404);
        other.post_form(&format!("/saved/x/{act}"), &[]).expect(404);
    }
    assert_eq!(clerk.get("/search").expect(200).text().matches("/open\"").count(), 20);
}
