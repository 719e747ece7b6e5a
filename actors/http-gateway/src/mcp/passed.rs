//! What attached servers answer beside tools, passed on: resources, prompts, completions, subscriptions.
//!
//! HAIA's own come first: no server can take the name or the address of one of them. What a server says is data and passed on as it is.

use super::Choice;
use super::era::Era;
use super::error::{INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, RpcError};
use super::message::Request;
use super::methods::{Asked, Reply};
use super::{prompts, resources};
use contract::relay::{AskAttached, ListMcpOffers, McpMethod, McpOffers};
use contract::tools::MAX_CALL;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the host of attached servers may take to tell what they offer: they are not asked for it.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may take for an answer without a sign of progress.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The host keeps the deadline itself; this is for one that cannot.
const GRACE: Duration = Duration::from_secs(2);
/// A client lacks an ability that the server needs (2026-07-28).
const MISSING_CAPABILITY: i32 = -32021;

/// What attached servers offer to this client; nothing where they are not served, or their host does not answer.
pub(super) async fn offers(asked: &Asked) -> McpOffers {
    if asked.choice == Choice::Own {
        return McpOffers::default();
    }
    let port = &asked.thread.gateway.ports.tools.offers;
    match port.ask(ListMcpOffers { caller: asked.caller.clone() }, LIST_PATIENCE).await {
        Ok(offers) => offers,
        Err(fault) => {
            tracing::warn!(%fault, "what attached MCP servers offer cannot be told now");
            McpOffers::default()
        }
    }
}

/// A list of HAIA's own and of others, under `member`.
pub(super) fn joined(member: &str, own: Value, others: &[Arc<RawValue>]) -> String {
    let own = own.as_array().cloned().unwrap_or_default();
    let own = own.iter().map(Value::to_string);
    let all: Vec<String> = own.chain(others.iter().map(|one| one.get().to_owned())).collect();
    format!(r#"{{"{member}":[{}]}}"#, all.join(","))
}

/// Asks the attached server whose resource or prompt `what` is; `None` where it is nobody's, or HAIA's own.
pub(super) async fn ask(
    asked: &Asked,
    request: &Request,
    method: McpMethod,
    what: &str,
) -> Option<Result<Map<String, Value>, RpcError>> {
    let is_own = match method {
        McpMethod::GetPrompt => prompts::is_own(what),
        _ => resources::is_own(what),
    };
    if is_own {
        return None;
    }
    send(asked, request, method).await
}

async fn send(asked: &Asked, request: &Request, method: McpMethod) -> Option<Result<Map<String, Value>, RpcError>> {
    if asked.choice == Choice::Own {
        return None;
    }
    let from = asked.from.clone()?;
    let params = to_raw_value(&request.plain_params()).ok()?;
    let caller = asked.caller.clone();
    let message = AskAttached { caller, method, params: params.into(), from, timeout: TIMEOUT };
    let port = &asked.thread.gateway.ports.tools.ask_attached;
    let refusal = match port.ask(message, MAX_CALL.saturating_add(GRACE)).await {
        Ok(Ok(answer)) => {
            let answer: Result<Map<String, Value>, _> = serde_json::from_str(answer.get());
            return Some(answer.map_err(|_| RpcError::new(INTERNAL_ERROR, "the server answered with no result")));
        }
        Ok(Err(refusal)) => refusal,
        Err(fault) => {
            return Some(Err(RpcError::new(INTERNAL_ERROR, format!("it cannot be asked for now: {fault}"))));
        }
    };
    let code = refusal.code?;
    let data = refusal.data.and_then(|data| serde_json::from_str(data.get()).ok());
    Some(Err(refused(asked.era, code, refusal.message, data)))
}

/// A refusal of an attached server, as this client's era writes it.
pub(super) fn refused(era: Era, code: i32, message: String, data: Option<Value>) -> RpcError {
    let code = match (era, code) {
        (Era::Modern, RESOURCE_NOT_FOUND) => INVALID_PARAMS,
        (_, code) => code,
    };
    let mut error = RpcError::new(code, message);
    error.data = data;
    if era == Era::Modern && code == MISSING_CAPABILITY { error.with_status(400) } else { error }
}

/// Answers `completion/complete`: HAIA's own prompts and resources have nothing to complete.
pub(super) async fn complete(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let params = request.plain_params();
    let reference = params.get("ref").cloned().unwrap_or_default();
    let name = reference["name"].as_str().or(reference["uri"].as_str());
    let Some(name) = name else { return Err(RpcError::params("\"ref\" must name a prompt or a resource")) };
    if prompts::is_own(name) || resources::is_own(name) {
        return Ok(Reply::new(json!({ "completion": { "values": [], "total": 0, "hasMore": false } }).to_string()));
    }
    match send(asked, request, McpMethod::Complete).await {
        Some(answer) => Ok(Reply::passed_on(answer?, None)),
        None => Err(RpcError::params("there is no such prompt and no such resource")),
    }
}

/// Answers `resources/subscribe`.
pub(super) async fn subscribe(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let (session, uri) = subscription(asked, request)?;
    if resources::is_own(&uri) {
        let said = "HAIA's own resources change all the time: read them again when you need them";
        return Err(RpcError::params(said));
    }
    let gateway = &asked.thread.gateway;
    let count = gateway.ports.tools.updates.count(&uri);
    match send(asked, request, McpMethod::Subscribe).await {
        None => Err(refused(asked.era, RESOURCE_NOT_FOUND, "there is no such resource".to_owned(), None)),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) if gateway.shared.mcp().sessions.subscribe(session, &uri, count) => Ok(Reply::new("{}".to_owned())),
        Some(Ok(_)) => Err(RpcError::params("too many resources are subscribed to")),
    }
}

/// Answers `resources/unsubscribe`.
pub(super) async fn unsubscribe(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let (session, uri) = subscription(asked, request)?;
    let is_last = asked.thread.gateway.shared.mcp().sessions.unsubscribe(session, &uri);
    if is_last && let Some(answer) = send(asked, request, McpMethod::Unsubscribe).await {
        answer?;
    }
    Ok(Reply::new("{}".to_owned()))
}

fn subscription<'a>(asked: &'a Asked, request: &Request) -> Result<(&'a str, String), RpcError> {
    let uri = request.text("uri").ok_or_else(|| RpcError::params("\"uri\" is missing"))?;
    let session = asked.session.as_deref().ok_or_else(|| RpcError::params("there is no session"))?;
    Ok((session, uri))
}
