//! `[jobs.<name>]`: when a job is done, and what it does. It is read and checked here; nothing is scheduled.

use crate::trigger::Trigger;
use contract::units::Span;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The jobs by their names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Config {
    /// Each job, by name.
    pub jobs: BTreeMap<String, JobConfig>,
}

/// What becomes of several times that passed unattended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coalesce {
    /// One run for all of them.
    #[default]
    Latest,
    /// One run for each, one after the other, at most ten.
    All,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobConfig {
    /// Whether it is scheduled at all.
    pub enabled: bool,
    /// Cron fields (five, or six with seconds first) or a name such as `@daily`.
    pub schedule: Option<String>,
    /// Or an interval, counted from the run before.
    pub every: Option<Span>,
    /// Or one moment: `2026-12-24T18:00` in `timezone`, or with an offset of its own.
    pub once: Option<String>,
    /// Also at every start of HAIA.
    pub on_start: bool,
    /// The time zone of `schedule` and `once`, by its IANA name; empty: the machine's.
    pub timezone: String,
    /// A question for the agent, which gets read-only tools.
    pub ask: Option<String>,
    /// Or a check to run now: a rule's name, a pattern of names, or `all`.
    pub check: Option<String>,
    /// Or a summary of what happened since the last one.
    pub digest: bool,
    /// The channels that get the result; empty: every channel.
    pub notify: Vec<String>,
    /// Whether a result without news is sent too: a digest of nothing, a check that found nothing.
    pub notify_empty: bool,
    /// The route that answers `ask`; empty: the agent's own.
    pub route: String,
    /// How late it may begin; later, the run is skipped. Without it: the shorter of the interval and five minutes.
    pub grace: Option<Span>,
    /// What becomes of several times that passed unattended.
    pub coalesce: Coalesce,
    /// Runs at once; one that is due beyond that is skipped.
    pub max_instances: u32,
    /// It begins up to so much later than its time, always by the same amount for the same time.
    pub jitter: Span,
    /// The longest run, in real time.
    pub timeout: Span,
    /// Runs kept in the history.
    pub keep_runs: u32,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            schedule: None,
            every: None,
            once: None,
            on_start: false,
            timezone: String::new(),
            ask: None,
            check: None,
            digest: false,
            notify: Vec::new(),
            notify_empty: true,
            route: String::new(),
            grace: None,
            coalesce: Coalesce::Latest,
            max_instances: 1,
            jitter: Span::seconds(0),
            timeout: Span::seconds(300),
            keep_runs: 100,
        }
    }
}

impl JobConfig {
    /// The time zone; the machine's where none is set.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn zone(&self) -> Result<TimeZone, String> {
        if self.timezone.is_empty() {
            return Ok(TimeZone::system());
        }
        TimeZone::get(&self.timezone)
            .map_err(|_| format!("{:?} is no time zone; write for example \"Europe/Paris\" or \"UTC\"", self.timezone))
    }

    /// What it does, as a word.
    pub fn kind(&self) -> &'static str {
        match (&self.ask, &self.check) {
            (Some(_), _) => "ask",
            (_, Some(_)) => "check",
            _ => "digest",
        }
    }

    /// When it is done, for people.
    pub fn when(&self) -> String {
        let main = match (&self.schedule, &self.every, &self.once) {
            (Some(schedule), ..) if self.timezone.is_empty() => schedule.clone(),
            (Some(schedule), ..) => format!("{schedule} {}", self.timezone),
            (_, Some(every), _) => format!("every {every}"),
            (_, _, Some(once)) => format!("once at {once}"),
            _ => String::new(),
        };
        match (main.is_empty(), self.on_start) {
            (true, true) => "at the start".to_owned(),
            (false, true) => format!("{main}, and at the start"),
            _ => main,
        }
    }
}

impl Config {
    /// What is wrong beyond types: key and message. `channels` are the names that may be notified.
    pub fn validate(&self, channels: &[&str]) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, job) in &self.jobs {
            let mut wrong = |key: &str, why: String| problems.push((format!("jobs.{name}{key}"), why));
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
                wrong("", "a job's name has letters, digits, \"-\", \"_\" and \".\" only".to_owned());
            }
            let times = [job.schedule.is_some(), job.every.is_some(), job.once.is_some()];
            match times.iter().filter(|set| **set).count() {
                0 if !job.on_start => {
                    wrong("", "it is never done: set schedule, every, once or on_start".to_owned());
                }
                0 | 1 => {}
                _ => wrong("", "set one of schedule, every and once".to_owned()),
            }
            match job.zone() {
                Err(why) => wrong(".timezone", why),
                Ok(zone) => {
                    if let Err((key, why)) = Trigger::of(job, &zone) {
                        wrong(key, why);
                    }
                }
            }
            let deeds = [job.ask.is_some(), job.check.is_some(), job.digest];
            if deeds.iter().filter(|set| **set).count() != 1 {
                wrong("", "set one of ask, check and digest = true".to_owned());
            }
            if job.ask.as_ref().is_some_and(|ask| ask.trim().is_empty()) {
                wrong(".ask", "it is empty".to_owned());
            }
            for channel in job.notify.iter().filter(|channel| !channels.contains(&channel.as_str())) {
                let known = if channels.is_empty() { "none is configured".to_owned() } else { channels.join(", ") };
                wrong(".notify", format!("there is no channel {channel:?}; known: {known}"));
            }
            if job.max_instances == 0 {
                wrong(".max_instances", "it must be at least 1".to_owned());
            }
            if job.timeout.0.is_zero() {
                wrong(".timeout", "it must be longer than nothing".to_owned());
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: Config = toml::from_str(text).unwrap();
        config.validate(&["telegram"]).into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn sound_jobs_have_no_problems() {
        let text = r#"
            [report]
            schedule = "0 0 8 * * *"
            timezone = "Europe/Paris"
            ask = "What happened?"
            notify = ["telegram"]
            [check]
            every = "5m"
            check = "backup_*"
            [digest]
            schedule = "@daily"
            digest = true
            [tree]
            once = "2026-12-24T18:00"
            ask = "Lights?"
            [hello]
            on_start = true
            check = "all"
        "#;
        assert_eq!(problems(text), [""; 0]);
        let config: Config = toml::from_str(text).unwrap();
        let when: Vec<String> = config.jobs.values().map(JobConfig::when).collect();
        assert_eq!(
            when,
            ["every 5m", "@daily", "at the start", "0 0 8 * * * Europe/Paris", "once at 2026-12-24T18:00"]
        );
    }

    #[test]
    fn every_problem_is_named() {
        for (text, expected) in [
            ("[a]\nask = 'x'", "jobs.a: it is never done"),
            ("[a]\nask = 'x'\nevery = '5m'\nschedule = '@daily'", "jobs.a: set one of schedule"),
            ("[a]\nask = 'x'\nschedule = '61 * * * *'", "jobs.a.schedule: "),
            ("[a]\nask = 'x'\nschedule = '0 0 30 2 *'", "jobs.a.schedule: "),
            ("[a]\nask = 'x'\nevery = '0s'", "jobs.a.every: "),
            ("[a]\nask = 'x'\nonce = 'tomorrow'", "jobs.a.once: "),
            (
                "[a]\nask = 'x'\nevery = '5m'\ntimezone = 'Mars/North'",
                "jobs.a.timezone: \"Mars/North\" is no time zone",
            ),
            ("[a]\nevery = '5m'", "jobs.a: set one of ask"),
            ("[a]\nevery = '5m'\ndigest = true\ncheck = 'all'", "jobs.a: set one of ask"),
            (
                "[a]\nevery = '5m'\ndigest = true\nnotify = ['fax']",
                "jobs.a.notify: there is no channel \"fax\"; known: telegram",
            ),
            ("[a]\nevery = '5m'\ndigest = true\nmax_instances = 0", "jobs.a.max_instances: "),
        ] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:?}");
        }
        assert!(toml::from_str::<Config>("[a]\nevry = '5m'").is_err());
    }
}
