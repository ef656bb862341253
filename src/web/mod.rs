//! The face: HTTPS on one listener, pages in Chinese that need no script. The only floor that names hyper, axum and
//! maud.
//!
//! [`ROUTES`] is the list of everything reachable. A request passes: TLS → limits → route → guard (session, origin,
//! token, size) → page. Pages are plain functions on the worker threads; they know neither sockets nor cookies.
//! Before the data is unlocked none of this is served: [`sealed`] is all there is.

pub mod assets;
pub mod certificate;
pub mod form;
pub mod guard;
pub mod icons;
pub mod layout;
pub mod multipart;
pub mod notice;
pub mod pages;
pub mod respond;
pub mod sealed;
pub mod server;
pub mod steps;
pub mod view;

use axum::http::Method;

use crate::base::Result;
use guard::Call;
use respond::Reply;

/// Who may reach a route. What a person may do there is decided by `app`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: log-in, set-up, assets.
    Anybody,
    /// The browser that holds the set-up wizard, until that has ended.
    Setup,
    /// Whoever is logged in, even before the first password was changed and the second factor was set up.
    LoggedIn,
    /// Whoever is logged in with a password of their own, and a second factor where the policy asks for one.
    Account,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// Who may reach it.
    pub access: Access,
    /// What answers.
    pub page: fn(&Call) -> Result<Reply>,
}

const fn get(path: &'static str, access: Access, page: fn(&Call) -> Result<Reply>) -> Route {
    Route { method: Method::GET, path, access, page }
}

const fn post(path: &'static str, access: Access, page: fn(&Call) -> Result<Reply>) -> Route {
    Route { method: Method::POST, path, access, page }
}

/// Everything that can be reached; nothing else can.
pub static ROUTES: &[Route] = &[
    get("/", Access::Account, pages::desk::show),
    get("/assets/{name}", Access::Anybody, assets::serve),
    get("/healthz", Access::Anybody, pages::health::show),
    get("/login", Access::Anybody, pages::login::form),
    post("/login", Access::Anybody, pages::login::log_in),
    post("/logout", Access::LoggedIn, pages::login::log_out),
    get("/password", Access::LoggedIn, pages::password::form),
    post("/password", Access::LoggedIn, pages::password::change),
    get("/factor", Access::LoggedIn, pages::factor::show),
    post("/factor", Access::LoggedIn, pages::factor::confirm),
    post("/factor/renew", Access::LoggedIn, pages::factor::renew),
    post("/factor/off", Access::LoggedIn, pages::factor::off),
    post("/factor/certificate", Access::LoggedIn, pages::ukey::bind),
    post("/factor/certificate/off", Access::LoggedIn, pages::ukey::off),
    get("/sessions", Access::Account, pages::sessions::show),
    post("/sessions/end", Access::Account, pages::sessions::end),
    get("/policy", Access::Account, pages::policy::show),
    post("/policy", Access::Account, pages::policy::set),
    get("/policy/certificates", Access::Account, pages::ukey::show),
    post("/policy/certificates", Access::Account, pages::ukey::set),
    get("/resume", Access::Account, pages::resume::show),
    get("/setup/{token}", Access::Anybody, pages::setup::link),
    post("/setup/{token}", Access::Anybody, pages::setup::take),
    get("/setup", Access::Setup, pages::setup::resume),
    get("/setup/units", Access::Setup, pages::setup::units::show),
    post("/setup/units", Access::Setup, pages::setup::units::set),
    get("/setup/people", Access::Setup, pages::setup::people::show),
    post("/setup/people", Access::Setup, pages::setup::people::set),
    get("/setup/backup", Access::Setup, pages::setup::backup::show),
    post("/setup/backup", Access::Setup, pages::setup::backup::set),
    get("/setup/keys", Access::Setup, pages::setup::backup::keys),
    get("/setup/finish", Access::Setup, pages::setup::finish::show),
    post("/setup/finish", Access::Setup, pages::setup::finish::end),
    get("/activate/{token}", Access::Anybody, pages::activate::show),
    post("/activate/{token}", Access::Anybody, pages::activate::activate),
    get("/audit", Access::Account, pages::audit::show),
    post("/audit", Access::Account, pages::audit::filter),
    get("/audit/print", Access::Account, pages::audit::print),
    post("/audit/export", Access::Account, pages::audit::export),
    get("/audit/days", Access::Account, pages::audit::days::show),
    get("/audit/days/{day}", Access::Account, pages::audit::days::sheet),
    get("/audit/alarms", Access::Account, pages::audit::alarms::show),
    post("/audit/alarms", Access::Account, pages::audit::alarms::clear),
    post("/audit/alarms/rules", Access::Account, pages::audit::alarms::set),
    get("/backup", Access::Account, pages::backup::show),
    post("/backup", Access::Account, pages::backup::set_recipients),
    get("/import", Access::Account, pages::import::choose),
    post("/import", Access::Account, pages::import::begin),
    get("/import/{token}", Access::Account, pages::import::show),
    post("/import/{token}", Access::Account, pages::import::act),
    get("/import/{token}/failed", Access::Account, pages::import::failed),
    post("/backup/schedule", Access::Account, pages::backup::set_schedule),
    post("/backup/run", Access::Account, pages::backup::run),
    post("/backup/scrub", Access::Account, pages::scrub::run),
    post("/backup/rotate", Access::Account, pages::backup::rotate),
    post("/backup/cancel", Access::Account, pages::backup::cancel),
    get("/backup/keys", Access::Account, pages::keysheet::show),
    post("/backup/keys", Access::Account, pages::keysheet::prove),
    post("/backup/confirm", Access::Account, pages::backup::confirm),
    get("/backup/recipients", Access::Account, pages::recipients::show),
    post("/backup/recipients", Access::Account, pages::recipients::propose),
    post("/backup/recipients/decide", Access::Account, pages::recipients::decide),
    get("/backup/checks", Access::Account, pages::checks::show),
    post("/backup/checks", Access::Account, pages::checks::set),
    post("/backup/checks/ask", Access::Account, pages::checks::ask),
    post("/backup/checks/answer", Access::Account, pages::checks::answer),
    get("/backup/drills/{at}", Access::Account, pages::checks::certificate),
    get("/conflicts", Access::Account, pages::recusal::hints),
    post("/conflicts", Access::Account, pages::recusal::decide),
    get("/identities", Access::Account, pages::identities::show),
    post("/identities", Access::Account, pages::identities::ask),
    post("/identities/decide", Access::Account, pages::identities::decide),
    post("/identities/take", Access::Account, pages::identities::take),
    get("/review", Access::Account, pages::review::show),
    post("/review", Access::Account, pages::review::mark),
    get("/rights", Access::Account, pages::rights::show),
    post("/rights", Access::Account, pages::rights::set_offices),
    get("/rights/{role}", Access::Account, pages::rights::role),
    post("/rights/{role}", Access::Account, pages::rights::set_role),
    get("/search", Access::Account, pages::search::form),
    post("/search", Access::Account, pages::search::ask),
    get("/search/{id}", Access::Account, pages::search::show),
    get("/search-words", Access::Account, pages::wordbook::show),
    post("/search-words", Access::Account, pages::wordbook::set),
    post("/search/identity", Access::Account, pages::petitioners::ask),
    post("/search/{id}/save", Access::Account, pages::saved::save),
    post("/saved/{number}/open", Access::Account, pages::saved::open),
    post("/saved/{number}/rename", Access::Account, pages::saved::rename),
    post("/saved/{number}/remove", Access::Account, pages::saved::remove),
    post("/suggest", Access::Account, pages::suggest::offer),
    post("/drafts/{id}", Access::Account, pages::draft::throw),
    get("/account/import", Access::Account, pages::staff::show),
    post("/account/import", Access::Account, pages::staff::set),
    post("/account/import/words", Access::Account, pages::staff::words),
    get("/{kind}", Access::Account, pages::list::show),
    post("/{kind}/columns", Access::Account, pages::columns::choose),
    get("/{kind}/new", Access::Account, pages::edit::new),
    post("/{kind}/new", Access::Account, pages::edit::create),
    get("/{kind}/{id}", Access::Account, pages::record::show),
    get("/{kind}/{id}/edit", Access::Account, pages::edit::edit),
    post("/{kind}/{id}/edit", Access::Account, pages::edit::amend),
    get("/{kind}/{id}/history", Access::Account, pages::history::show),
    post("/{kind}/{id}/move/{name}", Access::Account, pages::record::advance),
    post("/{kind}/{id}/purge", Access::Account, pages::purge::ask),
    post("/{kind}/{id}/label", Access::Account, pages::label::set),
    post("/{kind}/{id}/repeats", Access::Account, pages::repeats::decide),
    get("/{kind}/{id}/beside/{other}", Access::Account, pages::regulation::beside),
    get("/{kind}/{id}/similar", Access::Account, pages::repeats::similar),
    post("/{kind}/{id}/recuse", Access::Account, pages::recusal::declare),
    post("/{kind}/{id}/identity", Access::Account, pages::record::reveal),
    post("/{kind}/{id}/password", Access::Account, pages::relief::reset),
    post("/{kind}/{id}/factor", Access::Account, pages::relief::void_factor),
    post("/{kind}/{id}/relief", Access::Account, pages::relief::decide),
    post("/{kind}/{id}/handover", Access::Account, pages::handover::open),
    post("/{kind}/{id}/replace", Access::Account, pages::handover::ask),
    post("/{kind}/{id}/assign", Access::Account, pages::handover::assign),
    post("/{kind}/{id}/finish", Access::Account, pages::handover::finish),
    post("/{kind}/{id}/end", Access::Account, pages::handover::end),
    get("/{kind}/{id}/report", Access::Account, pages::handover::report::show),
    get("/{kind}/{id}/files/{place}", Access::Account, pages::record::download),
    get("/{kind}/{id}/files/{place}/view", Access::Account, pages::viewing::show),
    get("/{kind}/{id}/files/{place}/inline", Access::Account, pages::viewing::inline),
];
