//! HAIA's own rules and Alertmanager's: their defaults, and how `[monitor.rules]` and `[[monitor.overrides]]` change what is reported for
//! them. Who finds them is somebody else's business; the rules of clusters belong to whoever watches clusters.

use contract::alerts::{Finding, LevelReading, Reading, Severity};
use contract::monitor::{LevelSettings, RuleBook, RuleInfo, RuleSettings};
use contract::units::Span;
use std::time::Duration;

/// The rule of everything that comes from Alertmanager.
pub const ALERTMANAGER: &str = "alertmanager";
/// The rule of jobs.
pub(crate) const JOB_FAILED: &str = "job_failed";
/// The rule of providers of models.
pub(crate) const PROVIDER_DOWN: &str = "provider_down";
/// The rules of attached MCP servers.
pub(crate) const MCP_SERVER_FAILED: &str = "mcp_server_failed";
pub(crate) const MCP_DEFINITION_CHANGED: &str = "mcp_definition_changed";
/// The rule of heartbeats that others send.
pub(crate) const HEARTBEAT_MISSED: &str = "heartbeat_missed";
/// The rule of channels, and of the outbound sign of life.
pub(crate) const CHANNEL_FAILED: &str = "channel_failed";

const fn level(hold: u64, clear_for: u64) -> Option<LevelSettings> {
    Some(LevelSettings {
        above: None,
        below: None,
        clear: None,
        hold: Some(Span::seconds(hold)),
        clear_for: Some(Span::seconds(clear_for)),
        enabled: None,
    })
}

const fn rule(
    name: &'static str,
    condition: &'static str,
    warning: Option<LevelSettings>,
    critical: Option<LevelSettings>,
) -> RuleInfo {
    let defaults =
        RuleSettings { enabled: None, except: Vec::new(), info: None, warning, critical, within: None, grace: None };
    RuleInfo { name, condition, defaults, unit: "" }
}

/// HAIA's own rules, and Alertmanager's. `[monitor.rules.alertmanager]` changes times and levels of what arrives; its severities come from
/// there.
pub static OWN_RULES: [RuleInfo; 8] = [
    rule(
        JOB_FAILED,
        "a scheduled job failed or took too long; ends with its next good run, of a job that runs only once after a day",
        level(0, 0),
        None,
    ),
    rule(PROVIDER_DOWN, "a provider of models does not answer", level(300, 60), None),
    rule(MCP_SERVER_FAILED, "an attached MCP server does not run", level(60, 30), None),
    rule(MCP_DEFINITION_CHANGED, "an MCP server changed a tool that was approved", level(0, 0), None),
    rule("actor_failed", "a part of HAIA crashed too often and was given up", None, level(0, 0)),
    rule(HEARTBEAT_MISSED, "a sign of life from outside did not come in its time and grace", level(0, 0), None),
    rule(
        CHANNEL_FAILED,
        "a notification channel, or the outbound sign of life, does not get through",
        level(0, 0),
        None,
    ),
    rule(ALERTMANAGER, "an alert that Alertmanager sent", None, None),
];

/// Whether what was reported for a rule holds until something else is reported: these rules report changes, not readings on a beat.
pub(crate) fn is_standing(rule: &str) -> bool {
    OWN_RULES.iter().any(|known| known.name == rule)
}

/// Applies the settings to a finding of one of these rules; findings of other rules stay as they are.
pub(crate) fn apply(book: &RuleBook, mut finding: Finding) -> Finding {
    let Some(info) = OWN_RULES.iter().find(|known| known.name == &*finding.rule) else { return finding };
    let settings = book.settings(info, &finding.labels);
    if !settings.is_enabled() {
        for level in &mut finding.levels {
            (level.reading, level.clear_for) = (Reading::Clear, Duration::ZERO);
        }
        return finding;
    }
    if info.name == ALERTMANAGER {
        for level in &mut finding.levels {
            let configured = match level.severity {
                Severity::Info => &settings.info,
                Severity::Warning => &settings.warning,
                Severity::Critical => &settings.critical,
            };
            let Some(configured) = configured else { continue };
            level.raise_for = configured.hold.map_or(level.raise_for, |span| span.0);
            level.clear_for = configured.clear_for.map_or(level.clear_for, |span| span.0);
            if configured.enabled == Some(false) {
                level.reading = Reading::Clear;
            }
        }
        return finding;
    }
    let has = |reading: Reading| finding.levels.iter().any(|level| level.reading == reading);
    let reading = if has(Reading::Raised) {
        Reading::Raised
    } else if has(Reading::Held) {
        Reading::Held
    } else {
        Reading::Clear
    };
    finding.levels = settings
        .levels()
        .map(|(severity, level)| LevelReading {
            severity,
            reading,
            raise_for: level.hold.map_or(Duration::ZERO, |span| span.0),
            clear_for: level.clear_for.map_or(Duration::ZERO, |span| span.0),
        })
        .collect();
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn book(json: &str) -> RuleBook {
        serde_json::from_str(json).unwrap()
    }

    fn finding(rule: &str, severity: Option<Severity>) -> Finding {
        Finding::new(rule, "x", "x", "x", severity, Timestamp::UNIX_EPOCH)
    }

    fn applied(json: &str, rule: &str, severity: Option<Severity>) -> Vec<(Severity, Reading, u64)> {
        let finding = apply(&book(json), finding(rule, severity));
        finding.levels.iter().map(|level| (level.severity, level.reading, level.raise_for.as_secs())).collect()
    }

    #[test]
    fn settings_decide_over_levels_and_times() {
        use Reading::{Clear, Raised};
        use Severity::{Critical, Warning};
        for (json, rule, severity, levels) in [
            ("{}", "job_failed", Some(Critical), vec![(Warning, Raised, 0)]),
            ("{}", "actor_failed", Some(Warning), vec![(Critical, Raised, 0)]),
            ("{}", "provider_down", None, vec![(Warning, Clear, 300)]),
            (r#"{"rules":{"job_failed":{"enabled":false}}}"#, "job_failed", Some(Warning), vec![(Warning, Clear, 0)]),
            (
                r#"{"rules":{"job_failed":{"warning":{"enabled":false},"critical":{"for":"1m"}}}}"#,
                "job_failed",
                Some(Warning),
                vec![(Critical, Raised, 60)],
            ),
            ("{}", ALERTMANAGER, Some(Critical), vec![(Critical, Raised, 0)]),
            (
                r#"{"rules":{"alertmanager":{"critical":{"for":"5m"}}}}"#,
                ALERTMANAGER,
                Some(Critical),
                vec![(Critical, Raised, 300)],
            ),
            (
                r#"{"rules":{"alertmanager":{"warning":{"enabled":false}}}}"#,
                ALERTMANAGER,
                Some(Warning),
                vec![(Warning, Clear, 0)],
            ),
            (
                r#"{"rules":{"guest_crashed":{"enabled":false}}}"#,
                "guest_crashed",
                Some(Warning),
                vec![(Warning, Raised, 0)],
            ),
        ] {
            assert_eq!(applied(json, rule, severity), levels, "{json} {rule}");
        }
    }

    #[test]
    fn every_own_rule_has_a_level_and_a_condition() {
        for rule in &OWN_RULES {
            assert!(!rule.condition.is_empty());
            assert!(rule.name == ALERTMANAGER || rule.defaults.levels().count() == 1, "{}", rule.name);
        }
    }
}
