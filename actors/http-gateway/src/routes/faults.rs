//! `POST /api/faults/panic/{actor}`: for rehearsals, only under `HAIA_FAULTS=1`.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use contract::caller::Scope;
use serde::Serialize;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Post,
    path: "/api/faults/panic/{actor}",
    scope: Some(Scope::Admin),
    starts_work: true,
    handler: |call| Box::pin(panic(call)),
    about: About {
        summary: "Makes an actor panic; 404 unless HAIA_FAULTS=1",
        parameters: &[("path", "actor", "The actor's name as /status shows it")],
        takes: None,
        gives: ("application/json", Some("Fault")),
        status: 202,
    },
}];

#[derive(Serialize)]
struct Injected {
    actor: String,
    fault: &'static str,
}

async fn panic(call: Call) -> Result<HttpResponse, Refusal> {
    let control = &call.ports().control;
    if !control.faults_enabled() {
        return Err(Refusal::not_found("faults are injected only under HAIA_FAULTS=1"));
    }
    let actor = call.path_part("actor");
    match control.crash(&actor) {
        None => {
            Err(Refusal::not_found(format!("there is no actor {actor:?}: GET /status lists them")).with_param("actor"))
        }
        Some(Err(fault)) => Err(fault.into()),
        Some(Ok(())) => {
            record(&call, &format!("fault panic {actor}"), "ok");
            answers::json_with(StatusCode::ACCEPTED, &Injected { actor, fault: "panic" })
        }
    }
}
