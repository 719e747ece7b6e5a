//! Alerts that nobody would end by himself: about an actor of the run before, and about what was taken out of the configuration.

use crate::daemon::{Daemon, Setup, eventually};
use crate::lookout::{Hook, Told};
use serde_json::json;
use std::time::{Duration, Instant};

const FACTOR: &str = "60";
/// Ten crashes with their backoffs.
const GIVING_UP: Duration = Duration::from_secs(58);

fn setup(hook: &Hook, more: &str) -> Setup {
    // Nobody listens on this port.
    let away = "kind = \"openai\"\nbase_url = \"http://127.0.0.1:9/v1\"\napi_key = \"sk-sim-0123456789\"\n";
    let config = format!("{}{more}[monitor.explain]\nenabled = false\n", hook.section()).replace("AWAY\n", away);
    Setup::new().config(&config).environment("HAIA_TIME_FACTOR", FACTOR).environment("HAIA_FAULTS", "1")
}

fn until_told(hook: &Hook, kind: &str, name: &str) -> Told {
    eventually(&format!("{name} to be told as {kind}"), || {
        hook.told().into_iter().rfind(|told| told.kind() == kind && told.members().contains(&name))
    })
}

fn give_up(daemon: &Daemon, actor: &str) {
    let begun = Instant::now();
    while daemon.actor(actor)["state"] != "failed" {
        assert!(begun.elapsed() < GIVING_UP, "{actor} was not given up");
        if daemon.actor(actor)["state"] == "running" {
            daemon.post(&format!("/api/faults/panic/{actor}"), &json!({}));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn an_actor_of_the_run_before_and_what_is_configured_no_more_are_over_after_a_start() {
    let hook = Hook::start();
    let mut daemon = setup(&hook, "[providers.away]\nAWAY\n").start();
    give_up(&daemon, "prometheus");
    until_told(&hook, "opened", "provider_down:provider/away");
    until_told(&hook, "opened", "actor_failed:actor/prometheus");
    daemon.signal("KILL");
    daemon.wait();
    let daemon = setup(&hook, "").folder(daemon.folder()).start();
    let titles = |kind: &str| -> Vec<String> {
        hook.told().iter().filter(|told| told.kind() == kind).map(|told| told.body.to_string()).collect()
    };
    until_told(&hook, "resolved", "actor_failed:actor/prometheus");
    until_told(&hook, "resolved", "provider_down:provider/away");
    let said = titles("resolved").join("\n");
    assert!(said.contains("works again") && said.contains("is not configured any more"), "{said}");
    assert_eq!(daemon.get("/api/alerts").json()["alerts"], json!([]));
}

#[test]
fn what_a_reload_takes_out_is_over_and_what_it_brings_back_is_told_anew() {
    let hook = Hook::start();
    let with = setup(&hook, "[providers.away]\nAWAY\n");
    let daemon = with.start();
    let name = "provider_down:provider/away";
    until_told(&hook, "opened", name);
    std::fs::write(daemon.config_path(), setup(&hook, "").text()).unwrap();
    let over = until_told(&hook, "resolved", name);
    assert!(over.title().starts_with("provider away is not configured any more"), "{}", over.title());
    std::fs::write(daemon.config_path(), with.text()).unwrap();
    eventually("the provider to be told anew", || {
        let opened = hook.told().into_iter().filter(|told| told.kind() == "opened" && told.members().contains(&name));
        (opened.count() == 2).then_some(())
    });
}
