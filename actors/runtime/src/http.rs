//! The HTTP client that every actor uses: awc with the defaults it gets wrong for a daemon set right, in one place.
//!
//! What is set, and why: TCP_NODELAY, or every first token is 40 ms late; all addresses of a name side by side, because one of them
//! may lead nowhere; no limit of 100 requests in
//! flight, because callers bound themselves; no 5 s deadline until the head, because models think; no redirects, because a request
//! with a key must not wander; HTTP/1.1 only, because closing the connection is the one cancellation that every server
//! understands; a TLS configuration with its crypto provider named, because the process-wide default may not be there.
//!
//! It reads no body and knows no API: deadlines for the head and for a stream are its caller's.

mod answer;
mod beginning;
mod connecting;
mod framing;
mod origin;
mod pinned;
mod reason;
mod sending;
pub mod sse;
mod stream;
mod trust;
mod uploading;

pub use answer::{Answer, Body, Head};
pub use origin::{NoAnswer, Origin, Template};
pub use pinned::{PinnedClient, pinned_client};
pub use reason::REASON_HEADER;
pub use trust::{Presented, Seen, Trust, TrustError, fingerprint_text, parse_fingerprint};

use actix_rt::net::ActixStream;
use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a connection is used at most: names may come to stand for other addresses.
const LIFETIME: Duration = Duration::from_secs(3600);

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The deadline for name resolution and the TCP handshake, and again for the TLS handshake.
    pub timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Whether the address is https: the certificates are read only then.
    pub tls: bool,
}

impl Default for Connect {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), keep_alive: Duration::from_secs(60), tls: false }
    }
}

/// A client for the calling thread; its connections belong to it. Make one per provider and thread.
pub fn client(connect: &Connect) -> awc::Client {
    let mut connector = set_up(awc::Connector::new().connector(connecting::connector()), connect);
    if let Some(tls) = connect.tls.then(tls).flatten() {
        connector = connector.rustls_0_23(tls);
    }
    finish(connector)
}

/// What every client has in common.
fn finish<S, Io>(connector: awc::Connector<S>) -> awc::Client
where
    S: Service<ConnectInfo<Uri>, Response = Connection<Uri, Io>, Error = ConnectError> + Clone + 'static,
    Io: ActixStream + Debug + 'static,
{
    awc::Client::builder().connector(connector).disable_timeout().disable_redirects().no_default_headers().finish()
}

/// What every connector has in common.
fn set_up<S, Io>(connector: awc::Connector<S>, connect: &Connect) -> awc::Connector<S>
where
    S: Service<ConnectInfo<Uri>, Response = Connection<Uri, Io>, Error = ConnectError> + Clone + 'static,
    Io: ActixStream + Debug + 'static,
{
    connector
        .timeout(connect.timeout)
        .handshake_timeout(connect.timeout)
        .conn_keep_alive(connect.keep_alive)
        .conn_lifetime(LIFETIME)
        .disconnect_timeout(Duration::from_secs(1))
        .limit(0)
}

/// The TLS configuration of clients, made once: the system's certificates (`SSL_CERT_FILE` is honoured), Mozilla's where there are none.
fn tls() -> Option<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .inspect_err(|error| tracing::error!(%error, "TLS is not available: https cannot be used"))
                .ok()?;
            let mut config = builder.with_root_certificates(roots()).with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Arc::new(config))
        })
        .clone()
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let certificates: Vec<CertificateDer<'static>> = found.certs;
    let (taken, refused) = roots.add_parsable_certificates(certificates);
    if taken == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    tracing::debug!(taken, refused, "certificate authorities of the system");
    roots
}
