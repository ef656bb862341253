//! The face of a server whose data is not unlocked yet: one page that takes the passphrase, for the addresses that may
//! reach it, and nothing else. It knows no session and no record; the table of routes is not served.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, Response, StatusCode};
use maud::{Markup, html};
use zeroize::Zeroize;

use super::assets::{self, style_href};
use super::icons::Icon;
use super::layout::{self, NoticeKind};
use super::respond::{self, Reply};
use super::server::{Face, Peer};
use super::guard;
use crate::app::unlock::Sealed;
use crate::base::config::Network;
use crate::base::{ErrorKind, Result, limits};
use crate::records::field::first;

const PATH: &str = "/unlock";
const TITLE: &str = "尚未解锁";

/// The face, for peers of these addresses.
pub fn face(sealed: &Arc<Sealed>, addresses: Vec<Network>) -> Face {
    let sealed = Arc::clone(sealed);
    Face::new(move |peer: &Peer| {
        let sealed = Arc::clone(&sealed);
        let allowed = addresses.iter().any(|network| network.holds(peer.address));
        Router::new()
            .fallback(move |request: Request| answer(sealed, allowed, request))
            .layer(DefaultBodyLimit::disable())
    })
}

async fn answer(sealed: Arc<Sealed>, allowed: bool, request: Request) -> Response<Body> {
    let packed = guard::takes_gzip(request.headers());
    let path = request.uri().path().to_owned();
    let reply = match (request.method(), path.as_str()) {
        (&Method::GET, path) if path.starts_with("/assets/") => match assets::named(&path["/assets/".len()..]) {
            Some(asset) => Reply::Asset(asset),
            None => closed(),
        },
        _ if !allowed => closed(),
        (&Method::GET, PATH) => Reply::page(page(None)),
        (&Method::POST, PATH) => unlock(sealed, request).await.unwrap_or_else(|e| {
            if e.kind() != ErrorKind::Denied {
                tracing::error!(kind = ?e.kind(), detail = e.detail(), "unlocking failed");
            }
            Reply::again(page(Some(e.public())))
        }),
        (&Method::GET, path) if path != "/healthz" => Reply::Redirect(PATH.to_owned()),
        _ => closed(),
    };
    respond::response(reply, packed)
}

async fn unlock(sealed: Arc<Sealed>, request: Request) -> Result<Reply> {
    guard::same_origin(request.headers())?;
    let mut raw = guard::urlencoded(request, limits::STRANGER_BYTES).await?;
    let worked = tokio::task::spawn_blocking(move || {
        let done = sealed.unlock_in_page(first(&raw, "passphrase"));
        raw.iter_mut().for_each(|(_, typed)| typed.zeroize());
        done
    });
    worked.await.map_err(crate::base::Error::internal)??;
    Ok(Reply::Redirect("/".to_owned()))
}

/// What everybody else sees, whatever they ask for.
fn closed() -> Reply {
    let text = "系统已启动，但数据还没有解锁，现在不能使用。请联系系统管理员。";
    let page = layout::bare(TITLE, "", style_href(), layout::empty(Icon::Lock, text, html! {}));
    Reply::Html(StatusCode::SERVICE_UNAVAILABLE, page)
}

fn page(problem: Option<&str>) -> Markup {
    layout::bare("解锁", "", style_href(), html! {
        @if let Some(problem) = problem { (layout::notice(NoticeKind::Bad, problem)) }
        form.form method="post" action=(PATH) {
            div.field {
                label for="passphrase" { "解锁口令" }
                input #passphrase type="password" name="passphrase" autocomplete="off" autofocus required;
                p.help { "服务启动后须由保管口令的人解锁一次，解锁之前数据全部处于加密状态。" }
            }
            button.btn.btn-primary type="submit" { (Icon::Lock.svg()) "解锁" }
        }
        p.help { "只有配置文件 [unlock] addresses 中的地址能看到本页，默认只有服务器本机。也可以在服务器上运行 jiceng unlock。" }
    })
}
