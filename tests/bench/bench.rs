//! What things cost, each beside the bare engine in the same run: `cargo bench`.
//!
//! The texts are those of `JICENG_SHARED_DATA` (or `../shared/data`), else invented ones; the same texts go through
//! every engine. Nothing here asserts a time: a table and a chart are printed, for the README. Ratios count, not
//! seconds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::needless_pass_by_value,
    dead_code,
    reason = "a bench stops by panicking and prints what it measured; what it shares with tests is not all used here"
)]

mod backup;
mod commits;
#[path = "../house/county.rs"]
mod county;
mod doors;
mod engines;
#[path = "../house/form.rs"]
mod form;
mod import;
mod material;
mod pages;
mod queries;
mod rows;
mod search;
mod service;
#[path = "../house/wire.rs"]
mod wire;

/// One line of the table.
pub(crate) struct Line {
    pub what: &'static str,
    pub ours: String,
    pub bare: String,
    /// Ours as a share of the bare engine; more is better.
    pub ratio: f64,
}

/// Measures with the titles and texts of petitions.
type Part = fn(&[(String, String)]) -> Vec<Line>;

/// Parts of the bench, by name.
const PARTS: [(&str, Part); 9] = [
    ("import", import::run),
    ("commits", commits::run),
    ("queries", queries::run),
    ("pages", pages::run),
    ("backup", backup::run),
    ("service", service::run),
    ("restore", service::restore),
    ("doors", doors::run),
    ("search", search::run),
];

fn main() {
    let texts = material::petitions();
    println!(
        "{} texts, {} characters",
        texts.len(),
        texts.iter().map(|t| t.1.chars().count()).sum::<usize>()
    );
    // `cargo bench -- import` measures that part alone.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| chosen.is_empty() || chosen.iter().any(|c| c == part);
    let mut lines = Vec::new();
    for (part, run) in PARTS {
        if wanted(part) {
            lines.extend(run(&texts));
        }
    }
    println!("\n| what | jiceng | bare engine | ratio |\n|---|---:|---:|---:|");
    for l in &lines {
        println!("| {} | {} | {} | {:.2} |", l.what, l.ours, l.bare, l.ratio);
    }
    println!("\n{}", chart(&lines));
}

/// Bars of the ratios, a line each, the bare engine as the full bar.
fn chart(lines: &[Line]) -> String {
    let bar = |l: &Line| {
        let full = (l.ratio.min(2.0) * 20.0).round().max(0.0) as usize;
        format!("{:<40} {:5.2} {}", l.what, l.ratio, "#".repeat(full))
    };
    lines.iter().map(bar).collect::<Vec<_>>().join("\n")
}

/// The value below which a share of the sorted values lies.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * share).round().max(0.0) as usize;
    values.get(at).copied().unwrap_or_default()
}
