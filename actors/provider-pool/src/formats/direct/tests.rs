//! Requests and answers of each format.

use super::*;
use serde_json::{Value, json};

fn body(value: &Value) -> DirectBody {
    DirectBody::Json(value.to_string().into())
}

fn write(format: &str, kind: DirectKind, body: &DirectBody, options: &Value) -> Result<Option<Outgoing>, Failure> {
    let settings = ModelSettings {
        max_tokens: Some(99),
        temperature: Some(0.5),
        options: options.as_object().cloned().unwrap_or_default(),
        ..ModelSettings::default()
    };
    outgoing(format, &Asked { kind, body, model: "m-1", stream: true, settings: &settings })
}

fn written(format: &str, kind: DirectKind, given: &Value, options: &Value) -> (String, Value, Reading) {
    let outgoing = write(format, kind, &body(given), options).expect("can be written").expect("is known");
    assert_eq!(outgoing.content_type, "application/json");
    let value = serde_json::from_slice(&outgoing.body.concat()).expect("JSON");
    (outgoing.path, value, outgoing.reading)
}

fn translated(reading: Reading, answer: &Value) -> Result<(Value, Usage), Failure> {
    let Reading::Translated(translate) = reading else { panic!("nothing is translated") };
    let translated = translate(&answer.to_string().into())?;
    Ok((serde_json::from_slice(&translated.body).expect("JSON"), translated.usage))
}

#[test]
fn compatible_servers_get_the_body_as_it_is() {
    let given = json!({ "input": [[1, 2], [3]], "model": "openai/m-1", "encoding_format": "base64", "x": 1.50 });
    let (path, value, reading) = written("openai", DirectKind::Embeddings, &given, &json!({ "top_k": 3 }));
    assert_eq!(path, "/embeddings");
    assert_eq!(value, json!({ "model": "m-1", "input": [[1, 2], [3]], "encoding_format": "base64", "x": 1.50 }));
    assert!(matches!(reading, Reading::Through));
    let (path, value, _) = written("openrouter", DirectKind::Speech, &json!({ "input": "hi" }), &json!({}));
    assert_eq!((path.as_str(), value), ("/audio/speech", json!({ "model": "m-1", "input": "hi" })));
}

#[test]
fn a_form_keeps_every_byte_but_the_models_name() {
    let form = DirectBody::Form {
        content_type: "multipart/form-data; boundary=b".to_owned(),
        before: None,
        around_model: (Bytes::from_static(b"before\xff"), Bytes::from_static(b"behind\x00")),
        rest: None,
    };
    let outgoing = write("openai", DirectKind::Transcription, &form, &json!({})).expect("writes").expect("known");
    assert_eq!(outgoing.path, "/audio/transcriptions");
    assert_eq!(outgoing.content_type, "multipart/form-data; boundary=b");
    assert_eq!(outgoing.body.concat(), b"before\xffm-1behind\x00");
    let wrong = write("openai", DirectKind::Embeddings, &form, &json!({})).err().expect("refused");
    assert_eq!(wrong.class, FailureClass::InvalidRequest);
}

#[test]
fn anthropic_gets_ids_of_other_apis_as_it_takes_them_and_the_rest_byte_for_byte() {
    let body = |id: &str, other: &str| {
        let text = format!(
            r#"{{"model":"m-1","messages":[{{"role":"user","content":"q"}},{{ "role":"assistant","content":[{{"type":"thinking","thinking":"\u0068m","signature":"s/+=:"}},{{"type":"tool_use","id":"{id}","name":"f","input":{{"id":"a:1","x":1.50}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}","content":"r"}},{{"type":"tool_result","tool_use_id":"{other}"}}]}}],"max_tokens":1}}"#
        );
        DirectBody::Json(text.into())
    };
    for kind in [DirectKind::Messages, DirectKind::CountTokens] {
        let sent = |body: &DirectBody| {
            let outgoing = write("anthropic", kind, body, &json!({})).expect("writes").expect("known");
            String::from_utf8(outgoing.body.concat()).expect("text")
        };
        let same = sent(&body("toolu_01-A", "toolu_2"));
        let mapped = sent(&body("functions.get:0", "toolu_2"));
        let value: Value = serde_json::from_str(&mapped).expect("JSON");
        let id = value["messages"][1]["content"][1]["id"].as_str().expect("an id");
        assert!(id.starts_with("functions_get_0_") && !id.contains([':', '.']), "{id}");
        assert_eq!(value["messages"][2]["content"][0]["tool_use_id"], id);
        let expected = same.replace("toolu_01-A", id).replace("{ \"role\"", "{\"role\"");
        assert_eq!(mapped, expected, "nothing else changes");
        assert!(same.contains("{ \"role\""), "nothing to change, nothing written anew");
    }
}

#[test]
fn thinking_that_anthropic_did_not_sign_does_not_reach_it() {
    let ask = |messages: Value| {
        let given = json!({ "model": "x/m-1", "messages": messages, "max_tokens": 1 });
        written("anthropic", DirectKind::Messages, &given, &json!({})).1["messages"].clone()
    };
    let thinking = |signature: Value| json!({ "type": "thinking", "thinking": "hm", "signature": signature });
    let said = json!({ "type": "text", "text": "a", "thinking": "x" });
    let bare = json!({ "type": "thinking", "thinking": "hm" });
    let told = ask(json!([
        { "role": "user", "content": "q" },
        { "role": "assistant", "content": [thinking(json!("")), said, bare.clone(), thinking(json!("s/+="))] },
        { "role": "assistant", "content": [bare] },
        { "role": "assistant", "content": [thinking(Value::Null), { "type": "tool_use", "id": "a:1", "name": "f", "input": {} }] },
    ]));
    assert_eq!(told.as_array().map(Vec::len), Some(3), "a message with nothing left in it is refused");
    assert_eq!(told[1]["content"], json!([said, thinking(json!("s/+="))]));
    assert_eq!(told[2]["content"].as_array().map(Vec::len), Some(1));
    assert_ne!(told[2]["content"][0]["id"], "a:1");
    let fine = json!([{ "role": "assistant", "content": [{ "type": "redacted_thinking", "data": "x" }, thinking(json!("s"))] }]);
    assert_eq!(ask(fine.clone()), fine);
}

#[test]
fn ollama_embeds_in_its_own_words() {
    let options = json!({ "keep_alive": "5m", "num_ctx": 2048, "think": true });
    let (path, value, reading) =
        written("ollama", DirectKind::Embeddings, &json!({ "input": "a", "dimensions": 2 }), &options);
    assert_eq!(path, "/api/embed");
    assert_eq!(
        value,
        json!({ "model": "m-1", "input": ["a"], "dimensions": 2, "keep_alive": "5m", "options": { "num_ctx": 2048 } })
    );
    let (answer, usage) =
        translated(reading, &json!({ "embeddings": [[0.25, -1.5e-3]], "prompt_eval_count": 4 })).expect("an answer");
    assert_eq!(
        answer,
        json!({
            "object": "list", "model": "m-1", "usage": { "prompt_tokens": 4, "total_tokens": 4 },
            "data": [{ "object": "embedding", "index": 0, "embedding": [0.25, -1.5e-3] }],
        })
    );
    assert_eq!(usage.input, Some(4));
}

#[test]
fn gemini_embeds_in_its_own_words() {
    let given = json!({ "input": ["a", "b"], "dimensions": 2, "encoding_format": "base64" });
    let (path, value, reading) = written("gemini", DirectKind::Embeddings, &given, &json!({}));
    assert_eq!(path, "/models/m-1:batchEmbedContents");
    let one = |text: &str| json!({ "model": "models/m-1", "content": { "parts": [{ "text": text }] }, "outputDimensionality": 2 });
    assert_eq!(value, json!({ "requests": [one("a"), one("b")] }));
    let answer = json!({ "embeddings": [{ "values": [1.0, -2.0] }, { "values": [0, 0.5] }] });
    let (answer, usage) = translated(reading, &answer).expect("an answer");
    assert_eq!(answer["data"][0]["embedding"], "AACAPwAAAMA=");
    assert_eq!(answer["data"][1]["index"], 1);
    assert_eq!((answer.get("usage"), usage), (None, Usage::default()), "unknown is not 0");
}

#[test]
fn a_models_name_cannot_lead_elsewhere() {
    let settings = ModelSettings::default();
    let given = body(&json!({ "input": "a" }));
    for model in ["../x", "a:generateContent", "a?key=1", "a/b"] {
        let asked = Asked { kind: DirectKind::Embeddings, body: &given, model, stream: false, settings: &settings };
        let failure = outgoing("gemini", &asked).err().expect(model);
        assert_eq!(failure.code.as_deref(), Some("model_not_found"), "{model}");
    }
}

#[test]
fn wrong_requests_name_their_field() {
    for (given, param) in [
        (json!({}), "input"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": [1, 2] }), "input"),
        (json!({ "input": [[1]] }), "input"),
        (json!({ "input": { "a": 1 } }), "input"),
        (json!({ "input": "a", "dimensions": 0 }), "dimensions"),
        (json!({ "input": "a", "dimensions": "x" }), "dimensions"),
        (json!({ "input": "a", "encoding_format": "hex" }), "encoding_format"),
    ] {
        for format in ["ollama", "gemini"] {
            let failure = write(format, DirectKind::Embeddings, &body(&given), &json!({})).err().expect("refused");
            assert_eq!(failure.param.as_deref(), Some(param), "{given}");
        }
    }
}

#[test]
fn odd_answers_are_failures() {
    for answer in [json!({ "embeddings": [["x"]] }), json!([1]), json!({ "embeddings": 5 })] {
        let (_, _, reading) = written("ollama", DirectKind::Embeddings, &json!({ "input": "a" }), &json!({}));
        assert_eq!(translated(reading, &answer).expect_err("odd").class, FailureClass::Truncated, "{answer}");
    }
    let (_, _, reading) = written("gemini", DirectKind::Embeddings, &json!({ "input": "a" }), &json!({}));
    let told = translated(reading, &json!({ "error": { "code": 429, "message": "slow down" } })).expect_err("told");
    assert_eq!(told.class, FailureClass::RateLimit);
}

#[test]
fn anthropics_own_messages_are_completed_only() {
    let given = json!({ "model": "x", "messages": [], "thinking": { "type": "enabled" }, "stream": false });
    let (path, value, reading) = written("anthropic", DirectKind::Messages, &given, &json!({ "service_tier": "auto" }));
    assert_eq!(path, "/v1/messages");
    assert!(matches!(reading, Reading::Chat));
    assert_eq!(
        value,
        json!({
            "model": "m-1", "stream": true, "messages": [], "thinking": { "type": "enabled" }, "max_tokens": 99,
            "service_tier": "auto",
        })
    );
    let (_, value, _) = written("anthropic", DirectKind::Messages, &json!({ "max_tokens": 5 }), &json!({}));
    assert_eq!((&value["max_tokens"], &value["temperature"]), (&json!(5), &json!(0.5)));
    let (path, value, reading) = written("anthropic", DirectKind::CountTokens, &json!({ "messages": [] }), &json!({}));
    assert_eq!((path.as_str(), value), ("/v1/messages/count_tokens", json!({ "model": "m-1", "messages": [] })));
    assert!(matches!(reading, Reading::Through));
}

#[test]
fn a_configured_member_that_a_model_refused_is_left_out_and_a_callers_own_is_not() {
    let options = json!({ "top_p": 0.9, "thinking": { "type": "adaptive" }, "service_tier": "auto" });
    let sent = |given: &Value, settings: ModelSettings| {
        let (body, options) = (body(given), options.as_object().cloned().unwrap_or_default());
        let settings = ModelSettings { temperature: Some(0.5), options, ..settings };
        let asked = Asked { kind: DirectKind::Messages, body: &body, model: "m-1", stream: false, settings: &settings };
        let outgoing = outgoing("anthropic", &asked).expect("can be written").expect("is known");
        let value: Value = serde_json::from_slice(&outgoing.body.concat()).expect("JSON");
        ["temperature", "top_p", "thinking", "service_tier"].map(|name| value[name].clone())
    };
    let none = ModelSettings::default;
    let (thinking, tier, nothing) = (options["thinking"].clone(), json!("auto"), Value::Null);
    let own = json!({ "temperature": 0.1, "top_p": 0.2, "thinking": { "type": "enabled" } });
    let all = [json!(0.5), json!(0.9), thinking.clone(), tier.clone()];
    assert_eq!(sent(&json!({}), none()), all);
    for (settings, expected) in [
        (
            ModelSettings { no_temperature: true, ..none() },
            [nothing.clone(), json!(0.9), thinking.clone(), tier.clone()],
        ),
        (ModelSettings { no_top_p: true, ..none() }, [json!(0.5), nothing.clone(), thinking.clone(), tier.clone()]),
        (ModelSettings { one_of_sampling: true, ..none() }, [json!(0.5), nothing.clone(), thinking, tier.clone()]),
        (ModelSettings { thinking: Some(false), ..none() }, [json!(0.5), json!(0.9), nothing, tier.clone()]),
    ] {
        assert_eq!(sent(&json!({}), settings.clone()), expected);
        let told = [json!(0.1), json!(0.2), json!({ "type": "enabled" }), tier.clone()];
        assert_eq!(sent(&own, settings), told);
    }
}

#[test]
fn what_a_format_has_no_words_for_is_not_sent() {
    let given = body(&json!({ "input": "a" }));
    for (format, kind) in [
        ("anthropic", DirectKind::Embeddings),
        ("ollama", DirectKind::Speech),
        ("gemini", DirectKind::Transcription),
        ("openai", DirectKind::Messages),
        ("openai", DirectKind::CountTokens),
    ] {
        assert!(write(format, kind, &given, &json!({})).expect("no failure").is_none(), "{format} {kind:?}");
    }
}

#[test]
fn only_what_may_be_what_was_asked_for_goes_on_as_it_comes() {
    use DirectKind::{CountTokens, Embeddings, Speech, Transcription};
    for (kind, content_type, expected) in [
        (Embeddings, "application/json", false),
        (Embeddings, "text/html; charset=utf-8", false),
        (Embeddings, "text/plain", false),
        (Embeddings, "application/octet-stream", false),
        (CountTokens, "text/plain", false),
        (Speech, "audio/mpeg", true),
        (Speech, "application/octet-stream", true),
        (Speech, "Text/Event-Stream; charset=utf-8", true),
        (Speech, "text/plain", false),
        (Speech, " Text/HTML;charset=utf-8", false),
        (Speech, "application/problem+json", false),
        (Transcription, "text/plain; charset=utf-8", true),
        (Transcription, "text/vtt", true),
        (Transcription, "text/html", true),
        (Transcription, "application/json", false),
    ] {
        assert_eq!(passes(kind, content_type), expected, "{kind:?} {content_type}");
    }
}

#[test]
fn passed_on_json_is_looked_at() {
    let usage = |text: &str| look(DirectKind::Transcription, text.as_bytes());
    let told = usage(r#"{"text":"hi","usage":{"type":"tokens","input_tokens":3,"output_tokens":2}}"#).expect("good");
    assert_eq!((told.input, told.output), (Some(3), Some(2)));
    assert_eq!(usage("\"hi\"").expect("good"), Usage::default());
    assert_eq!(usage(r#"{"error":null}"#).expect("good"), Usage::default());
    assert_eq!(usage(r#"{"error":{"message":"no","code":429}}"#).expect_err("told").class, FailureClass::RateLimit);
    assert_eq!(usage("{").expect_err("cut").class, FailureClass::Truncated);
}

#[test]
fn an_answer_that_is_not_what_was_asked_for_is_a_failure_and_is_not_told() {
    use DirectKind::{CountTokens, Embeddings, Speech, Transcription};
    let refused = |kind, text: &str| {
        let failure = look(kind, text.as_bytes()).expect_err(text);
        assert!(!failure.message.contains("garbage"), "{failure}");
        failure
    };
    for kind in [Embeddings, Speech, CountTokens, Transcription] {
        let page = refused(kind, "\n<html>garbage</html>");
        assert_eq!(page.class, FailureClass::Truncated, "{kind:?}");
        assert!(page.message.ends_with("check base_url"), "{page}");
        assert_eq!(refused(kind, "garbage").class, FailureClass::Truncated, "{kind:?}");
        let error = r#"{"error":{"message":"out of memory","code":500}}"#;
        assert_eq!(refused(kind, error).class, FailureClass::ServerError, "{kind:?}");
        let error = r#"{"object":"error","message":"slow down","code":429}"#;
        assert_eq!(refused(kind, error).class, FailureClass::RateLimit, "{kind:?}");
    }
    for kind in [Embeddings, Speech, CountTokens] {
        for text in [r#"{"garbage":1}"#, "[1]", "\"garbage\"", r#"{"data":5}"#, "null", "{}"] {
            assert_eq!(refused(kind, text).class, FailureClass::Truncated, "{kind:?} {text}");
        }
    }
    assert_eq!(refused(Speech, r#"{"data":[]}"#).class, FailureClass::Truncated);
    assert!(look(CountTokens, br#"{"input_tokens":42}"#).is_ok());
    for format in ["ollama", "gemini"] {
        let (_, _, reading) = written(format, Embeddings, &json!({ "input": "a" }), &json!({}));
        assert_eq!(translated(reading, &json!({ "garbage": 1 })).expect_err("odd").class, FailureClass::Truncated);
    }
}

#[test]
fn embeddings_cost_what_was_read() {
    let price =
        crate::config::Price { input: 0.02, output: 5.0, cached_input: None, cache_write: None, reasoning: None };
    let answer = br#"{"object":"list","data":[],"usage":{"prompt_tokens":1000,"total_tokens":1000}}"#;
    let usage = look(DirectKind::Embeddings, answer).expect("good");
    assert_eq!((usage.input, usage.output), (Some(1000), Some(0)));
    assert_eq!(crate::price::cost_nanos(&price, &usage), Some(20_000));
    let (_, _, reading) = written("ollama", DirectKind::Embeddings, &json!({ "input": "a" }), &json!({}));
    let answer = json!({ "embeddings": [[0.5]], "prompt_eval_count": 1000 });
    let (_, usage) = translated(reading, &answer).expect("an answer");
    assert_eq!(crate::price::cost_nanos(&price, &usage), Some(20_000));
    let unknown = look(DirectKind::Embeddings, br#"{"data":[]}"#).expect("good");
    assert_eq!((unknown, crate::price::cost_nanos(&price, &unknown)), (Usage::default(), None), "unknown is not 0");
    let other = look(DirectKind::Transcription, br#"{"usage":{"input_tokens":1000}}"#).expect("good");
    assert_eq!(crate::price::cost_nanos(&price, &other), None, "what was written is not known");
}

#[test]
fn a_server_that_has_no_such_path_says_so_with_a_good_status() {
    let look = |body: &[u8]| look(DirectKind::Speech, body);
    let told = look(br#"{"error":"Unexpected endpoint or method. (POST /v1/audio/speech)"}"#).expect_err("no answer");
    assert_eq!((told.class, told.code.as_deref()), (FailureClass::InvalidRequest, Some(NO_SUCH_PATH)));
    let other = look(br#"{"error":"out of memory"}"#).expect_err("no answer");
    assert_eq!((other.class, other.code.as_deref()), (FailureClass::ServerError, None));
}

#[test]
fn more_texts_than_gemini_takes_at_once_become_several_requests_and_one_answer() {
    let settings = ModelSettings::default();
    let split = |format: &str, count: usize| {
        let texts: Vec<String> = (0..count).map(|text| text.to_string()).collect();
        let given = body(&json!({ "input": texts, "model": "g/m-1", "dimensions": 2 }));
        let asked =
            Asked { kind: DirectKind::Embeddings, body: &given, model: "m-1", stream: false, settings: &settings };
        let parts = parts(format, &asked).expect("read");
        let read = |part: &DirectBody| match part {
            DirectBody::Json(bytes) => serde_json::from_slice::<Value>(bytes).expect("JSON"),
            DirectBody::Form { .. } => panic!("JSON"),
        };
        parts.iter().map(read).collect::<Vec<_>>()
    };
    assert_eq!((split("gemini", 100).len(), split("ollama", 300).len()), (0, 0));
    let three = split("gemini", 201);
    let sizes: Vec<usize> = three.iter().filter_map(|part| part["input"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [100, 100, 1]);
    assert_eq!((&three[2]["input"], &three[2]["dimensions"]), (&json!(["200"]), &json!(2)));

    let answer = |vectors: &[f64], tokens: Option<u64>| -> Bytes {
        let data: Vec<Value> = vectors
            .iter()
            .enumerate()
            .map(|(index, x)| json!({ "object": "embedding", "index": index, "embedding": [x] }))
            .collect();
        let mut answer = json!({ "object": "list", "data": data, "model": "m-1" });
        if let Some(tokens) = tokens {
            answer["usage"] = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        }
        answer.to_string().into()
    };
    let joined = |answers: &[Bytes]| serde_json::from_slice::<Value>(&join(answers).expect("joins")).expect("JSON");
    let told = joined(&[answer(&[0.5, 1.5], Some(3)), answer(&[2.5], Some(4))]);
    let one = |index: usize, x: f64| json!({ "object": "embedding", "index": index, "embedding": [x] });
    assert_eq!(told["data"], json!([one(0, 0.5), one(1, 1.5), one(2, 2.5)]));
    assert_eq!((&told["model"], &told["usage"]), (&json!("m-1"), &json!({ "prompt_tokens": 7, "total_tokens": 7 })));
    assert_eq!(joined(&[answer(&[1.0], Some(3)), answer(&[2.0], None)]).get("usage"), None, "a part is not the whole");
    assert!(join(&[Bytes::from_static(b"{}")]).is_err());
}
