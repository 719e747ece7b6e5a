//! A server as a child process: started through the guardian, in a process group of its own, its standard error kept as log.

use super::entry::Way;
use super::environment::{Environment, Masks};
use super::logs::Log;
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// How to start HAIA's own binary as a guardian: `guard` must be what it then runs.
#[derive(Clone, Debug)]
pub struct Guardian {
    /// The binary; `/proc/self/exe` is right also when the file was replaced by an upgrade.
    pub program: PathBuf,
    /// What stands before the server's own command line.
    pub arguments: Vec<OsString>,
}

/// A running server's process group. Dropping it closes nothing: the guardian sees the pipes close.
pub(crate) struct Running {
    child: Child,
    group: Option<Pid>,
    stderr: Option<ChildStderr>,
}

/// The pipes to a server.
pub(crate) type Pipes = (ChildStdout, ChildStdin);

/// Starts a server.
///
/// # Errors
/// Why it cannot be started.
pub(crate) fn start(way: &Way, guardian: &Guardian, environment: &Environment) -> Result<(Running, Pipes), String> {
    let Way::Stdio { command, arguments, variables, directory } = way else {
        return Err("it has no command".to_owned());
    };
    let mut process = Command::new(&guardian.program);
    process
        .args(&guardian.arguments)
        .arg(command.expose())
        .args(arguments.iter().map(contract::secret::Secret::expose))
        .env_clear()
        .envs(environment.for_children())
        .envs(variables.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(directory) = directory {
        if !directory.is_dir() {
            return Err(format!("its \"cwd\" {} is no directory", directory.display()));
        }
        process.current_dir(directory);
    }
    let mut child = process.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    match (child.stdout.take(), child.stdin.take(), child.stderr.take()) {
        (Some(output), Some(input), Some(stderr)) => {
            Ok((Running { child, group, stderr: Some(stderr) }, (output, input)))
        }
        _ => Err("it cannot be started: no pipes".to_owned()),
    }
}

impl Running {
    /// The guardian's process; the server is its child.
    pub(crate) fn guardian_pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Reads the server's standard error into its log until the process has ended. Gives how it ended.
    pub(crate) async fn watch(&mut self, log: &Log, masks: &Masks) -> String {
        let Some(stderr) = self.stderr.as_mut() else { return "it ended".to_owned() };
        let mut lines = Lines::default();
        let mut reader = BufReader::new(stderr);
        let mut buffer = vec![0; 4096];
        let ended = loop {
            tokio::select! {
                biased;
                read = reader.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break self.child.wait().await,
                    Ok(count) => lines.feed(&buffer[..count], |line| log.add("stderr", line, masks)),
                },
                status = self.child.wait() => break status,
            }
        };
        // What it said last is in the pipe still; who holds it open beyond the end is not waited for.
        while let Some(Ok(count @ 1..)) = futures_util::FutureExt::now_or_never(reader.read(&mut buffer)) {
            lines.feed(&buffer[..count], |line| log.add("stderr", line, masks));
        }
        lines.finish(|line| log.add("stderr", line, masks));
        match ended {
            Ok(status) => match status.code() {
                Some(code) if (129..160).contains(&code) => format!("it was ended by signal {}", code - 128),
                Some(code) => format!("it ended with exit code {code}"),
                None => "its guardian was killed".to_owned(),
            },
            Err(error) => format!("it ended: {error}"),
        }
    }

    /// Closes the last pipe, upon which the guardian ends the group, and waits for it; at last the whole group is killed from here.
    pub(crate) async fn end(mut self, clock: &contract::clock::SharedClock) {
        self.stderr = None;
        let status = tokio::select! {
            status = self.child.wait() => status.ok(),
            () = clock.pause(LADDER) => None,
        };
        // A guardian that ended by itself has ended everything; one that was killed, or hangs, has not.
        if status.is_some_and(|status| status.code().is_some()) {
            return;
        }
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        tokio::select! {
            _ = self.child.wait() => {}
            () = clock.pause(LAST) => tracing::warn!("the process group of an MCP server could not be killed"),
        }
    }
}

/// How long the guardian may take for its steps, and a little more.
const LADDER: std::time::Duration = std::time::Duration::from_millis(4500);
/// How long a killed process may take to vanish.
const LAST: std::time::Duration = std::time::Duration::from_millis(1000);

/// The server's own process: the guardian's child.
pub(crate) fn server_pid(guardian: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{guardian}/task/{guardian}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}

/// Splits bytes into lines of bounded length.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    const MOST: usize = 4096;

    fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = Self::MOST.saturating_sub(self.0.len());
            self.0.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.finish(&mut take);
            }
        }
    }

    fn finish(&mut self, mut take: impl FnMut(&str)) {
        if !self.0.is_empty() {
            take(&String::from_utf8_lossy(&self.0));
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_however_the_bytes_come() {
        let mut lines = Lines::default();
        let mut taken = Vec::new();
        lines.feed(b"one\ntw", |line| taken.push(line.trim_end().to_owned()));
        lines.feed(b"o\n", |line| taken.push(line.trim_end().to_owned()));
        lines.feed(&[b'x'; 10_000], |line| taken.push(line.trim_end().to_owned()));
        lines.feed(b"\nlast", |line| taken.push(line.trim_end().to_owned()));
        lines.finish(|line| taken.push(line.trim_end().to_owned()));
        assert_eq!(
            (taken[0].as_str(), taken[1].as_str(), taken[2].len(), taken[3].as_str()),
            ("one", "two", 4096, "last")
        );
    }
}
