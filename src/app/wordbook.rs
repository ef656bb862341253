//! The word book of a county: whoever keeps regulations sets it, everybody who reads them sees it, and the next search
//! goes by it.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Actor, App, Right, Scope, record};
use crate::base::{Error, RecordId, Result};
use crate::records::wordbook::Wordbook;
use crate::records::{act, regulation};
use crate::search::{Words, shipped_words};
use crate::store::{Act, Snapshot, fact};

fn name() -> String {
    format!("{}words", fact::POLICY)
}

fn of(snapshot: &Snapshot) -> Result<Wordbook> {
    Ok(snapshot.kept(&name())?.map(|f| Wordbook::read(&f)).unwrap_or_default())
}

/// The words of this moment, as a search takes them.
pub(super) fn words(snapshot: &Snapshot) -> Result<Arc<Words>> {
    let book = of(snapshot)?;
    let own = book.own.iter().map(|e| (e.word.as_str(), e.terms.clone()));
    Ok(Arc::new(Words::new(own, book.off.iter().map(String::as_str))))
}

fn may_set(actor: &Actor) -> bool {
    actor.scope(&regulation::KIND, Right::Edit) == Scope::County
}

impl App {
    /// The word book, for whoever reads regulations, and whether the actor may set it.
    pub fn wordbook(&self, actor: &Actor) -> Result<(Wordbook, bool)> {
        if actor.scope(&regulation::KIND, Right::See) == Scope::Nothing {
            return Err(self.refused(actor, &regulation::KIND, RecordId(0)));
        }
        Ok((of(&self.store.read()?)?, may_set(actor)))
    }

    /// Sets it as typed. `seen` is the version the form began with: where somebody else changed it meanwhile nothing is
    /// set.
    pub fn set_wordbook(&self, actor: &Actor, (own, off): (&str, &str), seen: Option<i64>) -> Result<()> {
        if !may_set(actor) {
            return Err(self.refused(actor, &regulation::KIND, RecordId(0)));
        }
        let known: HashSet<&str> = shipped_words().map(|(word, _)| word).collect();
        let mut after = Wordbook::typed(own, off, &known).map_err(|problems| Error::invalid(problems.join("\n")))?;
        let actor = actor.clone();
        self.store.submit(move |txn| {
            if !may_set(&record::live(txn, &actor)?) {
                return Err(Error::denied());
            }
            let before = txn.kept(&name())?.map(|f| Wordbook::read(&f)).unwrap_or_default();
            if seen != Some(before.version) {
                return Err(Error::invalid("没有保存：别人刚刚改过，下面是您填的内容。请刷新页面看过最新内容后再保存。"));
            }
            let difference: String = before.difference(&after).chars().take(2_000).collect();
            txn.act(Act::new(actor.doer(), act::WORDBOOK).secret(difference.as_str()));
            if !difference.is_empty() {
                after.version = before.version + 1;
                txn.keep(&name(), &after.written())?;
            }
            Ok(())
        })
    }
}
