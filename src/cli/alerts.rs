//! `haia alerts`: what is open and what was, and what a person does about it, through the running daemon.

use super::output::Output;
use super::socket::{Answer, Socket, encode};
use super::table::{Cell, Table};
use super::text::{Style, duration, one_line};
use super::{AlertsAction, Exit};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::time::Duration;

/// A test message may take as long as its channel's deadline.
const TEST_PATIENCE: Duration = Duration::from_secs(60);

/// Does what was asked for.
///
/// # Errors
/// The daemon cannot be asked or refuses, or stdout is closed.
pub fn run(action: &AlertsAction, socket: &Socket, now: Timestamp, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        AlertsAction::List { json } => {
            let body = done(socket.ask("GET", "/api/alerts?state=all&limit=200", None)?)?;
            if *json {
                return shown(output, &body);
            }
            let open: Vec<&Value> = list(&body, "alerts").filter(|alert| alert["state"] != "resolved").collect();
            if open.is_empty() {
                output.line("No alert is open.")?;
            } else {
                output.write(&table(&open, now).render(output.colour()))?;
            }
        }
        AlertsAction::Show { id, json } => {
            let body = done(socket.ask("GET", &format!("/api/alerts/{}", encode(id)), None)?)?;
            if *json {
                return shown(output, &body);
            }
            output.write(&details(&body, now, output.colour()))?;
        }
        AlertsAction::Ack { id } => {
            let body = done(socket.ask("POST", &format!("/api/alerts/{}/acknowledge", encode(id)), None)?)?;
            output.line(&format!("{} is acknowledged: no more reminders, its end is still told.", title(&body)))?;
        }
        AlertsAction::Expect { id } => {
            let body = done(socket.ask("POST", &format!("/api/alerts/{}/expect", encode(id)), None)?)?;
            output.line(&format!("{} was meant to happen: it is told again only when it comes anew.", title(&body)))?;
        }
        AlertsAction::Silence { id, duration, reason } => {
            let asked = json!({ "for": duration, "reason": reason });
            let body = done(socket.ask("POST", &format!("/api/alerts/{}/silence", encode(id)), Some(&asked))?)?;
            output.line(&format!("silence {} until {}", body["id"], time(&body["until"])))?;
        }
        AlertsAction::History { json } => {
            let body = done(socket.ask("GET", "/api/alerts/history?limit=200", None)?)?;
            if *json {
                return shown(output, &body);
            }
            let mut table = Table::new(["WHEN", "ALERT", "WHAT", "NAME", "TEXT"]);
            let events: Vec<&Value> = list(&body, "events").collect();
            if events.is_empty() {
                output.line("Nothing has happened to any alert yet.")?;
                return Ok(Exit::Done);
            }
            for event in events {
                table.row([
                    Cell::from(time(&event["at"])),
                    Cell::from(event["alert"].as_u64().unwrap_or(0)),
                    Cell::from(word(event, "what")),
                    Cell::from(word(event, "name")),
                    Cell::from(word(event, "text")),
                ]);
            }
            output.write(&table.render(output.colour()))?;
        }
        AlertsAction::Test { channel } => {
            let path = format!("/api/channels/{}/test", encode(channel));
            let body = done(socket.ask_within("POST", &path, None, TEST_PATIENCE)?)?;
            output.line(&one_line(word(&body, "result")))?;
        }
    }
    Ok(Exit::Done)
}

/// The answer's body, or its refusal as an error.
pub(super) fn done(answer: Answer) -> anyhow::Result<Value> {
    anyhow::ensure!(answer.is_success(), "{}", answer.refusal());
    Ok(answer.json()?)
}

pub(super) fn shown(output: &mut Output, body: &Value) -> anyhow::Result<Exit> {
    output.json(body)?;
    Ok(Exit::Done)
}

pub(super) fn list<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body[name].as_array().map_or(&[][..], Vec::as_slice).iter()
}

pub(super) fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A time in the machine's own time zone; a dash where there is none.
pub(super) fn time(value: &Value) -> String {
    let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    at.map_or_else(|| "-".to_owned(), |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn title(alert: &Value) -> String {
    one_line(&format!("#{} {} {}", alert["id"], word(alert, "subject"), word(alert, "summary")))
}

/// How long ago, or how long it took.
fn age(alert: &Value, now: Timestamp) -> String {
    let at = |name: &str| alert[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(since) = at("since") else { return String::new() };
    let until = at("ended").unwrap_or(now);
    duration(Duration::from_secs(u64::try_from(until.as_second().saturating_sub(since.as_second())).unwrap_or(0)))
}

fn severity(word: &str) -> Cell {
    let style = match word {
        "critical" => Style::Bad,
        "warning" => Style::Middling,
        _ => Style::Plain,
    };
    Cell::styled(word, style)
}

fn table(alerts: &[&Value], now: Timestamp) -> Table {
    let mut table = Table::new(["ALERT", "SEVERITY", "STATE", "SINCE", "WHAT", "RULE", "NOTE"]);
    for alert in alerts {
        let id = alert["id"].as_u64().filter(|id| *id > 0).map_or_else(|| "-".to_owned(), |id| id.to_string());
        let note = match (word(alert, "held"), word(alert, "cause")) {
            ("", "") => String::new(),
            ("", cause) => format!("within {cause}"),
            (held, _) => held.to_owned(),
        };
        table.row([
            Cell::from(id),
            severity(word(alert, "severity")),
            Cell::state(word(alert, "state")),
            Cell::from(age(alert, now)),
            Cell::from(format!("{} {}", word(alert, "subject"), word(alert, "summary"))),
            Cell::from(word(alert, "rule")),
            Cell::from(note),
        ]);
    }
    table
}

fn details(body: &Value, now: Timestamp, colour: bool) -> String {
    let alert = &body["alert"];
    let mut text = format!("{}\n", Style::Strong.paint(&title(alert), colour));
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {label}: {}\n", one_line(value)));
        }
    };
    line("state", &format!("{}, {}", word(alert, "state"), word(alert, "severity")));
    line("rule", word(alert, "rule"));
    line("since", &format!("{} ({})", time(&alert["since"]), age(alert, now)));
    if !alert["ended"].is_null() {
        line("ended", &time(&alert["ended"]));
    }
    let limit = word(alert, "limit");
    let against = if limit.is_empty() { String::new() } else { format!(" (limit {limit})") };
    if !word(alert, "value").is_empty() {
        line("value", &format!("{}{against}", word(alert, "value")));
    }
    line("before", word(alert, "before"));
    line("probably", word(alert, "meaning"));
    line("held", word(alert, "held"));
    line("within", word(alert, "cause"));
    for fact in list(alert, "facts") {
        line(&one_line(word(fact, "label")), word(fact, "text"));
    }
    let affected: Vec<&str> = list(alert, "affected").filter_map(Value::as_str).collect();
    line("with it", &affected.join(", "));
    line("explanation", word(alert, "explanation"));
    text.push('\n');
    let mut history = Table::new(["WHEN", "WHAT", "WHO", "TEXT"]);
    for event in list(body, "events") {
        history.row([
            Cell::from(time(&event["at"])),
            Cell::from(word(event, "what")),
            Cell::from(word(event, "who")),
            Cell::from(word(event, "text")),
        ]);
    }
    text.push_str(&history.render(colour));
    text
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;
    use contract::units::Span;

    const NOW: Timestamp = Timestamp::constant(1_772_366_400, 0);

    fn alert() -> Value {
        json!({"id": 7, "name": "node_down:lab/node/pve2", "state": "firing", "severity": "critical", "rule": "node_down",
            "subject": "node pve2", "summary": "is down\u{1b}[2J", "since": "2026-03-01T11:46:00Z", "ended": null, "held": null,
            "cause": null, "value": "96 %", "limit": "95 %", "affected": ["web-01 (101)"], "facts": [{"label": "quorum", "text": "2 of 3"}]})
    }

    fn run_with(action: AlertsAction, reply: &Value) -> (anyhow::Result<Exit>, String, String) {
        let daemon = Daemon::start(vec![answer("200 OK", &reply.to_string())]);
        let (mut output, out, _) = output();
        let exit = run(&action, &daemon.socket(), NOW, &mut output);
        (exit, out.text(), daemon.request())
    }

    #[test]
    fn open_alerts_are_a_table() {
        let mut over = alert();
        over["state"] = "resolved".into();
        let (_, out, request) = run_with(AlertsAction::List { json: false }, &json!({"alerts": [alert(), over]}));
        let expected = "\
ALERT  SEVERITY  STATE   SINCE  WHAT                  RULE       NOTE
7      critical  firing  14m    node pve2 is down[2J  node_down
";
        assert_eq!(out, expected);
        assert!(request.starts_with("GET /api/alerts?"), "{request}");
        let (_, out, _) = run_with(AlertsAction::List { json: false }, &json!({"alerts": []}));
        assert_eq!(out, "No alert is open.\n");
    }

    #[test]
    fn one_alert_is_shown_with_all_that_is_known() {
        let event = json!({"at": "2026-03-01T11:47:00Z", "what": "opened", "who": null, "text": "node pve2 is down"});
        let body = json!({"alert": alert(), "events": [event]});
        let (_, out, _) = run_with(AlertsAction::Show { id: "7".into(), json: false }, &body);
        for part in
            ["#7 node pve2 is down", "value: 96 % (limit 95 %)", "with it: web-01 (101)", "quorum: 2 of 3", "opened"]
        {
            assert!(out.contains(part), "{part} is missing in {out}");
        }
        assert!(!out.contains('\u{1b}'), "{out}");
    }

    #[test]
    fn a_person_acts_and_is_told() {
        let (_, out, request) = run_with(AlertsAction::Ack { id: "7".into() }, &alert());
        assert!(request.starts_with("POST /api/alerts/7/acknowledge ") && out.contains("is acknowledged"), "{out}");
        let action = AlertsAction::Silence { id: "7".into(), duration: Span::seconds(7200), reason: "works".into() };
        let (_, out, request) = run_with(action, &json!({"id": 3, "until": "2026-03-01T14:00:00Z"}));
        assert!(
            request.contains(r#"{"for":"2h","reason":"works"}"#) && out.starts_with("silence 3 until "),
            "{request}"
        );
        let (_, out, _) =
            run_with(AlertsAction::Test { channel: "telegram".into() }, &json!({"result": "telegram: arrived"}));
        assert_eq!(out, "telegram: arrived\n");
    }

    #[test]
    fn a_refusal_is_an_error_in_the_daemons_words() {
        let daemon = Daemon::start(vec![answer("404 Not Found", r#"{"error":{"message":"there is no alert 9"}}"#)]);
        let (mut output, _, _) = output();
        let error =
            run(&AlertsAction::Ack { id: "9".into() }, &daemon.socket(), NOW, &mut output).expect_err("refused");
        assert_eq!(error.to_string(), "there is no alert 9");
    }
}
