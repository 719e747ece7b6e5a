//! Quiet hours and maintenance windows: what the clock on the wall says about telling. It decides nothing about alerts.
//!
//! croner counts along the absolute time line, so a window that begins in a skipped hour begins at its end, and one in a repeated hour
//! begins once.

use crate::config::{Monitor, time_of_day};
use contract::alerts::Labels;
use contract::monitor::ObjectMatch;
use croner::Cron;
use croner::parser::CronParser;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When to look again at a schedule that names no time within croner's reach.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// Reads a cron expression with five or six fields, or a nickname.
///
/// # Errors
/// What is wrong with it and what to write.
pub(crate) fn parse_schedule(text: &str) -> Result<Cron, String> {
    CronParser::new().parse(text).map_err(|error| {
        format!("{text:?} is no schedule ({error}): write for example \"0 0 3 * * SUN\" or \"@daily\"")
    })
}

/// The hours and windows in which messages are held back.
pub(crate) struct Calendar {
    /// For times in messages.
    timezone: TimeZone,
    quiet: Option<Quiet>,
    windows: Vec<Window>,
}

struct Quiet {
    from: Time,
    to: Time,
    timezone: TimeZone,
}

struct Window {
    objects: ObjectMatch,
    cron: Cron,
    length: SignedDuration,
    timezone: TimeZone,
    schedule: String,
    /// What is known holds from here …
    looked_at: Timestamp,
    /// … until here.
    look_again: Timestamp,
    is_open: bool,
}

impl Calendar {
    /// The calendar of a configuration that was checked; what cannot be read is told in the log and left out.
    pub(crate) fn new(monitor: &Monitor, system: &TimeZone) -> Self {
        let zone = |name: &Option<String>, otherwise: &TimeZone| {
            name.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| otherwise.clone())
        };
        let timezone = zone(&monitor.timezone, system);
        let quiet = monitor.quiet_hours.as_ref().and_then(|quiet| {
            let (from, to) = time_of_day(&quiet.from).zip(time_of_day(&quiet.to))?;
            Some(Quiet { from, to, timezone: zone(&quiet.timezone, &timezone) })
        });
        let windows = monitor.maintenance.iter().filter_map(|window| {
            let cron = parse_schedule(&window.schedule)
                .inspect_err(|error| tracing::error!(%error, "a maintenance window is left out"))
                .ok()?;
            Some(Window {
                objects: window.objects.clone(),
                cron,
                length: SignedDuration::try_from(window.length.0).unwrap_or(SignedDuration::MAX),
                timezone: zone(&window.timezone, &timezone),
                schedule: window.schedule.clone(),
                looked_at: Timestamp::MAX,
                look_again: Timestamp::MIN,
                is_open: false,
            })
        });
        let windows = windows.collect();
        Self { timezone, quiet, windows }
    }

    /// The time zone of times in messages.
    pub(crate) fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The time zone's name.
    pub(crate) fn timezone_name(&self) -> &str {
        self.timezone.iana_name().unwrap_or("UTC")
    }

    /// Brings the windows up to date.
    pub(crate) fn look(&mut self, now: Timestamp) {
        for window in &mut self.windows {
            if now < window.looked_at || now >= window.look_again {
                window.look(now);
            }
        }
    }

    /// Whether only critical alerts are told now.
    pub(crate) fn is_quiet(&self, now: Timestamp) -> bool {
        self.quiet.as_ref().is_some_and(|quiet| {
            let time = now.to_zoned(quiet.timezone.clone()).time();
            if quiet.from < quiet.to {
                quiet.from <= time && time < quiet.to
            } else {
                quiet.from <= time || time < quiet.to
            }
        })
    }

    /// Whether any window is open, as of the last look.
    pub(crate) fn is_any_open(&self) -> bool {
        self.windows.iter().any(|window| window.is_open)
    }

    /// The schedule of an open window that concerns these labels, as of the last look.
    pub(crate) fn maintenance(&self, labels: &Labels) -> Option<&str> {
        let mut open = self.windows.iter().filter(|window| window.is_open);
        open.find(|window| window.objects.fits(labels)).map(|window| window.schedule.as_str())
    }
}

impl Window {
    fn look(&mut self, now: Timestamp) {
        let next_after = |from: Timestamp| {
            let from = from.to_zoned(self.timezone.clone());
            self.cron.find_next_occurrence(&from, false).ok().map(|next| next.timestamp())
        };
        let before = now.saturating_sub(self.length).unwrap_or(Timestamp::MIN);
        let begun = next_after(before).filter(|begun| *begun <= now);
        self.is_open = begun.is_some();
        self.looked_at = now;
        self.look_again = match begun {
            // Longer if it begins again meanwhile; that is seen when this one ends.
            Some(begun) => begun.saturating_add(self.length).unwrap_or(Timestamp::MAX),
            None => next_after(now).unwrap_or(now.saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn calendar(json: &str) -> Calendar {
        Calendar::new(&serde_json::from_str(json).unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn quiet_hours_follow_the_wall_over_both_clock_changes() {
        let calendar = calendar(r#"{"quiet_hours":{"from":"23:00","to":"07:00","timezone":"Europe/Paris"}}"#);
        for (time, quiet) in [
            ("2026-01-10T21:59:59Z", false),
            ("2026-01-10T22:00:00Z", true),
            ("2026-01-11T05:59:59Z", true),
            ("2026-01-11T06:00:00Z", false),
            // The night of the change to summer time: 07:00 is 05:00 UTC.
            ("2026-03-29T04:59:59Z", true),
            ("2026-03-29T05:00:00Z", false),
            // And back: 07:00 is 06:00 UTC.
            ("2026-10-25T05:59:59Z", true),
            ("2026-10-25T06:00:00Z", false),
        ] {
            assert_eq!(calendar.is_quiet(at(time)), quiet, "{time}");
        }
        let noon = self::calendar(r#"{"quiet_hours":{"from":"12:00","to":"13:00"}}"#);
        assert!(noon.is_quiet(at("2026-01-10T12:30:00Z")) && !noon.is_quiet(at("2026-01-10T13:00:00Z")));
        assert!(!self::calendar("{}").is_quiet(at("2026-01-10T03:00:00Z")));
    }

    #[test]
    fn windows_open_and_end_by_their_own_zone() {
        let mut calendar = calendar(
            r#"{"timezone":"Europe/Paris","maintenance":[{"match":{"node":"pve2"},"schedule":"0 0 3 * * SUN","for":"2h"},
                {"match":{"tag":"lab"},"schedule":"@daily","for":"30m","timezone":"America/New_York"}]}"#,
        );
        let labels = |name: &str, value: &str| Labels(vec![(name.into(), value.into())]);
        let (node, lab, other) = (labels("node", "pve2"), labels("tag", "lab"), labels("node", "pve1"));
        for (time, on_node, on_lab) in [
            ("2026-01-11T01:59:59Z", false, false),
            ("2026-01-11T02:00:00Z", true, false),
            ("2026-01-11T03:59:59Z", true, false),
            ("2026-01-11T04:00:00Z", false, false),
            ("2026-01-11T05:00:00Z", false, true),
            ("2026-01-11T05:30:00Z", false, false),
            // In summer 03:00 in Paris is 01:00 UTC. Time also runs backwards here.
            ("2026-07-12T01:00:00Z", true, false),
            ("2026-01-11T02:30:00Z", true, false),
            // The hour that the clock skips: 29 March is a Sunday, and 03:00 exists; the window lasts two real hours.
            ("2026-03-29T00:59:59Z", false, false),
            ("2026-03-29T01:00:00Z", true, false),
            ("2026-03-29T02:59:59Z", true, false),
            ("2026-03-29T03:00:00Z", false, false),
        ] {
            calendar.look(at(time));
            assert_eq!(calendar.maintenance(&node).is_some(), on_node, "{time}");
            assert_eq!(calendar.maintenance(&lab).is_some(), on_lab, "{time}");
            assert_eq!(calendar.maintenance(&other), None);
        }
    }

    #[test]
    fn a_repeated_hour_begins_a_window_once_and_a_skipped_one_at_its_end() {
        let mut calendar = calendar(
            r#"{"timezone":"Europe/Paris","maintenance":[{"match":{"node":"*"},"schedule":"30 2 * * *","for":"20m"}]}"#,
        );
        let node = Labels(vec![("node".into(), "pve1".into())]);
        let mut open = |time: &str| {
            calendar.look(at(time));
            calendar.maintenance(&node).is_some()
        };
        let first = open("2026-10-25T00:40:00Z");
        let second = open("2026-10-25T01:40:00Z");
        assert!(first != second, "one of the two half past two");
        assert!(open("2026-03-29T01:10:00Z"), "02:30 does not exist that day; the window begins at 03:00");
        assert!(!open("2026-03-29T00:50:00Z"));
    }

    #[test]
    fn schedules_are_checked() {
        for good in ["0 0 3 * * SUN", "*/30 * * * *", "@hourly"] {
            assert!(parse_schedule(good).is_ok(), "{good}");
        }
        for bad in ["", "soon", "61 * * * *", "* * *"] {
            assert!(parse_schedule(bad).is_err_and(|why| why.contains("@daily")), "{bad}");
        }
    }
}
