//! A client that leaves, at whatever moment, cancels everything behind it: the provider sees its connection closed, and nothing is left.

use crate::ask;
use crate::daemon::{Daemon, Event, Setup, eventually};
use crate::sim::{Exchange, Format, Outcome, Provider};
use serde_json::json;

/// A daemon whose agent routes lead to the models that hang.
fn setup(sim: &Provider) -> Setup {
    let mut setup = Setup::with_sim(sim);
    for format in Format::ALL {
        for model in ["hang", "hang-mid"] {
            setup = setup.route(&format!("{}-{model}", format.kind()), &[&format!("{}/{model}", format.kind())]);
        }
    }
    setup
}

fn all_left(chats: &[Exchange]) -> bool {
    !chats.is_empty() && chats.iter().all(|chat| chat.outcome == Outcome::Left)
}

/// The ids through which a model is reached: as a plain gateway and as the agent, in each format.
fn ids(model: &str) -> Vec<String> {
    let of_format = |format: &Format| [format!("{}/{model}", format.kind()), format!("haia/{}-{model}", format.kind())];
    Format::ALL.iter().flat_map(of_format).collect()
}

/// Begins a request, waits until the provider has it, and leaves.
fn leave_before_the_first_token(daemon: &Daemon, sim: &Provider, model: &str, stream: bool) {
    let chats = sim.chats().len();
    let begun = daemon.call("POST", "/v1/chat/completions").json(&ask(model, stream)).begin();
    sim.wait_for_chats(chats + 1);
    drop(begun);
}

#[test]
fn before_the_first_token_streamed_or_not() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    for model in ids("hang") {
        for stream in [true, false] {
            sim.forget();
            leave_before_the_first_token(&daemon, &sim, &model, stream);
            sim.wait_until(&format!("the daemon to leave {model}"), all_left);
            daemon.wait_until_idle();
            assert_eq!(sim.chats().len(), 1, "nobody asks again for a client that has left");
        }
    }
}

#[test]
fn in_the_middle_of_a_stream() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    for model in ids("hang-mid") {
        sim.forget();
        let mut stream = daemon.stream(&ask(&model, true));
        stream.read_until_text();
        let status = daemon.status();
        assert_eq!((&status["streams"]["open"], &status["provider_connections"]["active"]), (&json!(1), &json!(1)));
        assert_eq!(status["turns"]["active"], i32::from(model.starts_with("haia/")));
        drop(stream);
        sim.wait_until(&format!("the daemon to leave {model}"), all_left);
        daemon.wait_until_idle();
    }
}

#[test]
fn in_the_middle_of_an_answer_that_is_not_streamed() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    for model in ids("hang-mid") {
        sim.forget();
        let begun = daemon.call("POST", "/v1/chat/completions").json(&ask(&model, false)).begin();
        sim.wait_until("the provider to have begun", |chats| {
            chats.first().is_some_and(|chat| chat.request.format().is_some())
        });
        drop(begun);
        sim.wait_until(&format!("the daemon to leave {model}"), all_left);
        daemon.wait_until_idle();
    }
}

#[test]
fn during_a_tool_call() {
    let sim = Provider::start();
    let daemon = Setup::with_sim(&sim).environment("HAIA_FAULTS", "1").start();
    // A toolbox that waits out a backoff answers no call: the turn is then in the middle of one.
    for _ in 0..6 {
        assert!(daemon.post("/api/faults/panic/toolbox", &json!({})).status < 300);
    }
    eventually("the toolbox to be in its long backoff", || {
        let toolbox = daemon.actor("toolbox");
        (toolbox["restarts"].as_u64() >= Some(5) && toolbox["state"] == "restarting").then_some(())
    });
    let mut stream = daemon.stream(&ask("haia", true));
    stream.read_until(
        "a tool to be running",
        |event| matches!(event, Event::Data(data) if data["event"]["data"]["done"] == false),
    );
    assert_eq!(daemon.status()["turns"]["active"], 1);
    drop(stream);
    daemon.status_until("the turn to be gone", |status| status["turns"]["active"] == 0);
    // Behind the call that was taken back, another turn goes through; the first must not have gone on.
    assert!(daemon.chat(&ask("haia", false)).content().contains("3 results"));
    assert_eq!(sim.chats().len(), 1 + 3, "one round of the turn that was left, three of the other");
    daemon.wait_until_idle();
}

#[test]
fn a_thousand_who_leave_leave_nothing_behind() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    let leave = |count: usize| {
        let models = [ids("hang"), ids("hang-mid")].concat();
        for at in 0..count {
            let model = &models[at % models.len()];
            if model.ends_with("hang-mid") && at % 3 != 0 {
                daemon.stream(&ask(model, true)).read_until_text();
            } else {
                leave_before_the_first_token(&daemon, &sim, model, at % 2 == 0);
            }
            if at % 50 == 49 {
                sim.wait_until("everyone to have left", all_left);
                daemon.wait_until_idle();
                sim.forget();
            }
        }
    };
    leave(100);
    let (descriptors, connections) = (daemon.descriptors(), sim.open_connections());
    leave(1000);
    eventually("every descriptor to be given back", || (daemon.descriptors() <= descriptors).then_some(()));
    assert!(sim.open_connections() <= connections, "{} connections, {connections} before", sim.open_connections());
    assert_eq!(daemon.chat(&ask("haia", false)).status, 200);
    let status = daemon.status();
    let actors = status["actors"].as_array().cloned().unwrap_or_default();
    assert!(actors.iter().all(|actor| actor["restarts"] == 0 && actor["mailbox_depth"] == 0), "{actors:?}");
}
