//! What a worker thread answers requests with, and what one request carries through its routes.

use crate::access_log::Access;
use crate::arriving::Arriving;
use crate::auth::Identity;
use crate::gateway::RefreshKeys;
use crate::metrics::Metrics;
use crate::openai::error::Refusal;
use crate::ports::{Ports, ThreadPorts};
use crate::published::Shared;
use crate::routes::{Endpoint, table};
use actix_web::HttpRequest;
use bytes::Bytes;
use contract::caller::Caller;
use runtime::Port;
use std::rc::Rc;
use std::sync::Arc;

/// What the whole server shares.
pub(crate) struct Gateway {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ports: Ports,
    pub(crate) refresh: Port<RefreshKeys>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What one worker thread has.
pub(crate) struct Thread {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) own: ThreadPorts,
}

/// What the entry found out about a request, on its way to the route.
pub(crate) struct Arrival {
    pub(crate) identity: Identity,
    pub(crate) body: Bytes,
    /// The body of a route that reads it by itself; there `body` is empty.
    pub(crate) arriving: Option<Arriving>,
    pub(crate) access: Rc<Access>,
}

/// A request that may be answered: its caller's scope suffices for the route.
pub(crate) struct Call {
    pub(crate) thread: Rc<Thread>,
    pub(crate) http: HttpRequest,
    /// The route's path, with the names of its parts.
    pattern: &'static str,
    /// Who asks; `None` on the routes that need no key, where the caller is not known.
    pub(crate) known: Option<Caller>,
    pub(crate) body: Bytes,
    /// The body of a route that reads it by itself; there `body` is empty.
    pub(crate) arriving: Option<Arriving>,
    pub(crate) access: Rc<Access>,
}

impl Call {
    /// Lets a request through to an endpoint if its caller's scope suffices.
    pub(crate) fn admit(
        thread: Rc<Thread>,
        http: HttpRequest,
        arrival: Arrival,
        endpoint: &Endpoint,
    ) -> Result<Self, Refusal> {
        let Arrival { identity, body, arriving, access } = arrival;
        let known = match (identity, endpoint.scope) {
            (Ok(known), Some(scope)) if known.caller.scope < scope => {
                return Err(Refusal::forbidden(format!(
                    "this needs a key of scope {:?}; {:?} has {:?}",
                    scope.as_str(),
                    known.caller.name,
                    known.caller.scope.as_str()
                )));
            }
            (Ok(known), _) => Some(known.caller),
            (Err(_), None) => None,
            (Err(refusal), Some(_)) => return Err(refusal),
        };
        Ok(Self { thread, http, pattern: endpoint.path, known, body, arriving, access })
    }

    /// Who asks.
    ///
    /// # Errors
    /// On a route that needs no key, for somebody unknown.
    pub(crate) fn caller(&self) -> Result<&Caller, Refusal> {
        self.known
            .as_ref()
            .ok_or_else(|| Refusal::unauthenticated("a key is needed: send \"Authorization: Bearer KEY\""))
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.thread.gateway.ports
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.thread.gateway.shared
    }

    /// A part of the path that the route names, decoded.
    pub(crate) fn path_part(&self, name: &str) -> String {
        let raw = table::part(self.pattern, self.http.match_info().as_str(), name);
        raw.map(decode).unwrap_or_default()
    }
}

/// Resolves `%XX` in what the router leaves encoded (slashes, percent signs, plus signs). What is no valid escape stays as it is.
pub(crate) fn decode(raw: &str) -> String {
    if !raw.contains('%') {
        return raw.to_owned();
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| raw.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn escapes() {
        for (raw, decoded) in [
            ("plain", "plain"),
            ("a%2Fb%3Ac", "a/b:c"),
            ("a%2fb", "a/b"),
            ("100%25", "100%"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%C3%A9", "é"),
            ("%FF", "%FF"),
        ] {
            assert_eq!(decode(raw), decoded, "{raw}");
        }
    }
}
