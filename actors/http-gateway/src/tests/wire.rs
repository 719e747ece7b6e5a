//! The real server on real sockets: what only bytes on a connection can show.

use super::players::{Act, Plan, Players};
use super::stage::{Props, ports, question};
use crate::config::Config;
use crate::gateway::{HttpGateway, RefreshKeys};
use crate::ports::Ports;
use crate::published::Shared;
use crate::server::{Listeners, Stopper, bind, bind_with, serve};
use actix_web::rt::net::{TcpSocket, TcpStream, UnixStream};
use contract::message::Lane;
use contract::units::Size;
use runtime::world::TestIds;
use runtime::{Policy, Supervision, SystemClock};
use socket2::SockRef;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

struct House {
    address: SocketAddr,
    socket: PathBuf,
    players: Players,
    props: Arc<Props>,
    ports: Ports,
    stopper: Stopper,
}

/// Runs a server with one worker around `visit`. The visit has a deadline, so that a fault is a failure and not a hang.
fn house(config: Config, visit: impl AsyncFnOnce(&House)) {
    house_on(bind("127.0.0.1:0").expect("a free port"), config, visit);
}

/// The same, on a socket of its own.
fn house_on(tcp: TcpListener, config: Config, visit: impl AsyncFnOnce(&House)) {
    actix_rt::System::new().block_on(async move {
        let (players, props) = (Players::default(), Arc::<Props>::default());
        let ports = ports(&props, &players, Arc::new(SystemClock::real()), Arc::<TestIds>::default());
        let address = tcp.local_addr().expect("address");
        let socket = std::env::temp_dir().join(format!("haia-test-{}-{}.sock", std::process::id(), address.port()));
        let unix = Some(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
        let shared = Shared::new(Config { workers: 1, ..config }, address, None);
        let supervision = Supervision::new(|_| {});
        let (state, keys, clock) = (shared.clone(), ports.keys.clone(), ports.clock.clone());
        let mailbox = supervision.start(&actix_rt::Arbiter::current(), "http-gateway", Policy::default(), move || {
            HttpGateway::new(state.clone(), keys.clone(), clock.clone())
        });
        let refresh = mailbox.port::<RefreshKeys>(Lane::Interactive);
        refresh.ask(RefreshKeys, Duration::from_secs(5)).await.expect("asked").expect("known");
        let running = serve(Listeners { tcp: Some(tcp), unix }, shared, ports.clone(), refresh).expect("serves");
        let stopper = running.stopper();
        let house = House { address, socket, players, props, ports, stopper: stopper.clone() };
        let visit = async {
            let done = tokio::time::timeout(Duration::from_secs(60), visit(&house)).await;
            stopper.stop(false).await;
            done
        };
        let (served, done) = futures_util::future::join(running.wait(), visit).await;
        let _ = std::fs::remove_file(&house.socket);
        served.expect("served");
        done.expect("the visit hung");
    });
}

impl House {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connects")
    }

    /// Sends bytes over a connection of their own and reads until the server closes or the answer is whole.
    async fn exchange(&self, request: &str) -> String {
        let mut connection = self.connect().await;
        connection.write_all(request.as_bytes()).await.expect("writes");
        answer(&mut connection).await
    }
}

fn request(head: &str, body: &str) -> String {
    format!("{head}\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Reads one answer: head, and as much body as the head says.
async fn answer(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let chunked = head.contains("transfer-encoding: chunked");
            let whole = match length {
                Some(length) => body.len() >= length,
                None => !chunked || body.ends_with("0\r\n\r\n"),
            };
            if whole && !head.starts_with("HTTP/1.1 100") {
                return text.into_owned();
            }
        }
        let read = connection.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// Waits until `condition` holds; the visit's deadline is the bound.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_stream_over_tcp() {
    house(Config::default(), async |house: &House| {
        house.players.plan(Plan::of([Act::Say("hello"), Act::stop()]));
        let found = house.exchange(&request("POST /v1/chat/completions HTTP/1.1", &question("haia", true))).await;
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n"), "{found}");
        assert!(found.contains("\r\ncontent-type: text/event-stream\r\n"), "{found}");
        assert!(found.contains("\"content\":\"hello\"") && found.contains("data: [DONE]\n\n\r\n0\r\n\r\n"), "{found}");
    });
}

#[test]
fn a_client_that_leaves_cancels_the_answer_at_once() {
    house(Config::default(), async |house: &House| {
        for (stream, plan) in [
            (true, Plan::of([Act::Say("a"), Act::Hang])),
            (true, Plan::of([Act::Hang])),
            (false, Plan::of([Act::Hang])),
            (false, Plan { open_after: Some(Duration::from_secs(600)), ..Plan::default() }),
        ] {
            house.players.plan(plan);
            let mut connection = house.connect().await;
            let bytes = request("POST /v1/chat/completions HTTP/1.1", &question("haia", stream));
            connection.write_all(bytes.as_bytes()).await.expect("writes");
            until(|| house.players.alive() == 1).await;
            drop(connection);
            until(|| house.players.alive() == 0).await;
            until(|| house.ports.gauges.streams_open.get() == 0).await;
        }
    });
}

#[test]
fn a_client_that_stops_reading_is_left_after_a_while() {
    let patience = SockRef::from(&bind("127.0.0.1:0").expect("a free port")).tcp_user_timeout().expect("an option");
    assert_eq!(patience, Some(Duration::from_secs(60)));
    let tcp = bind_with("127.0.0.1:0", Duration::from_millis(500)).expect("a free port");
    house_on(tcp, Config::default(), async |house: &House| {
        let much: &'static str = "x".repeat(1 << 20).leak();
        let endless = || Plan::of((0..64).map(|_| Act::Say(much)).chain([Act::Hang]));
        let open = async || {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
            let mut connection = socket.connect(house.address).await.expect("connects");
            let bytes = request("POST /v1/chat/completions HTTP/1.1", &question("haia", true));
            connection.write_all(bytes.as_bytes()).await.expect("writes");
            connection
        };
        // It lives and acknowledges, but its window is shut.
        house.players.plan(endless());
        let connection = open().await;
        until(|| house.players.alive() == 1).await;
        until(|| house.players.alive() == 0).await;
        until(|| house.ports.gauges.streams_open.get() == 0).await;
        drop(connection);
        // One that only waits while nothing is said is not left.
        house.players.plan(Plan::of([
            Act::Say("a"),
            Act::Wait(Duration::from_secs(2)),
            Act::Say("the end"),
            Act::stop(),
        ]));
        let mut slow = open().await;
        assert!(answer(&mut slow).await.contains("the end"));
    });
}

#[test]
fn bodies_are_read_before_any_answer_so_the_connection_lives_on() {
    let config = Config { max_body: Size(64 << 10), ..Config::default() };
    house(config, async |house: &House| {
        let mut connection = house.connect().await;
        let junk = "x".repeat(60 << 10);
        for (head, body, status) in [
            ("POST /nowhere HTTP/1.1", junk.as_str(), "404"),
            ("POST /v1/models HTTP/1.1", junk.as_str(), "405"),
            ("POST /api/keys HTTP/1.1", junk.as_str(), "403"),
            ("POST /v1/chat/completions HTTP/1.1\r\norigin: http://evil.example", junk.as_str(), "403"),
            ("POST /v1/chat/completions HTTP/1.1", junk.as_str(), "400"),
            ("POST /v1/chat/completions HTTP/1.1", &"x".repeat(200 << 10), "413"),
            ("GET /health HTTP/1.1", "", "200"),
        ] {
            connection.write_all(request(head, body).as_bytes()).await.expect("the connection lives");
            let found = answer(&mut connection).await;
            assert!(found.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {found}");
            assert!(found.contains("\r\nx-request-id: "), "{found}");
        }
    });
}

#[test]
fn a_body_beyond_all_patience_is_answered_too() {
    let config = Config { max_body: Size(4 << 10), ..Config::default() };
    house(config, async |house: &House| {
        let mut connection = house.connect().await;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\n";
        connection.write_all(head.as_bytes()).await.expect("writes");
        connection.write_all(&vec![b'x'; 32 << 10]).await.expect("writes");
        let found = answer(&mut connection).await;
        assert!(found.starts_with("HTTP/1.1 413") && found.contains("request_too_large"), "{found}");
    });
}

#[test]
fn chunked_bodies_and_expectations() {
    house(Config::default(), async |house: &House| {
        house.players.plan(Plan::of([Act::Say("a"), Act::stop()]));
        let body = question("haia", false);
        let (first, second) = body.split_at(20);
        let chunked = format!(
            "POST /v1/chat/completions/ HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        );
        let found = house.exchange(&chunked).await;
        assert!(found.starts_with("HTTP/1.1 200"), "{found}");

        house.players.plan(Plan::of([Act::Say("a"), Act::stop()]));
        let mut connection = house.connect().await;
        let head = format!(
            "POST //v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).await.expect("writes");
        let mut go_on = [0; 25];
        connection.read_exact(&mut go_on).await.expect("reads");
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        connection.write_all(body.as_bytes()).await.expect("writes");
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200"));

        let broken =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        let found = house.exchange(broken).await;
        assert!(found.starts_with("HTTP/1.1 400") && found.contains("invalid_request_error"), "{found}");
    });
}

#[test]
fn eight_megabytes_arrive_whole() {
    house(Config::default(), async |house: &House| {
        house.players.plan(Plan::of([Act::Say("a"), Act::stop()]));
        let body = question("haia", false).replace("hi", &"picture".repeat(1_200_000));
        let found = house.exchange(&request("POST /v1/chat/completions HTTP/1.1", &body)).await;
        assert!(found.starts_with("HTTP/1.1 200"), "{found}");
    });
}

#[test]
fn the_socket_has_every_right_without_a_key() {
    house(Config::default(), async |house: &House| {
        let make = request("POST /api/keys HTTP/1.1", r#"{"name":"ui"}"#);
        assert!(house.exchange(&make).await.starts_with("HTTP/1.1 403"), "not over TCP");
        let mut connection = UnixStream::connect(&house.socket).await.expect("connects");
        let made = over(&mut connection, &make).await;
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
        let listed = over(&mut connection, "GET /api/keys HTTP/1.1\r\nhost: anything\r\n\r\n").await;
        assert!(listed.contains("\"ui\""), "{listed}");
        let models = house.exchange("GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        assert!(models.starts_with("HTTP/1.1 401"), "a key exists now, so one is needed: {models}");
        assert_eq!(house.props.threads.load(Ordering::SeqCst), 1, "one worker thread, whichever socket");
    });
}

async fn over(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    connection.write_all(request.as_bytes()).await.expect("writes");
    answer(connection).await
}

#[test]
fn the_head_and_the_first_words_leave_in_one_piece() {
    house(Config::default(), async |house: &House| {
        house.players.plan(Plan::of([Act::Say("first"), Act::Hang]));
        let mut connection = house.connect().await;
        let bytes = request("POST /v1/chat/completions HTTP/1.1", &question("haia", true));
        connection.write_all(bytes.as_bytes()).await.expect("writes");
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.expect("reads");
        let piece = String::from_utf8_lossy(&buffer[..read]);
        assert!(piece.starts_with("HTTP/1.1 200") && piece.contains("\"content\":\"first\""), "{piece}");
    });
}

#[test]
fn a_monitor_may_ask_without_a_body() {
    house(Config::default(), async |house: &House| {
        let mut connection = house.connect().await;
        connection
            .write_all(b"HEAD /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .expect("writes");
        let mut found = String::new();
        connection.read_to_string(&mut found).await.expect("reads");
        assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("\r\n\r\n"), "{found}");
    });
}

#[test]
fn a_graceful_stop_lets_a_running_answer_end() {
    house(Config::default(), async |house: &House| {
        house.players.plan(Plan::of([Act::Say("a"), Act::Wait(Duration::from_millis(50)), Act::stop()]));
        let mut connection = house.connect().await;
        let bytes = request("POST /v1/chat/completions HTTP/1.1", &question("haia", true));
        connection.write_all(bytes.as_bytes()).await.expect("writes");
        until(|| house.players.alive() == 1).await;
        let (found, ()) = futures_util::future::join(answer(&mut connection), house.stopper.stop(true)).await;
        assert!(found.contains("[DONE]"), "{found}");
        assert!(TcpStream::connect(house.address).await.is_err(), "nobody listens any more");
    });
}
