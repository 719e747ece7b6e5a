//! `prometheus_query`: a PromQL expression at one moment.

use super::{Begun, Of, ReadTool, Surroundings, arguments, moment, seconds};
use crate::shape;
use serde::Deserialize;

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_query",
    title: "Asking Prometheus",
    description: "Evaluates a PromQL expression at one moment (now by default). At most 30 series come back; narrow the question with labels, sum by or topk.",
    parameters: r#"{"type":"object","properties":{"query":{"type":"string","description":"The PromQL expression, for example up == 0 or topk(5, node_load1)."},"time":{"type":["string","null"],"description":"The moment, RFC 3339 or seconds since 1970; null for now."}},"required":["query","time"],"additionalProperties":false}"#,
    begin,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    #[serde(default)]
    time: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let at = moment(wanted.time.as_deref(), surroundings.now)?;
    let query = [("query", wanted.query), ("time", seconds(at)), ("limit", (shape::MOST_SERIES * 20).to_string())];
    Ok(Box::pin(async move {
        let answer = surroundings.server.get("/api/v1/query", &query, surroundings.within).await?;
        Ok(shape::query(&answer))
    }))
}
