//! `/api/jobs`: what is done by the clock, when it was done last, and doing it now.

use super::operate::{ask, query, read};
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::jobs::{JobRun, JobStatus, ListJobs, PauseJob, ReadJobHistory, RunJob};
use serde::{Deserialize, Serialize};

const JOB: (&str, &str, &str) = ("path", "name", "The job's name");

const fn endpoint(
    method: Verb,
    path: &'static str,
    handler: fn(Call) -> Answer,
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str)],
    gives: &'static str,
) -> Endpoint {
    let scope = match method {
        Verb::Get => Scope::Read,
        Verb::Post | Verb::Delete => Scope::Control,
    };
    let about = About { summary, parameters, takes: None, gives: ("application/json", Some(gives)), status: 200 };
    Endpoint { method, path, scope: Some(scope), starts_work: matches!(method, Verb::Post), handler, about }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    endpoint(Verb::Get, "/api/jobs", |call| Box::pin(list(call)), "Every job", &[], "Jobs"),
    endpoint(
        Verb::Get,
        "/api/jobs/{name}",
        |call| Box::pin(history(call)),
        "The runs of a job, newest first",
        &[JOB, ("query", "limit", "The most runs, 1 to 1000; 50 if not told")],
        "JobRuns",
    ),
    endpoint(
        Verb::Post,
        "/api/jobs/{name}/run",
        |call| Box::pin(run(call)),
        "Runs a job now; answered when the run has begun",
        &[JOB],
        "JobRun",
    ),
    endpoint(
        Verb::Post,
        "/api/jobs/{name}/pause",
        |call| Box::pin(pause(call, true)),
        "Pauses a job, over restarts too",
        &[JOB],
        "Job",
    ),
    endpoint(
        Verb::Post,
        "/api/jobs/{name}/resume",
        |call| Box::pin(pause(call, false)),
        "Resumes a job",
        &[JOB],
        "Job",
    ),
];

#[derive(Serialize)]
struct Jobs {
    jobs: Vec<JobStatus>,
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let jobs = read(&call.ports().watch.jobs, ListJobs).await?;
    answers::json(&Jobs { jobs })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    #[serde(default = "fifty")]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

#[derive(Serialize)]
struct Runs {
    runs: Vec<JobRun>,
}

async fn history(call: Call) -> Result<HttpResponse, Refusal> {
    let HistoryQuery { limit } = query(&call)?;
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::invalid("\"limit\" must be from 1 to 1000").with_param("limit"));
    }
    let name = call.path_part("name").into();
    let runs = ask(&call.ports().watch.job_history, ReadJobHistory { name, limit }).await?;
    answers::json(&Runs { runs })
}

async fn run(call: Call) -> Result<HttpResponse, Refusal> {
    let (name, by) = (call.path_part("name"), call.caller()?.clone());
    let run = ask(&call.ports().watch.run_job, RunJob { name: name.as_str().into(), by }).await?;
    record(&call, &format!("job run {name}"), "ok");
    answers::json(&run)
}

async fn pause(call: Call, pause: bool) -> Result<HttpResponse, Refusal> {
    let (name, by) = (call.path_part("name"), call.caller()?.clone());
    let job = ask(&call.ports().watch.pause_job, PauseJob { name: name.as_str().into(), pause, by }).await?;
    record(&call, &format!("job {} {name}", if pause { "pause" } else { "resume" }), "ok");
    answers::json(&job)
}
