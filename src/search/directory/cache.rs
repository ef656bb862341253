//! Opened pieces of sealed files, kept in memory while there is room for them.
//!
//! What must hold: what is kept is bounded in bytes, and the piece that was longest not asked for goes first. Merges
//! read everything once: they have a room of their own, so that what searches need stays. Pieces that somebody holds
//! anyway are lent to the next one who asks, and take no room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lru::LruCache;

use super::super::{INDEX_CACHE_BYTES, INDEX_MERGE_CACHE_BYTES};
use super::format::FileId;

/// A piece of a file: id of the writing, and bytes from here to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    pub(super) file: FileId,
    pub(super) from: usize,
    pub(super) upto: usize,
}

/// In which room a piece is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// What searches ask for again.
    Hot,
    /// What a merge reads, and nobody after it.
    Merge,
    /// Whoever asked holds it.
    Lent,
}

/// The pieces of one folder.
pub(super) struct Cache {
    hot: Mutex<Shelf>,
    merge: Mutex<Shelf>,
    lent: Mutex<Lent>,
}

struct Shelf {
    pieces: LruCache<Piece, Arc<[u8]>>,
    bytes: usize,
    limit: usize,
}

#[derive(Default)]
struct Lent {
    pieces: HashMap<Piece, Weak<[u8]>>,
    /// Entries after which those that nobody holds any more are looked for.
    sweep: usize,
}

impl Default for Cache {
    fn default() -> Self {
        let shelf = |limit| Mutex::new(Shelf { pieces: LruCache::unbounded(), bytes: 0, limit });
        Self { hot: shelf(INDEX_CACHE_BYTES), merge: shelf(INDEX_MERGE_CACHE_BYTES), lent: Mutex::default() }
    }
}

impl Cache {
    /// The piece, if it is there.
    pub(super) fn get(&self, piece: &Piece, room: Room) -> Option<Arc<[u8]>> {
        match room {
            Room::Hot => held(&self.hot).pieces.get(piece).cloned(),
            // A merge does not make hot what was not.
            Room::Merge => {
                let hot = held(&self.hot).pieces.peek(piece).cloned();
                hot.or_else(|| held(&self.merge).pieces.get(piece).cloned())
            }
            Room::Lent => held(&self.lent).pieces.get(piece).and_then(Weak::upgrade),
        }
    }

    /// Keeps a piece.
    pub(super) fn keep(&self, piece: Piece, bytes: &Arc<[u8]>, room: Room) {
        match room {
            Room::Hot => held(&self.hot).keep(piece, bytes),
            Room::Merge => held(&self.merge).keep(piece, bytes),
            Room::Lent => held(&self.lent).keep(piece, bytes),
        }
    }

    #[cfg(test)]
    pub(super) fn forget(&self) {
        for shelf in [&self.hot, &self.merge] {
            let mut shelf = held(shelf);
            shelf.pieces.clear();
            shelf.bytes = 0;
        }
    }

    /// Bytes kept for whoever asks next.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        held(&self.hot).bytes + held(&self.merge).bytes
    }
}

impl Shelf {
    fn keep(&mut self, piece: Piece, bytes: &Arc<[u8]>) {
        // One that alone would take the room of many is read again.
        if bytes.len() > self.limit / 4 {
            return;
        }
        self.bytes += bytes.len();
        if let Some(before) = self.pieces.put(piece, Arc::clone(bytes)) {
            self.bytes -= before.len();
        }
        while self.bytes > self.limit {
            let Some((_, oldest)) = self.pieces.pop_lru() else { return };
            self.bytes -= oldest.len();
        }
    }
}

impl Lent {
    fn keep(&mut self, piece: Piece, bytes: &Arc<[u8]>) {
        if self.pieces.len() >= self.sweep {
            self.pieces.retain(|_, bytes| bytes.strong_count() > 0);
            self.sweep = 2 * self.pieces.len() + 64;
        }
        self.pieces.insert(piece, Arc::downgrade(bytes));
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(n: usize) -> Piece {
        Piece { file: [7; 16], from: n, upto: n + 1 }
    }

    fn bytes(length: usize) -> Arc<[u8]> {
        Arc::from(vec![1; length])
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for_and_the_oldest_goes_first() {
        let cache = Cache::default();
        let size = INDEX_CACHE_BYTES / 8;
        (0..20).for_each(|n| {
            cache.keep(piece(n), &bytes(size), Room::Hot);
            // The first is asked for all the time.
            assert!(cache.get(&piece(0), Room::Hot).is_some() && cache.bytes() <= INDEX_CACHE_BYTES);
        });
        assert!(cache.get(&piece(1), Room::Hot).is_none() && cache.get(&piece(19), Room::Hot).is_some());
        // Again the same takes no more room; one that is too large takes none.
        let before = cache.bytes();
        cache.keep(piece(19), &bytes(size), Room::Hot);
        cache.keep(piece(99), &bytes(INDEX_CACHE_BYTES / 2), Room::Hot);
        assert_eq!((cache.bytes(), cache.get(&piece(99), Room::Hot)), (before, None));
    }

    #[test]
    fn a_merge_pushes_out_nothing_that_searches_need() {
        let cache = Cache::default();
        cache.keep(piece(0), &bytes(1_000), Room::Hot);
        (1..50).for_each(|n| cache.keep(piece(n), &bytes(INDEX_MERGE_CACHE_BYTES / 8), Room::Merge));
        assert!(cache.get(&piece(0), Room::Hot).is_some() && cache.get(&piece(0), Room::Merge).is_some());
        assert!(cache.get(&piece(49), Room::Merge).is_some() && cache.get(&piece(49), Room::Hot).is_none());
        assert!(cache.bytes() <= INDEX_MERGE_CACHE_BYTES + 1_000);
    }

    #[test]
    fn what_somebody_holds_is_lent_and_goes_with_the_last_holder() {
        let cache = Cache::default();
        let held = bytes(1_000);
        cache.keep(piece(0), &held, Room::Lent);
        assert!(cache.get(&piece(0), Room::Lent).is_some_and(|b| Arc::ptr_eq(&b, &held)));
        assert_eq!(cache.bytes(), 0);
        drop(held);
        assert!(cache.get(&piece(0), Room::Lent).is_none());
        (1..1_000).for_each(|n| cache.keep(piece(n), &bytes(10), Room::Lent));
        assert!(cache.lent.lock().unwrap().pieces.len() < 100);
    }
}
