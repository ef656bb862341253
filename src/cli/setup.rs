//! `init` and `setup-link`: a new data folder, and the way to its administrators.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::output::Out;
use crate::app::App;
use crate::app::setup::{Answers, new_setup_token, set_up};
use crate::base::clock::SystemClock;
use crate::base::{Error, Moment, Result};
use crate::store::{Store, free_key_path};
use crate::web::certificate;

/// Where the running server notes its address.
pub(super) const ADDRESS_FILE: &str = "address";
/// Where it notes what its certificate looks like.
pub(super) const FINGERPRINT_FILE: &str = "fingerprint";

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// 新的数据目录
    #[arg(long)]
    dir: PathBuf,
    /// 县名
    #[arg(long)]
    county: String,
    /// 答案文件（TOML），用于无人值守初始化
    #[arg(long)]
    answers: Option<PathBuf>,
    /// 密钥文件的位置，须在数据目录之外；最好在另一介质上
    #[arg(long)]
    key_file: Option<PathBuf>,
}

/// Makes a new data folder.
pub(super) fn init(args: &InitArgs, out: &mut dyn Out) -> Result<()> {
    let answers = match &args.answers {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::usage(format!("读不到答案文件 {}。", path.display())).with_detail(e))?;
            Some(Answers::read(&text)?)
        }
    };
    if args.county.trim().is_empty() {
        return Err(Error::usage("请用 --county 写明县名。"));
    }
    let key_file = args.key_file.clone().unwrap_or_else(|| free_key_path(&args.dir));
    let store = Store::create(&args.dir, &key_file, args.county.trim(), false, Arc::new(SystemClock))?;
    let done = match answers {
        Some(answers) => set_up(&store, answers).map(|()| out.out("已初始化。请运行 jiceng serve 启动服务。")),
        None => new_setup_token(&store).and_then(|token| print(&args.dir, &token, store.now(), out)),
    };
    let (dir, key) = (store.dir().to_owned(), store.key_file().map(Path::to_owned));
    drop(store);
    if done.is_err() {
        // Nothing was entered yet: leave nothing behind, so that the command can be given again.
        std::fs::remove_dir_all(&dir)?;
        key.map_or(Ok(()), std::fs::remove_file)?;
    } else if let Some(key) = key {
        out.err(&format!("密钥文件：{}。没有它就打不开数据，请另存一份并妥善保管。", key.display()));
    }
    done
}

/// Prints a new link.
pub(super) fn link(app: &App, out: &mut dyn Out) -> Result<()> {
    let token = app.new_setup_link()?;
    print(app.dir(), &token, app.now(), out)
}

fn print(dir: &Path, token: &str, now: Moment, out: &mut dyn Out) -> Result<()> {
    let noted = std::fs::read_to_string(dir.join(ADDRESS_FILE)).unwrap_or_default();
    let address: SocketAddr = noted.trim().parse().unwrap_or(super::serve::LISTEN);
    // A server that listens everywhere is reached by the machine's name.
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let place = match host.trim() {
        name if address.ip().is_unspecified() && !name.is_empty() => format!("{name}:{}", address.port()),
        _ => address.to_string(),
    };
    out.out(&format!("https://{place}/setup/{token}"));
    out.err(&format!("证书指纹（SHA-256）：{}", fingerprint(dir, now)?));
    out.err(
        "初始化链接 30 分钟内有效，只能用一次。请先运行 jiceng serve，再在浏览器中打开；浏览器提示证书不受信任时，\
         核对证书指纹与上面一致后再继续。没有做完的可以用 jiceng setup-link 的新链接接着做。",
    );
    Ok(())
}

/// What the certificate looks like that the server showed last, or else the one of the folder.
fn fingerprint(dir: &Path, now: Moment) -> Result<String> {
    match std::fs::read_to_string(dir.join(FINGERPRINT_FILE)) {
        Ok(noted) => Ok(noted.trim().to_owned()),
        Err(_) => Ok(certificate::load(dir, None, now)?.fingerprint),
    }
}
