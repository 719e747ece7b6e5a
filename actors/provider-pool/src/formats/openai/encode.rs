//! Writes an OpenAI request: the client's own bytes with as little changed as possible, or a request that HAIA built.
//!
//! It changes `model`, `stream` and `stream_options`, adds configured defaults where the client has none, and takes away what servers are known to
//! refuse: an empty list of tools, tools for a model that takes none, `max_tokens` for models that want the newer name. What one server turned
//! out to want is in [`suited`].

use super::{Dialect, as_given, results, suited};
use crate::formats::prompt::{self, Members, Object};
use crate::formats::{Encode, Encoded, sampling};
use contract::chat::{ChatRequest, Content, Effort, Message, Role};
use contract::failure::{Failure, FailureClass};
use contract::json::put_string;
use contract::provider::CallBody;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The member of a message that holds the proof of its thinking.
pub const DETAILS: &str = "reasoning_details";

/// Writes the body.
///
/// # Errors
/// `InvalidRequest` if the client's body is no JSON object, or asks for several answers.
pub fn encode(call: &Encode<'_>, dialect: &Dialect) -> Result<Encoded, Failure> {
    match call.body {
        CallBody::Raw(bytes) => raw(call, bytes),
        CallBody::Request(request) => built(call, request, dialect),
    }
}

fn raw(call: &Encode<'_>, bytes: &[u8]) -> Result<Encoded, Failure> {
    match as_given::request(call, bytes, is_newer(call.model)) {
        Some(body) => Ok(Encoded { body: body.into(), notices: Vec::new(), context: 0 }),
        None => member_by_member(call, bytes),
    }
}

fn member_by_member(call: &Encode<'_>, bytes: &[u8]) -> Result<Encoded, Failure> {
    let Members(members) = serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(FailureClass::InvalidRequest, format!("the body is not a JSON object: {error}"))
    })?;
    let given = |name: &str| {
        members.iter().find(|(known, value)| known == name && value.get() != "null").map(|(_, value)| *value)
    };
    let offers_tools = given("tools").is_some_and(|tools| !is_empty_list(tools));
    let takes_tools = call.settings.tools != Some(false);
    let newer = wants_newer(call);
    let renames = newer && given("max_completion_tokens").is_none();
    let mut notices = Vec::new();
    let mut object = Object::with_capacity(bytes.len() + 256);
    object.add("model", call.model);
    for (name, value) in &members {
        prompt::check_single(name, value)?;
        match name.as_str() {
            "model" | "stream" | "stream_options" => {}
            "tools" | "tool_choice" | "parallel_tool_calls" if !offers_tools || !takes_tools => {}
            "max_tokens" if newer && value.get() != "null" => {
                if renames {
                    object.add("max_completion_tokens", value);
                }
            }
            // A null stands for nothing: a configured default takes its place.
            "max_tokens" | "max_completion_tokens" | "temperature" if value.get() == "null" => {}
            "temperature" | "top_p" if !sampling::goes(call.settings, &object, name) => {
                sampling::taken(call, &object, name, value.get().parse().ok(), &mut notices);
            }
            "messages" => match suited::raw(value, call.settings) {
                Some(messages) => object.add(name, &messages),
                None => object.add(name, value),
            },
            "reasoning_effort" => match serde_json::from_str::<&str>(value.get()) {
                Ok(word) => object.add_some(name, suited::effort(call, word, &mut notices).as_ref()),
                Err(_) => object.add(name, value),
            },
            _ => object.add(name, value),
        }
    }
    let stream_options = given("stream_options").map_or("{}", RawValue::get);
    add_stream(&mut object, call, stream_options);
    add_defaults(&mut object, call);
    if offers_tools && !takes_tools {
        notices.push(prompt::without_tools(call.model));
    }
    Ok(Encoded { body: object.finish().into(), notices, context: 0 })
}

fn built(call: &Encode<'_>, request: &ChatRequest, dialect: &Dialect) -> Result<Encoded, Failure> {
    let mut object = Object::with_capacity(4096);
    object.add("model", call.model);
    let mut notices = Vec::new();
    let own = suited::messages(&request.messages, call.settings);
    let messages = results::with_pictures_apart(&own);
    object.add_written("messages", |out| put_messages(out, &messages, dialect.format, call.settings.reasoning_back));
    let takes_tools = call.settings.tools != Some(false);
    if takes_tools && !request.tools.is_empty() {
        object.add("tools", &request.tools);
        object.add_some("tool_choice", request.tool_choice.as_ref());
        object.add_some("parallel_tool_calls", request.parallel_tool_calls.as_ref());
    }
    let newer = request.max_tokens_is_completion || wants_newer(call);
    let limit = if newer { "max_completion_tokens" } else { "max_tokens" };
    object.add_some(limit, request.max_tokens.as_ref());
    for (name, value) in [("temperature", request.temperature), ("top_p", request.top_p)] {
        object.add_some(name, sampling::taken(call, &object, name, value, &mut notices).as_ref());
    }
    if !request.stop.is_empty() {
        object.add("stop", &request.stop);
    }
    object.add_some("response_format", request.response_format.as_ref());
    if let Some(Effort(word)) = &request.reasoning_effort {
        object.add_some("reasoning_effort", suited::effort(call, word, &mut notices).as_ref());
    }
    for (name, value) in &request.extra {
        prompt::check_single(name, value)?;
        object.add(name, value);
    }
    add_stream(&mut object, call, "{}");
    add_defaults(&mut object, call);
    if !takes_tools && !request.tools.is_empty() {
        notices.push(prompt::without_tools(call.model));
    }
    Ok(Encoded { body: object.finish().into(), notices, context: 0 })
}

/// `stream`, and the request for usage, which HAIA always wants to know. Servers refuse `stream_options` without a stream.
fn add_stream(object: &mut Object, call: &Encode<'_>, given: &str) {
    object.add("stream", &call.stream);
    if call.stream && !call.settings.no_stream_options {
        let mut options: BTreeMap<String, Box<RawValue>> = serde_json::from_str(given).unwrap_or_default();
        options.insert("include_usage".to_owned(), RawValue::TRUE.to_owned());
        object.add("stream_options", &options);
    }
}

fn add_defaults(object: &mut Object, call: &Encode<'_>) {
    let settings = call.settings;
    if !object.has("max_tokens") && !object.has("max_completion_tokens") {
        let name = if wants_newer(call) { "max_completion_tokens" } else { "max_tokens" };
        object.add_some(name, settings.max_tokens.as_ref());
    }
    if !is_newer(call.model) && sampling::goes(settings, object, "temperature") {
        object.add_some("temperature", settings.temperature.as_ref());
    }
    let takes = |name: &str| name != "reasoning_effort" || (settings.thinking != Some(false) && !settings.other_effort);
    for (name, value) in settings.options.iter().filter(|(name, _)| takes(name)) {
        if sampling::goes(settings, object, name) {
            object.add(name, value);
        }
    }
}

/// Whether the limit of the answer goes by its newer name.
fn wants_newer(call: &Encode<'_>) -> bool {
    call.settings.completion_tokens || is_newer(call.model)
}

/// OpenAI's reasoning models: they refuse `max_tokens` and any `temperature` but their own.
fn is_newer(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let numbered = |rest: &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && matches!(rest.as_bytes().get(digits), None | Some(b'-'))
    };
    name.starts_with("gpt-5") || name.strip_prefix('o').is_some_and(numbered)
}

fn is_empty_list(raw: &RawValue) -> bool {
    raw.get().strip_prefix('[').is_some_and(|rest| rest.trim_start() == "]")
}

fn put_messages(
    out: &mut Vec<u8>,
    messages: &[Cow<'_, Message>],
    format: &'static str,
    reasoning_back: bool,
) -> serde_json::Result<()> {
    let mut separator = b'[';
    for message in messages {
        out.push(separator);
        separator = b',';
        match &**message {
            // Most are no more than this, and the longest, the agent's own prompt, is written for each turn.
            Message {
                role: role @ (Role::System | Role::User),
                content: Some(Content::Text(text)),
                name: None,
                tool_call_id: None,
                tool_calls,
                ..
            } if tool_calls.is_empty() => {
                out.extend_from_slice(b"{\"role\":\"");
                out.extend_from_slice(role.as_str().as_bytes());
                out.extend_from_slice(b"\",\"content\":");
                put_string(out, text);
                out.push(b'}');
            }
            message => serde_json::to_writer(&mut *out, &WithDetails(message, format, reasoning_back))?,
        }
    }
    if messages.is_empty() {
        out.push(b'[');
    }
    out.push(b']');
    Ok(())
}

/// A message, with the proof of thinking that its provider wants back, and with the thinking itself for one that wants that.
struct WithDetails<'a>(&'a Message, &'static str, bool);

impl Serialize for WithDetails<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let details: Vec<&RawValue> = self
            .0
            .opaque
            .iter()
            .filter(|part| part.format == self.1 && self.0.role == Role::Assistant)
            .filter_map(|part| serde_json::from_slice(&part.json).ok())
            .collect();
        let reasoning_back = self.2 && self.0.role == Role::Assistant;
        if details.is_empty() && !reasoning_back {
            return self.0.serialize(serializer);
        }
        let printed = serde_json::to_string(self.0).map_err(S::Error::custom)?;
        let Members(members) = serde_json::from_str(&printed).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in members {
            map.serialize_entry(&name, value)?;
        }
        if !details.is_empty() {
            map.serialize_entry(DETAILS, &details)?;
        }
        if reasoning_back {
            map.serialize_entry(suited::REASONING, self.0.reasoning_content.as_deref().unwrap_or_default())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ModelSettings;
    use bytes::Bytes;
    use contract::chat::OpaquePart;
    use serde_json::{Value, json};
    use std::rc::Rc;

    const OPENAI: Dialect = Dialect { format: "openai", mends_calls: false, tells_cost: false };

    fn written(body: &CallBody, model: &str, stream: bool, settings: &ModelSettings) -> (String, Vec<String>) {
        let call = Encode { body, model, stream, settings };
        let encoded = encode(&call, &OPENAI).expect("encodes");
        if let CallBody::Raw(bytes) = body {
            assert_eq!(member_by_member(&call, bytes).expect("encodes"), encoded, "both ways come to the same");
        }
        (String::from_utf8(encoded.body.to_vec()).expect("text"), encoded.notices)
    }

    fn raw(body: &str, model: &str, stream: bool, settings: &ModelSettings) -> String {
        written(&CallBody::Raw(Bytes::copy_from_slice(body.as_bytes())), model, stream, settings).0
    }

    #[test]
    fn a_clients_body_stays_as_it_is() {
        let body = r#"{"model":"haia","messages":[ {"role":"user", "content":"\u00e9 1.0"} ],"seed":7.00,"user":null,"stream":false,"x":{"b":1,"a":[]}}"#;
        assert_eq!(
            raw(body, "gpt-4o", true, &ModelSettings::default()),
            r#"{"model":"gpt-4o","messages":[ {"role":"user", "content":"\u00e9 1.0"} ],"seed":7.00,"user":null,"x":{"b":1,"a":[]},"stream":true,"stream_options":{"include_usage":true}}"#
        );
    }

    #[test]
    fn the_quick_way_takes_what_hardly_changes() {
        let none = ModelSettings::default();
        for (body, is_quick) in [
            (r#"{"messages":[],"stream":null,"stream_options":null,"n":1,"temperature":0.5,"max_tokens":9}"#, true),
            (r#"{"model":"openai\/gpt-4o","messages":[]}"#, true),
            (r#" { "messages" : [ ] , "stream_options":{"include_usage":true}} "#, true),
            (r#"{"messages":[],"tools":[{}],"tool_choice":"auto","parallel_tool_calls":false}"#, true),
            (r#"{"messages":[],"tools":[],"tool_choice":"auto"}"#, false),
            (r#"{"messages":[],"tools":null}"#, false),
            (r#"{"messages":[],"tool_choice":"none"}"#, false),
            (r#"{"messages":[],"n":null}"#, false),
            (r#"{"messages":[],"temperature":null}"#, false),
            (r#"{"messages":[],"reasoning_effort":"low"}"#, false),
            (r#"{"messages":[],"a":1,"a":2}"#, false),
            (r#"{"messages":[],"a\u0062":1}"#, false),
        ] {
            for stream in [false, true] {
                raw(body, "m\"", stream, &none);
                let as_bytes = CallBody::Raw(Bytes::copy_from_slice(body.as_bytes()));
                let call = Encode { body: &as_bytes, model: "m", stream, settings: &none };
                assert_eq!(as_given::request(&call, body.as_bytes(), false).is_some(), is_quick, "{body}");
            }
        }
        for (count, is_quick) in [(64, true), (65, false)] {
            let members: Vec<String> = (0..count).map(|at| format!(r#""x{at}":{at}"#)).collect();
            let body = format!("{{{}}}", members.join(","));
            let call = Encode { body: &CallBody::Raw(body.clone().into()), model: "m", stream: false, settings: &none };
            assert_eq!(as_given::request(&call, body.as_bytes(), false).is_some(), is_quick, "{count} members");
            let sent: Value = serde_json::from_str(&raw(&body, "m", false, &none)).expect("JSON");
            assert_eq!(sent.as_object().map(serde_json::Map::len), Some(count + 2), "none is lost");
        }
        let wishes = [
            ModelSettings { max_tokens: Some(1), ..none.clone() },
            ModelSettings { temperature: Some(1.0), ..none.clone() },
            ModelSettings { tools: Some(false), ..none.clone() },
            ModelSettings { no_stream_options: true, ..none.clone() },
        ];
        for settings in &wishes {
            raw(r#"{"messages":[],"tools":[{}]}"#, "m", true, settings);
        }
        raw(r#"{"messages":[],"max_tokens":9}"#, "o1", true, &none);
    }

    #[test]
    fn stream_options_are_kept_and_completed() {
        let body = r#"{"messages":[],"stream_options":{"include_usage":false,"include_obfuscation":false}}"#;
        let value: Value = serde_json::from_str(&raw(body, "m", true, &ModelSettings::default())).expect("JSON");
        assert_eq!(value["stream_options"], json!({"include_usage": true, "include_obfuscation": false}));
        let value: Value = serde_json::from_str(&raw(body, "m", false, &ModelSettings::default())).expect("JSON");
        assert_eq!((&value["stream"], value.get("stream_options")), (&json!(false), None));
    }

    #[test]
    fn what_servers_refuse_is_taken_away() {
        let none = ModelSettings::default();
        let body = r#"{"messages":[],"tools":[ ],"tool_choice":"auto","max_tokens":5}"#;
        assert_eq!(raw(body, "m", false, &none), r#"{"model":"m","messages":[],"max_tokens":5,"stream":false}"#);
        for (model, name) in [
            ("o3-mini", "max_completion_tokens"),
            ("openai/gpt-5.2", "max_completion_tokens"),
            ("o1", "max_completion_tokens"),
            ("gpt-4o", "max_tokens"),
            ("olmo-2", "max_tokens"),
            ("o-lama", "max_tokens"),
        ] {
            let value: Value = serde_json::from_str(&raw(body, model, false, &none)).expect("JSON");
            assert_eq!(value[name], 5, "{model}");
        }
        let both = r#"{"messages":[],"max_tokens":5,"max_completion_tokens":6}"#;
        assert_eq!(
            raw(both, "o1", false, &none),
            r#"{"model":"o1","messages":[],"max_completion_tokens":6,"stream":false}"#
        );
    }

    #[test]
    fn defaults_fill_gaps_only() {
        let settings = ModelSettings {
            max_tokens: Some(9),
            temperature: Some(0.5),
            options: json!({"top_k": 3, "seed": 1}).as_object().cloned().unwrap_or_default(),
            ..ModelSettings::default()
        };
        let value: Value =
            serde_json::from_str(&raw(r#"{"messages":[],"seed":2,"temperature":null}"#, "m", false, &settings))
                .expect("JSON");
        assert_eq!(
            value,
            json!({"model": "m", "messages": [], "stream": false, "seed": 2, "max_tokens": 9, "temperature": 0.5, "top_k": 3})
        );
        let value: Value =
            serde_json::from_str(&raw(r#"{"messages":[],"max_tokens":1,"temperature":1}"#, "o1", false, &settings))
                .expect("JSON");
        assert_eq!((&value["max_completion_tokens"], &value["temperature"]), (&json!(1), &json!(1)));
        let value: Value = serde_json::from_str(&raw(r#"{"messages":[]}"#, "o1", false, &settings)).expect("JSON");
        assert_eq!((&value["max_completion_tokens"], value.get("temperature")), (&json!(9), None));
    }

    #[test]
    fn a_model_without_tools_gets_none() {
        let settings = ModelSettings { tools: Some(false), ..ModelSettings::default() };
        let body = r#"{"messages":[],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}"#;
        let (text, notices) = written(&CallBody::Raw(Bytes::from_static(body.as_bytes())), "m", false, &settings);
        assert_eq!(text, r#"{"model":"m","messages":[],"stream":false}"#);
        assert_eq!(notices, ["the model m takes no tools; answered without them"]);
    }

    #[test]
    fn what_a_refusal_told_is_heeded() {
        let refuses = ModelSettings { thinking: Some(false), no_stream_options: true, ..ModelSettings::default() };
        let body = r#"{"messages":[],"reasoning_effort":"high","stream_options":{"include_usage":true}}"#;
        let bytes = CallBody::Raw(Bytes::from_static(body.as_bytes()));
        let request = ChatRequest { reasoning_effort: Some(Effort("high".to_owned())), ..ChatRequest::default() };
        let built = CallBody::Request(Rc::new(request));
        let notices = ["the model m answered without thinking: it cannot"];
        for body in [&bytes, &built] {
            let (text, told) = written(body, "m", true, &refuses);
            assert_eq!(text, r#"{"model":"m","messages":[],"stream":true}"#);
            assert_eq!(told, notices);
        }
        let other = ModelSettings { other_effort: true, ..ModelSettings::default() };
        for (asked, settings, expected, notices) in [
            ("max", &ModelSettings::default(), json!("xhigh"), 0),
            ("max", &other, json!("high"), 1),
            ("minimal", &other, json!("low"), 1),
            ("medium", &other, json!(null), 1),
            ("none", &refuses, json!(null), 0),
        ] {
            let request = ChatRequest { reasoning_effort: Some(Effort(asked.to_owned())), ..ChatRequest::default() };
            let (text, told) = written(&CallBody::Request(Rc::new(request)), "m", false, settings);
            let value: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!((&value["reasoning_effort"], told.len()), (&expected, notices), "{asked}");
        }
    }

    #[test]
    fn refused_sampling_is_left_out_and_the_limit_renamed() {
        let settings = ModelSettings {
            no_temperature: true,
            completion_tokens: true,
            temperature: Some(0.1),
            options: json!({"temperature": 0.2, "top_k": 1}).as_object().cloned().unwrap_or_default(),
            ..ModelSettings::default()
        };
        let body = r#"{"messages":[],"temperature":0.7,"top_p":0.5,"max_tokens":9}"#;
        let bytes = CallBody::Raw(Bytes::from_static(body.as_bytes()));
        let request =
            ChatRequest { temperature: Some(0.7), top_p: Some(0.5), max_tokens: Some(9), ..ChatRequest::default() };
        for body in [&bytes, &CallBody::Request(Rc::new(request))] {
            let (text, told) = written(body, "mine", false, &settings);
            let value: Value = serde_json::from_str(&text).expect("JSON");
            let expected = json!({"model": "mine", "messages": [], "stream": false, "top_p": 0.5, "max_completion_tokens": 9, "top_k": 1});
            assert_eq!(value, expected);
            assert_eq!(told, ["the model mine refuses the temperature 0.7; asked without it"]);
        }
        let limit = ModelSettings { max_tokens: Some(3), ..settings };
        assert!(raw(r#"{"messages":[]}"#, "mine", false, &limit).contains(r#""max_completion_tokens":3"#));
    }

    #[test]
    fn thinking_goes_back_where_it_is_wanted() {
        let thought = Message { reasoning_content: Some("hm".to_owned()), ..Message::text(Role::Assistant, "x") };
        let messages = vec![Message::text(Role::User, "q"), thought, Message::text(Role::Assistant, "y")];
        let body = CallBody::Request(Rc::new(ChatRequest { messages, ..ChatRequest::default() }));
        let settings = ModelSettings { reasoning_back: true, ..ModelSettings::default() };
        let value: Value = serde_json::from_str(&written(&body, "m", false, &settings).0).expect("JSON");
        let told = |at: usize| value["messages"][at].get("reasoning_content").cloned();
        assert_eq!((told(0), told(1), told(2)), (None, Some(json!("hm")), Some(json!(""))));
        let (text, _) = written(&body, "m", false, &ModelSettings::default());
        assert!(!text.contains("reasoning_content"), "never unasked: {text}");
    }

    #[test]
    fn wrong_bodies_are_named() {
        let settings = ModelSettings::default();
        let refused = |body: &'static str| {
            let body = CallBody::Raw(Bytes::from_static(body.as_bytes()));
            encode(&Encode { body: &body, model: "m", stream: false, settings: &settings }, &OPENAI)
                .expect_err("refused")
        };
        assert_eq!(refused(r#"{"messages":[],"n":2}"#).param.as_deref(), Some("n"));
        assert_eq!(refused("[]").class, FailureClass::InvalidRequest);
    }

    #[test]
    fn proof_of_thinking_goes_back() {
        let mut message = Message::text(Role::Assistant, "x");
        let part =
            |format, json: &'static str| OpaquePart { format, json: Bytes::from_static(json.as_bytes()), call: None };
        message.opaque = vec![part("openai", r#"{"b":1.0,"a":2}"#), part("anthropic", r#"{"type":"thinking"}"#)];
        let request = ChatRequest { messages: vec![message], ..ChatRequest::default() };
        let (text, _) = written(&CallBody::Request(Rc::new(request)), "m", false, &ModelSettings::default());
        assert_eq!(
            text,
            r#"{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_details":[{"b":1.0,"a":2}]}],"stream":false}"#
        );
    }
}
