//! One message to the daemon and what comes back: plain JSON or a stream of events, a session that is opened anew where it was lost, an
//! answer of the bridge's own where the daemon cannot give one.

use super::Event;
use super::message::{self, Request, Told, value};
use crate::cli::http::Head;
use crate::cli::socket::{Answer, Socket, SocketError};
use contract::clock::SharedClock;
use runtime::http::sse::{Sse, TooLarge};
use serde_json::Value;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const TARGET: &str = "/mcp";
const HEADERS: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
/// The most bytes of one message.
const EVENT_BYTES: usize = 64 << 20;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The session that the bridge keeps for a client of the older era.
#[derive(Clone, Default)]
struct Session {
    id: String,
    version: String,
}

#[derive(Default)]
struct Kept {
    session: Option<Session>,
    /// The client's own `initialize`, to open the session anew with.
    opening: Option<String>,
}

/// The way to the daemon.
pub struct Daemon {
    sockets: Vec<PathBuf>,
    clock: SharedClock,
    events: SyncSender<Event>,
    kept: Mutex<Kept>,
    /// Connections of requests that wait, by the requests' ids.
    waiting: Mutex<HashMap<String, UnixStream>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How an exchange ended.
enum Ended {
    /// The client has its answer, or wants none any more.
    Answered,
    /// The daemon knows no such session.
    NoSession,
    /// There was no answer; why.
    Failed(String),
}

impl Daemon {
    pub fn new(sockets: Vec<PathBuf>, clock: SharedClock, events: SyncSender<Event>) -> Self {
        Self { sockets, clock, events, kept: Mutex::default(), waiting: Mutex::default() }
    }

    fn tell(&self, event: Event) {
        // Where the main thread is gone, the client is too.
        let _ = self.events.send(event);
    }

    fn socket(&self) -> Result<Socket, SocketError> {
        let found = Socket::find(&self.sockets, &self.clock);
        self.tell(match &found {
            Ok(_) => Event::Reached,
            Err(error) => Event::Trouble(error.to_string()),
        });
        found
    }

    /// Ends the wait of a request.
    pub fn cancel(&self, id: &str) {
        if let Some(connection) = lock(&self.waiting).remove(id) {
            // It may have ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Lets the daemon forget the session; it would by itself, later.
    pub fn end_session(&self) {
        let Some(session) = lock(&self.kept).session.take() else { return };
        let headers = format!("Mcp-Session-Id: {}\r\n", session.id);
        if let Ok(socket) = Socket::find(&self.sockets, &self.clock) {
            // Whether it worked changes nothing.
            let _ = socket.exchange_raw("DELETE", TARGET, (&headers, ""), &mut |_| {}, &mut |_, _| Ok(()));
        }
    }

    /// Passes a message on, and what comes back.
    pub fn pass_on(self: &Arc<Self>, told: &Told, line: &str) {
        match told {
            Told::Broken => {
                let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"this line is no JSON"}}"#;
                self.tell(Event::Out(error.to_owned()));
            }
            Told::Cancel(id) => self.cancel(id),
            Told::Other { method, version } => {
                let headers = self.headers(version.as_deref());
                let sent = self.socket().and_then(|socket| {
                    socket.exchange_raw("POST", TARGET, (&headers, line.trim()), &mut |_| {}, &mut |_, _| Ok(()))
                });
                if sent.is_ok() && method == "notifications/initialized" {
                    self.listen();
                }
            }
            Told::Request(request) => {
                let ended = match self.request(request, line) {
                    Ended::NoSession if self.reopen() => self.request(request, line),
                    ended => ended,
                };
                let said = match ended {
                    Ended::Answered => return,
                    Ended::NoSession => "HAIA has forgotten the session: begin anew with initialize".to_owned(),
                    Ended::Failed(said) => said,
                };
                self.tell(Event::Out(message::error(&request.id, &said)));
            }
        }
    }

    /// The headers of a message.
    fn headers(&self, version: Option<&str>) -> String {
        match (version, &lock(&self.kept).session) {
            (Some(version), _) => format!("{HEADERS}MCP-Protocol-Version: {}\r\n", value(version)),
            (None, Some(session)) => format!(
                "{HEADERS}MCP-Protocol-Version: {}\r\nMcp-Session-Id: {}\r\n",
                value(&session.version),
                session.id
            ),
            (None, None) => HEADERS.to_owned(),
        }
    }

    fn request(&self, request: &Request, line: &str) -> Ended {
        let is_opening = request.method == "initialize" && request.version.is_none();
        if is_opening {
            *lock(&self.kept) = Kept { session: None, opening: Some(line.trim().to_owned()) };
        }
        let mut headers = self.headers(request.version.as_deref());
        if request.version.is_some() {
            headers.push_str(&message::routing(request));
        }
        let socket = match self.socket() {
            Ok(socket) => socket,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let mut reader = Reader::new(&request.id);
        let mut begun = |connection| {
            lock(&self.waiting).insert(request.id.clone(), connection);
        };
        let mut refused = None;
        let done = socket.exchange_raw("POST", TARGET, (&headers, line.trim()), &mut begun, &mut |head, bytes| {
            let told = reader.push(head, bytes, |message| self.tell(Event::Out(message)));
            told.map_err(|error| io::Error::other(*refused.insert(error)))
        });
        // Whoever cancelled it has taken it out.
        let is_wanted = lock(&self.waiting).remove(&request.id).is_some();
        let head = match done {
            Ok(head) => head,
            Err(_) if !is_wanted => return Ended::Answered,
            Err(error) => {
                let why = refused.map_or_else(|| error.to_string(), |error| error.to_string());
                return if reader.is_answered { self.broke(why) } else { Ended::Failed(why) };
            }
        };
        if head.status == 404 && request.version.is_none() && !is_opening && lock(&self.kept).opening.is_some() {
            return Ended::NoSession;
        }
        if let Some(message) = reader.finish(&head) {
            if is_opening && let Some(id) = &head.session {
                let version = serde_json::from_str::<Value>(&message).unwrap_or_default();
                let version = version["result"]["protocolVersion"].as_str().unwrap_or_default().to_owned();
                lock(&self.kept).session = Some(Session { id: id.clone(), version });
            }
            self.tell(Event::Out(message));
        }
        if reader.is_answered {
            return Ended::Answered;
        }
        Ended::Failed(Answer { head, body: reader.body }.refusal())
    }

    fn broke(&self, why: String) -> Ended {
        self.tell(Event::Trouble(why));
        Ended::Answered
    }

    /// Opens the session anew, as the client had opened it.
    fn reopen(self: &Arc<Self>) -> bool {
        let Some(opening) = lock(&self.kept).opening.clone() else { return false };
        let Ok(socket) = self.socket() else { return false };
        let mut body = Vec::new();
        let head = socket.exchange_raw("POST", TARGET, (HEADERS, &opening), &mut |_| {}, &mut |_, bytes| {
            body.extend_from_slice(bytes);
            Ok(())
        });
        let Some(id) = head.ok().and_then(|head| head.session) else { return false };
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let version = answer["result"]["protocolVersion"].as_str().unwrap_or_default().to_owned();
        lock(&self.kept).session = Some(Session { id, version });
        let headers = self.headers(None);
        // What follows would show it if this went wrong.
        let _ = socket.exchange_raw("POST", TARGET, (&headers, INITIALIZED), &mut |_| {}, &mut |_, _| Ok(()));
        self.listen();
        true
    }

    /// Listens for what the daemon tells by itself, for as long as the session lives.
    fn listen(self: &Arc<Self>) {
        let daemon = Arc::clone(self);
        let headers = self.headers(None);
        let work = move || {
            let Ok(socket) = daemon.socket() else { return };
            let mut reader = Reader::new("null");
            // The end of the stream is no trouble: the next request finds out what happened.
            let _ =
                socket.exchange_raw("GET", TARGET, (&headers, ""), &mut |_| {}, &mut |head, bytes| match head.status {
                    200 => {
                        reader.push(head, bytes, |message| daemon.tell(Event::Out(message))).map_err(io::Error::other)
                    }
                    _ => Ok(()),
                });
        };
        if let Err(error) = std::thread::Builder::new().name("haia-mcp-listen".to_owned()).spawn(work) {
            self.tell(Event::Trouble(format!("nothing can be heard of changes: {error}")));
        }
    }
}

/// Reads an answer: messages one by one.
struct Reader {
    /// The id of the request that is answered.
    id: Value,
    events: Sse,
    /// What is no stream of events.
    body: Vec<u8>,
    is_answered: bool,
}

impl Reader {
    fn new(id: &str) -> Self {
        let id = serde_json::from_str(id).unwrap_or_default();
        Self { id, events: Sse::new(EVENT_BYTES), body: Vec::new(), is_answered: false }
    }

    /// Takes bytes and tells the messages that are complete with them.
    fn push(&mut self, head: &Head, bytes: &[u8], tell: impl Fn(String)) -> Result<(), TooLarge> {
        if head.content_type != "text/event-stream" {
            self.body.extend_from_slice(bytes);
            return Ok(());
        }
        let Self { id, events, is_answered, .. } = self;
        events.feed(bytes, |event| {
            if let Some(message) = read(event.data, id, is_answered) {
                tell(message);
            }
            Ok(())
        })
    }

    /// What is left when the answer has ended.
    fn finish(&mut self, head: &Head) -> Option<String> {
        if head.content_type != "application/json" {
            return None;
        }
        let body = std::mem::take(&mut self.body);
        let message = read(&body, &self.id, &mut self.is_answered);
        if message.is_none() {
            self.body = body;
        }
        message
    }
}

/// A message on one line; `None` if this is none. Whether it is the answer to the request of this id is noted.
fn read(bytes: &[u8], id: &Value, is_answered: &mut bool) -> Option<String> {
    let message: Value = serde_json::from_slice(bytes).ok()?;
    if message["jsonrpc"] != "2.0" {
        return None;
    }
    *is_answered |= message["id"] == *id && message["method"].is_null();
    Some(message.to_string())
}
