//! The items of a request's input as neutral messages.

use crate::fields::typed;
use contract::chat::{Content, Message, Part, Role, ToolCall};
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    role: Option<String>,
    content: Option<Box<RawValue>>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    output: Option<Box<RawValue>>,
    summary: Option<Vec<Summary>>,
}

#[derive(Deserialize)]
struct Summary {
    text: String,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    detail: Option<String>,
    file_data: Option<String>,
    filename: Option<String>,
}

/// Puts messages together: what the assistant said, thought and called without a word between is one message.
#[derive(Default)]
struct Conversation {
    messages: Vec<Message>,
    assistant: Option<Message>,
    names: HashMap<String, String>,
}

/// Reads `input`: a text, or items.
///
/// # Errors
/// `InvalidRequest` with the path of the item that is wrong, or of a kind that HAIA cannot honour.
pub(crate) fn read(input: &RawValue) -> Result<Vec<Message>, Failure> {
    if input.get().starts_with('"') {
        return Ok(vec![Message::text(Role::User, typed::<String>("input", input)?)]);
    }
    let items: Vec<Box<RawValue>> = serde_json::from_str(input.get())
        .map_err(|_| Failure::invalid("input", "\"input\" is wrong: it must be a text or an array of items"))?;
    if items.is_empty() {
        return Err(Failure::invalid("input", "\"input\" is empty: at least one item is needed"));
    }
    let mut conversation = Conversation::default();
    for (at, raw) in items.iter().enumerate() {
        let path = format!("input[{at}]");
        let item: Item = typed(&path, raw)?;
        conversation.add(item, &path)?;
    }
    conversation.flush();
    Ok(conversation.messages)
}

impl Conversation {
    fn add(&mut self, item: Item, path: &str) -> Result<(), Failure> {
        let kind = item.kind.clone().unwrap_or_else(|| "message".to_owned());
        match kind.as_str() {
            "message" => self.message(&item, path)?,
            "function_call" => {
                let (id, name) = (needed(item.call_id, "call_id", path)?, needed(item.name, "name", path)?);
                self.names.insert(id.clone(), name.clone());
                self.assistant().tool_calls.push(ToolCall::new(id, name, item.arguments.unwrap_or_default()));
            }
            "function_call_output" => {
                self.flush();
                let id = needed(item.call_id, "call_id", path)?;
                let output = needed(item.output, "output", path)?;
                let content = Some(content(&output, &format!("{path}.output"))?);
                let name = self.names.get(&id).cloned();
                self.messages.push(Message { tool_call_id: Some(id), name, content, ..Message::text(Role::Tool, "") });
            }
            "reasoning" => {
                let texts: Vec<String> = item.summary.unwrap_or_default().into_iter().map(|part| part.text).collect();
                if !texts.is_empty() {
                    let thinking = self.assistant().reasoning_content.get_or_insert_default();
                    thinking.push_str(&texts.join("\n\n"));
                }
            }
            "item_reference" => {
                let message = "HAIA keeps no answers: send the item itself in place of a reference; clients do so that are told \"store\": false";
                return Err(Failure::invalid(format!("{path}.type"), message));
            }
            kind => {
                let message = format!(
                    "an item of the type {kind:?} cannot be sent: send messages, reasoning, function calls and their outputs"
                );
                return Err(Failure::invalid(format!("{path}.type"), message));
            }
        }
        Ok(())
    }

    fn message(&mut self, item: &Item, path: &str) -> Result<(), Failure> {
        let role = match item.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            _ => {
                let param = format!("{path}.role");
                let message = format!("{param:?} must be \"user\", \"assistant\", \"system\" or \"developer\"");
                return Err(Failure::invalid(param, message));
            }
        };
        let given = item.content.as_deref();
        let given = given.ok_or_else(|| missing("content", path))?;
        let said = match content(given, &format!("{path}.content"))? {
            Content::Parts(parts) => Content::joined(parts),
            text @ Content::Text(_) => text,
        };
        if role != Role::Assistant {
            self.flush();
            self.messages.push(Message { content: Some(said), ..Message::text(role, "") });
            return Ok(());
        }
        if self.assistant().content.is_some() {
            self.flush();
        }
        self.assistant().content = Some(said);
        Ok(())
    }

    fn assistant(&mut self) -> &mut Message {
        self.assistant.get_or_insert_with(|| Message { content: None, ..Message::text(Role::Assistant, "") })
    }

    fn flush(&mut self) {
        self.messages.extend(self.assistant.take());
    }
}

fn needed<T>(member: Option<T>, name: &str, path: &str) -> Result<T, Failure> {
    member.ok_or_else(|| missing(name, path))
}

fn missing(name: &str, path: &str) -> Failure {
    Failure::invalid(format!("{path}.{name}"), format!("the field {name:?} of this item is missing"))
}

/// A text, or parts.
fn content(raw: &RawValue, path: &str) -> Result<Content, Failure> {
    if raw.get().starts_with('"') {
        return typed(path, raw).map(Content::Text);
    }
    let pieces: Vec<Piece> = typed(path, raw)?;
    let mut parts = Vec::with_capacity(pieces.len());
    for (at, piece) in pieces.into_iter().enumerate() {
        parts.push(part(piece, &format!("{path}[{at}]"))?);
    }
    Ok(match parts.as_mut_slice() {
        [Part::Text(text)] => Content::Text(std::mem::take(text)),
        _ => Content::Parts(parts),
    })
}

fn part(piece: Piece, path: &str) -> Result<Part, Failure> {
    match piece.kind.as_str() {
        "input_text" | "output_text" | "text" => needed(piece.text, "text", path).map(Part::Text),
        "refusal" => needed(piece.refusal, "refusal", path).map(Part::Refusal),
        "input_image" => {
            let url = piece.image_url.ok_or_else(|| {
                let message = "a picture must come as image_url: HAIA keeps no files";
                Failure::invalid(format!("{path}.image_url"), message)
            })?;
            Ok(Part::Image { url, detail: piece.detail })
        }
        "input_file" => {
            let data = piece.file_data.ok_or_else(|| {
                let message = "a file must come as file_data: HAIA keeps no files";
                Failure::invalid(format!("{path}.file_data"), message)
            })?;
            let name = piece.filename.as_deref().unwrap_or("file");
            let file = serde_json::json!({ "type": "file", "file": { "filename": name, "file_data": data } });
            let json = RawValue::from_string(file.to_string());
            let json = json.map_err(|_| Failure::invalid(path, "the file cannot be sent"))?;
            Ok(Part::Other { kind: "file".to_owned(), json })
        }
        kind => {
            let message =
                format!("a part of the type {kind:?} cannot be sent: send input_text, input_image or input_file");
            Err(Failure::invalid(format!("{path}.type"), message))
        }
    }
}
