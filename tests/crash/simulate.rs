//! A county in a machine: administrators and staff do what chance has them do, on a virtual clock and a virtual disk,
//! and after every command the application must answer, enter in its journal and hold what a model says that shares no
//! code with it. The power goes in the middle of commands; what was acknowledged is there, the rest is wholly there or
//! wholly not.
//!
//! `JICENG_SEED=n` runs one seed and prints its commands; `JICENG_CAMPAIGN=n` runs n times as many seeds, beginning
//! with seed `JICENG_FROM`.

#[path = "simulate/command.rs"]
mod command;
#[path = "simulate/looks.rs"]
mod looks;
#[path = "simulate/model.rs"]
mod model;
#[path = "simulate/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use command::{Command, Draw};
use jiceng::base::RecordId;
use model::Model;
use world::World;

use super::disk::{self, Chance};
use super::{campaign, from, number};

/// Seeds of an ordinary run.
const SEEDS: usize = 125;
/// Commands of a seed.
const COMMANDS: usize = 200;
/// One command in so many is cut.
const CUTS: usize = 50;
/// Commands that a failure tells of.
const TOLD: usize = 12;
const WORKERS: usize = 2;
/// Wrong seeds after which nobody needs more.
const WRONG: usize = 5;
/// Seeds on a disk that lies.
const LYING_SEEDS: usize = 6;

/// One seed under way.
struct Run {
    model: Model,
    world: World,
    chance: Chance,
    told: Vec<String>,
    cuts: usize,
    aloud: bool,
}

impl Run {
    fn new(seed: usize, aloud: bool, lies: bool) -> Self {
        let chance = Chance(seed as u64);
        Self { model: world::first_model(), world: World::new(lies), chance, told: Vec::new(), cuts: 0, aloud }
    }

    fn all(&mut self) -> Result<(), String> {
        for n in 0..COMMANDS {
            let command = Draw { model: &self.model, chance: &mut self.chance }.command();
            let cut = command.can_be_cut() && self.chance.below(CUTS) == 0;
            self.tell(format!("{n}{} {command:?}", if cut { " cut" } else { "" }));
            match command {
                _ if cut => self.cut(&command)?,
                Command::Audit => self.audit()?,
                _ => self.step(&command)?,
            }
        }
        self.audit()
    }

    #[expect(clippy::print_stdout, reason = "whoever replays a seed wants to see its commands")]
    fn tell(&mut self, what: String) {
        if self.aloud {
            println!("{what}");
        }
        self.told.push(what);
    }

    /// Does it, and holds answer and entries against the model.
    fn step(&mut self, command: &Command) -> Result<(), String> {
        let head = self.world.head();
        let before = self.model.clone();
        let right = self.model.answer(command);
        let said = self.world.answer(&before, command)?;
        if said != right {
            return Err(format!("the answer is {said}\nit should be   {right}"));
        }
        let mut entries = self.world.entries_after(head)?;
        if right == "found nothing exactly" {
            // Near hits are nobody's promise; that those shown were to be seen was looked at already.
            entries.retain(|e| !world::is_search(e));
        }
        if entries != self.model.entries {
            let right = &self.model.entries;
            return Err(format!("{command:?} answered {said}\nentered is   {entries:?}\nit should be {right:?}"));
        }
        Ok(())
    }

    /// The same, and the power goes on the way.
    fn cut(&mut self, command: &Command) -> Result<(), String> {
        self.cuts += 1;
        let (before, head) = (self.model.clone(), self.world.head());
        self.world.promise();
        self.step(command)?;
        self.world.promise();
        let all = self.world.head() - head;
        let kept = self.world.power_cut(head, &mut self.chance)?;
        self.tell(format!("   {kept} of {all} entries are there"));
        if kept < all {
            self.model = before;
            match command {
                _ if kept == 0 => {}
                Command::Import { who, unit, rows } => {
                    self.model.import(*who, *unit, rows, usize::try_from(kept).unwrap());
                }
                _ => return Err(format!("half of it is there: {kept} of {all} entries")),
            }
        }
        self.model.restarted();
        self.audit()
    }

    /// Everything: the store in itself, each record, each list, drafts, and some of what people see.
    fn audit(&mut self) -> Result<(), String> {
        let report = self.world.store().check().map_err(|e| format!("{e:?}"))?;
        if report.faults > 0 || !report.problems.is_empty() || report.entries != self.world.head() {
            return Err(format!("the check finds {:?}", report.problems));
        }
        self.records()?;
        for who in (0..self.model.people.len()).filter(|w| self.model.people[*w].open).collect::<Vec<_>>() {
            self.step(&Command::List { who, state: None })?;
            let account = self.model.people[who].id;
            let own = self.model.drafts.iter().filter(|((a, _), _)| *a == account && self.model.may_create(who));
            let right: BTreeSet<_> = own.map(|((_, id), (title, m))| (id.clone(), title.clone(), *m)).collect();
            let drafts = self.world.drafts(&self.model, who)?;
            if drafts != right {
                return Err(format!("drafts of {who} are {drafts:?}\nshould be {right:?}"));
            }
        }
        let ids: Vec<u64> = self.model.petitions.keys().copied().collect();
        let who = self.chance.below(self.model.people.len());
        for id in &ids {
            self.step(&Command::Open { who, id: *id })?;
        }
        for id in ids.iter().filter(|id| **id % 5 == 0) {
            let text = self.model.petitions[id].form.text.chars().skip(2).take(8).collect();
            self.step(&Command::Search { who, text })?;
        }
        Ok(())
    }

    /// Each record that is stored, hidden ones too, and nothing else.
    fn records(&self) -> Result<(), String> {
        let snapshot = self.world.store().read().map_err(|e| e.to_string())?;
        let last = snapshot.last_id().map_err(|e| e.to_string())?.0;
        if last + 1 != self.model.next_id {
            return Err(format!("the last record is {last}, the next should be {}", self.model.next_id));
        }
        let get = |id: u64| {
            let record = snapshot.get_any(RecordId(id), true).map_err(|e| e.to_string())?;
            record.ok_or(format!("{id} is lost"))
        };
        let mut numbers = BTreeSet::new();
        for (id, p) in &self.model.petitions {
            let (is, right) = (world::told(&get(*id)?), p.told(*id, true));
            if is != right {
                return Err(format!("stored is  {is}\nshould be {right}"));
            }
            if !numbers.insert(p.number.clone()) {
                return Err(format!("{} twice", p.number));
            }
        }
        for (id, b) in &self.model.batches {
            let batch = get(*id)?;
            let number = batch.fields.text(jiceng::records::batch::tag::NUMBER);
            if (number, batch.state, batch.version, batch.unit.0) != (b.number.as_str(), b.state, b.version, b.unit) {
                return Err(format!("batch {id} {number} is in state {}", batch.state));
            }
        }
        Ok(())
    }
}

/// Runs a seed; how many cuts it had, or what went wrong with the last commands before.
fn run(seed: usize, aloud: bool, lies: bool) -> Result<usize, String> {
    let mut run = Run::new(seed, aloud, lies);
    let done = catch_unwind(AssertUnwindSafe(|| run.all()));
    let done = done.unwrap_or_else(|_| Err("it panics".to_owned()));
    let last = run.told[run.told.len().saturating_sub(TOLD)..].join("\n");
    done.map(|()| run.cuts).map_err(|e| format!("seed {seed} (JICENG_SEED={seed}):\n{last}\n{e}"))
}

#[test]
fn a_county_does_what_its_model_says() {
    if let Some(seed) = number("JICENG_SEED") {
        if let Err(e) = run(seed, true, false) {
            panic!("{e}");
        }
        return;
    }
    let seeds = SEEDS * campaign();
    let first = from();
    let (next, cuts, seeds) = (AtomicUsize::new(first), AtomicUsize::new(0), first + seeds);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || wrong.lock().unwrap().len() >= WRONG {
                return;
            }
            match run(seed, false, false) {
                Ok(n) => _ = cuts.fetch_add(n, Ordering::Relaxed),
                Err(e) => wrong.lock().unwrap().push((seed, e)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(work);
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let which: Vec<usize> = wrong.iter().map(|(seed, _)| *seed).take(20).collect();
    println!("{} seeds, {} power cuts: {} wrong, {which:?}", seeds - first, cuts.into_inner(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong[0].1);
}

/// The cuts would be noticed: a disk that says that it synced and did not loses what was acknowledged.
#[test]
fn a_disk_that_lies_is_caught() {
    let wrong = (0..LYING_SEEDS).filter(|seed| run(*seed, false, true).is_err()).count();
    assert!(wrong > LYING_SEEDS / 2, "{wrong} of {LYING_SEEDS}");
}
