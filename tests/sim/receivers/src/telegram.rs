//! A Telegram Bot API: sends, edits, long polls; refuses what the real one refuses.

use crate::html::plain_text;
use crate::sim::{Receiver, Reply, Request};
use serde_json::{Value, json};
use std::time::Duration;

/// A message that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct TelegramMessage {
    /// Its number.
    pub id: i64,
    /// When it came.
    pub at: Duration,
    /// The chat as it was named.
    pub chat: String,
    /// The text without markup, as it is now.
    pub text: String,
    /// The text that was sent, markup included, as it is now.
    pub source: String,
    /// The message it answers.
    pub answers: Option<i64>,
    /// The keyboard as it is now.
    pub keyboard: Value,
    /// How often it was changed.
    pub edits: u32,
}

/// A Bot API server with one bot.
#[derive(Debug, Default)]
pub struct Telegram {
    /// The bot's token.
    pub token: String,
    /// Messages that arrived, in order.
    pub messages: Vec<TelegramMessage>,
    /// Answers to pressed buttons.
    pub answered: Vec<Value>,
    /// How often "typing" was shown.
    pub actions: usize,
    /// Chats that became others.
    pub moved: Vec<(String, i64)>,
    /// Refuses HTML whatever it says.
    pub refuses_html: bool,
    /// Takes only so many characters; 0: 4096.
    pub longest: usize,
    /// Answers 409 so many times more.
    pub conflicts: u32,
    /// Answers 429 with so many seconds when it is asked once more who the bot is.
    pub hello_limited: Option<f64>,
    /// When it was asked who the bot is.
    pub hellos: Vec<Duration>,
    /// When updates were asked for.
    pub polls: Vec<Duration>,
    updates: Vec<Value>,
    next_update: i64,
    next_message: i64,
    held_since: Option<Duration>,
}

impl Telegram {
    /// A server that knows this bot.
    pub fn new(token: &str) -> Self {
        Self { token: token.to_owned(), next_update: 1000, next_message: 1, ..Self::default() }
    }

    /// Somebody presses a button of a message.
    pub fn press(&mut self, user: i64, chat: i64, message: i64, code: &str) -> i64 {
        let of = self.messages.iter().find(|known| known.id == message);
        let (text, keyboard) = of.map(|known| (known.text.clone(), known.keyboard.clone())).unwrap_or_default();
        self.update(json!({"callback_query": {
            "id": format!("q{}", self.next_update),
            "from": {"id": user, "username": format!("user{user}")},
            "data": code,
            "message": {"message_id": message, "date": 1, "text": text, "chat": {"id": chat, "type": "private"}, "reply_markup": keyboard},
        }}))
    }

    /// Somebody writes.
    pub fn say(&mut self, user: i64, chat: i64, kind: &str, text: &str) -> i64 {
        let message = self.next_message;
        self.next_message += 1;
        self.update(json!({"message": {
            "message_id": message, "date": 1, "text": text,
            "from": {"id": user, "username": format!("user{user}")}, "chat": {"id": chat, "type": kind},
        }}))
    }

    /// Gives an update another number: as one that comes a second time.
    pub fn rename(&mut self, from: i64, to: i64) {
        for update in self.updates.iter_mut().filter(|update| update["update_id"] == from) {
            update["update_id"] = json!(to);
        }
    }

    /// Updates that were not confirmed yet.
    pub fn unconfirmed(&self) -> usize {
        self.updates.len()
    }

    fn update(&mut self, mut update: Value) -> i64 {
        let id = self.next_update;
        self.next_update += 1;
        update["update_id"] = json!(id);
        self.updates.push(update);
        id
    }

    fn method<'a>(&self, request: &'a Request) -> Option<&'a str> {
        request.path.strip_prefix(&format!("/bot{}/", self.token))
    }

    fn checked_text(&self, body: &Value) -> Result<String, Reply> {
        let source = body["text"].as_str().unwrap_or_default();
        let text = match body["parse_mode"].as_str() {
            Some("HTML") if self.refuses_html => Err("Unsupported start tag \"b\" at byte offset 0".to_owned()),
            Some("HTML") => plain_text(source),
            Some(other) => Err(format!("unsupported parse_mode {other}")),
            None => Ok(source.to_owned()),
        };
        let text = text.map_err(|why| error(400, &format!("Bad Request: can't parse entities: {why}")))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(error(400, "Bad Request: message text is empty"));
        }
        let longest = if self.longest == 0 { 4096 } else { self.longest };
        if text.chars().count() > longest {
            return Err(error(400, "Bad Request: message is too long"));
        }
        Ok(text.to_owned())
    }

    fn send(&mut self, now: Duration, body: &Value) -> Reply {
        let chat = chat_of(body);
        if let Some((_, to)) = self.moved.iter().find(|(from, _)| *from == chat) {
            let reply = json!({"ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
                "parameters": {"migrate_to_chat_id": to}});
            return Reply::json(400, &reply);
        }
        let rows = body["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
        let codes =
            rows.iter().filter_map(Value::as_array).flatten().filter_map(|button| button["callback_data"].as_str());
        if codes.into_iter().any(|code| code.is_empty() || code.len() > 64) {
            return error(400, "Bad Request: BUTTON_DATA_INVALID");
        }
        let text = match self.checked_text(body) {
            Ok(text) => text,
            Err(reply) => return reply,
        };
        let id = self.next_message;
        self.next_message += 1;
        self.messages.push(TelegramMessage {
            id,
            at: now,
            chat,
            text,
            source: body["text"].as_str().unwrap_or_default().to_owned(),
            answers: body["reply_parameters"]["message_id"].as_i64(),
            keyboard: body["reply_markup"].clone(),
            edits: 0,
        });
        good(&json!({"message_id": id, "date": 1}))
    }

    fn edit(&mut self, body: &Value) -> Reply {
        let text = match self.checked_text(body) {
            Ok(text) => text,
            Err(reply) => return reply,
        };
        let Some(message) = self.messages.iter_mut().find(|message| Some(message.id) == body["message_id"].as_i64())
        else {
            return error(400, "Bad Request: message to edit not found");
        };
        if message.text == text && message.keyboard == body["reply_markup"] {
            return error(400, "Bad Request: message is not modified");
        }
        message.text = text;
        message.source = body["text"].as_str().unwrap_or_default().to_owned();
        message.keyboard = body["reply_markup"].clone();
        message.edits += 1;
        good(&json!({"message_id": message.id, "date": 1}))
    }

    fn poll(&mut self, now: Duration, body: &Value) -> Option<Reply> {
        if self.held_since.is_none() {
            self.polls.push(now);
        }
        if self.conflicts > 0 {
            self.conflicts -= 1;
            return Some(error(409, "Conflict: terminated by other getUpdates request"));
        }
        let offset = body["offset"].as_i64().unwrap_or(0);
        self.updates.retain(|update| update["update_id"].as_i64().unwrap_or(0) >= offset);
        let since = *self.held_since.get_or_insert(now);
        let hold = Duration::from_secs(body["timeout"].as_u64().unwrap_or(0));
        if self.updates.is_empty() && now < since + hold {
            return None;
        }
        self.held_since = None;
        Some(good(&json!(self.updates)))
    }
}

fn chat_of(body: &Value) -> String {
    body["chat_id"].as_str().map_or_else(|| body["chat_id"].to_string(), str::to_owned)
}

fn good(result: &Value) -> Reply {
    Reply::json(200, &json!({"ok": true, "result": result}))
}

fn error(code: u16, description: &str) -> Reply {
    Reply::json(code, &json!({"ok": false, "error_code": code, "description": description}))
}

impl Receiver for Telegram {
    fn is_message(&self, request: &Request) -> bool {
        matches!(self.method(request), Some("sendMessage" | "editMessageText"))
    }

    fn receive(&mut self, now: Duration, request: &Request) -> Option<Reply> {
        let body = request.json();
        Some(match self.method(request) {
            Some("sendMessage") => self.send(now, &body),
            Some("editMessageText") => self.edit(&body),
            Some("getUpdates") => return self.poll(now, &body),
            Some("getMe") => {
                self.hellos.push(now);
                if let Some(seconds) = self.hello_limited.take() {
                    return Some(self.limited(seconds));
                }
                good(&json!({"id": 42, "is_bot": true, "username": "haia_bot"}))
            }
            Some("answerCallbackQuery") => {
                self.answered.push(body);
                good(&json!(true))
            }
            Some("sendChatAction") => {
                self.actions += 1;
                good(&json!(true))
            }
            Some(_) => error(404, "Not Found"),
            None => error(401, "Unauthorized"),
        })
    }

    fn limited(&self, seconds: f64) -> Reply {
        let seconds = seconds.ceil();
        let body = json!({"ok": false, "error_code": 429, "description": format!("Too Many Requests: retry after {seconds}"),
            "parameters": {"retry_after": seconds as u64}});
        Reply::json(429, &body).with("retry-after", seconds as u64)
    }

    fn chat(&self, request: &Request) -> String {
        chat_of(&request.json())
    }
}
