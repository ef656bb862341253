//! Pages over TLS on one kept connection, as a browser asks for them, beside the same stack that answers with bytes of
//! the same number.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiceng::base::{Clock, clock::SystemClock};
use jiceng::web::certificate;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::county::{County, SESSION};
use super::wire::{Answer, Tls, Wire};
use super::{Line, quantile};

const ASKED: usize = 400;

pub(crate) fn run(_texts: &[(String, String)]) -> Vec<Line> {
    let county = County::demo();
    let person = county.demo_user();
    let list = person.get("/petition?all=1").expect(200);
    let record = list.text().split("href=\"/petition/").nth(1).map_or(String::new(), |rest| {
        format!("/petition/{}", rest.split('"').next().unwrap_or_default())
    });
    let list = "/petition?all=1".to_owned();
    let paths = [("page: desk", "/".into()), ("page: list of petitions", list), ("page: petition", record)];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let measure = |(name, path): (&'static str, String)| {
        let size = person.get(&path).expect(200).body.len();
        let own = format!("{SESSION}={}", person.cookie(SESSION).unwrap_or_default());
        let mut ours = times(county.wire(), &path, &own);
        let plain = Wire::new(constant(&runtime, &county, size), &county.dir().join("tls/certificate.pem"));
        let mut bare = times(&plain, "/", "");
        let (ours, bare) = (quantile(&mut ours, 0.5), quantile(&mut bare, 0.5));
        Line {
            what: name,
            ours: format!("{ours:.2} ms"),
            bare: format!("{bare:.2} ms (hyper, {} KB)", size / 1000),
            ratio: bare / ours,
        }
    };
    paths.map(measure).into()
}

/// Milliseconds of each answer.
fn times(wire: &Wire, path: &str, cookie: &str) -> Vec<f64> {
    let mut tls = wire.connect().unwrap();
    let asking = format!("GET {path} HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", wire.host());
    (0..ASKED)
        .map(|_| {
            let started = Instant::now();
            tls.write_all(asking.as_bytes()).and_then(|()| tls.flush()).unwrap();
            assert_eq!(answer(&mut tls).status, 200, "{path}");
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

fn answer(tls: &mut Tls) -> Answer {
    let (mut all, mut some) = (Vec::new(), [0; 16 << 10]);
    loop {
        let count = tls.read(&mut some).unwrap();
        assert!(count > 0, "the connection was closed");
        all.extend_from_slice(&some[..count]);
        if let Some(whole) = Answer::parse(&all).filter(|a| !a.body.is_empty()) {
            return whole;
        }
    }
}

/// The same runtime, TLS and HTTP with nothing behind them.
fn constant(runtime: &tokio::runtime::Runtime, county: &County, size: usize) -> SocketAddr {
    let certificate = certificate::load(county.dir(), None, SystemClock.now()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::clone(&certificate.config));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let body = Bytes::from(vec![b'x'; size]);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, body) = (acceptor.clone(), body.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(stream).await else { return };
                let page = service_fn(move |_: Request<hyper::body::Incoming>| {
                    let page = Response::new(Full::new(body.clone()));
                    async move { Ok::<_, Infallible>(page) }
                });
                // The other side leaves when it has asked enough.
                let _left = http1::Builder::new().serve_connection(TokioIo::new(tls), page).await;
            });
        }
    });
    address
}
