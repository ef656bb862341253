//! Petitioners as a file: one asks, another one agrees, the first takes it once; whoever must not know of a petition
//! sees nothing of a request that names it.

use std::io::Cursor;

use calamine::{Reader, Xlsx};

use super::county::{County, OWN, Person};
use super::form::forms;
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
const HOME: &str = "/identities";
const NAMES: [&str; 2] = ["漆麓桓", "=漆麓柏"];

/// Registers a petition of somebody; its path.
fn petition(clerk: &Person, name: &str) -> String {
    let signed = if name.is_empty() { "anonymous" } else { "named" };
    clerk.register(&[("title", "反映水渠工程问题"), ("signed", signed), ("petitioner.name", name)])
}

fn ask(person: &Person, numbers: &str) -> Answer {
    person.get(HOME).expect(200);
    person.post_form(HOME, &[("numbers", numbers), ("reason", "上级复核要求"), OWN])
}

/// The name that the newest request has in this person's forms.
#[track_caller]
fn request(person: &Person) -> String {
    let page = person.get(HOME).expect(200).text();
    let ids = forms(&page).into_iter().map(|f| f.value("id").to_owned()).find(|id| !id.is_empty());
    ids.unwrap_or_else(|| panic!("no request: {page}"))
}

fn decide(person: &Person, id: &str, answer: &str) -> Answer {
    person.post_form("/identities/decide", &[("id", id), ("answer", answer), OWN])
}

fn take(person: &Person, id: &str) -> Answer {
    person.post_form("/identities/take", &[("id", id), OWN])
}

fn rows(answer: &Answer) -> Vec<Vec<String>> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(answer.body.clone())).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    sheet.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn one_asks_another_agrees_and_the_file_is_taken_once() {
    let county = County::bare();
    let (clerk, approver, auditor) = (county.clerk(UNIT), county.approver(UNIT), county.auditor());
    let paths: Vec<String> = NAMES.iter().map(|name| petition(&clerk, name)).collect();
    petition(&clerk, "");
    assert!(clerk.get("/petition?all=1").expect(200).says("href=\"/identities\""));
    assert!(clerk.get(HOME).expect(200).says("2 件有检举控告人信息"));
    // Without a reason, a proof or anything to give out nothing is asked, and what was typed is there still.
    let bare = clerk.post_form(HOME, &[("numbers", ""), ("reason", "上级复核要求")]).expect(422);
    assert!(bare.says("须再次核对身份") && bare.says("value=\"上级复核要求\""));
    assert!(clerk.post_form(HOME, &[("numbers", ""), ("reason", " "), OWN]).expect(422).says("导出理由"));
    assert!(ask(&clerk, "信访〔2020〕99号").expect(422).says("没有编号为“信访〔2020〕99号”的信访件"));
    assert!(ask(&county.clerk("枫桥坞镇纪委"), &paths[0]["/petition/".len()..]).expect(422).says("或您不能查看"));
    assert!(!approver.get(HOME).expect(200).says("上级复核要求"));
    ask(&clerk, "").expect(303);
    let id = request(&clerk);
    // Alone nobody gets anywhere, nor does whoever the records are not open to.
    assert!(decide(&clerk, &id, "agree").expect(422).says("不能确认自己的申请"));
    assert!(take(&clerk, &id).expect(422).says("还没有人确认"));
    for login in ["zhen05", "zhen05-fz", "bangong"] {
        let other = county.person(login);
        assert!(!other.get(HOME).says("上级复核要求"), "{login}");
        for answer in [decide(&other, &id, "agree"), decide(&other, &id, "refuse"), take(&other, &id)] {
            assert!([404, 422].contains(&answer.status) && !answer.says(NAMES[0]), "{login}");
        }
    }
    assert!(take(&clerk, &id).expect(422).says("还没有人确认"));
    assert!(approver.get("/").expect(200).says("1 项申请等待您确认或下载"));
    let page = approver.get(HOME).expect(200);
    assert!(page.says("上级复核要求") && page.says("1号") && page.says("2号") && !page.says(NAMES[0]));
    let bare = approver.post_form("/identities/decide", &[("id", &id), ("answer", "agree")]).expect(422);
    assert!(bare.says("须再次核对身份"));
    decide(&approver, &id, "agree").expect(303);
    assert!(take(&approver, &id).expect(422).says("不由您处理"));
    let rows = rows(&take(&clerk, &id).expect(200));
    let cells = format!("{rows:?}");
    assert!(NAMES.iter().all(|name| cells.contains(name)) && rows.len() == 4, "{cells}");
    let last = rows[3].join("");
    assert!(last.contains("zhen04") && last.contains("zhen04-fz") && last.contains("共 2 件"), "{last}");
    assert!(take(&clerk, &id).expect(422).says("已经下载过"));
    assert!(decide(&approver, &id, "refuse").expect(422).says("已经处理过"));
    let journal = auditor.get("/audit").expect(200);
    for act in ["申请导出检举控告人", "确认导出检举控告人", ">导出检举控告人<", "上级复核要求"] {
        assert!(journal.says(act), "{act}");
    }
    assert!(!journal.says(NAMES[0]));
    assert!(clerk.get(&format!("{}/history", paths[1])).expect(200).says("理由：上级复核要求"));
    county.is_sound();
}

#[test]
fn a_request_that_was_ended_gives_nothing_and_what_changed_since_is_left_out() {
    let county = County::bare();
    let (clerk, approver) = (county.clerk(UNIT), county.approver(UNIT));
    let paths: Vec<String> = NAMES.iter().map(|name| petition(&clerk, name)).collect();
    ask(&clerk, "").expect(303);
    let id = request(&clerk);
    decide(&approver, &id, "refuse").expect(303);
    assert!(take(&clerk, &id).expect(422).says("已经处理过"));
    assert!(decide(&approver, &id, "agree").expect(422).says("已经处理过"));
    // After it was agreed to, the one who agreed has nothing to do with one of the two any more.
    ask(&clerk, "").expect(303);
    let id = request(&clerk);
    decide(&approver, &id, "agree").expect(303);
    let page = approver.get(&paths[0]).expect(200).text();
    let declare = forms(&page).into_iter().find(|f| f.action == format!("{}/recuse", paths[0])).unwrap();
    approver.submit(&declare.set("recusal-reason", "近亲属")).expect(303);
    let cells = format!("{:?}", rows(&take(&clerk, &id).expect(200)));
    assert!(cells.contains(NAMES[1]) && !cells.contains(NAMES[0]) && cells.contains("共 1 件"), "{cells}");
    // Nor does a request that names it exist for them.
    ask(&clerk, "").expect(303);
    let page = approver.get(HOME).expect(200);
    assert!(!page.says("上级复核要求") && !approver.get("/").expect(200).says("项申请等待"), "{}", page.text());
    assert!(decide(&approver, &request(&clerk), "agree").expect(422).says("不由您处理"));
}
