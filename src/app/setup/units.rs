//! Units as people have them: a table to paste, one unit a line — name, kind, short name, with tabs or commas between —
//! or a workbook that was read into such lines. Pure.

use std::collections::HashMap;

use super::super::table::{self, key};
use super::{OFFICES, Unit};
use crate::base::limits;
use crate::records::{account, org};

/// Offices that hold the three duties (第十四条), in the order of [`account::ADMINISTRATORS`].
pub const HOLDERS: [&str; 3] = ["信息技术保障室", "信访室", "办公室"];

/// Other words for the kinds, as lists of units have them.
const ALSO: &[(&str, &str)] = &[
    ("内设", "office"),
    ("内设室", "office"),
    ("内设部门", "office"),
    ("室", "office"),
    ("派驻", "stationed"),
    ("派驻组", "stationed"),
    ("派驻机构", "stationed"),
    ("派驻纪检组", "stationed"),
    ("乡镇", "township"),
    ("镇", "township"),
    ("乡", "township"),
    ("街道", "township"),
    ("乡镇街道", "township"),
    ("乡镇(街道)", "township"),
];
/// What the first cell of a line of heads says.
const HEADS: [&str; 5] = ["名称", "机构", "机构名称", "单位", "单位名称"];
/// Whose column a cell is, for messages.
const COLUMNS: usize = 3;

/// A line of the table, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number in the text, from 1.
    pub number: usize,
    /// What it says; the kind as typed where nobody knows it.
    pub unit: Unit,
    /// What is to be mended; empty when it is right.
    pub problem: String,
}

/// A table as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its lines, without empty ones and heads.
    pub lines: Vec<Line>,
    /// What is wrong with the whole.
    pub problems: Vec<String>,
}

impl Table {
    /// The units, if nothing is wrong.
    pub fn units(&self) -> Option<Vec<Unit>> {
        let right = self.problems.is_empty() && self.lines.iter().all(|l| l.problem.is_empty());
        right.then(|| self.lines.iter().map(|l| l.unit.clone()).collect())
    }

    /// Everything that is wrong, by line.
    pub fn faults(&self) -> Vec<String> {
        let lines = self.lines.iter().filter(|l| !l.problem.is_empty());
        let lines = lines.map(|l| format!("第 {} 行：{}", l.number, l.problem));
        lines.chain(self.problems.iter().cloned()).collect()
    }
}

/// The offices of the regulation as such a table: what the wizard begins with.
pub fn first() -> String {
    let kind = org::KINDS.label("office");
    OFFICES.iter().map(|name| format!("{name}，{kind}")).collect::<Vec<_>>().join("\n")
}

/// Reads a table.
pub fn read(text: &str) -> Table {
    let mut table = Table::default();
    let mut names: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let cells = cells(line);
        if cells.iter().all(String::is_empty) || HEADS.contains(&cells[0].as_str()) && table.lines.is_empty() {
            continue;
        }
        let (unit, problem) = unit(&cells);
        let problem = problem.or_else(|| {
            let own = [&unit.name, &unit.short].into_iter().filter(|n| !n.is_empty());
            let own: Vec<String> = own.map(|n| key(n)).collect();
            let twice = own.iter().find_map(|n| names.get(n).copied());
            names.extend(own.into_iter().map(|n| (n, number)));
            twice.map(|other| format!("名称或简称与第 {other} 行相同。"))
        });
        table.lines.push(Line { number, unit, problem: problem.unwrap_or_default() });
    }
    if table.lines.len() > limits::SETUP_UNITS {
        table.problems.push(format!("机构最多 {} 个；其余的以后由系统管理员增加。", limits::SETUP_UNITS));
    }
    for (holder, role) in HOLDERS.into_iter().zip(account::ADMINISTRATORS) {
        if !table.lines.iter().any(|l| l.unit.name == holder && l.unit.kind == "office") {
            let role = account::ROLES.label(role);
            table.problems.push(format!("缺少内设机构“{holder}”：{role}属于这个部门（管理办法第十四条）。"));
        }
    }
    table
}

/// The text with lines of a file: each takes the place of the line of the same name, the others come after; nothing
/// else is lost. And how many there were, without heads.
pub fn merged(text: &str, lines: &[String]) -> (String, usize) {
    let lines = lines.iter().filter(|l| !HEADS.contains(&cells(l)[0].as_str()));
    (table::merged(text, lines.clone()), lines.count())
}

fn cells(line: &str) -> Vec<String> {
    table::cells(line, COLUMNS)
}

fn unit(cells: &[String]) -> (Unit, Option<String>) {
    let kind = kind(&cells[1]);
    let unit = Unit {
        name: cells[0].clone(),
        kind: kind.map_or_else(|| cells[1].clone(), str::to_owned),
        short: cells[2].clone(),
    };
    let long = |text: &str| text.chars().count() > limits::LINE_CHARS;
    let problem = match () {
        () if cells.len() > COLUMNS => "多于三列。每行只写名称、类别、简称。".to_owned(),
        () if unit.name.is_empty() => "没有名称。".to_owned(),
        () if cells[1].is_empty() => format!("没有类别。请写{}。", kinds()),
        () if kind.is_none() => format!("类别“{}”不认识。请写{}。", cells[1], kinds()),
        () if long(&unit.name) || long(&unit.short) => format!("名称或简称超过 {} 个字。", limits::LINE_CHARS),
        () if cells.iter().any(|c| c.chars().any(char::is_control)) => "有看不见的字符。".to_owned(),
        () => return (unit, None),
    };
    (unit, Some(problem))
}

fn kind(typed: &str) -> Option<&'static str> {
    let also = || ALSO.iter().find(|(word, _)| *word == typed).map(|(_, code)| *code);
    org::KINDS.code(typed).or_else(also)
}

fn kinds() -> String {
    org::KINDS.entries.iter().map(|e| e.label).collect::<Vec<_>>().join("、")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_first(more: &str) -> Table {
        read(&format!("{}\n{more}", first()))
    }

    #[test]
    fn the_offices_of_the_regulation_are_a_table_to_begin_with() {
        let units = read(&first()).units().unwrap();
        assert_eq!(units.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), OFFICES);
        assert!(units.iter().all(|u| u.kind == "office" && u.short.is_empty()));
    }

    #[test]
    fn tabs_and_commas_of_both_widths_part_the_columns_and_heads_are_passed_over() {
        let lines = "甲乙镇纪委\t乡镇（街道）\t甲乙\n丙丁街道纪工委,街道\n\n 驻财政局纪检监察组 ， 派驻 ， 财政组 ，\n";
        let units = with_first(lines).units().unwrap();
        let told: Vec<_> =
            units[8..].iter().map(|u| (u.name.as_str(), u.kind.as_str(), u.short.as_str())).collect();
        assert_eq!(told, [
            ("甲乙镇纪委", "township", "甲乙"),
            ("丙丁街道纪工委", "township", ""),
            ("驻财政局纪检监察组", "stationed", "财政组"),
        ]);
        assert_eq!(read(&format!("名称\t类别\t简称\n{}", first())).units().unwrap().len(), 8);
    }

    #[test]
    fn every_fault_is_told_by_its_line_and_nothing_is_left_out() {
        let table = with_first("甲乙镇纪委\n，乡镇\n丙镇纪委，村\n信访室，内设机构\n丁镇，乡镇，丁，戊\n己镇，乡镇，庚\n辛镇，镇，庚");
        assert_eq!(table.units(), None);
        let faults = table.faults();
        assert_eq!(faults.len(), 6, "{faults:?}");
        for (n, (line, words)) in
            [(9, "没有类别"), (10, "没有名称"), (11, "“村”不认识"), (12, "第 4 行相同"), (13, "多于三列"), (15, "第 14 行")]
                .into_iter()
                .enumerate()
        {
            assert!(faults[n].starts_with(&format!("第 {line} 行：")) && faults[n].contains(words), "{}", faults[n]);
        }
        assert_eq!(table.lines.len(), 15);
    }

    #[test]
    fn a_file_adds_to_what_was_typed_and_mends_the_lines_of_its_names() {
        let lines = ["名称\t类别", "信访室\t内设机构\t信访", "丙镇纪委\t乡镇", "\t乡镇"].map(str::to_owned);
        let (text, count) = merged("信访室\n\n 我写的，未完", &lines);
        assert_eq!((text.as_str(), count), ("信访室\t内设机构\t信访\n 我写的，未完\n丙镇纪委\t乡镇\n\t乡镇", 3));
        let own: Vec<String> = first().lines().map(str::to_owned).collect();
        assert_eq!(merged(&first(), &own), (first(), 8));
    }

    #[test]
    fn the_three_offices_that_hold_the_duties_must_be_there() {
        for holder in HOLDERS {
            let without = first().replace(&format!("{holder}，"), &format!("{holder}二，"));
            let faults = read(&without).faults();
            assert!(faults.len() == 1 && faults[0].contains(holder), "{faults:?}");
        }
        assert_eq!(read("").faults().len(), 3);
        assert!(read(&first().replace("信访室，内设机构", "信访室，派驻")).units().is_none());
    }

    #[test]
    fn there_are_no_more_units_than_one_county_has() {
        let line = |n: usize| format!("第{n}镇纪委，乡镇\n");
        let many: String = (0..limits::SETUP_UNITS - 8).map(line).collect();
        assert!(with_first(&many).units().is_some());
        assert!(with_first(&format!("{many}再一镇纪委，乡镇")).units().is_none());
        let long = "长".repeat(limits::LINE_CHARS + 1);
        assert!(with_first(&format!("{long}，乡镇")).units().is_none());
    }
}
