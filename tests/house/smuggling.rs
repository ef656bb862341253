//! Where one request ends and the next begins: whatever two readers could understand differently is refused, and the
//! connection is closed behind it, so that nothing smuggled in is ever a request of its own.

use std::io::{Read, Write};

use super::county::County;
use super::wire::Answer;

/// The request that somebody hides in another one; it answers `ok` to whoever gets it through.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Ends the connection where everything before was taken for something.
const LAST: &str = "GET /no-such-page HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Heads of requests with two meanings; the hidden request is their body, or part of it.
fn doubtful() -> Vec<(&'static str, String)> {
    let n = HIDDEN.len();
    let post = |rest: &str| format!("POST /login HTTP/1.1\r\nhost: x\r\n{rest}");
    vec![
        ("length, and chunks", post(&format!("content-length: {n}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"))),
        ("chunks, and length", post(&format!("transfer-encoding: chunked\r\ncontent-length: {n}\r\n\r\n0\r\n\r\n"))),
        ("two lengths", post(&format!("content-length: 0\r\ncontent-length: {n}\r\n\r\n"))),
        ("two lengths in one", post(&format!("content-length: 0, {n}\r\n\r\n"))),
        ("a length with a sign", post("content-length: +0\r\n\r\n")),
        ("a negative length", post("content-length: -1\r\n\r\n")),
        ("a length in another base", post("content-length: 0x00\r\n\r\n")),
        ("an unknown coding", post("transfer-encoding: identity\r\n\r\n0\r\n\r\n")),
        ("a coding behind chunks", post("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n")),
        ("chunks spelt wrongly", post("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n")),
        ("a blank before the colon", post("content-length : 0\r\n\r\n")),
        ("a chunk size with a sign", post("transfer-encoding: chunked\r\n\r\n+0\r\n\r\n")),
        ("a folded line", post(&format!("x: 1\r\n content-length: {n}\r\n\r\n"))),
        ("a folded coding", post("transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n")),
        ("a bare line feed", format!("POST /login HTTP/1.1\nhost: x\ncontent-length: {n}\n\n")),
        ("a bare return", "POST /login HTTP/1.1\r\nhost: x\rcontent-length: 0\r\n\r\n".to_owned()),
        ("a zero byte", post("x: a\0b\r\n\r\n")),
        ("two hosts", post("host: y\r\n\r\n")),
        ("no host", "POST /login HTTP/1.1\r\n\r\n".to_owned()),
        ("two hosts of a page", "GET /login HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned()),
        ("no host of a page", "GET /login HTTP/1.1\r\n\r\n".to_owned()),
        ("an older version", "GET /login HTTP/1.0\r\nhost: x\r\n\r\n".to_owned()),
        ("a line of the oldest one", "GET /login\r\n".to_owned()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ]
}

/// ASVS 4.2.1
#[test]
fn whatever_two_readers_could_understand_differently_is_refused_and_closed() {
    let county = County::bare();
    let mut through = Vec::new();
    for (what, head) in doubtful() {
        let mut tls = county.wire().connect().unwrap();
        let _sent = tls.write_all(format!("{head}{HIDDEN}{LAST}").as_bytes()).and_then(|()| tls.flush());
        let mut all = Vec::new();
        let _closed = tls.read_to_end(&mut all);
        let said = String::from_utf8_lossy(&all);
        if said.contains("\r\n\r\nok\n") || said.contains("101 Switching") {
            through.push(format!("{what}: {said}"));
        }
    }
    assert!(through.is_empty(), "{}", through.join("\n"));
    // An offer to speak another protocol is not heard.
    let offer = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n{LAST}");
    assert!(!String::from_utf8_lossy(&county.wire().raw(offer.as_bytes()).unwrap()).contains(" 101 "));
    // The hidden one is answered where it is a request of its own.
    let plain = county.wire().raw(format!("{HIDDEN}{LAST}").as_bytes()).unwrap();
    assert!(String::from_utf8_lossy(&plain).contains("\r\n\r\nok\n"));
    county.nobody().get("/healthz").expect(200);
}

/// ASVS 4.2.2
#[test]
fn requests_that_follow_each_other_are_told_apart() {
    let county = County::bare();
    let mut tls = county.wire().connect().unwrap();
    let host = county.wire().host();
    let ask = |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{rest}\r\n");
    let two = ask("/healthz", "") + &ask("/no-such-page", "connection: close\r\n");
    tls.write_all(two.as_bytes()).and_then(|()| tls.flush()).unwrap();
    let mut all = Vec::new();
    let _closed = tls.read_to_end(&mut all);
    let second = all.windows(9).rposition(|w| w == b"HTTP/1.1 ").unwrap();
    let answers = [&all[..second], &all[second..]].map(|bytes| Answer::parse(bytes).unwrap());
    assert_eq!(answers.each_ref().map(|a| a.status), [200, 303]);
    // What is said of the length is the length.
    for answer in &answers {
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!(answer.header("transfer-encoding"), "");
    }
}
