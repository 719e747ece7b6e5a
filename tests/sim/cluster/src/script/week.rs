//! A week of ordinary life in the homelab. The same seed and start give the same week; nothing in it deserves a message.

use super::Script;
use crate::fault::{Fault, FaultRule};
use crate::figures::mix;
use crate::incidents::Incident;
use jiff::Timestamp;
use std::time::Duration;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Virtual machines on shared storage, with their nodes: what is migrated.
const MOVABLE: [(u32, &str); 5] = [(102, "pve2"), (104, "pve2"), (108, "pve3"), (113, "pve1"), (118, "pve1")];
/// What people switch off and on, or reboot: nothing here is always on, and nothing is kept by the HA manager.
const SWITCHED: [u32; 6] = [116, 117, 120, 121, 122, 126];
const REBOOTED: [u32; 6] = [111, 112, 114, 115, 123, 125];
/// What gets snapshots.
const SNAPSHOT: [u32; 3] = [101, 103, 110];
/// What leaves a node before it is updated.
const LEAVING: [(&str, [u32; 2], &str); 3] =
    [("pve1", [113, 119], "pve3"), ("pve2", [102, 107], "pve3"), ("pve3", [109, 125], "pve1")];
const PEOPLE: [&str; 3] = ["root@pam", "anna@pve", "ben@pve"];

/// What is drawn, one number after the other.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = mix(self.0);
        self.0
    }

    /// From `low` to below `high`.
    fn from(&mut self, low: i64, high: i64) -> i64 {
        let width = u64::try_from(high - low).unwrap_or(1).max(1);
        low + i64::try_from(self.next() % width).unwrap_or(0)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next()).unwrap_or(usize::MAX) % of.len()]
    }

    fn person(&mut self) -> String {
        self.one(&PEOPLE).to_owned()
    }
}

/// The week while it is written: moments are seconds since 1970.
struct Week {
    script: Script,
    start: i64,
    draw: Draw,
}

impl Week {
    /// Writes an incident down; what would be over before the start, or after the week, is left out.
    fn at(&mut self, moment: i64, incident: Incident) {
        let after = moment - self.start;
        if (0..7 * DAY).contains(&after) {
            let script = std::mem::take(&mut self.script);
            self.script = script.at(Duration::from_secs(after.unsigned_abs()), incident);
        }
    }

    /// Whether a stretch lies wholly in the week: what begins must also end.
    fn fits(&self, from: i64, to: i64) -> bool {
        from >= self.start && to < self.start + 7 * DAY
    }
}

pub(super) fn quiet(seed: u64, start: Timestamp) -> Script {
    let start = start.as_second();
    let mut week = Week { script: Script::quiet(), start, draw: Draw(mix(seed)) };
    let midnight = start - start.rem_euclid(DAY);
    let update = week.draw.from(2, 6);
    for day in 0..8 {
        let today = midnight + day * DAY;
        people(&mut week, today, day);
        load(&mut week, today);
        hiccups(&mut week, today);
        if day == update {
            rolling_update(&mut week, today + 9 * HOUR);
        }
        if day == update + 1 {
            slow_changes(&mut week, today + 13 * HOUR);
        }
    }
    week.script
}

/// What people do in an afternoon.
fn people(week: &mut Week, today: i64, day: i64) {
    let afternoon = |week: &mut Week, hours: i64| today + 12 * HOUR + 30 * MINUTE + week.draw.from(0, hours * HOUR);
    // Somebody switches something off and on again.
    let (off, vmid, user) = (afternoon(week, 6), week.draw.one(&SWITCHED), week.draw.person());
    let on = off + week.draw.from(10 * MINUTE, 90 * MINUTE);
    if week.fits(off, on) {
        let hard = week.draw.from(0, 3) == 0;
        let stop = if hard {
            Incident::GuestStopped { vmid, user: user.clone() }
        } else {
            Incident::GuestShutDown { vmid, user: user.clone() }
        };
        week.at(off, stop);
        week.at(on, Incident::GuestStarted { vmid, user });
    }
    for _ in 0..2 {
        let (at, vmid, user) = (afternoon(week, 9), week.draw.one(&REBOOTED), week.draw.person());
        week.at(at, Incident::GuestRebooted { vmid, user });
    }
    // A guest visits another node.
    let (there, (vmid, home), user) = (afternoon(week, 6), week.draw.one(&MOVABLE), week.draw.person());
    let back = there + week.draw.from(20 * MINUTE, 70 * MINUTE);
    if week.fits(there, back) {
        let target = if home == "pve3" { "pve2" } else { "pve3" };
        week.at(there, Incident::GuestMigrated { vmid, target: target.into(), user: user.clone() });
        week.at(back, Incident::GuestMigrated { vmid, target: home.into(), user });
    }
    // A snapshot before a change, removed when all is well.
    let (taken, vmid, user) = (afternoon(week, 6), week.draw.one(&SNAPSHOT), week.draw.person());
    let removed = taken + week.draw.from(30 * MINUTE, 150 * MINUTE);
    if week.fits(taken, removed) {
        let name = format!("try-{day}");
        week.at(taken, Incident::SnapshotTaken { vmid, name: name.clone(), user: user.clone() });
        week.at(removed, Incident::SnapshotRemoved { vmid, name, user });
    }
    // A guest to try something with, made from nothing or from a template.
    let (made, user) = (afternoon(week, 6), week.draw.person());
    let gone = made + week.draw.from(30 * MINUTE, 150 * MINUTE);
    if week.fits(made, gone + MINUTE) {
        let vmid = 200 + u32::try_from(day).unwrap_or(0);
        let name = format!("try-{vmid}");
        let (node, container) = (week.draw.one(&["pve1", "pve2", "pve3"]).to_owned(), week.draw.from(0, 2) == 0);
        let first = if day % 3 == 2 {
            Incident::GuestCloned { source: 900, vmid, name, user: user.clone() }
        } else {
            Incident::GuestCreated { vmid, name, node, container, user: user.clone() }
        };
        week.at(made, first);
        week.at(made + 40, Incident::GuestStarted { vmid, user: user.clone() });
        week.at(gone, Incident::GuestShutDown { vmid, user: user.clone() });
        week.at(gone + 20, Incident::GuestDestroyed { vmid, user });
    }
}

/// Spikes that are over before they matter, and memory that looks fuller than it is.
fn load(week: &mut Week, today: i64) {
    let mut spike = |low: i64, high: i64, on: Incident, off: Incident| {
        let from = today + week.draw.from(6 * HOUR, 22 * HOUR);
        let to = from + week.draw.from(low * MINUTE, high * MINUTE);
        if week.fits(from, to) {
            week.at(from, on);
            week.at(to, off);
        }
    };
    let busy = |vmid, cpu| Incident::GuestBusy { vmid, cpu };
    spike(3, 9, busy(118, 0.97), busy(118, 0.2));
    spike(3, 9, busy(115, 0.97), busy(115, 0.12));
    let node = |cpu| Incident::NodeBusy { node: "pve2".into(), cpu };
    spike(2, 7, node(0.93), node(0.05));
    let memory = |used| Incident::GuestMemory { vmid: 109, used };
    spike(2, 7, memory(0.96), memory(0.5));
    let agent = |on| Incident::GuestAgent { vmid: 102, on };
    spike(10, 240, agent(false), agent(true));
}

/// Small hiccups of the API and of what lies behind it.
fn hiccups(week: &mut Week, today: i64) {
    // Logs are rotated: the servers reload.
    week.at(today + 17, Incident::ConnectionsDropped);
    let mut begin = |fault: Fault, path: &str, low: i64, high: i64| {
        let at = today + week.draw.from(0, DAY);
        let seconds = Some(week.draw.from(low, high));
        week.at(at, Incident::FaultBegins { rule: FaultRule::always(fault).on_path(path), seconds });
    };
    begin(Fault::Slow(Duration::from_secs(4)), "/nodes/pve3", 60, 180);
    begin(Fault::FewerRows, "/cluster/resources", 8, 18);
    begin(Fault::ServerError("got timeout".into()), "/cluster/resources", 5, 15);
    begin(Fault::BrokenProxy, "/nodes/pve2", 10, 40);
    let at = today + week.draw.from(0, DAY);
    let rule = FaultRule::always(Fault::Refuse).on_endpoint(0);
    week.at(at, Incident::FaultBegins { rule, seconds: Some(20) });
    // pvestatd waits for a slow storage, and goes on before its samples are too old.
    let from = today + week.draw.from(13 * HOUR, 22 * HOUR);
    let to = from + week.draw.from(30, 200);
    if week.fits(from, to) {
        let node = week.draw.one(&["pve1", "pve2", "pve3"]);
        week.at(from, Incident::PvestatdStuck { node: node.into(), on: true });
        week.at(to, Incident::PvestatdStuck { node: node.into(), on: false });
    }
    let (from, seconds) = (today + week.draw.from(6 * HOUR, 22 * HOUR), week.draw.from(60, 200));
    if week.fits(from, from + seconds) {
        week.at(from, Incident::ReplicationFails { vmid: 101 });
        week.at(from + seconds, Incident::ReplicationRecovers { vmid: 101 });
    }
}

/// Node after node: packages, guests away, reboot, guests back. One node in three is rebooted with its guests on it.
fn rolling_update(week: &mut Week, morning: i64) {
    if !week.fits(morning, morning + 3 * HOUR) {
        return;
    }
    let stays = week.draw.one(&["pve1", "pve2", "pve3"]);
    for (at, (node, guests, target)) in (0..).zip(LEAVING) {
        let begin = morning + at * 50 * MINUTE;
        let root = || "root@pam".to_owned();
        week.at(begin, Incident::UpdatesWait { node: node.into(), count: 0 });
        let leaves = node != stays;
        if leaves {
            week.at(begin + 2 * MINUTE, Incident::NodeMaintenance { node: node.into(), on: true });
            for (vmid, after) in guests.into_iter().zip([0, 40]) {
                let moved = |target: &str| Incident::GuestMigrated { vmid, target: target.into(), user: root() };
                week.at(begin + 3 * MINUTE + after, moved(target));
                week.at(begin + 20 * MINUTE + after, moved(node));
            }
            week.at(begin + 16 * MINUTE, Incident::NodeMaintenance { node: node.into(), on: false });
        }
        let seconds = week.draw.from(70, 240);
        week.at(begin + 7 * MINUTE, Incident::NodeReboots { node: node.into(), user: root(), seconds });
    }
}

/// What changes slowly, or looks worse than it is.
fn slow_changes(week: &mut Week, afternoon: i64) {
    if !week.fits(afternoon, afternoon + 9 * HOUR) {
        return;
    }
    let fills = |storage: &str, percent, minutes: i64| Incident::StorageFills {
        storage: storage.into(),
        node: None,
        percent,
        over: Duration::from_secs((minutes * MINUTE).unsigned_abs()),
    };
    // An image is uploaded and removed; the NAS grows a little and is pruned.
    week.at(afternoon, fills("local", 36.0, 5));
    week.at(afternoon + 3 * HOUR, fills("local", 31.0, 1));
    week.at(afternoon, fills("nas-nfs", 72.4, 120));
    week.at(afternoon + 8 * HOUR, fills("nas-nfs", 71.0, 10));
    // ZFS's cache takes what is free, and gives it back.
    week.at(afternoon, Incident::NodeCache { node: "pve2".into(), share: 0.5 });
    week.at(afternoon + 7 * HOUR, Incident::NodeCache { node: "pve2".into(), share: 0.0625 });
    let slow = || Incident::CephWarning {
        code: "SLOW_OPS".into(),
        message: "3 slow ops, oldest one blocked for 31 sec".into(),
    };
    week.at(afternoon + HOUR, slow());
    week.at(afternoon + HOUR + 4 * MINUTE, Incident::CephRecovers);
    week.at(afternoon + 2 * HOUR, Incident::NodeClockDrifts { node: "pve3".into(), seconds: 2 });
    week.at(afternoon + 6 * HOUR, Incident::NodeClockDrifts { node: "pve3".into(), seconds: 0 });
    week.at(afternoon + 4 * HOUR, Incident::BackupWarns { job: "backup-weekly".into(), vmid: 110 });
}
