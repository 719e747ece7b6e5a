//! The composition root as the command line sees it: what of each command needs actors.

use crate::cli::check::Probe;
use crate::cli::keys::{DaemonKeys, Keyring, ListedKey, NewKey};
use crate::cli::output::Output;
use crate::cli::socket::Socket;
use crate::cli::{Exit, Mode, Root, ask};
use crate::config::{self, Environment, Loaded, Located, Node, Options, Override, Settings};
use crate::daemon::{self, Amend, Daemon, Launch, Listen};
use crate::private::Private;
use crate::{demo, probe};
use anyhow::Context as _;
use contract::caller::Scope;
use contract::clock::SharedClock;
use runtime::SystemClock;
use std::path::PathBuf;
use std::sync::Arc;

/// HAIA.
pub struct Haia {
    /// Time.
    pub clock: SharedClock,
}

impl Root for Haia {
    fn serve(&self, loaded: Loaded, options: Options, mode: Mode) -> anyhow::Result<Exit> {
        match mode {
            Mode::Serve => serve(loaded, options),
            Mode::Demo => run_demo(loaded, options),
        }
    }

    fn ask(&self, loaded: Loaded, options: Options, text: &str, output: &mut Output) -> anyhow::Result<Exit> {
        let private = Private::start(loaded, options)?;
        ask::through_daemon(&self.socket(&private)?, text, output)
    }

    fn probe(&self, loaded: Loaded, options: Options) -> anyhow::Result<Vec<Probe>> {
        daemon::block_on(probe::probe_all(loaded, options))
    }

    fn stored_keys(&self, located: &Located) -> anyhow::Result<Box<dyn Keyring>> {
        let loaded = Loaded {
            settings: Settings { store: located.store.clone(), ..Settings::default() },
            warnings: Vec::new(),
            document: Node::empty(),
            file: None,
            time_factor: 1.0,
            faults: false,
            environment: Environment::default(),
        };
        // Nothing is read again: the store's path is whole, and this daemon is never reloaded.
        let options = Options {
            file: None,
            overrides: Vec::new(),
            environment: Environment::default(),
            directory: PathBuf::from("/"),
        };
        let private = Private::start(loaded, options)?;
        let socket = self.socket(&private)?;
        Ok(Box::new(PrivateKeys { socket, _private: private }))
    }
}

impl Haia {
    fn socket(&self, private: &Private) -> anyhow::Result<Socket> {
        Ok(Socket::find(&[private.socket().to_owned()], &self.clock)?)
    }
}

/// The store's keys, through a daemon of this process's own.
struct PrivateKeys {
    socket: Socket,
    _private: Private,
}

impl Keyring for PrivateKeys {
    fn create(&mut self, name: &str, scope: Scope) -> anyhow::Result<NewKey> {
        DaemonKeys(&self.socket).create(name, scope)
    }

    fn list(&mut self) -> anyhow::Result<Vec<ListedKey>> {
        DaemonKeys(&self.socket).list()
    }

    fn revoke(&mut self, name: &str) -> anyhow::Result<bool> {
        DaemonKeys(&self.socket).revoke(name)
    }
}

fn serve(loaded: Loaded, options: Options) -> anyhow::Result<Exit> {
    let unprotected = config::needs_keys(&loaded.settings.server)
        .then(|| config::keys_missing(&loaded.document, &loaded.settings.server).to_string());
    let no_color = loaded.environment.get("NO_COLOR").is_some();
    daemon::block_on(async move {
        let daemon = Daemon::start(Launch { loaded, options, listen: Listen::Public, amend: None }).await?;
        if let Some(problem) = unprotected
            && !daemon.has_stored_keys().await
        {
            daemon.stop().await;
            Output::standard(no_color).problem(&problem);
            return Ok(Exit::Usage);
        }
        daemon.run().await
    })
}

fn run_demo(mut loaded: Loaded, mut options: Options) -> anyhow::Result<Exit> {
    if loaded.document.at(&["store", "path"]).is_none() {
        // A trial leaves nothing behind in the folder it was started in, and is found from every other one.
        let path = demo::folder().join(store::Config::default().path);
        let text = path.to_string_lossy().into_owned();
        options.overrides.push(Override { option: "demo", path: &["store", "path"], text });
        loaded.settings.store.path = path;
    }
    // A cluster that is configured is looked at; else one is simulated, so that there is something to see.
    let mut amend: Option<Amend> = None;
    let mut simulated = None;
    if loaded.settings.clusters.clusters.is_empty() {
        let (cluster, add) = demo::cluster(Arc::new(SystemClock::real()))?;
        simulated = Some(cluster);
        amend = Some(Box::new(add));
    }
    let is_default = loaded.settings.server.listen == http_gateway::Config::default().listen;
    let listen = if is_default { Listen::PublicOrFree } else { Listen::Public };
    let needs_key = !loaded.settings.server.keys.is_empty();
    let program = demo::program(std::env::current_exe().ok().as_deref(), loaded.environment.get("PATH"));
    let mut output = Output::standard(loaded.environment.get("NO_COLOR").is_some());
    daemon::block_on(async move {
        let daemon = Daemon::start(Launch { loaded, options, listen, amend }).await?;
        daemon.first_looks().await;
        let model = daemon.first_model().await;
        if let Some(address) = daemon.address {
            let banner = demo::banner(&program, address, needs_key, model.as_deref(), simulated.is_some());
            output.write(&banner).context("stdout is closed")?;
        }
        let told = demo::tell(daemon.actors().alert_history(), daemon.clock(), |line| output.line(line));
        let exit = tokio::select! {
            exit = daemon.run() => exit,
            () = told => Ok(Exit::Done),
        };
        drop(simulated);
        exit
    })
}
