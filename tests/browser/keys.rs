//! What the keys do, and that Ctrl+S never writes the page itself to a disk.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use serde_json::json;

use super::{Page, Site, TITLE, with_browser};

const CONTROL: char = '\u{e009}';

#[test]
fn a_slash_finds_and_control_s_saves_the_form_and_nothing_else() {
    with_browser(Site::demo(&["--bare"]), true, |page| async move {
        page.log_in("demo").await;
        page.go("/petition/new").await;
        assert_eq!(page.focused().await, "f-received");
        page.type_in("#f-title", &format!("{TITLE}/")).await;
        assert_eq!(
            page.value("#f-title").await,
            format!("{TITLE}/"),
            "a slash that is typed stays in its field"
        );
        chord(&page, CONTROL, 's').await;
        page.arrive(".errors").await;
        assert_eq!(page.value("#f-title").await, format!("{TITLE}/"));
        page.go("/petition?all=1").await;
        let swallowed = "return !document.body.dispatchEvent(
            new KeyboardEvent('keydown', { key: 's', ctrlKey: true, bubbles: true, cancelable: true }))";
        assert_eq!(page.js(swallowed).await, json!(true), "the browser would have offered to save the page");
        page.press("/").await;
        assert_eq!(
            (page.focused().await, page.value("#find-text").await),
            ("find-text".into(), String::new())
        );
        page.quiet(&["/petition/new"]).await;
    });
}

/// Presses a key while another is held.
async fn chord(page: &Page, held: char, key: char) {
    let keyboard = KeyActions::new("keyboard".into())
        .then(KeyAction::Down { value: held })
        .then(KeyAction::Down { value: key })
        .then(KeyAction::Up { value: key })
        .then(KeyAction::Up { value: held });
    page.client.perform_actions(keyboard).await.unwrap();
}
