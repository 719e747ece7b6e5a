//! What is on its way to the store, and what could not be stored yet. What is newer is never overwritten by what is older and came late.

use crate::lane::{is_empty, join};
use contract::store::KeepDeliveries;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most rows that are remembered while the store does not take them.
const MOST: usize = 20_000;

/// Changes under way and left over.
#[derive(Default)]
pub(super) struct Journal {
    issued: u64,
    /// Which batch holds the newest of a row or state.
    latest: HashMap<Arc<str>, u64>,
    unsaved: KeepDeliveries,
}

/// Changes to be stored together.
pub(super) struct Batch {
    pub(super) number: u64,
    pub(super) keep: KeepDeliveries,
}

impl Journal {
    /// Makes a batch of changes and of what could not be stored before; `None` when there is nothing to store.
    pub(super) fn issue(&mut self, keep: KeepDeliveries) -> Option<Batch> {
        let mut all = std::mem::take(&mut self.unsaved);
        join(&mut all, keep);
        if is_empty(&all) {
            return None;
        }
        self.issued += 1;
        settle_new_rows(&mut all);
        for key in keys(&all) {
            self.latest.insert(key, self.issued);
        }
        Some(Batch { number: self.issued, keep: all })
    }

    /// A batch is stored.
    pub(super) fn stored(&mut self, number: u64) {
        self.latest.retain(|_, batch| *batch != number);
    }

    /// A batch could not be stored: what no later batch has replaced is kept for the next.
    pub(super) fn failed(&mut self, batch: Batch) {
        let number = batch.number;
        let mut keep = batch.keep;
        keep.news.retain(|news| self.latest.get(&news.id) == Some(&number));
        keep.states.retain(|(name, _)| self.latest.get(name) == Some(&number));
        self.stored(number);
        // What came in between is newer.
        join(&mut keep, std::mem::take(&mut self.unsaved));
        let surplus = keep.news.len().saturating_sub(MOST);
        keep.news.drain(..surplus);
        self.unsaved = keep;
    }

    /// The rows and states of which the store may not know the newest.
    pub(super) fn unsaved(&self) -> HashSet<Arc<str>> {
        self.latest.keys().cloned().chain(keys(&self.unsaved)).collect()
    }

    /// What waits to be stored.
    pub(super) fn waiting(&self) -> usize {
        self.unsaved.news.len() + self.unsaved.rows.len() + self.unsaved.states.len()
    }
}

/// A row that is new in a batch is stored as its last news has it: the store keeps news of rows that it knows only.
fn settle_new_rows(keep: &mut KeepDeliveries) {
    for row in &mut keep.rows {
        for news in keep.news.extract_if(.., |news| news.id == row.id) {
            row.state = news.state;
            row.attempts = news.attempts;
            row.next_at = news.next_at;
            row.last_error = news.last_error;
            row.remote_id = news.remote_id;
        }
    }
}

fn keys(keep: &KeepDeliveries) -> impl Iterator<Item = Arc<str>> {
    let news = keep.news.iter().map(|news| Arc::clone(&news.id));
    let rows = keep.rows.iter().map(|row| Arc::clone(&row.id));
    news.chain(rows).chain(keep.states.iter().map(|(name, _)| Arc::clone(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::notify::{DeliveryState, OutboxRow};
    use contract::store::DeliveryNews;

    fn news(id: &str, state: DeliveryState) -> KeepDeliveries {
        let news = DeliveryNews { id: id.into(), state, attempts: 1, next_at: None, last_error: None, remote_id: None };
        KeepDeliveries { news: vec![news], ..KeepDeliveries::default() }
    }

    #[test]
    fn a_new_row_is_stored_as_its_last_news_has_it() {
        let told = crate::notifier::tests::support::alert(1, false);
        let row = OutboxRow {
            id: "digest".into(),
            channel: "phone".into(),
            notice: Arc::new(told),
            state: DeliveryState::Queued,
            attempts: 0,
            queued_at: jiff::Timestamp::UNIX_EPOCH,
            next_at: None,
            last_error: None,
            remote_id: None,
        };
        let mut keep = news("other", DeliveryState::Merged);
        keep.rows.push(row);
        join(&mut keep, news("digest", DeliveryState::Sending));
        let batch = Journal::default().issue(keep).unwrap();
        assert_eq!((batch.keep.rows[0].state, batch.keep.rows[0].attempts), (DeliveryState::Sending, 1));
        assert_eq!(batch.keep.news.len(), 1);
    }

    #[test]
    fn what_is_newer_is_never_overwritten() {
        let mut journal = Journal::default();
        let first = journal.issue(news("a", DeliveryState::Queued)).unwrap();
        let second = journal.issue(news("a", DeliveryState::Sent)).unwrap();
        journal.stored(second.number);
        journal.failed(first);
        assert_eq!(journal.waiting(), 0);

        let first = journal.issue(news("b", DeliveryState::Sent)).unwrap();
        journal.failed(first);
        let again = journal.issue(news("c", DeliveryState::Sending)).unwrap();
        let ids: Vec<&str> = again.keep.news.iter().map(|news| &*news.id).collect();
        assert_eq!(ids, ["b", "c"]);
        assert!(journal.issue(KeepDeliveries::default()).is_none());
    }
}
