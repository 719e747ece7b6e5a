//! Reads Telegram's updates, tolerantly: what is of another kind or shape is passed over, but still counted as handled.

use serde_json::{Value, json};

/// One update.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Its number: the next question asks for those after it.
    pub id: i64,
    /// What it is; `None` for what HAIA has no use for.
    pub what: Option<What>,
}

/// What an update is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A button was pressed.
    Press(Box<Press>),
    /// Something was written.
    Said(Said),
}

/// Who and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The user's number.
    pub user: i64,
    /// The user's name, for people.
    pub name: String,
    /// The chat's number.
    pub chat: i64,
    /// The chat's public name, without `@`.
    pub chat_name: Option<String>,
    /// Whether it is a chat of two.
    pub is_private: bool,
}

/// A button that was pressed.
#[derive(Clone, Debug, PartialEq)]
pub struct Press {
    /// Who and where.
    pub sender: Sender,
    /// What the answer to it is for.
    pub query: String,
    /// What the button holds.
    pub code: String,
    /// The message that it belongs to: number, text, entities, keyboard. `None` when it is too old to be changed.
    pub message: Option<Pressed>,
}

/// The message of a button.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressed {
    /// Its number.
    pub id: i64,
    /// Its text without markup.
    pub text: String,
    /// The markup, as Telegram keeps it.
    pub entities: Value,
    /// The rows of buttons.
    pub keyboard: Vec<Vec<Value>>,
}

/// Something that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Who and where.
    pub sender: Sender,
    /// The message's number.
    pub message: i64,
    /// The text.
    pub text: String,
    /// Who wrote the message that it answers, by number.
    pub answers_user: Option<i64>,
}

/// The updates of an answer to `getUpdates`; `None` when it is none.
pub fn read_updates(answer: &Value) -> Option<Vec<Update>> {
    if answer["ok"] != true {
        return None;
    }
    let updates = answer["result"].as_array()?;
    Some(updates.iter().filter_map(read).collect())
}

fn read(update: &Value) -> Option<Update> {
    let id = update["update_id"].as_i64()?;
    let press = update.get("callback_query").and_then(read_press).map(|press| What::Press(Box::new(press)));
    Some(Update { id, what: press.or_else(|| update.get("message").and_then(read_said).map(What::Said)) })
}

fn sender(from: &Value, chat: &Value) -> Option<Sender> {
    let user = from["id"].as_i64()?;
    let name = from["username"].as_str().or_else(|| from["first_name"].as_str());
    Some(Sender {
        user,
        name: name.map_or_else(|| user.to_string(), |name| crate::message::shortened(name, 40)),
        chat: chat["id"].as_i64()?,
        chat_name: chat["username"].as_str().map(str::to_owned),
        is_private: chat["type"] == "private",
    })
}

fn read_press(query: &Value) -> Option<Press> {
    let message = &query["message"];
    let pressed = match (message["message_id"].as_i64(), message["text"].as_str()) {
        // A message without a date is too old to be seen.
        (Some(id), Some(text)) if message["date"].as_i64() != Some(0) => Some(Pressed {
            id,
            text: text.to_owned(),
            entities: message.get("entities").cloned().unwrap_or_else(|| json!([])),
            keyboard: serde_json::from_value(message["reply_markup"]["inline_keyboard"].clone()).unwrap_or_default(),
        }),
        _ => None,
    };
    Some(Press {
        sender: sender(&query["from"], &message["chat"])?,
        query: query["id"].as_str()?.to_owned(),
        code: query["data"].as_str()?.to_owned(),
        message: pressed,
    })
}

fn read_said(message: &Value) -> Option<Said> {
    Some(Said {
        sender: sender(&message["from"], &message["chat"])?,
        message: message["message_id"].as_i64()?,
        text: message["text"].as_str()?.to_owned(),
        answers_user: message["reply_to_message"]["from"]["id"].as_i64(),
    })
}
