//! Whoever types all day needs no mouse: the cursor stands where typing begins, Enter and the keys do what the page
//! says, and the scripts are a convenience that no page leans on.

use super::county::{County, PETITION};
use super::form::{attribute, without_scripts};

const CLERK: &str = "驻财政局纪检监察组";

/// Tags of a page, in order.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|t| t.split('>').next().unwrap()).collect()
}

/// Names of the inputs that get the cursor.
fn focused(html: &str) -> Vec<String> {
    let focused = tags(html).into_iter().filter(|t| t.split(' ').any(|word| word == "autofocus"));
    focused.map(|t| attribute(t, "name").unwrap()).collect()
}

#[test]
fn the_cursor_begins_at_the_first_field_the_first_mistake_or_the_new_row() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    assert_eq!(focused(&clerk.get("/petition/new").text()), ["received"]);
    let path = clerk.register(&[]);
    assert_eq!(focused(&clerk.get(&format!("{path}/edit")).text()), ["received"]);
    let form = clerk.form("/petition/new").fill(PETITION);
    let wrong = clerk.submit(&form.clone().set("people", "零")).expect(422);
    assert_eq!(focused(&wrong.text()), ["people"]);
    let more = clerk.submit(&form.set("rows.add", "accused"));
    assert_eq!(focused(&more.text()), ["accused.1.name"]);
    assert_eq!(focused(&clerk.get("/search").text()), ["text"]);
    assert_eq!(focused(&county.nobody().get("/login").text()), ["login"]);
}

#[test]
fn enter_saves_and_no_other_button_stands_before() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    for place in ["/petition/new".to_owned(), format!("{path}/edit")] {
        let page = clerk.get(&place).expect(200).text();
        let form = page.split("<form").find(|f| f.contains("multipart/form-data")).unwrap();
        let first = tags(form).into_iter().find(|t| t.starts_with("button")).unwrap();
        // What browsers press for Enter brings no pair of its own: not another row, not a draft.
        assert!(first.contains("type=\"submit\"") && attribute(first, "name").is_none(), "{place}: {first}");
    }
}

#[test]
fn keys_are_told_apart_and_nothing_jumps_the_order_of_tabs() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    let wanted = [
        ("/", "/"),
        ("/petition?all=1", "/n"),
        ("/petition/new", "/sd"),
        (&path, "/e"),
        (&format!("{path}/edit"), "/s"),
    ];
    for (place, keys) in wanted {
        let page = clerk.get(place).expect(200).text();
        let own: Vec<String> = tags(&page).into_iter().filter_map(|t| attribute(t, "accesskey")).collect();
        assert_eq!(own.concat(), keys, "{place}");
        for tag in tags(&page) {
            let stop = attribute(tag, "tabindex");
            assert!(stop.as_deref().is_none_or(|n| n == "0" || n == "-1"), "{place}: {tag}");
        }
        // What the script looks for is there once, or not at all.
        assert_eq!(page.matches("data-key=\"find\"").count(), 1, "{place}");
        let saves = usize::from(keys.contains('s'));
        assert_eq!(page.matches("data-key=\"save\"").count(), saves, "{place}");
    }
}

/// ASVS 3.5.7, 3.7.1
#[test]
fn the_scripts_come_from_here_under_their_hashes_and_no_page_carries_another() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let page = clerk.get("/petition/new").expect(200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    let scripts = tags(&text).into_iter().filter(|t| t.starts_with("script"));
    let sources: Vec<String> = scripts.map(|t| attribute(t, "src").unwrap()).collect();
    assert_eq!(sources.len(), 2);
    for src in sources {
        let script = clerk.get(&src).expect(200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(script.header("cache-control").contains("immutable"));
        assert_eq!(script.header("x-content-type-options"), "nosniff");
        assert!(!["XMLHttpRequest", "eval", "innerHTML", "http"].iter().any(|w| script.says(w)), "{src}");
        assert_eq!(script.says("fetch("), src.contains("suggest"));
        clerk.get(&src.replace(".js", "0.js")).expect(404);
    }
    assert!(!without_scripts(&text).contains("<script"));
    // Where nobody is logged in there is none.
    assert!(!county.nobody().get("/login").says("<script"));
    // Nothing that people bring is sent as a script.
    let form = clerk.form("/petition/new").fill(PETITION).attach("钥.js", b"alert(1)");
    let path = super::county::path_of(&clerk.submit(&form).expect(303));
    let file = clerk.get(&format!("{path}/files/0")).expect(200);
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
}
