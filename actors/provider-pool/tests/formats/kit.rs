//! Exchanges from the fixtures, and how they are fed to a decoder.

use crate::client::Client;
use bytes::Bytes;
use contract::failure::Failure;
use provider_pool::formats::{self, Decoding, ErrorAnswer, Format};
use serde_json::Value;
use std::path::{Path, PathBuf};

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
}

/// Every exchange of the formats that there are, in order of their names.
pub fn exchanges() -> Vec<Exchange> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/providers/exchanges"));
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(&root).expect("the fixtures").map(|entry| entry.expect("a folder").path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| read(folder)).collect()
}

fn read(folder: &Path) -> Option<Exchange> {
    let bytes = |file: &str| std::fs::read(folder.join(file)).unwrap_or_else(|_| panic!("{folder:?}: {file}"));
    let json =
        |file: &str| -> Value { serde_json::from_slice(&bytes(file)).unwrap_or_else(|_| panic!("{folder:?}: {file}")) };
    let meta = json("meta.json");
    let format = formats::by_kind(meta["provider"].as_str().expect("a provider"))?;
    let headers = json("response.headers.json");
    let headers = headers.as_object().expect("headers").iter();
    Some(Exchange {
        name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
        format,
        streamed: meta["streamed"] == true,
        status: u16::try_from(meta["status"].as_u64().expect("a status")).expect("a status"),
        body: bytes("response.body").into(),
        headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        expected: json("expected.json"),
        request: json("request.json"),
        client_request: json("client_request.json"),
    })
}

pub fn decoding() -> Decoding {
    Decoding { model: "asked-model".into() }
}

impl Exchange {
    /// Feeds the body in these pieces.
    pub fn feed(&self, client: Client, pieces: &[Bytes]) -> (Client, Result<(), Failure>) {
        feed(self.format, client, pieces)
    }

    /// Reads the body as a whole answer.
    pub fn whole(&self, mut client: Client) -> (Client, Result<(), Failure>) {
        let outcome = self.format.decode_whole(&self.body, &decoding(), &mut client);
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
    let mut decoder = format.stream_decoder(&decoding());
    for piece in pieces {
        if let Err(failure) = decoder.feed(piece, &mut client) {
            return (client, Err(failure));
        }
        assert!(!decoder.is_complete() || client.answer.finish.is_some(), "complete without a finish reason");
    }
    let outcome = decoder.end(&mut client);
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
