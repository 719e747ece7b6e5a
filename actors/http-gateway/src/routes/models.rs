//! `GET /v1/models` and `/v1/models/{id}`: served from what was last known, so a provider that is down takes no time.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::openai::request::{AGENT, unknown_model};
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::provider::{Abilities, BUILTIN, BUILTIN_OFFLINE, ListModels, ModelEntry, ModelList};
use serde::Serialize;
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Get,
        path: "/v1/models",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(list(call)),
        about: About {
            summary: "Every model id: the agent, the agent on each route, each model of each provider",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("ModelList")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Get,
        path: "/v1/models/{id}",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(one(call)),
        about: About {
            summary: "One model",
            parameters: &[("path", "id", "The model id; its slashes may be written as they are or as %2F")],
            takes: None,
            gives: ("application/json", Some("Model")),
            status: 200,
        },
    },
];

/// The pool answers from memory; longer than this and something is wrong with it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// OpenAI's model object.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Model {
    pub(crate) id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Capabilities>,
}

/// What a model can do, as far as its provider tells.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Capabilities {
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vision: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<bool>,
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// Every model id, the agent's first: clients tend to choose the first.
pub(crate) fn models(known: &ModelList) -> Vec<Model> {
    let own = |id: String, owned_by: &str| Model {
        id,
        object: "model",
        created: 0,
        owned_by: owned_by.to_owned(),
        context_length: None,
        max_output_tokens: None,
        capabilities: None,
    };
    let mut models = vec![own(AGENT.to_owned(), AGENT)];
    models.extend(known.routes.iter().map(|route| own(format!("{AGENT}/{}", route.name), AGENT)));
    models.extend(known.models.iter().map(|entry| Model {
        created: entry.created.unwrap_or(0),
        context_length: entry.context_tokens,
        max_output_tokens: entry.abilities.output_tokens,
        capabilities: capabilities(entry),
        ..own(format!("{}/{}", entry.provider, entry.model), &entry.provider)
    }));
    if !models.iter().any(|model| model.id == BUILTIN_OFFLINE) {
        models.push(own(BUILTIN_OFFLINE.to_owned(), BUILTIN));
    }
    models
}

fn capabilities(entry: &ModelEntry) -> Option<Capabilities> {
    let Abilities { vision, thinking, embeddings, .. } = entry.abilities;
    let told = Capabilities { tools: entry.tools, vision, thinking, embeddings };
    (told != Capabilities::default()).then_some(told)
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let known = call.ports().models.ask(ListModels, PATIENCE).await?;
    answers::json(&List { object: "list", data: models(&known) })
}

async fn one(call: Call) -> Result<HttpResponse, Refusal> {
    let id = call.path_part("id");
    let known = call.ports().models.ask(ListModels, PATIENCE).await?;
    match models(&known).into_iter().find(|model| model.id == id) {
        Some(model) => answers::json(&model),
        None => Err(unknown_model(&id).into()),
    }
}
