//! `haia status`: what the running daemon reports of itself, as tables.

use super::Exit;
use super::output::Output;
use super::socket::Socket;
use super::table::{Cell, Table};
use super::text::{Style, bytes, duration, milliseconds, one_line};
use serde_json::Value;
use std::time::Duration;

/// Lists of `/status` whose members have a name and a state, and what people call them.
const LISTS: [(&str, &str); 4] =
    [("alerts", "ALERT"), ("jobs", "JOB"), ("channels", "CHANNEL"), ("mcp_servers", "MCP SERVER")];

/// Asks the daemon and shows what it says.
///
/// # Errors
/// The daemon cannot be asked, or stdout is closed.
pub fn run(socket: &Socket, json: bool, output: &mut Output) -> anyhow::Result<Exit> {
    let answer = socket.ask("GET", "/status", None)?;
    anyhow::ensure!(answer.is_success(), "{}", answer.refusal());
    let status = answer.json()?;
    if json {
        output.json(&status)?;
    } else {
        output.write(&render(&status, output.colour()))?;
    }
    Ok(Exit::Done)
}

/// The status as text.
pub fn render(status: &Value, colour: bool) -> String {
    let mut text = summary(status, colour);
    for table in
        [actors(status), providers(status), models(status), keys(status), clusters(status)].into_iter().flatten()
    {
        text.push('\n');
        text.push_str(&table.render(colour));
    }
    for (list, title) in LISTS {
        let members = members(status, list);
        if !members.is_empty() {
            let mut table = Table::new([title, "STATE"]);
            for member in members {
                table.row([Cell::from(word(member, "name")), Cell::state(word(member, "state"))]);
            }
            text.push('\n');
            text.push_str(&table.render(colour));
        }
    }
    text
}

fn summary(status: &Value, colour: bool) -> String {
    let figure = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let up = duration(Duration::from_secs(figure("/uptime_s")));
    let title = Style::Strong.paint(&format!("HAIA {}", one_line(word(status, "version"))), colour);
    let mut text = format!("{title}, up {up}, configuration {}\n", figure("/generation"));
    text.push_str(&format!(
        "turns: {} running, {} waiting; streams: {}; provider connections: {}\n",
        figure("/turns/active"),
        figure("/turns/queued"),
        figure("/streams/open"),
        figure("/provider_connections/active"),
    ));
    let bad = |text: String| format!("{}\n", Style::Bad.paint(&one_line(&text), colour));
    match &status["store"] {
        Value::Object(store) => {
            let path = store.get("path").and_then(Value::as_str).unwrap_or_default();
            text.push_str(&format!("store: {}, {}\n", one_line(path), bytes(figure("/store/bytes"))));
            if let Some(problem) = store.get("problem").and_then(Value::as_str) {
                text.push_str(&bad(format!("store: {problem}")));
            }
            if figure("/store/audit_lost") > 0 {
                text.push_str(&bad(format!("store: {} audit rows were lost", figure("/store/audit_lost"))));
            }
        }
        _ => text.push_str(&bad("store: it did not answer".to_owned())),
    }
    if let Some(error) = status["reload_error"].as_str() {
        for line in error.lines() {
            text.push_str(&bad(format!("the last reload was refused: {line}")));
        }
    }
    text
}

fn actors(status: &Value) -> Option<Table> {
    let actors = members(status, "actors");
    let mut table = Table::new(["ACTOR", "STATE", "RESTARTS", "WAITING", "HANDLED", "LOST", "WAIT p99", "HANDLE p99"]);
    for actor in actors {
        let count = |name: &str| actor[name].as_u64().unwrap_or(0);
        let marked = |name: &str| match count(name) {
            0 => Cell::from(0),
            some => Cell::styled(some.to_string(), Style::Middling),
        };
        table.row([
            Cell::from(word(actor, "name")),
            Cell::state(word(actor, "state")),
            marked("restarts"),
            Cell::from(count("mailbox_depth")),
            Cell::from(count("handled")),
            marked("dead_letters"),
            Cell::from(milliseconds(actor["wait_ms"]["p99"].as_f64().unwrap_or(0.0))),
            Cell::from(milliseconds(actor["handle_ms"]["p99"].as_f64().unwrap_or(0.0))),
        ]);
    }
    (!actors.is_empty()).then_some(table)
}

fn providers(status: &Value) -> Option<Table> {
    let providers = members(status, "providers");
    let mut table = Table::new([
        "PROVIDER",
        "STATE",
        "KIND",
        "MODELS",
        "CALLS",
        "ERRORS",
        "FIRST p50",
        "TOTAL p50",
        "TOKENS",
        "COST",
        "LAST ERROR",
    ]);
    for provider in providers {
        let count = |name: &str| provider[name].as_u64().unwrap_or(0);
        let errors = Style::of_state(if count("errors") > 0 { "warning" } else { "" });
        table.row([
            Cell::from(word(provider, "name")),
            Cell::state(word(provider, "state")),
            Cell::from(word(provider, "kind")),
            Cell::from(members(provider, "models").len()),
            Cell::from(count("requests")),
            Cell::styled(count("errors").to_string(), errors),
            Cell::from(milliseconds(provider["first_token_ms"]["p50"].as_f64().unwrap_or(0.0))),
            Cell::from(milliseconds(provider["total_ms"]["p50"].as_f64().unwrap_or(0.0))),
            Cell::from(tokens(provider)),
            Cell::from(cost(provider)),
            Cell::from(word(provider, "last_error")),
        ]);
    }
    (!providers.is_empty()).then_some(table)
}

fn clusters(status: &Value) -> Option<Table> {
    let clusters = members(status, "clusters");
    let mut table =
        Table::new(["CLUSTER", "STATE", "NODES", "GUESTS", "LAST POLL", "TOOK", "POLLS", "ERRORS", "PROBLEM"]);
    for cluster in clusters {
        let count = |name: &str| cluster[name].as_u64().unwrap_or(0);
        let age = cluster["last_good_poll_age_s"].as_u64().map(|age_s| duration(Duration::from_secs(age_s)));
        let took = cluster["poll_ms"].as_f64().map(milliseconds);
        let errors = Style::of_state(if count("errors") > 0 { "warning" } else { "" });
        table.row([
            Cell::from(word(cluster, "name")),
            Cell::state(word(cluster, "state")),
            Cell::from(format!("{} of {} online", count("nodes_online"), count("nodes"))),
            Cell::from(format!("{} of {} running", count("guests_running"), count("guests"))),
            Cell::from(age.map_or_else(|| "never".to_owned(), |age| format!("{age} ago"))),
            Cell::from(took.unwrap_or_default()),
            Cell::from(count("polls")),
            Cell::styled(count("errors").to_string(), errors),
            Cell::from(word(cluster, "problem")),
        ]);
    }
    (!clusters.is_empty()).then_some(table)
}

/// What each model's calls took by the calendar.
fn models(status: &Value) -> Option<Table> {
    let mut table = usage_table("MODEL", &[]);
    let mut any = false;
    for provider in members(status, "providers") {
        for model in members(provider, "usage_by_model") {
            let name = format!("{}/{}", word(provider, "name"), word(model, "name"));
            table.row(std::iter::once(Cell::from(name)).chain(usage_cells(model)));
            any = true;
        }
    }
    any.then_some(table)
}

/// What each key's calls took by the calendar, and how much of its limits that is.
fn keys(status: &Value) -> Option<Table> {
    let keys = members(status, "keys");
    let mut table = usage_table("KEY", &["STATE", "LIMITS"]);
    for key in keys {
        let limit = |limit: &Value| {
            let share = 100.0 * limit["used"].as_f64().unwrap_or(0.0) / limit["limit"].as_f64().unwrap_or(0.0);
            format!("{} {share:.0}%", word(limit, "name"))
        };
        let limits: Vec<String> = members(key, "limits").iter().map(limit).collect();
        let own = [Cell::state(word(key, "state")), Cell::from(limits.join(", "))];
        table.row(std::iter::once(Cell::from(word(key, "name"))).chain(usage_cells(key)).chain(own));
    }
    (!keys.is_empty()).then_some(table)
}

fn usage_table(title: &'static str, more: &[&'static str]) -> Table {
    let own = [title, "TODAY", "TOKENS", "COST", "MONTH", "TOKENS", "COST", "FIRST", "TOTAL"];
    Table::new(own.into_iter().chain(more.iter().copied()))
}

/// Today's and this month's calls, tokens and cost, and the month's mean times.
fn usage_cells(of: &Value) -> Vec<Cell> {
    let (today, month) = (&of["today"], &of["month"]);
    let figures = |figures: &Value| {
        [Cell::from(figures["calls"].as_u64().unwrap_or(0)), Cell::from(tokens(figures)), Cell::from(cost(figures))]
    };
    let time = |name: &str| Cell::from(month[name].as_f64().map_or_else(|| UNKNOWN.to_owned(), milliseconds));
    let times = [time("first_token_ms"), time("total_ms")];
    figures(today).into_iter().chain(figures(month)).chain(times).collect()
}

/// What nobody told.
const UNKNOWN: &str = "?";

/// Tokens read and written, as far as anybody told.
pub(super) fn tokens(figures: &Value) -> String {
    let count = |name: &str| figures[name].as_u64().map_or_else(|| UNKNOWN.to_owned(), |tokens| tokens.to_string());
    match (&figures["input_tokens"], &figures["output_tokens"]) {
        (Value::Null, Value::Null) => UNKNOWN.to_owned(),
        _ => format!("{} in, {} out", count("input_tokens"), count("output_tokens")),
    }
}

/// USD, or that nobody told.
pub(super) fn cost(figures: &Value) -> String {
    figures["cost"].as_f64().map_or_else(|| UNKNOWN.to_owned(), |usd| format!("${usd:.4}"))
}

fn members<'a>(value: &'a Value, list: &str) -> &'a [Value] {
    value[list].as_array().map_or(&[], Vec::as_slice)
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use serde_json::json;

    fn status() -> Value {
        let quantiles = json!({"p50": 0.1, "p99": 12.0, "max": 40.0});
        let month = json!({"calls": 4, "input_tokens": 10, "output_tokens": null, "cost": null, "first_token_ms": 40.0, "total_ms": 900.0});
        let none = json!({"calls": 0, "input_tokens": null, "output_tokens": null, "cost": null, "first_token_ms": null, "total_ms": null});
        json!({
            "version": "0.1.0", "uptime_s": 90_061, "generation": 2, "reload_error": "haia.toml:1: wrong",
            "turns": {"active": 1, "queued": 2}, "streams": {"open": 3}, "provider_connections": {"active": 4},
            "actors": [{"name": "store", "state": "running", "required": true, "restarts": 1, "mailbox_depth": 0, "handled": 77,
                "dead_letters": 0, "wait_ms": quantiles, "handle_ms": quantiles}],
            "providers": [{"name": "ollama", "state": "failing", "kind": "ollama", "models": ["a", "b"], "requests": 5, "errors": 2,
                "last_error": "unreachable: no\nroute", "first_token_ms": quantiles, "total_ms": quantiles, "input_tokens": 10,
                "output_tokens": 20, "cost": 0.25, "usage_by_model": [{"name": "a", "today": month, "month": month}]}],
            "keys": [{"name": "tablet", "state": "limited", "today": none, "month": month,
                "limits": [{"name": "tokens_per_day", "limit": 100.0, "used": 125.0, "resets_at": "2026-03-02T00:00:00Z"}]}],
            "clusters": [{"name": "lab", "state": "blind", "problem": "it cannot be reached", "last_good_poll_age_s": 90, "poll_ms": 14,
                "polls": 9, "errors": 2, "nodes": 3, "nodes_online": 2, "guests": 31, "guests_running": 24},
                {"name": "attic", "state": "starting", "problem": null, "last_good_poll_age_s": null, "poll_ms": null}], "alerts": [], "jobs": [{"name": "morning", "state": "paused"}], "channels": [], "mcp_servers": [],
            "store": {"path": "haia.db", "schema": 1, "problem": null, "bytes": 2048, "audit_waiting": 0, "audit_lost": 0}
        })
    }

    #[test]
    fn a_person_sees_tables() {
        let expected = "\
HAIA 0.1.0, up 1d 1h, configuration 2
turns: 1 running, 2 waiting; streams: 3; provider connections: 4
store: haia.db, 2.0 KiB
the last reload was refused: haia.toml:1: wrong

ACTOR  STATE    RESTARTS  WAITING  HANDLED  LOST  WAIT p99  HANDLE p99
store  running  1         0        77       0     12ms      12ms

PROVIDER  STATE    KIND    MODELS  CALLS  ERRORS  FIRST p50  TOTAL p50  TOKENS         COST     LAST ERROR
ollama    failing  ollama  2       5      2       0.1ms      0.1ms      10 in, 20 out  $0.2500  unreachable: no route

MODEL     TODAY  TOKENS        COST  MONTH  TOKENS        COST  FIRST  TOTAL
ollama/a  4      10 in, ? out  ?     4      10 in, ? out  ?     40ms   900ms

KEY     TODAY  TOKENS  COST  MONTH  TOKENS        COST  FIRST  TOTAL  STATE    LIMITS
tablet  0      ?       ?     4      10 in, ? out  ?     40ms   900ms  limited  tokens_per_day 125%

CLUSTER  STATE     NODES          GUESTS            LAST POLL   TOOK  POLLS  ERRORS  PROBLEM
lab      blind     2 of 3 online  24 of 31 running  1m 30s ago  14ms  9      2       it cannot be reached
attic    starting  0 of 0 online  0 of 0 running    never             0      0

JOB      STATE
morning  paused
";
        assert_eq!(render(&status(), false), expected);
    }

    #[test]
    fn an_odd_status_is_shown_as_far_as_it_goes() {
        let text = render(&json!({"version": "\u{1b}[2J", "actors": "?"}), false);
        assert!(text.contains("store: it did not answer") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_program_gets_it_as_it_is() {
        let daemon = Daemon::start(vec![answer("200 OK", &status().to_string()), answer("403 Forbidden", "{}")]);
        let (mut output, out, _) = output();
        assert_eq!(run(&daemon.socket(), true, &mut output).expect("asked"), Exit::Done);
        assert_eq!(serde_json::from_str::<Value>(&out.text()).ok(), Some(status()));
        assert!(run(&daemon.socket(), false, &mut output).is_err());
    }
}
