//! What a test's daemon starts with: its configuration, environment and folder.

use super::log::Log;
use super::{DEADLINE, Daemon, eventually};
use crate::sim::{Format, Provider};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A key that may everything.
pub const ADMIN: &str = "haia-key-admin-0123456789abcdef";
/// A key that may chat.
pub const CONTROL: &str = "haia-key-control-0123456789abcdef";
/// A key that may only look.
pub const READ: &str = "haia-key-read-0123456789abcdef";

/// A daemon to be.
pub struct Setup {
    server: String,
    rest: String,
    environment: Vec<(String, String)>,
    binary: PathBuf,
    folder: Arc<TempDir>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Two workers on any free port, a key of each scope, and nothing else.
    pub fn new() -> Self {
        let mut server = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n".to_owned();
        for (scope, key) in [("admin", ADMIN), ("control", CONTROL), ("read", READ)] {
            let _ = write!(server, "[server.keys.{scope}]\nkey = \"{key}\"\nscope = \"{scope}\"\n");
        }
        Self::with_server(&server)
    }

    /// Only what `config` says.
    pub fn with_server(config: &str) -> Self {
        Self {
            server: config.to_owned(),
            rest: String::new(),
            environment: Vec::new(),
            binary: binary(),
            folder: Arc::new(TempDir::new().expect("a folder of our own")),
        }
    }

    /// A daemon with the three formats of `provider` behind it, named by their kinds, and a route for each agent that is scripted.
    pub fn with_sim(provider: &Provider) -> Self {
        let mut setup = Self::new();
        for format in Format::ALL {
            setup = setup.provider(format, format.kind(), &provider.url(), "");
            for model in ["agent", "agent-thinking", "mixed", "caller"] {
                setup = setup.route(&format!("{}-{model}", format.kind()), &[&format!("{}/{model}", format.kind())]);
            }
        }
        setup.route("default", &["openai/agent"])
    }

    /// Adds a provider. `root` is its URL without a path.
    pub fn provider(self, format: Format, name: &str, root: &str, more: &str) -> Self {
        let version = if format == Format::OpenAi { "/v1" } else { "" };
        let key = if format == Format::Ollama { "" } else { "api_key = \"sk-sim-0123456789\"\n" };
        let kind = format.kind();
        self.config(&format!("[providers.{name}]\nkind = \"{kind}\"\nbase_url = \"{root}{version}\"\n{key}{more}\n"))
    }

    /// Adds a route.
    pub fn route(self, name: &str, entries: &[&str]) -> Self {
        let entries: Vec<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
        let line = format!("{name} = [{}]\n", entries.join(", "));
        if self.rest.contains("[routes]\n") {
            return Self { rest: self.rest.replace("[routes]\n", &format!("[routes]\n{line}")), ..self };
        }
        self.config(&format!("[routes]\n{line}"))
    }

    /// Adds to the configuration.
    pub fn config(mut self, more: &str) -> Self {
        self.rest.push_str(more);
        self
    }

    /// Corrects the configuration that was added.
    pub fn replace(mut self, wrong: &str, right: &str) -> Self {
        self.rest = self.rest.replace(wrong, right);
        self
    }

    /// Adds to the `[server]` table itself.
    pub fn server(mut self, line: &str) -> Self {
        self.server = self.server.replacen("[server]\n", &format!("[server]\n{line}\n"), 1);
        self
    }

    /// Sets a variable of its environment, which is empty otherwise.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses a folder of an earlier daemon.
    pub fn folder(mut self, folder: Arc<TempDir>) -> Self {
        self.folder = folder;
        self
    }

    /// The configuration as it will be written.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.server, self.rest)
    }

    /// Where the configuration will be written.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("haia.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        std::fs::write(self.path(), self.text()).expect("the folder can be written");
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .args(["--config", "haia.toml"])
            .args(arguments);
        command
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let daemon = self.start_unready();
        eventually("the daemon to be ready", || (daemon.get("/ready").status == 200).then_some(()));
        daemon
    }

    /// Starts the daemon and waits until it listens.
    pub fn start_unready(&self) -> Daemon {
        let mut child = self.spawn(&["--log-format", "json", "serve"]);
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Log::collect(stderr);
        // Killed with the daemon, should the address never come.
        let mut daemon = Daemon {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            log: Arc::clone(&log),
            folder: Arc::clone(&self.folder),
        };
        daemon.address = log.wait_for_address();
        daemon
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()))
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        // The command must end by itself; a daemon that starts after all is killed rather than waited for.
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let collect = |source: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut source) = source {
                    let _ = source.read_to_end(&mut bytes);
                }
                bytes
            })
        };
        let stdout = collect(stdout.map(|pipe| Box::new(pipe) as _));
        let stderr = collect(stderr.map(|pipe| Box::new(pipe) as _));
        let begun = std::time::Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                break status;
            }
            if begun.elapsed() > DEADLINE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("haia {arguments:?} does not end; it wrote {}", lossy(stderr.join().unwrap_or_default()));
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        };
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        Output { status, stdout, stderr }
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The binary under test: `HAIA_BIN`, or the one that was built with these tests.
pub fn binary() -> PathBuf {
    match (std::env::var_os("HAIA_BIN"), option_env!("CARGO_BIN_EXE_haia")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(path)) => Path::new(path).to_owned(),
        (None, None) => panic!("set HAIA_BIN to the binary to test"),
    }
}
