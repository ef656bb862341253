//! Repeated petitions: what a petition may repeat is offered to whoever registers, made of what that person may see;
//! what somebody says of a pair stands on both petitions, can be taken back, and is answered for.

use super::county::{County, PETITION, Person, path_of, year};
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
const OTHER: &str = "枫桥坞镇纪委";
const TEXT: &str = "来信反映青石村会计在发放种粮补贴时多报了十七户，名单至今没有公示，村民多次询问没有答复。";
const COPY: &str = "群众反映，青石村会计在发放种粮补贴时多报了十七户人家，名单到今天没有公示，村民多次询问都没有答复，请查。";
/// What nobody else says.
const APART: &[(&str, &str)] = &[
    ("title", "水渠工程用料"),
    ("text", "反映水渠衬砌厚度不够，验收走过场，监理没有到场。"),
    ("accused.0.name", "宁某丙"),
    ("accused.0.org", "水利站"),
];

fn number(n: u32) -> String {
    format!("信访〔{}〕{n}号", year())
}

/// What a page says, without what differs each time: tokens, and when the record was entered.
fn content(page: &Answer) -> String {
    let text = page.text();
    let main = text.split("<main").nth(1).and_then(|m| m.split("</main>").next()).unwrap_or_default();
    let (before, after) = main.split_once("<dt>登记时间</dt>").unwrap_or((main, ""));
    let kept = format!("{before}{}", after.split_once("</dd>").map_or("", |(_, rest)| rest));
    let token = |piece: &&str| piece.len() < 32 || !piece.bytes().all(|b| b.is_ascii_hexdigit());
    kept.split('"').filter(token).collect::<Vec<_>>().join("\"")
}

fn register(clerk: &Person, pairs: &[(&str, &str)]) -> String {
    clerk.register(pairs)
}

/// The petitions a page offers or tells of, by number.
fn told(page: &Answer, id: &str) -> Vec<String> {
    let text = page.text();
    let section = text.split(&format!("id=\"{id}\"")).nth(1).and_then(|s| s.split("</section>").next());
    let links = section.unwrap_or_default().split("rel=\"noopener\">").skip(1);
    links.map(|l| l.split('<').next().unwrap().to_owned()).collect()
}

fn answer(person: &Person, path: &str, other: &str, answer: &str) -> Answer {
    let id = other.rsplit('/').next().unwrap();
    person.post_form(&format!("{path}/repeats"), &[("other", id), ("answer", answer)])
}

#[test]
fn a_repeat_is_offered_for_its_reason_and_what_is_unrelated_is_not() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let about = ("accused.0.org", "青石村委会");
    register(&clerk, &[("title", "补贴"), ("text", TEXT), ("accused.0.name", "阙某甲"), about]);
    register(&clerk, APART);
    // The same person in other words.
    let words = ("text", "会计收了好处，账目不清，请派人来查。");
    let person = register(&clerk, &[("title", "账目"), words, ("accused.0.name", "阙某甲"), about]);
    let page = clerk.get(&format!("{person}?done=created")).expect(200);
    assert_eq!(told(&page, "candidates"), [number(1)]);
    assert!(page.says("同一被反映人 阙某甲"));
    // Changed words about somebody else.
    let copy = register(&clerk, &[("title", "种粮"), ("text", COPY), ("accused.0.name", "庞某乙"), ("accused.0.org", "粮站")]);
    let page = clerk.get(&copy).expect(200);
    assert_eq!(told(&page, "candidates"), [number(1)]);
    assert!(page.says("内容重合"));
    // The same name in another unit and place is another person; a number that is mentioned says enough.
    let namesake = [("accused.0.name", "阙某甲"), ("accused.0.org", "白沙小学"), ("text", "教室漏水没有人修。")];
    let page = clerk.get(&register(&clerk, &[&namesake[..], &[("title", "教室")]].concat())).expect(200);
    assert_eq!(told(&page, "candidates"), [""; 0], "{}", page.text());
    let mentions = [("text", &*format!("前信（信訪[{}] 2 号）没有回音。", year())), ("accused.0.name", "某某丁")];
    let page = clerk.get(&register(&clerk, &[&mentions[..], &[("title", "催办")]].concat())).expect(200);
    assert_eq!(told(&page, "candidates"), [number(2)]);
    assert!(page.says("提到编号"));
    let place = [("title", "路灯"), ("text", "村口路灯坏了半年。"), ("accused.0.name", "某某戊"), ("place", "乌石岭自然村")];
    register(&clerk, &place);
    let here = [("title", "垃圾"), ("text", "垃圾没有人清运。"), ("accused.0.name", "某某己"), ("place", "乌石岭自然村")];
    let page = clerk.get(&register(&clerk, &here)).expect(200);
    assert_eq!(told(&page, "candidates"), [number(7)]);
    assert!(page.says("同一地点"));
    // The story of what was shown says so.
    let first = clerk.get("/petition?all=1&order=old").text();
    let first = first.split("row-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(clerk.get(&format!("{first}/history")).says("查看重复信访"));
}

#[test]
fn repeats_are_looked_for_before_a_petition_is_registered() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    register(&clerk, &[("text", TEXT), ("accused.0.name", "阙某甲")]);
    let before = county.head();
    let typed = [("text", COPY), ("title", "种粮"), ("accused.0.name", "庞某乙"), ("keep", "repeats")];
    let form = clerk.form("/petition/new").fill(PETITION).fill(&typed);
    let page = clerk.submit(&form).expect(422);
    assert_eq!(told(&page, "candidates"), [number(1)]);
    assert!(page.says("庞某乙") && page.says(COPY));
    assert_ne!(county.head(), before, "what was shown is entered");
    assert!(clerk.get("/petition?all=1").says(">1</span>"), "nothing was registered");
    // Article 16 comes first.
    let form = form.set("accused.0.rank", "sect-head");
    let page = clerk.submit(&form).expect(422);
    assert!(page.says("未予登记") && !page.says("可能重复"));
}

#[test]
fn what_another_unit_has_is_as_if_it_were_not_there() {
    let about = [("text", TEXT), ("title", "补贴"), ("accused.0.name", "阙某甲"), ("place", "青石村口")];
    let page = |elsewhere: bool| {
        let county = County::bare();
        if elsewhere {
            register(&county.clerk(OTHER), &about);
        } else {
            register(&county.clerk(OTHER), APART);
        }
        let clerk = county.clerk(UNIT);
        let named = number(1);
        let path = register(&clerk, &[&about[..], &[("remarks", named.as_str())]].concat());
        let both = [clerk.get(&path).expect(200), clerk.get(&format!("{path}/similar")).expect(200)];
        assert!(both.iter().all(|p| told(p, "candidates").is_empty()), "{}", both[0].text());
        // Neither the one that is hidden nor one that is not there can be answered for.
        for (other, status) in [("98765", 404), ("", 422)] {
            let answer = clerk.post_form(&format!("{path}/repeats"), &[("other", other), ("answer", "same")]);
            assert_eq!(answer.status, status);
        }
        both.map(|p| content(&p))
    };
    assert_eq!(page(true), page(false));
    // Whoever sees both says so; for the unit the pair is not there.
    let county = County::bare();
    let theirs = register(&county.clerk(OTHER), &about);
    let clerk = county.clerk(UNIT);
    let own = register(&clerk, &about);
    let alone = content(&clerk.get(&own).expect(200));
    let hidden = answer(&clerk, &own, &theirs, "same");
    let absent = answer(&clerk, &own, "/petition/98765", "same");
    assert_eq!((hidden.status, hidden.steady().len()), (404, absent.steady().len()));
    let office = county.clerk("信访室");
    assert_eq!(told(&office.get(&own).expect(200), "candidates"), [number(1)]);
    answer(&office, &own, &theirs, "same").expect(303);
    assert_eq!(told(&office.get(&own).expect(200), "repeats"), [number(1)]);
    assert_eq!(told(&office.get(&theirs).expect(200), "repeats"), [number(2)]);
    assert_eq!(content(&clerk.get(&own).expect(200)), alone);
    assert!(!clerk.get("/petition?all=1").says(">重复<") && office.get("/petition?all=1").says(">重复<"));
}

#[test]
fn whoever_is_kept_out_of_a_petition_finds_it_in_no_pair() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let names_clerk = [("accused.0.name", "石鼓岭镇负责人"), ("accused.0.org", "石鼓岭镇人民政府"), ("text", TEXT)];
    let first = register(&clerk, &names_clerk);
    let second = register(&clerk, &[("text", COPY), ("accused.0.name", "庞某乙"), ("title", "种粮")]);
    let head = county.approver(UNIT);
    let before = content(&head.get(&second).expect(200));
    answer(&clerk, &second, &first, "same").expect(303);
    assert_eq!(told(&clerk.get(&second).expect(200), "repeats"), [number(1)]);
    assert_eq!(content(&head.get(&second).expect(200)), before);
    assert!(!head.get("/petition?all=1").says(">重复<"));
    assert_eq!(told(&head.get(&format!("{second}/similar")).expect(200), "candidates"), [""; 0]);
}

#[test]
fn what_was_said_of_a_pair_can_be_taken_back_and_outlives_a_restart() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let first = register(&clerk, &[("text", TEXT)]);
    let second = register(&clerk, &[("text", COPY), ("title", "种粮")]);
    assert_eq!(told(&clerk.get(&second).expect(200), "candidates"), [number(1)]);
    assert_eq!(answer(&clerk, &second, &first, "undo").status, 422);
    assert_eq!(answer(&clerk, &second, &second, "same").status, 422);
    assert_eq!(answer(&clerk, &second, &first, "x").status, 422);
    for (said, done, repeats, candidates) in [
        ("other", "排除重复信访", 0, 0),
        ("undo", "撤销重复信访结论", 0, 1),
        ("same", "确认重复信访", 1, 0),
        ("same", "确认重复信访", 1, 0),
    ] {
        let page = clerk.get(answer(&clerk, &second, &first, said).expect(303).location()).expect(200);
        assert!(page.says("已保存，并记入两件信访的经过"), "{said}");
        assert_eq!((told(&page, "repeats").len(), told(&page, "candidates").len()), (repeats, candidates), "{said}");
        assert_eq!(told(&clerk.get(&first).expect(200), "repeats").len(), repeats, "{said}");
        for path in [&first, &second] {
            assert!(clerk.get(&format!("{path}/history")).says(done), "{path} {said}");
        }
    }
    assert!(clerk.get(&second).says("前件") && clerk.get(&first).says("后件"));
    assert_eq!(clerk.get("/petition?all=1").text().matches(">重复<").count(), 2);
    county.terminate();
    county.restart();
    let clerk = county.clerk(UNIT);
    assert_eq!(told(&clerk.get(&first).expect(200), "repeats"), [number(2)]);
    // From the other side; nobody reads the pair by itself, and whoever only decides does not say.
    answer(&clerk, &first, &second, "undo").expect(303);
    assert_eq!(told(&clerk.get(&first).expect(200), "candidates"), [number(2)]);
    let office = county.person("demo");
    for n in 1..40 {
        office.get(&format!("/repeat/{n}")).expect(404);
    }
    clerk.get("/repeat?all=1").expect(404);
    assert_eq!(answer(&county.approver(UNIT), &second, &first, "same").status, 404);
    // An entry that was taken out repeats nothing.
    let void = [("version", "1"), ("opinion", "重复登记"), ("submit", "a1")];
    clerk.post_form(&format!("{first}/move/void"), &void).expect(303);
    assert_eq!(told(&clerk.get(&second).expect(200), "candidates"), [""; 0]);
    assert_eq!(answer(&clerk, &first, &second, "same").status, 422);
    county.is_sound();
}

#[test]
fn similar_petitions_and_articles_are_shown_by_right() {
    let county = County::demo();
    let demo = county.demo_user();
    let list = demo.get("/petition?all=1").text();
    let path = list.split("row-link\" href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = demo.get(&format!("{path}/similar")).expect(200);
    assert!(page.says("相似信访") && page.says("相关条文"));
    assert!(demo.get(&format!("{path}/history")).says("查看相似内容"));
    let found = demo.search("第三条");
    let text = found.text();
    let article = text.split("#a").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let page = demo.get(&format!("/article/{article}/similar")).expect(200);
    assert!(page.says("相似条文") && !page.says("相似信访"));
    county.secadmin().get(&format!("/article/{article}/similar")).expect(404);
    assert_eq!(path_of(&demo.submit(&demo.form("/petition/new").fill(PETITION)).expect(303)).split('/').count(), 3);
}
