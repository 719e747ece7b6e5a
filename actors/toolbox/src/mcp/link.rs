//! A connection to a server as calls use it: one request at a time through rmcp's peer, with own deadlines, progress and cancellation.

use super::ears::{Progress, Running};
use super::own::Ability;
use super::questions::{self, Round};
use contract::clock::SharedClock;
use contract::relay::McpCaller;
use futures_util::FutureExt as _;
use rmcp::RoleClient;
use rmcp::model::{CancelledNotification, CancelledNotificationParam, ClientRequest, RequestId};
use rmcp::service::{Peer, PeerRequestOptions, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::{Map, Value, json};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Rounds in which a server may ask back before it answers.
const ROUNDS: usize = 6;

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
    Refused(Refused),
    /// The request cannot be written as the protocol wants it.
    Invalid(String),
}

/// A refusal of a server.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// The protocol's code; `None` where HAIA says it for the server.
    pub(crate) code: Option<i32>,
    /// The server's words.
    pub(crate) message: String,
    /// More for programs.
    pub(crate) data: Option<Value>,
}

fn refused(message: impl Into<String>) -> CallError {
    CallError::Refused(Refused { code: None, message: message.into(), data: None })
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
    /// What runs over it.
    pub(crate) running: Running,
    /// Whether it is one without sessions.
    pub(crate) is_stateless: bool,
    /// What the server may ask of a caller.
    pub(crate) ask_back: Arc<[Ability]>,
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
        from: Option<&McpCaller>,
    ) -> Result<Value, CallError> {
        let mut params = Map::new();
        params.insert("name".to_owned(), tool.into());
        params.insert("arguments".to_owned(), Value::Object(arguments.unwrap_or_default()));
        self.ask("tools/call", params, bounds, from).await
    }

    /// Makes a request that a server may answer with questions. A caller who takes those gets them; one who can be asked is asked; for every
    /// other they are declined.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn ask(
        &self,
        method: &str,
        mut params: Map<String, Value>,
        bounds: Bounds,
        from: Option<&McpCaller>,
    ) -> Result<Value, CallError> {
        let mut deadline = self.clock.pause(bounds.total);
        let _permit = tokio::select! {
            permit = self.permits.acquire() => permit.map_err(|_| CallError::Closed)?,
            () = self.clock.pause(bounds.silent) => return Err(CallError::TooLate(bounds.silent)),
        };
        let _running = self.running.enter(from);
        if let Some(from) = from {
            questions::put_answers(&mut params, from);
        }
        for _ in 0..ROUNDS {
            let request = json!({ "method": method, "params": params });
            let request: ClientRequest =
                serde_json::from_value(request).map_err(|error| CallError::Invalid(error.to_string()))?;
            let result = self.request_for(request, bounds, &mut deadline, from).await?;
            let asked = match questions::judge(result, from, &self.ask_back) {
                Round::Done(result) => return Ok(result),
                Round::Asked(asked) => asked,
            };
            let answers = tokio::select! {
                answers = asked.answers(from) => answers,
                () = &mut deadline => return Err(CallError::TooLate(bounds.total)),
            };
            answers.put(&mut params);
        }
        Err(refused("it keeps asking for input that it is not given"))
    }

    /// Sends a request and waits for its result.
    pub(crate) async fn request(
        &self,
        request: ClientRequest,
        bounds: Bounds,
        deadline: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Value, CallError> {
        self.request_for(request, bounds, deadline, None).await
    }

    async fn request_for(
        &self,
        request: ClientRequest,
        bounds: Bounds,
        deadline: &mut (impl Future<Output = ()> + Unpin),
        from: Option<&McpCaller>,
    ) -> Result<Value, CallError> {
        let mut options = PeerRequestOptions::no_options();
        // On a connection without sessions each request says what its caller can do; on any other that was said at its beginning.
        if self.is_stateless
            && let Some(from) = from
        {
            options = options.with_meta(questions::meta(from, &self.ask_back));
        }
        let sent = self.peer.send_request_with_option(request, options).await;
        let mut handle = sent.map_err(|error| failure(&error))?;
        let expected = self.progress.expect(handle.progress_token.0.clone(), from);
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
        serde_json::to_value(result).map_err(|error| refused(error.to_string()))
    }
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
        ServiceError::McpError(error) => CallError::Refused(Refused {
            code: Some(error.code.0),
            message: error.message.to_string(),
            data: error.data.clone(),
        }),
        ServiceError::TransportClosed => CallError::Closed,
        ServiceError::TransportSend(error) => CallError::Broken(chain(error.error.as_ref())),
        ServiceError::Cancelled { .. } => refused("it gave the call up"),
        other => refused(other.to_string()),
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
