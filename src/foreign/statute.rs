//! From the blocks of a document to a regulation: its cover, its chapters, its articles.
//!
//! What must hold: no word of the document is lost. A line belongs to the title, the cover, an article or the text
//! before the articles; only a table of contents and repeated headings are dropped. A number of an article that is part
//! of a sentence, or of a quoted amendment, begins no article. [`text`] writes a regulation in a form that a person can
//! correct and that [`recognise`] reads back unchanged.
//!
//! Nothing here is certain: what is read is shown to a person before it is stored. `mark` says what a line begins with,
//! `cover` reads title, number, issuer and dates, `edited` is the form for corrections.

mod cover;
mod edited;
mod mark;

use mark::{ITEM_LEVEL, Mark, mark};

use super::{Block, Style};

pub use edited::text;

/// Largest step between the numbers of two articles; a larger one is a reference that stands alone.
const STEP_MAX: u32 = 20;
/// Longest heading 一、 above articles, in characters.
const ITEM_CHARS: usize = 40;
/// Most lines of a signature.
const TAIL_LINES: usize = 8;

/// A regulation as it was recognised; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statute {
    /// 标题, without 《》.
    pub title: String,
    /// 文号, as `牟纪办〔2020〕11号`.
    pub number: String,
    /// 制定机关.
    pub issuer: String,
    /// 效力级别, in the words of the regulations' vocabulary.
    pub level: String,
    /// 公布日期, `yyyy-mm-dd` or its known part.
    pub published: String,
    /// 施行日期, likewise.
    pub effective: String,
    /// 时效性, in the words of the vocabulary.
    pub status: String,
    /// 题注与前言: what stands before the articles, and the signature behind them.
    pub preamble: String,
    /// The articles, in order.
    pub articles: Vec<Article>,
    /// What a person should look at, in Chinese.
    pub remarks: Vec<String>,
}

/// One article (条), item (一、) or attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Article {
    /// 第十二条, 一、 or 附件1.
    pub no: String,
    /// 第一编 总则 第二章 …, the headings above it joined by blanks.
    pub chapter: String,
    /// Its text, which begins with its number; each paragraph (款), item (项) or table row on a line of its own.
    pub text: String,
}

/// A line of the document, cleaned.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    heading: bool,
    row: bool,
    /// It continues a quotation that an earlier line began.
    quoted: bool,
}

/// Plain text as blocks: a line is a paragraph, empty ones are left out, blanks in front stay.
pub fn lines(text: &str) -> Vec<Block> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let kept = text.split(['\n', '\r', '\u{B}', '\u{C}', '\u{2028}', '\u{2029}']).map(str::trim_end);
    let kept = kept.filter(|l| !l.trim().is_empty());
    kept.map(|l| Block { style: Style::Paragraph, text: l.to_owned() }).collect()
}

/// Recognises a regulation; always gives one, at worst with everything before the articles.
pub fn recognise(blocks: &[Block]) -> Statute {
    let mut statute = edited::read(blocks).unwrap_or_else(|| read(&clean(blocks)));
    statute.remarks = remarks(&statute.articles);
    statute
}

/// Whether a line begins as an article, a chapter or an item (一、, （一）) does.
pub(super) fn begins(line: &str) -> bool {
    let listed = line.strip_prefix(['（', '(']).is_some_and(mark::is_listed);
    listed
        || matches!(mark(line), Mark::Article { spaced: true, .. } | Mark::Chapter { .. } | Mark::Item { .. })
}

/// Lines without blanks at their ends and without characters that cannot be seen.
fn clean(blocks: &[Block]) -> Vec<Line> {
    let mut lines = Vec::new();
    for block in blocks {
        for text in block.text.split(['\n', '\r', '\u{B}', '\u{C}', '\u{2028}', '\u{2029}']) {
            let text = tidy(text);
            let heading = matches!(block.style, Style::Heading(_));
            if !text.is_empty() {
                lines.push(Line { text, heading, row: block.style == Style::Row, quoted: false });
            }
        }
    }
    mark_quoted(&mut lines);
    lines
}

/// One line: no control or invisible characters, plain blanks, none at the ends.
fn tidy(text: &str) -> String {
    let seen = |c: &char| !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}');
    let plain = |c: char| if c.is_control() || c == '\u{A0}' { ' ' } else { c };
    text.chars().filter(seen).map(plain).collect::<String>().trim().to_owned()
}

/// Marks lines inside a quotation of several paragraphs, as amendments have them. A quotation counts only when it
/// opens a line or follows a colon, and when the next quotation mark closes it or opens a line again: a mark that was
/// forgotten must not swallow the articles behind it.
fn mark_quoted(lines: &mut [Line]) {
    let mut marks: Vec<(usize, bool, bool)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut before = None;
        for c in line.text.chars() {
            if matches!(c, '“' | '”' | '「' | '」') {
                let starts = matches!(before, None | Some(':' | '：'));
                marks.push((at, matches!(c, '“' | '「'), starts));
            }
            before = Some(c).filter(|c| !c.is_whitespace()).or(before);
        }
    }
    for pair in marks.windows(2) {
        let (&(from, opens, starts), &(to, next_opens, next_starts)) = (&pair[0], &pair[1]);
        let spans = opens && starts && to > from && (!next_opens || next_starts);
        if spans {
            lines[from + 1..=to].iter_mut().for_each(|l| l.quoted = true);
        }
    }
}

/// Where an article or item starts.
struct Start {
    at: usize,
    no: String,
    text: String,
}

fn read(lines: &[Line]) -> Statute {
    let mut starts = article_starts(lines);
    let articled = !starts.is_empty();
    if !articled {
        starts = item_starts(lines);
    }
    let Some(first) = starts.first().map(|s| s.at) else {
        let (body, tail) = lines.split_at(tail_start(lines, 0, lines.len()));
        return cover::fill(body, tail, Vec::new());
    };
    let from = body_start(lines, first);
    let last = starts.last().map_or(first, |s| s.at);
    let attached = (last..lines.len()).find(|&at| is_attachment(&lines[at])).unwrap_or(lines.len());
    let tail = tail_start(lines, last + 1, attached);
    let mut body = Body { articled, ..Body::default() };
    let mut starts = starts.into_iter().peekable();
    for (at, line) in lines.iter().enumerate().skip(from) {
        if let Some(start) = starts.next_if(|s| s.at == at) {
            body.start(start.no, start.text);
        } else if !(tail..attached).contains(&at) {
            body.line(lines, at, line);
        }
    }
    let mut head: Vec<Line> = without_contents(&lines[..from], &lines[from..]);
    let before = std::mem::take(&mut body.before).into_iter();
    head.extend(before.map(|text| Line { text, heading: false, row: false, quoted: false }));
    cover::fill(&head, &lines[tail..attached], body.finish())
}

/// The articles of the document: lines that begin with their number, where it is not part of a sentence.
fn article_starts(lines: &[Line]) -> Vec<Start> {
    let mut starts = Vec::new();
    let mut last = (0, 0);
    for (at, line) in lines.iter().enumerate() {
        let Mark::Article { no, number, spaced, rest } = mark(&line.text) else { continue };
        if line.row || line.quoted || mark::cut_leader(&line.text).len() < line.text.len() {
            continue;
        }
        let next = number == (last.0 + 1, 0) || (number.0 == last.0 && number.1 == last.1 + 1);
        let fits = next || number == (1, 0);
        let before = at.checked_sub(1).map(|b| &lines[b]);
        // Nothing before the first article can refer to it.
        let first = starts.is_empty() && number == (1, 0) && spaced;
        if !first && goes_on(before) || !begins_article(rest, spaced) {
            continue;
        }
        let near = number.0 <= last.0 + STEP_MAX || last.0 == 0;
        if fits || spaced && near && (starts.is_empty() || before.is_none_or(is_finished)) {
            starts.push(Start { at, text: format!("{no} {rest}").trim_end().to_owned(), no });
            last = number;
        }
    }
    starts
}

/// The line before ends in the middle of a sentence that an article's number would go on.
fn goes_on(before: Option<&Line>) -> bool {
    const WORDS: &[&str] = &[
        "、",
        "，",
        ",",
        "（",
        "(",
        "《",
        "“",
        "和",
        "及",
        "或",
        "与",
        "或者",
        "以及",
        "依照",
        "按照",
        "根据",
        "依据",
        "违反",
        "适用",
        "本法",
        "本条例",
        "本规定",
        "本办法",
        "本细则",
        "本规则",
        "本准则",
        "触犯",
        "有关",
    ];
    before.is_some_and(|l| !l.heading && !is_heading(l) && WORDS.iter().any(|w| l.text.ends_with(w)))
}

/// What follows the number can be an article's text and not the rest of a reference.
fn begins_article(rest: &str, spaced: bool) -> bool {
    const REFERS: &[&str] = &[
        "的",
        "、",
        "，",
        ",",
        "和",
        "至",
        "及",
        "或",
        "与",
        "第",
        "规定",
        "中的",
        "中“",
        "中增",
        "中删",
        "所",
        "修改为",
        "修改成",
        "改为",
        "作为",
        "增加",
        "删去",
        "》",
        "”",
        "）",
        ")",
        "；",
        "。",
    ];
    if spaced { !rest.starts_with('的') } else { !REFERS.iter().any(|w| rest.starts_with(w)) }
}

fn is_heading(line: &Line) -> bool {
    matches!(mark(&line.text), Mark::Chapter { .. } | Mark::Item { .. })
}

/// The line ends a sentence, or is no sentence.
fn is_finished(line: &Line) -> bool {
    const ENDS: &[char] = &['。', '；', '：', '！', '？', '”', '」', '）', ')', ';', ':', '.', '!', '?', '…'];
    let bare = matches!(mark(&line.text), Mark::Article { rest: "", .. });
    line.row || line.heading || bare || is_heading(line) || line.text.ends_with(ENDS)
}

/// The items 一、 of a document without articles, in order; behind a chapter they may begin again.
fn item_starts(lines: &[Line]) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    let mut last = 0;
    for (at, line) in lines.iter().enumerate() {
        if is_attachment(line) && last > 0 {
            break;
        }
        match mark(&line.text) {
            Mark::Chapter { .. } if !line.row && !line.quoted => last = 0,
            Mark::Item { no, number } if !line.row && !line.quoted && number == last + 1 => {
                let rest = line.text.split_once('、').map_or("", |(_, rest)| rest.trim_start());
                starts.push(Start { at, text: format!("{no}{rest}"), no });
                last = number;
            }
            _ => {}
        }
    }
    starts
}

/// The first line of the body: the headings that stand directly above the first article belong to it, as long as
/// each is of a higher level than the one below; what stands further up is a table of contents.
fn body_start(lines: &[Line], first: usize) -> usize {
    let mut from = first;
    let mut level = u8::MAX;
    while let Some(line) = from.checked_sub(1).map(|at| &lines[at]) {
        let own = match mark(&line.text) {
            // 附则 above a chapter ends a table of contents.
            Mark::Chapter { .. } if mark::bare_chapter(&line.text).is_some() && from < first => break,
            Mark::Chapter { level, .. } if !line.row => level,
            Mark::Item { .. } if is_item_heading(line) => ITEM_LEVEL,
            Mark::Plain if is_name_of_chapter(lines, from - 1) => {
                from -= 1;
                continue;
            }
            _ => break,
        };
        if own >= level {
            break;
        }
        (from, level) = (from - 1, own);
    }
    from
}

/// The name of a chapter on a line of its own, below 第一章.
fn is_name_of_chapter(lines: &[Line], at: usize) -> bool {
    let (Some(above), Some(own)) = (at.checked_sub(1).and_then(|b| lines.get(b)), lines.get(at)) else {
        return false;
    };
    let joined = format!("{} {}", above.text, own.text);
    let bare = matches!(mark(&above.text), Mark::Chapter { named: false, .. });
    bare && !own.row && !own.quoted && matches!(mark(&joined), Mark::Chapter { .. })
}

fn is_item_heading(line: &Line) -> bool {
    let short = line.text.chars().count() <= ITEM_CHARS;
    short && !line.row && !line.quoted && !line.text.ends_with(['。', '；', '：', '，', '、', ';', ':', '.'])
}

fn is_attachment(line: &Line) -> bool {
    !line.row && !line.quoted && matches!(mark(&line.text), Mark::Attachment(_))
}

/// The lines before the body without a table of contents: its heading, and lines that stand again in the body.
fn without_contents(head: &[Line], body: &[Line]) -> Vec<Line> {
    let bare =
        |text: &str| -> String { mark::cut_leader(text).chars().filter(|c| !c.is_whitespace()).collect() };
    let again: std::collections::HashSet<String> =
        body.iter().filter(|l| l.text.chars().count() <= 2 * ITEM_CHARS).map(|l| bare(&l.text)).collect();
    let mut inside = false;
    let mut kept = Vec::new();
    for line in head {
        let text = bare(&line.text);
        let chapter = matches!(mark(&line.text), Mark::Chapter { .. });
        if matches!(text.as_str(), "目录" | "目次" | "目錄") {
            inside = true;
        } else if inside
            && (chapter || again.contains(&text) || text.len() < mark::cut_leader(&line.text).len())
        {
        } else if !(chapter && again.contains(&text)) {
            inside &= line.text.chars().count() <= ITEM_CHARS && !line.text.ends_with('。');
            kept.push(line.clone());
        }
    }
    kept
}

/// Where the signature begins that ends at `end`: lines of dates, of who issued it, of where it went.
fn tail_start(lines: &[Line], from: usize, end: usize) -> usize {
    let mut start = end;
    while start > from && end - start < TAIL_LINES {
        let line = &lines[start - 1];
        let signs = start < end && cover::is_date_line(&lines[start].text) && cover::is_office(&line.text);
        if line.row || line.quoted || !(signs || cover::is_closing(&line.text)) {
            break;
        }
        start -= 1;
    }
    start
}

/// Articles as they grow, line by line.
#[derive(Default)]
struct Body {
    /// The document has articles; items are headings or text.
    articled: bool,
    path: Vec<(u8, String)>,
    /// Headings that no article stands below yet.
    pending: Vec<String>,
    articles: Vec<Article>,
    /// Text that stands before the first article.
    before: Vec<String>,
}

impl Body {
    fn start(&mut self, no: String, text: String) {
        self.pending.clear();
        let chapter: Vec<&str> = self.path.iter().map(|(_, name)| name.as_str()).collect();
        self.articles.push(Article { no, chapter: chapter.join(" "), text });
    }

    fn line(&mut self, lines: &[Line], at: usize, line: &Line) {
        if line.row || line.quoted {
            return self.append(&line.text);
        }
        let finished = at == 0 || is_finished(&lines[at - 1]) || !goes_on(Some(&lines[at - 1]));
        match mark(&line.text) {
            Mark::Chapter { name, named, .. } if finished => {
                let next = (!named && is_name_of_chapter(lines, at + 1)).then(|| &lines[at + 1].text);
                self.chapter(&next.map_or(name.clone(), |n| format!("{name} {n}")));
            }
            Mark::Item { .. } if is_item_heading(line) && heads_article(lines, at) => {
                self.chapter(&line.text)
            }
            Mark::Attachment(no) if !self.articles.is_empty() => self.attach(no),
            Mark::Plain if !self.pending.is_empty() && is_name_of_chapter(lines, at) => {}
            _ => self.append(&line.text),
        }
    }

    fn attach(&mut self, no: String) {
        self.path.clear();
        self.start(no.clone(), no);
    }

    /// Headings of one line: mostly one, sometimes 第一章 … 第一节 … together. What is none is text.
    fn chapter(&mut self, line: &str) {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let parts = components(&line, self.articled);
        let headings: Option<Vec<(u8, String)>> = parts.iter().map(|part| heading(part)).collect();
        let Some(headings) = headings else { return self.append(&line) };
        for (level, name) in headings {
            self.path.retain(|(l, _)| *l < level);
            self.path.push((level, name.clone()));
            self.pending.push(name);
        }
    }

    /// Text below an article. Headings above it that begin no article are text as well.
    fn append(&mut self, text: &str) {
        let pending = std::mem::take(&mut self.pending);
        for line in pending.iter().map(String::as_str).chain([text]) {
            match self.articles.last_mut() {
                Some(a) => {
                    // The text of an article may stand below its number.
                    let bare =
                        a.text.len() == a.no.len() && a.no.starts_with('第') && !line.starts_with('之');
                    a.text.push(if bare { ' ' } else { '\n' });
                    a.text.push_str(line);
                }
                None => self.before.push(line.to_owned()),
            }
        }
    }

    fn finish(mut self) -> Vec<Article> {
        std::mem::take(&mut self.pending).iter().for_each(|name| self.append(name));
        self.articles
    }
}

/// A heading 一、 stands directly above an article or another heading.
fn heads_article(lines: &[Line], at: usize) -> bool {
    lines.get(at + 1).is_some_and(|next| matches!(mark(&next.text), Mark::Article { spaced: true, .. }))
}

/// Level and name of a heading.
fn heading(line: &str) -> Option<(u8, String)> {
    match mark(line) {
        Mark::Chapter { level, name, .. } => Some((level, name)),
        Mark::Item { .. } => Some((ITEM_LEVEL, line.to_owned())),
        _ => None,
    }
}

/// The parts of a line of headings or of a path of chapters; 一、 is one only where there are articles.
fn components(path: &str, articled: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _) in path.match_indices(' ') {
        let next = path[at..].trim_start();
        let starts = next.starts_with('第') || articled;
        if at > from && starts && mark::bare_chapter(next).is_none() && heading(next).is_some() {
            parts.push(path[from..at].trim());
            from = at;
        }
    }
    parts.push(path[from..].trim());
    parts
}

/// Gaps and repeats in the numbering, as a person should hear of them.
fn remarks(articles: &[Article]) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut last: Option<(&str, (u32, u32))> = None;
    let mut seen = std::collections::HashSet::new();
    for article in articles {
        let Mark::Article { number, .. } = mark(&article.no) else { continue };
        if number == (1, 0) && last.is_some() {
            remarks.push("条号又从第一条开始，文件中可能有两部法规，请核对。".to_owned());
            seen.clear();
        } else if let Some((before, n)) = last
            && (number.0 > n.0 + 1 || number.0 == n.0 && number.1 > n.1 + 1)
        {
            remarks.push(format!("{before}之后是{}，中间缺条，请核对。", article.no));
        } else if last.is_some_and(|(_, n)| number < n) {
            remarks.push(format!("{}排在更大的条号之后，请核对。", article.no));
        }
        if !seen.insert(number) {
            remarks.push(format!("{}重复出现，请核对。", article.no));
        }
        last = Some((&article.no, number));
    }
    if articles.is_empty() {
        remarks.push("没有识别出条文，全文放在“题注与前言”中，请核对。".to_owned());
    }
    remarks.truncate(crate::base::limits::STATUTE_REMARKS);
    remarks
}

#[cfg(test)]
mod tests;
