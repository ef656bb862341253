//! A crowd at the door: floods of log-ins and clients that take their time must not keep others from their pages.

use std::io::Write;
use std::net::Ipv4Addr;

use super::county::County;
use super::wire::Request;

/// Each held one of the workers that answer pages; more of them than workers, and no page was answered.
/// ASVS 15.2.2
#[test]
fn downloads_that_nobody_reads_hold_no_page_up() {
    let county = County::bare();
    let clerk = county.clerk("白鹭浦镇纪委");
    let form = clerk.form("/petition/new").fill(super::county::PETITION);
    // More than the system's buffers take of it.
    let path = super::county::path_of(&clerk.submit(&form.attach("扫描件.bin", &vec![7; 8 << 20])).expect(303));
    let request = clerk.request("GET", &format!("{path}/files/0"));
    let cookie = request.headers.iter().find(|(n, _)| n == "cookie").unwrap().1.clone();
    let head = format!("GET {path}/files/0 HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", county.wire().host());
    let slow: Vec<_> = (0..130)
        .map(|_| {
            let mut tls = county.wire().connect().unwrap();
            tls.write_all(head.as_bytes()).and_then(|()| tls.flush()).unwrap();
            // The answer has begun.
            std::io::Read::read_exact(&mut tls, &mut [0; 12]).unwrap();
            tls
        })
        .collect();
    clerk.get("/petition?all=1").expect(200);
    assert_eq!(county.wire().send(&Request::new("GET", "/healthz")).unwrap().status, 200);
    drop(slow);
    assert_eq!(clerk.get(&format!("{path}/files/0")).expect(200).body.len(), 8 << 20);
}

/// ASVS 2.4.1
#[test]
fn a_flood_of_log_ins_is_told_that_the_system_is_busy_and_pages_go_on() {
    let (county, clerk) = County::answered();
    let flood: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..150)
            .map(|n| {
                let county = &county;
                scope.spawn(move || county.nobody().log_in_as(&format!("nobody{n}"), "Wrong-one-26!"))
            })
            .collect();
        clerk.get("/password").expect(200);
        tries.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let said = |words: &str| flood.iter().filter(|a| a.status == 422 && a.says(words)).count();
    assert_eq!(said("系统忙") + said("登录名或口令不正确"), flood.len());
    assert!(said("系统忙") > 0 && said("登录名或口令不正确") > 0, "{}", said("系统忙"));
    county.nobody().log_in_as("xitong", super::county::ANSWERED).expect(303);
}

/// They took all places there were: of a thousand connections in all, three hundred for each address.
#[test]
fn whoever_takes_every_place_of_an_address_keeps_nobody_else_out() {
    let county = County::bare();
    let clerk = county.clerk("白鹭浦镇纪委");
    let half = b"GET /login HTTP/1.1\r\nhost: x\r\nx: ";
    let (mut silent, mut slow) = (Vec::new(), Vec::new());
    for n in 0..360_u16 {
        let from = Ipv4Addr::new(127, 0, 2, 1);
        if n % 6 > 0 {
            silent.extend(county.wire().tcp_from(from));
        } else if let Ok(mut tls) = county.wire().connect_from(from) {
            // Beyond its share a connection is closed before it has said anything.
            let _closed = tls.write_all(half).and_then(|()| tls.flush());
            slow.push(tls);
        }
    }
    let refused = county.wire().send_from(Ipv4Addr::new(127, 0, 2, 1), &Request::new("GET", "/healthz"));
    assert!(refused.is_err(), "an address has more places than it may");
    for n in 0..30 {
        let other = Ipv4Addr::new(127, 0, 3, n);
        assert_eq!(county.wire().send_from(other, &Request::new("GET", "/healthz")).unwrap().status, 200);
        clerk.get("/petition?all=1").expect(200);
    }
    drop((silent, slow));
}
