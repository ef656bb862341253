//! The page of results: what was found and why, what narrows it, what may have been meant, and names alike; all of it
//! by right.

use super::county::{County, PETITION, Person, path_of};
use super::form::forms;
use super::wire::Answer;

fn register(clerk: &Person, name: &str, received: &str, title: &str) -> String {
    let typed = [("accused.0.name", name), ("received", received), ("title", title)];
    path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&typed)).expect(303))
}

/// The results under a filter, by the address of the page's own link.
fn narrowed(person: &Person, page: &Answer, words: &str) -> Answer {
    let text = page.text();
    let link = text.split("<a ").skip(1).find(|l| l.split("</a>").next().unwrap().contains(words));
    let link = link.unwrap_or_else(|| panic!("no link says {words}: {text}"));
    let address = link.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    person.get(&address.replace("&amp;", "&")).expect(200)
}

/// How many the page says there are.
fn total(page: &Answer) -> String {
    let text = page.text();
    text.split("共 ").nth(1).and_then(|t| t.split(" 条").next()).unwrap_or_default().to_owned()
}

#[test]
fn results_say_why_and_are_narrowed_and_widened_again() {
    let county = County::bare();
    let clerk = county.clerk("白鹭浦镇纪委");
    for (n, day) in ["2024-03-01", "2025-01-02", "2025-01-30", "2025-11-05"].into_iter().enumerate() {
        register(&clerk, "阙知晦", day, &format!("反映砚溪村低保公示第{n}件"));
    }
    let page = clerk.search("砚溪村");
    let text = page.text();
    assert_eq!(total(&page), "4");
    assert!(text.contains("标题：砚溪村") && !text.contains("正文：砚溪村"), "{text}");
    assert!(clerk.search("补贴时多报 阙知晦").says("正文：补贴时多报") && !text.contains("id=\"alike\""));
    // The years are counted and lead to themselves, a year to its months, a month to what is in it.
    let count = |page: &Answer, span: &str| {
        let text = page.text();
        let line = text.split("<span>").find(|l| l.starts_with(&format!("{span}</span><svg"))).map(str::to_owned);
        line.map(|l| l.split("class=\"count\">").nth(1).unwrap().split('<').next().unwrap().to_owned())
    };
    assert_eq!([count(&page, "2024"), count(&page, "2025")], [Some("1".into()), Some("3".into())]);
    let year = narrowed(&clerk, &page, "<span>2025</span>");
    assert_eq!((total(&year), count(&year, "2025-01"), count(&year, "2024")), ("3".into(), Some("2".into()), None));
    let month = narrowed(&clerk, &year, "<span>2025-01</span>");
    assert_eq!(total(&month), "2");
    // What narrows is named and goes again, also where it leaves nothing.
    assert!(month.says("去掉筛选 2025-01"));
    assert_eq!(total(&narrowed(&clerk, &month, "2025-01 ×")), "4");
    let path = clerk.post_form("/search", &[("text", "砚溪村")]).expect(303).location().to_owned();
    let none = clerk.get(&format!("{path}?from=2020&to=2021&kind=1")).expect(200);
    assert!(none.says("没有找到") && none.says("2020 至 2021 ×"), "{}", none.text());
    assert_eq!(total(&narrowed(&clerk, &narrowed(&clerk, &none, "2020 至 2021 ×"), "信访件 ×")), "4");
    // The words of a question stand in no address.
    assert!(text.split("href=\"").skip(1).all(|l| !l.split('"').next().unwrap().contains("%E7%A0%9A")));
    assert!(page.says("检索写法") && clerk.get("/search").expect(200).says("<details class=\"syntax no-print\" open>"));
}

#[test]
fn what_may_be_meant_and_names_alike_are_offered_from_what_one_may_see() {
    let county = County::bare();
    let (clerk, other) = (county.clerk("白鹭浦镇纪委"), county.clerk("枫桥坞镇纪委"));
    register(&clerk, "阙知晦", "2025-01-02", "反映砚溪村低保公示不实");
    let alike = register(&clerk, "阙知惠", "2025-01-03", "反映另一件");
    let page = clerk.search("阙知晦");
    assert_eq!(total(&page), "1");
    let group = page.text().split("id=\"alike\"").nth(1).unwrap().to_owned();
    assert!(group.contains("同音或近形") && group.contains(&alike), "{group}");
    // Showing it is reading it.
    let history = clerk.get(&alike).expect(200).text();
    assert!(history.contains("阙知惠"));
    let wrong = clerk.search("砚溪村低宝公示");
    let form = forms(&wrong.text()).into_iter().find(|f| f.value("text") == "砚溪村低保公示").unwrap();
    assert_eq!(total(&clerk.get(clerk.submit(&form).expect(303).location()).expect(200)), "1");
    // Whoever may see none of it gets what one gets who asks for what was never there.
    for text in ["阙知晦", "砚溪村低宝公示"] {
        let page = other.search(text).text();
        for word in ["同音或近形", "您是不是要找", "阙知惠", "砚溪村低保"] {
            assert!(!page.contains(word), "{text}: {word}");
        }
    }
    let everyday = clerk.search("老赖不还钱怎么办才好呢");
    assert!(!everyday.says("没有完全相同") || everyday.says("已同时按法律用语查找：失信被执行人"), "{}", everyday.text());
}
