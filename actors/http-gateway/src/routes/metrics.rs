//! `GET /metrics`: the figures of `/status` and the gateway's own, in Prometheus' text format.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use contract::alerts::Severity;
use contract::caller::Scope;
use contract::cluster::{ClusterState, ClusterStatus};
use contract::jobs::RunState;
use contract::notify::ChannelStatus;
use contract::provider::{ProviderState, Quantiles};
use contract::status::Status;
use contract::usage::{KeyStatus, LimitStatus, UsageFigures};
use std::fmt::{Display, Write as _};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/metrics",
    scope: Some(Scope::Read),
    starts_work: false,
    handler: |call| Box::pin(metrics(call)),
    about: About {
        summary: "Figures for Prometheus",
        parameters: &[],
        takes: None,
        gives: ("text/plain", None),
        status: 200,
    },
}];

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn metrics(call: Call) -> Result<HttpResponse, Refusal> {
    let status = call.ports().status.status().await;
    let mut text = call.thread.gateway.metrics.text();
    text.push_str(&page(&status));
    Ok(answers::bytes(StatusCode::OK, KIND, text.into()))
}

/// A page of metrics as it grows.
struct Page(String);

/// The labels of one sample, and its value.
type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

impl Page {
    fn family<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (labels, value) in samples {
            self.sample(name, (&labels, value));
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help, [(Vec::new(), value)]);
    }

    fn sample(&mut self, name: &str, (labels, value): Sample<'_>) {
        let mut written = String::new();
        for (label, text) in labels {
            let separator = if written.is_empty() { '{' } else { ',' };
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Writing to a String cannot fail.
            let _ = write!(written, "{separator}{label}=\"{escaped}\"");
        }
        if !written.is_empty() {
            written.push('}');
        }
        self.line(format_args!("{name}{written} {value}"));
    }

    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}");
    }
}

/// Milliseconds as `/status` tells them, as seconds in three samples.
fn quantiles<'a>(label: (&'a str, &'a str), ms: Quantiles) -> [(Vec<(&'a str, &'a str)>, f64); 3] {
    [("0.5", ms.p50), ("0.99", ms.p99), ("1", ms.max)]
        .map(|(quantile, ms)| (vec![label, ("quantile", quantile)], ms / 1000.0))
}

/// The figures of `/status`.
fn page(status: &Status) -> String {
    let mut page = Page(String::new());
    let build = (vec![("version", status.version)], 1.0);
    page.family("haia_build_info", "gauge", "HAIA's version", [build]);
    page.single("haia_uptime_seconds", "gauge", "Seconds since the start", status.uptime_s as f64);
    page.single(
        "haia_config_generation",
        "gauge",
        "Configurations taken over since the start",
        status.generation as f64,
    );
    let refused = f64::from(u8::from(status.reload_error.is_some()));
    page.single("haia_config_reload_failed", "gauge", "1 if the last reload was refused", refused);
    page.single("haia_turns_active", "gauge", "Turns of the agent that run", status.turns.active as f64);
    page.single("haia_turns_queued", "gauge", "Turns that wait for a place", status.turns.queued as f64);
    page.single("haia_streams_open", "gauge", "Streams open to clients", status.streams.open as f64);
    let active = status.provider_connections.active as f64;
    page.single("haia_provider_connections_active", "gauge", "Requests that providers work on", active);
    actors(&mut page, status);
    providers(&mut page, status);
    accounts(&mut page, status);
    clusters(&mut page, status);
    watching(&mut page, status);
    rest(&mut page, status);
    page.0
}

fn actors(page: &mut Page, status: &Status) {
    let each = |figure: fn(&contract::status::ActorStatus) -> f64| {
        status.actors.iter().map(move |actor| (vec![("actor", actor.name)], figure(actor)))
    };
    let running = each(|actor| f64::from(u8::from(actor.state == "running")));
    page.family("haia_actor_running", "gauge", "1 while the actor handles messages", running);
    page.family("haia_actor_restarts_total", "counter", "Restarts after a panic", each(|actor| actor.restarts as f64));
    page.family("haia_mailbox_depth", "gauge", "Messages that wait", each(|actor| actor.mailbox_depth as f64));
    page.family("haia_messages_handled_total", "counter", "Messages handled", each(|actor| actor.handled as f64));
    let dead = each(|actor| actor.dead_letters as f64);
    page.family("haia_dead_letters_total", "counter", "Messages that were never handled", dead);
    let wait = status.actors.iter().flat_map(|actor| quantiles(("actor", actor.name), actor.wait_ms));
    page.family("haia_mailbox_wait_seconds", "gauge", "How long messages waited; quantile 1 is the longest", wait);
    let handle = status.actors.iter().flat_map(|actor| quantiles(("actor", actor.name), actor.handle_ms));
    page.family("haia_handler_seconds", "gauge", "How long handlers took; quantile 1 is the longest", handle);
}

fn providers(page: &mut Page, status: &Status) {
    let each = |figure: fn(&contract::provider::ProviderStatus) -> f64| {
        status.providers.iter().map(move |provider| (vec![("provider", provider.name.as_ref())], figure(provider)))
    };
    let up = each(|provider| match provider.state {
        ProviderState::Unknown | ProviderState::Ready => 1.0,
        ProviderState::Limited | ProviderState::Failing | ProviderState::Refused => 0.0,
    });
    page.family("haia_provider_up", "gauge", "1 unless the provider is known to fail, to limit or to refuse", up);
    page.family("haia_provider_requests_total", "counter", "Calls of the provider", each(|it| it.requests as f64));
    page.family("haia_provider_errors_total", "counter", "Failed calls of the provider", each(|it| it.errors as f64));
    page.family("haia_provider_active", "gauge", "Calls under way", each(|provider| provider.active as f64));
    page.family("haia_provider_waiting", "gauge", "Calls that wait for a place", each(|it| it.waiting as f64));
    let tokens = status.providers.iter().flat_map(|provider| {
        let known = [
            ("input", provider.input_tokens),
            ("output", provider.output_tokens),
            ("cached", provider.cached_tokens),
            ("reasoning", provider.reasoning_tokens),
        ];
        let told = known.into_iter().filter_map(|(direction, tokens)| tokens.map(|tokens| (direction, tokens)));
        told.map(|(direction, tokens)| {
            (vec![("provider", provider.name.as_ref()), ("direction", direction)], tokens as f64)
        })
    });
    let help = "Tokens read (input) and written (output); of those, from the provider's cache (cached) and for thinking (reasoning)";
    page.family("haia_provider_tokens_total", "counter", help, tokens);
    let costs = status
        .providers
        .iter()
        .filter_map(|provider| provider.cost.map(|cost| (vec![("provider", provider.name.as_ref())], cost)));
    page.family("haia_provider_cost_usd_total", "counter", "USD spent, where prices are configured", costs);
    let first = status.providers.iter().flat_map(|it| quantiles(("provider", &it.name), it.first_token_ms));
    page.family(
        "haia_provider_first_token_seconds",
        "gauge",
        "Time to the first event; quantile 1 is the longest",
        first,
    );
    let total = status.providers.iter().flat_map(|it| quantiles(("provider", &it.name), it.total_ms));
    page.family("haia_provider_seconds", "gauge", "Time to the end; quantile 1 is the longest", total);
}

/// What calls took this month, by model and by key. Months begin anew at 0, so these are gauges.
fn accounts(page: &mut Page, status: &Status) {
    type Figure = fn(&UsageFigures) -> Option<f64>;
    let models = |figure: Figure| {
        status.providers.iter().flat_map(move |provider| {
            provider.usage_by_model.iter().filter_map(move |model| {
                let labels = vec![("provider", provider.name.as_ref()), ("model", model.name.as_ref())];
                figure(&model.usage.month).map(|value| (labels, value))
            })
        })
    };
    let keys = |figure: Figure| {
        let of = move |key: &KeyStatus| figure(&key.usage.month);
        status.keys.iter().filter_map(move |key| of(key).map(|value| (vec![("key", key.name.as_ref())], value)))
    };
    let calls: Figure = |figures| Some(figures.calls as f64);
    let input: Figure = |figures| figures.input_tokens.map(|tokens| tokens as f64);
    let output: Figure = |figures| figures.output_tokens.map(|tokens| tokens as f64);
    let cost: Figure = |figures| figures.cost;
    let first: Figure = |figures| figures.first_token_ms.map(|ms| ms / 1000.0);
    let total: Figure = |figures| figures.total_ms.map(|ms| ms / 1000.0);
    for (name, help, figure) in [
        ("calls", "Calls this month", calls),
        ("input_tokens", "Tokens read this month, where told", input),
        ("output_tokens", "Tokens written this month, where told", output),
        ("cost_usd", "USD spent this month, where known", cost),
        ("first_token_seconds", "Mean time to the first event this month", first),
        ("seconds", "Mean time to the end this month", total),
    ] {
        page.family(&format!("haia_model_month_{name}"), "gauge", help, models(figure));
        page.family(&format!("haia_key_month_{name}"), "gauge", help, keys(figure));
    }
    let limits = |figure: fn(&LimitStatus) -> f64| {
        status.keys.iter().flat_map(move |key| {
            key.limits.iter().map(move |it| (vec![("key", key.name.as_ref()), ("limit", it.name)], figure(it)))
        })
    };
    page.family("haia_key_limit", "gauge", "The most that a key may use: tokens or USD", limits(|it| it.limit));
    page.family("haia_key_limit_used", "gauge", "What of its limit a key has used", limits(|it| it.used));
}

fn clusters(page: &mut Page, status: &Status) {
    let each = |figure: fn(&ClusterStatus) -> Option<f64>| {
        let of = move |cluster: &'_ ClusterStatus| figure(cluster);
        status.clusters.iter().filter_map(move |it| of(it).map(|value| (vec![("cluster", it.name.as_ref())], value)))
    };
    let up = each(|cluster| Some(f64::from(u8::from(cluster.state == ClusterState::Ok))));
    page.family("haia_cluster_up", "gauge", "1 while a cluster is seen whole", up);
    let age = each(|cluster| cluster.last_good_poll_age_s.map(|age| age as f64));
    page.family("haia_cluster_last_good_poll_age_seconds", "gauge", "Age of the last good poll", age);
    let took = each(|cluster| cluster.poll_ms.map(|ms| ms as f64 / 1000.0));
    page.family("haia_cluster_poll_seconds", "gauge", "How long the last good poll took", took);
    let errors = each(|cluster| Some(cluster.errors as f64));
    page.family("haia_cluster_poll_errors_total", "counter", "Polls that failed", errors);
    let nodes = each(|cluster| Some(cluster.nodes as f64));
    page.family("haia_cluster_nodes", "gauge", "Members of a cluster", nodes);
    let guests = each(|cluster| Some(cluster.guests as f64));
    page.family("haia_cluster_guests", "gauge", "Guests of a cluster, templates aside", guests);
}

fn watching(page: &mut Page, status: &Status) {
    if let Some(counts) = &status.alert_counts {
        page.single("haia_alerts_pending", "gauge", "Alerts that have not held long enough", counts.pending as f64);
        page.single("haia_alerts_held", "gauge", "Open alerts whose messages something holds", counts.held as f64);
        page.single("haia_alerts_opened_total", "counter", "Alerts opened", counts.opened as f64);
        page.single("haia_alerts_resolved_total", "counter", "Alerts that ended", counts.resolved as f64);
        page.single("haia_notices_total", "counter", "Messages decided", counts.notices as f64);
    }
    let each = |figure: fn(&ChannelStatus) -> f64| {
        status.channels.iter().map(move |channel| (vec![("channel", channel.name.as_ref())], figure(channel)))
    };
    page.family("haia_channel_queued", "gauge", "Messages that wait", each(|channel| channel.queued as f64));
    page.family("haia_channel_sent_total", "counter", "Messages that arrived", each(|channel| channel.sent as f64));
    page.family("haia_channel_failed_total", "counter", "Attempts that failed", each(|channel| channel.failed as f64));
    page.family("haia_channel_dead", "gauge", "Messages that were given up", each(|channel| channel.dead as f64));
    let late = status
        .heartbeats
        .iter()
        .map(|beat| (vec![("heartbeat", beat.name.as_ref())], f64::from(u8::from(&*beat.state == "missed"))));
    page.family("haia_heartbeat_missed", "gauge", "1 while a heartbeat is missed", late);
    let failed = status.jobs.iter().map(|job| (vec![("job", job.name.as_ref())], job.failures as f64));
    page.family("haia_job_failures_total", "counter", "Runs that did not end well", failed);
    let ended = status.jobs.iter().filter_map(|job| {
        let run = job.last.as_ref().filter(|run| run.state == RunState::Ok)?;
        Some((vec![("job", job.name.as_ref())], run.ended?.as_second() as f64))
    });
    page.family("haia_job_last_success_timestamp_seconds", "gauge", "When the last run ended, if well", ended);
}

fn rest(page: &mut Page, status: &Status) {
    let severities = [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
    let alerts = severities.map(|(word, severity)| {
        let open = status.alerts.iter().filter(|alert| alert.state.is_open() && alert.severity == severity).count();
        (vec![("severity", word)], open as f64)
    });
    page.family("haia_alerts_open", "gauge", "Open alerts", alerts);
    let store = status.store.as_ref();
    let healthy = store.is_some_and(|store| store.problem.is_none());
    page.single("haia_store_up", "gauge", "1 while the store is well", f64::from(u8::from(healthy)));
    if let Some(store) = store {
        page.single("haia_store_bytes", "gauge", "Size of the store's file", store.bytes as f64);
        page.single("haia_audit_waiting", "gauge", "Audit rows that wait to be written", store.audit_waiting as f64);
        page.single("haia_audit_lost_total", "counter", "Audit rows that were lost", store.audit_lost as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::stage::status;

    #[test]
    fn the_names_of_all_metrics() {
        let page = page(&status());
        let names: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        insta::assert_snapshot!(names.join("\n"));
    }

    #[test]
    fn labels_are_escaped_and_every_line_is_well_formed() {
        let page = page(&status());
        assert!(page.contains("haia_provider_up{provider=\"we\\\"ird\\\\\"} 0\n"), "{page}");
        assert!(page.contains("haia_mailbox_wait_seconds{actor=\"store\",quantile=\"0.99\"} 0.002\n"), "{page}");
        assert!(page.contains("haia_alerts_open{severity=\"critical\"} 0\n"), "{page}");
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit(' ').next().unwrap_or_default();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
