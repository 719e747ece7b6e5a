//! The list of models, what `/api/show` tells of one, and what `/api/ps` tells of those that are loaded.

use crate::formats::ModelsPage;
use crate::formats::wire::{self, Json, Raw};
use bytes::Bytes;
use contract::failure::Failure;
use contract::provider::{Abilities, ModelEntry};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Tags<'a> {
    #[serde(borrow)]
    models: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    modified_at: Raw<'a>,
}

/// Reads `/api/tags`.
///
/// # Errors
/// `Truncated` if it is no such list.
pub fn read(body: &[u8]) -> Result<ModelsPage, Failure> {
    let tags: Tags<'_> = serde_json::from_slice(body).map_err(|_| wire::not_understood("the list of models"))?;
    // A server without any model says null.
    let entries = tags.models.unwrap_or_default().iter().filter_map(entry).collect();
    Ok(ModelsPage { entries, next: None })
}

fn entry(tag: &Tag<'_>) -> Option<ModelEntry> {
    let modified: Option<Timestamp> = wire::filled(tag.modified_at).and_then(|at| at.parse().ok());
    Some(ModelEntry {
        provider: Arc::from(""),
        model: Arc::from(wire::filled(tag.model).or_else(|| wire::filled(tag.name))?),
        created: modified.map(Timestamp::as_second).filter(|at| *at > 0),
        context_tokens: None,
        tools: None,
        abilities: Abilities::default(),
    })
}

/// The question what a model can do.
pub fn show_request(model: &str) -> Bytes {
    json!({ "model": model }).to_string().into()
}

/// What a model can do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Whether it takes tools; older servers do not tell.
    pub tools: Option<bool>,
    /// The tokens it was made for.
    pub context_tokens: Option<u64>,
    /// What else it can do.
    pub abilities: Abilities,
}

/// Reads the answer to [`show_request`]; what is not there or not readable is `None`.
pub fn decode_show(body: &[u8]) -> Shown {
    #[derive(Deserialize)]
    struct Show<'a> {
        #[serde(borrow)]
        capabilities: Raw<'a>,
        #[serde(borrow)]
        model_info: Raw<'a>,
    }
    let Ok(show) = serde_json::from_slice::<Show<'_>>(body) else { return Shown::default() };
    let capabilities: Option<Vec<String>> = show.capabilities.and_then(|list| serde_json::from_str(list.get()).ok());
    let info: BTreeMap<String, Json<'_>> =
        show.model_info.and_then(|info| serde_json::from_str(info.get()).ok()).unwrap_or_default();
    // `<architecture>.context_length`; a vision part has figures of its own.
    let architecture = info.get("general.architecture").and_then(|name| wire::filled(Some(*name)));
    let length = architecture.and_then(|name| info.get(&format!("{name}.context_length")));
    let can = |what: &str| capabilities.as_ref().map(|list| list.iter().any(|name| name == what));
    Shown {
        tools: can("tools"),
        context_tokens: wire::count(length.copied()).filter(|tokens| *tokens > 0),
        abilities: Abilities {
            vision: can("vision"),
            thinking: can("thinking"),
            embeddings: can("embedding"),
            output_tokens: None,
        },
    }
}

/// Reads the context that a model's own parameters set (`PARAMETER num_ctx` of its Modelfile) from the answer to [`show_request`].
pub fn decode_context(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Show<'a> {
        #[serde(borrow)]
        parameters: Raw<'a>,
    }
    let show: Show<'_> = serde_json::from_slice(body).ok()?;
    // A name and a value on each line.
    let parameters = wire::filled(show.parameters)?;
    let value = parameters.lines().find_map(|line| line.trim().strip_prefix("num_ctx")?.trim().parse().ok());
    value.filter(|tokens| *tokens > 0)
}

/// Reads `/api/ps`: the loaded models with the context that each has. Older servers do not tell it.
pub fn decode_loaded(body: &[u8]) -> Vec<(String, u64)> {
    #[derive(Deserialize)]
    struct Loaded<'a> {
        #[serde(borrow)]
        models: Option<Vec<Running<'a>>>,
    }
    #[derive(Deserialize)]
    struct Running<'a> {
        #[serde(borrow)]
        name: Raw<'a>,
        #[serde(borrow)]
        model: Raw<'a>,
        #[serde(borrow)]
        context_length: Raw<'a>,
    }
    let Ok(loaded) = serde_json::from_slice::<Loaded<'_>>(body) else { return Vec::new() };
    let told = |running: &Running<'_>| {
        let tokens = wire::count(running.context_length).filter(|tokens| *tokens > 0)?;
        Some((wire::filled(running.model).or_else(|| wire::filled(running.name))?.into_owned(), tokens))
    };
    loaded.models.unwrap_or_default().iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        let body = br#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","modified_at":"2025-05-04T17:37:44.706015396-07:00","size":1},
            {"name":"old"},{"size":2}]}"#;
        let page = read(body).expect("a list");
        let told: Vec<_> = page.entries.iter().map(|entry| (entry.model.as_ref(), entry.created)).collect();
        assert_eq!(told, [("qwen3:8b", Some(1_746_405_464)), ("old", None)]);
        assert_eq!(read(br#"{"models":null}"#).expect("a list"), ModelsPage::default());
        assert!(read(b"404 page not found").is_err());
    }

    #[test]
    fn contexts_are_read() {
        let show = br#"{"parameters":"stop                           \"<|im_end|>\"\nnum_ctx                        16384\ntop_k 20"}"#;
        assert_eq!(decode_context(show), Some(16384));
        for none in [&b"{}"[..], b"x", br#"{"parameters":"num_ctx many\nnum_ctx_x 5"}"#, br#"{"parameters":7}"#] {
            assert_eq!(decode_context(none), None);
        }
        let running = br#"{"models":[{"name":"qwen3:8b","model":"qwen3:8b","size":1,"context_length":8192},{"name":"old","size":2},
            {"name":"named","context_length":4096},{"name":"none","context_length":0}]}"#;
        assert_eq!(decode_loaded(running), [("qwen3:8b".to_owned(), 8192), ("named".to_owned(), 4096)]);
        assert_eq!(decode_loaded(br#"{"models":null}"#), []);
        assert_eq!(decode_loaded(b"404 page not found"), []);
    }

    #[test]
    fn capabilities_are_read() {
        let body = br#"{"capabilities":["completion","tools","thinking"],"model_info":{"general.architecture":"qwen3","clip.vision.context_length":7,"qwen3.context_length":40960}}"#;
        let abilities = |thinking| Abilities {
            vision: Some(false),
            thinking: Some(thinking),
            embeddings: Some(false),
            output_tokens: None,
        };
        let shown = Shown { tools: Some(true), context_tokens: Some(40960), abilities: abilities(true) };
        assert_eq!(decode_show(body), shown);
        let shown = Shown { tools: Some(false), context_tokens: None, abilities: abilities(false) };
        assert_eq!(decode_show(br#"{"capabilities":["completion"]}"#), shown);
        for odd in [&b"{}"[..], b"x", b"{\"capabilities\":5,\"model_info\":[]}"] {
            assert_eq!(decode_show(odd), Shown::default());
        }
        assert_eq!(show_request("a\"b"), &br#"{"model":"a\"b"}"#[..]);
    }
}
