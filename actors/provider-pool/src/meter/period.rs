//! The day and the month that accounts are kept for, in a time zone. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A day of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    today: Date,
    day_begins: Timestamp,
    day_ends: Timestamp,
    month_ends: Timestamp,
}

/// What is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Nothing.
    Not,
    /// The day.
    Day,
    /// The month, and the day with it.
    Month,
    /// Nothing: the clock was ahead, and what was counted belongs to days that are yet to come.
    Back,
}

/// A clock that is set back by less changes nothing: a day is not counted twice.
const MOST_BACK: SignedDuration = SignedDuration::from_hours(24);

impl Period {
    /// The period of a moment.
    pub fn at(now: Timestamp, timezone: &TimeZone) -> Self {
        let today = now.to_zoned(timezone.clone()).date();
        let begin = |date: Option<Date>| {
            let zoned = date.and_then(|date| date.to_zoned(timezone.clone()).ok());
            zoned.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
        };
        Self {
            today,
            day_begins: today.to_zoned(timezone.clone()).map_or(Timestamp::MIN, |zoned| zoned.timestamp()),
            day_ends: begin(today.tomorrow().ok()),
            month_ends: begin(today.first_of_month().checked_add(1.month()).ok()),
        }
    }

    /// Goes on to the period of `now`, or back to it where the clock was more than a day ahead.
    pub fn turn(&mut self, now: Timestamp, timezone: &TimeZone) -> Turned {
        if self.day_begins.duration_since(now) > MOST_BACK {
            *self = Self::at(now, timezone);
            return Turned::Back;
        }
        if now < self.day_ends {
            return Turned::Not;
        }
        let month_is_over = now >= self.month_ends;
        *self = Self::at(now, timezone);
        if month_is_over { Turned::Month } else { Turned::Day }
    }

    /// The day.
    pub fn today(&self) -> Date {
        self.today
    }

    /// Its end.
    pub fn day_ends(&self) -> Timestamp {
        self.day_ends
    }

    /// The end of its month.
    pub fn month_ends(&self) -> Timestamp {
        self.month_ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time stamp")
    }

    #[test]
    fn days_and_months_end_at_midnight_of_the_zone() {
        let paris = TimeZone::get("Europe/Paris").expect("a known zone");
        // The night of the change to summer time.
        let mut period = Period::at(at("2026-03-28T23:30:00Z"), &paris);
        assert_eq!(period.today().to_string(), "2026-03-29");
        assert_eq!(period.day_ends(), at("2026-03-29T22:00:00Z"));
        assert_eq!(period.month_ends(), at("2026-03-31T22:00:00Z"));
        assert_eq!(period.turn(at("2026-03-29T21:59:59Z"), &paris), Turned::Not);
        assert_eq!(period.turn(at("2026-03-27T23:00:00Z"), &paris), Turned::Not, "the clock was set back");
        assert_eq!(period.turn(at("2026-03-29T22:00:00Z"), &paris), Turned::Day);
        assert_eq!(period.today().to_string(), "2026-03-30");
        assert_eq!(period.turn(at("2026-05-01T00:00:00Z"), &paris), Turned::Month);
        assert_eq!(period.today().to_string(), "2026-05-01");
        assert_eq!(period.turn(at("2026-04-20T10:00:00Z"), &paris), Turned::Back, "it was ahead");
        assert_eq!((period.today().to_string(), period.day_ends()), ("2026-04-20".into(), at("2026-04-20T22:00:00Z")));
    }
}
