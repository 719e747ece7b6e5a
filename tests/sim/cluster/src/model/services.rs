//! What runs across nodes: backup jobs and their backups, replication, high availability, Ceph. Plain state; incidents change it.

use super::ceph::Ceph;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A backup job.
#[derive(Clone, Debug)]
pub(crate) struct BackupJob {
    pub(crate) id: String,
    pub(crate) storage: String,
    pub(crate) schedule: &'static str,
    /// Second of the day (UTC) at which it runs.
    pub(crate) second: i64,
    /// Every so many days.
    pub(crate) days: i64,
    pub(crate) enabled: bool,
    /// It is enabled and yet does not run: the scheduler is stuck.
    pub(crate) held: bool,
    pub(crate) pool: Option<String>,
    pub(crate) vmids: Vec<u32>,
    pub(crate) comment: &'static str,
    pub(crate) prune: &'static str,
    /// How many backups of a guest are kept.
    pub(crate) keep: usize,
}

impl BackupJob {
    /// The next run after `now`.
    pub(crate) fn next_run(&self, now: i64) -> i64 {
        let period = self.days * 86_400;
        // The first Sunday of the era was its fourth day.
        let anchor = if self.days == 7 { 3 * 86_400 + self.second } else { self.second };
        now + period - (now - anchor).rem_euclid(period)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Backup {
    pub(crate) volume: String,
    pub(crate) vmid: u32,
    pub(crate) at: i64,
    pub(crate) size: u64,
    pub(crate) format: &'static str,
    pub(crate) notes: String,
    /// On a backup server: ok, failed.
    pub(crate) verified: Option<&'static str>,
}

/// A replication job; it runs every 15 minutes.
#[derive(Clone, Debug)]
pub(crate) struct Replication {
    pub(crate) vmid: u32,
    pub(crate) target: String,
    /// Since when it fails; a moment to come when its next run will.
    pub(crate) failing: Option<i64>,
}

impl Replication {
    /// Seconds between two runs.
    pub(crate) const PERIOD: i64 = 900;
    /// Seconds between two tries while it fails.
    pub(crate) const RETRY: i64 = 300;

    pub(crate) fn id(&self) -> String {
        format!("{}-0", self.vmid)
    }

    /// The last good run, the last try, and how many tries failed since.
    pub(crate) fn runs(&self, now: i64) -> (i64, i64, i64) {
        let last = |at: i64| at - at.rem_euclid(Self::PERIOD);
        match self.failing {
            Some(since) if since <= now => {
                let tries = (now - since) / Self::RETRY;
                (last(since), since + tries * Self::RETRY, tries + 1)
            }
            _ => (last(now), last(now), 0),
        }
    }
}

/// A guest that the HA manager keeps.
#[derive(Clone, Debug)]
pub(crate) struct HaService {
    pub(crate) vmid: u32,
    /// started, stopped, error, fence, recovery, …
    pub(crate) state: String,
    /// What is asked for: started, stopped.
    pub(crate) wanted: String,
    /// The node that it left for maintenance.
    pub(crate) home: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    pub(crate) jobs: Vec<BackupJob>,
    /// By storage and guest, oldest first.
    pub(crate) backups: BTreeMap<(String, u32), VecDeque<Backup>>,
    pub(crate) replications: Vec<Replication>,
    pub(crate) ha: Vec<HaService>,
    pub(crate) ceph: Option<Ceph>,
    /// Pools with their comment.
    pub(crate) pools: BTreeMap<String, &'static str>,
    /// Guests that the HA manager has fenced and not yet recovered.
    pub(crate) fenced: BTreeSet<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(days: i64) -> BackupJob {
        BackupJob {
            id: "backup-1".into(),
            storage: "pbs".into(),
            schedule: "02:00",
            second: 7_200,
            days,
            enabled: true,
            held: false,
            pool: None,
            vmids: Vec::new(),
            comment: "",
            prune: "",
            keep: 7,
        }
    }

    #[test]
    fn the_next_run_is_tomorrow_night_or_next_sunday() {
        let sunday_noon = 1_772_366_400;
        assert_eq!(crate::text::log_time(job(1).next_run(sunday_noon)), "2026-03-02 02:00:00");
        assert_eq!(crate::text::log_time(job(7).next_run(sunday_noon)), "2026-03-08 02:00:00");
        assert_eq!(crate::text::log_time(job(7).next_run(sunday_noon - 86_400)), "2026-03-01 02:00:00");
    }

    #[test]
    fn a_failing_replication_counts_its_tries() {
        let mut replication = Replication { vmid: 101, target: "pve2".into(), failing: None };
        assert_eq!(replication.runs(1_000), (900, 900, 0));
        replication.failing = Some(1_000);
        assert_eq!(replication.runs(1_000), (900, 1_000, 1));
        assert_eq!(replication.runs(1_700), (900, 1_600, 3));
    }
}
