//! Bugs that can be planted on purpose, so that a test can show that the suite would catch each of them
//! (`app::planted`). Only a unit test can plant one; everywhere else [`planted`] is `false` and costs nothing.

/// What can be done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The database is not synced.
    SyncSkipped,
    /// People are answered before the commit.
    AnsweredEarly,
    /// A change is committed without its journal entry.
    EntryLeftOut,
    /// A journal entry is committed without its change.
    ChangeLeftOut,
    /// A command that fails takes its neighbours' changes along.
    NeighbourLost,
    /// The index says that it has seen what it has not.
    IndexAhead,
    /// The folder of a new attachment is not synced.
    FolderNotSynced,
    /// An attachment has its name before its bytes are on the disk.
    FileNotSynced,
    /// The last number given is not kept.
    CounterForgotten,
    /// The manifest of a backup is there before the data.
    ManifestFirst,
}

/// Whether this process has the bug.
#[cfg(not(test))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

/// Name of the variable of the environment that plants a bug in a process of tests.
#[cfg(test)]
pub(crate) const PLANT: &str = "JICENG_PLANTED";

/// The bug of this process by its name; `None` in ordinary processes, which are not looked at so closely.
#[cfg(test)]
pub(crate) fn plant() -> Option<&'static str> {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var(PLANT).ok()).as_deref()
}

#[cfg(test)]
static ARMED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// From now on the bug is there.
#[cfg(test)]
pub(crate) fn arm() {
    ARMED.store(true, std::sync::atomic::Ordering::SeqCst);
}

/// Whether this process has the bug, now.
#[cfg(test)]
pub(crate) fn planted(bug: Bug) -> bool {
    ARMED.load(std::sync::atomic::Ordering::SeqCst) && plant() == Some(&format!("{bug:?}"))
}
