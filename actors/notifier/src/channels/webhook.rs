//! Any program that takes JSON: the whole notice, once for every event, with what a receiver needs to count it once and to trust it.
//!
//! Headers: `Idempotency-Key` is the delivery's id, the same for every attempt. Where a secret is set, `X-Haia-Timestamp` holds Unix seconds
//! and `X-Haia-Signature` is `sha256=` and the hexadecimal HMAC-SHA256 of timestamp, a full stop and the body. 2xx is done; 408, 425, 429
//! and 5xx are tried again; anything else is refused for good.

use super::{Answer, Channel, Check, Dispatch, Form, HttpRequest, Outcome, Piece, Verb, said};
use crate::config::WebhookConfig;
use crate::message::Limits;
use contract::notify::Notice;
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use std::fmt::Write as _;

/// A program that takes JSON.
pub struct Webhook {
    config: WebhookConfig,
}

impl Webhook {
    /// The channel of a configuration.
    pub fn new(config: WebhookConfig) -> Self {
        Self { config }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    /// The id of this delivery: the idempotency key.
    delivery: &'a str,
    #[serde(flatten)]
    notice: &'a Notice,
}

/// The signature of a request as its header says it.
pub fn signature(secret: &str, timestamp: &str, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| format!("the secret: {error}"))?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut out = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    Ok(out)
}

impl Channel for Webhook {
    fn limits(&self, _: Form) -> Limits {
        Limits { budget: usize::MAX >> 8, parts: 1, weigh: |_| 1, markup: 0 }
    }

    fn render(&self, piece: &Piece<'_>) -> Result<Dispatch, String> {
        let body = Body { delivery: piece.row, notice: piece.notice };
        let body =
            serde_json::to_vec(&body).map_err(|error| format!("the notice cannot be written as JSON: {error}"))?;
        let mut headers =
            vec![("Content-Type", "application/json".to_owned()), ("Idempotency-Key", piece.row.to_owned())];
        if let Some(secret) = &self.config.secret {
            let timestamp = piece.wall.as_second().to_string();
            headers.push(("X-Haia-Signature", signature(secret.expose(), &timestamp, &body)?));
            headers.push(("X-Haia-Timestamp", timestamp));
        }
        Ok(Dispatch::Http(HttpRequest { verb: Verb::Post, url: self.config.url.clone(), headers, body }))
    }

    fn classify(&self, answer: &Answer) -> Outcome {
        let told = said(&String::from_utf8_lossy(&answer.body[..answer.body.len().min(500)]));
        match answer.status {
            200..300 => Outcome::delivered(None),
            408 | 425 | 500.. => {
                Outcome::Retry { why: format!("it answered {}", answer.status), wait: answer.retry_after() }
            }
            429 => Outcome::Limited { wait: answer.retry_after(), why: "it wants a pause".to_owned() },
            status => Outcome::Refused { why: format!("it answered {status}: {told}") },
        }
    }

    fn wants_every_event(&self) -> bool {
        true
    }

    fn checks(&self) -> Vec<Check> {
        // Programs that take only POST answer 404, 405 or 501, which shows that somebody is there.
        let seen = |answer: &Answer| {
            let refused = matches!(answer.status, 401 | 403 | 500 | 502..);
            (!refused).then(|| format!("somebody answers there ({} to HEAD)", answer.status))
        };
        vec![Check { dispatch: Dispatch::Http(HttpRequest::look(Verb::Head, self.config.url.as_str())), seen }]
    }

    fn secrets(&self) -> Vec<&str> {
        self.config.secret.iter().map(|secret| secret.expose()).collect()
    }
}
