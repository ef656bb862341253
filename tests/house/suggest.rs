//! What the search box offers while somebody types: by right as everything, in no address, and answered for.

use serde_json::Value;

use super::county::{County, PETITION, Person, path_of};

fn register(clerk: &Person, name: &str, title: &str) -> String {
    let typed = [("accused.0.name", name), ("title", title)];
    path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&typed)).expect(303))
}

/// Addresses of what is offered, and the answer as it came.
fn offers(person: &Person, typed: &str) -> (Vec<String>, Vec<Value>) {
    let answer = person.post_form("/suggest", &[("text", typed)]).expect(200);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert!(answer.header("cache-control").contains("no-store"));
    let all: Vec<Value> = serde_json::from_str(&answer.text()).unwrap();
    (all.iter().map(|o| o["path"].as_str().unwrap().to_owned()).collect(), all)
}

#[test]
fn what_is_typed_is_met_by_titles_names_numbers_and_their_letters() {
    let county = County::bare();
    let clerk = county.clerk("白鹭浦镇纪委");
    let one = register(&clerk, "阙知晦", "砚溪村低保公示不实");
    let two = register(&clerk, "阙志惠", "<b>砚溪村</b>账目不清");
    for (typed, wanted) in [
        ("砚溪村低", vec![&one]),
        ("yxcdb", vec![&one]),
        ("yanxicundibao", vec![&one]),
        ("阙知", vec![&one]),
        ("quezhih", vec![&one, &two]),
        ("QZH", vec![&one, &two]),
        ("低保公示", vec![]),
        ("", vec![]),
        ("  ", vec![]),
    ] {
        let mut got = offers(&clerk, typed).0;
        got.sort_unstable();
        assert_eq!(got.iter().collect::<Vec<_>>(), wanted, "{typed}");
    }
    assert_eq!(offers(&clerk, "quezhihuib").1.len(), 0);
    assert_eq!(offers(&clerk, "quezhihui").1[0]["beside"], "阙知晦");
    let number = offers(&clerk, "砚溪村低").1[0]["beside"].as_str().unwrap().to_owned();
    assert_eq!(offers(&clerk, &number).0, [one.as_str()]);
    assert!(offers(&clerk, &"阙".repeat(3000)).0.is_empty());
    // Text stays text.
    assert!(offers(&clerk, "阙志惠").1[0]["title"].as_str().unwrap().starts_with("<b>"));
    let page = clerk.get("/search").expect(200).text();
    assert_eq!(page.matches("data-suggest").count(), 2);
    // What was shown is answered for, and what was typed is sealed.
    let seen = county.auditor().get("/audit").expect(200).text();
    assert!(seen.contains("检索提示") && !seen.contains("yxcdb") && !seen.contains("阙知"));
    assert!(!county.log().contains("阙知") && !county.log().contains("quezhih"));
}

#[test]
fn nobody_is_offered_what_they_may_not_see() {
    let county = County::bare();
    let (clerk, other) = (county.clerk("白鹭浦镇纪委"), county.clerk("枫桥坞镇纪委"));
    let named = [("petitioner.name", "闻人渡舟"), ("accused.0.name", "阙知晦")];
    let path = path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&named)).expect(303));
    assert_eq!(offers(&clerk, "阙知晦").0, [path]);
    for person in [&other, &county.sysadmin(), &county.secadmin(), &county.auditor()] {
        let hidden = person.post_form("/suggest", &[("text", "阙知晦")]).expect(200);
        let absent = person.post_form("/suggest", &[("text", "无此姓名")]).expect(200);
        assert_eq!(hidden.text(), absent.text());
        assert_eq!(hidden.text(), "[]");
    }
    // A petitioner is offered to nobody, not even to whoever may open identities.
    for typed in ["闻人渡舟", "闻人", "wrdz", "wenren"] {
        assert!(offers(&clerk, typed).0.is_empty(), "{typed}");
    }
    // The person who is named is kept out of it, also here.
    let own = [("accused.0.name", "石鼓岭镇负责人"), ("accused.0.org", "石鼓岭镇人民政府"), ("title", "砚青祠堂去向")];
    let (clerk, head) = (county.clerk("石鼓岭镇纪委"), county.approver("石鼓岭镇纪委"));
    let path = path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&own)).expect(303));
    for typed in ["砚青", "石鼓岭镇负", "yqct"] {
        assert_eq!((offers(&clerk, typed).0, offers(&head, typed).0.len()), (vec![path.clone()], 0), "{typed}");
    }
    clerk.get("/suggest").expect(404);
}
