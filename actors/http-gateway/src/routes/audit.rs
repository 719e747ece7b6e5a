//! `GET /api/audit`: who had HAIA do what.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::{HttpResponse, web};
use contract::caller::Scope;
use contract::store::{AuditKind, AuditRow, ReadAudit};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/api/audit",
    scope: Some(Scope::Admin),
    starts_work: false,
    handler: |call| Box::pin(audit(call)),
    about: About {
        summary: "The newest rows of the audit trail",
        parameters: &[
            ("query", "request_id", "Only rows of this request"),
            ("query", "kind", "Only this kind: tool, provider or admin"),
            ("query", "limit", "The most rows, 1 to 1000; 100 if not told"),
        ],
        takes: None,
        gives: ("application/json", Some("AuditRows")),
        status: 200,
    },
}];

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    request_id: Option<String>,
    kind: Option<AuditKind>,
    #[serde(default = "hundred")]
    limit: u32,
}

fn hundred() -> u32 {
    100
}

#[derive(Serialize)]
struct Rows {
    rows: Vec<AuditRow>,
}

async fn audit(call: Call) -> Result<HttpResponse, Refusal> {
    let wanted = web::Query::<Wanted>::from_query(call.http.query_string())
        .map_err(|error| Refusal::invalid(format!("the query is wrong: {error}")))?
        .into_inner();
    if !(1..=1000).contains(&wanted.limit) {
        return Err(Refusal::invalid("\"limit\" must be from 1 to 1000").with_param("limit"));
    }
    let Wanted { request_id, kind, limit } = wanted;
    let read = call.ports().audit.ask(ReadAudit { request_id, kind, limit }, PATIENCE).await?;
    let rows = read.map_err(|error| Refusal::store_unavailable(&error))?;
    answers::json(&Rows { rows })
}
