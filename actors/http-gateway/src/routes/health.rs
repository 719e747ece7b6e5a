//! `GET /health`: whether the process serves. `GET /ready`: whether it can do its work.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::{ErrorObject, Refusal};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use contract::caller::Scope;
use contract::provider::{Readiness, RouteReadiness};
use serde::Serialize;
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Get,
        path: "/health",
        scope: None,
        starts_work: false,
        handler: |_| Box::pin(async { answers::json(&Health { status: "ok" }) }),
        about: About {
            summary: "200 while the process serves; needs no key",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Health")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Get,
        path: "/ready",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(ready(call)),
        about: About {
            summary: "200 once every required actor runs and the default route can answer, else 503 with the reason",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Ready")),
            status: 200,
        },
    },
];

/// A load balancer asks often and waits little.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    degraded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorObject<'a>>,
}

async fn ready(call: Call) -> Result<HttpResponse, Refusal> {
    if call.shared().is_draining() {
        return not_ready("HAIA is shutting down");
    }
    let control = &call.ports().control;
    if let Err(reason) = control.required_actors_running() {
        return not_ready(&reason);
    }
    let route = control.default_route();
    match call.ports().readiness.ask(RouteReadiness { route }, PATIENCE).await {
        Ok(Readiness::Ready) => answers::json(&Ready { ready: true, degraded: false, reason: None, error: None }),
        Ok(Readiness::Degraded(reason)) => {
            answers::json(&Ready { ready: true, degraded: true, reason: Some(&reason), error: None })
        }
        Ok(Readiness::NotReady(reason)) => not_ready(&reason),
        Err(fault) => not_ready(&fault.to_string()),
    }
}

fn not_ready(reason: &str) -> Result<HttpResponse, Refusal> {
    let refusal = Refusal::unavailable(reason.to_owned(), None);
    let body = Ready { ready: false, degraded: false, reason: Some(reason), error: Some(refusal.object()) };
    let mut response = answers::json_with(StatusCode::SERVICE_UNAVAILABLE, &body)?;
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}
