//! The configuration: built-in defaults, the file, the shorthands of a first run, `HAIA_…` variables (a `.env` beneath them), the command
//! line; each layer over the one before. Everything that is wrong comes out at once, with its place.
//!
//! Reads files and nothing else: it starts nothing and opens no connection. No message of it holds a secret.

mod de;
mod diff;
mod environment;
mod keys;
mod node;
mod origin;
mod overrides;
mod parse;
mod print;
mod problem;
mod schema;
mod secrets;
mod section;
mod settings;
mod shorthands;
mod spelling;
#[cfg(test)]
mod tests;
mod texts;

pub use diff::{Changes, diff};
pub use environment::Environment;
pub use node::Node;
pub use origin::Origin;
pub use overrides::Override;
pub use print::{Line, lines, text};
pub use problem::Problem;
pub use settings::{Settings, keys_missing, needs_keys};

use contract::caller::Scope;
use problem::tidy;
use schema::Shape;
use secrets::Sources;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file in the working directory.
const LOCAL_FILE: &str = "haia.toml";
/// The file of the system.
const SYSTEM_FILE: &str = "/etc/haia/haia.toml";
/// Where the packaged service keeps its store: the unit's state directory.
const SYSTEM_STATE: &str = "/var/lib/haia";
/// The fastest that HAIA's time may run.
const MAX_TIME_FACTOR: f64 = 100_000.0;

/// Where the configuration is looked for.
#[derive(Clone)]
pub struct Options {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// What the command line sets.
    pub overrides: Vec<Override>,
    /// The process's environment, without any `.env`: that is read afresh with each load.
    pub environment: Environment,
    /// The working directory.
    pub directory: PathBuf,
}

/// A configuration without problems.
pub struct Loaded {
    /// What the actors are started with.
    pub settings: Settings,
    /// What is worth a warning in the log.
    pub warnings: Vec<Problem>,
    /// The merged layers, for `haia config print`.
    pub document: Node,
    /// The file, if there is one: a reload watches it.
    pub file: Option<PathBuf>,
    /// How many times faster than the world HAIA's own time runs (`HAIA_TIME_FACTOR`); 1 unless set.
    pub time_factor: f64,
    /// Whether faults may be injected (`HAIA_FAULTS=1`).
    pub faults: bool,
    /// The environment with the `.env` file: for what children inherit, and for telemetry.
    pub environment: Environment,
}

/// Reads, merges and checks the whole configuration.
///
/// # Errors
/// Every problem found, sorted by place.
pub fn load(options: &Options) -> Result<Loaded, Vec<Problem>> {
    let shape = schema::shape();
    let merged = merge(options, &shape);
    let Merged { mut document, file, folder, environment, mut problems, mut warnings, broken, .. } = merged;
    let time_factor = time_factor(&environment, &mut problems);
    let faults = faults(&environment, &mut problems);
    if broken {
        return Err(tidy(problems));
    }
    let skip = schema::unused(&document);
    for path in &skip {
        let name = node::join(path);
        let node = document.nearest(path);
        let what = if schema::is_section(node) { format!("[{name}]") } else { format!("\"{name}\"") };
        warnings.push(Problem::at(&node.origin, format!("{what} is not used by this version")));
    }
    let sources = Sources { environment: &environment, folder: &folder };
    secrets::resolve(&mut document, &shape, &skip, &sources, &mut problems, &mut warnings);
    let settings = Settings::read(&document, &folder, &environment, &mut problems);
    if !problems.is_empty() {
        return Err(tidy(problems));
    }
    warnings.extend(settings::doubts(&document, &settings));
    settings.complete(&mut document);
    let warnings = tidy(warnings);
    Ok(Loaded { settings, warnings, document, file, time_factor, faults, environment })
}

/// What a command needs that only talks to the daemon, or to its store while none runs.
pub struct Located {
    /// Where the daemon's socket may be, best first: beside the store; where no store is named also where a demo keeps its own.
    pub sockets: Vec<PathBuf>,
    /// `[store]`, its path joined to the folder that it begins at.
    pub store: store::Config,
    /// The names and scopes of `[server.keys]`; the keys themselves stay unread.
    pub keys: Vec<(String, Scope)>,
}

/// Finds daemon and store. Secrets stay unread, and sections that do not matter here may be wrong: a command must work from a shell that
/// lacks the daemon's environment, and when a reload was refused.
///
/// # Errors
/// The file cannot be read, or `[store]` is wrong.
pub fn locate(options: &Options) -> Result<Located, Vec<Problem>> {
    let shape = schema::shape();
    let merged = merge(options, &shape);
    let mut problems: Vec<Problem> = if merged.unreadable { merged.problems } else { Vec::new() };
    let mut store: store::Config = section::read(&merged.document, &["store"], &mut problems);
    problems.extend(section::place(&merged.document, "store", store.validate()));
    if !problems.is_empty() {
        return Err(tidy(problems));
    }
    // The service's working directory is its state directory, the caller's is not.
    let of_service = Path::new(SYSTEM_STATE).join(&store.path);
    if merged.file.as_deref() == Some(Path::new(SYSTEM_FILE)) && of_service.exists() {
        store.path = of_service;
    } else {
        store.path = options.directory.join(&store.path);
    }
    let mut sockets = vec![socket_beside(&store.path)];
    if merged.document.at(&["store", "path"]).is_none() && is_ours(&crate::demo::folder()) {
        sockets.push(socket_beside(&crate::demo::folder().join(store::Config::default().path)));
    }
    let keys = merged.document.at(&["server", "keys"]).map(Node::entries).unwrap_or_default();
    let keys = keys.iter().map(|(name, key)| (name.clone(), scope_of(key))).collect();
    Ok(Located { sockets, store, keys })
}

/// Whether a folder is the caller's own and nobody else may write to it: in a folder for everybody's temporary files anyone could wait for
/// questions at a socket of that name.
fn is_ours(folder: &Path) -> bool {
    let (Ok(folder), Ok(process)) = (std::fs::symlink_metadata(folder), std::fs::metadata("/proc/self")) else {
        return false;
    };
    folder.is_dir() && folder.uid() == process.uid() && folder.mode() & 0o022 == 0
}

/// The scope that a key of the file has; the default where what is written cannot be read.
fn scope_of(key: &Node) -> Scope {
    match key.child("scope").map(|node| &node.value) {
        Some(node::Value::Text(text)) if text == Scope::Read.as_str() => Scope::Read,
        Some(node::Value::Text(text)) if text == Scope::Admin.as_str() => Scope::Admin,
        _ => Scope::Control,
    }
}

/// The unix socket of a daemon whose store is this file.
pub fn socket_beside(store: &Path) -> PathBuf {
    store.with_file_name("haia.sock")
}

/// All layers as one, before secrets are read and sections are judged.
struct Merged {
    document: Node,
    file: Option<PathBuf>,
    folder: PathBuf,
    environment: Environment,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The file is no TOML: what else it says cannot be judged.
    broken: bool,
    /// The file is named or exists, and cannot be read at all.
    unreadable: bool,
}

fn merge(options: &Options, shape: &Shape) -> Merged {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let found = find(options, &mut problems);
    let unreadable = found.is_none() && !problems.is_empty();
    let folder = match found.as_ref().and_then(|found| found.path.parent()) {
        Some(folder) => folder.to_owned(),
        None => options.directory.clone(),
    };
    let environment = with_dotenv(options, &folder, &mut problems);
    let mut document = Node::empty();
    let mut broken = unreadable;
    if let Some(found) = &found {
        let before = problems.len();
        document = parse::file(&found.text, &found.name, &mut problems);
        broken = problems.len() > before;
        if !broken {
            spelling::check(&mut document, shape, &mut problems);
        }
    }
    let kinds: Vec<&str> = provider_pool::KINDS.iter().map(|kind| kind.name).collect();
    let quick = shorthands::layer(&environment, &document, &kinds, &mut problems, &mut warnings);
    document.merge(quick);
    let mut overrides = overrides::of_environment(&environment, shape, &document, &mut problems);
    spelling::check(&mut overrides, shape, &mut problems);
    document.merge(overrides);
    document.merge(overrides::of_options(&options.overrides, shape));
    Merged {
        document,
        file: found.map(|found| found.path),
        folder,
        environment,
        problems,
        warnings,
        broken,
        unreadable,
    }
}

struct Found {
    path: PathBuf,
    name: Arc<str>,
    text: String,
}

/// Finds and reads the file: the one that is asked for, or the first that exists.
fn find(options: &Options, problems: &mut Vec<Problem>) -> Option<Found> {
    let candidates = match &options.file {
        Some(file) => vec![file.clone()],
        None => vec![PathBuf::from(LOCAL_FILE), PathBuf::from(SYSTEM_FILE)],
    };
    for candidate in candidates {
        let path = options.directory.join(&candidate);
        let name: Arc<str> = Arc::from(candidate.to_string_lossy());
        match std::fs::read_to_string(&path) {
            Ok(text) => return Some(Found { path, name, text }),
            Err(error) if error.kind() == ErrorKind::NotFound && options.file.is_none() => {}
            Err(error) => {
                let advice = match error.kind() {
                    ErrorKind::NotFound => "; check the path after --config",
                    ErrorKind::PermissionDenied => {
                        "; run this as a user who may read it, or name another file with --config"
                    }
                    ErrorKind::InvalidData => "; it must be a text in UTF-8",
                    _ => "",
                };
                let message = format!("the configuration cannot be read: {error}{advice}");
                problems.push(Problem::at(&Origin::line(&name, 0), message));
                return None;
            }
        }
    }
    None
}

fn with_dotenv(options: &Options, folder: &Path, problems: &mut Vec<Problem>) -> Environment {
    let environment = options.environment.clone();
    for name in environment.unreadable().iter().filter(|name| name.starts_with("HAIA_")) {
        problems.push(Problem::at(&environment.origin(name), "the value is not text in UTF-8"));
    }
    let path = folder.join(".env");
    let shown = path.strip_prefix(&options.directory).unwrap_or(&path).to_string_lossy();
    let name: Arc<str> = Arc::from(shown);
    match std::fs::read_to_string(&path) {
        Ok(text) => environment.with_dotenv(&text, &name, problems),
        Err(error) if error.kind() == ErrorKind::NotFound => environment,
        Err(error) => {
            problems.push(Problem::at(&Origin::line(&name, 0), format!("the file cannot be read: {error}")));
            environment
        }
    }
}

fn time_factor(environment: &Environment, problems: &mut Vec<Problem>) -> f64 {
    const NAME: &str = "HAIA_TIME_FACTOR";
    let Some(text) = environment.get(NAME) else { return 1.0 };
    match text.trim().parse::<f64>() {
        Ok(factor) if (1.0..=MAX_TIME_FACTOR).contains(&factor) => factor,
        _ => {
            let message =
                format!("{text:?} is no factor for time: write a number from 1 to {MAX_TIME_FACTOR}, or unset it");
            problems.push(Problem::at(&environment.origin(NAME), message));
            1.0
        }
    }
}

fn faults(environment: &Environment, problems: &mut Vec<Problem>) -> bool {
    const NAME: &str = "HAIA_FAULTS";
    match environment.get(NAME) {
        None | Some("0") => false,
        Some("1") => true,
        Some(text) => {
            let message = format!("{text:?} is neither 1 nor 0: write 1 to allow faults for a rehearsal, or unset it");
            problems.push(Problem::at(&environment.origin(NAME), message));
            false
        }
    }
}
