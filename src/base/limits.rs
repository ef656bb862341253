//! Every bound of the product, with its unit. A bound that is not here is a bug.

/// Characters of a one-line field.
pub const LINE_CHARS: usize = 300;
/// Characters of a person's name.
pub const NAME_CHARS: usize = 60;
/// Characters of a log-in name.
pub const LOGIN_CHARS: usize = 40;
/// Characters of a long text.
pub const TEXT_CHARS: usize = 200_000;
/// Characters of remarks.
pub const REMARK_CHARS: usize = 20_000;
/// Characters of an opinion.
pub const OPINION_CHARS: usize = 2_000;
/// Characters of a reason.
pub const REASON_CHARS: usize = 200;
/// Rows of a rows field.
pub const ROWS_MAX: usize = 200;
/// Rows of a rows field that a form shows again.
pub const ROWS_SHOWN: usize = 400;

/// Shortest password, in characters (管理办法 第十五条).
pub const PASSWORD_MIN_CHARS: usize = 10;
/// Longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 256;
/// Argon2id memory, in KiB.
pub const ARGON_KIB: u32 = 65_536;
/// Argon2id passes.
pub const ARGON_PASSES: u32 = 3;
/// Password checks under way at once.
pub const ARGON_AT_ONCE: usize = 2;
/// Password checks that wait for their turn.
pub const ARGON_WAITING: usize = 48;
/// Those of one address among them: an office behind one address logs in at the same minute.
pub const ARGON_WAITING_OF_ONE: usize = 32;
/// Failures of one account from one device that lead to a pause.
pub const LOGIN_FAILURES: u32 = 5;
/// Length of that pause, in seconds.
pub const LOGIN_PAUSE_S: i64 = 300;
/// Failures remembered at once (accounts × devices).
pub const LOGIN_TRACKED: usize = 20_000;
/// Entries a minute for failed log-ins of unknown names.
pub const STRANGER_ENTRY_S: i64 = 60;

/// A session ends after this many seconds without a request.
pub const SESSION_IDLE_S: i64 = 30 * 60;
/// A session ends after this many seconds in any case.
pub const SESSION_MAX_S: i64 = 10 * 3600;
/// Submissions kept for a user whose session ended.
pub const PARKED_PER_LOGIN: usize = 1;
/// Submissions kept for all users, bytes.
pub const PARKED_BYTES: usize = 16 << 20;
/// Remembered results of one-time submit ids.
pub const SUBMIT_IDS: usize = 10_000;
/// Remembered searches of one session.
pub const SEARCHES_PER_SESSION: usize = 50;
/// Identities of one session that were opened for a change and may be changed.
pub const REVEALED_PER_SESSION: usize = 100;
/// A set-up link works for this long, in seconds.
pub const SETUP_LINK_S: i64 = 30 * 60;

/// Bytes of one attachment.
pub const FILE_BYTES: u64 = 200 << 20;
/// Attachments of one record.
pub const FILES_PER_RECORD: usize = 50;
/// Bytes of all text fields of one form.
pub const FORM_BYTES: usize = 2 << 20;
/// Bytes of a form from somebody who is not logged in and never was.
pub const STRANGER_BYTES: usize = 64 << 10;
/// Fields of one form.
pub const FORM_FIELDS: usize = 6_000;
/// Bytes of sealed attachment in one chunk.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Records of one chunk of an import.
pub const IMPORT_CHUNK: usize = 500;
/// Bytes of one line of a JSONL file.
pub const IMPORT_LINE_BYTES: usize = 64 << 20;
/// Problems an import lists before it only counts.
pub const IMPORT_PROBLEMS: usize = 100;

/// Commands in one group commit.
pub const GROUP_MAX: usize = 256;
/// Cache of the store, in bytes.
pub const STORE_CACHE_BYTES: usize = 128 << 20;
/// Rows of a list page.
pub const PAGE_ROWS: u64 = 20;
/// Rows of a list page at most.
pub const PAGE_ROWS_MAX: u64 = 100;
/// Rows below a record on one page (articles of a regulation).
pub const CHILD_ROWS: usize = 100;
/// Records the index may lag behind and still be complete by scanning.
pub const FRESH_MAX: usize = 1_000;
/// Hits a page of results can be turned to.
pub const SEARCH_DEPTH: u64 = 10_000;
/// Characters of a query.
pub const QUERY_CHARS: usize = 2_000;
/// Characters of a snippet.
pub const SNIPPET_CHARS: usize = 120;

/// Connections at once.
pub const CONNECTIONS: usize = 1_000;
/// Connections of one address at once: thirty people behind one address, with six each and some to spare.
pub const CONNECTIONS_OF_ONE: usize = 300;
/// Seconds for a TLS handshake.
pub const HANDSHAKE_S: u64 = 10;
/// Seconds for the head of a request.
pub const HEADER_S: u64 = 15;
/// Bytes of the head of a request.
pub const HEADER_BYTES: usize = 32 << 10;
/// Seconds without a byte of a body before it is given up.
pub const BODY_IDLE_S: u64 = 60;
/// Pages worked on at once, besides password checks; most of them wait for the same group commit.
pub const WORKERS: usize = 64;

/// Free bytes of the data disk that a backup leaves alone.
pub const SPACE_RESERVE_BYTES: u64 = 512 << 20;
/// Fewest recipients of a backup.
pub const RECIPIENTS_MIN: usize = 2;
/// Bytes of one value in an archive; larger is refused as damage.
pub const ARCHIVE_VALUE_BYTES: u64 = 1 << 30;
/// Compression level of archives.
pub const ZSTD_LEVEL: i32 = 3;
/// Days of certificate validity.
pub const CERTIFICATE_DAYS: i64 = 825;
