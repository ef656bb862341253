//! What was entered by mistake is taken back: the number is spent, the record stays to be read, nobody waits for it.

use super::county::{County, PETITION, Person, path_of};
use super::form::{Form, forms};

const CLERK: &str = "柳沟台镇纪委";
const REASON: &str = "重复登记，以信访登记簿为准";

/// The form of a page that takes the record back.
#[track_caller]
fn voiding(person: &Person, path: &str, name: &str) -> Form {
    let page = person.get(path).expect(200).text();
    let action = format!("{path}/move/{name}");
    forms(&page).into_iter().find(|f| f.action == action).unwrap_or_else(|| panic!("no {action}: {page}"))
}

fn step(person: &Person, path: &str, name: &str) {
    let form = person.form(path).to(&format!("{path}/move/{name}")).set("opinion", "办理意见");
    person.submit(&form).expect(303);
}

#[test]
fn a_voided_petition_keeps_its_number_and_is_read_and_nothing_else() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "登记错的信访件")]);
    let open_edit = clerk.form(&format!("{path}/edit")).set("title", "改过的标题");
    let form = voiding(&clerk, &path, "void");
    for empty in ["", " \r\n "] {
        assert!(clerk.submit(&form.clone().set("opinion", empty)).expect(422).says("请填写作废理由。"));
    }
    clerk.submit(&form.set("opinion", REASON)).expect(303);

    let page = clerk.get(&path).expect(200);
    assert!(page.says("已作废") && page.says(REASON) && page.says("登记错的信访件") && page.says("〕1号"));
    assert!(
        !page.says(&format!("{path}/edit")) && !page.says("/move/"),
        "a void record offers something to do"
    );
    assert_eq!(clerk.get(&format!("{path}/edit")).expect(303).location(), path);
    // Moves and changes made by hand, and a form that was open before.
    for name in ["void", "propose", "archive"] {
        let pairs = [("version", "2"), ("opinion", "再来一次"), ("submit", name)];
        clerk.post_form(&format!("{path}/move/{name}"), &pairs).expect(422);
    }
    let late = clerk.submit(&open_edit).expect(422);
    let again = clerk.submit(&Form::of(&late)).expect(422);
    assert!(again.says("已作废，只能查看") && Form::of(&again).value("title") == "改过的标题");
    assert!(!clerk.get(&path).says("改过的标题"));
    let history = clerk.get(&format!("{path}/history")).expect(200);
    assert!(history.says("待拟办 → 已作废") && history.says(REASON));

    // The number is spent, also after a restart; the store passes its checks.
    assert!(clerk.get(&clerk.register(&[])).says("〕2号"));
    county.restart();
    clerk.log_in(super::passwords::PASSWORD).expect(303);
    assert!(clerk.get(&path).expect(200).says("已作废"));
    county.is_sound();
}

#[test]
fn a_voided_petition_is_out_of_lists_and_counts_but_in_its_tab_and_in_search() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "砚台路灯一事")]);
    let kept = clerk.register(&[("title", "留下的那一件")]);
    let desk = |person: &Person| person.get("/").expect(200).text();
    assert!(desk(&clerk).contains("砚台路灯一事") && desk(&clerk).contains("全部 2"));
    clerk.submit(&voiding(&clerk, &path, "void").set("opinion", REASON)).expect(303);

    let list = clerk.get("/petition?all=1").expect(200);
    assert!(list.says("留下的那一件") && !list.says("砚台路灯一事") && list.says("共 1 条"));
    assert!(
        list.says("全部<span class=\"count\">1</span>") && list.says("已作废<span class=\"count\">1</span>")
    );
    let tab = clerk.get("/petition?state=9").expect(200);
    assert!(tab.says("砚台路灯一事") && !tab.says("留下的那一件"));
    let desk = desk(&clerk);
    assert!(!desk.contains("砚台路灯一事") && desk.contains("全部 1") && !desk.contains("已作废"), "{desk}");
    assert!(desk.contains("待我办理<span class=\"count\">1</span>"), "{desk}");
    let found = clerk.search("砚台路灯").text();
    let hit = found.split("<article").find(|h| h.contains(&path)).expect("search finds what is void");
    assert!(hit.contains("已作废"), "{hit}");
    assert!(
        !clerk
            .search("留下的那一件")
            .text()
            .split("<article")
            .any(|h| h.contains(&kept) && h.contains("已作废"))
    );
}

#[test]
fn a_clerk_takes_back_an_own_entry_before_it_is_proposed_and_the_head_any_later_one() {
    let county = County::bare();
    let (clerk, head, all) = (county.clerk(CLERK), county.approver(CLERK), county.demo_user());
    let path = clerk.register(&[]);
    // Somebody else with the same duty cannot, whatever is sent.
    let by_hand = [("version", "1"), ("opinion", REASON), ("submit", "v1")];
    let page = all.post_form(&format!("{path}/move/void"), &by_hand);
    assert!(page.status == 404 || page.says("只能作废自己登记的"), "{} {}", page.status, page.text());
    head.post_form(&format!("{path}/move/void"), &by_hand).expect(404);
    county.approver("杏林坪镇纪委").post_form(&format!("{path}/move/annul"), &by_hand).expect(404);
    assert!(clerk.get(&path).says("待拟办"));

    step(&clerk, &path, "propose");
    let page = clerk.get(&path).expect(200);
    assert!(!page.says("登记有误"), "what lies on the head's table is not taken back by the clerk");
    clerk
        .post_form(&format!("{path}/move/void"), &[("version", "2"), ("opinion", REASON), ("submit", "v2")])
        .expect(422);
    // The head is not told to wait for anything more than before, and may take it back at any state.
    step(&head, &path, "accept");
    assert!(!head.get("/").says("信访件 · 已受理"), "a way out is no work that waits");
    head.submit(&voiding(&head, &path, "annul").set("opinion", REASON)).expect(303);
    assert!(clerk.get(&path).says("已作废"));
    // Who prepared does not decide that it never was: one account with every duty.
    let own = all.register(&[]);
    step(&all, &own, "propose");
    let page = all
        .post_form(&format!("{own}/move/annul"), &[("version", "2"), ("opinion", REASON), ("submit", "v3")]);
    assert!(page.expect(422).says("经办和审批不能是同一个人"));
}

#[test]
fn a_voided_regulation_is_shown_as_void_with_its_articles() {
    let county = County::demo();
    let law = county.person("fagui");
    let list = law.get("/regulation?all=1&size=100").expect(200).text();
    let path = list.split("class=\"row-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let article = law.get(&path).expect(200).text();
    let words: String =
        article.split("<div class=\"text\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    law.submit(&voiding(&law, &path, "void").set("opinion", REASON)).expect(303);
    let page = law.get(&path).expect(200);
    assert!(page.says("已作废") && page.says(REASON) && !page.says(&format!("{path}/edit")));
    assert!(!law.get("/regulation?all=1&size=100").says(&format!("href=\"{path}\"")));
    assert!(law.get("/regulation?state=3").says(&format!("href=\"{path}\"")));
    let piece: String = words.chars().take(24).collect();
    let found = law.search(&format!("\"{piece}\"")).text();
    let hit = found
        .split("<article")
        .find(|h| h.contains(&format!("href=\"{path}?page=")))
        .expect("its article is found");
    assert!(hit.contains("已作废"), "{hit}");
    county.is_sound();
}

#[test]
fn a_double_click_voids_once() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION);
    let path = path_of(&clerk.submit(&form).expect(303));
    let form = voiding(&clerk, &path, "void").set("opinion", REASON);
    clerk.submit(&form).expect(303);
    clerk.submit(&form).expect(303);
    assert_eq!(clerk.get(&path).text().matches(REASON).count(), 1);
}
