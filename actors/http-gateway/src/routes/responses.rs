//! `POST /v1/responses`: OpenAI's responses as an input, for the agent and every model.

use super::{About, Endpoint, Verb};
use crate::answering;
use crate::fields::Fields;
use crate::openai::error::Refusal;
use crate::openai::request::answerer;
use crate::responses::object::Asked;
use crate::responses::request::{Wanted, read};
use crate::responses::stream::Response;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use std::rc::Rc;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/v1/responses",
    scope: Some(Scope::Control),
    starts_work: true,
    handler: |call| Box::pin(responses(call)),
    about: About {
        summary: "OpenAI responses, whole or streamed, for the agent and every model; nothing is kept, so store and \
                  previous_response_id are refused",
        parameters: &[],
        takes: Some("ResponsesRequest"),
        gives: ("application/json", Some("Response")),
        status: 200,
    },
}];

async fn responses(call: Call) -> Result<HttpResponse, Refusal> {
    let Wanted { request, echo } = read(&Fields::read(&call.body)?)?;
    let model: Rc<str> = Rc::from(request.model.as_str());
    call.access.model.replace(Some(Rc::clone(&model)));
    let answerer = answerer(&model, || call.ports().control.default_route())?;
    let ports = call.ports();
    let asked = Asked { model, echo, created: ports.clock.now().as_second(), ids: ports.ids.clone() };
    let stream = request.stream;
    let exchange = answering::ask(&call, answerer, request)?;
    if stream {
        answering::streamed(call, exchange, Response::streamed(asked)).await
    } else {
        answering::whole(call, exchange, Response::whole(asked)).await
    }
}
