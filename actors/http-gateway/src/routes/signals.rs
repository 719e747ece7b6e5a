//! What other programs send: Alertmanager's webhook and heartbeats. A good answer means that it is stored.

use super::operate::{ask, read};
use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::alerts::{Beat, HeartbeatView, ReadDeskStatus, ReceiveAlertmanager};
use contract::caller::Scope;
use serde::Serialize;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/api/alerts/alertmanager",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(alertmanager(call)),
        about: About {
            summary: "Alertmanager's webhook (payload version 4); answered once it is stored",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Received")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Get,
        path: "/api/heartbeats",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(heartbeats(call)),
        about: About {
            summary: "The configured heartbeats, and when each came last",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Heartbeats")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/heartbeats/{name}",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(beat(call)),
        about: About {
            summary: "A sign of life; answered once it is stored",
            parameters: &[("path", "name", "The heartbeat's name in the configuration")],
            takes: None,
            gives: ("application/json", Some("Beat")),
            status: 200,
        },
    },
];

#[derive(Serialize)]
struct Received {
    received: usize,
}

async fn alertmanager(call: Call) -> Result<HttpResponse, Refusal> {
    let by = call.caller()?.clone();
    let message = ReceiveAlertmanager { body: call.body.clone(), by };
    let received = ask(&call.ports().watch.alertmanager, message).await?;
    answers::json(&Received { received })
}

#[derive(Serialize)]
struct Heartbeats {
    heartbeats: Vec<HeartbeatView>,
}

async fn heartbeats(call: Call) -> Result<HttpResponse, Refusal> {
    let heartbeats = read(&call.ports().watch.desk, ReadDeskStatus).await?.heartbeats;
    answers::json(&Heartbeats { heartbeats })
}

#[derive(Serialize)]
struct Taken<'a> {
    name: &'a str,
    ok: bool,
}

async fn beat(call: Call) -> Result<HttpResponse, Refusal> {
    let name = call.path_part("name");
    let by = call.caller()?.clone();
    ask(&call.ports().watch.beat, Beat { name: name.as_str().into(), by }).await?;
    answers::json(&Taken { name: &name, ok: true })
}
