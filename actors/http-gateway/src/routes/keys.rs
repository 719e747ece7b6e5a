//! `/api/keys`: API keys are made, listed and revoked. A key is shown once, when it is made; only its hash is stored.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::auth::{hash_key, to_hex};
use crate::config::check_key_name;
use crate::gateway::RefreshKeys;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use contract::caller::Scope;
use contract::store::{AddKey, ListKeys, RevokeKey, StoredKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Get,
        path: "/api/keys",
        scope: Some(Scope::Admin),
        starts_work: false,
        handler: |call| Box::pin(list(call)),
        about: About {
            summary: "Every key by name: those of the configuration and those of the store, never the keys themselves",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Keys")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/keys",
        scope: Some(Scope::Admin),
        starts_work: true,
        handler: |call| Box::pin(create(call)),
        about: About {
            summary: "Makes a key; the answer shows it this once",
            parameters: &[],
            takes: Some("NewKey"),
            gives: ("application/json", Some("CreatedKey")),
            status: 201,
        },
    },
    Endpoint {
        method: Verb::Delete,
        path: "/api/keys/{name}",
        scope: Some(Scope::Admin),
        starts_work: true,
        handler: |call| Box::pin(revoke(call)),
        about: About {
            summary: "Revokes a key of the store, at once",
            parameters: &[("path", "name", "The key's name")],
            takes: None,
            gives: ("application/json", Some("RevokedKey")),
            status: 200,
        },
    },
];

const PATIENCE: Duration = Duration::from_secs(5);
/// Random bytes of a key.
const SECRET: usize = 32;

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    scope: Scope,
    /// `config` or `store`.
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
}

#[derive(Serialize)]
struct Keys<'a> {
    keys: Vec<Listed<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[serde(default = "control")]
    scope: Scope,
}

fn control() -> Scope {
    Scope::Control
}

#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    scope: Scope,
    key: &'a str,
    created: Timestamp,
}

#[derive(Serialize)]
struct Revoked<'a> {
    name: &'a str,
    revoked: bool,
}

async fn stored(call: &Call) -> Result<Vec<StoredKey>, Refusal> {
    call.ports().keys.ask(ListKeys, PATIENCE).await?.map_err(|error| Refusal::store_unavailable(&error))
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let stored = stored(&call).await?;
    let published = call.shared().now_full();
    let configured = published.config.keys.iter();
    let mut keys: Vec<Listed<'_>> =
        configured.map(|(name, entry)| Listed { name, scope: entry.scope, source: "config", created: None }).collect();
    keys.extend(stored.iter().map(|key| Listed {
        name: &key.name,
        scope: key.scope,
        source: "store",
        created: Some(key.created),
    }));
    answers::json(&Keys { keys })
}

async fn create(call: Call) -> Result<HttpResponse, Refusal> {
    let wanted: NewKey = serde_json::from_slice(&call.body).map_err(|error| {
        Refusal::invalid(format!("expected {{\"name\": …, \"scope\": \"read\" | \"control\" | \"admin\"}}: {error}"))
    })?;
    let NewKey { name, scope } = wanted;
    check_key_name(&name).map_err(|message| Refusal::invalid(message).with_param("name"))?;
    let taken =
        call.shared().now().config.keys.contains_key(&name) || stored(&call).await?.iter().any(|key| *key.name == name);
    if taken {
        return Err(Refusal::conflict(format!("there is a key {name:?} already")).with_param("name"));
    }
    let mut secret = [0; SECRET];
    call.ports().ids.secret(&mut secret);
    let key = format!("haia-{}", to_hex(&secret));
    let created = call.ports().clock.now();
    let hash = to_hex(&hash_key(key.as_bytes()));
    let row = StoredKey { name: name.as_str().into(), scope, hash, created };
    call.ports().add_key.ask(AddKey(row), PATIENCE).await?.map_err(|error| Refusal::store_unavailable(&error))?;
    record(&call, &format!("key new {name} {}", scope.as_str()), "ok");
    if let Err(refusal) = refresh(&call).await {
        // The key exists and is shown this once only: it is handed out, and comes into force with the next reading of the store.
        tracing::warn!(key = name, reason = %refusal.message, "a new key is not in force yet");
    }
    answers::json_with(StatusCode::CREATED, &Created { name: &name, scope, key: &key, created })
}

async fn revoke(call: Call) -> Result<HttpResponse, Refusal> {
    let name = call.path_part("name");
    let question = RevokeKey { name: name.clone() };
    let found =
        call.ports().revoke_key.ask(question, PATIENCE).await?.map_err(|error| Refusal::store_unavailable(&error))?;
    if !found {
        let configured = call.shared().now().config.keys.contains_key(&name);
        return Err(if configured {
            Refusal::invalid(format!("the key {name:?} stands in the configuration: remove it there and reload"))
                .with_param("name")
        } else {
            Refusal::not_found(format!("there is no key {name:?}")).with_param("name")
        });
    }
    record(&call, &format!("key revoke {name}"), "ok");
    refresh(&call).await?;
    answers::json(&Revoked { name: &name, revoked: true })
}

/// Puts a change of keys into force before it is answered.
async fn refresh(call: &Call) -> Result<(), Refusal> {
    let told = call.thread.gateway.refresh.ask(RefreshKeys, 2 * PATIENCE).await?;
    told.map_err(|why| Refusal::unavailable(format!("the change is stored, but not in force yet: {why}"), None))
}
