//! Exchanges from the fixtures, and how they are fed to a decoder.

use crate::client::Client;
use bytes::Bytes;
use contract::chat::{Answer, OpaquePart, ToolCall};
use contract::failure::Failure;
use provider_pool::formats::{self, Decoding, ErrorAnswer, Format, Thoughts};
use serde_json::Value;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// One recorded or constructed exchange.
pub struct Exchange {
    pub name: String,
    pub format: &'static dyn Format,
    pub streamed: bool,
    pub status: u16,
    pub body: Bytes,
    pub headers: Vec<(String, String)>,
    pub expected: Value,
    pub request: Value,
    pub client_request: Value,
    /// Where the request went.
    pub path: String,
    /// The model it asked for.
    pub model: String,
    /// The exchange that this one goes on with.
    pub follows: Option<String>,
}

/// Every exchange of the formats that there are, in order of their names.
pub fn exchanges() -> Vec<Exchange> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/providers/exchanges"));
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&root).expect("the fixtures").map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    folders.iter().flat_map(|folder| read(folder)).collect()
}

/// Runs a check over exchanges, each for itself, and prints how many passed and failed.
///
/// # Panics
/// If any failed.
pub fn each<'e>(title: &str, exchanges: impl IntoIterator<Item = &'e Exchange>, check: impl Fn(&Exchange)) {
    let (mut passed, mut failed) = (0, Vec::new());
    for exchange in exchanges {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(exchange))) {
            Ok(()) => passed += 1,
            Err(_) => failed.push(format!("{} as {}", exchange.name, exchange.format.kind())),
        }
    }
    println!("{title}: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty() && passed > 0, "{title}: {failed:?}");
}

/// An exchange once per format that has to bear it: what OpenRouter sent is read as its own kind and as any compatible server.
fn read(folder: &Path) -> Vec<Exchange> {
    let bytes = |file: &str| std::fs::read(folder.join(file)).unwrap_or_else(|_| panic!("{folder:?}: {file}"));
    let json =
        |file: &str| -> Value { serde_json::from_slice(&bytes(file)).unwrap_or_else(|_| panic!("{folder:?}: {file}")) };
    let meta = json("meta.json");
    let provider = meta["provider"].as_str().expect("a provider");
    let mut kinds = vec![provider];
    if meta["flavor"] == "openrouter" {
        kinds.push("openrouter");
    }
    let headers = json("response.headers.json");
    let headers = headers.as_object().expect("headers").iter();
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let request = json("request.json");
    let path = meta["endpoint"]["path"].as_str().expect("a path").to_owned();
    // Gemini has the model in the address; a constructed exchange names none.
    let in_path =
        path.rsplit_once("/models/").and_then(|(_, rest)| rest.split(':').next()).filter(|model| *model != "{model}");
    let model = request["model"].as_str().or(in_path).unwrap_or("gemini-2.5-flash").to_owned();
    let exchange = |kind: &&str| Exchange {
        name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
        format: formats::by_kind(kind).unwrap_or_else(|| panic!("{folder:?}: no format {kind:?}")),
        streamed: meta["streamed"] == true,
        status: u16::try_from(meta["status"].as_u64().expect("a status")).expect("a status"),
        body: bytes("response.body").into(),
        headers: headers.clone(),
        expected: json("expected.json"),
        request: request.clone(),
        client_request: json("client_request.json"),
        path: path.clone(),
        model: model.clone(),
        follows: meta["follows"].as_str().map(str::to_owned),
    };
    kinds.iter().map(exchange).collect()
}

pub fn decoding() -> Decoding {
    Decoding { model: "asked-model".into(), thoughts: None }
}

/// Takes what was thought before calls of tools, as the exchange does.
#[derive(Default)]
struct Thought(RefCell<Option<(Vec<ToolCall>, String)>>);

impl Thoughts for Thought {
    fn take(&self, calls: &[ToolCall], thinking: OpaquePart) {
        let thinking = serde_json::from_slice(&thinking.json).expect("a JSON string");
        assert_eq!(self.0.replace(Some((calls.to_vec(), thinking))), None, "told once");
    }
}

impl Thought {
    fn listening(self: &Rc<Self>) -> Decoding {
        Decoding { thoughts: Some(Rc::<Self>::clone(self)), ..decoding() }
    }

    /// What was told to be kept is what the client got to read, however that came to it.
    fn check(&self, format: &dyn Format, answer: &Answer, is_whole: bool) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let calls = answer.calls.iter().map(|call| ToolCall::new(text(&call.id), &call.name, &call.arguments));
        let calls: Vec<ToolCall> = calls.filter(|call| !call.id.is_empty()).collect();
        let is_kept = is_whole && format.keeps_thinking() && !calls.is_empty() && !answer.thinking.is_empty();
        match &*self.0.borrow() {
            Some((known, thinking)) => assert_eq!((known, thinking), (&calls, &answer.thinking)),
            None => assert!(!is_kept, "thinking before calls is not kept"),
        }
    }
}

impl Exchange {
    /// Feeds the body in these pieces.
    pub fn feed(&self, client: Client, pieces: &[Bytes]) -> (Client, Result<(), Failure>) {
        feed(self.format, client, pieces)
    }

    /// Reads the body as a whole answer.
    pub fn whole(&self, mut client: Client) -> (Client, Result<(), Failure>) {
        let thought = Rc::new(Thought::default());
        let outcome = self.format.decode_whole(&self.body, &thought.listening(), &mut client);
        thought.check(self.format, &client.answer, outcome.is_ok());
        (client, outcome)
    }

    /// What the error answer means.
    pub fn failure(&self) -> Failure {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let now = jiff::Timestamp::UNIX_EPOCH;
        self.format.failure(&ErrorAnswer { status: self.status, headers: &headers, body: &self.body, now })
    }
}

/// Feeds a stream in these pieces, and its end if no failure came before.
pub fn feed(format: &dyn Format, mut client: Client, pieces: &[Bytes]) -> (Client, Result<(), Failure>) {
    let thought = Rc::new(Thought::default());
    let mut decoder = format.stream_decoder(&thought.listening());
    for piece in pieces {
        if let Err(failure) = decoder.feed(piece, &mut client) {
            return (client, Err(failure));
        }
        assert!(!decoder.is_complete() || client.answer.finish.is_some(), "complete without a finish reason");
    }
    let outcome = decoder.end(&mut client);
    thought.check(format, &client.answer, outcome.is_ok());
    (client, outcome)
}

/// The bytes cut at these places.
pub fn cut(body: &Bytes, places: impl IntoIterator<Item = usize>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([body.len()]) {
        pieces.push(body.slice(from..place));
        from = place;
    }
    pieces
}

/// Ways to cut a body so that each place is a cut: in two at every byte where the body is small, else at every `STEP`th place, from every
/// beginning.
pub fn every_cut(body: &Bytes) -> Vec<Vec<Bytes>> {
    const SMALL: usize = 1500;
    const STEP: usize = 61;
    if body.len() <= SMALL {
        return (0..=body.len()).map(|place| cut(body, [place])).collect();
    }
    (0..STEP).map(|from| cut(body, (from..body.len()).step_by(STEP))).collect()
}
