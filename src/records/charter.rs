//! The charter (角色权限): what each role may do in each module, and which office looks after which unit. The grants beside
//! the kinds are the template; where a county sets a role and module anew, its own cell holds instead, whole. What
//! the three administrators may do stands with the kinds alone and cannot be set.

use super::account::{ADMINISTRATORS, ROLES};
use super::grant::{MODULES, granted, is_module};
use super::{Fields, Kind, Right, Scope, Value, by_name};
use crate::base::RecordId;

/// Tags of the stored charter (`data-format/store.md`).
mod tag {
    pub(super) const CELLS: u16 = 16;
    pub(super) const UNITS: u16 = 17;
    pub(super) const ROLE: u16 = 1;
    pub(super) const MODULE: u16 = 2;
    pub(super) const ACTION: u16 = 3;
    pub(super) const SCOPE: u16 = 4;
    pub(super) const UNIT: u16 = 1;
    pub(super) const OFFICE: u16 = 2;
}

/// Scopes in the order of [`Right::ALL`].
pub type Scopes = [Scope; Right::ALL.len()];

/// What one role may do in one module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    role: String,
    module: String,
    scopes: Scopes,
}

/// What a county set of its own; nothing by default, so that the template holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charter {
    cells: Vec<Cell>,
    /// A unit, and the office that looks after it (联系单位).
    units: Vec<(RecordId, RecordId)>,
}

impl Charter {
    /// How far a role reaches by itself: not by what comes along with rights over another kind.
    pub fn scope(&self, role: &str, kind: &Kind, right: Right) -> Scope {
        match self.cell(role, kind) {
            Some(cell) => of(&cell.scopes, right),
            None => granted(role, kind, right),
        }
    }

    /// A role's scopes in a module.
    pub fn scopes(&self, role: &str, kind: &Kind) -> Scopes {
        Right::ALL.map(|right| self.scope(role, kind, right))
    }

    /// The county set this itself.
    pub fn is_own(&self, role: &str, kind: &Kind) -> bool {
        self.cell(role, kind).is_some()
    }

    /// Units that an office looks after.
    pub fn looked_after(&self, office: RecordId) -> impl Iterator<Item = RecordId> {
        self.units.iter().filter(move |(_, by)| *by == office).map(|(unit, _)| *unit)
    }

    /// The office that looks after a unit.
    pub fn office_of(&self, unit: RecordId) -> Option<RecordId> {
        self.units.iter().find(|(own, _)| *own == unit).map(|(_, office)| *office)
    }

    /// Sets what a role may do in a module; what equals the template is the template. Says what is wrong with it.
    pub fn set(&mut self, role: &str, kind: &Kind, scopes: Scopes) -> Result<(), String> {
        if !is_module(kind) || !ROLES.entries.iter().any(|e| e.code == role) || ADMINISTRATORS.contains(&role) {
            return Err("只能设置业务角色在业务模块中的权限；三员的权限由系统固定。".into());
        }
        let see = of(&scopes, Right::See);
        let wide = |(right, scope): &(Right, Scope)| *scope > see && *right != Right::Identity;
        if Right::ALL.into_iter().zip(scopes).any(|cell| wide(&cell)) {
            let words = format!("{}：看不到的不能办理。请把“查看”的范围设得不小于其他各项。", kind.label);
            return Err(words);
        }
        if scopes.iter().any(|s| !s.fits(kind)) {
            return Err(format!("{}属于全县，范围只能是“{}”或不授予。", kind.label, Scope::County.label()));
        }
        self.cells.retain(|c| !(c.role == role && c.module == kind.name));
        if self.scopes(role, kind) != scopes {
            let (role, module) = (role.to_owned(), kind.name.to_owned());
            self.cells.push(Cell { role, module, scopes });
            self.cells.sort_by(|a, b| (&a.role, &a.module).cmp(&(&b.role, &b.module)));
        }
        Ok(())
    }

    /// Says which office looks after a unit, or that none does.
    pub fn set_office(&mut self, unit: RecordId, office: Option<RecordId>) {
        self.units.retain(|(own, _)| *own != unit);
        self.units.extend(office.filter(|o| *o != unit).map(|o| (unit, o)));
        self.units.sort_unstable();
    }

    fn cell(&self, role: &str, kind: &Kind) -> Option<&Cell> {
        self.cells.iter().find(|c| c.role == role && c.module == kind.name)
    }

    /// What was kept. A word that this program does not know gives nothing: its cell holds, and is smaller.
    pub fn read(fields: &Fields) -> Self {
        let mut charter = Self::default();
        for row in fields.rows(tag::CELLS) {
            let (role, module) = (row.text(tag::ROLE), row.text(tag::MODULE));
            if ADMINISTRATORS.contains(&role) || !by_name(module).is_some_and(is_module) {
                continue;
            }
            let place = charter.cells.iter().position(|c| c.role == role && c.module == module);
            let place = place.unwrap_or_else(|| {
                charter.cells.push(Cell { role: role.into(), module: module.into(), scopes: Scopes::default() });
                charter.cells.len() - 1
            });
            let right = Right::of_code(row.text(tag::ACTION));
            let right = right.and_then(|r| Right::ALL.iter().position(|own| *own == r));
            if let (Some(right), Some(scope)) = (right, Scope::of_code(row.text(tag::SCOPE))) {
                charter.cells[place].scopes[right] = scope;
            }
        }
        let units = fields.rows(tag::UNITS).iter();
        charter.units = units.filter_map(|row| Some((row.link(tag::UNIT)?, row.link(tag::OFFICE)?))).collect();
        charter
    }

    /// As it is kept: a row for each action that reaches something, and one without an action for a cell that reaches
    /// nothing.
    pub fn written(&self) -> Fields {
        let mut rows = Vec::new();
        for cell in &self.cells {
            let head = Fields::default()
                .with_text(tag::ROLE, cell.role.as_str())
                .with_text(tag::MODULE, cell.module.as_str());
            let held = super::grant::ACTIONS.entries.iter().zip(cell.scopes).filter(|(_, s)| *s > Scope::Nothing);
            let held = held.map(|(action, scope)| {
                head.clone().with_text(tag::ACTION, action.code).with_text(tag::SCOPE, scope.code())
            });
            let held: Vec<Fields> = held.collect();
            rows.extend(if held.is_empty() { vec![head] } else { held });
        }
        let units = self.units.iter().map(|(unit, office)| {
            Fields::default().with(tag::UNIT, Value::Link(*unit)).with(tag::OFFICE, Value::Link(*office))
        });
        Fields::default().with(tag::CELLS, Value::Rows(rows)).with(tag::UNITS, Value::Rows(units.collect()))
    }

    /// What differs in another one, for the journal: `role module action scope-before scope-after`, and
    /// `unit office-before office-after`, commas between; `-` for nothing.
    pub fn difference(&self, after: &Self) -> String {
        let word = |scope: Scope| if scope == Scope::Nothing { "-" } else { scope.code() };
        let mut lines = Vec::new();
        for role in ROLES.entries {
            for module in MODULES.entries.iter().filter_map(|m| by_name(m.code)) {
                let pairs = self.scopes(role.code, module).into_iter().zip(after.scopes(role.code, module));
                let pairs = pairs.zip(super::grant::ACTIONS.entries).filter(|((a, b), _)| a != b);
                lines.extend(pairs.map(|((a, b), action)| {
                    format!("{} {} {} {} {}", role.code, module.name, action.code, word(a), word(b))
                }));
            }
        }
        let mut units: Vec<RecordId> = self.units.iter().chain(&after.units).map(|(unit, _)| *unit).collect();
        units.sort_unstable();
        units.dedup();
        let office = |of: &Self, unit| of.office_of(unit).map_or("-".to_owned(), |o| o.to_string());
        for unit in units.into_iter().filter(|u| self.office_of(*u) != after.office_of(*u)) {
            lines.push(format!("{unit} {} {}", office(self, unit), office(after, unit)));
        }
        lines.join(", ")
    }
}

/// The scope of one right among all; to take back one's own entry goes with entering.
fn of(scopes: &Scopes, right: Right) -> Scope {
    let right = if right == Right::Move(super::flow::Duty::Enter) { Right::Create } else { right };
    Right::ALL.iter().position(|r| *r == right).map_or(Scope::Nothing, |place| scopes[place])
}

#[cfg(test)]
mod tests {
    use super::super::flow::Duty;
    use super::super::grant::{ACTIONS, SCOPES};
    use super::super::{petition, regulation};
    use super::*;

    fn scopes(see: Scope, create: Scope, approve: Scope) -> Scopes {
        let mut all = Scopes::default();
        [all[0], all[1], all[4]] = [see, create, approve];
        all
    }

    #[test]
    fn a_cell_of_the_county_holds_instead_of_the_template_and_nowhere_else() {
        let mut charter = Charter::default();
        let of = |charter: &Charter, right| charter.scope("handler", &petition::KIND, right);
        assert_eq!(of(&charter, Right::Edit), Scope::Own);
        charter.set("handler", &petition::KIND, scopes(Scope::Supervised, Scope::Own, Scope::Nothing)).unwrap();
        assert_eq!(of(&charter, Right::See), Scope::Supervised);
        assert_eq!(of(&charter, Right::Edit), Scope::Nothing);
        assert_eq!(of(&charter, Right::Move(Duty::Enter)), Scope::Own);
        assert_eq!(of(&charter, Right::Move(Duty::Machine)), Scope::Nothing);
        assert_eq!(charter.scope("handler", &regulation::KIND, Right::See), Scope::County);
        assert_eq!(charter.scope("approver", &petition::KIND, Right::See), Scope::Own);
        // Back to the template.
        let template = Charter::default();
        charter.set("handler", &petition::KIND, template.scopes("handler", &petition::KIND)).unwrap();
        assert_eq!(charter, template);
    }

    #[test]
    fn what_is_kept_is_read_again_and_an_unknown_word_gives_nothing() {
        let mut charter = Charter::default();
        charter.set("handler", &petition::KIND, scopes(Scope::County, Scope::Own, Scope::Nothing)).unwrap();
        charter.set("approver", &petition::KIND, Scopes::default()).unwrap();
        charter.set_office(RecordId(9), Some(RecordId(4)));
        charter.set_office(RecordId(8), Some(RecordId(8)));
        assert_eq!(Charter::read(&charter.written()), charter);
        assert_eq!(charter.looked_after(RecordId(4)).collect::<Vec<_>>(), [RecordId(9)]);
        assert_eq!(charter.scope("approver", &petition::KIND, Right::See), Scope::Nothing);
        let row = Fields::default().with_text(tag::ROLE, "handler").with_text(tag::MODULE, "petition");
        for (role, module) in [("secadmin", "petition"), ("handler", "account")] {
            let row = row.clone().with_text(tag::ROLE, role).with_text(tag::MODULE, module);
            let row = row.with_text(tag::ACTION, "see").with_text(tag::SCOPE, "county");
            let read = Charter::read(&Fields::default().with(tag::CELLS, Value::Rows(vec![row])));
            assert_eq!(read, Charter::default(), "{role} {module}");
        }
        for (action, scope) in [("fly", "county"), ("see", "universe")] {
            let row = row.clone().with_text(tag::ACTION, action).with_text(tag::SCOPE, scope);
            let newer = Charter::read(&Fields::default().with(tag::CELLS, Value::Rows(vec![row])));
            assert_eq!(newer.scopes("handler", &petition::KIND), Scopes::default(), "{action} {scope}");
        }
    }

    #[test]
    fn administrators_and_rights_without_sight_cannot_be_set() {
        let mut charter = Charter::default();
        let all = scopes(Scope::County, Scope::County, Scope::County);
        for role in ADMINISTRATORS.into_iter().chain(["nobody"]) {
            assert!(charter.set(role, &petition::KIND, all).is_err(), "{role}");
        }
        for kind in super::super::ALL.iter().filter(|k| !is_module(k)) {
            assert!(charter.set("handler", kind, all).is_err(), "{}", kind.name);
        }
        assert!(charter.set("handler", &regulation::KIND, scopes(Scope::Own, Scope::Nothing, Scope::Nothing)).is_err());
        let blind = scopes(Scope::Own, Scope::Own, Scope::County);
        assert!(charter.set("approver", &petition::KIND, blind).is_err());
        assert_eq!(charter, Charter::default());
        let mut identity = Scopes::default();
        identity[5] = Scope::Own;
        charter.set("identity", &petition::KIND, identity).unwrap();
    }

    #[test]
    fn the_journal_is_told_every_difference() {
        let (before, mut after) = (Charter::default(), Charter::default());
        after.set("office", &petition::KIND, scopes(Scope::County, Scope::Nothing, Scope::Nothing)).unwrap();
        after.set_office(RecordId(9), Some(RecordId(4)));
        let (unit, office) = (RecordId(9), RecordId(4));
        assert_eq!(before.difference(&after), format!("office petition see - county, {unit} - {office}"));
        assert_eq!(after.difference(&before), format!("office petition see county -, {unit} {office} -"));
        assert_eq!(before.difference(&before), "");
    }

    #[test]
    fn codes_and_rights_stand_in_the_same_order() {
        for (entry, right) in ACTIONS.entries.iter().zip(Right::ALL) {
            assert_eq!(Right::of_code(entry.code), Some(right));
        }
        assert_eq!(ACTIONS.entries.len(), Right::ALL.len());
        for entry in SCOPES.entries {
            let scope = Scope::of_code(entry.code).unwrap();
            assert_eq!((scope.code(), scope.label()), (entry.code, entry.label));
        }
        assert!(MODULES.entries.iter().all(|m| by_name(m.code).is_some_and(|k| k.label == m.label)));
    }
}
