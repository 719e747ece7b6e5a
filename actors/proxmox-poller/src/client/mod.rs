//! The client of one cluster's API: any member answers for all, so a call goes to the member that worked last and moves on when it
//! fails. Refused logins and unreachable members are left alone for a while; every wait has an end.
//!
//! It reads with GETs that have no body. `write` holds the one way to change something, which only approved actions take.

mod classify;
mod members;
mod transport;
mod write;

pub use classify::{ApiError, ErrorKind};
pub use transport::{Exchange, NetworkTransport, OpenTransport, Transport, TransportError, Unanswered, open_network};
pub use write::PostError;

use crate::decode::DecodeError;
use bytes::Bytes;
use classify::classify;
use contract::clock::SharedClock;
use members::Members;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The deadline of the calls that every poll makes.
pub const FAST: Duration = Duration::from_secs(8);
/// The deadline of calls that a node answers after it looked at its disks or network storages.
pub const SLOW: Duration = Duration::from_secs(25);

/// Slow calls at once, so that a hung node does not take all of the server's workers.
const SLOW_AT_ONCE: usize = 8;
/// How long a node that its cluster cannot reach is left alone.
const NODE_REST: Duration = Duration::from_secs(30);

/// A good answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its body.
    pub body: Bytes,
    /// The server's clock, seconds since 1970.
    pub date_s: Option<i64>,
    /// The member that answered.
    pub endpoint: usize,
}

/// The client of one cluster on the actor's thread.
#[derive(Clone)]
pub struct ApiClient {
    inner: Rc<Inner>,
}

struct Inner {
    transport: Rc<dyn Transport>,
    clock: SharedClock,
    token_id: Arc<str>,
    addresses: Vec<Arc<str>>,
    members: RefCell<Members>,
    /// Nodes behind the members that could not be reached, until when, and what was said.
    resting_nodes: RefCell<BTreeMap<String, (Duration, ApiError)>>,
    slow: Semaphore,
}

impl ApiClient {
    /// A client over `transport`, for members at `addresses`.
    pub fn new(transport: Rc<dyn Transport>, addresses: Vec<Arc<str>>, token_id: Arc<str>, clock: SharedClock) -> Self {
        let members = RefCell::new(Members::new(addresses.len()));
        let slow = Semaphore::new(SLOW_AT_ONCE);
        let inner = Inner { transport, clock, token_id, addresses, members, resting_nodes: RefCell::default(), slow };
        Self { inner: Rc::new(inner) }
    }

    /// The address of a member.
    pub fn address(&self, endpoint: usize) -> Arc<str> {
        self.inner.addresses.get(endpoint).cloned().unwrap_or_default()
    }

    /// How many members are configured.
    pub fn endpoints(&self) -> usize {
        self.inner.addresses.len()
    }

    /// Real time, as waits for members are counted.
    pub(crate) fn monotonic(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// Who the client is.
    pub fn token_id(&self) -> &str {
        &self.inner.token_id
    }

    /// The certificate that a member showed last.
    pub fn presented(&self, endpoint: usize) -> Option<runtime::http::Seen> {
        self.inner.transport.presented(endpoint)
    }

    /// One of the calls that every poll makes: never behind the slow ones.
    ///
    /// # Errors
    /// What kept every member from answering.
    pub async fn fast<T>(
        &self,
        path: &str,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<(T, Answer), ApiError> {
        self.read(path, FAST, decode).await
    }

    /// Any other call. Waits for its turn within its deadline.
    ///
    /// # Errors
    /// What kept every member from answering.
    pub async fn slow<T>(&self, path: &str, decode: impl Fn(&[u8]) -> Result<T, DecodeError>) -> Result<T, ApiError> {
        self.slow_dated(path, decode).await.map(|(value, _)| value)
    }

    /// The same, with the clock of the member that passed the answer on, seconds since 1970.
    ///
    /// # Errors
    /// What kept every member from answering.
    pub async fn slow_dated<T>(
        &self,
        path: &str,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<(T, Option<i64>), ApiError> {
        let turn = tokio::select! {
            turn = self.inner.slow.acquire() => turn.ok(),
            () = self.inner.clock.pause(SLOW) => None,
        };
        let Some(_turn) = turn else {
            return Err(ApiError::new(
                ErrorKind::TimedOut,
                "earlier questions to this cluster are still waiting for their answers",
            ));
        };
        self.read(path, SLOW, decode).await.map(|(value, answer)| (value, answer.date_s))
    }

    async fn read<T>(
        &self,
        path: &str,
        within: Duration,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<(T, Answer), ApiError> {
        let answer = self.get(path, within).await?;
        match decode(&answer.body) {
            Ok(value) => Ok((value, answer)),
            Err(error) => Err(self.at(answer.endpoint, ApiError::new(ErrorKind::NotUnderstood, error.to_string()))),
        }
    }

    async fn get(&self, path: &str, within: Duration) -> Result<Answer, ApiError> {
        let now = self.inner.clock.monotonic();
        let node = node_of(path);
        if let Some(node) = node
            && let Some((until, error)) = self.inner.resting_nodes.borrow().get(node)
            && *until > now
        {
            return Err(error.clone());
        }
        let order = self.inner.members.borrow().order(now)?;
        let mut last = None;
        for endpoint in order {
            let error = match self.try_member(endpoint, path, within).await {
                Ok(answer) => {
                    self.inner.members.borrow_mut().worked(endpoint);
                    if let Some(node) = node {
                        self.inner.resting_nodes.borrow_mut().remove(node);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let now = self.inner.clock.monotonic();
            if let (ErrorKind::NodeUnreachable, Some(node)) = (&error.kind, node) {
                self.inner.resting_nodes.borrow_mut().insert(node.to_owned(), (now + NODE_REST, error.clone()));
            }
            if error.kind == ErrorKind::LoginRefused {
                self.inner.members.borrow_mut().login_refused(now, error.clone());
                return Err(error);
            }
            // That another node hangs is not this member's fault, and the next member would wait for it just as long.
            let is_members_fault =
                error.kind.is_members_fault() && !(error.kind == ErrorKind::TimedOut && node.is_some());
            if !is_members_fault {
                self.inner.members.borrow_mut().worked(endpoint);
                return Err(error);
            }
            let error = self.at(endpoint, error);
            self.inner.members.borrow_mut().failed(endpoint, now, error.clone());
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| ApiError::new(ErrorKind::Unreachable, "no member of the cluster is configured")))
    }

    /// Asks one member; once more at once when the connection ended before an answer: servers end them after a hundred requests.
    async fn try_member(&self, endpoint: usize, path: &str, within: Duration) -> Result<Answer, ApiError> {
        let mut retried = false;
        loop {
            let asked = self.inner.transport.get(endpoint, path, within);
            let answered = tokio::select! {
                answered = asked => answered,
                () = self.inner.clock.pause(within) => Err(TransportError::TimedOut(within)),
            };
            match answered {
                Ok(exchange) => {
                    classify(&exchange, &self.inner.token_id)?;
                    return Ok(Answer { body: exchange.body, date_s: exchange.date_s, endpoint });
                }
                Err(TransportError::Dropped(_)) if !retried => retried = true,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks one member and no other, whatever is known of it: for probes.
    ///
    /// # Errors
    /// What kept it from answering.
    pub async fn probe(&self, endpoint: usize, path: &str) -> Result<Answer, ApiError> {
        self.try_member(endpoint, path, FAST).await.map_err(|error| self.at(endpoint, error))
    }

    /// Says at which member it happened.
    fn at(&self, endpoint: usize, error: ApiError) -> ApiError {
        ApiError { text: format!("{}: {}", self.address(endpoint), error.text), ..error }
    }
}

/// The node that answers a call itself; `None` when any member does.
fn node_of(path: &str) -> Option<&str> {
    path.strip_prefix("/nodes/")?.split(['/', '?']).next().filter(|node| !node.is_empty())
}

/// A text as one segment of a path.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("local-lvm"), "local-lvm");
        assert_eq!(segment("../x?y#z"), "..%2Fx%3Fy%23z");
        assert_eq!(segment("UPID:a:1::root@pam:"), "UPID%3Aa%3A1%3A%3Aroot%40pam%3A");
    }

    #[test]
    fn the_node_behind_a_path() {
        for (path, node) in [
            ("/nodes/pve1/status", Some("pve1")),
            ("/nodes", None),
            ("/nodes/", None),
            ("/cluster/tasks", None),
            ("/nodes/a?x", Some("a")),
        ] {
            assert_eq!(node_of(path), node, "{path}");
        }
    }
}
