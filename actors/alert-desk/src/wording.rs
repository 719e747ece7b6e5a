//! The words of messages: one line that a person reads on a lock screen at night. Calm and concrete; it knows no markup.

use crate::desk::Alert;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The most characters of a title.
const TITLE: usize = 200;
/// Subjects that a title names.
const NAMED: usize = 3;

/// The first characters of a text, on one line; `…` stands for the rest.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut characters = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    line.extend(characters.by_ref().take(most));
    if characters.next().is_some() {
        line = line.chars().take(most.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

/// `45 s`, `14 min`, `2 h 5 min`, `3 d 4 h`: cut as the channels cut them below the title, so that one message never says two things.
pub(crate) fn span(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let two = |large: i64, unit: &str, small: i64, lesser: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {lesser}"),
    };
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `14:05`, or with the day when it is not today.
pub(crate) fn moment(at: Timestamp, now: Timestamp, timezone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(timezone.clone()), now.to_zoned(timezone.clone()));
    let form = if at.date() == now.date() { "%H:%M" } else { "%-d %b %H:%M" };
    at.strftime(form).to_string()
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `web-01 (101) crashed`.
pub(crate) fn sentence(alert: &Alert) -> String {
    format!("{} {}", cut(&alert.finding.subject, 100), cut(&alert.finding.summary, 120))
}

/// What a beginning says: the first root, with what suffers from it, and how many more roots.
pub(crate) fn opened(roots: &[&Alert], consequences: usize) -> String {
    let Some(first) = roots.first() else { return String::new() };
    let mut title = sentence(first);
    let affected = first.finding.affected.len();
    if affected > 0 && &*first.finding.rule == "node_down" {
        title = format!("{title}, {} with it", plural(affected, "guest", "guests"));
    } else if consequences > 0 && roots.len() == 1 {
        title = format!("{title}, {} with it", plural(consequences, "problem", "problems"));
    }
    more(title, roots.len() - 1)
}

fn more(title: String, others: usize) -> String {
    match others {
        0 => cut(&title, TITLE),
        _ => format!("{}, and {}", cut(&title, TITLE), plural(others, "more problem", "more problems")),
    }
}

/// `web-01 (101) crashed, now critical`.
pub(crate) fn escalated(roots: &[&Alert]) -> String {
    let Some(first) = roots.first() else { return String::new() };
    more(format!("{}, now {}", sentence(first), first.severity.as_str()), roots.len() - 1)
}

/// `web-01 (101) crashed: still so after 1 d`.
pub(crate) fn reminder(roots: &[&Alert], now: Timestamp) -> String {
    let Some(first) = roots.first() else { return String::new() };
    let open = first.opened.map_or(SignedDuration::ZERO, |opened| now.duration_since(opened));
    more(format!("{}: still so after {}", sentence(first), span(open)), roots.len() - 1)
}

/// `web-01 (101) comes and goes: crashed 3 times in 12 min`.
pub(crate) fn flapping(roots: &[&Alert], now: Timestamp) -> String {
    let Some(first) = roots.first() else { return String::new() };
    let since = first.openings.first().map_or(SignedDuration::ZERO, |opening| now.duration_since(*opening));
    let times = plural(first.openings.len(), "time", "times");
    more(format!("{}: on and off, {times} in {}", sentence(first), span(since)), roots.len() - 1)
}

/// `web-01 (101) is running again after 14 min`, or what was wrong where nothing is known of the end.
pub(crate) fn resolved(ended: &[&Alert]) -> String {
    let [only] = ended else {
        let names: Vec<String> = ended.iter().take(NAMED).map(|alert| cut(&alert.finding.subject, 40)).collect();
        let rest = ended.len().saturating_sub(NAMED);
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        return format!("{} over: {}{rest}", plural(ended.len(), "problem is", "problems are"), names.join(", "));
    };
    let lasted = span(only.lasted());
    let title = match &only.closing {
        // A clause of its own would swallow the time.
        Some(said) => {
            let pause = if said.contains([',', ':', '(']) { "," } else { "" };
            format!("{} {}{pause} after {lasted}", cut(&only.finding.subject, 100), cut(said, 120))
        }
        None => format!("Over after {lasted}: {}", sentence(only)),
    };
    cut(&title, TITLE)
}

/// `web-01 (101) has been calm for 8 min`.
pub(crate) fn stable(ended: &[&Alert], calm: SignedDuration) -> String {
    let names: Vec<String> = ended.iter().take(NAMED).map(|alert| cut(&alert.finding.subject, 60)).collect();
    let rest = ended.len().saturating_sub(NAMED);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let verb = if ended.len() == 1 { "has" } else { "have" };
    format!("{}{rest} {verb} been calm for {}", names.join(", "), span(calm))
}

/// What a first sight found.
pub(crate) fn baseline(roots: &[&Alert]) -> String {
    match roots {
        [only] => cut(&format!("At first sight: {}", sentence(only)), TITLE),
        _ => format!("At first sight: {} open already", plural(roots.len(), "problem is", "problems are")),
    }
}

/// What the quiet hours held back.
pub(crate) fn night(open: usize, over: usize) -> String {
    match (open, over) {
        (0, over) => format!("Quiet hours: {}, all over", plural(over, "problem", "problems")),
        (open, 0) => format!("Quiet hours: {}", plural(open, "problem is open", "problems are open")),
        (open, over) => format!("Quiet hours: {}, {over} over", plural(open, "problem is open", "problems are open")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, said) in [
            (0, "0 s"),
            (45, "45 s"),
            (59, "59 s"),
            (90, "1 min"),
            (840, "14 min"),
            (5400, "1 h 30 min"),
            (7500, "2 h 5 min"),
            (86_430, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn cutting_keeps_one_line_and_whole_characters() {
        assert_eq!(cut(" a\nb ", 10), "a b");
        assert_eq!(cut("ääää", 3), "ää…");
        assert_eq!(cut("äää", 3), "äää");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn moments_name_the_day_only_when_needed() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let paris = TimeZone::get("Europe/Paris").unwrap();
        assert_eq!(moment("2026-03-01T11:05:00Z".parse().unwrap(), now, &paris), "12:05");
        assert_eq!(moment("2026-02-28T11:05:00Z".parse().unwrap(), now, &paris), "28 Feb 12:05");
    }
}
