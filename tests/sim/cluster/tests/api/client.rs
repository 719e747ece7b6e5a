//! A small HTTPS client that trusts one fingerprint: it shows answers byte by byte, with the reason phrase that other clients drop.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sim_cluster::SimHandle;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
        if shown.join(":") == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General(format!("another fingerprint: {}", shown.join(":"))))
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The body's `data`.
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
    token: String,
}

impl Connection {
    /// To an endpoint of the simulation, with its token.
    pub fn open(sim: &SimHandle, endpoint: usize) -> io::Result<Self> {
        let token = format!("PVEAPIToken={}={}", sim.token_id, sim.token_secret);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(sim.fingerprint.clone())))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let tcp = TcpStream::connect(sim.endpoints[endpoint].trim_start_matches("https://"))?;
        // Only a failing test waits so long.
        tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, buffer: Vec::new(), token })
    }

    /// Another value of the Authorization header.
    pub fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send("GET", path, "")?;
        self.receive()
    }

    pub fn send(&mut self, method: &str, path: &str, more: &str) -> io::Result<()> {
        let token = &self.token;
        let head =
            format!("{method} /api2/json{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n{more}\r\n");
        self.stream.write_all(head.as_bytes())?;
        self.stream.flush()
    }

    /// A form, with its length.
    pub fn post(&mut self, path: &str, form: &str) -> io::Result<()> {
        let head = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", path, &format!("{head}Content-Length: {}\r\n", form.len()))?;
        self.stream.write_all(form.as_bytes())?;
        self.stream.flush()
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.buffer.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }

    pub fn receive(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("no status line: {first:?}"));
        let mut parts = first.splitn(3, ' ');
        let (version, status, reason) = (parts.next(), parts.next(), parts.next());
        if version != Some("HTTP/1.1") {
            return Err(broken());
        }
        let status = status.and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect();
        let mut response =
            Response { status, reason: reason.unwrap_or_default().to_owned(), headers, body: Vec::new() };
        let length: usize = response.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        while self.buffer.len() < length {
            self.more()?;
        }
        response.body = self.buffer.drain(..length).collect();
        Ok(response)
    }

    /// Whether the other side has ended the connection.
    pub fn ended(&mut self) -> bool {
        self.buffer.is_empty() && self.more().is_err()
    }
}
