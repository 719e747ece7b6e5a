//! The command line: what can be typed, and how it is answered. What a person reads is a table, programs get `--json`, progress goes to
//! stderr.
//!
//! Talks to the running daemon over its unix socket and to nothing else; starts no actor.

pub mod alerts;
pub mod approvals;
pub mod ask;
pub mod audit;
mod bridge;
pub mod check;
pub mod config;
mod http;
pub mod jobs;
pub mod keys;
pub mod mcp;
pub mod output;
mod pieces;
mod run;
pub mod socket;
pub mod status;
mod table;
mod text;
pub mod usage;

pub use approvals::ApprovalsAction;
pub use audit::AuditAction;
pub use mcp::McpAction;
pub use run::{Mode, Root, Surroundings, run};
pub use text::one_line;

use crate::config::Override;
use contract::caller::Scope;
use contract::units::Span;
use std::path::PathBuf;

/// The exit codes, fixed, because service managers and scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The thing asked for failed.
    Failed,
    /// Wrong usage or a wrong configuration.
    Usage,
    /// A required actor gave up: the service manager should start HAIA again.
    GaveUp,
}

impl Exit {
    /// The code for the process.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::GaveUp => 70,
        }
    }
}

/// HAIA: an assistant and watchman for a homelab.
#[derive(Debug, clap::Parser)]
#[command(name = "haia", version, about, propagate_version = true)]
pub struct Arguments {
    /// The configuration file [default: haia.toml here, then /etc/haia/haia.toml, else built-in defaults]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// How the log is written
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Tell more in the log; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do [default: serve]
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// What can be asked for.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    Serve(ServeOptions),
    /// Run the daemon on embedded defaults and print what to try
    Demo(ServeOptions),
    /// Ask one question and stream the answer
    Ask {
        /// The question
        #[arg(required = true, value_name = "TEXT")]
        text: Vec<String>,
    },
    /// Show what the running daemon reports of itself
    Status {
        /// The whole status as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what calls of models took: by day, by model, by key
    Usage {
        /// So many days, today included
        #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=800))]
        days: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read the configuration and probe everything it names
    Check {
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, list and revoke API keys
    Keys {
        /// What to do with them [default: list]
        #[command(subcommand)]
        action: Option<KeysAction>,
    },
    /// Show alerts and act on them
    Alerts {
        /// What to do with them [default: list]
        #[command(subcommand)]
        action: Option<AlertsAction>,
    },
    /// Show jobs and run them
    Jobs {
        /// What to do with them [default: list]
        #[command(subcommand)]
        action: Option<JobsAction>,
    },
    /// Show what waits for a person's approval, approve and deny it
    Approvals {
        /// What to do with proposals [default: list]
        #[command(subcommand)]
        action: Option<ApprovalsAction>,
    },
    /// Show the record of actions and check that it is whole
    Audit {
        /// What to do with it [default: show]
        #[command(subcommand)]
        action: Option<AuditAction>,
    },
    /// Serve HAIA's tools on stdin and stdout, or show and switch the attached MCP servers
    Mcp {
        /// What to do with the attached servers [default: serve HAIA's own tools]
        #[command(subcommand)]
        action: Option<McpAction>,
    },
    /// Show the configuration
    Config {
        /// What to show
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// Options of the daemon. Each lies over the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct ServeOptions {
    /// Address and port to listen on, as [server] listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The SQLite file, as [store] path
    #[arg(long, value_name = "PATH")]
    pub store: Option<String>,
}

impl ServeOptions {
    /// The options as a layer of the configuration.
    pub fn overrides(&self) -> Vec<Override> {
        let listen = self.listen.iter().map(|text| ("--listen", &["server", "listen"], text));
        let store = self.store.iter().map(|text| ("--store", &["store", "path"], text));
        listen.chain(store).map(|(option, path, text)| Override { option, path, text: text.clone() }).collect()
    }
}

/// What to do with API keys.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum KeysAction {
    /// Make a key; it is shown once, only its hash is kept
    New {
        /// Who it is for
        #[arg(value_parser = key_name)]
        name: String,
        /// What it allows: read, control (also chat and running things), admin (everything)
        #[arg(long, value_parser = scope)]
        scope: Scope,
        /// The key as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show every key, without the keys themselves
    List {
        /// The keys as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a key away
    Revoke {
        /// The key's name
        name: String,
    },
}

/// What to do with alerts.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum AlertsAction {
    /// Show what is open
    List {
        /// Everything, also what is over, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one alert with its history
    Show {
        /// Its number
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Take notice of an alert: no more reminders, its end is still told
    Ack {
        /// Its number
        id: String,
    },
    /// Say that it was meant to happen
    Expect {
        /// Its number
        id: String,
    },
    /// Silence an alert's rule and object for a time
    Silence {
        /// Its number
        id: String,
        /// For how long: 30m, 2h, 1d
        #[arg(value_name = "FOR")]
        duration: Span,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Show what happened, newest first
    History {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message through a channel
    Test {
        /// The channel's name in the configuration
        channel: String,
    },
}

/// What to do with jobs.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum JobsAction {
    /// Show every job
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a job now
    Run {
        /// Its name
        name: String,
    },
    /// Pause a job, over restarts too
    Pause {
        /// Its name
        name: String,
    },
    /// Resume a job
    Resume {
        /// Its name
        name: String,
    },
    /// Show the runs of a job, newest first
    History {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to show of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum ConfigAction {
    /// Show the effective configuration, each value with its origin, secrets masked
    Print {
        /// The values as JSON
        #[arg(long)]
        json: bool,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    let scopes = [Scope::Read, Scope::Control, Scope::Admin];
    scopes.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| "write read, control or admin".to_owned())
}

/// The rule of the gateway for names of keys, so that a mistake is told before the daemon is asked.
fn key_name(text: &str) -> Result<String, String> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(sane) {
        return Err("write 1 to 64 letters, digits, '-', '_' or '.'".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn nothing_means_serve_and_global_options_stand_anywhere() {
        let arguments = parse("haia -v --config a.toml").expect("parses");
        assert!(arguments.command.is_none() && arguments.verbose == 1);
        for line in ["haia --config a.toml --log-format json status", "haia status --log-format json --config a.toml"] {
            let arguments = parse(line).expect(line);
            assert_eq!((arguments.config, arguments.log_format), (Some(PathBuf::from("a.toml")), LogFormat::Json));
        }
    }

    #[test]
    fn every_command_is_understood() {
        type Expected = fn(&Command) -> bool;
        let table: [(&str, Expected); 18] = [
            (
                "haia serve --listen 127.0.0.1:1",
                |command| matches!(command, Command::Serve(options) if options.overrides().len() == 1),
            ),
            (
                "haia demo --store x.db",
                |command| matches!(command, Command::Demo(options) if options.overrides()[0].path == ["store", "path"]),
            ),
            (
                "haia ask what is running",
                |command| matches!(command, Command::Ask { text } if text.join(" ") == "what is running"),
            ),
            ("haia status --json", |command| matches!(command, Command::Status { json: true })),
            ("haia check", |command| matches!(command, Command::Check { json: false })),
            ("haia keys", |command| matches!(command, Command::Keys { action: None })),
            ("haia keys new ui --scope admin", |command| {
                matches!(command, Command::Keys { action: Some(KeysAction::New { scope: Scope::Admin, .. }) })
            }),
            ("haia keys list --json", |command| {
                matches!(command, Command::Keys { action: Some(KeysAction::List { json: true }) })
            }),
            ("haia keys revoke ui", |command| {
                matches!(command, Command::Keys { action: Some(KeysAction::Revoke { .. }) })
            }),
            ("haia alerts silence 7 2h --reason works", |command| {
                matches!(command, Command::Alerts { action: Some(AlertsAction::Silence { .. }) })
            }),
            ("haia jobs run report", |command| {
                matches!(command, Command::Jobs { action: Some(JobsAction::Run { .. }) })
            }),
            ("haia approvals approve 7 --no-wait", |command| {
                matches!(command, Command::Approvals { action: Some(ApprovalsAction::Approve { no_wait: true, .. }) })
            }),
            ("haia usage", |command| matches!(command, Command::Usage { days: 30, json: false })),
            ("haia usage --days 7 --json", |command| matches!(command, Command::Usage { days: 7, json: true })),
            ("haia audit verify", |command| {
                matches!(command, Command::Audit { action: Some(AuditAction::Verify { json: false }) })
            }),
            ("haia mcp", |command| matches!(command, Command::Mcp { action: None })),
            ("haia mcp disable files read_file", |command| {
                matches!(command, Command::Mcp { action: Some(McpAction::Disable { tool: Some(_), .. }) })
            }),
            ("haia config print", |command| {
                matches!(command, Command::Config { action: ConfigAction::Print { json: false } })
            }),
        ];
        for (line, expected) in table {
            let command = parse(line).expect(line).command.expect(line);
            assert!(expected(&command), "{line}: {command:?}");
        }
    }

    #[test]
    fn wrong_usage_has_exit_code_2() {
        for line in [
            "haia nothing",
            "haia ask",
            "haia keys new ui",
            "haia keys new ui --scope root",
            "haia keys new u/i --scope read",
            "haia config",
            "haia --log-format xml",
            "haia alerts silence 7",
            "haia alerts silence 7 banana",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), i32::from(Exit::Usage.code()), "{line}");
        }
        assert_eq!(parse("haia --help").expect_err("help").exit_code(), 0);
    }
}
