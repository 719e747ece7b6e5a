//! `GET /status`: everything that HAIA knows of itself, for operators and the command line.

use super::{About, Endpoint, Verb};
use crate::answers;
use contract::caller::Scope;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/status",
    scope: Some(Scope::Read),
    starts_work: false,
    handler: |call| Box::pin(async move { answers::json(&call.ports().status.status().await) }),
    about: About {
        summary: "What HAIA reports of itself: actors, providers, turns, streams, store",
        parameters: &[],
        takes: None,
        gives: ("application/json", Some("Status")),
        status: 200,
    },
}];
