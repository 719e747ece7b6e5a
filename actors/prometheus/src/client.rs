//! The way to one server: a GET, and its answer as JSON, or why there is none in words for people; and one writing request, sent once. It judges
//! no content.

use crate::config::ServerConfig;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::header;
use contract::clock::SharedClock;
use contract::units::{Size, Span};
use jiff::Timestamp;
use runtime::http::{Connect, client};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The deadline for connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 16 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a writing request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostTrouble {
    /// It was refused, or reached nobody: nothing was done.
    Refused(Trouble),
    /// It may have arrived, and its answer is lost: nobody knows what became of it.
    Lost(Trouble),
}

/// An answer, and the server's own time where it told it.
pub(crate) struct Dated {
    pub(crate) value: Value,
    pub(crate) at: Option<Timestamp>,
}

/// One server, on one thread.
#[derive(Clone)]
pub struct Server {
    name: &'static str,
    base: Arc<str>,
    authorization: Option<Arc<str>>,
    client: awc::Client,
    /// For what is sent once: a connection that was kept may end just as it is used.
    writer: awc::Client,
    clock: SharedClock,
}

impl Server {
    /// The way to a server. `name` is what people call it (`Prometheus`).
    pub fn new(name: &'static str, config: &ServerConfig, clock: SharedClock) -> Self {
        let tls = config.url.starts_with("https://");
        let connect = |keep_alive| client(&Connect { timeout: CONNECT, keep_alive, tls });
        let (kept, writer) = (connect(Duration::from_secs(30)), connect(Duration::ZERO));
        let authorization = config.token.as_ref().map(|token| format!("Bearer {}", token.expose()).into());
        Self { name, base: config.url.trim_end_matches('/').into(), authorization, client: kept, writer, clock }
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.base
    }

    /// Asks, and reads the answer as JSON. Dropping the future ends the request.
    ///
    /// # Errors
    /// Nothing came, in time or at all, or it is no JSON; or the server refuses, in its own words.
    pub async fn get(&self, path: &str, query: &[(&str, String)], within: Duration) -> Result<Value, Trouble> {
        self.get_dated(path, query, within).await.map(|answer| answer.value)
    }

    /// The same with the server's time.
    pub(crate) async fn get_dated(
        &self,
        path: &str,
        query: &[(&str, String)],
        within: Duration,
    ) -> Result<Dated, Trouble> {
        tokio::select! {
            biased;
            answer = self.exchange(path, query) => answer,
            () = self.clock.pause(within) => Err(self.too_late(within)),
        }
    }

    /// Sends JSON, once. Dropping the future ends the request, which may have arrived then.
    ///
    /// # Errors
    /// Whether it was refused, or may have been done.
    pub async fn post(&self, path: &str, body: &Value, within: Duration) -> Result<Value, PostTrouble> {
        tokio::select! {
            biased;
            answer = self.send(path, body) => answer,
            () = self.clock.pause(within) => Err(PostTrouble::Lost(self.too_late(within))),
        }
    }

    async fn send(&self, path: &str, body: &Value) -> Result<Value, PostTrouble> {
        let mut request = self.writer.post(format!("{}{path}", self.base));
        request = request.insert_header((header::ACCEPT, "application/json"));
        request = request.insert_header((header::CONTENT_TYPE, "application/json"));
        if let Some(authorization) = &self.authorization {
            request = request.insert_header((header::AUTHORIZATION, authorization.as_ref()));
        }
        let mut response = request.send_body(body.to_string()).await.map_err(|error| match &error {
            // The connection was there, and ended before the answer.
            SendRequestError::Connect(ConnectError::Disconnected) => {
                PostTrouble::Lost(self.trouble("ended the connection without an answer"))
            }
            // Only without a connection it is certain that nothing has arrived.
            SendRequestError::Connect(_) | SendRequestError::Url(_) => PostTrouble::Refused(self.unreachable(&error)),
            _ => PostTrouble::Lost(self.unreachable(&error)),
        })?;
        let status = response.status().as_u16();
        let body = response.body().limit(LARGEST).await;
        let value = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        match (status, value) {
            (200..=299, Some(value)) => Ok(value),
            (200..=299, None) => Err(PostTrouble::Lost(self.trouble("answered with something that is no JSON"))),
            (401 | 403, _) => Err(PostTrouble::Refused(self.trouble("refuses HAIA: set a token, or a valid one"))),
            (300..=499, value) => Err(PostTrouble::Refused(self.refused(status, value.as_ref()))),
            (status, _) => Err(PostTrouble::Lost(self.trouble(&format!("answered with status {status}")))),
        }
    }

    fn too_late(&self, within: Duration) -> Trouble {
        self.trouble(&format!("did not answer within {}", Span(within)))
    }

    async fn exchange(&self, path: &str, query: &[(&str, String)]) -> Result<Dated, Trouble> {
        let mut request = self.client.get(format!("{}{path}{}", self.base, encode(query)));
        request = request.insert_header((header::ACCEPT, "application/json"));
        if let Some(authorization) = &self.authorization {
            request = request.insert_header((header::AUTHORIZATION, authorization.as_ref()));
        }
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let at = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
        let body = response.body().limit(LARGEST).await.map_err(|error| match error {
            PayloadError::Overflow => self.trouble(&format!("answered with more than {}: ask for less", Size(LARGEST))),
            error => self.trouble(&format!("broke off its answer: {error}")),
        })?;
        let value = serde_json::from_slice::<Value>(&body).ok();
        match (status, value) {
            (200..=299, Some(value)) => Ok(Dated { value, at }),
            (200..=299, None) => Err(self.trouble("answered with something that is no JSON: is the address right?")),
            (401 | 403, _) => Err(self.trouble("refuses HAIA: set a token, or a valid one")),
            (status, value) => Err(self.refused(status, value.as_ref())),
        }
    }

    /// Prometheus tells `error`, Alertmanager a bare text or `message`.
    fn refused(&self, status: u16, value: Option<&Value>) -> Trouble {
        let told = value.and_then(|value| {
            let member = |name: &str| value.get(name).and_then(Value::as_str);
            member("error").or_else(|| member("message")).or_else(|| value.as_str())
        });
        match told {
            Some(told) => {
                self.trouble(&format!("refuses the question: {}", told.chars().take(400).collect::<String>()))
            }
            None => self.trouble(&format!("answered with status {status}")),
        }
    }

    fn unreachable(&self, error: &SendRequestError) -> Trouble {
        match error {
            SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => {
                self.trouble(&format!("cannot be reached at {}: no connection in time", self.base))
            }
            error => self.trouble(&format!("cannot be reached at {}: {error}", self.base)),
        }
    }

    fn trouble(&self, what: &str) -> Trouble {
        Trouble(format!("{} {what}", self.name))
    }
}

/// A query string; empty for no members.
fn encode(query: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encode(&[]), "");
        let query = [("query", "sum by (a) (rate(x{b=\"ä\"}[5m]))".to_owned()), ("time", "1.5".to_owned())];
        let text = "?query=sum%20by%20%28a%29%20%28rate%28x%7Bb%3D%22%C3%A4%22%7D%5B5m%5D%29%29&time=1.5";
        assert_eq!(encode(&query), text);
    }
}
