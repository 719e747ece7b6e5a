//! The time that a question is about ("last night", "in the last 6 hours"), read from its words. Pure.

/// Seconds of an hour.
const HOUR: u64 = 3600;
/// Seconds of a day.
const DAY: u64 = 24 * HOUR;
/// The longest time looked back, in seconds.
const LONGEST: u64 = 31 * DAY;
/// When a night begins, in seconds of the day before.
const NIGHT_BEGINS: u64 = 20 * HOUR;
/// When a night is over, in seconds of the day.
const NIGHT_ENDS: u64 = 8 * HOUR;

/// A time that people name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// From the evening before to the morning.
    Night,
    /// Since midnight.
    Today,
    /// The whole day before.
    Yesterday,
    /// Since the beginning of the day before.
    SinceYesterday,
    /// The last so many seconds.
    Last(u64),
}

/// A period before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// How many seconds ago it began.
    pub(crate) from_s: u64,
    /// How many seconds ago it ended.
    pub(crate) to_s: u64,
}

impl Window {
    /// Whether something that was so many seconds ago lies in it.
    pub(crate) fn holds(self, ago_s: u64) -> bool {
        (self.to_s..=self.from_s).contains(&ago_s)
    }

    /// Its beginning in hours, rounded up to minutes.
    pub(crate) fn hours(self) -> f64 {
        self.from_s.div_ceil(60) as f64 / 60.0
    }
}

impl Period {
    /// Where it lies, seen from a moment that is so many seconds after midnight.
    pub(crate) fn window(self, second_of_day: u64) -> Window {
        let (from_s, to_s) = match self {
            Period::Night => (second_of_day + DAY - NIGHT_BEGINS, second_of_day.saturating_sub(NIGHT_ENDS)),
            Period::Today => (second_of_day, 0),
            Period::Yesterday => (second_of_day + DAY, second_of_day),
            Period::SinceYesterday => (second_of_day + DAY, 0),
            Period::Last(seconds) => (seconds, 0),
        };
        Window { from_s, to_s }
    }

    /// The period in words, as the end of a sentence.
    pub(crate) fn words(self) -> String {
        match self {
            Period::Night => "last night (20:00 to 08:00)".to_owned(),
            Period::Today => "today".to_owned(),
            Period::Yesterday => "yesterday".to_owned(),
            Period::SinceYesterday => "since yesterday".to_owned(),
            Period::Last(seconds) => format!("in the last {}", super::super::markdown::span(seconds)),
        }
    }
}

/// The period that words name, with the places of its words.
pub(super) fn find(words: &[String]) -> Option<(Period, std::ops::Range<usize>)> {
    (0..words.len()).find_map(|at| {
        let word = |offset: usize| words.get(at + offset).map_or("", String::as_str);
        let found = |period, length| Some((period, at..at + length));
        match (word(0), word(1), word(2)) {
            ("last" | "this" | "past" | "previous", "night" | "nights", _) => found(Period::Night, 2),
            ("in" | "during" | "over", "the", "night") => found(Period::Night, 3),
            ("overnight" | "tonight", _, _) => found(Period::Night, 1),
            ("since", "yesterday", "morning" | "noon" | "afternoon" | "evening") => found(Period::SinceYesterday, 3),
            ("since", "yesterday", _) => found(Period::SinceYesterday, 2),
            ("yesterday", "morning" | "noon" | "afternoon" | "evening", _) => found(Period::Yesterday, 2),
            ("yesterday", _, _) => found(Period::Yesterday, 1),
            ("today", _, _) => found(Period::Today, 1),
            ("this", "morning" | "evening" | "afternoon", _) => found(Period::Today, 2),
            ("since", "midnight", _) => found(Period::Today, 2),
            ("last" | "past" | "this" | "previous", one, other) => {
                if let Some(seconds) = unit(one) {
                    return found(Period::Last(seconds), 2);
                }
                if let Some(seconds) = joined(one) {
                    return found(Period::Last(seconds), 2);
                }
                let count = count(one)?;
                let seconds = unit(other)?.saturating_mul(count);
                (seconds > 0).then_some((Period::Last(seconds.min(LONGEST)), at..at + 3))
            }
            _ => None,
        }
    })
}

/// Seconds of a unit.
fn unit(word: &str) -> Option<u64> {
    Some(match word {
        "minute" | "minutes" | "min" | "mins" => 60,
        "hour" | "hours" | "h" | "hrs" | "hr" => HOUR,
        "day" | "days" | "d" => DAY,
        "week" | "weeks" => 7 * DAY,
        "month" => 30 * DAY,
        _ => return None,
    })
}

/// A number, in figures or as a word.
fn count(word: &str) -> Option<u64> {
    const WORDS: [&str; 13] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    match word {
        "few" | "couple" => Some(3),
        _ => WORDS
            .iter()
            .position(|one| *one == word)
            .and_then(|at| u64::try_from(at).ok())
            .or_else(|| word.parse().ok()),
    }
}

/// `24h`, `30min`: seconds.
fn joined(word: &str) -> Option<u64> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
    let (count, name) = word.split_at(digits);
    let seconds = count.parse::<u64>().ok()?.saturating_mul(unit(name)?);
    (seconds > 0).then_some(seconds.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_periods() {
        for (text, expected) in [
            ("what happened last night", Some((Period::Night, 2..4))),
            ("anything overnight", Some((Period::Night, 1..2))),
            ("since yesterday", Some((Period::SinceYesterday, 0..2))),
            ("tasks of yesterday", Some((Period::Yesterday, 2..3))),
            ("this morning", Some((Period::Today, 0..2))),
            ("in the last 6 hours", Some((Period::Last(6 * HOUR), 2..5))),
            ("past 24h", Some((Period::Last(DAY), 0..2))),
            ("last two days", Some((Period::Last(2 * DAY), 0..3))),
            ("last hour", Some((Period::Last(HOUR), 0..2))),
            ("this week", Some((Period::Last(7 * DAY), 0..2))),
            ("last 99999999999999999999 days", None),
            ("last 18446744073709551615 days", Some((Period::Last(LONGEST), 0..3))),
            ("last 0 hours", None),
            ("last backup", None),
            ("last", None),
        ] {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(find(&words), expected, "{text}");
        }
    }

    #[test]
    fn periods_lie_before_now() {
        let at = |hours: u64| hours * HOUR;
        for (period, now, from, to) in [
            (Period::Night, at(9), at(13), at(1)),
            (Period::Night, at(3), at(7), 0),
            (Period::Night, at(22), at(26), at(14)),
            (Period::Today, at(9), at(9), 0),
            (Period::Yesterday, at(9), at(33), at(9)),
            (Period::SinceYesterday, at(9), at(33), 0),
            (Period::Last(60), at(9), 60, 0),
        ] {
            assert_eq!(period.window(now), Window { from_s: from, to_s: to }, "{period:?}");
        }
        let window = Period::Night.window(at(9));
        assert!(window.holds(at(5)) && !window.holds(1) && !window.holds(at(14)));
        assert_eq!(window.hours(), 13.0);
    }
}
