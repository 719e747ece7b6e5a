//! `POST /api/check/{provider}`: asks a provider for its models now, for `haia check`.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::provider::{ModelEntry, ProbeProvider};
use serde::Serialize;
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/api/check/{provider}",
    scope: Some(Scope::Admin),
    starts_work: true,
    handler: |call| Box::pin(check(call)),
    about: About {
        summary: "Asks a provider for its models now: whether it can be reached and takes HAIA's key",
        parameters: &[("path", "provider", "The provider's name in the configuration")],
        takes: None,
        gives: ("application/json", Some("Checked")),
        status: 200,
    },
}];

/// Longer than any provider's own connect and answer deadlines for a model list.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Checked {
    provider: String,
    models: Vec<ModelEntry>,
}

async fn check(call: Call) -> Result<HttpResponse, Refusal> {
    let provider = call.path_part("provider");
    let probe = ProbeProvider { provider: provider.as_str().into() };
    let models = call.ports().probe.ask(probe, PATIENCE).await??;
    answers::json(&Checked { provider, models })
}
