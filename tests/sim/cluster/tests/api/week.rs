//! The quiet week, looked at poll by poll with the plain sense of the rules: nothing in it may deserve a message.

use crate::boxed::Boxed;
use serde_json::Value;
use sim_cluster::{HandClock, Incident, Script, SimConfig};
use std::collections::{BTreeMap, BTreeSet};

const WEEK: i64 = 7 * 86_400;

/// How long a condition has held, by name.
#[derive(Default)]
struct Held(BTreeMap<String, i64>);

impl Held {
    /// Notes whether it holds; fails when it has held for longer than `allowed` seconds.
    fn check(&mut self, name: String, holds: bool, now: i64, allowed: i64) {
        if !holds {
            self.0.remove(&name);
            return;
        }
        let since = *self.0.entry(name.clone()).or_insert(now);
        assert!(now - since <= allowed, "{name} for {} s at {now}", now - since);
    }
}

fn part(row: &Value, of: &str, all: &str) -> f64 {
    row[of].as_f64().unwrap_or(0.0) / row[all].as_f64().unwrap_or(1.0)
}

/// The data of a call as any member tells it; null while it cannot be had.
fn look(lab: &Boxed, path: &str) -> Value {
    lab.0.look(path).unwrap_or(Value::Null)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Plays a week, looking every so many seconds, and gives what was seen: a count of rows by what is worth knowing of the week itself.
fn watch(seed: u64, step: usize) -> BTreeMap<&'static str, usize> {
    let script = Script::quiet_week(seed, HandClock::ORIGIN);
    let mut lab = Boxed::of(SimConfig { script, ..SimConfig::default() });
    let mut held = Held::default();
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut last: BTreeMap<u64, (String, String)> = BTreeMap::new();
    let mut tasks: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut down_planned: BTreeMap<String, i64> = BTreeMap::new();
    for at in (0..WEEK).step_by(step) {
        lab.pass(step as u64);
        let now = lab.0.now().as_second();
        // What a careful client does about faults: ask again, or another member.
        let faulty = lab.0.answer("/version").status != 200 && lab.0.answer_of(1, "/version").status != 200;
        held.check("no answer".into(), faulty, now, 60);
        for task in look(&lab, "/cluster/tasks").as_array().into_iter().flatten() {
            let start = task["starttime"].as_i64().unwrap_or(0);
            let status = text(&task["status"]);
            if start < HandClock::ORIGIN.as_second() {
                continue;
            }
            assert!(status.is_empty() || status == "OK" || status.starts_with("WARNINGS"), "{task}");
            if tasks.insert((text(&task["upid"]).to_owned(), start)) {
                *seen.entry("tasks").or_default() += 1;
            }
            if task["type"] == "stopall" {
                down_planned.insert(text(&task["node"]).to_owned(), start);
            }
        }
        let planned = |node: &str| down_planned.get(node).is_some_and(|at| now - at < 900);
        let mut offline = Vec::new();
        for row in look(&lab, "/cluster/status").as_array().into_iter().flatten() {
            if row["online"] == 0 {
                offline.push(text(&row["name"]).to_owned());
                assert!(planned(text(&row["name"])), "{row} at {at}");
                *seen.entry("offline").or_default() += 1;
            }
            assert_ne!(row["quorate"], 0, "quorum at {at}");
        }
        let data = look(&lab, "/cluster/resources");
        for row in data.as_array().into_iter().flatten() {
            let id = text(&row["id"]).to_owned();
            match text(&row["type"]) {
                "node" => {
                    let unknown = row["status"] == "unknown";
                    held.check(format!("{id} unknown"), unknown, now, 60);
                    held.check(format!("{id} cpu"), row["cpu"].as_f64() > Some(0.9), now, 540);
                }
                "storage" => {
                    let known = row["status"] == "available";
                    assert!(!known || part(row, "disk", "maxdisk") < 0.84, "{row}");
                    let node = text(&row["node"]);
                    held.check(format!("{id} unknown"), !known && !planned(node), now, 60);
                }
                "qemu" | "lxc" => {
                    guest(row, now, &mut held, &mut last, &tasks, planned(text(&row["node"])));
                    *seen.entry("migrating").or_default() += usize::from(row["lock"] == "migrate");
                    let opaque = row["mem"].as_u64() > row["maxmem"].as_u64() && row["type"] == "qemu";
                    *seen.entry("beyond its memory").or_default() += usize::from(opaque);
                }
                _ => {}
            }
        }
        if at % 600 == 0 {
            slow(&lab, now, &mut held, &mut seen, &offline, planned("pve1") || planned("pve2") || planned("pve3"));
        }
    }
    seen.insert("guests at the end", lab.rows("/cluster/resources?type=vm").len());
    seen
}

fn guest(
    row: &Value,
    now: i64,
    held: &mut Held,
    last: &mut BTreeMap<u64, (String, String)>,
    tasks: &BTreeSet<(String, i64)>,
    planned: bool,
) {
    let (id, vmid) = (text(&row["id"]), row["vmid"].as_u64().unwrap_or(0));
    let status = text(&row["status"]).to_owned();
    held.check(format!("{id} unknown"), status == "unknown" && !planned, now, 60);
    held.check(format!("{id} locked"), row.get("lock").is_some(), now, 1_500);
    let busy = row["cpu"].as_f64() > Some(0.9) && row["lock"] != "backup";
    held.check(format!("{id} cpu"), busy, now, 840);
    let known = row["type"] == "lxc" || row["mem"] != row["memhost"];
    held.check(format!("{id} memory"), known && part(row, "mem", "maxmem") > 0.93, now, 540);
    assert!(row["type"] == "qemu" || part(row, "disk", "maxdisk") < 0.87, "{row}");
    if status == "unknown" {
        return;
    }
    let before = last.insert(vmid, (status.clone(), text(&row["node"]).to_owned()));
    if before.is_some_and(|(before, _)| before == "running") && status == "stopped" {
        let of_guest = |upid: &str| upid.split(':').nth(6) == Some(&vmid.to_string());
        let cause = tasks.iter().any(|(upid, start)| of_guest(upid) && now - start < 600);
        assert!(cause, "{row} stopped without a task at {now}");
    }
}

/// What is looked at every few minutes.
fn slow(
    lab: &Boxed,
    now: i64,
    held: &mut Held,
    seen: &mut BTreeMap<&'static str, usize>,
    offline: &[String],
    planned: bool,
) {
    let health = look(lab, "/cluster/ceph/status")["health"]["status"].clone();
    assert_ne!(health, "HEALTH_ERR");
    held.check("Ceph".into(), health == "HEALTH_WARN" && !planned, now, 300);
    for node in ["pve1", "pve2", "pve3"].into_iter().filter(|node| !offline.iter().any(|gone| gone == node)) {
        let memory = look(lab, &format!("/nodes/{node}/status"))["memory"].clone();
        let known = memory["available"].is_u64();
        held.check(format!("{node} memory"), known && part(&memory, "available", "total") < 0.1, now, 299);
        *seen.entry("cache").or_default() += usize::from(known && part(&memory, "used", "total") > 0.93);
    }
    for row in look(lab, "/nodes/pve1/replication").as_array().into_iter().flatten() {
        assert!(row["fail_count"].as_i64() < Some(2) || planned, "{row}");
    }
    for row in look(lab, "/cluster/ha/status/current").as_array().into_iter().flatten() {
        assert!(!matches!(text(&row["state"]), "error" | "fence" | "recovery"), "{row}");
    }
}

#[test]
fn a_quiet_week_has_much_life_and_nothing_to_tell() {
    let seen = watch(1, 60);
    for (what, least) in [("tasks", 150), ("offline", 6), ("migrating", 3), ("beyond its memory", 50), ("cache", 20)] {
        assert!(seen.get(what) >= Some(&least), "{what}: {seen:?}");
    }
    assert_eq!(seen.get("guests at the end"), Some(&31), "what was made to try is gone again");
}

#[test]
fn other_weeks_are_as_quiet() {
    for seed in [2, 77] {
        watch(seed, 300);
    }
}

#[test]
fn the_same_seed_gives_the_same_week_and_every_node_is_updated() {
    let week = |seed| Script::quiet_week(seed, HandClock::ORIGIN);
    assert_eq!(week(5), week(5));
    assert_ne!(week(5), week(6));
    for seed in 0..40 {
        let week = week(seed);
        let reboots = week.entries().iter().filter(|(_, one)| matches!(one, Incident::NodeReboots { .. })).count();
        assert_eq!(reboots, 3, "seed {seed}");
        let count = |wanted: fn(&Incident) -> bool| week.entries().iter().filter(|(_, one)| wanted(one)).count();
        assert_eq!(
            count(|one| matches!(one, Incident::SnapshotTaken { .. })),
            count(|one| matches!(one, Incident::SnapshotRemoved { .. }))
        );
        assert_eq!(
            count(|one| matches!(one, Incident::GuestCreated { .. } | Incident::GuestCloned { .. })),
            count(|one| matches!(one, Incident::GuestDestroyed { .. }))
        );
    }
}
