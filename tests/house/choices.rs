//! A list comes back as its reader left it: filters and columns are remembered for each person and kind.

use super::county::{County, Person};
use super::form::{Form, forms};
use super::passwords::PASSWORD;

const CLERK: &str = "石鼓岭镇纪委";

/// The form of a list page that chooses its columns.
#[track_caller]
fn choosing(person: &Person, list: &str) -> Form {
    let page = person.get(list).expect(200).text();
    let action = format!("{}/columns", list.split('?').next().unwrap());
    forms(&page).into_iter().find(|f| f.action == action).unwrap_or_else(|| panic!("{page}"))
}

/// The same form with these boxes ticked and no others.
fn tick(mut form: Form, names: &[&str]) -> Form {
    form.pairs.retain(|(n, _)| n != "column");
    form.pairs.extend(names.iter().map(|name| ("column".to_owned(), (*name).to_owned())));
    form
}

/// Heads of the table.
fn heads(person: &Person, list: &str) -> Vec<String> {
    let page = person.get(list).expect(200).text();
    let cells = page.split("<th scope=\"col\">").skip(1);
    cells.map(|c| c.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn columns_are_chosen_for_one_person_and_kind_and_outlive_a_restart() {
    let county = County::bare();
    let (clerk, other) = (county.clerk(CLERK), county.clerk("枫桥坞镇纪委"));
    for person in [&clerk, &other] {
        person.register(&[("place", "某村口"), ("petitioner.name", "来信人辛"), ("accused_org", "某村委会")]);
    }
    let list = "/petition?all=1";
    let usual = ["信访编号", "标题", "信访形式", "收到时间", "单位", "状态"];
    assert_eq!(heads(&clerk, list), usual);
    let form = tick(choosing(&clerk, list), &["title", "place", "accused_org"]);
    assert!(clerk.submit(&form).expect(303).location().starts_with("/petition"));
    let chosen = ["标题", "地点", "被反映组织", "单位", "状态"];
    assert_eq!(heads(&clerk, list), chosen);
    assert!(clerk.get(list).says("某村口"));
    assert_eq!(heads(&other, list), usual, "somebody else's list changed");
    county.restart();
    clerk.log_in(PASSWORD).expect(303);
    assert_eq!(heads(&clerk, list), chosen);
    county.is_sound();
    // The boxes show what is chosen; the way back is one button.
    let form = choosing(&clerk, list);
    assert!(form.pairs.iter().any(|(n, v)| n == "column" && v == "place"));
    assert!(!form.pairs.iter().any(|(n, v)| n == "column" && v == "channel"));
    clerk.submit(&form.set("reset", "1")).expect(303);
    assert_eq!(heads(&clerk, list), usual);
}

/// ASVS 15.3.1
#[test]
fn no_list_shows_or_offers_who_wrote() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    clerk.register(&[("petitioner.name", "来信人壬"), ("petitioner.phone", "13900000009")]);
    let list = "/petition?all=1";
    let page = clerk.get(list).expect(200);
    assert!(!page.says("petitioner") && !page.says("电话"), "{}", page.text());
    let by_hand =
        ["petitioner.name", "petitioner.phone", "text", "files", "trail", "accused", "no-such", "title"];
    clerk.submit(&tick(choosing(&clerk, list), &by_hand)).expect(303);
    assert_eq!(heads(&clerk, list), ["标题", "单位", "状态"]);
    let page = clerk.get(list);
    assert!(!page.says("来信人壬") && !page.says("13900000009"));
    // The column that leads to the record cannot be lost.
    clerk.submit(&tick(choosing(&clerk, list), &["place"])).expect(303);
    assert_eq!(heads(&clerk, list), ["标题", "地点", "单位", "状态"]);
}

#[test]
fn filters_are_remembered_across_a_restart_until_they_are_cleared() {
    let county = County::bare();
    let xinfang = county.clerk("信访室");
    let wanted = "/petition?state=2&from=2026%2D01%2D01&size=50&order=old";
    xinfang.get(&format!("{wanted}&page=3&foo=bar")).expect(200);
    let back = |person: &Person| person.get("/petition").expect(303).location().to_owned();
    let remembered = back(&xinfang);
    assert!(
        remembered.starts_with("/petition?") && !remembered.contains("page") && !remembered.contains("foo")
    );
    for pair in ["state=2", "from=2026%2D01%2D01", "size=50", "order=old"] {
        assert!(remembered.contains(pair), "{pair} in {remembered}");
    }
    let list = xinfang.get(&remembered).expect(200);
    assert!(
        list.says("href=\"/petition?all=1\"") && list.says("清除筛选") && list.says("value=\"2026-01-01\"")
    );
    county.restart();
    xinfang.log_in(PASSWORD).expect(303);
    assert_eq!(back(&xinfang), remembered);
    // Each kind and each person has its own; looking again writes nothing.
    xinfang.get("/regulation").expect(200);
    county.clerk(CLERK).get("/petition").expect(200);
    xinfang.get(&remembered).expect(200);
    let settings = || county.auditor().get("/audit").expect(200).text().matches("设置列表").count();
    assert_eq!(settings(), 1);
    xinfang.get("/petition?all=1").expect(200);
    xinfang.get("/petition").expect(200);
    assert_eq!(settings(), 2);
    county.is_sound();
}
