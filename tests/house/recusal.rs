//! Whoever a petition is about, or who has nothing to do with it, finds no trace of it: not in lists, counts and hits,
//! not by its address; and somebody else can go on with it.

use super::county::{County, PETITION, Person, path_of, year};
use super::form::forms;
use super::viewing::picture;
use super::wire::Answer;

const UNIT: &str = "石鼓岭镇纪委";
const WORDS: &str = "砚青祠堂翻修款去向";

/// A petition about somebody of the unit, entered by its clerk, with an attachment.
fn about(clerk: &Person, name: &str, org: &str) -> String {
    let typed = [("title", WORDS), ("accused.0.name", name), ("accused.0.org", org), ("petitioner.name", "来信人戊")];
    let form = clerk.form("/petition/new").fill(PETITION).fill(&typed);
    path_of(&clerk.submit(&form.attach("原件.png", &picture(image::ImageFormat::Png))).expect(303))
}

/// The first record of a list.
fn first(list: &str, kind: &str) -> String {
    let link = list.split(&format!("row-link\" href=\"/{kind}/")).nth(1).unwrap();
    format!("/{kind}/{}", link.split('"').next().unwrap())
}

fn step(person: &Person, path: &str, name: &str) -> Answer {
    let form = person.form(path).to(&format!("{path}/move/{name}")).set("opinion", "办理意见");
    person.submit(&form)
}

/// The page, the list, the desk, the search and every address below say what they would say if it were not there.
#[track_caller]
fn is_absent(person: &Person, path: &str) {
    let absent = "/petition/98765";
    for rest in ["", "/history", "/edit", "/files/0", "/files/0/view", "/files/0/inline"] {
        let (hidden, none) = (person.get(&format!("{path}{rest}")), person.get(&format!("{absent}{rest}")));
        assert_eq!((hidden.status, hidden.steady().len()), (404, none.steady().len()), "{rest}");
        assert_eq!(none.status, 404);
    }
    let pairs = [("version", "1"), ("opinion", "x"), ("reason", "查看"), ("recusal-reason", "x"), ("title", "x")];
    for rest in ["edit", "identity", "move/propose", "move/accept", "move/annul", "purge", "recuse"] {
        let ask = |path: &str| {
            let answer = person.post_form(&format!("{path}/{rest}"), &pairs);
            (answer.status, answer.steady().len())
        };
        assert_eq!(ask(path), ask(absent), "{rest}");
    }
    let list = person.get("/petition?all=1").expect(200);
    assert!(list.says("还没有信访件") && !list.says(WORDS), "{}", list.text());
    for page in ["/", "/petition?state=2", "/petition?state=3", "/petition?from=2020-01-01", "/purge?all=1"] {
        let shown = person.get(page);
        assert!(!shown.says(WORDS) && !shown.says(&format!("〔{}〕", year())), "{page}");
        assert!(!shown.says("class=\"badge\""), "{page} counts something");
    }
    let found = person.search(WORDS);
    assert!(found.says("没有找到") && !found.says("去向</"), "{}", found.text());
}

#[test]
fn whoever_a_petition_names_with_the_unit_finds_no_trace_of_it() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let path = about(&clerk, "石鼓岭镇负责人", "石鼓岭镇人民政府");
    is_absent(&head, &path);
    // Kept out twice is kept out once, also in what is counted.
    let (secadmin, number) = (county.secadmin(), format!("信访〔{}〕1号", year()));
    let form = secadmin.form("/conflicts").fill(&[("number", &number), ("login", "zhen04-fz"), ("reason", "核对过")]);
    secadmin.submit(&form).expect(303);
    is_absent(&head, &path);
    clerk.register(&[]);
    let list = head.get("/petition?all=1").expect(200).text();
    assert!(list.contains(">1</span>") && !list.contains(WORDS), "{list}");
    step(&clerk, &path, "propose").expect(303);
    head.get(&path).expect(404);
    // Somebody else goes on with it: the page says who.
    let page = clerk.get(&path).expect(200);
    assert!(page.says("本单位负责人应当回避，由信访室的") && page.says("审批"), "{}", page.text());
    step(&county.approver("信访室"), &path, "accept").expect(303);
    // Once the words name somebody else the petition is there.
    let form = clerk.form(&format!("{path}/edit")).set("accused.0.name", "测某某");
    clerk.submit(&form).expect(303);
    head.get(&path).expect(404);
    let recusal = first(&secadmin.get("/recusal?all=1").text(), "recusal");
    let lift = [("version", "1"), ("opinion", "另有其人")];
    county.approver("信访室").post_form(&format!("{recusal}/move/lift"), &lift).expect(303);
    assert!(head.get(&path).expect(200).says(WORDS) && head.get("/petition?all=1").says(WORDS));
    assert!(!clerk.get(&path).says("应当回避"));
}

#[test]
fn an_account_that_is_given_the_name_or_the_unit_later_is_kept_out_as_well() {
    let county = County::bare();
    let (clerk, head, sysadmin) = (county.clerk(UNIT), county.approver(UNIT), county.sysadmin());
    let path = about(&clerk, "顾某某", "石鼓岭镇");
    head.get(&path).expect(200);
    let list = sysadmin.get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(">zhen04-fz<")).unwrap();
    let account = row[row.find("/account/").unwrap()..].split('"').next().unwrap();
    sysadmin.submit(&sysadmin.form(&format!("{account}/edit")).set("name", "顾某某")).expect(303);
    head.get("/petition?all=1").expect(404);
    // A new name takes the roles away; with them again, the record stays absent.
    let secadmin = county.secadmin();
    secadmin.submit(&secadmin.form(&format!("{account}/edit")).set("roles", "approver")).expect(303);
    head.get("/petition?all=1").expect(200);
    is_absent(&head, &path);
}

#[test]
fn who_registers_what_names_them_is_told_and_sees_it_no_more() {
    let county = County::bare();
    let clerk = county.clerk(UNIT);
    let typed = [("accused.0.name", "石鼓岭镇经办"), ("accused.0.org", "石鼓岭镇"), ("title", WORDS)];
    let done = clerk.submit(&clerk.form("/petition/new").fill(PETITION).fill(&typed)).expect(303);
    let list = clerk.get(done.location()).expect(200);
    assert!(list.says("按回避规定不能再查看") && list.says("还没有信访件") && !list.says(WORDS));
    let list = county.approver(UNIT).get("/petition?all=1").text();
    let path = first(&list, "petition");
    is_absent(&clerk, &path);
}

/// The form by which a person declares on the page of a record.
#[track_caller]
fn declaring(person: &Person, path: &str) -> super::form::Form {
    let page = person.get(path).expect(200).text();
    forms(&page).into_iter().find(|f| f.action == format!("{path}/recuse")).expect("no way to declare")
}

#[test]
fn a_declaration_keeps_its_person_out_until_somebody_else_lifts_it() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let path = about(&clerk, "测某某", "石鼓岭镇");
    let empty = clerk.submit(&declaring(&clerk, &path).set("recusal-reason", " ")).expect(422);
    assert!(empty.says("请填写回避理由"));
    let form = declaring(&clerk, &path).set("recusal-reason", "与被反映人是亲属");
    let done = clerk.submit(&form).expect(303);
    assert!(clerk.get(done.location()).expect(200).says("已声明回避"));
    // The same form once more is no error.
    clerk.submit(&form).expect(303);
    is_absent(&clerk, &path);
    clerk.get("/recusal?all=1").expect(404);
    let list = head.get("/recusal?all=1").expect(200).text();
    assert!(list.contains("石鼓岭镇经办") && list.contains("本人声明"));
    let recusal = first(&list, "recusal");
    assert!(head.get(&recusal).expect(200).says("与被反映人是亲属"));
    assert!(head.get(&format!("{path}/history")).says("声明回避"));
    let lift = |person: &Person| {
        person.post_form(&format!("{recusal}/move/lift"), &[("version", "1"), ("opinion", "关系已核实不存在")])
    };
    lift(&clerk).expect(404);
    lift(&head).expect(303);
    assert!(clerk.get(&path).expect(200).says(WORDS));
    assert!(county.auditor().get("/audit").says("声明回避"));
    county.is_sound();
}

#[test]
fn the_head_keeps_others_out_and_cannot_take_it_back_alone() {
    let county = County::bare();
    let (clerk, head) = (county.clerk(UNIT), county.approver(UNIT));
    let path = about(&clerk, "测某某", "石鼓岭镇");
    // A clerk declares for nobody else.
    let others = declaring(&head, &path);
    let page = head.get(&path).text();
    let option = page.split("<option").find(|o| o.contains("（zhen04）")).expect("the clerk can be chosen");
    let who = super::form::attribute(option, "value").unwrap();
    let page = clerk.get(&path).text();
    assert_eq!(page.split("recusal-who").last().unwrap().matches("<option").count(), 1);
    let own = page.split("recusal-who").last().unwrap().split("<option").nth(1).unwrap();
    let own = super::form::attribute(own, "value");
    assert_eq!(own.as_deref(), Some(who.as_str()));
    // Who of another unit is kept out is not a head's to say: a township could blind the county.
    let list = county.sysadmin().get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(">xinfang<")).unwrap();
    let above = row[row.find("/account/").unwrap() + 9..].split('"').next().unwrap().to_owned();
    assert!(!page.contains(&format!("value=\"{above}\"")));
    let wrong = others.clone().set("recusal-who", &above).set("recusal-reason", "不要看");
    assert!(head.submit(&wrong).expect(422).says("只能为本单位的人登记回避"));
    county.person("xinfang").get(&path).expect(200);
    head.submit(&others.set("recusal-who", &who).set("recusal-reason", "经办人与来信人有纠纷")).expect(303);
    is_absent(&clerk, &path);
    let list = head.get("/recusal?all=1").expect(200).text();
    let recusal = first(&list, "recusal");
    let pairs = [("version", "1"), ("opinion", "收回")];
    let refused = head.post_form(&format!("{recusal}/move/lift"), &pairs).expect(422);
    assert!(refused.says("不能是同一个人"), "{}", refused.text());
    is_absent(&clerk, &path);
    county.approver("信访室").post_form(&format!("{recusal}/move/lift"), &pairs).expect(303);
    clerk.get(&path).expect(200);
}

#[test]
fn same_names_are_a_list_of_numbers_for_the_security_administrator() {
    let county = County::bare();
    let (clerk, secadmin, other) = (county.clerk(UNIT), county.secadmin(), county.clerk("枫桥坞镇纪委"));
    let ruled = about(&clerk, "石鼓岭镇负责人", "石鼓岭镇");
    let path = path_of(&other.submit(&other.form("/petition/new").fill(PETITION).fill(&[
        ("title", WORDS),
        ("accused.0.name", "枫桥坞镇经办"),
        ("accused.0.org", "县水务局"),
    ])).expect(303));
    other.get(&path).expect(200);
    for person in [&clerk, &county.sysadmin(), &county.auditor()] {
        person.get("/conflicts").expect(404);
        person.post_form("/conflicts", &[("number", "x")]).expect(404);
    }
    let page = secadmin.get("/conflicts").expect(200);
    let number = |n: u8| format!("信访〔{}〕{n}号", year());
    assert!(page.says(&number(1)) && page.says("已自动回避") && page.says(&number(2)) && page.says("待核实"));
    for content in [WORDS, "县水务局", "来信人", &ruled, &path, PETITION[1].1] {
        assert!(!page.says(content), "{content}");
    }
    let form = secadmin.form("/conflicts").fill(&[("number", &number(2)), ("login", "zhen05")]);
    for (name, wrong, says) in [
        ("number", "信访〔2026〕999号", "没有这个编号的记录"),
        ("login", "nobody", "没有这个登录名的账户"),
        ("reason", "", "请填写理由"),
    ] {
        let again = secadmin.submit(&form.clone().set("reason", "核对过").set(name, wrong)).expect(422);
        assert!(again.says(says) && again.says("zhen05") == (name != "login"), "{name}");
    }
    // It is somebody else: nobody is kept out, and nobody is asked again.
    let other_person = form.clone().fill(&[("verdict", "other"), ("reason", "水务局另有其人")]);
    secadmin.submit(&other_person).expect(303);
    other.get(&path).expect(200);
    let page = secadmin.get("/conflicts").expect(200);
    assert!(page.says("非同一人") && !page.says("待核实"));
    // It is the same person after all.
    let form = secadmin.form("/conflicts").fill(&[("number", &number(2)), ("login", "zhen05")]);
    secadmin.submit(&form.fill(&[("verdict", "avoid"), ("reason", "曾借调水务局")])).expect(303);
    is_absent(&other, &path);
    let page = secadmin.get("/conflicts").expect(200);
    assert!(page.says("已登记回避"));
    // What concerns the security administrator is not told to the security administrator.
    about(&clerk, "安全保密管理员乙", "信访室");
    about(&clerk, "安全保密管理员乙", "县水务局");
    let now = secadmin.get("/conflicts").expect(200);
    assert!(!now.says(&number(3)) && !now.says(&number(4)));
    let form = secadmin.form("/conflicts").fill(&[("number", &number(3)), ("login", "zhen05"), ("reason", "试试")]);
    assert!(secadmin.submit(&form).expect(422).says("没有这个编号的记录"));
    assert!(!secadmin.get("/recusal?all=1").expect(200).says(WORDS));
}
