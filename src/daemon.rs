//! The daemon's life: bind, start the actors, serve, watch for signals, reload, drain.
//!
//! The main thread is the warden: it supervises from outside and takes part in no request. Only `main` ends the process.

use crate::cli::Exit;
use crate::config::{self, Loaded, Options, Settings};
use crate::systemd;
use crate::warden::{self, Warden};
use crate::watch::WatchThread;
use crate::wiring::{self, Actors, Parts, ToldProviders};
use anyhow::{Context as _, anyhow};
use arc_swap::ArcSwap;
use contract::BoxFuture;
use contract::alerts::Severity;
use contract::clock::{Clock as _, SharedClock};
use contract::message::Fault;
use http_gateway::{DaemonControl, Stopper};
use runtime::{ActorState, Event, Supervision, SystemClock, SystemIds};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// How often the configuration file is looked at.
const FILE_PERIOD: Duration = Duration::from_secs(2);
/// How often it is looked how the actors and providers do.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// How long running answers may take to come to their end; the gateway ends them with an error event after it.
const DRAIN: Duration = Duration::from_secs(28);

/// Where the daemon listens.
pub enum Listen {
    /// As configured, and on the unix socket beside the store.
    Public,
    /// On the configured address, or any free port if that is taken: for the demo on its defaults.
    PublicOrFree,
    /// On this unix socket alone: for one question in this process.
    Private(PathBuf),
}

/// Changes a configuration that was read.
pub type Amend = Box<dyn Fn(&mut Settings)>;

/// A daemon about to start.
pub struct Launch {
    /// The configuration.
    pub loaded: Loaded,
    /// Where a reload finds it.
    pub options: Options,
    /// Where to listen.
    pub listen: Listen,
    /// What is changed in every configuration that is read: a demo adds its simulated cluster.
    pub amend: Option<Amend>,
}

/// A started daemon, before it serves for good.
pub struct Daemon {
    actors: Actors,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    stopper: Stopper,
    supervision: Supervision,
    warden: Arc<Warden>,
    clock: SharedClock,
    control: Arc<Control>,
    events: mpsc::Receiver<Event>,
    reloads: mpsc::Receiver<Reload>,
    options: Options,
    amend: Option<Amend>,
    loaded: Loaded,
    file_seen: Option<SystemTime>,
    socket: PathBuf,
    /// The address that is listened on, if any.
    pub address: Option<std::net::SocketAddr>,
}

/// Somebody asks for a reload.
struct Reload {
    answer: oneshot::Sender<Result<u64, Vec<String>>>,
}

/// What the gateway may ask of the daemon.
struct Control {
    supervision: Supervision,
    reloads: mpsc::Sender<Reload>,
    faults: bool,
    route: ArcSwap<Arc<str>>,
}

impl DaemonControl for Control {
    fn reload(&self) -> BoxFuture<'static, Result<u64, Vec<String>>> {
        let reloads = self.reloads.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let busy = || vec!["another reload is under way; try again in a moment".to_owned()];
            reloads.try_send(Reload { answer }).map_err(|_| busy())?;
            answered.await.unwrap_or_else(|_| Err(vec!["HAIA is shutting down".to_owned()]))
        })
    }

    fn crash(&self, actor: &str) -> Option<Result<(), Fault>> {
        self.supervision.crash(actor)
    }

    fn faults_enabled(&self) -> bool {
        self.faults
    }

    fn required_actors_running(&self) -> Result<(), String> {
        let down = self.supervision.stats().into_iter().find(|(stats, required)| {
            *required && !matches!(stats.state(), ActorState::Running | ActorState::Restarting)
        });
        down.map_or(Ok(()), |(stats, _)| Err(format!("{} is {}", stats.name(), stats.state().as_str())))
    }

    fn default_route(&self) -> Arc<str> {
        Arc::clone(&self.route.load())
    }
}

/// Runs `work` on the main thread's system.
///
/// # Errors
/// The system gives no runtime.
pub fn block_on<R>(work: impl Future<Output = R>) -> R {
    actix_rt::System::new().block_on(work)
}

impl Daemon {
    /// Binds, starts every actor, and begins to serve.
    ///
    /// # Errors
    /// An address is taken, a folder is missing, the store was made by a newer version: in words, with what to do.
    pub async fn start(launch: Launch) -> anyhow::Result<Self> {
        let Launch { mut loaded, options, listen, amend } = launch;
        if let Some(amend) = &amend {
            amend(&mut loaded.settings);
        }
        systemd::raise_descriptor_limit();
        let store_path = options.directory.join(&loaded.settings.store.path);
        let (tcp, socket) = match &listen {
            Listen::Private(socket) => (None, socket.clone()),
            Listen::Public => (Some(bind(&loaded.settings.server.listen)?), config::socket_beside(&store_path)),
            Listen::PublicOrFree => {
                let bound = bind(&loaded.settings.server.listen).or_else(|_| bind("127.0.0.1:0"))?;
                (Some(bound), config::socket_beside(&store_path))
            }
        };
        let address = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
        if UnixStream::connect(&socket).is_ok() {
            return Err(anyhow!(
                "another HAIA already uses this store (its socket {} answers): stop it, or give this one another store.path",
                socket.display()
            ));
        }

        let real = SystemClock::real().now();
        let origin = match store::origin(&store_path, real) {
            Ok(origin) => origin,
            Err(error) => {
                // Chat goes on without a store; time then counts from now.
                tracing::error!(%error, "the store cannot be used");
                real
            }
        };
        let clock: SharedClock = Arc::new(SystemClock::accelerated(origin, loaded.time_factor));
        if loaded.time_factor > 1.0 {
            tracing::warn!(factor = loaded.time_factor, "HAIA_TIME_FACTOR: HAIA's time runs faster than the world's");
        }
        if loaded.faults {
            tracing::warn!("HAIA_FAULTS: faults may be injected by callers with an admin key");
        }

        let (report, events) = mpsc::channel(256);
        let supervision = Supervision::new(move |event| {
            if let Err(error) = report.try_send(event) {
                tracing::error!(%error, "an event of supervision was lost");
            }
        });
        let (ask_reload, reloads) = mpsc::channel(1);
        let control = Arc::new(Control {
            supervision: supervision.clone(),
            reloads: ask_reload,
            faults: loaded.faults,
            route: ArcSwap::from_pointee(Arc::from(loaded.settings.agent.route.as_str())),
        });
        let warden: Arc<Warden> = Arc::default();
        warden.reloaded();
        let actors = wiring::start(Parts {
            settings: loaded.settings.clone(),
            clock: Arc::clone(&clock),
            ids: Arc::new(SystemIds),
            origin,
            address,
            supervision: supervision.clone(),
            warden: Arc::clone(&warden),
            control: control.clone(),
            time_factor: loaded.time_factor,
            is_for_one_command: matches!(listen, Listen::Private(_)),
        })?;
        // Without a configured key only the store knows who may come in, so nobody may before it was asked. With one its holders need not
        // wait for a large store to be opened.
        if loaded.settings.server.keys.is_empty()
            && let Err(problem) = actors.read_keys().await
        {
            tracing::warn!(problem, "the stored keys are not known");
        }
        let unix = bind_socket(&socket).inspect_err(|error| tracing::warn!("{error:#}")).ok();
        if unix.is_none() && tcp.is_none() {
            return Err(anyhow!("there is nowhere to listen: {} cannot be used", socket.display()));
        }
        let running = actors.serve(tcp, unix)?;
        let stopper = running.stopper();
        #[expect(clippy::disallowed_methods, reason = "the daemon owns it, and ends with it")]
        let server = actix_rt::spawn(running.wait());
        let file_seen = loaded.file.as_deref().and_then(modified);
        Ok(Self {
            actors,
            server,
            stopper,
            supervision,
            warden,
            clock,
            control,
            events,
            reloads,
            options,
            amend,
            loaded,
            file_seen,
            socket,
            address,
        })
    }

    /// The actors, for commands that run one in their own process.
    pub fn actors(&self) -> &Actors {
        &self.actors
    }

    /// HAIA's time.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    /// Whether the store holds a key. A store that cannot tell counts as one without.
    pub async fn has_stored_keys(&self) -> bool {
        self.actors.stored_keys().await.is_ok_and(|keys| !keys.is_empty())
    }

    /// The first model of the default route that is not the built-in responder.
    pub async fn first_model(&self) -> Option<String> {
        self.actors.first_model(&self.control.default_route()).await
    }

    /// Waits until every provider told its models, or did not, and every cluster was looked at, for a few seconds at most: a question asked at
    /// once shall reach a model, and that one's tools shall know something.
    pub async fn first_looks(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let began = self.clock.monotonic();
        while (self.actors.providers_unknown().await || self.actors.clusters_unseen().await)
            && self.clock.monotonic().saturating_sub(began) < PATIENCE
        {
            self.clock.pause(Duration::from_millis(20)).await;
        }
    }

    /// Serves until a signal, or until a required actor gave up. The exit code.
    ///
    /// # Errors
    /// The system refuses signals or threads.
    pub async fn run(mut self) -> anyhow::Result<Exit> {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
        let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?;
        let watch = WatchThread::start(self.supervision.clone(), Arc::clone(&self.warden), Arc::clone(&self.clock))
            .context("the watchdog's thread cannot be started")?;
        if let Some(address) = self.address {
            tracing::info!(%address, "listening");
        }
        systemd::ready("serving");
        let mut look_at_file = self.clock.pause(FILE_PERIOD);
        let (mut look, mut told) = (self.clock.pause(LOOK_PERIOD), ToldProviders::default());
        let code = loop {
            tokio::select! {
                _ = terminate.recv() => break Exit::Done,
                _ = interrupt.recv() => break Exit::Done,
                _ = hangup.recv() => self.reload("SIGHUP").await,
                () = &mut look_at_file => {
                    look_at_file = self.clock.pause(FILE_PERIOD);
                    if self.file_changed() {
                        self.reload("the file changed").await;
                    }
                }
                () = &mut look => {
                    look = self.clock.pause(LOOK_PERIOD);
                    let actors: Vec<_> = self.supervision.stats().iter().map(|(stats, _)| stats.name()).collect();
                    self.warden.report_actors(&actors, self.clock.now()).await;
                    let generation = self.warden.generation();
                    self.actors.report_providers(&mut told, generation, self.clock.now()).await;
                }
                Some(reload) = self.reloads.recv() => {
                    let outcome = self.try_reload("the API").await;
                    // Whoever asked may have left; the outcome is in the log and in /status too.
                    let _ = reload.answer.send(outcome);
                }
                Some(event) = self.events.recv() => if self.take(event) { break Exit::GaveUp },
                ended = &mut self.server => {
                    tracing::error!(?ended, "the HTTP server ended by itself");
                    break Exit::GaveUp;
                }
            }
        };
        self.end(code, terminate, interrupt).await;
        drop(watch);
        Ok(code)
    }

    /// Brings everything to its end, in order: new work, running streams, actors, the store last.
    async fn end(
        self,
        code: Exit,
        mut terminate: tokio::signal::unix::Signal,
        mut interrupt: tokio::signal::unix::Signal,
    ) {
        tracing::info!(code = code.code(), "stopping");
        systemd::stopping();
        self.actors.drain().await;
        let ended = async {
            // As long as somebody is being answered, who comes anew is told that HAIA shuts down rather than find nobody.
            self.actors.idle(&self.clock).await;
            self.stopper.stop(true).await;
        };
        tokio::select! {
            () = ended => {}
            () = self.clock.pause(DRAIN) => tracing::warn!("some answers did not come to their end"),
            // A second signal means now.
            _ = terminate.recv() => tracing::warn!("a second signal: not waiting for running answers"),
            _ = interrupt.recv() => tracing::warn!("a second signal: not waiting for running answers"),
        }
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the socket's file was not removed");
        }
        self.actors.stop().await;
        tracing::info!("stopped");
    }

    /// Ends a daemon that ran for one question.
    pub async fn stop(self) {
        self.actors.drain().await;
        self.stopper.stop(true).await;
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the socket's file was not removed");
        }
        self.actors.stop().await;
    }

    fn file_changed(&mut self) -> bool {
        let now = self.loaded.file.as_deref().and_then(modified);
        let changed = now.is_some() && now != self.file_seen;
        if changed {
            self.file_seen = now;
        }
        changed
    }

    async fn reload(&mut self, why: &'static str) {
        // Told in the log and in /status.
        let _ = self.try_reload(why).await;
    }

    /// All or nothing: an invalid configuration changes nothing.
    async fn try_reload(&mut self, why: &'static str) -> Result<u64, Vec<String>> {
        systemd::reloading();
        let outcome = self.replace().await;
        match &outcome {
            Ok(generation) => tracing::info!(why, generation, "configuration reloaded"),
            Err(problems) => {
                for problem in problems {
                    tracing::error!(why, problem, "configuration not reloaded");
                }
                self.warden.reload_failed(problems.join("\n"));
            }
        }
        systemd::ready("serving");
        outcome
    }

    async fn replace(&mut self) -> Result<u64, Vec<String>> {
        let mut new = config::load(&self.options)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<String>>())?;
        if let Some(amend) = &self.amend {
            amend(&mut new.settings);
        }
        let changes = config::diff(&self.loaded.settings, &new.settings);
        if !changes.needs_restart.is_empty() {
            return Err(changes.refusals());
        }
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        // What only a start reads stays as it was started with.
        new.time_factor = self.loaded.time_factor;
        new.faults = self.loaded.faults;
        self.actors.reconfigure(new.settings.clone(), &changes).await.map_err(|error| vec![format!("{error:#}")])?;
        self.control.route.store(Arc::new(Arc::from(new.settings.agent.route.as_str())));
        self.loaded = new;
        Ok(self.warden.reloaded())
    }

    /// Logs an event of supervision. `true` if the daemon must end.
    fn take(&self, event: Event) -> bool {
        match event {
            Event::Panicked { actor, panic } => {
                tracing::error!(actor, panic, "actor crashed; it is being built afresh");
                false
            }
            Event::Restarted { actor, count } => {
                tracing::warn!(actor, restarts = count, "actor runs again");
                false
            }
            Event::GaveUp { actor, required } => {
                tracing::error!(actor, required, "actor crashed too often and was given up");
                let severity = Some(if required { Severity::Critical } else { Severity::Warning });
                let said = "crashed too often and was given up";
                self.warden.found(warden::finding(actor, said, severity, self.clock.now()));
                required
            }
        }
    }
}

/// Whether a daemon with this configuration's store answers on its socket.
pub fn is_running(loaded: &Loaded, options: &Options) -> bool {
    let store = options.directory.join(&loaded.settings.store.path);
    UnixStream::connect(config::socket_beside(&store)).is_ok()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}

fn bind(listen: &str) -> anyhow::Result<TcpListener> {
    http_gateway::bind(listen).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; another program listens there: stop it, or set server.listen to another port"
            }
            std::io::ErrorKind::PermissionDenied => "; choose a port from 1024",
            std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
            _ => "",
        };
        anyhow!("cannot listen on {listen}: {error}{advice}")
    })
}

/// Binds the unix socket for its owner alone. A file that a killed daemon left behind is replaced; that no living one answers was checked.
fn bind_socket(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    if path.exists() {
        std::fs::remove_file(path).with_context(|| format!("{} cannot be replaced", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(|| format!("the socket {} cannot be made", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("{} cannot be kept for its owner", path.display()))?;
    listener.set_nonblocking(true).context("the socket cannot be used")?;
    Ok(listener)
}
