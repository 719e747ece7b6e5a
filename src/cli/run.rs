//! From a parsed command line to an exit code: which command needs the whole configuration, which only the daemon's socket, and what is
//! said when something is wrong. What starts actors is behind [`Root`].

use super::ask;
use super::check::{self, Probe};
use super::keys::{self, DaemonKeys, Keyring, OfflineKeys};
use super::output::{Output, is_gone};
use super::socket::{Socket, SocketError};
use super::{
    AlertsAction, ApprovalsAction, Arguments, AuditAction, Command, ConfigAction, Exit, JobsAction, KeysAction,
    LogFormat, ServeOptions, alerts, approvals, audit, bridge, config as config_command, jobs, mcp, status, usage,
};
use crate::config::{self, Environment, Loaded, Located, Options};
use crate::telemetry::{self, Form, Telemetry};
use contract::clock::SharedClock;
use std::path::PathBuf;

/// What the commands need of the composition root.
pub trait Root {
    /// Runs the daemon until it is told to end. `options` are for reading the configuration again.
    ///
    /// # Errors
    /// It cannot start.
    fn serve(&self, loaded: Loaded, options: Options, mode: Mode) -> anyhow::Result<Exit>;
    /// Answers one question with actors of its own: with [`super::ask::through_daemon`], or piece by piece with a
    /// [`super::ask::Printer`].
    ///
    /// # Errors
    /// They cannot be started. That there was no answer is told, and is the exit code.
    fn ask(&self, loaded: Loaded, options: Options, text: &str, output: &mut Output) -> anyhow::Result<Exit>;
    /// Probes everything that is configured.
    ///
    /// # Errors
    /// The probes cannot be started. That one fails is its result.
    fn probe(&self, loaded: Loaded, options: Options) -> anyhow::Result<Vec<Probe>>;
    /// The keys of the store, which no daemon has open.
    ///
    /// # Errors
    /// The store cannot be opened.
    fn stored_keys(&self, located: &Located) -> anyhow::Result<Box<dyn Keyring>>;
}

/// Which daemon to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it is configured.
    Serve,
    /// With what a demonstration needs.
    Demo,
}

/// Where the process stands.
pub struct Surroundings {
    /// Its environment.
    pub environment: Environment,
    /// Its working directory.
    pub directory: PathBuf,
    /// Time.
    pub clock: SharedClock,
}

/// Does what the command line asks for.
pub fn run(arguments: Arguments, surroundings: Surroundings, root: &dyn Root, output: &mut Output) -> Exit {
    let command = arguments.command.unwrap_or_else(|| Command::Serve(ServeOptions::default()));
    let overrides = match &command {
        Command::Serve(options) | Command::Demo(options) => options.overrides(),
        _ => Vec::new(),
    };
    let Surroundings { environment, directory, clock } = surroundings;
    let options = Options { file: arguments.config, overrides, environment, directory };
    let run = Run { options, format: arguments.log_format, verbose: arguments.verbose, clock, root, output };
    run.command(command)
}

struct Run<'a> {
    options: Options,
    format: LogFormat,
    verbose: u8,
    clock: SharedClock,
    root: &'a dyn Root,
    output: &'a mut Output,
}

impl Run<'_> {
    fn command(mut self, command: Command) -> Exit {
        let done = match command {
            Command::Serve(_) => self.serve(Mode::Serve),
            Command::Demo(_) => self.serve(Mode::Demo),
            Command::Ask { text } => self.ask(&text.join(" ")),
            Command::Status { json } => self.status(json),
            Command::Check { json } => self.check(json),
            Command::Keys { action } => self.keys(&action.unwrap_or(KeysAction::List { json: false })),
            Command::Alerts { action } => {
                let now = self.clock.now();
                let action = action.unwrap_or(AlertsAction::List { json: false });
                self.through_daemon(|socket, output| alerts::run(&action, socket, now, output))
            }
            Command::Usage { days, json } => {
                self.through_daemon(|socket, output| usage::run(days, json, socket, output))
            }
            Command::Jobs { action } => {
                let action = action.unwrap_or(JobsAction::List { json: false });
                self.through_daemon(|socket, output| jobs::run(&action, socket, output))
            }
            Command::Approvals { action } => {
                let action = action.unwrap_or(ApprovalsAction::List { json: false });
                self.through_daemon(|socket, output| approvals::run(&action, socket, output))
            }
            Command::Audit { action } => {
                let action = action.unwrap_or(AuditAction::Show { proposal: None, json: false });
                self.through_daemon(|socket, output| audit::run(&action, socket, output))
            }
            Command::Mcp { action: None } => self.bridge(),
            Command::Mcp { action: Some(action) } => {
                self.through_daemon(|socket, output| mcp::run(&action, socket, output))
            }
            Command::Config { action: ConfigAction::Print { json } } => self.print(json),
        };
        match done {
            Ok(exit) => exit,
            Err(error) if is_gone(&error) => Exit::Done,
            Err(error) => {
                self.output.problem(&super::text::one_line(&format!("{error:#}")));
                Exit::Failed
            }
        }
    }

    fn serve(&mut self, mode: Mode) -> anyhow::Result<Exit> {
        let loaded = match config::load(&self.options) {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(check::refuse(&problems, false, self.output)?),
        };
        let telemetry = match self.telemetry(true, &loaded) {
            Ok(telemetry) => telemetry,
            Err(exit) => return Ok(exit),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let exit = self.root.serve(loaded, self.options.clone(), mode);
        // The last lines of the log come before what is said of the end.
        drop(telemetry);
        exit
    }

    fn ask(&mut self, text: &str) -> anyhow::Result<Exit> {
        let located = match config::locate(&self.options) {
            Ok(located) => located,
            Err(problems) => return Ok(check::refuse(&problems, false, self.output)?),
        };
        match Socket::find(&located.sockets, &self.clock) {
            Ok(socket) => return ask::through_daemon(&socket, text, self.output),
            Err(SocketError::NotRunning(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let loaded = match config::load(&self.options) {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(check::refuse(&problems, false, self.output)?),
        };
        let _telemetry = match self.telemetry(false, &loaded) {
            Ok(telemetry) => telemetry,
            Err(exit) => return Ok(exit),
        };
        self.output.progress("no daemon is running: answering here");
        self.root.ask(loaded, self.options.clone(), text, self.output)
    }

    fn status(&mut self, json: bool) -> anyhow::Result<Exit> {
        match config::locate(&self.options) {
            Ok(located) => status::run(&Socket::find(&located.sockets, &self.clock)?, json, self.output),
            Err(problems) => Ok(check::refuse(&problems, json, self.output)?),
        }
    }

    /// Does what only the running daemon can.
    fn through_daemon(
        &mut self,
        work: impl FnOnce(&Socket, &mut Output) -> anyhow::Result<Exit>,
    ) -> anyhow::Result<Exit> {
        match config::locate(&self.options) {
            Ok(located) => work(&Socket::find(&located.sockets, &self.clock)?, self.output),
            Err(problems) => Ok(check::refuse(&problems, false, self.output)?),
        }
    }

    /// HAIA's tools on stdin and stdout. Whether a daemon runs is found out with each message: it may start later.
    fn bridge(&mut self) -> anyhow::Result<Exit> {
        match config::locate(&self.options) {
            Ok(located) => bridge::run(std::io::stdin(), located.sockets, &self.clock, self.output),
            Err(problems) => Ok(check::refuse(&problems, false, self.output)?),
        }
    }

    fn check(&mut self, json: bool) -> anyhow::Result<Exit> {
        let loaded = match config::load(&self.options) {
            Ok(loaded) => loaded,
            Err(problems) => return Ok(check::refuse(&problems, json, self.output)?),
        };
        let _telemetry = match self.telemetry(false, &loaded) {
            Ok(telemetry) => telemetry,
            Err(exit) => return Ok(exit),
        };
        let warnings = loaded.warnings.clone();
        let probes = self.root.probe(loaded, self.options.clone())?;
        Ok(check::report(&probes, &warnings, json, self.output)?)
    }

    fn keys(&mut self, action: &KeysAction) -> anyhow::Result<Exit> {
        let located = match config::locate(&self.options) {
            Ok(located) => located,
            Err(problems) => return Ok(check::refuse(&problems, false, self.output)?),
        };
        match Socket::find(&located.sockets, &self.clock) {
            Ok(socket) => keys::run(action, &mut DaemonKeys(&socket), self.output),
            Err(SocketError::NotRunning(_)) => {
                let stored = self.root.stored_keys(&located)?;
                keys::run(action, &mut OfflineKeys { stored, configured: located.keys }, self.output)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn print(&mut self, json: bool) -> anyhow::Result<Exit> {
        match config::load(&self.options) {
            Ok(loaded) => Ok(config_command::print(&loaded, json, self.output)?),
            Err(problems) => Ok(check::refuse(&problems, json, self.output)?),
        }
    }

    fn telemetry(&mut self, daemon: bool, loaded: &Loaded) -> Result<Telemetry, Exit> {
        let form = Form::suitable(self.format, &loaded.environment);
        telemetry::start(form, daemon, self.verbose, &loaded.environment).map_err(|problem| {
            self.output.problem(&problem.to_string());
            Exit::Usage
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, clock, json};
    use super::*;
    use clap::Parser;
    use std::path::Path;

    /// A composition root that starts nothing.
    struct Nobody;

    impl Root for Nobody {
        fn serve(&self, _: Loaded, _: Options, _: Mode) -> anyhow::Result<Exit> {
            anyhow::bail!("serve was asked for")
        }

        fn ask(&self, _: Loaded, _: Options, text: &str, output: &mut Output) -> anyhow::Result<Exit> {
            output.line(text)?;
            Ok(Exit::Done)
        }

        fn probe(&self, _: Loaded, _: Options) -> anyhow::Result<Vec<Probe>> {
            Ok(vec![Probe::failed("providers.x", "http://x", "gone", "start it")])
        }

        fn stored_keys(&self, located: &Located) -> anyhow::Result<Box<dyn Keyring>> {
            anyhow::bail!("the keys of {} were asked for", located.store.path.display())
        }
    }

    fn run_in(folder: &Path, line: &str) -> (Exit, String, String) {
        let arguments = Arguments::try_parse_from(line.split_whitespace()).expect(line);
        let surroundings =
            Surroundings { environment: Environment::default(), directory: folder.to_owned(), clock: clock() };
        let (mut output, out, error) = output();
        let exit = run(arguments, surroundings, &Nobody, &mut output);
        (exit, out.text(), error.text())
    }

    #[test]
    fn a_wrong_configuration_stops_what_needs_it_and_says_everything() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("haia.toml"), "a = 1\n[server]\nb = 2\n").expect("written");
        for line in ["haia", "haia demo", "haia check", "haia config print"] {
            let (exit, out, error) = run_in(folder.path(), line);
            assert_eq!((exit, out.as_str(), error.lines().count()), (Exit::Usage, "", 2), "{line}: {error}");
            assert!(error.starts_with("error: haia.toml:1: unknown key \"a\""), "{error}");
        }
    }

    #[test]
    fn without_a_daemon_it_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("haia.toml"), "[store]\npath = 'x.db'\n").expect("written");
        let (exit, out, error) = run_in(folder.path(), "haia status");
        assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
        assert!(error.starts_with("error: HAIA is not running (no socket at "), "{error}");
        let (exit, _, error) = run_in(folder.path(), "haia keys");
        assert_eq!(exit, Exit::Failed);
        let asked = format!("the keys of {} were asked for", folder.path().join("x.db").display());
        assert!(error.contains(&asked), "{error}");
        let (exit, out, _) = run_in(folder.path(), "haia config print");
        assert!(exit == Exit::Done && out.contains("path = \"x.db\""), "{out}");
    }

    #[test]
    fn a_failed_probe_is_a_failed_check() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("haia.toml"), "").expect("written");
        let (exit, out, _) = run_in(folder.path(), "haia check");
        assert!(exit == Exit::Failed && out.contains("providers.x: start it"), "{out}");
    }

    #[test]
    fn a_running_daemon_is_asked_in_spite_of_a_wrong_file() {
        let daemon = Daemon::start(vec![json("200 OK", "{\"version\":\"9\"}"), json("200 OK", "{\"keys\":[]}")]);
        std::fs::write(daemon.folder.path().join("haia.toml"), "a = 1\n").expect("written");
        let (exit, out, _) = run_in(daemon.folder.path(), "haia status");
        assert!(exit == Exit::Done && out.starts_with("HAIA 9"), "{out}");
        let (exit, out, _) = run_in(daemon.folder.path(), "haia keys list --json");
        assert_eq!((exit, out.as_str()), (Exit::Done, "{\n  \"keys\": []\n}\n"));
    }
}
