//! A request that the simulated provider got, and what its script needs to know of it in any of the three formats.

use serde_json::Value;
use std::io::{self, BufRead};

/// The wire formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `/v1/chat/completions`.
    OpenAi,
    /// `/v1/messages`.
    Anthropic,
    /// `/api/chat`.
    Ollama,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::OpenAi, Format::Anthropic, Format::Ollama];

    /// The `kind` in HAIA's configuration.
    pub fn kind(self) -> &'static str {
        match self {
            Format::OpenAi => "openai",
            Format::Anthropic => "anthropic",
            Format::Ollama => "ollama",
        }
    }

    /// The path of a chat.
    pub fn path(self) -> &'static str {
        match self {
            Format::OpenAi => "/v1/chat/completions",
            Format::Anthropic => "/v1/messages",
            Format::Ollama => "/api/chat",
        }
    }
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path, without its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Vec<u8>,
}

impl Request {
    /// Reads one request; `None` when the other side has closed the connection.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (method, path) = (method.to_owned(), target.split('?').next().unwrap_or_default().to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let mut request = Self { method, path, headers, body: Vec::new() };
        if request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            request.body = read_chunked(reader)?;
        } else if let Some(length) = request.header("content-length").and_then(|value| value.parse().ok()) {
            request.body = vec![0; length];
            reader.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The format of a chat request; `None` for anything else.
    pub fn format(&self) -> Option<Format> {
        Format::ALL.into_iter().find(|format| self.method == "POST" && self.path == format.path())
    }

    /// The model that is asked.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether a stream is wanted.
    pub fn streamed(&self) -> bool {
        let default = self.format() == Some(Format::Ollama);
        self.json()["stream"].as_bool().unwrap_or(default)
    }

    /// Whether OpenAI's usage chunk is wanted.
    pub fn wants_usage(&self) -> bool {
        self.json()["stream_options"]["include_usage"] == Value::Bool(true)
    }

    /// The names of the tools on offer, in their order.
    pub fn tools(&self) -> Vec<String> {
        let body = self.json();
        let name = |tool: &Value| {
            let name = tool["function"]["name"].as_str().or_else(|| tool["name"].as_str());
            name.unwrap_or_default().to_owned()
        };
        body["tools"].as_array().map(|tools| tools.iter().map(name).collect()).unwrap_or_default()
    }

    /// The conversation, in the format's own shape.
    pub fn messages(&self) -> Vec<Value> {
        self.json()["messages"].as_array().cloned().unwrap_or_default()
    }

    /// The rounds of tool calls that have come back in this conversation since its last word of a person.
    pub fn rounds(&self) -> usize {
        let messages = self.messages();
        let is_person = |message: &Value| message["role"] == "user" && results_of(message).is_empty();
        let since = messages.iter().rposition(is_person).unwrap_or(0);
        messages[since..].iter().filter(|message| !calls_of(message).is_empty()).count()
    }

    /// The results of tools in the whole conversation, as text.
    pub fn results(&self) -> Vec<String> {
        self.messages().iter().flat_map(results_of).map(|result| as_text(&result["content"])).collect()
    }
}

/// The calls that a message of the assistant's makes: their ids.
pub fn calls_of(message: &Value) -> Vec<String> {
    let id = |call: &Value| call["id"].as_str().unwrap_or_default().to_owned();
    if let Some(calls) = message["tool_calls"].as_array() {
        return calls.iter().map(id).collect();
    }
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter(|block| block["type"] == "tool_use").map(id).collect()
}

/// The results that a message carries: the message itself, or Anthropic's blocks in it.
pub fn results_of(message: &Value) -> Vec<Value> {
    if message["role"] == "tool" {
        return vec![message.clone()];
    }
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter(|block| block["type"] == "tool_result").cloned().collect()
}

/// Content as text, whether it is text or parts.
pub fn as_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn read_chunked(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
