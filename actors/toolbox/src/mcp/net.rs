//! HTTP for servers on the network: one client for all, with the settings that its defaults lack. The only place that makes one.

use super::entry::Way;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than the keep-alive of common servers: a connection that the server has just closed would fail a call.
const POOL_IDLE: Duration = Duration::from_secs(4);
const REDIRECTS: usize = 5;

/// The client, made when it is first needed.
#[derive(Clone, Default)]
pub(crate) struct Net(Arc<OnceLock<Result<reqwest::Client, String>>>);

impl Net {
    /// The client.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub(crate) fn client(&self) -> Result<reqwest::Client, String> {
        self.0.get_or_init(|| make().map_err(|error| format!("HTTP is not available: {error}"))).clone()
    }
}

fn make() -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .user_agent(concat!("haia/", env!("CARGO_PKG_VERSION")))
        // Without it, every call on a kept connection waits 40 ms for a delayed acknowledgement.
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        // The environment is read in one place only.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let keeps_body = matches!(attempt.status().as_u16(), 307 | 308);
            let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
            // Headers with keys must not follow to another server.
            if keeps_body && same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
        }))
        .tls_backend_preconfigured(tls()?)
        .build()
        .map_err(|error| error.to_string())
}

/// The system's authorities, or the bundled ones where it has none.
fn tls() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| error.to_string())
}

/// An entry's headers, marked so that nothing prints them.
pub(crate) fn headers(way: &Way) -> HeaderMap {
    let mut map = HeaderMap::new();
    if let Way::Http { headers, .. } = way {
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let value = HeaderValue::from_str(value.expose());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                map.append(name, value);
            }
        }
    }
    map
}
