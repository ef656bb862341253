//! What becomes of a page that fails: the house stands, and whoever asked learns nothing of why.

#![cfg(test)]

use super::*;
use crate::app::demo;
use crate::base::clock::SystemClock;
use crate::web::Access;

const SECRET: &str = "the petitioner lives at 12 North Street, key 0f1e";

static FALLS: Route =
    Route { method: Method::GET, path: "/falls", access: Access::Anybody, page: |_| panic!("{SECRET}") };
static FAILS: Route = Route {
    method: Method::GET,
    path: "/fails",
    access: Access::Anybody,
    page: |_| Err(Error::internal(SECRET)),
};
static STANDS: Route =
    Route { method: Method::GET, path: "/stands", access: Access::Anybody, page: |_| Ok(Reply::Text("ok".into())) };

/// ASVS 16.5.1, 16.5.4
#[test]
fn a_page_that_panics_or_fails_is_an_error_without_a_word_of_why_and_the_next_one_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let app = demo::create(&dir.path().join("d"), Arc::new(SystemClock), true).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = |route: &'static Route| {
        runtime.block_on(async {
            let request = Request::builder().uri(route.path).header("host", "x").body(Body::empty()).unwrap();
            let peer = Peer { address: [10, 0, 0, 1].into(), certificate: None };
            let answer = handle(Arc::clone(&app), route, peer, request).await;
            let (head, body) = answer.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
        })
    };
    for route in [&FALLS, &FAILS] {
        let (status, headers, page) = ask(route);
        assert_eq!(status, 500, "{}", route.path);
        assert!(page.contains("系统出错") && !page.contains("North") && !page.contains("panic"), "{page}");
        assert!(headers.contains_key("content-security-policy") && headers["cache-control"] == "no-store");
        assert_eq!(ask(&STANDS).2, "ok");
    }
}
