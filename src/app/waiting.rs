//! The waiting room before password checks: a few are checked at once, some wait, and whoever finds it full is
//! told so at once instead of holding a worker that pages need.
//!
//! What must hold: no address takes all the places, so that a flood from one device does not lock the others out, and
//! no flood of strangers those who are known; a check that panics leaves its place all the same.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;
use super::throttle::Guest;
use crate::base::{Error, ErrorKind, Result, limits};

const FULL: &str = "系统忙：同时登录的人太多，这一次没有核对口令。请过几秒再试。";

/// The room.
#[derive(Default)]
pub(super) struct Room {
    places: Mutex<Places>,
    left: Condvar,
}

#[derive(Default)]
struct Places {
    working: usize,
    waiting: usize,
    by: HashMap<String, usize>,
}

impl Room {
    /// Does costly work for a guest, when it is its turn.
    ///
    /// # Errors
    /// `Busy` when the room is full, or as full of this guest as it may be.
    pub(super) fn turn<T>(&self, guest: &Guest, work: impl FnOnce() -> T) -> Result<T> {
        let from = guest.name();
        let (most, of_one) = if guest.is_known() {
            (limits::ARGON_WAITING + limits::ARGON_WAITING_KNOWN, limits::ARGON_WAITING_OF_KNOWN)
        } else {
            (limits::ARGON_WAITING, limits::ARGON_WAITING_OF_ONE)
        };
        let mut places = lock(&self.places);
        let own = places.by.get(&from).copied().unwrap_or_default();
        let full = places.waiting >= most || own >= of_one;
        if full && places.working >= limits::ARGON_AT_ONCE {
            return Err(Error::new(ErrorKind::Busy, FULL));
        }
        *places.by.entry(from.clone()).or_default() += 1;
        places.waiting += 1;
        while places.working >= limits::ARGON_AT_ONCE {
            places = self.left.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
        places.waiting -= 1;
        if let Some(own) = places.by.get_mut(&from) {
            *own -= 1;
        }
        places.by.retain(|_, own| *own > 0);
        places.working += 1;
        drop(places);
        let _leaves = Leaves(self);
        Ok(work())
    }
}

/// Gives the place at work back.
struct Leaves<'a>(&'a Room);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        lock(&self.0.places).working -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn at(address: &str) -> Guest {
        Guest::Stranger(address.to_owned())
    }

    /// Every waiting log-in held one of the workers that answer pages: enough of them, and no page was answered.
    #[test]
    fn a_flood_of_log_ins_is_refused_and_others_still_find_a_place() {
        let room = Room::default();
        let (entered, enters) = channel();
        let gates: Vec<_> = (0..limits::ARGON_AT_ONCE).map(|_| channel::<()>()).collect();
        std::thread::scope(|scope| {
            let mut keys = Vec::new();
            for (key, gate) in gates {
                let (room, entered) = (&room, entered.clone());
                keys.push(key);
                scope.spawn(move || room.turn(&at("10.0.0.1"), || (entered.send(()), gate.recv())).is_ok());
            }
            (0..limits::ARGON_AT_ONCE).for_each(|_| enters.recv().unwrap());
            let wait = |from: Guest, n: usize| {
                let from = &*Box::leak(Box::new(from));
                let before = lock(&room.places).waiting;
                let waiting: Vec<_> = (0..n).map(|_| scope.spawn(|| room.turn(from, || ()).is_ok())).collect();
                while lock(&room.places).waiting < before + n {
                    std::thread::yield_now();
                }
                waiting
            };
            let mut waiting = wait(at("10.0.0.1"), limits::ARGON_WAITING_OF_ONE);
            let refused = room.turn(&at("10.0.0.1"), || ()).unwrap_err();
            assert!(refused.kind() == ErrorKind::Busy && refused.public().contains("系统忙"));
            waiting.extend(wait(at("10.0.0.2"), limits::ARGON_WAITING - limits::ARGON_WAITING_OF_ONE));
            assert!(room.turn(&at("10.0.0.3"), || ()).is_err());
            // Whoever is known finds a place all the same, and takes no more than a few.
            waiting.extend(wait(Guest::Known("0f".into()), limits::ARGON_WAITING_OF_KNOWN));
            assert!(room.turn(&Guest::Known("0f".into()), || ()).is_err());
            waiting.extend(wait(Guest::Known("a0".into()), 1));
            drop(keys);
            assert!(waiting.into_iter().all(|w| w.join().unwrap()), "who waited was not served");
        });
        let places = lock(&room.places);
        assert_eq!((places.working, places.waiting, places.by.len()), (0, 0, 0));
    }

    /// ASVS 15.4.3
    #[test]
    fn a_check_that_panics_leaves_its_place() {
        let room = Room::default();
        for _ in 0..=limits::ARGON_AT_ONCE {
            let work = std::panic::AssertUnwindSafe(|| room.turn(&at("a"), || panic!("on purpose")));
            assert!(std::panic::catch_unwind(work).is_err());
        }
        assert_eq!(room.turn(&at("a"), || 7).unwrap(), 7);
    }
}
