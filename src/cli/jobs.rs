//! `haia jobs`: what is done by the clock, and doing it now, through the running daemon.

use super::alerts::{done, list, shown, time, word};
use super::output::Output;
use super::socket::{Socket, encode};
use super::table::{Cell, Table};
use super::{Exit, JobsAction};
use serde_json::Value;

/// Does what was asked for.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(action: &JobsAction, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        JobsAction::List { json } => {
            let body = done(socket.ask("GET", "/api/jobs", None)?)?;
            if *json {
                return shown(output, &body);
            }
            let jobs: Vec<&Value> = list(&body, "jobs").collect();
            if jobs.is_empty() {
                output.line("There are no jobs: they stand in [jobs] of haia.toml.")?;
                return Ok(Exit::Done);
            }
            let mut table = Table::new(["JOB", "STATE", "DOES", "WHEN", "NEXT", "LAST", "RESULT"]);
            for job in jobs {
                let last = &job["last"];
                table.row([
                    Cell::from(word(job, "name")),
                    Cell::state(word(job, "state")),
                    Cell::from(word(job, "kind")),
                    Cell::from(word(job, "schedule")),
                    Cell::from(time(&job["next"])),
                    Cell::from(time(&last["started"])),
                    Cell::state(word(last, "state")),
                ]);
            }
            output.write(&table.render(output.colour()))?;
        }
        JobsAction::Run { name } => {
            let run = done(socket.ask("POST", &format!("/api/jobs/{}/run", encode(name)), None)?)?;
            let verb = if word(&run, "state") == "skipped" { "was skipped" } else { "runs" };
            output.line(&format!("{name} {verb}; \"haia jobs history {name}\" tells how it ends."))?;
        }
        JobsAction::Pause { name } => {
            done(socket.ask("POST", &format!("/api/jobs/{}/pause", encode(name)), None)?)?;
            output.line(&format!("{name} is paused, until \"haia jobs resume {name}\"."))?;
        }
        JobsAction::Resume { name } => {
            let job = done(socket.ask("POST", &format!("/api/jobs/{}/resume", encode(name)), None)?)?;
            output.line(&format!("{name} goes on, next at {}.", time(&job["next"])))?;
        }
        JobsAction::History { name, json } => {
            let body = done(socket.ask("GET", &format!("/api/jobs/{}", encode(name)), None)?)?;
            if *json {
                return shown(output, &body);
            }
            let runs: Vec<&Value> = list(&body, "runs").collect();
            if runs.is_empty() {
                output.line(&format!("{name} has not run yet."))?;
                return Ok(Exit::Done);
            }
            let mut table = Table::new(["BEGAN", "ENDED", "RESULT", "BECAUSE", "NOTE"]);
            for run in runs {
                let note = if run["error"].is_null() { word(run, "output") } else { word(run, "error") };
                table.row([
                    Cell::from(time(&run["started"])),
                    Cell::from(time(&run["ended"])),
                    Cell::state(word(run, "state")),
                    Cell::from(word(run, "trigger")),
                    Cell::from(note.chars().take(120).collect::<String>()),
                ]);
            }
            output.write(&table.render(output.colour()))?;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use serde_json::json;

    fn run_with(action: &JobsAction, reply: &Value) -> (String, String) {
        let daemon = Daemon::start(vec![answer("200 OK", &reply.to_string())]);
        let (mut output, out, _) = output();
        run(action, &daemon.socket(), &mut output).expect("done");
        (out.text(), daemon.request())
    }

    #[test]
    fn jobs_are_a_table() {
        let job = json!({"name": "report", "state": "scheduled", "kind": "ask", "schedule": "0 0 8 * * *", "next": null, "last": null});
        let (out, _) = run_with(&JobsAction::List { json: false }, &json!({"jobs": [job]}));
        let expected = "\
JOB     STATE      DOES  WHEN         NEXT  LAST  RESULT
report  scheduled  ask   0 0 8 * * *  -     -
";
        assert_eq!(out, expected);
        let (out, _) = run_with(&JobsAction::List { json: false }, &json!({"jobs": []}));
        assert!(out.starts_with("There are no jobs"), "{out}");
    }

    #[test]
    fn a_job_is_run_and_its_runs_are_listed() {
        let (out, request) = run_with(&JobsAction::Run { name: "r t".into() }, &json!({"state": "running"}));
        assert!(out.starts_with("r t runs") && request.starts_with("POST /api/jobs/r%20t/run "), "{request}");
        let run = json!({"started": null, "ended": null, "state": "failed", "trigger": "schedule", "error": "no model", "output": null});
        let history = JobsAction::History { name: "r".into(), json: false };
        let (out, _) = run_with(&history, &json!({"runs": [run]}));
        assert!(out.contains("failed") && out.contains("no model"), "{out}");
    }
}
