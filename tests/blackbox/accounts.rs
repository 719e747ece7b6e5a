//! Accounts: what calls took, by provider, model and key, over a restart, and the limits of keys.

use crate::ask;
use crate::daemon::{Daemon, Setup};
use crate::sim::{Answer, Format, Provider};
use serde_json::{Value, json};

const TABLET: &str = "haia-key-tablet-0123456789abcdef";

fn as_tablet(daemon: &Daemon, model: &str, stream: bool) -> crate::daemon::Response {
    daemon.call("POST", "/v1/chat/completions").key(TABLET).json(&ask(model, stream)).send()
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let found = list.as_array().and_then(|members| members.iter().find(|member| member["name"] == name));
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

fn setup(sim: &Provider, limits: &str) -> Setup {
    Setup::with_sim(sim).config(&format!(
        "[server.keys.tablet]\nkey = \"{TABLET}\"\nlimits = {{ {limits} }}\n\
         [providers.openai.model.text]\nprice = {{ input = 1.0, output = 5.0, cached_input = 0.5 }}\n"
    ))
}

#[test]
fn calls_are_summed_by_provider_model_and_key_and_survive_a_restart() {
    let sim = Provider::start();
    let folder = {
        let mut daemon = setup(&sim, "").start();
        for stream in [false, true, true] {
            assert_eq!(as_tablet(&daemon, "openai/text", stream).status, 200);
        }
        assert_eq!(daemon.chat(&ask("ollama/text", false)).status, 200);
        assert_eq!(as_tablet(&daemon, "openai/status-500", false).status, 503);
        assert_eq!(as_tablet(&daemon, "openai/no-such-model", false).status, 404);
        let status = daemon
            .status_until("every call to be counted", |status| named(&status["keys"], "tablet")["today"]["calls"] == 5);
        let openai = named(&status["providers"], "openai");
        // 11 tokens read and 7 written each: 46 millionths of a USD.
        assert_eq!((&openai["input_tokens"], &openai["output_tokens"]), (&json!(33), &json!(21)));
        assert_eq!(openai["cost"], json!(0.000138));
        assert_eq!(openai["cached_tokens"], Value::Null, "nobody told");
        let model = named(&openai["usage_by_model"], "text");
        assert_eq!((&model["today"]["calls"], &model["today"]["errors"]), (&json!(3), &json!(0)));
        assert!(model["today"]["first_token_ms"].is_number() && model["month"]["total_ms"].is_number(), "{model}");
        let failed = named(&openai["usage_by_model"], "status-500");
        assert_eq!((&failed["today"]["calls"], &failed["today"]["errors"]), (&json!(2), &json!(2)));
        assert_eq!(failed["today"]["input_tokens"], Value::Null, "unknown is not 0");
        assert!(!openai["usage_by_model"].to_string().contains("no-such-model"));
        let ollama = named(&status["providers"], "ollama");
        assert_eq!(ollama["cost"], Value::Null, "no price is known");
        let whole = &ollama["usage"]["today"];
        assert_eq!(whole["first_token_ms"], Value::Null, "nobody can tell when a whole answer began");
        assert!(
            whole["total_ms"].is_number() && whole["output_tokens"] == 7 && ollama["output_tokens"] == 7,
            "{ollama}"
        );
        let tablet = named(&status["keys"], "tablet");
        assert_eq!((&tablet["state"], &tablet["today"]["input_tokens"]), (&json!("ok"), &json!(33)));
        assert_eq!(named(&status["keys"], "admin")["month"]["calls"], 1);
        daemon.signal("TERM");
        daemon.wait();
        daemon.folder()
    };
    let setup = setup(&sim, "").folder(folder);
    let daemon = setup.start();
    let status = daemon.status_until("the accounts to be read", |status| {
        status["keys"].as_array().is_some_and(|keys| keys.len() == 2)
    });
    assert_eq!(named(&status["keys"], "tablet")["month"]["calls"], 5);
    let openai = named(&status["providers"], "openai");
    assert_eq!((&openai["requests"], &openai["usage"]["today"]["cost"]), (&json!(0), &json!(0.000138)));
    assert_eq!(as_tablet(&daemon, "openai/text", false).status, 200);
    let metrics = daemon.get("/metrics").text();
    for line in [
        "haia_key_month_calls{key=\"tablet\"} 6",
        "haia_model_month_input_tokens{provider=\"openai\",model=\"text\"} 44",
        "haia_provider_tokens_total{provider=\"openai\",direction=\"input\"} 11",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    assert!(!metrics.contains("haia_model_month_cost_usd{provider=\"ollama\""), "unknown is absent");
    let told = setup.run(&["status"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("tablet") && told.contains("openai/text") && told.contains("44 in, 28 out"), "{told}");
}

#[test]
fn an_answer_without_counts_is_counted_as_such() {
    let sim = Provider::start();
    sim.script(|request| {
        let message = json!({ "role": "assistant", "content": "Hi." });
        let answer = json!({ "id": "x", "object": "chat.completion", "created": 1, "model": "text",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] });
        (request.format() == Some(Format::OpenAi)).then(|| Answer::json(200, &answer))
    });
    let daemon = setup(&sim, "usd_per_day = 1.0").start();
    let answer = as_tablet(&daemon, "openai/text", false);
    assert_eq!(answer.content(), "Hi.");
    assert_eq!(answer.json().get("usage"), None, "nothing is made up");
    let status = daemon.status_until("the call", |status| named(&status["keys"], "tablet")["today"]["calls"] == 1);
    let today = &named(&status["keys"], "tablet")["today"];
    assert_eq!((&today["uncounted"], &today["output_tokens"], &today["cost"]), (&json!(1), &Value::Null, &Value::Null));
    let openai = named(&status["providers"], "openai");
    assert_eq!((&openai["input_tokens"], &openai["cost"]), (&Value::Null, &Value::Null));
}

#[test]
fn whoever_leaves_before_the_counts_come_is_counted_all_the_same() {
    let sim = Provider::start();
    let limits = "tokens_per_day = 100, usd_per_day = 1.0";
    let mut daemon = setup(&sim, limits).start();
    let begin =
        |model: &str, stream: bool| daemon.call("POST", "/v1/chat/completions").key(TABLET).json(&ask(model, stream));
    let today = |daemon: &Daemon, calls: u64| {
        let status =
            daemon.status_until("the calls", |status| named(&status["keys"], "tablet")["today"]["calls"] == calls);
        let tablet = named(&status["keys"], "tablet");
        (tablet["today"].clone(), tablet["limits"][0]["used"].clone(), tablet["state"].clone())
    };
    // In the middle: what the head told of the output is made up.
    begin("anthropic/hang-mid", true).open().read_until_text();
    let (sums, used, _) = today(&daemon, 1);
    assert_eq!(
        (&sums["cancelled"], &sums["input_tokens"], &sums["output_tokens"]),
        (&json!(1), &json!(11), &Value::Null)
    );
    assert!(used.as_f64().is_some_and(|used| (12.0..30.0).contains(&used)), "a little is guessed: {used}");

    // A whole answer that nobody waits for.
    let begun = begin("ollama/hang", false).begin();
    sim.wait_for_chats(2);
    drop(begun);
    let (sums, guessed, _) = today(&daemon, 2);
    assert_eq!((&sums["uncounted"], &sums["input_tokens"]), (&json!(1), &json!(11)), "unknown is not 0");
    assert!(guessed.as_f64() > used.as_f64(), "{guessed} and {used} before");
    // A stream that breaks off has no counts either, and reaches the limit all the same.
    let long = json!({ "model": "openai/cut-mid", "stream": true, "messages": [{ "role": "user", "content": "word ".repeat(80) }] });
    daemon.call("POST", "/v1/chat/completions").key(TABLET).json(&long).open().finish();
    let (sums, used, state) = today(&daemon, 3);
    assert!(state == "limited" && used.as_f64().is_some_and(|used| used > 100.0), "{state} {used}");
    assert_eq!((&sums["uncounted"], &sums["output_tokens"]), (&json!(2), &Value::Null));
    assert_eq!(begin("openai/text", true).send().status, 429);

    daemon.signal("TERM");
    daemon.wait();
    let daemon = setup(&sim, limits).folder(daemon.folder()).start();
    assert_eq!(today(&daemon, 3), (sums, used, state), "a restart forgives nothing, and shows no guess among the sums");
    assert_eq!(as_tablet(&daemon, "openai/text", true).status, 429);
}

#[test]
fn a_key_that_reached_its_limit_is_told_when_it_may_go_on() {
    let sim = Provider::start();
    let limits = "tokens_per_day = 30, usd_per_month = 0.01";
    let folder = {
        let mut daemon = setup(&sim, limits).start();
        for _ in 0..2 {
            assert_eq!(as_tablet(&daemon, "openai/text", true).status, 200);
        }
        daemon.status_until("the limit", |status| named(&status["keys"], "tablet")["state"] == "limited");
        for model in ["openai/text", "haia"] {
            for stream in [false, true] {
                let refused = as_tablet(&daemon, model, stream);
                assert_eq!(refused.status, 429, "{}", refused.text());
                let error = &refused.json()["error"];
                assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_error"), &json!("key_limit_reached")));
                let message = error["message"].as_str().unwrap_or_default();
                assert!(message.contains("30 tokens of this day") && message.contains("00:00"), "{message}");
                let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("a wait");
                assert!((1..=90_000).contains(&wait), "{wait}");
            }
        }
        assert_eq!(sim.chats().len(), 2, "what is refused is never sent");
        assert_eq!(daemon.chat(&ask("openai/text", false)).status, 200, "other keys go on");
        daemon.signal("TERM");
        daemon.wait();
        daemon.folder()
    };
    let daemon = setup(&sim, limits).folder(folder).start();
    daemon.status_until("the accounts to be read", |status| named(&status["keys"], "tablet")["state"] == "limited");
    assert_eq!(as_tablet(&daemon, "openai/text", false).status, 429, "a restart forgives nothing");

    let raised = std::fs::read_to_string(daemon.config_path()).expect("the configuration").replace("= 30", "= 3000");
    std::fs::write(daemon.config_path(), raised).expect("the configuration");
    assert!(daemon.post("/api/config/reload", &json!({})).status < 300);
    assert_eq!(as_tablet(&daemon, "openai/text", false).status, 200, "a reload takes a new limit over");
}
