//! A fictional county to look at: units and accounts, petitions and a shelf of regulations. All names are invented; the
//! store is marked *demo*, its accounts share one public password, and no real data belongs in it.

use std::path::Path;
use std::sync::Arc;

use super::access::local_doer;
use super::import::{Options, Summary, What, source};
use super::names::all;
use super::setup::{Account, Answers, Opened, Ready, Unit, fill};
use super::{Actor, App, password};
use crate::base::{Clock, RecordId, Result};
use crate::records::{account, act, decide, flow::Duty, petition};
use crate::store::{Act, Store, Txn, free_key_path};

/// Name of the county.
pub const COUNTY: &str = "望澜县";
/// Password of every account.
pub const PASSWORD: &str = "Wanglan#2026";
/// The account that may register and read everything.
pub const EVERYTHING: &str = "demo";

const PETITIONS: [&str; 2] = [include_str!("demo/petitions-a.jsonl"), include_str!("demo/petitions-b.jsonl")];
const REGULATIONS: &str = include_str!("demo/regulations.jsonl");

const TOWNSHIPS: [&str; 14] = [
    "澜东街道纪工委",
    "澜西街道纪工委",
    "河湾街道纪工委",
    "石鼓岭镇纪委",
    "枫桥坞镇纪委",
    "白鹭浦镇纪委",
    "杏林坪镇纪委",
    "柳沟台镇纪委",
    "云盘寨镇纪委",
    "清泉墩镇纪委",
    "大槐店镇纪委",
    "碧霞沟乡纪委",
    "南坡梁乡纪委",
    "望江垭乡纪委",
];

const STATIONED: [&str; 6] = [
    "驻教育体育局纪检监察组",
    "驻卫生健康委员会纪检监察组",
    "驻农业农村局纪检监察组",
    "驻自然资源局纪检监察组",
    "驻住房和城乡建设局纪检监察组",
    "驻财政局纪检监察组",
];

/// Accounts of the commission: log-in, name, office, roles.
const OFFICE_ACCOUNTS: [(&str, &str, &str, &[&str]); 8] = [
    (EVERYTHING, "演示用户", "信访室", &["handler", "petition-office", "law-office", "identity"]),
    ("sysadmin", "系统管理员甲", "信息技术保障室", &["sysadmin"]),
    ("secadmin", "安全保密管理员乙", "信访室", &["secadmin"]),
    ("auditor", "安全审计员丙", "办公室", &["auditor"]),
    ("xinfang", "信访室经办", "信访室", &["handler", "petition-office", "identity"]),
    ("xinfang-fz", "信访室负责人", "信访室", &["approver", "petition-office", "identity"]),
    ("fagui", "法规室经办", "调研法规室", &["law-office"]),
    ("bangong", "办公室经办", "办公室", &["handler"]),
];

/// Makes the county in an absent or empty folder; `bare` leaves petitions and regulations out.
pub fn create(dir: &Path, clock: Arc<dyn Clock>, bare: bool) -> Result<Arc<App>> {
    let store = Store::create(dir, &free_key_path(dir), COUNTY, true, clock)?;
    let (units, accounts) = people()?;
    store.submit(move |txn| fill(txn, &units, accounts))?;
    let app = App::with_store(store)?;
    if !bare {
        import(&app)?;
    }
    Ok(app)
}

fn import(app: &App) -> Result<()> {
    let actor = app.demo_actor(EVERYTHING)?;
    let options = |file: &str| Options { file: file.to_owned(), ..Options::default() };
    let failed = |s: Summary| {
        let what = s.problems.first().map(|p| format!("{p:?}"));
        what.map_or(Ok(()), |p| Err(crate::base::Error::internal(p)))
    };
    for mut text in PETITIONS.map(str::as_bytes) {
        let options = options("演示信访台账.jsonl");
        let mut rows = source::jsonl(&mut text, &options.map);
        failed(app.import(&actor, What::Petitions, &mut rows, &options, &mut |_| true)?)?;
    }
    let (options, mut text) = (options("演示法规.jsonl"), REGULATIONS.as_bytes());
    let mut rows = source::jsonl(&mut text, &options.map);
    failed(app.import(&actor, What::Regulations, &mut rows, &options, &mut |_| true)?)?;
    handle(app)
}

/// How far each petition has come, in turn: names of moves in the order they are made.
const STORIES: [&[&str]; 8] = [
    &[],
    &[],
    &["propose"],
    &["propose", "accept"],
    &["propose", "reject"],
    &["propose", "accept", "conclude"],
    &["propose", "accept", "conclude", "confirm"],
    &["propose", "accept", "conclude", "confirm", "archive"],
];

/// Lets the petitions be handled, each by people of its own unit; one transaction for each step of the stories.
fn handle(app: &App) -> Result<()> {
    let snapshot = app.store.read()?;
    let people: Vec<Actor> = all(&snapshot, &account::KIND)?.iter().map(|a| Actor::of(a, "demo")).collect();
    let ids: Vec<RecordId> = snapshot.all_ids()?.collect();
    for step in 0..STORIES[STORIES.len() - 1].len() {
        let (people, ids) = (people.clone(), ids.clone());
        app.store.submit(move |txn| {
            txn.act(Act::new(local_doer(), act::ADVANCE).note("demo"));
            ids.iter().try_for_each(|id| one_step(txn, *id, step, &people))
        })?;
    }
    Ok(())
}

fn one_step(txn: &mut Txn<'_>, id: RecordId, step: usize, people: &[Actor]) -> Result<()> {
    let Some(record) = txn.get(id)?.filter(|r| r.kind == petition::KIND.tag) else { return Ok(()) };
    let story = STORIES[usize::try_from(id.0).unwrap_or(0) % STORIES.len()];
    let mv = story.get(step).and_then(|name| petition::KIND.flow.moves.iter().find(|m| m.name == *name));
    let Some(mv) = mv else { return Ok(()) };
    let role = if mv.duty == Duty::Handle { "handler" } else { "approver" };
    let Some(person) = people.iter().find(|p| p.unit == record.unit && p.is(role)) else { return Ok(()) };
    let opinion = format!("{}。", mv.label);
    let after = decide::advance(&petition::KIND, &record, mv, &opinion, (person.author(), txn.now()));
    after.map_or(Ok(()), |after| txn.update(after))
}

fn people() -> Result<(Vec<Unit>, Vec<Ready>)> {
    let credential = password::hash_public(PASSWORD)?;
    let mut units = Answers::offices();
    let mut accounts: Vec<Account> = OFFICE_ACCOUNTS
        .iter()
        .map(|(login, name, unit, roles)| an_account(login, (*name).to_owned(), unit, roles))
        .collect();
    let groups: [(&str, &str, &[&str]); 2] = [("stationed", "pz", &STATIONED), ("township", "zhen", &TOWNSHIPS)];
    for (kind, login, names) in groups {
        for (n, unit) in (1..).zip(names) {
            units.push(Unit { name: (*unit).to_owned(), kind: kind.to_owned(), ..Unit::default() });
            let short = unit.trim_start_matches('驻').trim_end_matches("纪检监察组");
            let short = short.trim_end_matches("纪工委").trim_end_matches("纪委");
            let (handler, approver) = (format!("{login}{n:02}"), format!("{login}{n:02}-fz"));
            accounts.push(an_account(&handler, format!("{short}经办"), unit, &["handler", "identity"]));
            accounts.push(an_account(&approver, format!("{short}负责人"), unit, &["approver", "identity"]));
        }
    }
    let ready = |account| Ready { account, opened: Opened::Password(credential.clone(), false) };
    Ok((units, accounts.into_iter().map(ready).collect()))
}

fn an_account(login: &str, name: String, unit: &str, roles: &[&str]) -> Account {
    let roles = roles.iter().map(|r| (*r).to_owned()).collect();
    Account { login: login.to_owned(), name, unit: unit.to_owned(), roles, password: String::new() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_petitions_share_a_sentence() {
        let mut seen = HashSet::new();
        let mut count = 0;
        for line in PETITIONS.iter().flat_map(|p| p.lines()) {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            count += 1;
            for sentence in row["text"].as_str().unwrap().split(['。', '！', '？', '；', '\n']) {
                let sentence = sentence.trim();
                assert!(sentence.is_empty() || seen.insert(sentence.to_owned()), "{sentence}");
            }
        }
        assert_eq!(count, 300);
    }
}
