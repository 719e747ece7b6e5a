//! The load generator's connections: requests that are made once, answers that are read as sparingly as possible, so that what is measured is
//! the server.

use crate::stamp;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may be silent before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A kept connection.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What a stream came to.
#[derive(Default)]
pub struct Streamed {
    /// From the first text's way out of the provider's hands to the client, in nanoseconds; and of the later ones.
    pub delays: Vec<u64>,
    /// From the request to the first text, in nanoseconds.
    pub first: Option<u64>,
    /// Its end mark came.
    pub is_done: bool,
    /// It told an error.
    pub has_error: bool,
}

/// How long a stream is read.
#[derive(Clone, Copy, PartialEq)]
pub enum Until {
    /// To its end.
    End,
    /// To its first text: then the client leaves.
    FirstText,
}

/// A chat request as it goes over the wire.
pub fn request(model: &str, stream: bool, key: Option<&str>) -> Vec<u8> {
    let options = if stream { ",\"stream_options\":{\"include_usage\":true}" } else { "" };
    let body = format!(
        "{{\"model\":\"{model}\",\"stream\":{stream}{options},\"messages\":[{{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}},\
         {{\"role\":\"user\",\"content\":\"Say something, please.\"}}]}}"
    );
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{key}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, buffer: Vec::with_capacity(16 << 10) }
    }

    async fn send(&mut self, request: &[u8]) -> io::Result<TcpStream> {
        self.buffer.clear();
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request).await?;
        Ok(stream)
    }

    async fn more(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut self.buffer)).await;
        match read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The end of the head; the status is 200 or it is an error.
    async fn head(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                if !self.buffer.starts_with(b"HTTP/1.1 200") {
                    let status = String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(300)]).into_owned();
                    return Err(io::Error::other(status));
                }
                return Ok(end + 4);
            }
            self.more(stream).await?;
        }
    }

    /// Asks and reads the whole answer. How long it took, in nanoseconds.
    pub async fn whole(&mut self, request: &[u8]) -> io::Result<u64> {
        let begun = Instant::now();
        let mut stream = self.send(request).await?;
        let head = self.head(&mut stream).await?;
        let length = length(&self.buffer[..head]);
        while !match length {
            Some(length) => self.buffer.len() >= head + length,
            None => self.buffer.ends_with(b"\r\n0\r\n\r\n"),
        } {
            self.more(&mut stream).await?;
        }
        self.stream = Some(stream);
        Ok(nanoseconds(begun.elapsed()))
    }

    /// Asks and reads a stream. A connection that breaks ends it.
    pub async fn streamed(&mut self, request: &[u8], until: Until) -> io::Result<Streamed> {
        let begun = Instant::now();
        let mut stream = self.send(request).await?;
        let mut at = self.head(&mut stream).await?;
        let mut streamed = Streamed::default();
        loop {
            let now = stamp::now();
            at = stamp::read(&self.buffer, at, |sent| streamed.delays.push(now.saturating_sub(sent)));
            if streamed.first.is_none() && !streamed.delays.is_empty() {
                streamed.first = Some(nanoseconds(begun.elapsed()));
                if until == Until::FirstText {
                    return Ok(streamed);
                }
            }
            if self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                self.stream = Some(stream);
                break;
            }
            match self.more(&mut stream).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        streamed.is_done = memchr::memmem::find(&self.buffer, b"data: [DONE]").is_some();
        streamed.has_error = memchr::memmem::find(&self.buffer, b"\"error\"").is_some();
        Ok(streamed)
    }

    /// Asks for a stream, and keeps it open after its first text.
    pub async fn held(mut self, request: &[u8]) -> io::Result<TcpStream> {
        let mut stream = self.send(request).await?;
        let head = self.head(&mut stream).await?;
        let mut has_text = false;
        loop {
            stamp::read(&self.buffer, head, |_| has_text = true);
            if has_text {
                return Ok(stream);
            }
            self.more(&mut stream).await?;
        }
    }
}

fn length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    })?;
    value.trim().parse().ok()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
