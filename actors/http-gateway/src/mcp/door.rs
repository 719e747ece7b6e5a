//! The way in: who may come, what kind of message it is, and where it goes.
//!
//! The gateway's entry has checked key and origin before. Here the `Host` is checked once more, also for those with a key: an MCP client on
//! somebody's machine may be tricked by a web page that makes its own name point there.

use super::Choice;
use super::answer::{Form, Place, guarded, refusal, respond, stream};
use super::era::{Era, SESSION_HEADER, header, is_modern_head, judge};
use super::error::{INTERNAL_ERROR, INVALID_REQUEST, RpcError, SERVER_ERROR};
use super::line::{self, Desk};
use super::listen::{For, ListenBody, ListenParams, Seat};
use super::message::{Message, Request};
use super::methods::{self, Asked};
use super::sessions::Told;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::routes::{About, Endpoint, Verb};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self as names, HeaderName, HeaderValue};
use contract::caller::{Origin, Scope};
use contract::status::Gauge;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::rc::Rc;
use std::sync::Arc;

const fn about(summary: &'static str, kind: &'static str, status: u16) -> About {
    About { summary, parameters: &[], takes: None, gives: (kind, None), status }
}

/// The endpoints of `/mcp`.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/mcp",
        scope: Some(Scope::Read),
        starts_work: true,
        handler: |call| Box::pin(post(call)),
        about: about(
            "A message of the Model Context Protocol; calling a tool needs the scope control",
            "application/json",
            200,
        ),
    },
    Endpoint {
        method: Verb::Get,
        path: "/mcp",
        scope: Some(Scope::Read),
        starts_work: true,
        handler: |call| Box::pin(get(call)),
        about: about(
            "The stream of an MCP session: tells when the list of tools has changed",
            "text/event-stream",
            200,
        ),
    },
    Endpoint {
        method: Verb::Delete,
        path: "/mcp",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(delete(call)),
        about: about("Ends an MCP session", "text/plain", 204),
    },
];

/// Whether MCP is served at all, and to this `Host`.
fn enter(call: &Call) -> Result<(), Refusal> {
    let published = call.shared().now();
    if !published.config.mcp.serve {
        return Err(Refusal::not_found("MCP is not served here: [mcp] serve is false"));
    }
    if call.caller()?.origin == Origin::Cli {
        return Ok(());
    }
    let host = call.http.headers().get(names::HOST).map(|host| host.to_str().unwrap_or("?"));
    if published.hosts.trusts(host) || host.is_some_and(crate::hosts::is_address) {
        return Ok(());
    }
    Err(Refusal::forbidden("the Host header is not a name of this machine: add it to [mcp] allowed_hosts"))
}

/// What a client takes as an answer.
struct Accepted {
    json: bool,
    events: bool,
}

fn accepted(call: &Call) -> Accepted {
    let mut accepted = Accepted { json: false, events: false };
    let mut said = false;
    for value in call.http.headers().get_all(names::ACCEPT).filter_map(|value| value.to_str().ok()) {
        for kind in value.split(',') {
            said = true;
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            accepted.json |= ["application/json", "application/*", "*/*"].contains(&kind.as_str());
            accepted.events |= ["text/event-stream", "text/*", "*/*"].contains(&kind.as_str());
        }
    }
    if said { accepted } else { Accepted { json: true, events: true } }
}

fn is_json(call: &Call) -> bool {
    let kind = call.http.headers().get(names::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The session that a request names; `None` where it names none.
fn session(call: &Call) -> Result<Option<String>, RpcError> {
    Ok(header(call.http.headers(), SESSION_HEADER)?.map(str::to_owned))
}

fn no_session() -> RpcError {
    RpcError::new(INVALID_REQUEST, "the header Mcp-Session-Id is missing: begin with initialize").with_status(400)
}

fn unknown_session() -> RpcError {
    RpcError::new(INVALID_REQUEST, "there is no such session any more: begin anew with initialize").with_status(404)
}

/// Uses the session that a request names.
fn in_session(call: &Call, named: Option<String>) -> Result<String, RpcError> {
    let id = named.ok_or_else(no_session)?;
    let gateway = &call.thread.gateway;
    let timeout = gateway.shared.now().config.mcp.session_timeout.0;
    let owner = call.known.as_ref().map_or("", |caller| &caller.name);
    if gateway.shared.mcp().sessions.touch(&id, owner, gateway.ports.clock.monotonic(), timeout) {
        Ok(id)
    } else {
        Err(unknown_session())
    }
}

async fn post(call: Call) -> Result<HttpResponse, Refusal> {
    enter(&call)?;
    let refused =
        |status, said: &'static str| Ok(refusal(&RpcError::new(INVALID_REQUEST, said).with_status(status), "null"));
    if !is_json(&call) {
        return refused(415, "Content-Type must be application/json");
    }
    let takes = accepted(&call);
    if !takes.json && !takes.events {
        return refused(406, "Accept must name application/json or text/event-stream");
    }
    match Message::read(&call.body) {
        Err(error) => Ok(refusal(&error, "null")),
        Ok(Message::Answer(answer)) => {
            if let (Ok(Some(session)), Some(caller)) = (session(&call), &call.known) {
                call.shared().mcp().sessions.answer(&session, &caller.name, &answer.id, answer.result);
            }
            Ok(HttpResponse::new(StatusCode::ACCEPTED))
        }
        Ok(Message::Notification(notification)) => Ok(notified(&call, &notification)),
        Ok(Message::Request(request)) => {
            let id = request.id.clone();
            Ok(requested(call, request, takes).await.unwrap_or_else(|error| refusal(&error, &id)))
        }
    }
}

fn notified(call: &Call, notification: &Request) -> HttpResponse {
    if !is_modern_head(call.http.headers()) {
        let session = session(call).and_then(|named| in_session(call, named));
        match session {
            Err(error) => return refusal(&error, "null"),
            Ok(session) if notification.method == "notifications/cancelled" => cancel(call, &session, notification),
            Ok(_) => {}
        }
    }
    HttpResponse::new(StatusCode::ACCEPTED)
}

fn cancel(call: &Call, session: &str, notification: &Request) {
    #[derive(Deserialize)]
    struct Cancelled {
        #[serde(rename = "requestId")]
        request: Value,
    }
    if let (Ok(Cancelled { request }), Some(caller)) = (notification.params::<Cancelled>(), &call.known) {
        call.shared().mcp().sessions.cancel(session, &caller.name, &request.to_string());
    }
}

async fn requested(call: Call, request: Request, takes: Accepted) -> Result<HttpResponse, RpcError> {
    let era = judge(&request, call.http.headers())?;
    let Some(caller) = call.known.clone() else {
        return Err(RpcError::new(INTERNAL_ERROR, "nobody asks").with_status(401));
    };
    let is_opening = era == Era::Legacy && request.method == "initialize";
    let session = match era {
        Era::Legacy if !is_opening => Some(in_session(&call, session(&call)?)?),
        _ => None,
    };
    if request.method == "tools/call" && caller.scope < Scope::Control {
        record(&call, &format!("mcp call {}", request.text("name").unwrap_or_default()), "forbidden");
        let said = format!(
            "calling a tool needs a key of scope \"control\"; {:?} has {:?}",
            caller.name,
            caller.scope.as_str()
        );
        return Err(RpcError::new(SERVER_ERROR, said).with_status(403));
    }
    let choice = Choice::of(&call.shared().now().config.mcp, call.http.query_string());
    if choice == Choice::Own && request.method == "tools/call" {
        let name = request.text("name").unwrap_or_default();
        let tools = &call.thread.gateway.ports.tools;
        if tools.own.load().get(&name).is_none() && tools.everything.load().get(&name).is_some() {
            record(&call, &format!("mcp call {name}"), "forbidden");
            return Err(RpcError::params(
                "tools of attached servers are not served here: [mcp] serve_attached is false",
            ));
        }
    }
    if era == Era::Modern && request.method == "subscriptions/listen" {
        return listening(call, For::Subscription(request.id.clone(), request.params::<ListenParams>()?), choice);
    }
    let (thread, access) = (Rc::clone(&call.thread), Rc::clone(&call.access));
    let gateway = &call.thread.gateway;
    let (from, news) = if PASSED_ON.contains(&request.method.as_str()) {
        let desk = session.clone().map(|session| Desk { shared: Arc::clone(&gateway.shared), session });
        let (from, news) = line::open(&request, era, desk, takes.events);
        (Some(from), Some(news))
    } else {
        (None, None)
    };
    let asked = Asked {
        thread,
        caller: caller.clone(),
        access: Rc::clone(&access),
        era,
        choice,
        session: session.clone(),
        from,
    };
    // Attached servers tell of their own progress.
    let title = match request.method.as_str() {
        "tools/call" => {
            let name = request.text("name").unwrap_or_default();
            gateway.ports.tools.own.load().get(&name).map(|tool| tool.title.to_string())
        }
        _ => None,
    };
    let form = Form {
        id: request.id.clone(),
        era,
        json: takes.json,
        events: takes.events,
        progress: request.meta.progress_token(),
        title,
        news,
        clock: Arc::clone(&gateway.ports.clock),
        shared: Arc::clone(&gateway.shared),
        access,
    };
    let place =
        session.map(|session| Place { shared: Arc::clone(&gateway.shared), session, request: request.id.clone() });
    let capabilities = if is_opening { request.params::<Opening>().ok() } else { None };
    let work = guarded(Box::pin(async move { methods::answer(&asked, &request).await }), place)?;
    let gauges = Arc::clone(&gateway.ports.gauges);
    let mut response = respond(work, form, || Gauge::enter(&gauges, |gauges| &gauges.streams_open)).await;
    if is_opening && response.status() == StatusCode::OK {
        open(&call, &caller.name, capabilities.and_then(|told| told.capabilities), &mut response);
    }
    Ok(response)
}

/// What an attached server may have to answer.
const PASSED_ON: [&str; 6] = [
    "tools/call",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "completion/complete",
];
/// The least level of log messages that a client hears that named none.
const DEFAULT_LEVEL: &str = "info";
/// The largest description of a client's abilities that is kept.
const CAPABILITIES_BYTES: usize = 4096;

/// What `initialize` tells of the client.
#[derive(Deserialize)]
struct Opening {
    capabilities: Option<Box<RawValue>>,
}

/// Opens a session and names it in the answer.
fn open(call: &Call, owner: &Arc<str>, capabilities: Option<Box<RawValue>>, response: &mut HttpResponse) {
    let gateway = &call.thread.gateway;
    let mut secret = [0; 16];
    gateway.ports.ids.secret(&mut secret);
    let id = crate::auth::to_hex(&secret);
    let timeout = gateway.shared.now().config.mcp.session_timeout.0;
    gateway.shared.mcp().sessions.open(&id, owner, gateway.ports.clock.monotonic(), timeout);
    let capabilities = capabilities.filter(|told| told.get().len() <= CAPABILITIES_BYTES).map(Arc::from);
    let log_level = Some(DEFAULT_LEVEL.into());
    gateway.shared.mcp().sessions.tell(&id, |told| *told = Told { capabilities, log_level });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static(SESSION_HEADER), value);
    }
}

fn listening(call: Call, whom: For, choice: Choice) -> Result<HttpResponse, RpcError> {
    let Some(seat) = Seat::take(&call.shared().mcp().listening) else {
        return Err(RpcError::new(SERVER_ERROR, "too many clients listen already").with_status(429));
    };
    let Some(caller) = call.known else { return Err(no_session()) };
    Ok(stream(ListenBody::new(call.thread, caller, call.access, whom, choice, seat)))
}

fn only_posts() -> HttpResponse {
    let mut response = refusal(
        &RpcError::new(INVALID_REQUEST, "since 2026-07-28 there are no sessions: POST only").with_status(405),
        "null",
    );
    response.headers_mut().insert(names::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn get(call: Call) -> Result<HttpResponse, Refusal> {
    enter(&call)?;
    if is_modern_head(call.http.headers()) {
        return Ok(only_posts());
    }
    if !accepted(&call).events {
        let error = RpcError::new(INVALID_REQUEST, "Accept must name text/event-stream").with_status(406);
        return Ok(refusal(&error, "null"));
    }
    let session = session(&call).and_then(|named| in_session(&call, named));
    let choice = Choice::of(&call.shared().now().config.mcp, call.http.query_string());
    let opened = session.and_then(|session| listening(call, For::Session(session), choice));
    Ok(opened.unwrap_or_else(|error| refusal(&error, "null")))
}

async fn delete(call: Call) -> Result<HttpResponse, Refusal> {
    enter(&call)?;
    if is_modern_head(call.http.headers()) {
        return Ok(only_posts());
    }
    let owner = &call.caller()?.name;
    Ok(match session(&call).and_then(|named| named.ok_or_else(no_session)) {
        Err(error) => refusal(&error, "null"),
        Ok(id) if call.shared().mcp().sessions.close(&id, owner) => HttpResponse::new(StatusCode::NO_CONTENT),
        Ok(_) => refusal(&unknown_session(), "null"),
    })
}
