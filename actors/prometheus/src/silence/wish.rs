//! The tool, and what a call of it asks for, read strictly, and the same as canonical JSON. Pure.

use super::matcher::Matcher;
use contract::tools::{Risk, Tool};
use contract::units::Span;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// The tool's name.
pub(crate) const NAME: &str = "alertmanager_silence";

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The most matchers.
const MATCHERS: usize = 20;
/// The longest reason, in characters.
const REASON: usize = 300;

const PARAMETERS: &str = r#"{"type":"object","properties":{"matchers":{"type":"array","items":{"type":"string"},"description":"Which alerts, all of them together, for example alertname=\"DiskFull\" and instance=~\"nas.*\". As narrow as possible."},"duration":{"type":"string","description":"For how long, for example 30m, 2h or 1d: 1m to 30d."},"reason":{"type":"string","description":"Why, in a sentence, for the person who decides and for the silence's comment."}},"required":["matchers","duration","reason"],"additionalProperties":false}"#;

/// The tool as the catalogue holds it.
pub(crate) fn offer() -> Tool {
    // A constant that a test reads.
    let parameters = RawValue::from_string(PARAMETERS.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned());
    Tool {
        name: NAME.into(),
        description: "Silences alerts in Alertmanager for a while. For HAIA's own alerts there is silence_alert. It is only proposed: nothing happens until a person approves it.".into(),
        parameters: Arc::from(parameters),
        risk: Risk::Write,
        title: "Planning a silence".into(),
    }
}

/// A call, read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    /// Sorted, each once.
    pub(super) matchers: Vec<Matcher>,
    pub(super) duration: Span,
    pub(super) reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    matchers: Vec<String>,
    duration: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Wish {
    /// Reads a call.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(name: &str, arguments: &str) -> Result<Self, String> {
        if name != NAME {
            return Err("there is no such action".to_owned());
        }
        let wire: Wire = crate::tools::arguments(arguments)?;
        let mut matchers = wire.matchers.iter().map(|text| Matcher::parse(text)).collect::<Result<Vec<_>, _>>()?;
        matchers.sort();
        matchers.dedup();
        if matchers.is_empty() || matchers.len() > MATCHERS {
            return Err(format!("which alerts? Give 1 to {MATCHERS} matchers, for example alertname=\"DiskFull\""));
        }
        if !matchers.iter().any(Matcher::is_narrow) {
            return Err(
                "these matchers would silence everything: say which alerts, for example alertname=\"DiskFull\""
                    .to_owned(),
            );
        }
        let duration: Span = wire.duration.trim().parse()?;
        if !(SHORTEST..=LONGEST).contains(&duration.0) {
            return Err(format!("duration is {duration}: give {} to {}", Span(SHORTEST), Span(LONGEST)));
        }
        let reason = wire.reason.unwrap_or_default();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON).collect();
        Ok(Self { matchers, duration, reason })
    }

    /// Exactly what is made, without the reason.
    pub(super) fn canonical(&self) -> String {
        let matchers: Vec<String> = self.matchers.iter().map(Matcher::to_string).collect();
        json!({ "duration": self.duration.to_string(), "matchers": matchers }).to_string()
    }

    /// The matchers, for people.
    pub(super) fn subject(&self) -> String {
        self.matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_schema_is_strict_and_the_canonical_form_reads_the_same() {
        let schema: Value = serde_json::from_str(offer().parameters.get()).unwrap();
        assert_eq!((&schema["additionalProperties"], schema["required"].as_array().unwrap().len()), (&json!(false), 3));
        let call = r#"{"reason":" a\n b ","duration":"120m","matchers":["b=x","a=~\"y.*\"","b=\"x\""]}"#;
        let wish = Wish::read(NAME, call).unwrap();
        assert_eq!(wish.canonical(), r#"{"duration":"2h","matchers":["a=~\"y.*\"","b=\"x\""]}"#);
        assert_eq!((wish.reason.as_str(), wish.subject().as_str()), ("a b", r#"a=~"y.*", b="x""#));
        let again = Wish::read(NAME, &wish.canonical()).unwrap();
        assert_eq!((&again.matchers, again.duration), (&wish.matchers, wish.duration));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (call, said) in [
            (r#"{"matchers":["a=b"]}"#, "missing field `duration`"),
            (r#"{"matchers":["a=b"],"duration":"2h","silent":true}"#, "unknown field"),
            (r#"{"matchers":[],"duration":"2h"}"#, "which alerts?"),
            (r#"{"matchers":["a"],"duration":"2h"}"#, "is no matcher"),
            (r#"{"matchers":["a!=b","c=~\".*\""],"duration":"2h"}"#, "would silence everything"),
            (r#"{"matchers":["a=b"],"duration":"10s"}"#, "give 1m to 30d"),
            (r#"{"matchers":["a=b"],"duration":"99d"}"#, "give 1m to 30d"),
            (r#"{"matchers":["a=b"],"duration":"for ever"}"#, "is not a duration"),
        ] {
            let error = Wish::read(NAME, call).unwrap_err();
            assert!(error.contains(said), "{call}: {error}");
        }
        assert!(Wish::read("alertmanager_alerts", "{}").is_err());
    }
}
