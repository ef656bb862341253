//! What people of the county do, as values: a command says everything that is typed, so that the same seed types the
//! same. Commands are drawn with an eye on the model, so that most of them mean something.

use super::disk::Chance;
use super::model::{MOVES, Model, RANKS};

/// Who does it: a place in [`Model::people`].
pub(crate) type Who = usize;

/// What a form of a petition says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub title: String,
    pub text: String,
    /// `yyyy-mm-dd`, or nothing.
    pub received: &'static str,
    /// Names and places in [`RANKS`].
    pub accused: Vec<(String, usize)>,
    pub organisation: bool,
    /// Name of the petitioner.
    pub petitioner: String,
    pub revealed: bool,
}

/// One row of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub reference: String,
    pub form: Form,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Create { who: Who, form: Form, submit: String, file: Option<String> },
    Amend { who: Who, id: u64, version: u32, form: Form, submit: String },
    Advance { who: Who, id: u64, version: u32, mv: usize, opinion: &'static str, submit: String },
    Reveal { who: Who, id: u64, reason: &'static str },
    Open { who: Who, id: u64 },
    Fetch { who: Who, id: u64 },
    List { who: Who, state: Option<u8> },
    Search { who: Who, text: String },
    Import { who: Who, unit: usize, rows: Vec<Row> },
    Undo { who: Who, number: String, reason: &'static str },
    Keep { who: Who, draft: String, form: Form },
    Throw { who: Who, draft: String },
    Grant { who: Who, whom: Who, stale: bool, roles: Vec<&'static str> },
    Close { who: Who, whom: Who, back: bool },
    LogIn { who: Option<Who>, right: bool, from: u64 },
    Clock { to: i64 },
    Restart,
    Rebuild,
    Audit,
}

impl Command {
    /// The power may go in the middle: what it leaves is on the virtual disk alone.
    pub(crate) fn can_be_cut(&self) -> bool {
        !matches!(self, Self::Clock { .. } | Self::Restart | Self::Rebuild | Self::Audit | Self::LogIn { .. })
    }
}

/// Characters that make a text unlike any other.
const LETTERS: &str = "春夏秋冬东南西北金木水火土山川河流花草树木鸟鱼虫马牛羊红黄蓝绿青紫白黑天地日月星风雨雪云";
const DAYS: [&str; 6] = ["", "2026-01-05", "2026-03-09", "2026-03-09", "2025-12-31", "2026-07-01"];
const NAMES: [&str; 5] = ["赵甲", "钱乙", "孙丙", "李丁", "周戊"];
const HOUR_MS: i64 = 3_600_000;

/// Draws commands.
pub(crate) struct Draw<'a> {
    pub model: &'a Model,
    pub chance: &'a mut Chance,
}

impl Draw<'_> {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.chance.below(of.len())].clone()
    }

    fn rarely(&mut self, n: usize) -> bool {
        self.chance.below(n) == 0
    }

    /// The next thing that happens.
    pub(crate) fn command(&mut self) -> Command {
        let who = self.chance.below(self.model.people.len());
        match self.chance.below(200) {
            0..=29 => self.create(),
            30..=51 => self.amend(who),
            52..=101 => self.advance(who),
            102..=111 => Command::Reveal { who, id: self.petition(), reason: self.one(&["", "核", "核实情况", "依规联系"]) },
            112..=123 => Command::Open { who, id: self.petition() },
            124..=129 => Command::Fetch { who, id: self.petition() },
            130..=141 => {
                let state = self.chance.below(12);
                Command::List { who, state: (1..=9).contains(&state).then_some(u8::try_from(state).unwrap()) }
            }
            142..=147 => self.search(who),
            148..=157 => self.import(),
            158..=165 => self.undo(who),
            166..=174 => Command::Keep { who, draft: self.draft(), form: self.form() },
            175..=178 => Command::Throw { who, draft: self.draft() },
            179..=189 => self.grant(),
            190..=191 => Command::Close { who: self.administrator(), whom: who, back: self.rarely(2) },
            192..=196 => self.clock(),
            197 if self.rarely(3) => self.log_in(),
            197 => Command::Rebuild,
            198 => Command::Restart,
            _ => Command::Audit,
        }
    }

    fn administrator(&mut self) -> Who {
        if self.rarely(4) { self.chance.below(self.model.people.len()) } else { self.chance.below(3) }
    }

    /// Mostly somebody who may register.
    fn clerk(&mut self) -> Who {
        let clerks: Vec<Who> = (0..self.model.people.len()).filter(|w| self.model.may_create(*w)).collect();
        if clerks.is_empty() || self.rarely(8) { self.chance.below(self.model.people.len()) } else { self.one(&clerks) }
    }

    /// Mostly a petition that is there.
    fn petition(&mut self) -> u64 {
        let ids: Vec<u64> = self.model.petitions.keys().copied().collect();
        if ids.is_empty() || self.rarely(30) { self.model.next_id + 3 } else { self.one(&ids) }
    }

    fn words(&mut self) -> String {
        let letters: Vec<char> = LETTERS.chars().collect();
        (0..8).map(|_| self.one(&letters)).collect()
    }

    fn form(&mut self) -> Form {
        let title = if self.rarely(25) { String::new() } else { format!("反映{}", self.words()) };
        let (text, received) = (format!("内容{}", self.words()), self.one(&DAYS));
        let count = self.one(&[0, 1, 1, 1, 2]);
        let rank = |draw: &mut Self| if draw.rarely(2) { 0 } else { draw.chance.below(RANKS.len()) };
        let accused = (0..count).map(|_| (self.one(&NAMES).to_owned(), rank(self))).collect();
        let petitioner = if self.rarely(3) { format!("来信人{}", self.words()) } else { String::new() };
        Form { title, text, received, accused, organisation: self.rarely(4), petitioner, revealed: self.rarely(3) }
    }

    fn submit(&mut self) -> String {
        if self.rarely(4) { String::new() } else { format!("{:032x}", self.chance.next()) }
    }

    fn create(&mut self) -> Command {
        let made: Vec<(Who, Form, String)> = self.model.made.clone();
        if !made.is_empty() && self.rarely(6) {
            let (who, mut form, submit) = self.one(&made);
            if self.rarely(3) {
                form.text.push('改');
            }
            return Command::Create { who, form, submit, file: None };
        }
        let file = if self.rarely(10) { Some(self.words()) } else { None };
        Command::Create { who: self.clerk(), form: self.form(), submit: self.submit(), file }
    }

    fn version(&mut self, id: u64) -> u32 {
        let version = self.model.petitions.get(&id).map_or(1, |p| p.version);
        if self.rarely(8) { version.saturating_sub(1) } else { version }
    }

    fn amend(&mut self, who: Who) -> Command {
        let (id, mut form) = (self.petition(), self.form());
        let old = self.model.petitions.get(&id).filter(|_| self.chance.below(8) == 0);
        if let Some((mark, said)) = old.and_then(|p| p.changed.clone()) {
            form = said;
            return Command::Amend { who, id, version: self.version(id), form, submit: mark };
        }
        let unit = self.model.petitions.get(&id).map(|p| p.unit);
        let near = (0..self.model.people.len()).find(|w| Some(self.model.people[*w].unit) == unit);
        let who = if self.rarely(2) { near.unwrap_or(who) } else { who };
        Command::Amend { who, id, version: self.version(id), form, submit: self.submit() }
    }

    fn advance(&mut self, who: Who) -> Command {
        let id = self.petition();
        let state = self.model.petitions.get(&id).map_or(0, |p| p.state);
        let open: Vec<usize> = (0..MOVES.len()).filter(|m| MOVES[*m].from.contains(&state)).collect();
        let onward: Vec<usize> = open.iter().copied().filter(|m| MOVES[*m].to != 9).collect();
        let mv = match self.chance.below(8) {
            0 => self.chance.below(MOVES.len()),
            1 if !open.is_empty() => self.one(&open),
            _ if !onward.is_empty() => self.one(&onward),
            _ => self.chance.below(MOVES.len()),
        };
        let able: Vec<Who> = (0..self.model.people.len()).filter(|w| self.model.may_move(*w, id, mv)).collect();
        let who = if able.is_empty() || self.rarely(4) { who } else { self.one(&able) };
        let opinion = if self.rarely(20) { " \n" } else { "同意，按程序办理" };
        Command::Advance { who, id, version: self.version(id), mv, opinion, submit: self.submit() }
    }

    fn search(&mut self, who: Who) -> Command {
        let id = self.petition();
        let text = self.model.petitions.get(&id).map(|p| p.form.text.clone());
        let text = text.unwrap_or_else(|| format!("内容{}", self.words()));
        Command::Search { who, text: text.chars().skip(2).take(8).collect() }
    }

    fn import(&mut self) -> Command {
        let who = self.clerk();
        let other = self.chance.below(self.model.people.len());
        let whose = if self.rarely(4) { other } else { who };
        let count = self.chance.below(4) + 1;
        let rows = (0..count).map(|_| {
            let known: Vec<String> = self.model.references();
            let again = !known.is_empty() && self.rarely(4);
            let reference = if again { self.one(&known) } else { self.words() };
            Row { reference, form: Form { received: "", organisation: false, ..self.form() } }
        });
        Command::Import { who, unit: whose, rows: rows.collect() }
    }

    fn undo(&mut self, who: Who) -> Command {
        let batches: Vec<(String, Who)> =
            self.model.batches.values().map(|b| (b.number.clone(), b.creator)).collect();
        let reason = if self.rarely(8) { "" } else { "导错了文件" };
        if batches.is_empty() || self.rarely(12) {
            return Command::Undo { who, number: "批〔2026〕999号".to_owned(), reason };
        }
        let (number, creator) = self.one(&batches);
        Command::Undo { who: if self.rarely(3) { who } else { creator }, number, reason }
    }

    fn draft(&mut self) -> String {
        format!("{:032x}", self.chance.below(4))
    }

    fn grant(&mut self) -> Command {
        const SETS: [&[&str]; 8] = [
            &[],
            &["handler"],
            &["handler", "identity"],
            &["approver", "identity"],
            &["petition-office"],
            &["approver", "handler"],
            &["sysadmin"],
            &["auditor", "handler"],
        ];
        let (whom, stale) = (self.chance.below(self.model.people.len()), self.rarely(10));
        let usual = self.model.people[whom].first;
        let roles = if self.rarely(2) { usual } else { self.one(&SETS) };
        let who = if self.rarely(3) { self.administrator() } else { 1 };
        Command::Grant { who, whom, stale, roles: roles.to_vec() }
    }

    fn clock(&mut self) -> Command {
        let step = self.one(&[1, 5, 30, 24 * 40, 24 * 300, -3, -24 * 200]);
        Command::Clock { to: self.model.now + step * HOUR_MS }
    }

    fn log_in(&mut self) -> Command {
        let who = if self.rarely(5) { None } else { Some(self.chance.below(self.model.people.len())) };
        Command::LogIn { who, right: !self.rarely(3), from: self.chance.next() }
    }
}
