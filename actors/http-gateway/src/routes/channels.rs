//! `/api/channels`: where messages go, whether they arrive, and trying it.

use super::operate::{query, read};
use super::{About, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::caller::Scope;
use contract::notify::{ChannelStatus, ListChannels, ListDeadLetters, TestChannel};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Get,
        path: "/api/channels",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(list(call)),
        about: About {
            summary: "Every channel: what waits, what was sent, what failed",
            parameters: &[],
            takes: None,
            gives: ("application/json", Some("Channels")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Get,
        path: "/api/channels/dead-letters",
        scope: Some(Scope::Read),
        starts_work: false,
        handler: |call| Box::pin(dead_letters(call)),
        about: About {
            summary: "Messages that were given up, newest first",
            parameters: &[("query", "limit", "The most messages, 1 to 1000; 100 if not told")],
            takes: None,
            gives: ("application/json", Some("DeadLetters")),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: "/api/channels/{name}/test",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(test(call)),
        about: About {
            summary: "Sends a test message through a channel and tells how that went",
            parameters: &[("path", "name", "The channel's name in the configuration")],
            takes: None,
            gives: ("application/json", Some("ChannelTest")),
            status: 200,
        },
    },
];

/// A test is answered when the message has arrived, or when it is clear that it does not.
const TEST_PATIENCE: Duration = Duration::from_secs(45);

#[derive(Serialize)]
struct Channels {
    channels: Vec<ChannelStatus>,
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let channels = read(&call.ports().watch.channels, ListChannels).await?;
    answers::json(&Channels { channels })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LettersQuery {
    #[serde(default = "hundred")]
    limit: u32,
}

fn hundred() -> u32 {
    100
}

#[derive(Serialize)]
struct DeadLetter {
    id: String,
    channel: String,
    title: String,
    queued_at: Timestamp,
    attempts: u32,
    last_error: Option<String>,
}

#[derive(Serialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

async fn dead_letters(call: Call) -> Result<HttpResponse, Refusal> {
    let LettersQuery { limit } = query(&call)?;
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::invalid("\"limit\" must be from 1 to 1000").with_param("limit"));
    }
    let rows = read(&call.ports().watch.dead_letters, ListDeadLetters { limit }).await?;
    let rows = rows.map_err(|error| Refusal::store_unavailable(&error))?;
    let shown = rows.into_iter().map(|row| DeadLetter {
        id: row.id.to_string(),
        channel: row.channel.to_string(),
        title: row.notice.title.clone(),
        queued_at: row.queued_at,
        attempts: row.attempts,
        last_error: row.last_error,
    });
    answers::json(&DeadLetters { dead_letters: shown.collect() })
}

#[derive(Serialize)]
struct Tested<'a> {
    channel: &'a str,
    result: String,
}

async fn test(call: Call) -> Result<HttpResponse, Refusal> {
    let name = call.path_part("name");
    let asked = call.ports().watch.test_channel.ask(TestChannel { channel: name.as_str().into() }, TEST_PATIENCE);
    let result = asked.await?.map_err(|failure| super::operate::refusal(&failure));
    record(&call, &format!("channel test {name}"), if result.is_ok() { "ok" } else { "failed" });
    answers::json(&Tested { channel: &name, result: result? })
}
