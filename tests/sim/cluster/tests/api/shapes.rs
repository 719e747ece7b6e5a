//! Every call's answer against the schema, before and after things went wrong, and the figures that move.

use crate::kit::{Stage, WEB, text};
use crate::schema::Schema;
use sim_cluster::{Access, Incident, SimConfig};
use std::time::Duration;

/// Calls as the schema writes them, with the places filled in by `path`.
const CALLS: [&str; 70] = [
    "/version",
    "/access/permissions",
    "/cluster/resources",
    "/cluster/status",
    "/cluster/tasks",
    "/cluster/nextid",
    "/cluster/options",
    "/cluster/log",
    "/cluster/config/nodes",
    "/cluster/metrics/export",
    "/cluster/backup",
    "/cluster/backup/{id}",
    "/cluster/backup/{id}/included_volumes",
    "/cluster/backup-info",
    "/cluster/backup-info/not-backed-up",
    "/cluster/ceph/status",
    "/cluster/ceph/flags",
    "/cluster/ha",
    "/cluster/ha/status",
    "/cluster/ha/status/current",
    "/cluster/ha/status/manager_status",
    "/cluster/ha/resources",
    "/cluster/ha/resources/{sid}",
    "/cluster/ha/rules",
    "/cluster/replication",
    "/cluster/replication/{id}",
    "/pools",
    "/pools/{poolid}",
    "/storage",
    "/nodes",
    "/nodes/{node}",
    "/nodes/{node}/version",
    "/nodes/{node}/status",
    "/nodes/{node}/time",
    "/nodes/{node}/dns",
    "/nodes/{node}/services",
    "/nodes/{node}/network",
    "/nodes/{node}/netstat",
    "/nodes/{node}/rrddata",
    "/nodes/{node}/subscription",
    "/nodes/{node}/certificates/info",
    "/nodes/{node}/apt/update",
    "/nodes/{node}/apt/versions",
    "/nodes/{node}/journal",
    "/nodes/{node}/syslog",
    "/nodes/{node}/tasks",
    "/nodes/{node}/tasks/{upid}/status",
    "/nodes/{node}/tasks/{upid}/log",
    "/nodes/{node}/qemu",
    "/nodes/{node}/qemu/{vmid}",
    "/nodes/{node}/qemu/{vmid}/status/current",
    "/nodes/{node}/qemu/{vmid}/config",
    "/nodes/{node}/qemu/{vmid}/pending",
    "/nodes/{node}/qemu/{vmid}/snapshot",
    "/nodes/{node}/qemu/{vmid}/rrddata",
    "/nodes/{node}/lxc",
    "/nodes/{node}/storage",
    "/nodes/{node}/storage/{storage}/status",
    "/nodes/{node}/storage/{storage}/content",
    "/nodes/{node}/storage/{storage}/rrddata",
    "/nodes/{node}/disks/list",
    "/nodes/{node}/disks/smart",
    "/nodes/{node}/disks/zfs",
    "/nodes/{node}/disks/zfs/{name}",
    "/nodes/{node}/disks/lvmthin",
    "/nodes/{node}/ceph/status",
    "/nodes/{node}/ceph/osd",
    "/nodes/{node}/ceph/pool",
    "/nodes/{node}/ceph/mon",
    "/nodes/{node}/replication",
];

fn path(call: &str, upid: &str) -> String {
    let id = if call.contains("backup") { "backup-nightly" } else { "101-0" };
    let filled = call
        .replace("{id}", id)
        .replace("{sid}", "vm:103")
        .replace("{poolid}", "production")
        .replace("{node}", "pve1")
        .replace("{upid}", &upid.replace(':', "%3A"))
        .replace("{vmid}", "103")
        .replace("{storage}", "pbs")
        .replace("{name}", "rpool");
    if filled.ends_with("/smart") { format!("{filled}?disk=%2Fdev%2Fsda") } else { filled }
}

fn all_access() -> Access {
    let more = ["Sys.Modify", "Sys.Syslog", "Datastore.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"];
    Access::none().grant("/", &more)
}

fn check_all(stage: &Stage) {
    let schema = Schema::load();
    let upid = text(&stage.rows("/nodes/pve1/tasks")[0]["upid"]);
    let mut wrong = Vec::new();
    for call in CALLS {
        wrong.extend(schema.wrong(call, &stage.data(&path(call, &upid))));
    }
    for call in ["status/current", "config", "pending", "snapshot", "rrddata", "interfaces"] {
        let data = stage.data(&format!("/nodes/pve1/lxc/106/{call}"));
        wrong.extend(schema.wrong(&format!("/nodes/{{node}}/lxc/{{vmid}}/{call}"), &data));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_answer_has_the_shape_of_the_schema() {
    check_all(&Stage::of(SimConfig { access: all_access(), ..SimConfig::default() }));
}

#[test]
fn answers_keep_their_shape_when_all_goes_wrong() {
    let stage = Stage::of(SimConfig { access: all_access(), ..SimConfig::demo() });
    let pve2 = || "pve2".to_owned();
    for incident in [
        Incident::GuestStatus { vmid: 103, status: "io-error".into() },
        Incident::SnapshotTaken { vmid: 103, name: "before".into(), user: "anna@pve".into() },
        Incident::ReplicationFails { vmid: WEB },
        Incident::OsdDown { osd: 2 },
        Incident::CephError { code: "OSD_FULL".into(), message: "1 full osd(s)".into() },
        Incident::ZfsDegraded { node: "pve1".into(), pool: "rpool".into() },
        Incident::DiskFails { node: "pve1".into(), device: "/dev/sda".into() },
        Incident::StorageInactive { storage: "nas-nfs".into(), node: None },
        Incident::NodeMaintenance { node: "pve3".into(), on: true },
        Incident::NodeDown { node: pve2() },
    ] {
        stage.happen(incident);
    }
    stage.pass(200);
    check_all(&stage);
    stage.pass(200);
    check_all(&stage);
    stage.happen(Incident::NodeReturns { node: pve2() });
    stage.pass(600);
    check_all(&stage);
}

#[test]
fn the_homelab_is_what_it_says() {
    let stage = Stage::homelab();
    let rows = stage.rows("/cluster/resources");
    let count = |kind: &str| rows.iter().filter(|row| row["type"] == kind).count();
    assert_eq!((count("node"), count("qemu") + count("lxc"), count("storage")), (3, 31, 15));
    assert!(count("lxc") > 10 && rows.iter().any(|row| row["template"] == 1));
    let web = stage.row("qemu/101");
    assert_eq!(
        (text(&web["name"]), text(&web["tags"]), text(&web["pool"])),
        ("web-01".into(), "prod;web".into(), "production".into())
    );
    // Templates and the guests of the lab are in no job.
    let open: Vec<i64> =
        stage.rows("/cluster/backup-info/not-backed-up").iter().filter_map(|row| row["vmid"].as_i64()).collect();
    assert!(open.contains(&120) && open.contains(&116) && !open.contains(&101) && !open.contains(&114), "{open:?}");
    let backups = stage.rows("/nodes/pve1/storage/pbs/content?content=backup&vmid=101");
    assert_eq!(backups.len(), 7);
    let newest = backups.iter().filter_map(|row| row["ctime"].as_i64()).max();
    assert_eq!(newest, Some(1_772_366_400 - 10 * 3600 + 2), "last night at two");
    assert_eq!(stage.data("/cluster/ceph/status")["health"]["status"], "HEALTH_OK");
    assert_eq!(stage.data("/nodes/pve1/disks/zfs")[0]["health"], "ONLINE");
}

#[test]
fn figures_move_with_the_clock_and_counters_only_grow() {
    let stage = Stage::homelab();
    let before = stage.row("qemu/103");
    assert_eq!(before, stage.row("qemu/103"), "the same moment gives the same figures");
    stage.pass(600);
    let after = stage.row("qemu/103");
    assert_ne!(before["cpu"], after["cpu"]);
    let grew = |name: &str| after[name].as_u64() > before[name].as_u64();
    assert!(grew("netin") && grew("diskwrite"), "{before} {after}");
    assert_eq!(after["uptime"].as_i64(), before["uptime"].as_i64().map(|uptime| uptime + 600));
}

#[test]
fn memory_of_a_guest_without_an_agent_is_opaque() {
    let stage = Stage::homelab();
    let opaque = stage.row("qemu/126");
    assert_eq!(opaque["mem"], opaque["memhost"]);
    let known = stage.row("qemu/103");
    assert!(known["mem"].as_u64() < known["memhost"].as_u64());
    let container = stage.row("lxc/106");
    assert_eq!(container["memhost"], 0);
    assert!(container["disk"].as_u64() > Some(0));
}

#[test]
fn a_large_cluster_is_served_like_a_small_one() {
    let stage = Stage::of(SimConfig::scale(32, 2_000));
    let response = stage.ask("/cluster/resources");
    let rows = response.data().as_array().cloned().unwrap_or_default();
    let guests = rows.iter().filter(|row| row["vmid"].is_u64()).count();
    assert_eq!((guests, rows.iter().filter(|row| row["type"] == "node").count()), (2_000, 32));
    assert!(response.body.len() > 500_000, "{} bytes", response.body.len());
    assert!(Schema::load().wrong("/cluster/resources", &response.data()).is_empty());
    assert_eq!(stage.rows("/cluster/status").len(), 33);
    stage.pass(Duration::from_hours(24).as_secs());
    assert!(!stage.rows("/cluster/tasks").is_empty());
}

#[test]
fn contradictory_configurations_are_refused_with_what_to_do() {
    let refused = |config: SimConfig| {
        let clock = sim_cluster::HandClock::new();
        sim_cluster::SimCluster::start(config, clock).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let base = SimConfig::default;
    assert!(refused(SimConfig { nodes: 4, ..base() }).contains("has 3 nodes, not 4"));
    assert!(refused(SimConfig { endpoints: 9, ..base() }).contains("give 1 to 3"));
    assert!(refused(SimConfig { token_id: "haia".into(), ..base() }).contains("user@realm!token"));
    assert!(refused(SimConfig::scale(99, 10)).contains("give 1 to 64"));
}
