//! What an answer that is no good one means, in words that a person understands. Pure.
//!
//! Signs from the sources of pve-http-server and pve-manager: 595 and 596 are a proxied node that is gone or hangs, a refused login has an
//! empty body, and the text of a 500 is in the status line (from version 8 on also in the body's `message`).

use super::transport::{Exchange, TransportError};
use crate::model::grant_command;
use runtime::http::fingerprint_text;
use serde::Deserialize;
use std::fmt;

/// What went wrong, as a closed set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No connection: refused, no route, name unknown.
    Unreachable,
    /// The certificate is not trusted.
    Certificate,
    /// No answer in time.
    TimedOut,
    /// The connection ended before the answer, twice.
    Dropped,
    /// The token was refused.
    LoginRefused,
    /// The token lacks privileges, of which any one would do.
    Forbidden {
        /// Their names.
        privileges: Vec<String>,
        /// On which path of the access control.
        path: String,
    },
    /// The member answers, the node behind it does not.
    NodeUnreachable,
    /// The cluster has no quorum or is not ready.
    NotReady,
    /// What was asked for is not there (any more).
    Gone,
    /// The service is not installed or not set up (Ceph).
    NotInstalled,
    /// The server does not know the call: an older version.
    Unsupported,
    /// The server did not like the call.
    Rejected,
    /// The server failed.
    ServerError,
    /// The answer is not Proxmox VE's.
    NotUnderstood,
}

impl ErrorKind {
    /// Whether another member may still answer.
    pub(crate) fn is_members_fault(&self) -> bool {
        matches!(
            self,
            ErrorKind::Unreachable
                | ErrorKind::Certificate
                | ErrorKind::TimedOut
                | ErrorKind::Dropped
                | ErrorKind::NotUnderstood
        )
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The same for a person, with what to do. Holds no secret.
    pub text: String,
}

impl ApiError {
    /// A failure with its words.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ApiError {}

impl From<TransportError> for ApiError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Connect(why) => {
                ApiError::new(ErrorKind::Unreachable, format!("it cannot be reached ({why})"))
            }
            TransportError::Certificate(seen) => ApiError::new(
                ErrorKind::Certificate,
                format!(
                    "its certificate is not trusted; if this is your server, its fingerprint {} belongs into tls.fingerprints",
                    fingerprint_text(&seen.fingerprint)
                ),
            ),
            TransportError::Handshake(why) => ApiError::new(
                ErrorKind::Certificate,
                format!("no secure connection could be made ({why}); does it speak https on this port?"),
            ),
            TransportError::Dropped(why) => {
                ApiError::new(ErrorKind::Dropped, format!("the connection ended before the answer, twice ({why})"))
            }
            TransportError::TimedOut(within) => ApiError::new(
                ErrorKind::TimedOut,
                format!(
                    "no answer within {} s; its services may hang (often a dead network storage)",
                    within.as_secs()
                ),
            ),
            TransportError::TooLarge => ApiError::new(ErrorKind::NotUnderstood, "the answer is too large to be true"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    message: Option<String>,
    errors: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The longest text of a server that is passed on, in characters.
const LONGEST: usize = 400;

/// A server's text as one short line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Whether an answer is good.
///
/// # Errors
/// What it means when it is not.
pub(super) fn classify(exchange: &Exchange, token_id: &str) -> Result<(), ApiError> {
    if (200..300).contains(&exchange.status) {
        return Ok(());
    }
    let body: Body = serde_json::from_slice(&exchange.body).unwrap_or_default();
    let said = match line(&exchange.reason) {
        reason if reason.is_empty() => line(body.message.as_deref().unwrap_or_default()),
        // "Internal Server Error" says nothing; a message does.
        reason if reason.eq_ignore_ascii_case("internal server error") => body.message.as_deref().map_or(reason, line),
        reason => reason,
    };
    let status = exchange.status;
    Err(match status {
        401 => ApiError::new(
            ErrorKind::LoginRefused,
            format!(
                "the login of {token_id} was refused: is the token's secret right, has the token expired, is its user enabled? (pveum user token list {})",
                token_id.split('!').next().unwrap_or_default()
            ),
        ),
        403 => forbidden(&said, token_id),
        400 => {
            let fields: Vec<String> =
                body.errors.unwrap_or_default().iter().map(|(field, why)| line(&format!("{field}: {why}"))).collect();
            ApiError::new(
                ErrorKind::Rejected,
                format!(
                    "the server did not accept the question ({said}{}{})",
                    if fields.is_empty() { "" } else { "; " },
                    fields.join(", ")
                ),
            )
        }
        595 => ApiError::new(ErrorKind::NodeUnreachable, format!("its cluster cannot reach this node ({said})")),
        596 => ApiError::new(ErrorKind::NodeUnreachable, format!("this node's API hangs or breaks off ({said})")),
        501 => ApiError::new(
            ErrorKind::Unsupported,
            format!("this version of Proxmox VE does not know the question ({said})"),
        ),
        500 => server_error(&said),
        502..=504 => {
            ApiError::new(ErrorKind::Unreachable, format!("something before the server answered {status} {said}"))
        }
        300..=399 => ApiError::new(
            ErrorKind::NotUnderstood,
            format!("it redirects ({status}): write the address of the Proxmox node itself, with its port 8006"),
        ),
        404 => ApiError::new(ErrorKind::NotUnderstood, "it answers 404: is this a Proxmox VE node?"),
        _ => ApiError::new(ErrorKind::ServerError, format!("the server answered {status} {said}")),
    })
}

fn forbidden(said: &str, token_id: &str) -> ApiError {
    // "Permission check failed (/nodes/pve1, Sys.Audit)", several privileges with "|".
    let inside = said.split_once("Permission check failed (").and_then(|(_, rest)| rest.split_once(')'));
    let Some((path, privileges)) = inside.and_then(|(inside, _)| inside.split_once(", ")) else {
        let text = match said.contains("API token") {
            true => "Proxmox VE does not allow this question to API tokens".to_owned(),
            false => format!("the token {token_id} may not ask this ({said})"),
        };
        return ApiError::new(ErrorKind::Forbidden { privileges: Vec::new(), path: String::new() }, text);
    };
    let privileges: Vec<String> = privileges.split(['|', ',']).map(|privilege| privilege.trim().to_owned()).collect();
    let text = format!(
        "the token {token_id} lacks the privilege {} on {path}; on a node run: {}",
        privileges.join(" or "),
        grant_command(token_id)
    );
    ApiError::new(ErrorKind::Forbidden { privileges, path: path.to_owned() }, text)
}

fn server_error(said: &str) -> ApiError {
    let lower = said.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    if has(&["no quorum", "not ready"]) {
        return ApiError::new(ErrorKind::NotReady, format!("the cluster is not ready ({said})"));
    }
    if has(&["not installed", "not initialized", "no such cluster"]) {
        return ApiError::new(ErrorKind::NotInstalled, format!("it is not set up there ({said})"));
    }
    if has(&["does not exist", "no such", "not found", "unable to find"]) {
        return ApiError::new(ErrorKind::Gone, format!("it is not there (any more): {said}"));
    }
    if has(&["timeout", "timed out"]) {
        return ApiError::new(
            ErrorKind::ServerError,
            format!("the server waited in vain for something of its own ({said})"),
        );
    }
    ApiError::new(
        ErrorKind::ServerError,
        if said.is_empty() {
            "the server failed without saying why".to_owned()
        } else {
            format!("the server said: {said}")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn classified(status: u16, reason: &str, body: &str) -> ApiError {
        let exchange =
            Exchange { status, reason: reason.to_owned(), date_s: None, body: Bytes::copy_from_slice(body.as_bytes()) };
        classify(&exchange, "haia@pve!monitor").unwrap_err()
    }

    #[test]
    fn every_sign_has_its_meaning_and_its_words() {
        let none = "{\"data\":null}";
        for (status, reason, body, kind, said) in [
            (401, "authentication failure", "", ErrorKind::LoginRefused, "pveum user token list haia@pve"),
            (
                403,
                "URI '/x' not available with API token, need proper ticket.",
                none,
                ErrorKind::Forbidden { privileges: vec![], path: String::new() },
                "not allow this question to API tokens",
            ),
            (595, "No route to host", "", ErrorKind::NodeUnreachable, "cannot reach this node (No route to host)"),
            (596, "Connection timed out", "", ErrorKind::NodeUnreachable, "hangs"),
            (501, "Method 'GET /x' not implemented", none, ErrorKind::Unsupported, "does not know"),
            (500, "Configuration file 'nodes/a/qemu-server/9.conf' does not exist", none, ErrorKind::Gone, "9.conf"),
            (500, "cluster not ready - no quorum?", none, ErrorKind::NotReady, "no quorum"),
            (500, "binary not installed: /usr/bin/ceph-mon", none, ErrorKind::NotInstalled, "ceph-mon"),
            (500, "got timeout", none, ErrorKind::ServerError, "in vain"),
            (500, "storage 'nas' is not online", none, ErrorKind::ServerError, "storage 'nas' is not online"),
            (
                500,
                "",
                "{\"data\":null,\"message\":\"hostname lookup 'x' failed\\n\"}",
                ErrorKind::ServerError,
                "hostname lookup 'x' failed",
            ),
            (500, "Internal Server Error", "{\"message\":\"no such VM\"}", ErrorKind::Gone, "no such VM"),
            (500, "", "", ErrorKind::ServerError, "without saying why"),
            (
                400,
                "Parameter verification failed.",
                "{\"errors\":{\"vmid\":\"bad\"}}",
                ErrorKind::Rejected,
                "vmid: \"bad\"",
            ),
            (302, "Found", "", ErrorKind::NotUnderstood, "port 8006"),
            (404, "Not Found", "<html>", ErrorKind::NotUnderstood, "Proxmox VE node"),
            (503, "Service Unavailable", "", ErrorKind::Unreachable, "503"),
            (418, "teapot", "", ErrorKind::ServerError, "418 teapot"),
        ] {
            let error = classified(status, reason, body);
            assert_eq!(error.kind, kind, "{status} {reason}");
            assert!(error.text.contains(said), "{status} {reason}: {}", error.text);
        }
    }

    #[test]
    fn a_missing_privilege_comes_with_its_cure() {
        let error =
            classified(403, "Permission check failed (/nodes/pve1, Sys.Audit|Datastore.Audit)", "{\"data\":null}");
        let privileges = vec!["Sys.Audit".to_owned(), "Datastore.Audit".to_owned()];
        assert_eq!(error.kind, ErrorKind::Forbidden { privileges, path: "/nodes/pve1".to_owned() });
        assert!(error.text.contains("pveum acl modify / --users 'haia@pve'"), "{}", error.text);
    }

    #[test]
    fn good_answers_are_good_and_long_words_are_cut() {
        let exchange = Exchange { status: 200, reason: "OK".to_owned(), date_s: None, body: Bytes::new() };
        assert_eq!(classify(&exchange, "t"), Ok(()));
        assert!(classified(500, &"x".repeat(9000), "").text.chars().count() < 500);
    }

    #[test]
    fn the_network_has_its_words_too() {
        let error = ApiError::from(TransportError::TimedOut(Duration::from_secs(8)));
        assert!(error.text.contains("8 s") && error.kind == ErrorKind::TimedOut);
        let seen = runtime::http::Seen { fingerprint: [0xAB; 32], is_trusted: false };
        assert!(ApiError::from(TransportError::Certificate(seen)).text.contains("AB:AB:"));
    }
}
