//! What is wrong with the values of the configuration, and which channels an alert is told on.

use super::Config;
use contract::alerts::{Labels, Severity, matches_pattern};
use contract::units::Span;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;

impl Config {
    /// What is wrong beyond types: the key (from the document's root), and a sentence that says what to do.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |key: String, why: String| problems.push((key, why));
        let monitor = &self.monitor;
        let mut zone = |key: String, name: &Option<String>| {
            if let Some(name) = name.as_deref()
                && TimeZone::get(name).is_err()
            {
                wrong(key, format!("{name:?} is no time zone: write an IANA name such as \"Europe/Paris\""));
            }
        };
        zone("monitor.timezone".into(), &monitor.timezone);
        zone(
            "monitor.quiet_hours.timezone".into(),
            &monitor.quiet_hours.as_ref().and_then(|quiet| quiet.timezone.clone()),
        );
        for (at, window) in monitor.maintenance.iter().enumerate() {
            zone(format!("monitor.maintenance[{at}].timezone"), &window.timezone);
        }
        if let Some(quiet) = &monitor.quiet_hours {
            for (key, text) in [("from", &quiet.from), ("to", &quiet.to)] {
                if time_of_day(text).is_none() {
                    wrong(
                        format!("monitor.quiet_hours.{key}"),
                        format!("{text:?} is no time of day: write for example \"23:00\""),
                    );
                }
            }
            if quiet.from == quiet.to {
                wrong("monitor.quiet_hours.to".into(), "must differ from \"from\"".into());
            }
        }
        for (at, window) in monitor.maintenance.iter().enumerate() {
            let place = |key: &str| format!("monitor.maintenance[{at}].{key}");
            if window.objects.matchers().is_empty() {
                wrong(place("match"), "names no object: write for example match = { node = \"pve2\" }".into());
            }
            if let Err(why) = crate::calendar::parse_schedule(&window.schedule) {
                wrong(place("schedule"), why);
            }
            if window.length.0.is_zero() || window.length.0 > Duration::from_secs(31 * 86_400) {
                wrong(place("for"), "must be longer than \"0s\" and at most \"31d\"".into());
            }
        }
        let positive: [(&str, Span); 2] =
            [("monitor.flapping.within", monitor.flapping.within), ("monitor.retention", monitor.retention)];
        for (key, span) in positive {
            if span.0.is_zero() {
                wrong(key.into(), "must be longer than \"0s\"".into());
            }
        }
        if monitor.grouping.wait.0 > Duration::from_secs(3600) {
            wrong("monitor.grouping.wait".into(), "must be at most \"1h\": nothing is told before it is over".into());
        }
        if monitor.flapping.openings < 2 {
            wrong("monitor.flapping.openings".into(), "must be at least 2".into());
        }
        if monitor.reminder.every.is_some_and(|every| every.0 < Duration::from_secs(60)) {
            wrong("monitor.reminder.every".into(), "must be at least \"1m\"".into());
        }
        for (name, heartbeat) in &monitor.heartbeats {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                wrong(
                    format!("monitor.heartbeats.{name}"),
                    "has a name that no address can hold: use letters, digits, \"-\", \"_\" and \".\"".into(),
                );
            }
            if heartbeat.every.0 < Duration::from_secs(1) {
                wrong(format!("monitor.heartbeats.{name}.every"), "must be at least \"1s\"".into());
            }
        }
        if let Some(watchdog) = &monitor.watchdog {
            if let Err(why) = crate::watchdog::parse_url(&watchdog.url) {
                wrong("monitor.watchdog.url".into(), why);
            }
            if watchdog.every.0 < Duration::from_secs(1) {
                wrong("monitor.watchdog.every".into(), "must be at least \"1s\"".into());
            }
        }
        for (at, route) in self.routes.iter().enumerate() {
            if route.channels.is_empty() && route.goes_on {
                wrong(
                    format!("notify.routes[{at}].channels"),
                    "is empty, and the route goes on: it has no effect; name a channel".into(),
                );
            }
            for name in route.channels.iter().filter(|name| !self.channels.contains(name)) {
                let known = if self.channels.is_empty() { "none".to_owned() } else { self.channels.join(", ") };
                wrong(
                    format!("notify.routes[{at}].channels"),
                    format!("there is no channel {name:?}; configured: {known}"),
                );
            }
            if route.objects.as_ref().is_some_and(|objects| objects.matchers().is_empty()) {
                wrong(format!("notify.routes[{at}].match"), "names no object: leave it out to match all".into());
            }
        }
        problems
    }

    /// The channels that an alert is told on, in the configuration's order.
    pub fn channels_of(&self, severity: Severity, rule: &str, labels: &Labels) -> Vec<Arc<str>> {
        if self.routes.is_empty() {
            return self.channels.clone();
        }
        let mut chosen: Vec<Arc<str>> = Vec::new();
        for route in &self.routes {
            let fits = (route.severity.is_empty() || route.severity.contains(&severity))
                && (route.rules.is_empty() || route.rules.iter().any(|pattern| matches_pattern(pattern, rule)))
                && route.objects.as_ref().is_none_or(|objects| objects.fits(labels));
            if !fits {
                continue;
            }
            chosen.extend(route.channels.iter().cloned());
            if !route.goes_on {
                break;
            }
        }
        self.channels.iter().filter(|name| chosen.contains(name)).cloned().collect()
    }
}

/// Reads `23:00`.
pub(crate) fn time_of_day(text: &str) -> Option<Time> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hours) || minutes.len() != 2 || !digits(minutes) {
        return None;
    }
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Monitor;
    use super::*;

    fn config(monitor: &str, routes: &str) -> Config {
        Config {
            monitor: serde_json::from_str(monitor).unwrap(),
            routes: serde_json::from_str(routes).unwrap(),
            channels: vec!["telegram".into(), "mail".into()],
            ..Config::default()
        }
    }

    #[test]
    fn nothing_configured_is_sound_and_other_keys_of_the_section_are_somebody_elses() {
        assert_eq!(Config::default().validate(), []);
        assert_eq!(config(r#"{"rules":{"x":{}},"overrides":[]}"#, "[]").monitor, Monitor::default());
    }

    #[test]
    fn every_problem_is_named() {
        let monitor = r#"{"timezone":"Mars/Base","quiet_hours":{"from":"25:00","to":"7"},
            "maintenance":[{"match":{},"schedule":"bad","for":"0s"}],
            "flapping":{"openings":1},"heartbeats":{"a/b":{"every":"0s"}},"watchdog":{"url":"ftp://x"}}"#;
        let routes = r#"[{"channels":["pager"]},{"continue":true},{"match":{},"channels":["mail"]}]"#;
        let keys: Vec<String> = config(monitor, routes).validate().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "monitor.timezone",
                "monitor.quiet_hours.from",
                "monitor.quiet_hours.to",
                "monitor.maintenance[0].match",
                "monitor.maintenance[0].schedule",
                "monitor.maintenance[0].for",
                "monitor.flapping.openings",
                "monitor.heartbeats.a/b",
                "monitor.heartbeats.a/b.every",
                "monitor.watchdog.url",
                "notify.routes[0].channels",
                "notify.routes[1].channels",
                "notify.routes[2].match",
            ]
        );
    }

    #[test]
    fn the_first_route_that_fits_wins_unless_it_goes_on() {
        let routes = r#"[{"severity":["critical"],"channels":["telegram"],"continue":true},
            {"rules":["backup_*"],"channels":[]},{"match":{"node":"pve2"},"channels":["mail"]}]"#;
        let config = config("{}", routes);
        let mut labels = Labels::default();
        labels.add("node", "pve2");
        let of = |severity, rule: &str, labels: &Labels| config.channels_of(severity, rule, labels).join(" ");
        assert_eq!(of(Severity::Critical, "node_down", &labels), "telegram mail");
        assert_eq!(of(Severity::Warning, "node_cpu", &labels), "mail");
        assert_eq!(of(Severity::Warning, "backup_failed", &labels), "", "a route without channels keeps quiet");
        assert_eq!(of(Severity::Critical, "guest_crashed", &Labels::default()), "telegram");
        let open = Config { routes: Vec::new(), ..config };
        assert_eq!(open.channels_of(Severity::Warning, "x", &labels).len(), 2, "without routes all channels");
    }

    #[test]
    fn times_of_day() {
        for (text, time) in
            [("23:00", Some((23, 0))), ("7:05", Some((7, 5))), ("24:00", None), ("7", None), ("+7:00", None)]
        {
            assert_eq!(time_of_day(text).map(|time| (time.hour(), time.minute())), time, "{text}");
        }
    }
}
