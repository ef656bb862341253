//! The pages in a real browser: Chromium, driven by chromedriver, against a running `jiceng`.
//!
//! What is looked at here is what no other test sees: that a clerk gets from log-in to a found petition by
//! keyboard, that the page of a refused form leads to each mistake, that everything works without scripts, that
//! no page is wider than the screen, and that the browser has nothing to complain about.
//!
//! Both programs are Debian's (`chromium`, `chromium-driver`). Where they cannot be had these tests fail, or
//! say `skipped: …` when `JICENG_NO_BROWSER=1`. `JICENG_SCREENSHOTS=DIR` keeps a picture of every page visited.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "browser/hostile.rs"]
mod hostile;
#[path = "browser/keys.rs"]
mod keys;
#[path = "browser/programs.rs"]
mod programs;
#[path = "browser/wizard.rs"]
mod wizard;

use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::PrintConfigurationBuilder;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use programs::{CHROMIUM, Site, driver};

const PASSWORD: &str = "Wanglan#2026";

/// The screen of an office computer, and the larger one.
const SCREEN: (u32, u32) = (1366, 768);
const LARGE: (u32, u32) = (1920, 1080);
/// How long a page may take to come; bounds a hang, asserts no speed.
const PATIENCE: Duration = Duration::from_secs(20);
/// More presses of Tab than any page has stops.
const STOPS: usize = 150;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const DOWN: &str = "\u{e015}";

/// What the clerk types; the six characters stand nowhere else in the demo county.
const TITLE: &str = "反映渠尾村会计截留耕地补贴";
const TEXT: &str = "渠尾村会计发放补贴时，把三户的款子存进了榆钱巷旧存折，至今没有退还。";
const WORDS: &str = "榆钱巷旧存折";
const ACCUSED: &str = "测某甲";
const PETITIONER: &str = "来信人乙丙丁";
const ATTACHMENT: &str = "存折复印件.txt";

// ---- stories

#[test]
fn a_clerk_registers_finds_and_opens_a_petition_by_keyboard() {
    with_browser(Site::demo(&[]), true, |page| async move {
        page.go("/login").await;
        assert_eq!(page.focused().await, "login", "log-in begins at the name");
        page.press(&format!("demo{TAB}{PASSWORD}{ENTER}")).await;
        page.arrive(".figure").await;
        page.shot("desk").await;

        page.tab_to(".actions a.btn-primary").await;
        page.press(ENTER).await;
        page.arrive("#f-title").await;
        register(&page).await;

        let saved = Instant::now();
        let notice = page.text(".notice-ok").await;
        let number = notice.trim_start_matches("已登记，编号 ").trim_end_matches('。');
        assert!(number.starts_with("信访〔") && number.ends_with('号'), "{notice}");
        let main = page.text("main").await;
        for shown in [TITLE, number, ACCUSED, ATTACHMENT] {
            assert!(main.contains(shown), "the saved page shows {shown}");
        }
        assert!(!main.contains(PETITIONER), "the petitioner stays sealed");
        page.shot("saved").await;

        page.tab_to("#find-text").await;
        page.press(&format!("{WORDS}{ENTER}")).await;
        page.arrive(".hits, .empty").await;
        let took = saved.elapsed();
        // The first search after saving has it; how long that took is told, not judged.
        assert_eq!(page.text(".hit mark").await, WORDS);
        say(&format!("found {} ms after saving, typing included", took.as_millis()));
        page.shot("found").await;

        page.tab_to(".hit .hit-title").await;
        page.press(ENTER).await;
        page.arrive(".props").await;
        assert_eq!(page.text("h1").await, TITLE);
        page.tab_to(".top-links form button").await;
        page.press(ENTER).await;
        page.arrive("#password").await;
        page.go("/petition").await;
        assert!(page.path().await.starts_with("/login"), "the session is over");
        page.quiet(&[]).await;
    });
}

#[test]
fn a_refused_form_leads_to_every_mistake_and_loses_nothing() {
    with_browser(Site::demo(&["--bare"]), true, |page| async move {
        page.log_in("demo").await;
        page.go("/petition/new").await;
        let kept = [
            ("f-title", TITLE),
            ("f-happened", "2026-13-45"),
            ("f-people", "许多"),
            ("f-accused-0-name", ACCUSED),
            ("f-petitioner-name", PETITIONER),
        ];
        for (id, typed) in kept {
            page.type_in(&format!("#{id}"), typed).await;
        }
        page.js("scrollTo(0, 0)").await;
        page.tab_to(".choices input").await;
        page.press(" ").await;
        page.click(".form-bar .btn-primary").await;
        page.arrive(".errors").await;
        page.shot("errors").await;

        for (id, typed) in kept {
            assert_eq!(page.value(&format!("#{id}")).await, typed);
        }
        assert_eq!(page.js("return document.querySelector('.choices input').checked").await, json!(true));
        let links =
            page.js("return [...document.querySelectorAll('.errors a')].map(a => a.hash.slice(1))").await;
        let links: Vec<String> = serde_json::from_value(links).unwrap();
        assert_eq!(links, ["f-people", "f-text", "f-happened", "f-accused-0-rank"]);
        for (n, id) in (1..).zip(&links) {
            page.js("scrollTo(0, 0)").await;
            page.click(&format!(".errors li:nth-child({n}) a")).await;
            assert_eq!(&page.focused().await, id, "the link puts the cursor where the mistake is");
            assert_eq!(page.js(IN_SIGHT).await, json!(true), "{id} is not hidden by a bar");
            assert_eq!(page.js(DESCRIBED).await, json!(true), "{id} is told what is wrong");
        }
        page.quiet(&["/petition/new"]).await;
    });
}

#[test]
fn everything_works_without_scripts() {
    with_browser(Site::demo(&["--bare"]), false, |page| async move {
        let probe = "data:text/html,<p>off</p><script>document.querySelector('p').textContent='on'</script>";
        page.client.goto(probe).await.unwrap();
        assert_eq!(page.text("p").await, "off", "scripts are off");

        page.log_in("demo").await;
        page.go("/petition?all=1").await;
        assert!(page.text(".empty").await.contains("还没有信访件"), "an empty list says what to do");
        page.shot("list-empty").await;
        page.click(".empty .btn-primary").await;
        page.arrive("#f-title").await;
        register(&page).await;
        page.type_in("#opinion", "拟转渠尾村所在乡镇了解。").await;
        page.click(".form-bar .btn-primary").await;
        page.arrive(".trail").await;
        page.shot("moved").await;
        page.click(".actions .btn[href$=history]").await;
        page.arrive(".diff").await;
        page.type_in("#find-text", WORDS).await;
        page.click(".find button").await;
        page.arrive(".hits, .empty").await;
        assert_eq!(page.text(".hit mark").await, WORDS);
        page.log_out().await;
    });
}

#[test]
fn the_first_tab_reaches_the_skip_link() {
    with_browser(Site::demo(&["--bare"]), true, |page| async move {
        page.log_in("demo").await;
        for path in ["/petition?all=1", "/", "/regulation?all=1", "/petition/99999999"] {
            page.go(path).await;
            page.press(TAB).await;
            assert_eq!(page.js(FOCUSED_HASH).await, json!("#main"), "{path}");
            let top = page.js("return document.activeElement.getBoundingClientRect().top >= 0").await;
            assert_eq!(top, json!(true), "the skip link is seen once it has the cursor");
            page.press(ENTER).await;
            page.press(TAB).await;
            let inside = "return document.querySelector('main').contains(document.activeElement)";
            assert_eq!(page.js(inside).await, json!(true), "{path}: the next stop is in the content");
        }
        page.quiet(&["/petition/99999999"]).await;
    });
}

#[test]
fn every_page_fits_the_screen_and_the_browser_is_content() {
    with_browser(Site::demo(&[]), true, |page| async move {
        page.go("/login").await;
        page.look("login").await;
        for (login, visits) in VISITS {
            page.log_in(login).await;
            for (name, path) in *visits {
                page.go(path).await;
                page.look(name).await;
            }
            page.log_out().await;
        }
        page.log_in("xinfang").await;
        for (name, list) in [("record", "/petition?all=1"), ("regulation-one", "/regulation?all=1")] {
            page.go(list).await;
            page.print(&format!("{name}-list")).await;
            page.click(".row-link").await;
            page.arrive(".props").await;
            page.look(name).await;
            page.print(name).await;
            page.click(".actions .btn[href$=history]").await;
            page.arrive(".trail").await;
            page.look(&format!("{name}-history")).await;
        }
        page.type_in("#find-text", "补贴").await;
        page.click(".find button").await;
        page.arrive(".hits").await;
        page.look("search").await;
        page.quiet(&["/petition/99999999"]).await;
        // Were there a complaint, it would be seen.
        page.js("document.body.setAttribute('style', 'color: red')").await;
        let told = page.complaints().await;
        assert!(told.iter().any(|c| c.contains("Content Security Policy")), "{told:?}");
    });
}

/// Who looks at what.
const VISITS: &[(&str, &[(&str, &str)])] = &[
    (
        "xinfang",
        &[
            ("desk-clerk", "/"),
            ("list", "/petition?all=1"),
            ("list-nothing", "/petition?state=8"),
            ("form", "/petition/new"),
            ("search-form", "/search"),
            ("regulations", "/regulation?all=1"),
            ("password", "/password"),
            ("factor", "/factor"),
            ("error", "/petition/99999999"),
        ],
    ),
    ("sysadmin", &[("desk-sysadmin", "/"), ("accounts", "/account?all=1"), ("account-new", "/account/new")]),
    ("sysadmin", &[("sessions", "/sessions")]),
    ("secadmin", &[("policy", "/policy")]),
    ("auditor", &[("desk-auditor", "/"), ("audit", "/audit")]),
];

const FOCUSED_HASH: &str = "return document.activeElement.hash || ''";
/// The field with the cursor is between the top bar and the bar of buttons.
const IN_SIGHT: &str = "const r = document.activeElement.getBoundingClientRect();
    const bar = document.querySelector('.form-bar').getBoundingClientRect();
    return r.top >= 48 && r.bottom <= Math.max(bar.top, 0)";
/// The field with the cursor is marked, and its message is tied to it.
const DESCRIBED: &str = "const e = document.activeElement;
    return e.getAttribute('aria-invalid') === 'true'
        && e.getAttribute('aria-describedby').split(' ').some(id => document.querySelector('#' + id + '.err'))";

/// Fills in the form, by keyboard but for the file, and saves.
async fn register(page: &Page) {
    let file = page.site.home.path().join(ATTACHMENT);
    std::fs::write(&file, "复印件\n".repeat(200)).unwrap();
    for (field, typed) in
        [("#f-title", TITLE), ("#f-text", TEXT), ("#f-accused-0-name", ACCUSED), ("#f-accused-0-post", "会计")]
    {
        page.tab_to(field).await;
        page.press(typed).await;
    }
    page.tab_to("#f-accused-0-rank").await;
    for _ in 0..STOPS {
        if page.value("#f-accused-0-rank").await == "village" {
            break;
        }
        page.press(DOWN).await;
    }
    page.tab_to("#f-petitioner-name").await;
    page.press(PETITIONER).await;
    page.find("#f-upload").await.send_keys(file.to_str().unwrap()).await.unwrap();
    page.tab_to(".form-bar .btn-primary").await;
    page.press(ENTER).await;
    page.arrive(".notice-ok").await;
}

// ---- the page as a person has it

/// One browser window on one site.
#[derive(Clone)]
struct Page {
    client: Client,
    driver: u16,
    site: std::sync::Arc<Site>,
}

impl Page {
    async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.site.address)).await.unwrap();
    }

    async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    async fn log_in(&self, login: &str) {
        self.go("/login").await;
        self.type_in("#login", login).await;
        self.type_in("#password", &format!("{PASSWORD}{ENTER}")).await;
        self.arrive(".side").await;
    }

    /// Until it is done: another page asked for too soon would take the click's request back.
    async fn log_out(&self) {
        self.click(".top-links form button").await;
        self.arrive("#login").await;
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        self.client.find(Locator::Css(css)).await.unwrap_or_else(|e| panic!("{css}: {e}"))
    }

    /// Waits for something that only the next page has.
    async fn arrive(&self, css: &str) {
        let wait = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        if wait.is_err() {
            panic!("{css} did not come; the page says:\n{}", self.text("body").await);
        }
    }

    async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    async fn value(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.unwrap().unwrap_or_default()
    }

    async fn click(&self, css: &str) {
        self.painted().await;
        self.find(css).await.click().await.unwrap_or_else(|e| panic!("{css}: {e}"));
    }

    async fn type_in(&self, css: &str, text: &str) {
        self.painted().await;
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Until the page is seen: Chromium drops keys and clicks that come before, and does not print.
    async fn painted(&self) {
        let since = Instant::now();
        while self.js("return performance.getEntriesByType('paint').length").await == json!(0) {
            assert!(since.elapsed() < PATIENCE, "the page was never painted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses keys where the cursor is.
    async fn press(&self, keys: &str) {
        self.painted().await;
        let strokes = keys.chars().flat_map(|value| [KeyAction::Down { value }, KeyAction::Up { value }]);
        let keyboard = strokes.fold(KeyActions::new("keyboard".into()), KeyActions::then);
        self.client.perform_actions(keyboard).await.unwrap();
    }

    /// Presses Tab until the cursor is there: whatever is used here can be reached without a mouse.
    async fn tab_to(&self, css: &str) {
        let wanted = self.find(css).await.element_id();
        for _ in 0..STOPS {
            if self.client.active_element().await.unwrap().element_id() == wanted {
                return;
            }
            self.press(TAB).await;
        }
        panic!("{css} cannot be reached with Tab");
    }

    async fn focused(&self) -> String {
        self.client.active_element().await.unwrap().attr("id").await.unwrap().unwrap_or_default()
    }

    async fn js(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Makes the inner window as large as a screen.
    async fn screen(&self, (width, height): (u32, u32)) {
        self.client.set_window_size(width, height).await.unwrap();
        let inner = self.js("return [innerWidth, innerHeight]").await;
        let (w, h) = serde_json::from_value::<(u32, u32)>(inner).unwrap();
        self.client.set_window_size(2 * width - w, 2 * height - h).await.unwrap();
    }

    /// No page is wider than a screen.
    async fn look(&self, name: &str) {
        for (screen, suffix) in [(LARGE, "-large"), (SCREEN, "")] {
            self.screen(screen).await;
            let wide = self.js("return document.documentElement.scrollWidth - innerWidth").await;
            assert!(wide.as_i64().unwrap() <= 0, "{name} is {wide} px wider than {screen:?}");
            self.shot(&format!("{name}{suffix}")).await;
        }
    }

    async fn shot(&self, name: &str) {
        if let Some(dir) = pictures() {
            std::fs::write(dir.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
        }
    }

    /// The page on paper: the frame stays on the screen.
    async fn print(&self, name: &str) {
        let paper = PrintConfigurationBuilder::default().background(false).build().unwrap();
        self.painted().await;
        let pdf = self.client.print(paper).await.unwrap();
        assert!(pdf.starts_with(b"%PDF"));
        if let Some(dir) = pictures() {
            std::fs::write(dir.join(format!("{name}.pdf")), pdf).unwrap();
        }
    }

    /// The browser complained of nothing; addresses named may answer that they refuse or find nothing.
    async fn quiet(&self, refusing: &[&str]) {
        let told = self.complaints().await;
        let known = |c: &&String| {
            refusing
                .iter()
                .chain(&["/favicon.ico"])
                .any(|path| c.contains(&format!("{path} - Failed to load")))
        };
        let new: Vec<_> = told.iter().filter(|c| !known(c)).collect();
        assert!(new.is_empty(), "{new:?}");
    }

    /// The browser's log since it was last read: errors of scripts, breaches of the policy, failed requests.
    async fn complaints(&self) -> Vec<String> {
        let session = self.client.session_id().await.unwrap().unwrap();
        let answer =
            command(self.driver, &format!("/session/{session}/se/log"), &json!({ "type": "browser" }));
        let lines = answer["value"].as_array().unwrap_or_else(|| panic!("no log: {answer}"));
        let bad = |l: &&Value| {
            l["level"] == "SEVERE" || l["message"].to_string().contains("Content Security Policy")
        };
        lines.iter().filter(bad).map(|l| l["message"].to_string()).collect()
    }
}

/// A command of chromedriver that the WebDriver standard does not have.
fn command(port: u16, path: &str, body: &Value) -> Value {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}",
        body.len()
    );
    write!(stream, "{head}\r\n\r\n{body}").unwrap();
    let mut answer = BufReader::new(stream);
    let mut size = 0;
    for line in answer.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
        let length = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        size = length.map_or(size, |(_, value)| value.trim().parse().unwrap());
    }
    serde_json::from_reader(answer.take(size)).unwrap()
}

// ---- the browser

/// Runs a story in a fresh browser, and ends the browser however the story ends.
fn with_browser<S, F>(site: Site, scripts: bool, story: S)
where
    S: FnOnce(Page) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Some(driver) = driver() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let profile = site.home.path().join("profile");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let capabilities = capabilities(&profile, scripts);
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://127.0.0.1:{}", driver.port)).await.unwrap();
        let page = Page { client: client.clone(), driver: driver.port, site: site.into() };
        if scripts {
            page.screen(SCREEN).await;
        }
        let told = tokio::spawn(story(page)).await;
        let _closed = client.close().await;
        if let Err(failed) = told {
            std::panic::resume_unwind(failed.into_panic());
        }
    });
}

fn capabilities(profile: &Path, scripts: bool) -> Value {
    let size = format!("--window-size={},{}", SCREEN.0, SCREEN.1);
    let profile = format!("--user-data-dir={}", profile.display());
    let mut options = json!({ "binary": CHROMIUM, "args": [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--ignore-certificate-errors",
        "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=zh-CN", size, profile,
    ] });
    if !scripts {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    json!({ "acceptInsecureCerts": true, "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } })
}

/// Where pictures go, if anybody wants them.
fn pictures() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("JICENG_SCREENSHOTS")?);
    std::fs::create_dir_all(&dir).unwrap();
    Some(dir)
}

/// Says something even when the test passes.
fn say(text: &str) {
    let _said = writeln!(std::io::stderr(), "{text}");
}
