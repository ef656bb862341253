//! First checks of a machine and its data folder: each says what it saw and what to do.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::policy::Asked;
use super::selftest::SHORT_SAMPLE;
use super::{App, Halt};
use crate::base::{Moment, Result, limits};
use crate::store::{SlotInfo, SlotKind};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, but somebody should do something.
    Warn,
    /// Must be mended now.
    Bad,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen, and what to do.
    pub text: String,
}

/// Free space below which a warning is given, in bytes.
const LOW_SPACE: u64 = 2 << 30;

impl App {
    /// Runs all checks; `deep` reads everything there is.
    pub fn doctor(&self, deep: bool) -> Result<Vec<Finding>> {
        let mut findings = vec![self.data(deep)?, self.index()?, self.attached()?, self.keys()?, self.backups()?];
        findings.extend(deep.then(|| self.search_sample()));
        findings.extend(self.away()?);
        findings.push(self.scrubs()?);
        findings.extend(self.standing());
        findings.extend(self.syslog());
        findings.push(permissions(self.dir())?);
        findings.push(self.space()?);
        findings.push(self.ready()?);
        findings.extend(self.replaced()?);
        findings.push(self.reviewed()?);
        findings.extend(self.factors()?);
        Ok(findings)
    }

    fn data(&self, deep: bool) -> Result<Finding> {
        let name = "数据";
        if !deep {
            let text = format!("数据库已打开，日志 {} 条。", self.store.head().seq);
            return Ok(Finding { name, verdict: Verdict::Good, text });
        }
        let report = self.store.check()?;
        if report.problems.is_empty() {
            let text = format!(
                "记录 {} 条、日志 {} 条、附件 {} 个全部完好，派生表一致；无主附件 {} 个。",
                report.records,
                report.entries,
                report.files,
                report.orphans.len()
            );
            return Ok(Finding { name, verdict: Verdict::Good, text });
        }
        let count = report.problems.len();
        let listed = report.problems.iter().take(10).cloned().collect::<Vec<_>>().join("；");
        let advice = if report.faults == 0 {
            "其余内容完好，备份会照常进行并注明。请从较早的备份恢复出一份，取回这些附件后重新上传"
        } else {
            "请停止使用并从已验证的备份恢复"
        };
        let text = format!("发现 {count} 处问题：{listed}。{advice}。");
        Ok(Finding { name, verdict: Verdict::Bad, text })
    }

    /// Nobody has to have a second factor: a store from before, or one whose security administrator wants it so.
    fn factors(&self) -> Result<Option<Finding>> {
        if self.facts().demo || !self.is_ready()? {
            return Ok(None);
        }
        let (verdict, text) = match self.policy()?.asked {
            Asked::Nobody => (
                Verdict::Warn,
                "没有账户必须启用动态码（第二种鉴别方式）。请安全保密管理员在“登录安全策略”页设定，至少包括三员和负责人。",
            ),
            Asked::Approvers => (Verdict::Good, "三员和负责人（审批）必须启用动态码。"),
            Asked::All => (Verdict::Good, "所有账户必须启用动态码。"),
        };
        Ok(Some(Finding { name: "登录", verdict, text: text.to_owned() }))
    }

    fn index(&self) -> Result<Finding> {
        let (lag, documents, bytes, _) = self.index_status()?;
        let snapshot = self.store.read()?;
        let mut expected = 0;
        for kind in crate::records::ALL.iter().filter(|k| k.indexed) {
            expected += snapshot.count_of(kind)?;
        }
        for purged in snapshot.purged(crate::base::Seq(0))? {
            let record = snapshot.get(crate::base::RecordId(purged.record), false)?;
            let indexed = record.and_then(|r| crate::records::by_tag(r.kind)).is_some_and(|k| k.indexed);
            expected -= u64::from(indexed);
        }
        if lag == 0 && documents != expected {
            let text = format!("索引 {documents} 条，应有 {expected} 条。请运行 jiceng reindex 重建。");
            return Ok(Finding { name: "检索索引", verdict: Verdict::Bad, text });
        }
        let verdict = if lag > 10_000 { Verdict::Warn } else { Verdict::Good };
        let made = self.index_made().map(|(done, of)| format!("正在重建，已读日志 {done} / {of} 条。"));
        let made = made.unwrap_or_default();
        let text = format!("索引 {documents} 条，{} MB，已密封，落后日志 {lag} 条。{made}", bytes >> 20);
        Ok(Finding { name: "检索索引", verdict, text })
    }

    /// How far the reading of attachments is.
    fn attached(&self) -> Result<Finding> {
        let text = match self.attached_left()? {
            0 => "附件文字已全部读取，可以检索。".to_owned(),
            left => format!("还有 {left} 个附件等待读取文字，服务运行时在后台进行。"),
        };
        let scans = match self.scans_left() {
            None => "本机没有 tesseract 及其 chi_sim 语言，扫描件和图片中的文字不识别。".to_owned(),
            Some(0) => "扫描件和图片由本机的 tesseract 识别。".to_owned(),
            Some(left) => format!("扫描件和图片由本机的 tesseract 识别，还有 {left} 个。"),
        };
        Ok(Finding { name: "附件文字", verdict: Verdict::Good, text: text + &scans })
    }

    /// Search finds some of what is there.
    fn search_sample(&self) -> Finding {
        let name = "检索自检";
        let finding = |verdict, text| Finding { name, verdict, text };
        match self.try_search(SHORT_SAMPLE) {
            Err(e) => finding(Verdict::Bad, e.public().to_owned()),
            Ok(tried) => {
                let asked: usize = tried.iter().map(|t| t.asked).sum();
                match tried.iter().map(|t| t.missed.len()).sum::<usize>() {
                    0 => finding(Verdict::Good, format!("抽查 {asked} 次，全部找到。")),
                    missed => finding(
                        Verdict::Bad,
                        format!("抽查 {asked} 次，{missed} 次没有找到。请运行 jiceng reindex 重建后再查。"),
                    ),
                }
            }
        }
    }

    /// What opens the data, and what a stolen disk would reveal by it.
    fn keys(&self) -> Result<Finding> {
        let name = "密钥";
        let slots = self.store.slots();
        let here = fs::metadata(self.dir())?.dev();
        if let Some(place) = slots.iter().filter_map(|s| s.path.as_ref()).find(|p| is_open_to_others(p)) {
            let place = place.display();
            let text = format!("密钥文件 {place} 其他用户可读。请运行 chmod 600 {place}。");
            return Ok(Finding { name, verdict: Verdict::Bad, text });
        }
        let told: Vec<(Verdict, String)> = slots.iter().map(|slot| stolen(slot, here)).collect();
        let worst = told.iter().map(|(v, _)| *v).find(|v| *v != Verdict::Good);
        let mut text: String = told.into_iter().map(|(_, text)| text).collect();
        if self.store.is_rotating() {
            text.push_str("密钥轮换没有完成，服务运行时会接着做，也可以运行 jiceng key rotate。");
        }
        let purges = self.purge_keys()?;
        let late = purges.as_ref().is_some_and(|(_, late)| *late);
        text.extend(purges.map(|(words, _)| words));
        let warn = self.store.is_rotating() || late;
        let verdict = if warn { Verdict::Warn } else { worst.unwrap_or(Verdict::Good) };
        Ok(Finding { name, verdict, text })
    }

    fn backups(&self) -> Result<Finding> {
        let name = "备份";
        let last = self.last_backup()?;
        let last = match last {
            None => "还没有成功的备份。".to_owned(),
            Some(at) => {
                let hours = self.now().seconds_since(at) / 3600;
                format!("最近一次已验证的备份：{at}（{hours} 小时前）。")
            }
        };
        let alarms = self.backup_alarms()?;
        if alarms.is_empty() {
            return Ok(Finding { name, verdict: Verdict::Good, text: last });
        }
        let what = alarms.concat();
        let text = format!("{last}{what}请系统管理员打开“备份”页处理；备份密钥用 jiceng backup keygen 生成，至少两把。");
        Ok(Finding { name, verdict: Verdict::Warn, text })
    }

    /// How the other site stands, where a running server has one.
    fn away(&self) -> Result<Option<Finding>> {
        let Some(standing) = self.offsite()? else { return Ok(None) };
        let verdict = if standing.alarms.is_empty() { Verdict::Good } else { Verdict::Warn };
        let text = format!("{}。{}", standing.words(), standing.alarms.concat());
        Ok(Some(Finding { name: "异地", verdict, text }))
    }

    fn scrubs(&self) -> Result<Finding> {
        let name = "数据自检";
        let Some(last) = self.scrubbed()? else {
            let text = "还没有做过；服务运行满一周后自动进行，也可在“备份”页立即进行。".into();
            return Ok(Finding { name, verdict: Verdict::Good, text });
        };
        let alarms = self.scrub_alarms()?;
        let verdict = if alarms.is_empty() { Verdict::Good } else { Verdict::Bad };
        let good = format!(
            "最近一次 {}：记录 {} 条、日志 {} 条、附件 {} 个全部完好。",
            Moment(last.at),
            last.records,
            last.entries,
            last.files
        );
        Ok(Finding { name, verdict, text: if alarms.is_empty() { good } else { alarms.concat() } })
    }

    fn space(&self) -> Result<Finding> {
        let name = "磁盘";
        if let Some(halt) = self.halted() {
            let name = if matches!(halt, Halt::Fenced(_)) { "异地" } else { name };
            return Ok(Finding { name, verdict: Verdict::Bad, text: halt.text() });
        }
        let free = fs4::available_space(self.dir())?;
        let verdict = if free < LOW_SPACE { Verdict::Bad } else { Verdict::Good };
        let advice = if free < LOW_SPACE { "，请尽快清理或扩容" } else { "" };
        Ok(Finding { name, verdict, text: format!("剩余 {} MB{advice}。", free >> 20) })
    }

    /// What accounts may do is looked at again every so often.
    fn reviewed(&self) -> Result<Finding> {
        let (name, due, days) = ("权限复核", self.review_due()?, limits::REVIEW_DAYS);
        if due.late == 0 {
            let text = format!("没有超过 {days} 天未复核权限的账户。");
            return Ok(Finding { name, verdict: Verdict::Good, text });
        }
        let text = format!("{} 个账户的权限超过 {days} 天未复核。请安全保密管理员打开“权限复核”页逐个核对。", due.late);
        Ok(Finding { name, verdict: Verdict::Warn, text })
    }

    /// An administrator was replaced at the host's console within the week.
    fn replaced(&self) -> Result<Vec<Finding>> {
        let notices = self.host_notices()?.into_iter();
        Ok(notices.map(|n| Finding { name: "三员", verdict: Verdict::Warn, text: n.text }).collect())
    }

    fn ready(&self) -> Result<Finding> {
        let name = "初始化";
        Ok(match (self.is_ready()?, self.facts().demo) {
            (true, false) => Finding { name, verdict: Verdict::Good, text: "三员账户已建立。".into() },
            (true, true) => Finding {
                name,
                verdict: Verdict::Warn,
                text: "这是演示数据，口令公开，不得录入真实信息。".into(),
            },
            (false, _) => Finding { name, verdict: Verdict::Bad, text: "尚未初始化。请运行 jiceng setup-link 并打开链接。".into() },
        })
    }
}

/// What a slot means for whoever steals the disk of the data.
fn stolen(slot: &SlotInfo, here: u64) -> (Verdict, String) {
    let name = &slot.name;
    let closed = if slot.opens == Some(false) { "（现在打不开：文件不在或不符）" } else { "" };
    let place = slot.path.as_deref().unwrap_or(Path::new("")).display();
    // A file that cannot be looked at now may lie anywhere.
    let beside = slot.path.as_ref().is_none_or(|p| fs::metadata(p).map_or(true, |m| m.dev() == here));
    match slot.kind {
        Some(SlotKind::KeyFile) if beside => (
            Verdict::Warn,
            format!("{name}：密钥文件 {place}{closed} 与数据在同一块磁盘上，整盘被盗时数据可被打开；请用 jiceng key add 在另一介质上另加一个，再删除它。"),
        ),
        Some(SlotKind::KeyFile) => {
            (Verdict::Good, format!("{name}：密钥文件 {place}{closed} 在另一块磁盘上，只偷走数据盘读不出内容。"))
        }
        Some(SlotKind::Credential) => (
            Verdict::Good,
            format!("{name}：systemd 凭据{closed}，绑定本机 TPM2 时整盘被盗也打不开；未绑定（明文或仅用主机密钥）时整盘被盗数据可被打开。"),
        ),
        Some(SlotKind::Passphrase) => {
            (Verdict::Good, format!("{name}：口令，磁盘上没有它，整盘被盗时只能逐个猜测。"))
        }
        Some(SlotKind::Recovery) => {
            (Verdict::Good, format!("{name}：离线恢复密钥，私钥不在本机，整盘被盗打不开。"))
        }
        None => (Verdict::Warn, format!("{name}：本程序不认识的密钥槽。")),
    }
}

fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
}

fn permissions(dir: &Path) -> Result<Finding> {
    let name = "目录权限";
    let mode = fs::metadata(dir)?.permissions().mode() & 0o777;
    Ok(if mode & 0o077 == 0 {
        Finding { name, verdict: Verdict::Good, text: format!("数据目录权限 {mode:o}，只有属主可读。") }
    } else {
        let text = format!("数据目录权限 {mode:o}，其他用户可读。请运行 chmod 700 {}。", dir.display());
        Finding { name, verdict: Verdict::Bad, text }
    })
}

