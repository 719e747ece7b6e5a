//! What an outcome makes of the row that was sent and of its lane. Pure.

use super::entry::{Progress, not_before};
use super::{Entry, Flight, Lane, Now, STOPPED_WITH, backoff};
use crate::channels::Outcome;
use contract::notify::{DeliveryState, NoticeKind};
use contract::store::KeepDeliveries;
use std::sync::Arc;
use std::time::Duration;

/// How the reason begins where the receiver named the wait itself: a restart must keep it too.
pub(super) const ASKED_TO_WAIT: &str = "asked to wait: ";

/// The most often a part is halved because it is too long.
const HALVINGS: u8 = 4;

impl Lane {
    /// The request was not made: what had to be stored before it could not be. Tried again in a moment.
    pub fn put_off(&mut self, now: Now) {
        self.flight = None;
        self.retry_at = Some(now.mono + Duration::from_secs(1));
        if let Some(entry) = self.entries.front_mut() {
            entry.row.attempts = entry.row.attempts.saturating_sub(1);
        }
    }

    /// Says what became of the part that was under way; `of` is how many parts its row has. Answers what to store.
    pub fn settle(&mut self, outcome: Outcome, of: usize, now: Now, jitter: f64) -> KeepDeliveries {
        let mut keep = KeepDeliveries::default();
        let Some(Flight::Row(id)) = self.flight.take() else { return keep };
        let Some(mut entry) = self.entries.pop_front() else { return keep };
        if entry.row.id != id {
            self.entries.push_front(entry);
            return keep;
        }
        let mut progress = self.progress.take().filter(|progress| progress.row == id).unwrap_or_default();
        progress.row = Arc::clone(&id);
        match outcome {
            Outcome::Delivered { remote_id, pause } => {
                self.arrived(now, pause);
                progress.sent.push(remote_id.unwrap_or_else(|| "".into()));
                if progress.sent.len() < of {
                    self.keep_progress(&progress, &mut keep);
                    entry.is_repeated = false;
                    self.entries.push_front(entry);
                    self.progress = Some(progress);
                    return keep;
                }
                if of > 1 || progress.form != Default::default() {
                    keep.states.push((self.state_name("progress"), None));
                }
                entry.row.state = DeliveryState::Sent;
                entry.row.last_error = None;
                let first = progress.sent.first().filter(|first| !first.is_empty());
                entry.row.remote_id = first.cloned().or_else(|| self.channel.remote_id(&id).map(Arc::from));
                self.counts.sent += 1;
                keep.news.push(entry.news());
                if entry.row.notice.kind == NoticeKind::Resolved && self.channel.knows_threads() {
                    self.remember_mark(&entry.row.notice.thread, &mut keep);
                }
            }
            Outcome::Retry { why, wait } => self.again(entry, progress, why, wait, now, jitter, &mut keep),
            Outcome::Unknown { why } => {
                entry.is_repeated = true;
                self.again(entry, progress, why, None, now, jitter, &mut keep);
            }
            Outcome::Limited { wait: Some(wait), why } => {
                self.bucket.borrow_mut().pause_until(now.mono + wait);
                self.failed(&why);
                entry.row.next_at = Some(not_before(now.wall, wait));
                self.put_back(entry, progress, format!("{ASKED_TO_WAIT}{why}"), &mut keep);
            }
            // A receiver that does not say how long is left alone longer and longer, like one that failed.
            Outcome::Limited { wait: None, why } => self.again(entry, progress, why, None, now, jitter, &mut keep),
            Outcome::Plainer { why } if progress.form.is_plain => self.refuse(entry, why, now, &mut keep),
            Outcome::Plainer { why } => {
                let before = self.channel.limits(progress.form).budget;
                progress.form.is_plain = true;
                let is_new_split = self.channel.limits(progress.form).budget != before;
                self.try_form(entry, progress, is_new_split, why, &mut keep);
            }
            Outcome::TooLong { why } if progress.form.halvings >= HALVINGS => self.refuse(entry, why, now, &mut keep),
            Outcome::TooLong { why } => {
                progress.form.halvings += 1;
                self.try_form(entry, progress, true, why, &mut keep);
            }
            Outcome::Moved { chat } if self.moved_to.borrow().as_ref() == Some(&chat) => {
                self.refuse(
                    entry,
                    format!("it says that the chat moved to {chat}, where it already is"),
                    now,
                    &mut keep,
                );
            }
            Outcome::Moved { chat } => {
                self.keep_chat(chat, &mut keep);
                self.put_back(entry, progress, "the chat has moved".to_owned(), &mut keep);
            }
            Outcome::Refused { why } => self.refuse(entry, why, now, &mut keep),
            Outcome::Stopped { why } => {
                self.failing_since.get_or_insert(now.mono);
                self.stopped = Some(why.clone());
                let before = entry.row.last_error.as_deref().unwrap_or_default();
                // Twice is enough: another try would be a third.
                let is_first = !before.starts_with(STOPPED_WITH);
                let why = if is_first { format!("{STOPPED_WITH}{why}") } else { why };
                self.refuse(entry, why, now, &mut keep);
            }
        }
        keep
    }

    /// The receiver works.
    fn arrived(&mut self, now: Now, pause: Option<Duration>) {
        self.was_out |= self.failures > 0;
        self.failures = 0;
        self.failing_since = None;
        (self.refusals, self.refused_since) = (0, None);
        self.retry_at = None;
        self.stopped = None;
        self.counts.last_sent = Some(now.haia);
        if let Some(pause) = pause {
            self.bucket.borrow_mut().pause_until(now.mono + pause);
        }
    }

    fn failed(&mut self, why: &str) {
        self.counts.failed += 1;
        self.counts.last_error = Some(why.to_owned());
    }

    #[expect(clippy::too_many_arguments, reason = "one failure and everything that decides what follows from it")]
    fn again(
        &mut self,
        entry: Entry,
        progress: Progress,
        why: String,
        wait: Option<Duration>,
        now: Now,
        jitter: f64,
        keep: &mut KeepDeliveries,
    ) {
        self.failures += 1;
        self.failing_since.get_or_insert(now.mono);
        self.failed(&why);
        if entry.is_test() {
            self.forget_progress(&progress, keep);
            keep.news.push(self.bury(entry, why));
            return;
        }
        let why = match wait {
            Some(asked) => {
                self.bucket.borrow_mut().pause_until(now.mono + asked);
                format!("{ASKED_TO_WAIT}{why}")
            }
            None => why,
        };
        let wait = backoff(self.failures, jitter).max(wait.unwrap_or_default());
        self.retry_at = Some(now.mono + wait);
        let mut entry = entry;
        entry.row.next_at = Some(not_before(now.wall, wait));
        self.put_back(entry, progress, why, keep);
    }

    /// To be sent again, in a form that the receiver may take.
    fn try_form(
        &mut self,
        mut entry: Entry,
        mut progress: Progress,
        is_new_split: bool,
        why: String,
        keep: &mut KeepDeliveries,
    ) {
        self.failed(&why);
        if is_new_split && !progress.sent.is_empty() {
            // The parts end elsewhere now: rather once more from the beginning than a piece lost.
            progress.sent.clear();
            entry.is_repeated = true;
        }
        self.keep_progress(&progress, keep);
        self.put_back(entry, progress, why, keep);
    }

    /// Back to the head of the lane. Whether it may have arrived outlasts a restart by its state.
    fn put_back(&mut self, mut entry: Entry, progress: Progress, why: String, keep: &mut KeepDeliveries) {
        let may_have_arrived = entry.is_repeated || !progress.sent.is_empty();
        entry.row.state = if may_have_arrived { DeliveryState::Sending } else { DeliveryState::Queued };
        entry.row.last_error = Some(why);
        keep.news.push(entry.news());
        self.entries.push_front(entry);
        self.has_changed = true;
        self.progress = Some(progress);
    }

    fn refuse(&mut self, entry: Entry, why: String, now: Now, keep: &mut KeepDeliveries) {
        self.refusals += 1;
        self.refused_since.get_or_insert(now.mono);
        self.failed(&why);
        keep.states.push((self.state_name("progress"), None));
        let news = self.bury(entry, why);
        keep.news.push(news);
    }

    /// Says what became of the marking that was under way; `None` when there was nothing to mark. It is a courtesy: after three failures
    /// it is let be.
    pub fn marked(&mut self, outcome: Option<Outcome>, now: Now, jitter: f64) -> KeepDeliveries {
        let mut keep = KeepDeliveries::default();
        let Some(Flight::Mark(thread)) = self.flight.take() else { return keep };
        let is_done = match outcome {
            Some(Outcome::Limited { wait, .. }) => {
                let wait = wait.unwrap_or_else(|| backoff(3, 1.0));
                self.bucket.borrow_mut().pause_until(now.mono + wait);
                false
            }
            Some(Outcome::Retry { wait, .. }) => {
                self.mark_failures += 1;
                if let Some(asked) = wait {
                    self.bucket.borrow_mut().pause_until(now.mono + asked);
                }
                self.retry_at = Some(now.mono + backoff(self.mark_failures, jitter));
                self.mark_failures >= 3
            }
            Some(Outcome::Unknown { .. }) => {
                self.mark_failures += 1;
                self.retry_at = Some(now.mono + backoff(self.mark_failures, jitter));
                self.mark_failures >= 3
            }
            _ => true,
        };
        if is_done {
            self.mark_failures = 0;
            self.marks.retain(|waiting| *waiting != thread);
            self.keep_marks(&mut keep);
        }
        keep
    }
}
