//! A cluster to look at: what the offline responder and a model tell of it, and what `haia check` says.

use crate::clusters::{homelab, offline, section, simulated, until, until_polled, until_seen, watching};
use crate::daemon::{Daemon, Setup, eventually};
use crate::sim::{Format, Provider};
use serde_json::json;
use sim_cluster::{Access, Incident, SimConfig, SimHandle};

/// web-01's number in the homelab.
const WEB: u32 = 101;

/// Lets web-01 crash, and waits until the daemon knows.
fn crash(sim: &SimHandle, daemon: &Daemon) {
    let running = until_seen(daemon)["guests_running"].as_u64().expect("a count");
    sim.incident(Incident::GuestCrashes { vmid: WEB }).expect("it runs");
    until(daemon, "the crash to be seen", |cluster| cluster["guests_running"].as_u64() < Some(running));
}

#[test]
fn a_model_answers_why_a_guest_stopped_in_every_format() {
    let (models, cluster) = (Provider::start(), homelab());
    let mut setup = watching(&cluster);
    for format in Format::ALL {
        let kind = format.kind();
        setup = setup.provider(format, kind, &models.url(), "").route(kind, &[&format!("{kind}/explain")]);
    }
    let daemon = setup.start();
    crash(&cluster, &daemon);
    for format in Format::ALL {
        for stream in [false, true] {
            models.forget();
            let body = json!({ "model": format!("haia/{}", format.kind()), "stream": stream,
                "messages": [{ "role": "user", "content": "why did web-01 stop?" }] });
            let text = if stream {
                let streamed = daemon.stream(&body).finish();
                streamed.assert_whole();
                assert!(!streamed.statuses().is_empty(), "what runs is shown");
                streamed.text()
            } else {
                daemon.chat(&body).content()
            };
            assert!(text.contains("I looked it up. web-01 (101) stopped "), "{}: {text}", format.kind());
            let rounds = models.chats();
            assert_eq!(rounds.len(), 2);
            assert!(rounds[0].request.tools().contains(&"explain_guest_stop".to_owned()));
            let results = rounds[1].request.results();
            assert!(results.len() == 1 && results[0].contains("\"verdict\":\"stopped_without_task\""), "{results:?}");
        }
    }
    assert_eq!(models.violations(), [""; 0], "no provider would refuse the tools or their results");
    cluster.assert_read_only();
}

#[test]
fn the_offline_responder_tells_a_crash_from_a_shutdown() {
    let cluster = homelab();
    let daemon = watching(&cluster).start();
    crash(&cluster, &daemon);
    cluster.incident(Incident::GuestShutDown { vmid: 114, user: "root@pam".into() }).expect("it runs");
    let told = offline(&daemon, "y did web-01 stop");
    assert!(told.starts_with("web-01 (101) stopped ") && told.contains("without a Proxmox task"), "{told}");
    let told = eventually("the shutdown to be seen", || {
        Some(offline(&daemon, "who turned Media 01 off?")).filter(|told| told.contains("was shut down"))
    });
    assert!(told.contains("media-01 (114) was shut down by root@pam"), "{told}");
    for (question, expected) in [
        ("what is running?", "guests** are running"),
        ("is the cluster healthy?", "The cluster lab"),
        ("how full is storage?", "nas-nfs"),
        ("show vm 101", "**web-01 (101)**"),
        ("Web-01?", "**web-01 (101)**"),
        ("show me the log of the last task", "The newest task"),
        ("Plexx?", "I could not look that up: there is no guest \"Plexx\""),
        ("which guests have no backup?", "guests"),
        ("write me a poem", "I cannot answer that."),
    ] {
        let told = offline(&daemon, question);
        assert!(told.contains(expected), "{question}: {told}");
        assert!(told.contains("offline responder"), "it says what it is: {told}");
    }
    cluster.assert_read_only();
}

#[test]
fn a_check_says_what_each_cluster_lets_haia_see() {
    let sound = homelab();
    let output = Setup::new().config(&section(&sound, &[])).run(&["check"]);
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));

    let blind = simulated(SimConfig { access: Access::auditor().without("VM.Audit"), ..SimConfig::default() });
    let output = Setup::new().config(&section(&blind, &[])).run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    for expected in ["VM.Audit", "pveum acl modify / --tokens 'haia@pve!monitor' --roles PVEAuditor"] {
        assert!(told(&output).contains(expected), "no {expected} in {}", told(&output));
    }

    // A token for some classes of actions is sound where no rule asks for more, and named where one does.
    let limited = simulated(SimConfig {
        access: Access::auditor().with("/vms/101", &["VM.PowerMgmt", "VM.Audit"]),
        ..SimConfig::default()
    });
    let check = |more: &str| Setup::new().config(&format!("{}{more}", section(&limited, &[]))).run(&["check"]);
    let output = check("allow_actions = true\n");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(
        told(&output)
            .contains("start, shutdown, stop, reboot, suspend, resume; the token may not: migrate (lacks VM.Migrate)"),
        "{}",
        told(&output)
    );
    let rules = |classes: &str| format!("allow_actions = true\n[[approvals.allow]]\nclasses = [{classes}]\n");
    let output = check(&rules("\"start\", \"stop\""));
    assert!(output.status.code() == Some(0) && told(&output).contains("start, stop"), "{}", told(&output));
    let output = check(&rules("\"start\", \"backup\""));
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    for expected in [
        "may be proposed but not done: backup (lacks VM.Backup, Datastore.AllocateSpace); can be done: start",
        "--privs 'VM.Backup Datastore.AllocateSpace'",
    ] {
        assert!(told(&output).contains(expected), "no {expected} in {}", told(&output));
    }

    let wrong = format!("\"{}\"", ["AA"; 32].join(":"));
    let output = Setup::new().config(&section(&sound, &[("fingerprint", &wrong)])).run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains(&sound.fingerprint), "the fingerprint to trust: {}", told(&output));

    let output = Setup::new().config(&section(&sound, &[("token_secret", "\"not-the-secret\"")])).run(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("the login of haia@pve!monitor was refused"), "{}", told(&output));
    assert!(!told(&output).contains("not-the-secret"));
    sound.assert_read_only();
}

/// HAIA's time runs sixty times as fast as the cluster's own: who stopped a guest stays known when it is long ago for HAIA.
#[test]
fn a_cluster_in_real_time_is_understood_while_haia_runs_faster() {
    let sim = homelab();
    let setup = Setup::new().config(&section(&sim, &[("poll_interval", "\"10s\"")]));
    let daemon = setup.environment("HAIA_TIME_FACTOR", "60").start();
    until_polled(&daemon, 3);
    sim.incident(Incident::GuestShutDown { vmid: 114, user: "anna@pve".into() }).expect("it runs");
    let is_told = |answer: &str| answer.contains("shut down by anna@pve") && answer.contains("task vzshutdown)");
    let ask = || offline(&daemon, "why did media-01 stop?");
    eventually("the stop to be explained", || is_told(&ask()).then_some(()));
    // A quarter of an hour for HAIA, as many seconds for the cluster.
    until_polled(&daemon, 90);
    let answer = ask();
    assert!(is_told(&answer), "{answer}");
}
