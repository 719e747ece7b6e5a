//! How a connection to a server is begun: which revision's way comes first, and what a refusal means. Pure.

use super::entry::{Dialect, Entry, Way};
use super::link::chain;
use super::own::Revision;
use super::text::clean_line;
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use rmcp::service::ClientInitializeError;

/// How a connection is begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Begin {
    Handshake,
    Stateless,
    /// Asks first, and falls back to the handshake.
    Ask,
}

impl Begin {
    pub(super) fn mode(self) -> ClientLifecycleMode {
        let newest = || vec![ProtocolVersion::V_2026_07_28];
        match self {
            Begin::Handshake => ClientLifecycleMode::Initialize,
            Begin::Stateless => ClientLifecycleMode::Discover { preferred_versions: newest() },
            Begin::Ask => ClientLifecycleMode::Auto {
                preferred_versions: newest(),
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            },
        }
    }
}

/// What to try, in order. A slow program would answer a question after rmcp gave up waiting for it, and be lost: so on pipes the
/// handshake comes first, as every program of today knows it.
pub(super) fn beginnings(entry: &Entry, era: Option<&str>) -> Vec<Begin> {
    let is_stateless = era.is_some_and(|era| era >= ProtocolVersion::NO_INITIALIZE.as_str());
    match (&entry.way, entry.own.protocol) {
        (_, Some(Revision::Session)) => vec![Begin::Handshake],
        (_, Some(Revision::Stateless)) => vec![Begin::Stateless],
        (Way::Http { dialect: Dialect::Events, .. }, None) => vec![Begin::Handshake],
        (Way::Stdio { .. }, None) if is_stateless => vec![Begin::Stateless, Begin::Handshake],
        (Way::Stdio { .. }, None) => vec![Begin::Handshake, Begin::Stateless],
        (Way::Http { .. }, None) if era.is_some() && !is_stateless => vec![Begin::Handshake, Begin::Ask],
        // Some servers answer a question that they do not know with nonsense instead of an error.
        (Way::Http { .. }, None) => vec![Begin::Ask, Begin::Handshake],
    }
}

/// Why a connection was not made.
pub(super) struct Refusal {
    pub(super) why: String,
    /// Whether another beginning may do.
    pub(super) try_other: bool,
    /// Whether the older HTTP transport may do.
    pub(super) try_events: bool,
}

impl Refusal {
    pub(super) fn last(why: String) -> Self {
        Self { why, try_other: false, try_events: false }
    }
}

const NO_ANSWER: &str = "it did not answer as an MCP server does";

/// Why a connection was not made, and what else may do. The second: it closed meanwhile.
pub(super) fn refusal(error: &ClientInitializeError) -> (Refusal, bool) {
    let why = match error {
        ClientInitializeError::TransportError { error, .. } => chain(error.error.as_ref()),
        ClientInitializeError::JsonRpcError(error) => format!("it refused the connection: {}", error.message),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => refusal(fallback).0.why,
        ClientInitializeError::NoCompatibleProtocolVersion { .. } => {
            "it speaks no revision of the protocol that HAIA knows".to_owned()
        }
        ClientInitializeError::ConnectionClosed(why) => clean_line(why, 300),
        _ => NO_ANSWER.to_owned(),
    };
    let try_other = matches!(
        error,
        ClientInitializeError::JsonRpcError(_)
            | ClientInitializeError::NoCompatibleProtocolVersion { .. }
            | ClientInitializeError::UncorrelatedErrorResponse { .. }
            | ClientInitializeError::LegacyFallbackFailed { .. }
    ) || why == NO_ANSWER;
    let is_old = ["404", "405", "400 ", "Not Found", "Method Not Allowed"].iter().any(|part| why.contains(part));
    let is_closed = matches!(error, ClientInitializeError::ConnectionClosed(_));
    (Refusal { why: clean_line(&why, 400), try_other, try_events: is_old }, is_closed)
}
