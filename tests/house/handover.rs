//! Somebody leaves (人员变更交接): the head of the unit assigns what is open, the system administrator closes the account,
//! and neither does the other's part. Nothing is left with an account that is closed.

use super::county::{County, PETITION, Person, path_of, year};
use super::form::{Form, forms};

const UNIT: &str = "石鼓岭镇纪委";
const WORDS: &str = "砚青祠堂翻修款去向";

/// Where the account of a log-in lies.
pub(crate) fn account(admin: &Person, login: &str) -> String {
    let list = admin.get("/account?all=1&size=100").expect(200).text();
    let row = list.split("<tr").find(|l| l.contains(&format!(">{login}<"))).unwrap_or_else(|| panic!("no {login}"));
    row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned()
}

/// A new account of a unit with these roles, as two administrators make it; it is logged in.
pub(crate) fn newcomer(county: &County, login: &str, beside: &str, roles: &str) -> Person {
    let (sysadmin, secadmin) = (county.sysadmin(), county.secadmin());
    let form = sysadmin.form(&format!("{}/edit", account(&sysadmin, beside)));
    let unit = form.value("unit").to_owned();
    let form = sysadmin.form("/account/new").fill(&[("login", login), ("name", "新来的人"), ("unit", &unit)]);
    let path = path_of(&sysadmin.submit(&form).expect(303));
    let page = sysadmin.post_form(&format!("{path}/password"), &[]).expect(200).text();
    let first = page.split("<b class=\"mono\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    super::factor::confirm(&secadmin, &path);
    secadmin.submit(&secadmin.form(&format!("{path}/edit")).set("roles", roles)).expect(303);
    let person = county.nobody();
    person.post_form("/login", &[("login", login), ("password", &first)]).expect(303);
    person.get("/password").expect(200);
    let pairs = [("old", first.as_str()), ("new", "Guanxia#20261"), ("again", "Guanxia#20261")];
    person.post_form("/password", &pairs).expect(303);
    person
}

/// The system administrator opens the handover of an account.
pub(crate) fn begin(sysadmin: &Person, account: &str) -> String {
    sysadmin.get(account).expect(200);
    let pairs = [("cause", "transfer"), ("outcome", "close"), ("note", "调任县直机关")];
    let answer = sysadmin.post_form(&format!("{account}/handover"), &pairs).expect(303);
    answer.location().split('?').next().unwrap().to_owned()
}

fn to_assign(head: &Person, change: &str) -> Option<Form> {
    let page = head.get(change).expect(200).text();
    forms(&page).into_iter().find(|f| f.action.ends_with("/assign"))
}

fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// A draft says the petitioner in plain: whoever gets it would read that without a right and without a reason.
#[test]
fn a_draft_with_a_petitioner_goes_to_nobody_who_may_not_open_identities() {
    let county = County::bare();
    let plain = newcomer(&county, "xinlai", "zhen04", "handler");
    let (clerk, head, sysadmin) = (county.clerk(UNIT), county.approver(UNIT), county.sysadmin());
    let draft = clerk.form("/petition/new").fill(PETITION);
    clerk.submit(&draft.fill(&[("petitioner.name", "来信人壬"), ("keep", "draft")])).expect(303);
    let change = begin(&sysadmin, &account(&sysadmin, "zhen04"));
    let heir = id_of(&account(&sysadmin, "xinlai")).to_owned();
    let form = to_assign(&head, &change).unwrap().set("drafts", &heir);
    assert!(head.submit(&form).expect(422).says("还须可查看检举控告人"));
    assert!(!plain.get("/").expect(200).says("草稿") || !plain.get("/").says(PETITION[0].1));
    let secadmin = county.secadmin();
    let edit = secadmin.form(&format!("{}/edit", account(&secadmin, "xinlai")));
    let mut edit = edit.set("roles", "handler");
    edit.pairs.push(("roles".to_owned(), "identity".to_owned()));
    secadmin.submit(&edit).expect(303);
    head.submit(&to_assign(&head, &change).unwrap().set("drafts", &heir)).expect(303);
}

#[test]
fn an_account_with_open_work_is_not_closed_before_others_have_it() {
    let county = County::bare();
    let heir = newcomer(&county, "xinlai", "zhen04", "handler");
    let (clerk, head, sysadmin) = (county.clerk(UNIT), county.approver(UNIT), county.sysadmin());
    let one = clerk.register(&[("title", WORDS), ("petitioner.name", "来信人戊")]);
    let two = clerk.register(&[]);
    let draft = clerk.form("/petition/new").fill(PETITION).fill(&[("title", "写到一半的信"), ("keep", "draft")]);
    clerk.submit(&draft).expect(303);
    let own = account(&sysadmin, "zhen04");
    // The ordinary way says what to do, also to whoever sends the form directly.
    let form = sysadmin.form(&own).to(&format!("{own}/move/close")).set("opinion", "调离");
    let refused = sysadmin.submit(&form).expect(422);
    assert!(refused.says("未办结的工作 2 件、草稿 1 份") && refused.says("人员变更交接"), "{}", refused.text());
    let change = begin(&sysadmin, &own);
    assert_eq!(begin(&sysadmin, &own), change, "a second handover of one account");
    let page = sysadmin.get(&change).expect(200);
    assert!(page.says("2 件") && page.says("1 份") && page.says("调任县直机关"), "{}", page.text());
    let number = format!("信访〔{}〕", year());
    let unseen = |page: &super::wire::Answer| !page.says(WORDS) && !page.says("来信人戊") && !page.says(&number);
    assert!(unseen(&page) && to_assign(&sysadmin, &change).is_none());
    sysadmin.post_form(&format!("{change}/assign"), &[("rest", "1")]).expect(404);
    let early = sysadmin.post_form(&format!("{change}/finish"), &[]).expect(422);
    assert!(early.says("没有交接，没有执行"), "{}", early.text());
    // The clerk sees none of it, another unit's head neither.
    clerk.get(&change).expect(404);
    county.approver("枫桥坞镇纪委").get(&change).expect(404);
    // The head assigns: one by itself, the rest and the drafts in bulk.
    assert!(head.get("/").expect(200).says(&change));
    let heir_id = id_of(&account(&sysadmin, "xinlai")).to_owned();
    let form = to_assign(&head, &change).unwrap();
    assert!(!head.get(&change).says("（zhen05）"), "somebody of another unit is offered");
    for other in ["zhen05", "zhen04-fz", "sysadmin"] {
        let other = id_of(&account(&sysadmin, other)).to_owned();
        assert!(head.submit(&form.clone().set("drafts", &other)).expect(422).says("同一单位在用的经办人"));
    }
    let form = form.set(&format!("to.{}", id_of(&one)), &heir_id).set("rest", &heir_id).set("drafts", &heir_id);
    assert!(head.submit(&form).expect(303).location().contains("done=assigned&n=3&left=0"));
    assert!(to_assign(&head, &change).is_none());
    let again = head.submit(&form).expect(422);
    assert!(again.says("已经交接"), "{}", again.text());
    assert!(heir.get(&one).expect(200).says("新来的人（交接）") && heir.get(&two).expect(200).says("新来的人（交接）"));
    assert!(heir.get("/").expect(200).says("写到一半的信") && !clerk.get("/").expect(200).says("写到一半的信"));
    // The head does not close the account, and the system administrator does: at once everything is gone.
    head.post_form(&format!("{change}/finish"), &[]).expect(404);
    clerk.get("/").expect(200);
    sysadmin.get(&change).expect(200);
    let done = sysadmin.post_form(&format!("{change}/finish"), &[]).expect(303);
    assert!(sysadmin.get(done.location()).expect(200).says("权限已收回"));
    assert_eq!(clerk.get("/").expect(303).location(), "/login");
    clerk.log_in(super::passwords::PASSWORD).expect(422);
    let page = sysadmin.get(&own).expect(200);
    assert!(page.says("已停用") && !page.says("经办人</"), "{}", page.text());
    let report = sysadmin.get(&format!("{change}/report")).expect(200);
    for words in ["石鼓岭镇经办", "调离", "新来的人", "第十八条", &format!("{number}1号"), "草稿 1 份", "系统管理员甲"] {
        assert!(report.says(words), "{words} in {}", report.text());
    }
    assert!(!report.says(WORDS) && !report.says("来信人戊") && !report.says("写到一半"));
    sysadmin.post_form(&format!("{change}/finish"), &[]).expect(422);
    county.is_sound();
}

#[test]
fn a_successor_is_of_the_unit_does_such_work_and_is_not_kept_out() {
    let county = County::bare();
    newcomer(&county, "xinlai", "zhen04", "handler");
    let (clerk, head, sysadmin) = (county.clerk(UNIT), county.approver(UNIT), county.sysadmin());
    let plain = clerk.register(&[]);
    let about_heir = [("accused.0.name", "新来的人"), ("accused.0.org", "石鼓岭镇人民政府")];
    let about = clerk.register(&[&about_heir[..], &[("title", WORDS)]].concat());
    let change = begin(&sysadmin, &account(&sysadmin, "zhen04"));
    let id = |login: &str| id_of(&account(&sysadmin, login)).to_owned();
    let heir = id("xinlai");
    let try_one = |record: &str, to: &str| {
        let form = to_assign(&head, &change).unwrap();
        head.submit(&form.set(&format!("to.{}", id_of(record)), to))
    };
    // Another unit, no such work, whoever leaves, an administrator, nobody, and whoever the petition names.
    for to in ["zhen05", "zhen04-fz", "zhen04", "sysadmin"].map(id).iter().map(String::as_str).chain(["999999"]) {
        assert!(try_one(&plain, to).expect(422).says("不能接收"), "{to}");
    }
    assert!(try_one(&about, &heir).expect(422).says("不能接收"));
    // In bulk what does not fit is left.
    let form = to_assign(&head, &change).unwrap().set("rest", &heir);
    let told = head.submit(&form).expect(303);
    assert!(head.get(told.location()).expect(200).says("另有 1 件所选的人不能接收"));
    let left = to_assign(&head, &change).unwrap();
    assert!(left.has("item") && !left.has(&format!("to.{}", id_of(&about))) && left.value("item") == id_of(&about));
    // A record of another unit, or one that does not lie with the person, is not reached by its number.
    let other = county.clerk("枫桥坞镇纪委").register(&[]);
    let answer = head.post_form(&format!("{change}/assign"), &[(&format!("to.{}", id_of(&other)), &heir)]);
    answer.expect(404);
    // Who is kept out of a record learns nothing of it from the list of what was handed over.
    let secadmin = county.secadmin();
    let number = format!("信访〔{}〕1号", year());
    assert!(head.get(&change).expect(200).says(&number));
    let typed = [("number", number.as_str()), ("login", "zhen04-fz"), ("reason", "亲属")];
    secadmin.submit(&secadmin.form("/conflicts").fill(&typed)).expect(303);
    assert!(!head.get(&change).expect(200).says(&number));
}

#[test]
fn the_only_one_who_can_decide_does_not_leave_and_a_change_of_unit_leaves_nothing_behind() {
    let county = County::bare();
    let (clerk, sysadmin, secadmin) = (county.clerk(UNIT), county.sysadmin(), county.secadmin());
    let path = clerk.register(&[]);
    let form = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", "拟受理");
    clerk.submit(&form).expect(303);
    // While the petition office decides for every unit, nobody of a unit is the only one.
    for login in ["demo", "xinfang", "xinfang-fz"] {
        let mut form = secadmin.form(&format!("{}/edit", account(&secadmin, login)));
        form.pairs.retain(|(name, _)| name != "roles");
        secadmin.submit(&form).expect(303);
    }
    let head = account(&sysadmin, "zhen04-fz");
    let change = begin(&sysadmin, &head);
    assert!(sysadmin.get(&change).expect(200).says("“待批办”的信访件"));
    let refused = sysadmin.post_form(&format!("{change}/finish"), &[]).expect(422);
    assert!(refused.says("安全保密管理员先给接任的人授予角色"), "{}", refused.text());
    sysadmin.post_form(&format!("{change}/end"), &[]).expect(303);
    county.approver(UNIT).get(&path).expect(200);
    // To another unit nobody goes with the work of this one.
    let own = account(&sysadmin, "zhen04");
    let form = sysadmin.form(&format!("{own}/edit"));
    let elsewhere = sysadmin.form(&format!("{}/edit", account(&sysadmin, "zhen05"))).value("unit").to_owned();
    let refused = sysadmin.submit(&form.set("unit", &elsewhere)).expect(422);
    assert!(refused.says("没有交接，没有执行"), "{}", refused.text());
    let form = sysadmin.form(&format!("{own}/edit")).set("expires", "2020-01-01");
    assert!(sysadmin.submit(&form).expect(422).says("没有交接，没有执行"));
    // Somebody without any work is closed as ever.
    let idle = account(&sysadmin, "zhen06");
    let form = sysadmin.form(&idle).to(&format!("{idle}/move/close")).set("opinion", "今年退休");
    sysadmin.submit(&form).expect(303);
    assert!(sysadmin.get(&idle).expect(200).says("今年退休"), "why stays on the account");
}
