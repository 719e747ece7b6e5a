//! The list of models, page by page.

use crate::formats::ModelsPage;
use crate::formats::address::escaped;
use crate::formats::wire::{self, Raw};
use contract::failure::Failure;
use contract::provider::{Abilities, ModelEntry};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<Model<'a>>,
    #[serde(borrow)]
    has_more: Raw<'a>,
    #[serde(borrow)]
    last_id: Raw<'a>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    created_at: Raw<'a>,
    #[serde(borrow)]
    max_input_tokens: Raw<'a>,
    /// The most that it writes.
    #[serde(borrow)]
    max_tokens: Raw<'a>,
    #[serde(borrow)]
    capabilities: Raw<'a>,
}

/// Reads one page.
///
/// # Errors
/// `Truncated` if it is no such page.
pub fn read(body: &[u8]) -> Result<ModelsPage, Failure> {
    let page: Page<'_> = serde_json::from_slice(body).map_err(|_| wire::not_understood("the list of models"))?;
    let more = page.has_more.is_some_and(|more| more.get() == "true");
    let next = wire::filled(page.last_id)
        .filter(|_| more)
        .map(|last| format!("/v1/models?limit=1000&after_id={}", escaped(&last, "")));
    Ok(ModelsPage { entries: page.data.iter().filter_map(entry).collect(), next })
}

fn entry(model: &Model<'_>) -> Option<ModelEntry> {
    let created: Option<Timestamp> = wire::filled(model.created_at).and_then(|at| at.parse().ok());
    Some(ModelEntry {
        provider: Arc::from(""),
        model: Arc::from(wire::filled(model.id)?),
        created: created.map(Timestamp::as_second).filter(|at| *at > 0),
        context_tokens: wire::count(model.max_input_tokens).filter(|tokens| *tokens > 0),
        // Every model of this API does.
        tools: Some(true),
        abilities: abilities(model),
    })
}

fn abilities(model: &Model<'_>) -> Abilities {
    #[derive(Default, Deserialize)]
    struct Capabilities {
        image_input: Option<Capability>,
        thinking: Option<Capability>,
    }
    #[derive(Deserialize)]
    struct Capability {
        supported: Option<bool>,
    }
    let told: Capabilities =
        model.capabilities.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    Abilities {
        vision: told.image_input.and_then(|told| told.supported),
        thinking: told.thinking.and_then(|told| told.supported),
        embeddings: None,
        output_tokens: wire::count(model.max_tokens).filter(|tokens| *tokens > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_followed() {
        let body = br#"{"data":[{"type":"model","id":"claude-haiku-4-5-20251001","display_name":"x","created_at":"2025-10-15T00:00:00Z"},
            {"id":"claude-opus-4-6","created_at":"1970-01-01T00:00:00Z","max_input_tokens":200000,
              "max_tokens":64000,"capabilities":{"image_input":{"supported":true},"thinking":{"supported":false,"types":{}},"batch":{}}}],
            "has_more":true,"first_id":"a","last_id":"a b/\u00e9"}"#;
        let page = read(body).expect("a page");
        assert_eq!(page.next.as_deref(), Some("/v1/models?limit=1000&after_id=a%20b%2F%C3%A9"));
        let told: Vec<_> =
            page.entries.iter().map(|entry| (entry.model.as_ref(), entry.created, entry.context_tokens)).collect();
        assert_eq!(
            told,
            [("claude-haiku-4-5-20251001", Some(1_760_486_400), None), ("claude-opus-4-6", None, Some(200_000))]
        );
        let abilities =
            Abilities { vision: Some(true), thinking: Some(false), embeddings: None, output_tokens: Some(64_000) };
        assert_eq!((page.entries[0].abilities, page.entries[1].abilities), (Abilities::default(), abilities));
        let last = read(br#"{"data":[],"has_more":false,"last_id":"x"}"#).expect("a page");
        assert_eq!(last, ModelsPage::default());
        assert!(read(b"[]").is_err());
    }
}
