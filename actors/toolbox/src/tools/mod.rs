//! The tools that the toolbox itself offers: about HAIA, and about time. One file each, and one line in [`OWN`].

mod get_haia_status;
mod get_time;

use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use contract::status::StatusSource;
use contract::tools::{Risk, Tool, ToolResult};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Every own tool.
pub(crate) const OWN: &[OwnTool] = &[get_haia_status::TOOL, get_time::TOOL];

/// What own tools may look at.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: SharedClock,
    pub(crate) timezone: TimeZone,
    pub(crate) status: Arc<dyn StatusSource>,
}

/// A call of an own tool that has begun.
pub(crate) type Begun = LocalBoxFuture<'static, ToolResult>;

/// A tool of the toolbox itself.
pub(crate) struct OwnTool {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// JSON schema of the arguments: every member required, optional ones nullable, nothing beside them.
    pub(crate) parameters: &'static str,
    pub(crate) risk: Risk,
    /// Begins a call, or says what is wrong with its arguments.
    pub(crate) begin: fn(&Surroundings, &str) -> Result<Begun, String>,
}

impl OwnTool {
    /// The tool as the catalogue holds it.
    pub(crate) fn offer(&self) -> Tool {
        // The schemas are constants that a test reads; null would be left out of the catalogue and told in the log.
        let parameters =
            RawValue::from_string(self.parameters.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Tool {
            name: self.name.into(),
            description: self.description.into(),
            parameters: Arc::from(parameters),
            risk: self.risk,
            title: self.title.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What OpenAI's strict mode and its imitators ask of a schema.
    fn assert_strict(name: &str, schema: &Value) {
        assert_eq!(schema["type"], "object", "{name}");
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");
        let properties = schema["properties"].as_object().expect("properties");
        let required: Vec<&str> =
            schema["required"].as_array().expect("required").iter().filter_map(Value::as_str).collect();
        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), required, "{name}");
        for (member, property) in properties {
            assert!(property["type"].is_array() || property["type"].is_string(), "{name}.{member}");
            assert!(property["description"].is_string(), "{name}.{member}");
        }
    }

    #[test]
    fn schemas_are_strict_and_own_tools_only_read() {
        for tool in OWN {
            assert_strict(tool.name, &serde_json::from_str(tool.parameters).expect(tool.name));
            assert_eq!(tool.offer().parameters.get(), tool.parameters);
            assert_eq!(tool.risk, Risk::Read);
            assert!(!tool.title.is_empty() && !tool.description.is_empty());
        }
    }
}
