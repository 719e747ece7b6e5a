//! `haia usage`: what calls of models took, by day, by model and by key, as tables, through the running daemon.

use super::Exit;
use super::alerts::{done, list, shown, word};
use super::output::Output;
use super::socket::Socket;
use super::status::{cost, tokens};
use super::table::{Cell, Table};
use serde_json::Value;

/// Asks the daemon for so many days and shows what it says.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(days: u32, json: bool, socket: &Socket, output: &mut Output) -> anyhow::Result<Exit> {
    let body = done(socket.ask("GET", &format!("/api/usage?days={days}"), None)?)?;
    if json {
        return shown(output, &body);
    }
    if list(&body, "days").next().is_none() {
        output.line(&format!("No model was called since {}.", word(&body, "since")))?;
        return Ok(Exit::Done);
    }
    output.write(&render(&body, output.colour()))?;
    Ok(Exit::Done)
}

fn render(body: &Value, colour: bool) -> String {
    let mut of_days = table("DAY", list(body, "days"), |day| word(day, "day").to_owned());
    of_days.row(row("in all".to_owned(), &body["total"]));
    let of_models =
        table("MODEL", list(body, "models"), |model| format!("{}/{}", word(model, "provider"), word(model, "name")));
    let of_keys = table("KEY", list(body, "keys"), |key| word(key, "name").to_owned());
    [of_days, of_models, of_keys].map(|table| table.render(colour)).join("\n")
}

fn table<'a>(title: &str, of: impl Iterator<Item = &'a Value>, name: impl Fn(&Value) -> String) -> Table {
    let mut table = Table::new([title, "CALLS", "FAILED", "UNCOUNTED", "TOKENS", "COST"]);
    for figures in of {
        table.row(row(name(figures), figures));
    }
    table
}

fn row(name: String, figures: &Value) -> [Cell; 6] {
    let count = |name: &str| Cell::from(figures[name].as_u64().unwrap_or(0));
    [
        Cell::from(name),
        count("calls"),
        count("errors"),
        count("uncounted"),
        Cell::from(tokens(figures)),
        Cell::from(cost(figures)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use serde_json::json;

    fn run_with(days: u32, json: bool, reply: &Value) -> (String, String) {
        let daemon = Daemon::start(vec![answer("200 OK", &reply.to_string())]);
        let (mut output, out, _) = output();
        run(days, json, &daemon.socket(), &mut output).expect("done");
        (out.text(), daemon.request())
    }

    #[test]
    fn usage_is_three_tables() {
        let told =
            json!({"calls": 3, "errors": 1, "uncounted": 0, "input_tokens": 111, "output_tokens": 52, "cost": 9.5});
        let untold =
            json!({"calls": 1, "errors": 0, "uncounted": 1, "input_tokens": null, "output_tokens": null, "cost": null});
        let named = |figures: &Value, names: Value| {
            let mut figures = figures.clone();
            figures.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
            figures
        };
        let reply = json!({
            "since": "2026-02-01", "total": told,
            "days": [named(&told, json!({"day": "2026-03-01"})), named(&untold, json!({"day": "2026-02-28"}))],
            "models": [named(&told, json!({"provider": "openai", "name": "gpt"}))],
            "keys": [named(&untold, json!({"name": "tablet"}))],
        });
        let (out, request) = run_with(7, false, &reply);
        assert!(request.starts_with("GET /api/usage?days=7 "), "{request}");
        let expected = "\
DAY         CALLS  FAILED  UNCOUNTED  TOKENS          COST
2026-03-01  3      1       0          111 in, 52 out  $9.5000
2026-02-28  1      0       1          ?               ?
in all      3      1       0          111 in, 52 out  $9.5000

MODEL       CALLS  FAILED  UNCOUNTED  TOKENS          COST
openai/gpt  3      1       0          111 in, 52 out  $9.5000

KEY     CALLS  FAILED  UNCOUNTED  TOKENS  COST
tablet  1      0       1          ?       ?
";
        assert_eq!(out, expected);
        let (out, _) = run_with(7, true, &reply);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), reply);
    }

    #[test]
    fn a_month_without_calls_is_one_sentence() {
        let reply = json!({"since": "2026-02-01", "total": {"calls": 0}, "days": [], "models": [], "keys": []});
        assert_eq!(run_with(30, false, &reply).0, "No model was called since 2026-02-01.\n");
    }
}
