//! Rows as ledgers have them, and what an import says about them.

use serde_json::{Value, json};

use crate::room::Room;

/// Rows as a JSONL file.
pub(crate) fn lines(rows: &[Value]) -> String {
    rows.iter().map(|r| format!("{r}\n")).collect()
}

/// An invented petition that is like no other number's.
pub(crate) fn petition(reference: &str, n: usize) -> Value {
    json!({
        "ref": reference,
        "received": format!("2025-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
        "channel": "来信",
        "title": format!("第{n}号水渠修了一半"),
        "text": format!("第{n}号水渠去年开挖，编号{reference}，至今没有通水，账上却写着完工。"),
        "petitioner": {"name": "钱某", "phone": "0000-0000009"},
        "accused": [{"name": format!("赵{n}"), "org": "某村委会", "post": "会计", "rank": "村(社区)干部"}],
        "place": "某村",
    })
}

/// What `--format json` says about a file, and the exit code.
pub(crate) fn summary(room: &Room, line: &str) -> (Value, i32) {
    let ran = room.run(&format!("import {line} --format json"));
    let rows: Vec<&str> = ran.out.lines().collect();
    assert_eq!(rows.len(), 1, "{line}: {ran:?}");
    (serde_json::from_str(rows[0]).unwrap(), ran.code)
}

/// Line and column of each problem.
pub(crate) fn places(summary: &Value) -> Vec<(u64, String)> {
    let problems = summary["problems"].as_array().unwrap().iter();
    problems.map(|p| (p["line"].as_u64().unwrap(), p["column"].as_str().unwrap().to_owned())).collect()
}

/// read, created, skipped, failed.
pub(crate) fn counts(summary: &Value) -> [u64; 4] {
    ["read", "created", "skipped", "failed"].map(|name| summary[name].as_u64().unwrap())
}

/// In every [`petition`], and in nothing of the demo county.
pub(crate) const DITCH: &str = "号水渠去年开挖";

/// The hits of one search.
pub(crate) fn hits(room: &Room, dir: &str, text: &str) -> Vec<Value> {
    let ran = room.ask(&["search", "--dir", dir, "--format", "json", "--limit", "1000", text], "");
    assert_eq!(ran.code, 0, "{text}: {ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    if answer["exact"] == json!(false) {
        return Vec::new();
    }
    answer["hits"].as_array().unwrap().clone()
}
