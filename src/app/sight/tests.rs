//! Leaks: every account against every record of a county, by every way there is to a record, held against what the
//! story of the county says. Drawn from a fixed seed; `JICENG_CAMPAIGN=n` opens n times as many pairs by each address.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::app::change::{SaveError, Typed};
use crate::app::label::Typed as Relabel;
use crate::app::names::all;
use crate::app::record::ListInput;
use crate::app::recusal::ByNumber;
use crate::app::search::{Hit, Query};
use crate::app::{App, Right, Scope, articles, demo};
use crate::base::{Error, ErrorKind, Moment, clock::ManualClock};
use crate::records::{Author, act, decide, org, petition, regulation};
use crate::store::{Act, Doer};

/// Pairs of account and record that are opened by each address, besides those that lists and searches answer for.
const OPENED: usize = 10;

/// Accounts besides those of the demo county.
const MORE_PEOPLE: usize = 120;
/// One account in so many looks at every list and searches; each look is an entry.
const LOOKERS: usize = 6;

/// Numbers that look drawn and are the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// What the story says, apart from what the program thinks of it.
#[derive(Default)]
struct Story {
    /// Record and account that must not meet.
    apart: BTreeSet<(RecordId, RecordId)>,
    labels: BTreeMap<RecordId, Label>,
    clearances: BTreeMap<RecordId, Label>,
    /// What points at a record.
    about: BTreeMap<RecordId, RecordId>,
}

impl Story {
    fn lets(&self, person: &Actor, kind: &Kind, record: &Record) -> bool {
        let parent = kind.parent_of(record).map(|(id, _)| id);
        let subject = self.about.get(&record.id).copied().or(parent).unwrap_or(record.id);
        let own = if kind.name == "petition" || self.about.contains_key(&record.id) { 3 } else { 1 };
        let label = self.labels.get(&subject).map_or(own, |l| *l as u8);
        let administers = account::ADMINISTRATORS.iter().any(|r| person.is(r));
        let reach = self.clearances.get(&person.account).map_or(3, |l| *l as u8);
        person.may(kind, Right::See, record.unit)
            && !self.apart.contains(&(subject, person.account))
            && (administers || label <= reach)
    }
}

struct County {
    _home: tempfile::TempDir,
    app: Arc<App>,
    people: Vec<Actor>,
    story: Story,
}

/// A county in which people are accused, recused, cleared and records labelled at random.
fn county() -> County {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Moment(1_790_000_000_000)));
    let app = demo::create(&home.path().join("d"), clock, false).unwrap();
    let mut county = County { _home: home, app, people: Vec::new(), story: Story::default() };
    let mut draw = Draw(20_261_130);
    county.crowd(&mut draw);
    let petitions = county.of(&petition::KIND);
    county.accuse(&mut draw, &petitions);
    county.label(&mut draw, &petitions);
    county.recuse(&mut draw, &petitions);
    county.ask_to_purge();
    county.app.wait_for_index().unwrap();
    county
}

impl County {
    fn of(&self, kind: &'static Kind) -> Vec<Record> {
        let snapshot = self.app.store.read().unwrap();
        let ids = snapshot.all_ids().unwrap();
        ids.filter_map(|id| snapshot.get(id, false).unwrap()).filter(|r| r.kind == kind.tag).collect()
    }

    /// More people than the demo has, with a role or two in some unit.
    fn crowd(&mut self, draw: &mut Draw) {
        let units: Vec<RecordId> = self.of(&org::KIND).iter().map(|o| o.id).collect();
        let roles = ["handler", "approver", "petition-office", "law-office", "identity"];
        let made: Vec<Fields> = (0..MORE_PEOPLE)
            .map(|n| {
                let held = [*draw.one(&roles), *draw.one(&roles)].map(str::to_owned).to_vec();
                Fields::default()
                    .with_text(account::tag::LOGIN, format!("more{n}"))
                    .with_text(account::tag::NAME, format!("测试员{n}号"))
                    .with(account::tag::UNIT, Value::Link(*draw.one(&units)))
                    .with(account::tag::ROLES, Value::Codes(held))
            })
            .collect();
        self.submit(move |txn| {
            let author = Author { account: RecordId(0), unit: RecordId(0) };
            made.into_iter().try_for_each(|fields| {
                let made = decide::create(&account::KIND, fields, author, txn.now());
                txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?).map(drop)
            })
        });
        let accounts = all(&self.app.store.read().unwrap(), &account::KIND).unwrap();
        self.people = accounts.iter().map(|a| Actor::of(a, "test")).collect();
    }

    /// Every third petition names an account with its unit in one of its spellings.
    fn accuse(&mut self, draw: &mut Draw, petitions: &[Record]) {
        let units: BTreeMap<RecordId, String> =
            self.of(&org::KIND).iter().map(|o| (o.id, o.fields.text(org::tag::NAME).to_owned())).collect();
        let mut changed = Vec::new();
        for record in petitions.iter().step_by(3) {
            let person = draw.one(&self.people);
            let unit = units[&person.unit].trim_end_matches("纪委").trim_end_matches("纪工委").to_owned();
            let row = Fields::default()
                .with_text(petition::accused::NAME, person.name.as_str())
                .with_text(petition::accused::ORG, unit)
                .with_text(4, "clerk1");
            self.story.apart.insert((record.id, person.account));
            let version = record.version + 1;
            let fields = record.fields.clone().with(petition::tag::ACCUSED, Value::Rows(vec![row]));
            changed.push(Record { version, fields, ..record.clone() });
        }
        self.submit(move |txn| changed.into_iter().try_for_each(|r| txn.update(r)));
    }

    /// Labels on petitions and regulations, and clearances.
    fn label(&mut self, draw: &mut Draw, petitions: &[Record]) {
        let regulations = self.of(&regulation::KIND);
        let some = petitions.iter().skip(1).step_by(3).chain(regulations.iter().step_by(2));
        let mut labelled = Vec::new();
        for record in some {
            let label = *draw.one(&Label::ALL);
            self.story.labels.insert(record.id, label);
            labelled.push((record.id, label));
        }
        self.submit(move |txn| {
            labelled.into_iter().try_for_each(|(id, label)| {
                let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
                record.version += 1;
                let kind = records::by_tag(record.kind).ok_or_else(Error::denied)?;
                label::set(kind, &mut record.fields, label);
                articles::update(txn, record)
            })
        });
        let ids: Vec<RecordId> = self.people.iter().map(|p| p.account).collect();
        for id in ids.into_iter().step_by(2) {
            self.story.clearances.insert(id, *draw.one(&Label::ALL));
        }
        let clearances = self.story.clearances.clone();
        self.submit(move |txn| {
            clearances.into_iter().try_for_each(|(id, label)| {
                let mut record = txn.get(id)?.ok_or_else(Error::denied)?;
                record.version += 1;
                record.fields = record.fields.with_text(account::tag::CLEARANCE, label.code());
                txn.update(record)
            })
        });
    }

    /// The security administrator declares by number.
    fn recuse(&mut self, draw: &mut Draw, petitions: &[Record]) {
        let admin = self.person("secadmin").clone();
        for record in petitions.iter().step_by(5) {
            // Some are kept out twice.
            let named = self.story.apart.iter().find(|(id, _)| *id == record.id).map(|(_, who)| *who);
            let drawn = draw.one(&self.people);
            let person = self.people.iter().find(|p| Some(p.account) == named).unwrap_or(drawn).clone();
            let typed = ByNumber {
                number: petition::KIND.number_of(record).to_owned(),
                login: person.login.clone(),
                verdict: "avoid".to_owned(),
                reason: "抽签".to_owned(),
                submit: String::new(),
            };
            let recusal = self.app.recuse_by_number(&admin, typed).unwrap();
            self.story.apart.insert((record.id, person.account));
            self.story.about.insert(recusal, record.id);
        }
    }

    /// Requests to purge what is settled, by heads who see it.
    fn ask_to_purge(&mut self) {
        for record in self.of(&petition::KIND) {
            let mut heads = self.people.iter().filter(|p| p.unit == record.unit && p.is("approver"));
            let head = heads.next().cloned().filter(|h| self.story.lets(h, &petition::KIND, &record));
            let Some(head) = head.filter(|_| petition::KIND.flow.is_settled(record.state)) else { continue };
            let request = self.app.ask_purge(&head, &petition::KIND, record.id, ("期满", "")).unwrap();
            self.story.about.insert(request, record.id);
        }
        assert!(self.story.about.len() > 60, "{}", self.story.about.len());
    }

    fn person(&self, login: &str) -> &Actor {
        self.people.iter().find(|p| p.login == login).unwrap()
    }

    fn submit(&self, command: impl FnOnce(&mut Txn<'_>) -> Result<()> + Send + 'static) {
        let doer = Doer { account: RecordId(0), unit: RecordId(0), via: "test".into() };
        let done = self.app.store.submit(move |txn| {
            txn.act(Act::new(doer, act::UPDATE));
            command(txn)
        });
        done.unwrap();
    }
}

#[test]
fn no_account_learns_of_a_record_it_is_kept_out_of() {
    let county = county();
    let snapshot = county.app.store.read().unwrap();
    let ids = snapshot.all_ids().unwrap();
    let records: Vec<(&'static Kind, Record)> = ids
        .filter_map(|id| snapshot.get(id, false).unwrap())
        .map(|r| (records::by_tag(r.kind).unwrap(), r))
        .collect();
    let (mut pairs, mut kept_out, mut hidden) = (0, 0, Vec::new());
    for (n, person) in county.people.iter().enumerate() {
        let sight = Sight::of(&snapshot, person).unwrap();
        let mut expected = BTreeMap::<u8, BTreeSet<RecordId>>::new();
        for (kind, record) in &records {
            pairs += 1;
            let lets = county.story.lets(person, kind, record);
            let seen = person.may(kind, Right::See, record.unit) && !sight.bars(record);
            assert_eq!(seen, lets, "{} {} {}", person.login, kind.name, record.id);
            if lets {
                expected.entry(kind.tag).or_default().insert(record.id);
            } else if person.may(kind, Right::See, record.unit) {
                kept_out += 1;
                hidden.push((person, *kind, record));
            }
        }
        if n.is_multiple_of(LOOKERS) || ["demo", "secadmin", "xinfang"].contains(&person.login.as_str()) {
            lists_agree(&county, person, &expected);
            search_agrees(&county, person, &expected);
            likenesses_agree(&county, person, &expected);
        }
    }
    assert!(pairs >= 100_000 && kept_out > 5_000, "{pairs} pairs, {kept_out} of them kept out");
    addresses_agree(&county, &hidden);
}

/// Lists, their totals and tallies, page by page.
fn lists_agree(county: &County, person: &Actor, expected: &BTreeMap<u8, BTreeSet<RecordId>>) {
    for kind in records::ALL.iter().filter(|k| k.group.is_some() && person.scope(k, Right::See) > Scope::Nothing) {
        let want = expected.get(&kind.tag).cloned().unwrap_or_default();
        let input = |page| ListInput { page, size: 400, ..ListInput::default() };
        let first = county.app.list(person, kind, &input(0)).unwrap();
        let mut ids: Vec<RecordId> = first.rows.iter().map(|r| r.id).collect();
        for page in 1..=first.total / 400 {
            ids.extend(county.app.list(person, kind, &input(page)).unwrap().rows.iter().map(|r| r.id));
        }
        let counted = first.tallies.iter().map(|(_, n)| n).sum::<u64>();
        assert_eq!((first.total, counted), (want.len() as u64, want.len() as u64), "{} {}", person.login, kind.name);
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), want, "{} {}", person.login, kind.name);
        // A period is counted row by row instead of by tallies.
        let period = ListInput { from: 20_000_101, to: 20_991_231, size: 1, ..ListInput::default() };
        let dated = county.app.list(person, kind, &period).unwrap();
        assert!(dated.total <= first.total);
        let tallied = dated.tallies.iter().map(|(_, n)| n).sum::<u64>();
        assert_eq!(tallied, dated.total, "{} {}", person.login, kind.name);
    }
}

/// All hits of a search for everything, with its counts and facets.
fn search_agrees(county: &County, person: &Actor, expected: &BTreeMap<u8, BTreeSet<RecordId>>) {
    let found = county.app.search(person, &Query { limit: 10_000, ..Query::default() }).unwrap();
    let indexed = expected.iter().filter(|(tag, _)| records::by_tag(**tag).is_some_and(|k| k.indexed));
    let want: BTreeSet<RecordId> = indexed.clone().flat_map(|(_, ids)| ids).copied().collect();
    let ids: BTreeSet<RecordId> = found.hits.iter().map(|h| h.record.id).collect();
    assert_eq!(ids, want, "{}", person.login);
    let sums = [
        found.total,
        found.kinds.iter().map(|(_, n)| n).sum(),
        found.units.iter().map(|(_, n)| n).sum(),
        found.states.iter().map(|(_, n)| n).sum(),
    ];
    assert_eq!(sums, [want.len() as u64; 4], "{}", person.login);
    let dated = found.hits.iter().filter(|h| h.kind.day_of(&h.record).number() > 0).count();
    assert_eq!(found.months.iter().map(|(_, n)| n).sum::<u64>(), dated as u64, "{}", person.login);
    // Names alike are offered from the same records and no others.
    for name in ["王建国", "李小明", "测某某"] {
        let found = county.app.search(person, &Query { text: name.into(), limit: 10, ..Query::default() }).unwrap();
        assert!(found.alike.iter().all(|h| want.contains(&h.record.id)), "{} {name}", person.login);
    }
    // Petitioners are looked for where their identity may be opened.
    for text in ["13", "村", "王"] {
        let query = Query { text: text.into(), identity: true, limit: 10_000, ..Query::default() };
        let found = county.app.search(person, &query).unwrap();
        assert_eq!(found.total, found.hits.len() as u64, "{} {text}", person.login);
        let may = |h: &Hit| want.contains(&h.record.id) && person.may_identify(h.kind, h.record.unit);
        assert!(found.hits.iter().all(may), "{} {text}", person.login);
    }
    // What a search that is kept tells of counts the same records.
    for text in ["反映", "村", "补贴"] {
        let query = Query { text: text.into(), ..Query::default() };
        let found = county.app.search(person, &query).unwrap();
        let exact = if found.exact { found.total } else { 0 };
        assert_eq!(county.app.new_since(person, &query, RecordId(1)).unwrap(), exact, "{} {text}", person.login);
    }
    // So is what is offered while somebody types.
    for typed in ["反映", "fy", "测", "wang", "《", "澜"] {
        let offers = county.app.suggest(person, typed).unwrap();
        assert!(offers.iter().all(|o| want.contains(&o.id)), "{} {typed}", person.login);
    }
    for (tag, ids) in indexed.filter(|(_, ids)| !ids.is_empty()) {
        assert!(found.kinds.contains(&(*tag, ids.len() as u64)), "{} {tag}", person.login);
    }
}

/// What resembles a record, and what it may repeat, is chosen from what may be seen.
fn likenesses_agree(county: &County, person: &Actor, expected: &BTreeMap<u8, BTreeSet<RecordId>>) {
    let may_see = |r: &Record| expected.get(&r.kind).is_some_and(|ids| ids.contains(&r.id));
    let petitions = expected.get(&petition::KIND.tag).into_iter().flatten();
    for id in petitions.step_by(61).take(4).copied() {
        let alike = county.app.similar(person, &petition::KIND, id).unwrap();
        let all = alike.petitions.iter().chain(&alike.articles);
        assert!(all.map(|r| &r.record).all(may_see), "{} {id}", person.login);
        let Ok(told) = county.app.repeats(person, &petition::KIND, id, true) else { continue };
        let pairs = told.same.iter().chain(&told.other).map(|p| &p.record);
        assert!(pairs.chain(told.candidates.iter().map(|c| &c.record)).all(may_see), "{} {id}", person.login);
    }
}

/// Whatever is asked of a hidden record is answered as for one that was never there.
fn addresses_agree(county: &County, hidden: &[(&Actor, &'static Kind, &Record)]) {
    let times = std::env::var("JICENG_CAMPAIGN").ok().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
    let (app, none, mut draw) = (&county.app, RecordId(99_999_999), Draw(7));
    for _ in 0..OPENED * times {
        let (person, kind, record) = *draw.one(hidden);
        let at = |id: RecordId| -> Vec<(ErrorKind, String)> {
            let told = |e: Error| (e.kind(), e.public().to_owned());
            let version = record.version;
            let mut all = vec![
                app.open_record(person, kind, id, 0).err().map(told),
                app.history(person, kind, id).err().map(told),
                app.attachment(person, kind, id, 0).err().map(told),
                app.viewing(person, kind, id).err().map(told),
                app.shown_attachment(person, kind, id, 0).err().map(told),
                app.reveal(person, kind, id, "想看看内容").err().map(told),
                app.for_edit(person, kind, id).err().map(told),
                app.similar(person, kind, id).err().map(told),
                app.ask_purge(person, kind, id, ("理由", "")).err().map(told),
                app.recuse(person, (kind, id), None, ("理由", "")).err().map(told),
            ];
            if kind.tag == petition::KIND.tag {
                all.push(app.repeats(person, kind, id, true).err().map(told));
            }
            assert!(!app.can_open(person, kind, id).unwrap());
            let (label, reason) = ("core".to_owned(), "理由".to_owned());
            let typed = Relabel { label, reason, version, ..Relabel::default() };
            all.push(app.relabel(person, kind, id, typed).err().map(told));
            let failed = |e: SaveError| match e {
                SaveError::Failed(e) => told(e),
                other => panic!("{other:?}"),
            };
            all.push(app.amend(person, kind, (id, version), Typed::default()).err().map(failed));
            for mv in kind.flow.moves {
                let typed = ("意见".to_owned(), String::new());
                all.push(app.advance(person, kind, (id, version), mv, typed).err().map(failed));
            }
            all.into_iter().map(|e| e.expect("an address answered")).collect()
        };
        let (hidden, absent) = (at(record.id), at(none));
        assert!(hidden.iter().all(|(kind, _)| *kind == ErrorKind::Denied), "{hidden:?}");
        assert_eq!(hidden, absent, "{} {} {}", person.login, kind.name, record.id);
    }
}
