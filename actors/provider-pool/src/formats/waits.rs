//! How long a provider asks to wait: in every header and every form of body that one was seen to use.
//!
//! The order is that of the official clients: `retry-after-ms`, `retry-after`, then the reset of the limit that is used up, then the body. A
//! wait that is longer than a day is kept as a day: quotas by the week or the month exist. Longer than a month is taken for a mistake.

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
    told.and_then(sane).or_else(|| if is_rate_limit { reset(header, answer.sent_at()) } else { None })
}

/// A date in a header: HTTP's own form, its two older ones (RFC 850, asctime), or a mail's.
pub fn date(text: &str) -> Option<Timestamp> {
    let told = text.trim().parse::<HttpDate>().ok().map(SystemTime::from).and_then(|told| told.try_into().ok());
    told.or_else(|| jiff::fmt::rfc2822::parse(text.trim()).ok().map(|date| date.timestamp()))
}

/// What the body tells: Google's `RetryInfo`, the headers that OpenRouter repeats, or words such as "Please retry in 48.9s".
pub fn of_body(body: &str, now: Timestamp) -> Option<Duration> {
    length_of_body(body).or_else(|| {
        let repeated = Told::read(body)?.metadata?.headers?;
        let header = |name: &str| {
            let value = repeated.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
            value.as_str()
        };
        reset(header, now)
    })
}

/// What the body tells as a length of time.
pub fn length_of_body(body: &str) -> Option<Duration> {
    let told = Told::read(body)?;
    let delays = told.details.iter().flatten().filter_map(|detail| wire::text(detail.retry_delay));
    let delay = delays.filter_map(|delay| length(&delay)).next();
    delay.or_else(|| worded(&wire::text(told.message)?)).and_then(sane)
}

/// The reset of the limit that is used up: of several the last, because all of them must be free again.
fn reset<'h>(header: impl Fn(&str) -> Option<&'h str>, now: Timestamp) -> Option<Duration> {
    const LIMITS: [(&str, &str); 7] = [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
        ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ];
    let waits = LIMITS.iter().filter_map(|(remaining, reset)| {
        let is_used_up = header(remaining).and_then(figure).is_some_and(|left| left < 1.0);
        is_used_up.then(|| moment(header(reset)?, now)).flatten()
    });
    waits.filter_map(sane).max()
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
    length(text).or_else(|| text.parse().ok().map(|at| until(at, now)))
}

fn until(at: Timestamp, now: Timestamp) -> f64 {
    at.duration_since(now).as_secs_f64().max(0.0)
}

fn figure(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|figure| figure.is_finite() && *figure >= 0.0)
}

/// `48s`, `48.939935699s`, `900ms`, `6m0s`, `1h2m3s`, in seconds.
fn length(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let amount = figure(&rest[..digits])?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        seconds += amount
            * match &rest[..letters] {
                "d" => 86_400.0,
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                "us" | "ns" => 0.0,
                _ => return None,
            };
        rest = &rest[letters..];
    }
    Some(seconds)
}

/// "Please retry in 48.9s.", "Please try again in 6m0s."
fn worded(message: &str) -> Option<f64> {
    let lower = message.to_ascii_lowercase();
    let after = ["retry in ", "try again in "]
        .iter()
        .filter_map(|words| lower.find(words).map(|at| &lower[at + words.len()..]))
        .next()?;
    length(after.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next()?.trim_end_matches('.'))
}

fn sane(seconds: f64) -> Option<Duration> {
    let told = Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= CREDIBLE)?;
    Some(told.min(LONGEST))
}

/// The members of an error that tell a wait.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    message: Raw<'a>,
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
    /// The error's own object: `{"error":{…}}`, the same in an array, or the body itself.
    fn read(body: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: Raw<'a>,
        }
        let body = match serde_json::from_str::<Vec<&RawValue>>(body) {
            Ok(items) => items.first()?.get(),
            Err(_) => body,
        };
        let inner = serde_json::from_str::<Body<'_>>(body).ok()?.error.map_or(body, Json::get);
        serde_json::from_str(inner).ok()
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn wait(headers: &[(&str, &[u8])]) -> Option<f64> {
        let answer = ErrorAnswer { status: 429, headers, body: b"", now: NOW };
        of_headers(&answer, true).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn headers_are_read_in_order() {
        assert_eq!(wait(&[("retry-after", b"9"), ("Retry-After-Ms", b"1500")]), Some(1.5));
        assert_eq!(wait(&[("retry-after", b" 2.5 ")]), Some(2.5));
        assert_eq!(wait(&[("retry-after", b"Thu, 01 Jan 1970 00:01:30 GMT")]), Some(90.0));
        assert_eq!(wait(&[("retry-after", b"Wed, 31 Dec 1969 00:01:30 GMT")]), Some(0.0));
        assert_eq!(wait(&[("retry-after", b"72000")]), Some(72_000.0));
        assert_eq!(wait(&[("retry-after", b"172800")]), Some(86_400.0), "two days are no mistake");
        assert_eq!(wait(&[("retry-after", b"Sun, 25 Jan 1970 00:00:00 GMT")]), Some(86_400.0));
        for older in
            [&b"Thursday, 01-Jan-70 00:01:30 GMT"[..], b"Thu Jan  1 00:01:30 1970", b"Thu Jan 01 00:01:30 1970"]
        {
            assert_eq!(wait(&[("retry-after", older)]), Some(90.0), "{}", String::from_utf8_lossy(older));
        }
        for nonsense in [
            &b"soon"[..],
            b"Thu Jan  1 00:01:30",
            b"Thursday, 01-Jan-70 00:01:30 CET",
            b"-5",
            b"inf",
            b"NaN",
            b"999999999",
            b"\xff",
        ] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense:?}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn every_form_of_a_date_is_read_and_counts_from_the_answers_own() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 09:49:37 +0100",
        ] {
            assert_eq!(date(text).map(Timestamp::as_second), Some(784_111_777), "{text}");
            let sent: (&str, &[u8]) = ("Date", b"Sun, 06 Nov 1994 08:49:07 GMT");
            assert_eq!(wait(&[sent, ("retry-after", text.as_bytes())]), Some(30.0), "by the provider's own clock");
            assert_eq!(wait(&[("retry-after", text.as_bytes()), ("date", b"soon")]), None, "25 years are a mistake");
        }
        assert_eq!(date("soon"), None);
        let sent: (&str, &[u8]) = ("date", b"Sun, 06 Nov 1994 08:49:07 GMT");
        let used: (&str, &[u8]) = ("x-ratelimit-remaining", b"0");
        assert_eq!(wait(&[sent, used, ("x-ratelimit-reset", b"784111777000")]), Some(30.0));
    }

    #[test]
    fn a_limit_that_is_used_up_tells_its_reset() {
        let open: (&str, &[u8]) = ("x-ratelimit-remaining-requests", b"59");
        let requests: (&str, &[u8]) = ("x-ratelimit-reset-requests", b"6m0s");
        let used: (&str, &[u8]) = ("x-ratelimit-remaining-tokens", b"0");
        let tokens: (&str, &[u8]) = ("x-ratelimit-reset-tokens", b"900ms");
        assert_eq!(wait(&[open, requests, used, tokens]), Some(0.9));
        assert_eq!(wait(&[("x-ratelimit-remaining-requests", b"0"), requests, used, tokens]), Some(360.0));
        assert_eq!(wait(&[open, requests]), None);
        assert_eq!(wait(&[used, tokens, ("retry-after", b"7")]), Some(7.0));
        let used = ("anthropic-ratelimit-input-tokens-remaining", &b"0"[..]);
        assert_eq!(wait(&[used, ("anthropic-ratelimit-input-tokens-reset", b"1970-01-01T00:00:42Z")]), Some(42.0));
        let used = ("x-ratelimit-remaining", &b"0"[..]);
        assert_eq!(wait(&[used, ("x-ratelimit-reset", b"30")]), Some(30.0));
        let answer = ErrorAnswer { status: 500, headers: &[used, ("x-ratelimit-reset", b"30")], body: b"", now: NOW };
        assert_eq!(of_headers(&answer, false), None);
    }

    #[test]
    fn bodies_tell_waits_too() {
        let now: Timestamp = "2025-03-06T23:59:00Z".parse().expect("a time");
        for (body, seconds) in [
            (
                r#"{"error":{"message":"x","details":[{"@type":"a"},{"@type":"RetryInfo","retryDelay":"48s"}]}}"#,
                Some(48.0),
            ),
            (r#"[{"error":{"details":[{"retryDelay":"0.5s"}]}}]"#, Some(0.5)),
            (r#"{"error":{"message":"Quota. Please retry in 48.5s."}}"#, Some(48.5)),
            (r#"{"error":{"message":"Rate limit reached. Please try again in 6m0s. Visit x"}}"#, Some(360.0)),
            (r#"{"message":"please retry in 2h"}"#, Some(7200.0)),
            (
                r#"{"error":{"message":"x","metadata":{"headers":{"X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1741305600000"}}}}"#,
                Some(60.0),
            ),
            (r#"{"error":{"message":"retry in a while","details":"x","metadata":[]}}"#, None),
            (r#"{"error":{"message":"retry in 9000h"}}"#, None),
            (r#"{"error":{"message":"x","details":[{"retryDelay":"172800s"}]}}"#, Some(86_400.0)),
            (r#"{"error":"x"}"#, None),
            ("[]", None),
            ("<html>", None),
        ] {
            assert_eq!(of_body(body, now).map(|wait| wait.as_secs_f64()), seconds, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,30}") {
            let _ = (length(&text), worded(&text), moment(&text, NOW), of_body(&text, NOW));
        }
    }
}
