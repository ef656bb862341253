//! The listener: bounds on connections, in all and of one address, TLS with a time limit, HTTP/1.1 with limits,
//! and a calm end.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::{MethodRouter, get, post};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::certificate::Certificate;
use super::{ROUTES, Route, guard, pages, respond};
use crate::app::App;
use crate::base::{Error, Result, limits};

/// How long running requests may take after the end was asked for.
const CALM_END: Duration = Duration::from_secs(5);

/// What answers the requests of one address.
pub type Face = Arc<dyn Fn(IpAddr) -> Router + Send + Sync>;

/// The face of an application: the table of routes.
pub fn face(app: &Arc<App>) -> Face {
    let app = Arc::clone(app);
    Arc::new(move |peer: IpAddr| router(&app, &peer.to_string()))
}

/// Serves until `end` resolves.
pub async fn serve(
    face: &Face,
    listener: &TcpListener,
    certificate: &Certificate,
    end: impl Future<Output = ()>,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::clone(&certificate.config));
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let doors = Arc::new(Doors::default());
    let calm = GracefulShutdown::new();
    tokio::pin!(end);
    loop {
        let (stream, peer) = tokio::select! {
            // First: whoever comes after the end is left to what serves next on this listener.
            biased;
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok(pair) => pair,
                // Too many open files and the like pass; the listener stays.
                Err(_) => { tokio::time::sleep(Duration::from_millis(50)).await; continue; }
            },
        };
        let Some(pass) = Doors::enter(&doors, peer.ip()) else { continue };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let watcher = calm.watcher();
        let (acceptor, face) = (acceptor.clone(), Arc::clone(face));
        tokio::spawn(async move {
            connection(face, acceptor, stream, peer, watcher).await;
            drop((permit, pass));
        });
    }
    let _done = tokio::time::timeout(CALM_END, calm.shutdown()).await;
    Ok(())
}

/// Open connections by address.
#[derive(Default)]
struct Doors(Mutex<HashMap<IpAddr, usize>>);

/// One of them; it ends when dropped.
struct Pass(Arc<Doors>, IpAddr);

impl Doors {
    /// Lets a connection in, unless its address has as many as it may.
    fn enter(own: &Arc<Self>, from: IpAddr) -> Option<Pass> {
        let mut open = own.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(from).or_default();
        if *count >= limits::CONNECTIONS_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Pass(Arc::clone(own), from))
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get_mut(&self.1).map_or(0, |n| {
            *n -= 1;
            *n
        });
        if left == 0 {
            open.remove(&self.1);
        }
    }
}

async fn connection(
    face: Face,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let handshake = Duration::from_secs(limits::HANDSHAKE_S);
    // Small answers at once: without this they wait for acknowledgements.
    let _set = stream.set_nodelay(true);
    let Ok(Ok(tls)) = tokio::time::timeout(handshake, acceptor.accept(stream)).await else { return };
    let router = face(peer.ip());
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            if is_doubtful(&request) { Ok(refusal()) } else { router.oneshot(request.map(Body::new)).await }
        }
    });
    let http = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits::HEADER_S))
        .max_buf_size(limits::HEADER_BYTES)
        .serve_connection(TokioIo::new(tls), service);
    // A client that goes away is no error of ours.
    let _ended = watcher.watch(http).await;
}

/// Whoever stands between could read another request in it, or send it elsewhere: no browser sends such a one.
fn is_doubtful(request: &Request<Incoming>) -> bool {
    let count = |name| request.headers().get_all(name).iter().count();
    count(header::HOST) != 1 || count(header::CONTENT_LENGTH) > 1 || count(header::TRANSFER_ENCODING) > 0
}

/// The last word on a connection: what follows there is not read.
fn refusal() -> Response<Body> {
    let mut response = respond::response(respond::Reply::Text("请求的格式不对，已拒绝。\n".to_owned()), false);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn router(app: &Arc<App>, peer: &str) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, method_router(Arc::clone(app), route, peer.to_owned()));
    }
    let (here, there) = (Arc::clone(app), Arc::clone(app));
    router
        .fallback(move || async move { nothing_there(&here) })
        .method_not_allowed_fallback(move || async move { nothing_there(&there) })
        // Forms are bounded as they are read, part by part.
        .layer(DefaultBodyLimit::disable())
}

fn nothing_there(app: &App) -> Response<Body> {
    let error = Error::denied();
    let page = pages::error::page(app, None, &error);
    respond::response(respond::Reply::Html(respond::status(&error), page), false)
}

fn method_router(app: Arc<App>, route: &'static Route, peer: String) -> MethodRouter {
    let handler = move |request: Request| guard::handle(app, route, peer, request);
    if route.method == Method::POST { post(handler) } else { get(handler) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_its_share_of_connections_and_leaves_the_rest() {
        let doors = Arc::new(Doors::default());
        let (office, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        // Thirty people behind one address, with the six connections a browser opens.
        let mut passes: Vec<_> = (0..30 * 6).map(|_| Doors::enter(&doors, office).unwrap()).collect();
        while let Some(pass) = Doors::enter(&doors, office) {
            passes.push(pass);
            assert!(passes.len() < limits::CONNECTIONS, "one address may take all there are");
        }
        assert!(Doors::enter(&doors, other).is_some());
        // A thousand that do nothing are four addresses' worth: more than half of all places is left.
        const { assert!(limits::CONNECTIONS >= 2 * 1_000 && limits::CONNECTIONS >= 10 * limits::CONNECTIONS_OF_ONE) };
        passes.pop();
        assert!(Doors::enter(&doors, office).is_some());
        drop(passes);
        assert!(doors.0.lock().unwrap().is_empty());
    }
}
