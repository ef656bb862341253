//! Doors and windows: forms come from our own pages or do nothing, and every answer carries its guards.

use tokio_rustls::rustls::{SupportedProtocolVersion, version};

use super::county::{County, OWN, Person, SESSION};
use super::wire::{Request, Wire, urlencoded};

const CLERK: &str = "澜东街道纪工委";
const FORM: &str = "application/x-www-form-urlencoded";

/// Ways a form can come from somewhere else; each changes a request that would otherwise be taken.
const FOREIGN: [&str; 9] = [
    "cross-site",
    "same-site",
    "navigation",
    "no headers",
    "origin null",
    "foreign origin",
    "origin by http",
    "wrong token",
    "text/plain",
];

fn foreign(person: &Person, way: &str, path: &str, pairs: &[(&str, &str)]) -> Request {
    let host = person.own("POST", path).headers.iter().find(|(n, _)| n == "origin").unwrap().1.clone();
    let http = host.replace("https", "http");
    let mut all: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    let token = if way == "wrong token" { "0".repeat(64) } else { person.token() };
    all.push(("csrf".into(), token));
    let plain = person.request("POST", path);
    let request = match way {
        "cross-site" | "same-site" => plain.header("origin", &host).header("sec-fetch-site", way),
        "navigation" => plain.header("sec-fetch-site", "none"),
        "no headers" => plain,
        "origin null" => plain.header("origin", "null").header("sec-fetch-site", "same-origin"),
        "foreign origin" => plain.header("origin", "https://evil.example"),
        "origin by http" => plain.header("origin", &http),
        _ => plain.header("origin", &host).header("sec-fetch-site", "same-origin"),
    };
    request.body(if way == "text/plain" { "text/plain" } else { FORM }, urlencoded(&all))
}

/// ASVS 7.6.2
#[test]
fn a_form_from_anywhere_else_changes_nothing() {
    let county = County::bare();
    let (clerk, sysadmin) = (county.clerk(CLERK), county.sysadmin());
    let path = clerk.register(&[("petitioner.name", "来信人己")]);
    let at = |rest: &str| format!("{path}{rest}");
    let petition: Vec<(&str, &str)> = super::county::PETITION.to_vec();
    let moved = [("version", "1"), ("opinion", "拟予受理"), ("submit", "m1")];
    let new_password =
        [("old", super::passwords::PASSWORD), ("new", "Quite-new-26!"), ("again", "Quite-new-26!")];
    let login = [("login", "zhen05"), ("password", super::passwords::PASSWORD)];
    let edited = [&petition[..], &[("version", "1"), ("submit", "e1")]].concat();
    let cases: [(&Person, String, &[(&str, &str)]); 10] = [
        (&clerk, "/petition/new".into(), &petition),
        (&clerk, at("/edit"), &edited),
        (&clerk, at("/move/propose"), &moved),
        (&clerk, at("/identity"), &[("reason", "电话回访"), OWN]),
        (&clerk, "/password".into(), &new_password),
        (&clerk, "/search".into(), &[("text", "补贴")]),
        (&sysadmin, "/account/20/password".into(), &[]),
        (&sysadmin, "/backup".into(), &[("recipients", "age1a age1b"), OWN]),
        (&clerk, "/login".into(), &login),
        (&clerk, "/logout".into(), &[]),
    ];
    let before = county.head();
    for (person, path, pairs) in cases {
        for way in FOREIGN.iter().filter(|w| path != "/login" || **w != "wrong token") {
            let answer = person.send(foreign(person, way, &path, pairs)).unwrap();
            let refused = match *way {
                // What people type waits for them; anything else is refused.
                "wrong token" if path.contains("/move/") || path.ends_with("/new") || path.ends_with("/edit") => {
                    answer.status == 303 && answer.location() == "/resume"
                }
                "text/plain" => answer.status == 422,
                _ => answer.status == 404,
            };
            assert!(refused, "{way} on {path}: {} {}", answer.status, answer.location());
            assert!(answer.headers.iter().all(|(n, _)| n != "set-cookie"), "{way} on {path}");
        }
    }
    assert_eq!(county.head(), before, "something was done");
    clerk.get(&path).expect(200);
}

#[test]
fn a_wrong_token_from_a_browser_that_knows_nobody_is_refused() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    clerk.forget("__Host-last");
    let answer =
        clerk.send(foreign(&clerk, "wrong token", "/petition/new", super::county::PETITION)).unwrap();
    answer.expect(404);
    assert!(clerk.get("/petition?all=1").says("还没有信访件"));
}

#[track_caller]
fn guarded(answer: &super::wire::Answer, what: &str) {
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{what} ({}): policy {policy:?}", answer.status);
    for part in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{what}: {part}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{what}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
    }
    let cached = what.starts_with("/assets/style-");
    assert_eq!(answer.header("cache-control").contains("no-store"), !cached, "{what}: cache-control");
    for absent in ["server", "x-powered-by", "access-control-allow-origin"] {
        assert_eq!(answer.header(absent), "", "{what}: {absent}");
    }
    let texts = ["html", "plain", "css"].map(|kind| format!("text/{kind}; charset=utf-8"));
    let kind = answer.header("content-type");
    let known = kind == "application/octet-stream" || texts.iter().any(|text| text == kind);
    assert!(answer.body.is_empty() || known, "{what}: content-type {kind}");
    // Nobody is led away from this server.
    let to = answer.location();
    assert!(to.is_empty() || (to.starts_with('/') && !to.starts_with("//")), "{what} leads to {to}");
}

/// ASVS 3.4.1, 3.4.2, 3.4.3, 3.4.4, 3.4.5, 3.4.6, 3.4.8, 3.5.8, 3.7.2, 4.1.1, 14.3.2
#[test]
fn every_kind_of_answer_carries_its_guards() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    let form =
        clerk.form("/petition/new").fill(super::county::PETITION).attach("原件.html", b"<script>1</script>");
    let saved = clerk.submit(&form).expect(303);
    guarded(&saved, "a redirect after a form");
    let path = super::county::path_of(&saved);
    let desk = clerk.get("/").expect(200).text();
    let style = desk
        .split("href=\"")
        .find(|h| h.starts_with("/assets/"))
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let pages =
        ["/", "/login", "/petition?all=1", "/petition/new", "/search", "/resume", "/password", "/healthz"];
    for page in pages.iter().copied().chain([path.as_str(), style.as_str()]) {
        guarded(&clerk.get(page), page);
        guarded(&county.nobody().get(page), page);
    }
    for page in ["/history", "/edit", "/files/0", "/files/7", "/nothing/at/all"] {
        guarded(&clerk.get(&format!("{path}{page}")), page);
    }
    guarded(&clerk.get("/no-such-page"), "/no-such-page");
    guarded(&clerk.get("/a/b/c/d/e/f/g"), "an address without a route");
    guarded(&clerk.post_form("/petition/new", &[]).expect(422), "a form with errors");
    guarded(&clerk.send(foreign(&clerk, "cross-site", "/logout", &[])).unwrap(), "a refused form");
    guarded(&clerk.search("补贴"), "results");
}

#[test]
fn a_method_that_a_route_does_not_know_is_guarded_too() {
    let county = County::bare();
    let clerk = county.clerk(CLERK);
    for (method, path) in
        [("GET", "/logout"), ("PUT", "/petition/new"), ("DELETE", "/petition/1"), ("POST", "/audit")]
    {
        let answer = clerk.send(clerk.own(method, path)).unwrap();
        assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
        guarded(&answer, path);
    }
}

/// ASVS 3.3.1, 3.3.2, 3.3.3, 3.3.4, 7.4.1, 14.3.1
#[test]
fn cookies_are_bound_to_this_host_and_out_of_reach_of_scripts() {
    let county = County::bare();
    let person = county.nobody();
    let answer = person.log_in_as("zhen01", super::passwords::PASSWORD).expect(303);
    let cookies: Vec<&str> =
        answer.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| v.as_str()).collect();
    assert_eq!(cookies.len(), 3);
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for part in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite="] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains("Domain") && cookie.len() < 1_000, "{cookie}");
    }
    let token = person.cookie(SESSION).unwrap();
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()));
    person.get("/").expect(200);
    let left = person.post_form("/logout", &[]).expect(303);
    assert_eq!((left.header("clear-site-data"), left.header("cache-control")), ("\"storage\"", "no-store"));
    assert!(left.headers.iter().any(|(n, v)| n == "set-cookie" && v.starts_with(&format!("{SESSION}=;"))));
    // The old cookie is worth nothing, not even to who kept it.
    let kept = Request::new("GET", "/").header("cookie", &format!("{SESSION}={token}"));
    assert_eq!(county.wire().send(&kept).unwrap().location(), "/login");
}

/// ASVS 7.2.4
#[test]
fn a_session_begins_anew_at_every_log_in() {
    let county = County::bare();
    let person = county.nobody();
    let fixed = "f".repeat(64);
    let pairs = [
        ("login".to_owned(), "zhen01".to_owned()),
        ("password".to_owned(), super::passwords::PASSWORD.to_owned()),
    ];
    let request = person.own("POST", "/login").header("cookie", &format!("{SESSION}={fixed}"));
    person.send(request.body(FORM, urlencoded(&pairs))).unwrap().expect(303);
    assert_ne!(person.cookie(SESSION), Some(fixed));
}

#[test]
fn the_certificate_is_valid_from_the_moment_it_is_made() {
    let county = County::bare();
    let file = county.dir().join("tls/certificate.pem");
    let address = county.wire().host().parse().unwrap();
    for ahead in [0, -3_600, 800 * 86_400] {
        let answer = Wire::with_clock(address, &file, ahead).send(&Request::new("GET", "/healthz"));
        assert!(answer.is_ok(), "at a clock {ahead} s ahead: {}", answer.unwrap_err());
    }
}

/// ASVS 4.1.2, 12.2.1
#[test]
fn plain_http_gets_nothing() {
    use std::io::{Read, Write};
    let county = County::bare();
    let mut plain = std::net::TcpStream::connect(county.wire().host()).unwrap();
    plain.write_all(b"GET /login HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _closed = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1"), "a page went out unencrypted");
    county.nobody().get("/healthz").expect(200);
}

/// Neither folders nor files of the machine, nor what programs like this one often have beside their pages.
/// ASVS 13.4.1, 13.4.2, 13.4.3, 13.4.5, 13.4.6, 13.4.7, 14.2.5
#[test]
fn nothing_is_served_but_what_stands_in_the_table() {
    let county = County::bare();
    let people = [county.nobody(), county.sysadmin()];
    for path in [
        "/.git/config", "/.git/HEAD", "/.env", "/assets", "/assets/", "/assets/style.css", "/assets/../Cargo.toml",
        "/store.redb", "/keys.json", "/tls/key.pem", "/index/meta.json", "/blobs/", "/tmp/", "/backup.zip", "/docs",
        "/robots.txt", "/favicon.ico", "/index.html", "/login.php", "/login.html", "/style-0000000000000000.css",
        "/metrics", "/debug", "/debug/pprof/", "/status", "/server-status", "/actuator", "/swagger.json", "/api",
        "/openapi.json", "/graphql", "/ws", "/admin", "/console", "/version", "/unlock", "/petition/1.css",
    ] {
        for person in &people {
            let answer = person.get(path);
            let guard = answer.status == 303 && answer.location() == "/login";
            assert!(guard || answer.status == 404, "{path}: {} {}", answer.status, answer.location());
            guarded(&answer, path);
        }
    }
    let said = county.nobody().get("/healthz").expect(200).text();
    assert_eq!(said, "ok\n", "strangers are told more than that it lives");
    let login = county.nobody().get("/login").expect(200).text();
    assert!(!login.contains(env!("CARGO_PKG_VERSION")) && !login.contains("rustls"));
}

/// From the log-in page on, every page has its way out, and no page leads anywhere else.
/// ASVS 3.6.1, 7.4.4
#[test]
fn every_page_behind_the_door_has_the_way_out_and_nothing_from_elsewhere() {
    let county = County::bare();
    let pages = ["/", "/password", "/factor", "/sessions", "/search", "/petition?all=1", "/account?all=1", "/backup"];
    for person in [county.clerk(CLERK), county.sysadmin(), county.secadmin(), county.auditor()] {
        let shown: Vec<_> = pages.iter().map(|p| (p, person.get(p))).filter(|(_, page)| page.status == 200).collect();
        assert!(shown.len() >= 6, "{}", person.login);
        for (path, page) in shown {
            let text = page.text();
            assert!(text.contains("action=\"/logout\""), "{path}");
            for to in ["href=\"", "src=\"", "action=\"", "data=\""].iter().flat_map(|a| text.split(a).skip(1)) {
                let here = to.starts_with(['/', '#', '?']) && !to.starts_with("//");
                assert!(here, "{path} leads to {}", to.split('"').next().unwrap_or_default());
            }
        }
    }
}

/// Whoever cannot speak the newest version of TLS, or wants another protocol than HTTP/1.1, gets nothing.
/// ASVS 4.2.3, 4.2.4, 12.1.1
#[test]
fn tls_is_of_the_newest_version_and_carries_one_protocol() {
    let county = County::bare();
    let file = county.dir().join("tls/certificate.pem");
    let address = county.wire().host().parse().unwrap();
    let ask = |versions: &[&'static SupportedProtocolVersion], protocols: &[&str]| {
        let wire = Wire::speaking(address, &file, versions, protocols);
        let answer = wire.send(&Request::new("GET", "/healthz"));
        answer.map(|a| a.status)
    };
    assert_eq!(ask(&[&version::TLS13], &[]).unwrap(), 200);
    assert_eq!(ask(&[&version::TLS13], &["h2", "http/1.1"]).unwrap(), 200);
    assert!(ask(&[&version::TLS12], &[]).is_err(), "an old version is taken");
    assert!(ask(&[&version::TLS13], &["h2"]).is_err(), "another protocol is spoken");
}
