//! A streamed chat as HAIA sends it: server-sent events to pieces of an answer. Pure: bytes in, pieces out.

use runtime::http::sse::{Sse, TooLarge};
use serde_json::Value;

/// The most bytes of one event.
const EVENT_BYTES: usize = 4 << 20;

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text for the person.
    Text(String),
    /// What HAIA is doing (`Looking at the cluster`); not an answer.
    Status(String),
    /// The answer broke: why.
    Failed(String),
    /// The answer is complete.
    Done,
}

/// Splits a stream of events into pieces.
pub struct Reader {
    /// `None` after an event that is too large.
    events: Option<Sse>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { events: Some(Sse::new(EVENT_BYTES)) }
    }
}

impl Reader {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let Some(events) = &mut self.events else { return pieces };
        let fed = events.feed(bytes, |event| {
            read(String::from_utf8_lossy(event.data).trim(), &mut pieces);
            Ok(())
        });
        if let Err(error) = fed {
            let error: TooLarge = error;
            self.events = None;
            pieces.push(Piece::Failed(error.to_string()));
        }
        pieces
    }
}

fn read(data: &str, pieces: &mut Vec<Piece>) {
    if data == "[DONE]" {
        pieces.push(Piece::Done);
        return;
    }
    let Ok(chunk) = serde_json::from_str::<Value>(data) else {
        pieces.push(Piece::Failed("the answer is not understood".to_owned()));
        return;
    };
    if let Some(message) = error_message(&chunk) {
        pieces.push(Piece::Failed(message));
        return;
    }
    let status = &chunk["event"];
    if status["type"] == "status"
        && status["data"]["done"] != true
        && let Some(description) = status["data"]["description"].as_str()
    {
        pieces.push(Piece::Status(description.to_owned()));
    }
    if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str()
        && !text.is_empty()
    {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The message of an error in OpenAI's shape.
pub fn error_message(body: &Value) -> Option<String> {
    body["error"]["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = concat!(
        ": hello\n\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{}}],\"event\":{\"type\":\"status\",\"data\":{\"description\":\"Looking\",\"done\":false}}}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{}}],\"event\":{\"type\":\"status\",\"data\":{\"description\":\"Looking\",\"done\":true}}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"Gr\u{fc}\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"\u{df}e\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    );

    fn expected() -> Vec<Piece> {
        vec![
            Piece::Status("Looking".into()),
            Piece::Text("Gr\u{fc}".into()),
            Piece::Text("\u{df}e".into()),
            Piece::Done,
        ]
    }

    #[test]
    fn errors_are_told_as_the_daemon_words_them() {
        let mut reader = Reader::default();
        assert_eq!(
            reader.push(b"data: {\"error\":{\"message\":\"no model\"}}\n\n"),
            [Piece::Failed("no model".into())]
        );
        assert_eq!(reader.push(b"data: {\n\n"), [Piece::Failed("the answer is not understood".into())]);
    }

    #[test]
    fn an_event_without_end_does_not_fill_the_memory() {
        let mut reader = Reader::default();
        let failed = Piece::Failed("the server sent an event larger than 4 MiB".into());
        assert_eq!(reader.push(&vec![b'x'; EVENT_BYTES + 1]), [failed]);
        assert!(reader.events.is_none() && reader.push(b"data: {}\n\n").is_empty());
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut reader = Reader::default();
            let pieces: Vec<Piece> =
                cuts.windows(2).flat_map(|pair| reader.push(&STREAM.as_bytes()[pair[0]..pair[1]])).collect();
            prop_assert_eq!(pieces, expected());
        }
    }
}
