//! A client that tells a body that was cut from one that has ended: awc passes off the end of a connection in the middle of a chunked body as
//! the body's end, which is for whoever reads bytes without a mark of their own (sound, above all).
//!
//! It stands between awc and the connection, below TLS, and makes the connection's end an error. What is read to the connection's end on
//! purpose, with neither a length nor chunks, ends with that error too: [`is_end`] tells it.

use super::connecting::connector;
use super::{Connect, finish, set_up, tls};
use actix_rt::net::{ActixStream, Ready};
use actix_service::ServiceExt as _;
use actix_tls::connect::Connection;
use awc::error::PayloadError;
use awc::http::Uri;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A client for the calling thread, as [`client`](super::client), whose bodies break off where their connection does.
pub fn cut_client(connect: &Connect) -> awc::Client {
    let tcp = connector().map(|connection: Connection<Uri, TcpStream>| {
        let (io, uri) = connection.into_parts();
        Connection::new(uri, Told(io))
    });
    let mut connector = set_up(awc::Connector::new().connector(tcp), connect);
    if let Some(tls) = connect.tls.then(tls).flatten() {
        connector = connector.rustls_0_23(tls);
    }
    finish(connector)
}

/// Whether a body broke off because its connection ended.
pub fn is_end(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof)
}

/// A connection whose end is an error.
#[derive(Debug)]
struct Told(TcpStream);

impl AsyncRead for Told {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        ready!(Pin::new(&mut self.get_mut().0).poll_read(context, buffer))?;
        let has_ended = room > 0 && buffer.filled().len() == before;
        Poll::Ready(if has_ended { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
    }
}

impl AsyncWrite for Told {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

impl ActixStream for Told {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.0, context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.0, context)
    }
}
