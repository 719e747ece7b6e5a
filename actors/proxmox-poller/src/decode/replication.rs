//! `/nodes/{n}/replication`: the jobs whose source is that node, with their state; and `/cluster/replication`: all jobs, without.

use super::scalar::{Flag, Number, Signed, Text, Whole};
use super::shape::{self, DecodeError};
use crate::model::ReplicationJob;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    id: Text,
    guest: Whole,
    source: Text,
    target: Text,
    schedule: Text,
    disable: Flag,
    fail_count: Whole,
    error: Text,
    last_sync: Signed,
    last_try: Signed,
    next_sync: Signed,
    duration: Number,
    pid: Whole,
}

/// Reads a list of replication jobs.
///
/// # Errors
/// The answer is not JSON.
pub fn replication(body: &[u8]) -> Result<Vec<ReplicationJob>, DecodeError> {
    let job = |row: Wire| {
        let id = row.id.filled()?;
        let vmid = row.guest.small().or_else(|| id.split('-').next()?.parse().ok());
        // 0 stands for "never".
        let moment = |time: Signed| time.get().filter(|time| *time > 0);
        Some(ReplicationJob {
            vmid,
            source: row.source.0.unwrap_or_default(),
            target: row.target.0.unwrap_or_default(),
            schedule: row.schedule.filled(),
            is_disabled: row.disable.get().unwrap_or(false),
            fail_count: row.fail_count.small().unwrap_or(0),
            error: row.error.filled(),
            last_sync_s: moment(row.last_sync),
            last_try_s: moment(row.last_try),
            next_sync_s: moment(row.next_sync),
            duration_s: row.duration.get(),
            is_running: row.pid.get().is_some(),
            id,
        })
    };
    Ok(shape::list::<Wire>(body)?.into_iter().filter_map(job).collect())
}
