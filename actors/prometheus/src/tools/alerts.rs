//! `prometheus_alerts`: what Prometheus itself holds for pending or firing.

use super::{Begun, Of, ReadTool, Surroundings, arguments};
use crate::shape::{self, cut_text, label_set};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_alerts",
    title: "Looking at Prometheus' alerts",
    description: "The alerts that Prometheus' own rules hold pending or firing now, with labels, value and since when.",
    parameters: r#"{"type":"object","properties":{"name":{"type":["string","null"],"description":"Only alerts whose name holds this; null for all."}},"required":["name"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    name: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    Ok(Box::pin(async move {
        let answer = surroundings.server.get("/api/v1/alerts", &[], surroundings.within).await?;
        let name = wanted.name.unwrap_or_default().to_lowercase();
        let mut alerts: Vec<&Value> =
            answer["data"]["alerts"].as_array().map_or(&[][..], Vec::as_slice).iter().collect();
        alerts.retain(|alert| alert["labels"]["alertname"].as_str().unwrap_or_default().to_lowercase().contains(&name));
        // Firing ones first.
        alerts.sort_by_key(|alert| alert["state"].as_str() != Some("firing"));
        Ok(shape::rows("alerts", alerts.into_iter().map(row), "name one"))
    }))
}

fn row(alert: &Value) -> Value {
    let note = ["summary", "description"].iter().map(|name| &alert["annotations"][name]).find(|note| note.is_string());
    json!({
        "state": alert["state"],
        "labels": label_set(&alert["labels"]),
        "since": alert["activeAt"],
        "value": alert["value"],
        "note": note.map(cut_text),
    })
}
