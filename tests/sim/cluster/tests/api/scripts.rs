//! What happens by itself: the demo's minute, scripts in their order, and the nightly backup.

use crate::client::Connection;
use crate::kit::{Stage, text};
use contract::clock::{Clock as _, SharedClock};
use runtime::SystemClock;
use sim_cluster::{Incident, Script, SimCluster, SimConfig};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn within_a_minute_the_demo_has_shown_its_three_incidents() {
    let stage = Stage::of(SimConfig::demo());
    assert_eq!(stage.row("qemu/101")["status"], "running");
    let last_night = stage.rows("/nodes/pve2/tasks?errors=1&typefilter=vzdump");
    assert!(stage.log(&last_night[0]).iter().any(|line| line.starts_with("ERROR: Backup of VM 104 failed")));
    stage.pass(20);
    let web = stage.row("qemu/101");
    assert_eq!((text(&web["name"]), text(&web["status"])), ("web-01".into(), "stopped".into()));
    assert!(stage.tasks_of("101").is_empty(), "a crash leaves no task");
    stage.pass(15);
    assert_eq!(stage.row("lxc/114")["status"], "stopped");
    let task = &stage.tasks_of("114")[0];
    assert_eq!((text(&task["type"]), text(&task["user"])), ("vzshutdown".into(), "root@pam".into()));
    stage.pass(20);
    let nas = stage.row("storage/pve1/nas-nfs");
    assert!(nas["disk"].as_f64() > nas["maxdisk"].as_f64().map(|all| all * 0.929), "{nas}");
}

#[test]
fn what_became_due_together_happens_in_its_order() {
    let script = Script::quiet()
        .at(Duration::from_secs(30), Incident::GuestStarted { vmid: 101, user: "anna@pve".into() })
        .at(Duration::from_secs(10), Incident::GuestCrashes { vmid: 101 })
        .at(Duration::from_secs(20), Incident::GuestCrashes { vmid: 101 });
    let stage = Stage::of(SimConfig { script, ..SimConfig::default() });
    stage.pass(100);
    let row = stage.row("qemu/101");
    // Crashed at 10, the second crash finds it stopped, started at 30 and up a second later.
    assert_eq!((&row["status"], &row["uptime"]), (&"running".into(), &69.into()));
}

#[test]
fn the_nightly_backup_comes_by_itself() {
    let stage = Stage::homelab();
    let newest = |stage: &Stage| {
        let rows = stage.rows("/nodes/pve1/storage/pbs/content?content=backup&vmid=101");
        (rows.len(), rows.iter().filter_map(|row| row["ctime"].as_i64()).max())
    };
    let (kept, before) = newest(&stage);
    stage.pass(20 * 3600);
    assert_eq!(newest(&stage), (kept, before.map(|at| at + 86_400)));
    let next = stage.rows("/cluster/backup")[0]["next-run"].as_i64();
    assert_eq!(next, Some(1_772_366_400 + 38 * 3600));
}

#[test]
fn under_a_time_factor_the_script_runs_as_fast_as_the_clock() {
    // As the daemon under HAIA_TIME_FACTOR: an hour of the cluster is less than a tenth of a second.
    let clock: SharedClock = Arc::new(SystemClock::accelerated(SystemClock::real().now(), 60_000.0));
    let script = Script::quiet().at(Duration::from_hours(1), Incident::GuestCrashes { vmid: 101 });
    let sim = SimCluster::start(SimConfig { script, ..SimConfig::default() }, clock).expect("a simulation");
    let mut connection = Connection::open(&sim, 0).expect("a connection");
    let row = |connection: &mut Connection| {
        let rows = connection.get("/cluster/resources").expect("an answer").data();
        rows.as_array().into_iter().flatten().find(|row| row["id"] == "qemu/101").cloned().expect("the row")
    };
    while row(&mut connection)["status"] != "stopped" {
        // A new one each time: a connection ends after its hundred requests.
        connection = Connection::open(&sim, 0).expect("a connection");
    }
    let tasks = sim.answer("/cluster/tasks").data();
    assert!(!tasks.as_array().into_iter().flatten().any(|task| task["id"] == "101"), "a crash leaves no task");
}

#[test]
fn connections_and_requests_are_counted() {
    let stage = Stage::homelab();
    let mut connection = stage.connect();
    for _ in 0..3 {
        connection.get("/version?x=1").expect("an answer");
    }
    assert_eq!((stage.sim.connections(), stage.sim.request_count()), (1, 3));
    let requests = stage.sim.requests();
    assert_eq!(
        (requests[2].target.as_str(), requests[2].status, requests[2].endpoint),
        ("/api2/json/version?x=1", 200, 0)
    );
    stage.sim.forget_requests();
    assert!(stage.sim.requests().is_empty());
    assert_eq!(stage.sim.request_count(), 3);
}
