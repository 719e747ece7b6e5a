//! How far apart the runs of a schedule can be. Reads the calendar events of Proxmox VE: `sat 02:00`, `mon..fri 22:30`, `*/15`, `*-*-1 03:00`, `daily`.

use jiff::civil::{Date, date};

/// So many days are looked through: a year and a month.
const DAYS: usize = 400;

/// The longest time between two runs, in seconds; `None` for what is no schedule, or never comes twice.
pub(super) fn longest_gap_s(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let text = match text.as_str() {
        "minutely" => "*:*",
        "hourly" => "*:00",
        "daily" => "00:00",
        "weekly" => "mon 00:00",
        "monthly" => "*-*-1 00:00",
        "quarterly" => "*-1,4,7,10-1 00:00",
        "semiannually" | "semi-annually" => "*-1,7-1 00:00",
        other => other,
    };
    let mut event = Event::default();
    for word in text.split_whitespace() {
        event.read(word)?;
    }
    (!text.is_empty()).then(|| event.longest_gap_s())?
}

struct Event {
    weekdays: Vec<u32>,
    months: Vec<u32>,
    days: Vec<u32>,
    /// Minutes of the day.
    times: Vec<u32>,
}

impl Default for Event {
    fn default() -> Self {
        Self { weekdays: (0..7).collect(), months: (1..=12).collect(), days: (1..=31).collect(), times: vec![0] }
    }
}

impl Event {
    fn read(&mut self, word: &str) -> Option<()> {
        if word.contains(':') {
            let mut parts = word.split(':');
            let (hours, minutes) = (numbers(parts.next()?, 0, 23)?, numbers(parts.next()?, 0, 59)?);
            self.set_times(&hours, &minutes);
        } else if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.weekdays = weekdays(word)?;
        } else if word.contains('-') {
            let mut parts = word.rsplit('-');
            (self.days, self.months) = (numbers(parts.next()?, 1, 31)?, numbers(parts.next()?, 1, 12)?);
        } else {
            let hours: Vec<u32> = (0..24).collect();
            self.set_times(&hours, &numbers(word, 0, 59)?);
        }
        Some(())
    }

    fn set_times(&mut self, hours: &[u32], minutes: &[u32]) {
        self.times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
        self.times.sort_unstable();
        self.times.dedup();
    }

    fn falls_on(&self, day: Date) -> bool {
        let weekday = u32::from(day.weekday().to_monday_zero_offset().unsigned_abs());
        self.weekdays.contains(&weekday)
            && self.months.contains(&u32::from(day.month().unsigned_abs()))
            && self.days.contains(&u32::from(day.day().unsigned_abs()))
    }

    fn longest_gap_s(&self) -> Option<u64> {
        let (first, last) = (*self.times.first()?, *self.times.last()?);
        let mut longest = self.times.windows(2).map(|pair| u64::from(pair[1] - pair[0])).max().unwrap_or(0);
        let (mut day, mut before) = (date(2024, 1, 1), None::<u64>);
        for at in 0..DAYS as u64 {
            if self.falls_on(day) {
                if let Some(before) = before {
                    longest = longest.max((at - before) * 1440 + u64::from(first) - u64::from(last));
                }
                before = Some(at);
            }
            day = day.tomorrow().ok()?;
        }
        (longest > 0).then_some(longest * 60)
    }
}

/// `mon`, `mon..fri`, `mon,wed`; Monday is 0.
fn weekdays(text: &str) -> Option<Vec<u32>> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let number = |name: &str| {
        let at = NAMES.iter().position(|known| name.starts_with(known))?;
        u32::try_from(at).ok()
    };
    let mut days = Vec::new();
    for part in text.split(',') {
        match part.split_once("..") {
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                days.extend((0..7).map(|step| (from + step) % 7).take_while(|day| *day != (to + 1) % 7));
                days.push(to);
            }
            None => days.push(number(part)?),
        }
    }
    Some(days)
}

/// `*`, `*/15`, `5`, `5/10`, `1..5`, and lists of these.
fn numbers(text: &str, least: u32, most: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match (range, range.split_once("..")) {
            ("*", _) => (least, most),
            (_, Some((from, to))) => (from.parse().ok()?, to.parse().ok()?),
            (one, None) if part.contains('/') => (one.parse().ok()?, most),
            (one, None) => (one.parse().ok()?, one.parse().ok()?),
        };
        if from < least || to > most || from > to {
            return None;
        }
        found.extend((from..=to).step_by(step as usize));
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gaps_of_schedules() {
        const H: u64 = 3600;
        for (text, hours) in [
            ("21:00", Some(24)),
            ("daily", Some(24)),
            ("sat 02:00", Some(168)),
            ("mon..fri 22:30", Some(72)),
            ("mon,wed 03:00", Some(120)),
            ("fri..mon 03:00", Some(96)),
            ("*/2:00", Some(2)),
            ("0/6:00", Some(6)),
            ("8..17:00", Some(15)),
            ("weekly", Some(168)),
            ("monthly", Some(744)),
            ("mon,sat 02:00", Some(120)),
            ("", None),
            ("soon", None),
            ("25:00", None),
            ("*/0", None),
        ] {
            assert_eq!(longest_gap_s(text), hours.map(|hours| hours * H), "{text}");
        }
        assert_eq!(longest_gap_s("*/15"), Some(900));
        assert_eq!(longest_gap_s("*:0/30"), Some(1800));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9*/:., -]{0,24}") {
            if let Some(gap) = longest_gap_s(&text) {
                prop_assert!((60..=400 * 86_400).contains(&gap));
            }
        }
    }
}
