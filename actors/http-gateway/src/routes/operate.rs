//! What the routes for operators share: asking the owner of a domain, and telling its failures.

use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::web;
use contract::failure::{Failure, FailureClass};
use contract::message::Msg;
use runtime::Port;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long an owner may take: a write to the disk included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the owner of a domain.
pub(super) async fn ask<M, T>(port: &Port<M>, message: M) -> Result<T, Refusal>
where
    M: Msg<Reply = Result<T, Failure>>,
{
    port.ask(message, PATIENCE).await?.map_err(|failure| refusal(&failure))
}

/// Asks the owner of a domain for what cannot fail.
pub(super) async fn read<M: Msg>(port: &Port<M>, message: M) -> Result<M::Reply, Refusal> {
    Ok(port.ask(message, PATIENCE).await?)
}

/// A failure of an operator's request: nothing of it is about models.
pub(super) fn refusal(failure: &Failure) -> Refusal {
    let message = failure.message.clone();
    let refusal = match failure.class {
        FailureClass::InvalidRequest => Refusal::invalid(message),
        FailureClass::NotFound => Refusal::not_found(message),
        FailureClass::Permission => Refusal::forbidden(message),
        FailureClass::TooLarge => Refusal::invalid(message).with_code("request_too_large"),
        _ => return Refusal::from(failure.clone()),
    };
    match &failure.param {
        Some(param) => refusal.with_param(param.clone()),
        None => refusal,
    }
}

/// Reads the query.
pub(super) fn query<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    web::Query::<T>::from_query(call.http.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| Refusal::invalid(format!("the query is wrong: {error}")))
}

/// Reads a JSON body; an empty one counts as `{}`.
pub(super) fn body<T: DeserializeOwned>(call: &Call, expected: &str) -> Result<T, Refusal> {
    let bytes: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    serde_json::from_slice(bytes).map_err(|error| Refusal::invalid(format!("expected {expected}: {error}")))
}

/// A number in the path.
pub(super) fn number(call: &Call, name: &str) -> Result<u64, Refusal> {
    let text = call.path_part(name);
    text.trim_start_matches('#')
        .parse()
        .map_err(|_| Refusal::invalid(format!("{text:?} is no number")).with_param(name.to_owned()))
}
