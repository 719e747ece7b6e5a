//! `explain_alert`: everything the desk knows of one alert: what was found, its history, what was told, and its neighbours.
//!
//! Result: `{alert: {…}, about?: {cluster, node, vmid, storage}, found: {value, limit, before, meaning, affected, facts}, explanation?,
//! history: […], neighbours: […]}`.

use super::{DeskTool, Wanted, arguments, list_alerts, result};
use crate::desk::Desk;
use contract::alerts::{AlertEvent, AlertFilter, AlertView};
use contract::tools::{CallTool, ToolResult};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most neighbours and lines of history.
const MOST: usize = 20;

pub(super) const TOOL: DeskTool = DeskTool {
    name: "explain_alert",
    title: "Looking into an alert",
    description: "Everything known of one alert by its number: what was found with value and limit, what happened just before, its history, what people were told, and other alerts that share its node, guest, storage or cause.",
    parameters: r#"{"type":"object","properties":{"alert":{"type":"integer","description":"The alert's number, from list_alerts or a message."}},"required":["alert"],"additionalProperties":false}"#,
    read,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    alert: u64,
}

fn read(call: &CallTool) -> Result<Wanted, String> {
    arguments(&call.arguments).map(|Arguments { alert }| Wanted::Explain(alert))
}

/// Other alerts that share a cause, a node, a guest or a storage.
pub(crate) fn neighbours(desk: &Desk, id: u64) -> Vec<AlertView> {
    let Some((key, alert)) = desk.numbered(id) else { return Vec::new() };
    let shares = |view: &AlertView| {
        let label = |name: &str| {
            let mine = alert.finding.labels.first(name);
            mine.is_some() && mine == view.finding.labels.first(name)
        };
        view.name != **key
            && (["node", "vmid", "storage"].into_iter().any(label)
                || alert.finding.causes.iter().any(|cause| **cause == *view.name)
                || view.finding.causes.contains(key))
    };
    let filter = AlertFilter { pending: true, resolved: true, ..AlertFilter::default() };
    desk.list(&filter).into_iter().filter(shares).take(MOST).collect()
}

pub(crate) fn tell(view: &AlertView, history: &[AlertEvent], neighbours: &[AlertView], now: Timestamp) -> ToolResult {
    let finding = &view.finding;
    let facts = finding.facts.iter().map(|fact| json!({ "label": fact.label, "text": fact.text }));
    let lines = history
        .iter()
        .rev()
        .take(MOST)
        .rev()
        .map(|line| json!({ "at": line.at.to_string(), "what": line.what, "who": line.who, "text": line.text }));
    let about = |label: &str| finding.labels.first(label);
    result(json!({
        "alert": list_alerts::row(view, now),
        "about": { "cluster": about("cluster"), "node": about("node"), "vmid": about("vmid"), "storage": about("storage") },
        "found": {
            "value": finding.value,
            "limit": finding.limit,
            "before": finding.before,
            "meaning": finding.meaning,
            "affected": finding.affected,
            "facts": facts.collect::<Vec<Value>>(),
        },
        "explanation": view.explanation,
        "history": lines.collect::<Vec<Value>>(),
        "neighbours": neighbours.iter().map(|view| list_alerts::row(view, now)).collect::<Vec<Value>>(),
    }))
}
