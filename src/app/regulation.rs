//! A regulation as its readers need it: its table of contents, what its articles cite and what cites them, and two
//! versions of it side by side.
//!
//! What must hold: everything is read by right, as on any page; what a title stands for is the version in force of
//! those the actor may see; how much is read of a regulation is bounded.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::sight::Sight;
use super::similar::open;
use super::versions::{Row, align};
use super::{Actor, App, Right};
use crate::base::{Error, RecordId, Result, limits};
use crate::records::cite::{No, citations, number};
use crate::records::{Record, article, regulation};
use crate::search::Like;
use crate::store::Snapshot;

/// Most articles of a regulation that are looked through.
const ARTICLES: usize = 5_000;
/// Most headings of a table of contents.
const HEADINGS: usize = 300;
/// Most titles that are looked up for a page.
const TITLES: usize = 60;
/// Articles that are looked at for what they cite.
const CITING: usize = 300;
/// Most articles that are told to cite something.
const TOLD: usize = 50;
/// Characters of both versions on one page of a comparison.
const PAGE_CHARS: usize = 12_000;

/// A heading (编、章、节) and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 1 for 编, 2 for 分编, 3 for 章, 4 for 节.
    pub level: u8,
    /// The words.
    pub name: String,
    /// Its first article.
    pub first: RecordId,
    /// The page that one is on, from 1.
    pub page: usize,
}

/// What stands where in a regulation.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The headings, in their order.
    pub headings: Vec<Heading>,
    /// The articles, in their order.
    pub order: Vec<RecordId>,
    /// Articles by number.
    places: BTreeMap<No, usize>,
}

/// What titles that are cited stand for.
#[derive(Clone, Debug, Default)]
pub struct Links(BTreeMap<String, RecordId>);

/// Two versions of a regulation.
pub struct Beside {
    /// The older one.
    pub old: Record,
    /// The newer one.
    pub new: Record,
    /// The rows of this page: article of the older and of the newer one.
    pub rows: Vec<(Option<Record>, Option<Record>)>,
    /// Pages in all.
    pub pages: usize,
    /// Rows in all that are the same, changed, new, taken out.
    pub counts: [usize; 4],
}

impl Contents {
    /// The page an article is on, from 1.
    pub fn page_of(&self, id: RecordId) -> Option<usize> {
        self.order.iter().position(|o| *o == id).map(page_at)
    }

    /// The article with a number, and its page.
    pub fn place(&self, no: No) -> Option<(RecordId, usize)> {
        let at = *self.places.get(&no)?;
        Some((*self.order.get(at)?, page_at(at)))
    }

    /// The articles before and behind one.
    pub fn neighbours(&self, id: RecordId) -> [Option<RecordId>; 2] {
        let Some(at) = self.order.iter().position(|o| *o == id) else { return [None; 2] };
        [at.checked_sub(1), Some(at + 1)].map(|at| at.and_then(|at| self.order.get(at).copied()))
    }
}

impl Links {
    /// The regulation a title stands for.
    pub fn regulation(&self, title: &str) -> Option<RecordId> {
        self.0.get(&regulation::version_key(title)).copied()
    }
}

fn page_at(place: usize) -> usize {
    place / limits::CHILD_ROWS + 1
}

impl App {
    /// The table of contents of a regulation.
    pub fn contents(&self, actor: &Actor, id: RecordId) -> Result<Contents> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        contents(&articles_of(&snapshot, (actor, &sight), id)?)
    }

    /// What the titles in these texts stand for.
    pub fn links<'a>(&self, actor: &Actor, texts: impl Iterator<Item = &'a str>) -> Result<Links> {
        let snapshot = self.store.read()?;
        let sight = Sight::of(&snapshot, actor)?;
        let mut links = BTreeMap::new();
        let titles = texts.flat_map(citations).filter_map(|c| c.title);
        let mut keys: Vec<String> = titles.map(|title| regulation::version_key(&title)).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys.into_iter().filter(|k| !k.is_empty()).take(TITLES) {
            let ids = snapshot.find(&regulation::KIND, regulation::tag::VERSION_KEY, &key)?;
            let ids: Vec<u64> = ids.iter().map(|id| id.0).collect();
            let versions = open(&snapshot, (actor, &sight), &regulation::KIND, &ids)?;
            let in_force = |r: &Record| r.fields.text(regulation::tag::STATUS) == "in-force";
            let best = versions.iter().max_by_key(|r| (in_force(r), regulation::KIND.day_of(r), Reverse(r.id)));
            links.extend(best.map(|r| (key, r.id)));
        }
        Ok(Links(links))
    }

    /// Articles that cite a regulation, or one article of it; those of the regulation itself only for an article.
    pub fn citing(&self, actor: &Actor, of: RecordId, article: Option<&Record>) -> Result<Vec<Record>> {
        let snapshot = self.store.read()?;
        let of = self.visible(&snapshot, actor, &regulation::KIND, of)?;
        let sight = Sight::of(&snapshot, actor)?;
        let no = article.map(|a| number(a.fields.text(article::tag::NO)));
        let key = of.fields.text(regulation::tag::VERSION_KEY);
        let title = of.fields.text(regulation::tag::TITLE);
        if no == Some(None) || key.is_empty() {
            return Ok(Vec::new());
        }
        let no = no.flatten();
        let like = Like { said: format!("《{title}》"), ..Like::default() };
        let found = self.alike(&snapshot, (actor, &sight), (&article::KIND, None, CITING), &like)?;
        let mut citing = open(&snapshot, (actor, &sight), &article::KIND, &found.said)?;
        citing.retain(|a| a.fields.link(article::tag::REGULATION) != Some(of.id));
        citing.retain(|a| cites(a, |title| title.is_some_and(|t| regulation::version_key(t) == key), no));
        if let Some(article) = article {
            let own = articles_of(&snapshot, (actor, &sight), of.id)?;
            citing.extend(own.into_iter().filter(|a| a.id != article.id && cites(a, |title| title.is_none(), no)));
        }
        citing.sort_by_key(|a| a.id);
        citing.truncate(TOLD);
        Ok(citing)
    }

    /// Two versions of a regulation, a page of the rows from 1.
    pub fn beside(&self, actor: &Actor, ids: [RecordId; 2], page: usize) -> Result<Beside> {
        let snapshot = self.store.read()?;
        let kind = &regulation::KIND;
        let [one, other] = ids.map(|id| self.visible(&snapshot, actor, kind, id));
        let (mut old, mut new) = (one?, other?);
        let key = |r: &Record| r.fields.text(regulation::tag::VERSION_KEY).to_owned();
        let follows = |a: &Record, b: &Record| a.fields.link(regulation::tag::REPLACES) == Some(b.id);
        let related = key(&old) == key(&new) && !key(&old).is_empty() || follows(&old, &new) || follows(&new, &old);
        if old.id == new.id || !related || old.is_purged() || new.is_purged() {
            return Err(Error::denied());
        }
        if (kind.day_of(&old), old.id) > (kind.day_of(&new), new.id) {
            std::mem::swap(&mut old, &mut new);
        }
        let sight = Sight::of(&snapshot, actor)?;
        let olds = articles_of(&snapshot, (actor, &sight), old.id)?;
        let news = articles_of(&snapshot, (actor, &sight), new.id)?;
        let texts = |all: &[Record]| all.iter().map(|a| words(a).to_owned()).collect::<Vec<_>>();
        let (old_texts, new_texts) = (texts(&olds), texts(&news));
        let rows = align(&refs(&old_texts), &refs(&new_texts));
        let mut counts = [0; 4];
        let mut starts = vec![0];
        let mut chars = 0;
        for (at, row) in rows.iter().enumerate() {
            let of = |place: Option<usize>, texts: &[String]| place.map_or(0, |p| texts[p].chars().count());
            let size = of(row.old, &old_texts) + of(row.new, &new_texts);
            if chars > 0 && chars + size > PAGE_CHARS {
                starts.push(at);
                chars = 0;
            }
            chars += size;
            counts[match row {
                Row { old: Some(a), new: Some(b) } => usize::from(old_texts[*a] != new_texts[*b]),
                Row { old: None, .. } => 2,
                Row { new: None, .. } => 3,
            }] += 1;
        }
        let page = page.clamp(1, starts.len());
        let (from, to) = (starts[page - 1], starts.get(page).copied().unwrap_or(rows.len()));
        let of = |place: Option<usize>, all: &[Record]| place.and_then(|p| all.get(p).cloned());
        let rows = rows[from..to].iter().map(|row| (of(row.old, &olds), of(row.new, &news))).collect();
        Ok(Beside { old, new, rows, pages: starts.len(), counts })
    }
}

fn refs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The words of an article without its number, which stands beside them.
pub fn words(article: &Record) -> &str {
    let text = article.fields.text(article::tag::TEXT);
    text.strip_prefix(article.fields.text(article::tag::NO)).map_or(text, str::trim_start)
}

fn cites(article: &Record, means: impl Fn(Option<&str>) -> bool, no: Option<No>) -> bool {
    let all = citations(article.fields.text(article::tag::TEXT));
    all.iter().any(|c| means(c.title.as_deref()) && (no.is_none() || c.no == no))
}

/// The articles of a regulation that the actor may see, in their order.
fn articles_of(snapshot: &Snapshot, (actor, sight): (&Actor, &Sight), of: RecordId) -> Result<Vec<Record>> {
    let kind = &article::KIND;
    let mut ids = snapshot.children(of, kind)?;
    sight.keep_open(snapshot, kind, &mut ids)?;
    let records = ids.into_iter().take(ARTICLES).filter_map(|id| snapshot.get(id, false).transpose());
    let mut records = records.collect::<Result<Vec<_>>>()?;
    records.retain(|a| actor.may(kind, Right::See, a.unit));
    Ok(records)
}

fn contents(articles: &[Record]) -> Result<Contents> {
    let mut contents = Contents { order: articles.iter().map(|a| a.id).collect(), ..Contents::default() };
    let mut path: Vec<(u8, String)> = Vec::new();
    for (at, article) in articles.iter().enumerate() {
        if let Some(no) = number(article.fields.text(article::tag::NO)) {
            contents.places.entry(no).or_insert(at);
        }
        let here = headings(article.fields.text(article::tag::CHAPTER));
        let kept = path.iter().zip(&here).take_while(|(a, b)| a == b).count();
        for (level, name) in &here[kept..] {
            if contents.headings.len() < HEADINGS {
                let (level, name) = (*level, name.clone());
                contents.headings.push(Heading { level, name, first: article.id, page: page_at(at) });
            }
        }
        path = here;
    }
    Ok(contents)
}

/// The headings of a path of chapters: 第一编 总则 第二章 样例. What names no level goes with the one before it.
pub fn headings(path: &str) -> Vec<(u8, String)> {
    let mut all: Vec<(u8, String)> = Vec::new();
    for word in path.split_whitespace() {
        let level = level(word);
        match (level, all.last_mut()) {
            (None, Some((_, name))) => *name = format!("{name} {word}"),
            (level, _) => all.push((level.unwrap_or(3), word.to_owned())),
        }
    }
    all
}

/// 第一编, 第二分编, 第三章, 第四节.
fn level(word: &str) -> Option<u8> {
    let rest = word.strip_prefix('第')?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || "零〇一二三四五六七八九十百".contains(c));
    let levels = [("分编", 2), ("编", 1), ("章", 3), ("节", 4)];
    levels.into_iter().find(|(end, _)| rest.starts_with(end)).map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Fields, Value};

    fn article(id: u64, no: &str, chapter: &str) -> Record {
        let fields = Fields::default().with_text(article::tag::NO, no).with_text(article::tag::CHAPTER, chapter);
        let author = crate::records::Author { account: RecordId(1), unit: RecordId(0) };
        let fields = fields
            .with_text(article::tag::TEXT, format!("{no} 样例"))
            .with_text(article::tag::ADDRESS, "样例")
            .with(article::tag::ORDER, Value::Int(0))
            .with(article::tag::REGULATION, Value::Link(RecordId(1)));
        let now = crate::base::Moment(0);
        let made = crate::records::decide::create(&article::KIND, fields, author, now).unwrap();
        Record { id: RecordId(id), ..made }
    }

    #[test]
    fn a_table_of_contents_names_each_heading_once_where_it_begins() {
        let paths = ["第一编 总则 第一章 目的", "第一编 总则 第一章 目的", "第一编 总则 第二章 样例 事项 第一节 甲", "第二编 分则 第一章 目的", ""];
        let numbers = ["第一条", "第二条", "第二条之一", "第三条", "附件"];
        let all: Vec<Record> = (0..5).map(|n| article(n as u64 + 10, numbers[n], paths[n])).collect();
        let contents = contents(&all).unwrap();
        let told: Vec<_> = contents.headings.iter().map(|h| (h.level, h.name.as_str(), h.first.0)).collect();
        let expected = [
            (1, "第一编 总则", 10),
            (3, "第一章 目的", 10),
            (3, "第二章 样例 事项", 12),
            (4, "第一节 甲", 12),
            (1, "第二编 分则", 13),
            (3, "第一章 目的", 13),
        ];
        assert_eq!(told, expected);
        assert_eq!(contents.place((2, 1)), Some((RecordId(12), 1)));
        assert_eq!(contents.place((9, 0)), None);
        assert_eq!(contents.neighbours(RecordId(10)), [None, Some(RecordId(11))]);
        assert_eq!(contents.neighbours(RecordId(14)), [Some(RecordId(13)), None]);
    }
}
