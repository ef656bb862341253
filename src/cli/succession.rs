//! `replace-administrator`: one of the three is replaced at the host's console, where two of them are gone. It asks for
//! no password but access to the data folder; it leaves an entry, and a notice on every page for a week.

use std::path::PathBuf;

use clap::Args;

use super::output::Out;
use crate::app::App;
use crate::app::succession::Successor;
use crate::base::Result;

/// Arguments of `replace-administrator`.
#[derive(Debug, Args)]
pub(super) struct ReplaceArgs {
    /// 数据目录
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// 要更换的管理员的登录名
    #[arg(long, value_name = "LOGIN")]
    replaces: String,
    /// 接任人的登录名：新的，或没有任何角色的已有账户
    #[arg(long, value_name = "LOGIN")]
    login: String,
    /// 接任人的姓名
    #[arg(long)]
    name: String,
    /// 接任人的职务
    #[arg(long, default_value = "")]
    post: String,
}

/// Replaces an administrator and prints the new one's one-time password.
pub(super) fn replace(args: ReplaceArgs, app: &App, out: &mut dyn Out) -> Result<()> {
    let trimmed = |text: String| text.trim().to_owned();
    let next = Successor { login: trimmed(args.login), name: trimmed(args.name), post: trimmed(args.post) };
    let password = app.replace_at_host(args.replaces.trim(), next)?;
    out.out(&format!("一次性口令：{password}"));
    out.err("已更换，原管理员的账户已停用、会话已结束。请把一次性口令当面交给接任人，首次登录时必须改掉。");
    out.err("本次更换已记入日志，所有页面将公告 7 天。请按管理办法第十八条向上级纪委报告，报告在“人员变更”中打印。");
    Ok(())
}
