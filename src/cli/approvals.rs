//! `haia approvals`: what waits for a person, and a person's decision, through the running daemon.

use super::Exit;
use super::alerts::{done, list, shown, time, word};
use super::output::Output;
use super::socket::{Socket, encode};
use super::table::{Cell, Table};
use super::text::{clean, one_line};
use serde_json::Value;
use std::time::Duration;

/// How often a running action is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What to do with proposals.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum ApprovalsAction {
    /// Show what waits for a decision, and what was decided lately
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one proposal with everything it rests on
    Show {
        /// Its number
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Approve a proposal; the action is then run, and followed to its end
    Approve {
        /// Its number
        id: String,
        /// Do not wait for the end of the action
        #[arg(long)]
        no_wait: bool,
    },
    /// Deny a proposal
    Deny {
        /// Its number
        id: String,
    },
}

/// Does what was asked for.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(action: &ApprovalsAction, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        ApprovalsAction::List { json } => {
            let body = done(socket.ask("GET", "/api/approvals?limit=50", None)?)?;
            if *json {
                return shown(output, &body);
            }
            let proposals: Vec<&Value> = list(&body, "proposals").collect();
            if proposals.is_empty() {
                output.line("Nothing was proposed yet. What may be proposed stands in [approvals] of haia.toml.")?;
                return Ok(Exit::Done);
            }
            output.write(&table(&proposals).render(output.colour()))?;
        }
        ApprovalsAction::Show { id, json } => {
            let body = done(socket.ask("GET", &path(id), None)?)?;
            if *json {
                return shown(output, &body);
            }
            output.write(&details(&body))?;
        }
        ApprovalsAction::Approve { id, no_wait } => {
            let body = done(socket.ask("POST", &format!("{}/approve", path(id)), None)?)?;
            output.line(&one_line(word(&body, "said")))?;
            if !*no_wait {
                return follow(id, socket, output);
            }
        }
        ApprovalsAction::Deny { id } => {
            let body = done(socket.ask("POST", &format!("{}/deny", path(id)), None)?)?;
            output.line(&one_line(word(&body, "said")))?;
        }
    }
    Ok(Exit::Done)
}

fn path(id: &str) -> String {
    format!("/api/approvals/{}", encode(id.trim_start_matches('#')))
}

/// Looks at an approved proposal until it has ended, and tells each step.
fn follow(id: &str, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    let mut last = String::new();
    loop {
        let body = done(socket.ask("GET", &path(id), None)?)?;
        let steps: Vec<&str> = list(&body, "progress").map(|step| word(step, "text")).collect();
        if let Some(step) = steps.last().filter(|step| **step != last) {
            output.progress(&one_line(step));
            last = (*step).to_owned();
        }
        match word(&body, "state") {
            "approved" | "running" => std::thread::sleep(LOOK_EVERY),
            // It waits for another person.
            "proposed" => return Ok(Exit::Done),
            state => {
                output.line(&one_line(&format!("{state}: {}", word(&body, "result"))))?;
                return Ok(if state == "done" { Exit::Done } else { Exit::Failed });
            }
        }
    }
}

fn table(proposals: &[&Value]) -> Table {
    let mut table = Table::new(["PROPOSAL", "STATE", "ACTION", "BY", "PROPOSED", "UNTIL", "RESULT"]);
    for proposal in proposals {
        let is_open = word(proposal, "state") == "proposed";
        table.row([
            Cell::from(proposal["id"].as_u64().unwrap_or(0)),
            Cell::state(word(proposal, "state")),
            Cell::from(word(&proposal["plan"], "action")),
            Cell::from(word(proposal, "proposed_by")),
            Cell::from(time(&proposal["proposed"])),
            Cell::from(if is_open { time(&proposal["expires"]) } else { "-".to_owned() }),
            Cell::from(word(proposal, "result").chars().take(120).collect::<String>()),
        ]);
    }
    table
}

/// Everything about one proposal, a line each.
fn details(proposal: &Value) -> String {
    let plan = &proposal["plan"];
    let texts = |list: &Value| -> String {
        let texts = list.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str);
        texts.map(one_line).collect::<Vec<_>>().join("; ")
    };
    let facts = |facts: &Value| -> String {
        let facts = facts.as_array().map_or(&[][..], Vec::as_slice).iter();
        facts
            .map(|fact| one_line(&format!("{} {}", word(fact, "label"), word(fact, "text"))))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let decisions: Vec<String> = list(proposal, "decisions")
        .map(|decision| {
            let verb = if decision["approve"] == true { "approved" } else { "denied" };
            format!("{verb} by {} ({}) at {}", word(decision, "by"), word(decision, "channel"), time(&decision["at"]))
        })
        .collect();
    let steps =
        list(proposal, "progress").map(|step| format!("{} {}", time(&step["at"]), one_line(word(step, "text"))));
    let mut text = format!("#{} {}: {}\n", proposal["id"], word(proposal, "state"), one_line(word(plan, "action")));
    let mut add = |label: &str, value: String| {
        if !value.is_empty() && value != "-" {
            text.push_str(&format!("{label:<13}{}\n", clean(&value)));
        }
    };
    add("tool", format!("{} {}", one_line(word(plan, "tool")), one_line(word(plan, "arguments"))));
    add("options", facts(&plan["options"]));
    add("why", one_line(word(plan, "reason")));
    add("effect", one_line(word(plan, "effect")));
    add("depends", texts(&plan["dependents"]));
    add("warnings", texts(&plan["warnings"]));
    add("rests on", facts(&plan["state"]));
    add("evidence", facts(&plan["evidence"]));
    add(
        "proposed",
        format!(
            "{} by {} ({}), request {}",
            time(&proposal["proposed"]),
            one_line(word(proposal, "proposed_by")),
            word(proposal, "origin"),
            one_line(word(proposal, "request_id"))
        ),
    );
    add("until", time(&proposal["expires"]));
    add("approvals", format!("{} needed", proposal["approvals_needed"]));
    add("decisions", decisions.join("; "));
    add("began", time(&proposal["began"]));
    for step in steps {
        add("", step);
    }
    add("ended", time(&proposal["ended"]));
    add("reference", one_line(word(proposal, "reference")));
    add("result", one_line(word(proposal, "result")));
    text
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use serde_json::json;

    fn proposal(state: &str, result: Option<&str>) -> Value {
        json!({
            "id": 7, "state": state, "proposed_by": "web", "origin": "chat", "request_id": "r1", "proposed": null, "expires": null,
            "approvals_needed": 1, "decisions": [], "began": null, "ended": null, "reference": null, "result": result,
            "progress": [{"at": null, "text": "the task runs"}],
            "plan": {"tool": "shutdown_guest", "arguments": "{\"vmid\":101}", "action": "Shut down web-01\u{1b}[2J", "effect": "it ends",
                "reason": "", "options": [], "dependents": ["proxy (102)"], "warnings": [], "state": [{"label": "status", "text": "running"}],
                "evidence": []},
        })
    }

    fn run_with(action: &ApprovalsAction, replies: &[Value]) -> (Exit, String, String, String) {
        let daemon = Daemon::start(replies.iter().map(|reply| answer("200 OK", &reply.to_string())).collect());
        let (mut output, out, error) = output();
        let exit = run(action, &daemon.socket(), &mut output).expect("done");
        (exit, out.text(), error.text(), daemon.request())
    }

    #[test]
    fn proposals_are_a_table_and_one_is_shown_whole() {
        let (_, out, ..) =
            run_with(&ApprovalsAction::List { json: false }, &[json!({"proposals": [proposal("proposed", None)]})]);
        assert_eq!(
            out,
            "PROPOSAL  STATE     ACTION               BY   PROPOSED  UNTIL  RESULT\n\
             7         proposed  Shut down web-01[2J  web  -         -\n"
        );
        let (_, out, ..) = run_with(&ApprovalsAction::List { json: false }, &[json!({"proposals": []})]);
        assert!(out.starts_with("Nothing was proposed yet"), "{out}");
        let show = ApprovalsAction::Show { id: "#7".into(), json: false };
        let (_, out, _, request) = run_with(&show, &[proposal("running", None)]);
        assert!(request.starts_with("GET /api/approvals/7 "), "{request}");
        for line in [
            "#7 running: Shut down web-01[2J",
            "depends      proxy (102)",
            "rests on     status running",
            "             - the task runs",
        ] {
            assert!(out.contains(line), "{line}: {out}");
        }
    }

    #[test]
    fn an_approval_is_followed_to_its_end() {
        let approve = ApprovalsAction::Approve { id: "7".into(), no_wait: false };
        let counted = json!({"counted": true, "said": "Proposal 7 is approved."});
        let (exit, out, error, _) = run_with(&approve, &[counted.clone(), proposal("done", Some("it is off"))]);
        assert_eq!(
            (exit, out.as_str(), error.as_str()),
            (Exit::Done, "Proposal 7 is approved.\ndone: it is off\n", "the task runs\n")
        );
        let (exit, out, ..) = run_with(&approve, &[counted.clone(), proposal("failed", Some("VM is locked"))]);
        assert!(exit == Exit::Failed && out.ends_with("failed: VM is locked\n"), "{out}");
        let (exit, ..) = run_with(&approve, &[counted, proposal("proposed", None)]);
        assert_eq!(exit, Exit::Done, "another person is waited for");
        let late = answer("409 Conflict", r#"{"error":{"message":"Proposal 7 was denied by anna."}}"#);
        let daemon = Daemon::start(vec![late]);
        let error = run(&approve, &daemon.socket(), &mut output().0).expect_err("too late");
        assert_eq!(error.to_string(), "Proposal 7 was denied by anna.");
        let (exit, _, _, request) =
            run_with(&ApprovalsAction::Deny { id: "7".into() }, &[json!({"counted": true, "said": "x"})]);
        assert!(exit == Exit::Done && request.starts_with("POST /api/approvals/7/deny "), "{request}");
    }
}
