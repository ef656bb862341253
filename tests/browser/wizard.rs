//! The set-up wizard as a newcomer goes through it: from the printed link to three active administrators and a first
//! backup that was verified, and one of the three logs in.

use std::process::Command;

use jiceng::app::totp;
use jiceng::base::{Clock, clock::SystemClock};

use super::programs::Site;
use super::{Page, with_browser};

const OWN: &str = "Dong-tian.2032";
const UNITS: &str = "信息技术保障室，内设机构\n信访室，内设机构\n办公室，内设机构\n驻财政局纪检监察组，派驻，财政组\n";
const PEOPLE: [(&str, &str, &str); 3] =
    [("sysadmin", "系统一", "xitong"), ("secadmin", "保密二", "baomi"), ("auditor", "审计三", "shenji")];

#[test]
fn a_newcomer_sets_a_county_up_from_the_link_to_the_first_log_in() {
    let (site, path) = Site::fresh();
    with_browser(site, true, |page| async move {
        page.go(&path).await;
        assert_eq!(page.text("h1").await, "初始化");
        page.look("setup-link").await;
        page.click(".form-bar button").await;
        page.arrive("#units").await;
        units(&page).await;
        let links = people(&page).await;
        let mut secrets = Vec::new();
        for link in &links {
            secrets.push(activate(&page, link).await);
        }
        page.go("/setup/people").await;
        assert_eq!(page.js("return document.querySelectorAll('.chip-ok').length").await, 3);
        page.go("/setup").await;
        page.arrive("#recipients").await;
        backup(&page).await;
        page.click("a.btn-primary").await;
        page.arrive("form[action='/setup/finish'] button").await;
        page.look("setup-finish").await;
        page.click("form[action='/setup/finish'] button").await;
        page.arrive("#login").await;
        assert!(page.text(".notice").await.contains("初始化已完成"));
        page.type_in("#login", PEOPLE[0].2).await;
        page.type_in("#password", OWN).await;
        page.type_in("#code", &code(&secrets[0], 1)).await;
        page.click("button[type=submit]").await;
        page.arrive(".side").await;
        page.look("setup-first-desk").await;
        page.go("/setup").await;
        assert!(!page.text("body").await.contains("三员"), "the wizard is gone");
        page.quiet(&["/setup"]).await;
    });
}

/// A table with a mistake is told of it, one without goes in.
async fn units(page: &Page) {
    page.look("setup-units").await;
    page.type_in("#units", &format!("{UNITS}某某镇纪委")).await;
    page.click("button[value=look]").await;
    page.arrive(".errors").await;
    assert!(page.text(".errors").await.contains("第 5 行：没有类别"));
    assert_eq!(page.value("#units").await, format!("{UNITS}某某镇纪委"));
    page.look("setup-units-wrong").await;
    page.type_in("#units", &format!("{UNITS}某某镇纪委，乡镇，某某镇")).await;
    page.click("button[value=save]").await;
    page.arrive("#sysadmin-name").await;
}

/// The three are entered by keyboard; their links.
async fn people(page: &Page) -> Vec<String> {
    for (role, name, login) in PEOPLE {
        for (field, typed) in [("name", name), ("login", login)] {
            page.tab_to(&format!("#{role}-{field}")).await;
            page.press(typed).await;
        }
    }
    page.look("setup-people").await;
    page.tab_to("button[value=enter]").await;
    page.press(super::ENTER).await;
    page.arrive(".slip").await;
    page.look("setup-links").await;
    page.print("setup-links").await;
    let links = page.js("return [...document.querySelectorAll('.slip a')].map(a => a.pathname)").await;
    serde_json::from_value(links).unwrap()
}

/// One of the three at their link; the secret of their device.
async fn activate(page: &Page, link: &str) -> Vec<u8> {
    page.go(link).await;
    page.arrive("#new").await;
    page.look("activate").await;
    let secret = totp::from_base32(&page.value("input[name=secret]").await).unwrap();
    page.type_in("#new", OWN).await;
    page.type_in("#again", OWN).await;
    page.type_in("#code", &code(&secret, 0)).await;
    page.click(".form-bar .btn-primary").await;
    page.arrive(".plain").await;
    page.look("activated").await;
    secret
}

fn code(secret: &[u8], away: i64) -> String {
    totp::code(secret, totp::step_at(SystemClock.now()) + away)
}

/// Keys that were made elsewhere, a place, and the first backup.
async fn backup(page: &Page) {
    let home = page.site.home.path();
    let keys = ["a", "b"].map(|name| {
        let mut keygen = Command::new(env!("CARGO_BIN_EXE_jiceng"));
        let made = keygen.args(["backup", "keygen", "--out"]).arg(home.join(format!("{name}.key"))).output();
        format!("{} 保管人{name}", String::from_utf8(made.unwrap().stdout).unwrap().trim())
    });
    page.look("setup-backup").await;
    page.type_in("#recipients", &keys.join("\n")).await;
    page.click("button[value=keys]").await;
    page.arrive(".notice-ok").await;
    page.type_in("#target", home.join("media").to_str().unwrap()).await;
    page.click("button[value=target]").await;
    page.arrive("button[value=run]").await;
    page.go("/setup/keys").await;
    page.look("setup-keys").await;
    page.print("setup-keys").await;
    page.go("/setup/backup").await;
    page.look("setup-backup-ready").await;
    page.click("button[value=run]").await;
    page.arrive(".login a.btn-primary[href='/setup/finish']").await;
    page.look("setup-backed-up").await;
}
