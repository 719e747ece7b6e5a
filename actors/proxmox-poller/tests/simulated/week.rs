//! Ordinary life: nothing of it is worth a message.

use crate::lab::{Lab, Sim, pass};
use contract::alerts::Severity;
use runtime::world::{TestClock, World};
use sim_cluster::{Incident, Script, SimConfig, Version};
use std::sync::Arc;

/// So many hours of a quiet week are lived through, after so many that nobody watched.
fn quiet(version: Version, seed: u64, unwatched: u64, hours: u64) {
    let start = TestClock::ORIGIN - jiff::SignedDuration::from_hours(i64::try_from(unwatched).unwrap());
    live(version, &Script::quiet_week(seed, start), unwatched, 0, hours);
}

/// The week is `unwatched` hours old at first; HAIA begins to watch `later` hours after that, for so many hours.
fn live(version: Version, script: &Script, unwatched: u64, later: u64, hours: u64) {
    World::run(async |world| {
        let sim = SimConfig { version, script: script.clone(), ..SimConfig::default() };
        let sim = Sim::aged(world, sim, unwatched);
        pass(later * 3600).await;
        let lab = Lab::resume(world, "proxmox-poller", sim, "{}", Arc::default());
        for _ in 0..hours {
            pass(3600).await;
            assert_eq!(lab.pager().told(Severity::Warning), [""; 0]);
        }
        assert!(lab.pager().reports as u64 > hours * 300, "it was looked at all the time");
    });
}

#[test]
fn a_quiet_afternoon_has_no_messages() {
    quiet(Version::V9, 7, 0, 3);
}

/// In the fifth day of this week the file system cache of a node fills its memory.
#[test]
fn nor_have_some_hours_of_an_older_version() {
    for version in [Version::V8, Version::V7] {
        quiet(version, 7, 95, 3);
    }
}

/// Maintenance mode, migrations and reboots of nodes, guests shut down and started with them: what looks most like incidents.
#[test]
fn nor_has_the_morning_of_the_updates() {
    let week = Script::quiet_week(3, TestClock::ORIGIN);
    let reboots = week.entries().iter().filter(|(_, one)| matches!(one, Incident::NodeReboots { .. }));
    let first = reboots.map(|(at, _)| at.as_secs()).min().expect("nodes are updated in every week");
    for version in [Version::V9, Version::V8, Version::V7] {
        live(version, &week, 0, first / 3600, 3);
    }
}

#[test]
#[ignore = "a week of polls takes minutes: run it with --release"]
fn a_quiet_week_has_no_messages() {
    quiet(Version::V9, 7, 0, 168);
}

#[test]
#[ignore = "a week of polls takes minutes: run it with --release"]
fn a_quiet_week_of_version_8_has_no_messages() {
    quiet(Version::V8, 8, 0, 168);
}

#[test]
#[ignore = "a week of polls takes minutes: run it with --release"]
fn a_quiet_week_of_version_7_has_no_messages() {
    quiet(Version::V7, 9, 0, 168);
}
