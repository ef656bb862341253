//! `read-foreign`: the child that reads a file of another program. The server starts it; people have no use for it.

use clap::Args;

use crate::base::{Error, Result};
use crate::foreign::{self, Format};

/// Arguments of `read-foreign`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ReadArgs {
    /// 文件格式
    #[arg(value_parser = format)]
    format: Format,
}

/// Reads standard input and writes frames to standard output.
pub(super) fn read(args: ReadArgs) -> Result<()> {
    foreign::child(args.format, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())
}

fn format(name: &str) -> Result<Format> {
    Format::by_name(name).ok_or_else(|| Error::usage("没有这种文件格式。"))
}
