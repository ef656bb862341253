//! `read-foreign`: the child that reads a file of another program, and `run-ocr`, the one that recognises text. The
//! server starts them; people have no use for them.

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

/// Arguments of `run-ocr`.
#[derive(Clone, Debug, Args)]
pub(super) struct OcrArgs {
    /// 识别程序
    program: std::path::PathBuf,
}

/// Limits itself and becomes the program that recognises text in pictures of the host.
pub(super) fn ocr(args: &OcrArgs) -> Result<()> {
    Err(foreign::become_ocr(&args.program))
}

fn format(name: &str) -> Result<Format> {
    Format::by_name(name).ok_or_else(|| Error::usage("没有这种文件格式。"))
}
