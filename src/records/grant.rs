//! Grants: who may do what to records of a kind, as rows of data beside the kind. What no grant names is denied.

use super::Kind;
use super::dict::{Dict, entry};
use super::flow::Duty;

/// What can be done to records of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See lists, open records, find them.
    See,
    /// Enter new ones.
    Create,
    /// Change them.
    Edit,
    /// Move them, by duty.
    Move(Duty),
    /// Open the petitioner's identity.
    Identity,
    /// Ask that their content be purged; somebody else decides.
    Purge,
}

/// What can be granted, as stored codes and as tables name it. To take back one's own entry goes with entering.
pub static ACTIONS: Dict = Dict {
    name: "action",
    source: "管理办法 第七条（录入、审批、查询）；其余为默认",
    entries: &[
        entry("see", "查看"),
        entry("create", "登记"),
        entry("edit", "修改"),
        entry("handle", "办理"),
        entry("approve", "审批"),
        entry("identity", "查看检举控告人"),
        entry("purge", "申请清除"),
    ],
};

impl Right {
    /// Those of [`ACTIONS`], in that order.
    pub const ALL: [Self; 7] = [
        Self::See,
        Self::Create,
        Self::Edit,
        Self::Move(Duty::Handle),
        Self::Move(Duty::Approve),
        Self::Identity,
        Self::Purge,
    ];

    /// The right with a code of [`ACTIONS`].
    pub fn of_code(code: &str) -> Option<Self> {
        let place = ACTIONS.entries.iter().position(|e| e.code == code)?;
        Self::ALL.get(place).copied()
    }
}

/// Whose records a right reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nobody's.
    #[default]
    Nothing,
    /// Those of the actor's own unit.
    Own,
    /// Those of the own unit and of the units that it looks after.
    Supervised,
    /// Everybody's.
    County,
}

/// Scopes that can be granted, as stored codes.
pub static SCOPES: Dict = Dict {
    name: "scope",
    source: "默认",
    entries: &[entry("own", "本单位"), entry("supervised", "本单位和联系单位"), entry("county", "全县")],
};

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Own, Self::Supervised, Self::County];

    /// Stored code: one of [`SCOPES`], or nothing.
    pub fn code(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Own => "own",
            Self::Supervised => "supervised",
            Self::County => "county",
        }
    }

    /// What users read.
    pub fn label(self) -> &'static str {
        if self == Self::Nothing { "—" } else { SCOPES.label(self.code()) }
    }

    /// It says something of this kind: what belongs to the county is everybody's or nobody's.
    pub fn fits(self, kind: &Kind) -> bool {
        kind.owned || matches!(self, Self::Nothing | Self::County)
    }

    /// The scope with a code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }
}

/// A role holds rights over records of the kind the grant stands at, within a scope.
#[derive(Debug)]
pub struct Grant(pub &'static str, pub &'static [Right], pub Scope);

/// Whoever holds a right over another kind holds rights over the kind this stands at, as far, and at most so far.
#[derive(Debug)]
pub struct Along(pub &'static str, pub Right, pub &'static [Right], pub Scope);

/// To look only.
pub const SEE: &[Right] = &[Right::See];
/// To keep: see, enter, change, prepare, take one's own entry back.
pub const KEEP: &[Right] =
    &[Right::See, Right::Create, Right::Edit, Right::Move(Duty::Handle), Right::Move(Duty::Enter)];

/// Modules: kinds that roles of business are granted rights over, as codes. What a county sets of its own is set here.
pub static MODULES: Dict = Dict {
    name: "module",
    source: "管理办法 第二条",
    entries: &[entry("petition", "信访件"), entry("regulation", "法律法规")],
};

/// The kind is one of [`MODULES`].
pub fn is_module(kind: &Kind) -> bool {
    MODULES.entries.iter().any(|e| e.code == kind.name)
}

/// How far a role reaches by the grants of the kind alone.
pub fn granted(role: &str, kind: &Kind, right: Right) -> Scope {
    let held = kind.grants.iter().filter(|g| g.0 == role && g.1.contains(&right));
    held.map(|g| g.2).max().unwrap_or_default()
}
