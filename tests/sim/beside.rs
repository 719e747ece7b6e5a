//! What the simulated provider can do beside chats: embeddings in three formats, speech, transcription, counting tokens.

use super::answer::{Answer, Step};
use super::models::refuse;
use super::request::{Format, Request};
use serde_json::{Value, json};

/// What every text is embedded as; exact as 32-bit floats.
const VECTOR: [f64; 3] = [0.25, -1.5, 3.0];
/// [`VECTOR`] as little-endian 32-bit floats in base64.
const VECTOR_BASE64: &str = "AACAPgAAwL8AAEBA";
/// What is spoken, in the pieces that it leaves in. No text: bytes that are no UTF-8.
pub const SOUND: [&[u8]; 4] = [b"ID3\xff\x00", b"\xfb\x90one", b"\xfb\x90two", b"\xfb\x90three"];

/// Answers what is known; `None` for other paths.
pub fn answer(request: &Request) -> Option<Answer> {
    if request.method != "POST" {
        return None;
    }
    let model = request.model();
    if let Some(status) = model.strip_prefix("status-").and_then(|status| status.parse().ok()) {
        let format = if request.path.starts_with("/api") { Format::Ollama } else { Format::OpenAi };
        return Some(refuse(format, status, None));
    }
    let answer = match request.path.as_str() {
        "/v1/embeddings" => Answer::json(200, &embeddings(request)),
        "/v1/audio/speech" => Answer::pieces("audio/mpeg", SOUND.map(<[u8]>::to_vec)),
        "/v1/audio/transcriptions" => transcription(request),
        "/v1/messages/count_tokens" => Answer::json(200, &json!({ "input_tokens": 42 })),
        "/api/embed" => {
            let vectors: Vec<Value> = texts(&request.json()["input"]).map(|_| json!(VECTOR)).collect();
            Answer::json(200, &json!({ "model": model, "embeddings": vectors, "prompt_eval_count": 5 }))
        }
        path if path.ends_with(":batchEmbedContents") => {
            let asked = request.json()["requests"].as_array().map_or(0, Vec::len);
            let vectors: Vec<Value> = (0..asked).map(|_| json!({ "values": VECTOR })).collect();
            Answer::json(200, &json!({ "embeddings": vectors }))
        }
        _ => return None,
    };
    Some(match model.as_str() {
        "hang" => answer.first(Step::Hang),
        "hang-mid" => answer.after(2, Step::Hang),
        "cut-mid" => answer.after(2, Step::Cut),
        _ => answer,
    })
}

fn texts(input: &Value) -> impl Iterator<Item = &Value> {
    let many = input.as_array().map(Vec::as_slice);
    many.unwrap_or(std::slice::from_ref(input)).iter()
}

fn embeddings(request: &Request) -> Value {
    let body = request.json();
    let vector = if body["encoding_format"] == "base64" { json!(VECTOR_BASE64) } else { json!(VECTOR) };
    let data: Vec<Value> = texts(&body["input"])
        .enumerate()
        .map(|(index, _)| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    json!({ "object": "list", "data": data, "model": body["model"], "usage": { "prompt_tokens": 5, "total_tokens": 5 } })
}

/// Tells what arrived: the model's name and the size of the recording, in the form that was asked for.
fn transcription(request: &Request) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let field = |name: &str| {
        let (_, rest) = body.split_once(&format!("name=\"{name}\""))?;
        let (_, rest) = rest.split_once("\r\n\r\n")?;
        rest.split("\r\n").next().map(str::to_owned)
    };
    let file = request.body.iter().filter(|byte| **byte == 0xFB).count();
    let text = format!("{} heard {file} frames", field("model").unwrap_or_default());
    match field("response_format").as_deref() {
        Some("text") => Answer::whole(200, "text/plain", text),
        Some("srt") => Answer::whole(200, "text/plain", format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n")),
        _ => Answer::json(200, &json!({ "text": text })),
    }
}
