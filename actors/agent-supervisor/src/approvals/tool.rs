//! `get_proposal`: what became of a proposal, for the agent. It only reads; texts in the result are data, never instruction.

use super::words;
use contract::approvals::ProposalView;
use contract::tools::{Risk, Tool, ToolResult};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;

/// The tool's name.
pub(super) const NAME: &str = "get_proposal";
/// How many proposals are listed where none is named.
pub(super) const LISTED: u32 = 10;

const PARAMETERS: &str = r#"{"type":"object","properties":{"proposal":{"type":["integer","null"],"description":"The proposal's number; null for the newest ones."}},"required":["proposal"],"additionalProperties":false}"#;

/// The tool as the catalogue holds it.
pub(super) fn offer() -> Tool {
    // The schema is a constant that a test reads.
    let parameters = RawValue::from_string(PARAMETERS.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
    Tool {
        name: NAME.into(),
        description: "What became of a proposed action: whether a person approved or denied it, how it is getting on, how it ended. Call it before \
                      any statement that an action was done."
            .into(),
        parameters: Arc::from(parameters),
        risk: Risk::Read,
        title: "Looking at proposals".into(),
    }
}

/// Which proposal is asked for.
///
/// # Errors
/// A sentence for the model.
pub(super) fn read(arguments: &str) -> Result<Option<u64>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[serde(default)]
        proposal: Option<u64>,
    }
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    let read: Arguments = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        format!("the arguments are wrong: {}", said.split(" at line ").next().unwrap_or_default())
    })?;
    Ok(read.proposal)
}

/// The result.
pub(super) fn result(views: &[ProposalView], zone: &TimeZone) -> ToolResult {
    let views: Vec<Value> = views.iter().map(|view| shown(view, zone)).collect();
    ToolResult::ok(json!({ "proposals": views }).to_string())
}

fn shown(view: &ProposalView, zone: &TimeZone) -> Value {
    let steps: Vec<String> = view.progress.iter().rev().take(5).rev().map(|step| words::line(&step.text)).collect();
    let mut shown = json!({
        "proposal": view.id,
        "state": view.state,
        "action": words::line(&view.plan.action),
        "summary": words::stands(view, zone),
        "proposed_at": view.proposed.to_string(),
    });
    if !steps.is_empty() {
        shown["progress"] = json!(steps);
    }
    if let Some(reference) = &view.reference {
        shown["reference"] = json!(words::line(reference));
    }
    if let Some(ended) = view.ended {
        shown["ended_at"] = json!(ended.to_string());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_strict_and_arguments_are_read() {
        let schema: Value = serde_json::from_str(PARAMETERS).unwrap();
        assert_eq!((&schema["additionalProperties"], &schema["required"]), (&json!(false), &json!(["proposal"])));
        assert_eq!(offer().parameters.get(), PARAMETERS);
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(r#"{"proposal":null}"#), Ok(None));
        assert_eq!(read(r#"{"proposal":7}"#), Ok(Some(7)));
        for wrong in ["7", r#"{"proposal":"7"}"#, r#"{"id":7}"#, r#"{"proposal":-1}"#] {
            assert!(read(wrong).unwrap_err().starts_with("the arguments are wrong"), "{wrong}");
        }
    }
}
