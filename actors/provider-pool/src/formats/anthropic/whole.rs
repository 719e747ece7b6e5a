//! Reads a whole Anthropic answer.

use super::counts::{Counts, WireCounts};
use super::stream::{WireBlock, finish_reason, opaque, stopped};
use crate::formats::wire::{self, Raw};
use crate::formats::{Decoding, errors};
use bytes::Bytes;
use contract::chat::{Event, EventSink, Head};
use contract::failure::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    stop_reason: Raw<'a>,
    #[serde(borrow)]
    stop_sequence: Raw<'a>,
    #[serde(borrow)]
    usage: Option<WireCounts<'a>>,
}

/// Reads a body and hands its events to `sink`.
///
/// # Errors
/// The failure that the body tells, or `Truncated` if it is no answer.
pub fn read(body: &Bytes, call: &Decoding, sink: &mut dyn EventSink) -> Result<(), Failure> {
    let text = wire::utf8(body);
    let whole: Whole<'_> = serde_json::from_str(&text).map_err(|_| wire::not_understood("the answer"))?;
    if whole.error.is_some() || whole.kind.is_some_and(|kind| kind.get() == "\"error\"") {
        return Err(errors::inside(&text));
    }
    let blocks = whole.content.ok_or_else(|| wire::not_understood("the answer"))?;
    sink.event(Event::Head(Head {
        id: wire::filled(whole.id).map(Arc::from),
        model: Some(wire::filled(whole.model).map_or_else(|| Arc::clone(&call.model), Arc::from)),
        created: None,
    }));
    let mut calls = 0;
    for raw in blocks {
        let Ok(block) = serde_json::from_str::<WireBlock<'_>>(raw.get()) else { continue };
        let proof = || Event::Opaque(opaque(Bytes::copy_from_slice(raw.get().as_bytes())));
        match wire::text(block.kind).unwrap_or_default().as_ref() {
            "text" => {
                if let Some(text) = wire::filled(block.text) {
                    sink.event(Event::Text(&text));
                }
            }
            "thinking" => {
                if let Some(text) = wire::filled(block.thinking) {
                    sink.event(Event::Thinking(&text));
                }
                if wire::filled(block.signature).is_some() {
                    sink.event(proof());
                }
            }
            "redacted_thinking" => sink.event(proof()),
            "tool_use" => {
                let (id, name) = (wire::filled(block.id), wire::text(block.name).unwrap_or_default());
                sink.event(Event::ToolStart { index: calls, id: id.as_deref(), name: &name });
                if let Some(json) = wire::arguments(block.input) {
                    sink.event(Event::ToolArguments { index: calls, json: &json });
                }
                sink.event(Event::ToolEnd { index: calls });
                calls += 1;
            }
            // Server tools and blocks that are yet to be invented.
            _ => {}
        }
    }
    if let Some(counts) = &whole.usage {
        sink.event(Event::Usage(Counts::default().update(counts)));
    }
    let reason = wire::filled(whole.stop_reason);
    if let Some(stop) = reason.as_deref().and_then(|reason| stopped(reason, whole.stop_sequence)) {
        sink.event(Event::Stopped(stop));
    }
    sink.event(Event::Finish(finish_reason(reason.as_deref(), calls > 0)));
    Ok(())
}
