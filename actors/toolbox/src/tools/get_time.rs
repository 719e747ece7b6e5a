//! `get_time`: what time and day it is, here or in another time zone. The system prompt holds no time, so that it stays the same.

use super::{Begun, OwnTool, Surroundings};
use crate::arguments;
use crate::catalogue::near_names;
use contract::tools::{Risk, ToolResult};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub(super) const TOOL: OwnTool = OwnTool {
    name: "get_time",
    title: "Looking at the clock",
    description: "The current date, time and weekday, locally and in UTC. Call it before any statement about now, today or how long ago.",
    parameters: r#"{"type":"object","properties":{"timezone":{"type":["string","null"],"description":"An IANA time zone such as Europe/Paris, or its city alone; null for HAIA's own."}},"required":["timezone"],"additionalProperties":false}"#,
    risk: Risk::Read,
    begin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    timezone: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    timezone: String,
    date: String,
    time: String,
    weekday: String,
    utc_offset: String,
    utc: String,
    unix: i64,
}

fn begin(surroundings: &Surroundings, text: &str) -> Result<Begun, String> {
    let arguments: Arguments = arguments::read(text)?;
    let timezone = match arguments.timezone.as_deref().map(str::trim) {
        None | Some("") => surroundings.timezone.clone(),
        Some(name) => find(name)?,
    };
    let now = surroundings.clock.now();
    let local = now.to_zoned(timezone);
    let answer = Answer {
        timezone: local.time_zone().iana_name().map_or_else(|| "the system's".to_owned(), str::to_owned),
        date: local.strftime("%Y-%m-%d").to_string(),
        time: local.strftime("%H:%M:%S").to_string(),
        weekday: local.strftime("%A").to_string(),
        utc_offset: local.strftime("%:z").to_string(),
        utc: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        unix: now.as_second(),
    };
    let result = match serde_json::to_string(&answer) {
        Ok(text) => ToolResult::ok(text),
        Err(error) => ToolResult::error(format!("the time could not be written down: {error}")),
    };
    Ok(Box::pin(std::future::ready(result)))
}

/// A zone by its name, or by its city where only one zone has it.
fn find(name: &str) -> Result<TimeZone, String> {
    const LONGEST: usize = 64;
    if name.len() <= LONGEST
        && let Ok(zone) = TimeZone::get(name)
    {
        return Ok(zone);
    }
    let city = name.replace(' ', "_");
    let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
    let of_city = |zone: &&String| zone.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city));
    let mut cities = known.iter().filter(of_city);
    if let (Some(only), None) = (cities.next(), cities.next()) {
        return TimeZone::get(only).map_err(|error| format!("the time zone {only} cannot be read: {error}"));
    }
    let shown: String = name.chars().take(LONGEST).collect();
    let near = near_names(&shown, known.iter().map(String::as_str));
    let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
    Err(format!("{shown:?} is no time zone: give an IANA name such as \"Europe/Paris\", or null{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_zones_by_name_and_by_city() {
        for (asked, found) in [
            ("Europe/Paris", "Europe/Paris"),
            ("UTC", "UTC"),
            ("tokyo", "Asia/Tokyo"),
            ("New York", "America/New_York"),
        ] {
            let zone = find(asked).expect(asked);
            assert_eq!(zone.iana_name(), Some(found), "{asked}");
        }
    }

    #[test]
    fn refuses_the_rest_and_helps() {
        let error = find("Europe/Pariss").expect_err("no such zone");
        assert!(error.contains("Europe/Paris"), "{error}");
        let error = find(&"x/".repeat(5000)).expect_err("no such zone");
        assert!(error.len() < 300, "{error}");
        for odd in ["../../etc/passwd", "\0", "%", "Etc/../UTC"] {
            assert!(find(odd).is_err(), "{odd:?}");
        }
    }
}
