//! What the model says that people see: one record, a list, what a search finds. And the one door to all its commands.

use std::collections::BTreeMap;

use super::command::{Command, Who};
use super::model::{MOVES, Model, Petition, RANKS, code, entry};

impl Petition {
    /// Everything a record says, in one line; the petitioner when asked for.
    pub(crate) fn told(&self, id: u64, identity: bool) -> String {
        let accused: Vec<String> =
            self.form.accused.iter().map(|(name, rank)| format!("{name} {}", RANKS[*rank].0)).collect();
        let petitioner = if identity { self.petitioner.as_str() } else { "" };
        format!(
            "{id} {} unit {} by {} v{} state {} [{}|{}|{}|{}] {accused:?} {:?} file {:?} ref {} batch {:?} \
             from [{petitioner}]",
            self.number,
            self.unit,
            self.creator,
            self.version,
            self.state,
            self.form.title,
            self.form.text,
            self.form.received,
            self.form.organisation,
            self.trail,
            self.file.is_some(),
            self.reference,
            self.batch,
        )
    }
}

/// Looks.
impl Model {
    pub(crate) fn open(&mut self, who: Who, id: u64) -> String {
        let Some(p) = self.petitions.get(&id).filter(|p| self.is_there(p)).cloned() else { return "denied".into() };
        if !self.may_see(who, p.unit) {
            return self.denied(who, &[id]);
        }
        self.enter(code::READ, who, true, &[id]);
        let open = |m: &usize| MOVES[*m].from.contains(&p.state) && self.may_move(who, id, *m);
        let names = |void: bool| (0..MOVES.len()).filter(open).filter(move |m| (MOVES[*m].to == 9) == void);
        let moves: Vec<&str> = names(false).chain(names(true)).map(|m| MOVES[m].name).collect();
        let own = self.is(who, "handler") && self.people[who].unit == p.unit;
        let edit = own && ![3, 6, 9].contains(&p.state);
        let identify = self.is(who, "identity");
        let has = !p.petitioner.is_empty();
        format!("{} moves {moves:?} edit {edit} identify {identify} has {has}", p.told(id, false))
    }

    pub(crate) fn reveal(&mut self, who: Who, id: u64, reason: &str) -> String {
        let Some(p) = self.petitions.get(&id).filter(|p| self.is_there(p)).cloned() else { return "denied".into() };
        if !self.may_see(who, p.unit) || !self.is(who, "identity") {
            return self.denied(who, &[id]);
        }
        if reason.chars().count() < 2 {
            return "invalid".into();
        }
        self.enter(code::REVEAL, who, true, &[id]);
        format!("{} because {reason}", p.told(id, true))
    }

    fn fetch(&mut self, who: Who, id: u64) -> String {
        let Some(p) = self.petitions.get(&id).filter(|p| self.is_there(p)).cloned() else { return "denied".into() };
        if !self.may_see(who, p.unit) {
            return self.denied(who, &[id]);
        }
        let Some(file) = p.file else { return "denied".into() };
        self.enter(code::DOWNLOAD, who, true, &[id]);
        format!("file {file}")
    }

    pub(crate) fn list(&mut self, who: Who, state: Option<u8>) -> String {
        let mut tallies: BTreeMap<u8, u64> = BTreeMap::new();
        let mut rows = Vec::new();
        for (id, p) in self.visible(who) {
            *tallies.entry(p.state).or_default() += 1;
            if state.map_or(p.state != 9, |s| s == p.state) {
                rows.push((p.form.received, id));
            }
        }
        rows.sort_unstable();
        let ids: Vec<u64> = rows.iter().rev().map(|(_, id)| *id).collect();
        if !ids.is_empty() {
            self.enter(code::LIST, who, true, &ids);
        }
        format!("list {ids:?} of {} tallies {tallies:?}", ids.len())
    }

    fn search(&mut self, who: Who, text: &str) -> String {
        let hits: Vec<u64> =
            self.visible(who).filter(|(_, p)| p.form.text.contains(text)).map(|(id, _)| id).collect();
        if hits.is_empty() {
            return "found nothing exactly".into();
        }
        self.enter(code::SEARCH, who, true, &hits);
        format!("found {hits:?}")
    }

    /// What a command is answered; what it changes is changed, what it enters stands in `entries`.
    pub(crate) fn answer(&mut self, command: &Command) -> String {
        self.entries.clear();
        if let Some(who) = command.who().filter(|w| !self.people[*w].open) {
            return format!("no account {who}");
        }
        match command {
            Command::Create { who, form, submit, file } => self.create(*who, form, submit, file.as_ref()),
            Command::Amend { who, id, version, form, submit } => self.amend(*who, (*id, *version), form, submit),
            Command::Advance { who, id, version, mv, opinion, submit } => {
                self.advance(*who, (*id, *version), *mv, (opinion, submit))
            }
            Command::Reveal { who, id, reason } => self.reveal(*who, *id, reason),
            Command::Open { who, id } => self.open(*who, *id),
            Command::Fetch { who, id } => self.fetch(*who, *id),
            Command::List { who, state } => self.list(*who, *state),
            Command::Search { who, text } => self.search(*who, text),
            Command::Import { who, unit, rows } => self.import(*who, *unit, rows, 3),
            Command::Undo { who, number, reason } => self.undo(*who, number, reason),
            Command::Keep { who, draft, form } => self.keep(*who, draft, form),
            Command::Throw { who, draft } => self.throw(*who, draft),
            Command::Grant { who, whom, stale, roles } => self.grant(*who, *whom, *stale, roles),
            Command::Close { who, whom, back } => self.close(*who, *whom, *back),
            Command::LogIn { who, right, .. } => self.log_in(*who, *right),
            Command::Rebuild => {
                self.entries.push(entry(code::REINDEX, 0, true, &[]));
                "rebuilt".into()
            }
            Command::Clock { to } => {
                self.now = *to;
                "set".into()
            }
            Command::Restart => {
                self.restarted();
                "restarted".into()
            }
            Command::Audit => "sound".into(),
        }
    }
}

impl Command {
    /// Who acts with an account that must be in use.
    pub(crate) fn who(&self) -> Option<Who> {
        match self {
            Self::Create { who, .. }
            | Self::Amend { who, .. }
            | Self::Advance { who, .. }
            | Self::Reveal { who, .. }
            | Self::Open { who, .. }
            | Self::Fetch { who, .. }
            | Self::List { who, .. }
            | Self::Search { who, .. }
            | Self::Import { who, .. }
            | Self::Undo { who, .. }
            | Self::Keep { who, .. }
            | Self::Throw { who, .. }
            | Self::Grant { who, .. }
            | Self::Close { who, .. } => Some(*who),
            Self::LogIn { .. } | Self::Clock { .. } | Self::Restart | Self::Rebuild | Self::Audit => None,
        }
    }
}
