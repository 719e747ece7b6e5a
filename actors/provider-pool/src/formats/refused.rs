//! What a refusal tells of the model behind it: what it does not take, or wants, by the words in which servers say so.
//!
//! It gives a code of HAIA's own, on which the model is asked once more with another request. It never reads more than the error's message,
//! field and code.

/// The code for a refusal of what the request held, or lacked. `message` and `code` in lower case.
pub fn code(message: &str, param: &str, code: &str) -> Option<&'static str> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let names = |field: &str| message.contains(field) || param.starts_with(field);
    let unknown = code.starts_with("unsupported") || code.starts_with("unknown") || says(&NOT_TAKEN);
    if let Some(code) = sampling(message, param, code) {
        return Some(code);
    }
    if names("reasoning_effort") || names("reasoningeffort") || says(&["think value", "invalid reasoning value"]) {
        if code == "unsupported_value" || says(&OTHER_WORD) {
            return Some("effort_unsupported");
        }
        return unknown.then_some("thinking_unsupported");
    }
    // Gemini knows models by the level: "Thinking level MINIMAL is not supported for this model".
    if message.contains("thinking level") && unknown {
        return Some("effort_unsupported");
    }
    if names("stream_options") || names("include_usage") {
        return Some("stream_options_unsupported");
    }
    if message.contains("reasoning_content") && !unknown {
        return Some("reasoning_content_missing");
    }
    // Anthropic: "Invalid `signature` in `thinking` block"; Gemini: "Thought signature is not valid". One that is missing is another matter.
    if message.contains("signature") && says(&["thinking", "thought"]) && says(&["invalid", "not valid", "corrupt"]) {
        return Some("proof_refused");
    }
    let of_call =
        says(&["tool call id", "tool_call_id"]) || (message.contains("tool_calls[") && message.contains(".id'"));
    (of_call && says(&["length of 9", "string too long"])).then_some("tool_call_id_refused")
}

/// The code for a refusal of `temperature`, `top_p` or `max_tokens` as such, whatever their value. What is said of a value alone (too large, not
/// with thinking) teaches nothing.
fn sampling(message: &str, param: &str, code: &str) -> Option<&'static str> {
    let is = |field: &str| param == field || (param.is_empty() && message.contains(field));
    if message.contains("temperature") && message.contains("top_p") && message.contains("both") {
        return Some("temperature_with_top_p_unsupported");
    }
    let never = code.starts_with("unsupported") || NEVER_TAKEN.iter().any(|phrase| message.contains(phrase));
    if !never || message.contains("reasoning") || message.contains("thinking") {
        return None;
    }
    if is("max_tokens") && (message.contains("max_completion_tokens") || code == "unsupported_parameter") {
        return Some("max_tokens_unsupported");
    }
    if is("temperature") {
        return Some("temperature_unsupported");
    }
    is("top_p").then_some("top_p_unsupported")
}

/// Whether the model takes no tools: Ollama, OpenRouter, vLLM, llama.cpp.
pub fn speaks_of_tools(message: &str) -> bool {
    let phrases =
        ["does not support tool", "support tool use", "does not support function calling", "tools param requires"];
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// Whether the server has no such path: LM Studio, which says so with a good status.
pub fn speaks_of_path(message: &str) -> bool {
    message.contains("unexpected endpoint or method")
}

/// Whether the model cannot think, or not in the way it was asked to: Ollama, Gemini, Anthropic.
pub fn speaks_of_thinking(message: &str) -> bool {
    let phrases = ["does not support thinking", "thinking is not supported", "thinking is not enabled"];
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// Words for a field that is not known.
const NOT_TAKEN: [&str; 8] = [
    "not support",
    "unsupported",
    "not allowed",
    "not permitted",
    "unrecognized",
    "unexpected",
    "unknown",
    "extra_forbidden",
];
/// Words for a field that a model takes with no value but its own.
const NEVER_TAKEN: [&str; 6] =
    ["deprecated", "unsupported", "not supported", "does not support", "only the default", "extra inputs"];
/// Words for a field that is known, with a value that is not.
const OTHER_WORD: [&str; 5] =
    ["must be one of", "supported values", "input should be", "invalid reasoning value", "think value"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_it_in_many_words() {
        for (message, param, told, expected) in [
            ("unrecognized request argument supplied: reasoning_effort", "", "", Some("thinking_unsupported")),
            ("messages.1.content.0: invalid `signature` in `thinking` block", "", "", Some("proof_refused")),
            ("thought signature is not valid.", "", "", Some("proof_refused")),
            ("function call `f` is missing a thought_signature in functioncall parts.", "", "", None),
            (
                "unsupported parameter: 'reasoning_effort' is not supported with this model.",
                "reasoning_effort",
                "unsupported_parameter",
                Some("thinking_unsupported"),
            ),
            ("body.reasoning_effort: extra inputs are not permitted", "", "", Some("thinking_unsupported")),
            ("model grok-4 does not support parameter reasoningeffort.", "", "", Some("thinking_unsupported")),
            (
                "unsupported value: 'reasoning_effort' does not support 'xhigh' with this model.",
                "reasoning_effort",
                "unsupported_value",
                Some("effort_unsupported"),
            ),
            ("thinking level minimal is not supported for this model.", "", "", Some("effort_unsupported")),
            ("`reasoning_effort` must be one of `none` or `default`", "", "", Some("effort_unsupported")),
            ("invalid reasoning value: 'xhigh' (must be \"high\")", "", "", Some("effort_unsupported")),
            (
                "body.stream_options.include_usage: extra inputs are not permitted",
                "",
                "",
                Some("stream_options_unsupported"),
            ),
            ("unknown parameter", "stream_options", "unknown_parameter", Some("stream_options_unsupported")),
            (
                "the `reasoning_content` in the thinking mode must be passed back to the api.",
                "",
                "",
                Some("reasoning_content_missing"),
            ),
            (
                "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2",
                "",
                "",
                Some("reasoning_content_missing"),
            ),
            ("'messages.2': property 'reasoning_content' is unsupported", "", "", None),
            (
                "tool call id was call_abc but must be a-z, a-z, 0-9, with a length of 9.",
                "",
                "",
                Some("tool_call_id_refused"),
            ),
            (
                "invalid 'messages[1].tool_calls[0].id': string too long. expected a string with maximum length 40",
                "",
                "",
                Some("tool_call_id_refused"),
            ),
            ("tool_call_id x was not found", "", "", None),
            ("reasoning_effort and tools together are too much", "", "", None),
            ("no", "messages[0].role", "unsupported_value", None),
            (
                "`temperature` and `top_p` cannot both be specified for this model. please use only one.",
                "",
                "",
                Some("temperature_with_top_p_unsupported"),
            ),
            ("`temperature` is deprecated for this model.", "", "", Some("temperature_unsupported")),
            ("`top_p` is deprecated for this model.", "", "", Some("top_p_unsupported")),
            (
                "unsupported value: 'temperature' does not support 0.7 with this model. only the default (1) value is supported.",
                "temperature",
                "unsupported_value",
                Some("temperature_unsupported"),
            ),
            (
                "unsupported parameter: 'top_p' is not supported with this model.",
                "top_p",
                "unsupported_parameter",
                Some("top_p_unsupported"),
            ),
            (
                "unsupported parameter: 'max_tokens' is not supported with this model. use 'max_completion_tokens' instead.",
                "max_tokens",
                "unsupported_parameter",
                Some("max_tokens_unsupported"),
            ),
            ("max_tokens: 999999 > 64000, which is the maximum allowed", "", "", None),
            ("invalid 'temperature': decimal above maximum value.", "temperature", "decimal_above_max_value", None),
            ("temperature: range: 0..1", "", "", None),
            ("`temperature` may only be set to 1 when thinking is enabled", "", "", None),
            ("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled", "", "", None),
        ] {
            assert_eq!(code(message, param, told), expected, "{message}");
        }
    }

    #[test]
    fn tools_and_thinking_are_told_apart() {
        assert!(
            speaks_of_tools("no endpoints found that support tool use") && !speaks_of_tools("no tool of that name")
        );
        assert!(
            speaks_of_thinking("\"qwen2.5-coder:7b\" does not support thinking") && !speaks_of_thinking("thinking")
        );
    }
}
