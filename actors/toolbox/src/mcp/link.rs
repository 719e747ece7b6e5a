//! A connection to a server as calls use it: one request at a time through rmcp's peer, with own deadlines, progress and cancellation.

use super::environment::Masks;
use super::logs::Log;
use contract::clock::SharedClock;
use futures_util::FutureExt as _;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotification, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ClientRequest, Implementation, InputResponses, NumberOrString, ProgressNotificationParam,
    ProtocolVersion, RequestId,
};
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Rounds in which a server may ask back before it answers; HAIA declines each time.
const ROUNDS: usize = 4;

/// Who waits for a sign of progress, by the token of its request.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<NumberOrString, Arc<Notify>>>>);

impl Progress {
    fn expect(&self, token: NumberOrString) -> Expected {
        let notify = Arc::new(Notify::new());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), Arc::clone(&notify));
        Expected { progress: self.clone(), token, notify }
    }

    fn happened(&self, token: &NumberOrString) {
        if let Some(notify) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token) {
            notify.notify_one();
        }
    }
}

struct Expected {
    progress: Progress,
    token: NumberOrString,
    notify: Arc<Notify>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.progress.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

/// What HAIA hears from a server. Requests of the server get rmcp's defaults: no sampling, no roots, every elicitation declined.
#[derive(Clone)]
pub(crate) struct Ears {
    pub(crate) progress: Progress,
    /// The list of tools has changed.
    pub(crate) changed: Arc<Notify>,
    pub(crate) log: Log,
    pub(crate) masks: Masks,
}

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new("haia", env!("CARGO_PKG_VERSION"));
        // The newest revision that has a handshake; the stateless one is negotiated without it.
        ClientConfig::new(ClientCapabilities::default(), this)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.happened(&params.progress_token.0);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    #[expect(deprecated, reason = "servers of the revision before still send them")]
    async fn on_logging_message(
        &self,
        params: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let said = match &params.data {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.log.add("message", &said, &self.masks);
    }
}

/// Why a call brought no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No answer in time; the server was told.
    TooLate(Duration),
    /// The connection ended during the call.
    Closed,
    /// The request could not be brought to the server.
    Broken(String),
    /// The server refused, in its own words.
    Refused(String),
}

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Without a sign of progress.
    pub(crate) silent: Duration,
    /// In all.
    pub(crate) total: Duration,
}

/// A connection.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) peer: Peer<RoleClient>,
    pub(crate) progress: Progress,
    /// Calls at once.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) generation: u64,
    pub(crate) clock: SharedClock,
}

impl Link {
    /// Calls a tool by the server's own name. Gives the result as JSON. Dropping the future tells the server.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Option<Map<String, Value>>,
        bounds: Bounds,
    ) -> Result<Value, CallError> {
        let mut deadline = self.clock.pause(bounds.total);
        let _permit = tokio::select! {
            permit = self.permits.acquire() => permit.map_err(|_| CallError::Closed)?,
            () = self.clock.pause(bounds.silent) => return Err(CallError::TooLate(bounds.silent)),
        };
        let mut params = CallToolRequestParams::new(tool.to_owned());
        params.arguments = arguments;
        for _ in 0..ROUNDS {
            let request = ClientRequest::CallToolRequest(CallToolRequest::new(params.clone()));
            let result = self.request(request, bounds, &mut deadline).await?;
            if result.get("resultType").is_none_or(|kind| kind != "input_required") {
                return Ok(result);
            }
            params.input_responses = Some(declined(&result));
            params.request_state = result.get("requestState").and_then(Value::as_str).map(str::to_owned);
        }
        Err(CallError::Refused("it keeps asking for input that HAIA does not give".to_owned()))
    }

    /// Sends a request and waits for its result.
    pub(crate) async fn request(
        &self,
        request: ClientRequest,
        bounds: Bounds,
        deadline: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Value, CallError> {
        let sent = self.peer.send_request_with_option(request, PeerRequestOptions::no_options()).await;
        let mut handle = sent.map_err(|error| failure(&error))?;
        let expected = self.progress.expect(handle.progress_token.0.clone());
        let mut told = TellCancelled { peer: &self.peer, id: Some(handle.id.clone()) };
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut handle.rx => break answer,
                () = expected.notify.notified() => {}
                () = self.clock.pause(bounds.silent) => return Err(CallError::TooLate(bounds.silent)),
                () = &mut *deadline => return Err(CallError::TooLate(bounds.total)),
            }
        };
        told.id = None;
        let result = answer.map_err(|_| CallError::Closed)?.map_err(|error| failure(&error))?;
        serde_json::to_value(result).map_err(|error| CallError::Refused(error.to_string()))
    }
}

/// What HAIA answers to a server that asks back within a call.
fn declined(result: &Value) -> InputResponses {
    let requests = result.get("inputRequests").and_then(Value::as_object);
    let answers = requests.into_iter().flatten().map(|(id, request)| {
        let answer = match request.get("method").and_then(Value::as_str) {
            Some("roots/list") => json!({"roots": []}),
            _ => json!({"action": "decline"}),
        };
        (id.clone(), answer)
    });
    answers.collect()
}

/// Tells the server that nobody waits for a request any more, when dropped.
struct TellCancelled<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for TellCancelled<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let reason = Some("nobody waits for it any more".to_owned());
            let notification = CancelledNotification::new(CancelledNotificationParam::new(Some(id), reason));
            // The first poll puts it into the connection's queue; whether it arrives is not waited for.
            let _ = self.peer.send_notification(notification.into()).now_or_never();
        }
    }
}

fn failure(error: &ServiceError) -> CallError {
    match error {
        ServiceError::McpError(error) => CallError::Refused(error.message.to_string()),
        ServiceError::TransportClosed => CallError::Closed,
        ServiceError::TransportSend(error) => CallError::Broken(chain(error.error.as_ref())),
        ServiceError::Cancelled { .. } => CallError::Refused("it gave the call up".to_owned()),
        other => CallError::Refused(other.to_string()),
    }
}

/// An error with its causes, without addresses: they may hold keys.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        let words = words.split(" for url (").next().unwrap_or_default();
        if said.last().is_none_or(|last| !last.ends_with(words)) {
            said.push(words.to_owned());
        }
        // rmcp shows this cause, but does not name it as one.
        next = match error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            Some(StreamableHttpError::Client(cause)) => cause.source(),
            _ => error.source(),
        };
    }
    super::text::clean_line(&said.join(": "), 400)
}
