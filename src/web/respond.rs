//! From a page's reply to an HTTP response: status, security headers, body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Frame;
use maud::Markup;

use super::assets::Asset;
use crate::app::viewing::Shown;
use crate::base::{Error, ErrorKind};
use crate::records::FileRef;
use crate::store::BlobReader;

/// What a page answers.
pub enum Reply {
    /// A page.
    Html(StatusCode, Markup),
    /// See other.
    Redirect(String),
    /// See other, with cookies to set.
    Cookies(String, Vec<String>),
    /// To the log-in page after a log-out, with cookies to drop: the browser forgets whatever it kept of pages.
    Left(Vec<String>),
    /// Plain text.
    Text(String),
    /// Data for a script of ours.
    Data(serde_json::Value),
    /// A static asset.
    Asset(&'static Asset),
    /// A file that was just made, by name.
    Bytes(String, Vec<u8>),
    /// An attachment, streamed.
    File(FileRef, Box<BlobReader>),
    /// A page that holds a document of ours.
    Viewer(Markup),
    /// An attachment to be shown in such a page, streamed.
    Inline(Box<Shown>),
}

impl Reply {
    /// A page with status 200.
    pub fn page(markup: Markup) -> Self {
        Self::Html(StatusCode::OK, markup)
    }

    /// A page that refuses the input and shows it again.
    pub fn again(markup: Markup) -> Self {
        Self::Html(StatusCode::UNPROCESSABLE_ENTITY, markup)
    }
}

/// Content policy: nothing but our own style sheet and scripts, forms and questions to ourselves, no frames. An
/// attachment is no script: none is sent with a type of script, and `nosniff` keeps browsers from guessing.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for a page that holds a document: it may be an attachment of ours.
const VIEWER_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
object-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A picture needs nothing and may do nothing, wherever it is opened.
const PICTURE_POLICY: &str =
    "default-src 'none'; sandbox; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// A document is shown by the browser's own viewer, which a sandbox would keep from starting, in a page of ours.
const DOCUMENT_POLICY: &str =
    "default-src 'none'; object-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// Content policy of a reply, and who may frame it.
fn policy(reply: &Reply) -> (&'static str, &'static str) {
    match reply {
        Reply::Viewer(_) => (VIEWER_POLICY, "DENY"),
        Reply::Inline(shown) if shown.look.is_picture() => (PICTURE_POLICY, "DENY"),
        Reply::Inline(_) => (DOCUMENT_POLICY, "SAMEORIGIN"),
        _ => (POLICY, "DENY"),
    }
}

/// The response for a reply. `packed` says the client takes gzip.
pub(super) fn response(reply: Reply, packed: bool) -> Response<Body> {
    let (policy, framed) = policy(&reply);
    let mut response = match reply {
        Reply::Html(status, markup) => html(status, markup),
        Reply::Redirect(to) => redirect(&to, &[]),
        Reply::Cookies(to, cookies) => redirect(&to, &cookies),
        Reply::Left(cookies) => left(&cookies),
        Reply::Text(text) => with_type(Body::from(text), "text/plain; charset=utf-8"),
        Reply::Data(data) => with_type(Body::from(data.to_string()), "application/json; charset=utf-8"),
        Reply::Asset(asset) => static_asset(asset, packed),
        Reply::Bytes(name, bytes) => {
            named(with_type(Body::from(bytes), "application/octet-stream"), "attachment", &name)
        }
        Reply::File(file, reader) => attachment(&file, *reader),
        Reply::Viewer(markup) => html(StatusCode::OK, markup),
        Reply::Inline(shown) => inline(*shown),
    };
    let headers = response.headers_mut();
    let fixed = [
        ("content-security-policy", policy),
        ("strict-transport-security", "max-age=63072000; includeSubDomains"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", framed),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// HTTP status of an error.
pub(super) fn status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Usage | ErrorKind::Refused | ErrorKind::Proof => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorKind::Denied | ErrorKind::Code => StatusCode::NOT_FOUND,
        ErrorKind::Stale => StatusCode::CONFLICT,
        ErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Damaged | ErrorKind::Io | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn html(status: StatusCode, markup: Markup) -> Response<Body> {
    let mut response = with_type(Body::from(markup.into_string()), "text/html; charset=utf-8");
    *response.status_mut() = status;
    response
}

fn redirect(to: &str, cookies: &[String]) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    for cookie in cookies.iter().filter_map(|c| HeaderValue::from_str(c).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Not the cookies: the browser stays known to its accounts. Not the cache either: no page is in it, and old browsers
/// take their time for that.
fn left(cookies: &[String]) -> Response<Body> {
    let mut response = redirect("/login", cookies);
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"storage\""));
    response
}

fn static_asset(asset: &'static Asset, packed: bool) -> Response<Body> {
    let body = if packed { Body::from(asset.packed.as_slice()) } else { Body::from(asset.plain) };
    let mut response = with_type(body, asset.kind);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A download is never opened in the page: a neutral type, a name, and the sandbox of `nosniff`.
fn attachment(file: &FileRef, reader: BlobReader) -> Response<Body> {
    streamed(file, reader, "application/octet-stream", "attachment")
}

/// An attachment in the page: the type that its own bytes say, from a fixed list.
fn inline(shown: Shown) -> Response<Body> {
    let kind = shown.look.media_type();
    named(with_type(Body::from(shown.content), kind), "inline", &shown.file.name)
}

fn streamed(file: &FileRef, reader: BlobReader, kind: &'static str, how: &str) -> Response<Body> {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, Error>>(4);
    tokio::spawn(stream(Box::new(reader), sender));
    let stream = Stream(receiver);
    let mut response = named(with_type(Body::new(stream), kind), how, &file.name);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(file.size));
    response
}

/// The response as a file with a name, to be kept or to be shown.
fn named(mut response: Response<Body>, how: &str, name: &str) -> Response<Body> {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    if let Ok(value) = HeaderValue::from_str(&format!("{how}; filename*=UTF-8''{name}")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// Reads on as the client takes: one that takes its time holds no worker.
async fn stream(mut reader: Box<BlobReader>, sender: tokio::sync::mpsc::Sender<Result<Bytes, Error>>) {
    loop {
        let read = tokio::task::spawn_blocking(move || (reader.next_chunk().transpose(), reader)).await;
        let Ok((Some(chunk), rest)) = read else { return };
        let end = chunk.is_err();
        if sender.send(chunk.map(Bytes::from)).await.is_err() || end {
            return;
        }
        reader = rest;
    }
}

fn with_type(body: Body, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A channel as a body.
struct Stream(tokio::sync::mpsc::Receiver<Result<Bytes, Error>>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|c| c.map(Frame::data)))
    }
}
