//! `silence_alert`: nothing is told of an alert's rule and object for a time.

use super::{DeskTool, Wanted, arguments, check_person, result};
use contract::alerts::SilenceView;
use contract::tools::{CallTool, ToolResult};
use contract::units::Span;
use serde::Deserialize;
use serde_json::json;

pub(super) const TOOL: DeskTool = DeskTool {
    name: "silence_alert",
    title: "Silencing an alert",
    description: "Silences an alert's rule and object for a time: it stays open, nothing of it is told, and what is still open afterwards is told then. Only when the person asks for it. Nothing outside HAIA changes.",
    parameters: r#"{"type":"object","properties":{"alert":{"type":"integer","description":"The alert's number, from list_alerts."},"duration":{"type":"string","description":"For how long: 30m, 2h, 1d."},"reason":{"type":["string","null"],"description":"Why, in the person's words."}},"required":["alert","duration","reason"],"additionalProperties":false}"#,
    read,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    alert: u64,
    duration: Span,
    #[serde(default)]
    reason: Option<String>,
}

fn read(call: &CallTool) -> Result<Wanted, String> {
    check_person(&call.caller)?;
    let Arguments { alert, duration, reason } = arguments(&call.arguments)?;
    let reason = reason.filter(|reason| !reason.trim().is_empty()).unwrap_or_else(|| "by the assistant".to_owned());
    Ok(Wanted::Silence { alert, duration: duration.0, reason })
}

pub(crate) fn tell(silence: &SilenceView) -> ToolResult {
    result(json!({ "silence": silence.id, "until": silence.until.to_string(), "reason": silence.reason }))
}
