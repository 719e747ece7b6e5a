//! The guardian: a small process between HAIA and a server on standard input and output. It starts the server with its own pipes, relays
//! nothing, and sees to it that the server and everything it started end with HAIA, also when HAIA is killed and cannot do anything.
//!
//! How it notices: its standard error is a pipe that HAIA alone reads. When HAIA closes it or ends, however it ends, the pipe has no reader
//! any more, and waiting for that costs nothing. It never looks at what goes through the pipes.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, set_child_subreaper};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// How long the server has to end by itself once its standard input is closed.
const AFTER_CLOSE: Duration = Duration::from_millis(1000);
/// How long it has after SIGTERM.
const AFTER_TERM: Duration = Duration::from_millis(1500);
/// How often the guardian looks where it cannot be woken (systems without pidfd).
const LOOK: Duration = Duration::from_millis(200);
/// Rounds of killing what still starts processes, 10 ms apart.
const ROUNDS: usize = 200;

/// Exit code when the server cannot be started.
const CANNOT_START: i32 = 127;
/// Exit code for a wrong call of the guardian itself.
const WRONG_CALL: i32 = 2;

/// Runs a server until it ends or HAIA does: the first of `arguments` is the program, the rest are its own. Environment, working directory
/// and the three pipes are inherited. Gives the exit code for the process; to be called before any thread is started.
pub fn guard(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.into_iter();
    let Some(program) = arguments.next() else {
        tell("the guardian needs a program to run");
        return WRONG_CALL;
    };
    // What the server leaves behind becomes the guardian's child, so that it can be found and ended.
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        tell(&format!("orphans of this server may outlive it: {error}"));
    }
    let mut server = match Command::new(&program).args(arguments).spawn() {
        Ok(server) => server,
        Err(error) => {
            tell(&format!("{} cannot be started: {error}", program.display()));
            return CANNOT_START;
        }
    };
    // The server's pipes must close when the server closes them.
    if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&nothing);
        let _ = rustix::stdio::dup2_stdout(&nothing);
    }
    let ended = watch(&mut server, true, None);
    let status = match ended {
        Some(status) => Some(status),
        None => end(&mut server),
    };
    kill_rest();
    status.map_or(1, |status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

fn tell(said: &str) {
    let _ = writeln!(std::io::stderr(), "haia: {said}");
}

/// Lets the server end: its input is closed already; then SIGTERM, then SIGKILL.
fn end(server: &mut Child) -> Option<ExitStatus> {
    if let Some(status) = watch(server, false, Some(AFTER_CLOSE)) {
        return Some(status);
    }
    for pid in descendants() {
        let _ = kill_process(pid, Signal::TERM);
    }
    watch(server, false, Some(AFTER_TERM)).or_else(|| {
        let _ = server.kill();
        server.wait().ok()
    })
}

/// Waits until the server ends (`Some`), HAIA closes the pipe, or the time is over (`None`).
fn watch(server: &mut Child, for_haia: bool, mut time: Option<Duration>) -> Option<ExitStatus> {
    let handle = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
    let handle = handle.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let pipe = std::io::stderr();
    loop {
        match server.try_wait() {
            Ok(None) => {}
            Ok(status) => return status,
            Err(_) => return None,
        }
        if time.is_some_and(|time| time.is_zero()) {
            return None;
        }
        // Nothing is asked of the pipe: that nobody reads it any more is always told.
        let mut waited: Vec<PollFd<'_>> = Vec::with_capacity(2);
        if for_haia {
            waited.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::empty()));
        }
        if let Some(handle) = &handle {
            waited.push(PollFd::new(handle, PollFlags::IN));
        }
        let wait = match (time, &handle) {
            (time, None) => Some(time.unwrap_or(LOOK).min(LOOK)),
            (time, Some(_)) => time,
        };
        let limit = wait.map(|wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        });
        match poll(&mut waited, limit.as_ref()) {
            Ok(0) => time = time.map(|time| time.saturating_sub(wait.unwrap_or(time))),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return None,
        }
        if for_haia && waited[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            return server.try_wait().ok().flatten();
        }
    }
}

/// Ends whatever the server started and left behind.
fn kill_rest() {
    for _ in 0..ROUNDS {
        let rest = descendants();
        if rest.is_empty() {
            return;
        }
        for pid in rest {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every living process below this one.
fn descendants() -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = pid else { continue };
        if let Some(parent) =
            std::fs::read_to_string(entry.path().join("stat")).ok().and_then(|stat| living_parent(&stat))
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        open.extend(children.get(&parent).into_iter().flatten().copied().filter(|pid| found.insert(*pid)));
    }
    found.into_iter().filter_map(Pid::from_raw).collect()
}

/// The parent in a line of `/proc/PID/stat`, unless the process has ended and is only waited for.
fn living_parent(stat: &str) -> Option<i32> {
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_parent_of_the_living() {
        for (stat, parent) in [
            ("12 (cat) S 7 12 12 0", Some(7)),
            ("12 (a) b) R 1) (x) D 8 1", Some(8)),
            ("12 (cat) Z 7 12", None),
            ("", None),
            ("12 (cat) S", None),
        ] {
            assert_eq!(living_parent(stat), parent, "{stat}");
        }
    }
}
