//! Petitioners are looked for by whoever may open their identity, for a reason, and nowhere else.

use super::county::{County, OWN, PETITION, Person, path_of};
use super::wire::Answer;

const UNIT: &str = "白鹭浦镇纪委";
const NAME: &str = "闻人渡舟";
const PHONE: &str = "13900007777";

fn known(clerk: &Person, title: &str) -> String {
    let typed = [("title", title), ("signed", "named"), ("petitioner.name", NAME), ("petitioner.phone", PHONE)];
    path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&typed)).expect(303))
}

fn ask(person: &Person, text: &str, reason: &str) -> Answer {
    person.post_form("/search/identity", &[("text", text), ("reason", reason), OWN])
}

fn look(person: &Person, text: &str) -> Answer {
    person.get(ask(person, text, "核对是否重复来信").expect(303).location()).expect(200)
}

#[test]
fn a_petitioner_is_found_for_a_reason_and_never_shown() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let path = known(&clerk, "砚溪村账目不清");
    known(&clerk, "水渠长年不通水");
    assert!(clerk.get("/search").expect(200).says("按检举控告人查找"));
    for text in [NAME, "渡舟", PHONE, "0007777", &format!("{NAME} {PHONE}")] {
        let page = look(&clerk, text);
        assert!(page.says("共 2 条") && page.says("砚溪村账目不清") && page.says(&path), "{text}: {}", page.text());
        assert!(!page.says(NAME) && !page.says(PHONE), "{text}");
    }
    assert!(look(&clerk, "无此姓名").says("没有找到"));
    // Nothing but this looks there.
    for text in [NAME, PHONE, "渡舟"] {
        assert!(clerk.search(text).finds_nothing(), "{text}");
    }
    // A wrong question keeps what was typed, and finds nothing.
    for (text, reason, said) in
        [(NAME, "", "请写明查找检举控告人的理由"), (NAME, "查", "一个字说不清"), ("闻", "核对来信", "至少两个字")]
    {
        let page = ask(&clerk, text, reason).expect(422);
        assert!(page.says(said) && page.says(&format!("value=\"{text}\"")), "{}", page.text());
    }
    let unproved = county.clerk(UNIT);
    let page = unproved.post_form("/search/identity", &[("text", NAME), ("reason", "核对来信")]).expect(422);
    assert!(page.says(&format!("value=\"{NAME}\"")), "{}", page.text());
    // The auditor reads who and why, not whom; the words are in no log and no address.
    let page = county.auditor().get("/audit?size=100").expect(200);
    assert!(page.says("查找检举控告人") && page.says("核对是否重复来信") && !page.says(NAME) && !page.says(PHONE));
    assert!(!county.log().contains(NAME) && !county.log().contains(PHONE));
    county.kill_9();
    county.restart();
    let again = county.clerk(UNIT);
    assert!(look(&again, NAME).says("共 2 条"));
    county.is_sound();
}

#[test]
fn whoever_may_not_open_identities_looks_for_nobody() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(UNIT), county.clerk("枫桥坞镇纪委"));
    let path = known(&clerk, "砚溪村账目不清");
    // Within the right, of one's own units only.
    let (hidden, absent) = (look(&other, NAME), look(&other, "无此姓名"));
    assert_eq!(hidden.steady().len(), absent.steady().len());
    assert!(hidden.says("没有找到") && !hidden.says(&path));
    for person in [county.person("fagui"), county.sysadmin(), county.secadmin(), county.auditor()] {
        assert!(!person.get("/search").expect(200).says("按检举控告人查找"));
        ask(&person, NAME, "核对来信").expect(404);
    }
}
