//! Titles and texts of petitions: the real material where it is here, else invented ones of like length.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiceng::app::change::Typed;
use jiceng::app::{App, demo};
use jiceng::records::petition;
use serde_json::Value;

/// Title and text of each.
pub(crate) fn petitions() -> Vec<(String, String)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("JICENG_SHARED_DATA").map_or_else(beside, PathBuf::from);
    let Ok(file) = File::open(dir.join("knownitem/petitions.jsonl.gz")) else { return invented() };
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let row = |line: String| -> (String, String) {
        let row: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (text("title"), text("text"))
    };
    lines.map(|line| row(line.unwrap())).collect()
}

fn invented() -> Vec<(String, String)> {
    const PARTS: [&str; 8] =
        ["村集体土地流转", "低保名额公示", "水渠工程验收", "办事窗口态度", "补贴发放名册", "宅基地审批", "合作社账目", "道路养护资金"];
    let text = |n: usize| -> String {
        let part = |k: usize| format!("第{}次反映{}没有结果，经办人推说还要等{}天。", k + 1, PARTS[(n * 7 + k * 3) % 8], (n + k) % 60);
        (0..8).map(part).collect()
    };
    (0..3_000).map(|n| (format!("反映{}的第{n}件事", PARTS[n % 8]), text(n))).collect()
}

/// The petitions as JSON lines.
pub(crate) fn lines(texts: &[(String, String)]) -> String {
    let row = |(title, text): &(String, String)| format!("{}\n", serde_json::json!({"title": title, "text": text}));
    texts.iter().map(row).collect()
}

/// How much of something is wanted, from the environment.
pub(crate) fn wanted(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |n| n.parse().unwrap())
}

/// Brings petitions and attachments into a county: as many as there are texts and a few megabytes, or as the
/// environment says (`JICENG_BENCH_PETITIONS`, `JICENG_BENCH_FILES_MB`); texts come again as often as it takes.
pub(crate) fn fill(app: &Arc<App>, texts: &[(String, String)]) {
    let count = wanted("JICENG_BENCH_PETITIONS", texts.len());
    let rows: Vec<(String, String)> = texts
        .iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(n, (title, text))| (title.clone(), format!("{text}（第{n}件）")))
        .collect();
    for some in rows.chunks(20_000) {
        super::import::bring_in(app, &lines(some));
    }
    let actor = app.demo_actor(demo::EVERYTHING).unwrap();
    let random = aws_lc_rs::rand::SystemRandom::new();
    // Papers as scanners make them.
    let mut paper = vec![0_u8; 1 << 20];
    for n in 0..wanted("JICENG_BENCH_FILES_MB", 64) {
        aws_lc_rs::rand::SecureRandom::fill(&random, &mut paper).unwrap();
        let mut upload = app.upload().unwrap();
        upload.write(&paper).unwrap();
        let files = vec![upload.finish(&format!("扫描件{n}.jpg")).unwrap()];
        let raw = vec![("title".to_owned(), format!("附扫描件的第{n}件")), ("text".to_owned(), "见附件。".to_owned())];
        let typed = Typed { raw, files, submit: format!("{n:032x}"), ..Typed::default() };
        app.create(&actor, &petition::KIND, typed).unwrap();
    }
    app.wait_for_index().unwrap();
}
