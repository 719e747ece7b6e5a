//! A client for one server over real TLS: whom it trusts, and what it keeps of the status line.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]

use awc::http::Method;
use runtime::http::{Connect, PinnedClient, REASON_HEADER, Trust, pinned_client};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

/// A server with a certificate of its own for `127.0.0.1`. Its address, its certificate as PEM.
fn server(answers: &'static [&'static str]) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    let serve = move || {
        while let Ok((socket, _)) = listener.accept() {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), socket);
            for answer in answers {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    request.push(byte[0]);
                }
                if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
                    break;
                }
            }
        }
    };
    std::thread::Builder::new().spawn(serve).unwrap();
    (address, made.cert.pem())
}

const ANSWERS: &[&str] = &[
    "HTTP/1.1 500 Configuration file 'x' does not exist\r\ncontent-length: 13\r\n\r\n{\"data\":null}",
    "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"data\":[]}",
];

fn client(address: &str, trust: &Trust) -> PinnedClient {
    pinned_client(&Connect { tls: true, ..Connect::default() }, address, trust).unwrap()
}

/// What came: the phrase and the body; or why nothing did.
async fn get(client: &PinnedClient) -> Result<(String, String), String> {
    let mut response = client.request(Method::GET, "/").send().await.map_err(|error| error.to_string())?;
    let phrase =
        response.headers().get(REASON_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let body = response.body().await.map_err(|error| error.to_string())?;
    Ok((phrase.unwrap_or_default(), String::from_utf8_lossy(&body).into_owned()))
}

fn run(test: impl AsyncFnOnce()) {
    actix_rt::System::new().block_on(test());
}

#[test]
fn the_reason_phrase_of_every_answer_on_a_connection_is_kept() {
    run(async || {
        let (address, _) = server(ANSWERS);
        let client = client(&address, &Trust::Anyone);
        let wanted = |phrase: &str, body: &str| Ok((phrase.to_owned(), body.to_owned()));
        assert_eq!(get(&client).await, wanted("Configuration file 'x' does not exist", "{\"data\":null}"));
        assert_eq!(get(&client).await, wanted("OK", "{\"data\":[]}"));
    });
}

#[test]
fn a_fingerprint_decides_whatever_the_name_and_the_issuer() {
    run(async || {
        let (address, _) = server(ANSWERS);
        let stranger = client(&address, &Trust::Fingerprints(vec![[7; 32]]));
        assert!(get(&stranger).await.is_err());
        let seen = stranger.presented().get().unwrap();
        assert!(!seen.is_trusted);
        let known = client(&address, &Trust::Fingerprints(vec![[7; 32], seen.fingerprint]));
        assert!(get(&known).await.is_ok());
        assert!(known.presented().get().unwrap().is_trusted);
    });
}

#[test]
fn an_authority_of_ones_own_is_trusted_and_the_systems_do_not_know_it() {
    run(async || {
        let (address, pem) = server(ANSWERS);
        assert!(get(&client(&address, &Trust::Authorities(pem.into_bytes()))).await.is_ok());
        let (address, _) = server(ANSWERS);
        let system = client(&address, &Trust::System);
        assert!(get(&system).await.is_err());
        assert!(!system.presented().get().unwrap().is_trusted);
    });
}

#[test]
fn no_server_no_certificate() {
    run(async || {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let client = client(&closed, &Trust::Anyone);
        assert!(get(&client).await.is_err());
        assert_eq!(client.presented().get(), None);
    });
}
