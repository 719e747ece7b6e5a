//! The way to a member: one GET or one form, and what came back. A trait, so that tests play the cluster.
//!
//! It judges nothing and waits for nothing by itself: deadlines, retries and failover are the client's.

use crate::config::{ClusterConfig, Endpoint};
use awc::error::{ConnectError, SendRequestError};
use awc::http::{Method, header};
use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::secret::Secret;
use runtime::http::{Connect, PinnedClient, REASON_HEADER, Seen, Trust, parse_fingerprint, pinned_client};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The deadline for connecting to a member, and again for the handshake.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The largest answer: 32 nodes with 2,000 guests are 0.7 MB.
const LARGEST: usize = 32 << 20;

/// What a member answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The HTTP status.
    pub status: u16,
    /// The text of the status line: where Proxmox VE says what went wrong.
    pub reason: String,
    /// The server's clock, seconds since 1970.
    pub date_s: Option<i64>,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// No connection.
    Connect(String),
    /// A certificate that is not trusted.
    Certificate(Seen),
    /// No TLS.
    Handshake(String),
    /// The connection ended before the answer did.
    Dropped(String),
    /// No answer within this time.
    TimedOut(Duration),
    /// More than any true answer.
    TooLarge,
}

/// A writing request without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Why.
    pub error: TransportError,
    /// Whether the member may have got it.
    pub may_have_arrived: bool,
}

impl Unanswered {
    /// Nobody got it.
    pub fn not_sent(error: TransportError) -> Self {
        Self { error, may_have_arrived: false }
    }

    /// It was sent; whether it arrived is not known.
    pub fn perhaps_arrived(error: TransportError) -> Self {
        Self { error, may_have_arrived: true }
    }
}

/// The way to the members of one cluster.
pub trait Transport {
    /// Asks a member. Dropping the future ends the request.
    fn get(
        &self,
        endpoint: usize,
        path: &str,
        within: Duration,
    ) -> LocalBoxFuture<'static, Result<Exchange, TransportError>>;

    /// Sends a member a form (`application/x-www-form-urlencoded`), over a connection of its own. A way that does not say otherwise only reads.
    fn post(&self, endpoint: usize, path: &str, form: String) -> LocalBoxFuture<'static, Result<Exchange, Unanswered>> {
        let _ = (endpoint, path, form);
        let error = TransportError::Connect("this way to the cluster only reads".to_owned());
        Box::pin(std::future::ready(Err(Unanswered::not_sent(error))))
    }

    /// The certificate that a member showed last.
    fn presented(&self, endpoint: usize) -> Option<Seen> {
        let _ = endpoint;
        None
    }
}

/// Makes the way to a cluster's members, on the thread that will use it; or says why it cannot be made.
pub type OpenTransport = Arc<dyn Fn(&ClusterConfig) -> Result<Rc<dyn Transport>, String> + Send + Sync>;

/// The real way, over the network.
pub fn open_network() -> OpenTransport {
    Arc::new(|config| NetworkTransport::new(config).map(|transport| Rc::new(transport) as Rc<dyn Transport>))
}

/// The way over the network.
pub struct NetworkTransport {
    members: Vec<Rc<PinnedClient>>,
    /// For writing requests; none where actions are not allowed. A connection that was kept may be gone, and then nobody could tell whether a
    /// request has arrived: each gets its own.
    writers: Vec<Rc<PinnedClient>>,
    token: Secret,
}

impl NetworkTransport {
    /// Clients for the members of a cluster.
    ///
    /// # Errors
    /// The authority's file cannot be read or used, or an endpoint is no address.
    pub fn new(config: &ClusterConfig) -> Result<Self, String> {
        let trust = trust(config)?;
        let client = |endpoint: &String, keep_alive: Duration| {
            let endpoint = Endpoint::parse(endpoint)?;
            let connect = Connect { timeout: CONNECT, keep_alive, tls: endpoint.tls };
            pinned_client(&connect, &endpoint.authority, &trust).map(Rc::new).map_err(|error| format!("tls: {error}"))
        };
        let token = Secret::new(format!("PVEAPIToken={}={}", config.token_id, config.token_secret.expose()));
        let clients = |keep_alive: Duration| -> Result<Vec<_>, String> {
            config.endpoints.iter().map(|endpoint| client(endpoint, keep_alive)).collect()
        };
        let writers = if config.allow_actions { clients(Duration::ZERO)? } else { Vec::new() };
        Ok(Self { members: clients(KEEP_ALIVE)?, writers, token })
    }
}

fn trust(config: &ClusterConfig) -> Result<Trust, String> {
    let tls = &config.tls;
    if let Some(path) = &tls.ca_file {
        let pem = std::fs::read(path).map_err(|error| format!("tls.ca_file {}: {error}", path.display()))?;
        return Ok(Trust::Authorities(pem));
    }
    if !tls.fingerprints.is_empty() {
        return Ok(Trust::Fingerprints(tls.fingerprints.iter().filter_map(|text| parse_fingerprint(text)).collect()));
    }
    Ok(if tls.insecure { Trust::Anyone } else { Trust::System })
}

impl Transport for NetworkTransport {
    fn get(
        &self,
        endpoint: usize,
        path: &str,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        let Some(member) = self.members.get(endpoint).cloned() else {
            return Box::pin(std::future::ready(Err(TransportError::Connect("there is no such member".to_owned()))));
        };
        let request = member
            .request(Method::GET, &format!("/api2/json{path}"))
            .insert_header((header::AUTHORIZATION, self.token.expose()))
            .insert_header((header::ACCEPT, "application/json"));
        Box::pin(async move {
            let response = request.send().await.map_err(|error| failed(&error, &member))?;
            read(response).await
        })
    }

    fn post(&self, endpoint: usize, path: &str, form: String) -> LocalBoxFuture<'static, Result<Exchange, Unanswered>> {
        let Some(writer) = self.writers.get(endpoint).cloned() else {
            let error = TransportError::Connect("actions are not allowed on this cluster".to_owned());
            return Box::pin(std::future::ready(Err(Unanswered::not_sent(error))));
        };
        let request = writer
            .request(Method::POST, &format!("/api2/json{path}"))
            .force_close()
            .insert_header((header::AUTHORIZATION, self.token.expose()))
            .insert_header((header::ACCEPT, "application/json"))
            .content_type("application/x-www-form-urlencoded");
        Box::pin(async move {
            // A body of known length: chunked ones are refused.
            let response = request.send_body(form).await.map_err(|error| match &error {
                // The connection was there, and ended before the answer: the order may have been taken.
                SendRequestError::Connect(ConnectError::Disconnected) => Unanswered::perhaps_arrived(
                    TransportError::Dropped("the connection ended without an answer".to_owned()),
                ),
                SendRequestError::Connect(_) => Unanswered::not_sent(failed(&error, &writer)),
                _ => Unanswered::perhaps_arrived(failed(&error, &writer)),
            })?;
            read(response).await.map_err(Unanswered::perhaps_arrived)
        })
    }

    fn presented(&self, endpoint: usize) -> Option<Seen> {
        self.members.get(endpoint)?.presented().get()
    }
}

/// Reads an answer to its end.
async fn read<S>(mut response: awc::ClientResponse<S>) -> Result<Exchange, TransportError>
where
    S: futures_util::Stream<Item = Result<Bytes, awc::error::PayloadError>>,
{
    let head =
        |name: &str| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (reason, date) = (head(REASON_HEADER), head("date"));
    let status = response.status().as_u16();
    let body = response.body().limit(LARGEST).await.map_err(|error| match error {
        awc::error::PayloadError::Overflow => TransportError::TooLarge,
        error => TransportError::Dropped(error.to_string()),
    })?;
    let date_s = date.and_then(|date| jiff::fmt::rfc2822::parse(&date).ok()).map(|date| date.timestamp().as_second());
    Ok(Exchange { status, reason: reason.unwrap_or_default(), date_s, body })
}

fn failed(error: &SendRequestError, member: &PinnedClient) -> TransportError {
    let untrusted = member.presented().get().filter(|seen| !seen.is_trusted);
    match error {
        SendRequestError::Connect(ConnectError::Timeout) => TransportError::Connect("no connection in time".to_owned()),
        SendRequestError::Connect(ConnectError::Io(error)) => match (untrusted, error.kind()) {
            (Some(seen), io::ErrorKind::InvalidData) => TransportError::Certificate(seen),
            (_, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                TransportError::Handshake(error.to_string())
            }
            // A server that reloads lets connections go before they are secured.
            (
                _,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof,
            ) => TransportError::Dropped(error.to_string()),
            _ => TransportError::Connect(error.to_string()),
        },
        SendRequestError::Connect(error) => TransportError::Connect(error.to_string()),
        error => TransportError::Dropped(error.to_string()),
    }
}
