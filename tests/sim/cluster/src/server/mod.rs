//! The sockets: one thread, one listener per endpoint, TLS in front of every connection. It decides nothing about answers.

mod connection;
mod head;

use crate::access::Access;
use crate::certificate::Identity;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::fault::Faults;
use crate::model::Cluster;
use crate::record::Record;
use contract::clock::SharedClock;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How many connections one endpoint holds at a time; more wait in the system's queue.
const CONNECTIONS: usize = 512;

/// What requests and the handle change.
pub(crate) struct State {
    pub(crate) cluster: Cluster,
    pub(crate) faults: Faults,
    pub(crate) record: Record,
    pub(crate) access: Access,
    pub(crate) accepted: u64,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) clock: SharedClock,
    /// The node of each endpoint.
    pub(crate) nodes: Vec<String>,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(config: SimConfig, cluster: Cluster, nodes: Vec<String>, clock: SharedClock) -> Self {
        let access = config.access.clone();
        let state = State { cluster, faults: Faults::default(), record: Record::default(), access, accepted: 0 };
        Self { config, clock, nodes, state: Mutex::new(state) }
    }

    /// Looks at or changes the state, after the cluster has caught up with the clock.
    pub(crate) fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let now = self.clock.now().as_second();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cluster.advance(now);
        look(&mut state)
    }

    /// Whether a new connection to this endpoint gets nowhere: its node is down, or a fault says so.
    fn refuses(&self, endpoint: usize) -> bool {
        self.state(|state| {
            let down =
                self.nodes.get(endpoint).and_then(|name| state.cluster.node(name)).is_none_or(|node| !node.online);
            state.accepted += 1;
            down || state.faults.refuses(endpoint)
        })
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
        for _ in 0..shared.config.endpoints {
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
                if shared.refuses(endpoint) {
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
