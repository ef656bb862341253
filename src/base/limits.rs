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
/// The same where the profile of NIST holds and the account has no second factor (SP 800-63B-4, 3.1.1.2).
pub const PASSWORD_ALONE_CHARS: usize = 15;
/// Days after which a password is to be changed, in the profile of 等保.
pub const PASSWORD_DAYS: i64 = 90;
/// Earlier passwords that are not taken again.
pub const PASSWORD_HISTORY: usize = 5;
/// Longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 256;
/// Argon2id memory, in KiB.
pub const ARGON_KIB: u32 = 65_536;
/// Argon2id passes.
pub const ARGON_PASSES: u32 = 3;
/// Argon2id memory for passwords that are public, in KiB; one pass.
pub const ARGON_PUBLIC_KIB: u32 = 1024;
/// Password checks under way at once.
pub const ARGON_AT_ONCE: usize = 2;
/// Password checks that wait for their turn.
pub const ARGON_WAITING: usize = 48;
/// Those of one address among them: an office behind one address logs in at the same minute.
pub const ARGON_WAITING_OF_ONE: usize = 32;
/// Places beyond those for browsers that are known: strangers who wait do not keep them out.
pub const ARGON_WAITING_KNOWN: usize = 32;
/// Those of one known browser.
pub const ARGON_WAITING_OF_KNOWN: usize = 4;
/// Bytes of the secret of a second factor.
pub const FACTOR_BYTES: usize = 20;
/// Recovery codes of a second factor.
pub const RECOVERY_CODES: usize = 10;
/// Networks of the address list for administrators.
pub const NETWORKS: usize = 50;
/// Argon2id memory for the passphrase of a key slot, in KiB: it guards everything, and a thief can guess at home.
pub const SLOT_ARGON_KIB: u32 = 262_144;
/// Argon2id passes for it.
pub const SLOT_ARGON_PASSES: u32 = 3;
/// Most memory that a slot file may ask for, in KiB.
pub const SLOT_ARGON_KIB_MAX: u32 = 2 << 20;
/// Most passes that a slot file may ask for.
pub const SLOT_ARGON_PASSES_MAX: u32 = 64;
/// Shortest passphrase of a key slot, in characters.
pub const PASSPHRASE_MIN_CHARS: usize = 12;
/// Key slots of a store.
pub const SLOTS: usize = 16;
/// Characters of the name of a key slot.
pub const SLOT_NAME_CHARS: usize = 40;
/// Days after a purge by which the generation of keys it leaves behind is replaced.
pub const PURGE_KEYS_DAYS: i64 = 30;
/// Days after which the server begins with that, so that it is done in time.
pub const PURGE_KEYS_START_DAYS: i64 = 25;
/// Days more after which administrators are told that it was not.
pub const PURGE_KEYS_LATE_DAYS: i64 = 1;
/// Changes of generation that the store remembers.
pub const ROTATIONS_KEPT: usize = 50;
/// Record keys wrapped anew in one commit while the keys rotate.
pub const REWRAP_CHUNK: usize = 1_000;
/// The same while others are at work.
pub const REWRAP_CHUNK_CROWDED: usize = 100;
/// Record keys looked at in one of these commits.
pub const REWRAP_LOOKED_AT: usize = 20_000;
/// Tries of a passphrase in the unlock page, a minute.
pub const UNLOCK_TRIES_A_MINUTE: usize = 4;
/// Failures there that no pause follows.
pub const UNLOCK_FREE_FAILURES: u32 = 3;
/// First pause there, in seconds; each failure doubles it.
pub const UNLOCK_PAUSE_S: i64 = 30;
/// Longest pause there, in seconds.
pub const UNLOCK_PAUSE_MOST_S: i64 = 600;
/// Failures of one account from one device that lead to a pause; a device that nobody knows is its address.
pub const LOGIN_FAILURES: u32 = 5;
/// Length of that pause, in seconds.
pub const LOGIN_PAUSE_S: i64 = 300;
/// Failures remembered at once (accounts × devices).
pub const LOGIN_TRACKED: usize = 20_000;
/// Failures of one account in a day from all devices together that it never logged in from.
pub const LOGIN_STRANGERS: usize = 100;
/// The length of that day, in seconds.
pub const LOGIN_STRANGERS_S: i64 = 24 * 3600;
/// Accounts that one browser is known to.
pub const DEVICE_ACCOUNTS: usize = 8;
/// Seconds that a browser keeps what makes it known.
pub const DEVICE_S: i64 = 400 * 24 * 3600;
/// Entries a minute for failed log-ins of unknown names.
pub const STRANGER_ENTRY_S: i64 = 60;

/// A session ends after this many seconds without a request.
pub const SESSION_IDLE_S: i64 = 30 * 60;
/// A session ends after this many seconds in any case.
pub const SESSION_MAX_S: i64 = 10 * 3600;
/// Authorities whose certificates people come in with.
pub const AUTHORITIES: usize = 20;
/// Bytes of them and of their lists of revoked certificates, in PEM: read again at each connection.
pub const TRUST_BYTES: usize = 512 << 10;
/// Certificates that one may bring between the own one and an authority.
pub const CERTIFICATES_BETWEEN: usize = 4;
/// Identities of petitioners in one file.
pub const IDENTITIES: usize = 1_000;
/// Requests for identities that one account makes within the time that they stand.
pub const IDENTITY_REQUESTS: usize = 20;
/// Records that are looked at for one such file.
pub const IDENTITIES_LOOKED_AT: u64 = 20_000;
/// How long a request for one stands, in seconds.
pub const IDENTITIES_S: i64 = 7 * 86_400;
/// How long it holds in a session that somebody proved once more who they are, in seconds.
pub const PROOF_S: i64 = 5 * 60;
/// Submissions kept for a user whose session ended.
pub const PARKED_PER_LOGIN: usize = 1;
/// Submissions kept for all users, bytes.
pub const PARKED_BYTES: usize = 16 << 20;
/// Drafts of one account.
pub const DRAFTS_PER_ACCOUNT: usize = 20;
/// Drafts that may not be stored, of all accounts, bytes.
pub const DRAFT_MEMORY_BYTES: usize = 16 << 20;
/// Remembered results of one-time submit ids.
pub const SUBMIT_IDS: usize = 10_000;
/// Remembered searches of one session.
pub const SEARCHES_PER_SESSION: usize = 50;
/// Identities of one session that were opened for a change and may be changed.
pub const REVEALED_PER_SESSION: usize = 100;
/// Seconds for which what was asked for somebody who cannot log in can be confirmed: a week.
pub const RELIEF_S: i64 = 7 * 86_400;
/// Records of a person who leaves that one page shows and one form assigns.
pub const HANDED_AT_ONCE: usize = 100;
/// Seconds for which every page says that an administrator was replaced at the host's console: a week.
pub const HOST_NOTICE_S: i64 = 7 * 86_400;
/// Days after which what an account may do is to be looked at again.
pub const REVIEW_DAYS: i64 = 90;
/// Days before the end of a temporary role in which it is listed.
pub const ENDING_DAYS: i64 = 14;
/// Newest entries of the journal among which the last log-in of an account is looked for.
pub const LOGINS_LOOKED_AT: u64 = 10_000;
/// A set-up link works for this long, in seconds.
pub const SETUP_LINK_S: i64 = 30 * 60;
/// The set-up wizard stays with a browser for this long after its last step, in seconds.
pub const SETUP_IDLE_S: i64 = 2 * 3600;
/// The link at which an administrator activates an account works for this long, in seconds.
pub const ACTIVATION_S: i64 = 7 * 24 * 3600;
/// Accounts that one table makes: a password for each of them takes a quarter of a second.
pub const STAFF_LINES: usize = 50;
/// Units that the set-up wizard takes.
pub const SETUP_UNITS: usize = 500;

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

/// Bytes of a document that is looked at in the page.
pub const DOCUMENT_VIEW_BYTES: usize = 60 << 20;
/// Files of other programs that are read at once.
pub const READERS: usize = 4;
/// Seconds that one more waits for its turn.
pub const READERS_WAIT_S: u64 = 60;
/// Records of one chunk of an import: others wait for at most one.
pub const IMPORT_CHUNK: usize = 64;
/// The same while others are at work.
pub const IMPORT_CHUNK_CROWDED: usize = 8;
/// Rows of a sheet shown before it is imported.
pub const IMPORT_PREVIEW_ROWS: usize = 20;
/// Rows at the top of a sheet among which its heads are looked for.
pub const IMPORT_HEAD_ROWS: usize = 10;
/// Rows after which the command line tells how far an import is.
pub const IMPORT_TOLD_ROWS: u64 = 500;
/// Imports of one person that wait at once.
pub const IMPORTS_WAITING: usize = 5;
/// Bytes at the beginning of a file that tell its format.
pub const FORMAT_HEAD_BYTES: usize = 8 << 10;
/// Bytes of refused rows kept in memory until they are fetched.
pub const IMPORT_FAILED_BYTES: usize = 8 << 20;
/// Bytes of one line of a JSONL file.
pub const IMPORT_LINE_BYTES: usize = 64 << 20;
/// Problems an import lists before it only counts.
pub const IMPORT_PROBLEMS: usize = 100;

/// Times a folder in use is asked for.
pub const LOCK_TRIES: usize = 10;
/// Milliseconds between two of them.
pub const LOCK_PAUSE_MS: u64 = 10;
/// Commands in one group commit.
pub const GROUP_MAX: usize = 256;
/// Cache of the store, in bytes.
pub const STORE_CACHE_BYTES: usize = 128 << 20;
/// Rows of a list page.
pub const PAGE_ROWS: u64 = 20;
/// Rows of a list page at most.
pub const PAGE_ROWS_MAX: u64 = 100;
/// Characters of one filter that a list remembers.
pub const FILTER_CHARS: usize = 40;
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

/// Connections at once: a thousand that do nothing leave room for everybody.
pub const CONNECTIONS: usize = 4_000;
/// Open files that go with them; what the system allows is asked for.
pub const OPEN_FILES: u64 = 8_192;
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

/// Free bytes of the data disk below which records are not changed.
pub const SPACE_CHANGES_BYTES: u64 = 256 << 20;
/// Free bytes below which the reserve is given up for entries.
pub const SPACE_ENTRIES_BYTES: u64 = 64 << 20;
/// Bytes of the reserve.
pub const SPACE_RESERVED_BYTES: u64 = 32 << 20;
/// Free bytes of the data disk that a backup leaves alone.
pub const SPACE_RESERVE_BYTES: u64 = 512 << 20;
/// Fewest recipients of a backup.
pub const RECIPIENTS_MIN: usize = 2;
/// Characters of the words about a recipient.
pub const RECIPIENT_NOTE_CHARS: usize = 40;
/// Times of day of a backup schedule.
pub const BACKUP_TIMES: usize = 24;
/// Fewest verified sets that stay.
pub const SETS_KEPT_MIN: usize = 3;
/// Most verified sets that can be asked to stay.
pub const SETS_KEPT_MAX: usize = 400;
/// Sets the store remembers; older ones are no longer removed by it.
pub const SETS_KNOWN: usize = 1_000;
/// Hours without a verified set after which administrators are told, when nothing else was set.
pub const ALARM_HOURS: u32 = 26;
/// The same at most.
pub const ALARM_HOURS_MAX: usize = 31 * 24;
/// Due times the runner remembers having served.
pub const SERVED_MARKS: usize = 100;
/// Seconds after which everything is read and compared again: a week.
pub const SCRUB_S: i64 = 7 * 24 * 3600;
/// Lines that are kept of what is wrong.
pub const SCRUB_LINES: usize = 20;
/// Seconds after which one that broke off is tried again.
pub const SCRUB_AGAIN_S: i64 = 3600;
/// Seconds between two looks at whether that is due.
pub const SCRUB_LOOK_S: u64 = 5;
/// Seconds after which a sealed upload that nothing names is removed; longer than any session.
pub const UNNAMED_UPLOAD_S: i64 = 24 * 3600;
/// Seconds between two looks at the schedule.
pub const SCHEDULE_LOOK_S: u64 = 60;
/// Seconds a server that ends waits for a backup to give up.
pub const BACKUP_GIVE_UP_S: u64 = 10;
/// Damaged attachments that a backup set states; beyond that the disk is at fault, and no set is written.
pub const DAMAGED_FILES: usize = 1_000;
/// Register numbers of a counter that a restore skips when nobody knows the last one on paper.
pub const NUMBERS_SKIPPED: u64 = 100;
/// The same at most; more is taken for a slip of the pen.
pub const NUMBERS_SKIPPED_MAX: u64 = 10_000;
/// Administrators who have to confirm a restore.
pub const RESTORE_CONFIRMED_BY: usize = 2;
/// Days between two drills, and between two challenges of a backup key, when nothing else was set: half a year.
pub const CHECK_DAYS: u32 = 183;
/// The same at most.
pub const CHECK_DAYS_MAX: u32 = 400;
/// Certificates of drills that the store remembers.
pub const DRILLS_KEPT: usize = 20;
/// Rows that the search self-test of a drill looks among.
pub const DRILL_ROWS: u64 = 300;
/// Rows it looks for.
pub const DRILL_PROBES: usize = 30;
/// Runs of a backup over which every attachment in the pool of its target is read again.
pub const POOL_ROUNDS: usize = 30;
/// Bytes that a backup writes before it waits for the disk to have them.
pub const UNSYNCED_BYTES: usize = 8 << 20;
/// Attachments that are copied into the pool at once.
pub const POOL_WRITERS: usize = 4;
/// Bytes of the list of attachments that a set needs.
pub const POOL_LIST_BYTES: u64 = 1 << 30;
/// Bytes of one value in an archive; larger is refused as damage.
pub const ARCHIVE_VALUE_BYTES: u64 = 1 << 30;
/// Compression level of archives.
pub const ZSTD_LEVEL: i32 = 3;
/// Seconds between two segments of the off-site log at most: what a county that burns down can lose.
pub const SEGMENT_S: u64 = 60;
/// The same when nothing else was set.
pub const SEGMENT_DEFAULT_S: u64 = 20;
/// Attachments that one segment names.
pub const SEGMENT_FILES: usize = 100_000;
/// Segments that wait in the spool at most; a day of an unreachable target at the default pace.
pub const SPOOL_SEGMENTS: usize = 5_000;
/// Bytes that wait in the spool at most.
pub const SPOOL_BYTES: u64 = 4 << 30;
/// Minutes that the target may be behind before administrators are told.
pub const OFFSITE_LAG_MIN: i64 = 10;
/// Milliseconds between two looks of the server at what the shipper says.
pub const OFFSITE_LOOK_MS: u64 = 500;
/// Seconds between two looks of the shipper at spool and backup folder.
pub const SHIP_LOOK_S: u64 = 5;
/// Longest pause of the shipper after failures, in seconds.
pub const SHIP_PAUSE_S: u64 = 60;
/// Seconds after which the shipper says again that it reached the target, when nothing else happened.
pub const SHIP_WORD_S: i64 = 30;
/// Bytes of a slot that are fetched for its plain beginning.
pub const SHIP_BEGIN_BYTES: u64 = 4 << 10;
/// Bytes of one piece of a large file on its way to an object store.
pub const SHIP_PIECE_BYTES: u64 = 8 << 20;
/// Seconds between two looks of a standby at its target.
pub const STANDBY_LOOK_S: u64 = 3;
/// Attachments that a standby fetches between two looks.
pub const STANDBY_FILES: usize = 20;
/// Seconds that a standby waits for what still works on its data before it changes over.
pub const STANDBY_CHANGE_S: u64 = 30;
/// Entries on a page of the auditor's console.
pub const AUDIT_LINES: usize = 100;
/// Entries on its print.
pub const AUDIT_PRINT_LINES: usize = 300;
/// Entries of a workbook.
pub const AUDIT_EXPORT_LINES: usize = 50_000;
/// Entries that one page looks at in search of those it was asked for.
pub const AUDIT_LOOKED_AT: usize = 20_000;
/// Records of one entry whose changes are shown field by field.
pub const AUDIT_SUBJECTS: usize = 5;
/// Characters of a value there.
pub const AUDIT_VALUE_CHARS: usize = 200;
/// Entries that the first checkpoint of a store verifies; from then on it goes from one to the next.
pub const AUDIT_FIRST: u64 = 20_000;
/// Hours without any entry that are told as a gap: longer than a weekend.
pub const AUDIT_GAP_H: i64 = 72;
/// Such gaps, and clocks that went back, that are listed.
pub const AUDIT_NOTES: usize = 20;
/// Problems that a check without keys lists.
pub const AUDIT_PROBLEMS: usize = 100;
/// Days of its charts.
pub const AUDIT_DAYS: i64 = 30;
/// Alarms that are remembered after they were dealt with.
pub const ALARMS_KEPT: usize = 500;
/// Milliseconds between two looks of a server at the journal for alarms.
pub const AUDIT_LOOK_MS: u64 = 500;
/// Seconds between two heads in the system's log.
pub const SYSLOG_HEAD_S: i64 = 60;
/// Days of certificate validity.
pub const CERTIFICATE_DAYS: i64 = 825;

/// Bytes of a table of another program.
pub const FOREIGN_TABLE_BYTES: u64 = 200 << 20;
/// Bytes of a document of another program.
pub const FOREIGN_DOCUMENT_BYTES: u64 = 50 << 20;
/// Entries of an archive (workbooks and documents are archives).
pub const FOREIGN_ENTRIES: usize = 10_000;
/// Bytes of one entry of an archive, unpacked.
pub const FOREIGN_ENTRY_BYTES: u64 = 1 << 30;
/// Bytes of all entries of an archive, unpacked.
pub const FOREIGN_UNPACKED_BYTES: u64 = 2 << 30;
/// Sheets of a workbook.
pub const FOREIGN_SHEETS: usize = 256;
/// Rows of a table, all sheets together.
pub const FOREIGN_ROWS: u64 = 1_000_000;
/// Columns of a table; further ones are left out with a note.
pub const FOREIGN_COLUMNS: usize = 256;
/// Characters of a cell.
pub const FOREIGN_CELL_CHARS: usize = 100_000;
/// Bytes of a row.
pub const FOREIGN_ROW_BYTES: usize = 4 << 20;
/// Bytes of one frame between the reading child and the server.
pub const FOREIGN_FRAME_BYTES: usize = 8 << 20;
/// Notes of one reading.
pub const FOREIGN_NOTES: usize = 1_000;
/// Characters of one note, or of the reason why a file was not read.
pub const FOREIGN_NOTE_CHARS: usize = 1_000;
/// Address space of the reading child, in bytes.
pub const FOREIGN_MEMORY_BYTES: u64 = 1 << 30;
/// Processor time of a child that reads a table, in seconds.
pub const FOREIGN_TABLE_CPU_S: u64 = 120;
/// Processor time of a child that reads a document, in seconds.
pub const FOREIGN_DOCUMENT_CPU_S: u64 = 60;
/// Units of UTF-16 of a cell that office programs can hold.
pub const WORKBOOK_CELL_UNITS: usize = 32_767;
/// Rows of a sheet that office programs can hold.
pub const WORKBOOK_ROWS: u32 = 1_048_576;

/// Bytes of one part of a document that is an archive, unpacked.
pub const DOCUMENT_PART_BYTES: u64 = 64 << 20;
/// Bytes of the text of a document.
pub const DOCUMENT_TEXT_BYTES: usize = 32 << 20;
/// Paragraphs and table rows of a document.
pub const DOCUMENT_BLOCKS: usize = 200_000;
/// Levels of nesting of lists, tables and text boxes that are told apart.
pub const DOCUMENT_DEPTH: usize = 64;
/// Processor time of the recognition of one page, in seconds.
pub const OCR_CPU_S: u64 = 180;
/// Open files of the program that recognises: its own, and those of its language.
pub const OCR_OPEN: u64 = 32;
/// Bytes of the text of one recognised page.
pub const OCR_TEXT_BYTES: u64 = 1 << 20;
/// Characters of one attachment that are searched; the rest is left out, which the record says.
pub const ATTACHED_CHARS: usize = 2_000_000;
/// Characters of all attachments of a record that are searched.
pub const ATTACHED_RECORD_CHARS: usize = 4_000_000;
/// Bytes of the text of an attachment as it is kept.
pub const ATTACHED_TEXT_BYTES: usize = 16 << 20;
/// Parts (pages, sheets) of an attachment that are told apart.
pub const ATTACHED_PARTS: usize = 10_000;
/// Bytes of texts of attachments that the index takes up at once.
pub const ATTACHED_AT_ONCE_BYTES: usize = 32 << 20;
/// Bytes of texts of attachments that a search reads of rows the index does not have yet.
pub const ATTACHED_FRESH_BYTES: usize = 8 << 20;
/// Bytes of texts of attachments that are looked through to show where the hits of one page stand.
pub const ATTACHED_SHOWN_BYTES: usize = 32 << 20;
/// Records whose attachments are told of by one entry.
pub const ATTACHED_AN_ENTRY: usize = 64;
/// Milliseconds from a save to the reading of its attachments: saves come in crowds.
pub const ATTACHED_REST_MS: u64 = 400;
/// Seconds until a reading that did not come about is tried again.
pub const ATTACHED_AGAIN_S: u64 = 60;
/// Pages of a PDF.
pub const PDF_PAGES: usize = 3_000;
/// Bytes of one stream of a PDF, unpacked.
pub const PDF_STREAM_BYTES: usize = 64 << 20;
/// Operations of all pages of a PDF.
pub const PDF_OPERATIONS: u64 = 20_000_000;
/// Pixels of a picture.
pub const PICTURE_PIXELS: u64 = 40_000_000;
/// Widest picture that is kept as it is, in pixels; wider ones are made smaller.
pub const PICTURE_WIDTH: u32 = 2_400;
/// Bytes a decoder of pictures may allocate.
pub const PICTURE_MEMORY_BYTES: u64 = 384 << 20;
/// Bytes of one piece of a picture that was encoded again.
pub const PICTURE_PIECE_BYTES: usize = 1 << 20;
/// Bytes of a picture drawn anew for the page.
pub const PICTURE_BYTES: usize = 24 << 20;
/// Remarks on the numbering of one regulation.
pub const STATUTE_REMARKS: usize = 50;
