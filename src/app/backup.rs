//! Backups as the product does them: who the recipients are, the journal entry of each run, and when the last one
//! succeeded. The set itself is the backup floor's business.

use std::path::Path;

use super::{Actor, App, access::local_doer};
use crate::backup::{self, Done, Signer, Watch};
use crate::base::{Error, Moment, Result, limits};
use crate::records::act;
use crate::store::{Act, fact};

impl App {
    /// Writes and verifies a set. Recipients other than the configured ones are for demo stores only.
    pub fn backup(&self, target: &Path, given: &[String], progress: Watch<'_>) -> Result<Done> {
        let recipients = self.recipients(given)?;
        self.has_room()?;
        let outcome = backup::run(&self.store, target, &recipients, progress);
        let act = match &outcome {
            Ok(done) => Act::new(local_doer(), act::BACKUP).note(done.set.clone()),
            Err(_) => Act::new(local_doer(), act::BACKUP_FAILED).refused(),
        };
        let done = outcome.is_ok();
        self.store.submit(move |txn| {
            if done {
                txn.set_fact(fact::LAST_BACKUP, txn.now().0.to_string());
            }
            txn.act(act);
            Ok(())
        })?;
        outcome
    }

    /// A set is loaded once into a throw-away store beside the data: that must not fill the disk under the clerks.
    fn has_room(&self) -> Result<()> {
        let bytes = |dir: &Path| -> u64 {
            let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
            files.filter_map(|f| f.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
        };
        let blobs = self.dir().join("blobs");
        let folders = std::fs::read_dir(&blobs).into_iter().flatten().flatten().map(|f| f.path());
        let needed = (bytes(self.dir()) + folders.map(|f| bytes(&f)).sum::<u64>()) / 5 * 6;
        let free = fs4::available_space(self.dir())?;
        if free > needed + limits::SPACE_RESERVE_BYTES {
            return Ok(());
        }
        let (needed, free) = (needed >> 20, free >> 20);
        Err(Error::invalid(format!("数据盘剩余 {free} MB，备份的恢复核验需要约 {needed} MB。请先清理或扩容。")))
    }

    /// The county's signing key, for key files and for whoever wants to compare.
    pub fn signer(&self) -> Result<Signer> {
        backup::signer_of(&self.store.read()?)
    }

    /// When the last verified set was written.
    pub fn last_backup(&self) -> Result<Option<Moment>> {
        let text = self.store.read()?.fact_text(fact::LAST_BACKUP)?;
        Ok(text.parse().ok().map(Moment))
    }

    /// Recipients, and when the last verified set was written; for the system administrator.
    pub fn backup_state(&self, actor: &Actor) -> Result<(Vec<String>, Option<Moment>)> {
        self.keeps_backups(actor)?;
        let text = self.store.read()?.fact_text(fact::RECIPIENTS)?;
        Ok((text.lines().map(str::to_owned).collect(), self.last_backup()?))
    }

    /// Sets the recipients where there are none yet. Replacing them is not one person's business.
    pub fn set_recipients(&self, actor: &Actor, recipients: Vec<String>) -> Result<()> {
        self.keeps_backups(actor)?;
        backup::check_recipients(&recipients)?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !super::record::live(txn, &actor)?.is("sysadmin") {
                return Err(Error::denied());
            }
            if txn.fact(fact::RECIPIENTS)?.is_some_and(|r| !r.is_empty()) {
                return Err(Error::invalid("备份密钥已经设置。更换密钥不能由一个人完成。"));
            }
            txn.set_fact(fact::RECIPIENTS, recipients.join("\n"));
            txn.act(Act::new(actor.doer(), act::RECIPIENTS));
            Ok(())
        })
    }

    fn keeps_backups(&self, actor: &Actor) -> Result<()> {
        let kind = &crate::records::account::KIND;
        if actor.is("sysadmin") { Ok(()) } else { Err(self.refused(actor, kind, crate::base::RecordId(0))) }
    }

    fn recipients(&self, given: &[String]) -> Result<Vec<String>> {
        let configured = self.store.read()?.fact_text(fact::RECIPIENTS)?;
        let configured: Vec<String> = configured.lines().map(str::to_owned).collect();
        if given.is_empty() {
            if configured.is_empty() {
                let least = limits::RECIPIENTS_MIN;
                return Err(Error::invalid(format!("没有设置备份密钥。请先用 jiceng backup keygen 生成至少 {least} 把。")));
            }
            return Ok(configured);
        }
        let known = given.iter().all(|r| configured.contains(r));
        if !known && !self.facts().demo {
            return Err(Error::invalid("只能备份给已设置的密钥；--recipient 的其他密钥仅限演示数据使用。"));
        }
        Ok(given.to_vec())
    }
}

/// Recipients are absent, or enough and well formed.
pub fn check_recipients(recipients: &[String]) -> Result<()> {
    if recipients.is_empty() { Ok(()) } else { backup::check_recipients(recipients) }
}
