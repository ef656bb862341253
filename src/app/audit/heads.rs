//! Heads kept outside — daily sheets, manifests of backup sets, standbys, lines of the system's log — and what a
//! journal that does not fit them has been through.

use std::collections::HashMap;
use std::path::Path;

use crate::base::{Error, Result, Seq};
use crate::store::{self, ChainReport, Head};

/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// Reads a head file: lines of number and hash with a blank or a colon between them, `#` comments. The hash may stand
/// in groups, as on a sheet.
pub fn read_heads(text: &str) -> Result<Vec<Head>> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let wrong = || Error::usage("链头文件每行应为：序号、空格或冒号、64 位十六进制哈希（可以按四位分组）。");
    lines.map(|line| read_head(line).ok_or_else(wrong)).collect()
}

/// Reads one head, as it is typed: `SEQ:HASH`, the hash in groups or not.
pub fn read_head(text: &str) -> Option<Head> {
    let text = text.trim();
    let (seq, hash) = text.split_once([':', '：']).or_else(|| text.split_once(char::is_whitespace))?;
    let digits: String = hash.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if digits.len() != DIGITS {
        return None;
    }
    let hash = hex::decode(digits).ok()?.try_into().ok()?;
    let seq: String = seq.chars().filter(|c| !matches!(c, ',' | ' ')).collect();
    Some(Head { seq: Seq(seq.parse().ok()?), hash })
}

/// Checks a data folder without any key: what was found there, and what heads kept outside say of it.
pub fn chain_only(dir: &Path, outside: &[Head]) -> Result<(ChainReport, Vec<String>)> {
    let asked: Vec<Seq> = outside.iter().map(|h| h.seq).collect();
    let report = store::chain_only(dir, &asked)?;
    let told = judge(outside, &report.hashes, report.walked.head, report.cut);
    Ok((report, told))
}

/// A hash in groups of four, for paper.
pub fn in_groups(hash: &[u8; 32]) -> Vec<String> {
    let digits = hex::encode(hash);
    (0..DIGITS).step_by(4).map(|n| digits[n..n + 4].to_owned()).collect()
}

/// What heads kept outside say of a journal that ends with `last` and has these hashes `at` their numbers; `cut`: the
/// store itself says that it should end later. Nothing when all of them fit.
pub fn judge(outside: &[Head], at: &HashMap<u64, [u8; 32]>, last: Head, cut: bool) -> Vec<String> {
    let mut sorted = outside.to_vec();
    sorted.sort_by_key(|h| h.seq);
    // The head of an empty journal would fit every journal: it proves nothing, and is none.
    let fits = |h: &Head| h.seq.0 > 0 && at.get(&h.seq.0) == Some(&h.hash);
    let mut told = Vec::new();
    let mut good = Seq(0);
    let mut forked = false;
    for head in &sorted {
        let seq = head.seq;
        if fits(head) {
            good = good.max(seq);
        } else if seq > last.seq && cut {
            told.push(format!("尾部被截断：日志只到第 {} 条，缺少外部链头所记的第 {seq} 条", last.seq));
        } else if seq > last.seq {
            told.push(format!(
                "库被回退：日志只到第 {} 条，缺少外部链头所记的第 {seq} 条（整库被换回旧副本，或截尾后改写了链头）",
                last.seq
            ));
        } else if !forked {
            forked = true;
            told.push(format!(
                "分叉：日志第 {seq} 条与外部留存的链头不一致，第 {} 条至第 {seq} 条之间被改写，或回退后另写了一段",
                good.0 + 1
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64, byte: u8) -> Head {
        Head { seq: Seq(seq), hash: [byte; 32] }
    }

    #[test]
    fn a_head_is_read_as_it_is_printed_typed_or_kept() {
        let hash = "0123456789abcdef".repeat(4);
        let grouped = in_groups(&hex::decode(&hash).unwrap().try_into().unwrap()).join(" ");
        let upper = hash.to_uppercase();
        for text in
            [format!("1234 {hash}"), format!("1234:{grouped}"), format!("1,234：{upper}"), format!(" 1234  {grouped} ")]
        {
            let read = read_head(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((read.seq, hex::encode(read.hash)), (Seq(1234), hash.clone()), "{text}");
        }
        let wrong = [format!("12 {}", &hash[1..]), format!("x {hash}"), format!("-1:{hash}")];
        for text in ["", "12", "12:", &hash, &wrong[0], &wrong[1], &wrong[2]] {
            assert!(read_head(text).is_none(), "{text}");
        }
        assert_eq!(read_heads(&format!("# sheet\n\n7 {hash}\n9:{hash}\n")).unwrap().len(), 2);
        assert!(read_heads("7 abc").is_err());
    }

    #[test]
    fn what_happened_has_a_name() {
        let at = HashMap::from([(5, [5; 32]), (8, [8; 32])]);
        let judged = |outside: &[Head], cut| judge(outside, &at, head(9, 9), cut);
        assert!(judged(&[head(5, 5), head(8, 8)], false).is_empty());
        let fork = judged(&[head(8, 1), head(5, 5)], false);
        assert!(fork.len() == 1 && fork[0].starts_with("分叉") && fork[0].contains("第 6 条至第 8 条"), "{fork:?}");
        assert!(judged(&[head(12, 1)], false)[0].starts_with("库被回退"));
        assert!(judged(&[head(12, 1)], true)[0].starts_with("尾部被截断"));
        assert!(judged(&[head(0, 0)], false)[0].starts_with("分叉"));
    }
}
