//! `GET /v1/models` and `/v1/models/{id}`: served from what was last known, so a provider that is down takes no time.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::openai::request::{AGENT, unknown_model};
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::provider::{BUILTIN, BUILTIN_OFFLINE, ListModels, ModelList};
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
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// Every model id, the agent's first: clients tend to choose the first.
pub(crate) fn models(known: &ModelList) -> Vec<Model> {
    let model = |id: String, owned_by: &str, created: Option<i64>, context_length: Option<u64>| Model {
        id,
        object: "model",
        created: created.unwrap_or(0),
        owned_by: owned_by.to_owned(),
        context_length,
    };
    let mut models = vec![model(AGENT.to_owned(), AGENT, None, None)];
    models.extend(known.routes.iter().map(|route| model(format!("{AGENT}/{}", route.name), AGENT, None, None)));
    models.extend(known.models.iter().map(|entry| {
        let id = format!("{}/{}", entry.provider, entry.model);
        model(id, &entry.provider, entry.created, entry.context_tokens)
    }));
    if !models.iter().any(|model| model.id == BUILTIN_OFFLINE) {
        models.push(model(BUILTIN_OFFLINE.to_owned(), BUILTIN, None, None));
    }
    models
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
