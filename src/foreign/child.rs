//! The reading child: limits itself, reads one file from its input, says what is in it, and ends.
//!
//! [`child`] is the body of the hidden command `read-foreign`. The order is what matters: no byte of the file is read
//! before the limits stand. They cannot be raised again, and what they forbid (files, sockets, processes, memory) is
//! forbidden to whatever a hostile file makes of this process too. Limits that only root may pass (processes) help
//! where the server does not run as root.

use std::io::{BufWriter, Read, Write};
use std::panic::AssertUnwindSafe;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::{Emit, Format, csv, document, frames, table};
use crate::base::{Error, ErrorKind, Result, limits};

/// Pipes and nothing else: input, output, errors.
const OPEN: u64 = 3;

/// Reads a file of this format and writes frames. This process is limited for good by it.
///
/// # Errors
/// I/O when the limits cannot be set, or when nobody takes the frames; what is wrong with the file is a frame.
pub fn child(format: Format, input: &mut dyn Read, output: &mut dyn Write) -> Result<()> {
    limit(format).map_err(|e| Error::new(ErrorKind::Io, "不能限制读取文件的进程。").with_detail(e))?;
    // A panic's words can hold what is in the file.
    std::panic::set_hook(Box::new(|_| {}));
    let mut out = BufWriter::with_capacity(64 << 10, output);
    let reading = AssertUnwindSafe(|| read(format, input, &mut |item| frames::item(&mut out, &item)));
    match std::panic::catch_unwind(reading) {
        Ok(Ok(())) => frames::end(&mut out)?,
        Ok(Err(e)) => frames::failed(&mut out, e.public())?,
        Err(_) => frames::failed(&mut out, "文件结构异常，无法读取。请用办公软件打开，另存为新文件后重试。")?,
    }
    Ok(out.flush()?)
}

/// One line for each format.
pub(super) fn read(format: Format, input: &mut dyn Read, emit: Emit<'_>) -> Result<()> {
    match format {
        Format::Csv => csv::read(input, emit),
        Format::Xlsx => table::xlsx(&whole(input)?, emit),
        Format::Xls => table::xls(&whole(input)?, emit),
        Format::Docx
        | Format::Markdown
        | Format::Text
        | Format::Html
        | Format::Pptx
        | Format::Eml
        | Format::Pdf
        | Format::PdfView
        | Format::PdfPages
        | Format::PdfScans
        | Format::Image => document::read(format, &whole(input)?, emit),
        Format::Jsonl => {
            Err(Error::invalid("不能读取这种文件。请另存为 xlsx 或 csv 文件后重试。").with_detail(format.name()))
        }
    }
}

/// All bytes of a file whose reader goes back and forth in it. The server counts them; reading to the very end lets it
/// say what was wrong with them before anything is said here.
fn whole(input: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(Error::invalid("文件是空的。请检查后重新选择文件。"));
    }
    Ok(bytes)
}

fn limit(format: Format) -> std::io::Result<()> {
    let seconds =
        if format.is_table() { limits::FOREIGN_TABLE_CPU_S } else { limits::FOREIGN_DOCUMENT_CPU_S };
    limit_to(OPEN, seconds)
}

/// Limits this process for good, with so many open files and so much time of the processor.
pub(super) fn limit_to(open: u64, seconds: u64) -> std::io::Result<()> {
    close_inherited()?;
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    nix::sys::prctl::set_no_new_privs()?;
    nix::sys::prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_NPROC, 0, 0)?;
    setrlimit(Resource::RLIMIT_NOFILE, open, open)?;
    // A second later the kernel kills what caught the first signal.
    setrlimit(Resource::RLIMIT_CPU, seconds, seconds + 1)?;
    setrlimit(Resource::RLIMIT_AS, limits::FOREIGN_MEMORY_BYTES, limits::FOREIGN_MEMORY_BYTES)?;
    Ok(())
}

/// Closes what the server's own parent may have left open to it (a socket handed over at its start).
fn close_inherited() -> std::io::Result<()> {
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd >= 3)
        .collect();
    for fd in open {
        // One of them was the folder just listed; it is closed already.
        let _closed = nix::unistd::close(fd);
    }
    Ok(())
}
