//! What the scheduler answers, message by message.

use super::{Ended, Loaded, OWNER, STORE_DEADLINE, Scheduler, Tick};
use crate::config::Config;
use crate::tools;
use contract::failure::{Failure, FailureClass};
use contract::jobs::{JobRun, JobStatus, ListJobs, PauseJob, ReadJobHistory, RunJob, RunState};
use contract::message::{Drain, Reconfigure};
use contract::store::{KeepStates, ReadRuns};
use contract::tools::{CallTool, ListTools, Tool, ToolResult};
use runtime::{Context, Handle, Reply};
use std::sync::Arc;

impl Handle<Loaded> for Scheduler {
    fn handle(&mut self, loaded: Loaded, context: &Context<Self>) -> Reply<()> {
        match loaded.runs {
            Ok(runs) => {
                for run in runs {
                    if run.state == RunState::Ok {
                        self.last_good.entry(Arc::clone(&run.job)).or_insert(run.started);
                    }
                    // A run that somebody asked for says nothing about what the schedule is owed.
                    self.last.entry(Arc::clone(&run.job)).or_insert(run);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the history of jobs could not be read; missed runs are not made up for")
            }
        }
        match loaded.states {
            Ok(states) => {
                let paused = states.iter().filter_map(|(name, _)| name.strip_prefix("paused/"));
                self.paused = paused.map(Arc::from).collect();
            }
            Err(error) => tracing::warn!(%error, "which jobs are paused could not be read"),
        }
        for run in &loaded.interrupted {
            tracing::warn!(job = %run.job, run = %run.id, "HAIA ended while this job ran");
        }
        self.is_loaded = true;
        self.take_over();
        self.report_past(true, context);
        for begin in self.plan.at_start(self.ports.clock.now()) {
            self.begin(&begin, context);
        }
        self.wind(context);
        Reply::Now(())
    }
}

impl Handle<Tick> for Scheduler {
    fn handle(&mut self, _: Tick, context: &Context<Self>) -> Reply<()> {
        self.ticks += 1;
        if self.is_draining {
            return Reply::Now(());
        }
        let decided = self.plan.tick(self.ports.clock.now(), self.ports.clock.monotonic());
        if decided.jumped_s != 0 {
            self.jumps += 1;
            tracing::warn!(seconds = decided.jumped_s, "the wall clock jumped; schedules go by the new time");
        }
        for skip in decided.skip {
            self.skip(skip, context);
        }
        for begin in &decided.begin {
            self.begin(begin, context);
        }
        self.report_past(false, context);
        Reply::Now(())
    }
}

impl Handle<Ended> for Scheduler {
    fn handle(&mut self, Ended(run): Ended, context: &Context<Self>) -> Reply<()> {
        let now = self.ports.clock.now();
        let is_good = run.state == RunState::Ok;
        if is_good {
            tracing::info!(job = %run.job, run = %run.id, "a job ended");
            self.last_good.insert(Arc::clone(&run.job), run.started);
        } else {
            let why = run.error.as_deref().unwrap_or("no reason is known");
            tracing::warn!(job = %run.job, run = %run.id, state = run.state.as_str(), why, "a job failed");
            *self.failures.entry(Arc::clone(&run.job)).or_default() += 1;
        }
        self.report(&run, now, context);
        if let Some(next) = self.plan.ended(&run.job) {
            self.begin(&next, context);
        }
        self.last.insert(Arc::clone(&run.job), run);
        Reply::Now(())
    }
}

impl Handle<ListJobs> for Scheduler {
    fn handle(&mut self, _: ListJobs, _: &Context<Self>) -> Reply<Vec<JobStatus>> {
        Reply::Now(self.statuses())
    }
}

impl Handle<RunJob> for Scheduler {
    fn handle(&mut self, asked: RunJob, context: &Context<Self>) -> Reply<Result<JobRun, Failure>> {
        if self.is_draining {
            return Reply::Now(Err(Failure::new(FailureClass::ShuttingDown, "HAIA is shutting down")));
        }
        let begun = self.plan.run_now(&asked.name, &asked.by.name, self.ports.clock.now());
        Reply::Now(match begun {
            Ok(begin) => self.begin(&begin, context).ok_or_else(|| self.unknown(&asked.name)),
            Err(Some(why)) => Err(Failure::new(FailureClass::InvalidRequest, why)),
            Err(None) => Err(self.unknown(&asked.name)),
        })
    }
}

impl Handle<PauseJob> for Scheduler {
    fn handle(&mut self, asked: PauseJob, _: &Context<Self>) -> Reply<Result<JobStatus, Failure>> {
        if !self.plan.pause(&asked.name, asked.pause, self.ports.clock.now()) {
            return Reply::Now(Err(self.unknown(&asked.name)));
        }
        if asked.pause {
            self.paused.insert(Arc::clone(&asked.name));
        } else {
            self.paused.remove(&asked.name);
        }
        tracing::info!(job = %asked.name, who = %asked.by.name, paused = asked.pause, "a job was paused or resumed");
        let status = self.statuses().into_iter().find(|job| job.name == asked.name);
        let status = status.ok_or_else(|| self.unknown(&asked.name));
        let state = (format!("paused/{}", asked.name).into(), asked.pause.then(|| asked.by.name.to_string()));
        let (port, name) = (self.ports.keep_states.clone(), asked.name);
        Reply::later(async move {
            let kept = port.ask(KeepStates { owner: OWNER, states: vec![state] }, STORE_DEADLINE).await;
            let why = match kept {
                Ok(Ok(())) => return status,
                Ok(Err(error)) => error.to_string(),
                Err(fault) => fault.to_string(),
            };
            let message =
                format!("{name} is changed until the next start only, because the store cannot keep it: {why}");
            Err(Failure::new(FailureClass::Overloaded, message))
        })
    }
}

impl Handle<ReadJobHistory> for Scheduler {
    fn handle(&mut self, asked: ReadJobHistory, _: &Context<Self>) -> Reply<Result<Vec<JobRun>, Failure>> {
        if self.plan.config(&asked.name).is_none() {
            return Reply::Now(Err(self.unknown(&asked.name)));
        }
        let limit = if asked.limit == 0 { 50 } else { asked.limit };
        let question = ReadRuns { job: Some(asked.name), state: None, limit };
        let port = self.ports.read_runs.clone();
        Reply::later(async move {
            match port.ask(question, STORE_DEADLINE).await {
                Ok(Ok(runs)) => Ok(runs),
                Ok(Err(error)) => Err(Failure::new(FailureClass::Overloaded, error.to_string())),
                Err(fault) => Err(Failure::from(fault)),
            }
        })
    }
}

impl Handle<Reconfigure<Config>> for Scheduler {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, context: &Context<Self>) -> Reply<()> {
        self.config = config;
        if self.is_loaded {
            self.take_over();
            self.report_past(true, context);
        }
        Reply::Now(())
    }
}

impl Handle<Drain> for Scheduler {
    fn handle(&mut self, _: Drain, _: &Context<Self>) -> Reply<()> {
        self.is_draining = true;
        Reply::Now(())
    }
}

impl Handle<ListTools> for Scheduler {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(tools::offer())
    }
}

impl Handle<CallTool> for Scheduler {
    fn handle(&mut self, call: CallTool, context: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        let wanted = match tools::read(&call) {
            Ok(wanted) => wanted,
            Err(said) => return Reply::Now(Ok(ToolResult::error(said))),
        };
        match wanted {
            tools::Wanted::List => Reply::Now(Ok(tools::list(&self.statuses(), self.ports.clock.now()))),
            tools::Wanted::History(name) => {
                let answer = self.handle(ReadJobHistory { name, limit: 20 }, context);
                told(answer, |runs| tools::history(&runs))
            }
            tools::Wanted::Run(name) => {
                let answer = self.handle(RunJob { name, by: call.caller }, context);
                told(answer, |run| ToolResult::ok(format!("{} runs now; job_history tells how it ends", run.job)))
            }
        }
    }
}

/// An answer for people as an answer for the model: a failure is something it should know.
fn told<T: 'static>(
    answer: Reply<Result<T, Failure>>,
    show: impl FnOnce(T) -> ToolResult + 'static,
) -> Reply<Result<ToolResult, Failure>> {
    let tell =
        |answer: Result<T, Failure>| Ok(answer.map_or_else(|failure| ToolResult::error(failure.to_string()), show));
    match answer {
        Reply::Now(answer) => Reply::Now(tell(answer)),
        Reply::Later(answer) => Reply::later(async move { tell(answer.await) }),
    }
}
