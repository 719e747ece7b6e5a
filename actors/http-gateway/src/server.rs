//! The HTTP server itself: sockets, worker threads, and the settings that actix's defaults get wrong for streams.

use crate::entry::{OverSocket, entry};
use crate::exchange::panic_text;
use crate::gateway::RefreshKeys;
use crate::ports::Ports;
use crate::published::{DRAIN_PATIENCE, Shared};
use crate::routes;
use crate::thread::{Gateway, Thread};
use actix_web::body::BoxBody;
use actix_web::dev::{Extensions, Server, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::UnixStream;
use actix_web::{App, HttpServer, web};
use actix_web_lab::middleware::{CatchPanic, PanicReporter};
use runtime::Port;
use socket2::SockRef;
use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// How long an idle connection is kept: longer than the pools of common clients keep theirs, so that the client closes first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take for the head of its request.
const SLOW_HEAD: Duration = Duration::from_secs(30);
/// Connections for each worker thread; beyond, they wait to be accepted.
const CONNECTIONS: usize = 25_000;
/// How long actix waits for running answers when it stops: they end by themselves, with an error event, a little before.
const STOP_PATIENCE: Duration = DRAIN_PATIENCE.saturating_add(Duration::from_secs(2));

/// Sockets that are bound already.
pub struct Listeners {
    /// The address of `[server] listen`; none for a daemon that serves one command in its own process.
    pub tcp: Option<TcpListener>,
    /// The socket of the command line; only its owner may be able to open it.
    pub unix: Option<UnixListener>,
}

/// Connections that may wait to be accepted: std asks for 128, too few for a burst of a thousand. The kernel's `somaxconn` bounds it.
const BACKLOG: i32 = 4096;

/// How long a client may take nothing of what is sent to it, or not say that it got it. Then its connection is closed, and what it had asked
/// for is cancelled: one that stops reading in the middle of an answer would hold its place at a provider for as long as it likes.
const SEND_PATIENCE: Duration = Duration::from_secs(60);

/// Binds `[server] listen`.
///
/// # Errors
/// The address is in use, is not of this machine, or may not be bound.
pub fn bind(listen: &str) -> io::Result<TcpListener> {
    bind_with(listen, SEND_PATIENCE)
}

/// Binds with another patience for clients that do not read.
pub(crate) fn bind_with(listen: &str, patience: Duration) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(listen)?;
    let socket = SockRef::from(&listener);
    // Listening again on the same socket only changes how many may wait.
    socket.listen(BACKLOG)?;
    // actix asks a body for nothing while a connection takes nothing, and has no deadline for that. The kernel has one, which costs nothing for
    // each piece; every connection inherits it.
    socket.set_tcp_user_timeout(Some(patience))?;
    Ok(listener)
}

/// A server that runs as long as it is awaited.
#[must_use = "the server only runs while `Running::wait` is awaited"]
pub struct Running {
    server: Server,
}

impl Running {
    /// A handle to stop it with, from anywhere.
    pub fn stopper(&self) -> Stopper {
        Stopper { handle: self.server.handle() }
    }

    /// Runs until it is stopped.
    ///
    /// # Errors
    /// A worker thread could not be started.
    pub async fn wait(self) -> io::Result<()> {
        self.server.await
    }
}

/// Stops a server.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
}

impl Stopper {
    /// Closes the sockets. Gracefully: running answers may end (at most 27 seconds), else they are dropped at once. Resolves when
    /// every worker has ended.
    pub async fn stop(&self, graceful: bool) {
        self.handle.stop(graceful).await;
    }
}

/// Starts worker threads on `listeners`. `shared` is what the HttpGateway actor publishes, `refresh` its port. Ask [`RefreshKeys`] once
/// before: a request that comes earlier is refused.
///
/// # Errors
/// A socket cannot be used, or there is none.
pub fn serve(
    listeners: Listeners,
    shared: Arc<Shared>,
    ports: Ports,
    refresh: Port<RefreshKeys>,
) -> io::Result<Running> {
    if listeners.tcp.is_none() && listeners.unix.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no socket to serve on"));
    }
    let workers = match shared.now().config.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    };
    let gateway = Arc::new(Gateway { shared, ports, refresh, metrics: Arc::default() });
    let server = HttpServer::new(move || app(thread(&gateway)))
        .workers(workers)
        .on_connect(mark_socket)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(SLOW_HEAD)
        .max_connections(CONNECTIONS)
        // Without this a client's leaving is noticed only when a write fails: a model could think on for minutes, for nobody.
        .h1_allow_half_closed(false)
        // Without this every first token is 42 ms late.
        .tcp_nodelay(true)
        .shutdown_timeout(STOP_PATIENCE.as_secs())
        // The daemon has its own order of ending.
        .disable_signals();
    let server = match listeners.tcp {
        Some(tcp) => server.listen(tcp)?,
        None => server,
    };
    let server = match listeners.unix {
        Some(unix) => server.listen_uds(unix)?,
        None => server,
    };
    Ok(Running { server: server.run() })
}

fn mark_socket(connection: &dyn Any, extensions: &mut Extensions) {
    if connection.is::<UnixStream>() {
        extensions.insert(OverSocket);
    }
}

thread_local! {
    /// The threads' own parts. A worker builds its application once for each socket; what it has of its own is made once.
    static THREADS: RefCell<Vec<Weak<Thread>>> = const { RefCell::new(Vec::new()) };
}

/// This worker thread's own part of `gateway`.
fn thread(gateway: &Arc<Gateway>) -> Rc<Thread> {
    THREADS.with_borrow_mut(|threads| {
        threads.retain(|thread| thread.strong_count() > 0);
        let known = threads.iter().filter_map(Weak::upgrade).find(|thread| Arc::ptr_eq(&thread.gateway, gateway));
        known.unwrap_or_else(|| {
            let own = (gateway.ports.threads)();
            let thread = Rc::new(Thread { gateway: Arc::clone(gateway), own });
            threads.push(Rc::downgrade(&thread));
            thread
        })
    })
}

/// The application of one worker thread.
pub(crate) fn app(
    thread: Rc<Thread>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let outermost = Rc::clone(&thread);
    App::new()
        .app_data(thread)
        .default_service(web::to(routes::answer))
        .wrap(PanicReporter::new(|panic| tracing::error!(panic = panic_text(panic), "a request's handler crashed")))
        .wrap(CatchPanic::default())
        // Boxed, so that the room for it is given back once the head is sent: a stream may stay for minutes, a connection longer.
        .wrap(from_fn(move |request, next| Box::pin(entry(Rc::clone(&outermost), request, next))))
}
