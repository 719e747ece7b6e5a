//! The way to a member over real sockets: certificates, the token, the reason phrase, and every way a connection ends.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use proxmox_poller::ClusterConfig;
use proxmox_poller::client::{Exchange, NetworkTransport, Transport as _, TransportError};
use runtime::http::fingerprint_text;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Heads = Arc<Mutex<Vec<String>>>;

/// What a server does with its connections: answers one request after the other, or ends the connection at once.
enum Play {
    Tls(Vec<&'static str>),
    /// No TLS: it answers whatever comes.
    Plain(&'static str),
}

struct Server {
    address: String,
    pem: String,
    heads: Heads,
}

fn serve(mut stream: impl Read + Write, answers: &[&str], heads: &Heads) {
    for answer in answers {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        heads.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
        if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn server(play: Play) -> Server {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let heads = Heads::default();
    let own_heads = Arc::clone(&heads);
    let accept = move |mut socket: TcpStream| match &play {
        Play::Plain(answer) => {
            let _ = socket.read(&mut [0; 4096]).and_then(|_| socket.write_all(answer.as_bytes()));
        }
        Play::Tls(answers) => {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(StreamOwned::new(connection, socket), answers, &own_heads);
        }
    };
    let accept_all = move || {
        while let Ok((socket, _)) = listener.accept() {
            accept(socket);
        }
    };
    std::thread::Builder::new().spawn(accept_all).unwrap();
    Server { address, pem: made.cert.pem(), heads }
}

fn transport(address: &str, tls: serde_json::Value) -> Result<NetworkTransport, String> {
    let config: ClusterConfig = serde_json::from_value(serde_json::json!({
        "endpoints": [format!("https://{address}")], "token_id": "haia@pve!monitor", "token_secret": "s3cret", "tls": tls,
    }))
    .unwrap();
    NetworkTransport::new(&config)
}

fn insecure() -> serde_json::Value {
    serde_json::json!({ "insecure": true })
}

/// Asks so many times over one transport.
fn ask(transport: &NetworkTransport, times: usize) -> Vec<Result<Exchange, TransportError>> {
    actix_rt::System::new().block_on(async {
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(transport.get(0, "/version", Duration::from_secs(5)).await);
        }
        answers
    })
}

fn in_system<R>(make: impl FnOnce() -> R) -> R {
    actix_rt::System::new().block_on(async { make() })
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\nContent-Length: 11\r\n\r\n{\"data\":[]}";
const GONE: &str = "HTTP/1.1 500 Configuration file 'x' does not exist\r\nContent-Length: 13\r\n\r\n{\"data\":null}";
const ODD_STATUS: &str = "HTTP/1.1 595 No route to host\r\nContent-Length: 0\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\"";

#[test]
fn the_token_goes_out_and_status_phrase_date_and_body_come_back() {
    let server = server(Play::Tls(vec![GOOD, GONE, ODD_STATUS]));
    let transport = in_system(|| transport(&server.address, insecure()).unwrap());
    let answers = ask(&transport, 3);
    let good = answers[0].as_ref().unwrap();
    assert_eq!((good.status, good.reason.as_str(), good.date_s), (200, "OK", Some(1_772_366_400)));
    assert_eq!(&good.body[..], b"{\"data\":[]}");
    let gone = answers[1].as_ref().unwrap();
    assert_eq!((gone.status, gone.reason.as_str()), (500, "Configuration file 'x' does not exist"));
    assert_eq!(answers[2].as_ref().unwrap().reason, "No route to host");
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /api2/json/version HTTP/1.1\r\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(head.contains("PVEAPIToken=haia@pve!monitor=s3cret") && !lower.contains("transfer-encoding"), "{head}");
    assert!(lower.contains(&format!("host: {}", server.address)), "{head}");
}

#[test]
fn a_stranger_is_told_with_its_fingerprint_which_then_lets_it_in() {
    let server = server(Play::Tls(vec![GOOD]));
    let wrong = serde_json::json!({ "fingerprints": ["AA".repeat(32)] });
    let stranger = in_system(|| transport(&server.address, wrong).unwrap());
    let Err(TransportError::Certificate(seen)) = ask(&stranger, 1).remove(0) else { panic!("it was let in") };
    let known = serde_json::json!({ "fingerprints": [fingerprint_text(&seen.fingerprint)] });
    let known = in_system(|| transport(&server.address, known).unwrap());
    assert!(ask(&known, 1).remove(0).is_ok());
    assert_eq!(known.presented(0).map(|seen| seen.is_trusted), Some(true));
}

#[test]
fn an_authority_of_ones_own_and_files_that_are_none() {
    let server = server(Play::Tls(vec![GOOD]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &server.pem).unwrap();
    let ours = in_system(|| transport(&server.address, serde_json::json!({ "ca_file": path })).unwrap());
    assert!(ask(&ours, 1).remove(0).is_ok());
    let systems = in_system(|| transport(&server.address, serde_json::json!({})).unwrap());
    assert!(matches!(ask(&systems, 1).remove(0), Err(TransportError::Certificate(_))));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(
        in_system(|| transport(&server.address, serde_json::json!({ "ca_file": path })).err())
            .is_some_and(|why| why.contains("no certificate"))
    );
    let missing = folder.path().join("missing.pem");
    assert!(
        in_system(|| transport(&server.address, serde_json::json!({ "ca_file": missing })).err())
            .is_some_and(|why| why.contains("missing.pem"))
    );
}

#[test]
fn every_way_a_connection_ends_has_its_word() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let dead = in_system(|| transport(&closed, insecure()).unwrap());
    assert!(matches!(ask(&dead, 1).remove(0), Err(TransportError::Connect(_))));

    let half = server(Play::Tls(vec![HALF]));
    let half = in_system(|| transport(&half.address, insecure()).unwrap());
    assert!(matches!(ask(&half, 1).remove(0), Err(TransportError::Dropped(_))));

    let mute = server(Play::Tls(vec![]));
    let mute = in_system(|| transport(&mute.address, insecure()).unwrap());
    assert!(matches!(ask(&mute, 1).remove(0), Err(TransportError::Dropped(_))));

    let plain = server(Play::Plain("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let plain = in_system(|| transport(&plain.address, insecure()).unwrap());
    let answer = ask(&plain, 1).remove(0);
    assert!(matches!(answer, Err(TransportError::Handshake(_))), "{answer:?}");
}

#[test]
fn a_connection_that_the_server_ends_is_made_anew() {
    // As pveproxy after its hundredth request: the connection is closed between two questions.
    let server = server(Play::Tls(vec![GOOD]));
    let transport = in_system(|| transport(&server.address, insecure()).unwrap());
    let answers = ask(&transport, 3);
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() >= 2, "{answers:?}");
    assert!(
        answers.iter().all(|answer| !matches!(answer, Err(error) if !matches!(error, TransportError::Dropped(_)))),
        "{answers:?}"
    );
}
