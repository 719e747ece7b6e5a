//! The table of routes. Each file of this folder is one family and gives its endpoints; the router, the scopes, the metrics' labels and
//! `/openapi.json` are all made from them. A handler can only be reached through [`serve`], which checks the caller's scope first.

mod alerts;
mod approvals;
mod audio;
mod audit;
mod channels;
mod chat;
mod check;
mod config;
mod direct;
mod embeddings;
mod faults;
mod health;
mod home;
mod jobs;
mod keys;
mod mcp;
mod messages;
mod metrics;
mod models;
mod openapi;
mod operate;
mod responses;
mod schemas;
mod signals;
mod status;
pub(crate) mod table;
mod usage;

use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::{Arrival, Call, Thread};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use contract::LocalBoxFuture;
use contract::caller::Scope;
use std::rc::Rc;

/// What a handler gives.
pub(crate) type Answer = LocalBoxFuture<'static, Result<HttpResponse, Refusal>>;

/// One method of one path.
pub(crate) struct Endpoint {
    pub(crate) method: Verb,
    /// The path as `/openapi.json` and the metrics write it.
    pub(crate) path: &'static str,
    /// What the caller's key must allow; `None`: no key is needed.
    pub(crate) scope: Option<Scope>,
    /// Whether it begins work that a drain must not let in any more.
    pub(crate) starts_work: bool,
    pub(crate) handler: fn(Call) -> Answer,
    /// What `/openapi.json` says of it.
    pub(crate) about: About,
}

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        }
    }
}

/// An endpoint in words.
pub(crate) struct About {
    /// One line.
    pub(crate) summary: &'static str,
    /// Its parameters: where (`path`, `query`), name, what.
    pub(crate) parameters: &'static [(&'static str, &'static str, &'static str)],
    /// The name of the request body's schema.
    pub(crate) takes: Option<&'static str>,
    /// The answer's content type, and its schema's name if it is JSON.
    pub(crate) gives: (&'static str, Option<&'static str>),
    /// The status of a good answer.
    pub(crate) status: u16,
}

/// Every endpoint, in the order in which paths are tried: the busiest first.
pub(crate) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    [
        chat::ENDPOINTS,
        messages::ENDPOINTS,
        responses::ENDPOINTS,
        embeddings::ENDPOINTS,
        audio::ENDPOINTS,
        models::ENDPOINTS,
        health::ENDPOINTS,
        status::ENDPOINTS,
        metrics::ENDPOINTS,
        usage::ENDPOINTS,
        signals::ENDPOINTS,
        alerts::ENDPOINTS,
        jobs::ENDPOINTS,
        approvals::ENDPOINTS,
        channels::ENDPOINTS,
        audit::ENDPOINTS,
        crate::mcp::ENDPOINTS,
        mcp::ENDPOINTS,
        keys::ENDPOINTS,
        config::ENDPOINTS,
        check::ENDPOINTS,
        faults::ENDPOINTS,
        openapi::ENDPOINTS,
        home::ENDPOINTS,
    ]
    .into_iter()
    .flatten()
}

/// Whether the path's route reads its body by itself while it arrives.
pub(crate) fn reads_by_itself(path: &str) -> bool {
    path == audio::TRANSCRIPTIONS
}

/// Answers every request: finds its route and what it does there.
pub(crate) async fn answer(request: HttpRequest) -> HttpResponse {
    match table::find(request.match_info().as_str()) {
        None => unknown_path(&request),
        Some(route) => match route.endpoint(request.method()) {
            Some(endpoint) => serve(request, endpoint).await,
            None => wrong_method(&request, route),
        },
    }
}

/// Checks and answers one request. The arrival was put there by the entry.
async fn serve(request: HttpRequest, endpoint: &'static Endpoint) -> HttpResponse {
    let Some((thread, arrival)) = arrived(&request) else { return lost() };
    let access = Rc::clone(&arrival.access);
    access.route.set(endpoint.path);
    let answer = match Call::admit(thread, request, arrival, endpoint) {
        Ok(call) if endpoint.starts_work && call.shared().is_draining() => Err(Refusal::draining()),
        Ok(call) => (endpoint.handler)(call).await,
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|refusal| answers::refusal(&refusal, &access))
}

fn wrong_method(request: &HttpRequest, route: &table::Route) -> HttpResponse {
    let Some((_, arrival)) = arrived(request) else { return lost() };
    let (path, allowed) = (route.path, route.allowed());
    arrival.access.route.set(path);
    let mut response = match (&arrival.identity, request.method()) {
        (_, &Method::OPTIONS) => HttpResponse::new(StatusCode::NO_CONTENT),
        (Err(refusal), _) => answers::refusal(refusal, &arrival.access),
        (Ok(_), method) => {
            let message = format!("{path} does not take {method}, but {allowed}");
            answers::refusal(&Refusal::wrong_method(message), &arrival.access)
        }
    };
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// The endpoint that a client with a base URL without `/v1`, or with two of them, was after.
fn meant(path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix("/v1").unwrap_or(path);
    let found =
        endpoints().find(|endpoint| endpoint.path == rest || endpoint.path.strip_prefix("/v1") == Some(rest))?;
    found.path.starts_with("/v1/").then_some(found.path)
}

fn unknown_path(request: &HttpRequest) -> HttpResponse {
    let Some((_, arrival)) = arrived(request) else { return lost() };
    match &arrival.identity {
        Err(refusal) => answers::refusal(refusal, &arrival.access),
        Ok(_) => {
            let shown: String = request.path().chars().take(100).collect();
            let message = match meant(request.path()) {
                Some(path) => format!(
                    "there is nothing at {shown:?}, but at {path:?}: the base URL that the client is given must end in one /v1"
                ),
                None => format!("there is nothing at {shown:?}: GET /openapi.json lists what there is"),
            };
            answers::refusal(&Refusal::not_found(message), &arrival.access)
        }
    }
}

fn arrived(request: &HttpRequest) -> Option<(Rc<Thread>, Arrival)> {
    let thread = request.app_data::<Rc<Thread>>().cloned()?;
    let arrival = request.extensions_mut().remove::<Arrival>()?;
    Some((thread, arrival))
}

/// A request that came around the entry: cannot happen while the entry is the outermost layer.
fn lost() -> HttpResponse {
    answers::refusal_response(&Refusal::internal("the request did not come through the entry"))
}
