//! Proving once more who one is: an open session at an empty desk gives away no keys, no exports and no petitioner.

use super::county::{County, OWN, Person};
use super::factor::enrol;
use super::form::{Form, forms};
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
const NAME: &str = "漆麓桓";
const ASKS: &str = "须再次核对身份";
const WRONG: (&str, &str) = ("own.password", "Wrong-one-26!");

fn named(clerk: &Person) -> String {
    clerk.register(&[("title", "反映水渠工程问题"), ("signed", "named"), ("petitioner.name", NAME)])
}

/// The page asks for it, or refuses it, and does nothing.
#[track_caller]
fn stopped(answer: Answer, why: &str) -> Answer {
    let answer = answer.expect(422);
    assert!(answer.says(why) && !answer.says(NAME), "{}", answer.text());
    assert!(!answer.says(OWN.1) && !answer.says(WRONG.1), "a password stands in the page");
    answer
}

#[test]
fn a_session_that_lies_open_gives_away_no_petitioner() {
    let county = County::bare();
    let (clerk, auditor) = (county.clerk(UNIT), county.auditor());
    let path = named(&clerk);
    let identity = format!("{path}/identity");
    let ask = |own: &[(&str, &str)]| clerk.post_form(&identity, &[&[("reason", "电话回访核实")], own].concat());
    let page = stopped(ask(&[]), ASKS);
    let again = forms(&page.text()).into_iter().find(|f| f.action == identity).unwrap();
    assert_eq!((again.value("reason"), again.value("own.password")), ("电话回访核实", ""));
    stopped(ask(&[WRONG]), "本人口令或动态码不正确");
    assert!(!auditor.get("/audit").says("查看检举控告人"), "nothing was shown, and the journal says it was");
    assert!(ask(&[OWN]).expect(200).says(NAME));
    // For a short while each needs its reason and nothing else; another session needs its own.
    let page = ask(&[]).expect(200);
    assert!(page.says(NAME) && !page.says("own.password"));
    assert!(clerk.post_form(&identity, &[("reason", "")]).expect(422).says("请写明"));
    let journal = auditor.get("/audit").expect(200).text();
    assert_eq!((journal.matches(">再次核对身份<").count(), journal.matches("查看检举控告人").count()), (1, 2));
    assert!(journal.contains("核对本人口令"), "the wrong try is told");
    clerk.log_in(super::passwords::PASSWORD).expect(303);
    stopped(ask(&[]), ASKS);
    // Whoever may open it sees in the story of the record who did, and why.
    assert!(clerk.get(&format!("{path}/history")).expect(200).says("理由：电话回访核实"));
}

#[test]
fn the_form_of_a_change_asks_in_itself_and_keeps_what_was_typed() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let edit = format!("{}/edit", named(&clerk));
    let form = clerk.form(&edit);
    assert!(form.has("own.password") && form.value("own.password").is_empty());
    let form = form.set("title", "写了一半的新标题").set("identity.reason", "更正电话").set("identity.show", "1");
    let page = stopped(clerk.submit(&form.clone().fill(&[WRONG])), "本人口令或动态码不正确");
    let again = Form::of(&page);
    assert_eq!((again.value("title"), again.value("identity.reason")), ("写了一半的新标题", "更正电话"));
    let opened = Form::of(&clerk.submit(&again.set("identity.show", "1")).expect(200));
    assert!(opened.value("petitioner.name") == NAME && opened.value("title") == "写了一半的新标题");
    clerk.submit(&opened).expect(303);
    // Saving without a look at the petitioner asks for nothing.
    clerk.log_in(super::passwords::PASSWORD).expect(303);
    let form = clerk.form(&edit).set("title", "另一标题").fill(&[("own.password", " ")]);
    clerk.submit(&form).expect(303);
}

/// ASVS 7.5.3
#[test]
fn keys_and_exports_ask_for_it_and_wrong_tries_pause_them() {
    let county = County::bare();
    let (sysadmin, auditor) = (county.sysadmin(), county.auditor());
    for (person, path) in [
        (&sysadmin, "/backup/keys"),
        (&sysadmin, "/backup/recipients/decide"),
        (&auditor, "/audit/export"),
    ] {
        person.get("/").expect(200);
        stopped(person.post_form(path, &[("at", "1"), ("answer", "refuse")]), ASKS);
        stopped(person.post_form(path, &[("at", "1"), ("answer", "refuse"), WRONG]), "本人口令或动态码不正确");
    }
    assert!(!sysadmin.get("/backup/keys").expect(200).says("签名公钥指纹"));
    assert!(sysadmin.key_sheet().says("签名公钥指纹"));
    assert!(sysadmin.post_form("/backup", &[("recipients", "age1a age1b")]).expect(422).says("age1a"));
    for _ in 0..4 {
        stopped(auditor.post_form("/audit/export", &[WRONG]), "本人口令或动态码不正确");
    }
    stopped(auditor.post_form("/audit/export", &[OWN]), "连续多次失败");
    let journal = auditor.get("/audit").expect(200);
    assert!(journal.says("打开密钥保管单") && !journal.says("导出审计记录"), "{}", journal.text());
    county.is_sound();
}

#[test]
fn where_there_is_a_second_factor_its_code_is_asked_for_and_spent() {
    let county = County::bare();
    let auditor = county.auditor();
    let device = enrol(&auditor);
    assert!(auditor.get("/audit").expect(200).says("own.code"));
    let export = |code: &str| auditor.post_form("/audit/export", &[OWN, ("own.code", code)]);
    stopped(auditor.post_form("/audit/export", &[OWN]), "不正确");
    stopped(export("000000"), "不正确");
    let code = device.code(1);
    export(&code).expect(200);
    // What proved it here opens nothing at the door.
    let login = [("login", "auditor"), ("password", OWN.1), ("code", code.as_str())];
    county.nobody().post_form("/login", &login).expect(422);
    county.is_sound();
}
