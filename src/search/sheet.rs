//! What rights, counts and orders need of each row, in memory, by segment: columns of a sealed file cost more to open
//! for each question than the question itself.
//!
//! What must hold: a segment never changes, so its sheet is read once and shared by all who see the segment; what was
//! removed from it is `statistics`' business. Rows that are the same in kind, state, unit, label and batch are of one
//! class, so that rights are decided once for all of them. Bounded by the rows: some thirty bytes each.

use std::collections::HashMap;
use std::sync::Arc;

use tantivy::index::SegmentId;
use tantivy::schema::Field;
use tantivy::{DocId, SegmentReader};

use super::schema::Columns;

/// What rights and facets tell rows apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Class {
    pub(super) kind: u8,
    pub(super) state: u8,
    pub(super) label: u8,
    pub(super) unit: u64,
    pub(super) batch: u64,
}

/// A row, as far as it is counted and put in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Place of its class among the classes.
    pub(super) class: u32,
    /// Place of its month among the months.
    pub(super) month: u32,
    pub(super) day: u32,
    /// What its score is multiplied with.
    pub(super) factor: f32,
}

/// The rows of one segment.
#[derive(Debug)]
pub(super) struct Sheet {
    cells: Vec<Cell>,
    ids: Vec<u64>,
    /// Rows by their ids, ascending.
    by_id: Vec<DocId>,
    /// Tokens of all rows by field.
    tokens: Vec<(Field, u64)>,
}

impl Sheet {
    pub(super) fn cell(&self, row: DocId) -> Cell {
        self.cells[row as usize]
    }

    pub(super) fn id(&self, row: DocId) -> u64 {
        self.ids[row as usize]
    }

    /// The rows with this id: one, and those it replaced.
    pub(super) fn rows_of(&self, id: u64) -> impl Iterator<Item = DocId> + '_ {
        let from = self.by_id.partition_point(|row| self.id(*row) < id);
        self.by_id[from..].iter().copied().take_while(move |row| self.id(*row) == id)
    }

    pub(super) fn tokens(&self) -> &[(Field, u64)] {
        &self.tokens
    }
}

/// Values that are numbered as they come.
#[derive(Clone, Debug)]
struct Numbered<T> {
    all: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Numbered<T> {
    fn place(&mut self, value: T) -> u32 {
        *self.places.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        })
    }
}

/// The sheets of all segments that are seen together. Classes and months only ever become more, so that older sheets
/// go on to mean what they meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheets {
    classes: Numbered<Class>,
    /// `yyyymm`; 0 is that of unknown days.
    months: Numbered<u32>,
    segments: HashMap<SegmentId, Arc<Sheet>>,
}

impl Sheets {
    /// The sheets of `readers`: those that are here, and those of new segments.
    pub(super) fn of(&self, readers: &[SegmentReader]) -> tantivy::Result<Self> {
        let (classes, months) = (self.classes.clone(), self.months.clone());
        let mut sheets = Self { classes, months, segments: HashMap::new() };
        for reader in readers {
            let id = reader.segment_id();
            let sheet = match self.segments.get(&id) {
                Some(sheet) => Arc::clone(sheet),
                None => Arc::new(sheets.read(reader)?),
            };
            sheets.segments.insert(id, sheet);
        }
        Ok(sheets)
    }

    /// That of a segment; the caller has one of those that the sheets are of.
    pub(super) fn sheet(&self, reader: &SegmentReader) -> tantivy::Result<Arc<Sheet>> {
        let sheet = self.segments.get(&reader.segment_id()).map(Arc::clone);
        sheet.ok_or_else(|| tantivy::TantivyError::InternalError("a segment without its sheet".to_owned()))
    }

    pub(super) fn classes(&self) -> &[Class] {
        &self.classes.all
    }

    pub(super) fn months(&self) -> &[u32] {
        &self.months.all
    }

    fn read(&mut self, reader: &SegmentReader) -> tantivy::Result<Sheet> {
        let columns = Columns::open(reader)?;
        let rows = 0..reader.max_doc();
        let cells = rows.clone().map(|row| self.cell(&columns, row)).collect();
        let ids: Vec<u64> = rows.clone().map(|row| columns.id(row)).collect();
        let mut by_id: Vec<DocId> = rows.clone().collect();
        by_id.sort_by_key(|row| ids[*row as usize]);
        Ok(Sheet { cells, ids, by_id, tokens: lengths(reader, &rows)? })
    }

    fn cell(&mut self, columns: &Columns, row: DocId) -> Cell {
        let class = Class {
            kind: columns.kind(row),
            state: columns.state(row),
            label: columns.label(row),
            unit: columns.unit(row),
            batch: columns.batch(row),
        };
        let day = columns.day(row);
        let factor = columns.boost(row).clamp(0.0, 1.0) * recency(day);
        Cell { class: self.classes.place(class), month: self.months.place(day / 100), day, factor }
    }
}

/// A mild preference for what is newer: of two versions of a text that match alike, the later one.
fn recency(day: u32) -> f32 {
    const FIRST: f32 = 1950.0;
    const SPAN: f32 = 100.0;
    const MOST: f32 = 0.02;
    let year = day as f32 / 10_000.0;
    1.0 + MOST * ((year - FIRST) / SPAN).clamp(0.0, 1.0)
}

/// The summed lengths of `rows` by field, in tokens, as coarse as each row's own length is kept.
pub(super) fn lengths(
    reader: &SegmentReader,
    rows: &(impl Iterator<Item = DocId> + Clone),
) -> tantivy::Result<Vec<(Field, u64)>> {
    let mut all = Vec::new();
    for (field, _) in reader.schema().fields() {
        if let Some(norms) = reader.fieldnorms_readers().get_field(field)? {
            all.push((field, rows.clone().map(|row| u64::from(norms.fieldnorm(row))).sum()));
        }
    }
    Ok(all)
}
