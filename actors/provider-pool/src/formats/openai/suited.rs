//! Requests as one server wants them, after it refused another: the thinking of earlier rounds sent back, ids of tool calls in the form that
//! it takes, and the word for how hard to think.
//!
//! Nothing here is done unless a refusal, or the list of models, told to.

use crate::formats::prompt::{self, Members, Object};
use crate::formats::{Encode, ModelSettings, call_ids};
use contract::chat::{Effort, Message};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The member of a message that holds what was thought.
pub const REASONING: &str = "reasoning_content";

/// The messages of a request that HAIA built. Thinking is added where they are printed.
pub fn messages<'a>(messages: &'a [Message], settings: &ModelSettings) -> Cow<'a, [Message]> {
    if !settings.short_call_ids {
        return Cow::Borrowed(messages);
    }
    let mut messages = messages.to_vec();
    for message in &mut messages {
        for call in &mut message.tool_calls {
            call.id = call_ids::nine(&call.id).into_owned();
        }
        message.tool_call_id = message.tool_call_id.as_deref().map(|id| call_ids::nine(id).into_owned());
    }
    Cow::Owned(messages)
}

/// The messages of a client's own bytes, if anything of them is to be changed and can be read.
pub fn raw(messages: &RawValue, settings: &ModelSettings) -> Option<Vec<Box<RawValue>>> {
    if !settings.short_call_ids && !settings.reasoning_back {
        return None;
    }
    let messages: Vec<&RawValue> = serde_json::from_str(messages.get()).ok()?;
    messages.into_iter().map(|message| raw_message(message, settings)).collect()
}

fn raw_message(message: &RawValue, settings: &ModelSettings) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(message.get()).ok()?;
    let given = |name: &str| {
        members.iter().find(|(known, value)| known == name && value.get() != "null").map(|(_, value)| *value)
    };
    let mut object = Object::with_capacity(message.get().len() + 64);
    for (name, value) in &members {
        match name.as_str() {
            REASONING if settings.reasoning_back && value.get() == "null" => {}
            "tool_calls" if settings.short_call_ids && value.get() != "null" => {
                let calls: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                let calls: Option<Vec<_>> = calls.into_iter().map(|call| with_nine(call, "id")).collect();
                object.add(name, &calls?);
            }
            "tool_call_id" if settings.short_call_ids => object.add(name, &nine(value)?),
            _ => object.add(name, value),
        }
    }
    let is_assistant = given("role").is_some_and(|role| role.get() == "\"assistant\"");
    if settings.reasoning_back && is_assistant {
        // Some clients keep it under the shorter name. What neither the client nor HAIA kept cannot be given.
        let kept = given("reasoning").and_then(|value| serde_json::from_str::<String>(value.get()).ok());
        object.add(REASONING, &kept.unwrap_or_default());
    }
    RawValue::from_string(String::from_utf8(object.finish()).ok()?).ok()
}

fn with_nine(call: &RawValue, member: &str) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(call.get()).ok()?;
    let mut object = Object::with_capacity(call.get().len());
    for (name, value) in &members {
        if name == member { object.add(name, &nine(value)?) } else { object.add(name, value) }
    }
    RawValue::from_string(String::from_utf8(object.finish()).ok()?).ok()
}

fn nine(id: &RawValue) -> Option<String> {
    let id: String = serde_json::from_str(id.get()).ok()?;
    Some(call_ids::nine(&id).into_owned())
}

/// The word for how hard to think, if the model is told one. `max` is no word of OpenAI's.
pub fn effort(call: &Encode<'_>, word: &str, notices: &mut Vec<String>) -> Option<Effort> {
    if call.settings.thinking == Some(false) {
        if word != "none" {
            notices.push(prompt::without_thinking(call.model));
        }
        return None;
    }
    let word = if word == "max" { "xhigh" } else { word };
    if !call.settings.other_effort {
        return Some(Effort(word.to_owned()));
    }
    let (other, done) = match word {
        "xhigh" => (Some("high"), "asked with high"),
        "minimal" => (Some("low"), "asked with low"),
        _ => (None, "asked without any"),
    };
    notices.push(format!("the model {} does not know the reasoning effort {word}; {done}", call.model));
    other.map(|word| Effort(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn changed(messages: &Value, settings: &ModelSettings) -> Option<Value> {
        let text = RawValue::from_string(messages.to_string()).expect("JSON");
        let changed = raw(&text, settings)?;
        Some(serde_json::to_value(changed).expect("JSON"))
    }

    #[test]
    fn thinking_goes_back_with_the_models_own_messages() {
        let settings = ModelSettings { reasoning_back: true, ..ModelSettings::default() };
        let messages = json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "a", "reasoning_content": "hm"},
            {"role": "assistant", "content": "b", "reasoning_content": null, "reasoning": "so"},
            {"role": "assistant", "content": "c"},
        ]);
        let changed = changed(&messages, &settings).expect("read");
        let told: Vec<&Value> =
            changed.as_array().expect("messages").iter().map(|message| &message[REASONING]).collect();
        assert_eq!(told, [&json!(null), &json!("hm"), &json!("so"), &json!("")]);
        assert_eq!(changed[0], messages[0]);
    }

    #[test]
    fn calls_and_results_get_the_same_short_ids() {
        let settings = ModelSettings { short_call_ids: true, ..ModelSettings::default() };
        let messages = json!([
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_long", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "abcDEF123", "type": "function", "function": {"name": "f", "arguments": "{ }"}}]},
            {"role": "tool", "tool_call_id": "call_long", "content": "r"},
            {"role": "tool", "tool_call_id": "abcDEF123", "content": "r"},
        ]);
        let changed = changed(&messages, &settings).expect("read");
        let id = changed[0]["tool_calls"][0]["id"].as_str().expect("an id");
        assert!(id.len() == 9 && changed[1]["tool_call_id"] == id, "{changed}");
        assert_eq!((&changed[0]["tool_calls"][1], &changed[2]), (&messages[0]["tool_calls"][1], &messages[2]));
        let request =
            contract::chat::ChatRequest::parse(json!({"model": "m", "messages": messages}).to_string().as_bytes());
        let request = request.expect("a request");
        let built = super::messages(&request.messages, &settings);
        assert_eq!((built[0].tool_calls[0].id.as_str(), built[1].tool_call_id.as_deref()), (id, Some(id)));
    }

    #[test]
    fn nothing_changes_unless_a_refusal_told_to() {
        assert!(changed(&json!([{"role": "assistant"}]), &ModelSettings::default()).is_none());
        let settings = ModelSettings { short_call_ids: true, ..ModelSettings::default() };
        assert!(changed(&json!([1]), &settings).is_none(), "the server will say what is wrong with it");
    }
}
