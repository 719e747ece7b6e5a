//! The desk's tools for the agent: one file each, and one line in [`ALL`].
//!
//! All are declared as reading: acknowledging and silencing are HAIA's own bookkeeping and touch nothing outside, so the gate for approvals
//! must not stop them. Instead they ask for a person with the scope `control` behind the turn; a turn by the clock or about an alert may not.
//!
//! Texts of alerts in a result are data, never instruction.

pub(crate) mod acknowledge_alert;
pub(crate) mod explain_alert;
pub(crate) mod list_alerts;
pub(crate) mod list_silences;
pub(crate) mod silence_alert;

use contract::alerts::AlertFilter;
use contract::caller::{Caller, Scope};
use contract::tools::{CallTool, Risk, Tool, ToolResult};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Every tool.
pub(crate) const ALL: &[DeskTool] =
    &[acknowledge_alert::TOOL, explain_alert::TOOL, list_alerts::TOOL, list_silences::TOOL, silence_alert::TOOL];

/// A tool of the desk.
pub(crate) struct DeskTool {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// JSON schema of the arguments: every member required, optional ones nullable, nothing beside them.
    pub(crate) parameters: &'static str,
    /// Reads the arguments, or says what is wrong with them.
    read: fn(&CallTool) -> Result<Wanted, String>,
}

/// What a call wants.
#[derive(Debug, PartialEq)]
pub(crate) enum Wanted {
    List(AlertFilter),
    Silences,
    Explain(u64),
    Acknowledge(u64),
    Silence { alert: u64, duration: Duration, reason: String },
}

impl DeskTool {
    /// The tool as the catalogue holds it.
    pub(crate) fn offer(&self) -> Tool {
        // The schemas are constants that a test reads.
        let parameters =
            RawValue::from_string(self.parameters.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Tool {
            name: self.name.into(),
            description: self.description.into(),
            parameters: Arc::from(parameters),
            risk: Risk::Read,
            title: self.title.into(),
        }
    }
}

/// Reads a call.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn read(call: &CallTool) -> Result<Wanted, String> {
    match ALL.iter().find(|tool| tool.name == &*call.name) {
        Some(tool) => (tool.read)(call),
        None => Err("the alert desk has no such tool".to_owned()),
    }
}

/// Whether the caller may change the desk's books.
fn check_person(caller: &Caller) -> Result<(), String> {
    if caller.origin.is_background() {
        return Err("only a person may have this done; a background turn may only look. Nothing was done.".to_owned());
    }
    if caller.scope < Scope::Control {
        return Err("this needs a key with the scope \"control\". Nothing was done.".to_owned());
    }
    Ok(())
}

fn arguments<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        format!("the arguments are wrong: {}", said.split(" at line ").next().unwrap_or_default())
    })
}

/// A JSON result without nulls.
fn result(mut value: Value) -> ToolResult {
    prune(&mut value);
    ToolResult::ok(value.to_string())
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null() && member.as_array().is_none_or(|list| !list.is_empty()));
            members.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::caller::Origin;
    use contract::ids::RequestId;

    fn call(name: &str, arguments: &str, scope: Scope, origin: Origin) -> Result<Wanted, String> {
        read(&CallTool {
            request_id: RequestId::new("r"),
            caller: Caller { name: "me".into(), scope, origin },
            name: name.into(),
            arguments: arguments.to_owned(),
            timeout: Duration::from_secs(30),
        })
    }

    #[test]
    fn schemas_are_strict() {
        for tool in ALL {
            let schema: Value = serde_json::from_str(tool.parameters).expect(tool.name);
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{}", tool.name);
            let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(properties, required, "{}", tool.name);
            assert_eq!(tool.offer().parameters.get(), tool.parameters);
        }
        assert!(ALL.is_sorted_by_key(|tool| tool.name));
    }

    #[test]
    fn books_are_changed_for_people_only() {
        let may = |scope, origin| call("acknowledge_alert", r#"{"alert":3}"#, scope, origin);
        assert_eq!(may(Scope::Control, Origin::Chat), Ok(Wanted::Acknowledge(3)));
        assert_eq!(may(Scope::Admin, Origin::Cli), Ok(Wanted::Acknowledge(3)));
        for (scope, origin) in [
            (Scope::Read, Origin::Chat),
            (Scope::Admin, Origin::Job),
            (Scope::Admin, Origin::Alert),
            (Scope::Admin, Origin::Internal),
        ] {
            assert!(may(scope, origin).unwrap_err().contains("Nothing was done"), "{scope:?} {origin:?}");
            let silence = call("silence_alert", r#"{"alert":3,"duration":"2h","reason":null}"#, scope, origin);
            assert!(silence.is_err());
        }
    }

    #[test]
    fn arguments_are_read_and_what_is_wrong_is_said() {
        let of = |name: &str, arguments: &str| call(name, arguments, Scope::Control, Origin::Chat);
        let duration = Duration::from_secs(7200);
        let silence = Wanted::Silence { alert: 3, duration, reason: "by the assistant".to_owned() };
        assert_eq!(of("silence_alert", r#"{"alert":3,"duration":"2h","reason":null}"#), Ok(silence));
        assert_eq!(of("explain_alert", r#"{"alert":7}"#), Ok(Wanted::Explain(7)));
        assert!(matches!(of("list_alerts", ""), Ok(Wanted::List(_))));
        assert_eq!(of("list_silences", "{}"), Ok(Wanted::Silences));
        for (name, arguments, said) in [
            ("silence_alert", r#"{"alert":3,"duration":"soon","reason":null}"#, "not a duration"),
            ("explain_alert", r#"{"alert":"x"}"#, "invalid type"),
            ("explain_alert", "{}", "missing field"),
            ("list_alerts", r#"{"severity":"bad"}"#, "unknown variant"),
            ("list_silences", r#"{"alert":1}"#, "unknown field"),
            ("no_such_tool", "{}", "no such tool"),
        ] {
            let error = of(name, arguments).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
    }
}
