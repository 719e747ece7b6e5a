//! `GET /api/audit`: who had HAIA do what; and below it the record of actions, which is chained and can be checked.

use super::operate::query;
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::{HttpResponse, web};
use contract::approvals::ActionAuditRow;
use contract::caller::Scope;
use contract::store::{AuditKind, AuditRow, ReadActionAudit, ReadAudit, VerifyActionAudit};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const fn endpoint(
    path: &'static str,
    handler: fn(Call) -> Answer,
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str)],
    gives: &'static str,
) -> Endpoint {
    let about = About { summary, parameters, takes: None, gives: ("application/json", Some(gives)), status: 200 };
    Endpoint { method: Verb::Get, path, scope: Some(Scope::Admin), starts_work: false, handler, about }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        "/api/audit",
        |call| Box::pin(audit(call)),
        "The newest rows of the audit trail",
        &[
            ("query", "request_id", "Only rows of this request"),
            ("query", "kind", "Only this kind: tool, provider or admin"),
            ("query", "limit", "The most rows, 1 to 1000; 100 if not told"),
        ],
        "AuditRows",
    ),
    endpoint(
        "/api/audit/actions",
        |call| Box::pin(actions(call)),
        "The record of actions: of one proposal the oldest row first, of all the newest first",
        &[
            ("query", "proposal", "Only rows of this proposal"),
            ("query", "limit", "The most rows, 1 to 1000; 100 if not told"),
        ],
        "ActionRows",
    ),
    endpoint(
        "/api/audit/verify",
        |call| Box::pin(verify(call)),
        "Checks that no row of the record of actions was changed or taken out",
        &[],
        "ActionReport",
    ),
];

const PATIENCE: Duration = Duration::from_secs(5);
/// A long record takes a moment.
const VERIFY_PATIENCE: Duration = Duration::from_secs(60);

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedActions {
    proposal: Option<u64>,
    #[serde(default = "hundred")]
    limit: u32,
}

#[derive(Serialize)]
struct ActionRows {
    rows: Vec<ActionAuditRow>,
}

async fn actions(call: Call) -> Result<HttpResponse, Refusal> {
    let WantedActions { proposal, limit } = query(&call)?;
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::invalid("\"limit\" must be from 1 to 1000").with_param("limit"));
    }
    let read = call.ports().approvals.record.ask(ReadActionAudit { proposal, limit }, PATIENCE).await?;
    let rows = read.map_err(|error| Refusal::store_unavailable(&error))?;
    answers::json(&ActionRows { rows })
}

async fn verify(call: Call) -> Result<HttpResponse, Refusal> {
    let report = call.ports().approvals.verify.ask(VerifyActionAudit, VERIFY_PATIENCE).await?;
    answers::json(&report.map_err(|error| Refusal::store_unavailable(&error))?)
}
