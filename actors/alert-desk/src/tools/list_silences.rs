//! `list_silences`: what is silenced now, by whom, why and until when.
//!
//! Result: `{total, silences: [{silence, fits, from, until, by, reason}], note?}`.

use super::{DeskTool, Wanted, arguments, result};
use contract::alerts::SilenceView;
use contract::tools::{CallTool, ToolResult};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) const TOOL: DeskTool = DeskTool {
    name: "list_silences",
    title: "Looking at the silences",
    description: "Silences that have not ended: what each fits, who made it, why, and until when. Nothing is told of an alert that fits one.",
    parameters: r#"{"type":"object","properties":{},"required":[],"additionalProperties":false}"#,
    read,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {}

fn read(call: &CallTool) -> Result<Wanted, String> {
    arguments(&call.arguments).map(|Arguments {}| Wanted::Silences)
}

pub(crate) fn tell(silences: &[SilenceView]) -> ToolResult {
    let row = |silence: &SilenceView| {
        let fits = silence.matchers.iter().map(|matcher| format!("{} = {}", matcher.label, matcher.pattern));
        json!({
            "silence": silence.id,
            "fits": fits.collect::<Vec<_>>(),
            "from": silence.from.to_string(),
            "until": silence.until.to_string(),
            "by": silence.by,
            "reason": silence.reason,
        })
    };
    let rows: Vec<Value> = silences.iter().map(row).collect();
    let note = rows.is_empty().then_some("nothing is silenced");
    result(json!({ "total": rows.len(), "silences": rows, "note": note }))
}
