//! The log: what is written, in which form, and the writer that never makes an actor wait. Logs go to stderr.
//!
//! Reads no environment of its own, and never writes from the thread that logs.

mod lines;
mod panics;
mod queue;

use crate::cli::LogFormat;
use crate::config::{Environment, Origin, Problem};
use lines::{Lines, notice};
use queue::Queue;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// What is logged unless told otherwise: libraries only when something is wrong.
const QUIET: &str = "warn";
/// HAIA's own crates.
const OWN: [&str; 8] =
    ["haia", "agent_supervisor", "contract", "http_gateway", "provider_pool", "runtime", "store", "toolbox"];
/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// In which form lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people, with the time, and with colours where they are shown.
    Text {
        /// Whether colours are shown.
        colour: bool,
    },
    /// For the journal: it knows the time itself, and reads the level from `<N>` in front.
    Journal,
    /// One JSON object on each line.
    Json,
}

impl Form {
    /// The form that suits where stderr goes.
    pub fn suitable(format: LogFormat, environment: &Environment) -> Self {
        match format {
            LogFormat::Json => Form::Json,
            LogFormat::Text if is_journal(environment.get("JOURNAL_STREAM")) => Form::Journal,
            LogFormat::Text => {
                Form::Text { colour: environment.get("NO_COLOR").is_none() && std::io::stderr().is_terminal() }
            }
        }
    }
}

/// The running log. Dropping it writes what still waits, for two seconds at most.
pub struct Telemetry {
    queue: Queue,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.queue.close(LAST_LINES);
    }
}

/// Starts the log and makes panics part of it. `verbose` counts `-v`; `RUST_LOG` wins over it. A command that is no daemon logs warnings only,
/// unless it is asked for more.
///
/// # Errors
/// `RUST_LOG` is not understood, or there is a log already.
pub fn start(form: Form, daemon: bool, verbose: u8, environment: &Environment) -> Result<Telemetry, Problem> {
    let filter = filter(daemon, verbose, environment)?;
    let failed =
        |error: &dyn std::fmt::Display| Problem::at(&Origin::Default, format!("the log cannot be started: {error}"));
    let queue = Queue::start(Box::new(std::io::stderr()), move |dropped| notice(form, dropped))
        .map_err(|error| failed(&error))?;
    subscriber(form, filter, queue.sink()).try_init().map_err(|error| failed(&error))?;
    panics::install();
    Ok(Telemetry { queue })
}

fn filter(daemon: bool, verbose: u8, environment: &Environment) -> Result<EnvFilter, Problem> {
    const NAME: &str = "RUST_LOG";
    let level = match verbose {
        0 if daemon => "info",
        0 => "warn",
        1 => "debug",
        _ => "trace",
    };
    let own = OWN.map(|name| format!("{name}={level}")).join(",");
    // The access log has a target of its own.
    let usual = format!("{},{own},access={level}", if verbose > 2 { "debug" } else { QUIET });
    match environment.get(NAME) {
        None => Ok(EnvFilter::new(usual)),
        Some(wanted) => EnvFilter::try_new(wanted).map_err(|error| {
            let message = format!("{error}: write for example \"info\" or \"warn,provider_pool=debug\"");
            Problem::at(&environment.origin(NAME), message)
        }),
    }
}

fn subscriber<W>(form: Form, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let format = tracing_subscriber::fmt::format();
    let layer = match form {
        Form::Json => {
            layer.with_ansi(false).json().flatten_event(true).with_span_list(false).with_current_span(true).boxed()
        }
        Form::Text { colour } => {
            layer.with_ansi(colour).event_format(Lines::plain(format.with_ansi(colour).compact())).boxed()
        }
        Form::Journal => {
            let format = format.with_ansi(false).without_time().compact();
            layer.with_ansi(false).event_format(Lines::with_priority(format)).boxed()
        }
    };
    tracing_subscriber::registry().with(filter).with(layer)
}

/// Whether stderr goes to the journal: systemd gives the stream's device and inode in `JOURNAL_STREAM`.
fn is_journal(stream: Option<&str>) -> bool {
    let Some(stream) = stream else { return false };
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else { return false };
    let Ok(known) = std::fs::File::from(stderr).metadata() else { return false };
    stream == format!("{}:{}", known.dev(), known.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::Written;

    #[derive(Clone)]
    struct To(Written);

    impl<'a> MakeWriter<'a> for To {
        type Writer = Written;

        fn make_writer(&'a self) -> Written {
            self.0.clone()
        }
    }

    fn logged(form: Form, verbose: u8, what: impl FnOnce()) -> String {
        let written = Written::default();
        let filter = filter(true, verbose, &Environment::default()).expect("a filter");
        tracing::subscriber::with_default(subscriber(form, filter, To(written.clone())), what);
        written.text()
    }

    #[test]
    fn the_journal_gets_levels_and_no_time() {
        let text = logged(Form::Journal, 0, || {
            tracing::error!(answer = 42, "broken");
            tracing::info!("fine");
            tracing::debug!("too much");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("<3>ERROR ") && lines[0].ends_with("broken answer=42"), "{text}");
        assert!(lines[1].starts_with("<6> INFO "), "{text}");
    }

    #[test]
    fn a_line_break_in_a_value_forges_no_line() {
        for form in [Form::Journal, Form::Text { colour: false }] {
            let text = logged(form, 0, || tracing::warn!(name = %"a\n<3>ERROR forged", "odd"));
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains("a\\n<3>ERROR forged"), "{text}");
        }
    }

    #[test]
    fn the_line_of_a_request_reads_like_any_other() {
        for form in [Form::Journal, Form::Text { colour: false }] {
            let line = |text: String, target: &str| {
                // The time differs.
                text.split_once(" INFO ").expect("a level").1.replacen(target, "", 1)
            };
            let own = logged(form, 0, || {
                tracing::info!(target: "access", path = "/a \"b\"\n\u{1b}é", ms = 0.125, whole = 2.0, caller = None::<&str>, model = Some("m/n"), bytes = 7_u64, is = true, at = ?[1]);
            });
            let other = logged(form, 0, || {
                tracing::info!(target: "haia", path = "/a \"b\"\n\u{1b}é", ms = 0.125, whole = 2.0, caller = None::<&str>, model = Some("m/n"), bytes = 7_u64, is = true, at = ?[1]);
            });
            assert_eq!(line(own, "access"), line(other, "haia"));
            for figure in
                [0.0, -0.0, 0.001, 0.1, 0.123, 10.01, 999.999, 120_000.5, 1e11, 1e17, 0.0001, -1.5, 1.0 / 3.0, f64::NAN]
            {
                let own = logged(form, 0, || tracing::info!(target: "access", ms = figure, bytes = u64::MAX));
                let other = logged(form, 0, || tracing::info!(target: "haia", ms = figure, bytes = u64::MAX));
                assert_eq!(line(own, "access"), line(other, "haia"));
            }
        }
    }

    #[test]
    fn json_is_flat_and_one_object_on_each_line() {
        let text = logged(Form::Json, 0, || tracing::warn!(request_id = "r1", text = %"a\nb", "odd"));
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (read["level"].as_str(), read["message"].as_str(), read["request_id"].as_str()),
            (Some("WARN"), Some("odd"), Some("r1"))
        );
        assert!(read["timestamp"].is_string() && read["target"].is_string());
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        let say = || tracing::info!("hello");
        assert!(!logged(Form::Text { colour: false }, 0, say).contains('\u{1b}'));
        assert!(logged(Form::Text { colour: true }, 0, say).contains('\u{1b}'));
    }

    #[test]
    fn more_v_tells_more_and_libraries_stay_quiet() {
        let say = || {
            tracing::debug!("detail");
            tracing::info!(target: "actix_server", "starting workers");
        };
        assert_eq!(logged(Form::Journal, 0, say), "");
        assert_eq!(logged(Form::Journal, 1, say).lines().count(), 1);
        assert_eq!(logged(Form::Journal, 3, say).lines().count(), 2);
    }

    #[test]
    fn a_wrong_filter_is_told_by_its_variable() {
        assert!(filter(true, 0, &Environment::of([("RUST_LOG", "warn,store=trace")])).is_ok());
        let problem = filter(true, 0, &Environment::of([("RUST_LOG", "store=shout")])).expect_err("wrong").to_string();
        assert!(problem.starts_with("RUST_LOG: "), "{problem}");
    }

    #[test]
    fn stderr_is_the_journal_only_if_systemd_says_so() {
        assert!(!is_journal(None) && !is_journal(Some("1:1")) && !is_journal(Some("")));
        let journal = Environment::of([("JOURNAL_STREAM", "1:1"), ("NO_COLOR", "1")]);
        assert_eq!(Form::suitable(LogFormat::Text, &journal), Form::Text { colour: false });
        assert_eq!(Form::suitable(LogFormat::Json, &journal), Form::Json);
    }
}
