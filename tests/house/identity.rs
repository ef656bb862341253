//! The petitioner: behind a lock of its own, opened for a reason that the auditor reads, and nowhere else.

use super::county::{County, Person};

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
        let refused = clerk.post_form(&identity, &[("reason", reason)]).expect(422);
        assert!(refused.says("请写明查看检举控告人信息的理由"));
        hidden(&refused);
    }
    assert!(!auditor.get("/audit").says("查看检举控告人"));
    let shown = clerk.post_form(&identity, &[("reason", "电话回访核实情况")]).expect(200);
    assert!(shown.says(NAME) && shown.says(PHONE) && shown.says("已记入日志"));
    hidden(&clerk.get(&path).expect(200));
    let journal = auditor.get("/audit").expect(200);
    hidden(&journal);
    let row = journal.text();
    let row = row.split("<tr").find(|r| r.contains("查看检举控告人")).unwrap();
    assert!(row.contains("电话回访核实情况") && row.contains("石鼓岭镇经办"));
}

#[test]
fn the_petitioner_is_in_no_list_no_history_no_search_and_no_address() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(CLERK), county.approver(CLERK));
    let path = registered(&clerk);
    // The form of a change is where the petitioner can be mended; the journal has it.
    clerk.submit(&clerk.form(&format!("{path}/edit")).set("petitioner.phone", "13900005678")).expect(303);
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
    assert!(journal.says("修改记录"), "opening the form showed the petitioner and nobody answers for it");
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
    let opened = county.clerk("信访室").post_form(&format!("{path}/identity"), &[("reason", "核对")]);
    assert!(opened.expect(200).says(NAME));
    clerk.get(&path).expect(404);
}
