//! From an incident in a cluster to one message: told once, in time, ended once, and nothing beside it.

use crate::daemon::{DEADLINE, eventually};
use crate::lookout::{Lookout, Told, alert};
use proxmox_poller::rule_infos;
use serde_json::{Value, json};
use sim_cluster::{Access, Case, Incident, Script, SimConfig};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many times as fast the daemon's time runs here.
const FACTOR: u32 = 60;
/// Polls of ordinary life before an incident: five minutes.
const BEFORE: u64 = 30;

/// An incident in a cluster of its own.
struct Trial {
    rule: &'static str,
    case: Case,
    cluster: String,
    began: Instant,
}

fn trial(rule: &'static str, at: usize) -> Trial {
    let case = Script::cases(rule).remove(at);
    Trial { rule, case, cluster: format!("{}-{at}", rule.replace('_', "-")), began: Instant::now() }
}

/// Every case of these rules.
fn trials(rules: &[&'static str]) -> Vec<Trial> {
    rules.iter().flat_map(|rule| (0..Script::cases(rule).len()).map(|at| trial(rule, at))).collect()
}

/// For how long the rule's condition must hold before it is told with this severity, in seconds.
fn hold_s(rule: &str, severity: &str) -> f64 {
    let info = rule_infos().find(|info| info.name == rule).expect("a rule");
    let holds = info.defaults.levels().filter(|(known, _)| known.as_str() == severity);
    holds.filter_map(|(_, level)| level.hold).map(|hold| hold.0.as_secs_f64()).sum()
}

/// What is rightly told with a case.
fn comes_along(rule: &str, name: &str) -> bool {
    let other = name.split(':').next().unwrap_or_default();
    other == rule || matches!((rule, other), ("node_down", "guest_crashed"))
}

impl Trial {
    fn happen(&self, lookout: &Lookout, incidents: &[Incident]) {
        for incident in incidents {
            let happened = lookout.sim(&self.cluster).incident(incident.clone());
            happened.unwrap_or_else(|error| panic!("{} {}: {error}", self.rule, self.case.name));
        }
    }

    fn is_own(&self, told: &Told, kind: &str) -> bool {
        told.kind() == kind
            && told.is_about(&self.cluster)
            && told.members().iter().any(|name| name.starts_with(&format!("{}:", self.rule)))
    }

    /// What is wrong with what was told of it: it is to be told once and ended once, with nothing beside.
    fn judge(&self, lookout: &Lookout) -> Vec<String> {
        let told: Vec<Told> = lookout.hook.told().into_iter().filter(|told| told.is_about(&self.cluster)).collect();
        let all: Vec<String> = told.iter().map(|told| format!("{}: {}", told.kind(), told.title())).collect();
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{} {}: {what}: {all:?}", self.rule, self.case.name));
            }
        };
        let own = |kind: &str| -> Vec<&str> {
            let of_kind = told.iter().filter(|told| told.kind() == kind).flat_map(Told::members);
            let mut own: Vec<&str> = of_kind.filter(|name| name.split(':').next() == Some(self.rule)).collect();
            own.sort_unstable();
            own
        };
        let (opened, ended) = (own("opened"), own("resolved"));
        let is_once = !opened.is_empty() && opened.windows(2).all(|pair| pair[0] != pair[1]);
        must(is_once && opened == ended, &format!("each told once ({opened:?}) and ended once ({ended:?})"));
        let kinds: BTreeSet<&str> = told.iter().map(Told::kind).collect();
        must(kinds.iter().all(|kind| ["opened", "escalated", "resolved"].contains(kind)), "nothing else of it");
        let mut ends = told.iter().filter(|told| told.kind() == "resolved").map(Told::title);
        must(ends.all(|title| !title.starts_with("Over after")), "its end is told in words");
        for told in &told {
            // What a dead node brings about is told inside its own message.
            let is_root =
                self.rule == "node_down" && told.members().first().is_some_and(|name| comes_along(self.rule, name));
            let is_right = |name: &&str| is_root || comes_along(self.rule, name);
            must(told.members().iter().all(is_right), &format!("nothing beside it ({:?})", told.members()));
        }
        wrong
    }

    /// How long the telling took beyond the rule's own time, in HAIA's seconds.
    fn delay_s(&self, lookout: &Lookout) -> f64 {
        let told = lookout.hook.told();
        let opened = told.iter().find(|told| self.is_own(told, "opened")).expect("it was told");
        let began = self.began.duration_since(lookout.hook.begun);
        let took = opened.at.saturating_sub(began).as_secs_f64() * f64::from(lookout.factor);
        took - hold_s(self.rule, opened.body["severity"].as_str().unwrap_or_default())
    }
}

/// How incidents are run.
struct Run {
    factor: u32,
    /// How often clusters are polled, as in the configuration.
    poll: &'static str,
    /// Whether what is read seldom is asked for by a job, ten minutes after something happened.
    is_seldom: bool,
    patience: Duration,
}

/// Runs incidents, each in a cluster of its own, under one daemon. What was wrong, and the delays beyond the rules' own times.
fn run(mut trials: Vec<Trial>, how: &Run) -> (Vec<String>, Vec<(String, f64)>) {
    // Pending updates are seen with a privilege that an auditor lacks.
    let config = || SimConfig { access: Access::auditor().with("/", &["Sys.Modify"]), ..SimConfig::default() };
    let clusters = trials.iter().map(|trial| (trial.cluster.clone(), config())).collect();
    let more = "[monitor.rules]\nupdates = { enabled = true }\nsubscription = { enabled = true }\n\
        [jobs.look]\nonce = \"2100-01-01T00:00\"\ncheck = \"all\"\n";
    let mut lookout = Lookout::polling(how.factor, clusters, how.poll, more);
    lookout.patience = how.patience;
    let look = |lookout: &Lookout| {
        if how.is_seldom {
            // A task that was begun has to end first.
            lookout.pass(600);
            assert_eq!(lookout.daemon.post("/api/jobs/look/run", &json!({})).status, 200);
        }
    };
    for trial in trials.iter().filter(|trial| trial.rule == "subscription") {
        let active = |node: &str| Incident::SubscriptionIs { node: node.into(), status: "active".into() };
        trial.happen(&lookout, &["pve1", "pve2", "pve3"].map(active));
    }
    lookout.look_on(BEFORE);
    let before: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    assert_eq!(before, [""; 0], "nothing is told before anything happens");
    for trial in &mut trials {
        trial.began = Instant::now();
        trial.happen(&lookout, &trial.case.begin);
    }
    look(&lookout);
    let mut wrong = Vec::new();
    let mut until = |trials: &[Trial], kind: &str| {
        for trial in trials.iter().filter(|trial| !is_for_digests(trial.rule)) {
            if lookout.is_told_in_time(|told| trial.is_own(told, kind)).is_none() {
                wrong.push(format!("{} {}: no message {kind}", trial.rule, trial.case.name));
            }
        }
    };
    until(&trials, "opened");
    // Whatever comes with it has come by then.
    lookout.look_on(9);
    trials.iter().for_each(|trial| trial.happen(&lookout, &trial.case.end));
    look(&lookout);
    until(&trials, "resolved");
    lookout.look_on(12);
    lookout.sims.iter().for_each(|(_, sim)| sim.assert_read_only());
    let told_ones = || trials.iter().filter(|trial| !is_for_digests(trial.rule));
    wrong.extend(told_ones().flat_map(|trial| trial.judge(&lookout)));
    for trial in trials.iter().filter(|trial| is_for_digests(trial.rule)) {
        let told = lookout.hook.told().iter().any(|told| told.is_about(&trial.cluster));
        let history = lookout.daemon.get("/api/alerts/history?limit=1000").text();
        let is_noted = history.contains(&format!("{}:{}", trial.rule, trial.cluster));
        if told || !is_noted {
            wrong.push(format!("{} {}: told {told}, noted for digests {is_noted}", trial.rule, trial.case.name));
        }
    }
    let delays = if wrong.is_empty() {
        told_ones().map(|trial| (trial.cluster.clone(), trial.delay_s(&lookout))).collect()
    } else {
        Vec::new()
    };
    (wrong, delays)
}

/// Whether only digests tell of this rule.
fn is_for_digests(rule: &str) -> bool {
    // It warns of guests that are tagged always-on; those of its cases are not.
    if rule == "guest_stopped" {
        return true;
    }
    let info = rule_infos().find(|info| info.name == rule).expect("a rule");
    info.defaults.levels().all(|(severity, _)| severity.as_str() == "info")
}

fn run_and_show(trials: Vec<Trial>, how: &Run) {
    let (wrong, delays) = run(trials, how);
    for (cluster, delay_s) in delays {
        println!("{cluster}: told {delay_s:.0} s after the rule's own time");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const QUICK: Run = Run { factor: FACTOR, poll: "10s", is_seldom: false, patience: DEADLINE };

#[test]
fn incidents_are_told_once_and_ended_once() {
    run_and_show(
        vec![trial("node_down", 0), trial("guest_crashed", 0), trial("guest_error", 0), trial("storage_usage", 0)],
        &QUICK,
    );
}

#[test]
#[ignore = "minutes: .ci/watching runs it"]
fn incidents_that_show_at_once_are_told_in_time() {
    let rules = ["quorum_lost", "api_blind", "guest_crashed", "guest_error", "osd_down"];
    let mut tried = trials(&rules);
    tried.extend([trial("node_down", 0), trial("storage_usage", 0), trial("storage_inactive", 0)]);
    let (wrong, delays) = run(tried, &Run { factor: 10, patience: DEADLINE * 2, ..QUICK });
    println!("{delays:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
    let allowed_s = |cluster: &str| match cluster {
        // What hangs is given up after the deadlines of three members, in real time: ten times as long here.
        "api-blind-1" => 45.0 + 10.0 * 3.0 * 10.0,
        // Ceph is asked every thirty seconds, storages every minute.
        "osd-down-0" => 65.0,
        "storage-inactive-0" => 100.0,
        // A poll and the grouping window.
        _ => 45.0,
    };
    let late: Vec<_> = delays.iter().filter(|(cluster, delay_s)| *delay_s > allowed_s(cluster)).collect();
    assert!(late.is_empty(), "too late: {late:?}");
}

#[test]
#[ignore = "minutes: .ci/watching runs it"]
fn incidents_that_last_are_told_once_and_ended_once() {
    let rules = ["no_data", "node_cpu", "node_memory", "guest_cpu", "guest_memory", "guest_disk", "storage_inactive"];
    run_and_show(trials(&rules), &Run { patience: DEADLINE * 3, ..QUICK });
    let rules = ["node_down", "restart_loop", "ceph_health", "ha_error", "time_drift", "guest_stopped", "replication"];
    let mut tried = trials(&rules);
    // A backup's lock may last for hours, into the night's own backup.
    tried.push(trial("guest_lock_stuck", 0));
    run_and_show(tried, &Run { patience: DEADLINE * 3, ..QUICK });
}

#[test]
#[ignore = "minutes: .ci/watching runs it"]
fn incidents_that_are_looked_for_seldom_are_told_once_and_ended_once() {
    let rules = [
        "thin_metadata",
        "zfs_pool",
        "disk_health",
        "certificate",
        "snapshot_old",
        "backup_failed",
        "updates",
        "subscription",
    ];
    run_and_show(trials(&rules), &Run { is_seldom: true, patience: DEADLINE * 3, ..QUICK });
}

/// Every rule is in one of the tests above, but for what takes days, or ends by itself; the poller's own tests try those in simulated time.
#[test]
fn every_rule_is_tried() {
    let source = include_str!("watching.rs");
    for info in rule_infos() {
        let is_tried = source.contains(&format!("\"{}\"", info.name));
        assert!(is_tried || ["task_failed", "backup_stale"].contains(&info.name), "{} is not tried", info.name);
    }
}

#[test]
fn a_dead_node_is_one_message_and_what_stays_down_is_told() {
    let config = SimConfig { guests: 150, ..SimConfig::default() };
    let lookout = Lookout::start(FACTOR, vec![("lab".into(), config)], "");
    lookout.look_on(BEFORE);
    let rows: Value = serde_json::from_slice(&lookout.sim("lab").answer("/cluster/resources").body).expect("JSON");
    let rows = rows["data"].as_array().cloned().unwrap_or_default();
    let on_first = |row: &&Value| row["vmid"].is_u64() && row["node"] == rows_node(&rows) && row["status"] == "running";
    let ran: Vec<&Value> = rows.iter().filter(on_first).collect();
    assert!(ran.len() >= 30, "{}", ran.len());
    let node = rows_node(&rows).to_owned();
    lookout.sim("lab").incident(Incident::NodeDown { node: node.clone() }).expect("it runs");
    let opened = lookout.until_told("the node to be told", |told| told.kind() == "opened");
    let affected = opened.body["members"][0]["affected"].as_array().cloned().unwrap_or_default();
    assert_eq!(affected.len(), ran.len(), "{}", opened.body);
    for row in &ran {
        let vmid = format!("({})", row["vmid"]);
        assert!(affected.iter().any(|label| label.as_str().is_some_and(|label| label.contains(&vmid))), "{vmid}");
    }
    // The rows of its guests turn unknown after five minutes.
    lookout.look_on(60);
    let told: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    lookout.sim("lab").incident(Incident::NodeReturns { node }).expect("it was away");
    lookout.until_told("the end of it", |told| told.kind() == "resolved");
    // Those that do not start with it are told once it has had its time.
    let stays: Vec<u64> = eventually("guests to be up or down", || {
        let rows: Value = serde_json::from_slice(&lookout.sim("lab").answer("/cluster/resources").body).ok()?;
        let rows = rows["data"].as_array()?.clone();
        let state = |vmid: u64| rows.iter().find(|row| row["vmid"] == vmid).map(|row| row["status"].clone());
        let vmids = ran.iter().filter_map(|row| row["vmid"].as_u64());
        let down: Vec<u64> = vmids.filter(|vmid| state(*vmid).is_none_or(|state| state != "running")).collect();
        (down.len() < ran.len()).then_some(down)
    });
    if !stays.is_empty() {
        let told = lookout.until_told("what stays down", |told| {
            told.kind() == "opened" && told.members().iter().any(|name| name.starts_with("guest_crashed:"))
        });
        println!("stay down: {stays:?}: {}", told.title());
    }
    lookout.look_on(60);
    let told: Vec<String> =
        lookout.hook.told().iter().map(|told| format!("{}: {}", told.kind(), told.title())).collect();
    assert!(told.len() <= 3, "{told:#?}");
}

/// The node that the first guest is on.
fn rows_node(rows: &[Value]) -> &str {
    rows.iter().find(|row| row["vmid"].is_u64()).and_then(|row| row["node"].as_str()).unwrap_or_default()
}

#[test]
fn a_thousand_findings_are_few_messages() {
    let lookout = Lookout::start(20, Vec::new(), "");
    for batch in 0..20 {
        let alerts: Vec<Value> = (0..50).map(|at| alert(&format!("Storm{}", batch * 50 + at), true)).collect();
        lookout.alertmanager(&alerts);
    }
    let named = |told: &Told| told.members().len() as u64 + told.body["more"].as_u64().unwrap_or(0);
    eventually("all of them to be told", || (lookout.hook.told().iter().map(named).sum::<u64>() >= 1000).then_some(()));
    lookout.pass(90);
    let told: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    assert!(told.len() <= 20, "{} messages: {told:#?}", told.len());
    assert_eq!(lookout.hook.told().iter().map(named).sum::<u64>(), 1000, "each is told once: {told:#?}");
    println!("1000 findings: {} messages: {told:#?}", told.len());
}

#[test]
fn twenty_flips_in_five_minutes_are_at_most_three_messages() {
    let lookout = Lookout::start(FACTOR, Vec::new(), "");
    for flip in 0..20 {
        lookout.alertmanager(&[alert("Flipper", flip % 2 == 0)]);
        lookout.pass(15);
    }
    lookout.pass(600);
    let flips: Vec<String> =
        lookout.hook.told().iter().map(|told| format!("{}: {}", told.kind(), told.title())).collect();
    println!("20 flips: {flips:#?}");
    assert!(!flips.is_empty() && flips.len() <= 3, "{flips:#?}");
}

#[test]
fn a_provider_that_does_not_answer_is_told() {
    // Nobody listens on this port.
    let more =
        "[providers.away]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"sk-sim-0123456789\"\n";
    let lookout = Lookout::start(FACTOR, Vec::new(), more);
    let told = lookout.until_told("the provider to be told", |told| told.kind() == "opened");
    assert_eq!((told.title(), told.members()), ("provider away does not answer", vec!["provider_down:provider/away"]));
    lookout.pass(600);
    assert_eq!(lookout.hook.told().len(), 1);
}

#[test]
fn a_quiet_half_hour_sends_nothing() {
    let script = Script::quiet_week(3, jiff::Timestamp::now());
    let lookout = Lookout::start(120, vec![("lab".into(), SimConfig { script, ..SimConfig::default() })], "");
    lookout.look_on(180);
    let told: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    assert_eq!(told, [""; 0]);
}

#[test]
#[ignore = "minutes: .ci/watching runs it"]
fn a_quiet_day_sends_nothing() {
    let config = |seed| SimConfig { script: Script::quiet_week(seed, jiff::Timestamp::now()), ..SimConfig::default() };
    let clusters = [5, 23, 42].map(|seed| (format!("seed-{seed}"), config(seed))).to_vec();
    let lookout = Lookout::polling(200, clusters, "10s", "");
    lookout.pass(24 * 3600);
    let told: Vec<String> = lookout.hook.told().iter().map(|told| told.title().to_owned()).collect();
    let polls = &lookout.daemon.status()["clusters"];
    println!("a day of three clusters: {} messages; {polls:#}", told.len());
    assert_eq!(told, [""; 0]);
}
