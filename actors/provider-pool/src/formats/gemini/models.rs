//! The list of models, page by page.

use crate::formats::ModelsPage;
use crate::formats::address::escaped;
use crate::formats::wire::{self, Raw};
use contract::failure::Failure;
use contract::provider::{Abilities, ModelEntry};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    models: Option<Vec<Model<'a>>>,
    #[serde(borrow)]
    next_page_token: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    input_token_limit: Raw<'a>,
    #[serde(borrow)]
    output_token_limit: Raw<'a>,
    #[serde(borrow)]
    supported_generation_methods: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
}

/// Reads one page. Models that neither chat nor make embeddings are left out.
///
/// # Errors
/// `Truncated` if it is no such page.
pub fn read(body: &[u8]) -> Result<ModelsPage, Failure> {
    let page: Page<'_> = serde_json::from_slice(body).map_err(|_| wire::not_understood("the list of models"))?;
    // The API leaves out what is empty, so a list without a single model holds nothing; what is no list holds something else.
    if page.models.is_none() && (page.error.is_some() || body.trim_ascii() != b"{}") {
        return Err(wire::not_understood("the list of models"));
    }
    let next = wire::filled(page.next_page_token)
        .map(|token| format!("/models?pageSize=1000&pageToken={}", escaped(&token, "")));
    Ok(ModelsPage { entries: page.models.unwrap_or_default().iter().filter_map(entry).collect(), next })
}

fn entry(model: &Model<'_>) -> Option<ModelEntry> {
    let name = wire::filled(model.name)?;
    let methods: Option<Vec<String>> =
        model.supported_generation_methods.and_then(|list| serde_json::from_str(list.get()).ok());
    let can = |method: &str| methods.as_ref().map(|methods| methods.iter().any(|known| known == method));
    let (chats, embeds) = (can("generateContent"), can("embedContent"));
    if chats == Some(false) && embeds != Some(true) {
        return None;
    }
    let tokens = |raw| wire::count(raw).filter(|tokens| *tokens > 0);
    // Only what is true is told; of models that cannot chat nothing is.
    let thinking = model.thinking.map(|thinking| thinking.get() == "true");
    Some(ModelEntry {
        provider: Arc::from(""),
        model: Arc::from(name.strip_prefix("models/").unwrap_or(&name)),
        created: None,
        context_tokens: tokens(model.input_token_limit),
        tools: None,
        abilities: Abilities {
            vision: None,
            thinking,
            embeddings: embeds,
            output_tokens: tokens(model.output_token_limit),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_followed() {
        let body = br#"{"models":[
            {"name":"models/gemini-2.5-flash","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"],"thinking":true},
            {"name":"models/gemini-embedding-001","inputTokenLimit":2048,"outputTokenLimit":1,"supportedGenerationMethods":["embedContent"]},
            {"name":"models/imagen-4","supportedGenerationMethods":["predict"]},
            {"name":"tunedModels/mine"},{"name":""},{}],"nextPageToken":"a b/="}"#;
        let page = read(body).expect("a page");
        assert_eq!(page.next.as_deref(), Some("/models?pageSize=1000&pageToken=a%20b%2F%3D"));
        let told: Vec<_> = page
            .entries
            .iter()
            .map(|entry| (&*entry.model, entry.context_tokens, entry.abilities.thinking, entry.abilities.embeddings))
            .collect();
        assert_eq!(
            told,
            [
                ("gemini-2.5-flash", Some(1_048_576), Some(true), Some(false)),
                ("gemini-embedding-001", Some(2048), None, Some(true)),
                ("tunedModels/mine", None, None, None),
            ]
        );
        assert_eq!(read(b"{}").expect("an empty page"), ModelsPage::default());
        for odd in [&b"[]"[..], b"<html>", b"{\"error\":{}}", b"{\"data\":[]}"] {
            assert!(read(odd).is_err());
        }
    }
}
