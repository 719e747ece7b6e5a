//! From a checked request to its answer, whatever format it came in: who answers, then a stream or one body.

use crate::answers;
use crate::encoder::{StreamEncoder, WholeEncoder};
use crate::exchange::{Exchange, Step};
use crate::openai::error::Refusal;
use crate::openai::request::Answerer;
use crate::pulse::{Beat, Pulse};
use crate::stream_body::StreamBody;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use contract::chat::{ChatRequest, TurnRequest};
use contract::provider::{CallBody, ModelCall};
use contract::status::Gauge;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Tells the person what was changed to suit the model, where the answer itself has no place for it.
const NOTICE: HeaderName = HeaderName::from_static("x-haia-notice");
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Has a request answered that came in another format than OpenAI's chat completions.
pub(crate) fn ask(call: &Call, answerer: Answerer, request: ChatRequest) -> Result<Exchange, Refusal> {
    let caller = call.caller()?.clone();
    let request_id = call.access.request_id.clone();
    let stream = request.stream;
    let request = Rc::new(request);
    Ok(match answerer {
        Answerer::Agent(target) => {
            Exchange::Turn(call.thread.own.agent.start(TurnRequest { request_id, caller, target, request }))
        }
        Answerer::Plain(target) => Exchange::Call(call.thread.own.models.call(ModelCall {
            request_id,
            caller,
            target,
            body: CallBody::Request(request),
            stream,
            relay: false,
            relay_usage: false,
        })),
    })
}

/// The time around an answer to `call`.
pub(crate) fn pulse(call: &Call) -> Pulse {
    Pulse::new(call.ports().clock.clone(), call.shared().clone())
}

/// Answers with a stream of events. Its head waits for the first of them.
pub(crate) async fn streamed<E: StreamEncoder + Unpin + 'static>(
    call: Call,
    exchange: Exchange,
    encoder: E,
) -> Result<HttpResponse, Refusal> {
    let open = Gauge::enter(&call.ports().gauges, |gauges| &gauges.streams_open);
    let (access, pulse) = (Rc::clone(&call.access), pulse(&call));
    // The request's body and head are of no more use; a stream may be open for minutes.
    drop(call);
    let mut body = StreamBody::new(exchange, encoder, pulse, access, open);
    body.begun().await?;
    let notices = body.notices();
    let mut response = HttpResponse::with_body(StatusCode::OK, BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    never_buffered(headers);
    notice(headers, &notices);
    Ok(response)
}

/// Answers with one body.
pub(crate) async fn whole(
    call: Call,
    mut exchange: Exchange,
    mut encoder: impl WholeEncoder,
) -> Result<HttpResponse, Refusal> {
    let mut pulse = pulse(&call);
    drop(call);
    let mut notices = Vec::new();
    poll_fn(|context| poll_whole(context, &mut exchange, &mut encoder, &mut pulse, &mut notices)).await?;
    let body = encoder.complete()?;
    let mut response = answers::bytes(StatusCode::OK, "application/json", body);
    notice(response.headers_mut(), &notices);
    Ok(response)
}

/// Keeps caches and proxies from holding a stream back.
pub(crate) fn never_buffered(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
}

fn notice(headers: &mut HeaderMap, notices: &[String]) {
    if !notices.is_empty()
        && let Ok(notice) = HeaderValue::from_str(&header_text(&notices.join("; ")))
    {
        headers.insert(NOTICE, notice);
    }
}

fn poll_whole(
    context: &mut Context<'_>,
    exchange: &mut Exchange,
    encoder: &mut impl WholeEncoder,
    pulse: &mut Pulse,
    notices: &mut Vec<String>,
) -> Poll<Result<(), Refusal>> {
    loop {
        match exchange.poll(context, encoder) {
            Poll::Ready(Step::Opened(told)) => *notices = told,
            Poll::Ready(Step::Events) => {}
            Poll::Ready(Step::Complete) => return Poll::Ready(Ok(())),
            Poll::Ready(Step::Failed(failure)) => return Poll::Ready(Err(failure.into())),
            Poll::Pending => match pulse.poll(context) {
                // Nothing can be said before the whole answer is there.
                Poll::Ready(Beat::Silent) => {}
                Poll::Ready(Beat::Cut) => return Poll::Ready(Err(Refusal::draining())),
                Poll::Pending => return Poll::Pending,
            },
        }
    }
}

/// What of a text may stand in a header.
fn header_text(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(500).collect()
}
