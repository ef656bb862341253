//! The petitioner: behind a lock of its own, opened for a reason that the auditor reads, and nowhere else.

use super::county::{County, OWN, Person};
use super::form::Form;

const CLERK: &str = "石鼓岭镇纪委";
const NAME: &str = "漆麓桓";
const PHONE: &str = "13900001234";

fn registered(clerk: &Person) -> String {
    clerk.register(&[
        ("title", "反映水渠工程问题"),
        ("signed", "named"),
        ("petitioner.name", NAME),
        ("petitioner.phone", PHONE),
        ("petitioner.address", "槲寄生巷九号"),
    ])
}

#[track_caller]
fn hidden(page: &super::wire::Answer) {
    for secret in [NAME, PHONE, "槲寄生巷九号"] {
        assert!(!page.says(secret), "{secret} stands in the page");
        assert!(page.headers.iter().all(|(_, v)| !v.contains(secret)));
    }
}

/// ASVS 14.2.6
#[test]
fn the_petitioner_is_shown_only_for_a_reason_and_the_auditor_can_read_it() {
    let county = County::bare();
    let (clerk, auditor) = (county.clerk(CLERK), county.auditor());
    let path = registered(&clerk);
    let page = clerk.get(&path).expect(200);
    assert!(page.says("已单独加密，默认不显示"));
    hidden(&page);
    let identity = format!("{path}/identity");
    for reason in ["", "   ", "看"] {
        let refused = clerk.post_form(&identity, &[("reason", reason), OWN]).expect(422);
        assert!(refused.says("请写明查看检举控告人信息的理由"));
        hidden(&refused);
    }
    assert!(!auditor.get("/audit").says("查看检举控告人"));
    let shown = clerk.post_form(&identity, &[("reason", "电话回访核实情况"), OWN]).expect(200);
    assert!(shown.says(NAME) && shown.says(PHONE) && shown.says("已记入日志"));
    hidden(&clerk.get(&path).expect(200));
    let journal = auditor.get("/audit").expect(200);
    hidden(&journal);
    let row = journal.text();
    let row = row.split("<tr").find(|r| r.contains("查看检举控告人")).unwrap();
    assert!(row.contains("电话回访核实情况") && row.contains("石鼓岭镇经办"));
}

/// The form after its button that shows the petitioner was pressed.
#[track_caller]
fn opened(clerk: &Person, form: Form, reason: &str) -> Form {
    let asked = form.set("identity.reason", reason).set("identity.show", "1");
    Form::of(&clerk.submit(&asked).expect(200))
}

#[track_caller]
fn stays(clerk: &Person, path: &str) {
    let shown = clerk.post_form(&format!("{path}/identity"), &[("reason", "核对信息"), OWN]).expect(200);
    for kept in [NAME, PHONE, "槲寄生巷九号"] {
        assert!(shown.says(kept), "{kept} is gone");
    }
}

/// The form of a change showed the petitioner to whoever opened it, with 修改记录 as the reason in the journal.
#[test]
fn the_form_of_a_change_hides_the_petitioner_until_a_reason_is_given() {
    let county = County::bare();
    let (clerk, auditor) = (county.clerk(CLERK), county.auditor());
    let path = registered(&clerk);
    let edit = format!("{path}/edit");
    let page = clerk.get(&edit).expect(200);
    hidden(&page);
    let form = Form::of(&page);
    assert!(page.says("已隐藏，保存时保持不变") && !form.has("petitioner.name"));
    assert!(!auditor.get("/audit").says("查看检举控告人"), "nothing was shown, and the journal says it was");
    clerk.submit(&form.clone().set("title", "只改标题")).expect(303);
    stays(&clerk, &path);

    let form = clerk.form(&edit).set("title", "写了一半的新标题").attach("补充.txt", b"more");
    for reason in ["", "看"] {
        let asked = form.clone().set("identity.reason", reason).set("identity.show", "1");
        let refused = clerk.submit(&asked).expect(422);
        hidden(&refused);
        assert!(refused.says("请写明查看检举控告人信息的理由") && refused.says("写了一半的新标题"));
    }
    let form = opened(&clerk, form, "来信人要求更正电话");
    assert_eq!((form.value("petitioner.name"), form.value("petitioner.phone")), (NAME, PHONE));
    assert!(form.value("title") == "写了一半的新标题" && form.has("staged"), "what was typed is lost");
    let journal = auditor.get("/audit").text();
    let row = journal.split("<tr").find(|r| r.contains("来信人要求更正电话")).unwrap();
    assert!(row.contains("查看检举控告人") && row.contains("石鼓岭镇经办"));
    // Wrong input comes back with the petitioner as typed; what is emptied here is meant to be empty.
    let form = form.fill(&[("petitioner.phone", "13900005678"), ("petitioner.address", ""), ("title", "")]);
    let again = Form::of(&clerk.submit(&form).expect(422));
    assert_eq!((again.value("petitioner.phone"), again.value("petitioner.address")), ("13900005678", ""));
    clerk.submit(&again.set("title", "新标题")).expect(303);
    let shown = clerk.post_form(&format!("{path}/identity"), &[("reason", "核对信息"), OWN]).expect(200);
    assert!(shown.says("13900005678") && shown.says(NAME) && !shown.says("槲寄生巷九号"));
    // A form that is opened anew hides it again, and empties nothing.
    let form = clerk.form(&edit);
    assert!(!form.has("petitioner.name"));
    clerk.submit(&form.set("title", "又改标题")).expect(303);
    let shown = clerk.post_form(&format!("{path}/identity"), &[("reason", "核对信息"), OWN]).expect(200);
    assert!(shown.says("13900005678") && shown.says(NAME));
}

/// ASVS 8.2.3
#[test]
fn no_request_changes_the_petitioner_around_the_reason() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = registered(&clerk);
    let edit = format!("{path}/edit");
    let typed = clerk.form(&edit).fill(&[("petitioner.name", "换成别人"), ("remarks", "一并写的备注")]);
    for form in [typed.clone(), typed.set("identity.open", "1")] {
        let page = clerk.submit(&form).expect(422);
        hidden(&page);
        assert!(page.says("检举控告人信息没有修改"), "{}", page.text());
        let again = Form::of(&page);
        assert_eq!((again.value("petitioner.name"), again.value("remarks")), ("换成别人", "一并写的备注"));
    }
    // Nor is it emptied by a form that claims to have shown it.
    clerk.submit(&clerk.form(&edit).set("identity.open", "1").set("remarks", "另一次")).expect(303);
    stays(&clerk, &path);
    // What one session opened another has not.
    let form = opened(&clerk, clerk.form(&edit), "更正姓名");
    clerk.log_in(super::passwords::PASSWORD).expect(303);
    let token = clerk.token();
    let page = clerk.submit(&form.fill(&[("petitioner.name", "换成别人"), ("csrf", &token)])).expect(422);
    let again = Form::of(&page);
    assert!(page.says("检举控告人信息没有修改") && again.value("petitioner.name") == "换成别人");
    stays(&clerk, &path);
    // With a reason of its own what was typed wins over what is stored.
    let form = opened(&clerk, again, "来信人更名");
    assert_eq!(form.value("petitioner.name"), "换成别人");
    clerk.submit(&form).expect(303);
    let shown = clerk.post_form(&format!("{path}/identity"), &[("reason", "核对信息"), OWN]).expect(200);
    assert!(shown.says("换成别人") && !shown.says(NAME));
}

/// ASVS 14.2.1
#[test]
fn the_petitioner_is_in_no_list_no_history_no_search_and_no_address() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = registered(&clerk);
    // The form of a change is where the petitioner can be mended, once it is opened; the journal has it.
    let form = opened(&clerk, clerk.form(&format!("{path}/edit")), "更正电话号码");
    clerk.submit(&form.set("petitioner.phone", "13900005678")).expect(303);
    let propose = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", "拟予受理");
    clerk.submit(&propose).expect(303);
    let history = format!("{path}/history");
    for person in [&clerk, &approver] {
        for page in ["/", "/petition?all=1", "/petition?state=3", &path, &history, "/search"] {
            let answer = person.get(page).expect(200);
            hidden(&answer);
            assert!(!answer.says("13900005678"), "{page}");
        }
    }
    let office = county.clerk("信访室");
    for secret in [NAME, PHONE, "槲寄生巷九号", "13900005678"] {
        for person in [&clerk, &approver, &office] {
            let found = person.search(secret);
            assert!(found.finds_nothing(), "{secret} was found by {}: {}", person.login, found.text());
        }
    }
    let found = clerk.search("水渠工程问题");
    assert!(found.says("<mark>"));
    hidden(&found);
    let journal = county.auditor().get("/audit").expect(200);
    hidden(&journal);
    assert!(journal.says("更正电话号码"), "opening the form showed the petitioner and nobody answers for it");
}

#[test]
fn a_conflict_and_an_error_page_do_not_show_the_petitioner_to_who_may_not() {
    let county = County::bare();
    let (clerk, office) = (county.clerk(CLERK), county.person("bangong"));
    // This clerk registers but holds no right to open identities.
    let path = registered(&office);
    let (form, stale) = (office.form(&format!("{path}/edit")), office.form(&format!("{path}/edit")));
    assert!(!form.has("petitioner.name"));
    hidden(&office.get(&format!("{path}/edit")));
    office.post_form(&format!("{path}/identity"), &[("reason", "想再看一眼")]).expect(404);
    office.submit(&form.set("title", "先改")).expect(303);
    let conflict = office.submit(&stale.set("title", "后改")).expect(422);
    hidden(&conflict);
    // What such an editor sends for the petitioner is not taken, and what was there stays.
    let sneaky = office.form(&format!("{path}/edit")).set("petitioner.name", "换成别人");
    office.submit(&sneaky).expect(303);
    let opened = county.clerk("信访室").post_form(&format!("{path}/identity"), &[("reason", "核对"), OWN]);
    assert!(opened.expect(200).says(NAME));
    clerk.get(&path).expect(404);
}
