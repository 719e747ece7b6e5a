//! `haia audit`: the record of actions (who proposed, who decided, what ran, how it ended) and whether it is whole, through the running daemon.

use super::Exit;
use super::alerts::{done, list, shown, time, word};
use super::output::Output;
use super::socket::{Socket, encode};
use super::table::{Cell, Table};
use serde_json::Value;
use std::time::Duration;

/// A long record takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do with the record.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum AuditAction {
    /// Show the newest rows, or all of one proposal
    Show {
        /// Only this proposal's
        #[arg(long, value_name = "NUMBER")]
        proposal: Option<String>,
        /// As JSON, with the details of each row
        #[arg(long)]
        json: bool,
    },
    /// Check that no row was changed or taken out
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Does what was asked for.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(action: &AuditAction, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        AuditAction::Show { proposal, json } => {
            let only = proposal.as_deref().map(|id| format!("&proposal={}", encode(id.trim_start_matches('#'))));
            let path = format!("/api/audit/actions?limit=200{}", only.unwrap_or_default());
            let body = done(socket.ask("GET", &path, None)?)?;
            if *json {
                return shown(output, &body);
            }
            let rows: Vec<&Value> = list(&body, "rows").collect();
            if rows.is_empty() {
                output.line("Nothing is on record.")?;
                return Ok(Exit::Done);
            }
            let mut table = Table::new(["ROW", "WHEN", "PROPOSAL", "WHAT", "WHO", "VIA", "TEXT"]);
            for row in rows {
                let proposal = row["proposal"].as_u64().filter(|id| *id > 0);
                table.row([
                    Cell::from(row["id"].as_u64().unwrap_or(0)),
                    Cell::from(time(&row["at"])),
                    Cell::from(proposal.map_or_else(|| "-".to_owned(), |id| id.to_string())),
                    Cell::from(word(row, "what")),
                    Cell::from(word(row, "who")),
                    Cell::from(word(row, "via")),
                    Cell::from(word(row, "text").chars().take(160).collect::<String>()),
                ]);
            }
            output.write(&table.render(output.colour()))?;
        }
        AuditAction::Verify { json } => {
            let body = done(socket.ask_within("GET", "/api/audit/verify", None, PATIENCE)?)?;
            let is_whole = body["broken"].is_null();
            if *json {
                shown(output, &body)?;
            } else if is_whole {
                output.line(&format!(
                    "The record is whole: {} rows. Hash of the last: {}",
                    body["rows"],
                    word(&body, "head")
                ))?;
            } else {
                output.problem(&format!("the record is not as it was written: {}", word(&body, "broken")));
            }
            return Ok(if is_whole { Exit::Done } else { Exit::Failed });
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

    fn run_with(action: &AuditAction, reply: &Value) -> (Exit, String, String, String) {
        let daemon = Daemon::start(vec![answer("200 OK", &reply.to_string())]);
        let (mut output, out, error) = output();
        let exit = run(action, &daemon.socket(), &mut output).expect("done");
        (exit, out.text(), error.text(), daemon.request())
    }

    #[test]
    fn rows_are_a_table() {
        let row = json!({"id": 3, "at": null, "proposal": 0, "what": "refused", "who": "web", "via": "chat", "text": "no\nrule"});
        let show = AuditAction::Show { proposal: Some("#7".into()), json: false };
        let (_, out, _, request) = run_with(&show, &json!({"rows": [row]}));
        assert!(request.starts_with("GET /api/audit/actions?limit=200&proposal=7 "), "{request}");
        assert_eq!(
            out,
            "ROW  WHEN  PROPOSAL  WHAT     WHO  VIA   TEXT\n3    -     -         refused  web  chat  no rule\n"
        );
    }

    #[test]
    fn a_broken_chain_fails() {
        let verify = AuditAction::Verify { json: false };
        let (exit, out, ..) = run_with(&verify, &json!({"rows": 2, "broken": null, "head": "ab"}));
        assert_eq!((exit, out.as_str()), (Exit::Done, "The record is whole: 2 rows. Hash of the last: ab\n"));
        let (exit, _, error, _) = run_with(&verify, &json!({"rows": 2, "broken": "row 2 is missing", "head": "ab"}));
        assert!(exit == Exit::Failed && error.contains("row 2 is missing"), "{error}");
    }
}
