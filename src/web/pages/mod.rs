//! The pages: plain functions from a [`Call`](super::guard::Call) to a reply. One file a page; most serve every kind.

pub mod audit;
pub mod backup;
pub mod checks;
pub mod columns;
pub mod desk;
pub mod draft;
pub mod edit;
pub mod error;
pub mod health;
pub mod history;
pub mod import;
pub mod keysheet;
pub mod label;
pub mod list;
pub mod login;
pub mod password;
pub mod recipients;
pub mod purge;
pub mod record;
pub mod recusal;
pub mod resume;
pub mod review;
pub mod scrub;
pub mod search;
pub mod setup;
pub mod viewing;
