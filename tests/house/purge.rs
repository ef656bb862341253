//! What is to be forgotten is forgotten: asked for by who answers for it, decided by a second person who never sees the
//! content, gone at once for everybody, and nowhere in the folder a little later. Numbers and counts stay.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use super::county::{County, OWN, PETITION, Person, path_of};
use super::form::{Form, forms};
use super::passwords::PASSWORD;

const UNIT: &str = "石鼓岭镇纪委";
const REASON: &str = "保存期满，按规定清除";
/// What is never to be seen again: title, text, accused, petitioner, attachment's name.
const CANARIES: [&str; 5] = ["砚漆桥头", "槲梧渡口", "泠麓生", "桓祠客", "圩埠原件"];
/// Looks at something that happens behind the pages.
const LOOKS: usize = 600;

fn step(person: &Person, path: &str, name: &str) {
    let form = person.form(path).to(&format!("{path}/move/{name}")).set("opinion", "办理意见");
    person.submit(&form).expect(303);
}

/// A petition full of canaries, by the clerk of the unit.
fn register(clerk: &Person) -> String {
    let form = clerk.form("/petition/new").fill(PETITION).fill(&[
        ("title", &format!("反映{}问题", CANARIES[0])),
        ("text", &format!("来信称{}一事。", CANARIES[1])),
        ("accused.0.name", CANARIES[2]),
        ("petitioner.name", CANARIES[3]),
        ("nature", "accusation"),
        ("categories", "integrity"),
    ]);
    path_of(&clerk.submit(&form.attach(&format!("{}.txt", CANARIES[4]), b"paper")).expect(303))
}

/// The same, handled to its end.
fn concluded(county: &County, clerk: &Person, head: &Person) -> String {
    let path = register(clerk);
    for (who, name) in [(clerk, "propose"), (head, "accept"), (clerk, "conclude"), (head, "confirm")] {
        step(who, &path, name);
    }
    assert!(county.files("blobs").len() == 1 && head.get(&path).says("已办结"));
    path
}

#[track_caller]
fn asking(head: &Person, path: &str) -> Form {
    let page = head.get(path).expect(200).text();
    let action = format!("{path}/purge");
    forms(&page).into_iter().find(|f| f.action == action).unwrap_or_else(|| panic!("no {action}: {page}"))
}

#[track_caller]
fn ask(head: &Person, path: &str) -> String {
    let answer = head.submit(&asking(head, path).set("purge-reason", REASON)).expect(303);
    answer.location().split('?').next().unwrap().to_owned()
}

fn decide(person: &Person, request: &str, name: &str) {
    let form = person.form(request).to(&format!("{request}/move/{name}")).set("opinion", "复核意见");
    person.submit(&form).expect(303);
}

fn canary(text: &str) -> Option<&'static str> {
    CANARIES.into_iter().find(|c| text.contains(c))
}

/// Files of the index that hold rows; each is written once.
fn segments(county: &County) -> BTreeSet<PathBuf> {
    county
        .files("index")
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "idx" || e == "term"))
        .collect()
}

/// Waits for something behind the pages; `false` when it never comes.
fn comes(done: impl Fn() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        let there = done();
        if !there {
            sleep(Duration::from_millis(50));
        }
        there
    })
}

fn count(person: &Person) -> usize {
    person.get("/petition?all=1").expect(200).text().matches("row-link").count()
}

/// Everything a person can look at says that the content is gone, and keeps what concerns nobody.
#[track_caller]
fn is_gone(person: &Person, path: &str) {
    let page = person.get(path).expect(200);
    assert!(page.says("的内容已于") && page.says("〕1号") && page.says("已办结") && page.says("廉洁纪律"));
    let history = person.get(&format!("{path}/history")).expect(200);
    assert!(history.says("清除") && history.says("登记"), "{}", history.text());
    let list = person.get("/petition?all=1").expect(200);
    assert!(list.says("已清除的信访件") && list.says("〕1号"));
    for text in [page.text(), history.text(), list.text(), person.get("/").text()] {
        assert_eq!(canary(&text), None, "{text}");
    }
    assert!(!page.says("/move/") && !page.says("/edit") && !page.says("/identity") && !page.says("/files/"));
    for word in CANARIES {
        let found = person.search(word).text();
        assert!(!found.contains(&format!("href=\"{path}\"")), "{word}: {found}");
    }
    for file in ["files/0", "files/0/view", "files/0/inline"] {
        person.get(&format!("{path}/{file}")).expect(404);
    }
    assert_eq!(count(person), 2);
}

/// ASVS 14.2.7
#[test]
fn what_two_people_purge_is_gone_at_once_and_its_number_stays() {
    let county = County::bare();
    let (clerk, head, second) = (county.clerk(UNIT), county.approver(UNIT), county.secadmin());
    let path = concluded(&county, &clerk, &head);
    let other = clerk.register(&[]);
    let open_edit = clerk.form(&format!("{path}/edit")).set("title", "又写回来");
    assert!(clerk.search(CANARIES[1]).says("<mark>") && count(&clerk) == 2);
    assert!(comes(|| !segments(&county).is_empty()));
    let before = segments(&county);

    let request = ask(&head, &path);
    assert!(head.get(&path).says(&format!("href=\"{request}\"")) && head.get(&path).says(CANARIES[0]));
    let seen = second.get(&request).expect(200);
    assert!(seen.says(REASON) && seen.says("〕1号") && seen.says(UNIT), "{}", seen.text());
    assert_eq!(canary(&seen.text()), None);
    assert!(second.get("/").says("清除申请 · 待复核"));
    second.get(&path).expect(404);
    decide(&second, &request, "approve");

    is_gone(&clerk, &path);
    is_gone(&head, &path);
    let reveal = clerk.post_form(&format!("{path}/identity"), &[("reason", "核实情况"), OWN]).expect(422);
    assert_eq!(canary(&reveal.text()), None);
    assert_eq!(clerk.get(&format!("{path}/edit")).expect(303).location(), path);
    clerk.submit(&open_edit).expect(422);
    let by_hand = [("version", "6"), ("opinion", "归档"), ("submit", "m1")];
    clerk.post_form(&format!("{path}/move/archive"), &by_hand).expect(422);

    // The folder follows: the attachment, and what the index had written of it.
    assert!(comes(|| county.files("blobs").is_empty()), "{:?}", county.files("blobs"));
    assert!(comes(|| segments(&county).is_disjoint(&before)), "{:?} {before:?}", segments(&county));
    assert!(clerk.get(&other).says("测某某") && clerk.search("多报户数").says("<mark>"));
    county.is_sound();
    county.restart();
    for person in [&clerk, &head, &second] {
        person.log_in(PASSWORD).expect(303);
    }
    is_gone(&clerk, &path);
    let page = second.get(&request).expect(200);
    assert!(
        page.says("已清除") && page.says("已从数据目录删除") && page.says("没有清除之前的"),
        "{}",
        page.text()
    );
    let verified = county.cli(&["audit", "verify"]);
    assert!(String::from_utf8_lossy(&verified.stderr).contains("1 条记录的内容已按申请清除"));
}

/// ASVS 2.3.5
#[test]
fn nobody_purges_alone_and_nobody_else_may_ask_or_decide() {
    let county = County::bare();
    let (typist, head) = (county.clerk(UNIT), county.approver(UNIT));
    let open = register(&typist);
    let early = head.post_form(&format!("{open}/purge"), &[("purge-reason", REASON), ("submit", "")]);
    assert!(early.expect(422).says("还在办理（待拟办），不能清除"));
    head.submit(&head.form(&open).to(&format!("{open}/move/annul")).set("opinion", "重复登记")).expect(303);
    // Who may read it, or rule over others, may not ask; whoever may must say why.
    let pairs = [("purge-reason", REASON), ("submit", "")];
    let strangers = [
        county.clerk(UNIT),
        county.approver("枫桥坞镇纪委"),
        county.person("xinfang"),
        county.sysadmin(),
        county.secadmin(),
        county.auditor(),
    ];
    let clerk = &strangers[0];
    for person in &strangers {
        assert!(!person.get(&open).text().contains(&format!("{open}/purge")), "{}", person.login);
        person.post_form(&format!("{open}/purge"), &pairs).expect(404);
    }
    for empty in ["", " \u{200b}\r\n "] {
        assert!(
            head.submit(&asking(&head, &open).set("purge-reason", empty))
                .expect(422)
                .says("请填写清除理由。")
        );
    }
    // A double click asks once; a second request waits for the first.
    let form = asking(&head, &open).set("purge-reason", REASON);
    let request = head.submit(&form).expect(303).location().split('?').next().unwrap().to_owned();
    assert!(head.submit(&form).expect(303).location().starts_with(&request));
    assert!(head.post_form(&format!("{open}/purge"), &pairs).expect(422).says("已有一份清除申请在等复核"));
    assert!(!head.get("/").says("清除申请 · 待复核"), "whoever asked is not waited for");
    let decision = [("version", "1"), ("opinion", "同意"), ("submit", "d1")];
    for person in strangers.iter().filter(|p| p.login != "secadmin").chain([&head]) {
        person.post_form(&format!("{request}/move/approve"), &decision).expect(404);
    }
    assert!(clerk.get(&open).says(CANARIES[0]));
    let second = county.secadmin();
    // Refused, asked again, taken back, asked again.
    decide(&second, &request, "refuse");
    second
        .post_form(
            &format!("{request}/move/approve"),
            &[("version", "2"), ("opinion", "x"), ("submit", "d2")],
        )
        .expect(422);
    let request = ask(&head, &open);
    decide(&head, &request, "withdraw");
    second
        .post_form(
            &format!("{request}/move/approve"),
            &[("version", "2"), ("opinion", "x"), ("submit", "d3")],
        )
        .expect(422);
    assert!(clerk.get(&open).says(CANARIES[0]) && county.files("blobs").len() == 1);
    let request = ask(&head, &open);
    decide(&second, &request, "approve");
    assert_eq!(canary(&clerk.get(&open).expect(200).text()), None);
    assert!(clerk.get(&open).says("已作废"), "a void record stays void");
    assert!(head.post_form(&format!("{open}/purge"), &pairs).expect(422).says("已经清除过"));
    county.is_sound();
}

#[test]
fn a_regulation_goes_with_its_articles_and_the_keys_on_demand() {
    let county = County::demo();
    let (law, second, sysadmin) = (county.person("fagui"), county.secadmin(), county.sysadmin());
    let list = law.get("/regulation?all=1&size=100").expect(200).text();
    let path = list.split("class=\"row-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = law.get(&path).expect(200).text();
    let words = page.split("<div class=\"text\">").nth(1).unwrap().split('<').next().unwrap();
    let words: String = words.trim().chars().take(20).collect();
    assert!(law.search(&format!("\"{words}\"")).says(&path));
    sysadmin.get("/backup").expect(200);
    assert!(sysadmin.post_form("/backup/rotate", &[OWN]).expect(422).says("不需要更换"));
    let request = ask(&law, &path);
    decide(&second, &request, "approve");
    let page = law.get(&path).expect(200);
    assert!(page.says("的内容已于") && !page.text().contains(&words) && !page.says("class=\"article\""));
    assert!(!law.search(&format!("\"{words}\"")).text().contains(&format!("href=\"{path}")));
    let page = sysadmin.get(&request).expect(200);
    assert!(page.says("前自动更换并销毁") && page.says("/backup/rotate"), "{}", page.text());
    assert!(!second.get(&request).says("/backup/rotate"), "that is the system administrator's");
    second.post_form("/backup/rotate", &[OWN]).expect(404);
    assert!(sysadmin.post_form("/backup/rotate", &[OWN]).expect(303).location().contains("done=rotate"));
    assert!(comes(|| second.get(&request).says("销毁，其残留不能再打开")));
    county.is_sound();
    assert!(String::from_utf8_lossy(&county.cli(&["doctor"]).stdout).contains("[正常] 检索索引"));
}
