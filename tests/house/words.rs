//! The word book: who may set it, what is wrong with a line, and that the next search goes by it.

use super::county::{County, Person};
use super::form::{Form, forms};

const ADDRESS: &str = "/search-words";

fn form(person: &Person) -> Form {
    forms(&person.get(ADDRESS).expect(200).text()).into_iter().find(|f| f.has("seen")).unwrap()
}

fn save(person: &Person, own: &str, off: &str) -> super::wire::Answer {
    person.submit(&form(person).set("own", own).set("off", off))
}

/// What the page of results says was looked for besides.
fn besides(person: &Person, text: &str) -> String {
    let page = person.search(text).text();
    page.split("已同时按法律用语查找：").nth(1).and_then(|t| t.split('。').next()).unwrap_or_default().to_owned()
}

#[test]
fn whoever_keeps_regulations_sets_words_and_the_next_search_goes_by_them() {
    let county = County::demo();
    let law = county.person("fagui");
    assert!(besides(&law, "老赖跑路怎么办呢").contains("失信被执行人"));
    assert!(besides(&law, "老赖欠钱怎么办呢").contains("债务"));
    let done = save(&law, "跑路，逃匿、转移财产，法规室整理\n老赖，被执行人，本县口径", "欠钱").expect(303);
    let page = law.get(done.location()).expect(200);
    assert!(page.says("已保存") && page.says("跑路，逃匿、转移财产，法规室整理") && page.says("已停用"), "{}", page.text());
    assert_eq!(besides(&law, "老赖跑路怎么办呢"), "被执行人、逃匿、转移财产");
    assert_eq!(besides(&law, "老赖欠钱怎么办呢"), "被执行人");
    county.kill_9();
    county.restart();
    let law = county.person("fagui");
    assert_eq!(besides(&law, "老赖跑路怎么办呢"), "被执行人、逃匿、转移财产");
    // Somebody else reads it, and sets nothing.
    let clerk = county.person("xinfang");
    let page = clerk.get(ADDRESS).expect(200);
    assert!(page.says("法规室整理") && !page.says("name=\"own\""));
    clerk.post_form(ADDRESS, &[("own", ""), ("off", ""), ("seen", "")]).expect(404);
    // Both sides are in the journal.
    let text = county.auditor().get("/audit?size=100").expect(200).text();
    assert!(text.contains("设置俗语与法律用语"), "{text}");
    // A line taken away is taken back.
    save(&law, "", "").expect(303);
    assert!(besides(&law, "老赖跑路怎么办呢").contains("失信被执行人"));
    county.is_sound();
}

#[test]
fn a_wrong_line_sets_nothing_and_keeps_what_was_typed() {
    let county = County::demo();
    let law = county.person("fagui");
    let before = form(&law);
    let page = save(&law, "跑路，逃匿，法规室\n跑路，跑路，法规室\n讨薪", "没有的词").expect(422);
    for said in ["第 2 行", "第 3 行", "没有“没有的词”", "跑路，逃匿，法规室\n跑路，跑路，法规室\n讨薪"] {
        assert!(page.says(said), "{said}: {}", page.text());
    }
    assert!(law.get(ADDRESS).expect(200).says("value=\"\""));
    save(&law, "跑路，逃匿，法规室", "").expect(303);
    // Whoever began before that is told, and nothing is lost.
    let late = law.submit(&before.set("own", "讨薪，追索劳动报酬，法规室")).expect(422);
    assert!(late.says("别人刚刚改过") && late.says("讨薪，追索劳动报酬，法规室"));
    assert!(law.get(ADDRESS).expect(200).says("跑路，逃匿，法规室"));
    // What is not found among the program's words says so.
    assert!(law.get("/search-words?word=%E8%80%81%E8%B5%96").expect(200).says("失信被执行人"));
    assert!(law.get("/search-words?word=xyz").expect(200).says("没有含“xyz”的随附词条"));
}
