//! Backup jobs, guests without one, and the volumes of a storage.

use super::scalar::{Flag, Signed, Text, Whole};
use super::shape::{self, DecodeError, Object};
use crate::model::{BackupJob, BackupSelection};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct WireJob {
    id: Text,
    enabled: Flag,
    schedule: Text,
    starttime: Text,
    dow: Text,
    storage: Text,
    node: Text,
    all: Flag,
    vmid: Text,
    exclude: Text,
    pool: Text,
    mode: Text,
    next_run: Signed,
    comment: Text,
}

/// Reads `/cluster/backup`. `enabled` absent means yes.
///
/// # Errors
/// The answer is not JSON.
pub fn backup_jobs(body: &[u8]) -> Result<Vec<BackupJob>, DecodeError> {
    let job = |row: WireJob| {
        let selection = match (row.all.get().unwrap_or(false), row.pool.filled()) {
            (true, _) => BackupSelection::All { except: numbers(row.exclude.as_str()) },
            (false, Some(pool)) => BackupSelection::Pool(pool),
            (false, None) => BackupSelection::Guests(numbers(row.vmid.as_str())),
        };
        // Jobs from before version 7.1 have days and a time instead of a schedule.
        let old_schedule = || {
            let time = row.starttime.filled()?;
            Some(row.dow.filled().map_or_else(|| Arc::clone(&time), |days| format!("{days} {time}").into()))
        };
        Some(BackupJob {
            id: row.id.filled()?,
            is_enabled: row.enabled.get().unwrap_or(true),
            schedule: row.schedule.filled().or_else(old_schedule),
            storage: row.storage.filled(),
            node: row.node.filled(),
            selection,
            mode: row.mode.filled(),
            next_run_s: row.next_run.get(),
            comment: row.comment.filled(),
        })
    };
    Ok(shape::list::<WireJob>(body)?.into_iter().filter_map(job).collect())
}

fn numbers(list: &str) -> Vec<u32> {
    list.split([',', ';', ' ']).filter_map(|number| number.trim().parse().ok()).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireGuest {
    vmid: Whole,
}

/// Reads `/cluster/backup-info/not-backed-up`: guests that no job covers.
///
/// # Errors
/// The answer is not JSON.
pub fn not_backed_up(body: &[u8]) -> Result<Vec<u32>, DecodeError> {
    Ok(shape::list::<WireGuest>(body)?.iter().filter_map(|row| row.vmid.small()).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireVolume {
    volid: Text,
    content: Text,
    ctime: Signed,
    size: Whole,
    vmid: Whole,
    format: Text,
    notes: Text,
    protected: Flag,
    verification: Object<Verification>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Verification {
    state: Text,
}

/// A volume of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name, with the storage's.
    pub volid: Arc<str>,
    /// What it is (`backup`, `iso`, …).
    pub content: Option<Arc<str>>,
    /// When it was made, seconds since 1970.
    pub created_s: Option<i64>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// The guest it belongs to.
    pub vmid: Option<u32>,
    /// `vma.zst`, `pbs-vm`, …
    pub format: Option<Arc<str>>,
    /// Somebody's note.
    pub notes: Option<Arc<str>>,
    /// Whether it must not be pruned.
    pub is_protected: bool,
    /// What the backup server's verification said (`ok`, `failed`).
    pub verification: Option<Arc<str>>,
}

impl Volume {
    /// Whether it is a backup, also where the row does not say.
    pub fn is_backup(&self) -> bool {
        self.content.as_deref().map_or_else(|| self.volid.contains("backup/"), |content| content == "backup")
    }
}

/// Reads `/nodes/{n}/storage/{s}/content`.
///
/// # Errors
/// The answer is not JSON.
pub fn volumes(body: &[u8]) -> Result<Vec<Volume>, DecodeError> {
    let volume = |row: WireVolume| {
        let volid = row.volid.filled()?;
        Some(Volume {
            vmid: row.vmid.small().or_else(|| vmid_of(&volid)),
            content: row.content.filled(),
            created_s: row.ctime.get(),
            size_bytes: row.size.get(),
            format: row.format.filled(),
            notes: row.notes.filled(),
            is_protected: row.protected.get().unwrap_or(false),
            verification: row.verification.0.and_then(|verification| verification.state.filled()),
            volid,
        })
    };
    Ok(shape::list::<WireVolume>(body)?.into_iter().filter_map(volume).collect())
}

/// The guest in a backup's name: `…/vzdump-qemu-100-2023_…` or `…/vm/100/2023-…`.
fn vmid_of(volid: &str) -> Option<u32> {
    let name = volid.split_once("backup/")?.1;
    let after = ["vzdump-qemu-", "vzdump-lxc-", "vm/", "ct/"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    after.split(['-', '/']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_cover_what_they_say() {
        let body = br#"{"data":[{"id":"a","all":1,"exclude":"101,102"},{"id":"b","enabled":"0","vmid":"100;105"},{"id":"c","pool":"prod","dow":"mon,sat","starttime":"02:00"}]}"#;
        let jobs = backup_jobs(body).unwrap();
        assert_eq!(jobs[0].selection, BackupSelection::All { except: vec![101, 102] });
        assert!(jobs[0].is_enabled && !jobs[1].is_enabled);
        assert_eq!(jobs[1].selection, BackupSelection::Guests(vec![100, 105]));
        assert_eq!(jobs[2].selection, BackupSelection::Pool("prod".into()));
        assert_eq!(jobs[2].schedule.as_deref(), Some("mon,sat 02:00"));
    }

    #[test]
    fn the_guest_stands_in_the_name_where_the_row_does_not_say() {
        for (volid, vmid) in [
            ("local:backup/vzdump-qemu-100-2023_08_28-12_00_00.vma.zst", Some(100)),
            ("local:backup/vzdump-lxc-7-2023_08_28-12_00_00.tar.zst", Some(7)),
            ("pbs:backup/vm/100/2023-08-28T12:00:00Z", Some(100)),
            ("pbs:backup/host/pve1/2023-08-28T12:00:00Z", None),
            ("local:iso/debian.iso", None),
        ] {
            assert_eq!(vmid_of(volid), vmid, "{volid}");
        }
    }
}
