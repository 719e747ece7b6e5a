//! How long a provider asks to wait: in every header and every form of body that one was seen to use.
//!
//! The order is that of the official clients: `retry-after-ms`, `retry-after`, then the reset of the limit that is used up, then the body. A
//! wait that is longer than a day is kept as a day: quotas by the week or the month exist. Longer than a month is taken for a mistake.

mod words;

use super::ErrorAnswer;
use super::wire::{self, Json, Raw};
use awc::http::header::HttpDate;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::{Duration, SystemTime};

/// Of longer waits this much is kept.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Longer waits than this are taken for a mistake, such as a date where a length of time belongs.
const CREDIBLE: Duration = Duration::from_secs(31 * 24 * 3600);
/// Limits that count by the second, the minute or the hour are free again within this.
const WINDOW: Duration = Duration::from_secs(3600);

/// What the headers tell. `is_rate_limit`: whether the resets of rate limits count too.
pub fn of_headers(answer: &ErrorAnswer<'_>, is_rate_limit: bool) -> Option<Duration> {
    let header = |name: &str| {
        let value = answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
        std::str::from_utf8(value).ok().map(str::trim)
    };
    let milliseconds = header("retry-after-ms").and_then(figure).map(|ms| ms / 1000.0);
    let told = milliseconds.or_else(|| {
        let text = header("retry-after")?;
        figure(text).or_else(|| Some(until(date(text)?, answer.sent_at())))
    });
    told.and_then(sane).or_else(|| {
        let limited = is_rate_limit.then(|| Limited::read(&wire::utf8(answer.body)))?;
        reset(header, limited, answer.sent_at())
    })
}

/// A date in a header: HTTP's own form, its two older ones (RFC 850, asctime), or a mail's.
pub fn date(text: &str) -> Option<Timestamp> {
    let told = text.trim().parse::<HttpDate>().ok().map(SystemTime::from).and_then(|told| told.try_into().ok());
    told.or_else(|| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|date| date.timestamp()))
}

/// What the body tells: Google's `RetryInfo`, words such as "Please retry in 48.9s", or the headers that OpenRouter repeats, if resets of rate
/// limits count (`is_rate_limit`).
pub fn of_body(body: &str, now: Timestamp, is_rate_limit: bool) -> Option<Duration> {
    length_of_body(body).or_else(|| {
        let limited = is_rate_limit.then(|| Limited::read(body))?;
        let repeated = Told::read(body)?.metadata?.headers?;
        let header = |name: &str| {
            let value = repeated.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
            value.as_str()
        };
        reset(header, limited, now)
    })
}

/// What the body tells as a length of time.
pub fn length_of_body(body: &str) -> Option<Duration> {
    let told = Told::read(body)?;
    let delays = told.details.iter().flatten().filter_map(|detail| wire::text(detail.retry_delay));
    let delay = delays.filter_map(|delay| words::length(&delay)).next();
    delay.or_else(|| words::told(&wire::text(told.message)?)).and_then(sane)
}

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limited {
    Requests,
    Tokens,
    /// Nobody says.
    Unknown,
}

impl Limited {
    /// Which limit an error speaks of: OpenAI's `type` is `requests` or `tokens`, and its message says "tokens per min", as others' do.
    fn read(body: &str) -> Self {
        let Some(told) = Told::read(body) else { return Self::Unknown };
        let word = |raw| wire::text(raw).unwrap_or_default().to_ascii_lowercase();
        let (kind, message) = (word(told.kind), word(told.message));
        let speaks = |of: &str| kind == of || [" per", "/"].iter().any(|per| message.contains(&format!("{of}{per}")));
        match (speaks("requests"), speaks("tokens")) {
            (true, false) => Self::Requests,
            (false, true) => Self::Tokens,
            _ => Self::Unknown,
        }
    }
}

/// The reset of the limit that is used up: of several the last, because all of them must be free again.
///
/// Where no limit is told to be used up, those count of which nobody tells what remains: the one that the error speaks of; else of several
/// again the last, so that nobody is asked too early. A reset beyond [`WINDOW`] does not decide then: it is that of a day's quota beside a
/// minute's, and most refusals are the minute's. It counts only where nothing nearer is told.
fn reset<'h>(header: impl Fn(&str) -> Option<&'h str>, limited: Limited, now: Timestamp) -> Option<Duration> {
    use Limited::{Requests, Tokens, Unknown};
    const LIMITS: [(Limited, &str, &str); 7] = [
        (Requests, "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        (Tokens, "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        (Requests, "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
        (Tokens, "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        (Tokens, "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
        (Tokens, "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
        (Unknown, "x-ratelimit-remaining", "x-ratelimit-reset"),
    ];
    let told = LIMITS.iter().filter_map(|(kind, remaining, reset)| {
        let wait = moment(header(reset)?, now).and_then(sane)?;
        Some((*kind, header(remaining).and_then(figure), wait))
    });
    let told: Vec<(Limited, Option<f64>, Duration)> = told.collect();
    let used_up = told.iter().filter(|(_, left, _)| left.is_some_and(|left| left < 1.0)).map(|(.., wait)| *wait).max();
    if used_up.is_some() {
        return used_up;
    }
    // A reset that is due already says nothing.
    let open = || told.iter().filter(|(_, left, wait)| left.is_none() && !wait.is_zero());
    let fitting = open().filter(|(kind, ..)| limited != Unknown && *kind == limited).map(|(.., wait)| *wait).max();
    let near = || open().map(|(.., wait)| *wait).filter(|wait| *wait <= WINDOW).max();
    fitting.or_else(near).or_else(|| open().map(|(.., wait)| *wait).min())
}

/// A reset as seconds from now: a length (`6m0s`, `900ms`), a time stamp, or seconds or milliseconds, from now or since 1970.
fn moment(text: &str, now: Timestamp) -> Option<f64> {
    if let Some(figure) = figure(text) {
        let since_1970 = |seconds: f64| (seconds - now.as_duration().as_secs_f64()).max(0.0);
        return Some(match figure {
            figure if figure > 1e11 => since_1970(figure / 1000.0),
            figure if figure > 1e8 => since_1970(figure),
            figure => figure,
        });
    }
    words::length(text).or_else(|| text.parse().ok().map(|at| until(at, now)))
}

fn until(at: Timestamp, now: Timestamp) -> f64 {
    at.duration_since(now).as_secs_f64().max(0.0)
}

fn figure(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|figure| figure.is_finite() && *figure >= 0.0)
}

fn sane(seconds: f64) -> Option<Duration> {
    let told = Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= CREDIBLE)?;
    Some(told.min(LONGEST))
}

/// The members of an error that tell a wait.
#[derive(Default, Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "list")]
    details: Option<Vec<Detail<'a>>>,
    #[serde(default, deserialize_with = "metadata")]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(borrow, rename = "retryDelay")]
    retry_delay: Raw<'a>,
}

#[derive(Deserialize)]
struct Metadata {
    headers: Option<serde_json::Map<String, serde_json::Value>>,
}

impl<'a> Told<'a> {
    /// The error's own object: `{"error":{…}}`, the same in an array, or the body itself. An error or a detail that is a text is the message.
    fn read(body: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: Raw<'a>,
            #[serde(borrow)]
            detail: Raw<'a>,
        }
        let body = match serde_json::from_str::<Vec<&RawValue>>(body) {
            Ok(items) => items.first()?.get(),
            Err(_) => body,
        };
        let told: Body<'a> = serde_json::from_str(body).ok()?;
        let text = told.error.or(told.detail).filter(|told| told.get().starts_with('"'));
        if text.is_some() {
            return Some(Self { message: text, ..Self::default() });
        }
        serde_json::from_str(told.error.map_or(body, Json::get)).ok()
    }
}

/// A member of another type reads as absent.
fn list<'de: 'a, 'a, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Detail<'a>>>, D::Error> {
    let raw: Raw<'de> = Deserialize::deserialize(deserializer)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

fn metadata<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Metadata>, D::Error> {
    let raw: Raw<'de> = Deserialize::deserialize(deserializer)?;
    Ok(raw.and_then(|raw| serde_json::from_str(raw.get()).ok()))
}

#[cfg(test)]
mod tests;
