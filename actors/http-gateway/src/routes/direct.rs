//! What the routes that go straight to a provider have in common: only `<provider>/<model>` answers them, and what a provider cannot do is
//! refused by its name.

use crate::access_log::Access;
use crate::answering::{never_buffered, pulse};
use crate::answers;
use crate::direct_body::DirectBody;
use crate::openai::error::Refusal;
use crate::openai::request::{Answerer, answerer};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use contract::direct::{DirectAnswer, DirectAnswerBody, DirectBody as Body, DirectCall, DirectKind, Directed};
use contract::failure::{Failure, FailureClass};
use contract::provider::Target;
use contract::status::{Gauge, GaugeGuard};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// What is asked of which model.
pub(super) struct Asked {
    pub(super) kind: DirectKind,
    pub(super) provider: Arc<str>,
    pub(super) model: Arc<str>,
}

/// Finds out who is asked.
///
/// # Errors
/// `NotFound` for an id that cannot be one; `InvalidRequest` for the agent's, which this kind of request has nothing for.
pub(super) fn asked(call: &Call, kind: DirectKind, id: &str) -> Result<Asked, Failure> {
    call.access.model.replace(Some(Rc::from(id)));
    match answerer(id, || call.ports().control.default_route())? {
        Answerer::Plain(Target::Model { provider, model }) => Ok(Asked { kind, provider, model }),
        _ => {
            let message = format!("{} is answered by <provider>/<model> only, and {id:?} is the agent", kind.path());
            Err(Failure::invalid("model", message))
        }
    }
}

/// The refusal for a provider that has nothing of the kind.
pub(super) fn unsupported(asked: &Asked, kind: &str) -> Refusal {
    let Asked { provider, kind: wanted, .. } = asked;
    let message = format!("{provider} (of kind {kind}) has no {}: ask another provider", wanted.path());
    let failure = Failure::new(FailureClass::InvalidRequest, message).with_code("unsupported_endpoint");
    Refusal::from(failure).with_param("model")
}

/// How a request goes to its provider.
pub(super) struct Sent {
    pub(super) body: Body,
    pub(super) stream: bool,
    pub(super) beta: Option<String>,
}

/// Sends the request. `None` with the provider's kind if it has nothing of the kind.
///
/// # Errors
/// What the provider or HAIA's own limits refuse.
pub(super) async fn send(
    call: &Call,
    asked: &Asked,
    sent: Sent,
) -> Result<Result<DirectAnswer, &'static str>, Refusal> {
    let Sent { body, stream, beta } = sent;
    let mut directed = call.thread.own.direct.direct(DirectCall {
        request_id: call.access.request_id.clone(),
        caller: call.caller()?.clone(),
        kind: asked.kind,
        provider: Arc::clone(&asked.provider),
        model: Arc::clone(&asked.model),
        body,
        stream,
        beta,
    });
    let mut pulse = pulse(call);
    let directed = poll_fn(|context| {
        loop {
            if let Poll::Ready(directed) = directed.as_mut().poll(context) {
                return Poll::Ready(directed.map_err(Refusal::from));
            }
            match pulse.poll(context) {
                // Nothing can be said before the answer has begun.
                Poll::Ready(crate::pulse::Beat::Silent) => {}
                Poll::Ready(crate::pulse::Beat::Cut) => return Poll::Ready(Err(Refusal::draining())),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    Ok(match directed.await? {
        Directed::Answer(answer) => Ok(answer),
        Directed::Unsupported { kind } => Err(kind),
    })
}

/// The answer as a response. A stream of events that breaks off ends with what `told` prints.
pub(super) fn respond(call: Call, answer: DirectAnswer, told: fn(&Refusal) -> Bytes) -> HttpResponse {
    let DirectAnswer { content_type, body } = answer;
    let pieces = match body {
        DirectAnswerBody::Whole(body) => return answers::told(&content_type, body),
        DirectAnswerBody::Pieces(pieces) => pieces,
    };
    let open: GaugeGuard = Gauge::enter(&call.ports().gauges, |gauges| &gauges.streams_open);
    let access: Rc<Access> = Rc::clone(&call.access);
    let body = DirectBody::of_bytes(pieces, pulse(&call), access, open);
    // The request's body and head are of no more use; a stream may be open for minutes.
    drop(call);
    let is_events = content_type.to_ascii_lowercase().starts_with("text/event-stream");
    let body = if is_events { BoxBody::new(body.of_events(told)) } else { BoxBody::new(body) };
    let mut response = HttpResponse::with_body(StatusCode::OK, body);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, kind);
    never_buffered(headers);
    response
}

/// The error object as an event, as OpenAI's clients read it.
pub(super) fn openai_event(refusal: &Refusal) -> Bytes {
    format!("data: {}\n\n", refusal.json()).into()
}

/// Sends the request to the one provider and gives its answer.
///
/// # Errors
/// What the provider or HAIA's own limits refuse, and that the provider has nothing of the kind.
pub(super) async fn answer(call: Call, asked: Asked, body: Body) -> Result<HttpResponse, Refusal> {
    let sent = Sent { body, stream: false, beta: None };
    match send(&call, &asked, sent).await? {
        Ok(answer) => Ok(respond(call, answer, openai_event)),
        Err(kind) => Err(unsupported(&asked, kind)),
    }
}
