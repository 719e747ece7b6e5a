//! One cluster under watch: judges what is known after each look, and brings the judgements to the alert desk.
//!
//! At most one report of a cluster is under way; what is judged meanwhile waits, and of two judgements of the same rule and scope the newer wins. Nothing here
//! waits, and nothing a report does delays a poll.

use super::{UnderWay, is_under_way};
use crate::history::History;
use crate::memory::{Kept, Memory, fingerprint, pack};
use crate::model::Snapshot;
use crate::rules::{self, Rule, Scene};
use contract::alerts::{Judged, ReportFindings};
use contract::monitor::RuleBook;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// After a report was refused the next one waits so long, in seconds.
const RETRY_S: i64 = 5;
/// What is remembered is kept no more often than this, in seconds.
const KEEP_S: i64 = 60;

type Key = (Arc<str>, Arc<str>);

/// What is to be reported, and whether it was so at the first sight already.
type Waiting = BTreeMap<Key, (Judged, bool)>;

/// The watch over one cluster.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) memory: Memory,
    /// Whether what was kept before the start has been read, or cannot be.
    pub(super) is_ready: bool,
    /// What was kept: the first poll is compared with it.
    kept: Option<Snapshot>,
    /// Whether HAIA has never watched this cluster before.
    is_first_sight: bool,
    /// Rules that were judged once since the first sight.
    seen: BTreeSet<&'static str>,
    /// Whether something arrived that was not judged yet.
    pub(super) is_dirty: bool,
    waiting: Waiting,
    reporting: UnderWay,
    retry_at: Option<Timestamp>,
    kept_at: Option<Timestamp>,
    kept_fingerprint: Option<u64>,
}

impl Watch {
    /// Takes what was kept before the start; `None` when there was nothing, or it cannot be read.
    pub(super) fn resume(&mut self, kept: Option<Kept>) {
        self.is_ready = true;
        match kept {
            Some(kept) => {
                self.is_first_sight = !kept.memory.is_settled;
                self.memory = kept.memory;
                self.kept = Some(kept.snapshot);
            }
            None => self.is_first_sight = true,
        }
    }

    /// Goes on where another watch over the same cluster ends.
    pub(super) fn adopt(&mut self, old: &Watch) {
        self.is_ready = old.is_ready;
        self.memory = old.memory.clone();
        self.kept = old.kept.clone();
        self.is_first_sight = old.is_first_sight;
        self.seen = old.seen.clone();
        self.waiting = old.waiting.clone();
    }

    /// What the first poll since the start is compared with.
    pub(super) fn take_kept(&mut self) -> Option<Snapshot> {
        self.kept.take()
    }

    /// Judges what is known, by the rules that `wanted` picks.
    pub(super) fn judge(
        &mut self,
        snapshot: &Snapshot,
        history: &History,
        book: &RuleBook,
        now: Timestamp,
        wanted: impl Fn(&Rule) -> bool,
    ) -> Vec<Judged> {
        let scene = Scene { snapshot, memory: &self.memory, history, book, now };
        let judged = rules::judge(scene, wanted);
        self.memory.judged(&judged, now);
        for one in &judged {
            let Some(rule) = rules::RULES.iter().find(|rule| rule.info.name == &*one.rule) else { continue };
            // What needs pieces that come later is at its first sight until all of them were there once.
            let is_baseline = self.is_first_sight
                && match rule.needs.is_empty() {
                    true => !self.seen.contains(rule.info.name),
                    false => !self.memory.is_settled,
                };
            self.add(one.clone(), is_baseline);
        }
        if self.is_first_sight {
            self.seen.extend(judged.iter().filter_map(|one| {
                rules::RULES.iter().find(|rule| rule.info.name == &*one.rule).map(|rule| rule.info.name)
            }));
        }
        self.is_dirty = false;
        judged
    }

    /// Judges a poll that failed.
    pub(super) fn judge_failed(&mut self, cluster: &Arc<str>, book: &RuleBook, now: Timestamp) {
        if let Some(judged) = rules::judge_failed(cluster, &self.memory, book) {
            self.memory.judged(std::slice::from_ref(&judged), now);
            self.add(judged, false);
        }
    }

    /// Everything that is asked regularly was asked once.
    pub(super) fn settle(&mut self) {
        self.memory.is_settled = true;
    }

    fn add(&mut self, judged: Judged, is_baseline: bool) {
        let key = (Arc::clone(&judged.rule), Arc::clone(&judged.scope));
        let was_baseline = self.waiting.get(&key).is_some_and(|(_, was_baseline)| *was_baseline);
        self.waiting.insert(key, (judged, is_baseline || was_baseline));
    }

    /// Takes the next report, if none is under way and something waits. What was there at the first sight goes first.
    pub(super) fn next_report(&mut self, source: Arc<str>, now: Timestamp, real: Duration) -> Option<ReportFindings> {
        let rests = self.retry_at.is_some_and(|retry_at| now < retry_at);
        if self.waiting.is_empty() || rests || is_under_way(self.reporting, now, real) {
            return None;
        }
        self.reporting = Some((now, real));
        let is_baseline = self.waiting.values().any(|(_, is_baseline)| *is_baseline);
        let mut judged = Vec::new();
        self.waiting.retain(|_, (one, baseline)| {
            let goes = *baseline == is_baseline;
            if goes {
                judged.push(one.clone());
            }
            !goes
        });
        Some(ReportFindings { source, is_baseline, judged })
    }

    /// A report ended. One that was refused waits again, unless something newer does already.
    pub(super) fn reported(&mut self, refused: Option<ReportFindings>, now: Timestamp) {
        self.reporting = None;
        self.retry_at = None;
        if let Some(report) = refused {
            let later = jiff::SignedDuration::from_secs(RETRY_S);
            self.retry_at = now.saturating_add(later).ok();
            for judged in report.judged {
                let key = (Arc::clone(&judged.rule), Arc::clone(&judged.scope));
                match self.waiting.get_mut(&key) {
                    Some((_, is_baseline)) => *is_baseline |= report.is_baseline,
                    None => {
                        self.waiting.insert(key, (judged, report.is_baseline));
                    }
                }
            }
        }
    }

    /// What is to be kept for the next start, if it changed and the last time is long enough ago; in any case when `all`.
    pub(super) fn keep_due(&mut self, snapshot: &Snapshot, now: Timestamp, all: bool) -> Option<String> {
        let is_soon = self.kept_at.is_some_and(|kept_at| now.as_second() - kept_at.as_second() < KEEP_S);
        if !self.is_ready || (is_soon && !all) {
            return None;
        }
        let print = fingerprint(snapshot, &self.memory);
        if self.kept_fingerprint == Some(print) && !all {
            return None;
        }
        (self.kept_at, self.kept_fingerprint) = (Some(now), Some(print));
        Some(pack(snapshot, &self.memory))
    }

    /// What is remembered is to be kept at the next occasion.
    pub(super) fn keep_soon(&mut self) {
        self.kept_at = None;
    }

    /// Keeping failed: it is tried again when it is due.
    pub(super) fn not_kept(&mut self) {
        self.kept_fingerprint = None;
    }
}
