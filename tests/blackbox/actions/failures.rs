//! What stands in an action's way, before it is proposed, before it is approved and while it runs. Each ends in a true statement, and what was
//! not done was not asked for either.

use super::{Acting, word};
use crate::clusters::until_polled;
use crate::daemon::{ADMIN, CONTROL, eventually};
use serde_json::Value;
use sim_cluster::{Access, Fault, FaultRule, Incident, TaskEnd, TaskRule};

const SHUTDOWN: &str = "DO(shutdown_guest|guest=web-01)";

/// Approved and not run, because of this.
#[track_caller]
fn assert_stale(acting: &Acting, id: u64, why: &[&str]) -> Value {
    let ended = acting.approve(id);
    assert_eq!(word(&ended, "state"), "stale", "{ended}");
    for why in why {
        assert!(word(&ended, "result").contains(why), "no {why:?} in {ended}");
    }
    assert!(ended["began"].is_null(), "{ended}");
    let fate = acting.say(CONTROL, &format!("DO(get_proposal|proposal={id})"));
    assert!(fate.contains("was approved by admin through the API") && fate.contains("but not run"), "{fate}");
    ended
}

#[test]
fn a_guest_that_is_locked() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    acting.cluster.incident(Incident::GuestLocked { vmid: 101, lock: Some("backup".into()) }).expect("it is there");
    assert_stale(&acting, id, &["it cannot be done now", "it is locked (backup)"]);
    let refused = acting.say(CONTROL, SHUTDOWN);
    assert!(
        refused.contains("it is locked (backup)") && refused.contains("Nothing was proposed or done."),
        "{refused}"
    );
    assert_eq!(acting.orders(), [""; 0]);
    acting.assert_on_record();
}

#[test]
fn a_guest_that_has_moved_is_asked_about_again() {
    let acting = Acting::start("");
    let id = acting.propose("DO(shutdown_guest|guest=gitea|reason=A new disk.)");
    acting
        .cluster
        .incident(Incident::GuestMigrated { vmid: 113, target: "pve2".into(), user: "root@pam".into() })
        .expect("it can");
    eventually("the move", || (acting.guest("qemu/113")["node"] == "pve2").then_some(()));
    let stale =
        assert_stale(&acting, id, &["node was pve1 and is pve2 now", &format!("Proposal {} asks again", id + 1)]);
    assert!(word(&stale, "result").contains("node was"), "{stale}");
    assert_eq!(acting.orders(), [""; 0]);
    let again = acting.proposal(id + 1);
    assert_eq!((word(&again, "state"), word(&again["plan"], "reason")), ("proposed", "A new disk."));
    let ended = acting.approve(id + 1);
    assert!(word(&ended, "result").contains("gitea (113) was shut down on pve2"), "{ended}");
    assert_eq!(acting.orders(), ["pve2/qemu/113/status/shutdown"]);
    acting.assert_on_record();
}

#[test]
fn a_guest_that_has_vanished() {
    let acting = Acting::start("");
    let id = acting.propose("DO(start_guest|guest=win11-lab)");
    acting.cluster.incident(Incident::GuestDestroyed { vmid: 130, user: "root@pam".into() }).expect("it is off");
    eventually("its end", || acting.guest("qemu/130").is_null().then_some(()));
    assert_stale(&acting, id, &["it could not be planned again", "130"]);
    assert_eq!(acting.orders(), [""; 0]);
}

#[test]
fn a_token_that_may_not() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    acting.cluster.set_access(Access::operator().without("VM.PowerMgmt"));
    assert_stale(&acting, id, &["the token haia@pve!monitor lacks VM.PowerMgmt on /vms/101", "pveum role add"]);
    let refused = acting.say(CONTROL, SHUTDOWN);
    assert!(refused.contains("lacks VM.PowerMgmt") && refused.contains("Nothing was proposed or done."), "{refused}");
    // The cluster is the last to say no: the privilege goes between the last look and the order.
    acting.cluster.set_access(Access::operator());
    let id = acting.propose(SHUTDOWN);
    let denied = Fault::Forbidden { path: "/vms/101".into(), privilege: "VM.PowerMgmt".into() };
    acting.cluster.fault_rule(FaultRule::always(denied).on_path("/nodes/pve1/qemu/101/status/shutdown"));
    let ended = acting.approve(id);
    assert_eq!(word(&ended, "state"), "failed", "{ended}");
    assert!(word(&ended, "result").contains("Nothing was done."), "{ended}");
    assert_eq!(acting.cluster.writes().iter().map(|write| write.status).collect::<Vec<_>>(), [403]);
    acting.assert_on_record();
}

#[test]
fn a_node_that_is_gone() {
    let acting = Acting::start("");
    let id = acting.propose("DO(shutdown_guest|guest=web-02)");
    acting.cluster.incident(Incident::NodeDown { node: "pve2".into() }).expect("it was up");
    until_polled(&acting.daemon, 2);
    assert_stale(&acting, id, &["its node pve2 is offline"]);
    assert_eq!(acting.orders(), [""; 0]);
}

#[test]
fn a_task_that_fails_and_one_that_warns() {
    let acting = Acting::start("");
    let fails = TaskEnd::Fails("VM quit/powerdown failed - got timeout".into());
    acting.cluster.task_rule(TaskRule { times: Some(1), ..TaskRule::ends("qmshutdown", fails) });
    acting.cluster.task_rule(TaskRule::ends("qmreboot", TaskEnd::Warnings(2)));
    let id = acting.propose(SHUTDOWN);
    let (code, out, _) = acting.run(&["approvals", "approve", &id.to_string()]);
    assert_eq!(code, Some(1), "{out}");
    let told =
        "The shutdown of web-01 (101) failed: VM quit/powerdown failed - got timeout. It is running on pve1 now.";
    assert!(out.ends_with(&format!("failed: {told}\n")), "{out}");
    let fate = acting.say(CONTROL, &format!("DO(get_proposal|proposal={id})"));
    assert!(
        fate.contains("was approved by somebody on the command line") && fate.contains("and failed: The shutdown"),
        "{fate}"
    );
    assert_eq!(acting.orders().len(), 1, "not tried again");
    let warned = acting.approve(acting.propose("DO(reboot_guest|guest=web-02)"));
    assert!(word(&warned, "state") == "done" && word(&warned, "result").contains("with 2 warnings"), "{warned}");
    acting.assert_on_record();
}

#[test]
fn an_answer_that_is_lost_is_looked_up_and_never_sent_again() {
    let acting = Acting::start("");
    let order = |fault| FaultRule::always(fault).on_path("/nodes/pve1/qemu/101/status/shutdown").times(1);
    let id = acting.propose(SHUTDOWN);
    acting.cluster.fault_rule(order(Fault::DropMidBody));
    let ended = acting.approve(id);
    assert!(word(&ended, "state") == "done" && word(&ended, "result").contains("was shut down on pve1"), "{ended}");
    assert_eq!(acting.orders().len(), 1);
}

#[test]
fn a_switch_that_is_turned_off_stops_what_waits() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    let config = acting.setup.text().replace("allow_actions = true", "allow_actions = false");
    std::fs::write(acting.setup.path(), config).expect("the folder can be written");
    assert_eq!(acting.daemon.post("/api/config/reload", &serde_json::json!({})).status, 200);
    assert_stale(&acting, id, &["it could not be planned again", "allow_actions"]);
    let refused = acting.say(ADMIN, SHUTDOWN);
    assert!(refused.contains("there is no tool named") || refused.contains("allow_actions"), "{refused}");
    assert_eq!(acting.orders(), [""; 0]);
}

/// Holds the store's write lock until it is dropped.
struct Locked(std::process::Child);

impl Locked {
    fn hold(acting: &Acting) -> Self {
        let script = "import sqlite3, sys\nstore = sqlite3.connect('haia.db', timeout=60)\nstore.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()";
        let mut child = std::process::Command::new("python3")
            .args(["-c", script])
            .current_dir(acting.daemon.folder().path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut word = [0; 4];
        std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut word).expect("the lock is held");
        Self(child)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn without_a_store_nothing_is_proposed_and_nothing_done() {
    let acting = Acting::start("");
    let id = acting.propose(SHUTDOWN);
    let lock = Locked::hold(&acting);
    let said = acting.say(CONTROL, "DO(start_guest|guest=win11-lab)");
    assert!(!said.contains("was made") && said.contains("othing was"), "{said}");
    let refused = acting.decide(ADMIN, id, "approve");
    assert!(refused.status >= 429, "{}", refused.text());
    assert_eq!(acting.orders(), [""; 0]);
    drop(lock);
    let ended = eventually("the store to take it", || {
        let decided = acting.decide(ADMIN, id, "approve");
        (decided.status == 200 || decided.status == 409).then(|| acting.ended(id))
    });
    assert_eq!(word(&ended, "state"), "done", "{ended}");
    assert_eq!(acting.orders(), ["pve1/qemu/101/status/shutdown"], "once");
    acting.assert_on_record();
}
