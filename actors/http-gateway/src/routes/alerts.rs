//! `/api/alerts` and `/api/silences`: what is open, what was, and what people do about it.

use super::operate::{ask, body, number, query, read};
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use contract::alerts::{
    Acknowledge, AddSilence, AlertEvent, AlertFilter, AlertView, EndSilence, ExpectAlert, ListAlerts, ListSilences,
    Matcher, ReadAlertHistory, Severity, ShowAlert, SilenceView,
};
use contract::caller::Scope;
use contract::units::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const fn read_endpoint(path: &'static str, handler: fn(Call) -> Answer, about: About) -> Endpoint {
    Endpoint { method: Verb::Get, path, scope: Some(Scope::Read), starts_work: false, handler, about }
}

const fn change(method: Verb, path: &'static str, handler: fn(Call) -> Answer, about: About) -> Endpoint {
    Endpoint { method, path, scope: Some(Scope::Control), starts_work: false, handler, about }
}

const fn about(
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str)],
    takes: Option<&'static str>,
    gives: &'static str,
) -> About {
    About { summary, parameters, takes, gives: ("application/json", Some(gives)), status: 200 }
}

const ALERT: (&str, &str, &str) = ("path", "alert", "The alert's number");

pub(super) const ENDPOINTS: &[Endpoint] = &[
    read_endpoint(
        "/api/alerts",
        |call| Box::pin(list(call)),
        about(
            "Alerts, the worst first",
            &[
                ("query", "state", "open (also if not told), pending, resolved or all"),
                ("query", "severity", "At least as bad as this: info, warning or critical"),
                ("query", "limit", "The most alerts, 1 to 1000; 200 if not told"),
            ],
            None,
            "Alerts",
        ),
    ),
    read_endpoint(
        "/api/alerts/history",
        |call| Box::pin(history(call)),
        about(
            "What happened to alerts, newest first",
            &[
                ("query", "since", "Not before this time"),
                ("query", "limit", "The most lines, 1 to 1000; 200 if not told"),
            ],
            None,
            "AlertEvents",
        ),
    ),
    read_endpoint(
        "/api/alerts/{alert}",
        |call| Box::pin(show(call)),
        about("One alert with its history", &[ALERT], None, "AlertWithEvents"),
    ),
    change(
        Verb::Post,
        "/api/alerts/{alert}/acknowledge",
        |call| Box::pin(acknowledge(call)),
        about("Takes notice: no more reminders, the end is still told", &[ALERT], None, "Alert"),
    ),
    change(
        Verb::Post,
        "/api/alerts/{alert}/expect",
        |call| Box::pin(expect(call)),
        about("Says that it was meant to happen", &[ALERT], None, "Alert"),
    ),
    change(
        Verb::Post,
        "/api/alerts/{alert}/silence",
        |call| Box::pin(silence_alert(call)),
        about("Silences the alert's rule and object for a time", &[ALERT], Some("NewSilence"), "Silence"),
    ),
    read_endpoint(
        "/api/silences",
        |call| Box::pin(silences(call)),
        about("Silences that have not ended", &[], None, "Silences"),
    ),
    change(
        Verb::Post,
        "/api/silences",
        |call| Box::pin(silence(call)),
        about("Silences whatever fits, for a time", &[], Some("NewSilence"), "Silence"),
    ),
    change(
        Verb::Delete,
        "/api/silences/{silence}",
        |call| Box::pin(end_silence(call)),
        about("Ends a silence", &[("path", "silence", "The silence's number")], None, "Silence"),
    ),
];

/// The longest silence.
const LONGEST_SILENCE_S: u64 = 366 * 24 * 3600;
const MOST: u32 = 1000;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    #[default]
    Open,
    Pending,
    Resolved,
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    state: Wanted,
    severity: Option<Severity>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Alerts {
    alerts: Vec<AlertView>,
}

fn limit(told: Option<u32>) -> Result<u32, Refusal> {
    match told {
        Some(limit) if !(1..=MOST).contains(&limit) => {
            Err(Refusal::invalid(format!("\"limit\" must be from 1 to {MOST}")).with_param("limit"))
        }
        told => Ok(told.unwrap_or(200)),
    }
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let wanted: ListQuery = query(&call)?;
    let filter = AlertFilter {
        pending: matches!(wanted.state, Wanted::Pending | Wanted::All),
        resolved: matches!(wanted.state, Wanted::Resolved | Wanted::All),
        severity: wanted.severity,
        matchers: Vec::new(),
        limit: limit(wanted.limit)?,
    };
    let mut alerts = ask(&call.ports().watch.alerts, ListAlerts(filter)).await?;
    alerts.retain(|alert| match wanted.state {
        Wanted::Open => alert.state.is_open(),
        Wanted::Pending => alert.state == contract::alerts::AlertState::Pending,
        Wanted::Resolved => alert.state == contract::alerts::AlertState::Resolved,
        Wanted::All => true,
    });
    answers::json(&Alerts { alerts })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    since: Option<Timestamp>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Events {
    events: Vec<AlertEvent>,
}

async fn history(call: Call) -> Result<HttpResponse, Refusal> {
    let HistoryQuery { since, limit: told } = query(&call)?;
    let asked = ReadAlertHistory { since, limit: limit(told)? };
    let events = ask(&call.ports().watch.alert_history, asked).await?;
    answers::json(&Events { events })
}

#[derive(Serialize)]
struct Shown {
    alert: AlertView,
    events: Vec<AlertEvent>,
}

async fn show(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "alert")?;
    let (alert, events) = ask(&call.ports().watch.show_alert, ShowAlert { id }).await?;
    answers::json(&Shown { alert, events })
}

async fn acknowledge(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "alert")?;
    let by = call.caller()?.clone();
    let alert = ask(&call.ports().watch.acknowledge, Acknowledge { id, by }).await?;
    record(&call, &format!("alert acknowledge {id}"), "ok");
    answers::json(&alert)
}

async fn expect(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "alert")?;
    let by = call.caller()?.clone();
    let alert = ask(&call.ports().watch.expect_alert, ExpectAlert { id, by }).await?;
    record(&call, &format!("alert expect {id}"), "ok");
    answers::json(&alert)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSilence {
    #[serde(rename = "for")]
    duration: Span,
    #[serde(default)]
    reason: String,
    #[serde(default, rename = "match")]
    matchers: std::collections::BTreeMap<String, String>,
}

const NEW_SILENCE: &str = "{\"for\": \"2h\", \"reason\": …, \"match\": {\"node\": \"pve2\"}}";

fn new_silence(call: &Call, alert: Option<u64>) -> Result<AddSilence, Refusal> {
    let NewSilence { duration, reason, matchers } = body(call, NEW_SILENCE)?;
    if duration.0.is_zero() || duration.0.as_secs() > LONGEST_SILENCE_S {
        return Err(Refusal::invalid("a silence lasts from one second to 366 days").with_param("for"));
    }
    if alert.is_none() && matchers.is_empty() {
        let message = "\"match\" must name at least one label: a silence without any would hide everything";
        return Err(Refusal::invalid(message).with_param("match"));
    }
    let matchers = matchers.into_iter().map(|(label, pattern)| Matcher::new(label, pattern)).collect();
    let by = call.caller()?.clone();
    Ok(AddSilence { alert, matchers, duration: duration.0, reason: reason.chars().take(500).collect(), by })
}

async fn silence_alert(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "alert")?;
    let silence = ask(&call.ports().watch.add_silence, new_silence(&call, Some(id))?).await?;
    record(&call, &format!("alert silence {id}"), "ok");
    answers::json(&silence)
}

async fn silence(call: Call) -> Result<HttpResponse, Refusal> {
    let silence = ask(&call.ports().watch.add_silence, new_silence(&call, None)?).await?;
    record(&call, &format!("silence new {}", silence.id), "ok");
    answers::json_with(StatusCode::OK, &silence)
}

#[derive(Serialize)]
struct Silences {
    silences: Vec<SilenceView>,
}

async fn silences(call: Call) -> Result<HttpResponse, Refusal> {
    let silences = read(&call.ports().watch.silences, ListSilences).await?;
    answers::json(&Silences { silences })
}

async fn end_silence(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "silence")?;
    let by = call.caller()?.clone();
    let silence = ask(&call.ports().watch.end_silence, EndSilence { id, by }).await?;
    record(&call, &format!("silence end {id}"), "ok");
    answers::json(&silence)
}
