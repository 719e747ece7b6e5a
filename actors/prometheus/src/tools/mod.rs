//! The tools: one file each, and one line in [`TOOLS`]. Each asks one server and shapes its answer; none changes anything there.

mod alertmanager_alerts;
mod alerts;
mod query;
mod query_range;
mod rules;
mod series;
mod targets;

use crate::client::{Server, Trouble};
use contract::LocalBoxFuture;
use contract::tools::{Risk, Tool, ToolResult};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::time::Duration;

/// Which server a tool asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Prometheus,
    Alertmanager,
}

/// What a call gets: the server, HAIA's time, and how long it may take.
pub(crate) struct Surroundings {
    pub(crate) server: Server,
    pub(crate) now: Timestamp,
    pub(crate) within: Duration,
}

/// A call that has begun.
pub(crate) type Begun = LocalBoxFuture<'static, Result<Value, Trouble>>;

/// One tool.
pub(crate) struct ReadTool {
    pub(crate) of: Of,
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: &'static str,
    /// Begins a call, or says what is wrong with its arguments.
    pub(crate) begin: fn(Surroundings, &str) -> Result<Begun, String>,
}

/// Every tool.
pub(crate) const TOOLS: &[ReadTool] = &[
    alertmanager_alerts::TOOL,
    alerts::TOOL,
    query::TOOL,
    query_range::TOOL,
    rules::TOOL,
    series::TOOL,
    targets::TOOL,
];

impl ReadTool {
    /// The tool as the catalogue holds it.
    pub(crate) fn offer(&self) -> Tool {
        // The schemas are constants that a test reads; null would be left out of the catalogue and told in the log.
        let parameters =
            RawValue::from_string(self.parameters.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Tool {
            name: self.name.into(),
            description: self.description.into(),
            parameters: parameters.into(),
            risk: Risk::Read,
            title: self.title.into(),
        }
    }
}

/// A result for the model: JSON without nulls.
pub(crate) fn told(result: Result<Value, Trouble>) -> ToolResult {
    match result {
        Ok(value) => ToolResult::ok(without_nulls(value).to_string()),
        Err(trouble) => ToolResult::error(trouble.to_string()),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

/// Reads the arguments of a tool.
pub(crate) fn arguments<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        format!("the arguments are wrong: {}", said.split(" at line ").next().unwrap_or_default())
    })
}

/// A moment as models write it: RFC 3339, seconds since 1970, or nothing for `default`.
fn moment(text: Option<&str>, default: Timestamp) -> Result<Timestamp, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty() && *text != "now") else { return Ok(default) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok()).ok_or_else(|| {
        format!("{text:?} is no moment: write for example 2026-03-01T12:00:00Z, or leave it out for now")
    })
}

/// A stretch of time as models write it: `30m`, `6h`, `7d`.
fn stretch(text: &str) -> Result<SignedDuration, String> {
    let span: contract::units::Span = text.trim().parse()?;
    let stretch = SignedDuration::try_from(span.0).map_err(|_| format!("{text:?} is too long"))?;
    if stretch.as_secs() < 1 || stretch > SignedDuration::from_hours(24 * 366) {
        return Err(format!("{text:?} must be from 1s to 366d"));
    }
    Ok(stretch)
}

/// Seconds since 1970 as Prometheus takes them.
fn seconds(at: Timestamp) -> String {
    at.as_second().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_strict() {
        for tool in TOOLS {
            let schema: Value = serde_json::from_str(tool.parameters).unwrap();
            let properties = schema["properties"].as_object().unwrap();
            let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            assert!(properties.keys().all(|name| required.contains(&name.as_str())), "{}", tool.name);
            assert!(properties.values().all(|property| property["description"].is_string()), "{}", tool.name);
            assert_eq!(required.len(), properties.len(), "{}", tool.name);
        }
    }

    #[test]
    fn moments_and_stretches() {
        let now = Timestamp::constant(1_772_366_400, 0);
        assert_eq!(moment(None, now), Ok(now));
        assert_eq!(moment(Some("now"), now), Ok(now));
        assert_eq!(moment(Some("2026-03-01T12:00:00Z"), Timestamp::UNIX_EPOCH), Ok(now));
        assert_eq!(moment(Some("1772366400.5"), Timestamp::UNIX_EPOCH), Ok(now));
        assert!(moment(Some("yesterday"), now).is_err());
        assert_eq!(stretch("6h"), Ok(SignedDuration::from_hours(6)));
        assert!(stretch("0s").is_err() && stretch("9999d").is_err() && stretch("long").is_err());
    }
}
