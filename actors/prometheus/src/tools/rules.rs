//! `prometheus_rules`: the alerting rules, what each asks, and how it does.

use super::{Begun, Of, ReadTool, Surroundings, arguments};
use crate::shape::{self, cut_text};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_rules",
    title: "Looking at Prometheus' rules",
    description: "Prometheus' alerting rules: name, expression, for how long, state, and errors of their evaluation.",
    parameters: r#"{"type":"object","properties":{"name":{"type":["string","null"],"description":"Only rules whose name holds this; null for all."},"state":{"type":["string","null"],"enum":["firing","pending","inactive",null],"description":"Only rules in this state; null for all."}},"required":["name","state"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    name: Option<String>,
    state: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    Ok(Box::pin(async move {
        let query = [("type", "alert".to_owned())];
        let answer = surroundings.server.get("/api/v1/rules", &query, surroundings.within).await?;
        let name = wanted.name.unwrap_or_default().to_lowercase();
        let groups = answer["data"]["groups"].as_array().map_or(&[][..], Vec::as_slice);
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().map_or(&[][..], Vec::as_slice));
        let mut rules: Vec<&Value> = rules.collect();
        rules.retain(|rule| {
            let fits = rule["name"].as_str().unwrap_or_default().to_lowercase().contains(&name);
            fits && wanted.state.as_deref().is_none_or(|state| rule["state"].as_str() == Some(state))
        });
        rules.sort_by_key(|rule| match rule["state"].as_str() {
            Some("firing") => 0,
            Some("pending") => 1,
            _ => 2,
        });
        Ok(shape::rows("rules", rules.into_iter().map(row), "name one, or a state"))
    }))
}

fn row(rule: &Value) -> Value {
    let error = rule["lastError"].as_str().filter(|error| !error.is_empty()).map(|_| cut_text(&rule["lastError"]));
    json!({
        "name": cut_text(&rule["name"]),
        "state": rule["state"],
        "query": cut_text(&rule["query"]),
        "for_s": rule["duration"],
        "severity": rule["labels"]["severity"],
        "health": rule["health"],
        "error": error,
    })
}
