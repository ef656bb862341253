//! People and units as they come and go: accounts from a table, made all or not at all and opened by two
//! administrators; units that are called otherwise from some day on, and papers that keep the name of theirs.

use jiceng::foreign::workbook;

use super::county::{County, PETITION, Person};
use super::form::{Form, forms};
use super::handover::account;
use super::wire::Answer;

const ADDRESS: &str = "/account/import";
const RIGHT: &str = "song-ml\t宋墨林\t石鼓岭镇纪委\t干事\ntang-qy，唐青野，枫桥坞镇纪委，，2099-12-31";

/// The form for a table, filled in.
fn table(admin: &Person, text: &str, button: &str) -> Form {
    admin.form(ADDRESS).set("people", text).set("do", button)
}

/// The form of the answer, with what was typed.
fn again(answer: &Answer) -> Form {
    forms(&answer.text()).into_iter().find(|f| f.has("people")).unwrap()
}

fn accounts(admin: &Person) -> usize {
    admin.get("/account?all=1&size=100").expect(200).text().matches("row-link").count()
}

/// Log-in name and one-time password of each slip.
fn slips(page: &str) -> Vec<(String, String)> {
    let word = |slip: &str, before: &str| slip.split(before).nth(1).map(|w| w.split('<').next().unwrap().to_owned());
    let of = |slip: &str| {
        let login = slip.split("登录名").nth(1).and_then(|rest| word(rest, "mono\">"));
        (login.unwrap(), word(slip, "<b class=\"mono\">").unwrap())
    };
    page.split("class=\"slip\"").skip(1).map(of).collect()
}

#[test]
fn a_table_with_a_fault_makes_nobody_and_keeps_every_word() {
    let county = County::bare();
    let admin = county.sysadmin();
    assert!(admin.get("/account?all=1").expect(200).says(ADDRESS));
    let (before, head) = (accounts(&admin), county.head());
    let wrong = "\
        登录名\t姓名\t所属机构\t职务\t有效期至\nSong\t宋墨林\t石鼓岭镇纪委\nzhen04\t唐青野\t枫桥坞镇纪委\n\
        song-ml\t\t石鼓岭镇纪委\n\nhu-zc\t胡子澄\t不存在的镇\nlu-jn\t陆江宁\t石鼓岭镇纪委\t\t2026-02-30\n\
        xu-ly\t徐连漪\t石鼓岭镇纪委\t\t2020-01-01\nfan-yc\t范延川\t石鼓岭镇纪委\nFan-yc\t范延舟\t信访室";
    let faults = [
        (2, "小写字母"),
        (3, "“zhen04”已被使用"),
        (4, "请填写姓名"),
        (6, "没有叫“不存在的镇”的机构"),
        (7, "2026-03-05 这样的日期"),
        (8, "已经过去"),
        (10, "小写字母"),
    ];
    for button in ["look", "save"] {
        let page = admin.submit(&table(&admin, wrong, button)).expect(422);
        for (line, words) in faults {
            let told = page.text().split("<li>").any(|l| l.starts_with(&format!("第 {line} 行：")) && l.contains(words));
            assert!(told, "{line} {words}: {}", page.text());
        }
        assert!(page.says(&format!("有 {} 处需要修改", faults.len())), "{}", page.text());
        assert_eq!(again(&page).value("people"), wrong);
    }
    for (text, words) in [
        ("", "表格是空的"),
        ("登录名\t姓名\t机构\t角色\nsong-ml\t宋墨林\t信访室\thandler", "由安全保密管理员"),
        ("登录名\t姓名\t机构\t电话\nsong-ml\t宋墨林\t信访室\t1", "不认识“电话”"),
        ("song-ml，宋墨林，信访室，干事，，经办人", "多于五列"),
        ("song-ml，宋墨林，信访室\nsong-ml，宋墨森，信访室", "登录名与第 1 行相同"),
    ] {
        let page = admin.submit(&table(&admin, text, "save")).expect(422);
        assert!(page.says(words) && again(&page).value("people") == text, "{words}: {}", page.text());
    }
    let many: String = (0..51).map(|n| format!("ren-{n}，某某{n}，信访室\n")).collect();
    assert!(admin.submit(&table(&admin, &many, "save")).expect(422).says("一次最多 50 人"));
    assert_eq!(accounts(&admin), before);
    assert!(county.files("attachments").is_empty() && county.head() != head, "what was asked is entered");
    county.is_sound();
}

#[test]
fn a_table_makes_accounts_once_and_each_takes_two_administrators() {
    let county = County::bare();
    let (admin, secadmin) = (county.sysadmin(), county.secadmin());
    let before = accounts(&admin);
    let page = admin.submit(&table(&admin, &format!("{RIGHT}\nyuan-b，石鼓岭镇经办，石鼓岭镇纪委"), "look")).expect(200);
    assert!(page.says("第 3 行：这个机构已有同名的账户“zhen04”") && page.says("建立这 3 个账户"), "{}", page.text());
    let form = again(&page).set("people", RIGHT).set("do", "save");
    let made = admin.submit(&form).expect(303).location().to_owned();
    // The same form again makes nobody, and one that was gone back to and mended says so.
    assert_eq!(admin.submit(&form).expect(303).location(), made);
    let mended = form.clone().set("people", &format!("{RIGHT}\nli-x，李溪，信访室"));
    let page = admin.submit(&mended).expect(422);
    assert!(page.says("已经建立过账户") && page.says("li-x，李溪，信访室") && page.says("“song-ml”已被使用"));
    assert_eq!(accounts(&admin), before + 2);
    let page = admin.get(&made).expect(200);
    assert!(page.says("宋墨林") && page.says("2099-12-31") && !page.says("一次性口令："), "{}", page.text());
    secadmin.get(&made).expect(404);
    county.clerk("石鼓岭镇纪委").get(&made).expect(404);
    // The one-time passwords stand on the slips of one page; the second set takes the place of the first.
    let give = |admin: &Person| {
        let page = admin.get(&made).expect(200).text();
        let form = forms(&page).into_iter().find(|f| f.action.ends_with("/words")).unwrap();
        slips(&admin.submit(&form).expect(200).text())
    };
    let (first, second) = (give(&admin), give(&admin));
    assert_eq!(first.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["song-ml", "tang-qy"]);
    let page = admin.get(&made).expect(200);
    assert!(second.iter().all(|(_, word)| !page.says(word)) && page.says("等待确认"), "a word is shown once");
    let enters = |login: &str, word: &str| county.nobody().log_in_as(login, word).status == 303;
    assert!(!enters("song-ml", &second[0].1), "nobody has confirmed it");
    super::factor::confirm(&secadmin, &account(&secadmin, "song-ml"));
    assert!(!enters("song-ml", &first[0].1) && enters("song-ml", &second[0].1) && !enters("tang-qy", &second[1].1));
    let page = secadmin.get(&account(&secadmin, "song-ml")).expect(200);
    assert!(!page.says("<dt>角色</dt>"), "{}", page.text());
    // Whoever has a password is left alone; the others get new slips.
    assert_eq!(give(&admin).iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["tang-qy"]);
    let journal = county.auditor().get("/audit").expect(200);
    assert!(journal.says("2 条") && journal.says("同一表单重复提交"), "{}", journal.text());
    county.is_sound();
}

#[test]
fn a_workbook_adds_to_what_was_typed_in_any_order_of_columns_and_never_roles() {
    let county = County::bare();
    let admin = county.sysadmin();
    let row = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
    let book = |heads: &[&str], rows: Vec<Vec<String>>| workbook(&row(heads), rows.into_iter()).unwrap();
    let typed = "song-ml\t宋墨林\t信访室\nhu-zc\t胡子澄\t信访室";
    let roles = book(&["登录名", "姓名", "机构", "角色"], vec![row(&["lu-jn", "陆江宁", "信访室", "handler"])]);
    for (bytes, words) in [(&roles[..], "角色和权限由安全保密管理员"), (b"PK\x03\x04 no workbook", "")] {
        let page = admin.submit(&table(&admin, typed, "look").attach("名单.xlsx", bytes)).expect(422);
        assert!(page.says(words) && again(&page).value("people") == typed, "{}", page.text());
    }
    let people = vec![row(&["信访室", "胡子澈", "hu-zc"]), row(&["石鼓岭镇纪委", "陆江宁", "lu-jn"])];
    let book = book(&["单位", "姓名", "登录名"], people);
    let page = admin.submit(&table(&admin, typed, "look").attach("名单.xlsx", &book)).expect(200);
    assert!(page.says("读取了 2 行") && page.says("建立这 3 个账户"), "{}", page.text());
    admin.submit(&again(&page).set("do", "save")).expect(303);
    let list = admin.get("/account?all=1&size=100").expect(200);
    assert!(list.says("宋墨林") && list.says("胡子澈") && list.says("陆江宁") && !list.says("胡子澄"));
    assert!(county.files("attachments").is_empty(), "the files are gone");
}

#[test]
fn papers_keep_the_name_their_unit_had_and_a_unit_closes_with_a_date() {
    let county = County::bare();
    let (admin, clerk) = (county.sysadmin(), county.clerk("石鼓岭镇纪委"));
    let old = clerk.register(PETITION);
    let list = admin.get("/org?all=1&size=100").expect(200).text();
    let row = list.split("<tr").find(|l| l.contains("石鼓岭镇纪委")).unwrap();
    let unit = row[row.find("/org/").unwrap()..].split('"').next().unwrap().to_owned();
    admin.submit(&admin.form(&format!("{unit}/edit")).set("name", "石鼓岭街道纪工委")).expect(303);
    let new = clerk.register(PETITION);
    let shows = |path: &str| {
        let page = clerk.get(path).expect(200).text();
        let named = page.split("登记单位").nth(1).unwrap().split("</dd>").next().unwrap().to_owned();
        [named.contains("石鼓岭镇纪委"), named.contains("石鼓岭街道纪工委")]
    };
    assert_eq!((shows(&old), shows(&new)), ([true, false], [false, true]));
    let list = clerk.get("/petition?all=1").expect(200).text();
    assert!(["石鼓岭镇纪委", "石鼓岭街道纪工委"].iter().all(|name| list.contains(&format!(">{name}</td>"))), "{list}");
    let page = admin.get(&unit).expect(200);
    assert!(page.says("石鼓岭街道纪工委") && !page.says("停用日期"), "{}", page.text());
    let step = |name: &str| {
        let why = if name == "close" { "机构撤并" } else { "恢复建制" };
        let form = admin.form(&unit).to(&format!("{unit}/move/{name}")).set("opinion", why);
        admin.submit(&form).expect(303);
        admin.get(&unit).expect(200).text()
    };
    let closed = step("close");
    let day = closed.split("停用日期").nth(1).unwrap().split("</dd>").next().unwrap();
    assert!(day.contains(&super::county::year().to_string()), "{day}");
    let page = admin.submit(&table(&admin, "song-ml，宋墨林，石鼓岭街道纪工委", "look")).expect(422);
    assert!(page.says("“石鼓岭街道纪工委”已停用"), "{}", page.text());
    assert_eq!((shows(&old), shows(&new)), ([true, false], [false, true]));
    let reopened = step("reopen");
    assert!(!reopened.contains("停用日期") && reopened.contains("机构撤并") && reopened.contains("恢复建制"));
    county.is_sound();
}
