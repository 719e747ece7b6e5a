//! `POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's format as an input.
//!
//! A provider that speaks it gets the caller's own body and the caller gets its own answer, byte for byte; for every other model, and for
//! the agent, the request is translated. Errors have one shape that both Anthropic's and OpenAI's clients read.

use super::direct::{self, Sent};
use super::{About, Endpoint, Verb};
use crate::answering;
use crate::anthropic::error;
use crate::anthropic::message::{Asked, Whole};
use crate::anthropic::request::{check, read};
use crate::anthropic::stream::MessageStream;
use crate::fields::Fields;
use crate::openai::error::Refusal;
use crate::openai::request::{Answerer, answerer};
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::direct::{DirectBody, DirectKind};
use contract::provider::Target;
use std::rc::Rc;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/v1/messages",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(messages(call)),
        about: About {
            summary: "Anthropic messages, whole or streamed, for the agent and every model; the key may come as x-api-key",
            parameters: &[],
            takes: Some("MessagesRequest"),
            gives: ("application/json", Some("Message")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: "/v1/messages/count_tokens",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(count_tokens(call)),
        about: About {
            summary: "The tokens of an Anthropic request, of <provider>/<model>: kind anthropic",
            parameters: &[],
            takes: Some("MessagesRequest"),
            gives: ("application/json", Some("Object")),
            status: 200,
        },
    },
];

/// The header that turns on what Anthropic is still trying out.
const BETA: &str = "anthropic-beta";

async fn messages(call: Call) -> Result<HttpResponse, Refusal> {
    let body = call.body.clone();
    let fields = Fields::read(&body)?;
    let envelope = check(&fields)?;
    let model: Rc<str> = Rc::from(envelope.model.as_str());
    call.access.model.replace(Some(Rc::clone(&model)));
    let answerer = answerer(&model, || call.ports().control.default_route())?;
    if let Answerer::Plain(Target::Model { provider, model }) = &answerer {
        let asked = direct::Asked { kind: DirectKind::Messages, provider: provider.clone(), model: model.clone() };
        let sent = Sent { body: DirectBody::Json(body.clone()), stream: envelope.stream, beta: beta(&call) };
        if let Ok(answer) = direct::send(&call, &asked, sent).await? {
            return Ok(direct::respond(call, answer, error::event));
        }
    }
    let request = read(&fields)?;
    let asked = Asked { model, ids: call.ports().ids.clone(), stops: request.stop.clone() };
    let exchange = answering::ask(&call, answerer, request)?;
    if envelope.stream {
        answering::streamed(call, exchange, MessageStream::new(asked)).await
    } else {
        answering::whole(call, exchange, Whole::new(asked)).await
    }
}

async fn count_tokens(call: Call) -> Result<HttpResponse, Refusal> {
    let body = call.body.clone();
    let envelope = check(&Fields::read(&body)?)?;
    let asked = direct::asked(&call, DirectKind::CountTokens, &envelope.model)?;
    let sent = Sent { body: DirectBody::Json(body), stream: false, beta: beta(&call) };
    match direct::send(&call, &asked, sent).await? {
        Ok(answer) => Ok(direct::respond(call, answer, error::event)),
        Err(kind) => Err(direct::unsupported(&asked, kind)),
    }
}

fn beta(call: &Call) -> Option<String> {
    let mut told = call.http.headers().get_all(BETA).filter_map(|value| value.to_str().ok());
    let first = told.next()?.to_owned();
    Some(told.fold(first, |all, more| format!("{all},{more}")))
}
