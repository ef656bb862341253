//! Hostile words and files in the browser: whatever is typed, attached or brought in as a ledger, none of it
//! runs or becomes markup on any page that shows it, and every page shows it as it was written, turns of direction
//! aside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiceng::base::text::is_direction;
use jiceng::foreign::workbook;
use serde_json::{Value, json};

use super::{PATIENCE, Page, Site, TEXT, WORDS, command, say, with_browser};

/// Ways out of the places where a text can stand: content, attribute, area, title, address, cell.
const HOSTILE: [&str; 14] = [
    "<script>window.__ran=1</script>",
    "\"><img src=x onerror=window.__ran=1>",
    "</textarea><svg onload=window.__ran=1>",
    "javascript:window.__ran=1",
    "<a href=\"javascript:window.__ran=1\">x</a>",
    "</title></style><script>window.__ran=1</script>",
    "'><details open ontoggle=window.__ran=1>",
    "<iframe srcdoc='<script>parent.__ran=1</script>'>",
    "</option></select><input autofocus onfocus=window.__ran=1>",
    "<base href=//evil.example/><style>*{display:none}</style>",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "\u{202e}gpj.<b onclick=window.__ran=1>exe",
    "&lt;img src=x onerror=window.__ran=1&gt;",
    "<svg><animate onbegin=window.__ran=1 attributeName=x>",
];
/// Names of files, which cannot hold a slash; no quote either, which browsers send as three other characters.
const PAGE_FILE: &str = "<img src=x onerror=window.__ran=1>.html";
const DRAWING: &str = "<svg onload=window.__ran=1>.svg";
const PICTURE: &str = "javascript:window.__ran=1.html";
const POLYGLOT: &str = "\u{202e}sj.<b onclick=window.__ran=1>";
const DOCUMENT: &str = "<details open ontoggle=window.__ran=1>.svg";
const LEDGER: &str = "<img src=x onerror=window.__ran=1>.xlsx";

const MARKUP: &str = "<!DOCTYPE html><script>window.__ran=1</script><img src=x onerror=window.__ran=1>";
const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"window.__ran=1\">\
    <script>window.__ran=1</script></svg>";
/// The beginning of a picture, a whole script, and a page.
const SCRIPT: &str = "GIF89a=1;window.__ran=1;//<script>window.__ran=1</script>";

/// A document that leads to a script as soon as it is opened, and a page. Scripts of the document's own are
/// left out: the browser's viewer runs them, and no policy of a page keeps it from that.
const PDF: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction 4 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\n\
    4 0 obj<</S/URI/URI(javascript:window.__ran=1)>>endobj\ntrailer<</Root 1 0 R>>\n\
    <script>window.__ran=1</script>";

/// Heads of the hostile ledger; two are hostile themselves, and one of these is understood.
const HEADS: [&str; 7] = [
    "收件日期",
    "主要内容",
    "被反映人",
    "职级",
    "举报人姓名",
    "发生时间<img src=x onerror=window.__ran=1>",
    "\"><script>window.__ran=1</script>",
];
/// Rows of the ledger that memory is measured with.
const ROWS: usize = 1_000;

/// Gives every input of a form a hostile value and tells what each has: lines in turn, areas all at once.
const FILL: &str = "const [short, long] = arguments;
    const typed = e => !['hidden', 'checkbox', 'file'].includes(e.type);
    const all = [...document.querySelectorAll('main .form input, main .form textarea')].filter(typed);
    all.forEach((e, n) => { e.value = e.tagName === 'TEXTAREA' ? long : short[n % short.length]; });
    return all.map(e => [e.name, e.value])";
/// Empties the inputs that take dates and numbers alone.
const MEND: &str = "const numeric = document.querySelectorAll('main .form [inputmode=numeric]');
    numeric.forEach(e => { e.value = ''; });
    return [...numeric].map(e => e.name)";
/// What every input of a form has.
const FILLED: &str = "const all = document.querySelectorAll('main .form input, main .form textarea');
    return [...all].map(e => [e.name, e.value])";
/// Nothing ran.
const QUIET: &str = "return window.__ran === undefined";
/// What ran, and what stands in the page that could run or lead elsewhere: markup of ours has none of it.
const LIVE: &str = "const found = window.__ran === undefined ? [] : ['something ran'];
    const never = 'iframe, embed, base, style, math, animate, details[ontoggle], img:not(.scan), \
        script:not([src]), script:not([src^=\"/assets/\"])';
    document.querySelectorAll(never).forEach(e => found.push(e.outerHTML));
    const address = ['href', 'xlink:href', 'src', 'srcdoc', 'action', 'formaction', 'data', 'content', 'to'];
    for (const e of document.querySelectorAll('*')) {
        for (const a of e.attributes) {
            const elsewhere = address.includes(a.name) && /(java|vb)script:|data:|\\/\\//i.test(a.value);
            if (/^on|^style$/i.test(a.name) || elsewhere) {
                found.push(`${e.tagName} ${a.name}=${a.value}`);
            }
        }
    }
    return found";
/// Loads addresses as scripts and tells how each ended.
const LOAD: &str = "const load = path => new Promise(ended => {
        const script = document.createElement('script');
        script.onload = () => ended('taken');
        script.onerror = () => ended('refused');
        script.src = path;
        document.head.append(script);
    });
    return Promise.all(arguments[0].map(load))";

// ---- stories

#[test]
fn nothing_hostile_that_is_registered_runs() {
    with_browser(Site::demo(&["--bare"]), true, |page| async move {
        page.log_in("demo").await;
        let typed = register(&page).await;
        let path = page.path().await;
        let (sealed, open): (Vec<_>, Vec<_>) =
            typed.iter().partition(|(name, _)| name.starts_with("petitioner."));
        harmless(&page, "record", &[]).await;
        let names = [PAGE_FILE, DRAWING, PICTURE, POLYGLOT, DOCUMENT];
        for text in open.iter().map(|(_, text)| text.as_str()).chain(names) {
            shows(&page, text).await;
        }
        page.print("hostile-record").await;
        harmless(&page, "printed", &[]).await;
        page.go(&format!("{path}/edit")).await;
        harmless(&page, "edit", &[]).await;
        let kept = pairs(page.js(FILLED).await);
        assert!(open.iter().all(|pair| kept.contains(pair)), "{kept:?}");

        page.go(&path).await;
        page.type_in("#reason", HOSTILE[0]).await;
        page.type_in("#own-password-identity", super::PASSWORD).await;
        page.click(".inline-form button").await;
        page.arrive(".props").await;
        harmless(&page, "petitioner", &[]).await;
        assert!(!sealed.is_empty());
        for (_, text) in sealed {
            shows(&page, text).await;
        }
        page.go(&path).await;
        page.type_in("#opinion", HOSTILE[2]).await;
        page.click(".form-bar .btn-primary").await;
        page.arrive(".trail").await;
        harmless(&page, "moved", &[]).await;
        shows(&page, HOSTILE[2]).await;
        let title = text_of(&open, "title");
        for (name, path) in
            [("history", &*format!("{path}/history")), ("list", "/petition?all=1"), ("desk", "/")]
        {
            page.go(path).await;
            harmless(&page, name, &[]).await;
            shows(&page, title).await;
        }
        find(&page).await;
        attachments(&page, &path).await;
        page.log_out().await;
        page.log_in("auditor").await;
        page.go("/audit").await;
        harmless(&page, "audit", &[]).await;
        shows(&page, HOSTILE[0]).await;
        planted(&page).await;
    });
}

/// Registers a petition that is hostile in every input; what each was given. The first try is refused, for
/// dates and numbers cannot be hostile, and shows everything again.
async fn register(page: &Page) -> Vec<(String, String)> {
    page.go("/petition/new").await;
    let long = HOSTILE.join(WORDS);
    let typed = pairs(page.client.execute(FILL, vec![json!(HOSTILE), json!(long)]).await.unwrap());
    assert!(typed.len() > 20, "{typed:?}");
    let files: Vec<String> = files(page).iter().map(|(path, _)| path.to_str().unwrap().to_owned()).collect();
    page.find("#f-upload").await.send_keys(&files.join("\n")).await.unwrap();
    page.click(".form-bar .btn-primary").await;
    page.arrive(".errors").await;
    harmless(page, "refused", &["/petition/new"]).await;
    let again = pairs(page.js(FILLED).await);
    assert!(typed.iter().all(|pair| again.contains(pair)), "{again:?}");
    assert!(page.text("main").await.contains(PAGE_FILE));

    let mended: Vec<String> = serde_json::from_value(page.js(MEND).await).unwrap();
    page.type_in("#f-received", "2026-03-05").await;
    page.js("document.querySelector('#f-accused-0-rank').value = 'village'").await;
    page.click(".form-bar .btn-primary").await;
    page.arrive(".notice-ok").await;
    let sent = typed.into_iter().filter(|(name, _)| !mended.contains(name));
    sent.map(|(name, text)| (name, kept(&text))).collect()
}

/// The attachments, in the order in which they are chosen.
fn files(page: &Page) -> Vec<(PathBuf, Vec<u8>)> {
    let mut png = std::io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(30, 20).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let picture = [png.into_inner(), MARKUP.into()].concat();
    let made: [(&str, Vec<u8>); 5] = [
        (PAGE_FILE, MARKUP.into()),
        (DRAWING, SVG.into()),
        (PICTURE, picture),
        (POLYGLOT, SCRIPT.into()),
        (DOCUMENT, PDF.into()),
    ];
    let write = |(name, bytes): (&str, Vec<u8>)| {
        let path = page.site.home.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        (path, bytes)
    };
    made.into_iter().map(write).collect()
}

/// Searches for a piece of the text, then for hostile words themselves.
async fn find(page: &Page) {
    for asked in [WORDS, HOSTILE[1]] {
        page.type_in("#find-text", asked).await;
        page.click(".find button").await;
        page.arrive(".hits").await;
        harmless(page, "found", &[]).await;
        assert_eq!(page.value("main [name=text]").await, asked);
        let snippet = page.js("return document.querySelector('.hit-snip').textContent").await;
        let snippet = snippet.as_str().unwrap();
        assert!(HOSTILE.iter().any(|text| snippet.contains(&kept(text))), "{snippet}");
    }
}

/// Opens the attachments by every address they have.
async fn attachments(page: &Page, path: &str) {
    let folder = page.site.home.path().join("downloads");
    take_downloads(page, &folder).await;
    let files = files(page);
    let address = |place: usize, end: &str| format!("{path}/files/{place}{end}");
    for (place, (_, bytes)) in files.iter().enumerate() {
        page.go(path).await;
        page.go(&address(place, "")).await;
        downloaded(&folder, bytes).await;
        assert_eq!(page.path().await, path, "a download opens no page");
        let refusing = [address(place, "/view"), address(place, "/inline")];
        let refusing = refusing.each_ref().map(String::as_str);
        page.go(refusing[0]).await;
        harmless(page, &format!("attachment-{place}"), &refusing).await;
        // Around bare bytes the browser puts a page and a look of its own, and the policy stops the look.
        page.go(refusing[1]).await;
        assert_eq!(page.js(QUIET).await, json!(true), "{place}");
        let told = page.complaints().await;
        let known = |c: &String| {
            ["/inline - Failed to load", "/favicon.ico - Failed to load", "Applying inline style"]
                .iter()
                .any(|k| c.contains(k))
        };
        assert!(told.iter().all(known), "{told:?}");
    }
    // The policy would let an attachment be a script of this site; its type keeps it from being one.
    page.go(path).await;
    let ends = ["", "/view", "/inline"];
    let all: Vec<String> = (0..files.len()).flat_map(|n| ends.map(|end| address(n, end))).collect();
    let loaded = page.client.execute(LOAD, vec![json!(all)]).await.unwrap();
    assert_eq!(loaded, json!(vec!["refused"; all.len()]));
    assert_eq!(page.js(QUIET).await, json!(true));
    page.complaints().await;
}

/// Keeps downloads in a folder of the test's own, under names of the browser's own.
async fn take_downloads(page: &Page, folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let session = page.client.session_id().await.unwrap().unwrap();
    let params = json!({ "behavior": "allowAndName", "downloadPath": folder });
    let behaviour = json!({ "cmd": "Browser.setDownloadBehavior", "params": params });
    let answer = command(page.driver, &format!("/session/{session}/goog/cdp/execute"), &behaviour);
    assert_eq!(answer["value"], json!({}));
}

/// Waits until the bytes have arrived as a file.
async fn downloaded(folder: &Path, bytes: &[u8]) {
    let since = Instant::now();
    let arrived = || {
        let mut files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.any(|path| std::fs::read(path).is_ok_and(|read| read == bytes))
    };
    while !arrived() {
        assert!(since.elapsed() < PATIENCE, "the download did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Were something hostile in a page, it would be seen.
async fn planted(page: &Page) {
    page.js("document.body.insertAdjacentHTML('beforeend', `<img src=x onerror=window.__ran=1>
        <a href=javascript:window.__ran=1>x</a><iframe srcdoc=x></iframe>`)")
        .await;
    let found = page.js(LIVE).await;
    assert_eq!(found.as_array().unwrap().len(), 4, "{found}");
    let told = page.complaints().await;
    assert!(told.iter().any(|c| c.contains("Content Security Policy")), "{told:?}");
}

#[test]
fn nothing_hostile_that_a_ledger_brings_runs() {
    with_browser(Site::demo(&["--bare"]), true, |page| async move {
        page.log_in("demo").await;
        let row =
            |text: &str| ["2024-03-05", text, text, "村(社区)干部", text, "2024-01", text].map(str::to_owned);
        let mut rows: Vec<Vec<String>> = HOSTILE.iter().map(|text| row(text).to_vec()).collect();
        rows.push(rows[0].clone());
        rows[HOSTILE.len()][5] = HOSTILE[1].to_owned();
        upload(&page, LEDGER, &HEADS, rows).await;
        harmless(&page, "ledger", &[]).await;
        for text in [LEDGER, HEADS[5], HEADS[6], &HOSTILE[1][..30]] {
            shows(&page, text).await;
        }
        page.type_in("#f-source", HOSTILE[0]).await;
        page.click("button[value=check]").await;
        settle(&page, ".btn-primary[value=run]").await;
        harmless(&page, "ledger-checked", &[]).await;
        assert_eq!(page.value("#f-source").await, HOSTILE[0]);
        for text in ["14 行可以导入，1 行有问题", HEADS[5]] {
            shows(&page, text).await;
        }
        page.click(".btn-primary[value=run]").await;
        settle(&page, ".actions [href^='/batch/']").await;
        harmless(&page, "ledger-done", &[]).await;
        shows(&page, "已导入 14 件").await;
        page.click(".actions [href^='/batch/']").await;
        page.arrive(".row-link").await;
        harmless(&page, "batch", &[]).await;
        shows(&page, LEDGER).await;
        shows(&page, HOSTILE[0]).await;
        let links = page.js("return [...document.querySelectorAll('.row-link')].map(a => a.pathname)").await;
        let links: Vec<String> = serde_json::from_value(links).unwrap();
        assert_eq!(links.len(), HOSTILE.len());
        for (path, text) in links.iter().zip(HOSTILE) {
            page.go(path).await;
            harmless(&page, "imported", &[]).await;
            shows(&page, text).await;
            shows(&page, &format!("{}：{text}", HEADS[6])).await;
        }
        for (path, text) in [
            ("/petition?all=1", HOSTILE[0]),
            ("/batch?all=1", LEDGER),
            ("/import?what=petition", LEDGER),
            ("/", HOSTILE[13]),
        ] {
            page.go(path).await;
            harmless(&page, "after-import", &[]).await;
            shows(&page, text).await;
        }
        large(&page).await;
    });
}

/// Brings in a larger ledger, and says what memory that took of the server; the child that reads the file is
/// another process, and bounded by itself.
async fn large(page: &Page) {
    let heads = ["收件日期", "主要内容", "被反映人", "职级", "举报人姓名", "地点"];
    let row = |n: usize| {
        let text = format!("第{n}封来信：{TEXT}").repeat(4);
        [
            "2024-03-05".into(),
            text,
            format!("测某{n}"),
            "农民".into(),
            "来信人".into(),
            format!("渠尾村{n}组"),
        ]
    };
    let process = format!("/proc/{}", page.site.program.0.id());
    let before = memory(&process);
    // From here on the highest is that of this import.
    std::fs::write(format!("{process}/clear_refs"), "5").unwrap();
    upload(page, "大台账.xlsx", &heads, (0..ROWS).map(|n| row(n).to_vec())).await;
    page.click("button[value=run]").await;
    settle(page, ".actions [href^='/batch/']").await;
    shows(page, "已导入 1,000 件").await;
    let since = Instant::now();
    while !page.text(".status").await.contains("索引同步") {
        assert!(since.elapsed() < PATIENCE, "the index does not catch up");
        page.go("/").await;
    }
    let [now, highest] = memory(&process);
    say(&format!("{ROWS} rows of a ledger: server from {} to {now} MiB, at most {highest} MiB", before[0]));
    page.quiet(&[]).await;
}

/// Uploads a ledger and waits until it has been looked through.
async fn upload(page: &Page, name: &str, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let file = page.site.home.path().join(name);
    std::fs::write(&file, workbook(&heads, rows.into_iter()).unwrap()).unwrap();
    page.go("/import?what=petition").await;
    page.find("#f-file").await.send_keys(file.to_str().unwrap()).await.unwrap();
    page.click(".form-bar .btn-primary").await;
    settle(page, "button[value=check]").await;
}

/// Waits for what an import shows once its work is over; until then its page asks again by itself.
async fn settle(page: &Page, css: &str) {
    let wait = page.client.wait().at_most(6 * PATIENCE).for_element(fantoccini::Locator::Css(css)).await;
    if wait.is_err() {
        panic!("{css} did not come; the page says:\n{}", page.text("body").await);
    }
}

/// Resident memory of a process in MiB, now and at its highest.
fn memory(process: &str) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
    })
}

// ---- what holds on every page

/// Nothing ran, nothing in the page could run, and the browser has nothing to complain about: what the policy
/// has to stop came too far already.
async fn harmless(page: &Page, name: &str, refusing: &[&str]) {
    page.look(&format!("hostile-{name}")).await;
    assert_eq!(page.js(LIVE).await, json!([]), "{name}");
    page.quiet(refusing).await;
}

/// The words stand on the page as they were written.
async fn shows(page: &Page, text: &str) {
    let all = page.js("return document.querySelector('main').textContent").await;
    let all = all.as_str().unwrap();
    assert!(all.contains(&kept(text)), "{text} is not shown in\n{all}");
    assert!(!all.contains(is_direction), "something turns its direction in\n{all}");
}

/// What is kept of a text or of a name: all but what turns the direction of the words around it.
fn kept(text: &str) -> String {
    text.chars().filter(|c| !is_direction(*c)).collect()
}

fn pairs(value: Value) -> Vec<(String, String)> {
    serde_json::from_value(value).unwrap()
}

fn text_of<'a>(pairs: &[&'a (String, String)], name: &str) -> &'a str {
    &pairs.iter().find(|(n, _)| n == name).unwrap().1
}
