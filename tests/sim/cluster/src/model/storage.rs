//! A storage: on every node one by one, or shared by all, and how full it is at a moment. It knows no volumes but backups.

use std::collections::BTreeMap;

/// A level that may be on its way to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    from: f64,
    to: f64,
    begin: i64,
    end: i64,
}

impl Level {
    /// Stays at `fraction`.
    pub(crate) fn at(fraction: f64) -> Self {
        Self { from: fraction, to: fraction, begin: 0, end: 0 }
    }

    /// The fraction in use at a moment.
    pub(crate) fn now(self, now: i64) -> f64 {
        if now >= self.end {
            return self.to;
        }
        let way = (now - self.begin).max(0) as f64 / (self.end - self.begin).max(1) as f64;
        self.from + (self.to - self.from) * way
    }

    /// Moves evenly from where it is to `fraction`, over so many seconds.
    pub(crate) fn towards(self, fraction: f64, now: i64, seconds: i64) -> Self {
        Self { from: self.now(now), to: fraction, begin: now, end: now + seconds }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) name: String,
    /// dir, zfspool, rbd, nfs, pbs
    pub(crate) kind: &'static str,
    pub(crate) content: &'static str,
    pub(crate) shared: bool,
    pub(crate) total: u64,
    /// By node; a shared one has the single level of "".
    pub(crate) levels: BTreeMap<String, Level>,
    /// Nodes on which it is not active, with since when.
    pub(crate) inactive: BTreeMap<String, i64>,
}

impl Storage {
    fn key<'a>(&self, node: &'a str) -> &'a str {
        if self.shared { "" } else { node }
    }

    /// The fraction in use, as `node` sees it.
    pub(crate) fn fraction(&self, node: &str, now: i64) -> f64 {
        self.levels.get(self.key(node)).map_or(0.0, |level| level.now(now))
    }

    /// Bytes in use, as `node` sees it.
    pub(crate) fn used(&self, node: &str, now: i64) -> u64 {
        crate::figures::share(self.total, self.fraction(node, now))
    }

    /// Sets out for another level, on one node or everywhere.
    pub(crate) fn fill(&mut self, node: Option<&str>, fraction: f64, now: i64, seconds: i64) {
        let only = node.filter(|_| !self.shared);
        for (on, level) in &mut self.levels {
            if only.is_none_or(|only| only == on) {
                *level = level.towards(fraction, now, seconds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_moves_evenly_and_stays_where_it_was_sent() {
        let level = Level::at(0.5).towards(0.9, 100, 10);
        let shown: Vec<i64> =
            [90, 100, 105, 110, 500].iter().map(|at| (level.now(*at) * 100.0).round() as i64).collect();
        assert_eq!(shown, [50, 50, 70, 90, 90]);
        let back = level.towards(0.6, 105, 0);
        assert!((back.now(105) - 0.6).abs() < 1e-9);
    }
}
