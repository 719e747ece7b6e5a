//! Where a prompt is marked for Anthropic's cache: the API keeps what stands before a mark, in the order tools, system, messages.
//!
//! A mark costs a quarter more for what is written and saves nine tenths of what is read again, so only beginnings that come again are
//! marked: the tools, the system prompt, and within a turn the results that the next round goes on from. Below the model's smallest size
//! the API keeps nothing, and nothing is marked.

use super::model;
use crate::formats::Encode;
use serde::Serialize;

/// `cache_control`: kept for five minutes, anew with each use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "ephemeral")]
pub struct Mark {}

/// What is marked in a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The last tool.
    pub tools: Option<Mark>,
    /// The system prompt.
    pub system: Option<Mark>,
    /// The newest results of tools.
    pub results: Option<Mark>,
}

/// Bytes of JSON and text per token: rather too many, so that a mark is left out rather than set in vain.
const BYTES_PER_TOKEN: usize = 4;

impl Marks {
    /// The marks of a request with these parts.
    pub fn of(
        call: &Encode<'_>,
        tools: &(impl Serialize + ?Sized),
        system: &str,
        messages: &(impl Serialize + ?Sized),
    ) -> Self {
        // A caller's or the configuration's own way of caching is not mixed with this one.
        if !call.settings.prompt_caching || call.settings.options.contains_key("cache_control") {
            return Self::default();
        }
        let least = model::cacheable_tokens(call.model) * BYTES_PER_TOKEN;
        let tools = size(tools);
        let before = tools + system.len();
        let all = before + size(messages);
        let worth = |bytes: usize| (bytes >= least).then_some(Mark {});
        Self { tools: worth(tools), system: worth(before).filter(|_| !system.is_empty()), results: worth(all) }
    }
}

/// The bytes of something as JSON, uncounted where it is not written.
fn size(value: &(impl Serialize + ?Sized)) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail; what cannot be written is left out by the encoder too.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
