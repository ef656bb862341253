//! What others wait for while a thousand connections do nothing but stay open, and whether the time of a refusal tells
//! that somebody has a name.
//!
//! How many log-ins are compared says `JICENG_BENCH_LOGINS`: by hand 2000 of each.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use super::county::{County, Person};
use super::wire::{Request, Tls, urlencoded};
use super::{Line, quantile};

/// Connections that stay open, and the addresses they come from.
const SLOW: u16 = 1_000;
const FROM: u16 = 10;
/// As long as no connection is given up for being slow.
const TURN: Duration = Duration::from_secs(6);
/// Accounts of a county; strangers may guess a hundred times at each.
const NAMES: [&str; 23] = [
    "zhen01", "zhen04", "zhen05", "zhen06", "zhen07", "zhen08", "pz01", "pz06", "xinfang", "zhen01-fz", "zhen04-fz",
    "zhen05-fz", "zhen06-fz", "zhen07-fz", "zhen08-fz", "pz01-fz", "pz06-fz", "xinfang-fz", "fagui", "bangong", "demo",
    "auditor", "secadmin",
];

pub(crate) fn run(_texts: &[(String, String)]) -> Vec<Line> {
    // A client's own places for open connections.
    let places = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (soft, hard) = nix::sys::resource::getrlimit(places).unwrap();
    nix::sys::resource::setrlimit(places, soft.max(hard.min(8_192)), hard).unwrap();
    let county = County::demo();
    let person = county.demo_user();
    let mut lines = slow(&county, &person);
    lines.extend(refusals(&county));
    lines
}

fn slow(county: &County, person: &Person) -> Vec<Line> {
    let (mut page, mut login) = (Vec::new(), Vec::new());
    let mut calm = (times(person, TURN), door(county, TURN));
    let mut open: (Vec<TcpStream>, Vec<Tls>) = Default::default();
    for n in 0..SLOW {
        let from = Ipv4Addr::new(127, 0, 5, u8::try_from(1 + n % FROM).unwrap());
        if n % 3 == 0 {
            open.0.push(county.wire().tcp_from(from).unwrap());
        } else {
            let half: &[u8] = if n % 3 == 1 {
                b"GET /login HTTP/1.1\r\nhost: x\r\nx: "
            } else {
                b"POST /login HTTP/1.1\r\nhost: x\r\norigin: https://x\r\ncontent-length: 9000\r\n\
                    content-type: application/x-www-form-urlencoded\r\n\r\nlogin="
            };
            let mut tls = county.wire().connect_from(from).unwrap();
            tls.write_all(half).and_then(|()| tls.flush()).unwrap();
            open.1.push(tls);
        }
    }
    page.extend(times(person, TURN));
    login.extend(door(county, TURN));
    drop(open);
    let line = |what, busy: &mut Vec<f64>, calm: &mut Vec<f64>| {
        let count = busy.len();
        let (busy, calm) = (quantile(busy, 0.99), quantile(calm, 0.99));
        let (ours, bare) = (format!("{busy:.1} ms ({count} requests)"), format!("{calm:.1} ms (calm)"));
        Line { what, ours, bare, ratio: calm / busy }
    };
    vec![
        line("p99 of lists beside 1,000 slow clients", &mut page, &mut calm.0),
        line("p99 of the log-in page beside them", &mut login, &mut calm.1),
    ]
}

fn times(person: &Person, turn: Duration) -> Vec<f64> {
    repeat(turn / 2, || drop(person.get("/petition?all=1").expect(200)))
}

fn door(county: &County, turn: Duration) -> Vec<f64> {
    let other = Ipv4Addr::new(127, 0, 6, 1);
    let ask = || assert_eq!(county.wire().send_from(other, &Request::new("GET", "/login")).unwrap().status, 200);
    repeat(turn / 2, ask)
}

fn repeat(turn: Duration, ask: impl Fn()) -> Vec<f64> {
    let (begun, mut all) = (Instant::now(), Vec::new());
    while begun.elapsed() < turn {
        let started = Instant::now();
        ask();
        all.push(started.elapsed().as_secs_f64() * 1e3);
    }
    all
}

/// Turn by turn a name that somebody has and one that nobody has, each guess from an address of its own.
fn refusals(county: &County) -> Vec<Line> {
    let count = std::env::var("JICENG_BENCH_LOGINS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_u32);
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..count {
        let name = NAMES[n as usize % NAMES.len()];
        known.push(refusal(county, n * 2, name));
        unknown.push(refusal(county, n * 2 + 1, &format!("nobody{n}")));
    }
    let (ours, bare) = (quantile(&mut known, 0.5), quantile(&mut unknown, 0.5));
    vec![Line {
        what: "median of a refusal: a name somebody has",
        ours: format!("{ours:.2} ms ({count} guesses)"),
        bare: format!("{bare:.2} ms (a name nobody has)"),
        ratio: bare / ours,
    }]
}

fn refusal(county: &County, n: u32, login: &str) -> f64 {
    let from = Ipv4Addr::from(0x7f01_0001 + n);
    let pairs = [("login".to_owned(), login.to_owned()), ("password".to_owned(), "Wrong-one-26!".to_owned())];
    let request = Request::new("POST", "/login").header("origin", &format!("https://{}", county.wire().host()));
    let request = request.body("application/x-www-form-urlencoded", urlencoded(&pairs));
    let started = Instant::now();
    let answer = county.wire().send_from(from, &request).unwrap();
    let took = started.elapsed().as_secs_f64() * 1e3;
    assert!(answer.says("登录名或口令不正确"), "{login}: {}", answer.text());
    took
}
