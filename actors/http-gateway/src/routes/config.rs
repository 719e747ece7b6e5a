//! `POST /api/config/reload`: the configuration read again, all or nothing.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::{ErrorObject, Refusal};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use contract::caller::Scope;
use serde::Serialize;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/api/config/reload",
    scope: Some(Scope::Admin),
    starts_work: true,
    handler: |call| Box::pin(reload(call)),
    about: About {
        summary: "Reads the configuration again: a valid one takes effect, an invalid one changes nothing and says why",
        parameters: &[],
        takes: None,
        gives: ("application/json", Some("Reloaded")),
        status: 200,
    },
}];

#[derive(Serialize)]
struct Reloaded {
    generation: u64,
}

#[derive(Serialize)]
struct Invalid<'a> {
    error: ErrorObject<'a>,
    problems: &'a [String],
}

async fn reload(call: Call) -> Result<HttpResponse, Refusal> {
    match call.ports().control.reload().await {
        Ok(generation) => {
            record(&call, "config reload", "ok");
            answers::json(&Reloaded { generation })
        }
        Err(problems) => {
            record(&call, "config reload", "invalid_request");
            let message = format!("the configuration was not taken over: {}", problems.join("; "));
            let refusal = Refusal::invalid(message).with_code("invalid_configuration");
            answers::json_with(StatusCode::BAD_REQUEST, &Invalid { error: refusal.object(), problems: &problems })
        }
    }
}
