//! Errors of every shape, and what they mean.

use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn read(status: u16, body: &str) -> Failure {
    answered(&ErrorAnswer { status, headers: &[], body: body.as_bytes(), now: NOW })
}

#[test]
fn bodies_of_every_shape_are_read() {
    for (status, body, class, message) in [
        (400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#, FailureClass::InvalidRequest, "no"),
        (400, r#"{"error":"no"}"#, FailureClass::InvalidRequest, "no"),
        (
            400,
            r#"{"type":"error","error":{"type":"x","message":"no"},"request_id":"r"}"#,
            FailureClass::InvalidRequest,
            "no",
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
            FailureClass::InvalidRequest,
            "no",
        ),
        (400, r#"{"message":"no"}"#, FailureClass::InvalidRequest, "no"),
        (
            422,
            r#"{"detail":[{"loc":["body","messages",0],"msg":"field required"}]}"#,
            FailureClass::InvalidRequest,
            "body.messages.0: field required",
        ),
        (
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error","param":null,"code":null}"#,
            FailureClass::InvalidRequest,
            "body.stream_options.include_usage: Extra inputs are not permitted",
        ),
        (404, r#"{"detail":"Not Found"}"#, FailureClass::NotFound, "Not Found"),
        (500, r#"{"error":{"message":"a\n\tb","code":500}}"#, FailureClass::ServerError, "a b"),
        (502, "<html>bad</html>", FailureClass::ServerError, "the provider answered with HTTP status 502"),
        (
            500,
            r#"{"error":{"message":"<html>bad"}}"#,
            FailureClass::ServerError,
            "the provider answered with HTTP status 500",
        ),
        (429, "", FailureClass::RateLimit, "the provider limits the rate"),
        (529, "{}", FailureClass::Overloaded, "the provider is overloaded"),
        (504, "null", FailureClass::Timeout, "the provider answered with HTTP status 504"),
        (402, r#"{"error":{"message":"no credits"}}"#, FailureClass::Billing, "no credits"),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens."}}"#,
            FailureClass::ContextLength,
            "This model's maximum context length is 8192 tokens.",
        ),
        (503, r#"{"error":{"type":"overloaded_error","message":"busy"}}"#, FailureClass::Overloaded, "busy"),
        (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"x"},{"reason":"API_KEY_INVALID"}]}}"#,
            FailureClass::Authentication,
            "the provider refuses the API key: check api_key",
        ),
        (
            400,
            r#"{"error":{"message":"The input token count (9) exceeds the maximum number of tokens allowed (5).","status":"INVALID_ARGUMENT"}}"#,
            FailureClass::ContextLength,
            "The input token count (9) exceeds the maximum number of tokens allowed (5).",
        ),
        (413, "too big", FailureClass::TooLarge, "the provider answered with HTTP status 413"),
        (
            500,
            r#"{"error":{"message":"Traceback (most recent call last): File x"}}"#,
            FailureClass::ServerError,
            "the provider answered with HTTP status 500",
        ),
    ] {
        let failure = read(status, body);
        assert_eq!((failure.class, failure.message.as_ref()), (class, message), "{status} {body}");
    }
}

#[test]
fn codes_and_fields_are_told() {
    let failure = read(
        400,
        r#"{"error":{"message":"bad","code":"unsupported_value","param":"messages[0].role","type":"invalid_request_error"}}"#,
    );
    assert_eq!(
        (failure.code.as_deref(), failure.param.as_deref()),
        (Some("unsupported_value"), Some("messages[0].role"))
    );
    let code = |status, body| read(status, body).code.map(Cow::into_owned);
    assert_eq!(code(400, r#"{"error":"gemma:2b does not support tools"}"#).as_deref(), Some("tools_unsupported"));
    let missing =
        r#"{"error":{"message":"The `reasoning_content` in the thinking mode must be passed back to the API."}}"#;
    assert_eq!(code(400, missing).as_deref(), Some("reasoning_content_missing"));
    let effort = r#"{"error":{"message":"x","code":"unsupported_parameter","param":"reasoning_effort"}}"#;
    assert_eq!(code(400, effort).as_deref(), Some("thinking_unsupported"));
    assert_eq!(code(429, r#"{"error":"reasoning_effort is not supported"}"#), None);
    assert_eq!(code(400, r#"{"error":{"code":400,"message":"x"}}"#), None);
    assert_eq!(code(404, "").as_deref(), Some("model_not_found"));
    assert_eq!(code(400, r#"{"error":{"message":"x","code":"a b<script>"}}"#), None);
}

#[test]
fn a_refused_key_is_told_in_own_words() {
    let failure = read(401, r#"{"error":{"message":"invalid key hunter2"}}"#);
    assert_eq!(failure.message, "the provider refuses the API key: check api_key");
}

#[test]
fn deep_nesting_ends() {
    for (open, close) in [("{\"error\":", "}"), ("[", "]")] {
        let body = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(read(400, &body).class, FailureClass::InvalidRequest);
    }
}

#[test]
fn a_provider_says_whether_to_try_again() {
    let retry = |headers: &[(&str, &[u8])], body: &str| {
        answered(&ErrorAnswer { status: 429, headers, body: body.as_bytes(), now: NOW }).retry
    };
    assert_eq!(retry(&[("X-Should-Retry", b"true")], ""), Some(true));
    assert_eq!(retry(&[("x-should-retry", b"false")], ""), Some(false));
    assert_eq!(retry(&[("x-should-retry", b"perhaps")], ""), None);
    assert_eq!(retry(&[], r#"{"error":{"message":"x","type":"insufficient_quota"}}"#), Some(false));
}

#[test]
fn errors_inside_a_stream_tell_their_own_status() {
    for (json, class) in [
        (r#"{"error":{"message":"x","code":429}}"#, FailureClass::RateLimit),
        (r#"{"error":{"message":"x","status_code":400}}"#, FailureClass::InvalidRequest),
        (r#"{"error":"x","status":503}"#, FailureClass::ServerError),
        (r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#, FailureClass::Overloaded),
        (r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}"#, FailureClass::RateLimit),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, FailureClass::Overloaded),
        (r#"{"error":"x"}"#, FailureClass::ServerError),
        ("garbage", FailureClass::ServerError),
    ] {
        assert_eq!(inside(json).class, class, "{json}");
    }
}

#[test]
fn what_only_the_account_cannot_do_is_not_the_requests_fault() {
    let anthropic = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}"#;
    let xai = r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: na***ys. You can obtain an API key from https://console.x.ai."}"#;
    let escaped =
        r#"{"code":"Client specified an invalid argument","error":"Incorrect%20API%20key%20provided:%20ba***na."}"#;
    let gemini = r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#;
    for (body, class) in [
        (anthropic, FailureClass::Billing),
        (xai, FailureClass::Authentication),
        (escaped, FailureClass::Authentication),
        (gemini, FailureClass::Permission),
        (&format!("[{gemini}]"), FailureClass::Permission),
    ] {
        let failure = read(400, body);
        assert_eq!((failure.class, failure.may_fail_over()), (class, true), "{body}");
        assert_eq!(inside(body).class, class, "{body}");
    }
    assert_eq!(read(400, xai).message, "the provider refuses the API key: check api_key");
    for echoed in [
        "Invalid value: 'Your credit balance is too low'",
        "messages.0.content: \"Incorrect API key provided\" is not allowed",
        "the text \"User location is not supported\" is refused",
    ] {
        let body = serde_json::json!({ "error": { "type": "invalid_request_error", "message": echoed } }).to_string();
        assert_eq!(read(400, &body).class, FailureClass::InvalidRequest, "{echoed}");
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_known_by_every_servers_words() {
    for message in [
        "prompt is too long: 213462 tokens > 200000 maximum",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens.",
        "Your input exceeds the context window of this model",
        "the input length exceeds the context length",
        "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input",
        "Trying to keep the first 6547 tokens when context overflows. However, the model is loaded with a context length of only 4096 tokens, which is not enough.",
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.",
        "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)",
        "Reached context length of 4096 tokens with model (arch: gpt-oss) that does not currently support mid-generation context overflow",
        "The decoder prompt (length 21535) is longer than the maximum model length of 16384.",
        "Prompt length of 2048 is longer than the maximum model length of 2048.",
        "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
        "request (66000 tokens) exceeds the available context size (65536 tokens), try increasing it",
        "input (1682 tokens) is larger than the max context size (1024 tokens). skipping",
        "input (526 tokens) is too large to process. increase the physical batch size (current batch size: 512)",
        "Context size has been exceeded.",
        "The input (516368 tokens) is longer than the model's context length (262144 tokens).",
        "Please reduce the length of the messages or completion.",
        "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
        "Input is too long for requested model.",
        "invalid params, context window exceeds limit",
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
        "Range of input length should be [1, 129024]",
    ] {
        let body = serde_json::json!({ "error": { "message": message, "type": "invalid_request_error" } }).to_string();
        let bare = serde_json::json!({ "error": message }).to_string();
        for failure in [read(400, &body), read(500, &bare), inside(&body), inside(&bare)] {
            assert_eq!(failure.class, FailureClass::ContextLength, "{message}");
            assert_eq!(failure.code.as_deref(), Some("context_length_exceeded"), "{message}");
            assert_eq!(crate::backoff::pause(&failure, 1, 0.5), None, "never twice the same: {message}");
            assert!(failure.may_fail_over(), "{message}");
        }
        assert_eq!(read(429, &body).class, FailureClass::RateLimit, "{message}");
    }
    for message in ["max_tokens: 999999 > 64000, which is the maximum allowed", "Slow down", "the context is missing"] {
        let body = serde_json::json!({ "error": message }).to_string();
        assert_eq!(read(400, &body).class, FailureClass::InvalidRequest, "{message}");
    }
}

#[test]
fn a_quota_that_is_used_up_is_told_by_its_code() {
    for body in [
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":null}}"#,
        r#"{"error":{"message":"You exceeded your current quota","type":"x","code":"insufficient_quota"}}"#,
    ] {
        for failure in [read(429, body), inside(body)] {
            assert_eq!(
                (failure.class, failure.code.as_deref(), failure.retry),
                (FailureClass::RateLimit, Some("insufficient_quota"), Some(false)),
                "{body}"
            );
        }
    }
}

#[test]
fn a_redirect_names_base_url_and_where_it_leads() {
    let redirected = |status, location: Option<&str>| {
        let headers: Vec<(&str, &[u8])> = location.iter().map(|to| ("Location", to.as_bytes())).collect();
        let failure = answered(&ErrorAnswer { status, headers: &headers, body: b"<html>Moved", now: NOW });
        assert_eq!((failure.class, failure.code.as_deref()), (FailureClass::NotFound, Some("provider_redirected")));
        assert_eq!(crate::backoff::pause(&failure, 1, 0.5), None, "not asked again");
        assert!(
            failure.message.contains("base_url is redirected") && failure.message.contains(&format!("HTTP {status}"))
        );
        failure.message.into_owned()
    };
    for (status, location, told) in [
        (301, "https://api.example/v1/chat/completions", "to https://api.example/v1/chat/completions:"),
        (308, "HTTPS://u:secret@api.example:8443/v1/x?key=secret#secret", "to https://api.example:8443/v1/x:"),
        (302, "//api.example/v1", "to api.example/v1:"),
        (307, "/login?next=secret", "to /login:"),
        (302, "https://api.example/sk-abc123def456/v1", "to https://api.example/***/v1:"),
    ] {
        let message = redirected(status, Some(location));
        assert!(message.contains(told), "{message}");
        assert!(!message.contains("secret") && !message.contains("sk-abc"), "{message}");
    }
    let long = format!("https://api.example/{}", "x/".repeat(200));
    for location in [None, Some(""), Some("javascript:secret"), Some("ftp://secret/x"), Some("https:///x"), Some(&long)]
    {
        let message = redirected(302, location);
        assert!(message.contains("does not say where to") && !message.contains("secret"), "{message}");
    }
}

proptest! {
    #[test]
    fn no_body_is_too_odd(status in 0u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let failure = answered(&ErrorAnswer { status, headers: &[], body: &body, now: NOW });
        prop_assert!(!failure.message.is_empty());
    }
}
