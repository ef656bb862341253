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
use crate::app::ukey::{Brought, Trust};
use crate::base::{Error, Result, limits};

/// How long running requests may take after the end was asked for.
const CALM_END: Duration = Duration::from_secs(5);

/// Whoever is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: IpAddr,
    /// The certificate it brought; what it is worth is another question.
    pub certificate: Option<Brought>,
}

/// What answers the requests of a connection, and whose certificates it is asked for.
#[derive(Clone)]
pub struct Face {
    pages: Arc<dyn Fn(&Peer) -> Router + Send + Sync>,
    trust: Arc<dyn Fn() -> Option<Arc<Trust>> + Send + Sync>,
}

impl Face {
    /// A face that asks for no certificates.
    pub fn new(pages: impl Fn(&Peer) -> Router + Send + Sync + 'static) -> Self {
        Self { pages: Arc::new(pages), trust: Arc::new(|| None) }
    }
}

/// The face of an application: the table of routes.
pub fn face(app: &Arc<App>) -> Face {
    let (pages, own) = (Arc::clone(app), Arc::clone(app));
    let trust = move || {
        // Without an answer nobody is asked, and whoever needs a certificate does not come in.
        own.trust().inspect_err(|e| tracing::error!(detail = e.detail(), "authorities of certificates: {e}")).ok()?
    };
    Face { trust: Arc::new(trust), ..Face::new(move |peer| router(&pages, peer)) }
}

/// How connections begin: as the authorities say that were trusted last.
struct Hall<'a> {
    certificate: &'a Certificate,
    trust: Option<Arc<Trust>>,
    acceptor: TlsAcceptor,
}

impl Hall<'_> {
    fn acceptor(&mut self, trust: Option<Arc<Trust>>) -> TlsAcceptor {
        let same = match (&self.trust, &trust) {
            (Some(had), Some(now)) => Arc::ptr_eq(had, now),
            (had, now) => had.is_none() && now.is_none(),
        };
        if !same {
            let asking = trust.as_ref().and_then(|trust| {
                let made = self.certificate.asking(trust);
                made.inspect_err(|e| tracing::error!(detail = e.detail(), "asking for certificates: {e}")).ok()
            });
            self.acceptor = TlsAcceptor::from(asking.unwrap_or_else(|| Arc::clone(&self.certificate.config)));
            self.trust = trust;
        }
        self.acceptor.clone()
    }
}

/// Serves until `end` resolves.
pub async fn serve(
    face: &Face,
    listener: &TcpListener,
    certificate: &Certificate,
    end: impl Future<Output = ()>,
) -> Result<()> {
    let acceptor = TlsAcceptor::from(Arc::clone(&certificate.config));
    let mut hall = Hall { certificate, trust: None, acceptor };
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
        let (acceptor, face) = (hall.acceptor((face.trust)()), face.clone());
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
    let certificate = tls.get_ref().1.peer_certificates().filter(|all| !all.is_empty());
    let certificate = certificate.map(|all| all.iter().map(|one| one.clone().into_owned()).collect());
    let router = (face.pages)(&Peer { address: peer.ip(), certificate });
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

fn router(app: &Arc<App>, peer: &Peer) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, method_router(Arc::clone(app), route, peer.clone()));
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

fn method_router(app: Arc<App>, route: &'static Route, peer: Peer) -> MethodRouter {
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
