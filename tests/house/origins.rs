//! Where a form comes from, for every route that changes something: the list is the table of routes itself, and each
//! request is one that would be taken if it came from a page of ours.

use axum::http::Method;
use jiceng::web::ROUTES;

use super::county::{County, Person};
use super::wire::{Answer, Request, urlencoded};

const FORM: &str = "application/x-www-form-urlencoded";
/// What the refusals say: no other one does.
const STRANGE: &str = "请求不是从本系统页面发出的";
const SHAPELESS: &str = "请求的格式不对";

/// Headers of a request that no page of ours makes, in place of its own; `{own}` is the origin of this server.
const FOREIGN: [(&str, &[(&str, &str)]); 11] = [
    ("cross-site", &[("origin", "{own}"), ("sec-fetch-site", "cross-site")]),
    ("another port or name", &[("origin", "{own}"), ("sec-fetch-site", "same-site")]),
    ("typed address", &[("sec-fetch-site", "none")]),
    ("unknown word", &[("origin", "{own}"), ("sec-fetch-site", "Same-Origin")]),
    ("nothing said", &[]),
    ("null origin", &[("origin", "null")]),
    ("null origin that claims to be ours", &[("origin", "null"), ("sec-fetch-site", "same-origin")]),
    ("foreign origin", &[("origin", "https://evil.example")]),
    ("foreign origin that claims to be ours", &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")]),
    ("ours with something behind", &[("origin", "{own}.evil.example")]),
    ("ours without TLS", &[("origin", "http://{host}")]),
];
/// Types that a page elsewhere can send without asking, and one that it cannot.
const SHAPES: [&str; 4] = ["text/plain", "text/plain; x=application/x-www-form-urlencoded", "", "application/json"];

/// Addresses of every route that takes forms.
fn places() -> impl Iterator<Item = String> {
    let forms = ROUTES.iter().filter(|r| r.method != Method::GET);
    forms.map(|r| {
        let named = r.path.replace("{kind}", "petition").replace("{name}", "propose");
        let mut parts = named.split('/').map(|p| if p.starts_with('{') { "1" } else { p });
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |path, part| format!("{path}/{part}"))
    })
}

fn form(person: &Person) -> Vec<u8> {
    urlencoded(&[("csrf".to_owned(), person.token())])
}

#[track_caller]
fn refused(answer: &Answer, words: &str, what: &str) {
    assert!(answer.says(words), "{what}: {} {}", answer.status, answer.text());
    assert!((400..500).contains(&answer.status) && answer.header("set-cookie").is_empty(), "{what}: {}", answer.status);
}

/// ASVS 3.5.1, 3.5.2, 3.7.5
#[test]
fn no_route_takes_a_form_that_comes_from_elsewhere_or_in_another_shape() {
    let county = County::bare();
    let person = county.demo_user();
    let (host, before) = (county.wire().host(), county.head());
    let mut asked = 0;
    for path in places() {
        for (way, headers) in FOREIGN {
            let request = person.request("POST", &path).body(FORM, form(&person));
            let request = headers.iter().fold(request, |request, (name, value)| {
                let value = value.replace("{own}", &format!("https://{host}")).replace("{host}", &host);
                request.header(name, &value)
            });
            refused(&person.send(request).unwrap(), STRANGE, &format!("{way}: {path}"));
            asked += 1;
        }
        for shape in SHAPES {
            let request = person.own("POST", &path).body(shape, form(&person));
            refused(&person.send(request).unwrap(), SHAPELESS, &format!("{shape:?}: {path}"));
            asked += 1;
        }
    }
    assert!(asked > 400, "{asked}");
    assert_eq!(county.head(), before, "something was done");
    // From a page of ours none of them says so.
    for path in places().filter(|p| p != "/logout") {
        let answer = person.send(person.own("POST", &path).body(FORM, form(&person))).unwrap();
        assert!(!answer.says(STRANGE) && !answer.says(SHAPELESS), "{path}: {}", answer.text());
    }
}

/// ASVS 3.5.3, 4.1.4, 13.4.4
#[test]
fn what_changes_something_is_done_by_no_other_method() {
    let county = County::bare();
    let person = county.demo_user();
    let before = county.head();
    for path in places() {
        let is_page = ROUTES.iter().any(|r| r.method == Method::GET && r.path == path);
        let named = ["/login", "/setup/1", "/import/1", "/rights/1"];
        let generic = path.starts_with("/petition/") || named.contains(&path.as_str());
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FORM"] {
            if method == "GET" && (is_page || generic) {
                continue;
            }
            let answer = person.send(person.own(method, &path)).unwrap();
            assert!([404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
    assert_eq!(county.head(), before, "something was done");
}

/// ASVS 15.3.7
#[test]
fn a_form_is_what_its_body_says_and_the_first_of_two_values_counts() {
    let county = County::bare();
    let login = |path: &str, pairs: &[(&str, &str)]| {
        let person = county.nobody();
        let all: Vec<(String, String)> = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        person.send(person.own("POST", path).body(FORM, urlencoded(&all))).unwrap().status
    };
    let (name, password) = (("login", "zhen01"), ("password", super::passwords::PASSWORD));
    // Neither address nor cookie stands in for what was not typed, and no later value for an earlier one.
    assert_eq!(login("/login?login=zhen01&password=Wanglan%232026", &[]), 422);
    assert_eq!(login("/login?login=zhen01", &[("login", "nobody"), password]), 422);
    assert_eq!(login("/login", &[("login", "nobody"), name, password]), 422);
    assert_eq!(login("/login?login=nobody", &[name, password, ("login", "nobody")]), 303);
}

/// ASVS 4.1.3, 15.3.4
#[test]
fn a_header_that_claims_another_address_changes_nothing() {
    let county = County::bare();
    let guess = |n: usize, password: &str| {
        let pairs = [("login".to_owned(), "zhen04".to_owned()), ("password".to_owned(), password.to_owned())];
        let person = county.nobody();
        let claims = [("x-forwarded-for", "10.0.0."), ("x-real-ip", "10.0.1."), ("forwarded", "for=10.0.2.")];
        let request = person.own("POST", "/login").body(FORM, urlencoded(&pairs));
        let claim = |request: Request, (name, start): (&str, &str)| request.header(name, &format!("{start}{n}"));
        person.send(claims.into_iter().fold(request, claim)).unwrap()
    };
    for n in 0..5 {
        assert!(guess(n, "Wrong-one-26!").expect(422).says("登录名或口令不正确"));
    }
    assert!(guess(9, super::passwords::PASSWORD).expect(422).says("连续多次失败"));
    assert!(!county.log().contains("10.0."));
}
