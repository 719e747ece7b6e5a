//! `POST /v1/chat/completions`: the agent, and every model as it is.

use super::{About, Endpoint, Verb};
use crate::answering;
use crate::exchange::Exchange;
use crate::openai::chunks::{Asked, ChunkEncoder};
use crate::openai::error::Refusal;
use crate::openai::request::{Answerer, Envelope, answerer, check};
use crate::openai::whole::Whole;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::chat::{ChatRequest, TurnRequest};
use contract::provider::{CallBody, ModelCall};
use std::rc::Rc;

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
    if stream {
        answering::streamed(call, exchange, ChunkEncoder::new(asked)).await
    } else {
        answering::whole(call, exchange, Whole::new(asked)).await
    }
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
