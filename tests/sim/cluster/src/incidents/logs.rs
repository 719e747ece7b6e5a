//! The log lines that workers of Proxmox VE write, each with its moment. Only text: it changes nothing.

use crate::figures::mix;
use crate::model::{BackupJob, Guest, Kind};
use crate::text::{backup_time, duration, file_time, gib, log_time};

/// What SMART says of a disk that fails.
pub(super) const FAILED: &str = "FAILED";

/// Lines with the seconds since `start` at which they come, as log lines with the time in front.
fn timed(start: i64, lines: Vec<(i64, String)>) -> Vec<(i64, String)> {
    lines.into_iter().map(|(after, line)| (start + after, format!("{} {line}", log_time(start + after)))).collect()
}

pub(crate) fn migration(guest: &Guest, target: &str, address: &str, start: i64) -> Vec<(i64, String)> {
    let (vmid, noun) = (guest.vmid, guest.kind.noun());
    let first = (0, format!("starting migration of {noun} {vmid} to node '{target}' ({address})"));
    let socket = format!("unix:/run/qemu-server/{vmid}.migrate");
    let size = gib(guest.memory);
    let lines = match (guest.kind, guest.is_up()) {
        (Kind::Qemu, true) => vec![
            first,
            (1, format!("starting VM {vmid} on remote node '{target}'")),
            (3, "start remote tunnel".into()),
            (3, "ssh tunnel ver 1".into()),
            (4, format!("starting online/live migration on {socket}")),
            (4, "set migration capabilities".into()),
            (4, "migration downtime limit: 100 ms".into()),
            (4, "set migration parameters".into()),
            (4, format!("start migrate command to {socket}")),
            (6, format!("migration active, transferred {:.1} GiB of {size:.1} GiB VM-state, 412.0 MiB/s", size / 3.0)),
            (10, format!("average migration speed: {:.1} MiB/s - downtime 48 ms", size * 1024.0 / 6.0)),
            (10, "migration status: completed".into()),
            (14, format!("migration finished successfully (duration {})", duration(14))),
        ],
        (Kind::Lxc, true) => vec![
            (0, format!("shutdown CT {vmid}")),
            (3, first.1),
            (4, format!("volume '{}' is on shared storage '{}'", guest.volume(), guest.storage)),
            (5, "start final cleanup".into()),
            (6, "start container on target node".into()),
            (
                6,
                format!(
                    "# /usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={target}' root@{address} pct start {vmid}"
                ),
            ),
            (9, format!("migration finished successfully (duration {})", duration(9))),
        ],
        (_, false) => {
            vec![first, (9, format!("migration finished successfully (duration {})", duration(9)))]
        }
    };
    timed(start, lines)
}

/// A migration that aborts after some seconds.
pub(crate) fn migration_failed(
    guest: &Guest,
    target: &str,
    address: &str,
    start: i64,
    seconds: i64,
    error: &str,
) -> Vec<(i64, String)> {
    let (vmid, noun) = (guest.vmid, guest.kind.noun());
    let lines = vec![
        (0, format!("starting migration of {noun} {vmid} to node '{target}' ({address})")),
        (seconds, format!("ERROR: {error}")),
        (seconds, "aborting phase 1 - cleanup resources".into()),
        (seconds, format!("ERROR: migration aborted (duration {}): {error}", duration(seconds))),
    ];
    timed(start, lines)
}

pub(super) fn creation(guest: &Guest, start: i64) -> Vec<(i64, String)> {
    let size = gib(guest.disk);
    let line = match guest.kind {
        Kind::Qemu => format!("scsi0: successfully created disk '{},size={size:.0}G'", guest.volume()),
        Kind::Lxc => format!(
            "extracting archive '/var/lib/vz/template/cache/debian-13-standard_13.0-1_amd64.tar.zst' to {}",
            guest.volume()
        ),
    };
    vec![(start + 1, line)]
}

pub(crate) fn snapshot(guest: &Guest, start: i64) -> Vec<(i64, String)> {
    let line = match guest.kind {
        Kind::Qemu => format!("snapshotting 'drive-{}' ({})", guest.disk_name(), guest.volume()),
        Kind::Lxc => format!("snapshotting '{}' ({})", guest.disk_name(), guest.volume()),
    };
    vec![(start + 1, line)]
}

pub(super) fn destroy(guest: &Guest, start: i64) -> Vec<(i64, String)> {
    let parent = match guest.kind {
        Kind::Qemu => "related data",
        Kind::Lxc => "its data",
    };
    vec![(start, format!("destroy {} {} and {parent}", guest.kind.noun(), guest.vmid))]
}

/// Beginning of a node's part of a backup job.
pub(crate) fn backup_begin(job: &BackupJob, vmids: &[u32], start: i64) -> Vec<(i64, String)> {
    let list = vmids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let prune = format!("--prune-backups '{}'", job.prune);
    let line = format!(
        "INFO: starting new backup job: vzdump {list} --storage {} {prune} --mode snapshot --quiet 1",
        job.storage
    );
    vec![(start, line)]
}

/// One guest's part of a backup job that went well.
pub(super) fn backup_guest(guest: &Guest, job: &BackupJob, start: i64, seconds: i64, size: u64) -> Vec<(i64, String)> {
    let mut lines = backup_head(guest, job, start);
    let end = start + seconds;
    if job.storage == "pbs" {
        let reused = 90 + mix(u64::from(guest.vmid)) % 9;
        lines.push((end, format!("INFO: backup was done incrementally, reused {reused}%")));
        lines.push((end, format!("INFO: transferred {:.2} GiB in {seconds} seconds", gib(size) / 20.0)));
    } else {
        lines.push((end, format!("INFO: archive file size: {:.2}GB", gib(size))));
    }
    lines.push((end, format!("INFO: Finished Backup of VM {} ({})", guest.vmid, duration(seconds))));
    lines.push((end, format!("INFO: Backup finished at {}", log_time(end))));
    lines
}

/// One guest's part that failed.
pub(super) fn backup_failed(
    guest: &Guest,
    job: &BackupJob,
    start: i64,
    seconds: i64,
    reason: &str,
) -> Vec<(i64, String)> {
    let mut lines = backup_head(guest, job, start);
    let end = start + seconds;
    lines.push((end, format!("ERROR: {reason}")));
    lines.push((end, "INFO: aborting backup job".into()));
    lines.push((end, "INFO: resuming VM again".into()));
    lines.push((end, format!("ERROR: Backup of VM {} failed - {reason}", guest.vmid)));
    lines.push((end, format!("INFO: Failed at {}", log_time(end))));
    lines
}

fn backup_head(guest: &Guest, job: &BackupJob, start: i64) -> Vec<(i64, String)> {
    let word = if guest.kind == Kind::Qemu { "VM" } else { "CT" };
    let mut lines = vec![
        format!("INFO: Starting Backup of VM {} ({})", guest.vmid, guest.kind.word()),
        format!("INFO: Backup started at {}", log_time(start)),
        format!("INFO: status = {}", guest.plain_status()),
        format!("INFO: {word} Name: {}", guest.name),
    ];
    if guest.kind == Kind::Qemu {
        let size = gib(guest.disk);
        lines.push(format!("INFO: include disk '{}' '{}' {size:.0}G", guest.disk_name(), guest.volume()));
    } else {
        lines.push("INFO: including mount point rootfs ('/') in backup".into());
    }
    lines.push("INFO: backup mode: snapshot".into());
    lines.push("INFO: ionice priority: 7".into());
    lines.push(if job.storage == "pbs" {
        let folder = if guest.kind == Kind::Qemu { "vm" } else { "ct" };
        let archive = format!("{folder}/{}/{}", guest.vmid, backup_time(start));
        format!("INFO: creating Proxmox Backup Server archive '{archive}'")
    } else {
        let ending = if guest.kind == Kind::Qemu { "vma.zst" } else { "tar.zst" };
        let file = format!("vzdump-{}-{}-{}.{ending}", guest.kind.word(), guest.vmid, file_time(start));
        format!("INFO: creating vzdump archive '/mnt/pve/{}/dump/{file}'", job.storage)
    });
    lines.into_iter().map(|line| (start, line)).collect()
}

/// The last lines before the worker's own.
pub(super) fn backup_end(end: i64, failed: bool) -> Vec<(i64, String)> {
    let how = if failed { "with errors" } else { "successfully" };
    vec![(end, format!("INFO: Backup job finished {how}"))]
}
