//! Hostile input: whatever is typed, uploaded or thrown at the socket, the answer is a page of ours or a
//! refusal, what is shown is shown as text, and the server is there afterwards.

use std::io::Write;

use super::county::{County, OWN, PETITION, Person};
use super::form::{Form, escaped};
use super::register::noise;
use super::wire::{Answer, Request, urlencoded};

const CLERK: &str = "石鼓岭镇纪委";

/// What people have thrown at forms for thirty years.
const NASTY: [&str; 50] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "</textarea><script>1</script>",
    "</title></style><svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<iframe srcdoc='<script>1</script>'>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example/>",
    "<style>*{display:none}</style>",
    "<!-- --><![CDATA[<x>]]>",
    "&lt;script&gt;",
    "&#60;script&#62;&amp;lt;",
    "javascript:alert(1)",
    "data:text/html,<script>1</script>",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "{% include '/etc/passwd' %}",
    "' OR '1'='1' --",
    "'; DROP TABLE records; --",
    "\" UNION SELECT * FROM accounts",
    "$(reboot)`reboot`|reboot;reboot&reboot",
    "../../../../etc/passwd",
    "..\\..\\..\\windows\\system32",
    "/etc/passwd%00.pdf",
    "%3Cscript%3E%2e%2e%2f",
    "http://169.254.169.254/latest/meta-data",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\u{202e}gpj.exe",
    "\u{2066}隔离\u{2069}\u{200f}右",
    "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}",
    "\u{feff}零宽\u{200b}空\u{200d}格",
    "𠮷野家𩸽𪚥",
    "👨‍👩‍👧‍👦🏳️‍🌈",
    "\u{fffd}\u{fffe}\u{ffff}",
    "\u{e000}\u{10ffff}",
    "ﷺ﷽",
    "İıſK",
    "Ω≈ç√∫˜µ≤≥÷",
    "()[]{}<>\\/|!@#$%^&*_+-=",
    "\"引号\" AND 标题: OR NOT",
    "title:* AND -",
    "*?~^",
    "\"未闭合",
    "null",
    "undefined",
    "NaN",
];
/// What no line of text may hold.
const CONTROLS: [&str; 8] =
    ["a\0b", "a\x01b", "a\x08b", "a\x1b[31mb", "a\x7fb", "a\u{85}b", "a\u{9b}b", "\0"];
/// Inputs the nasty texts are typed into: lines, areas, rows, an open list, and the petitioner.
const PLACES: [&str; 6] = ["title", "text", "accused.0.name", "channel", "remarks", "petitioner.name"];
/// Inputs that take something else than text.
const TYPED: [&str; 6] = ["received", "people", "signed", "assigned_to", "accused.0.rank", "categories"];

/// A page that shows `text` shows it as text.
#[track_caller]
fn harmless(page: &Answer, text: &str) {
    assert!(page.status < 500, "{text:?}: {}", page.status);
    let body = super::form::without_scripts(&page.text());
    if text.contains('<') || text.contains('"') {
        assert!(!body.contains(text), "{text:?} stands in the page as it was typed");
    }
    for tag in ["<script", "<img", "<iframe", "<meta http", "<base", "<style", "<!--", "<a href=\"javascript"]
    {
        assert!(!body.contains(tag), "{tag} after {text:?}");
    }
}

/// What is kept of a text: all but what turns the direction of the words around it.
fn kept(text: &str) -> String {
    text.chars().filter(|c| !jiceng::base::text::is_direction(*c)).collect()
}

fn survives(county: &County) {
    assert!(county.is_alive(), "{}", county.log());
    let log = county.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    county.nobody().get("/healthz").expect(200);
    county.is_sound();
}

/// ASVS 1.1.1, 1.2.1, 1.2.2, 1.3.7
#[test]
fn three_hundred_hostile_texts_are_text_wherever_they_are_shown() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let blank = clerk.form("/petition/new").fill(PETITION);
    let mut count = 0_usize;
    for (n, text) in NASTY.iter().enumerate() {
        for place in PLACES {
            count += 1;
            let submit = format!("hostile-{count}");
            let answer = clerk.submit(&blank.clone().fill(&[(place, text), ("submit", &submit)]));
            harmless(&answer, text);
            assert_eq!(answer.status, 303, "{place}: {text:?}");
            // Every page that shows it, for one place in turn.
            if place != PLACES[n % PLACES.len()] {
                continue;
            }
            let path = super::county::path_of(&answer);
            let record = clerk.get(&path).expect(200);
            harmless(&record, text);
            assert!(
                place == "petitioner.name" || record.says(&escaped(&kept(text))),
                "{place}: {text:?} is not shown"
            );
            let edit = clerk.get(&format!("{path}/edit")).expect(200);
            harmless(&edit, text);
            // The petitioner is shown in the form for a reason only.
            let shown = if place == "petitioner.name" {
                let reason = Form::of(&edit).set("identity.reason", "核对姓名").set("identity.show", "1");
                clerk.submit(&reason).expect(200)
            } else {
                edit
            };
            harmless(&shown, text);
            assert_eq!(Form::of(&shown).value(place), kept(text));
            for page in [format!("{path}/history"), "/petition?all=1".into(), "/".into()] {
                harmless(&clerk.get(&page).expect(200), text);
            }
        }
        harmless(&clerk.search(text), text);
    }
    assert!(count >= 300);
    survives(&county);
}

/// ASVS 2.2.1, 2.2.2, 15.3.5
#[test]
fn control_characters_and_wrong_kinds_of_value_are_refused_with_a_word() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let blank = clerk.form("/petition/new").fill(PETITION);
    for text in CONTROLS {
        for place in ["title", "text", "accused.0.name"] {
            let page = clerk.submit(&blank.clone().set(place, text)).expect(422);
            assert!(page.says("控制字符"), "{place}: {text:?}");
        }
    }
    for place in TYPED {
        for text in [
            "<script>alert(1)</script>",
            "99999999999999999999",
            "-1",
            "１２３４５６７８９",
            "二〇二六",
            "\u{202e}1",
        ] {
            let page = clerk.submit(&blank.clone().set(place, text));
            harmless(&page, text);
            assert_eq!(page.status, 422, "{place}: {text}");
        }
    }
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
    survives(&county);
}

#[test]
fn an_opinion_and_a_reason_are_text_as_well() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let auditor = county.auditor();
    for text in NASTY.iter().step_by(4) {
        let path = clerk.register(&[("petitioner.name", "来信人")]);
        let form = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", text);
        clerk.submit(&form).expect(303);
        harmless(&clerk.get(&path), text);
        let reason = clerk.post_form(&format!("{path}/identity"), &[("reason", text), OWN]);
        harmless(&reason, text);
        harmless(&auditor.get("/audit"), text);
    }
    survives(&county);
}

#[test]
fn an_opinion_without_visible_characters_is_not_an_opinion() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let path = clerk.register(&[]);
    for text in ["a\0b", "a\x1b[31mb"] {
        let form = clerk.form(&path).to(&format!("{path}/move/propose")).set("opinion", text);
        let page = clerk.submit(&form);
        assert_eq!(page.status, 422, "control characters {text:?} went into the trail");
    }
}

/// Names of files that want to be somewhere else, or something else.
const FILE_NAMES: [&str; 16] = [
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/shadow",
    "C:\\x\\原件.pdf",
    ".",
    "..",
    "...",
    " ",
    "a\r\nset-cookie: x=1",
    "a\"; filename=\"b.html",
    "<script>alert(1)</script>.html",
    "\u{202e}fdp.exe",
    "a\tb.txt",
    "％２ｅ％２ｅ/x",
    "CON",
    "名\u{2028}字.pdf",
];

/// ASVS 5.3.1, 5.3.2, 5.4.1, 5.4.2
#[test]
fn a_file_name_is_a_name_and_never_a_path() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let long = "长".repeat(5_000);
    for name in FILE_NAMES.iter().copied().chain([long.as_str()]) {
        let form = clerk.form("/petition/new").fill(PETITION).attach(name, name.as_bytes());
        let answer = clerk.submit(&form);
        harmless(&answer, name);
        let path = super::county::path_of(&answer.expect(303));
        let page = clerk.get(&path).expect(200);
        harmless(&page, name);
        assert!(!page.text().contains(['\u{202e}', '\u{2028}']), "{name:?} looks like another name");
        let file = clerk.get(&format!("{path}/files/0")).expect(200);
        assert_eq!(file.body, name.as_bytes(), "{name:?}");
        let header = file.header("content-disposition");
        assert!(header.starts_with("attachment; filename*=UTF-8''") && !header.contains(".."), "{header}");
        assert_eq!(
            (file.header("set-cookie"), file.header("content-type")),
            ("", "application/octet-stream")
        );
    }
    survives(&county);
}

fn post(clerk: &Person, path: &str, kind: &str, body: &[u8]) -> std::io::Result<Answer> {
    clerk.send(clerk.own("POST", path).body(kind, body.to_vec()))
}

/// ASVS 1.5.3
#[test]
fn broken_bodies_are_refused_and_nothing_is_stored() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let token = clerk.token();
    let urlencoded_kind = "application/x-www-form-urlencoded";
    let multipart_kind = "multipart/form-data; boundary=x";
    let many = "a=1&".repeat(100_000);
    let surrogates = format!("csrf={token}&title=%ED%A0%80%ED%BF%BF&text=%FF%FE%00&submit=1");
    let part = |name: &str, value: &[u8]| {
        let head = format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        [head.as_bytes(), value, b"\r\n"].concat()
    };
    let not_utf8 =
        [part("csrf", token.as_bytes()), part("title", b"\xD6\xD0\xCE\xC4"), b"--x--\r\n".to_vec()].concat();
    let file =
        b"--x\r\ncontent-disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\nabc\r\n--x--\r\n";
    let file_first = [&file[..], &part("csrf", token.as_bytes())].concat();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        (urlencoded_kind, b"%".to_vec()),
        (urlencoded_kind, b"&&&===&%zz=%&a".to_vec()),
        (urlencoded_kind, many.into_bytes()),
        (urlencoded_kind, surrogates.into_bytes()),
        (urlencoded_kind, noise(3, 50_000)),
        (urlencoded_kind, vec![b'a'; 7 << 20]),
        (multipart_kind, Vec::new()),
        (multipart_kind, b"--x".to_vec()),
        (multipart_kind, b"--x\r\n\r\n\r\n--x--".to_vec()),
        (multipart_kind, noise(4, 50_000)),
        (multipart_kind, not_utf8),
        (multipart_kind, file_first),
        (multipart_kind, part("title", &vec![b'a'; 3 << 20])),
        ("multipart/form-data", b"--x".to_vec()),
        ("multipart/form-data; boundary=", b"--".to_vec()),
        ("application/json", b"{}".to_vec()),
        ("", b"title=1".to_vec()),
        ("\u{4e2d}", b"title=1".to_vec()),
    ];
    for (n, (kind, body)) in bodies.iter().enumerate() {
        // A refusal may come before everything was read: then the connection ends.
        if let Ok(answer) = post(&clerk, "/petition/new", kind, body) {
            let refused = (400..500).contains(&answer.status) || answer.location() == "/resume";
            assert!(refused, "body {n} ({kind}): {} {}", answer.status, answer.location());
        }
    }
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
    assert_eq!(county.files("blobs").len() + county.files("tmp").len(), 0);
    survives(&county);
}

#[test]
fn text_that_is_not_utf8_is_refused_and_not_repaired() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let token = clerk.token();
    let typed = b"&title=\xED\xA0\x80\xFF&text=%D6%D0%CE%C4".to_vec();
    let body = [b"csrf=", token.as_bytes(), &typed].concat();
    let answer = post(&clerk, "/petition/new", "application/x-www-form-urlencoded", &body).unwrap();
    assert_eq!(answer.status, 422, "something else than what was sent is stored");
}

#[test]
fn broken_requests_get_no_page_and_do_no_harm() {
    let county = County::bare();
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let headers = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: 1\r\n".repeat(5_000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let requests: Vec<Vec<u8>> = vec![
        b"GET".to_vec(),
        b"\r\n\r\n\r\n".to_vec(),
        noise(5, 5_000),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        huge.into_bytes(),
        headers.into_bytes(),
        long.into_bytes(),
        b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec(),
        b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_vec(),
        b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_vec(),
        b"POST /login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /assets/..%2f..%2fstore.redb HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /petition/%00/edit HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET http://evil.example/login HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_vec(),
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: x\r\ncookie: __Host-session=\xff\xff\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: x\r\ncookie: ;;;=;__Host-session;=\r\nconnection: close\r\n\r\n".to_vec(),
    ];
    for (n, bytes) in requests.iter().enumerate() {
        let mut tls = county.wire().connect().unwrap();
        let _sent = tls.write_all(bytes).and_then(|()| tls.flush());
        // Whoever stops in the middle is waited for: this client says that it has no more to say.
        tls.conn.send_close_notify();
        let _sent = tls.flush();
        let mut answer = Vec::new();
        let _ended = std::io::Read::read_to_end(&mut tls, &mut answer);
        if let Some(answer) = Answer::parse(&answer) {
            assert!(answer.status < 500, "request {n}: {}", answer.status);
            assert!(!answer.says("root:"), "request {n}");
        }
    }
    survives(&county);
}

#[test]
fn unfinished_requests_do_not_keep_others_waiting() {
    let county = County::bare();
    let mut open = Vec::new();
    for n in 0..60 {
        let mut tls = county.wire().connect().unwrap();
        let half = b"POST /login HTTP/1.1\r\nhost: x\r\norigin: https://x\r\n\
            content-type: application/x-www-form-urlencoded\r\n\
            content-length: 1000\r\n\r\nlogin=";
        tls.write_all(&half[..if n % 2 == 0 { 30 } else { half.len() }]).unwrap();
        tls.flush().unwrap();
        open.push(tls);
    }
    // Others never even begin to speak TLS.
    let silent: Vec<_> =
        (0..60).map(|_| std::net::TcpStream::connect(county.wire().host()).unwrap()).collect();
    county.clerk(CLERK).register(&[]);
    drop((open, silent));
    survives(&county);
}

/// ASVS 1.4.2
#[test]
fn hostile_addresses_and_queries_are_answered_calmly() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    clerk.register(&[]);
    let max = u64::MAX;
    let mut paths: Vec<String> =
        ["-1", "0", "00", "1e3", "０", "%31", "18446744073709551615", "99999999999999999999"]
            .iter()
            .flat_map(|id| {
                [format!("/petition/{id}"), format!("/petition/{id}/edit"), format!("/petition/1/files/{id}")]
            })
            .map(|p| p.replace('０', "%EF%BC%90"))
            .collect();
    for query in [
        format!("page={max}"),
        format!("page={max}&size={max}"),
        "page=-1&size=0&state=256&unit=x".to_owned(),
        "from=%00&to=%FF&order=%3Cscript%3E".to_owned(),
        "from=9999-99-99&to=0000-00-00".to_owned(),
        "from=2199-12-31&to=1900-01-01".to_owned(),
        format!("state={}", "1&state=".repeat(5_000)),
        "%3Cscript%3Ealert(1)%3C/script%3E=%22%3E%3Cscript%3E".to_owned(),
    ] {
        paths.extend([format!("/petition?{query}"), format!("/?{query}"), format!("/audit?{query}")]);
        paths.push(format!("{}?{query}", clerk.post_form("/search", &[("text", "补贴")]).location()));
    }
    for path in paths {
        let answer = clerk.get(&path);
        assert!(answer.status < 500, "{path}: {}", answer.status);
        assert!(!super::form::without_scripts(&answer.text()).contains("<script"), "{path}");
    }
    let pairs: Vec<(String, String)> =
        vec![("csrf".into(), clerk.token()), ("text".into(), "字".repeat(100_000))];
    let body = urlencoded(&pairs);
    let asked =
        clerk.send(clerk.own("POST", "/search").body("application/x-www-form-urlencoded", body)).unwrap();
    clerk.get(asked.expect(303).location()).expect(200);
    let stranger =
        Request::new("GET", "/petition/1").header("cookie", &format!("__Host-session={}", "z".repeat(9_000)));
    assert_eq!(county.wire().send(&stranger).unwrap().location(), "/login");
    survives(&county);
}
