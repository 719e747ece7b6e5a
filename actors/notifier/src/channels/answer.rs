//! Requests to receivers and what comes back. They hold addresses with tokens in them, so they have no `Debug`.

use bytes::Bytes;
use std::time::Duration;

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A new message.
    Post,
    /// A change of one.
    Patch,
    /// A look that changes nothing.
    Get,
    /// A look at whether anybody is there.
    Head,
}

/// An HTTP request.
#[derive(Clone)]
pub struct HttpRequest {
    /// How.
    pub verb: Verb,
    /// Where.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A POST of JSON.
    pub fn json(url: impl Into<String>, body: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { verb: Verb::Post, url: url.into(), headers, body: body.to_string().into_bytes() }
    }

    /// A request without a body that changes nothing.
    pub fn look(verb: Verb, url: impl Into<String>) -> Self {
        Self { verb, url: url.into(), headers: Vec::new(), body: Vec::new() }
    }
}

/// An e-mail.
#[derive(Clone)]
pub struct MailRequest {
    /// From whom and to whom.
    pub envelope: lettre::address::Envelope,
    /// The whole message.
    pub message: Vec<u8>,
}

/// What is sent.
#[derive(Clone)]
pub enum Dispatch {
    /// Over HTTP.
    Http(HttpRequest),
    /// By mail.
    Mail(MailRequest),
    /// To the mail server, without a mail: HAIA says who it is, signs in, and leaves.
    Greeting,
}

/// A question that tells whether a channel works, without a message to anybody.
pub struct Check {
    /// The question.
    pub dispatch: Dispatch,
    /// What is seen in a good answer, in a few words; `None` for any other, which means what [`super::Channel::classify`] says.
    pub seen: fn(&Answer) -> Option<String>,
}

/// What came back: of HTTP, or the last answer of a mail server with its code as the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `None` when it is none.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// How long the header `Retry-After` asks to wait: seconds, or a date that is compared with the server's own.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<f64>() {
            return seconds_of(seconds);
        }
        let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        let now = jiff::fmt::rfc2822::parse(self.header("date")?).ok()?.timestamp();
        // Dates have whole seconds: one more, so that it is never too early.
        Duration::try_from(until.duration_since(now)).ok().map(|wait| wait + Duration::from_secs(1))
    }
}

/// Seconds as a duration; `None` for what is no time.
pub fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status: 429, headers, body: Bytes::new() }
    }

    #[test]
    fn waits_are_read_as_seconds_and_dates() {
        for (headers, wait) in [
            (vec![("retry-after", "7")], Some(7000)),
            (vec![("retry-after", "0.25")], Some(250)),
            (
                vec![("retry-after", "Sun, 01 Mar 2026 12:00:30 GMT"), ("date", "Sun, 01 Mar 2026 12:00:00 GMT")],
                Some(31_000),
            ),
            (vec![("retry-after", "-1")], None),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "NaN")], None),
            (vec![], None),
        ] {
            assert_eq!(answer(&headers).retry_after().map(|wait| wait.as_millis()), wait, "{headers:?}");
        }
    }
}
