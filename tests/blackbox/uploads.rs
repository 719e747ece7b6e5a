//! Recordings that go to their provider while they arrive: every byte of them, no faster than the provider reads, and what becomes of those
//! that either side does not bring to an end.

mod kept;

use crate::daemon::{Begun, Daemon, Response, Setup};
use crate::sim::{Format, NEVER_TOLD};
use serde_json::json;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// A provider whose connections are handed to the test once the head of a `POST` came over them.
struct Raw {
    url: String,
    asked: Receiver<Asked>,
}

/// A request whose body was not read yet.
struct Asked {
    head: String,
    wire: TcpStream,
}

impl Raw {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (found, asked) = channel();
        std::thread::spawn(move || {
            for wire in listener.incoming().flatten() {
                wire.set_read_timeout(Some(DEADLINE)).expect("a deadline");
                let mut asked = Asked { head: String::new(), wire };
                if asked.next_head() && asked.head.starts_with("POST") {
                    let _ = found.send(asked);
                }
            }
        });
        Self { url, asked }
    }

    /// A daemon with one worker that knows nobody else.
    fn daemon(&self, server: &str, provider: &str) -> Daemon {
        self.setup(server, provider).start()
    }

    fn setup(&self, server: &str, provider: &str) -> Setup {
        let server = format!("[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n{server}\n");
        let provider = format!("models = [\"whisper\"]\n{provider}");
        Setup::with_server(&server).provider(Format::OpenAi, "raw", &self.url, &provider)
    }

    fn asked(&self) -> Asked {
        self.asked.recv_timeout(DEADLINE).expect("the provider is asked")
    }

    fn is_asked_no_more(&self) -> bool {
        self.asked.try_recv().is_err()
    }
}

impl Asked {
    /// Reads the next head over this connection. Whether there was one.
    fn next_head(&mut self) -> bool {
        self.head.clear();
        let mut byte = [0];
        while !self.head.ends_with("\r\n\r\n") {
            match self.wire.read(&mut byte) {
                Ok(1) => self.head.push(byte[0] as char),
                _ => return false,
            }
        }
        true
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|own| own == line)
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.wire.read_exact(&mut bytes).expect("so many bytes");
        bytes
    }

    /// The content of the chunks up to the last; `None` where it never comes.
    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                let mut byte = [0];
                self.wire.read_exact(&mut byte).ok()?;
                line.push(byte[0] as char);
            }
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size");
            let mut chunk = vec![0; size + 2];
            self.wire.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return Some(content);
            }
            content.extend_from_slice(&chunk[..size]);
        }
    }

    /// Whether the daemon leaves.
    fn is_left(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.wire.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn answer(&mut self, status: &str, body: &str) {
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        self.wire.write_all(format!("{head}{body}").as_bytes()).expect("the daemon listens");
    }
}

const BOUNDARY: &str = "----7bound";

fn field(name: &str, content: &str) -> Vec<u8> {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n").into_bytes()
}

/// Bytes in which no stretch is like another, with what looks like a boundary among them.
fn sound(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
        if state.is_multiple_of(50_000) {
            bytes.extend_from_slice(b"\r\n------7boun\r\n\r\n--");
        }
    }
    bytes.truncate(length);
    bytes
}

/// A form as it leaves for HAIA, and as it must reach the provider.
fn form(length: usize) -> (Vec<u8>, Vec<u8>) {
    let with = |model: &str| {
        let mut body = [&b"before\r\n"[..], &field("model", model), &field("language", "de")].concat();
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";
        body.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(&sound(length));
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        body
    };
    (with("raw/whisper"), with("whisper"))
}

/// A client in the middle of its request.
struct Client(TcpStream);

impl Client {
    /// Sends the head of an upload; without a length it goes in chunks.
    fn begin(daemon: &Daemon, length: Option<usize>) -> Self {
        let mut wire = TcpStream::connect(daemon.address).expect("the daemon listens");
        wire.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let framing = match length {
            Some(length) => format!("content-length: {length}"),
            None => "transfer-encoding: chunked".to_owned(),
        };
        let kind = format!("content-type: multipart/form-data; boundary=\"{BOUNDARY}\"");
        let head = format!("POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n{framing}\r\n\r\n");
        wire.write_all(head.as_bytes()).expect("the daemon reads");
        Self(wire)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the daemon reads");
    }

    fn send_chunk(&mut self, bytes: &[u8]) {
        self.send(format!("{:x}\r\n", bytes.len()).as_bytes());
        self.send(bytes);
        self.send(b"\r\n");
    }

    fn answer(self) -> Response {
        Begun::of(self.0).read().expect("an answer")
    }
}

fn assert_refused(answer: &Response, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{}", answer.text());
    for told in NEVER_TOLD {
        assert!(!answer.text().contains(told), "{}", answer.text());
    }
}

#[test]
fn a_recording_is_with_the_provider_before_the_client_has_sent_it() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    let (sent, expected) = form(3 * MIB);
    // What is at the provider while the client still holds back the second half.
    let half = sent.len() / 2;
    let early = half - 64 * 1024;
    for chunked in [false, true] {
        let mut client = Client::begin(&daemon, (!chunked).then_some(sent.len()));
        let mut asked;
        let received;
        if chunked {
            client.send_chunk(&sent[..10]);
            client.send_chunk(&sent[10..half]);
            asked = raw.asked();
            assert!(
                asked.has("transfer-encoding: chunked") && !asked.head.contains("content-length"),
                "{}",
                asked.head
            );
            let reading = std::thread::spawn(move || (asked.chunks(), asked));
            client.send_chunk(&sent[half..]);
            client.send(b"0\r\n\r\n");
            let read = reading.join().expect("read");
            received = read.0.expect("all of it");
            asked = read.1;
        } else {
            client.send(&sent[..half]);
            asked = raw.asked();
            assert!(asked.has(&format!("content-length: {}", expected.len())), "{}", asked.head);
            assert!(!asked.head.contains("transfer-encoding"), "{}", asked.head);
            let mut first = asked.exactly(early);
            client.send(&sent[half..]);
            first.extend_from_slice(&asked.exactly(expected.len() - early));
            received = first;
        }
        assert!(asked.has(&format!("content-type: multipart/form-data; boundary=\"{BOUNDARY}\"")), "{}", asked.head);
        assert!(asked.has("authorization: Bearer sk-sim-0123456789"), "{}", asked.head);
        assert!(received == expected, "every byte, and the model's own name");
        asked.answer("200 OK", "{\"text\":\"heard\"}");
        let answer = client.answer();
        assert_eq!((answer.status, &answer.json()["text"]), (200, &json!("heard")));
    }
    daemon.wait_until_idle();
}

#[test]
fn a_provider_that_reads_nothing_is_brought_nothing() {
    let raw = Raw::start();
    let daemon = raw.daemon("max_body = \"256MiB\"", "");
    let (sent, expected) = form(96 * MIB);
    let mut client = Client::begin(&daemon, Some(sent.len()));
    // A write that is not done within this time is one that the daemon does not take.
    client.0.set_write_timeout(Some(Duration::from_millis(500))).expect("a deadline");
    let mut taken = 0;
    while let Ok(more) = client.0.write(&sent[taken..]) {
        taken += more;
        assert!(taken < sent.len() / 3, "{taken} bytes were taken though nobody reads them");
    }
    client.0.set_write_timeout(None).expect("no deadline");
    let mut asked = raw.asked();
    let length = expected.len();
    let reading = std::thread::spawn(move || (asked.exactly(length), asked));
    client.send(&sent[taken..]);
    let (received, mut asked) = reading.join().expect("read");
    assert!(received == expected);
    asked.answer("200 OK", "{\"text\":\"heard\"}");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_early_refusal_reaches_the_client_as_what_it_is() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    for (status, told, code) in [
        ("413 Too Large", 400, "request_too_large"),
        ("401 Unauthorized", 502, "provider_authentication"),
        ("429 Slow\r\nretry-after: 7", 429, "rate_limit_exceeded"),
        ("500 Oops", 503, "provider_unavailable"),
    ] {
        for (closes, in_order) in [(true, true), (true, false), (false, true), (false, false)] {
            // After this a request is sent once more while nothing of it was taken.
            if told == 503 && !in_order {
                continue;
            }
            // With the model first it streams; with the model last it is kept until then, and goes out the same way.
            let (mut sent, _) = form(8 * MIB);
            if !in_order {
                let model = field("model", "raw/whisper");
                let cut = memchr::memmem::find(&sent, &model).expect("the model");
                sent.drain(cut..cut + model.len());
                let end = sent.len() - BOUNDARY.len() - 6;
                sent.splice(end..end, model);
            }
            let mut client = Client::begin(&daemon, Some(sent.len()));
            if in_order {
                // The rest of it never comes: the answer has to do without.
                client.send(&sent[..MIB]);
            } else {
                client.send(&sent);
            }
            let mut asked = raw.asked();
            asked.answer(status, "{\"error\":{\"message\":\"because\"}}");
            let kept = if closes { None } else { Some(asked) };
            let answer = client.answer();
            assert_refused(&answer, told, code);
            if told == 429 {
                assert_eq!(answer.header("retry-after"), Some("7"));
            }
            drop(kept);
            daemon.wait_until_idle();
            assert!(raw.is_asked_no_more(), "what was sent is not sent again");
        }
    }
}

#[test]
fn a_client_that_only_writes_gets_the_early_answer_too() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    let (sent, _) = form(24 * MIB);
    let mut client = Client::begin(&daemon, Some(sent.len()));
    client.send(&sent[..MIB]);
    let mut asked = raw.asked();
    asked.answer("413 Too Large", "{\"error\":{\"message\":\"because\"}}");
    drop(asked);
    // All of it is taken, though nobody wants it, and for longer than a server lingers by itself.
    let (begun, mut at) = (Instant::now(), MIB);
    while begun.elapsed() < Duration::from_secs(2) && at < sent.len() - MIB {
        client.send(&sent[at..at + 1024]);
        at += 1024;
        daemon.wait_until_idle();
    }
    client.send(&sent[at..]);
    assert_refused(&client.answer(), 400, "request_too_large");
}

#[test]
fn whoever_leaves_in_the_middle_cancels() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    let (sent, _) = form(8 * MIB);
    for chunked in [false, true] {
        let mut client = Client::begin(&daemon, (!chunked).then_some(sent.len()));
        if chunked {
            client.send_chunk(&sent[..MIB]);
        } else {
            client.send(&sent[..MIB]);
        }
        let mut asked = raw.asked();
        asked.exactly(MIB / 2);
        drop(client);
        assert!(asked.is_left());
        daemon.wait_until_idle();
    }
    let usage = daemon.status()["providers"][0].clone();
    assert_eq!((&usage["errors"], &usage["usage"]["today"]["cancelled"]), (&json!(0), &json!(2)), "{usage}");
}

#[test]
fn a_provider_that_stops_or_cuts_is_told_and_asked_no_second_time() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "idle_timeout = \"400ms\"");
    let (sent, _) = form(24 * MIB);
    let mut client = Client::begin(&daemon, Some(sent.len()));
    let mut asked = raw.asked_after(&mut client, &sent[..64 * 1024]);
    asked.exactly(1024);
    client.send(&sent[64 * 1024..]);
    let late = client.answer();
    assert_refused(&late, 504, "provider_timeout");
    assert!(late.text().contains("raw took no more of the request within 0.4 s"), "{}", late.text());
    assert!(asked.is_left());

    let mut client = Client::begin(&daemon, Some(sent.len()));
    let mut asked = raw.asked_after(&mut client, &sent[..MIB]);
    asked.exactly(1024);
    drop(asked);
    client.send(&sent[MIB..]);
    let cut = client.answer();
    assert_refused(&cut, 503, "provider_unavailable");
    assert!(cut.text().contains("the connection to raw broke") || cut.text().contains("raw closed"), "{}", cut.text());
    daemon.wait_until_idle();
    assert!(raw.is_asked_no_more());
}

impl Raw {
    /// The request that these first bytes lead to.
    fn asked_after(&self, client: &mut Client, bytes: &[u8]) -> Asked {
        client.send(bytes);
        self.asked()
    }
}

#[test]
fn a_connection_that_is_gone_loses_no_recording() {
    let raw = Raw::start();
    let daemon = raw.daemon("", "");
    let (short, short_expected) = form(1024);
    let (long, long_expected) = form(MIB);
    let transcribe = |sent: &[u8]| {
        let mut client = Client::begin(&daemon, Some(sent.len()));
        client.send(sent);
        client
    };
    let client = transcribe(&short);
    let mut kept = raw.asked();
    assert!(kept.exactly(short_expected.len()) == short_expected);
    kept.answer("200 OK", "{\"text\":\"one\"}");
    assert_eq!(client.answer().status, 200);

    // A long one is not risked on it.
    let client = transcribe(&long);
    let mut fresh = raw.asked();
    assert!(fresh.exactly(long_expected.len()) == long_expected);
    fresh.answer("200 OK", "{\"text\":\"two\"}");
    assert_eq!(client.answer().status, 200);

    // A short one is, and goes out again when that turns out to be a mistake.
    fresh.wire.shutdown(Shutdown::Both).expect("closes");
    let client = transcribe(&short);
    assert!(kept.next_head());
    kept.wire.shutdown(Shutdown::Both).expect("closes");
    let mut again = raw.asked();
    assert!(again.exactly(short_expected.len()) == short_expected);
    again.answer("200 OK", "{\"text\":\"three\"}");
    assert_eq!(client.answer().json()["text"], "three");
}

#[test]
fn what_is_wrong_with_a_form_is_said_however_it_arrives() {
    let raw = Raw::start();
    let daemon = raw.daemon("max_body = \"1MiB\"", "");
    let (large, _) = form(2 * MIB);
    // The limit is known by the length, or found on the way; then the provider has got half a request.
    let told = Client::begin(&daemon, Some(large.len())).answer();
    assert_refused(&told, 413, "request_too_large");
    assert!(raw.is_asked_no_more());
    let mut client = Client::begin(&daemon, None);
    client.send_chunk(&large);
    let mut asked = raw.asked();
    let reading = std::thread::spawn(move || asked.chunks());
    assert_refused(&client.answer(), 413, "request_too_large");
    assert!(reading.join().expect("read").is_none(), "a part is never passed off as all of it");

    // A second model behind the file, and a form without an end.
    let (good, _) = form(MIB / 2);
    let end = good.len() - BOUNDARY.len() - 6;
    let twice = [&good[..end], &field("model", "raw/other"), &good[end..]].concat();
    for (sent, param) in [(&twice[..], json!("model")), (&good[..end], json!(null))] {
        let mut client = Client::begin(&daemon, None);
        client.send_chunk(sent);
        client.send(b"0\r\n\r\n");
        let mut asked = raw.asked();
        let reading = std::thread::spawn(move || asked.chunks());
        let answer = client.answer();
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &param), "{}", answer.text());
        assert!(reading.join().expect("read").is_none());
    }
    daemon.wait_until_idle();
}
