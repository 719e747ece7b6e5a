//! The way to the running daemon: HTTP/1.1 over its unix socket, blocking, with a deadline on every wait. One request on each connection.

use super::http::{Head, Malformed, Response};
use contract::clock::SharedClock;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a whole answer may take that is not streamed.
const WHOLE: Duration = Duration::from_secs(15);
/// The longest silence in a streamed answer: longer than any turn may take.
const SILENCE: Duration = Duration::from_secs(3600);
/// The longest wait for the first byte and for sending, in a streamed answer.
const SEND: Duration = Duration::from_secs(10);
/// The largest whole answer, in bytes.
const MAX_WHOLE: usize = 64 << 20;

/// Why the daemon could not be asked.
#[derive(Debug)]
pub enum SocketError {
    /// Nobody listens there.
    NotRunning(PathBuf),
    /// The socket is another user's.
    Forbidden(PathBuf),
    /// The connection failed.
    Io(PathBuf, io::Error),
    /// It took too long.
    Deadline(Duration),
    /// What came is not an answer.
    Malformed(Malformed),
    /// The reader of the answer stopped.
    Output(io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketError::NotRunning(path) => {
                write!(f, "HAIA is not running (no socket at {}); start it with \"haia serve\"", path.display())
            }
            SocketError::Forbidden(path) => {
                write!(f, "the socket {} belongs to another user: run this as that user, or as root", path.display())
            }
            SocketError::Io(path, error) => write!(f, "HAIA's socket {} cannot be used: {error}", path.display()),
            SocketError::Deadline(wait) => write!(f, "HAIA did not answer within {} s", wait.as_secs()),
            SocketError::Malformed(malformed) => malformed.fmt(f),
            SocketError::Output(_) => f.write_str("the output cannot be written"),
        }
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Only this one: the others say their cause themselves, and this one must be known as a reader that went away.
            SocketError::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Malformed> for SocketError {
    fn from(malformed: Malformed) -> Self {
        SocketError::Malformed(malformed)
    }
}

/// Takes the pieces of a body as they come, with the head.
type Take<'a> = &'a mut dyn FnMut(&Head, &[u8]) -> Result<(), SocketError>;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The head.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<serde_json::Value, Malformed> {
        serde_json::from_slice(&self.body).map_err(|_| Malformed("its body is not JSON"))
    }

    /// Whether the daemon did what was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.head.status)
    }

    /// Why the daemon did not do what was asked, in its own words.
    pub fn refusal(&self) -> String {
        let told = self.json().ok().and_then(|body| super::pieces::error_message(&body));
        told.unwrap_or_else(|| format!("HAIA answered with status {}", self.head.status))
    }
}

/// A daemon's socket.
#[derive(Clone)]
pub struct Socket {
    path: PathBuf,
    clock: SharedClock,
}

impl Socket {
    /// The first of `candidates` at which a daemon listens.
    ///
    /// # Errors
    /// None of them; the error is the most telling one.
    pub fn find(candidates: &[PathBuf], clock: &SharedClock) -> Result<Self, SocketError> {
        let mut reason: Option<SocketError> = None;
        for path in candidates {
            let socket = Self { path: path.clone(), clock: clock.clone() };
            match socket.connect() {
                Ok(_) => return Ok(socket),
                Err(error @ SocketError::NotRunning(_)) => {
                    reason.get_or_insert(error);
                }
                Err(error) => reason = Some(error),
            }
        }
        Err(reason.unwrap_or_else(|| SocketError::NotRunning(PathBuf::from("haia.sock"))))
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// There was none, see [`SocketError`]. An answer with an error's status is an answer.
    pub fn ask(&self, method: &str, target: &str, body: Option<&serde_json::Value>) -> Result<Answer, SocketError> {
        self.ask_within(method, target, body, WHOLE)
    }

    /// Asks for a whole answer that may take longer than others.
    ///
    /// # Errors
    /// As [`Socket::ask`].
    pub fn ask_within(
        &self,
        method: &str,
        target: &str,
        body: Option<&serde_json::Value>,
        within: Duration,
    ) -> Result<Answer, SocketError> {
        let started = self.clock.monotonic();
        let left = || within.checked_sub(self.clock.monotonic().saturating_sub(started)).filter(|left| !left.is_zero());
        let mut body_read = Vec::new();
        let patience = || left().ok_or(SocketError::Deadline(within));
        let head = self.exchange(&request(method, target, body), &mut |_| {}, &patience, &mut |_, bytes| {
            if body_read.len() + bytes.len() > MAX_WHOLE {
                return Err(SocketError::Malformed(Malformed("it is too large")));
            }
            body_read.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(Answer { head, body: body_read })
    }

    /// Asks for a streamed answer: `take` gets the body's bytes as they come, with the head.
    ///
    /// # Errors
    /// As [`Socket::ask`], and what `take` fails with.
    pub fn stream(
        &self,
        method: &str,
        target: &str,
        body: &serde_json::Value,
        take: &mut dyn FnMut(&Head, &[u8]) -> io::Result<()>,
    ) -> Result<Head, SocketError> {
        self.exchange(&request(method, target, Some(body)), &mut |_| {}, &|| Ok(SILENCE), &mut |head, bytes| {
            take(head, bytes).map_err(SocketError::Output)
        })
    }

    /// Sends a body as it is, with headers of one's own (`Name: value\r\n` each): `take` gets the answer as it comes. `begun` gets the
    /// connection; whoever shuts it down ends the wait.
    ///
    /// # Errors
    /// As [`Socket::ask`], and what `take` fails with.
    pub fn exchange_raw(
        &self,
        method: &str,
        target: &str,
        (headers, body): (&str, &str),
        begun: &mut dyn FnMut(UnixStream),
        take: &mut dyn FnMut(&Head, &[u8]) -> io::Result<()>,
    ) -> Result<Head, SocketError> {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: haia\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.exchange(&request, begun, &|| Ok(SILENCE), &mut |head, bytes| {
            take(head, bytes).map_err(SocketError::Output)
        })
    }

    fn exchange(
        &self,
        request: &str,
        begun: &mut dyn FnMut(UnixStream),
        patience: &dyn Fn() -> Result<Duration, SocketError>,
        take: Take<'_>,
    ) -> Result<Head, SocketError> {
        let failed = |error: io::Error| SocketError::Io(self.path.clone(), error);
        let mut connection = self.connect()?;
        begun(connection.try_clone().map_err(failed)?);
        connection.set_write_timeout(Some(SEND)).map_err(failed)?;
        connection.write_all(request.as_bytes()).map_err(|error| late(error, SEND, &self.path))?;
        let (mut response, mut piece, mut buffer) = (Response::default(), Vec::new(), [0; 16 * 1024]);
        loop {
            let wait = patience()?;
            connection.set_read_timeout(Some(wait)).map_err(failed)?;
            let count = match connection.read(&mut buffer) {
                Ok(0) => {
                    response.closed()?;
                    break;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(late(error, wait, &self.path)),
            };
            response.push(&buffer[..count], &mut piece)?;
            if let Some(head) = response.head()
                && !piece.is_empty()
            {
                take(head, &piece)?;
                piece.clear();
            }
            if response.is_done() {
                break;
            }
        }
        response.head().cloned().ok_or(SocketError::Malformed(Malformed("it is empty")))
    }

    /// Connects. The standard library knows no deadline for that, so a thread of its own does it: where the daemon accepts nobody, the
    /// thread is left behind and ends with the command.
    fn connect(&self) -> Result<UnixStream, SocketError> {
        let (send, receive) = mpsc::sync_channel(1);
        let path = self.path.clone();
        std::thread::Builder::new()
            .name("haia-connect".to_owned())
            .spawn(move || {
                // Nobody waits any more where this fails.
                let _ = send.send(UnixStream::connect(&path));
            })
            .map_err(|error| SocketError::Io(self.path.clone(), error))?;
        match receive.recv_timeout(CONNECT) {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => SocketError::NotRunning(self.path.clone()),
                ErrorKind::PermissionDenied => SocketError::Forbidden(self.path.clone()),
                _ => SocketError::Io(self.path.clone(), error),
            }),
            Err(_) => Err(SocketError::Deadline(CONNECT)),
        }
    }
}

fn late(error: io::Error, waited: Duration, path: &Path) -> SocketError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => SocketError::Deadline(waited),
        _ => SocketError::Io(path.to_owned(), error),
    }
}

fn request(method: &str, target: &str, body: Option<&serde_json::Value>) -> String {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: haia\r\nConnection: close\r\n");
    match body.map(serde_json::Value::to_string) {
        Some(body) => format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        None => format!("{head}\r\n"),
    }
}

/// A part of a path, percent-encoded.
pub fn encode(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
pub mod testing {
    //! A daemon that answers as it is told.

    use super::*;
    use std::os::unix::net::UnixListener;
    use std::sync::Arc;

    /// The system's clock.
    pub fn clock() -> SharedClock {
        Arc::new(runtime::SystemClock::real())
    }

    /// A socket at which each request, in turn, gets one of `answers`; and the requests that came.
    pub struct Daemon {
        /// The folder of the socket.
        pub folder: tempfile::TempDir,
        requests: mpsc::Receiver<String>,
    }

    impl Daemon {
        /// Starts it. A connection that sends nothing, as [`Socket::find`] makes one, gets no answer.
        pub fn start(answers: Vec<String>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let listener = UnixListener::bind(folder.path().join("haia.sock")).expect("a socket");
            let (send, requests) = mpsc::channel();
            let serve = move || {
                let mut answers = answers.into_iter();
                for connection in listener.incoming() {
                    let Ok(mut connection) = connection else { return };
                    let mut request = Vec::new();
                    let mut buffer = [0; 4096];
                    while !is_whole(&request) {
                        match connection.read(&mut buffer) {
                            Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                            _ => break,
                        }
                    }
                    if request.is_empty() {
                        continue;
                    }
                    let _ = send.send(String::from_utf8_lossy(&request).into_owned());
                    let Some(answer) = answers.next() else { return };
                    let _ = connection.write_all(answer.as_bytes());
                }
            };
            std::thread::Builder::new().spawn(serve).expect("a thread");
            Self { folder, requests }
        }

        /// Its socket.
        pub fn socket(&self) -> Socket {
            Socket::find(&[self.folder.path().join("haia.sock")], &clock()).expect("it listens")
        }

        /// The next request that came.
        pub fn request(&self) -> String {
            self.requests.recv_timeout(Duration::from_secs(10)).expect("a request")
        }
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// A whole answer of JSON.
    pub fn json(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Daemon, clock, json};
    use super::*;

    #[test]
    fn a_whole_answer_comes_back() {
        let daemon = Daemon::start(vec![
            json("200 OK", "{\"a\":1}"),
            json("404 Not Found", "{\"error\":{\"message\":\"no such key\"}}"),
        ]);
        let socket = daemon.socket();
        let answer = socket.ask("GET", "/status", None).expect("an answer");
        assert_eq!((answer.is_success(), answer.json().expect("JSON")["a"].as_i64()), (true, Some(1)));
        assert!(daemon.request().starts_with("GET /status HTTP/1.1\r\nHost: localhost\r\n"));
        let answer = socket.ask("POST", "/x", Some(&serde_json::json!({"n": "ü"}))).expect("an answer");
        assert_eq!((answer.is_success(), answer.refusal().as_str()), (false, "no such key"));
        assert!(daemon.request().ends_with("Content-Length: 10\r\n\r\n{\"n\":\"ü\"}"));
    }

    #[test]
    fn an_answer_that_breaks_off_is_told() {
        let daemon =
            Daemon::start(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe".to_owned(), "hello".to_owned()]);
        let socket = daemon.socket();
        assert!(matches!(socket.ask("GET", "/", None), Err(SocketError::Malformed(_))));
        assert!(matches!(socket.ask("GET", "/", None), Err(SocketError::Malformed(_))));
    }

    #[test]
    fn nobody_there_is_not_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let nothing = folder.path().join("haia.sock");
        let stale = folder.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).expect("a socket"));
        for path in [&nothing, &stale] {
            let error = Socket::find(std::slice::from_ref(path), &clock()).err().expect("nobody there");
            assert!(matches!(&error, SocketError::NotRunning(at) if at == path), "{error}");
        }
        assert!(matches!(Socket::find(&[], &clock()), Err(SocketError::NotRunning(_))));
        let too_long = folder.path().join("x".repeat(200));
        assert!(matches!(Socket::find(&[too_long], &clock()), Err(SocketError::Io(..))));
    }

    #[test]
    fn the_second_place_counts_too() {
        let daemon = Daemon::start(vec![]);
        let there = daemon.folder.path().join("haia.sock");
        let socket = Socket::find(&[daemon.folder.path().join("no.sock"), there.clone()], &clock()).expect("found");
        assert_eq!(socket.path, there);
    }

    #[test]
    fn odd_names_are_encoded() {
        assert_eq!(encode("a-b_c.d~1/ä ?"), "a-b_c.d~1%2F%C3%A4%20%3F");
    }
}
