//! Regulations that come in as documents: what was recognised, and what a person corrects before it is stored.

use std::path::Path;

use super::desk::{self, Job};
use super::source::{Source, SourceRow};
use crate::app::{App, lock};
use crate::base::{Error, Result, limits};
use crate::foreign::Reader;
use crate::foreign::statute::{self, Statute};

/// One document.
#[derive(Clone, Debug, Default)]
pub struct Paper {
    /// Name of the file.
    pub file: String,
    /// What was recognised and corrected.
    pub statute: Statute,
    /// What is wrong with the file as a whole; such a document does not come in.
    pub problem: String,
    /// Left out by the person.
    pub left_out: bool,
}

/// Corrections of a document.
#[derive(Clone, Debug, Default)]
pub struct Correction {
    /// Fields of the cover by name.
    pub cover: Vec<(String, String)>,
    /// The text with its headings; recognised again.
    pub text: String,
    /// Leave the document out.
    pub leave_out: bool,
}

impl App {
    /// Reads every document and recognises its articles.
    pub(super) fn look_at_papers(&self, job: &Job) -> Result<()> {
        for (file, format) in &job.files {
            job.go_on()?;
            let input = Box::new(self.store.read_blob(file)?);
            let paper = read(&file.name, Reader::start(Path::new(desk::PROGRAM), *format, input));
            lock(&job.state).papers.push(paper);
        }
        Ok(())
    }

    /// Takes the corrections of one document.
    pub fn import_correct(&self, job: &Job, place: usize, correction: Correction) -> Result<()> {
        if job.is_busy() {
            return Err(Error::invalid("正在处理这些文件，请等它结束或先停止。"));
        }
        if correction.text.chars().count() > limits::TEXT_CHARS {
            return Err(Error::invalid("正文过长，请拆成几部法规。"));
        }
        let mut state = lock(&job.state);
        state.forget_check();
        let paper = state.papers.get_mut(place).ok_or_else(Error::denied)?;
        paper.left_out = correction.leave_out;
        let was = paper.statute.clone();
        if !correction.text.trim().is_empty() && correction.text.replace("\r\n", "\n") != statute::text(&was) {
            paper.statute = statute::recognise(&statute::lines(&correction.text));
            paper.problem.clear();
        }
        // What was typed into a field of its own counts; what was left there gives way to the text.
        for (name, value) in correction.cover {
            let value = value.trim().to_owned();
            let (before, now) = (cover(&mut was.clone(), &name).cloned(), cover(&mut paper.statute, &name));
            if let Some(now) = now.filter(|_| before.as_ref() != Some(&value)) {
                *now = value;
            }
        }
        Ok(())
    }
}

/// A field of the cover by its name.
fn cover<'a>(statute: &'a mut Statute, name: &str) -> Option<&'a mut String> {
    Some(match name {
        "title" => &mut statute.title,
        "number" => &mut statute.number,
        "issuer" => &mut statute.issuer,
        "level" => &mut statute.level,
        "published" => &mut statute.published,
        "effective" => &mut statute.effective,
        "status" => &mut statute.status,
        _ => return None,
    })
}

/// A document as it was recognised, or what is wrong with its file.
pub fn read(file: &str, reader: Result<Reader>) -> Paper {
    let mut paper = Paper { file: file.to_owned(), ..Paper::default() };
    match reader.and_then(desk::blocks) {
        Ok((blocks, notes)) => {
            paper.statute = statute::recognise(&blocks);
            paper.statute.remarks.extend(notes);
            if paper.statute.title.is_empty() {
                paper.statute.title = stem(file);
            }
            if paper.statute.articles.is_empty() && paper.statute.preamble.trim().is_empty() {
                paper.problem = "文件中没有可以识别的文字（可能是扫描件）。请换成带文字的文件。".into();
            }
        }
        Err(e) => paper.problem = e.public().to_owned(),
    }
    paper
}

fn stem(file: &str) -> String {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned()
}

/// The documents as rows, in their order.
pub fn source(papers: &[Paper]) -> Source<'_> {
    let rows = papers.iter().zip(1..).filter(|(p, _)| !p.left_out).map(|(paper, line)| {
        let object = match paper.problem.as_str() {
            "" => Ok(super::source::regulation(&paper.statute)),
            problem => Err(vec![(String::new(), problem.to_owned())]),
        };
        Ok(SourceRow { line, cells: vec![paper.file.clone()], object })
    });
    Source { rows: Box::new(rows), label: std::sync::Arc::new(super::source::regulation_label) }
}
