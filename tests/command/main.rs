//! The command line from outside: what each command prints, leaves behind and exits with, alone and beside a
//! server.
//!
//! Everything here starts the program as a person or a script would. Only contents that no command can make
//! (an attachment) and fields that no command shows are reached through the library. Texts and names are
//! invented; files are spoilt at places drawn from a fixed seed; nothing asserts how long something takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it measured"
)]

mod backup;
mod damage;
mod drills;
mod faults;
mod import;
mod keys;
mod ledger;
mod ledgers;
mod room;
mod search;
mod setup;
mod shared;
mod socket;
mod tamper;
mod usage;
