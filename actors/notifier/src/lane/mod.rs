//! The lane of one channel: which row is sent next, and what becomes of it. Pure: it is told the time, and what it wants stored or sent it
//! answers.
//!
//! One request at a time, in the order of the rows' ids, so that an end never overtakes its beginning. A row is marked as being sent before
//! the request and settled after it; what fails waits longer and longer, what is refused for good becomes a dead letter, and nothing is asked
//! of a receiver before the moment it named.

mod entry;
mod health;
mod kept;
mod merge;
mod pace;
mod settle;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Progress, is_empty, join, not_before};
pub use health::FAILED;
pub use merge::{MANY, STALE};
pub use pace::{Bucket, backoff};

use crate::channels::{Channel, Form};
use crate::message::{Line, Message, Part, split};
use contract::notify::{DeliveryState, NoticeKind, OutboxRow};
use contract::store::{DeliveryNews, KeepDeliveries};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// After this long a row is given up.
pub const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// The most rows of a lane in memory; the others wait in the store.
pub const MOST: usize = 5000;
/// The most threads whose beginnings wait to be marked as over.
const MARKS: usize = 200;

/// The moment, by every clock.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Real time since an arbitrary start.
    pub mono: Duration,
    /// The world's wall clock.
    pub wall: Timestamp,
    /// HAIA's time.
    pub haia: Timestamp,
}

/// What a lane wants to do.
pub enum Next {
    /// Nothing, until something comes.
    Idle,
    /// Nothing before this moment (real time).
    Wait(Duration),
    /// Send this.
    Send(Box<Attempt>),
    /// Mark the beginning of this thread as over.
    Mark(Arc<str>),
}

/// A part of a row to be sent.
#[derive(Clone)]
pub struct Attempt {
    /// The row.
    pub row: OutboxRow,
    /// Its parts, all of them.
    pub parts: Vec<Part>,
    /// Which of them.
    pub at: usize,
    /// How plain.
    pub form: Form,
    /// Whether it may have arrived before.
    pub is_repeated: bool,
    /// Where the chat has moved to.
    pub moved_to: Option<Arc<str>>,
}

/// What a lane has done since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Rows that arrived.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Rows given up, those that the store held included.
    pub dead: u64,
    /// The last failure.
    pub last_error: Option<String>,
    /// When something arrived last, in HAIA's time.
    pub last_sent: Option<Timestamp>,
}

/// What is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Flight {
    Row(Arc<str>),
    Mark(Arc<str>),
}

/// The lane of one channel.
pub struct Lane {
    /// The channel's name.
    pub name: Arc<str>,
    channel: Rc<dyn Channel>,
    entries: VecDeque<Entry>,
    bucket: Rc<RefCell<Bucket>>,
    /// The pause that the store knows of.
    kept_pause: Option<Duration>,
    progress: Option<Progress>,
    flight: Option<Flight>,
    failures: u32,
    retry_at: Option<Duration>,
    failing_since: Option<Duration>,
    /// Messages refused one after the other, and since when.
    refusals: u32,
    refused_since: Option<Duration>,
    /// An outage has been: once something arrives, what waits is looked at for a digest.
    was_out: bool,
    has_changed: bool,
    /// Whether it has another configuration than at the start.
    is_changed: bool,
    stopped: Option<String>,
    moved_to: Rc<RefCell<Option<Arc<str>>>>,
    marks: VecDeque<Arc<str>>,
    mark_failures: u32,
    /// Rows of the store that found no place here.
    pub has_overflow: bool,
    /// What it has done.
    pub counts: Counts,
}

impl Lane {
    /// An empty lane.
    pub fn new(name: Arc<str>, channel: Rc<dyn Channel>) -> Self {
        let bucket = Rc::new(RefCell::new(Bucket::new(channel.pace())));
        Self {
            name,
            channel,
            entries: VecDeque::new(),
            bucket,
            kept_pause: None,
            progress: None,
            flight: None,
            failures: 0,
            retry_at: None,
            failing_since: None,
            refusals: 0,
            refused_since: None,
            was_out: false,
            has_changed: false,
            is_changed: false,
            stopped: None,
            moved_to: Rc::default(),
            marks: VecDeque::new(),
            mark_failures: 0,
            has_overflow: false,
            counts: Counts::default(),
        }
    }

    /// The channel.
    pub fn channel(&self) -> &Rc<dyn Channel> {
        &self.channel
    }

    /// Its bucket, for others that write to the same receiver.
    pub fn bucket(&self) -> &Rc<RefCell<Bucket>> {
        &self.bucket
    }

    /// Where the chat has moved to.
    pub fn moved_to(&self) -> &Rc<RefCell<Option<Arc<str>>>> {
        &self.moved_to
    }

    /// Takes a row in, where its id belongs; ignores one it has. `age` is how old it is already.
    pub fn admit(&mut self, row: OutboxRow, age: Duration, now: Now) {
        // Beside the first, which may have been moved there, rows stand by their ids.
        let later = self.entries.iter().rev().take_while(|entry| entry.row.id >= row.id);
        if self.entries.front().into_iter().chain(later).any(|entry| entry.row.id == row.id) {
            return;
        }
        if self.has_overflow || self.entries.len() >= MOST {
            self.has_overflow = true;
            return;
        }
        let is_old = row.attempts > 0 || row.state == DeliveryState::Sending || age > STALE;
        self.was_out |= is_old;
        if let Some(until) = row.next_at.and_then(|next_at| kept::moment(next_at, now)) {
            if row.last_error.as_deref().is_some_and(|why| why.starts_with(settle::ASKED_TO_WAIT)) {
                self.bucket.borrow_mut().pause_until(until);
            } else {
                self.retry_at = self.retry_at.max(Some(until));
            }
        }
        let entry = Entry::new(row, age, now.mono);
        let at = self.entries.iter().rposition(|known| known.row.id <= entry.row.id).map_or(0, |at| at + 1);
        // What is under way stays first.
        let at = if self.flight.is_some() { at.max(1) } else { at };
        self.entries.insert(at.min(self.entries.len()), entry);
        self.has_changed = true;
    }

    /// What is to be done now, and what must be stored before it.
    pub fn next(&mut self, now: Now, new_id: &mut dyn FnMut() -> String) -> (KeepDeliveries, Next) {
        let mut keep = KeepDeliveries::default();
        self.keep_pause(now, &mut keep);
        if self.flight.is_some() {
            return (keep, Next::Idle);
        }
        self.give_up_old(now, &mut keep);
        if let Some(why) = self.stopped.clone() {
            self.give_up_all(&why, &mut keep);
        }
        if !self.channel.wants_every_event() {
            self.put_together(now, &mut keep, new_id);
        }
        let Some(at) = self.pick() else {
            return match self.marks.front().cloned() {
                Some(thread) => match self.gate(now, false) {
                    Some(until) => (keep, Next::Wait(until)),
                    None => {
                        self.flight = Some(Flight::Mark(Arc::clone(&thread)));
                        self.bucket.borrow_mut().note(now.mono);
                        (keep, Next::Mark(thread))
                    }
                },
                None => (keep, Next::Idle),
            };
        };
        if let Some(until) = self.gate(now, self.entries[at].is_test()) {
            return (keep, Next::Wait(until));
        }
        let attempt = self.begin(at, now, &mut keep);
        (keep, Next::Send(Box::new(attempt)))
    }

    /// The row to send next: one that a person waits for, else the first; but what has begun is brought to its end.
    fn pick(&self) -> Option<usize> {
        let has_begun = |entry: &Entry| {
            self.progress.as_ref().is_some_and(|progress| progress.row == entry.row.id && !progress.sent.is_empty())
        };
        if self.entries.front().is_some_and(has_begun) {
            return Some(0);
        }
        let test = self.entries.iter().position(Entry::is_test);
        test.or_else(|| (!self.entries.is_empty()).then_some(0))
    }

    /// The moment before which nothing may be sent, if it is still to come. What a person asks for does not wait for HAIA's own patience.
    fn gate(&self, now: Now, is_test: bool) -> Option<Duration> {
        let mut until = self.bucket.borrow().ready_at(now.mono);
        if let Some(retry_at) = self.retry_at.filter(|_| !is_test) {
            until = until.max(retry_at);
        }
        (until > now.mono).then_some(until)
    }

    fn begin(&mut self, at: usize, now: Now, keep: &mut KeepDeliveries) -> Attempt {
        if at > 0
            && let Some(entry) = self.entries.remove(at)
        {
            self.entries.push_front(entry);
        }
        let entry = &mut self.entries[0];
        let progress = self.progress.take().filter(|progress| progress.row == entry.row.id);
        let progress = progress.unwrap_or_else(|| Progress { row: Arc::clone(&entry.row.id), ..Progress::default() });
        entry.row.attempts += 1;
        entry.row.next_at = None;
        if entry.row.state != DeliveryState::Sending {
            entry.row.state = DeliveryState::Sending;
            keep.news.push(entry.news());
        }
        let mut limits = self.channel.limits(progress.form);
        if entry.row.notice.kind == NoticeKind::Digest {
            // It stands for messages that are told nowhere else: as many parts as it takes.
            limits.parts = usize::MAX;
        }
        let mut message = Message::of(&entry.row.notice);
        for title in entry.told_with.iter().filter(|title| **title != message.title) {
            message.lines.push(Line::quiet(format!("Not told before: {title}")));
        }
        let parts = split(&message, &limits);
        let attempt = Attempt {
            row: entry.row.clone(),
            at: progress.sent.len().min(parts.len() - 1),
            parts,
            form: progress.form,
            is_repeated: entry.is_repeated,
            moved_to: self.moved_to.borrow().clone(),
        };
        self.progress = Some(progress);
        self.flight = Some(Flight::Row(Arc::clone(&attempt.row.id)));
        self.bucket.borrow_mut().note(now.mono);
        attempt
    }

    fn give_up_old(&mut self, now: Now, keep: &mut KeepDeliveries) {
        let is_old = |entry: &Entry| entry.age(now.mono) > GIVE_UP;
        if !self.entries.iter().any(is_old) {
            return;
        }
        let (old, kept): (VecDeque<Entry>, VecDeque<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(is_old);
        self.entries = kept;
        for mut entry in old {
            let last = entry.row.last_error.take().unwrap_or_else(|| "it was never its turn".to_owned());
            keep.news.push(self.bury(entry, format!("given up after 24 h: {last}")));
        }
    }

    /// Gives up everything but what a person waits for.
    fn give_up_all(&mut self, why: &str, keep: &mut KeepDeliveries) {
        let (tests, rest): (VecDeque<Entry>, VecDeque<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(Entry::is_test);
        self.entries = tests;
        for entry in rest {
            keep.news.push(self.bury(entry, format!("{STOPPED}{why}")));
        }
    }

    fn bury(&mut self, mut entry: Entry, why: String) -> DeliveryNews {
        entry.row.state = DeliveryState::Dead;
        entry.row.next_at = None;
        entry.row.last_error = Some(why);
        self.counts.dead += 1;
        entry.news()
    }

    fn put_together(&mut self, now: Now, keep: &mut KeepDeliveries, new_id: &mut dyn FnMut() -> String) {
        if std::mem::take(&mut self.has_changed) && self.entries.len() > 1 {
            let begun = self.progress.as_ref().filter(|progress| !progress.sent.is_empty());
            let begun = begun.map(|progress| progress.row.as_ref());
            let merged = merge::collapse(&mut self.entries, begun);
            keep.news.extend(merged.iter().map(Entry::news));
        }
        if self.was_out && self.failures == 0 && self.counts.last_sent.is_some() {
            self.was_out = false;
            if merge::is_backlog(&self.entries, now.mono)
                && let Some((merged, row)) = merge::digest(&mut self.entries, &self.name, new_id(), now.haia)
            {
                keep.news.extend(merged.iter().map(Entry::news));
                keep.rows.push(row.clone());
                self.entries.push_back(Entry::new(row, Duration::ZERO, now.mono));
            }
        }
    }

    /// The ids of the rows that wait.
    pub fn ids(&self) -> HashSet<Arc<str>> {
        self.entries.iter().map(|entry| Arc::clone(&entry.row.id)).collect()
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.entries.len()
    }

    /// Whether something is under way.
    pub fn is_busy(&self) -> bool {
        self.flight.is_some()
    }

    /// Goes on with a changed channel, as if nothing had failed; but who wanted a pause gets it.
    pub fn change(&mut self, channel: Rc<dyn Channel>) {
        self.bucket.borrow_mut().change(channel.pace());
        if self.channel.chat() != channel.chat() {
            self.moved_to.take();
        }
        self.channel = channel;
        self.is_changed = true;
        (self.failures, self.retry_at, self.failing_since, self.stopped) = (0, None, None, None);
        (self.refusals, self.refused_since) = (0, None);
    }

    /// Gives up whatever waits: the channel is gone.
    pub fn close(&mut self) -> KeepDeliveries {
        let mut keep = KeepDeliveries::default();
        self.flight = None;
        let why = format!("{STOPPED}no channel named {:?} is configured any more", self.name);
        for entry in std::mem::take(&mut self.entries) {
            keep.news.push(self.bury(entry, why.clone()));
        }
        keep
    }
}

/// How the reason of a dead letter begins that died because its whole channel was refused.
pub const STOPPED: &str = "the channel is refused: ";
/// How that of the row begins with which the channel was refused: it may be the reason itself.
pub const STOPPED_WITH: &str = "the channel is refused since this message: ";
