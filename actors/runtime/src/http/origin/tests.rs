//! Against a server of raw bytes: what it sends is written here, byte for byte.

use super::*;
use futures_util::StreamExt as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

/// A server that gives one connection after another to `serve`.
async fn server<F: Future<Output = ()> + 'static>(serve: impl Fn(usize, TcpStream) -> F + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    actix_rt::spawn(async move {
        for number in 0.. {
            let Ok((connection, _)) = listener.accept().await else { return };
            actix_rt::spawn(serve(number, connection));
        }
    });
    url
}

/// Reads one request, to the end of its body. `None` where the client has left.
async fn request(connection: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            if body.len() >= length {
                return Some(text);
            }
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

struct Asking {
    origin: Origin,
    template: Template,
}

impl Asking {
    fn at(url: &str) -> Self {
        let template = Template::post(&format!("{url}/v1/chat?x=1"), [("authorization", "Bearer k")]).expect("good");
        Self { origin: Origin::new(url, &Connect::default()).expect("an address"), template }
    }

    async fn send(&self, body: &str) -> Result<Answer, SendRequestError> {
        self.origin.send(&self.template, &Bytes::copy_from_slice(body.as_bytes())).await.map_err(|none| none.error)
    }

    /// The whole answer, and whether its body ended without an error.
    async fn ask(&self, body: &str) -> (String, bool) {
        let mut answer = self.send(body).await.expect("an answer");
        let mut text = Vec::new();
        while let Some(piece) = answer.body.next().await {
            match piece {
                Ok(piece) => text.extend_from_slice(&piece),
                Err(_) => return (String::from_utf8(text).expect("text"), false),
            }
        }
        (String::from_utf8(text).expect("text"), true)
    }

    fn kept(&self) -> usize {
        self.origin.pool.idle.borrow().len()
    }
}

/// A server that answers every request with `answer`, on the same connection as long as that lasts.
async fn always(answer: &'static [u8]) -> Asking {
    let url = server(move |_, mut connection| async move {
        while request(&mut connection).await.is_some() {
            // Byte by byte, as a bad network may cut it.
            for byte in answer.chunks(1) {
                let _ = connection.write_all(byte).await;
            }
        }
    });
    Asking::at(&url.await)
}

#[test]
fn a_request_is_sent_as_it_should_be_read() {
    run(async {
        let url = server(|_, mut connection| async move {
            let text = request(&mut connection).await.expect("a request");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            let _ = connection.write_all(answer.as_bytes()).await;
        });
        let url = url.await;
        let host = url.strip_prefix("http://").expect("http");
        let (text, _) = Asking::at(&url).ask("{}").await;
        assert_eq!(
            text,
            format!(
                "POST /v1/chat?x=1 HTTP/1.1\r\nhost: {host}\r\naccept-encoding: identity\r\nauthorization: Bearer k\r\ncontent-length: 2\r\n\r\n{{}}"
            )
        );
        let large = "x".repeat(TOGETHER + 1);
        let (text, _) = Asking::at(&url).ask(&large).await;
        assert!(text.ends_with(&large));
    });
}

/// Reads the head of a request and nothing of its body.
async fn head_of_request(connection: &mut TcpStream) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(connection.read_u8().await.expect("a head"));
    }
}

/// More than the buffers of a connection hold.
const LARGE: usize = 32 << 20;

#[test]
fn a_large_request_is_refused_before_it_is_whole() {
    run(async {
        const REFUSAL: &[u8] = b"HTTP/1.1 413 Too Large\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno";
        // The server closes the connection at once, or leaves it open and reads nothing.
        for closes in [true, false] {
            let url = server(move |_, mut connection| async move {
                head_of_request(&mut connection).await;
                let _ = connection.write_all(REFUSAL).await;
                if !closes {
                    std::future::pending::<()>().await;
                }
            });
            let asking = Asking::at(&url.await);
            let mut answer = asking.send(&"x".repeat(LARGE)).await.expect("an answer");
            assert_eq!((answer.head.status(), answer.head.header("retry-after")), (413, Some(&b"7"[..])));
            assert_eq!(answer.body.next().await.expect("a piece").expect("sound"), "no");
            assert!(answer.body.next().await.is_none());
            assert_eq!(asking.kept(), 0, "half a request was sent over it");
        }
    });
}

#[test]
fn a_success_waits_for_the_whole_request() {
    run(async {
        let url = server(|_, mut connection| async move {
            head_of_request(&mut connection).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            let mut body = vec![0; LARGE];
            connection.read_exact(&mut body).await.expect("the body");
            let _ = connection.write_all(b"2\r\nhi\r\n0\r\n\r\n").await;
            let _ = request(&mut connection).await;
        });
        let asking = Asking::at(&url.await);
        assert_eq!(asking.ask(&"x".repeat(LARGE)).await, ("hi".to_owned(), true));
        assert_eq!(asking.kept(), 1);
    });
}

#[test]
fn a_large_request_that_nobody_answers_fails() {
    run(async {
        let url = server(|_, mut connection| async move { head_of_request(&mut connection).await });
        let told = Asking::at(&url.await).send(&"x".repeat(LARGE)).await.err().expect("no answer");
        let kind = match told {
            SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => Some(error.kind()),
            SendRequestError::Connect(ConnectError::Disconnected) => None,
            other => panic!("{other:?}"),
        };
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        assert!(matches!(kind, None | Some(BrokenPipe | ConnectionReset)), "{kind:?}");
    });
}

mod uploads;

#[test]
fn interim_answers_are_no_answers() {
    run(async {
        let asking = always(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        )
        .await;
        for _ in 0..2 {
            assert_eq!(asking.ask("{}").await, ("hi".to_owned(), true));
            assert_eq!(asking.kept(), 1);
        }
        let url = server(|_, mut connection| async move {
            let _ = request(&mut connection).await;
            let _ = connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        });
        let told = Asking::at(&url.await).send("{}").await.err().expect("no answer");
        assert!(matches!(told, SendRequestError::Connect(ConnectError::Disconnected)), "{told:?}");
    });
}

#[test]
fn a_connection_is_kept_after_a_whole_answer_only() {
    run(async {
        for (answer, text, kept) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"[..], "hi", 1),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", "hi!", 1),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", "hi", 0),
            (b"HTTP/1.1 204 No Content\r\n\r\n", "", 1),
        ] {
            let asking = always(answer).await;
            for _ in 0..3 {
                assert_eq!(asking.ask("{}").await, (text.to_owned(), true));
                assert_eq!(asking.kept(), kept, "{:?}", String::from_utf8_lossy(answer));
            }
        }
    });
}

#[test]
fn an_answer_that_nobody_reads_to_its_end_closes_its_connection() {
    run(async {
        let url = server(|number, mut connection| async move {
            let _ = request(&mut connection).await;
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
            if number == 0 {
                // The client leaves: the next connection tells that it did.
                assert_eq!(request(&mut connection).await, None);
            }
        });
        let asking = Asking::at(&url.await);
        let mut answer = asking.send("{}").await.expect("an answer");
        assert_eq!(answer.body.next().await.expect("a piece").expect("sound"), "hi");
        drop(answer);
        assert_eq!(asking.kept(), 0);
        assert_eq!(asking.ask("{}").await, ("hi".to_owned(), true), "the connection's end is the body's");
        assert_eq!(asking.kept(), 0);
    });
}

#[test]
fn bytes_that_nobody_asked_for_spoil_a_connection() {
    run(async {
        let asking = always(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        asking.ask("{}").await;
        // Together with the answer, and after it.
        let together = server(|_, mut connection| async move {
            let _ = request(&mut connection).await;
            let _ =
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n").await;
        });
        let together = Asking::at(&together.await);
        assert_eq!(together.ask("{}").await.0, "hi");
        assert_eq!(together.kept(), 0);
        let after = server(|number, mut connection| async move {
            while request(&mut connection).await.is_some() {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                let _ = connection.write_all(answer.as_bytes()).await;
                tokio::task::yield_now().await;
                let _ = connection.write_all(b"surprise").await;
            }
        });
        let after = Asking::at(&after.await);
        assert_eq!(after.ask("{}").await.0, "0");
        while after.origin.pool.idle.borrow_mut().iter_mut().any(|connection| {
            let mut byte = [0; 1];
            let Stream::Plain(io) = &connection.io else { return false };
            poll_peek(io, &mut byte)
        }) {
            tokio::task::yield_now().await;
        }
        assert_eq!(after.ask("{}").await.0, "1", "a connection of its own");
    });
}

/// Whether nothing is there yet.
fn poll_peek(io: &TcpStream, byte: &mut [u8]) -> bool {
    let mut byte = tokio::io::ReadBuf::new(byte);
    io.poll_peek(&mut Context::from_waker(Waker::noop()), &mut byte).is_pending()
}

#[test]
fn a_server_that_says_nothing_sensible_is_told_apart() {
    run(async {
        for (answer, is_gone) in [(&b""[..], true), (b"HTTP/1.1 200", true), (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", false)] {
            let url = server(move |_, mut connection| async move {
                let _ = request(&mut connection).await;
                let _ = connection.write_all(answer).await;
            });
            let sent = Asking::at(&url.await).send("{}").await;
            let told = sent.err().expect("no answer");
            let disconnected = matches!(told, SendRequestError::Connect(ConnectError::Disconnected));
            assert_eq!(disconnected, is_gone, "{told:?}");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let nobody = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let refused = Asking::at(&nobody).send("{}").await.err().expect("nobody listens");
        assert!(matches!(refused, SendRequestError::Connect(ConnectError::Io(_))), "{refused:?}");
    });
}

#[test]
fn a_body_that_is_not_framed_as_it_says_fails() {
    run(async {
        for body in ["zz\r\n", "2\r\nhiwhat?\r\n"] {
            let url = server(move |_, mut connection| async move {
                let _ = request(&mut connection).await;
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = request(&mut connection).await;
            });
            let asking = Asking::at(&url.await);
            let (text, is_sound) = asking.ask("{}").await;
            assert!(!is_sound && (text.is_empty() || text == "hi"), "{text}");
            assert_eq!(asking.kept(), 0);
        }
    });
}

#[test]
fn chunks_that_come_together_stay_apart() {
    run(async {
        let url = server(|_, mut connection| async move {
            let _ = request(&mut connection).await;
            let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n";
            let _ = connection.write_all(answer).await;
        });
        let asking = Asking::at(&url.await);
        let mut answer = asking.send("{}").await.expect("an answer");
        let mut pieces = Vec::new();
        while let Some(piece) = answer.body.next().await {
            pieces.push(piece.expect("sound"));
        }
        assert_eq!(pieces, ["hi", "!"]);
        assert_eq!(asking.kept(), 1);
    });
}

#[test]
fn idle_connections_are_closed_in_time() {
    run(async {
        let asking = always(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        asking.ask("{}").await;
        assert_eq!(asking.kept(), 1);
        let long = asking.origin.pool.keep_alive;
        for connection in asking.origin.pool.idle.borrow_mut().iter_mut() {
            connection.used = Instant::now() - long + Duration::from_secs(1);
        }
        assert!(asking.origin.pool.reap().is_some_and(|next| next <= Duration::from_secs(1)));
        assert_eq!(asking.kept(), 1);
        for connection in asking.origin.pool.idle.borrow_mut().iter_mut() {
            connection.used = Instant::now() - long;
        }
        assert_eq!(asking.origin.pool.reap(), None);
        assert_eq!(asking.kept(), 0);
    });
}

#[test]
fn no_request_is_made_of_what_http_forbids() {
    assert!(Template::post("http://host/path", [("a", "b")]).is_some());
    for (url, header) in [
        ("not an address", ("a", "b")),
        ("/path", ("a", "b")),
        ("http://host/", ("a b", "c")),
        ("http://host/", ("a", "b\r\nc: d")),
    ] {
        assert!(Template::post(url, [header]).is_none(), "{url} {header:?}");
    }
}

/// Asks a server over TLS that answers once and closes the connection without taking leave.
fn secured(answer: &'static [u8]) -> Asking {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = builder.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let config = Arc::new(config.expect("a key"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let serve = move || {
        use std::io::Read as _;
        let (socket, _) = listener.accept().expect("a connection");
        let mut stream = StreamOwned::new(ServerConnection::new(config).expect("a session"), socket);
        let mut request = Vec::new();
        while !request.ends_with(b"{}") && !request.ends_with(b"{}\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            request.push(byte[0]);
        }
        stream.write_all(answer).and_then(|()| stream.flush()).expect("an answer");
    };
    std::thread::Builder::new().spawn(serve).expect("a thread");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut asking = Asking::at(&url);
    asking.origin.tls = Some(Arc::new(builder.expect("versions").with_root_certificates(roots).with_no_client_auth()));
    asking
}

#[test]
fn the_end_of_a_secured_connection_is_the_end_of_its_body_too() {
    run(async {
        for (answer, text) in
            [(&b"HTTP/1.1 200 OK\r\n\r\nhi"[..], "hi"), (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", "hi")]
        {
            assert_eq!(secured(answer).ask("{}").await, (text.to_owned(), true));
        }
        let told = secured(b"HTTP/1.1 200").send("{}").await.err().expect("no answer");
        assert!(
            matches!(&told, SendRequestError::Response(ParseError::Io(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof),
            "{told:?}"
        );
    });
}
