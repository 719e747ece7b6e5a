//! A client for one server that is asked for the same over and over: its requests differ in nothing but their bodies.
//!
//! Beside awc, which sets up a timer task, a table of headers and sixteen kilobytes of buffers for each request and keeps them while a stream is
//! open: fine for a question now and then, but most of what a relayed stream costs. Here a request's head is made once, an answer's is looked up
//! where it lies, and connections are kept on one stack: the latest is used first, and the others are closed when they were idle too long.
//!
//! HTTP/1.1, one request at a time on each connection, no redirects, no content codings. Deadlines are its caller's, but for connecting.

use super::answer::{Answer, Body, poll_read};
use super::beginning::{Beginning, Look};
use super::sending::{Outgoing, Sending};
use super::stream::Stream;
use super::uploading::Uploading;
use super::{Connect, LIFETIME, connecting, tls};
use actix_http::error::ParseError;
use actix_service::Service as _;
use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::{ConnectError as TcpError, ConnectInfo};
use awc::error::{ConnectError, SendRequestError};
use awc::http::Uri;
use awc::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use rustls::ClientConfig;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write as _;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

/// Bodies up to this size are sent together with their head.
const TOGETHER: usize = 64 << 10;
/// The most connections that are kept for later.
const MOST_IDLE: usize = 1024;

/// The head of a request, but for its length.
pub struct Template(Bytes);

impl Template {
    /// `POST` to `url` with these headers. `None` if the address or a header has characters that HTTP forbids.
    pub fn post<'a>(url: &str, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let host = uri.host()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}");
        if let Some(port) = uri.port_u16().filter(|port| ![80, 443].contains(port)) {
            head.push_str(&format!(":{port}"));
        }
        // Without it every content coding is acceptable to the server's mind, and none is understood here.
        head.push_str("\r\naccept-encoding: identity\r\n");
        for (name, value) in headers {
            HeaderName::from_bytes(name.as_bytes()).ok()?;
            HeaderValue::from_str(value).ok()?;
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Some(Self(head.into()))
    }
}

/// One server, and this thread's connections to it.
pub struct Origin {
    uri: Uri,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    pool: Rc<Pool>,
}

impl Origin {
    /// The server of `url`. `None` if that is no address.
    pub fn new(url: &str, connect: &Connect) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        uri.host()?;
        let tls = connect.tls.then(tls).flatten();
        let pool = Rc::new(Pool { idle: RefCell::default(), keep_alive: connect.keep_alive, reaper: Cell::new(None) });
        Some(Self { uri, tls, timeout: connect.timeout, pool })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// No connection, or none that brought an answer.
    pub async fn send(&self, template: &Template, body: &Bytes) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let kept = self.pool.take(begun);
        let was_kept = kept.is_some();
        let connection = match kept {
            Some(kept) => kept,
            // Rare, and large: boxed, so that the others need no room for it.
            None => Box::pin(self.connect()).await.map_err(NoAnswer::fresh)?,
        };
        let mut head = Vec::with_capacity(template.0.len() + 32 + if body.len() > TOGETHER { 0 } else { body.len() });
        head.extend_from_slice(&template.0);
        write!(head, "content-length: {}\r\n\r\n", body.len())
            .map_err(|error| NoAnswer::fresh(SendRequestError::Send(error)))?;
        let mut rest: &[u8] = body;
        if body.len() <= TOGETHER {
            head.extend_from_slice(std::mem::take(&mut rest));
        }
        let answer = self.answer(connection, Sending::new(head, rest)).await;
        answer.map_err(|error| NoAnswer { error, was_kept, after: begun.elapsed() })
    }

    /// Sends a request whose body comes piece by piece, and waits for the head of the answer. The next piece is asked for once the connection has
    /// taken the one before. With a `length` the body must be just as long; without one it goes in chunks. A body that cannot be had twice must
    /// not meet a connection that is gone: with `fresh`, a new one is made for it.
    ///
    /// # Errors
    /// As [`Origin::send`], and `Send` with the body's own error if it breaks off; the connection is closed then.
    pub async fn upload(
        &self,
        template: &Template,
        length: Option<u64>,
        body: impl futures_util::Stream<Item = std::io::Result<Bytes>> + Unpin,
        fresh: bool,
    ) -> Result<Answer, NoAnswer> {
        let begun = Instant::now();
        let kept = if fresh { None } else { self.pool.take(begun) };
        let was_kept = kept.is_some();
        let connection = match kept {
            Some(kept) => kept,
            None => Box::pin(self.connect()).await.map_err(NoAnswer::fresh)?,
        };
        let request = Uploading::new(&template.0, length, body);
        let answer = self.answer(connection, request).await;
        answer.map_err(|error| NoAnswer { error, was_kept, after: begun.elapsed() })
    }

    /// Sends the request and reads the head of its answer. That may come first: a server that refuses a large body need not read it, and one
    /// that closes the connection over it has said before why.
    async fn answer(&self, mut connection: Idle, mut request: impl Outgoing) -> Result<Answer, SendRequestError> {
        let mut beginning = Beginning::default();
        let told = loop {
            let io = &mut connection.io;
            let read = poll_fn(|context| {
                if request.poll(io, context).is_ready() && request.is_spoilt() {
                    return Poll::Ready(Ok(Look::Ended));
                }
                poll_read(io, context, |bytes| beginning.look(bytes))
            });
            match read.await {
                Ok(Look::Incomplete) => {}
                Ok(Look::Ended) => break SendRequestError::Connect(ConnectError::Disconnected),
                Ok(Look::Odd(what)) => {
                    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, what);
                    return Err(SendRequestError::Response(ParseError::Io(error)));
                }
                Ok(Look::Head { head, framing, keeps, come }) => {
                    // No success is meant before the request is whole.
                    if head.status() < 300 {
                        poll_fn(|context| request.poll(io, context)).await;
                        if request.is_spoilt() {
                            break SendRequestError::Connect(ConnectError::Disconnected);
                        }
                    }
                    let keeps = keeps && request.is_sent() && (come.is_empty() || !framing.is_complete());
                    let pool = Rc::clone(&self.pool);
                    let mut body = Body { connection: Some(connection), framing, keeps, come, pool };
                    body.settle();
                    return Ok(Answer { head, body });
                }
                Err(error) => break SendRequestError::Response(ParseError::Io(error)),
            }
        };
        Err(request.failure().map_or(told, SendRequestError::Send))
    }

    async fn connect(&self) -> Result<Idle, SendRequestError> {
        let late = |_| SendRequestError::Connect(ConnectError::Timeout);
        let told = |error| {
            SendRequestError::Connect(match error {
                TcpError::Resolver(error) => ConnectError::Resolver(error),
                TcpError::NoRecords => ConnectError::NoRecords,
                TcpError::Unresolved | TcpError::InvalidInput => ConnectError::Unresolved,
                TcpError::Io(error) => ConnectError::Io(error),
            })
        };
        let connecting = connecting::connect(ConnectInfo::new(self.uri.clone()));
        let connection = timeout(self.timeout, connecting).await.map_err(late)?.map_err(told)?;
        let io = match &self.tls {
            None => Stream::Plain(connection.into_parts().0),
            Some(tls) => {
                let securing = TlsConnector::service(Arc::clone(tls)).call(connection);
                let secured = timeout(self.timeout, securing).await.map_err(late)?;
                let secured = secured.map_err(|error| SendRequestError::Connect(ConnectError::Io(error)))?;
                Stream::Secured(Box::new(secured.into_parts().0))
            }
        };
        let now = Instant::now();
        Ok(Idle { io, made: now, used: now })
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// What went wrong, as awc tells it.
    pub error: SendRequestError,
    /// Whether the connection had served a request before: such a one may have been closed while nobody looked.
    pub was_kept: bool,
    /// How long it took to find out.
    pub after: Duration,
}

impl NoAnswer {
    fn fresh(error: SendRequestError) -> Self {
        Self { error, was_kept: false, after: Duration::ZERO }
    }
}

/// A connection between two requests.
pub(super) struct Idle {
    pub(super) io: Stream,
    made: Instant,
    used: Instant,
}

impl Idle {
    /// Whether the server has left it as it was: one that closed it, or sent what nobody asked for, has not.
    fn is_quiet(&mut self) -> bool {
        poll_read(&mut self.io, &mut Context::from_waker(Waker::noop()), |_| ()).is_pending()
    }
}

/// The connections that wait for their next request.
pub(super) struct Pool {
    idle: RefCell<Vec<Idle>>,
    keep_alive: Duration,
    /// Closes what is idle too long; runs while there is anything.
    reaper: Cell<Option<AbortHandle>>,
}

impl Pool {
    /// The connection that was used last, if it is still good.
    fn take(&self, now: Instant) -> Option<Idle> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            let is_fresh = now - connection.used <= self.keep_alive && now - connection.made <= LIFETIME;
            if is_fresh && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(self: &Rc<Self>, mut connection: Idle) {
        connection.used = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= MOST_IDLE {
            return;
        }
        if idle.is_empty() {
            let running = self.reaper.take().filter(|reaper| !reaper.is_finished());
            let reaper = running.unwrap_or_else(|| actix_rt::spawn(reap(Rc::downgrade(self))).abort_handle());
            self.reaper.set(Some(reaper));
        }
        idle.push(connection);
    }

    /// Closes what was idle too long. How long until the next one is; `None` if nothing is left.
    fn reap(&self) -> Option<Duration> {
        let mut idle = self.idle.borrow_mut();
        let now = Instant::now();
        // The longest idle lie at the bottom.
        let fresh = idle.iter().position(|connection| now - connection.used < self.keep_alive).unwrap_or(idle.len());
        idle.drain(..fresh);
        idle.shrink_to(64);
        idle.first().map(|first| (first.used + self.keep_alive).saturating_duration_since(now))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = self.reaper.take() {
            reaper.abort();
        }
    }
}

async fn reap(pool: Weak<Pool>) {
    loop {
        let Some(next) = pool.upgrade().and_then(|pool| pool.reap()) else { return };
        // Not for each of them by itself: a second more or less does no harm.
        sleep(next.max(Duration::from_secs(1))).await;
    }
}

#[cfg(test)]
mod tests;
