//! The list of models, with what compatible servers tell beyond their names.

use crate::formats::ModelsPage;
use crate::formats::wire::{self, Raw};
use contract::failure::Failure;
use contract::provider::{Abilities, ModelEntry};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<Model<'a>>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    created: Raw<'a>,
    /// OpenRouter, Together.
    #[serde(borrow)]
    context_length: Raw<'a>,
    /// Groq.
    #[serde(borrow)]
    context_window: Raw<'a>,
    /// vLLM.
    #[serde(borrow)]
    max_model_len: Raw<'a>,
    /// Mistral.
    #[serde(borrow)]
    max_context_length: Raw<'a>,
    /// OpenRouter: what requests may hold.
    #[serde(borrow)]
    supported_parameters: Raw<'a>,
    /// Mistral: what the model can do.
    #[serde(borrow)]
    capabilities: Raw<'a>,
    /// OpenRouter: what goes in and comes out.
    #[serde(borrow)]
    architecture: Raw<'a>,
    /// OpenRouter: the limits of who really answers.
    #[serde(borrow)]
    top_provider: Raw<'a>,
}

/// Reads `{"data":[…]}`, or the bare array that some servers send.
///
/// # Errors
/// `Truncated` if it is neither.
pub fn read(body: &[u8]) -> Result<ModelsPage, Failure> {
    let models: Vec<Model<'_>> = serde_json::from_slice(body)
        .map(|list: List<'_>| list.data)
        .or_else(|_| serde_json::from_slice(body))
        .map_err(|_| wire::not_understood("the list of models"))?;
    Ok(ModelsPage { entries: models.iter().filter_map(entry).collect(), next: None })
}

fn entry(model: &Model<'_>) -> Option<ModelEntry> {
    let lengths = [model.context_length, model.context_window, model.max_model_len, model.max_context_length];
    Some(ModelEntry {
        provider: Arc::from(""),
        model: Arc::from(wire::filled(model.id)?),
        created: wire::positive(model.created),
        context_tokens: lengths.into_iter().find_map(wire::count).filter(|tokens| *tokens > 0),
        tools: parameter(model, "tools").or_else(|| capabilities(model).function_calling),
        abilities: abilities(model),
    })
}

/// What Mistral tells of a model.
#[derive(Default, Deserialize)]
struct Capabilities {
    function_calling: Option<bool>,
    vision: Option<bool>,
}

fn capabilities(model: &Model<'_>) -> Capabilities {
    model.capabilities.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Whether OpenRouter lists a parameter among those that the model takes.
fn parameter(model: &Model<'_>, wanted: &str) -> Option<bool> {
    let names: Vec<String> = serde_json::from_str(model.supported_parameters?.get()).ok()?;
    Some(names.iter().any(|name| name == wanted))
}

fn abilities(model: &Model<'_>) -> Abilities {
    #[derive(Default, Deserialize)]
    struct Architecture {
        input_modalities: Option<Vec<String>>,
        output_modalities: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct TopProvider<'a> {
        #[serde(borrow)]
        max_completion_tokens: Raw<'a>,
    }
    let told: Architecture =
        model.architecture.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let among = |names: Option<Vec<String>>, wanted: &str| names.map(|names| names.iter().any(|name| name == wanted));
    let top: Option<TopProvider<'_>> = model.top_provider.and_then(|raw| serde_json::from_str(raw.get()).ok());
    Abilities {
        vision: among(told.input_modalities, "image").or_else(|| capabilities(model).vision),
        thinking: parameter(model, "reasoning"),
        embeddings: among(told.output_modalities, "embeddings"),
        output_tokens: top.and_then(|top| wire::count(top.max_completion_tokens)).filter(|tokens| *tokens > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_many_servers_are_read() {
        let body = br#"{"object":"list","data":[
            {"id":"gpt-4o","object":"model","created":1715367049,"owned_by":"system"},
            {"id":"or/x","context_length":8192,"supported_parameters":["tools","seed","reasoning"],
              "architecture":{"input_modalities":["text","image"],"output_modalities":["text"]},"top_provider":{"max_completion_tokens":2048}},
            {"id":"or/y","supported_parameters":["seed"]},
            {"id":"vl","max_model_len":4096,"created":0},
            {"id":"mi","max_context_length":32768,"capabilities":{"function_calling":true}},
            {"id":""},{"name":"odd"}]}"#;
        let page = read(body).expect("a list");
        let told: Vec<_> = page
            .entries
            .iter()
            .map(|entry| (entry.model.as_ref(), entry.created, entry.context_tokens, entry.tools))
            .collect();
        assert_eq!(
            told,
            [
                ("gpt-4o", Some(1_715_367_049), None, None),
                ("or/x", None, Some(8192), Some(true)),
                ("or/y", None, None, Some(false)),
                ("vl", None, Some(4096), None),
                ("mi", None, Some(32768), Some(true)),
            ]
        );
        let or =
            Abilities { vision: Some(true), thinking: Some(true), embeddings: Some(false), output_tokens: Some(2048) };
        assert_eq!((page.entries[0].abilities, page.entries[1].abilities), (Abilities::default(), or));
        assert_eq!(read(br#"[{"id":"t"}]"#).expect("a list").entries.len(), 1);
        for odd in [&b"<html>"[..], b"{}", b"null", b"{\"data\":5}"] {
            assert!(read(odd).is_err());
        }
    }
}
