//! A client for one server that is trusted in its own way, whose answers keep their reason phrase.
//!
//! TLS runs below awc here, so that the status line can be seen in the clear: awc is given `http://` addresses and the connection is
//! secured all the same. [`PinnedClient::request`] sees to it; the client itself is not handed out.

use super::reason::KeepReason;
use super::stream::Stream;
use super::trust::{Presented, Trust, TrustError, tls_config};
use super::{Connect, connecting, finish, set_up};
use actix_rt::net::{ActixStream, Ready};
use actix_service::{Service as _, fn_service};
use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::{Method, Uri};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A client for one server on the calling thread.
pub struct PinnedClient {
    client: awc::Client,
    authority: String,
    presented: Presented,
}

impl PinnedClient {
    /// A request for a path (with its query) of the server.
    pub fn request(&self, method: Method, path: &str) -> awc::ClientRequest {
        self.client.request(method, format!("http://{}{path}", self.authority))
    }

    /// The certificate that the server showed last.
    pub fn presented(&self) -> &Presented {
        &self.presented
    }
}

/// A client for `authority` (`host:port`); `connect.tls` says whether it speaks TLS.
///
/// # Errors
/// What `trust` names cannot be used.
pub fn pinned_client(connect: &Connect, authority: &str, trust: &Trust) -> Result<PinnedClient, TrustError> {
    let presented = Presented::default();
    let tls = match connect.tls {
        true => Some(tls_config(trust, &presented)?),
        false => None,
    };
    let seen = presented.clone();
    let secured = fn_service(move |info: ConnectInfo<Uri>| {
        let (tls, seen) = (tls.clone(), seen.clone());
        async move {
            let connection = connecting::connect(info).await?;
            let Some(tls) = tls else {
                let (io, uri) = connection.into_parts();
                return Ok(Connection::new(uri, KeepReason::new(Stream::Plain(io))));
            };
            seen.set(None);
            let secured = TlsConnector::service(Arc::clone(&tls)).call(connection).await.map_err(ConnectError::Io)?;
            let (io, uri) = secured.into_parts();
            Ok::<_, ConnectError>(Connection::new(uri, KeepReason::new(Stream::Secured(Box::new(io)))))
        }
    });
    let connector = set_up(awc::Connector::new().connector(secured), connect);
    let client = finish(connector);
    Ok(PinnedClient { client, authority: authority.to_owned(), presented })
}

impl ActixStream for KeepReason<Stream> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.inner().tcp(), context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.inner().tcp(), context)
    }
}
