//! Recognising text in pictures (OCR), by `tesseract` with simplified Chinese where the host has both; neither is part
//! of this program.
//!
//! What must hold: the program gets pictures that were drawn anew, by its input, and says text by its output: nothing
//! of either is written anywhere. It is limited before it runs like the reading child, but for the files of its
//! language; it ends with the thread that started it.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::child::limit_to;
use crate::base::{Error, Result, limits};

const NAME: &str = "tesseract";
const LANGUAGE: &str = "chi_sim";
/// What a picture, the answer, a language and the layout of a page are to it.
const ARGUMENTS: [&str; 4] = ["stdin", "stdout", "-l", LANGUAGE];
/// How often, and how long between two times, is looked whether it has ended by itself.
const LOOKS: usize = 100;
const LOOK: Duration = Duration::from_millis(10);
/// Where its languages lie, when they lie elsewhere.
const LANGUAGES_AT: &str = "TESSDATA_PREFIX";

/// The program of this host that recognises text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ocr(PathBuf);

impl Ocr {
    /// Looks for it in the folders of programs; `None` where it or its language is not there.
    pub fn find() -> Option<Self> {
        let folders = std::env::var_os("PATH")?;
        let program = std::env::split_paths(&folders).map(|f| f.join(NAME)).find(|p| p.is_absolute() && p.is_file())?;
        let listed = Command::new(&program).arg("--list-langs").stdin(Stdio::null()).output().ok()?;
        // Older versions list them among their errors.
        let known = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().any(|line| line.trim() == LANGUAGE);
        (known(&listed.stdout) || known(&listed.stderr)).then_some(Self(program))
    }

    /// The text of a picture. `program` is this program's own file.
    ///
    /// # Errors
    /// Io when no process can be started; Invalid when it ended without an answer.
    pub fn recognise(&self, program: &Path, picture: &[u8]) -> Result<String> {
        let mut command = Command::new(program);
        command.arg("run-ocr").arg(&self.0).env_clear().env("OMP_THREAD_LIMIT", "1").current_dir("/");
        command.envs(std::env::var_os(LANGUAGES_AT).map(|at| (LANGUAGES_AT, at)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut said = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // One that wants no more of it says so by its answer.
                let _heard = stdin.map(|mut to| to.write_all(picture));
            });
            stdout.map_or(Ok(0), |from| from.take(limits::OCR_TEXT_BYTES).read_to_end(&mut said))
        })?;
        // It has said everything, or more than it may: what lives on after that is killed.
        let gone = (0..LOOKS).find_map(|_| {
            std::thread::sleep(LOOK);
            child.try_wait().ok().flatten()
        });
        if gone.is_none() {
            child.kill()?;
        }
        let ended = child.wait()?;
        if said.is_empty() && !ended.success() {
            return Err(Error::invalid("图片中的文字没有识别出来").with_detail(ended));
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// Limits this process for good and becomes the program; returns only when that fails.
pub fn become_ocr(program: &Path) -> Error {
    if let Err(e) = limit_to(limits::OCR_OPEN, limits::OCR_CPU_S) {
        return e.into();
    }
    Command::new(program).args(ARGUMENTS).exec().into()
}
