//! The rules: one pure file each, and one line in [`RULES`].
//!
//! A rule reads what is: raised, held or clear, for each of its levels. How long that must last, and what is told to whom, is decided elsewhere. What
//! cannot be seen is reported as unseen or not at all: that neither raises nor clears. No rule does I/O, reads a clock, or keeps anything.

mod api_blind;
mod backup_failed;
mod backup_stale;
mod ceph_health;
mod certificate;
mod defaults;
mod disk_health;
mod guest_cpu;
mod guest_crashed;
mod guest_disk;
mod guest_error;
mod guest_lock_stuck;
mod guest_memory;
mod guest_stopped;
mod ha_error;
mod no_data;
mod node_cpu;
mod node_down;
mod node_memory;
mod osd_down;
mod quorum_lost;
mod replication;
mod restart_loop;
mod scene;
mod schedule;
mod snapshot_old;
mod storage_inactive;
mod storage_usage;
mod subscription;
mod task_failed;
mod thin_metadata;
mod time_drift;
mod updates;
mod validate;
mod words;
mod zfs_pool;

#[cfg(test)]
mod tests;

pub use api_blind::judge_failed;
pub use scene::{Court, Scene};
pub use validate::validate_rules;

use crate::memory::Raised;
use contract::alerts::{Judged, matches_pattern};
use contract::monitor::{RuleBook, RuleInfo};

/// A piece that a rule reads beside the polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// What HA does.
    Ha,
    /// How Ceph does.
    Ceph,
    /// Ceph's storage daemons.
    Osds,
    /// Replication jobs and their states.
    Replication,
    /// Backup jobs.
    BackupJobs,
    /// Guests without a backup job.
    NotBackedUp,
    /// Backups in storages.
    Shelves,
    /// Backup runs of the last days.
    BackupRuns,
    /// Logs of failed backup runs.
    BackupLogs,
    /// Storages as nodes see them.
    Storages,
    /// LVM thin pools.
    ThinPools,
    /// ZFS pools.
    Zfs,
    /// Disks.
    Disks,
    /// Certificates.
    Certificates,
    /// Clocks of nodes.
    Clocks,
    /// What nodes and guests say of their memory, where it looks full.
    Details,
    /// Whether guests start with their node.
    StartsWithNode,
    /// Snapshots of guests.
    Snapshots,
    /// Packages that have a newer version.
    Updates,
    /// Subscriptions.
    Subscriptions,
}

/// A rule.
pub struct Rule {
    /// Its name, condition and defaults.
    pub info: RuleInfo,
    /// The pieces that it cannot do without; what it reads but can do without is not among them.
    pub needs: &'static [Need],
    judge: fn(&Court<'_>) -> Vec<Judged>,
    /// How something that it found lately ended, as the end of a sentence that begins with the subject (`is running again`); `None` where
    /// nobody can tell.
    ended: fn(&Court<'_>, &Raised) -> Option<String>,
}

/// Every rule, in the order of the documentation.
pub static RULES: [&Rule; 31] = [
    &node_down::RULE,
    &quorum_lost::RULE,
    &api_blind::RULE,
    &guest_crashed::RULE,
    &guest_stopped::RULE,
    &restart_loop::RULE,
    &guest_error::RULE,
    &guest_lock_stuck::RULE,
    &no_data::RULE,
    &node_cpu::RULE,
    &node_memory::RULE,
    &guest_cpu::RULE,
    &guest_memory::RULE,
    &guest_disk::RULE,
    &storage_usage::RULE,
    &storage_inactive::RULE,
    &thin_metadata::RULE,
    &ceph_health::RULE,
    &osd_down::RULE,
    &zfs_pool::RULE,
    &disk_health::RULE,
    &backup_failed::RULE,
    &backup_stale::RULE,
    &replication::RULE,
    &ha_error::RULE,
    &certificate::RULE,
    &snapshot_old::RULE,
    &time_drift::RULE,
    &task_failed::RULE,
    &updates::RULE,
    &subscription::RULE,
];

/// What is told of every rule: for the check of names, the documentation and the API.
pub fn rule_infos() -> impl Iterator<Item = &'static RuleInfo> {
    RULES.iter().map(|rule| &rule.info)
}

/// Judges a scene by the rules that `wanted` picks.
pub fn judge(scene: Scene<'_>, wanted: impl Fn(&Rule) -> bool) -> Vec<Judged> {
    let mut judged = Vec::new();
    for rule in RULES.iter().copied().filter(|rule| wanted(rule)) {
        let court = Court::new(scene, rule);
        if court.is_used() {
            judged.extend((rule.judge)(&court).into_iter().map(|one| court.with_ends(one)));
        } else {
            judged.extend(court.nothing());
        }
    }
    judged
}

/// The rules of that name, pattern, or `all`.
pub fn named(pattern: &str) -> Vec<&'static Rule> {
    let pattern = if pattern.trim() == "all" { "*" } else { pattern.trim() };
    RULES.iter().copied().filter(|rule| matches_pattern(pattern, rule.info.name)).collect()
}

/// Whether a rule is used for anything as the rules are set.
pub fn is_used(rule: &Rule, book: &RuleBook) -> bool {
    scene::is_set(&book.general(&rule.info), book, rule)
}

/// From which share of memory on, in per cent, the figures of a node and of a guest matter to any rule.
pub(crate) fn memory_floor(book: &RuleBook) -> (f64, f64) {
    (scene::floor(book, &node_memory::RULE), scene::floor(book, &guest_memory::RULE))
}

/// Whether a guest has to be asked itself how much of its memory it uses.
pub(crate) fn guest_memory_is_doubtful(guest: &crate::model::Guest) -> bool {
    guest_memory::is_doubtful(guest)
}
