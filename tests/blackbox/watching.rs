//! From an incident in a cluster to one message: told once, in time, ended once, and nothing beside it.

use crate::lookout::{Lookout, Told, alert};
use proxmox_poller::rule_infos;
use sim_cluster::{Access, Incident, Script, SimConfig};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many times as fast the daemon's time runs here.
const FACTOR: u32 = 60;
/// Polls of ordinary life before an incident: five minutes.
const BEFORE: u64 = 30;
/// What is allowed beyond a rule's own time: a poll and the grouping window.
const ALLOWED_S: f64 = 45.0;

/// An incident in a cluster of its own.
struct Trial {
    rule: &'static str,
    case: sim_cluster::Case,
    cluster: String,
    began: Instant,
    ended: Instant,
}

fn trial(rule: &'static str, at: usize) -> Trial {
    let case = Script::cases(rule).remove(at);
    let cluster = format!("{}-{at}", rule.replace('_', "-"));
    Trial { rule, case, cluster, began: Instant::now(), ended: Instant::now() }
}

/// The longest time that the rule waits before it tells, in seconds: a warning's, where it has one that the case may need.
fn hold_s(rule: &str) -> u64 {
    let info = rule_infos().find(|info| info.name == rule).expect("a rule");
    let holds = info.defaults.levels().filter_map(|(_, level)| level.hold).map(|hold| hold.0.as_secs());
    holds.max().unwrap_or(0)
}

/// What is rightly told with a case.
fn comes_along(rule: &str, name: &str) -> bool {
    let other = name.split(':').next().unwrap_or_default();
    other == rule || matches!((rule, other), ("node_down", "guest_crashed"))
}

impl Trial {
    fn begin(&mut self, lookout: &Lookout) {
        self.began = Instant::now();
        for incident in &self.case.begin {
            lookout.sim(&self.cluster).incident(incident.clone()).expect("it can happen");
        }
    }

    fn end(&mut self, lookout: &Lookout) {
        self.ended = Instant::now();
        for incident in &self.case.end {
            lookout.sim(&self.cluster).incident(incident.clone()).expect("it can happen");
        }
    }

    fn is_own(&self, told: &Told, kind: &str) -> bool {
        told.kind() == kind
            && told.is_about(&self.cluster)
            && told.members().iter().any(|name| name.starts_with(&format!("{}:", self.rule)))
    }

    /// Told once, ended once, with nothing beside; how long the telling took, in HAIA's seconds beyond the rule's own time.
    fn judge(&self, lookout: &Lookout) -> f64 {
        let told: Vec<Told> = lookout.hook.told().into_iter().filter(|told| told.is_about(&self.cluster)).collect();
        let all: Vec<String> = told.iter().map(|told| format!("{}: {}", told.kind(), told.title())).collect();
        let count = |kind: &str| told.iter().filter(|told| self.is_own(told, kind)).count();
        assert_eq!((count("opened"), count("resolved")), (1, 1), "{} {}: {all:?}", self.rule, self.case.name);
        let kinds: BTreeSet<&str> = told.iter().map(Told::kind).collect();
        let is_right = kinds.iter().all(|kind| ["opened", "escalated", "resolved"].contains(kind));
        assert!(is_right, "{} {}: {all:?}", self.rule, self.case.name);
        for told in &told {
            let others: Vec<&str> = told.members().into_iter().filter(|name| !comes_along(self.rule, name)).collect();
            assert!(others.is_empty(), "{} {}: {others:?} in {all:?}", self.rule, self.case.name);
        }
        let opened = told.iter().find(|told| self.is_own(told, "opened")).expect("it was told");
        let began = self.began.duration_since(lookout.hook.begun);
        let took = opened.at.saturating_sub(began).as_secs_f64() * f64::from(lookout.factor);
        took - hold_s(self.rule) as f64
    }
}

/// Runs these incidents, each in a cluster of its own, under one daemon; the delays beyond the rules' own times.
fn run(mut trials: Vec<Trial>, factor: u32, more: &str) -> Vec<(String, f64)> {
    // Pending updates are seen with a privilege that an auditor lacks.
    let config = || SimConfig { access: Access::auditor().grant("/", &["Sys.Modify"]), ..SimConfig::default() };
    let clusters = trials.iter().map(|trial| (trial.cluster.clone(), config())).collect();
    let lookout = Lookout::start(factor, clusters, more);
    lookout.look_on(BEFORE);
    let before: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    assert_eq!(before, [""; 0], "nothing is told before anything happens");
    trials.iter_mut().for_each(|trial| trial.begin(&lookout));
    for trial in &trials {
        lookout
            .until_told(&format!("{} {} to be told", trial.rule, trial.case.name), |told| trial.is_own(told, "opened"));
    }
    // Whatever comes with it has come by then.
    lookout.look_on(9);
    trials.iter_mut().for_each(|trial| trial.end(&lookout));
    for trial in &trials {
        lookout.until_told(&format!("the end of {} {}", trial.rule, trial.case.name), |told| {
            trial.is_own(told, "resolved")
        });
    }
    lookout.look_on(12);
    lookout.sims.iter().for_each(|(_, sim)| sim.assert_read_only());
    trials.iter().map(|trial| (trial.cluster.clone(), trial.judge(&lookout))).collect()
}

#[test]
fn incidents_are_told_once_in_time_and_ended_once() {
    let trials =
        vec![trial("node_down", 0), trial("guest_crashed", 0), trial("guest_error", 0), trial("storage_usage", 0)];
    for (cluster, took) in run(trials, FACTOR, "") {
        println!("{cluster}: {took:.0} s beyond the rule's own time");
    }
}
