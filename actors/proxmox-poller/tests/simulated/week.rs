//! Ordinary life: nothing of it is worth a message.

use crate::lab::{Lab, pass};
use contract::alerts::Severity;
use runtime::world::{TestClock, World};
use sim_cluster::{Script, SimConfig, Version};

/// Hours of a quiet week that are lived through, from so many hours on.
fn quiet(version: Version, seed: u64, hours: u64) {
    World::run(async |world| {
        let sim = SimConfig { version, script: Script::quiet_week(seed, TestClock::ORIGIN), ..SimConfig::default() };
        let lab = Lab::start(world, sim, "{}");
        for _ in 0..hours {
            pass(3600).await;
            let told = lab.pager().told(Severity::Warning);
            assert_eq!(told, [""; 0]);
        }
        assert!(lab.pager().reports as u64 > hours * 300, "it was looked at all the time");
    });
}

#[test]
fn a_quiet_afternoon_has_no_messages() {
    quiet(Version::V9, 7, 3);
}

#[test]
fn nor_has_one_on_an_older_version() {
    quiet(Version::V8, 11, 2);
}

#[test]
#[ignore = "a week of polls takes minutes: run it with --release"]
fn a_quiet_week_has_no_messages() {
    for version in [Version::V9, Version::V8, Version::V7] {
        quiet(version, 7, 168);
    }
}
