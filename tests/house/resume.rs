//! A session that ends while somebody types: the words wait for their author, and for nobody else.

use super::county::{County, PETITION, Person, path_of};
use super::form::Form;
use super::passwords::PASSWORD;

const CLERK: &str = "柳沟台镇纪委";

const TYPED: &[(&str, &str)] =
    &[("title", "写了一半的标题"), ("text", "很长的内容，\n写了一个小时。"), ("petitioner.name", "来信人丙")];

fn typed(person: &Person) -> Form {
    person.form("/petition/new").fill(PETITION).fill(TYPED)
}

#[track_caller]
fn waits(page: &super::wire::Answer) -> Form {
    assert!(page.says("尚未保存"), "{}", page.text());
    let form = Form::of(page);
    for (name, value) in TYPED {
        assert_eq!(form.value(name), *value);
    }
    form
}

#[test]
fn what_was_typed_waits_until_its_author_has_logged_in_again() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = typed(&clerk).attach("原件.txt", b"scan");
    clerk.tab().post_form("/logout", &[]).expect(303);
    let answer = clerk.submit(&form).expect(303);
    assert_eq!(answer.location(), "/login");
    let page = clerk.get("/login").expect(200);
    assert!(page.says("您刚才填写的内容还在") && !page.says("写了一半"));
    assert_eq!(county.files("blobs").len() + county.files("tmp").len(), 0);
    let back = clerk.log_in(PASSWORD).expect(303);
    assert_eq!(back.location(), "/resume");
    let again = waits(&clerk.get("/resume").expect(200));
    let path = path_of(&clerk.submit(&again).expect(303));
    assert!(clerk.get(&path).says("写了一半的标题"));
    assert!(clerk.get("/petition?all=1").says("共 1 条"));
}

#[test]
fn somebody_else_at_the_same_browser_sees_nothing_of_it() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = typed(&clerk);
    clerk.tab().post_form("/logout", &[]).expect(303);
    clerk.submit(&form).expect(303);
    let other = clerk.tab();
    assert_eq!(other.log_in_as("zhen07", PASSWORD).expect(303).location(), "/");
    let resumed = other.get("/resume").expect(303);
    assert_eq!(resumed.location(), "/");
    other.post_form("/logout", &[]).expect(303);
    // It is still there for its author.
    assert_eq!(clerk.log_in(PASSWORD).expect(303).location(), "/resume");
    waits(&clerk.get("/resume").expect(200));
}

/// ASVS 7.5.2
#[test]
fn logging_in_elsewhere_ends_the_older_session_and_keeps_its_form() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[("title", "原来的标题")]);
    let form = clerk.form(&format!("{path}/edit")).fill(TYPED);
    let elsewhere = county.clerk(CLERK);
    assert_eq!(clerk.get("/").expect(303).location(), "/login");
    assert_eq!(clerk.submit(&form).expect(303).location(), "/login");
    elsewhere.get("/").expect(200);
    clerk.log_in(PASSWORD).expect(303);
    let again = waits(&clerk.get("/resume").expect(200));
    assert_eq!(clerk.submit(&again).expect(303).location(), format!("{path}?done=changed"));
}

#[test]
fn a_form_of_the_last_session_is_shown_again_in_the_new_one() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = typed(&clerk).attach("原件.txt", b"scan");
    let tab = clerk.tab();
    tab.post_form("/logout", &[]).expect(303);
    tab.log_in(PASSWORD).expect(303);
    // The browser's cookies are shared: the old form goes out with the new session.
    assert_eq!(tab.submit(&form).expect(303).location(), "/resume");
    assert_eq!(county.files("blobs").len(), 0, "the file of a form that was not accepted stays on the disk");
    let again = waits(&tab.get("/resume").expect(200));
    tab.submit(&again).expect(303);
}

#[test]
fn an_opinion_waits_as_well() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let form = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", "写了很久的意见");
    clerk.tab().post_form("/logout", &[]).expect(303);
    assert_eq!(clerk.submit(&form).expect(303).location(), "/login");
    clerk.log_in(PASSWORD).expect(303);
    let page = clerk.get("/resume").expect(200);
    assert!(page.says("写了很久的意见") && page.says("操作没有执行"));
}

#[test]
fn another_click_before_logging_in_does_not_push_the_form_out() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = typed(&clerk);
    clerk.tab().post_form("/logout", &[]).expect(303);
    clerk.submit(&form).expect(303);
    // A second tab that still shows the menu: its log-out button and its search box.
    clerk.post_form("/logout", &[]).expect(303);
    clerk.post_form("/search", &[("text", "随便搜")]).expect(303);
    clerk.log_in(PASSWORD).expect(303);
    waits(&clerk.get("/resume").expect(200));
}

#[test]
fn a_log_in_name_typed_in_capitals_leads_back_to_the_form_too() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    clerk.post_form("/logout", &[]).expect(303);
    if clerk.log_in_as("ZHEN08", PASSWORD).status != 303 {
        return; // Capitals are another name: then there is nothing to lose.
    }
    let form = typed(&clerk);
    clerk.tab().post_form("/logout", &[]).expect(303);
    clerk.submit(&form).expect(303);
    clerk.log_in(PASSWORD).expect(303);
    waits(&clerk.get("/resume").expect(200));
}
