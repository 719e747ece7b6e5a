//! `[monitor.rules]` and `[monitor.overrides]`: how watching rules are set, for whoever owns rules.
//!
//! A rule's owner knows its defaults and which of these settings mean something to it; here is only their shape and how they are laid over
//! each other.

use crate::alerts::{Labels, Matcher, Severity};
use crate::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A rule as its owner declares it: for the check of names, the documentation and the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleInfo {
    /// Its name.
    pub name: &'static str,
    /// When it raises, in one sentence.
    pub condition: &'static str,
    /// Its settings where nothing is configured.
    pub defaults: RuleSettings,
    /// The unit of `above`, `below` and `clear` (`%`, `days`, `seconds`, `times`); empty where it has no threshold.
    pub unit: &'static str,
}

/// One level of a rule. What is `None` is as the rule's defaults have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelSettings {
    /// Raises at or above this, in the rule's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Raises at or below this, in the rule's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Clears beyond this, in the rule's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<f64>,
    /// How long it must hold before it is told.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// How long it must be over before it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_for: Option<Span>,
    /// Whether the level is used at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// The settings of a rule. What is `None` is as the rule's defaults have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSettings {
    /// Whether it is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Objects it leaves alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<ObjectMatch>,
    /// The level for digests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<LevelSettings>,
    /// The level to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<LevelSettings>,
    /// The level that needs somebody now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<LevelSettings>,
    /// The time over which a rule that counts does so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Extra time that a rule with deadlines allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
}

/// Picks objects: every condition that is set must fit; `*` stands for any stretch of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectMatch {
    /// One of a guest's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// A guest's number; written as a number or as a pattern.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text_or_number")]
    pub vmid: Option<String>,
    /// A guest's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A node, or the node a guest or local storage is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// A storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// A cluster by its name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

impl ObjectMatch {
    /// The conditions that are set.
    pub fn matchers(&self) -> Vec<Matcher> {
        let named = [
            ("tag", &self.tag),
            ("vmid", &self.vmid),
            ("name", &self.name),
            ("node", &self.node),
            ("storage", &self.storage),
            ("cluster", &self.cluster),
        ];
        named
            .into_iter()
            .filter_map(|(label, pattern)| pattern.as_deref().map(|pattern| Matcher::new(label, pattern)))
            .collect()
    }

    /// Whether every condition fits. One without conditions fits nothing.
    pub fn fits(&self, labels: &Labels) -> bool {
        let matchers = self.matchers();
        !matchers.is_empty() && matchers.iter().all(|matcher| matcher.fits(labels))
    }
}

/// Narrower settings for some objects.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    /// Which objects.
    #[serde(rename = "match")]
    pub objects: ObjectMatch,
    /// Which rules, as patterns; empty: all.
    pub rules: Vec<String>,
    /// What is different.
    pub set: RuleSettings,
}

/// `[monitor.rules]` and `[[monitor.overrides]]` as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RuleBook {
    /// By the rule's name.
    pub rules: BTreeMap<String, RuleSettings>,
    /// Later ones win.
    pub overrides: Vec<Override>,
}

impl RuleBook {
    /// The settings of a rule for an object: the defaults, what is configured for the rule, then every override that fits, in order.
    pub fn settings(&self, rule: &RuleInfo, labels: &Labels) -> RuleSettings {
        let mut settings = self.general(rule);
        for narrower in self.overrides.iter().filter(|narrower| narrower.concerns(rule.name)) {
            if narrower.objects.fits(labels) {
                settings.lay(&narrower.set);
            }
        }
        if settings.except.iter().any(|except| except.fits(labels)) {
            settings.enabled = Some(false);
        }
        settings
    }

    /// The settings of a rule where no override applies.
    pub fn general(&self, rule: &RuleInfo) -> RuleSettings {
        let mut settings = rule.defaults.clone();
        if let Some(configured) = self.rules.get(rule.name) {
            settings.lay(configured);
        }
        settings
    }

    /// Whether any override or exception may make a difference between objects for this rule: if not, [`Self::general`] is the same for all.
    pub fn is_uniform(&self, rule: &RuleInfo) -> bool {
        let excepted = |settings: &RuleSettings| !settings.except.is_empty();
        !self.overrides.iter().any(|narrower| narrower.concerns(rule.name)) && !excepted(&self.general(rule))
    }
}

impl Override {
    fn concerns(&self, rule: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|pattern| crate::alerts::matches_pattern(pattern, rule))
    }
}

impl RuleSettings {
    /// Lays other settings over these: what they set wins.
    pub fn lay(&mut self, over: &RuleSettings) {
        self.enabled = over.enabled.or(self.enabled);
        self.within = over.within.or(self.within);
        self.grace = over.grace.or(self.grace);
        self.except.extend(over.except.iter().cloned());
        for (mine, theirs) in
            [(&mut self.info, &over.info), (&mut self.warning, &over.warning), (&mut self.critical, &over.critical)]
        {
            let Some(theirs) = theirs else { continue };
            let level = mine.get_or_insert_default();
            level.above = theirs.above.or(level.above);
            level.below = theirs.below.or(level.below);
            level.clear = theirs.clear.or(level.clear);
            level.hold = theirs.hold.or(level.hold);
            level.clear_for = theirs.clear_for.or(level.clear_for);
            level.enabled = theirs.enabled.or(level.enabled);
        }
    }

    /// Whether the rule is used.
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// The levels in use, the mildest first.
    pub fn levels(&self) -> impl Iterator<Item = (Severity, &LevelSettings)> {
        [(Severity::Info, &self.info), (Severity::Warning, &self.warning), (Severity::Critical, &self.critical)]
            .into_iter()
            .filter_map(|(severity, level)| level.as_ref().map(|level| (severity, level)))
            .filter(|(_, level)| level.enabled.unwrap_or(true))
    }
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u32),
        Text(String),
    }
    Ok(Some(match Written::deserialize(deserializer)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> RuleInfo {
        let warning = LevelSettings { above: Some(85.0), hold: Some(Span::seconds(120)), ..LevelSettings::default() };
        let defaults = RuleSettings { warning: Some(warning), ..RuleSettings::default() };
        RuleInfo { name: "guest_disk", condition: "", defaults, unit: "%" }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn later_and_narrower_settings_win_member_by_member() {
        let book: RuleBook = serde_json::from_str(
            r#"{"rules":{"guest_disk":{"warning":{"above":80}}},
                "overrides":[{"match":{"tag":"lab"},"rules":["guest_*"],"set":{"warning":{"above":95}}},
                             {"match":{"vmid":101},"set":{"enabled":false}}]}"#,
        )
        .unwrap();
        let above = |labels: &Labels| book.settings(&rule(), labels).warning.and_then(|level| level.above);
        assert_eq!(above(&labels(&[("vmid", "100")])), Some(80.0));
        assert_eq!(above(&labels(&[("vmid", "100"), ("tag", "lab")])), Some(95.0));
        let hold = book.settings(&rule(), &labels(&[("tag", "lab")])).warning.and_then(|level| level.hold);
        assert_eq!(hold, Some(Span::seconds(120)), "what an override does not name stays");
        assert!(!book.settings(&rule(), &labels(&[("vmid", "101")])).is_enabled());
        assert!(!book.is_uniform(&rule()));
        assert!(RuleBook::default().is_uniform(&rule()));
    }

    #[test]
    fn an_empty_match_fits_nothing() {
        assert!(!ObjectMatch::default().fits(&labels(&[("tag", "lab")])));
    }
}
