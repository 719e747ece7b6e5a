//! Results of tools as OpenAI takes them: text alone, and in one piece, because servers like DeepSeek take no list of parts here. Their
//! pictures follow as the user's, behind the last result of a run, because nothing may stand between the results of one message's calls.
//!
//! It changes no other message, and nothing of a client's own bytes.

use contract::chat::{Content, Message, Part, Role};
use std::borrow::Cow;

/// What a result says that has no text.
const SEE_BELOW: &str = "(The result follows below.)";

/// The messages, with the pictures of results in messages of their own.
pub fn with_pictures_apart(messages: &[Message]) -> Vec<Cow<'_, Message>> {
    let mut written = Vec::with_capacity(messages.len());
    let mut pictures: Vec<Part> = Vec::new();
    for message in messages {
        if !is_result(message) {
            written.extend(shown(std::mem::take(&mut pictures)));
        }
        written.push(match &message.content {
            Some(Content::Parts(parts)) if is_result(message) => {
                let others: Vec<Part> = parts.iter().filter(|part| !is_text(part)).cloned().collect();
                // Each text on a line of its own, as the formats have it that know but one text.
                let has_text = others.is_empty() || parts.len() > others.len();
                let text = if has_text { message.plain_text() } else { SEE_BELOW.to_owned() };
                pictures.extend(others);
                Cow::Owned(Message {
                    tool_call_id: message.tool_call_id.clone(),
                    name: message.name.clone(),
                    ..Message::text(message.role, text)
                })
            }
            _ => Cow::Borrowed(message),
        });
    }
    written.extend(shown(pictures));
    written
}

fn is_result(message: &Message) -> bool {
    matches!(message.role, Role::Tool | Role::Function)
}

fn is_text(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Refusal(_))
}

/// The pictures as the user's message, if there are any.
fn shown<'a>(pictures: Vec<Part>) -> Option<Cow<'a, Message>> {
    let is_any = !pictures.is_empty();
    is_any.then(|| Cow::Owned(Message { content: Some(Content::Parts(pictures)), ..Message::text(Role::User, "") }))
}

#[cfg(test)]
mod tests {
    use super::super::OpenAi;
    use crate::formats::{Encode, Format as _, ModelSettings};
    use contract::chat::ChatRequest;
    use contract::provider::CallBody;
    use serde_json::{Value, json};
    use std::rc::Rc;

    /// The messages as they are sent.
    fn sent(messages: &Value) -> Value {
        let request = ChatRequest::parse(json!({ "model": "m", "messages": messages }).to_string().as_bytes());
        let body = CallBody::Request(Rc::new(request.expect("a request")));
        let settings = ModelSettings::default();
        let encoded = OpenAi.encode(&Encode { body: &body, model: "m", stream: false, settings: &settings });
        let sent: Value = serde_json::from_slice(&encoded.expect("encodes").body).expect("JSON");
        sent["messages"].clone()
    }

    fn picture(url: &str) -> Value {
        json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{url}") } })
    }

    fn result(id: &str, content: Value) -> Value {
        json!({ "role": "tool", "tool_call_id": id, "content": content })
    }

    fn calls() -> Value {
        let call = |id| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        json!({ "role": "assistant", "content": null, "tool_calls": [call("x"), call("y")] })
    }

    #[test]
    fn pictures_of_results_follow_the_last_of_a_run() {
        let text = json!({ "type": "text", "text": "seen" });
        let user = |content| json!({ "role": "user", "content": content });
        let (one, two) = (picture("AA=="), picture("BB=="));
        let asked = json!([
            user(json!("look")),
            calls(),
            result("x", json!([text, one])),
            result("y", json!([two])),
            user(json!("go on")),
            calls(),
            result("x", json!("plain")),
            result("y", json!([one])),
        ]);
        let below = json!("(The result follows below.)");
        let wanted = json!([
            user(json!("look")),
            calls(),
            result("x", json!("seen")),
            result("y", below.clone()),
            user(json!([one, two])),
            user(json!("go on")),
            calls(),
            result("x", json!("plain")),
            result("y", below),
            user(json!([one])),
        ]);
        assert_eq!(sent(&asked), wanted);
    }

    #[test]
    fn results_of_text_are_one_text() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let parts = json!([text("a"), text("b")]);
        let user = json!({ "role": "user", "content": parts });
        let picture = json!({ "role": "user", "content": [picture("AA==")] });
        let asked = [
            picture.clone(),
            calls(),
            result("x", parts.clone()),
            result("y", json!([])),
            result("z", json!([text("The tool failed:"), text("no\n")])),
            user.clone(),
        ];
        let wanted = [
            picture,
            calls(),
            result("x", json!("a\nb")),
            result("y", json!("")),
            result("z", json!("The tool failed:\nno\n")),
            user,
        ];
        assert_eq!(sent(&json!(asked)), json!(wanted));
    }
}
