//! `POST /v1/chat/completions`: the agent, and every model as it is.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::exchange::{Exchange, Step};
use crate::openai::chunks::{Asked, ChunkEncoder};
use crate::openai::error::Refusal;
use crate::openai::request::{Answerer, Envelope, answerer, check};
use crate::openai::whole::Whole;
use crate::pulse::{Beat, Pulse};
use crate::stream_body::StreamBody;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use contract::caller::Scope;
use contract::chat::{ChatRequest, TurnRequest};
use contract::provider::{CallBody, ModelCall};
use contract::status::Gauge;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/v1/chat/completions",
    scope: Some(Scope::Control),
    starts_work: true,
    handler: |call| Box::pin(chat(call)),
    about: About {
        summary: "OpenAI chat completions, whole or streamed: model \"haia\" or \"haia/<route>\" is the agent, \
                  \"<provider>/<model>\" that model as it is",
        parameters: &[],
        takes: Some("ChatRequest"),
        gives: ("application/json", Some("ChatCompletion")),
        status: 200,
    },
}];

/// Tells the person what was changed to suit the model, where the answer itself has no place for it.
const NOTICE: HeaderName = HeaderName::from_static("x-haia-notice");
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

async fn chat(call: Call) -> Result<HttpResponse, Refusal> {
    let envelope = check(&call.body)?;
    call.access.model.replace(Some(envelope.model.clone()));
    let control = &call.ports().control;
    let answerer = answerer(&envelope.model, || control.default_route())?;
    let relay = matches!(answerer, Answerer::Plain(_));
    let asked = Asked {
        model: envelope.model.clone(),
        relay,
        usage: envelope.include_usage,
        created: call.ports().clock.now().as_second(),
        ids: call.ports().ids.clone(),
    };
    let stream = envelope.stream;
    let exchange = begin(&call, envelope, answerer)?;
    let pulse = Pulse::new(call.ports().clock.clone(), call.shared().clone());
    if stream { streamed(call, exchange, asked, pulse).await } else { whole(exchange, asked, pulse).await }
}

fn begin(call: &Call, envelope: Envelope, answerer: Answerer) -> Result<Exchange, Refusal> {
    let caller = call.caller()?.clone();
    let request_id = call.access.request_id.clone();
    Ok(match answerer {
        Answerer::Agent(target) => {
            let request = match envelope.parsed {
                Some(request) => request,
                None => ChatRequest::parse(&call.body)?,
            };
            let turn = TurnRequest { request_id, caller, target, request: Rc::new(request) };
            Exchange::Turn(call.thread.own.agent.start(turn))
        }
        Answerer::Plain(target) => {
            let body = match envelope.parsed {
                Some(request) => CallBody::Request(Rc::new(request)),
                None => CallBody::Raw(call.body.clone()),
            };
            let stream = envelope.stream;
            let relay_usage = !stream || envelope.include_usage;
            let call_of_model = ModelCall { request_id, caller, target, body, stream, relay: true, relay_usage };
            Exchange::Call(call.thread.own.models.call(call_of_model))
        }
    })
}

async fn streamed(call: Call, exchange: Exchange, asked: Asked, pulse: Pulse) -> Result<HttpResponse, Refusal> {
    let open = Gauge::enter(&call.ports().gauges, |gauges| &gauges.streams_open);
    let access = Rc::clone(&call.access);
    // The request's body and head are of no more use; a stream may be open for minutes.
    drop(call);
    let mut body = StreamBody::new(exchange, ChunkEncoder::new(asked), pulse, access, open);
    body.begun().await?;
    let mut response = HttpResponse::with_body(StatusCode::OK, BoxBody::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

async fn whole(mut exchange: Exchange, asked: Asked, mut pulse: Pulse) -> Result<HttpResponse, Refusal> {
    let mut sink = Whole::new(asked);
    let mut notices = Vec::new();
    poll_fn(|context| poll_whole(context, &mut exchange, &mut sink, &mut pulse, &mut notices)).await?;
    let body = sink.complete()?;
    let mut response = answers::bytes(StatusCode::OK, "application/json", body);
    if !notices.is_empty()
        && let Ok(notice) = HeaderValue::from_str(&header_text(&notices.join("; ")))
    {
        response.headers_mut().insert(NOTICE, notice);
    }
    Ok(response)
}

fn poll_whole(
    context: &mut Context<'_>,
    exchange: &mut Exchange,
    sink: &mut Whole,
    pulse: &mut Pulse,
    notices: &mut Vec<String>,
) -> Poll<Result<(), Refusal>> {
    loop {
        match exchange.poll(context, sink) {
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
