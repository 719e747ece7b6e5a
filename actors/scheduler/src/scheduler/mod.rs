//! The actor: lets the plan decide at each tick, begins runs beside itself, closes each with its outcome, and keeps their history.
//!
//! A run is stored before it begins and again when it ends, so that one which HAIA did not survive is told as interrupted.

mod handlers;
mod report;

use crate::config::{Config, JobConfig};
use crate::plan::{Begin, Plan, Skip};
use crate::ticker::Ticker;
use crate::work::{self, Work};
use arc_swap::ArcSwap;
use contract::alerts::{MakeDigest, ReportFindings};
use contract::chat::RunTurn;
use contract::clock::SharedClock;
use contract::cluster::RunCheck;
use contract::failure::{Failure, FailureClass};
use contract::ids::{RequestId, SharedIds};
use contract::jobs::{JobRun, JobStatus, RunState};
use contract::message::{Fault, Lane, Msg};
use contract::notify::Deliver;
use contract::store::{InterruptRuns, KeepRun, KeepStates, LoadStates, ReadRuns, StoreError};
use jiff::{SignedDuration, Timestamp};
use runtime::{Context, Port, Service};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const OWNER: &str = "scheduler";
const STORE_DEADLINE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a tick for so long the alarm clock is built anew.
const SILENT_ALARM: Duration = Duration::from_secs(5);
/// What is kept of a run's result, in bytes.
const MOST_OUTPUT: usize = 4096;
/// From when the first digest tells.
const FIRST_DIGEST: SignedDuration = SignedDuration::from_hours(24);

/// The configuration as the composition root publishes it: a crashed scheduler starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// What the scheduler needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
    /// How much faster than the world HAIA's time runs; 1 normally.
    pub time_factor: f64,
    /// Ids of runs and notices.
    pub ids: SharedIds,
    /// The alarm clock.
    pub ticker: Arc<dyn Ticker>,
    /// Runs turns for `ask`.
    pub run_turn: Port<RunTurn>,
    /// Runs checks.
    pub run_check: Port<RunCheck>,
    /// Makes digests.
    pub digest: Port<MakeDigest>,
    /// Sends results.
    pub deliver: Port<Deliver>,
    /// Takes findings about jobs that fail.
    pub report: Port<ReportFindings>,
    /// Keeps runs.
    pub keep_run: Port<KeepRun>,
    /// Reads runs.
    pub read_runs: Port<ReadRuns>,
    /// Marks runs that HAIA did not survive.
    pub interrupt_runs: Port<InterruptRuns>,
    /// Keeps pauses.
    pub keep_states: Port<KeepStates>,
    /// Reads pauses.
    pub load_states: Port<LoadStates>,
    /// The time zone for times in notices, by its IANA name.
    pub timezone: Arc<str>,
}

/// The actor.
pub struct Scheduler {
    ports: Ports,
    config: Arc<Config>,
    plan: Plan,
    /// The newest run of each job.
    last: BTreeMap<Arc<str>, JobRun>,
    /// The last good run of each job.
    last_good: BTreeMap<Arc<str>, Timestamp>,
    paused: BTreeSet<Arc<str>>,
    failures: BTreeMap<Arc<str>, u64>,
    /// Whether what was kept has been read: nothing is due before.
    is_loaded: bool,
    is_draining: bool,
    ticks: u64,
    alarms: u64,
    jumps: u64,
    /// When it was looked for failures that are past.
    looked_past: Timestamp,
    rang_at: Rc<std::cell::Cell<Duration>>,
}

/// The alarm clock rang.
struct Tick;

impl Msg for Tick {
    type Reply = ();
    const NAME: &'static str = "Tick";
}

/// What was kept was read.
struct Loaded {
    runs: Result<Vec<JobRun>, StoreError>,
    states: Result<Vec<(Arc<str>, String)>, StoreError>,
    interrupted: Vec<JobRun>,
}

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "Loaded";
}

/// A run ended.
struct Ended(JobRun);

impl Msg for Ended {
    type Reply = ();
    const NAME: &'static str = "Ended";
}

impl Scheduler {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || Self {
            plan: Plan::new(ports.time_factor),
            config: config.load_full(),
            ports: ports.clone(),
            last: BTreeMap::new(),
            last_good: BTreeMap::new(),
            paused: BTreeSet::new(),
            failures: BTreeMap::new(),
            is_loaded: false,
            is_draining: false,
            ticks: 0,
            alarms: 0,
            jumps: 0,
            looked_past: Timestamp::MIN,
            rang_at: Rc::default(),
        }
    }

    /// Begins a run: stores it, does the work within its time, stores how it ended, and reports back.
    fn begin(&mut self, begin: &Begin, context: &Context<Self>) -> Option<JobRun> {
        let config: JobConfig = self.plan.config(&begin.job)?.clone();
        let now = self.ports.clock.now();
        let run = JobRun {
            id: self.ports.ids.unique().into(),
            job: Arc::clone(&begin.job),
            trigger: Arc::clone(&begin.trigger),
            due: begin.due,
            started: now,
            ended: None,
            state: RunState::Running,
            error: None,
            output: None,
        };
        self.last.insert(Arc::clone(&begin.job), run.clone());
        let since = self.last_good.get(&begin.job).copied();
        let since = since.unwrap_or_else(|| now.checked_sub(FIRST_DIGEST).unwrap_or(now));
        let request_id = RequestId::new(format!("job-{}", run.id));
        let timezone =
            if config.timezone.is_empty() { Arc::clone(&self.ports.timezone) } else { config.timezone.as_str().into() };
        let work = Work { job: Arc::clone(&begin.job), config, request_id, due: begin.due, since, timezone };
        tracing::info!(job = %begin.job, run = %run.id, because = %begin.trigger, "a job begins");
        let (ports, begun) = (self.ports.clone(), run.clone());
        let ended = context.mailbox().port::<Ended>(Lane::Background);
        let aborted = Unfinished { run: Some(run.clone()), port: ended.clone(), ports: ports.clone() };
        context.spawn(async move {
            let mut unfinished = aborted;
            keep(&ports, &begun, work.config.keep_runs).await;
            let keep_runs = work.config.keep_runs;
            let timeout = work.config.timeout;
            let too_late = ports.clock.pause(timeout.0);
            let result = tokio::select! {
                biased;
                result = work::run(work, ports.clone()) => match result {
                    Ok(output) => (RunState::Ok, None, Some(cut(output))),
                    Err(why) => (RunState::Failed, Some(why), None),
                },
                () = too_late => (RunState::Timeout, Some(format!("it took longer than {timeout}")), None),
            };
            let (state, error, output) = result;
            let run = JobRun { ended: Some(ports.clock.now()), state, error, output, ..begun };
            keep(&ports, &run, keep_runs).await;
            unfinished.run = None;
            if let Err(fault) = ended.ask(Ended(run), PATIENCE).await {
                tracing::warn!(%fault, "the end of a job did not reach the scheduler");
            }
        });
        Some(run)
    }

    /// Notes a run that does not take place.
    fn skip(&mut self, skip: Skip, context: &Context<Self>) {
        let now = self.ports.clock.now();
        tracing::warn!(job = %skip.job, due = %skip.due, why = skip.why, "a run of a job is skipped");
        let run = JobRun {
            id: self.ports.ids.unique().into(),
            job: Arc::clone(&skip.job),
            trigger: "schedule".into(),
            due: skip.due,
            started: now,
            ended: Some(now),
            state: RunState::Skipped,
            error: Some(skip.why),
            output: None,
        };
        let keep_runs = self.plan.config(&skip.job).map_or(100, |config| config.keep_runs);
        if self.last.get(&skip.job).is_none_or(|last| last.state != RunState::Running) {
            self.last.insert(skip.job, run.clone());
        }
        let ports = self.ports.clone();
        context.spawn(async move { keep(&ports, &run, keep_runs).await });
    }

    fn statuses(&self) -> Vec<JobStatus> {
        self.plan.jobs().map(|(name, config, state, next)| self.status_of(name, config, state, next)).collect()
    }

    fn status_of(&self, name: &Arc<str>, config: &JobConfig, state: &str, next: Option<Timestamp>) -> JobStatus {
        JobStatus {
            name: Arc::clone(name),
            state: state.into(),
            kind: config.kind(),
            schedule: config.when(),
            next,
            last: self.last.get(name).cloned(),
            failures: self.failures.get(name).copied().unwrap_or(0),
        }
    }

    fn unknown(&self, job: &str) -> Failure {
        if !self.is_loaded {
            let message = "the scheduler still reads what it kept; try again in a moment";
            return Failure::new(FailureClass::Overloaded, message);
        }
        let known: Vec<&str> = self.plan.jobs().map(|(name, ..)| name.as_ref()).collect();
        let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
        Failure::new(FailureClass::NotFound, format!("there is no job {job:?}; known: {known}"))
    }

    /// Starts the alarm clock.
    fn wind(&mut self, context: &Context<Self>) {
        self.alarms += 1;
        let tick = context.mailbox().port::<Tick>(Lane::Control);
        let (rang_at, clock) = (Rc::clone(&self.rang_at), Arc::clone(&self.ports.clock));
        let ring = Rc::new(move || {
            rang_at.set(clock.monotonic());
            // A tick that finds no place is made up for by the next one.
            let _ = tick.tell(Tick);
        });
        let (ticker, watch) = (Arc::clone(&self.ports.ticker), Arc::clone(&self.ports.clock));
        let rang_at = Rc::clone(&self.rang_at);
        context.spawn(async move {
            loop {
                rang_at.set(watch.monotonic());
                match ticker.start(ring.clone()).await {
                    Ok(alarm) => {
                        let silent = async {
                            while watch.monotonic().saturating_sub(rang_at.get()) < SILENT_ALARM {
                                watch.pause(SILENT_ALARM).await;
                            }
                        };
                        tokio::select! {
                            () = alarm.0 => {}
                            () = silent => tracing::warn!("the alarm clock was silent; it is built anew"),
                        }
                    }
                    Err(why) => {
                        tracing::error!(why, "the alarm clock cannot be started; trying again");
                        watch.pause(SILENT_ALARM).await;
                    }
                }
            }
        });
    }

    fn load(&self, context: &Context<Self>) {
        let (ports, loaded) = (self.ports.clone(), context.mailbox().port::<Loaded>(Lane::Control));
        let at = self.ports.clock.now();
        context.spawn(async move {
            let interrupted = match ports.interrupt_runs.ask(InterruptRuns { at }, STORE_DEADLINE).await {
                Ok(Ok(interrupted)) => interrupted,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "runs that HAIA did not survive cannot be marked");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            };
            let fault = |fault: Fault| Err(StoreError(fault.to_string()));
            let asked = ReadRuns { limit: 20, ..ReadRuns::default() };
            let runs = ports.read_runs.ask(asked, STORE_DEADLINE).await.unwrap_or_else(fault);
            let states = ports.load_states.ask(LoadStates { owner: OWNER }, STORE_DEADLINE).await;
            let states = states.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            if let Err(fault) = loaded.ask(Loaded { runs, states, interrupted }, PATIENCE).await {
                tracing::error!(%fault, "the scheduler could not begin");
            }
        });
    }

    fn take_over(&mut self) {
        let last_due = self.last.iter().map(|(job, run)| (Arc::clone(job), run.due)).collect();
        self.plan.take_over(&self.config, &last_due, &self.paused, self.ports.clock.now());
    }
}

/// A run whose work crashed or was dropped: reports it all the same.
struct Unfinished {
    run: Option<JobRun>,
    port: Port<Ended>,
    ports: Ports,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let error = Some("it crashed".to_owned());
        let run = JobRun { ended: Some(self.ports.clock.now()), state: RunState::Failed, error, ..run };
        // Told without waiting: the actor itself may be going down.
        let _ = self.ports.keep_run.tell(KeepRun { run: run.clone(), keep: 1000 });
        let _ = self.port.tell(Ended(run));
    }
}

async fn keep(ports: &Ports, run: &JobRun, keep_runs: u32) {
    match ports.keep_run.ask(KeepRun { run: run.clone(), keep: keep_runs }, STORE_DEADLINE).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(job = %run.job, %error, "a run of a job was not kept"),
        Err(fault) => tracing::warn!(job = %run.job, %fault, "a run of a job was not kept"),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_OUTPUT {
        let mut end = MOST_OUTPUT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(" …");
    }
    text
}

/// What the actor tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Jobs that are scheduled.
    jobs: usize,
    /// Ticks since it was built.
    ticks: u64,
    /// Alarm clocks built since then.
    alarms: u64,
    /// Jumps of the wall clock seen since then.
    jumps: u64,
}

impl Service for Scheduler {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        self.load(context);
    }

    fn observe(&self) -> Observed {
        Observed { jobs: self.plan.jobs().count(), ticks: self.ticks, alarms: self.alarms, jumps: self.jumps }
    }
}
