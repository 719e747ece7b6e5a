//! Jobs: what is done by the clock. Scheduler answers.

use crate::caller::Caller;
use crate::failure::Failure;
use crate::message::Msg;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How a run ended, or that it did not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It runs.
    Running,
    /// It did what it should.
    Ok,
    /// It failed.
    Failed,
    /// It took too long and was cancelled.
    Timeout,
    /// HAIA ended while it ran.
    Interrupted,
    /// It was due but did not run: too late, or the run before it was still going.
    Skipped,
}

impl RunState {
    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Ok => "ok",
            RunState::Failed => "failed",
            RunState::Timeout => "timeout",
            RunState::Interrupted => "interrupted",
            RunState::Skipped => "skipped",
        }
    }
}

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobRun {
    /// Sorts by time.
    pub id: Arc<str>,
    /// The job's name.
    pub job: Arc<str>,
    /// Why it ran: `schedule`, `start`, or who asked.
    pub trigger: Arc<str>,
    /// When it was due.
    pub due: Timestamp,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub state: RunState,
    /// Why it failed or was skipped.
    pub error: Option<String>,
    /// What it brought, cut to a few kilobytes.
    pub output: Option<String>,
}

/// A job as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobStatus {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// `scheduled`, `running`, `paused`, `done` (a job that runs once, and has).
    pub state: Arc<str>,
    /// What it does: `ask`, `check`, `digest`.
    pub kind: &'static str,
    /// When it runs, as configured (`0 0 8 * * *`, `every 5m`).
    pub schedule: String,
    /// The next time.
    pub next: Option<Timestamp>,
    /// The last run.
    pub last: Option<JobRun>,
    /// Runs since the start that did not end well.
    pub failures: u64,
}

/// Lists every job.
#[derive(Clone, Debug)]
pub struct ListJobs;

impl Msg for ListJobs {
    type Reply = Vec<JobStatus>;
    const NAME: &'static str = "ListJobs";
}

/// Runs a job now, once, beside its schedule. Answered when the run has begun.
#[derive(Clone, Debug)]
pub struct RunJob {
    /// The job's name.
    pub name: Arc<str>,
    /// Who asks.
    pub by: Caller,
}

impl Msg for RunJob {
    type Reply = Result<JobRun, Failure>;
    const NAME: &'static str = "RunJob";
}

/// Pauses or resumes a job; kept over restarts.
#[derive(Clone, Debug)]
pub struct PauseJob {
    /// The job's name.
    pub name: Arc<str>,
    /// `true` pauses, `false` resumes.
    pub pause: bool,
    /// Who asks.
    pub by: Caller,
}

impl Msg for PauseJob {
    type Reply = Result<JobStatus, Failure>;
    const NAME: &'static str = "PauseJob";
}

/// Reads the runs of a job, newest first.
#[derive(Clone, Debug)]
pub struct ReadJobHistory {
    /// The job's name.
    pub name: Arc<str>,
    /// The most runs; 0: 50.
    pub limit: u32,
}

impl Msg for ReadJobHistory {
    type Reply = Result<Vec<JobRun>, Failure>;
    const NAME: &'static str = "ReadJobHistory";
}
