//! A panic in any actor, under load: the others keep serving, the queue survives, the restart is told.

use crate::ask;
use crate::daemon::{CONTROL, Call, Setup, eventually};
use crate::sim::Provider;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

#[test]
fn a_panic_in_each_actor_under_load() {
    let sim = Provider::start();
    let mut daemon = Setup::with_sim(&sim).environment("HAIA_FAULTS", "1").start();
    let status = daemon.status();
    let actors: Vec<String> = status["actors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|actor| actor["name"].as_str().expect("a name").to_owned())
        .collect();
    assert!(actors.len() >= 4, "{status}");

    let (ending, served, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let address = daemon.address;
    thread::scope(|scope| {
        for model in ["haia", "openai/text", "anthropic/text", "haia/ollama-agent"] {
            let (ending, served, failed) = (&ending, &served, &failed);
            scope.spawn(move || {
                while !ending.load(Ordering::Relaxed) {
                    let answer =
                        Call::tcp(address, "POST", "/v1/chat/completions").key(CONTROL).json(&ask(model, false)).send();
                    match answer.status {
                        200 => served.fetch_add(1, Ordering::Relaxed),
                        // The very request that an actor crashed on; it says so in the shape of every error.
                        status => {
                            assert!(
                                status >= 500 && answer.json()["error"]["message"].is_string(),
                                "{}",
                                answer.text()
                            );
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
        for actor in &actors {
            let before = served.load(Ordering::Relaxed);
            let answer = daemon.post(&format!("/api/faults/panic/{actor}"), &json!({}));
            assert!((200..300).contains(&answer.status), "{actor}: {}", answer.text());
            eventually(&format!("{actor} to be running again"), || {
                let now = daemon.actor(actor);
                (now["restarts"].as_u64() >= Some(1) && now["state"] == "running").then_some(())
            });
            eventually(&format!("chats to go on after the crash of {actor}"), || {
                (served.load(Ordering::Relaxed) >= before + 20).then_some(())
            });
        }
        ending.store(true, Ordering::Relaxed);
    });
    let (served, failed) = (served.into_inner(), failed.into_inner());
    assert!(failed <= actors.len() * 4, "{failed} of {} failed: at most what was under way", served + failed);
    daemon.wait_until_idle();
    assert_eq!(daemon.get("/ready").status, 200);
    assert!(daemon.runs());
}

#[test]
fn faults_are_off_unless_asked_for_and_need_an_admin() {
    let daemon = Setup::new().start();
    assert_eq!(daemon.post("/api/faults/panic/store", &json!({})).status, 404, "not enabled");
    let daemon = Setup::new().environment("HAIA_FAULTS", "1").start();
    let refused = daemon.call("POST", "/api/faults/panic/store").key(CONTROL).json(&json!({})).send();
    assert_eq!(refused.status, 403);
    assert_eq!(daemon.post("/api/faults/panic/nobody", &json!({})).status, 404, "no such actor");
}
