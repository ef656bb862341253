//! jiceng (基层): the grass-roots edition of the discipline-inspection reporting platform, for one county, in one binary.
//!
//! This file is the map. The floors, each using only those to its left:
//!
//! ```text
//! base < records < store < { search, backup, foreign } < app < { web, ship } < cli
//! ```
//!
//! * [`base`] — error, clock, dates, text folding, limits, configuration.
//! * [`records`] — what a record is and one file per kind; pure.
//! * [`store`] — records, journal and derived tables in one durable transaction; the only floor that names redb.
//! * [`search`] — the full-text index; the only floor that names tantivy.
//! * [`backup`] — encrypted, verified, signed sets and restore; the only floor that names age.
//! * [`foreign`] — files of other programs, read in a limited child process; the only floor that names their crates.
//! * [`app`] — rights and use cases; the only floor that web and command line call.
//! * [`web`] — HTTPS pages; the only floor that names hyper, axum and maud.
//! * [`ship`] — sets and segments to a mount or an object store, in a process of its own; the only floor that names
//!   object_store.
//! * [`cli`] — commands, and the control socket by which they reach a running server.
//!
//! # The one idea: the journal
//!
//! Every change, and every act that must be answered for, is one journal entry, written in the transaction of the
//! change itself. RECORDS say what is now, JOURNAL how it came to be, derived tables make lists quick, followers (the
//! index) keep a position in the journal. Derived tables and followers can be thrown away and made again.
//!
//! # Invariants
//!
//! 1. `records` does no I/O, reads no clock, knows neither HTTP nor HTML; deciding is pure.
//! 2. [`store::Store::submit`] is the only mutation; each commit appends its journal entry and keeps derived tables in
//!    step; a command that names no act is refused. Key slots and generations lie outside the database: their entry is
//!    durable before the slot file changes.
//! 3. Derived tables and followers are disposable: rebuilding gives the same answers, of the index also in the same
//!    order: only rows that can be found weigh in the ranking, and those of a batch on its way in.
//! 4. `web` and `cli` reach records only through `app`, which always takes an actor; they name types of lower floors,
//!    and backup sets can be read without a store. Denied by default.
//! 5. No page is reachable without a row in [`web::ROUTES`], and each row names the access it needs.
//! 6. Every hit, count, facet and offer is computed after the permission filter; rights are read live, and read again
//!    in the transaction that acts. What petitioners are known by is looked for by a right and for a reason of its own.
//! 7. Plain content never touches the disk: values, payloads, attachments and their texts, the search index, temporary
//!    files. Each is sealed under keys that lie, wrapped, under the generation key; nothing on the disk opens without
//!    the master key.
//! 8. `serve` opens no outbound socket.
//! 9. The records of an import batch are there while the batch is done, and at no other time: not in lists, counts,
//!    hits or by their address. Nothing but the batch's own state decides over them.
//! 10. No file that came from outside is parsed in the server's own process, JSON lines aside: [`foreign`] starts a
//!     child that limits itself first. Text in pictures is recognised by a program of the host, limited in the same
//!     way.
//! 11. A store whose disk failed or is nearly full takes entries, and no changes of records; whoever got an answer got
//!     a true one, also from a commit that failed.
//! 12. A standby takes changes from the log alone, whole segments of it, and enters who reads there in a journal of its
//!     own; it takes the log over by its next slot, before its epoch rises.
//! 13. A purged record is one whose key was replaced in the transaction of its purge: nothing that was written before
//!     can be opened, and no floor tries. What is left of it concerns nobody; who asked for it did not decide.
//! 14. What an account is kept out of (`app::sight`: what concerns it, what is above its clearance) is absent for it
//!     everywhere, decided anew at each read from derived tables that are in step; what points at it goes with it.
//! 15. What proved who somebody is proves it once: the step of a second factor is spent in the transaction of the
//!     log-in's entry. Who lets somebody in again, by a password or without a factor, does not confirm it. Keys,
//!     exports and identities ask for a proof of their own, which holds a short while in one session.
//! 16. A certificate of a person is the second factor of the account it is bound to and never stands for the password;
//!     it is judged at each request of its connection, and a session begun with it holds on no other.
//! 17. Before the set-up has ended nobody logs in. Whoever holds its wizard does the steps of it and nothing else, and
//!     knows nobody's password; it ends once, with three persons who have their own and a backup that was verified.
//! 18. Nothing lies with an account that somebody closed: open work and drafts go to others first, in the check of the
//!     same transaction. One of the three administrators is replaced by the other two, each with an own act, or at the
//!     host's console in front of everybody: no page is without that for a week.
//! 19. What attachments say is read after the save, by a child, and kept under keys that follow from theirs; it can be
//!     thrown away, and is found by exactly those who may see the record.
//!
//! # Where the plan was changed, and why
//!
//! * A record is a map of tagged values described by its kind's field table, not a struct a kind: form, list, history,
//!   import, search and formats are functions of that table, and a struct would be a second copy of it.
//! * A backup set is two age files, data and manifest, with their digests in their names: rot is found without any
//!   key, and nothing about the county can be read from a stolen set.
//! * Refused rows of an import live in memory until they are fetched; only `import --failed FILE` writes them in plain,
//!   because whoever types that asks for such a file. What article 16 refuses is in neither.
//! * A rotation of keys renews the generation and leaves the master key: a new master key would ask for every
//!   passphrase again. What that means for whoever had a slot is said in the README.
//! * What a segment of the off-site log needs of the pool stands before its ciphertext, as the lists of sets lie beside
//!   them: whoever ships or fetches has no key, and must know what belongs together.
//! * Power cuts of files are recorded below the program, at its calls of the system, not in a directory of the search
//!   engine that a test makes: slots, attachments and sets are cut as well, and nothing the engine does escapes.
//! * Who is kept out of which record is not stored: names of persons are looked up by keyed hash, and the few records
//!   that have the name are compared at each read. So a new name of an account or of its unit needs no upkeep.
//! * One-time codes are made of the HMAC of the one provider after the RFC, not by a crate of their own: thirty lines,
//!   held against the vectors of both RFCs.
//! * Counts of days and alarms are followed in memory, from headers of the journal alone, and are nowhere stored: what
//!   somebody did about an alarm, and which threshold held, are entries like any other.
//! * The grants beside the kinds are a template: a county's own cells lie in one sealed fact, read in each transaction
//!   that acts, and not in records of a kind, as they are one small table that is always wanted whole.
//! * A person's certificate is taken in the handshake whatever it is worth and judged at each request: a TLS alarm says
//!   nothing to whoever sees it, and one that was revoked a minute ago ends what is open.
//! * Requests for identities are sealed facts, not records of a kind: they last a week and name many records, and are
//!   shown to nobody who may not see each of these.
//! * Keys of the index's files lie under the generation key itself, and a new generation makes a new index instead of
//!   wrapping headers again in place: nothing of the old one opens, and a torn header is one kind of damage less.
//! * Texts of attachments lie beside their files, not in the database and not in backups: they are derived, and no
//!   backup grows by them.
//! * What petitioners are known by is a field of the sealed index, not a table of keyed hashes: a part of a name or a
//!   number is found as well, and a hash of eleven digits is soon guessed.
//! * Searches that somebody keeps lie with a person's other choices, not in records of a kind: they are nobody else's,
//!   and always wanted all together.
//! * Petitions of unknown rank come in, but stay 待补全 until the rank is known: the gate is never skipped silently.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

pub mod app;
pub mod backup;
pub mod base;
pub mod cli;
pub mod foreign;
pub mod records;
pub mod search;
pub mod ship;
pub mod store;
pub mod web;
