//! Drafts: half a form is found again by whoever typed it and by nobody else, sealed on the disk, gone when it is done
//! with — and not on the disk at all while article 16 is not answered.

use super::county::{County, PETITION, Person, path_of};
use super::form::{Form, forms};
use super::passwords::PASSWORD;
use super::wire::Answer;

const CLERK: &str = "枫桥坞镇纪委";
const STORED: &str = "草稿已加密保存";
const IN_MEMORY: &str = "没有写入磁盘";
const TITLE: &str = "写了一半的渡口桥一事";
const NAME: &str = "来信人槲寄生";

/// Half a form: no text yet, but it is known whom it is about.
fn half(person: &Person) -> Form {
    person.form("/petition/new").fill(&[
        ("title", TITLE),
        ("people", "许多"),
        ("accused.0.name", "测某某"),
        ("accused.0.rank", "village"),
        ("petitioner.name", NAME),
        ("categories", "integrity"),
    ])
}

/// Presses 存为草稿; the page that comes, and where it is.
#[track_caller]
fn keep(person: &Person, form: Form) -> (Answer, String) {
    let kept = person.submit(&form.set("keep", "draft")).expect(303);
    let page = person.get(kept.location()).expect(200);
    (page, kept.location().replace("&kept=1", ""))
}

/// The form that throws the only draft of a page away.
fn throwing(page: &Answer) -> Form {
    let all = forms(&page.text());
    all.into_iter().find(|f| f.action.starts_with("/drafts/")).unwrap_or_else(|| panic!("{}", page.text()))
}

#[test]
fn half_a_form_is_found_again_after_a_restart_and_goes_when_it_is_registered() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (page, address) = keep(&clerk, half(&clerk).attach("原件.txt", b"scan"));
    assert!(page.says(STORED) && Form::of(&page).value("people") == "许多", "{}", page.text());
    county.is_sound();
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    for place in ["/", "/petition/new"] {
        let page = clerk.get(place).expect(200);
        assert!(
            page.says(TITLE) && page.says(&format!("href=\"{}\"", address.replace('&', "&amp;"))),
            "{place}"
        );
    }
    let page = clerk.get(&address).expect(200);
    assert!(page.says("原件.txt") && page.says("尚未登记"));
    let form = Form::of(&page);
    assert_eq!((form.value("title"), form.value("petitioner.name")), (TITLE, NAME));
    assert!(form.has("categories"));
    // Registering it with a mistake keeps both the form and the draft.
    let again = clerk.submit(&form.set("people", "0")).expect(422);
    assert!(clerk.get("/").says(TITLE));
    let whole = Form::of(&again).fill(&[("people", "3"), ("text", "补上的内容")]);
    let path = path_of(&clerk.submit(&whole).expect(303));
    assert_eq!(path_of(&clerk.submit(&whole).expect(303)), path);
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"scan");
    assert!(!clerk.get("/").says("我的草稿") && !clerk.get("/petition/new").says("我的草稿"));
    assert_eq!(clerk.get(&address).expect(303).location(), "/petition/new");
    assert_eq!(county.files("blobs").len(), 1);
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    assert!(!clerk.get("/").says("我的草稿"));
    county.is_sound();
}

#[test]
fn nobody_else_sees_changes_or_throws_away_a_draft() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (_, address) = keep(&clerk, half(&clerk).attach("原件.txt", b"scan"));
    let id = address.split("draft=").nth(1).unwrap().to_owned();
    for other in [county.clerk("杏林坪镇纪委"), county.approver(CLERK), county.demo_user(), county.sysadmin()]
    {
        for place in ["/", "/petition/new", address.as_str()] {
            let page = other.get(place);
            assert!(!page.says(TITLE) && !page.says(NAME), "{} {place}", other.login);
        }
        other.post_form(&format!("/drafts/{id}"), &[]).expect(303);
    }
    // Nor does somebody else's token bring the file.
    let token = Form::of(&clerk.get(&address)).value("staged").to_owned();
    let other = county.clerk("杏林坪镇纪委");
    let path = other.register(&[("staged", token.as_str()), ("draft", id.as_str())]);
    assert!(!other.get(&path).says("原件.txt"));
    assert!(clerk.get(&address).expect(200).says(TITLE));
}

#[test]
fn a_draft_about_persons_without_a_passing_rank_is_not_stored_and_says_so() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("no rank", &[("accused.0.rank", "")]),
        ("unknown", &[("accused.0.rank", "unknown")]),
        ("blocked", &[("accused.0.rank", "sect-head")]),
        ("one of two", &[("accused.1.name", "测某乙"), ("accused.1.rank", "unknown")]),
        ("about nobody", &[("accused.0.name", ""), ("accused.0.rank", "")]),
    ];
    for (what, pairs) in cases {
        let (page, address) = keep(&clerk, half(&clerk).fill(pairs).set("title", what));
        assert!(page.says(IN_MEMORY) && !page.says(STORED), "{what}");
        assert_eq!(Form::of(&clerk.get(&address)).value("title"), what);
    }
    assert_eq!(clerk.get("/").text().matches("仅在内存").count(), cases.len());
    // A draft that was stored is taken off the disk when it becomes one of these, and stored again when it is mended.
    let (_, address) = keep(&clerk, half(&clerk).set("title", "先存后改"));
    let page = clerk.get(&address);
    let (page, same) = keep(&clerk, Form::of(&page).set("accused.0.rank", "unknown"));
    assert!(page.says(IN_MEMORY) && same == address);
    let journal = county.auditor().get("/audit").expect(200);
    assert_eq!(journal.text().matches("仅在内存，未写入磁盘").count(), cases.len() + 1);
    let (page, mended) = keep(&clerk, half(&clerk).set("title", "后来补全").set("accused.0.rank", "unknown"));
    assert!(page.says(IN_MEMORY));
    let (page, _) = keep(&clerk, Form::of(&clerk.get(&mended)).set("accused.0.rank", "village"));
    assert!(page.says(STORED));
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    let desk = clerk.get("/").text();
    assert!(desk.contains("后来补全") && desk.contains("我的草稿<span class=\"count\">1</span>"), "{desk}");
    assert_eq!(clerk.get(&address).expect(303).location(), "/petition/new");
    // An organisation is nobody's rank.
    let about =
        half(&clerk).fill(&[("accused.0.name", ""), ("accused.0.rank", ""), ("accused_org", "某村委会")]);
    assert!(keep(&clerk, about).0.says(STORED));
}

#[test]
fn a_person_that_is_struck_out_is_not_kept_in_the_draft() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = half(&clerk).fill(&[
        ("accused.1.name", "漆麓桓"),
        ("accused.1.rank", "sect-head"),
        ("accused.1.remove", "1"),
    ]);
    let (page, address) = keep(&clerk, form);
    assert!(page.says(STORED) && !page.says("漆麓桓"));
    let form = Form::of(&clerk.get(&address).expect(200));
    assert!(form.pairs.iter().all(|(_, v)| v != "漆麓桓" && v != "sect-head"));
}

#[test]
fn keeping_and_throwing_away_are_entered_without_a_word_of_the_draft() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (_, address) = keep(&clerk, half(&clerk).attach("槲寄生卷宗.txt", b"scan"));
    let page = clerk.get("/").expect(200);
    let thrown = clerk.submit(&throwing(&page)).expect(303);
    assert!(clerk.get(thrown.location()).says("草稿已删除"));
    assert!(!clerk.get("/").says(TITLE));
    assert_eq!(clerk.get(&address).expect(303).location(), "/petition/new");
    // A second click finds nothing and writes nothing.
    let head = county.head();
    clerk.submit(&throwing(&page)).expect(303);
    assert_eq!(county.head(), head);
    let journal = county.auditor().get("/audit").expect(200);
    assert_eq!(
        (journal.text().matches("存草稿").count(), journal.text().matches("删除草稿").count()),
        (1, 1)
    );
    assert!(![TITLE, NAME, "槲寄生", "测某某"].iter().any(|w| journal.says(w)));
    county.is_sound();
    // The file waits as long as a form could still bring it; after a restart no form can.
    let (_, address) = keep(&clerk, half(&clerk).attach("第二份.txt", b"more"));
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    let before = county.files("blobs").len();
    clerk.submit(&throwing(&clerk.get("/"))).expect(303);
    assert_eq!(county.files("blobs").len(), before - 1, "{address}");
}

/// ASVS 2.3.2
#[test]
fn a_double_click_keeps_one_draft_and_too_many_are_refused_with_everything_kept() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = half(&clerk).attach("原件.txt", b"scan").set("keep", "draft");
    let [one, two] = [(); 2].map(|()| clerk.submit(&form).expect(303));
    assert_eq!(one.location(), two.location());
    assert!(clerk.get("/").says("我的草稿<span class=\"count\">1</span>"));
    assert_eq!(Form::of(&clerk.get(one.location())).pairs.iter().filter(|(n, _)| n == "staged").count(), 1);
    for n in 1..20 {
        keep(&clerk, half(&clerk).set("title", &format!("第{n}份")));
    }
    let page = clerk.submit(&half(&clerk).set("title", "多出来的").set("keep", "draft")).expect(422);
    assert!(page.says("草稿最多 20 份") && Form::of(&page).value("title") == "多出来的");
    // One that is there can still be changed.
    keep(&clerk, Form::of(&clerk.get(one.location())).set("title", "改了的草稿"));
    assert!(clerk.get("/").says("改了的草稿"));
}

#[test]
fn a_record_keeps_its_file_whatever_becomes_of_an_old_tab_of_its_draft() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (_, address) = keep(&clerk, half(&clerk).attach("原件.txt", b"scan"));
    let ready = [("people", "3"), ("text", "补上的内容")];
    let [one, two] = [(); 2].map(|()| Form::of(&clerk.get(&address)).fill(&ready));
    let path = path_of(&clerk.submit(&one).expect(303));
    // The other tab keeps its form as a draft again, and that is thrown away.
    keep(&clerk, two);
    clerk.submit(&throwing(&clerk.get("/"))).expect(303);
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body, b"scan");
    // Nor does a form of another kind of way take the file of a draft that stays.
    let (_, address) = keep(&clerk, half(&clerk).attach("另一份.txt", b"other"));
    let token = Form::of(&clerk.get(&address)).value("staged").to_owned();
    let other = clerk.form("/petition/new").fill(PETITION).set("staged", &token);
    let path = path_of(&clerk.submit(&other).expect(303));
    assert!(!clerk.get(&path).says("另一份.txt"));
    county.is_sound();
}

#[test]
fn a_draft_is_not_lost_when_the_session_ended() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let (_, address) = keep(&clerk, half(&clerk));
    let form = Form::of(&clerk.get(&address)).set("title", "又写了一些").set("keep", "draft");
    clerk.tab().post_form("/logout", &[]).expect(303);
    clerk.submit(&form).expect(303);
    clerk.log_in(PASSWORD).expect(303);
    let (page, same) = keep(&clerk, Form::of(&clerk.get("/resume").expect(200)));
    assert!(page.says("又写了一些") && same == address);
}
