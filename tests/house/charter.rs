//! What roles may do, as the county sets it: at once, for forms on their way too, and as far as it says.

use super::county::{County, PETITION, Person, path_of};
use super::form::{Form, attribute, forms};

const UNIT: &str = "石鼓岭镇纪委";
const OTHER: &str = "枫桥坞镇纪委";

fn account(secadmin: &Person, login: &str) -> String {
    let list = secadmin.get("/account?all=1&size=100").text();
    let row = list.split("<tr").find(|l| l.contains(&format!(">{login}<"))).unwrap();
    row[row.find("/account/").unwrap()..].split('"').next().unwrap().to_owned()
}

/// The form of a page that has this control.
fn form_with(page: &str, control: &str) -> Form {
    forms(page).into_iter().find(|f| f.has(control)).unwrap_or_else(|| panic!("no {control} in {page}"))
}

fn of_role(secadmin: &Person, role: &str) -> Form {
    form_with(&secadmin.get(&format!("/rights/{role}")).expect(200).text(), "petition.see")
}

/// The security administrator sets what a role may do.
fn set(secadmin: &Person, role: &str, cells: &[(&str, &str)]) {
    let page = secadmin.submit(&of_role(secadmin, role).fill(cells)).expect(303);
    assert!(secadmin.get(page.location()).says("已保存"));
}

/// The security administrator lets an office look after a unit.
fn look_after(secadmin: &Person, unit: &str, office: &str) {
    let page = secadmin.get("/rights").text();
    let row = page.split("<tr").find(|r| r.contains(unit) && r.contains("<select")).unwrap();
    let name = attribute(&row[row.find("<select").unwrap()..], "name").unwrap();
    let office = row.split("<option").find(|o| o.contains(office)).and_then(|o| attribute(o, "value")).unwrap();
    secadmin.submit(&form_with(&page, &name).set(&name, &office)).expect(303);
}

fn registered(clerk: &Person, title: &str) -> String {
    path_of(&clerk.submit(&clerk.form("/petition/new").fill(PETITION).set("title", title)).expect(303))
}

#[test]
fn what_a_role_loses_is_gone_at_once_also_for_a_form_on_its_way_and_comes_back_with_the_template() {
    let county = County::bare();
    let (secadmin, clerk) = (county.secadmin(), county.clerk(UNIT));
    let path = registered(&clerk, "砚青祠堂翻修");
    let half_done = clerk.form(&format!("{path}/edit")).set("title", "砚青祠堂翻修款");
    let fresh = clerk.form("/petition/new").fill(PETITION);
    set(&secadmin, "handler", &[("petition.create", ""), ("petition.edit", ""), ("petition.handle", "")]);
    clerk.submit(&half_done).expect(404);
    clerk.submit(&fresh).expect(404);
    clerk.get("/import").expect(404);
    clerk.get("/petition/new").expect(404);
    assert!(clerk.get(&path).expect(200).says("砚青祠堂翻修"));
    set(&secadmin, "handler", &[("petition.see", ""), ("petition.purge", "")]);
    clerk.get(&path).expect(404);
    assert!(clerk.search("砚青祠堂").says("没有找到"));
    let audit = county.auditor().get("/audit").expect(200).text();
    assert!(audit.contains("经办人·信访件·登记") && audit.contains("− 本单位") && audit.contains("+ —"), "{audit}");
    county.restart();
    let (secadmin, clerk) = (county.secadmin(), county.clerk(UNIT));
    clerk.get(&path).expect(404);
    let form = of_role(&secadmin, "handler").set("template", "1");
    secadmin.submit(&form).expect(303);
    clerk.get(&format!("{path}/edit")).expect(200);
    assert!(!secadmin.get("/rights").says("已调整"));
}

#[test]
fn an_office_reaches_the_units_it_looks_after_and_no_other() {
    let county = County::bare();
    let (secadmin, office) = (county.secadmin(), county.person("bangong"));
    let own = registered(&county.clerk(UNIT), "砚青祠堂翻修");
    let other = registered(&county.clerk(OTHER), "砚青祠堂旁的石桥");
    set(&secadmin, "handler", &[("petition.see", "supervised")]);
    office.get(&own).expect(404);
    look_after(&secadmin, UNIT, "办公室");
    assert!(office.get(&own).expect(200).says("砚青祠堂翻修"));
    office.get(&other).expect(404);
    let list = office.get("/petition?all=1").expect(200);
    assert!(list.says("砚青祠堂翻修") && !list.says("石桥"));
    let found = office.search("砚青祠堂");
    assert!(found.says("翻修") && !found.says("石桥"));
    // To see is not to change, and those who are looked after see no more than before.
    office.get(&format!("{own}/edit")).expect(404);
    county.clerk(OTHER).get(&own).expect(404);
    look_after(&secadmin, UNIT, "宣传部");
    office.get(&own).expect(404);
}

#[test]
fn what_cannot_be_right_is_refused_and_nobody_else_sets_it() {
    let county = County::bare();
    let (secadmin, sysadmin, clerk) = (county.secadmin(), county.sysadmin(), county.clerk(UNIT));
    let form = of_role(&secadmin, "approver");
    let blind = form.clone().fill(&[("petition.see", "own"), ("petition.approve", "county")]);
    let refused = secadmin.submit(&blind).expect(422);
    assert!(refused.says("看不到的不能办理") && refused.says("没有保存"));
    // What was typed is still there.
    assert_eq!(form_with(&refused.text(), "petition.see").value("petition.approve"), "county");
    secadmin.submit(&form.clone().set("petition.see", "everything")).expect(422);
    for role in ["sysadmin", "secadmin", "auditor", "nobody"] {
        secadmin.get(&format!("/rights/{role}")).expect(404);
        secadmin.post_form(&format!("/rights/{role}"), &[("petition.see", "county")]).expect(404);
    }
    for person in [&sysadmin, &clerk] {
        let all: Vec<(&str, &str)> = form.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        person.post_form("/rights/approver", &all).expect(404);
    }
    assert!(sysadmin.get("/rights").expect(200).says("负责人（审批）") && !sysadmin.get("/rights").says("<select"));
    assert!(!secadmin.get("/rights").says("已调整"));
}

#[test]
fn one_account_has_a_right_besides_its_role_until_its_last_day() {
    let county = County::bare();
    let (secadmin, law) = (county.secadmin(), county.person("fagui"));
    let path = registered(&county.clerk(UNIT), "砚青祠堂翻修");
    let edit = format!("{}/edit", account(&secadmin, "fagui"));
    let with = |until: &str| {
        secadmin.form(&edit).fill(&[
            ("extra.0.module", "petition"),
            ("extra.0.action", "see"),
            ("extra.0.scope", "county"),
            ("extra.0.until", until),
            ("extra.0.reason", "编写案例"),
        ])
    };
    let preview = secadmin.submit(&with("2199-12-31").set("preview", "1")).expect(200);
    assert!(preview.says("全县"));
    law.get(&path).expect(404);
    secadmin.submit(&with("2020-01-01")).expect(303);
    law.get(&path).expect(404);
    secadmin.submit(&with("2199-12-31")).expect(303);
    assert!(law.get(&path).expect(200).says("砚青祠堂翻修"));
    law.get(&format!("{path}/edit")).expect(404);
    law.get("/petition/new").expect(404);
    assert!(!county.sysadmin().form(&edit).has("extra.0.module"), "the system administrator grants nothing");
    let narrow = with("2199-12-31").fill(&[("extra.0.module", "regulation"), ("extra.0.scope", "own")]);
    assert!(secadmin.submit(&narrow).expect(422).says("法律法规属于全县"));
    let own = format!("{}/edit", account(&secadmin, "auditor"));
    let fields = [("module", "petition"), ("action", "see"), ("scope", "county"), ("reason", "x")];
    let names: Vec<String> = fields.iter().map(|(n, _)| format!("extra.0.{n}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().zip(fields).map(|(n, (_, v))| (n.as_str(), v)).collect();
    assert!(secadmin.submit(&secadmin.form(&own).fill(&pairs)).expect(422).says("三员账户不能另行授权"));
}
