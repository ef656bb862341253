//! `key` and `unlock`: what opens the data. Passphrases come from the terminal or standard input, never from arguments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use zeroize::Zeroizing;

use super::Secrets;
use super::output::{self, Out};
use crate::app::App;
use crate::app::keys::NewKey;
use crate::app::unlock::{Key, Sealed};
use crate::backup::KeyFile;
use crate::base::{Error, Result};
use crate::store::{SlotInfo, SlotKind};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// 列出能打开数据的密钥槽
    List(super::Folder),
    /// 增加一个密钥槽
    Add(AddArgs),
    /// 删除一个密钥槽
    Remove(RemoveArgs),
    /// 轮换密钥：启用新一代密钥，弃用旧的
    Rotate(super::Folder),
}

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// 数据目录之外的密钥文件
    KeyFile,
    /// systemd 凭据 jiceng.key
    Credential,
    /// 口令（在终端或标准输入中输入）
    Passphrase,
    /// 离线恢复密钥
    Recovery,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// 种类
    #[arg(value_enum)]
    kind: Kind,
    /// 数据目录
    #[arg(long)]
    dir: PathBuf,
    /// 名字；默认按种类取
    #[arg(long, default_value = "")]
    name: String,
    /// 新密钥文件（或新凭据文件）的位置，须在数据目录之外
    #[arg(long)]
    path: Option<PathBuf>,
    /// 离线恢复密钥的公钥 age1…（用 jiceng backup keygen 生成）
    #[arg(long)]
    recipient: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// 密钥槽的名字
    name: String,
    /// 数据目录
    #[arg(long)]
    dir: PathBuf,
}

/// Arguments of `unlock`.
#[derive(Debug, Args)]
pub(super) struct UnlockArgs {
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 离线恢复密钥的私钥文件；不写则输入口令
    #[arg(long)]
    identity: Option<PathBuf>,
}

impl KeyCommand {
    pub(super) fn dir(&self) -> &Path {
        match self {
            Self::List(folder) | Self::Rotate(folder) => &folder.dir,
            Self::Add(args) => &args.dir,
            Self::Remove(args) => &args.dir,
        }
    }

    /// The new passphrase, where one is asked for.
    pub(super) fn ask(&self) -> Result<Option<String>> {
        match self {
            Self::Add(args) if args.kind == Kind::Passphrase => output::ask_passphrase(true).map(Some),
            _ => Ok(None),
        }
    }
}

impl UnlockArgs {
    /// The passphrase, or what stands in the private key's file: read by whoever asks, perhaps the only one who can.
    pub(super) fn ask(&self) -> Result<(Option<String>, Option<String>)> {
        let Some(path) = &self.identity else { return Ok((Some(output::ask_passphrase(false)?), None)) };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| Error::usage(format!("读不到密钥文件 {}。", path.display())).with_detail(e))?;
        Ok((None, Some(text)))
    }
}

/// Runs a command on open data.
pub(super) fn run(command: &KeyCommand, app: &Arc<App>, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    match command {
        KeyCommand::List(_) => list(app, out),
        KeyCommand::Add(args) => add(args, app, secret, out),
        KeyCommand::Remove(args) => {
            app.remove_key(&args.name)?;
            out.out(&format!("已删除密钥槽 {}。", args.name));
            out.err("它原来的密钥文件、凭据或口令请一并销毁或停用；要让旧的副本也打不开以后的内容，请运行 jiceng key rotate。");
            Ok(())
        }
        KeyCommand::Rotate(_) => rotate(app, out),
    }
}

fn list(app: &App, out: &mut dyn Out) -> Result<()> {
    for slot in app.key_slots() {
        let place = slot.path.as_ref().map(|p| p.display().to_string()).or_else(|| slot.recipient.clone());
        let state = match (slot.used, slot.opens) {
            (true, _) => "本次由它打开",
            (false, Some(true)) => "能打开",
            (false, Some(false)) => "现在打不开",
            (false, None) => "需要人来打开",
        };
        out.out(&format!("{}  {}  {}  {state}", slot.name, label(&slot), place.unwrap_or_else(|| "-".into())));
    }
    if app.is_rotating() {
        out.err("密钥轮换没有完成；服务运行时会接着做，也可以运行 jiceng key rotate。");
    }
    Ok(())
}

fn label(slot: &SlotInfo) -> &'static str {
    slot.kind.map_or("本程序不认识的种类", SlotKind::label)
}

fn add(args: &AddArgs, app: &App, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    let path = args.path.as_ref().map(|p| secret.path(p));
    let stray = match args.kind {
        Kind::KeyFile | Kind::Credential => args.recipient.is_some(),
        Kind::Passphrase => args.recipient.is_some() || path.is_some(),
        Kind::Recovery => path.is_some(),
    };
    if stray {
        return Err(Error::usage("--path 只用于 key-file 和 credential，--recipient 只用于 recovery。"));
    }
    let key = match (args.kind, &path, &secret.password, &args.recipient) {
        (Kind::KeyFile, Some(path), _, _) => NewKey::KeyFile(path),
        (Kind::KeyFile, None, _, _) => return Err(Error::usage("请用 --path 指定新密钥文件的位置。")),
        (Kind::Credential, path, _, _) => NewKey::Credential(path.as_deref()),
        (Kind::Passphrase, _, Some(words), _) => NewKey::Passphrase(words),
        (Kind::Passphrase, _, None, _) => return Err(Error::usage("请在终端或标准输入中给出口令。")),
        (Kind::Recovery, _, _, Some(recipient)) => NewKey::Recovery(recipient),
        (Kind::Recovery, _, _, None) => return Err(Error::usage("请用 --recipient 给出公钥 age1…。")),
    };
    let name = app.add_key(&args.name, &key)?;
    out.out(&format!("已增加密钥槽 {name}。"));
    match args.kind {
        Kind::KeyFile => out.err("请另存一份密钥文件并妥善保管；放在另一介质上，整盘被盗时才打不开数据。"),
        Kind::Credential if path.is_some() => {
            out.err("请用 systemd-creds encrypt --name=jiceng.key 加密这个文件，");
            out.err("在单元文件中写 LoadCredentialEncrypted=jiceng.key:加密后的文件，然后销毁原文件。");
        }
        Kind::Credential => {}
        Kind::Passphrase => out.err("口令丢失后无法找回。只剩口令或恢复密钥时，服务每次启动都要有人解锁。"),
        Kind::Recovery => out.err("请把私钥文件离线保存。需要时在服务器上运行 jiceng unlock --identity 私钥文件。"),
    }
    Ok(())
}

fn rotate(app: &App, out: &mut dyn Out) -> Result<()> {
    let said = std::cell::RefCell::new(out);
    let told = std::cell::Cell::new(u64::MAX);
    let done = app.rotate_keys(&|so_far| {
        let twentieth = so_far.done * 20 / so_far.of.max(1);
        if told.replace(twentieth) != twentieth {
            said.borrow_mut().err(&format!("已轮换 {}/{}", so_far.done, so_far.of));
        }
    })?;
    let mut out = said.borrow_mut();
    out.out(&format!("密钥已轮换到第 {} 代，共 {} 把。", done.generation, done.of));
    out.err("旧一代密钥已从 keys.json 中删除。已有的备份不受影响，仍含各自当时的密钥。");
    // What is not made now is made when the folder is opened next.
    if let Err(e) = app.wait_for_index() {
        out.err(&format!("检索索引还没有用新密钥重建，下次启动时会自动进行：{e}"));
    }
    Ok(())
}

/// Unlocks a server that waits for it.
pub(super) fn unlock(sealed: &Sealed, secret: &Secrets, out: &mut dyn Out) -> Result<()> {
    match (&secret.password, &secret.input) {
        (_, Some(text)) => {
            let file = KeyFile::of_text(&Zeroizing::new(text.clone()))?;
            sealed.unlock_at_console(&Key::Identity(&file))?;
        }
        (Some(words), None) => sealed.unlock_at_console(&Key::Passphrase(words))?,
        (None, None) => return Err(Error::usage("请在终端或标准输入中给出口令。")),
    }
    out.out("已解锁，服务已开始。");
    Ok(())
}
