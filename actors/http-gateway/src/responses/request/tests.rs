//! Requests for responses, and what becomes of them.

use super::*;
use contract::chat::{Content, Part, ToolCall};
use contract::failure::FailureClass;
use serde_json::json;

fn parse(value: &Value) -> Result<Wanted, Failure> {
    let body = value.to_string();
    read(&Fields::read(body.as_bytes())?)
}

fn with(more: &Value) -> Value {
    let mut request = json!({ "model": "p/m", "input": "hi" });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

#[test]
fn a_conversation_in_full() {
    let function = json!({ "type": "function", "name": "f", "description": "d", "parameters": { "type": "object" }, "strict": true });
    let Wanted { request, echo } = parse(&json!({
        "model": "p/m", "stream": true, "instructions": "Be brief.", "max_output_tokens": 50, "temperature": 0.5,
        "parallel_tool_calls": false, "store": false, "previous_response_id": null, "truncation": "disabled",
        "metadata": { "a": "b" }, "user": "u", "include": ["reasoning.encrypted_content"],
        "reasoning": { "effort": "low", "summary": "auto" }, "tools": [function],
        "tool_choice": { "type": "function", "name": "f" },
        "text": { "verbosity": "low", "format": { "type": "json_schema", "name": "n", "schema": { "type": "object" }, "strict": true } },
        "input": [
            { "role": "developer", "content": "Be kind." },
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low" },
                { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA" },
            ] },
            { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "hm" }] },
            { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
              "content": [{ "type": "output_text", "text": "let me see", "annotations": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}" },
            { "type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": "one" },
            { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "two" }] },
            { "role": "assistant", "content": [{ "type": "refusal", "refusal": "no" }] },
            { "role": "user", "content": "go on" },
        ],
    }))
    .expect("reads");
    assert!(request.stream);
    assert_eq!(
        (request.max_tokens, request.temperature, request.parallel_tool_calls),
        (Some(50), Some(0.5), Some(false))
    );
    assert_eq!(request.reasoning_effort, Some(Effort("low".to_owned())));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!((request.tools[0].name.as_str(), request.tools[0].strict), ("f", Some(true)));
    let extra: Vec<&str> = request.extra.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(extra, ["verbosity", "user"]);
    let Some(ResponseFormat::JsonSchema { raw, .. }) = &request.response_format else { panic!("no schema") };
    let raw: Value = serde_json::from_str(raw.get()).expect("JSON");
    assert_eq!(raw, json!({ "name": "n", "schema": { "type": "object" }, "strict": true }));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    use Role::{Assistant, Developer, System, Tool, User};
    assert_eq!(roles, [System, Developer, User, Assistant, Tool, Tool, Assistant, User]);
    let Some(Content::Parts(parts)) = &request.messages[2].content else { panic!("no parts") };
    assert_eq!(parts[1], Part::Image { url: "data:image/png;base64,AA".into(), detail: Some("low".into()) });
    assert!(matches!(&parts[2], Part::Other { kind, json } if kind == "file" && json.get().contains("a.pdf")));
    let said = &request.messages[3];
    assert_eq!((said.plain_text().as_str(), said.reasoning_content.as_deref()), ("let me see", Some("hm")));
    assert_eq!(said.tool_calls, [ToolCall::new("c1", "f", "{\"a\":1}"), ToolCall::new("c2", "f", "{}")]);
    let results: Vec<_> = request.messages[4..6]
        .iter()
        .map(|result| (result.tool_call_id.as_deref(), result.name.as_deref(), result.plain_text()))
        .collect();
    assert_eq!(results, [(Some("c1"), Some("f"), "one".to_owned()), (Some("c2"), Some("f"), "two".to_owned())]);
    assert_eq!((&echo["tools"][0]["name"], &echo["metadata"]["a"]), (&json!("f"), &json!("b")));
    assert_eq!((&echo["instructions"], &echo["top_p"]), (&json!("Be brief."), &Value::Null));
}

#[test]
fn a_text_is_enough() {
    let Wanted { request, echo } = parse(&with(&json!({}))).expect("reads");
    assert_eq!((request.messages.len(), request.messages[0].plain_text().as_str()), (1, "hi"));
    assert_eq!((&echo["tool_choice"], &echo["tools"]), (&json!("auto"), &json!([])));
    assert_eq!(echo["text"], json!({ "format": { "type": "text" } }));
    assert!(parse(&with(&json!({ "top_logprobs": 0, "include": null }))).is_ok(), "asks for nothing");
}

#[test]
fn what_is_wrong_or_cannot_be_honoured_is_named() {
    let item = |item: Value| json!({ "input": [item] });
    for (more, param) in [
        (json!({ "model": null }), "model"),
        (json!({ "input": null }), "input"),
        (json!({ "input": [] }), "input"),
        (json!({ "input": 5 }), "input"),
        (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "store": true }), "store"),
        (json!({ "background": true }), "background"),
        (json!({ "conversation": "conv_1" }), "conversation"),
        (json!({ "prompt": { "id": "p" } }), "prompt"),
        (json!({ "truncation": "auto" }), "truncation"),
        (json!({ "top_logprobs": 3 }), "top_logprobs"),
        (json!({ "include": ["reasoning.encrypted_content", "message.output_text.logprobs"] }), "include"),
        (json!({ "include": "x" }), "include"),
        (json!({ "stream": "yes" }), "stream"),
        (json!({ "max_output_tokens": -1 }), "max_output_tokens"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type"),
        (json!({ "tools": [{ "type": "function" }] }), "tools[0].name"),
        (json!({ "tools": {} }), "tools"),
        (json!({ "tool_choice": "maybe" }), "tool_choice"),
        (json!({ "tool_choice": { "type": "web_search" } }), "tool_choice"),
        (json!({ "text": { "format": { "type": "xml" } } }), "text.format.type"),
        (json!({ "text": { "format": { "type": "json_schema" } } }), "text.format.schema"),
        (json!({ "reasoning": { "effort": 5 } }), "reasoning.effort"),
        (item(json!({ "role": "king", "content": "x" })), "input[0].role"),
        (item(json!({ "role": "user" })), "input[0].content"),
        (item(json!({ "role": "user", "content": 5 })), "input[0].content"),
        (item(json!({ "role": "user", "content": [{ "type": "input_audio" }] })), "input[0].content[0].type"),
        (item(json!({ "role": "user", "content": [{ "type": "input_text" }] })), "input[0].content[0].text"),
        (
            item(json!({ "role": "user", "content": [{ "type": "input_image", "file_id": "f" }] })),
            "input[0].content[0].image_url",
        ),
        (item(json!({ "type": "item_reference", "id": "x" })), "input[0].type"),
        (item(json!({ "type": "web_search_call" })), "input[0].type"),
        (item(json!({ "type": "function_call", "name": "f" })), "input[0].call_id"),
        (item(json!({ "type": "function_call_output", "call_id": "c" })), "input[0].output"),
        (item(json!({ "type": 5 })), "input[0].type"),
    ] {
        let failure = parse(&with(&more)).expect_err(&more.to_string());
        assert_eq!(failure.class, FailureClass::InvalidRequest);
        assert_eq!(failure.param.as_deref(), Some(param), "{more}: {failure}");
    }
}

#[test]
fn a_reference_is_answered_with_what_to_do() {
    let failure = parse(&with(&json!({ "input": [{ "type": "item_reference", "id": "x" }] }))).expect_err("refused");
    assert!(failure.message.contains("\"store\": false"), "{failure}");
}

#[test]
fn texts_alone_are_one_text_but_results_keep_theirs_apart() {
    let texts = json!([{ "type": "input_text", "text": "a" }, { "type": "input_text", "text": "b" }]);
    for role in ["user", "developer", "system", "assistant"] {
        let request = parse(&with(&json!({ "input": [{ "role": role, "content": texts }] }))).expect("reads").request;
        assert_eq!(request.messages[0].content, Some(Content::Text("a\n\nb".to_owned())), "{role}");
    }
    let picture = json!({ "type": "input_image", "image_url": "https://x/y.png" });
    let seen = json!([{ "role": "user", "content": [texts[0], texts[1], picture] }]);
    let request = parse(&with(&json!({ "input": seen }))).expect("reads").request;
    assert!(matches!(&request.messages[0].content, Some(Content::Parts(parts)) if parts.len() == 3));
    let result = json!([{ "type": "function_call_output", "call_id": "c", "output": texts }]);
    let request = parse(&with(&json!({ "input": result }))).expect("reads").request;
    assert!(matches!(&request.messages[0].content, Some(Content::Parts(parts)) if parts.len() == 2));
}

#[test]
fn a_schema_keeps_the_order_of_its_members() {
    let schema = r#"{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"type":"string"}}}"#;
    let format = format!(r#"{{"type":"json_schema","name":"n","schema":{schema},"strict":true,"description":"d"}}"#);
    let body = format!(r#"{{"model":"m","input":"hi","text":{{"format":{format}}}}}"#);
    let Wanted { request, .. } = read(&Fields::read(body.as_bytes()).expect("an object")).expect("reads");
    let Some(ResponseFormat::JsonSchema { schema: Some(found), raw }) = request.response_format else {
        panic!("no schema")
    };
    let told = format!(r#"{{"name":"n","description":"d","schema":{schema},"strict":true}}"#);
    assert_eq!((found.get(), raw.get()), (schema, told.as_str()));
}
