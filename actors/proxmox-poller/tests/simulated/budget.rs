//! What the watch costs the cluster: requests over an hour, slow checks included.

use crate::lab::{Lab, pass};
use runtime::world::World;
use sim_cluster::SimConfig;
use std::collections::BTreeMap;

fn requests_in_ten_seconds(sim: SimConfig, most: f64) {
    World::run(async |world| {
        let lab = Lab::start(world, sim, "{}");
        pass(3600).await;
        let (count, requests) = lab.sim.now(|cluster| (cluster.request_count(), cluster.requests()));
        let mut by_kind: BTreeMap<String, u32> = BTreeMap::new();
        for request in requests {
            let path = request.target.replace("/api2/json", "");
            let kind: Vec<&str> = path.split(['/', '?']).filter(|part| !part.is_empty()).collect();
            let kind = if kind[0] == "nodes" { kind[2..].join("/") } else { kind.join("/") };
            *by_kind.entry(kind.split(|c: char| c.is_ascii_digit()).next().unwrap().to_owned()).or_default() += 1;
        }
        let average = count as f64 / 360.0;
        assert!(average <= most, "{average:.2} requests in ten seconds: {by_kind:?}");
        assert!(average >= 3.0, "the polls alone are about three: {average:.2}");
    });
}

#[test]
fn three_nodes_cost_at_most_six_requests_in_ten_seconds() {
    requests_in_ten_seconds(SimConfig::default(), 6.0);
}

#[test]
#[ignore = "an hour of large answers takes minutes: run it with --release"]
fn thirty_two_nodes_with_two_thousand_guests_cost_at_most_twenty() {
    requests_in_ten_seconds(SimConfig::scale(32, 2000), 20.0);
}
