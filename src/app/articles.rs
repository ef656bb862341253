//! Articles and their regulation stay in step: what an article shows of its regulation (whether it is in force, since
//! when, under which title) follows in the transaction that changes the regulation, and so do lists and index.

use crate::base::Result;
use crate::records::{Record, article, regulation};
use crate::store::Txn;

/// Stores the next version of a record; of a regulation with the articles that must follow it.
pub(super) fn update(txn: &mut Txn<'_>, mut record: Record) -> Result<()> {
    if record.kind == article::KIND.tag {
        let of = article::KIND.parent_of(&record).map(|(id, _)| txn.get(id)).transpose()?.flatten();
        if let Some(of) = of {
            article::follow(&mut record.fields, &of.fields);
        }
    }
    if record.kind != regulation::KIND.tag {
        return txn.update(record);
    }
    let (id, cover) = (record.id, record.fields.clone());
    txn.update(record)?;
    for below in txn.children(id, &article::KIND)? {
        let Some(mut below) = txn.get(below)? else { continue };
        let before = below.fields.clone();
        article::follow(&mut below.fields, &cover);
        if below.fields != before {
            below.version += 1;
            below.updated = txn.now();
            txn.update(below)?;
        }
    }
    Ok(())
}
