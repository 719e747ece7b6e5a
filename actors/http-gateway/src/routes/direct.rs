//! What the routes that go straight to a provider have in common: only `<provider>/<model>` answers them, and what a provider cannot do is
//! refused by its name.

use crate::access_log::Access;
use crate::answering::{never_buffered, pulse};
use crate::answers;
use crate::direct_body::DirectBody;
use crate::openai::error::Refusal;
use crate::openai::request::{Answerer, answerer};
use crate::pulse::Beat;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::direct::{DirectAnswer, DirectAnswerBody, DirectBody as Body, DirectCall, DirectKind, Directed, Pieces};
use contract::failure::{Failure, FailureClass};
use contract::provider::Target;
use contract::status::{Gauge, GaugeGuard};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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

/// Sends the request. The provider's kind if it has nothing of the kind. A stream that has not begun after ten seconds is given as it is: its
/// head goes out, and what comes of it is told in the stream.
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
    let begun = poll_fn(|context| {
        loop {
            if let Poll::Ready(directed) = directed.as_mut().poll(context) {
                return Poll::Ready(directed.map(Some).map_err(Refusal::from));
            }
            match pulse.poll(context) {
                Poll::Ready(Beat::Silent) if stream => return Poll::Ready(Ok(None)),
                // Nothing can be said before the answer has begun.
                Poll::Ready(Beat::Silent) => {}
                Poll::Ready(Beat::Cut) => return Poll::Ready(Err(Refusal::draining())),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    Ok(match begun.await? {
        Some(Directed::Answer(answer)) => Ok(answer),
        Some(Directed::Unsupported { kind }) => Err(kind),
        // The head goes out without it.
        None => {
            let body = DirectAnswerBody::Pieces(Box::pin(Late::Opening(directed)));
            Ok(DirectAnswer { content_type: "text/event-stream".to_owned(), body })
        }
    })
}

/// A stream of events that had not begun when its head had to go out.
enum Late {
    Opening(LocalBoxFuture<'static, Result<Directed, Failure>>),
    Open(Pin<Box<dyn Pieces>>),
}

impl Pieces for Late {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            match &mut *self {
                Late::Open(pieces) => return pieces.as_mut().poll_piece(context),
                Late::Opening(directed) => match ready!(directed.as_mut().poll(context)) {
                    Ok(Directed::Answer(DirectAnswer { body: DirectAnswerBody::Pieces(pieces), .. })) => {
                        *self = Late::Open(pieces);
                    }
                    Ok(_) => {
                        let message = "the provider gave no stream of events, though it was asked for one";
                        return Poll::Ready(Some(Err(Failure::new(FailureClass::ServerError, message))));
                    }
                    Err(failure) => return Poll::Ready(Some(Err(failure))),
                },
            }
        }
    }
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
