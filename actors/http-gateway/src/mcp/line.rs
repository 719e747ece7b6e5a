//! The way back to a client while its call runs at an attached server: progress and log messages on the stream of the answer, and questions,
//! whose answers come as messages of their own.
//!
//! It never waits for a client that does not read: what does not fit is lost, and a question that does not fit is declined.

use super::answer::event;
use super::era::Era;
use super::message::Request;
use crate::published::Shared;
use bytes::Bytes;
use contract::BoxFuture;
use contract::relay::{McpCaller, McpLine, McpNews};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most messages that wait to be sent to a client.
const WAITING: usize = 256;
/// The levels of log messages, the least first.
pub(crate) const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// What is to be sent before the answer.
pub(crate) type News = Receiver<Bytes>;

/// Where the answers of a client that speaks the older era come in.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: String,
}

struct Line {
    out: Sender<Bytes>,
    /// The token by which the client knows progress, as JSON.
    token: Option<String>,
    log_level: Option<Arc<str>>,
    desk: Option<Desk>,
}

/// A client as an attached server's call sees it, and what is to be sent to it meanwhile.
pub(crate) fn open(request: &Request, era: Era, desk: Option<Desk>, takes_events: bool) -> (McpCaller, News) {
    let (out, news) = channel(WAITING);
    let plain = |value: &Value| to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned());
    let nothing = || Arc::from(plain(&json!({})));
    // Whoever takes no stream can neither be told nor asked anything before the answer.
    let desk = desk.filter(|_| takes_events);
    let told = desk.as_ref().map(|desk| desk.shared.mcp().sessions.told(&desk.session)).unwrap_or_default();
    let (capabilities, log_level) = match era {
        Era::Legacy => (told.capabilities.unwrap_or_else(nothing), told.log_level),
        Era::Modern => (
            request.meta.capabilities.as_ref().map_or_else(nothing, |told| Arc::from(plain(told))),
            request
                .meta
                .log_level
                .as_ref()
                .and_then(Value::as_str)
                .filter(|level| LEVELS.contains(level))
                .map(Arc::from),
        ),
    };
    let rounds = request.params::<Rounds>().unwrap_or_default();
    let line = Line { out, token: request.meta.progress_token(), log_level: log_level.clone(), desk };
    let caller = McpCaller {
        capabilities,
        takes_questions: era == Era::Modern,
        answers: rounds.answers.filter(|answers| answers.get() != "null").map(Arc::from),
        state: rounds.state.map(Arc::from),
        log_level,
        line: Arc::new(line),
    };
    (caller, news)
}

/// What a client of the newer era comes back with.
#[derive(Default, serde::Deserialize)]
struct Rounds {
    #[serde(default, rename = "inputResponses")]
    answers: Option<Box<RawValue>>,
    #[serde(default, rename = "requestState")]
    state: Option<String>,
}

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(1)
}

impl McpLine for Line {
    fn tell(&self, news: McpNews) {
        let message = match news {
            McpNews::Progress { progress, total, message } => {
                let Some(token) = &self.token else { return };
                let mut params = json!({ "progress": progress });
                if let Some(total) = total {
                    params["total"] = total.into();
                }
                if let Some(message) = message {
                    params["message"] = message.into();
                }
                let rest = params.to_string();
                let rest = rest.strip_prefix('{').unwrap_or("}");
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},{rest}}}"#
                )
            }
            McpNews::Log { level, params } => {
                if self.log_level.as_ref().is_none_or(|least| rank(&level) < rank(least)) {
                    return;
                }
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{}}}"#, params.get())
            }
        };
        // A client that does not read loses what it did not read.
        let _ = self.out.try_send(event(&message));
    }

    fn ask(&self, method: String, params: Box<RawValue>) -> BoxFuture<'static, Option<Box<RawValue>>> {
        let Some(desk) = self.desk.clone() else { return Box::pin(std::future::ready(None)) };
        let Some(question) = desk.shared.mcp().sessions.question(&desk.session) else {
            return Box::pin(std::future::ready(None));
        };
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":{},"params":{}}}"#,
            question.id,
            Value::from(method),
            params.get()
        );
        let sent = self.out.try_send(event(&message)).is_ok();
        Box::pin(async move {
            let asked = Asked { desk, id: question.id };
            let answer = if sent { question.answer.await.ok().flatten() } else { None };
            drop(asked);
            answer
        })
    }
}

/// A question that waits; it is forgotten when this is dropped.
struct Asked {
    desk: Desk,
    id: String,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.desk.shared.mcp().sessions.forget_question(&self.desk.session, &self.id);
    }
}
