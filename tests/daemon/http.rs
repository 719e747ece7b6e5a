//! A small HTTP client over TCP or a unix socket, which shows every byte and hides nothing: no retries, no redirects, no pool.

use super::DEADLINE;
use super::stream::Stream;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Either kind of connection.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// A request to be sent.
pub struct Call {
    wire: Box<dyn Wire>,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    /// A request on a new connection.
    pub fn tcp(address: SocketAddr, method: &str, path: &str) -> Self {
        let wire = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        wire.set_read_timeout(Some(DEADLINE)).expect("a socket takes a deadline");
        wire.set_nodelay(true).expect("a socket takes its options");
        Self::new(Box::new(wire), &address.to_string(), method, path)
    }

    /// A request on a new connection; `None` when nobody listens any more.
    pub fn tcp_if_open(address: SocketAddr, method: &str, path: &str) -> Option<Self> {
        let wire = TcpStream::connect(address).ok()?;
        wire.set_read_timeout(Some(DEADLINE)).ok()?;
        Some(Self::new(Box::new(wire), &address.to_string(), method, path))
    }

    /// The next request on the connection of an answer that was read to its end.
    pub fn next_after(stream: Stream, method: &str, path: &str) -> Self {
        Self::new(stream.body.reader.into_inner(), "localhost", method, path)
    }

    /// A request on a new connection over a unix socket.
    pub fn unix(socket: &Path, method: &str, path: &str) -> Self {
        let wire = UnixStream::connect(socket).unwrap_or_else(|error| panic!("cannot connect to {socket:?}: {error}"));
        wire.set_read_timeout(Some(DEADLINE)).expect("a socket takes a deadline");
        Self::new(Box::new(wire), "localhost", method, path)
    }

    fn new(wire: Box<dyn Wire>, host: &str, method: &str, path: &str) -> Self {
        let headers = vec![("host".to_owned(), host.to_owned())];
        Self { wire, method: method.to_owned(), path: path.to_owned(), headers, body: Vec::new() }
    }

    /// Sends a key, or none with "".
    pub fn key(self, key: &str) -> Self {
        match key {
            "" => self.header("authorization", ""),
            key => self.header("authorization", &format!("Bearer {key}")),
        }
    }

    /// Sets a header; an empty value leaves it out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Sets a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string())
    }

    /// Sets a body as it is, called JSON.
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// Sends the request without reading anything: to leave before the answer, drop what this gives.
    pub fn begin(mut self) -> Begun {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        // A server may refuse a body before it has read all of it; its answer says why.
        let _ = self.wire.write_all(&bytes);
        Begun { reader: BufReader::new(self.wire) }
    }

    /// Sends it and reads the whole answer.
    pub fn send(self) -> Response {
        let (method, path) = (self.method.clone(), self.path.clone());
        self.begin().read().unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends it and reads the head of the answer.
    pub fn open(self) -> Stream {
        let (method, path) = (self.method.clone(), self.path.clone());
        self.begin().open().unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

/// A request that is sent and not yet answered. Dropping it closes the connection.
pub struct Begun {
    reader: BufReader<Box<dyn Wire>>,
}

impl Begun {
    /// A request that somebody else sends.
    pub fn of(wire: TcpStream) -> Self {
        Self { reader: BufReader::new(Box::new(wire)) }
    }

    /// Reads the whole answer.
    ///
    /// # Errors
    /// The connection broke before the answer was whole.
    pub fn read(self) -> io::Result<Response> {
        let mut stream = self.open()?;
        let mut body = Vec::new();
        while let Some(piece) = stream.body.piece()? {
            body.extend_from_slice(&piece);
        }
        Ok(Response { status: stream.status, headers: stream.headers, body })
    }

    /// Reads the head.
    ///
    /// # Errors
    /// The connection broke, or this is no HTTP.
    pub fn open(mut self) -> io::Result<Stream> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line but {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let header = |name: &str| find(&headers, name);
        let framing = if header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            Framing::Chunked
        } else {
            Framing::Length(header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0))
        };
        Ok(Stream::new(status, headers, Body { reader: self.reader, framing }))
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

enum Framing {
    Chunked,
    Length(usize),
    Ended,
}

/// A body as it comes.
pub struct Body {
    reader: BufReader<Box<dyn Wire>>,
    framing: Framing,
}

impl Body {
    /// The next piece; `None` at the proper end.
    ///
    /// # Errors
    /// The connection broke before that.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (size, chunked) = match self.framing {
            Framing::Ended | Framing::Length(0) => return Ok(None),
            Framing::Length(length) => (length, false),
            Framing::Chunked => {
                let mut line = String::new();
                self.reader.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16)
                    .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, "the body broke off"))?;
                (size, true)
            }
        };
        let mut piece = vec![0; if chunked { size + 2 } else { size }];
        self.reader.read_exact(&mut piece)?;
        piece.truncate(size);
        if size == 0 || !chunked {
            self.framing = Framing::Ended;
        }
        Ok((size > 0).then_some(piece))
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The text of a chat's answer.
    pub fn content(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }
}
