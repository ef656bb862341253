//! The house seen from outside: `jiceng` as a process, people as browsers over TLS, and what they live
//! through.
//!
//! `county` starts and kills the server and logs people in, `wire` speaks HTTPS, `form` reads pages as a
//! browser does. Every other file is a chapter. Each test has a county of its own, so that nothing depends on
//! the order; nothing here looks at the time a thing takes, and what is random comes from fixed seeds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a proof that was not made is told of")]
#![allow(clippy::needless_pass_by_value, clippy::type_complexity, reason = "a story reads better without either")]

mod articles;
mod attached;
mod audit;
mod canaries;
mod charter;
mod choices;
mod county;
mod crash;
mod crowd;
mod disk;
mod doors;
mod draft;
mod exports;
mod factor;
mod flow;
mod form;
mod gate;
mod grants;
mod handover;
mod hostile;
mod identity;
mod keys;
mod kills;
mod labels;
mod leaks;
mod ledger;
mod matrix;
mod mending;
mod nightly;
mod offsite;
mod origins;
mod papers;
mod passwords;
mod recipients;
mod petitioners;
mod proof;
mod purge;
mod recusal;
mod register;
mod repeats;
mod resume;
mod results;
mod rights;
mod saved;
mod setup;
mod smuggling;
mod staff;
mod standby;
mod statutes;
mod succession;
mod suggest;
mod twice;
mod ukey;
mod unlock;
mod viewing;
mod void;
mod watermark;
mod wire;
mod words;
