//! A receiver behind a real socket on loopback, on a thread of its own, until it is dropped.

use crate::sim::{Break, Receiver, Reply, Request, Sim, Step};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How often a held request is looked at again.
const LOOK: Duration = Duration::from_millis(10);
/// The largest request.
const LARGEST: usize = 8 << 20;

/// A running receiver.
pub struct Server<R: Receiver> {
    address: SocketAddr,
    sim: Arc<Mutex<Sim<R>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl<R: Receiver> Server<R> {
    /// Starts on any free port.
    ///
    /// # Errors
    /// The port or the thread cannot be had.
    pub fn start(receiver: R) -> io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), receiver)
    }

    /// Starts on this address.
    ///
    /// # Errors
    /// The port or the thread cannot be had.
    pub fn start_on(address: SocketAddr, receiver: R) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let sim = Arc::new(Mutex::new(Sim::new(receiver)));
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::clone(&sim);
        let thread = std::thread::Builder::new().name("sim-receiver".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = ended => {}
                    _ = accept(listener, shared) => {}
                }
            });
        })?;
        Ok(Self { address, sim, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as the beginning of an address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The receiver, to look at or to change. Requests wait meanwhile.
    pub fn sim(&self) -> MutexGuard<'_, Sim<R>> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Receiver> Drop for Server<R> {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to end.
            let _ = thread.join();
        }
    }
}

async fn accept<R: Receiver>(listener: std::net::TcpListener, sim: Arc<Mutex<Sim<R>>>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let begun = start();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let sim = Arc::clone(&sim);
        connections.spawn(async move {
            // A client that goes away is no concern.
            let _ = serve(stream, sim, begun).await;
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a receiver has a clock of its own")]
fn start() -> Instant {
    Instant::now()
}

async fn serve<R: Receiver>(mut stream: TcpStream, sim: Arc<Mutex<Sim<R>>>, begun: Instant) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let step = loop {
            let step = sim.lock().unwrap_or_else(PoisonError::into_inner).step(begun.elapsed(), &request);
            match step {
                Step::Hold => tokio::time::sleep(LOOK).await,
                step => break step,
            }
        };
        match step {
            Step::Answer(reply) => stream.write_all(&bytes(&reply)).await?,
            Step::Hold | Step::Break(Break::Close) => return Ok(()),
            Step::Break(Break::Reset) => {
                // Data that was never read makes the end a reset; so does this.
                return reset(stream);
            }
            Step::Break(Break::Hang) => std::future::pending().await,
            Step::Break(Break::Cut(reply)) => {
                let whole = bytes(&reply);
                stream.write_all(&whole[..whole.len() - reply.body.len() / 2 - 1]).await?;
                stream.flush().await?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn reset(stream: TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

fn bytes(reply: &Reply) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Simulated\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), reply.body.as_bytes()].concat()
}

/// The next request; `None` when the client has gone.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(buffer) {
            buffer.drain(..length);
            return Ok(Some(request));
        }
        if buffer.len() > LARGEST || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// A whole request at the beginning of the bytes, and how long it is.
fn parse(bytes: &[u8]) -> Option<(Request, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let end = head_end + 4 + length;
    let body = bytes.get(head_end + 4..end)?.to_vec();
    Some((Request { method, path, headers, body }, end))
}
