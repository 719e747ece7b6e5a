//! Who may see what: tokens, privileges by path, and that nothing is ever changed by a request.

use crate::kit::Stage;
use sim_cluster::{Access, SimConfig};

#[test]
fn a_wrong_secret_gets_401_in_the_status_line_and_no_body() {
    let stage = Stage::homelab();
    let mut connection =
        stage.connect().with_token("PVEAPIToken=haia@pve!monitor=00000000-0000-0000-0000-000000000000");
    let response = connection.get("/cluster/resources").expect("an answer");
    assert_eq!((response.status, response.reason.as_str()), (401, "invalid token value!"));
    assert!(response.body.is_empty());
    assert_eq!(stage.sim.requests()[0].status, 401);
}

#[test]
fn an_auditor_sees_all_but_updates_and_the_journal() {
    let stage = Stage::homelab();
    assert_eq!(stage.rows("/cluster/resources?type=vm").len(), 31);
    for (path, privilege) in [("apt/update", "Sys.Modify"), ("journal", "Sys.Syslog"), ("syslog", "Sys.Syslog")] {
        let response = stage.ask(&format!("/nodes/pve2/{path}"));
        assert_eq!(response.status, 403);
        assert_eq!(response.reason, format!("Permission check failed (/nodes/pve2, {privilege})"));
        assert_eq!(response.json()["data"], serde_json::Value::Null);
    }
}

#[test]
fn a_token_without_rights_sees_no_guest_no_storage_and_no_figure() {
    let stage = Stage::of(SimConfig { access: Access::none(), ..SimConfig::default() });
    let rows = stage.rows("/cluster/resources");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["type"] == "node" && row.get("cpu").is_none()), "{rows:?}");
    assert!(stage.rows("/cluster/tasks").is_empty());
    let refused = stage.ask("/cluster/status");
    assert_eq!((refused.status, refused.reason.as_str()), (403, "Permission check failed (/, Sys.Audit)"));
    let ceph = stage.ask("/cluster/ceph/status");
    assert_eq!(ceph.reason, "Permission check failed (/, Sys.Audit|Datastore.Audit)");
    assert_eq!(stage.data("/access/permissions"), serde_json::json!({}));
}

#[test]
fn privileges_hold_by_path_and_can_change_while_it_runs() {
    let stage = Stage::homelab();
    stage.sim.set_access(Access::none().grant("/vms/101", &["VM.Audit"]).grant("/pool/media", &["VM.Audit"]));
    let guests: Vec<i64> =
        stage.rows("/cluster/resources?type=vm").iter().filter_map(|row| row["vmid"].as_i64()).collect();
    assert_eq!(guests, [101, 114, 115, 116, 117]);
    let refused = stage.ask("/nodes/pve1/qemu/103/status/current");
    assert_eq!(refused.reason, "Permission check failed (/vms/103, VM.Audit)");
    assert_eq!(stage.data("/access/permissions")["/vms/101"]["VM.Audit"], 1);
    stage.sim.set_access(Access::auditor().without("VM.Audit"));
    assert!(stage.rows("/cluster/resources?type=vm").is_empty());
    assert!(!stage.rows("/cluster/resources?type=storage").is_empty());
}

#[test]
fn writing_requests_are_refused_and_remembered() {
    let stage = Stage::of(SimConfig { writes_allowed: true, ..SimConfig::default() });
    stage.data("/version");
    stage.sim.assert_read_only();
    let mut connection = stage.connect();
    connection.send("POST", "/nodes/pve1/qemu/101/status/stop", "Content-Length: 0\r\n").expect("sent");
    let response = connection.receive().expect("an answer");
    assert_eq!((response.status, response.reason.as_str()), (403, "Permission check failed (/vms/101, VM.PowerMgmt)"));
    assert_eq!(stage.row("qemu/101")["status"], "running");
    let writes = stage.sim.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!((writes[0].method.as_str(), writes[0].status), ("POST", 403));
    assert_eq!(writes[0].target, "/api2/json/nodes/pve1/qemu/101/status/stop");
}

#[test]
#[should_panic(expected = "writing requests reached a cluster that none may reach")]
fn a_writing_request_fails_the_test_that_did_not_expect_one() {
    let stage = Stage::homelab();
    let mut connection = stage.connect();
    connection.send("POST", "/nodes/pve1/qemu/101/status/stop", "Content-Length: 0\r\n").expect("sent");
    assert_eq!(connection.receive().expect("an answer").status, 403, "refused as it is");
}

#[test]
fn bodies_that_a_real_server_refuses_are_refused() {
    let stage = Stage::homelab();
    for more in ["Transfer-Encoding: chunked\r\n", "Content-Length: 2\r\n\r\n{}"] {
        let mut connection = stage.connect();
        connection.send("GET", "/version", more).expect("sent");
        assert_eq!(connection.receive().expect("an answer").status, 501, "{more:?}");
    }
}
