//! What the simulated provider does with one request, as data.

use super::server::Gate;

/// One thing done while answering.
#[derive(Clone)]
pub enum Step {
    /// These bytes leave in one write.
    Send(Vec<u8>),
    /// Nothing happens until the gate is opened.
    Hold(Gate),
    /// Nothing happens until the other side leaves.
    Hang,
    /// The connection is closed, in the middle of things.
    Cut,
}

/// The answer to one request.
#[derive(Clone)]
pub struct Answer {
    /// Done before the head is sent.
    pub before_head: Vec<Step>,
    /// The HTTP status.
    pub status: u16,
    /// Headers beside those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body, piece by piece.
    pub body: Vec<Step>,
    /// Whether the body is sent in HTTP chunks; else with its length, in one piece.
    pub chunked: bool,
}

impl Answer {
    /// A whole body.
    pub fn whole(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            before_head: Vec::new(),
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: vec![Step::Send(body.into())],
            chunked: false,
        }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::whole(status, "application/json", body.to_string())
    }

    /// A body in pieces, each in a write of its own.
    pub fn pieces(content_type: &str, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            before_head: Vec::new(),
            status: 200,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: pieces.into_iter().map(Step::Send).collect(),
            chunked: true,
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Does `step` before the head.
    pub fn first(mut self, step: Step) -> Self {
        self.before_head.push(step);
        self
    }

    /// Does `step` after `pieces` pieces of the body; what follows comes after it, if it ends.
    pub fn after(mut self, pieces: usize, step: Step) -> Self {
        let at = pieces.min(self.body.len());
        self.body.insert(at, step);
        self
    }

    /// Does `step` in the middle: after four pieces of a stream, or after half of a whole body.
    pub fn halfway(self, step: Step) -> Self {
        match self.body.as_slice() {
            [Step::Send(whole)] if whole.len() > 1 => {
                let half = whole.len().div_ceil(2);
                self.cut_into(half).after(1, step)
            }
            _ => self.after(4, step),
        }
    }

    /// Cuts the body anew into writes of at most `size` bytes.
    pub fn cut_into(mut self, size: usize) -> Self {
        let bytes: Vec<u8> = self
            .body
            .iter()
            .flat_map(|step| match step {
                Step::Send(bytes) => bytes.clone(),
                Step::Hold(_) | Step::Hang | Step::Cut => Vec::new(),
            })
            .collect();
        self.body = bytes.chunks(size.max(1)).map(|piece| Step::Send(piece.to_vec())).collect();
        self
    }
}
