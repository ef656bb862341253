//! Regulations as files: what a county is sent as docx, Markdown, text, a saved page or PDF is recognised article by
//! article.
//!
//! The real texts are written out in each format and read back by the program's own child process. Where they lie is
//! named by `JICENG_SHARED_DATA`, otherwise they are looked for beside the project; nothing of them is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it measured"
)]

#[path = "regulations/hostile.rs"]
mod hostile;
#[path = "regulations/writers.rs"]
mod writers;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiceng::app::versions::align;
use jiceng::base::Error;
use jiceng::foreign::statute::{self, Statute};
use jiceng::foreign::{Block, Format, Item, Reader};

use writers::{Numbers, Regulation, docx, markdown, page, plain};

/// Regulations that are written out, taken at even steps.
const SAMPLE: usize = 100;

fn material() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("JICENG_SHARED_DATA").map_or_else(beside, PathBuf::from);
    dir.join("eval.py").is_file().then_some(dir)
}

/// What the program's child says of a file, and how it failed.
fn outcome(format: Format, bytes: Vec<u8>) -> (Vec<Item>, Option<Error>) {
    let program = Path::new(env!("CARGO_BIN_EXE_jiceng"));
    let mut reader = Reader::start(program, format, Box::new(std::io::Cursor::new(bytes))).unwrap();
    let mut items = Vec::new();
    let error = loop {
        match reader.next() {
            Some(Ok(item)) => items.push(item),
            Some(Err(e)) => break Some(e),
            None => break None,
        }
    };
    assert!(reader.next().is_none(), "nothing comes behind the end");
    (items, error)
}

/// The blocks of a file.
fn blocks(format: Format, bytes: Vec<u8>) -> Vec<Block> {
    let (items, error) = outcome(format, bytes);
    assert!(error.is_none(), "{}: {error:?}", format.name());
    items.into_iter().filter_map(|i| if let Item::Block(block) = i { Some(block) } else { None }).collect()
}

/// An invented regulation of nine articles on three pages, printed to PDF by a browser; shapes of its glyphs cut out.
fn printed() -> Vec<u8> {
    let mut pdf = Vec::new();
    let packed = include_bytes!("regulations/printed.pdf.gz").as_slice();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut pdf).unwrap();
    pdf
}

/// Regulations with articles, at even steps; one that holds a number twice would have no right answer.
fn sample(dir: &Path) -> Vec<Regulation> {
    let file = std::fs::File::open(dir.join("knownitem/regulations.jsonl.gz")).unwrap();
    let rows = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let all: Vec<Regulation> =
        rows.map(|r| Regulation::from_row(&r.unwrap())).filter(|r| !r.articles.is_empty()).collect();
    let step = all.len() / SAMPLE;
    all.into_iter().step_by(step).take(SAMPLE).collect()
}

/// Articles with the right number and text, and titles.
#[derive(Default)]
struct Score {
    articles: usize,
    right: usize,
    chapters: usize,
    titles: usize,
}

impl Score {
    fn add(&mut self, wanted: &Regulation, got: &Statute) {
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        self.titles += usize::from(plain(&got.title) == plain(&wanted.title));
        for article in &wanted.articles {
            self.articles += 1;
            let found = got.articles.iter().find(|a| a.no == article.no && a.text == article.text);
            self.right += usize::from(found.is_some());
            self.chapters += usize::from(found.is_some_and(|a| plain(&a.chapter) == plain(&article.chapter)));
            if found.is_none() && std::env::var_os("JICENG_SHOW").is_some() {
                let near = got.articles.iter().find(|a| a.no == article.no);
                println!(
                    "{} {}\n  want {:?}\n  got  {:?}",
                    wanted.reference,
                    article.no,
                    article.text,
                    near.map(|a| &a.text)
                );
            }
        }
    }
}

#[test]
fn real_regulations_are_recognised_article_by_article() {
    let Some(dir) = material() else {
        println!("skipped: the shared material is not here (JICENG_SHARED_DATA)");
        return;
    };
    let sample = sample(&dir);
    assert_eq!(sample.len(), SAMPLE);
    let half = |n: usize| if n.is_multiple_of(2) { Numbers::Literal } else { Numbers::Automatic };
    type Writer<'a> = &'a dyn Fn(usize, &Regulation) -> Vec<u8>;
    let formats: [(Format, Writer<'_>); 4] = [
        (Format::Docx, &|n, r| docx(r, half(n))),
        (Format::Markdown, &|_, r| markdown(r)),
        (Format::Text, &|_, r| plain(r)),
        (Format::Html, &|_, r| page(r)),
    ];
    for (format, write) in formats {
        let mut score = Score::default();
        for (n, regulation) in sample.iter().enumerate() {
            score.add(regulation, &statute::recognise(&blocks(format, write(n, regulation))));
        }
        let Score { articles, right, chapters, titles } = score;
        println!("{}: {right} of {articles} articles, {chapters} chapters, {titles} titles", format.name());
        assert!(articles > 2_000 && right * 100 >= articles * 99, "{}: {right} of {articles}", format.name());
        assert!(titles * 100 >= SAMPLE * 90, "{}: {titles} titles", format.name());
    }
}

/// Reading back what a person is given to correct changes nothing, for every regulation there is.
#[test]
fn what_is_given_for_correction_reads_back_unchanged() {
    let Some(dir) = material() else {
        println!("skipped: the shared material is not here (JICENG_SHARED_DATA)");
        return;
    };
    let file = std::fs::File::open(dir.join("knownitem/regulations.jsonl.gz")).unwrap();
    for row in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let regulation = Regulation::from_row(&row.unwrap());
        let text = String::from_utf8(plain(&regulation)).unwrap();
        let first = statute::recognise(&statute::lines(&text));
        let again = statute::recognise(&statute::lines(&statute::text(&first)));
        assert_eq!(again, first, "{}", regulation.reference);
    }
}

#[test]
fn a_printed_regulation_is_recognised() {
    let found = statute::recognise(&blocks(Format::Pdf, printed()));
    assert_eq!(found.title, "望澜县信访举报件登记办理规程（试行）");
    assert_eq!(
        (found.number.as_str(), found.issuer.as_str()),
        ("澜纪办〔2025〕3号", "中共望澜县纪律检查委员会办公室")
    );
    assert_eq!((found.published.as_str(), found.effective.as_str()), ("2025-02-10", "2025-03-01"));
    let numbers: Vec<&str> = found.articles.iter().map(|a| a.no.as_str()).collect();
    assert_eq!(
        numbers,
        ["第一条", "第二条", "第三条", "第四条", "第五条", "第六条", "第七条", "第八条", "第九条"]
    );
    // Lines that the page broke are one paragraph, across pages too; paragraphs of their own stay so.
    let lines: Vec<usize> = found.articles.iter().map(|a| a.text.lines().count()).collect();
    assert_eq!(lines, [1, 1, 1, 4, 2, 1, 1, 1, 1]);
    assert!(
        found.articles[1].text.contains("XF-2025-0001") && found.articles[1].text.ends_with("不得重复使用。")
    );
    assert_eq!(found.articles[8].chapter, "第三章 附则");
    assert!(found.remarks.is_empty(), "{:?}", found.remarks);
}

/// Texts of the articles of each version of one ordinance, the oldest first.
fn versions(dir: &Path) -> Vec<Vec<String>> {
    let packed = std::fs::File::open(dir.join("knownitem/regulations.jsonl.gz")).unwrap();
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for line in BufReader::new(flate2::read::GzDecoder::new(packed)).lines() {
        let value: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        if value["title"].as_str().unwrap_or_default().contains("中国共产党纪律处分条例") {
            let articles = value["articles"].as_array().unwrap().iter();
            let texts = articles.map(|a| a["text"].as_str().unwrap_or_default().to_owned()).collect();
            all.push((value["published"].as_str().unwrap_or_default().to_owned(), texts));
        }
    }
    all.sort();
    all.into_iter().map(|v| v.1).collect()
}

/// Each article of both stands once, and most of the last revision's became something; earlier ones began anew.
#[test]
fn real_versions_of_an_ordinance_stand_side_by_side() {
    let Some(dir) = material() else {
        println!("skipped: the shared material is not here (JICENG_SHARED_DATA)");
        return;
    };
    let all = versions(&dir);
    assert!(all.len() > 1, "{}", all.len());
    for (n, pair) in all.windows(2).enumerate() {
        let [old, new] = [&pair[0], &pair[1]].map(|texts| texts.iter().map(String::as_str).collect::<Vec<_>>());
        let rows = align(&old, &new);
        let mut olds: Vec<usize> = rows.iter().filter_map(|r| r.old).collect();
        olds.sort_unstable();
        assert_eq!(olds, (0..old.len()).collect::<Vec<_>>());
        assert_eq!(rows.iter().filter_map(|r| r.new).collect::<Vec<_>>(), (0..new.len()).collect::<Vec<_>>());
        let both = rows.iter().filter(|r| r.old.is_some() && r.new.is_some()).count();
        println!("{} and {} articles: {both} in common", old.len(), new.len());
        let last = n + 2 == all.len();
        assert!(both * 2 > old.len().min(new.len()) || !last, "{both} of {} and {}", old.len(), new.len());
    }
}
