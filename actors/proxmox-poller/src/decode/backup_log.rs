//! The log of a backup run: which guests it failed on, and why.
//!
//! vzdump writes `ERROR: Backup of VM 104 failed - reason` for each guest that failed, and a plain `ERROR: …` for what kept the whole run.

use std::sync::Arc;

/// The longest reason that is kept, in characters.
const LONGEST: usize = 200;
/// The most guests that are kept of one run.
const MOST: usize = 200;

/// What a run failed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupFailure {
    /// The guests, and what was said of each.
    pub guests: Vec<(u32, Arc<str>)>,
    /// The first error that names no guest.
    pub reason: Option<Arc<str>>,
    /// The storage it wrote to, where the log says so.
    pub storage: Option<Arc<str>>,
}

/// Reads the lines of a run's log.
pub fn backup_failure<'a>(lines: impl Iterator<Item = &'a str>) -> BackupFailure {
    let mut failure = BackupFailure::default();
    for line in lines {
        if failure.storage.is_none() && line.contains("starting new backup job") {
            let mut words = line.split_whitespace().skip_while(|word| *word != "--storage");
            failure.storage = words.nth(1).map(Arc::from);
        }
        let Some(at) = line.find("ERROR: ") else { continue };
        let error = &line[at + "ERROR: ".len()..];
        match of_guest(error) {
            Some((vmid, reason)) => {
                let is_known = failure.guests.iter().any(|(known, _)| *known == vmid);
                if !is_known && failure.guests.len() < MOST {
                    failure.guests.push((vmid, cut(reason)));
                }
            }
            None if failure.reason.is_none() => failure.reason = Some(cut(error)),
            None => {}
        }
    }
    failure
}

/// `Backup of VM 104 failed - reason`.
fn of_guest(error: &str) -> Option<(u32, &str)> {
    let rest = error.strip_prefix("Backup of VM ").or_else(|| error.strip_prefix("Backup of CT "))?;
    let (vmid, rest) = rest.split_once(' ')?;
    let reason = rest.strip_prefix("failed").map_or(rest, |rest| rest.trim_start_matches([' ', '-']));
    Some((vmid.parse().ok()?, reason))
}

fn cut(text: &str) -> Arc<str> {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_and_reasons() {
        let lines = [
            "2026-03-01 02:00:00 INFO: starting new backup job: vzdump 104 105 --storage pbs --mode snapshot",
            "2026-03-01 02:00:10 ERROR: write error: No space left on device",
            "2026-03-01 02:00:10 ERROR: Backup of VM 104 failed - write error: No space left on device",
            "ERROR: Backup of VM 104 failed - again",
            "ERROR: Backup of VM x failed",
            "TASK ERROR: job errors",
        ];
        let failure = backup_failure(lines.into_iter());
        assert_eq!(failure.guests, [(104, "write error: No space left on device".into())]);
        assert_eq!(failure.reason.as_deref(), Some("write error: No space left on device"));
        assert_eq!(failure.storage.as_deref(), Some("pbs"));
        assert_eq!(backup_failure(std::iter::empty()), BackupFailure::default());
    }
}
