//! What a call probably took, where its provider did not tell: for the limits of keys and of the minute, never for the sums that are shown.
//!
//! A guess from bytes of text. Without it a caller who leaves before the counts come would have no limit. Pure.

use crate::config::Price;
use crate::meter::Charge;
use crate::price::cost_nanos;
use bytes::Bytes;
use contract::chat::{Event, Relayed, Usage};

/// Bytes of text to a token, about.
const BYTES: u64 = 4;
/// What one chunk of an OpenAI stream holds beside its text, about.
const AROUND: u64 = 200;
/// A string of this many bytes that has nothing but Base64 in it is a picture or a sound, which counts as so many tokens.
const BINARY: usize = 4096;
const BINARY_TOKENS: u64 = 1000;

/// What was seen of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Tokens of the request, about.
    asked: u64,
    /// Bytes of the answer's text.
    said: u64,
    /// Tokens among what was relayed as it came, about.
    relayed: u64,
}

impl Seen {
    /// A call with this body.
    pub fn of_request(body: &[u8]) -> Self {
        Self { asked: request_tokens(body), ..Self::default() }
    }

    /// An event of the answer.
    pub fn event(&mut self, event: &Event<'_>) {
        let (Event::Text(text)
        | Event::Thinking(text)
        | Event::Refusal(text)
        | Event::ToolArguments { json: text, .. }) = event
        else {
            return;
        };
        self.said += text.len() as u64;
    }

    /// Whole events of an OpenAI stream: a token each, or more where they are longer than one token's.
    pub fn relay(&mut self, bytes: &Bytes, holds: Relayed) {
        if holds.content {
            let events = (memchr::memchr_iter(b'\n', bytes).count() as u64 / 2).max(1);
            let text = (bytes.len() as u64).saturating_sub(events * AROUND);
            self.relayed += events.max(text / BYTES);
        }
    }

    /// A whole answer as it came.
    pub fn whole(&mut self, body: &Bytes) {
        self.said += (body.len() as u64).saturating_sub(AROUND);
    }

    /// What counts beyond `told`, and beyond the cost if that `is_paid` already.
    pub fn charge(&self, told: &Usage, is_paid: bool, price: Option<&Price>) -> Charge {
        let output = self.said.div_ceil(BYTES) + self.relayed;
        let guessed = Usage { input: told.input.or(Some(self.asked)), output: told.output.or(Some(output)), ..*told };
        let tokens = |told: Option<u64>, guessed: u64| if told.is_some() { 0 } else { guessed };
        Charge {
            tokens: tokens(told.input, self.asked) + tokens(told.output, output),
            cost_nanos: price.filter(|_| !is_paid).and_then(|price| cost_nanos(price, &guessed)).unwrap_or(0),
        }
    }
}

/// The tokens of a request in JSON; of anything else, such as a sound that is sent, nothing can be said.
fn request_tokens(body: &[u8]) -> u64 {
    if body.first() != Some(&b'{') {
        return 0;
    }
    let (mut text, mut binary) = (body.len(), 0);
    if may_hold_binary(body) {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'"', body) {
            let string = &body[begin..end];
            if string.len() >= BINARY && is_base64(&string[string.len() / 2..][..BINARY / 4]) {
                text -= string.len();
                binary += 1;
            }
            begin = end + 1;
        }
    }
    text as u64 / BYTES + binary * BINARY_TOKENS
}

/// Looks at a few bytes in each half of the shortest string that would count: where none of them is Base64, every string need not be looked at.
fn may_hold_binary(body: &[u8]) -> bool {
    let looks = (0..body.len()).step_by(BINARY / 2);
    body.len() > BINARY && looks.into_iter().any(|at| body[at..].first_chunk::<64>().is_some_and(|few| is_base64(few)))
}

fn is_base64(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\\".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price { input: 1.0, output: 5.0, cached_input: None, cache_write: None, reasoning: None };

    #[test]
    fn what_is_told_is_not_guessed() {
        let mut seen = Seen::of_request(format!(r#"{{"m":"{}"}}"#, "word ".repeat(80)).as_bytes());
        seen.event(&Event::Text(&"word ".repeat(8)));
        seen.event(&Event::Finish(contract::chat::FinishReason::Stop));
        let nothing = seen.charge(&Usage::default(), false, Some(&PRICE));
        assert_eq!(nothing, Charge { tokens: 102 + 10, cost_nanos: 102_000 + 50_000 });
        let input = Usage { input: Some(90), ..Usage::default() };
        assert_eq!(seen.charge(&input, false, Some(&PRICE)), Charge { tokens: 10, cost_nanos: 90_000 + 50_000 });
        assert_eq!(seen.charge(&input, true, Some(&PRICE)), Charge { tokens: 10, cost_nanos: 0 });
        assert_eq!(seen.charge(&input, false, None).cost_nanos, 0);
        let all = Usage { output: Some(7), ..input };
        assert_eq!(seen.charge(&all, true, Some(&PRICE)), Charge::default());
    }

    #[test]
    fn a_picture_is_no_text_and_a_sound_is_no_request() {
        let text = "a longer text with words in it. ".repeat(1000);
        let picture = "iVBORw0KGgo".repeat(10_000);
        let body = format!(r#"{{"a":"{text}","b":"data:image/png;base64,{picture}","c":"end"}}"#);
        let tokens = request_tokens(body.as_bytes());
        assert!((9_000..9_100).contains(&tokens), "{tokens}");
        // Wherever it begins, and were it as short as can be.
        for before in (0..4200).step_by(7) {
            let body = format!(r#"{{"a":"{}","b":"{}"}}"#, " ".repeat(before), "A".repeat(BINARY));
            assert_eq!(request_tokens(body.as_bytes()), (before as u64 + 15) / BYTES + BINARY_TOKENS, "{before}");
        }
        assert_eq!(request_tokens(b"--boundary\r\ncontent-disposition: form-data"), 0);
        assert_eq!(request_tokens(b""), 0);
    }

    #[test]
    fn what_is_relayed_is_a_token_an_event_or_more() {
        let chunk = format!("data: {{{}}}\n\n", "x".repeat(190));
        let mut seen = Seen::default();
        let content = Relayed { content: true, ..Relayed::default() };
        seen.relay(&Bytes::from(chunk.repeat(3)), content);
        seen.relay(&Bytes::from(chunk.clone()), Relayed { finish: true, ..Relayed::default() });
        assert_eq!(seen.charge(&Usage::default(), true, None).tokens, 3);
        seen.relay(&Bytes::from(format!("data: {}\n\n", "x".repeat(592))), content);
        assert_eq!(seen.charge(&Usage::default(), true, None).tokens, 103);
    }
}
