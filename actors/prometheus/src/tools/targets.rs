//! `prometheus_targets`: what Prometheus scrapes, and what of it does not answer.

use super::{Begun, Of, ReadTool, Surroundings, arguments};
use crate::shape::{self, cut_text};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Prometheus,
    name: "prometheus_targets",
    title: "Looking at Prometheus' targets",
    description: "What Prometheus scrapes: job, instance, health, the last error; those that are down come first.",
    parameters: r#"{"type":"object","properties":{"down":{"type":["boolean","null"],"description":"true: only those that are down; null for all."},"job":{"type":["string","null"],"description":"Only this job; null for all."}},"required":["down","job"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    down: Option<bool>,
    job: Option<String>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    Ok(Box::pin(async move {
        let query = [("state", "active".to_owned())];
        let answer = surroundings.server.get("/api/v1/targets", &query, surroundings.within).await?;
        let all = answer["data"]["activeTargets"].as_array().map_or(&[][..], Vec::as_slice);
        let is_down = |target: &Value| target["health"].as_str() == Some("down");
        let down = all.iter().filter(|target| is_down(target)).count();
        let mut targets: Vec<&Value> = all.iter().collect();
        targets.retain(|target| {
            let fits = wanted.job.as_deref().is_none_or(|job| target["labels"]["job"].as_str() == Some(job));
            fits && (wanted.down != Some(true) || is_down(target))
        });
        targets.sort_by_key(|target| !is_down(target));
        let mut shaped =
            shape::rows("targets", targets.into_iter().map(row), "ask for those that are down, or for a job");
        shaped["down"] = down.into();
        Ok(shaped)
    }))
}

fn row(target: &Value) -> Value {
    let error = target["lastError"].as_str().filter(|error| !error.is_empty()).map(|_| cut_text(&target["lastError"]));
    json!({
        "job": target["labels"]["job"],
        "instance": target["labels"]["instance"],
        "health": target["health"],
        "error": error,
        "last_scrape": target["lastScrape"],
    })
}
