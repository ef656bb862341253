//! Who may do what: the grants that stand beside each kind, or what the county's charter has in their place, held
//! against the roles of an account and its single rights. What neither names is denied. Rights are read live at every
//! act; they cannot contradict each other because grants only add.

use std::sync::Arc;

use crate::base::{Moment, RecordId};
use crate::records::account::{Extra, OF_RIGHTS, extras_on, roles_on, tag};
use crate::records::charter::Charter;
use crate::records::flow::Duty;
use crate::records::{self, Author, Field, Kind, Part, Record, article};
use crate::store::Doer;

pub use crate::records::{Right, Scope};

/// Somebody who does something, with rights as they were when the act began; acts check them again as they commit.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The account; 0 for the host's own commands.
    pub account: RecordId,
    /// Its unit.
    pub unit: RecordId,
    /// Its log-in name.
    pub login: String,
    /// The person's name.
    pub name: String,
    /// Codes of its roles.
    pub roles: Vec<String>,
    /// Rights besides them.
    pub extras: Vec<Extra>,
    /// What roles may do.
    pub charter: Arc<Charter>,
    /// Which way in: `web`, `local:<uid>`.
    pub via: String,
    /// They proved once more who they are, a short while ago: keys, exports and identities ask for it.
    pub proven: bool,
    /// Where they are, nothing is done but looking: on a standby.
    pub only_looks: bool,
}

impl Actor {
    /// The actor an account record describes at a moment, with what is given for a time, by a charter.
    pub fn at(record: &Record, via: &str, now: Moment, charter: &Arc<Charter>) -> Self {
        let (roles, extras) = (roles_on(&record.fields, now.day()), extras_on(&record.fields, now.day()));
        Self { roles, extras, charter: Arc::clone(charter), ..Self::of(record, via) }
    }

    /// The actor an account record describes, with the roles it has for good: enough to say who it is.
    pub fn of(record: &Record, via: &str) -> Self {
        Self {
            account: record.id,
            unit: record.fields.link(tag::UNIT).unwrap_or(RecordId(0)),
            login: record.fields.text(tag::LOGIN).to_owned(),
            name: record.fields.text(tag::NAME).to_owned(),
            roles: record.fields.codes(tag::ROLES).to_vec(),
            extras: Vec::new(),
            charter: Arc::default(),
            via: via.to_owned(),
            proven: false,
            only_looks: false,
        }
    }

    /// The account holds this role.
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|r| r == role)
    }

    /// How far a right over a kind reaches.
    pub fn scope(&self, kind: &Kind, right: Right) -> Scope {
        if self.only_looks && !matches!(right, Right::See | Right::Identity) {
            return Scope::Nothing;
        }
        let along = kind.along.iter().filter(|a| a.2.contains(&right));
        let along = along.filter_map(|a| Some(self.held(records::by_name(a.0)?, a.1).min(a.3)));
        along.max().unwrap_or_default().max(self.held(kind, right))
    }

    /// How far a right over a kind reaches by roles and by what was granted besides: no further than sight does.
    fn held(&self, kind: &Kind, right: Right) -> Scope {
        let most = match right {
            Right::See | Right::Identity => Scope::County,
            _ if !records::grant::is_module(kind) => Scope::County,
            _ => self.granted(kind, Right::See),
        };
        self.granted(kind, right).min(most)
    }

    fn granted(&self, kind: &Kind, right: Right) -> Scope {
        let roles = self.roles.iter().map(|role| self.charter.scope(role, kind, right));
        // To take back one's own entry goes with entering.
        let meant = if right == Right::Move(Duty::Enter) { Right::Create } else { right };
        let extras = self.extras.iter().filter(|e| e.kind == kind.tag && e.right == meant).map(|e| e.scope);
        roles.chain(extras).max().unwrap_or_default()
    }

    /// May do this to a record of this unit.
    pub fn may(&self, kind: &Kind, right: Right, unit: RecordId) -> bool {
        match self.scope(kind, right) {
            Scope::Nothing => false,
            Scope::Own => unit == self.unit,
            Scope::Supervised => unit == self.unit || self.charter.office_of(unit) == Some(self.unit),
            Scope::County => true,
        }
    }

    /// The units that a scope reaches; `None` for all of them.
    pub fn units(&self, scope: Scope) -> Option<Vec<RecordId>> {
        match scope {
            Scope::Nothing => Some(Vec::new()),
            Scope::Own => Some(vec![self.unit]),
            Scope::Supervised => Some([self.unit].into_iter().chain(self.charter.looked_after(self.unit)).collect()),
            Scope::County => None,
        }
    }

    /// Decides something: approves in some module.
    pub fn approves(&self) -> bool {
        let module = |k: &&&Kind| records::grant::is_module(k);
        records::ALL.iter().filter(module).any(|k| self.scope(k, Right::Move(Duty::Approve)) > Scope::Nothing)
    }

    /// May open the identity part of a record.
    pub fn may_identify(&self, kind: &Kind, unit: RecordId) -> bool {
        self.may(kind, Right::See, unit) && self.may(kind, Right::Identity, unit)
    }

    /// How far the right to open the identity part reaches.
    pub fn identifies(&self, kind: &Kind) -> Scope {
        self.scope(kind, Right::See).min(self.scope(kind, Right::Identity))
    }

    /// May type into this field. Roles and clearance are the security administrator's alone, everything else of an
    /// account the system administrator's; the identity of an existing record needs its own right; what an article
    /// shows of its regulation is typed there.
    pub fn may_type(&self, kind: &Kind, field: &Field, existing: Option<&Record>) -> bool {
        if kind.name == "account" {
            return self.is(if OF_RIGHTS.contains(&field.tag) { "secadmin" } else { "sysadmin" });
        }
        if kind.tag == article::KIND.tag && article::FOLLOWING.contains(&field.tag) {
            return false;
        }
        match existing {
            Some(record) if field.part == Part::Identity => self.may_identify(kind, record.unit),
            _ => true,
        }
    }

    /// As the author of changes.
    pub fn author(&self) -> Author {
        Author { account: self.account, unit: self.unit }
    }

    /// As the doer of journal entries.
    pub fn doer(&self) -> Doer {
        Doer { account: self.account, unit: self.unit, via: self.via.clone() }
    }
}

/// The machine itself, or the owner of the data folder at the host's console.
pub fn local_doer() -> Doer {
    let via = format!("local:{}", nix::unistd::getuid());
    Doer { account: RecordId(0), unit: RecordId(0), via }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::account;

    fn actor(role: &str) -> Actor {
        Actor {
            account: RecordId(9),
            unit: RecordId(2),
            login: "x".into(),
            name: "x".into(),
            roles: vec![role.into()],
            extras: Vec::new(),
            charter: Arc::default(),
            via: "test".into(),
            proven: false,
            only_looks: false,
        }
    }

    #[test]
    fn administrators_hold_no_business_rights() {
        for admin in account::ADMINISTRATORS {
            for kind in ["petition", "regulation", "article"].map(|n| records::by_name(n).unwrap()) {
                for right in [Right::See, Right::Create, Right::Edit, Right::Identity] {
                    assert_eq!(actor(admin).scope(kind, right), Scope::Nothing, "{admin} {}", kind.name);
                }
            }
        }
    }

    #[test]
    fn no_administrator_can_both_create_and_empower_an_account() {
        let kind = records::by_name("account").unwrap();
        let roles = kind.field(tag::ROLES).unwrap();
        for admin in account::ADMINISTRATORS {
            let a = actor(admin);
            let creates = a.scope(kind, Right::Create) > Scope::Nothing;
            assert!(!(creates && a.may_type(kind, roles, None)), "{admin}");
        }
    }

    #[test]
    fn whoever_only_looks_sees_as_much_and_does_nothing() {
        for role in ["leader", "clerk", "sysadmin"] {
            let (works, looks) = (actor(role), Actor { only_looks: true, ..actor(role) });
            for kind in records::ALL {
                for right in [Right::See, Right::Identity] {
                    assert_eq!(looks.scope(kind, right), works.scope(kind, right), "{role} {}", kind.name);
                }
                for right in [Right::Create, Right::Edit] {
                    assert_eq!(looks.scope(kind, right), Scope::Nothing, "{role} {}", kind.name);
                }
            }
        }
    }

    #[test]
    fn an_account_without_roles_may_do_nothing() {
        for kind in records::ALL {
            assert_eq!(actor("none").scope(kind, Right::See), Scope::Nothing);
        }
    }
}
