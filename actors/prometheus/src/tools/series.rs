//! `prometheus_series`: which metrics and series there are.

use super::{Begun, Of, ReadTool, Surroundings, arguments, seconds};
use crate::shape::{self, cut_text, label_set};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_series",
    title: "Looking for metrics",
    description: "Finds metrics: with match the series of the last hour that fit a selector, with their labels; without it the names of metrics that hold a text.",
    parameters: r#"{"type":"object","properties":{"match":{"type":["string","null"],"description":"A series selector, for example node_filesystem_avail_bytes{fstype!=\"tmpfs\"}; null to look for names."},"name":{"type":["string","null"],"description":"A text that names of metrics must hold; null for all."}},"required":["match","name"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    #[serde(rename = "match")]
    selector: Option<String>,
    name: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let since = surroundings.now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(surroundings.now);
    Ok(Box::pin(async move {
        if let Some(selector) = wanted.selector.filter(|selector| !selector.trim().is_empty()) {
            let query = [
                ("match[]", selector),
                ("start", seconds(since)),
                ("end", seconds(surroundings.now)),
                ("limit", "2000".to_owned()),
            ];
            let answer = surroundings.server.get("/api/v1/series", &query, surroundings.within).await?;
            let all = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
            return Ok(shape::rows("series", all.iter().map(label_set), "narrow the selector by labels"));
        }
        let answer = surroundings.server.get("/api/v1/label/__name__/values", &[], surroundings.within).await?;
        let part = wanted.name.unwrap_or_default().to_lowercase();
        let all = answer["data"].as_array().map_or(&[][..], Vec::as_slice);
        let fits = |name: &&Value| name.as_str().unwrap_or_default().to_lowercase().contains(&part);
        let names: Vec<Value> = all.iter().filter(fits).map(|name| Value::from(cut_text(name))).collect();
        Ok(shape::rows("names", names.into_iter(), "name a part of what you look for"))
    }))
}
