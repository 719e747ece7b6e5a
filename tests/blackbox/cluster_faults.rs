//! The whole daemon while the cluster's side goes wrong: its tools answer in words that a person understands, what is old is marked as old,
//! nobody is hammered, and all is well again by itself once the cluster is.

use crate::clusters::{homelab, offline, section, simulated, until, until_polled, until_seen, watching};
use crate::daemon::{Daemon, Setup};
use sim_cluster::{Access, Fault, FaultRule, SimConfig, SimHandle};

/// How many requests of one kind of question a poll makes at most.
const PER_POLL: u64 = 6;

/// Switches a fault on for everything, waits until the daemon is blind, and checks what it says; then switches it off.
fn check(daemon: &Daemon, sim: &SimHandle, fault: Fault, said: &str) {
    sim.fault(fault);
    let cluster = until(daemon, said, |cluster| cluster["state"] == "blind");
    let problem = cluster["problem"].as_str().expect("a problem").to_owned();
    assert!(problem.contains(said), "{problem}");
    for question in ["what is running?", "how full is storage?", "is the cluster healthy?"] {
        let told = offline(daemon, question);
        assert!(told.starts_with("> **Stale data:** what is known of the cluster lab is "), "{question}: {told}");
        // What a server said is quoted as text: signs of Markdown in it mean nothing.
        assert!(told.replace('\\', "").contains(said), "{question}: {told}");
        assert!(told.contains("**stale**"), "its age, marked: {told}");
    }
    assert!(offline(daemon, "what is running?").contains("web-01"), "what was known is still told");
    let (polls, requests) = (daemon.status()["clusters"][0]["polls"].as_u64(), sim.request_count());
    until_polled(daemon, 3);
    let polled = daemon.status()["clusters"][0]["polls"].as_u64().zip(polls).map_or(0, |(now, then)| now - then);
    let asked = sim.request_count() - requests;
    assert!(asked <= (polled + 1) * PER_POLL, "{asked} requests in {polled} polls");
    sim.clear_faults();
    until_seen(daemon);
    assert!(!offline(daemon, "what is running?").to_lowercase().contains("stale"), "it recovered by itself");
}

#[test]
fn errors_of_the_server_are_told_in_its_words() {
    let sim = homelab();
    let daemon = watching(&sim).start();
    until_seen(&daemon);
    for (fault, said) in [
        (Fault::ServerError("got timeout".into()), "the server waited in vain for something of its own (got timeout)"),
        (Fault::ServerError("cluster not ready - no quorum?".into()), "the cluster is not ready"),
        (Fault::NoRoute, "its cluster cannot reach this node (No route to host)"),
        (Fault::BrokenProxy, "this node's API hangs or breaks off (Connection timed out)"),
        (Fault::EmptyResources, "the cluster shows nothing at all, so the token lacks"),
    ] {
        check(&daemon, &sim, fault, said);
    }
    sim.assert_read_only();
}

#[test]
fn answers_that_are_none_are_told_as_such() {
    let sim = homelab();
    let daemon = watching(&sim).start();
    until_seen(&daemon);
    check(&daemon, &sim, Fault::Garbage, "the answer is not Proxmox VE's JSON");
    check(&daemon, &sim, Fault::NotHttp, "https://127.0.0.1:");
    sim.assert_read_only();
}

#[test]
fn connections_that_break_are_told_as_such() {
    let sim = homelab();
    let daemon = watching(&sim).start();
    until_seen(&daemon);
    check(&daemon, &sim, Fault::DropMidBody, "the connection ended before the answer, twice");
    check(&daemon, &sim, Fault::Refuse, "https://127.0.0.1:");
    sim.assert_read_only();
}

#[test]
fn a_cluster_that_hangs_is_given_up_after_a_while() {
    let sim = simulated(SimConfig { endpoints: 1, ..SimConfig::default() });
    let daemon = watching(&sim).start();
    until_seen(&daemon);
    check(&daemon, &sim, Fault::Hang, "no answer within 8 s; its services may hang");
    sim.assert_read_only();
}

#[test]
fn another_member_answers_for_one_that_is_gone() {
    let sim = homelab();
    let daemon = watching(&sim).start();
    let first = until_seen(&daemon)["endpoint"].as_str().expect("an address").to_owned();
    let at = sim.endpoints.iter().position(|endpoint| *endpoint == first).expect("one of its own");
    sim.fault_rule(FaultRule::always(Fault::Refuse).on_endpoint(at));
    let cluster = until(&daemon, "another member", |cluster| cluster["endpoint"] != first.as_str());
    assert_eq!((&cluster["state"], &cluster["errors"]), (&"ok".into(), &0.into()), "nobody noticed");
    sim.forget_requests();
    until_polled(&daemon, 3);
    let at_gone = sim.requests().iter().filter(|request| request.endpoint == at).count();
    assert_eq!(at_gone, 0, "who works is stayed with");
    assert!(!offline(&daemon, "what is running?").contains("Stale"));
}

#[test]
fn a_refused_login_is_tried_once_and_not_again_at_every_poll() {
    let sim = homelab();
    let mut setup = Setup::new().config(&section(&sim, &[("token_secret", "\"not-the-secret\"")]));
    let daemon = setup.start();
    let cluster = until(&daemon, "the refusal", |cluster| cluster["state"] == "blind");
    let problem = cluster["problem"].as_str().expect("a problem");
    assert!(problem.contains("the login of haia@pve!monitor was refused: is the token's secret right"), "{problem}");
    until_polled(&daemon, 5);
    assert_eq!(sim.request_count(), 1, "one refusal, at one member: {:?}", sim.requests());
    for question in ["what is running?", "why did web-01 stop?", "any failed backups?"] {
        let told = offline(&daemon, question);
        assert!(told.starts_with("I could not look that up: nothing is known of the cluster lab: "), "{told}");
        assert!(told.contains("was refused") && told.contains("the next try is in"), "{told}");
    }
    assert_eq!(sim.request_count(), 1, "questions do not try it either");
    assert!(!daemon.log.text().contains("not-the-secret"));
    // The right secret is taken at once, without a restart.
    setup = setup.replace("not-the-secret", &sim.token_secret);
    std::fs::write(daemon.config_path(), setup.text()).expect("the folder can be written");
    daemon.signal("HUP");
    until_seen(&daemon);
    assert!(offline(&daemon, "what is running?").contains("web-01"));
}

#[test]
fn a_login_that_ends_leaves_what_is_known_marked_as_old() {
    let sim = homelab();
    let daemon = watching(&sim).start();
    until_seen(&daemon);
    sim.fault(Fault::Unauthorized);
    until(&daemon, "the refusal", |cluster| cluster["state"] == "blind");
    // What was under way beside the request that was refused first.
    until_polled(&daemon, 1);
    let requests = sim.request_count();
    until_polled(&daemon, 5);
    assert_eq!(sim.request_count(), requests, "a refused login backs off at once");
    let told = offline(&daemon, "what is running?");
    assert!(told.starts_with("> **Stale data:**") && told.contains("was refused") && told.contains("web-01"), "{told}");
}

#[test]
fn a_missing_privilege_is_named_with_the_command_that_grants_it() {
    for (privilege, question, still) in [
        ("VM.Audit", "what is running?", "how full is storage?"),
        ("Datastore.Audit", "how full is storage?", "what is running?"),
        ("Sys.Audit", "is the cluster healthy?", "what is running?"),
    ] {
        let sim = simulated(SimConfig { access: Access::auditor().without(privilege), ..SimConfig::default() });
        // Privileges are asked for again after a minute of HAIA's time.
        let daemon = watching(&sim).environment("HAIA_TIME_FACTOR", "20").start();
        let cluster = until(&daemon, "the missing privilege", |cluster| cluster["state"] == "degraded");
        assert_eq!(cluster["missing_privileges"], serde_json::json!([privilege]));
        let command = "pveum acl modify / --tokens 'haia@pve!monitor' --roles PVEAuditor";
        let told = offline(&daemon, question);
        assert!(told.contains(privilege) && told.contains(command), "{question}: {told}");
        let told = offline(&daemon, still);
        assert!(told.contains("web-01") || told.contains("nas-nfs"), "the rest is seen: {still}: {told}");
        let names = |line: &str| line.contains("the token lacks a privilege");
        daemon.log.wait_for("the privilege to be named", |event| names(&event.to_string()));
        until_polled(&daemon, 3);
        assert_eq!(daemon.log.lines().iter().filter(|line| names(line)).count(), 1, "it is named once");
        sim.set_access(Access::auditor());
        until_seen(&daemon);
    }
}

#[test]
fn a_certificate_that_is_not_known_is_never_talked_to() {
    let sim = homelab();
    let strange = format!("\"{}\"", ["AA"; 32].join(":"));
    let daemon = Setup::new().config(&section(&sim, &[("fingerprint", &strange)])).start();
    let cluster = until(&daemon, "the refusal", |cluster| cluster["state"] == "blind");
    let problem = cluster["problem"].as_str().expect("a problem");
    assert!(problem.contains("its certificate is not trusted") && problem.contains(&sim.fingerprint), "{problem}");
    let told = offline(&daemon, "what is running?");
    assert!(told.contains("its certificate is not trusted") && told.contains(&sim.fingerprint), "{told}");
    assert_eq!(sim.request_count(), 0, "the token was not shown to a stranger");
}

#[test]
fn one_cluster_that_is_gone_does_not_hide_another() {
    let (well, gone) = (homelab(), homelab());
    let second = section(&gone, &[]).replace("[proxmox.lab]", "[proxmox.attic]");
    let daemon = Setup::new().config(&section(&well, &[])).config(&second).start();
    daemon.status_until("both clusters", |status| {
        status["clusters"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|one| one["state"] == "ok"))
    });
    gone.fault(Fault::Refuse);
    daemon.status_until("one to be gone", |status| {
        let clusters = status["clusters"].as_array().cloned().unwrap_or_default();
        clusters.iter().any(|one| one["name"] == "attic" && one["state"] == "blind")
    });
    let told = offline(&daemon, "what is running?");
    assert!(told.starts_with("> **Stale data:** what is known of the cluster attic is "), "{told}");
    assert!(told.contains("lab/pve1") && told.contains("cluster lab, "), "{told}");
    assert!(!told.contains("what is known of the cluster lab is"), "{told}");
}
