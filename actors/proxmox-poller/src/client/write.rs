//! Requests that change something: sent once, to one member, and never again once they may have arrived.

use super::classify::{ApiError, ErrorKind, classify};
use super::transport::Unanswered;
use super::{Answer, ApiClient, NODE_REST, node_of};
use std::time::Duration;

/// The deadline of a writing request: longer than the thirty seconds after which a member gives up on the node behind it.
const WRITE: Duration = Duration::from_secs(40);

/// Why a writing request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostError {
    /// It was refused, or reached nobody: nothing was done.
    Refused(ApiError),
    /// It may have arrived, and its answer is lost: nobody knows whether it was begun.
    Lost(ApiError),
}

impl ApiClient {
    /// Sends a form. Another member is tried only while it is certain that nothing has arrived.
    ///
    /// # Errors
    /// Why there is no good answer, and whether something may have been done.
    pub async fn post(&self, path: &str, form: &str) -> Result<Answer, PostError> {
        let inner = &self.inner;
        let now = inner.clock.monotonic();
        let order = inner.members.borrow().order(now).map_err(PostError::Refused)?;
        let mut last = ApiError::new(ErrorKind::Unreachable, "no member of the cluster is configured");
        for endpoint in order {
            let answered = tokio::select! {
                answered = inner.transport.post(endpoint, path, form.to_owned()) => answered,
                () = inner.clock.pause(WRITE) => Err(Unanswered::perhaps_arrived(super::TransportError::TimedOut(WRITE))),
            };
            let exchange = match answered {
                Ok(exchange) => exchange,
                Err(Unanswered { error, may_have_arrived: true }) => {
                    return Err(PostError::Lost(self.at(endpoint, lost(error))));
                }
                Err(Unanswered { error, .. }) => {
                    last = self.at(endpoint, error.into());
                    inner.members.borrow_mut().failed(endpoint, inner.clock.monotonic(), last.clone());
                    continue;
                }
            };
            let Err(error) = classify(&exchange, &inner.token_id) else {
                inner.members.borrow_mut().worked(endpoint);
                return Ok(Answer { body: exchange.body, date_s: exchange.date_s, endpoint });
            };
            // The node, or something before the member, broke off in the middle: the request may have gone through.
            if matches!(exchange.status, 502..=504 | 596..=599) {
                return Err(PostError::Lost(error));
            }
            if error.kind == ErrorKind::LoginRefused {
                inner.members.borrow_mut().login_refused(inner.clock.monotonic(), error.clone());
            }
            if let (ErrorKind::NodeUnreachable, Some(node)) = (&error.kind, node_of(path)) {
                let until = inner.clock.monotonic() + NODE_REST;
                inner.resting_nodes.borrow_mut().insert(node.to_owned(), (until, error.clone()));
            }
            return Err(PostError::Refused(error));
        }
        Err(PostError::Refused(last))
    }
}

fn lost(error: super::TransportError) -> ApiError {
    match error {
        super::TransportError::Dropped(why) => {
            ApiError::new(ErrorKind::Dropped, format!("the connection ended before the answer ({why})"))
        }
        error => error.into(),
    }
}
