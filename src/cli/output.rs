//! Where a command's words go: the console of this process, or through the control socket to somebody else's.
#![expect(clippy::print_stderr, reason = "this is the place that prints")]

use std::io::{IsTerminal, Write};

use zeroize::Zeroizing;

use crate::base::{Error, Result};

/// Takes lines.
pub(super) trait Out {
    /// A line of results.
    fn out(&mut self, line: &str);
    /// A line of notes.
    fn err(&mut self, line: &str);
    /// Whoever asked for the command is gone: what can be stopped, stops.
    fn is_gone(&self) -> bool {
        false
    }
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

/// Asks for the passphrase of a key slot, twice for a new one: at the terminal, or as a line of standard input.
pub(super) fn ask_passphrase(new: bool) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return line("请在标准输入的第一行给出解锁口令，或在终端中运行。");
    }
    if !new {
        return Ok(rpassword::prompt_password("解锁口令：")?);
    }
    let words = Zeroizing::new(rpassword::prompt_password("新的解锁口令：")?);
    let again = Zeroizing::new(rpassword::prompt_password("再输入一次：")?);
    if words == again { Ok(words.to_string()) } else { Err(Error::usage("两次输入的口令不一样，没有改动。")) }
}

/// Asks for an account's password: at the terminal, or as a line of standard input where there is none.
pub(super) fn ask_password(login: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("{login} 的口令："))?);
    }
    line("请在标准输入的第一行给出口令，或在终端中运行。")
}

/// Asks for the code of an account's second factor: at the terminal, or as a line of standard input where there is
/// none.
pub(super) fn ask_code() -> Result<String> {
    if is_terminal() {
        return Ok(rpassword::prompt_password("动态码（或恢复码）：")?);
    }
    line("这个账户启用了动态码，请在标准输入中口令的下一行给出。")
}

/// Somebody sits there.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for words at the terminal, or takes a line of standard input where there is none.
pub(super) fn ask_words(question: &str) -> Result<String> {
    if std::io::stdin().is_terminal() {
        eprint!("{question}");
    }
    line(question)
}

/// The first line of standard input; where there is none, `absent` says what to do.
fn line(absent: &str) -> Result<String> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().read_line(&mut line)?;
    let words = line.trim_end_matches(['\r', '\n']);
    if words.is_empty() { Err(Error::usage(absent)) } else { Ok(words.to_owned()) }
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
