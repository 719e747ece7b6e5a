//! `POST /v1/audio/speech` and `/v1/audio/transcriptions`: OpenAI's sound in and out, passed through.
//!
//! What is spoken goes out as it comes. A recording comes in as any body does, within `max_body`: the form may name its model last, and a
//! kept connection that turns out to be gone needs the request once more.

use super::{About, Endpoint, Verb, direct};
use crate::fields::Fields;
use crate::form::{self, Form};
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::header;
use contract::caller::Scope;
use contract::direct::{DirectBody, DirectKind};
use contract::failure::Failure;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/v1/audio/speech",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(speech(call)),
        about: About {
            summary: "OpenAI speech of <provider>/<model>, passed on as it comes: kind openai",
            parameters: &[],
            takes: Some("SpeechRequest"),
            gives: ("audio/mpeg", None),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: "/v1/audio/transcriptions",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(transcription(call)),
        about: About {
            summary: "OpenAI transcription by <provider>/<model>, in the form that the request asks for: kind openai",
            parameters: &[],
            takes: Some("TranscriptionForm"),
            gives: ("application/json", Some("Object")),
            status: 200,
        },
    },
];

async fn speech(call: Call) -> Result<HttpResponse, Refusal> {
    let fields = Fields::read(&call.body)?;
    let model: String = fields.need("model")?;
    if fields.raw("input").is_none() {
        return Err(Failure::invalid("input", "the field \"input\" is missing").into());
    }
    let asked = direct::asked(&call, DirectKind::Speech, &model)?;
    drop(fields);
    let body = DirectBody::Json(call.body.clone());
    direct::answer(call, asked, body).await
}

async fn transcription(call: Call) -> Result<HttpResponse, Refusal> {
    let content_type = call.http.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let Form { model, around } = form::read(&content_type, &call.body)?;
    let asked = direct::asked(&call, DirectKind::Transcription, &model)?;
    direct::answer(call, asked, DirectBody::Form { content_type, around_model: around }).await
}
