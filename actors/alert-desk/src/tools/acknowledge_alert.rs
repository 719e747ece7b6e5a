//! `acknowledge_alert`: a person has taken notice; reminders stop.

use super::{DeskTool, Wanted, arguments, check_person, result};
use contract::alerts::AlertView;
use contract::tools::{CallTool, ToolResult};
use serde::Deserialize;
use serde_json::json;

pub(super) const TOOL: DeskTool = DeskTool {
    name: "acknowledge_alert",
    title: "Acknowledging an alert",
    description: "Notes that the person knows of an open alert: reminders and escalation stop, its end is still told. Only when the person asks for it. Nothing outside HAIA changes.",
    parameters: r#"{"type":"object","properties":{"alert":{"type":"integer","description":"The alert's number, from list_alerts."}},"required":["alert"],"additionalProperties":false}"#,
    read,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    alert: u64,
}

fn read(call: &CallTool) -> Result<Wanted, String> {
    check_person(&call.caller)?;
    arguments(&call.arguments).map(|Arguments { alert }| Wanted::Acknowledge(alert))
}

pub(crate) fn tell(view: &AlertView) -> ToolResult {
    result(
        json!({ "alert": view.id, "what": format!("{} {}", view.finding.subject, view.finding.summary), "state": view.state }),
    )
}
