//! What kind of failure an error is, by its status and its words.
//!
//! Where a status says too little, servers are known by the words they use; each is kept as narrow as its source allows, so that a person's own
//! text, repeated in an error of another kind, is not taken for one.

use super::told::Told;
use contract::failure::FailureClass;

/// The class. `lower` is the message in lower case.
pub fn of(status: u16, told: &Told, lower: &str) -> FailureClass {
    let too_long = is_too_long(told, lower);
    match status {
        401 => FailureClass::Authentication,
        402 => FailureClass::Billing,
        403 => FailureClass::Permission,
        404 => FailureClass::NotFound,
        408 | 504 | 524 => FailureClass::Timeout,
        413 if !too_long => FailureClass::TooLarge,
        429 => FailureClass::RateLimit,
        529 => FailureClass::Overloaded,
        _ if told.says(&["authentication_error", "invalid_api_key", "api_key_invalid", "unauthenticated"]) => {
            FailureClass::Authentication
        }
        _ if told.says(&["permission_error", "permission_denied"]) => FailureClass::Permission,
        _ if told.says(&["billing_error"]) => FailureClass::Billing,
        _ if told.says(&["overloaded_error", "overloaded", "unavailable"]) => FailureClass::Overloaded,
        _ if told.says(&["rate_limit_error", "rate_limit_exceeded", "resource_exhausted", INSUFFICIENT_QUOTA]) => {
            FailureClass::RateLimit
        }
        _ if told.says(&["not_found_error", "model_not_found", "not_found"]) => FailureClass::NotFound,
        _ if told.says(&["request_too_large"]) => FailureClass::TooLarge,
        _ if too_long => FailureClass::ContextLength,
        _ if told.says(&["deadline_exceeded"]) => FailureClass::Timeout,
        _ => by_words(lower).unwrap_or(match status {
            _ if told.says(&["invalid_request_error", "invalid_argument"]) => FailureClass::InvalidRequest,
            400..=499 => FailureClass::InvalidRequest,
            _ => FailureClass::ServerError,
        }),
    }
}

/// The code of a quota that is used up: it does not come back by itself.
pub const INSUFFICIENT_QUOTA: &str = "insufficient_quota";

/// What servers say with the status, and often the type, of a wrong request, though the request is right and only this account cannot make it.
/// The message must begin so: what is repeated of a request stands further behind.
const OF_THE_ACCOUNT: [(&str, FailureClass); 5] = [
    // Anthropic, 400 invalid_request_error: "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing …"
    // (anthropics/claude-code issue 66314, continuedev/continue issue 5499).
    ("your credit balance is too low", FailureClass::Billing),
    ("credit balance is too low", FailureClass::Billing),
    // xAI, 400 "Client specified an invalid argument": "Incorrect API key provided: na***ys. You can obtain an API key from …"
    // (continuedev/continue issue 10778); at times escaped as in an address (i-am-bee/beeai-framework issue 447).
    ("incorrect api key provided", FailureClass::Authentication),
    ("incorrect%20api%20key%20provided", FailureClass::Authentication),
    // Gemini, 400 FAILED_PRECONDITION: "User location is not supported for the API use." (google-gemini/gemini-cli issue 1614).
    ("user location is not supported", FailureClass::Permission),
];

fn by_words(lower: &str) -> Option<FailureClass> {
    let message = lower.trim_start();
    OF_THE_ACCOUNT.iter().find(|(words, _)| message.starts_with(words)).map(|(_, class)| *class)
}

/// Whether the prompt does not fit into the model's context.
fn is_too_long(told: &Told, lower: &str) -> bool {
    told.says(&["context_length_exceeded", "exceed_context_size_error"])
        || TOO_LONG.iter().any(|words| lower.contains(words))
}

/// The words for a prompt that does not fit, anywhere in the message: most begin with figures or with the name of what refused it.
const TOO_LONG: [&str; 27] = [
    // Anthropic: "prompt is too long: 213462 tokens > 200000 maximum", "input length and `max_tokens` exceed context limit: …".
    "prompt is too long",
    "exceed context limit",
    // OpenAI, DeepSeek, OpenRouter, vLLM, Mistral: "This model's maximum context length is 8192 tokens. However, …", "… too large for model
    // with 32768 maximum context length".
    "maximum context length",
    "context length exceeded",
    // OpenAI: "Your input exceeds the context window of this model"; Ollama: "the input length exceeds the context length".
    "exceeds the context",
    "exceeds the model's context",
    // Gemini: "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)."
    "exceeds the maximum number of tokens",
    // llama.cpp: "request (66000 tokens) exceeds the available context size (65536 tokens), try increasing it", "input (1682 tokens) is larger
    // than the max context size (1024 tokens). skipping", and in the middle of an answer, with status 500: "Context size has been exceeded."
    // (tools/server/server-context.cpp).
    "exceeds the available context",
    "larger than the max context size",
    "context size has been exceeded",
    // llama.cpp, of a text to embed: "input (526 tokens) is too large to process. increase the physical batch size (current batch size: 512)".
    "too large to process. increase the physical batch size",
    // LM Studio: "Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only
    // 4096 tokens, which is not enough. …", without the slips in other versions (lmstudio-ai/lmstudio-bug-tracker issues 237 and 546,
    // n4ze3m/page-assist issue 356).
    "tokens when context the overflows",
    "tokens when context overflows",
    "context length of only",
    // LM Studio: "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). …"
    // (Gitlawb/openclaude issue 353), "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)" (anomalyco/opencode issue 11141), "Reached
    // context length of 4096 tokens with model (arch: gpt-oss) that does not currently support mid-generation context overflow".
    "greater than the context length",
    "cannot truncate prompt with n_keep",
    "support mid-generation context overflow",
    // vLLM: "The decoder prompt (length 21535) is longer than the maximum model length of 16384." (xorbitsai/inference issue 3785), "Prompt
    // length of 2048 is longer than the maximum model length of 2048." (EleutherAI/lm-evaluation-harness issue 2880).
    "longer than the maximum model length",
    // xAI: "This model's maximum prompt length is 131072 but the request contains 136973 tokens." (cline/cline issue 3120).
    "maximum prompt length is",
    // SGLang, Together: "The input (516368 tokens) is longer than the model's context length (262144 tokens)."
    "longer than the model's context length",
    // Groq: "Please reduce the length of the messages or completion." (OpenHands/OpenHands issue 1902).
    "reduce the length of the messages or completion",
    // Text Generation Inference: "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", "`inputs` tokens +
    // `max_new_tokens` must be <= 4096. Given: …" (router/src/validation.rs).
    "`inputs` must have less than",
    "`inputs` tokens + `max_new_tokens` must be",
    // Bedrock, through gateways: "Input is too long for requested model."
    "input is too long for requested model",
    // MiniMax: "invalid params, context window exceeds limit".
    "context window exceeds limit",
    // Kimi: "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)".
    "exceeded model token limit",
    // DashScope: "Range of input length should be [1, 129024]".
    "range of input length should be",
];
