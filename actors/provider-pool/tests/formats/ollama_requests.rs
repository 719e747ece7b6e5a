//! Requests for Ollama: the size of the context, pictures, tools, and what cannot be expressed.

use bytes::Bytes;
use contract::failure::Failure;
use contract::provider::CallBody;
use provider_pool::formats::{self, Encode, ModelSettings};
use serde_json::{Value, json};

fn encode(request: &Value, model: &str, settings: &ModelSettings) -> Result<(Value, Vec<String>), Failure> {
    let mut request = request.clone();
    request["model"] = json!("p/m");
    let body = CallBody::Raw(Bytes::from(request.to_string()));
    let format = formats::by_kind("ollama").expect("the format");
    let encoded = format.encode(&Encode { body: &body, model, stream: true, settings })?;
    Ok((serde_json::from_slice(&encoded.body).expect("JSON"), encoded.notices))
}

fn asking(content: Value, members: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": content}]});
    for (name, value) in members.as_object().expect("members") {
        request[name] = value.clone();
    }
    request
}

fn written(request: &Value) -> Value {
    encode(request, "m", &ModelSettings::default()).expect("can be expressed").0
}

#[test]
fn the_context_fits_the_prompt_in_few_steps() {
    let size = |request: &Value, settings: &ModelSettings| {
        let (written, notices) = encode(request, "m", settings).expect("encodes");
        (written["options"]["num_ctx"].as_u64().expect("a size"), notices.len())
    };
    let long = |bytes: usize| asking(json!("x".repeat(bytes)), json!({}));
    let unknown = ModelSettings::default();
    let known = ModelSettings { context_tokens: Some(40_960), ..ModelSettings::default() };
    for (request, settings, expected) in [
        (long(10), &unknown, (4096, 0)),
        (long(6000), &unknown, (4096, 0)),
        (long(6200), &unknown, (8192, 0)),
        (long(60_000), &unknown, (32_768, 0)),
        (long(60_000), &known, (32_768, 0)),
        (long(100_000), &known, (40_960, 0)),
        (long(130_000), &known, (40_960, 1)),
        (long(4_000_000), &unknown, (131_072, 1)),
        (asking(json!("x"), json!({"max_tokens": 10_000})), &unknown, (16_384, 0)),
    ] {
        assert_eq!(size(&request, settings), expected);
    }
    let picture =
        json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(500_000))}});
    assert_eq!(size(&asking(json!([picture, picture, picture]), json!({})), &unknown), (8192, 0), "pictures by number");
    let tool = json!({"type": "function", "function": {"name": "f", "description": "d".repeat(20_000)}});
    assert_eq!(size(&asking(json!("x"), json!({"tools": [tool]})), &unknown), (16_384, 0), "tools count too");
    let fixed = ModelSettings {
        options: json!({"num_ctx": 5000}).as_object().cloned().unwrap_or_default(),
        ..ModelSettings::default()
    };
    assert_eq!(size(&long(4_000_000), &fixed), (5000, 0), "a configured size wins");
}

#[test]
fn a_loaded_model_is_never_asked_for_less_than_it_has() {
    let size = |bytes: usize, settings: &ModelSettings| {
        let (written, _) = encode(&asking(json!("x".repeat(bytes)), json!({})), "m", settings).expect("encodes");
        written["options"]["num_ctx"].as_u64().expect("a size")
    };
    let loaded =
        |context_loaded, context_tokens| ModelSettings { context_loaded, context_tokens, ..ModelSettings::default() };
    for (bytes, settings, expected) in [
        (10, loaded(16_384, None), 16_384),
        (10, loaded(10_000, None), 10_000),
        (60_000, loaded(16_384, None), 32_768),
        (10, loaded(262_144, None), 262_144),
        (10, loaded(16_384, Some(8192)), 8192),
    ] {
        assert_eq!(size(bytes, &settings), expected, "{bytes} {settings:?}");
    }
    let fixed = json!({"num_ctx": 5000}).as_object().cloned().unwrap_or_default();
    assert_eq!(size(10, &ModelSettings { options: fixed, ..loaded(16_384, None) }), 5000, "a configured size wins");
}

#[test]
fn parameters_become_options() {
    let settings = ModelSettings {
        max_tokens: Some(9),
        temperature: Some(0.2),
        options: json!({"keep_alive": "1h", "mirostat": 1, "top_p": 0.1, "num_ctx": 1})
            .as_object()
            .cloned()
            .unwrap_or_default(),
        ..ModelSettings::default()
    };
    let members = json!({"top_p": 0.5, "stop": "x", "seed": 3, "min_p": 0.1, "user": "u", "logprobs": true});
    let (told, _) = encode(&asking(json!("q"), members), "m", &settings).expect("encodes");
    assert_eq!(
        told["options"],
        json!({"temperature": 0.2, "top_p": 0.5, "stop": ["x"], "num_predict": 9, "seed": 3, "min_p": 0.1, "mirostat": 1, "num_ctx": 1})
    );
    let names: Vec<&String> = told.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["keep_alive", "messages", "model", "options", "stream"]);
    assert_eq!((&told["keep_alive"], &told["model"]), (&json!("1h"), &json!("m")));
}

#[test]
fn messages_take_ollamas_form() {
    let request = json!({"messages": [
        {"role": "developer", "content": "s"},
        {"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1.0}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "tool", "tool_call_id": "c9", "name": "h", "content": "3"}]});
    assert_eq!(
        written(&request)["messages"],
        json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a\nb", "images": ["AAAA"]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"a": 1.0}}},
                {"id": "c2", "function": {"name": "g", "arguments": {}}}]},
            {"role": "tool", "content": "2", "tool_name": "g", "tool_call_id": "c2"},
            {"role": "tool", "content": "3", "tool_name": "h", "tool_call_id": "c9"},
        ])
    );
}

#[test]
fn tools_are_offered_to_models_that_take_them() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let offered = json!([{"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}}]);
    let with = |choice: Value, takes: Option<bool>| {
        let settings = ModelSettings { tools: takes, ..ModelSettings::default() };
        let request = asking(json!("q"), json!({"tools": tools, "tool_choice": choice}));
        let (told, notices) = encode(&request, "gemma:2b", &settings).expect("encodes");
        (told.get("tools").cloned(), notices)
    };
    assert_eq!(with(Value::Null, None), (Some(offered.clone()), vec![]));
    assert_eq!(with(json!("auto"), Some(true)), (Some(offered), vec![]));
    assert_eq!(with(json!("none"), None), (None, vec![]));
    assert_eq!(with(json!("required"), None).1.len(), 1);
    let notice = "the model gemma:2b takes no tools; answered without them".to_owned();
    assert_eq!(with(Value::Null, Some(false)), (None, vec![notice]));
}

#[test]
fn functions_of_the_first_form_are_tools() {
    let request = json!({"functions": [{"name": "f"}], "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"}]});
    let (told, notices) = encode(&request, "m", &ModelSettings::default()).expect("encodes");
    assert_eq!(told["tools"][0]["function"]["name"], "f");
    let call = json!([{"id": "function_call_1", "function": {"name": "f", "arguments": {}}}]);
    assert_eq!(told["messages"][1]["tool_calls"], call);
    let result = json!({"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "function_call_1"});
    assert_eq!((&told["messages"][2], notices.len()), (&result, 1));
}

#[test]
fn thinking_and_form() {
    let think = |effort: &str, model: &str| {
        let request = asking(json!("q"), json!({"reasoning_effort": effort}));
        encode(&request, model, &ModelSettings::default()).expect("encodes").0["think"].clone()
    };
    assert_eq!((think("low", "qwen3:8b"), think("none", "qwen3:8b")), (json!(true), json!(false)));
    assert_eq!((think("minimal", "gpt-oss:20b"), think("xhigh", "gpt-oss:20b")), (json!("low"), json!("high")));
    assert_eq!(written(&asking(json!("q"), json!({}))).get("think"), None);
    let cannot = ModelSettings {
        thinking: Some(false),
        options: json!({"think": true}).as_object().cloned().unwrap_or_default(),
        ..ModelSettings::default()
    };
    for (effort, expected) in [("high", &["the model m answered without thinking: it cannot"][..]), ("none", &[])] {
        let (told, notices) =
            encode(&asking(json!("q"), json!({"reasoning_effort": effort})), "m", &cannot).expect("encodes");
        assert_eq!((told.get("think"), notices), (None, expected.iter().map(|told| (*told).to_owned()).collect()));
    }
    let form = |format: Value| written(&asking(json!("q"), json!({"response_format": format}))).get("format").cloned();
    assert_eq!(form(json!({"type": "json_object"})), Some(json!("json")));
    assert_eq!(form(json!({"type": "json_schema", "json_schema": {"schema": {"a": 1}}})), Some(json!({"a": 1})));
    assert_eq!(form(json!({"type": "text"})), None);
}

#[test]
fn what_cannot_be_sent_names_its_field() {
    let link = json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]);
    for (request, param) in [
        (asking(link, json!({})), "messages[0].content"),
        (asking(json!([{"type": "file", "file": {}}]), json!({})), "messages[0].content"),
        (asking(json!("q"), json!({"n": 3})), "n"),
        (asking(json!("q"), json!({"reasoning_effort": "very"})), "reasoning_effort"),
    ] {
        let failure = encode(&request, "m", &ModelSettings::default()).expect_err("refused");
        assert_eq!(failure.param.as_deref(), Some(param), "{failure}");
    }
    let link = asking(json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]), json!({}));
    let failure = encode(&link, "m", &ModelSettings::default()).expect_err("refused");
    assert!(failure.message.contains("data URL"), "{failure}");
}
