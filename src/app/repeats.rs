//! Repeated petitions (重复信访): which earlier ones a petition may repeat, and what somebody found about that.
//!
//! What must hold: what is offered is made of what the actor may see and nothing else; a pair is told to whoever may
//! see both petitions, and to everybody else it is as if it were not there. Nothing here keeps a petition from being
//! registered.

use std::cmp::Reverse;

use super::record::{authorise, live};
use super::sight::{Books, Sight};
use super::similar::{LOOKED_AT, open};
use super::{Actor, App, Right};
use crate::base::text::folded_chars;
use crate::base::{Error, ErrorKind, RecordId, Result};
use crate::records::flow::Duty;
use crate::records::petition::{self, accused, tag};
use crate::records::repeat::{self, KIND, state};
use crate::records::{Author, Fields, Kind, Record, Value, act, decide};
use crate::search::{Like, Pieces};
use crate::store::{Act, Snapshot, Txn};

/// Most candidates that are offered.
const OFFERED: usize = 8;
/// Most of them that have nothing but the place in common.
const OFFERED_BY_PLACE: usize = 3;
/// Most pairs of one petition that are told.
const PAIRS: usize = 200;
/// Most persons that are looked for.
const NAMES: usize = 20;
/// Most register numbers in a text that are looked up.
const NUMBERS: usize = 20;
/// Shares of text, in hundredths, from which on two petitions may be, and probably are, one.
const OVERLAP: [u32; 2] = [30, 60];

/// Why a petition may be the same matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// One mentions the number of the other.
    Number,
    /// Both accuse this person or organisation.
    Accused(String),
    /// They share this much of the shorter text, in hundredths.
    Words(u32),
    /// The place.
    Place,
}

/// A petition that this one may repeat, or that repeats it.
pub struct Candidate {
    /// The other petition, without identity.
    pub record: Record,
    /// Why, the best reason first.
    pub why: Vec<Why>,
}

/// What somebody found about this petition and another one.
pub struct Pair {
    /// The other petition, without identity.
    pub record: Record,
    /// The other one is the earlier of the two.
    pub earlier: bool,
}

/// What the page of a petition tells of repeats.
#[derive(Default)]
pub struct Repeats {
    /// Confirmed, the earliest first.
    pub same: Vec<Pair>,
    /// Found to be another matter.
    pub other: Vec<Pair>,
    /// Nobody has looked yet.
    pub candidates: Vec<Candidate>,
    /// The index did not answer: nobody knows of candidates now.
    pub unavailable: bool,
    /// The actor may say which is which.
    pub may_decide: bool,
}

/// What somebody says of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One repeats the other.
    Same,
    /// Two matters.
    Other,
    /// What was said does not hold.
    Undo,
}

impl Answer {
    fn state(self) -> u8 {
        match self {
            Self::Same => state::CONFIRMED,
            Self::Other => state::DISMISSED,
            Self::Undo => state::TAKEN_BACK,
        }
    }

    fn act(self) -> act::Action {
        match self {
            Self::Same => act::REPEAT,
            Self::Other => act::NO_REPEAT,
            Self::Undo => act::REPEAT_UNDONE,
        }
    }
}

impl App {
    /// Pairs of a petition, and while nobody has decided on it, or where `asked`, what it may repeat.
    pub fn repeats(&self, actor: &Actor, kind: &'static Kind, id: RecordId, asked: bool) -> Result<Repeats> {
        if kind.tag != petition::KIND.tag {
            return Ok(Repeats::default());
        }
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        if record.is_purged() {
            return Ok(Repeats::default());
        }
        let sight = Sight::of(&snapshot, actor)?;
        let void = kind.flow.is_void(record.state);
        let mut told = Repeats { may_decide: may_decide(actor, kind, &record) && !void, ..Repeats::default() };
        let mut known = Vec::new();
        for pair in pairs(&snapshot, id)?.into_iter().take(PAIRS) {
            let Some((other, earlier)) = repeat::other_end(&pair.fields, id) else { continue };
            let Some(record) = snapshot.get(other, false)?.filter(|r| !r.is_purged()) else { continue };
            if pair.state == state::TAKEN_BACK || !actor.may(kind, Right::See, record.unit) || sight.bars(&record) {
                continue;
            }
            known.push(record.id);
            let of = if pair.state == state::CONFIRMED { &mut told.same } else { &mut told.other };
            of.push(Pair { record, earlier });
        }
        told.same.sort_by_key(|p| p.record.id);
        told.other.sort_by_key(|p| p.record.id);
        let open = [petition::state::INCOMPLETE, petition::state::TO_PROPOSE].contains(&record.state);
        if asked || told.may_decide && open {
            match self.candidates(&snapshot, (actor, &sight), Some(&record), &record.fields, &known) {
                Ok(found) => told.candidates = found,
                Err(e) if e.kind() == ErrorKind::Busy => told.unavailable = true,
                Err(e) => return Err(e),
            }
        }
        let seen = told.same.iter().chain(&told.other).map(|p| &p.record);
        self.answer_for_repeats(actor, seen.chain(told.candidates.iter().map(|c| &c.record)))?;
        Ok(told)
    }

    /// What a petition that is being typed may repeat. Article 16 has been asked already.
    pub fn repeats_of_form(&self, actor: &Actor, typed: &Fields) -> Result<Vec<Candidate>> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let found = self.candidates(&snapshot, (actor, &sight), None, typed, &[])?;
        self.answer_for_repeats(actor, found.iter().map(|c| &c.record))?;
        Ok(found)
    }

    /// Those of `records` that have a confirmed pair whose other end the actor may see.
    pub fn repeated(&self, actor: &Actor, kind: &'static Kind, records: &[Record]) -> Result<Vec<RecordId>> {
        let mut repeated = Vec::new();
        if kind.tag != petition::KIND.tag || records.is_empty() {
            return Ok(repeated);
        }
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        for record in records {
            for pair in pairs(&snapshot, record.id)?.into_iter().filter(|p| p.state == state::CONFIRMED).take(PAIRS) {
                let Some((other, _)) = repeat::other_end(&pair.fields, record.id) else { continue };
                if !open(&snapshot, (actor, &sight), kind, &[other.0])?.is_empty() {
                    repeated.push(record.id);
                    break;
                }
            }
        }
        Ok(repeated)
    }

    /// Says that a petition repeats another one, that it does not, or that what was said does not hold.
    pub fn answer_repeat(
        &self,
        actor: &Actor,
        (kind, id): (&'static Kind, RecordId),
        other: Option<RecordId>,
        answer: Option<Answer>,
    ) -> Result<()> {
        let snapshot = self.store.read()?;
        let record = self.visible(&snapshot, actor, kind, id)?;
        if kind.tag != petition::KIND.tag || !may_decide(actor, kind, &record) {
            return Err(self.refused(actor, kind, id));
        }
        let wrong = || Error::invalid("请选择一件信访和结论。");
        let (other, answer) = other.zip(answer).filter(|(o, _)| *o != id).ok_or_else(wrong)?;
        self.visible(&snapshot, actor, kind, other)?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            let own = authorise(txn, &actor, kind, Right::Move(Duty::Enter), id)?;
            let theirs = authorise(txn, &actor, kind, Right::See, other)?;
            if [&own, &theirs].iter().any(|r| r.is_purged()) || kind.flow.is_void(own.state) {
                return Err(Error::invalid("已作废或已清除的信访件不能再登记重复关系。"));
            }
            let read = [&own, &theirs].map(|r| (r.id, r.kind, r.version));
            txn.act(Act::new(actor.doer(), answer.act()).read(read));
            settle(txn, &actor, [&own, &theirs], answer)
        })
    }

    /// The petitions that a petition may repeat: looked for by name, place and words, judged on what they say.
    fn candidates(
        &self,
        snapshot: &Snapshot,
        sees: (&Actor, &Sight),
        own: Option<&Record>,
        fields: &Fields,
        known: &[RecordId],
    ) -> Result<Vec<Candidate>> {
        let kind = &petition::KIND;
        let mine = Matter::of(fields, own.map_or("", |r| kind.number_of(r)));
        let like = Like {
            names: mine.names.iter().take(NAMES).cloned().collect(),
            place: fields.text(tag::PLACE).to_owned(),
            text: mine.words.clone(),
            ..Like::default()
        };
        let found = self.alike(snapshot, sees, (kind, own.map(|r| r.id), LOOKED_AT), &like)?;
        let mut ids: Vec<u64> = [found.named, found.placed, found.worded].concat();
        for number in &mine.mentions {
            ids.extend(snapshot.find(kind, tag::NUMBER, number)?.iter().map(|id| id.0));
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| own.is_none_or(|r| r.id.0 != *id) && !known.contains(&RecordId(*id)));
        let pieces = Pieces::of(&mine.words);
        let mut all = Vec::new();
        for record in open(snapshot, sees, kind, &ids)? {
            let why = mine.why(&Matter::of(&record.fields, kind.number_of(&record)), &pieces);
            let weight: u32 = why.iter().map(Why::weight).sum();
            if weight > 0 {
                all.push((weight, Candidate { record, why }));
            }
        }
        all.sort_by_key(|(weight, c)| (Reverse(*weight), Reverse(c.record.id)));
        let mut by_place = 0;
        all.retain(|(_, c)| {
            by_place += usize::from(c.why == [Why::Place]);
            c.why != [Why::Place] || by_place <= OFFERED_BY_PLACE
        });
        Ok(all.into_iter().map(|(_, c)| c).take(OFFERED).collect())
    }

    fn answer_for_repeats<'a>(&self, actor: &Actor, shown: impl Iterator<Item = &'a Record>) -> Result<()> {
        let read: Vec<_> = shown.map(|r| (r.id, r.kind, r.version)).collect();
        if read.is_empty() {
            return Ok(());
        }
        let act = Act::new(actor.doer(), act::REPEATS).note(petition::KIND.name).read(read);
        self.store.submit(move |txn| {
            txn.act(act);
            Ok(())
        })
    }
}

/// Whoever registers petitions of the unit says which repeats which.
fn may_decide(actor: &Actor, kind: &Kind, record: &Record) -> bool {
    actor.may(kind, Right::Move(Duty::Enter), record.unit)
}

/// What was found about a petition and others, taken back or not.
fn pairs(books: &dyn Books, id: RecordId) -> Result<Vec<Record>> {
    let mut all = books.linked(&KIND, repeat::tag::LATER, id)?;
    all.extend(books.linked(&KIND, repeat::tag::FIRST, id)?);
    Ok(all)
}

/// Brings the pair into the state that was said; the one of the two that came in later is the repeat.
fn settle(txn: &mut Txn<'_>, actor: &Actor, pair: [&Record; 2], answer: Answer) -> Result<()> {
    let (first, later) = if pair[0].id < pair[1].id { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
    let mut before = pairs(txn, later.id)?;
    before.retain(|p| repeat::other_end(&p.fields, later.id) == Some((first.id, true)));
    let author = live(txn, actor)?.author();
    if let Some(found) = before.first() {
        let Some(mv) = KIND.flow.moves.iter().find(|m| m.to == answer.state()) else { return Err(Error::denied()) };
        if found.state == mv.to {
            return Ok(());
        }
        let after = decide::advance(&KIND, found, mv, mv.label, (author, txn.now()));
        return txn.update(after.map_err(|r| Error::internal(format!("{r:?}")))?);
    }
    if answer == Answer::Undo {
        return Err(Error::invalid("这两件信访还没有结论，不需要撤销。"));
    }
    let number = |r: &Record| petition::KIND.number_of(r).to_owned();
    let fields = Fields::default()
        .with(repeat::tag::LATER, Value::Link(later.id))
        .with(repeat::tag::FIRST, Value::Link(first.id))
        .with_text(repeat::tag::LATER_NUMBER, number(later))
        .with_text(repeat::tag::FIRST_NUMBER, number(first))
        .with_text(repeat::tag::VERDICT, if answer == Answer::Same { repeat::SAME } else { repeat::OTHER })
        .with(repeat::tag::DAY, Value::Day(txn.now().day()));
    let made = decide::create(&KIND, fields, Author { unit: later.unit, ..author }, txn.now());
    txn.create(made.map_err(|r| Error::internal(format!("{r:?}")))?).map(drop)
}

/// What two petitions are compared by.
struct Matter {
    number: String,
    /// Names of persons and of the organisation, as typed.
    names: Vec<String>,
    /// Of each name, folded: its unit, empty where it is not known.
    units: Vec<String>,
    place: String,
    words: String,
    /// Numbers of petitions that it names.
    mentions: Vec<String>,
}

impl Matter {
    fn of(fields: &Fields, number: &str) -> Self {
        let persons = fields.rows(tag::ACCUSED).iter();
        let mut pairs: Vec<(String, String)> =
            persons.map(|p| (p.text(accused::NAME).to_owned(), folded(p.text(accused::ORG)))).collect();
        let organisation = fields.text(tag::ACCUSED_ORG);
        pairs.push((organisation.to_owned(), String::new()));
        pairs.retain(|(name, _)| folded(name).chars().count() > 1);
        let (names, units) = pairs.into_iter().unzip();
        let words = [fields.text(tag::TITLE), fields.text(tag::TEXT)].join("\n");
        let said = [&words, fields.text(tag::REMARKS), fields.text(tag::ORIGIN_NUMBER)].join("\n");
        let place = folded(fields.text(tag::PLACE));
        Self { number: number.to_owned(), names, units, place, words, mentions: numbers(&said) }
    }

    /// Why the other one may be the same matter, the best reason first.
    fn why(&self, other: &Self, pieces: &Pieces) -> Vec<Why> {
        let mut why = Vec::new();
        let named = |a: &Self, b: &Self| !b.number.is_empty() && a.mentions.contains(&b.number);
        if named(self, other) || named(other, self) {
            why.push(Why::Number);
        }
        let place = self.place == other.place && self.place.chars().count() > 2;
        let said = folded(&other.words);
        let accused = self.names.iter().zip(&self.units).find(|(name, unit)| {
            let name = folded(name);
            let same = other.names.iter().position(|n| folded(n) == name);
            match same {
                // The same name elsewhere is somebody else.
                Some(at) => place || meet(unit, &other.units[at]),
                // Not entered as accused, but written about, with the unit or the place.
                None => said.contains(&name) && [unit, &self.place].iter().any(|w| !w.is_empty() && said.contains(*w)),
            }
        });
        why.extend(accused.map(|(name, _)| Why::Accused(name.clone())));
        let overlap = pieces.overlap(&Pieces::of(&other.words));
        if overlap >= OVERLAP[0] {
            why.push(Why::Words(overlap));
        }
        if place {
            why.push(Why::Place);
        }
        why
    }
}

impl Why {
    fn weight(&self) -> u32 {
        match self {
            Self::Number => 16,
            Self::Words(share) if *share >= OVERLAP[1] => 8,
            Self::Accused(_) => 4,
            Self::Words(_) => 3,
            Self::Place => 1,
        }
    }
}

/// Both units are the same, one is a part of the other's name, or one is not known.
fn meet(one: &str, other: &str) -> bool {
    one.contains(other) || other.contains(one)
}

fn folded(text: &str) -> String {
    folded_chars(text).into_iter().collect()
}

/// Register numbers of petitions in a text, in their own spelling, each once.
fn numbers(text: &str) -> Vec<String> {
    let prefix = petition::KIND.number.map_or("", |(_, prefix)| prefix);
    let text = folded(text);
    let mut all = Vec::new();
    for rest in text.split(prefix).skip(1) {
        let inner = rest.strip_prefix(['(', '[', '【']);
        let Some((year, rest)) = inner.and_then(|r| r.split_once([')', ']', '】'])) else { continue };
        let Some((number, _)) = rest.split_once('号') else { continue };
        let digits = |text: &str, most| text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
        let (true, true, Ok(number)) = (year.len() == 4 && digits(year, 4), digits(number, 9), number.parse::<u32>())
        else {
            continue;
        };
        let number = format!("{prefix}〔{year}〕{number}号");
        if !all.contains(&number) && all.len() < NUMBERS {
            all.push(number);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matter(name: &str, unit: &str, place: &str, text: &str) -> Matter {
        let person = Fields::default().with_text(accused::NAME, name).with_text(accused::ORG, unit);
        let fields = Fields::default()
            .with(tag::ACCUSED, Value::Rows(vec![person]))
            .with_text(tag::PLACE, place)
            .with_text(tag::TEXT, text);
        Matter::of(&fields, "信访〔2026〕3号")
    }

    fn why(one: &Matter, other: &Matter) -> Vec<Why> {
        one.why(other, &Pieces::of(&one.words))
    }

    #[test]
    fn numbers_of_petitions_are_read_in_any_spelling() {
        let text = "前信为信访〔2026〕3号、信訪[2025]0012 号；（信访（２０２４）７号）。信访办〔2026〕5号、信访〔26〕1号、信访〔2026〕号";
        assert_eq!(numbers(text), ["信访〔2026〕3号", "信访〔2025〕12号", "信访〔2024〕7号"]);
        assert_eq!(numbers(&"信访〔2026〕".repeat(1_000)), [""; 0]);
    }

    #[test]
    fn the_same_name_is_the_same_person_only_with_unit_or_place() {
        let own = matter("测某某", "青石村委会", "青石村", "补贴");
        let accused = vec![Why::Accused("测某某".into())];
        for (unit, place, expected) in [
            ("青石村委会", "别处村", accused.clone()),
            ("大河镇青石村委会", "", accused.clone()),
            ("", "", accused.clone()),
            ("白沙村委会", "白沙村", vec![]),
            ("白沙村委会", "青石村", [accused, vec![Why::Place]].concat()),
        ] {
            assert_eq!(why(&own, &matter("测某某", unit, place, "无关")), expected, "{unit} {place}");
        }
        let told = matter("别人甲", "白沙村委会", "白沙村", "听说青石村的测某某也拿了");
        assert_eq!(why(&own, &told), [Why::Accused("测某某".into())]);
        let elsewhere = matter("别人甲", "白沙村委会", "白沙村", "听说测某某也拿了");
        assert_eq!(why(&own, &elsewhere), []);
    }
}
