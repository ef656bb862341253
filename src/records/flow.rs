//! Flows: the states of a kind and the moves between them, as data. Who may make a move is a duty; which roles hold a
//! duty is the access table's business.

use super::{Fields, Record};

/// How a state is coloured, besides its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Work lies open.
    Open,
    /// Somebody is waited for.
    Waiting,
    /// Done.
    Done,
    /// Set aside.
    Quiet,
    /// Entered by mistake (作废): kept for its number, read-only, and left out of counts and lists by default.
    Void,
}

/// One state.
#[derive(Debug)]
pub struct State {
    /// Stored number, from 1; never reused.
    pub tag: u8,
    /// What users read.
    pub label: &'static str,
    /// How it looks.
    pub tone: Tone,
}

/// What somebody must be allowed to do to make a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// 经办: prepares.
    Handle,
    /// 审批: decides; never whoever prepared.
    Approve,
    /// The program itself; no role holds it.
    Machine,
    /// 登记: takes back an entry of one's own; nobody else's.
    Enter,
}

/// One move.
#[derive(Debug)]
pub struct Move {
    /// Name in addresses.
    pub name: &'static str,
    /// What the button says.
    pub label: &'static str,
    /// States it starts from.
    pub from: &'static [u8],
    /// State it leads to.
    pub to: u8,
    /// Whose business it is.
    pub duty: Duty,
    /// An opinion must be written.
    pub opinion: bool,
}

/// States and moves of a kind.
#[derive(Debug)]
pub struct Flow {
    /// All states, in the order of tabs.
    pub states: &'static [State],
    /// All moves.
    pub moves: &'static [Move],
    /// The state after a creation (`None`) or an edit, from the fields.
    pub settle: fn(Option<u8>, &Fields) -> u8,
    /// Where opinions are kept: the rows field of the handling trail.
    pub trail: Option<u16>,
}

impl Flow {
    /// The state with a tag.
    pub fn state(&self, tag: u8) -> Option<&'static State> {
        self.states.iter().find(|s| s.tag == tag)
    }

    /// Its label, or a sign that it is unknown.
    pub fn label(&self, tag: u8) -> &'static str {
        self.state(tag).map_or("未知状态", |s| s.label)
    }

    /// The state is that of an entry made by mistake.
    pub fn is_void(&self, state: u8) -> bool {
        self.state(state).is_some_and(|s| s.tone == Tone::Void)
    }

    /// The move takes the record out of the flow instead of on: nobody waits for it.
    pub fn voids(&self, mv: &Move) -> bool {
        self.is_void(mv.to)
    }

    /// States that lists and counts show unless another is asked for.
    pub fn counted(&self) -> impl Iterator<Item = &'static State> + use<> {
        self.states.iter().filter(|s| s.tone != Tone::Void)
    }

    /// Moves that lead on from a state.
    pub fn onward(&self, state: u8) -> impl Iterator<Item = &'static Move> {
        self.moves.iter().filter(move |m| m.from.contains(&state) && !self.voids(m))
    }

    /// Somebody else has it on the table: what is to be approved is not changed under their eyes.
    pub fn awaits_approval(&self, state: u8) -> bool {
        let mut moves = self.onward(state).peekable();
        moves.peek().is_some() && moves.all(|m| m.duty == Duty::Approve)
    }

    /// Nothing is left to do: nobody waits, and no work lies open.
    pub fn is_settled(&self, state: u8) -> bool {
        self.state(state).is_some_and(|s| !matches!(s.tone, Tone::Open | Tone::Waiting))
    }

    /// The state of what is laid aside: the last quiet one.
    pub fn laid_aside(&self) -> Option<u8> {
        self.states.iter().rev().find(|s| s.tone == Tone::Quiet).map(|s| s.tag)
    }

    /// Moves that start from where the record stands.
    pub fn open_moves<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = &'static Move> + 'a {
        self.moves.iter().filter(|m| m.from.contains(&record.state))
    }
}

/// The flow of things that simply are, with why they were closed and taken into use again in the field `trail`.
pub const fn in_use(trail: u16) -> Flow {
    Flow {
        states: &[
            State { tag: 1, label: "在用", tone: Tone::Done },
            State { tag: 2, label: "已停用", tone: Tone::Quiet },
        ],
        moves: &[
            Move { name: "close", label: "停用", from: &[1], to: 2, duty: Duty::Handle, opinion: true },
            Move { name: "reopen", label: "恢复使用", from: &[2], to: 1, duty: Duty::Handle, opinion: true },
        ],
        settle: |state, _| state.unwrap_or(1),
        trail: Some(trail),
    }
}
