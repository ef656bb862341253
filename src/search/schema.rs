//! The fields of the index and how a row becomes one of its documents.
//!
//! What must hold: nothing is stored but numbers in fast columns; the text of a hit is read again from the
//! record store by the caller. Whoever changes a field or a token raises [`SCHEMA_VERSION`]: old indexes are
//! then built again.

use tantivy::columnar::ColumnValues;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TantivyDocument, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{RawTokenizer, TokenizerManager};
use tantivy::{DocId, SegmentReader};

use std::sync::Arc;

use super::Doc;
use super::analyzer::{self, PAIRS, Pairs, WORDS, Words};
use super::sounds::{self, SOUNDS, Sounds};

/// Version of fields and tokens, written with every commit.
pub(super) const SCHEMA_VERSION: u32 = 5;

/// Most bytes of a title or number that are compared as a whole.
const WHOLE_BYTES_MAX: usize = 1024;

/// Tokenizer of values that are one token each.
const RAW: &str = "jiceng-raw";

/// Handles of the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) id: Field,
    kind: Field,
    pub(super) unit: Field,
    state: Field,
    batch: Field,
    label: Field,
    pub(super) day: Field,
    boost: Field,
    /// Pairs, with positions.
    pub(super) title: Field,
    pub(super) body: Field,
    pub(super) names: Field,
    pub(super) number: Field,
    /// Characters, words and folded numbers of title, names and number.
    pub(super) title_words: Field,
    /// The same of title and body.
    pub(super) body_words: Field,
    /// The caller's own id as it is.
    pub(super) reference: Field,
    /// What only a search of its own asks for.
    pub(super) identity: Field,
    /// Number and title, bare.
    pub(super) whole: Field,
    /// Sounds of names and title.
    pub(super) sounds: Field,
    /// What is offered while somebody types.
    pub(super) starts: Field,
    /// Pairs of the text of attachments, with positions; how long it is weighs nothing.
    pub(super) attached: Field,
}

/// The schema and its handles.
pub(super) fn build() -> (Schema, Fields) {
    let mut s = Schema::builder();
    let pairs = || text(PAIRS, IndexRecordOption::WithFreqsAndPositions, true);
    let words = || text(WORDS, IndexRecordOption::WithFreqs, true);
    let raw = || text(RAW, IndexRecordOption::Basic, false);
    let fields = Fields {
        id: s.add_u64_field("id", INDEXED | FAST),
        kind: s.add_u64_field("kind", FAST),
        unit: s.add_u64_field("unit", FAST),
        state: s.add_u64_field("state", FAST),
        batch: s.add_u64_field("batch", FAST),
        label: s.add_u64_field("label", FAST),
        day: s.add_u64_field("day", FAST),
        boost: s.add_f64_field("boost", FAST),
        title: s.add_text_field("title", pairs()),
        body: s.add_text_field("body", pairs()),
        names: s.add_text_field("names", pairs()),
        number: s.add_text_field("number", pairs()),
        title_words: s.add_text_field("title_words", words()),
        body_words: s.add_text_field("body_words", words()),
        reference: s.add_text_field("reference", raw()),
        identity: s.add_text_field("identity", pairs()),
        whole: s.add_text_field("whole", raw()),
        sounds: s.add_text_field("sounds", text(SOUNDS, IndexRecordOption::WithFreqsAndPositions, false)),
        starts: s.add_text_field("starts", raw()),
        attached: s.add_text_field("attached", text(PAIRS, IndexRecordOption::WithFreqsAndPositions, false)),
    };
    (s.build(), fields)
}

/// The tokenizers that [`build`] names.
pub(super) fn tokenizers() -> TokenizerManager {
    // The engine asks for its default tokenizer even for numbers.
    let manager = TokenizerManager::default();
    manager.register(PAIRS, Pairs);
    manager.register(WORDS, Words);
    manager.register(SOUNDS, Sounds);
    manager.register(RAW, RawTokenizer::default());
    manager
}

fn text(tokenizer: &str, option: IndexRecordOption, norms: bool) -> TextOptions {
    let indexing =
        TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option).set_fieldnorms(norms);
    TextOptions::default().set_indexing_options(indexing)
}

impl Fields {
    /// The index document of a row.
    pub(super) fn document(&self, doc: &Doc) -> TantivyDocument {
        let mut d = TantivyDocument::default();
        d.add_u64(self.id, doc.id);
        d.add_u64(self.kind, u64::from(doc.kind));
        d.add_u64(self.unit, doc.unit);
        d.add_u64(self.state, u64::from(doc.state));
        d.add_u64(self.batch, doc.batch);
        d.add_u64(self.label, u64::from(doc.label));
        d.add_u64(self.day, u64::try_from(doc.day).unwrap_or(0));
        d.add_f64(self.boost, f64::from(doc.boost));
        for (field, text) in [
            (self.title, &doc.title),
            (self.body, &doc.body),
            (self.names, &doc.names),
            (self.number, &doc.number),
            (self.identity, &doc.identity),
            (self.attached, &doc.attached),
        ] {
            d.add_text(field, text);
        }
        d.add_text(self.title_words, heading(doc));
        // An article says little without the name of its regulation, so the words of the text are those of
        // both.
        d.add_text(self.body_words, format!("{}\n{}", doc.title, doc.body));
        for name in [analyzer::bare(&doc.title), analyzer::bare(&doc.number)] {
            if !name.is_empty() && name.len() <= WHOLE_BYTES_MAX {
                d.add_text(self.whole, name);
            }
        }
        // The chapters of articles are no names.
        if !doc.title.starts_with('《') {
            d.add_text(self.sounds, format!("{}\n{}", doc.names, doc.title));
        }
        for start in sounds::starts(doc) {
            d.add_text(self.starts, start);
        }
        let reference = doc.reference.trim();
        if !reference.is_empty() && reference.len() <= WHOLE_BYTES_MAX {
            d.add_text(self.reference, reference);
        }
        d
    }
}

/// What the words of the heading are taken from: title, number, names and the year of the row.
fn heading(doc: &Doc) -> String {
    let year = doc.day / 10_000;
    let year = if year > 0 { format!("{year}年") } else { String::new() };
    [doc.title.as_str(), &doc.number, &doc.names, &year].join("\n")
}

/// The columns of one segment.
#[derive(Clone)]
pub(super) struct Columns {
    id: Arc<dyn ColumnValues<u64>>,
    kind: Arc<dyn ColumnValues<u64>>,
    unit: Arc<dyn ColumnValues<u64>>,
    state: Arc<dyn ColumnValues<u64>>,
    batch: Arc<dyn ColumnValues<u64>>,
    label: Arc<dyn ColumnValues<u64>>,
    day: Arc<dyn ColumnValues<u64>>,
    boost: Arc<dyn ColumnValues<f64>>,
}

impl Columns {
    /// Opens the columns of a segment.
    pub(super) fn open(reader: &SegmentReader) -> tantivy::Result<Self> {
        let fast = reader.fast_fields();
        let column = |name: &str| fast.u64(name).map(|c| c.first_or_default_col(0));
        Ok(Self {
            id: column("id")?,
            kind: column("kind")?,
            unit: column("unit")?,
            state: column("state")?,
            batch: column("batch")?,
            label: column("label")?,
            day: column("day")?,
            boost: fast.f64("boost")?.first_or_default_col(1.0),
        })
    }

    pub(super) fn id(&self, doc: DocId) -> u64 {
        self.id.get_val(doc)
    }

    pub(super) fn kind(&self, doc: DocId) -> u8 {
        u8::try_from(self.kind.get_val(doc)).unwrap_or(u8::MAX)
    }

    pub(super) fn unit(&self, doc: DocId) -> u64 {
        self.unit.get_val(doc)
    }

    pub(super) fn state(&self, doc: DocId) -> u8 {
        u8::try_from(self.state.get_val(doc)).unwrap_or(u8::MAX)
    }

    /// The import batch, 0 when none.
    pub(super) fn batch(&self, doc: DocId) -> u64 {
        self.batch.get_val(doc)
    }

    /// How far it may be known; what does not fit nobody may.
    pub(super) fn label(&self, doc: DocId) -> u8 {
        u8::try_from(self.label.get_val(doc)).unwrap_or(u8::MAX)
    }

    pub(super) fn day(&self, doc: DocId) -> u32 {
        u32::try_from(self.day.get_val(doc)).unwrap_or(0)
    }

    /// The factor of the score.
    pub(super) fn boost(&self, doc: DocId) -> f32 {
        self.boost.get_val(doc) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, doc, everything, ids, index};
    use super::super::{Order, Request};
    use super::*;

    #[test]
    fn filters_and_orders_go_by_the_columns() {
        let at = |id, day, state| Doc { day, state, ..doc(id, "一件", "举报") };
        let (_dir, index) =
            index(&[at(1, 20_190_101, 1), at(2, 20_210_101, 2), at(3, 0, 1), at(4, 20_200_101, 2)]);
        let found = |request| ids(&index.search(&everything(), &request, &[]).unwrap());
        assert_eq!(found(Request { order: Order::Newest, ..ask("举报") }), [2, 4, 1, 3]);
        assert_eq!(found(Request { order: Order::Oldest, ..ask("举报") }), [1, 4, 2, 3]);
        assert_eq!(found(ask("")), [2, 4, 1, 3]);
        assert_eq!(found(Request { from: 20_200_101, ..ask("举报") }), [2, 4]);
        assert_eq!(found(Request { to: 20_200_101, order: Order::Oldest, ..ask("举报") }), [1, 4]);
        assert_eq!(found(Request { states: vec![(1, 2)], ..ask("举报") }), [2, 4]);
        assert_eq!(found(Request { units: vec![8], ..ask("举报") }), [0u64; 0]);
        assert_eq!(found(Request { kinds: vec![2], ..ask("举报") }), [0u64; 0]);
    }

    #[test]
    fn what_attachments_say_is_found_behind_what_rows_say() {
        let attached = |id, body: &str, attached: &str| Doc { attached: attached.into(), ..doc(id, "一件", body) };
        let rows = [attached(1, "无关", "第一页\n村干\n部虚报"), attached(2, "村干部虚报", ""), attached(3, "低保", "村干部")];
        let (_dir, index) = index(&rows);
        let found = |text: &str, fresh: &[Doc]| ids(&index.search(&everything(), &ask(text), fresh).unwrap());
        assert_eq!(found("村干部", &[]), [2, 1, 3]);
        assert_eq!(found("低保 村干部", &[]), [3]);
        assert_eq!(found("虚报 -第一页", &[]), [2]);
        // A row that the index does not have yet is found by the attachments it has now, and by no others.
        assert_eq!(found("村干部", &[attached(3, "低保", ""), attached(4, "无", "村干部")]), [2, 1, 4]);
    }

    #[test]
    fn rows_above_the_label_of_a_scope_are_neither_found_nor_counted() {
        let labelled = |id, label| Doc { label, ..doc(id, "一件", "举报") };
        let (_dir, index) = index(&[labelled(1, 1), labelled(2, 3), labelled(3, 4), labelled(4, 3)]);
        for (ceiling, wanted) in [(0, 0), (1, 1), (2, 1), (3, 3), (4, 4)] {
            let fresh = [labelled(9, 4), labelled(2, 3)];
            let found = index.search(&everything().under(ceiling), &ask("举报"), &fresh).unwrap();
            let wanted = wanted + u64::from(ceiling == 4);
            assert_eq!((found.total, found.hits.len() as u64), (wanted, wanted), "{ceiling}");
            assert_eq!(found.states.iter().map(|s| s.1).sum::<u64>(), wanted);
        }
    }
}
