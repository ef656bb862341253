//! Where a command's words go: the console of this process, or through the control socket to somebody else's.
#![expect(clippy::print_stderr, reason = "this is the place that prints")]

use std::io::{IsTerminal, Write};

use crate::base::{Error, Result};

/// Takes lines.
pub(super) trait Out {
    /// A line of results.
    fn out(&mut self, line: &str);
    /// A line of notes.
    fn err(&mut self, line: &str);
}

/// The console of this process.
#[derive(Default)]
pub(super) struct Console {
    gone: bool,
}

impl Out for Console {
    fn out(&mut self, line: &str) {
        // A reader that went away (`| head`) is no error; it gets no more.
        self.gone = self.gone || writeln!(std::io::stdout().lock(), "{line}").is_err();
    }

    fn err(&mut self, line: &str) {
        eprintln!("{line}");
    }
}

/// Asks for an account's password: at the terminal, or as a line of standard input where there is none.
pub(super) fn ask_password(login: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("{login} 的口令："))?);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Error::usage("请在标准输入的第一行给出口令，或在终端中运行。"));
    }
    Ok(password.to_owned())
}

/// Asks for the last register number on paper; `None` where nobody sits at a terminal, or nobody knows.
pub(super) fn ask_number(counter: &str, last: u64) -> Result<Option<u64>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    loop {
        eprint!("{counter}在备份中到 {last} 号。纸质登记的最后一号是（不知道请直接回车，将跳过一段）：");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        match line.trim().trim_end_matches('号') {
            "" => return Ok(None),
            text => match text.parse() {
                Ok(number) => return Ok(Some(number)),
                Err(_) => eprintln!("请只输入数字。"),
            },
        }
    }
}
