//! `get_haia_status`: how HAIA itself does, so that it can explain itself. A compact extract of `/status`.

use super::{Begun, OwnTool, Surroundings};
use crate::arguments;
use contract::alerts::{AlertState, AlertView, Severity};
use contract::cluster::ClusterStatus;
use contract::provider::{ProviderState, ProviderStatus};
use contract::status::{ActorStatus, Status, seconds_since};
use contract::tools::{Risk, ToolResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most model names shown per provider: some know hundreds.
const MODELS: usize = 40;
/// The most open alerts shown.
const ALERTS: usize = 20;

pub(super) const TOOL: OwnTool = OwnTool {
    name: "get_haia_status",
    title: "Looking at HAIA's own state",
    description: "How HAIA itself does: version, uptime, actors that crashed or do not run, language model providers with their state and last error, open alerts, jobs, notification channels, turns, streams, and whether its store works. Call it for any question about HAIA, its models or its errors.",
    parameters: r#"{"type":"object","properties":{"detail":{"type":["boolean","null"],"description":"true: also every actor, every provider's models, token counts and latencies."}},"required":["detail"],"additionalProperties":false}"#,
    risk: Risk::Read,
    begin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    detail: Option<bool>,
}

fn begin(surroundings: &Surroundings, text: &str) -> Result<Begun, String> {
    let arguments: Arguments = arguments::read(text)?;
    let status = surroundings.status.status();
    let clock = Arc::clone(&surroundings.clock);
    Ok(Box::pin(async move {
        let status = status.await;
        match serde_json::to_string(&extract(&status, clock.now(), arguments.detail.unwrap_or(false))) {
            Ok(text) => ToolResult::ok(text),
            Err(error) => ToolResult::error(format!("the status could not be written down: {error}")),
        }
    }))
}

/// What the model gets to see. Members that say nothing are left out.
#[derive(Serialize)]
struct Extract<'a> {
    version: &'a str,
    uptime_s: u64,
    configuration_generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload_refused: Option<&'a str>,
    turns_active: i64,
    turns_queued: i64,
    streams_open: i64,
    provider_connections: i64,
    actors_running: usize,
    actors_total: usize,
    /// Actors that do not run, were restarted, or lost messages; every one with `detail`.
    actors: Vec<Actor<'a>>,
    providers: Vec<Provider<'a>>,
    store: Store<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clusters: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mcp_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    jobs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    /// `None` where the alert desk does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts_open: Option<u64>,
    /// The worst of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<Alert<'a>>,
}

#[derive(Serialize)]
struct Alert<'a> {
    alert: u64,
    severity: Severity,
    state: AlertState,
    what: String,
    rule: &'a str,
}

#[derive(Serialize)]
struct Actor<'a> {
    name: &'a str,
    state: &'a str,
    restarts: u64,
    dead_letters: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p99_ms: Option<f64>,
}

#[derive(Serialize)]
struct Provider<'a> {
    name: &'a str,
    kind: &'a str,
    state: ProviderState,
    requests: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_age_s: Option<i64>,
    models_known: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a [Arc<str>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
}

#[derive(Serialize)]
struct Store<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

fn extract(status: &Status, now: Timestamp, detail: bool) -> Extract<'_> {
    Extract {
        version: status.version,
        uptime_s: status.uptime_s,
        configuration_generation: status.generation,
        last_reload_refused: status.reload_error.as_deref(),
        turns_active: status.turns.active,
        turns_queued: status.turns.queued,
        streams_open: status.streams.open,
        provider_connections: status.provider_connections.active,
        actors_running: status.actors.iter().filter(|actor| actor.state == "running").count(),
        actors_total: status.actors.len(),
        actors: status
            .actors
            .iter()
            .filter(|actor| detail || is_noteworthy(actor))
            .map(|one| actor(one, detail))
            .collect(),
        providers: status.providers.iter().map(|one| provider(one, now, detail)).collect(),
        store: match &status.store {
            None => Store { ok: false, problem: Some("it did not answer"), bytes: None },
            Some(report) => Store {
                ok: report.problem.is_none(),
                problem: report.problem.as_deref(),
                bytes: detail.then_some(report.bytes),
            },
        },
        clusters: status.clusters.iter().map(cluster).collect(),
        mcp_servers: status.mcp_servers.iter().map(|member| named(&member.name, member.state.as_str())).collect(),
        jobs: status.jobs.iter().map(|job| named(&job.name, &job.state)).collect(),
        channels: status.channels.iter().map(|channel| named(&channel.name, &channel.state)).collect(),
        alerts_open: status.alert_counts.map(|counts| counts.firing + counts.acknowledged),
        alerts: status.alerts.iter().filter(|alert| alert.state.is_open()).take(ALERTS).map(alert).collect(),
    }
}

fn alert(view: &AlertView) -> Alert<'_> {
    let finding = &view.finding;
    Alert {
        alert: view.id,
        severity: view.severity,
        state: view.state,
        what: format!("{} {}", finding.subject, finding.summary),
        rule: &finding.rule,
    }
}

fn is_noteworthy(actor: &ActorStatus) -> bool {
    actor.state != "running" || actor.restarts > 0 || actor.dead_letters > 0
}

fn actor(status: &ActorStatus, detail: bool) -> Actor<'_> {
    Actor {
        name: status.name,
        state: status.state,
        restarts: status.restarts,
        dead_letters: status.dead_letters,
        handled: detail.then_some(status.handled),
        wait_p99_ms: detail.then_some(status.wait_ms.p99),
    }
}

fn provider(status: &ProviderStatus, now: Timestamp, detail: bool) -> Provider<'_> {
    let shown = status.models.len().min(MODELS);
    Provider {
        name: &status.name,
        kind: status.kind,
        state: status.state,
        requests: status.requests,
        errors: status.errors,
        last_error: status.last_error.as_deref(),
        last_error_age_s: status.last_error_at.map(|at| seconds_since(at, now)),
        models_known: status.models.len(),
        models: detail.then(|| &status.models[..shown]),
        first_token_p50_ms: detail.then_some(status.first_token_ms.p50),
        input_tokens: status.input_tokens.filter(|_| detail),
        output_tokens: status.output_tokens.filter(|_| detail),
        cost_usd: status.cost.filter(|_| detail),
    }
}

fn named(name: &str, state: &str) -> String {
    format!("{name}: {state}")
}

fn cluster(cluster: &ClusterStatus) -> String {
    let problem = cluster.problem.as_deref().map(|problem| format!(" ({problem})")).unwrap_or_default();
    format!("{}: {}{problem}", cluster.name, cluster.state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::alerts::{AlertCounts, Finding};
    use contract::provider::Quantiles;
    use contract::store::StoreReport;

    fn status() -> Status {
        let actor = |name, state, restarts| ActorStatus {
            name,
            state,
            required: true,
            restarts,
            mailbox_depth: 0,
            handled: 7,
            dead_letters: 0,
            wait_ms: Quantiles::default(),
            handle_ms: Quantiles::default(),
            detail: None,
        };
        let provider = |name: &str, state, last_error: Option<&str>| ProviderStatus {
            name: name.into(),
            state,
            circuit: "closed",
            kind: "ollama",
            models: vec!["llama3.2:3b".into(), "qwen2.5-coder:7b".into()],
            requests: 12,
            errors: u64::from(last_error.is_some()),
            last_error: last_error.map(str::to_owned),
            last_error_at: last_error.map(|_| Timestamp::UNIX_EPOCH),
            first_token_ms: Quantiles { p50: 240.0, p99: 900.0, max: 950.0 },
            total_ms: Quantiles::default(),
            input_tokens: Some(1000),
            output_tokens: Some(200),
            cached_tokens: None,
            reasoning_tokens: None,
            cost: None,
            active: 0,
            waiting: 0,
            usage: Default::default(),
            usage_by_model: vec![],
        };
        Status {
            version: "0.1.0",
            uptime_s: 3661,
            generation: 2,
            reload_error: None,
            turns: Default::default(),
            streams: Default::default(),
            provider_connections: Default::default(),
            actors: vec![
                actor("agent-supervisor", "running", 0),
                actor("store", "running", 1),
                actor("toolbox", "stuck", 0),
            ],
            providers: vec![
                provider("ollama", ProviderState::Ready, None),
                provider("anthropic", ProviderState::Failing, Some("unreachable: connection refused")),
            ],
            keys: vec![],
            clusters: vec![],
            alerts: vec![],
            alert_counts: None,
            heartbeats: vec![],
            jobs: vec![],
            channels: vec![],
            mcp_servers: vec![],
            store: Some(StoreReport {
                path: "haia.db".into(),
                schema: 1,
                problem: Some("the disk is full".into()),
                bytes: 4096,
                audit_waiting: 0,
                audit_lost: 0,
            }),
        }
    }

    /// The samples are what readers of this tool are tested with: agent-supervisor's offline responder reads them too.
    #[test]
    fn the_extract_is_the_sample() {
        let now = Timestamp::constant(90, 0);
        for (detail, sample) in [
            (false, include_str!("../../tests/samples/get_haia_status.json")),
            (true, include_str!("../../tests/samples/get_haia_status_detail.json")),
        ] {
            let printed = serde_json::to_string(&extract(&status(), now, detail)).expect("prints");
            assert_eq!(printed, sample.trim_end());
        }
    }

    #[test]
    fn a_store_that_does_not_answer_is_a_problem() {
        let status = Status { store: None, ..status() };
        let printed = serde_json::to_value(extract(&status, Timestamp::UNIX_EPOCH, false)).expect("prints");
        assert_eq!(printed["store"]["ok"], false);
        assert_eq!(printed["store"]["problem"], "it did not answer");
    }

    #[test]
    fn open_alerts_are_told_and_pending_ones_are_not() {
        let view = |id, state| AlertView {
            id,
            name: "guest_crashed:lab/guest/101".to_owned(),
            state,
            severity: Severity::Critical,
            opened: None,
            ended: None,
            acknowledged: None,
            held: None,
            cause: None,
            is_flapping: false,
            explanation: None,
            finding: Finding::new("guest_crashed", "o", "web-01 (101)", "crashed", None, Timestamp::UNIX_EPOCH),
        };
        let counts = AlertCounts { pending: 1, firing: 1, ..AlertCounts::default() };
        let alerts = vec![view(5, AlertState::Firing), view(0, AlertState::Pending)];
        let status = Status { alerts, alert_counts: Some(counts), ..status() };
        let printed = serde_json::to_value(extract(&status, Timestamp::UNIX_EPOCH, false)).expect("prints");
        let told = serde_json::json!([{"alert": 5, "severity": "critical", "state": "firing",
            "what": "web-01 (101) crashed", "rule": "guest_crashed"}]);
        assert_eq!((&printed["alerts_open"], &printed["alerts"]), (&1.into(), &told));
    }

    #[test]
    fn hundreds_of_models_are_cut() {
        let mut status = status();
        status.providers[0].models = (0..500).map(|at| Arc::from(format!("m{at}"))).collect();
        let printed = serde_json::to_value(extract(&status, Timestamp::UNIX_EPOCH, true)).expect("prints");
        assert_eq!(printed["providers"][0]["models"].as_array().map(Vec::len), Some(MODELS));
        assert_eq!(printed["providers"][0]["models_known"], 500);
    }
}
