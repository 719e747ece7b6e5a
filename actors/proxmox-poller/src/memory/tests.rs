//! What is remembered, over polls and over a restart.

use super::*;
use crate::assemble::assemble;
use crate::assemble::tests::{at, polled};

const MEMBERS: &str = r#"{"type":"cluster","name":"lab","quorate":1,"nodes":2},{"type":"node","name":"a","online":1},{"type":"node","name":"b","online":1}"#;
const NODES: &str = r#"{"type":"node","node":"a","status":"online","cpu":0.1,"uptime":90000},{"type":"node","node":"b","status":"online","cpu":0.1,"uptime":90000}"#;

fn rows(state: &str, uptime: u32) -> String {
    format!(
        r#"{NODES},{{"type":"qemu","vmid":101,"node":"a","name":"web","status":"{state}","cpu":0,"uptime":{uptime},"maxmem":5}}"#
    )
}

fn poll(before: Option<&Snapshot>, rows: &str, members: &str, tasks: &str, seconds: i64) -> Snapshot {
    let mut poll = polled(rows, members, tasks);
    poll.server_time_s = Some(at(seconds).as_second());
    assemble(&"lab".into(), poll, before, at(seconds)).unwrap()
}

#[test]
fn what_stopped_while_nobody_looked_is_a_stop() {
    let mut memory = Memory::default();
    let first = poll(None, &rows("running", 500), MEMBERS, "", 0);
    memory.observe(None, &first);
    let text = pack(&first, &memory);
    assert!(text.len() < 600, "{text}");
    for (task, kind) in [
        ("", StopKind::ByItself),
        (
            r#"{"upid":"UPID:a:1:1:69A42C20:qmshutdown:101:anna@pve:","starttime":1772367000,"endtime":1772367010,"status":"OK"}"#,
            StopKind::ByTask,
        ),
    ] {
        let kept = unpack(&"lab".into(), &text).unwrap();
        let mut memory = kept.memory;
        let later = poll(Some(&kept.snapshot), &rows("stopped", 0), MEMBERS, task, 7200);
        memory.observe(Some(&kept.snapshot), &later);
        assert_eq!((memory.stops[&101].kind, memory.stops[&101].is_unwatched), (kind, true));
        assert_eq!(later.guest(101).unwrap().known_since, at(0));
    }
    // Without what was kept it is the first sight, and nothing happened.
    let mut memory = Memory::default();
    memory.observe(None, &poll(None, &rows("stopped", 0), MEMBERS, "", 7200));
    assert!(memory.stops.is_empty());
}

#[test]
fn what_cannot_be_read_back_is_nothing() {
    for text in ["", "{", "[]", r#"{"at":1}"#, r#"{"at":"2026-03-01T12:00:00Z","guests":7,"nodes":[],"memory":{}}"#] {
        assert_eq!(unpack(&"lab".into(), text), None, "{text}");
    }
    let least = r#"{"at":"2026-03-01T12:00:00Z","guests":[],"nodes":[],"memory":{}}"#;
    assert_eq!(unpack(&"lab".into(), least).map(|kept| kept.memory), Some(Memory::default()));
}

#[test]
fn maintenance_that_ended_with_the_node_still_counts() {
    let mut memory = Memory::default();
    let mut first = poll(None, &rows("running", 500), MEMBERS, "", 0);
    let ha = |status: &str| crate::model::HaStatus {
        managers: vec![crate::model::HaManager { kind: "lrm".into(), node: Some("b".into()), status: status.into() }],
        resources: Vec::new(),
    };
    first.ha = crate::model::Part::fetched(ha("b (maintenance mode, …)"), at(0));
    memory.observe(None, &first);
    let gone = MEMBERS.replace(r#""name":"b","online":1"#, r#""name":"b","online":0"#);
    let mut second = poll(Some(&first), &rows("running", 510), &gone, "", 10);
    second.ha = crate::model::Part::fetched(ha("b (active, …)"), at(9));
    memory.observe(Some(&first), &second);
    assert_eq!(memory.nodes["b"].planned.as_deref(), Some("it was in maintenance mode"));
    let third = poll(Some(&second), &rows("running", 520), MEMBERS, "", 20);
    memory.observe(Some(&second), &third);
    assert_eq!(memory.nodes["b"].planned, None);
}

#[test]
fn starts_are_bounded_and_forgotten() {
    let mut memory = Memory::default();
    let mut before = poll(None, &rows("running", 500), MEMBERS, "", 0);
    for round in 1..60 {
        let next = poll(Some(&before), &rows("running", 499 - round), MEMBERS, "", i64::from(round) * 10);
        memory.observe(Some(&before), &next);
        before = next;
    }
    assert_eq!(memory.starts[&101].len(), STARTS);
    let later = poll(Some(&before), &rows("running", 200_000), MEMBERS, "", 200_000);
    memory.observe(Some(&before), &later);
    assert!(memory.starts.is_empty());
}
