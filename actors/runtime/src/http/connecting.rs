//! TCP connections for every client: the addresses of a name are tried side by side, as RFC 8305 has it, and the first that answers is taken.
//!
//! A path that swallows everything (IPv6 that was set up by half, an address of a server that is gone) then costs a quarter of a second; one
//! address after another, it would cost the whole deadline. It has no deadline of its own: that is its caller's.

use actix_service::{Service, fn_service};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Resolver};
use awc::http::Uri;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an address is tried alone: RFC 8305's recommendation.
const ALONE: Duration = Duration::from_millis(250);

/// [`connect`] as awc wants it.
pub(super) fn connector()
-> impl Service<ConnectInfo<Uri>, Response = Connection<Uri, TcpStream>, Error = ConnectError> + Clone + 'static {
    fn_service(connect)
}

/// Connects to one of the addresses of `info`, which are looked up unless it has some.
///
/// # Errors
/// The name has no address, or none of them takes a connection: the last refusal.
pub(super) async fn connect(info: ConnectInfo<Uri>) -> Result<Connection<Uri, TcpStream>, ConnectError> {
    let resolved = Resolver::default().service().call(info).await?;
    let addresses = alternating(resolved.addrs().collect());
    let stream = first(addresses, TcpStream::connect).await.map_err(ConnectError::Io)?;
    // Without it the kernel may hold a small segment back until the last one is acknowledged.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    Ok(Connection::new(resolved.request().clone(), stream))
}

/// IPv6 and IPv4 by turns, else in the resolver's order; its first comes first.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut these, mut others): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.into_iter().rev().partition(|address| address.is_ipv6() == preferred);
    let by_turns = std::iter::from_fn(|| {
        let next = these.pop().or_else(|| others.pop());
        std::mem::swap(&mut these, &mut others);
        next
    });
    by_turns.collect()
}

/// The first connection that is made. The next address is tried when the one before has failed, or was tried for long enough to be alone.
async fn first<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut next = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "there is no address");
    loop {
        tried.extend(next.next().map(&connect));
        let ended = match next.len() {
            0 => tried.next().await,
            _ => match timeout(ALONE, tried.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(connection)) => return Ok(connection),
            Some(Err(error)) => failed = error,
            None if next.len() == 0 => return Err(failed),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use std::cell::RefCell;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::{Instant, sleep};

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn families_take_turns() {
        for (told, tried) in [
            (
                &["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"][..],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"][..],
            ),
            (&["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"], &["1.1.1.1:1", "[::1]:1", "[::2]:1", "[::3]:1"]),
            (&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]),
            (&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]),
            (&["[::1]:1"], &["[::1]:1"]),
            (&[], &[]),
        ] {
            assert_eq!(alternating(addresses(told)), addresses(tried));
        }
    }

    /// What becomes of addresses of which each answers so many milliseconds after it was tried, well or not: the first octet of the winner, when,
    /// and when which was tried.
    async fn race(answers: &'static [(u64, bool)]) -> (Result<u8, io::ErrorKind>, u64, Vec<u64>) {
        let begun = Instant::now();
        let tried = RefCell::new(Vec::new());
        let list = (0..answers.len()).map(|at| SocketAddr::from(([at as u8, 0, 0, 1], 1))).collect();
        let won = first(list, |address| {
            let SocketAddr::V4(address) = address else { panic!("only these were given") };
            let at = address.ip().octets()[0];
            tried.borrow_mut().push(begun.elapsed().as_millis() as u64);
            async move {
                let (after, good) = answers[usize::from(at)];
                sleep(Duration::from_millis(after)).await;
                if good { Ok(at) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            }
        })
        .await;
        let took = begun.elapsed().as_millis() as u64;
        (won.map_err(|error| error.kind()), took, tried.into_inner())
    }

    #[test]
    fn an_address_that_does_not_answer_costs_a_quarter_of_a_second() {
        const NEVER: u64 = 3_600_000;
        World::run(async |_| {
            let refused = Err(io::ErrorKind::ConnectionRefused);
            assert_eq!(race(&[(NEVER, false), (10, true)]).await, (Ok(1), 260, vec![0, 250]), "the second wins");
            assert_eq!(race(&[(30, true), (0, true)]).await, (Ok(0), 30, vec![0]), "the second is not needed");
            assert_eq!(race(&[(300, true), (100, true)]).await, (Ok(0), 300, vec![0, 250]), "slow, but first");
            assert_eq!(race(&[(20, false), (10, true)]).await, (Ok(1), 30, vec![0, 20]), "a refusal is not waited out");
            let (won, took, tried) = race(&[(NEVER, true), (NEVER, true), (5, true)]).await;
            assert_eq!((won, took, tried), (Ok(2), 505, vec![0, 250, 500]), "however many");
            assert_eq!(race(&[(20, false), (10, false)]).await, (refused, 30, vec![0, 20]), "none");
            assert_eq!(race(&[(400, false), (10, false)]).await, (refused, 400, vec![0, 250]), "the last refusal");
            assert_eq!(race(&[]).await, (Err(io::ErrorKind::NotFound), 0, vec![]), "no address");
        });
    }

    #[test]
    fn a_black_hole_is_gone_around() {
        actix_rt::System::new().block_on(async {
            // A server that takes no more connections: what is sent to it vanishes.
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
            let hole = socket.listen(1).expect("listens");
            let address = hole.local_addr().expect("an address");
            let mut waiting = Vec::new();
            while let Ok(connection) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
                waiting.push(connection.expect("it is taken"));
                assert!(waiting.len() < 100, "it takes every connection");
            }
            let live = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let live = (live.local_addr().expect("an address"), live);
            let info = ConnectInfo::new(Uri::from_static("http://example.invalid/")).set_addrs([address, live.0]);
            let connection = timeout(Duration::from_secs(5), connect(info)).await.expect("in time").expect("connects");
            assert_eq!(connection.io_ref().peer_addr().expect("a peer"), live.0);
            assert!(connection.io_ref().nodelay().expect("an option"));
        });
    }
}
