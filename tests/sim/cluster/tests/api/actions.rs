//! Requests that change something: their tasks, their effects, and every way in which they are refused or fail.

use crate::boxed::Boxed;
use crate::kit::Stage;
use sim_cluster::{Access, Fault, FaultRule, Incident, SimConfig, TaskEnd, TaskRule};

fn vm(vmid: u32, node: &str, what: &str) -> String {
    format!("/nodes/{node}/qemu/{vmid}/{what}")
}

fn ct(vmid: u32, node: &str, what: &str) -> String {
    format!("/nodes/{node}/lxc/{vmid}/{what}")
}

#[test]
fn power_requests_do_what_they_say_when_their_task_is_over() {
    let mut lab = Boxed::operated();
    let steps = [
        ("shutdown", "qmshutdown", 4, "stopped"),
        ("start", "qmstart", 2, "running"),
        ("suspend", "qmsuspend", 1, "paused"),
        ("resume", "qmresume", 1, "running"),
        ("reboot", "qmreboot", 5, "running"),
        ("reset", "qmreset", 1, "running"),
        ("stop", "qmstop", 1, "stopped"),
    ];
    for (verb, kind, seconds, status) in steps {
        let before = lab.status("qemu/101");
        let upid = lab.begin(&vm(101, "pve1", &format!("status/{verb}")), "");
        assert!(upid.starts_with("UPID:pve1:") && upid.ends_with(&format!(":{kind}:101:haia@pve!monitor:")), "{upid}");
        assert_eq!((lab.task(&upid), lab.status("qemu/101")), ("running".into(), before), "{verb}: only begun");
        lab.pass(seconds);
        assert_eq!((lab.task(&upid), lab.status("qemu/101")), ("OK".into(), status.into()), "{verb}");
    }
    let upid = lab.begin(&ct(114, "pve3", "status/reboot"), "timeout=60");
    lab.pass(5);
    assert_eq!((lab.task(&upid).as_str(), &lab.row("lxc/114")["uptime"]), ("OK", &0.into()));
    let write = lab.last_write();
    assert_eq!((write.body.as_str(), write.status), ("timeout=60", 200));
}

#[test]
fn json_bodies_are_taken_like_forms() {
    let mut lab = Boxed::operated();
    let upid = lab.begin(&vm(103, "pve1", "snapshot"), r#"{"snapname":"before","vmstate":true,"description":"x"}"#);
    assert_eq!(lab.row("qemu/103")["lock"], "snapshot");
    lab.pass(3);
    assert_eq!(lab.task(&upid), "OK");
    let rows = lab.rows("/nodes/pve1/qemu/103/snapshot");
    let taken = rows.iter().find(|row| row["name"] == "before").expect("the snapshot");
    assert_eq!((&taken["vmstate"], &taken["description"]), (&1.into(), &"x".into()));
    assert!(lab.row("qemu/103").get("lock").is_none());
    let again = lab.begin(&vm(103, "pve1", "snapshot"), "snapname=before");
    lab.pass(1);
    assert_eq!(lab.task(&again), "snapshot name 'before' already used");
}

#[test]
fn suspension_to_disk_keeps_a_lock_until_the_guest_is_resumed() {
    let mut lab = Boxed::operated();
    lab.begin(&vm(120, "pve1", "status/suspend"), "todisk=1");
    assert_eq!(lab.row("qemu/120")["lock"], "suspending");
    lab.pass(20);
    let row = lab.row("qemu/120");
    assert_eq!((&row["status"], &row["lock"]), (&"stopped".into(), &"suspended".into()));
    lab.begin(&vm(120, "pve1", "status/resume"), "");
    lab.pass(6);
    let row = lab.row("qemu/120");
    assert!(row["status"] == "running" && row.get("lock").is_none(), "{row}");
}

#[test]
fn tasks_run_as_long_and_end_as_a_rule_says() {
    let mut lab = Boxed::operated();
    let start = vm(101, "pve1", "status/shutdown");
    let fails = TaskEnd::Fails("VM quit/powerdown failed - got timeout".into());
    lab.0.task_rule(TaskRule { seconds: Some(60), times: Some(1), ..TaskRule::ends("qmshutdown", fails) });
    lab.0.task_rule(TaskRule { seconds: Some(30), ..TaskRule::ends("qmshutdown", TaskEnd::Warnings(2)) });
    let first = lab.begin(&start, "");
    lab.pass(59);
    assert_eq!(lab.task(&first), "running");
    lab.pass(1);
    assert_eq!(lab.task(&first), "VM quit/powerdown failed - got timeout");
    assert_eq!(lab.log(&first), ["TASK ERROR: VM quit/powerdown failed - got timeout"]);
    assert_eq!(lab.status("qemu/101"), "running");
    let second = lab.begin(&start, "");
    lab.pass(30);
    assert_eq!((lab.task(&second), lab.status("qemu/101")), ("WARNINGS: 2".into(), "stopped".into()));
    lab.0.clear_task_rules();
    let third = lab.begin(&vm(101, "pve1", "status/start"), "");
    lab.pass(2);
    assert_eq!(lab.task(&third), "OK");
}

#[test]
fn a_guest_that_does_not_react_is_waited_for_or_stopped() {
    let mut lab = Boxed::operated();
    lab.happen(Incident::GuestDeaf { vmid: 101, on: true });
    let shutdown = vm(101, "pve1", "status/shutdown");
    let upid = lab.begin(&shutdown, "timeout=40");
    lab.pass(39);
    assert_eq!(lab.task(&upid), "running");
    lab.pass(1);
    assert_eq!(lab.task(&upid), "VM quit/powerdown failed - got timeout");
    assert_eq!(lab.status("qemu/101"), "running");
    let forced = lab.begin(&shutdown, "timeout=40&forceStop=1");
    lab.pass(40);
    assert_eq!((lab.task(&forced), lab.status("qemu/101")), ("OK".into(), "stopped".into()));
}

#[test]
fn a_locked_guest_fails_the_task_and_not_the_request() {
    let mut lab = Boxed::operated();
    for (path, noun, vmid) in
        [(vm(101, "pve1", "status/stop"), "VM", 101), (ct(114, "pve3", "status/shutdown"), "CT", 114)]
    {
        lab.happen(Incident::GuestLocked { vmid, lock: Some("backup".into()) });
        let upid = lab.begin(&path, "");
        lab.pass(1);
        assert_eq!(lab.task(&upid), format!("{noun} is locked (backup)"));
    }
    assert_eq!((lab.status("qemu/101"), lab.status("lxc/114")), ("running".into(), "running".into()));
    let dump = lab.begin("/nodes/pve1/vzdump", "vmid=101&storage=pbs&mode=snapshot");
    lab.pass(60);
    assert_eq!(lab.task(&dump), "job errors");
    assert!(lab.log(&dump).contains(&"ERROR: Backup of VM 101 failed - VM is locked (backup)".to_owned()));
    assert_eq!(lab.row("qemu/101")["lock"], "backup", "somebody else's lock stays");
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let mut lab = Boxed::operated();
    let refused = [
        (vm(101, "pve2", "status/start"), "", "Configuration file 'nodes/pve2/qemu-server/101.conf' does not exist"),
        (ct(101, "pve1", "status/start"), "", "Configuration file 'nodes/pve1/lxc/101.conf' does not exist"),
        (vm(999, "pve1", "status/start"), "", "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"),
        (vm(130, "pve3", "status/reboot"), "", "VM 130 not running"),
        (ct(132, "pve2", "status/stop"), "", "CT 132 not running"),
        (ct(114, "pve3", "status/start"), "", "CT 114 already running"),
        (vm(900, "pve1", "status/start"), "", "you can't start a vm if it's a template"),
        (vm(113, "pve1", "migrate"), "target=pve9&online=1", "no such cluster node 'pve9'"),
        (ct(119, "pve1", "migrate"), "target=pve2", "Can't migrate running container without --online or --restart"),
        (vm(113, "pve1", "snapshot"), "snapname=current", "unable to use snapshot name 'current' (reserved name)"),
        ("/nodes/pve1/vzdump".into(), "vmid=101&storage=nowhere", "storage 'nowhere' does not exist"),
        ("/nodes/pve1/vzdump".into(), "vmid=101&storage=local-zfs", "storage 'local-zfs' does not support backups"),
    ];
    for (path, body, reason) in refused {
        let answer = lab.post(&path, body);
        assert_eq!((answer.status, answer.reason.as_str()), (500, reason), "{path} {body}");
    }
    let wrong = [
        (vm(113, "pve1", "migrate"), "online=1", "target"),
        (vm(113, "pve1", "migrate"), "target=pve2", "online"),
        (vm(113, "pve1", "migrate"), "target=pve1&online=1", "target"),
        (vm(113, "pve1", "snapshot"), "snapname=9 lives", "snapname"),
        (vm(113, "pve1", "status/shutdown"), "timeout=soon", "timeout"),
        (vm(113, "pve1", "status/start"), "colour=red", "colour"),
        ("/nodes/pve1/vzdump".into(), "vmid=all", "vmid"),
        ("/nodes/pve1/vzdump".into(), "vmid=101&storage=pbs&mode=fast", "mode"),
    ];
    for (path, body, field) in wrong {
        let answer = lab.post(&path, body);
        assert_eq!((answer.status, answer.reason.as_str()), (400, "Parameter verification failed."), "{path} {body}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains(&format!("\"errors\":{{\"{field}\"")), "{text}");
    }
    assert_eq!(lab.post("/nodes/pve3/lxc/114/status/reset", "").status, 501);
    let already = lab.begin(&vm(113, "pve1", "status/start"), "");
    lab.pass(1);
    assert_eq!(lab.task(&already), "VM 113 already running");
}

#[test]
fn each_action_needs_its_own_privilege() {
    let actions = [
        (vm(101, "pve1", "status/start"), "", "VM.PowerMgmt"),
        (vm(101, "pve1", "migrate"), "target=pve2&online=1", "VM.Migrate"),
        (vm(101, "pve1", "snapshot"), "snapname=before", "VM.Snapshot"),
        ("/nodes/pve1/vzdump".into(), "vmid=101&storage=pbs", "VM.Backup"),
    ];
    for (path, body, privilege) in actions {
        let mut lab = Boxed::of(SimConfig { access: Access::operator().without(privilege), ..SimConfig::acting() });
        let answer = lab.post(&path, body);
        let reason = format!("Permission check failed (/vms/101, {privilege})");
        assert_eq!((answer.status, answer.reason), (403, reason), "{path}");
        lab.0.set_access(
            Access::auditor()
                .with("/vms/101", &[privilege, "VM.Audit"])
                .with("/storage/pbs", &["Datastore.AllocateSpace"]),
        );
        assert_eq!(lab.post(&path, body).status, 200, "{path} with {privilege} alone");
    }
    let mut lab =
        Boxed::of(SimConfig { access: Access::operator().without("Datastore.AllocateSpace"), ..SimConfig::acting() });
    let answer = lab.post("/nodes/pve1/vzdump", "vmid=101&storage=pbs");
    assert_eq!(answer.reason, "Permission check failed (/storage/pbs, Datastore.AllocateSpace)");
    // By the pool of the guest.
    lab.0.set_access(Access::auditor().with("/pool/media", &["VM.PowerMgmt"]));
    assert_eq!(lab.post(&ct(114, "pve3", "status/stop"), "").status, 200);
    assert_eq!(lab.post(&vm(101, "pve1", "status/stop"), "").status, 403);
}

#[test]
fn other_writing_requests_are_refused_whatever_the_token_holds() {
    let mut lab = Boxed::operated();
    for (method, path) in [
        ("DELETE", "/nodes/pve1/qemu/101"),
        ("PUT", "/nodes/pve1/qemu/101/config"),
        ("POST", "/nodes/pve1/status"),
        ("POST", "/nodes/pve1/qemu"),
        ("DELETE", "/nodes/pve1/qemu/103/snapshot/before-pg17"),
    ] {
        assert_eq!(lab.0.request(0, method, path, "").status, 403, "{method} {path}");
    }
    assert_eq!(lab.0.writes().len(), 5);
}

#[test]
fn the_manager_is_asked_and_acts_later() {
    let mut lab = Boxed::operated();
    let asked = lab.begin(&vm(103, "pve1", "status/shutdown"), "");
    assert!(asked.contains(":hastop:103:"), "{asked}");
    lab.pass(2);
    assert_eq!((lab.task(&asked), lab.status("qemu/103")), ("OK".into(), "running".into()), "nothing has happened yet");
    let service = |lab: &mut Boxed| {
        let rows = lab.rows("/cluster/ha/status/current");
        rows.into_iter().find(|row| row["sid"] == "vm:103").expect("the service")
    };
    assert_eq!(service(&mut lab)["request_state"], "stopped");
    lab.pass(15);
    assert_eq!(lab.status("qemu/103"), "stopped");
    let task = &lab.tasks_of("103")[0];
    assert_eq!((&task["type"], &task["user"]), (&"qmshutdown".into(), &"root@pam".into()));
    let asked = lab.begin(&vm(103, "pve1", "status/start"), "");
    assert!(asked.contains(":hastart:103:"), "{asked}");
    lab.pass(15);
    assert_eq!((lab.status("qemu/103"), &service(&mut lab)["state"]), ("running".into(), &"started".into()));
    let asked = lab.begin(&vm(103, "pve1", "migrate"), "target=pve3&online=1");
    assert!(asked.contains(":hamigrate:103:"), "{asked}");
    lab.pass(30);
    assert_eq!(lab.row("qemu/103")["node"], "pve3");
    lab.happen(Incident::HaState { vmid: 103, state: "error".into() });
    let asked = lab.begin(&vm(103, "pve3", "status/shutdown"), "");
    lab.pass(2);
    assert_eq!(lab.task(&asked), "service 'vm:103' in error state, must be disabled and fixed first");
}

#[test]
fn migrations_move_or_say_in_their_log_why_not() {
    let mut lab = Boxed::operated();
    let live = lab.begin(&vm(113, "pve1", "migrate"), "target=pve2&online=1");
    assert_eq!(lab.row("qemu/113")["lock"], "migrate");
    let uptime = lab.row("qemu/113")["uptime"].as_i64();
    lab.pass(14);
    let row = lab.row("qemu/113");
    assert_eq!((&row["node"], row["uptime"].as_i64()), (&"pve2".into(), uptime.map(|uptime| uptime + 14)));
    assert!(lab.log(&live)[0].ends_with("starting migration of VM 113 to node 'pve2' (10.0.0.12)"));
    assert!(row.get("lock").is_none());
    let restarted = lab.begin(&ct(119, "pve1", "migrate"), "target=pve3&restart=1");
    lab.pass(5);
    assert_eq!(lab.status("lxc/119"), "stopped");
    lab.pass(4);
    assert_eq!((lab.task(&restarted), &lab.row("lxc/119")["node"]), ("OK".into(), &"pve3".into()));
    let local = lab.begin(&vm(120, "pve1", "migrate"), "target=pve2&online=1");
    lab.pass(1);
    assert_eq!(lab.task(&local), "migration aborted");
    assert!(lab.log(&local).iter().any(|line| line.contains("can't migrate local disk 'local-zfs:vm-120-disk-0'")));
    let copied = lab.begin(&vm(120, "pve1", "migrate"), "target=pve2&online=1&with-local-disks=1");
    lab.pass(14);
    assert_eq!((lab.task(&copied), &lab.row("qemu/120")["node"]), ("OK".into(), &"pve2".into()));
    lab.0.task_rule(TaskRule::ends("qmigrate", TaskEnd::Fails("migration aborted".into())));
    lab.begin(&vm(118, "pve1", "migrate"), "target=pve2&online=1");
    lab.pass(14);
    let row = lab.row("qemu/118");
    assert!(row["node"] == "pve1" && row["status"] == "running" && row.get("lock").is_none(), "{row}");
    lab.happen(Incident::NodeDown { node: "pve2".into() });
    let answer = lab.post(&vm(118, "pve1", "migrate"), "target=pve2&online=1");
    assert_eq!(answer.reason, "ssh: connect to host 10.0.0.12 port 22: No route to host");
}

#[test]
fn a_backup_is_there_when_its_task_is_over() {
    let mut lab = Boxed::operated();
    let count = |lab: &mut Boxed| lab.rows("/nodes/pve1/storage/pbs/content?content=backup&vmid=120").len();
    assert_eq!(count(&mut lab), 0);
    let upid = lab.begin("/nodes/pve1/vzdump", "vmid=120&storage=pbs&mode=snapshot");
    assert!(upid.ends_with(":vzdump:120:haia@pve!monitor:"), "{upid}");
    lab.pass(5);
    assert_eq!((&lab.row("qemu/120")["lock"], count(&mut lab)), (&"backup".into(), 0));
    lab.pass(15);
    assert_eq!((lab.task(&upid), count(&mut lab)), ("OK".into(), 1));
    assert!(lab.row("qemu/120").get("lock").is_none());
    assert!(lab.log(&upid).iter().any(|line| line.starts_with("INFO: Finished Backup of VM 120")));
    lab.0.task_rule(TaskRule { times: Some(1), ..TaskRule::takes("vzdump", 600) });
    let long = lab.begin("/nodes/pve1/vzdump", "vmid=120&storage=pbs");
    lab.pass(599);
    assert_eq!((lab.task(&long), &lab.row("qemu/120")["lock"]), ("running".into(), &"backup".into()));
    lab.pass(1);
    assert_eq!((lab.task(&long), count(&mut lab)), ("OK".into(), 2));
    lab.0.task_rule(TaskRule::ends("vzdump", TaskEnd::Fails("write error: No space left on device".into())));
    let failed = lab.begin("/nodes/pve1/vzdump", "vmid=120&storage=pbs");
    lab.pass(60);
    assert_eq!((lab.task(&failed), count(&mut lab)), ("job errors".into(), 2));
    assert!(lab.log(&failed).iter().any(|line| line.contains("Backup of VM 120 failed - write error")));
    // Guests of another node are left out without a word.
    assert_eq!(lab.post("/nodes/pve2/vzdump", "vmid=120&storage=pbs").data(), "OK");
}

#[test]
fn a_node_that_is_lost_takes_its_tasks_with_it() {
    let mut lab = Boxed::operated();
    lab.0.task_rule(TaskRule::takes("qmshutdown", 60));
    let upid = lab.begin(&vm(102, "pve2", "status/shutdown"), "");
    lab.pass(10);
    lab.happen(Incident::NodeDown { node: "pve2".into() });
    let gone = lab.post(&vm(104, "pve2", "status/stop"), "");
    assert_eq!((gone.status, gone.reason.as_str()), (595, "No route to host"));
    lab.pass(120);
    assert_eq!(lab.status("qemu/102"), "running", "the last sample");
    let task = lab.tasks_of("102").into_iter().find(|task| task["upid"] == upid.as_str()).expect("the task");
    assert_eq!(task["status"], "unexpected status");
}

#[test]
fn without_quorum_nothing_is_written() {
    let mut lab = Boxed::operated();
    lab.happen(Incident::QuorumLost);
    let answer = lab.post(&vm(101, "pve1", "status/stop"), "");
    assert_eq!((answer.status, answer.reason.as_str()), (500, "cluster not ready - no quorum?"));
}

#[test]
fn an_answer_that_is_lost_leaves_the_task_and_one_that_hangs_does_not() {
    let mut lab = Boxed::operated();
    lab.0.fault_rule(FaultRule::always(Fault::DropMidBody).times(1));
    assert_eq!(lab.post(&vm(101, "pve1", "status/shutdown"), "").status, 0);
    lab.pass(4);
    assert_eq!(lab.status("qemu/101"), "stopped");
    lab.0.fault_rule(FaultRule::always(Fault::Hang).times(1));
    assert_eq!(lab.post(&vm(101, "pve1", "status/start"), "").status, 0);
    lab.pass(4);
    assert_eq!(lab.status("qemu/101"), "stopped");
    let shown: Vec<u16> = lab.0.writes().iter().map(|write| write.status).collect();
    assert_eq!(shown, [200, 0]);
}

#[test]
fn over_https_a_form_is_read_and_a_chunked_body_refused() {
    let stage = Stage::of(SimConfig::acting());
    let mut connection = stage.connect();
    connection.send("POST", "/nodes/pve1/qemu/101/status/stop", "Transfer-Encoding: chunked\r\n").expect("sent");
    let answer = connection.receive().expect("an answer");
    assert_eq!((answer.status, answer.reason.as_str()), (501, "chunked transfer encoding not supported"));
    assert_eq!(stage.row("qemu/101")["status"], "running");
    let mut connection = stage.connect();
    connection.post("/nodes/pve1/qemu/101/status/shutdown", "timeout=30").expect("sent");
    let answer = connection.receive().expect("an answer");
    assert_eq!(answer.status, 200);
    let upid = answer.data().as_str().expect("a UPID").to_owned();
    stage.pass(4);
    assert_eq!(stage.row("qemu/101")["status"], "stopped");
    assert_eq!(stage.tasks_of("101")[0]["upid"], upid.as_str());
    let writes = stage.sim.writes();
    assert_eq!((writes.len(), writes.last().map(|write| write.body.as_str())), (2, Some("timeout=30")));
}
