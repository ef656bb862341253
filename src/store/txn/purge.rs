//! The part of a command that purges: a record gets a new key and keeps what concerns nobody; the old key, and with it
//! every earlier version, journal part and identity, is forgotten in the same transaction.

use std::collections::BTreeSet;

use super::{Txn, kind_of};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::{Value, purge};
use crate::store::seal::Secret;
use crate::store::{fact, tables, view};

impl Txn<'_> {
    /// Purges a record, whether its batch hides it or not; how many attachments went with it, `None` when it was purged
    /// already. The act of the command is [`crate::records::act::PURGE`].
    pub fn purge(&mut self, id: RecordId) -> Result<Option<u64>> {
        let before = self.get_any(id)?.ok_or_else(Error::denied)?;
        if before.is_purged() {
            return Ok(None);
        }
        if self.puts.contains_key(&id.0) {
            return Err(Error::internal("a record changed twice in one command"));
        }
        let kind = kind_of(&before)?;
        let files = self.files_ever(id, &before.fields.all_files().map(|f| f.blob).collect())?;
        let key = Secret::random()?;
        let wrapped = self.generations.wrap(id.0, &key)?;
        let hash = |b: &[u8]| self.shared.secrets.lookup.short_hash(b);
        let old_rows = tables::rows(kind, &before, &hash);
        // What is left is entered whole: nobody can read what it would differ from.
        self.put(kind, None, purge::remains(kind, &before, self.now), &key, Some(wrapped))?;
        if let Some(put) = self.puts.get_mut(&id.0) {
            put.old_rows = old_rows;
        }
        self.doom(&files)?;
        self.note_purge()?;
        Ok(Some(files.len() as u64))
    }

    /// Names of the sealed files of a record in all its versions. What does not open any more names nothing.
    fn files_ever(&self, id: RecordId, now: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let key = self.generations.open(id.0, &self.base.record_key(id.0)?)?;
        let mut names = now.clone();
        for entry in self.base.story(id.0)? {
            for part in entry.parts.iter().filter(|p| p.id == id) {
                let delta = view::open_delta(&key, id, entry.header.seq, part);
                names.extend(delta.iter().flat_map(|d| d.set.all_files()).map(|f| f.blob));
            }
        }
        Ok(names)
    }

    /// Notes files that are to be removed once this is durable.
    fn doom(&mut self, files: &BTreeSet<String>) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let mut lines: BTreeSet<String> = self.doomed()?.into_iter().collect();
        lines.extend(files.iter().cloned());
        self.set_doomed(lines);
        Ok(())
    }

    /// Names of files that are to be removed.
    pub(in crate::store) fn doomed(&self) -> Result<Vec<String>> {
        let text = self.fact(fact::PURGED_FILES)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
    }

    pub(in crate::store) fn set_doomed(&mut self, files: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = files.into_iter().collect();
        if lines.is_empty() {
            self.forget(fact::PURGED_FILES);
        } else {
            self.set_fact(fact::PURGED_FILES, lines.join("\n"));
        }
    }

    /// The generation of this moment must go: what the forgotten key was wrapped by. While keys move, an older one that
    /// waits goes with them anyway.
    fn note_purge(&mut self) -> Result<()> {
        let current = self.generations.current();
        let text = self.fact(fact::PURGE_KEYS)?.unwrap_or_default();
        let waits = crate::store::KeysDue::decode(&String::from_utf8_lossy(&text));
        if waits.is_none_or(|due| due.generation < current) {
            self.set_fact(fact::PURGE_KEYS, format!("{current} {}", self.now.0));
        }
        Ok(())
    }

    /// A generation took over from all older ones.
    pub(in crate::store) fn note_rotation(&mut self, generation: u32) -> Result<()> {
        let text = self.fact(fact::ROTATIONS)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines: Vec<&str> = text.lines().collect();
        let new = format!("{generation} {}", self.now.0);
        lines.push(&new);
        let from = lines.len().saturating_sub(limits::ROTATIONS_KEPT);
        self.set_fact(fact::ROTATIONS, lines[from..].join("\n"));
        Ok(())
    }

    /// The generation that wraps new record keys now, as records keep it.
    pub fn generation(&self) -> Value {
        Value::Int(i64::from(self.generations.current()))
    }
}
