//! Heads and alarms in the system's log (`/dev/log`), when the configuration says so: a head a minute while the journal
//! grows, an alarm as soon as it is raised. Whoever collects these lines has heads outside of this machine.
//!
//! What must hold: a line holds numbers, names of rules, and hashes, and no word that somebody typed; a log that takes
//! nothing keeps nobody from anything, and `doctor` says so. Form of the lines: `data-format/journal.md`.

use std::os::unix::net::UnixDatagram;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::watch::Alarm;
use crate::app::doctor::{Finding, Verdict};
use crate::app::{App, lock};
use crate::base::{Error, Moment, Result, background, limits};
use crate::records::audit::RULES;
use crate::store::Head;

/// Facility 13, log audit.
const AUDIT: u8 = 13;
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;

/// How the system's log takes lines; nothing where none is configured.
#[derive(Default)]
pub struct Syslog(Mutex<Option<Standing>>);

struct Standing {
    path: PathBuf,
    host: String,
    /// The last head that was sent, and when.
    sent: Option<(Head, Moment)>,
    /// Alarms of entries up to here were sent, or are older than this server.
    told: u64,
    /// Why the last line was not taken.
    failed: Option<String>,
}

/// The thread of the watch; dropping this ends it.
pub struct Thread(#[expect(dead_code, reason = "the thread ends when it is dropped")] Sender<()>);

impl Thread {
    /// Follows the journal for alarms, and sends heads and alarms to a socket of the system's log if there is one.
    pub fn start(app: &Arc<App>, socket: Option<&Path>) -> Result<Self> {
        if let Some(path) = socket {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let told = app.store.head().seq.0;
            let standing = Standing { path: path.to_owned(), host: named(&host), sent: None, told, failed: None };
            *lock(&app.console.syslog.0) = Some(standing);
        }
        let (own, (stop, stopped)) = (Arc::clone(app), channel::<()>());
        background("audit", move || {
            let pause = Duration::from_millis(limits::AUDIT_LOOK_MS);
            loop {
                // The engine panics on some damaged files; the thread outlives that.
                let done = catch_unwind(AssertUnwindSafe(|| own.look_after_audit()));
                if let Err(e) = done.unwrap_or_else(|_| Err(Error::internal("the watch panicked"))) {
                    tracing::error!(detail = e.detail(), "watching the journal: {e}");
                }
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self(stop))
    }
}

impl App {
    /// Follows the journal, and tells the system's log what there is to tell. The thread calls this; tests may.
    pub fn look_after_audit(&self) -> Result<()> {
        let head = self.store.head();
        let (alarms, waiting) = {
            let state = self.watched()?;
            (state.alarms.clone(), state.open().count())
        };
        let mut syslog = lock(&self.console.syslog.0);
        let Some(standing) = &mut *syslog else { return Ok(()) };
        let now = self.now();
        let told = standing.told;
        for alarm in alarms.iter().filter(|a| a.raised > told) {
            if !standing.send(WARNING, ("alarm", now), &alarm_words(alarm)) {
                return Ok(());
            }
            standing.told = standing.told.max(alarm.raised);
        }
        let due = standing.sent.is_none_or(|(sent, at)| {
            // A clock that went back must not keep the next one for long.
            sent != head && !(0..limits::SYSLOG_HEAD_S).contains(&now.seconds_since(at))
        });
        if due {
            let facts = self.facts();
            let words = format!(
                "store={} epoch={} seq={} hash={} alarms={waiting}",
                facts.store,
                facts.epoch,
                head.seq,
                hex::encode(head.hash)
            );
            if standing.send(INFORMATIONAL, ("head", now), &words) {
                standing.sent = Some((head, now));
            }
        }
        Ok(())
    }

    /// Whether the system's log takes what it is sent; `None` where none is configured.
    pub(in crate::app) fn syslog(&self) -> Option<Finding> {
        let syslog = lock(&self.console.syslog.0);
        let standing = syslog.as_ref()?;
        let (name, place) = ("系统日志", standing.path.display());
        Some(match (&standing.failed, standing.sent) {
            (Some(why), _) => Finding {
                name,
                verdict: Verdict::Warn,
                text: format!("{place} 没有收下链头和告警（{why}）。请检查系统日志服务，或修改配置中的 syslog。"),
            },
            (None, Some((head, at))) => Finding {
                name,
                verdict: Verdict::Good,
                text: format!("链头和告警送往 {place}，最近一次 {at}，第 {} 条。", head.seq),
            },
            (None, None) => Finding { name, verdict: Verdict::Good, text: format!("链头和告警将送往 {place}。") },
        })
    }
}

impl Standing {
    /// Sends a line, and keeps whether it was taken.
    fn send(&mut self, severity: u8, (what, at): (&str, Moment), words: &str) -> bool {
        let text = line(severity, (&self.host, what, at), words);
        let sent = UnixDatagram::unbound().and_then(|socket| {
            // A log that is stuck must not keep the watch.
            socket.set_nonblocking(true)?;
            socket.send_to(text.as_bytes(), &self.path)
        });
        self.failed = sent.err().map(|e| e.to_string());
        self.failed.is_none()
    }
}

/// A line of RFC 5424, without structured data.
fn line(severity: u8, (host, what, at): (&str, &str, Moment), words: &str) -> String {
    let priority = AUDIT * 8 + severity;
    let process = std::process::id();
    format!("<{priority}>1 {} {host} jiceng {process} {what} - {words}", at.rfc3339())
}

fn alarm_words(alarm: &Alarm) -> String {
    format!(
        "rule={} account={} count={} first={} last={}",
        RULES[alarm.rule].name, alarm.account, alarm.count, alarm.span.0, alarm.span.1
    )
}

/// The name of the host as a line can hold it.
fn named(host: &str) -> String {
    let name: String = host.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::demo;
    use crate::base::clock::ManualClock;
    use crate::base::{RecordId, Seq};
    use crate::records::act;
    use crate::store::Act;

    /// ASVS 16.2.2, 16.2.4
    #[test]
    fn a_line_is_one_of_rfc_5424() {
        let at = Moment::of_beijing("2026-11-30 09:00:01").unwrap();
        let head = line(INFORMATIONAL, ("host", "head", at), "seq=7");
        let process = std::process::id();
        assert_eq!(head, format!("<110>1 2026-11-30T01:00:01.000Z host jiceng {process} head - seq=7"));
        assert_eq!([named(" a b\n"), named("\n")], ["ab", "-"]);
    }

    #[test]
    fn heads_and_alarms_reach_the_log_and_a_log_that_is_gone_fails_nothing() {
        let home = tempfile::tempdir().unwrap();
        let begun = Moment::of_beijing("2026-11-30 09:00").unwrap();
        let clock = Arc::new(ManualClock::at(begun));
        let own = Arc::clone(&clock);
        let app = demo::create(&home.path().join("d"), own, true).unwrap();
        let path = home.path().join("log");
        let (standing, told) = (Standing::of(&path), app.store.head().seq.0);
        *lock(&app.console.syslog.0) = Some(Standing { told, ..standing });
        app.look_after_audit().unwrap();
        assert!(app.syslog().is_some_and(|f| f.verdict == Verdict::Warn && f.text.contains("没有收下")));
        let log = UnixDatagram::bind(&path).unwrap();
        log.set_nonblocking(true).unwrap();
        let heard = || {
            let mut bytes = [0; 2048];
            log.recv(&mut bytes).ok().map(|n| String::from_utf8(bytes[..n].to_vec()).unwrap())
        };
        app.look_after_audit().unwrap();
        let head = app.store.head();
        let said = heard().unwrap();
        assert!(said.contains(&format!(" head - store={} epoch=1 seq={}", app.facts().store, head.seq)), "{said}");
        assert!(said.contains(&hex::encode(head.hash)) && heard().is_none());
        // Nothing new within a minute, and nothing while the journal stands still.
        clock.set(Moment(begun.0 + 600_000));
        app.look_after_audit().unwrap();
        assert!(heard().is_none());
        let doer = app.demo_actor("xinfang").unwrap().doer();
        for _ in 0..5 {
            let act = Act::new(doer.clone(), act::DENIED).refused();
            app.store.submit(move |txn| {
                txn.act(act);
                Ok(())
            })
            .unwrap();
        }
        app.look_after_audit().unwrap();
        let (alarm, head) = (heard().unwrap(), heard().unwrap());
        let words = format!("alarm - rule=refusals account={} count=5", doer.account);
        assert!(alarm.starts_with("<108>1 ") && alarm.contains(&words), "{alarm}");
        assert!(head.ends_with(" alarms=1"), "{head}");
        app.look_after_audit().unwrap();
        assert!(heard().is_none() && app.syslog().is_some_and(|f| f.verdict == Verdict::Good));
        assert!(doer.account > RecordId(0) && app.store.head().seq > Seq(5));
    }

    impl Standing {
        fn of(path: &Path) -> Self {
            Self { path: path.to_owned(), host: "-".into(), sent: None, told: 0, failed: None }
        }
    }
}
