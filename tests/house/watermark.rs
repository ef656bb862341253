//! Whoever photographs or prints a page leaves name and time on it: pale, out of the way of eyes, hands and readers.

use super::county::{County, PETITION, path_of, year};

const CLERK: &str = "白鹭浦镇纪委";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nscan";

/// The drawing laid over a page, if there is one.
fn mark(page: &str) -> Option<String> {
    let start = page.find("<svg class=\"watermark\"")?;
    Some(page[start..].split("</svg>").next().unwrap_or_default().to_owned())
}

#[test]
fn every_page_that_shows_petitions_says_who_looked_and_when() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form = clerk.form("/petition/new").fill(PETITION).attach("原件.png", PNG);
    let path = path_of(&clerk.submit(&form).expect(303));
    let below = ["", "/history", "/edit", "/files/0/view"].map(|end| format!("{path}{end}"));
    let pages = below.iter().map(String::as_str).chain(["/", "/petition?all=1", "/petition/new"]);
    for place in pages {
        let page = clerk.get(place).expect(200).text();
        let mark = mark(&page).unwrap_or_else(|| panic!("no mark on {place}"));
        for words in
            ["白鹭浦镇经办", "zhen06", &year().to_string(), "aria-hidden=\"true\"", "focusable=\"false\""]
        {
            assert!(mark.contains(words), "{place}: {words} in {mark}");
        }
        assert!(!mark.contains("style=") && page.matches("class=\"watermark\"").count() == 1, "{place}");
    }
    assert!(mark(&clerk.search("补贴").text()).is_some());
    assert!(mark(&clerk.get("/regulation?all=1").text()).is_none(), "published rules need none");
}

/// A rule of the stylesheet: what stands in braces after a selector, from some place on.
fn rule<'a>(css: &'a str, selector: &str) -> &'a str {
    let start = css.find(&format!("{selector} {{")).unwrap_or_else(|| panic!("no rule for {selector}"));
    css[start..].split('{').nth(1).unwrap().split('}').next().unwrap()
}

fn opacity(rule: &str) -> f64 {
    rule.split("fill-opacity:").nth(1).unwrap().split(';').next().unwrap().trim().parse().unwrap()
}

#[test]
fn the_mark_is_pale_takes_no_click_and_is_printed() {
    let county = County::bare();
    let page = county.nobody().get("/login").text();
    let href = page.split("href=\"").find(|h| h.starts_with("/assets/style")).unwrap();
    let css = county.nobody().get(href.split('"').next().unwrap()).expect(200).text();
    let over = rule(&css, ".watermark");
    assert!(over.contains("pointer-events: none") && over.contains("position: fixed"), "{over}");
    let (screen, print) = css.split_once("@media print {").unwrap();
    for (text, where_) in [(screen, "screen"), (print, "paper")] {
        let share = opacity(rule(text, ".watermark text"));
        assert!(share > 0.0 && share <= 0.1, "{share} on {where_}");
    }
    let hidden = print.split("display: none").next().unwrap();
    assert!(!hidden.contains(".watermark"), "paper goes out without the mark");
    assert!(rule(print, ".watermark").contains("print-color-adjust: exact"));
}
