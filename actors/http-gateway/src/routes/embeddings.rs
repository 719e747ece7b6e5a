//! `POST /v1/embeddings`: OpenAI's embeddings, from every provider that makes some.

use super::{About, Endpoint, Verb, direct};
use crate::fields::Fields;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::direct::{DirectBody, DirectKind};
use contract::failure::Failure;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/v1/embeddings",
    scope: Some(Scope::Control),
    starts_work: true,
    handler: |call| Box::pin(embeddings(call)),
    about: About {
        summary: "OpenAI embeddings of <provider>/<model>: kinds openai, openrouter, ollama and gemini",
        parameters: &[],
        takes: Some("EmbeddingsRequest"),
        gives: ("application/json", Some("Embeddings")),
        status: 200,
    },
}];

async fn embeddings(call: Call) -> Result<HttpResponse, Refusal> {
    let fields = Fields::read(&call.body)?;
    let model: String = fields.need("model")?;
    if fields.raw("input").is_none() {
        return Err(Failure::invalid("input", "the field \"input\" is missing").into());
    }
    let asked = direct::asked(&call, DirectKind::Embeddings, &model)?;
    drop(fields);
    let body = DirectBody::Json(call.body.clone());
    direct::answer(call, asked, body).await
}
