//! The version of the store: a new store's first contents, and the steps from each older version to this one.

use redb::{Database, ReadableDatabase};

use super::ring::Ring;
use super::seal::{self, Secret};
use super::tables::{
    CHILDREN, COUNTERS, HIDDEN, JOURNAL, LISTS, LOOKUPS, META, PURGED, RECORD_KEYS, RECORDS, TALLIES, TOUCHES,
};
use super::{damage, fact, secret_place, view};
use crate::base::{Error, Result};

/// Version of the format this program writes.
pub const STORE_VERSION: u32 = 4;

/// Steps from older versions, by the version they start from. A step runs in one transaction.
const STEPS: &[(u32, Step)] = &[(1, with_batches), (2, with_purges), (3, with_persons)];

type Step = fn(&redb::WriteTransaction) -> Result<()>;

/// Records of version 1 came in one by one: no batch hides any.
fn with_batches(txn: &redb::WriteTransaction) -> Result<()> {
    txn.open_table(HIDDEN).map(drop).map_err(damage)
}

/// Nothing was purged before version 3.
fn with_purges(txn: &redb::WriteTransaction) -> Result<()> {
    txn.open_table(PURGED).map(drop).map_err(damage)
}

/// Before version 4 no record was found by the persons it names. Steps have no keys: the tables are made anew, before
/// anybody reads them, when the store is open.
fn with_persons(txn: &redb::WriteTransaction) -> Result<()> {
    let mut meta = txn.open_table(META).map_err(damage)?;
    meta.insert(fact::STALE.as_bytes(), &b"1"[..]).map(drop).map_err(damage)
}

/// Derived tables are of an older version.
pub(super) fn is_stale(db: &Database) -> Result<bool> {
    let txn = db.begin_read().map_err(damage)?;
    let meta = txn.open_table(META).map_err(damage)?;
    Ok(meta.get(fact::STALE.as_bytes()).map_err(damage)?.is_some())
}

/// Fills a new database: its tables, facts and secrets.
pub(super) fn write_first(db: &Database, ring: &Ring, given: &[(&str, &str)]) -> Result<()> {
    let txn = begin(db)?;
    create_tables(&txn)?;
    {
        let own = Secret::random()?;
        let mut keys = txn.open_table(RECORD_KEYS).map_err(damage)?;
        keys.insert(0, ring.generations().wrap(0, &own)?.as_slice()).map_err(damage)?;
        let mut meta = txn.open_table(META).map_err(damage)?;
        let version = STORE_VERSION.to_string();
        let plain = [
            (fact::VERSION, version.as_str()),
            (fact::STORE, ring.store.as_str()),
            (fact::EPOCH, "1"),
            (fact::NEXT_ID, "1"),
        ];
        for (name, value) in plain.iter().chain(given) {
            meta.insert(name.as_bytes(), value.as_bytes()).map_err(damage)?;
        }
        meta.insert(fact::HEAD.as_bytes(), view::first_head().as_slice()).map_err(damage)?;
        for name in fact::SECRETS {
            let sealed = own.seal(&secret_place(&ring.store, name), &seal::random::<32>()?)?;
            meta.insert(name.as_bytes(), sealed.as_slice()).map_err(damage)?;
        }
    }
    txn.commit().map_err(damage)
}

/// Refuses a newer store, upgrades an older one step by step.
pub(super) fn bring_up(db: &Database) -> Result<()> {
    let mut version = version(db)?;
    while version < STORE_VERSION {
        let step = STEPS.iter().find(|(from, _)| *from == version);
        let (_, step) = step.ok_or_else(|| Error::damaged(format!("数据格式版本 {version}")))?;
        let txn = begin(db)?;
        step(&txn)?;
        version += 1;
        let mut meta = txn.open_table(META).map_err(damage)?;
        meta.insert(fact::VERSION.as_bytes(), version.to_string().as_bytes()).map_err(damage)?;
        drop(meta);
        txn.commit().map_err(damage)?;
    }
    Ok(())
}

fn version(db: &Database) -> Result<u32> {
    let txn = db.begin_read().map_err(damage)?;
    let meta = txn.open_table(META).map_err(damage)?;
    let value = meta.get(fact::VERSION.as_bytes()).map_err(damage)?;
    known(value.map(|v| v.value().to_vec()).unwrap_or_default().as_slice())
}

/// Reads the fact `version`; refuses one that this program does not know.
pub(super) fn known(fact: &[u8]) -> Result<u32> {
    let version = String::from_utf8_lossy(fact).parse().map_err(|_| Error::damaged("数据格式版本"))?;
    if version > STORE_VERSION {
        return Err(Error::invalid(format!(
            "数据由更新的版本写成（格式 {version}，本程序认识到 {STORE_VERSION}）。请安装新版程序后再打开。"
        )));
    }
    Ok(version)
}

/// A write transaction with the durability every commit has: both phases synced, quick to repair.
pub(super) fn begin(db: &Database) -> Result<redb::WriteTransaction> {
    let mut txn = db.begin_write().map_err(damage)?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}

/// Creates what is missing, so that readers find every table.
pub(super) fn create_tables(txn: &redb::WriteTransaction) -> Result<()> {
    txn.open_table(META).map_err(damage)?;
    txn.open_table(COUNTERS).map_err(damage)?;
    txn.open_table(RECORDS).map_err(damage)?;
    txn.open_table(RECORD_KEYS).map_err(damage)?;
    txn.open_table(JOURNAL).map_err(damage)?;
    txn.open_table(LISTS).map_err(damage)?;
    txn.open_table(TALLIES).map_err(damage)?;
    txn.open_table(LOOKUPS).map_err(damage)?;
    txn.open_table(CHILDREN).map_err(damage)?;
    txn.open_table(TOUCHES).map_err(damage)?;
    txn.open_table(HIDDEN).map_err(damage)?;
    txn.open_table(PURGED).map_err(damage)?;
    Ok(())
}
