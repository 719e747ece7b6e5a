//! The simulated models: the name of a model says how it behaves.

use super::answer::{Answer, Step};
use super::beside;
use super::encode::{Call, Said, encode};
use super::fixture::Fixture;
use super::obedient;
use super::request::{Format, Request, as_text};
use serde_json::{Value, json};

/// The names, as the lists of models show them. `fixture-ID` is known beside them: it replays that recorded exchange.
pub const MODELS: [&str; 27] = [
    "text",
    "long",
    "thinking",
    "length",
    "echo", // what is said
    "agent",
    "agent-thinking",
    "mixed",
    "caller",
    "parallel",
    "explain",
    "obedient",
    "told", // who calls which tools
    "status-400",
    "status-401",
    "status-403",
    "status-404",
    "status-429",
    "status-500",
    "status-503",
    "status-529",
    "context-length",
    "error-mid", // what a provider refuses
    "hang",
    "hang-mid",
    "cut-mid",
    "cut-head", // how a connection fails
];

/// HAIA's own tools that the scripted agent calls.
const OWN_TOOLS: [&str; 2] = ["get_time", "get_haia_status"];

/// What no error of HAIA's may repeat: a part of a refusing provider's body beside its message, and a key inside the message.
pub const NEVER_TOLD: [&str; 2] = ["raw-body-of-the-provider", "sk-leaked0123456789abcdef"];

/// Answers as the model of that name does.
pub fn by_model(request: &Request) -> Answer {
    let Some(format) = request.format() else { return beside_chats(request) };
    let model = request.model();
    if let Some(id) = model.strip_prefix("fixture-") {
        return match Fixture::load(id) {
            Some(fixture) => fixture.answer(),
            None => refuse(format, 404, None),
        };
    }
    if let Some(status) = model.strip_prefix("status-").and_then(|status| status.parse().ok()) {
        return refuse(format, status, None);
    }
    let plain = hello(request);
    match model.as_str() {
        "text" => plain,
        "long" => {
            let text = (0..200).map(|at| format!("word-{at} ")).collect();
            encode(request, &Said { text, ..Said::default() })
        }
        "thinking" => {
            let thinking = Some(("Let me think.".to_owned(), "sig-0".to_owned()));
            encode(request, &Said { thinking, ..Said::text("I have thought.") })
        }
        "length" => encode(request, &Said { cut_by_limit: true, ..Said::text("This was cut by") }),
        "echo" => encode(request, &Said { text: vec![echo(request)], ..Said::default() }),
        "agent" | "agent-thinking" | "mixed" | "caller" | "parallel" | "explain" | "told" => {
            encode(request, &conversation(&model, request))
        }
        "obedient" => encode(request, &obedient::answer(request)),
        "context-length" => refuse(format, 400, Some("context")),
        "error-mid" => {
            let error = refusal(format, "overloaded_error", None, &complaint());
            let error = match format {
                Format::OpenAi => format!("data: {error}\n\n"),
                Format::Anthropic => format!("event: error\ndata: {error}\n\n"),
                Format::Ollama => format!("{error}\n"),
            };
            plain.after(4, Step::Cut).after(4, Step::Send(error.into_bytes()))
        }
        "hang" => plain.first(Step::Hang),
        "hang-mid" => plain.halfway(Step::Hang),
        "cut-mid" => plain.halfway(Step::Cut),
        "cut-head" => plain.first(Step::Cut),
        _ => refuse(format, 404, None),
    }
}

/// What the model `text` says, whatever model was asked.
pub fn hello(request: &Request) -> Answer {
    encode(request, &Said::text("Hello from the simulated model."))
}

/// These words, whatever model was asked.
pub fn says(request: &Request, text: &str) -> Answer {
    encode(request, &Said::text(text))
}

/// The scripted conversations: what is said depends on how many rounds of tools have come back.
fn conversation(model: &str, request: &Request) -> Said {
    let (round, tools) = (request.rounds(), request.tools());
    let call = |at: usize, name: &str, arguments: Value| Call {
        id: format!("call_sim_{round}_{at}"),
        name: name.to_owned(),
        arguments,
    };
    // A caller's tools come after HAIA's own.
    let callers = || tools.iter().rfind(|tool| !OWN_TOOLS.contains(&tool.as_str())).cloned().unwrap_or_default();
    let calls = match (model, round) {
        _ if tools.is_empty() => Vec::new(),
        ("agent" | "agent-thinking", 0) => vec![call(0, OWN_TOOLS[0], json!({})), call(1, OWN_TOOLS[1], json!({}))],
        ("agent" | "agent-thinking", 1) => vec![call(0, OWN_TOOLS[0], json!({}))],
        ("mixed", 0) => vec![call(0, OWN_TOOLS[0], json!({})), call(1, &callers(), json!({ "city": "Zürich" }))],
        ("caller", 0) => vec![call(0, &callers(), json!({ "city": "Zürich" }))],
        ("parallel", 0) => {
            vec![call(0, &callers(), json!({ "city": "Zürich" })), call(1, &callers(), json!({ "city": "Genève" }))]
        }
        // What a model does that was asked "why did web-01 stop?".
        ("explain", 0) => vec![call(0, "explain_guest_stop", json!({ "guest": "web-01", "cluster": null }))],
        // The person's lines `call NAME ARGUMENTS` are done as they stand.
        ("told", 0) => {
            let person = request.messages().into_iter().rfind(|message| message["role"] == "user").unwrap_or_default();
            let said = as_text(&person["content"]);
            let lines = said.lines().filter_map(|line| line.strip_prefix("call ")?.split_once(' '));
            let arguments = |text: &str| serde_json::from_str(text).unwrap_or_default();
            lines.enumerate().map(|(at, (name, text))| call(at, name, arguments(text))).collect()
        }
        _ => Vec::new(),
    };
    if calls.is_empty() && model == "told" {
        return Said::text(&request.results().join("\n"));
    }
    if calls.is_empty() && model == "explain" {
        let result: Value =
            request.results().last().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        return Said::text(&format!("I looked it up. {}", as_text(&result["summary"])));
    }
    if calls.is_empty() {
        let (results, rounds) = (request.results(), round);
        let text = format!("Final answer after {} results in {rounds} rounds.", results.len());
        return Said::text(&text);
    }
    let thinking = (model == "agent-thinking").then(|| (format!("Round {round}."), format!("sig-{round}")));
    Said { thinking, calls, ..Said::text(if round == 0 { "Let me look. " } else { "" }) }
}

/// What arrived, told back: for tests of what is passed on unchanged.
fn echo(request: &Request) -> String {
    let body = request.json();
    let image_bytes: usize = match request.format() {
        Some(Format::Ollama) => {
            let images =
                request.messages().into_iter().flat_map(|m| m["images"].as_array().cloned().unwrap_or_default());
            images.map(|image| image.as_str().unwrap_or_default().len()).sum()
        }
        _ => request
            .messages()
            .iter()
            .flat_map(|message| message["content"].as_array().cloned().unwrap_or_default())
            .map(|part| {
                let data = part["image_url"]["url"].as_str().and_then(|url| url.split_once(',')).map(|(_, data)| data);
                data.or_else(|| part["source"]["data"].as_str()).unwrap_or_default().len()
            })
            .sum(),
    };
    let last = request.messages().last().map(|message| as_text(&message["content"])).unwrap_or_default();
    json!({
        "messages": request.messages().len(), "tools": request.tools(), "image_bytes": image_bytes, "last": last,
        "temperature": body["temperature"], "seed": body["seed"], "tool_choice": body["tool_choice"],
    })
    .to_string()
}

/// A refusal in the format's own shape, with a body that must not reach HAIA's client.
pub fn refuse(format: Format, status: u16, why: Option<&str>) -> Answer {
    let (kind, code) = match (status, why) {
        (400, Some(_)) => ("invalid_request_error", Some("context_length_exceeded")),
        (401, _) if format == Format::OpenAi => ("invalid_request_error", Some("invalid_api_key")),
        (401, _) => ("authentication_error", None),
        (403, _) => ("permission_error", None),
        (404, _) => ("not_found_error", Some("model_not_found")),
        (429, _) => ("rate_limit_error", Some("rate_limit_exceeded")),
        (529, _) => ("overloaded_error", None),
        (500.., _) => ("api_error", None),
        _ => ("invalid_request_error", None),
    };
    let message = match why {
        Some(_) => "prompt is too long: 300000 tokens > 200000 maximum".to_owned(),
        None => complaint(),
    };
    let body = refusal(format, kind, code, &message);
    let answer = Answer::json(status, &body);
    if status == 429 || status == 503 { answer.header("retry-after", "7") } else { answer }
}

/// What a refusing provider says, with a key in it as some providers do.
fn complaint() -> String {
    format!("the simulated provider refuses the key {}", NEVER_TOLD[1])
}

fn refusal(format: Format, kind: &str, code: Option<&str>, message: &str) -> Value {
    let raw = NEVER_TOLD[0];
    match format {
        Format::OpenAi => {
            json!({ "error": { "message": message, "type": kind, "param": null, "code": code }, "raw": raw })
        }
        Format::Anthropic => json!({ "type": "error", "error": { "type": kind, "message": message }, "raw": raw }),
        Format::Ollama => json!({ "error": message, "raw": raw }),
    }
}

/// Lists of models, versions, and what a test may ask of the simulation itself.
fn beside_chats(request: &Request) -> Answer {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/models" | "/models") => {
            Answer::json(200, &model_list(request.header("anthropic-version").is_some()))
        }
        ("GET", "/api/version") => Answer::json(200, &json!({ "version": "0.12.6" })),
        ("GET", "/api/tags") => {
            let model = |name: &&str| {
                json!({
                    "name": name, "model": name, "modified_at": "2026-01-01T00:00:00Z", "size": 1, "digest": "0",
                    "details": { "family": "sim", "parameter_size": "1B", "quantization_level": "Q4_0" },
                })
            };
            Answer::json(200, &json!({ "models": MODELS.iter().map(model).collect::<Value>() }))
        }
        ("POST", "/api/show") => {
            let info = json!({ "general.architecture": "sim", "sim.context_length": 32_768 });
            Answer::json(200, &json!({ "capabilities": ["completion", "tools", "vision"], "model_info": info }))
        }
        ("GET", "/api/ps") => Answer::json(200, &json!({ "models": [] })),
        _ => beside::answer(request).unwrap_or_else(|| Answer::whole(404, "text/plain", "404 page not found")),
    }
}

/// The list of models, in OpenAI's or Anthropic's shape.
pub fn model_list(anthropic: bool) -> Value {
    let entries = MODELS.iter().map(|name| {
        if anthropic {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z" })
        } else {
            json!({ "id": name, "object": "model", "created": 1_767_225_600, "owned_by": "sim" })
        }
    });
    let data: Value = entries.collect();
    if anthropic {
        json!({ "data": data, "has_more": false, "first_id": MODELS[0], "last_id": MODELS[MODELS.len() - 1] })
    } else {
        json!({ "object": "list", "data": data })
    }
}
