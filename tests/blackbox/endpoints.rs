//! What a provider can do beside chats: embeddings, speech, transcription, counting tokens.

use crate::daemon::{CONTROL, Call, Daemon, READ, Setup, eventually};
use crate::sim::{Outcome, Provider, SOUND, Step};
use serde_json::{Value, json};

const VECTOR: [f64; 3] = [0.25, -1.5, 3.0];
const FORM: &str = "multipart/form-data; boundary=----bound";

/// A daemon with the three formats and Gemini beside them.
fn setup(sim: &Provider) -> Setup {
    let gemini = format!(
        "[providers.gemini]\nkind = \"gemini\"\nbase_url = \"{}/v1beta\"\napi_key = \"sk-sim-gemini\"\nmodels = [\"embed\"]\n",
        sim.url()
    );
    Setup::with_sim(sim).config(&gemini)
}

fn form(model: &str, format: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |head: &str, content: &[u8]| {
        body.extend_from_slice(format!("------bound\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    // The file first, as browsers send it: the model's name comes after megabytes.
    part("name=\"file\"; filename=\"a.mp3\"", &SOUND.concat().repeat(200_000));
    part("name=\"response_format\"", format.as_bytes());
    part("name=\"model\"", model.as_bytes());
    body.extend_from_slice(b"------bound--\r\n");
    body
}

fn transcribe(daemon: &Daemon, model: &str, format: &str) -> Call {
    let call = daemon.call("POST", "/v1/audio/transcriptions").bytes(form(model, format));
    call.header("content-type", FORM)
}

fn embed(model: &str, input: &Value) -> Value {
    json!({ "model": model, "input": input })
}

#[test]
fn every_format_that_embeds_answers_in_openais_shape() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    for provider in ["openai", "ollama", "gemini"] {
        for (input, count) in [(json!("one"), 1), (json!(["one", "two"]), 2)] {
            let answer = daemon.post("/v1/embeddings", &embed(&format!("{provider}/embed"), &input));
            assert_eq!(answer.status, 200, "{provider}: {}", answer.text());
            let answer = answer.json();
            let data = answer["data"].as_array().expect("vectors");
            assert_eq!((data.len(), &answer["object"]), (count, &json!("list")));
            for (index, vector) in data.iter().enumerate() {
                assert_eq!((&vector["index"], &vector["embedding"]), (&json!(index), &json!(VECTOR)));
            }
            let counted = if provider == "gemini" { Value::Null } else { json!(5) };
            assert_eq!(answer["usage"]["prompt_tokens"], counted, "{provider}");
        }
        let mut body = embed(&format!("{provider}/embed"), &json!("one"));
        body["encoding_format"] = json!("base64");
        assert_eq!(daemon.post("/v1/embeddings", &body).json()["data"][0]["embedding"], "AACAPgAAwL8AAEBA");
    }
    sim.forget();
    let many: Vec<String> = (0..250).map(|text| text.to_string()).collect();
    let answer = daemon.post("/v1/embeddings", &embed("gemini/embed", &json!(many))).json();
    let data = answer["data"].as_array().expect("vectors");
    assert_eq!((data.len(), &data[249]["index"]), (250, &json!(249)));
    let sizes: Vec<usize> =
        sim.beside_chats().iter().filter_map(|one| one.request.json()["requests"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [100, 100, 50], "Gemini takes no more at once");
    let tokens = daemon.post("/v1/embeddings", &embed("openai/embed", &json!([[1, 2], [3]])));
    assert_eq!(tokens.json()["data"].as_array().map(Vec::len), Some(2));
    let refused = daemon.post("/v1/embeddings", &embed("ollama/embed", &json!([[1, 2]])));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("input")));
    let paths: Vec<String> = sim.beside_chats().iter().map(|one| one.request.path.clone()).collect();
    assert!(paths.contains(&"/v1beta/models/embed:batchEmbedContents".to_owned()), "{paths:?}");
    let asked = &sim.beside_chats()[3].request;
    assert_eq!((asked.model().as_str(), asked.header("authorization")), ("embed", Some("Bearer sk-sim-0123456789")));
}

#[test]
fn sound_goes_through_as_it_comes() {
    let sim = Provider::start();
    let gate = sim.gate();
    let held = gate.clone();
    sim.script(move |request| {
        (request.model() == "tts").then(|| crate::sim::by_model(request).after(1, Step::Hold(held.clone())))
    });
    let daemon = setup(&sim).start();
    let speech = |model: &str| json!({ "model": model, "input": "hi", "voice": "alloy" });
    let mut stream = daemon.call("POST", "/v1/audio/speech").json(&speech("openai/tts")).open();
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("audio/mpeg")));
    assert_eq!(stream.piece().expect("sound").as_deref(), Some(SOUND[0]), "the first piece waits for no other");
    assert_eq!(daemon.status()["streams"]["open"], 1);
    gate.open();
    let mut rest = Vec::new();
    while let Some(piece) = stream.piece().expect("a proper end") {
        rest.extend_from_slice(&piece);
    }
    assert_eq!(rest, SOUND[1..].concat());
    let cut = daemon.call("POST", "/v1/audio/speech").json(&speech("openai/cut-mid")).begin().read();
    assert!(cut.is_err(), "a cut is not passed off as an end");
    daemon.wait_until_idle();
}

#[test]
fn recordings_are_transcribed_in_the_form_that_was_asked_for() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    let text = "whisper-1 heard 600000 frames";
    let json = transcribe(&daemon, "openai/whisper-1", "json").send();
    assert_eq!((json.status, &json.json()["text"]), (200, &json!(text)), "{}", json.text());
    let plain = transcribe(&daemon, "openai/whisper-1", "text").send();
    assert_eq!((plain.text().as_str(), plain.header("content-type")), (text, Some("text/plain")));
    assert!(transcribe(&daemon, "openai/whisper-1", "srt").send().text().contains("-->"));
    let escaped = daemon.call("POST", "/v1/audio/transcription%73").bytes(form("openai/whisper-1", "text"));
    assert_eq!(escaped.header("content-type", FORM).send().text(), text, "the same path");
    let asked = sim.beside_chats();
    let request = &asked[0].request;
    assert_eq!(request.header("content-type"), Some(FORM));
    assert!(request.header("content-length").is_some(), "not every server takes a body in chunks");
    sim.script(|request| {
        let is_cut = String::from_utf8_lossy(&request.body).contains("cut-1");
        is_cut.then(|| crate::sim::by_model(request).halfway(Step::Cut))
    });
    let cut = transcribe(&daemon, "openai/cut-1", "text").begin().read();
    assert!(cut.is_err(), "what was promised and did not come is no answer");
    assert_eq!(request.body.len(), form("openai/whisper-1", "json").len() - "openai/".len());
}

#[test]
fn what_a_provider_cannot_do_is_told_with_its_name() {
    let sim = Provider::start();
    sim.script(|request| {
        let is_missing = request.path == "/v1/audio/speech" && request.model() == "missing";
        is_missing.then(|| crate::sim::Answer::whole(404, "text/html", "<html>404 page not found</html>"))
    });
    let daemon = setup(&sim).start();
    let messages = json!([{ "role": "user", "content": "hi" }]);
    for (path, body, who) in [
        ("/v1/embeddings", embed("anthropic/text", &json!("x")), "anthropic"),
        ("/v1/audio/speech", json!({ "model": "ollama/text", "input": "x" }), "ollama"),
        ("/v1/audio/speech", json!({ "model": "openai/missing", "input": "x" }), "openai"),
        ("/v1/messages/count_tokens", json!({ "model": "openai/text", "messages": messages }), "openai"),
    ] {
        let answer = daemon.post(path, &body);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["type"]), (400, &json!("invalid_request_error")), "{}", answer.text());
        assert_eq!(error["code"], "unsupported_endpoint");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(who) && message.contains(path), "{message}");
    }
    let answer = transcribe(&daemon, "gemini/embed", "json").send();
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!("unsupported_endpoint")));
    let agent = daemon.post("/v1/embeddings", &embed("haia", &json!("x")));
    assert_eq!((agent.status, &agent.json()["error"]["param"]), (400, &json!("model")));
}

#[test]
fn failures_are_those_of_chats() {
    let sim = Provider::start();
    let daemon = setup(&sim).config("").start();
    for (model, status, code) in [
        ("openai/status-401", 502, "provider_authentication"),
        ("openai/status-404", 404, "model_not_found"),
        ("openai/status-429", 429, "rate_limit_exceeded"),
        ("ollama/status-500", 503, "provider_unavailable"),
        ("nobody/x", 404, "model_not_found"),
    ] {
        let answer = daemon.post("/v1/embeddings", &embed(model, &json!("x")));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{}", answer.text());
        for told in crate::sim::NEVER_TOLD {
            assert!(!answer.text().contains(told), "{}", answer.text());
        }
        if status == 429 {
            assert_eq!(answer.header("retry-after"), Some("7"));
        }
    }
    let call = |key| daemon.call("POST", "/v1/embeddings").key(key).json(&embed("openai/embed", &json!("x"))).send();
    assert_eq!((call("").status, call(READ).status, call(CONTROL).status), (401, 403, 200));
    let call = |key| transcribe(&daemon, "openai/whisper-1", "json").key(key).send();
    assert_eq!((call("").status, call(READ).status, call(CONTROL).status), (401, 403, 200));
}

#[test]
fn whoever_leaves_cancels_and_everything_is_accounted_for() {
    let sim = Provider::start();
    let daemon = setup(&sim).start();
    let speech = |model: &str| json!({ "model": model, "input": "hi", "voice": "alloy" });
    let left = |what: &str| {
        eventually(what, || {
            let asked = sim.beside_chats();
            (!asked.is_empty() && asked.iter().all(|one| one.outcome == Outcome::Left)).then_some(())
        });
        daemon.wait_until_idle();
        sim.forget();
    };
    for path in ["/v1/embeddings", "/v1/audio/speech"] {
        let begun = daemon.call("POST", path).json(&speech("openai/hang")).begin();
        eventually("the provider to be asked", || (!sim.beside_chats().is_empty()).then_some(()));
        drop(begun);
        left(path);
    }
    let mut stream = daemon.call("POST", "/v1/audio/speech").json(&speech("openai/hang-mid")).open();
    assert!(stream.piece().expect("sound").is_some());
    drop(stream);
    left("the daemon to leave in the middle");

    let call = daemon.call("POST", "/v1/embeddings").key(CONTROL).header("x-request-id", "embed-1");
    assert_eq!(call.json(&embed("openai/embed", &json!("x"))).send().status, 200);
    let row = eventually("the audit row", || {
        let rows = daemon.get("/api/audit?request_id=embed-1&kind=provider").json();
        rows["rows"].as_array().and_then(|rows| rows.first().cloned())
    });
    assert_eq!((&row["what"], &row["who"], &row["outcome"]), (&json!("openai/embed"), &json!("control"), &json!("ok")));
    let metrics = daemon.get("/metrics").text();
    assert!(metrics.contains("haia_http_requests_total{route=\"/v1/embeddings\",status=\"2xx\"} 1"), "{metrics}");
    let described = daemon.get("/openapi.json").json();
    let form = &described["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]["content"];
    assert!(form["multipart/form-data"].is_object(), "{form}");
    let tokens = daemon.post(
        "/v1/messages/count_tokens",
        &json!({ "model": "anthropic/text", "messages": [{ "role": "user", "content": "hi" }] }),
    );
    assert_eq!(tokens.json(), json!({ "input_tokens": 42 }));
}

#[test]
fn a_server_without_an_endpoint_is_named_and_stays_in_use() {
    let sim = Provider::start();
    sim.script(|request| {
        // As LM Studio says it.
        let error = format!("Unexpected endpoint or method. (POST {})", request.path);
        (request.path == "/v1/audio/speech").then(|| crate::sim::Answer::json(200, &json!({ "error": error })))
    });
    let daemon = setup(&sim).start();
    for asked in 1..=6 {
        let speech = json!({ "model": "openai/tts", "input": "hi", "voice": "alloy" });
        let answer = daemon.post("/v1/audio/speech", &speech);
        let told = &answer.json()["error"];
        assert_eq!((answer.status, &told["code"]), (400, &json!("unsupported_endpoint")), "{}", answer.text());
        let message = told["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.contains("openai has no /v1/audio/speech"), "{message}");
        assert_eq!(sim.beside_chats().len(), asked, "never asked twice");
    }
    let providers = daemon.status()["providers"].clone();
    let openai = providers.as_array().into_iter().flatten().find(|provider| provider["name"] == "openai").cloned();
    assert_eq!(openai.map(|openai| openai["circuit"].clone()), Some(json!("closed")));
}

#[test]
fn an_answer_that_is_something_else_than_was_asked_for_is_a_failure() {
    let sim = Provider::start();
    sim.script(|request| {
        let answer = crate::sim::Answer::whole;
        let error = r#"{"error":{"message":"out of memory","code":500}}"#;
        match request.model().as_str() {
            "page" => Some(answer(200, "text/html", "<html>garbage</html>")),
            "text" => Some(answer(200, "text/plain", "garbage")),
            "error" => Some(answer(200, "text/plain", error)),
            "other" => Some(answer(200, "application/json", r#"{"garbage":1}"#)),
            _ => None,
        }
    });
    let daemon = setup(&sim).start();
    let speech = |model: &str| json!({ "model": model, "input": "hi", "voice": "alloy" });
    for model in ["openai/page", "openai/text", "openai/error", "openai/other"] {
        for (path, body) in [("/v1/embeddings", embed(model, &json!("x"))), ("/v1/audio/speech", speech(model))] {
            let answer = daemon.post(path, &body);
            assert_eq!(answer.status, 503, "{model} {path}: {}", answer.text());
            assert_eq!(answer.json()["error"]["code"], "provider_unavailable");
            assert!(!answer.text().contains("garbage"), "{}", answer.text());
        }
    }
    let providers = daemon.status()["providers"].clone();
    let openai = providers.as_array().into_iter().flatten().find(|provider| provider["name"] == "openai").cloned();
    assert!(openai.is_some_and(|openai| openai["errors"].as_u64() >= Some(8)), "{providers}");
}

#[test]
fn embeddings_of_another_name_or_of_no_coding_are_passed_on_and_have_a_cost() {
    let sim = Provider::start();
    sim.script(|request| {
        let vectors = json!({ "data": [{ "embedding": [0.5], "index": 0 }], "usage": { "prompt_tokens": 1000 } });
        let answer = crate::sim::Answer::whole(200, "text/plain", vectors.to_string());
        (request.path == "/v1/embeddings").then(|| answer.header("content-encoding", "None"))
    });
    let price = "[providers.openai.model.embed]\nprice = { input = 0.02, output = 0.0 }\n";
    let daemon = setup(&sim).config(price).start();
    let answer = daemon.post("/v1/embeddings", &embed("openai/embed", &json!("x")));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    let providers = daemon.status()["providers"].clone();
    let openai = providers.as_array().into_iter().flatten().find(|provider| provider["name"] == "openai").cloned();
    assert_eq!(openai.map(|openai| openai["cost"].clone()), Some(json!(0.00002)));
}
