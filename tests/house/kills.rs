//! The process is killed at the n-th call of the system that writes, syncs, renames or opens something, under load:
//! what was acknowledged is there, the journal holds, and the next start needs nobody.
//!
//! `JICENG_CAMPAIGN=n` makes n times as many rounds; where strace is missing there are none. A thread counts its own
//! calls, so that n says how far one of them came.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::county::{County, PETITION, Person};
use super::crash::{Promise, UNITS, campaign, from, holds, work};
use super::disk::{STRACE, can_meddle};
use super::form::Form;
use super::passwords::PASSWORD;
use super::register::noise;
use super::wire;

const ROUNDS: u64 = 8;
/// Calls, and how many of them one thread makes at most before the round ends.
const CALLS: [(&str, u64); 6] =
    [("pwrite64", 150), ("fdatasync", 12), ("write", 25), ("fsync", 2), ("rename", 2), ("openat", 25)];
/// A round ends with so many petitions, whether its call came or not.
const ENOUGH: usize = 9;
/// Looks at the server, a hundred a second, after which the round ends all the same.
const PATIENCE: usize = 3_000;

/// Logs in and registers, until the server is gone.
fn live(
    person: &Person,
    (by, round): (usize, u64),
    end: &AtomicBool,
    kept: &Mutex<Vec<Promise>>,
) -> io::Result<()> {
    let pairs = [("login", person.login.as_str()), ("password", PASSWORD)].map(|(n, v)| (n.into(), v.into()));
    let request = person.own("POST", "/login");
    let kind = "application/x-www-form-urlencoded";
    if person.send(request.body(kind, wire::urlencoded(&pairs)))?.status == 303 {
        let page = person.send(person.request("GET", "/petition/new"))?;
        work(person, &Form::of(&page).fill(PETITION), (by, round), end, kept);
    }
    Ok(())
}

#[test]
fn kills_at_any_call_lose_nothing_that_was_acknowledged() {
    if !can_meddle() {
        return;
    }
    let county = County::bare();
    let people: Vec<Person> = UNITS.iter().map(|unit| county.clerk(unit)).collect();
    let (mut all, mut hit): (Vec<Promise>, u64) = (Vec::new(), 0);
    let (from, rounds) = (from(), ROUNDS * campaign());
    for round in from..from + rounds {
        let (call, most) = CALLS[usize::try_from(round).unwrap() % CALLS.len()];
        let random = noise(77_000 + round, 2);
        let n = 1 + (u64::from(random[0]) * 256 + u64::from(random[1])) % most;
        let inject = format!("inject={call}:signal=KILL:when={n}");
        let (kept, end) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let trace = format!("trace={call}");
        // It may be gone before it listens.
        if county.restart_under(&[STRACE, &["-e", &trace, "-e", &inject]].concat()).is_ok() {
            std::thread::scope(|scope| {
                for (by, person) in people.iter().enumerate() {
                    let (end, kept) = (&end, &kept);
                    scope.spawn(move || live(person, (by, 77_000 + round), end, kept));
                }
                for _ in 0..PATIENCE {
                    if !county.is_alive() || kept.lock().unwrap().len() >= ENOUGH {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                end.store(true, Ordering::Relaxed);
            });
        }
        hit += u64::from(!county.is_alive());
        county.kill_9();
        county.is_sound();
        all.append(&mut kept.into_inner().unwrap());
    }
    println!("{hit} of {rounds} kills hit, {} petitions were acknowledged", all.len());
    assert!(hit * 2 > rounds && all.len() as u64 * 4 > rounds, "{hit} kills, {} petitions", all.len());
    county.restart();
    people.iter().for_each(|person| drop(person.log_in(PASSWORD).expect(303)));
    holds(&people, &all, 0);
    county.is_sound();
}
