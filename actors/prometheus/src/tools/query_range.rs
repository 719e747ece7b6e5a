//! `prometheus_query_range`: a PromQL expression over a stretch of time.

use super::{Begun, Of, ReadTool, Surroundings, arguments, moment, seconds, stretch};
use crate::shape;
use serde::Deserialize;

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_query_range",
    title: "Asking Prometheus for a trend",
    description: "Evaluates a PromQL expression over a stretch of time. The step is chosen so that at most 60 points of each series come back; least, greatest and last value are told too.",
    parameters: r#"{"type":"object","properties":{"query":{"type":"string","description":"The PromQL expression, for example rate(node_network_receive_bytes_total[5m])."},"last":{"type":["string","null"],"description":"How far back from the end: 30m, 6h, 7d; null for 1h."},"end":{"type":["string","null"],"description":"The end, RFC 3339 or seconds since 1970; null for now."}},"required":["query","last","end"],"additionalProperties":false}"#,
    begin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    #[serde(default)]
    last: Option<String>,
    #[serde(default)]
    end: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let end = moment(wanted.end.as_deref(), surroundings.now)?;
    let last = stretch(wanted.last.as_deref().unwrap_or("1h"))?;
    let start = end.checked_sub(last).map_err(|_| "the stretch begins before time does".to_owned())?;
    let step = shape::step_s(last.as_secs());
    let query = [
        ("query", wanted.query),
        ("start", seconds(start)),
        ("end", seconds(end)),
        ("step", step.to_string()),
        ("limit", (shape::MOST_SERIES * 4).to_string()),
    ];
    Ok(Box::pin(async move {
        let answer = surroundings.server.get("/api/v1/query_range", &query, surroundings.within).await?;
        let mut shaped = shape::query(&answer);
        shaped["step_s"] = step.into();
        Ok(shaped)
    }))
}
