//! Times and sizes as Proxmox VE writes them in logs and heads. It knows only UTC.

use jiff::Timestamp;

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `2026-03-01 02:00:03`
pub(crate) fn log_time(second: i64) -> String {
    moment(second).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2026-03-01T02:00:03Z`, in the names of backups on a backup server.
pub(crate) fn backup_time(second: i64) -> String {
    moment(second).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026_03_01-02_00_03`, in the names of backup files.
pub(crate) fn file_time(second: i64) -> String {
    moment(second).strftime("%Y_%m_%d-%H_%M_%S").to_string()
}

/// `2026-03-01`
pub(crate) fn date(second: i64) -> String {
    moment(second).strftime("%Y-%m-%d").to_string()
}

/// `Sun, 01 Mar 2026 12:00:00 GMT`
pub(crate) fn http_date(second: i64) -> String {
    moment(second).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// `00:01:14`
pub(crate) fn duration(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Bytes in GiB, for logs.
pub(crate) fn gib(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 30) as f64
}
