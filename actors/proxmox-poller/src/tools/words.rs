//! How results are written: JSON without nulls, sizes and spans that a person reads, moments with their age; and how arguments are read.

use crate::model::Snapshot;
use contract::tools::ToolResult;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The longest text of a guest, a log or a person that is passed on in one member, in characters.
const LONGEST_TEXT: usize = 300;

/// Reads the arguments of a tool.
pub(crate) fn arguments<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        format!("the arguments are wrong: {}", said.split(" at line ").next().unwrap_or_default())
    })
}

/// A result for the model.
pub(crate) fn result(result: Result<Value, String>) -> ToolResult {
    match result {
        Ok(value) => ToolResult::ok(without_nulls(value).to_string()),
        Err(said) => ToolResult::error(said),
    }
}

/// The same without members that say nothing: nulls, and objects that held nothing else.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let was_empty = members.is_empty();
            let members = members.into_iter().map(|(key, value)| (key, without_nulls(value)));
            let told: Map<String, Value> = members.filter(|(_, value)| !value.is_null()).collect();
            if told.is_empty() && !was_empty { Value::Null } else { Value::Object(told) }
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

/// A fraction as per cent with one digit.
pub(crate) fn percent(fraction: Option<f64>) -> Option<f64> {
    fraction.map(|fraction| (fraction * 1000.0).round() / 10.0)
}

/// A size as people write it: `3.2 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `used` of `total`: `2.1 GiB of 4.0 GiB`.
pub(crate) fn used_of(used: Option<u64>, total: Option<u64>) -> Option<String> {
    match (used, total) {
        (Some(used), Some(total)) => Some(format!("{} of {}", size(used), size(total))),
        (None, Some(total)) => Some(format!("use unknown, {} in all", size(total))),
        (Some(used), None) => Some(size(used)),
        (None, None) => None,
    }
}

/// A span as people write it: `3 d 4 h`, `12 min`, `5 s`.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A moment that the server dated: `{at, ago_s, ago}`.
pub(crate) fn moment(server_s: i64, snapshot: &Snapshot, now: Timestamp) -> Value {
    let ago = snapshot.seconds_since_s(server_s, now);
    json!({ "at": at(server_s), "ago_s": ago, "ago": span(ago) })
}

/// A moment in UTC.
pub(crate) fn at(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|at| at.to_string())
}

/// A text that others wrote, on one line and cut.
pub(crate) fn text(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// A page of a list: the items, and the members that tell what was left out.
pub(crate) struct Page {
    pub(crate) offset: usize,
    pub(crate) limit: usize,
}

impl Page {
    /// A page after a tool's arguments; `usual` items where none is asked for, `most` at most.
    pub(crate) fn of(limit: Option<u64>, offset: Option<u64>, usual: usize, most: usize) -> Self {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Self { limit: limit.map_or(usual, number).clamp(1, most), offset: offset.map_or(0, number) }
    }

    /// Where the next page begins, if there is one.
    pub(crate) fn next(&self, total: usize) -> Option<usize> {
        let end = self.offset.saturating_add(self.limit);
        (end < total).then_some(end)
    }

    /// The items of the page.
    pub(crate) fn items<'a, T>(&self, all: &'a [T]) -> impl Iterator<Item = &'a T> {
        all.iter().skip(self.offset).take(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_read_well() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1 << 20, "1.0 MiB"), (200 << 30, "200 GiB"), (u64::MAX, "16384 PiB")]
        {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in
            [(5, "5 s"), (60, "1 min"), (7200, "2 h"), (7260, "2 h 1 min"), (90_000, "1 d 1 h"), (86_400, "1 d")]
        {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(percent(Some(0.12345)), Some(12.3));
        assert!(text(&"x\n".repeat(900)).ends_with('…'));
    }

    #[test]
    fn nulls_are_left_out_at_any_depth() {
        let value = json!({"a": null, "b": [{"c": null, "d": 1}], "e": {"f": {"g": null}}, "h": {}, "i": []});
        assert_eq!(without_nulls(value), json!({"b": [{"d": 1}], "h": {}, "i": []}));
    }

    #[test]
    fn pages_are_bounded() {
        let page = Page::of(Some(10_000), Some(5), 50, 200);
        assert_eq!((page.limit, page.next(205), page.next(206)), (200, None, Some(205)));
        assert_eq!(Page::of(Some(0), None, 50, 200).limit, 1);
        assert_eq!(Page::of(None, Some(u64::MAX), 50, 200).next(10), None);
    }
}
