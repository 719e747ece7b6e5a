//! Times and durations as people read them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A time in a zone, as short as it is clear on the day of `now`: `14:03`, `Sat 28 Feb 14:03`, `28 Feb 2025 14:03`.
pub fn clock_time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    if at.date() == now.date() {
        at.strftime("%H:%M").to_string()
    } else if at.year() == now.year() {
        at.strftime("%a %-d %b %H:%M").to_string()
    } else {
        at.strftime("%-d %b %Y %H:%M").to_string()
    }
}

/// A duration in at most two units: `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`.
pub fn duration_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 if minutes % 60 == 0 => format!("{hours} h"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_short_as_they_are_clear() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (at, told) in [
            ("2026-03-01T11:58:10Z", "12:58"),
            ("2026-02-28T23:30:00Z", "00:30"),
            ("2026-02-28T22:30:00Z", "Sat 28 Feb 23:30"),
            ("2025-12-31T22:30:00Z", "31 Dec 2025 23:30"),
        ] {
            assert_eq!(clock_time(at.parse().unwrap(), now, &zone), told);
        }
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, told) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (7200, "2 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(duration_words(SignedDuration::from_secs(seconds)), told);
        }
    }
}
