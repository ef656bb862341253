//! Grants: who may do what to records of a kind, as rows of data beside the kind. What no grant names is denied.

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

/// Whose records a right reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nobody's.
    Nothing,
    /// Those of the actor's own unit.
    Own,
    /// Everybody's.
    County,
}

/// A role holds rights over records of the kind the grant stands at, within a scope.
#[derive(Debug)]
pub struct Grant(pub &'static str, pub &'static [Right], pub Scope);

/// To look only.
pub const SEE: &[Right] = &[Right::See];
/// To keep: see, enter, change, prepare, take one's own entry back.
pub const KEEP: &[Right] =
    &[Right::See, Right::Create, Right::Edit, Right::Move(Duty::Handle), Right::Move(Duty::Enter)];
