//! Handling: who proposes does not approve, every step has its opinion, and the story can be read afterwards.

use super::county::{County, Person};
use super::form::Form;

const CLERK: &str = "石鼓岭镇纪委";

fn step(person: &Person, path: &str, name: &str, opinion: &str) -> super::wire::Answer {
    let form = person.form(path).to(&format!("{path}/move/{name}")).set("opinion", opinion);
    person.submit(&form)
}

#[test]
fn a_petition_goes_its_whole_way_and_every_opinion_can_be_read() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = clerk.register(&[]);
    let steps = [
        (&clerk, "propose", "拟予受理，由本镇自办。", "待批办"),
        (&approver, "return", "请补充发放名册。", "待拟办"),
        (&clerk, "propose", "名册已补。", "待批办"),
        (&approver, "accept", "同意受理。", "已受理"),
        (&clerk, "conclude", "已查清，不属实。", "待审核办结"),
        (&approver, "supplement", "补充谈话记录。", "已受理"),
        (&clerk, "conclude", "谈话记录已补。", "待审核办结"),
        (&approver, "confirm", "同意办结。", "已办结"),
        (&clerk, "archive", "资料齐全，归档。", "已归档"),
    ];
    for (who, name, opinion, state) in steps {
        let done = step(who, &path, name, opinion).expect(303);
        let page = who.get(done.location()).expect(200);
        assert!(page.says(&format!("已办理，现为“{state}”")), "{name}");
    }
    let page = clerk.get(&path).expect(200).text();
    let trail = page.split("<ol class=\"trail\">").nth(1).unwrap().split("</ol>").next().unwrap().to_owned();
    let mut from = 0;
    for (_, _, opinion, _) in steps {
        from += trail[from..]
            .find(opinion)
            .unwrap_or_else(|| panic!("{opinion} is not there, or not in its order"));
    }
    assert!(trail.contains("石鼓岭镇经办") && trail.contains("石鼓岭镇负责人"));
    let history = clerk.get(&format!("{path}/history")).text();
    assert!(history.contains("待拟办 → 待批办") && history.contains("待审核办结 → 已办结"));
    county.is_sound();
}

#[test]
fn who_proposed_does_not_approve_whatever_else_this_person_may_do() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    step(&clerk, &path, "propose", "拟予受理").expect(303);
    let version = ("version", "2");
    clerk
        .post_form(&format!("{path}/move/accept"), &[version, ("opinion", "同意"), ("submit", "a1")])
        .expect(404);
    let other = county.approver("枫桥坞镇纪委");
    other
        .post_form(&format!("{path}/move/accept"), &[version, ("opinion", "同意"), ("submit", "a2")])
        .expect(404);
    assert!(clerk.get(&path).says("待批办"));
    // One account with both duties: still not on its own proposal.
    let all = county.demo_user();
    let own = all.register(&[]);
    step(&all, &own, "propose", "拟予受理").expect(303);
    // The page does not offer it, and a request made by hand is refused with the text kept.
    assert!(all.get(&own).says("须由另一位负责人审批"));
    let by_hand = [version, ("opinion", "自己同意"), ("submit", "a3")];
    let page = all.post_form(&format!("{own}/move/accept"), &by_hand).expect(422);
    assert!(page.says("经办和审批不能是同一个人") && page.says("自己同意"));
    assert!(all.get(&own).says("待批办"));
    step(&all, &path, "accept", "同意").expect(303);
}

/// ASVS 2.3.1
#[test]
fn a_step_out_of_turn_is_refused() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = clerk.register(&[]);
    for (who, name) in
        [(&approver, "confirm"), (&approver, "accept"), (&clerk, "conclude"), (&clerk, "archive")]
    {
        let pairs = [("version", "1"), ("opinion", "越过一步"), ("submit", name)];
        who.post_form(&format!("{path}/move/{name}"), &pairs).expect(422);
    }
    clerk.post_form(&format!("{path}/move/no-such"), &[("version", "1"), ("opinion", "x")]).expect(404);
    assert!(clerk.get(&path).says("待拟办"));
}

#[test]
fn an_empty_opinion_is_refused_and_a_wrong_one_is_kept() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    for empty in ["", "  \r\n "] {
        let page = step(&clerk, &path, "propose", empty).expect(422);
        assert!(page.says("请填写提交拟办意见。"));
    }
    let long = "意".repeat(2_001);
    let page = step(&clerk, &path, "propose", &long);
    assert_eq!(page.status, 422, "an opinion has a bound of 2,000 characters, and it is not kept");
    assert_eq!(Form::of(&page).value("opinion"), long);
}

#[test]
fn an_opinion_is_not_lost_when_somebody_else_decided_meanwhile() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = clerk.register(&[]);
    step(&clerk, &path, "propose", "拟予受理").expect(303);
    let form = approver.form(&path).to(&format!("{path}/move/accept")).set("opinion", "写了很久的批办意见");
    step(&county.demo_user(), &path, "accept", "信访室先批了").expect(303);
    let page = approver.submit(&form).expect(422);
    assert!(page.says("信访室先批了") && page.says("刚被别人修改过"));
    assert!(page.says("写了很久的批办意见"), "what the second approver wrote is gone");
}

#[test]
fn the_history_shows_what_was_and_what_is() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "旧的标题"), ("place", "旧的地点")]);
    clerk
        .submit(&clerk.form(&format!("{path}/edit")).fill(&[("title", "新的标题"), ("place", "")]))
        .expect(303);
    let history = clerk.get(&format!("{path}/history")).expect(200).text();
    assert!(history.contains("<del>旧的标题</del> <ins>新的标题</ins>"), "{history}");
    assert!(history.contains("<del>旧的地点</del>"));
    assert!(history.contains("石鼓岭镇经办"));
}
