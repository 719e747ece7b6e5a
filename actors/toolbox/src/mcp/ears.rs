//! What HAIA hears from a server over a connection: progress, log messages, changes, questions.
//!
//! A question or a log message belongs to nobody by itself. It is passed on only where exactly one call runs over the connection, to that call's
//! caller; else it would reach somebody it is not meant for. HAIA never answers for a caller: it samples no model and shows no folders.

use super::environment::Masks;
use super::logs::Log;
use super::own::Ability;
use super::questions;
use contract::relay::{McpCaller, McpNews, ResourceUpdates};
use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientResult, CustomResult, ErrorCode, ErrorData, Implementation, NumberOrString,
    ProtocolVersion, ServerNotification, ServerRequest,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleClient, Service};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A caller who waits for a sign of progress.
struct Waiting {
    notify: Arc<Notify>,
    from: Option<McpCaller>,
}

/// Who waits for a sign of progress, by the token of its request.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<NumberOrString, Waiting>>>);

impl Progress {
    fn waiting(&self) -> MutexGuard<'_, HashMap<NumberOrString, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expect(&self, token: NumberOrString, from: Option<&McpCaller>) -> Expected {
        let notify = Arc::new(Notify::new());
        let waiting = Waiting { notify: Arc::clone(&notify), from: from.cloned() };
        self.waiting().insert(token.clone(), waiting);
        Expected { progress: self.clone(), token, notify }
    }

    fn happened(&self, token: &NumberOrString, news: McpNews) {
        let line = match self.waiting().get(token) {
            Some(waiting) => {
                waiting.notify.notify_one();
                waiting.from.as_ref().map(|from| Arc::clone(&from.line))
            }
            None => None,
        };
        if let Some(line) = line {
            line.tell(news);
        }
    }
}

/// A request that waits; it is forgotten when this is dropped.
pub(crate) struct Expected {
    progress: Progress,
    token: NumberOrString,
    pub(crate) notify: Arc<Notify>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.progress.waiting().remove(&self.token);
    }
}

/// The calls that run over a connection, with their callers.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    last: u64,
    running: Vec<(u64, Option<McpCaller>)>,
}

impl Running {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, from: Option<&McpCaller>) -> RunningCall {
        let mut calls = self.calls();
        calls.last += 1;
        let number = calls.last;
        calls.running.push((number, from.cloned()));
        RunningCall { running: self.clone(), number }
    }

    /// The caller of the only call that runs; `None` where there are several, or it does not speak MCP.
    fn only(&self) -> Option<McpCaller> {
        match self.calls().running.as_slice() {
            [(_, from)] => from.clone(),
            _ => None,
        }
    }
}

/// One call that runs.
pub(crate) struct RunningCall {
    running: Running,
    number: u64,
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.running.calls().running.retain(|(number, _)| *number != self.number);
    }
}

/// What HAIA hears from a server.
#[derive(Clone)]
pub(crate) struct Ears {
    pub(crate) progress: Progress,
    pub(crate) running: Running,
    /// A list of the server has changed.
    pub(crate) changed: Arc<Notify>,
    pub(crate) log: Log,
    pub(crate) masks: Masks,
    pub(crate) ask_back: Arc<[Ability]>,
    pub(crate) updates: Arc<ResourceUpdates>,
}

impl Ears {
    /// The answer to a question of the server.
    async fn answer(&self, request: ServerRequest) -> Result<ClientResult, ErrorData> {
        if matches!(request, ServerRequest::PingRequest(_)) {
            return Ok(ClientResult::empty(()));
        }
        let asked = serde_json::to_value(&request).unwrap_or_default();
        let method = asked["method"].as_str().unwrap_or_default();
        let answer = match self.running.only() {
            Some(from) => questions::ask(&from, &self.ask_back, method, &asked["params"]).await,
            None => None,
        };
        match answer.or_else(|| questions::declined(method)) {
            Some(answer) => Ok(ClientResult::CustomResult(CustomResult::new(answer))),
            None => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "nobody answers this here", None)),
        }
    }

    fn log(&self, params: &Value) {
        let said = match &params["data"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.log.add("message", &said, &self.masks);
        let Some(from) = self.running.only() else { return };
        let level = params["level"].as_str().unwrap_or("info").to_owned();
        let told = self.masks.apply(params.to_string());
        if let Ok(params) = serde_json::value::RawValue::from_string(told) {
            from.line.tell(McpNews::Log { level, params });
        }
    }
}

impl Service<RoleClient> for Ears {
    async fn handle_request(
        &self,
        request: ServerRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        self.answer(request).await
    }

    async fn handle_notification(
        &self,
        notification: ServerNotification,
        _: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        match notification {
            ServerNotification::ProgressNotification(told) => {
                let params = told.params;
                let news = McpNews::Progress {
                    progress: params.progress,
                    total: params.total,
                    message: params.message.map(|message| super::text::clean_line(&message, 300)),
                };
                self.progress.happened(&params.progress_token.0, news);
            }
            ServerNotification::LoggingMessageNotification(told) => {
                self.log(&serde_json::to_value(&told.params).unwrap_or_default());
            }
            ServerNotification::ToolListChangedNotification(_)
            | ServerNotification::ResourceListChangedNotification(_)
            | ServerNotification::PromptListChangedNotification(_) => self.changed.notify_one(),
            ServerNotification::ResourceUpdatedNotification(told) => self.updates.tell(&told.params.uri),
            _ => {}
        }
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new("haia", env!("CARGO_PKG_VERSION"));
        let abilities = questions::capabilities(&self.ask_back, |_| true);
        let capabilities: ClientCapabilities = serde_json::from_value(abilities).unwrap_or_default();
        // The newest revision that has a handshake; the stateless one is negotiated without it.
        ClientConfig::new(capabilities, this).with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_question_is_nobodys_while_two_calls_run() {
        let running = Running::default();
        let from = super::super::questions::tests::caller(json!({ "elicitation": {} }));
        assert!(running.only().is_none());
        let one = running.enter(Some(&from));
        assert!(running.only().is_some());
        let other = running.enter(None);
        assert!(running.only().is_none(), "nobody knows whose it is");
        drop(one);
        assert!(running.only().is_none(), "the agent is not asked");
        drop(other);
        let _again = running.enter(Some(&from));
        assert!(running.only().is_some());
    }
}
