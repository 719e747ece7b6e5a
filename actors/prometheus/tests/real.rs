//! The tools against a real Prometheus and a real Alertmanager, named by `PROMETHEUS_URL` and `ALERTMANAGER_URL`; `.ci/alertmanager` starts
//! both, with an alert that fires and one target.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "the servers are named by the environment")]

use contract::caller::{Caller, Origin, Scope};
use contract::ids::RequestId;
use contract::message::Lane;
use contract::tools::CallTool;
use prometheus::{AlertmanagerConfig, Config, Ports, Prometheus, ServerConfig};
use runtime::{Policy, Supervision, SystemClock};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn server(variable: &str) -> Option<ServerConfig> {
    Some(ServerConfig { url: std::env::var(variable).unwrap_or_else(|_| panic!("set {variable}")), token: None })
}

fn alertmanager() -> Option<AlertmanagerConfig> {
    server("ALERTMANAGER_URL").map(|server| AlertmanagerConfig {
        url: server.url,
        token: server.token,
        allow_actions: true,
    })
}

#[test]
#[ignore = "needs servers: .ci/alertmanager starts them"]
fn every_tool_reads_the_real_servers() {
    let config = Config { prometheus: server("PROMETHEUS_URL"), alertmanager: alertmanager() };
    actix_rt::System::new().block_on(async move {
        let supervision = Supervision::new(|event| panic!("{event:?}"));
        let ports = Ports { clock: Arc::new(SystemClock::real()) };
        let factory = Prometheus::factory(Arc::new(arc_swap::ArcSwap::from_pointee(config)), ports);
        let actor = supervision.start(&actix_rt::Arbiter::current(), "prometheus", Policy::optional(), factory);
        for (name, arguments, expected) in [
            ("prometheus_query", json!({"query": "up"}), "haia"),
            ("prometheus_query_range", json!({"query": "up", "last": "5m"}), "haia"),
            ("prometheus_alerts", json!({}), "ProbeFires"),
            ("prometheus_rules", json!({}), "ProbeFires"),
            ("prometheus_targets", json!({}), "haia"),
            ("prometheus_series", json!({"match": "up"}), "haia"),
            ("alertmanager_alerts", json!({}), "ProbeFires"),
        ] {
            let call = CallTool {
                request_id: RequestId::new("r"),
                caller: Caller { name: "web".into(), scope: Scope::Read, origin: Origin::Chat },
                name: name.into(),
                arguments: arguments.to_string(),
                timeout: PATIENCE,
            };
            let result = actor.port(Lane::Interactive).ask(call, PATIENCE).await.unwrap().unwrap();
            assert!(!result.is_error && result.text.contains(expected), "{name}: {}", result.text);
        }
    });
}
