//! A streamed chat as HAIA sends it: server-sent events to pieces of an answer. Pure: bytes in, pieces out.

use serde_json::Value;

/// The longest line, in bytes.
const MAX_LINE: usize = 4 << 20;

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
#[derive(Debug, Default)]
pub struct Reader {
    waiting: Vec<u8>,
}

impl Reader {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        self.waiting.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(data) = line.trim_end().strip_prefix("data:") {
                read(data.trim(), &mut pieces);
            }
        }
        if self.waiting.len() > MAX_LINE {
            self.waiting.clear();
            pieces.push(Piece::Failed("a line of the answer is too long".to_owned()));
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
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut reader = Reader::default();
        assert_eq!(reader.push(&vec![b'x'; MAX_LINE + 1]).len(), 1);
        assert!(reader.waiting.is_empty());
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
