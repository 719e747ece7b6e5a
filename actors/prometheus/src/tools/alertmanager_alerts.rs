//! `alertmanager_alerts`: what Alertmanager holds, silenced and inhibited ones included.

use super::{Begun, Of, ReadTool, Surroundings, arguments};
use crate::shape::{self, cut_text, label_set};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: ReadTool = ReadTool {
    of: Of::Alertmanager,
    name: "alertmanager_alerts",
    title: "Looking at Alertmanager",
    description: "The alerts that Alertmanager holds, with labels, state (active, suppressed) and what silences or inhibits each.",
    parameters: r#"{"type":"object","properties":{"filter":{"type":["string","null"],"description":"A matcher, for example severity=\"critical\" or instance=~\"nas.*\"; null for all."},"silenced":{"type":["boolean","null"],"description":"Whether silenced and inhibited ones are shown too; null for true."}},"required":["filter","silenced"],"additionalProperties":false}"#,
    begin,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    filter: Option<String>,
    silenced: Option<bool>,
}

fn begin(surroundings: Surroundings, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let silenced = wanted.silenced.unwrap_or(true).to_string();
    let mut query = vec![("active", "true".to_owned()), ("silenced", silenced.clone()), ("inhibited", silenced)];
    query.extend(wanted.filter.filter(|filter| !filter.trim().is_empty()).map(|filter| ("filter", filter)));
    Ok(Box::pin(async move {
        let answer = surroundings.server.get("/api/v2/alerts", &query, surroundings.within).await?;
        let all = answer.as_array().map_or(&[][..], Vec::as_slice);
        Ok(shape::rows("alerts", all.iter().map(row), "add a matcher to the filter"))
    }))
}

fn row(alert: &Value) -> Value {
    let note = ["summary", "description"].iter().map(|name| &alert["annotations"][name]).find(|note| note.is_string());
    let some = |list: &Value| {
        list.as_array().filter(|list| !list.is_empty()).map(|list| Value::Array(list.iter().take(5).cloned().collect()))
    };
    json!({
        "state": alert["status"]["state"],
        "labels": label_set(&alert["labels"]),
        "since": alert["startsAt"],
        "silenced_by": some(&alert["status"]["silencedBy"]),
        "inhibited_by": some(&alert["status"]["inhibitedBy"]),
        "note": note.map(cut_text),
    })
}
