//! `list_alerts`: what is open, what is about to open, what ended.
//!
//! Result: `{total, alerts: [{alert, state, severity, what, since, for, ended?, acknowledged_by?, held_by?, told_within?, flapping?}]}`.

use super::{DeskTool, Wanted, arguments, result};
use crate::wording::span;
use contract::alerts::{AlertFilter, AlertView, Matcher, Severity};
use contract::tools::{CallTool, ToolResult};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: DeskTool = DeskTool {
    name: "list_alerts",
    title: "Looking at the alerts",
    description: "Alerts of this homelab, the worst first: what is open now, with the number of each for the other alert tools. With pending also what is about to open, with ended also what is over.",
    parameters: r#"{"type":"object","properties":{"ended":{"type":["boolean","null"],"description":"true: also alerts that are over."},"limit":{"type":["integer","null"],"description":"How many: 30 by default, 200 at most."},"object":{"type":["string","null"],"description":"Only alerts about objects that fit this pattern: *guest/101*, *node/pve2*"},"pending":{"type":["boolean","null"],"description":"true: also alerts that are about to open."},"rule":{"type":["string","null"],"description":"Only alerts of rules that fit this pattern, with * for any stretch: guest_*"},"severity":{"type":["string","null"],"enum":["info","warning","critical",null],"description":"Only alerts at least this bad."}},"required":["ended","limit","object","pending","rule","severity"],"additionalProperties":false}"#,
    read,
};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    severity: Option<Severity>,
    rule: Option<String>,
    object: Option<String>,
    pending: Option<bool>,
    ended: Option<bool>,
    limit: Option<u32>,
}

fn read(call: &CallTool) -> Result<Wanted, String> {
    let wanted: Arguments = arguments(&call.arguments)?;
    let named = [("rule", wanted.rule), ("object", wanted.object)];
    let named =
        named.into_iter().filter_map(|(label, pattern)| Some((label, pattern.filter(|text| !text.is_empty())?)));
    Ok(Wanted::List(AlertFilter {
        pending: wanted.pending == Some(true),
        resolved: wanted.ended == Some(true),
        severity: wanted.severity,
        matchers: named.map(|(label, pattern)| Matcher::new(label, pattern)).collect(),
        limit: wanted.limit.unwrap_or(30).clamp(1, 200),
    }))
}

/// An alert as lists show it.
pub(super) fn row(view: &AlertView, now: Timestamp) -> Value {
    let began = view.opened.unwrap_or(view.finding.since);
    json!({
        "alert": (view.id > 0).then_some(view.id),
        "state": view.state,
        "severity": view.severity,
        "what": format!("{} {}", view.finding.subject, view.finding.summary),
        "rule": view.finding.rule,
        "object": view.finding.object,
        "since": began.to_string(),
        "for": span(view.ended.unwrap_or(now).duration_since(began)),
        "ended": view.ended.map(|ended| ended.to_string()),
        "acknowledged_by": view.acknowledged.as_ref().map(|(who, _)| who),
        "held_by": view.held,
        "told_within": view.cause,
        "flapping": view.is_flapping.then_some(true),
    })
}

pub(crate) fn tell(views: &[AlertView], now: Timestamp) -> ToolResult {
    let rows: Vec<Value> = views.iter().map(|view| row(view, now)).collect();
    let note = rows.is_empty().then_some("no alert fits");
    result(json!({ "total": rows.len(), "alerts": rows, "note": note }))
}
