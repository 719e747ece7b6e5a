//! The servers under test: started on a core of their own, watched from outside through `/proc`, killed in the end.

use crate::provider;
use clap::ValueEnum;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A key as long as HAIA's own.
const KEY: &str = "haia-key-bench-0123456789abcdef";
/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The plain relay of this program.
    Relay,
    /// nginx as a plain proxy, where it is installed.
    Nginx,
    /// HAIA, a model as it is.
    Haia,
    /// HAIA's agent.
    Agent,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Relay => "relay",
            Kind::Nginx => "nginx",
            Kind::Haia => "haia",
            Kind::Agent => "haia, agent",
        }
    }
}

/// Where everything plays.
pub struct Stage {
    provider: SocketAddr,
    haia: PathBuf,
    pinned: bool,
    folder: TempDir,
}

/// Keeps this process to the first core, so that the server has another for itself. Whether that worked.
pub fn pin_this_process() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let own = std::process::id().to_string();
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-p", "-c", "0", &own]).stdout(Stdio::null()).stderr(Stdio::null());
    cores > 1 && taskset.status().is_ok_and(|status| status.success())
}

impl Stage {
    /// Starts the provider.
    pub fn new(haia: Option<PathBuf>, pinned: bool) -> Self {
        let beside = || {
            let own = std::env::current_exe().expect("this program has a path");
            own.parent().and_then(Path::parent).expect("target/release/examples").join("haia")
        };
        let haia = haia.unwrap_or_else(beside);
        let haia = haia.canonicalize().unwrap_or_else(|error| {
            panic!(
                "{} cannot be used ({error}): build it with cargo build --release, or name another with --haia",
                haia.display()
            )
        });
        let folder = tempfile::tempdir().expect("a folder of our own");
        Self { provider: provider::start(), haia, pinned, folder }
    }

    /// Whether a server of this kind can be started here.
    pub fn has(&self, kind: Kind) -> bool {
        let nginx =
            || Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        kind != Kind::Nginx || nginx()
    }

    /// Starts a server and waits until it answers.
    pub fn start(&self, kind: Kind) -> Server {
        let begun = Instant::now();
        let mut server = match kind {
            Kind::Relay => self.relay(),
            Kind::Nginx => self.nginx(),
            Kind::Haia => self.haia("mock/"),
            Kind::Agent => self.haia("haia/"),
        };
        while TcpStream::connect(server.address).is_err() {
            let ended = server.child.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "{} does not start in {}: {ended:?}", kind.name(), self.folder.path().display());
            assert!(begun.elapsed() < PATIENCE, "{} does not listen on {}", kind.name(), server.address);
            std::thread::park_timeout(Duration::from_millis(1));
        }
        server.began = begun;
        server
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = if self.pinned {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", "1"]).arg(program);
            taskset
        } else {
            Command::new(program)
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(self.folder.path());
        command
    }

    fn relay(&self) -> Server {
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = self.command(&own);
        let mut child =
            command.arg("--relay").arg(self.provider.to_string()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output is ours")).read_line(&mut line).expect("its address");
        Server::new(child, line.trim().parse().expect("an address"), "", None)
    }

    fn nginx(&self) -> Server {
        let (address, folder) = (free_address(), self.folder.path().display());
        let provider = self.provider;
        let text = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log /dev/null; worker_rlimit_nofile 65536;\n\
             events {{ worker_connections 20000; }}\n\
             http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
             uwsgi_temp_path {folder}; scgi_temp_path {folder}; keepalive_requests 100000000; tcp_nodelay on;\n\
             upstream provider {{ server {provider}; keepalive 1024; keepalive_requests 100000000; }}\n\
             server {{ listen {address} backlog=4096; location / {{ proxy_pass http://provider; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n"
        );
        let path = self.folder.path().join("nginx.conf");
        std::fs::write(&path, text).expect("the folder can be written");
        let child = self.command(Path::new("nginx")).arg("-p").arg(self.folder.path()).arg("-c").arg(&path).spawn();
        Server::new(child.expect("it starts"), address, "", None)
    }

    fn haia(&self, models: &'static str) -> Server {
        let (address, provider) = (free_address(), self.provider);
        let entries = |prefix: &str| provider::MODELS.map(|model| format!("\"{prefix}{model}\"")).join(", ");
        let routes: String = provider::MODELS.iter().map(|model| format!("{model} = [\"mock/{model}\"]\n")).collect();
        let text = format!(
            "[server]\nlisten = \"{address}\"\nworkers = 1\n[server.keys.bench]\nkey = \"{KEY}\"\nscope = \"control\"\n\
             [store]\npath = \"haia.db\"\n[agent]\nmax_concurrent_turns = 10000\n\
             [providers.mock]\nkind = \"openai\"\nbase_url = \"http://{provider}/v1\"\napi_key = \"sk-bench\"\nmodels = [{}]\n\
             max_concurrent = 100000\n[routes]\ndefault = [\"mock/mock\"]\n{routes}",
            entries("")
        );
        let path = self.folder.path().join("haia.toml");
        std::fs::write(&path, text).expect("the folder can be written");
        let child = self.command(&self.haia).arg("--config").arg(&path).arg("serve").spawn();
        Server::new(child.expect("it starts"), address, models, Some(KEY))
    }
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// When its start was begun.
    pub began: Instant,
    models: &'static str,
    key: Option<&'static str>,
}

impl Server {
    fn new(child: Child, address: SocketAddr, models: &'static str, key: Option<&'static str>) -> Self {
        Self { child, address, began: Instant::now(), models, key }
    }

    /// A request for one of the provider's models through this server.
    pub fn request(&self, model: &str, stream: bool) -> Vec<u8> {
        crate::client::request(&format!("{}{model}", self.models), stream, self.key)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }

    /// CPU time used so far, in seconds: to a hundredth.
    pub fn cpu(&self) -> f64 {
        let text = std::fs::read_to_string(self.proc("stat")).expect("the server runs");
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> f64 {
        let text = std::fs::read_to_string(self.proc("status")).expect("the server runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0.0)
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).expect("the server runs").count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
