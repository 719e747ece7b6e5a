//! Requests of Anthropic's clients, and what becomes of them.

use super::*;
use contract::failure::FailureClass;
use serde_json::{Value, json};

fn parse(value: &Value) -> Result<ChatRequest, Failure> {
    let body = value.to_string();
    read(&Fields::read(body.as_bytes())?)
}

fn with(more: &Value) -> Value {
    let mut request = json!({ "model": "p/m", "max_tokens": 100, "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

#[test]
fn a_conversation_in_full() {
    let request = parse(&json!({
        "model": "p/m", "max_tokens": 100, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 4,
        "stop_sequences": ["END"], "metadata": { "user_id": "u" }, "service_tier": "auto",
        "system": [{ "type": "text", "text": "Be brief.", "cache_control": { "type": "ephemeral" } }, { "type": "text", "text": "Be kind." }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "look" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
                { "type": "image", "source": { "type": "url", "url": "https://x/y.png" } },
                { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "words" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "redacted_thinking", "data": "xx" },
                { "type": "text", "text": "let me see" },
                { "type": "tool_use", "id": "t1", "name": "f", "input": { "a": 1.50 } },
            ] },
            { "role": "user", "content": [
                { "type": "text", "text": "go on" },
                { "type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [{ "type": "text", "text": "no" }] },
            ] },
        ],
        "tools": [{ "name": "f", "description": "d", "input_schema": { "type": "object" } }, { "type": "custom", "name": "g" }],
        "tool_choice": { "type": "tool", "name": "f", "disable_parallel_tool_use": true },
        "thinking": { "type": "enabled", "budget_tokens": 10_000 },
    }))
    .expect("reads");
    assert!(request.stream);
    assert_eq!((request.max_tokens, request.temperature, request.top_p), (Some(100), Some(0.5), Some(0.9)));
    assert_eq!(request.stop, ["END"]);
    assert_eq!(request.reasoning_effort, Some(Effort("medium".to_owned())));
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(ToolChoice::Named("f".into())), Some(false)));
    assert_eq!(request.tools[0].parameters.as_ref().map(|schema| schema.get()), Some("{\"type\":\"object\"}"));
    assert_eq!(request.extra.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["top_k"]);
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert_eq!(request.messages[0].plain_text(), "Be brief.\n\nBe kind.");
    let image = |url: &str| Part::Image { url: url.to_owned(), detail: None };
    let parts = [
        Part::Text("look".into()),
        image("data:image/png;base64,AAAA"),
        image("https://x/y.png"),
        Part::Text("words".into()),
    ];
    assert_eq!(request.messages[1].content, Some(Content::Parts(parts.into())));
    let said = &request.messages[2];
    assert_eq!((said.plain_text().as_str(), said.reasoning_content.as_deref()), ("let me see", Some("hm")));
    assert_eq!(said.tool_calls, [ToolCall::new("t1", "f", "{\"a\":1.5}")]);
    let proofs: Vec<Value> = said.opaque.iter().map(|part| serde_json::from_slice(&part.json).expect("JSON")).collect();
    assert_eq!(
        proofs,
        [
            json!({ "type": "thinking", "thinking": "hm", "signature": "s" }),
            json!({ "type": "redacted_thinking", "data": "xx" })
        ]
    );
    let result = &request.messages[3];
    assert_eq!((result.tool_call_id.as_deref(), result.name.as_deref()), (Some("t1"), Some("f")));
    assert_eq!(result.plain_text(), "The tool failed:\nno");
    assert_eq!(request.messages[4].plain_text(), "go on");
}

#[test]
fn proof_goes_back_byte_for_byte() {
    let block = r#"{"type":"thinking", "signature":"s\u002b/=","thinking":"h\u00e9"}"#;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"assistant","content":[{block}]}}]}}"#);
    let request = read(&Fields::read(body.as_bytes()).expect("an object")).expect("reads");
    assert_eq!(request.messages[0].opaque[0].json, block);
}

#[test]
fn thinking_becomes_effort() {
    for (more, effort) in [
        (json!({}), None),
        (json!({ "thinking": { "type": "disabled" } }), Some("none")),
        (json!({ "thinking": { "type": "adaptive" } }), Some("medium")),
        (json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "high" } }), Some("high")),
        (json!({ "output_config": { "effort": "low" } }), Some("low")),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } }), Some("minimal")),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 4000 } }), Some("low")),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 32_000 } }), Some("high")),
    ] {
        let request = parse(&with(&more)).expect("reads");
        assert_eq!(request.reasoning_effort.map(|effort| effort.0).as_deref(), effort, "{more}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let said = |role: &str, block: Value| json!({ "messages": [{ "role": role, "content": [block] }] });
    for (more, param) in [
        (json!({ "model": null }), "model"),
        (json!({ "model": 5 }), "model"),
        (json!({ "messages": null }), "messages"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": {} }), "messages"),
        (json!({ "messages": [{ "role": "king", "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user" }] }), "messages[0]"),
        (json!({ "messages": [{ "role": "user", "content": 5 }] }), "messages[0].content"),
        (said("user", json!({ "text": "x" })), "messages[0].content"),
        (said("user", json!({ "type": "text" })), "messages[0].content[0].text"),
        (said("user", json!({ "type": "image" })), "messages[0].content[0].source"),
        (said("user", json!({ "type": "image", "source": { "type": "file" } })), "messages[0].content[0].source"),
        (said("user", json!({ "type": "search_result" })), "messages[0].content[0].type"),
        (said("user", json!({ "type": "tool_result" })), "messages[0].content[0].tool_use_id"),
        (said("assistant", json!({ "type": "tool_use", "name": "f" })), "messages[0].content[0].id"),
        (said("assistant", json!({ "type": "server_tool_use" })), "messages[0].content[0].type"),
        (json!({ "system": 5 }), "system"),
        (json!({ "system": [{ "type": "image" }] }), "system[0].type"),
        (json!({ "max_tokens": "many" }), "max_tokens"),
        (json!({ "stream": "yes" }), "stream"),
        (json!({ "top_k": 0.5 }), "top_k"),
        (json!({ "stop_sequences": "END" }), "stop_sequences"),
        (json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }), "tools[0].type"),
        (json!({ "tools": [{}] }), "tools[0]"),
        (json!({ "tool_choice": { "type": "maybe" } }), "tool_choice.type"),
        (json!({ "tool_choice": { "type": "tool" } }), "tool_choice.name"),
        (json!({ "thinking": { "type": "enabled" } }), "thinking.budget_tokens"),
        (json!({ "thinking": { "type": "hard" } }), "thinking.type"),
        (json!({ "mcp_servers": [{ "type": "url" }] }), "mcp_servers"),
        (json!({ "container": "c" }), "container"),
        (json!({ "output_config": { "format": { "type": "xml" } } }), "output_config.format"),
    ] {
        let failure = parse(&with(&more)).expect_err(&more.to_string());
        assert_eq!(failure.class, FailureClass::InvalidRequest);
        assert_eq!(failure.param.as_deref(), Some(param), "{more}: {failure}");
    }
}

#[test]
fn what_only_anthropic_would_look_at_is_borne() {
    let edits = json!({ "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] });
    let request = parse(&with(&json!({ "context_management": edits, "metadata": { "user_id": "u" } }))).expect("reads");
    assert!(request.extra.is_empty(), "no other server knows it: {:?}", request.extra);
}

#[test]
fn texts_alone_are_one_text() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let picture = json!({ "type": "image", "source": { "type": "url", "url": "https://x/y.png" } });
    let said = |blocks: Value| {
        let request = parse(&with(&json!({ "messages": [{ "role": "user", "content": blocks }] }))).expect("reads");
        request.messages[0].content.clone()
    };
    assert_eq!(said(json!([text("a"), text("b\n")])), Some(Content::Text("a\n\nb\n".to_owned())));
    assert_eq!(said(json!([text("a")])), Some(Content::Text("a".to_owned())));
    assert!(matches!(said(json!([text("a"), text("b"), picture])), Some(Content::Parts(parts)) if parts.len() == 3));
}

#[test]
fn a_schema_keeps_the_order_of_its_members() {
    let schema = r#"{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"type":"string"}}}"#;
    let format = format!(r#"{{"format":{{"type":"json_schema","schema":{schema}}}}}"#);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"output_config":{format}}}"#);
    let request = read(&Fields::read(body.as_bytes()).expect("an object")).expect("reads");
    let Some(ResponseFormat::JsonSchema { schema: Some(found), raw }) = request.response_format else {
        panic!("no schema")
    };
    assert_eq!((found.get(), raw.get()), (schema, format!(r#"{{"name":"answer","schema":{schema}}}"#).as_str()));
}

#[test]
fn the_form_of_the_answer_is_kept() {
    let schema = json!({ "type": "object", "properties": {} });
    let format = json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
    let request = parse(&with(&format)).expect("reads");
    let Some(ResponseFormat::JsonSchema { schema: Some(found), raw }) = request.response_format else {
        panic!("no schema")
    };
    assert_eq!(serde_json::from_str::<Value>(found.get()).expect("JSON"), schema);
    let told: Value = serde_json::from_str(raw.get()).expect("JSON");
    assert_eq!(
        (&told["schema"], told.get("strict")),
        (&schema, None),
        "OpenAI's strict mode wants every property required"
    );
}
