//! What stands before every page: the session, where the request comes from, the token of the form, and its size.
//! A form that arrives without a session is kept in memory until its owner logs in again.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, Method, Response, header};
use http_body_util::{BodyExt, Limited};

use super::multipart::{self, Upload};
use super::respond::{self, Reply};
use super::server::Peer;
use super::{Access, Route, pages};
use crate::app::App;
use crate::app::login::Typed;
use crate::app::session::{Live, Must};
use crate::app::setup::wizard;
use crate::app::ukey::{Brought, Shown};
use crate::base::{Error, ErrorKind, Result, limits};
use crate::records::{self, Kind, field::Raw};

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "__Host-session";
/// Name of the cookie that says who used this browser last.
pub const LOGIN_COOKIE: &str = "__Host-last";
/// Name of the cookie that makes a browser known to accounts that came in from it.
pub const DEVICE_COOKIE: &str = "__Host-device";
/// Name of the cookie of the browser that holds the set-up wizard.
pub const SETUP_COOKIE: &str = "__Host-setup";

/// The route that a page needs to look like itself.
const ASSETS: &str = "/assets/{name}";

/// Name of the input for one's own password, in forms that ask for it once more.
pub const OWN_PASSWORD: &str = "own.password";
/// Name of the input for the code of one's second factor beside it.
pub const OWN_CODE: &str = "own.code";

/// Everything a page may know of its request.
pub struct Call {
    /// The application.
    pub app: Arc<App>,
    /// Session, where there is one.
    pub live: Option<Live>,
    /// Path without query.
    pub path: String,
    /// Query, raw.
    pub query: String,
    /// Typed pairs of a form.
    pub raw: Raw,
    /// What was typed to prove once more who somebody is; it stands nowhere else, so that nothing keeps or shows it.
    pub own: Typed,
    /// Uploaded files, sealed already.
    pub files: Vec<records::FileRef>,
    /// What was wrong with an uploaded file.
    pub file_problem: Option<String>,
    /// Address of the peer.
    pub peer: String,
    /// Who used this browser last, by its mark.
    pub last_login: Option<String>,
    /// The mark of a browser that somebody logged in from before, as it came.
    pub device: Option<String>,
    /// The certificate of the connection, when it is good.
    pub certificate: Option<Shown>,
    /// The same as it came.
    pub brought: Option<Brought>,
    /// What shows that this browser holds the set-up wizard; only pages behind [`Access::Setup`] have it.
    pub setup: Option<String>,
    /// The server as the browser knows it, name and port.
    pub host: String,
    params: HashMap<String, String>,
}

impl Call {
    /// A parameter of the path, empty when there is none.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, empty when there is none.
    pub fn asked(&self, name: &str) -> String {
        let pairs = pairs(self.query.as_bytes());
        pairs.into_iter().find(|(n, _)| n == name).map(|(_, v)| v).unwrap_or_default()
    }

    /// Removes uploads that this page is not going to take.
    pub fn discard_files(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| self.app.discard(file))
    }

    /// A typed value.
    pub fn typed(&self, name: &str) -> &str {
        records::field::first(&self.raw, name)
    }

    /// The one-time id of the form; anything that is not one of ours is none.
    pub fn submit_id(&self) -> &str {
        let id = self.typed("submit");
        if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) { id } else { "" }
    }

    /// What holds the set-up wizard; pages behind [`Access::Setup`] have it.
    pub fn wizard(&self) -> Result<&str> {
        self.setup.as_deref().ok_or_else(wizard::closed)
    }

    /// What was typed, with its blanks; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.raw.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str())
    }

    /// The session; pages behind [`Access::LoggedIn`] have one.
    pub fn live(&self) -> Result<&Live> {
        self.live.as_ref().ok_or_else(Error::denied)
    }

    /// The kind the path names.
    pub fn kind(&self) -> Result<&'static Kind> {
        records::by_name(self.param("kind")).ok_or_else(Error::denied)
    }

    /// The record id the path names.
    pub fn id(&self) -> Result<crate::base::RecordId> {
        self.param("id").parse().map_err(|_| Error::denied())
    }
}

/// Answers one request of a route.
pub(super) async fn handle(
    app: Arc<App>,
    route: &'static Route,
    peer: Peer,
    request: Request,
) -> Response<Body> {
    let packed = takes_gzip(request.headers());
    let prepared = prepare(Arc::clone(&app), route, peer, request).await;
    let reply = match prepared {
        Ok(Prepared::Call(call)) => run(route, call).await,
        Ok(Prepared::Reply(reply)) => reply,
        Err(error) => error_reply(&app, None, &error),
    };
    respond::response(reply, packed)
}

enum Prepared {
    Call(Box<Call>),
    Reply(Reply),
}

async fn prepare(app: Arc<App>, route: &'static Route, peer: Peer, request: Request) -> Result<Prepared> {
    let (mut parts, body) = request.into_parts();
    let params = path_params(&mut parts).await;
    let mut call = match receive(app, route, peer, (&parts, params))? {
        Prepared::Call(call) => call,
        reply @ Prepared::Reply(_) => return Ok(reply),
    };
    let allowed = match (route.access, &call.live) {
        (Access::Anybody, _) => true,
        (Access::Setup, _) => call.setup.is_some(),
        (_, None) => false,
        (Access::LoggedIn, Some(_)) => true,
        (Access::Account, Some(live)) => live.must.is_none(),
    };
    if allowed && !is_looking(route) && let Some(text) = call.app.standby_refusal() {
        return Err(Error::new(ErrorKind::Busy, text));
    }
    if route.method == Method::POST {
        same_origin(&parts.headers)?;
        let request = Request::from_parts(parts, body);
        let gate = records::by_name(call.param("kind"));
        // Strangers have little to say.
        let known = call.live.is_some() || call.last_login.is_some() || call.setup.is_some();
        let bound = if known { limits::FORM_BYTES * 3 } else { limits::STRANGER_BYTES };
        let uploads = allowed && route.access != Access::Anybody && takes_files(route.path);
        let form = read_form(&call.app, request, (uploads, gate), bound).await?;
        (call.raw, call.files, call.file_problem) = (form.raw, form.files, form.problem);
        call.own = take_own(&mut call.raw);
    }
    if !allowed {
        return not_allowed(route, &call).map(Prepared::Reply);
    }
    if route.method == Method::POST && route.access != Access::Anybody && !is_own_form(&call)? {
        return late(route, &mut call).map(Prepared::Reply);
    }
    Ok(Prepared::Call(call))
}

/// Who calls, and what for; whoever brought a certificate that does not hold hears only that.
fn receive(
    app: Arc<App>,
    route: &'static Route,
    peer: Peer,
    (parts, params): (&axum::http::request::Parts, HashMap<String, String>),
) -> Result<Prepared> {
    let (brought, peer) = (peer.certificate, peer.address.to_string());
    let certificate = match app.judge_certificate(brought.as_ref()) {
        Err(e) if e.kind() == ErrorKind::Invalid && route.path != ASSETS => {
            return Ok(Prepared::Reply(pages::error::certificate(&app, &e)));
        }
        Err(e) if e.kind() != ErrorKind::Invalid => return Err(e),
        judged => judged.ok().flatten(),
    };
    let live = match cookie(&parts.headers, SESSION_COOKIE) {
        Some(token) => app.session_on(&token, &peer, certificate.as_ref())?,
        None => None,
    };
    let setup = match cookie(&parts.headers, SETUP_COOKIE) {
        Some(token) if route.access == Access::Setup => app.holds_setup(&token)?.then_some(token),
        _ => None,
    };
    let last_login = cookie(&parts.headers, LOGIN_COOKIE).and_then(|m| app.marked_login(&m));
    Ok(Prepared::Call(Box::new(Call {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        raw: Raw::new(),
        own: Typed::default(),
        files: Vec::new(),
        file_problem: None,
        app,
        live,
        peer,
        last_login,
        device: cookie(&parts.headers, DEVICE_COOKIE),
        certificate,
        brought,
        setup,
        host: host(&parts.headers),
        params,
    })))
}

/// The form carries the token of this session, or of this set-up.
fn is_own_form(call: &Call) -> Result<bool> {
    let token = match &call.setup {
        Some(token) => call.app.setup_csrf(token),
        None => call.live()?.csrf.clone(),
    };
    let typed = call.typed("csrf").as_bytes();
    Ok(aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), typed).is_ok())
}

/// The form was made in an earlier session: of the same person it is shown again instead of being lost.
fn late(route: &Route, call: &mut Call) -> Result<Reply> {
    call.discard_files()?;
    let login = call.live.as_ref().map(|l| l.actor.login.clone());
    if let Some(login) = login.filter(|l| call.last_login.as_ref() == Some(l) && is_typed(route.path)) {
        call.app.park(&login, &call.path, std::mem::take(&mut call.raw));
        return Ok(Reply::Redirect("/resume".into()));
    }
    Err(Error::new(ErrorKind::Denied, "页面已过期，操作没有执行。请刷新页面后重试。"))
}

/// Log in first, or do what must be done before anything else; what was typed waits. The set-up is simply not there.
fn not_allowed(route: &Route, call: &Call) -> Result<Reply> {
    if route.access == Access::Setup {
        return Err(wizard::closed());
    }
    let live = call.live.as_ref();
    if route.method == Method::POST
        && is_typed(route.path)
        && let Some(login) = live.map(|l| &l.actor.login).or(call.last_login.as_ref())
    {
        call.app.park(login, &call.path, call.raw.clone());
    }
    let to = match live.map(|l| l.must) {
        None => "/login",
        Some(Some(Must::Factor)) => "/factor",
        Some(_) => "/password",
    };
    Ok(Reply::Redirect(to.into()))
}

/// What can be reached on a standby: pages, and the forms that change nothing. Deny by default.
fn is_looking(route: &Route) -> bool {
    if route.method == Method::POST {
        let looking =
            ["/login", "/logout", "/search", "/suggest", "/{kind}/{id}/identity", "/audit", "/audit/export"];
        return looking.contains(&route.path) || route.path == "/backup/keys";
    }
    let writes = ["/new", "/edit", "/import", "/password", "/factor", "/activate/{token}"];
    !route.path.starts_with("/setup") && !writes.iter().any(|end| route.path.ends_with(end))
}

/// Forms that people fill; a log-out or a search that comes too late is no loss.
fn is_typed(path: &str) -> bool {
    ["/new", "/edit", "/move/{name}", "/account/import"].iter().any(|end| path.ends_with(end))
}

/// Takes out of a form what proves once more who somebody is.
fn take_own(raw: &mut Raw) -> Typed {
    let mut own = Typed::default();
    for (name, value) in raw.extract_if(.., |(name, _)| [OWN_PASSWORD, OWN_CODE].contains(&name.as_str())) {
        if name == OWN_PASSWORD {
            own.password = value;
        } else {
            own.code = Some(value);
        }
    }
    own
}

/// Forms with attachments; files sent to any other page are read past.
fn takes_files(path: &str) -> bool {
    ["/new", "/edit", "/import", "/setup/units"].iter().any(|end| path.ends_with(end))
}

async fn run(route: &'static Route, call: Box<Call>) -> Reply {
    let app = Arc::clone(&call.app);
    let live = call.live.clone();
    let worked = tokio::task::spawn_blocking(move || (route.page)(&call)).await;
    match worked {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => error_reply(&app, live.as_ref(), &error),
        Err(panic) => error_reply(&app, live.as_ref(), &Error::internal(panic)),
    }
}

fn error_reply(app: &App, live: Option<&Live>, error: &Error) -> Reply {
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Damaged | ErrorKind::Io) {
        tracing::error!(kind = ?error.kind(), detail = error.detail(), "request failed");
    }
    Reply::Html(respond::status(error), pages::error::page(app, live, error))
}

/// State changes come from our own pages: the browser says so in one header or the other.
pub(super) fn same_origin(headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text("host").unwrap_or_default();
    let same = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) if site != "same-origin" => false,
        (_, Some(origin)) => origin.strip_prefix("https://") == Some(host),
        (Some(_), None) => true,
        (None, None) => false,
    };
    if same {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Denied, "请求不是从本系统页面发出的，已拒绝。"))
    }
}

async fn read_form(
    app: &Arc<App>,
    request: Request,
    (uploads, gate): (bool, Option<&'static Kind>),
    bound: usize,
) -> Result<Upload> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        return multipart::read(app, request, uploads, gate).await;
    }
    let raw = urlencoded(request, bound).await?;
    Ok(Upload { raw, ..Upload::default() })
}

/// The pairs of a form without files.
pub(super) async fn urlencoded(request: Request, bound: usize) -> Result<Raw> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Error::invalid("请求的格式不对，已拒绝。"));
    }
    let body = Limited::new(request.into_body(), bound).collect();
    let idle = std::time::Duration::from_secs(limits::BODY_IDLE_S);
    let body = tokio::time::timeout(idle, body).await.map_err(|_| unreadable())?;
    let bytes = body.map_err(|_| too_large())?.to_bytes();
    strict_pairs(&bytes).ok_or_else(|| Error::invalid("提交的文字不是 UTF-8 编码，没有保存。"))
}

pub(super) fn unreadable() -> Error {
    Error::invalid("提交的内容没有完整收到，没有保存。请检查网络后重试。")
}

pub(super) fn too_large() -> Error {
    Error::invalid("提交的文字过多，没有保存。请缩短内容，或把长材料作为附件上传。")
}

/// Pairs of a urlencoded text; at most [`limits::FORM_FIELDS`].
pub fn pairs(bytes: &[u8]) -> Raw {
    let text = String::from_utf8_lossy(bytes).replace('+', " ");
    let decode = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|p| !p.is_empty())
        .take(limits::FORM_FIELDS)
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect()
}

/// The same, for forms: text that is not UTF-8 is refused, not repaired.
fn strict_pairs(bytes: &[u8]) -> Option<Raw> {
    let text = std::str::from_utf8(bytes).ok()?;
    let whole = percent_encoding::percent_decode_str(text).decode_utf8().is_ok();
    whole.then(|| pairs(bytes))
}

async fn path_params(parts: &mut axum::http::request::Parts) -> HashMap<String, String> {
    use axum::extract::FromRequestParts;
    let Ok(params) = RawPathParams::from_request_parts(parts, &()).await else { return HashMap::new() };
    params.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
}

/// The server's name and port as the browser has them, for links that people hand on; nothing that is no such name.
fn host(headers: &HeaderMap) -> String {
    let named = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let plain = named.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    if plain { named.to_owned() } else { String::new() }
}

/// The client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    header_has(headers, header::ACCEPT_ENCODING.as_str(), "gzip")
}

fn header_has(headers: &HeaderMap, name: &str, word: &str) -> bool {
    headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains(word))
}

#[cfg(test)]
mod tests;
