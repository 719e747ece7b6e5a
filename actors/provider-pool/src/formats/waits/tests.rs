//! Waits in headers, bodies and words.

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
    for older in [&b"Thursday, 01-Jan-70 00:01:30 GMT"[..], b"Thu Jan  1 00:01:30 1970", b"Thu Jan 01 00:01:30 1970"] {
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
        (r#"{"error":{"message":"x","details":[{"@type":"a"},{"@type":"RetryInfo","retryDelay":"48s"}]}}"#, Some(48.0)),
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
        (r#"{"error":"Slow down. Please try again in 20 seconds."}"#, Some(20.0)),
        (r#"{"detail":"Retry after 1 minute."}"#, Some(60.0)),
        (r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 30 seconds."}"#, Some(30.0)),
        (r#"{"error":{"message":"x","metadata":{"headers":{"X-RateLimit-Reset":"1741305600000"}}}}"#, Some(60.0)),
        (r#"{"error":"x"}"#, None),
        ("[]", None),
        ("<html>", None),
    ] {
        assert_eq!(of_body(body, now, true).map(|wait| wait.as_secs_f64()), seconds, "{body}");
    }
    let repeated = r#"{"error":{"message":"x","metadata":{"headers":{"X-RateLimit-Reset":"1741305600000"}}}}"#;
    assert_eq!(of_body(repeated, now, false), None, "of another error it is no advice");
}

#[test]
fn a_reset_counts_without_what_remains_and_never_too_early() {
    let limited = |headers: &[(&str, &[u8])], body: &str| {
        let answer = ErrorAnswer { status: 429, headers, body: body.as_bytes(), now: NOW };
        of_headers(&answer, true).map(|wait| wait.as_secs_f64())
    };
    let requests: (&str, &[u8]) = ("x-ratelimit-reset-requests", b"20s");
    let tokens: (&str, &[u8]) = ("x-ratelimit-reset-tokens", b"45s");
    let day: (&str, &[u8]) = ("x-ratelimit-reset-requests", b"17h3m");
    assert_eq!(limited(&[requests], ""), Some(20.0));
    assert_eq!(limited(&[("x-ratelimit-reset", b"30")], ""), Some(30.0));
    assert_eq!(limited(&[requests, tokens], ""), Some(45.0), "whichever it is, it is free again then");
    let by_kind = r#"{"error":{"message":"x","type":"requests"}}"#;
    assert_eq!(limited(&[requests, tokens], by_kind), Some(20.0));
    let by_words = r#"{"error":{"message":"Rate limit reached for m on requests per min (RPM): Limit 3","type":""}}"#;
    assert_eq!(limited(&[requests, tokens], by_words), Some(20.0));
    let by_words = r#"{"error":{"message":"Rate limit reached on tokens per min (TPM)","type":"tokens"}}"#;
    assert_eq!(limited(&[day, tokens], by_words), Some(45.0));
    assert_eq!(limited(&[day, tokens], ""), Some(45.0), "a minute's limit is no reason to wait a day");
    assert_eq!(limited(&[day, tokens], by_kind), Some(61_380.0), "the day's own is");
    assert_eq!(limited(&[day], ""), Some(61_380.0));
    assert_eq!(limited(&[("x-ratelimit-reset-requests", b"0s"), tokens], ""), Some(45.0));
    assert_eq!(limited(&[("x-ratelimit-reset-requests", b"0s")], ""), None);
    let used: (&str, &[u8]) = ("x-ratelimit-remaining-requests", b"0");
    assert_eq!(limited(&[requests, used, tokens], ""), Some(20.0), "the one that is used up is known");
    let left: (&str, &[u8]) = ("x-ratelimit-remaining-tokens", b"5");
    assert_eq!(limited(&[requests, tokens, left], ""), Some(20.0), "the other is not");
    let answer = ErrorAnswer { status: 500, headers: &[requests], body: b"", now: NOW };
    assert_eq!(of_headers(&answer, false), None);
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,30}") {
        let _ = (moment(&text, NOW), of_body(&text, NOW, true));
    }
}
