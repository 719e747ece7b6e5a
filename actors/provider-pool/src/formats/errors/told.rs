//! What the body of an error says, whatever its shape. It decides nothing about what that means.

use crate::formats::wire::{self, Json, Raw};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a body says.
#[derive(Default)]
pub struct Told {
    /// The message, as it came.
    pub message: Option<String>,
    /// `type`, in lower case; empty if it is no word, as are those below.
    pub kind: String,
    /// `code`.
    pub code: String,
    /// The field of the request that is wrong.
    pub param: Option<String>,
    /// The status that it tells itself.
    pub status: Option<u16>,
    /// Google's word for the status, and the reason among its details: `UNAVAILABLE`, `API_KEY_INVALID`.
    pub word: String,
    /// That reason.
    pub reason: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    detail: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    code: Raw<'a>,
    #[serde(borrow)]
    param: Raw<'a>,
    #[serde(borrow)]
    status: Raw<'a>,
    #[serde(borrow)]
    status_code: Raw<'a>,
    #[serde(borrow)]
    details: Raw<'a>,
}

impl Told {
    /// `{"error":{…}}`, `{"error":"text"}`, `{"detail":"text"}`, `{"detail":[{"msg":…}]}`, `{"message":…}`, `{"message":{"detail":…}}`, any
    /// of them in an array.
    /// `depth` bounds how far errors within errors are followed.
    pub fn read(json: &str, depth: u32) -> Self {
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(json) else {
            return match serde_json::from_str::<Vec<&RawValue>>(json) {
                Ok(items) if !items.is_empty() && depth > 0 => Self::read(items[0].get(), depth - 1),
                _ => Self::default(),
            };
        };
        let mut told = Self {
            message: wire::filled(wire.message).map(Cow::into_owned),
            kind: word(wire.kind),
            code: word(wire.code),
            param: wire::filled(wire.param).map(Cow::into_owned),
            status: [wire.status, wire.status_code, wire.code].into_iter().find_map(status),
            word: word(wire.status),
            reason: reason(wire.details),
        };
        let inside = wire.message.filter(|message| message.get().starts_with('{')).and_then(|message| {
            let wire: Wire<'_> = serde_json::from_str(message.get()).ok()?;
            wire.detail
        });
        if let Some(detail) = wire.detail.or(inside) {
            told.message = told.message.or_else(|| detail_text(detail));
        }
        if let Some(inner) = wire.error {
            if inner.get().starts_with('{') && depth > 0 {
                let inner = Self::read(inner.get(), depth - 1);
                told = Self {
                    message: inner.message.or(told.message),
                    kind: if inner.kind.is_empty() { told.kind } else { inner.kind },
                    code: if inner.code.is_empty() { told.code } else { inner.code },
                    param: inner.param.or(told.param),
                    status: inner.status.or(told.status),
                    word: if inner.word.is_empty() { told.word } else { inner.word },
                    reason: if inner.reason.is_empty() { told.reason } else { inner.reason },
                };
            } else {
                told.message = wire::filled(Some(inner)).map(Cow::into_owned).or(told.message);
            }
        }
        told
    }

    /// Whether one of its words is one of these.
    pub fn says(&self, words: &[&str]) -> bool {
        let said = [&self.kind, &self.code, &self.word, &self.reason];
        words.iter().any(|word| said.iter().any(|said| *said == word))
    }
}

/// The first `reason` among Google's details.
fn reason(details: Raw<'_>) -> String {
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(borrow)]
        reason: Raw<'a>,
    }
    let details: Vec<Detail<'_>> = details.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    details.iter().map(|detail| word(detail.reason)).find(|reason| !reason.is_empty()).unwrap_or_default()
}

fn word(raw: Raw<'_>) -> String {
    let text = wire::text(raw).unwrap_or_default();
    let sane = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if text.len() <= 64 && text.chars().all(sane) { text.to_ascii_lowercase() } else { String::new() }
}

fn status(raw: Raw<'_>) -> Option<u16> {
    wire::count(raw).or_else(|| wire::text(raw)?.parse().ok()).and_then(|figure| u16::try_from(figure).ok())
}

/// FastAPI's `detail`: a text, or a list of objects with `msg` and the path `loc`.
fn detail_text(detail: Json<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        msg: Raw<'a>,
        #[serde(borrow)]
        loc: Raw<'a>,
    }
    if let Some(text) = wire::filled(Some(detail)) {
        return Some(text.into_owned());
    }
    let items: Vec<Item<'_>> = serde_json::from_str(detail.get()).ok()?;
    let texts: Vec<String> = items
        .iter()
        .filter_map(|item| {
            let message = wire::filled(item.msg)?;
            let path: Vec<serde_json::Value> =
                item.loc.and_then(|loc| serde_json::from_str(loc.get()).ok()).unwrap_or_default();
            let path: Vec<String> = path.iter().map(|step| step.to_string().replace('"', "")).collect();
            Some(if path.is_empty() { message.into_owned() } else { format!("{}: {message}", path.join(".")) })
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
