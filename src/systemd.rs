//! What HAIA does as a service of the system: tells systemd that it is ready, reloading, stopping, alive, and asks for enough descriptors.
//! Says nothing where no systemd listens, and never fails the daemon.

use sd_notify::NotifyState;

/// The most descriptors that are asked for: more would slow down children that close every descriptor they might have.
const DESCRIPTORS: u64 = 1 << 20;

/// Every required actor runs and the socket listens; also after a reload. `status` is the line of `systemctl status`.
pub fn ready(status: &str) {
    tell(Stage::Ready(status));
}

/// The configuration is being read again. [`ready`] must follow, whatever comes of it.
pub fn reloading() {
    tell(Stage::Reloading);
}

/// The drain has begun.
pub fn stopping() {
    tell(Stage::Stopping);
}

/// Required actors make progress: systemd's watchdog may wait on.
pub fn pet() {
    tell(Stage::Alive);
}

/// Raises the soft limit of open files as far as the hard limit allows, up to 1,048,576: every client, provider and child costs
/// descriptors, and the usual soft limit is 1,024. With a refusal the daemon goes on with what it has. Returns the limit in force.
pub fn raise_descriptor_limit() -> Option<u64> {
    match rlimit::increase_nofile_limit(DESCRIPTORS) {
        Ok(limit) => {
            tracing::debug!(limit, "open files");
            Some(limit)
        }
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            None
        }
    }
}

/// A stage of the daemon's life, as systemd knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage<'a> {
    Ready(&'a str),
    Reloading,
    Stopping,
    Alive,
}

/// Tells systemd. A message that cannot be sent is logged: there is nothing else to do about it.
fn tell(stage: Stage<'_>) {
    let monotonic = match stage {
        Stage::Reloading => NotifyState::monotonic_usec_now().ok(),
        _ => None,
    };
    if let Err(error) = sd_notify::notify(&states(stage, monotonic)) {
        tracing::warn!(%error, ?stage, "systemd could not be told");
    }
}

/// The messages for a stage. A reload needs the time at which it began (`Type=notify-reload`).
fn states<'a>(stage: Stage<'a>, monotonic: Option<NotifyState<'a>>) -> Vec<NotifyState<'a>> {
    match stage {
        Stage::Ready(status) => vec![NotifyState::Ready, NotifyState::Status(one_line(status))],
        Stage::Reloading => [NotifyState::Reloading].into_iter().chain(monotonic).collect(),
        Stage::Stopping => {
            vec![NotifyState::Stopping, NotifyState::Status("stopping: running answers are brought to their end")]
        }
        Stage::Alive => vec![NotifyState::Watchdog],
    }
}

/// A line break would begin another message of the protocol.
fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stage: Stage<'_>) -> Vec<String> {
        states(stage, Some(NotifyState::MonotonicUsec(42))).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_stage_has_its_words() {
        assert_eq!(told(Stage::Ready("listening\nREADY=0")), ["READY=1", "STATUS=listening"]);
        assert_eq!(told(Stage::Reloading), ["RELOADING=1", "MONOTONIC_USEC=42"]);
        assert_eq!(told(Stage::Stopping)[0], "STOPPING=1");
        assert_eq!(told(Stage::Alive), ["WATCHDOG=1"]);
    }

    #[test]
    fn the_limit_of_open_files_never_falls() {
        let first = raise_descriptor_limit().expect("a limit");
        assert!(first >= 64);
        assert_eq!(raise_descriptor_limit(), Some(first));
    }
}
