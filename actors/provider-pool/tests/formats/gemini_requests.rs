//! Requests for Gemini: order of contents, results of tools, signatures, thinking, the form of the answer, and what cannot be expressed.

use bytes::Bytes;
use contract::chat::OpaquePart;
use contract::failure::Failure;
use contract::provider::CallBody;
use provider_pool::formats::{self, Encode, Format, ModelSettings, PutBack};
use serde_json::{Value, json};

const SECOND: &str = "gemini-2.5-flash";
const THIRD: &str = "gemini-3-flash-preview";

fn format() -> &'static dyn Format {
    formats::by_kind("gemini").expect("the format")
}

fn encode(body: &CallBody, model: &str, settings: &ModelSettings) -> Result<(Value, Vec<String>), Failure> {
    let encoded = format().encode(&Encode { body, model, stream: true, settings })?;
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

fn asking(members: Value) -> Value {
    let mut request = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().expect("members") {
        request[name] = value.clone();
    }
    request
}

fn call(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"a\": 1}"}})
}

/// A conversation with parallel calls whose results come in another order.
fn conversation() -> Value {
    json!({"messages": [
        {"role": "system", "content": "be brief"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"role": "developer", "content": "be kind"},
        {"role": "assistant", "content": "let me see", "tool_calls": [call("x", "f"), call("y", "g")]},
        {"role": "tool", "tool_call_id": "y", "content": "plain"},
        {"role": "tool", "tool_call_id": "x", "content": " {\"b\": 1.50} "},
        {"role": "user", "content": "go on"}]})
}

#[test]
fn a_conversation_takes_the_apis_form() {
    let (told, notices) = written(&conversation(), SECOND);
    assert_eq!(notices, [""; 0]);
    assert_eq!(told["systemInstruction"], json!({"parts": [{"text": "be brief\n\nbe kind"}]}));
    assert_eq!(
        told["contents"],
        json!([
            {"role": "user", "parts": [{"text": "(The conversation begins with the assistant.)"}]},
            {"role": "model", "parts": [{"text": "hello"}]},
            {"role": "user", "parts": [{"text": "one"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
            {"role": "model", "parts": [
                {"text": "let me see"},
                {"functionCall": {"name": "f", "args": {"a": 1}}},
                {"functionCall": {"name": "g", "args": {"a": 1}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"b": 1.5}}},
                {"functionResponse": {"name": "g", "response": {"result": "plain"}}}]},
            {"role": "user", "parts": [{"text": "go on"}]},
        ])
    );
    for member in ["model", "stream", "generationConfig"] {
        assert_eq!(told.get(member), None);
    }
}

#[test]
fn pictures_of_results_follow_the_last_of_them() {
    let picture =
        |base64: &str| json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{base64}")}});
    let inline = |base64: &str| json!({"inlineData": {"mimeType": "image/png", "data": base64}});
    let call =
        |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    let asked = |after: Value| {
        let mut messages = vec![
            json!({"role": "user", "content": "look"}),
            json!({"role": "assistant", "tool_calls": [call("x", "f"), call("y", "g")]}),
            json!({"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "seen"}, picture("AA==")]}),
            json!({"role": "tool", "tool_call_id": "y", "content": [picture("BB==")]}),
        ];
        messages.extend(after.as_array().cloned().unwrap_or_default());
        written(&json!({"messages": messages}), SECOND).0["contents"].clone()
    };
    let wanted = |after: Value| {
        json!([
            {"role": "user", "parts": [{"text": "look"}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"result": "seen"}}},
                {"functionResponse": {"name": "g", "response": {"result": ""}}}]},
            {"role": "user", "parts": after},
        ])
    };
    assert_eq!(asked(json!([])), wanted(json!([inline("AA=="), inline("BB==")])));
    let told = asked(json!([{"role": "user", "content": "go on"}]));
    assert_eq!(told, wanted(json!([inline("AA=="), inline("BB=="), {"text": "go on"}])));
    let told = asked(json!([{"role": "assistant", "content": "I see"}]));
    let mut all = wanted(json!([inline("AA=="), inline("BB==")]));
    all.as_array_mut().expect("a list").push(json!({"role": "model", "parts": [{"text": "I see"}]}));
    assert_eq!(told, all);
}

#[test]
fn signatures_go_back_byte_for_byte_into_their_parts() {
    let part =
        |format, json: &'static str, call| OpaquePart { format, json: Bytes::from_static(json.as_bytes()), call };
    let parts = vec![
        part("gemini", r#"{"thoughtSignature":"s\u002f+="}"#, Some(0)),
        part("gemini", r#"{"thoughtSignature":"t"}"#, None),
        part("anthropic", r#"{"thoughtSignature":"no"}"#, Some(1)),
    ];
    let body = format().put_back(&raw(&conversation()), &[PutBack { message: 4, parts }]).expect("readable");
    let encoded = format()
        .encode(&Encode { body: &body, model: SECOND, stream: false, settings: &ModelSettings::default() })
        .expect("encodes");
    let text = std::str::from_utf8(&encoded.body).expect("text");
    let wanted = r#"[{"text":"let me see"},{"text":"","thoughtSignature":"t"},{"functionCall":{"name":"f","args":{"a": 1}},"thoughtSignature":"s\u002f+="},{"functionCall":{"name":"g","args":{"a": 1}}}]"#;
    assert!(text.contains(wanted), "{text}");
    assert!(format().put_back(&CallBody::Raw(Bytes::from_static(b"x")), &[]).is_none());
}

#[test]
fn the_third_generation_wants_ids_and_a_signature() {
    let (told, _) = written(&conversation(), THIRD);
    assert_eq!(
        told["contents"][3]["parts"],
        json!([
            {"text": "let me see"},
            {"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}, "thoughtSignature": "skip_thought_signature_validator"},
            {"functionCall": {"id": "y", "name": "g", "args": {"a": 1}}}])
    );
    assert_eq!(told["contents"][4]["parts"][0]["functionResponse"]["id"], "x");
}

#[test]
fn pictures_that_the_model_drew_go_back_as_pictures() {
    let said = "Here:\n\n![picture](data:image/png;base64,AAEC)\n\nWell?";
    let contents = [json!(said), json!([{"type": "text", "text": said}])];
    for (content, (model, is_signed)) in contents.iter().zip([(SECOND, false), (THIRD, true)]) {
        let request = json!({"messages": [
            {"role": "user", "content": "draw"}, {"role": "assistant", "content": content}, {"role": "user", "content": said}]});
        let (told, _) = written(&request, model);
        let mut picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAEC"}});
        if is_signed {
            picture["thoughtSignature"] = json!("skip_thought_signature_validator");
        }
        assert_eq!(told["contents"][1]["parts"], json!([{"text": "Here:"}, picture, {"text": "Well?"}]));
        assert_eq!(told["contents"][2]["parts"], json!([{"text": said}]), "a person's own words stay");
    }
}

#[test]
fn tools_and_their_choice() {
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {"a": {"$ref": "#/x"}}});
    let tools = json!([
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": true}},
        {"type": "function", "function": {"name": "g", "description": ""}}]);
    for (choice, config) in [
        (Value::Null, None),
        (json!("auto"), Some(json!({"mode": "AUTO"}))),
        (json!("none"), Some(json!({"mode": "NONE"}))),
        (json!("required"), Some(json!({"mode": "ANY"}))),
        (
            json!({"type": "function", "function": {"name": "f"}}),
            Some(json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
        ),
    ] {
        let (told, notices) = written(&asking(json!({"tools": tools, "tool_choice": choice})), SECOND);
        assert_eq!(
            told["tools"],
            json!([{"functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": schema}, {"name": "g"}]}])
        );
        assert_eq!(told.get("toolConfig").map(|told| &told["functionCallingConfig"]), config.as_ref());
        assert_eq!(notices, [""; 0]);
    }
    let (_, notices) = written(&asking(json!({"tools": tools, "parallel_tool_calls": false})), SECOND);
    assert_eq!(notices.len(), 1);
    let settings = ModelSettings { tools: Some(false), ..ModelSettings::default() };
    let (told, notices) = encode(&raw(&asking(json!({"tools": tools}))), SECOND, &settings).expect("encodes");
    assert_eq!((told.get("tools"), notices.len()), (None, 1));
    let (told, _) = written(&asking(json!({"tools": [], "tool_choice": "auto"})), SECOND);
    assert_eq!((told.get("tools"), told.get("toolConfig")), (None, None));
}

#[test]
fn sampling_limits_and_configured_members() {
    let settings = ModelSettings {
        max_tokens: Some(99),
        temperature: Some(0.3),
        options: json!({"generationConfig": {"topK": 4, "topP": 0.1}, "safetySettings": []})
            .as_object()
            .cloned()
            .expect("members"),
        ..ModelSettings::default()
    };
    let with = |members: Value| encode(&raw(&asking(members)), SECOND, &settings).expect("encodes").0;
    let told = with(
        json!({"max_completion_tokens": 5, "temperature": 1.7, "top_p": 0.5, "stop": ["x", ""], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 1, "user": "u"}),
    );
    assert_eq!(
        told["generationConfig"],
        json!({"maxOutputTokens": 5, "temperature": 1.7, "topP": 0.5, "stopSequences": ["x"], "seed": 7, "presencePenalty": 0.5, "frequencyPenalty": 1, "topK": 4})
    );
    assert_eq!((&told["safetySettings"], told.get("user")), (&json!([]), None));
    assert_eq!(
        with(json!({}))["generationConfig"],
        json!({"maxOutputTokens": 99, "temperature": 0.3, "topK": 4, "topP": 0.1})
    );
}

#[test]
fn the_form_of_the_answer() {
    let schema = json!({"type": "object", "properties": {}});
    let form = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let (told, _) = written(&asking(json!({"response_format": form})), SECOND);
    assert_eq!(told["generationConfig"], json!({"responseMimeType": "application/json", "responseJsonSchema": schema}));
    let (told, _) = written(&asking(json!({"response_format": {"type": "json_object"}})), SECOND);
    assert_eq!(told["generationConfig"], json!({"responseMimeType": "application/json"}));
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (model, is_told) in [(SECOND, false), (THIRD, true)] {
        let (told, notices) = written(&asking(json!({"response_format": form, "tools": tools})), model);
        assert_eq!((told.get("generationConfig").is_some(), notices.is_empty()), (is_told, is_told), "{model}");
    }
}

#[test]
fn a_schema_keeps_the_order_of_its_members() {
    let schema = r#"{"type":"object","properties":{"reasoning":{"type":"string"},"answer":{"type":"string"}}}"#;
    let form = format!(r#"{{"type":"json_schema","json_schema":{{"name":"x","schema":{schema}}}}}"#);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"response_format":{form}}}"#);
    let body = CallBody::Raw(Bytes::from(body));
    let call = Encode { body: &body, model: SECOND, stream: true, settings: &ModelSettings::default() };
    let encoded = format().encode(&call).expect("encodes");
    let text = std::str::from_utf8(&encoded.body).expect("text");
    assert!(text.contains(&format!(r#""responseJsonSchema":{schema}"#)), "{text}");
}

#[test]
fn thinking_is_asked_for_in_the_models_way() {
    let shown = |member: &str, value: Value| Some(json!({member: value, "includeThoughts": true}));
    for (model, effort, thinking, noticed) in [
        (SECOND, "none", Some(json!({"thinkingBudget": 0})), false),
        (SECOND, "minimal", shown("thinkingBudget", json!(1024)), false),
        (SECOND, "medium", shown("thinkingBudget", json!(8192)), false),
        (SECOND, "high", shown("thinkingBudget", json!(24576)), false),
        ("gemini-2.5-pro", "none", Some(json!({"thinkingBudget": 128})), true),
        (THIRD, "none", Some(json!({"thinkingLevel": "minimal"})), true),
        (THIRD, "minimal", shown("thinkingLevel", json!("minimal")), false),
        (THIRD, "medium", shown("thinkingLevel", json!("medium")), false),
        ("gemini-3-pro-preview", "minimal", shown("thinkingLevel", json!("low")), false),
        ("gemini-3-pro-preview", "medium", shown("thinkingLevel", json!("high")), false),
        ("gemini-2.0-flash", "low", None, true),
        ("gemini-2.0-flash", "none", None, false),
    ] {
        let (told, notices) = written(&asking(json!({"reasoning_effort": effort})), model);
        let config = told.get("generationConfig").and_then(|config| config.get("thinkingConfig"));
        assert_eq!(config, thinking.as_ref(), "{model} {effort}");
        assert_eq!(!notices.is_empty(), noticed, "{model} {effort}");
    }
}

#[test]
fn a_level_that_a_model_refused_gives_way_to_the_next_one() {
    let refused = ModelSettings { other_effort: true, ..ModelSettings::default() };
    for (effort, expected, notices) in [
        ("none", json!({"thinkingLevel": "low"}), 1),
        ("minimal", json!({"thinkingLevel": "low", "includeThoughts": true}), 1),
        ("medium", json!({"thinkingLevel": "high", "includeThoughts": true}), 1),
        ("high", json!({"thinkingLevel": "high", "includeThoughts": true}), 0),
    ] {
        let body = raw(&asking(json!({"reasoning_effort": effort})));
        let (told, told_of) = encode(&body, THIRD, &refused).expect("encodes");
        assert_eq!(told["generationConfig"]["thinkingConfig"], expected, "{effort}");
        assert_eq!(told_of.len(), notices, "{effort}: {told_of:?}");
    }
}

#[test]
fn sound_files_and_googles_own_addresses() {
    let content = json!([
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        {"type": "file", "file": {"filename": "x.pdf", "file_data": "data:application/pdf;base64,BB=="}},
        {"type": "image_url", "image_url": {"url": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}]);
    let (told, _) = written(&json!({"messages": [{"role": "user", "content": content}]}), SECOND);
    assert_eq!(
        told["contents"][0]["parts"],
        json!([
            {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "BB=="}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}])
    );
}

#[test]
fn slashes_in_a_file_or_sound_may_be_escaped() {
    for (part, kind, data) in [
        (r#""type":"file","file":{"file_data":"data:application\/pdf;base64,A\/=="}"#, "application/pdf", "A/=="),
        (r#""type":"input_audio","input_audio":{"data":"B\/==","format":"mp3"}"#, "audio/mp3", "B/=="),
    ] {
        let body = format!(r#"{{"model":"p/m","messages":[{{"role":"user","content":[{{{part}}}]}}]}}"#);
        let body = CallBody::Raw(Bytes::from(body));
        let (told, _) = encode(&body, SECOND, &ModelSettings::default()).expect("can be expressed");
        let expected = json!({"inlineData": {"mimeType": kind, "data": data}});
        assert_eq!(told["contents"][0]["parts"][0], expected, "{part}");
    }
}

#[test]
fn functions_of_the_first_form_are_tools() {
    let request = json!({"functions": [{"name": "f"}], "function_call": {"name": "f"}, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"}]});
    let (told, notices) = written(&request, SECOND);
    assert_eq!(told["tools"], json!([{"functionDeclarations": [{"name": "f"}]}]));
    assert_eq!(told["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"], json!(["f"]));
    let used = json!({"functionCall": {"name": "f", "args": {}}});
    let result = json!({"functionResponse": {"name": "f", "response": {"result": "r"}}});
    assert_eq!((&told["contents"][1]["parts"], &told["contents"][2]["parts"]), (&json!([used]), &json!([result])));
    assert!(notices.len() == 1 && notices[0].contains("tool_calls"), "{notices:?}");
}

#[test]
fn what_cannot_be_sent_names_its_field() {
    let asks = |content: Value| json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": content}]});
    for (request, param) in [
        (asks(json!([{"type": "input_video", "input_video": {}}])), "messages[1].content"),
        (
            asks(json!([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "midi"}}])),
            "messages[1].content",
        ),
        (asks(json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])), "messages[1].content"),
        (asks(json!([{"type": "image_url", "image_url": {"url": "file:///x"}}])), "messages[1].content"),
        (asks(json!("")), "messages"),
        (
            asking(json!({"messages": [{"role": "tool", "tool_call_id": "gone", "content": "r"}]})),
            "messages[0].tool_call_id",
        ),
        (asking(json!({"reasoning_effort": "banana"})), "reasoning_effort"),
        (asking(json!({"n": 2})), "n"),
    ] {
        let failure = encode(&raw(&request), SECOND, &ModelSettings::default()).expect_err("refused");
        assert_eq!(failure.param.as_deref(), Some(param), "{failure}");
    }
}

#[test]
fn the_model_is_in_the_address_and_the_key_in_a_header() {
    for (model, stream, path) in [
        ("gemini-2.5-flash", false, "/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", true, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/a b?", false, "/tunedModels/a%20b%3F:generateContent"),
        ("models/gemini-2.5-pro", false, "/models/gemini-2.5-pro:generateContent"),
        ("../../files", false, "/models/..%2F..%2Ffiles:generateContent"),
    ] {
        assert_eq!(format().chat_path(model, stream), path);
    }
    let key = contract::secret::Secret::new("k");
    let headers = format().headers(Some(&key));
    let told: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.expose())).collect();
    assert_eq!(told, [("x-goog-api-key", "k")]);
    assert!(format().headers(None).is_empty());
}
