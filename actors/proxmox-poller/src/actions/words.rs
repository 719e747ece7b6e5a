//! What is said of an action that is over. Pure. Texts of others in it are data: on one line, and cut.

use super::privileges::action_grant_command;
use super::wish::Deed;
use crate::client::{ApiError, ErrorKind};
use crate::tools::words::text;
use std::sync::Arc;

/// What was done, as the end of a sentence that begins with the guest.
pub(super) fn done(deed: &Deed, node: &str) -> String {
    match deed {
        Deed::Start => format!("was started on {node}"),
        Deed::Shutdown { .. } => format!("was shut down on {node}"),
        Deed::Stop => format!("was switched off on {node}"),
        Deed::Reboot { .. } => format!("was rebooted on {node}"),
        Deed::Suspend => format!("was suspended on {node}"),
        Deed::Resume => format!("was resumed on {node}"),
        Deed::Migrate { target, .. } => format!("was moved from {node} to {}", text(target)),
        Deed::Snapshot { name, .. } => format!("has the snapshot {name} now"),
        Deed::Backup { storage, .. } => format!("was backed up to {}", text(storage)),
    }
}

/// The action as a noun.
pub(super) fn noun(deed: &Deed) -> &'static str {
    match deed {
        Deed::Start => "start",
        Deed::Shutdown { .. } => "shutdown",
        Deed::Stop => "stop",
        Deed::Reboot { .. } => "reboot",
        Deed::Suspend => "suspension",
        Deed::Resume => "resumption",
        Deed::Migrate { .. } => "migration",
        Deed::Snapshot { .. } => "snapshot",
        Deed::Backup { .. } => "backup",
    }
}

/// Why a request was refused: a missing privilege comes with the command that grants it.
pub(super) fn refusal(error: &ApiError, token_id: &str) -> String {
    match &error.kind {
        ErrorKind::Forbidden { privileges, path } if !privileges.is_empty() => format!(
            "the token {token_id} lacks {} on {}; on a node run: {}",
            text(&privileges.join(" or ")),
            text(path),
            action_grant_command(token_id, privileges.iter().map(String::as_str).filter(|name| is_privilege(name)))
        ),
        _ => text(&error.text),
    }
}

fn is_privilege(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

/// Whether Proxmox says that the guest is not on the node that was asked: then nothing was done, and another node may have it.
pub(super) fn is_elsewhere(error: &ApiError) -> bool {
    error.kind == ErrorKind::Gone && error.text.contains("Configuration file") && error.text.contains("does not exist")
}

/// What a log says of a failure beyond the failure's own text: its last line with an error.
pub(super) fn cause(lines: &[(u64, Arc<str>)], failure: &str) -> Option<String> {
    let is_error = |line: &str| {
        let lower = line.to_ascii_lowercase();
        lower.contains("error") || lower.contains("can't") || lower.contains("failed")
    };
    let says_more = |line: &str| !line.starts_with("TASK ERROR") && is_error(line) && line.trim() != failure;
    // The line that names the cause comes first: what follows only takes back what was begun.
    lines.iter().map(|(_, line)| &**line).find(|line| says_more(line)).map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_comes_with_the_command_for_it() {
        let kind = ErrorKind::Forbidden {
            privileges: vec!["VM.Migrate".into(), "x'; rm -rf /".into()],
            path: "/vms/101".into(),
        };
        let said = refusal(&ApiError::new(kind, "no"), "haia@pve!m");
        assert!(said.contains("lacks VM.Migrate or") && said.contains("--privs 'VM.Migrate' "), "{said}");
        assert!(!said.split("on a node run").nth(1).unwrap().contains("rm -rf"), "{said}");
        assert_eq!(refusal(&ApiError::new(ErrorKind::NotReady, "no\nquorum"), "t"), "no quorum");
    }

    #[test]
    fn the_log_says_more_than_job_errors() {
        let lines: Vec<(u64, Arc<str>)> = [
            (1, "INFO: begins".into()),
            (2, "ERROR: Backup of VM 101 failed - no space".into()),
            (3, "TASK ERROR: job errors".into()),
        ]
        .into();
        assert_eq!(cause(&lines, "job errors").as_deref(), Some("ERROR: Backup of VM 101 failed - no space"));
        assert_eq!(cause(&lines[2..], "job errors"), None);
    }

    #[test]
    fn only_a_missing_configuration_file_sends_elsewhere() {
        let gone = |text: &str| ApiError::new(ErrorKind::Gone, text);
        assert!(is_elsewhere(&gone(
            "it is not there: Configuration file 'nodes/pve1/qemu-server/101.conf' does not exist"
        )));
        assert!(!is_elsewhere(&gone("it is not there: storage 'x' does not exist")));
    }
}
