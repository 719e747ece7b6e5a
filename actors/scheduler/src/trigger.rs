//! When a job is due: cron fields in a time zone, an interval, one moment. Pure, and right over changes of daylight saving: a fixed time
//! that the clocks skip is done at the end of the gap, one that comes twice is done once, and `*/30` runs through both.

use crate::config::JobConfig;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The shortest interval.
const SHORTEST_S: i64 = 1;

/// When a job is due.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// By cron fields.
    Cron(Box<Cron>, TimeZone),
    /// At an interval from the time before.
    Every(SignedDuration),
    /// At one moment.
    Once(Timestamp),
    /// Never by the clock: only at the start, or when somebody asks.
    Never,
}

impl Trigger {
    /// The trigger of a job.
    ///
    /// # Errors
    /// The key that is wrong (`.schedule`), and why.
    pub fn of(job: &JobConfig, zone: &TimeZone) -> Result<Self, (&'static str, String)> {
        if let Some(schedule) = &job.schedule {
            return cron(schedule, zone).map_err(|why| (".schedule", why));
        }
        if let Some(every) = &job.every {
            let every = SignedDuration::try_from(every.0).unwrap_or(SignedDuration::MAX);
            return if every.as_secs() < SHORTEST_S {
                Err((".every", format!("it must be at least {SHORTEST_S}s")))
            } else {
                Ok(Trigger::Every(every))
            };
        }
        match &job.once {
            Some(once) => moment(once, zone).map(Trigger::Once).map_err(|why| (".once", why)),
            None => Ok(Trigger::Never),
        }
    }

    /// The next time after `after`; `None` when there is none.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Trigger::Cron(cron, zone) => {
                let next = cron.find_next_occurrence(&after.to_zoned(zone.clone()), false).ok()?.timestamp();
                // A part of a second of `after` must not come back in the answer.
                Timestamp::from_second(next.as_second()).ok().filter(|next| *next > after)
            }
            Trigger::Every(every) => after.checked_add(*every).ok(),
            Trigger::Once(at) => Some(*at).filter(|at| *at > after),
            Trigger::Never => None,
        }
    }

    /// The latest time that is not after `now`, given that `next` is a time of it.
    pub(crate) fn latest(&self, next: Timestamp, now: Timestamp) -> Option<Timestamp> {
        match self {
            Trigger::Cron(cron, zone) => {
                let found = cron.find_previous_occurrence(&now.to_zoned(zone.clone()), true).ok()?.timestamp();
                Timestamp::from_second(found.as_second()).ok()
            }
            Trigger::Every(every) => {
                let passed = now.duration_since(next).as_millis() / every.as_millis().max(1);
                let on = every.as_millis().saturating_mul(passed.max(0));
                next.checked_add(SignedDuration::from_millis(i64::try_from(on).unwrap_or(0))).ok()
            }
            Trigger::Once(_) | Trigger::Never => Some(next),
        }
    }

    /// The time before a time of it.
    pub(crate) fn before(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Trigger::Cron(cron, zone) => {
                let found = cron.find_previous_occurrence(&at.to_zoned(zone.clone()), false).ok()?.timestamp();
                Timestamp::from_second(found.as_second()).ok().filter(|found| *found < at)
            }
            Trigger::Every(every) => at.checked_sub(*every).ok(),
            Trigger::Once(_) | Trigger::Never => None,
        }
    }

    /// The time between two runs around `at`, for the grace that a job has by default.
    pub fn period(&self, at: Timestamp) -> Option<SignedDuration> {
        match self {
            Trigger::Every(every) => Some(*every),
            Trigger::Cron(..) => {
                let first = self.next_after(at)?;
                Some(self.next_after(first)?.duration_since(first))
            }
            Trigger::Once(_) | Trigger::Never => None,
        }
    }
}

fn cron(schedule: &str, zone: &TimeZone) -> Result<Trigger, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
    let wrong = |why: String| {
        format!(
            "{schedule:?} is no schedule ({why}); write five fields, six with seconds first, or @daily and the like"
        )
    };
    let cron = parser.parse(schedule.trim()).map_err(|error| wrong(error.to_string()))?;
    let trigger = Trigger::Cron(Box::new(cron), zone.clone());
    // Whether a day ever comes does not depend on when one begins to look.
    match trigger.next_after(Timestamp::UNIX_EPOCH) {
        Some(_) => Ok(trigger),
        None => Err(wrong("such a day never comes".to_owned())),
    }
}

fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong =
        |_| format!("{text:?} is no moment; write for example \"2026-12-24T18:00\" or \"2026-12-24T18:00+01:00\"");
    let civil: DateTime = text.parse().map_err(wrong)?;
    zone.to_timestamp(civil).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::units::Span;

    fn trigger(schedule: &str, zone: &str) -> Trigger {
        let job = JobConfig { schedule: Some(schedule.to_owned()), timezone: zone.to_owned(), ..JobConfig::default() };
        Trigger::of(&job, &job.zone().unwrap()).unwrap()
    }

    fn times(trigger: &Trigger, from: &str, until: &str) -> Vec<Timestamp> {
        let (mut at, until): (Timestamp, Timestamp) = (from.parse().unwrap(), until.parse().unwrap());
        let mut times = Vec::new();
        while let Some(next) = trigger.next_after(at).filter(|next| *next < until) {
            assert!(next > at, "time stood still at {at}");
            times.push(next);
            at = next;
        }
        times
    }

    /// Both changes of 2026 in the north, in the west and in the south, where they are half an hour.
    const CHANGES: [(&str, &str, &str); 6] = [
        ("Europe/Paris", "2026-03-27T00:00Z", "2026-04-01T00:00Z"),
        ("Europe/Paris", "2026-10-23T00:00Z", "2026-10-28T00:00Z"),
        ("America/New_York", "2026-03-06T00:00Z", "2026-03-11T00:00Z"),
        ("America/New_York", "2026-10-30T00:00Z", "2026-11-04T00:00Z"),
        ("Australia/Lord_Howe", "2026-04-03T00:00Z", "2026-04-08T00:00Z"),
        ("Australia/Lord_Howe", "2026-10-02T00:00Z", "2026-10-07T00:00Z"),
    ];

    #[test]
    fn a_daily_time_comes_once_a_day_at_that_time() {
        for (zone, from, until) in CHANGES {
            let zone_ = TimeZone::get(zone).unwrap();
            let runs = times(&trigger("30 8 * * *", zone), from, until);
            let mut days: Vec<_> = runs.iter().map(|run| run.to_zoned(zone_.clone()).datetime()).collect();
            assert!(days.iter().all(|at| (at.hour(), at.minute()) == (8, 30)), "{zone}: {days:?}");
            let count = days.len();
            days.dedup_by_key(|at| at.date());
            assert!(count == days.len() && (4..=5).contains(&count), "{zone}: {days:?}");
        }
    }

    #[test]
    fn a_time_in_the_changed_hour_comes_once_each_day() {
        for (zone, from, until) in CHANGES {
            let zone_ = TimeZone::get(zone).unwrap();
            for schedule in ["30 2 * * *", "15 2 * * *", "45 1 * * *"] {
                let runs = times(&trigger(schedule, zone), from, until);
                let mut days: Vec<_> = runs.iter().map(|run| run.to_zoned(zone_.clone()).date()).collect();
                let count = days.len();
                days.dedup();
                assert!(count == days.len() && (4..=6).contains(&count), "{zone} {schedule}: {runs:?}");
                let gaps: Vec<i64> = runs.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_hours()).collect();
                assert!(gaps.iter().all(|hours| (22..=26).contains(hours)), "{zone} {schedule}: {gaps:?}");
            }
        }
    }

    #[test]
    fn every_half_hour_has_no_gap() {
        for (zone, from, until) in CHANGES {
            let runs = times(&trigger("*/30 * * * *", zone), from, until);
            let longest = runs.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap();
            assert!(longest <= SignedDuration::from_mins(30), "{zone}: {longest}");
        }
    }

    #[test]
    fn fields_names_and_moments_are_understood() {
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (schedule, next) in [
            ("0 0 8 * * *", "2026-03-02T08:00:00Z"),
            ("0 8 * * *", "2026-03-02T08:00:00Z"),
            ("@hourly", "2026-03-01T13:00:00Z"),
            ("0 0 3 * * SUN", "2026-03-08T03:00:00Z"),
            ("*/10 * * * * *", "2026-03-01T12:00:10Z"),
            ("0 0 L * *", "2026-03-31T00:00:00Z"),
        ] {
            assert_eq!(trigger(schedule, "UTC").next_after(noon), Some(next.parse().unwrap()), "{schedule}");
        }
        let once = |text: &str| {
            let job = JobConfig { once: Some(text.to_owned()), ..JobConfig::default() };
            Trigger::of(&job, &TimeZone::get("Europe/Paris").unwrap()).map(|trigger| trigger.next_after(noon))
        };
        assert_eq!(once("2026-12-24T18:00").unwrap(), Some("2026-12-24T17:00:00Z".parse().unwrap()));
        assert_eq!(once("2026-12-24T18:00+02:00").unwrap(), Some("2026-12-24T16:00:00Z".parse().unwrap()));
        assert_eq!(once("2020-01-01T00:00").unwrap(), None);
        assert!(once("soon").is_err());
        let every = JobConfig { every: Some(Span::seconds(300)), ..JobConfig::default() };
        let every = Trigger::of(&every, &TimeZone::UTC).unwrap();
        assert_eq!(every.next_after(noon), Some("2026-03-01T12:05:00Z".parse().unwrap()));
    }

    #[test]
    fn parts_of_a_second_do_not_come_back() {
        let at: Timestamp = "2026-03-01T12:00:00.75Z".parse().unwrap();
        assert_eq!(trigger("* * * * * *", "UTC").next_after(at), Some("2026-03-01T12:00:01Z".parse().unwrap()));
    }
}
