//! The agent's tools for jobs: `list_jobs`, `job_history`, `run_job`.
//!
//! Running a job is HAIA's own bookkeeping and touches nothing outside by itself, so it needs no approval; but it needs a person with
//! `control` behind the turn, and background turns may not.

use contract::caller::Scope;
use contract::jobs::{JobRun, JobStatus};
use contract::tools::{CallTool, Risk, Tool, ToolResult};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What a call asks for.
pub(crate) enum Wanted {
    List,
    History(Arc<str>),
    Run(Arc<str>),
}

const NOTHING: &str = r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#;
const NAME: &str = r#"{"type":"object","properties":{"name":{"type":"string","description":"The job's name, as list_jobs tells it."}},"required":["name"],"additionalProperties":false}"#;

/// Name, title, description, parameters.
const TOOLS: [(&str, &str, &str, &str); 3] = [
    (
        "list_jobs",
        "Looking at the jobs",
        "HAIA's scheduled jobs: what each does, when it runs next, how its last run ended.",
        NOTHING,
    ),
    (
        "job_history",
        "Looking at a job's runs",
        "The last runs of one of HAIA's scheduled jobs with their results or errors.",
        NAME,
    ),
    ("run_job", "Running a job", "Runs one of HAIA's scheduled jobs now. Only when the person asks for it.", NAME),
];

/// The tools on offer.
pub(crate) fn offer() -> Vec<Tool> {
    TOOLS
        .iter()
        .map(|(name, title, description, parameters)| Tool {
            name: (*name).into(),
            description: (*description).into(),
            // The schemas are constants that a test reads; null would be left out of the catalogue and told in the log.
            parameters: RawValue::from_string((*parameters).to_owned())
                .unwrap_or_else(|_| RawValue::NULL.to_owned())
                .into(),
            risk: Risk::Read,
            title: (*title).into(),
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// Reads a call.
///
/// # Errors
/// What is wrong with it, for the model.
pub(crate) fn read(call: &CallTool) -> Result<Wanted, String> {
    let named = || {
        let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
        serde_json::from_str::<Named>(text)
            .map(|named| Arc::<str>::from(named.name))
            .map_err(|error| format!("expected {{\"name\": …}}: {error}"))
    };
    match &*call.name {
        "list_jobs" => Ok(Wanted::List),
        "job_history" => named().map(Wanted::History),
        "run_job" if call.caller.origin.is_background() => {
            Err("only a person may have a job run; a background turn may not".to_owned())
        }
        "run_job" if call.caller.scope < Scope::Control => {
            Err("the person's key may only read; running a job needs the scope control".to_owned())
        }
        "run_job" => named().map(Wanted::Run),
        other => Err(format!("the scheduler has no tool {other:?}")),
    }
}

/// The jobs for the model.
pub(crate) fn list(jobs: &[JobStatus], now: Timestamp) -> ToolResult {
    let rows = jobs.iter().map(|job| {
        json!({
            "name": job.name, "state": job.state, "does": job.kind, "when": job.schedule, "next": job.next,
            "last_run": job.last.as_ref().map(|run| json!({"began": run.started, "state": run.state.as_str(), "error": run.error})),
        })
    });
    ToolResult::ok(json!({ "now": now, "jobs": rows.collect::<Vec<_>>() }).to_string())
}

/// Runs for the model.
pub(crate) fn history(runs: &[JobRun]) -> ToolResult {
    let rows = runs.iter().map(|run| {
        let output = run.output.as_ref().map(|output| output.chars().take(300).collect::<String>());
        json!({"began": run.started, "ended": run.ended, "state": run.state.as_str(), "because": run.trigger, "error": run.error, "output": output})
    });
    ToolResult::ok(json!({ "runs": rows.collect::<Vec<_>>() }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::caller::{Caller, Origin};
    use contract::ids::RequestId;
    use std::time::Duration;

    fn call(name: &str, arguments: &str, scope: Scope, origin: Origin) -> CallTool {
        CallTool {
            request_id: RequestId::new("r"),
            caller: Caller { name: "web".into(), scope, origin },
            name: name.into(),
            arguments: arguments.to_owned(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn only_a_person_with_control_runs_a_job() {
        let run = r#"{"name":"report"}"#;
        assert!(
            matches!(read(&call("run_job", run, Scope::Control, Origin::Chat)), Ok(Wanted::Run(name)) if &*name == "report")
        );
        assert!(read(&call("run_job", run, Scope::Read, Origin::Chat)).is_err());
        for origin in [Origin::Job, Origin::Alert, Origin::Internal] {
            assert!(read(&call("run_job", run, Scope::Admin, origin)).is_err());
        }
        assert!(matches!(read(&call("list_jobs", "", Scope::Read, Origin::Job)), Ok(Wanted::List)));
        assert!(read(&call("job_history", "{}", Scope::Read, Origin::Job)).is_err());
    }

    #[test]
    fn schemas_are_objects_that_allow_nothing_else() {
        for tool in offer() {
            let schema: serde_json::Value = serde_json::from_str(tool.parameters.get()).unwrap();
            assert_eq!((&schema["type"], &schema["additionalProperties"]), (&json!("object"), &json!(false)));
        }
    }
}
