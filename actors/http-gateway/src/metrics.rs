//! The gateway's own figures: requests and their latency by route and class of status.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

/// From a cached `/health` to a model that thinks for minutes; in seconds.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: &'static str,
    status: &'static str,
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    /// The series so far, to be found without hashing their labels: there are a few dozen at most, and few of them in use.
    series: RwLock<Vec<Series>>,
}

#[derive(Debug)]
struct Series {
    labels: Labels,
    requests: Counter,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<Labels, Counter>::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        registry.register("haia_http_requests", "HTTP requests by route and class of status", requests.clone());
        registry.register(
            "haia_http_request_seconds",
            "Time from a request to the head of its answer",
            seconds.clone(),
        );
        Self { registry, requests, seconds, series: RwLock::default() }
    }
}

impl Metrics {
    /// Counts a request. `route` is a pattern, not a path: the number of series is bounded.
    pub(crate) fn count(&self, route: &'static str, status: u16, to_head: Duration) {
        let labels = Labels { route, status: class(status) };
        let count = |series: &Series| {
            series.requests.inc();
            series.seconds.observe(to_head.as_secs_f64());
        };
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.iter().find(|series| series.labels == labels) {
            return count(series);
        }
        drop(known);
        let series = Series {
            requests: self.requests.get_or_create_owned(&labels),
            seconds: self.seconds.get_or_create_owned(&labels),
            labels,
        };
        count(&series);
        // Two threads may both bring the first of a kind: they share the counters, and the second entry is never found.
        self.series.write().unwrap_or_else(PoisonError::into_inner).push(series);
    }

    /// The figures in Prometheus' text format. The library prints OpenMetrics, which differs: its counters are declared without `_total`.
    pub(crate) fn text(&self) -> String {
        let mut open_metrics = String::new();
        if text::encode_registry(&mut open_metrics, &self.registry).is_err() {
            return String::new();
        }
        let mut plain = String::with_capacity(open_metrics.len());
        for line in open_metrics.lines().filter(|line| *line != "# EOF") {
            match line.strip_prefix("# HELP haia_http_requests ") {
                Some(help) => plain.push_str(&format!("# HELP haia_http_requests_total {help}")),
                None if line == "# TYPE haia_http_requests counter" => {
                    plain.push_str("# TYPE haia_http_requests_total counter");
                }
                None => plain.push_str(line),
            }
            plain.push('\n');
        }
        plain
    }
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_prometheus_text() {
        let metrics = Metrics::default();
        metrics.count("/health", 200, Duration::from_millis(3));
        metrics.count("/health", 204, Duration::from_millis(3));
        metrics.count("unmatched", 404, Duration::from_secs(500));
        let text = metrics.text();
        assert!(text.contains("# TYPE haia_http_requests_total counter\n"), "{text}");
        assert!(text.contains("haia_http_requests_total{route=\"/health\",status=\"2xx\"} 2\n"), "{text}");
        assert!(text.contains("# TYPE haia_http_request_seconds histogram\n"), "{text}");
        assert!(
            text.contains("haia_http_request_seconds_bucket{le=\"+Inf\",route=\"unmatched\",status=\"4xx\"} 1\n"),
            "{text}"
        );
        assert!(!text.contains("EOF"));
    }
}
