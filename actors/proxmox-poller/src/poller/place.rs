//! Puts what a question brought into its place in the snapshot. Pure.

use super::ask::{Ask, NodePiece};
use super::fetch::{Brought, PartNews};
use crate::assemble::merge_tasks;
use crate::client::{ApiError, ErrorKind};
use crate::model::{NodeParts, Part, ReplicationJob, Slow, Snapshot};
use jiff::Timestamp;
use std::sync::Arc;

/// The most logs of failed backup runs that are kept.
const LOGS: usize = 64;

/// Puts a piece into its place. `true` when there is no sense in asking soon again.
pub(super) fn place(news: PartNews, next: &mut Snapshot, now: Timestamp) -> bool {
    let has_nothing = news.brought.as_ref().err().is_some_and(is_settled);
    let brought = match news.brought {
        Ok(brought) => brought,
        Err(error) => {
            failed(&news.ask, &error, next, now);
            return has_nothing;
        }
    };
    match (brought, &news.ask) {
        (Brought::Ha(value), _) => next.ha = Part::fetched(value, now),
        (Brought::Ceph(value), _) => next.ceph = Part::fetched(value, now),
        (Brought::BackupJobs(value), _) => next.backup_jobs = Part::fetched(value, now),
        (Brought::ReplicationJobs(jobs), _) => {
            let jobs = known_jobs(jobs, next);
            next.replication = Part::fetched(jobs, now);
        }
        (Brought::Replication(told), Ask::Node(_, node)) => {
            let jobs = told_jobs(told, node, next);
            next.replication = Part::fetched(jobs, now);
            parts(next, node).replication = Part::fetched((), now);
        }
        (Brought::BackupRuns(tasks), Ask::Node(_, node)) => {
            next.tasks = merge_tasks(tasks, &next.tasks);
            parts(next, node).backup_runs = Part::fetched((), now);
        }
        (brought, ask) => into_slow(brought, ask, Arc::make_mut(&mut next.slow), now),
    }
    has_nothing
}

fn is_settled(error: &ApiError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotInstalled | ErrorKind::Unsupported | ErrorKind::Forbidden { .. } | ErrorKind::Rejected
    )
}

fn parts<'a>(next: &'a mut Snapshot, node: &Arc<str>) -> &'a mut NodeParts {
    Arc::make_mut(&mut next.slow).nodes.entry(Arc::clone(node)).or_default()
}

fn into_slow(brought: Brought, ask: &Ask, slow: &mut Slow, now: Timestamp) {
    match (brought, ask) {
        (Brought::Osds(value), _) => slow.osds = Part::fetched(value, now),
        (Brought::NotBackedUp(value), _) => slow.not_backed_up = Part::fetched(value, now),
        (Brought::Shelf(value), Ask::Shelf(label)) => {
            slow.shelves.insert(Arc::clone(label), Part::fetched(value, now));
        }
        (Brought::BackupLog(value), Ask::BackupLog(_, upid)) => {
            while slow.backup_logs.len() >= LOGS {
                slow.backup_logs.pop_first();
            }
            slow.backup_logs.insert(Arc::clone(upid), Part::fetched(value, now));
        }
        (Brought::ZfsState(value), Ask::ZfsState(node, pool)) => {
            let parts = slow.nodes.entry(Arc::clone(node)).or_default();
            parts.zfs_states.insert(Arc::clone(pool), Part::fetched(value, now));
        }
        (brought, Ask::Node(_, node)) => {
            of_node(brought, slow.nodes.entry(Arc::clone(node)).or_default(), now);
        }
        (Brought::GuestDetail(value), Ask::GuestDetail(vmid)) => {
            slow.guests.entry(*vmid).or_default().detail = Part::fetched(*value, now);
        }
        (Brought::StartsWithNode(value), Ask::StartsWithNode(vmid)) => {
            slow.guests.entry(*vmid).or_default().starts_with_node = Part::fetched(value, now);
        }
        (Brought::Snapshots(value), Ask::Snapshots(vmid)) => {
            slow.guests.entry(*vmid).or_default().snapshots = Part::fetched(value, now);
        }
        // A question brings what it asks for and nothing else.
        _ => {}
    }
}

fn of_node(brought: Brought, parts: &mut NodeParts, now: Timestamp) {
    match brought {
        Brought::Storages(value) => parts.storages = Part::fetched(value, now),
        Brought::ClockAhead(value) => parts.clock_ahead_s = Part::fetched(value, now),
        Brought::Detail(value) => parts.detail = Part::fetched(*value, now),
        Brought::ThinPools(value) => parts.thin_pools = Part::fetched(value, now),
        Brought::ZfsPools(value) => {
            parts.zfs_states.retain(|name, _| value.iter().any(|pool| pool.name == *name));
            parts.zfs_pools = Part::fetched(value, now);
        }
        Brought::Disks(value) => parts.disks = Part::fetched(value, now),
        Brought::Certificates(value) => parts.certificates = Part::fetched(value, now),
        Brought::Updates(value) => parts.updates = Part::fetched(value, now),
        Brought::Subscription(value) => parts.subscription = Part::fetched(value, now),
        _ => {}
    }
}

/// What was known stays and grows old.
fn failed(ask: &Ask, error: &ApiError, next: &mut Snapshot, now: Timestamp) {
    fn note<T>(part: &mut Part<T>, error: &ApiError, now: Timestamp) {
        let is_absent = matches!(error.kind, ErrorKind::NotInstalled | ErrorKind::Unsupported);
        *part = if is_absent { Part::absent(now) } else { part.failed(error.text.as_str()) };
    }
    match ask {
        Ask::Ha => note(&mut next.ha, error, now),
        Ask::Ceph => note(&mut next.ceph, error, now),
        Ask::ReplicationJobs => note(&mut next.replication, error, now),
        Ask::BackupJobs => note(&mut next.backup_jobs, error, now),
        _ => {
            let slow = Arc::make_mut(&mut next.slow);
            match ask {
                Ask::Osds => note(&mut slow.osds, error, now),
                Ask::NotBackedUp => note(&mut slow.not_backed_up, error, now),
                Ask::Shelf(label) => note(slow.shelves.entry(Arc::clone(label)).or_default(), error, now),
                Ask::BackupLog(_, upid) => note(slow.backup_logs.entry(Arc::clone(upid)).or_default(), error, now),
                Ask::Node(piece, node) => {
                    let parts = slow.nodes.entry(Arc::clone(node)).or_default();
                    match piece {
                        NodePiece::Storages => note(&mut parts.storages, error, now),
                        NodePiece::Replication => note(&mut parts.replication, error, now),
                        NodePiece::Clock => note(&mut parts.clock_ahead_s, error, now),
                        NodePiece::Detail => note(&mut parts.detail, error, now),
                        NodePiece::BackupRuns => note(&mut parts.backup_runs, error, now),
                        NodePiece::ThinPools => note(&mut parts.thin_pools, error, now),
                        NodePiece::ZfsPools => note(&mut parts.zfs_pools, error, now),
                        NodePiece::Disks => note(&mut parts.disks, error, now),
                        NodePiece::Certificates => note(&mut parts.certificates, error, now),
                        NodePiece::Updates => note(&mut parts.updates, error, now),
                        NodePiece::Subscription => note(&mut parts.subscription, error, now),
                    }
                }
                // Of these the next question is soon enough.
                _ => {}
            }
        }
    }
}

/// The jobs as the cluster lists them, with what their nodes said of them.
fn known_jobs(mut jobs: Vec<ReplicationJob>, snapshot: &Snapshot) -> Vec<ReplicationJob> {
    let before = snapshot.replication.value.as_deref();
    for job in &mut jobs {
        let (schedule, is_disabled, target) = (job.schedule.clone(), job.is_disabled, Arc::clone(&job.target));
        if let Some(known) = before.into_iter().flatten().find(|known| known.id == job.id) {
            let target = if target.is_empty() { Arc::clone(&known.target) } else { target };
            *job = ReplicationJob {
                schedule: schedule.or_else(|| known.schedule.clone()),
                is_disabled,
                target,
                ..known.clone()
            };
        }
        // A job's source is where its guest is, and moves with it.
        if let Some(guest) = job.vmid.and_then(|vmid| snapshot.guest(vmid)) {
            job.source = Arc::clone(&guest.node);
        }
    }
    jobs
}

/// The jobs with what one node says of those that it is the source of.
fn told_jobs(told: Vec<ReplicationJob>, node: &Arc<str>, snapshot: &Snapshot) -> Vec<ReplicationJob> {
    let mut jobs: Vec<ReplicationJob> = snapshot.replication.value.as_deref().cloned().unwrap_or_default();
    for new in told {
        let source = if new.source.is_empty() { Arc::clone(node) } else { Arc::clone(&new.source) };
        match jobs.iter_mut().find(|job| job.id == new.id) {
            Some(job) => {
                let schedule = new.schedule.clone().or_else(|| job.schedule.take());
                let target = if new.target.is_empty() { Arc::clone(&job.target) } else { Arc::clone(&new.target) };
                let is_disabled = job.is_disabled || new.is_disabled;
                *job = ReplicationJob { source, schedule, target, is_disabled, ..new };
            }
            None => jobs.push(ReplicationJob { source, ..new }),
        }
    }
    jobs
}
