//! Accounts from a table: a line for each person, checked as the form for one account checks it, and entered all or not
//! at all. Roles do not come this way, and no password does.
//!
//! What must hold: the table is read again in the transaction that enters it; a form that comes twice enters nobody
//! twice; nobody who is entered here can log in before two administrators made and confirmed a password.

use std::collections::HashMap;

use super::change::{already, mark};
use super::record::live;
use super::setup::refused;
use super::sight::Books;
use super::table::{self, key};
use super::{Actor, App, Right, Scope};
use crate::base::{Day, Error, RecordId, Result, limits};
use crate::records::account::{KIND, tag};
use crate::records::field::{self, Raw};
use crate::records::record::MADE_BY;
use crate::records::{Fields, Record, Value, act, decide, org};
use crate::store::Act;

/// Columns, as heads name them and in the order of a table without heads, and the fields they fill.
pub const COLUMNS: [(&str, &str); 5] =
    [("登录名", "login"), ("姓名", "name"), ("机构", "unit"), ("职务", "post"), ("有效期至", "expires")];
/// Other words of heads for these.
const ALSO: [(&str, &str); 6] = [
    ("账号", "login"),
    ("账户", "login"),
    ("所属机构", "unit"),
    ("单位", "unit"),
    ("所属单位", "unit"),
    ("有效期", "expires"),
];
/// Heads of what is not taken from a table.
const RIGHTS: [&str; 5] = ["角色", "权限", "临时授权", "另行授权", "知悉范围"];
/// What is said of them.
const NO_ROLES: &str = "角色和权限由安全保密管理员在账户建立后授予，不从表格导入：请删去这一列。";

/// A line of the table, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number in the text, from 1.
    pub number: usize,
    /// Its cells in the order of [`COLUMNS`], as typed.
    pub cells: [String; 5],
    /// What is to be mended; empty when it is right.
    pub problem: String,
    /// What is to be looked at, and keeps nobody from going on.
    pub warning: String,
    fields: Fields,
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
    /// Nothing is wrong with it.
    pub fn is_right(&self) -> bool {
        self.problems.is_empty() && self.lines.iter().all(|l| l.problem.is_empty())
    }

    /// Everything that is wrong, by line.
    pub fn faults(&self) -> Vec<String> {
        let lines = self.lines.iter().filter(|l| !l.problem.is_empty());
        let lines = lines.map(|l| format!("第 {} 行：{}", l.number, l.problem));
        self.problems.iter().cloned().chain(lines).collect()
    }

    /// Everything that is to be looked at, by line.
    pub fn warnings(&self) -> Vec<String> {
        let lines = self.lines.iter().filter(|l| !l.warning.is_empty());
        lines.map(|l| format!("第 {} 行：{}", l.number, l.warning)).collect()
    }
}

/// The text with the lines of a file, in the order of [`COLUMNS`] whatever the order there, and how many there were.
/// A line takes the place of the one with the same log-in name.
///
/// # Errors
/// `Invalid` when the file has a column that is not taken.
pub fn merged(text: &str, lines: &[String]) -> Result<(String, usize)> {
    let mut places: Option<Vec<Option<usize>>> = None;
    let mut taken = Vec::new();
    for line in lines {
        let cells = table::cells(line, COLUMNS.len());
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if taken.is_empty() && places.is_none() && let Some(heads) = heads(&cells) {
            places = Some(heads.map_err(|problem| Error::invalid(format!("文件没有读入。{problem}")))?);
            continue;
        }
        taken.push(match &places {
            Some(places) => sorted(&cells, places).join("\t"),
            None => cells.join("\t"),
        });
    }
    // What stands there may have heads of its own; then its order is the one that counts no more.
    let own = if taken.is_empty() { text.to_owned() } else { in_order(text) };
    Ok((table::merged(&own, taken.iter()), taken.len()))
}

/// The text in the order of [`COLUMNS`] and without heads, where its heads are understood.
fn in_order(text: &str) -> String {
    let mut lines = text.lines().filter(|l| !l.trim().is_empty());
    let first = lines.clone().next().map(|l| table::cells(l, COLUMNS.len()));
    let Some(Ok(places)) = first.as_deref().and_then(heads) else { return text.to_owned() };
    lines.next();
    lines.map(|l| sorted(&table::cells(l, COLUMNS.len()), &places).join("\t")).collect::<Vec<_>>().join("\n")
}

/// The line is one of heads: which column each of its cells is over, or why that cannot be.
fn heads(cells: &[String]) -> Option<Result<Vec<Option<usize>>, String>> {
    let place = |head: &str| {
        let also = ALSO.iter().find(|(word, _)| *word == head).map(|(_, name)| *name);
        COLUMNS.iter().position(|(label, name)| *label == head || also == Some(*name))
    };
    let known: Vec<Option<usize>> = cells.iter().map(|cell| place(cell)).collect();
    let found = |n: usize| known.iter().filter(|p| **p == Some(n)).count();
    if found(0) + found(1) < 2 {
        return None;
    }
    let other = cells.iter().zip(&known).find(|(cell, place)| place.is_none() && !cell.is_empty());
    Some(match other {
        Some((head, _)) if RIGHTS.contains(&head.as_str()) => Err(format!("有“{head}”一列。{NO_ROLES}")),
        Some((head, _)) => Err(format!("不认识“{head}”一列。列名请写{}，其他的列请删去。", labels())),
        None => match (0..COLUMNS.len()).find(|n| found(*n) > 1) {
            Some(twice) => Err(format!("有两列“{}”，请删去一列。", COLUMNS[twice].0)),
            None => Ok(known),
        },
    })
}

/// The cells in the order of [`COLUMNS`]; what stands in a column without a head comes after.
fn sorted(cells: &[String], places: &[Option<usize>]) -> Vec<String> {
    let mut out = vec![String::new(); COLUMNS.len()];
    for (n, cell) in cells.iter().enumerate() {
        match places.get(n).copied().flatten() {
            Some(place) => out[place].clone_from(cell),
            None if !cell.is_empty() => out.push(cell.clone()),
            None => {}
        }
    }
    out
}

fn labels() -> String {
    COLUMNS.map(|(label, _)| label).join("、")
}

/// Reads a table as of a moment.
pub(super) fn read(books: &dyn Books, text: &str, today: Day) -> Result<Table> {
    let mut table = Table::default();
    let mut places: Option<Vec<Option<usize>>> = None;
    let mut logins: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let cells = table::cells(line, COLUMNS.len());
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if table.lines.is_empty() && places.is_none() && let Some(heads) = heads(&cells) {
            match heads {
                Ok(heads) => places = Some(heads),
                Err(problem) => {
                    table.problems.push(format!("第 {number} 行：{problem}"));
                    return Ok(table);
                }
            }
            continue;
        }
        let cells = match &places {
            Some(places) => sorted(&cells, places),
            None => cells,
        };
        let mut line = checked(books, number, &cells, today)?;
        let before = logins.insert(key(&line.cells[0]), number).filter(|_| !line.cells[0].is_empty());
        if let Some(before) = before.filter(|_| line.problem.is_empty()) {
            line.problem = format!("登录名与第 {before} 行相同。");
        }
        table.lines.push(line);
        if table.lines.len() > limits::STAFF_LINES {
            table.problems.push(format!("一次最多 {} 人。请分几次导入。", limits::STAFF_LINES));
            break;
        }
    }
    if table.lines.is_empty() && table.problems.is_empty() {
        table.problems.push("表格是空的。请粘贴名单，或选择表格文件。".to_owned());
    }
    Ok(table)
}

/// A line, checked as the form for one account is.
fn checked(books: &dyn Books, number: usize, cells: &[String], today: Day) -> Result<Line> {
    let own = std::array::from_fn(|n| cells.get(n).cloned().unwrap_or_default());
    let mut line = Line { number, cells: own, ..Line::default() };
    if cells.len() > COLUMNS.len() {
        line.problem = format!("多于五列。每行只写{}；角色由安全保密管理员授予，不写在表里。", labels());
        return Ok(line);
    }
    let mut raw: Raw = COLUMNS.iter().zip(&line.cells).map(|((_, name), c)| ((*name).to_owned(), c.clone())).collect();
    let unit = unit(books, &line.cells[2])?;
    raw[2].1 = unit.as_ref().map_or_else(|_| String::new(), RecordId::to_string);
    let (fields, mut problems) = field::parse(KIND.fields, &raw);
    if let Err(problem) = unit {
        problems.retain(|(input, _)| input != "unit");
        problems.push(("unit".to_owned(), problem));
    }
    problems.extend((KIND.check)(&fields));
    let (login, last) = (fields.text(tag::LOGIN), fields.day(tag::EXPIRES));
    if !login.is_empty() && !books.named(&KIND, tag::LOGIN, login)?.is_empty() {
        problems.push(("login".to_owned(), format!("登录名“{login}”已被使用，请换一个。")));
    }
    if last.is_full() && last < today {
        problems.push(("expires".to_owned(), format!("有效期至 {last} 已经过去。")));
    }
    line.problem = problems.into_iter().map(|(_, words)| words).collect();
    line.fields = fields;
    Ok(line)
}

/// The unit that is called so, or why there is none.
fn unit(books: &dyn Books, words: &str) -> Result<Result<RecordId, String>> {
    if words.is_empty() {
        return Ok(Err("请填写机构。".to_owned()));
    }
    for tag in [org::tag::NAME, org::tag::SHORT] {
        if let Some(id) = books.named(&org::KIND, tag, words)?.first().copied() {
            let open = books.open(id)?.is_some_and(|unit| unit.state == 1);
            return Ok(if open { Ok(id) } else { Err(format!("机构“{words}”已停用。")) });
        }
    }
    Ok(Err(format!("没有叫“{words}”的机构。请写“机构”列表中的名称或简称。")))
}

/// Says where somebody of that name and unit has an account already.
fn warn(books: &dyn Books, table: &mut Table) -> Result<()> {
    let mut people: HashMap<(RecordId, String), String> = HashMap::new();
    let who = |fields: &Fields| {
        let unit = fields.link(tag::UNIT);
        unit.map(|unit| (unit, key(fields.text(tag::NAME)))).filter(|(_, name)| !name.is_empty())
    };
    for id in books.standing(&KIND, RecordId(0), 1)? {
        let Some(account) = books.open(id)? else { continue };
        people.extend(who(&account.fields).map(|who| (who, account.fields.text(tag::LOGIN).to_owned())));
    }
    for line in &mut table.lines {
        let Some(who) = who(&line.fields) else { continue };
        let login = line.fields.text(tag::LOGIN).to_owned();
        if let Some(other) = people.insert(who, login).filter(|other| *other != line.fields.text(tag::LOGIN)) {
            line.warning = format!("这个机构已有同名的账户“{other}”，请核对是不是同一个人。");
        }
    }
    Ok(())
}

impl App {
    /// How a table would be understood; for whoever may make accounts.
    pub fn look_at_staff(&self, actor: &Actor, text: &str) -> Result<Table> {
        self.may_make_accounts(actor)?;
        let snapshot = self.store.read()?;
        let mut table = read(&snapshot, text, self.now().day())?;
        warn(&snapshot, &mut table)?;
        Ok(table)
    }

    /// Enters everybody in the table, without roles and passwords. The same form enters nobody twice.
    pub fn enter_staff(&self, actor: &Actor, text: &str, submit: &str) -> Result<()> {
        self.may_make_accounts(actor)?;
        if submit.is_empty() {
            return Err(Error::invalid("表单不完整，账户没有建立。请核对后再提交一次。"));
        }
        let (mark, submit) = (mark(submit, text), submit.to_owned());
        let (actor, text) = (actor.clone(), text.to_owned());
        self.store.submit(move |txn| {
            let live = live(txn, &actor)?;
            if live.scope(&KIND, Right::Create) == Scope::Nothing {
                return Err(Error::denied());
            }
            if let Some(done) = already(txn, &KIND, actor.account, &submit)? {
                if done.fields.text(MADE_BY) != mark {
                    let text = "这张表单已经建立过账户，改过的内容没有保存。已建立的在下面有提示，删去那几行再提交。";
                    return Err(Error::invalid(text));
                }
                txn.act(Act::new(actor.doer(), act::CREATE).note("repeat").refused());
                return Ok(());
            }
            let today = txn.now().day();
            let table = read(txn, &text, today)?;
            if !table.is_right() {
                return Err(Error::invalid("一个账户也没有建立。请按下面的提示修改表格。"));
            }
            txn.act(Act::new(actor.doer(), act::CREATE).note(format!("{} {}", KIND.name, table.lines.len())));
            for line in table.lines {
                let fields = line.fields.with(tag::SINCE, Value::Day(today)).with_text(MADE_BY, &*mark);
                let account = decide::create(&KIND, fields, live.author(), txn.now()).map_err(refused)?;
                txn.create(account)?;
            }
            Ok(())
        })
    }

    /// The accounts that a form of the actor made, in its order.
    pub fn staff_made(&self, actor: &Actor, submit: &str) -> Result<Vec<Record>> {
        self.may_make_accounts(actor)?;
        let snapshot = self.store.read()?;
        let mut made = Vec::new();
        for id in snapshot.find(&KIND, MADE_BY, submit)? {
            made.extend(snapshot.get(id, false)?.filter(|r| r.creator == actor.account));
        }
        if made.is_empty() {
            return Err(Error::denied());
        }
        made.sort_by_key(|r| r.id);
        self.answer_for(actor, act::LIST, &KIND, &made)?;
        Ok(made)
    }

    /// Stops everybody who may not make accounts.
    pub fn may_make_accounts(&self, actor: &Actor) -> Result<()> {
        let may = actor.scope(&KIND, Right::Create) > Scope::Nothing;
        if may { Ok(()) } else { Err(self.refused(actor, &KIND, RecordId(0))) }
    }
}

#[cfg(test)]
mod tests;
