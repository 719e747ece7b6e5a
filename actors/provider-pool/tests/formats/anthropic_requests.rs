//! Requests for Anthropic: order of blocks, what the API refuses, thinking, and what cannot be expressed.

use bytes::Bytes;
use contract::chat::{ChatRequest, Message, OpaquePart, Role, ToolCall};
use contract::failure::Failure;
use contract::provider::CallBody;
use provider_pool::formats::{self, Encode, ModelSettings};
use serde_json::{Value, json};
use std::rc::Rc;

const OLDER: &str = "claude-haiku-4-5";
const NEWER: &str = "claude-opus-4-6";

fn encode(body: &CallBody, model: &str, settings: &ModelSettings) -> Result<(Value, Vec<String>), Failure> {
    let format = formats::by_kind("anthropic").expect("the format");
    let encoded = format.encode(&Encode { body, model, stream: true, settings })?;
    Ok((serde_json::from_slice(&encoded.body).expect("JSON"), encoded.notices))
}

fn raw(request: &Value) -> CallBody {
    let mut request = request.clone();
    request["model"] = json!("p/m");
    CallBody::Raw(Bytes::from(request.to_string()))
}

fn written(request: &Value, model: &str) -> (Value, Vec<String>) {
    encode(&raw(request), model, &ModelSettings::default()).expect("can be expressed")
}

/// A request of one question with these further members.
fn asking(members: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().expect("members") {
        request[name] = value.clone();
    }
    request
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

#[test]
fn sampling_that_a_model_refused_is_left_out() {
    let request = raw(&asking(json!({"temperature": 0.7, "top_p": 0.5})));
    let none = raw(&asking(json!({})));
    let one = ModelSettings { one_of_sampling: true, ..ModelSettings::default() };
    let (told, notices) = encode(&request, OLDER, &one).expect("encodes");
    assert_eq!((&told["temperature"], told.get("top_p"), notices.len()), (&json!(0.7), None, 1));
    let neither = ModelSettings {
        no_temperature: true,
        no_top_p: true,
        temperature: Some(0.2),
        options: json!({"temperature": 0.1}).as_object().cloned().unwrap_or_default(),
        ..ModelSettings::default()
    };
    for (body, expected) in [(&request, 2), (&none, 0)] {
        let (told, notices) = encode(body, OLDER, &neither).expect("encodes");
        assert_eq!((told.get("temperature"), told.get("top_p"), notices.len()), (None, None, expected));
    }
}

#[test]
fn ids_of_other_apis_are_written_as_this_one_takes_them() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "r"});
    let ids = ["functions.get:0", "functions.get.0", "toolu_01-A", ""];
    let request = json!({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "tool_calls": ids.map(call)},
        result(ids[0]), result(ids[1]), result(ids[2]), result(ids[3])]});
    let (told, _) = written(&request, OLDER);
    let read = |message: usize, member: &str| -> Vec<String> {
        let blocks = told["messages"][message]["content"].as_array().expect("blocks");
        blocks.iter().map(|block| block[member].as_str().expect("an id").to_owned()).collect()
    };
    let (calls, results) = (read(1, "id"), read(2, "tool_use_id"));
    assert_eq!((&calls, calls[2].as_str()), (&results, "toolu_01-A"));
    let odd = |id: &String| id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    assert!(!calls.iter().any(odd), "{calls:?}");
    assert_ne!(calls[0], calls[1], "no two become one");
}

#[test]
fn a_conversation_takes_the_apis_form() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
    let request = json!({"messages": [
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "two"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": "go on"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "  "},
        {"role": "assistant", "content": "so "}]});
    let (written, notices) = written(&request, OLDER);
    assert_eq!(written["system"], "be brief\n\nbe kind");
    assert_eq!(
        written["messages"],
        json!([
            {"role": "user", "content": [text("(The conversation begins with the assistant.)")]},
            {"role": "assistant", "content": [text("hello")]},
            {"role": "user", "content": [text("one"), text("two"), {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("1")]},
                {"type": "tool_result", "tool_use_id": "b"},
                text("go on")]},
            {"role": "assistant", "content": [text("so")]},
        ])
    );
    assert_eq!((&written["max_tokens"], &written["stream"], notices.len()), (&json!(8192), &json!(true), 0));
}

#[test]
fn proof_of_thinking_goes_back_byte_for_byte_before_the_call() {
    let part =
        |format, json: &'static str| OpaquePart { format, json: Bytes::from_static(json.as_bytes()), call: None };
    let thinking = r#"{"type":"thinking","thinking":"h\u00e9","signature":"s/+="}"#;
    let redacted = r#"{"data":"x","type":"redacted_thinking"}"#;
    let mut assistant = Message::text(Role::Assistant, "let me see");
    assistant.tool_calls = vec![ToolCall::new("a", "f", "")];
    assistant.opaque = vec![part("anthropic", thinking), part("openai", "{}"), part("anthropic", redacted)];
    let messages = vec![Message::text(Role::User, "q"), assistant, Message::tool_result("a", "f", "r")];
    let request = ChatRequest {
        messages,
        reasoning_effort: Some(contract::chat::Effort("low".into())),
        ..ChatRequest::default()
    };
    let body = CallBody::Request(Rc::new(request));
    let format = formats::by_kind("anthropic").expect("the format");
    let settings = ModelSettings::default();
    let encoded =
        format.encode(&Encode { body: &body, model: OLDER, stream: false, settings: &settings }).expect("encodes");
    let written = std::str::from_utf8(&encoded.body).expect("text");
    let blocks = format!(
        r#"[{thinking},{redacted},{{"type":"text","text":"let me see"}},{{"type":"tool_use","id":"a","name":"f","input":{{}}}}]"#
    );
    assert!(written.contains(&blocks), "{written}");
    assert!(written.contains(r#""thinking":{"budget_tokens":2048,"type":"enabled"}"#), "{written}");
}

#[test]
fn sampling_and_limits_are_brought_into_range() {
    let settings = ModelSettings {
        max_tokens: Some(99),
        temperature: Some(0.3),
        options: json!({"service_tier": "auto", "temperature": 7, "top_k": 4}).as_object().cloned().unwrap_or_default(),
        ..ModelSettings::default()
    };
    let with = |members: Value| encode(&raw(&asking(members)), OLDER, &settings).expect("encodes").0;
    let told = with(json!({"max_tokens": 5, "temperature": 1.7, "top_p": 0.5, "stop": ["x", " "]}));
    assert_eq!((&told["max_tokens"], &told["temperature"], &told["top_p"]), (&json!(5), &json!(1.0), &json!(0.5)));
    assert_eq!(
        (&told["stop_sequences"], &told["service_tier"], &told["top_k"]),
        (&json!(["x"]), &json!("auto"), &json!(4))
    );
    let untold = with(json!({}));
    assert_eq!((&untold["max_tokens"], &untold["temperature"]), (&json!(99), &json!(0.3)));
    assert_eq!(untold.get("stop_sequences"), None);
}

#[test]
fn tools_and_their_choice() {
    let tools = json!([{"type": "function", "function": {"name": "f", "description": ""}}]);
    for (choice, parallel, expected) in [
        (Value::Null, Value::Null, None),
        (json!("auto"), Value::Null, Some(json!({"type": "auto"}))),
        (json!("none"), json!(false), Some(json!({"type": "none"}))),
        (json!("required"), Value::Null, Some(json!({"type": "any"}))),
        (
            json!({"type": "function", "function": {"name": "f"}}),
            json!(false),
            Some(json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true})),
        ),
        (Value::Null, json!(false), Some(json!({"type": "auto", "disable_parallel_tool_use": true}))),
        (Value::Null, json!(true), None),
    ] {
        let request = asking(json!({"tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel}));
        let (written, _) = written(&request, OLDER);
        assert_eq!(written["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
        assert_eq!(written.get("tool_choice"), expected.as_ref(), "{choice} {parallel}");
    }
    let bare = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let (told, _) = written(&asking(json!({"tools": bare})), OLDER);
    assert_eq!(told["tools"], json!([{"name": "f", "input_schema": {"type": "object"}}]), "the API requires a type");
    let (written, _) = written(&asking(json!({"tools": [], "tool_choice": "auto"})), OLDER);
    assert_eq!((written.get("tools"), written.get("tool_choice")), (None, None));
    let settings = ModelSettings { tools: Some(false), ..ModelSettings::default() };
    let (written, notices) = encode(&raw(&asking(json!({"tools": tools}))), OLDER, &settings).expect("encodes");
    assert_eq!((written.get("tools"), notices.len()), (None, 1));
}

#[test]
fn the_form_of_the_answer() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let schema = json!({"type": "object", "additionalProperties": false,
        "properties": {"a": {"type": "array", "items": {"type": "object", "additionalProperties": false}}}});
    let (told, _) = written(&asking(json!({"response_format": format, "reasoning_effort": "high"})), NEWER);
    assert_eq!(told["output_config"], json!({"format": {"type": "json_schema", "schema": schema}, "effort": "high"}));
    let (told, _) = written(&asking(json!({"response_format": {"type": "json_object"}})), OLDER);
    assert_eq!(told["system"], "Answer with one JSON object and nothing else.");
    let (told, _) = written(&asking(json!({"response_format": {"type": "text"}})), OLDER);
    assert_eq!((told.get("system"), told.get("output_config")), (None, None));
}

#[test]
fn thinking_is_asked_for_in_the_models_way() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let adaptive = Some(json!({"type": "adaptive"}));
    let budget = |tokens: u64| Some(json!({"type": "enabled", "budget_tokens": tokens}));
    for (model, members, thinking, limit, noticed) in [
        (NEWER, json!({"reasoning_effort": "medium", "temperature": 0.5}), adaptive.clone(), 8192, false),
        (NEWER, json!({"reasoning_effort": "none"}), None, 8192, false),
        (NEWER, json!({}), None, 8192, false),
        (OLDER, json!({"reasoning_effort": "minimal"}), budget(1024), 8192 + 1024, false),
        (OLDER, json!({"reasoning_effort": "xhigh"}), budget(16_384), 8192 + 16_384, false),
        (OLDER, json!({"reasoning_effort": "high", "max_tokens": 4096}), budget(2048), 4096, false),
        (OLDER, json!({"reasoning_effort": "high", "max_tokens": 1500}), budget(1024), 1500, false),
        (OLDER, json!({"reasoning_effort": "high", "max_tokens": 1024}), None, 1024, true),
        ("claude-3-haiku-20240307", json!({"reasoning_effort": "low"}), None, 8192, true),
        (NEWER, json!({"reasoning_effort": "low", "tools": tools, "tool_choice": "required"}), None, 8192, true),
    ] {
        let (written, notices) = written(&asking(members.clone()), model);
        assert_eq!(written.get("thinking"), thinking.as_ref(), "{model} {members}");
        assert_eq!((&written["max_tokens"], notices.is_empty()), (&json!(limit), !noticed), "{model} {members}");
        assert!(written.get("temperature").is_none() || thinking.is_none(), "{model} {members}");
    }
    // The client's own tool round: OpenAI's form has no place for the proof, and the API refuses to think on without it.
    let mut request = asking(json!({"reasoning_effort": "low"}));
    request["messages"] = json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": "r"}]);
    let (told, notices) = written(&request, NEWER);
    assert_eq!((told.get("thinking"), notices.len()), (None, 1));
}

#[test]
fn a_pdf_becomes_a_document() {
    let source = json!({"type": "base64", "media_type": "application/pdf", "data": "AA/="});
    // PHP escapes the slash.
    for slash in ["/", "\\/"] {
        let file = format!(r#"{{"filename":"x.pdf","file_data":"data:application{slash}pdf;base64,AA{slash}="}}"#);
        let content = format!(r#"[{{"type":"file","file":{file}}},{{"type":"text","text":"read"}}]"#);
        let body = format!(r#"{{"model":"p/m","messages":[{{"role":"user","content":{content}}}]}}"#);
        let settings = ModelSettings::default();
        let (told, _) = encode(&CallBody::Raw(Bytes::from(body)), OLDER, &settings).expect("encodes");
        let document = json!({"type": "document", "source": source, "title": "x.pdf"});
        assert_eq!(told["messages"][0]["content"], json!([document, text("read")]), "{slash}");
    }
    let nameless = json!([{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA/="}}]);
    let (told, _) = written(&json!({"messages": [{"role": "user", "content": nameless}]}), OLDER);
    assert_eq!(told["messages"][0]["content"], json!([{"type": "document", "source": source}]));
}

#[test]
fn functions_of_the_first_form_are_tools() {
    let request = json!({"functions": [{"name": "f"}], "function_call": {"name": "f"}, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"}]});
    let (told, notices) = written(&request, OLDER);
    assert_eq!(told["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(told["tool_choice"], json!({"type": "tool", "name": "f"}));
    let used = json!({"type": "tool_use", "id": "function_call_1", "name": "f", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "function_call_1", "content": [text("r")]});
    assert_eq!((&told["messages"][1]["content"], &told["messages"][2]["content"]), (&json!([used]), &json!([result])));
    assert!(notices.len() == 1 && notices[0].contains("tool_calls"), "{notices:?}");
}

#[test]
fn what_cannot_be_sent_names_its_field() {
    let at_second = |content: Value| json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": content}]});
    for (request, param) in [
        (at_second(json!([{"type": "input_audio", "input_audio": {}}])), "messages[1].content"),
        (at_second(json!([{"type": "file", "file": {"file_id": "f"}}])), "messages[1].content"),
        (
            at_second(json!([{"type": "file", "file": {"file_data": "data:text/plain;base64,AA=="}}])),
            "messages[1].content",
        ),
        (at_second(json!([{"type": "file"}])), "messages[1].content"),
        (at_second(json!([{"type": "image_url", "image_url": {"url": "file:///x"}}])), "messages[1].content"),
        (at_second(json!("")), "messages"),
        (asking(json!({"messages": [{"role": "function", "name": "f", "content": "r"}]})), "messages[0]"),
        (asking(json!({"reasoning_effort": "banana"})), "reasoning_effort"),
        (asking(json!({"n": 2})), "n"),
        (asking(json!({"temperature": "hot"})), "temperature"),
    ] {
        let failure = encode(&raw(&request), OLDER, &ModelSettings::default()).expect_err("refused");
        assert_eq!(failure.param.as_deref(), Some(param), "{failure}");
    }
}

#[test]
fn the_key_goes_into_its_own_header() {
    let format = formats::by_kind("anthropic").expect("the format");
    let key = contract::secret::Secret::new("k");
    let told = |key| -> Vec<(&str, String)> {
        format.headers(key).iter().map(|(name, value)| (*name, value.expose().to_owned())).collect()
    };
    let version = ("anthropic-version", "2023-06-01".to_owned());
    assert_eq!(told(Some(&key)), [("x-api-key", "k".to_owned()), version.clone()]);
    assert_eq!(told(None), [version]);
}

#[test]
fn prompts_are_marked_for_the_cache_where_it_pays() {
    let caching = ModelSettings { prompt_caching: true, ..ModelSettings::default() };
    let mark = json!({"type": "ephemeral"});
    let marks = |written: &Value| -> [Option<Value>; 3] {
        let last = |list: &Value| list.as_array().and_then(|list| list.last().cloned()).unwrap_or(Value::Null);
        let results = last(&last(&written["messages"])["content"]);
        [last(&written["tools"]), last(&written["system"]), results].map(|block| block.get("cache_control").cloned())
    };
    let tool = |bytes: usize| {
        json!([
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "f", "description": "d".repeat(bytes)}}])
    };
    let request = |tools: usize, system: usize, result: usize| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        json!({"tools": tool(tools), "messages": [
            {"role": "system", "content": "s".repeat(system)},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "r".repeat(result)}]})
    };
    let some = Some(mark);
    // claude-sonnet-4-5 keeps 1024 tokens and more, some 4096 bytes.
    for (tools, system, result, wanted) in [
        (10, 10, 10, [None, None, None]),
        (10, 10, 5000, [None, None, some.clone()]),
        (10, 5000, 10, [None, some.clone(), some.clone()]),
        (2500, 2500, 10, [None, some.clone(), some.clone()]),
        (5000, 10, 10, [some.clone(), some.clone(), some.clone()]),
    ] {
        let body = raw(&request(tools, system, result));
        let (written, _) = encode(&body, "claude-sonnet-4-5", &caching).expect("encodes");
        assert_eq!(marks(&written), wanted, "{tools} {system} {result}");
        assert_eq!(written["tools"][0].get("cache_control"), None);
        let (plain, _) = encode(&body, "claude-sonnet-4-5", &ModelSettings::default()).expect("encodes");
        assert_eq!(marks(&plain), [None, None, None], "not asked for");
        assert_eq!(plain["system"], "s".repeat(system));
        // The same prompt gives the same bytes: a mark keeps only what comes again unchanged.
        let (again, _) = encode(&body, "claude-sonnet-4-5", &caching).expect("encodes");
        assert_eq!(again.to_string(), written.to_string());
    }
    let mut ends_with_words = request(10, 10, 5000);
    ends_with_words["messages"].as_array_mut().expect("messages").push(json!({"role": "user", "content": "and?"}));
    let (written, _) = encode(&raw(&ends_with_words), "claude-sonnet-4-5", &caching).expect("encodes");
    assert_eq!(marks(&written), [None, None, None]);
    let own = ModelSettings {
        options: json!({"cache_control": {"type": "ephemeral", "ttl": "1h"}}).as_object().cloned().expect("members"),
        ..caching
    };
    let (written, _) = encode(&raw(&request(5000, 5000, 5000)), "claude-sonnet-4-5", &own).expect("encodes");
    assert_eq!((marks(&written), &written["cache_control"]["ttl"]), ([None, None, None], &json!("1h")));
}
