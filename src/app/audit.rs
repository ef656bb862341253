//! The journal as the auditor sees it: who did what and when, never the content of business records.

use super::{Actor, App};
use crate::records::act;
use crate::base::{Error, Result, Seq};
use crate::store::{Entry, Head, Header, Report, Snapshot};

/// One line of the auditor's view.
pub struct Line {
    /// Who, when, what, about which records.
    pub header: Header,
    /// The reason given, where there is one.
    pub reason: Option<String>,
}

/// Search terms are content; reasons are addressed to the auditor.
pub(super) fn line(snapshot: &Snapshot, entry: Entry) -> Line {
    let told = [act::REVEAL.code, act::LABELLED.code].contains(&entry.header.action);
    let reason = told.then(|| snapshot.entry_secret(&entry)).flatten();
    Line { header: entry.header, reason }
}

impl App {
    /// The newest entries up to `before` (all when 0), newest first.
    pub fn audit_page(&self, actor: &Actor, before: u64, limit: usize) -> Result<(Vec<Line>, Head)> {
        if !actor.is("auditor") {
            return Err(self.refused(actor, &crate::records::account::KIND, crate::base::RecordId(0)));
        }
        let snapshot = self.store.read()?;
        let head = snapshot.head()?;
        let top = if before == 0 { head.seq.0 } else { before.saturating_sub(1).min(head.seq.0) };
        let mut lines = Vec::new();
        for seq in (1..=top).rev().take(limit) {
            let Some(entry) = snapshot.entry(Seq(seq))? else { continue };
            lines.push(line(&snapshot, entry));
        }
        Ok((lines, head))
    }

    /// Checks the whole store and the journal against heads kept outside (`seq hash`).
    pub fn audit_verify(&self, outside: &[Head]) -> Result<Report> {
        let mut report = self.store.check()?;
        let snapshot = self.store.read()?;
        for head in outside {
            match snapshot.entry(head.seq)? {
                Some(entry) if entry.hash == head.hash => {}
                Some(_) => report.problems.push(format!("日志第 {} 条与外部留存的链头不一致", head.seq)),
                None => report.problems.push(format!("日志缺少外部链头所记的第 {} 条（尾部被截断或库被回退）", head.seq)),
            }
        }
        Ok(report)
    }
}

/// Reads a head file: lines of `seq hash-hex`, `#` comments.
pub fn read_heads(text: &str) -> Result<Vec<Head>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let parse = || -> Option<Head> {
                let (seq, hash) = line.split_once(char::is_whitespace)?;
                let hash = hex::decode(hash.trim()).ok()?.try_into().ok()?;
                Some(Head { seq: Seq(seq.parse().ok()?), hash })
            };
            parse().ok_or_else(|| Error::usage("链头文件每行应为：序号 空格 64 位十六进制哈希。"))
        })
        .collect()
}
