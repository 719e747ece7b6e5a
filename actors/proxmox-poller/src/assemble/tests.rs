//! Tables over what polls bring, one after the other.

use super::*;
use crate::decode;
use crate::model::{GuestState, NodeState, StorageState};

const START: Timestamp = Timestamp::constant(1_772_366_400, 0);

pub(crate) fn at(seconds: i64) -> Timestamp {
    START + jiff::SignedDuration::from_secs(seconds)
}

/// A poll of three nodes, some guests and storages, as rows of JSON.
pub(crate) fn polled(resources: &str, status: &str, tasks: &str) -> Polled {
    let body = |rows: &str| format!("{{\"data\":[{rows}]}}");
    Polled {
        resources: decode::resources(body(resources).as_bytes()).unwrap(),
        status: Ok(decode::cluster_status(body(status).as_bytes()).unwrap()),
        tasks: Ok(decode::tasks(body(tasks).as_bytes()).unwrap()),
        permissions: None,
        server_time_s: Some(1_772_366_400),
        endpoint: "https://a:8006".into(),
        poll_ms: 40,
    }
}

const NODE: &str = r#"{"id":"node/a","type":"node","node":"a","status":"online","cpu":0.5,"maxcpu":8,"mem":4,"maxmem":8,"uptime":100}"#;
const MEMBERS: &str = r#"{"type":"cluster","name":"lab","quorate":1,"nodes":2},{"type":"node","name":"a","online":1,"ip":"10.0.0.1"},{"type":"node","name":"b","online":1}"#;
const WEB: &str = r#"{"id":"qemu/101","type":"qemu","vmid":101,"node":"b","name":"web","status":"running","cpu":0.1,"maxcpu":2,"mem":50,"maxmem":100,"uptime":9,"tags":"prod;web"}"#;

fn next(before: Option<&Snapshot>, polled: Polled, seconds: i64) -> Snapshot {
    assemble(&"lab".into(), polled, before, at(seconds)).unwrap()
}

#[test]
fn an_empty_answer_is_a_missing_privilege() {
    let missing = assemble(&"lab".into(), polled("", MEMBERS, ""), None, START).unwrap_err();
    assert_eq!(missing.len(), PRIVILEGES.len());
    let mut told = polled("", MEMBERS, "");
    told.permissions = Some(decode::permissions(br#"{"data":{"/":{"Sys.Audit":1}}}"#).unwrap());
    let missing = assemble(&"lab".into(), told, None, START).unwrap_err();
    assert_eq!(missing.iter().map(|one| one.0.name).collect::<Vec<_>>(), ["VM.Audit", "Datastore.Audit"]);
}

#[test]
fn a_refusal_names_the_privilege_and_the_rest_is_still_seen() {
    let mut refused = polled(&format!("{NODE},{WEB}"), "", "");
    let kind = ErrorKind::Forbidden { privileges: vec!["Sys.Audit".to_owned()], path: "/".to_owned() };
    refused.status = Err(ApiError::new(kind, "no"));
    let snapshot = next(None, refused, 0);
    assert_eq!(snapshot.missing_privileges.iter().map(|one| one.0.name).collect::<Vec<_>>(), ["Sys.Audit"]);
    assert_eq!((snapshot.quorum, snapshot.guests.len()), (None, 1));
}

#[test]
fn a_row_that_turned_unknown_keeps_what_was_known() {
    let first = next(None, polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 0);
    let unknown = r#"{"id":"qemu/101","type":"qemu","vmid":101,"node":"b","status":"unknown","lock":"backup"}"#;
    let second = next(Some(&first), polled(&format!("{NODE},{unknown}"), MEMBERS, ""), 10);
    let guest = second.guest(101).unwrap();
    assert_eq!((guest.name.as_deref(), &guest.state, guest.cpu), (Some("web"), &GuestState::Unknown, Some(0.1)));
    assert_eq!((guest.figures_at, guest.state_since), (Some(at(0)), at(10)));
    assert_eq!(guest.lock.as_deref(), Some("backup"));
    let third = next(Some(&second), polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 20);
    assert_eq!(
        (third.guest(101).unwrap().figures_at, &third.guest(101).unwrap().state),
        (Some(at(20)), &GuestState::Running)
    );
}

#[test]
fn guests_of_a_dead_node_are_not_believed_to_run() {
    let first = next(None, polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 0);
    let dead = MEMBERS.replace(r#""name":"b","online":1"#, r#""name":"b","online":0"#);
    let second = next(Some(&first), polled(&format!("{NODE},{WEB}"), &dead, ""), 10);
    assert_eq!(second.node("b").unwrap().state, NodeState::Offline);
    assert_eq!(second.guest(101).unwrap().state, GuestState::Unknown);
    assert_eq!(second.node("a").unwrap().state_since, at(0));
    assert_eq!(second.node("b").unwrap().state_since, at(10));
}

#[test]
fn a_hung_status_daemon_is_not_a_dead_node() {
    let rows = r#"{"id":"node/a","type":"node","node":"a","status":"unknown"},{"id":"node/b","type":"node","node":"b","status":"online","cpu":0.1}"#;
    let snapshot = next(None, polled(rows, MEMBERS, ""), 0);
    assert_eq!(snapshot.node("a").unwrap().state, NodeState::NoData);
    assert_eq!(snapshot.node("b").unwrap().state, NodeState::Online);
}

#[test]
fn a_guest_without_a_row_is_kept_until_it_is_surely_gone() {
    let mut snapshot = next(None, polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 0);
    let mut kept = 0;
    for poll in 1..20 {
        snapshot = next(Some(&snapshot), polled(NODE, MEMBERS, ""), poll * 10);
        kept += i32::from(snapshot.guest(101).is_some());
    }
    assert_eq!(kept, 6);
    let first = next(None, polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 0);
    let destroyed = r#"{"upid":"UPID:b:1:1:64:qmdestroy:101:root@pam:","starttime":100,"endtime":101,"status":"OK"}"#;
    assert_eq!(next(Some(&first), polled(NODE, MEMBERS, destroyed), 10).guest(101), None);
}

#[test]
fn memory_of_a_vm_without_balloon_data_is_not_its_use() {
    let of = |memory: &str, kind: &str| {
        let row = format!(r#"{{"type":"{kind}","vmid":1,"node":"a","name":"x","status":"running",{memory}}}"#);
        let snapshot = next(None, polled(&row, MEMBERS, ""), 0);
        let guest = snapshot.guest(1).unwrap();
        (guest.memory_bytes, guest.memory_of_host_bytes)
    };
    assert_eq!(of(r#""mem":50,"maxmem":100,"memhost":70"#, "qemu"), (Some(50), Some(70)));
    assert_eq!(of(r#""mem":70,"maxmem":100,"memhost":70"#, "qemu"), (None, Some(70)));
    assert_eq!(of(r#""mem":120,"maxmem":100"#, "qemu"), (None, Some(120)));
    assert_eq!(of(r#""mem":120,"maxmem":100,"memhost":0"#, "lxc"), (Some(120), None));
}

#[test]
fn a_shared_storage_is_one_and_local_ones_are_many() {
    let row = |node: &str, name: &str, shared: u8, status: &str, used: u64| {
        format!(
            r#"{{"id":"storage/{node}/{name}","type":"storage","node":"{node}","storage":"{name}","shared":{shared},"status":"{status}","disk":{used},"maxdisk":100,"content":"backup,iso"}}"#
        )
    };
    let rows = [
        row("a", "nas", 1, "available", 40),
        row("b", "nas", 1, "unknown", 0),
        row("a", "local", 0, "available", 5),
        row("b", "local", 0, "available", 6),
    ];
    let first = next(None, polled(&rows.join(","), MEMBERS, ""), 0);
    let labels: Vec<String> = first.storages.iter().map(crate::model::Storage::label).collect();
    assert_eq!(labels, ["a/local", "b/local", "nas"]);
    let nas = &first.storages[2];
    assert_eq!(
        (nas.state, nas.used_fraction(), nas.nodes.len(), nas.holds_backups()),
        (StorageState::Available, Some(0.4), 2, true)
    );
    let rows = [row("a", "nas", 1, "unknown", 0), row("b", "nas", 1, "unknown", 0)];
    let second = next(Some(&first), polled(&rows.join(","), MEMBERS, ""), 10);
    assert_eq!(
        (second.storages[0].state, second.storages[0].used_bytes, second.storages[0].figures_at),
        (StorageState::Unknown, Some(40), Some(at(0)))
    );
}

#[test]
fn tasks_are_remembered_and_running_ones_forgotten_when_untold() {
    let task = |number: u32, rest: &str| {
        format!(r#"{{"upid":"UPID:a:{number}:1:{number:X}:qmstart:101:root@pam:","starttime":{number}{rest}}}"#)
    };
    let first =
        next(None, polled(NODE, MEMBERS, &[task(1, r#","endtime":2,"status":"OK""#), task(5, "")].join(",")), 0);
    let second = next(Some(&first), polled(NODE, MEMBERS, &task(9, "")), 10);
    let started: Vec<i64> = second.tasks.iter().map(|task| task.started_s).collect();
    assert_eq!(started, [9, 1]);
}

#[test]
fn a_state_seen_from_the_first_poll_on_is_marked() {
    let first = next(None, polled(&format!("{NODE},{WEB}"), MEMBERS, ""), 0);
    assert!(first.guest(101).unwrap().state_from_first_sight);
    let stopped = WEB.replace("running", "stopped");
    let second = next(Some(&first), polled(&format!("{NODE},{stopped}"), MEMBERS, ""), 10);
    assert!(!second.guest(101).unwrap().state_from_first_sight);
}
