//! A chat request as clients send it: OpenAI's shape, read tolerantly, printed again for compatible servers.
//!
//! Unknown and null fields are accepted; unknown ones are kept, so that a compatible server still gets them. A field that is known and
//! wrong is a [`Failure`] that names it.

use super::functions::{self, Choice, Function};
use super::message::Message;
use super::tooling::{Effort, ResponseFormat, ToolChoice, ToolSpec, Tools};
use crate::failure::{Failure, FailureClass};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A chat request.
#[derive(Clone, Debug, Default)]
pub struct ChatRequest {
    /// The model id that was asked for.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The caller's tools.
    pub tools: Tools,
    /// Whether the caller wrote them as `functions`, OpenAI's first form.
    pub functions: bool,
    /// Which tools must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller wants a usage chunk at the end of a stream.
    pub include_usage: bool,
    /// The most tokens to write; `max_completion_tokens` wins over `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Whether the caller wrote `max_completion_tokens` (newer OpenAI models refuse the older name).
    pub max_tokens_is_completion: bool,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Stop sequences.
    pub stop: Vec<String>,
    /// The form of the answer.
    pub response_format: Option<ResponseFormat>,
    /// How hard to think.
    pub reasoning_effort: Option<Effort>,
    /// Every other field, as it came, in order: `seed`, `logprobs`, `service_tier`, `user`, …
    pub extra: Vec<(String, Box<RawValue>)>,
}

impl ChatRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`FailureClass::InvalidRequest`] with `param` naming the field that is missing or wrong, or without it if the body is not JSON.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| {
            Failure::new(FailureClass::InvalidRequest, format!("the body is not a JSON object: {error}"))
        })?;
        let mut request = ChatRequest::default();
        let (mut model, mut messages) = (None, None);
        let (mut max_tokens, mut max_completion_tokens) = (None, None);
        let (mut functions, mut function_call) = (Vec::new(), None);
        for (name, raw) in fields.0 {
            if raw.get() == "null" {
                continue;
            }
            match name.as_str() {
                "model" => model = Some(field::<String>(&name, raw)?),
                "messages" => messages = Some(field::<Vec<Message>>(&name, raw)?),
                "tools" => request.tools = field::<Tools>(&name, raw)?,
                "functions" => functions = field::<Vec<Function>>(&name, raw)?,
                "function_call" => function_call = Some(field::<Choice>(&name, raw)?.0),
                "tool_choice" => request.tool_choice = Some(field::<ToolChoice>(&name, raw)?),
                "parallel_tool_calls" => request.parallel_tool_calls = Some(field(&name, raw)?),
                "stream" => request.stream = field(&name, raw)?,
                "stream_options" => {
                    request.include_usage = field::<StreamOptions>(&name, raw)?.include_usage.unwrap_or(false);
                }
                "max_tokens" => max_tokens = Some(field::<u64>(&name, raw)?),
                "max_completion_tokens" => max_completion_tokens = Some(field::<u64>(&name, raw)?),
                "temperature" => request.temperature = Some(field(&name, raw)?),
                "top_p" => request.top_p = Some(field(&name, raw)?),
                "stop" => request.stop = field::<Stops>(&name, raw)?.0,
                "response_format" => request.response_format = Some(field(&name, raw)?),
                "reasoning_effort" => request.reasoning_effort = Some(field(&name, raw)?),
                _ => request.extra.push((name, raw.to_owned())),
            }
        }
        if !functions.is_empty() {
            if !request.tools.is_empty() {
                let message = "\"functions\" cannot stand beside \"tools\": send all of them as \"tools\"";
                return Err(Failure::invalid("functions", message));
            }
            request.functions = true;
            request.tools = functions.into_iter().map(ToolSpec::from).collect();
            request.tool_choice = request.tool_choice.or(function_call);
        }
        request.max_tokens_is_completion = max_completion_tokens.is_some();
        request.max_tokens = max_completion_tokens.or(max_tokens);
        request.model = model.ok_or_else(|| Failure::invalid("model", "the field \"model\" is missing"))?;
        request.messages = messages.ok_or_else(|| Failure::invalid("messages", "the field \"messages\" is missing"))?;
        functions::number(&mut request.messages);
        if request.messages.is_empty() {
            return Err(Failure::invalid("messages", "\"messages\" is empty: at least one message is needed"));
        }
        Ok(request)
    }
}

fn field<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, Failure> {
    // The quick way first; only a refused field is read again with its path.
    serde_json::from_str(raw.get()).or_else(|_| {
        let mut json = serde_json::Deserializer::from_str(raw.get());
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let joint = if path == "." || path.starts_with('[') { "" } else { "." };
            let param = if path == "." { name.to_owned() } else { format!("{name}{joint}{path}") };
            let reason = error.inner().to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            let message = format!("\"{param}\" is wrong: {reason}");
            Failure::invalid(param, message)
        })
    })
}

/// The members of a JSON object, unread, in order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct StreamOptions {
    include_usage: Option<bool>,
}

struct Stops(Vec<String>);

impl<'de> Deserialize<'de> for Stops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Stops;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }
            fn visit_str<E>(self, text: &str) -> Result<Stops, E> {
                Ok(Stops(vec![text.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stops, A::Error> {
                let mut stops = Vec::new();
                while let Some(stop) = seq.next_element()? {
                    stops.push(stop);
                }
                Ok(Stops(stops))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> (Option<String>, String) {
        let failure = ChatRequest::parse(body.as_bytes()).expect_err(body);
        assert_eq!(failure.class, FailureClass::InvalidRequest);
        (failure.param, failure.message.into_owned())
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (body, param) in [
            ("{", None),
            ("[]", None),
            (r#"{"messages":[{"role":"user","content":"x"}]}"#, Some("model")),
            (r#"{"model":"haia"}"#, Some("messages")),
            (r#"{"model":"haia","messages":[]}"#, Some("messages")),
            (r#"{"model":7,"messages":[]}"#, Some("model")),
            (r#"{"model":"haia","messages":"hi"}"#, Some("messages")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"},{"role":"king","content":"x"}]}"#,
                Some("messages[1].role"),
            ),
            (r#"{"model":"m","messages":[{"content":"x"}]}"#, Some("messages[0]")),
            (r#"{"model":"m","messages":[{"role":"user","content":5}]}"#, Some("messages[0].content")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#, Some("temperature")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tool_choice":"maybe"}"#, Some("tool_choice")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"}]}"#,
                Some("tools[0]"),
            ),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, Some("max_tokens")),
        ] {
            let (found, message) = wrong(body);
            assert_eq!(found.as_deref(), param, "{body}: {message}");
            assert!(found.is_none() || !message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn bears_what_clients_send() {
        let body = r#"{"model":"haia","n":1,"seed":null,"tools":[],"stop":"x","max_tokens":5,"max_completion_tokens":7,"user":"u",
            "messages":[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"extra":1},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1}}}]},
              {"role":"tool","tool_call_id":"c1","content":""},
              {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}},{"type":"input_audio","input_audio":{"data":"x"}}]}]}"#;
        let request = ChatRequest::parse(body.as_bytes()).expect("tolerated");
        assert_eq!(request.max_tokens, Some(7));
        assert_eq!(request.stop, ["x"]);
        assert_eq!(request.messages[0].plain_text(), "a\nb");
        assert_eq!(request.messages[1].tool_calls[0].function.arguments, "{\"a\":1}");
        assert_eq!(request.extra.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["n", "user"]);
        let printed = serde_json::to_value(&request.messages[3]).expect("prints");
        assert_eq!(printed["content"][1]["input_audio"]["data"], "x");
    }
}
