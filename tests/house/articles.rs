//! Articles are pages of their own, and what they show of their regulation is what the regulation says now.

use super::county::{County, Person};
use super::wire::Answer;

const TITLE: &str = "望澜县信访举报件登记办理规程(试行)";
/// Stands in its second article only.
const WORDS: &str = "上级转来的信访件，均按本规程登记办理";

/// The address of the first hit that leads to a page of this kind.
#[track_caller]
fn first(page: &Answer, kind: &str) -> String {
    let text = page.text();
    let start = text.find(&format!("href=\"/{kind}/")).unwrap_or_else(|| panic!("no {kind} in {text}")) + 6;
    text[start..].split(['"', '?', '#']).next().unwrap().to_owned()
}

/// The number of the article in which the words stand: a hit leads to its place below the regulation.
#[track_caller]
fn article(law: &Person) -> String {
    let text = law.search(WORDS).text();
    let place = text.split("#a").nth(1).unwrap_or_else(|| panic!("no article in {text}"));
    format!("/article/{}", place.split('"').next().unwrap())
}

/// A regulation was repealed, and its articles went on as if in force, under the old title and in the old rank.
#[test]
fn articles_follow_their_regulation_in_page_search_and_history() {
    let county = County::demo();
    let law = county.person("fagui");
    let (regulation, article) = (first(&law.search(TITLE), "regulation"), article(&law));
    let edit = format!("{regulation}/edit");
    let page = law.get(&article).expect(200);
    assert!(page.says("现行有效") && page.says(TITLE) && page.says("2025-02-10"), "{}", page.text());
    assert!(!law.form(&format!("{article}/edit")).has("status"), "an article has a status of its own");

    // A change of what articles do not show is none of theirs.
    law.submit(&law.form(&edit).set("remarks", "另存一份")).expect(303);
    assert_eq!(law.form(&format!("{article}/edit")).value("version"), "1");

    let form = law.form(&edit);
    let changed = [("status", "已废止/失效"), ("title", "望澜县办件旧规程"), ("published", "2024-12-31")];
    law.submit(&form.fill(&changed)).expect(303);
    let page = law.get(&article).expect(200);
    for words in ["已废止/失效", "《望澜县办件旧规程》第二条", "2024-12-31"] {
        assert!(page.says(words), "{words}: {}", page.text());
    }
    assert!(!page.says("现行有效") && !page.says(TITLE));
    let history = law.get(&format!("{article}/history")).expect(200);
    assert!(history.says("现行有效") && history.says("已废止/失效"));
    let place = article.replace("/article/", "#a");
    for text in [WORDS, "《望澜县办件旧规程》第二条"] {
        let found = law.search(text).text();
        let hit = found.split("<article").find(|h| h.contains(&place)).unwrap_or_else(|| panic!("{text}: {found}"));
        assert!(hit.contains("已废止/失效") && !hit.contains("现行有效"), "{hit}");
    }
    // An article that is mended keeps the regulation's word for what is the regulation's.
    law.submit(&law.form(&format!("{article}/edit")).fill(&[("no", "第二条之一"), ("status", "现行有效")])).expect(303);
    let page = law.get(&article).expect(200);
    assert!(page.says("《望澜县办件旧规程》第二条之一") && !page.says("现行有效"));
    county.is_sound();
    county.restart();
    assert!(county.person("fagui").search("望澜县办件旧规程第二条").says("已废止/失效"));
}
