//! A chat request checked on its way through: enough to route it, without building what a relayed body does not need.
//!
//! The quick look steps over the body. Whatever it stumbles over is read again by `ChatRequest::parse`, which names the field.

use contract::chat::{ChatRequest, Role};
use contract::failure::{Failure, FailureClass};
use contract::json::Scan;
use contract::provider::{BUILTIN_OFFLINE, Target};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// The most members of a request that are told apart by comparing their names one with another. The commonest clients send a dozen.
const FEW: usize = 64;

/// What the gateway itself must know of a chat request.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// The model id as it was asked for.
    pub(crate) model: Rc<str>,
    /// Whether the answer is streamed.
    pub(crate) stream: bool,
    /// Whether a stream's usage chunk is wanted.
    pub(crate) include_usage: bool,
    /// The whole request, where it had to be read anyway.
    pub(crate) parsed: Option<ChatRequest>,
}

/// Reads what routing needs.
///
/// # Errors
/// [`FailureClass::InvalidRequest`] with the field that is missing or wrong; without one if the body is not JSON.
pub(crate) fn check(body: &[u8]) -> Result<Envelope, Failure> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Failure::new(FailureClass::InvalidRequest, "the body is not JSON: it is not UTF-8"))?;
    if let Some(envelope) = look(text) {
        return Ok(envelope);
    }
    let request = ChatRequest::parse(body)?;
    only_one_answer(request.extra.iter().find(|(name, _)| name == "n").map(|(_, raw)| raw.get()))?;
    Ok(Envelope {
        model: Rc::from(request.model.as_str()),
        stream: request.stream,
        include_usage: request.include_usage,
        parsed: Some(request),
    })
}

fn only_one_answer(n: Option<&str>) -> Result<(), Failure> {
    match n {
        None | Some("1" | "null") => Ok(()),
        Some(_) => Err(Failure::invalid("n", "\"n\" must be 1: HAIA gives one answer to a request")),
    }
}

/// The members that routing looks at, and those whose type a caller gets wrong; the others are stepped over. `None` for whatever is wrong, or
/// right in an uncommon way.
fn look(text: &str) -> Option<Envelope> {
    let (mut model, mut messages, mut stream, mut include_usage) = (None, false, false, false);
    let mut seen = Vec::with_capacity(16);
    let mut scan = Scan::of(text);
    scan.object(|scan, name| {
        if seen.len() == FEW || seen.contains(&name) || name.contains('\\') {
            return None;
        }
        seen.push(name);
        match name {
            "messages" => {
                return scan.array(|scan| {
                    messages = true;
                    message(scan)
                });
            }
            "stream_options" if scan.peek() == Some(b'{') => {
                return scan.object(|scan, name| {
                    let value = scan.value()?;
                    if name == "include_usage" {
                        include_usage = boolean(value)?;
                    }
                    Some(())
                });
            }
            _ => {}
        }
        let value = scan.value()?;
        let is_null = value == "null";
        let is_right = match name {
            "model" => {
                model = string(value);
                model.is_some()
            }
            "stream" => {
                stream = boolean(value)?;
                true
            }
            "stream_options" => is_null,
            "parallel_tool_calls" => boolean(value).is_some(),
            "n" => is_null || value == "1",
            "max_tokens" | "max_completion_tokens" => is_null || value.parse::<u64>().is_ok(),
            "temperature" | "top_p" => is_null || value.starts_with(|c: char| c == '-' || c.is_ascii_digit()),
            "tools" => is_null || value.starts_with('['),
            _ => true,
        };
        is_right.then_some(())
    })?;
    scan.end()?;
    let model = Rc::from(&*model.filter(|_| messages)?);
    Some(Envelope { model, stream, include_usage, parsed: None })
}

/// A message: an object with a known role, and with a text or parts that say what they are. Neither is copied: a picture may have megabytes.
fn message(scan: &mut Scan<'_>) -> Option<()> {
    let (mut has_role, mut has_content) = (false, false);
    scan.object(|scan, name| {
        let is_right = match name {
            "role" => {
                !std::mem::replace(&mut has_role, true)
                    && string(scan.value()?).is_some_and(|role| Role::named(&role).is_some())
            }
            "content" => !std::mem::replace(&mut has_content, true) && content(scan)?,
            _ => scan.skip().is_some(),
        };
        is_right.then_some(())
    })?;
    has_role.then_some(())
}

fn content(scan: &mut Scan<'_>) -> Option<bool> {
    if scan.peek()? == b'[' {
        return scan.array(part).map(|()| true);
    }
    scan.value().map(|value| value == "null" || value.starts_with('"'))
}

fn part(scan: &mut Scan<'_>) -> Option<()> {
    let mut has_type = false;
    scan.object(|scan, name| {
        let value = scan.value()?;
        if name == "type" {
            if has_type || !value.starts_with('"') {
                return None;
            }
            has_type = true;
        }
        Some(())
    })?;
    has_type.then_some(())
}

/// The text of a string. Where it has escapes it is built: PHP escapes the slash that is in every model id.
fn string(value: &str) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') { serde_json::from_str(value).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

/// A truth; null is none.
fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" | "null" => Some(false),
        _ => None,
    }
}

/// Who answers a model id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answerer {
    /// HAIA's agent, along this route or as the built-in responder.
    Agent(Target),
    /// A model as it is.
    Plain(Target),
}

/// The model id of the agent on the default route; with `/<route>` behind it, on that route.
pub(crate) const AGENT: &str = "haia";

/// Reads a model id. Whether the route, provider or model exists is for its owner to say.
///
/// # Errors
/// [`FailureClass::NotFound`] for an id that cannot be one.
pub(crate) fn answerer(id: &str, default_route: impl FnOnce() -> Arc<str>) -> Result<Answerer, Failure> {
    if id == AGENT {
        return Ok(Answerer::Agent(Target::Route(default_route())));
    }
    match id.split_once('/') {
        Some((AGENT, route)) if !route.is_empty() => Ok(Answerer::Agent(Target::Route(route.into()))),
        Some((provider, model)) if !provider.is_empty() && !model.is_empty() && provider != AGENT => {
            let target = Target::Model { provider: provider.into(), model: model.into() };
            Ok(if id == BUILTIN_OFFLINE { Answerer::Agent(target) } else { Answerer::Plain(target) })
        }
        _ => Err(unknown_model(id)),
    }
}

/// The failure for a model id that nothing answers to.
pub(crate) fn unknown_model(id: &str) -> Failure {
    let shown: String = id.chars().take(100).collect();
    let message = format!("there is no model {shown:?}: GET /v1/models lists them");
    Failure { param: Some("model".into()), ..Failure::new(FailureClass::NotFound, message) }
        .with_code("model_not_found")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

    fn refused(body: &str) -> Option<String> {
        let failure = check(body.as_bytes()).expect_err(body);
        assert_eq!(failure.class, FailureClass::InvalidRequest, "{body}");
        assert!(!failure.message.contains("struct"), "names of the program's own in {}", failure.message);
        failure.param
    }

    #[test]
    fn the_quick_look_suffices_for_what_clients_send() {
        for (body, stream, usage) in [
            (format!(r#"{{"model":"m",{ONE}}}"#), false, false),
            (format!(r#"{{"model":"m",{ONE},"stream":true,"n":1,"tools":[],"seed":null}}"#), true, false),
            (format!(r#"{{"model":"m",{ONE},"stream":null,"n":null,"stream_options":null}}"#), false, false),
            (format!(r#"{{"model":"\u006d",{ONE},"n":null}}"#), false, false),
            (r#"{"model":"m","messages":[{"role":"us\u0065r","content":"h\u0069"}]}"#.to_owned(), false, false),
            (
                format!(r#" {{"stream_options":{{"include_usage":true,"x":1}}, "stream" : true,{ONE},"model":"m"}} "#),
                true,
                true,
            ),
            (
                r#"{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{}]},{"role":"tool"},
                {"content":[{"text":"\\u00e9","type":"text"}],"role":"user"}],"temperature":-0.5,"top_p":1e0,"max_tokens":7}"#
                    .to_owned(),
                false,
                false,
            ),
        ] {
            let envelope = check(body.as_bytes()).expect(&body);
            assert!(envelope.parsed.is_none(), "{body}");
            assert_eq!((&*envelope.model, envelope.stream, envelope.include_usage), ("m", stream, usage), "{body}");
        }
    }

    #[test]
    fn what_the_quick_look_refuses_the_whole_reading_may_bear() {
        for (escaped, plain) in [(r"openai\/gpt-4o", "openai/gpt-4o"), (r#"a\/\"b\u00e9"#, "a/\"b\u{e9}")] {
            let body = format!(r#"{{"model":"{escaped}",{ONE}}}"#);
            let envelope = check(body.as_bytes()).expect(&body);
            assert!(&*envelope.model == plain && envelope.parsed.is_none(), "{body}: {envelope:?}");
        }
        let body = format!(r#"{{"model":"first","model":"m",{ONE}}}"#);
        let envelope = check(body.as_bytes()).expect("a name twice: the last one counts");
        assert_eq!(&*envelope.model, "m");
        assert!(envelope.parsed.is_some());
        assert_eq!(refused(&format!(r#"{{"model":"\ud83d",{ONE}}}"#)).as_deref(), Some("model"));
    }

    #[test]
    fn many_members_are_read_without_comparing_each_with_each() {
        for (others, is_quick) in [(FEW - 2, true), (FEW - 1, false), (100_000, false)] {
            let others: String = (0..others).map(|at| format!(r#","x{at}":0"#)).collect();
            let envelope = check(format!(r#"{{"model":"m",{ONE}{others}}}"#).as_bytes()).expect("sound");
            assert_eq!((&*envelope.model, envelope.parsed.is_none()), ("m", is_quick));
        }
    }

    #[test]
    fn every_wrong_request_names_its_field() {
        for (body, param) in [
            ("", None),
            ("{", None),
            ("[]", None),
            ("null", None),
            ("\"text\"", None),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}]} trailing"#, None),
            (r#"{"messages":[{"role":"user","content":"x"}]}"#, Some("model")),
            (r#"{"model":null,"messages":[{"role":"user","content":"x"}]}"#, Some("model")),
            (r#"{"model":5,"messages":[{"role":"user","content":"x"}]}"#, Some("model")),
            (r#"{"model":"m"}"#, Some("messages")),
            (r#"{"model":"m","messages":[]}"#, Some("messages")),
            (r#"{"model":"m","messages":{}}"#, Some("messages")),
            (r#"{"model":"m","messages":["hi"]}"#, Some("messages[0]")),
            (r#"{"model":"m","messages":[{"role":"king","content":"x"}]}"#, Some("messages[0].role")),
            (r#"{"model":"m","messages":[{"content":"x"}]}"#, Some("messages[0]")),
            (r#"{"model":"m","messages":[{"role":"user","content":7}]}"#, Some("messages[0].content")),
            (r#"{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}"#, Some("messages[0].content[0]")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#, Some("temperature")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":-1}"#, Some("max_tokens")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":{}}"#, Some("tools")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}"#, Some("stream")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":3}"#, Some("stream_options")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":2}"#, Some("n")),
            (r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":"1"}"#, Some("n")),
            (r#"{"model":"m","model":"m","messages":[{"role":"user","content":"x"}],"n":0}"#, Some("n")),
        ] {
            assert_eq!(refused(body).as_deref(), param, "{body}");
        }
        assert!(check(b"{\"model\":\"\xff\"}").is_err());
    }

    #[test]
    fn model_ids_lead_to_agent_or_model() {
        let read = |id: &str| answerer(id, || "main".into());
        let model = |provider: &str, model: &str| Target::Model { provider: provider.into(), model: model.into() };
        assert_eq!(read("haia"), Ok(Answerer::Agent(Target::Route("main".into()))));
        assert_eq!(read("haia/fast"), Ok(Answerer::Agent(Target::Route("fast".into()))));
        assert_eq!(read("builtin/offline"), Ok(Answerer::Agent(model("builtin", "offline"))));
        assert_eq!(read("builtin/other"), Ok(Answerer::Plain(model("builtin", "other"))));
        assert_eq!(read("openrouter/a/b:free"), Ok(Answerer::Plain(model("openrouter", "a/b:free"))));
        for id in ["", "gpt-4", "haia/", "/x", "x/", "/"] {
            let failure = read(id).expect_err(id);
            assert_eq!(failure.code.as_deref(), Some("model_not_found"), "{id}");
            assert_eq!(failure.param.as_deref(), Some("model"), "{id}");
        }
    }
}
