//! Actions over HTTPS: the form, its length, the token, and a connection that is cut after the order.

use crate::stage::{Heard, approved, call, config};
use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::approvals::{ActionEnd, ActionOutcome, PlanAction, RunAction};
use contract::clock::{Clock as _, SharedClock};
use contract::cluster::{ClusterState, ListClusters};
use contract::message::Lane;
use proxmox_poller::client::{NetworkTransport, Transport as _, open_network};
use proxmox_poller::{ClusterConfig, ProxmoxPoller};
use runtime::{Mailbox, Policy, Supervision, SystemClock};
use serde_json::json;
use sim_cluster::{Fault, FaultRule, SimCluster, SimConfig, SimHandle};
use std::sync::Arc;
use std::time::Duration;

/// Tasks of some seconds are over at once.
const FACTOR: f64 = 60.0;
const LONG: Duration = Duration::from_secs(60);

fn simulated() -> (SimHandle, SharedClock) {
    let clock: SharedClock = Arc::new(SystemClock::accelerated(SystemClock::real().wall(), FACTOR));
    let sim = SimCluster::start(SimConfig::acting(), Arc::clone(&clock)).unwrap();
    (sim, clock)
}

fn reached(sim: &SimHandle, allow_actions: bool) -> proxmox_poller::Config {
    let more = json!({
        "endpoints": sim.endpoints, "token_id": sim.token_id, "token_secret": sim.token_secret,
        "tls": { "fingerprints": [sim.fingerprint] }, "poll_interval": "1s",
    });
    config(allow_actions, &more)
}

fn with_poller(test: impl AsyncFnOnce(&SimHandle, &Mailbox<ProxmoxPoller>)) {
    let (sim, clock) = simulated();
    actix_rt::System::new().block_on(async {
        let (ports, _) = Heard::default().ports(clock, open_network());
        let shared = Arc::new(ArcSwap::from_pointee(reached(&sim, true)));
        let factory = ProxmoxPoller::factory(shared, Arc::default(), ports);
        let supervision = Supervision::new(|_| {});
        let poller = supervision.start(&actix_rt::Arbiter::current(), "proxmox-poller", Policy::optional(), factory);
        let status = poller.port::<ListClusters>(Lane::Interactive);
        while status.ask(ListClusters, LONG).await.unwrap()[0].state == ClusterState::Starting {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        test(&sim, &poller).await;
    });
}

async fn run(poller: &Mailbox<ProxmoxPoller>, tool: &str, arguments: &str) -> ActionOutcome {
    let plan = poller.port::<PlanAction>(Lane::Interactive).ask(PlanAction { call: call(tool, arguments) }, LONG).await;
    let plan = plan.unwrap().unwrap();
    assert_eq!(plan.blockers, [""; 0], "{tool} {arguments}");
    poller.port::<RunAction>(Lane::Interactive).ask(approved(plan), LONG).await.unwrap().unwrap()
}

#[test]
fn orders_go_out_as_forms_and_are_followed() {
    with_poller(async |sim, poller| {
        for (tool, arguments, body) in [
            ("shutdown_guest", r#"{"guest":"web-01"}"#, "timeout=180"),
            ("start_guest", r#"{"guest":"web-01"}"#, ""),
            (
                "snapshot_guest",
                r#"{"guest":"gitea","name":"a1","description":"x&y=ü"}"#,
                "snapname=a1&description=x%26y%3D%C3%BC",
            ),
        ] {
            let outcome = run(poller, tool, arguments).await;
            assert_eq!(outcome.end, ActionEnd::Done, "{tool}: {outcome:?}");
            let write = sim.writes().pop().unwrap();
            assert_eq!((write.method.as_str(), write.body.as_str(), write.status), ("POST", body, 200));
        }
        assert_eq!(sim.writes().len(), 3);
    });
}

#[test]
fn a_connection_that_is_cut_after_the_order_loses_nothing() {
    // In the middle of the answer, and before a word of it.
    for fault in [Fault::DropMidBody, Fault::CloseAfter(0), Fault::NoAnswer] {
        with_poller(async |sim, poller| {
            let plan = poller.port::<PlanAction>(Lane::Interactive);
            let call = call("shutdown_guest", r#"{"guest":"web-01"}"#);
            let plan = plan.ask(PlanAction { call }, LONG).await.unwrap().unwrap();
            let order = "/nodes/pve1/qemu/101/status/shutdown";
            sim.fault_rule(FaultRule::always(fault.clone()).on_path(order).times(1));
            let outcome = poller.port::<RunAction>(Lane::Interactive).ask(approved(plan), LONG).await.unwrap().unwrap();
            assert_eq!(sim.writes().len(), 1, "{fault:?}: never sent again: {outcome:?}");
            assert_eq!(outcome.end, ActionEnd::Done, "{fault:?}: {outcome:?}");
        });
    }
}

#[test]
fn a_way_that_may_not_act_has_no_way_to_write() {
    let (sim, _) = simulated();
    for (allow_actions, writes) in [(false, 0), (true, 1)] {
        let config: ClusterConfig = reached(&sim, allow_actions).clusters.remove("homelab").unwrap();
        actix_rt::System::new().block_on(async {
            let transport = NetworkTransport::new(&config).unwrap();
            let order: LocalBoxFuture<'static, _> =
                transport.post(0, "/nodes/pve1/qemu/101/status/stop", String::new());
            let answer = order.await;
            assert_eq!(answer.is_ok(), allow_actions, "{answer:?}");
            if let Err(error) = answer {
                assert!(!error.may_have_arrived, "{error:?}");
            }
        });
        assert_eq!(sim.writes().len(), writes);
    }
}
