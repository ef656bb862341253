//! Forms as a browser sees them: what stands in every control of a page, changed by a person, sent whole.

use super::wire::{Answer, File};

/// A form of a page, filled in.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub action: String,
    pub multipart: bool,
    pub pairs: Vec<(String, String)>,
    pub files: Vec<File>,
}

impl Form {
    /// The form of a record page: the one that carries a submit id.
    #[track_caller]
    pub(crate) fn of(page: &Answer) -> Self {
        let all = forms(&page.text());
        all.into_iter().find(|f| f.has("submit")).unwrap_or_else(|| panic!("no form: {}", page.text()))
    }

    /// The value of a control, empty when there is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }

    /// There is such a control.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// Types into a control, or ticks it; unknown names are put first, as text.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        match self.pairs.iter_mut().find(|(n, _)| n == name) {
            Some(pair) => value.clone_into(&mut pair.1),
            None => self.pairs.insert(0, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Types into several.
    pub(crate) fn fill(self, pairs: &[(&str, &str)]) -> Self {
        pairs.iter().fold(self, |form, (name, value)| form.set(name, value))
    }

    /// Chooses a file.
    pub(crate) fn attach(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push(File { input: "files".into(), name: name.to_owned(), bytes: bytes.to_vec() });
        self
    }

    /// Sent with another button: its address, or the pair it brings.
    pub(crate) fn to(mut self, action: &str) -> Self {
        action.clone_into(&mut self.action);
        self
    }
}

/// All forms of a page.
pub(crate) fn forms(html: &str) -> Vec<Form> {
    let ends = html.split("<form").skip(1).filter_map(|rest| rest.split_once("</form>").map(|(f, _)| f));
    ends.filter_map(|inner| {
        let (tag, rest) = inner.split_once('>')?;
        let (action, kind) = (attribute(tag, "action").unwrap_or_default(), attribute(tag, "enctype"));
        Some(Form { action, multipart: kind.is_some(), pairs: controls(rest), files: Vec::new() })
    })
    .collect()
}

fn controls(html: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = tag_end(rest);
        let tag = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let Some(name) = attribute(tag, "name") else { continue };
        match tag.split([' ', '>']).next().unwrap_or_default() {
            "input" => pairs.extend(input(tag).map(|value| (name, value))),
            "textarea" => {
                let text = rest.split("</textarea>").next().unwrap_or_default();
                pairs.push((name, unescaped(text.strip_prefix('\n').unwrap_or(text))));
            }
            "select" => {
                let inner = rest.split("</select>").next().unwrap_or_default();
                let chosen =
                    inner.split("<option").find(|o| o.split('>').next().unwrap_or("").ends_with(" selected"));
                pairs.push((name, chosen.and_then(|o| attribute(o, "value")).unwrap_or_default()));
            }
            _ => {}
        }
    }
    pairs
}

fn input(tag: &str) -> Option<String> {
    let value = attribute(tag, "value").unwrap_or_default();
    match attribute(tag, "type").as_deref() {
        Some("file") => None,
        Some("checkbox") => tag.ends_with(" checked").then_some(value),
        _ => Some(value),
    }
}

/// Where a tag ends: the first `>` outside quotes.
fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (at, c) in tag.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    tag.len()
}

/// An attribute of a tag, unescaped.
pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[start..].split('"').next().map(unescaped)
}

/// A page without the scripts of ours: any other is somebody else's.
pub(crate) fn without_scripts(html: &str) -> String {
    let without = |html: String, name: &str| {
        let start = format!("<script src=\"/assets/{name}-");
        let Some((before, rest)) = html.split_once(&start) else { return html };
        let (hash, after) = rest.split_once(".js\" defer></script>").expect("a script of ours, and nothing in it");
        assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
        format!("{before}{after}")
    };
    ["keys", "suggest"].into_iter().fold(html.to_owned(), without)
}

/// What a person reads where the page has entities.
pub(crate) fn unescaped(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// What a page must have where a person reads this.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
