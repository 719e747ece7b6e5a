//! The sockets: one thread, one listener per endpoint, TLS in front of every connection. It decides nothing about answers.

mod connection;
mod head;

use crate::certificate::Identity;
use crate::cluster::Cluster;
use crate::error::SimError;
use contract::clock::SharedClock;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How many connections one endpoint holds at a time; more wait in the system's queue.
const CONNECTIONS: usize = 512;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) clock: SharedClock,
    endpoints: usize,
    pub(crate) refused_login_delay: Duration,
    pub(crate) requests_per_connection: u32,
    state: Mutex<Cluster>,
}

impl Shared {
    pub(crate) fn new(cluster: Cluster, clock: SharedClock) -> Self {
        Self {
            clock,
            endpoints: cluster.config.endpoints,
            refused_login_delay: cluster.config.refused_login_delay,
            requests_per_connection: cluster.config.requests_per_connection,
            state: Mutex::new(cluster),
        }
    }

    /// Looks at or changes the cluster, after it has caught up with the clock.
    pub(crate) fn state<R>(&self, look: impl FnOnce(&mut Cluster) -> R) -> R {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance_to(now);
        look(&mut state)
    }
}

/// The thread and how to end it.
pub(crate) struct Running {
    pub(crate) ports: Vec<u16>,
    ending: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

impl Running {
    /// Opens the endpoints and begins to accept.
    pub(crate) fn start(shared: &Arc<Shared>, identity: &Identity) -> Result<Self, SimError> {
        let failed = |what: &'static str| move |error| SimError::System { what, error };
        let mut ports = Vec::new();
        let mut listeners = Vec::new();
        for _ in 0..shared.endpoints {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listen on loopback"))?;
            listener.set_nonblocking(true).map_err(failed("prepare its socket"))?;
            ports.push(listener.local_addr().map_err(failed("read its port"))?.port());
            listeners.push(listener);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed("start its event loop"))?;
        let (ending, until) = watch::channel(false);
        let (shared, acceptor) = (Arc::clone(shared), TlsAcceptor::from(Arc::clone(&identity.tls)));
        let run = move || runtime.block_on(serve(shared, listeners, acceptor, until));
        let thread =
            thread::Builder::new().name("sim-cluster".into()).spawn(run).map_err(failed("start its thread"))?;
        Ok(Self { ports, ending, thread })
    }

    /// Ends every connection and waits for the thread.
    pub(crate) fn stop(self) {
        self.ending.send_replace(true);
        // A panic of the thread is its own report; there is nothing to save here.
        let _ = self.thread.join();
    }
}

async fn serve(
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    acceptor: TlsAcceptor,
    mut ending: watch::Receiver<bool>,
) {
    let mut endpoints = JoinSet::new();
    for (endpoint, listener) in listeners.into_iter().enumerate() {
        // A socket that the event loop refuses would be a bug of the system: the endpoint then stays silent.
        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
            endpoints.spawn(accept(Arc::clone(&shared), endpoint, listener, acceptor.clone()));
        }
    }
    // An error means that the handle is gone: the end as well. Dropping the set drops every connection.
    let _ = ending.wait_for(|ending| *ending).await;
}

async fn accept(shared: Arc<Shared>, endpoint: usize, listener: tokio::net::TcpListener, acceptor: TlsAcceptor) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                let Ok((stream, _)) = accepted else { continue };
                if shared.state(|cluster| cluster.refuses(endpoint)) {
                    continue;
                }
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                connections.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    // A client that does not trust the certificate leaves here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // An error is the client leaving, or a fault that cuts: both end the connection.
                        let _ = connection::serve(&shared, endpoint, stream).await;
                    }
                });
            }
            _ = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
