//! What trends need of the past: six hours by the minute and seven days by the quarter of an hour, for each node, guest and storage.
//!
//! Fixed memory: about 2 KiB for each row of figures, and no more rows than [`MOST`]. Figures are fractions, 0 to 1. Pure: the time is given.

mod pack;
mod series;
mod trend;

pub use trend::Trend;

use crate::model::{GuestState, Snapshot};
use contract::store::HistorySlab;
use jiff::Timestamp;
use series::{Mean, Series};
use std::collections::HashMap;
use std::sync::Arc;

/// Seconds of a fine step, and how many are kept: six hours.
const FINE_S: i64 = 60;
const FINE: usize = 360;
/// Seconds of a coarse step, and how many are kept: seven days.
const COARSE_S: i64 = 900;
const COARSE: usize = 672;
/// Steps that are kept together in the store: a quarter of an hour of fine ones, four hours of coarse ones.
const FINE_SLAB: i64 = 15;
const COARSE_SLAB: i64 = 16;
/// The most rows of figures: 32 nodes and 2,000 guests have about 5,000.
pub const MOST: usize = 12_000;

/// What a row of figures is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// A node's processors.
    NodeCpu,
    /// A node's memory.
    NodeMemory,
    /// A node's root file system.
    NodeDisk,
    /// A guest's processors.
    GuestCpu,
    /// A guest's memory.
    GuestMemory,
    /// A container's root file system.
    GuestDisk,
    /// A storage.
    StorageUsed,
}

impl Metric {
    const ALL: [Metric; 7] = [
        Metric::NodeCpu,
        Metric::NodeMemory,
        Metric::NodeDisk,
        Metric::GuestCpu,
        Metric::GuestMemory,
        Metric::GuestDisk,
        Metric::StorageUsed,
    ];
}

/// Whom a row of figures is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A guest, by VMID.
    Guest(u32),
    /// A node by its name, a storage by its label.
    Named(Arc<str>),
}

type Key = (Metric, Subject);

#[derive(Clone, Debug)]
struct Row {
    fine: Series,
    coarse: Series,
    minute: Mean,
    quarter: Mean,
}

impl Row {
    fn new() -> Self {
        Self { fine: Series::new(FINE), coarse: Series::new(COARSE), minute: Mean::default(), quarter: Mean::default() }
    }

    fn add(&mut self, now_s: i64, fraction: f64) {
        if let Some((step, mean)) = self.minute.add(now_s.div_euclid(FINE_S), fraction) {
            self.fine.set(step, mean);
        }
        if let Some((step, mean)) = self.quarter.add(now_s.div_euclid(COARSE_S), fraction) {
            self.coarse.set(step, mean);
        }
    }

    /// Writes what has been summed up so far.
    fn settle(&mut self) {
        if let Some((step, mean)) = self.minute.peek() {
            self.fine.set(step, mean);
        }
        if let Some((step, mean)) = self.quarter.peek() {
            self.coarse.set(step, mean);
        }
    }
}

/// What is due to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Pieces of the past, packed.
    pub slabs: Vec<HistorySlab>,
    /// For each grain: what began before this may be forgotten.
    pub forget_before: Vec<(u32, Timestamp)>,
}

/// One cluster's past.
#[derive(Clone, Debug, Default)]
pub struct History {
    rows: HashMap<Key, Row>,
    /// Figures that found no place since the start.
    refused: u64,
    /// The fine slab that was written last.
    saved: Option<i64>,
}

impl History {
    /// Adds the figures of a snapshot: those that are fresh in it.
    pub fn record(&mut self, snapshot: &Snapshot) {
        let now = snapshot.taken_at;
        let is_fresh = |at: Option<Timestamp>| at == Some(now);
        for node in snapshot.nodes.iter().filter(|node| is_fresh(node.figures_at)) {
            let subject = || Subject::Named(Arc::clone(&node.name));
            self.add(now, Metric::NodeCpu, subject, node.cpu);
            self.add(
                now,
                Metric::NodeMemory,
                subject,
                crate::model::fraction(node.memory_bytes, node.memory_total_bytes),
            );
            self.add(now, Metric::NodeDisk, subject, crate::model::fraction(node.disk_bytes, node.disk_total_bytes));
        }
        let running = |guest: &&crate::model::Guest| guest.state == GuestState::Running && is_fresh(guest.figures_at);
        for guest in snapshot.guests.iter().filter(running) {
            let subject = || Subject::Guest(guest.vmid);
            self.add(now, Metric::GuestCpu, subject, guest.cpu);
            self.add(now, Metric::GuestMemory, subject, guest.memory_fraction());
            self.add(now, Metric::GuestDisk, subject, guest.disk_fraction());
        }
        for storage in snapshot.storages.iter().filter(|storage| is_fresh(storage.figures_at)) {
            self.add(now, Metric::StorageUsed, || Subject::Named(storage.label().into()), storage.used_fraction());
        }
    }

    fn add(&mut self, now: Timestamp, metric: Metric, subject: impl Fn() -> Subject, fraction: Option<f64>) {
        let Some(fraction) = fraction else { return };
        let key = (metric, subject());
        let is_full = self.rows.len() >= MOST;
        match self.rows.get_mut(&key) {
            Some(row) => row.add(now.as_second(), fraction),
            None if is_full => self.refused += 1,
            None => self.rows.entry(key).or_insert_with(Row::new).add(now.as_second(), fraction),
        }
    }

    /// How many rows of figures there are, and how many figures found no place.
    pub fn size(&self) -> (usize, u64) {
        (self.rows.len(), self.refused)
    }

    /// What is to be kept for the next start, if a quarter of an hour has passed since the last time (or in any case when `all`), and
    /// what may be forgotten.
    pub fn due(&mut self, now: Timestamp, all: bool) -> Option<Due> {
        let slab = now.as_second().div_euclid(FINE_S * FINE_SLAB);
        let before = self.saved.unwrap_or(slab);
        if self.saved.is_none() {
            self.saved = Some(slab);
        }
        if self.rows.is_empty() || (before == slab && !all) {
            return None;
        }
        self.saved = Some(slab);
        self.forget_idle(now);
        self.rows.values_mut().for_each(Row::settle);
        let coarse_slab = now.as_second().div_euclid(COARSE_S * COARSE_SLAB);
        let fine = [before, slab].map(|slab| self.pack(FINE_S, FINE_SLAB, slab, |row| &row.fine));
        let coarse =
            [coarse_slab - 1, coarse_slab].map(|slab| self.pack(COARSE_S, COARSE_SLAB, slab, |row| &row.coarse));
        let mut slabs: Vec<HistorySlab> = fine.into_iter().chain(coarse).flatten().collect();
        slabs.dedup();
        let kept = |grain_s: i64, places: usize| {
            let span = grain_s * i64::try_from(places).unwrap_or(i64::MAX);
            let before = Timestamp::from_second(now.as_second() - 2 * span).unwrap_or(Timestamp::MIN);
            (grain(grain_s), before)
        };
        Some(Due { slabs, forget_before: vec![kept(FINE_S, FINE), kept(COARSE_S, COARSE)] })
    }

    /// Rows of what is no more, after all their figures are too old.
    fn forget_idle(&mut self, now: Timestamp) {
        let oldest = now.as_second().div_euclid(COARSE_S) - i64::try_from(COARSE).unwrap_or(0);
        self.rows.retain(|_, row| {
            row.quarter.peek().is_some_and(|(step, _)| step > oldest)
                || row.coarse.newest().is_some_and(|step| step > oldest)
        });
    }

    fn pack(&self, grain_s: i64, steps: i64, slab: i64, of: fn(&Row) -> &Series) -> Option<HistorySlab> {
        let first = slab * steps;
        let data = pack::pack(self.rows.iter().map(|(key, row)| (key, of(row))), first, steps)?;
        let begin = Timestamp::from_second(first * grain_s).ok()?;
        Some(HistorySlab { grain_s: grain(grain_s), begin, data })
    }

    /// Takes back what was kept before the last start. Whether everything could be read.
    pub fn restore(&mut self, slabs: &[HistorySlab]) -> bool {
        let mut is_whole = true;
        for slab in slabs {
            let is_fine = i64::from(slab.grain_s) == FINE_S;
            if !is_fine && i64::from(slab.grain_s) != COARSE_S {
                is_whole = false;
                continue;
            }
            let first = slab.begin.as_second().div_euclid(i64::from(slab.grain_s));
            let read = pack::unpack(&slab.data, |key, at, point| {
                if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
                    return;
                }
                let row = self.rows.entry(key).or_insert_with(Row::new);
                let series = if is_fine { &mut row.fine } else { &mut row.coarse };
                // What was recorded since the start is newer.
                if series.raw(first + at) == u16::MAX {
                    series.set_raw(first + at, point);
                }
            });
            is_whole &= read.is_some();
        }
        is_whole
    }
}

fn grain(seconds: i64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
