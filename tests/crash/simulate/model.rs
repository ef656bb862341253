//! What the county should be, in plain maps: it shares no code with the records it judges. Every command has one right
//! answer, one set of journal entries, and one effect.

use std::collections::BTreeMap;

use super::command::{Form, Row, Who};

/// Ranks of accused persons as forms, then ledgers have them, and what article 16 says of them.
pub(crate) const RANKS: [(&str, &str, Gate); 9] = [
    ("village", "村(社区)干部", Gate::Passes),
    ("clerk2", "二级科员", Gate::Passes),
    ("farmer", "农民", Gate::Passes),
    ("other", "其他人员", Gate::Passes),
    ("unknown", "待核实", Gate::Open),
    ("unknown", "待核实", Gate::Open),
    ("sect-head", "正科级", Gate::Refused),
    ("inst8", "事业单位管理八级", Gate::Refused),
    ("division", "副处级干部", Gate::Refused),
];

/// Section rank and above may not be reported; of whom it is not known the report is not complete.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Passes,
    Open,
    Refused,
}

/// Whose business a move is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Business {
    Handling,
    Approving,
    Entering,
}

/// A move of a petition: name, label in its trail, states it starts from, state it leads to.
pub(crate) struct Move {
    pub name: &'static str,
    pub label: &'static str,
    pub from: &'static [u8],
    pub to: u8,
    pub business: Business,
}

const fn step(name: &'static str, label: &'static str, from: &'static [u8], to: u8, business: Business) -> Move {
    Move { name, label, from, to, business }
}

/// 1 待补全, 2 待拟办, 3 待批办, 4 已受理, 5 不予受理, 6 待审核办结, 7 已办结, 8 已归档, 9 已作废.
pub(crate) const MOVES: [Move; 11] = [
    step("propose", "提交拟办", &[2], 3, Business::Handling),
    step("accept", "批准受理", &[3], 4, Business::Approving),
    step("reject", "不予受理", &[3], 5, Business::Approving),
    step("return", "退回修改", &[3], 2, Business::Approving),
    step("conclude", "提交办结", &[4], 6, Business::Handling),
    step("confirm", "审核办结", &[6], 7, Business::Approving),
    step("supplement", "退回补充", &[6], 4, Business::Approving),
    step("reopen", "重新办理", &[7], 4, Business::Approving),
    step("archive", "归档", &[5, 7], 8, Business::Handling),
    step("void", "作废", &[1, 2], 9, Business::Entering),
    step("annul", "作废", &[1, 2, 3, 4, 5, 6, 7, 8], 9, Business::Approving),
];

/// Codes of journal entries (data-format/journal.md).
pub(crate) mod code {
    pub(crate) const CREATE: u16 = 10;
    pub(crate) const UPDATE: u16 = 11;
    pub(crate) const ADVANCE: u16 = 12;
    pub(crate) const IMPORT: u16 = 13;
    pub(crate) const DRAFT: u16 = 14;
    pub(crate) const DRAFT_GONE: u16 = 15;
    pub(crate) const READ: u16 = 20;
    pub(crate) const LIST: u16 = 21;
    pub(crate) const SEARCH: u16 = 22;
    pub(crate) const REVEAL: u16 = 23;
    pub(crate) const DOWNLOAD: u16 = 24;
    pub(crate) const LOGIN: u16 = 30;
    pub(crate) const LOGIN_FAILED: u16 = 31;
    pub(crate) const GATE: u16 = 40;
    pub(crate) const DENIED: u16 = 41;
    pub(crate) const REINDEX: u16 = 54;
}

/// 2026-01-01 00:00 in Beijing.
const NEW_YEAR_2026_MS: i64 = 1_767_196_800_000;
const DAY_MS: i64 = 86_400_000;

/// A person with an account.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub login: &'static str,
    pub id: u64,
    pub unit: u64,
    pub unit_name: String,
    /// Roles at the beginning.
    pub first: &'static [&'static str],
    pub roles: Vec<&'static str>,
    pub open: bool,
    pub version: u32,
}

/// A petition as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Petition {
    pub number: String,
    pub unit: u64,
    pub creator: u64,
    pub version: u32,
    pub state: u8,
    pub form: Form,
    pub petitioner: String,
    pub reference: String,
    pub file: Option<String>,
    /// Label and account of each move that was made.
    pub trail: Vec<(&'static str, u64)>,
    pub batch: Option<u64>,
    /// The form that made it: one-time id, what it said, whether it brought a file.
    pub made: (String, Form, bool),
    /// The form that changed it last.
    pub mark: String,
    /// The same, for whoever sends it again.
    pub changed: Option<(String, Form)>,
}

/// A batch of an import.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub number: String,
    pub unit: u64,
    pub creator: Who,
    /// 2 done, 3 undone, 4 broken off.
    pub state: u8,
    pub version: u32,
}

/// The county.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub people: Vec<Person>,
    pub petitions: BTreeMap<u64, Petition>,
    pub batches: BTreeMap<u64, Batch>,
    pub next_id: u64,
    pub now: i64,
    pub counters: BTreeMap<String, u64>,
    /// Account and id of a draft: its title, and whether it is in memory only.
    pub drafts: BTreeMap<(u64, String), (String, bool)>,
    pub last_stranger: i64,
    /// What the last command should have entered in the journal.
    pub entries: Vec<String>,
    /// Forms that made something, to be sent again.
    pub made: Vec<(Who, Form, String)>,
}

pub(crate) fn entry(code: u16, account: u64, done: bool, ids: &[u64]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    format!("{code} by {account} done {done} {ids:?}")
}

fn year_of(now: i64) -> i64 {
    let (mut year, mut start) = (2026, NEW_YEAR_2026_MS);
    let days = |year: i64| if year % 4 == 0 { 366 } else { 365 };
    while now < start {
        year -= 1;
        start -= days(year) * DAY_MS;
    }
    while now >= start + days(year) * DAY_MS {
        start += days(year) * DAY_MS;
        year += 1;
    }
    year
}

impl Form {
    fn is_refused(&self) -> bool {
        self.accused.iter().any(|(_, rank)| RANKS[*rank].2 == Gate::Refused)
    }

    /// It is about somebody, and of everybody the rank is known.
    fn is_complete(&self) -> bool {
        let known = self.accused.iter().all(|(_, rank)| RANKS[*rank].2 != Gate::Open);
        known && (self.organisation || !self.accused.is_empty())
    }

    /// What is typed, without what the session knows.
    fn typed(&self) -> Self {
        Self { revealed: false, ..self.clone() }
    }
}

/// Rights, from articles 7, 13 and 14.
impl Model {
    pub(crate) fn is(&self, who: Who, role: &str) -> bool {
        self.people[who].roles.contains(&role)
    }

    fn own(&self, who: Who, unit: u64) -> bool {
        self.people[who].unit == unit
    }

    pub(crate) fn may_see(&self, who: Who, unit: u64) -> bool {
        let own = self.is(who, "handler") || self.is(who, "approver");
        self.is(who, "petition-office") || own && self.own(who, unit)
    }

    pub(crate) fn may_create(&self, who: Who) -> bool {
        self.is(who, "handler") || self.is(who, "petition-office")
    }

    fn may_edit(&self, who: Who, unit: u64) -> bool {
        self.is(who, "handler") && self.own(who, unit)
    }

    fn may_identify(&self, who: Who, unit: u64) -> bool {
        self.is(who, "identity") && self.may_see(who, unit)
    }

    fn may_do(&self, who: Who, business: Business, unit: u64) -> bool {
        let role = if business == Business::Approving { "approver" } else { "handler" };
        let office = self.is(who, "petition-office") && business != Business::Handling;
        office || self.is(who, role) && self.own(who, unit)
    }

    /// Could make this move now: for drawing commands.
    pub(crate) fn may_move(&self, who: Who, id: u64, mv: usize) -> bool {
        self.petitions.get(&id).is_some_and(|p| {
            self.may_do(who, MOVES[mv].business, p.unit) && self.objection(who, p, &MOVES[mv]).is_none()
        })
    }

    /// Whoever prepared does not approve; an entry is taken back by whoever made it.
    fn objection(&self, who: Who, p: &Petition, mv: &Move) -> Option<&'static str> {
        let account = self.people[who].id;
        let prepared = p.trail.iter().rev().find(|(label, _)| ["提交拟办", "提交办结", "归档"].contains(label));
        let hand = prepared.map_or(p.creator, |(_, by)| *by);
        match mv.business {
            Business::Approving if hand == account => Some("own work"),
            Business::Entering if p.creator != account => Some("not own"),
            _ => None,
        }
    }

    /// Seen by nobody unless its batch is done.
    pub(crate) fn is_there(&self, p: &Petition) -> bool {
        p.batch.is_none_or(|b| self.batches[&b].state == 2)
    }

    fn there(&self, id: u64) -> Option<&Petition> {
        self.petitions.get(&id).filter(|p| self.is_there(p))
    }

    /// Petitions that somebody may see, by id.
    pub(crate) fn visible(&self, who: Who) -> impl Iterator<Item = (u64, &Petition)> {
        let seen = self.petitions.iter().map(|(id, p)| (*id, p));
        seen.filter(move |(_, p)| self.is_there(p) && self.may_see(who, p.unit))
    }

    /// External numbers that ledgers brought.
    pub(crate) fn references(&self) -> Vec<String> {
        self.petitions.values().map(|p| p.reference.clone()).filter(|r| !r.is_empty()).collect()
    }
}

/// Changes.
impl Model {
    pub(crate) fn enter(&mut self, code: u16, who: Who, done: bool, ids: &[u64]) {
        self.entries.push(entry(code, self.people[who].id, done, ids));
    }

    pub(crate) fn denied(&mut self, who: Who, ids: &[u64]) -> String {
        self.enter(code::DENIED, who, false, ids);
        "denied".into()
    }

    fn number(&mut self, prefix: &str) -> String {
        let counter = format!("{prefix}〔{}〕", year_of(self.now));
        let n = self.counters.entry(counter.clone()).or_default();
        *n += 1;
        format!("{counter}{n}号")
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn store(&mut self, unit: u64, creator: u64, form: &Form) -> u64 {
        let (id, number) = (self.take_id(), self.number("信访"));
        let petition = Petition {
            number,
            unit,
            creator,
            version: 1,
            state: if form.is_complete() { 2 } else { 1 },
            petitioner: form.petitioner.clone(),
            form: form.typed(),
            reference: String::new(),
            file: None,
            trail: Vec::new(),
            batch: None,
            made: (String::new(), Form::default(), false),
            mark: String::new(),
            changed: None,
        };
        self.petitions.insert(id, petition);
        id
    }

    pub(crate) fn create(&mut self, who: Who, form: &Form, submit: &str, file: Option<&String>) -> String {
        if form.is_refused() {
            self.enter(code::GATE, who, false, &[]);
            return "gate".into();
        }
        if form.title.is_empty() {
            return "problems".into();
        }
        if !self.may_create(who) {
            return self.denied(who, &[]);
        }
        let (account, unit) = (self.people[who].id, self.people[who].unit);
        let mine = |p: &Petition| p.creator == account && !submit.is_empty() && p.made.0 == submit;
        if let Some((id, p)) = self.petitions.iter().find(|(_, p)| mine(p)) {
            let said = (id, p.made.1 == form.typed() && p.made.2 == file.is_some());
            self.entries.push(entry(code::CREATE, account, false, &[]));
            return if said.1 { format!("made {}", said.0) } else { "stale".into() };
        }
        let id = self.store(unit, account, form);
        if let Some(p) = self.petitions.get_mut(&id) {
            p.made = (submit.to_owned(), form.typed(), file.is_some());
            p.file = file.cloned();
        }
        self.enter(code::CREATE, who, true, &[id]);
        if !submit.is_empty() {
            self.made.push((who, form.clone(), submit.to_owned()));
        }
        format!("made {id}")
    }

    pub(crate) fn amend(&mut self, who: Who, (id, version): (u64, u32), form: &Form, submit: &str) -> String {
        let Some(p) = self.there(id).cloned() else { return "denied".into() };
        if !self.may_see(who, p.unit) || !self.may_edit(who, p.unit) {
            return self.denied(who, &[id]);
        }
        if form.is_refused() {
            self.enter(code::GATE, who, false, &[]);
            return "gate".into();
        }
        let (identifies, has) = (self.may_identify(who, p.unit), !p.petitioner.is_empty());
        let typed = !form.petitioner.is_empty();
        if form.title.is_empty() || typed && !form.revealed && identifies && has {
            return "problems".into();
        }
        let mark = if submit.is_empty() { String::new() } else { format!("{submit} {:?}", form.typed()) };
        if !mark.is_empty() && p.mark == mark {
            self.enter(code::UPDATE, who, false, &[]);
            return "changed".into();
        }
        let refusal = match p.state {
            _ if p.version != version => Some("stale"),
            3 | 6 => Some("problems"),
            9 => Some("invalid"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.enter(code::UPDATE, who, true, &[]);
            return refusal.into();
        }
        self.enter(code::UPDATE, who, true, &[id]);
        let opened = identifies && typed && (form.revealed || !has);
        let petitioner = if opened { form.petitioner.clone() } else { p.petitioner };
        let state = match (p.state, form.is_complete()) {
            (1, true) => 2,
            (2, false) => 1,
            (other, _) => other,
        };
        let changed = (!submit.is_empty()).then(|| (submit.to_owned(), form.clone()));
        let (version, form, reference) = (p.version + 1, form.typed(), String::new());
        let after = Petition { petitioner, state, version, form, reference, mark, changed, ..p };
        self.petitions.insert(id, after);
        "changed".into()
    }

    pub(crate) fn advance(&mut self, who: Who, (id, version): (u64, u32), mv: usize, typed: (&str, &str)) -> String {
        let ((opinion, submit), mv) = (typed, &MOVES[mv]);
        let Some(p) = self.there(id).cloned() else { return "denied".into() };
        if !self.may_see(who, p.unit) || !self.may_do(who, mv.business, p.unit) {
            return self.denied(who, &[id]);
        }
        let mark = if submit.is_empty() { String::new() } else { format!("{submit} {} {opinion}", mv.name) };
        let repeated = !mark.is_empty() && p.mark == mark;
        let refusal = match self.objection(who, &p, mv) {
            _ if repeated => Some("moved"),
            _ if p.version != version => Some("stale"),
            _ if !mv.from.contains(&p.state) => Some("not now"),
            _ if opinion.trim().is_empty() => Some("problems"),
            Some(_) => Some("invalid"),
            None => None,
        };
        if let Some(refusal) = refusal {
            self.enter(code::ADVANCE, who, true, &[]);
            return refusal.into();
        }
        self.enter(code::ADVANCE, who, true, &[id]);
        let mut trail = p.trail.clone();
        trail.push((mv.label, self.people[who].id));
        let after = Petition { trail, state: mv.to, version: p.version + 1, mark, changed: None, ..p };
        self.petitions.insert(id, after);
        "moved".into()
    }

    /// `stage` is how far it came: 1 begun, 2 rows stored, 3 done.
    pub(crate) fn import(&mut self, who: Who, of: Who, rows: &[Row], stage: usize) -> String {
        if !self.may_create(who) {
            return self.denied(who, &[]);
        }
        let (account, own, unit) = (self.people[who].id, self.people[who].unit, self.people[of].unit);
        let (batch, number) = (self.take_id(), self.number("批"));
        let begun = Batch { number: number.clone(), unit: own, creator: who, state: 4, version: 2 };
        self.batches.insert(batch, begun);
        self.enter(code::IMPORT, who, true, &[batch]);
        let passing = |row: &&Row| !row.form.is_refused() && !row.form.title.is_empty();
        let good: Vec<&Row> = rows.iter().filter(passing).collect();
        let stage = if good.is_empty() && stage == 2 { 3 } else { stage };
        let may = self.is(who, "petition-office") || own == unit;
        let (mut made, mut skipped, mut failed) = (Vec::new(), 0, rows.len() - good.len());
        for row in good.iter().filter(|_| stage > 1) {
            let same = |p: &&Petition| p.reference == row.reference;
            if self.petitions.values().filter(same).any(|p| self.is_there(p) || p.batch == Some(batch)) {
                skipped += 1;
            } else if may {
                let id = self.store(unit, account, &row.form);
                if let Some(p) = self.petitions.get_mut(&id) {
                    (p.batch, p.reference) = (Some(batch), row.reference.clone());
                }
                made.push(id);
            } else {
                failed += 1;
            }
        }
        if !good.is_empty() {
            self.enter(code::IMPORT, who, true, &made);
        }
        if let Some(b) = self.batches.get_mut(&batch).filter(|_| stage > 2) {
            b.state = 2;
        }
        self.enter(code::IMPORT, who, true, &[batch]);
        format!("imported {} skipped {skipped} failed {failed} as {number}", made.len())
    }

    pub(crate) fn undo(&mut self, who: Who, number: &str, reason: &str) -> String {
        let found = self.batches.iter().find(|(_, b)| b.number == number);
        let Some((id, b)) = found.map(|(id, b)| (*id, b.clone())) else { return "invalid".into() };
        let brings = self.may_create(who) || self.is(who, "law-office");
        if !brings || !self.own(who, b.unit) {
            return self.denied(who, &[id]);
        }
        if self.petitions.values().any(|p| p.batch == Some(id) && p.version > 1) {
            return "invalid".into();
        }
        let refusal = if b.state == 2 { reason.is_empty().then_some("invalid") } else { Some("not now") };
        if let Some(refusal) = refusal {
            self.enter(code::ADVANCE, who, true, &[]);
            return refusal.into();
        }
        self.enter(code::ADVANCE, who, true, &[id]);
        let count = self.petitions.values().filter(|p| p.batch == Some(id)).count();
        self.batches.insert(id, Batch { state: 3, version: b.version + 1, ..b });
        format!("undone {count}")
    }

    pub(crate) fn keep(&mut self, who: Who, draft: &str, form: &Form) -> String {
        if !self.may_create(who) {
            return self.denied(who, &[]);
        }
        self.enter(code::DRAFT, who, true, &[]);
        let rests = !form.is_refused() && form.is_complete();
        let key = (self.people[who].id, draft.to_owned());
        self.drafts.insert(key, (form.title.clone(), !rests));
        format!("kept {rests}")
    }

    pub(crate) fn throw(&mut self, who: Who, draft: &str) -> String {
        let key = (self.people[who].id, draft.to_owned());
        if self.may_create(who) && self.drafts.remove(&key).is_some() {
            self.enter(code::DRAFT_GONE, who, true, &[]);
        }
        "thrown".into()
    }

    pub(crate) fn grant(&mut self, who: Who, whom: Who, stale: bool, roles: &[&'static str]) -> String {
        let account = self.people[whom].id;
        if !self.is(who, "sysadmin") && !self.is(who, "secadmin") {
            return self.denied(who, &[account]);
        }
        if self.is(who, "sysadmin") {
            return "problems".into();
        }
        let alone = |r: &&str| ["sysadmin", "secadmin", "auditor"].contains(r);
        let touches = roles.iter().any(alone) || self.people[whom].roles.iter().any(alone);
        let unchanged = roles == self.people[whom].roles;
        let refusal = if stale { Some("stale") } else { (touches && !unchanged).then_some("problems") };
        if let Some(refusal) = refusal {
            self.enter(code::UPDATE, who, true, &[]);
            return refusal.into();
        }
        self.enter(code::UPDATE, who, true, &[account]);
        self.people[whom].roles = roles.to_vec();
        self.people[whom].version += 1;
        "changed".into()
    }

    /// Something lies with this person that nobody else was given: open petitions that they prepared last, or entered
    /// for their unit and nobody has prepared yet, and drafts.
    fn has_work(&self, whom: Who) -> bool {
        let (id, unit) = (self.people[whom].id, self.people[whom].unit);
        let prepares = |label: &str| ["提交拟办", "提交办结", "归档"].contains(&label);
        let lies = |p: &Petition| match p.trail.iter().rev().find(|(label, _)| prepares(label)) {
            Some((_, by)) => *by == id,
            None => p.creator == id && p.unit == unit,
        };
        let open = self.petitions.values().filter(|p| self.is_there(p) && [1, 2, 3, 4, 6].contains(&p.state));
        let mut drafts = self.drafts.iter().filter(|((account, _), (_, in_memory))| *account == id && !in_memory);
        open.into_iter().any(lies) || drafts.next().is_some()
    }

    pub(crate) fn close(&mut self, who: Who, whom: Who, back: bool) -> String {
        let account = self.people[whom].id;
        if !self.is(who, "sysadmin") {
            return self.denied(who, &[account]);
        }
        let administers = ["sysadmin", "secadmin", "auditor"].iter().any(|r| self.is(whom, r));
        let refusal = if administers { Some("problems") } else { (self.people[whom].open != back).then_some("ok") };
        match refusal {
            Some("ok") if !back && self.has_work(whom) => return "invalid".into(),
            Some("ok") => {}
            refusal => {
                self.enter(code::ADVANCE, who, true, &[]);
                return refusal.unwrap_or("not now").into();
            }
        }
        self.enter(code::ADVANCE, who, true, &[account]);
        self.people[whom].open = back;
        self.people[whom].version += 1;
        "moved".into()
    }

    pub(crate) fn log_in(&mut self, who: Option<Who>, right: bool) -> String {
        match who.filter(|w| self.people[*w].open) {
            Some(who) if right => {
                self.enter(code::LOGIN, who, true, &[]);
                "in".into()
            }
            Some(who) => {
                self.enter(code::LOGIN_FAILED, who, false, &[]);
                "denied".into()
            }
            None => {
                if (self.now - self.last_stranger) / 1000 >= 60 {
                    self.last_stranger = self.now;
                    self.entries.push(entry(code::LOGIN_FAILED, 0, false, &[]));
                }
                "denied".into()
            }
        }
    }

    /// What lived in memory is gone.
    pub(crate) fn restarted(&mut self) {
        self.drafts.retain(|_, (_, in_memory)| !*in_memory);
        self.last_stranger = 0;
    }
}
